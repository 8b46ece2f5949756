//! A fax machine calls the duty telephone: the entry is classed 传真, the officer is told, nobody talks over it.

use crate::room::people::DESK;
use crate::room::{Room, seconds, tones};
use dutyline::demo::pbx::Algorithm;
use dutyline::demo::phone::{SILENCE, State, sound};
use dutyline::duty::entry::Category;
use dutyline::duty::journal::Disposition;
use dutyline::duty::line_plan::MessagePlan;

#[test]
fn sig_39_cng_is_heard_within_five_seconds_of_the_answer_and_the_officer_is_told() {
    let mut room = Room::open();
    let entry = room.caller_dials("101");
    room.officer_answers(entry);
    let answered = room.now();
    let at = room.at("101");
    let calling = [tones::hush(1700), tones::fax_calls(4)].concat();
    room.act(at, |post, now| post.phone.say(&calling, now));
    room.until("the page is told", seconds(5), |room| room.view(entry).fax.is_some());
    let view = room.view(entry);
    assert_eq!(view.form.category(), Some(Category::Fax));
    assert!(room.near(view.fax.unwrap(), answered.wall, seconds(2)));
    room.pass(seconds(20));
    assert_eq!(room.state(DESK), State::Talking, "the call goes on");
    let revisions = room.view(entry).revisions.len();
    assert_eq!(revisions, view.revisions.len(), "it is told once");
    room.caller_hangs_up(entry);
}

#[test]
fn sig_39_the_greeting_stops_for_a_fax_machine_and_what_it_sends_is_kept() {
    let mut room = Room::before_the_start(0, Algorithm::Sha256);
    room.plan.answering.message = Some(MessagePlan { after: seconds(15), longest: seconds(120) });
    room.start_daemon();
    room.pass(seconds(2));
    let entry = room.caller_dials("101");
    room.until("he is answered", seconds(30), |room| room.state("101") == State::Talking);
    // The prompts of the room are half a second long: the tone comes before the first is over.
    room.says("101", &tones::fax_calls(1));
    room.says("101", &tones::fax_calls(3));
    let heard = sound(room.phone("101").phone.heard(), 8);
    let said = heard.iter().filter(|byte| **byte != SILENCE).count();
    assert!(said <= 8000, "greeting and beep at most: {said} samples");
    assert_eq!(room.view(entry).form.category(), Some(Category::Fax));
    room.caller_hangs_up(entry);
    room.pass(seconds(1));
    assert_eq!(
        room.entry(entry).disposition,
        Some(Disposition::Message),
        "it is to be called back"
    );
}

#[test]
fn sig_39_a_machine_that_answers_where_it_was_called_is_known_by_its_tone_too() {
    let mut room = Room::open();
    let entry = room.caller_dials("101");
    room.officer_answers(entry);
    room.says("101", &[tones::hush(400), tones::tone(2100.0, 3000)].concat());
    room.pass(seconds(1));
    assert_eq!(room.view(entry).form.category(), Some(Category::Fax));
    room.caller_hangs_up(entry);
}

#[test]
fn sig_39_what_the_officers_phone_plays_is_no_fax() {
    let mut room = Room::open();
    let entry = room.caller_dials("101");
    room.officer_answers(entry);
    room.says(DESK, &tones::fax_calls(3));
    room.pass(seconds(1));
    assert_eq!(room.view(entry).form.category(), None);
    assert_eq!(room.view(entry).fax, None);
    room.caller_hangs_up(entry);
}
