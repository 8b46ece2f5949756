//! Offers of our own in a session, and its refreshes: one re-INVITE or UPDATE at a time (RFC 3261
//! §14.1, RFC 3311 §5, RFC 4028 §10), again after a glare, and never while another is open.

use super::Endpoint;
use super::client::{ClientKey, Purpose};
use super::legs::{Cancel, Leg, State};
use crate::protocol::now::{Deadline, Mono, Now};
use crate::protocol::random::Random;
use crate::protocol::sip::draft::Draft;
use crate::protocol::sip::message::{ALLOW, Method, Response, SDP, method_name};
use crate::protocol::sip::session_timer::Due;
use crate::protocol::sip::transaction::PATIENCE;
use crate::protocol::sip::{Ending, Event, LegId};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// How often an offer is made again after 491 or 500.
const TRIES_MAX: u8 = 8;
/// Longest Retry-After that an offer waits for, in seconds.
const RETRY_MAX: u32 = 32;
/// Between two looks whether there is room for one more transaction.
const CROWDED: Duration = Duration::from_secs(1);
/// What a session refresh request of ours says it knows.
const SUPPORTED: &str = "timer";

/// A request of ours that has no final response.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Sent {
    client: ClientKey,
    #[serde(with = "method_name")]
    method: Method,
    sdp: Option<Vec<u8>>,
    /// It refreshes the session, which an UPDATE in an early dialog does not.
    refreshes: bool,
    /// The owner wants to hear how it went.
    asked: bool,
    /// When it is cancelled, then given up.
    give_up: Mono,
    cancelled: bool,
}

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Exchange {
    /// What the owner wants said.
    wanted: Option<Vec<u8>>,
    /// The session timer wants a request.
    refresh: bool,
    sent: Option<Sent>,
    /// The owner is asked what a refresh offers.
    #[serde(skip)]
    asking: bool,
    /// Not again before.
    again: Option<Mono>,
    tries: u8,
    /// The descriptions in force.
    said: Option<Vec<u8>>,
    heard: Option<Vec<u8>>,
}

impl Exchange {
    pub fn say(&mut self, sdp: Option<&[u8]>) {
        if let Some(sdp) = sdp {
            self.said = Some(sdp.to_vec());
        }
    }

    pub fn has_said(&self, sdp: &[u8]) -> bool {
        self.said.as_deref() == Some(sdp)
    }

    /// Whether it differs from the one before.
    pub fn heard(&mut self, sdp: Option<&[u8]>) -> bool {
        let news = sdp.is_some() && sdp != self.heard.as_deref();
        if let (true, Some(sdp)) = (news, sdp) {
            self.heard = Some(sdp.to_vec());
        }
        news
    }

    /// What is in force was answered to a hold. RFC 6337 §5.3: a refresh that repeated it would hold as well.
    fn is_limited(&self) -> bool {
        let limits: [&[u8]; 3] = [b"a=recvonly", b"a=sendonly", b"a=inactive"];
        let mut lines = self.said.iter().flat_map(|said| said.split(|byte| *byte == b'\n'));
        lines.any(|line| limits.contains(&line.trim_ascii_end()))
    }

    /// Whether the owner was asked what a refresh offers: this is the word that was waited for.
    pub fn was_asking(&mut self) -> bool {
        std::mem::take(&mut self.asking)
    }

    /// Refreshes the session then, whatever the timer says.
    pub fn refresh_at(&mut self, at: Mono) {
        self.refresh = true;
        self.again = Some(at);
    }

    /// A request of ours is open, with an offer where `offers`.
    pub fn is_open(&self, offers: bool) -> bool {
        self.sent.as_ref().is_some_and(|sent| !offers || sent.sdp.is_some())
    }

    pub fn poll_timeout(&self) -> Option<Deadline> {
        match &self.sent {
            Some(sent) => Some((sent.give_up, "no answer to our re-INVITE")),
            None => self.again.map(|again| (again, "offer to be made again")),
        }
    }

