//! Calls and their legs (domain §4.3.1). A call and its entry are born in one transaction (I-1).

use super::audit::Actor;
use super::claims::{self, DivertedRow};
use super::contacts;
use super::error::Result;
use super::lacking;
use super::numbers::{self, Kind};
use super::revisions::{self, Change, RevisionKind};
use super::text::{Id, json, mono, ms, name};
use crate::duty::entry::{Field, duty_day_began};
use crate::duty::ids::{CallId, EntryId};
use crate::duty::journal::{Arrival, Disposition, Joining};
use crate::io::status::Live;
use crate::protocol::now::Now;
use crate::protocol::rtp::Party;
use rusqlite::{Connection, OptionalExtension, params};

pub(super) fn arrived(sql: &Connection, arrival: &Arrival, now: Now) -> Result<Option<Live>> {
    heard_of(sql, arrival, now, now)
}

/// As [`arrived`], of a call that is heard of later: its entry says when that was.
pub(super) fn heard_of(
    sql: &Connection,
    arrival: &Arrival,
    now: Now,
    recorded: Now,
) -> Result<Option<Live>> {
    let entry = EntryId::from(arrival.call);
    let known =
        sql.prepare_cached("SELECT 1 FROM call WHERE id = ?1")?.exists([Id(arrival.call)])?;
    if known {
        return Ok(None);
    }
    let contact = contacts::find(sql, &arrival.plain)?;
    let (unit, called, duty) = match &contact {
        Some(c) => (c.unit.as_str(), c.name.as_str(), c.duty.as_str()),
        None => (arrival.unit.as_str(), "", ""),
    };
    let caller = [unit, called, duty, &arrival.caller];
    enter(sql, arrival.call, ("call_in", now, recorded), caller)?;
    insert(sql, arrival, contact.as_ref(), now)?;
    claims::insert(sql, arrival)?;
    let known = [
        (Field::CallerUnit, unit),
        (Field::CallerName, called),
        (Field::CallerDuty, duty),
        (Field::CallerPhone, arrival.caller.as_str()),
    ];
    let changes: Vec<Change> = known
        .iter()
        .filter(|(_, text)| !text.is_empty())
        .map(|(field, text)| Change::new(field.name(), "", *text))
        .collect();
    let actor = Actor::system("I-1");
    revisions::append(sql, entry, RevisionKind::System, &actor, recorded, &changes, "")?;
    if arrival.fault.is_some() || arrival.test {
        return Ok(Some(Live::Entry { entry }));
    }
    let shown = if called.is_empty() { unit } else { called };
    let shown = if shown.is_empty() { &arrival.display } else { shown };
    Ok(Some(Live::ringing(arrival, shown, now)))
}

fn insert(
    sql: &Connection,
    arrival: &Arrival,
    contact: Option<&contacts::Match>,
    now: Now,
) -> Result<()> {
    let since = ms(duty_day_began(now.wall));
    let before = contacts::calls_since(sql, &arrival.plain, since, arrival.call)?;
    let diverted: Vec<DivertedRow> = arrival.diverted.iter().map(DivertedRow::from).collect();
    sql.prepare_cached(
        "INSERT INTO call (id, number, entry, direction, state, sip_call_id, source, callee, caller,
           caller_plain, display, chosen_from, vouched, private, diverted, town, fault, contact,
           contact_unit, contact_name, contact_duty, nth_today, arrived_ms, arrived_mono,
           called)
         VALUES (?1, ?2, ?1, 'in', 'ringing', ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14,
           ?15, ?16, ?17, ?18, ?19, ?20, ?21, ?22)",
    )?
    .execute(params![
        Id(arrival.call),
        numbers::next(sql, Kind::Call, now.wall)?,
        arrival.sip_call_id,
        arrival.source,
        arrival.callee,
        arrival.caller,
        arrival.plain,
        arrival.display,
        name(arrival.chosen.header),
        arrival.vouched,
        arrival.private,
        json(&diverted)?,
        arrival.town,
        arrival.fault,
        contact.map(|contact| contact.id),
        contact.map_or(arrival.unit.as_str(), |contact| &contact.unit),
        contact.map_or("", |contact| &contact.name),
        contact.map_or("", |contact| &contact.duty),
        before + 1,
        ms(now.wall),
        mono(now),
        arrival.called,
    ])?;
    Ok(())
}

/// Its entry, which came from it; one that was raised before the log was told of the call becomes the call's.
pub(super) fn enter(
    sql: &Connection,
    call: CallId,
    (source, occurred, recorded): (&str, Now, Now),
    [unit, called, duty, phone]: [&str; 4],
) -> Result<()> {
    let entry = EntryId::from(call);
    if lacking::is_of_a_call(sql, entry, (source, occurred), [unit, called, duty, phone])? {
        return Ok(());
    }
    sql.prepare_cached(
        "INSERT INTO entry (id, number, source, occurred_ms, recorded_ms, caller_unit, caller_name,
           caller_duty, caller_phone) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
    )?
    .execute(params![
        Id(entry),
        numbers::next(sql, Kind::Entry, occurred.wall)?,
        source,
        ms(occurred.wall),
        ms(recorded.wall),
        unit,
        called,
        duty,
        phone,
    ])?;
    Ok(())
}

