//! Where phones are that have registered with us (RFC 3261 §10.3), in this run and the one before.

use crate::protocol::now::Mono;
use crate::protocol::sip::Peer;
use crate::protocol::sip::address::{NameAddr, Uri};
use crate::protocol::sip::message::Request;
use crate::protocol::sip::wire::decimal;
use serde::{Deserialize, Serialize};
use std::net::SocketAddr;
use std::time::Duration;

/// Seconds of the shortest binding and of the longest, which is also that of one that asks for none:
/// a phone that was switched off is known to be gone, and one that a restart of the host has
/// forgotten is there again, within this.
const LEAST: u32 = 60;
const MOST: u32 = 120;
/// Addresses that one phone may be at: it may have changed its own and not said so.
const PLACES: usize = 4;

/// As a next run needs it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Binding {
    user: String,
    contact: Vec<u8>,
    peer: Peer,
    call_id: Vec<u8>,
    cseq: u32,
    until: Mono,
}

#[derive(Debug, Default)]
pub struct Bindings {
    all: Vec<Binding>,
    changed: bool,
}

/// Why nothing was changed, and the status that says so.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unbound {
    /// 400
    Malformed,
    /// 423 with this Min-Expires (§10.3 step 7).
    TooBrief(u32),
    /// 500: a newer request came first.
    OutOfOrder,
}

impl Bindings {
    /// What a REGISTER of this user asks; the Contacts of the 200 to it.
    ///
    /// # Errors
    /// Why it is not done; then nothing is changed.
    pub fn register(
        &mut self,
        user: &str,
        request: &Request,
        from: Peer,
        now: Mono,
    ) -> Result<Vec<Vec<u8>>, Unbound> {
        self.all.retain(|one| one.until > now);
        let contacts: Vec<&[u8]> = request.wire.list("contact").collect();
        let header = request.wire.header("expires").map(seconds);
        if contacts.iter().any(|contact| contact.trim_ascii() == b"*") {
            if contacts.len() != 1 || header != Some(0) {
                return Err(Unbound::Malformed);
            }
            self.is_newest(user, None, request)?;
            self.all.retain(|one| one.user != user);
            self.changed = true;
            return Ok(vec![]);
        }
        let mut wanted = vec![];
        for contact in contacts.into_iter().take(PLACES + 1) {
            let contact = NameAddr::parse(contact).ok_or(Unbound::Malformed)?;
            let uri = Uri::parse(&contact.uri).ok_or(Unbound::Malformed)?;
            if !matches!(&*uri.scheme, "sip" | "sips") || contact.uri.len() > 256 {
                return Err(Unbound::Malformed);
            }
            let asked = contact.param("expires").map(seconds).or(header).unwrap_or(MOST);
            if (1..LEAST).contains(&asked) {
                return Err(Unbound::TooBrief(LEAST));
            }
            self.is_newest(user, Some(&contact.uri), request)?;
            wanted.push((contact.uri, asked.min(MOST)));
        }
        if wanted.len() > PLACES {
            return Err(Unbound::Malformed);
        }
        for (contact, granted) in wanted {
            self.bind(user, contact, granted, request, from, now);
        }
        Ok(self.granted(user, now))
    }

    /// Whose phone is at this very address.
    pub fn at(&self, from: SocketAddr, now: Mono) -> Option<&str> {
        let here = self.all.iter().rev();
        let mut here = here.filter(|one| one.peer.addr == from && one.until > now);
        here.next().map(|one| one.user.as_str())
    }

    /// Where this user's phone is: the place that it told of last.
    pub fn of(&self, user: &str, now: Mono) -> Option<(&[u8], Peer)> {
        let mut here = self.all.iter().rev().filter(|one| one.user == user && one.until > now);
        here.next().map(|one| (one.contact.as_slice(), one.peer))
    }

    /// What an earlier run knew, where `fits` says that it still holds.
    pub fn restore(&mut self, saved: Vec<Binding>, fits: impl Fn(&str, Peer) -> bool, now: Mono) {
        let fits = |one: &Binding| one.until > now && fits(&one.user, one.peer);
        self.all.extend(saved.into_iter().filter(fits));
        self.changed = true;
    }

