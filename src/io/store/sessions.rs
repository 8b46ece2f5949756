//! Logging in: by password, or by a link that works once.

use super::Store;
use super::audit::{self, Actor};
use super::error::Result;
use super::passwords;
use super::people::{self, Added, NewPerson, PersonId, Who, aside};
use super::text::{ms, sha256};
use super::writer::Tx;
use crate::protocol::now::Now;
use chrono::{DateTime, TimeDelta, Utc};
use rusqlite::{Connection, OptionalExtension, params};

/// A session ends by itself after so many hours: one duty day.
pub const SESSION_HOURS: i64 = 25;
/// A link is good for so many hours.
const LINK_HOURS: i64 = 24;

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Login {
    /// The token goes into the cookie; only its digest is kept.
    Welcome { token: String, who: Who },
    /// Wrong name or wrong password: which, is not said.
    Refused,
}

/// What an unused link is good for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LinkUse {
    /// Making the first account.
    FirstAccount,
    /// Logging this person in.
    LogIn(PersonId),
    /// Used, expired, or never made.
    Nothing,
}

impl Store {
    /// Makes a link that logs `person` in once or, with `None`, makes the first account. `None`
    /// is answered when there are accounts already.
    pub async fn make_login_link(
        &self,
        person: Option<PersonId>,
        now: Now,
    ) -> Result<Option<String>> {
        self.write(move |tx| make_link(tx, person, now)).await
    }

    pub async fn login_link(&self, token: &str, now: Now) -> Result<LinkUse> {
        let token = sha256(token);
        self.read(move |sql| link_use(sql, &token, now)).await
    }

    /// Uses up a link for making the first account, and logs that person in. `None`: the link is
    /// good for nothing (any more), or somebody else was first.
    pub async fn make_first_account(
        &self,
        token: &str,
        person: NewPerson,
        terminal: &str,
        now: Now,
    ) -> Result<Result<Login, Added>> {
        if let Some(refused) = person.fault() {
            return Ok(Err(refused));
        }
        let (token, terminal) = (sha256(token), terminal.to_owned());
        let password = person.password.clone();
        let hash = aside(move || passwords::hash(&password)).await?;
        self.write(move |tx| {
            if link_use(tx.sql, &token, now)? != LinkUse::FirstAccount {
                return Ok(Ok(Login::Refused));
            }
            use_up(tx.sql, &token, now)?;
            let by = Actor { person: None, name: person.name.clone(), terminal: terminal.clone() };
            match people::insert(tx.sql, &person, &hash, &by, now)? {
                Added::Added(id) => Ok(Ok(open(tx, id, &terminal, "first account", now)?)),
                refused @ (Added::Taken | Added::Refused { .. }) => Ok(Err(refused)),
            }
        })
        .await
    }

    /// Uses up a link for logging in.
    pub async fn log_in_by_link(&self, token: &str, terminal: &str, now: Now) -> Result<Login> {
        let (token, terminal) = (sha256(token), terminal.to_owned());
        self.write(move |tx| match link_use(tx.sql, &token, now)? {
            LinkUse::LogIn(person) => {
                use_up(tx.sql, &token, now)?;
                open(tx, person, &terminal, "link", now)
            }
            LinkUse::FirstAccount | LinkUse::Nothing => Ok(Login::Refused),
        })
        .await
    }

    pub async fn log_in(
        &self,
        login: &str,
        password: &str,
        terminal: &str,
        now: Now,
    ) -> Result<Login> {
        let login = login.trim().to_owned();
        let found = self.read(move |sql| known(sql, &login)).await?;
        let (id, hash) = found.map_or((None, None), |(id, hash)| (Some(id), Some(hash)));
        let (password, terminal) = (password.to_owned(), terminal.to_owned());
        let right = aside(move || Ok(passwords::verify(&password, hash.as_deref()))).await?;
        self.write(move |tx| match id {
            Some(id) if right => open(tx, id, &terminal, "password", now),
            Some(_) | None => {
                let object = id.map_or("nobody".to_owned(), |id| format!("person {}", id.0));
                let actor = Actor { person: None, name: String::new(), terminal };
                audit::append(tx.sql, now, &actor, "session.refuse", &object, "")?;
                Ok(Login::Refused)
            }
        })
        .await
    }

