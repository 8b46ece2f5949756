//! The section `[line]`: who we are at the PBX, where it is, and how it wants to be spoken to.

use super::faults::{Say, say};
use super::reader::{Reader, Section, address, boolean, ip, list, number, text};
use super::values::{dialled, one_of};
use super::{Environment, Line, PbxAddress, Tls, authority, secret};
use crate::protocol::sip::admission::{PER_SECOND, Pace};
use crate::protocol::sip::route::PEERS_MAX;
use crate::protocol::sip::{Habits, Numbers, Transport};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;
use toml::de::DeValue;

pub fn line(reader: &Reader, mut section: Section<'_>, env: &Environment) -> Option<Line> {
    if section.is_void() {
        return None;
    }
    let s = &mut section;
    let number_dialled = s.required("number", "\"63001234\"", text);
    let room = s.required("room", "\"市政务服务中心值班室\"", text);
    let pbx = s.required("pbx", "\"192.168.10.1:5060\"", addresses);
    let transport = s.or("transport", Transport::Udp, transport);
    let domain = s.optional("domain", host);
    let user = s.required("user", "\"1001\"", dialled);
    let auth_user = s.optional("auth_user", text);
    let register = s.or("register", true, boolean);
    let password = secret::password(reader, s, env, register);
    let realm = s.optional("realm", text);
    let (listen, advertise) = own_addresses(reader, s);
    let expires = expires(reader, s);
    let session_expires = s.or("session_expires", 1800, session_interval);
    let trusted = s.or("trusted", vec![], list(ip));
    let finish = s.or("finish_seconds", 0, number(0..=3600));
    let answer_supervision = s.or("answer_supervision", true, boolean);
    let keys_in_voice = s.or("keys_in_voice", false, boolean);
    if keys_in_voice
        && !answer_supervision
        && let Some(given) = s.get("keys_in_voice")
    {
        let fault = say(
            "answer_supervision = false 时，网关自己拨号的按键音会被当作领导按键；请删去此项，改让话机用 RFC 4733 发送按键",
            "with answer_supervision = false the tones with which the gateway itself dials would be keys of the leader; take this line out and have the telephones send RFC 4733",
        );
        reader.fault(Some(given.place), given.field, fault);
    }
    let habits = habits(s, register);
    let dns = s.or("dns", vec![], list(address));
    let tls = tls(reader, s, transport, (domain.as_deref(), pbx.as_deref()));
    section.close();
    let (user, pbx) = (user?, pbx?);
    Some(Line {
        number: number_dialled?,
        room: room?,
        transport,
        domain: domain.unwrap_or_else(|| host_of(&pbx[0])),
        auth_user: auth_user.unwrap_or_else(|| user.clone()),
        user,
        password: password?,
        realm,
        pbx,
        advertise: advertise.unwrap_or(listen.ip()),
        listen,
        expires: if register { expires } else { 0 },
        session_expires,
        trusted,
        finish: Duration::from_secs(finish),
        answer_supervision,
        keys_in_voice,
        habits,
        tls,
        dns,
    })
}

/// Where we listen, and the address that others are told, where that is another.
fn own_addresses(reader: &Reader, s: &mut Section<'_>) -> (SocketAddr, Option<IpAddr>) {
    let any = SocketAddr::from((Ipv4Addr::UNSPECIFIED, 5060));
    let listen = s.or("listen", any, address);
    let listen_place = s.get("listen").map_or(s.place(), |given| given.place);
    let advertise = s.optional("advertise", ip);
    let advertise_given = s.get("advertise").is_some();
    if listen.ip().is_unspecified() && !advertise_given {
        let fault = say(
            "listen 是所有网卡，需写明 PBX 能到达本机的地址。例：advertise = \"192.168.10.20\"",
            "listen is every address of this host; say which one the PBX reaches: advertise = \"192.168.10.20\"",
        );
        reader.fault(Some(listen_place), s.field("advertise"), fault);
    }
    if let Some(given) = s.get("advertise")
        && advertise.is_some_and(|address| address.is_unspecified())
    {
        let fault = say(
            "这是“所有网卡”，PBX 无法回信；请写本机的一个真实地址",
            "this is every address, the PBX cannot answer to it; write one real address of this host",
        );
        reader.fault(Some(given.place), given.field, fault);
    }
    (listen, advertise)
}

fn expires(reader: &Reader, s: &mut Section<'_>) -> u32 {
    let expires = s.or("expires", 90, number(30..=3600));
    if let Some(given) = s.get("expires")
        && expires > 120
    {
        let warning = say(
            "超过 120 秒：本机断电后，PBX 要等这么久才改拨值班员话机",
            "over 120 s: after a power cut the PBX waits this long before it rings the officer's phone itself",
        );
        reader.warn(Some(given.place), given.field, warning);
    }
    u32::try_from(expires).unwrap_or(3600)
}

/// Seconds (RFC 4028 §4: never below 90), or 0 for none.
fn session_interval(value: &DeValue<'_>) -> Result<u32, Say> {
    let seconds = number(0..=86_400)(value)?;
    if (1..90).contains(&seconds) {
        return Err(say("应为 0（不用），或 90 以上", "must be 0 for none, or at least 90"));
    }
    Ok(u32::try_from(seconds).unwrap_or(86_400))
}

fn habits(s: &mut Section<'_>, register: bool) -> Habits {
    let forms = [("sip", Numbers::Sip), ("phone", Numbers::Phone), ("tel", Numbers::Tel)];
    let numbers = s.or("numbers", Numbers::Sip, |value| one_of(value, &forms));
    let ways = [("tcp", false), ("udp", true)];
    let large_by_udp = s.or("large_requests", false, |value| one_of(value, &ways));
    let keep_alive = Duration::from_secs(s.or("keepalive_seconds", 25, number(0..=600)));
    let sips = s.or("sips", false, boolean);
    let pace = s.or("calls_per_second", u64::from(PER_SECOND), number(10..=1000));
    let pace = Pace::of(u32::try_from(pace).unwrap_or(PER_SECOND));
    Habits { trunk: !register, numbers, sips, large_by_udp, keep_alive, pace }
}

