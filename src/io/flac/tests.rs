//! Recordings that are kept as FLAC: nothing of them is lost at any step, and all that is done with recordings goes on.

mod killed;
mod restored;

use super::*;
use crate::duty::keeping::Rules;
use crate::io::copies::file::{copy, copy_read};
use crate::io::durable::tests as simulated;
use crate::io::durable::{self, Durable};
use crate::io::kept::Places;
use crate::io::orphans::{self, Orphans};
use crate::io::proof::handed;
use crate::io::proof::key::SigningKey;
use crate::io::proof::order::Order;
use crate::io::proof::verify::Wanted;
use crate::io::store::tests::{add_officer, add_second, arrival, call, note, officer, one, random};
use crate::io::store::{
    Agreed, AsFlac, Cut, FileKind, PersonId, RecordingFile, Scope, Sealed, Side, Sounds, Who,
};
use crate::io::tape::files;
use crate::io::wav_file::{self, StereoWriter};
use crate::io::{peaks, redaction};
use crate::protocol::now::Now;
use sound::{Sound, flac_of};
use std::fs;
use std::path::Path;

struct House {
    folder: tempfile::TempDir,
    plan: Plan,
    store: Store,
    board: Board,
    key: Arc<SigningKey>,
}

/// Two seconds of a caller who speaks and an officer who hums, other ones for each call.
fn speech(n: u8) -> Vec<u8> {
    let left = |at: i32| (at * (i32::from(n) + 3) % 700 - 350) * (at / 1000 % 4);
    let right = |at: i32| (f64::from(at) * 0.21).sin() * 4000.0;
    let sides = (0..16_000).map(|at| (left(at) as i16, right(at) as i16));
    let (left, right): (Vec<_>, Vec<_>) = sides.unzip();
    let mut out = StereoWriter::new(vec![], 16_000).unwrap();
    out.write(&left, &right).unwrap();
    out.finish().unwrap()
}

fn later() -> Now {
    clock::now() + Duration::from_secs(40 * 86_400)
}

impl House {
    async fn with(recordings: u8) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let at_root = |name: &str| folder.path().join(name);
        let plan = Plan {
            recordings: at_root("own"),
            copies: Some(Place::Folder(at_root("copies"))),
            turns: Turns::default(),
            after: TimeDelta::zero(),
        };
        let store = Store::open(&at_root("dutyline.db"), random()).unwrap();
        add_officer(&store);
        add_second(&store, 2, "li", "李主任");
        let origin = store.origin().await.unwrap();
        let key = Arc::new(SigningKey::load_or_make(folder.path(), &origin).unwrap());
        fs::create_dir(at_root("heads")).unwrap();
        let house = Self { folder, plan, store, board: Board::new(), key };
        for n in 1..=recordings {
            house.record(n).await;
        }
        house
    }

    async fn record(&self, n: u8) {
        note(&self.store, f64::from(n), arrival(n, "13812345678"));
        let wav = wav(n);
        for folder in self.folders() {
            fs::create_dir_all(folder.join("2026/10/03")).unwrap();
            fs::write(folder.join(&wav), speech(n)).unwrap();
            fs::write(folder.join(wav.with_extension("tape")), [n]).unwrap();
        }
        let digest = |path: &Path| files::sha256(&self.plan.recordings.join(path)).unwrap();
        let sealed = Sealed {
            sha256: digest(&wav),
            tape_sha256: Some(digest(&wav.with_extension("tape"))),
            tape: Some(wav.with_extension("tape")),
            wav,
            bytes: 64_044,
            duration: Duration::from_secs(2),
            ..Sealed::default()
        };
        assert!(self.store.recording_sealed(call(n), sealed, clock::now()).await.unwrap());
        for kind in [FileKind::Wav, FileKind::Tape] {
            self.store.copied(call(n), kind, clock::now()).await.unwrap();
        }
    }

    fn folders(&self) -> [&Path; 2] {
        match &self.plan.copies {
            Some(Place::Folder(copies)) => [&self.plan.recordings, copies],
            other => panic!("no folder: {other:?}"),
        }
    }

    /// Both disks' files of a call, by what comes behind its name.
    fn kept(&self, n: u8) -> [Vec<String>; 2] {
        self.folders().map(|folder| {
            let all = fs::read_dir(folder.join("2026/10/03")).unwrap();
            let names = all.map(|file| file.unwrap().file_name().into_string().unwrap());
            let call = call(n).to_string();
            let mut of: Vec<_> = names.filter(|name| name.contains(&call)).collect();
            of.sort();
            of.iter().map(|name| name.replace(&call, "")).collect()
        })
    }

    fn keeper(&self) -> Keeper {
        let (plan, store) = (Arc::new(self.plan.clone()), self.store.clone());
        Keeper { plan, store, board: self.board.clone(), stays: BTreeSet::new() }
    }

    async fn turn(&self) -> bool {
        self.keeper().turn().await.unwrap()
    }

    /// The FLAC is on both disks and noted, and the WAV still there: what is to be removed.
    async fn noted(&self, n: u8) -> FlacRow {
        let sha256 = files::sha256(&self.own(n)).unwrap();
        let sealed = ToFlac { call: call(n), wav: wav(n), sha256: sha256.clone() };
        let [own, other] = self.folders();
        let flac = file::make(own, &sealed, &|| true).unwrap();
        copy(own, other, &flac.path, &flac.sha256).unwrap();
        assert!(self.store.is_flac(call(n), flac.clone(), clock::now()).await.unwrap());
        FlacRow { call: call(n), wav: wav(n), sha256, flac }
    }

    fn own(&self, n: u8) -> PathBuf {
        self.plan.recordings.join(wav(n))
    }

    /// What is wrong with recordings, by their names.
    fn faults(&self) -> Vec<String> {
        let data = self.folder.path().to_owned();
        let recordings = self.plan.recordings.clone();
        let wanted = Wanted { data, recordings, ..Wanted::default() };
        let found = wanted.check().unwrap().checked;
        assert!(found.files.len() >= 2, "{found:?}");
        let places = found.faults.into_iter().map(|fault| fault.place);
        places.filter(|place| place.starts_with("recording")).collect()
    }
}

