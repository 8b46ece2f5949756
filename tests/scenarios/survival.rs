//! The daemon is killed in the middle of everything, and started again.

use crate::room::people::{DAEMON_HOST, DESK, LEADER, SPARE};
use crate::room::{Prompt, Room, millis, seconds};
use dutyline::demo::phone::{Event, State, sound};
use dutyline::duty::ids::{CallId, EntryId};
use dutyline::duty::journal::{AttemptResult, Disposition};
use dutyline::duty::switchboard::Input;
use dutyline::io::store::{OutageKind, RecordingState};
use dutyline::protocol::now::Mono;
use dutyline::protocol::rtp::Party;
use dutyline::protocol::sip::Ending;
use std::collections::BTreeSet;
use std::time::Duration;

/// From the kill to the next run, as its supervisor has it.
const DOWN: Duration = Duration::from_millis(300);
/// Longer than any peer repeats its BYE.
const TOO_LONG: Duration = Duration::from_secs(40);

fn speech(seed: u8) -> Vec<u8> {
    (0..8000).map(|n| (n as u8).wrapping_mul(31).wrapping_add(seed) & 0x7f).collect()
}

fn talking(room: &mut Room) -> EntryId {
    let entry = room.caller_dials("101");
    room.officer_answers(entry);
    entry
}

fn killed_for(room: &mut Room, time: Duration) {
    room.kill_daemon();
    room.pass(time);
    room.start_daemon();
}

fn hears(room: &Room, number: &str) -> Vec<u8> {
    sound(room.phone(number).phone.heard(), 8)
}

#[test]
fn sig_34_the_two_hear_each_other_again_and_either_may_hang_up() {
    for hangs_up in ["101", DESK] {
        let mut room = Room::open();
        let entry = talking(&mut room);
        room.says("101", &speech(1));
        room.pass(millis(50));
        killed_for(&mut room, DOWN);
        room.says("101", &speech(2));
        room.says(DESK, &speech(3));
        room.pass(millis(50));
        let at_desk = hears(&room, DESK);
        assert!(at_desk.starts_with(&speech(1)) && at_desk.ends_with(&speech(2)), "every sample");
        assert!(hears(&room, "101") == speech(3), "every sample");
        assert_eq!(room.entry(entry).disposition, None, "the same call goes on");
        room.hangs_up(hangs_up);
        room.pass(seconds(1));
        let by = if hangs_up == DESK { Party::Officer } else { Party::Caller };
        assert_eq!(room.ending(entry), Some((Some(by), 200)));
        let seen = room.entry(entry);
        assert_eq!(seen.disposition, Some(Disposition::Answered));
        assert_eq!(seen.recording, Some(RecordingState::Partial), "the gap is not hidden");
        assert_eq!(room.all_rows().len(), 1);
        let daemon = room.daemon.as_ref().unwrap();
        assert_eq!(daemon.taped(CallId(entry.0), Party::Caller), 100);
        assert_eq!(daemon.finished, [entry.0]);
    }
}

#[test]
fn sig_34_the_time_without_a_daemon_is_a_row() {
    let mut room = Room::open();
    let entry = talking(&mut room);
    let gone = room.now().wall;
    killed_for(&mut room, DOWN);
    let back = room.now().wall;
    room.pass(millis(10));
    let rows = room.outage_rows();
    let [row] = &rows[..] else { panic!("{rows:?}") };
    let (from, to) = (row.from, row.to.expect("it is over"));
    assert_eq!(row.kind, OutageKind::Service);
    assert!(room.near(from, gone, seconds(1)) && from <= gone, "{from} {gone}");
    assert!(room.near(to, back, millis(5)), "{to} {back}");
    room.caller_hangs_up(entry);
    room.pass(seconds(1));
}

#[test]
fn rel_12_the_absences_of_runs_that_never_had_a_log_are_rows_too_and_once() {
    let mut room = Room::open();
    let entry = talking(&mut room);
    let mut gone = vec![];
    for _ in 0..3 {
        gone.push(room.now().wall);
        killed_for(&mut room, DOWN);
        room.log_stalls(seconds(20));
        room.pass(seconds(2));
    }
    assert_eq!(room.outage_rows(), []);
    room.pass(seconds(20));
    gone.push(room.now().wall);
    killed_for(&mut room, DOWN);
    room.pass(millis(10));
    let mut rows = room.outage_rows();
    rows.retain(|row| row.kind == OutageKind::Service);
    rows.sort_by_key(|row| row.from);
    assert_eq!(rows.len(), gone.len(), "{rows:?}");
    for (row, gone) in rows.iter().zip(gone) {
        let back = row.to.expect("it is over");
        assert!(room.near(row.from, gone, seconds(2)) && row.from <= gone, "{row:?} {gone}");
        assert!(room.near(back, gone + DOWN, millis(5)), "{row:?} {gone}");
    }
    room.caller_hangs_up(entry);
    room.pass(seconds(1));
}

