//! Which of the PBX's addresses the line uses, and whether it is there (RFC 3263 §4.3).
//!
//! The first address is preferred. One that falls silent is left for the next that answers, the
//! last one that did is kept, and after [`STEADY`] of unbroken answers from a more preferred one
//! the line goes back to it. One that failed is not gone to again for a while that doubles; where
//! all have, the line stays and registers at its own pace. Where there is no choice a registered
//! line needs no questions: its REGISTER tells. A line without registration is up while OPTIONS are
//! answered.

use super::Peer;
use crate::protocol::now::{Deadline, Mono, earlier};
use std::collections::VecDeque;
use std::time::Duration;

/// Between an answer of the used address and the next question, where another stands by.
const ASK_USED: Duration = Duration::from_millis(1500);
/// The same for addresses that stand by, and for the only one of a line without registration.
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
    /// A line without registration: the used address answers, or does not any more.
    Up,
    Down {
        status: u16,
    },
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
}

impl Address {
    fn new(peer: Peer) -> Self {
        let (answers, heard) = (false, false);
        Self { peer, ask: None, overdue: None, answers, heard, good: None, held: None }
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
        let steps = VecDeque::new();
        Self { addresses, used: 0, stranded: false, trunk, up: None, started: false, steps }
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
            if at < self.used && good + STEADY <= now || used_is_dead {
                self.move_to(at, false);
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
            self.stranded &= at != self.used || self.addresses[at].held.is_some();
        }
    }

