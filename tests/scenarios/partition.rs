//! The network between the daemon and everybody else is cut for a while, in the middle of a conversation.

use crate::room::people::{DAEMON_HOST, DESK};
use crate::room::{Room, millis, minutes, seconds, tones};
use dutyline::demo::pbx::Algorithm;
use dutyline::demo::phone::State;
use dutyline::duty::ids::EntryId;
use dutyline::duty::journal::{Disposition, Fact};
use dutyline::duty::line_plan::SilencePlan;
use dutyline::io::store::RecordingState;
use std::time::Duration;

/// As `config/dutyline.toml` has it where nothing else is said.
const LIMIT: Duration = Duration::from_secs(60);

/// Caller and officer talk for longer than any cut lasts.
fn they_talk() -> (Room, EntryId) {
    let mut room = Room::before_the_start(0, Algorithm::Sha256);
    room.plan.answering.silence = SilencePlan { both: Some(LIMIT), one: None };
    room.start_daemon();
    room.pass(seconds(5));
    let entry = room.caller_dials("101");
    room.officer_answers(entry);
    for (number, hertz) in [("101", 600.0), (DESK, 1300.0)] {
        let at = room.at(number);
        let speech = tones::tone(hertz, 1000).repeat(900);
        room.act(at, |post, now| post.phone.say(&speech, now));
    }
    room.pass(seconds(10));
    (room, entry)
}

fn cut(room: &mut Room, time: Duration) {
    room.network.unplug(DAEMON_HOST);
    room.pass(time);
    room.network.plug_in(DAEMON_HOST);
}

fn packets(room: &Room, number: &str) -> usize {
    room.phone(number).phone.heard().len()
}

/// Each hears the other in the next second.
fn hear_each_other(room: &mut Room) {
    let before = ["101", DESK].map(|number| packets(room, number));
    room.pass(seconds(1));
    for (number, before) in ["101", DESK].into_iter().zip(before) {
        let heard = packets(room, number) - before;
        assert!((49..=51).contains(&heard), "{number} heard {heard} packets");
    }
}

fn reason(room: &Room) -> Option<String> {
    room.facts().find_map(|noted| match &noted.fact {
        Fact::Ended { why, .. } => Some(why.clone()),
        _ => None,
    })
}

/// The call is over for us at the limit, with its reason and all that was said before; and for the phones when they ask.
fn is_over(mut room: Room, entry: EntryId) {
    let seen = room.entry(entry);
    assert_eq!(seen.disposition, Some(Disposition::Interrupted));
    assert_eq!(reason(&room).as_deref(), Some("no voice from either side for 60 s"));
    assert_eq!(seen.recording, Some(RecordingState::Sealed));
    assert_eq!((room.recording(), room.calls_in_progress()), (vec![], 0));
    assert_eq!(room.carried(entry).len(), 2, "what each leg carried is in the log");
    room.pass(minutes(3));
    for number in ["101", DESK] {
        room.hangs_up_unheard(number);
    }
    room.pass(minutes(2));
    for number in ["101", DESK] {
        assert_eq!(room.state(number), State::OnHook);
    }
    // The line works again.
    let next = room.caller_dials("102");
    room.officer_answers(next);
    room.caller_hangs_up(next);
    room.pass(seconds(1));
    assert_eq!(room.entry(next).disposition, Some(Disposition::Answered));
    room.alarms();
    room.leave_as_it_is();
}

#[test]
fn rel_23_a_partition_of_5_s_is_survived() {
    let (mut room, entry) = they_talk();
    cut(&mut room, seconds(5));
    hear_each_other(&mut room);
    room.caller_hangs_up(entry);
    room.pass(seconds(1));
    let seen = room.entry(entry);
    assert_eq!(seen.disposition, Some(Disposition::Answered));
    assert_eq!(seen.recording, Some(RecordingState::Sealed));
    room.alarms();
}

#[test]
fn rel_23_a_partition_of_just_under_60_s_is_survived_and_one_of_60_s_ends_the_call() {
    let (mut room, entry) = they_talk();
    cut(&mut room, LIMIT - millis(100));
    hear_each_other(&mut room);
    cut(&mut room, LIMIT + millis(100));
    is_over(room, entry);
}

#[test]
fn rel_23_a_partition_of_10_min_ends_the_call_with_its_reason_and_the_line_comes_back() {
    let (mut room, entry) = they_talk();
    cut(&mut room, minutes(10));
    is_over(room, entry);
}

/// One direction only: what comes is heard, what we send is lost, and the other way round.
#[test]
fn rel_23_a_call_goes_on_while_only_one_of_two_is_cut_off_and_then_has_its_reason() {
    let mut room = Room::before_the_start(0, Algorithm::Sha256);
    let one = Some(Duration::from_secs(90));
    room.plan.answering.silence = SilencePlan { both: Some(LIMIT), one };
    room.start_daemon();
    room.pass(seconds(5));
    let entry = room.caller_dials("101");
    room.officer_answers(entry);
    for number in ["101", DESK] {
        let at = room.at(number);
        let speech = tones::tone(600.0, 1000).repeat(300);
        room.act(at, |post, now| post.phone.say(&speech, now));
    }
    room.pass(seconds(5));
    let host = room.phone("101").host;
    room.network.unplug(host);
    room.pass(seconds(85));
    assert_eq!(room.calls_in_progress(), 1);
    room.pass(seconds(10));
    assert_eq!(reason(&room).as_deref(), Some("no voice from the caller for 90 s"));
    assert_eq!(room.entry(entry).disposition, Some(Disposition::Interrupted));
    room.network.plug_in(host);
    room.hangs_up_unheard("101");
    room.pass(minutes(2));
    assert_eq!(room.state(DESK), State::OnHook, "he was told");
    room.leave_as_it_is();
}
