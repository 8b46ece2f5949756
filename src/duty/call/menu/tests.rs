//! What a leader hears after each key, and when.

mod content;
mod others;

use super::*;
use crate::duty::prompts::{
    ALREADY_CONFIRMED, CONFIRMED, PLEASE_WAIT, URGENT, WITHDRAWN, WRONG_KEY,
};

fn at(ms: u64) -> Mono {
    Mono(ms * 1_000_000)
}

fn answered() -> Menu {
    let (menu, steps) = Menu::start(URGENT, at(0), at(90_000));
    assert_eq!(steps, [Step::Play(URGENT)]);
    menu
}

fn listening() -> Menu {
    let mut menu = answered();
    assert_eq!(menu.handle_played(URGENT, at(5_000)), [Step::Play(URGENT)]);
    assert_eq!(menu.handle_played(URGENT, at(10_000)), []);
    menu
}

#[test]
fn esc_06_a_machine_hears_it_twice_and_is_hung_up_on_after_the_key_window() {
    let mut menu = listening();
    assert_eq!(menu.deadline(), Some((at(35_000), "key window")));
    assert_eq!(menu.handle_timeout(at(34_999)), []);
    assert_eq!(menu.handle_timeout(at(35_000)), [Step::HangUp]);
    assert_eq!(menu.result(), AttemptResult::AnsweredNoKey);
    assert_eq!(menu.deadline(), None);
}

#[test]
fn esc_08_a_key_after_four_silent_seconds_acknowledges() {
    let mut menu = answered();
    assert_eq!(menu.handle_key('1', at(4_000)), [Step::Silence, Step::Acknowledge]);
    assert_eq!(menu.handle_committed(AckOutcome::First, at(4_100)), [Step::Play(CONFIRMED)]);
    assert_eq!(menu.handle_played(CONFIRMED, at(7_000)), [Step::HangUp]);
    assert_eq!(menu.result(), AttemptResult::Acknowledged);
}

#[test]
fn esc_09_the_third_wrong_key_ends_the_call() {
    let mut menu = answered();
    for second in [2, 4] {
        let steps = menu.handle_key('7', at(second * 1000));
        assert_eq!(steps, [Step::Key('7'), Step::Play(WRONG_KEY)]);
        assert_eq!(menu.handle_played(WRONG_KEY, at(second * 1000 + 900)), [Step::Play(URGENT)]);
    }
    let steps = menu.handle_key('8', at(6_000));
    assert_eq!(steps, [Step::Key('8'), Step::Play(WRONG_KEY)]);
    assert_eq!(menu.handle_played(WRONG_KEY, at(7_000)), [Step::HangUp]);
    assert_eq!(menu.result(), AttemptResult::AnsweredNoKey);
}

#[test]
fn esc_10_a_key_in_the_first_second_is_ignored() {
    let mut menu = answered();
    assert_eq!(menu.handle_key('1', at(400)), []);
    assert_eq!(menu.handle_key('7', at(999)), []);
    assert_eq!(menu.handle_key('1', at(1_200)), [Step::Silence, Step::Acknowledge]);
}

#[test]
fn esc_25_the_acknowledgement_stands_before_its_commit() {
    let mut menu = answered();
    menu.handle_key('1', at(2_000));
    assert_eq!(menu.result(), AttemptResult::Acknowledged);
}

#[test]
fn esc_48_nothing_is_confirmed_before_the_commit() {
    let mut menu = answered();
    menu.handle_key('1', at(2_000));
    assert_eq!(menu.handle_played(URGENT, at(2_500)), []);
    assert_eq!(menu.handle_timeout(at(2_999)), []);
    assert_eq!(menu.handle_timeout(at(3_000)), [Step::Play(PLEASE_WAIT)]);
    assert_eq!(menu.handle_played(PLEASE_WAIT, at(4_000)), []);
    assert_eq!(menu.handle_timeout(at(8_000)), [Step::Play(PLEASE_WAIT)]);
    assert_eq!(menu.handle_committed(AckOutcome::First, at(8_100)), [Step::Play(CONFIRMED)]);
}

