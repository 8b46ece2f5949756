//! What callers and PBXs write into their headers, sent as real INVITEs through the daemon: nothing
//! of it runs on the page, forges a line of the log, names a file or confuses a telephone; all of
//! it is kept byte for byte.

use crate::browser::{Browser, SOON};
use crate::daemon::{Daemon, Plan};
use crate::have;
use crate::ports::{Ports, bound};
use crate::process::wait_until;
use std::collections::BTreeSet;
use std::fs;
use std::io::Write;
use std::net::{SocketAddr, UdpSocket};
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Instant;

const PASSWORD: &str = "夜深了请别打瞌睡";
/// Never kept anywhere.
const CANARY: &str = "canary-5d41402abc4b";

/// Texts that have done harm elsewhere. Whatever of it were to run says so in `window.ran`.
const TEXTS: &[&str] = &[
    "<script>window.ran=1</script>",
    "<ScRiPt src=//evil.example/x.js></sCrIpT>",
    "\"><script>window.ran=1</script>",
    "'><script>window.ran=1</script>",
    "</title><script>window.ran=1</script>",
    "</textarea><script>window.ran=1</script>",
    "</script><script>window.ran=1</script>",
    "<img src=x onerror=window.ran=1>",
    "<img src=\"x\" onerror=\"window.ran=1\">",
    "\" onmouseover=\"window.ran=1\" x=\"",
    "' autofocus onfocus='window.ran=1",
    "<svg onload=window.ran=1>",
    "<svg><script>window.ran=1</script></svg>",
    "</svg><script>window.ran=1</script>",
    "</text><a href=\"javascript:window.ran=1\">x</a>",
    "<math><mtext></mtext><script>window.ran=1</script></math>",
    "<iframe srcdoc=\"<script>parent.ran=1</script>\">",
    "<object data=\"data:text/html,<script>window.ran=1</script>\">",
    "<embed src=javascript:window.ran=1>",
    "<details open ontoggle=window.ran=1>",
    "<video><source onerror=window.ran=1></video>",
    "<audio src=x onerror=window.ran=1>",
    "<input autofocus onfocus=window.ran=1>",
    "<select autofocus onfocus=window.ran=1>",
    "<marquee onstart=window.ran=1>",
    "<body onload=window.ran=1>",
    "<base href=//evil.example/>",
    "<meta http-equiv=refresh content='0;url=javascript:window.ran=1'>",
    "<link rel=stylesheet href=//evil.example/x.css>",
    "<style>@import '//evil.example/x.css';</style>",
    "<form action=//evil.example><button autofocus>",
    "<a href=javascript:window.ran=1 hx-boost=true>x</a>",
    "<div hx-get=/logout hx-trigger=load></div>",
    "<div hx-on:load=\"window.ran=1\"></div>",
    "<template><script>window.ran=1</script></template>",
    "<!--><script>window.ran=1</script>-->",
    "<![CDATA[<script>window.ran=1</script>]]>",
    "]]><script>window.ran=1</script>",
    "&lt;script&gt;window.ran=1&lt;/script&gt;",
    "&#60;script&#62;window.ran=1",
    "\\u003cscript\\u003ewindow.ran=1",
    "%3Cscript%3Ewindow.ran=1%3C/script%3E",
    "＜script＞window.ran=1＜/script＞",
    "+ADw-script+AD4-window.ran=1",
    "{{constructor.constructor('window.ran=1')()}}",
    "${window.ran=1}",
    "#{7*7}{{7*7}}",
    "javascript:window.ran=1",
    "data:text/html;base64,PHNjcmlwdD53aW5kb3cucmFuPTE8L3NjcmlwdD4=",
    "'-(window.ran=1)-'",
    "`;window.ran=1;`",
    "{\"kind\":\"ringing\",\"entry\":\"x\"}",
    "__proto__[ran]=1",
    "=cmd|' /C calc'!A0",
    "+1+1",
    "-2+3",
    "@SUM(1+1)*cmd",
    "%0d%0aSet-Cookie: x=1",
    "%0d%0a2026-10-03T00:00:00Z ERROR forged: line is down",
    "../../../../etc/passwd",
    "..\\..\\windows\\system32",
    "; rm -rf / #",
    "$(touch owned)`id`",
    "'; DROP TABLE call; --",
    "%s%n%x%p",
    "\u{202e}gnp.exe\u{202d}",
    "\u{2066}evil\u{2069}\u{200f}\u{200b}",
    "\u{61c}مرحبا\u{2028}next\u{2029}",
    "Z̸͑͝a̷l̶g̴o̷\u{300}\u{301}\u{302}\u{303}",
    "👩‍👩‍👧‍👦🏴󠁧󠁢󠁥󠁮󠁧󠁿",
    "\u{85}\u{9b}31mC1",
    "\u{1b}[2J\u{1b}[31m\u{1b}]0;owned\u{7}",
    "\u{8}\u{8}\u{8}\tback",
];

