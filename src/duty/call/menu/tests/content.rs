//! The keys that lead to what the matter is about, and the PIN before them.

use super::*;
use crate::duty::pin::{self, Pin};
use crate::duty::prompts::{
    BEEP, DICTATE, ENTER_PIN, HANDED_ON, MORE, NO_RECORDING, PASSED_ON, PIN_LATE, PIN_REFUSED,
    RECORDING, TAKEN, WRONG_PIN,
};

fn with_pin() -> Menu {
    let terms = Terms { sentence: URGENT, pin: Pin::new("4711"), plain: false };
    Menu::start(terms, at(0), at(90_000)).0
}

fn types(menu: &mut Menu, keys: &str, ms: u64) -> Vec<Step> {
    keys.chars().flat_map(|key| menu.handle_key(key, at(ms))).collect()
}

fn acknowledged() -> Menu {
    let mut menu = answered();
    menu.handle_key('1', at(2_000));
    assert_eq!(menu.handle_committed(AckOutcome::First, at(2_010)), [Step::Play(CONFIRMED)]);
    menu
}

#[test]
fn esc_03_key_2_plays_the_recording_and_says_how_much_was_heard() {
    let mut menu = answered();
    let steps = menu.handle_key('2', at(3_000));
    assert_eq!(steps, [Step::Key('2'), Step::Silence, Step::Fetch]);
    assert_eq!(menu.handle_sound(true, at(3_100)), [Step::Hear]);
    let steps = menu.handle_key('1', at(15_600));
    let heard = Step::Heard(Duration::from_millis(12_500));
    assert_eq!(steps, [Step::Silence, heard, Step::Silence, Step::Acknowledge]);
}

#[test]
fn esc_03_to_its_end_again_and_enough() {
    let mut menu = answered();
    menu.handle_key('2', at(3_000));
    menu.handle_sound(true, at(3_100));
    let heard = Step::Heard(Duration::from_secs(300));
    let steps = menu.handle_played(RECORDING, at(303_100));
    assert_eq!(steps, [heard, Step::Play(URGENT)], "longer than any call without it");
    assert_eq!(menu.result(), AttemptResult::AnsweredNoKey, "he has not acknowledged");
    menu.handle_key('2', at(304_000));
    menu.handle_sound(true, at(304_100));
    let steps = menu.handle_key('*', at(305_100));
    let again = Step::Heard(Duration::from_secs(1));
    assert_eq!(steps, [Step::Silence, again.clone(), Step::Key('*'), Step::Fetch]);
    menu.handle_sound(true, at(305_200));
    let steps = menu.handle_key('#', at(306_200));
    assert_eq!(steps, [Step::Silence, again, Step::Play(URGENT)]);
    assert_eq!(menu.handle_gone(at(307_000)), []);
}

#[test]
fn esc_03_whoever_hangs_up_has_heard_so_much() {
    let mut menu = acknowledged();
    menu.handle_key('2', at(5_000));
    menu.handle_sound(true, at(5_000));
    let steps = menu.handle_gone(at(12_000));
    assert_eq!(steps, [Step::Silence, Step::Heard(Duration::from_secs(7))]);
    assert_eq!(menu.result(), AttemptResult::Acknowledged);
}

#[test]
fn a_recording_that_is_not_there_is_said_and_the_menu_goes_on() {
    for asked in [true, false] {
        let mut menu = answered();
        menu.handle_key('2', at(3_000));
        let steps = match asked {
            true => menu.handle_sound(false, at(3_100)),
            false => menu.handle_timeout(at(8_000)),
        };
        assert_eq!(steps, [Step::Play(NO_RECORDING)], "the disk answers never");
        assert_eq!(menu.handle_sound(true, at(8_500)), [], "too late");
        assert_eq!(menu.handle_played(NO_RECORDING, at(12_000)), [Step::Play(URGENT)]);
    }
}

#[test]
fn a_recording_without_end_and_keys_without_end_do_not_hold_the_line() {
    let mut menu = answered();
    let mut now = 2_000;
    while menu.deadline().is_some() {
        menu.handle_key('2', at(now));
        menu.handle_sound(true, at(now));
        now += 30_000;
        menu.handle_timeout(at(now));
        assert!(now < 900_000, "still on");
    }
    assert!(now > 600_000, "ten minutes may be heard");
}

