//! A peer that asks us to call somebody else in its stead (REFER within a session, RFC 3515, 3892,
//! 4488) and is told how that goes; a call that takes another's place (Replaces, RFC 3891).

use super::Endpoint;
use super::client::Purpose;
use super::legs::State;
use super::servers::ServerKey;
use crate::protocol::now::{Deadline, Mono, Now};
use crate::protocol::sip::address::{NameAddr, Uri};
use crate::protocol::sip::message::{Method, Request, reason};
use crate::protocol::sip::text::{decode, percent_decode};
use crate::protocol::sip::{Event, LegId, Peer, Referred};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// How long the peer is told how its REFER goes.
pub const SUBSCRIPTION: Duration = Duration::from_secs(60);
/// Longest Replaces or Referred-By that is handed on.
const HANDED_ON_MAX: usize = 512;

/// A REFER of the peer, and the subscription that it implies (RFC 3515 §2.4.4).
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Referral {
    /// Until the owner has answered it.
    server: Option<ServerKey>,
    /// RFC 4488: without, nobody is told anything.
    subscribed: bool,
    /// §2.4.6: the REFER that is meant, from the second one of the session on.
    id: Option<u32>,
    until: Mono,
    /// A NOTIFY is on its way; the newest status that waits for its answer.
    sending: bool,
    next: Option<u16>,
}

impl Referral {
    pub fn poll_timeout(&self) -> Deadline {
        (self.until, "subscription of a REFER is over")
    }
}

/// The session that an INVITE wants to replace (RFC 3891 §6.1), by our own side's names.
#[derive(Debug, PartialEq, Eq)]
struct Replaces {
    call_id: Vec<u8>,
    ours: Vec<u8>,
    theirs: Vec<u8>,
    early_only: bool,
}

impl Replaces {
    fn parse(value: &[u8]) -> Option<Self> {
        let mut parts = value.split(|&b| b == b';').map(<[u8]>::trim_ascii);
        let call_id = parts.next().filter(|call_id| !call_id.is_empty())?.to_vec();
        let (mut ours, mut theirs, mut early_only) = (None, None, false);
        for part in parts {
            let mut pair = part.splitn(2, |&b| b == b'=').map(<[u8]>::trim_ascii);
            let (name, value) = (pair.next()?.to_ascii_lowercase(), pair.next());
            let tag = match name.as_slice() {
                b"to-tag" => &mut ours,
                b"from-tag" => &mut theirs,
                b"early-only" => {
                    early_only = true;
                    continue;
                }
                _ => continue,
            };
            // §6.1: each exactly once.
            if tag.replace(value?.to_vec()).is_some() {
                return None;
            }
        }
        Some(Self { call_id, ours: ours?, theirs: theirs?, early_only })
    }
}

impl Endpoint {
    /// §2.4.2: one at a time, within a session that stands.
    pub(super) fn on_refer(&mut self, id: LegId, request: &Request, from: Peer, now: Now) {
        let Some(leg) = self.legs.get_mut(id) else { return };
        let status = match &leg.state {
            State::Closing { .. } => Some(481),
            State::Calling { .. } | State::Ringing { .. } => Some(603),
            State::Established { .. } => leg.referral.is_some().then_some(491),
        };
        if let Some(status) = status {
            return self.respond(request, from, status, now);
        }
        let mut refer = match referred(request, from) {
            Ok(refer) => refer,
            Err(status) => return self.respond(request, from, status, now),
        };
        refer.ours = self.is_with_phone(id);
        refer.consultation = self.consultation(&refer).filter(|other| *other != id);
        if self.is_full() {
            return self.respond(request, from, 503, now);
        }
        let Some(leg) = self.legs.get_mut(id) else { return };
        let tag = leg.local_tag.clone();
        let unwanted = request.wire.header("refer-sub");
        let unwanted = unwanted.is_some_and(|value| value.trim_ascii().starts_with(b"false"));
        let again = std::mem::replace(&mut leg.was_referred, true);
        let server = self.open_server(request, from, Some(id), tag);
        let referral = Referral {
            server: Some(server),
            subscribed: !unwanted,
            id: again.then_some(request.cseq),
            until: now.mono + SUBSCRIPTION,
            sending: false,
            next: None,
        };
        if let Some(leg) = self.legs.get_mut(id) {
            leg.referral = Some(referral);
        }
        self.report(Event::Refer { leg: id, refer: Box::new(refer) });
    }

