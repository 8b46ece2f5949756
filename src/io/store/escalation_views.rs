//! What the pages show of an escalation.

use super::Store;
use super::error::Result;
use super::notice_views::{self, NoticeRow};
use super::recordings::RecordingState;
use super::text::{Id, Ms, Named, instant, optional};
use crate::duty::escalation::ExerciseKind;
use crate::duty::ids::{AttemptId, EntryId, EscalationId};
use crate::duty::journal::{AttemptResult, Urgency};
use crate::duty::roster::Role;
use crate::duty::switchboard::Errand;
use chrono::{DateTime, Utc};
use rusqlite::{Connection, Row, params};
use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EscalationState {
    Open,
    /// 已接报
    Acknowledged,
    /// 撤回
    Withdrawn,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct EscalationRow {
    pub id: EscalationId,
    pub entry: EntryId,
    pub urgency: Urgency,
    pub state: EscalationState,
    pub raised: DateTime<Utc>,
    pub raised_by: String,
    /// How often the ladder has begun again.
    pub round: i64,
    /// 全部未应答: sounds since then, until somebody acknowledges or it is withdrawn.
    pub siren: Option<DateTime<Utc>>,
    pub attempts: i64,
    pub acknowledged: Option<AckRow>,
    /// When the duty leader himself was reached.
    pub leader_reached: Option<DateTime<Utc>>,
    /// 阅件
    pub read: Option<ReadRow>,
    /// Nothing more follows since then.
    pub closed: Option<DateTime<Utc>>,
    /// It is no real one.
    pub exercise: Option<ExerciseKind>,
    /// Raised again because that one was acknowledged and not looked at.
    pub again: bool,
    /// And whoever was reminded of it has pressed 3.
    pub handed_on_by: Option<String>,
    pub withdrawn: Option<DateTime<Utc>>,
    pub withdrawn_by: Option<String>,
    pub reason: String,
}

/// How what a matter is about came to a leader's knowledge first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ReadRow {
    pub at: DateTime<Utc>,
    pub by: String,
    pub how: ReadHow,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ReadHow {
    /// On his page.
    Page,
    /// He listened to the recording.
    Recording,
    /// He spoke with the officer or the caller.
    Talk,
    /// He gave an instruction.
    Instruction,
    /// The officer told him by another way.
    ByHand,
    /// It was acknowledged before this was kept.
    Before,
}

/// 批示, dictated on the telephone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct InstructionRow {
    /// The one that its call, and the recording of that, has its name from.
    pub call: AttemptId,
    pub person: String,
    pub role: Role,
    pub from: DateTime<Utc>,
    pub lasts_ms: i64,
    /// Where it begins in the recording of the call.
    pub offset_ms: i64,
    pub recording: Option<RecordingState>,
    /// 回执: when, by whom.
    pub confirmed: Option<(DateTime<Utc>, String)>,
}

/// Escalations that nobody has acknowledged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Waiting {
    pub open: u64,
    pub oldest: Option<DateTime<Utc>>,
}

