//! How many new calls one address may begin. A flood from the PBX itself (a forwarding loop, a
//! machine that dials) must cost no transactions, and no rows: what is too much is counted here,
//! before there is a transaction, and told in one summary.

use crate::protocol::now::{Deadline, Mono, earlier};
use std::collections::{BTreeMap, VecDeque};
use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

/// Calls whose callers are remembered, and how many of one caller among them are its share.
const LATELY: usize = 64;
const SHARE: usize = 3;
/// Of a caller's name so much is compared.
const NAME_MAX: usize = 64;
/// Between two summaries of a flood that goes on.
const SUMMARY: Duration = Duration::from_secs(60);
/// A flood is over when nothing was too much for so long.
const OVER: Duration = Duration::from_secs(10);
/// Addresses that are told apart: more than a duty room has telephones. Whoever comes beyond shares one place.
const SOURCES: usize = 1024;
/// Addresses that are looked at, whether they rest, for each that is new.
const LOOKS: usize = 4;
/// The place of all who come beyond.
const OTHERS: IpAddr = IpAddr::V4(Ipv4Addr::UNSPECIFIED);

/// Calls a second that one address may begin, unless a site says otherwise. A town's busiest moment
/// is far below: 50 calls a second are ten times what a duty room's trunks carry, and pass for ever.
pub const PER_SECOND: u32 = 60;

/// What one address may begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pace {
    /// Calls a second, for good.
    pub per_second: u32,
    /// Calls at one moment, after a rest.
    pub at_once: u32,
    /// Of these, kept for callers who have not had their share lately: whoever floods by one
    /// number does not use up the duty call's place.
    pub kept: u32,
}

impl Default for Pace {
    fn default() -> Self {
        Self::of(PER_SECOND)
    }
}

impl Pace {
    pub fn of(per_second: u32) -> Self {
        Self { per_second, at_once: 2 * per_second, kept: per_second / 3 }
    }

    fn every(self) -> Duration {
        Duration::from_secs(1) / self.per_second.max(1)
    }
}

/// Calls that were turned away since the summary before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Summary {
    pub source: IpAddr,
    pub calls: u64,
    pub over: bool,
}

/// **Ask `admits`, drain `poll`, then wait for the next call or `poll_timeout`.**
#[derive(Debug, Default)]
pub struct Admission {
    pace: Pace,
    sources: BTreeMap<IpAddr, Source>,
    /// The same addresses, as they are to be looked at.
    turns: VecDeque<IpAddr>,
    /// No summary is due before.
    due: Option<Deadline>,
    summaries: VecDeque<Summary>,
}

#[derive(Debug, Default)]
struct Source {
    /// When all that was admitted would have come at the lasting pace.
    busy_until: Option<Mono>,
    /// Who was admitted, newest last.
    lately: VecDeque<String>,
    flood: Option<Flood>,
}

#[derive(Debug)]
struct Flood {
    calls: u64,
    last: Mono,
    told: Mono,
}

impl Flood {
    fn poll_timeout(&self) -> Deadline {
        let (over, again) = (self.last + OVER, self.told + SUMMARY);
        (over.min(again), "the summary of a flood")
    }
}

impl Admission {
    pub fn new(pace: Pace) -> Self {
        Self { pace, ..Self::default() }
    }

    /// Whether this caller's new call may begin; one that may not is counted.
    pub fn admits(&mut self, from: IpAddr, caller: &str, now: Mono) -> bool {
        let pace = self.pace;
        let admitted = self.place(from, now).1.admits(pace, caller, now);
        if !admitted {
            self.turn_away(from, now);
        }
        admitted
    }

    /// Counts a call that there is no room for, whatever its address may begin.
    pub fn turn_away(&mut self, from: IpAddr, now: Mono) {
        let (from, source) = self.place(from, now);
        match &mut source.flood {
            Some(flood) => (flood.calls, flood.last) = (flood.calls + 1, now),
            None => {
                let flood = Flood { calls: 0, last: now, told: now };
                let due = flood.poll_timeout();
                source.flood = Some(flood);
                self.due = earlier(self.due, Some(due));
                self.summaries.push_back(Summary { source: from, calls: 1, over: false });
            }
        }
    }

