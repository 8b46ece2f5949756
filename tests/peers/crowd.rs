//! Many recorded calls at once, and many after each other: each is heard and recorded sample for sample, whoever looks
//! at the page meanwhile, and nothing is left behind.
//!
//! `DUTYLINE_CROWD_SECONDS` and `DUTYLINE_CROWD_CALLS` make them as many and as long as `tests/all --long crowd` wants.

use crate::calls::Room;
use crate::daemon::{Daemon, Plan};
use crate::limits::Busy;
use crate::officer::Officer;
use crate::process::wait_until;
use crate::twin::{FarEnd, TrunkCaller};
use crate::wave;
use dutyline::protocol::rtp::{Codec, g711};
use std::fs::{self, File, OpenOptions};
use std::net::{SocketAddr, UdpSocket};
use std::os::fd::AsRawFd;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{scope, sleep};
use std::time::{Duration, Instant};

const TICK: Duration = Duration::from_millis(20);
const FRAME: usize = 160;
/// Above the blocks of the other tests; one crowd at a time has them.
const PORTS: u16 = 29_100;
/// Packets of a minute that may be missing (rel_01): one of a thousand.
const LOST_ONE_IN: usize = 1_000;
/// What the way through the daemon may add, where its thread has its priority (rel_01).
const DELAY_MOST: Duration = Duration::from_millis(5);

fn number(name: &str) -> Option<usize> {
    std::env::var(name).ok().and_then(|text| text.parse().ok())
}

fn seconds() -> usize {
    number("DUTYLINE_CROWD_SECONDS").unwrap_or(8)
}

/// So many callers and officers who talk.
struct Crowd {
    _room: Room,
    daemon: Daemon,
    callers: Vec<TrunkCaller>,
    /// Of all callers, and of the far end.
    ends: [UdpSocket; 2],
    /// Where each caller sends, and his officer.
    to: [Vec<SocketAddr>; 2],
    /// A-law of a voice, from which each says a stretch of his own.
    voice: Vec<u8>,
    _ports: File,
}

/// Sent packets with their moments, and how long those that came took.
struct Heard {
    sent: usize,
    delays: Vec<Duration>,
}

fn ports() -> File {
    let path = std::env::temp_dir().join("dutyline-test-crowd.lock");
    let lock = OpenOptions::new().create(true).append(true).open(path).expect("a lock");
    // SAFETY: the descriptor is open for as long as `lock` lives.
    assert_eq!(unsafe { libc::flock(lock.as_raw_fd(), libc::LOCK_EX) }, 0);
    lock
}

impl Crowd {
    fn gather(calls: usize) -> Option<Self> {
        let room = Room::open()?;
        let ports = ports();
        let far_end = FarEnd::start(&room.ports);
        let plan = Plan {
            phones: &[("9200", 20)],
            first_port: Some(PORTS),
            channels: u16::try_from(2 * calls + 2).expect("not so many"),
            // They come at once, from one PBX.
            line: "calls_per_second = 400",
            ..Plan::default()
        };
        let daemon = room.daemon(&plan);
        let shared = UdpSocket::bind("127.0.0.1:0").expect("a port");
        let (mut callers, mut to) = (vec![], [vec![], vec![]]);
        for call in 0..calls {
            let mut caller = TrunkCaller::beside(&room.ports, &named(call), &shared);
            assert_eq!(caller.call("1001"), 200, "call {call}");
            let invited = far_end.invited();
            assert!(invited.get("from").contains(&named(call)), "{}", invited.get("from"));
            to[0].push(caller.remote_media());
            to[1].push(invited.media());
            callers.push(caller);
        }
        let far = far_end.media.try_clone().expect("a second handle");
        let voice = wave::voice(5, 11);
        let voice = voice.iter().map(|sample| g711::encode(Codec::Pcma, *sample)).collect();
        let ends = [shared, far];
        Some(Self { _room: room, daemon, callers, ends, to, voice, _ports: ports })
    }

    /// What one says at a tick: who it is and when, in two bytes each, and voice.
    fn sound(&self, side: usize, call: usize, tick: usize) -> [u8; FRAME] {
        let from = (call * 7_919 + side * 1_601 + tick * FRAME) % (self.voice.len() - FRAME);
        let mut sound: [u8; FRAME] = self.voice[from..from + FRAME].try_into().expect("a frame");
        sound[..2].copy_from_slice(&(call as u16).to_be_bytes());
        sound[2..4].copy_from_slice(&(tick as u16).to_be_bytes());
        sound
    }

