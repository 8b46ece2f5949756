//! The keys of each kind of channel.

use super::{Way, base_url, is_here, needs, recipient, role, secret, secrets, url};
use crate::config::faults::{Say, say};
use crate::config::reader::{Reader, Section, any_text, boolean, list, number, text};
use crate::config::secret::Secret;
use crate::config::values::{dialled, one_of};
use crate::duty::notices::Kind;
use crate::duty::roster::{Person, Role, Roster};
use std::path::PathBuf;
use toml::de::DeValue;

/// Standard Webhooks 1.0.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Webhook {
    pub url: String,
    /// Each signs; more than one while they are being changed.
    pub secrets: Vec<Secret>,
}

/// A robot in a group of WeCom, DingTalk or Feishu.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bot {
    /// Scheme and host; the path is the provider's.
    pub url: String,
    /// What stands in the robot's own address.
    pub token: Secret,
    /// Where the robot wants its messages signed.
    pub signing: Option<Secret>,
    /// Mobile numbers that are mentioned (@).
    pub mention: Vec<String>,
}

/// An application of WeCom.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct App {
    pub url: String,
    pub corporation: String,
    pub agent: u64,
    pub secret: Secret,
    pub to: Vec<String>,
}

/// ntfy or Gotify.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Push {
    pub url: String,
    /// Of ntfy.
    pub topic: String,
    pub token: Option<Secret>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mail {
    pub server: String,
    pub port: u16,
    pub security: MailSecurity,
    pub login: Option<(String, Secret)>,
    pub from: String,
    pub to: Vec<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MailSecurity {
    /// TLS from the first byte (RFC 8314).
    Tls,
    /// STARTTLS, or nothing is sent.
    StartTls,
    /// In the clear.
    None,
}

/// An SMS gateway that is spoken to by HTTP, as its templates say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Gateway {
    pub url: String,
    pub content_type: String,
    pub headers: Vec<(String, String)>,
    /// `{to}`, `{no}`, `{text}`, `{id}`, `{line}`, `{code}`, `{secret}` are filled in.
    pub body: String,
    pub secret: Option<Secret>,
    pub to: Vec<To>,
    /// Where in a JSON answer success is told (`/code`), and as what; the HTTP status alone unless
    /// given.
    pub success: Option<(String, String)>,
    /// Whoever was told may answer: how the gateway hands that on.
    pub replies: Option<Inbound>,
}

/// A callback of a gateway, signed as Standard Webhooks 1.0 are; JSON.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Inbound {
    pub secrets: Vec<Secret>,
    /// Where the sender's number stands in it, and where the text (RFC 6901).
    pub from: String,
    pub text: String,
    /// Where it says when that was sent; none: nowhere.
    pub sent: Option<String>,
}

/// A GSM modem on a serial line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Modem {
    pub device: PathBuf,
    pub to: Vec<To>,
    /// Whoever was told may answer.
    pub replies: bool,
}

/// A recipient: a number, or whoever holds a role when it is sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum To {
    Number(String),
    Role(Role),
}

pub fn way(reader: &Reader, s: &mut Section<'_>, kind: Kind, roster: &Roster) -> Option<Way> {
    match kind {
        Kind::Webhook => webhook(reader, s).map(Way::Webhook),
        Kind::WecomBot => bot(reader, s, "https://qyapi.weixin.qq.com", false).map(Way::WecomBot),
        Kind::DingtalkBot => {
            bot(reader, s, "https://oapi.dingtalk.com", true).map(Way::DingtalkBot)
        }
        Kind::FeishuBot => bot(reader, s, "https://open.feishu.cn", true).map(Way::FeishuBot),
        Kind::WecomApp => app(reader, s).map(Way::WecomApp),
        Kind::Ntfy => ntfy(reader, s).map(Way::Ntfy),
        Kind::Gotify => gotify(reader, s).map(Way::Gotify),
        Kind::Mail => mail(reader, s).map(Way::Mail),
        Kind::Sms => gateway(reader, s, roster).map(Way::Sms),
        Kind::Modem => modem(reader, s, roster).map(Way::Modem),
        Kind::SipMessage => Some(Way::SipMessage(telephones(reader, s, roster))),
    }
}

/// In the clear and not on this host, whatever is sent can be read and changed on the way.
fn warn_of_plain_http(reader: &Reader, s: &mut Section<'_>) {
    let Some(given) = s.get("url") else { return };
    let plain = any_text(given.value).is_ok_and(|url| url.starts_with("http://") && !is_here(&url));
    if plain {
        let warning = say(
            "明文 HTTP：密钥和通知在网上能被看到、改动；请用 https，或确认只走专网",
            "plain HTTP: keys and notices can be read and changed on the way; use https, or be sure of the network",
        );
        reader.warn(Some(given.place), given.field, warning);
    }
}

