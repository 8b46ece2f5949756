//! `[dial]`: whom an officer may call over the duty line, and hand a call to.

use super::Contact;
use super::faults::{Say, say};
use super::reader::{Section, list, number, text};
use crate::duty::dial_plan::{DialPlan, NUMBER_MAX};
use crate::duty::line_plan::Phone;
use crate::duty::numbers::Numbering;
use crate::duty::roster::Roster;
use toml::de::DeValue;

/// The room's own phones and its leaders may always be called; whoever is in the directory counts.
pub fn plan(
    mut s: Section<'_>,
    phones: &[Phone],
    roster: &Roster,
    (contacts, numbering): (&[Contact], &Numbering),
) -> DialPlan {
    let mut allow = s.or("allow", vec![], list(pattern));
    let per_day = s.or("per_day", 100, number(0..=10_000));
    s.close();
    for number in contacts.iter().flat_map(|contact| &contact.numbers) {
        let plain = numbering.read(number).plain;
        allow.extend([numbering.to_dial(&plain), plain]);
    }
    let phones = phones.iter().map(|phone| phone.target.clone());
    let people = roster.people.iter().flat_map(|one| [&one.mobile, &one.office]).flatten();
    let people = people.flat_map(|number| [number.clone(), numbering.read(number).plain]);
    DialPlan {
        known: phones.chain(people.filter(|number| !number.is_empty())).collect(),
        allow,
        per_day: u32::try_from(per_day).unwrap_or(0),
    }
}

/// Digits, and `x` for any digit.
fn pattern(value: &DeValue<'_>) -> Result<String, Say> {
    let text = text(value)?;
    let allowed = |b: u8| b.is_ascii_digit() || b"x+*#".contains(&b);
    if text.len() <= NUMBER_MAX && text.bytes().all(allowed) {
        return Ok(text);
    }
    Err(say(
        "不是号码样式：只用数字、+ * #，x 代表任意一位数字，如 \"2xxx\"",
        "not a pattern of numbers: digits and + * # only, x for any one digit, such as \"2xxx\"",
    ))
}
