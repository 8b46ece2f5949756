//! Who is on duty and who stands in for whom: what the page and key 3 enter, over the list of the
//! configuration.

use super::audit::{self, Actor};
use super::error::Result;
use super::readers::Readers;
use super::text::{Id, Ms, Named, instant, mono, ms, name};
use super::{Store, Who, exercises};
use crate::duty::ids::{AttemptId, EntryId, EscalationId};
use crate::duty::roster::{Role, Roster, StandsIn};
use crate::duty::switchboard::AckOutcome;
use crate::protocol::now::Now;
use chrono::{DateTime, TimeDelta, Utc};
use rusqlite::{Connection, OptionalExtension, params};
use std::path::Path;

/// A substitution by key 3 lasts as long as the duty of him who pressed it, or so long where the
/// log does not know its end.
const BY_KEY: TimeDelta = TimeDelta::hours(12);

/// The list of the configuration as the log knows it.
fn listed(sql: &Connection) -> Result<Roster> {
    let people: Option<String> = sql
        .prepare_cached("SELECT people FROM policy ORDER BY id DESC LIMIT 1")?
        .query_row([], |row| row.get(0))
        .optional()?;
    Ok(people.and_then(|text| serde_json::from_str(&text).ok()).unwrap_or_default())
}

/// Who holds each role at this moment.
pub(super) fn in_force(sql: &Connection, list: &Roster, now: Now) -> Result<Roster> {
    let mut rows = sql.prepare_cached(
        "SELECT role, person FROM duty WHERE from_ms <= ?1 AND coalesce(to_ms, ?1 + 1) > ?1
           AND withdrawn_ms IS NULL ORDER BY from_ms, id",
    )?;
    let rows = rows.query_map([ms(now.wall)], |row| {
        Ok((row.get::<_, Named<Role>>(0)?.0, row.get::<_, String>(1)?))
    })?;
    let on_duty: Vec<(Role, String)> = rows.collect::<Result<_, _>>()?;
    let mut rows = sql.prepare_cached(
        "SELECT stands_in, id, absent FROM substitution WHERE from_ms <= ?1 AND to_ms > ?1
           AND withdrawn_ms IS NULL ORDER BY from_ms, id",
    )?;
    let rows = rows.query_map([ms(now.wall)], |row| {
        Ok((row.get(0)?, StandsIn { record: row.get(1)?, absent: row.get(2)? }))
    })?;
    let stand_ins: Vec<(String, StandsIn)> = rows.collect::<Result<_, _>>()?;
    Ok(list.in_force(&on_duty, &stand_ins))
}

/// Whether this person leads now; where the log does not know who does, he does.
pub(super) fn leads(sql: &Connection, person: &str, now: Now) -> Result<bool> {
    let roster = in_force(sql, &listed(sql)?, now)?;
    Ok(roster.holder(Role::Leader).is_none_or(|leader| leader.name == person))
}

/// In which capacity this person acts, by the first role that he holds now, else by the list; whether he leads now.
pub(super) fn capacity(sql: &Connection, person: &str, now: Now) -> Result<(Option<Role>, bool)> {
    let list = listed(sql)?;
    let held = in_force(sql, &list, now)?.role_of(person);
    Ok((held.or_else(|| list.role_of(person)), held == Some(Role::Leader)))
}

/// Who leads now, by name; `None`: the log does not know.
pub(super) fn leading(sql: &Connection, now: Now) -> Result<Option<String>> {
    let roster = in_force(sql, &listed(sql)?, now)?;
    Ok(roster.holder(Role::Leader).map(|leader| leader.name.clone()))
}

/// As [`leading`], in words.
pub(super) fn leader(sql: &Connection, now: Now) -> Result<String> {
    Ok(leading(sql, now)?.unwrap_or_else(|| "带班领导".to_owned()))
}