fn base(reader: &Reader, s: &mut Section<'_>, usual: &str) -> String {
    let url = s.or("url", usual.to_owned(), base_url);
    warn_of_plain_http(reader, s);
    url
}

pub fn webhook(reader: &Reader, s: &mut Section<'_>) -> Option<Webhook> {
    let url = s.required("url", "\"https://oa.example.cn/duty\"", url);
    warn_of_plain_http(reader, s);
    needs(reader, s, "secret_file", "\"/etc/dutyline/webhook-secret\"");
    Some(Webhook { secrets: secrets(reader, s, "secret_file")?, url: url? })
}

fn bot(reader: &Reader, s: &mut Section<'_>, usual: &str, signs: bool) -> Option<Bot> {
    let url = base(reader, s, usual);
    needs(reader, s, "token_file", "\"/etc/dutyline/bot-token\"");
    let token = secret(reader, s, "token_file");
    let signing = if signs { secret(reader, s, "secret_file") } else { None };
    let mention = s.or("mention", vec![], list(recipient));
    Some(Bot { url, token: token?, signing, mention })
}

fn app(reader: &Reader, s: &mut Section<'_>) -> Option<App> {
    let url = base(reader, s, "https://qyapi.weixin.qq.com");
    let corporation = s.required("corp_id", "\"ww0123456789abcdef\"", recipient);
    let agent = s.required("agent_id", "1000002", number(1..=u64::from(u32::MAX)));
    needs(reader, s, "secret_file", "\"/etc/dutyline/wecom-secret\"");
    let secret = secret(reader, s, "secret_file");
    let to = s.required("to", "[\"zhangsan\"]", recipients);
    Some(App { url, corporation: corporation?, agent: agent?, secret: secret?, to: to? })
}

fn ntfy(reader: &Reader, s: &mut Section<'_>) -> Option<Push> {
    let url = s.required("url", "\"https://ntfy.example.cn\"", base_url);
    warn_of_plain_http(reader, s);
    let topic = s.required("topic", "\"zhiban\"", topic);
    let token = secret(reader, s, "token_file");
    Some(Push { url: url?, topic: topic?, token })
}

fn gotify(reader: &Reader, s: &mut Section<'_>) -> Option<Push> {
    let url = s.required("url", "\"https://gotify.example.cn\"", base_url);
    warn_of_plain_http(reader, s);
    needs(reader, s, "token_file", "\"/etc/dutyline/gotify-token\"");
    let token = secret(reader, s, "token_file")?;
    Some(Push { url: url?, topic: String::new(), token: Some(token) })
}

fn mail(reader: &Reader, s: &mut Section<'_>) -> Option<Mail> {
    let securities = [
        ("tls", MailSecurity::Tls),
        ("starttls", MailSecurity::StartTls),
        ("none", MailSecurity::None),
    ];
    let security = s.or("security", MailSecurity::Tls, |value| one_of(value, &securities));
    let server = s.required("server", "\"smtp.example.cn\"", host);
    let usual = match security {
        MailSecurity::Tls => 465,
        MailSecurity::StartTls => 587,
        MailSecurity::None => 25,
    };
    let port = s.or("port", usual, number(1..=65535));
    let user = s.optional("user", recipient);
    let password = secret(reader, s, "password_file");
    let from = s.required("from", "\"zhiban@example.cn\"", address);
    let to = s.required("to", "[\"leader@example.cn\"]", addresses);
    if user.is_some() != password.is_some() {
        let fault = say(
            "user 和 password_file 要么都写，要么都不写",
            "user and password_file: both of them, or neither",
        );
        reader.fault(Some(s.place()), s.field("user"), fault);
    }
    if security == MailSecurity::None && password.is_some() {
        let fault = say(
            "不加密时不发密码：security 写 \"tls\" 或 \"starttls\"",
            "a password is not sent in the clear: security = \"tls\" or \"starttls\"",
        );
        reader.fault(Some(s.place()), s.field("security"), fault);
    }
    let login = user.zip(password);
    let port = u16::try_from(port).ok()?;
    Some(Mail { server: server?, port, security, login, from: from?, to: to? })
}

