//! Calls with real phones through a real PBX: sound, hanging up, giving up, phones in turn.

use crate::baresip::{Baresip, Setup};
use crate::daemon::{Daemon, Plan};
use crate::kamailio::{Kamailio, Setup as PbxSetup};
use crate::ports::Ports;
use crate::twin::{FarEnd, TrunkCaller};
use crate::{have, wave};
use std::path::Path;
use std::thread::sleep;
use std::time::Duration;

const SOON: Duration = Duration::from_secs(8);
const CALL: &str = "SELECT id FROM call WHERE direction = 'in'";

/// The PBX, the daemon and phones by their numbers.
pub struct Room {
    pub folder: tempfile::TempDir,
    pub ports: Ports,
    pub pbx: Kamailio,
    phones: u16,
}

impl Room {
    pub fn open() -> Option<Self> {
        Self::set_up(&PbxSetup::default())
    }

    pub fn with_digest(algorithm: &str) -> Option<Self> {
        Self::set_up(&PbxSetup { algorithm, ..PbxSetup::default() })
    }

    pub fn set_up(setup: &PbxSetup<'_>) -> Option<Self> {
        Self::set_up_with(setup, |_| {})
    }

    /// As `set_up`; `before` the PBX starts, files may be put into its folder.
    pub fn set_up_with(setup: &PbxSetup<'_>, before: impl FnOnce(&Path)) -> Option<Self> {
        if !have(&["kamailio", "baresip"]) {
            return None;
        }
        let folder = tempfile::tempdir().expect("a folder");
        let ports = Ports::take();
        before(folder.path());
        let pbx = Kamailio::set_up(folder.path(), &ports, setup);
        Some(Self { folder, ports, pbx, phones: 0 })
    }

    pub fn daemon(&self, plan: &Plan<'_>) -> Daemon {
        Daemon::start(self.folder.path(), &self.ports, &self.pbx, plan)
    }

    /// A phone without call waiting: its second call is 486.
    pub fn single_phone(&mut self, user: &str, says: &[i16]) -> Baresip {
        let order = self.phones;
        self.phones += 1;
        let setup = Setup { user, order, says, extra: "" };
        Baresip::with_calls(self.folder.path(), &self.ports, &setup, 1)
    }

    pub fn phone(&mut self, user: &str, says: &[i16]) -> Baresip {
        self.phone_with(user, says, "")
    }

    /// `extra`: further parameters of its account.
    pub fn phone_with(&mut self, user: &str, says: &[i16], extra: &str) -> Baresip {
        let order = self.phones;
        self.phones += 1;
        let setup = Setup { user, order, says, extra };
        Baresip::start(self.folder.path(), &self.ports, &setup)
    }
}

/// The caller dials the duty line, and the officer picks up.
pub fn connect(caller: &mut Baresip, officer: &mut Baresip) {
    caller.dial("1001");
    officer.incoming(SOON);
    officer.accept();
    caller.established();
    officer.established();
}

/// The keys by which an officer calls for the leader.
pub fn calls_for_the_leader(officer: &mut Baresip) {
    officer.press('*');
    talk(1);
    officer.press('9');
}

/// The caller, the officer who calls for the leader meanwhile, and the leader's telephone.
pub fn urgent_call(room: &mut Room) -> [Baresip; 3] {
    let quiet = vec![0; 60 * wave::RATE];
    let mut caller = room.phone("caller", &quiet);
    let mut officer = room.phone("2001", &quiet);
    let leader = room.phone("3001", &quiet);
    caller.dial("1001");
    officer.incoming(SOON);
    officer.accept();
    officer.established();
    talk(1);
    calls_for_the_leader(&mut officer);
    [caller, officer, leader]
}

/// Lets the two talk: the length of the conversation, not a wait for something.
pub fn talk(seconds: u64) {
    sleep(Duration::from_secs(seconds));
}

