//! What is refused, what is warned of, and what is right.

use super::*;
use crate::duty::escalation::Call;
use crate::duty::journal::AttemptResult;
use crate::duty::notices::Kind;
use crate::duty::rehearsal::Event;

fn person(name: &str, role: Role, mobile: Option<&str>, office: Option<&str>) -> Person {
    Person::new(name, role, mobile, office)
}

fn roster() -> Roster {
    let people = vec![
        person("李四", Role::Leader, Some("1001"), Some("2001")),
        person("王五", Role::Substitute, Some("1002"), None),
        person("赵六", Role::OfficeDirector, Some("1003"), None),
        person("钱七", Role::Head, Some("1004"), None),
    ];
    Roster { people }
}

fn channel(kind: Kind, minutes: u64) -> Channel {
    let repeat = (minutes > 0).then(|| Duration::from_secs(60 * minutes));
    Channel { name: "短信".to_owned(), kind, least: Urgency::Urgent, repeat, to_leader: true }
}

#[test]
fn esc_82_the_default_policy_with_a_full_roster_has_nothing_wrong() {
    let channels = [channel(Kind::WecomBot, 10), channel(Kind::Sms, 60)];
    assert_eq!(findings(&Policy::default(), &roster(), &channels), []);
}

#[test]
fn esc_82_one_telephone_in_all_is_refused() {
    let people = vec![
        person("李四", Role::Leader, Some("1001"), None),
        person("王五", Role::Substitute, Some("1001"), None),
    ];
    let found = findings(&Policy::default(), &Roster { people }, &[]);
    assert!(found[0].refused && found[0].zh.contains("全部指望一个号码 1001"), "{found:?}");
    assert!(!found[1].refused && found[1].zh.contains("同一个号码"), "{found:?}");
}

#[test]
fn esc_82_a_ladder_that_hangs_on_one_telephone_is_refused_whatever_the_other_ladder_has() {
    let people = vec![
        person("李四", Role::Leader, Some("1001"), None),
        person("王五", Role::Substitute, Some("1002"), None),
        person("赵六", Role::OfficeDirector, Some("1001"), None),
    ];
    let roster = Roster { people };
    let hangs = |policy: &Policy| {
        let found = findings(policy, &roster, &[]).into_iter();
        found
            .filter(|one| one.refused && one.zh.contains("全部指望一个号码 1001"))
            .map(|one| one.zh)
            .collect::<Vec<_>>()
    };
    let mut own = Policy::default();
    assert_eq!(hangs(&own), [""; 0]);
    own.urgent.tiers.truncate(1);
    let [said] = &hangs(&own)[..] else { panic!("{:?}", hangs(&own)) };
    assert!(said.starts_with("急的") && said.contains("[[escalation.urgent]]"), "{said}");
    let mut own = Policy::default();
    own.critical.tiers.retain(|tier| [Role::Leader, Role::OfficeDirector].contains(&tier.role));
    let [said] = &hangs(&own)[..] else { panic!("two people, one number: {:?}", hangs(&own)) };
    assert!(said.starts_with("特急的") && said.contains("[[escalation.critical]]"), "{said}");
    own.critical.tiers[1].role = Role::Substitute;
    assert_eq!(hangs(&own), [""; 0]);
}

#[test]
fn esc_74_whoever_a_ladder_counts_on_and_who_is_not_there_is_named() {
    let people = vec![person("李四", Role::Leader, Some("1001"), Some("2001"))];
    let roster = Roster { people };
    let found = findings(&Policy::default(), &roster, &[]);
    assert_eq!(found.iter().filter(|one| one.zh.contains("没有这个人")).count(), 5);
    assert!(found.iter().all(|one| !one.refused), "the default ladder passes him over: {found:?}");
    let mut own = Policy::default();
    own.urgent.tiers.remove(2);
    let found = findings(&own, &roster, &[]);
    assert!(found.iter().any(|one| one.refused && one.zh.contains("替班领导")), "{found:?}");
}

#[test]
fn esc_82_a_ladder_of_ones_own_that_cannot_be_climbed_is_refused() {
    let mut own = Policy::default();
    let ring = Duration::from_secs(35);
    own.urgent.tiers[1].calls = vec![Call { after: Duration::ZERO, line: Line::Office, ring }];
    let found = findings(&own, &roster(), &[]);
    assert!(found.iter().any(|one| one.refused && one.zh.contains("王五 的办公电话")), "{found:?}");

    let mut own = Policy::default();
    let call = |after| Call { after: Duration::from_secs(after), line: Line::Mobile, ring };
    own.critical.tiers[0].calls = vec![call(0), call(20)];
    let found = findings(&own, &roster(), &[]);
    assert!(found.iter().any(|one| one.refused && one.zh.contains("第 35 秒")), "{found:?}");

    let mut own = Policy { redial_leader: Duration::from_secs(600), ..Policy::default() };
    own.urgent.tiers[0].repeat = None;
    let found = findings(&own, &roster(), &[]);
    assert!(found.iter().any(|one| one.refused && one.en.contains("do-not-disturb")), "{found:?}");

    let mut own = Policy::default();
    own.urgent.tiers.truncate(2);
    own.critical.tiers.truncate(2);
    let found = findings(&own, &roster(), &[]);
    let forgotten: Vec<_> =
        found.iter().filter(|one| one.zh.contains("不在任何呼叫顺位")).collect();
    assert_eq!(forgotten.len(), 2, "{found:?}");
}

