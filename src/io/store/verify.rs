//! Checks the whole log against its chain, reading only: every item, every row, every signed head;
//! names what does not fit.

mod heads;
mod rules;

use super::chain::{self, digests};
use super::error::{Result, StoreError};
use super::heads as signed;
use super::text::{Whole, count, from_json};
use crate::duty::proof::{Digests, Frontier, Item, PublicKey, item};
use crate::io::proof::keys::Keys;
use crate::io::proof::witness::Copies;
use rules::Rules;
use rusqlite::{Connection, OpenFlags, OptionalExtension, Row};
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::Path;
use std::time::Duration;

/// Faults that are named; of more only the number is told.
const NAMED: usize = 200;

/// Something that is not as it was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// Which item, row, head or file.
    pub place: String,
    pub zh: String,
    pub en: String,
}

impl Fault {
    pub fn new(place: impl Into<String>, zh: impl Into<String>, en: impl Into<String>) -> Self {
        Self { place: place.into(), zh: zh.into(), en: en.into() }
    }
}

/// A file that a row vouches for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileOf {
    pub call: String,
    /// Relative to the recordings folder.
    pub path: String,
    pub sha256: String,
    /// Where the row says so: of a WAV, and not of a tape.
    pub bytes: Option<u64>,
    /// Made of the recording, under this number.
    pub derived: Option<i64>,
}

/// What the check of a database found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Checked {
    pub origin: String,
    pub items: u64,
    pub rows: u64,
    pub heads: u64,
    /// The newest head's number.
    pub newest: u64,
    /// By which the heads are signed.
    pub keys: Keys,
    pub faults: Vec<Fault>,
    /// Faults beyond those in `faults`.
    pub more: u64,
    /// To be checked by whoever has the recordings.
    pub files: Vec<FileOf>,
    /// Recordings that are gone, as two people agreed.
    pub destroyed: u64,
}

/// What a row was when its newest item was made.
type Newest = HashMap<[u8; 16], u64>;

struct Check<'a> {
    sql: &'a Connection,
    /// Who is believed.
    given: &'a [PublicKey],
    found: Checked,
    rules: Rules,
}

/// A root that the tree must have had.
struct Mark {
    size: u64,
    root: Digests,
    place: String,
}

impl Checked {
    /// Reads the database, in one moment of it.
    ///
    /// # Errors
    /// When it cannot be read at all.
    pub fn of(database: &Path, given: &[PublicKey], copies: &Copies) -> Result<Self> {
        let connection = open(database)?;
        connection.execute_batch("BEGIN")?;
        let mut check =
            Check { sql: &connection, given, found: Self::default(), rules: Rules::default() };
        match check.all(copies) {
            Ok(()) => {}
            Err(error @ (StoreError::Damaged(_) | StoreError::Corrupt(_) | StoreError::Bug(_))) => {
                check.fault(Fault::new(
                    "database",
                    format!("数据库损坏或被改动，读不下去（{error}）"),
                    format!("damaged or altered, and cannot be read on: {error}"),
                ));
            }
            Err(error) => return Err(error),
        }
        Ok(check.found)
    }
}

/// For reading; where nothing may be written beside it, as a file that does not change.
fn open(database: &Path) -> Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_URI;
    let connection = Connection::open_with_flags(database, flags)?;
    connection.busy_timeout(Duration::from_secs(5))?;
    if connection.query_row("SELECT count(*) FROM sqlite_schema", [], |_| Ok(())).is_ok() {
        return Ok(connection);
    }
    let path =
        database.to_string_lossy().replace('%', "%25").replace('?', "%3f").replace('#', "%23");
    Ok(Connection::open_with_flags(format!("file:{path}?immutable=1"), flags)?)
}

