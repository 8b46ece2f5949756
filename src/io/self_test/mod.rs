//! 录音自检: the daemon calls its own line through the PBX, at somebody's wish and on a schedule, and listens to the
//! recording of it, one duty number after the other. What is wrong is an alarm until a test is good again.

mod probe;

use crate::duty::ids::CallId;
use crate::duty::prompts::SELF_TEST;
use crate::duty::self_test::{Evidence, Failing, Measured, judge};
use crate::duty::switchboard::Input;
use crate::io::status::{Alarm, Board};
use crate::io::store::{RecordingState, SelfTestRow, Store};
use crate::io::{clock, prompts, stopped, wav_file};
use crate::protocol::sip::{Account, Peer, Transport};
use chrono::{DateTime, Utc};
use probe::{Ended, Spoken};
use std::collections::{BTreeMap, VecDeque};
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
/// Between two numbers: the call of the one before is not counted any more.
const NEXT: Duration = Duration::from_secs(3);
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
    pub numbers: Vec<Tested>,
    /// Where its sockets are bound, and the address that the PBX is told.
    pub listen: IpAddr,
    pub media: IpAddr,
    pub advertise: IpAddr,
    pub every: Option<Duration>,
    pub recordings: PathBuf,
}

/// One of our duty numbers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tested {
    /// In the log: number and name, empty for the line's own.
    pub number: String,
    pub name: String,
    /// Shown.
    pub shown: String,
    pub dial: String,
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
        let mut found = recall(&self.plan.numbers, &self.store).await;
        warn_of(&self.board, &found, &self.plan.numbers);
        let (mut wait, mut left) = (FIRST, VecDeque::new());
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
            let busy = asked.is_empty() && self.board.figures().calls > 0;
            if left.is_empty() || !asked.is_empty() {
                left = (0..self.plan.numbers.len()).collect();
            }
            while let Some(place) = left.front().copied().filter(|_| !busy) {
                tokio::select! {
                    () = self.once(place, &asked, &mut found) => drop(left.pop_front()),
                    () = stopping.cancelled() => return,
                }
                if asked.is_empty() {
                    break;
                }
            }
            wait = match left.is_empty() {
                true => self.plan.every.unwrap_or(FIRST),
                false if busy => BUSY_AGAIN,
                false => NEXT,
            };
            // Whoever asked meanwhile has his answer.
            while !asked.is_empty() && self.wanted.try_recv().is_ok() {}
        }
    }

    /// Tests the number at this place.
    async fn once(&self, place: usize, asked_by: &str, found: &mut Found) {
        let Some(tested) = self.plan.numbers.get(place) else { return };
        let (now, call, (measured, failing, detail)) = loop {
            let now = clock::now();
            let call = CallId::new(now, &mut clock::random());
            let (found, stopped) = stopped::watched(self.test(call, tested)).await;
            if !stopped || found.1.is_none() {
                break (now, call, found);
            }
            info!(%call, "the host stood still during the self-test: it is done again");
        };
        let number = &tested.shown;
        match failing {
            None => info!(%call, number, ?measured, "the self-test is good"),
            Some(failing) => {
                warn!(%call, number, ?failing, ?measured, %detail, "the self-test is not good")
            }
        }
        let (number, asked_by) = (tested.number.clone(), asked_by.to_owned());
        let row = SelfTestRow { call, number, at: now.wall, asked_by, failing, measured, detail };
        if let Err(error) = self.store.self_tested(row, clock::now()).await {
            warn!(%error, "the self-test is not in the log");
        }
        found.insert(place, (failing, now.wall));
        self.board.update(|status| status.self_tested = Some(now.wall));
        warn_of(&self.board, found, &self.plan.numbers);
    }

    async fn test(&self, call: CallId, tested: &Tested) -> (Measured, Option<Failing>, String) {
        let nothing = Measured::default();
        let of_caller = prompts::of_test_caller();
        if !self.is_expected(call).await {
            return (nothing, Some(Failing::NotArrived), "the line is not served".to_owned());
        }
        let account = self.account();
        let spoken = match probe::call(&self.plan, account, &tested.dial, &of_caller).await {
            Ok(spoken) => spoken,
            Err(fault) => return (nothing, Some(Failing::Refused), fault.to_string()),
        };
        let arrived = arrived(&self.store, call, SEALED_WITHIN).await;
        match without_voice(&spoken.ended, arrived, &tested.name) {
            Some((failing, detail)) => (nothing, Some(failing), detail),
            None => self.listen(call, spoken, of_caller).await,
        }
    }

    /// The test extension at the address that the line uses now; the PBX's name may have meant another at the start.
    fn account(&self) -> Account {
        let mut account = self.plan.account.clone();
        if let Some(used) = self.board.figures().pbx.filter(Peer::is_somewhere) {
            account.pbx = Peer { transport: Transport::Udp, ..used };
            account.peers.retain(|peer| peer.addr != used.addr);
            account.peers.insert(0, account.pbx);
        }
        account
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

/// What the last test of each number found, and when, by its place.
type Found = BTreeMap<usize, (Option<Failing>, DateTime<Utc>)>;

/// What was wrong before the start is wrong until a test is good.
async fn recall(numbers: &[Tested], store: &Store) -> Found {
    let mut found = Found::new();
    for (place, tested) in numbers.iter().enumerate() {
        match store.last_self_test(&tested.number).await {
            Ok(last) => found.extend(last.map(|last| (place, (last.failing, last.at)))),
            Err(error) => warn!(%error, "the last self-test cannot be read"),
        }
    }
    found
}

/// One alarm names all numbers whose last test is not good.
fn warn_of(board: &Board, found: &Found, numbers: &[Tested]) {
    let shown = |place: &usize| numbers.get(*place).map_or("", |tested| tested.shown.as_str());
    let bad = found.iter().filter_map(|(place, (failing, at))| Some((place, (*failing)?, *at)));
    let bad: Vec<_> = bad.collect();
    let since = bad.iter().map(|(.., at)| *at).min();
    let each = |of: fn(Failing) -> &'static str, between: &str| {
        let one = |(place, failing, _): &(&usize, Failing, DateTime<Utc>)| match numbers {
            [_] => of(*failing).to_owned(),
            _ => format!("{} {}", shown(place), of(*failing)),
        };
        bad.iter().map(one).collect::<Vec<_>>().join(between)
    };
    board.update(|status| {
        let good =
            found.iter().map(|(place, (failing, _))| (shown(place).to_owned(), failing.is_none()));
        status.self_tests = good.collect();
        let Some(since) = since else { return drop(status.alarms.remove("self_test")) };
        let zh = format!("录音自检未通过：{}", each(|failing| failing.remedy().0, "；"));
        let en = format!(
            "The recording self-test is not good: {}",
            each(|failing| failing.remedy().1, "; ")
        );
        status.alarms.insert("self_test", Alarm { since, zh, en });
    });
}

