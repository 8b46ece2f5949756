//! SIP (RFC 3261). The room's face to its owner: what the [`endpoint::Endpoint`] is told, what it
//! reports, and how a peer is named. Knows nothing of lines, officers or entries.

pub mod account;
pub mod address;
pub mod admission;
pub mod body;
pub mod claims;
pub mod dialog;
pub mod digest;
pub mod draft;
pub mod endpoint;
pub mod flow;
pub mod lines;
pub mod mark;
pub mod message;
pub mod phones;
pub mod redact;
pub mod registration;
pub mod route;
pub mod session_timer;
pub mod slip;
pub mod stream;
pub mod text;
pub mod traffic;
pub mod transaction;
pub mod weight;
pub mod wire;

pub use account::{Account, Aor, AorId, Habits, Numbers};
use admission::Summary;
use claims::Claims;
use serde::{Deserialize, Serialize};
use slip::{Reply, SlipId};
use std::net::SocketAddr;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Transport {
    Udp,
    Tcp,
    Tls,
}

impl Transport {
    /// Whether nothing sent over it is lost or doubled (RFC 3261 §17).
    pub fn is_reliable(self) -> bool {
        match self {
            Self::Udp => false,
            Self::Tcp | Self::Tls => true,
        }
    }

    /// As a Via writes it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Udp => "UDP",
            Self::Tcp => "TCP",
            Self::Tls => "TLS",
        }
    }

    /// The port of a URI that names none (RFC 3261 §19.1.2).
    pub fn default_port(self) -> u16 {
        match self {
            Self::Udp | Self::Tcp => 5060,
            Self::Tls => 5061,
        }
    }
}

/// Where a message came from or goes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Peer {
    pub transport: Transport,
    pub addr: SocketAddr,
}

impl Peer {
    /// What stands for the PBX while none of its addresses is known.
    pub fn nowhere(transport: Transport) -> Self {
        Self { transport, addr: SocketAddr::from(([0, 0, 0, 0], 0)) }
    }

    pub fn is_somewhere(&self) -> bool {
        self.addr.port() != 0
    }
}

/// One whole SIP message to be put on the wire.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Transmit {
    pub to: Peer,
    pub bytes: Vec<u8>,
}

impl Transmit {
    /// Whether it is an INVITE of ours that opens a session: its To, as we write it, has no tag.
    pub fn opens(&self) -> bool {
        let mut lines = self.bytes.split(|&b| b == b'\n');
        let to = |line: &&[u8]| line.starts_with(b"To: ");
        let is_tagged = |line: &[u8]| line.windows(5).any(|part| part == b";tag=");
        self.bytes.starts_with(b"INVITE ") && !lines.find(to).is_some_and(is_tagged)
    }
}

/// One INVITE session of ours, either direction, from its INVITE to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct LegId(pub u64);

/// Who calls, as the message says it: claims, not facts.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    /// The user part of the URI (`tel:` numbers too), percent-decoded, of a number without its
    /// parameters. May be empty.
    pub user: String,
    /// The number's `phone-context` (RFC 3966 §5.1.5), where it has one.
    pub context: String,
    /// Display name, decoded (UTF-8, else GB18030, else Latin-1), control and bidi characters
    /// removed. May be empty.
    pub display: String,
    /// The whole header value as it came.
    pub raw: Vec<u8>,
}

/// Why a request cannot be served, and the status to refuse it with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    pub status: u16,
    pub why: String,
}

/// An INVITE that opens a session. With `fault` it could not be understood in full: the owner
/// still gets it, writes its row, and refuses it with the fault's status.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Incoming {
    pub call_id: String,
    /// Which of our addresses is called.
    pub aor: AorId,
    pub request_user: String,
    /// Every header that says who calls.
    pub claims: Claims,
    pub to: Identity,
    pub sdp: Option<Vec<u8>>,
    pub source: Peer,
    /// The session that it wants to take the place of (RFC 3891).
    pub replaces: Option<LegId>,
    /// The name of the phone that calls, of those that have registered with us; its digest was right.
    pub phone: Option<String>,
    pub fault: Option<Fault>,
}

/// What a peer asks of us by REFER: to call somebody in its stead.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Referred {
    /// The number, percent-decoded; at which host is not ours to follow.
    pub user: String,
    /// The session there whose place the call takes: a whole Replaces value (RFC 3891).
    pub replaces: Option<String>,
    /// That session, where it is one of ours.
    pub consultation: Option<LegId>,
    /// The Referred-By header (RFC 3892): a claim.
    pub by: Option<String>,
    /// It is a phone that has registered with us, in its own session.
    pub ours: bool,
    pub source: Peer,
}

