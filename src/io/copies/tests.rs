//! A second disk that is gone, refuses, forgets and spoils; the first copy stays what it was.

use super::*;
use crate::duty::journal::{Arrival, Fact, Noted};
use crate::io::durable::{self, Asked};
use crate::io::store::{FileKind, Sealed};
use std::fs;

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
            copies: folder.path().join("copies"),
        };
        fs::create_dir_all(plan.recordings.join("2026/11/26")).unwrap();
        fs::create_dir(&plan.copies).unwrap();
        let copier = Copier { plan: Arc::new(plan), store, board: Board::new() };
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
        self.copier.turn(DateTime::UNIX_EPOCH).await.unwrap()
    }

    async fn left(&self) -> usize {
        self.copier.store.uncopied(DateTime::UNIX_EPOCH, 1000).await.unwrap().len()
    }

    fn alarm(&self, key: &str) -> Option<String> {
        self.copier.board.status().alarms.get(key).map(|alarm| alarm.zh.clone())
    }

    fn copy(&self, n: usize) -> PathBuf {
        self.copier.plan.copies.join(&self.calls[n].1)
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
            let both = [&site.copier.plan.recordings, &site.copier.plan.copies];
            let [own, copy] = both.map(|folder| fs::read(folder.join(&path)).unwrap());
            assert_eq!(own, copy);
        }
    }
    site.seal(3).await;
    let recent = clock::now().wall - RECENT;
    assert!(site.copier.turn(recent).await.unwrap(), "and what is sealed later");
    assert!(site.copy(3).is_file());
}

#[tokio::test]
async fn rec_d9_a_disk_that_is_gone_is_told_and_made_up_for_and_the_first_copy_stays() {
    let site = Site::with(2).await;
    let away = site.folder.path().join("away");
    fs::rename(&site.copier.plan.copies, &away).unwrap();
    assert!(!site.turn().await);
    assert!(site.alarm("copies").unwrap().contains("本机的一份仍在"));
    assert!(!site.copier.plan.copies.exists(), "a lost mount is not made up");
    assert_eq!(site.left().await, 4);
    assert!(site.own(0).is_file() && site.own(1).is_file());
    fs::rename(&away, &site.copier.plan.copies).unwrap();
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
    assert!(site.alarm("copies").unwrap().contains(&site.calls[0].0.to_string()));
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
    assert_eq!(row.faults, 3, "{}", row.named);
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

#[test]
fn no_row_leads_out_of_the_folder() {
    for path in ["../a.wav", "/etc/passwd", "d/../../a"] {
        assert!(file::below(Path::new("/r"), Path::new(path)).is_err(), "{path}");
    }
}
