//! The escalator with a log of its own, in virtual time or with a log that refuses.

use super::*;
use crate::duty::escalation::Matter;
use crate::duty::ids::CallId;
use crate::duty::journal::{Arrival, AttemptResult, Fact, Noted, Urgency};
use crate::duty::roster::{Person, Role};
use crate::duty::switchboard::{MATTERS_MAX, Unwanted};
use crate::io::open_matters;
use crate::io::store::StoreError;
use crate::io::store::tests::one;
use crate::protocol::random::Random;
use std::path::Path;
use tokio::task::JoinHandle;

struct Running {
    store: Store,
    board: Board,
    wake: Arc<Notify>,
    stopping: CancellationToken,
    finishing: CancellationToken,
    memory: Remembered,
    orders: mpsc::Receiver<Input>,
    task: JoinHandle<()>,
}

fn start(folder: &Path) -> Running {
    let store = Store::open(&folder.join("log.db"), clock::random()).unwrap();
    start_with(folder, store)
}

fn start_with(folder: &Path, store: Store) -> Running {
    let (board, wake) = (Board::new(), Arc::new(Notify::new()));
    let stopping = CancellationToken::new();
    let (to, orders) = mpsc::channel(8);
    let person = |name: &str, role| {
        let number = |n: u8| format!("{name}{n}");
        Person::new(name, role, Some(&number(1)), Some(&number(2)))
    };
    let roster = Roster { people: vec![person("L", Role::Leader), person("S", Role::Substitute)] };
    let memory = Remembered::new(roster.clone());
    let matters = open_matters::recall(&folder.join("open-matters"));
    memory.lock().recall(matters, vec![], clock::now());
    let office = Office {
        store: store.clone(),
        policies: Policies::default(),
        roster: roster.clone(),
        orders: to,
        wake: Arc::clone(&wake),
        board: board.clone(),
        memory,
        open: OpenMatters::at(folder.join("open-matters")),
        finishing: CancellationToken::new(),
        pulse: Pulse::default(),
    };
    let (finishing, memory) = (office.finishing.clone(), office.memory.clone());
    let task = tokio::spawn(run(office, stopping.clone()));
    Running { store, board, wake, stopping, finishing, memory, orders, task }
}

impl Running {
    async fn note(&self, fact: Fact) {
        let applied = self.store.note(Noted { at: clock::now(), fact }).await.unwrap();
        if applied.escalate {
            self.wake.notify_one();
        }
    }

    /// A call arrives and is flagged with `*9`.
    async fn flagged(&self) {
        let call = CallId::new(clock::now(), &mut Random::from_seed([3; 32]));
        let arrival = Arrival::from_number(call, "101", "");
        self.note(Fact::Arrived(Box::new(arrival))).await;
        let phone = "值班台话机".to_owned();
        self.note(Fact::Flagged { entry: call.into(), urgency: Urgency::Critical, phone }).await;
    }

    async fn next(&mut self) -> Input {
        let limit = Duration::from_secs(10);
        tokio::time::timeout(limit, self.orders.recv()).await.expect("an order").unwrap()
    }

    async fn next_call(&mut self) -> LeaderCall {
        match self.next().await {
            Input::Notify(call) => call,
            other => panic!("{other:?}"),
        }
    }

