//! The ladders as they are in force, step by step, with whoever holds each role now.

use crate::duty::escalation::{Call, Line, Policy, Tier};
use crate::duty::journal::Urgency;
use crate::duty::notices::Channel;
use crate::duty::roster::{Person, Roster};
use crate::io::web::messages::policy::Messages;
use crate::io::web::messages::{self, fill};
use crate::io::web::notices;
use crate::io::web::times;
use crate::io::web::view::{self, Mark};
use std::time::Duration;

pub struct LadderView {
    pub mark: Mark,
    pub steps: Vec<Step>,
    pub round: String,
}

pub struct Step {
    pub nth: usize,
    pub role: &'static str,
    pub person: String,
    pub instead_of: String,
    /// Why he is not called.
    pub passed_over: &'static str,
    pub after: String,
    pub calls: Vec<String>,
    pub repeats: String,
}

pub struct ChannelView {
    pub name: String,
    pub kind: &'static str,
    pub least: &'static str,
    pub repeats: String,
}

pub fn views(
    policy: &Policy,
    roster: &Roster,
    t: &'static Messages,
    words: &'static messages::Messages,
) -> Vec<LadderView> {
    let view = |urgency| {
        let ladder = policy.ladder(urgency);
        let mut begins = Duration::ZERO;
        let mut steps: Vec<Step> = vec![];
        for tier in &ladder.tiers {
            let holder = roster.holder(tier.role);
            let again = holder.is_some_and(|held| steps.iter().any(|one| one.person == held.name));
            let nth = steps.len() + 1;
            steps.push(step(nth, tier, holder, again, begins, t, words));
            begins += if holder.is_some() { tier.lasts } else { Duration::ZERO };
        }
        let mark = view::urgency(urgency, words);
        LadderView { mark, steps, round: fill(t.round, ladder.round.as_secs()) }
    };
    [Urgency::Critical, Urgency::Urgent].map(view).into()
}

fn step(
    nth: usize,
    tier: &Tier,
    holder: Option<&Person>,
    again: bool,
    begins: Duration,
    t: &'static Messages,
    words: &'static messages::Messages,
) -> Step {
    let calls = holder.filter(|_| !again).map_or_else(Vec::new, |person| {
        let calls = tier.calls.iter().enumerate();
        calls.map(|(nth, one)| call(one, nth == 0, person, t, words)).collect()
    });
    let repeats = match tier.repeat {
        Some(every) => fill(t.repeat_every, every.as_secs()),
        None => t.repeat_none.to_owned(),
    };
    let absent = holder.and_then(|person| person.stands_in.as_ref());
    Step {
        nth,
        role: view::role(tier.role, words),
        person: holder.map_or_else(String::new, |person| person.name.clone()),
        instead_of: absent.map_or_else(String::new, |held| held.absent.clone()),
        passed_over: match (holder, again) {
            (None, _) => t.vacant,
            (Some(_), true) => t.the_same,
            (Some(_), false) => "",
        },
        after: times::clock(begins.as_secs() as i64),
        calls,
        repeats: repeats + &fill(t.lasts, tier.lasts.as_secs()),
    }
}

/// The first call of a step goes to his other number where this one is not given.
fn call(
    call: &Call,
    first: bool,
    person: &Person,
    t: &'static Messages,
    words: &'static messages::Messages,
) -> String {
    let mobile = (words.by_mobile, &person.mobile);
    let office = (words.by_office_phone, &person.office);
    let (wanted, other) = match call.line {
        Line::Mobile => (mobile, office),
        Line::Office => (office, mobile),
    };
    let given = |(line, number): (&'static str, &Option<String>)| {
        let number = number.as_deref().filter(|number| !number.is_empty())?;
        Some(format!("{line} {}", view::masked(number)))
    };
    let at = fill(t.call_at, call.after.as_secs());
    match given(wanted).or_else(|| given(other).filter(|_| first)) {
        Some(number) => format!("{at}{number}{}", fill(t.rings, call.ring.as_secs())),
        None => format!("{at}{} {}", wanted.0, t.no_number),
    }
}

/// What holds on every step.
pub fn rules(policy: &Policy, t: &'static Messages) -> Vec<(&'static str, String)> {
    let mut rules: Vec<(&'static str, String)> = [
        (t.redial_leader, policy.redial_leader),
        (t.busy_retry, policy.busy_retry),
        (t.no_key, policy.no_key_redial),
        (t.channel_retry, policy.channel_retry),
    ]
    .into_iter()
    .map(|(when, after)| (when, fill(t.again_after, after.as_secs())))
    .collect();
    if let Some(after) = &policy.after {
        let remind: Vec<String> = after.remind.iter().map(|at| at.as_secs().to_string()).collect();
        let remind = fill(t.remind_at, remind.join("、"));
        rules.push((t.remind, remind + &fill(t.raise_again, after.raise_again.as_secs())));
    }
    rules
}

pub fn channels(
    channels: &[Channel],
    t: &'static Messages,
    words: &'static messages::Messages,
) -> Vec<ChannelView> {
    let view = |channel: &Channel| ChannelView {
        name: channel.name.clone(),
        kind: notices::kind(channel.kind, words),
        least: match channel.least {
            Urgency::Critical => t.critical_only,
            Urgency::Urgent | Urgency::Routine => t.every_urgency,
        },
        repeats: match channel.repeat {
            Some(every) => fill(t.channel_repeat, every.as_secs() / 60),
            None => t.channel_once.to_owned(),
        },
    };
    channels.iter().map(view).collect()
}
