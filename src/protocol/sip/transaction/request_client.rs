//! Non-INVITE client transaction (RFC 3261 §17.1.2).
//!
//! ```text
//!          1xx              200-699
//!  Trying ─────► Proceeding ───────► Completed ──K──► gone
//!     │ └─────── 200-699 ────────────┘
//!     └──F──► gone (timed out, also from Proceeding)
//! ```

use super::{ClientStep, Finish, PATIENCE, T1, T2, T4};
use crate::protocol::now::{Deadline, Mono, earlier};
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;
use std::time::Duration;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
enum State {
    /// Timer E, absent over a reliable transport, and its interval; Timer F.
    Trying {
        e: Option<(Mono, Duration)>,
        f: Mono,
    },
    Proceeding {
        e: Option<Mono>,
        f: Mono,
    },
    Completed {
        k: Mono,
    },
    Terminated,
}

/// **Handle one thing, drain `poll`, then wait for the next response or `poll_timeout`.**
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct RequestClient {
    state: State,
    reliable: bool,
    #[serde(skip)]
    steps: VecDeque<ClientStep>,
}

impl RequestClient {
    pub fn start(reliable: bool, now: Mono) -> Self {
        let e = (!reliable).then_some((now + T1, T1));
        let state = State::Trying { e, f: now + PATIENCE };
        Self { state, reliable, steps: [ClientStep::Send].into() }
    }

    pub fn handle_response(&mut self, status: u16, now: Mono) {
        match (self.state, status / 100) {
            (State::Trying { e, f }, 0 | 1) => {
                self.state = State::Proceeding { e: e.map(|_| now + T2), f };
                self.steps.push_back(ClientStep::Deliver);
            }
            (State::Proceeding { .. }, 0 | 1) => self.steps.push_back(ClientStep::Deliver),
            (State::Trying { .. } | State::Proceeding { .. }, _) => {
                self.steps.push_back(ClientStep::Deliver);
                // Timer K is zero over a reliable transport.
                if self.reliable {
                    self.finish(Finish::Done);
                } else {
                    self.state = State::Completed { k: now + T4 };
                }
            }
            (State::Completed { .. } | State::Terminated, _) => {}
        }
    }

    pub fn handle_timeout(&mut self, now: Mono) {
        match self.state {
            State::Trying { f, .. } | State::Proceeding { f, .. } if f <= now => {
                self.finish(Finish::TimedOut);
            }
            State::Trying { e: Some((e, interval)), f } if e <= now => {
                let interval = (2 * interval).min(T2);
                self.state = State::Trying { e: Some((now + interval, interval)), f };
                self.steps.push_back(ClientStep::Send);
            }
            State::Proceeding { e: Some(e), f } if e <= now => {
                self.state = State::Proceeding { e: Some(now + T2), f };
                self.steps.push_back(ClientStep::Send);
            }
            State::Completed { k } if k <= now => self.finish(Finish::Done),
            State::Trying { .. }
            | State::Proceeding { .. }
            | State::Completed { .. }
            | State::Terminated => {}
        }
    }

    /// §17.1.4.
    pub fn handle_unreachable(&mut self) {
        match self.state {
            State::Trying { .. } | State::Proceeding { .. } => self.finish(Finish::Unreachable),
            State::Completed { .. } | State::Terminated => {}
        }
    }

    pub fn poll(&mut self) -> Option<ClientStep> {
        self.steps.pop_front()
    }

    pub fn poll_timeout(&self) -> Option<Deadline> {
        match self.state {
            State::Trying { e, f } => earlier(e.map(|(e, _)| (e, "Timer E")), Some((f, "Timer F"))),
            State::Proceeding { e, f } => earlier(e.map(|e| (e, "Timer E")), Some((f, "Timer F"))),
            State::Completed { k } => Some((k, "Timer K")),
            State::Terminated => None,
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

    fn drain(request: &mut RequestClient) -> Vec<ClientStep> {
        std::iter::from_fn(|| request.poll()).collect()
    }

    fn started(reliable: bool) -> RequestClient {
        let mut request = RequestClient::start(reliable, START);
        assert_eq!(drain(&mut request), [ClientStep::Send]);
        request
    }

    fn sent_at(request: &mut RequestClient) -> Vec<u128> {
        let mut sent = vec![];
        loop {
            let (at, _) = request.poll_timeout().unwrap();
            request.handle_timeout(at);
            match drain(request)[..] {
                [ClientStep::Send] => sent.push(at.since(START).as_millis()),
                [ClientStep::Finish(Finish::TimedOut)] => {
                    assert_eq!(at, START + PATIENCE);
                    return sent;
                }
                ref other => panic!("{other:?}"),
            }
        }
    }

    #[test]
    fn section_17_1_2_2_repeats_up_to_t2_until_timer_f() {
        let sent = sent_at(&mut started(false));
        assert_eq!(sent, [500, 1500, 3500, 7500, 11_500, 15_500, 19_500, 23_500, 27_500, 31_500]);
    }

    #[test]
    fn section_17_1_2_2_proceeding_repeats_every_t2() {
        let mut request = started(false);
        request.handle_response(100, START);
        assert_eq!(drain(&mut request), [ClientStep::Deliver]);
        assert_eq!(sent_at(&mut request), [4000, 8000, 12_000, 16_000, 20_000, 24_000, 28_000]);
    }

    #[test]
    fn section_17_1_2_2_a_final_response_is_delivered_once_and_timer_k_ends_it() {
        let mut request = started(false);
        request.handle_response(200, START);
        request.handle_response(200, START);
        assert_eq!(drain(&mut request), [ClientStep::Deliver]);
        assert_eq!(request.poll_timeout(), Some((START + T4, "Timer K")));
        request.handle_timeout(START + T4);
        assert_eq!(drain(&mut request), [ClientStep::Finish(Finish::Done)]);
    }

    #[test]
    fn section_17_1_2_2_a_reliable_transport_neither_repeats_nor_waits() {
        let mut request = started(true);
        assert_eq!(request.poll_timeout(), Some((START + PATIENCE, "Timer F")));
        request.handle_response(200, START);
        let expected = [ClientStep::Deliver, ClientStep::Finish(Finish::Done)];
        assert_eq!(drain(&mut request), expected);
    }

    #[test]
    fn section_17_1_4_a_dead_transport_ends_it() {
        let mut request = started(false);
        request.handle_unreachable();
        request.handle_unreachable();
        assert_eq!(drain(&mut request), [ClientStep::Finish(Finish::Unreachable)]);
    }
}