    /// All talk for so many ticks; what was heard on each side.
    fn talk(&self, ticks: usize) -> [Heard; 2] {
        let calls = self.callers.len();
        self.ends.iter().for_each(empty);
        let sent =
            [0, 1].map(|_| (0..calls * ticks).map(|_| AtomicU64::new(0)).collect::<Vec<_>>());
        let (start, over) = (Instant::now(), AtomicBool::new(false));
        let listen = |side: usize| {
            let (end, sent) = (&self.ends[side], &sent[1 - side]);
            end.set_read_timeout(Some(Duration::from_millis(100))).expect("a timeout");
            let (mut delays, mut packet) = (vec![], [0; 2048]);
            loop {
                match end.recv(&mut packet) {
                    Ok(length) if length == 12 + FRAME => {
                        let now = start.elapsed();
                        let two = |at: usize| u16::from_be_bytes([packet[at], packet[at + 1]]);
                        let (call, tick) = (usize::from(two(12)), usize::from(two(14)));
                        let Some(then) = sent.get(call * ticks + tick) else { continue };
                        let then = Duration::from_nanos(then.load(Ordering::Relaxed));
                        delays.push(now.saturating_sub(then));
                    }
                    Ok(_) => {}
                    Err(_) if over.load(Ordering::Relaxed) => return delays,
                    Err(_) => {}
                }
            }
        };
        scope(|threads| {
            let listeners = [0, 1].map(|side| {
                threads.spawn(move || {
                    in_time();
                    listen(side)
                })
            });
            in_time();
            for tick in 0..ticks {
                for call in 0..calls {
                    for (side, sent) in sent.iter().enumerate() {
                        let packet = self.packet(side, call, tick);
                        let at = u64::try_from(start.elapsed().as_nanos()).expect("not so long");
                        sent[call * ticks + tick].store(at, Ordering::Relaxed);
                        self.ends[side].send_to(&packet, self.to[side][call]).expect("sent");
                    }
                }
                let next = start + TICK * u32::try_from(tick + 1).expect("few");
                sleep(next.saturating_duration_since(Instant::now()));
            }
            sleep(20 * TICK);
            over.store(true, Ordering::Relaxed);
            let heard = listeners.map(|listener| listener.join().expect("it has listened"));
            heard.map(|delays| Heard { sent: calls * ticks, delays })
        })
    }

    fn packet(&self, side: usize, call: usize, tick: usize) -> Vec<u8> {
        let source = (side * 10_000 + call) as u32 + 1;
        let mut packet = vec![0x80, 8];
        packet.extend((tick as u16).wrapping_add(source as u16).to_be_bytes());
        packet.extend(((tick * FRAME) as u32).wrapping_add(source << 16).to_be_bytes());
        packet.extend(source.to_be_bytes());
        packet.extend(self.sound(side, call, tick));
        packet
    }

    fn hang_up(&self) {
        self.callers.iter().for_each(TrunkCaller::hang_up);
        let sealed = "SELECT count(*) FROM recording WHERE state = 'sealed'";
        let all = self.callers.len().to_string();
        wait_until("every recording", Duration::from_secs(120), || {
            (self.daemon.try_row(sealed)? == all).then_some(())
        });
        self.daemon.row_is("SELECT count(*) FROM entry", &all);
    }

    /// Every recording is what was said, each frame in its place; frames that are missing, of how many.
    fn is_recorded(&self, ticks: usize) -> (usize, usize) {
        let (mut missing, mut all) = (0, 0);
        for call in 0..self.callers.len() {
            let query = format!("SELECT id FROM call WHERE caller = '{}'", named(call));
            let recorded = self.daemon.recording(&query);
            for side in 0..2 {
                let frame = |tick: usize| {
                    self.sound(side, call, tick).map(|byte| g711::decode(Codec::Pcma, byte))
                };
                let heard = &recorded.channels[side];
                let first = (0..ticks.min(50)).find_map(|tick| {
                    let wanted = frame(tick);
                    let at = heard.windows(FRAME).position(|window| window == wanted)?;
                    at.checked_sub(tick * FRAME)
                });
                let start = first.unwrap_or_else(|| panic!("nothing of call {call}, side {side}"));
                for tick in 0..ticks {
                    all += 1;
                    let there = heard.get(start + tick * FRAME..start + (tick + 1) * FRAME);
                    match there {
                        Some(there) if there == frame(tick) => {}
                        Some(there) if there.iter().all(|sample| *sample == 0) => missing += 1,
                        None => missing += 1,
                        Some(_) => panic!("call {call}, side {side}: tick {tick} is another sound"),
                    }
                }
            }
        }
        (missing, all)
    }