#[test]
fn esc_04_an_instruction_is_dictated_after_the_beep_until_the_hash_key() {
    let mut menu = acknowledged();
    assert_eq!(menu.handle_key('9', at(5_000)), [Step::Key('9'), Step::Play(DICTATE)]);
    assert_eq!(menu.handle_played(DICTATE, at(12_000)), [Step::Play(BEEP)]);
    assert_eq!(menu.handle_played(BEEP, at(12_500)), []);
    assert_eq!(menu.handle_key('7', at(14_000)), [], "a digit in his speech");
    let steps = menu.handle_key('#', at(20_500));
    assert_eq!(steps, [Step::Dictated { since: at(12_500) }]);
    assert_eq!(menu.handle_committed(AckOutcome::First, at(20_510)), []);
    assert_eq!(menu.handle_committed(AckOutcome::Instructed, at(20_520)), [Step::Play(TAKEN)]);
    assert_eq!(menu.handle_played(TAKEN, at(23_000)), [Step::HangUp]);
}

#[test]
fn esc_04_whoever_dictates_knows_and_hanging_up_ends_it() {
    let mut menu = listening();
    menu.handle_key('9', at(12_000));
    assert_eq!(menu.handle_key('#', at(13_000)), [Step::Play(BEEP)], "at once");
    menu.handle_played(BEEP, at(13_500));
    let steps = menu.handle_gone(at(21_500));
    assert_eq!(steps, [Step::Acknowledge, Step::Dictated { since: at(13_500) }]);
    assert_eq!(menu.result(), AttemptResult::Acknowledged);
    let mut menu = listening();
    menu.handle_key('9', at(12_000));
    assert_eq!(menu.handle_key('*', at(13_000)), [Step::Play(URGENT)], "he does not want to");
    assert_eq!(menu.handle_gone(at(13_500)), []);
    assert_eq!(menu.result(), AttemptResult::AnsweredNoKey);
}

#[test]
fn esc_75_key_3_is_confirmed_aloud_after_its_commit() {
    for (outcome, prompt) in [(AckOutcome::HandedOn, HANDED_ON), (AckOutcome::PassedOn, PASSED_ON)]
    {
        let mut menu = listening();
        let steps = menu.handle_key('3', at(12_000));
        assert_eq!(steps, [Step::Key('3'), Step::Silence, Step::HandOn]);
        assert_eq!(menu.handle_committed(AckOutcome::Instructed, at(12_001)), []);
        assert_eq!(menu.handle_committed(outcome, at(12_002)), [Step::Play(prompt)]);
        assert_eq!(menu.result(), AttemptResult::HandedOn);
        assert_eq!(menu.handle_played(prompt, at(16_000)), [Step::HangUp]);
    }
}

#[test]
fn esc_14_three_wrong_pins_disclose_nothing_and_end_the_call() {
    let mut menu = with_pin();
    assert_eq!(menu.handle_key('2', at(2_000)), [Step::Play(ENTER_PIN)]);
    let wrong = [Step::Silence, Step::Key(pin::WRONG), Step::Play(WRONG_PIN)];
    assert_eq!(types(&mut menu, "1111#", 3_000), wrong, "that it was wrong is written, not what");
    assert_eq!(types(&mut menu, "47110#", 6_000), wrong);
    let steps = types(&mut menu, "#", 9_000);
    let refused = [Step::Key(pin::WRONG), Step::Play(PIN_REFUSED)];
    assert_eq!(steps, refused, "nothing typed is wrong too");
    assert_eq!(menu.result(), AttemptResult::WrongPin);
    for key in "125693*#".chars() {
        assert_eq!(menu.handle_key(key, at(9_500)), [], "{key}");
    }
    assert_eq!(menu.handle_played(PIN_REFUSED, at(14_000)), [Step::HangUp]);
}

#[test]
fn esc_14_content_follows_the_pin_and_1_and_3_never_need_it() {
    for (key, first) in [('2', Step::Key('2')), ('5', Step::Leave('5')), ('9', Step::Key('9'))] {
        let mut menu = with_pin();
        assert_eq!(menu.handle_key(key, at(2_000)), [Step::Play(ENTER_PIN)]);
        let steps = types(&mut menu, "4711#", 4_000);
        assert_eq!(steps[0], Step::Silence);
        assert_eq!(steps[1], first);
    }
    let mut menu = with_pin();
    menu.handle_key('2', at(2_000));
    types(&mut menu, "4711#", 4_000);
    menu.handle_sound(true, at(4_100));
    let steps = menu.handle_key('9', at(9_100));
    assert!(steps.contains(&Step::Play(DICTATE)), "once is enough: {steps:?}");
    assert_eq!(with_pin().handle_key('1', at(2_000)), [Step::Silence, Step::Acknowledge]);
    assert_eq!(with_pin().handle_key('3', at(2_000)).last(), Some(&Step::HandOn));
}

