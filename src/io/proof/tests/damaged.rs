//! What is damaged or gone is had from the second copy, or named, and keeps nobody from the rest.

use super::handing_out::{bundle, bundle_of, draft_of};
use super::{Log, copy_folder, flip, log, recording};
use crate::io::copies::place::Place;
use crate::io::kept::Places;
use crate::io::proof::bundle::{Bundle, FORMAT, FORMAT_DAMAGED, Manifest};
use crate::io::proof::handed;
use crate::io::store::tests::{at, call};
use crate::io::store::{Scope, Store};
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

/// All three calls.
fn all() -> Scope {
    Scope::Period(at(0.0).wall, at(400.0).wall)
}

struct Out {
    _elsewhere: tempfile::TempDir,
    folder: PathBuf,
    /// What the verifier says.
    said: String,
    sound: bool,
    manifest: Manifest,
}

fn written(bundle: &Bundle) -> Out {
    let elsewhere = tempfile::tempdir().unwrap();
    let folder = bundle.write_into(elsewhere.path()).unwrap();
    let found = handed::check(&folder, None).unwrap();
    let manifest =
        serde_json::from_slice(&fs::read(folder.join("manifest.json")).unwrap()).unwrap();
    let (said, sound) = (found.to_string(), found.is_sound());
    Out { _elsewhere: elsewhere, folder, said, sound, manifest }
}

async fn out(log: &Log, store: &Store, places: Places) -> Out {
    written(&bundle_of(log, store, all(), places).await.unwrap().unwrap())
}

/// Where the second copies are.
fn with_copies(log: &Log) -> Places {
    copy_folder(&log.path("recordings"), &log.path("copies"));
    let copies = Some(Place::Folder(log.path("copies")));
    Places { copies, ..Places::alone(&log.path("recordings")) }
}

fn files(folder: &Path) -> usize {
    fs::read_dir(folder.join("recordings")).unwrap().count()
}

#[tokio::test]
async fn rec_e2_a_damaged_recording_is_handed_out_from_its_second_copy() {
    let log = log().await;
    let (wav, tape) = (recording(&log, "wav"), recording(&log, "tape"));
    let store = log.open();
    let places = with_copies(&log);
    let real = fs::read(&wav).unwrap();
    flip(&wav, 9);
    fs::remove_file(&tape).unwrap();
    let out = out(&log, &store, places.clone()).await;
    assert!(out.sound && out.manifest.absent.is_empty(), "{}", out.said);
    assert_eq!((out.manifest.format.as_str(), files(&out.folder)), (FORMAT, 6));
    let handed = out.folder.join("recordings").join(wav.file_name().unwrap());
    assert_eq!(fs::read(handed).unwrap(), real, "never the one that was altered");
    // A copy that is damaged too is no better.
    flip(&log.path("copies").join(wav.file_name().unwrap()), 10);
    let out = self::out(&log, &store, places).await;
    assert_eq!((out.manifest.absent.len(), files(&out.folder)), (1, 5), "{}", out.said);
}

#[tokio::test]
async fn rec_e2_what_nobody_has_undamaged_is_named_and_all_else_is_there() {
    let log = log().await;
    let (wav, tape) = (recording(&log, "wav"), recording(&log, "tape"));
    let (damaged, gone) = (wav.file_name().unwrap(), tape.file_name().unwrap());
    flip(&wav, 9);
    fs::remove_file(&tape).unwrap();
    let store = log.open();
    let out = out(&log, &store, Places::alone(&log.path("recordings"))).await;
    assert_eq!((out.manifest.format.as_str(), files(&out.folder)), (FORMAT_DAMAGED, 4));
    assert!(out.folder.join("entries.csv").exists() && out.folder.join("rows.jsonl").exists());
    let readme = fs::read_to_string(out.folder.join("README.txt")).unwrap();
    for file in [damaged, gone] {
        let name = format!("recordings/{}", file.to_str().unwrap());
        let absent = out.manifest.absent.iter().find(|one| one.file == name);
        assert!(absent.is_some_and(|one| !one.reason.is_empty()), "{name}: {:?}", out.manifest);
        assert!(out.said.contains(&name) && out.said.contains("未交出"), "{}", out.said);
        assert!(readme.contains(&name), "{readme}");
    }
    assert!(out.sound, "nothing of it was altered: {}", out.said);
    // What is said to be damaged and was put in all the same is not what the row says.
    fs::copy(&wav, out.folder.join("recordings").join(damaged)).unwrap();
    assert!(!handed::check(&out.folder, None).unwrap().is_sound());
    fs::remove_file(out.folder.join("recordings").join(damaged)).unwrap();
    let other = fs::read_dir(out.folder.join("recordings")).unwrap().next().unwrap().unwrap();
    fs::remove_file(other.path()).unwrap();
    assert!(!handed::check(&out.folder, None).unwrap().is_sound(), "others must be there");
}

