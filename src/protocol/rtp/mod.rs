//! RTP (RFC 3550) and what is carried in it. The room's face to its owner: what the relay is
//! told and what it reports. Knows channels and tracks by number; knows no call and no socket.

pub mod codec;
pub mod decimate;
pub mod dtmf;
pub mod ear;
pub mod g711;
pub mod g722;
pub mod gate;
pub mod libopus;
pub mod live;
pub mod mixer;
pub mod narrow;
pub mod packet;
pub mod pressing;
pub mod quality;
pub mod relay;
pub mod rtcp;
pub mod seam;
pub mod sound;
pub mod source;
pub mod srtp;
pub mod stream;
pub mod telephone_event;
pub mod timeline;
pub mod tones;

pub use codec::Codec;
pub use stream::Stream;
pub use tones::{Tone, Wanted};

use crate::protocol::now::Mono;
use quality::Measured;
use seam::Mark;
use serde::{Deserialize, Serialize};
use std::net::SocketAddr;
use std::sync::Arc;
use uuid::Uuid;

/// One RTP port of ours, lent to one party at a time: an index into the ports bound at start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Channel(pub u16);

/// Whose voice a packet carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[repr(u8)]
pub enum Party {
    Caller = 0,
    Officer = 1,
    Leader = 2,
    Prompt = 3,
}

impl Party {
    /// The side of a recording: the far end is left, which is the caller, or the leader where nobody called.
    pub fn is_left(self, there_is_a_caller: bool) -> bool {
        match self {
            Self::Caller => true,
            Self::Leader => !there_is_a_caller,
            Self::Officer | Self::Prompt => false,
        }
    }
}

/// A prompt of the set that was loaded at start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Prompt(pub u8);

/// Something to be heard that is no prompt: 8 kHz samples.
#[derive(Clone, PartialEq, Eq)]
pub struct Sound(pub Arc<[i16]>);

impl std::fmt::Debug for Sound {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Sound({} samples)", self.0.len())
    }
}

/// What the relay is told. A command that names a closed channel has no effect.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// Lends `channel` to `party` of the call whose tape is `call`. Its packets are taped from
    /// now on.
    Open {
        channel: Channel,
        call: Uuid,
        party: Party,
        stream: Stream,
    },
    /// The party moved or changed its mind (re-INVITE).
    Change {
        channel: Channel,
        stream: Stream,
    },
    /// The party has offered again what it had offered before.
    Refresh {
        channel: Channel,
    },
    /// Tones of this kind are reported when they are heard of the party.
    Listen {
        channel: Channel,
        wanted: Wanted,
    },
    /// The two parties hear each other.
    Join {
        a: Channel,
        b: Channel,
    },
    /// The three hear each other, each the two others. From now on the packets of all are taped with this call.
    Confer {
        call: Uuid,
        seats: [Channel; 3],
    },
    /// The party goes over to another call, with which its packets are taped from now on.
    PassOn {
        channel: Channel,
        call: Uuid,
        party: Party,
    },
    /// Plays a prompt to the party, over and over when `repeat`; replaces what was playing. Taped
    /// as [`Party::Prompt`].
    Play {
        channel: Channel,
        prompt: Prompt,
        repeat: bool,
    },
    /// Plays this once, as a prompt of that name is played.
    Speak {
        channel: Channel,
        sound: Sound,
        name: Prompt,
    },
    /// Silences the prompt.
    Stop {
        channel: Channel,
    },
    /// Says a key to the party as if it were pressed by whom it talks to (RFC 4733), where it takes keys that way.
    Press {
        channel: Channel,
        key: char,
    },
    /// What is sent to the party goes on where an earlier run stood.
    Resume {
        channel: Channel,
        mark: Mark,
    },
    Close {
        channel: Channel,
    },
    /// No more packets of this call: its tape is sealed and its recording rendered.
    Finish {
        call: Uuid,
    },
}

/// What the relay reports.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// A key was pressed (RFC 4733, or as a tone where that is listened for); each press once.
    Digit { channel: Channel, digit: char },
    /// A prompt that does not repeat was played to its end.
    Played { channel: Channel, prompt: Prompt },
    /// A tone was heard of a party that is listened to; it began then.
    Tone { channel: Channel, tone: Tone, since: Mono },
    /// The first packet of a party since `Open` or `Quiet`.
    Heard { channel: Channel },
    /// Nothing has come from the party for a few seconds; the last packet, or `Open`, was then.
    Quiet { channel: Channel, since: Mono },
    /// The party sends what its key does not open, or none that was agreed on; once since `Open` or `Change`.
    Undecryptable { channel: Channel },
    /// The party speaks from another port than it named, and is heard from there from now on; or what comes from there,
    /// a second's voice by now, is nobody's (reliability.md T11). Each once for each place that the party names.
    Elsewhere { channel: Channel, from: SocketAddr, taken: bool },
    /// What was counted since the channel was opened; every few seconds while the party speaks.
    Measured { channel: Channel, measured: Measured },
    /// Where the numbers of what is sent to the party stand; now and then.
    Marked { channel: Channel, mark: Mark },
    /// The channel was closed; what it carried.
    Closed { channel: Channel, counts: Counts, measured: Measured },
}

/// What one channel carried since it was opened.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    pub received: u64,
    pub sent: u64,
    /// Gaps in the sequence numbers (RFC 3550 §A.3).
    pub lost: u64,
    /// Dropped: wrong source, wrong payload type, not RTP, another's stream, too fast.
    pub strangers: u64,
    /// Packets the tape's ring had no room for.
    pub untaped: u64,
}

impl Counts {
    /// Of two channels together.
    pub fn and(&self, other: &Self) -> Self {
        Self {
            received: self.received + other.received,
            sent: self.sent + other.sent,
            lost: self.lost + other.lost,
            strangers: self.strangers + other.strangers,
            untaped: self.untaped + other.untaped,
        }
    }
}
