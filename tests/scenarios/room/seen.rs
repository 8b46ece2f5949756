//! What the log says, read back through the store, and what the page can do to it.

use super::Room;
use chrono::{DateTime, Utc};
use dutyline::duty::gaps::{Verdict, judge};
use dutyline::duty::ids::{CallId, EntryId};
use dutyline::duty::journal::{Disposition, Fact, Noted, Urgency};
use dutyline::duty::prompts;
use dutyline::io::store::{
    Account, AttemptRow, EntryRow, EntryView, EscalationState, Flagged, NewPerson, OutageRow,
    RecordingState, Who, Withdrawn, wait,
};
use dutyline::protocol::rtp::{Codec, Party, g711};
use std::time::Duration;

/// A call on the duty line as the log and the journal have it.
#[derive(Debug, Clone)]
pub struct Seen {
    pub entry: EntryId,
    pub caller: String,
    pub display: String,
    pub urgency: Urgency,
    pub disposition: Option<Disposition>,
    pub arrived_at: DateTime<Utc>,
    pub answered_at: Option<DateTime<Utc>>,
    pub answered_by: Option<String>,
    pub ended_at: Option<DateTime<Utc>>,
    /// Phone and its SIP answer, in the order of ringing.
    pub legs: Vec<(String, Option<u16>)>,
    pub recording: Option<RecordingState>,
}

impl Seen {
    fn of(view: EntryView) -> Self {
        let call = view.row.call.expect("an entry of a call");
        Self {
            entry: view.row.id,
            caller: call.caller,
            display: call.display,
            urgency: view.row.urgency,
            disposition: call.disposition,
            arrived_at: call.arrived,
            answered_at: call.answered,
            answered_by: call.answered_by,
            ended_at: call.ended,
            legs: view.legs.into_iter().map(|leg| (leg.phone, leg.status)).collect(),
            recording: view.row.recording,
        }
    }
}

/// What is said to a leader or to a caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Prompt {
    Urgent,
    Confirmed,
    WrongKey,
    PleaseWait,
    AlreadyConfirmed,
    Withdrawn,
    CannotJoin,
    Queue,
    Greeting,
    Beep,
    More,
    EnterPin,
    WrongPin,
    PinRefused,
    HandedOn,
    PassedOn,
    Dictate,
    Taken,
    NoRecording,
    Unread,
    Instruction,
    UrgentCut,
    PinLate,
    Several,
    Also,
    Next,
    Drill,
    DrillUrgent,
    RollCall,
    CheckNumber,
    Recording,
}

impl Room {
    pub fn view(&self, entry: EntryId) -> EntryView {
        wait(self.store.entry(entry)).expect("the log is read").expect("the entry is in the log")
    }

    /// Every line of the log, in order of arrival.
    pub fn all_rows(&self) -> Vec<EntryRow> {
        let mut rows = wait(self.store.recent_entries(100_000)).expect("the log is read");
        rows.sort_by_key(|row| (row.occurred, row.id));
        rows
    }

    /// Everything in the log, in order of arrival.
    pub fn all_views(&self) -> Vec<EntryView> {
        self.all_rows().iter().map(|row| self.view(row.id)).collect()
    }

    pub fn entry(&self, entry: EntryId) -> Seen {
        Seen::of(self.view(entry))
    }
    /// Every call that reached the duty line, in order of arrival.
    pub fn all_calls(&self) -> Vec<Seen> {
        self.all_views().into_iter().map(Seen::of).collect()
    }

    /// Every attempt to reach a leader in this matter, in order.
    pub fn attempts(&self, entry: EntryId) -> Vec<AttemptRow> {
        let escalations = self.view(entry).escalations;
        escalations.into_iter().rev().flat_map(|escalation| escalation.attempts).collect()
    }

    pub fn is_acknowledged(&self, entry: EntryId) -> bool {
        let escalations = self.view(entry).escalations;
        !escalations.is_empty()
            && escalations.iter().all(|escalation| {
                escalation.row.state == EscalationState::Acknowledged
                    && escalation.row.acknowledged.is_some()
            })
    }

