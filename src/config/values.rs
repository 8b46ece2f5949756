//! What a value may be, where several sections ask the same.

use super::faults::{Say, say};
use super::reader::{any_text, text};
use crate::protocol::sdp::Policy;
use toml::de::DeValue;

pub fn one_of<T: Copy>(value: &DeValue<'_>, choices: &[(&str, T)]) -> Result<T, Say> {
    let text = any_text(value)?;
    choices.iter().find(|(name, _)| *name == text).map(|(_, choice)| *choice).ok_or_else(|| {
        let names: Vec<_> = choices.iter().map(|(name, _)| format!("\"{name}\"")).collect();
        let names = names.join(", ");
        say(format!("只能是 {names}"), format!("must be one of {names}"))
    })
}

pub fn srtp(value: &DeValue<'_>) -> Result<Policy, Say> {
    let choices = [("off", Policy::Off), ("offer", Policy::Offer), ("require", Policy::Require)];
    one_of(value, &choices)
}

/// What can be dialled: the user part of a SIP address, or a whole `sip:` URI.
pub fn dialled(value: &DeValue<'_>) -> Result<String, Say> {
    let text = text(value)?;
    let (user, uri) = match text.strip_prefix("sip:").or_else(|| text.strip_prefix("tel:")) {
        Some(rest) => (rest, true),
        None => (text.as_str(), false),
    };
    let allowed = |c: char| c.is_ascii_alphanumeric() || "+*#-_.".contains(c);
    let fits = user.chars().all(|c| allowed(c) || uri && "@:;=[]".contains(c));
    if fits && user.len() <= 128 && !user.is_empty() {
        return Ok(text);
    }
    Err(say(
        "不是可拨的号码。只用数字和 + * # - _ . 及英文字母，或写 \"sip:2001@192.168.10.1\"",
        "not a number that can be dialled: digits, letters and + * # - _ . only, or \"sip:2001@192.168.10.1\"",
    ))
}
