//! What each party's voice channel carried, and how the party was heard.

use super::calls::{changed, party_name};
use super::error::Result;
use super::text::{Id, Ms, Named, count, instant, ms};
use crate::duty::ids::CallId;
use crate::duty::journal::Fact;
use crate::io::status::Live;
use crate::protocol::now::Now;
use crate::protocol::rtp::Party;
use crate::protocol::rtp::quality::{Far, Judgement, Mos, Quality, Tally};
use chrono::{DateTime, Utc};
use rusqlite::{Connection, Row, params};
use serde::{Deserialize, Serialize};

/// How a party was heard on one channel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct VoiceRow {
    pub party: Party,
    /// When the channel was closed.
    pub to: DateTime<Utc>,
    pub quality: Quality,
}

/// [`Party`] as its column has it.
#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum PartyName {
    Caller,
    Officer,
    Leader,
    Prompt,
}

impl From<PartyName> for Party {
    fn from(name: PartyName) -> Self {
        match name {
            PartyName::Caller => Party::Caller,
            PartyName::Officer => Party::Officer,
            PartyName::Leader => Party::Leader,
            PartyName::Prompt => Party::Prompt,
        }
    }
}

pub(super) fn carried(sql: &Connection, fact: &Fact, now: Now) -> Result<Option<Live>> {
    let Fact::Carried { call, party, counts, quality } = fact else { return Ok(None) };
    let (call, party) = (*call, *party);
    let Some(live) = changed(sql, call)? else { return Ok(None) };
    sql.prepare_cached(
        "INSERT OR IGNORE INTO carried
           (call, party, closed_ms, received, sent, lost, strangers, untaped)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
    )?
    .execute(params![
        Id(call),
        party_name(party),
        ms(now.wall),
        count(counts.received),
        count(counts.sent),
        count(counts.lost),
        count(counts.strangers),
        count(counts.untaped),
    ])?;
    if let Some(quality) = quality {
        heard(sql, call, party, quality, now)?;
    }
    Ok(Some(live))
}

fn heard(
    sql: &Connection,
    call: CallId,
    party: Party,
    Quality { since, tally, mos, far }: &Quality,
    now: Now,
) -> Result<()> {
    sql.prepare_cached(
        "INSERT OR IGNORE INTO quality (call, party, from_ms, to_ms, expected, received, lost, gaps,
           late, reordered, doubled, jitter_us, jitter_most_us, mos_latest, mos_mean, mos_worst,
           worst_ms, rtt_us, far_lost, far_jitter_us)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18,
           ?19, ?20)",
    )?
    .execute(params![
        Id(call),
        party_name(party),
        ms(*since),
        ms(now.wall),
        count(tally.expected),
        count(tally.received),
        count(tally.lost),
        count(tally.gaps),
        count(tally.late),
        count(tally.reordered),
        count(tally.doubled),
        tally.jitter_us,
        tally.jitter_most_us,
        mos.map(|mos| mos.latest.0),
        mos.map(|mos| mos.mean.0),
        mos.map(|mos| mos.worst.0),
        mos.map(|mos| ms(mos.worst_at)),
        far.and_then(|far| far.rtt_us),
        far.map(|far| far.lost),
        far.map(|far| far.jitter_us),
    ])?;
    Ok(())
}

/// Of everybody who was heard, in order.
pub(super) fn rows(sql: &Connection, call: CallId) -> Result<Vec<VoiceRow>> {
    let mut rows = sql.prepare_cached(
        "SELECT party, from_ms, to_ms, expected, received, lost, gaps, late, reordered, doubled,
           jitter_us, jitter_most_us, mos_latest, mos_mean, mos_worst, worst_ms, rtt_us, far_lost,
           far_jitter_us
         FROM quality WHERE call = ?1 ORDER BY from_ms, party",
    )?;
    let rows = rows.query_map([Id(call)], row)?;
    Ok(rows.collect::<Result<_, _>>()?)
}

fn row(row: &Row<'_>) -> rusqlite::Result<VoiceRow> {
    let sum = |column| Ok::<_, rusqlite::Error>(row.get::<_, i64>(column)?.unsigned_abs());
    let tally = Tally {
        expected: sum(3)?,
        received: sum(4)?,
        lost: sum(5)?,
        gaps: sum(6)?,
        late: sum(7)?,
        reordered: sum(8)?,
        doubled: sum(9)?,
        jitter_us: row.get(10)?,
        jitter_most_us: row.get(11)?,
    };
    let mos = match (row.get::<_, Option<u16>>(12)?, instant(row, 15)?) {
        (Some(latest), Some(worst_at)) => Some(Judgement {
            latest: Mos(latest),
            mean: Mos(row.get(13)?),
            worst: Mos(row.get(14)?),
            worst_at,
        }),
        (Some(_) | None, _) => None,
    };
    let far = match row.get::<_, Option<u32>>(17)? {
        Some(lost) => Some(Far { rtt_us: row.get(16)?, lost, jitter_us: row.get(18)? }),
        None => None,
    };
    Ok(VoiceRow {
        party: row.get::<_, Named<PartyName>>(0)?.0.into(),
        to: row.get::<_, Ms>(2)?.0,
        quality: Quality { since: row.get::<_, Ms>(1)?.0, tally, mos, far },
    })
}
