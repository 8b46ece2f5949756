//! A second disk that is gone, refuses, forgets and spoils; the first copy stays what it was.

mod far;

use super::compare::Ask;
use super::*;
use crate::duty::journal::{Arrival, Fact, Noted};
use crate::duty::keeping::Rules;
use crate::io::durable::{self, Asked};
use crate::io::store::{Agreed, CheckRow, FileKind, PersonId, Sealed, Who};
use std::fs;
use std::path::Path;

struct Site {
    folder: tempfile::TempDir,
    copier: Copier,
    calls: Vec<(CallId, PathBuf)>,
}

impl Site {
    async fn with(calls: usize) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(&folder.path().join("a.db"), clock::random()).unwrap();
        let plan = Plan {
            recordings: folder.path().join("recordings"),
            copies: Place::Folder(folder.path().join("copies")),
            turns: Turns::default(),
        };
        fs::create_dir_all(plan.recordings.join("2026/11/26")).unwrap();
        fs::create_dir(folder.path().join("copies")).unwrap();
        let copier = Copier::new(plan, store, Board::new());
        let mut site = Self { folder, copier, calls: vec![] };
        for n in 0..calls {
            site.seal(n).await;
        }
        site
    }

    async fn seal(&mut self, n: usize) {
        let store = &self.copier.store;
        let call = CallId::new(clock::now(), &mut clock::random());
        let arrival = Arrival::from_number(call, &format!("8812345{n}"), "");
        let fact = Fact::Arrived(Box::new(arrival));
        store.note(Noted { at: clock::now(), fact }).await.unwrap();
        let wav = PathBuf::from(format!("2026/11/26/{call}.wav"));
        let tape = wav.with_extension("tape");
        let digest = |path: &Path| {
            let path = self.copier.plan.recordings.join(path);
            fs::write(&path, format!("{} of {n}", path.display())).unwrap();
            file::digest(&path).unwrap()
        };
        let (sha256, tape_sha256) = (digest(&wav), Some(digest(&tape)));
        let tape = Some(tape);
        let sealed = Sealed { wav: wav.clone(), tape, sha256, tape_sha256, ..Sealed::default() };
        assert!(store.recording_sealed(call, sealed, clock::now()).await.unwrap());
        self.calls.push((call, wav));
    }

    async fn turn(&self) -> bool {
        self.copier.turn(DateTime::UNIX_EPOCH).await.unwrap() == Turn::Well
    }

    async fn left(&self) -> usize {
        self.copier.store.uncopied(DateTime::UNIX_EPOCH, None, 1000).await.unwrap().len()
    }

    fn alarm(&self, key: &str) -> Option<String> {
        self.copier.board.status().alarms.get(key).map(|alarm| alarm.zh.clone())
    }

    fn copies(&self) -> PathBuf {
        self.folder.path().join("copies")
    }

    fn copy(&self, n: usize) -> PathBuf {
        self.copies().join(&self.calls[n].1)
    }

    fn own(&self, n: usize) -> PathBuf {
        self.copier.plan.recordings.join(&self.calls[n].1)
    }
}

#[tokio::test]
async fn rec_d15_every_recording_and_tape_is_on_both_disks() {
    let mut site = Site::with(3).await;
    assert_eq!(site.left().await, 6);
    assert!(site.turn().await);
    assert_eq!((site.left().await, site.alarm("copies")), (0, None));
    for n in 0..3 {
        for path in [site.calls[n].1.clone(), site.calls[n].1.with_extension("tape")] {
            let both = [&site.copier.plan.recordings, &site.copies()];
            let [own, copy] = both.map(|folder| fs::read(folder.join(&path)).unwrap());
            assert_eq!(own, copy);
        }
    }
    site.seal(3).await;
    let recent = clock::now().wall - RECENT;
    assert_eq!(site.copier.turn(recent).await, Ok(Turn::Well), "and what is sealed later");
    assert!(site.copy(3).is_file());
}

#[tokio::test]
async fn rec_d9_a_disk_that_is_gone_is_told_and_made_up_for_and_the_first_copy_stays() {
    let site = Site::with(2).await;
    let away = site.folder.path().join("away");
    fs::rename(site.copies(), &away).unwrap();
    assert!(!site.turn().await);
    assert!(site.alarm("copies").unwrap().contains("本机的一份仍在"));
    assert!(!site.copies().exists(), "a lost mount is not made up");
    assert_eq!(site.left().await, 4);
    assert!(site.own(0).is_file() && site.own(1).is_file());
    fs::rename(&away, site.copies()).unwrap();
    assert!(site.turn().await);
    assert_eq!((site.left().await, site.alarm("copies")), (0, None));
}

