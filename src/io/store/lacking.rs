//! What was open, and what a log that was put back from a backup does not know of.

use super::audit::{self, Actor};
use super::entries::Flagged;
use super::error::Result;
use super::numbers::{self, Kind};
use super::revisions::{self, Change, RevisionKind};
use super::text::{Id, Named, ms};
use super::writer::Tx;
use super::{Store, acknowledgements, attempts, duty, entries, escalations, following};
use crate::duty::entry::Field;
use crate::duty::escalation::{Again, Matter, State};
use crate::duty::ids::{EntryId, EscalationId};
use crate::duty::journal::{Made, Urgency};
use crate::protocol::now::Now;
use chrono::{DateTime, Utc};
use rusqlite::{Connection, OptionalExtension, params};

/// The rule by which it is raised again (I-14).
const RULE: &str = "open-matters";
pub(super) const SUBJECT: &str = "紧急事项：数据库从备份恢复，原记录不在其中，请人工核实并补登";

impl Store {
    /// Raises what is open by what lies beside the log, where the log knows of no escalation since then: an entry that it
    /// lacks is made anew. Calls to leaders that go on are of it again, so that a key that is pressed in one is the key of its
    /// matter. Which were raised.
    pub async fn raise_what_is_lacking(
        &self,
        matters: Vec<Matter>,
        calls: Vec<Made>,
        now: Now,
    ) -> Result<Vec<EntryId>> {
        self.write(move |tx| {
            let mut raised = vec![];
            for matter in &matters {
                if raise(tx, matter, now)? {
                    raised.push(matter.entry);
                }
            }
            calls.iter().try_for_each(|made| attempts::made(tx.sql, made, now).map(drop))?;
            Ok(raised)
        })
        .await
    }
}

