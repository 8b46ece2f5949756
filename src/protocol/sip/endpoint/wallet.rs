//! Whom our password is shown to: the PBX, for its realm, at most twice per request.

use super::Endpoint;
use super::client::{ClientKey, Proof, Purpose};
use crate::protocol::now::Now;
use crate::protocol::random::Random;
use crate::protocol::sip::digest::{Asked, Challenge};
use crate::protocol::sip::draft::Draft;
use crate::protocol::sip::message::{self, Method, Response};
use crate::protocol::sip::{Account, Peer};
use std::collections::BTreeMap;

/// Challenges answered for one request.
const ANSWERS_MAX: u8 = 2;

/// A nonce that may be used again for the same method.
#[derive(Debug)]
struct Known {
    challenge: Challenge,
    proxy: bool,
    count: u32,
}

#[derive(Debug)]
pub struct Wallet {
    pub realm: Option<Vec<u8>>,
    /// The realm was not configured: a PBX set up anew may bring another.
    learnt: bool,
    /// By method: REGISTER and INVITE are challenged by different parts of a PBX.
    known: BTreeMap<&'static str, Known>,
}

impl Wallet {
    pub fn new(account: &Account) -> Self {
        let realm = account.realm.as_ref().map(|realm| realm.as_bytes().to_vec());
        Self { learnt: realm.is_none(), realm, known: BTreeMap::new() }
    }

    /// The nonces belong to another registrar now.
    pub fn forget(&mut self) {
        self.known.clear();
    }

    /// Adds credentials for a nonce that was good before.
    pub fn reuse(
        &mut self,
        draft: &mut Draft,
        credentials: (&str, &str),
        random: &mut Random,
    ) -> Proof {
        match self.known.get_mut(message::name(draft.method)) {
            Some(known) if known.challenge.qop => {
                sign(draft, known, credentials, random);
                Proof::Reused
            }
            Some(_) | None => Proof::None,
        }
    }

    /// Adds credentials for a challenge; `None` when it is not to be answered. `learn` takes its
    /// realm for ours where none is configured.
    pub fn prove(
        &mut self,
        draft: &mut Draft,
        proof: Proof,
        response: &Response,
        learn: bool,
        credentials: (&str, &str),
        random: &mut Random,
    ) -> Option<Proof> {
        let proxy = response.status == 407;
        let name = if proxy { "proxy-authenticate" } else { "www-authenticate" };
        if self.realm.is_none() && !learn {
            return None;
        }
        let ours = self.realm.as_deref();
        let mut challenge = Challenge::strongest(response.wire.all(name), ours);
        if challenge.is_none() && self.learnt && learn {
            challenge = Challenge::strongest(response.wire.all(name), None);
        }
        let method = message::name(draft.method);
        let answered = match (proof, &challenge) {
            (Proof::None | Proof::Reused, Some(_)) => 1,
            (Proof::Given(times), Some(challenge)) if challenge.stale => times + 1,
            (Proof::Given(_), Some(_)) | (_, None) => ANSWERS_MAX + 1,
        };
        if answered > ANSWERS_MAX {
            self.known.remove(method);
            return None;
        }
        let challenge = challenge?;
        self.realm = Some(challenge.realm.clone());
        let mut known = Known { challenge, proxy, count: 0 };
        sign(draft, &mut known, credentials, random);
        if matches!(draft.method, Method::Register | Method::Invite) {
            self.known.insert(method, known);
        }
        Some(Proof::Given(answered))
    }
}

fn sign(draft: &mut Draft, known: &mut Known, (user, password): (&str, &str), random: &mut Random) {
    known.count = known.count.saturating_add(1);
    let asked = Asked { user, password, method: message::name(draft.method), uri: &draft.uri };
    let credentials = known.challenge.answer(&asked, known.count, &random.token());
    let name = if known.proxy { "Proxy-Authorization" } else { "Authorization" };
    draft.headers.retain(|(name, _)| !name.ends_with("Authorization"));
    draft.headers.push((name.to_owned(), credentials));
}

impl Endpoint {
    /// Sends the request again with credentials (§22.2). False when it must not be, or would not
    /// help.
    pub(super) fn prove(
        &mut self,
        key: &ClientKey,
        response: &Response,
        from: Peer,
        now: Now,
    ) -> bool {
        let Some(client) = self.clients.get(key) else { return false };
        let purpose = client.purpose;
        let wanted = match purpose {
            Purpose::Register { .. } | Purpose::Trial => true,
            Purpose::Invite { leg } => !self.is_call_cancelled(leg) && !self.is_with_phone(leg),
            Purpose::Prack { trusted, .. }
            | Purpose::Notify { trusted, .. }
            | Purpose::Offer { trusted, .. }
            | Purpose::Info { trusted, .. }
            | Purpose::Bye { trusted, .. } => trusted,
            Purpose::Slip { slip } => self.is_slip_by_pbx(slip),
            Purpose::Cancel | Purpose::Orphan | Purpose::Options { .. } => false,
        };
        let asked = client.draft.peer.addr.ip();
        let from_pbx =
            self.account.is_pbx(asked) && from.addr.ip().to_canonical() == asked.to_canonical();
        if !wanted || !from_pbx {
            return false;
        }
        let (mut draft, proof) = (Draft::clone(&client.draft), client.proof);
        let learn = matches!(purpose, Purpose::Register { .. } | Purpose::Trial);
        let aor = draft.aor;
        let wallet = if purpose == Purpose::Trial {
            self.trial.as_mut().and_then(|trial| trial.wallet(aor))
        } else {
            Some(&mut self.registrars.of_mut(aor).wallet)
        };
        let (Some(wallet), credentials) = (wallet, self.account.credentials(aor)) else {
            return false;
        };
        let proof = wallet.prove(&mut draft, proof, response, learn, credentials, &mut self.random);
        let Some(proof) = proof else { return false };
        draft.cseq = self.next_cseq(&draft, purpose);
        let again = self.start_proved(draft, purpose, proof, now);
        self.set_client(purpose, again);
        true
    }

    /// One higher than the challenged request (§22.2), counted by whoever counts.
    fn next_cseq(&mut self, draft: &Draft, purpose: Purpose) -> u32 {
        match purpose {
            Purpose::Register { .. } | Purpose::Trial => {
                self.registrars.of_mut(draft.aor).next_cseq()
            }
            Purpose::Bye { leg: Some(leg), .. }
            | Purpose::Prack { leg, .. }
            | Purpose::Info { leg, .. }
            | Purpose::Notify { leg, .. }
            | Purpose::Offer { leg, .. } => {
                let tag = draft.to_tag();
                let leg = self.legs.get_mut(leg);
                let dialog = leg.and_then(|leg| leg.dialog_with(tag.as_deref()));
                dialog.map_or(draft.cseq + 1, |dialog| {
                    dialog.local_cseq += 1;
                    dialog.local_cseq
                })
            }
            Purpose::Bye { leg: None, .. }
            | Purpose::Slip { .. }
            | Purpose::Invite { .. }
            | Purpose::Orphan
            | Purpose::Options { .. }
            | Purpose::Cancel => draft.cseq + 1,
        }
    }
}
