//! 录音: while the call goes on how much is safe and whether it is a voice; afterwards what is in it and what is not.

use super::messages::{Messages, fill, fill_two};
use super::times;
use super::view::{self, Mark};
use crate::io::status::Level;
use crate::io::store::{
    CallRow, CallState, EntryView, Finding, Gap, RecordingRow, RecordingState, StretchKind,
};
use crate::io::tape::Progress;
use crate::protocol::rtp::Party;
use crate::protocol::rtp::sound::Fault;
use chrono::{DateTime, TimeDelta, Utc};

/// A recording that does not reach from the answer to the end, but for this, is not the call's (recording.md T14).
const TOLERANCE: TimeDelta = TimeDelta::milliseconds(500);
/// What is still heard after the end belongs to it.
const TAIL: TimeDelta = TimeDelta::milliseconds(3500);
/// Gaps that are worth a line.
const GAP_MIN_MS: u64 = 1000;
const GAPS_SHOWN: usize = 8;
/// Quieter than this in dB below full scale is nothing on the meter.
pub const METER: u8 = 60;

pub struct RecordingView {
    pub mark: Mark,
    pub why: String,
    pub playable: bool,
    pub length: String,
    /// Of the player: milliseconds, and when it begins in milliseconds since 1970.
    pub length_ms: i64,
    pub started_ms: i64,
    pub digest: String,
    /// While it is being recorded.
    pub taping: Option<TapingView>,
    /// What is wrong: now, where it is being recorded, else in it.
    pub faults: Vec<FaultView>,
    /// Keys with the party and when, and silence without packets.
    pub keys: Vec<String>,
    pub gaps: Vec<String>,
    pub other_length: Option<String>,
}

pub struct TapingView {
    pub safe: String,
    pub left: u8,
    pub right: u8,
}

pub struct FaultView {
    pub party: &'static str,
    pub mark: Mark,
    /// From when to when in the recording; while it goes on, for how long.
    pub when: String,
}

pub fn of(found: &EntryView, tape: Option<&Progress>, t: &'static Messages) -> RecordingView {
    let call = found.row.call.as_ref();
    let Some(row) = found.recording.as_ref() else {
        let text = if call.is_some_and(|call| call.state == CallState::Ringing) {
            t.recording_not_yet
        } else {
            t.recording_none
        };
        return none(Mark::new("○", "idle", text));
    };
    let placed = call.is_some_and(|call| call.placed);
    let tape = tape.filter(|_| row.state == RecordingState::Recording);
    let held = call.is_some_and(|call| call.state == CallState::Held);
    let faults = match tape {
        Some(tape) => faults_now(tape, held, placed, t),
        None => faults_in(row, found, placed, t),
    };
    let who = |party: &str| name(party, placed, t);
    let key = |key: &crate::io::store::Key| {
        format!("{} {} {}", clock_ms(key.at_ms), who(&key.party), key.key)
    };
    let gap = |gap: &Gap| {
        let to = gap.from_ms + gap.lasts_ms;
        let when = format!("{} {}–{}", who(&gap.party), clock_ms(gap.from_ms), clock_ms(to));
        match gap.untaped {
            0 => when,
            packets => format!("{when} {}", fill(t.recording_untaped, packets)),
        }
    };
    let shown = |gap: &&Gap| gap.lasts_ms >= GAP_MIN_MS || gap.untaped > 0;
    let gaps = row.gaps.iter().filter(shown).take(GAPS_SHOWN);
    RecordingView {
        mark: view::recording(row.state, t),
        why: match (row.gone, row.given_up) {
            (Some(at), _) => fill(t.recording_gone_at, times::full(at)),
            (None, Some(at)) => fill(t.recording_given_up_at, times::full(at)),
            (None, None) => row.reason.clone(),
        },
        playable: is_playable(row.state),
        length: times::clock(row.duration_ms.unwrap_or(0) / 1000),
        length_ms: row.duration_ms.unwrap_or(0),
        started_ms: row.started.timestamp_millis(),
        digest: row.sha256.clone().unwrap_or_default(),
        taping: tape.map(taping),
        faults,
        keys: row.keys.iter().map(key).collect(),
        gaps: gaps.map(gap).collect(),
        other_length: call.and_then(|call| other_length(row, call, t)),
    }
}

pub fn is_playable(state: RecordingState) -> bool {
    match state {
        RecordingState::Sealed | RecordingState::Partial => true,
        RecordingState::Recording
        | RecordingState::Finalizing
        | RecordingState::Missing
        | RecordingState::GivenUp
        | RecordingState::Destroyed => false,
    }
}

