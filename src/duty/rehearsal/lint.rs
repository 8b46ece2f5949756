//! What of a policy cannot work: found when it is written, not at three in the morning.

use super::simulate::{Happens, Phone, Plan, simulate};
use crate::duty::escalation::{Line, Policy, Tier};
use crate::duty::journal::Urgency;
use crate::duty::notices::Channel;
use crate::duty::roster::{Person, Role, Roster};
use crate::protocol::now::{Mono, Now};
use chrono::DateTime;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// A second call of one number within three minutes comes through the do-not-disturb of a telephone
/// (escalation.md, "Default timing").
const BREAKS_THROUGH: Duration = Duration::from_secs(170);
const DAY: Duration = Duration::from_secs(24 * 3600);

/// Something that is wrong with the policy, in both languages, with its remedy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// It cannot work as it stands; otherwise it works, and could be better.
    pub refused: bool,
    pub zh: String,
    pub en: String,
}

pub(super) fn refused(zh: impl Into<String>, en: impl Into<String>) -> Finding {
    Finding { refused: true, zh: zh.into(), en: en.into() }
}

pub(super) fn warned(zh: impl Into<String>, en: impl Into<String>) -> Finding {
    Finding { refused: false, zh: zh.into(), en: en.into() }
}

/// Everything at once.
pub fn findings(policy: &Policy, roster: &Roster, channels: &[Channel]) -> Vec<Finding> {
    judged(policy, roster, channels, ladder)
}

/// The same but for roles that nobody holds, of which [`super::reach`] tells.
pub fn findings_but_gaps(policy: &Policy, roster: &Roster, channels: &[Channel]) -> Vec<Finding> {
    judged(policy, roster, channels, |policy, roster, urgency| {
        let tiers = policy.ladder(urgency).tiers.iter();
        let held = tiers.filter_map(|tier| Some((tier, roster.holder(tier.role)?)));
        held.flat_map(|(tier, person)| step(policy, urgency, tier, person)).collect()
    })
}

fn judged(
    policy: &Policy,
    roster: &Roster,
    channels: &[Channel],
    ladder: impl Fn(&Policy, &Roster, Urgency) -> Vec<Finding>,
) -> Vec<Finding> {
    let mut found = vec![];
    found.extend(numbers(roster));
    for urgency in [Urgency::Urgent, Urgency::Critical] {
        found.extend(one_telephone(policy, roster, urgency));
        found.extend(ladder(policy, roster, urgency));
        found.extend(second_call(policy, roster, urgency));
    }
    found.extend(forgotten(policy, roster));
    found.extend(channels.iter().filter_map(quota));
    found
}

pub(super) fn numbers_of(person: &Person) -> impl Iterator<Item = &str> {
    [&person.mobile, &person.office].into_iter().flatten().map(String::as_str)
}

/// Who has each number.
fn held(roster: &Roster) -> BTreeMap<&str, BTreeSet<&str>> {
    let mut held: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for person in &roster.people {
        for number in numbers_of(person) {
            held.entry(number).or_default().insert(&person.name);
        }
    }
    held
}

/// One number in all, or the same one for two people.
fn numbers(roster: &Roster) -> Vec<Finding> {
    let held = held(roster);
    let mut found = vec![];
    if let [(number, _)] = held.iter().collect::<Vec<_>>()[..] {
        found.push(refused(
            format!(
                "全部指望一个号码 {number}：它关机、欠费或没信号时就无人可报。给带班领导加 office，或加一位替班领导（role = \"substitute\"）"
            ),
            format!(
                "everything hangs on one number, {number}: switched off or without coverage, nobody is told; give the leader an office number, or add a substitute (role = \"substitute\")"
            ),
        ));
    }
    for (number, people) in held {
        if people.len() > 1 {
            let people: Vec<&str> = people.into_iter().collect();
            found.push(warned(
                format!("{} 是同一个号码 {number}，等于少了一个人", people.join("、")),
                format!("{} have one number, {number}: that is one person less", people.join(", ")),
            ));
        }
    }
    found
}

