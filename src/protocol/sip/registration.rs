//! The binding of our line at the registrar (RFC 3261 §10).
//!
//! ```text
//!  Idle ──register──► Asking ──granted──► Bound ──half the expiry──► Asking
//!                       └──refused──► Waiting ──back-off──► Asking
//!  (any) ──unregister──► Leaving ──answered, or 5 s──► Idle
//! ```

use super::{Peer, Transport};
use crate::protocol::now::{Deadline, Mono};
use crate::protocol::random::Random;
use std::collections::VecDeque;
use std::time::Duration;

/// Bounds of the granted expiry that the refresh is reckoned from, seconds.
const EXPIRES_BOUNDS: (u32, u32) = (30, 3600);
/// Between two attempts with a password that was refused: no lock-out storm.
const AFTER_REFUSAL: Duration = Duration::from_secs(30);
const BACKOFF_FIRST: Duration = Duration::from_secs(4);
/// When the last try of a binding is sent: its answer has to be back before it lapses.
const BEFORE_LAPSE: Duration = Duration::from_secs(5);
/// A PBX that comes back is used again within this time.
const BACKOFF_LONGEST: Duration = Duration::from_secs(30);
/// A registrar that says nothing for so long is reported, while its transaction goes on to its
/// Timer F: the page must not show a dead line as alive for half a minute.
const SILENT: Duration = Duration::from_secs(8);
/// The longest wait for the answer to a removal.
const LEAVING: Duration = Duration::from_secs(5);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Idle,
    /// A REGISTER is on its way; `bumped` after a 423, `leaving` when it is no longer wanted.
    Asking {
        bumped: bool,
        leaving: Option<Mono>,
    },
    Bound {
        refresh: Mono,
    },
    Waiting {
        until: Mono,
    },
    Leaving {
        give_up: Mono,
    },
}

/// What the machine asks of its owner.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// Send REGISTER with this expiry; 0 removes the binding.
    Send {
        expires: u32,
    },
    Granted {
        expires: u32,
    },
    Failed {
        status: u16,
        reason: String,
    },
    Removed,
}

/// The final response to a REGISTER, or what stands for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reply {
    Granted {
        expires: u32,
    },
    /// 423 with its Min-Expires.
    TooBrief {
        least: u32,
    },
    Refused {
        status: u16,
        reason: String,
        retry_after: Option<u32>,
    },
}

/// **Handle one thing, drain `poll`, then wait for the reply or `poll_timeout`.**
#[derive(Debug)]
pub struct Registration {
    state: State,
    /// Seconds asked for.
    wanted: u32,
    failures: u32,
    /// The last answer was a grant.
    bound: bool,
    /// Before the binding lapses it is asked for once more, however long the back-off is.
    last_try: Option<Mono>,
    /// When the REGISTER on its way counts as unanswered.
    silent: Option<Mono>,
    random: Random,
    steps: VecDeque<Step>,
}

impl Registration {
    pub fn new(wanted: u32, random: Random) -> Self {
        Self {
            state: State::Idle,
            wanted,
            failures: 0,
            bound: false,
            last_try: None,
            silent: None,
            random,
            steps: VecDeque::new(),
        }
    }

    /// As far as the last answer says.
    pub fn is_bound(&self) -> bool {
        self.bound
    }

    pub fn register(&mut self, now: Mono) {
        match self.state {
            State::Idle | State::Bound { .. } | State::Waiting { .. } if self.wanted > 0 => {
                self.ask(false, now);
            }
            State::Asking { bumped, leaving: Some(_) } => {
                self.state = State::Asking { bumped, leaving: None };
            }
            State::Leaving { .. } if self.wanted > 0 => self.ask(false, now),
            State::Idle
            | State::Asking { .. }
            | State::Bound { .. }
            | State::Waiting { .. }
            | State::Leaving { .. } => {}
        }
    }

    pub fn unregister(&mut self, now: Mono) {
        match self.state {
            State::Idle => self.steps.push_back(Step::Removed),
            // §10.2: one REGISTER at a time.
            State::Asking { bumped, leaving: None } => {
                self.state = State::Asking { bumped, leaving: Some(now + LEAVING) };
            }
            // Nothing is bound, or the old binding may still be.
            State::Bound { .. } | State::Waiting { .. } => self.leave(now),
            State::Asking { leaving: Some(_), .. } | State::Leaving { .. } => {}
        }
    }