    /// Something is to be sent, and may be as far as we know.
    fn is_due(&mut self, now: Mono) -> bool {
        self.again.take_if(|again| *again <= now);
        let wanted = self.wanted.is_some() || self.refresh && !self.asking;
        self.sent.is_none() && self.again.is_none() && wanted
    }
}

/// RFC 3261 §14.1: who made the Call-ID waits longer.
fn back_off(ours: bool, random: &mut Random) -> Duration {
    match ours {
        true => Duration::from_millis(2100 + 10 * random.below(191)),
        false => Duration::from_millis(10 * random.below(201)),
    }
}

impl Endpoint {
    pub(super) fn make_offer(&mut self, id: LegId, sdp: Vec<u8>, now: Now) {
        let Some(leg) = self.legs.get_mut(id) else { return };
        if matches!(leg.state, State::Closing { .. }) {
            return;
        }
        leg.exchange.wanted = Some(sdp);
        (leg.exchange.tries, leg.exchange.again) = (0, None);
        self.pursue(id, now);
    }

    /// The owner has nothing to offer in a refresh but what is in force.
    pub(super) fn refresh_as_it_was(&mut self, id: LegId, now: Now) {
        let Some(leg) = self.legs.get_mut(id) else { return };
        if let (true, Some(said)) = (leg.exchange.was_asking(), leg.exchange.said.clone()) {
            self.make_offer(id, said, now);
        }
    }

    /// Sends what is wanted as soon as nothing else is open (RFC 6337 §4.3).
    pub(super) fn pursue(&mut self, id: LegId, now: Now) {
        let full = self.is_full();
        let Some(leg) = self.legs.get_mut(id) else { return };
        if !leg.exchange.is_due(now.mono) || leg.offer.is_some() {
            return;
        }
        if full {
            leg.exchange.again = Some(now.mono + CROWDED);
            return;
        }
        let Some(method) = method_for(leg) else { return };
        if method == Method::Invite && leg.exchange.wanted.is_none() && leg.exchange.is_limited() {
            leg.exchange.asking = true;
            return self.report(Event::Offer { leg: id, sdp: None });
        }
        let sdp = match (leg.exchange.wanted.take(), method) {
            (Some(wanted), _) => Some((wanted, true)),
            (None, Method::Invite) => leg.exchange.said.clone().map(|said| (said, false)),
            (None, _) => None,
        };
        let asked = sdp.as_ref().is_some_and(|(_, asked)| *asked);
        let sdp = sdp.map(|(sdp, _)| sdp);
        let refreshes = matches!(leg.state, State::Established { .. });
        let timer = if refreshes { leg.timer.request(false) } else { vec![] };
        let dialog = match &mut leg.dialog {
            Some(dialog) => dialog,
            None => match leg.forks.agreed() {
                Some(fork) => &mut fork.dialog,
                None => return,
            },
        };
        let mut request = dialog.request(method, &self.account);
        let trusted = dialog.ends_at_pbx(&self.account);
        let contact = dialog.contact(&self.account);
        leg.exchange.refresh = false;
        request.headers = vec![
            ("Contact".to_owned(), contact.into_bytes()),
            ("Allow".to_owned(), ALLOW.into()),
            ("Supported".to_owned(), SUPPORTED.into()),
        ];
        request.headers.extend(timer);
        request.body = sdp.clone().map(|sdp| (SDP.to_owned(), sdp));
        let client = self.start_client(request, Purpose::Offer { leg: id, trusted }, now);
        if let Some(leg) = self.legs.get_mut(id) {
            let give_up = now.mono + 2 * PATIENCE;
            leg.exchange.sent =
                Some(Sent { client, method, sdp, refreshes, asked, give_up, cancelled: false });
        }
    }

    /// It went out again with credentials.
    pub(super) fn set_offer_client(&mut self, id: LegId, again: ClientKey) {
        if let Some(sent) = self.legs.get_mut(id).and_then(|leg| leg.exchange.sent.as_mut()) {
            sent.client = again;
        }
    }

