//! Writes what happened to the store, in order, until it is written; tells the pages, the
//! switchboard and the escalator what follows.

mod amiss;
mod cut;
mod facts;
mod intruder;
mod leaders_line;
mod line;
mod recordings;

pub use facts::{Teller, Told, facts};
pub use recordings::{keep_recordings, recording};

use crate::duty::journal::{Fact, Noted};
use crate::duty::switchboard::Input;
use crate::io::call_lines::CallLines;
use crate::io::clock;
use crate::io::escalator::Remembered;
use crate::io::long_calls::LongCalls;
use crate::io::metrics::Metrics;
use crate::io::outages::Outages;
use crate::io::status::{Alarm, Board, Live, PartState};
use crate::io::store::{Applied, OutageKind, Store, StoreError};
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Notify, mpsc};
use tracing::{error, info, warn};

/// How long the store is left alone after it refused.
const AGAIN: Duration = Duration::from_millis(500);
/// While the store does not answer, what happens is heard of this often.
const MEANWHILE: Duration = Duration::from_millis(200);
/// Facts written by one commit at most.
const BATCH: usize = 256;
/// Facts kept for a store that cannot write: weeks of a busy duty room.
const KEPT: usize = 200_000;

/// What the facts are handed on to.
#[derive(Clone)]
pub struct Readers {
    pub store: Store,
    pub board: Board,
    pub metrics: Metrics,
    pub orders: mpsc::Sender<Input>,
    /// Wakes the escalator.
    pub wake: Arc<Notify>,
    /// Of open escalations, for the time without a log.
    pub memory: Remembered,
}

impl Readers {
    pub fn outages(&self) -> Outages {
        Outages { orders: self.orders.clone(), store: self.store.clone() }
    }
}

/// Writes the switchboard's facts until it is gone and everything is written, or `give_up` says
/// that waiting for a store that refuses is over.
pub async fn keep_facts(
    mut facts: Told,
    to: Readers,
    give_up: tokio_util::sync::CancellationToken,
) {
    let mut waiting: VecDeque<Noted> = VecDeque::new();
    let mut settled = Settled::default();
    let mut log = LogState::default();
    let mut lines = CallLines::default();
    let mut long = LongCalls::default();
    let mut amiss = amiss::Amiss::default();
    let mut leaders = leaders_line::LeadersLine::default();
    let mut take = |noted: Noted, waiting: &mut VecDeque<Noted>| {
        lines.take(&noted);
        long.take(&noted, &to.board);
        amiss.take(&noted, &to.board);
        leaders.take(&noted, &to.board);
        to.metrics.take(&noted);
        keep(noted, waiting, &to);
    };
    loop {
        if waiting.is_empty() {
            let Some(told) = facts.next().await else { return };
            told.into_iter().for_each(|noted| take(noted, &mut waiting));
        }
        facts.rest().for_each(|noted| take(noted, &mut waiting));
        let batch: Vec<Noted> = waiting.iter().take(BATCH).cloned().collect();
        let written = meanwhile(to.store.note_all(batch.clone()), || {
            facts.rest().for_each(|noted| take(noted, &mut waiting));
            to.wake.notify_one();
        });
        match written.await {
            Ok(applied) => {
                waiting.drain(..batch.len());
                entered(&batch, &to.metrics);
                log.works(&to).await;
                settled.more(&batch, &to).await;
                for applied in applied {
                    hand_on(applied, &to).await;
                }
            }
            Err(error) if error.is_worth_waiting_for() => {
                log.fails(&error, &batch, &to).await;
                to.wake.notify_one();
                tokio::select! {
                    () = tokio::time::sleep(AGAIN) => {}
                    () = give_up.cancelled() => {
                        error!(facts = waiting.len(), "stopped with facts that no store took");
                        return;
                    }
                }
            }
            Err(error) => {
                log.fails(&error, &batch, &to).await;
                one_by_one(&mut waiting, batch.len(), &to).await;
                to.wake.notify_one();
                settled.more(&batch, &to).await;
            }
        }
    }
}