    /// The REGISTER that was to be sent waits as after a refusal.
    pub fn postpone(&mut self, now: Mono) {
        self.silent = None;
        self.state = State::Waiting { until: now + self.after_refusal() };
    }

    fn after_refusal(&mut self) -> Duration {
        AFTER_REFUSAL + self.random.between(Duration::ZERO, BACKOFF_FIRST)
    }

    /// `asked` is the expiry of the REGISTER that is answered.
    pub fn handle_reply(&mut self, asked: u32, reply: Reply, now: Mono) {
        self.silent = None;
        match (self.state, asked) {
            (State::Asking { .. }, 0) => {}
            (State::Asking { leaving: Some(_), .. }, _) => self.leave(now),
            (State::Asking { bumped, leaving: None }, _) => self.handle_answer(reply, bumped, now),
            (State::Leaving { .. }, 0) => self.removed(),
            (
                State::Leaving { .. } | State::Idle | State::Bound { .. } | State::Waiting { .. },
                _,
            ) => {}
        }
    }

    fn handle_answer(&mut self, reply: Reply, bumped: bool, now: Mono) {
        match reply {
            Reply::Granted { expires: 0 } => {
                self.fail(200, "no binding was granted".to_owned(), None, now);
            }
            Reply::Granted { expires } => {
                (self.failures, self.bound) = (0, true);
                let whole = Duration::from_secs(u64::from(expires));
                self.last_try = Some(now + whole.saturating_sub(BEFORE_LAPSE));
                let half = Duration::from_secs(u64::from(clamp(expires))) / 2;
                let refresh = now + self.random.between(half - half / 10, half);
                self.state = State::Bound { refresh };
                self.steps.push_back(Step::Granted { expires });
            }
            Reply::TooBrief { least } if !bumped && least > self.wanted => {
                self.wanted = least.min(EXPIRES_BOUNDS.1.max(self.wanted));
                self.ask(true, now);
            }
            Reply::TooBrief { .. } => self.fail(423, "Interval Too Brief".to_owned(), None, now),
            Reply::Refused { status, reason, retry_after } => {
                self.fail(status, reason, retry_after, now);
            }
        }
    }

    /// The connection that our binding points to was lost: the PBX cannot reach us over it.
    pub fn handle_unreachable(&mut self, peer: Peer, why: &str, now: Mono) {
        match (self.state, peer.transport) {
            (State::Bound { .. }, Transport::Tcp | Transport::Tls) => {
                self.fail(503, why.to_owned(), None, now);
            }
            (State::Bound { .. }, Transport::Udp) => {}
            (
                State::Idle | State::Asking { .. } | State::Waiting { .. } | State::Leaving { .. },
                _,
            ) => {}
        }
    }

    /// The line goes to another address of the PBX: it is registered there at once. Where that has
    /// `failed` before, the back-off goes on.
    pub fn handle_moved(&mut self, failed: bool, now: Mono) {
        match self.state {
            State::Asking { leaving: None, .. } | State::Bound { .. } | State::Waiting { .. } => {
                if !failed {
                    self.failures = 0;
                }
                self.ask(false, now);
            }
            // Nobody is left to take the binding back.
            State::Asking { leaving: Some(_), .. } | State::Leaving { .. } => self.removed(),
            State::Idle => {}
        }
    }

    pub fn handle_timeout(&mut self, now: Mono) {
        match self.state {
            State::Bound { refresh: due } | State::Waiting { until: due } if due <= now => {
                self.ask(false, now);
            }
            State::Leaving { give_up } | State::Asking { leaving: Some(give_up), .. }
                if give_up <= now =>
            {
                self.removed();
            }
            State::Asking { leaving: None, .. } if self.silent.is_some_and(|due| due <= now) => {
                self.silent = None;
                self.steps.push_back(Step::Failed { status: 408, reason: "no answer".to_owned() });
            }
            State::Idle
            | State::Asking { .. }
            | State::Bound { .. }
            | State::Waiting { .. }
            | State::Leaving { .. } => {}
        }
    }

    pub fn poll(&mut self) -> Option<Step> {
        self.steps.pop_front()
    }

