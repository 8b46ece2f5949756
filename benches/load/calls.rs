//! Calls without end through the whole daemon: memory, sockets and tables must be back where they
//! were. Ends by itself within the hour and goes on from its count at the next run.

use crate::daemon::{Daemon, config};
use crate::town::{SETTLED, Town};
use rusqlite::{Connection, OpenFlags};
use std::fs;
use std::net::{SocketAddr, UdpSocket};
use std::path::Path;
use std::time::{Duration, Instant};

/// Calls on at the same time, and begun per second.
const BATCH: usize = 20;
const PACE: u32 = 40;
/// After these, begun in more than a minute, as many calls are forgotten as come in (64 T1, and the minute that a
/// sealed call stays on the tape): what the daemon holds now it may hold.
const WARM: usize = 4_000;
const WITHIN: Duration = Duration::from_secs(55 * 60);

pub fn run(wanted: usize) {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("calls");
    fs::create_dir_all(&folder).expect("a folder of ours");
    let count = folder.join("done");
    let mut done: usize = read(&count).unwrap_or(0);
    println!(
        "\n{wanted} calls, {BATCH} at the same time, {PACE} begun per second; {done} are done"
    );
    let pbx = UdpSocket::bind("127.0.0.1:0").expect("a port");
    let daemon = Daemon::start(&config(&folder, BATCH, &pbx));
    let mut town = Town::new(pbx, daemon.sip);
    town.wait_for_registration();
    let voices: Vec<_> =
        (0..2 * BATCH).map(|_| UdpSocket::bind("127.0.0.1:0").expect("a port")).collect();
    let addresses: Vec<SocketAddr> =
        voices.iter().map(|voice| voice.local_addr().expect("bound")).collect();

    let (begin, mut here, mut warm) = (Instant::now(), 0, None);
    while done < wanted && begin.elapsed() < WITHIN {
        if here >= WARM && warm.is_none() {
            town.pass(SETTLED);
            warm = Some((daemon.resident(), daemon.open_files()));
        }
        town.call(&addresses, PACE);
        town.hang_up();
        town.pass(Duration::from_millis(60));
        (done, here) = (done + BATCH, here + BATCH);
        fs::write(&count, done.to_string()).expect("the count");
    }
    town.pass(SETTLED);
    let Some((memory, files)) = warm else { return println!("too few calls to judge: {here}") };
    let (memory_now, files_now) = (daemon.resident(), daemon.open_files());
    let rate = here as f64 / begin.elapsed().as_secs_f64();
    println!("{here} calls in this run, {rate:.1} a second; {done} of {wanted} are done");
    println!(
        "resident {:.1} -> {:.1} MB, open files {files} -> {files_now}",
        memory as f64 / 1e6,
        memory_now as f64 / 1e6
    );
    let log = folder.join("data/dutyline.db");
    let rows = |query| number(&log, query);
    let (calls, open) = (
        rows("SELECT count(*) FROM call"),
        rows("SELECT count(*) FROM call WHERE ended_ms IS NULL"),
    );
    let entries = rows("SELECT count(*) FROM entry");
    println!("{calls} calls and {entries} entries in the log, {open} of them not ended");
    // A run that was killed leaves rows of calls that it had not counted.
    assert!(calls >= done as u64 && calls == entries && open == 0, "each call is a row, and over");
    assert!(files_now <= files, "open files are back where they were");
    assert!(memory_now < memory + memory / 20, "memory is back where it was, give or take 5 %");
    match done < wanted {
        true => println!("run it again for the rest"),
        false => fs::remove_dir_all(&folder).expect("a folder of ours"),
    }
}

fn read(count: &Path) -> Option<usize> {
    fs::read_to_string(count).ok()?.trim().parse().ok()
}

fn number(log: &Path, query: &str) -> u64 {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let sql = Connection::open_with_flags(log, flags).expect("the log");
    let count: i64 = sql.query_row(query, [], |row| row.get(0)).expect("a count");
    count.unsigned_abs()
}