fn payloads() -> Vec<Vec<u8>> {
    let mut all: Vec<Vec<u8>> = TEXTS.iter().map(|text| text.as_bytes().to_vec()).collect();
    all.push("长".repeat(200).into_bytes());
    all.push(vec![b'A'; 2000]);
    all.push(b"\xb5\xf7\xb6\xc8\xd6\xd0\xd0\xc4<script>window.ran=1</script>".to_vec());
    all.push(b"\x81\x5c\x81\x22<script>window.ran=1</script>".to_vec());
    all.push(b"\xc0\xbcscript\xc0\xbewindow.ran=1".to_vec());
    all.push(b"\xff\xfe<\0s\0c\0r\0".to_vec());
    all.push(b"nul\0<script>window.ran=1</script>".to_vec());
    all
}

fn quoted(payload: &[u8]) -> Vec<u8> {
    let mut out = vec![b'"'];
    for &byte in payload {
        if matches!(byte, b'"' | b'\\') {
            out.push(b'\\');
        }
        out.push(byte);
    }
    out.push(b'"');
    out
}

/// The daemon's whole world: registrar, caller and the officers' phones in one hand-written peer.
struct Pbx {
    sip: UdpSocket,
    daemon: SocketAddr,
    heard: Receiver<Vec<u8>>,
}

impl Pbx {
    fn start(ports: &Ports) -> Self {
        let sip = bound(("127.0.0.1", ports.pbx()));
        let daemon = SocketAddr::from(([127, 0, 0, 1], ports.line()));
        let (tell, heard) = channel();
        let own = sip.try_clone().expect("a second handle");
        std::thread::spawn(move || answer(&own, &tell));
        Self { sip, daemon, heard }
    }

    /// The next message with this start.
    fn hears(&self, starts: &[&str]) -> Option<Vec<u8>> {
        let end = Instant::now() + SOON;
        while let Some(left) = end.checked_duration_since(Instant::now()) {
            let message = self.heard.recv_timeout(left).ok()?;
            if starts.iter().any(|start| message.starts_with(start.as_bytes())) {
                return Some(message);
            }
        }
        None
    }

    fn says(&self, message: &[u8]) {
        self.sip.send_to(message, self.daemon).expect("sent");
    }
}

/// Registers whoever proves himself, lets phones ring, ends what is cancelled.
fn answer(sip: &UdpSocket, tell: &Sender<Vec<u8>>) {
    let mut bytes = vec![0; 65_536];
    let mut ringing: Vec<(String, Vec<u8>)> = vec![];
    while let Ok((length, from)) = sip.recv_from(&mut bytes) {
        let message = bytes[..length].to_vec();
        let text = String::from_utf8_lossy(&message).into_owned();
        let send = |reply: String| {
            sip.send_to(reply.as_bytes(), from).expect("sent");
        };
        let proved = text.contains("uthorization: Digest");
        let challenge = "Digest realm=\"pbx\", nonce=\"n1\", algorithm=MD5, qop=\"auth\"";
        if text.starts_with("REGISTER ") && !proved {
            send(reply(&text, "401 Unauthorized", &format!("WWW-Authenticate: {challenge}\r\n")));
        } else if text.starts_with("REGISTER ") {
            let contact = header(&text, "Contact");
            send(reply(&text, "200 OK", &format!("Contact: {contact};expires=600\r\n")));
        } else if text.starts_with("OPTIONS ") || text.starts_with("BYE ") {
            send(reply(&text, "200 OK", ""));
        } else if text.starts_with("INVITE ") && !proved {
            let proxy = format!("Proxy-Authenticate: {challenge}\r\n");
            send(reply(&text, "407 Proxy Authentication Required", &proxy));
        } else if text.starts_with("INVITE ") {
            send(reply(&text, "180 Ringing", "Contact: <sip:2001@127.0.0.1>\r\n"));
            ringing.push((header(&text, "Call-ID"), message.clone()));
        } else if text.starts_with("CANCEL ") {
            send(reply(&text, "200 OK", ""));
            let call = header(&text, "Call-ID");
            if let Some(at) = ringing.iter().position(|(known, _)| *known == call) {
                let (_, invite) = ringing.remove(at);
                send(reply(&String::from_utf8_lossy(&invite), "487 Request Terminated", ""));
            }
        }
        if tell.send(message).is_err() {
            return;
        }
    }
}

