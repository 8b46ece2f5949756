//! The outbox of the quiet channels: owed with the flag, claimed with a lease, settled once.

mod owed;

pub(super) use owed::{handed_over, raised, withdrawn};

use super::Store;
use super::audit::{self, Actor};
use super::error::Result;
use super::text::{Id, Ms, Named, moment, mono, ms, name};
use super::writer::Tx;
use crate::duty::escalation::{Moment, State};
use crate::duty::ids::{DeliveryId, EntryId, EscalationId};
use crate::duty::journal::Urgency;
use crate::duty::notices::{
    Channel, Delivery, Ending, Item, Progress, Queue, Step, Try, Verdict, What, decide,
};
use crate::io::status::Live;
use crate::protocol::now::{Deadline, Now, earlier};
use chrono::{DateTime, TimeDelta, Utc};
use owed::{owe, set_channels};
use rusqlite::{Connection, OptionalExtension, params};
use std::time::Duration;

/// Steps in one look at a channel before the others have their turn.
const STEPS: usize = 16;

/// The rule by which the system speaks to channels (I-14).
const RULE: &str = "channels";

/// A message to be sent now: its tries are written down.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outgoing {
    /// The same over all tries: what gets it twice can tell.
    pub name: DeliveryId,
    /// How often it was tried before.
    pub nth: usize,
    pub tries: Vec<(DeliveryId, u32)>,
    pub what: What,
    /// For him alone.
    pub person: Option<String>,
    pub items: Vec<Item>,
    /// Of the first of them.
    pub matter: Matter,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Matter {
    pub escalation: EscalationId,
    pub entry: EntryId,
    pub raised: DateTime<Utc>,
}

/// What one look at a channel came to. It is committed: send it, then look again.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Look {
    pub send: Option<Outgoing>,
    /// When to look again, unless woken earlier.
    pub until: Option<Deadline>,
    /// Why nothing more is sent this way until the next start.
    pub closed: Option<String>,
    /// Why something has failed for good.
    pub failed: Option<&'static str>,
    pub live: Vec<Live>,
}

impl Store {
    /// The channels of the configuration take the place of those of the last run. What was in
    /// flight when that ended is tried again; a channel that is new is told of what is open. Call it
    /// once, before they are served.
    pub async fn set_channels(&self, channels: Vec<Channel>, now: Now) -> Result<()> {
        self.write(move |tx| set_channels(tx, &channels, now)).await
    }

    /// Decides what a channel needs now, and writes each try down before it is made.
    pub fn next_notice(
        &self,
        channel: &Channel,
        now: Now,
    ) -> impl Future<Output = Result<Look>> + Send + use<> {
        let channel = channel.clone();
        self.write(move |tx| look(tx, &channel, now))
    }

    /// How a message fared.
    pub fn notice_ended(
        &self,
        channel: &Channel,
        tries: Vec<(DeliveryId, u32)>,
        verdict: Verdict,
        now: Now,
    ) -> impl Future<Output = Result<()>> + Send + use<> {
        let channel = channel.name.clone();
        self.write(move |tx| ended(tx.sql, &channel, &tries, &verdict, now))
    }
}

fn look(tx: &mut Tx<'_>, channel: &Channel, now: Now) -> Result<Look> {
    let mut look = Look { closed: closed(tx.sql, &channel.name)?, ..Look::default() };
    if look.closed.is_some() {
        give_up(tx.sql, &channel.name, now)?;
        return Ok(look);
    }
    for _ in 0..STEPS {
        let queue = load(tx.sql, channel, now)?;
        match decide(&queue, channel, now) {
            Step::Lost(tries) => {
                tracing::warn!(channel = channel.name, "nothing was heard of a message: again");
                let why = "nothing was heard of it";
                end_tries(tx.sql, &tries, Ending::Lost, (why, None), now)?;
            }
            Step::Settle(over) => {
                for (id, progress, why) in over {
                    if progress == Progress::Failed {
                        look.failed = Some(why);
                    }
                    look.live.extend(settle(tx.sql, &channel.name, id, progress, why, now)?);
                }
            }
            Step::Repeat(matters) => {
                for escalation in matters {
                    let urgency = urgency(tx.sql, escalation)?;
                    owe(tx, escalation, &channel.name, What::Repeat, urgency, now)?;
                }
            }
            Step::Send(ids) => {
                let outgoing = claim(tx.sql, channel, &queue, &ids, now)?;
                look.live.push(Live::Escalation { entry: outgoing.matter.entry });
                look.send = Some(outgoing);
                return Ok(look);
            }
            Step::Wait(until) => {
                look.until = until;
                return Ok(look);
            }
        }
    }
    look.until = earlier(look.until, Some((now.mono, "more is to be decided")));
    Ok(look)
}