    pub fn handle_timeout(&mut self, now: Mono) {
        // A flood that goes on is due later than it was.
        if self.due.is_none_or(|(due, _)| now < due) {
            return;
        }
        for (from, source) in &mut self.sources {
            let Some(flood) = source.flood.as_mut().filter(|f| f.poll_timeout().0 <= now) else {
                continue;
            };
            let over = flood.last + OVER <= now;
            let summary = Summary { source: *from, calls: std::mem::take(&mut flood.calls), over };
            flood.told = now;
            self.summaries.push_back(summary);
            if over {
                source.flood = None;
            }
        }
        let floods = self.sources.values().filter_map(|source| source.flood.as_ref());
        self.due = floods.fold(None, |first, flood| earlier(first, Some(flood.poll_timeout())));
    }

    pub fn poll(&mut self) -> Option<Summary> {
        self.summaries.pop_front()
    }

    pub fn poll_timeout(&self) -> Option<Deadline> {
        self.due
    }

    /// What is known of this address, or of the others that it is one of.
    fn place(&mut self, from: IpAddr, now: Mono) -> (IpAddr, &mut Source) {
        let mut place = from;
        if !self.sources.contains_key(&from) {
            self.forget_some(now);
            if self.sources.len() >= SOURCES {
                place = OTHERS;
            } else {
                self.turns.push_back(from);
            }
        }
        (place, self.sources.entry(place).or_default())
    }

    /// Addresses at rest are forgotten: a PBX that wanders through its DNS leaves nothing behind.
    fn forget_some(&mut self, now: Mono) {
        for _ in 0..LOOKS.min(self.turns.len()) {
            let Some(from) = self.turns.pop_front() else { return };
            match self.sources.get(&from).is_some_and(|source| source.rests(now)) {
                true => drop(self.sources.remove(&from)),
                false => self.turns.push_back(from),
            }
        }
    }
}

impl Source {
    fn admits(&mut self, pace: Pace, caller: &str, now: Mono) -> bool {
        let caller: String = caller.chars().take(NAME_MAX).collect();
        let had_its_share = self.lately.iter().filter(|name| **name == caller).count() >= SHARE;
        let room =
            if had_its_share { pace.at_once - pace.kept.min(pace.at_once) } else { pace.at_once };
        let begun = self.busy_until.map_or(now, |until| until.max(now)) + pace.every();
        if begun.since(now) > pace.every() * room {
            return false;
        }
        self.busy_until = Some(begun);
        if self.lately.len() == LATELY {
            self.lately.pop_front();
        }
        self.lately.push_back(caller);
        true
    }

    fn rests(&self, now: Mono) -> bool {
        self.flood.is_none() && self.busy_until.is_none_or(|until| until <= now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PBX: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1));
    const START: Mono = Mono(7_000_000_000);

    fn ms(n: u64) -> Duration {
        Duration::from_millis(n)
    }

    /// So many calls a second for so many seconds; how many were admitted.
    fn flood(
        admission: &mut Admission,
        per_second: u64,
        seconds: u64,
        name: fn(u64) -> String,
    ) -> u64 {
        let at = |n: u64| START + Duration::from_nanos(n * 1_000_000_000 / per_second);
        let calls = 0..per_second * seconds;
        calls.filter(|n| admission.admits(PBX, &name(*n), at(*n))).count() as u64
    }