fn header(text: &str, name: &str) -> String {
    let head = text.split("\r\n\r\n").next().unwrap_or_default();
    let line = head.lines().find_map(|line| line.strip_prefix(&format!("{name}: ")));
    line.unwrap_or_default().to_owned()
}

fn reply(text: &str, status: &str, more: &str) -> String {
    let to = header(text, "To");
    let to = if to.contains(";tag=") { to } else { format!("{to};tag=phone") };
    format!(
        "SIP/2.0 {status}\r\nVia: {}\r\nFrom: {}\r\nTo: {to}\r\nCall-ID: {}\r\nCSeq: {}\r\n{more}\
         Content-Length: 0\r\n\r\n",
        header(text, "Via"),
        header(text, "From"),
        header(text, "Call-ID"),
        header(text, "CSeq")
    )
}

/// An INVITE with the payload in every header that takes text: its From value, and the whole.
fn invite(
    number: usize,
    payload: &[u8],
    pbx: SocketAddr,
    daemon: SocketAddr,
) -> (Vec<u8>, Vec<u8>) {
    let name = quoted(payload);
    let user = format!("138{number:08}");
    let from = [&name[..], format!(" <sip:{user}@trunk>;tag=t{number}").as_bytes()].concat();
    let escaped: String = payload.iter().take(400).map(|byte| format!("%{byte:02X}")).collect();
    let token: Vec<u8> =
        payload.iter().copied().filter(|byte| byte.is_ascii_graphic()).take(200).collect();
    let mut out = format!(
        "INVITE sip:1001@{daemon} SIP/2.0\r\nVia: SIP/2.0/UDP {pbx};branch=z9hG4bKh{number}\r\n\
         Max-Forwards: 70\r\nCSeq: 1 INVITE\r\n"
    )
    .into_bytes();
    let mut line = |name: &str, parts: &[&[u8]]| {
        out.extend_from_slice(name.as_bytes());
        out.extend_from_slice(b": ");
        parts.iter().for_each(|part| out.extend_from_slice(part));
        out.extend_from_slice(b"\r\n");
    };
    line("From", &[&from]);
    line("To", &[&name, b" <sip:1001@daemon>"]);
    line("Call-ID", &[format!("h{number}-").as_bytes(), &token]);
    line("Contact", &[&name, format!(" <sip:c@{pbx}>").as_bytes()]);
    if number.is_multiple_of(2) {
        line("P-Asserted-Identity", &[&name, format!(" <sip:{user}@pbx>").as_bytes()]);
    }
    line("P-Preferred-Identity", &[&name, b" <sip:boss@pbx>"]);
    line("Remote-Party-ID", &[&name, b" <sip:", escaped.as_bytes(), b"@pbx>;party=calling"]);
    line("Diversion", &[&name, b" <sip:", escaped.as_bytes(), b"@pbx>;reason=", &token]);
    line("Diversion", &[&name, b" <sip:63001000@pbx>;reason=user-busy"]);
    line("History-Info", &[&name, b" <sip:63001000@pbx>;index=1"]);
    for name in [
        "Privacy",
        "Priority",
        "Resource-Priority",
        "Subject",
        "User-Agent",
        "Organization",
        "Reason",
        "Alert-Info",
        "Call-Info",
        "Referred-By",
        "In-Reply-To",
        "X-Custom",
    ] {
        line(name, &[payload]);
    }
    let secret = format!("Digest username=\"{CANARY}\", response=\"{CANARY}\", ");
    line("Authorization", &[secret.as_bytes(), payload]);
    let mut sdp = b"v=0\r\no=".to_vec();
    sdp.extend_from_slice(if token.is_empty() { b"-" } else { &token });
    sdp.extend_from_slice(b" 1 1 IN IP4 127.0.0.1\r\ns=");
    sdp.extend(payload.iter().filter(|byte| !matches!(byte, 0)));
    sdp.extend_from_slice(b"\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio 32000 RTP/AVP 8\r\n");
    line("Content-Type", &[b"application/sdp"]);
    line("Content-Length", &[sdp.len().to_string().as_bytes(), b"\r\n"]);
    // The blank line is there already.
    out.extend_from_slice(&sdp);
    (from, out)
}

