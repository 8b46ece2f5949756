//! A row together with what proves it: its item and the path from there to a signed root.

use super::item::{self, Item, Value};
use super::{Digests, Path, tree};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};

/// A value of a row, for handing out.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Cell {
    None(()),
    Integer(i64),
    Text(String),
    Blob {
        /// In base64.
        blob: String,
    },
    Real {
        /// The bits of the IEEE 754 number.
        real: u64,
    },
}

impl Cell {
    /// `None` for a text that is not UTF-8.
    pub fn of(value: Value<'_>) -> Option<Self> {
        Some(match value {
            Value::None => Self::None(()),
            Value::Integer(number) => Self::Integer(number),
            Value::Real(number) => Self::Real { real: number.to_bits() },
            Value::Text(text) => Self::Text(std::str::from_utf8(text).ok()?.to_owned()),
            Value::Blob(blob) => Self::Blob { blob: STANDARD.encode(blob) },
        })
    }

    pub fn text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            Self::None(()) | Self::Integer(_) | Self::Blob { .. } | Self::Real { .. } => None,
        }
    }
}

/// A row of the log as it is handed out.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Proven {
    pub kind: String,
    pub key: String,
    pub columns: Vec<String>,
    pub values: Vec<Cell>,
    /// The item's number, and the leaf before it.
    pub seq: u64,
    #[serde(with = "hex_digests")]
    pub before: Digests,
    /// From the leaf up.
    #[serde(with = "hex_path")]
    pub path: Path,
}

impl Proven {
    /// The root of the tree of `size` items that this row is in, if it is; `None` where it is no
    /// row.
    pub fn root(&self, size: u64) -> Option<Digests> {
        if self.columns.len() != self.values.len() {
            return None;
        }
        let blobs = self.values.iter().map(blob).collect::<Option<Vec<_>>>()?;
        let values = self.values.iter().zip(&blobs).map(|(cell, blob)| value(cell, blob));
        let columns = self.columns.iter().map(String::as_str);
        let row = item::row(columns.zip(values).collect::<Vec<_>>().into_iter());
        let (kind, key) = (self.kind.clone(), self.key.clone());
        let item = Item { seq: self.seq, kind, key, row, before: self.before };
        tree::root_by(item.leaf(), self.seq, size, &self.path)
    }

    pub fn get(&self, column: &str) -> Option<&Cell> {
        let at = self.columns.iter().position(|name| name == column)?;
        self.values.get(at)
    }
}

fn blob(cell: &Cell) -> Option<Vec<u8>> {
    match cell {
        Cell::Blob { blob } => STANDARD.decode(blob).ok(),
        Cell::None(()) | Cell::Integer(_) | Cell::Text(_) | Cell::Real { .. } => Some(vec![]),
    }
}

fn value<'a>(cell: &'a Cell, blob: &'a [u8]) -> Value<'a> {
    match cell {
        Cell::None(()) => Value::None,
        Cell::Integer(number) => Value::Integer(*number),
        Cell::Real { real } => Value::Real(f64::from_bits(*real)),
        Cell::Text(text) => Value::Text(text.as_bytes()),
        Cell::Blob { .. } => Value::Blob(blob),
    }
}

fn from_hex(text: &str) -> Option<Digests> {
    Digests::from_bytes(&hex::decode(text).ok()?)
}

mod hex_digests {
    use super::{Digests, from_hex};
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    pub fn serialize<S: Serializer>(digests: &Digests, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&hex::encode(digests.to_bytes()))
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Digests, D::Error> {
        let text = String::deserialize(from)?;
        from_hex(&text).ok_or_else(|| D::Error::custom("no digests"))
    }
}

mod hex_path {
    use super::{Path, from_hex};
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    pub fn serialize<S: Serializer>(path: &Path, to: S) -> Result<S::Ok, S::Error> {
        to.collect_seq(path.iter().map(|digests| hex::encode(digests.to_bytes())))
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Path, D::Error> {
        let list = Vec::<String>::deserialize(from)?;
        let path: Option<Path> = list.iter().map(|text| from_hex(text)).collect();
        path.ok_or_else(|| D::Error::custom("no path"))
    }
}
