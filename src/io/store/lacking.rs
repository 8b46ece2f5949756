//! What was open, and what a log that was put back from a backup does not know of.

use super::audit::{self, Actor};
use super::error::Result;
use super::numbers::{self, Kind};
use super::revisions::{self, Change, RevisionKind};
use super::text::{Id, ms};
use super::writer::Tx;
use super::{Store, entries};
use crate::duty::entry::Field;
use crate::duty::ids::EntryId;
use crate::duty::journal::Urgency;
use crate::protocol::now::Now;
use rusqlite::params;

/// The rule by which it is raised again (I-14).
const RULE: &str = "open-matters";
const SUBJECT: &str = "紧急事项：数据库从备份恢复，原记录不在其中，请人工核实并补登";

impl Store {
    /// Raises what is open by what lies beside the log, where the log knows of no escalation: an entry that it lacks is
    /// made anew. Which they were.
    pub async fn raise_what_is_lacking(
        &self,
        matters: Vec<(EntryId, Urgency)>,
        now: Now,
    ) -> Result<Vec<EntryId>> {
        self.write(move |tx| {
            let mut raised = vec![];
            for (entry, urgency) in matters {
                if raise(tx, entry, urgency, now)? {
                    raised.push(entry);
                }
            }
            Ok(raised)
        })
        .await
    }
}

fn raise(tx: &mut Tx<'_>, entry: EntryId, urgency: Urgency, now: Now) -> Result<bool> {
    let known =
        tx.sql.prepare_cached("SELECT 1 FROM escalation WHERE entry = ?1")?.exists([Id(entry)])?;
    if known {
        return Ok(false);
    }
    let actor = Actor::system(RULE);
    if !tx.sql.prepare_cached("SELECT 1 FROM entry WHERE id = ?1")?.exists([Id(entry)])? {
        tx.sql
            .prepare_cached(
                "INSERT INTO entry (id, number, source, occurred_ms, recorded_ms, subject)
                 VALUES (?1, ?2, 'restored', ?3, ?3, ?4)",
            )?
            .execute(params![
                Id(entry),
                numbers::next(tx.sql, Kind::Entry, now.wall)?,
                ms(now.wall),
                SUBJECT,
            ])?;
        let changes = [Change::new(Field::Subject.name(), "", SUBJECT)];
        revisions::append(tx.sql, entry, RevisionKind::System, &actor, now, &changes, "")?;
    }
    audit::append(tx.sql, now, &actor, "escalation.restore", &entry.to_string(), "")?;
    entries::flag(tx, &actor, entry, urgency, now)?;
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::duty::ids::CallId;
    use crate::io::store::tests::{at, entry, officer, one, random, store};
    use crate::io::store::wait;

    /// A flag from the page is told with everything else then, by whoever wanted it written.
    #[test]
    fn esc_71_nothing_of_a_run_is_written_before_its_first_rows() {
        let store = store();
        let entry = entry(&store, 1, 0.0);
        store.holds_back();
        assert!(wait(store.flag(&officer(), entry, Urgency::Urgent, at(1.0))).is_err());
        assert_eq!(one::<i64>(&store, "SELECT count(*) FROM escalation"), 0);
        store.begins();
        wait(store.flag(&officer(), entry, Urgency::Urgent, at(2.0))).unwrap();
        assert_eq!(one::<i64>(&store, "SELECT count(*) FROM escalation"), 1);
    }

    #[test]
    fn esc_71_what_a_restored_log_lacks_is_raised_again_and_what_it_knows_is_not() {
        let store = store();
        let open = entry(&store, 1, 0.0);
        let unflagged = entry(&store, 2, 0.0);
        let over = entry(&store, 3, 0.0);
        for one in [open, over] {
            wait(store.flag(&officer(), one, Urgency::Urgent, at(1.0))).unwrap();
        }
        let reason = "误按".to_owned();
        wait(store.withdraw(&officer(), over, &reason, at(2.0))).unwrap();
        let unknown = EntryId::from(CallId::new(at(9.0), &mut random()));
        let all = [open, unflagged, over, unknown].map(|entry| (entry, Urgency::Critical));
        let raise = || wait(store.raise_what_is_lacking(all.to_vec(), at(10.0))).unwrap();
        assert_eq!(raise(), [unflagged, unknown]);
        assert_eq!(raise(), [], "once");
        let states = "SELECT group_concat(state || ' ' || urgency) FROM
            (SELECT state, urgency FROM escalation ORDER BY raised_ms, id)";
        let states = one::<String>(&store, states);
        assert_eq!(states, "open urgent,withdrawn urgent,open critical,open critical");
        let subject = format!("SELECT subject FROM entry WHERE id = '{unknown}'");
        assert_eq!(one::<String>(&store, &subject), SUBJECT);
        let view = wait(store.entry(unknown)).unwrap();
        assert!(view.is_some(), "it can be opened and filled in");
    }
}