fn wav(n: u8) -> PathBuf {
    format!("2026/10/03/{}.wav", call(n)).into()
}

fn is(names: &[&str]) -> [Vec<String>; 2] {
    let names: Vec<_> = names.iter().map(|name| (*name).to_owned()).collect();
    [names.clone(), names]
}

#[tokio::test]
async fn what_is_older_is_kept_as_flac_on_both_disks_and_is_the_wav_that_was_sealed() {
    let house = House::with(3).await;
    let waves = [1, 2].map(|n| peaks::of(Sound::open(&house.own(n)).unwrap()).unwrap());
    let who = officer();
    let number =
        one::<String>(&house.store, "SELECT number FROM entry ORDER BY id LIMIT 1 OFFSET 2");
    let held = house.store.hold(&who, &number, "纪委调查", clock::now()).await.unwrap();
    assert!(held.is_some());
    assert!(house.turn().await);
    for n in [1, 2] {
        assert_eq!(house.kept(n), is(&[".flac", ".tape"]));
        let mut sound = vec![];
        std::io::Read::read_to_end(&mut Sound::open(&house.own(n)).unwrap(), &mut sound).unwrap();
        assert_eq!(sound, speech(n));
        assert_eq!(
            peaks::of(Sound::open(&house.own(n)).unwrap()).unwrap(),
            waves[usize::from(n) - 1]
        );
        let start = wav_file::read_start(Sound::open(&house.own(n)).unwrap(), 500).unwrap();
        let [left, _] = &start[..] else { panic!() };
        assert_eq!(left.len(), 500);
    }
    assert_eq!(house.kept(3), is(&[".tape", ".wav"]), "what is held is left alone");
    assert_eq!(one::<i64>(&house.store, "SELECT count(*) FROM wav_removed"), 2);
    let sweep = orphans::sweep(&house.store, &house.plan.recordings, Duration::ZERO).await;
    assert_eq!(sweep.unwrap(), Orphans::default());
    assert!(house.turn().await, "nothing is left to do");
    assert_eq!(one::<i64>(&house.store, "SELECT count(*) FROM flac"), 2);
    assert!(house.board.status().alarms.is_empty());
}