fn spoken(caller_hangs_up: bool, transport: &str) {
    let Some(mut room) = Room::open() else { return };
    let daemon = room.daemon(&Plan { transport, ..Plan::default() });
    let (caller_says, officer_says) = (wave::voice(11, 30), wave::voice(12, 30));
    let mut caller = room.phone("caller", &caller_says);
    let mut officer = room.phone("2001", &officer_says);

    caller.dial("1001");
    officer.incoming(SOON);
    assert_eq!(daemon.row("SELECT state FROM call"), "ringing", "stored before it rings");
    officer.accept();
    caller.established();
    officer.established();
    talk(5);
    if caller_hangs_up {
        caller.hangup()
    } else {
        officer.hangup()
    }
    caller.closed();
    officer.closed();

    daemon.row_is("SELECT disposition FROM call", "answered");
    let by = if caller_hangs_up { "caller" } else { "officer" };
    daemon.row_is("SELECT ended_by FROM call", by);
    assert_eq!(daemon.row("SELECT count(*) FROM entry"), "1");
    daemon.row_is("SELECT count(*) FROM carried WHERE lost = 0 AND untaped = 0", "2");
    let flawless = "lost = 0 AND doubled = 0 AND reordered = 0 AND mos_worst > 0";
    daemon.row_is(&format!("SELECT count(*) FROM quality WHERE {flawless}"), "2");

    let recorded = daemon.recording(CALL);
    let pairs = [
        ("left is the caller", &caller_says, &recorded.channels[0]),
        ("right is the officer", &officer_says, &recorded.channels[1]),
        ("the officer heard the caller", &caller_says, &officer.heard()),
        ("the caller heard the officer", &officer_says, &caller.heard()),
    ];
    for (what, said, heard) in pairs {
        let found = wave::compare(said, heard).unwrap_or_else(|| panic!("{what}: nothing of it"));
        assert!(found.is_whole() && found.same > 4 * wave::RATE, "{what}: {found:?}");
    }
}

#[test]
fn sig_07_the_caller_hangs_up_and_every_sample_was_heard() {
    spoken(true, "udp");
}

#[test]
fn sig_07_the_officer_hangs_up_and_every_sample_was_heard() {
    spoken(false, "udp");
}

#[test]
fn sig_07_over_tcp() {
    spoken(true, "tcp");
}

#[test]
fn sig_08_the_caller_gives_up_while_it_rings() {
    let Some(mut room) = Room::open() else { return };
    let daemon = room.daemon(&Plan::default());
    let says = wave::voice(1, 5);
    let mut caller = room.phone("caller", &says);
    let mut officer = room.phone("2001", &says);
    caller.dial("1001");
    officer.incoming(SOON);
    caller.wait("CALL_RINGING", SOON);
    caller.hangup();
    officer.closed();
    daemon.row_is("SELECT disposition FROM call", "abandoned");
    daemon.row_is("SELECT state FROM entry", "stub");
    // The line is free again.
    caller.dial("1001");
    officer.incoming(SOON);
    daemon.row_is("SELECT count(*) FROM entry", "2");
}

#[test]
fn sig_09_the_next_phone_rings_when_one_does_not_take_it() {
    let Some(mut room) = Room::open() else { return };
    let far_end = FarEnd::start(&room.ports);
    // Not registered (404), temporarily unavailable, declined by all, overloaded (which the PBX makes a 500 of, RFC 3261
    // §16.7), never picked up, declined at the phone, then taken.
    let phones = [
        ("2009", 20),
        ("9480", 20),
        ("9603", 20),
        ("9503", 20),
        ("9180", 5),
        ("2001", 20),
        ("2002", 20),
    ];
    let daemon = room.daemon(&Plan { phones: &phones, ..Plan::default() });
    let says = wave::voice(1, 20);
    let mut caller = room.phone("caller", &says);
    let mut busy = room.phone("2001", &says);
    let mut officer = room.phone("2002", &says);
    caller.dial("1001");
    for rung in ["9480", "9603", "9503", "9180"] {
        assert!(far_end.invited().first.contains(rung), "{rung}");
    }
    busy.incoming(Duration::from_secs(12));
    busy.hangup();
    officer.incoming(SOON);
    officer.accept();
    caller.established();
    caller.hangup();
    officer.closed();
    daemon.row_is("SELECT disposition FROM call", "answered");
    daemon.row_is("SELECT answered_by FROM call", "话机2002");
    let legs = "SELECT group_concat(status, ' ') FROM (SELECT status FROM leg ORDER BY rung_mono)";
    let statuses = daemon.row(legs);
    let wanted = ["404 480 603 500 487 486", "404 480 603 503 487 486"];
    assert!(wanted.iter().any(|wanted| statuses.starts_with(wanted)), "{statuses}");
}

