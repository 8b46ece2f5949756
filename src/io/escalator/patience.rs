//! How long the log is waited for before leaders are called from memory. Whoever was stopped meanwhile, as a virtual machine
//! is, knows nothing of the log, which stood still with him: it has its time anew.

use crate::protocol::now::Mono;
use std::time::Duration;

/// The log has refused, or has not answered, for so long.
pub const PATIENCE: Duration = Duration::from_secs(2);
/// Whoever wakes so much later than he wanted to was stopped.
const STOPPED: Duration = Duration::from_secs(1);

#[derive(Debug, Default)]
pub struct Patience {
    /// After he was stopped last.
    woke: Mono,
}

impl Patience {
    /// When what has been waited for `since` then is waited for no longer.
    pub fn ends(&self, since: Mono) -> Mono {
        since.max(self.woke) + PATIENCE
    }

    /// It is `now`, after a sleep that began at `from` and was to end at `until`. True where it was stopped.
    pub fn wakes(&mut self, from: Mono, until: Mono, now: Mono) -> bool {
        let stopped = now.since(from.max(until)) > STOPPED;
        if stopped {
            self.woke = now;
        }
        stopped
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn at(seconds: u64) -> Mono {
        Mono(seconds * 1_000_000_000)
    }

    #[test]
    fn esc_70_who_was_stopped_gives_the_log_its_time_anew() {
        let mut patience = Patience::default();
        assert_eq!(patience.ends(at(10)), at(12));
        assert!(!patience.wakes(at(10), at(12), at(13)), "a busy host is late, too");
        assert_eq!(patience.ends(at(10)), at(12));
        assert!(patience.wakes(at(10), at(12), at(40)));
        assert_eq!((patience.ends(at(10)), patience.ends(at(41))), (at(42), at(43)));
    }

    #[test]
    fn what_was_overdue_when_he_went_to_sleep_is_no_stop() {
        let mut patience = Patience::default();
        assert!(!patience.wakes(at(20), at(12), at(20)), "a slow log is a slow log");
        assert_eq!(patience.ends(at(10)), at(12));
    }
}
