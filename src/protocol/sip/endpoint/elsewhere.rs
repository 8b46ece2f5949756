//! Calls of ours that the first way does not take go another (RFC 3263 §4.3): past a phone of ours by
//! the PBX, past an address of the PBX by the next.

use super::Endpoint;
use super::client::{Client, ClientKey, Purpose};
use super::legs::{Cancel, State};
use crate::protocol::now::{Mono, Now};
use crate::protocol::sip::address::NameAddr;
use crate::protocol::sip::draft::{self, Draft};
use crate::protocol::sip::{LegId, Peer};
use std::time::Duration;

/// A phone that has registered with us says 100 at once, unless it is gone. Before the PBX, to which
/// nothing rings yet, gives us up: two seconds, as the README has it.
const PHONE_SILENT: Duration = Duration::from_secs(1);
/// An address that answers OPTIONS, or is not asked, and says nothing to a call.
const PBX_SILENT: Duration = Duration::from_secs(4);

impl Endpoint {
    /// When a call that nothing was heard of goes another way, where there is one.
    pub(super) fn silent_from(&self, phone: Option<Peer>, now: Now) -> Option<Mono> {
        match phone {
            Some(_) => Some(now.mono + PHONE_SILENT),
            None => self.route.has_choice().then(|| now.mono + PBX_SILENT),
        }
    }

    pub(super) fn silence_timeout(&mut self, id: LegId, now: Now) {
        let Some(leg) = self.legs.get_mut(id) else { return };
        let State::Calling { client, cancel: Cancel::No } = &leg.state else { return };
        if leg.heard || leg.silent.is_none_or(|silent| silent > now.mono) {
            return;
        }
        let key = client.clone();
        leg.silent = None;
        let with_phone = leg.phone.is_some();
        let Some(client) = self.clients.get(&key) else { return };
        let mut draft = Draft::clone(&client.draft);
        let way = match with_phone {
            // It is where it was no more; the PBX may know where it is.
            true => Some(self.account.pbx).filter(|pbx| pbx.is_somewhere()),
            false => self.other_way(id, &draft),
        };
        let Some(way) = way else { return };
        if with_phone {
            let Some(to) = NameAddr::parse(&draft.to) else { return };
            draft.uri = to.uri;
        }
        if let Some(leg) = self.legs.get_mut(id) {
            (leg.phone, leg.elsewhere) = (None, !with_phone);
        }
        self.retire_invite(&key, now);
        self.send_again(draft, way, id, now);
    }

    /// 503 speaks for the address that says it: the call is made by the next one, once. The line
    /// stays where it is. False where there is none.
    pub(super) fn goes_elsewhere(&mut self, key: &ClientKey, id: LegId, now: Now) -> bool {
        let Some(client) = self.clients.get(key) else { return false };
        let draft = Draft::clone(&client.draft);
        self.sends_elsewhere(draft, id, now)
    }

    pub(super) fn sends_elsewhere(&mut self, mut draft: Draft, id: LegId, now: Now) -> bool {
        let Some(way) = self.other_way(id, &draft) else { return false };
        if let Some(leg) = self.legs.get_mut(id) {
            (leg.silent, leg.elsewhere) = (None, true);
        }
        draft.cseq += 1;
        self.send_again(draft, way, id, now);
        true
    }

    /// The address before is left: what nobody has heard goes to the one in use.
    pub(super) fn repeat_invites(&mut self, old: Peer, now: Now) {
        let unheard = |client: &Client| {
            let there = client.draft.peer.addr == old.addr;
            there && matches!(client.purpose, Purpose::Invite { .. }) && client.is_unheard()
        };
        for key in self.clients.names(unheard) {
            let Some(client) = self.clients.get(&key) else { continue };
            let (purpose, draft) = (client.purpose, Draft::clone(&client.draft));
            self.retire_invite(&key, now);
            let Purpose::Invite { leg: id } = purpose else { continue };
            if self.is_call_cancelled(id) {
                let why = "given up before anybody heard of it".to_owned();
                self.on_call_refused(id, 487, why, now);
                continue;
            }
            if let Some(leg) = self.legs.get_mut(id) {
                (leg.silent, leg.elsewhere) = (None, true);
            }
            self.send_again(draft, self.account.pbx, id, now);
        }
    }

    fn other_way(&self, id: LegId, draft: &Draft) -> Option<Peer> {
        let leg = self.legs.get(id)?;
        let calling = matches!(leg.state, State::Calling { cancel: Cancel::No, .. });
        let first = !leg.elsewhere && leg.phone.is_none() && leg.forks.is_empty();
        self.route.other(draft.peer.addr).filter(|_| calling && first && !self.is_full())
    }

    fn send_again(&mut self, mut draft: Draft, way: Peer, id: LegId, now: Now) {
        let contact = draft::contact_by(&self.account, draft.aor, way.transport);
        let uri = draft.uri.clone();
        send_to(&mut draft, uri, way, contact.as_bytes());
        draft.headers.retain(|(name, _)| !name.ends_with("Authorization"));
        let again = self.start_client(draft, Purpose::Invite { leg: id }, now);
        self.set_call_client(id, again);
    }
}

pub fn send_to(invite: &mut Draft, uri: Vec<u8>, peer: Peer, contact: &[u8]) {
    (invite.uri, invite.peer) = (uri, peer);
    for (_, value) in invite.headers.iter_mut().filter(|(name, _)| name == "Contact") {
        *value = contact.to_vec();
    }
}
