//! `[[channels]]`: whom an escalation tells besides calling, and how each is spoken to.

mod ways;

use super::authority::authority;
use super::faults::{Say, say};
use super::reader::{Reader, Section, any_text, list, number, text};
use super::registrar::network;
use super::secret::{self, Secret};
use super::values::one_of;
use crate::duty::journal::Urgency;
use crate::duty::notices::{self, Kind};
use crate::duty::roster::{Role, Roster};
use crate::protocol::sip::phones::Network;
use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;
use toml::de::DeValue;
pub(super) use ways::webhook;
pub use ways::{
    App, Bot, Gateway, Inbound, Mail, MailSecurity, Modem, Push, To, Webhook, sms_number,
};

/// One channel: what every channel has, and how this one is spoken to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Channel {
    pub plan: notices::Channel,
    pub way: Way,
    /// Where it may be although it is this host or its link (the guard against being sent there).
    pub allow: Vec<Network>,
    /// PEM of the authority of the site; the host's own list unless given.
    pub ca: Option<PathBuf>,
    pub alarms: Alarms,
}

/// Whether a channel is told that nobody is recorded.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Alarms {
    #[default]
    No,
    /// Beside urgent matters.
    Too,
    /// And of nothing else: it is the technician's.
    Only,
}

const ALARMS: [(&str, Alarms); 3] =
    [("no", Alarms::No), ("too", Alarms::Too), ("only", Alarms::Only)];

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Way {
    Webhook(Webhook),
    WecomBot(Bot),
    WecomApp(App),
    DingtalkBot(Bot),
    FeishuBot(Bot),
    Ntfy(Push),
    Gotify(Push),
    Mail(Mail),
    Sms(Gateway),
    Modem(Modem),
    SipMessage(Vec<To>),
}

impl Way {
    /// Whoever holds this role is written to.
    pub fn is_for(&self, role: Role) -> bool {
        let to = match self {
            Self::Sms(way) => &way.to,
            Self::Modem(way) => &way.to,
            Self::SipMessage(to) => to,
            Self::Webhook(_)
            | Self::WecomBot(_)
            | Self::WecomApp(_)
            | Self::DingtalkBot(_)
            | Self::FeishuBot(_)
            | Self::Ntfy(_)
            | Self::Gotify(_)
            | Self::Mail(_) => return false,
        };
        to.contains(&To::Role(role))
    }
}

const KINDS: [(&str, Kind); 11] = [
    ("webhook", Kind::Webhook),
    ("wecom_bot", Kind::WecomBot),
    ("wecom_app", Kind::WecomApp),
    ("dingtalk_bot", Kind::DingtalkBot),
    ("feishu_bot", Kind::FeishuBot),
    ("ntfy", Kind::Ntfy),
    ("gotify", Kind::Gotify),
    ("mail", Kind::Mail),
    ("sms", Kind::Sms),
    ("modem", Kind::Modem),
    ("sip_message", Kind::SipMessage),
];

pub fn all(reader: &Reader, root: &mut Section<'_>, roster: &Roster) -> Vec<Channel> {
    let mut channels: Vec<Channel> = vec![];
    for section in root.each("channels") {
        let names: Vec<String> = channels.iter().map(|one| one.plan.name.clone()).collect();
        channels.extend(channel(reader, section, &names, roster));
    }
    channels
}

fn channel(
    reader: &Reader,
    mut s: Section<'_>,
    names: &[String],
    roster: &Roster,
) -> Option<Channel> {
    let name = s.required("name", "\"值班群\"", text);
    let kind = s.required("kind", "\"webhook\"", |value| one_of(value, &KINDS));
    if let (Some(name), Some(given)) = (&name, s.get("name"))
        && names.contains(name)
    {
        let zh = format!("已有一个渠道叫 {name}，请另取名");
        let en = format!("another channel is called {name} already");
        reader.fault(Some(given.place), given.field, say(zh, en));
    }
    let least = [("urgent", Urgency::Urgent), ("critical", Urgency::Critical)];
    let least = s.or("least", Urgency::Urgent, |value| one_of(value, &least));
    // Of what is paid for and counted by the day, one matter uses less than half in a day.
    let usual = if matches!(kind, Some(Kind::Sms | Kind::Modem)) { 60 } else { 10 };
    let repeat = s.or("repeat_minutes", usual, number(0..=720));
    let allow = s.or("allow", vec![], list(network));
    let ca = authority(reader, &mut s);
    let alarms = s.or("alarms", Alarms::No, |value| one_of(value, &ALARMS));
    let way = kind.and_then(|kind| ways::way(reader, &mut s, kind, roster));
    if let (Some(Way::Sms(way)), Some(given)) = (&way, s.get("alarms"))
        && alarms != Alarms::No
        && !way.body.contains("{text}")
    {
        let zh = "短信模板只能说紧急事项，说不了告警：body 里要有 {text}".to_owned();
        let en =
            "a template says urgent matters alone: without {text} in its body it says no alarm";
        reader.fault(Some(given.place), given.field, say(zh, en.to_owned()));
    }
    s.close();
    let repeat = (repeat > 0).then(|| Duration::from_secs(repeat * 60));
    let way = way?;
    let to_leader = way.is_for(Role::Leader);
    let plan = notices::Channel { name: name?, kind: kind?, least, repeat, to_leader };
    Some(Channel { plan, way, allow, ca, alarms })
}

