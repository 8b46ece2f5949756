//! What is handed out: whole, checked where nothing else is, and whatever is altered in it found.

use super::{Log, assert_sound, first_file, flip, log};
use crate::duty::entry::Field;
use crate::duty::escalation::Policy;
use crate::duty::journal::{AttemptResult, Disposition, Fact, Urgency};
use crate::duty::notices::{self, Kind};
use crate::duty::roster::Role;
use crate::duty::switchboard::Input;
use crate::io::clock;
use crate::io::kept::Places;
use crate::io::proof::bundle::Bundle;
use crate::io::proof::handed::{self, Handed};
use crate::io::proof::key::SigningKey;
use crate::io::proof::order::{Draft, Order};
use crate::io::proof::{crc, tables, zip};
use crate::io::store::tests::{arrival, at, call, note, officer, one, roster};
use crate::io::store::{Came, Recipient, Scope, Sealed, Sounds, Store};
use sha2::{Digest, Sha256};
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::sync::Arc;

pub async fn bundle(log: &Log, store: &Store, scope: Scope) -> anyhow::Result<Option<Bundle>> {
    bundle_of(log, store, scope, Places::alone(&log.path("recordings"))).await
}

pub async fn bundle_of(
    log: &Log,
    store: &Store,
    scope: Scope,
    places: Places,
) -> anyhow::Result<Option<Bundle>> {
    let Some(draft) = draft_of(log, store, scope, places).await? else { return Ok(None) };
    draft.bundle(&mut |_| true).map(Some)
}

pub async fn draft_of(
    log: &Log,
    store: &Store,
    scope: Scope,
    places: Places,
) -> anyhow::Result<Option<Draft>> {
    let origin = store.origin().await.unwrap();
    let key = Arc::new(SigningKey::load_or_make(&log.path("data"), &origin).unwrap());
    let who = officer();
    let order = Order {
        store,
        places,
        key,
        who: Some(&who),
        scope,
        sounds: Sounds::All,
        now: clock::now(),
    };
    order.draft().await
}

/// The first call, handed out into a folder that knows nothing of the log.
async fn handed_out() -> (Log, tempfile::TempDir, PathBuf) {
    let log = log().await;
    let store = log.open();
    let bundle = bundle(&log, &store, Scope::Entry(call(1).into())).await.unwrap().unwrap();
    let audited: String =
        one(&store, "SELECT actor || ' ' || object FROM audit WHERE action = 'export.ask'");
    assert_eq!(audited, format!("王值班 {}", call(1)), "it is noted who had what");
    drop(store);
    assert_sound(&log.check());
    let elsewhere = tempfile::tempdir().unwrap();
    let folder = bundle.write_into(elsewhere.path()).unwrap();
    (log, elsewhere, folder)
}

fn check(folder: &Path) -> Handed {
    handed::check(folder, None).unwrap()
}

#[tokio::test]
async fn rec_e2_what_is_handed_out_is_checked_without_the_log() {
    let (log, _elsewhere, folder) = handed_out().await;
    assert_eq!(folder.file_name().unwrap(), "记-20261003-0001");
    let key = fs::read_to_string(log.path("data/signing.pub")).unwrap();
    let key = crate::duty::proof::PublicKey::parse(&key);
    drop(log);
    let found = handed::check(&folder, key).unwrap();
    assert!(found.is_sound() && found.trusted, "{found}");
    assert!(found.rows >= 10, "{found}");
    let rows = fs::read_to_string(folder.join("rows.jsonl")).unwrap();
    for kind in ["entry", "revision", "call", "claim", "recording", "audit", "escalation"] {
        assert!(rows.contains(&format!("\"kind\":\"{kind}\"")), "{kind}");
    }
    assert!(!rows.contains(&call(2).to_string()), "nothing of another call");
    assert!(rows.contains("recording.play"), "who listened is part of it");
    let readme = fs::read_to_string(folder.join("README.txt")).unwrap();
    assert!(readme.contains("核验") && readme.contains("To check it"), "{readme}");
    for extension in ["wav", "tape"] {
        first_file(&folder.join("recordings"), extension);
    }
    let entries = fs::read_to_string(folder.join("entries.csv")).unwrap();
    assert!(entries.starts_with('\u{feff}') && entries.contains("停电"), "{entries}");
}

