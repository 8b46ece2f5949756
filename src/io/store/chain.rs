//! The chain: each row that a write brings, changes or takes out becomes an item, in the
//! transaction that does so.
//!
//! Triggers of the writing connection alone (TEMP) note which rows were touched; before the commit
//! each of them is digested as it then is. A new table is in the chain unless it is named here.

use super::error::{Result, StoreError};
use super::text::{Whole, count, from_json, json};
use crate::duty::proof::{Digests, Frontier, Item, Value, head, item};
use crate::protocol::random::Random;
use rusqlite::types::ValueRef;
use rusqlite::{Connection, OptionalExtension, Row, params, params_from_iter};
use std::collections::{BTreeMap, BTreeSet};

/// Tables whose rows are not proved.
pub(super) const UNPROVED: &[&str] = &[
    // The chain itself: what is proved by the heads.
    "item",
    "shape",
    "head",
    "chain",
    // Of this run and this boot.
    "boot",
    "session",
    "login_link",
    // Of the configuration, whose changes are audited.
    "contact",
    "contact_number",
    "numbering",
    // The numbers given are in the rows that have them.
    "number_given",
    // Made of other rows.
    "searchable",
    "to_index",
    // To find faults with; some forty rows a call.
    "sip_message",
];

/// A table whose rows are proved.
#[derive(Debug, Clone)]
pub(super) struct Table {
    pub kind: String,
    pub shape: i64,
    pub columns: Vec<String>,
    pub key: Vec<String>,
    /// One row by its key.
    select: String,
}

pub(super) struct Chain {
    tables: Vec<Table>,
    /// By every shape that the table ever had.
    by_shape: BTreeMap<i64, usize>,
}

impl Chain {
    /// Makes the connection note what it touches; a log without a chain begins one with what is in
    /// it.
    pub fn open(sql: &Connection, random: &mut Random) -> Result<Self> {
        sql.execute_batch("BEGIN IMMEDIATE")?;
        let chain = Self::begin(sql, random);
        let end = if chain.is_ok() { "COMMIT" } else { "ROLLBACK" };
        sql.execute_batch(end)?;
        chain
    }

    fn begin(sql: &Connection, random: &mut Random) -> Result<Self> {
        sql.prepare_cached(
            "INSERT OR IGNORE INTO chain (one, origin, frontier) VALUES (1, ?1, ?2)",
        )?
        .execute(params![
            format!("{}{}", head::ORIGIN, random.token()),
            Frontier::default().to_bytes()
        ])?;
        let fresh = last(sql)?.is_none();
        let chain = Self::watch(sql, Watch::Changes)?;
        if fresh {
            for table in &chain.tables {
                table.touch_all(sql)?;
                chain.append(sql)?;
            }
        }
        Ok(chain)
    }

    /// Notes what a migration touches; the rows of a table that is new or loses a column are all proved.
    pub fn migrating(
        sql: &Connection,
        migrate: impl FnOnce(&Connection) -> Result<()>,
    ) -> Result<()> {
        let begun = sql.prepare("SELECT 1 FROM sqlite_schema WHERE name = 'item'")?.exists([])?;
        if !begun {
            return migrate(sql);
        }
        let before = Self::watch(sql, Watch::Everything)?;
        migrate(sql)?;
        let chain = Self::watch(sql, Watch::Changes)?;
        for table in &chain.tables {
            let new = !before.tables.iter().any(|old| old.kind == table.kind);
            let old = shapes(sql, &table.kind)?;
            if new || old.iter().any(|(_, columns)| lost(columns, &table.columns)) {
                table.touch_all(sql)?;
            }
        }
        chain.append(sql)
    }

    fn watch(sql: &Connection, what: Watch) -> Result<Self> {
        sql.execute_batch(
            "CREATE TEMP TABLE IF NOT EXISTS touched (
               no INTEGER PRIMARY KEY, shape INTEGER NOT NULL, key TEXT NOT NULL)",
        )?;
        let tables = tables(sql)?;
        let mut by_shape = BTreeMap::new();
        for (at, table) in tables.iter().enumerate() {
            sql.execute_batch(&table.triggers(what))?;
            by_shape.extend(shapes(sql, &table.kind)?.into_iter().map(|(shape, _)| (shape, at)));
        }
        Ok(Self { tables, by_shape })
    }

    /// Nothing was touched since the last time.
    pub fn is_idle(&self, sql: &Connection) -> Result<bool> {
        Ok(!sql.prepare_cached("SELECT 1 FROM touched")?.exists([])?)
    }

    /// Items of all rows that were touched since the last time; before each commit.
    pub fn append(&self, sql: &Connection) -> Result<()> {
        let touched = touched(sql)?;
        if touched.is_empty() {
            return Ok(());
        }
        let (mut seq, mut before) = match last(sql)? {
            Some((seq, leaf)) => (seq + 1, leaf),
            None => (0, Digests::NONE),
        };
        let mut insert = sql.prepare_cached(
            "INSERT INTO item (seq, shape, key, row, leaf) VALUES (?1, ?2, ?3, ?4, ?5)",
        )?;
        let mut done = BTreeSet::new();
        for (shape, key) in &touched {
            let Some(table) = self.by_shape.get(shape).map(|at| &self.tables[*at]) else {
                continue;
            };
            if !done.insert((table.shape, key)) {
                continue;
            }
            let row = table.digest(sql, key)?.unwrap_or_else(item::gone);
            let (kind, key) = (table.kind.clone(), key.clone());
            let item = Item { seq, kind, key, row, before };
            before = item.leaf();
            let (row, leaf) = (item.row.to_bytes(), before.to_bytes());
            insert.execute(params![count(seq), table.shape, item.key, row, leaf])?;
            seq += 1;
        }
        sql.prepare_cached("DELETE FROM touched")?.execute([])?;
        Ok(())
    }
}

