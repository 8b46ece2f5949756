//! Recordings (domain §4.3.3): bound to their call, never changed once sealed (I-3).

use super::audit::{self, Actor};
use super::error::Result;
use super::hour_meter;
use super::text::{Id, Ms, count, json, ms};
use super::{Store, Who};
use crate::duty::ids::{CallId, EntryId};
use crate::protocol::now::Now;
use crate::protocol::rtp::sound::Fault;
use chrono::{DateTime, Utc};
use rusqlite::{Connection, OptionalExtension, Row, params};
use serde::{Deserialize, Serialize};
use std::path::PathBuf;
use std::time::Duration;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RecordingState {
    /// 录制中
    Recording,
    /// 收尾
    Finalizing,
    /// 已存妥
    Sealed,
    /// 不完整: sealed, but cut short; the reason says why.
    Partial,
    /// 缺失: there is none; the reason says why.
    Missing,
    /// 待清除: two people have agreed to destroy it, and it is not gone yet.
    GivenUp,
    /// 已销毁
    Destroyed,
}

/// Silence where packets are missing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Gap {
    pub party: String,
    pub from_ms: u64,
    pub lasts_ms: u64,
    /// So many packets came, and were lost to the recorder alone; of old recordings not known.
    #[serde(default, skip_serializing_if = "is_none")]
    pub untaped: u64,
}

fn is_none(packets: &u64) -> bool {
    *packets == 0
}

/// A key that somebody pressed while it was recorded.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Key {
    pub party: String,
    pub at_ms: u64,
    pub key: char,
}

/// Something in it that is no voice, or hardly one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    pub party: String,
    pub fault: Fault,
    pub from_ms: u64,
    pub lasts_ms: u64,
}

/// A finished recording.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Sealed {
    pub wav: PathBuf,
    pub tape: Option<PathBuf>,
    /// SHA-256 of the WAV, in hexadecimal.
    pub sha256: String,
    /// SHA-256 of the tape, in hexadecimal.
    pub tape_sha256: Option<String>,
    pub bytes: u64,
    pub duration: Duration,
    /// The moment of its first sample.
    pub started: Option<DateTime<Utc>>,
    pub gaps: Vec<Gap>,
    pub keys: Vec<Key>,
    pub findings: Vec<Finding>,
    /// Why it is not whole, where it is not.
    pub interrupted: Option<String>,
}

pub(super) fn begin(sql: &Connection, call: CallId, now: Now) -> Result<()> {
    sql.prepare_cached(
        "INSERT INTO recording (call, state, started_ms)
         SELECT id, 'recording', ?2 FROM call WHERE id = ?1 ON CONFLICT (call) DO NOTHING",
    )?
    .execute(params![Id(call), ms(now.wall)])?;
    Ok(())
}

pub(super) fn finalize(sql: &Connection, call: CallId) -> Result<()> {
    sql.prepare_cached(
        "UPDATE recording SET state = 'finalizing' WHERE call = ?1 AND state = 'recording'",
    )?
    .execute([Id(call)])?;
    Ok(())
}

pub(super) fn seal(sql: &Connection, call: CallId, sealed: &Sealed, now: Now) -> Result<bool> {
    begin(sql, call, now)?;
    let state = if sealed.interrupted.is_some() { "partial" } else { "sealed" };
    let duration = i64::try_from(sealed.duration.as_millis()).unwrap_or(i64::MAX);
    let bound = sql
        .prepare_cached(
            "UPDATE recording SET state = ?2, wav = ?3, tape = ?4, bytes = ?5, duration_ms = ?6,
               digest = ?7, gaps = ?8, sealed_ms = ?9, reason = ?10, tape_digest = ?11,
               keys = ?12, findings = ?13, started_ms = coalesce(?14, started_ms)
             WHERE call = ?1 AND digest IS NULL",
        )?
        .execute(params![
            Id(call),
            state,
            sealed.wav.to_string_lossy(),
            sealed.tape.as_ref().map(|tape| tape.to_string_lossy()),
            count(sealed.bytes),
            duration,
            sealed.sha256,
            json(&sealed.gaps)?,
            ms(now.wall),
            sealed.interrupted.as_deref().unwrap_or(""),
            sealed.tape_sha256,
            json(&sealed.keys)?,
            json(&sealed.findings)?,
            sealed.started.map(ms),
        ])?;
    if bound > 0 {
        sql.prepare_cached("INSERT INTO recording_age (call, count_ms) VALUES (?1, ?2)")?
            .execute(params![Id(call), hour_meter::note(sql, now)?])?;
        let actor = Actor::system("I-2");
        audit::append(sql, now, &actor, "recording.seal", &call.to_string(), &sealed.sha256)?;
    }
    Ok(bound > 0)
}