#[tokio::test]
async fn rec_e2_what_did_not_work_while_somebody_called_is_handed_out_with_his_call() {
    let log = log().await;
    let store = log.open();
    let (from, to) = (at(70.0).wall, at(3_670.0).wall);
    store.clock_stepped(from, to, at(70.0)).await.unwrap();
    note_end(&store, 1, 90.0);
    let bundle = bundle(&log, &store, Scope::Entry(call(1).into())).await.unwrap().unwrap();
    let elsewhere = tempfile::tempdir().unwrap();
    let folder = bundle.write_into(elsewhere.path()).unwrap();
    assert!(check(&folder).is_sound());
    let outages = fs::read_to_string(folder.join("outages.csv")).unwrap();
    assert!(
        outages.contains("时钟被调整 +3600.0 秒") && !outages.contains("disk full"),
        "{outages}"
    );
}

#[tokio::test]
async fn rec_e2_numbers_and_codes_of_who_may_answer_are_not_handed_out_but_the_text_that_did() {
    let log = log().await;
    let store = log.open();
    let (name, kind, least) = ("短信".to_owned(), Kind::Sms, Urgency::Urgent);
    let channel = notices::Channel { name, kind, least, repeat: None, to_leader: false };
    store.set_channels(vec![channel.clone()], at(305.0)).await.unwrap();
    store.flag(&officer(), call(2).into(), Urgency::Urgent, at(310.0)).await.unwrap();
    let owed = store.next_notice(&channel, at(311.0)).await.unwrap().send.expect("owed");
    let deliveries = owed.tries.iter().map(|(delivery, _)| *delivery).collect();
    let to = |number: &str, person: &str, role| Recipient {
        number: number.to_owned(),
        person: person.to_owned(),
        role,
    };
    let (leader, deputy) = ("13900000001", "13900000002");
    let people = vec![to(leader, "张局", Role::Leader), to(deputy, "李主任", Role::Substitute)];
    // The first call's matter is owed too.
    let own = store.texted(deliveries, people, at(311.0)).await.unwrap().pop().unwrap();
    let code = format!("\"{own}\"");
    let accepted = notices::Verdict::Accepted { id: None };
    store.notice_ended(&channel, owed.tries, accepted, at(312.0)).await.unwrap();
    let rows = async || {
        let bundle = bundle(&log, &store, Scope::Entry(call(2).into())).await.unwrap().unwrap();
        let elsewhere = tempfile::tempdir().unwrap();
        let folder = bundle.write_into(elsewhere.path()).unwrap();
        assert!(check(&folder).is_sound());
        fs::read_to_string(folder.join("rows.jsonl")).unwrap()
    };
    let open = rows().await;
    assert!(open.contains("\"kind\":\"delivery\""), "{open}");
    assert!(!open.contains(leader) && !open.contains(deputy) && !open.contains(&code), "{open}");
    for (nth, (text, seconds)) in [("什么？", 319.0), (&*own, 320.0)].into_iter().enumerate() {
        let (channel, name) = (channel.name.clone(), nth.to_string());
        let (from, text) = (leader.to_owned(), text.to_owned());
        let came = Came { channel, name, from, text, sent: None };
        store.text_came(came, "63001234", at(seconds)).await.unwrap();
    }
    let over = rows().await;
    assert_eq!(over.matches("\"kind\":\"reply\"").count(), 1, "{over}");
    assert!(over.contains(leader) && !over.contains(deputy) && !over.contains("什么？"), "{over}");
}

