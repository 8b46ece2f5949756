//! What is given up goes, by two people and by nobody alone; what is held stays, whoever wants it gone.

mod dates;
mod disks;
mod holds;
mod losses;

use super::files::inside;
use super::*;
use crate::duty::escalation::Policy;
use crate::duty::journal::{AttemptResult, Disposition, Fact, Urgency};
use crate::duty::keeping::{Class, Rules};
use crate::duty::placed::{Asker, Placed};
use crate::duty::switchboard::Input;
use crate::io::kept::Places;
use crate::io::orphans::{self, Orphans};
use crate::io::proof::handed::{self, Handed};
use crate::io::proof::key::SigningKey;
use crate::io::proof::order::Order;
use crate::io::store::tests::{
    add_officer, add_second, arrival, at, call, give_up_by_hand, note, officer, random, roster,
};
use crate::io::store::{
    Agreed, FileKind, Held, ItemState, KeptFiles, PersonId, RecordingState, Scope, Sealed, Sounds,
    Who,
};
use crate::protocol::now::Now;
use chrono::TimeDelta;
use std::fs;
use std::path::Path;

const RULES: Rules = Rules { ordinary: Some(TimeDelta::days(180)), urgent: None, self_test: None };

/// Half a year and a bit after the calls.
fn later() -> Now {
    after(181)
}

fn after(days: u64) -> Now {
    at(0.0) + Duration::from_secs(days * 86_400)
}

fn second() -> Who {
    Who { id: PersonId(2), login: "li".to_owned(), name: "李主任".to_owned(), ..officer() }
}

fn keeper(plan: &Plan, store: &Store) -> Keeper {
    let (plan, store) = (Arc::new(plan.clone()), store.clone());
    Keeper { plan, store, board: Board::new(), patience: PATIENCE }
}

struct House {
    folder: tempfile::TempDir,
    plan: Plan,
    store: Store,
    keeper: Keeper,
}