    /// Who has this session.
    pub async fn session(&self, token: &str, terminal: &str, now: Now) -> Result<Option<Who>> {
        let (token, terminal) = (sha256(token), terminal.to_owned());
        self.read(move |sql| {
            let person: Option<i64> = sql
                .prepare_cached("SELECT person FROM session WHERE token = ?1 AND expires_ms > ?2")?
                .query_row(params![token, ms(now.wall)], |row| row.get(0))
                .optional()?;
            match person {
                Some(person) => people::who(sql, PersonId(person), &terminal),
                None => Ok(None),
            }
        })
        .await
    }

    /// When this session ends; `None` when it is over.
    pub async fn session_ends(&self, token: &str, now: Now) -> Result<Option<DateTime<Utc>>> {
        let token = sha256(token);
        self.read(move |sql| {
            let ends: Option<i64> = sql
                .prepare_cached(
                    "SELECT expires_ms FROM session WHERE token = ?1 AND expires_ms > ?2",
                )?
                .query_row(params![token, ms(now.wall)], |row| row.get(0))
                .optional()?;
            Ok(ends.and_then(DateTime::from_timestamp_millis))
        })
        .await
    }

    pub async fn log_out(&self, token: &str, who: &Who, now: Now) -> Result<()> {
        let (token, actor) = (sha256(token), Actor::from(who));
        let object = format!("person {}", who.id.0);
        self.write(move |tx| {
            tx.sql.execute("DELETE FROM session WHERE token = ?1", [&token])?;
            audit::append(tx.sql, now, &actor, "session.close", &object, "")
        })
        .await
    }
}

pub(super) fn make_link(
    tx: &mut Tx<'_>,
    person: Option<PersonId>,
    now: Now,
) -> Result<Option<String>> {
    if person.is_none() && people::count(tx.sql)? > 0 {
        return Ok(None);
    }
    let token = passwords::token(tx.random);
    let expires = now.wall + TimeDelta::hours(LINK_HOURS);
    tx.sql.execute(
        "INSERT INTO login_link (token, person, made_ms, expires_ms) VALUES (?1, ?2, ?3, ?4)",
        params![sha256(&token), person.map(|person| person.0), ms(now.wall), ms(expires)],
    )?;
    Ok(Some(token))
}

fn link_use(sql: &Connection, token: &str, now: Now) -> Result<LinkUse> {
    let person: Option<Option<i64>> = sql
        .prepare_cached(
            "SELECT person FROM login_link
             WHERE token = ?1 AND used_ms IS NULL AND expires_ms > ?2",
        )?
        .query_row(params![token, ms(now.wall)], |row| row.get(0))
        .optional()?;
    Ok(match person {
        Some(Some(person)) => LinkUse::LogIn(PersonId(person)),
        Some(None) if people::count(sql)? == 0 => LinkUse::FirstAccount,
        Some(None) | None => LinkUse::Nothing,
    })
}

fn use_up(sql: &Connection, token: &str, now: Now) -> Result<()> {
    sql.execute(
        "UPDATE login_link SET used_ms = ?2 WHERE token = ?1",
        params![token, ms(now.wall)],
    )?;
    Ok(())
}

/// Whoever is signed in as this person no longer is, and no link made for him is good any more.
pub(super) fn end_all(sql: &Connection, person: PersonId, now: Now) -> Result<()> {
    sql.execute("DELETE FROM session WHERE person = ?1", [person.0])?;
    sql.execute(
        "UPDATE login_link SET used_ms = ?2 WHERE person = ?1 AND used_ms IS NULL",
        params![person.0, ms(now.wall)],
    )?;
    Ok(())
}

fn known(sql: &Connection, login: &str) -> Result<Option<(PersonId, String)>> {
    Ok(sql
        .prepare_cached("SELECT id, password FROM person WHERE login = ?1 AND active = 1")?
        .query_row([login], |row| Ok((PersonId(row.get(0)?), row.get(1)?)))
        .optional()?)
}

