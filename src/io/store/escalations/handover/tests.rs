//! Who is told of what when the duty changes hands while a matter is open.

use crate::duty::escalation::Policy;
use crate::duty::ids::EntryId;
use crate::duty::journal::{Fact, Urgency};
use crate::duty::notices::{Channel, Kind, Progress, Verdict, What};
use crate::duty::roster::Role;
use crate::duty::switchboard::{Input, LeaderCall};
use crate::io::store::tests::{at, entry, note, officer, one, roster, store};
use crate::io::store::{OnDuty, Outgoing, Store, wait};
use chrono::TimeDelta;

fn channel(name: &str, kind: Kind, to_leader: bool) -> Channel {
    let (name, least, repeat) = (name.to_owned(), Urgency::Urgent, None);
    Channel { name, kind, least, repeat, to_leader }
}

fn texts() -> Channel {
    channel("短信", Kind::Sms, true)
}

/// L leads until the 60th second, H from then on; flagged at 0 s.
fn flagged(channels: &[Channel]) -> (Store, EntryId) {
    let store = store();
    wait(store.set_channels(channels.to_vec(), at(0.0))).unwrap();
    let changes = at(0.0).wall + TimeDelta::seconds(60);
    for (person, from, to) in
        [("L", at(0.0).wall - TimeDelta::hours(8), Some(changes)), ("H", changes, None)]
    {
        let duty = OnDuty { role: Role::Leader, person: person.to_owned(), from, to };
        wait(store.put_on_duty(&officer(), duty, at(0.0))).unwrap();
    }
    let entry = entry(&store, 1, 0.0);
    wait(store.flag(&officer(), entry, Urgency::Urgent, at(0.0))).unwrap();
    (store, entry)
}

fn calls(store: &Store, seconds: f64) -> Vec<LeaderCall> {
    let cycle = store.escalate(at(seconds), &Policy::default(), &roster()).unwrap();
    let called = |input| match input {
        Input::Notify(call) => Some(call),
        _ => None,
    };
    cycle.inputs.into_iter().filter_map(called).collect()
}

fn sends(store: &Store, channel: &Channel, seconds: f64) -> Vec<(What, Option<String>)> {
    let mut sent = vec![];
    while let Some(Outgoing { what, person, tries, .. }) =
        wait(store.next_notice(channel, at(seconds))).unwrap().send
    {
        let verdict = Verdict::Accepted { id: None };
        wait(store.notice_ended(channel, tries, verdict, at(seconds))).unwrap();
        sent.push((what, person));
    }
    sent
}

fn to(person: &str) -> Option<String> {
    Some(person.to_owned())
}

#[test]
fn esc_68_at_the_hand_over_the_new_leader_is_told_and_then_the_old_one_each_once() {
    let (texts, group) = (texts(), channel("群", Kind::WecomBot, false));
    let (store, entry) = flagged(&[texts.clone(), group.clone()]);
    calls(&store, 0.0);
    assert_eq!(sends(&store, &texts, 0.0), [(What::Alert, None)]);
    assert_eq!(sends(&store, &group, 0.0), [(What::Alert, None)]);
    calls(&store, 59.9);
    assert_eq!(sends(&store, &texts, 59.9), []);
    let cycle = store.escalate(at(60.0), &Policy::default(), &roster()).unwrap();
    assert!(!cycle.live.is_empty(), "the channels are woken");
    assert_eq!(sends(&store, &texts, 60.0), [(What::Alert, to("H"))]);
    assert_eq!(sends(&store, &texts, 89.9), [], "half a minute lies between two short messages");
    assert_eq!(sends(&store, &texts, 90.0), [(What::HandedOver, to("L"))]);
    assert_eq!(sends(&store, &group, 60.0), [], "a group is told of the matter, not of names");
    calls(&store, 130.0);
    assert_eq!(sends(&store, &texts, 130.0), []);
    let view = wait(store.entry(entry)).unwrap().unwrap();
    let shown = view.escalations[0].notices.iter().map(|one| (one.what, one.person.as_str()));
    let shown: Vec<_> = shown.filter(|(_, person)| !person.is_empty()).collect();
    assert_eq!(shown, [(What::HandedOver, "L"), (What::Alert, "H")], "newest first");
    let audited = "SELECT detail FROM audit WHERE action = 'escalation.hand_over'";
    assert_eq!(one::<String>(&store, audited), "L → H");
    wait(store.verify_audit()).unwrap();
}

#[test]
fn esc_68_what_had_not_left_yet_goes_to_the_new_leader_once() {
    let (store, _) = flagged(&[texts()]);
    calls(&store, 0.0);
    calls(&store, 60.0);
    assert_eq!(sends(&store, &texts(), 60.0), [(What::Alert, None)]);
    assert_eq!(sends(&store, &texts(), 90.0), [(What::HandedOver, to("L"))]);
    assert_eq!(sends(&store, &texts(), 130.0), []);
}

#[test]
fn esc_36_68_nobody_is_told_anew_of_what_was_acknowledged_before_he_led() {
    let (store, entry) = flagged(&[texts()]);
    let attempt = calls(&store, 0.0).remove(0).attempt;
    sends(&store, &texts(), 0.0);
    note(&store, 59.0, Fact::Acknowledged { attempt, entry });
    calls(&store, 60.0);
    assert_eq!(sends(&store, &texts(), 60.0), []);

    let (store, entry) = flagged(&[texts()]);
    let attempt = calls(&store, 0.0).remove(0).attempt;
    sends(&store, &texts(), 0.0);
    calls(&store, 60.0);
    note(&store, 60.1, Fact::Acknowledged { attempt, entry });
    assert_eq!(sends(&store, &texts(), 60.2), [(What::HandedOver, to("L"))]);
    let dropped = wait(store.entry(entry)).unwrap().unwrap();
    let dropped = dropped.escalations[0].notices.iter().find(|one| one.person == "H");
    assert_eq!(dropped.map(|one| one.progress), Some(Progress::Dropped));
}

#[test]
fn esc_75_whoever_handed_it_on_by_key_3_gets_nothing_more_and_the_substitute_is_told() {
    let (store, entry) = flagged(&[texts()]);
    let attempt = calls(&store, 0.0).remove(0).attempt;
    sends(&store, &texts(), 0.0);
    note(&store, 12.0, Fact::HandedOn { attempt, entry });
    calls(&store, 12.1);
    assert_eq!(sends(&store, &texts(), 30.0), [(What::Alert, to("S"))]);
    assert_eq!(sends(&store, &texts(), 100.0), []);
}