/// A log that does not answer keeps nobody from hearing what happens.
async fn meanwhile<T>(writing: impl Future<Output = T>, mut hear: impl FnMut()) -> T {
    let mut writing = std::pin::pin!(writing);
    loop {
        tokio::select! {
            written = &mut writing => return written,
            () = tokio::time::sleep(MEANWHILE) => hear(),
        }
    }
}

/// Calls whose entries are in the log now.
fn entered(batch: &[Noted], metrics: &Metrics) {
    let arrived = batch.iter().filter(|noted| matches!(noted.fact, Fact::Arrived(_)));
    arrived.for_each(|noted| metrics.entered(clock::mono().since(noted.at.mono)));
}

/// How many facts the log has, or has refused for good: the switchboard need not keep them.
#[derive(Default)]
struct Settled(u64);

impl Settled {
    async fn more(&mut self, facts: &[Noted], to: &Readers) {
        self.0 += facts.len() as u64;
        to.memory.lock().written(facts);
        // The control task is gone: the next run tells them again.
        let _ = to.orders.send(Input::Written { through: self.0 - 1 }).await;
    }
}

/// After a refusal that will not pass: the facts that the store can take are written, the one it
/// cannot is named.
async fn one_by_one(waiting: &mut VecDeque<Noted>, count: usize, to: &Readers) {
    for noted in waiting.drain(..count) {
        let shown = name(&noted.fact);
        match to.store.note(noted).await {
            Ok(applied) => hand_on(applied, to).await,
            Err(error) => error!(%error, fact = shown, "the log refused a fact"),
        }
    }
}

fn keep(noted: Noted, waiting: &mut VecDeque<Noted>, to: &Readers) {
    let board = &to.board;
    line::show(&noted, board);
    intruder::show(&noted, board);
    match &noted.fact {
        Fact::Carried { call, party, .. } => board.forget_voice(*call, *party),
        Fact::Ended { call, .. } => board.forget_voices(*call),
        Fact::AttemptEnded { attempt, .. } => board.forget_voices((*attempt).into()),
        _ => {}
    }
    if waiting.len() < KEPT {
        to.memory.lock().take(&noted);
        waiting.push_back(noted);
    } else {
        error!(fact = name(&noted.fact), "too many facts wait for the log: this one is lost");
    }
}

async fn hand_on(applied: Applied, to: &Readers) {
    let Applied { input, live, escalate } = applied;
    if let Some(input) = input {
        // The control task is gone: nobody waits for the answer.
        let _ = to.orders.send(input).await;
    }
    for live in live {
        to.board.tell(live);
    }
    if escalate {
        to.wake.notify_one();
    }
}

fn name(fact: &Fact) -> String {
    let shown = format!("{fact:?}");
    shown.split([' ', '(', '{']).next().unwrap_or_default().to_owned()
}

/// Whether the log can be written, on the page and, once it can again, in the log itself.
#[derive(Default)]
struct LogState {
    failing: bool,
    told: usize,
}

impl LogState {
    async fn fails(&mut self, error: &StoreError, batch: &[Noted], to: &Readers) {
        let board = &to.board;
        if self.failing {
            // New calls still pop up, without the contact's name.
            let fresh = batch.len().max(self.told);
            for noted in &batch[self.told.min(batch.len())..] {
                announce(noted, board);
            }
            self.told = fresh;
            return;
        }
        let now = clock::now();
        warn!(%error, "the log cannot be written; facts are kept in memory");
        let (zh, en) = error.remedy();
        board.update(|status| {
            let why = error.to_string();
            status.log = PartState::Failed { since: now.wall, why };
            let zh = format!("值班记录无法写入，电话不受影响，请先手工登记。{zh}");
            let en = format!("The log cannot be written ({error}): {en}");
            status.alarms.insert("log", Alarm { since: now.wall, zh, en });
        });
        batch.iter().for_each(|noted| announce(noted, board));
        self.told = batch.len();
        self.failing = true;
        to.outages().began(OutageKind::Log, now.wall, error.to_string()).await;
    }