    /// RFC 5589 §7: the referrer may have spoken with whom it names through us.
    fn consultation(&mut self, refer: &Referred) -> Option<LegId> {
        let named = Replaces::parse(refer.replaces.as_ref()?.as_bytes())?;
        let id = self.legs.named(&named.call_id, &named.ours, &named.theirs)?;
        let stands = matches!(self.legs.state(id), Some(State::Established { .. }));
        (stands && !named.early_only).then_some(id)
    }

    pub(super) fn take_refer(&mut self, id: LegId, now: Now) {
        let Some(referral) = self.legs.get_mut(id).and_then(|leg| leg.referral.as_mut()) else {
            return;
        };
        let Some(server) = referral.server.take() else { return };
        let headers = match referral.subscribed {
            true => vec![],
            false => vec![("Refer-Sub", b"false".to_vec())],
        };
        self.reply(&server, 202, headers, None, now);
        self.tell_referrer(id, 100, now);
    }

    pub(super) fn decline_refer(&mut self, id: LegId, status: u16, now: Now) {
        let Some(referral) = self.legs.get_mut(id).and_then(|leg| leg.referral.take()) else {
            return;
        };
        if let Some(server) = referral.server {
            self.reply(&server, status.clamp(300, 699), vec![], None, now);
        }
    }

    /// §2.4.5: the status line that we got from whom we called. A final one ends the subscription.
    pub(super) fn tell_referrer(&mut self, id: LegId, status: u16, now: Now) {
        let Some(leg) = self.legs.get_mut(id) else { return };
        let Some(referral) = &mut leg.referral else { return };
        if referral.server.is_some() {
            return;
        }
        let is_final = status >= 200;
        if referral.sending && !is_final {
            referral.next = Some(status);
            return;
        }
        referral.sending = true;
        let left = referral.until.since(now.mono).as_secs();
        let (subscribed, event_id) = (referral.subscribed, referral.id);
        let state = match is_final {
            true => "terminated;reason=noresource".to_owned(),
            false => format!("active;expires={left}"),
        };
        if is_final {
            leg.referral = None;
        }
        if subscribed {
            self.notify(id, event_id, &state, status, now);
        }
    }

    fn notify(&mut self, id: LegId, event_id: Option<u32>, state: &str, status: u16, now: Now) {
        let Some(dialog) = self.legs.get_mut(id).and_then(|leg| leg.dialog.as_mut()) else {
            return;
        };
        let contact = dialog.contact(&self.account);
        let mut notify = dialog.request(Method::Notify, &self.account);
        let event = event_id.map_or("refer".to_owned(), |id| format!("refer;id={id}"));
        let headers =
            [("Contact", contact), ("Event", event), ("Subscription-State", state.into())];
        let line = |(name, value): (&str, String)| (name.to_owned(), value.into_bytes());
        notify.headers.extend(headers.map(line));
        let fragment = format!("SIP/2.0 {status} {}\r\n", reason(status));
        notify.body = Some(("message/sipfrag;version=2.0".to_owned(), fragment.into_bytes()));
        let trusted = dialog.ends_at_pbx(&self.account);
        self.start_client(notify, Purpose::Notify { leg: id, trusted }, now);
    }

    /// The NOTIFY has its answer. A peer that knows nothing of it is told nothing more.
    pub(super) fn on_notify_over(&mut self, id: LegId, status: u16, now: Now) {
        let Some(leg) = self.legs.get_mut(id) else { return };
        let Some(referral) = &mut leg.referral else { return };
        referral.sending = false;
        if status >= 300 {
            referral.subscribed = false;
        }
        if let Some(next) = referral.next.take() {
            self.tell_referrer(id, next, now);
        }
    }

