//! Who was sent a short message answers it with another: what that stops, and what it does not.

use crate::exercises::flagged;
use crate::room::people::{LEADER, LEADER_OFFICE, SUBSTITUTE};
use crate::room::{Room, millis, minutes, seconds};
use dutyline::demo::phone::State;
use dutyline::duty::escalation::After;
use dutyline::duty::ids::EntryId;
use dutyline::duty::journal::Urgency;
use dutyline::duty::notices::{Channel, Kind, Verdict};
use dutyline::duty::roster::Role;
use dutyline::io::store::{AckChannel, Came, Recipient, wait};
use std::time::Duration;

const SMS: &str = "13900000001";
const SUBSTITUTES: &str = "13900000002";

fn channel() -> Channel {
    let repeat = Some(Duration::from_secs(600));
    Channel {
        name: "短信猫".to_owned(),
        kind: Kind::Modem,
        least: Urgency::Urgent,
        repeat,
        to_leader: true,
    }
}

fn room() -> Room {
    let room = Room::open();
    wait(room.store.set_channels(vec![channel()], room.now())).expect("the log is written");
    room
}

/// The modem sends what is owed, to leader and substitute; the codes it sends.
fn is_sent(room: &Room) -> Vec<String> {
    let (plan, now) = (channel(), room.now());
    let look = wait(room.store.next_notice(&plan, now)).expect("the log is written");
    let sent = look.send.expect("a message is owed");
    let one = |number: &str, person: &str, role| Recipient {
        number: number.to_owned(),
        person: person.to_owned(),
        role,
    };
    let people = vec![one(SMS, "张局", Role::Leader), one(SUBSTITUTES, "李副局", Role::Substitute)];
    let deliveries = sent.tries.iter().map(|(delivery, _)| *delivery).collect();
    let codes = wait(room.store.texted(deliveries, people, now)).expect("the log is written");
    let accepted = Verdict::Accepted { id: None };
    wait(room.store.notice_ended(&plan, sent.tries, accepted, now)).expect("the log is written");
    codes
}

/// The answer, if there is one.
fn writes(room: &mut Room, from: &str, text: &str) -> Option<String> {
    let now = room.now();
    let came = Came {
        channel: "短信猫".to_owned(),
        name: format!("{} {text}", now.wall),
        from: from.to_owned(),
        text: text.to_owned(),
        sent: Some(now.wall),
    };
    let answered = wait(room.store.text_came(came, "63001234", now)).expect("the log is written");
    if !answered.entries.is_empty() {
        room.order(|daemon, now| daemon.wake_escalator(now));
    }
    answered.answer
}

fn acks(room: &Room, entry: EntryId) -> Vec<(String, Option<Role>, bool, AckChannel)> {
    let view = room.view(entry);
    let acks = view.escalations[0].acknowledgements.iter();
    acks.map(|ack| (ack.person.clone(), ack.role, ack.first, ack.channel)).collect()
}

#[test]
fn esc_39_a_one_by_text_acknowledges_and_the_ringing_telephone_is_let_go_at_once() {
    let mut room = room();
    room.rules(|policy, _| policy.after = Some(After::default()));
    let entry = flagged(&mut room);
    room.rings(LEADER, seconds(1));
    is_sent(&room);
    room.pass(seconds(8));
    let said = writes(&mut room, "+8613900000001", "1").expect("he is told");
    assert!(said.ends_with(" 已记为您知悉。"), "{said}");
    assert!(room.is_acknowledged(entry));
    room.pass(millis(500));
    assert_eq!(room.state(LEADER), State::OnHook, "CANCEL within half a second");
    assert_eq!(
        acks(&room, entry),
        [("张局".to_owned(), Some(Role::Leader), true, AckChannel::Sms)]
    );
    room.pass(minutes(4));
    assert_eq!(room.attempts(entry).len(), 1, "he knows: nobody else is called yet");
    let late = writes(&mut room, SUBSTITUTES, "1").expect("he is told");
    assert!(late.ends_with(" 此前已有人知悉，您的回复已记录。"), "{late}");
    assert_eq!(acks(&room, entry).len(), 2, "kept beside it");
    assert!(!acks(&room, entry)[1].2);
    // Known is not read: he is reminded of it by telephone.
    room.rings(LEADER, minutes(3));
    room.leader_answers();
    room.leader_presses('1');
    room.officer_spoke_to_the_leader(entry);
    room.pass(minutes(1));
}

#[test]
fn esc_39_a_one_by_text_with_two_open_matters_is_asked_which() {
    let mut room = room();
    let first = flagged(&mut room);
    room.rings(LEADER, seconds(1));
    let one = is_sent(&room);
    let second = flagged(&mut room);
    room.pass(seconds(40));
    let two = is_sent(&room);
    assert_ne!(one, two);
    let asked = writes(&mut room, SMS, "1").expect("he is asked");
    assert!(asked.contains(&one[0]) && asked.contains(&two[0]), "{asked}");
    assert!(!room.is_acknowledged(first) && !room.is_acknowledged(second));
    assert_eq!(writes(&mut room, SMS, "１"), Some(asked.clone()), "as often as he errs");
    let denied = writes(&mut room, SMS, &format!("{}不知道", two[0]));
    assert_eq!(denied, Some(asked), "he is told what would count");
    assert!(!room.is_acknowledged(second), "that is no answer");
    writes(&mut room, SMS, &format!("收到{}", two[0])).expect("he is told");
    assert!(room.is_acknowledged(second) && !room.is_acknowledged(first));
    // Of which of the two he was told a 1 speaks is not known, though one of them is over.
    room.pass(seconds(1));
    let asked = writes(&mut room, SMS, "1").expect("he is asked again");
    assert!(asked.contains(&one[0]) && !room.is_acknowledged(first), "{asked}");
    writes(&mut room, SMS, &one[0]).expect("he is told");
    assert!(room.is_acknowledged(first));
    room.pass(seconds(20));
    room.expect_rings(&[LEADER, LEADER_OFFICE, SUBSTITUTE]);
}

#[test]
fn esc_39_the_substitute_by_text_stops_the_ladder_and_not_the_redialling_of_the_leader() {
    let mut room = room();
    let entry = flagged(&mut room);
    room.rings(LEADER, seconds(1));
    room.refuses(LEADER, 603);
    let code = is_sent(&room).remove(0);
    writes(&mut room, SUBSTITUTES, &code).expect("he is told");
    assert!(room.is_acknowledged(entry));
    let capacity = ("李副局".to_owned(), Some(Role::Substitute), true, AckChannel::Sms);
    assert_eq!(acks(&room, entry), [capacity]);
    room.until("the leader himself is called again", minutes(3), |room| {
        room.state(LEADER) == State::Ringing || room.state(LEADER_OFFICE) == State::Ringing
    });
    writes(&mut room, SMS, &code).expect("he is told");
    room.pass(millis(500));
    assert_eq!((room.state(LEADER), room.state(LEADER_OFFICE)), (State::OnHook, State::OnHook));
    room.pass(minutes(3));
    room.expect_rings(&[LEADER, LEADER_OFFICE, SUBSTITUTE]);
}