    pub fn poll_timeout(&self) -> Option<Deadline> {
        match self.state {
            State::Idle => None,
            State::Asking { leaving: None, .. } => {
                self.silent.map(|due| (due, "REGISTER not answered"))
            }
            State::Asking { leaving: Some(give_up), .. } | State::Leaving { give_up } => {
                Some((give_up, "binding removed or not"))
            }
            State::Bound { refresh } => Some((refresh, "registration refresh")),
            State::Waiting { until } => Some((until, "registration retry")),
        }
    }

    fn ask(&mut self, bumped: bool, now: Mono) {
        self.silent = Some(now + SILENT);
        self.state = State::Asking { bumped, leaving: None };
        self.steps.push_back(Step::Send { expires: self.wanted });
    }

    fn leave(&mut self, now: Mono) {
        self.state = State::Leaving { give_up: now + LEAVING };
        self.steps.push_back(Step::Send { expires: 0 });
    }

    fn removed(&mut self) {
        (self.state, self.bound, self.last_try) = (State::Idle, false, None);
        self.steps.push_back(Step::Removed);
    }

    fn fail(&mut self, status: u16, reason: String, retry_after: Option<u32>, now: Mono) {
        let doubled = BACKOFF_FIRST.saturating_mul(1 << self.failures.min(8));
        let longest = doubled.min(BACKOFF_LONGEST);
        self.failures = self.failures.saturating_add(1);
        self.bound = false;
        let wait = match status {
            401 | 403 | 407 => self.after_refusal(),
            _ => {
                let wait = self.random.between(longest - longest / 4, longest);
                let left = self.last_try.map(|last| last.since(now));
                left.filter(|left| *left >= BACKOFF_FIRST).map_or(wait, |left| wait.min(left))
            }
        };
        let told =
            Duration::from_secs(u64::from(retry_after.unwrap_or(0))).min(2 * BACKOFF_LONGEST);
        self.state = State::Waiting { until: now + wait.max(told) };
        self.steps.push_back(Step::Failed { status, reason });
    }
}

