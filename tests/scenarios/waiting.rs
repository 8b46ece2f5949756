//! Callers whom nobody takes at once: those who wait in the queue, and those who leave a message.

use crate::room::people::{DESK, RING, SPARE};
use crate::room::{Prompt, Room, millis, seconds};
use dutyline::demo::phone::{Event, State};
use dutyline::duty::ids::EntryId;
use dutyline::duty::journal::Disposition;
use dutyline::duty::line_plan::{MessagePlan, QueuePlan};
use dutyline::protocol::rtp::Party;
use dutyline::protocol::sip::Ending;
use std::time::Duration;

/// What passes between a phone that is free and its ringing.
const QUICK: Duration = Duration::from_millis(300);

/// A room where callers may wait for a minute, two at a time, and leave a message after that or
/// after half a minute of ringing.
fn patient_room() -> Room {
    let mut room = Room::open();
    let queue = QueuePlan { places: 2, longest: seconds(60) };
    let message = MessagePlan { after: seconds(30), longest: seconds(120) };
    room.plan.answering.queue = Some(queue);
    room.plan.answering.message = Some(message);
    room.plan.reserved_channels = 2;
    room.stop_daemon();
    room.start_daemon();
    room.pass(seconds(1));
    room
}

/// Both officers talk.
fn everybody_talks(room: &mut Room) -> [EntryId; 2] {
    let first = room.caller_dials("101");
    room.officer_answers(first);
    let second = room.caller_dials("102");
    room.picks_up(SPARE);
    room.are_connected(second);
    [first, second]
}

fn disposition(room: &Room, entry: EntryId) -> Option<Disposition> {
    room.entry(entry).disposition
}

#[test]
fn sig_11_who_waits_hears_so_and_has_the_first_officer_who_is_free() {
    let mut room = patient_room();
    let [first, second] = everybody_talks(&mut room);
    let waiting = room.caller_dials("103");
    room.are_connected(waiting);
    room.pass(seconds(3));
    assert_eq!(room.heard("103"), [Prompt::Queue]);
    assert_eq!(room.entry(waiting).answered_by, None, "nobody has taken it");
    room.caller_hangs_up(second);
    room.rings(SPARE, QUICK);
    room.picks_up(SPARE);
    room.says("103", &[1; 800]);
    room.pass(seconds(1));
    assert_eq!(room.entry(waiting).answered_by.as_deref(), Some("备用话机"));
    room.caller_hangs_up(waiting);
    room.caller_hangs_up(first);
    room.pass(seconds(1));
    assert_eq!(disposition(&room, waiting), Some(Disposition::Answered));
}

#[test]
fn sig_11_they_are_taken_in_the_order_in_which_they_came_and_a_place_too_many_is_busy() {
    let mut room = patient_room();
    let [first, second] = everybody_talks(&mut room);
    let earlier = room.caller_dials("103");
    room.pass(millis(200));
    let later = room.caller_dials("104");
    room.pass(millis(200));
    let refused = room.caller_dials("105");
    assert_eq!(room.caller_hears_the_end(refused), Event::Refused { status: 486 });
    room.caller_hangs_up(first);
    room.officer_answers(earlier);
    room.pass(seconds(1));
    assert!(room.entry(earlier).answered_by.is_some());
    assert_eq!(room.entry(later).answered_by, None);
    room.caller_hangs_up(second);
    room.picks_up(SPARE);
    room.pass(seconds(1));
    assert!(room.entry(later).answered_by.is_some());
    assert_eq!(disposition(&room, refused), Some(Disposition::BusyMissed));
    for entry in [earlier, later] {
        room.caller_hangs_up(entry);
    }
}

#[test]
fn sig_11_who_hangs_up_while_he_waits_is_to_be_called_back() {
    let mut room = patient_room();
    let talking = everybody_talks(&mut room);
    let waiting = room.caller_dials("103");
    room.are_connected(waiting);
    room.pass(seconds(5));
    room.caller_hangs_up(waiting);
    room.pass(seconds(1));
    assert_eq!(disposition(&room, waiting), Some(Disposition::Abandoned));
    assert_eq!(room.ending(waiting), Some((Some(Party::Caller), 200)));
    assert!(room.view(waiting).callback.is_some());
    talking.iter().for_each(|entry| room.caller_hangs_up(*entry));
}

#[test]
fn sig_11_sig_12_who_has_waited_in_vain_leaves_a_message() {
    let mut room = patient_room();
    let talking = everybody_talks(&mut room);
    let waiting = room.caller_dials("103");
    room.pass(seconds(61));
    assert_eq!(room.heard("103"), [Prompt::Queue, Prompt::Greeting, Prompt::Beep]);
    room.says("103", &[3; 8 * 4000]);
    room.presses("103", "#");
    assert_eq!(room.caller_hears_the_end(waiting), Event::Ended { ending: Ending::Bye });
    room.pass(seconds(1));
    assert_eq!(disposition(&room, waiting), Some(Disposition::Message));
    assert!(room.view(waiting).callback.is_some());
    talking.iter().for_each(|entry| room.caller_hangs_up(*entry));
}

#[test]
fn sig_12_nobody_answers_so_the_caller_leaves_a_message_and_every_phone_is_quiet() {
    let mut room = patient_room();
    let entry = room.caller_dials("101");
    room.rings(DESK, QUICK);
    room.pass(RING);
    room.rings(SPARE, seconds(1));
    room.pass(seconds(11));
    room.are_connected(entry);
    assert_eq!((room.state(DESK), room.state(SPARE)), (State::OnHook, State::OnHook));
    assert_eq!(room.heard("101"), [Prompt::Greeting, Prompt::Beep]);
    room.says("101", &[3; 8 * 4000]);
    room.caller_hangs_up(entry);
    room.pass(seconds(1));
    let seen = room.entry(entry);
    assert_eq!(seen.disposition, Some(Disposition::Message));
    assert_eq!((seen.answered_by, room.ending(entry)), (None, Some((Some(Party::Caller), 200))));
    assert!(seen.recording.is_some(), "the message is kept");
}

#[test]
fn sig_12_who_says_nothing_was_missed() {
    let mut room = patient_room();
    let entry = room.caller_dials("101");
    room.rings(DESK, QUICK);
    room.pass(RING);
    room.rings(SPARE, seconds(1));
    room.pass(seconds(11));
    room.caller_hangs_up(entry);
    room.pass(seconds(1));
    assert_eq!(disposition(&room, entry), Some(Disposition::Missed));
}

#[test]
fn sig_34_who_waits_goes_on_waiting_after_kill_9() {
    let mut room = patient_room();
    let talking = everybody_talks(&mut room);
    let waiting = room.caller_dials("103");
    room.are_connected(waiting);
    room.pass(seconds(2));
    room.kill_daemon();
    room.pass(millis(300));
    room.start_daemon();
    room.pass(seconds(3));
    room.caller_hangs_up(talking[0]);
    room.picks_up(DESK);
    room.pass(seconds(1));
    assert!(room.entry(waiting).answered_by.is_some());
    room.caller_hangs_up(waiting);
    room.caller_hangs_up(talking[1]);
}
