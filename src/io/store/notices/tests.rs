//! The outbox against the log itself: raised, claimed, fenced, settled.

mod kills;

use super::*;
use crate::duty::escalation::Policy;
use crate::duty::journal::Fact;
use crate::duty::notices::Kind;
use crate::duty::switchboard::Input;
use crate::io::store::tests::{at, entry, note, officer, one, roster, store};
use crate::io::store::{Flagged, Withdrawn, wait};

fn channel(name: &str, kind: Kind) -> Channel {
    Channel {
        name: name.to_owned(),
        kind,
        least: Urgency::Urgent,
        repeat: Some(Duration::from_secs(600)),
        to_leader: false,
    }
}

/// A log with these channels, and an entry that is flagged at 0 s.
fn flagged(channels: &[Channel]) -> (Store, EntryId) {
    let store = store();
    wait(store.set_channels(channels.to_vec(), at(0.0))).unwrap();
    let entry = entry(&store, 1, 0.0);
    let flagged = wait(store.flag(&officer(), entry, Urgency::Urgent, at(0.0))).unwrap();
    assert!(matches!(flagged, Flagged::Raised(_)));
    (store, entry)
}

fn next(store: &Store, channel: &Channel, seconds: f64) -> Look {
    wait(store.next_notice(channel, at(seconds))).unwrap()
}

fn ends(store: &Store, channel: &Channel, sent: &Outgoing, verdict: Verdict, seconds: f64) {
    let tries = sent.tries.clone();
    wait(store.notice_ended(channel, tries, verdict, at(seconds))).unwrap();
}

fn accepted() -> Verdict {
    Verdict::Accepted { id: Some("p-1".to_owned()) }
}

fn http_500() -> Verdict {
    Verdict::Retry { after: None, why: "http 500".to_owned() }
}

fn acknowledged(store: &Store, entry: EntryId, seconds: f64) {
    let cycle = store.escalate(at(seconds), &Policy::default(), &roster()).unwrap();
    let called = cycle.inputs.iter().find_map(|input| match input {
        Input::Notify(call) => Some(call.attempt),
        _ => None,
    });
    let attempt = called.expect("a call to the leader");
    note(store, seconds, Fact::Acknowledged { attempt, entry });
}

fn progress(store: &Store) -> Vec<(What, Progress)> {
    let view = wait(store.entry(one::<String>(store, "SELECT id FROM entry").parse().unwrap()));
    let notices = &view.unwrap().unwrap().escalations[0].notices;
    notices.iter().rev().map(|one| (one.what, one.progress)).collect()
}

#[test]
fn every_channel_is_owed_a_notice_by_the_transaction_that_raises_the_flag() {
    let critical = Channel { least: Urgency::Critical, ..channel("特急短信", Kind::Sms) };
    let bot = channel("群", Kind::WecomBot);
    let (store, entry) = flagged(&[bot.clone(), critical.clone()]);
    let look = next(&store, &bot, 0.0);
    let sent = look.send.expect("a message");
    assert_eq!((sent.what, sent.nth, sent.matter.entry), (What::Alert, 0, entry));
    assert_eq!(sent.items[0].number, "记-20261003-0001");
    assert_eq!(next(&store, &critical, 0.0), Look::default(), "急 is not for it");
    ends(&store, &bot, &sent, accepted(), 0.2);
    assert_eq!(next(&store, &bot, 0.3).send, None);
    assert_eq!(progress(&store), [(What::Alert, Progress::Accepted)]);
    // 特急: both, and the first one a second time.
    wait(store.flag(&officer(), entry, Urgency::Critical, at(20.0))).unwrap();
    let again = next(&store, &bot, 20.0).send.expect("more urgent");
    assert_eq!(again.items[0].urgency, Urgency::Critical);
    assert_ne!(again.name, sent.name);
    assert!(next(&store, &critical, 20.0).send.is_some());
    wait(store.verify_audit()).unwrap();
}

#[test]
fn esc_51_each_try_is_a_row_of_one_delivery() {
    let hook = channel("平台", Kind::Webhook);
    let (store, _) = flagged(std::slice::from_ref(&hook));
    let mut names = vec![];
    for (seconds, verdict) in
        [(0.0, http_500()), (2.0, http_500()), (6.0, http_500()), (14.0, accepted())]
    {
        if !names.is_empty() {
            assert_eq!(next(&store, &hook, seconds - 0.1).send, None);
        }
        let sent = next(&store, &hook, seconds).send.expect("due");
        assert_eq!(sent.nth, names.len());
        names.push(sent.name);
        ends(&store, &hook, &sent, verdict, seconds + 0.1);
    }
    assert_eq!(next(&store, &hook, 14.2).send, None);
    names.dedup();
    assert_eq!(names.len(), 1);
    let tries = "SELECT group_concat(no || ending || why, ' ') FROM delivery_try";
    let tries = one::<String>(&store, tries);
    assert_eq!(tries, "1retryhttp 500 2retryhttp 500 3retryhttp 500 4accepted");
    assert_eq!(one::<i64>(&store, "SELECT count(*) FROM delivery"), 1);
}

#[test]
fn esc_36_what_was_acknowledged_a_moment_ago_is_not_claimed() {
    let hook = channel("平台", Kind::Webhook);
    let (store, entry) = flagged(std::slice::from_ref(&hook));
    let sent = next(&store, &hook, 0.0).send.expect("the alert");
    ends(&store, &hook, &sent, http_500(), 0.1);
    acknowledged(&store, entry, 2.0);
    let look = next(&store, &hook, 2.0);
    assert_eq!((look.send, look.until), (None, None));
    assert_eq!(progress(&store), [(What::Alert, Progress::Dropped)]);
    assert_eq!(next(&store, &hook, 90_000.0).send, None);
}

