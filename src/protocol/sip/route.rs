//! Which of the PBX's addresses the line uses, and whether it is there (RFC 3263 §4.3).
//!
//! The first address is preferred. One that falls silent is left for the next that answers, the
//! last one that did is kept, and after [`STEADY`] of unbroken answers from a more preferred one
//! the line goes back to it: a registered one when its REGISTER is granted there, too ([`Trial`]).
//! One that refuses REGISTER is left for another where it is granted. One that failed is not gone to again for a while that doubles; where
//! all have, the line stays and registers at its own pace. Where there is no choice a registered
//! line asks all the same: so it is known until when the PBX was there, long before its REGISTER
//! tells. A line without registration is up while OPTIONS are answered.

mod trial;

use super::Peer;
use crate::protocol::now::{Deadline, Mono, earlier};
use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::Duration;
use trial::Trial;

/// Between an answer of the used address and the next question, where another stands by.
const ASK_USED: Duration = Duration::from_millis(1500);
/// The same for addresses that stand by, and for the only one of a line.
const ASK_OTHERS: Duration = Duration::from_secs(10);
/// No answer for so long is silence: OPTIONS went out at 0, 0.5 and 1.5 s.
const SILENT: Duration = Duration::from_secs(2);
/// The same where no other address stands by: one more repetition, at 3.5 s.
const SILENT_ALONE: Duration = Duration::from_secs(4);
/// How long a more preferred address must have answered before the line goes back to it.
pub const STEADY: Duration = Duration::from_secs(60);
/// How long an address that failed is not gone to again, the first time and at most.
const HELD_FIRST: Duration = Duration::from_secs(4);
const HELD_LONGEST: Duration = Duration::from_secs(30);
/// The longest Retry-After that is waited for.
const RETRY_AFTER_MAX: Duration = Duration::from_secs(60);
/// Addresses of one PBX, more than any site has.
pub const PEERS_MAX: usize = 8;

/// What the machine asks of its owner.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// Send OPTIONS there.
    Ask {
        peer: Peer,
    },
    /// From now on requests go there; `lost` when the address before fell silent, `failed` when
    /// this one has as well, and has not served since.
    Use {
        peer: Peer,
        lost: bool,
        preferred: bool,
        failed: bool,
    },
    /// Send REGISTER there, beside the binding that the line has; `Route::handle_tried` follows.
    Try {
        peer: Peer,
    },
    /// A line without registration: the used address answers, or does not any more.
    Up,
    Down {
        status: u16,
    },
    /// A registered line has no other address, and this one does not answer any more: whether it has
    /// its binding is to be seen.
    Silent,
}

/// Which requests an address leaves undone; only the same, done, makes up for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Undone {
    Options,
    Register,
}

/// What an address did not do.
#[derive(Debug, Clone, Copy)]
pub struct Failure {
    pub undone: Undone,
    pub status: u16,
    /// Seconds.
    pub retry_after: Option<u32>,
}

/// It is not gone to again before `until`.
#[derive(Debug, Clone, Copy)]
struct Held {
    until: Mono,
    times: u32,
    undone: Undone,
}

impl Held {
    fn after(before: Option<Self>, failure: Failure, now: Mono) -> Self {
        let undone = before.map_or(failure.undone, |held| held.undone.max(failure.undone));
        let (until, times) = match before {
            // The same trouble, told once more.
            Some(held) if now < held.until => (held.until, held.times),
            Some(held) => {
                let doubled = HELD_FIRST.saturating_mul(1 << held.times.min(8));
                (now + doubled.min(HELD_LONGEST), held.times.saturating_add(1))
            }
            None => (now + HELD_FIRST, 1),
        };
        let told = Duration::from_secs(u64::from(failure.retry_after.unwrap_or(0)));
        Self { until: until.max(now + told.min(RETRY_AFTER_MAX)), times, undone }
    }
}

#[derive(Debug)]
struct Address {
    peer: Peer,
    /// When it is asked again, and when the answer to the last question is overdue.
    ask: Option<Mono>,
    overdue: Option<Mono>,
    /// It has answered OPTIONS once: some PBXs never do, which is not silence.
    answers: bool,
    /// Anything at all was heard from it.
    heard: bool,
    /// Since when it has answered every question.
    good: Option<Mono>,
    /// It has failed while it was used.
    held: Option<Held>,
    /// When it did so last.
    failed: Option<Mono>,
    /// Whether the line would be registered there.
    trial: Trial,
}

