//! A log that is put back ten days after the start.

use super::*;
use crate::config::{Config, Environment};
use crate::duty::escalation::Policy;
use crate::duty::ids::{AttemptId, CallId, EntryId};
use crate::duty::journal::{Arrival, AttemptResult, Disposition, Fact, Noted, Urgency};
use crate::duty::roster::{Person, Role, Roster};
use crate::duty::switchboard::Input;
use crate::io::clock;
use crate::io::orphans::{Orphans, bind, sweep};
use crate::io::store::tests::one;
use crate::io::tape::tests::recorded;
use crate::protocol::now::Now;
use crate::protocol::rtp::Party;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

/// However young the files are.
const AT_ONCE: (Duration, Duration) = (Duration::ZERO, Duration::ZERO);

struct Room {
    folder: tempfile::TempDir,
    log: Beginning,
    store: Store,
    later: Now,
}

impl Room {
    /// The control task says that this goes on.
    async fn open(goes_on: GoesOn) -> Self {
        let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("config/dutyline.toml");
        let loaded = Config::load(&example, &Environment::new());
        let mut config = loaded.unwrap_or_else(|faults| panic!("{faults}")).config;
        let folder = tempfile::tempdir().unwrap();
        folder.path().clone_into(&mut config.storage.data);
        config.roster = roster();
        let (line, mut asked) = mpsc::channel::<oneshot::Sender<GoesOn>>(1);
        tokio::spawn(async move {
            while let Some(answer) = asked.recv().await {
                let _ = answer.send(goes_on.clone());
            }
        });
        let log = Beginning::new(&config, Default::default(), Default::default(), line);
        let (store, opened) = log.open_log(None).await.unwrap();
        assert_eq!(opened.fault, None);
        let later = log.now + Duration::from_secs(10 * 24 * 3600);
        Self { folder, log, store, later }
    }

    async fn note(&self, fact: Fact) {
        self.store.note(Noted { at: self.log.now, fact }).await.unwrap();
    }

    /// As the daemon tells it.
    async fn tell(&self, facts: impl IntoIterator<Item = Fact>) {
        let noted = facts.into_iter().map(|fact| Noted { at: self.log.now, fact }).collect();
        self.store.note_all(noted).await.unwrap();
    }

    /// A call is over, the log is backed up, and then it becomes urgent: the backup, and how the leader is called.
    async fn becomes_urgent_after_a_backup(&self, caller: CallId) -> (PathBuf, LeaderCall) {
        let arrival = Arrival::from_number(caller, "101", "");
        self.tell([Fact::Arrived(Box::new(arrival)), answered_and_ended(caller)]).await;
        let backup = self.folder.path().join("backup.db");
        self.store.back_up_to(backup.clone()).await.unwrap();
        let (entry, phone) = (caller.into(), "2001".to_owned());
        self.tell([Fact::Flagged { entry, urgency: Urgency::Critical, phone }]).await;
        let cycle = self.store.next_calls(self.log.now, &Policy::default(), &roster()).await;
        let mut inputs = cycle.unwrap().inputs.into_iter();
        let Some(Input::Notify(order)) = inputs.next() else { panic!("nobody is called") };
        self.tell([Fact::AttemptRinging { attempt: order.attempt }]).await;
        (backup, order)
    }

