//! What the pages show of an escalation's quiet channels.

use super::error::Result;
use super::text::{Id, Ms, Named, instant};
use crate::duty::ids::{DeliveryId, EscalationId};
use crate::duty::notices::{Kind, Progress, What};
use chrono::{DateTime, Utc};
use rusqlite::{Connection, params};
use serde::Serialize;

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct NoticeRow {
    pub id: DeliveryId,
    pub channel: String,
    pub kind: Kind,
    pub what: What,
    /// For whom alone; empty: for all that the channel is for.
    pub person: String,
    pub progress: Progress,
    pub why: String,
    pub made: DateTime<Utc>,
    pub settled: Option<DateTime<Utc>>,
    /// Oldest first.
    pub tries: Vec<NoticeTry>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct NoticeTry {
    pub started: DateTime<Utc>,
    pub ended: Option<DateTime<Utc>>,
    pub ending: Option<String>,
    /// A code of ours or of the provider.
    pub why: String,
    /// It has reached the recipient's telephone, which is no word of whether he has seen it.
    pub delivered: bool,
}

/// Deliveries that are shown of one escalation.
const MOST: i64 = 60;

/// Newest first.
pub(super) fn rows(sql: &Connection, escalation: EscalationId) -> Result<Vec<NoticeRow>> {
    let mut rows = sql.prepare_cached(
        "SELECT d.id, d.channel, c.kind,
           iif(d.handed_over, 'handed_over', d.what), d.progress, d.why, d.made_ms, d.settled_ms,
           coalesce(d.person, '')
         FROM delivery d JOIN channel c ON c.name = d.channel
         WHERE d.escalation = ?1 ORDER BY d.seq DESC LIMIT ?2",
    )?;
    let rows = rows.query_map(params![Id(escalation), MOST], |row| {
        Ok(NoticeRow {
            id: row.get::<_, Id<DeliveryId>>(0)?.0,
            channel: row.get(1)?,
            kind: row.get::<_, Named<Kind>>(2)?.0,
            what: row.get::<_, Named<What>>(3)?.0,
            progress: row.get::<_, Named<Progress>>(4)?.0,
            why: row.get(5)?,
            made: row.get::<_, Ms>(6)?.0,
            settled: instant(row, 7)?,
            person: row.get(8)?,
            tries: vec![],
        })
    })?;
    let mut rows = rows.collect::<Result<Vec<_>, _>>()?;
    let mut tries = sql.prepare_cached(
        "SELECT started_ms, ended_ms, ending, why, coalesce(provider_id LIKE '% delivered', 0) FROM delivery_try
         WHERE delivery = ?1 ORDER BY no",
    )?;
    for row in &mut rows {
        let tries = tries.query_map([Id(row.id)], |row| {
            Ok(NoticeTry {
                started: row.get::<_, Ms>(0)?.0,
                ended: instant(row, 1)?,
                ending: row.get(2)?,
                why: row.get(3)?,
                delivered: row.get(4)?,
            })
        })?;
        row.tries = tries.collect::<Result<_, _>>()?;
    }
    Ok(rows)
}