#[tokio::test]
async fn rec_e2_what_two_people_destroy_while_it_is_put_together_is_said_to_be_so() {
    let log = log().await;
    let store = log.open();
    let places = Places::alone(&log.path("recordings"));
    let draft = async || draft_of(&log, &store, all(), places.clone()).await.unwrap().unwrap();
    let stopped = draft().await.bundle(&mut |_| false);
    assert!(stopped.is_err(), "told to stop, it stops");
    let draft = draft().await;
    let wav = recording(&log, "wav");
    let of = wav.file_stem().unwrap().to_str().unwrap();
    log.edit(&format!(
        "PRAGMA foreign_keys = OFF; INSERT INTO destroyed (call, list, at_ms) VALUES ('{of}', 1, 0)"
    ));
    fs::remove_file(&wav).unwrap();
    let mut heard = vec![];
    let bundle = draft.bundle(&mut |done| {
        heard.push(done);
        true
    });
    let bundle = bundle.unwrap();
    let [damaged] = &bundle.damaged[..] else { panic!("one") };
    assert!(damaged.call == of && damaged.reason.contains("两人同意销毁"), "{damaged:?}");
    assert!(heard.is_sorted() && heard.len() >= 5, "{heard:?}");
}

#[tokio::test]
async fn rec_e2_a_disk_that_is_away_is_not_a_month_of_damaged_recordings() {
    let log = log().await;
    let store = log.open();
    fs::rename(log.path("recordings"), log.path("away")).unwrap();
    let none = bundle(&log, &store, all()).await.err().unwrap();
    assert!(format!("{none:#}").contains("是否已挂载"), "{none:#}");
    fs::create_dir(log.path("recordings")).unwrap();
    assert!(bundle(&log, &store, all()).await.is_err(), "the folder that it is mounted on");
    let nobody = Scope::Matter(call(99).into());
    assert!(bundle(&log, &store, nobody).await.unwrap().is_none());
}

#[tokio::test]
async fn rec_e4_no_row_and_no_link_leads_an_export_out_of_the_recordings() {
    let log = log().await;
    let wav = recording(&log, "wav");
    let store = log.open();
    // Each has its file, or is named as one that has none.
    let refused = async || {
        let mut refused = 0;
        for n in 1..=3 {
            let handed = bundle(&log, &store, Scope::Entry(call(n).into())).await.unwrap().unwrap();
            let wavs = handed.parts.iter().filter(|part| part.path.ends_with(".wav")).count();
            assert_eq!(wavs + handed.damaged.len(), 1, "{:?}", handed.damaged);
            refused += handed.damaged.len();
        }
        refused
    };
    assert_eq!(refused().await, 0);
    // The same bytes, by a link instead of the file.
    let elsewhere = log.path("elsewhere.wav");
    fs::rename(&wav, &elsewhere).unwrap();
    symlink(&elsewhere, &wav).unwrap();
    assert_eq!(refused().await, 1, "a link for a file");
    fs::remove_file(&wav).unwrap();
    fs::rename(&elsewhere, &wav).unwrap();
    assert_eq!(refused().await, 0);
    // A row that names another file, which has the right bytes.
    fs::copy(&wav, log.path("stolen.wav")).unwrap();
    let stolen = log.path("stolen.wav");
    symlink(log.folder.path(), log.path("recordings/through")).unwrap();
    for path in ["../stolen.wav", stolen.to_str().unwrap(), "./../stolen.wav", "through/stolen.wav"]
    {
        let name = wav.strip_prefix(log.path("recordings")).unwrap().display().to_string();
        log.edit(&format!("UPDATE recording SET wav = '{path}' WHERE wav = '{name}'"));
        assert_eq!(refused().await, 1, "{path}");
        log.edit(&format!("UPDATE recording SET wav = '{name}' WHERE wav = '{path}'"));
        assert_eq!(refused().await, 0);
    }
}
