//! The PBX's lists of calls, compared with ours. A call that never reached us and that nobody answered becomes an entry
//! that is to be called back.

use super::audit::{self, Actor};
use super::error::Result;
use super::text::{Id, Ms, ms, name};
use super::{Store, callbacks, calls};
use crate::duty::call_list::{Found, Match, Ours};
use crate::duty::ids::CallId;
use crate::duty::journal::{Arrival, Disposition};
use crate::protocol::now::Now;
use chrono::{DateTime, Utc};
use rusqlite::params;

/// The rule by which a missed call becomes an entry (I-14).
const RULE: &str = "call_list";
const WHY: &str = "in the call list of the PBX, and never seen by the daemon";

/// A list that is to be written down.
#[derive(Debug, Clone)]
pub struct CallList {
    pub name: String,
    pub sha256: String,
    pub from: DateTime<Utc>,
    pub to: DateTime<Utc>,
    /// Each with the name that its call gets where the daemon never saw it.
    pub matches: Vec<(Match, CallId)>,
}

impl Store {
    /// Our calls that came in between these.
    pub async fn calls_between(&self, from: DateTime<Utc>, to: DateTime<Utc>) -> Result<Vec<Ours>> {
        self.read(move |sql| {
            let mut rows = sql.prepare_cached(
                "SELECT c.id, c.arrived_ms, CASE c.caller_plain WHEN '' THEN c.caller ELSE
                   c.caller_plain END, c.answered_ms IS NOT NULL, r.digest IS NOT NULL
                 FROM call c LEFT JOIN recording r ON r.call = c.id
                 WHERE c.direction = 'in' AND c.arrived_ms BETWEEN ?1 AND ?2
                 ORDER BY c.arrived_ms",
            )?;
            let rows = rows.query_map([ms(from), ms(to)], |row| {
                Ok(Ours {
                    call: row.get::<_, Id<CallId>>(0)?.0,
                    at: row.get::<_, Ms>(1)?.0,
                    caller: row.get(2)?,
                    answered: row.get(3)?,
                    recorded: row.get::<_, Option<bool>>(4)?.unwrap_or(false),
                })
            })?;
            Ok(rows.collect::<rusqlite::Result<_>>()?)
        })
        .await
    }

    /// Writes a list down, once; false for one that is there already. What was missed becomes entries.
    pub async fn take_call_list(&self, list: CallList, now: Now) -> Result<bool> {
        self.write(move |tx| {
            let sql = tx.sql;
            let known = sql
                .prepare_cached("SELECT 1 FROM call_list WHERE digest = ?1")?
                .exists([&list.sha256])?;
            if known {
                return Ok(false);
            }
            sql.execute(
                "INSERT INTO call_list (at_ms, name, digest, from_ms, to_ms)
                 VALUES (?1, ?2, ?3, ?4, ?5)",
                params![ms(now.wall), list.name, list.sha256, ms(list.from), ms(list.to)],
            )?;
            let id = sql.last_insert_rowid();
            for (one, named) in &list.matches {
                let mut call = one.call;
                if one.found == Found::Missed {
                    missed(sql, *named, one, now)?;
                    call = Some(*named);
                }
                let listed = &one.listed;
                let line = i64::try_from(listed.line).unwrap_or(i64::MAX);
                sql.prepare_cached(
                    "INSERT INTO listed_call (list, line, at_ms, caller, answered, found, call)
                     VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
                )?
                .execute(params![
                    id,
                    line,
                    ms(listed.at),
                    listed.caller,
                    listed.answered,
                    name(one.found),
                    call.map(Id),
                ])?;
            }
            let actor = Actor::system(RULE);
            audit::append(sql, now, &actor, "call_list.import", &list.name, &list.sha256)?;
            Ok(true)
        })
        .await
    }
}

/// As of when it came, and recorded now; its entry is made once, however many lists name it.
fn missed(sql: &rusqlite::Connection, call: CallId, one: &Match, now: Now) -> Result<()> {
    let then = Now { wall: one.listed.at, ..now };
    let arrival = Arrival::from_number(call, &one.listed.caller, "");
    if calls::heard_of(sql, &arrival, then, now)?.is_some() {
        calls::ended(sql, call, Disposition::Missed, None, 0, WHY, then)?;
        callbacks::make(sql, call, now)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::duty::call_list::Listed;
    use crate::io::store::tests::{at, call, one, store};
    use crate::io::store::wait;

    #[test]
    fn what_a_list_tells_of_is_recorded_when_it_is_imported_and_occurred_before() {
        let (store, then, now) = (store(), at(0.0), at(90_000.0));
        let listed = Listed {
            line: 1,
            at: then.wall,
            end: None,
            id: None,
            caller: "8001".to_owned(),
            answered: false,
        };
        let missed = Match { listed, found: Found::Missed, call: None };
        let list = CallList {
            name: "Master.csv".to_owned(),
            sha256: "00".to_owned(),
            from: then.wall,
            to: then.wall,
            matches: vec![(missed, call(1))],
        };
        assert!(wait(store.take_call_list(list, now)).unwrap());
        let number = |query| one::<i64>(&store, query);
        assert_eq!(number("SELECT occurred_ms FROM entry"), ms(then.wall));
        assert_eq!(number("SELECT recorded_ms FROM entry"), ms(now.wall));
        assert_eq!(number("SELECT at_ms FROM revision WHERE no = 0"), ms(now.wall));
        assert_eq!(number("SELECT arrived_ms FROM call"), ms(then.wall));
        wait(store.verify_entry(call(1).into())).unwrap();
    }
}
