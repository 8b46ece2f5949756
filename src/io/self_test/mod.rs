//! 录音自检: the daemon calls its own line through the PBX, at somebody's wish and on a schedule, and listens to the
//! recording of it. What is wrong is an alarm until a test is good again.

mod probe;

use crate::duty::ids::CallId;
use crate::duty::prompts::SELF_TEST;
use crate::duty::self_test::{Evidence, Failing, Measured, judge};
use crate::duty::switchboard::Input;
use crate::io::status::{Alarm, Board};
use crate::io::store::{RecordingState, SelfTestRow, Store};
use crate::io::{clock, prompts, stopped, wav_file};
use crate::protocol::sip::Account;
use chrono::{DateTime, Utc};
use probe::{Ended, Spoken};
use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

/// After the start; the line is registered by then.
const FIRST: Duration = Duration::from_secs(60);
/// A test does not begin while somebody talks.
const BUSY_AGAIN: Duration = Duration::from_secs(60);
/// How long a recording may take to be sealed.
const SEALED_WITHIN: Duration = Duration::from_secs(20);
/// The line tells what it knows once a second.
const TOLD_WITHIN: Duration = Duration::from_secs(8);
const LOOK: Duration = Duration::from_millis(200);

/// How the daemon calls itself.
#[derive(Debug, Clone)]
pub struct Plan {
    /// Of the second extension; `local` is filled in for each call.
    pub account: Account,
    /// The number that is dialled.
    pub dial: String,
    /// Where its sockets are bound, and the address that the PBX is told.
    pub listen: IpAddr,
    pub media: IpAddr,
    pub advertise: IpAddr,
    pub every: Option<Duration>,
    pub recordings: PathBuf,
}

pub struct SelfTest {
    pub plan: Plan,
    pub store: Store,
    pub board: Board,
    pub orders: mpsc::Sender<Input>,
    /// Who wants a test now.
    pub wanted: mpsc::Receiver<String>,
}

impl SelfTest {
    /// Until the daemon stops.
    pub async fn keep(mut self, stopping: CancellationToken) {
        recall(&self.store, &self.board).await;
        let mut wait = FIRST;
        loop {
            let due = async {
                match self.plan.every {
                    Some(_) => tokio::time::sleep(wait).await,
                    None => std::future::pending().await,
                }
            };
            let asked = tokio::select! {
                asked = self.wanted.recv() => match asked {
                    Some(asked) => asked,
                    None => return,
                },
                () = due => String::new(),
                () = stopping.cancelled() => return,
            };
            if asked.is_empty() && self.board.figures().calls > 0 {
                wait = BUSY_AGAIN;
                continue;
            }
            wait = self.plan.every.unwrap_or(FIRST);
            tokio::select! {
                () = self.once(asked) => {}
                () = stopping.cancelled() => return,
            }
            // Whoever asked meanwhile has his answer.
            while self.wanted.try_recv().is_ok() {}
        }
    }

    async fn once(&self, asked_by: String) {
        let (now, call, (measured, failing, detail)) = loop {
            let now = clock::now();
            let call = CallId::new(now, &mut clock::random());
            let (found, stopped) = stopped::watched(self.test(call)).await;
            if !stopped || found.1.is_none() {
                break (now, call, found);
            }
            info!(%call, "the host stood still during the self-test: it is done again");
        };
        match failing {
            None => info!(%call, ?measured, "the self-test is good"),
            Some(failing) => {
                warn!(%call, ?failing, ?measured, %detail, "the self-test is not good")
            }
        }
        let row = SelfTestRow { call, at: now.wall, asked_by, failing, measured, detail };
        if let Err(error) = self.store.self_tested(row, clock::now()).await {
            warn!(%error, "the self-test is not in the log");
        }
        self.tell(failing, now.wall);
    }

    fn tell(&self, failing: Option<Failing>, since: DateTime<Utc>) {
        self.board.update(|status| status.self_tested = Some(since));
        warn_of(&self.board, failing, since);
    }

