//! A phone being rung, what the phones of the ring plan said, and what the caller is told when none
//! took the call.

use crate::duty::journal::Disposition;
use crate::protocol::now::Mono;
use crate::protocol::rtp::Channel;
use crate::protocol::sdp::Local;
use crate::protocol::sip::LegId;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// Seconds after which the PBX may try us again; until then it serves the caller itself.
pub const RETRY_AFTER: u32 = 5;

/// One phone that is being rung.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Ring {
    pub leg: LegId,
    /// Its place in the ring plan, and its name and ring time there.
    pub phone: usize,
    pub name: String,
    pub time: Duration,
    /// None: the next phone needed it.
    pub channel: Option<Channel>,
    pub local: Local,
    pub started: Mono,
    /// When its ringing is given up.
    pub until: Mono,
    /// The PBX has said something.
    pub replied: bool,
    /// The phone has said that it rings.
    pub rang: bool,
    /// The description in a 18x: the answer where the 200 has none.
    pub early: Option<Vec<u8>>,
}

/// Why one phone did not take the call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum NotTaken {
    /// It rang, and nobody came.
    NoAnswer,
    Busy,
    Declined,
    /// It understands neither codec of the caller.
    NoCodec,
    /// The PBX answers that it is not there.
    Absent,
    Unreachable,
}

impl NotTaken {
    /// `rang`: the phone had said that it rings.
    pub fn from_status(status: u16, rang: bool) -> Self {
        match status {
            486 | 600 => NotTaken::Busy,
            603 | 607 | 608 => NotTaken::Declined,
            415 | 488 | 606 => NotTaken::NoCodec,
            408 | 480 | 487 if rang => NotTaken::NoAnswer,
            404 | 410 | 480 => NotTaken::Absent,
            _ => NotTaken::Unreachable,
        }
    }
}

/// How a call ends that nobody took.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Verdict {
    pub disposition: Disposition,
    pub status: u16,
    pub retry_after: Option<u32>,
    pub why: &'static str,
}

/// Every phone is busy, and there is no place to wait.
pub const BUSY: Verdict = Verdict {
    disposition: Disposition::BusyMissed,
    status: 486,
    retry_after: None,
    why: "every phone was busy",
};

/// Every phone is off or has lost its registration.
pub const ABSENT: &str = "no phone is at the PBX";
/// Nobody says why.
pub const UNREACHED: &str = "no phone could be reached";

/// The most human reason there was: somebody may be asked again, a dead phone may not. Where no
/// phone could be reached at all the caller gets 503, so that the PBX rings them itself; that is of no use where it has said
/// that they are not there.
pub fn verdict(phones: &[NotTaken]) -> Verdict {
    let any = |wanted| phones.contains(&wanted);
    let (disposition, status, why) = if any(NotTaken::NoAnswer) {
        (Disposition::Missed, 480, "nobody answered")
    } else if any(NotTaken::Busy) {
        return BUSY;
    } else if any(NotTaken::Declined) {
        (Disposition::Declined, 603, "declined")
    } else if any(NotTaken::NoCodec) && !any(NotTaken::Unreachable) && !any(NotTaken::Absent) {
        (Disposition::Failed, 488, "no phone understands the caller's codecs")
    } else if !phones.is_empty() && phones.iter().all(|phone| *phone == NotTaken::Absent) {
        (Disposition::Missed, 480, ABSENT)
    } else {
        (Disposition::Missed, 503, UNREACHED)
    };
    let retry_after = (status == 503).then_some(RETRY_AFTER);
    Verdict { disposition, status, retry_after, why }
}

#[cfg(test)]
mod tests {
    use super::*;
    use NotTaken::{Absent, Busy, Declined, NoAnswer, NoCodec, Unreachable};

    #[test]
    fn sig_09_every_mix_of_refusals_has_one_answer() {
        let cases: [(&[NotTaken], Disposition, u16); 12] = [
            (&[NoAnswer], Disposition::Missed, 480),
            (&[Busy, NoAnswer, Unreachable], Disposition::Missed, 480),
            (&[Busy], Disposition::BusyMissed, 486),
            (&[Declined, Busy], Disposition::BusyMissed, 486),
            (&[Declined, Declined], Disposition::Declined, 603),
            (&[Unreachable, Declined], Disposition::Declined, 603),
            (&[NoCodec], Disposition::Failed, 488),
            (&[NoCodec, Unreachable], Disposition::Missed, 503),
            (&[NoCodec, Absent], Disposition::Missed, 503),
            (&[Absent, Absent], Disposition::Missed, 480),
            (&[Absent, Unreachable], Disposition::Missed, 503),
            (&[], Disposition::Missed, 503),
        ];
        for (phones, disposition, status) in cases {
            let verdict = verdict(phones);
            assert_eq!((verdict.disposition, verdict.status), (disposition, status), "{phones:?}");
            assert_eq!(verdict.retry_after.is_some(), status == 503);
        }
    }

    #[test]
    fn a_phone_that_never_rang_was_not_unanswered_but_unreachable() {
        assert_eq!(NotTaken::from_status(480, true), NoAnswer);
        assert_eq!(NotTaken::from_status(480, false), Absent);
        assert_eq!(NotTaken::from_status(404, false), Absent);
        assert_eq!(NotTaken::from_status(408, false), Unreachable);
        assert_eq!(NotTaken::from_status(503, true), Unreachable);
        assert_eq!(NotTaken::from_status(486, true), Busy);
    }
}
