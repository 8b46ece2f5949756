//! Phones that take a call for themselves: INVITE with Replaces.

use super::{course, handing};
use crate::calling_out;
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

#[test]
fn sig_16_and_sig_24_another_phone_takes_over_a_call_of_ours() {
    let mut world = calling_out::world();
    let (_, officer, far) = calling_out::talking(&mut world);
    let replaces = world.replaces_officer();
    let town = world.picks_up("13800138000", &replaces);
    assert_eq!(world.refused_with(town), Some(603), "nobody of the room");
    let second = world.picks_up("302", &replaces);
    assert!(world.is_answered(second));
    assert!(world.ended(officer) && !world.ended(far));
    assert_eq!(world.calls().len(), 1, "one entry");
    let course = course(&world);
    let pickup = ["^13800138000", "!13800138000 603", "^302", "+302", "-phone 201"];
    assert!(course.ends_with(&pickup.map(str::to_owned)), "{course:?}");
    world.hang_up(far);
    assert!(world.ended(second));
    world.assert_clean();
}

/// Before the number answers there is nothing to take over: who has dialled it waits for it himself.
#[test]
fn sig_16_and_sig_24_a_call_of_ours_that_is_not_answered_stays_with_its_officer() {
    let mut world = calling_out::world();
    let (_, officer, far) = calling_out::dialling(&mut world);
    let replaces = world.replaces_officer();
    let second = world.picks_up("302", &replaces);
    assert_eq!(world.refused_with(second), Some(603));
    world.pick_up(far);
    assert!(!world.ended(officer));
    world.hang_up(officer);
    world.assert_clean();
}

#[test]
fn rel_22_and_sig_16_a_pbx_that_has_moved_since_the_start_hands_on_and_picks_up() {
    let mut world = one_phone().at_a_pbx_that_has_moved();
    let (caller, _, target) = handing(&mut world);
    world.pick_up(target);
    let replaces = world.names_phone(0).replace("Replaces=", "");
    let replaces = replaces.replace("%3B", ";").replace("%3D", "=");
    let second = world.picks_up("302", &replaces);
    assert!(world.is_answered(second));
    assert!(world.ended(target) && !world.ended(caller));
    world.hang_up(caller);
    world.assert_clean();
}
