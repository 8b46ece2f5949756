//! What happened, as facts for the log; and the rules of an entry: urgency, completeness, states.

use super::escalation::Place;
use super::gaps::OutageKind;
use super::ids::{AttemptId, CallId, EntryId};
use super::placed::{Asker, Placed, Refusal};
use super::roster::Role;
use super::switchboard::Errand;
use crate::protocol::now::Now;
use crate::protocol::rtp::quality::Quality;
use crate::protocol::rtp::{Counts, Party};
use crate::protocol::sip::claims::{ClaimHeader, Claims, Diverted};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// Urgency of an entry (紧急程度, form 2.7(1)): 平, 急, 特急.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Urgency {
    /// 平
    #[default]
    Routine,
    /// 急
    Urgent,
    /// 特急
    Critical,
}

/// How a call on the duty line ended (通话, domain §4.3.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Disposition {
    /// 结束: it was answered.
    Answered,
    /// 漏接: nobody answered in time, or no phone could be reached.
    Missed,
    /// 对方挂断: the caller gave up while it rang.
    Abandoned,
    /// 他处接听: the PBX rang others too, and one of them has the call.
    Elsewhere,
    /// 占线未接: nobody was free to take it.
    BusyMissed,
    /// 拒接: every phone declined.
    Declined,
    /// 未接通: it could not be served (INVITE not understood, no codec in common).
    Failed,
    /// 中断: the daemon stopped or the PBX went away in the middle.
    Interrupted,
    /// 留言: nobody answered, and the caller left a message.
    Message,
    /// 录音自检: the daemon called itself.
    SelfTest,
}

impl Disposition {
    /// Whether the caller is to be called back (待回拨, domain §4.3.1).
    pub fn needs_callback(self) -> bool {
        match self {
            Self::Missed | Self::Abandoned | Self::BusyMissed | Self::Message => true,
            Self::Answered
            | Self::Elsewhere
            | Self::Declined
            | Self::Failed
            | Self::Interrupted
            | Self::SelfTest => false,
        }
    }
}

/// A stretch of a call that its entry shows with its times.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stretch {
    /// 接听前: caller and phone could hear each other before an officer answered.
    Early,
    /// 排队: we answered, and the caller waits for a free phone.
    Queued,
    /// 留言: greeting and message.
    Message,
    /// 保持: this party does not want to hear the other one.
    Hold(Party),
}

/// How a phone comes into a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Joining {
    /// 振铃
    Rung,
    /// 转接
    Transfer,
    /// 代接
    Pickup,
    /// 加入: a leader, beside the officer.
    Conference,
    /// 呼出: the number that we call, the far end of a call of ours.
    Out,
}