/// Every operation is refused once, and the bytes on the other disk are not those that were written.
#[test]
fn rec_d9_what_is_not_read_back_as_it_was_is_no_copy() {
    let folder = tempfile::tempdir().unwrap();
    let (own, other) = (folder.path().join("own"), folder.path().join("other"));
    fs::create_dir_all(own.join("d")).unwrap();
    fs::create_dir(&other).unwrap();
    let path = Path::new("d/a.wav");
    fs::write(own.join(path), vec![7; 600_000]).unwrap();
    let sha256 = file::digest(&own.join(path)).unwrap();
    for wanted in 1.. {
        let mut count = 0;
        durable::watch(Some(Box::new(move |_| {
            count += 1;
            if count == wanted {
                Err(std::io::Error::from_raw_os_error(libc::EIO))
            } else {
                Ok(true)
            }
        })));
        let done = file::copy(&own, &other, path, &sha256);
        durable::watch(None);
        if done.is_ok() && wanted > 30 {
            break;
        }
        if done.is_err() {
            file::copy(&own, &other, path, &sha256).unwrap();
        }
        assert_eq!(fs::read(other.join(path)).unwrap(), vec![7; 600_000], "refused at {wanted}");
        fs::remove_file(other.join(path)).unwrap();
    }
    let _ = fs::remove_file(other.join(path));
    durable::watch(Some(Box::new(|asked| {
        if let Asked::Sync(part) = asked {
            let mut bytes = fs::read(part)?;
            bytes[300_000] ^= 1;
            fs::write(part, bytes)?;
        }
        Ok(true)
    })));
    let done = file::copy(&own, &other, path, &sha256);
    durable::watch(None);
    assert!(matches!(done, Err(Fault::Copy(why)) if why.contains("read back")));
    assert!(!other.join(path).exists());
    assert_eq!(fs::read(own.join(path)).unwrap(), vec![7; 600_000], "the first is as it was");
}

#[tokio::test]
async fn rec_d9_a_recording_that_is_not_what_the_log_says_is_not_copied_and_named() {
    let site = Site::with(2).await;
    fs::write(site.own(0), "another").unwrap();
    assert!(!site.turn().await);
    let alarm = site.alarm("copies_own").unwrap();
    assert!(
        alarm.contains(&site.calls[0].0.to_string()) && alarm.contains("没有第二份"),
        "{alarm}"
    );
    assert_eq!(site.alarm("copies"), None, "nothing says that the first is kept");
    assert!(!site.copy(0).exists());
    assert!(site.copy(1).is_file(), "the others are");
    assert_eq!(fs::read(site.own(0)).unwrap(), b"another", "kept for examination");
    let rows = site.copier.store.sealed_files(None, 10).await.unwrap();
    let copied = |kind| rows.iter().filter(|row| row.copied && row.kind == kind).count();
    assert_eq!((copied(FileKind::Wav), copied(FileKind::Tape)), (1, 2));
}

#[tokio::test]
async fn rec_d15_both_copies_are_compared_with_the_log_and_what_is_spoiled_is_named_and_mended() {
    let site = Site::with(4).await;
    assert!(site.turn().await);
    let row = site.copier.check().await.unwrap();
    assert_eq!((row.own, row.copies, row.faults), (8, 8, 0));
    let mut bytes = fs::read(site.copy(1)).unwrap();
    bytes[3] ^= 0x40;
    fs::write(site.copy(1), &bytes).unwrap();
    fs::remove_file(site.copy(2)).unwrap();
    fs::write(site.own(3), "spoiled").unwrap();
    let row = site.copier.check().await.unwrap();
    assert_eq!(row.faults, 1, "what is mended is no fault: {}", row.named);
    assert!(row.named.contains(&site.calls[3].0.to_string()), "{}", row.named);
    assert!(site.alarm("copies_differ").unwrap().contains("勿删除"));
    for n in [1, 2] {
        assert_eq!(fs::read(site.copy(n)).unwrap(), fs::read(site.own(n)).unwrap());
    }
    let aside = format!("{}.damaged-1", site.copy(1).display());
    assert_eq!(fs::read(aside).unwrap(), bytes, "kept for examination");
    assert_eq!(fs::read(site.own(3)).unwrap(), b"spoiled", "never overwritten by itself");
    fs::copy(site.copy(3), site.own(3)).unwrap();
    assert_eq!(site.copier.check().await.unwrap().faults, 0);
    assert_eq!(site.alarm("copies_differ"), None);
}