impl House {
    /// With so many recordings, each with its second copy.
    async fn with(recordings: u8) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let at_root = |name: &str| folder.path().join(name);
        let copies = Some(Place::Folder(at_root("copies")));
        let plan = Plan { recordings: at_root("own"), copies, turns: Turns::default() };
        let store = Store::open(&at_root("a.db"), random()).unwrap();
        add_officer(&store);
        add_second(&store, 2, "li", "李主任");
        let keeper = keeper(&plan, &store);
        let house = Self { folder, plan, store, keeper };
        for n in 1..=recordings {
            house.record(n).await;
        }
        house
    }

    async fn record(&self, n: u8) {
        note(&self.store, f64::from(n), arrival(n, "13812345678"));
        self.talks(n).await;
    }

    /// A call of ours about the entry of another one.
    async fn record_about(&self, n: u8, about: u8) {
        let placed = Placed {
            call: call(n),
            asker: Asker {
                name: "王值班".to_owned(),
                person: Some(1),
                terminal: "127.0.0.1".to_owned(),
            },
            phone: "desk".to_owned(),
            number: "13812345678".to_owned(),
            dialled: "913812345678".to_owned(),
            unit: String::new(),
            town: String::new(),
            about: Some(call(about).into()),
        };
        note(&self.store, f64::from(n), Fact::Placed(Box::new(placed)));
        self.talks(n).await;
    }

    async fn talks(&self, n: u8) {
        self.talks_and_is_sealed(n, at(f64::from(n) + 3.0)).await;
    }

    async fn talks_and_is_sealed(&self, n: u8, sealed: Now) {
        let (phone, why) = ("desk".to_owned(), String::new());
        note(&self.store, f64::from(n) + 1.0, Fact::Answered { call: call(n), phone });
        let (disposition, by, status) = (Disposition::Answered, None, 200);
        let ended = Fact::Ended { call: call(n), disposition, by, status, why };
        note(&self.store, f64::from(n) + 2.0, ended);
        self.is_sealed_at(call(n), n, sealed).await;
    }

    async fn is_sealed(&self, call: CallId, n: u8) {
        self.is_sealed_at(call, n, at(f64::from(n) + 3.0)).await;
    }

    /// On both disks.
    async fn is_sealed_at(&self, call: CallId, n: u8, now: Now) {
        let wav = PathBuf::from(format!("2026/10/03/{call}.wav"));
        for folder in self.folders() {
            fs::create_dir_all(folder.join("2026/10/03")).unwrap();
            for file in [&wav, &wav.with_extension("tape")] {
                fs::write(folder.join(file), [n]).unwrap();
            }
        }
        let digest = {
            use sha2::Digest;
            hex::encode(sha2::Sha256::digest([n]))
        };
        let sealed = Sealed {
            tape: Some(wav.with_extension("tape")),
            wav,
            sha256: digest.clone(),
            tape_sha256: Some(digest),
            bytes: 1,
            ..Sealed::default()
        };
        assert!(self.store.recording_sealed(call, sealed, now).await.unwrap());
        for kind in [FileKind::Wav, FileKind::Tape] {
            self.store.copied(call, kind, at(f64::from(n) + 4.0)).await.unwrap();
        }
    }

    fn folders(&self) -> [&PathBuf; 2] {
        match &self.plan.copies {
            Some(Place::Folder(copies)) => [&self.plan.recordings, copies],
            other => panic!("no folder: {other:?}"),
        }
    }

    /// How many of its four files there are.
    fn files(&self, call: CallId) -> usize {
        let there = |folder: &PathBuf, last: &str| {
            folder.join(format!("2026/10/03/{call}.{last}")).exists()
        };
        let all = self.folders().into_iter().flat_map(|folder| [(folder, "wav"), (folder, "tape")]);
        all.filter(|(folder, last)| there(folder, last)).count()
    }

    async fn number(&self, n: u8) -> String {
        self.store.entry_row(call(n).into()).await.unwrap().unwrap().number
    }

    async fn list(&self) -> Option<i64> {
        let who = officer();
        self.store.list_for_destruction(&who, RULES, "保管期满", later()).await.unwrap()
    }

    /// Lists what is due, and somebody else agrees.
    async fn gives_up(&self) -> i64 {
        let list = self.list().await.unwrap();
        assert_eq!(self.agree(&second(), list).await, Agreed::Agreed);
        list
    }

    async fn turn(&self) -> bool {
        self.keeper.turn().await.unwrap()
    }

    fn alarm(&self) -> Option<String> {
        self.keeper.board.status().alarms.get("keeping").map(|alarm| alarm.zh.clone())
    }

    async fn hold(&self, n: u8) -> Held {
        let number = self.number(n).await;
        self.store.hold(&officer(), &number, "纪委调查", later()).await.unwrap().unwrap()
    }

    async fn is_released(&self, hold: i64) {
        assert!(self.store.ask_for_release(&officer(), hold, "结案", later()).await.unwrap());
        let holds = self.store.holds().await.unwrap();
        let row = holds.iter().find(|row| row.placed.id == hold).unwrap();
        let request = row.asked.as_ref().unwrap().id;
        let agreed = self.store.agree_to_release(&second(), request, later()).await;
        assert_eq!(agreed, Ok(Agreed::Agreed));
    }

    /// What is left of the one recording goes by this list.
    async fn agreed_anew_it_goes(&self, list: i64) {
        assert_eq!(self.gives_up().await, list, "two people say so anew");
        assert!(self.turn().await);
        assert_eq!((self.files(call(1)), self.gone().await), (0, 1));
        assert!(self.keeper.board.status().alarms.is_empty());
        self.store.verify_audit().await.unwrap();
    }

    async fn gone(&self) -> u64 {
        self.store.destruction_lists(9).await.unwrap()[0].gone
    }

    /// What is handed out, and what is found in it elsewhere.
    async fn hands_out(&self, scope: Scope) -> (tempfile::TempDir, PathBuf, Handed) {
        let origin = self.store.origin().await.unwrap();
        let key = Arc::new(SigningKey::load_or_make(self.folder.path(), &origin).unwrap());
        let (who, places) = (officer(), Places::alone(&self.plan.recordings));
        let store = &self.store;
        let order = Order {
            store,
            places,
            key,
            who: Some(&who),
            scope,
            sounds: Sounds::All,
            now: clock::now(),
        };
        let bundle = order.bundle().await.unwrap().unwrap();
        let elsewhere = tempfile::tempdir().unwrap();
        let folder = bundle.write_into(elsewhere.path()).unwrap();
        let found = handed::check(&folder, None).unwrap();
        (elsewhere, folder, found)
    }

    async fn agree(&self, who: &Who, list: i64) -> Agreed {
        self.store.agree_to_destruction(who, list, RULES, later()).await.unwrap()
    }
}