    pub(super) fn on_offer_response(
        &mut self,
        key: &ClientKey,
        id: LegId,
        response: &Response,
        now: Now,
    ) {
        if response.status < 200 {
            return;
        }
        if response.status < 300 && self.acknowledge_offer(key, id, response) {
            return;
        }
        let Some(leg) = self.legs.get_mut(id) else { return };
        let Some(sent) = leg.exchange.sent.take_if(|sent| sent.client == *key) else { return };
        if !matches!(leg.state, State::Closing { .. }) {
            match response.status {
                200..300 => self.on_offer_taken(id, sent, response, now),
                422 => {
                    let helps = leg.timer.handle_422(&response.wire);
                    self.try_again(id, sent, helps.then_some(Duration::ZERO), 422, now);
                }
                405 | 501 if sent.method == Method::Update => {
                    if let Some(dialog) = &mut leg.dialog {
                        dialog.takes_update = false;
                    }
                    self.try_again(id, sent, Some(Duration::ZERO), response.status, now);
                }
                status => {
                    let wait = response.retry_after().filter(|wait| *wait <= RETRY_MAX);
                    self.on_offer_failed(id, sent, status, wait, now);
                }
            }
        }
        self.pursue(id, now);
    }

    /// No final response came.
    pub(super) fn on_offer_gone(&mut self, key: &ClientKey, id: LegId, status: u16, now: Now) {
        let Some(leg) = self.legs.get_mut(id) else { return };
        let Some(sent) = leg.exchange.sent.take_if(|sent| sent.client == *key) else { return };
        if !matches!(leg.state, State::Closing { .. }) {
            self.on_offer_failed(id, sent, status, None, now);
        }
        self.pursue(id, now);
    }

    /// §13.2.2.4: a 2xx to re-INVITE is acknowledged each time it comes; true for a repeated one.
    fn acknowledge_offer(&mut self, key: &ClientKey, id: LegId, response: &Response) -> bool {
        let Some(client) = self.clients.get_mut(key) else { return false };
        if client.draft.method != Method::Invite {
            return false;
        }
        if let Some((_, ack)) = client.acks.first() {
            let ack = ack.clone();
            self.transmit(ack);
            return true;
        }
        let invite = Draft::clone(&client.draft);
        let dialog = self.legs.get_mut(id).and_then(|leg| leg.dialog.as_mut());
        let mut ack = match dialog {
            Some(dialog) => {
                dialog.refresh_target(&response.wire);
                dialog.ack(invite.cseq, &self.account)
            }
            None => Draft { method: Method::Ack, headers: vec![], body: None, ..invite.clone() },
        };
        let proofs = invite.headers.into_iter();
        ack.headers.extend(proofs.filter(|(name, _)| name.ends_with("Authorization")));
        let branch = self.new_branch();
        let ack = ack.write(&self.account, &branch);
        if let Some(client) = self.clients.get_mut(key) {
            client.acks.push((response.to_tag.clone().unwrap_or_default(), ack.clone()));
        }
        self.transmit(ack);
        false
    }

    fn on_offer_taken(&mut self, id: LegId, sent: Sent, response: &Response, now: Now) {
        let Some(leg) = self.legs.get_mut(id) else { return };
        if let Some(dialog) = leg.dialog_with(response.to_tag.as_deref()) {
            dialog.refresh_target(&response.wire);
        }
        if sent.refreshes {
            leg.timer.handle_2xx(&response.wire, now.mono);
        }
        leg.exchange.tries = 0;
        let Some(offered) = sent.sdp else { return };
        let Some(sdp) = response.sdp() else {
            // Nothing was agreed on, so nothing changes.
            if sent.asked {
                self.report(Event::OfferRefused { leg: id, status: 488 });
            }
            return;
        };
        leg.exchange.say(Some(&offered));
        let news = leg.exchange.heard(Some(&sdp));
        if let Some(fork) = response.to_tag.as_deref().and_then(|tag| leg.forks.find(tag)) {
            fork.sdp = Some(sdp.clone());
        }
        if sent.asked || news {
            self.report(Event::Answer { leg: id, sdp });
        }
    }

