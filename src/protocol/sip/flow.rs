//! Keeps a connection alive and notices when it is dead (RFC 5626 §3.5.1, §4.4.1): a double CRLF
//! goes out, a single one comes back. A peer that has never answered one is not held to it.

use crate::protocol::now::{Deadline, Mono, earlier};
use std::time::Duration;

/// Between two messages: asks the other side whether it is there, and the answer.
pub const PING: &[u8] = b"\r\n\r\n";
pub const PONG: &[u8] = b"\r\n";
/// §4.4.1.
const PONG_WITHIN: Duration = Duration::from_secs(10);

/// What the machine asks of its owner.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Send [`PING`].
    Ping,
    /// Nobody is there any more: close the connection.
    Dead,
}

/// **Handle one thing, drain `poll`, then wait for the next pong or `poll_timeout`.**
#[derive(Debug)]
pub struct Flow {
    interval: Duration,
    ping: Option<Mono>,
    overdue: Option<Mono>,
    answers: bool,
    step: Option<Step>,
}

impl Flow {
    /// A ping each `interval`; zero sends none.
    pub fn new(interval: Duration, now: Mono) -> Self {
        let ping = (!interval.is_zero()).then(|| now + interval);
        Self { interval, ping, overdue: None, answers: false, step: None }
    }

    pub fn handle_pong(&mut self) {
        (self.answers, self.overdue) = (true, None);
    }

    pub fn handle_timeout(&mut self, now: Mono) {
        if self.overdue.is_some_and(|overdue| overdue <= now) {
            self.overdue = None;
            if self.answers {
                (self.ping, self.step) = (None, Some(Step::Dead));
                return;
            }
        }
        if self.ping.is_some_and(|ping| ping <= now) {
            self.ping = Some(now + self.interval);
            self.overdue.get_or_insert(now + PONG_WITHIN);
            self.step = Some(Step::Ping);
        }
    }

    pub fn poll(&mut self) -> Option<Step> {
        self.step.take()
    }

    pub fn poll_timeout(&self) -> Option<Deadline> {
        let ping = self.ping.map(|at| (at, "ping"));
        earlier(ping, self.overdue.map(|at| (at, "pong")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: Mono = Mono(0);

    fn seconds(n: u64) -> Duration {
        Duration::from_secs(n)
    }

    /// Lets time pass; what was asked for, and when in seconds.
    fn pass(flow: &mut Flow, from: Mono, time: Duration, pongs: bool) -> Vec<(u64, Step)> {
        let mut story = vec![];
        while let Some((at, _)) = flow.poll_timeout().filter(|(at, _)| *at <= from + time) {
            flow.handle_timeout(at);
            if let Some(step) = flow.poll() {
                story.push((at.0 / 1_000_000_000, step));
                if pongs {
                    flow.handle_pong();
                }
            }
        }
        story
    }

    #[test]
    fn section_4_4_1_a_flow_without_pong_for_ten_seconds_is_dead() {
        let mut flow = Flow::new(seconds(25), START);
        let story = pass(&mut flow, START, seconds(60), true);
        assert_eq!(story, [(25, Step::Ping), (50, Step::Ping)]);
        let story = pass(&mut flow, START, seconds(300), false);
        assert_eq!(story, [(75, Step::Ping), (85, Step::Dead)]);
        assert_eq!(flow.poll_timeout(), None);
    }

    #[test]
    fn a_peer_that_knows_no_pings_is_not_held_to_them() {
        let mut flow = Flow::new(seconds(5), START);
        let story = pass(&mut flow, START, seconds(60), false);
        assert_eq!(story.len(), 12);
        assert!(story.iter().all(|(_, step)| *step == Step::Ping));
    }

    #[test]
    fn without_an_interval_nothing_is_sent() {
        assert_eq!(Flow::new(Duration::ZERO, START).poll_timeout(), None);
    }
}
