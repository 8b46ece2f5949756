//! Several matters in one call.

use super::*;
use crate::duty::pin::Pin;
use crate::duty::prompts::{ALSO, BEEP, ENTER_PIN, MORE, NEXT, PIN_LATE, RECORDING, SEVERAL};

fn committed(menu: &mut Menu, ms: u64) {
    assert_eq!(menu.handle_key('1', at(ms)), [Step::Silence, Step::Acknowledge]);
    let steps = menu.handle_committed(AckOutcome::First, at(ms + 10));
    assert_eq!(steps, [Step::Play(CONFIRMED)]);
}

fn next(menu: &mut Menu, others: bool, ms: u64) {
    assert_eq!(menu.next(URGENT.into(), others, at(ms)), [Step::Play(NEXT)]);
}

#[test]
fn esc_27_that_there_are_several_is_said_first_and_each_has_its_turn() {
    let (mut menu, _) = Menu::start(URGENT, at(0), at(90_000));
    assert_eq!(menu.announce(at(0)), [Step::Play(SEVERAL)]);
    assert_eq!(menu.handle_played(SEVERAL, at(8_000)), [Step::Play(URGENT)]);
    assert_eq!(menu.handle_played(URGENT, at(16_000)), [Step::Play(URGENT)], "twice");
    committed(&mut menu, 18_000);
    assert_eq!(menu.handle_key('#', at(20_000)), [Step::HangUp], "as the prompt says");
    assert_eq!(menu.result(), AttemptResult::Acknowledged);
    next(&mut menu, false, 20_000);
    assert_eq!(menu.result(), AttemptResult::AnsweredNoKey, "of this one he does not know");
    assert_eq!(menu.handle_played(NEXT, at(24_000)), [Step::Play(URGENT)]);
    committed(&mut menu, 26_000);
    assert_eq!(menu.handle_key('#', at(27_000)), [], "there is no other");
    assert_eq!(menu.handle_played(CONFIRMED, at(38_000)), [Step::HangUp]);
}

#[test]
fn esc_27_a_machine_is_not_talked_to_for_ever() {
    let (mut menu, _) = Menu::start(URGENT, at(0), at(90_000));
    menu.announce(at(0));
    menu.handle_played(SEVERAL, at(8_000));
    menu.handle_played(URGENT, at(16_000));
    assert_eq!(menu.handle_played(URGENT, at(24_000)), []);
    for ms in [30_000, 45_000] {
        assert_eq!(menu.handle_another(at(ms)), [Step::Play(ALSO)]);
        menu.handle_played(ALSO, at(ms + 4_000));
        menu.handle_played(URGENT, at(ms + 12_000));
    }
    assert_eq!(menu.deadline(), Some((at(82_000), "key window")));
    assert_eq!(menu.handle_timeout(at(90_000)), [Step::HangUp]);
    assert_eq!(menu.result(), AttemptResult::AnsweredNoKey);
    for n in 0..40 {
        next(&mut menu, true, 90_000 + n * 60_000);
    }
    let (ends, _) = menu.deadline().unwrap();
    assert!(ends <= at(780_000), "no call is longer");
}

#[test]
fn esc_28_another_matter_is_told_of_at_once_whatever_he_does() {
    let mut menu = listening();
    assert_eq!(menu.handle_another(at(12_000)), [Step::Play(ALSO)]);
    assert_eq!(menu.handle_played(ALSO, at(16_000)), [Step::Play(URGENT)]);
    assert_eq!(menu.handle_played(URGENT, at(24_000)), []);
    menu.handle_key('2', at(25_000));
    menu.handle_sound(true, at(25_100));
    let heard = Step::Heard(Duration::from_secs(4));
    let steps = menu.handle_another(at(29_100));
    assert_eq!(steps, [Step::Silence, heard, Step::Play(ALSO)], "he can press 2 again");
    assert_eq!(menu.handle_played(RECORDING, at(29_200)), []);
    assert_eq!(menu.handle_played(ALSO, at(33_000)), [Step::Play(URGENT)]);
    menu.handle_key('9', at(33_500));
    assert_eq!(menu.handle_another(at(33_600)), [Step::Play(ALSO)], "before he speaks");
    menu.handle_key('9', at(34_000));
    menu.handle_key('#', at(34_500));
    menu.handle_played(BEEP, at(35_000));
    assert_eq!(menu.handle_another(at(37_000)), [Step::Play(ALSO)]);
    let since = at(35_000);
    let steps = menu.handle_key('#', at(45_000));
    assert_eq!(steps, [Step::Acknowledge, Step::Dictated { since }], "he has dictated on");
    let terms = Terms { sentence: URGENT, pin: Pin::new("4711"), plain: false };
    let (mut menu, _) = Menu::start(terms, at(0), at(90_000));
    assert_eq!(menu.handle_key('2', at(2_000)), [Step::Play(ENTER_PIN)]);
    menu.handle_key('4', at(3_000));
    assert_eq!(menu.handle_another(at(3_500)), [Step::Play(ALSO)]);
    for key in "711#".chars() {
        menu.handle_key(key, at(4_000));
    }
    assert_eq!(menu.handle_sound(true, at(4_100)), [Step::Hear], "he has typed on");
}

#[test]
fn esc_28_a_confirmation_is_heard_to_its_end_and_nothing_long_comes_before_the_next() {
    let mut menu = answered();
    menu.handle_key('1', at(2_000));
    assert_eq!(menu.handle_another(at(2_005)), []);
    assert!(menu.is_unsaid());
    let steps = menu.handle_committed(AckOutcome::First, at(2_010));
    assert_eq!(steps, [Step::Play(CONFIRMED)]);
    assert_eq!(menu.handle_key('2', at(5_000)), [Step::Play(ALSO)], "first of all");
    assert!(!menu.is_unsaid());
    assert_eq!(menu.handle_played(ALSO, at(9_000)), [Step::Play(MORE)]);
    assert_eq!(menu.handle_key('2', at(10_000)).last(), Some(&Step::Fetch));
    menu.nothing_waits();
}

