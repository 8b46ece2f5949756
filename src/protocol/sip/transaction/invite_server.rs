//! INVITE server transaction (RFC 3261 §17.2.1, with RFC 6026's Accepted state).
//!
//! ```text
//!              2xx
//!  Proceeding ─────► Accepted ──L──► gone
//!     │ 300-699
//!     └───────────► Completed ──ACK──► Confirmed ──I──► gone
//!                      └──H──► gone (timed out)
//! ```

use super::{Finish, PATIENCE, ServerStep, T1, T2, T4};
use crate::protocol::now::{Deadline, Mono, earlier};
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;
use std::time::Duration;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
enum State {
    Proceeding,
    /// Timer G, absent over a reliable transport, and its interval; Timer H.
    Completed {
        g: Option<(Mono, Duration)>,
        h: Mono,
    },
    Confirmed {
        i: Mono,
    },
    Accepted {
        l: Mono,
    },
    Terminated,
}

/// **Handle one thing, drain `poll`, then wait for the next request or `poll_timeout`.**
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct InviteServer {
    state: State,
    reliable: bool,
    answered: bool,
    #[serde(skip)]
    steps: VecDeque<ServerStep>,
}

impl InviteServer {
    pub fn start(reliable: bool) -> Self {
        Self { state: State::Proceeding, reliable, answered: false, steps: VecDeque::new() }
    }

    /// The INVITE came again.
    pub fn handle_request(&mut self) {
        match self.state {
            State::Proceeding if self.answered => self.steps.push_back(ServerStep::Send),
            State::Completed { .. } => self.steps.push_back(ServerStep::Send),
            // RFC 6026 §7.1: the 2xx is repeated by the user alone.
            State::Accepted { .. } => {}
            State::Proceeding | State::Confirmed { .. } | State::Terminated => {}
        }
    }

    /// The user answers; false when it is too late for that.
    pub fn handle_reply(&mut self, status: u16, now: Mono) -> bool {
        match (self.state, status / 100) {
            (State::Proceeding, 0 | 1) => {}
            (State::Proceeding, 2) => self.state = State::Accepted { l: now + PATIENCE },
            (State::Proceeding, _) => {
                let g = (!self.reliable).then_some((now + T1, T1));
                self.state = State::Completed { g, h: now + PATIENCE };
            }
            (State::Accepted { .. }, 2) => {}
            (
                State::Accepted { .. }
                | State::Completed { .. }
                | State::Confirmed { .. }
                | State::Terminated,
                _,
            ) => return false,
        }
        self.answered = true;
        self.steps.push_back(ServerStep::Send);
        true
    }

    /// The ACK to a refusal.
    pub fn handle_ack(&mut self, now: Mono) {
        match self.state {
            // Timer I is zero over a reliable transport.
            State::Completed { .. } if self.reliable => self.finish(Finish::Done),
            State::Completed { .. } => self.state = State::Confirmed { i: now + T4 },
            State::Proceeding
            | State::Confirmed { .. }
            | State::Accepted { .. }
            | State::Terminated => {}
        }
    }

    pub fn handle_timeout(&mut self, now: Mono) {
        match self.state {
            State::Completed { h, .. } if h <= now => self.finish(Finish::TimedOut),
            State::Completed { g: Some((g, interval)), h } if g <= now => {
                let interval = (2 * interval).min(T2);
                self.state = State::Completed { g: Some((now + interval, interval)), h };
                self.steps.push_back(ServerStep::Send);
            }
            State::Confirmed { i: end } | State::Accepted { l: end } if end <= now => {
                self.finish(Finish::Done);
            }
            State::Proceeding
            | State::Completed { .. }
            | State::Confirmed { .. }
            | State::Accepted { .. }
            | State::Terminated => {}
        }
    }

    /// Whether a CANCEL still has an effect (§9.2).
    pub fn is_proceeding(&self) -> bool {
        self.state == State::Proceeding
    }

    /// Whether the client may still wait for the last response that was given, which nobody else repeats.
    pub fn is_waited_for(&self) -> bool {
        match self.state {
            State::Proceeding => self.answered,
            State::Completed { .. } => true,
            State::Confirmed { .. } | State::Accepted { .. } | State::Terminated => false,
        }
    }