impl Check<'_> {
    fn all(&mut self, copies: &Copies) -> Result<()> {
        self.pages()?;
        self.protections()?;
        self.found.origin = signed::origin(self.sql)?;
        self.keys(copies)?;
        let mut marks = self.heads()?;
        self.copies(&copies.notes, &mut marks)?;
        marks.sort_by_key(|mark| mark.size);
        let newest = self.items(&marks)?;
        self.rows(newest)?;
        self.texts()?;
        self.found.files = files(self.sql)?;
        let Whole(gone) = self.sql.query_row("SELECT count(*) FROM gone", [], |row| row.get(0))?;
        self.found.destroyed = gone;
        Ok(())
    }

    fn fault(&mut self, fault: Fault) {
        if self.found.faults.len() < NAMED {
            self.found.faults.push(fault);
        } else {
            self.found.more += 1;
        }
    }

    /// What SQLite itself can tell of its pages.
    fn pages(&mut self) -> Result<()> {
        let mut said = self.sql.prepare("PRAGMA quick_check(10)")?;
        let said = said.query_map([], |row| row.get(0))?.collect::<Result<Vec<String>, _>>()?;
        for line in said.into_iter().filter(|line| line != "ok") {
            let zh = format!("数据库页损坏：{line}");
            self.fault(Fault::new("database", zh, format!("a page is damaged: {line}")));
        }
        Ok(())
    }

    /// Every item follows the one before, and the tree has had every root that was signed.
    fn items(&mut self, marks: &[Mark]) -> Result<Newest> {
        let kinds = kinds(self.sql)?;
        let mut rows =
            self.sql.prepare("SELECT seq, shape, key, row, leaf FROM item ORDER BY seq")?;
        let mut rows = rows.query([])?;
        let mut marks = marks.iter().peekable();
        let (mut tree, mut newest) = (Frontier::default(), Newest::new());
        let (mut seq, mut before) = (0_u64, Digests::NONE);
        self.rooted(&tree, &mut marks);
        while let Some(row) = rows.next()? {
            let Whole(number) = row.get(0)?;
            let (item, leaf) = match read(row, &kinds, before) {
                Ok(read) => read,
                Err(error) => {
                    self.altered(number, "", &error.to_string());
                    seq = number + 1;
                    continue;
                }
            };
            if number != seq {
                self.altered(seq, "", "it is not there");
            } else if item.leaf() != leaf {
                self.altered(number, &format!("{} {}", item.kind, item.key), "");
            }
            let earlier = newest.insert(name(&item.kind, &item.key), number);
            self.allowed(&item, row.get(1)?, earlier)?;
            tree.push(leaf);
            (seq, before) = (number + 1, leaf);
            self.rooted(&tree, &mut marks);
        }
        self.found.items = seq;
        if let Some(mark) = marks.next() {
            self.fault(Fault::new(
                mark.place.clone(),
                format!("已签名 {} 条，现在只有 {seq} 条：末尾被删，或恢复成了旧库", mark.size),
                format!("covers {} items, there are {seq}: the end was cut off, or an old copy was restored", mark.size),
            ));
        }
        Ok(newest)
    }

    /// Compares the tree with the heads of its size.
    fn rooted<'m>(
        &mut self,
        tree: &Frontier,
        marks: &mut std::iter::Peekable<impl Iterator<Item = &'m Mark>>,
    ) {
        while let Some(mark) = marks.next_if(|mark| mark.size <= tree.size()) {
            if mark.size < tree.size() || mark.root != tree.root() {
                let zh = format!("前 {} 条与签名时不同：其中有条目被改动、换位或重写", mark.size);
                let en = format!(
                    "the first {} items are not what was signed: one of them was altered, moved or written anew",
                    mark.size
                );
                self.fault(Fault::new(mark.place.clone(), zh, en));
            }
        }
    }

    fn altered(&mut self, seq: u64, what: &str, why: &str) {
        let place = format!("item {seq} {what}").trim_end().to_owned();
        self.fault(Fault::new(
            place,
            format!("链上条目被改动、换位或删除 {why}"),
            format!("was altered, moved or taken out of the chain {why}"),
        ));
    }

    /// Every row is what its newest item says, and no row is without one or gone.
    fn rows(&mut self, mut newest: Newest) -> Result<()> {
        for (kind, columns, key) in chain::structure(self.sql)? {
            let shapes: BTreeMap<i64, Vec<String>> =
                chain::shapes(self.sql, &kind)?.into_iter().collect();
            let list = |names: &[String]| {
                names.iter().map(|name| format!("\"{name}\"")).collect::<Vec<_>>().join(", ")
            };
            let query =
                format!("SELECT {}, json_array({}) FROM \"{kind}\"", list(&columns), list(&key));
            let mut rows = self.sql.prepare(&query)?;
            let mut rows = rows.query([])?;
            while let Some(row) = rows.next()? {
                self.found.rows += 1;
                let key: String = row.get(columns.len())?;
                let Some(seq) = newest.remove(&name(&kind, &key)) else {
                    let place = self.named(&kind, &key);
                    self.fault(Fault::new(
                        place,
                        "没有经过本程序写入，是后加的",
                        "was put in behind the log's back: no item speaks of it",
                    ));
                    continue;
                };
                self.row(row, (&kind, &key, seq), &columns, &shapes)?;
            }
        }
        self.left(newest)
    }

    fn row(
        &mut self,
        row: &Row<'_>,
        (kind, key, seq): (&str, &str, u64),
        columns: &[String],
        shapes: &BTreeMap<i64, Vec<String>>,
    ) -> Result<()> {
        let (shape, then): (i64, Vec<u8>) = self
            .sql
            .prepare_cached("SELECT shape, row FROM item WHERE seq = ?1")?
            .query_row([count(seq)], |row| Ok((row.get(0)?, row.get(1)?)))?;
        let covered = shapes.get(&shape).map_or(&[][..], Vec::as_slice);
        let mut values = vec![];
        for column in covered {
            let place = columns.iter().position(|name| name == column);
            let Some(place) = place else { continue };
            values.push((column.as_str(), chain::value(row.get_ref(place)?)));
        }
        if values.len() != covered.len() || item::row(values.into_iter()) != digests(&then)? {
            let place = self.named(kind, key);
            self.fault(Fault::new(
                place,
                format!("内容被改动，与链上第 {seq} 条不符"),
                format!("was changed behind the log's back: item {seq} says otherwise"),
            ));
        }
        Ok(())
    }

    /// Rows of which there is an item and which are not there: were they taken out by the log?
    fn left(&mut self, newest: Newest) -> Result<()> {
        let kinds = kinds(self.sql)?;
        let mut left: Vec<u64> = newest.into_values().collect();
        left.sort_unstable();
        for seq in left {
            let (shape, key, then): (i64, String, Vec<u8>) = self
                .sql
                .prepare_cached("SELECT shape, key, row FROM item WHERE seq = ?1")?
                .query_row([count(seq)], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?;
            if digests(&then)? != item::gone() {
                let place = self.named(kinds.get(&shape).map_or("?", String::as_str), &key);
                self.fault(Fault::new(
                    place,
                    format!("被删除（链上第 {seq} 条）"),
                    format!("was deleted behind the log's back (item {seq})"),
                ));
            }
        }
        Ok(())
    }

    /// As people call it: with the number of its entry, where it has one.
    fn named(&self, kind: &str, key: &str) -> String {
        let first = from_json::<Vec<serde_json::Value>>(key).ok();
        let id = first.as_deref().and_then(|key| key.first()?.as_str());
        let number: Option<String> = id.and_then(|id| {
            let found = self
                .sql
                .query_row("SELECT number FROM entry WHERE id = ?1", [id], |row| row.get(0));
            found.optional().ok()?
        });
        match number {
            Some(number) => format!("{kind} {key} ({number})"),
            None => format!("{kind} {key}"),
        }
    }
}