    /// Talks for so many seconds, hangs up, and looks at everything.
    fn says_and_is_recorded(&self, seconds: usize) {
        let ticks = 50 * seconds;
        let heard = self.talk(ticks);
        self.is_heard(heard);
        self.hang_up();
        let (missing, all) = self.is_recorded(ticks);
        println!("{missing} of {all} frames are missing in the recordings");
        assert!(missing * LOST_ONE_IN < all, "{missing} of {all}");
        self.daemon.row_is("SELECT coalesce(sum(untaped), 0) FROM carried", "0");
        let (code, said) = self.daemon.command(&["verify", "--config", "dutyline.toml"]);
        assert_eq!(code, Some(0), "{said}");
    }

    fn is_heard(&self, heard: [Heard; 2]) {
        for Heard { sent, mut delays } in heard {
            delays.sort_unstable();
            let lost = sent - delays.len();
            let late = delays[delays.len() - 1 - delays.len() / 1_000];
            println!(
                "{sent} sent, {lost} lost; half within {:?}, all but one of 1,000 within {late:?}",
                delays[delays.len() / 2]
            );
            assert!(lost * LOST_ONE_IN < sent, "{lost} of {sent} lost");
            // An unhurried build on a host that compiles beside it proves nothing of time.
            if number("DUTYLINE_CROWD_SECONDS").is_some() {
                assert!(late < DELAY_MOST, "{late:?}");
            }
        }
    }
}

/// What a call before left in the socket.
fn empty(end: &UdpSocket) {
    end.set_read_timeout(Some(Duration::from_millis(100))).expect("a timeout");
    while end.recv(&mut [0; 2048]).is_ok() {}
}

fn named(call: usize) -> String {
    format!("1390000{call:04}")
}

/// This thread is not to be late where that is permitted.
fn in_time() {
    let priority = libc::sched_param { sched_priority: 10 };
    // SAFETY: the parameter outlives the call; a refusal changes nothing.
    let _ = unsafe { libc::sched_setscheduler(0, libc::SCHED_FIFO, &raw const priority) };
}

#[test]
fn rel_01_thirty_recorded_calls_at_once_are_heard_and_recorded_sample_for_sample() {
    let Some(crowd) = Crowd::gather(30) else { return };
    crowd.says_and_is_recorded(seconds());
}

/// As many as the room of a whole region has.
#[test]
fn rel_02_two_hundred_recorded_calls_at_once_are_heard_and_recorded_sample_for_sample() {
    let Some(crowd) = Crowd::gather(200) else { return };
    crowd.says_and_is_recorded(seconds());
}

/// Beside ten who never rest; the phones of the test have the priority of the daemon's own thread.
#[test]
fn rel_28_ten_who_want_the_processors_delay_no_voice() {
    let Some(crowd) = Crowd::gather(10) else { return };
    let seconds = number("DUTYLINE_CROWD_SECONDS").map_or(4, |seconds| seconds.min(60));
    let heard = Busy(10).while_it_lasts(|| crowd.talk(50 * seconds));
    crowd.is_heard(heard);
    crowd.hang_up();
    crowd.daemon.row_is("SELECT coalesce(sum(untaped), 0) FROM carried", "0");
}

