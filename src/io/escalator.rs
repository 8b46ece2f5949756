//! Carries out what the escalation decides: has the attempts written down, orders their calls,
//! wakes when the next is due.

use crate::duty::escalation::Memory;
use crate::duty::journal::{AttemptResult, Fact};
use crate::duty::roster::Roster;
use crate::duty::switchboard::{Input, LeaderCall};
use crate::io::clock;
use crate::io::open_matters::OpenMatters;
use crate::io::policies::Policies;
use crate::io::pulse::Pulse;
use crate::io::status::{Alarm, Board, Status};
use crate::io::stopped::Stops;
use crate::io::store::{Bounds, Cycle, Deciding, Rest, Store, StoreError};
use crate::protocol::now::{Deadline, Mono, Now, earlier};
use crate::protocol::random::Random;
use chrono::{DateTime, Utc};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::{Notify, mpsc};
use tokio_util::sync::CancellationToken;
use tracing::{error, info, trace};

/// The clock of the host is looked at this often: a suspended host does not run timers, and what
/// fell due meanwhile is to be done at once.
const GLANCE: Duration = Duration::from_secs(1);
/// Leaders are called from memory when the log has refused, or has not answered, for so long.
const PATIENCE: Duration = Duration::from_secs(2);
/// How long a log that refused is left alone.
const AGAIN: Duration = Duration::from_millis(500);
/// While calls finish, whoever is due goes uncalled for so long at most: then they are ended, and the next run calls
/// (esc_46).
const WITHHELD: Duration = Duration::from_secs(90);

/// What the logbook and the escalator both know of open escalations.
#[derive(Clone, Default)]
pub struct Remembered(Arc<Mutex<Memory>>);

impl Remembered {
    pub fn new(roster: Roster) -> Self {
        Self(Arc::new(Mutex::new(Memory::new(roster))))
    }

    pub fn lock(&self) -> MutexGuard<'_, Memory> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What the escalator needs of the daemon.
pub struct Office {
    pub store: Store,
    pub policies: Policies,
    pub roster: Roster,
    pub orders: mpsc::Sender<Input>,
    pub wake: Arc<Notify>,
    pub board: Board,
    pub memory: Remembered,
    pub open: OpenMatters,
    /// The daemon is told to stop, and calls may finish: nobody is called any more.
    pub finishing: CancellationToken,
    /// Beats whenever it has looked.
    pub pulse: Pulse,
}

/// Runs until `stopping`. Every order is committed before it is sent: whatever is cut in between
/// is found at the next start and made again. While the log cannot be used, it is done from memory,
/// and the log is told afterwards.
pub async fn run(office: Office, stopping: CancellationToken) {
    let (random, stops) = (clock::random(), Stops::default());
    let escalator = Escalator { office, random, failing: None, withheld: None, stops };
    let _ = escalator.run(&stopping).await;
}

struct Escalator {
    office: Office,
    random: Random,
    /// Since when the log cannot be used.
    failing: Option<Mono>,
    /// Since when somebody is due and not called, because calls may finish.
    withheld: Option<Mono>,
    stops: Stops,
}

/// The switchboard is gone.
struct Gone;

impl Escalator {
    async fn run(mut self, stopping: &CancellationToken) -> Result<(), Gone> {
        while !stopping.is_cancelled() {
            let since = self.office.policies.since();
            let until = match self.behind() {
                true => self.remember().await?,
                false => self.look(stopping).await?,
            };
            self.office.pulse.beat();
            self.rest(until, since, stopping).await;
        }
        Ok(())
    }

    /// Until something is due on the host's clock, or has happened.
    async fn rest(
        &mut self,
        until: Option<Deadline>,
        since: Option<DateTime<Utc>>,
        stopping: &CancellationToken,
    ) {
        if let Some((_, why)) = until {
            trace!(why, "waiting");
        }
        let Office { wake, policies, .. } = &self.office;
        loop {
            let slept = clock::mono();
            let glance = slept + GLANCE;
            let at = until.map_or(glance, |(at, _)| at.min(glance));
            let happened = tokio::select! {
                () = tokio::time::sleep(at.since(slept)) => false,
                () = wake.notified() => true,
                () = policies.turned(since) => true,
                () = stopping.cancelled() => true,
            };
            let now = clock::mono();
            self.stops.wakes(slept, at, now);
            if happened || until.is_some_and(|(at, _)| at <= now) {
                return;
            }
        }
    }

    /// The log lacks what must be known to decide, for so long that it is not waited for.
    fn behind(&mut self) -> bool {
        let memory = self.office.memory.lock();
        let (settled, needed) = (memory.is_settled(), memory.is_needed());
        let waits = memory.waits_since();
        drop(memory);
        let late = waits.filter(|since| self.stops.since(*since) + PATIENCE <= clock::mono());
        if let Some(since) = late.filter(|_| needed) {
            self.fails("what happened is not written", since);
        }
        self.failing.is_some() && !settled
    }

