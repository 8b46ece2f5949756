//! Personal accounts; shared ones are forbidden (domain §4.1).

mod accounts;

pub use accounts::{PersonChange, PersonChanged, PersonRow};

use super::Store;
use super::audit::{self, Actor};
use super::error::Result;
use super::passwords;
use super::text::{Named, ms, name};
use crate::protocol::now::Now;
use rusqlite::{Connection, OptionalExtension, params};
use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct PersonId(pub i64);

/// What somebody may do (domain §4.5).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Account {
    /// 值班员
    Officer,
    /// 带班领导
    Leader,
    /// 系统管理员
    Admin,
}

/// Somebody who has logged in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Who {
    pub id: PersonId,
    pub login: String,
    pub name: String,
    pub account: Account,
    /// Where he sits: the address of his browser, for the audit.
    pub terminal: String,
}

#[derive(Debug, Clone)]
pub struct NewPerson {
    pub login: String,
    pub name: String,
    pub account: Account,
    pub password: String,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Added {
    Added(PersonId),
    /// Somebody has this login already.
    Taken,
    /// Which part of it, and why in Chinese and English.
    Refused {
        field: &'static str,
        zh: &'static str,
        en: &'static str,
    },
}

/// Characters of the shortest password (ASVS 5.0, 6.2.1).
const SHORTEST_PASSWORD: usize = 8;
const LONGEST: usize = 128;

impl NewPerson {
    pub(super) fn fault(&self) -> Option<Added> {
        let refused = |field, zh, en| Some(Added::Refused { field, zh, en });
        let login = self.login.trim();
        if login.is_empty() || login.len() > LONGEST || login.chars().any(char::is_control) {
            return refused("account", "请填写账号", "give a login name");
        }
        if self.name.trim().is_empty() || self.name.chars().count() > LONGEST {
            return refused("name", "请填写姓名", "give the person's name");
        }
        password_fault(&self.password).and_then(|(zh, en)| refused("password", zh, en))
    }
}

/// Chinese and English.
fn password_fault(password: &str) -> Option<(&'static str, &'static str)> {
    let fault = ("口令应为 8 至 128 个字符", "the password needs 8 to 128 characters");
    let right = (SHORTEST_PASSWORD..=LONGEST).contains(&password.chars().count());
    (!right).then_some(fault)
}

/// The person's row; `hash` has been made outside of the writer.
pub(super) fn insert(
    sql: &Connection,
    person: &NewPerson,
    hash: &str,
    by: &Actor,
    now: Now,
) -> Result<Added> {
    let namesake = "SELECT EXISTS (SELECT 1 FROM person WHERE name = ?1 AND login <> ?2)";
    let mut namesake = sql.prepare_cached(namesake)?;
    if namesake.query_row([person.name.trim(), person.login.trim()], |row| row.get(0))? {
        return Ok(Added::Refused {
            field: "name",
            zh: "已有账号用这个姓名，值班记录里会分不清是谁；请加以区分，如 赵主任（二）",
            en: "another account has this name, and the log could not tell them apart: write for example 赵主任（二）",
        });
    }
    let id: Option<i64> = sql
        .prepare_cached(
            "INSERT INTO person (login, name, role, password, added_ms)
             VALUES (?1, ?2, ?3, ?4, ?5) ON CONFLICT (login) DO NOTHING RETURNING id",
        )?
        .query_row(
            params![
                person.login.trim(),
                person.name.trim(),
                name(person.account),
                hash,
                ms(now.wall)
            ],
            |row| row.get(0),
        )
        .optional()?;
    let Some(id) = id else { return Ok(Added::Taken) };
    audit::append(sql, now, by, "person.add", &format!("person {id}"), &name(person.account))?;
    Ok(Added::Added(PersonId(id)))
}

pub(super) fn count(sql: &Connection) -> Result<i64> {
    Ok(sql.query_row("SELECT count(*) FROM person", [], |row| row.get(0))?)
}

pub(super) fn who(sql: &Connection, id: PersonId, terminal: &str) -> Result<Option<Who>> {
    Ok(sql
        .prepare_cached("SELECT login, name, role FROM person WHERE id = ?1 AND active = 1")?
        .query_row([id.0], |row| {
            Ok(Who {
                id,
                login: row.get(0)?,
                name: row.get(1)?,
                account: row.get::<_, Named<Account>>(2)?.0,
                terminal: terminal.to_owned(),
            })
        })
        .optional()?)
}

impl Store {
    pub async fn has_people(&self) -> Result<bool> {
        self.read(|sql| Ok(count(sql)? > 0)).await
    }

    /// Adds an account; `by` is who does it, for the audit (such as `root, user add`).
    pub async fn add_person(&self, person: NewPerson, by: &str, now: Now) -> Result<Added> {
        if let Some(refused) = person.fault() {
            return Ok(refused);
        }
        let by = by_command(by);
        let password = person.password.clone();
        let hash = aside(move || passwords::hash(&password)).await?;
        self.write(move |tx| insert(tx.sql, &person, &hash, &by, now)).await
    }
}

/// Who does it on the command line, such as `user add`.
fn by_command(name: &str) -> Actor {
    Actor { person: None, name: name.to_owned(), terminal: "command line".to_owned() }
}

/// Runs something slow away from the async threads, where there are any.
pub(super) async fn aside<T: Send + 'static>(
    work: impl FnOnce() -> Result<T> + Send + 'static,
) -> Result<T> {
    match tokio::runtime::Handle::try_current() {
        Ok(runtime) => runtime
            .spawn_blocking(work)
            .await
            .unwrap_or_else(|error| Err(super::StoreError::Bug(error.to_string()))),
        Err(_) => work(),
    }
}