impl Store {
    pub async fn escalations_waiting(&self) -> Result<Waiting> {
        self.read(|sql| {
            let query = "SELECT count(*), min(raised_ms) FROM escalation WHERE state = 'open'
               AND entry NOT IN (SELECT entry FROM exercise)";
            Ok(sql.prepare_cached(query)?.query_row([], |row| {
                let open = row.get::<_, i64>(0)?.unsigned_abs();
                Ok(Waiting { open, oldest: instant(row, 1)? })
            })?)
        })
        .await
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct AckRow {
    pub person: String,
    /// In which capacity; `None`: he is nobody on the roster, or it is not known who he was.
    pub role: Option<Role>,
    pub at: DateTime<Utc>,
    /// `false`: somebody else had acknowledged already.
    pub first: bool,
    pub channel: AckChannel,
    /// By hand: who says so, and how.
    pub how: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AckChannel {
    PhoneKey,
    Page,
    ByHand,
    Sms,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct AttemptRow {
    pub id: AttemptId,
    pub seq: i64,
    pub round: i64,
    pub role: Role,
    pub person: String,
    pub target: String,
    pub why: String,
    pub started: DateTime<Utc>,
    pub ringing: Option<DateTime<Utc>>,
    pub answered: Option<DateTime<Utc>>,
    pub ended: Option<DateTime<Utc>>,
    pub result: Option<AttemptResult>,
    pub status: Option<u16>,
    pub errand: Errand,
    /// Nothing was ever heard of whoever answered.
    pub mute: Option<DateTime<Utc>>,
    /// He holds the role in the place of this one.
    pub instead_of: Option<String>,
    /// How much he listened to the caller's recording.
    pub heard_ms: i64,
    /// Key 1 was pressed in it.
    pub acknowledged: bool,
    /// Keys other than the acknowledging one.
    pub keys: String,
    pub recording: Option<RecordingState>,
    /// He was told of it in the call of this attempt for another matter.
    pub joined: Option<AttemptId>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct EscalationView {
    pub row: EscalationRow,
    /// Oldest first; at most the last [`MOST_ATTEMPTS`].
    pub attempts: Vec<AttemptRow>,
    pub acknowledgements: Vec<AckRow>,
    /// Of the quiet channels, newest first.
    pub notices: Vec<NoticeRow>,
    /// Oldest first.
    pub instructions: Vec<InstructionRow>,
}

pub const MOST_ATTEMPTS: i64 = 200;

impl Store {
    /// Escalations nobody has acknowledged, drills among them, oldest first: what must be in sight on every page.
    pub async fn open_escalations(&self) -> Result<Vec<EscalationRow>> {
        self.read(|sql| {
            let query = format!(
                "{ESCALATION} WHERE e.state = 'open' AND NOT EXISTS (SELECT 1 FROM exercise x
                   WHERE x.entry = e.entry AND x.kind <> 'drill') ORDER BY e.raised_ms"
            );
            let mut rows = sql.prepare_cached(&query)?;
            let rows = rows.query_map([], one)?;
            Ok(rows.collect::<Result<_, _>>()?)
        })
        .await
    }
}

const ESCALATION: &str = "
  SELECT e.id, e.entry, e.urgency, e.state, e.raised_ms, e.raised_by, e.round,
    CASE WHEN e.state = 'open' THEN e.siren_ms END, e.leader_reached_ms, e.withdrawn_ms,
    e.withdrawn_by, e.reason, (SELECT count(*) FROM attempt a WHERE a.escalation = e.id),
    e.acked_by, e.acked_role, e.acked_ms, e.acked_channel, e.acked_how, e.read_ms, e.read_by, e.read_how, e.closed_ms,
    e.again_of IS NOT NULL, (SELECT x.kind FROM exercise x WHERE x.entry = e.entry),
    (SELECT h.person FROM handing h JOIN attempt a ON a.id = h.attempt
      WHERE h.escalation = e.again_of AND a.errand = 'remind' ORDER BY h.at_ms DESC LIMIT 1)
  FROM escalation e";

pub(super) fn rows(sql: &Connection, entry: EntryId, most: i64) -> Result<Vec<EscalationRow>> {
    let query =
        format!("{ESCALATION} WHERE e.entry = ?1 ORDER BY e.raised_ms DESC, e.id DESC LIMIT ?2");
    let mut rows = sql.prepare_cached(&query)?;
    let rows = rows.query_map(params![Id(entry), most], one)?;
    Ok(rows.collect::<Result<_, _>>()?)
}

fn one(row: &Row<'_>) -> rusqlite::Result<EscalationRow> {
    let person: Option<String> = row.get(13)?;
    let acknowledged = match person {
        Some(person) => Some(AckRow {
            person,
            role: optional(row, 14)?,
            at: row.get::<_, Ms>(15)?.0,
            first: true,
            channel: row.get::<_, Named<AckChannel>>(16)?.0,
            how: row.get(17)?,
        }),
        None => None,
    };
    Ok(EscalationRow {
        id: row.get::<_, Id<EscalationId>>(0)?.0,
        entry: row.get::<_, Id<EntryId>>(1)?.0,
        urgency: row.get::<_, Named<Urgency>>(2)?.0,
        state: row.get::<_, Named<EscalationState>>(3)?.0,
        raised: row.get::<_, Ms>(4)?.0,
        raised_by: row.get(5)?,
        round: row.get(6)?,
        siren: instant(row, 7)?,
        leader_reached: instant(row, 8)?,
        read: match (instant(row, 18)?, optional(row, 20)?) {
            (Some(at), Some(how)) => {
                Some(ReadRow { at, by: row.get::<_, Option<String>>(19)?.unwrap_or_default(), how })
            }
            (None, _) | (_, None) => None,
        },
        closed: instant(row, 21)?,
        again: row.get(22)?,
        handed_on_by: row.get(24)?,
        exercise: optional(row, 23)?,
        withdrawn: instant(row, 9)?,
        withdrawn_by: row.get(10)?,
        reason: row.get(11)?,
        attempts: row.get(12)?,
        acknowledged,
    })
}

pub(super) fn view(sql: &Connection, row: EscalationRow) -> Result<EscalationView> {
    let mut attempts = sql.prepare_cached(
        "SELECT a.id, a.seq, a.round, a.role, a.person, a.target, a.why, a.started_ms, a.ringing_ms,
           a.answered_ms, a.ended_ms, a.result, a.status,
           (SELECT group_concat(key, '' ORDER BY at_mono) FROM attempt_key k
             WHERE k.attempt = a.id),
           iif(EXISTS (SELECT 1 FROM given_up d WHERE d.call = r.call), NULL, r.state), a.errand, a.mute_ms, s.absent,
           (SELECT coalesce(sum(lasts_ms), 0) FROM heard h WHERE h.attempt = a.id),
           EXISTS (SELECT 1 FROM acknowledgement k WHERE k.attempt = a.id), a.joined
         FROM attempt a LEFT JOIN recording r ON r.call = coalesce(a.joined, a.id)
           LEFT JOIN substitution s ON s.id = a.substitution
         WHERE a.escalation = ?1 ORDER BY a.seq DESC LIMIT ?2",
    )?;
    let attempts = attempts.query_map(params![Id(row.id), MOST_ATTEMPTS], attempt_row)?;
    let mut attempts = attempts.collect::<Result<Vec<_>, _>>()?;
    attempts.reverse();
    let mut acks = sql.prepare_cached(
        "SELECT person, role, at_ms, outcome = 'first', channel, '' FROM acknowledgement
           WHERE escalation = ?1
         UNION ALL SELECT person, nullif(role, ''), at_ms, outcome = 'first', channel, how FROM told
           WHERE escalation = ?1 ORDER BY 3",
    )?;
    let acks = acks.query_map([Id(row.id)], |row| {
        Ok(AckRow {
            person: row.get(0)?,
            role: optional(row, 1)?,
            at: row.get::<_, Ms>(2)?.0,
            first: row.get(3)?,
            channel: row.get::<_, Named<AckChannel>>(4)?.0,
            how: row.get(5)?,
        })
    })?;
    let acknowledgements = acks.collect::<Result<_, _>>()?;
    let notices = notice_views::rows(sql, row.id)?;
    let instructions = instructions(sql, row.id)?;
    Ok(EscalationView { attempts, acknowledgements, instructions, notices, row })
}

fn instructions(sql: &Connection, id: EscalationId) -> Result<Vec<InstructionRow>> {
    let mut rows = sql.prepare_cached(
        "SELECT coalesce(a.joined, a.id), i.person, i.role, i.from_ms, i.lasts_ms,
           max(0, i.from_ms - coalesce(r.started_ms, i.from_ms)),
           iif(EXISTS (SELECT 1 FROM given_up d WHERE d.call = r.call), NULL, r.state), i.confirmed_ms,
           i.confirmed_by
         FROM instruction i JOIN attempt a ON a.id = i.attempt
           LEFT JOIN recording r ON r.call = coalesce(a.joined, a.id)
         WHERE i.escalation = ?1 ORDER BY i.from_ms",
    )?;
    let rows = rows.query_map([Id(id)], |row| {
        let by: Option<String> = row.get(8)?;
        Ok(InstructionRow {
            call: row.get::<_, Id<AttemptId>>(0)?.0,
            person: row.get(1)?,
            role: row.get::<_, Named<Role>>(2)?.0,
            from: row.get::<_, Ms>(3)?.0,
            lasts_ms: row.get(4)?,
            offset_ms: row.get(5)?,
            recording: optional(row, 6)?,
            confirmed: instant(row, 7)?.map(|at| (at, by.unwrap_or_default())),
        })
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}

fn attempt_row(row: &Row<'_>) -> rusqlite::Result<AttemptRow> {
    Ok(AttemptRow {
        id: row.get::<_, Id<AttemptId>>(0)?.0,
        seq: row.get(1)?,
        round: row.get(2)?,
        role: row.get::<_, Named<Role>>(3)?.0,
        person: row.get(4)?,
        target: row.get(5)?,
        why: row.get(6)?,
        started: row.get::<_, Ms>(7)?.0,
        ringing: instant(row, 8)?,
        answered: instant(row, 9)?,
        ended: instant(row, 10)?,
        result: optional(row, 11)?,
        status: row.get(12)?,
        keys: row.get::<_, Option<String>>(13)?.unwrap_or_default(),
        recording: optional(row, 14)?,
        errand: row.get::<_, Named<Errand>>(15)?.0,
        mute: instant(row, 16)?,
        acknowledged: row.get(19)?,
        instead_of: row.get(17)?,
        heard_ms: row.get(18)?,
        joined: row.get::<_, Option<Id<AttemptId>>>(20)?.map(|joined| joined.0),
    })
}
