//! What a call's signalling costs: the daemon's telephone as the configuration makes it, without log and page; whoever
//! stands for the log confirms each fact at once.

use crate::cores;
use crate::crowd::{Crowd, HOLD, spread};
use crate::daemon::config_with;
use crate::phones::cpu_of;
use dutyline::config::{Config, Environment};
use dutyline::daemon::voice::{Voice, start_voice};
use dutyline::duty::journal::Fact;
use dutyline::duty::switchboard::Input;
use dutyline::io::status::Board;
use dutyline::io::{checkpoint, line};
use dutyline::protocol::sip::{Peer, Transport};
use std::net::UdpSocket;
use std::thread;
use std::time::Duration;

/// Until the last transaction of the last call is forgotten (RFC 3261 §17: 64·T1).
const FORGOTTEN: Duration = Duration::from_secs(34);
/// What is written by one commit at most, and how long the steps of ladders are gathered for one.
const GATHERED: usize = 1024;
const GATHER: Duration = Duration::from_millis(100);
/// The control thread is what is measured; the others are told beside it.
const THREADS: [&str; 6] = ["control", "checkpoint", "media", "spill", "tape", "recorder"];

pub fn run(per_second: u32, seconds: u64) {
    println!("\nsignalling alone: {per_second} calls a second for {seconds} s, {HOLD:?} each");
    let folder = tempfile::tempdir().expect("a temporary folder");
    let pbx = UdpSocket::bind("127.0.0.1:0").expect("a port");
    let address = pbx.local_addr().expect("bound");
    let pace = format!("calls_per_second = {}", per_second + per_second / 4);
    let path = config_with(folder.path(), per_second as usize, &pbx, &pace);
    let loaded = Config::load(&path, &Environment::new()).expect("a right configuration");
    let sockets = line::bind(loaded.config.line.listen).expect("a free port");
    let peer = Peer { transport: Transport::Udp, addr: address };
    let left = checkpoint::load(&folder.path().join("calls.checkpoint"));
    std::fs::create_dir_all(&loaded.config.storage.data).expect("a folder of ours");
    cores::apart(|| {
        let voice = start_voice(&loaded.config, vec![peer], sockets, left, Board::new());
        confirm(voice.expect("the telephone"));
    });

    let mut crowd = Crowd::new(pbx, loaded.config.line.listen);
    crowd.wait_for_registration();
    crowd.pass(Duration::from_secs(1));
    let before = THREADS.map(cpu_of);
    crowd.comes(per_second, seconds);
    crowd.pass(FORGOTTEN);
    let calls = crowd.over.max(1) as f64;
    for (name, before) in THREADS.into_iter().zip(before) {
        let cpu = cpu_of(name).saturating_sub(before).as_secs_f64() * 1e3;
        println!("  {name:10} {:.3} ms CPU per call", cpu / calls);
    }
    println!("{} calls from INVITE to BYE, refused {:?}", crowd.over, crowd.refused);
    println!("INVITE to officer rung: {}", spread(&crowd.rung));
    println!("INVITE to 200:          {}", spread(&crowd.answered));
}

/// Everything that the telephone reports is taken, as the log would.
fn confirm(voice: Voice) {
    let Voice { orders, mut facts, mut traced, mut recordings, media, tape, line, keeper, .. } =
        voice;
    // As `io::ladder` gathers the steps of one commit.
    thread::spawn(move || {
        let mut steps = vec![];
        while traced.blocking_recv_many(&mut steps, GATHERED) > 0 {
            steps.clear();
            thread::sleep(GATHER);
        }
    });
    thread::spawn(move || while recordings.blocking_recv().is_some() {});
    thread::spawn(move || {
        let mut through = 0;
        let waits = tokio::runtime::Builder::new_current_thread().enable_time().build();
        let waits = waits.expect("a runtime needs only an epoll descriptor");
        while let Some(batch) = waits.block_on(facts.next()) {
            through += batch.len() as u64;
            for noted in batch {
                if let Fact::Arrived(arrival) = noted.fact {
                    let stored = Input::Stored { call: arrival.call };
                    orders.blocking_send(stored).expect("the control task runs");
                }
            }
            let written = Input::Written { through: through - 1 };
            orders.blocking_send(written).expect("the control task runs");
        }
        // They end with the process.
        drop((media, tape, line, keeper));
    });
}