/// The officer talks: whoever calls meanwhile is a row of his own, and to be called back.
#[test]
fn sig_11_while_the_officer_talks_ten_callers_are_entries_and_busy() {
    let Some(mut room) = Room::open() else { return };
    let daemon = room.daemon(&Plan { phones: &[("2001", 20)], ..Plan::default() });
    let says = wave::voice(15, 60);
    let mut caller = room.phone("caller", &says);
    let mut officer = room.single_phone("2001", &says);
    connect(&mut caller, &mut officer);
    let media = std::net::UdpSocket::bind("127.0.0.1:0").expect("a port");
    for n in 0..10 {
        let number = format!("1380013010{n}");
        assert_eq!(TrunkCaller::beside(&room.ports, &number, &media).call("1001"), 486, "{n}");
    }
    assert_eq!(daemon.row("SELECT count(*) FROM call WHERE state = 'in_call'"), "1");
    caller.hangup();
    officer.closed();
    daemon.row_is("SELECT count(*) FROM call WHERE disposition = 'busy_missed'", "10");
    daemon.row_is("SELECT count(*) FROM callback WHERE state = 'open'", "10");
    assert_eq!(daemon.row("SELECT count(*) FROM entry"), "11");
}

#[test]
fn sig_09_nobody_takes_it() {
    let Some(mut room) = Room::open() else { return };
    let _far_end = FarEnd::start(&room.ports);
    let daemon = room.daemon(&Plan { phones: &[("9486", 20), ("9603", 20)], ..Plan::default() });
    let mut caller = room.phone("caller", &wave::voice(1, 5));
    caller.dial("1001");
    caller.closed();
    daemon.row_is("SELECT disposition || ' ' || status FROM call", "busy_missed 486");
    let legs = "SELECT group_concat(status, ' ') FROM (SELECT status FROM leg ORDER BY rung_mono)";
    assert_eq!(daemon.row(legs), "486 603");
    assert_eq!(daemon.row("SELECT count(*) FROM entry"), "1");
}

#[test]
fn sig_11_two_calls_at_once_keep_apart() {
    let Some(mut room) = Room::open() else { return };
    let daemon = room.daemon(&Plan::default());
    let voices: Vec<_> = (21..25).map(|seed| wave::voice(seed, 30)).collect();
    let mut first = room.phone("caller", &voices[0]);
    let mut second = room.phone("caller2", &voices[1]);
    let mut one = room.phone("2001", &voices[2]);
    let mut two = room.phone("2002", &voices[3]);
    connect(&mut first, &mut one);
    second.dial("1001");
    // Only the free phone takes the second call.
    two.incoming(Duration::from_secs(25));
    two.accept();
    second.established();
    talk(4);
    first.hangup();
    second.hangup();
    one.closed();
    two.closed();
    daemon.row_is("SELECT count(*) FROM call WHERE disposition = 'answered'", "2");
    let pairs = [
        (&voices[0], one.heard()),
        (&voices[2], first.heard()),
        (&voices[1], two.heard()),
        (&voices[3], second.heard()),
    ];
    for (said, heard) in &pairs {
        let found = wave::compare(said, heard).expect("the other's voice");
        assert!(found.is_whole(), "{found:?}");
    }
    let call = |caller: &str| format!("SELECT id FROM call WHERE caller = '{caller}'");
    for (caller, left) in [("caller", &voices[0]), ("caller2", &voices[1])] {
        let recorded = daemon.recording(&call(caller));
        let found = wave::compare(left, &recorded.channels[0]).expect("the caller's voice");
        assert!(found.is_whole(), "{found:?}");
    }
}
