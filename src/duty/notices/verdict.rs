//! What a channel's answer means (escalation.md, "Wire formats").

use std::time::Duration;

/// What an adapter made of the answer, or of its absence. `why` is for the log and the page: a code
/// of ours or of the provider, never its text, an address, a secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// The provider has it, under this name of its own.
    Accepted { id: Option<String> },
    /// It was not taken. Not before `after` where the provider says so.
    Retry { after: Option<Duration>, why: String },
    /// It may have been taken: bytes were sent and no answer came.
    Unknown { why: String },
    /// It never will be, as it stands.
    Permanent { why: String },
    /// Nothing more is to be sent this way: the address is gone, or the key is refused.
    Gone { why: String },
}

/// How a try ended, as it is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    Accepted,
    Retry {
        after: Option<Duration>,
    },
    Unknown,
    Permanent,
    Gone,
    /// The daemon stopped, or nothing was heard for too long: at once again, and not counted.
    Lost,
}

impl Ending {
    pub fn name(self) -> &'static str {
        match self {
            Self::Accepted => "accepted",
            Self::Retry { .. } => "retry",
            Self::Unknown => "unknown",
            Self::Permanent => "permanent",
            Self::Gone => "gone",
            Self::Lost => "lost",
        }
    }

    /// `None`: there is no such name.
    pub fn from_name(name: &str, after: Option<Duration>) -> Option<Self> {
        Some(match name {
            "accepted" => Self::Accepted,
            "retry" => Self::Retry { after },
            "unknown" => Self::Unknown,
            "permanent" => Self::Permanent,
            "gone" => Self::Gone,
            "lost" => Self::Lost,
            _ => return None,
        })
    }
}

impl Verdict {
    pub fn ending(&self) -> Ending {
        match self {
            Self::Accepted { .. } => Ending::Accepted,
            Self::Retry { after, .. } => Ending::Retry { after: *after },
            Self::Unknown { .. } => Ending::Unknown,
            Self::Permanent { .. } => Ending::Permanent,
            Self::Gone { .. } => Ending::Gone,
        }
    }

    pub fn why(&self) -> &str {
        match self {
            Self::Accepted { .. } => "",
            Self::Retry { why, .. }
            | Self::Unknown { why }
            | Self::Permanent { why }
            | Self::Gone { why } => why,
        }
    }
}
