//! rec_e7: one key follows another. What was signed before stays good, a key that nobody signed for is named, and a
//! renewal that is cut off leaves a log that signs.

mod forged;

use super::{Log, assert_sound, log};
use crate::duty::proof::{PublicKey, Renewal, RenewalNote};
use crate::io::clock;
use crate::io::kept::Places;
use crate::io::proof::handed;
use crate::io::proof::key::{self, SigningKey};
use crate::io::proof::order::Order;
use crate::io::proof::renewal::Wanted;
use crate::io::proof::settling::{is_settled, new_path};
use crate::io::proof::signer::NoKey;
use crate::io::proof::witness::{self, Copies};
use crate::io::store::tests::{call, entry, officer, one};
use crate::io::store::{Renewing, Scope, Sounds, Store, StoreError};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

impl Log {
    fn wanted(&self) -> Wanted {
        Wanted {
            data: self.path("data"),
            folders: vec![self.path("witness")],
            lost: false,
            old: None,
            reason: "例行更换".to_owned(),
        }
    }

    fn public(&self) -> PublicKey {
        let text = fs::read_to_string(key::public_path(&self.path("data"))).unwrap();
        PublicKey::parse(&text).unwrap()
    }

    async fn renew(&self) -> (PublicKey, PublicKey) {
        let done = self.wanted().renew(&self.open()).await.unwrap();
        assert_eq!(done.unsent, Vec::<String>::new());
        (done.old.unwrap(), done.new)
    }

    /// The next daemon: whether it signs, and by which key.
    async fn signs(&self) -> Result<PublicKey, String> {
        let store = self.open();
        let origin = store.origin().await.unwrap();
        let ready = self.signer(&store, &origin).key(true).await;
        let key = ready.map_err(|fault| fault.to_string())?.key;
        let public = key.public.clone();
        store.sign_head(key, clock::now).await.map_err(|error| error.to_string())?;
        Ok(public)
    }

    async fn hand_out(&self, into: &Path) -> PathBuf {
        let store = self.open();
        let origin = store.origin().await.unwrap();
        let key = self.signer(&store, &origin).key(false).await.unwrap().key;
        let (places, who) = (Places::alone(&self.path("recordings")), officer());
        let scope = Scope::Entry(call(1).into());
        let now = clock::now();
        let order =
            Order { store: &store, places, key, who: Some(&who), scope, sounds: Sounds::All, now };
        order.bundle().await.unwrap().unwrap().write_into(into).unwrap()
    }
}

fn secret(log: &Log) -> PathBuf {
    key::secret_path(&log.path("data"))
}

#[tokio::test]
async fn rec_e7_the_old_key_signs_the_new_one_and_what_it_signed_stays_good() {
    let log = log().await;
    let elsewhere = tempfile::tempdir().unwrap();
    let before = elsewhere.path().join("before");
    fs::rename(log.hand_out(elsewhere.path()).await, &before).unwrap();
    let seed = fs::read_to_string(secret(&log)).unwrap();
    let (first, second) = log.renew().await;
    assert_ne!(first, second);
    assert_ne!(fs::read_to_string(secret(&log)).unwrap(), seed, "the old one is gone");
    assert!(is_settled(&log.path("data")));
    assert_eq!(log.public(), second);
    entry(&log.open(), 9, 900.0);
    assert_eq!(log.signs().await, Ok(second.clone()));
    let (again, third) = log.renew().await;
    assert_eq!(again, second);

    for given in [None, Some(first.clone()), Some(second.clone()), Some(third.clone())] {
        let report = log.check_by(given.clone());
        assert_sound(&report);
        let shown = report.to_string();
        for key in [&first, &second, &third] {
            assert!(shown.contains(&key.to_string()), "each with its heads: {shown}");
        }
        assert!(shown.contains("heads 1 to 4") && shown.contains("heads from 8 on"), "{shown}");
        assert!(shown.contains("signed for by the one before"), "{shown}");
    }
    for folder in ["data/heads", "witness"] {
        assert_eq!(witness::copies(&log.path(folder)).unwrap().renewals.len(), 2, "{folder}");
    }
    let store = log.open();
    let audit = "SELECT group_concat(action || detail) FROM audit WHERE object = ";
    let audit = format!("{audit}'{}'", second.hex_id());
    assert_eq!(one::<String>(&store, &audit), "key.renew例行更换");
    drop(store);

    let after = log.hand_out(elsewhere.path()).await;
    for key in [&first, &second, &third] {
        let found = handed::check(&after, Some(key.clone())).unwrap();
        assert!(found.is_sound(), "{key}: {found}");
    }
    assert!(handed::check(&before, Some(first)).unwrap().is_sound(), "as it ever was");
    let alone = handed::check(&before, Some(third.clone())).unwrap();
    assert!(!alone.is_sound(), "nothing in it leads to a later key");
    let known = witness::copies(&log.path("witness")).unwrap();
    let led = handed::check_by(&before, &[third], known).unwrap();
    assert!(led.is_sound(), "with what the witness has it is led there: {led}");
}

