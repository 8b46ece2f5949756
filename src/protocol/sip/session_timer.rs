//! Session timers (RFC 4028): who refreshes a session, when, and when it has outlived its peer.
//!
//! ```text
//!          2xx                     half ──► Refresh, again until a 2xx
//!  Off ──────────► Running (we) ─┤
//!   ▲     │                        end ───► Expired
//!   │     └──────► Running (peer) ── end less 32 s or a third ──► Expired
//!   └─ 2xx without Session-Expires ─┘
//! ```

use super::wire::{Message, decimal, split_outside};
use crate::protocol::now::{Deadline, Mono, earlier};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// The shortest interval anybody may ask for, in seconds (§4).
pub const LEAST: u32 = 90;
/// Between two tries to refresh when the end is near.
const AGAIN: Duration = Duration::from_secs(5);
/// How long before the end a peer that has not refreshed is given up, at most (§10).
const MARGIN: Duration = Duration::from_secs(32);

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
enum Refresher {
    We,
    Peer,
}

/// What a request of the peer asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct Asked {
    interval: Option<u32>,
    refresher: Option<Refresher>,
    supported: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct Running {
    /// Seconds.
    interval: u32,
    refresher: Refresher,
    refresh: Option<Mono>,
    /// None where only we know of the timer: the peer may answer as it likes, as long as it
    /// answers.
    end: Option<Mono>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Due {
    /// Send a session refresh request.
    Refresh,
    /// Send BYE.
    Expired,
}

/// The timer of one session. **Handle one thing, then wait for the next or `poll_timeout`.**
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionTimer {
    /// Seconds we ask for where the peer does not; 0 asks for nothing.
    wanted: u32,
    /// The largest Min-SE heard (§7.4); 0 for none.
    min_se: u32,
    asked: Option<Asked>,
    /// In the request of ours that waits for its answer.
    offered: Option<u32>,
    running: Option<Running>,
}

impl SessionTimer {
    pub fn new(wanted: u32) -> Self {
        Self { wanted, min_se: 0, asked: None, offered: None, running: None }
    }

    /// §7.1, §7.4: headers of a session refresh request of ours, the first INVITE included.
    pub fn request(&mut self, initial: bool) -> Vec<(String, Vec<u8>)> {
        let interval = match self.running {
            Some(running) => Some(running.interval),
            None if initial && self.wanted > 0 => Some(self.wanted),
            None => None,
        };
        self.offered = interval.map(|interval| interval.max(self.min_se).max(LEAST));
        let mut headers = vec![];
        if let Some(interval) = self.offered {
            let refresher = match self.running.map(|running| running.refresher) {
                Some(Refresher::We) => ";refresher=uac",
                Some(Refresher::Peer) => ";refresher=uas",
                None => "",
            };
            headers.push(("Session-Expires".to_owned(), format!("{interval}{refresher}").into()));
        }
        if self.min_se > 0 {
            headers.push(("Min-SE".to_owned(), self.min_se.to_string().into_bytes()));
        }
        headers
    }

    /// §7.2: a 2xx to our request.
    pub fn handle_2xx(&mut self, response: &Message, now: Mono) {
        let offered = self.offered.take();
        match (session_expires(response), offered) {
            (Some((interval, refresher)), _) => {
                let refresher = match refresher {
                    Some(b"uas") => Refresher::Peer,
                    Some(_) | None => Refresher::We,
                };
                self.start(interval.max(LEAST), refresher, now);
            }
            (None, Some(interval)) => self.start_alone(interval, now),
            (None, None) => self.running = None,
        }
    }

    /// §7.3: 422 to our request. False when asking again would not help.
    pub fn handle_422(&mut self, response: &Message) -> bool {
        let Some(least) = seconds(response, "min-se") else { return false };
        let helps = least > self.offered.unwrap_or(0);
        self.min_se = self.min_se.max(least);
        helps
    }

    /// §9: a session refresh request of the peer.
    ///
    /// # Errors
    /// The Min-SE of the 422 to refuse it with.
    pub fn handle_request(&mut self, request: &Message) -> Result<(), u32> {
        let supported = request.has("supported", "timer") || request.has("require", "timer");
        let found = session_expires(request);
        // What a proxy asks for cannot be refused on behalf of a peer that knows no 422.
        let (interval, refresher) = match found {
            Some((interval, _)) if interval < LEAST && supported => return Err(LEAST),
            Some((interval, refresher)) if interval >= LEAST => (Some(interval), refresher),
            Some(_) | None => (None, None),
        };
        let refresher = match refresher {
            Some(b"uac") => Some(Refresher::Peer),
            Some(b"uas") => Some(Refresher::We),
            Some(_) | None => None,
        };
        self.min_se = self.min_se.max(seconds(request, "min-se").unwrap_or(0));
        self.asked = Some(Asked { interval, refresher, supported });
        Ok(())
    }

    /// §9, Table 2: headers of our 2xx to that request, which starts the timer. Where the choice is
    /// ours we refresh, so that nothing depends on the peer.
    pub fn accept(&mut self, now: Mono) -> Vec<(&'static str, Vec<u8>)> {
        let Some(asked) = self.asked.take() else { return vec![] };
        let own = self.running.map_or(self.wanted, |running| running.interval);
        let interval = match asked.interval {
            Some(interval) => interval,
            None if asked.supported && own > 0 => own.max(self.min_se).max(LEAST),
            None => {
                match self.running {
                    Some(Running { end: None, interval, .. }) => self.start_alone(interval, now),
                    Some(_) | None => self.running = None,
                }
                return vec![];
            }
        };
        let refresher = asked.refresher.filter(|_| asked.supported).unwrap_or(Refresher::We);
        self.start(interval, refresher, now);
        let name = match refresher {
            Refresher::We => "uas",
            Refresher::Peer => "uac",
        };
        let mut headers =
            vec![("Session-Expires", format!("{interval};refresher={name}").into_bytes())];
        if asked.supported {
            headers.push(("Require", b"timer".to_vec()));
        }
        headers
    }

    pub fn handle_timeout(&mut self, now: Mono) -> Option<Due> {
        let running = self.running.as_mut()?;
        if running.end.is_some_and(|end| end <= now) {
            self.running = None;
            return Some(Due::Expired);
        }
        if running.refresh.is_none_or(|refresh| now < refresh) {
            return None;
        }
        let wait = match running.end {
            Some(end) => (end.since(now) / 2).max(AGAIN),
            None => Duration::from_secs(u64::from(running.interval)) / 2,
        };
        running.refresh = Some(now + wait);
        Some(Due::Refresh)
    }

    pub fn poll_timeout(&self) -> Option<Deadline> {
        let running = self.running?;
        earlier(
            running.refresh.map(|refresh| (refresh, "session to be refreshed")),
            running.end.map(|end| (end, "session not refreshed")),
        )
    }

    fn start(&mut self, interval: u32, refresher: Refresher, now: Mono) {
        let length = Duration::from_secs(u64::from(interval));
        let (refresh, end) = match refresher {
            Refresher::We => (Some(now + length / 2), now + length),
            Refresher::Peer => (None, now + (length - MARGIN.min(length / 3))),
        };
        self.running = Some(Running { interval, refresher, refresh, end: Some(end) });
    }

    /// §7.2: the peer knows no session timer; refreshing is for our benefit alone.
    fn start_alone(&mut self, interval: u32, now: Mono) {
        let refresh = Some(now + Duration::from_secs(u64::from(interval)) / 2);
        let refresher = Refresher::We;
        self.running = Some(Running { interval, refresher, refresh, end: None });
    }
}

fn seconds(message: &Message, name: &str) -> Option<u32> {
    let value = split_outside(message.header(name)?, b';').next()?;
    // A number too big for us is a long time, not a mistake.
    let digits = value.trim_ascii();
    let digits_only = !digits.is_empty() && digits.iter().all(u8::is_ascii_digit);
    digits_only.then(|| decimal(digits, u64::from(u32::MAX)).map_or(u32::MAX, |n| n as u32))
}

/// Interval and refresher, in lower case where it is one of the two that exist.
fn session_expires(message: &Message) -> Option<(u32, Option<&'static [u8]>)> {
    let interval = seconds(message, "session-expires")?;
    let mut params = split_outside(message.header("session-expires")?, b';').skip(1);
    let refresher = params.find_map(|param| {
        let (name, value) = param.split_at_checked(param.iter().position(|&b| b == b'=')?)?;
        let is = |word: &[u8]| value[1..].trim_ascii().eq_ignore_ascii_case(word);
        if !name.trim_ascii().eq_ignore_ascii_case(b"refresher") {
            return None;
        }
        [&b"uac"[..], b"uas"].into_iter().find(|word| is(word))
    });
    Some((interval, refresher))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::sip::wire;

    const START: Mono = Mono(0);

    fn at(seconds: u64) -> Mono {
        START + Duration::from_secs(seconds)
    }

    fn message(lines: &str) -> Message {
        wire::parse(format!("SIP/2.0 200 OK\r\n{lines}\r\n").as_bytes()).unwrap()
    }

    fn asked(timer: &mut SessionTimer, lines: &str) -> Result<String, u32> {
        timer.handle_request(&message(lines))?;
        let headers = timer.accept(START);
        let line = |(name, value): (&str, Vec<u8>)| {
            format!("{name}: {}", String::from_utf8(value).unwrap())
        };
        Ok(headers.into_iter().map(line).collect::<Vec<_>>().join(" | "))
    }

    fn requested(timer: &mut SessionTimer, initial: bool) -> String {
        let line = |(name, value): (String, Vec<u8>)| {
            format!("{name}: {}", String::from_utf8(value).unwrap())
        };
        timer.request(initial).into_iter().map(line).collect::<Vec<_>>().join(" | ")
    }

    /// Seconds at which something is due, and what.
    fn life(timer: &mut SessionTimer) -> Vec<(u64, Due)> {
        let mut due = vec![];
        while let Some((when, _)) = timer.poll_timeout() {
            due.extend(timer.handle_timeout(when).map(|what| (when.since(START).as_secs(), what)));
            if due.len() > 9 {
                break;
            }
        }
        due
    }

    #[test]
    fn section_9_table_2_the_refresher_in_our_2xx() {
        for (request, expected) in [
            ("Session-Expires: 600\r\n", "Session-Expires: 600;refresher=uas"),
            (
                "Supported: timer\r\nSession-Expires: 600\r\n",
                "Session-Expires: 600;refresher=uas | Require: timer",
            ),
            (
                "k: x, TIMER\r\nx: 600 ;Refresher = UAC\r\n",
                "Session-Expires: 600;refresher=uac | Require: timer",
            ),
            (
                "Supported: timer\r\nSession-Expires: 600;refresher=uas\r\n",
                "Session-Expires: 600;refresher=uas | Require: timer",
            ),
            (
                "Require: timer\r\nMin-SE: 2000\r\n",
                "Session-Expires: 2000;refresher=uas | Require: timer",
            ),
            ("Supported: timer\r\n", "Session-Expires: 1800;refresher=uas | Require: timer"),
            ("", ""),
            ("Session-Expires: soon\r\n", ""),
        ] {
            let mut timer = SessionTimer::new(1800);
            assert_eq!(asked(&mut timer, request), Ok(expected.to_owned()), "{request}");
            assert_eq!(timer.poll_timeout().is_some(), !expected.is_empty(), "{request}");
        }
        let mut silent = SessionTimer::new(0);
        assert_eq!(asked(&mut silent, "Supported: timer\r\n"), Ok(String::new()));
    }

    #[test]
    fn section_9_too_small_is_422_for_who_knows_it_and_no_flood_from_who_does_not() {
        let mut timer = SessionTimer::new(1800);
        assert_eq!(asked(&mut timer, "Supported: timer\r\nSession-Expires: 89\r\n"), Err(90));
        assert_eq!(asked(&mut timer, "Supported: timer\r\nSession-Expires: 0\r\n"), Err(90));
        assert_eq!(asked(&mut timer, "Session-Expires: 1\r\n"), Ok(String::new()));
        assert_eq!(timer.poll_timeout(), None);
        let endless = "Supported: timer\r\nSession-Expires: 99999999999999999999999\r\n";
        assert!(asked(&mut timer, endless).unwrap().contains("4294967295"));
    }

    #[test]
    fn section_7_2_the_2xx_says_who_refreshes_and_how_often() {
        for (response, expected) in [
            ("Session-Expires: 90;refresher=uas\r\n", vec![(60, Due::Expired)]),
            ("Session-Expires: 1800;refresher=uas\r\n", vec![(1768, Due::Expired)]),
            ("Session-Expires: 5;refresher=uas\r\n", vec![(60, Due::Expired)]),
        ] {
            let mut timer = SessionTimer::new(1800);
            assert_eq!(requested(&mut timer, true), "Session-Expires: 1800");
            timer.handle_2xx(&message(response), START);
            assert_eq!(life(&mut timer), expected, "{response}");
        }
        let mut timer = SessionTimer::new(1800);
        timer.handle_2xx(&message("Session-Expires: 90;refresher=uac\r\n"), START);
        let due = life(&mut timer);
        assert_eq!(due[..2], [(45, Due::Refresh), (67, Due::Refresh)]);
        assert_eq!(due.last(), Some(&(90, Due::Expired)));
        timer.handle_2xx(&message("Session-Expires: 90;refresher=uac\r\n"), START);
        timer.handle_2xx(&message(""), START);
        assert_eq!(timer.poll_timeout(), None, "turned off");
    }

    #[test]
    fn section_7_2_a_peer_without_timers_is_refreshed_for_ever_and_never_expires() {
        let mut timer = SessionTimer::new(1800);
        requested(&mut timer, true);
        timer.handle_2xx(&message(""), START);
        let due = life(&mut timer);
        assert_eq!(due[..3], [(900, Due::Refresh), (1800, Due::Refresh), (2700, Due::Refresh)]);
        assert!(due.iter().all(|(_, due)| *due == Due::Refresh));
        asked(&mut timer, "").unwrap();
        assert_eq!(timer.poll_timeout().map(|(when, _)| when), Some(at(900)));
    }

    #[test]
    fn section_7_4_later_requests_keep_interval_roles_and_the_largest_min_se() {
        let mut timer = SessionTimer::new(1800);
        requested(&mut timer, true);
        assert!(timer.handle_422(&message("Min-SE: 2400\r\n")));
        assert_eq!(requested(&mut timer, true), "Session-Expires: 2400 | Min-SE: 2400");
        assert!(!timer.handle_422(&message("Min-SE: 2400\r\n")), "asked already");
        assert!(!timer.handle_422(&message("")));
        timer.handle_2xx(&message("Session-Expires: 3000;refresher=uas\r\n"), START);
        let expected = "Session-Expires: 3000;refresher=uas | Min-SE: 2400";
        assert_eq!(requested(&mut timer, false), expected);
        let mut timer = SessionTimer::new(1800);
        asked(&mut timer, "Supported: timer\r\nSession-Expires: 90\r\nMin-SE: 90\r\n").unwrap();
        let expected = "Session-Expires: 90;refresher=uac | Min-SE: 90";
        assert_eq!(requested(&mut timer, false), expected);
        let mut off = SessionTimer::new(0);
        assert_eq!(requested(&mut off, true), "");
    }
}