    /// Each call to a leader, with its matter and its recording.
    fn attempts(&self) -> String {
        one(
            &self.store,
            "SELECT group_concat(a.person || ' ' || coalesce(a.result, 'goes on') || ' ' || x.state
               || coalesce(' by ' || x.acked_by, '') || coalesce(' ' || r.state, '')
               || iif(c.entry = x.entry AND c.direction = 'to_leader', '', ' elsewhere'), ', ')
             FROM attempt a JOIN escalation x ON x.id = a.escalation JOIN call c ON c.id = a.id
               LEFT JOIN recording r ON r.call = a.id",
        )
    }

    /// In place of the log, which somebody has moved away.
    async fn backup_takes_its_place(&self, backup: &Path) {
        let (database, file) = (self.log.database(), self.log.identity());
        for ending in ["db", "db-wal", "db-shm"] {
            let away = self.folder.path().join(format!("away.{ending}"));
            std::fs::rename(database.with_extension(ending), away).unwrap();
        }
        std::fs::copy(backup, &database).unwrap();
        let (stopping, fault) = (CancellationToken::new(), self.log.replaced());
        self.log.try_again(false, (file, fault), None, &self.store, &stopping).await;
    }

    fn recordings(&self) -> PathBuf {
        self.folder.path().join("recordings")
    }

    /// Each call with its recording.
    fn calls_and_recordings(&self) -> String {
        one(
            &self.store,
            "SELECT group_concat(direction || ' ' || caller || ' ' || disposition || ' '
               || coalesce(r.state || ' ' || coalesce(r.digest, ''), '-'), ', ' ORDER BY c.id)
             FROM call c LEFT JOIN recording r ON r.call = c.id",
        )
    }

    async fn arrives(&self, call: CallId) {
        self.note(Fact::Arrived(Box::new(Arrival::from_number(call, "101", "")))).await;
        self.note(Fact::Answered { call, phone: "2001".to_owned() }).await;
    }

    fn lies_beside(&self, entry: EntryId) {
        let text = format!(r#"[{{"entry":"{entry}","urgency":"critical"}}]"#);
        std::fs::write(self.folder.path().join(OPEN_MATTERS), text).unwrap();
    }

    /// A backup is opened.
    async fn is_put_back(&self) {
        self.store.holds_back();
        self.log.write(&self.store, self.later).await.unwrap();
        self.store.begins();
    }

    /// Who is called next; and whether the siren sounds.
    async fn calls(&self) -> (Vec<String>, u32) {
        let now = self.later + Duration::from_secs(1);
        let cycle = self.store.next_calls(now, &Policy::default(), &roster()).await.unwrap();
        let person = |input| match input {
            Input::Notify(call) => Some(call.person),
            _ => None,
        };
        (cycle.inputs.into_iter().filter_map(person).collect(), cycle.sirens)
    }
}

fn roster() -> Roster {
    let person = |name: &str, role| Person::new(name, role, Some(name), None);
    let people =
        vec![person("L", Role::Leader), person("S", Role::Substitute), person("H", Role::Head)];
    Roster { people }
}

fn call() -> CallId {
    CallId::new(clock::now(), &mut clock::random())
}

#[tokio::test]
async fn esc_71_what_a_log_lacks_that_is_put_back_is_raised_at_that_moment() {
    let room = Room::open(GoesOn::default()).await;
    let entry = EntryId::from(call());
    room.lies_beside(entry);
    room.is_put_back().await;
    assert_eq!(room.calls().await, (vec!["L".to_owned()], 0), "the ladder is at its beginning");
    let number = one::<String>(&room.store, "SELECT number FROM entry");
    let today = crate::duty::entry::day(room.later.wall).format("%Y%m%d").to_string();
    assert!(number.contains(&today), "{number}");
}

#[tokio::test]
async fn esc_71_what_a_log_that_is_put_back_has_in_progress_ends_but_for_what_goes_on() {
    let (ended, live) = (call(), call());
    let goes_on = GoesOn { calls: BTreeSet::from([live]), to_leaders: vec![] };
    let room = Room::open(goes_on).await;
    room.arrives(ended).await;
    room.arrives(live).await;
    room.is_put_back().await;
    let ids = |rows: &str| one::<String>(&room.store, &format!("SELECT group_concat({rows}"));
    assert_eq!(ids("id) FROM call WHERE state <> 'ended'"), live.to_string());
    assert_eq!(ids("id) FROM call WHERE disposition = 'interrupted'"), ended.to_string());
    assert_eq!(ids("call) FROM recording WHERE state = 'finalizing'"), ended.to_string());
    std::fs::create_dir(room.recordings()).unwrap();
    assert_eq!(bind(&room.store, &room.recordings(), AT_ONCE).await, Ok(0));
    assert_eq!(ids("call) FROM recording WHERE state = 'missing'"), ended.to_string());
    // It waited for a log.
    room.note(answered_and_ended(ended)).await;
    assert_eq!(ids("id) FROM call WHERE disposition = 'answered'"), ended.to_string());
}

fn answered_and_ended(call: CallId) -> Fact {
    let (by, why) = (Some(Party::Caller), String::new());
    Fact::Ended { call, disposition: Disposition::Answered, by, status: 200, why }
}