#[tokio::test]
async fn rec_e7_a_copy_put_back_elsewhere_and_a_log_cut_back_are_told_apart() {
    let log = log().await;
    let old = log.copy();
    let (first, second) = log.renew().await;
    let restored = log.copy();
    for given in [first.clone(), second.clone()] {
        assert_sound(&restored.check_by(Some(given)));
    }
    assert_eq!(restored.signs().await, Ok(second));
    // Yesterday's folder under today's witness.
    fs::remove_dir_all(old.path("witness")).unwrap();
    super::copy_folder(&log.path("witness"), &old.path("witness"));
    let report = old.check_by(Some(first));
    let named = |place: &str| report.checked.faults.iter().any(|fault| fault.place.contains(place));
    assert!(named("copy of key renewal 1"), "{report}");
}

#[tokio::test]
async fn rec_e7_a_renewed_key_signs_no_more_and_a_running_daemon_takes_up_the_new_one() {
    let log = log().await;
    let store = log.open();
    let origin = store.origin().await.unwrap();
    let signer = log.signer(&store, &origin);
    let mut witness = log.witness(&store, &origin);
    witness.signer = Arc::clone(&signer);
    witness.sign().await.unwrap();
    let held = Arc::clone(&signer).key(false).await.unwrap().key;
    let beside = Store::open_beside(&log.path("data/dutyline.db"), super::random()).unwrap();
    let done = log.wanted().renew(&beside).await.unwrap();
    let late = store.sign_head(held, clock::now).await;
    assert_eq!(late, Err(StoreError::KeyRenewed), "its last act was another");
    witness.sign().await.unwrap();
    assert_eq!(signer.key(false).await.unwrap().key.public, done.new);
    drop(store);
    assert_sound(&log.check());
}

fn old_path(data: &Path) -> PathBuf {
    data.join("signing.key.old-1")
}