fn open(tx: &mut Tx<'_>, id: PersonId, terminal: &str, how: &str, now: Now) -> Result<Login> {
    let Some(who) = people::who(tx.sql, id, terminal)? else { return Ok(Login::Refused) };
    let token = passwords::token(tx.random);
    let expires = now.wall + TimeDelta::hours(SESSION_HOURS);
    tx.sql.execute("DELETE FROM session WHERE expires_ms <= ?1", [ms(now.wall)])?;
    tx.sql.execute(
        "INSERT INTO session (token, person, opened_ms, expires_ms) VALUES (?1, ?2, ?3, ?4)",
        params![sha256(&token), id.0, ms(now.wall), ms(expires)],
    )?;
    let object = format!("person {}", id.0);
    audit::append(tx.sql, now, &Actor::from(&who), "session.open", &object, how)?;
    Ok(Login::Welcome { token, who })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::io::store::tests::{at, one, random};
    use crate::io::store::{Account, wait};

    fn wang(password: &str) -> NewPerson {
        NewPerson {
            login: "wang".to_owned(),
            name: "王值班".to_owned(),
            account: Account::Officer,
            password: password.to_owned(),
        }
    }

    fn empty() -> Store {
        Store::open_in_memory(random()).unwrap()
    }

    #[test]
    fn the_first_account_is_made_by_a_link_that_works_once() {
        let store = empty();
        let link = wait(store.make_login_link(None, at(0.0))).unwrap().unwrap();
        assert_eq!(wait(store.login_link(&link, at(1.0))).unwrap(), LinkUse::FirstAccount);
        let first = |password| {
            wait(store.make_first_account(&link, wang(password), "127.0.0.1", at(2.0))).unwrap()
        };
        assert!(matches!(first("short"), Err(Added::Refused { .. })));
        let Ok(Login::Welcome { token, who }) = first("long enough") else { panic!() };
        assert_eq!(who.name, "王值班");
        assert_eq!(first("long enough"), Ok(Login::Refused), "used up");
        assert_eq!(wait(store.make_login_link(None, at(3.0))).unwrap(), None);
        let session = |seconds| wait(store.session(&token, "127.0.0.1", at(seconds))).unwrap();
        assert_eq!(session(10.0), Some(who.clone()));
        assert_eq!(session(26.0 * 3600.0), None, "expired");
        let ends = |seconds| wait(store.session_ends(&token, at(seconds))).unwrap();
        assert_eq!(ends(10.0), Some(at(2.0).wall + TimeDelta::hours(SESSION_HOURS)));
        assert_eq!(ends(26.0 * 3600.0), None, "expired");
        wait(store.log_out(&token, &who, at(20.0))).unwrap();
        assert_eq!((session(21.0), ends(21.0)), (None, None));
        let kept: String = one(&store, "SELECT token FROM login_link");
        assert_ne!(kept, link, "only the digest is kept");
        assert!(wait(store.verify_audit()).unwrap() >= 3);
    }

    #[test]
    fn an_old_link_is_good_for_nothing() {
        let store = empty();
        let link = wait(store.make_login_link(None, at(0.0))).unwrap().unwrap();
        let day = 25.0 * 3600.0;
        assert_eq!(wait(store.login_link(&link, at(day))).unwrap(), LinkUse::Nothing);
        assert_eq!(wait(store.login_link("nonsense", at(1.0))).unwrap(), LinkUse::Nothing);
    }

    #[test]
    fn logging_in_needs_the_right_password_and_is_audited() {
        let store = empty();
        let add = |person| wait(store.add_person(person, "root", at(0.0))).unwrap();
        let Added::Added(id) = add(wang("right password")) else { panic!() };
        assert_eq!(add(wang("another one")), Added::Taken);
        let log_in =
            |login, password| wait(store.log_in(login, password, "10.0.0.9", at(1.0))).unwrap();
        assert_eq!(log_in("wang", "wrong password"), Login::Refused);
        assert_eq!(log_in("nobody", "right password"), Login::Refused);
        assert!(matches!(log_in(" wang", "right password"), Login::Welcome { .. }));
        let link = wait(store.make_login_link(Some(id), at(2.0))).unwrap().unwrap();
        let by_link = || wait(store.log_in_by_link(&link, "10.0.0.9", at(3.0))).unwrap();
        assert!(matches!(by_link(), Login::Welcome { .. }));
        assert_eq!(by_link(), Login::Refused, "once");
        let refused = "SELECT count(*) FROM audit WHERE action = 'session.refuse'";
        assert_eq!(one::<i64>(&store, refused), 2);
    }
}