#[tokio::test]
async fn rec_d14_a_dry_run_changes_nothing_and_one_alone_destroys_nothing() {
    let house = House::with(3).await;
    let early = house.store.due(RULES, None, at(100.0)).await.unwrap();
    assert_eq!((early.list.len(), early.kept), (0, 3), "not before its time");
    let due = house.store.due(RULES, None, later()).await.unwrap();
    assert_eq!((due.list.len(), due.held, due.no_copy), (3, 0, 0));
    assert!(house.store.destruction_lists(9).await.unwrap().is_empty());
    let list = house.list().await.unwrap();
    assert_eq!(house.list().await, None, "they are on a list already");
    assert!(house.turn().await);
    assert_eq!((1..=3).map(|n| house.files(call(n))).sum::<usize>(), 12, "nobody has agreed");
    assert_eq!(house.agree(&officer(), list).await, Agreed::SamePerson);
    assert_eq!(house.agree(&second(), list + 1).await, Agreed::Nothing);
    assert_eq!((1..=3).map(|n| house.files(call(n))).sum::<usize>(), 12);
}

#[tokio::test]
async fn rec_d14_two_people_destroy_by_list_and_rows_and_hashes_stay() {
    let house = House::with(3).await;
    let list = house.list().await.unwrap();
    house.record(4).await;
    assert_eq!(house.agree(&second(), list).await, Agreed::Agreed);
    assert_eq!(house.agree(&second(), list).await, Agreed::Nothing, "once");
    assert!(house.turn().await);
    assert_eq!([1, 2, 3, 4].map(|n| house.files(call(n))), [0, 0, 0, 4], "what is on the list");
    let row = house.store.recording(call(1)).await.unwrap().unwrap();
    assert_eq!(row.given_up, Some(later().wall));
    assert!(row.gone.is_some() && row.state == RecordingState::Destroyed);
    assert!(row.sha256.is_some_and(|digest| digest.len() == 64));
    assert_eq!(
        house.store.recording_file(call(1)).await.unwrap(),
        None,
        "there is nothing to play"
    );
    let lists = house.store.destruction_lists(9).await.unwrap();
    let [one] = &lists[..] else { panic!("{lists:?}") };
    assert_eq!((one.recordings, one.destroyed, one.gone), (3, 3, 3));
    assert_eq!(one.agreed.as_ref().map(|word| word.name.as_str()), Some("李主任"));
    let sweep = orphans::sweep(&house.store, &house.plan.recordings, Duration::ZERO).await;
    assert_eq!(sweep.unwrap(), Orphans::default(), "nobody misses them");
    assert_eq!(house.store.sealed_files(None, 99).await.unwrap().len(), 2, "nor on the other disk");
    house.store.verify_audit().await.unwrap();
}

#[tokio::test]
async fn rec_d14_what_has_no_second_copy_is_on_no_list_and_a_disk_that_is_away_is_waited_for() {
    let house = House::with(1).await;
    house.record(2).await;
    let list = house.list().await.unwrap();
    assert_eq!(house.agree(&second(), list).await, Agreed::Agreed);
    let copies = house.folders()[1].clone();
    let away = copies.with_extension("away");
    fs::rename(&copies, &away).unwrap();
    assert!(!house.turn().await);
    assert_eq!(house.store.destruction_lists(9).await.unwrap()[0].gone, 0);
    fs::rename(&away, &copies).unwrap();
    assert!(house.turn().await);
    assert_eq!(house.store.destruction_lists(9).await.unwrap()[0].gone, 2);

    let outside = house.folder.path().join("outside.wav");
    fs::write(&outside, "x").unwrap();
    std::os::unix::fs::symlink(house.folder.path(), copies.join("link")).unwrap();
    for path in ["../outside.wav", "/etc/hostname", "link/outside.wav", ""] {
        assert!(inside(&copies, Path::new(path)).is_err(), "{path}");
    }
    let within = inside(&copies, Path::new("2026/a.wav")).unwrap();
    assert_eq!(within, (copies.join("2026"), "a.wav".into()));
    assert!(outside.exists());
}