/// The next moment at which somebody else is on duty.
pub(super) fn next_change(sql: &Connection, now: Now) -> Result<Option<DateTime<Utc>>> {
    let next = sql
        .prepare_cached(
            "SELECT min(at) FROM (
               SELECT min(from_ms) AS at FROM duty WHERE from_ms > ?1 AND withdrawn_ms IS NULL
               UNION ALL SELECT min(to_ms) FROM duty WHERE to_ms > ?1 AND withdrawn_ms IS NULL
               UNION ALL SELECT min(from_ms) FROM substitution
                 WHERE from_ms > ?1 AND withdrawn_ms IS NULL
               UNION ALL SELECT min(to_ms) FROM substitution
                 WHERE to_ms > ?1 AND withdrawn_ms IS NULL)",
        )?
        .query_row([ms(now.wall)], |row| instant(row, 0))?;
    Ok(next)
}

struct Handing {
    escalation: EscalationId,
    entry: EntryId,
    person: String,
    role: Role,
}

/// Key 3: the substitute of the same rank stands in from this second on; without one the next of
/// the ladder is called.
pub(super) fn hand_on(
    sql: &Connection,
    attempt: AttemptId,
    entry: EntryId,
    now: Now,
) -> Result<AckOutcome> {
    let known: Option<String> = sql
        .prepare_cached("SELECT outcome FROM handing WHERE attempt = ?1")?
        .query_row([Id(attempt)], |row| row.get(0))
        .optional()?;
    if let Some(outcome) = known {
        return Ok(outcome_of(&outcome));
    }
    let handing = sql
        .prepare_cached(
            "SELECT a.escalation, e.entry, a.person, a.role FROM attempt a
             JOIN escalation e ON e.id = a.escalation WHERE a.id = ?1",
        )?
        .query_row([Id(attempt)], |row| {
            Ok(Handing {
                escalation: row.get::<_, Id<EscalationId>>(0)?.0,
                entry: row.get::<_, Id<EntryId>>(1)?.0,
                person: row.get(2)?,
                role: row.get::<_, Named<Role>>(3)?.0,
            })
        })
        .optional()?;
    let Some(handing) = handing else {
        tracing::error!(%attempt, %entry, "a key was pressed in a call that was never ordered");
        return Ok(AckOutcome::Withdrawn);
    };
    let state: String = sql
        .prepare_cached("SELECT state FROM escalation WHERE id = ?1")?
        .query_row([Id(handing.escalation)], |row| row.get(0))?;
    let record = match state.as_str() {
        "withdrawn" => None,
        // In a drill nobody stands in for anybody: the next one is called.
        _ if exercises::is_one(sql, handing.entry)? => None,
        _ => substitute(sql, &handing, now)?,
    };
    let outcome = match (state.as_str(), record) {
        ("withdrawn", _) => "withdrawn",
        (_, Some(_)) => "handed_on",
        (_, None) => "passed_on",
    };
    sql.prepare_cached(
        "INSERT INTO handing (attempt, escalation, person, at_ms, at_mono, outcome, substitution)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
    )?
    .execute(params![
        Id(attempt),
        Id(handing.escalation),
        handing.person,
        ms(now.wall),
        mono(now),
        outcome,
        record,
    ])?;
    // He may have heard it before he pressed the key: somebody else is to deal with it all the same.
    sql.prepare_cached(
        "UPDATE escalation SET closed_ms = NULL, closed_why = NULL WHERE id = ?1 AND closed_why = ''
           AND EXISTS (SELECT 1 FROM attempt WHERE id = ?2 AND errand = 'remind')",
    )?
    .execute(params![Id(handing.escalation), Id(attempt)])?;
    let actor = Actor { person: None, name: handing.person, terminal: "phone".to_owned() };
    let escalation = handing.escalation.to_string();
    audit::append(sql, now, &actor, "escalation.hand_on", &escalation, outcome)?;
    Ok(outcome_of(outcome))
}

fn outcome_of(name: &str) -> AckOutcome {
    match name {
        "handed_on" => AckOutcome::HandedOn,
        "passed_on" => AckOutcome::PassedOn,
        "late" => AckOutcome::Late,
        _ => AckOutcome::Withdrawn,
    }
}