/// Rows that may wait to be proved; where proving fails for so long, the first are given up, and a
/// check will name them.
const WAITING: i64 = 200_000;

/// Keeps what waits within bounds.
pub(super) fn shorten(sql: &Connection) -> Result<()> {
    sql.prepare_cached("DELETE FROM touched WHERE no <= (SELECT max(no) FROM touched) - ?1")?
        .execute([WAITING])?;
    Ok(())
}

/// What the triggers note.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Watch {
    /// Rows that say something else afterwards.
    Changes,
    /// Every row that is written: such a trigger names no column that a migration may take away.
    Everything,
}

/// Whether a column of `old` is not there any more.
fn lost(old: &[String], now: &[String]) -> bool {
    old.iter().any(|column| !now.contains(column))
}

impl Table {
    fn triggers(&self, watch: Watch) -> String {
        let Self { kind, shape, .. } = self;
        let list = |row: &str| {
            let columns: Vec<_> = self.key.iter().map(|key| format!("{row}.\"{key}\"")).collect();
            columns.join(", ")
        };
        let touch = |row: &str| {
            format!(
                "BEGIN INSERT INTO touched (shape, key) VALUES ({shape}, json_array({})); END;",
                list(row)
            )
        };
        let changed: Vec<_> = self
            .columns
            .iter()
            .map(|column| format!("old.\"{column}\" IS NOT new.\"{column}\""))
            .collect();
        let when = match watch {
            Watch::Changes => format!("WHEN {}", changed.join(" OR ")),
            Watch::Everything => String::new(),
        };
        let key: Vec<_> = self.key.iter().map(|key| format!("\"{key}\"")).collect();
        let mut all = String::new();
        let names = ["came", "changed", "moved", "went"].map(|what| format!("{kind}_{what}"));
        for name in &names {
            all += &format!("DROP TRIGGER IF EXISTS temp.\"{name}\";\n");
        }
        let [came, changed, moved, went] = names;
        all += &format!(
            "CREATE TEMP TRIGGER \"{came}\" AFTER INSERT ON main.\"{kind}\" {}
             CREATE TEMP TRIGGER \"{changed}\" AFTER UPDATE ON main.\"{kind}\" {when} {}
             CREATE TEMP TRIGGER \"{moved}\" AFTER UPDATE OF {} ON main.\"{kind}\" {}
             CREATE TEMP TRIGGER \"{went}\" AFTER DELETE ON main.\"{kind}\" {}",
            touch("new"),
            touch("new"),
            key.join(", "),
            touch("old"),
            touch("old"),
        );
        all
    }

    fn touch_all(&self, sql: &Connection) -> Result<()> {
        let key: Vec<_> = self.key.iter().map(|key| format!("\"{key}\"")).collect();
        let key = key.join(", ");
        sql.execute(
            &format!(
                "INSERT INTO touched (shape, key)
                 SELECT {}, json_array({key}) FROM main.\"{}\" ORDER BY {key}",
                self.shape, self.kind
            ),
            [],
        )?;
        Ok(())
    }

    /// The digest of one row as it is; `None` where there is none.
    fn digest(&self, sql: &Connection, key: &str) -> Result<Option<Digests>> {
        let mut found = sql.prepare_cached(&self.select)?;
        let mut rows = found.query(params_from_iter(key_values(key)?))?;
        let Some(row) = rows.next()? else { return Ok(None) };
        Ok(Some(digest(row, &self.columns)?))
    }
}

/// The digest of a row whose first columns are these.
pub(super) fn digest(row: &Row<'_>, columns: &[String]) -> Result<Digests> {
    let values = (0..columns.len()).map(|at| row.get_ref(at)).collect::<Result<Vec<_>, _>>()?;
    Ok(item::row(columns.iter().map(String::as_str).zip(values.into_iter().map(value))))
}

