//! `kill -9` at ten named points between the flag and the end (esc_42): the real daemon, its supervisor, the PBX and
//! telephones. Nothing is lost, one acknowledgement counts, nobody is called while he is being called.

use crate::baresip::Baresip;
use crate::calls::{Room, calls_for_the_leader};
use crate::daemon::{Daemon, Plan};
use crate::notices::{Request, channels, provider};
use crate::process::wait_until;
use crate::wave;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::mpsc::Receiver;
use std::thread::sleep;
use std::time::{Duration, Instant};

const SOON: Duration = Duration::from_secs(10);
/// From the kill until the leader knows: two calls that he does not take, and the restart.
const KNOWS_WITHIN: Duration = Duration::from_secs(90);
/// The key counts from the first second on; then he has heard what it is.
const HEARS: Duration = Duration::from_millis(1500);
const LOOK: Duration = Duration::from_millis(3);
const POINTS: [&str; 10] = [
    "before its row",
    "after its row",
    "at the first INVITE",
    "ringing",
    "answered",
    "in the prompt",
    "key pressed, not committed",
    "committed, not yet said",
    "another channel sent",
    "closing",
];

/// How often at each point; the long run asks for fifty. Without it once, at every third one.
fn each() -> Option<usize> {
    std::env::var("DUTYLINE_KILLS_EACH").ok().and_then(|many| many.parse().ok())
}

/// What earlier runs have done, where they are to be counted.
struct Record(Option<PathBuf>);

impl Record {
    fn open() -> Self {
        Self(std::env::var_os("DUTYLINE_KILLS_RECORD").map(PathBuf::from))
    }

    fn done(&self) -> BTreeMap<String, usize> {
        let text = self.0.as_ref().and_then(|path| std::fs::read_to_string(path).ok());
        let mut done = BTreeMap::new();
        for point in text.unwrap_or_default().lines() {
            *done.entry(point.to_owned()).or_default() += 1;
        }
        done
    }

    fn add(&self, point: &str) {
        use std::io::Write;
        let Some(path) = &self.0 else { return };
        let file = std::fs::File::options().create(true).append(true).open(path);
        writeln!(file.expect("the record"), "{point}").expect("written");
    }
}

/// A hand that takes every call, hears what it is and presses 1.
struct Leader {
    phone: Baresip,
    answered: Option<Instant>,
    pressed: bool,
    calls: usize,
}

impl Leader {
    fn look(&mut self, takes: bool, presses: bool) {
        while let Some(event) = self.phone.event() {
            match event["type"].as_str() {
                Some("CALL_INCOMING") => {
                    self.calls += 1;
                    if takes {
                        self.phone.accept();
                    }
                }
                Some("CALL_ESTABLISHED") => {
                    (self.answered, self.pressed) = (Some(Instant::now()), false);
                }
                Some("CALL_CLOSED") => self.answered = None,
                _ => {}
            }
        }
        let heard = self.answered.is_some_and(|at| at.elapsed() >= HEARS);
        if presses && heard && !self.pressed {
            self.phone.press('1');
            self.pressed = true;
        }
    }

    /// Lets him be until something is so.
    fn until(&mut self, what: &str, hand: (bool, bool), mut is_so: impl FnMut(&Self) -> bool) {
        let start = Instant::now();
        loop {
            self.look(hand.0, hand.1);
            if is_so(self) {
                return;
            }
            assert!(start.elapsed() < KNOWS_WITHIN, "in vain: {what}");
            sleep(LOOK);
        }
    }
}

struct Evening {
    room: Room,
    daemon: Daemon,
    caller: Baresip,
    officer: Baresip,
    leader: Leader,
    sent: Receiver<Request>,
    more: String,
    matters: usize,
}

fn plan(more: &str) -> Plan<'_> {
    Plan { more, ..Plan::default() }
}

impl Evening {
    fn open() -> Option<Self> {
        let mut room = Room::open()?;
        let (port, sent) = provider(&Arc::new(AtomicBool::new(true)));
        let (other, _) = provider(&Arc::new(AtomicBool::new(true)));
        let more = channels(&room, [port, other]) + "[escalation]\nfollow_up = false\n";
        let daemon = room.daemon(&plan(&more));
        let quiet = vec![0; 20 * wave::RATE];
        let caller = room.phone("caller", &quiet);
        let officer = room.phone("2001", &quiet);
        let phone = room.single_phone("3001", &quiet);
        let leader = Leader { phone, answered: None, pressed: false, calls: 0 };
        Some(Self { room, daemon, caller, officer, leader, sent, more, matters: 0 })
    }

    fn count(&self, of: &str) -> usize {
        let query = format!("SELECT count(*) FROM {of}");
        self.daemon.try_row(&query).and_then(|count| count.parse().ok()).unwrap_or(0)
    }

    fn row_comes(&self, of: &str, count: usize) {
        let query = format!("SELECT count(*) FROM {of}");
        let wanted = count.to_string();
        wait_until(of, SOON, || {
            (self.daemon.try_row(&query) == Some(wanted.clone())).then_some(())
        });
    }

    /// Somebody calls, and the officer wants the leader.
    fn flag(&mut self) {
        self.caller.dial("1001");
        self.officer.incoming(SOON);
        self.officer.accept();
        self.officer.established();
        self.caller.established();
        calls_for_the_leader(&mut self.officer);
        self.matters += 1;
    }

