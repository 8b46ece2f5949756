//! Phones that take a call for themselves: INVITE with Replaces.

use super::course;
use crate::{one_phone, talking};
use dutyline::protocol::sip::Event;

#[test]
fn sig_16_another_phone_picks_up_a_call_that_rings() {
    let mut world = one_phone();
    let caller = world.dial("101");
    let (desk, _) = world.rung("201").unwrap();
    let replaces = world.replaces_officer();
    let second = world.picks_up("302", &replaces);
    assert!(world.is_answered(second));
    assert!(world.is_answered(caller));
    assert_eq!(world.heard_of(desk), [Event::Cancelled { leg: desk, elsewhere: true }]);
    assert_eq!(course(&world), ["^302", "+302", "!phone 201 487"]);
    assert_eq!(world.calls().len(), 1, "one entry");
    world.hang_up(second);
    assert!(world.ended(caller));
    world.assert_clean();
}

#[test]
fn sig_16_another_phone_takes_over_a_conversation() {
    let mut world = one_phone();
    let (caller, officer) = talking(&mut world);
    let replaces = world.replaces_officer();
    let second = world.picks_up("302", &replaces);
    assert!(world.is_answered(second));
    assert!(world.ended(officer) && !world.ended(caller));
    assert_eq!(course(&world), ["+phone 201", "^302", "+302", "-phone 201"]);
    world.hang_up(caller);
    assert!(world.ended(second));
    world.assert_clean();
}

#[test]
fn sig_30_a_pickup_that_is_not_the_rooms_is_declined() {
    let mut world = one_phone();
    let (caller, officer) = talking(&mut world);
    let replaces = world.replaces_officer();
    for (user, replaces, status) in [
        ("13800138000", replaces.clone(), 603),
        ("302", format!("{replaces};early-only"), 486),
        ("302", replaces.replace("from-tag=", "from-tag=x"), 481),
        ("302", "nonsense".to_owned(), 400),
    ] {
        let leg = world.picks_up(user, &replaces);
        assert_eq!(world.refused_with(leg), Some(status), "{user} {replaces}");
    }
    assert!(!world.ended(caller) && !world.ended(officer));
    assert_eq!(world.calls().len(), 1, "no entry for any of them");
    world.hang_up(caller);
    world.assert_clean();
}