#[tokio::test]
async fn what_is_younger_has_no_second_copy_or_is_no_recording_stays_as_it_is() {
    let mut house = House::with(1).await;
    house.plan.after = TimeDelta::days(1);
    assert!(house.turn().await);
    assert_eq!(house.kept(1), is(&[".tape", ".wav"]));
    house.plan.after = TimeDelta::zero();
    let copies = house.plan.copies.take();
    assert!(house.turn().await);
    house.plan.copies = copies;
    assert_eq!(house.kept(1), is(&[".tape", ".wav"]), "its copy is out of reach");
    let mut spoiled = speech(1);
    spoiled[30_000] ^= 1;
    fs::write(house.own(1), &spoiled).unwrap();
    assert!(house.turn().await);
    assert_eq!(
        house.kept(1),
        is(&[".tape", ".wav"]),
        "nothing is made of what the log does not say"
    );
    assert_eq!(fs::read(house.own(1)).unwrap(), spoiled, "kept for examination");
    fs::write(house.own(1), speech(1)).unwrap();
    let away = house.folder.path().join("away");
    fs::rename(house.folders()[1], &away).unwrap();
    assert!(!house.turn().await);
    assert!(house.board.status().alarms["flac"].zh.contains("原录音都在"));
    assert_eq!(fs::read(house.own(1)).unwrap(), speech(1));
    fs::rename(&away, house.folders()[1]).unwrap();
    assert!(house.turn().await);
    assert_eq!(house.kept(1), is(&[".flac", ".tape"]));
    assert!(house.board.status().alarms.is_empty());
}

/// The folder is there still, and empty.
#[tokio::test]
async fn nothing_is_written_into_a_lost_mount_and_no_wav_goes_for_what_was_there() {
    let house = House::with(2).await;
    house.noted(1).await;
    let [_, copies] = house.folders();
    let away = house.folder.path().join("away");
    fs::rename(copies.join("2026"), &away).unwrap();
    assert!(!house.turn().await);
    assert!(house.board.status().alarms["flac"].zh.contains("mounted"));
    assert_eq!(fs::read_dir(copies).unwrap().count(), 0, "nothing is written there");
    for n in [1, 2] {
        assert_eq!(fs::read(house.own(n)).unwrap(), speech(n));
    }
    assert!(!flac_of(&house.own(2)).exists());
    assert_eq!(one::<i64>(&house.store, "SELECT count(*) FROM flac"), 1);
    assert_eq!(one::<i64>(&house.store, "SELECT count(*) FROM wav_removed"), 0);
    fs::rename(&away, copies.join("2026")).unwrap();
    assert!(house.turn().await);
    for n in [1, 2] {
        assert_eq!(house.kept(n), is(&[".flac", ".tape"]));
    }
    assert!(house.board.status().alarms.is_empty());
}

#[tokio::test]
async fn what_cannot_be_opened_or_is_damaged_is_told_tried_again_and_holds_up_no_other() {
    let house = House::with(4).await;
    house.noted(1).await;
    let flac = flac_of(&house.own(1));
    let whole = fs::read(&flac).unwrap();
    let mut bytes = whole.clone();
    bytes[9_000] ^= 16;
    fs::write(&flac, &bytes).unwrap();
    house.noted(2).await;
    let away = house.folder.path().join("away");
    fs::rename(house.own(3), &away).unwrap();
    let mut keeper = house.keeper();
    assert!(!keeper.turn().await.unwrap());
    assert!(house.board.status().alarms.contains_key("flac"));
    assert_eq!(house.kept(1), is(&[".flac", ".tape", ".wav"]));
    for n in [2, 4] {
        assert_eq!(house.kept(n), is(&[".flac", ".tape"]), "{n}");
    }
    fs::rename(&away, house.own(3)).unwrap();
    fs::write(&flac, &whole).unwrap();
    assert!(keeper.turn().await.unwrap(), "by the same run");
    for n in 1..=4 {
        assert_eq!(house.kept(n), is(&[".flac", ".tape"]), "{n}");
    }
    assert!(house.board.status().alarms.is_empty());
}

/// A page of the log was read, and what stands on it is kept as FLAC before it is looked at.
#[tokio::test]
async fn rec_d13_rec_d15_what_becomes_flac_while_everything_is_read_is_no_fault_and_is_backed_up() {
    let house = House::with(1).await;
    let (rows, sealed) = (
        house.store.kept_files(None, 99).await.unwrap(),
        house.store.sealed_files(None, 99).await.unwrap(),
    );
    assert!(house.turn().await);
    let [own, _] = house.folders();
    let mut orphans = Orphans::default();
    orphans.look_for(&house.store, own, rows).await.unwrap();
    assert_eq!(orphans, Orphans::default());
    let into = house.folder.path().join("backup");
    fs::create_dir(&into).unwrap();
    for file in &sealed {
        let now = house.store.sealed_file(file.call, file.kind).await.unwrap().unwrap();
        assert!(now.copied && own.join(&now.path).is_file());
        assert_eq!(now.path == file.path, file.kind == FileKind::Tape);
        copy_read(own, &into, &file.path, &file.sha256, Sound::open).unwrap();
    }
    assert_eq!(fs::read(into.join(wav(1))).unwrap(), speech(1), "the WAV of the older log");
    fs::remove_file(flac_of(&house.own(1))).unwrap();
    let rows = house.store.kept_files(None, 99).await.unwrap();
    orphans.look_for(&house.store, own, rows).await.unwrap();
    assert_eq!(orphans.rows, 1, "a FLAC that is gone is missed");
}