fn cancel(invite: &[u8], method: &str) -> Vec<u8> {
    let head = invite.split(|&b| b == b'\n').map(|line| line.strip_suffix(b"\r").unwrap_or(line));
    let mut out = vec![];
    for (at, line) in head.take_while(|line| !line.is_empty()).enumerate() {
        let names: [&[u8]; 5] = [b"Via:", b"From:", b"To:", b"Call-ID:", b"Max-Forwards:"];
        if at == 0 {
            let rest = line.strip_prefix(b"INVITE").expect("an INVITE");
            out.extend_from_slice(&[method.as_bytes(), rest, b"\r\n"].concat());
        } else if names.iter().any(|name| line.starts_with(name)) {
            out.extend_from_slice(&[line, b"\r\n"].concat());
        }
    }
    out.extend_from_slice(format!("CSeq: 1 {method}\r\nContent-Length: 0\r\n\r\n").as_bytes());
    out
}

/// Calls, lets it ring, gives up; whether a phone rang, and what it was sent.
fn plays(pbx: &Pbx, invite: &[u8]) -> Option<Vec<u8>> {
    pbx.says(invite);
    let first = pbx.hears(&["SIP/2.0 180", "SIP/2.0 183", "SIP/2.0 4"]).expect("an answer");
    let rang = first.starts_with(b"SIP/2.0 1");
    if !rang {
        pbx.says(&cancel(invite, "ACK"));
        return None;
    }
    pbx.says(&cancel(invite, "CANCEL"));
    pbx.hears(&["SIP/2.0 487"]).expect("the end of the call");
    pbx.says(&cancel(invite, "ACK"));
    Some(first)
}

fn dutyline(folder: &Path, arguments: &[&str], input: &str) -> Output {
    let mut child = Command::new(env!("CARGO_BIN_EXE_dutyline"))
        .args(arguments)
        .current_dir(folder)
        .env_remove("DUTYLINE_LINE_PASSWORD")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("started");
    // A command that does not read its input may be gone already.
    let _ = child.stdin.take().expect("its input").write_all(input.as_bytes());
    child.wait_with_output().expect("its end")
}

/// C0 but for line ends, C1, and what turns or hides text.
fn acts(c: char) -> bool {
    c.is_control() && c != '\n'
        || matches!(c, '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}')
        || matches!(c, '\u{2060}'..='\u{206f}' | '\u{feff}')
}

#[tokio::test(flavor = "multi_thread")]
async fn web_06_rel_hostile_headers_are_text_everywhere() {
    if !have(&["chromedriver", "chromium"]) {
        return;
    }
    let folder = tempfile::tempdir().expect("a folder");
    let ports = Ports::take();
    let pbx = Pbx::start(&ports);
    let plan = Plan { phones: &[("2001", 60)], ..Plan::default() };
    let daemon = Daemon::spawn(folder.path(), &ports, &plan);
    let own = folder.path().join("dutyline");
    wait_until("the registration", SOON, || {
        pbx.hears(&["REGISTER "])?;
        daemon.try_row("SELECT count(*) FROM entry")
    });
    let config = ["--config", "dutyline.toml"];
    let add = ["user", "add", "主班员", "--login", "zhuban", config[0], config[1]];
    let added = dutyline(&own, &add, &format!("{PASSWORD}\n"));
    assert!(added.status.success(), "{}", String::from_utf8_lossy(&added.stderr));
    let url = format!("http://127.0.0.1:{}", ports.page());
    let browser = Browser::start().await;
    browser.goto(&url).await;
    browser.type_into("account", "zhuban").await;
    browser.type_into("password", PASSWORD).await;
    browser.click("button.primary").await;
    browser.see_text("#live .word", "实时").await;

    let address = SocketAddr::from(([127, 0, 0, 1], ports.pbx()));
    let all = payloads();
    assert!(all.len() >= 60, "{}", all.len());
    let mut froms = vec![];
    let mut rang = 0;
    for (number, payload) in all.iter().enumerate() {
        let (from, message) = invite(number, payload, address, pbx.daemon);
        if number == 2 {
            pbx.says(&message);
            browser.see_text("#ring .ring-number", &format!("138{number:08}")).await;
            browser.shot("30-hostile-rings").await;
        }
        rang += usize::from(plays(&pbx, &message).is_some());
        froms.push(from);
    }
    assert!(rang >= 60, "{rang} of {} rang", all.len());
    let count = all.len().to_string();
    daemon.row_is("SELECT count(*) FROM call WHERE state = 'ended'", &count);
    kept_as_sent(&daemon, &froms);
    phones_are_not_confused(&pbx, &daemon);
    looks_harmless(&browser, &daemon, &url).await;
    nothing_leaks(&daemon, &own);
    traced(&daemon, &own);
    browser.end().await;
}