    /// Who waits no longer is told no more; what we do for it goes on.
    pub(super) fn referral_timeout(&mut self, id: LegId, now: Now) {
        let Some(leg) = self.legs.get_mut(id) else { return };
        if let Some(referral) = leg.referral.take_if(|referral| referral.until <= now.mono)
            && referral.server.is_none()
            && referral.subscribed
        {
            self.notify(id, referral.id, "terminated;reason=timeout", 100, now);
        }
    }

    /// RFC 3891 §3: the session that this INVITE wants to take the place of, or the status to
    /// refuse it with.
    pub(super) fn replaced_by(&mut self, invite: &Request) -> Result<Option<LegId>, u16> {
        let mut all = invite.wire.all("replaces");
        let Some(value) = all.next() else { return Ok(None) };
        if all.next().is_some() {
            return Err(400);
        }
        let named = Replaces::parse(value).ok_or(400_u16)?;
        let id = self.legs.named(&named.call_id, &named.ours, &named.theirs).ok_or(481_u16)?;
        match self.legs.state(id) {
            Some(State::Calling { .. }) => Ok(Some(id)),
            Some(State::Established { .. }) if named.early_only => Err(486),
            Some(State::Established { .. }) => Ok(Some(id)),
            Some(State::Closing { .. }) => Err(603),
            // An early dialog that the other side began.
            Some(State::Ringing { .. }) | None => Err(481),
        }
    }
}

fn referred(request: &Request, source: Peer) -> Result<Referred, u16> {
    let mut all = request.wire.all("refer-to");
    let value = all.next().filter(|_| all.next().is_none()).ok_or(400_u16)?;
    let target = NameAddr::parse(value).ok_or(400_u16)?;
    let uri = Uri::parse(&target.uri).ok_or(400_u16)?;
    if !matches!(&*uri.scheme, "sip" | "sips" | "tel") {
        return Err(416);
    }
    // Only a call is made for somebody else.
    if uri.param("method").is_some_and(|method| method != b"INVITE") {
        return Err(603);
    }
    let header = |name: &str| {
        let (_, headers) = split_once(&target.uri, b'?')?;
        headers.split(|&b| b == b'&').find_map(|pair| {
            let (key, value) = split_once(pair, b'=')?;
            key.eq_ignore_ascii_case(name.as_bytes()).then(|| percent_decode(value))
        })
    };
    let replaces = match header("Replaces") {
        Some(value) if is_harmless(&value) && Replaces::parse(&value).is_some() => Some(value),
        Some(_) => return Err(400),
        None => None,
    };
    let by = request.wire.header("referred-by").filter(|value| is_harmless(value));
    Ok(Referred {
        user: decode(&percent_decode(uri.user)),
        replaces: replaces.map(|value| decode(&value)),
        consultation: None,
        by: by.map(decode),
        ours: false,
        source,
    })
}

/// What may stand in a header of ours.
fn is_harmless(value: &[u8]) -> bool {
    value.len() <= HANDED_ON_MAX && value.iter().all(|b| (b' '..0x7f).contains(b))
}

fn split_once(bytes: &[u8], at: u8) -> Option<(&[u8], &[u8])> {
    let place = bytes.iter().position(|&b| b == at)?;
    Some((&bytes[..place], &bytes[place + 1..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn section_6_1_a_session_is_named_by_call_id_and_both_tags() {
        let named = Replaces::parse(b"a@b ;to-tag=mine;from-tag=yours;early-only;x=1").unwrap();
        assert_eq!((named.ours.as_slice(), named.theirs.as_slice()), (&b"mine"[..], &b"yours"[..]));
        assert!(named.early_only && named.call_id == b"a@b");
        for bad in ["", ";to-tag=1;from-tag=2", "a;to-tag=1", "a;to-tag=1;to-tag=1;from-tag=2"] {
            assert_eq!(Replaces::parse(bad.as_bytes()), None, "{bad}");
        }
    }
}
