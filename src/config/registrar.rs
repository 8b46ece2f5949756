//! `[registrar]`: phones that register with the daemon itself and call out over the duty line.

use super::faults::{Say, say};
use super::reader::{Reader, Section, any_text, list, text};
use super::secret;
use super::values::one_of;
use crate::protocol::sip::digest::Algorithm;
use crate::protocol::sip::phones::{Network, Phone, Plan};
use std::path::PathBuf;
use toml::de::DeValue;

/// A shorter password is guessed too soon.
const PASSWORD_CHARS: usize = 8;

/// `None` where the section is not there: nobody may register.
pub fn plan(reader: &Reader, root: &mut Section<'_>) -> Option<Plan> {
    root.get("registrar")?;
    let mut s = root.section("registrar");
    if s.is_void() {
        return None;
    }
    let networks = s.required("networks", "[\"192.168.10.0/24\"]", list(network));
    let usual = vec![Algorithm::Sha256, Algorithm::Md5];
    let mut algorithms = s.or("algorithms", usual, list(algorithm));
    algorithms.sort();
    algorithms.dedup();
    algorithms.reverse();
    let realm = s.or("realm", "dutyline".to_owned(), text);
    let wide = networks.iter().flatten().any(|network| network.bits < 8);
    if let Some(given) = s.get("networks").filter(|_| wide) {
        let warning = say(
            "网段太大，等于对外开放；只写话机所在的网段",
            "this opens the registrar to nearly everybody: write the network of the phones alone",
        );
        reader.warn(Some(given.place), given.field, warning);
    }
    let mut phones: Vec<Phone> = vec![];
    for one in s.each("phones") {
        let Some(phone) = phone(reader, one, &phones) else { continue };
        phones.push(phone);
    }
    if phones.is_empty() && s.get("phones").is_none() {
        let fault = say(
            "没有话机可登录；写一节 [[registrar.phones]]，不用时删去 [registrar]",
            "no phone may register: write a section [[registrar.phones]], or remove [registrar]",
        );
        reader.fault(Some(s.place()), s.field("phones"), fault);
    }
    s.close();
    Some(Plan { realm, networks: networks?, algorithms, phones })
}

fn phone(reader: &Reader, mut s: Section<'_>, others: &[Phone]) -> Option<Phone> {
    let name = s.required("name", "\"移动值班话机\"", text);
    let user = s.required("user", "\"801\"", user);
    let path = s.required("password_file", "\"phone-801-password\"", text).map(PathBuf::from);
    let mut fault = |key: &'static str, say: Say| {
        let (place, field) = match s.get(key) {
            Some(given) => (given.place, given.field),
            None => (s.place(), s.field(key)),
        };
        reader.fault(Some(place), field, say);
    };
    if let Some(user) = user.as_ref().filter(|user| others.iter().any(|one| one.user == **user)) {
        let zh = format!("用户名 {user} 已用于另一部话机");
        fault("user", say(zh, format!("the user {user} is another phone's already")));
    }
    let password = path.and_then(|path| match secret::read(&path) {
        Ok(password) => Some(password),
        Err((zh, en)) => {
            let shown = path.display();
            fault("password_file", say(format!("{shown}：{zh}"), format!("{shown}: {en}")));
            None
        }
    });
    if password.as_ref().is_some_and(|password| password.chars().count() < PASSWORD_CHARS) {
        let zh = format!("口令太短，至少 {PASSWORD_CHARS} 个字符");
        let en = format!("the password is too short: {PASSWORD_CHARS} characters at least");
        fault("password_file", say(zh, en));
    }
    s.close();
    Some(Phone { name: name?, user: user?, password: password? })
}

/// An address, or addresses that begin alike: `192.168.10.0/24`.
pub(super) fn network(value: &DeValue<'_>) -> Result<Network, Say> {
    let text = any_text(value)?;
    let (ip, bits) = match text.split_once('/') {
        Some((ip, bits)) => (ip, Some(bits)),
        None => (text.as_str(), None),
    };
    let read = || {
        let ip: std::net::IpAddr = ip.parse().ok()?;
        let most = if ip.is_ipv4() { 32 } else { 128 };
        let bits = bits.map_or(Some(most), |bits| bits.parse().ok())?;
        (bits <= most).then_some(Network { ip, bits })
    };
    read().ok_or_else(|| {
        say(
            "不是网段，例：\"192.168.10.0/24\" 或 \"192.168.10.31\"",
            "no network, such as \"192.168.10.0/24\" or \"192.168.10.31\"",
        )
    })
}

fn algorithm(value: &DeValue<'_>) -> Result<Algorithm, Say> {
    one_of(value, &[("md5", Algorithm::Md5), ("sha-256", Algorithm::Sha256)])
}

/// The user part of the phone's address.
fn user(value: &DeValue<'_>) -> Result<String, Say> {
    let text = text(value)?;
    let fits = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    if text.len() <= 32 && text.chars().all(fits) {
        return Ok(text);
    }
    Err(say(
        "只用英文字母、数字和 - _ .，最多 32 个字符",
        "letters, digits and - _ . only, 32 characters at most",
    ))
}
