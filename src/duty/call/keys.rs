//! Keys pressed on a telephone, whichever way they come: RFC 4733 in the voice stream or INFO in
//! the signalling, each press once; and the officer's `*9`.

use crate::protocol::now::{Deadline, Mono};
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;
use std::time::Duration;

/// The same key by the other way within this time is the same press.
const SAME_PRESS: Duration = Duration::from_millis(300);
/// How long after `*` a 9 still belongs to it.
const STAR_NINE: Duration = Duration::from_secs(3);
const PRESSES_KEPT: usize = 16;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Via {
    /// RFC 4733.
    Rtp,
    /// INFO, `application/dtmf-relay` or `application/dtmf`.
    Info,
}

/// Presses of one party that the other way may still repeat.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Keys {
    unmatched: VecDeque<(char, Via, Mono)>,
    /// By INFO, and not by the voice so far, which would carry them by itself.
    #[serde(default)]
    alone: VecDeque<(char, Mono)>,
}

impl Keys {
    /// Whether this is a press of its own. Each press is repeated at most once by the other way,
    /// so that two quick presses of one key stay two.
    pub fn is_new(&mut self, key: char, via: Via, now: Mono) -> bool {
        self.unmatched.retain(|(_, _, at)| now.since(*at) < SAME_PRESS);
        let twin = self.unmatched.iter().position(|(k, v, _)| *k == key && *v != via);
        match twin {
            Some(index) => {
                self.unmatched.remove(index);
                let alone = self.alone.iter().position(|(k, _)| *k == key);
                alone.map(|index| self.alone.remove(index));
                false
            }
            None => {
                if self.unmatched.len() == PRESSES_KEPT {
                    self.unmatched.pop_front();
                }
                self.unmatched.push_back((key, via, now));
                true
            }
        }
    }

    /// This press came by INFO, and the voice may repeat it.
    pub fn wait(&mut self, key: char, now: Mono) {
        if self.alone.len() < PRESSES_KEPT {
            self.alone.push_back((key, now));
        }
    }

    /// The next press that the voice has not repeated in its time.
    pub fn poll_alone(&mut self, now: Mono) -> Option<char> {
        self.deadline().filter(|(due, _)| *due <= now)?;
        self.alone.pop_front().map(|(key, _)| key)
    }

    pub fn deadline(&self) -> Option<Deadline> {
        let (_, at) = self.alone.front()?;
        Some((*at + SAME_PRESS, "a key by INFO did not come in the voice"))
    }
}

/// Watches for `*9`.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct StarNine {
    star: Option<Mono>,
}

impl StarNine {
    /// Whether this key completes `*9`.
    pub fn completed_by(&mut self, key: char, now: Mono) -> bool {
        let star = self.star.take();
        if key == '*' {
            self.star = Some(now);
        }
        key == '9' && star.is_some_and(|at| now.since(at) <= STAR_NINE)
    }
}

/// The key that an INFO carries, where it carries one.
pub fn in_info(content_type: &str, body: &[u8]) -> Option<char> {
    let text = str::from_utf8(body).ok()?;
    let kind = content_type.split(';').next()?.trim();
    let signal = if kind.eq_ignore_ascii_case("application/dtmf-relay") {
        let mut lines = text.lines().filter_map(|line| line.split_once('='));
        lines.find(|(name, _)| name.trim().eq_ignore_ascii_case("signal"))?.1
    } else if kind.eq_ignore_ascii_case("application/dtmf") {
        text
    } else {
        return None;
    };
    named(signal.trim())
}

