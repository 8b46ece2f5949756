//! A log that is put back ten days after the start.

use super::*;
use crate::config::{Config, Environment};
use crate::duty::escalation::Policy;
use crate::duty::ids::{AttemptId, CallId, EntryId};
use crate::duty::journal::{Arrival, Fact, Noted, Urgency};
use crate::duty::roster::{Person, Role, Roster};
use crate::duty::switchboard::Input;
use crate::io::clock;
use crate::io::store::tests::one;
use crate::protocol::now::Now;
use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;
use tokio::sync::mpsc;

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
        let (store, opened) = log.open_log().await.unwrap();
        assert_eq!(opened.fault, None);
        let later = log.now + Duration::from_secs(10 * 24 * 3600);
        Self { folder, log, store, later }
    }

    async fn note(&self, fact: Fact) {
        self.store.note(Noted { at: self.log.now, fact }).await.unwrap();
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
    assert_eq!(ids("call) FROM recording WHERE state = 'missing'"), ended.to_string());
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