/// One number in a ladder, where the roster has more.
fn one_telephone(policy: &Policy, roster: &Roster, urgency: Urgency) -> Option<Finding> {
    let tiers = policy.ladder(urgency).tiers.iter();
    let holders = tiers.filter_map(|tier| roster.holder(tier.role));
    let numbers: BTreeSet<&str> = holders.flat_map(numbers_of).collect();
    let mut numbers = numbers.into_iter();
    let (Some(number), None) = (numbers.next(), numbers.next()) else { return None };
    if held(roster).len() == 1 {
        return None;
    }
    let at = word(urgency);
    let section = match urgency {
        Urgency::Critical => "critical",
        Urgency::Urgent | Urgency::Routine => "urgent",
    };
    Some(refused(
        format!(
            "{at}的呼叫顺位全部指望一个号码 {number}：它关机、欠费或没信号时就无人可报。给顺位里的人写第二个号码（office），或加一位号码不同的领导：[[leaders]] 里有他，自写的 [[escalation.{section}]] 里也要有他的一节"
        ),
        format!(
            "the ladder of {at} hangs on one number, {number}: switched off or without coverage, nobody is told; give whoever is in it a second number (office), or add a leader with another one: he is in [[leaders]], and in [[escalation.{section}]] where you have written your own"
        ),
    ))
}

pub(super) fn name(role: Role) -> (&'static str, &'static str) {
    match role {
        Role::Leader => ("带班领导", "duty leader"),
        Role::Substitute => ("替班领导", "substitute"),
        Role::OfficeDirector => ("办公室主任", "office director"),
        Role::Head => ("中心主要领导", "head"),
        Role::Officer => ("值班员", "duty officer"),
    }
}

pub(super) fn word(urgency: Urgency) -> &'static str {
    match urgency {
        Urgency::Critical => "特急",
        Urgency::Urgent | Urgency::Routine => "急",
    }
}

/// It is not as it comes.
fn is_own(policy: &Policy, urgency: Urgency) -> bool {
    policy.ladder(urgency).tiers != Policy::default().ladder(urgency).tiers
}

/// Somebody a ladder counts on and who is not there, or not to be had as it says.
fn ladder(policy: &Policy, roster: &Roster, urgency: Urgency) -> Vec<Finding> {
    let tiers = &policy.ladder(urgency).tiers;
    let own = is_own(policy, urgency);
    let at = word(urgency);
    let mut found = vec![];
    for tier in tiers {
        let (zh, en) = name(tier.role);
        let Some(person) = roster.holder(tier.role) else {
            let zh =
                format!("{at}的呼叫顺位要呼叫{zh}，但没有这个人，到时会跳过。请加一节 [[leaders]]");
            let en = format!(
                "the ladder of {at} calls the {en}, and there is none: he is passed over; add a section [[leaders]]"
            );
            found.push(if own { refused(zh, en) } else { warned(zh, en) });
            continue;
        };
        found.extend(step(policy, urgency, tier, person));
    }
    found
}

fn step(policy: &Policy, urgency: Urgency, tier: &Tier, person: &Person) -> Vec<Finding> {
    let at = word(urgency);
    let own = is_own(policy, urgency);
    let missing = own.then(|| not_to_be_had(tier, person, at)).flatten();
    missing.into_iter().chain(overlap(tier, at)).collect()
}

fn not_to_be_had(tier: &Tier, person: &Person, at: &str) -> Option<Finding> {
    let has = |line: Line| match line {
        Line::Mobile => person.mobile.is_some(),
        Line::Office => person.office.is_some(),
    };
    let missing = tier.calls.iter().find(|call| !has(call.line))?;
    let (line, key) = match missing.line {
        Line::Mobile => ("手机", "mobile"),
        Line::Office => ("办公电话", "office"),
    };
    Some(refused(
        format!(
            "{at}的呼叫顺位要打 {} 的{line}，但没有写号码：在 [[leaders]] 里写 {key}",
            person.name
        ),
        format!(
            "the ladder of {at} calls {}'s {key}, which is not given: write it in [[leaders]]",
            person.name
        ),
    ))
}

