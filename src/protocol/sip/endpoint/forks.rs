//! The early dialogs of a call of ours, of which forking makes several (RFC 3261 §12.1), and the
//! reliable provisional responses in them (RFC 3262 §4).

use super::Endpoint;
use super::client::{ClientKey, Purpose};
use super::legs::{Cancel, State};
use crate::protocol::now::Now;
use crate::protocol::sip::dialog::Dialog;
use crate::protocol::sip::draft::Draft;
use crate::protocol::sip::message::{Method, Response};
use crate::protocol::sip::transaction::PATIENCE;
use crate::protocol::sip::{Event, LegId, Peer};
use serde::{Deserialize, Serialize};

/// Early dialogs remembered per call.
const FORKS_MAX: usize = 16;
/// PRACKs of one fork that may wait for their answer; more responses are not acknowledged yet.
const PRACKS_MAX: u8 = 8;

/// One early dialog.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Fork {
    pub dialog: Dialog,
    /// RSeq of the last reliable response.
    rseq: Option<u32>,
    /// The peer's description in force, a preview unless `answered` (RFC 6337 §3.1.1).
    pub sdp: Option<Vec<u8>>,
    /// It came reliably, so that it is the answer to our offer.
    pub answered: bool,
    /// PRACKs that are not answered yet.
    pracks: u8,
}

impl Fork {
    /// Offers may be made in this dialog (RFC 3311 §5.1).
    pub fn is_agreed(&self) -> bool {
        self.answered && self.pracks == 0
    }
}

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Forks(Vec<Fork>);

/// What a provisional response brings.
enum News {
    /// A reliable response that was there before, or out of order: not to be looked at.
    Old,
    Heard {
        sdp: Option<Vec<u8>>,
        prack: bool,
    },
}

impl Forks {
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub fn find(&mut self, remote_tag: &[u8]) -> Option<&mut Fork> {
        self.0.iter_mut().find(|fork| fork.dialog.remote_tag == remote_tag)
    }

    pub fn take(&mut self, remote_tag: &[u8]) -> Option<Fork> {
        let at = self.0.iter().position(|fork| fork.dialog.remote_tag == remote_tag)?;
        Some(self.0.remove(at))
    }

    /// As [`Dialog::skip_ahead`], in each.
    pub fn skip_ahead(&mut self) {
        self.0.iter_mut().for_each(|fork| fork.dialog.skip_ahead());
    }

    /// The last fork in which offers may be made.
    pub fn agreed(&mut self) -> Option<&mut Fork> {
        self.0.iter_mut().rev().find(|fork| fork.is_agreed())
    }

    fn note(&mut self, invite: &Draft, response: &Response, hop: Option<Peer>) -> News {
        let tag = response.to_tag.as_deref().filter(|_| response.status > 100);
        let known = tag.is_some_and(|tag| self.find(tag).is_some());
        if tag.is_some() && !known && self.0.len() < FORKS_MAX {
            let dialog = Dialog::of_client(invite, response, hop);
            self.0.push(Fork { dialog, rseq: None, sdp: None, answered: false, pracks: 0 });
        }
        let Some(fork) = tag.and_then(|tag| self.find(tag)) else {
            return News::Heard { sdp: response.sdp(), prack: false };
        };
        let rseq = response.rseq();
        if let Some(rseq) = rseq {
            let next = fork.rseq.is_none_or(|last| last.checked_add(1) == Some(rseq));
            if !next || fork.pracks >= PRACKS_MAX {
                return News::Old;
            }
            fork.rseq = Some(rseq);
            fork.pracks += 1;
        }
        fork.dialog.refresh_target(&response.wire);
        let sdp = response.sdp().filter(|_| !fork.answered);
        if sdp.is_some() {
            fork.sdp.clone_from(&sdp);
            fork.answered = rseq.is_some();
        }
        News::Heard { sdp, prack: rseq.is_some() }
    }
}

impl Endpoint {
    pub(super) fn on_progress(
        &mut self,
        key: &ClientKey,
        id: LegId,
        response: &Response,
        now: Now,
    ) {
        let Some(invite) = self.clients.get(key).map(|client| &client.draft) else { return };
        let Some(leg) = self.legs.get_mut(id) else { return };
        let State::Calling { client, cancel } = &mut leg.state else { return };
        let News::Heard { mut sdp, prack } = leg.forks.note(invite, response, leg.phone) else {
            return;
        };
        let first = !std::mem::replace(&mut leg.heard, true);
        let mut status = response.status;
        // RFC 6228: this fork rings no more; what another lets us hear comes to the fore.
        let ended = (status == 199).then(|| response.to_tag.clone().unwrap_or_default());
        if let Some(tag) = &ended {
            sdp = leg
                .forks
                .0
                .iter()
                .rev()
                .find_map(|fork| fork.sdp.clone().filter(|_| fork.dialog.remote_tag != *tag));
            status = 183;
        }
        let told = if ended.is_some() { sdp.is_some() } else { status > 100 || first };
        let report = match cancel {
            Cancel::Sent { .. } => false,
            Cancel::Wanted => {
                *cancel = Cancel::Sent { give_up: now.mono + PATIENCE };
                let client = client.clone();
                self.start_cancel(&client, now);
                false
            }
            Cancel::No => told,
        };
        if prack {
            self.send_prack(id, response, now);
        }
        if let (Some(tag), Some(leg)) = (ended, self.legs.get_mut(id)) {
            leg.forks.take(&tag);
        }
        if report {
            self.report(Event::Progress { leg: id, status, sdp });
        }
    }

    fn send_prack(&mut self, id: LegId, response: &Response, now: Now) {
        let (Some(tag), Some(rseq)) = (&response.to_tag, response.rseq()) else { return };
        let Some(fork) = self.legs.get_mut(id).and_then(|leg| leg.forks.find(tag)) else { return };
        let mut prack = fork.dialog.request(Method::PRack, &self.account);
        let trusted = fork.dialog.ends_at_pbx(&self.account);
        let rack = format!("{rseq} {} INVITE", response.cseq.number);
        prack.headers.push(("RAck".to_owned(), rack.into_bytes()));
        self.start_client(prack, Purpose::Prack { leg: id, trusted }, now);
    }

    /// A PRACK has its final response, or none will come.
    pub(super) fn on_prack_over(&mut self, id: LegId, remote_tag: &[u8], now: Now) {
        if let Some(fork) = self.legs.get_mut(id).and_then(|leg| leg.forks.find(remote_tag)) {
            fork.pracks = fork.pracks.saturating_sub(1);
            self.pursue(id, now);
        }
    }
}