/// A leader was told of it in the call that began for another matter.
#[tokio::test]
async fn rec_e2_the_recording_of_a_call_that_two_matters_share_is_handed_out_with_either() {
    let log = log().await;
    let store = log.open();
    store.flag(&officer(), call(2).into(), Urgency::Urgent, at(310.0)).await.unwrap();
    let cycle = store.next_calls(at(311.0), &Policy::default(), &roster()).await.unwrap();
    let orders = cycle.inputs.into_iter().filter_map(|input| match input {
        Input::Notify(order) => Some(order),
        _ => None,
    });
    let (host, joined): (Vec<_>, Vec<_>) = orders.partition(|order| order.joins.is_none());
    let (host, joined) = (&host[0], &joined[0]);
    assert_eq!(joined.joins, Some(host.attempt));
    store.flag(&officer(), call(3).into(), Urgency::Urgent, at(312.0)).await.unwrap();
    let cycle = store.next_calls(at(313.0), &Policy::default(), &roster()).await.unwrap();
    let late = cycle.inputs.into_iter().find_map(|input| match input {
        Input::Notify(order) if order.joins == Some(host.attempt) => Some(order),
        _ => None,
    });
    let (late, result) = (late.expect("it was to join too"), AttemptResult::Busy);
    let ended = Fact::AttemptEnded { attempt: late.attempt, result, status: 486 };
    note(&store, 314.0, ended);
    let (name, content) = (format!("{}.wav", host.attempt), "what he said");
    fs::write(log.path("recordings").join(&name), content).unwrap();
    let sha256 = hex::encode(Sha256::digest(content));
    let sealed = Sealed { wav: name.into(), sha256, bytes: 12, ..Sealed::default() };
    for order in [host, joined] {
        let (attempt, result) = (order.attempt, AttemptResult::Acknowledged);
        note(&store, 320.0, Fact::AttemptAnswered { attempt });
        note(&store, 330.0, Fact::AttemptEnded { attempt, result, status: 200 });
    }
    assert!(store.recording_sealed(host.attempt.into(), sealed, at(340.0)).await.unwrap());
    let scope = Scope::Entry(joined.entry);
    assert_eq!(store.extent(scope).await.unwrap().bytes, 1_212);
    let bundle = bundle(&log, &store, scope).await.unwrap().unwrap();
    let elsewhere = tempfile::tempdir().unwrap();
    let folder = bundle.write_into(elsewhere.path()).unwrap();
    assert!(check(&folder).is_sound());
    let rows = fs::read_to_string(folder.join("rows.jsonl")).unwrap();
    let of = |kind: &str| {
        rows.lines().filter(|row| row.contains(&format!("\"kind\":\"{kind}\""))).count()
    };
    assert_eq!((of("recording"), of("escalation"), of("attempt")), (2, 1, 1), "{rows}");

    // Of the third he was never told in it: what he said is none of its own.
    let scope = Scope::Entry(late.entry);
    assert_eq!(store.extent(scope).await.unwrap().bytes, 1_200);
    let bundle = self::bundle(&log, &store, scope).await.unwrap().unwrap();
    let elsewhere = tempfile::tempdir().unwrap();
    let folder = bundle.write_into(elsewhere.path()).unwrap();
    let rows = fs::read_to_string(folder.join("rows.jsonl")).unwrap();
    let of = |kind: &str| rows.matches(&format!("\"kind\":\"{kind}\"")).count();
    assert_eq!((of("recording"), of("attempt")), (1, 1), "{rows}");
}

fn note_end(store: &Store, n: u8, seconds: f64) {
    let why = "BYE".to_owned();
    let disposition = Disposition::Answered;
    note(store, seconds, Fact::Ended { call: call(n), disposition, by: None, status: 200, why });
}

/// Where summer time ends two calls an hour apart come at the same time of day.
#[tokio::test]
async fn rec_k2_two_calls_at_the_same_time_of_day_are_two_in_their_order() {
    let log = Log::empty();
    let store = log.open();
    crate::io::store::tests::add_officer(&store);
    for n in 1..=2_u8 {
        let wall = chrono::DateTime::parse_from_rfc3339(match n {
            1 => "2026-11-01T01:30:00-04:00",
            _ => "2026-11-01T01:30:00-05:00",
        });
        let now = crate::protocol::now::Now { wall: wall.unwrap().to_utc(), ..at(f64::from(n)) };
        let noted = crate::duty::journal::Noted { at: now, fact: arrival(n, "13800130007") };
        store.apply(&noted).unwrap();
    }
    let entries = store.recent_entries(9).await.unwrap();
    let numbers: Vec<_> = entries.iter().map(|row| row.number.as_str()).collect();
    assert_eq!(numbers, ["记-20261101-0002", "记-20261101-0001"], "the newer first");
    let until = entries[0].occurred + chrono::TimeDelta::seconds(1);
    let hour = Scope::Period(entries[1].occurred, until);
    let bundle = bundle(&log, &store, hour).await.unwrap().unwrap();
    let elsewhere = tempfile::tempdir().unwrap();
    let folder = bundle.write_into(elsewhere.path()).unwrap();
    let table = fs::read_to_string(folder.join("entries.csv")).unwrap();
    for time in ["2026-11-01 13:30:00.000 +08:00", "2026-11-01 14:30:00.000 +08:00"] {
        assert!(table.contains(time), "each with its offset: {table}");
    }
}

