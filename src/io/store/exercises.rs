//! 演练, 点名, 号码核实: each an entry of its own, escalated on the same road, counted nowhere; and which numbers have
//! been answered with a key.

use super::audit::{self, Actor};
use super::error::{Result, StoreError};
use super::escalations;
use super::numbers::{self, Kind};
use super::revisions::{self, Change, RevisionKind};
use super::text::{Id, Ms, Named, instant, moment, ms, name, optional};
use super::writer::Tx;
use super::{Store, Who, notices};
use crate::duty::entry::Field;
use crate::duty::escalation::{Attempt, Escalation, Exercise, ExerciseKind, State};
use crate::duty::ids::{EntryId, EscalationId};
use crate::duty::journal::{AttemptResult, Urgency};
use crate::duty::rehearsal::Proved;
use crate::duty::roster::{Person, Role, Roster};
use crate::protocol::now::Now;
use chrono::{DateTime, Utc};
use rusqlite::{Connection, OptionalExtension, params};

/// The rule by which a roll-call begins by itself (I-14).
const RULE: &str = "roll_call";

/// A drill ends when a real matter begins.
pub const GAVE_WAY: &str = "让位于紧急事项";
/// As earlier programs wrote it: 急件 is a document.
const GAVE_WAY_EARLIER: &str = "让位于急件";
/// Nobody could be called for it in time.
pub const TOO_LATE: &str = "过时";
const NOT_REACHED: &str = "未应答";
const LINE_FAILED: &str = "线路故障";

/// A real matter for which leaders are called, or may be at any moment: after the first key until the duty leader himself
/// knows and somebody has looked at it.
const REAL: &str = "
  EXISTS (SELECT 1 FROM escalation e
    WHERE (e.state = 'open' OR (e.state = 'acknowledged' AND e.closed_ms IS NULL
        AND (e.leader_reached_ms IS NULL OR e.read_ms IS NULL OR EXISTS (SELECT 1 FROM attempt a
          WHERE a.escalation = e.id AND a.ended_ms IS NULL AND a.errand <> 'confirm'))))
      AND e.entry NOT IN (SELECT entry FROM exercise))";

/// What somebody wants tried.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Try {
    pub person: String,
    pub role: Role,
    /// Empty: every number of his.
    pub number: String,
}

/// One person of a roll-call, or one number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExerciseRow {
    pub entry: EntryId,
    pub kind: ExerciseKind,
    pub run: String,
    pub person: String,
    pub role: Role,
    pub number: String,
    /// Empty for the schedule.
    pub asked_by: String,
    pub at: DateTime<Utc>,
    /// When the key was pressed, and by whom.
    pub reached: Option<(DateTime<Utc>, String)>,
    /// Nothing more is done for it.
    pub over: bool,
    /// What became of his last call.
    pub last: Option<AttemptResult>,
    /// Why it is over, where nobody was reached.
    pub reason: String,
}

/// What came of the wish to call the roll.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Called {
    Begun,
    /// This run was begun before.
    Already,
    /// Another is going on.
    Going,
    /// It would call nobody: it has not begun.
    Nobody,
}

fn begin(
    tx: &mut Tx<'_>,
    actor: &Actor,
    asked_by: &str,
    kind: ExerciseKind,
    (run, urgency): (&str, Urgency),
    wanted: &Try,
    now: Now,
) -> Result<EntryId> {
    let entry = EntryId::new(now, tx.random);
    let subject = subject(kind, wanted);
    tx.sql
        .prepare_cached(
            "INSERT INTO entry (id, number, source, occurred_ms, recorded_ms, state, caller_name,
               caller_phone, subject)
             VALUES (?1, ?2, 'exercise', ?3, ?3, 'closed', ?4, ?5, ?6)",
        )?
        .execute(params![
            Id(entry),
            numbers::next(tx.sql, Kind::Entry, now.wall)?,
            ms(now.wall),
            wanted.person,
            wanted.number,
            subject,
        ])?;
    tx.sql
        .prepare_cached(
            "INSERT INTO exercise (entry, kind, run, person, role, number, asked_by, at_ms)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
        )?
        .execute(params![
            Id(entry),
            name(kind),
            run,
            wanted.person,
            name(wanted.role),
            wanted.number,
            asked_by,
            ms(now.wall),
        ])?;
    let known = [
        (Field::CallerName, wanted.person.as_str()),
        (Field::CallerPhone, wanted.number.as_str()),
        (Field::Subject, subject.as_str()),
    ];
    let changes: Vec<Change> = known
        .into_iter()
        .filter(|(_, text)| !text.is_empty())
        .map(|(field, text)| Change::new(field.name(), "", text))
        .collect();
    revisions::append(tx.sql, entry, RevisionKind::System, actor, now, &changes, "")?;
    audit::append(tx.sql, now, actor, "exercise.begin", &entry.to_string(), &name(kind))?;
    escalations::raise(tx, actor, entry, urgency, now)?;
    Ok(entry)
}

