//! What follows on an acknowledgement (escalation.md, rule 6): the matter is looked at, an instruction is given and
//! confirmed, or it is raised again.

use super::audit::{self, Actor};
use super::error::Result;
use super::text::{Id, mono, ms, name};
use super::writer::Tx;
use super::{Store, Who, acknowledgements, attempts, duty, instructions, notices};
use crate::duty::escalation::{Again, Escalation, State};
use crate::duty::ids::{AttemptId, EntryId, EscalationId};
use crate::duty::journal::Fact;
use crate::duty::roster::Role;
use crate::duty::switchboard::AckOutcome;
use crate::io::status::Live;
use crate::protocol::now::Now;
use rusqlite::{Connection, OptionalExtension, params};
use std::time::Duration;

/// Who hears less of a recording has heard nothing of the matter.
const HEARD: Duration = Duration::from_secs(2);

fn escalation_of(sql: &Connection, attempt: AttemptId) -> Result<Option<(EscalationId, String)>> {
    Ok(sql
        .prepare_cached("SELECT escalation, person FROM attempt WHERE id = ?1")?
        .query_row([Id(attempt)], |row| Ok((row.get::<_, Id<EscalationId>>(0)?.0, row.get(1)?)))
        .optional()?)
}

/// A leader has learnt what it is about, on the telephone: he listened, or he speaks with those who know.
pub(super) fn learnt(sql: &Connection, fact: &Fact, now: Now) -> Result<Option<Live>> {
    let (attempt, how) = match fact {
        Fact::AttemptHeard { attempt, lasts } => {
            let heard = i64::try_from(lasts.as_millis()).unwrap_or(i64::MAX);
            sql.prepare_cached(
                "INSERT OR IGNORE INTO heard (attempt, at_ms, at_mono, lasts_ms)
                 SELECT id, ?2, ?3, ?4 FROM attempt WHERE id = ?1",
            )?
            .execute(params![Id(*attempt), ms(now.wall), mono(now), heard])?;
            (*attempt, Some("recording").filter(|_| *lasts >= HEARD))
        }
        Fact::AttemptTalks { attempt } => (*attempt, Some("talk")),
        _ => return Ok(None),
    };
    if let (Some(how), Some((id, person))) = (how, escalation_of(sql, attempt)?) {
        read(sql, id, &person, how, now)?;
    }
    attempts::changed(sql, attempt)
}

/// Once: who came to know first.
fn read(sql: &Connection, id: EscalationId, person: &str, how: &str, now: Now) -> Result<bool> {
    let read = sql
        .prepare_cached(
            "UPDATE escalation SET read_ms = ?2, read_by = ?3, read_how = ?4
             WHERE id = ?1 AND read_ms IS NULL",
        )?
        .execute(params![Id(id), ms(now.wall), person, how])?;
    if read > 0 {
        let actor = Actor { person: None, name: person.to_owned(), terminal: how.to_owned() };
        audit::append(sql, now, &actor, "escalation.read", &id.to_string(), how)?;
    }
    Ok(read > 0)
}

pub(super) fn mute(sql: &Connection, attempt: AttemptId, now: Now) -> Result<Option<Live>> {
    sql.prepare_cached("UPDATE attempt SET mute_ms = ?2 WHERE id = ?1 AND mute_ms IS NULL")?
        .execute(params![Id(attempt), ms(now.wall)])?;
    attempts::changed(sql, attempt)
}

/// An instruction, from `since` until now on the tape of the attempt's call.
pub(super) fn dictated(
    sql: &Connection,
    attempt: AttemptId,
    since: Now,
    now: Now,
) -> Result<AckOutcome> {
    let Some((id, person)) = escalation_of(sql, attempt)? else {
        tracing::error!(%attempt, "an instruction was given in a call that was never ordered");
        return Ok(AckOutcome::Withdrawn);
    };
    let lasts = i64::try_from(now.mono.since(since.mono).as_millis()).unwrap_or(i64::MAX);
    let fresh = sql
        .prepare_cached(
            "INSERT OR IGNORE INTO instruction (attempt, from_ms, escalation, person, role,
               lasts_ms, at_ms, at_mono)
             SELECT id, ?2, escalation, person, role, ?3, ?4, ?5 FROM attempt WHERE id = ?1",
        )?
        .execute(params![Id(attempt), ms(since.wall), lasts, ms(now.wall), mono(now)])?;
    if fresh > 0 {
        sql.prepare_cached("UPDATE escalation SET closed_ms = NULL WHERE id = ?1")?
            .execute([Id(id)])?;
        let actor = Actor { person: None, name: person.clone(), terminal: "phone".to_owned() };
        let detail = format!("{} s", lasts / 1000);
        audit::append(sql, now, &actor, "escalation.instruct", &id.to_string(), &detail)?;
        read(sql, id, &person, "instruction", now)?;
    }
    Ok(AckOutcome::Instructed)
}

