//! The sessions of an endpoint, from INVITE to end, and what each still owes to the wire.

use super::client::ClientKey;
use super::exchange::Exchange;
use super::forks::Forks;
use super::refer::Referral;
use super::reliable::Reliable;
use super::servers::ServerKey;
use crate::protocol::now::{Deadline, Mono, earlier};
use crate::protocol::sip::dialog::Dialog;
use crate::protocol::sip::message::{Method, Request, method_name};
use crate::protocol::sip::session_timer::SessionTimer;
use crate::protocol::sip::transaction::{PATIENCE, T1, T2};
use crate::protocol::sip::{LegId, Peer, Transmit};
use crate::protocol::timed::Timed;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

#[derive(Debug, Clone, Serialize, Deserialize)]
pub enum State {
    /// Our INVITE has no final response.
    Calling { client: ClientKey, cancel: Cancel },
    /// Their INVITE waits for our final response; `fault` is the only one it can get.
    Ringing {
        server: ServerKey,
        fault: Option<u16>,
        unsupported: Vec<u8>,
        offerless: bool,
        cseq: u32,
    },
    /// 2xx was sent or received; `confirmed` once their ACK to ours arrived.
    Established { confirmed: bool },
    /// Over for the owner; a BYE is on its way, or `owed` until the 2xx is settled (§15).
    Closing { owed: bool },
}

/// §9.1: CANCEL waits for the first provisional response.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Cancel {
    No,
    Wanted,
    Sent { give_up: Mono },
}

/// A 2xx of ours that is repeated until its ACK arrives (§13.3.1.4).
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Unacked {
    pub cseq: u32,
    pub sent: Transmit,
    /// Its INVITE had no offer: ours is in the 2xx, the answer comes with the ACK.
    pub offers: bool,
    interval: Duration,
    again: Mono,
    pub give_up: Mono,
}

impl Unacked {
    pub fn new(cseq: u32, sent: Transmit, offers: bool, now: Mono) -> Self {
        let (interval, again, give_up) = (T1, now + T1, now + PATIENCE);
        Self { cseq, sent, offers, interval, again, give_up }
    }

    /// The 2xx again, where it is due.
    pub fn poll(&mut self, now: Mono) -> Option<Transmit> {
        if now < self.again {
            return None;
        }
        self.interval = (2 * self.interval).min(T2);
        self.again = now + self.interval;
        Some(self.sent.clone())
    }
}

/// A re-INVITE, UPDATE or PRACK of the peer that waits for the owner.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Offer {
    pub server: ServerKey,
    pub cseq: u32,
    #[serde(with = "method_name")]
    pub method: Method,
    /// None where it leaves the offer to us.
    pub sdp: Option<Vec<u8>>,
    /// Of the dialog it came in.
    pub remote_tag: Vec<u8>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Leg {
    pub state: State,
    /// When this run came to know of it.
    #[serde(skip)]
    pub since: Mono,
    pub call_id: Vec<u8>,
    pub local_tag: Vec<u8>,
    /// We made the Call-ID (§14.1).
    pub ours: bool,
    /// None while our INVITE has no 2xx.
    pub dialog: Option<Dialog>,
    pub forks: Forks,
    /// A response to our INVITE has come.
    pub heard: bool,
    pub offer: Option<Offer>,
    pub unacked: Vec<Unacked>,
    pub reliable: Reliable,
    pub exchange: Exchange,
    pub timer: SessionTimer,
    /// What the peer asked of us by REFER; and whether it ever did.
    pub referral: Option<Referral>,
    pub was_referred: bool,
    /// Another phone has the call.
    pub taken: bool,
    /// It is with a phone that has registered with us, there.
    pub phone: Option<Peer>,
    /// When a call of which nothing was heard goes another way.
    pub silent: Option<Mono>,
    /// It has gone by another address of the PBX already.
    #[serde(default)]
    pub elsewhere: bool,
    /// A stranger has tried to meddle with it.
    #[serde(default)]
    pub forged: bool,
}

impl Leg {
    pub fn new(
        state: State,
        (call_id, local_tag): (Vec<u8>, Vec<u8>),
        dialog: Option<Dialog>,
        timer: SessionTimer,
    ) -> Self {
        Self {
            ours: dialog.is_none(),
            state,
            since: Mono::default(),
            call_id,
            local_tag,
            dialog,
            forks: Forks::default(),
            heard: false,
            offer: None,
            unacked: vec![],
            reliable: Reliable::default(),
            exchange: Exchange::default(),
            timer,
            referral: None,
            was_referred: false,
            taken: false,
            phone: None,
            silent: None,
            elsewhere: false,
            forged: false,
        }
    }

    /// The dialog, or one of the early ones, that the peer's tag means.
    pub fn dialog_with(&mut self, remote_tag: Option<&[u8]>) -> Option<&mut Dialog> {
        match &mut self.dialog {
            Some(dialog) => Some(dialog).filter(|dialog| dialog.has_remote_tag(remote_tag)),
            None => self.forks.find(remote_tag?).map(|fork| &mut fork.dialog),
        }
    }

