//! The configuration file, checked once, with every fault named at its line.

mod answering;
mod authority;
mod call_list;
mod callers;
pub mod channels;
mod check;
pub mod copies;
mod dial;
pub mod faults;
mod heartbeat;
mod keeping;
mod ladders;
mod lamp;
mod leaders;
mod line;
mod numbers;
mod prompts;
mod reader;
mod registrar;
mod roll_call;
mod secret;
mod self_test;
mod sense;
mod summary;
mod values;
mod versions;
mod witness;

pub use heartbeat::Heartbeat;
pub use numbers::OtherNumber;
pub use secret::Secret;
pub use self_test::SelfTest;

use crate::duty::call::arrival::CallerRules;
use crate::duty::call_list::Columns;
use crate::duty::dial_plan::DialPlan;
use crate::duty::escalation::Timetable;
use crate::duty::keeping::Rules;
use crate::duty::line_plan::{Answering, Phone, SrtpPlan};
use crate::duty::roll_call::RollCallPlan;
use crate::duty::roster::{Role, Roster};
use crate::protocol::places::Places;
use crate::protocol::rtp::Prompt;
use crate::protocol::sip::{Habits, Transport, phones};
use chrono::TimeDelta;
use faults::{Fault, Faults, say};
use reader::Found;
use std::collections::BTreeMap;
use std::fmt;
use std::io::ErrorKind;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// What the daemon needs to know, checked: every value can be used as it stands.
#[derive(Debug, Clone)]
pub struct Config {
    pub line: Line,
    pub phones: Vec<Phone>,
    pub answering: Answering,
    /// Of the phones, those that ring for the line's own number, by place; none: all.
    pub rings: Option<Vec<usize>>,
    /// Duty numbers beside the line's own.
    pub numbers: Vec<OtherNumber>,
    pub dial: DialPlan,
    /// Phones that register with the daemon itself; none: nobody may.
    pub registrar: Option<phones::Plan>,
    /// What the site says in a voice of its own: 8 kHz, 16 bit, one channel.
    pub prompts: Vec<(Prompt, PathBuf)>,
    pub media: Media,
    pub storage: Storage,
    pub web: Web,
    /// None: nothing is served to Prometheus.
    pub metrics: Option<Measured>,
    pub witness: Witness,
    /// Who watches whom; none: nobody does.
    pub heartbeat: Option<Heartbeat>,
    /// None: the daemon does not call itself.
    pub self_test: Option<SelfTest>,
    /// 点名
    pub roll_call: RollCallPlan,
    /// How long recordings are kept.
    pub keeping: Rules,
    /// After how long their sound is kept as FLAC; none: never.
    pub flac: Option<TimeDelta>,
    pub contacts: Vec<Contact>,
    pub callers: CallerRules,
    /// How the PBX writes its list of calls.
    pub call_list: Columns,
    pub roster: Roster,
    pub policy: Timetable,
    /// Besides the telephone.
    pub channels: Vec<channels::Channel>,
    /// Whoever holds these has a telephone in his office whose lamp is lit.
    pub lamp: Vec<Role>,
}

/// The duty line at the PBX.
#[derive(Clone)]
pub struct Line {
    /// The number people dial, shown on the page.
    pub number: String,
    /// Shown on the page, such as 市政务服务中心值班室.
    pub room: String,
    /// Addresses of the PBX, most preferred first; one at least.
    pub pbx: Vec<PbxAddress>,
    pub transport: Transport,
    /// Given where, and only where, the transport is TLS.
    pub tls: Option<Tls>,
    /// The DNS servers that names in `pbx` are asked of; none for the host's own.
    pub dns: Vec<SocketAddr>,
    pub domain: String,
    pub user: String,
    pub auth_user: String,
    pub password: String,
    pub realm: Option<String>,
    /// Where SIP is listened to, UDP and TCP.
    pub listen: SocketAddr,
    /// The address written into our messages; `listen`'s where that is a real one.
    pub advertise: IpAddr,
    /// Wanted registration in seconds; 0 for a line that is not registered.
    pub expires: u32,
    /// Session interval we ask for (RFC 4028), seconds; 0 asks for none.
    pub session_expires: u32,
    pub trusted: Vec<IpAddr>,
    pub habits: Habits,
    /// Whether 200 means that somebody has answered; not so behind an FXO gateway.
    pub answer_supervision: bool,
    /// Whether keys as tones in the voice count, where a telephone agrees on no telephone-events.
    pub keys_in_voice: bool,
    /// How long calls may go on when the daemon is told to stop.
    pub finish: Duration,
}

/// Where the PBX is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PbxAddress {
    At(SocketAddr),
    /// With a port a host, without one a service of DNS SRV records (RFC 3263 §4.2).
    Named {
        name: String,
        port: Option<u16>,
    },
}

impl fmt::Display for PbxAddress {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::At(address) => address.fmt(out),
            Self::Named { name, port: Some(port) } => write!(out, "{name}:{port}"),
            Self::Named { name, port: None } => name.fmt(out),
        }
    }
}

/// How the certificate of the PBX is judged: by an authority of the site, or by fingerprint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tls {
    /// PEM, one certificate or several.
    pub ca: Option<PathBuf>,
    /// SHA-256 of certificates that are accepted; used where not empty.
    pub pins: Vec<[u8; 32]>,
    /// Whom the certificate must be for.
    pub name: String,
    /// The name was given: a pinned certificate must carry it too.
    pub named: bool,
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
    pub srtp: SrtpPlan,
    /// Where voice may be; empty for wherever parties say.
    pub places: Places,
}