#[test]
fn esc_32_the_withdrawal_waits_for_the_alert_and_comes_once() {
    let (told, silent) = (channel("群", Kind::FeishuBot), channel("邮件", Kind::Mail));
    let (store, entry) = flagged(&[told.clone(), silent.clone()]);
    let alert = next(&store, &told, 0.0).send.expect("the alert");
    let withdrawn = wait(store.withdraw(&officer(), entry, "误按", at(1.0))).unwrap();
    assert!(matches!(withdrawn, Withdrawn::Withdrawn(_)));
    assert_eq!(next(&store, &told, 1.0).send, None, "the alert is in flight");
    ends(&store, &told, &alert, accepted(), 2.0);
    let notice = next(&store, &told, 2.0).send.expect("the withdrawal");
    assert_eq!(notice.what, What::Withdrawn);
    ends(&store, &told, &notice, accepted(), 2.1);
    assert_eq!(next(&store, &told, 3.0).send, None);
    assert_eq!(next(&store, &silent, 3.0).send, None, "nothing had been said there");
    let count = "SELECT count(*) FROM delivery WHERE what = 'withdrawn'";
    assert_eq!(one::<i64>(&store, count), 1);
}

#[test]
fn esc_55_a_channel_that_is_gone_is_closed_until_the_next_start() {
    let hook = channel("平台", Kind::Webhook);
    let (store, entry) = flagged(std::slice::from_ref(&hook));
    let sent = next(&store, &hook, 0.0).send.expect("the alert");
    let gone = Verdict::Gone { why: "http 410".to_owned() };
    ends(&store, &hook, &sent, gone, 0.1);
    let look = next(&store, &hook, 0.2);
    assert_eq!((look.send, look.closed.as_deref()), (None, Some("http 410")));
    assert_eq!(progress(&store), [(What::Alert, Progress::Failed)]);
    assert_eq!(next(&store, &hook, 700.0).send, None);
    wait(store.flag(&officer(), entry, Urgency::Critical, at(800.0))).unwrap();
    assert_eq!(one::<i64>(&store, "SELECT count(*) FROM delivery"), 1);
    wait(store.set_channels(vec![hook.clone()], at(900.0))).unwrap();
    let again = next(&store, &hook, 900.0).send.expect("as the configuration says");
    assert_eq!(again.what, What::Repeat);
}

#[test]
fn esc_42_what_was_in_flight_when_the_daemon_died_leaves_again_under_its_id() {
    let hook = channel("平台", Kind::Webhook);
    let (store, _) = flagged(std::slice::from_ref(&hook));
    let before = next(&store, &hook, 0.0).send.expect("the alert");
    wait(store.set_channels(vec![hook.clone()], at(3.0))).unwrap();
    let again = next(&store, &hook, 3.0).send.expect("the alert again");
    assert_eq!(again.name, before.name);
    // The old run's answer comes late: it is fenced off.
    ends(&store, &hook, &before, http_500(), 3.1);
    ends(&store, &hook, &again, accepted(), 3.2);
    next(&store, &hook, 3.3);
    assert_eq!(progress(&store), [(What::Alert, Progress::Accepted)]);
    // A channel that is no longer configured owes nothing.
    wait(store.set_channels(vec![], at(5.0))).unwrap();
    assert_eq!(one::<i64>(&store, "SELECT count(*) FROM channel WHERE current = 1"), 0);
}

#[test]
fn a_channel_that_is_added_while_a_matter_is_open_is_told_of_it_once() {
    let hook = channel("平台", Kind::Webhook);
    let (store, _) = flagged(std::slice::from_ref(&hook));
    let group = channel("群", Kind::WecomBot);
    for second in [5.0, 6.0] {
        wait(store.set_channels(vec![hook.clone(), group.clone()], at(second))).unwrap();
    }
    let sent = next(&store, &group, 7.0).send.expect("the alert");
    assert_eq!(sent.what, What::Alert);
    assert_eq!(one::<i64>(&store, "SELECT count(*) FROM delivery"), 2, "one for each channel");
}

#[test]
fn esc_38_40_a_late_answer_of_the_provider_turns_nothing_back() {
    let hook = channel("平台", Kind::Webhook);
    let (store, _) = flagged(std::slice::from_ref(&hook));
    let sent = next(&store, &hook, 0.0).send.expect("the alert");
    ends(&store, &hook, &sent, accepted(), 0.1);
    for _ in 0..5 {
        ends(&store, &hook, &sent, http_500(), 0.2);
        next(&store, &hook, 0.3);
    }
    assert_eq!(progress(&store), [(What::Alert, Progress::Accepted)]);
}

#[test]
fn esc_85_a_look_costs_what_is_open_however_much_is_over() {
    let store = store();
    let plan = store.write_now(|tx| {
        let mut rows = tx.sql.prepare(&format!("EXPLAIN QUERY PLAN {WAITING}"))?;
        let rows = rows.query_map(["x"], |row| row.get::<_, String>(3))?;
        Ok(rows.collect::<std::result::Result<Vec<_>, _>>()?)
    });
    let plan = plan.unwrap();
    assert!(plan.iter().all(|step| !step.starts_with("SCAN d")), "{plan:?}");
    assert!(plan.iter().any(|step| step.contains("delivery_waiting")), "{plan:?}");
}