    /// At the log, at some matters after the others; while it does not answer, from memory.
    async fn look(&mut self, stopping: &CancellationToken) -> Result<Option<Deadline>, Gone> {
        let mark = self.office.memory.lock().mark();
        let mut looked = Cycle::default();
        let mut rest = None;
        loop {
            let now = clock::now();
            let looking = self.looks_at(rest.take(), now);
            let Some(next) = self.answer(looking, now, stopping).await? else { return Ok(None) };
            match next {
                Ok(next) => looked = looked.and(next),
                Err(error) => {
                    let (zh, en) = error.remedy();
                    self.fails(&format!("{zh} · {en}"), now.mono);
                    return self.remember().await;
                }
            }
            self.goes_on();
            if looked.rest.is_empty() {
                return self.works(looked, mark, now).await;
            }
            rest = Some(std::mem::take(&mut looked.rest));
            self.order_at_once(&mut looked, now).await?;
        }
    }

    fn looks_at(&self, rest: Option<Rest>, now: Now) -> Deciding {
        let Office { store, policies, roster, finishing, .. } = &self.office;
        let bounds = Bounds { rest, finishing: finishing.clone() };
        store.next_calls_in(bounds, now, &*policies.now(), roster)
    }

    /// What the log answers; `None`: there is an end to everything.
    async fn answer(
        &mut self,
        mut looking: Deciding,
        now: Now,
        stopping: &CancellationToken,
    ) -> Result<Option<Result<Cycle, StoreError>>, Gone> {
        loop {
            let asked = clock::mono();
            tokio::select! {
                looked = &mut looking => return Ok(Some(looked)),
                () = tokio::time::sleep(PATIENCE) => {
                    if self.stops.wakes(asked, asked + PATIENCE, clock::mono()) {
                        continue;
                    }
                    self.fails("no answer", now.mono);
                    self.remember().await?;
                }
                () = stopping.cancelled() => return Ok(None),
            }
        }
    }

    /// What the first have come to, before the rest is looked at.
    async fn order_at_once(&mut self, looked: &mut Cycle, now: Now) -> Result<(), Gone> {
        self.office.pulse.beat();
        let inputs = self.without_twins(std::mem::take(&mut looked.inputs));
        self.remembers(&inputs, now);
        self.order(inputs).await?;
        looked.live.drain(..).for_each(|live| self.office.board.tell(live));
        Ok(())
    }

    fn remembers(&self, inputs: &[Input], now: Now) {
        let mut memory = self.office.memory.lock();
        for input in inputs {
            if let Input::Notify(call) = input {
                memory.ordered(call, now);
            }
        }
    }

    fn goes_on(&mut self) {
        if self.failing.take().is_some() {
            info!("the escalation goes on with the log");
            self.office.memory.lock().works(false);
            self.office.board.update(|status| drop(status.alarms.remove("escalator")));
        }
    }

    async fn works(
        &mut self,
        mut cycle: Cycle,
        mark: usize,
        now: Now,
    ) -> Result<Option<Deadline>, Gone> {
        let known = std::mem::take(&mut cycle.known);
        self.office.open.keep(&known).await;
        let inputs = std::mem::take(&mut cycle.inputs);
        cycle.inputs = self.without_twins(inputs);
        let roster = std::mem::take(&mut cycle.roster);
        self.office.memory.lock().looked(known, roster, mark);
        self.office.board.update(|status| {
            show(status, "siren", siren(cycle.sirens, now));
            show(status, "dead_number", unreachable(&cycle.dead, now));
        });
        let waits = self.office.memory.lock().waits_since();
        let late = waits.map(|since| (self.stops.since(since) + PATIENCE, "the log is behind"));
        let hurry = self.withhold(cycle.withheld, now).await?;
        let until = earlier(earlier(cycle.until, late), hurry);
        self.order(cycle.inputs).await?;
        cycle.live.into_iter().for_each(|live| self.office.board.tell(live));
        Ok(until)
    }

    /// Calls that the log ordered late, and that were made from memory meanwhile, are not made twice.
    fn without_twins(&self, inputs: Vec<Input>) -> Vec<Input> {
        let memory = self.office.memory.lock();
        if memory.is_settled() {
            return inputs;
        }
        let twin = |input| match input {
            Input::Notify(call) if has_twin(&memory, &call) => {
                let result = AttemptResult::Cancelled;
                Input::Note(Fact::AttemptEnded { attempt: call.attempt, result, status: 487 })
            }
            other => other,
        };
        inputs.into_iter().map(twin).collect()
    }

