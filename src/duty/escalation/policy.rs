//! The ladders as data (escalation.md, "The ladders and the keys").

use crate::duty::journal::Urgency;
use crate::duty::roster::Role;
use serde::{Deserialize, Serialize};
use std::time::Duration;

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Policy {
    /// 急
    pub urgent: Ladder,
    /// 特急
    pub critical: Ladder,
    /// How long a repeated call rings.
    pub ring: Duration,
    /// The duty leader is called again so long after his last call began, until he himself is
    /// reached.
    pub redial_leader: Duration,
    /// After busy (486, 600).
    pub busy_retry: Duration,
    /// After somebody, or something, answered and pressed no key.
    pub no_key_redial: Duration,
    /// After a fault of the line or the PBX; doubles up to `redial_leader`.
    pub channel_retry: Duration,
    /// An attempt that has not been heard of for so long is lost: it is made again.
    pub lease: Duration,
    /// What follows on an acknowledgement; `None`: nothing.
    pub after: Option<After>,
}

/// What follows on an acknowledgement until the matter is known and an instruction confirmed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct After {
    /// Whoever has acknowledged and not looked at it is called so long after, each in turn.
    pub remind: Vec<Duration>,
    /// Not looked at by then, it is raised again.
    pub raise_again: Duration,
    /// The desk rings when an instruction was not confirmed for so long, again and again.
    pub confirm: Duration,
}

impl Default for After {
    fn default() -> Self {
        Self {
            remind: vec![seconds(300), seconds(600)],
            raise_again: seconds(900),
            confirm: seconds(120),
        }
    }
}

/// Tiers, one after the other. When all have been tried, the siren sounds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ladder {
    pub tiers: Vec<Tier>,
    /// The ladder begins again so long after it began, or when all have been tried, whichever is
    /// later.
    pub round: Duration,
}

/// The calls to one person.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tier {
    pub role: Role,
    pub calls: Vec<Call>,
    /// The next tier begins so long after this one; at once when its person cannot be reached at
    /// all or declines.
    pub lasts: Duration,
    /// Until then he is called again so long after each unanswered call.
    pub repeat: Option<Duration>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Call {
    /// After the beginning of the tier.
    pub after: Duration,
    pub line: Line,
    pub ring: Duration,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Line {
    /// 手机
    Mobile,
    /// 办公电话
    Office,
}

const fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

impl Policy {
    pub fn ladder(&self, urgency: Urgency) -> &Ladder {
        match urgency {
            Urgency::Critical => &self.critical,
            Urgency::Urgent | Urgency::Routine => &self.urgent,
        }
    }
}

impl Default for Policy {
    fn default() -> Self {
        let ring = seconds(35);
        let mobile = |after| Call { after: seconds(after), line: Line::Mobile, ring };
        // Rings no longer than to the next call of the same person.
        let office = Call { after: seconds(45), line: Line::Office, ring: seconds(28) };
        let leader = Tier {
            role: Role::Leader,
            calls: vec![mobile(0), office, mobile(75)],
            lasts: seconds(110),
            repeat: None,
        };
        let once = |role| Tier { role, calls: vec![mobile(0)], lasts: ring, repeat: None };
        let window = |role| Tier {
            role,
            calls: vec![mobile(0)],
            lasts: seconds(180),
            repeat: Some(seconds(20)),
        };
        let critical =
            vec![leader, once(Role::Substitute), once(Role::OfficeDirector), once(Role::Head)];
        let urgent = vec![window(Role::Leader), window(Role::Substitute), window(Role::Head)];
        Self {
            urgent: Ladder { tiers: urgent, round: seconds(600) },
            critical: Ladder { tiers: critical, round: seconds(60) },
            ring,
            redial_leader: seconds(60),
            busy_retry: seconds(20),
            no_key_redial: seconds(15),
            channel_retry: seconds(5),
            lease: seconds(180),
            after: Some(After::default()),
        }
    }
}
