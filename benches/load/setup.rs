//! The whole daemon while call after call comes: how long until the entry is durable and the officer rung, and what a
//! call costs, log and recording included.

use crate::cores;
use crate::crowd::{Crowd, HOLD, spread};
use crate::daemon::{Daemon, config};
use rusqlite::{Connection, OpenFlags};
use std::net::UdpSocket;
use std::path::Path;
use std::time::{Duration, Instant};

/// After the last call: recordings are sealed, rows are written.
const SETTLED: Duration = Duration::from_secs(20);

pub fn run(per_second: u32, seconds: u64) {
    println!("\nthe whole daemon: {per_second} calls a second for {seconds} s, {HOLD:?} each");
    let folder = tempfile::tempdir().expect("a temporary folder");
    let pbx = UdpSocket::bind("127.0.0.1:0").expect("a port");
    let config = config(folder.path(), per_second as usize, &pbx);
    let daemon = cores::apart(|| Daemon::start(&config));
    let mut crowd = Crowd::new(pbx, daemon.sip);
    crowd.wait_for_registration();
    crowd.pass(Duration::from_secs(1));
    let (before, begin) = (daemon.cpu(), Instant::now());
    crowd.comes(per_second, seconds);
    let (during, took) = (daemon.cpu() - before, begin.elapsed());
    crowd.pass(SETTLED);
    let cpu = daemon.cpu() - before;
    let (calls, ms) = (crowd.over.max(1) as f64, |time: Duration| time.as_secs_f64() * 1e3);
    let rate = calls / took.as_secs_f64();
    println!("{} calls, {rate:.1} a second; refused {:?}", crowd.over, crowd.refused);
    println!("INVITE to entry committed and officer rung: {}", spread(&crowd.rung));
    println!("INVITE to 200:                              {}", spread(&crowd.answered));
    println!(
        "CPU per call: {:.2} ms, of which {:.2} ms while calls came; the rest seals recordings",
        ms(cpu) / calls,
        ms(during) / calls
    );
    let log = folder.path().join("data/dutyline.db");
    let (entries, ended) = (
        number(&log, "SELECT count(*) FROM entry"),
        number(&log, "SELECT count(*) FROM call WHERE disposition = 'answered'"),
    );
    println!("{entries} entries in the log, {ended} of them answered and over");
}

fn number(log: &Path, query: &str) -> i64 {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let sql = Connection::open_with_flags(log, flags).expect("the log");
    sql.query_row(query, [], |row| row.get(0)).expect("a count")
}
