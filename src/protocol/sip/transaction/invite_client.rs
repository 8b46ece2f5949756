//! INVITE client transaction (RFC 3261 §17.1.1, with RFC 6026's Accepted state).
//!
//! ```text
//!            1xx                2xx
//!  Calling ───────► Proceeding ─────► Accepted ──M──► gone
//!     │  └────────────── 2xx ───────────┘
//!     │ 300-699 (also from Proceeding)
//!     └───────────► Completed ──D──► gone
//!     └──B──► gone (timed out)
//! ```

use super::{ClientStep, Finish, PATIENCE, T1};
use crate::protocol::now::{Deadline, Mono, earlier};
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;
use std::time::Duration;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
enum State {
    /// Timer A, absent over a reliable transport, and its interval; Timer B.
    Calling {
        a: Option<(Mono, Duration)>,
        b: Mono,
    },
    /// No timer: the user decides how long a phone rings.
    Proceeding,
    Completed {
        d: Mono,
    },
    Accepted {
        m: Mono,
    },
    Terminated,
}

/// **Handle one thing, drain `poll`, then wait for the next response or `poll_timeout`.**
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct InviteClient {
    state: State,
    reliable: bool,
    #[serde(skip)]
    steps: VecDeque<ClientStep>,
}

impl InviteClient {
    pub fn start(reliable: bool, now: Mono) -> Self {
        let a = (!reliable).then_some((now + T1, T1));
        let state = State::Calling { a, b: now + PATIENCE };
        Self { state, reliable, steps: [ClientStep::Send].into() }
    }

    /// One that another run of the program has sent.
    pub fn adopt(reliable: bool, now: Mono) -> Self {
        let state = State::Calling { a: None, b: now + PATIENCE };
        Self { state, reliable, steps: VecDeque::new() }
    }

    pub fn handle_response(&mut self, status: u16, now: Mono) {
        match (self.state, status / 100) {
            (State::Calling { .. } | State::Proceeding, 1) => {
                self.state = State::Proceeding;
                self.steps.push_back(ClientStep::Deliver);
            }
            (State::Calling { .. } | State::Proceeding, 2) => {
                self.state = State::Accepted { m: now + PATIENCE };
                self.steps.push_back(ClientStep::Deliver);
            }
            (State::Calling { .. } | State::Proceeding, _) => {
                self.steps.extend([ClientStep::SendAck, ClientStep::Deliver]);
                // Timer D is zero over a reliable transport.
                if self.reliable {
                    self.finish(Finish::Done);
                } else {
                    self.state = State::Completed { d: now + PATIENCE };
                }
            }
            // RFC 6026 §7.2: the user acknowledges every copy, and every fork.
            (State::Accepted { .. }, 2) => self.steps.push_back(ClientStep::Deliver),
            (State::Accepted { .. }, _) => {}
            (State::Completed { .. }, 3..) => self.steps.push_back(ClientStep::SendAck),
            (State::Completed { .. }, 0..=2) | (State::Terminated, _) => {}
        }
    }

    pub fn handle_timeout(&mut self, now: Mono) {
        match self.state {
            State::Calling { b, .. } if b <= now => self.finish(Finish::TimedOut),
            State::Calling { a: Some((a, interval)), b } if a <= now => {
                let interval = 2 * interval;
                self.state = State::Calling { a: Some((now + interval, interval)), b };
                self.steps.push_back(ClientStep::Send);
            }
            State::Completed { d: end } | State::Accepted { m: end } if end <= now => {
                self.finish(Finish::Done);
            }
            State::Calling { .. }
            | State::Proceeding
            | State::Completed { .. }
            | State::Accepted { .. }
            | State::Terminated => {}
        }
    }

    /// §17.1.4. After a final response there is nothing left to lose.
    pub fn handle_unreachable(&mut self) {
        match self.state {
            State::Calling { .. } | State::Proceeding => self.finish(Finish::Unreachable),
            State::Completed { .. } | State::Accepted { .. } | State::Terminated => {}
        }
    }

    /// Whether a provisional response has come (§9.1).
    pub fn is_proceeding(&self) -> bool {
        self.state == State::Proceeding
    }

    /// Whether nothing has come yet.
    pub fn is_calling(&self) -> bool {
        matches!(self.state, State::Calling { .. })
    }

    pub fn poll(&mut self) -> Option<ClientStep> {
        self.steps.pop_front()
    }

