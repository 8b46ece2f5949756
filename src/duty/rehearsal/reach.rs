//! Whether those whom the ladders call can be had (esc_74): each role is held, and whoever holds it has proved a number.

use super::lint::{Finding, name, numbers_of, refused, warned, word};
use crate::duty::escalation::Policy;
use crate::duty::journal::Urgency;
use crate::duty::roster::{Person, Role, Roster};
use chrono::{DateTime, TimeDelta, Utc};
use std::collections::{BTreeMap, BTreeSet};

/// A number that was proved before that is to be proved again (domain §4.3.12).
pub const FRESH: TimeDelta = TimeDelta::days(90);

/// When somebody last pressed a key in a call to a number of his: by his name and the number.
pub type Proved = BTreeMap<(String, String), DateTime<Utc>>;

/// Of those who hold a role now, and of those who are `coming` on duty.
pub fn reach(
    policy: &Policy,
    roster: &Roster,
    coming: &[Person],
    proved: &Proved,
    now: DateTime<Utc>,
) -> Vec<Finding> {
    let (mut found, mut seen) = (vec![], BTreeSet::new());
    let mut people: Vec<&Person> = vec![];
    for (role, ladders) in called(policy) {
        match roster.holder(role) {
            Some(person) => people.push(person),
            None => found.push(gap(role, &ladders)),
        }
    }
    for person in people.into_iter().chain(coming) {
        if seen.insert(&person.name) {
            found.extend(unproved(person, proved, now));
        }
    }
    found
}

/// Each role once, with the ladders that call it.
fn called(policy: &Policy) -> Vec<(Role, Vec<&'static str>)> {
    let mut called: Vec<(Role, Vec<&str>)> = vec![];
    for urgency in [Urgency::Critical, Urgency::Urgent] {
        for tier in &policy.ladder(urgency).tiers {
            let at = word(urgency);
            match called.iter_mut().find(|(role, _)| *role == tier.role) {
                Some((_, ladders)) if ladders.contains(&at) => {}
                Some((_, ladders)) => ladders.push(at),
                None => called.push((tier.role, vec![at])),
            }
        }
    }
    called
}

fn gap(role: Role, ladders: &[&str]) -> Finding {
    let (zh, en) = name(role);
    let at = ladders.join("、");
    refused(
        format!(
            "没有人担任{zh}，{at}呼叫到他时会跳过：在 [[leaders]] 加一节，或自写不含他的呼叫顺位"
        ),
        format!(
            "nobody is the {en}, whom the ladders of {at} call: he is passed over; add a section [[leaders]], or write ladders of your own without him"
        ),
    )
}

fn unproved(person: &Person, proved: &Proved, now: DateTime<Utc>) -> Option<Finding> {
    let of = |number: &str| proved.get(&(person.name.clone(), number.to_owned()));
    let last = numbers_of(person).filter_map(of).max();
    let (zh, en) = name(person.role);
    let who = &person.name;
    match last {
        Some(at) if now - *at <= FRESH => None,
        Some(_) => Some(warned(
            format!("{zh} {who} 的号码核实已过 90 天：在“点名”页打电话再核实一次"),
            format!(
                "the numbers of the {en} {who} were proved over 90 days ago: verify one anew on the page of roll-calls"
            ),
        )),
        None => Some(refused(
            format!(
                "{zh} {who} 没有一个核实过的号码，打不打得通没人知道：在“点名”页点“打电话核实”，本人接听按 1"
            ),
            format!(
                "no number of the {en} {who} was ever proved, and nobody knows whether he can be had: verify one on the page of roll-calls"
            ),
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn roster() -> Roster {
        let person = |name: &str, role, office| Person::new(name, role, Some(name), office);
        Roster {
            people: vec![
                person("L", Role::Leader, Some("2001")),
                person("S", Role::Substitute, None),
                person("D", Role::OfficeDirector, None),
                person("H", Role::Head, None),
            ],
        }
    }

    fn proved(days: &[(&str, &str, i64)]) -> Proved {
        let at = |days| DateTime::UNIX_EPOCH - TimeDelta::days(days);
        days.iter()
            .map(|(who, number, days)| ((who.to_string(), number.to_string()), at(*days)))
            .collect()
    }

    fn found(roster: &Roster, coming: &[Person], proved: &Proved) -> Vec<(bool, String)> {
        let found = reach(&Policy::default(), roster, coming, proved, DateTime::UNIX_EPOCH);
        found.into_iter().map(|one| (one.refused, one.zh)).collect()
    }

    #[test]
    fn esc_74_a_gap_and_somebody_without_a_proved_number_are_red_even_with_the_ladders_as_they_come()
     {
        let all = [("L", "2001", 90), ("S", "S", 1), ("D", "D", 1), ("H", "H", 0)];
        assert_eq!(found(&roster(), &[], &proved(&all)), [], "one number of each is enough");
        let strange = proved(&[("L", "S", 1), ("S", "S", 1), ("D", "D", 1), ("H", "H", 0)]);
        let [(true, said)] = &found(&roster(), &[], &strange)[..] else { panic!("L is missing") };
        assert!(said.starts_with("带班领导 L 没有一个核实过的号码"), "{said}");
        let old = proved(&[("L", "L", 91), ("S", "S", 1), ("D", "D", 1), ("H", "H", 0)]);
        let [(false, said)] = &found(&roster(), &[], &old)[..] else { panic!("one is old") };
        assert!(said.contains("已过 90 天"), "{said}");
        let mut gap = roster();
        gap.people.remove(1);
        let [(true, said)] = &found(&gap, &[], &proved(&all))[..] else { panic!("a gap") };
        assert!(said.starts_with("没有人担任替班领导，特急、急呼叫到他时会跳过"), "{said}");
    }

    #[test]
    fn esc_74_whoever_is_to_come_is_looked_at_before_he_comes() {
        let all = proved(&[("L", "L", 1), ("S", "S", 1), ("D", "D", 1), ("H", "H", 0)]);
        let coming = [Person::new("N", Role::Leader, Some("N"), None), roster().people.remove(3)];
        let [(true, said)] = &found(&roster(), &coming, &all)[..] else { panic!("N is new") };
        assert!(said.starts_with("带班领导 N "), "{said}");
    }
}