/// The files as they lie when the power fails after each step; whether the row was written.
type Cut = (&'static str, bool, fn(&Path, &SigningKey));

const CUTS: &[Cut] = &[
    ("nothing is done", false, |_, _| {}),
    ("half a new key", false, |data, _| {
        fs::write(data.join("signing.key.new.part"), "AAA").unwrap();
    }),
    ("a new key", false, |data, new| write(&new_path(data), new)),
    ("the row", true, |data, new| write(&new_path(data), new)),
    ("the old one is put aside", true, |data, new| {
        write(&new_path(data), new);
        fs::rename(key::secret_path(data), old_path(data)).unwrap();
    }),
    ("the new one is in its place", true, |data, new| {
        fs::rename(key::secret_path(data), old_path(data)).unwrap();
        write(&key::secret_path(data), new);
    }),
    ("the old one is overwritten", true, |data, new| {
        fs::remove_file(key::secret_path(data)).unwrap();
        fs::write(old_path(data), [0; 45]).unwrap();
        write(&key::secret_path(data), new);
    }),
];

/// As it was made beside it.
fn write(path: &Path, _: &SigningKey) {
    fs::copy(path.parent().unwrap().join("made"), path).unwrap();
}

#[tokio::test]
async fn rec_e7_a_renewal_that_is_cut_off_anywhere_is_undone_or_finished_by_the_next_who_signs() {
    let whole = log().await;
    for (what, written, cut) in CUTS {
        let log = whole.copy();
        let data = log.path("data");
        let first = log.public();
        let new = SigningKey::make(&data, &data.join("made"), &first.origin).unwrap();
        let new = Arc::new(new);
        let store = log.open();
        if *written {
            let old = SigningKey::load(&data, &first.origin).unwrap();
            let renewing = Renewing {
                old: Some(Arc::new(old)),
                from: Some(first.clone()),
                new: Arc::clone(&new),
                reason: String::new(),
            };
            store.renew_key(renewing, clock::now()).await.unwrap().unwrap();
        }
        drop(store);
        cut(&data, &new);
        fs::remove_file(data.join("made")).unwrap();
        let in_force = if *written { new.public.clone() } else { first.clone() };
        assert_eq!(log.signs().await, Ok(in_force.clone()), "{what}");
        assert_eq!(log.public(), in_force, "{what}");
        assert!(is_settled(&data), "{what}");
        assert_sound(&log.check_by(Some(first)));
        let (old, _) = log.renew().await;
        assert_eq!(old, in_force, "{what}: and it can be renewed again");
        assert_sound(&log.check());
    }
}

#[tokio::test]
async fn rec_e7_a_lost_key_is_an_alarm_with_its_remedy_and_nobody_but_the_witness_vouches_for_the_next()
 {
    let log = log().await;
    let first = log.public();
    let refused = Wanted { lost: true, ..log.wanted() }.renew(&log.open()).await;
    assert!(refused.is_err_and(|fault| fault.to_string().contains("without --lost")));
    let store = log.open();
    let origin = store.origin().await.unwrap();
    let mut witness = log.witness(&store, &origin);
    witness.sign().await.unwrap();
    let alarm = || witness.board.status().alarms.get("signing_key").cloned();
    assert_eq!(alarm(), None);
    let kept = fs::read(secret(&log)).unwrap();
    fs::remove_file(secret(&log)).unwrap();
    witness.sign().await.unwrap();
    assert_eq!(fs::read(secret(&log)).unwrap(), kept, "what is in memory is written back");
    fs::write(secret(&log), "nonsense").unwrap();
    witness.sign().await.unwrap();
    let told = alarm().expect("what is in memory signs on, and it is told");
    assert!(told.zh.contains("不要重启") && told.en.contains("do not restart"), "{told:?}");
    fs::write(secret(&log), &kept).unwrap();
    witness.sign().await.unwrap();
    assert_eq!(alarm(), None);

    fs::write(secret(&log), "nonsense").unwrap();
    witness.signer = log.signer(&store, &origin);
    witness.sign().await.unwrap_err();
    let told = alarm().unwrap();
    assert!(
        told.zh.contains("signing.key 不是密钥") && told.zh.contains("key renew --lost"),
        "{told:?}"
    );
    assert!(told.en.contains("is no key") && told.en.contains("key renew --lost"), "{told:?}");
    let beside = Store::open_beside(&log.path("data/dutyline.db"), super::random()).unwrap();
    let plain = log.wanted().renew(&beside).await;
    assert!(plain.is_err_and(|fault| fault.to_string().contains("--lost")));
    let silent = Wanted { lost: true, reason: String::new(), ..log.wanted() };
    assert!(silent.renew(&beside).await.is_err_and(|fault| fault.to_string().contains("reason")));
    let wanted = Wanted { lost: true, reason: "磁盘坏".to_owned(), ..log.wanted() };
    let done = wanted.renew(&beside).await.unwrap();
    assert_eq!(done.old, Some(first.clone()), "signing.pub knows");
    let aside = log.path("data/signing.key.unfit-1");
    assert_eq!(fs::read_to_string(aside).unwrap(), "nonsense", "nothing of it is destroyed");
    witness.sign().await.unwrap();
    assert_eq!(alarm(), None, "the daemon goes on with the new one");
    drop((store, beside));

    let report = log.check();
    assert_sound(&report);
    assert!(report.to_string().contains("nobody vouches for it but the witness"), "{report}");
    let old_only = log.check_by(Some(first.clone()));
    let foreign = old_only.checked.faults.iter().any(|it| it.en.contains("with --key"));
    assert!(foreign && old_only.to_string().contains("head 7"), "{old_only}");
    let both = Several { log: &log, keys: vec![first, done.new.clone()] }.check();
    assert_sound(&both);
    fs::remove_file(log.path("witness/renewals.heads")).unwrap();
    let report = log.check_by(Some(done.new));
    let fault = report.checked.faults.iter().find(|fault| fault.place == "key_renewal [1]");
    assert!(fault.is_some_and(|it| it.en.contains("witness has nothing")), "{report}");
}

/// Several keys that were written down.
struct Several<'a> {
    log: &'a Log,
    keys: Vec<PublicKey>,
}

