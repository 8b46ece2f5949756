//! Two hundred urgent matters in one moment (esc_31): how long after its flag each has rung a telephone, as the log has
//! it, and how soon after the first flag the leader's telephone had its INVITE.

use crate::crowd::{Crowd, spread};
use crate::daemon::{Daemon, config};
use rusqlite::{Connection, OpenFlags};
use std::io::{Read, Write};
use std::net::{TcpStream, UdpSocket};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// Calls that the line may have at once.
const LINES: usize = 30;
const A_SECOND: u32 = 20;
/// Every row is written.
const SETTLED: Duration = Duration::from_secs(2);
/// How long the leader's telephone has, for all of them.
const WITHIN: Duration = Duration::from_secs(30);
const PASSWORD: &str = "correct-horse";

pub fn run(matters: usize) {
    println!("\n{matters} matters flagged at once, a line with {LINES} channels, one leader");
    let folder = tempfile::tempdir().expect("a temporary folder");
    let pbx = UdpSocket::bind("127.0.0.1:0").expect("a port");
    let config = config(folder.path(), LINES, &pbx);
    let daemon = Daemon::start(&config);
    let mut crowd = Crowd::new(pbx, daemon.sip);
    crowd.wait_for_registration();
    add_officer(&config);
    crowd.comes(A_SECOND, (matters as u64).div_ceil(u64::from(A_SECOND)));
    crowd.pass(SETTLED);
    let log = folder.path().join("data/dutyline.db");
    let entries: Vec<String> = rows(&log, "SELECT id FROM entry ORDER BY id", |row| row.get(0));
    let page = Page::log_in(&config);
    let (began, flagged) = (Instant::now(), entries.len());
    let flags = std::thread::spawn(move || {
        entries.iter().for_each(|entry| page.flag(entry));
        began.elapsed()
    });
    while !flags.is_finished() {
        crowd.pass(Duration::from_millis(5));
    }
    let took = flags.join().expect("every flag was taken");
    crowd.pass(WITHIN);
    println!(
        "{flagged} flags in {:.1} s; resident {:.1} MB",
        took.as_secs_f64(),
        daemon.resident() as f64 / 1e6
    );
    let first = crowd.others.first().map(|at| at.duration_since(began));
    println!(
        "first flag to the leader's INVITE: {first:.1?}; calls to him: {}",
        crowd.others.len()
    );
    let waited = rows(
        &log,
        "SELECT (SELECT min(a.ringing_ms) FROM attempt a WHERE a.escalation = e.id) - e.raised_ms FROM escalation e",
        |row| row.get::<_, Option<i64>>(0),
    );
    let rung: Vec<Duration> =
        waited.iter().flatten().map(|ms| Duration::from_millis(ms.unsigned_abs())).collect();
    println!("flag to first ring, {} of {}: {}", rung.len(), waited.len(), spread(&rung));
}

fn add_officer(config: &Path) {
    let mut add = Command::new(env!("CARGO_BIN_EXE_dutyline"))
        .args(["user", "add", "officer", "--config"])
        .arg(config)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("built beside the benchmark");
    writeln!(add.stdin.take().expect("piped"), "{PASSWORD}").expect("it reads");
    assert!(add.wait().expect("it ends").success(), "an account is needed");
}

fn rows<T>(
    log: &Path,
    query: &str,
    row: impl FnMut(&rusqlite::Row) -> rusqlite::Result<T>,
) -> Vec<T> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let sql = Connection::open_with_flags(log, flags).expect("the log");
    let mut query = sql.prepare(query).expect("a right query");
    query.query_map([], row).expect("rows").map(|row| row.expect("a row")).collect()
}

/// The officer's page.
struct Page {
    host: String,
    cookie: String,
}

impl Page {
    fn log_in(config: &Path) -> Self {
        let text = std::fs::read_to_string(config).expect("just written");
        let web = text.split("[web]\nlisten = \"").nth(1).expect("written");
        let host = web.split('"').next().expect("an address").to_owned();
        let mut page = Self { host, cookie: String::new() };
        let answer = page.post("/login", &format!("account=officer&password={PASSWORD}"));
        let cookie = answer.lines().find_map(|line| line.strip_prefix("set-cookie: "));
        let cookie = cookie.unwrap_or_else(|| panic!("no session: {answer}"));
        page.cookie = cookie.split(';').next().expect("a cookie").to_owned();
        page
    }

    fn flag(&self, entry: &str) {
        let answer = self.post(&format!("/entries/{entry}/urgency"), "urgency=urgent");
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    }

    fn post(&self, path: &str, form: &str) -> String {
        let request = format!(
            "POST {path} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\nCookie: {}\r\n\
             Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {}\r\n\r\n{form}",
            self.host,
            self.cookie,
            form.len()
        );
        let mut stream = TcpStream::connect(&self.host).expect("the page");
        stream.write_all(request.as_bytes()).expect("asked");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("an answer");
        answer
    }
}
