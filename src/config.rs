//! The configuration file, checked once, with every fault named at its line.

use crate::duty::escalation::Policy;
use crate::duty::roster::Roster;
use crate::duty::switchboard::Phone;
use crate::protocol::sip::Transport;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

/// What the daemon needs to know, checked: every value can be used as it stands.
#[derive(Debug, Clone)]
pub struct Config {
    pub line: Line,
    pub phones: Vec<Phone>,
    pub media: Media,
    pub storage: Storage,
    pub web: Web,
    pub contacts: Vec<Contact>,
    pub roster: Roster,
    pub policy: Policy,
}

/// The duty line at the PBX.
#[derive(Debug, Clone)]
pub struct Line {
    /// The number people dial, shown on the page.
    pub number: String,
    /// Shown on the page, such as 市政务服务中心值班室.
    pub room: String,
    pub pbx: SocketAddr,
    pub transport: Transport,
    pub domain: String,
    pub user: String,
    pub auth_user: String,
    pub password: String,
    pub realm: Option<String>,
    /// Where SIP is listened to, UDP and TCP.
    pub listen: SocketAddr,
    /// The address written into our messages; `listen`'s where that is a real one.
    pub advertise: IpAddr,
    /// Wanted registration in seconds.
    pub expires: u32,
    pub trusted: Vec<IpAddr>,
}

#[derive(Debug, Clone)]
pub struct Media {
    pub listen: IpAddr,
    pub first_port: u16,
    /// How many RTP ports are bound at start; a call takes two.
    pub channels: u16,
    /// Kept free for calls to leaders.
    pub reserved: u16,
    pub realtime: bool,
}

#[derive(Debug, Clone)]
pub struct Storage {
    /// Database and tape.
    pub data: PathBuf,
    pub recordings: PathBuf,
    /// How long a call may wait for its entry before it rings all the same.
    pub entry_budget: Duration,
    /// Free bytes below which the page warns.
    pub low_space: u64,
}

#[derive(Debug, Clone)]
pub struct Web {
    pub listen: SocketAddr,
}

/// Somebody whose number is recognised when he calls.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Contact {
    pub name: String,
    pub unit: String,
    pub duty: String,
    pub numbers: Vec<String>,
}
