//! `kill -9` at twelve named points between the flag and the end (esc_42): the real daemon, its supervisor, the PBX and
//! telephones. Nothing is lost, one acknowledgement counts, nobody is called while he is being called.

use crate::baresip::Baresip;
use crate::calls::{Room, calls_for_the_leader};
use crate::daemon::{Daemon, Plan};
use crate::long_run::Record;
use crate::notices::{Request, channels, provider};
use crate::officer::Officer;
use crate::process::wait_until;
use crate::wave;
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
/// Quiet ones, each of which is told of a withdrawal once.
const CHANNELS: usize = 2;
const LOOK: Duration = Duration::from_millis(3);
const POINTS: [&str; 12] = [
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
    "between two steps",
    "in a withdrawal",
];
const BETWEEN_STEPS: usize = 10;
const IN_WITHDRAWAL: usize = 11;
const REASON: &[(&str, &str)] = &[("reason", "误报，已与来电方核实")];

/// How often at each point; the long run asks for fifty. Without it once, at every third one and the last two.
fn each() -> Option<usize> {
    std::env::var("DUTYLINE_KILLS_EACH").ok().and_then(|many| many.parse().ok())
}

/// A hand that takes every call, hears what it is and presses 1.
struct Leader {
    phone: Baresip,
    rings: bool,
    answered: Option<Instant>,
    pressed: bool,
    calls: usize,
}