fn kept_as_sent(daemon: &Daemon, froms: &[Vec<u8>]) {
    for (number, from) in froms.iter().enumerate() {
        let query = format!(
            "SELECT hex(raw) FROM claim WHERE header = 'from' AND call =
               (SELECT id FROM call WHERE sip_call_id LIKE 'h{number}-%')"
        );
        let kept = daemon.try_row(&query).unwrap_or_else(|| panic!("no From of {number}"));
        let sent: String = from.iter().map(|byte| format!("{byte:02X}")).collect();
        assert_eq!(kept, sent, "From of {number}");
    }
}

/// What the daemon sent to the officer's phone has the headers that we write, and one tame name.
fn phones_are_not_confused(pbx: &Pbx, daemon: &Daemon) {
    let known: BTreeSet<&str> = [
        "Via",
        "Max-Forwards",
        "From",
        "To",
        "Call-ID",
        "CSeq",
        "Contact",
        "Allow",
        "User-Agent",
        "Content-Type",
        "Content-Length",
        "Proxy-Authorization",
        "Route",
        "Supported",
        "Session-Expires",
        "Min-SE",
        "P-Asserted-Identity",
        "Alert-Info",
        "Priority",
    ]
    .into();
    // The queue holds what the calls left in it; one more call brings a fresh INVITE.
    let (_, message) = invite(9000, &payloads()[2], pbx.sip.local_addr().unwrap(), pbx.daemon);
    pbx.says(&message);
    let to_phone = loop {
        let heard = pbx.hears(&["INVITE sip:2001@"]).expect("an INVITE to the phone");
        if String::from_utf8_lossy(&heard).contains("13800009000") {
            break heard;
        }
    };
    let text = String::from_utf8(to_phone).expect("our own messages are UTF-8");
    let head = text.split("\r\n\r\n").next().unwrap();
    assert!(!head.replace("\r\n", "").chars().any(acts), "{head}");
    for line in head.lines().skip(1) {
        let name = line.split(':').next().unwrap();
        assert!(known.contains(name), "{name} in {head}");
    }
    let from = header(&text, "From");
    let shown = from.trim_start_matches('"').split('"').next().unwrap().to_owned();
    assert!(shown.chars().count() <= 60 && !shown.contains(['<', '>', '\\']), "{from}");
    pbx.says(&cancel(&message, "CANCEL"));
    daemon.row_is("SELECT count(*) FROM call WHERE state <> 'ended'", "0");
}