    /// Somebody who is logged in on the page.
    pub fn officer(&mut self) -> Who {
        if let Some(who) = &self.officer {
            return who.clone();
        }
        let now = self.now();
        let person = NewPerson {
            login: "wang".to_owned(),
            name: "王值班".to_owned(),
            account: Account::Officer,
            password: "correct horse battery".to_owned(),
        };
        let added = wait(self.store.add_person(person, "room", now)).expect("the log is written");
        let dutyline::io::store::Added::Added(id) = added else { panic!("{added:?}") };
        let who = Who {
            id,
            login: "wang".to_owned(),
            name: "王值班".to_owned(),
            account: Account::Officer,
            terminal: "10.1.0.100".to_owned(),
        };
        self.officer = Some(who.clone());
        who
    }

    /// 紧急, on the page.
    pub fn officer_flags_urgent(&mut self, entry: EntryId) {
        self.officer_flags(entry, Urgency::Urgent);
    }

    pub fn officer_flags(&mut self, entry: EntryId, urgency: Urgency) {
        let (who, now) = (self.officer(), self.now());
        let flagged = wait(self.store.flag(&who, entry, urgency, now)).expect("the log is written");
        let raised =
            matches!(flagged, Flagged::Raised(_) | Flagged::Upgraded(_) | Flagged::Already(_));
        assert!(raised, "{flagged:?}");
        self.order(|daemon, now| daemon.wake_escalator(now));
    }

    pub fn officer_withdraws(&mut self, entry: EntryId, reason: &str) {
        let (who, now) = (self.officer(), self.now());
        let withdrawn = wait(self.store.withdraw(&who, entry, reason, now));
        let withdrawn = withdrawn.expect("the log is written");
        assert!(matches!(withdrawn, Withdrawn::Withdrawn(_)), "{withdrawn:?}");
        self.order(|daemon, now| daemon.wake_escalator(now));
    }

    /// 人工已联系, on the page.
    pub fn officer_spoke_to_the_leader(&mut self, entry: EntryId) {
        let (who, now) = (self.officer(), self.now());
        let told = wait(self.store.leader_spoken_to(&who, entry, "手机", now));
        assert!(told.expect("the log is written"));
        self.order(|daemon, now| daemon.wake_escalator(now));
    }

    /// The prompts this telephone heard in its last conversation, one after the other.
    pub fn heard(&self, number: &str) -> Vec<Prompt> {
        let mut heard = vec![];
        for packet in self.phone(number).phone.heard() {
            let Some(byte) = packet.payload.first().filter(|_| packet.payload_type == 8) else {
                continue;
            };
            if let Some(prompt) = prompt_of(*byte)
                && heard.last() != Some(&prompt)
            {
                heard.push(prompt);
            }
        }
        heard
    }

    /// Every fact of the switchboard, of this run and earlier ones.
    pub fn facts(&self) -> impl Iterator<Item = &Noted> {
        self.past_facts.iter().chain(self.daemon.iter().flat_map(|daemon| &daemon.facts))
    }

    /// Who hung up, and what the caller got.
    pub fn ending(&self, entry: EntryId) -> Option<(Option<Party>, u16)> {
        self.facts().find_map(|noted| match &noted.fact {
            Fact::Ended { call, by, status, .. } if call.0 == entry.0 => Some((*by, *status)),
            _ => None,
        })
    }

    /// What was received from and lost on the way from each party.
    pub fn carried(&self, entry: EntryId) -> Vec<(Party, u64, u64)> {
        let of = |noted: &Noted| match &noted.fact {
            Fact::Carried { call, party, counts, .. } if call.0 == entry.0 => {
                Some((*party, counts.received, counts.lost))
            }
            _ => None,
        };
        let mut carried: Vec<_> = self.facts().filter_map(of).collect();
        carried.sort();
        carried
    }

    /// The line's outages as the log has them, newest first.
    pub fn outage_rows(&self) -> Vec<OutageRow> {
        wait(self.store.outages(100)).expect("the log is read")
    }

    /// When the daemon heard the PBX last.
    pub fn pbx_heard(&self) -> DateTime<Utc> {
        let daemon = self.daemon.as_ref().expect("it runs");
        let heard = daemon.switchboard.figures().heard.expect("it was heard");
        self.now().back_to(heard).wall
    }

    /// What the log can say of a period in which nobody called.
    pub fn verdict(&self, from: DateTime<Utc>, to: DateTime<Utc>) -> Verdict {
        let outages: Vec<_> = self.outage_rows().iter().map(OutageRow::stretch).collect();
        judge((from, to), 0, &outages, Some(from), self.pbx_heard())
    }