/// The keys that belong to TLS, given where the transport is TLS and nowhere else.
fn tls(
    reader: &Reader,
    s: &mut Section<'_>,
    transport: Transport,
    (domain, pbx): (Option<&str>, Option<&[PbxAddress]>),
) -> Option<Tls> {
    let ca = s.optional("tls_ca", text).map(PathBuf::from);
    let pins = s.or("tls_pins", vec![], list(fingerprint));
    let name = s.optional("tls_name", host);
    let given = ["tls_ca", "tls_pins", "tls_name", "sips"].map(|key| s.get(key));
    let [ca_given, pins_given, ..] = &given;
    if transport != Transport::Tls {
        for given in given.into_iter().flatten() {
            let fault = say(
                "只在 transport = \"tls\" 时可用；删去这一项，或改 transport",
                "means something with transport = \"tls\" only; remove it, or change transport",
            );
            reader.fault(Some(given.place), given.field, fault);
        }
        return None;
    }
    if ca_given.is_some() == pins_given.is_some() {
        let fault = say(
            "TLS 要核对 PBX 的证书:tls_ca（签发它的 CA 证书文件）和 tls_pins（它的 SHA-256 指纹）写且只写一项",
            "the PBX's certificate must be checked: write one of tls_ca (file of the CA that issued it) and tls_pins (its SHA-256 fingerprint)",
        );
        reader.fault(Some(s.place()), s.field("tls_ca"), fault);
        return None;
    }
    if let (Some(given), Some(path)) = (ca_given, &ca)
        && let Some(fault) = authority::unfit(path)
    {
        reader.fault(Some(given.place.clone()), &given.field, fault);
    }
    let (named, pbx) = (name.is_some(), pbx?);
    let name = name.or_else(|| domain.map(str::to_owned)).unwrap_or_else(|| host_of(&pbx[0]));
    Some(Tls { ca, pins, name, named })
}

/// A SHA-256 fingerprint as `openssl x509 -fingerprint -sha256` shows it, colons or not.
fn fingerprint(value: &DeValue<'_>) -> Result<[u8; 32], Say> {
    let text = text(value)?;
    let digits: String = text.chars().filter(|c| !c.is_whitespace() && *c != ':').collect();
    let bytes = hex::decode(digits).ok().and_then(|bytes| bytes.try_into().ok());
    bytes.ok_or_else(|| {
        say(
            "不是 SHA-256 指纹（64 个十六进制数字）；用 openssl x509 -noout -fingerprint -sha256 -in 证书 查看",
            "no SHA-256 fingerprint (64 hexadecimal digits); openssl x509 -noout -fingerprint -sha256 -in CERTIFICATE shows it",
        )
    })
}

/// `IP:port`, `name:port`, or a name alone.
fn pbx_address(value: &DeValue<'_>) -> Result<PbxAddress, Say> {
    let text = super::reader::any_text(value)?;
    let (name, port) = match text.rsplit_once(':') {
        Some((name, port)) => (name, port.parse().ok().filter(|port| *port != 0)),
        None => (text.as_str(), None),
    };
    let fits = |c: char| c.is_ascii_alphanumeric() || "-.".contains(c);
    let labels = name.split('.').all(|label| (1..64).contains(&label.len()));
    let is_name = name.len() < 254 && labels && name.chars().all(fits);
    let is_name = is_name && name.chars().any(|c| c.is_ascii_alphabetic());
    if is_name && (port.is_some() || !text.contains(':')) {
        return Ok(PbxAddress::Named { name: name.to_ascii_lowercase(), port });
    }
    address(value).map(PbxAddress::At)
}

/// One address of the PBX, or a list of them in the order of preference.
fn addresses(value: &DeValue<'_>) -> Result<Vec<PbxAddress>, Say> {
    let DeValue::Array(items) = value else { return Ok(vec![pbx_address(value)?]) };
    let mut all = vec![];
    for item in items.iter() {
        let one = pbx_address(item.get_ref())?;
        if all.contains(&one) {
            return Err(say(format!("{one} 写了两次"), format!("{one} is written twice")));
        }
        all.push(one);
    }
    if all.is_empty() || all.len() > PEERS_MAX {
        return Err(say(
            format!("要写 1 到 {PEERS_MAX} 个地址，首选的在前"),
            format!("write 1 to {PEERS_MAX} addresses, the preferred one first"),
        ));
    }
    Ok(all)
}

fn transport(value: &DeValue<'_>) -> Result<Transport, Say> {
    one_of(value, &[("udp", Transport::Udp), ("tcp", Transport::Tcp), ("tls", Transport::Tls)])
}

fn host(value: &DeValue<'_>) -> Result<String, Say> {
    let text = text(value)?;
    let fits = text.chars().all(|c| c.is_ascii_alphanumeric() || ".-:[]".contains(c));
    if fits {
        return Ok(text);
    }
    Err(say(
        "应为 PBX 的域名或 IP，不带 sip: 和端口",
        "must be the PBX's domain or IP address, without sip: and port",
    ))
}

fn host_of(address: &PbxAddress) -> String {
    match address {
        PbxAddress::At(SocketAddr::V4(address)) => address.ip().to_string(),
        PbxAddress::At(SocketAddr::V6(address)) => format!("[{}]", address.ip()),
        PbxAddress::Named { name, .. } => name.clone(),
    }
}
