//! The whole daemon as it is installed, in a process of its own: from the INVITE to the sealed WAV.

use crate::daemon::{Daemon, config};
use crate::phones::{Phones, Run, percent};
use crate::town::{SETTLED, Town};
use crate::{bare, cores};
use std::fs;
use std::net::UdpSocket;
use std::path::Path;
use std::time::{Duration, Instant};

/// Calls begun per second, unless they are so many that the first would be silent for too long.
const PACE: u32 = 10;
const BEGUN_WITHIN: u32 = 20;
/// Calls before those that count.
const WARM: usize = 20;
/// Seconds that these talk.
const WARM_TALK: u64 = 2;

pub fn run(calls: usize, seconds: u64) {
    let pace = PACE.max(calls as u32 / BEGUN_WITHIN);
    println!("\nthe whole daemon: {calls} calls at {pace}/s, then {seconds} s of talk each way");
    let before = bare::process(calls, seconds);
    let folder = tempfile::tempdir().expect("a temporary folder");
    let pbx = UdpSocket::bind("127.0.0.1:0").expect("a port");
    let config = config(folder.path(), calls, &pbx);
    let daemon = cores::apart(|| Daemon::start(&config));
    let mut town = Town::new(pbx, daemon.sip);
    town.wait_for_registration();
    // What the daemon keeps from its first calls on, such as the log's cache, is no part of a call.
    let first = Phones::new(WARM);
    let ports = town.call(&first.addresses(), PACE);
    town.while_talking(|| first.talk(&ports, WARM_TALK));
    town.hang_up();
    town.pass(SETTLED);
    let (idle, cpu_before, threads) = (daemon.resident(), daemon.cpu(), daemon.threads());

    let phones = Phones::new(calls);
    let ports = town.call(&phones.addresses(), pace);
    let (sent, received, delays) = town.while_talking(|| phones.talk(&ports, seconds));
    let busy = daemon.resident();
    let hung_up = Instant::now();
    town.hang_up();
    let recordings = folder.path().join("recordings");
    while count(&recordings, "wav") < calls {
        assert!(hung_up.elapsed() < Duration::from_secs(120), "recordings are missing");
        town.serve(Duration::from_millis(20));
    }
    let cpu = daemon.cpu() - cpu_before;
    let sealed = hung_up.elapsed();

    let note = daemon.spent_since(&threads, sent);
    let ours = Run { sent, received, delays, cpu: vec![("daemon", cpu)], note };
    // What a packet costs on a virtual machine is another thing each minute.
    let after = bare::process(calls, seconds);
    before.print("bare relay, before");
    ours.print("dutyline");
    after.print("bare relay, after");
    let per_packet = |run: &Run| run.cpu[0].1.as_secs_f64() / run.sent as f64;
    let bare = f64::midpoint(per_packet(&before), per_packet(&after));
    println!("CPU, INVITE to sealed WAV: {:.2} x the bare relay", per_packet(&ours) / bare);
    println!(
        "delivered {:.3} %, last WAV sealed {:.2} s after the last BYE",
        percent(received, sent),
        sealed.as_secs_f64()
    );
    println!(
        "resident: idle {:.1} MB, {:.1} KiB more per call",
        idle as f64 / 1e6,
        busy.saturating_sub(idle) as f64 / 1024.0 / calls as f64
    );
    let mut waits = town.set_up_times();
    waits.sort_unstable();
    let at = |share: f64| waits[((waits.len() - 1) as f64 * share) as usize].as_secs_f64() * 1e3;
    println!(
        "INVITE to entry committed and officer rung: p50 {:.1} ms, p99 {:.1} ms, worst {:.1} ms",
        at(0.5),
        at(0.99),
        at(1.0)
    );
}

fn count(folder: &Path, extension: &str) -> usize {
    let Ok(entries) = fs::read_dir(folder) else { return 0 };
    entries
        .flatten()
        .map(|entry| match entry.path() {
            path if path.is_dir() => count(&path, extension),
            path => usize::from(path.extension().is_some_and(|found| found == extension)),
        })
        .sum()
}