    fn poll_timeout(&self) -> Option<Deadline> {
        let state = match self.state {
            State::Calling { cancel: Cancel::Sent { give_up }, .. } => {
                Some((give_up, "no answer to CANCEL"))
            }
            State::Calling { cancel: Cancel::No, .. } if !self.heard => {
                self.silent.map(|silent| (silent, "nothing is heard of a call of ours"))
            }
            State::Calling { cancel: Cancel::No | Cancel::Wanted, .. } => None,
            State::Ringing { .. } => self.reliable.poll_timeout(),
            State::Established { .. } => self.timer.poll_timeout(),
            State::Closing { .. } => return self.unacked_timeout(),
        };
        let deadline = earlier(state, self.exchange.poll_timeout());
        let deadline = earlier(deadline, self.referral.as_ref().map(Referral::poll_timeout));
        earlier(deadline, self.unacked_timeout())
    }

    fn unacked_timeout(&self) -> Option<Deadline> {
        self.unacked.iter().fold(None, |deadline, unacked| {
            let due = unacked.again.min(unacked.give_up);
            earlier(deadline, Some((due, "2xx without ACK")))
        })
    }
}

#[derive(Debug, Default)]
pub struct Legs {
    all: Timed<LegId, Leg>,
    /// By Call-ID and our tag; the peer's tag is compared after.
    by_dialog: BTreeMap<(Vec<u8>, Vec<u8>), LegId>,
    last: u64,
    /// What may have changed since somebody last asked.
    touched: BTreeSet<LegId>,
}

impl Legs {
    pub fn new_id(&mut self) -> LegId {
        self.last += 1;
        LegId(self.last)
    }

    pub fn insert(&mut self, id: LegId, leg: Leg, now: Mono) {
        self.touch(id);
        self.by_dialog.insert((leg.call_id.clone(), leg.local_tag.clone()), id);
        self.all.insert(id, Leg { since: now, ..leg });
    }

    pub fn remove(&mut self, id: LegId) -> Option<Leg> {
        self.touch(id);
        let leg = self.all.remove(&id)?;
        self.by_dialog.remove(&(leg.call_id.clone(), leg.local_tag.clone()));
        Some(leg)
    }

    pub fn get(&self, id: LegId) -> Option<&Leg> {
        self.all.get(&id)
    }

    pub fn get_mut(&mut self, id: LegId) -> Option<&mut Leg> {
        self.touch(id);
        self.all.get_mut(&id)
    }

    /// The one that we have known for longest: names are given in their order.
    pub fn first(&self) -> Option<&Leg> {
        self.all.iter().next().map(|(_, leg)| leg)
    }

    pub fn dialog(&self, id: LegId) -> Option<&Dialog> {
        self.all.get(&id)?.dialog.as_ref()
    }

    pub fn call_id(&self, id: LegId) -> Option<&[u8]> {
        self.all.get(&id).map(|leg| leg.call_id.as_slice())
    }

    pub fn state(&self, id: LegId) -> Option<&State> {
        self.all.get(&id).map(|leg| &leg.state)
    }

    /// The session a request belongs to: Call-ID and both tags must fit (§12.2.2).
    pub fn find(&mut self, request: &Request) -> Option<LegId> {
        let id = self.find_ours(request)?;
        let remote_tag = request.from_tag.as_deref();
        self.all.get_mut(&id)?.dialog_with(remote_tag).is_some().then_some(id)
    }

    /// By the names that a Replaces gives (RFC 3891 §3).
    pub fn named(&mut self, call_id: &[u8], ours: &[u8], theirs: &[u8]) -> Option<LegId> {
        let id = *self.by_dialog.get(&(call_id.to_vec(), ours.to_vec()))?;
        self.all.get_mut(&id)?.dialog_with(Some(theirs)).is_some().then_some(id)
    }

    /// Whether there is a session with this Call-ID and this tag of ours.
    pub fn is_known(&self, call_id: &[u8], ours: &[u8]) -> bool {
        self.by_dialog.contains_key(&(call_id.to_vec(), ours.to_vec()))
    }

    /// By Call-ID and our tag alone.
    pub fn find_ours(&self, request: &Request) -> Option<LegId> {
        let tag = request.to_tag.clone()?;
        self.by_dialog.get(&(request.call_id.clone(), tag)).copied()
    }

    /// Any session with this Call-ID.
    pub fn of_call_id(&self, call_id: &[u8]) -> Option<LegId> {
        let mut from = self.by_dialog.range((call_id.to_vec(), vec![])..);
        from.next().filter(|((known, _), _)| known == call_id).map(|(_, leg)| *leg)
    }

    pub fn due(&mut self, now: Mono) -> Vec<LegId> {
        self.all.due(now, Leg::poll_timeout)
    }

    pub fn settle(&mut self) {
        self.all.settle(Leg::poll_timeout);
    }

    pub fn poll_timeout(&self) -> Option<Deadline> {
        self.all.first(Leg::poll_timeout)
    }

    /// What is kept of this session, or of what it still owes, may have changed.
    pub fn touch(&mut self, id: LegId) {
        self.touched.insert(id);
    }

    pub fn is_touched(&self) -> bool {
        !self.touched.is_empty()
    }

    pub fn take_touched(&mut self) -> BTreeSet<LegId> {
        std::mem::take(&mut self.touched)
    }

    /// No new session gets a name that was known to an earlier run.
    pub fn reserve(&mut self, id: LegId) {
        self.last = self.last.max(id.0);
    }

    pub fn len(&self) -> usize {
        self.all.len()
    }
}
