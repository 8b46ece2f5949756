//! A call is handed on only to whom the dial plan allows, and so often a day.

use crate::{one_phone, talking};
use dutyline::duty::journal::Fact;
use dutyline::duty::switchboard::Input;

#[test]
fn sig_30_a_refer_from_the_caller_or_to_a_number_that_the_site_does_not_name_is_declined() {
    let mut world = one_phone();
    let (caller, officer) = talking(&mut world);
    world.caller_refers("<sip:301@pbx.example>");
    assert_eq!(world.answered("REFER"), 603);
    let far = ["<sip:00441234567890@pbx.example>", "<sip:8000@192.0.2.9:5060>", "<tel:401>"];
    for (number, to) in (1..).zip(far) {
        world.officer_refers(number, to, "");
        assert_eq!(world.answered("REFER"), 603, "{to}");
    }
    for (number, to, status) in [
        (4, "<http://example.com/>", 416),
        (5, "<sip:301@a>, <sip:302@a>", 400),
        (6, "<sip:301@a;method=BYE>", 603),
        (7, "<sip:301@a?Replaces=x>", 400),
        (8, "<sip:301@a?Replaces=x%0d%0aEvil%3a1%3bto-tag%3d1%3bfrom-tag%3d2>", 400),
    ] {
        world.officer_refers(number, to, "");
        assert_eq!(world.answered("REFER"), status, "{to}");
    }
    let dialled = world.from_board.iter().filter(|sent| sent.starts_with("INVITE ")).count();
    assert_eq!(dialled, 1, "the officer's phone alone");
    assert_eq!(world.count(|fact| matches!(fact, Fact::NotTaken { status: 603, .. })), 4, "noted");
    assert!(!world.ended(caller));
    world.hang_up(officer);
    world.assert_clean();
}

#[test]
fn sig_30_the_day_has_its_cap_and_a_loop_comes_to_its_end() {
    let mut world = one_phone();
    let (caller, _) = talking(&mut world);
    for number in 1..=3 {
        world.officer_refers(number, "<sip:301@pbx.example>", "");
        let (target, _) = world.rung("301").unwrap();
        world.refuse(target, 486);
    }
    world.officer_refers(4, "<sip:302@pbx.example>", "");
    assert_eq!(world.answered("REFER"), 603);
    world.hang_up(caller);
    world.assert_clean();
}

/// Each is told to the log, which counts the day for the next run.
#[test]
fn sig_30_the_days_cap_of_transfers_outlives_a_restart() {
    let mut world = one_phone();
    let (caller, _) = talking(&mut world);
    for number in 1..=2 {
        world.officer_refers(number, "<sip:301@pbx.example>", "");
        let (target, _) = world.rung("301").unwrap();
        world.refuse(target, 486);
    }
    let dialled = |fact: &Fact| matches!(fact, Fact::Dialled { number, .. } if number == "301");
    let calls = u32::try_from(world.count(dialled)).unwrap();
    assert_eq!(calls, 2);
    world.dies_and_comes_back();
    world.tell(Input::DialledToday { calls });
    world.officer_refers(20, "<sip:301@pbx.example>", "");
    assert_eq!(world.answered("REFER"), 202, "the third of three");
    let (target, _) = world.rung("301").unwrap();
    world.refuse(target, 486);
    world.officer_refers(21, "<sip:301@pbx.example>", "");
    assert_eq!(world.answered("REFER"), 603);
    world.hang_up(caller);
    world.assert_clean();
}
