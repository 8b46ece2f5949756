//! Texts against the log itself: codes, whom they are from, what is answered how often.

use super::*;
use crate::duty::journal::Urgency;
use crate::duty::notices::{self, Kind as ChannelKind};
use crate::io::store::tests::{at, entry, officer, one, roster, store};
use crate::io::store::wait;

const LEADER: &str = "13900000001";

fn channel() -> notices::Channel {
    let (name, kind, least) = ("短信".to_owned(), ChannelKind::Sms, Urgency::Urgent);
    notices::Channel { name, kind, least, repeat: None, to_leader: true }
}

fn room() -> Store {
    let store = store();
    let people = (&crate::duty::escalation::Policy::default(), roster());
    wait(store.set_channels(vec![channel()], at(0.0))).unwrap();
    store.escalate(at(0.0), people.0, &people.1).unwrap();
    store
}

/// An entry is flagged, and a message of it sent to the leader: its code.
fn told(store: &Store, n: u8, seconds: f64) -> (EntryId, String) {
    let entry = entry(store, n, seconds);
    wait(store.flag(&officer(), entry, Urgency::Urgent, at(seconds))).unwrap();
    (entry, send(store, seconds).pop().unwrap())
}

fn send(store: &Store, seconds: f64) -> Vec<String> {
    let sent = wait(store.next_notice(&channel(), at(seconds))).unwrap().send.expect("owed");
    let deliveries = sent.tries.iter().map(|(delivery, _)| *delivery).collect();
    let (number, person) = (LEADER.to_owned(), "L".to_owned());
    let people = vec![Recipient { number, person, role: Role::Leader }];
    let codes = wait(store.texted(deliveries, people, at(seconds))).unwrap();
    let accepted = notices::Verdict::Accepted { id: None };
    wait(store.notice_ended(&channel(), sent.tries, accepted, at(seconds))).unwrap();
    codes
}

fn came(name: &str, from: &str, text: &str) -> Came {
    let (name, from, text) = (name.to_owned(), from.to_owned(), text.to_owned());
    Came { channel: "短信".to_owned(), name, from, text, sent: None }
}

fn writes(store: &Store, came: Came, seconds: f64) -> Answered {
    wait(store.text_came(came, "63001234", at(seconds))).unwrap()
}

fn count(store: &Store, what: &str) -> i64 {
    one(store, &format!("SELECT count(*) FROM {what}"))
}

#[test]
fn esc_40_the_same_text_handed_over_five_times_has_one_effect() {
    let store = room();
    let (entry, code) = told(&store, 1, 0.0);
    let first = writes(&store, came("msg_1", "+8613900000001", &code), 5.0);
    assert_eq!(first.entries, [entry]);
    assert!(first.answer.is_some());
    for nth in 0..4 {
        let again = writes(&store, came("msg_1", LEADER, &code), 6.0 + f64::from(nth));
        assert_eq!(again, Answered::default());
    }
    assert_eq!((count(&store, "told"), count(&store, "reply")), (1, 1));
    // Another of his says the same again, late.
    writes(&store, came("msg_2", LEADER, &code), 20.0);
    assert_eq!((count(&store, "told"), count(&store, "reply")), (1, 2));
    let how: String = one(&store, "SELECT acked_channel || acked_by || acked_role FROM escalation");
    assert_eq!(how, "smsLleader");
    wait(store.verify_audit()).unwrap();
}

