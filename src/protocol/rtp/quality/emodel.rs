//! What packet loss and delay mean for the ear: the rating R and the MOS of ITU-T G.107 (the E-model), with everything
//! that a packet network does not decide at the recommendation's defaults.

use crate::protocol::rtp::Codec;
use serde::{Deserialize, Serialize};

/// R without loss and delay, by the defaults of G.107.
const UNIMPAIRED: f64 = 93.2;
/// Above the one users are satisfied, below the other nearly all are dissatisfied (G.107 annex B).
const SATISFIED: f64 = 80.0;
const DISSATISFIED: f64 = 60.0;

/// Mean opinion score, in hundredths: 100 to 450.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Mos(pub u16);

/// The mark for people.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Grade {
    /// 差
    Poor,
    /// 一般
    Fair,
    /// 好
    Good,
}

/// What a network does to a voice.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Impairment {
    /// Share of the packets that are not there when they are to be heard, 0 to 1.
    pub loss: f64,
    /// Mean length of the runs of lost packets; 0 where there are none.
    pub run: f64,
    /// From mouth to ear, in milliseconds.
    pub delay: f64,
}

impl Impairment {
    /// R, 0 to 93.2.
    pub fn rating(&self, codec: Codec) -> f64 {
        let rating = UNIMPAIRED - delayed(self.delay) - self.equipment(codec);
        rating.clamp(0.0, UNIMPAIRED)
    }

    /// Ie-eff (G.107 §7.5). BurstR: the mean run by that of losses that fall at random.
    fn equipment(&self, codec: Codec) -> f64 {
        let (ie, bpl) = planned(codec);
        let percent = self.loss * 100.0;
        let burst = (self.run * (1.0 - self.loss)).max(1.0);
        ie + (95.0 - ie) * percent / (percent / burst + bpl)
    }
}

/// Ie and Bpl (G.113 appendix I). G.711 is taken to be without concealment, as in our recording and as is G.107's own
/// default; G.722, at least as good, likewise. Of others without published values the loss is taken to be concealed,
/// as their decoders do.
fn planned(codec: Codec) -> (f64, f64) {
    match codec {
        Codec::Pcmu | Codec::Pcma | Codec::G722 => (0.0, 4.3),
        Codec::G729 => (11.0, 19.0),
        Codec::Opus | Codec::Unknown => (0.0, 25.1),
    }
}

/// Idd (G.107 §7.4); the echo is taken to be cancelled.
fn delayed(ms: f64) -> f64 {
    if ms <= 100.0 {
        return 0.0;
    }
    let x = (ms / 100.0).log2();
    let sixth = |x: f64| (1.0 + x.powi(6)).powf(1.0 / 6.0);
    25.0 * (sixth(x) - 3.0 * sixth(x / 3.0) + 2.0)
}

impl Mos {
    /// G.107 annex B.
    pub fn of(rating: f64) -> Self {
        let r = rating.clamp(0.0, 100.0);
        let mos = 1.0 + 0.035 * r + r * (r - 60.0) * (100.0 - r) * 7e-6;
        Self((mos.max(1.0) * 100.0).round() as u16)
    }

    pub fn grade(self) -> Grade {
        if self >= Self::of(SATISFIED) {
            Grade::Good
        } else if self >= Self::of(DISSATISFIED) {
            Grade::Fair
        } else {
            Grade::Poor
        }
    }
}

impl std::fmt::Display for Mos {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "{}.{:02}", self.0 / 100, self.0 % 100)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Table B.1, which has 4.03 where its formula gives 4.024.
    #[test]
    fn rec_q_mos_is_that_of_g107_annex_b() {
        let published =
            [(93.2, 441), (90.0, 434), (80.0, 403), (70.0, 360), (60.0, 310), (50.0, 258)];
        for (rating, mos) in published {
            assert!(Mos::of(rating).0.abs_diff(mos) <= 1, "R {rating}: {}", Mos::of(rating));
        }
        assert_eq!((Mos::of(93.2), Mos::of(80.0)), (Mos(441), Mos(402)));
        assert_eq!((Mos::of(0.0), Mos::of(3.0), Mos::of(-5.0)), (Mos(100), Mos(100), Mos(100)));
        assert_eq!(Mos(403).to_string(), "4.03");
    }

    fn rating(codec: Codec, loss: f64, run: f64, delay: f64) -> f64 {
        let rating = Impairment { loss, run, delay }.rating(codec);
        (rating * 10.0).round() / 10.0
    }

    /// Worked by hand from the formulas, with the Ie and Bpl of G.113 appendix I.
    #[test]
    fn rec_q_loss_costs_what_g113_plans() {
        assert_eq!(rating(Codec::Pcma, 0.0, 0.0, 0.0), 93.2);
        assert_eq!(rating(Codec::Pcma, 0.01, 1.0, 0.0), 75.3);
        assert_eq!(rating(Codec::Pcmu, 0.05, 1.0, 0.0), 42.1);
        assert_eq!(rating(Codec::G729, 0.0, 0.0, 0.0), 82.2);
        assert_eq!(rating(Codec::G729, 0.02, 1.0, 0.0), 74.2);
        assert_eq!(rating(Codec::Opus, 0.05, 1.0, 0.0), 77.4);
        assert_eq!(rating(Codec::Pcma, 1.0, 9.0, 9000.0), 0.0, "never below nothing");
    }

    #[test]
    fn rec_q_losses_in_runs_are_worse_than_the_same_at_random() {
        let at_random = Impairment { loss: 0.02, run: 1.0 / 0.98, delay: 0.0 };
        let in_runs = Impairment { run: 4.0, ..at_random };
        assert!(at_random.rating(Codec::Pcma) - in_runs.rating(Codec::Pcma) > 8.0);
    }

    /// Nothing to 100 ms; below 70 at the 400 ms that G.114 sets as the limit.
    #[test]
    fn rec_q_delay_costs_what_g107_says() {
        let curve = [(100.0, 93.2), (200.0, 90.2), (300.0, 78.4), (400.0, 69.1)];
        for (delay, expected) in curve {
            assert_eq!(rating(Codec::Pcma, 0.0, 0.0, delay), expected, "{delay} ms");
        }
    }

    #[test]
    fn rec_q_the_mark_follows_the_users_of_annex_b() {
        let marks = [
            (93.2, Grade::Good),
            (80.0, Grade::Good),
            (79.0, Grade::Fair),
            (60.0, Grade::Fair),
            (59.0, Grade::Poor),
            (0.0, Grade::Poor),
        ];
        for (rating, grade) in marks {
            assert_eq!(Mos::of(rating).grade(), grade, "R {rating}");
        }
    }
}