    async fn works(&mut self, to: &Readers) {
        if !std::mem::take(&mut self.failing) {
            return;
        }
        self.told = 0;
        info!("the log can be written again");
        to.board.update(|status| {
            status.log = PartState::Ok;
            status.alarms.remove("log");
        });
        to.outages().over(OutageKind::Log).await;
    }
}

fn announce(noted: &Noted, board: &Board) {
    if let Fact::Arrived(arrival) = &noted.fact
        && !arrival.test
    {
        board.tell(Live::ringing(arrival, &arrival.display, noted.at));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::duty::ids::CallId;
    use crate::duty::journal::Urgency;
    use crate::io::store::tests::stalled;

    #[test]
    fn sig_20_and_rel_34_a_refused_certificate_is_an_alarm_on_the_page() {
        let board = Board::new();
        let tell = |fact| line::show(&Noted { at: clock::now(), fact }, &board);
        let why = "TLS:交换机证书已过期 · the PBX's certificate has expired".to_owned();
        tell(Fact::LineDown { status: 503, why, since: None });
        let alarm = board.status().alarms["line"].clone();
        assert!(alarm.zh.contains("证书已过期") && alarm.zh.contains("明文"), "{alarm:?}");
        assert!(alarm.en.contains("has expired"), "{alarm:?}");
        tell(Fact::LineUp);
        assert!(board.status().alarms.is_empty());
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn esc_49_a_log_that_does_not_answer_keeps_nobody_from_hearing_of_an_urgent_call() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(&folder.path().join("log.db"), clock::random()).unwrap();
        let (orders, mut ordered) = mpsc::channel(64);
        let to = Readers {
            store: store.clone(),
            board: Board::new(),
            metrics: Metrics::default(),
            orders,
            wake: Arc::new(Notify::new()),
            memory: Remembered::default(),
        };
        let hangs = stalled(&store);
        let (teller, told) = facts();
        let give_up = tokio_util::sync::CancellationToken::new();
        let keeping = tokio::spawn(keep_facts(told, to.clone(), give_up));
        let tell = |fact| assert!(teller.tell(Noted { at: clock::now(), fact }));
        tell(Fact::LineUp);
        let heard = tokio::time::timeout(Duration::from_secs(10), async {
            to.wake.notified().await;
            let call = CallId::new(clock::now(), &mut clock::random());
            let phone = "值班台话机".to_owned();
            tell(Fact::Flagged { entry: call.into(), urgency: Urgency::Urgent, phone });
            while !to.memory.lock().is_needed() {
                to.wake.notified().await;
            }
        });
        heard.await.expect("the escalator is woken while the log hangs");
        assert!(ordered.try_recv().is_err(), "nothing is written yet");
        drop(hangs);
        drop(teller);
        keeping.await.unwrap();
        assert!(matches!(ordered.recv().await, Some(Input::Written { .. })));
    }

    #[test]
    fn sig_04_the_second_address_is_shown_until_the_line_is_back_on_the_first() {
        let board = Board::new();
        let tell = |to: &str, preferred| {
            let fact = Fact::LineMoved { to: to.to_owned(), preferred };
            line::show(&Noted { at: clock::now(), fact }, &board);
        };
        tell("10.1.0.3:5060", false);
        assert!(board.status().alarms["standby"].zh.contains("10.1.0.3:5060"));
        let (status, why) = (403, "Forbidden".to_owned());
        let fact = Fact::LineNotMoved { to: "10.1.0.2:5060".to_owned(), status, why };
        line::show(&Noted { at: clock::now(), fact: fact.clone() }, &board);
        let alarm = board.status().alarms["standby"].clone();
        assert!(alarm.zh.contains("拒绝注册（403 Forbidden）"), "{alarm:?}");
        tell("10.1.0.2:5060", true);
        assert!(board.status().alarms.is_empty());
        line::show(&Noted { at: clock::now(), fact }, &board);
        assert!(board.status().alarms.is_empty(), "the line is where it belongs");
    }
}