fn read(row: &Row<'_>, kinds: &BTreeMap<i64, String>, before: Digests) -> Result<(Item, Digests)> {
    let (Whole(seq), shape): (Whole, i64) = (row.get(0)?, row.get(1)?);
    let kind = kinds.get(&shape).cloned();
    let kind = kind.ok_or_else(|| StoreError::Damaged(format!("no shape {shape}")))?;
    let (state, leaf): (Vec<u8>, Vec<u8>) = (row.get(3)?, row.get(4)?);
    let item = Item { seq, kind, key: row.get(2)?, row: digests(&state)?, before };
    Ok((item, digests(&leaf)?))
}

fn name(kind: &str, key: &str) -> [u8; 16] {
    let digest: [u8; 32] = Sha256::digest(format!("{kind}\n{key}")).into();
    digest.first_chunk().copied().unwrap_or_default()
}

fn kinds(sql: &Connection) -> Result<BTreeMap<i64, String>> {
    let mut rows = sql.prepare("SELECT id, kind FROM shape")?;
    let rows = rows.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

fn files(sql: &Connection) -> Result<Vec<FileOf>> {
    let mut rows = sql.prepare(
        "SELECT call, wav, digest, NULL FROM kept_recording WHERE digest IS NOT NULL
         UNION ALL SELECT call, tape, tape_digest, NULL FROM kept_recording
           WHERE tape_digest IS NOT NULL
         UNION ALL SELECT d.call, d.wav, d.digest, d.id FROM derived d
           JOIN kept_recording k ON k.call = d.call
         UNION ALL SELECT f.call, f.path, f.digest, NULL FROM flac f
           JOIN kept_recording k ON k.call = f.call
         ORDER BY 1, 2",
    )?;
    let rows = rows.query_map([], |row| {
        Ok(FileOf {
            call: row.get(0)?,
            path: row.get(1)?,
            sha256: row.get(2)?,
            bytes: None,
            derived: row.get(3)?,
        })
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// Calls whose recordings are given up by now, by rows that the chain has an item of.
///
/// # Errors
/// When the database cannot be read.
pub fn given_up_since(database: &Path) -> Result<BTreeSet<String>> {
    let sql = open(database)?;
    let mut rows = sql.prepare(
        "SELECT g.call FROM given_up g WHERE json_array(g.call, g.list) IN (
           SELECT i.key FROM item i JOIN shape s ON s.id = i.shape WHERE s.kind = 'destroyed')",
    )?;
    let calls = rows.query_map([], |row| row.get(0))?.collect::<rusqlite::Result<_>>()?;
    Ok(calls)
}