fn closed(sql: &Connection, channel: &str) -> Result<Option<String>> {
    Ok(sql
        .prepare_cached("SELECT why FROM channel WHERE name = ?1 AND closed_ms IS NOT NULL")?
        .query_row([channel], |row| row.get(0))
        .optional()?)
}

/// What waits for a channel that is closed has failed.
fn give_up(sql: &Connection, channel: &str, now: Now) -> Result<()> {
    sql.prepare_cached(
        "UPDATE delivery SET progress = 'failed', why = 'the channel is closed', settled_ms = ?2
         WHERE channel = ?1 AND progress = 'waiting'
           AND NOT EXISTS (SELECT 1 FROM delivery_try t
             WHERE t.delivery = delivery.id AND t.ended_ms IS NULL)",
    )?
    .execute(params![channel, ms(now.wall)])?;
    Ok(())
}

fn urgency(sql: &Connection, escalation: EscalationId) -> Result<Urgency> {
    Ok(sql
        .prepare_cached("SELECT urgency FROM escalation WHERE id = ?1")?
        .query_row([Id(escalation)], |row| Ok(row.get::<_, Named<Urgency>>(0)?.0))?)
}

/// Costs as much as waits or is open, however much is over. The escalation's state is read here, in
/// the transaction that claims: what was acknowledged a moment ago is not sent.
const WAITING: &str = "
  SELECT d.id, d.escalation, e.state, d.urgency, iif(d.handed_over, 'handed_over', d.what),
    d.made_ms, d.made_mono, d.progress, d.person
  FROM delivery d JOIN escalation e ON e.id = d.escalation
  WHERE d.channel = ?1 AND d.escalation IN (
    SELECT escalation FROM delivery WHERE channel = ?1 AND progress = 'waiting'
    UNION SELECT id FROM escalation WHERE state = 'open')
  ORDER BY d.seq";

fn load(sql: &Connection, channel: &Channel, now: Now) -> Result<Queue> {
    let mut rows = sql.prepare_cached(WAITING)?;
    let rows = rows.query_map([&channel.name], |row| {
        Ok(Delivery {
            id: row.get::<_, Id<DeliveryId>>(0)?.0,
            escalation: row.get::<_, Id<EscalationId>>(1)?.0,
            matter: match row.get_ref(2)?.as_str()? {
                "open" => State::Open,
                "withdrawn" => State::Withdrawn,
                _ => State::Acknowledged,
            },
            urgency: row.get::<_, Named<Urgency>>(3)?.0,
            what: row.get::<_, Named<What>>(4)?.0,
            made: moment(row.get(5)?, row.get(6)?),
            progress: row.get::<_, Named<Progress>>(7)?.0,
            person: row.get(8)?,
            tries: vec![],
        })
    })?;
    let mut deliveries = rows.collect::<Result<Vec<_>, _>>()?;
    for delivery in &mut deliveries {
        delivery.tries = tries(sql, delivery.id)?;
    }
    let reach = TimeDelta::from_std(channel.kind.quota().reach()).unwrap_or(TimeDelta::zero());
    let mut sent = sql.prepare_cached(
        "SELECT started_ms, started_mono FROM delivery_try
         WHERE channel = ?1 AND message = delivery AND started_ms > ?2 ORDER BY started_ms",
    )?;
    let from = ms(now.wall - reach);
    let sent =
        sent.query_map(params![channel.name, from], |row| Ok(moment(row.get(0)?, row.get(1)?)))?;
    // One that lies in the future was written before the clock was set back.
    let past = |at: &Moment| at.wall <= now.wall;
    let mut sent = sent.collect::<Result<Vec<_>, _>>()?;
    sent.retain(past);
    Ok(Queue { deliveries, sent })
}

