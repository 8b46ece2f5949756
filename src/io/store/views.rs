//! What the pages show: plain values, read in one moment of the log.

use super::bookmarks::{self, BookmarkRow};
use super::callbacks::{self, CallbackRow, CallbackState};
use super::claims::{self, ClaimRow, DivertedRow};
use super::derived::{self, DerivedRow};
use super::error::Result;
use super::escalation_views::{self, EscalationRow, EscalationView};
use super::recordings::{Finding, Gap, Key, RecordingFile, RecordingState};
use super::revisions::{Change, RevisionKind};
use super::stretches::{self, StretchKind, StretchRow};
use super::text::{Id, Ms, Named, Whole, from_json, instant, ms, optional};
use super::voices::{self, VoiceRow};
use super::{Store, entries, fax, outages};
use crate::duty::entry::{Category, EntryState, Field, Form};
use crate::duty::escalation::ExerciseKind;
use crate::duty::ids::{CallId, EntryId};
use crate::duty::journal::{Disposition, Joining, Urgency};
use crate::protocol::sip::claims::ClaimHeader;
use chrono::{DateTime, Utc};
use rusqlite::types::Type;
use rusqlite::{Connection, OptionalExtension, Row, params};
use serde::{Deserialize, Serialize};
use std::path::PathBuf;
use std::time::Duration;

/// One line of the list of entries.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct EntryRow {
    pub id: EntryId,
    /// 记-…
    pub number: String,
    pub occurred: DateTime<Utc>,
    pub state: EntryState,
    pub urgency: Urgency,
    pub category: Option<Category>,
    pub caller_unit: String,
    pub caller_name: String,
    pub caller_phone: String,
    pub subject: String,
    /// The call it is about; `None` for an entry made by hand.
    pub call: Option<CallRow>,
    pub recording: Option<RecordingState>,
    pub callback: Option<CallbackState>,
    /// The latest one.
    pub escalation: Option<EscalationRow>,
    /// 演练, 点名, 号码核实: nothing has happened.
    pub exercise: Option<ExerciseKind>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CallState {
    /// 振铃
    Ringing,
    /// 排队
    Queued,
    /// 留言
    Message,
    /// 通话
    InCall,
    /// 保持
    Held,
    /// 结束
    Ended,
}