fn gateway(reader: &Reader, s: &mut Section<'_>, roster: &Roster) -> Option<Gateway> {
    let url = s.required("url", "\"https://sms.example.cn/send\"", url);
    warn_of_plain_http(reader, s);
    let example = "'{\"phone\":\"{to}\",\"no\":\"{no}\"}'";
    let body = s.required("body", example, template);
    let content_type = s.or("content_type", "application/json".to_owned(), text);
    let headers = s.or("headers", vec![], list(header));
    let secret = secret(reader, s, "secret_file");
    let to = by_sms(reader, s, roster);
    let field = s.optional("success_field", pointer);
    let value = s.or("success_value", "0".to_owned(), any_text);
    let used = body.as_ref().is_some_and(|body| body.contains("{secret}"))
        || headers.iter().any(|(_, value)| value.contains("{secret}"));
    if used != secret.is_some() {
        let fault = say(
            "secret_file 与 body 或 headers 里的 {secret} 要配套",
            "secret_file goes with {secret} in body or headers",
        );
        reader.fault(Some(s.place()), s.field("secret_file"), fault);
    }
    let replies = inbound(reader, s, body.as_deref().unwrap_or_default());
    warn_of_strangers(reader, s, (&to, replies.is_some()), roster);
    let success = field.map(|field| (field, value));
    Some(Gateway { url: url?, content_type, headers, body: body?, secret, to, success, replies })
}

fn modem(reader: &Reader, s: &mut Section<'_>, roster: &Roster) -> Option<Modem> {
    let device = s.required("device", "\"/dev/ttyUSB0\"", text).map(PathBuf::from);
    let to = by_sms(reader, s, roster);
    let replies = s.or("replies", false, boolean);
    warn_of_strangers(reader, s, (&to, replies), roster);
    Some(Modem { device: device?, to, replies })
}

/// Whether a text acknowledges: not unless the site says so.
fn inbound(reader: &Reader, s: &mut Section<'_>, body: &str) -> Option<Inbound> {
    let on = s.or("replies", false, boolean);
    let from = s.or("reply_from", "/from".to_owned(), pointer);
    let text = s.or("reply_text", "/text".to_owned(), pointer);
    let sent = s.optional("reply_sent", pointer);
    let secrets = secrets(reader, s, "reply_secret_file");
    let has_code = body.contains("{code}");
    if has_code && !on || on && !has_code && !body.contains("{text}") {
        let fault = say(
            "replies = true 与 body 里的 {code}（或 {text}）要配套：收信人要看得到回复什么",
            "replies = true goes with {code} or {text} in body: its reader must see what to answer",
        );
        reader.fault(Some(s.place()), s.field("replies"), fault);
    }
    if on {
        needs(reader, s, "reply_secret_file", "\"/etc/dutyline/reply-secret\"");
    }
    secrets.filter(|_| on).map(|secrets| Inbound { secrets, from, text, sent })
}

/// Whoever is not in the list is told, and cannot answer.
fn warn_of_strangers(
    reader: &Reader,
    s: &mut Section<'_>,
    (to, replies): (&[To], bool),
    roster: &Roster,
) {
    let is_his = |number: &String| roster.people.iter().any(|one| one.sms.as_ref() == Some(number));
    let strangers = to.iter().filter_map(|to| match to {
        To::Number(number) if replies && !is_his(number) => Some(number.as_str()),
        To::Number(_) | To::Role(_) => None,
    });
    let strangers: Vec<&str> = strangers.collect();
    if let Some(given) = s.get("to")
        && !strangers.is_empty()
    {
        let shown = strangers.join(" ");
        let zh = format!("{shown} 不是 [[leaders]] 里谁的 sms：从这些号码回复的不算");
        let en = format!(
            "{shown}: no sms of anybody in [[leaders]], what is answered from there does not count"
        );
        reader.warn(Some(given.place), given.field, say(zh, en));
    }
}

fn by_sms(reader: &Reader, s: &mut Section<'_>, roster: &Roster) -> Vec<To> {
    let numbers = s.or("to", vec![], list(sms_number));
    let missing = say(
        "这个角色没有人，或没有收短信的号码：在 [[leaders]] 里写 sms = \"139…\"",
        "nobody holds this role, or he has no number for short messages: write sms = \"139…\" in [[leaders]]",
    );
    let has = |person: &Person| person.sms.is_some();
    to(reader, s, (numbers, "138…"), roster, has, missing)
}

/// Telephones at the PBX that show texts.
fn telephones(reader: &Reader, s: &mut Section<'_>, roster: &Roster) -> Vec<To> {
    let numbers = s.or("to", vec![], list(dialled));
    let missing = say(
        "这个角色没有人，或没有办公电话：在 [[leaders]] 里写 office = \"3002\"",
        "nobody holds this role, or he has no telephone in his office: write office = \"3002\" in [[leaders]]",
    );
    let has = |person: &Person| person.office.is_some();
    to(reader, s, (numbers, "3002"), roster, has, missing)
}