/// Something that happened, to be written down. Facts of one call are written in order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Fact {
    /// A call reached the duty line: its call row and its entry (I-1).
    Arrived(Box<Arrival>),
    /// The room calls somebody over the duty line: the call row and the entry of that.
    Placed(Box<Placed>),
    /// Somebody wanted to call a number and may not.
    NotPlaced {
        call: CallId,
        asker: Asker,
        number: String,
        why: Refusal,
    },
    /// An officer ended a call of ours on his page.
    GivenUp {
        call: CallId,
        asker: Asker,
    },
    /// A call was made for somebody to a number that counts for the day's cap.
    Dialled {
        call: CallId,
        number: String,
    },
    /// A phone of the ring plan is being rung.
    Rung {
        call: CallId,
        phone: String,
    },
    /// That phone did not take the call; `status` is its SIP answer (487: we gave up ringing it).
    NotTaken {
        call: CallId,
        phone: String,
        status: u16,
    },
    /// An officer took the call; of a call of ours, the far end did. Its recording begins.
    Answered {
        call: CallId,
        phone: String,
    },
    /// Another phone is to take the officer's place, or takes the call by itself; `Answered`,
    /// `Joined` or `NotTaken` follows.
    Joining {
        call: CallId,
        phone: String,
        how: Joining,
    },
    /// It speaks with the caller from now on.
    Joined {
        call: CallId,
        phone: String,
    },
    /// This phone, which spoke with the caller, no longer does; the call goes on.
    Left {
        call: CallId,
        phone: String,
    },
    /// A stretch of the call begins; its recording has begun at the latest now. Officer's answer and
    /// end of the call end every stretch but a hold; the end of the call ends that too.
    Began {
        call: CallId,
        stretch: Stretch,
    },
    Over {
        call: CallId,
        stretch: Stretch,
    },
    /// The call lasts suspiciously long: somebody ought to look whether it is one.
    LongCall {
        call: CallId,
    },
    /// What the caller sends is the tone of a fax machine.
    FaxHeard {
        call: CallId,
    },
    /// The call is over. `by` is who hung up, where somebody did; `status` the SIP status that the
    /// caller got, 200 for an answered call; `why` in plain English, for the log.
    Ended {
        call: CallId,
        disposition: Disposition,
        by: Option<Party>,
        status: u16,
        why: String,
    },
    /// What a party's voice channel carried, and how the party was heard, where it was.
    Carried {
        call: CallId,
        party: Party,
        counts: Counts,
        #[serde(default)]
        quality: Option<Quality>,
    },
    /// A leg was refused because it was not encrypted as its policy demands, or in no way we can.
    NotSecret {
        call: CallId,
        why: String,
    },
    /// A leg was refused because it wanted its voice where, by the word of the site, none may be (reliability.md T6).
    Misplaced {
        call: CallId,
        place: String,
    },
    /// What a party sends is encrypted with a key that is not the agreed one: nobody hears it.
    Undecryptable {
        call: CallId,
        party: Party,
    },
    /// Voice came from another place than this party named (reliability.md T11): `taken` up as its own, or heard by nobody.
    Elsewhere {
        call: CallId,
        party: Party,
        from: String,
        taken: bool,
    },
    /// Somebody who is neither PBX nor phone sent a message that names this call, as if to end or change it; it had no
    /// effect (reliability.md T6).
    Forged {
        call: CallId,
        from: String,
        method: String,
    },
    /// The officer pressed `*9` on the phone: 急.
    Flagged {
        entry: EntryId,
        urgency: Urgency,
        phone: String,
    },
    /// A call to somebody was ordered while the log could not be written.
    AttemptMade(Box<Made>),
    /// It was to be told of in another call, and is told of in this one from now on; `None`: in a
    /// call of its own.
    AttemptMoved {
        attempt: AttemptId,
        into: Option<AttemptId>,
    },
    /// The call of this attempt is an exercise: what comes of it is not counted.
    Exercise {
        attempt: AttemptId,
    },
    /// The leader's phone rings: 180.
    AttemptRinging {
        attempt: AttemptId,
    },
    /// Something at the other end answers, a tone or an announcement (183): whether a phone rings nobody knows.
    AttemptProgress {
        attempt: AttemptId,
    },
    /// The trunk, which does not tell of an answer, has dialled. Its recording begins.
    AttemptDialled {
        attempt: AttemptId,
    },
    /// It was answered by something or somebody. Its recording begins at the latest now.
    AttemptAnswered {
        attempt: AttemptId,
    },
    /// A key other than the acknowledging one.
    AttemptKey {
        attempt: AttemptId,
        key: char,
    },
    /// Key 1: a human knows. The switchboard speaks the confirmation after the commit only.
    Acknowledged {
        attempt: AttemptId,
        entry: EntryId,
    },
    /// Key 3 (不便，转替班): somebody else is to be called in his place.
    HandedOn {
        attempt: AttemptId,
        entry: EntryId,
    },
    /// He listened to so much of the caller's recording.
    AttemptHeard {
        attempt: AttemptId,
        lasts: Duration,
    },
    /// He speaks with caller and officer from now on (key 6).
    AttemptTalks {
        attempt: AttemptId,
    },
    /// He dictated an instruction (批示) from then until now: it is on the tape of his call.
    Dictated {
        attempt: AttemptId,
        entry: EntryId,
        since: Now,
    },
    /// Nothing was ever heard of whoever answered.
    AttemptMute {
        attempt: AttemptId,
    },
    AttemptEnded {
        attempt: AttemptId,
        result: AttemptResult,
        status: u16,
    },
    /// The line was registered, or lost with the reason.
    LineUp,
    LineDown {
        status: u16,
        why: String,
        /// When the PBX was heard last.
        #[serde(default)]
        since: Option<DateTime<Utc>>,
    },
    /// The same of a duty number beside the line's own.
    NumberUp {
        number: String,
    },
    NumberDown {
        number: String,
        status: u16,
        why: String,
        #[serde(default)]
        since: Option<DateTime<Utc>>,
    },
    /// So many new calls came too fast from this address of the PBX since the fact before, and got
    /// 503 without a row of their own; `over` when no more come.
    TurnedAway {
        source: String,
        calls: u64,
        over: bool,
    },
    /// So many attempts to register or call as a phone of ours came to nothing from this address
    /// since the fact before; `over` when no more come.
    Intruded {
        source: String,
        attempts: u64,
        over: bool,
    },
    /// Nobody served the line from then until now: what an earlier run left open was over then.
    Away {
        since: DateTime<Utc>,
        why: String,
    },
    /// Something beside the line has not worked from then on.
    OutageBegan {
        kind: OutageKind,
        since: DateTime<Utc>,
        why: String,
    },
    OutageOver {
        kind: OutageKind,
    },
    /// The clock was set: what it would have said, and what it said.
    ClockStepped {
        from: DateTime<Utc>,
        to: DateTime<Utc>,
    },
    /// The line uses this address of the PBX now; `preferred` when it is the first of the list.
    LineMoved {
        to: String,
        preferred: bool,
    },
    /// It would go there, and its REGISTER is refused.
    LineNotMoved {
        to: String,
        status: u16,
        why: String,
    },
}