#[test]
fn esc_14_a_pin_that_does_not_come_leads_back() {
    let mut menu = with_pin();
    menu.handle_key('2', at(2_000));
    assert_eq!(types(&mut menu, "47", 3_000), [Step::Silence]);
    assert_eq!(menu.handle_timeout(at(17_999)), []);
    assert_eq!(menu.handle_timeout(at(18_000)), [Step::Play(ENTER_PIN)], "once more");
    assert_eq!(types(&mut menu, "47", 20_000), [Step::Silence]);
    assert_eq!(menu.handle_timeout(at(35_000)), [Step::Play(PIN_LATE)]);
    for digit in "7113#".chars() {
        assert_eq!(menu.handle_key(digit, at(36_000)), [], "{digit} is of the PIN, and no key");
    }
    assert_eq!(menu.result(), AttemptResult::AnsweredNoKey);
    assert_eq!(menu.handle_played(PIN_LATE, at(40_000)), []);
    assert_eq!(menu.handle_key('*', at(41_000)), [Step::Play(URGENT)]);
    assert_eq!(menu.handle_key('1', at(42_000)), [Step::Silence, Step::Acknowledge]);
}

#[test]
fn esc_14_whoever_types_no_pin_and_no_star_is_hung_up_on() {
    let mut menu = with_pin();
    menu.handle_key('2', at(2_000));
    menu.handle_timeout(at(32_000));
    assert_eq!(menu.handle_timeout(at(62_000)), [Step::Play(PIN_LATE)]);
    assert_eq!(menu.take_up(at(63_000)), [Step::Play(PIN_LATE)], "a crash opens nothing");
    let (until, _) = menu.deadline().unwrap();
    assert!(until <= at(107_000));
    assert_eq!(menu.handle_timeout(until), [Step::HangUp]);
    assert_eq!(menu.result(), AttemptResult::AnsweredNoKey);
    let mut menu = with_pin();
    menu.handle_key('1', at(2_000));
    menu.handle_committed(AckOutcome::First, at(2_010));
    menu.handle_key('9', at(5_000));
    menu.handle_timeout(at(35_000));
    menu.handle_timeout(at(65_000));
    assert_eq!(menu.handle_key('*', at(66_000)), [Step::Play(MORE)], "he knows already");
}

#[test]
fn esc_14_a_star_begins_the_pin_again_and_its_digits_are_no_keys() {
    let mut menu = with_pin();
    menu.handle_key('2', at(2_000));
    assert_eq!(types(&mut menu, "13*", 3_000), [Step::Silence, Step::Play(ENTER_PIN)]);
    assert_eq!(types(&mut menu, "31A", 4_000), [Step::Silence]);
    assert_eq!(types(&mut menu, "*", 5_000), [Step::Play(ENTER_PIN)]);
    let steps = types(&mut menu, "4711#", 6_000);
    assert_eq!(steps, [Step::Silence, Step::Key('2'), Step::Silence, Step::Fetch]);
    assert_eq!(menu.result(), AttemptResult::AnsweredNoKey);
}

#[test]
fn esc_48_the_question_for_the_pin_does_not_drown_the_confirmation() {
    for key in ['5', '6'] {
        let mut menu = with_pin();
        menu.handle_key('1', at(2_000));
        assert_eq!(menu.handle_key(key, at(2_200)), []);
        assert_eq!(menu.handle_committed(AckOutcome::First, at(2_300)), [Step::Play(CONFIRMED)]);
        assert_eq!(menu.handle_key(key, at(2_500)), [Step::Play(ENTER_PIN)]);
        let mut menu = answered();
        menu.handle_key('1', at(2_000));
        assert_eq!(menu.handle_key(key, at(2_200)), [Step::Leave(key)], "nothing to ask for");
    }
}