    #[test]
    fn rel_07_the_busiest_town_passes_and_a_flood_is_held_to_its_pace() {
        let town = |n: u64| format!("139{n:08}");
        let mut admission = Admission::default();
        assert_eq!(flood(&mut admission, 50, 600, town), 50 * 600, "50 calls/s pass for ever");
        assert_eq!(
            flood(&mut Admission::default(), 50, 60, |_| String::new()),
            50 * 60,
            "and unnamed"
        );
        assert_eq!(admission.poll(), None);
        let mut admission = Admission::default();
        let passed = flood(&mut admission, 200, 60, town);
        let pace = Pace::default();
        let most = u64::from(pace.at_once + 60 * pace.per_second);
        assert!((most - 2..=most).contains(&passed), "{passed} of {most}");
    }

    #[test]
    fn rel_07_whoever_floods_by_one_number_leaves_the_duty_call_its_place() {
        let mut admission = Admission::default();
        let now = START + ms(30_000);
        flood(&mut admission, 200, 30, |_| "13800000000".into());
        while admission.admits(PBX, "13800000000", now) {}
        assert!(admission.admits(PBX, "13912345678", now), "somebody else is heard");
        let elsewhere = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 2));
        assert!(admission.admits(elsewhere, "13800000000", now), "and every other address");
    }

    #[test]
    fn rel_07_a_flood_is_told_as_it_begins_each_minute_and_when_it_is_over() {
        let mut admission = Admission::default();
        let mut told = vec![];
        let (mut now, mut refused) = (START, 0);
        for n in 0..20_000u64 {
            now = START + ms(5 * n);
            refused += u64::from(!admission.admits(PBX, &n.to_string(), now));
            admission.handle_timeout(now);
            told.extend(std::iter::from_fn(|| admission.poll()));
        }
        while let Some((at, _)) = admission.poll_timeout() {
            now = at;
            admission.handle_timeout(now);
            told.extend(std::iter::from_fn(|| admission.poll()));
        }
        let over: Vec<_> = told.iter().map(|summary| summary.over).collect();
        assert_eq!(over, [false, false, true], "{told:?}");
        assert_eq!(told.iter().map(|summary| summary.calls).sum::<u64>(), refused);
        assert_eq!(told[0].calls, 1, "at once");
        assert!(admission.admits(PBX, "x", now));
    }

    #[test]
    fn rel_07_what_is_remembered_is_bounded() {
        let mut admission = Admission::default();
        for n in 0..100_000u32 {
            let from = IpAddr::V4(Ipv4Addr::from_bits(n));
            admission.admits(from, &"9".repeat(10_000), START + ms(100 * u64::from(n)));
        }
        assert_eq!(admission.sources.len(), 1);
        assert!(admission.sources.values().all(|source| source.lately[0].len() == NAME_MAX));
    }

    /// Each forges another address, and none of them rests: they are one, and who came before is known on.
    #[test]
    fn rel_05_forged_addresses_are_bounded_and_cost_the_same_however_many() {
        let mut admission = Admission::new(Pace { per_second: 1, at_once: 20, kept: 0 });
        let at = |n: u32| IpAddr::V4(Ipv4Addr::from_bits(n + 1));
        let mut admitted = 0;
        for n in 0..100_000u32 {
            let now = START + Duration::from_micros(u64::from(n));
            admitted += u32::from(admission.admits(at(n), "801", now));
            admission.poll_timeout();
        }
        assert!(admitted <= SOURCES as u32 + 20, "{admitted}");
        assert_eq!((admission.sources.len(), admission.turns.len()), (SOURCES + 1, SOURCES));
        let later = START + ms(200);
        assert!(admission.admits(at(0), "801", later), "a telephone of before");
        assert!(!admission.admits(at(9_999_999), "801", later), "another one of them");
        let told: Vec<_> = std::iter::from_fn(|| admission.poll()).collect();
        assert_eq!(told.len(), 1, "one flood: {told:?}");
        let rested = later + ms(600_000);
        admission.handle_timeout(rested);
        assert!((0..600).all(|n| admission.admits(at(2_000_000 + n), "801", rested)));
        assert!(admission.sources.len() < 700, "{}", admission.sources.len());
    }
}