    /// The officer is.
    async fn is_told(&self, alarm: &str) {
        let told = tokio::time::timeout(Duration::from_secs(10), async {
            while !self.board.status().alarms.contains_key(alarm) {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        });
        told.await.expect(alarm);
    }

    async fn stop(self) {
        self.stopping.cancel();
        self.task.await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flag_becomes_a_call_and_a_declined_call_the_next_one() {
    let folder = tempfile::tempdir().unwrap();
    let mut room = start(folder.path());
    room.flagged().await;
    let first = room.next_call().await;
    assert_eq!(first.target, "L1");
    let attempt = first.attempt;
    room.note(Fact::AttemptEnded { attempt, result: AttemptResult::Declined, status: 603 }).await;
    assert_eq!(room.next_call().await.target, "S1", "esc_19");
    room.stop().await;
}

/// The switchboard takes eight orders and no more: the look stands still in its first part.
#[tokio::test(flavor = "multi_thread")]
async fn esc_31_of_three_hundred_matters_the_first_is_called_before_the_last_is_looked_at() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(&folder.path().join("log.db"), clock::random()).unwrap();
    let mut random = clock::random();
    for _ in 0..300 {
        let call = CallId::new(clock::now(), &mut random);
        let phone = "值班台话机".to_owned();
        let flagged = Fact::Flagged { entry: call.into(), urgency: Urgency::Urgent, phone };
        for fact in [Fact::Arrived(Box::new(Arrival::from_number(call, "101", ""))), flagged] {
            store.note(Noted { at: clock::now(), fact }).await.unwrap();
        }
    }
    let mut room = start_with(folder.path(), store);
    let first = room.next_call().await;
    let claimed: i64 = one(&room.store, "SELECT count(*) FROM attempt");
    assert!((1..300).contains(&claimed), "{claimed} were decided on first");
    for _ in 0..MATTERS_MAX {
        assert_eq!(room.next_call().await.joins, Some(first.attempt));
    }
    let kept = || open_matters::recall(&folder.path().join("open-matters")).len();
    let waited = tokio::time::timeout(Duration::from_secs(10), async {
        while kept() < 300 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    });
    waited.await.expect("every one of them is known beside the log");
    assert!(room.memory.lock().is_settled());
    room.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn esc_37_whoever_still_rings_is_stopped_when_the_leader_has_acknowledged() {
    let folder = tempfile::tempdir().unwrap();
    let mut room = start(folder.path());
    room.flagged().await;
    let leader = room.next_call().await;
    let (attempt, entry) = (leader.attempt, leader.entry);
    room.note(Fact::AttemptEnded { attempt, result: AttemptResult::Unreachable, status: 404 })
        .await;
    let leader = room.next_call().await;
    assert_eq!(leader.target, "L2", "esc_20");
    let alarms = room.board.status().alarms;
    assert!(alarms.contains_key("dead_number"), "{alarms:?}");
    let attempt = leader.attempt;
    room.note(Fact::AttemptEnded { attempt, result: AttemptResult::Declined, status: 603 }).await;
    let substitute = room.next_call().await;
    room.note(Fact::Acknowledged { attempt: leader.attempt, entry }).await;
    assert_eq!(
        room.next().await,
        Input::StopNotifying { attempt: substitute.attempt, why: Unwanted::Acknowledged }
    );
    room.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn esc_42_what_was_claimed_and_not_sent_is_called_after_the_next_start() {
    let folder = tempfile::tempdir().unwrap();
    let mut room = start(folder.path());
    room.flagged().await;
    let before = room.next_call().await;
    room.stop().await;
    let store = Store::open(&folder.path().join("log.db"), clock::random()).unwrap();
    store.interrupted_calls([].into(), clock::now()).await.unwrap();
    drop(store);
    let mut room = start(folder.path());
    let again = room.next_call().await;
    assert_eq!((again.target.as_str(), again.entry), ("L1", before.entry));
    room.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn esc_46_once_told_to_stop_nobody_is_called_any_more_but_whoever_rings_may_be_stopped() {
    let folder = tempfile::tempdir().unwrap();
    let mut room = start(folder.path());
    room.flagged().await;
    let leader = room.next_call().await;
    room.finishing.cancel();
    let (attempt, entry) = (leader.attempt, leader.entry);
    room.note(Fact::AttemptEnded { attempt, result: AttemptResult::Declined, status: 603 }).await;
    room.is_told("withheld").await;
    assert!(room.orders.try_recv().is_err(), "the substitute is called by the next run");
    assert!(room.memory.lock().is_needed(), "and the matter is remembered");
    room.stop().await;
    let mut room = start(folder.path());
    let substitute = room.next_call().await;
    assert_eq!(substitute.target, "S1");
    room.finishing.cancel();
    room.note(Fact::Acknowledged { attempt, entry }).await;
    let attempt = substitute.attempt;
    let why = Unwanted::Acknowledged;
    assert_eq!(room.next().await, Input::StopNotifying { attempt, why });
    room.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn esc_71_what_was_open_is_called_for_where_the_next_run_has_no_log() {
    let folder = tempfile::tempdir().unwrap();
    let mut room = start(folder.path());
    room.flagged().await;
    let before = room.next_call().await;
    room.stop().await;
    let log = folder.path().join("log.db");
    let fault = StoreError::Corrupt("file is not a database".to_owned());
    let no_log = || Store::of_no_use(&log, fault.clone(), None).unwrap();
    let mut room = start_with(folder.path(), no_log());
    assert!(matches!(room.next().await, Input::Note(Fact::AttemptMade(_))));
    let again = room.next_call().await;
    assert_eq!((again.target.as_str(), again.entry), ("L1", before.entry));
    assert!(room.board.status().alarms.contains_key("escalator"), "the officer is told");
    room.stop().await;
    let mut room = start(folder.path());
    let attempt = before.attempt;
    room.note(Fact::Acknowledged { attempt, entry: before.entry }).await;
    let kept = || open_matters::recall(&folder.path().join("open-matters"));
    let waited = tokio::time::timeout(Duration::from_secs(10), async {
        while !kept().is_empty() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    });
    waited.await.expect("nothing is open any more");
    room.orders.close();
    room.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn esc_46_calls_that_finish_keep_whoever_is_due_waiting_for_a_minute_and_a_half() {
    let (to, mut orders) = mpsc::channel(8);
    let folder = tempfile::tempdir().unwrap();
    let office = Office {
        store: Store::open(&folder.path().join("log.db"), clock::random()).unwrap(),
        policies: Policies::default(),
        roster: Roster::default(),
        orders: to,
        wake: Arc::default(),
        board: Board::new(),
        memory: Remembered::default(),
        open: OpenMatters::at(folder.path().join("open-matters")),
        finishing: CancellationToken::new(),
        pulse: Pulse::default(),
    };
    let board = office.board.clone();
    let (random, stops) = (clock::random(), Stops::default());
    let mut escalator = Escalator { office, random, failing: None, withheld: None, stops };
    let now = clock::now();
    let until = escalator.withhold(true, now).await.ok().flatten().map(|(at, _)| at);
    assert_eq!(until, Some(now.mono + WITHHELD));
    assert!(board.status().alarms.contains_key("withheld"));
    assert!(escalator.withhold(false, now + WITHHELD).await.is_ok());
    assert!(orders.try_recv().is_err() && board.status().alarms.is_empty(), "somebody knows");
    assert!(escalator.withhold(true, now).await.is_ok());
    assert!(escalator.withhold(true, now + WITHHELD).await.is_ok());
    assert_eq!(orders.try_recv(), Ok(Input::Shutdown), "nobody is waited for any more");
}

/// The ladder is run from memory, and nobody had a number that works.
#[tokio::test(flavor = "multi_thread")]
async fn esc_71_without_a_log_the_siren_is_silent_as_soon_as_somebody_knows() {
    let folder = tempfile::tempdir().unwrap();
    let entry = CallId::new(clock::now(), &mut clock::random()).into();
    let open = serde_json::to_vec(&[Matter::new(entry, Urgency::Critical)]).unwrap();
    std::fs::write(folder.path().join("open-matters"), open).unwrap();
    let log = folder.path().join("log.db");
    let no_log =
        Store::of_no_use(&log, StoreError::Corrupt("file is not a database".to_owned()), None)
            .unwrap();
    let mut room = start_with(folder.path(), no_log);
    let dead = Alarm { since: clock::now().wall, zh: String::new(), en: String::new() };
    room.board.update(|status| drop(status.alarms.insert("dead_number", dead)));
    let hears = |fact| {
        room.memory.lock().take(&Noted { at: clock::now(), fact });
        room.wake.notify_one();
    };
    let mut last = None;
    while !room.board.status().alarms.contains_key("siren") {
        let input = tokio::time::timeout(Duration::from_millis(100), room.orders.recv()).await;
        if let Ok(Some(Input::Notify(LeaderCall { attempt, .. }))) = input {
            let result = AttemptResult::Unreachable;
            hears(Fact::AttemptEnded { attempt, result, status: 404 });
            last = Some(attempt);
        }
    }
    hears(Fact::Acknowledged { attempt: last.expect("a call"), entry });
    let silent = tokio::time::timeout(Duration::from_secs(10), async {
        while room.board.status().alarms.contains_key("siren") {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    });
    silent.await.expect("somebody knows");
    let alarms = room.board.status().alarms;
    assert!(alarms.contains_key("dead_number"), "the log alone knows of that: {alarms:?}");
    room.stop().await;
}
