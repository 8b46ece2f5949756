//! What callers and PBXs write into their headers, sent as real INVITEs through the daemon: nothing
//! of it runs on the page, forges a line of the log, names a file or confuses a telephone; all of
//! it is kept byte for byte.

mod invite;
mod pbx;
mod texts;

use crate::browser::{Browser, SOON};
use crate::daemon::{Daemon, Plan};
use crate::have;
use crate::ports::Ports;
use crate::process::wait_until;
use invite::{cancel, invite};
use pbx::{Pbx, header, plays};
use std::collections::BTreeSet;
use std::fs;
use std::io::Write;
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use texts::payloads;

const PASSWORD: &str = "夜深了请别打瞌睡";
/// Never kept anywhere.
const CANARY: &str = "canary-5d41402abc4b";

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
    wait_until("the registration", SOON, || pbx.hears(&["REGISTER "]));
    daemon.row("SELECT count(*) FROM entry");
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
