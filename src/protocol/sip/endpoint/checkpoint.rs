//! What an endpoint must know again after a crash: its sessions with what they still owe to the
//! wire, the numbers of its registration, and where its own phones are. Plain values; times are those of the host's boot.

use super::Endpoint;
use super::client::{Client, ClientKey};
use super::legs::{Cancel, Leg, State};
use super::servers::{Server, ServerKey};
use crate::protocol::now::Now;
use crate::protocol::sip::dialog::CSEQ_SKIP;
use crate::protocol::sip::mark::Marks;
use crate::protocol::sip::phones::{Binding, Phones};
use crate::protocol::sip::transaction::{T1, T2};
use crate::protocol::sip::{Account, AorId, LegId};
use serde::{Deserialize, Serialize};
use std::net::SocketAddr;

/// One session, or what is left to be done on the wire after its end.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct SavedLeg {
    leg: Option<Leg>,
    clients: Vec<(ClientKey, Client)>,
    servers: Vec<(ServerKey, Server)>,
}

/// §10.2: the registrar knows us by these.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SavedRegistration {
    call_id: Vec<u8>,
    cseq: u32,
    realm: Option<Vec<u8>>,
    /// Our address, which every peer of a session has as our Contact.
    local: SocketAddr,
    /// By these we know our INVITEs again.
    marks: Marks,
    /// Of the addresses-of-record beside the first.
    #[serde(default)]
    others: Vec<SavedAor>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct SavedAor {
    user: String,
    call_id: Vec<u8>,
    cseq: u32,
}

impl SavedRegistration {
    /// Whether peers of that time still reach us.
    pub fn fits(&self, account: &Account) -> bool {
        self.local == account.local
    }
}

impl Endpoint {
    /// Whether `take_changes` has something to tell.
    pub fn is_changed(&self) -> bool {
        self.legs.is_touched() || self.phones.as_ref().is_some_and(Phones::is_changed)
    }

    /// The sessions that may have changed since this was last asked, as they are; `None` for one
    /// of which nothing is left.
    pub fn take_changes(&mut self) -> Vec<(LegId, Option<SavedLeg>)> {
        let touched = self.legs.take_touched();
        touched.into_iter().map(|id| (id, self.saved(id))).collect()
    }

    /// Where the phones are that have registered with us, if that may have changed since.
    pub fn take_bindings(&mut self) -> Option<Vec<Binding>> {
        self.phones.as_mut().and_then(Phones::take_changes)
    }

    /// They need not register again to be rung and to call.
    pub fn restore_bindings(&mut self, saved: Vec<Binding>, now: Now) {
        if let Some(phones) = &mut self.phones {
            phones.restore(saved, now.mono);
        }
    }

    fn saved(&self, id: LegId) -> Option<SavedLeg> {
        let saved = SavedLeg {
            leg: self.legs.get(id).cloned(),
            clients: self.clients.of(id).map(|(key, one)| (key.clone(), one.clone())).collect(),
            servers: self.servers.of(id).map(|(key, one)| (key.clone(), one.clone())).collect(),
        };
        let owes = !saved.clients.is_empty() || !saved.servers.is_empty();
        (saved.leg.is_some() || owes).then_some(saved)
    }

    pub fn saved_registration(&self) -> SavedRegistration {
        let first = self.registrars.of(AorId::default());
        let others = self.account.aors().skip(1).map(|aor| {
            let (registrar, user) = (self.registrars.of(aor), self.account.user_of(aor));
            let (call_id, cseq) = (registrar.call_id.clone(), registrar.cseq);
            SavedAor { user: user.to_owned(), call_id, cseq }
        });
        SavedRegistration {
            call_id: first.call_id.clone(),
            cseq: first.cseq,
            realm: first.wallet.realm.clone(),
            others: others.collect(),
            local: self.account.local,
            marks: self.marks.clone(),
        }
    }

    /// Goes on registering under the old name; call it before `register`.
    pub fn restore_registration(&mut self, saved: SavedRegistration) {
        self.marks = saved.marks;
        for aor in self.account.aors() {
            let user = self.account.user_of(aor);
            let first = Some((&saved.call_id, saved.cseq)).filter(|_| aor == AorId::default());
            let other = saved.others.iter().find(|other| other.user == user);
            let known = first.or(other.map(|other| (&other.call_id, other.cseq)));
            let registrar = self.registrars.of_mut(aor);
            if let Some((call_id, cseq)) = known {
                registrar.call_id.clone_from(call_id);
                registrar.cseq = cseq.saturating_add(CSEQ_SKIP);
            }
            if registrar.wallet.realm.is_none() {
                registrar.wallet.realm.clone_from(&saved.realm);
            }
        }
    }

    /// Takes a session up again. What became due meanwhile is due at once.
    pub fn restore(&mut self, id: LegId, saved: SavedLeg, now: Now) {
        let SavedLeg { leg, clients, servers } = saved;
        self.legs.reserve(id);
        for (key, server) in servers {
            if let Some(merge) = server.opening.clone() {
                self.opening.insert(merge, key.clone());
            }
            self.servers.insert(key, server);
        }
        clients.into_iter().for_each(|(key, client)| self.clients.insert(key, client));
        let Some(mut leg) = leg else { return self.legs.touch(id) };
        if let Some(dialog) = &mut leg.dialog {
            dialog.skip_ahead();
        }
        leg.forks.skip_ahead();
        let cancelled = match &leg.state {
            State::Calling { client, cancel: Cancel::Sent { .. } } => Some(client.clone()),
            State::Calling { cancel: Cancel::No | Cancel::Wanted, .. }
            | State::Ringing { .. }
            | State::Established { .. }
            | State::Closing { .. } => None,
        };
        self.legs.insert(id, leg, now.mono);
        // Whether the CANCEL had its answer is not known; one that had absorbs this one.
        if let Some(client) = cancelled {
            self.start_cancel(&client, now);
        }
    }

    /// Asks the peer of a session soon whether it still knows it, by a refresh (RFC 4028);
    /// `Ended` follows where it does not. A BYE that was sent in vain comes again within T2 and says
    /// more: it has its time.
    pub fn probe(&mut self, id: LegId, now: Now) {
        if let Some(leg) = self.legs.get_mut(id) {
            leg.exchange.refresh_at(now.mono + T2 + T1);
        }
    }
}
