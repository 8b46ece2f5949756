//! Non-INVITE server transaction (RFC 3261 §17.2.2).
//!
//! ```text
//!          1xx              200-699
//!  Trying ─────► Proceeding ───────► Completed ──J──► gone
//!     └──────────── 200-699 ─────────┘
//! ```

use super::{Finish, PATIENCE, ServerStep};
use crate::protocol::now::{Deadline, Mono};
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
enum State {
    Trying,
    Proceeding,
    Completed { j: Mono },
    Terminated,
}

/// **Handle one thing, drain `poll`, then wait for the next request or `poll_timeout`.**
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct RequestServer {
    state: State,
    reliable: bool,
    #[serde(skip)]
    steps: VecDeque<ServerStep>,
}

impl RequestServer {
    pub fn start(reliable: bool) -> Self {
        Self { state: State::Trying, reliable, steps: VecDeque::new() }
    }

    /// The request came again.
    pub fn handle_request(&mut self) {
        match self.state {
            State::Trying | State::Terminated => {}
            State::Proceeding | State::Completed { .. } => self.steps.push_back(ServerStep::Send),
        }
    }

    /// The user answers; false when it is too late for that.
    pub fn handle_reply(&mut self, status: u16, now: Mono) -> bool {
        match self.state {
            State::Trying | State::Proceeding => {}
            State::Completed { .. } | State::Terminated => return false,
        }
        self.steps.push_back(ServerStep::Send);
        if status < 200 {
            self.state = State::Proceeding;
        } else if self.reliable {
            // Timer J is zero over a reliable transport.
            self.state = State::Terminated;
            self.steps.push_back(ServerStep::Finish(Finish::Done));
        } else {
            self.state = State::Completed { j: now + PATIENCE };
        }
        true
    }

    pub fn handle_timeout(&mut self, now: Mono) {
        match self.state {
            State::Completed { j } if j <= now => {
                self.state = State::Terminated;
                self.steps.push_back(ServerStep::Finish(Finish::Done));
            }
            State::Trying | State::Proceeding | State::Completed { .. } | State::Terminated => {}
        }
    }

    pub fn poll(&mut self) -> Option<ServerStep> {
        self.steps.pop_front()
    }

    pub fn poll_timeout(&self) -> Option<Deadline> {
        match self.state {
            State::Completed { j } => Some((j, "Timer J")),
            State::Trying | State::Proceeding | State::Terminated => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: Mono = Mono(0);

    fn drain(request: &mut RequestServer) -> Vec<ServerStep> {
        std::iter::from_fn(|| request.poll()).collect()
    }

    #[test]
    fn section_17_2_2_repeats_are_silent_in_trying_and_answered_later() {
        let mut request = RequestServer::start(false);
        request.handle_request();
        assert_eq!(drain(&mut request), []);
        assert!(request.handle_reply(100, START));
        request.handle_request();
        assert_eq!(drain(&mut request), [ServerStep::Send, ServerStep::Send]);
        assert!(request.handle_reply(200, START));
        request.handle_request();
        assert_eq!(drain(&mut request), [ServerStep::Send, ServerStep::Send]);
    }

    #[test]
    fn section_17_2_2_only_one_final_response_counts() {
        let mut request = RequestServer::start(false);
        assert!(request.handle_reply(200, START));
        assert!(!request.handle_reply(486, START));
        assert_eq!(drain(&mut request), [ServerStep::Send]);
    }

    #[test]
    fn section_17_2_2_timer_j_ends_it_and_is_zero_over_a_reliable_transport() {
        let mut request = RequestServer::start(false);
        request.handle_reply(200, START);
        drain(&mut request);
        assert_eq!(request.poll_timeout(), Some((START + PATIENCE, "Timer J")));
        request.handle_timeout(START + PATIENCE);
        assert_eq!(drain(&mut request), [ServerStep::Finish(Finish::Done)]);
        let mut request = RequestServer::start(true);
        request.handle_reply(200, START);
        assert_eq!(drain(&mut request), [ServerStep::Send, ServerStep::Finish(Finish::Done)]);
    }
}