fn tries(sql: &Connection, delivery: DeliveryId) -> Result<Vec<Try>> {
    let mut rows = sql.prepare_cached(
        "SELECT no, started_ms, started_mono, ended_ms, ended_mono, ending, after_ms
         FROM delivery_try WHERE delivery = ?1 ORDER BY no",
    )?;
    let rows = rows.query_map([Id(delivery)], |row| {
        let ended = match row.get::<_, Option<Ms>>(3)? {
            Some(at) => {
                let after = row.get::<_, Option<i64>>(6)?;
                let after = after.map(|ms| Duration::from_millis(ms.unsigned_abs()));
                let ending = Ending::from_name(row.get_ref(5)?.as_str()?, after);
                Some((moment(at, row.get(4)?), ending.unwrap_or(Ending::Unknown)))
            }
            None => None,
        };
        Ok(Try { no: row.get(0)?, started: moment(row.get(1)?, row.get(2)?), ended })
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}

fn claim(
    sql: &Connection,
    channel: &Channel,
    queue: &Queue,
    ids: &[DeliveryId],
    now: Now,
) -> Result<Outgoing> {
    let chosen: Vec<&Delivery> =
        ids.iter().filter_map(|id| queue.deliveries.iter().find(|one| one.id == *id)).collect();
    let first = chosen.first().ok_or_else(|| {
        super::StoreError::Bug("a message of no delivery was decided on".to_owned())
    })?;
    let mut items: Vec<Item> = vec![];
    let mut tries = vec![];
    for one in &chosen {
        let no = one.tries.last().map_or(1, |last| last.no + 1);
        sql.prepare_cached(
            "INSERT INTO delivery_try (delivery, no, channel, message, started_ms, started_mono)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
        )?
        .execute(params![
            Id(one.id),
            no,
            channel.name,
            Id(first.id),
            ms(now.wall),
            mono(now)
        ])?;
        tries.push((one.id, no));
        let (number, drill): (String, bool) = sql
            .prepare_cached(
                "SELECT n.number, EXISTS (SELECT 1 FROM exercise x WHERE x.entry = e.entry)
                 FROM escalation e JOIN entry n ON n.id = e.entry WHERE e.id = ?1",
            )?
            .query_row([Id(one.escalation)], |row| Ok((row.get(0)?, row.get(1)?)))?;
        if items.iter().all(|item| item.number != number) {
            items.push(Item { number, urgency: one.urgency, drill });
        }
    }
    let matter = sql
        .prepare_cached("SELECT entry, raised_ms FROM escalation WHERE id = ?1")?
        .query_row([Id(first.escalation)], |row| {
            Ok(Matter {
                escalation: first.escalation,
                entry: row.get::<_, Id<EntryId>>(0)?.0,
                raised: row.get::<_, Ms>(1)?.0,
            })
        })?;
    let (name, what, nth) = (first.id, first.what, first.tries.len());
    let person = first.person.clone();
    Ok(Outgoing { name, nth, tries, what, person, items, matter })
}

fn ended(
    sql: &Connection,
    channel: &str,
    tries: &[(DeliveryId, u32)],
    verdict: &Verdict,
    now: Now,
) -> Result<()> {
    let id = match verdict {
        Verdict::Accepted { id } => id.as_deref(),
        Verdict::Retry { .. }
        | Verdict::Unknown { .. }
        | Verdict::Permanent { .. }
        | Verdict::Gone { .. } => None,
    };
    end_tries(sql, tries, verdict.ending(), (verdict.why(), id), now)?;
    if let Verdict::Gone { why } = verdict {
        let closed = sql
            .prepare_cached(
                "UPDATE channel SET closed_ms = ?2, why = ?3 WHERE name = ?1 AND closed_ms IS NULL",
            )?
            .execute(params![channel, ms(now.wall), why])?;
        if closed > 0 {
            audit::append(sql, now, &Actor::system(RULE), "channel.close", channel, why)?;
        }
    }
    Ok(())
}

/// Fenced: a try that was given up as lost keeps that ending.
fn end_tries(
    sql: &Connection,
    tries: &[(DeliveryId, u32)],
    ending: Ending,
    (why, provider_id): (&str, Option<&str>),
    now: Now,
) -> Result<()> {
    let after = match ending {
        Ending::Retry { after } => after.and_then(|after| i64::try_from(after.as_millis()).ok()),
        Ending::Accepted | Ending::Unknown | Ending::Permanent | Ending::Gone | Ending::Lost => {
            None
        }
    };
    for (delivery, no) in tries {
        sql.prepare_cached(
            "UPDATE delivery_try SET ended_ms = ?3, ended_mono = ?4, ending = ?5, after_ms = ?6,
               why = ?7, provider_id = ?8 WHERE delivery = ?1 AND no = ?2 AND ended_ms IS NULL",
        )?
        .execute(params![
            Id(*delivery),
            no,
            ms(now.wall),
            mono(now),
            ending.name(),
            after,
            why,
            provider_id
        ])?;
    }
    Ok(())
}

fn settle(
    sql: &Connection,
    channel: &str,
    id: DeliveryId,
    progress: Progress,
    why: &str,
    now: Now,
) -> Result<Option<Live>> {
    let of: Option<(Id<EscalationId>, Id<EntryId>, String)> = sql
        .prepare_cached(
            "UPDATE delivery SET progress = ?2, why = ?3, settled_ms = ?4
             WHERE id = ?1 AND progress = 'waiting'
             RETURNING escalation, (SELECT entry FROM escalation e WHERE e.id = escalation),
               iif(handed_over, 'handed_over', what)",
        )?
        .query_row(params![Id(id), name(progress), why, ms(now.wall)], |row| {
            Ok((row.get(0)?, row.get(1)?, row.get(2)?))
        })
        .optional()?;
    let Some((Id(escalation), Id(entry), what)) = of else { return Ok(None) };
    let action = format!("notice.{}", name(progress));
    let detail = format!("{what} {channel}");
    audit::append(sql, now, &Actor::system(RULE), &action, &escalation.to_string(), &detail)?;
    Ok(Some(Live::Escalation { entry }))
}

#[cfg(test)]
mod tests;