impl Fact {
    /// A telephone or a leader waits until it is written; the rest is what was, and may be written
    /// a moment later.
    pub fn is_awaited(&self) -> bool {
        !matches!(
            self,
            Self::Rung { .. }
                | Self::NotTaken { .. }
                | Self::Answered { .. }
                | Self::Joining { .. }
                | Self::Joined { .. }
                | Self::Left { .. }
                | Self::Began { .. }
                | Self::Over { .. }
                | Self::Carried { .. }
                | Self::Ended { .. }
                | Self::Exercise { .. }
                | Self::AttemptRinging { .. }
                | Self::AttemptProgress { .. }
                | Self::AttemptDialled { .. }
                | Self::AttemptAnswered { .. }
        )
    }
}

/// A call in an urgent matter, as its row says it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Made {
    pub attempt: AttemptId,
    pub entry: EntryId,
    pub round: u32,
    pub place: Option<Place>,
    pub role: Role,
    pub person: String,
    pub number: String,
    pub errand: Errand,
    pub why: String,
    #[serde(default)]
    pub joins: Option<AttemptId>,
}

/// Which header value the shown number was taken from: its place among [`Arrival::claims`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Chosen {
    pub header: ClaimHeader,
    pub place: usize,
}

/// What is known of a call when it arrives. Every text is a claim of the caller's side.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Arrival {
    pub call: CallId,
    pub sip_call_id: String,
    /// The number shown to the officer. Empty: no caller number.
    pub caller: String,
    /// The form in which it is compared, counted and searched. Empty: nothing to compare.
    pub plain: String,
    pub display: String,
    /// Where `caller` stands.
    pub chosen: Chosen,
    /// The PBX vouches for the number; without, it is what the caller's side says.
    pub vouched: bool,
    /// The caller wants not to be named.
    pub private: bool,
    /// Who had the call before it came to us, the first first.
    pub diverted: Vec<Diverted>,
    /// The unit that the number belongs to by its first digits, and the town by its area code.
    pub unit: String,
    pub town: String,
    /// By rule, because of what the INVITE says of its priority.
    pub urgency: Option<Urgency>,
    /// Every header that says who calls, as it came.
    pub claims: Claims,
    /// The number that was dialled.
    pub callee: String,
    /// The name of the duty number that was called, where that is not the line's own.
    #[serde(default)]
    pub called: String,
    pub source: String,
    /// Why the INVITE could not be understood, where it could not.
    pub fault: Option<String>,
    /// The daemon calls itself.
    #[serde(default)]
    pub test: bool,
}

/// What became of one attempt to reach a person (domain §4.3.5).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AttemptResult {
    /// 按键确认
    Acknowledged,
    /// 接听未确认: answered, no valid key.
    AnsweredNoKey,
    /// 忙 (486, 600)
    Busy,
    /// 拒接 (603)
    Declined,
    /// 无人接 (408, 480, our ring time)
    NoAnswer,
    /// 关机/空号: the number cannot be reached at all (404, 410, 484, 488)
    Unreachable,
    /// 通道故障: our side or the PBX (401, 403, 5xx, no reply)
    ChannelFailed,
    /// 取消: acknowledged elsewhere, or withdrawn
    Cancelled,
    /// 中断: the daemon stopped meanwhile
    Interrupted,
    /// 不便，转替班: key 3
    HandedOn,
    /// 口令错误: three wrong PINs
    WrongPin,
}

/// A fact with its moment and its place in the order of the switchboard's facts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Noted {
    pub at: Now,
    pub fact: Fact,
}
