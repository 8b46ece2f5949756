//! The power is cut in the middle of a call: the daemon's folders are on a file system of their own, of which a copy is made
//! at one instant, with nothing that was not yet on the disk; the next run, in another boot of the host, begins with that.

use crate::daemon::Plan;
use crate::have;
use crate::long_run::Rounds;
use crate::process::wait_until;
use crate::recorder::{Line, plan};
use crate::sound::readers_agree;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

/// What a cut may cost of a recording.
const LOST_MOST: Duration = Duration::from_secs(1);

/// How often it is cut: a few times, or as often as the long run asks for.
fn cuts() -> usize {
    std::env::var("DUTYLINE_CUTS").ok().and_then(|many| many.parse().ok()).unwrap_or(4)
}

fn run(program: &str, arguments: &[&str], paths: &[&Path]) -> bool {
    let done = Command::new(program).args(arguments).args(paths).output();
    done.is_ok_and(|done| done.status.success())
}

/// What makes the file system that is cut: of ext4, unless the long run names XFS.
fn maker() -> &'static str {
    match std::env::var("DUTYLINE_FS").as_deref() {
        Ok("xfs") => "mkfs.xfs",
        _ => "mkfs.ext4",
    }
}

/// A file system in a file on a btrfs, which clones it within an instant.
struct Disk {
    host: PathBuf,
    at: PathBuf,
    image: PathBuf,
    cuts: u32,
}

impl Disk {
    fn mount(folder: &Path) -> Option<Self> {
        let (host, at) = (folder.join("host"), folder.join("dutyline"));
        let (below, image) = (folder.join("host.img"), host.join("0.img"));
        for folder in [&host, &at] {
            fs::create_dir_all(folder).expect("a folder");
        }
        let sized = |path: &Path, megabytes: u64| {
            fs::File::create(path).and_then(|file| file.set_len(megabytes << 20)).is_ok()
        };
        let disk = Self { host, at, image, cuts: 0 };
        let mounted = sized(&below, 1024)
            && run("mkfs.btrfs", &["-q", "-f"], &[&below])
            && run("mount", &["-o", "loop"], &[&below, &disk.host])
            && sized(&disk.image, 400)
            && run(maker(), &["-q"], &[&disk.image])
            && run("mount", &["-o", "loop"], &[&disk.image, &disk.at]);
        if !mounted {
            println!("skipped: no file system may be mounted here");
        }
        mounted.then_some(disk)
    }

    /// What the disk holds now.
    fn cut(&mut self) -> PathBuf {
        self.cuts += 1;
        let copy = self.host.join(format!("{}.img", self.cuts));
        assert!(run("cp", &["--reflink=always"], &[&self.image, &copy]), "cloned");
        copy
    }

    /// Nobody uses it any more: this is in its place.
    fn replace(&mut self, copy: PathBuf) {
        assert!(run("umount", &[], &[&self.at]), "nobody uses it");
        fs::remove_file(&self.image).expect("removed");
        assert!(run("mount", &["-o", "loop"], &[&copy, &self.at]), "a file system after a cut");
        self.image = copy;
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        for folder in [&self.at, &self.host] {
            run("umount", &["-l"], &[folder]);
        }
    }
}

#[test]
fn rel_13_rec_d4_power_that_is_cut_in_a_call_costs_a_moment_of_it_and_no_entry() {
    if !have(&["mkfs.btrfs", maker(), "unshare", "soxi", "python3", "ffprobe"]) {
        return;
    }
    let mut disk = None;
    let Some(mut line) = Line::open(|folder| disk = Disk::mount(folder)) else { return };
    let Some(mut disk) = disk else { return };
    let folder = line.room.folder.path().to_owned();
    let boot = folder.join("boot-id");
    let reborn =
        format!("mount --bind '{}' /proc/sys/kernel/random/boot_id && exec \"$@\"", boot.display());
    let through = ["unshare", "--mount", "sh", "-c", &reborn, "sh"];
    let mut rounds = Rounds::open(cuts());
    for round in rounds.left() {
        let mut call = line.call();
        let row = format!("SELECT count(*) FROM call WHERE caller = '{}'", call.number);
        line.daemon.row_is(&row, "1");
        let known = line.daemon.row("SELECT count(*) FROM call");
        let spoken = Duration::from_millis(1300 + round as u64 * 737 % 2100);
        line.talk(&mut call, spoken);
        let copy = disk.cut();
        line.daemon.process.kill();
        disk.replace(copy);
        fs::write(&boot, format!("{:08x}-0000-4000-8000-000000000000\n", round + 1))
            .expect("written");
        let before = line.room.pbx.count("REGISTER 1001");
        line.daemon.restart(&folder, &line.room.ports, &Plan { through: &through, ..plan() });
        wait_until("the registration", Duration::from_secs(5), || {
            (line.room.pbx.count("REGISTER 1001") > before).then_some(())
        });
        assert_eq!(line.daemon.row("SELECT count(*) FROM call"), known, "no entry is lost");
        line.daemon.row_is(&line.row_of(&call, "c.state"), "ended");
        line.daemon.row_is(&line.row_of(&call, "r.state"), "partial");
        readers_agree(&line.daemon, &line.id_of(&call));
        let lost = spoken.saturating_sub(line.recorded(&call));
        assert!(lost <= LOST_MOST, "round {round}: {lost:?} of {spoken:?} are lost");
        assert_eq!(line.daemon.row("PRAGMA integrity_check"), "ok");
        rounds.done(round, lost.as_millis());
    }
    let (cuts, worst) = rounds.sum();
    println!("{}, {cuts} cuts: at most {worst} ms of a recording lost", maker());
    let (code, said) = line.daemon.command(&["verify", "--config", "dutyline.toml"]);
    assert_eq!(code, Some(0), "{said}");
    line.daemon.process.kill();
}