fn subject(kind: ExerciseKind, wanted: &Try) -> String {
    match kind {
        ExerciseKind::Drill => "演练：紧急呈报".to_owned(),
        ExerciseKind::RollCall => format!("点名：{}", wanted.person),
        ExerciseKind::Number => format!("号码核实：{}", wanted.person),
    }
}

/// What an entry's escalation is, where it is no real one.
pub(super) fn of(sql: &Connection, entry: EntryId) -> Result<Option<Exercise>> {
    Ok(sql
        .prepare_cached(&format!(
            "SELECT kind, person, role, number, {REAL}, at_ms FROM exercise WHERE entry = ?1"
        ))?
        .query_row([Id(entry)], |row| {
            Ok(Exercise {
                kind: row.get::<_, Named<ExerciseKind>>(0)?.0,
                person: row.get(1)?,
                role: row.get::<_, Named<Role>>(2)?.0,
                number: row.get(3)?,
                put_off: row.get(4)?,
                begun: moment(row.get(5)?, None),
            })
        })
        .optional()?)
}

/// Whether the quiet channels are told: of a drill they are, of a roll-call not.
pub(super) fn is_quiet(sql: &Connection, escalation: EscalationId) -> Result<bool> {
    Ok(sql
        .prepare_cached(
            "SELECT 1 FROM escalation e JOIN exercise x ON x.entry = e.entry
             WHERE e.id = ?1 AND x.kind <> 'drill'",
        )?
        .exists([Id(escalation)])?)
}

/// Nothing has happened for which an entry may be flagged.
pub(super) fn is_one(sql: &Connection, entry: EntryId) -> Result<bool> {
    Ok(sql.prepare_cached("SELECT 1 FROM exercise WHERE entry = ?1")?.exists([Id(entry)])?)
}

/// Why nobody was reached.
fn why(escalation: &Escalation, now: Now) -> &'static str {
    let failed = |one: &Attempt| matches!(one.ended, Some((_, AttemptResult::ChannelFailed)));
    let attempts = &escalation.attempts;
    match &escalation.exercise {
        Some(exercise) if exercise.put_off => GAVE_WAY,
        Some(_) if escalation.is_out_of_date(now) => TOO_LATE,
        Some(exercise) if exercise.kind == ExerciseKind::Drill => {
            let none = attempts.is_empty() || !attempts.iter().all(failed);
            if none { NOT_REACHED } else { LINE_FAILED }
        }
        Some(_) if attempts.last().is_some_and(failed) => LINE_FAILED,
        Some(_) | None => NOT_REACHED,
    }
}

/// Nobody was reached: it ends, and says so.
pub(super) fn missed(tx: &mut Tx<'_>, escalation: &Escalation, now: Now) -> Result<()> {
    let why = why(escalation, now);
    let ended = tx
        .sql
        .prepare_cached(
            "UPDATE escalation SET state = 'withdrawn', withdrawn_ms = ?2, withdrawn_by = ?3,
               reason = ?4 WHERE id = ?1 AND state = 'open'",
        )?
        .execute(params![Id(escalation.id), ms(now.wall), Actor::system(RULE).name, why])?;
    if ended > 0 {
        result(tx.sql, escalation.entry, why, now)?;
        notices::withdrawn(tx, escalation.id, now)?;
    }
    Ok(())
}