/// Every entry, its ladder and the list, in a real browser.
async fn looks_harmless(browser: &Browser, daemon: &Daemon, url: &str) {
    let entries = daemon.row("SELECT group_concat(id) FROM (SELECT id FROM entry ORDER BY id)");
    for (number, entry) in entries.split(',').enumerate() {
        browser.goto(&format!("{url}/?entry={entry}")).await;
        browser.see("article.entry").await;
        let open = "for (const one of document.querySelectorAll('details')) one.open = true; \
                    for (const one of document.querySelectorAll('[title]')) \
                      one.dispatchEvent(new MouseEvent('mouseover', { bubbles: true })); \
                    return [window.ran ?? 0, document.querySelectorAll('#detail script, #list script').length, \
                    document.title.includes('owned')]";
        let seen = browser.script(open).await;
        assert_eq!(seen, serde_json::json!([0, 0, false]), "entry {number}");
        if number == 2 {
            browser.shot("31-hostile-entry").await;
        }
        browser.goto(&format!("{url}/entries/{entry}/ladder#m1")).await;
        browser.see("svg.ladder").await;
        let ran = "return [window.ran ?? 0, document.scripts.length]";
        assert_eq!(browser.script(ran).await, serde_json::json!([0, 0]), "ladder {number}");
        if number == 2 {
            browser.shot("32-hostile-ladder").await;
        }
    }
    browser.goto(url).await;
    browser.see_text("#list", "13800000000").await;
    browser.shot("33-hostile-list").await;
    let wide = "return document.documentElement.scrollWidth - innerWidth";
    assert!(browser.script(wide).await.as_i64().unwrap() <= 0, "nothing breaks the page");
    let console = browser.console().await;
    let bad: Vec<_> = console
        .iter()
        .filter(|line| line.contains("Content Security Policy") || line.contains("evil.example"))
        .collect();
    assert!(bad.is_empty(), "CSP reports: {bad:?}");
}

/// No line of the log is forged, no file is named by a caller, no secret is kept.
fn nothing_leaks(daemon: &Daemon, own: &Path) {
    let log = daemon.process.log();
    for line in log.lines() {
        assert!(!line.chars().any(acts), "acts on a terminal: {line:?}");
        assert!(
            line.starts_with("20") || line.starts_with("  ") || line.contains("首次使用"),
            "{line:?}"
        );
    }
    assert!(!log.contains("forged: line is down\n2") && !log.contains("\nERROR forged"));
    let mut folders = vec![own.to_path_buf()];
    let tame = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    while let Some(folder) = folders.pop() {
        for file in fs::read_dir(&folder).expect("a folder").flatten() {
            let name = file.file_name().into_string().expect("a name in ASCII");
            assert!(name.chars().all(tame), "{name:?}");
            if file.file_type().expect("a kind").is_dir() {
                folders.push(file.path());
            }
        }
    }
    assert!(!log.contains(CANARY) && !log.contains("secret1001"));
    // Ladders are written in batches.
    daemon.row_is("SELECT count(*) > 500 FROM sip_message", "1");
    for secret in [CANARY, "response=", "cnonce="] {
        let query = format!(
            "SELECT count(*) FROM sip_message WHERE instr(bytes, CAST('{secret}' AS BLOB))"
        );
        assert_eq!(daemon.row(&query), "0", "{secret} is kept");
    }
    let proved = "SELECT count(*) > 50 FROM sip_message WHERE kind = 'out' AND leg = '2001'
        AND instr(bytes, CAST('Authorization: [redacted]' AS BLOB))";
    assert_eq!(daemon.row(proved), "1", "our own proofs were there");
}

/// `dutyline trace` beside the running daemon, by each of a call's names.
fn traced(daemon: &Daemon, own: &Path) {
    let named = |column: &str| {
        daemon.row(&format!("SELECT {column} FROM call c JOIN entry e ON e.id = c.entry WHERE c.sip_call_id LIKE 'h2-%'"))
    };
    for column in ["e.id", "e.number", "c.number", "c.sip_call_id"] {
        let name = named(column);
        let done = dutyline(own, &["trace", &name, "--config", "dutyline.toml"], "");
        let text = String::from_utf8(done.stdout).expect("UTF-8");
        assert!(done.status.success(), "{name}: {}", String::from_utf8_lossy(&done.stderr));
        assert!(!text.chars().any(acts), "{text:?}");
        for part in ["INVITE + SDP", "100 Trying", "180 Ringing", "CANCEL", "487"] {
            assert!(text.contains(part), "{part} is not in\n{text}");
        }
        println!("{text}");
    }
    let raw = dutyline(own, &["trace", &named("e.id"), "--raw", "--config", "dutyline.toml"], "");
    let raw = String::from_utf8_lossy(&raw.stdout).into_owned();
    assert!(raw.contains("\r\nCall-ID: h2-") && raw.contains("Authorization: [redacted]\r\n"));
    let none = dutyline(own, &["trace", "nobody", "--config", "dutyline.toml"], "");
    assert_eq!(none.status.code(), Some(1));
}
