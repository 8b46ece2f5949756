//! Recordings that are on the disk and not in the log, as where it was put back from a backup: bound to their calls, which
//! are made anew where the log lacks them.

use super::audit::{self, Actor};
use super::error::Result;
use super::flac::{self, AsFlac};
use super::numbers::{self, Kind};
use super::recordings::{self, Sealed};
use super::text::{Id, count, ms};
use super::{Store, lacking};
use crate::duty::ids::{CallId, EntryId};
use crate::protocol::now::Now;
use chrono::{DateTime, Utc};
use rusqlite::{Connection, OptionalExtension, params};
use std::time::Duration;

/// The rule by which it is bound (I-14).
const RULE: &str = "orphans";
const SUBJECT: &str =
    "录音在盘上，值班记录里没有这个通话（服务中断，或记录从备份恢复），请听录音后补登";
const OF_A_LEADER: &str = "呼叫领导的录音在盘上，值班记录里没有这个通话（服务中断，或记录从备份恢复），请听录音后补登到原事项";
const WHY: &str = "the log lacks what happened then; the call is known by its recording alone";
/// About a stretch of which the log says that it may lack something.
const ABOUT: i64 = 600_000;
/// Why a recording is not bound yet, and why there is none.
pub(super) const SOUGHT: &str = "值班记录从备份恢复，正在录音目录中查找 · the log was put back from a backup: the file is looked for";
const NOT_THERE: &str = "值班记录从备份恢复，录音目录中没有它的文件，请查备份和第二份 · the log was put back from a backup, and no file of it is in the recordings' folder: look into backups and the second copy";

/// What the tape of a call says of it.
#[derive(Debug, Clone)]
pub struct Found {
    pub call: CallId,
    /// It is a call to a leader.
    pub to_leader: bool,
    pub began: DateTime<Utc>,
    pub lasted: Duration,
    /// Or why nothing can be heard.
    pub sealed: std::result::Result<Sealed, String>,
}

/// A call whose recording is not bound.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unbound {
    Known,
    Unknown,
}

impl Store {
    /// Which of these calls have no recording in the log yet, and do not go on; of those that it does not know, only what it
    /// may lack.
    pub async fn unbound(&self, calls: Vec<CallId>) -> Result<Vec<(CallId, Unbound)>> {
        self.read(move |sql| {
            let mut found = vec![];
            for call in calls {
                found.extend(unbound(sql, call)?.map(|how| (call, how)));
            }
            Ok(found)
        })
        .await
    }

    /// Binds it, where nothing else is bound to its call and that does not go on.
    pub async fn recording_found(&self, found: Found, now: Now) -> Result<bool> {
        self.write(move |tx| {
            let call = found.call;
            match unbound(tx.sql, call)? {
                None => return Ok(false),
                Some(Unbound::Unknown) => enter(tx.sql, &found, now)?,
                Some(Unbound::Known) => {}
            }
            let (bound, what) = match &found.sealed {
                Ok(sealed) => {
                    (recordings::seal(tx.sql, call, sealed, now)?, sealed.wav.display().to_string())
                }
                Err(why) => (recordings::miss(tx.sql, call, why, now)?, why.clone()),
            };
            if bound {
                let actor = Actor::system(RULE);
                audit::append(tx.sql, now, &actor, "recording.find", &call.to_string(), &what)?;
            }
            Ok(bound)
        })
        .await
    }

    /// Its WAV is gone and this FLAC, which gives it, is there: that is what is kept, also where somebody holds it.
    pub async fn flac_found(&self, call: CallId, flac: AsFlac, now: Now) -> Result<bool> {
        self.write(move |tx| {
            let noted = flac::note(tx.sql, call, &flac, "true", now)?;
            if noted {
                let (actor, path) = (Actor::system(RULE), flac.path.display().to_string());
                audit::append(tx.sql, now, &actor, "recording.find", &call.to_string(), &path)?;
            }
            Ok(noted)
        })
        .await
    }

    /// The folder was looked through: what was looked for since the log was put back is not there.
    pub async fn recordings_not_found(&self) -> Result<u64> {
        self.write(|tx| {
            let missed = tx.sql.execute(
                "UPDATE recording SET state = 'missing', reason = ?2
                 WHERE state = 'finalizing' AND reason = ?1 AND digest IS NULL",
                params![SOUGHT, NOT_THERE],
            )?;
            Ok(missed as u64)
        })
        .await
    }
}

fn unbound(sql: &Connection, call: CallId) -> Result<Option<Unbound>> {
    let waits: Option<bool> = sql
        .prepare_cached(
            "SELECT c.state = 'ended' AND (r.call IS NULL OR r.digest IS NULL
                 AND (r.state IN ('recording', 'finalizing') OR r.reason = ?2))
             FROM call c LEFT JOIN recording r ON r.call = c.id WHERE c.id = ?1",
        )?
        .query_row(params![Id(call), NOT_THERE], |row| row.get(0))
        .optional()?;
    Ok(match waits {
        None => may_lack(sql, call)?.then_some(Unbound::Unknown),
        Some(waits) => waits.then_some(Unbound::Known),
    })
}

/// Whether the log itself says that it may lack what happened when this call began: what somebody lays into the folder is no
/// call of ours.
fn may_lack(sql: &Connection, call: CallId) -> Result<bool> {
    let Some(began) = call.0.get_timestamp().map(|at| at.to_unix()) else { return Ok(false) };
    let began = began.0.saturating_mul(1000) + u64::from(began.1 / 1_000_000);
    Ok(sql
        .prepare_cached(
            "SELECT 1 FROM outage WHERE (unlogged OR kind IN ('log', 'service'))
               AND from_ms - ?2 <= ?1 AND coalesce(to_ms, ?1) + ?2 >= ?1",
        )?
        .exists(params![count(began), ABOUT])?)
}

/// Nothing is known of it but when it was and who is heard.
fn enter(sql: &Connection, found: &Found, now: Now) -> Result<()> {
    let &Found { call, to_leader, began, lasted, .. } = found;
    let entry = EntryId::from(call);
    let (direction, subject) = if to_leader { ("to_leader", OF_A_LEADER) } else { ("in", SUBJECT) };
    if !sql.prepare_cached("SELECT 1 FROM entry WHERE id = ?1")?.exists([Id(entry)])? {
        lacking::enter(sql, entry, (began, now), (RULE, subject))?;
    }
    sql.prepare_cached(
        "INSERT INTO call (id, number, entry, direction, state, arrived_ms, arrived_mono,
           answered_ms, answered_mono, answered_by, ended_ms, ended_mono, disposition, status, why)
         VALUES (?1, ?2, ?3, ?4, 'ended', ?5, 0, ?5, 0, '', ?6, ?7, 'answered', 200, ?8)",
    )?
    .execute(params![
        Id(call),
        numbers::next(sql, Kind::Call, began)?,
        Id(entry),
        direction,
        ms(began),
        ms(began + lasted),
        i64::try_from(lasted.as_nanos()).unwrap_or(i64::MAX),
        WHY,
    ])?;
    Ok(())
}