pub(super) fn miss(sql: &Connection, call: CallId, reason: &str, now: Now) -> Result<bool> {
    begin(sql, call, now)?;
    let missed = sql
        .prepare_cached(
            "UPDATE recording SET state = 'missing', reason = ?2
             WHERE call = ?1 AND digest IS NULL",
        )?
        .execute(params![Id(call), reason])?;
    Ok(missed > 0)
}

/// Where the files of a recording are; none where there is none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeptFiles {
    pub call: CallId,
    pub wav: Option<PathBuf>,
    pub tape: Option<PathBuf>,
}

const KEPT: &str = "
  SELECT r.call,
    iif(EXISTS (SELECT 1 FROM given_up d WHERE d.call = r.call), NULL,
      coalesce((SELECT f.path FROM flac f WHERE f.call = r.call), r.wav)),
    iif(EXISTS (SELECT 1 FROM given_up d WHERE d.call = r.call), NULL, r.tape)
  FROM recording r WHERE NOT EXISTS (SELECT 1 FROM gone g WHERE g.call = r.call)";

fn kept(row: &Row<'_>) -> rusqlite::Result<KeptFiles> {
    let path = |column| row.get::<_, Option<String>>(column).map(|path| path.map(PathBuf::from));
    Ok(KeptFiles { call: row.get::<_, Id<CallId>>(0)?.0, wav: path(1)?, tape: path(2)? })
}

/// What the player needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordingFile {
    pub wav: PathBuf,
    pub sha256: String,
    pub sealed: DateTime<Utc>,
}

impl Store {
    /// Binds a sealed WAV to its call. `false`: the call is unknown, or its recording was sealed
    /// before and stays as it was.
    pub async fn recording_sealed(&self, call: CallId, sealed: Sealed, now: Now) -> Result<bool> {
        self.write(move |tx| seal(tx.sql, call, &sealed, now)).await
    }

    /// Says why there is no recording of an answered call (I-2).
    pub async fn recording_missing(&self, call: CallId, reason: &str, now: Now) -> Result<bool> {
        let reason = reason.to_owned();
        self.write(move |tx| miss(tx.sql, call, &reason, now)).await
    }

    /// Of the recordings of the calls after this one, in their order; what is gone has no file to know.
    pub async fn kept_files(&self, after: Option<CallId>, most: u32) -> Result<Vec<KeptFiles>> {
        self.read(move |sql| {
            let query = format!("{KEPT} AND r.call > ?1 ORDER BY r.call LIMIT ?2");
            let mut rows = sql.prepare_cached(&query)?;
            let after = after.map_or_else(String::new, |call| call.to_string());
            let rows = rows.query_map(params![after, most], kept)?;
            Ok(rows.collect::<rusqlite::Result<_>>()?)
        })
        .await
    }

    /// The files of this call that are to be there now.
    pub async fn kept_files_of(&self, call: CallId) -> Result<Option<KeptFiles>> {
        self.read(move |sql| {
            let query = format!("{KEPT} AND r.call = ?1");
            Ok(sql.prepare_cached(&query)?.query_row([Id(call)], kept).optional()?)
        })
        .await
    }

