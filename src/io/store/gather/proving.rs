//! How each row is proved: its newest item, and the way from there to the signed head.

use super::related::{Key, Row, Rows};
use crate::duty::proof::proven::Proven;
use crate::duty::proof::{Digests, Frontier};
use crate::io::store::chain::{self, digests};
use crate::io::store::error::Result;
use crate::io::store::text::{Whole, count};
use rusqlite::Connection;
use std::collections::BTreeMap;
use std::sync::Arc;

/// A row's newest item: its number, the leaf before it, and the columns that it covers.
pub struct Newest {
    pub seq: u64,
    before: Digests,
    columns: Arc<[String]>,
}

impl Newest {
    pub fn prove(&self, (kind, key): Key, (names, cells): Row, path: Vec<Digests>) -> Proven {
        let place = |column: &String| names.iter().position(|name| name == column);
        let covered = self.columns.iter().filter_map(|column| Some((column, place(column)?)));
        let covered = covered.map(|(column, at)| (column.clone(), cells[at].clone()));
        let (columns, values) = covered.unzip();
        Proven { kind, key, columns, values, seq: self.seq, before: self.before, path }
    }
}

pub fn newest(sql: &Connection, wanted: &Rows) -> Result<BTreeMap<Key, Newest>> {
    let mut kinds: BTreeMap<i64, (String, Arc<[String]>)> = BTreeMap::new();
    for (kind, ..) in chain::structure(sql)? {
        let shapes = chain::shapes(sql, &kind)?.into_iter();
        kinds.extend(shapes.map(|(id, columns)| (id, (kind.clone(), columns.into()))));
    }
    let mut items = sql.prepare("SELECT seq, shape, key, leaf FROM item ORDER BY seq")?;
    let mut items = items.query([])?;
    let (mut found, mut before) = (BTreeMap::new(), Digests::NONE);
    while let Some(row) = items.next()? {
        let (Whole(seq), shape): (Whole, i64) = (row.get(0)?, row.get(1)?);
        if let Some((kind, columns)) = kinds.get(&shape) {
            let key = (kind.clone(), row.get(2)?);
            if wanted.contains_key(&key) {
                found.insert(key, Newest { seq, before, columns: Arc::clone(columns) });
            }
        }
        before = digests(&row.get::<_, Vec<u8>>(3)?)?;
    }
    Ok(found)
}

pub fn paths(
    sql: &Connection,
    wanted: impl Iterator<Item = u64>,
    size: u64,
) -> Result<BTreeMap<u64, Vec<Digests>>> {
    let mut tree = Frontier::following(wanted);
    let mut leaves = sql.prepare("SELECT leaf FROM item WHERE seq < ?1 ORDER BY seq")?;
    let mut leaves = leaves.query([count(size)])?;
    while let Some(row) = leaves.next()? {
        tree.push(digests(&row.get::<_, Vec<u8>>(0)?)?);
    }
    Ok(tree.paths().into_iter().collect())
}