    /// When the line was lost, and when it was back.
    pub fn outages(&self) -> Vec<(DateTime<Utc>, Option<DateTime<Utc>>)> {
        let mut outages: Vec<(DateTime<Utc>, Option<DateTime<Utc>>)> = vec![];
        for noted in self.facts() {
            match &noted.fact {
                Fact::LineDown { .. } => outages.push((noted.at.wall, None)),
                Fact::LineUp => {
                    if let Some(last) = outages.last_mut() {
                        last.1.get_or_insert(noted.at.wall);
                    }
                }
                _ => {}
            }
        }
        outages
    }

    /// Conversations on the duty line whose tape is running.
    pub fn recording(&self) -> Vec<EntryId> {
        let mut running: Vec<CallId> = vec![];
        for noted in self.facts() {
            match &noted.fact {
                Fact::Answered { call, .. } => running.push(*call),
                Fact::Ended { call, .. } => running.retain(|other| other != call),
                _ => {}
            }
        }
        running.into_iter().map(EntryId::from).collect()
    }

    pub fn near(&self, a: DateTime<Utc>, b: DateTime<Utc>, within: Duration) -> bool {
        (a - b).abs().to_std().is_ok_and(|apart| apart <= within)
    }
}

/// The magnitude in A-law of every sample of the first prompt; the next one's is the next.
const FIRST_LEVEL: u8 = 40;

/// What all samples of prompt n are: each has a code of A-law of its own.
pub fn prompt_level(n: u8) -> i16 {
    g711::decode(Codec::Pcma, (0x80 | (FIRST_LEVEL + n)) ^ 0x55)
}

/// The prompt whose samples have this code.
fn prompt_at(byte: u8) -> Option<u8> {
    let code = byte ^ 0x55;
    ((code & 0x80) != 0).then_some(code & 0x7f)?.checked_sub(FIRST_LEVEL)
}

fn prompt_of(byte: u8) -> Option<Prompt> {
    match prompt_at(byte).map(dutyline::protocol::rtp::Prompt)? {
        prompts::URGENT | prompts::URGENT_LIVE => Some(Prompt::Urgent),
        prompts::CANNOT_JOIN => Some(Prompt::CannotJoin),
        prompts::CONFIRMED => Some(Prompt::Confirmed),
        prompts::WRONG_KEY => Some(Prompt::WrongKey),
        prompts::PLEASE_WAIT => Some(Prompt::PleaseWait),
        prompts::ALREADY_CONFIRMED => Some(Prompt::AlreadyConfirmed),
        prompts::WITHDRAWN => Some(Prompt::Withdrawn),
        prompts::QUEUE => Some(Prompt::Queue),
        prompts::GREETING => Some(Prompt::Greeting),
        prompts::BEEP => Some(Prompt::Beep),
        prompts::MORE => Some(Prompt::More),
        prompts::ENTER_PIN => Some(Prompt::EnterPin),
        prompts::WRONG_PIN => Some(Prompt::WrongPin),
        prompts::PIN_REFUSED => Some(Prompt::PinRefused),
        prompts::HANDED_ON => Some(Prompt::HandedOn),
        prompts::PASSED_ON => Some(Prompt::PassedOn),
        prompts::DICTATE => Some(Prompt::Dictate),
        prompts::TAKEN => Some(Prompt::Taken),
        prompts::NO_RECORDING => Some(Prompt::NoRecording),
        prompts::UNREAD => Some(Prompt::Unread),
        prompts::INSTRUCTION => Some(Prompt::Instruction),
        prompts::URGENT_CUT => Some(Prompt::UrgentCut),
        prompts::PIN_LATE => Some(Prompt::PinLate),
        prompts::SEVERAL => Some(Prompt::Several),
        prompts::ALSO => Some(Prompt::Also),
        prompts::NEXT => Some(Prompt::Next),
        prompts::DRILL => Some(Prompt::Drill),
        prompts::DRILL_URGENT => Some(Prompt::DrillUrgent),
        prompts::ROLL_CALL => Some(Prompt::RollCall),
        prompts::CHECK_NUMBER => Some(Prompt::CheckNumber),
        prompts::RECORDING => Some(Prompt::Recording),
        _ => None,
    }
}