#[test]
fn sig_34_a_call_survives_many_deaths_and_our_bye_is_in_order() {
    let mut room = Room::open();
    let entry = talking(&mut room);
    for _ in 0..6 {
        killed_for(&mut room, DOWN);
        room.pass(seconds(2));
    }
    room.says(DESK, &speech(1));
    room.pass(millis(50));
    assert!(hears(&room, "101") == speech(1), "every sample");
    room.stop_daemon();
    assert_eq!(room.state(DESK), State::OnHook, "our BYE was served");
    assert_eq!(room.caller_hears_the_end(entry), Event::Ended { ending: Ending::Bye });
    assert_eq!(room.entry(entry).disposition, Some(Disposition::Interrupted));
}

#[test]
fn sig_34_who_hung_up_meanwhile_is_heard_afterwards() {
    let mut room = Room::open();
    let entry = talking(&mut room);
    room.kill_daemon();
    room.hangs_up_unheard(DESK);
    room.pass(seconds(2));
    room.start_daemon();
    assert_eq!(room.caller_hears_the_end(entry), Event::Ended { ending: Ending::Bye });
    room.pass(seconds(1));
    assert_eq!(room.ending(entry), Some((Some(Party::Officer), 200)));
}

#[test]
fn sig_34_a_peer_that_forgot_the_call_is_asked_and_the_other_is_let_go() {
    let mut room = Room::open();
    let entry = talking(&mut room);
    room.kill_daemon();
    room.network.unplug(DAEMON_HOST);
    room.hangs_up_unheard(DESK);
    room.pass(seconds(30));
    room.start_daemon();
    // Its BYE has come for the last time.
    room.pass(seconds(3));
    room.network.plug_in(DAEMON_HOST);
    room.pass(seconds(8));
    assert_eq!(room.entry(entry).disposition, Some(Disposition::Interrupted));
    assert_eq!(room.caller_hears_the_end(entry), Event::Ended { ending: Ending::Bye });
    room.alarms();
}

#[test]
fn sig_34_after_too_long_the_call_is_ended_on_both_sides() {
    let mut room = Room::open();
    let entry = talking(&mut room);
    room.says("101", &speech(1));
    killed_for(&mut room, TOO_LONG);
    room.pass(seconds(2));
    assert_eq!((room.state("101"), room.state(DESK)), (State::OnHook, State::OnHook));
    let seen = room.entry(entry);
    assert_eq!(seen.disposition, Some(Disposition::Interrupted));
    assert_eq!(seen.recording, Some(RecordingState::Partial));
    room.alarms();
}

#[test]
fn sig_34_set_to_another_address_meanwhile_the_call_is_ended_on_both_sides() {
    let mut room = Room::open();
    let entry = talking(&mut room);
    room.plan.media_address = [10, 9, 9, 9].into();
    killed_for(&mut room, DOWN);
    room.pass(seconds(2));
    assert_eq!((room.state("101"), room.state(DESK)), (State::OnHook, State::OnHook));
    assert_eq!(room.entry(entry).disposition, Some(Disposition::Interrupted));
}

#[test]
fn sig_36_killed_while_it_rings_the_phone_is_cancelled_and_the_caller_gets_503() {
    let mut room = Room::open();
    let entry = room.caller_dials("101");
    room.rings(DESK, seconds(1));
    killed_for(&mut room, DOWN);
    let rang = room.phone(DESK).story.len();
    room.pass(millis(500));
    let story: Vec<_> = room.phone(DESK).story[rang..].iter().map(|(_, event)| event).collect();
    assert!(matches!(story[..], [Event::Stopped]), "{story:?}");
    assert_eq!(room.caller_hears_the_end(entry), Event::Refused { status: 503 });
    assert_eq!(room.entry(entry).disposition, Some(Disposition::Interrupted));
    assert_eq!(room.ending(entry), Some((None, 503)));
    assert_eq!(room.all_rows().len(), 1);
}