impl Address {
    fn new(peer: Peer) -> Self {
        let (answers, heard, trial) = (false, false, Trial::default());
        let (ask, overdue, good, held, failed) = (None, None, None, None, None);
        Self { peer, ask, overdue, answers, heard, good, held, failed, trial }
    }

    fn is_held(&self, now: Mono) -> bool {
        self.held.is_some_and(|held| now < held.until)
    }

    fn done(&mut self, what: Undone) {
        self.held.take_if(|held| held.undone == what);
    }
}

/// **Handle one thing, drain `poll`, then wait for the next answer or `poll_timeout`.**
#[derive(Debug)]
pub struct Route {
    addresses: Vec<Address>,
    used: usize,
    /// The used one has failed, and none else could be gone to.
    stranded: bool,
    /// The used one answers, and refuses REGISTER.
    refused: bool,
    /// The line is not registered: OPTIONS alone say whether it is up.
    trunk: bool,
    up: Option<bool>,
    started: bool,
    steps: VecDeque<Step>,
}

impl Route {
    /// `peers` in the order of preference; the first is used.
    pub fn new(peers: &[Peer], trunk: bool) -> Self {
        let addresses = peers.iter().take(PEERS_MAX).map(|peer| Address::new(*peer)).collect();
        let (stranded, refused, started) = (false, false, false);
        let steps = VecDeque::new();
        Self { addresses, used: 0, stranded, refused, trunk, up: None, started, steps }
    }

    pub fn start(&mut self, now: Mono) {
        self.started = true;
        self.ask_all(now);
    }

    /// The line is given back: nobody needs to be asked any more.
    pub fn stop(&mut self) {
        self.started = false;
        for address in &mut self.addresses {
            (address.ask, address.overdue) = (None, None);
            address.trial.give_up();
        }
    }

    /// The addresses have changed. The used one stays in use where it is still among them.
    pub fn handle_list(&mut self, peers: &[Peer], now: Mono) {
        if peers.is_empty() {
            return;
        }
        let used = self.addresses.get(self.used).map(|address| address.peer);
        let mut old = std::mem::take(&mut self.addresses);
        for peer in peers.iter().take(PEERS_MAX) {
            let known = old.iter().position(|address| address.peer == *peer);
            self.addresses
                .push(known.map_or_else(|| Address::new(*peer), |at| old.swap_remove(at)));
        }
        let kept = self.addresses.iter().position(|address| Some(address.peer) == used);
        let good = self.addresses.iter().position(|address| address.good.is_some());
        self.used = kept.or(good).unwrap_or(0);
        if kept.is_none() {
            self.move_to(self.used, false);
        }
        if self.started {
            self.ask_all(now);
        }
    }

    /// Any message of the PBX from there.
    pub fn handle_heard(&mut self, peer: Peer) {
        if let Some(address) = self.addresses.iter_mut().find(|address| address.peer == peer) {
            address.heard = true;
        }
    }

    /// The response to OPTIONS, with the seconds of its Retry-After.
    pub fn handle_answer(&mut self, peer: Peer, status: u16, retry_after: Option<u32>, now: Mono) {
        let Some(at) = self.find(peer) else { return };
        let interval =
            if at == self.used && self.addresses.len() > 1 { ASK_USED } else { ASK_OTHERS };
        let address = &mut self.addresses[at];
        (address.answers, address.heard, address.overdue) = (true, true, None);
        address.ask = self.started.then(|| now + interval);
        // §21.5.4: it is there and does not serve.
        if status == 503 {
            return self.fail(at, Failure { undone: Undone::Options, status, retry_after }, now);
        }
        address.done(Undone::Options);
        let good = *address.good.get_or_insert(now);
        if at == self.used {
            self.stranded &= self.addresses[at].held.is_some();
        } else if !self.addresses[at].is_held(now) {
            let used_is_dead = self.stranded || self.up == Some(false) && self.trunk;
            let is_back = at < self.used && good + STEADY <= now;
            if used_is_dead || is_back && self.trunk {
                self.move_to(at, false);
            } else if is_back || self.refused {
                self.try_at(at, now);
            }
        }
        if self.trunk && at == self.used && self.up != Some(true) {
            self.up = Some(true);
            self.steps.push_back(Step::Up);
        }
    }

    /// The transport to it failed, or it left a request unanswered, or answered 503.
    pub fn handle_failure(&mut self, peer: Peer, failure: Failure, now: Mono) {
        if let Some(at) = self.find(peer) {
            self.fail(at, failure, now);
        }
    }

