//! The promises, and a naive model of what must be so, fed by what was seen from outside.

use crate::room::people::{self, DESK, SPARE};
use crate::room::{Room, millis, seconds};
use chrono::{DateTime, Utc};
use dutyline::duty::ids::{AttemptId, CallId, EntryId};
use dutyline::duty::journal::{Disposition, Fact, Noted};
use dutyline::io::store::{AttemptRow, EntryRow, EntryView, EscalationState, RecordingState};
use dutyline::protocol::now::{Mono, Now};
use dutyline::protocol::rtp::Party;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// I-5: the first attempt starts within this time after the flag.
const FIRST_ATTEMPT: Duration = Duration::from_secs(5);
/// How long a call waits for its entry at most before it rings.
const ENTRY_BUDGET: Duration = Duration::from_millis(150);
/// A key that acknowledges was pressed no longer ago than this, stalls of the log aside.
const KEY_TO_ACK: Duration = Duration::from_secs(3);

#[derive(Default)]
pub struct Model {
    /// Times in which the daemon or its log could do nothing.
    excuses: Vec<(Mono, Mono)>,
    presses: Vec<(DateTime<Utc>, String)>,
    ended: BTreeSet<EntryId>,
    settled: BTreeMap<EntryId, EscalationState>,
    /// When each entry was committed, of all runs.
    entered: BTreeMap<CallId, Mono>,
    /// INVITEs that a crash took before their entry could be written.
    forgiven: BTreeSet<String>,
}

impl Model {
    pub fn excuse(&mut self, from: Mono, time: Duration) {
        self.excuses.push((from, from + time + millis(50)));
    }

    /// The page flagged this entry: its escalation is there at once (I-5).
    pub fn flagged(&mut self, room: &Room, entry: EntryId) {
        assert!(!room.view(entry).escalations.is_empty(), "a flag without an escalation");
    }

    pub fn pressed(&mut self, number: &str, key: char, now: Now) {
        // Whoever joins the call, or asks for the officer, knows.
        if matches!(key, '1' | '5' | '6') {
            self.presses.push((now.wall, number.to_owned()));
        }
    }

    /// The power goes: what was not written yet is lost, which only a stalled log or a call that
    /// had just come excuses.
    pub fn daemon_goes(&mut self, room: &Room) {
        let now = room.now().mono;
        let known = self.known_calls(room);
        for (at, call_id) in &room.tap.invites {
            let written = known.get(call_id).is_some_and(|call| self.entered.contains_key(call));
            let young = now.since(*at) <= room.store_speed + millis(5);
            if !written && (young || self.excused(*at, now) > Duration::ZERO) {
                self.forgiven.insert(call_id.clone());
            }
        }
    }

    /// After every step.
    pub fn look(&mut self, room: &Room) {
        if let Some(daemon) = &room.daemon {
            self.entered.extend(daemon.entered.iter().map(|(at, call)| (*call, *at)));
        }
        let rows = room.all_rows();
        self.every_invite_has_its_entry(room, &rows);
        self.entries_come_before_rings(room);
        self.calls_end_once(room, &rows);
        let urgent = rows.iter().filter(|row| row.escalation.is_some());
        let urgent: Vec<_> = urgent.map(|row| room.view(row.id)).collect();
        nobody_is_called_twice_at_once(&urgent);
        self.escalations_end_by_a_human_only(&urgent);
    }

    /// When the shift is over and everything is quiet.
    pub fn look_back(&self, room: &Room) {
        let log = room.all_views();
        for view in &log {
            let call = view.row.call.as_ref().expect("an entry of a call");
            assert!(call.disposition.is_some(), "{}: no disposition", call.id);
            assert!(call.ended.is_some(), "{}: never ended", call.id);
            let recorded = matches!(
                view.row.recording,
                Some(RecordingState::Sealed | RecordingState::Partial | RecordingState::Missing)
            );
            assert_eq!(call.answered.is_some(), recorded, "I-2: {:?}", view.row);
            self.first_attempt_is_prompt(room, view, &log);
        }
        self.every_word_is_taped(room);
    }