/// The record, where he who pressed the key leads and another may stand in for him.
fn substitute(sql: &Connection, handing: &Handing, now: Now) -> Result<Option<i64>> {
    let roster = in_force(sql, &listed(sql)?, now)?;
    let holder = roster.holder(Role::Leader);
    let leads = holder.is_some_and(|leader| leader.name == handing.person);
    let stands_in = holder.and_then(|leader| leader.stands_in.as_ref());
    // Of several matters that he hands on in one call, the first has put another in his place.
    if let Some(already) = stands_in.filter(|already| already.absent == handing.person)
        && handing.role == Role::Leader
    {
        return Ok(Some(already.record));
    }
    if handing.role != Role::Leader || !leads {
        return Ok(None);
    }
    let Some(stands_in) = roster.may_stand_in() else { return Ok(None) };
    let ends: Option<Option<Ms>> = sql
        .prepare_cached(
            "SELECT to_ms FROM duty WHERE role = 'leader' AND person = ?1 AND from_ms <= ?2
               AND coalesce(to_ms, ?2 + 1) > ?2 AND withdrawn_ms IS NULL
             ORDER BY from_ms DESC LIMIT 1",
        )?
        .query_row(params![handing.person, ms(now.wall)], |row| row.get(0))
        .optional()?;
    let to = ends.flatten().map_or(now.wall + BY_KEY, |Ms(end)| end);
    let actor = Actor { person: None, name: handing.person.clone(), terminal: "phone".to_owned() };
    let given = Given {
        absent: handing.person.clone(),
        stands_in: stands_in.name.clone(),
        from: now.wall,
        to,
        reason: "不便（电话按键 3）".to_owned(),
        approved_by: String::new(),
    };
    insert(sql, &actor, &given, now).map(Some)
}

/// A substitution as it is entered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Given {
    pub absent: String,
    pub stands_in: String,
    pub from: DateTime<Utc>,
    pub to: DateTime<Utc>,
    pub reason: String,
    /// Who allowed that one of a lower rank stands in; else empty.
    pub approved_by: String,
}

fn insert(sql: &Connection, actor: &Actor, given: &Given, now: Now) -> Result<i64> {
    let id: i64 = sql
        .prepare_cached(
            "INSERT INTO substitution (absent, stands_in, from_ms, to_ms, reason, approved_by,
               entered_by, entered_ms) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8) RETURNING id",
        )?
        .query_row(
            params![
                given.absent,
                given.stands_in,
                ms(given.from),
                ms(given.to),
                given.reason,
                given.approved_by,
                actor.name,
                ms(now.wall),
            ],
            |row| row.get(0),
        )?;
    let detail = format!("{} → {}：{}", given.absent, given.stands_in, given.reason);
    audit::append(sql, now, actor, "duty.substitute", &id.to_string(), &detail)?;
    Ok(id)
}

/// A duty as it is entered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OnDuty {
    pub role: Role,
    pub person: String,
    pub from: DateTime<Utc>,
    pub to: Option<DateTime<Utc>>,
}

fn assign(sql: &Connection, actor: &Actor, on_duty: &OnDuty, now: Now) -> Result<()> {
    let id: i64 = sql
        .prepare_cached(
            "INSERT INTO duty (role, person, from_ms, to_ms, entered_by, entered_ms)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6) RETURNING id",
        )?
        .query_row(
            params![
                name(on_duty.role),
                on_duty.person,
                ms(on_duty.from),
                on_duty.to.map(ms),
                actor.name,
                ms(now.wall),
            ],
            |row| row.get(0),
        )?;
    let detail = format!("{} {}", name(on_duty.role), on_duty.person);
    audit::append(sql, now, actor, "duty.assign", &id.to_string(), &detail)
}