/// How a confirmed session ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Ending {
    /// The peer sent BYE.
    Bye,
    /// We sent BYE.
    OurBye,
    /// The peer no longer answers: no ACK to our 2xx (RFC 3261 §13.3.1.4), 408, 481 or silence to
    /// a request of ours.
    Lost,
    /// Nobody refreshed the session in time (RFC 4028 §10).
    Expired,
}

/// What an endpoint reports to its owner.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// A new session asks to be served; 100 has been sent. Answer with `ring`, `answer`, `refuse`.
    Incoming { leg: LegId, invite: Box<Incoming> },
    /// The caller gave up before our final response (487 has been sent), or never acknowledges the
    /// provisional one (504, RFC 3262 §3); `elsewhere` where another phone has the call (RFC 3326).
    Cancelled { leg: LegId, elsewhere: bool },
    /// The ACK to our 2xx arrived.
    Confirmed { leg: LegId },
    /// A provisional response to our INVITE, the first 100 (somebody is there) included. Where
    /// the call forked, `sdp` is what the fork heard last lets us hear.
    Progress { leg: LegId, status: u16, sdp: Option<Vec<u8>> },
    /// A 2xx to our INVITE; ACK has been sent. `sdp` is the answer of the fork that was taken, also
    /// where it came in a provisional response. Also after `cancel`, when both crossed: the owner
    /// decides between keeping it and `bye`.
    Answered { leg: LegId, sdp: Option<Vec<u8>> },
    /// A final refusal of our INVITE, 408 for no answer at all (Timer B), 503 for a dead
    /// transport, 487 after `cancel`.
    Refused { leg: LegId, status: u16, reason: String },
    /// A re-INVITE, UPDATE or PRACK with (or, `None`, without) an offer; answer with `accept_offer`
    /// or `refuse_offer`. `None` also where a refresh of ours needs an offer that is not what was
    /// answered to a hold.
    Offer { leg: LegId, sdp: Option<Vec<u8>> },
    /// The answer to an offer of ours: by `offer`, or in our 2xx (then after `Confirmed`) or 183. A
    /// session refresh that finds the peer changed is reported so too.
    Answer { leg: LegId, sdp: Vec<u8> },
    /// An offer made by `offer` was refused; the session stays as it was.
    OfferRefused { leg: LegId, status: u16 },
    /// INFO inside the session (RFC 6086, RFC 2976); 200 has been sent.
    Info { leg: LegId, content_type: String, body: Vec<u8> },
    /// The peer asks us to call somebody in its stead; answer with `accept_refer` or `refuse_refer`.
    Refer { leg: LegId, refer: Box<Referred> },
    /// The session is over. The last event of a leg that was answered.
    Ended { leg: LegId, ending: Ending },
    /// The registrar granted the binding for so many seconds; 0 for a line that is not registered
    /// and whose PBX answers.
    Registered { aor: AorId, expires: u32 },
    /// Registration failed, or a line without one gets no answers; `status` 408 for no answer,
    /// 503 for a dead transport. It is tried again by itself.
    RegistrationFailed { aor: AorId, status: u16, reason: String },
    /// The bindings were removed at our wish (or a removal got no answer).
    Unregistered,
    /// Requests go to this address of the PBX now; `preferred` when it is the first of the list.
    Moved { to: Peer, preferred: bool },
    /// The line would go to this address of the PBX, which answers, and is refused there: it stays where it is.
    NotMoved { to: Peer, status: u16, reason: String },
    /// Calls that began too fast got 503 and nothing else.
    TurnedAway(Summary),
    /// Somebody where phones may be does not know their passwords.
    Intruded(Summary),
    /// A stranger's message names this session, as somebody's would who wants to end or change it; it is dropped. Once for
    /// each session.
    Forged { leg: LegId, from: Peer, method: &'static str },
    /// What became of a slip.
    SlipEnded { slip: SlipId, reply: Reply },
    /// A message was dropped; for the counter and the log.
    Dropped { from: Peer, why: &'static str },
}

/// A call we place.
#[derive(Debug, Clone)]
pub struct Outgoing {
    /// A user part, dialled at the account's domain, or a whole `sip:`, `sips:` or `tel:` URI.
    pub target: String,
    /// By whose right: its user and password.
    pub aor: AorId,
    /// From's display name; empty for none.
    pub display: String,
    /// From's user part; `None` for the address-of-record's.
    pub from_user: Option<String>,
    pub sdp: Vec<u8>,
    /// Extra header lines, such as `("Priority", "emergency")`.
    pub headers: Vec<(String, String)>,
}
