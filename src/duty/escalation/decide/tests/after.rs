//! Key 3, wrong PINs, and what follows on the acknowledgement.

use super::*;
use crate::duty::escalation::After;

/// Everybody is on the telephone for ten seconds and acknowledges.
fn acknowledges(_: &str, _: f64) -> Fate {
    (10.0, Acknowledged)
}

fn followed(people: impl FnMut(&str, f64) -> Fate + 'static) -> Room {
    let mut room = Room::new(Urgency::Urgent, people);
    room.policy.after = Some(After::default());
    room.roster.people.push(person("desk", Role::Officer, "desk", ""));
    room
}

#[test]
fn esc_75_key_3_without_a_substitute_goes_on_at_once_and_leaves_him_alone() {
    let mut room = Room::new(Urgency::Urgent, |number, _| match number {
        "Lm" | "Lo" => (12.0, HandedOn),
        _ => (0.0, NoAnswer),
    });
    room.run(4000.0);
    assert_eq!(room.calls_to_leader(), [0.0], "he gets nothing more");
    assert_eq!(room.calls_to("Sm")[0], 12.0);
    assert_eq!(room.calls_to("Hm")[0], 192.0, "the later tiers move up");
    assert!(room.calls_to("Sm").iter().any(|at| *at > 3500.0), "the others for ever");
}

#[test]
fn esc_75_whoever_stands_in_is_called_at_once_as_the_leader() {
    let mut room = Room::new(Urgency::Critical, |number, at| match number {
        "Lm" | "Lo" => (12.0, HandedOn),
        "Sm" | "So" if at > 200.0 => (5.0, Acknowledged),
        _ => (0.0, NoAnswer),
    });
    room.run(12.0);
    let stands_in = crate::duty::roster::StandsIn { record: 1, absent: "L".to_owned() };
    room.roster = room.roster.in_force(&[], &[("S".to_owned(), stands_in)]);
    room.run(10_000.0);
    assert_eq!(room.calls_to("Sm")[0], 12.0);
    assert_eq!(room.calls_to_leader(), [0.0]);
    let last = room.escalation.attempts.last().unwrap();
    assert_eq!((last.person.as_str(), last.role), ("S", Role::Leader), "he is the leader now");
    assert!(room.escalation.leader_reached);
}

#[test]
fn esc_14_after_three_wrong_pins_the_next_person_is_called_and_he_again_later() {
    let mut room = Room::new(Urgency::Urgent, |number, _| match number {
        "Lm" => (20.0, WrongPin),
        _ => (0.0, NoAnswer),
    });
    room.run(100.0);
    assert_eq!(room.calls_to("Sm")[0], 20.0);
    assert!(room.calls_to_leader().contains(&60.0), "the duty leader himself is not given up");
}

#[test]
fn esc_77_who_does_not_look_is_reminded_twice_and_then_it_is_raised_again() {
    let mut room = followed(acknowledges);
    room.run(3600.0);
    assert_eq!(room.calls_to_leader(), [0.0, 310.0, 610.0]);
    assert_eq!(room.raised_again, Some(910.0));
    let errands: Vec<_> = room.escalation.attempts.iter().map(|one| one.errand).collect();
    assert_eq!(errands, [Errand::Tell, Errand::Remind, Errand::Remind]);
}

/// He presses 1, and 3 when he is reminded.
fn hands_on_when_reminded() -> Room {
    let mut calls = 0;
    let mut room = followed(move |_, _| {
        calls += 1;
        (10.0, if calls == 1 { Acknowledged } else { HandedOn })
    });
    room.run(311.0);
    room
}

#[test]
fn esc_75_key_3_in_a_reminder_raises_it_again_at_once() {
    let mut room = hands_on_when_reminded();
    room.run(400.0);
    assert_eq!(room.calls_to_leader(), [0.0, 310.0]);
    assert_eq!(room.raised_again, Some(320.0));
}

#[test]
fn esc_75_whoever_hands_on_what_he_has_heard_is_not_believed_to_deal_with_it() {
    for (instructed, raised_again) in [(false, Some(320.0)), (true, None)] {
        let mut room = hands_on_when_reminded();
        room.pass(320.0);
        room.escalation.read = true;
        room.escalation.attempts.last_mut().unwrap().engaged = true;
        room.escalation.unconfirmed = instructed.then(|| room.now().into());
        room.run(400.0);
        assert_eq!(room.raised_again, raised_again, "instructed: {instructed}");
    }
}

