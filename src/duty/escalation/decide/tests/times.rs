//! After an absence, by a clock that is set, and of several matters at one time.

use super::*;

#[test]
fn esc_45_after_ten_minutes_down_everybody_due_is_called_once() {
    let mut room = Room::new(Urgency::Urgent, nobody);
    room.run(20.0);
    room.seconds = 620.0;
    room.ends.clear();
    let now = room.now();
    room.escalation.attempts[0].ended = Some((now.into(), Interrupted));
    room.run(625.0);
    let mut called: Vec<_> = room.calls[1..].iter().map(|(_, to)| to.as_str()).collect();
    called.sort_unstable();
    assert_eq!(called, ["Hm", "Lm", "Sm"], "no burst of what was missed");
    assert_eq!(room.calls[1].0, 620.0);
}

#[test]
fn esc_64_a_changed_wall_clock_moves_nothing() {
    for shift in [3600, -3600] {
        let mut room = Room::new(Urgency::Urgent, nobody);
        room.run(30.0);
        room.wall_shift = shift;
        room.run(400.0);
        assert_eq!(room.calls_to("Sm")[0], 180.0, "clock moved by {shift} s");
    }
}

#[test]
fn esc_66_after_a_reboot_into_1970_everything_is_due() {
    let mut room = Room::new(Urgency::Urgent, nobody);
    room.run(30.0);
    room.ends.clear();
    room.wall_shift = -56 * 365 * 86_400;
    let now = room.now();
    room.escalation.round_began.mono = None;
    let attempt = &mut room.escalation.attempts[0];
    attempt.started.mono = None;
    attempt.ended = Some((now.into(), Interrupted));
    room.run(31.0);
    let called: Vec<_> = room.calls[1..].iter().map(|(_, to)| to.as_str()).collect();
    assert!(called.contains(&"Lm") && called.contains(&"Sm"), "{called:?}");
}

#[test]
fn esc_27_whoever_is_on_the_phone_for_another_matter_is_not_called_twice() {
    let mut room = Room::new(Urgency::Urgent, nobody);
    let call = AttemptId(uuid::Uuid::from_u128(7));
    let (person, number) = ("L".to_owned(), "Lo".to_owned());
    room.escalation.occupied = vec![Elsewhere { call, person, number, joinable: false }];
    room.run(40.0);
    assert!(room.calls.is_empty());
    room.escalation.occupied.clear();
    room.run(60.0);
    assert!(room.calls_to("Lm")[0] <= 43.0);
}

#[test]
fn esc_27_whoever_is_told_of_one_matter_is_told_of_the_other_in_the_same_call() {
    let room = Room::new(Urgency::Urgent, nobody);
    let mut escalation = room.escalation.clone();
    let call = AttemptId(uuid::Uuid::from_u128(7));
    let elsewhere = |person: &str, number: &str| {
        let (person, number) = (person.to_owned(), number.to_owned());
        Elsewhere { call, person, number, joinable: true }
    };
    let decided =
        |escalation: &Escalation| decide(escalation, &room.policy, &room.roster, room.now());
    escalation.occupied = vec![elsewhere("L", "Lo")];
    let Decision::Notify(targets) = decided(&escalation) else { panic!("he is told") };
    let told = (targets[0].joins, targets[0].number.as_str(), targets.len());
    assert_eq!(told, (Some(call), "Lo", 1));
    escalation.occupied = vec![elsewhere("X", "Lm")];
    let waits = matches!(decided(&escalation), Decision::Wait { .. });
    assert!(waits, "somebody else has his telephone");
}