/// Ten a second, one after the other, each with a little voice.
#[test]
fn rel_03_calls_one_after_the_other_leave_rows_recordings_and_nothing_else() {
    let calls = number("DUTYLINE_CROWD_CALLS").unwrap_or(200);
    // By then SQLite's caches are as full as they get.
    let warm = (calls / 10).max(100);
    let Some(room) = Room::open() else { return };
    let far_end = FarEnd::start(&room.ports);
    let daemon = room.daemon(&Plan { phones: &[("9200", 20)], ..Plan::default() });
    let shared = UdpSocket::bind("127.0.0.1:0").expect("a port");
    let sealed = |wanted: usize| {
        let query = "SELECT count(*) FROM recording WHERE state = 'sealed'";
        wait_until("every recording", Duration::from_secs(60), || {
            (daemon.try_row(query)? == wanted.to_string()).then_some(())
        });
    };
    let mut before = None;
    for call in 0..calls {
        let begin = Instant::now();
        let mut caller = TrunkCaller::beside(&room.ports, &named(call), &shared);
        assert_eq!(caller.call("1001"), 200, "call {call}");
        let officer = far_end.invited().media();
        for sequence in 0..3_u16 {
            let mut packet = vec![0x80, 8];
            packet.extend(sequence.to_be_bytes());
            packet.extend((u32::from(sequence) * 160).to_be_bytes());
            packet.extend((call as u32 + 1).to_be_bytes());
            packet.extend([0xba; FRAME]);
            shared.send_to(&packet, caller.remote_media()).expect("sent");
            far_end.media.send_to(&packet, officer).expect("sent");
            sleep(TICK);
        }
        caller.hang_up();
        if call + 1 == warm {
            sealed(warm);
            before = Some(holds(&daemon));
        }
        sleep(Duration::from_millis(100).saturating_sub(begin.elapsed()));
    }
    sealed(calls);
    for table in ["entry", "call"] {
        daemon.row_is(&format!("SELECT count(*) FROM {table}"), &calls.to_string());
    }
    daemon.row_is("SELECT count(*) FROM call WHERE state <> 'ended'", "0");
    let (code, said) = daemon.command(&["verify", "--config", "dutyline.toml"]);
    assert_eq!(code, Some(0), "{said}");
    let ((memory, open), before) = (holds(&daemon), before.expect("enough calls"));
    println!("{before:?} bytes and files before, {memory} {open} after {calls} calls");
    assert!(open <= before.1, "{open} files open, {} before", before.1);
    assert!(memory < before.0 + before.0 / 20 + (1 << 20), "{memory} bytes, {} before", before.0);
}

/// Resident memory in bytes, and open descriptors.
fn holds(daemon: &Daemon) -> (u64, usize) {
    let folder = format!("/proc/{}", daemon.process.id());
    let statm = fs::read_to_string(format!("{folder}/statm")).expect("it runs");
    let pages: Option<u64> = statm.split(' ').nth(1).and_then(|pages| pages.parse().ok());
    let open = fs::read_dir(format!("{folder}/fd")).expect("it runs").count();
    (pages.expect("a number") * 4096, open)
}

/// A hundred who list, listen and export, while ten calls go on.
#[test]
fn rel_11_whoever_looks_listens_and_exports_costs_no_call_a_packet() {
    let Some(mut crowd) = Crowd::gather(10) else { return };
    let officer = Officer::first(&mut crowd.daemon);
    let mut ended = crowd.callers.pop().expect("one of ten");
    let kept = crowd.callers.len();
    crowd.to.iter_mut().for_each(|to| to.truncate(kept));
    let first = crowd.daemon.row(&format!("SELECT id FROM call WHERE caller = '{}'", named(kept)));
    hang_up_with_voice(&crowd, &mut ended);
    crowd.daemon.row_is("SELECT count(*) FROM recording WHERE state = 'sealed'", "1");
    let (ticks, over) = (50 * seconds(), AtomicBool::new(false));
    let asked = AtomicU64::new(0);
    let heard = scope(|threads| {
        for client in 0..100 {
            let (officer, over, asked, first) = (&officer, &over, &asked, &first);
            threads.spawn(move || {
                while !over.load(Ordering::Relaxed) {
                    match client % 4 {
                        0 => drop(officer.asks("GET", "/rows")),
                        1 => {
                            drop(officer.asks("GET", &format!("/recordings/{first}?play={client}")))
                        }
                        2 => drop(officer.asks("GET", &format!("/entries/{first}"))),
                        _ => drop(officer.is_handed(first)),
                    }
                    asked.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        let heard = crowd.talk(ticks);
        over.store(true, Ordering::Relaxed);
        heard
    });
    println!("{} answers meanwhile", asked.load(Ordering::Relaxed));
    assert!(asked.load(Ordering::Relaxed) > 50, "they were served");
    crowd.is_heard(heard);
    crowd.callers.iter().for_each(TrunkCaller::hang_up);
    crowd.daemon.row_is("SELECT count(*) FROM recording WHERE state = 'sealed'", "10");
    let (missing, all) = crowd.is_recorded(ticks);
    assert!(missing * LOST_ONE_IN < all, "{missing} of {all}");
}

/// The one who is over before: half a second, so that there is a recording.
fn hang_up_with_voice(crowd: &Crowd, caller: &mut TrunkCaller) {
    for tick in 0..25 {
        let packet = crowd.packet(0, 0, tick);
        crowd.ends[0].send_to(&packet, caller.remote_media()).expect("sent");
        sleep(TICK);
    }
    caller.hang_up();
}