    pub fn handle_timeout(&mut self, now: Mono) {
        for at in 0..self.addresses.len() {
            let address = &mut self.addresses[at];
            if address.overdue.is_some_and(|overdue| overdue <= now) {
                address.overdue = None;
                address.ask = Some(now + ASK_OTHERS);
                if address.answers || !address.heard || self.trunk {
                    let silence = Undone::Options;
                    let failure = Failure { undone: silence, status: 408, retry_after: None };
                    self.fail(at, failure, now);
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

    fn find(&self, peer: Peer) -> Option<usize> {
        self.addresses.iter().position(|address| address.peer == peer)
    }

    fn ask_all(&mut self, now: Mono) {
        let wanted = self.trunk || self.addresses.len() > 1;
        for address in &mut self.addresses {
            match wanted {
                true if address.overdue.is_none() => address.ask = Some(now),
                true => {}
                false => (address.ask, address.overdue) = (None, None),
            }
        }
    }

    fn fail(&mut self, at: usize, failure: Failure, now: Mono) {
        let address = &mut self.addresses[at];
        address.good = None;
        if at != self.used {
            return;
        }
        address.held = Some(Held::after(address.held, failure, now));
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
        (self.used, self.stranded) = (at, false);
        let address = &self.addresses[at];
        let (preferred, failed) = (at == 0, address.held.is_some());
        self.steps.push_back(Step::Use { peer: address.peer, lost, preferred, failed });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::sip::Transport;

    const START: Mono = Mono(0);
    const UNREGISTERED: Failure =
        Failure { undone: Undone::Register, status: 408, retry_after: None };

    fn peer(n: u8) -> Peer {
        Peer { transport: Transport::Udp, addr: ([10, 0, 0, n], 5060).into() }
    }

    /// Addresses that answer, or do not; a night of them.
    struct Night {
        route: Route,
        now: Mono,
        dead: Vec<Peer>,
        used: Peer,
        story: Vec<(u64, Step)>,
    }

    impl Night {
        fn new(count: u8, trunk: bool) -> Self {
            let peers: Vec<_> = (1..=count).map(peer).collect();
            let mut route = Route::new(&peers, trunk);
            route.start(START);
            Self { route, now: START, dead: vec![], used: peer(1), story: vec![] }
        }

        fn pass(&mut self, time: Duration) {
            let end = self.now + time;
            while let Some((at, _)) = self.route.poll_timeout().filter(|(at, _)| *at <= end) {
                self.now = self.now.max(at);
                self.route.handle_timeout(self.now);
                self.drain();
            }
            self.now = end;
        }

        fn drain(&mut self) {
            while let Some(step) = self.route.poll() {
                match step {
                    Step::Ask { peer } if !self.dead.contains(&peer) => {
                        self.route.handle_answer(peer, 200, None, self.now);
                    }
                    Step::Ask { .. } => {}
                    Step::Use { peer, .. } => self.used = peer,
                    Step::Up | Step::Down { .. } => {}
                }
                if !matches!(step, Step::Ask { .. }) {
                    self.story.push((self.now.0 / 1_000_000, step));
                }
            }
        }
    }

    fn seconds(n: u64) -> Duration {
        Duration::from_secs(n)
    }

    #[test]
    fn sig_04_the_second_address_is_used_within_four_seconds_of_the_silence_of_the_first() {
        for late in 0..40 {
            let mut night = Night::new(2, false);
            night.pass(seconds(20) + Duration::from_millis(50 * late));
            assert_eq!(night.story, []);
            night.dead = vec![peer(1)];
            night.pass(seconds(4));
            assert_eq!(night.used, peer(2), "silent {late} × 50 ms later");
            assert!(matches!(night.story[..], [(_, Step::Use { lost: true, .. })]));
        }
    }

    #[test]
    fn sig_04_the_line_goes_back_after_a_minute_of_answers_and_not_before() {
        let mut night = Night::new(2, false);
        night.pass(seconds(20));
        night.dead = vec![peer(1)];
        night.pass(seconds(30));
        night.dead = vec![];
        night.pass(seconds(59));
        assert_eq!(night.used, peer(2));
        night.dead = vec![peer(1)];
        night.pass(seconds(20));
        night.dead = vec![];
        night.pass(seconds(60));
        assert_eq!(night.used, peer(2), "the minute begins anew");
        night.pass(seconds(25));
        assert_eq!(night.used, peer(1));
        let back = Step::Use { peer: peer(1), lost: false, preferred: true, failed: false };
        assert_eq!(night.story.last().map(|(_, step)| step), Some(&back));
    }

    #[test]
    fn with_all_of_them_gone_each_is_tried_in_turn_and_the_first_to_answer_is_kept() {
        let mut night = Night::new(3, false);
        night.pass(seconds(20));
        night.dead = vec![peer(1), peer(2), peer(3)];
        night.pass(seconds(300));
        let moves = night.story.len();
        assert!((20..200).contains(&moves), "{moves} moves in five minutes");
        night.dead = vec![peer(1), peer(2)];
        night.pass(seconds(12));
        assert_eq!(night.used, peer(3));
        let moves = night.story.len();
        night.pass(seconds(600));
        assert_eq!((night.used, night.story.len()), (peer(3), moves));
    }

    #[test]
    fn a_pbx_that_answers_registers_but_no_options_is_not_called_silent() {
        let mut night = Night::new(2, false);
        night.dead = vec![peer(1), peer(2)];
        night.route.handle_heard(peer(1));
        night.pass(seconds(60));
        assert_eq!((night.used, night.story.len()), (peer(1), 0));
        night.route.handle_failure(peer(1), UNREGISTERED, night.now);
        night.drain();
        assert_eq!(night.used, peer(2), "its REGISTER tells");
    }

    #[test]
    fn sig_38_a_line_without_registration_is_up_while_options_are_answered() {
        let mut night = Night::new(1, true);
        night.pass(seconds(120));
        assert_eq!(night.story, [(0, Step::Up)]);
        night.dead = vec![peer(1)];
        night.pass(seconds(120));
        let [_, (at, Step::Down { status: 408 })] = night.story[..] else {
            panic!("{:?}", night.story)
        };
        assert!((124_000..=134_000).contains(&at), "{at}");
        night.dead = vec![];
        night.pass(seconds(15));
        assert!(matches!(night.story[2..], [(_, Step::Up)]));
    }

    #[test]
    fn sig_38_a_trunk_of_two_addresses_goes_over_without_a_gap() {
        let mut night = Night::new(2, true);
        night.pass(seconds(20));
        night.dead = vec![peer(1)];
        night.pass(seconds(4));
        assert_eq!(night.used, peer(2));
        assert!(!night.story.iter().any(|(_, step)| matches!(step, Step::Down { .. })));
        night.dead = vec![peer(1), peer(2)];
        night.pass(seconds(20));
        assert!(night.story.iter().any(|(_, step)| matches!(step, Step::Down { .. })));
        night.dead = vec![peer(1)];
        night.pass(seconds(14));
        assert_eq!((night.used, night.route.up), (peer(2), Some(true)));
    }

    #[test]
    fn rel_22_a_changed_list_keeps_the_used_address_while_it_is_in_it() {
        let mut night = Night::new(2, false);
        night.pass(seconds(1));
        night.route.handle_list(&[peer(3), peer(1)], night.now);
        night.drain();
        assert_eq!((night.used, night.story.len()), (peer(1), 0));
        night.route.handle_list(&[], night.now);
        night.route.handle_list(&[peer(3)], night.now);
        night.drain();
        assert_eq!(night.used, peer(3));
        assert_eq!(night.route.poll_timeout(), None, "there is no choice to be made");
    }

    #[test]
    fn a_registered_line_with_one_address_asks_nothing() {
        let mut night = Night::new(1, false);
        assert_eq!(night.route.poll_timeout(), None);
        night.route.handle_failure(peer(1), UNREGISTERED, night.now);
        night.drain();
        assert_eq!(night.story, []);
    }
}