/// The address that a channel is reached at: `http` or `https`, a host, no user and no fragment.
fn url(value: &DeValue<'_>) -> Result<String, Say> {
    let text = text(value)?;
    let wrong = |zh: &str, en: &str| Err(say(zh, en));
    let Some((scheme, rest)) = text.split_once("://") else {
        return wrong(
            "不是网址，例：\"https://example.cn\"",
            "no URL, such as \"https://example.cn\"",
        );
    };
    if !["http", "https"].contains(&scheme) {
        return wrong("只能是 http:// 或 https:// 开头", "it begins with http:// or https://");
    }
    let host = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let fits = |c: char| c.is_ascii_graphic() && !"\"<>\\^`{|}".contains(c);
    if host.is_empty() || host.contains('@') || rest.contains('#') || !rest.chars().all(fits) {
        return wrong(
            "网址里要有主机名，不能有用户名、# 和中文",
            "a URL with a host, without user name, # or characters that are not ASCII",
        );
    }
    Ok(text)
}

/// The same without a query, to which a provider's paths are added.
pub(super) fn base_url(value: &DeValue<'_>) -> Result<String, Say> {
    let text = url(value)?;
    match text.contains('?') {
        true => Err(say(
            "只写到主机（如 \"https://example.cn\"），? 后面的口令写进 token_file",
            "scheme and host alone (\"https://example.cn\"): what stands after ? goes into token_file",
        )),
        false => Ok(text.trim_end_matches('/').to_owned()),
    }
}

/// Whether the host of a URL is a name that only means this host, or an address of it.
fn is_here(url: &str) -> bool {
    let host = url.split("://").nth(1).unwrap_or(url);
    let host = host.split(['/', '?']).next().unwrap_or_default();
    let host = match host.strip_prefix('[') {
        Some(v6) => v6.split(']').next().unwrap_or_default(),
        None => host.split(':').next().unwrap_or_default(),
    };
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

/// The lines of a secret's file that are not empty; the first is in use, others may be accepted.
fn secrets(reader: &Reader, s: &mut Section<'_>, key: &'static str) -> Option<Vec<Secret>> {
    let path = s.optional(key, text).map(PathBuf::from)?;
    let given = s.get(key)?;
    match std::fs::read_to_string(&path) {
        Ok(text) => {
            let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
            let lines: Vec<Secret> = lines.map(Secret::new).collect();
            if !lines.is_empty() {
                return Some(lines);
            }
            let zh = format!("{}：是空的，第一行应为密钥", path.display());
            let en = format!("{}: it is empty; its first line is the secret", path.display());
            reader.fault(Some(given.place), given.field, say(zh, en));
        }
        Err(error) => {
            let zh = format!("{}：读不了（{error}）", path.display());
            let en = format!("{}: cannot be read ({error})", path.display());
            reader.fault(Some(given.place), given.field, say(zh, en));
        }
    }
    None
}

/// The first line of the file that `key` names.
pub(super) fn secret(reader: &Reader, s: &mut Section<'_>, key: &'static str) -> Option<Secret> {
    let path = s.optional(key, text).map(PathBuf::from)?;
    let given = s.get(key)?;
    match secret::read(&path) {
        Ok(secret) => Some(Secret::new(secret)),
        Err((zh, en)) => {
            let shown = path.display();
            let fault = say(format!("{shown}：{zh}"), format!("{shown}: {en}"));
            reader.fault(Some(given.place), given.field, fault);
            None
        }
    }
}

fn needs(reader: &Reader, s: &mut Section<'_>, key: &'static str, example: &str) {
    if s.get(key).is_none() {
        let zh = format!("缺少这一项。例：{key} = {example}");
        let en = format!("missing; write for example: {key} = {example}");
        reader.fault(Some(s.place()), s.field(key), say(zh, en));
    }
}

/// A telephone number, an account or an address, as the provider wants it.
fn recipient(value: &DeValue<'_>) -> Result<String, Say> {
    let text = any_text(value)?;
    let fits = |c: char| c.is_ascii_graphic() && !"|,;\"<>\\".contains(c);
    if !text.is_empty() && text.len() <= 128 && text.chars().all(fits) {
        return Ok(text);
    }
    Err(say("不是账号、号码或邮箱地址", "no account, number or address"))
}

fn role(value: &DeValue<'_>) -> Result<Role, Say> {
    super::leaders::role(value)
}