    pub fn is_changed(&self) -> bool {
        self.changed
    }

    /// All of them, where any has changed since this was last asked.
    pub fn take_changes(&mut self) -> Option<Vec<Binding>> {
        std::mem::take(&mut self.changed).then(|| self.all.clone())
    }

    pub fn len(&self) -> usize {
        self.all.len()
    }

    /// §10.3 step 7: of one Call-ID the higher number is the newer wish.
    fn is_newest(&self, user: &str, at: Option<&[u8]>, request: &Request) -> Result<(), Unbound> {
        let mut known = self.all.iter().filter(|one| {
            let here = at.is_none_or(|contact| one.contact == contact);
            here && one.user == user && one.call_id == request.call_id
        });
        match known.all(|one| one.cseq < request.cseq) {
            true => Ok(()),
            false => Err(Unbound::OutOfOrder),
        }
    }

    fn bind(
        &mut self,
        user: &str,
        contact: Vec<u8>,
        granted: u32,
        request: &Request,
        from: Peer,
        now: Mono,
    ) {
        self.changed = true;
        self.all.retain(|one| one.user != user || one.contact != contact);
        if granted == 0 {
            return;
        }
        let mut places = self.all.iter().enumerate().filter(|(_, one)| one.user == user);
        if places.clone().count() >= PLACES
            && let Some((oldest, _)) = places.next()
        {
            self.all.remove(oldest);
        }
        self.all.push(Binding {
            user: user.to_owned(),
            contact,
            peer: from,
            call_id: request.call_id.clone(),
            cseq: request.cseq,
            until: now + Duration::from_secs(granted.into()),
        });
    }

    /// Every binding of the user with what is left of it (§10.3 step 8).
    fn granted(&self, user: &str, now: Mono) -> Vec<Vec<u8>> {
        let mine = self.all.iter().filter(|one| one.user == user);
        let left = |one: &Binding| one.until.since(now).as_millis().div_ceil(1000);
        mine.map(|one| {
            let expires = format!(">;expires={}", left(one)).into_bytes();
            [b"<".as_slice(), &one.contact, &expires].concat()
        })
        .collect()
    }
}