#[tokio::test]
async fn a_period_has_its_entries_and_what_did_not_work_in_it() {
    let log = log().await;
    let store = log.open();
    let scope = |from: f64, to: f64| Scope::Period(at(from).wall, at(to).wall);
    let elsewhere = tempfile::tempdir().unwrap();
    let hand = async |from, to| {
        let bundle = bundle(&log, &store, scope(from, to)).await.unwrap().unwrap();
        let folder = bundle.write_into(elsewhere.path()).unwrap();
        let found = check(&folder);
        assert!(found.is_sound(), "{found}");
        (fs::read_to_string(folder.join("rows.jsonl")).unwrap(), folder)
    };
    let (rows, folder) = hand(100.0, 250.0).await;
    assert!(rows.contains(&call(2).to_string()) && rows.contains("\"kind\":\"outage\""));
    assert!(!rows.contains(&call(1).to_string()) && !rows.contains(&call(3).to_string()));
    assert!(fs::read_to_string(folder.join("outages.csv")).unwrap().contains("disk full"));
    let (rows, folder) = hand(10.0, 20.0).await;
    assert_eq!(rows, "", "nobody called, and nothing failed");
    assert!(!folder.join("entries.csv").exists());
}

/// Each hand in it, and what is named.
type Edit = (&'static str, fn(&Path), &'static str);

fn replace(path: PathBuf, old: &str, new: &str) {
    let text = fs::read_to_string(&path).unwrap();
    assert!(text.contains(old), "{old} in {}", path.display());
    fs::write(path, text.replace(old, new)).unwrap();
}

const EDITS: &[Edit] = &[
    ("a bit of the WAV", |f| flip(&first_file(&f.join("recordings"), "wav"), 50), ".wav"),
    ("a bit of the tape", |f| flip(&first_file(&f.join("recordings"), "tape"), 50), ".tape"),
    ("no WAV", |f| fs::remove_file(first_file(&f.join("recordings"), "wav")).unwrap(), ".wav"),
    ("a text in a table", |f| replace(f.join("entries.csv"), "停电", "无事"), "entries.csv"),
    ("a text in a row", |f| replace(f.join("rows.jsonl"), "停电", "无事"), "rows.jsonl:"),
    (
        "a row taken out",
        |f| {
            let path = f.join("rows.jsonl");
            let text = fs::read_to_string(&path).unwrap();
            fs::write(
                &path,
                text.split_inclusive('\n')
                    .filter(|l| !l.contains("\"kind\":\"revision\""))
                    .collect::<String>(),
            )
            .unwrap();
        },
        "entry ",
    ),
    ("the list", |f| replace(f.join("manifest.json"), "王值班", "别人"), "manifest.json"),
    ("the head", |f| replace(f.join("head.txt"), "head 3", "head 4"), "head.txt"),
    (
        "a file put in",
        |f| fs::write(f.join("recordings/other.wav"), "x").unwrap(),
        "recordings/other.wav",
    ),
    ("a link put in", |f| symlink("/etc/hostname", f.join("more")).unwrap(), "more"),
    (
        "a link for a file",
        |f| {
            let wav = first_file(&f.join("recordings"), "wav");
            let kept = f.parent().unwrap().join("kept.wav");
            fs::rename(&wav, &kept).unwrap();
            symlink(kept, wav).unwrap();
        },
        ".wav",
    ),
    (
        "a link for a folder",
        |f| {
            let kept = f.parent().unwrap().join("kept");
            fs::rename(f.join("recordings"), &kept).unwrap();
            symlink(kept, f.join("recordings")).unwrap();
        },
        "recordings",
    ),
];

#[tokio::test]
async fn whatever_is_altered_in_what_was_handed_out_is_named() {
    let (_log, elsewhere, folder) = handed_out().await;
    assert!(check(&folder).is_sound(), "{}", check(&folder));
    for (at, (what, edit, place)) in EDITS.iter().enumerate() {
        let copy = elsewhere.path().join(format!("copy{at}/it"));
        super::copy_folder(&folder, &copy);
        edit(&copy);
        let found = check(&copy);
        let named = found.faults.iter().any(|fault| fault.place.contains(place));
        assert!(named, "{what}: no {place}\n{found}");
    }
}