    /// The line is registered there.
    pub fn handle_registered(&mut self, peer: Peer) {
        if let Some(at) = self.find(peer) {
            self.addresses[at].done(Undone::Register);
            self.addresses[at].trial = Trial::default();
            self.stranded &= at != self.used || self.addresses[at].held.is_some();
            if at == self.used {
                self.refused = false;
                // Nobody needs another one any more.
                let others = self.addresses.iter_mut().skip(at);
                others.for_each(|other| other.trial.give_up());
            }
        }
    }

    pub fn handle_timeout(&mut self, now: Mono) {
        for at in 0..self.addresses.len() {
            let address = &mut self.addresses[at];
            if address.overdue.is_some_and(|overdue| overdue <= now) {
                address.overdue = None;
                address.ask = Some(now + ASK_OTHERS);
                if address.answers || !address.heard || self.trunk {
                    let answered = address.good.is_some();
                    let silence = Undone::Options;
                    let failure = Failure { undone: silence, status: 408, retry_after: None };
                    self.fail(at, failure, now);
                    if answered && self.is_all_there_is() {
                        self.steps.push_back(Step::Silent);
                    }
                } else if at < self.used && address.failed.is_none_or(|at| at + STEADY <= now) {
                    // One that answers no OPTIONS tells by REGISTER alone that it is back.
                    self.try_at(at, now);
                }
            }
            let alone = self.addresses.len() == 1;
            let address = &mut self.addresses[at];
            if address.ask.is_some_and(|ask| ask <= now) {
                let patience = if alone { SILENT_ALONE } else { SILENT };
                (address.ask, address.overdue) = (None, Some(now + patience));
                self.steps.push_back(Step::Ask { peer: address.peer });
            }
        }
    }

    pub fn poll(&mut self) -> Option<Step> {
        self.steps.pop_front()
    }

    pub fn poll_timeout(&self) -> Option<Deadline> {
        self.addresses.iter().fold(None, |deadline, address| {
            let ask = address.ask.map(|at| (at, "OPTIONS to the PBX"));
            let overdue = address.overdue.map(|at| (at, "OPTIONS not answered"));
            earlier(deadline, earlier(ask, overdue))
        })
    }

    /// Whether another address stands by.
    pub fn has_choice(&self) -> bool {
        self.addresses.len() > 1
    }

    /// The address to try where that one does not take a call.
    pub fn other(&self, than: SocketAddr) -> Option<Peer> {
        let others = || self.addresses.iter().filter(|address| address.peer.addr != than);
        let good = || others().find(|address| address.good.is_some());
        let free = || others().find(|address| address.held.is_none());
        good().or_else(free).or_else(|| others().next()).map(|address| address.peer)
    }

    fn find(&self, peer: Peer) -> Option<usize> {
        self.addresses.iter().position(|address| address.peer == peer)
    }

    /// Its REGISTER goes there first.
    fn is_all_there_is(&self) -> bool {
        self.addresses.len() == 1 && !self.trunk
    }

    fn ask_all(&mut self, now: Mono) {
        let first = if self.is_all_there_is() { now + ASK_OTHERS } else { now };
        for address in self.addresses.iter_mut().filter(|address| address.overdue.is_none()) {
            address.ask = Some(first);
        }
    }

    fn fail(&mut self, at: usize, failure: Failure, now: Mono) {
        let address = &mut self.addresses[at];
        address.good = None;
        if at != self.used {
            return;
        }
        address.held = Some(Held::after(address.held, failure, now));
        address.failed = Some(now);
        let count = self.addresses.len();
        let free = |at: &usize| !self.addresses[*at].is_held(now);
        let good = (0..count).filter(free).find(|at| self.addresses[*at].good.is_some());
        let next = good.or_else(|| (1..count).map(|step| (at + step) % count).find(free));
        if self.trunk && good.is_none() && self.up != Some(false) {
            self.up = Some(false);
            self.steps.push_back(Step::Down { status: failure.status });
        }
        self.stranded = next.is_none();
        let Some(next) = next else { return };
        self.move_to(next, true);
        // Whether it is there is known by its own answer, not by an old one.
        if self.started && self.addresses[next].overdue.is_none() {
            self.addresses[next].ask = Some(now);
        }
    }

    fn move_to(&mut self, at: usize, lost: bool) {
        (self.used, self.stranded, self.refused) = (at, false, false);
        self.addresses.iter_mut().for_each(|address| address.trial.give_up());
        let address = &self.addresses[at];
        let (preferred, failed) = (at == 0, address.held.is_some());
        self.steps.push_back(Step::Use { peer: address.peer, lost, preferred, failed });
    }
}

#[cfg(test)]
mod tests;