#[test]
fn esc_39_a_stranger_and_a_wrong_code_have_no_effect_and_a_stranger_is_answered_once_an_hour() {
    let store = room();
    let (_, code) = told(&store, 1, 0.0);
    let strange = "13700000009";
    let answer = |name: &str, from: &str, text: &str, seconds: f64| {
        let answered = writes(&store, came(name, from, text), seconds);
        assert_eq!(answered.entries, []);
        answered.answer.is_some()
    };
    assert!(answer("a", strange, &code, 1.0), "the right code of another number");
    for nth in 0..20 {
        assert!(!answer(&format!("b{nth}"), strange, "1", 2.0 + f64::from(nth)));
    }
    assert!(answer("c", strange, "1", 3602.0));
    assert!(answer("d", LEADER, "0000", 1.0), "each has his own hour");
    assert!(answer("e", LEADER, "what?", 3500.0), "his matter is open");
    for service in ["10086", "106900001234", "China Mobile", ""] {
        assert!(!answer(&format!("f{service}"), service, "1", 9.0), "{service}");
    }
    assert_eq!(count(&store, "audit WHERE action = 'reply.no_effect'"), 28);
    assert_eq!(count(&store, "reply WHERE text <> ''"), 28, "what a stranger says is kept too");
    assert_eq!(one::<String>(&store, "SELECT state FROM escalation"), "open");
    wait(store.verify_audit()).unwrap();
}

#[test]
fn esc_39_a_code_is_of_one_entry_and_not_used_again_for_thirty_days() {
    let store = room();
    let mut codes = std::collections::BTreeSet::new();
    for n in 1..=60 {
        let (_, code) = told(&store, n, f64::from(n) * 60.0);
        assert!(code.len() == 4 && codes.insert(code));
    }
    let (entry, day) = (entry(&store, 99, 0.0), 86_400_000_i64);
    let insert = |made: i64| {
        let code = codes.first().unwrap().clone();
        wait(store.write(move |tx| {
            let row = params![Id(entry), code, made];
            Ok(tx.sql.execute("INSERT INTO reply_code VALUES (?1, ?2, ?3)", row)?)
        }))
    };
    let last: i64 = one(&store, "SELECT max(made_ms) FROM reply_code");
    let refused = insert(last + 29 * day).unwrap_err().to_string();
    assert!(refused.contains("thirty days"), "{refused}");
    assert_eq!(insert(last + 31 * day), Ok(1));
}

#[test]
fn esc_39_an_answer_counts_for_a_day_and_as_long_as_the_matter_is_open() {
    let store = room();
    let (entry, code) = told(&store, 1, 0.0);
    let day = 86_400.0;
    let answered = writes(&store, came("a", LEADER, &code), 3.0 * day);
    assert_eq!(answered.entries, [entry], "nobody has acknowledged it");
    let (_, other) = told(&store, 2, 3.0 * day);
    writes(&store, came("b", LEADER, &other), 3.0 * day + 9.0);
    let late = writes(&store, came("c", LEADER, &other), 3.9 * day);
    assert_eq!(late.entries.len(), 1, "late, and told so");
    let expired = writes(&store, came("d", LEADER, &other), 4.1 * day);
    assert_eq!(expired.entries, []);
    assert!(expired.answer.is_some_and(|said| said.starts_with("没有与您对应的")));
}

#[test]
fn esc_39_while_a_matter_of_his_is_open_what_does_not_count_is_answered_with_its_code() {
    let store = room();
    let (_, code) = told(&store, 1, 0.0);
    let said = |name: &str, seconds: f64| {
        let answered = writes(&store, came(name, LEADER, "好的"), seconds);
        assert_eq!(answered.entries, []);
        answered.answer
    };
    for nth in 1..=5 {
        let said = said(&format!("a{nth}"), f64::from(nth));
        assert!(said.is_some_and(|said| said.contains(&code)), "{nth}");
    }
    assert_eq!(said("b", 60.0), None, "no machine is talked to for ever");
    assert!(said("c", 3602.0).is_some());
    let answered = writes(&store, came("d", LEADER, &code), 3603.0);
    assert!(answered.answer.is_some(), "an acknowledgement is always answered");
}

fn states(store: &Store) -> String {
    let states =
        "SELECT group_concat(state) FROM (SELECT state FROM escalation ORDER BY raised_ms)";
    one(store, states)
}

