//! Slows down guessing of passwords: after a few wrong ones an address has to wait for that
//! account, each time twice as long.

use crate::protocol::now::Mono;
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Mutex;
use std::time::Duration;

/// Wrong passwords that cost nothing: fingers slip.
const FREE: u32 = 4;
const LONGEST: Duration = Duration::from_secs(300);
/// Forgotten after so long without another try.
const FORGET: Duration = Duration::from_secs(3600);
const REMEMBERED: usize = 4096;
/// Characters of an account's name that tell it apart.
const NAME: usize = 64;

type Key = (Option<IpAddr>, String);

#[derive(Debug, Default)]
pub struct Backoff {
    failures: Mutex<BTreeMap<Key, Failures>>,
}

#[derive(Debug, Clone, Copy)]
struct Failures {
    count: u32,
    last: Mono,
}

impl Failures {
    fn wait(self, now: Mono) -> Duration {
        let over = self.count.saturating_sub(FREE);
        if over == 0 {
            return Duration::ZERO;
        }
        let whole = Duration::from_secs(1 << over.min(9)).min(LONGEST);
        whole.saturating_sub(now.since(self.last))
    }
}

impl Backoff {
    /// How long this address still has to wait before it may try this account.
    pub fn wait(&self, from: Option<IpAddr>, account: &str, now: Mono) -> Duration {
        self.with(|failures| {
            failures.get(&key(from, account)).map_or(Duration::ZERO, |known| known.wait(now))
        })
    }

    pub fn failed(&self, from: Option<IpAddr>, account: &str, now: Mono) {
        self.with(|failures| {
            if failures.len() >= REMEMBERED {
                failures.retain(|_, known| now.since(known.last) < FORGET);
            }
            if failures.len() >= REMEMBERED {
                let oldest = failures.iter().min_by_key(|(_, known)| known.last);
                if let Some(oldest) = oldest.map(|(key, _)| key.clone()) {
                    failures.remove(&oldest);
                }
            }
            let known =
                failures.entry(key(from, account)).or_insert(Failures { count: 0, last: now });
            if now.since(known.last) >= FORGET {
                known.count = 0;
            }
            *known = Failures { count: known.count.saturating_add(1), last: now };
        });
    }

    pub fn succeeded(&self, from: Option<IpAddr>, account: &str) {
        self.with(|failures| failures.remove(&key(from, account)));
    }

    fn with<T>(&self, work: impl FnOnce(&mut BTreeMap<Key, Failures>) -> T) -> T {
        work(&mut self.failures.lock().unwrap_or_else(|poisoned| poisoned.into_inner()))
    }
}

fn key(from: Option<IpAddr>, account: &str) -> Key {
    (from, account.trim().chars().take(NAME).collect::<String>().to_lowercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: Mono = Mono(1_000_000_000_000);

    #[test]
    fn a_few_mistakes_are_free_then_each_doubles_the_wait_up_to_five_minutes() {
        let backoff = Backoff::default();
        for _ in 0..FREE {
            backoff.failed(None, "zhang", START);
            assert_eq!(backoff.wait(None, "zhang", START), Duration::ZERO);
        }
        backoff.failed(None, "zhang", START);
        assert_eq!(backoff.wait(None, " Zhang ", START), Duration::from_secs(2));
        backoff.failed(None, "zhang", START);
        assert_eq!(backoff.wait(None, "zhang", START), Duration::from_secs(4));
        let later = START + Duration::from_secs(3);
        assert_eq!(backoff.wait(None, "zhang", later), Duration::from_secs(1));
        for _ in 0..100 {
            backoff.failed(None, "zhang", START);
        }
        assert_eq!(backoff.wait(None, "zhang", START), LONGEST);
    }

    #[test]
    fn another_account_another_address_and_the_right_password_do_not_wait() {
        let backoff = Backoff::default();
        let home: Option<IpAddr> = "192.0.2.1".parse().ok();
        for _ in 0..9 {
            backoff.failed(home, "zhang", START);
        }
        assert!(backoff.wait(home, "zhang", START) > Duration::ZERO);
        assert_eq!(backoff.wait(home, "li", START), Duration::ZERO);
        assert_eq!(backoff.wait(None, "zhang", START), Duration::ZERO);
        backoff.succeeded(home, "zhang");
        assert_eq!(backoff.wait(home, "zhang", START), Duration::ZERO);
    }

    #[test]
    fn it_remembers_a_limited_number_and_the_latest() {
        let backoff = Backoff::default();
        for guess in 0..REMEMBERED as u64 + 100 {
            backoff.failed(None, &format!("name {guess}"), START + Duration::from_millis(guess));
        }
        assert_eq!(backoff.with(|failures| failures.len()), REMEMBERED);
        let last = format!("name {}", REMEMBERED + 99);
        assert!(backoff.with(|failures| failures.contains_key(&key(None, &last))));
    }
}