#[test]
fn esc_75_what_another_has_looked_at_meanwhile_is_not_raised_again() {
    let mut room = hands_on_when_reminded();
    room.pass(320.0);
    room.escalation.read = true;
    room.run(4000.0);
    assert_eq!(room.raised_again, None);
}

#[test]
fn esc_75_whoever_was_left_out_is_not_called_by_the_ladder_that_begins_anew() {
    let mut room = followed(|number, at| match number {
        "Sm" | "So" if at > 20.0 => (5.0, Acknowledged),
        _ => (0.0, NoAnswer),
    });
    room.escalation.left_out = vec!["L".to_owned()];
    room.run(299.0);
    assert_eq!((room.calls_to_leader(), room.calls_to("Sm")[0]), (vec![], 0.0));
    assert_eq!(room.escalation.acked.as_ref().unwrap().person, "S");
}

#[test]
fn esc_77_whoever_has_confirmed_nothing_is_not_reminded_of_what_he_confirmed() {
    let mut room = followed(acknowledges);
    room.run(100.0);
    room.roster = room.roster.in_force(&[(Role::Leader, "S".to_owned())], &[]);
    room.run(4000.0);
    assert_eq!((room.calls_to_leader(), room.calls_to("Sm")), (vec![0.0], vec![]));
    assert_eq!(room.raised_again, Some(310.0), "nobody is there to be reminded");
}

#[test]
fn esc_77_who_has_looked_is_left_alone() {
    let mut room = followed(acknowledges);
    room.run(400.0);
    room.escalation.read = true;
    room.run(86_400.0);
    assert_eq!(room.calls_to_leader(), [0.0, 310.0]);
    assert_eq!(room.raised_again, None);
}

#[test]
fn a_reminder_that_the_line_lost_is_made_again() {
    let mut calls = 0;
    let mut room = followed(move |_, _| {
        calls += 1;
        if calls == 2 { (1.0, ChannelFailed) } else { (10.0, Acknowledged) }
    });
    room.run(500.0);
    assert_eq!(room.calls_to_leader(), [0.0, 310.0, 316.0]);
}

#[test]
fn esc_04_the_desk_rings_until_the_instruction_is_confirmed() {
    let mut room = followed(|number, _| match number {
        "desk" => (30.0, NoAnswer),
        _ => (10.0, Acknowledged),
    });
    room.run(20.0);
    room.escalation.read = true;
    room.escalation.unconfirmed = Some(room.now().into());
    room.run(500.0);
    assert_eq!(room.calls_to("desk"), [140.0, 260.0, 380.0]);
    room.escalation.unconfirmed = None;
    room.run(86_400.0);
    assert_eq!(room.calls_to("desk").len(), 3);
    let last = decide(&room.escalation, &room.policy, &room.roster, room.now());
    assert_eq!(last, Decision::Done);
}

/// Whatever came before: an escalation that is closed or withdrawn sends nothing and keeps nothing in flight.
#[test]
fn esc_78_of_a_hundred_thousand_histories_none_sends_after_its_end() {
    let results = [
        NoAnswer,
        Busy,
        Declined,
        AnsweredNoKey,
        Unreachable,
        ChannelFailed,
        Cancelled,
        Interrupted,
        HandedOn,
        WrongPin,
        Acknowledged,
    ];
    let mut random = Random::from_seed([78; 32]);
    let roster = everybody();
    let policies = [Policy::default(), Policy { after: None, ..Policy::default() }];
    for _ in 0..100_000 {
        let urgency = [Urgency::Urgent, Urgency::Critical][random.below(2) as usize];
        let mut room = Room::new(urgency, nobody);
        room.policy = policies[random.below(2) as usize].clone();
        room.roster.clone_from(&roster);
        let steps = 1 + random.below(6);
        for _ in 0..steps {
            room.seconds += random.below(400) as f64;
            if let Decision::Notify(targets) =
                decide(&room.escalation, &room.policy, &room.roster, room.now())
            {
                targets.into_iter().for_each(|target| room.call(target));
            }
            let now = room.now();
            for attempt in &mut room.escalation.attempts {
                if attempt.ended.is_none() && random.below(3) > 0 {
                    let result = results[random.below(11) as usize];
                    attempt.ended = Some((now.into(), result));
                    attempt.acknowledged = result == Acknowledged;
                }
            }
            if random.below(4) == 0 {
                let person = ["L", "S", "H"][random.below(3) as usize].to_owned();
                room.escalation.acked = Some(Acked { at: now.into(), person });
                room.escalation.state = State::Acknowledged;
                room.escalation.leader_reached = random.below(2) == 0;
                room.escalation.read = random.below(2) == 0;
            }
        }
        let withdrawn = room.escalation.state == State::Open || random.below(2) == 0;
        room.escalation.state = if withdrawn { State::Withdrawn } else { State::Acknowledged };
        room.escalation.closed = true;
        if !withdrawn {
            room.escalation.leader_reached = true;
            room.escalation.unconfirmed = None;
        }
        let sent = room.calls.len();
        for _ in 0..4 {
            let said = decide(&room.escalation, &room.policy, &room.roster, room.now());
            assert_eq!(said, Decision::Done);
            room.seconds += random.below(2_000_000) as f64;
        }
        assert_eq!(room.calls.len(), sent);
        let stopped = unwanted(&room.escalation, &room.roster);
        let kept = in_flight(&room.escalation).filter(|one| !stopped.contains(&one.id));
        let mut kept = kept.filter(|one| !one.acknowledged);
        assert_eq!(kept.next(), None, "a telephone would ring on");
    }
}