#[tokio::test]
async fn rec_d14_what_is_handed_out_after_a_destruction_is_sound_and_says_so() {
    let house = House::with(2).await;
    house.gives_up().await;
    house.record(3).await;
    assert!(house.turn().await);
    let period = Scope::Period(at(0.0).wall, at(99.0).wall);
    for (scope, files) in [(Scope::Entry(call(1).into()), 0), (period, 2)] {
        let (_elsewhere, folder, found) = house.hands_out(scope).await;
        assert!(found.is_sound(), "{found}");
        let there = fs::read_dir(folder.join("recordings")).map_or(0, Iterator::count);
        assert_eq!(there, files);
        let rows = fs::read_to_string(folder.join("rows.jsonl")).unwrap();
        for kind in ["destruction", "destruction_agreement", "destroyed", "gone"] {
            assert!(rows.contains(&format!("\"kind\":\"{kind}\"")), "{kind}");
        }
        assert!(found.to_string().contains("已由两人按清单销毁"), "{found}");
    }
    let (_elsewhere, folder, found) = house.hands_out(period).await;
    assert_eq!(found.destroyed, 2);
    let rows = fs::read_to_string(folder.join("rows.jsonl")).unwrap();
    let (one, other) = (call(1).to_string(), call(3).to_string());
    let claims = |row: &&str| row.contains("\"kind\":\"destroyed\"") && row.contains(&one);
    let forged = rows.lines().find(claims).unwrap().replace(&one, &other);
    fs::write(folder.join("rows.jsonl"), format!("{rows}{forged}\n")).unwrap();
    let wav = folder.join(format!("recordings/{other}.wav"));
    let listed = fs::read_to_string(folder.join("manifest.json")).unwrap();
    fs::write(folder.join("manifest.json"), listed.replace(&other, &one)).unwrap();
    fs::remove_file(wav).unwrap();
    let found = handed::check(&folder, None).unwrap();
    assert_eq!(found.destroyed, 2, "what is not proved is believed by nobody");
    assert!(found.to_string().contains(&format!("recordings/{other}.wav")), "{found}");
}

/// Where it was destroyed, no page offers it.
#[tokio::test]
async fn rec_d14_a_leaders_call_that_was_destroyed_is_not_offered() {
    let house = House::with(1).await;
    let (store, entry) = (&house.store, call(1).into());
    store.flag(&officer(), entry, Urgency::Urgent, at(20.0)).await.unwrap();
    let cycle = store.next_calls(at(21.0), &Policy::default(), &roster()).await.unwrap();
    let order = cycle.inputs.into_iter().find_map(|input| match input {
        Input::Notify(order) => Some(order),
        _ => None,
    });
    let (attempt, result) = (order.unwrap().attempt, AttemptResult::Acknowledged);
    note(store, 22.0, Fact::AttemptAnswered { attempt });
    note(store, 23.0, Fact::AttemptEnded { attempt, result, status: 200 });
    house.is_sealed(attempt.into(), 9).await;
    let offered = || async {
        let view = store.entry(entry).await.unwrap().unwrap();
        view.escalations[0].attempts[0].recording.is_some()
    };
    assert!(offered().await);
    let rules = Rules { urgent: Some(TimeDelta::days(180)), ..RULES };
    let list = store.list_for_destruction(&officer(), rules, "x", later()).await.unwrap().unwrap();
    store.agree_to_destruction(&second(), list, rules, later()).await.unwrap();
    assert!(!offered().await);
}

#[tokio::test]
async fn rec_d14_who_reads_the_list_may_say_no_and_then_it_may_be_listed_anew() {
    let house = House::with(2).await;
    let list = house.list().await.unwrap();
    let (row, items) = house.store.destruction_list(list).await.unwrap().unwrap();
    assert_eq!((row.recordings, items.len()), (2, 2));
    assert_eq!(items[0].number, house.number(1).await);
    assert_eq!((items[0].class, items[0].state), (Class::Ordinary, ItemState::Waits));
    assert_eq!(items[0].sealed, at(4.0).wall);
    let refuse = |reason: &'static str| async {
        house.store.refuse_destruction(&second(), list, reason, later()).await.unwrap()
    };
    assert!(!refuse("  ").await, "no reason");
    assert!(refuse("时钟曾走错").await);
    assert!(!refuse("再次").await, "once");
    assert_eq!(house.agree(&second(), list).await, Agreed::Nothing);
    assert!(house.turn().await);
    assert_eq!([1, 2].map(|n| house.files(call(n))), [4, 4]);
    let (row, items) = house.store.destruction_list(list).await.unwrap().unwrap();
    assert_eq!(row.refused.unwrap().reason, "时钟曾走错");
    assert!(items.iter().all(|item| item.state == ItemState::Refused));
    let anew = house.gives_up().await;
    let late = house.store.refuse_destruction(&officer(), anew, "晚了", later()).await;
    assert_eq!(late, Ok(false), "what was agreed to is held, not refused");
    house.store.verify_audit().await.unwrap();
}

