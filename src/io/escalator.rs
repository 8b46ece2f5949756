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
            Input::StopNotifying { attempt } => info!(%attempt, "no longer wanted"),
            Input::Message { .. }
            | Input::Unreachable { .. }
            | Input::Stored { .. }
            | Input::AckStored { .. }
            | Input::Media(_)
            | Input::Timeout
            | Input::Shutdown => {}
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