/// Whether the log has this one, at least as urgent. Where it is not known when it was raised, whatever the log has of
/// the entry is taken for it.
fn is_known(sql: &Connection, matter: &Matter) -> Result<bool> {
    let since = matter.raised.map_or(i64::MIN, ms);
    let latest: Option<(Named<Urgency>, bool)> = sql
        .prepare_cached(
            "SELECT urgency, state = 'open' FROM escalation WHERE entry = ?1 AND raised_ms >= ?2
             ORDER BY raised_ms DESC, id DESC LIMIT 1",
        )?
        .query_row(params![Id(matter.entry), since], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    let is_less = |urgency, open| open && matter.raised.is_some() && urgency < matter.urgency;
    Ok(latest.is_some_and(|(Named(urgency), open)| !is_less(urgency, open)))
}

fn raise(tx: &mut Tx<'_>, matter: &Matter, now: Now) -> Result<bool> {
    if is_known(tx.sql, matter)? {
        return Ok(false);
    }
    let (entry, actor) = (matter.entry, Actor::system(RULE));
    if !tx.sql.prepare_cached("SELECT 1 FROM entry WHERE id = ?1")?.exists([Id(entry)])? {
        enter(tx.sql, entry, (matter.raised.unwrap_or(now.wall), now), (RULE, SUBJECT))?;
    }
    let flagged = entries::flag(tx, &actor, entry, matter.urgency, now)?;
    if let (Flagged::Raised(id), Some(person)) = (flagged, &matter.known_to) {
        is_known_to(tx.sql, id, person, now)?;
    }
    let raised = match flagged {
        Flagged::Raised(_) | Flagged::Upgraded(_) => true,
        // The one before came to nothing, which the log may not have.
        Flagged::Already(id) => begin_again(tx, id, matter, now)?,
        Flagged::NotUrgent | Flagged::Exercise | Flagged::NotFound => false,
    };
    if raised {
        let known_to = matter.known_to.as_deref().unwrap_or_default();
        audit::append(tx.sql, now, &actor, "escalation.restore", &entry.to_string(), known_to)?;
    }
    Ok(raised)
}

/// He has acknowledged it, as what lies beside the log says.
pub(super) fn is_known_to(
    sql: &Connection,
    id: EscalationId,
    person: &str,
    now: Now,
) -> Result<()> {
    let (role, _) = duty::capacity(sql, person, now)?;
    acknowledgements::win(sql, id, (person, role), ("phone_key", ""), now)?;
    if duty::leads(sql, person, now)? {
        acknowledgements::leader_reached(sql, id, now)?;
    }
    Ok(())
}

/// An entry that the log lacks, by this rule.
pub(super) fn enter(
    sql: &Connection,
    entry: EntryId,
    (occurred, now): (DateTime<Utc>, Now),
    (rule, subject): (&str, &str),
) -> Result<()> {
    sql.prepare_cached(
        "INSERT INTO entry (id, number, source, occurred_ms, recorded_ms, subject)
         VALUES (?1, ?2, 'restored', ?3, ?4, ?5)",
    )?
    .execute(params![
        Id(entry),
        numbers::next(sql, Kind::Entry, now.wall)?,
        ms(occurred),
        ms(now.wall),
        subject,
    ])?;
    let (actor, changes) = (Actor::system(rule), [Change::new(Field::Subject.name(), "", subject)]);
    revisions::append(sql, entry, RevisionKind::System, &actor, now, &changes, "")
}

/// Of one that is closed nothing follows by itself, nor of one that was acknowledged before this one was raised.
fn begin_again(tx: &mut Tx<'_>, id: EscalationId, matter: &Matter, now: Now) -> Result<bool> {
    let Some(raised) = matter.raised else { return Ok(false) };
    let before = escalations::load(tx.sql, id)?;
    let is_another = before.state == State::Acknowledged && ms(before.raised) < ms(raised);
    let again = before.closed || is_another;
    if again {
        following::raise_again(tx, &before, Again::Unread, now)?;
    }
    Ok(again)
}

/// An entry that was raised before the log was told of its call becomes that call's, but for what an officer wrote into
/// it; false where there is none.
pub(super) fn is_of_a_call(
    sql: &Connection,
    entry: EntryId,
    (source, now): (&str, Now),
    [unit, name, duty, phone]: [&str; 4],
) -> Result<bool> {
    let restored = "SELECT subject FROM entry WHERE id = ?1 AND source = 'restored'";
    let subject: Option<String> =
        sql.prepare_cached(restored)?.query_row([Id(entry)], |row| row.get(0)).optional()?;
    let Some(subject) = subject else { return Ok(false) };
    sql.prepare_cached(
        "UPDATE entry SET source = ?2, occurred_ms = ?3,
           caller_unit = iif(caller_unit = '', ?4, caller_unit),
           caller_name = iif(caller_name = '', ?5, caller_name),
           caller_duty = iif(caller_duty = '', ?6, caller_duty),
           caller_phone = iif(caller_phone = '', ?7, caller_phone),
           subject = iif(subject = ?8, '', subject) WHERE id = ?1",
    )?
    .execute(params![Id(entry), source, ms(now.wall), unit, name, duty, phone, SUBJECT])?;
    if subject == SUBJECT {
        let changes = [Change::new(Field::Subject.name(), SUBJECT, "")];
        let actor = Actor::system(RULE);
        revisions::append(sql, entry, RevisionKind::System, &actor, now, &changes, "")?;
    }
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::duty::escalation::Policy;
    use crate::duty::ids::{AttemptId, CallId};
    use crate::duty::journal::{Fact, Noted};
    use crate::duty::placed::{Asker, Placed};
    use crate::duty::roster::Roster;
    use crate::duty::switchboard::{AckOutcome, Errand, Input, LeaderCall};
    use crate::io::store::tests::{arrival, at, call, entry, officer, one, random, roster, store};
    use crate::io::store::{Saved, wait};
    use std::time::Duration;

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
        let all = [open, unflagged, over, unknown];
        let all = all.map(|entry| Matter::new(entry, Urgency::Critical));
        let raise = || wait(store.raise_what_is_lacking(all.to_vec(), vec![], at(10.0))).unwrap();
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

    /// The backup is from before the second flag.
    #[test]
    fn esc_71_what_was_flagged_again_since_the_backup_is_raised_again_and_only_that() {
        let store = store();
        let [withdrawn, acknowledged, open] = [1, 2, 3].map(|n| entry(&store, n, 0.0));
        for (one, seconds) in [(withdrawn, 1.0), (acknowledged, 1.1), (open, 1.2)] {
            wait(store.flag(&officer(), one, Urgency::Urgent, at(seconds))).unwrap();
        }
        wait(store.withdraw(&officer(), withdrawn, "误按", at(2.0))).unwrap();
        wait(store.leader_spoken_to(&officer(), acknowledged, "当面", at(2.0))).unwrap();
        let matter = |entry, urgency, seconds| Matter {
            raised: Some(at(seconds).wall),
            ..Matter::new(entry, urgency)
        };
        let raise = |entry, urgency, seconds| {
            let matters = vec![matter(entry, urgency, seconds)];
            wait(store.raise_what_is_lacking(matters, vec![], at(seconds + 100.0))).unwrap().len()
        };
        for one in [withdrawn, acknowledged, open] {
            assert_eq!(raise(one, Urgency::Urgent, 1.0), 0, "the backup has it");
        }
        assert_eq!(raise(withdrawn, Urgency::Urgent, 5.0), 1);
        assert_eq!(raise(withdrawn, Urgency::Urgent, 5.0), 0, "once");
        assert_eq!(raise(acknowledged, Urgency::Critical, 6.0), 1, "it became more urgent");
        assert_eq!(raise(open, Urgency::Critical, 1.0), 1, "and so did this one");
        let states = "SELECT group_concat(state || ' ' || urgency, ',' ORDER BY raised_ms, id)
            FROM escalation";
        assert_eq!(
            one::<String>(&store, states),
            "withdrawn urgent,acknowledged urgent,open critical,open urgent,open critical"
        );
        store.escalate(at(191.0), &Policy::default(), &roster()).unwrap();
        wait(store.leader_spoken_to(&officer(), acknowledged, "当面", at(192.0))).unwrap();
        store.escalate(at(193.0), &Policy::default(), &roster()).unwrap();
        let closed = "SELECT count(*) FROM escalation WHERE closed_ms IS NOT NULL";
        let before = one::<i64>(&store, closed);
        assert_eq!(raise(acknowledged, Urgency::Critical, 195.0), 1, "it began again since");
        assert_eq!((raise(acknowledged, Urgency::Critical, 195.0), before), (0, 2));
        wait(store.verify_audit()).unwrap();
    }

    #[test]
    fn esc_71_what_was_flagged_again_is_raised_beside_an_acknowledgement_that_the_log_has() {
        let store = store();
        let entry = entry(&store, 1, 0.0);
        wait(store.flag(&officer(), entry, Urgency::Urgent, at(1.0))).unwrap();
        wait(store.leader_spoken_to(&officer(), entry, "当面", at(2.0))).unwrap();
        let raised = Some(at(5.0).wall);
        let matter = Matter { raised, ..Matter::new(entry, Urgency::Urgent) };
        let raise = || wait(store.raise_what_is_lacking(vec![matter.clone()], vec![], at(9.0)));
        assert_eq!(raise().unwrap(), [entry]);
        assert_eq!(raise().unwrap(), [], "once");
        let states = "SELECT group_concat(state, ',' ORDER BY raised_ms) FROM escalation";
        assert_eq!(one::<String>(&store, states), "acknowledged,open");
    }

    #[test]
    fn esc_71_what_another_had_taken_is_the_leaders_alone_in_the_restored_log_too() {
        for (by, role) in [("S", "substitute"), ("X", "")] {
            let store = store();
            let cycle = |seconds| store.escalate(at(seconds), &Policy::default(), &roster());
            cycle(0.0).unwrap();
            let entry = EntryId::from(CallId::new(at(9.0), &mut random()));
            let raised = Some(at(9.0).wall);
            let known_to = Some(by.to_owned());
            let taken = Matter { raised, known_to, ..Matter::new(entry, Urgency::Urgent) };
            let raise = |seconds| {
                wait(store.raise_what_is_lacking(vec![taken.clone()], vec![], at(seconds))).unwrap()
            };
            assert_eq!(raise(700.0), [entry]);
            let calls = cycle(700.5).unwrap().inputs;
            let to_leader =
                |input: &Input| matches!(input, Input::Notify(call) if call.target == "1001");
            assert!(calls.len() == 1 && calls.iter().all(to_leader), "{calls:?}");
            let row = "SELECT x.state || acked_by || coalesce(acked_role, '') ||
                (leader_reached_ms IS NULL) || (e.occurred_ms < e.recorded_ms)
                FROM escalation x JOIN entry e ON e.id = x.entry";
            assert_eq!(one::<String>(&store, row), format!("acknowledged{by}{role}11"));
            assert_eq!(raise(710.0), [], "once");
        }
    }

    #[test]
    fn esc_71_a_call_whose_matter_was_raised_before_the_log_was_told_of_it_has_its_row() {
        let store = store();
        let open = EntryId::from(call(1));
        let placed = EntryId::from(call(2));
        let matters = [open, placed].map(|entry| Matter::new(entry, Urgency::Critical)).to_vec();
        wait(store.raise_what_is_lacking(matters, vec![], at(10.0))).unwrap();
        let told = |fact| store.apply(&Noted { at: at(1.0), fact }).unwrap();
        told(arrival(1, "13812345678"));
        let phone = "值班台话机".to_owned();
        told(Fact::Flagged { entry: open, urgency: Urgency::Critical, phone });
        let asker =
            Asker { person: None, name: "王值班".to_owned(), terminal: "2001".to_owned() };
        told(Fact::Placed(Box::new(Placed {
            call: call(2),
            asker,
            phone: "2001".to_owned(),
            number: "13912345678".to_owned(),
            dialled: "13912345678".to_owned(),
            unit: String::new(),
            town: String::new(),
            about: None,
        })));
        let sources = "SELECT group_concat(source || subject || caller_phone) FROM
            (SELECT * FROM entry ORDER BY source)";
        assert_eq!(one::<String>(&store, sources), "call_in13812345678,call_out13912345678");
        let rows = "SELECT (SELECT count(*) FROM call) || (SELECT count(*) FROM escalation)
            || (SELECT count(*) FROM entry WHERE occurred_ms < recorded_ms)";
        assert_eq!(one::<String>(&store, rows), "222");
    }

    #[test]
    fn esc_71_what_an_officer_typed_of_a_caller_is_not_lost_when_the_log_is_told_of_the_call() {
        let store = store();
        let open = EntryId::from(call(1));
        let matters = vec![Matter::new(open, Urgency::Critical)];
        wait(store.raise_what_is_lacking(matters, vec![], at(10.0))).unwrap();
        let wang = officer();
        let types = store.save_field(&wang, open, Field::CallerName, "", "张三", at(11.0));
        assert!(matches!(wait(types).unwrap(), Saved::Saved { .. }));
        store.apply(&Noted { at: at(1.0), fact: arrival(1, "13812345678") }).unwrap();
        let caller = one::<String>(&store, "SELECT caller_name || caller_phone FROM entry");
        assert_eq!(caller, "张三13812345678");
    }

    #[test]
    fn esc_71_a_key_in_a_call_that_goes_on_over_a_restored_log_is_kept_with_its_matter() {
        let store = store();
        let entry = EntryId::from(CallId::new(at(9.0), &mut random()));
        let call = |seconds: f64| {
            let order = LeaderCall {
                attempt: AttemptId::new(at(seconds), &mut random()),
                entry,
                person: "李四".to_owned(),
                target: "3001".to_owned(),
                urgency: Urgency::Urgent,
                ring: Duration::from_secs(35),
                errand: Errand::Tell,
                after_cut: false,
                pin: None,
                joins: None,
            };
            order.made(&Roster::default())
        };
        let (told, made) = (vec![Matter::new(entry, Urgency::Urgent)], call(9.5));
        let raise = |calls| wait(store.raise_what_is_lacking(told.clone(), calls, at(10.0)));
        assert_eq!(raise(vec![made.clone()]).unwrap(), [entry]);
        assert_eq!(raise(vec![made.clone()]).unwrap(), []);
        let press = |attempt, seconds| {
            let fact = Fact::Acknowledged { attempt, entry };
            store.apply(&Noted { at: at(seconds), fact }).unwrap().input
        };
        let said = |attempt, outcome| Some(Input::AckStored { attempt, outcome });
        assert_eq!(press(made.attempt, 11.0), said(made.attempt, AckOutcome::First));
        let acked = "SELECT acked_by || ' ' || (SELECT count(*) FROM attempt) FROM escalation";
        assert_eq!(one::<String>(&store, acked), "李四 1");
        // Of one that nothing tells of any more.
        let stray = AttemptId::new(at(12.0), &mut random());
        let audited = "SELECT count(*) FROM audit WHERE action = 'escalation.acknowledge'";
        let before = one::<i64>(&store, audited);
        assert_eq!(press(stray, 13.0), said(stray, AckOutcome::Late));
        assert_eq!(press(stray, 13.0), said(stray, AckOutcome::Late));
        assert_eq!(one::<i64>(&store, audited), before + 1, "it is on record once");
    }
}