    fn known_calls(&self, room: &Room) -> BTreeMap<String, CallId> {
        let arrived = room.facts().filter_map(|noted| match &noted.fact {
            Fact::Arrived(arrival) => Some((arrival.sip_call_id.clone(), arrival.call)),
            _ => None,
        });
        arrived.collect()
    }

    /// I-1.
    fn every_invite_has_its_entry(&self, room: &Room, rows: &[EntryRow]) {
        let now = room.now().mono;
        let known = self.known_calls(room);
        for (at, call_id) in &room.tap.invites {
            if self.forgiven.contains(call_id) {
                continue;
            }
            let waits = now.since(*at) <= room.store_speed + millis(5)
                || self.excused(*at, now) > Duration::ZERO;
            let written = known.get(call_id).is_some_and(|call| self.entered.contains_key(call));
            assert!(written || waits, "I-1: the INVITE {call_id} has no entry");
        }
        assert_eq!(rows.len(), self.entered.len(), "I-1: a row for each call");
    }

    fn entries_come_before_rings(&self, room: &Room) {
        let mut arrived: BTreeMap<CallId, Mono> = BTreeMap::new();
        let mut leaders: BTreeSet<CallId> = BTreeSet::new();
        for noted in room.facts() {
            let at = noted.at.mono;
            match &noted.fact {
                Fact::AttemptEnded { attempt, .. } => drop(leaders.insert((*attempt).into())),
                // The desk rings for a leader who was told of an entry.
                Fact::Rung { call, .. } if leaders.contains(call) => {}
                Fact::Arrived(arrival) => {
                    let twice = arrived.insert(arrival.call, at);
                    assert_eq!(twice, None, "a call arrives once");
                }
                Fact::Rung { call, .. } => {
                    let entered = self.entered.get(call).is_some_and(|entered| *entered <= at);
                    let waited = at.since(arrived[call]) >= ENTRY_BUDGET;
                    assert!(entered || waited, "{call} rang before its entry");
                }
                _ => {}
            }
        }
    }

    fn calls_end_once(&mut self, room: &Room, rows: &[EntryRow]) {
        let mut over: BTreeSet<CallId> = BTreeSet::new();
        for noted in room.facts() {
            if let Fact::Ended { call, .. } = &noted.fact {
                assert!(over.insert(*call), "{call} ended twice");
            }
        }
        for row in rows {
            let id = row.id;
            if row.call.as_ref().is_some_and(|call| call.disposition.is_some()) {
                self.ended.insert(id);
            } else {
                assert!(!self.ended.contains(&id), "{id} came back to life");
            }
        }
    }

    /// I-6: acknowledged by a person who pressed the key, or withdrawn with a reason; for good.
    fn escalations_end_by_a_human_only(&mut self, log: &[EntryView]) {
        for view in log {
            let Some(one) = view.escalations.first() else { continue };
            let state = one.row.state;
            let before = self.settled.insert(view.row.id, state);
            let upgraded = view.escalations.len() > 1;
            assert!(
                before.is_none_or(|before| before == EscalationState::Open
                    || before == state
                    || upgraded),
                "I-6: {before:?} became {state:?}"
            );
            for escalation in &view.escalations {
                match escalation.row.state {
                    EscalationState::Open => assert!(escalation.acknowledgements.is_empty()),
                    EscalationState::Withdrawn => assert!(!escalation.row.reason.is_empty()),
                    EscalationState::Acknowledged => {
                        assert!(!escalation.acknowledgements.is_empty(), "I-6: by nobody");
                    }
                }
                for ack in &escalation.acknowledgements {
                    assert!(self.somebody_pressed(&ack.person, ack.at), "I-6: {ack:?}, no key");
                }
            }
        }
    }