/// They stood on the same page when it was read.
#[tokio::test]
async fn rec_e6_what_is_held_meanwhile_keeps_its_wav() {
    let house = House::with(2).await;
    let rows = [house.noted(1).await, house.noted(2).await];
    let page = house.store.flac_and_wav(None, PAGE).await.unwrap();
    assert_eq!(page.iter().map(|row| row.call).collect::<Vec<_>>(), [call(1), call(2)]);
    let number = one::<String>(&house.store, "SELECT number FROM entry ORDER BY id LIMIT 1");
    let held = house.store.hold(&officer(), &number, "纪委调查", clock::now()).await.unwrap();
    assert!(held.is_some());
    let keeper = house.keeper();
    for row in rows {
        keeper.remove(row).await.unwrap().unwrap();
    }
    assert_eq!(house.kept(1), is(&[".flac", ".tape", ".wav"]));
    assert_eq!(house.kept(2), is(&[".flac", ".tape"]));
    assert_eq!(one::<i64>(&house.store, "SELECT count(*) FROM wav_removed"), 1);
}

#[tokio::test]
async fn with_many_calls_it_waits() {
    let house = House::with(1).await;
    house.board.update(|status| status.calls = QUIET + 1);
    let soon = Duration::from_millis(300);
    assert!(tokio::time::timeout(soon, house.turn()).await.is_err());
    assert_eq!(house.kept(1), is(&[".tape", ".wav"]));
    house.board.update(|status| status.calls = QUIET);
    assert!(house.turn().await);
    assert_eq!(house.kept(1), is(&[".flac", ".tape"]));
}

#[tokio::test]
async fn a_flac_that_is_another_one_is_named_kept_and_costs_no_wav() {
    let house = House::with(1).await;
    let flac = flac_of(&house.own(1));
    fs::write(&flac, "somebody's").unwrap();
    assert!(house.turn().await);
    assert_eq!(fs::read(&flac).unwrap(), b"somebody's");
    assert_eq!(fs::read(house.own(1)).unwrap(), speech(1));
    fs::remove_file(&flac).unwrap();
    assert!(house.turn().await);
    let noted = one::<String>(&house.store, "SELECT digest FROM flac");
    assert_eq!(files::sha256(&flac).unwrap(), noted);
    // As after a kill between the note and the removal, and a disk that spoiled the FLAC meanwhile.
    for folder in house.folders() {
        fs::write(folder.join(wav(1)), speech(1)).unwrap();
    }
    let row = FlacRow {
        call: call(1),
        wav: wav(1),
        sha256: files::sha256(&house.own(1)).unwrap(),
        flac: AsFlac { path: flac_of(&wav(1)), sha256: noted, bytes: 0 },
    };
    let mut bytes = fs::read(&flac).unwrap();
    bytes[9_000] ^= 16;
    fs::write(&flac, &bytes).unwrap();
    assert!(file::gives(&flac, &row.sha256, &|| true).is_err());
    let own = Place::Folder(house.plan.recordings.clone());
    assert!(file::remove_wav(&own, &row.wav, &row.flac).is_err());
    assert_eq!(fs::read(house.own(1)).unwrap(), speech(1));
}

#[tokio::test]
async fn rec_e1_rec_e2_rec_e3_it_is_verified_handed_out_and_redacted_as_the_wav_it_was() {
    let house = House::with(1).await;
    assert!(house.turn().await);
    assert_eq!(house.faults(), [""; 0]);
    let found: RecordingFile = house.store.recording_file(call(1)).await.unwrap().unwrap();
    let cut = Cut { from_ms: 500, to_ms: 1_000, side: Side::Left };
    let made = redaction::make(&house.plan.recordings, &found, (call(1), cut), 0).unwrap();
    assert_eq!(made.original, found.sha256);
    let who = officer();
    let derived = house.store.derive(&who, made, "隐去报料人", clock::now()).await.unwrap();
    assert_eq!(derived, Some(1));

    let scope = Scope::Entry(call(1).into());
    let places = Places::alone(&house.plan.recordings);
    let (key, now) = (house.key.clone(), clock::now());
    let order =
        Order { store: &house.store, places, key, who: None, scope, sounds: Sounds::All, now };
    let elsewhere = tempfile::tempdir().unwrap();
    let handed = order.bundle().await.unwrap().unwrap().write_into(elsewhere.path()).unwrap();
    let wav = handed.join(format!("recordings/{}.wav", call(1)));
    assert_eq!(fs::read(wav).unwrap(), speech(1), "byte for byte");
    let report = handed::check(&handed, None).unwrap();
    assert!(report.is_sound() && report.derived == 1, "{report}");

    let flac = flac_of(&house.own(1));
    let whole = fs::read(&flac).unwrap();
    for at in (0..whole.len()).step_by(whole.len() / 20) {
        let mut bytes = whole.clone();
        bytes[at] ^= 1;
        fs::write(&flac, bytes).unwrap();
        let faults = house.faults().join(" ");
        assert!(faults.contains(&format!("{}.flac", call(1))), "byte {at}: {faults}");
    }
    fs::write(&flac, whole).unwrap();
    assert_eq!(house.faults(), [""; 0]);
    fs::remove_file(&flac).unwrap();
    assert_eq!(house.faults().len(), 2, "the sound, and the FLAC that was noted");
}