/// Somebody was reached: what came of it stands in the entry. Once, when the escalation is closed.
pub(super) fn reached(sql: &Connection, escalation: &Escalation, now: Now) -> Result<()> {
    let Some(acked) = &escalation.acked else { return Ok(()) };
    let fresh = escalation.state == State::Acknowledged && !escalation.closed;
    if !fresh || escalation.exercise.is_none() {
        return Ok(());
    }
    let at = acked.at.wall.with_timezone(&crate::duty::entry::beijing()).format("%H:%M:%S");
    result(sql, escalation.entry, &format!("{at} {} 按键确认", acked.person), now)
}

fn result(sql: &Connection, entry: EntryId, text: &str, now: Now) -> Result<()> {
    sql.prepare_cached("UPDATE entry SET result = ?2 WHERE id = ?1")?
        .execute(params![Id(entry), text])?;
    let change = Change::new("result", "", text);
    let actor = Actor::system(RULE);
    revisions::append(sql, entry, RevisionKind::System, &actor, now, &[change], "")?;
    audit::append(sql, now, &actor, "exercise.over", &entry.to_string(), text)
}

impl Store {
    /// 演练: the whole ladder, once. Wake the escalator. `None`: one is going on.
    pub async fn drill(&self, who: &Who, urgency: Urgency, now: Now) -> Result<Option<EntryId>> {
        let actor = Actor::from(who);
        self.write(move |tx| {
            let going = tx
                .sql
                .prepare_cached(
                    "SELECT 1 FROM exercise x JOIN escalation e ON e.entry = x.entry
                     WHERE e.state = 'open' AND x.kind = 'drill'",
                )?
                .exists([])?;
            if going {
                return Ok(None);
            }
            let nobody = Try { person: String::new(), role: Role::Leader, number: String::new() };
            let (kind, asked_by) = (ExerciseKind::Drill, actor.name.clone());
            let run = ms(now.wall).to_string();
            begin(tx, &actor, &asked_by, kind, (&run, urgency), &nobody, now).map(Some)
        })
        .await
    }

    /// 号码核实. Wake the escalator. `None`: it is being tried already.
    pub async fn check_number(&self, who: &Who, wanted: Try, now: Now) -> Result<Option<EntryId>> {
        let actor = Actor::from(who);
        self.write(move |tx| {
            let going = tx
                .sql
                .prepare_cached(
                    "SELECT 1 FROM exercise x JOIN escalation e ON e.entry = x.entry
                     WHERE e.state = 'open' AND x.kind = 'number' AND x.person = ?1 AND x.number = ?2",
                )?
                .exists(params![wanted.person, wanted.number])?;
            if going {
                return Ok(None);
            }
            let (kind, asked_by) = (ExerciseKind::Number, actor.name.clone());
            let run = ms(now.wall).to_string();
            begin(tx, &actor, &asked_by, kind, (&run, Urgency::Urgent), &wanted, now).map(Some)
        })
        .await
    }

    /// 点名 of these people; `who` is none for the schedule. Wake the escalator.
    pub async fn roll_call(
        &self,
        who: Option<&Who>,
        run: &str,
        people: Vec<Try>,
        now: Now,
    ) -> Result<Called> {
        let actor = who.map_or_else(|| Actor::system(RULE), Actor::from);
        let asked_by = who.map_or_else(String::new, |who| who.name.clone());
        let run = run.to_owned();
        self.write(move |tx| {
            let others = |which: &str| {
                Ok::<_, StoreError>(
                    tx.sql
                        .prepare_cached(&format!(
                            "SELECT 1 FROM exercise x JOIN escalation e ON e.entry = x.entry
                             WHERE x.kind = 'roll_call' AND ({which})"
                        ))?
                        .exists([&run])?,
                )
            };
            if others("x.run = ?1")? {
                return Ok(Called::Already);
            }
            if others("x.run <> ?1 AND e.state = 'open'")? {
                return Ok(Called::Going);
            }
            if people.is_empty() {
                return Ok(Called::Nobody);
            }
            for wanted in &people {
                let kind = ExerciseKind::RollCall;
                begin(tx, &actor, &asked_by, kind, (&run, Urgency::Urgent), wanted, now)?;
            }
            Ok(Called::Begun)
        })
        .await
    }

