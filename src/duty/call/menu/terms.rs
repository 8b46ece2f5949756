//! Who is called, what he may press, and what that asks of the call.

use crate::duty::pin::Pin;
use crate::protocol::now::Mono;
use crate::protocol::rtp::Prompt;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// What the menu asks of its call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    Play(Prompt),
    /// Over and over, with a pause between.
    Repeat(Prompt),
    Silence,
    /// Key 1 was pressed: to be committed, and answered by `handle_committed`.
    Acknowledge,
    /// Key 3 was pressed: the same.
    HandOn,
    /// Key 5 or 6 was pressed: `handle_stays` follows where there is nobody to talk to; where there is, nothing does.
    Leave(char),
    /// Key 2 was pressed: `handle_sound` follows.
    Fetch,
    /// What was fetched is to be played.
    Hear,
    /// He listened to so much of it.
    Heard(Duration),
    /// He dictated from then until now: to be committed as key 1 is.
    Dictated {
        since: Mono,
    },
    /// Another key was pressed.
    Key(char),
    HangUp,
}

/// Who is called, and what he may press.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Terms {
    /// What is said until a key is pressed.
    pub sentence: Prompt,
    pub pin: Option<Pin>,
    /// Only key 1 means something.
    pub plain: bool,
}

impl From<Prompt> for Terms {
    fn from(sentence: Prompt) -> Self {
        Self { sentence, pin: None, plain: false }
    }
}
