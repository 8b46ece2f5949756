//! From the file's text to the checked configuration.

use super::faults::say;
use super::reader::{Found, Reader, Section, address, boolean, ip, list, number, text};
use super::registrar::network;
use super::values::srtp;
use super::{Config, Environment, Line, Measured, Media, PbxAddress, Purpose, Storage, Web};
use super::{
    answering, call_list, callers, channels, copies, dial, heartbeat, keeping, lamp, leaders, line,
    numbers, prompts, registrar, roll_call, self_test, sense, versions, witness,
};
use crate::duty::line_plan::{Phone, SrtpPlan};
use crate::protocol::places::{PLACES_MAX, Places};
use crate::protocol::sdp::Policy;
use crate::protocol::sip::Transport;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;
use toml::de::DeTable;

const GIB: u64 = 1 << 30;

/// The configuration where it could be made out, and what is wrong with it.
pub fn check(source: &str, env: &Environment, purpose: Purpose) -> (Option<Config>, Found) {
    let reader = Reader::new(purpose);
    let (document, errors) = DeTable::parse_recoverable(source);
    for error in &errors {
        let fault = say(
            format!("不合 TOML 语法：{}", error.message()),
            format!("not TOML: {}", error.message()),
        );
        reader.fault(error.span(), "TOML", fault);
    }
    if !errors.is_empty() {
        return (None, reader.finish());
    }
    let mut root = Section::root(&reader, &document);
    let config = config(&reader, &mut root, source, env);
    root.close();
    (config, reader.finish())
}

fn config(
    reader: &Reader,
    root: &mut Section<'_>,
    source: &str,
    env: &Environment,
) -> Option<Config> {
    let line = line::line(reader, root.section("line"), env);
    let alone = heartbeat::is_of_witness(root);
    let mut read = answering::read(reader, root, alone);
    if alone {
        read.answering.message = None;
    }
    let sip = line.as_ref().map(|line| line.listen);
    let media = media(reader, root.section("media"), sip);
    let storage = storage(reader, root.section("storage"));
    let web = web(reader, root.section("web"), sip);
    let metrics = metrics(reader, root.section("metrics"), sip, web.listen);
    let witness = witness::witness(reader, root.section("witness"));
    let callers = callers::rules(root.section("callers"));
    let call_list = call_list::columns(root.section("call_list"));
    let contacts = root.each("contacts").into_iter();
    let contacts: Vec<_> =
        contacts.filter_map(|s| callers::contact(reader, s, &callers.numbering)).collect();
    let roster = leaders::roster(reader, root, alone);
    let roll_call = roll_call::plan(reader, root.section("roll_call"), &roster);
    let channels = channels::all(reader, root, &roster);
    let policy = versions::versions(reader, root, source, (&roster, &channels));
    let lamp = lamp::roles(reader, root.section("lamp"), &roster);
    if let Some(media) = &media {
        answering::fits(reader, &read, media);
    }
    let numbers = numbers::numbers(reader, root, line.as_ref(), &read);
    let answering::Read { phones, answering, rings, greeting, terms: _ } = read;
    let prompts = prompts::own(reader, root.section("prompts"), greeting);
    let directory = (contacts.as_slice(), &callers.numbering);
    let dial = dial::plan(root.section("dial"), &phones, &roster, directory);
    let registrar = registrar::plan(reader, root);
    let self_test = self_test::plan(reader, root);
    let heartbeat = heartbeat::heartbeat(reader, root);
    let (keeping, flac) = keeping::rules(root.section("keeping"));
    let (line, media) = (line?, media?);
    if self_test.is_some() {
        self_test_fits(reader, &line);
    }
    sense::of_the_numbers(reader, root, (&line, &numbers), (&phones, &roster));
    warn_of_a_pbx_elsewhere(reader, &line.pbx, &media.places);
    if line.transport != Transport::Tls {
        warn_of_readable_keys(reader, media.srtp, &phones);
    }
    Some(Config {
        line,
        phones,
        answering,
        rings,
        numbers,
        dial,
        registrar,
        prompts,
        media,
        storage,
        web,
        metrics,
        witness,
        heartbeat,
        self_test,
        roll_call,
        keeping,
        flac,
        contacts,
        callers,
        call_list,
        roster,
        policy,
        channels,
        lamp,
    })
}