#[derive(Debug, Clone)]
pub struct Storage {
    /// Database and tape.
    pub data: PathBuf,
    pub recordings: PathBuf,
    /// Where every recording is a second time.
    pub copies: Option<copies::Copies>,
    /// How long a call may wait for its entry before it rings all the same.
    pub entry_budget: Duration,
    /// Free bytes below which the page warns.
    pub low_space: u64,
    /// Bytes that are held back for when the disk is full.
    pub ballast: u64,
}

/// For Prometheus.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Measured {
    pub listen: SocketAddr,
}

/// Where the signed heads of the log go, besides the data folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Witness {
    /// Off this host; not made where it is missing, so that a lost mount is seen.
    pub folder: Option<PathBuf>,
    pub webhook: Option<HeadsTo>,
    pub every: Duration,
}

/// A system of the site that keeps heads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeadsTo {
    pub hook: channels::Webhook,
    /// Internal networks in which it may be.
    pub allow: Vec<phones::Network>,
    /// PEM of the authority of the site; the host's own list unless given.
    pub ca: Option<PathBuf>,
}

#[derive(Debug, Clone)]
pub struct Web {
    pub listen: SocketAddr,
    /// Whoever listens to a recording says why first.
    pub listen_reason: bool,
    /// Reverse proxies whose word on where a request comes from counts.
    pub proxies: Vec<IpAddr>,
    /// 初报: an urgent matter is reported upwards within this.
    pub report: Duration,
}

/// Somebody whose number is recognised when he calls.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Contact {
    pub name: String,
    pub unit: String,
    pub duty: String,
    /// As they are written; each is read by the rules of [`Config::callers`].
    pub numbers: Vec<String>,
}

/// The variables of the environment that may override the file.
pub type Environment = BTreeMap<String, String>;

/// What a configuration is read for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Purpose {
    /// To serve the line, which takes its password.
    #[default]
    Serve,
    /// To see whether it is right: what only the daemon's user or systemd has is told, no more.
    Check,
    /// For a command beside the daemon: nobody logs in at the PBX.
    Administer,
}

/// The configuration, and what in it should be mended all the same.
#[derive(Debug)]
pub struct Loaded {
    pub config: Config,
    /// Of versions of the policy that will never be in force.
    pub set_aside: Faults,
    pub warnings: Faults,
}

impl Config {
    /// Reads and checks the file at `path`. Nothing but files is touched. Every fault is found in
    /// one go; those of a version of the policy are that version's alone.
    pub fn load(path: &Path, env: &Environment) -> Result<Loaded, Faults> {
        Self::load_to(Purpose::Serve, path, env)
    }

    /// As [`Config::load`], for somebody who may not have the passwords.
    pub fn load_to(purpose: Purpose, path: &Path, env: &Environment) -> Result<Loaded, Faults> {
        let name = path.display().to_string();
        let text = std::fs::read_to_string(path).map_err(|fault| {
            let remedy = match fault.kind() {
                ErrorKind::InvalidData => say(
                    "不是 UTF-8 编码（多半是 GBK）；请在编辑器里另存为 UTF-8",
                    "is not UTF-8 (GBK, probably): save it as UTF-8",
                ),
                _ => say(
                    format!(
                        "读不了这个文件（{fault}）。用 --config 指出文件，样例见 config/dutyline.toml"
                    ),
                    format!(
                        "cannot be read ({fault}); give its place with --config, an example is \
                         config/dutyline.toml"
                    ),
                ),
            };
            Faults::new(
                &name,
                "",
                vec![Fault { place: None, field: "--config".into(), say: remedy }],
            )
        })?;
        Self::parse_to(purpose, &name, &text, env)
    }

    /// As [`Config::load`], of a text that was read already; `name` is shown in the faults.
    pub fn parse(name: &str, text: &str, env: &Environment) -> Result<Loaded, Faults> {
        Self::parse_to(Purpose::Serve, name, text, env)
    }

    fn parse_to(
        purpose: Purpose,
        name: &str,
        text: &str,
        env: &Environment,
    ) -> Result<Loaded, Faults> {
        let (config, Found { mut faults, set_aside, warnings }) = check::check(text, env, purpose);
        let all = |list| Faults::new(name, text, list);
        match config {
            Some(config) if faults.is_empty() => {
                Ok(Loaded { config, set_aside: all(set_aside), warnings: all(warnings) })
            }
            _ => {
                faults.extend(set_aside);
                Err(all(faults))
            }
        }
    }
}

impl fmt::Debug for Line {
    /// The password never reaches a log.
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Line")
            .field("number", &self.number)
            .field("room", &self.room)
            .field("pbx", &self.pbx)
            .field("transport", &self.transport)
            .field("tls", &self.tls)
            .field("dns", &self.dns)
            .field("domain", &self.domain)
            .field("user", &self.user)
            .field("auth_user", &self.auth_user)
            .field("realm", &self.realm)
            .field("listen", &self.listen)
            .field("advertise", &self.advertise)
            .field("expires", &self.expires)
            .field("session_expires", &self.session_expires)
            .field("trusted", &self.trusted)
            .field("habits", &self.habits)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