/// The keeper was not quick enough: the next run knows nothing of the call, but knows its own hand.
#[test]
fn sig_36_a_phone_picked_up_for_a_call_that_nobody_wrote_down_is_hung_up() {
    let mut room = Room::open();
    room.pass(seconds(1));
    room.keeper_stalls();
    room.caller_dials("101");
    room.rings(DESK, seconds(1));
    killed_for(&mut room, DOWN);
    room.pass(seconds(1));
    let at = room.at(DESK);
    room.act(at, |post, now| post.phone.pick_up(now));
    room.pass(seconds(1));
    assert_eq!(room.state(DESK), State::OnHook, "nobody sits before a dead telephone");
    room.hangs_up_unheard("101");
    room.pass(seconds(40));
    assert_eq!(room.calls_in_progress(), 0);
}

/// Each fact that is not committed yet is known to the next run.
#[test]
fn rec_s10_what_the_log_did_not_take_is_written_by_the_next_run() {
    let mut room = Room::open();
    room.log_stalls(seconds(20));
    room.caller_tries("101");
    room.picks_up(DESK);
    room.pass(seconds(1));
    assert_eq!(room.state("101"), State::Talking);
    assert_eq!(room.all_rows().len(), 0);
    killed_for(&mut room, DOWN);
    room.pass(seconds(1));
    let rows = room.all_rows();
    assert_eq!(rows.len(), 1);
    let call = rows[0].call.as_ref().unwrap();
    assert!(call.answered.is_some() && call.disposition.is_none(), "{call:?}");
    room.hangs_up("101");
    room.pass(seconds(1));
    let call = room.all_rows()[0].call.clone().unwrap();
    assert_eq!(call.disposition, Some(Disposition::Answered));
}

#[test]
fn esc_42_a_leader_who_listens_hears_it_again_and_acknowledges_in_the_same_call() {
    let mut room = Room::open();
    let entry = talking(&mut room);
    room.officer_flags_urgent(entry);
    room.leader_answers();
    room.pass(millis(200));
    killed_for(&mut room, DOWN);
    room.pass(seconds(2));
    assert!(room.heard(LEADER).contains(&Prompt::Urgent));
    room.leader_presses('1');
    room.pass(seconds(4));
    assert_eq!(room.heard(LEADER).last(), Some(&Prompt::Confirmed));
    let attempts = room.attempts(entry);
    assert_eq!(attempts.len(), 1, "nobody was called twice");
    assert_eq!(attempts[0].result, Some(AttemptResult::Acknowledged));
    room.caller_hangs_up(entry);
}

#[test]
fn esc_42_a_leaders_phone_that_rings_goes_on_ringing() {
    let mut room = Room::open();
    let entry = talking(&mut room);
    room.officer_flags_urgent(entry);
    room.rings(LEADER, seconds(2));
    room.kill_daemon();
    room.pass(millis(200));
    let at = room.at(LEADER);
    room.act(at, |post, now| post.phone.pick_up(now));
    room.pass(millis(600));
    room.start_daemon();
    room.pass(seconds(3));
    room.leader_presses('1');
    room.pass(seconds(4));
    assert!(room.is_acknowledged(entry));
    assert_eq!(room.attempts(entry).len(), 1);
    room.caller_hangs_up(entry);
}

#[test]
fn sig_35_handed_over_the_calls_go_on() {
    let mut room = Room::open();
    let entry = talking(&mut room);
    room.order(|daemon, now| daemon.tell(Input::HandOver, now));
    assert!(room.daemon.as_ref().unwrap().drained, "at once");
    killed_for(&mut room, DOWN);
    room.says(DESK, &speech(4));
    room.pass(millis(50));
    assert!(hears(&room, "101") == speech(4), "every sample");
    room.caller_hangs_up(entry);
    room.pass(seconds(1));
    assert_eq!(room.entry(entry).disposition, Some(Disposition::Answered));
}

#[test]
fn sig_35_a_stop_lets_calls_finish_and_refuses_new_ones() {
    let mut room = Room::before_the_start(0, dutyline::demo::pbx::Algorithm::Md5);
    room.plan.finish = seconds(60);
    room.start_daemon();
    room.pass(seconds(1));
    let (short, long) = (talking(&mut room), room.caller_dials("102"));
    room.picks_up(SPARE);
    room.are_connected(long);
    room.order(|daemon, now| daemon.tell(Input::Shutdown, now));
    room.pass(seconds(5));
    assert_eq!(room.state("101"), State::Talking, "it may finish");
    room.caller_hangs_up(short);
    room.caller_tries("103");
    room.pass(seconds(1));
    assert_eq!(room.phone("103").last(), Some(&Event::Refused { status: 503 }));
    assert!(!room.daemon.as_ref().unwrap().drained);
    room.pass(seconds(56));
    assert_eq!(room.caller_hears_the_end(long), Event::Ended { ending: Ending::Bye });
    assert!(room.daemon.as_ref().unwrap().drained);
    assert_eq!(room.entry(short).disposition, Some(Disposition::Answered));
    assert_eq!(room.entry(long).disposition, Some(Disposition::Interrupted));
    room.pass(seconds(1));
    room.alarms();
}