    fn fails(&mut self, why: &str, since: Mono) {
        if self.failing.is_some() {
            return;
        }
        let now = clock::now();
        self.failing = Some(since);
        self.office.memory.lock().works(true);
        error!(why, "the escalation cannot read or write its rows");
        self.office.board.update(|status| drop(status.alarms.insert("escalator", stuck(why, now))));
    }

    /// Calls whom the memory says, once the log has had its time.
    async fn remember(&mut self) -> Result<Option<Deadline>, Gone> {
        let now = clock::now();
        self.office.pulse.beat();
        let again = Some((now.mono + AGAIN, "the log may be back"));
        let finishing = self.office.finishing.is_cancelled();
        if self.failing.is_none_or(|since| now.mono.since(since) < PATIENCE) {
            return Ok(again);
        }
        let Office { policies, memory, .. } = &self.office;
        let versions = policies.now();
        let look = match finishing {
            false => memory.lock().look(&versions, now, &mut self.random),
            true => memory.lock().last_stops(&versions, now),
        };
        self.withhold(look.withheld, now).await?;
        self.office.board.update(|status| show(status, "siren", siren(look.sirens, now)));
        self.order(look.inputs).await?;
        Ok(earlier(look.until, again))
    }

    /// Told to stop, nobody is called any more: where somebody is due that is said, and does not last.
    async fn withhold(&mut self, withheld: bool, now: Now) -> Result<Option<Deadline>, Gone> {
        if !withheld {
            if self.withheld.take().is_some() {
                self.office.board.update(|status| drop(status.alarms.remove("withheld")));
            }
            return Ok(None);
        }
        let since = *self.withheld.get_or_insert(now.mono);
        self.office.board.update(|status| {
            status.alarms.entry("withheld").or_insert_with(|| uncalled(now));
        });
        if now.mono.since(since) < WITHHELD {
            return Ok(Some((since + WITHHELD, "calls have had their time to finish")));
        }
        error!("somebody is due to be called: calls may finish no longer");
        self.office.orders.send(Input::Shutdown).await.map_err(|_| Gone)?;
        Ok(None)
    }

    async fn order(&self, inputs: Vec<Input>) -> Result<(), Gone> {
        for input in inputs {
            match &input {
                Input::Notify(call) => {
                    info!(attempt = %call.attempt, entry = %call.entry, "calling a leader");
                }
                Input::StopNotifying { attempt, why } => info!(%attempt, ?why, "no longer wanted"),
                _ => {}
            }
            self.office.orders.send(input).await.map_err(|_| Gone)?;
        }
        Ok(())
    }
}

/// A call in which somebody is told of several matters is made once for each.
fn has_twin(memory: &Memory, call: &LeaderCall) -> bool {
    match call.joins {
        Some(_) => memory.tells(&call.person, call.entry),
        None => memory.calls(&call.person, &call.target),
    }
}

/// One that is shown already is as old as it was.
fn show(status: &mut Status, key: &'static str, alarm: Option<Alarm>) {
    match (alarm, status.alarms.get_mut(key)) {
        (Some(alarm), Some(shown)) => *shown = Alarm { since: shown.since, ..alarm },
        (Some(alarm), None) => drop(status.alarms.insert(key, alarm)),
        (None, _) => drop(status.alarms.remove(key)),
    }
}

fn siren(sirens: u32, now: Now) -> Option<Alarm> {
    (sirens > 0).then(|| Alarm {
        since: now.wall,
        zh: "所有联系人均未应答，请人工处置".to_owned(),
        en: "nobody on the ladder has acknowledged: act by hand".to_owned(),
    })
}

fn unreachable(dead: &[String], now: Now) -> Option<Alarm> {
    (!dead.is_empty()).then(|| Alarm {
        since: now.wall,
        zh: format!("以下人员的号码无法接通，请核对值班表：{}", dead.join("、")),
        en: format!("a number cannot be reached, check the roster: {}", dead.join(", ")),
    })
}

fn stuck(why: &str, now: Now) -> Alarm {
    Alarm {
        since: now.wall,
        zh: format!(
            "值班记录无法读写，紧急呈报改按内存继续呼叫领导；请同时人工联系带班领导。{why}"
        ),
        en: format!(
            "the log cannot be used: leaders are called from memory; call the duty leader by hand as well. {why}"
        ),
    }
}

fn uncalled(now: Now) -> Alarm {
    Alarm {
        since: now.wall,
        zh: "服务正在停止，不再呼叫领导；有紧急事项待报，请立即人工联系带班领导".to_owned(),
        en: "the service is stopping and calls no leaders any more: something urgent is open, call the duty leader by hand now"
            .to_owned(),
    }
}

#[cfg(test)]
mod tests;