    async fn test(&self, call: CallId) -> (Measured, Option<Failing>, String) {
        let nothing = Measured::default();
        let of_caller = prompts::of_test_caller();
        if !self.is_expected(call).await {
            return (nothing, Some(Failing::NotArrived), "the line is not served".to_owned());
        }
        let spoken = match probe::call(&self.plan, &of_caller).await {
            Ok(spoken) => spoken,
            Err(fault) => return (nothing, Some(Failing::Refused), fault.to_string()),
        };
        let arrived = arrived(&self.store, call, SEALED_WITHIN).await;
        match without_voice(&spoken.ended, arrived) {
            Some((failing, detail)) => (nothing, Some(failing), detail),
            None => self.listen(call, spoken, of_caller).await,
        }
    }

    /// Tells the line, and waits until it says so: else it would ring the officer.
    async fn is_expected(&self, call: CallId) -> bool {
        let told = self.orders.send(Input::ExpectTest { call }).await.is_ok();
        let until = tokio::time::Instant::now() + TOLD_WITHIN;
        while told && tokio::time::Instant::now() < until {
            if self.board.figures().expected == Some(call) {
                return true;
            }
            tokio::time::sleep(LOOK).await;
        }
        false
    }

    /// Waits for the recording, and judges it.
    async fn listen(
        &self,
        call: CallId,
        spoken: Spoken,
        of_caller: Vec<i16>,
    ) -> (Measured, Option<Failing>, String) {
        let failed = |failing, why: String| (Measured::default(), Some(failing), why);
        let until = tokio::time::Instant::now() + SEALED_WITHIN;
        let (file, started) = loop {
            match self.store.recording(call).await {
                Ok(Some(row)) if row.state == RecordingState::Sealed => {
                    match self.store.recording_file(call).await {
                        Ok(Some(file)) => break (self.plan.recordings.join(file.wav), row.started),
                        Ok(None) => {}
                        Err(error) => return failed(Failing::NotFound, error.to_string()),
                    }
                }
                Ok(Some(row)) if row.state == RecordingState::Missing => {
                    return failed(Failing::NotRecorded, row.reason);
                }
                Ok(_) => {}
                Err(error) => return failed(Failing::NotFound, error.to_string()),
            }
            if tokio::time::Instant::now() >= until {
                return failed(Failing::NotRecorded, "no recording was sealed".to_owned());
            }
            tokio::time::sleep(LOOK).await;
        };
        let judged = tokio::task::spawn_blocking(move || {
            let channels = wav_file::read_file(&file).map_err(|error| error.to_string())?;
            let [left, right]: [Vec<i16>; 2] =
                channels.try_into().map_err(|_| "not of two channels".to_owned())?;
            let ours: Arc<[i16]> = Arc::clone(&prompts::load(vec![])[usize::from(SELF_TEST.0)]);
            Ok::<_, String>(judge(&Evidence {
                recorded: [&left, &right],
                said: [&of_caller, &ours],
                heard: &spoken.heard,
                spoke_ms: (spoken.spoke - started).num_milliseconds(),
            }))
        });
        match judged.await {
            Ok(Ok((measured, None))) => match self.store.entry_row(call.into()).await {
                Ok(Some(row)) if row.call.is_some() => (measured, None, String::new()),
                Ok(_) => (measured, Some(Failing::NotFound), "no entry".to_owned()),
                Err(error) => (measured, Some(Failing::NotFound), error.to_string()),
            },
            Ok(Ok((measured, failing))) => (measured, failing, String::new()),
            Ok(Err(why)) => failed(Failing::NotRecorded, why),
            Err(error) => failed(Failing::NotRecorded, error.to_string()),
        }
    }
}

/// What was wrong before the start is wrong until a test is good.
async fn recall(store: &Store, board: &Board) {
    match store.last_self_test().await {
        Ok(last) => last.iter().for_each(|last| warn_of(board, last.failing, last.at)),
        Err(error) => warn!(%error, "the last self-test cannot be read"),
    }
}

fn warn_of(board: &Board, failing: Option<Failing>, since: DateTime<Utc>) {
    board.update(|status| match failing {
        None => drop(status.alarms.remove("self_test")),
        Some(failing) => {
            let (zh, en) = failing.remedy();
            let zh = format!("录音自检未通过：{zh}");
            let en = format!("The recording self-test is not good: {en}");
            status.alarms.insert("self_test", Alarm { since, zh, en });
        }
    });
}