fn none(mark: Mark) -> RecordingView {
    RecordingView {
        mark,
        why: String::new(),
        playable: false,
        length: String::new(),
        length_ms: 0,
        started_ms: 0,
        digest: String::new(),
        taping: None,
        faults: vec![],
        keys: vec![],
        gaps: vec![],
        other_length: None,
    }
}

fn taping(tape: &Progress) -> TapingView {
    let Level { safe, left, right, .. } = Level::of(tape);
    let shown = |level: u8| METER.saturating_sub(level);
    let safe = times::clock(i64::try_from(safe).unwrap_or(i64::MAX));
    TapingView { safe, left: shown(left), right: shown(right) }
}

/// Who holds the other need not be heard.
fn faults_now(tape: &Progress, held: bool, placed: bool, t: &'static Messages) -> Vec<FaultView> {
    let one = |heard: &crate::io::tape::Heard| {
        let (fault, lasts) = heard.fault.filter(|(fault, _)| !held || *fault != Fault::Absent)?;
        let party = party(heard.party, placed, t);
        let when = times::clock(i64::try_from(lasts.as_secs()).unwrap_or(i64::MAX));
        Some(FaultView { party, mark: mark(fault, heard.party, t), when })
    };
    tape.parties.iter().filter_map(one).collect()
}

fn faults_in(
    row: &RecordingRow,
    found: &EntryView,
    placed: bool,
    t: &'static Messages,
) -> Vec<FaultView> {
    let at = |ms: u64| row.started + TimeDelta::milliseconds(i64::try_from(ms).unwrap_or(i64::MAX));
    let is_held = |one: &Finding| {
        let (from, to) = (at(one.from_ms), at(one.from_ms + one.lasts_ms));
        let holds = found.stretches.iter().filter(|stretch| stretch.kind == StretchKind::Hold);
        let mut holds = holds.map(|hold| (hold.from, hold.to.unwrap_or(DateTime::<Utc>::MAX_UTC)));
        holds.any(|(since, until)| since < to && from < until)
    };
    let shown = row.findings.iter().filter(|one| one.fault != Fault::Absent || !is_held(one));
    let view = |one: &Finding| {
        let to = one.from_ms + one.lasts_ms;
        let when = format!("{}–{}", clock_ms(one.from_ms), clock_ms(to));
        let who = known(&one.party);
        FaultView { party: party(who, placed, t), mark: mark(one.fault, who, t), when }
    };
    shown.map(view).collect()
}

/// A whole recording that is not as long as its call.
fn other_length(row: &RecordingRow, call: &CallRow, t: &'static Messages) -> Option<String> {
    let (answered, ended) = (call.answered?, call.ended?);
    let length = row.duration_ms.filter(|_| row.state == RecordingState::Sealed)?;
    let end = row.started + TimeDelta::milliseconds(length);
    let begins = row.started <= answered + TOLERANCE && row.started >= call.arrived - TOLERANCE;
    let ends = end >= ended - TOLERANCE && end <= ended + TAIL;
    let shown = |ms: i64| format!("{:.1} s", ms as f64 / 1000.0);
    let talk = (ended - answered).num_milliseconds();
    (!begins || !ends).then(|| fill_two(t.recording_other_length, &shown(length), &shown(talk)))
}

/// Who listens on our side may do so with the microphone off; what the caller says must be heard.
fn mark(fault: Fault, party: Party, t: &'static Messages) -> Mark {
    match fault {
        Fault::Muted if party != Party::Caller => Mark::new("○", "idle", t.fault_muted),
        Fault::Absent => Mark::new("■", "bad", t.fault_absent),
        Fault::Undecodable => Mark::new("■", "bad", t.fault_undecodable),
        Fault::Static => Mark::new("■", "bad", t.fault_static),
        Fault::Tone => Mark::new("■", "bad", t.fault_tone),
        Fault::Silent => Mark::new("▲", "warn", t.fault_silent),
        Fault::Muted => Mark::new("▲", "warn", t.fault_muted),
        Fault::Clipped => Mark::new("▲", "warn", t.fault_clipped),
        Fault::Faint => Mark::new("▲", "warn", t.fault_faint),
    }
}

fn party(party: Party, placed: bool, t: &'static Messages) -> &'static str {
    match party {
        Party::Caller if placed => t.voice_called,
        Party::Caller => t.voice_caller,
        Party::Officer => t.voice_officer,
        Party::Leader | Party::Prompt => t.voice_leader,
    }
}

/// As the log has it.
fn name(name: &str, placed: bool, t: &'static Messages) -> &'static str {
    party(known(name), placed, t)
}

fn known(name: &str) -> Party {
    match name {
        "caller" => Party::Caller,
        "officer" => Party::Officer,
        _ => Party::Leader,
    }
}

fn clock_ms(ms: u64) -> String {
    times::clock(i64::try_from(ms / 1000).unwrap_or(i64::MAX))
}