#[test]
fn esc_14_without_a_pin_that_could_be_right_there_is_no_content_but_1_and_3() {
    for pin in [Pin::Refused, Pin::Away] {
        let terms = || Terms { sentence: URGENT, pin: Some(pin.clone()), plain: false };
        let start = || Menu::start(terms(), at(0), at(90_000)).0;
        for key in ['2', '5', '6', '9'] {
            assert_eq!(start().handle_key(key, at(2_000)), [Step::Play(WRONG_KEY)]);
        }
        assert_eq!(start().handle_key('1', at(2_000)), [Step::Silence, Step::Acknowledge]);
        assert_eq!(start().handle_key('3', at(2_000)).last(), Some(&Step::HandOn));
    }
}

#[test]
fn esc_87_what_a_checkpoint_keeps_of_a_pin_is_that_there_is_one() {
    let mut menu = with_pin();
    menu.handle_key('2', at(2_000));
    types(&mut menu, "47", 3_000);
    let written = serde_json::to_string(&menu).unwrap();
    assert!(!written.contains("47"), "{written}");
    let read = || serde_json::from_str::<Menu>(&written).unwrap();
    let mut next = read();
    next.give_pin(Pin::new("4711").unwrap());
    assert_eq!(next.take_up(at(9_000)), [Step::Play(ENTER_PIN)], "from its first digit");
    assert_eq!(types(&mut next, "4711#", 10_000).last(), Some(&Step::Fetch));
    assert_eq!(read().take_up(at(9_000)), [Step::Play(URGENT)], "the roster has none");
}

#[test]
fn after_the_acknowledgement_the_keys_are_told_again_and_then_it_is_over() {
    let mut menu = acknowledged();
    menu.handle_key('2', at(4_000));
    menu.handle_sound(true, at(4_000));
    let heard = Step::Heard(Duration::from_secs(4));
    assert_eq!(menu.handle_key('2', at(8_000)), [Step::Silence, heard, Step::Play(MORE)]);
    assert_eq!(menu.handle_key('5', at(9_000)), [Step::Leave('5')]);
    assert_eq!(menu.handle_played(MORE, at(20_000)), [Step::HangUp]);
}

#[test]
fn withdrawn_while_he_listens_he_is_told_and_what_he_heard_is_kept() {
    let mut menu = answered();
    menu.handle_key('2', at(2_000));
    menu.handle_sound(true, at(2_000));
    assert_eq!(menu.stop(Unwanted::Acknowledged, at(3_000)), [], "he goes on listening");
    let steps = menu.stop(Unwanted::Withdrawn, at(6_000));
    let heard = Step::Heard(Duration::from_secs(4));
    assert_eq!(steps, [Step::Silence, heard, Step::Play(WITHDRAWN)], "esc_33");
    assert_eq!(menu.result(), AttemptResult::Cancelled);
}

#[test]
fn the_desk_is_asked_for_one_key_only() {
    let terms = Terms { sentence: prompts::INSTRUCTION, pin: None, plain: true };
    let (mut menu, _) = Menu::start(terms, at(0), at(90_000));
    for key in ['2', '3', '5'] {
        assert_eq!(menu.handle_key(key, at(2_000))[0], Step::Key(key));
    }
    let terms = Terms { sentence: prompts::INSTRUCTION, pin: None, plain: true };
    let (mut menu, _) = Menu::start(terms, at(0), at(90_000));
    menu.handle_key('1', at(3_000));
    assert_eq!(menu.handle_committed(AckOutcome::First, at(3_010)), [Step::Play(TAKEN)]);
}

#[test]
fn what_was_going_on_goes_on_after_a_crash() {
    let mut menu = answered();
    menu.handle_key('2', at(2_000));
    menu.handle_sound(true, at(2_000));
    assert_eq!(menu.take_up(at(9_000)), [Step::Fetch], "from its beginning");
    let mut menu = listening();
    menu.handle_key('3', at(12_000));
    assert_eq!(menu.take_up(at(13_000)), [Step::HandOn]);
    let mut menu = acknowledged();
    menu.handle_key('9', at(5_000));
    menu.handle_key('#', at(5_100));
    menu.handle_played(BEEP, at(5_600));
    assert_eq!(menu.take_up(at(9_000)), [], "he speaks on");
    menu.handle_key('#', at(10_000));
    assert_eq!(menu.take_up(at(11_000)), [Step::Dictated { since: at(5_600) }]);
}