#[tokio::test]
async fn rec_d14_rec_e6_it_is_destroyed_by_two_people_on_both_disks_and_held_as_any() {
    let house = House::with(2).await;
    assert!(house.turn().await);
    let (who, second) = (officer(), Who { id: PersonId(2), login: "li".to_owned(), ..officer() });
    let rules = Rules { ordinary: Some(TimeDelta::days(30)), ..Rules::default() };
    let number = one::<String>(&house.store, "SELECT number FROM entry ORDER BY id LIMIT 1");
    house.store.hold(&who, &number, "纪委调查", clock::now()).await.unwrap();
    let due = house.store.due(rules, None, later()).await.unwrap();
    assert_eq!((due.list.len(), due.held), (1, 1));
    let list =
        house.store.list_for_destruction(&who, rules, "期满", later()).await.unwrap().unwrap();
    let agreed = house.store.agree_to_destruction(&second, list, rules, later()).await.unwrap();
    assert_eq!(agreed, Agreed::Agreed);
    let plan = crate::io::keeping::Plan {
        recordings: house.plan.recordings.clone(),
        copies: house.plan.copies.clone(),
        turns: house.plan.turns.clone(),
    };
    let stopping = CancellationToken::new();
    let destroying =
        crate::io::keeping::keep(plan, house.store.clone(), house.board.clone(), stopping.clone());
    let gone = async {
        while one::<i64>(&house.store, "SELECT count(*) FROM gone") == 0 {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        stopping.cancel();
    };
    tokio::join!(destroying, gone);
    assert_eq!(house.kept(2), is(&[]));
    assert_eq!(house.kept(1), is(&[".flac", ".tape"]));
    assert_eq!(house.faults(), [""; 0]);
}

/// A quarter of an hour each, as it would be recorded.
#[test]
#[ignore = "measures: cargo test --lib flac:: -- --ignored --nocapture"]
fn how_fast_and_how_small() {
    let folder = tempfile::tempdir().unwrap();
    let speech = include_bytes!("../../demo/speech/caller.wav").as_slice();
    let caller = wav_file::read(speech).unwrap().remove(0);
    let law = crate::protocol::rtp::g711::decoding(crate::protocol::rtp::Codec::Pcma);
    let heard = |sample: &i16| {
        let near = law.iter().min_by_key(|one| (i32::from(**one) - i32::from(*sample)).abs());
        *near.unwrap()
    };
    let caller: Vec<i16> = caller.iter().map(heard).collect();
    let samples = 900 * 8000;
    let left: Vec<i16> = caller.iter().cycle().take(samples).copied().collect();
    let right: Vec<i16> = caller.iter().cycle().skip(30_000).take(samples).copied().collect();
    let path = folder.path().join("a.wav");
    let mut out = StereoWriter::new(Durable::create(&path).unwrap(), samples as u64).unwrap();
    out.write(&left, &right).unwrap();
    out.finish().unwrap();
    let sha256 = files::sha256(&path).unwrap();
    let sealed = ToFlac { call: call(1), wav: "a.wav".into(), sha256: sha256.clone() };
    let begin = std::time::Instant::now();
    let made = file::make(folder.path(), &sealed, &|| true).unwrap();
    let took = begin.elapsed();
    let begin = std::time::Instant::now();
    file::gives(&folder.path().join(&made.path), &sha256, &|| true).unwrap();
    let decoded = begin.elapsed();
    let share = made.bytes as f64 / path.metadata().unwrap().len() as f64;
    println!("made and compared in {took:?}, decoded in {decoded:?}, {share:.2} of the WAV");
    durable::remove(&path).unwrap();
}
