//! The duty line as configured: who is rung, when, and what becomes of a caller whom nobody takes.

use super::call::arrival::CallerRules;
use super::dial_plan::DialPlan;
use crate::protocol::places::Places;
use crate::protocol::sdp::Policy;
use crate::protocol::sip::{Account, AorId, phones};
use serde::{Deserialize, Serialize};
use std::net::IpAddr;
use std::time::Duration;

/// The duty line, as configured.
#[derive(Debug, Clone)]
pub struct LinePlan {
    pub account: Account,
    /// Whether 200 means that somebody has answered. An analogue line behind a gateway (FXO) says so as soon as it has
    /// dialled, and tells by a tone alone that the far end is gone.
    pub answer_supervision: bool,
    /// A telephone that has agreed on no other way presses keys as tones in its voice.
    pub keys_in_voice: bool,
    /// Address in our session descriptions.
    pub media_address: IpAddr,
    /// Where parties may be heard, beside where they say; all of them may say so where it is empty.
    pub places: Places,
    /// RTP port of each channel, in the order of [`crate::protocol::rtp::Channel`].
    pub rtp_ports: Vec<u16>,
    /// Officers' phones in the order of the ring plan.
    pub phones: Vec<Phone>,
    /// Which of them ring for the line's own number, by place; none: all.
    pub rings: Option<Vec<usize>>,
    /// Duty numbers beside the line's own, in the order of the account's addresses-of-record.
    pub numbers: Vec<DutyNumber>,
    /// Channels kept free for calls to leaders: incoming calls never take them.
    pub reserved_channels: usize,
    /// How long a call may wait for its entry to be committed before it rings all the same.
    pub entry_budget: Duration,
    /// How callers are known.
    pub callers: CallerRules,
    /// How long calls may go on when the daemon is told to stop.
    pub finish: Duration,
    pub answering: Answering,
    pub srtp: SrtpPlan,
    /// Whom an officer may call, and his phone hand a call to.
    pub dial: DialPlan,
    /// Phones that may register with us and call out; none: nobody may.
    pub registrar: Option<phones::Plan>,
    /// The number from which the daemon calls itself (录音自检); none: it does not.
    pub self_test: Option<String>,
}

impl LinePlan {
    /// What becomes of callers of this number.
    pub fn answering_of(&self, aor: AorId) -> &Answering {
        self.number(aor).map_or(&self.answering, |number| &number.answering)
    }

    /// The places of the phones that ring for it, in order.
    pub fn rings_of(&self, aor: AorId) -> Vec<usize> {
        match (self.number(aor), &self.rings) {
            (Some(number), _) => number.rings.iter().map(|ring| ring.place).collect(),
            (None, Some(places)) => places.clone(),
            (None, None) => (0..self.phones.len()).collect(),
        }
    }

    /// When the phone at this place begins to ring for it; none where it does not.
    pub fn begins(&self, aor: AorId, place: usize) -> Option<Begins> {
        match (self.number(aor), &self.rings) {
            (Some(number), _) => {
                number.rings.iter().find(|ring| ring.place == place).map(|ring| ring.begins)
            }
            (None, Some(places)) if !places.contains(&place) => None,
            (None, _) => self.phones.get(place).map(|phone| phone.begins),
        }
    }

    /// A number beside the line's own.
    pub fn number(&self, aor: AorId) -> Option<&DutyNumber> {
        self.numbers.get(usize::from(aor.0).checked_sub(1)?)
    }

    /// Whether `one` and `other` ring the same phone.
    pub fn share_a_phone(&self, one: AorId, other: AorId) -> bool {
        let rings = |aor, place| self.begins(aor, place).is_some();
        one == other || (0..self.phones.len()).any(|place| rings(one, place) && rings(other, place))
    }

    /// Whether whoever dials this reaches us.
    pub fn is_ours(&self, dialled: &str) -> bool {
        let account = &self.account;
        account.aors().any(|aor| account.user_of(aor) == dialled)
            || self.numbers.iter().any(|number| number.number == dialled)
    }
}

/// A duty number beside the line's own, at the same PBX.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DutyNumber {
    /// What people dial; shown.
    pub number: String,
    /// Such as 举报专线.
    pub name: String,
    pub rings: Vec<Ring>,
    pub answering: Answering,
}

/// A phone in the ring plan of a number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ring {
    /// Its place among the phones.
    pub place: usize,
    pub begins: Begins,
}

/// Which legs are encrypted (RFC 4568).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SrtpPlan {
    /// The callers' legs, and those of phones that have no policy of their own.
    pub line: Policy,
    pub leaders: Policy,
}

/// An officer's phone in the ring plan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Phone {
    /// Shown in the log, such as 值班台话机.
    pub name: String,
    /// User part or `sip:` URI.
    pub target: String,
    pub ring: Duration,
    pub begins: Begins,
    /// Whether its leg is encrypted; none: as the line's.
    pub srtp: Option<Policy>,
}

/// When a phone of the ring plan begins to ring.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Begins {
    /// When no phone before it rings any more.
    #[default]
    InTurn,
    /// So long after the ringing began, whatever the others do; at once where nothing rings.
    After(Duration),
}

/// What becomes of callers when no officer takes the call, or nobody says anything any more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answering {
    /// Callers who may wait while every phone is busy; none: they get 486 (占线未接).
    pub queue: Option<QueuePlan>,
    /// The last resort; none: 480 when the ring plan is over.
    pub message: Option<MessagePlan>,
    pub silence: SilencePlan,
    /// A call that lasts so long is an alarm.
    pub long_call: Duration,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct QueuePlan {
    pub places: usize,
    pub longest: Duration,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MessagePlan {
    /// How long the phones ring until the caller is asked to leave a message.
    pub after: Duration,
    pub longest: Duration,
}

/// How long an answered call goes on without a packet; none: for ever.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SilencePlan {
    pub both: Option<Duration>,
    /// One of the two sends nothing, and said nothing of it: a phone may do so while it is muted.
    pub one: Option<Duration>,
}

impl Default for Answering {
    fn default() -> Self {
        let silence = SilencePlan {
            both: Some(Duration::from_secs(60)),
            one: Some(Duration::from_secs(180)),
        };
        Self { queue: None, message: None, silence, long_call: Duration::from_secs(8 * 3600) }
    }
}
