//! Names of things, end to end: log field, URL, file name, primary key.

use crate::protocol::now::Now;
use crate::protocol::random::Random;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;
use uuid::{Builder, Uuid};

macro_rules! id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub Uuid);

        impl $name {
            /// A new name that sorts by the moment it was given (UUID version 7, RFC 9562).
            pub fn new(now: Now, random: &mut Random) -> Self {
                let millis = u64::try_from(now.wall.timestamp_millis()).unwrap_or(0);
                Self(Builder::from_unix_timestamp_millis(millis, &random.bytes()).into_uuid())
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(out)
            }
        }

        impl FromStr for $name {
            type Err = uuid::Error;
            fn from_str(text: &str) -> Result<Self, Self::Err> {
                Uuid::from_str(text).map(Self)
            }
        }
    };
}

id!(/// An entry of the log (值班记录, domain §4.3.2).
    EntryId);
id!(/// A call (通话, domain §4.3.1), its tape and its recording. A call that arrives gives its name
    /// to its entry.
    CallId);
id!(/// An escalation (紧急呈报, domain §4.3.5).
    EscalationId);
id!(/// One attempt to reach one person in an escalation; the call it makes has the same name.
    AttemptId);

id!(/// What one quiet channel is to be told in an escalation; stays the same over all its tries, so
    /// that whoever gets it twice can tell.
    DeliveryId);

impl From<CallId> for EntryId {
    fn from(call: CallId) -> Self {
        EntryId(call.0)
    }
}

impl From<AttemptId> for CallId {
    fn from(attempt: AttemptId) -> Self {
        CallId(attempt.0)
    }
}