/// A number too big for us is a long time; what is no number asks for none (§10.2.1.1).
fn seconds(value: &[u8]) -> u32 {
    let digits = !value.is_empty() && value.iter().all(u8::is_ascii_digit);
    match decimal(value, u64::from(u32::MAX)) {
        Some(number) => u32::try_from(number).unwrap_or(u32::MAX),
        None if digits => u32::MAX,
        None => MOST,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::sip::{Transport, wire};

    fn peer(host: u8) -> Peer {
        Peer { transport: Transport::Udp, addr: ([192, 0, 2, host], 5060).into() }
    }

    fn at(seconds: u64) -> Mono {
        Mono(seconds * 1_000_000_000)
    }

    fn register(cseq: u32, lines: &str) -> Request {
        let text = format!(
            "REGISTER sip:192.0.2.9 SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK{cseq}\r\n\
             From: <sip:801@192.0.2.9>;tag=a\r\nTo: <sip:801@192.0.2.9>\r\nCall-ID: one\r\n\
             CSeq: {cseq} REGISTER\r\n{lines}Content-Length: 0\r\n\r\n"
        );
        Request::read(wire::parse(text.as_bytes()).unwrap()).unwrap()
    }

    fn texts(granted: Result<Vec<Vec<u8>>, Unbound>) -> Vec<String> {
        granted.unwrap().into_iter().map(|one| String::from_utf8(one).unwrap()).collect()
    }

    const HERE: &str = "Contact: <sip:801@192.0.2.1:5060>\r\n";

    #[test]
    fn section_10_3_a_binding_is_granted_refreshed_asked_for_and_removed() {
        let mut bindings = Bindings::default();
        let mut ask = |cseq, lines: &str, now| {
            bindings.register("801", &register(cseq, lines), peer(1), at(now))
        };
        let expires = |seconds: u32| format!("{HERE}Expires: {seconds}\r\n");
        assert_eq!(texts(ask(1, HERE, 0)), ["<sip:801@192.0.2.1:5060>;expires=120"]);
        assert_eq!(texts(ask(2, &expires(90), 10)), ["<sip:801@192.0.2.1:5060>;expires=90"]);
        assert_eq!(texts(ask(3, "", 40)), ["<sip:801@192.0.2.1:5060>;expires=60"], "asked for");
        assert_eq!(
            texts(ask(4, &expires(99_999_999), 40)),
            ["<sip:801@192.0.2.1:5060>;expires=120"]
        );
        assert_eq!(ask(5, &expires(59), 40), Err(Unbound::TooBrief(60)));
        assert_eq!(ask(4, &expires(90), 41), Err(Unbound::OutOfOrder));
        assert_eq!(texts(ask(6, &expires(0), 42)), [""; 0]);
        assert_eq!(texts(ask(7, HERE, 43)).len(), 1);
        assert_eq!(ask(8, "Contact: *\r\n", 44), Err(Unbound::Malformed), "without Expires: 0");
        assert_eq!(texts(ask(9, "Contact: *\r\nExpires: 0\r\n", 45)), [""; 0]);
    }

    #[test]
    fn section_10_3_a_binding_is_over_at_its_second_and_only_where_it_was_made() {
        let mut bindings = Bindings::default();
        let lines = format!("{HERE}Expires: 60\r\n");
        bindings.register("801", &register(1, &lines), peer(1), at(0)).unwrap();
        assert_eq!(bindings.at(peer(1).addr, at(59)), Some("801"));
        assert_eq!(bindings.at(peer(2).addr, at(59)), None);
        let other_port = SocketAddr::new(peer(1).addr.ip(), 5062);
        assert_eq!(bindings.at(other_port, at(59)), None);
        assert_eq!(bindings.at(peer(1).addr, at(60)), None);
    }

    #[test]
    fn what_an_earlier_run_knew_holds_while_it_would_have_then() {
        let mut bindings = Bindings::default();
        assert!(!bindings.is_changed());
        bindings.register("801", &register(5, HERE), peer(1), at(0)).unwrap();
        let there = "Contact: <sip:802@192.0.2.2:5060>\r\n";
        bindings.register("802", &register(5, there), peer(2), at(0)).unwrap();
        let saved = bindings.take_changes().expect("two bindings");
        assert_eq!((bindings.take_changes(), saved.len()), (None, 2));
        let next = |known: &'static str, now| {
            let mut next = Bindings::default();
            next.restore(saved.clone(), |user, _| user == known, at(now));
            next
        };
        let mut known = next("801", 119);
        assert_eq!(known.at(peer(1).addr, at(119)), Some("801"));
        assert_eq!(known.at(peer(2).addr, at(119)), None, "not configured any more");
        let older = known.register("801", &register(5, HERE), peer(1), at(119));
        assert_eq!(older, Err(Unbound::OutOfOrder), "its numbers go on");
        assert_eq!(known.take_changes().map(|all| all.len()), Some(1), "told to the run after");
        assert_eq!(next("801", 120).len(), 0, "over meanwhile");
    }

    #[test]
    fn rel_a_phone_cannot_fill_the_table() {
        let mut bindings = Bindings::default();
        for n in 1..100u32 {
            let contact = format!("Contact: <sip:801@192.0.2.1:{}>\r\n", 5000 + n);
            bindings.register("801", &register(n, &contact), peer(1), at(0)).unwrap();
        }
        assert_eq!(bindings.len(), PLACES);
        let many = "Contact: <sip:a@b>, <sip:c@d>, <sip:e@f>, <sip:g@h>, <sip:i@j>\r\n";
        let refused = bindings.register("801", &register(200, many), peer(1), at(0));
        assert_eq!(refused, Err(Unbound::Malformed));
        for bad in ["Contact: <tel:110>\r\n", "Contact: nonsense\r\n"] {
            let refused = bindings.register("801", &register(300, bad), peer(1), at(0));
            assert_eq!(refused, Err(Unbound::Malformed), "{bad}");
        }
    }
}