/// The call that the escalation places; it has the attempt's name.
pub(super) fn placed(
    sql: &Connection,
    call: CallId,
    entry: EntryId,
    target: &str,
    now: Now,
) -> Result<()> {
    sql.prepare_cached(
        "INSERT INTO call (id, number, entry, direction, state, callee, arrived_ms, arrived_mono)
         VALUES (?1, ?2, ?3, 'to_leader', 'ringing', ?4, ?5, ?6)",
    )?
    .execute(params![
        Id(call),
        numbers::next(sql, Kind::Call, now.wall)?,
        Id(entry),
        target,
        ms(now.wall),
        mono(now),
    ])?;
    Ok(())
}

fn entry_of(sql: &Connection, call: CallId) -> Result<Option<EntryId>> {
    Ok(sql
        .prepare_cached("SELECT entry FROM call WHERE id = ?1")?
        .query_row([Id(call)], |row| row.get::<_, Id<EntryId>>(0))
        .optional()?
        .map(|entry| entry.0))
}

/// The page's row of this call has changed; `None` for a call that the log does not know.
pub(super) fn changed(sql: &Connection, call: CallId) -> Result<Option<Live>> {
    let entry = entry_of(sql, call)?;
    if entry.is_none() {
        tracing::error!(%call, "a fact names a call that was never written down");
    }
    Ok(entry.map(|entry| Live::Entry { entry }))
}

pub(super) fn joining(
    sql: &Connection,
    call: CallId,
    phone: &str,
    how: Joining,
    now: Now,
) -> Result<Option<Live>> {
    let live = changed(sql, call)?;
    if live.is_some() {
        sql.prepare_cached(
            "INSERT OR IGNORE INTO leg (call, phone, how, rung_ms, rung_mono)
             VALUES (?1, ?2, ?3, ?4, ?5)",
        )?
        .execute(params![Id(call), phone, name(how), ms(now.wall), mono(now)])?;
    }
    Ok(live)
}

/// It speaks with the caller from now on.
pub(super) fn joined(
    sql: &Connection,
    call: CallId,
    phone: &str,
    now: Now,
) -> Result<Option<Live>> {
    sql.prepare_cached(
        "UPDATE leg SET taken_ms = ?3, status = 200 WHERE id =
           (SELECT max(id) FROM leg WHERE call = ?1 AND phone = ?2) AND taken_ms IS NULL",
    )?
    .execute(params![Id(call), phone, ms(now.wall)])?;
    changed(sql, call)
}

/// It no longer does.
pub(super) fn left(sql: &Connection, call: CallId, phone: &str, now: Now) -> Result<Option<Live>> {
    sql.prepare_cached(
        "UPDATE leg SET ended_ms = ?3 WHERE id = (SELECT min(id) FROM leg
           WHERE call = ?1 AND phone = ?2 AND taken_ms IS NOT NULL AND ended_ms IS NULL)",
    )?
    .execute(params![Id(call), phone, ms(now.wall)])?;
    changed(sql, call)
}

pub(super) fn not_taken(
    sql: &Connection,
    call: CallId,
    phone: &str,
    status: u16,
    now: Now,
) -> Result<Option<Live>> {
    sql.prepare_cached(
        "UPDATE leg SET ended_ms = ?3, status = ?4 WHERE id =
           (SELECT max(id) FROM leg WHERE call = ?1 AND phone = ?2) AND ended_ms IS NULL",
    )?
    .execute(params![Id(call), phone, ms(now.wall), status])?;
    changed(sql, call)
}

pub(super) fn answered(
    sql: &Connection,
    call: CallId,
    phone: &str,
    now: Now,
) -> Result<Option<Live>> {
    sql.prepare_cached(
        "UPDATE call SET state = 'in_call', answered_ms = ?2, answered_mono = ?3, answered_by = ?4
         WHERE id = ?1 AND state = 'ringing'",
    )?
    .execute(params![Id(call), ms(now.wall), mono(now), phone])?;
    joined(sql, call, phone, now)
}

/// What is known of its end counts for more than that it was taken to be interrupted.
pub(super) fn ended(
    sql: &Connection,
    call: CallId,
    disposition: Disposition,
    by: Option<Party>,
    status: u16,
    why: &str,
    now: Now,
) -> Result<Option<Live>> {
    sql.prepare_cached(
        "UPDATE call SET state = 'ended', ended_ms = ?2, ended_mono = ?3, disposition = ?4,
           ended_by = ?5, status = ?6, why = ?7 WHERE id = ?1
             AND (state <> 'ended' OR disposition = 'interrupted' AND ?4 <> 'interrupted')",
    )?
    .execute(params![
        Id(call),
        ms(now.wall),
        mono(now),
        name(disposition),
        by.map(party_name),
        status,
        why,
    ])?;
    sql.prepare_cached("UPDATE leg SET ended_ms = ?2 WHERE call = ?1 AND ended_ms IS NULL")?
        .execute(params![Id(call), ms(now.wall)])?;
    changed(sql, call)
}

pub(super) fn party_name(party: Party) -> &'static str {
    match party {
        Party::Caller => "caller",
        Party::Officer => "officer",
        Party::Leader => "leader",
        Party::Prompt => "prompt",
    }
}