impl Several<'_> {
    fn check(self) -> super::Report {
        let wanted = super::Wanted {
            data: self.log.path("data"),
            recordings: self.log.path("recordings"),
            folders: vec![self.log.path("witness")],
            copies: vec![],
            keys: self.keys,
        };
        wanted.check().unwrap()
    }
}

#[tokio::test]
async fn rec_e7_without_even_the_public_half_there_is_a_way_on() {
    let log = log().await;
    let first = log.public();
    fs::remove_file(secret(&log)).unwrap();
    fs::remove_file(key::public_path(&log.path("data"))).unwrap();
    let told = log.signs().await.unwrap_err();
    assert!(told.contains("signing.key"), "{told}");
    let store = log.open();
    let other = PublicKey { ed25519: [7; 32], ..first.clone() };
    let wrong = Wanted { lost: true, old: Some(other), ..log.wanted() }.renew(&store).await;
    assert!(wrong.is_err_and(|fault| fault.to_string().contains("--old")));
    let done = Wanted { lost: true, ..log.wanted() }.renew(&store).await.unwrap();
    assert_eq!(done.old, None);
    drop(store);
    assert_eq!(log.signs().await, Ok(done.new.clone()));
    let report = log.check();
    assert!(report.checked.faults.iter().any(|fault| fault.place == "head 1"), "{report}");
    assert_sound(&Several { log: &log, keys: vec![first, done.new] }.check());
}

#[test]
fn rec_e7_a_note_of_a_renewal_is_read_as_it_was_written_and_as_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    let origin = "dutyline/0123456789abcdef";
    let key = |name: &str| SigningKey::make(folder.path(), &folder.path().join(name), origin);
    let (old, new) = (key("old").unwrap(), key("new").unwrap());
    let at = "2026-10-03T13:42:00Z".parse().unwrap();
    let (from, to) = (Some(old.public.clone()), new.public.clone());
    let renewal = Renewal { from, to, lost: false, number: 1, head: 12, at };
    let text = renewal.text();
    let by = [&old, &new].map(|key| (&key.public, key.sign(text.as_bytes())));
    let note = renewal.note(&by);
    let read = RenewalNote::parse(&note).unwrap();
    assert_eq!((&read.renewal, &read.text), (&renewal, &text));
    for key in [&old, &new] {
        assert!(key::is_among(&key.public, &read.text, &read.signatures));
    }
    assert_eq!(crate::duty::proof::head::Note::parse(&note), None, "it is no head");
    let mut found = Copies::default();
    assert_eq!(found.read(&note.repeat(2)), 0);
    assert_eq!(found.renewals, [read.clone(), read]);
    let lines = note.split_inclusive('\n').count();
    for cut in 1..lines {
        let piece: String = note.split_inclusive('\n').take(cut).collect();
        let whole = cut == lines - 1;
        assert_eq!(RenewalNote::parse(&piece).is_some(), whole, "{piece}");
    }
    for altered in [
        note.replace("renewal 1", "renewal 01"),
        note.replace("key renewed", "key lost?"),
        note.replace("head 12", "head -1"),
        note.replacen("dutyline/", "dutyline/f", 1),
        format!("{note}x"),
    ] {
        assert_eq!(RenewalNote::parse(&altered), None, "{altered}");
    }
}