    /// When the last recording that is whole and a voice throughout was sealed; who only listened on our side is no
    /// fault of it.
    pub async fn last_good_recording(&self) -> Result<Option<DateTime<Utc>>> {
        self.read(|sql| {
            let mut row = sql.prepare_cached(
                "SELECT sealed_ms FROM recording
                 WHERE state = 'sealed' AND duration_ms >= 2000 AND NOT EXISTS
                   (SELECT 1 FROM json_each(findings)
                    WHERE value ->> 'fault' <> 'muted' OR value ->> 'party' = 'caller')
                 ORDER BY call DESC LIMIT 1",
            )?;
            Ok(row.query_row([], |row| row.get::<_, Ms>(0)).optional()?.map(|at| at.0))
        })
        .await
    }

    /// Calls whose recording is not bound yet: to be sealed from the tape, or said to be missing.
    pub async fn recordings_unsealed(&self) -> Result<Vec<CallId>> {
        self.read(|sql| {
            let mut rows = sql.prepare_cached(
                "SELECT call FROM recording WHERE state IN ('recording', 'finalizing')
                 ORDER BY started_ms",
            )?;
            let calls = rows.query_map([], |row| row.get::<_, Id<CallId>>(0))?;
            calls.map(|call| Ok(call?.0)).collect()
        })
        .await
    }

    /// Somebody listens again to the last of a call that goes on: that is audited.
    pub async fn recording_recalled(
        &self,
        who: &Who,
        call: CallId,
        length: Duration,
        now: Now,
    ) -> Result<()> {
        let actor = Actor::from(who);
        let detail = format!("{} s", length.as_secs());
        self.write(move |tx| {
            audit::append(tx.sql, now, &actor, "recording.recall", &call.to_string(), &detail)
        })
        .await
    }

    /// Somebody begins to listen to a call that goes on, and why; or has listened for so long: that is audited.
    pub async fn recording_overheard(
        &self,
        who: &Who,
        call: CallId,
        why: &str,
        lasted: Option<Duration>,
        now: Now,
    ) -> Result<()> {
        let actor = Actor::from(who);
        let (action, detail) = match lasted {
            None => ("recording.listen", why.to_owned()),
            Some(lasted) => ("recording.listened", format!("{} s", lasted.as_secs())),
        };
        self.write(move |tx| audit::append(tx.sql, now, &actor, action, &call.to_string(), &detail))
            .await
    }

    /// The call is over and its recording not bound yet.
    pub async fn recording_is_coming(&self, call: CallId) -> Result<bool> {
        self.read(move |sql| {
            Ok(sql
                .prepare_cached(
                    "SELECT 1 FROM recording r JOIN call c ON c.id = r.call
                     WHERE r.call = ?1 AND r.digest IS NULL AND r.state <> 'missing'
                       AND c.state = 'ended'",
                )?
                .exists([Id(call)])?)
        })
        .await
    }

    /// Of a call to a leader: the entry that it was about.
    pub async fn entry_of_attempt(&self, call: CallId) -> Result<Option<EntryId>> {
        self.read(move |sql| {
            Ok(sql
                .prepare_cached(
                    "SELECT e.entry FROM attempt a JOIN escalation e ON e.id = a.escalation
                     WHERE a.id = ?1",
                )?
                .query_row([Id(call)], |row| Ok(row.get::<_, Id<EntryId>>(0)?.0))
                .optional()?)
        })
        .await
    }

    /// Somebody listens to a recording, or to that copy of it, and why: that is audited.
    pub async fn recording_played(
        &self,
        who: &Who,
        (call, copy): (CallId, Option<i64>),
        why: &str,
        now: Now,
    ) -> Result<()> {
        let actor = Actor::from(who);
        let (action, detail) = match copy {
            None => ("recording.play", why.to_owned()),
            Some(copy) => ("recording.play_derived", format!("{copy} {why}").trim().to_owned()),
        };
        self.write(move |tx| audit::append(tx.sql, now, &actor, action, &call.to_string(), &detail))
            .await
    }
}