#[tokio::test]
async fn a_list_that_leads_out_of_the_folder_leads_nowhere() {
    let (log, elsewhere, folder) = handed_out().await;
    fs::write(elsewhere.path().join("secret"), "x").unwrap();
    // Signed anew, as only somebody with the key could.
    let origin = "dutyline/0123456789abcdef";
    let key = SigningKey::load_or_make(&log.path("recordings"), origin).unwrap();
    for path in ["../secret", "/etc/hostname", "recordings/../../secret", "", "."] {
        let manifest = format!(
            r#"{{"format":"dutyline-export-1","what":"x","origin":"{origin}","made":"2026-10-03T00:00:00Z","made_by":"x","files":[{{"path":"{path}","bytes":1,"sha256":"","sm3":""}}]}}"#
        );
        use base64::Engine;
        let signature =
            base64::engine::general_purpose::STANDARD.encode(key.sign(manifest.as_bytes()));
        fs::write(folder.join("manifest.json"), &manifest).unwrap();
        fs::write(folder.join("manifest.sig"), signature).unwrap();
        fs::write(folder.join("key.txt"), key.public.to_string()).unwrap();
        let found = check(&folder);
        let fault = found.faults.iter().find(|fault| fault.place == path).expect("named");
        assert!(fault.en.contains("cannot be read"), "{path}: {fault:?}");
    }
    for nonsense in ["", "{}", "[1", "\u{0}"] {
        fs::write(folder.join("manifest.json"), nonsense).unwrap();
        assert!(handed::check(&folder, None).is_err(), "{nonsense:?}");
    }
}

#[test]
fn rec_e4_no_cell_of_a_table_is_a_formula() {
    for (cell, safe) in [
        ("=1+1", "\"'=1+1\""),
        ("+8613800130007", "\"'+8613800130007\""),
        ("-1", "\"'-1\""),
        ("@SUM(A1)", "\"'@SUM(A1)\""),
        ("\tx", "\"'\tx\""),
        ("\rx", "\"'\rx\""),
        ("say \"x\", y", "\"say \"\"x\"\", y\""),
        ("", "\"\""),
        ("停水=停电", "\"停水=停电\""),
    ] {
        assert_eq!(tables::safe(cell), safe);
    }
}

#[tokio::test]
async fn rec_e4_what_a_caller_calls_himself_is_text_in_every_file() {
    let log = Log::empty();
    let store = log.open();
    crate::io::store::tests::add_officer(&store);
    let hostile = "=cmd|' /C calc'!A0\"<script>../../x\u{202e}";
    let entry = crate::io::store::tests::entry(&store, 1, 0.0);
    let who = officer();
    let saved = store.save_field(&who, entry, Field::CallerName, "", hostile, at(5.0));
    saved.await.unwrap();
    let bundle = bundle(&log, &store, Scope::Entry(entry)).await.unwrap().unwrap();
    assert!(bundle.parts.iter().all(|part| part.path.is_ascii() && !part.path.contains("..")));
    let elsewhere = tempfile::tempdir().unwrap();
    let folder = bundle.write_into(elsewhere.path()).unwrap();
    assert!(check(&folder).is_sound());
    let table = fs::read_to_string(folder.join("entries.csv")).unwrap();
    assert!(table.contains("\"'=cmd|"), "{table}");
}

#[tokio::test]
async fn the_zip_is_opened_by_what_others_open_it_with() {
    let log = log().await;
    let store = log.open();
    let bundle = bundle(&log, &store, Scope::Entry(call(1).into())).await.unwrap().unwrap();
    let mut bytes = vec![];
    zip::write(&bundle, &mut bytes).unwrap();
    assert_eq!(zip::length_of(&bundle), Some(bytes.len() as u64));
    let elsewhere = tempfile::tempdir().unwrap();
    let file = elsewhere.path().join("export.zip");
    fs::write(&file, bytes).unwrap();
    let script = "import sys, zipfile\nz = zipfile.ZipFile(sys.argv[1])\n\
                  assert z.testzip() is None\nz.extractall(sys.argv[2])";
    let python = std::process::Command::new("python3")
        .args(["-c", script])
        .args([&file, elsewhere.path()])
        .status();
    match python {
        Ok(status) => assert!(status.success()),
        Err(error) => {
            println!("python3 is not here ({error}): the ZIP is not opened by it");
            return;
        }
    }
    let found = check(&elsewhere.path().join("记-20261003-0001"));
    assert!(found.is_sound(), "{found}");
    // The check value of CRC-32/ISO-HDLC.
    let mut crc = crc::Crc::default();
    crc.update(b"123456789");
    assert_eq!(crc.finish(), 0xCBF4_3926);
}
