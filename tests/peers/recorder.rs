//! The recorder of the real daemon when it is killed at any moment, and when somebody deletes what it writes: the two hear
//! each other all the same, and nothing of what they said is lost.

use crate::calls::Room;
use crate::daemon::{Daemon, Plan};
use crate::have;
use crate::long_run::{Rounds, chance};
use crate::process::wait_until;
use crate::sound::readers_agree;
use crate::twin::{FarEnd, TrunkCaller, Voice};
use crate::wave;
use std::fs;
use std::net::{SocketAddr, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread::sleep;
use std::time::{Duration, Instant};

const TICK: Duration = Duration::from_millis(20);
const LOUD: u8 = 0xaa;
const CUT: &str = "the daemon died in the middle of a call";
const GIVEN_UP: &str = "its calls are given up";
/// What a kill may cost of a recording.
const LOST_MOST: Duration = Duration::from_secs(1);

/// The callers and the far end of one call after the other, or two at once.
pub struct Line {
    pub room: Room,
    far_end: FarEnd,
    pub daemon: Daemon,
    calls: u32,
}

pub struct Call {
    pub number: String,
    pub caller: TrunkCaller,
    to: [SocketAddr; 2],
    voices: [Voice; 2],
    pub heard: usize,
    /// What either has said, in packets.
    pub sent: u32,
}

pub fn plan() -> Plan<'static> {
    Plan { phones: &[("9200", 20)], ..Plan::default() }
}

impl Line {
    pub fn open(before: impl FnOnce(&Path)) -> Option<Self> {
        let room = Room::open()?;
        before(room.folder.path());
        Some(Self::over(room, &plan()))
    }

    pub fn over(room: Room, plan: &Plan<'_>) -> Self {
        let far_end = FarEnd::start(&room.ports);
        far_end.media.set_nonblocking(true).expect("a socket");
        let daemon = room.daemon(plan);
        Self { room, far_end, daemon, calls: 0 }
    }

    pub fn call(&mut self) -> Call {
        self.calls += 1;
        let number = format!("1380013{:04}", self.calls);
        let media = UdpSocket::bind("127.0.0.1:0").expect("a port");
        let mut caller = TrunkCaller::beside(&self.room.ports, &number, &media);
        assert_eq!(caller.call("1001"), 200);
        let to = [caller.remote_media(), self.far_end.invited().media()];
        let voices = [Voice::new(7 + self.calls), Voice::new(40_009 + self.calls)];
        Call { number, caller, to, voices, heard: 0, sent: 0 }
    }

    /// Both speak for so long; counts what the far end hears.
    pub fn talk(&self, call: &mut Call, length: Duration) {
        let ticks = (length.as_millis() / TICK.as_millis()) as u32;
        let start = Instant::now();
        let mut heard = [0; 2048];
        call.sent += ticks;
        for tick in 1..=ticks {
            let [caller, officer] = &mut call.voices;
            call.caller.media.send_to(&caller.packet(&[LOUD; 160]), call.to[0]).expect("sent");
            self.far_end.media.send_to(&officer.packet(&[LOUD; 160]), call.to[1]).expect("sent");
            let next = start + TICK * tick;
            sleep(next.saturating_duration_since(Instant::now()));
            while self.far_end.media.recv(&mut heard).is_ok() {
                call.heard += 1;
            }
        }
    }

    pub fn data(&self) -> PathBuf {
        self.room.folder.path().join("dutyline/data")
    }

    pub fn row_of(&self, call: &Call, what: &str) -> String {
        let from = "FROM call c JOIN recording r ON r.call = c.id WHERE c.caller";
        format!("SELECT {what} {from} = '{}'", call.number)
    }

    pub fn id_of(&self, call: &Call) -> String {
        format!("SELECT id FROM call WHERE caller = '{}'", call.number)
    }

    /// How much of what was said stands on either side of the recording.
    pub fn recorded(&self, call: &Call) -> Duration {
        let wave = self.daemon.recording(&self.id_of(call));
        let loud =
            |side: &Vec<i16>| side.iter().filter(|one| one.unsigned_abs() > 10_000).count() as u64;
        Duration::from_millis(wave.channels.iter().map(loud).min().unwrap_or(0) / 8)
    }
}