#[test]
fn esc_39_a_one_to_what_the_deputy_took_does_not_take_what_came_since() {
    let store = room();
    let (first, _) = told(&store, 1, 0.0);
    let deputy = officer();
    let took = store.acknowledge_on_page(&deputy, first, at(240.0));
    assert_eq!(wait(took).unwrap(), Some(AckOutcome::First));
    let (_, code) = told(&store, 2, 270.0);
    for (name, sent) in [("a", None), ("b", Some(at(295.0).wall))] {
        let answered = writes(&store, Came { sent, ..came(name, LEADER, "1") }, 400.0);
        assert_eq!(answered.entries, [], "{name}");
        assert_eq!(states(&store), "acknowledged,open");
    }
    assert_eq!(writes(&store, came("c", LEADER, &code), 500.0).entries.len(), 1);
}

#[test]
fn esc_39_a_one_counts_only_when_his_text_was_taken_to_be_delivered() {
    let store = room();
    let entry = entry(&store, 1, 0.0);
    wait(store.flag(&officer(), entry, Urgency::Urgent, at(0.0))).unwrap();
    let sent = wait(store.next_notice(&channel(), at(1.0))).unwrap().send.expect("owed");
    let deliveries = sent.tries.iter().map(|(delivery, _)| *delivery).collect();
    let (number, person) = (LEADER.to_owned(), "L".to_owned());
    let people = vec![Recipient { number, person, role: Role::Leader }];
    let code = wait(store.texted(deliveries, people, at(1.0))).unwrap().pop().unwrap();
    let asked = writes(&store, came("a", LEADER, "1"), 2.0);
    assert!(asked.entries.is_empty() && asked.answer.is_some_and(|said| said.contains(&code)));
    let accepted = notices::Verdict::Accepted { id: None };
    wait(store.notice_ended(&channel(), sent.tries, accepted, at(90.0))).unwrap();
    let early = Came { sent: Some(at(20.0).wall), ..came("b", LEADER, "1") };
    assert_eq!(writes(&store, early, 95.0).entries, []);
    assert_eq!(states(&store), "open");
    assert_eq!(writes(&store, came("c", LEADER, "1"), 96.0).entries, [entry]);
}

#[test]
fn esc_39_a_code_for_what_was_urgent_does_not_take_what_is_critical_before_he_is_told() {
    let store = room();
    let (entry, code) = told(&store, 1, 0.0);
    writes(&store, came("a", LEADER, &code), 5.0);
    wait(store.flag(&officer(), entry, Urgency::Critical, at(60.0))).unwrap();
    let late = |name: &str, sent: Option<f64>, seconds: f64| {
        let sent = sent.map(|sent| at(sent).wall);
        let late = writes(&store, Came { sent, ..came(name, LEADER, &code) }, seconds);
        assert!(late.answer.is_some_and(|said| said.contains("此前已有人知悉")), "{name}");
        assert_eq!(states(&store), "acknowledged,open", "{name}");
    };
    late("b", None, 70.0);
    late("c", Some(69.0), 71.0);
    assert!(send(&store, 120.0) == [code.as_str()], "it has the same code");
    late("d", Some(110.0), 121.0);
    // Without its time it may be of before he was told.
    let undated = writes(&store, came("e", LEADER, &code), 125.0);
    assert_eq!(states(&store), "acknowledged,open");
    assert!(undated.answer.is_some_and(|said| said.contains("分不清")), "he is told");
    let row = "SELECT meaning || ' ' || answered FROM reply WHERE name = 'e'";
    assert_eq!(one::<String>(&store, row), "unclear 1");
    let in_time = Came { sent: Some(at(130.0).wall), ..came("f", LEADER, &code) };
    let answered = writes(&store, in_time, 131.0);
    assert!(answered.answer.is_some_and(|said| said.ends_with("已记为您知悉。")));
    assert_eq!(states(&store), "acknowledged,acknowledged");
}