/// Whether the line had the call: the log may be slower than the telephone.
async fn arrived(store: &Store, call: CallId, within: Duration) -> Result<bool, String> {
    let until = tokio::time::Instant::now() + within;
    loop {
        match store.entry_row(call.into()).await {
            Ok(Some(_)) => return Ok(true),
            Ok(None) if tokio::time::Instant::now() >= until => return Ok(false),
            Ok(None) => tokio::time::sleep(LOOK).await,
            Err(error) => return Err(error.to_string()),
        }
    }
}

/// What is wrong before anything is listened to. A log that cannot be read says nothing of where the call went.
fn without_voice(ended: &Ended, arrived: Result<bool, String>) -> Option<(Failing, String)> {
    match (ended, arrived) {
        (Ended::Talked, Ok(true)) => None,
        (Ended::Talked, Ok(false)) => Some((Failing::Elsewhere, "answered elsewhere".to_owned())),
        (Ended::Refused(why), Ok(false)) => Some((Failing::Refused, why.clone())),
        (Ended::Unanswered, Ok(false)) => Some((Failing::NotArrived, "nobody answered".to_owned())),
        (Ended::Refused(why), Ok(true)) => Some((Failing::NotServed, why.clone())),
        (Ended::Unanswered, Ok(true)) => Some((Failing::NotServed, "not answered".to_owned())),
        (_, Err(why)) => Some((Failing::NotFound, why)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::duty::journal::{Arrival, Fact, Noted};
    use crate::io::store::tests::{random, store};

    #[test]
    fn rec_q4_only_a_call_that_the_log_does_not_have_went_elsewhere() {
        let judged = |ended: Ended, arrived| without_voice(&ended, arrived).map(|one| one.0);
        let refused = || Ended::Refused("INVITE 486 Busy Here".to_owned());
        let locked = || Err("another process keeps the log locked".to_owned());
        assert_eq!(judged(Ended::Talked, Ok(true)), None);
        assert_eq!(judged(Ended::Talked, Ok(false)), Some(Failing::Elsewhere));
        assert_eq!(judged(refused(), Ok(false)), Some(Failing::Refused));
        assert_eq!(judged(Ended::Unanswered, Ok(false)), Some(Failing::NotArrived));
        for ended in [refused(), Ended::Unanswered] {
            assert_eq!(judged(ended, Ok(true)), Some(Failing::NotServed));
        }
        for ended in [refused(), Ended::Unanswered, Ended::Talked] {
            assert_eq!(judged(ended, locked()), Some(Failing::NotFound));
        }
        let said = without_voice(&Ended::Talked, locked()).unwrap().1;
        assert!(said.contains("locked"), "{said}");
    }

    #[tokio::test]
    async fn rec_q4_a_log_that_is_slow_is_asked_again() {
        let (store, call) = (store(), CallId::new(clock::now(), &mut random()));
        assert_eq!(arrived(&store, call, Duration::ZERO).await, Ok(false));
        let asking = tokio::spawn({
            let store = store.clone();
            async move { arrived(&store, call, Duration::from_secs(60)).await }
        });
        tokio::task::yield_now().await;
        let fact = Fact::Arrived(Box::new(Arrival::from_number(call, "13800130007", "")));
        store.note(Noted { at: clock::now(), fact }).await.unwrap();
        assert_eq!(asking.await.unwrap(), Ok(true));
    }

    #[tokio::test]
    async fn rec_q4_what_a_test_found_before_a_restart_is_an_alarm_after_it() {
        let (store, board) = (store(), Board::new());
        let at = clock::now();
        let row = |failing, wall| SelfTestRow {
            call: CallId::new(at, &mut clock::random()),
            at: wall,
            asked_by: String::new(),
            failing,
            measured: Measured::default(),
            detail: String::new(),
        };
        recall(&store, &board).await;
        assert!(board.status().alarms.is_empty(), "nothing was tested");
        store.self_tested(row(Some(Failing::Left), at.wall), at).await.unwrap();
        recall(&store, &board).await;
        let alarm = board.status().alarms["self_test"].clone();
        assert_eq!(alarm.since, store.last_self_test().await.unwrap().unwrap().at);
        assert!(alarm.zh.contains("来电一侧"), "{}", alarm.zh);
        let later = at.wall + chrono::TimeDelta::seconds(1);
        store.self_tested(row(None, later), at).await.unwrap();
        recall(&store, &board).await;
        assert!(board.status().alarms.is_empty());
    }
}
