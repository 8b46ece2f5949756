//! Quotas, kept without ever holding back the first notice of a matter for longer than a moment:
//! what does not fit goes in one message with others (escalation.md, rule 4).

use std::time::Duration;

/// At most `limit` messages in any stretch of `within`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Window {
    pub limit: usize,
    pub within: Duration,
}

/// What a provider takes before it throttles.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Quota {
    /// Kept strictly: half of it at once, the other half one by one.
    pub pace: &'static [Window],
    /// Long ones: repetitions take half of them at most, first notices are never counted.
    pub budget: &'static [Window],
}

/// Milliseconds from now.
type At = i64;

impl Quota {
    /// As far back as anything counts.
    pub fn reach(&self) -> Duration {
        let all = self.pace.iter().chain(self.budget);
        all.map(|window| window.within).max().unwrap_or_default()
    }

    /// How long a first notice waits at most for what was sent before it.
    pub fn patience(&self) -> Duration {
        self.pace.iter().map(|window| window.gap()).max().unwrap_or_default()
    }

    /// When the next message may leave: zero or past for now. `sent`: oldest first, in the past.
    pub(super) fn free_at(&self, sent: &[At]) -> At {
        let Some(&last) = sent.last() else { return 0 };
        let tight = self.pace.iter().filter(|window| window.count(sent) >= window.at_once());
        tight.map(|window| last + millis(window.gap())).max().unwrap_or(0)
    }

    /// Messages that may leave at once.
    pub(super) fn room(&self, sent: &[At]) -> usize {
        let room = |window: &Window| window.at_once().saturating_sub(window.count(sent));
        self.pace.iter().map(room).min().unwrap_or(usize::MAX).max(1)
    }

    /// Whether enough is left for what is only said again.
    pub(super) fn spares(&self, sent: &[At]) -> bool {
        let spare = |window: &Window, part: usize| window.count(sent) * part < window.limit;
        self.pace.iter().all(|window| spare(window, 4)) && self.budget.iter().all(|w| spare(w, 2))
    }
}

impl Window {
    fn at_once(&self) -> usize {
        self.limit / 2
    }

    /// Between two messages once half of the window is used.
    fn gap(&self) -> Duration {
        let others = u32::try_from(self.limit - self.at_once()).unwrap_or(u32::MAX).max(1);
        self.within / others
    }

    fn count(&self, sent: &[At]) -> usize {
        let from = -millis(self.within);
        sent.iter().rev().take_while(|at| **at > from).count()
    }
}

fn millis(duration: Duration) -> At {
    At::try_from(duration.as_millis()).unwrap_or(At::MAX / 4)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::duty::notices::Kind;
    use crate::protocol::random::Random;

    /// However densely it is asked, no stretch holds more than the quota.
    #[test]
    fn esc_79_no_stretch_of_time_holds_more_than_the_quota() {
        let kinds = [Kind::WecomBot, Kind::WecomApp, Kind::FeishuBot, Kind::Ntfy, Kind::Sms];
        let mut random = Random::from_seed([79; 32]);
        for kind in kinds {
            let quota = kind.quota();
            let (mut now, mut sent): (At, Vec<At>) = (0, vec![]);
            for _ in 0..2_000 {
                now += At::try_from(random.below(900)).unwrap();
                let seen: Vec<At> = sent.iter().map(|at| at - now).collect();
                if quota.free_at(&seen) <= 0 {
                    sent.push(now);
                }
            }
            assert!(sent.len() > 20, "{kind:?}");
            for window in quota.pace {
                let width = millis(window.within);
                let most = sent.iter().map(|from| {
                    sent.iter().filter(|at| (*from..from + width).contains(*at)).count()
                });
                let most = most.max().unwrap();
                assert!(most <= window.limit, "{kind:?}: {most} in {:?}", window.within);
            }
        }
    }

    #[test]
    fn nothing_waits_where_nothing_was_sent() {
        for kind in [Kind::Webhook, Kind::WecomBot, Kind::Sms] {
            assert_eq!(kind.quota().free_at(&[]), 0);
            assert!(kind.quota().spares(&[]));
        }
        assert_eq!(Kind::Sms.quota().free_at(&[-10_000]), 20_000, "one in 30 s");
        assert_eq!(Kind::Sms.quota().patience(), Duration::from_secs(30));
        assert_eq!(Kind::Webhook.quota().room(&[-1; 50]), usize::MAX);
    }
}