/// One person has one call at a time: what falls due while the one before still rings is late.
fn overlap(tier: &Tier, at: &str) -> Option<Finding> {
    let late = tier.calls.windows(2).find(|two| two[0].after + two[0].ring > two[1].after)?;
    let (rings, next) = ((late[0].after + late[0].ring).as_secs(), late[1].after.as_secs());
    let (zh, en) = name(tier.role);
    Some(refused(
        format!(
            "{at}的呼叫顺位里{zh}第 {next} 秒的呼叫到时，前一次要响到第 {rings} 秒：把 ring_seconds 减短或 after_seconds 推后"
        ),
        format!(
            "the {en}'s call at {next} s of {at} falls due while the one before rings until {rings} s: shorten ring_seconds or move after_seconds"
        ),
    ))
}

/// Nobody answers: is the leader's number called twice soon enough?
fn second_call(policy: &Policy, roster: &Roster, urgency: Urgency) -> Option<Finding> {
    let leader = roster.holder(Role::Leader)?;
    let mobile = leader.mobile.as_deref().or(leader.office.as_deref())?;
    let phones = BTreeMap::from([(mobile.to_owned(), Phone::Silent)]);
    let start = Now { mono: Mono(1 << 50), wall: DateTime::UNIX_EPOCH };
    let lasts = Duration::from_secs(1800);
    let events = simulate(&Plan { policy, roster, urgency, phones: &phones, start, lasts });
    let mut calls = events.iter().filter_map(|event| match &event.what {
        Happens::Calls { number, .. } if number == mobile => Some(event.at),
        _ => None,
    });
    let (first, second) = (calls.next()?, calls.next());
    if second.is_some_and(|second| second - first <= BREAKS_THROUGH) {
        return None;
    }
    let (at, most) = (word(urgency), BREAKS_THROUGH.as_secs());
    let after = second.map_or_else(|| "不再".to_owned(), |at| (at - first).as_secs().to_string());
    Some(refused(
        format!(
            "{at}：带班领导的 {mobile} 第一次呼叫后 {after} 秒才再打；{most} 秒内打第二次才能穿过手机的勿扰模式。减小 redial_leader_seconds"
        ),
        format!(
            "{at}: the leader's {mobile} is called again after {after} s; within {most} s a second call comes through do-not-disturb: lower redial_leader_seconds"
        ),
    ))
}

/// Somebody is in the roster and in no ladder.
fn forgotten(policy: &Policy, roster: &Roster) -> Vec<Finding> {
    let all = policy.urgent.tiers.iter().chain(&policy.critical.tiers);
    let roles: BTreeSet<Role> = all.map(|tier| tier.role).collect();
    let forgotten = roster.people.iter().filter(|person| !roles.contains(&person.role));
    forgotten
        .map(|person| {
            let (zh, en) = name(person.role);
            warned(
                format!("{zh} {} 不在任何呼叫顺位里，不会被呼叫", person.name),
                format!("the {en} {} is in no ladder: nobody calls him", person.name),
            )
        })
        .collect()
}

/// One matter that is open for a day says more than its channel takes.
fn quota(channel: &Channel) -> Option<Finding> {
    let repeat = channel.repeat?;
    let budget = channel.kind.quota().budget;
    let over = |window: &&crate::duty::notices::Window| {
        let said = window.within.min(DAY).as_secs() / repeat.as_secs().max(1);
        said > window.limit as u64 / 2
    };
    let window = budget.iter().find(over)?;
    let least = window.within.as_secs() * 2 / 60 / window.limit as u64 + 1;
    let name = &channel.name;
    Some(refused(
        format!(
            "渠道 {name} 每 {} 分钟重发，一件事就会用完配额（{} 秒内 {} 条）的一半以上：repeat_minutes 至少写 {least}，或写 0",
            repeat.as_secs() / 60,
            window.within.as_secs(),
            window.limit
        ),
        format!(
            "the channel {name} says it again every {} minutes: one matter uses more than half of its quota ({} in {} s); repeat_minutes = {least} at least, or 0",
            repeat.as_secs() / 60,
            window.limit,
            window.within.as_secs()
        ),
    ))
}

#[cfg(test)]
mod tests;
