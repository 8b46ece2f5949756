//! One item of the chain: what one row said from some moment on, in one fixed encoding.
//!
//! ```text
//!  row   "dutyline row 1\n" · columns 4 · (name length 4 · name · value)*        in the row's order
//!  value 0 none · 1 integer 8 · 2 real 8 · 3 text length 8 · bytes · 4 blob length 8 · bytes
//!  leaf  0x00 · seq 8 · kind length 4 · kind · key length 4 · key · row's digest 32 · leaf before 32
//! ```
//! Numbers are big-endian. `0x00` is what RFC 6962 §2.1 puts before a leaf.

use super::Digests;

const ROW: &[u8] = b"dutyline row 1\n";
const GONE: &[u8] = b"dutyline row gone 1\n";

/// One column of a row.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Value<'a> {
    None,
    Integer(i64),
    Real(f64),
    /// As it is kept: UTF-8, unless somebody wrote something else.
    Text(&'a [u8]),
    Blob(&'a [u8]),
}

/// A row that came, changed or went.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Item {
    /// Counts from 0 without a gap.
    pub seq: u64,
    /// Which table.
    pub kind: String,
    /// Its primary key, as a JSON list.
    pub key: String,
    /// Of the row as it was then.
    pub row: Digests,
    /// The leaf of the item before; [`Digests::NONE`] for the first.
    pub before: Digests,
}

impl Item {
    pub fn leaf(&self) -> Digests {
        let mut bytes = vec![0];
        bytes.extend(self.seq.to_be_bytes());
        text(&self.kind, &mut bytes);
        text(&self.key, &mut bytes);
        Digests::over(&bytes, &[&self.row, &self.before])
    }
}

/// The digest of a row by its columns' names and values.
pub fn row<'a>(columns: impl ExactSizeIterator<Item = (&'a str, Value<'a>)>) -> Digests {
    let mut bytes = ROW.to_vec();
    bytes.extend(length(columns.len()).to_be_bytes());
    for (name, value) in columns {
        text(name, &mut bytes);
        match value {
            Value::None => bytes.push(0),
            Value::Integer(number) => {
                bytes.push(1);
                bytes.extend(number.to_be_bytes());
            }
            Value::Real(number) => {
                bytes.push(2);
                bytes.extend(number.to_bits().to_be_bytes());
            }
            Value::Text(text) => long(3, text, &mut bytes),
            Value::Blob(blob) => long(4, blob, &mut bytes),
        }
    }
    Digests::of(&bytes)
}

/// The digest of a row that was taken out.
pub fn gone() -> Digests {
    Digests::of(GONE)
}

fn text(text: &str, bytes: &mut Vec<u8>) {
    bytes.extend(length(text.len()).to_be_bytes());
    bytes.extend(text.as_bytes());
}

fn long(kind: u8, content: &[u8], bytes: &mut Vec<u8>) {
    bytes.push(kind);
    bytes.extend((content.len() as u64).to_be_bytes());
    bytes.extend(content);
}

/// SQLite's names, keys and counts of columns stay far below.
fn length(length: usize) -> u32 {
    u32::try_from(length).unwrap_or(u32::MAX)
}