    /// Up to the point, and not much further.
    fn reach(&mut self, point: usize, nth: usize) {
        while self.sent.try_recv().is_ok() {}
        let invited = self.room.pbx.count("CALLED 3001");
        self.flag();
        let matters = self.matters;
        let known = |of: &Self| of.count("escalation WHERE state = 'acknowledged'") == matters;
        match point {
            0 => sleep(Duration::from_millis(5 * (nth % 30) as u64)),
            1 => self.row_comes("escalation", matters),
            2 => wait_until("an INVITE", SOON, || {
                (self.room.pbx.count("CALLED 3001") > invited).then_some(())
            }),
            3 => {
                let calls = self.leader.calls;
                self.leader.until("it rings", (false, false), |leader| leader.calls > calls);
                // He takes it when the daemon is back.
                self.leader.phone.accept();
            }
            4 | 5 => {
                self.leader.until("he has it", (true, false), |leader| leader.answered.is_some());
                sleep(if point == 5 { Duration::from_millis(1200) } else { Duration::ZERO });
            }
            6 => {
                self.leader.until("he has it", (true, false), |leader| leader.answered.is_some());
                sleep(HEARS);
                let lock = self.daemon.lock();
                self.leader.phone.press('1');
                self.leader.pressed = true;
                sleep(Duration::from_millis(600));
                self.daemon.process.kill();
                drop(lock);
                assert!(!known(self), "it was committed");
            }
            7 | 9 => {
                let daemon = &self.daemon;
                let count = "SELECT count(*) FROM escalation WHERE state = 'acknowledged'";
                let wanted = Some(matters.to_string());
                let is_known = |_: &Leader| daemon.try_row(count) == wanted;
                self.leader.until("he knows", (true, true), is_known);
                if point == 9 {
                    let over = |leader: &Leader| leader.answered.is_none();
                    self.leader.until("the call is over", (false, false), over);
                }
            }
            _ => drop(self.sent.recv_timeout(SOON).expect("a notice")),
        }
    }

    fn kill(&mut self) {
        if self.daemon.process.ended().is_none() {
            self.daemon.process.kill();
        }
        let folder = self.room.folder.path().to_owned();
        self.daemon.restart(&folder, &self.room.ports, &plan(&self.more));
    }

    /// The leader gets to know, and everything is as if nothing had been.
    fn settles(&mut self, point: usize) {
        let matters = self.matters;
        if point == 0 {
            // Whoever hears no confirmation presses again: it is one matter all the same.
            sleep(Duration::from_secs(2));
            if self.count("escalation") < matters {
                calls_for_the_leader(&mut self.officer);
            }
        }
        let daemon = &self.daemon;
        let count = "SELECT count(*) FROM escalation WHERE state = 'acknowledged'";
        let wanted = Some(matters.to_string());
        self.leader.until("he knows", (true, true), |_| daemon.try_row(count) == wanted);
        let open = "SELECT count(*) FROM attempt WHERE ended_ms IS NULL";
        let none = Some("0".to_owned());
        self.leader.until("it is over", (true, false), |leader| {
            leader.answered.is_none() && daemon.try_row(open) == none
        });
        self.caller.hangup();
        self.officer.hangup();
        let calls = "SELECT count(*) FROM call WHERE state <> 'ended'";
        self.daemon.row_is(calls, "0");
        self.is_right(point);
    }

    fn is_right(&self, point: usize) {
        let is = |query: &str, wanted: usize| {
            let found = self.daemon.row(query);
            assert_eq!(found, wanted.to_string(), "{}: {query}", POINTS[point]);
        };
        is("SELECT count(*) FROM entry", self.matters);
        is("SELECT count(*) FROM escalation", self.matters);
        is("SELECT count(*) FROM acknowledgement WHERE outcome = 'first'", self.matters);
        is("SELECT count(*) FROM acknowledgement", self.matters);
        // His telephone takes one call: a second one while he is in the first would be busy.
        is("SELECT count(*) FROM attempt WHERE result = 'busy'", 0);
        is("SELECT count(*) FROM attempt WHERE result IS NULL", 0);
        is("SELECT count(*) FROM audit WHERE action = 'escalation.acknowledge'", self.matters);
        self.daemon.row_is("SELECT count(*) FROM delivery WHERE progress <> 'accepted'", "0");
    }
}

#[test]
fn esc_42_killed_at_ten_points_of_the_ladder_nothing_is_lost_and_one_acknowledgement_counts() {
    let Some(mut evening) = Evening::open() else { return };
    let (record, begun) = (Record::open(), Instant::now());
    let mut kills = 0;
    let (times, step) = each().map_or((1, 3), |times| (times, 1));
    for nth in 0..times {
        for (point, name) in POINTS.iter().enumerate().step_by(step) {
            if record.done().get(*name).is_some_and(|done| *done >= times) {
                continue;
            }
            let start = Instant::now();
            evening.reach(point, nth);
            evening.kill();
            evening.settles(point);
            record.add(name);
            kills += 1;
            println!("{name}: {:?}", start.elapsed());
        }
    }
    let (code, said) = evening.daemon.command(&["verify", "--config", "dutyline.toml"]);
    assert_eq!(code, Some(0), "{said}");
    println!(
        "{kills} kills in {:?}, {} calls to the leader",
        begun.elapsed(),
        evening.leader.calls
    );
}