#[test]
fn esc_82_a_channel_that_says_more_than_it_may_is_refused_with_what_would_do() {
    let found = findings(&Policy::default(), &roster(), &[channel(Kind::Sms, 10)]);
    assert!(found.len() == 1 && found[0].refused, "{found:?}");
    assert!(found[0].zh.contains("repeat_minutes 至少写 58"), "{found:?}");
    for right in [channel(Kind::Sms, 58), channel(Kind::Sms, 0), channel(Kind::WecomApp, 1)] {
        assert_eq!(findings(&Policy::default(), &roster(), &[right]), []);
    }
}

fn calls(events: &[Event]) -> Vec<(u64, &str)> {
    let calls = events.iter().filter_map(|event| match &event.what {
        Happens::Calls { number, .. } => Some((event.at.as_secs(), number.as_str())),
        _ => None,
    });
    calls.collect()
}

fn rehearsed(urgency: Urgency, phones: &[(&str, Phone)], minutes: u64) -> Vec<Event> {
    let phones = phones.iter().map(|(number, phone)| ((*number).to_owned(), *phone)).collect();
    let start = Now { mono: Mono(1 << 50), wall: DateTime::UNIX_EPOCH };
    let (policy, roster) = (&Policy::default(), &roster());
    let lasts = Duration::from_secs(60 * minutes);
    simulate(&Plan { policy, roster, urgency, phones: &phones, start, lasts })
}

/// "The leader's phone is off at 03:00: who rings when?"
#[test]
fn esc_82_a_rehearsal_rings_whom_the_ladder_says() {
    let off = [("1001", Phone::Off), ("1002", Phone::Answers)];
    let events = rehearsed(Urgency::Critical, &off, 10);
    let first: Vec<_> = calls(&events).into_iter().take(4).collect();
    assert_eq!(first, [(0, "1001"), (45, "2001"), (75, "1001"), (110, "1002")]);
    let acknowledged = events.iter().find_map(|event| match &event.what {
        Happens::Acknowledged { person, .. } => Some((event.at.as_secs(), person.as_str())),
        _ => None,
    });
    assert_eq!(acknowledged, Some((128, "王五")));
    let later: Vec<_> = calls(&events).into_iter().filter(|(at, _)| *at > 128).collect();
    assert!(later.len() >= 6, "the leader himself is called until he is reached: {later:?}");
    assert!(later.iter().all(|(_, number)| ["1001", "2001"].contains(number)), "{later:?}");
}

#[test]
fn esc_05_a_rehearsal_in_which_nobody_answers_never_ends() {
    let events = rehearsed(Urgency::Urgent, &[], 40);
    let at = |wanted: &Happens| {
        events.iter().find(|event| event.what == *wanted).map(|event| event.at.as_secs())
    };
    assert_eq!(at(&Happens::Siren), Some(540));
    assert_eq!(at(&Happens::Round(1)), Some(600));
    assert_eq!(at(&Happens::Round(3)), Some(1800));
    assert!(calls(&events).iter().any(|(at, number)| *at > 2300 && *number == "1001"));
}

#[test]
fn esc_19_a_rehearsal_knows_what_a_telephone_may_do() {
    let events = rehearsed(Urgency::Urgent, &[("1001", Phone::Declines)], 2);
    assert_eq!(calls(&events)[1], (5, "1002"), "the next at once");
    let events = rehearsed(Urgency::Urgent, &[("1001", Phone::Dead)], 2);
    assert_eq!(calls(&events)[1], (1, "2001"), "his other number at once");
    let events = rehearsed(Urgency::Urgent, &[("1001", Phone::Busy)], 2);
    let again = events
        .iter()
        .filter(|event| matches!(&event.what, Happens::Ended { result: AttemptResult::Busy, .. }));
    assert!(again.count() >= 3);
    let events = rehearsed(Urgency::Urgent, &[("1001", Phone::Machine)], 5);
    assert!(events.iter().all(|event| !matches!(event.what, Happens::Acknowledged { .. })));
}
