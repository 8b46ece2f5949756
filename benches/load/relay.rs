//! What a call's voice costs: the real media, tape and recorder threads beside a bare UDP relay of the same shape.

use crate::phones::{HERE, Phones, Run, cpu_of, percent};
use crate::{bare, cores};
use dutyline::io::clock;
use dutyline::io::media::{self, MediaPlan};
use dutyline::io::tape::{self, TapePlan};
use dutyline::protocol::places::Places;
use dutyline::protocol::rtp::{Channel, Command, Party, Stream};
use std::fs;
use std::thread;
use std::time::Duration;
use tokio::sync::mpsc;
use uuid::Uuid;

pub fn run(calls: usize, seconds: u64) {
    println!(
        "{calls} calls, 50 packets/s each way, {seconds} s each; this host is shared: compare ratios"
    );
    let bare = bare::thread(calls, seconds);
    let ours = ours(calls, seconds);
    bare.print("bare relay");
    ours.print("dutyline");
    let per_packet =
        |run: &Run| run.cpu.iter().map(|(_, cpu)| cpu.as_secs_f64()).sum::<f64>() / run.sent as f64;
    println!(
        "CPU, INVITE to sealed WAV: {:.2} x the bare relay",
        per_packet(&ours) / per_packet(&bare)
    );
    let relaying = ours.cpu[0].1.as_secs_f64() / ours.sent as f64;
    println!("CPU, media thread alone:   {:.2} x the bare relay", relaying / per_packet(&bare));
}

/// The daemon's own threads, from `Open` to the last sealed WAV.
fn ours(calls: usize, seconds: u64) -> Run {
    let folder = tempfile::tempdir().unwrap();
    let (data, recordings) = (folder.path().join("data"), folder.path().join("recordings"));
    let plan = TapePlan { data, recordings, others: vec![], open: [].into() };
    let (told, _heard) = mpsc::unbounded_channel();
    let media = MediaPlan {
        listen: HERE,
        first_port: 12_000,
        channels: calls as u16 * 2,
        realtime: true,
        places: Places::default(),
    };
    let (events, mut sealed) = mpsc::unbounded_channel();
    let (media, tape, ports) = cores::apart(|| {
        let (media, feed, ports) = media::start(media, Vec::new(), told).unwrap();
        (media, tape::start(plan, feed, events), ports)
    });
    let phones = Phones::new(calls);
    let before = resident();
    let addresses = phones.addresses();
    let call = |index: usize| Uuid::from_u128(index as u128 + 1);
    for (index, remote) in addresses.iter().enumerate() {
        let party = if index % 2 == 0 { Party::Caller } else { Party::Officer };
        let stream = Stream::a_law(*remote);
        let channel = Channel(index as u16);
        media.send(Command::Open { channel, call: call(index / 2), party, stream }).unwrap();
        if index % 2 == 1 {
            media.send(Command::Join { a: Channel(index as u16 - 1), b: channel }).unwrap();
        }
    }
    thread::sleep(Duration::from_millis(200));
    let (sent, received, delays) = phones.talk(&ports, seconds);
    // The phones' own list of delays is no part of a call.
    let growth = resident().saturating_sub(before + delays.len() as u64 * 8);
    let finishing = clock::mono();
    for index in 0..calls {
        media.send(Command::Finish { call: call(index) }).unwrap();
    }
    let (mut gaps, mut packets, mut done) = (0, 0, 0);
    while done < calls {
        match sealed.blocking_recv() {
            Some(tape::Event::Sealed(recording)) => {
                done += 1;
                gaps += recording.gaps.len();
                packets += recording.packets.iter().map(|(_, count)| count).sum::<u64>();
            }
            Some(tape::Event::Progress(_)) => {}
            other => println!("  {other:?}"),
        }
    }
    let note = format!(
        "{:.1} KiB per call; {packets} packets on tape = {:.3} %, {gaps} gaps; all sealed {:.2} s after the end",
        growth as f64 / 1024.0 / calls as f64,
        percent(packets, sent),
        clock::mono().since(finishing).as_secs_f64(),
    );
    let cpu = ["media", "spill", "tape", "recorder"].map(|name| (name, cpu_of(name))).to_vec();
    media.stop();
    tape.stop();
    Run { sent, received, delays, cpu, note }
}

/// Resident memory in bytes.
fn resident() -> u64 {
    let text = fs::read_to_string("/proc/self/statm").unwrap_or_default();
    let pages: u64 =
        text.split_ascii_whitespace().nth(1).and_then(|pages| pages.parse().ok()).unwrap_or(0);
    pages * 4096
}
