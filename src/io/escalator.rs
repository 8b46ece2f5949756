//! Carries out what the escalation decides: has the attempts written down, orders their calls,
//! wakes when the next is due.

use crate::duty::escalation::Policy;
use crate::duty::roster::Roster;
use crate::duty::switchboard::Input;
use crate::io::clock;
use crate::io::status::{Alarm, Board};
use crate::io::store::{Cycle, Store, StoreError};
use crate::protocol::now::{Deadline, Now};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Notify, mpsc};
use tokio_util::sync::CancellationToken;
use tracing::{error, info, trace};

/// The clock of the host is looked at this often: a suspended host does not run timers, and what
/// fell due meanwhile is to be done at once.
const GLANCE: Duration = Duration::from_secs(1);
/// How long a log that refused is left alone.
const AGAIN: Duration = Duration::from_millis(500);

/// Runs until `stopping`. Every order is committed before it is sent: whatever is cut in between
/// is found at the next start and made again.
pub async fn run(
    store: Store,
    policy: Policy,
    roster: Roster,
    orders: mpsc::Sender<Input>,
    wake: Arc<Notify>,
    board: Board,
    stopping: CancellationToken,
) {
    let mut failing = false;
    while !stopping.is_cancelled() {
        let now = clock::now();
        match store.next_calls(now, &policy, &roster).await {
            Ok(cycle) => {
                if std::mem::take(&mut failing) {
                    info!("the escalation goes on");
                    board.update(|status| drop(status.alarms.remove("escalator")));
                }
                let until = cycle.until;
                show(&board, &cycle, now);
                if tell(cycle, &orders, &board).await.is_err() {
                    return;
                }
                tokio::select! {
                    () = due(until) => {}
                    () = wake.notified() => {}
                    () = stopping.cancelled() => return,
                }
            }
            Err(error) => {
                if !std::mem::replace(&mut failing, true) {
                    error!(%error, "the escalation cannot read or write its rows");
                    board.update(|status| drop(status.alarms.insert("escalator", stuck(&error))));
                }
                tokio::select! {
                    () = tokio::time::sleep(AGAIN) => {}
                    () = stopping.cancelled() => return,
                }
            }
        }
    }
}

/// `Err`: the switchboard is gone.
async fn tell(cycle: Cycle, orders: &mpsc::Sender<Input>, board: &Board) -> Result<(), ()> {
    for input in cycle.inputs {
        match &input {
            Input::Notify(call) => {
                info!(attempt = %call.attempt, entry = %call.entry, "calling a leader");
            }
            Input::StopNotifying { attempt, why } => info!(%attempt, ?why, "no longer wanted"),
            Input::Message { .. }
            | Input::Unreachable { .. }
            | Input::Peers(_)
            | Input::Stored { .. }
            | Input::AckStored { .. }
            | Input::Fetched { .. }
            | Input::Media(_)
            | Input::Dial(_)
            | Input::GiveUp { .. }
            | Input::DialledToday { .. }
            | Input::Timeout
            | Input::Written { .. }
            | Input::Shutdown
            | Input::HandOver => {}
        }
        orders.send(input).await.map_err(drop)?;
    }
    for live in cycle.live {
        board.tell(live);
    }
    Ok(())
}

/// Ends when the deadline has come on the host's clock; never without one.
async fn due(until: Option<Deadline>) {
    let Some((until, why)) = until else { return std::future::pending().await };
    trace!(why, "waiting");
    loop {
        let left = until.since(clock::mono());
        if left.is_zero() {
            return;
        }
        tokio::time::sleep(left.min(GLANCE)).await;
    }
}

fn show(board: &Board, cycle: &Cycle, now: Now) {
    let siren = (cycle.sirens > 0).then(|| Alarm {
        since: now.wall,
        zh: "所有联系人均未应答，请人工处置".to_owned(),
        en: "nobody on the ladder has acknowledged: act by hand".to_owned(),
    });
    let dead = (!cycle.dead.is_empty()).then(|| Alarm {
        since: now.wall,
        zh: format!("以下人员的号码无法接通，请核对值班表：{}", cycle.dead.join("、")),
        en: format!("a number cannot be reached, check the roster: {}", cycle.dead.join(", ")),
    });
    board.update(|status| {
        for (key, alarm) in [("siren", siren), ("dead_number", dead)] {
            match (alarm, status.alarms.get_mut(key)) {
                (Some(alarm), Some(shown)) => *shown = Alarm { since: shown.since, ..alarm },
                (Some(alarm), None) => drop(status.alarms.insert(key, alarm)),
                (None, _) => drop(status.alarms.remove(key)),
            }
        }
    });
}

fn stuck(error: &StoreError) -> Alarm {
    let (zh, en) = error.remedy();
    Alarm {
        since: clock::now().wall,
        zh: format!("紧急呈报无法进行，请立即人工联系带班领导。{zh}"),
        en: format!("the escalation is stuck: call the duty leader by hand; {en}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::duty::ids::CallId;
    use crate::duty::journal::{Arrival, AttemptResult, Fact, Noted, Urgency};
    use crate::duty::roster::{Person, Role};
    use crate::duty::switchboard::{LeaderCall, Unwanted};
    use crate::protocol::random::Random;
    use std::path::Path;
    use tokio::task::JoinHandle;

    struct Running {
        store: Store,
        board: Board,
        wake: Arc<Notify>,
        stopping: CancellationToken,
        orders: mpsc::Receiver<Input>,
        task: JoinHandle<()>,
    }

    fn start(folder: &Path) -> Running {
        let store = Store::open(&folder.join("log.db"), clock::random()).unwrap();
        let (board, wake) = (Board::new(), Arc::new(Notify::new()));
        let stopping = CancellationToken::new();
        let (to, orders) = mpsc::channel(8);
        let person = |name: &str, role| {
            let number = |n: u8| format!("{name}{n}");
            Person::new(name, role, Some(&number(1)), Some(&number(2)))
        };
        let roster =
            Roster { people: vec![person("L", Role::Leader), person("S", Role::Substitute)] };
        let task = tokio::spawn(run(
            store.clone(),
            Policy::default(),
            roster,
            to,
            Arc::clone(&wake),
            board.clone(),
            stopping.clone(),
        ));
        Running { store, board, wake, stopping, orders, task }
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
            self.note(Fact::Flagged { entry: call.into(), urgency: Urgency::Critical, phone })
                .await;
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
        room.note(Fact::AttemptEnded { attempt, result: AttemptResult::Declined, status: 603 })
            .await;
        assert_eq!(room.next_call().await.target, "S1", "esc_19");
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
        room.note(Fact::AttemptEnded { attempt, result: AttemptResult::Declined, status: 603 })
            .await;
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
}
