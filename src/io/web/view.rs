//! State as it is shown: always a shape, a colour and a word together.

use super::messages::Messages;
use crate::duty::entry::EntryState;
use crate::duty::escalation::ExerciseKind;
use crate::duty::journal::{AttemptResult, Disposition, Urgency};
use crate::duty::roster::Role;
use crate::io::store::{CallRow, CallbackState, RecordingState};
use crate::protocol::sip::claims::DivertedWhy;

/// A shape, the class that colours it, and the word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mark {
    pub shape: &'static str,
    pub class: &'static str,
    pub text: &'static str,
}

/// One word of how something stands, with its colour.
pub struct Chip {
    pub label: String,
    pub text: String,
    /// What happened last, where that is worth knowing; empty for nothing.
    pub note: String,
    pub title: String,
    pub mark: Mark,
}

impl Mark {
    pub fn new(shape: &'static str, class: &'static str, text: &'static str) -> Self {
        Self { shape, class, text }
    }
}

pub fn urgency(urgency: Urgency, t: &'static Messages) -> Mark {
    match urgency {
        Urgency::Routine => Mark::new("", "routine", t.routine),
        Urgency::Urgent => Mark::new("▲", "urgent", t.urgent),
        Urgency::Critical => Mark::new("◆", "critical", t.critical),
    }
}

pub fn entry_state(state: EntryState, t: &'static Messages) -> Mark {
    match state {
        EntryState::Stub => Mark::new("○", "stub", t.stub),
        EntryState::Registered => Mark::new("●", "registered", t.registered),
        EntryState::InProgress => Mark::new("▲", "in-progress", t.in_progress),
        EntryState::Closed => Mark::new("■", "closed", t.closed),
        EntryState::Reopened => Mark::new("△", "reopened", t.reopened),
    }
}

pub fn disposition(how: Disposition, t: &'static Messages) -> Mark {
    match how {
        Disposition::Answered => Mark::new("●", "ended", t.ended),
        Disposition::Missed => Mark::new("▲", "bad", t.missed),
        Disposition::Abandoned => Mark::new("▲", "warn", t.abandoned),
        Disposition::Elsewhere => Mark::new("●", "ended", t.answered_elsewhere),
        Disposition::BusyMissed => Mark::new("▲", "bad", t.busy_missed),
        Disposition::Declined => Mark::new("▲", "bad", t.declined),
        Disposition::Failed => Mark::new("■", "bad", t.failed),
        Disposition::Interrupted => Mark::new("■", "bad", t.interrupted),
        Disposition::Message => Mark::new("▲", "bad", t.left_message),
        Disposition::SelfTest => Mark::new("○", "ended", t.self_test),
    }
}

pub fn callback(state: CallbackState, t: &'static Messages) -> Mark {
    match state {
        CallbackState::Open => Mark::new("◇", "callback", t.callback_open),
        CallbackState::CalledBack => Mark::new("●", "called-back", t.called_back),
        CallbackState::Impossible => Mark::new("○", "impossible", t.callback_impossible),
    }
}

pub fn attempt_result(result: AttemptResult, t: &'static Messages) -> Mark {
    match result {
        AttemptResult::Acknowledged => Mark::new("●", "acknowledged", t.result_acknowledged),
        AttemptResult::AnsweredNoKey => Mark::new("▲", "warn", t.result_answered_no_key),
        AttemptResult::Busy => Mark::new("▲", "warn", t.result_busy),
        AttemptResult::Declined => Mark::new("▲", "warn", t.result_declined),
        AttemptResult::NoAnswer => Mark::new("▲", "warn", t.result_no_answer),
        AttemptResult::Unreachable => Mark::new("■", "bad", t.result_unreachable),
        AttemptResult::ChannelFailed => Mark::new("■", "bad", t.result_channel_failed),
        AttemptResult::Cancelled => Mark::new("○", "cancelled", t.result_cancelled),
        AttemptResult::Interrupted => Mark::new("■", "bad", t.result_interrupted),
        AttemptResult::HandedOn => Mark::new("▲", "warn", t.result_handed_on),
        AttemptResult::WrongPin => Mark::new("■", "bad", t.result_wrong_pin),
    }
}

pub fn recording(state: RecordingState, t: &'static Messages) -> Mark {
    match state {
        RecordingState::Recording => Mark::new("◆", "recording", t.recording_now),
        RecordingState::Finalizing => Mark::new("◇", "finalizing", t.recording_finalizing),
        RecordingState::Sealed => Mark::new("●", "sealed", t.recording_sealed),
        RecordingState::Partial => Mark::new("▲", "warn", t.recording_partial),
        RecordingState::Missing => Mark::new("■", "bad", t.recording_missing),
        RecordingState::GivenUp => Mark::new("▲", "warn", t.recording_given_up),
        RecordingState::Destroyed => Mark::new("■", "idle", t.recording_destroyed),
    }
}

/// How far the shown number can be believed.
pub fn vouched(call: &CallRow, t: &'static Messages) -> Mark {
    if call.vouched {
        Mark::new("●", "ok", t.vouched)
    } else {
        Mark::new("▲", "warn", t.unverified)
    }
}

/// Why a call went on; empty where the message does not say.
pub fn diverted_why(why: DivertedWhy, t: &'static Messages) -> &'static str {
    match why {
        DivertedWhy::Unconditional => t.diverted_unconditional,
        DivertedWhy::Busy => t.diverted_busy,
        DivertedWhy::NoAnswer => t.diverted_no_answer,
        DivertedWhy::Unreachable => t.diverted_unreachable,
        DivertedWhy::TimeOfDay => t.diverted_time_of_day,
        DivertedWhy::DoNotDisturb => t.diverted_do_not_disturb,
        DivertedWhy::Deflection => t.diverted_deflection,
        DivertedWhy::Unknown => "",
    }
}

/// What an entry is in which nothing has happened.
pub fn exercise(kind: ExerciseKind, t: &'static Messages) -> Mark {
    let text = match kind {
        ExerciseKind::Drill => t.drill,
        ExerciseKind::RollCall => t.roll_call,
        ExerciseKind::Number => t.numbers,
    };
    Mark::new("◇", "drill", text)
}

pub fn role(role: Role, t: &'static Messages) -> &'static str {
    match role {
        Role::Leader => t.leader,
        Role::Substitute => t.substitute,
        Role::OfficeDirector => t.office_director,
        Role::Head => t.head,
        Role::Officer => t.officer,
    }
}

/// A number that others in the room need not read: extensions whole, long numbers without their
/// middle.
pub fn masked(number: &str) -> String {
    let characters: Vec<char> = number.chars().collect();
    if characters.len() < 8 {
        return number.to_owned();
    }
    let hidden = 3..characters.len() - 4;
    let shown = |(at, c): (usize, &char)| if hidden.contains(&at) { '*' } else { *c };
    characters.iter().enumerate().map(shown).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mobile_loses_its_middle_and_an_extension_nothing() {
        assert_eq!(masked("13800130007"), "138****0007");
        assert_eq!(masked("6003"), "6003");
        assert_eq!(masked("值班领导的手机号码"), "值班领**手机号码");
    }
}