#[test]
fn esc_27_his_pin_is_typed_once_in_a_call_and_guessed_at_three_times() {
    let terms = || Terms { sentence: URGENT, pin: Pin::new("4711"), plain: false };
    let (mut menu, _) = Menu::start(terms(), at(0), at(90_000));
    menu.handle_key('2', at(2_000));
    for key in "4711#".chars() {
        menu.handle_key(key, at(3_000));
    }
    menu.next(terms(), false, at(30_000));
    assert_eq!(menu.handle_key('2', at(31_000)).last(), Some(&Step::Fetch));
    let (mut menu, _) = Menu::start(terms(), at(0), at(90_000));
    for n in 0..3 {
        menu.next(terms(), true, at(2_000 + n * 2_000));
        menu.handle_key('2', at(3_100 + n * 2_000));
        assert!(!menu.is_refused());
        menu.handle_key('#', at(3_200 + n * 2_000));
    }
    assert_eq!(menu.result(), AttemptResult::WrongPin);
    assert!(menu.is_refused(), "he is told of nothing else");
}

#[test]
fn esc_10_a_key_that_was_meant_for_the_matter_before_is_none_for_the_next() {
    let mut menu = answered();
    committed(&mut menu, 2_000);
    menu.handle_key('#', at(4_000));
    next(&mut menu, false, 4_000);
    assert_eq!(menu.handle_key('1', at(4_999)), []);
    assert_eq!(menu.result(), AttemptResult::AnsweredNoKey);
    committed(&mut menu, 5_000);
}

#[test]
fn esc_28_matters_that_come_one_after_the_other_do_not_keep_the_keys_from_him() {
    let mut menu = answered();
    assert_eq!(menu.handle_another(at(3_000)), [Step::Play(ALSO)]);
    assert_eq!(menu.handle_another(at(4_000)), [], "it is being said");
    assert_eq!(menu.handle_played(ALSO, at(7_000)), [Step::Play(URGENT)]);
    assert_eq!(menu.handle_another(at(9_000)), [], "he knows that more follows");
    assert_eq!(menu.handle_played(URGENT, at(15_000)), [Step::Play(URGENT)], "twice all the same");
    assert_eq!(menu.handle_another(at(17_000)), [Step::Play(ALSO)]);
    let (mut menu, _) = Menu::start(URGENT, at(0), at(90_000));
    menu.announce(at(0));
    assert_eq!(menu.handle_another(at(1_000)), [], "what # does is heard to its end");
    assert!(!menu.is_unsaid());
}

#[test]
fn esc_28_what_waits_behind_the_next_and_was_not_told_of_is_told_of_after_it() {
    let mut menu = answered();
    committed(&mut menu, 2_000);
    menu.handle_another(at(3_000));
    menu.handle_another(at(3_500));
    menu.handle_key('#', at(4_000));
    next(&mut menu, true, 4_000);
    menu.leave_unsaid();
    assert!(menu.is_unsaid());
    assert_eq!(menu.handle_played(NEXT, at(7_000)), [Step::Play(ALSO)]);
    assert!(!menu.is_unsaid());
    assert_eq!(menu.handle_played(ALSO, at(11_000)), [Step::Play(URGENT)]);
    assert_eq!(menu.handle_played(URGENT, at(19_000)), [Step::Play(URGENT)], "twice");
}

#[test]
fn esc_28_what_is_still_typed_of_a_pin_is_no_key_when_another_matter_comes() {
    let terms = Terms { sentence: URGENT, pin: Pin::new("4711"), plain: false };
    let (mut menu, _) = Menu::start(terms, at(0), at(90_000));
    menu.handle_key('2', at(2_000));
    menu.handle_timeout(at(32_000));
    assert_eq!(menu.handle_timeout(at(62_000)), [Step::Play(PIN_LATE)]);
    assert_eq!(menu.handle_another(at(63_000)), [], "that he is to press * is said to its end");
    for key in "4713#".chars() {
        assert_eq!(menu.handle_key(key, at(64_000)), [], "{key}");
    }
    assert_eq!(menu.result(), AttemptResult::AnsweredNoKey);
    assert!(menu.is_unsaid(), "and if he hangs up now, he is called for the other at once");
    assert_eq!(menu.handle_key('*', at(65_000)), [Step::Play(ALSO)]);
    assert_eq!(menu.handle_played(ALSO, at(69_000)), [Step::Play(URGENT)]);
}

#[test]
fn esc_28_whoever_knows_cannot_hand_on_while_he_is_told_of_another_matter() {
    let mut menu = answered();
    committed(&mut menu, 2_000);
    menu.handle_key('2', at(4_000));
    menu.handle_sound(true, at(4_000));
    assert_eq!(menu.handle_another(at(9_000)).last(), Some(&Step::Play(ALSO)));
    for key in ['1', '3', '7'] {
        assert_eq!(menu.handle_key(key, at(9_500)), [], "{key}");
    }
    assert_eq!(menu.result(), AttemptResult::Acknowledged);
    assert_eq!(menu.handle_key('2', at(10_000)).last(), Some(&Step::Fetch));
    menu.handle_sound(false, at(10_000));
    assert_eq!(menu.handle_key('3', at(10_500)), []);
    assert_eq!(menu.handle_key('#', at(10_600)), [Step::HangUp], "on to the next");
}