fn media(reader: &Reader, mut section: Section<'_>, sip: Option<SocketAddr>) -> Option<Media> {
    let s = &mut section;
    let default_ip = sip.map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |sip| sip.ip());
    let listen = s.or("listen", default_ip, ip);
    let first = s.or("first_port", 16384, number(1024..=65534));
    let channels = s.or("channels", 64, number(2..=8192));
    let reserved = s.or("reserved", 4, number(0..=256));
    let realtime = s.or("realtime", true, boolean);
    let line = s.or("srtp", Policy::Off, srtp);
    let leaders = s.or("srtp_leaders", line, srtp);
    let places = places(reader, s);
    let place_of = |s: &mut Section<'_>, key| s.get(key).map_or(s.place(), |given| given.place);
    if !first.is_multiple_of(2) {
        let fault = say("RTP 端口要从偶数开始", "RTP ports start at an even number");
        let place = place_of(s, "first_port");
        reader.fault(Some(place), s.field("first_port"), fault);
    }
    let last = first + 2 * channels - 1;
    if last > 65535 {
        let fault = say(
            format!(
                "{channels} 个通道从 {first} 起要用到端口 {last}，超过 65535；减小 first_port 或 channels"
            ),
            format!(
                "{channels} channels from {first} on end at port {last}, beyond 65535; lower first_port or channels"
            ),
        );
        let place = place_of(s, "first_port");
        reader.fault(Some(place), s.field("first_port"), fault);
    }
    if reserved + 2 > channels {
        let fault = say(
            format!("channels = {channels} 除去保留的 {reserved} 个后不够一次通话（要 2 个）"),
            format!(
                "channels = {channels} without the {reserved} reserved ones leave too few for one call (2)"
            ),
        );
        let place = place_of(s, "reserved");
        reader.fault(Some(place), s.field("reserved"), fault);
    }
    if let Some(sip) = sip
        && meet(sip.ip(), listen)
        && (first..=last).contains(&u64::from(sip.port()))
    {
        let port = sip.port();
        let fault = say(
            format!("RTP 端口 {first}–{last} 与 line.listen 的端口 {port} 重叠；改其中之一"),
            format!(
                "the RTP ports {first} to {last} overlap port {port} of line.listen; move one of them"
            ),
        );
        let place = place_of(s, "first_port");
        reader.fault(Some(place), s.field("first_port"), fault);
    }
    section.close();
    let small = |value: u64| u16::try_from(value).ok();
    Some(Media {
        listen,
        first_port: small(first)?,
        channels: small(channels)?,
        reserved: small(reserved)?,
        realtime,
        srtp: SrtpPlan { line, leaders },
        places,
    })
}

fn places(reader: &Reader, s: &mut Section<'_>) -> Places {
    let places = s.or("places", vec![], list(network));
    if let Some(given) = s.get("places").filter(|_| places.len() > PLACES_MAX) {
        let fault = say(
            format!("最多 {PLACES_MAX} 个网段；请合并成大一些的"),
            format!("at most {PLACES_MAX} networks: put some of them together"),
        );
        reader.fault(Some(given.place), given.field, fault);
    }
    Places::new(&places)
}

fn self_test_fits(reader: &Reader, line: &Line) {
    if line.transport == Transport::Tls {
        let fault = say(
            "自检电话走 UDP，line.transport 为 \"tls\" 时用不了；请删去 [self_test]",
            "the test call goes by UDP, and a PBX that is spoken to by TLS does not take it: remove [self_test]",
        );
        reader.fault(None, "self_test", fault);
    }
}

/// Most PBXs have the voice at their own address.
fn warn_of_a_pbx_elsewhere(reader: &Reader, pbx: &[PbxAddress], places: &Places) {
    for address in pbx {
        if let PbxAddress::At(address) = address
            && !places.permits(address.ip())
        {
            let ip = address.ip();
            let warning = say(
                format!("交换机 {ip} 不在 media.places 之内：语音经过它的通话都会被拒绝"),
                format!(
                    "the PBX {ip} is not within media.places: calls with their voice there are refused"
                ),
            );
            reader.warn(None, "media.places", warning);
        }
    }
}