    pub fn poll_timeout(&self) -> Option<Deadline> {
        match self.state {
            State::Calling { a, b } => {
                earlier(a.map(|(a, _)| (a, "Timer A")), Some((b, "Timer B")))
            }
            State::Completed { d } => Some((d, "Timer D")),
            State::Accepted { m } => Some((m, "Timer M")),
            State::Proceeding | State::Terminated => None,
        }
    }

    fn finish(&mut self, finish: Finish) {
        self.state = State::Terminated;
        self.steps.push_back(ClientStep::Finish(finish));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: Mono = Mono(0);

    fn drain(invite: &mut InviteClient) -> Vec<ClientStep> {
        std::iter::from_fn(|| invite.poll()).collect()
    }

    fn started(reliable: bool) -> InviteClient {
        let mut invite = InviteClient::start(reliable, START);
        assert_eq!(drain(&mut invite), [ClientStep::Send]);
        invite
    }

    fn pass(invite: &mut InviteClient) -> Option<(Duration, Vec<ClientStep>)> {
        let (at, _) = invite.poll_timeout()?;
        invite.handle_timeout(at);
        Some((at.since(START), drain(invite)))
    }

    #[test]
    fn section_17_1_1_2_repeats_at_doubling_intervals_until_timer_b() {
        let mut invite = started(false);
        for millis in [500, 1500, 3500, 7500, 15_500, 31_500] {
            let at = Duration::from_millis(millis);
            assert_eq!(pass(&mut invite), Some((at, vec![ClientStep::Send])));
        }
        let end = vec![ClientStep::Finish(Finish::TimedOut)];
        assert_eq!(pass(&mut invite), Some((PATIENCE, end)));
        assert_eq!(invite.poll_timeout(), None);
    }

    #[test]
    fn section_17_1_1_2_timer_a_is_not_started_over_a_reliable_transport() {
        let mut invite = started(true);
        let end = vec![ClientStep::Finish(Finish::TimedOut)];
        assert_eq!(pass(&mut invite), Some((PATIENCE, end)));
    }

    #[test]
    fn section_17_1_1_2_a_provisional_response_ends_repetition_and_waits_for_ever() {
        let mut invite = started(false);
        invite.handle_response(180, START);
        invite.handle_response(183, START);
        assert_eq!(drain(&mut invite), [ClientStep::Deliver, ClientStep::Deliver]);
        assert_eq!(invite.poll_timeout(), None);
        invite.handle_timeout(START + 10 * PATIENCE);
        assert_eq!(drain(&mut invite), []);
    }

    #[test]
    fn section_17_1_1_2_every_copy_of_a_refusal_is_acknowledged_but_delivered_once() {
        let mut invite = started(false);
        invite.handle_response(486, START);
        assert_eq!(drain(&mut invite), [ClientStep::SendAck, ClientStep::Deliver]);
        invite.handle_response(486, START);
        assert_eq!(drain(&mut invite), [ClientStep::SendAck]);
        invite.handle_response(200, START);
        assert_eq!(drain(&mut invite), []);
        let end = vec![ClientStep::Finish(Finish::Done)];
        assert_eq!(pass(&mut invite), Some((PATIENCE, end)));
    }

    #[test]
    fn section_17_1_1_2_timer_d_is_zero_over_a_reliable_transport() {
        let mut invite = started(true);
        invite.handle_response(486, START);
        let expected = [ClientStep::SendAck, ClientStep::Deliver, ClientStep::Finish(Finish::Done)];
        assert_eq!(drain(&mut invite), expected);
    }

    #[test]
    fn rfc_6026_section_7_2_every_2xx_is_delivered_until_timer_m() {
        let mut invite = started(false);
        for _ in 0..3 {
            invite.handle_response(200, START);
            assert_eq!(drain(&mut invite), [ClientStep::Deliver]);
        }
        invite.handle_response(486, START);
        assert_eq!(drain(&mut invite), []);
        let end = vec![ClientStep::Finish(Finish::Done)];
        assert_eq!(pass(&mut invite), Some((PATIENCE, end)));
    }

    #[test]
    fn section_17_1_4_a_dead_transport_ends_it_before_the_final_response_only() {
        let mut invite = started(false);
        invite.handle_unreachable();
        assert_eq!(drain(&mut invite), [ClientStep::Finish(Finish::Unreachable)]);
        let mut invite = started(false);
        invite.handle_response(200, START);
        drain(&mut invite);
        invite.handle_unreachable();
        assert_eq!(drain(&mut invite), []);
    }
}