    /// The last roll-calls, the newest first; people of one together.
    pub async fn roll_calls(&self, most: u32) -> Result<Vec<ExerciseRow>> {
        self.read(move |sql| {
            rows(
                sql,
                "x.kind = 'roll_call' AND x.run IN (SELECT run FROM exercise
                   WHERE kind = 'roll_call' GROUP BY run ORDER BY max(at_ms) DESC LIMIT ?1)",
                most,
            )
        })
        .await
    }

    /// Drills and numbers that were tried, the newest first.
    pub async fn tried(&self, most: u32) -> Result<Vec<ExerciseRow>> {
        self.read(move |sql| {
            let mut rows = rows(sql, "x.kind <> 'roll_call' AND ?1 > 0", most)?;
            rows.truncate(usize::try_from(most).unwrap_or(usize::MAX));
            Ok(rows)
        })
        .await
    }

    /// Of everybody in the list, each number that was ever proved.
    pub async fn proved(&self, list: &Roster) -> Result<Proved> {
        let numbers = |person: &Person| {
            let numbers = [&person.mobile, &person.office].into_iter().flatten().cloned();
            let name = person.name.clone();
            numbers.map(move |number| (name.clone(), number)).collect::<Vec<_>>()
        };
        let numbers: Vec<(String, String)> = list.people.iter().flat_map(numbers).collect();
        self.read(move |sql| {
            let mut proved = Proved::new();
            for (person, number) in numbers {
                if let Some(at) = number_verified(sql, &person, &number)? {
                    proved.insert((person, number), at);
                }
            }
            Ok(proved)
        })
        .await
    }

    /// When this person last pressed a key in a call to this number, for whatever he was called.
    pub async fn number_verified(
        &self,
        person: &str,
        number: &str,
    ) -> Result<Option<DateTime<Utc>>> {
        let (person, number) = (person.to_owned(), number.to_owned());
        self.read(move |sql| number_verified(sql, &person, &number)).await
    }
}

fn number_verified(sql: &Connection, person: &str, number: &str) -> Result<Option<DateTime<Utc>>> {
    Ok(sql
        .prepare_cached(
            "SELECT max(k.at_ms) FROM attempt a JOIN acknowledgement k ON k.attempt = a.id
             WHERE a.target = ?1 AND a.person = ?2",
        )?
        .query_row([number, person], |row| instant(row, 0))?)
}

fn rows(sql: &Connection, which: &str, most: u32) -> Result<Vec<ExerciseRow>> {
    let mut rows = sql.prepare_cached(&format!(
        "SELECT x.entry, x.kind, x.run, x.person, x.role, x.number, x.asked_by, x.at_ms,
           e.acked_ms, coalesce(e.acked_by, ''), e.state <> 'open',
           (SELECT a.result FROM attempt a WHERE a.escalation = e.id ORDER BY a.seq DESC LIMIT 1),
           coalesce(e.reason, '')
         FROM exercise x JOIN escalation e ON e.entry = x.entry
         WHERE {which} ORDER BY x.at_ms DESC, x.entry LIMIT 500"
    ))?;
    let rows = rows.query_map([most], |row| {
        let by: String = row.get(9)?;
        let reason: String = row.get(12)?;
        Ok(ExerciseRow {
            entry: row.get::<_, Id<EntryId>>(0)?.0,
            kind: row.get::<_, Named<ExerciseKind>>(1)?.0,
            run: row.get(2)?,
            person: row.get(3)?,
            role: row.get::<_, Named<Role>>(4)?.0,
            number: row.get(5)?,
            asked_by: row.get(6)?,
            at: row.get::<_, Ms>(7)?.0,
            reached: instant(row, 8)?.map(|at| (at, by)),
            over: row.get(10)?,
            last: optional(row, 11)?,
            reason: if reason == GAVE_WAY_EARLIER { GAVE_WAY.to_owned() } else { reason },
        })
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::io::store::tests::{at, officer, store};
    use crate::io::store::wait;

    #[test]
    fn what_gave_way_in_an_earlier_programs_words_has_given_way() {
        let store = store();
        wait(store.drill(&officer(), Urgency::Urgent, at(0.0))).unwrap();
        let ended =
            "UPDATE escalation SET state = 'withdrawn', withdrawn_ms = 1, withdrawn_by = ?1,
            reason = ?2";
        let by = Actor::system(RULE).name;
        store.write_now(move |tx| Ok(tx.sql.execute(ended, (by, GAVE_WAY_EARLIER))?)).unwrap();
        assert_eq!(wait(store.tried(1)).unwrap()[0].reason, GAVE_WAY);
    }
}
