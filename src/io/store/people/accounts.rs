//! Accounts after they were made: listed, mended, ended. What ends them ends their sessions in the same transaction (ASVS 5.0,
//! 7.4.1).

use super::{Account, PersonId, aside, by_command, password_fault};
use crate::io::store::audit;
use crate::io::store::error::Result;
use crate::io::store::text::{Named, name};
use crate::io::store::{Store, passwords, sessions};
use crate::protocol::now::Now;
use rusqlite::{Connection, OptionalExtension, ToSql, params};

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PersonRow {
    pub id: PersonId,
    pub login: String,
    pub name: String,
    pub account: Account,
    /// May sign in.
    pub active: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PersonChange {
    Password(String),
    Account(Account),
    /// Whether the person may sign in.
    Active(bool),
}

impl PersonChange {
    fn action(&self) -> &'static str {
        match self {
            Self::Password(_) => "person.password",
            Self::Account(_) => "person.role",
            Self::Active(_) => "person.active",
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PersonChanged {
    Changed(PersonRow),
    Unknown,
    /// Chinese and English.
    Refused {
        zh: &'static str,
        en: &'static str,
    },
}

impl Store {
    /// Every account there ever was, as they were added.
    pub async fn people(&self) -> Result<Vec<PersonRow>> {
        self.read(|sql| {
            let query = "SELECT id, login, name, role, active FROM person ORDER BY id";
            let mut statement = sql.prepare_cached(query)?;
            let rows = statement.query_map([], row)?;
            Ok(rows.collect::<rusqlite::Result<_>>()?)
        })
        .await
    }

    /// Changes an account; its sessions and unused links are over. `by` is who does it, for the audit.
    pub async fn change_person(
        &self,
        login: &str,
        change: PersonChange,
        by: &str,
        now: Now,
    ) -> Result<PersonChanged> {
        let hash = match &change {
            PersonChange::Password(password) => {
                if let Some((zh, en)) = password_fault(password) {
                    return Ok(PersonChanged::Refused { zh, en });
                }
                let password = password.clone();
                Some(aside(move || passwords::hash(&password)).await?)
            }
            PersonChange::Account(_) | PersonChange::Active(_) => None,
        };
        let (login, by) = (login.trim().to_owned(), by_command(by));
        self.write(move |tx| {
            let Some(person) = named(tx.sql, &login)? else { return Ok(PersonChanged::Unknown) };
            let id = person.id;
            let detail = set(tx.sql, id, &change, hash.as_deref())?;
            sessions::end_all(tx.sql, id, now)?;
            audit::append(tx.sql, now, &by, change.action(), &format!("person {}", id.0), &detail)?;
            Ok(named(tx.sql, &login)?.map_or(PersonChanged::Unknown, PersonChanged::Changed))
        })
        .await
    }

    /// A link that signs this person in once; `None` where nobody who may sign in has this login.
    pub async fn link_for(&self, login: &str, by: &str, now: Now) -> Result<Option<String>> {
        let (login, by) = (login.trim().to_owned(), by_command(by));
        self.write(move |tx| {
            let person = named(tx.sql, &login)?.filter(|person| person.active);
            let Some(person) = person else { return Ok(None) };
            let link = sessions::make_link(tx, Some(person.id), now)?;
            let object = format!("person {}", person.id.0);
            audit::append(tx.sql, now, &by, "person.link", &object, "")?;
            Ok(link)
        })
        .await
    }
}

fn row(row: &rusqlite::Row<'_>) -> rusqlite::Result<PersonRow> {
    Ok(PersonRow {
        id: PersonId(row.get(0)?),
        login: row.get(1)?,
        name: row.get(2)?,
        account: row.get::<_, Named<Account>>(3)?.0,
        active: row.get(4)?,
    })
}

fn named(sql: &Connection, login: &str) -> Result<Option<PersonRow>> {
    let query = "SELECT id, login, name, role, active FROM person WHERE login = ?1";
    Ok(sql.prepare_cached(query)?.query_row([login], row).optional()?)
}

/// What the audit says of it.
fn set(
    sql: &Connection,
    id: PersonId,
    change: &PersonChange,
    hash: Option<&str>,
) -> Result<String> {
    let to = |column: &str, value: &dyn ToSql| {
        let query = format!("UPDATE person SET {column} = ?2 WHERE id = ?1");
        sql.prepare_cached(&query)?.execute(params![id.0, value])
    };
    Ok(match change {
        PersonChange::Password(_) => {
            to("password", &hash)?;
            String::new()
        }
        PersonChange::Account(account) => {
            to("role", &name(account))?;
            name(account)
        }
        PersonChange::Active(active) => {
            to("active", active)?;
            if *active { "enabled" } else { "disabled" }.to_owned()
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::io::store::tests::{at, one, random};
    use crate::io::store::{Added, Login, NewPerson, wait};

    fn with_wang() -> Store {
        let store = Store::open_in_memory(random()).unwrap();
        let wang = NewPerson {
            login: "wang".to_owned(),
            name: "王值班".to_owned(),
            account: Account::Officer,
            password: "right password".to_owned(),
        };
        assert!(matches!(wait(store.add_person(wang, "root", at(0.0))).unwrap(), Added::Added(_)));
        store
    }

    fn log_in(store: &Store, password: &str) -> Option<String> {
        match wait(store.log_in("wang", password, "10.0.0.9", at(1.0))).unwrap() {
            Login::Welcome { token, .. } => Some(token),
            Login::Refused => None,
        }
    }

    fn change(store: &Store, change: PersonChange) -> PersonChanged {
        wait(store.change_person("wang", change, "user", at(2.0))).unwrap()
    }

    #[test]
    fn web_04_what_changes_an_account_ends_its_sessions_and_links_at_once() {
        for what in [
            PersonChange::Password("another password".to_owned()),
            PersonChange::Account(Account::Leader),
            PersonChange::Active(false),
        ] {
            let store = with_wang();
            let token = log_in(&store, "right password").unwrap();
            let link = wait(store.link_for("wang", "user", at(1.0))).unwrap().unwrap();
            assert!(matches!(change(&store, what.clone()), PersonChanged::Changed(_)), "{what:?}");
            assert_eq!(wait(store.session(&token, "", at(3.0))).unwrap(), None, "{what:?}");
            let by_link = wait(store.log_in_by_link(&link, "", at(3.0))).unwrap();
            assert_eq!(by_link, Login::Refused, "{what:?}");
            assert_eq!(log_in(&store, "right password").is_some(), what.action() == "person.role");
            let query = format!("SELECT count(*) FROM audit WHERE action = '{}'", what.action());
            assert_eq!(one::<i64>(&store, &query), 1);
            assert!(wait(store.verify_audit()).unwrap() >= 4);
        }
    }

    #[test]
    fn who_has_left_comes_in_no_more_until_he_is_let_in_again() {
        let store = with_wang();
        change(&store, PersonChange::Active(false));
        assert_eq!(log_in(&store, "right password"), None);
        assert_eq!(wait(store.link_for("wang", "user", at(3.0))).unwrap(), None);
        let rows = wait(store.people()).unwrap();
        assert_eq!((rows[0].login.as_str(), rows[0].active), ("wang", false));
        change(&store, PersonChange::Active(true));
        assert!(log_in(&store, "right password").is_some());
    }

    #[test]
    fn a_password_that_was_forgotten_is_given_anew_and_a_short_one_is_refused() {
        let store = with_wang();
        let refused = change(&store, PersonChange::Password("1234567".to_owned()));
        assert!(matches!(refused, PersonChanged::Refused { .. }));
        change(&store, PersonChange::Password("another password".to_owned()));
        assert!(log_in(&store, "another password").is_some());
        assert_eq!(log_in(&store, "right password"), None);
        let nobody = store.change_person("li", PersonChange::Active(false), "user", at(3.0));
        assert_eq!(wait(nobody).unwrap(), PersonChanged::Unknown);
    }
}