/// How many times it is killed: a few, or as many as the long run asks for.
fn kills() -> usize {
    std::env::var("DUTYLINE_KILLS").ok().and_then(|many| many.parse().ok()).unwrap_or(25)
}

/// In the middle of a call, while it ends, and while it is sealed.
#[test]
fn rel_12_rec_d1_killed_at_random_points_each_call_has_its_row_and_all_but_a_moment_of_its_sound() {
    if !have(&["soxi", "python3", "ffprobe"]) {
        return;
    }
    let Some(mut line) = Line::open(|_| {}) else { return };
    let (mut rounds, mut times_given_up) = (Rounds::open(kills()), 0);
    for round in rounds.left() {
        let mut random = chance(round);
        let mut call = line.call();
        let spoken = Duration::from_millis(u64::from(300 + random(1500)));
        line.talk(&mut call, spoken);
        let ends = random(2) == 1;
        if ends {
            call.caller.hang_up();
            sleep(Duration::from_millis(u64::from(random(1500))));
        }
        line.daemon.process.kill();
        let told = line.daemon.process.log().matches(CUT).count();
        let (folder, ports) = (line.room.folder.path().to_owned(), &line.room.ports);
        let before = line.room.pbx.count("REGISTER 1001");
        line.daemon.restart(&folder, ports, &plan());
        wait_until("the registration", Duration::from_secs(5), || {
            (line.room.pbx.count("REGISTER 1001") > before).then_some(())
        });
        // A daemon that dies again and again gives its calls up.
        let given_up = line.daemon.process.log().matches(GIVEN_UP).count();
        if !ends && given_up == times_given_up {
            call.caller.hang_up();
        }
        times_given_up = given_up;
        let ended = line.row_of(&call, "c.state");
        line.daemon.row_is(&ended, "ended");
        let sealed =
            line.row_of(&call, "r.state IN ('sealed', 'partial') AND r.digest IS NOT NULL");
        line.daemon.row_is(&sealed, "1");
        if !ends {
            let cut = line.row_of(&call, "r.state = 'partial' AND r.reason LIKE '%服务%'");
            line.daemon.row_is(&cut, "1");
            wait_until("that it is told", Duration::from_secs(2), || {
                (line.daemon.process.log().matches(CUT).count() > told).then_some(())
            });
        }
        readers_agree(&line.daemon, &line.id_of(&call));
        let rows = format!("SELECT count(*) FROM call WHERE caller = '{}'", call.number);
        assert_eq!(line.daemon.row(&rows), "1");
        let lost = spoken.saturating_sub(line.recorded(&call));
        assert!(lost <= LOST_MOST, "round {round}: {lost:?} of {spoken:?} are lost");
        rounds.done(round, lost.as_millis());
    }
    let (kills, worst) = rounds.sum();
    println!("{kills} kills: at most {worst} ms of a recording lost");
    let twice = "SELECT count(*) - count(DISTINCT wav) FROM recording";
    assert_eq!(line.daemon.row(twice), "0");
    let (code, said) = line.daemon.command(&["verify", "--config", "dutyline.toml"]);
    assert_eq!(code, Some(0), "{said}");
}

/// A file system of its own, gone with it.
pub struct SmallDisk(PathBuf);