    fn on_offer_failed(
        &mut self,
        id: LegId,
        sent: Sent,
        status: u16,
        retry_after: Option<u32>,
        now: Now,
    ) {
        let Some(leg) = self.legs.get_mut(id) else { return };
        let established = matches!(leg.state, State::Established { .. });
        let wait = match (status, retry_after) {
            // §12.2.1.2: the peer knows nothing of this session any more.
            (408 | 481, _) if established && !sent.cancelled => {
                return self.lose_session(id, Ending::Lost, now);
            }
            (491, _) => Some(back_off(leg.ours, &mut self.random)),
            (500 | 503, Some(seconds)) => Some(Duration::from_secs(u64::from(seconds))),
            _ => None,
        };
        self.try_again(id, sent, wait, status, now);
    }

    /// After `wait`, unless it was tried too often; a newer wish of the owner goes first. None: it
    /// was refused, the session stays as it was.
    fn try_again(&mut self, id: LegId, sent: Sent, wait: Option<Duration>, status: u16, now: Now) {
        let Some(leg) = self.legs.get_mut(id) else { return };
        let exchange = &mut leg.exchange;
        exchange.tries = exchange.tries.saturating_add(1);
        let wait = wait.filter(|_| exchange.tries <= TRIES_MAX);
        match wait {
            Some(wait) => {
                exchange.again = Some(now.mono + wait);
                exchange.refresh |= !sent.asked;
                if let (true, None) = (sent.asked, &exchange.wanted) {
                    exchange.wanted = sent.sdp;
                }
            }
            None => {
                exchange.tries = 0;
                if sent.asked {
                    self.report(Event::OfferRefused { leg: id, status });
                }
            }
        }
    }

    /// The session is over: whatever becomes of our request.
    pub(super) fn leave_exchange(&mut self, id: LegId, now: Now) {
        let sent = self.legs.get_mut(id).and_then(|leg| leg.exchange.sent.take());
        if let Some(sent) = sent {
            self.leave_client(&sent.client, now);
        }
    }

    pub(super) fn exchange_timeout(&mut self, id: LegId, now: Now) {
        let Some(leg) = self.legs.get_mut(id) else { return };
        let late = |sent: &&mut Sent| sent.give_up <= now.mono;
        if let Some(sent) = leg.exchange.sent.as_mut().filter(late) {
            let client = sent.client.clone();
            if sent.cancelled || sent.method != Method::Invite {
                self.forget_client(&client);
                return self.on_offer_gone(&client, id, 408, now);
            }
            (sent.cancelled, sent.give_up) = (true, now.mono + PATIENCE);
            self.start_cancel(&client, now);
        }
        self.pursue(id, now);
    }

    pub(super) fn timer_timeout(&mut self, id: LegId, now: Now) {
        let Some(leg) = self.legs.get_mut(id) else { return };
        if !matches!(leg.state, State::Established { .. }) {
            return;
        }
        match leg.timer.handle_timeout(now.mono) {
            Some(Due::Refresh) => {
                leg.exchange.refresh = true;
                self.pursue(id, now);
            }
            Some(Due::Expired) => self.lose_session(id, Ending::Expired, now),
            None => {}
        }
    }
}

/// UPDATE for a refresh and in early dialogs, re-INVITE for offers; `None` while the peer takes
/// neither.
fn method_for(leg: &mut Leg) -> Option<Method> {
    let wanted = leg.exchange.wanted.is_some();
    match &leg.state {
        State::Established { confirmed } => {
            if !confirmed || !leg.unacked.is_empty() {
                return None;
            }
            let takes_update = leg.dialog.as_ref().is_some_and(|dialog| dialog.takes_update);
            Some(if wanted || !takes_update { Method::Invite } else { Method::Update })
        }
        State::Ringing { .. } => {
            let takes_update = leg.dialog.as_ref().is_some_and(|dialog| dialog.takes_update);
            (wanted && takes_update && leg.reliable.is_agreed()).then_some(Method::Update)
        }
        State::Calling { cancel: Cancel::No, .. } => {
            let takes_update = leg.forks.agreed().is_some_and(|fork| fork.dialog.takes_update);
            (wanted && takes_update).then_some(Method::Update)
        }
        State::Calling { cancel: Cancel::Wanted | Cancel::Sent { .. }, .. }
        | State::Closing { .. } => None,
    }
}