    fn somebody_pressed(&self, person: &str, at: DateTime<Utc>) -> bool {
        let roster = people::roster();
        let person = roster.people.iter().find(|one| one.name == person).expect("of the roster");
        let own = |number: &String| {
            Some(number) == person.mobile.as_ref() || Some(number) == person.office.as_ref()
        };
        self.presses.iter().any(|(pressed, number)| {
            let ago = (at - *pressed).to_std().unwrap_or(Duration::MAX);
            own(number) && ago <= KEY_TO_ACK
        })
    }

    /// I-5, but for the time in which nothing could be done: the daemon down, the log stalled, or
    /// every person of the first step on the telephone with us for another matter.
    fn first_attempt_is_prompt(&self, room: &Room, view: &EntryView, log: &[EntryView]) {
        for escalation in &view.escalations {
            let raised = escalation.row.raised;
            let Some(first) = escalation.attempts.first() else {
                let quick = escalation
                    .row
                    .withdrawn
                    .is_some_and(|at| at - raised <= chrono::TimeDelta::seconds(5));
                let excused = escalation.row.withdrawn.is_some();
                assert!(quick || excused, "I-5: never attempted");
                continue;
            };
            let waited = (first.started - raised).to_std().unwrap_or(Duration::ZERO);
            let began = room.now().mono - (room.now().wall - raised).to_std().expect("past");
            let excused = self.excused(began, began + waited);
            let occupied = occupied(log, &first.person, raised, first.started);
            assert!(
                waited <= FIRST_ATTEMPT + excused + occupied,
                "I-5: {waited:?} after the flag (excused {excused:?}, occupied {occupied:?})"
            );
        }
    }

    fn excused(&self, from: Mono, to: Mono) -> Duration {
        let within = |(begin, end): &(Mono, Mono)| (*end).min(to).since((*begin).max(from));
        self.excuses.iter().map(within).sum()
    }

    /// I-2: what reached the daemon from a party of an answered call is on its tape.
    fn every_word_is_taped(&self, room: &Room) {
        let conversations = conversations(room);
        let tape = &room.daemon.as_ref().expect("the daemon runs").tape;
        let taped: BTreeSet<_> =
            tape.iter().map(|taped| (taped.at, taped.call, taped.party, &taped.bytes)).collect();
        for (at, from, bytes) in &room.tap.voice {
            let post = room.posts.iter().find(|post| post.host == from.ip());
            let number = &post.expect("a telephone of the room").number;
            let of = |one: &&Conversation| one.has(number) && one.from < *at && *at < one.to;
            // The latest: of an earlier one this telephone hung up and its BYE was lost.
            let Some(conversation) = conversations.iter().rev().find(of) else { continue };
            let party = if *number == conversation.caller { Party::Caller } else { Party::Officer };
            let key = (*at, conversation.call.0, party, bytes);
            assert!(
                taped.contains(&key),
                "I-2: {number} said something at {at:?} in vain\n{}",
                story(room, *at)
            );
        }
    }
}

/// No person has two calls of ours at the same time; of several matters he may be told in one.
fn nobody_is_called_twice_at_once(log: &[EntryView]) {
    let mut by_person: BTreeMap<&str, BTreeMap<AttemptId, Vec<&AttemptRow>>> = BTreeMap::new();
    for attempt in attempts(log) {
        let call = attempt.joined.unwrap_or(attempt.id);
        let calls = by_person.entry(&attempt.person).or_default();
        calls.entry(call).or_default().push(attempt);
    }
    for (person, calls) in by_person {
        let mut calls: Vec<_> = calls.into_values().map(whole).collect();
        calls.sort_by_key(|call| call.0);
        for pair in calls.windows(2) {
            assert!(pair[0].0.1 <= pair[1].0.0, "{person} is called twice at once: {pair:#?}");
        }
    }
}

/// From when to when, and what was told.
type Told<'a> = ((DateTime<Utc>, DateTime<Utc>), Vec<&'a AttemptRow>);

