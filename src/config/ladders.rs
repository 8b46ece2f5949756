//! The figures of an escalation: the ladders' defaults, and what the file sets otherwise.

use super::faults::say;
use super::leaders::role;
use super::reader::{Reader, Section, boolean, number};
use super::values::one_of;
use crate::duty::escalation::{After, Call, Ladder, Line, Policy, Tier};
use crate::duty::roster::Role;
use std::time::Duration;
use toml::Spanned;
use toml::de::DeValue;

/// `[escalation]` or one of `[[escalation.later]]`, with `[[escalation.urgent]]` and `[[escalation.critical]]` in the place of the
/// default ladders.
pub fn policy(reader: &Reader, mut s: Section<'_>) -> Policy {
    let mut policy = Policy::default();
    seconds(&mut s, "ring_seconds", &mut policy.ring, 10, 90);
    seconds(&mut s, "redial_leader_seconds", &mut policy.redial_leader, 10, 3600);
    seconds(&mut s, "busy_retry_seconds", &mut policy.busy_retry, 5, 600);
    seconds(&mut s, "no_key_redial_seconds", &mut policy.no_key_redial, 5, 600);
    seconds(&mut s, "channel_retry_seconds", &mut policy.channel_retry, 1, 600);
    seconds(&mut s, "urgent_round_seconds", &mut policy.urgent.round, 10, 7200);
    seconds(&mut s, "critical_round_seconds", &mut policy.critical.round, 10, 7200);
    let ring = policy.ring;
    ladder(reader, &mut s, "urgent", ring, &mut policy.urgent);
    ladder(reader, &mut s, "critical", ring, &mut policy.critical);
    policy.after = after(reader, &mut s);
    s.close();
    policy
}

/// What follows on an acknowledgement, unless the site does without.
fn after(reader: &Reader, s: &mut Section<'_>) -> Option<After> {
    let wanted = s.or("follow_up", true, boolean);
    let mut after = After::default();
    after.remind = s.or("remind_seconds", after.remind, |value| {
        let DeValue::Array(items) = value else {
            return Err(say("要写成列表，例如 [300, 600]", "must be a list such as [300, 600]"));
        };
        let each = |item: &Spanned<DeValue<'_>>| number(30..=86400)(item.get_ref());
        let seconds: Vec<u64> = items.iter().map(each).collect::<Result<_, _>>()?;
        if !seconds.is_sorted() {
            return Err(say("要从小到大", "must grow from one to the next"));
        }
        Ok(seconds.into_iter().map(Duration::from_secs).collect())
    });
    seconds(s, "raise_again_seconds", &mut after.raise_again, 60, 86400);
    seconds(s, "confirm_seconds", &mut after.confirm, 30, 3600);
    if after.remind.last().is_some_and(|last| *last >= after.raise_again) {
        let fault = say(
            "再次呈报（raise_again_seconds）要晚于最后一次提醒（remind_seconds）",
            "what is raised again (raise_again_seconds) must be so after the last reminder (remind_seconds)",
        );
        let place = s.get("raise_again_seconds").map_or(s.place(), |given| given.place);
        reader.fault(Some(place), s.field("raise_again_seconds"), fault);
    }
    wanted.then_some(after)
}

fn seconds(s: &mut Section<'_>, key: &'static str, value: &mut Duration, low: u64, high: u64) {
    *value = Duration::from_secs(s.or(key, value.as_secs(), number(low..=high)));
}

fn ladder(
    reader: &Reader,
    s: &mut Section<'_>,
    key: &'static str,
    ring: Duration,
    to: &mut Ladder,
) {
    let place = s.get(key).map(|given| given.place);
    let field = s.field(key);
    let sections = s.each(key);
    if sections.is_empty() {
        return;
    }
    let tiers: Vec<Tier> =
        sections.into_iter().filter_map(|section| tier(reader, section, ring)).collect();
    if !tiers.iter().any(|tier| tier.role == Role::Leader) {
        let fault = say(
            "这个呼叫顺位里没有带班领导（role = \"leader\"）",
            "this ladder never calls the duty leader (role = \"leader\")",
        );
        reader.fault(place, field, fault);
    }
    to.tiers = tiers;
}

fn tier(reader: &Reader, mut s: Section<'_>, ring: Duration) -> Option<Tier> {
    let role = s.required("role", "\"leader\"", role);
    let lasts = s.required("lasts_seconds", "180", number(10..=3600));
    let repeat = s.optional("repeat_seconds", number(5..=3600)).map(Duration::from_secs);
    let calls: Vec<Call> =
        s.each("calls").into_iter().filter_map(|each| call(each, ring)).collect();
    if let Some(lasts) = lasts {
        let late = calls.iter().any(|call| call.after.as_secs() >= lasts);
        if calls.is_empty() || late {
            let fault = say(
                format!(
                    "每一级至少一次呼叫，且都早于 {lasts} 秒。例：calls = [{{ after_seconds = 0, line = \"mobile\" }}]"
                ),
                format!(
                    "each tier makes a call, and makes it before its {lasts} s are over: calls = [{{ after_seconds = 0, line = \"mobile\" }}]"
                ),
            );
            let place = s.get("calls").map_or(s.place(), |given| given.place);
            reader.fault(Some(place), s.field("calls"), fault);
        }
    }
    s.close();
    Some(Tier { role: role?, calls, lasts: Duration::from_secs(lasts?), repeat })
}

fn call(mut s: Section<'_>, ring: Duration) -> Option<Call> {
    let after = s.or("after_seconds", 0, number(0..=3600));
    let lines = [("mobile", Line::Mobile), ("office", Line::Office)];
    let line = s.required("line", "\"mobile\"", |value| one_of(value, &lines));
    let ring = s.or("ring_seconds", ring.as_secs(), number(10..=90));
    s.close();
    Some(Call { after: Duration::from_secs(after), line: line?, ring: Duration::from_secs(ring) })
}
