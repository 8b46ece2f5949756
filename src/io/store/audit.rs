//! Who did what, when, from where: rows that are only ever added, each carrying the digest of the
//! one before.

use super::error::{Result, StoreError};
use super::text::{json, ms, sha256};
use super::{PersonId, Store, Who};
use crate::protocol::now::Now;
use rusqlite::{Connection, OptionalExtension, params};

/// Who acts. The system's own acts name the rule they follow (I-14).
#[derive(Debug, Clone)]
pub(super) struct Actor {
    pub person: Option<PersonId>,
    pub name: String,
    pub terminal: String,
}

impl Actor {
    pub fn system(rule: &str) -> Self {
        Self { person: None, name: "系统".to_owned(), terminal: rule.to_owned() }
    }

    pub fn phone(phone: &str) -> Self {
        Self { person: None, name: phone.to_owned(), terminal: "phone".to_owned() }
    }
}

impl From<&Who> for Actor {
    fn from(who: &Who) -> Self {
        Self { person: Some(who.id), name: who.name.clone(), terminal: who.terminal.clone() }
    }
}

type Fields<'a> = (i64, Option<i64>, &'a str, &'a str, &'a str, &'a str, &'a str, &'a str);

fn digest(fields: &Fields<'_>) -> Result<String> {
    Ok(sha256(&json(fields)?))
}

pub(super) fn append(
    sql: &Connection,
    now: Now,
    actor: &Actor,
    action: &str,
    object: &str,
    detail: &str,
) -> Result<()> {
    let prev: Option<String> = sql
        .prepare_cached("SELECT digest FROM audit ORDER BY id DESC LIMIT 1")?
        .query_row([], |row| row.get(0))
        .optional()?;
    let prev = prev.unwrap_or_default();
    let person = actor.person.map(|person| person.0);
    let at = ms(now.wall);
    let digest =
        digest(&(at, person, &actor.name, &actor.terminal, action, object, detail, &prev))?;
    sql.prepare_cached(
        "INSERT INTO audit (at_ms, person, actor, terminal, action, object, detail, prev_digest,
           digest) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
    )?
    .execute(params![
        at,
        person,
        actor.name,
        actor.terminal,
        action,
        object,
        detail,
        prev,
        digest
    ])?;
    Ok(())
}

/// As [`append`], unless one of the newest rows says so already: a fact may be told twice.
pub(super) fn append_once(
    sql: &Connection,
    now: Now,
    actor: &Actor,
    action: &str,
    object: &str,
    detail: &str,
) -> Result<()> {
    let known = sql
        .prepare_cached(
            "SELECT 1 FROM (SELECT * FROM audit ORDER BY id DESC LIMIT 1000)
             WHERE at_ms = ?1 AND action = ?2 AND object = ?3 AND detail = ?4",
        )?
        .exists(params![ms(now.wall), action, object, detail])?;
    if known { Ok(()) } else { append(sql, now, actor, action, object, detail) }
}

/// Rows of the audit, or the first one that does not fit the chain.
fn verify(sql: &Connection) -> Result<u64> {
    let mut rows = sql.prepare(
        "SELECT id, at_ms, person, actor, terminal, action, object, detail, prev_digest, digest
         FROM audit ORDER BY id",
    )?;
    let mut rows = rows.query([])?;
    let (mut prev, mut count) = (String::new(), 0);
    while let Some(row) = rows.next()? {
        let text = |column| row.get::<_, String>(column);
        let (actor, terminal, action) = (text(3)?, text(4)?, text(5)?);
        let (object, detail, claimed) = (text(6)?, text(7)?, text(8)?);
        let fields =
            (row.get(1)?, row.get(2)?, &*actor, &*terminal, &*action, &*object, &*detail, &*prev);
        count += 1;
        if claimed != prev || row.get::<_, i64>(0)? != count || text(9)? != digest(&fields)? {
            return Err(StoreError::Damaged(format!("audit row {count} does not fit its chain")));
        }
        prev = text(9)?;
    }
    Ok(u64::try_from(count).unwrap_or(0))
}

/// Notes that other settings hold from now on, where they do.
fn settings_of(sql: &Connection, settings: &str, now: Now) -> Result<bool> {
    let digest = sha256(settings);
    let last: Option<String> = sql
        .prepare_cached(
            "SELECT detail FROM audit WHERE object = 'settings' ORDER BY id DESC LIMIT 1",
        )?
        .query_row([], |row| row.get(0))
        .optional()?;
    let changed = last.as_deref() != Some(digest.as_str());
    if changed {
        append(sql, now, &Actor::system("settings"), "settings.change", "settings", &digest)?;
    }
    Ok(changed)
}

impl Store {
    /// The settings that hold from now on, by the digest of what they are; whether others held
    /// before.
    pub async fn settings_are(&self, settings: String, now: Now) -> Result<bool> {
        self.write(move |tx| settings_of(tx.sql, &settings, now)).await
    }

    /// Somebody asked for what is not his to see.
    pub async fn access_refused(&self, who: &Who, what: &str, now: Now) -> Result<()> {
        let (actor, what) = (Actor::from(who), what.to_owned());
        self.write(move |tx| append(tx.sql, now, &actor, "access.refuse", &what, "")).await
    }

    /// Checks the whole audit; how many rows it has.
    ///
    /// # Errors
    /// [`StoreError::Damaged`] names the first row that was changed, or follows one that is gone.
    pub async fn verify_audit(&self) -> Result<u64> {
        self.read(verify).await
    }
}