/// Whatever its name: a link to the folder, or to one in it.
#[tokio::test]
async fn rec_d15_a_recording_is_never_its_own_second_copy() {
    let site = Site::with(1).await;
    let (plan, copies) = (&site.copier.plan, &site.copies());
    let (call, path) = &site.calls[0];
    fs::remove_dir(copies).unwrap();
    std::os::unix::fs::symlink(&plan.recordings, copies).unwrap();
    assert_eq!(site.copier.turn(DateTime::UNIX_EPOCH).await, Ok(Turn::Stopped));
    assert!(site.alarm("copies").unwrap().contains("own folder"));
    assert_eq!(site.left().await, 2);
    let again = plan.recordings.join("../recordings");
    let done = file::copy(&plan.recordings, &again, path, "another");
    assert!(matches!(done, Err(Fault::Copy(why)) if why.contains("own folder")));
    fs::remove_file(copies).unwrap();
    fs::create_dir(copies).unwrap();
    std::os::unix::fs::symlink(plan.recordings.join("2026"), copies.join("2026")).unwrap();
    let done = file::copy(&plan.recordings, copies, path, "another");
    assert!(matches!(done, Err(Fault::Copy(why)) if why.contains("recording itself")));
    site.copier.store.copied(*call, FileKind::Wav, clock::now()).await.unwrap();
    let row = site.copier.check().await.unwrap();
    assert_eq!((row.copies, row.faults), (0, 1), "{}", row.named);
    fs::write(site.own(0), "spoiled").unwrap();
    assert_eq!(site.copier.check().await.unwrap().faults, 2);
    let names = fs::read_dir(site.own(0).parent().unwrap()).unwrap();
    assert_eq!(names.count(), 2, "nothing is renamed, nothing is added");
    assert_eq!(fs::read(site.own(0)).unwrap(), b"spoiled");
}

#[test]
fn rec_d9_a_copy_counts_when_its_content_and_its_name_last() {
    let folder = tempfile::tempdir().unwrap();
    let (own, other) = (folder.path().join("own"), folder.path().join("other"));
    fs::create_dir_all(own.join("2026/11")).unwrap();
    fs::create_dir(&other).unwrap();
    let path = Path::new("2026/11/a.wav");
    fs::write(own.join(path), vec![7; 1000]).unwrap();
    let sha256 = file::digest(&own.join(path)).unwrap();
    let synced = || {
        let (seen, told) = std::sync::mpsc::channel();
        durable::watch(Some(Box::new(move |asked| {
            if let Asked::Sync(path) | Asked::SyncFolder(path) = asked {
                seen.send(path.to_owned()).unwrap();
            }
            Ok(true)
        })));
        file::copy(&own, &other, path, &sha256).unwrap();
        durable::watch(None);
        told.iter().collect::<Vec<_>>()
    };
    let (to, day) = (other.join(path), other.join("2026/11"));
    let first = synced();
    for folder in [&other, &other.join("2026"), &day] {
        assert!(first.contains(folder), "{} in {first:?}", folder.display());
    }
    assert_eq!(synced(), [to, day], "what is there already may never have been synced");
}

/// Of two files each, they are more than are looked at together.
#[tokio::test]
async fn rec_d9_spoiled_recordings_hold_up_no_other_and_are_not_read_again_at_each_turn() {
    let spoiled = PAGE as usize / 2 + 1;
    let mut site = Site::with(spoiled).await;
    for n in 0..spoiled {
        for path in [site.own(n), site.own(n).with_extension("tape")] {
            fs::write(path, "another").unwrap();
        }
    }
    site.seal(spoiled).await;
    assert_eq!(site.copier.turn(DateTime::UNIX_EPOCH).await, Ok(Turn::Faulty));
    assert!(site.copy(spoiled).is_file(), "the newest of all is copied");
    let alarm = site.alarm("copies_own").unwrap();
    assert!(alarm.contains(&format!("{} 个文件", 2 * spoiled)), "{alarm}");
    assert!(alarm.contains("请勿删除任何文件"), "{alarm}");
    assert_eq!(site.alarm("copies"), None);
    for n in 0..spoiled {
        for path in [site.calls[n].1.clone(), site.calls[n].1.with_extension("tape")] {
            let path = site.copier.plan.recordings.join(path);
            fs::write(&path, format!("{} of {n}", path.display())).unwrap();
        }
    }
    assert!(!site.turn().await, "known for an hour");
    assert_eq!(site.left().await, 2 * spoiled);
    for (at, _) in site.copier.known().bad.values_mut() {
        *at -= KNOWN_FOR;
    }
    assert!(site.turn().await);
    assert_eq!((site.left().await, site.alarm("copies_own")), (0, None));
}