/// Which duty number had the call, by its name; none: the line did not. The log may be slower than the telephone.
async fn arrived(store: &Store, call: CallId, within: Duration) -> Result<Option<String>, String> {
    let until = tokio::time::Instant::now() + within;
    loop {
        match store.entry_row(call.into()).await {
            Ok(Some(row)) => return Ok(Some(row.call.map(|call| call.called).unwrap_or_default())),
            Ok(None) if tokio::time::Instant::now() >= until => return Ok(None),
            Ok(None) => tokio::time::sleep(LOOK).await,
            Err(error) => return Err(error.to_string()),
        }
    }
}

/// What is wrong before anything is listened to. A log that cannot be read says nothing of where the call went.
fn without_voice(
    ended: &Ended,
    arrived: Result<Option<String>, String>,
    name: &str,
) -> Option<(Failing, String)> {
    let arrived = match arrived {
        Err(why) => return Some((Failing::NotFound, why)),
        Ok(Some(called)) if called != name => {
            return Some((Failing::OtherNumber, format!("it reached {called:?}")));
        }
        Ok(called) => called.is_some(),
    };
    match (ended, arrived) {
        (Ended::Talked, true) => None,
        (Ended::Talked, false) => Some((Failing::Elsewhere, "answered elsewhere".to_owned())),
        (Ended::Refused(why), false) => Some((Failing::Refused, why.clone())),
        (Ended::Unanswered, false) => Some((Failing::NotArrived, "nobody answered".to_owned())),
        (Ended::Refused(why), true) => Some((Failing::NotServed, why.clone())),
        (Ended::Unanswered, true) => Some((Failing::NotServed, "not answered".to_owned())),
    }
}

#[cfg(test)]
mod tests;