/// The keys stand in the signalling (RFC 4568 §9.1).
fn warn_of_readable_keys(reader: &Reader, srtp: SrtpPlan, phones: &[Phone]) {
    let of_phones = phones.iter().filter_map(|phone| phone.srtp);
    let mut all = of_phones.chain([srtp.line, srtp.leaders]);
    if all.any(|policy| policy != Policy::Off) {
        let warning = say(
            "语音加密（srtp）的密钥写在信令里，而信令没有加密：能看到信令的人就能解密语音。请改用 transport = \"tls\"，或确认信令只走专网",
            "the keys of the encrypted voice (srtp) stand in the signalling, which is in the clear: whoever reads it can listen; use transport = \"tls\", or be sure of the network",
        );
        reader.warn(None, "line.transport", warning);
    }
}

/// Whether sockets of these two addresses share their ports.
fn meet(a: IpAddr, b: IpAddr) -> bool {
    a == b || a.is_unspecified() || b.is_unspecified()
}

fn storage(reader: &Reader, mut s: Section<'_>) -> Storage {
    let data = s.or("data", "data".into(), text);
    let recordings = s.or("recordings", "recordings".into(), text);
    let copies = copies::place(reader, &mut s, &recordings);
    if Path::new(&data) == Path::new(&recordings) {
        let warning = say(
            "录音和数据放在了同一个文件夹；请给 recordings 另写一个",
            "data and recordings are one folder: give recordings one of its own",
        );
        let place = s.get("recordings").map_or(s.place(), |given| given.place);
        reader.warn(Some(place), s.field("recordings"), warning);
    }
    let budget = s.or("entry_budget_ms", 150, number(10..=5000));
    let low_space = s.or("low_space_gib", 5, number(0..=1 << 20));
    let ballast = s.or("ballast_mib", 64, number(0..=4096));
    s.close();
    Storage {
        data: PathBuf::from(data),
        recordings: PathBuf::from(recordings),
        copies,
        entry_budget: Duration::from_millis(budget),
        low_space: low_space * GIB,
        ballast: ballast << 20,
    }
}

fn web(reader: &Reader, mut s: Section<'_>, sip: Option<SocketAddr>) -> Web {
    let listen = s.or("listen", SocketAddr::from((Ipv4Addr::LOCALHOST, 8080)), address);
    let given = s.get("listen");
    let place = given.map_or(s.place(), |given| given.place);
    if sip.is_some_and(|sip| sip.port() == listen.port() && meet(sip.ip(), listen.ip())) {
        let fault = say(
            "与 line.listen 是同一个地址和端口（SIP 也用 TCP）；改其中之一",
            "the same address and port as line.listen (SIP takes TCP too); move one of them",
        );
        reader.fault(Some(place.clone()), s.field("listen"), fault);
    }
    if !listen.ip().is_loopback() {
        let warning = say(
            "页面是明文 HTTP，密码可被同网段截获；请只听 127.0.0.1，前面放带 TLS 的反向代理",
            "the page is plain HTTP and passwords can be read on the network; listen at 127.0.0.1 behind a reverse proxy with TLS",
        );
        reader.warn(Some(place), s.field("listen"), warning);
    }
    let listen_reason = s.or("listen_reason", false, boolean);
    let proxies = s.or("proxies", vec![], list(ip));
    let report = s.or("report_minutes", 30, number(1..=1440));
    s.close();
    Web { listen, listen_reason, proxies, report: Duration::from_secs(60 * report) }
}

/// Served only where an address is given.
fn metrics(
    reader: &Reader,
    mut s: Section<'_>,
    sip: Option<SocketAddr>,
    web: SocketAddr,
) -> Option<Measured> {
    let listen = s.optional("listen", address);
    let place = s.get("listen").map_or(s.place(), |given| given.place);
    let field = s.field("listen");
    s.close();
    let listen = listen?;
    let taken = [(sip, "line.listen"), (Some(web), "web.listen")];
    for (other, name) in taken {
        if other.is_some_and(|o| o.port() == listen.port() && meet(o.ip(), listen.ip())) {
            let fault = say(
                format!("与 {name} 是同一个地址和端口；改其中之一"),
                format!("the same address and port as {name}; move one of them"),
            );
            reader.fault(Some(place.clone()), field.clone(), fault);
        }
    }
    if !listen.ip().is_loopback() {
        let warning = say(
            "指标没有口令，同网段都能读；请只听 127.0.0.1，或用防火墙只放行 Prometheus",
            "the metrics ask for no password and the network can read them; listen at 127.0.0.1, or let only Prometheus through the firewall",
        );
        reader.warn(Some(place), field, warning);
    }
    Some(Measured { listen })
}