    pub fn poll(&mut self) -> Option<ServerStep> {
        self.steps.pop_front()
    }

    pub fn poll_timeout(&self) -> Option<Deadline> {
        match self.state {
            State::Completed { g, h } => {
                earlier(g.map(|(g, _)| (g, "Timer G")), Some((h, "Timer H")))
            }
            State::Confirmed { i } => Some((i, "Timer I")),
            State::Accepted { l } => Some((l, "Timer L")),
            State::Proceeding | State::Terminated => None,
        }
    }

    fn finish(&mut self, finish: Finish) {
        self.state = State::Terminated;
        self.steps.push_back(ServerStep::Finish(finish));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: Mono = Mono(0);

    fn drain(invite: &mut InviteServer) -> Vec<ServerStep> {
        std::iter::from_fn(|| invite.poll()).collect()
    }

    fn replied(reliable: bool, status: u16) -> InviteServer {
        let mut invite = InviteServer::start(reliable);
        assert!(invite.handle_reply(status, START));
        assert_eq!(drain(&mut invite), [ServerStep::Send]);
        invite
    }

    #[test]
    fn section_17_2_1_a_repeated_invite_gets_the_last_provisional_response() {
        let mut invite = InviteServer::start(false);
        invite.handle_request();
        assert_eq!(drain(&mut invite), []);
        assert!(invite.handle_reply(100, START) && invite.handle_reply(180, START));
        drain(&mut invite);
        invite.handle_request();
        assert_eq!(drain(&mut invite), [ServerStep::Send]);
    }

    #[test]
    fn section_17_2_1_a_refusal_is_repeated_up_to_t2_until_timer_h() {
        let mut invite = replied(false, 486);
        let mut sent_at = vec![];
        loop {
            let (at, _) = invite.poll_timeout().unwrap();
            invite.handle_timeout(at);
            match drain(&mut invite)[..] {
                [ServerStep::Send] => sent_at.push(at.since(START).as_millis()),
                [ServerStep::Finish(Finish::TimedOut)] => break assert_eq!(at, START + PATIENCE),
                ref other => panic!("{other:?}"),
            }
        }
        assert_eq!(sent_at[..6], [500, 1500, 3500, 7500, 11_500, 15_500]);
        assert_eq!(sent_at.len(), 10);
    }

    #[test]
    fn section_17_2_1_an_ack_ends_repetition_and_timer_i_the_transaction() {
        let mut invite = replied(false, 486);
        invite.handle_ack(START);
        invite.handle_ack(START);
        invite.handle_request();
        assert_eq!(drain(&mut invite), []);
        assert_eq!(invite.poll_timeout(), Some((START + T4, "Timer I")));
        invite.handle_timeout(START + T4);
        assert_eq!(drain(&mut invite), [ServerStep::Finish(Finish::Done)]);
    }

    #[test]
    fn section_17_2_1_timers_g_and_i_are_off_over_a_reliable_transport() {
        let mut invite = replied(true, 486);
        assert_eq!(invite.poll_timeout(), Some((START + PATIENCE, "Timer H")));
        invite.handle_ack(START);
        assert_eq!(drain(&mut invite), [ServerStep::Finish(Finish::Done)]);
    }

    #[test]
    fn rfc_6026_section_7_1_accepted_absorbs_the_invite_until_timer_l() {
        let mut invite = replied(false, 200);
        invite.handle_request();
        invite.handle_ack(START);
        assert_eq!(drain(&mut invite), []);
        assert!(invite.handle_reply(200, START));
        assert!(!invite.handle_reply(486, START));
        assert_eq!(drain(&mut invite), [ServerStep::Send]);
        invite.handle_timeout(START + PATIENCE);
        assert_eq!(drain(&mut invite), [ServerStep::Finish(Finish::Done)]);
    }

    #[test]
    fn section_9_2_a_cancel_has_no_effect_after_the_final_response() {
        assert!(replied(false, 180).is_proceeding());
        assert!(!replied(false, 200).is_proceeding());
        assert!(!replied(false, 486).is_proceeding());
    }
}