/// A pipe without a writer is opened as a file on a lost mount: not at all.
#[tokio::test]
async fn rec_d9_a_mount_that_hangs_is_told_and_waited_for() {
    use std::os::unix::ffi::OsStrExt;
    let mut site = Site::with(1).await;
    site.copier.patience = Duration::from_millis(20);
    fs::create_dir_all(site.copy(0).parent().unwrap()).unwrap();
    let pipes = [site.copy(0), site.copy(0).with_extension("tape")];
    for pipe in &pipes {
        let name = std::ffi::CString::new(pipe.as_os_str().as_bytes()).unwrap();
        // SAFETY: a NUL-terminated path that lives through the call.
        assert_eq!(unsafe { libc::mkfifo(name.as_ptr(), 0o600) }, 0);
    }
    let copier = site.copier.clone();
    let turn = tokio::spawn(async move { copier.turn(DateTime::UNIX_EPOCH).await });
    while site.alarm("copies").is_none() {
        tokio::task::yield_now().await;
    }
    assert!(site.alarm("copies").unwrap().contains("无应答"));
    assert!(!turn.is_finished(), "nothing is tried beside it");
    let open = |pipe| fs::OpenOptions::new().read(true).write(true).open(pipe).unwrap();
    let opened = pipes.each_ref().map(open);
    assert_eq!(turn.await.unwrap(), Ok(Turn::Stopped), "a pipe is no copy");
    drop(opened);
    pipes.iter().for_each(|pipe| fs::remove_file(pipe).unwrap());
    assert!(site.turn().await);
    assert_eq!(site.alarm("copies"), None);
}

#[test]
fn rec_d9_a_mount_that_hangs_for_good_keeps_nobody_from_leaving() {
    let (open, gate) = std::sync::mpsc::channel::<()>();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    runtime.block_on(async {
        let hanging = patience::wait(Duration::ZERO, move || gate.recv(), || ());
        let left = tokio::time::timeout(Duration::from_millis(20), hanging).await;
        assert!(left.is_err(), "it hangs");
    });
    drop(runtime);
    drop(open);
}

#[tokio::test]
async fn rec_d9_a_mount_that_is_empty_is_told_at_once_and_nothing_is_written_there() {
    let mut site = Site::with(2).await;
    assert!(site.turn().await);
    let copies = site.copies();
    let away = site.folder.path().join("away");
    fs::rename(copies.join("2026"), &away).unwrap();
    site.seal(2).await;
    assert_eq!(site.copier.turn(DateTime::UNIX_EPOCH).await, Ok(Turn::Stopped));
    assert!(site.alarm("copies").unwrap().contains("mounted"));
    assert_eq!(site.copier.check().await.unwrap().faults, 4, "nothing is mended there");
    assert_eq!(fs::read_dir(&copies).unwrap().count(), 0);
    fs::rename(&away, copies.join("2026")).unwrap();
    assert!(site.turn().await);
    assert_eq!((site.left().await, site.alarm("copies")), (0, None));
}

#[tokio::test]
async fn rec_d9_a_counted_copy_that_is_gone_is_told_and_everything_is_compared_at_once() {
    let site = Site::with(3).await;
    assert!(site.turn().await);
    let newest = &site.calls.iter().max().unwrap().1;
    let newest = site.copies().join(newest);
    fs::remove_file(&newest).unwrap();
    fs::remove_file(newest.with_extension("tape")).unwrap();
    let wanted = || tokio::time::timeout(Duration::ZERO, site.copier.check_now.notified());
    assert!(wanted().await.is_err());
    assert_eq!(site.copier.turn(DateTime::UNIX_EPOCH).await, Ok(Turn::Faulty));
    assert!(site.alarm("copies").unwrap().contains("不见了"));
    assert!(wanted().await.is_ok());
    assert!(!site.turn().await);
    assert!(wanted().await.is_err(), "once");
    assert_eq!(site.copier.check().await.unwrap().faults, 0, "it is mended");
    assert!(newest.is_file());
    assert!(site.turn().await);
    assert_eq!(site.alarm("copies"), None);
}