#[test]
fn a_late_report_about_a_replaced_prompt_does_not_cut_the_next_one() {
    let mut menu = answered();
    menu.handle_key('1', at(2_000));
    menu.handle_committed(AckOutcome::First, at(2_010));
    assert_eq!(menu.handle_played(URGENT, at(2_020)), []);
    assert_eq!(menu.handle_played(CONFIRMED, at(4_000)), [Step::HangUp]);
}

#[test]
fn whoever_comes_late_or_after_a_withdrawal_is_told_so() {
    for (outcome, prompt) in
        [(AckOutcome::Late, ALREADY_CONFIRMED), (AckOutcome::Withdrawn, WITHDRAWN)]
    {
        let mut menu = listening();
        menu.handle_key('1', at(12_000));
        assert_eq!(menu.handle_committed(outcome, at(12_001)), [Step::Play(prompt)]);
        assert_eq!(menu.handle_played(prompt, at(14_000)), [Step::HangUp]);
    }
}

#[test]
fn a_star_repeats_the_sentence_and_gives_a_full_key_window() {
    let mut menu = listening();
    assert_eq!(menu.handle_key('*', at(30_000)), [Step::Key('*'), Step::Play(URGENT)]);
    assert_eq!(menu.handle_played(URGENT, at(35_000)), []);
    assert_eq!(menu.deadline(), Some((at(60_000), "key window")));
}

#[test]
fn keys_5_and_6_lead_away_and_are_wrong_keys_where_there_is_nowhere_to_go() {
    let mut menu = answered();
    for (key, second) in [('6', 2), ('5', 4)] {
        assert_eq!(menu.handle_key(key, at(second * 1000)), [Step::Leave(key)]);
        let steps = menu.handle_stays(key, at(second * 1000));
        assert_eq!(steps, [Step::Key(key), Step::Play(prompts::CANNOT_JOIN)]);
    }
    assert_eq!(menu.handle_played(prompts::CANNOT_JOIN, at(7000)), [Step::Play(URGENT)]);
    assert_eq!(menu.result(), AttemptResult::AnsweredNoKey);
}

#[test]
fn stars_without_end_do_not_hold_the_line() {
    let mut menu = listening();
    for second in (11..90).step_by(3) {
        menu.handle_key('*', at(second * 1000));
    }
    assert_eq!(menu.handle_timeout(at(90_000)), [Step::HangUp]);
}

#[test]
fn a_relay_that_reports_nothing_does_not_hold_the_line() {
    let mut menu = answered();
    assert_eq!(menu.handle_timeout(at(20_000)), [Step::Play(URGENT)]);
    assert_eq!(menu.handle_timeout(at(40_000)), []);
    assert_eq!(menu.handle_timeout(at(65_000)), [Step::HangUp]);
}

#[test]
fn a_stopped_attempt_says_who_has_it_and_still_takes_key_1() {
    let mut menu = listening();
    assert_eq!(menu.stop(Unwanted::Acknowledged, at(11_000)), [Step::Play(ALREADY_CONFIRMED)]);
    assert_eq!(menu.result(), AttemptResult::Cancelled);
    assert_eq!(menu.handle_key('5', at(11_200)), []);
    assert_eq!(menu.handle_key('1', at(11_500)), [Step::Silence, Step::Acknowledge]);
    assert_eq!(menu.stop(Unwanted::Acknowledged, at(11_600)), []);
    menu.handle_committed(AckOutcome::Late, at(11_700));
    assert_eq!(menu.handle_key('1', at(11_800)), [], "acknowledges once");
    assert_eq!(menu.handle_played(ALREADY_CONFIRMED, at(13_000)), [Step::HangUp]);
    assert_eq!(menu.result(), AttemptResult::Acknowledged);
}
