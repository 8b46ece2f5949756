//! Whoever was stopped, as a virtual machine is, knows nothing of what he waits for, which stood still with him: it has its
//! time anew.

use super::clock;
use crate::protocol::now::Mono;
use std::time::Duration;

/// Whoever wakes so much later than he wanted to was stopped.
const STOPPED: Duration = Duration::from_secs(1);
/// How often whoever works for long looks whether he was.
const GLANCE: Duration = Duration::from_millis(500);

/// A sleep that began at `from` and was to end at `until` has ended `now`.
fn is_late(from: Mono, until: Mono, now: Mono) -> bool {
    now.since(from.max(until)) > STOPPED
}

/// When whoever waits was stopped last.
#[derive(Debug, Default)]
pub struct Stops {
    woke: Mono,
}

impl Stops {
    /// Since when what has been waited for `since` then can have answered.
    pub fn since(&self, since: Mono) -> Mono {
        since.max(self.woke)
    }

    /// It is `now`, after a sleep that began at `from` and was to end at `until`. True where it was stopped.
    pub fn wakes(&mut self, from: Mono, until: Mono, now: Mono) -> bool {
        let stopped = is_late(from, until, now);
        if stopped {
            self.woke = now;
        }
        stopped
    }
}

/// `None`: it did not come for so long, in which whoever waits was not stopped.
pub async fn within<T>(patience: Duration, waited: impl Future<Output = T>) -> Option<T> {
    let mut waited = std::pin::pin!(waited);
    loop {
        let from = clock::mono();
        if let Ok(came) = tokio::time::timeout(patience, &mut waited).await {
            return Some(came);
        }
        if !is_late(from, from + patience, clock::mono()) {
            return None;
        }
    }
}

/// What came of it, and whether it was stopped in its middle.
pub async fn watched<T>(work: impl Future<Output = T>) -> (T, bool) {
    let (mut work, mut stopped) = (std::pin::pin!(work), false);
    loop {
        let from = clock::mono();
        let done = tokio::time::timeout(GLANCE, &mut work).await;
        stopped |= is_late(from, from + GLANCE, clock::mono());
        if let Ok(done) = done {
            return (done, stopped);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn at(seconds: u64) -> Mono {
        Mono(seconds * 1_000_000_000)
    }

    #[test]
    fn esc_70_who_was_stopped_gives_what_he_waits_for_its_time_anew() {
        let mut stops = Stops::default();
        assert_eq!(stops.since(at(10)), at(10));
        assert!(!stops.wakes(at(10), at(12), at(13)), "a busy host is late, too");
        assert_eq!(stops.since(at(10)), at(10));
        assert!(stops.wakes(at(10), at(12), at(40)));
        assert_eq!((stops.since(at(10)), stops.since(at(41))), (at(40), at(41)));
    }

    #[test]
    fn what_was_overdue_when_he_went_to_sleep_is_no_stop() {
        let mut stops = Stops::default();
        assert!(!stops.wakes(at(20), at(12), at(20)), "a slow log is a slow log");
        assert_eq!(stops.since(at(10)), at(10));
    }

    /// As a process is that is stopped: nothing of it runs meanwhile, and its timers are over when it goes on.
    fn stand_still() {
        std::thread::sleep(STOPPED + GLANCE + Duration::from_millis(300));
    }

    #[tokio::test]
    async fn what_was_waited_for_over_a_stop_is_waited_for_on() {
        let patience = Duration::from_millis(200);
        let (answer, answered) = tokio::sync::oneshot::channel();
        let answers = async move {
            stand_still();
            tokio::time::sleep(patience / 2).await;
            answer.send(7)
        };
        let (came, sent) = tokio::join!(within(patience, answered), answers);
        assert_eq!((came, sent), (Some(Ok(7)), Ok(())));
        assert_eq!(within(patience, std::future::pending::<()>()).await, None);
    }

    #[tokio::test]
    async fn work_that_was_stopped_in_its_middle_is_known() {
        assert_eq!(watched(async { 7 }).await, (7, false));
        let work = async {
            tokio::time::sleep(Duration::from_millis(10)).await;
            stand_still();
            tokio::time::sleep(Duration::from_millis(10)).await;
        };
        assert_eq!(watched(work).await, ((), true));
    }
}
