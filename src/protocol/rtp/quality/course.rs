//! How well a party was heard from its first packet to its last: judged a few seconds at a time, with the mean and the
//! worst of it and when that was.

use super::Tally;
use super::emodel::{Impairment, Mos};
use crate::protocol::now::Now;
use crate::protocol::rtp::Codec;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

/// Less than a second of voice is not judged by itself: while a party is silent, one lost packet of two is not half of
/// what it said...
const ENOUGH: u64 = 50;
/// ...but all that there was of a short call is.
const AT_LEAST: u64 = 10;
/// Of a frame on its way into and out of a packet, in milliseconds.
const FRAMING_MS: f64 = 40.0;

/// What a far end tells of what it gets from us (RFC 3550 §6.4.1).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Far {
    /// There and back, on the network.
    pub rtt_us: Option<u32>,
    /// Packets lost, all in all.
    pub lost: u32,
    pub jitter_us: u32,
}

/// What was counted of one channel so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Measured {
    /// Of the leg.
    pub codec: Codec,
    pub tally: Tally,
    /// Where the far end tells.
    pub far: Option<Far>,
}

/// MOS as far as it was judged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Judgement {
    pub latest: Mos,
    pub mean: Mos,
    pub worst: Mos,
    /// When the worst stretch began.
    pub worst_at: DateTime<Utc>,
}

/// How a party was heard on one channel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Quality {
    /// When its first packet came.
    pub since: DateTime<Utc>,
    pub tally: Tally,
    /// None while too little was said.
    pub mos: Option<Judgement>,
    pub far: Option<Far>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Course {
    since: DateTime<Utc>,
    tally: Tally,
    far: Option<Far>,
    /// When the stretch began that is not judged yet, and what was counted by then.
    from: DateTime<Utc>,
    before: Tally,
    judged: u64,
    /// In hundredths.
    sum: u64,
    latest: Mos,
    worst: Option<(Mos, DateTime<Utc>)>,
}

impl Course {
    /// The party's first packet has come.
    pub fn begin(now: Now) -> Self {
        Self {
            since: now.wall,
            tally: Tally::default(),
            far: None,
            from: now.wall,
            before: Tally::default(),
            judged: 0,
            sum: 0,
            latest: Mos::default(),
            worst: None,
        }
    }

    /// Takes what was counted so far, and judges the stretch since it last did where enough was said in it.
    pub fn take(&mut self, measured: &Measured, now: Now) {
        self.note(measured);
        if self.unjudged() >= ENOUGH {
            self.judge(measured.codec, now);
        }
    }

    /// As [`Course::take`], at the end.
    pub fn finish(&mut self, measured: &Measured, now: Now) {
        self.note(measured);
        let left = self.unjudged();
        if left >= ENOUGH || self.judged == 0 && left >= AT_LEAST {
            self.judge(measured.codec, now);
        }
    }

    pub fn quality(&self) -> Quality {
        let mos = self.worst.map(|(worst, worst_at)| Judgement {
            latest: self.latest,
            mean: Mos((self.sum / self.judged.max(1)) as u16),
            worst,
            worst_at,
        });
        Quality { since: self.since, tally: self.tally, mos, far: self.far }
    }

    fn note(&mut self, measured: &Measured) {
        self.tally = measured.tally;
        self.far = measured.far.or(self.far);
    }

    fn unjudged(&self) -> u64 {
        (self.tally - self.before).expected
    }

    fn judge(&mut self, codec: Codec, now: Now) {
        let rtt = self.far.and_then(|far| far.rtt_us);
        let mos = Mos::of(impairment(&(self.tally - self.before), rtt).rating(codec));
        self.latest = mos;
        self.judged += 1;
        self.sum += u64::from(mos.0);
        if self.worst.is_none_or(|(worst, _)| mos < worst) {
            self.worst = Some((mos, self.from));
        }
        (self.before, self.from) = (self.tally, now.wall);
    }
}