/// A row that may be withdrawn: what the page shows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DutyRow {
    pub id: i64,
    pub role: Role,
    pub person: String,
    pub from: DateTime<Utc>,
    pub to: Option<DateTime<Utc>>,
    pub entered_by: String,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SubstitutionRow {
    pub id: i64,
    pub given: Given,
    pub entered_by: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DutyKind {
    Duty,
    Substitution,
}

impl Store {
    /// Who leads, by name.
    pub async fn leader_now(&self, now: Now) -> Result<String> {
        self.read(move |sql| leader(sql, now)).await
    }

    /// Wake the escalator afterwards.
    pub async fn put_on_duty(&self, who: &Who, on_duty: OnDuty, now: Now) -> Result<()> {
        let actor = Actor::from(who);
        self.write(move |tx| assign(tx.sql, &actor, &on_duty, now)).await?;
        self.inner.shift.notify_one();
        Ok(())
    }

    /// Waits until somebody is put on duty.
    pub async fn shift_changes(&self) {
        self.inner.shift.notified().await;
    }

    /// The caller has checked the ranks ([`Roster::may_stand_in`]); wake the escalator afterwards.
    pub async fn substitute(&self, who: &Who, given: Given, now: Now) -> Result<i64> {
        let actor = Actor::from(who);
        self.write(move |tx| insert(tx.sql, &actor, &given, now)).await
    }

    /// What was entered counts no more. `false`: it did not count anyway.
    pub async fn withdraw_duty(
        &self,
        who: &Who,
        kind: DutyKind,
        id: i64,
        now: Now,
    ) -> Result<bool> {
        let actor = Actor::from(who);
        self.write(move |tx| {
            let (table, action) = match kind {
                DutyKind::Duty => ("duty", "duty.withdraw"),
                DutyKind::Substitution => ("substitution", "duty.withdraw_substitution"),
            };
            let done = tx
                .sql
                .prepare_cached(&format!(
                    "UPDATE {table} SET withdrawn_ms = ?2, withdrawn_by = ?3
                     WHERE id = ?1 AND withdrawn_ms IS NULL"
                ))?
                .execute(params![id, ms(now.wall), actor.name])?;
            if done > 0 {
                audit::append(tx.sql, now, &actor, action, &id.to_string(), "")?;
            }
            Ok(done > 0)
        })
        .await
    }

    /// Who holds each role now, over this list.
    pub async fn roster_now(&self, list: &Roster, now: Now) -> Result<Roster> {
        let list = list.clone();
        self.read(move |sql| in_force(sql, &list, now)).await
    }

    /// As [`Store::roster_now`], of a log that is only looked into.
    pub fn roster_at(database: &Path, list: &Roster, at: Now) -> Result<Roster> {
        Readers::new(database).read(|sql| in_force(sql, list, at))
    }

    /// What is in force or will be, soonest first.
    pub async fn duties(&self, now: Now) -> Result<(Vec<DutyRow>, Vec<SubstitutionRow>)> {
        self.read(move |sql| {
            let mut rows = sql.prepare_cached(
                "SELECT id, role, person, from_ms, to_ms, entered_by FROM duty
                 WHERE coalesce(to_ms, ?1 + 1) > ?1 AND withdrawn_ms IS NULL
                 ORDER BY from_ms, id LIMIT 200",
            )?;
            let duties = rows.query_map([ms(now.wall)], |row| {
                Ok(DutyRow {
                    id: row.get(0)?,
                    role: row.get::<_, Named<Role>>(1)?.0,
                    person: row.get(2)?,
                    from: row.get::<_, Ms>(3)?.0,
                    to: instant(row, 4)?,
                    entered_by: row.get(5)?,
                })
            })?;
            let duties = duties.collect::<Result<_, _>>()?;
            let mut rows = sql.prepare_cached(
                "SELECT id, absent, stands_in, from_ms, to_ms, reason, approved_by, entered_by
                 FROM substitution WHERE to_ms > ?1 AND withdrawn_ms IS NULL
                 ORDER BY from_ms, id LIMIT 200",
            )?;
            let rows = rows.query_map([ms(now.wall)], |row| {
                Ok(SubstitutionRow {
                    id: row.get(0)?,
                    given: Given {
                        absent: row.get(1)?,
                        stands_in: row.get(2)?,
                        from: row.get::<_, Ms>(3)?.0,
                        to: row.get::<_, Ms>(4)?.0,
                        reason: row.get(5)?,
                        approved_by: row.get(6)?,
                    },
                    entered_by: row.get(7)?,
                })
            })?;
            Ok((duties, rows.collect::<Result<_, _>>()?))
        })
        .await
    }
}

#[cfg(test)]
mod tests;