/// Numbers, and whoever holds a role; `has`: he has a number that fits, or else that is `missing`.
fn to(
    reader: &Reader,
    s: &mut Section<'_>,
    (numbers, example): (Vec<String>, &str),
    roster: &Roster,
    has: impl Fn(&Person) -> bool,
    missing: Say,
) -> Vec<To> {
    let roles = s.or("roles", vec![], list(role));
    for role in &roles {
        if !roster.holder(*role).is_some_and(&has) {
            let place = s.get("roles").map(|given| given.place);
            reader.fault(place, s.field("roles"), missing.clone());
        }
    }
    let to: Vec<To> =
        numbers.into_iter().map(To::Number).chain(roles.into_iter().map(To::Role)).collect();
    if to.is_empty() {
        let fault = say(
            format!("没有收信人：写 roles = [\"leader\"] 或 to = [\"{example}\"]"),
            format!("nobody is written to: roles = [\"leader\"] or to = [\"{example}\"]"),
        );
        reader.fault(Some(s.place()), s.field("to"), fault);
    }
    to
}

/// A number as the carriers write it: none of the PBX's prefixes and extensions.
pub fn sms_number(value: &DeValue<'_>) -> Result<String, Say> {
    let text = any_text(value)?;
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    let fits = match text.strip_prefix('+') {
        Some(abroad) => (7..=15).contains(&abroad.len()) && digits(abroad),
        None => text.len() == 11 && text.starts_with('1') && digits(&text),
    };
    if fits {
        return Ok(text);
    }
    Err(say(
        "短信只能发到 11 位手机号（1 开头，不带外线字冠）或 + 开头的国际号码",
        "a short message goes to a mobile of 11 digits beginning with 1, without the PBX's prefix, or to +…",
    ))
}

fn recipients(value: &DeValue<'_>) -> Result<Vec<String>, Say> {
    some(list(recipient)(value)?)
}

fn addresses(value: &DeValue<'_>) -> Result<Vec<String>, Say> {
    some(list(address)(value)?)
}

fn some(list: Vec<String>) -> Result<Vec<String>, Say> {
    if list.is_empty() { Err(say("至少写一个", "one at least")) } else { Ok(list) }
}

fn address(value: &DeValue<'_>) -> Result<String, Say> {
    let text = recipient(value)?;
    match text.split_once('@') {
        Some((user, host)) if !user.is_empty() && host.contains('.') && !host.contains('@') => {
            Ok(text)
        }
        _ => Err(say("不是邮箱地址", "no mail address")),
    }
}

fn host(value: &DeValue<'_>) -> Result<String, Say> {
    let text = text(value)?;
    let fits = |c: char| c.is_ascii_alphanumeric() || "-.:".contains(c);
    match text.chars().all(fits) && !text.contains("//") {
        true => Ok(text),
        false => Err(say("只写主机名或 IP", "a host name or an IP address alone")),
    }
}

fn topic(value: &DeValue<'_>) -> Result<String, Say> {
    let text = text(value)?;
    let fits = |c: char| c.is_ascii_alphanumeric() || "-_".contains(c);
    match text.len() <= 64 && text.chars().all(fits) {
        true => Ok(text),
        false => {
            Err(say("只用字母、数字、- 和 _，最多 64 个", "letters, digits, - and _, at most 64"))
        }
    }
}

fn template(value: &DeValue<'_>) -> Result<String, Say> {
    let text = any_text(value)?;
    if !text.contains("{to}") || !(text.contains("{no}") || text.contains("{text}")) {
        return Err(say(
            "要有 {to}（号码），并有 {no}（记录号）或 {text}（整句）",
            "it needs {to} (the number), and {no} (the entry's) or {text} (the sentence)",
        ));
    }
    let mut rest = text.as_str();
    while let Some(at) = rest.find('{') {
        let (name, after) = rest[at + 1..].split_once('}').unwrap_or((&rest[at + 1..], ""));
        let is_name = !name.is_empty() && name.chars().all(|c| c.is_ascii_lowercase());
        if is_name && !["to", "no", "text", "id", "line", "code", "secret"].contains(&name) {
            let zh = format!("没有 {{{name}}} 这个变量；可用：to no text id line code secret");
            let en = format!("there is no {{{name}}}; known: to no text id line code secret");
            return Err(say(zh, en));
        }
        rest = if is_name { after } else { &rest[at + 1..] };
    }
    Ok(text)
}

/// `Name: value`
fn header(value: &DeValue<'_>) -> Result<(String, String), Say> {
    let text = text(value)?;
    let token = |c: char| c.is_ascii_alphanumeric() || "-_".contains(c);
    match text.split_once(':') {
        Some((name, value)) if !name.is_empty() && name.chars().all(token) && value.is_ascii() => {
            Ok((name.to_owned(), value.trim().to_owned()))
        }
        _ => Err(say("写成 \"名称: 值\"，只用英文", "\"Name: value\", in ASCII")),
    }
}

/// RFC 6901.
fn pointer(value: &DeValue<'_>) -> Result<String, Say> {
    let text = text(value)?;
    match text.starts_with('/') {
        true => Ok(text),
        false => Err(say("以 / 开头，例：\"/code\"", "it begins with /, such as \"/code\"")),
    }
}