/// While the way there and back is not known, only what is known of the delay counts: MOS-LQ, not MOS-CQ.
fn impairment(stretch: &Tally, rtt_us: Option<u32>) -> Impairment {
    let missing = (stretch.lost + stretch.late) as f64;
    let on_the_way = f64::from(rtt_us.unwrap_or(0)) / 2000.0;
    let buffered = 2.0 * f64::from(stretch.jitter_us) / 1000.0;
    Impairment {
        loss: (missing / stretch.expected.max(1) as f64).min(1.0),
        run: if stretch.gaps == 0 { 0.0 } else { stretch.lost as f64 / stretch.gaps as f64 },
        delay: on_the_way + buffered + FRAMING_MS,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::now::Mono;
    use std::time::Duration;

    fn at(seconds: u64) -> Now {
        let wall = DateTime::from_timestamp(1_800_000_000, 0).unwrap();
        Now { mono: Mono(1), wall } + Duration::from_secs(seconds)
    }

    fn measured(expected: u64, lost: u64) -> Measured {
        let (received, gaps) = (expected - lost, lost);
        let tally = Tally { expected, received, lost, gaps, ..Tally::default() };
        Measured { codec: Codec::Pcma, tally, far: None }
    }

    /// 2 % of G.711.
    fn two_percent() -> Mos {
        Mos::of(93.2 - 95.0 * 2.0 / 6.3)
    }

    #[test]
    fn rec_q_the_worst_stretch_is_named_with_its_time() {
        let mut course = Course::begin(at(0));
        for n in 1..=6 {
            course.take(&measured(250 * n, if n >= 4 { 5 } else { 0 }), at(5 * n));
        }
        let mos = course.quality().mos.unwrap();
        assert_eq!((mos.worst, mos.latest), (two_percent(), Mos(441)));
        assert_eq!(mos.worst_at, at(15).wall, "between 15 and 20 s");
        assert_eq!(mos.mean, Mos((5 * 441 + mos.worst.0) / 6));
    }

    #[test]
    fn rec_q_silence_is_not_judged_and_what_was_lost_in_it_counts_with_what_follows() {
        let mut course = Course::begin(at(0));
        course.take(&measured(250, 0), at(5));
        course.take(&measured(252, 1), at(10));
        course.take(&measured(254, 1), at(15));
        assert_eq!(course.quality().mos.unwrap().worst, Mos(441), "a packet of comfort noise");
        course.take(&measured(500, 1), at(20));
        let mos = course.quality().mos.unwrap();
        assert!(mos.worst < Mos(441), "{mos:?}");
        assert_eq!(mos.worst_at, at(5).wall);
    }

    #[test]
    fn rec_q_all_there_was_of_a_short_call_is_judged() {
        let mut course = Course::begin(at(0));
        course.finish(&measured(12, 6), at(1));
        assert!(course.quality().mos.unwrap().latest < Mos(200));
        let mut course = Course::begin(at(0));
        course.finish(&measured(9, 0), at(1));
        assert_eq!(course.quality().mos, None);
    }

    #[test]
    fn rec_q_the_way_there_and_back_counts_where_it_is_known() {
        let far = |ms: u32| Some(Far { rtt_us: Some(ms * 1000), ..Far::default() });
        let mos = |far| {
            let mut course = Course::begin(at(0));
            course.take(&Measured { far, ..measured(250, 0) }, at(5));
            course.quality().mos.unwrap().latest
        };
        assert_eq!((mos(None), mos(far(100))), (Mos(441), Mos(441)));
        assert_eq!(mos(far(720)), Mos::of(93.2 - 24.07), "400 ms from mouth to ear");
    }

    #[test]
    fn rec_q_what_comes_too_late_to_be_heard_counts_as_lost() {
        let tally = Tally { expected: 250, received: 250, late: 5, ..Tally::default() };
        let mut course = Course::begin(at(0));
        course.take(&Measured { tally, ..measured(0, 0) }, at(5));
        assert_eq!(course.quality().mos.unwrap().latest, two_percent());
    }
}