#[tokio::test]
async fn rec_d13_what_was_recorded_since_the_backup_is_with_its_call_again_when_that_is_put_back() {
    let room = Room::open(GoesOn::default()).await;
    let mut calls: Vec<CallId> = (0..4).map(|_| call()).collect();
    calls.sort();
    let [before, since, earlier, to_leader] = calls[..] else { panic!() };
    let arrived = |call, number| Fact::Arrived(Box::new(Arrival::from_number(call, number, "")));
    let answered = |call| Fact::Answered { call, phone: "2001".to_owned() };
    let ended = answered_and_ended;
    room.tell([arrived(before, "101"), answered(before)]).await;
    let backup = room.folder.path().join("backup.db");
    room.store.back_up_to(backup.clone()).await.unwrap();
    room.tell([ended(before), arrived(since, "102"), answered(since), ended(since)]).await;
    let on_tape = [
        (before.0, Party::Caller),
        (since.0, Party::Caller),
        (earlier.0, Party::Caller),
        (to_leader.0, Party::Leader),
    ];
    let sealed = recorded(room.folder.path(), &on_tape);
    let bound = |call: CallId| {
        let sealed = sealed.iter().find(|sealed| sealed.call == call.0).unwrap();
        format!("answered sealed {}", sealed.wav_sha256.as_ref().unwrap())
    };
    room.backup_takes_its_place(&backup).await;
    let again = "in 101 answered finalizing , in 102 answered finalizing ";
    assert_eq!(room.calls_and_recordings(), again, "who called is known at once");
    let wav = sealed.iter().find(|sealed| sealed.call == since.0).unwrap().wav.clone().unwrap();
    std::fs::remove_file(room.recordings().join(wav)).unwrap();
    assert_eq!(bind(&room.store, &room.recordings(), AT_ONCE).await, Ok(4));
    let [one_before, one_since, one_earlier, one_to_leader] =
        [before, since, earlier, to_leader].map(bound);
    assert_eq!(
        room.calls_and_recordings(),
        format!(
            "in 101 {one_before}, in 102 {one_since}, in  {one_earlier}, to_leader  {one_to_leader}"
        )
    );
    let left = sweep(&room.store, &room.recordings(), Duration::ZERO).await.unwrap();
    assert_eq!(left, Orphans::default(), "every file has its row, every row its files");
    assert_eq!(bind(&room.store, &room.recordings(), AT_ONCE).await, Ok(0), "once");
    let subject = format!("SELECT subject FROM entry WHERE id = '{earlier}'");
    assert!(one::<String>(&room.store, &subject).contains("请听录音"));
    room.store.verify_audit().await.unwrap();
}

#[tokio::test]
async fn rec_d3_a_tape_that_is_damaged_when_it_is_found_is_bound_kept_and_said_not_to_be_whole() {
    let (room, caller) = (Room::open(GoesOn::default()).await, call());
    room.arrives(caller).await;
    room.note(answered_and_ended(caller)).await;
    let sealed = recorded(room.folder.path(), &[(caller.0, Party::Caller)]);
    let tape = room.recordings().join(&sealed[0].tape);
    let mut bytes = std::fs::read(&tape).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(&tape, &bytes).unwrap();
    assert_eq!(bind(&room.store, &room.recordings(), AT_ONCE).await, Ok(1));
    let row = "SELECT state || ' ' || reason FROM recording";
    let row = one::<String>(&room.store, row);
    assert!(row.starts_with("partial") && row.contains("有损坏"), "{row}");
    assert_eq!(std::fs::read(&tape).unwrap(), bytes, "kept for examination");
}

/// The log says of no moment that it lacks something.
#[tokio::test]
async fn rel_37_a_recording_that_somebody_lays_into_the_folder_becomes_no_entry_and_is_named() {
    let room = Room::open(GoesOn::default()).await;
    let sealed = recorded(room.folder.path(), &[(call().0, Party::Caller)]);
    assert_eq!(bind(&room.store, &room.recordings(), AT_ONCE).await, Ok(0));
    assert_eq!(one::<i64>(&room.store, "SELECT count(*) FROM entry"), 0);
    let found = sweep(&room.store, &room.recordings(), Duration::ZERO).await.unwrap();
    let named = found.named.iter().any(|path| path == Path::new(&sealed[0].tape));
    assert!((found.files, found.rows) == (2, 0) && named, "{found:?}");
}

