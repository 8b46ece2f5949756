//! What a channel is owed: with the flag, with its end, and when another leads.

use crate::duty::ids::{DeliveryId, EscalationId};
use crate::duty::journal::Urgency;
use crate::duty::notices::{Channel, What};
use crate::io::store::error::Result;
use crate::io::store::text::{Id, Named, mono, ms, name};
use crate::io::store::writer::Tx;
use crate::protocol::now::Now;
use rusqlite::params;

/// In the place of those of the last run.
pub(super) fn set_channels(tx: &mut Tx<'_>, channels: &[Channel], now: Now) -> Result<()> {
    let sql = tx.sql;
    sql.execute("UPDATE channel SET current = 0, closed_ms = NULL, why = ''", [])?;
    for channel in channels {
        sql.execute(
            "INSERT INTO channel (name, kind, least, current, to_leader) VALUES (?1, ?2, ?3, 1, ?4)
             ON CONFLICT (name) DO UPDATE SET kind = ?2, least = ?3, current = 1, to_leader = ?4",
            params![channel.name, name(channel.kind), name(channel.least), channel.to_leader],
        )?;
    }
    sql.execute(
        "UPDATE delivery_try SET ended_ms = ?1, ended_mono = ?2, ending = 'lost',
           why = 'the daemon stopped' WHERE ended_ms IS NULL",
        params![ms(now.wall), mono(now)],
    )?;
    sql.execute(
        "UPDATE delivery SET progress = 'dropped', why = 'the channel is gone', settled_ms = ?1
         WHERE progress = 'waiting' AND channel IN (SELECT name FROM channel WHERE current = 0)",
        [ms(now.wall)],
    )?;
    catch_up(tx, now)
}

/// A channel to which nothing is or was owed of an open matter is owed a notice of it.
fn catch_up(tx: &mut Tx<'_>, now: Now) -> Result<()> {
    let mut untold = tx.sql.prepare_cached(
        "SELECT e.id, c.name, e.urgency FROM escalation e JOIN channel c ON c.current = 1
         WHERE e.state = 'open' AND (c.least = 'urgent' OR e.urgency = 'critical')
           AND NOT EXISTS (SELECT 1 FROM delivery d WHERE d.escalation = e.id
             AND d.channel = c.name AND d.progress <> 'dropped' AND d.person IS NULL)
           AND NOT EXISTS (SELECT 1 FROM exercise x WHERE x.entry = e.entry AND x.kind <> 'drill')
         ORDER BY e.id",
    )?;
    let untold = untold.query_map([], |row| {
        Ok((
            row.get::<_, Id<EscalationId>>(0)?.0,
            row.get::<_, String>(1)?,
            row.get::<_, Named<Urgency>>(2)?.0,
        ))
    })?;
    for (escalation, channel, urgency) in untold.collect::<Result<Vec<_>, _>>()? {
        owe(tx, escalation, &channel, What::Alert, urgency, now)?;
    }
    Ok(())
}

/// An escalation was raised, or has become more urgent: every channel is owed a notice.
pub(in crate::io::store) fn raised(
    tx: &mut Tx<'_>,
    escalation: EscalationId,
    urgency: Urgency,
    now: Now,
) -> Result<()> {
    let mut channels = tx.sql.prepare_cached(
        "SELECT name FROM channel
         WHERE current = 1 AND closed_ms IS NULL AND (least = 'urgent' OR ?1 = 'critical')",
    )?;
    let channels = channels.query_map([name(urgency)], |row| row.get::<_, String>(0))?;
    for channel in channels.collect::<Result<Vec<_>, _>>()? {
        owe(tx, escalation, &channel, What::Alert, urgency, now)?;
    }
    Ok(())
}

/// Whoever may have been told of it is owed the withdrawal, once.
pub(in crate::io::store) fn withdrawn(
    tx: &mut Tx<'_>,
    escalation: EscalationId,
    now: Now,
) -> Result<()> {
    let mut told = tx.sql.prepare_cached(
        "SELECT DISTINCT d.channel, e.urgency FROM delivery d
           JOIN escalation e ON e.id = d.escalation
           JOIN channel c ON c.name = d.channel AND c.current = 1 AND c.closed_ms IS NULL
         WHERE d.escalation = ?1
           AND EXISTS (SELECT 1 FROM delivery_try t WHERE t.delivery = d.id)",
    )?;
    let told = told.query_map([Id(escalation)], |row| {
        Ok((row.get::<_, String>(0)?, row.get::<_, Named<Urgency>>(1)?.0))
    })?;
    for (channel, urgency) in told.collect::<Result<Vec<_>, _>>()? {
        owe(tx, escalation, &channel, What::Withdrawn, urgency, now)?;
    }
    Ok(())
}

/// 交接: whoever leads now is told where all that was said went to him who led before; and he that it is no longer his,
/// unless he has handed it on himself (esc_75: he gets nothing more).
pub(in crate::io::store) fn handed_over(
    tx: &mut Tx<'_>,
    escalation: EscalationId,
    urgency: Urgency,
    (before, leader): (&str, &str),
    now: Now,
) -> Result<()> {
    let handed_on: bool = tx
        .sql
        .prepare_cached(
            "SELECT EXISTS (SELECT 1 FROM handing WHERE escalation = ?1 AND person = ?2)",
        )?
        .query_row(params![Id(escalation), before], |row| row.get(0))?;
    let mut channels = tx.sql.prepare_cached(
        "SELECT c.name, EXISTS (SELECT 1 FROM delivery d
             WHERE d.escalation = ?1 AND d.channel = c.name AND d.progress = 'waiting'
               AND d.what = 'alert' AND d.person IS NULL
               AND NOT EXISTS (SELECT 1 FROM delivery_try t WHERE t.delivery = d.id))
         FROM channel c WHERE c.current = 1 AND c.closed_ms IS NULL AND c.to_leader
           AND (c.least = 'urgent' OR ?2 = 'critical')",
    )?;
    let channels = channels.query_map(params![Id(escalation), name(urgency)], |row| {
        Ok((row.get::<_, String>(0)?, row.get::<_, bool>(1)?))
    })?;
    for (channel, still_to_come) in channels.collect::<Result<Vec<_>, _>>()? {
        if !still_to_come {
            owe_one(tx, escalation, &channel, (What::Alert, Some(leader)), urgency, now)?;
        }
        if !handed_on {
            owe_one(tx, escalation, &channel, (What::HandedOver, Some(before)), urgency, now)?;
        }
    }
    Ok(())
}

/// To all that the channel is for.
pub(super) fn owe(
    tx: &mut Tx<'_>,
    escalation: EscalationId,
    channel: &str,
    what: What,
    urgency: Urgency,
    now: Now,
) -> Result<()> {
    owe_one(tx, escalation, channel, (what, None), urgency, now)
}

fn owe_one(
    tx: &mut Tx<'_>,
    escalation: EscalationId,
    channel: &str,
    (what, person): (What, Option<&str>),
    urgency: Urgency,
    now: Now,
) -> Result<()> {
    let id = DeliveryId::new(now, tx.random);
    let handed_over = what == What::HandedOver;
    let what = if handed_over { What::Alert } else { what };
    tx.sql
        .prepare_cached(
            "INSERT INTO delivery (id, escalation, channel, what, urgency, made_ms, made_mono,
               person, handed_over)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
        )?
        .execute(params![
            Id(id),
            Id(escalation),
            channel,
            name(what),
            name(urgency),
            ms(now.wall),
            mono(now),
            person,
            handed_over,
        ])?;
    Ok(())
}