fn clamp(expires: u32) -> u32 {
    expires.clamp(EXPIRES_BOUNDS.0, EXPIRES_BOUNDS.1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::sip::Peer;

    const START: Mono = Mono(0);

    fn seconds(n: u64) -> Duration {
        Duration::from_secs(n)
    }

    fn drain(machine: &mut Registration) -> Vec<Step> {
        std::iter::from_fn(|| machine.poll()).collect()
    }

    fn asking(wanted: u32) -> Registration {
        let mut machine = Registration::new(wanted, Random::from_seed([1; 32]));
        machine.register(START);
        assert_eq!(drain(&mut machine), [Step::Send { expires: wanted }]);
        machine
    }

    fn refused(status: u16) -> Reply {
        Reply::Refused { status, reason: "no".into(), retry_after: None }
    }

    /// The wait until the next REGISTER.
    fn wait(machine: &mut Registration, now: Mono) -> Duration {
        let (at, _) = machine.poll_timeout().unwrap();
        machine.handle_timeout(at);
        assert!(matches!(drain(machine)[..], [Step::Send { expires: 1.. }]));
        at.since(now)
    }

    #[test]
    fn sig_02_refreshes_at_half_the_granted_expiry() {
        for (granted, low, high) in
            [(60, 27, 30), (120, 54, 60), (1, 13, 15), (u32::MAX, 1620, 1800)]
        {
            let mut machine = asking(120);
            machine.handle_reply(120, Reply::Granted { expires: granted }, START);
            assert_eq!(drain(&mut machine), [Step::Granted { expires: granted }]);
            let wait = wait(&mut machine, START);
            assert!(seconds(low) <= wait && wait <= seconds(high), "{granted}: {wait:?}");
        }
    }

    #[test]
    fn a_silent_registrar_is_reported_once_before_its_transaction_gives_up() {
        let mut machine = asking(60);
        let (due, _) = machine.poll_timeout().unwrap();
        assert_eq!(due, START + SILENT);
        machine.handle_timeout(due);
        assert!(matches!(drain(&mut machine)[..], [Step::Failed { status: 408, .. }]));
        assert_eq!(machine.poll_timeout(), None, "the transaction decides what comes next");
        machine.handle_reply(60, Reply::Granted { expires: 60 }, START + seconds(20));
        assert_eq!(drain(&mut machine), [Step::Granted { expires: 60 }]);
    }

    #[test]
    fn rel_18_a_grant_of_nothing_is_a_failure() {
        let mut machine = asking(60);
        machine.handle_reply(60, Reply::Granted { expires: 0 }, START);
        assert!(matches!(drain(&mut machine)[..], [Step::Failed { .. }]));
    }

    #[test]
    fn section_10_2_8_a_brief_interval_is_raised_once() {
        let mut machine = asking(60);
        machine.handle_reply(60, Reply::TooBrief { least: 90 }, START);
        assert_eq!(drain(&mut machine), [Step::Send { expires: 90 }]);
        machine.handle_reply(90, Reply::TooBrief { least: 300 }, START);
        assert!(matches!(drain(&mut machine)[..], [Step::Failed { status: 423, .. }]));
    }

    #[test]
    fn sig_03_backs_off_to_thirty_seconds_and_no_further() {
        let mut machine = asking(60);
        let (mut now, mut waits) = (START, vec![]);
        for _ in 0..20 {
            machine.handle_reply(60, refused(408), now);
            assert!(matches!(drain(&mut machine)[..], [Step::Failed { status: 408, .. }]));
            waits.push(wait(&mut machine, now));
            now = now + waits[waits.len() - 1];
        }
        assert!(waits.iter().all(|wait| (seconds(3)..=seconds(30)).contains(wait)), "{waits:?}");
        assert!(waits[0] <= seconds(4) && waits[10] >= seconds(22));
        assert_ne!(waits[10], waits[11]);
    }

    #[test]
    fn sig_06_before_a_binding_lapses_it_is_asked_for_once_more() {
        let mut machine = asking(90);
        machine.handle_reply(90, Reply::Granted { expires: 90 }, START);
        drain(&mut machine);
        let (mut now, mut tries) = (START, vec![]);
        for _ in 0..8 {
            now = now + wait(&mut machine, now);
            tries.push(now.since(START));
            machine.handle_reply(90, refused(503), now);
            drain(&mut machine);
        }
        assert!(tries.contains(&seconds(85)), "{tries:?}");
        let after = tries.iter().filter(|at| (86..107).contains(&at.as_secs()));
        assert_eq!(after.count(), 0, "and the back-off goes on: {tries:?}");
    }

    #[test]
    fn sig_01_a_refused_password_is_tried_again_after_thirty_seconds() {
        for status in [401, 403, 407] {
            let mut machine = asking(60);
            machine.handle_reply(60, refused(status), START);
            drain(&mut machine);
            assert!(wait(&mut machine, START) >= seconds(30));
        }
    }

    #[test]
    fn sig_05_unregister_waits_for_the_register_on_its_way_and_not_for_ever() {
        let mut machine = asking(60);
        machine.unregister(START);
        assert_eq!(drain(&mut machine), []);
        machine.handle_reply(60, Reply::Granted { expires: 60 }, START);
        assert_eq!(drain(&mut machine), [Step::Send { expires: 0 }]);
        machine.handle_timeout(START + LEAVING);
        assert_eq!(drain(&mut machine), [Step::Removed]);
        assert_eq!(machine.poll_timeout(), None);
        machine.unregister(START);
        assert_eq!(drain(&mut machine), [Step::Removed]);
    }

    #[test]
    fn a_late_answer_to_the_removal_is_not_one_to_the_new_registration() {
        let mut machine = asking(60);
        machine.handle_reply(60, Reply::Granted { expires: 60 }, START);
        machine.unregister(START);
        machine.register(START);
        drain(&mut machine);
        machine.handle_reply(0, Reply::Granted { expires: 0 }, START);
        assert_eq!(drain(&mut machine), []);
    }

    #[test]
    fn a_lost_connection_ends_the_binding_that_points_to_it() {
        let peer = |transport| Peer { transport, addr: "192.0.2.1:5060".parse().unwrap() };
        let mut machine = asking(60);
        machine.handle_reply(60, Reply::Granted { expires: 60 }, START);
        drain(&mut machine);
        machine.handle_unreachable(peer(Transport::Udp), "lost", START);
        assert_eq!(drain(&mut machine), []);
        machine.handle_unreachable(peer(Transport::Tcp), "lost", START);
        assert!(matches!(drain(&mut machine)[..], [Step::Failed { status: 503, .. }]));
        assert!(wait(&mut machine, START) <= seconds(4));
    }

    #[test]
    fn a_line_without_registration_never_asks() {
        let mut machine = Registration::new(0, Random::from_seed([1; 32]));
        machine.register(START);
        assert_eq!((drain(&mut machine), machine.poll_timeout()), (vec![], None));
    }
}