impl Leader {
    fn look(&mut self, takes: bool, presses: bool) {
        while let Some(event) = self.phone.event() {
            match event["type"].as_str() {
                Some("CALL_INCOMING") => {
                    (self.rings, self.calls) = (true, self.calls + 1);
                    if takes {
                        self.phone.accept();
                    }
                }
                Some("CALL_ESTABLISHED") => {
                    (self.rings, self.answered) = (false, Some(Instant::now()));
                    self.pressed = false;
                }
                Some("CALL_CLOSED") => (self.rings, self.answered) = (false, None),
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
    page: Officer,
    sent: Receiver<Request>,
    more: String,
    matters: usize,
    /// Of them.
    withdrawn: usize,
    /// Calls that the leader would not take.
    refused: usize,
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
        let mut daemon = room.daemon(&plan(&more));
        let page = Officer::first(&mut daemon);
        let quiet = vec![0; 20 * wave::RATE];
        let caller = room.phone("caller", &quiet);
        let officer = room.phone("2001", &quiet);
        let phone = room.single_phone("3001", &quiet);
        let leader = Leader { phone, rings: false, answered: None, pressed: false, calls: 0 };
        let (matters, withdrawn, refused) = (0, 0, 0);
        Some(Self {
            room,
            daemon,
            caller,
            officer,
            leader,
            page,
            sent,
            more,
            matters,
            withdrawn,
            refused,
        })
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
        let (matters, wanted) = (self.matters, self.matters - self.withdrawn);
        let known = |of: &Self| of.count("escalation WHERE state = 'acknowledged'") == wanted;
        match point {
            0 => sleep(Duration::from_millis(5 * (nth % 30) as u64)),
            1 => self.row_comes("escalation", matters),
            2 => wait_until("an INVITE", SOON, || {
                (self.room.pbx.count("CALLED 3001") > invited).then_some(())
            }),
            3 => {
                self.leader.until("it rings", (false, false), |leader| leader.rings);
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
                let wanted = Some(wanted.to_string());
                let is_known = |_: &Leader| daemon.try_row(count) == wanted;
                self.leader.until("he knows", (true, true), is_known);
                if point == 9 {
                    let over = |leader: &Leader| leader.answered.is_none();
                    self.leader.until("the call is over", (false, false), over);
                }
            }
            BETWEEN_STEPS => {
                self.leader.until("it rings", (false, false), |leader| leader.rings);
                self.leader.phone.hangup();
                self.refused += 1;
                self.row_comes("attempt WHERE result = 'busy'", self.refused);
                sleep(Duration::from_millis(400 * (nth % 30) as u64));
                assert_eq!(self.count("attempt WHERE ended_ms IS NULL"), 0, "nobody is called");
            }
            IN_WITHDRAWAL => {
                self.leader.until("it rings", (false, false), |leader| leader.rings);
                self.daemon
                    .row_is("SELECT count(*) FROM delivery WHERE progress <> 'accepted'", "0");
                self.withdrawn += 1;
                let withdraws = self.page.posts_unheard(&self.withdrawal(), REASON);
                sleep(Duration::from_millis(5 * (nth % 30) as u64));
                self.daemon.process.kill();
                drop(withdraws);
            }
            _ => drop(self.sent.recv_timeout(SOON).expect("a notice")),
        }
    }

    /// Of the matter that is open.
    fn withdrawal(&self) -> String {
        let entry = self.daemon.row("SELECT entry FROM escalation WHERE state = 'open'");
        format!("/entries/{entry}/withdraw")
    }

    fn kill(&mut self) {
        if self.daemon.process.ended().is_none() {
            self.daemon.process.kill();
        }
        let folder = self.room.folder.path().to_owned();
        self.daemon.restart(&folder, &self.room.ports, &plan(&self.more));
    }

    /// The leader gets to know, or is let go, and everything is as if nothing had been.
    fn settles(&mut self, point: usize) {
        let matters = self.matters;
        let known = matters - self.withdrawn;
        if point == 0 {
            // Whoever hears no confirmation presses again: it is one matter all the same.
            sleep(Duration::from_secs(2));
            if self.count("escalation") < matters {
                calls_for_the_leader(&mut self.officer);
            }
        }
        if point == IN_WITHDRAWAL && self.count("escalation WHERE state = 'open'") > 0 {
            // Nor does the page say that it is done.
            wait_until("the page", SOON, || self.page.looks_up_if_up());
            self.page.posts(&self.withdrawal(), REASON);
        }
        let daemon = &self.daemon;
        let takes = point != IN_WITHDRAWAL;
        let count = "SELECT count(*) FROM escalation WHERE state = 'acknowledged'";
        let wanted = Some(known.to_string());
        self.leader.until("he knows", (takes, takes), |_| daemon.try_row(count) == wanted);
        let open = "SELECT count(*) FROM attempt WHERE ended_ms IS NULL";
        let none = Some("0".to_owned());
        self.leader.until("it is over", (takes, false), |leader| {
            !leader.rings && leader.answered.is_none() && daemon.try_row(open) == none
        });
        self.caller.hangup();
        self.officer.hangup();
        let calls = "SELECT count(*) FROM call WHERE state <> 'ended'";
        self.daemon.row_is(calls, "0");
        self.is_right(point);
    }

    fn is_right(&self, point: usize) {
        let known = self.matters - self.withdrawn;
        let is = |query: &str, wanted: usize| {
            let found = self.daemon.row(query);
            assert_eq!(found, wanted.to_string(), "{}: {query}", POINTS[point]);
        };
        is("SELECT count(*) FROM entry", self.matters);
        is("SELECT count(*) FROM escalation", self.matters);
        is("SELECT count(*) FROM escalation WHERE state = 'withdrawn'", self.withdrawn);
        is("SELECT count(*) FROM acknowledgement WHERE outcome = 'first'", known);
        is("SELECT count(*) FROM acknowledgement", known);
        // His telephone takes one call: a second one while he is in the first would be busy, as one that he refuses.
        is("SELECT count(*) FROM attempt WHERE result = 'busy'", self.refused);
        is("SELECT count(*) FROM attempt WHERE result IS NULL", 0);
        is("SELECT count(*) FROM audit WHERE action = 'escalation.acknowledge'", known);
        is("SELECT count(*) FROM audit WHERE action = 'escalation.withdraw'", self.withdrawn);
        let last = "(SELECT id FROM escalation ORDER BY raised_ms DESC LIMIT 1)";
        let calls = format!("SELECT count(*) FROM attempt WHERE escalation = {last}");
        match point {
            BETWEEN_STEPS => is(&calls, 2),
            IN_WITHDRAWAL => is(&calls, 1),
            _ => {}
        }
        let told = "SELECT count(*) FROM delivery WHERE what = 'withdrawn'";
        is(told, CHANNELS * self.withdrawn);
        self.daemon.row_is("SELECT count(*) FROM delivery WHERE progress <> 'accepted'", "0");
    }
}

#[test]
fn esc_42_killed_at_twelve_points_of_the_ladder_nothing_is_lost_and_one_acknowledgement_counts() {
    let Some(mut evening) = Evening::open() else { return };
    let (record, begun) = (Record::open(), Instant::now());
    let mut kills = 0;
    let times = each().unwrap_or(1);
    let wanted =
        |point: usize| each().is_some() || point.is_multiple_of(3) || point >= BETWEEN_STEPS;
    for nth in 0..times {
        for (point, name) in POINTS.iter().enumerate().filter(|(point, _)| wanted(*point)) {
            let done = || record.done().iter().filter(|done| done.as_str() == *name).count();
            if !record.is_mine(point) || done() >= times {
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