/// Nothing more follows on an acknowledged escalation.
pub(super) fn close(sql: &Connection, escalation: &Escalation, now: Now) -> Result<()> {
    if escalation.state == State::Acknowledged && !escalation.closed {
        sql.prepare_cached("UPDATE escalation SET closed_ms = ?2, closed_why = '' WHERE id = ?1")?
            .execute(params![Id(escalation.id), ms(now.wall)])?;
        let (actor, id) = (Actor::system("escalation.settled"), escalation.id.to_string());
        audit::append(sql, now, &actor, "escalation.close", &id, "")?;
    }
    Ok(())
}

/// It is raised anew, more urgent than before: of what was acknowledged nothing more follows but that an instruction is
/// confirmed.
pub(super) fn superseded(sql: &Connection, entry: EntryId, now: Now) -> Result<()> {
    let mut closed = sql.prepare_cached(
        "UPDATE escalation SET closed_ms = ?2, closed_why = 'superseded'
         WHERE entry = ?1 AND state = 'acknowledged' AND closed_ms IS NULL AND NOT EXISTS (
           SELECT 1 FROM instruction i WHERE i.escalation = escalation.id AND i.confirmed_ms IS NULL)
         RETURNING id",
    )?;
    let closed = closed.query_map(params![Id(entry), ms(now.wall)], |row| row.get(0))?;
    let closed: Vec<Id<EscalationId>> = closed.collect::<Result<_, _>>()?;
    let actor = Actor::system("escalation.superseded");
    closed.iter().try_for_each(|Id(id)| {
        audit::append(sql, now, &actor, "escalation.close", &id.to_string(), "")
    })
}

/// Acknowledged, and it came to nothing: it begins anew, as another escalation of the same entry.
pub(super) fn raise_again(
    tx: &mut Tx<'_>,
    escalation: &Escalation,
    why: Again,
    now: Now,
) -> Result<()> {
    let id = escalation.id;
    tx.sql
        .prepare_cached("UPDATE escalation SET closed_ms = ?2, closed_why = ?3 WHERE id = ?1")?
        .execute(params![Id(id), ms(now.wall), name(why)])?;
    let open = tx
        .sql
        .prepare_cached("SELECT 1 FROM escalation WHERE entry = ?1 AND state = 'open'")?
        .exists([Id(escalation.entry)])?;
    if open {
        return Ok(());
    }
    let again = EscalationId::new(now, tx.random);
    let (rule, why) = match why {
        Again::Unread => ("escalation.unread", "知悉后未阅件"),
        Again::HandedOn => ("escalation.handed_on", "提醒时按 3，转其他领导"),
    };
    let actor = Actor::system(rule);
    tx.sql
        .prepare_cached(
            "INSERT INTO escalation (id, entry, urgency, state, raised_by, raised_ms, raised_mono,
               round_ms, round_mono, again_of) VALUES (?1, ?2, ?3, 'open', ?4, ?5, ?6, ?5, ?6, ?7)",
        )?
        .execute(params![
            Id(again),
            Id(escalation.entry),
            name(escalation.urgency),
            actor.name,
            ms(now.wall),
            mono(now),
            Id(id),
        ])?;
    let why = format!("{id}: {why}");
    audit::append(tx.sql, now, &actor, "escalation.raise", &again.to_string(), &why)?;
    notices::raised(tx, again, escalation.urgency, now)
}

impl Store {
    /// The officer has spoken to the duty leader by another way (人工已联系): the leader knows, and
    /// what it is about; whoever has pressed the key himself knows now what it is about. `how` is
    /// mandatory; wake the escalator. `false`: there is nothing to tell him of, or he knows it all.
    pub async fn leader_spoken_to(
        &self,
        who: &Who,
        entry: EntryId,
        how: &str,
        now: Now,
    ) -> Result<bool> {
        let (actor, how) = (Actor::from(who), how.trim().to_owned());
        if how.is_empty() {
            return Ok(false);
        }
        self.write(move |tx| by_hand(tx.sql, &actor, entry, &how, now)).await
    }

    /// A leader who is logged in has the entry before him: it is read. `true`: for the first time.
    pub async fn entry_opened(&self, who: &Who, entry: EntryId, now: Now) -> Result<bool> {
        let person = who.name.clone();
        self.write(move |tx| match acknowledged(tx.sql, entry)? {
            Some(id) => read(tx.sql, id, &person, "page", now),
            None => Ok(false),
        })
        .await
    }

    /// A leader who is logged in acknowledges on his page. `None`: there is nothing to.
    pub async fn acknowledge_on_page(
        &self,
        who: &Who,
        entry: EntryId,
        now: Now,
    ) -> Result<Option<AckOutcome>> {
        let actor = Actor::from(who);
        self.write_of_run(move |tx| {
            let Some((id, _)) = latest(tx.sql, entry)? else { return Ok(None) };
            let capacity = duty::capacity(tx.sql, &actor.name, now)?;
            let outcome =
                without_a_call(tx.sql, id, (&actor, &actor.name), capacity, ("page", ""), now)?;
            if outcome != AckOutcome::Withdrawn {
                read(tx.sql, id, &actor.name, "page", now)?;
            }
            Ok(Some(outcome))
        })
        .await
    }