#[tokio::test]
async fn rec_e7_nobody_waits_for_long_for_whoever_is_stopped_in_a_renewal() {
    let log = log().await;
    let store = log.open();
    let origin = store.origin().await.unwrap();
    let stopped = crate::io::proof::lock::alone(&log.path("data")).unwrap();
    let asked = log.signer(&store, &origin).key(false);
    let answer = tokio::time::timeout(std::time::Duration::from_secs(20), asked).await.unwrap();
    assert!(matches!(answer.map(drop), Err(NoKey::Busy)), "it is no lost key");
    drop(stopped);
    assert!(log.signer(&store, &origin).key(false).await.is_ok());
}

#[tokio::test]
async fn rec_e7_an_old_half_that_cannot_be_destroyed_is_told_and_hinders_nothing() {
    let log = log().await;
    fs::set_permissions(secret(&log), std::os::unix::fs::PermissionsExt::from_mode(0o400)).unwrap();
    let (_, second) = log.renew().await;
    assert!(is_settled(&log.path("data")), "read-only or not");
    // As a disk that gives it back for ever.
    let stuck = old_path(&log.path("data"));
    fs::create_dir_all(stuck.join("x")).unwrap();
    let store = log.open();
    let origin = store.origin().await.unwrap();
    let ready = log.signer(&store, &origin).key(false).await.unwrap();
    assert_eq!(ready.key.public, second);
    let (zh, en) = ready.fault.expect("it is told");
    assert!(zh.contains("signing.key.old") && en.contains("by hand"), "{zh} {en}");
    let done = log.wanted().renew(&store).await.unwrap();
    assert!(done.to_string().contains(&done.new.to_string()), "{done}");
    assert!(done.left.iter().any(|left| left.contains("signing.key.old-1")), "{:?}", done.left);
    drop(store);
    assert_eq!(log.signs().await, Ok(done.new));
}

#[tokio::test]
async fn rec_e7_a_torn_byte_among_the_renewals_stops_no_head_and_a_torn_note_spoils_no_export() {
    let log = log().await;
    let (_, second) = log.renew().await;
    let path = log.path("witness/renewals.heads");
    let whole = fs::read(&path).unwrap();
    let cut = whole.len() - 60;
    let torn = [&whole[..cut], &[0xff, b'\n'], &whole[..]].concat();
    fs::write(&path, &torn).unwrap();
    let store = log.open();
    let origin = store.origin().await.unwrap();
    let witness = log.witness(&store, &origin);
    let head = witness.sign().await.unwrap();
    let known = witness::copies(&log.path("witness")).unwrap();
    assert!(known.notes.iter().any(|note| note.head.number == head.number));
    drop((store, witness));
    let elsewhere = tempfile::tempdir().unwrap();
    let handed = log.hand_out(elsewhere.path()).await;
    let once = String::from_utf8(whole).unwrap();
    let lines: Vec<&str> = once.split_inclusive('\n').collect();
    let half: String = lines[..lines.len() - 1].concat();
    let mut known = Copies::default();
    assert_eq!(known.read(&half), 0, "one signature is a note still");
    let found = handed::check_by(&handed, &[second], known).unwrap();
    assert!(found.is_sound(), "{found}");
}