/// Also where the clock was ahead when it was done.
#[tokio::test]
async fn rec_d15_everything_is_compared_a_day_after_it_was() {
    let site = Site::with(1).await;
    assert!(site.turn().await);
    let compared = async |ago: TimeDelta| {
        let to = clock::now().wall - ago;
        let row = CheckRow { from: to, to, ..CheckRow::default() };
        site.copier.store.copies_checked(row).await.unwrap();
        site.copier.check_where_due(false).await.unwrap().map(|row| row.own + row.copies)
    };
    assert_eq!(site.copier.check_where_due(false).await.unwrap().unwrap().own, 2, "never yet");
    assert_eq!(site.copier.check_where_due(false).await, Ok(None));
    assert_eq!(compared(TimeDelta::hours(23)).await, None);
    assert_eq!(compared(TimeDelta::hours(25)).await, Some(4));
    assert_eq!(compared(TimeDelta::days(-30)).await, Some(4), "by a clock that was ahead");
    assert_eq!(site.copier.check_where_due(true).await.unwrap().unwrap().own, 2, "one is missed");
}

#[tokio::test]
async fn rec_d15_what_was_compared_before_a_restart_is_an_alarm_after_it() {
    let site = Site::with(1).await;
    assert!(site.turn().await);
    fs::write(site.own(0), "spoiled").unwrap();
    assert_eq!(site.copier.check().await.unwrap().faults, 1);
    let (plan, store) = (Plan::clone(&site.copier.plan), site.copier.store.clone());
    let again = Copier::new(plan, store, Board::new());
    again.begin().await;
    let alarms = again.board.status().alarms;
    assert_eq!(
        alarms.get("copies_differ").map(|alarm| alarm.zh.clone()),
        site.alarm("copies_differ")
    );
    assert!(alarms["copies_differ"].zh.contains("1 个文件"));
    fs::copy(site.copy(0), site.own(0)).unwrap();
    site.copier.check().await.unwrap();
    let again =
        Copier::new(Plan::clone(&site.copier.plan), site.copier.store.clone(), Board::new());
    again.begin().await;
    assert!(again.board.status().alarms.is_empty());
}

#[tokio::test]
async fn rec_d14_what_is_given_up_while_everything_is_compared_is_no_fault() {
    use crate::io::store::tests::{add_officer, add_second, officer};
    let site = Site::with(2).await;
    assert!(site.turn().await);
    let store = &site.copier.store;
    add_officer(store);
    add_second(store, 2, "li", "李主任");
    let page = store.sealed_files(None, PAGE).await.unwrap();
    let rules = Rules { ordinary: Some(TimeDelta::zero()), ..Rules::default() };
    let list = store.list_for_destruction(&officer(), rules, "x", clock::now()).await.unwrap();
    let second = Who { id: PersonId(2), ..officer() };
    let agreed = store.agree_to_destruction(&second, list.unwrap(), rules, clock::now()).await;
    assert_eq!(agreed, Ok(Agreed::Agreed));
    for n in 0..2 {
        fs::remove_file(site.own(n)).unwrap();
    }
    assert_eq!(page.len(), 4);
    for sealed in page {
        let seen = site.copier.look_at_both(sealed, Ask::Last).await.unwrap();
        assert!(seen.is_none(), "{:?}", seen.map(|seen| seen.faults));
    }
    assert_eq!(site.copier.check().await.unwrap().faults, 0);
}

#[tokio::test]
async fn rec_d15_what_becomes_flac_while_everything_is_compared_is_compared_as_that() {
    use crate::io::store::AsFlac;
    let site = Site::with(1).await;
    assert!(site.turn().await);
    let page = site.copier.store.sealed_files(None, PAGE).await.unwrap();
    let (call, wav) = &site.calls[0];
    let flac = wav.with_extension("flac");
    let both = [&site.copier.plan.recordings, &site.copies()];
    for folder in both {
        fs::write(folder.join(&flac), "flac").unwrap();
        fs::remove_file(folder.join(wav)).unwrap();
    }
    let sha256 = file::digest(&both[0].join(&flac)).unwrap();
    let made = AsFlac { path: flac.clone(), sha256, bytes: 4 };
    assert!(site.copier.store.is_flac(*call, made, clock::now()).await.unwrap());
    let look = async || {
        let seen = site.copier.look_at_both(page[1].clone(), Ask::Last).await.unwrap().unwrap();
        (seen.copies, seen.faults.len(), seen.mended.len())
    };
    assert_eq!(page[1].path, *wav);
    assert_eq!(look().await, (1, 0, 0));
    fs::write(both[0].join(&flac), "spoiled").unwrap();
    assert_eq!(look().await, (1, 1, 0));
}

#[test]
fn no_row_leads_out_of_the_folder() {
    for path in ["../a.wav", "/etc/passwd", "d/../../a"] {
        assert!(file::below(Path::new("/r"), Path::new(path)).is_err(), "{path}");
    }
}