#[tokio::test]
async fn rec_d14_what_is_destroyed_while_everything_is_read_is_no_fault_and_is_counted() {
    use crate::io::proof::verify::check_files;
    use crate::io::proof::witness::Copies;
    use crate::io::store::Checked;
    let house = House::with(2).await;
    let database = house.folder.path().join("a.db");
    let origin = house.store.origin().await.unwrap();
    let key = SigningKey::load_or_make(house.folder.path(), &origin).unwrap();
    let given = [key.public.clone()];
    let early = Checked::of(&database, &given, &Copies::default()).unwrap();
    let rows = house.store.kept_files(None, 99).await.unwrap();
    assert_eq!((early.files.len(), early.destroyed, rows.len()), (4, 0, 2));
    house.hold(2).await;
    house.gives_up().await;
    assert!(house.turn().await);
    let own = &house.plan.recordings;
    let mut orphans = Orphans::default();
    orphans.look_for(&house.store, own, rows.clone()).await.unwrap();
    assert_eq!(orphans, Orphans::default());
    let (_, faults) = check_files(own, &early.files, &database).unwrap();
    assert_eq!(faults, []);
    fs::remove_file(own.join(format!("2026/10/03/{}.wav", call(2)))).unwrap();
    orphans.look_for(&house.store, own, rows).await.unwrap();
    assert_eq!(orphans.rows, 1, "what nobody gave up is missed");
    let (_, faults) = check_files(own, &early.files, &database).unwrap();
    assert_eq!(faults.len(), 1, "{faults:?}");
    assert_eq!(Checked::of(&database, &given, &Copies::default()).unwrap().destroyed, 1);
}

#[tokio::test]
async fn rec_d14_what_is_agreed_to_is_not_called_destroyed_before_it_is_gone() {
    let house = House::with(1).await;
    house.gives_up().await;
    let state =
        || async { house.store.entry_row(call(1).into()).await.unwrap().unwrap().recording };
    assert_eq!(state().await, Some(RecordingState::GivenUp));
    let (_elsewhere, folder, found) = house.hands_out(Scope::Entry(call(1).into())).await;
    assert!(found.is_sound(), "{found}");
    let manifest = fs::read_to_string(folder.join("manifest.json")).unwrap();
    assert!(manifest.contains("\"dutyline-export-2\"") && manifest.contains("\"absent\""));
    assert_eq!((found.destroyed, found.given_up), (0, 1));
    assert!(found.to_string().contains("已由两人同意销毁，导出时未附"), "{found}");
    let held = house.hold(1).await;
    assert_eq!(state().await, Some(RecordingState::Sealed), "it was held in time");
    house.is_released(held.id).await;
    house.gives_up().await;
    assert!(house.turn().await);
    assert_eq!(state().await, Some(RecordingState::Destroyed));
}

#[tokio::test]
async fn rec_d14_whoever_agrees_wakes_the_keeper_and_a_list_that_waits_is_always_shown() {
    let house = House::with(1).await;
    let waits = house.list().await.unwrap();
    house.record(2).await;
    let destroyed = async {
        house.gives_up().await;
        while house.files(call(2)) > 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::select! {
        () = house.keeper.keep() => {}
        woken = tokio::time::timeout(FIRST / 2, destroyed) => woken.expect("at once"),
    }
    let lists = house.store.destruction_lists(1).await.unwrap();
    let shown: Vec<_> = lists.iter().map(|list| list.made.id).collect();
    assert_eq!(shown, [waits + 1, waits]);
}
