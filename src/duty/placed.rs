//! A call that the room makes over the duty line (呼出): who asks for it, whom it is for, and why it
//! may not be.

use super::dial_plan::Denial;
use super::ids::{CallId, EntryId};
use serde::{Deserialize, Serialize};

/// Who asks for a call.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Asker {
    /// The officer, or his phone where it asks by itself.
    pub name: String,
    /// The account of who has signed in.
    pub person: Option<i64>,
    /// The address that the wish came from.
    pub terminal: String,
}

/// An officer's wish on his page: his phone is rung first. Whoever makes it gives the call its name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DialOrder {
    pub call: CallId,
    pub asker: Asker,
    /// As somebody wrote it.
    pub number: String,
    /// Whose it is, as far as the page knows. May be empty.
    pub name: String,
    /// The officer's phone, by its name in the ring plan.
    pub phone: String,
    /// The entry that it is about.
    pub about: Option<EntryId>,
}

/// What is known of a call of ours when it begins.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Placed {
    pub call: CallId,
    pub asker: Asker,
    /// The officer's phone.
    pub phone: String,
    /// The number in the form in which it is compared and searched, and as it is dialled.
    pub number: String,
    pub dialled: String,
    /// The unit that the number belongs to by its first digits, and the town by its area code.
    pub unit: String,
    pub town: String,
    pub about: Option<EntryId>,
}

/// Why a call of ours is not made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Refusal {
    /// What was written is no number.
    NoNumber,
    /// The duty line, or the very phone that asks.
    Ourselves,
    /// The site does not name it (`dial.allow`).
    NotNamed,
    /// The day's calls are used up (`dial.per_day`).
    TooMany,
    /// There is no such phone in the ring plan.
    NoPhone,
    /// No voice channel is free.
    NoChannel,
    /// The daemon stops.
    Stopping,
}

impl Refusal {
    /// What a phone that asked by itself is told.
    pub fn status(self) -> u16 {
        match self {
            Self::NoNumber => 484,
            Self::Ourselves => 482,
            Self::NotNamed | Self::TooMany => 403,
            Self::NoPhone => 404,
            Self::NoChannel | Self::Stopping => 503,
        }
    }
}

impl From<Denial> for Refusal {
    fn from(denial: Denial) -> Self {
        match denial {
            Denial::NotNamed => Self::NotNamed,
            Denial::TooMany => Self::TooMany,
        }
    }
}