impl SmallDisk {
    pub fn mount(at: &Path, size: &str) -> Option<Self> {
        fs::create_dir_all(at).expect("a folder");
        let done = Command::new("mount")
            .args(["-t", "tmpfs", "-o", &format!("size={size}"), "none"])
            .arg(at)
            .status();
        let mounted = done.is_ok_and(|status| status.success());
        if !mounted {
            println!("skipped: no file system may be mounted here");
        }
        mounted.then(|| Self(at.to_owned()))
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

/// Somebody tidies up: the tape's folder is gone in the middle of a call, the recordings' folder becomes a link.
#[test]
fn rel_31_deleted_and_replaced_folders_cost_nothing_of_what_is_being_said() {
    let Some(mut line) = Line::open(|_| {}) else { return };
    let mut call = line.call();
    line.talk(&mut call, Duration::from_secs(2));
    fs::remove_dir_all(line.data().join("tape")).expect("the tape's folder");
    line.talk(&mut call, Duration::from_secs(2));
    call.caller.hang_up();
    line.daemon.row_is(&line.row_of(&call, "r.state"), "sealed");
    let recorded = line.recorded(&call);
    assert!(recorded >= Duration::from_millis(3900), "{recorded:?} of 4 s are recorded");

    drop(call);
    let recordings = line.room.folder.path().join("dutyline/recordings");
    let elsewhere = line.room.folder.path().join("elsewhere");
    let mut call = line.call();
    line.talk(&mut call, Duration::from_secs(1));
    fs::rename(&recordings, &elsewhere).expect("moved");
    call.caller.hang_up();
    line.daemon.process.wait_for("mount its disk", Duration::from_secs(5));
    std::os::unix::fs::symlink(&elsewhere, &recordings).expect("a link");
    // It is tried again every ten seconds.
    line.daemon.row_is(&line.row_of(&call, "r.state"), "sealed");
    assert!(line.recorded(&call) >= Duration::from_millis(900));
    assert!(wave::read(&line.daemon.recording_path("SELECT max(id) FROM call")).is_some());
}

/// What is left is an empty folder on the disk above, which takes files as well.
#[test]
fn rel_31_a_recordings_disk_that_is_unmounted_is_told_and_nothing_is_put_under_it() {
    let mut disk = None;
    let at = |folder: &Path| folder.join("dutyline/recordings");
    let Some(mut line) = Line::open(|folder| disk = SmallDisk::mount(&at(folder), "24m")) else {
        return;
    };
    let Some(disk) = disk else { return };
    let recordings = at(line.room.folder.path());
    let mut call = line.call();
    line.talk(&mut call, Duration::from_secs(1));
    drop(disk);
    let unmounted = Instant::now();
    line.daemon.process.wait_for("its disk is not mounted", Duration::from_secs(2));
    println!("told after {:?}", unmounted.elapsed());
    line.talk(&mut call, Duration::from_secs(1));
    call.caller.hang_up();
    line.daemon.process.wait_for("cannot seal a recording", Duration::from_secs(10));
    assert_eq!(fs::read_dir(&recordings).expect("the folder").count(), 0, "nothing is put there");
    let _disk = SmallDisk::mount(&recordings, "24m").expect("as before");
    line.daemon.row_is(&line.row_of(&call, "r.state"), "sealed");
    assert!(line.recorded(&call) >= Duration::from_millis(1900));
    line.daemon.process.wait_for("the recorder works again", Duration::from_secs(12));
}

/// The other disk is gone while they talk, and comes back.
#[test]
fn rec_d15_rec_d9_a_disk_that_is_pulled_in_a_call_costs_neither_copy() {
    let Some(room) = Room::open() else { return };
    let copies = room.folder.path().join("second");
    fs::create_dir(&copies).expect("a folder");
    let storage = format!("copies = \"{}\"", copies.display());
    let plan = Plan { storage: &storage, ..plan() };
    let mut line = Line::over(room, &plan);
    let mut first = line.call();
    line.talk(&mut first, Duration::from_secs(2));
    first.caller.hang_up();
    drop(first);
    line.daemon.row_is("SELECT count(*) FROM copy", "2");
    let mut second = line.call();
    line.talk(&mut second, Duration::from_secs(1));
    let away = line.room.folder.path().join("pulled");
    fs::rename(&copies, &away).expect("pulled");
    line.talk(&mut second, Duration::from_secs(2));
    second.caller.hang_up();
    line.daemon.row_is("SELECT count(*) FROM recording WHERE state = 'sealed'", "2");
    line.daemon.process.wait_for("no second copy is made", Duration::from_secs(15));
    assert_eq!(line.daemon.row("SELECT count(*) FROM copy"), "2");
    fs::rename(&away, &copies).expect("back");
    let both = "SELECT count(*) FROM copy";
    wait_until("both copies", Duration::from_secs(25), || {
        (line.daemon.try_row(both)? == "4").then_some(())
    });
    for call in ["ASC", "DESC"] {
        let query = format!("SELECT id FROM call ORDER BY arrived_ms {call} LIMIT 1");
        let own = line.daemon.recording_path(&query);
        let inside = own.strip_prefix(line.room.folder.path().join("dutyline/recordings"));
        let copy = copies.join(inside.expect("below the recordings"));
        assert_eq!(fs::read(&own).expect("there"), fs::read(&copy).expect("there"));
    }
}