fn whole(told: Vec<&AttemptRow>) -> Told<'_> {
    let ended = |attempt: &&AttemptRow| attempt.ended.unwrap_or(DateTime::<Utc>::MAX_UTC);
    let began = told.iter().map(|attempt| attempt.started).min().expect("one at least");
    let ended = told.iter().map(ended).max().expect("one at least");
    ((began, ended), told)
}

fn attempts(log: &[EntryView]) -> impl Iterator<Item = &AttemptRow> {
    log.iter().flat_map(|view| &view.escalations).flat_map(|escalation| &escalation.attempts)
}

/// How long this person was on the telephone with us between the two moments.
fn occupied(log: &[EntryView], person: &str, from: DateTime<Utc>, to: DateTime<Utc>) -> Duration {
    let mut calls: BTreeMap<AttemptId, (DateTime<Utc>, DateTime<Utc>)> = BTreeMap::new();
    for attempt in attempts(log).filter(|attempt| attempt.person == person) {
        let begin = attempt.started.max(from);
        let end = attempt.ended.unwrap_or(to).min(to);
        let call = calls.entry(attempt.joined.unwrap_or(attempt.id)).or_insert((begin, end));
        *call = (call.0.min(begin), call.1.max(end));
    }
    // The end of one call and the decision about the next take turns.
    let lasted = |(begin, end): (DateTime<Utc>, DateTime<Utc>)| {
        (end - begin).to_std().map_or(Duration::ZERO, |time| time + seconds(3))
    };
    calls.into_values().map(lasted).sum()
}

/// What the switchboard noted in the two minutes around this moment.
fn story(room: &Room, at: Mono) -> String {
    let near = |noted: &&Noted| {
        let other = noted.at.mono;
        other.since(at).max(at.since(other)) < seconds(60)
    };
    let line = |noted: &Noted| format!("{:?} {:?}\n", noted.at.mono, noted.fact);
    room.facts().filter(near).map(line).collect()
}

struct Conversation {
    call: CallId,
    caller: String,
    officer: &'static str,
    from: Mono,
    to: Mono,
    hung_up: bool,
}

impl Conversation {
    fn has(&self, number: &str) -> bool {
        self.caller == number || self.officer == number
    }
}

/// Calls that were on when the daemon was killed, and that somebody ended by hanging up.
pub fn survived(room: &Room) -> u64 {
    let over_a_crash =
        |one: &&Conversation| room.tap.gone.iter().any(|gone| one.from < *gone && *gone < one.to);
    conversations(room).iter().filter(over_a_crash).filter(|one| one.hung_up).count() as u64
}

/// Who talked to whom, and when; a crash ends none.
fn conversations(room: &Room) -> Vec<Conversation> {
    // A leader who asked for the desk is one who waits for it, as a caller is.
    let log = room.all_views();
    let called = attempts(&log).map(|attempt| (CallId(attempt.id.0), attempt.target.clone()));
    let mut callers: BTreeMap<CallId, String> = called.collect();
    let mut found: Vec<Conversation> = vec![];
    for noted in room.facts() {
        let at = noted.at.mono;
        match &noted.fact {
            Fact::Arrived(arrival) => {
                callers.insert(arrival.call, arrival.caller.clone());
            }
            Fact::Answered { call, phone } => {
                let officer = if phone == "值班台话机" { DESK } else { SPARE };
                let to = Mono(u64::MAX);
                let caller = callers[call].clone();
                let hung_up = false;
                found.push(Conversation { call: *call, caller, officer, from: at, to, hung_up });
            }
            Fact::Ended { call, disposition, .. } => {
                if let Some(one) = found.iter_mut().find(|one| one.call == *call) {
                    one.to = one.to.min(at);
                    one.hung_up = *disposition == Disposition::Answered;
                }
            }
            _ => {}
        }
    }
    found
}