pub(super) fn value(value: ValueRef<'_>) -> Value<'_> {
    match value {
        ValueRef::Null => Value::None,
        ValueRef::Integer(number) => Value::Integer(number),
        ValueRef::Real(number) => Value::Real(number),
        ValueRef::Text(text) => Value::Text(text),
        ValueRef::Blob(blob) => Value::Blob(blob),
    }
}

/// The columns of a key, for a query.
pub(super) fn key_values(key: &str) -> Result<Vec<rusqlite::types::Value>> {
    let values: Vec<serde_json::Value> = from_json(key)?;
    let one = |value| match value {
        serde_json::Value::String(text) => Ok(text.into()),
        serde_json::Value::Number(number) => number
            .as_i64()
            .map(Into::into)
            .ok_or_else(|| StoreError::Damaged(format!("{number} is no key"))),
        other => Err(StoreError::Damaged(format!("{other} is no key"))),
    };
    values.into_iter().map(one).collect()
}

/// The newest item: its number and its leaf.
pub(super) fn last(sql: &Connection) -> Result<Option<(u64, Digests)>> {
    let last: Option<(Whole, Vec<u8>)> = sql
        .prepare_cached("SELECT seq, leaf FROM item ORDER BY seq DESC LIMIT 1")?
        .query_row([], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    last.map(|(seq, leaf)| Ok((seq.0, digests(&leaf)?))).transpose()
}

pub(super) fn digests(bytes: &[u8]) -> Result<Digests> {
    Digests::from_bytes(bytes)
        .ok_or_else(|| StoreError::Damaged("a digest is not 64 bytes long".to_owned()))
}

fn touched(sql: &Connection) -> Result<Vec<(i64, String)>> {
    let mut rows = sql.prepare_cached("SELECT shape, key FROM touched ORDER BY no")?;
    let rows = rows.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// Every set of columns that a table had while it was in the chain.
pub(super) fn shapes(sql: &Connection, kind: &str) -> Result<Vec<(i64, Vec<String>)>> {
    let mut rows =
        sql.prepare_cached("SELECT id, columns FROM shape WHERE kind = ?1 ORDER BY id")?;
    let rows = rows.query_map([kind], |row| Ok((row.get(0)?, row.get::<_, String>(1)?)))?;
    rows.map(|row| row.map_err(StoreError::from).and_then(|(id, c)| Ok((id, from_json(&c)?))))
        .collect()
}

/// The tables that are proved, each with the shape it has now.
fn tables(sql: &Connection) -> Result<Vec<Table>> {
    let mut found = vec![];
    for (kind, columns, key) in structure(sql)? {
        let list = json(&columns)?;
        sql.prepare_cached("INSERT OR IGNORE INTO shape (kind, columns) VALUES (?1, ?2)")?
            .execute(params![kind, list])?;
        let shape = sql
            .prepare_cached("SELECT id FROM shape WHERE kind = ?1 AND columns = ?2")?
            .query_row(params![kind, list], |row| row.get(0))?;
        let select = select(&kind, &columns, &key);
        found.push(Table { kind, shape, columns, key, select });
    }
    Ok(found)
}

fn select(kind: &str, columns: &[String], key: &[String]) -> String {
    let wanted: Vec<_> = columns.iter().map(|column| format!("\"{column}\"")).collect();
    let by: Vec<_> = key.iter().map(|key| format!("\"{key}\" = ?")).collect();
    format!("SELECT {} FROM main.\"{kind}\" WHERE {}", wanted.join(", "), by.join(" AND "))
}

/// Name, columns and primary key of each table that is proved.
pub(super) type Structure = (String, Vec<String>, Vec<String>);

pub(super) fn structure(sql: &Connection) -> Result<Vec<Structure>> {
    let mut names = sql.prepare(
        "SELECT name FROM pragma_table_list WHERE schema = 'main' AND type = 'table'
           AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\' ORDER BY name",
    )?;
    let names = names.query_map([], |row| row.get(0))?.collect::<Result<Vec<String>, _>>()?;
    let mut all = vec![];
    for name in names.into_iter().filter(|name| !UNPROVED.contains(&name.as_str())) {
        let mut columns =
            sql.prepare_cached("SELECT name, pk FROM pragma_table_info(?1, 'main') ORDER BY cid")?;
        let columns = columns
            .query_map([&name], |row| Ok((row.get(0)?, row.get(1)?)))?
            .collect::<Result<Vec<(String, i64)>, _>>()?;
        let mut key: Vec<_> = columns.iter().filter(|(_, place)| *place > 0).collect();
        key.sort_by_key(|(_, place)| *place);
        let mut key: Vec<String> = key.into_iter().map(|(name, _)| name.clone()).collect();
        if key.is_empty() {
            key.push("rowid".to_owned());
        }
        all.push((name, columns.into_iter().map(|(name, _)| name).collect(), key));
    }
    Ok(all)
}

#[cfg(test)]
mod tests;