#[test]
fn esc_77_while_somebody_listens_to_it_nothing_is_raised_again() {
    let mut calls = 0;
    let mut room = followed(move |_, _| {
        calls += 1;
        (if calls == 3 { 400.0 } else { 10.0 }, Acknowledged)
    });
    room.run(620.0);
    room.escalation.attempts.last_mut().unwrap().engaged = true;
    room.run(1009.0);
    assert_eq!(room.raised_again, None, "he is on the telephone for it");
    room.run(1020.0);
    assert_eq!(room.raised_again, Some(1010.0), "and has not listened after all");
}

#[test]
fn the_call_of_somebody_who_listens_is_waited_for_without_asking_all_the_time() {
    let mut room = Room::new(Urgency::Urgent, |_, _| (600.0, AnsweredNoKey));
    room.run(10.0);
    room.escalation.attempts[0].engaged = true;
    room.seconds = 400.0;
    let decision = decide(&room.escalation, &room.policy, &room.roster, room.now());
    if let Decision::Notify(targets) = decision {
        targets.into_iter().for_each(|target| room.call(target));
    }
    let decision = decide(&room.escalation, &room.policy, &room.roster, room.now());
    let Decision::Wait { until, .. } = decision else { panic!("{decision:?}") };
    assert!(until.since(room.now().mono) >= Duration::from_secs(1), "{decision:?}");
}

#[test]
fn i_7_whoever_has_acknowledged_and_leads_since_is_not_rung_again() {
    for after in [None, Some(After::default())] {
        let mut room = Room::new(Urgency::Urgent, |number, _| match number {
            "Sm" => (10.0, Acknowledged),
            _ => (0.0, NoAnswer),
        });
        room.policy.after = after;
        room.run(195.0);
        assert_eq!(room.escalation.state, State::Acknowledged);
        room.escalation.read = true;
        let now = room.now();
        let mut ringing = room.escalation.attempts[0].clone();
        ringing.id = AttemptId::new(now, &mut room.random);
        (ringing.person, ringing.number) = ("S".to_owned(), "So".to_owned());
        (ringing.started, ringing.ended) = (now.into(), None);
        room.escalation.attempts.push(ringing.clone());
        room.roster = room.roster.in_force(&[(Role::Leader, "S".to_owned())], &[]);
        assert!(unwanted(&room.escalation, &room.roster).contains(&ringing.id));
        room.escalation.attempts.pop();
        room.run(10_000.0);
        assert_eq!((room.calls_to("Sm"), room.calls_to("So")), (vec![180.0], vec![]));
        let last = decide(&room.escalation, &room.policy, &room.roster, room.now());
        assert_eq!(last, Decision::Done);
    }
}

#[test]
fn a_reminder_reaches_him_in_the_first_of_his_roles() {
    let mut room = followed(acknowledges);
    room.roster.people.insert(0, person("L", Role::Head, "Lm", "Lo"));
    room.run(320.0);
    let last = room.escalation.attempts.last().unwrap();
    assert_eq!((last.errand, last.role), (Errand::Remind, Role::Leader));
}