#[tokio::test]
async fn rec_d13_a_call_to_a_leader_since_the_backup_is_one_in_its_matter_again_with_its_recording()
{
    let (room, caller) = (Room::open(GoesOn::default()).await, call());
    let (backup, LeaderCall { attempt, entry, .. }) =
        room.becomes_urgent_after_a_backup(caller).await;
    let (result, status) = (AttemptResult::Acknowledged, 200);
    room.tell([
        Fact::AttemptAnswered { attempt },
        Fact::Acknowledged { attempt, entry },
        Fact::AttemptEnded { attempt, result, status },
    ])
    .await;
    let before = room.attempts();
    recorded(room.folder.path(), &[(CallId::from(attempt).0, Party::Leader)]);
    room.backup_takes_its_place(&backup).await;
    assert_eq!(room.attempts(), before);
    assert_eq!(bind(&room.store, &room.recordings(), AT_ONCE).await, Ok(1));
    assert_eq!(room.attempts(), "L acknowledged acknowledged by L sealed");
    let sources = "SELECT group_concat(source) FROM entry";
    assert_eq!(one::<String>(&room.store, sources), "call_in", "no entry of its own");
    room.store.verify_audit().await.unwrap();
}

#[tokio::test]
async fn esc_71_a_matter_since_the_backup_goes_on_with_the_calls_that_were_made_or_is_over() {
    let unknown = ["is no list", "is older"].map(|what| (what, "open"));
    for (what, state) in [("has it", "open"), ("lacks it", "withdrawn")].into_iter().chain(unknown)
    {
        let (room, caller) = (Room::open(GoesOn::default()).await, call());
        let (backup, order) = room.becomes_urgent_after_a_backup(caller).await;
        let (result, status) = (AttemptResult::NoAnswer, 480);
        room.tell([Fact::AttemptEnded { attempt: order.attempt, result, status }]).await;
        let id = "SELECT group_concat(id || ' ' || raised_ms) FROM escalation";
        let before = one::<String>(&room.store, id);
        let raised = Some(room.log.now.wall);
        let matter = Matter { raised, ..Matter::new(order.entry, Urgency::Critical) };
        let text = match what {
            "has it" => serde_json::to_string(&[matter]).unwrap(),
            "is no list" => String::new(),
            _ => "[]".to_owned(),
        };
        let beside = room.folder.path().join(OPEN_MATTERS);
        std::fs::write(&beside, text).unwrap();
        if what == "is older" {
            let beside = std::fs::File::options().write(true).open(&beside).unwrap();
            beside.set_modified((room.log.now.wall - Duration::from_secs(1)).into()).unwrap();
        }
        room.backup_takes_its_place(&backup).await;
        assert_eq!(one::<String>(&room.store, id), before, "it is the same one");
        assert_eq!(room.attempts(), format!("L no_answer {state}"), "{what}");
        assert_eq!(room.calls().await.0.is_empty(), state == "withdrawn", "{what}");
    }
}

#[tokio::test]
async fn esc_71_whoever_is_on_the_telephone_is_not_called_a_second_time() {
    let entry = EntryId::from(call());
    let order = LeaderCall {
        attempt: AttemptId::new(clock::now(), &mut clock::random()),
        entry,
        person: "L".to_owned(),
        target: "L".to_owned(),
        urgency: Urgency::Critical,
        ring: Duration::from_secs(35),
        errand: Errand::Tell,
        after_cut: false,
        pin: None,
        joins: None,
    };
    let calls = BTreeSet::from([order.attempt.into()]);
    let room = Room::open(GoesOn { calls, to_leaders: vec![order.clone()] }).await;
    room.lies_beside(entry);
    room.is_put_back().await;
    assert_eq!(room.calls().await.0, [""; 0], "he listens to it");
    room.note(Fact::Acknowledged { attempt: order.attempt, entry }).await;
    assert_eq!(one::<String>(&room.store, "SELECT acked_by FROM escalation"), "L");
}