/// Senders write the RFC 4733 event number for keys beyond 9, or the key itself.
fn named(signal: &str) -> Option<char> {
    match signal {
        "10" => Some('*'),
        "11" => Some('#'),
        "12" => Some('A'),
        "13" => Some('B'),
        "14" => Some('C'),
        "15" => Some('D'),
        _ => {
            let mut chars = signal.chars();
            let key = chars.next()?.to_ascii_uppercase();
            let is_key = key.is_ascii_digit() || matches!(key, '*' | '#' | 'A'..='D');
            (is_key && chars.next().is_none()).then_some(key)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: u64 = 1_000_000;

    #[test]
    fn esc_11_one_press_by_both_ways_is_one_and_two_quick_ones_are_two() {
        for (first, second) in [(Via::Rtp, Via::Info), (Via::Info, Via::Rtp)] {
            let mut keys = Keys::default();
            let heard = [(first, 0), (second, 60), (first, 150), (second, 210)]
                .map(|(via, at)| keys.is_new('1', via, Mono(at * MS)));
            assert_eq!(heard, [true, false, true, false]);
        }
    }

    #[test]
    fn sig_22_a_press_by_info_alone_is_told_once_its_twin_cannot_come_any_more() {
        let mut keys = Keys::default();
        for (key, at) in [('1', 0), ('2', 50), ('3', 60)] {
            assert!(keys.is_new(key, Via::Info, Mono(at * MS)));
            keys.wait(key, Mono(at * MS));
        }
        assert!(!keys.is_new('2', Via::Rtp, Mono(100 * MS)));
        assert_eq!(keys.poll_alone(Mono(299 * MS)), None);
        assert_eq!(keys.poll_alone(Mono(300 * MS)), Some('1'));
        assert_eq!(keys.poll_alone(Mono(300 * MS)), None);
        assert_eq!(keys.deadline().unwrap().0, Mono(360 * MS));
        assert_eq!(keys.poll_alone(Mono(360 * MS)), Some('3'));
        assert_eq!(keys.deadline(), None);
    }

    #[test]
    fn the_same_key_by_the_other_way_later_is_a_new_press() {
        let mut keys = Keys::default();
        assert!(keys.is_new('1', Via::Rtp, Mono(0)));
        assert!(keys.is_new('1', Via::Info, Mono(300 * MS)));
        assert!(keys.is_new('2', Via::Rtp, Mono(310 * MS)));
    }

    #[test]
    fn a_flood_of_keys_is_bounded() {
        let mut keys = Keys::default();
        for at in 0..1000 {
            keys.is_new('5', Via::Info, Mono(at));
        }
        assert_eq!(keys.unmatched.len(), PRESSES_KEPT);
    }

    #[test]
    fn star_nine_needs_both_in_order_within_three_seconds() {
        let completed = |presses: &[(char, u64)]| {
            let mut watch = StarNine::default();
            presses.iter().filter(|(key, at)| watch.completed_by(*key, Mono(at * MS))).count()
        };
        assert_eq!(completed(&[('*', 0), ('9', 3000)]), 1);
        assert_eq!(completed(&[('*', 0), ('9', 3001)]), 0);
        assert_eq!(completed(&[('9', 0), ('*', 10)]), 0);
        assert_eq!(completed(&[('*', 0), ('1', 10), ('9', 20)]), 0);
        assert_eq!(completed(&[('*', 0), ('*', 2900), ('9', 5800)]), 1);
        assert_eq!(completed(&[('*', 0), ('9', 10), ('9', 20)]), 1);
    }

    #[test]
    fn sig_22_both_forms_of_info() {
        let relay = "application/dtmf-relay";
        assert_eq!(in_info(relay, b"Signal=5\r\nDuration=160\r\n"), Some('5'));
        assert_eq!(in_info(relay, b"Duration=160\r\nsignal = *\r\n"), Some('*'));
        assert_eq!(in_info(relay, b"Signal=11\r\n"), Some('#'));
        assert_eq!(in_info("Application/DTMF; charset=utf-8", b" 10\r\n"), Some('*'));
        assert_eq!(in_info("application/dtmf", b"1"), Some('1'));
        assert_eq!(in_info("application/dtmf", b"17"), None);
        assert_eq!(in_info("application/dtmf", b"\xff"), None);
        assert_eq!(in_info(relay, b"Duration=160"), None);
        assert_eq!(in_info("text/plain", b"1"), None);
    }
}
