//! What the log never does: rows that are kept and go, texts without a revision, triggers of somebody
//! else.

use super::{Check, Fault};
use crate::duty::ids::EntryId;
use crate::duty::proof::{Item, item};
use crate::io::store::chain::digests;
use crate::io::store::error::{Result, StoreError};
use crate::io::store::text::count;
use crate::io::store::{revisions, schema};
use rusqlite::Connection;
use std::collections::{BTreeMap, BTreeSet};

/// What the log never does with rows of which kind.
#[derive(Default)]
pub(super) struct Rules {
    kept: BTreeSet<String>,
    not_changed: BTreeSet<String>,
}

impl Check<'_> {
    /// The triggers that keep rows from being changed are there, word for word, and no others.
    pub(super) fn protections(&mut self) -> Result<()> {
        let version = |sql: &Connection| -> Result<i64> {
            Ok(sql.pragma_query_value(None, "user_version", |row| row.get(0))?)
        };
        let model = schema::open_in_memory()?;
        self.rules = Rules {
            kept: kinds_with(&model, "_is_kept")?,
            not_changed: kinds_with(&model, "_is_not_changed")?,
        };
        let (found, known) = (version(self.sql)?, version(&model)?);
        if found != known {
            self.fault(Fault::new(
                "schema",
                format!("数据库是第 {found} 版，本程序只会查第 {known} 版：用写它的程序核验，或版本号被改动"),
                format!("the database is of version {found}, this program checks {known}: use the program that wrote it, or the version was altered"),
            ));
            return Ok(());
        }
        let (here, wanted) = (triggers(self.sql)?, triggers(&model)?);
        for name in here.keys().filter(|name| !wanted.contains_key(*name)) {
            self.fault(Fault::new(
                format!("trigger {name}"),
                "是后加的触发器或视图",
                "was put in: a trigger or view that the log does not have",
            ));
        }
        for (name, sql) in wanted {
            if here.get(&name) != Some(&sql) {
                self.fault(Fault::new(
                    format!("trigger {name}"),
                    "防改动的触发器被去掉或改动",
                    "what keeps rows from being changed was taken out or altered",
                ));
            }
        }
        Ok(())
    }

    /// Whoever knows the program but not the triggers' reasons can add an item; no write of the log
    /// makes one like these.
    pub(super) fn allowed(&mut self, item: &Item, shape: i64, earlier: Option<u64>) -> Result<()> {
        if self.rules.kept.contains(&item.kind) && item.row == item::gone() {
            let place = self.named(&item.kind, &item.key);
            self.fault(Fault::new(
                place,
                format!("第 {} 条说它被删除，而这类记录从不删除", item.seq),
                format!("item {} says that it was deleted, and such rows never are", item.seq),
            ));
            return Ok(());
        }
        let Some(earlier) = earlier.filter(|_| self.rules.not_changed.contains(&item.kind)) else {
            return Ok(());
        };
        let (was, then): (i64, Vec<u8>) = self
            .sql
            .prepare_cached("SELECT shape, row FROM item WHERE seq = ?1")?
            .query_row([count(earlier)], |row| Ok((row.get(0)?, row.get(1)?)))?;
        if was == shape && digests(&then)? != item.row {
            let place = self.named(&item.kind, &item.key);
            self.fault(Fault::new(
                place,
                format!("第 {} 条改了第 {earlier} 条，而这类记录从不改动", item.seq),
                format!(
                    "item {} changes what item {earlier} says, and such rows never change",
                    item.seq
                ),
            ));
        }
        Ok(())
    }

    /// What an entry says is what its revisions made of it.
    pub(super) fn texts(&mut self) -> Result<()> {
        let mut ids = self.sql.prepare("SELECT id FROM entry ORDER BY id")?;
        let ids = ids.query_map([], |row| row.get(0))?.collect::<Result<Vec<String>, _>>()?;
        for id in ids {
            let checked = match id.parse::<EntryId>() {
                Ok(entry) => revisions::verify(self.sql, entry).map(drop),
                Err(error) => Err(StoreError::Damaged(error.to_string())),
            };
            match checked {
                Err(
                    error @ (StoreError::Damaged(_) | StoreError::Corrupt(_) | StoreError::Bug(_)),
                ) => {
                    let place = self.named("entry", &serde_json::json!([id]).to_string());
                    self.fault(Fault::new(
                        place,
                        format!("与自己的修订不符（{error}）"),
                        format!("is not what its revisions say: {error}"),
                    ));
                }
                checked => checked?,
            }
        }
        Ok(())
    }
}

fn triggers(sql: &Connection) -> Result<BTreeMap<String, String>> {
    let mut rows =
        sql.prepare("SELECT name, sql FROM main.sqlite_schema WHERE type IN ('trigger', 'view')")?;
    let rows = rows.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// Tables that have a trigger of this name.
fn kinds_with(sql: &Connection, what: &str) -> Result<BTreeSet<String>> {
    let mut rows = sql.prepare(
        "SELECT tbl_name FROM main.sqlite_schema WHERE type = 'trigger' AND name = tbl_name || ?1",
    )?;
    let rows = rows.query_map([what], |row| row.get(0))?;
    Ok(rows.collect::<Result<_, _>>()?)
}