#[test]
fn sig_35_told_twice_to_stop_it_waits_for_nobody() {
    let mut room = Room::before_the_start(0, dutyline::demo::pbx::Algorithm::Md5);
    room.plan.finish = seconds(60);
    room.start_daemon();
    room.pass(seconds(1));
    let entry = talking(&mut room);
    room.order(|daemon, now| daemon.tell(Input::Shutdown, now));
    room.pass(seconds(5));
    assert_eq!(room.state("101"), State::Talking);
    room.stop_daemon();
    assert_eq!(room.caller_hears_the_end(entry), Event::Ended { ending: Ending::Bye });
    assert_eq!(room.entry(entry).disposition, Some(Disposition::Interrupted));
}

/// A call that people handle as they do, and a kill after so many events.
struct Evening {
    room: Room,
    pick_up: Option<Mono>,
    hang_up: Option<Mono>,
    /// The caller talks with somebody, or his PBX was told to look for somebody else.
    served: bool,
}

impl Evening {
    fn people_act(&mut self) {
        let now = self.room.now().mono;
        let rings = [DESK, SPARE].into_iter().find(|one| self.room.state(one) == State::Ringing);
        match (rings, self.pick_up) {
            (Some(number), Some(due)) if due <= now => {
                self.pick_up = None;
                let at = self.room.at(number);
                self.room.act(at, |post, now| post.phone.pick_up(now));
            }
            (Some(_), None) => self.pick_up = Some(now + millis(400)),
            (Some(_), Some(_)) => {}
            (None, _) => self.pick_up = None,
        }
        if self.room.state("101") == State::Talking {
            self.served = true;
            let due = *self.hang_up.get_or_insert(now + seconds(2));
            if due <= now {
                self.room.hangs_up_unheard("101");
            }
        }
    }

    /// False when everything was over before the kill.
    fn killed_after(step: usize) -> bool {
        let mut room = Room::open();
        room.caller_tries("101");
        let end = room.now().mono + seconds(15);
        let mut evening = Self { room, pick_up: None, hang_up: None, served: false };
        let (mut events, mut restart, mut killed) = (0, None, false);
        while evening.room.now().mono < end {
            let now = evening.room.now().mono;
            if events == step && !killed {
                killed = true;
                evening.room.kill_daemon();
                restart = Some(now + DOWN);
            }
            if restart.is_some_and(|due| due <= now) {
                restart = None;
                evening.room.start_daemon();
            }
            evening.people_act();
            let acts = [evening.pick_up, evening.hang_up.filter(|due| *due > now), restart];
            let limit = acts.into_iter().flatten().fold(end, Mono::min);
            if !evening.room.turn(limit) {
                evening.room.pass(limit.since(evening.room.now().mono));
            }
            events += 1;
        }
        evening.promises_hold(step);
        killed
    }

    fn promises_hold(&mut self, step: usize) {
        let room = &mut self.room;
        let refused = |event: &Event| matches!(event, Event::Refused { status: 503 });
        self.served |= room.phone("101").story.iter().any(|(_, event)| refused(event));
        assert!(self.served, "killed at event {step}: the caller reached nobody");
        let calls: BTreeSet<_> = room.tap.invites.iter().map(|(_, call)| call.clone()).collect();
        let rows = room.all_rows();
        assert_eq!(rows.len(), calls.len(), "killed at event {step}: one entry for each INVITE");
        for row in &rows {
            let call = row.call.as_ref().expect("an entry of a call");
            assert!(call.disposition.is_some(), "killed at event {step}: {call:?}");
        }
        room.alarms();
        room.look_around();
    }
}

#[test]
fn sig_34_sig_36_killed_at_every_event_of_a_call() {
    let steps = (0..).take_while(|step| Evening::killed_after(*step)).count();
    println!("killed at each of {steps} events");
    assert!(steps > 25, "{steps}");
}