impl CallState {
    /// What the column says, and the stretch that is open.
    fn within(self, open: Option<StretchKind>) -> Self {
        match (self, open) {
            (Self::Ringing, Some(StretchKind::Queued)) => Self::Queued,
            (Self::Ringing, Some(StretchKind::Message)) => Self::Message,
            (Self::InCall, Some(StretchKind::Hold)) => Self::Held,
            (state, _) => state,
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct CallRow {
    pub id: CallId,
    /// 电-…
    pub number: String,
    pub state: CallState,
    /// Empty: no caller number was shown.
    pub caller: String,
    pub display: String,
    pub contact_unit: String,
    pub contact_name: String,
    pub contact_duty: String,
    /// Which header the number was taken from, and whether the PBX vouches for it.
    pub chosen_from: ClaimHeader,
    pub vouched: bool,
    /// The caller wants not to be named.
    pub private: bool,
    /// Who had the call before, the first first.
    pub diverted: Vec<DivertedRow>,
    /// By the area code; may be empty.
    pub town: String,
    /// The duty number that was called; empty for the line's own.
    pub called: String,
    /// 今晚第 n 次
    pub nth_today: i64,
    pub arrived: DateTime<Utc>,
    pub answered: Option<DateTime<Utc>>,
    pub answered_by: Option<String>,
    pub ended: Option<DateTime<Utc>>,
    pub disposition: Option<Disposition>,
    /// Measured on the monotonic clock, in milliseconds; `None` while it goes on. Ringing ends with
    /// the officer's answer, the queue, or the message.
    pub ring_ms: Option<i64>,
    pub talk_ms: Option<i64>,
    pub why: String,
    /// The SIP status that it ended with.
    pub status: Option<u16>,
    /// We called; `caller` is whom.
    pub placed: bool,
    /// Who asked for such a call, and the entry that it is about.
    pub asked_by: String,
    pub about: Option<EntryId>,
    /// Its number; empty without one.
    pub about_number: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LegRow {
    pub phone: String,
    pub how: Joining,
    pub rung: DateTime<Utc>,
    pub taken: Option<DateTime<Utc>>,
    pub ended: Option<DateTime<Utc>>,
    pub status: Option<u16>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RevisionRow {
    pub no: i64,
    pub kind: RevisionKind,
    pub actor: String,
    pub at: DateTime<Utc>,
    pub changes: Vec<Change>,
    pub reason: String,
    pub digest: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RecordingRow {
    pub call: CallId,
    pub state: RecordingState,
    pub started: DateTime<Utc>,
    pub duration_ms: Option<i64>,
    pub bytes: Option<i64>,
    pub sha256: Option<String>,
    pub gaps: Vec<Gap>,
    pub keys: Vec<Key>,
    pub findings: Vec<Finding>,
    pub sealed: Option<DateTime<Utc>>,
    pub reason: String,
    /// Two people have agreed to destroy it.
    pub given_up: Option<DateTime<Utc>>,
    /// Its files are gone.
    pub gone: Option<DateTime<Utc>>,
}

/// Everything about one entry.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct EntryView {
    pub row: EntryRow,
    pub form: Form,
    pub missing: Vec<Field>,
    pub completeness: u8,
    /// What the message said of the caller.
    pub claims: Vec<ClaimRow>,
    pub legs: Vec<LegRow>,
    pub stretches: Vec<StretchRow>,
    /// How each party was heard, where it was.
    pub voices: Vec<VoiceRow>,
    pub callback: Option<CallbackRow>,
    /// When a fax machine was first heard of the caller.
    pub fax: Option<DateTime<Utc>>,
    /// Calls of ours about it, newest first.
    pub placed: Vec<EntryRow>,
    pub recording: Option<RecordingRow>,
    pub bookmarks: Vec<BookmarkRow>,
    pub derived: Vec<DerivedRow>,
    /// Newest first.
    pub escalations: Vec<EscalationView>,
    pub revisions: Vec<RevisionRow>,
    /// By how much the clock may have been out when it was made, where no time server corrected it.
    pub clock_error: Option<Duration>,
}

impl Store {
    /// The newest entries, newest first by the log's own order; those whose call goes on before all others.
    pub async fn recent_entries(&self, most: u32) -> Result<Vec<EntryRow>> {
        self.read(move |sql| {
            let go_on = "SELECT id FROM call WHERE state <> 'ended'";
            let mut rows = vec![];
            for which in [format!("e.id IN ({go_on})"), format!("e.id NOT IN ({go_on})")] {
                let query = format!("{ENTRY} WHERE {which} ORDER BY e.rowid DESC LIMIT ?1");
                let mut found = sql.prepare_cached(&query)?;
                let more = most - u32::try_from(rows.len()).unwrap_or(most);
                for row in found.query_map([more], entry_row)? {
                    rows.push(row?);
                }
            }
            for row in &mut rows {
                row.escalation = escalation_views::rows(sql, row.id, 1)?.into_iter().next();
            }
            Ok(rows)
        })
        .await
    }

    /// Those that came in a period, in their order.
    pub async fn entries_between(
        &self,
        from: DateTime<Utc>,
        to: DateTime<Utc>,
        most: u32,
    ) -> Result<Vec<EntryRow>> {
        self.read(move |sql| {
            let query = format!(
                "{ENTRY} WHERE e.occurred_ms >= ?1 AND e.occurred_ms < ?2
                 ORDER BY e.occurred_ms, e.id LIMIT ?3"
            );
            let mut rows = sql.prepare_cached(&query)?;
            let rows = rows.query_map(params![ms(from), ms(to), most], entry_row)?;
            Ok(rows.collect::<Result<_, _>>()?)
        })
        .await
    }

    /// Who called in a period, but for this daemon, which tries its own line.
    pub async fn came_between(&self, from: DateTime<Utc>, to: DateTime<Utc>) -> Result<u64> {
        self.read(move |sql| {
            let came = "SELECT count(*) FROM call WHERE direction = 'in' AND arrived_ms >= ?1
               AND arrived_ms < ?2 AND disposition IS NOT 'self_test'";
            let mut came = sql.prepare_cached(came)?;
            Ok(came.query_row([ms(from), ms(to)], |row| row.get::<_, Whole>(0))?.0)
        })
        .await
    }

    pub async fn entry_row(&self, id: EntryId) -> Result<Option<EntryRow>> {
        self.read(move |sql| row(sql, id)).await
    }

    pub async fn entry(&self, id: EntryId) -> Result<Option<EntryView>> {
        self.read(move |sql| {
            let (Some(row), Some(form)) = (row(sql, id)?, entries::form(sql, id)?) else {
                return Ok(None);
            };
            let call = row.call.as_ref().map(|call| call.id);
            let escalations = escalation_views::rows(sql, id, i64::MAX)?;
            let escalations = escalations.into_iter().map(|row| escalation_views::view(sql, row));
            Ok(Some(EntryView {
                missing: form.missing(),
                completeness: form.completeness(),
                form,
                claims: call.map_or(Ok(vec![]), |call| claims::of_call(sql, call))?,
                legs: call.map_or(Ok(vec![]), |call| legs(sql, call))?,
                stretches: call.map_or(Ok(vec![]), |call| stretches::rows(sql, call))?,
                voices: call.map_or(Ok(vec![]), |call| voices::rows(sql, call))?,
                callback: call.map_or(Ok(None), |call| callbacks::row(sql, call))?,
                fax: call.map_or(Ok(None), |call| fax::when(sql, call))?,
                placed: placed(sql, id)?,
                recording: call.map_or(Ok(None), |call| recording(sql, call))?,
                bookmarks: call.map_or(Ok(vec![]), |call| bookmarks::rows(sql, call))?,
                derived: call.map_or(Ok(vec![]), |call| derived::rows(sql, call))?,
                escalations: escalations.collect::<Result<_>>()?,
                revisions: revisions(sql, id)?,
                clock_error: outages::clock_error(sql, row.occurred)?,
                row,
            }))
        })
        .await
    }

    /// How each party of a call was heard.
    pub async fn voices(&self, call: CallId) -> Result<Vec<VoiceRow>> {
        self.read(move |sql| voices::rows(sql, call)).await
    }

    pub async fn recording(&self, call: CallId) -> Result<Option<RecordingRow>> {
        self.read(move |sql| recording(sql, call)).await
    }

    /// The sealed WAV of a call, for the player; `None` while there is none.
    pub async fn recording_file(&self, call: CallId) -> Result<Option<RecordingFile>> {
        self.read(move |sql| {
            Ok(sql
                .prepare_cached(
                    "SELECT wav, digest, sealed_ms FROM kept_recording
                     WHERE call = ?1 AND digest IS NOT NULL",
                )?
                .query_row([Id(call)], |row| {
                    Ok(RecordingFile {
                        wav: PathBuf::from(row.get::<_, String>(0)?),
                        sha256: row.get(1)?,
                        sealed: row.get::<_, Ms>(2)?.0,
                    })
                })
                .optional()?)
        })
        .await
    }
}

const ENTRY: &str = "
  SELECT e.id, e.number, e.occurred_ms, e.state, e.urgency, e.category, e.caller_unit,
    e.caller_name, e.caller_phone, e.subject,
    (SELECT z.state FROM recording_state z WHERE z.call = c.id),
    c.id, c.number, c.state, c.caller, c.display, c.contact_unit, c.contact_name, c.contact_duty,
    c.nth_today, c.arrived_ms, c.arrived_mono, c.answered_ms, c.answered_mono, c.answered_by,
    c.ended_ms, c.ended_mono, c.disposition, c.why, c.chosen_from, c.vouched, c.private, c.diverted,
    c.town, b.state,
    (SELECT s.kind FROM stretch s WHERE s.call = c.id AND s.to_ms IS NULL ORDER BY s.from_mono DESC
     LIMIT 1),
    (SELECT min(s.from_mono) FROM stretch s
     WHERE s.call = c.id AND s.kind IN ('queued', 'message')),
    c.direction = 'out', c.asked_by, c.about, c.status,
    coalesce((SELECT a.number FROM entry a WHERE a.id = c.about), ''),
    (SELECT x.kind FROM exercise x WHERE x.entry = e.id), c.called
  FROM entry e
  LEFT JOIN call c ON c.id = e.id
  LEFT JOIN callback b ON b.call = c.id";

/// Entries of our calls about this one.
fn placed(sql: &Connection, about: EntryId) -> Result<Vec<EntryRow>> {
    let query = format!("{ENTRY} WHERE c.about = ?1 ORDER BY c.arrived_ms DESC LIMIT 20");
    let mut rows = sql.prepare_cached(&query)?;
    let rows = rows.query_map([Id(about)], entry_row)?;
    Ok(rows.collect::<Result<_, _>>()?)
}

pub(super) fn row(sql: &Connection, id: EntryId) -> Result<Option<EntryRow>> {
    let found = sql
        .prepare_cached(&format!("{ENTRY} WHERE e.id = ?1"))?
        .query_row([Id(id)], entry_row)
        .optional()?;
    let Some(mut found) = found else { return Ok(None) };
    found.escalation = escalation_views::rows(sql, id, 1)?.into_iter().next();
    Ok(Some(found))
}

fn entry_row(row: &Row<'_>) -> rusqlite::Result<EntryRow> {
    Ok(EntryRow {
        id: row.get::<_, Id<EntryId>>(0)?.0,
        number: row.get(1)?,
        occurred: row.get::<_, Ms>(2)?.0,
        state: row.get::<_, Named<EntryState>>(3)?.0,
        urgency: row.get::<_, Named<Urgency>>(4)?.0,
        category: Category::from_name(row.get_ref(5)?.as_str()?),
        caller_unit: row.get(6)?,
        caller_name: row.get(7)?,
        caller_phone: row.get(8)?,
        subject: row.get(9)?,
        recording: optional(row, 10)?,
        callback: optional(row, 34)?,
        call: match row.get::<_, Option<Id<CallId>>>(11)? {
            Some(id) => Some(call_row(id.0, row)?),
            None => None,
        },
        escalation: None,
        exercise: optional(row, 42)?,
    })
}

fn call_row(id: CallId, row: &Row<'_>) -> rusqlite::Result<CallRow> {
    let arrived_mono: i64 = row.get(21)?;
    let answered_mono: Option<i64> = row.get(23)?;
    let ended_mono: Option<i64> = row.get(26)?;
    let alone_mono: Option<i64> = row.get(36)?;
    let rung_until = alone_mono.or(answered_mono).or(ended_mono);
    let millis = |from: i64, to: i64| (to - from).max(0) / 1_000_000;
    Ok(CallRow {
        id,
        number: row.get(12)?,
        state: row.get::<_, Named<CallState>>(13)?.0.within(optional(row, 35)?),
        caller: row.get(14)?,
        display: row.get(15)?,
        contact_unit: row.get(16)?,
        contact_name: row.get(17)?,
        contact_duty: row.get(18)?,
        nth_today: row.get(19)?,
        arrived: row.get::<_, Ms>(20)?.0,
        answered: instant(row, 22)?,
        answered_by: row.get(24)?,
        ended: instant(row, 25)?,
        disposition: optional(row, 27)?,
        ring_ms: rung_until.map(|until| millis(arrived_mono, until)),
        talk_ms: answered_mono.zip(ended_mono).map(|(from, to)| millis(from, to)),
        why: row.get(28)?,
        chosen_from: row.get::<_, Named<ClaimHeader>>(29)?.0,
        vouched: row.get(30)?,
        private: row.get(31)?,
        diverted: diverted(row, 32)?,
        town: row.get(33)?,
        placed: row.get(37)?,
        asked_by: row.get(38)?,
        about: row.get::<_, Option<Id<EntryId>>>(39)?.map(|entry| entry.0),
        status: row.get(40)?,
        about_number: row.get(41)?,
        called: row.get(43)?,
    })
}

fn diverted(row: &Row<'_>, column: usize) -> rusqlite::Result<Vec<DivertedRow>> {
    let text = row.get_ref(column)?.as_str()?;
    serde_json::from_str(text).map_err(|error| {
        rusqlite::Error::FromSqlConversionFailure(column, Type::Text, Box::new(error))
    })
}

fn legs(sql: &Connection, call: CallId) -> Result<Vec<LegRow>> {
    let mut rows = sql.prepare_cached(
        "SELECT phone, rung_ms, taken_ms, ended_ms, status, how FROM leg WHERE call = ?1 ORDER BY id",
    )?;
    let rows = rows.query_map([Id(call)], |row| {
        Ok(LegRow {
            phone: row.get(0)?,
            how: row.get::<_, Named<Joining>>(5)?.0,
            rung: row.get::<_, Ms>(1)?.0,
            taken: instant(row, 2)?,
            ended: instant(row, 3)?,
            status: row.get(4)?,
        })
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}

fn recording(sql: &Connection, call: CallId) -> Result<Option<RecordingRow>> {
    let found = sql
        .prepare_cached(
            "SELECT (SELECT z.state FROM recording_state z WHERE z.call = r.call), started_ms,
               duration_ms, bytes, digest, sealed_ms, reason, gaps, keys, findings,
               (SELECT max(g.at_ms) FROM given_up g WHERE g.call = r.call),
               (SELECT g.at_ms FROM gone g WHERE g.call = r.call)
             FROM recording r WHERE r.call = ?1",
        )?
        .query_row([Id(call)], |row| {
            let found = RecordingRow {
                call,
                state: row.get::<_, Named<RecordingState>>(0)?.0,
                started: row.get::<_, Ms>(1)?.0,
                duration_ms: row.get(2)?,
                bytes: row.get(3)?,
                sha256: row.get(4)?,
                gaps: vec![],
                keys: vec![],
                findings: vec![],
                sealed: instant(row, 5)?,
                reason: row.get(6)?,
                given_up: instant(row, 10)?,
                gone: instant(row, 11)?,
            };
            let text = |column| row.get::<_, String>(column);
            Ok((found, [text(7)?, text(8)?, text(9)?]))
        })
        .optional()?;
    let Some((mut found, [gaps, keys, findings])) = found else { return Ok(None) };
    found.gaps = from_json(&gaps)?;
    found.keys = from_json(&keys)?;
    found.findings = from_json(&findings)?;
    Ok(Some(found))
}

fn revisions(sql: &Connection, entry: EntryId) -> Result<Vec<RevisionRow>> {
    let mut rows = sql.prepare_cached(
        "SELECT no, kind, actor, at_ms, changes, reason, digest FROM revision
         WHERE entry = ?1 ORDER BY no",
    )?;
    let mut rows = rows.query([Id(entry)])?;
    let mut found = vec![];
    while let Some(row) = rows.next()? {
        found.push(RevisionRow {
            no: row.get(0)?,
            kind: row.get::<_, Named<RevisionKind>>(1)?.0,
            actor: row.get(2)?,
            at: row.get::<_, Ms>(3)?.0,
            changes: from_json(row.get_ref(4)?.as_str().map_err(rusqlite::Error::from)?)?,
            reason: row.get(5)?,
            digest: row.get(6)?,
        });
    }
    Ok(found)
}