    /// The officer confirms what was instructed. `false`: there was nothing to confirm. Wake the
    /// escalator.
    pub async fn confirm_instructions(&self, who: &Who, entry: EntryId, now: Now) -> Result<bool> {
        let actor = Actor::from(who);
        self.write(move |tx| {
            let mut rows = tx.sql.prepare_cached("SELECT id FROM escalation WHERE entry = ?1")?;
            let ids = rows.query_map([Id(entry)], |row| row.get::<_, Id<EscalationId>>(0))?;
            let mut any = false;
            for id in ids.collect::<Result<Vec<_>, _>>()? {
                any |= instructions::confirm(tx.sql, id.0, &actor, now)?;
            }
            Ok(any)
        })
        .await
    }
}

fn acknowledged(sql: &Connection, entry: EntryId) -> Result<Option<EscalationId>> {
    Ok(latest(sql, entry)?.filter(|(_, state)| state == "acknowledged").map(|(id, _)| id))
}

fn latest(sql: &Connection, entry: EntryId) -> Result<Option<(EscalationId, String)>> {
    Ok(sql
        .prepare_cached(
            "SELECT id, state FROM escalation WHERE entry = ?1
             ORDER BY raised_ms DESC, id DESC LIMIT 1",
        )?
        .query_row([Id(entry)], |row| Ok((row.get::<_, Id<EscalationId>>(0)?.0, row.get(1)?)))
        .optional()?)
}

fn by_hand(sql: &Connection, actor: &Actor, entry: EntryId, how: &str, now: Now) -> Result<bool> {
    let Some((id, state)) = latest(sql, entry)? else { return Ok(false) };
    let (reached, unread): (bool, bool) = sql
        .prepare_cached(
            "SELECT leader_reached_ms IS NOT NULL,
               state = 'acknowledged' AND read_ms IS NULL AND closed_ms IS NULL
             FROM escalation WHERE id = ?1",
        )?
        .query_row([Id(id)], |row| Ok((row.get(0)?, row.get(1)?)))?;
    if state == "withdrawn" || (reached && !unread) {
        return Ok(false);
    }
    let leader = duty::leader(sql, now)?;
    let said = format!("{}：{how}", actor.name);
    if !reached {
        let capacity = (Some(Role::Leader), true);
        without_a_call(sql, id, (actor, &leader), capacity, ("by_hand", &said), now)?;
    }
    read(sql, id, &leader, "by_hand", now)?;
    let action = if reached { "escalation.told_more" } else { "escalation.leader_reached" };
    audit::append(sql, now, actor, action, &id.to_string(), how)?;
    Ok(true)
}

/// Somebody who was told of it answers for it with a text.
pub(super) fn acknowledged_by_text(
    sql: &Connection,
    id: EscalationId,
    (person, role): (&str, Role),
    leads: bool,
    now: Now,
) -> Result<AckOutcome> {
    let actor = Actor { person: None, name: person.to_owned(), terminal: "sms".to_owned() };
    without_a_call(sql, id, (&actor, person), (Some(role), leads), ("sms", ""), now)
}

/// `person` knows, as `actor` says; whether he is the one who leads.
fn without_a_call(
    sql: &Connection,
    id: EscalationId,
    (actor, person): (&Actor, &str),
    (role, leads): (Option<Role>, bool),
    (channel, how): (&str, &str),
    now: Now,
) -> Result<AckOutcome> {
    let known = sql
        .prepare_cached(
            "SELECT 1 FROM told WHERE escalation = ?1 AND person = ?2 AND channel = ?3",
        )?
        .exists(params![Id(id), person, channel])?;
    let won = acknowledgements::win(sql, id, (person, role), (channel, how), now)?;
    let withdrawn = !won && acknowledgements::is_withdrawn(sql, id)?;
    let outcome = match (won, withdrawn) {
        (true, _) => AckOutcome::First,
        (false, true) => AckOutcome::Withdrawn,
        (false, false) => AckOutcome::Late,
    };
    if leads && outcome != AckOutcome::Withdrawn {
        acknowledgements::leader_reached(sql, id, now)?;
    }
    if known {
        return Ok(outcome);
    }
    sql.prepare_cached(
        "INSERT INTO told (escalation, person, role, channel, at_ms, outcome, how)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
    )?
    .execute(params![
        Id(id),
        person,
        role.map(name).unwrap_or_default(),
        channel,
        ms(now.wall),
        acknowledgements::outcome_name(outcome),
        how,
    ])?;
    let detail = format!("{channel} {person}");
    audit::append(sql, now, actor, "escalation.acknowledge", &id.to_string(), &detail)?;
    Ok(outcome)
}
