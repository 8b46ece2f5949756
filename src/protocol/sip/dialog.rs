//! Dialogs (RFC 3261 §12), early ones included.

use super::address::{NameAddr, Uri};
use super::draft::{self, Draft};
use super::message::{Method, Request, Response, user_of};
use super::wire::Message;
use super::{Account, AorId, Peer, Transport};
use serde::{Deserialize, Serialize};
use std::net::SocketAddr;

/// Requests that a checkpoint may have missed.
pub const CSEQ_SKIP: u32 = 16;

/// One dialog, from our side.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Dialog {
    pub call_id: Vec<u8>,
    /// From and To of our requests, tags included.
    local: Vec<u8>,
    remote: Vec<u8>,
    /// Empty for a peer that gives none (RFC 2543).
    pub remote_tag: Vec<u8>,
    /// Remote target: the Request-URI of our requests.
    target: Vec<u8>,
    routes: Vec<Vec<u8>>,
    pub local_cseq: u32,
    remote_cseq: Option<u32>,
    /// The peer's Allow has UPDATE (RFC 3311 §4).
    pub takes_update: bool,
    /// Where its requests go whatever its addresses say: a phone that has registered with us.
    pub hop: Option<Peer>,
    /// Of ours, the one that calls or is called.
    #[serde(default)]
    pub aor: AorId,
}

impl Dialog {
    /// §12.1.1: from an INVITE we are going to answer with `local_tag`.
    pub fn of_server(invite: &Request, local_tag: &[u8], first_cseq: u32) -> Self {
        let header = |name| invite.wire.header(name).unwrap_or_default().to_vec();
        let remote = header("from");
        let from_uri = NameAddr::parse(&remote).map(|from| from.uri).unwrap_or_default();
        Self {
            call_id: invite.call_id.clone(),
            local: [&header("to")[..], b";tag=", local_tag].concat(),
            remote,
            remote_tag: invite.from_tag.clone().unwrap_or_default(),
            target: contact_of(&invite.wire).unwrap_or(from_uri),
            routes: invite.wire.list("record-route").map(<[u8]>::to_vec).collect(),
            local_cseq: first_cseq,
            remote_cseq: Some(invite.cseq),
            takes_update: invite.wire.has("allow", "UPDATE"),
            hop: None,
            aor: AorId::default(),
        }
    }

    /// §12.1.2: from the response to our INVITE; `hop`: the phone that it went to, where that has registered with us.
    pub fn of_client(invite: &Draft, response: &Response, hop: Option<Peer>) -> Self {
        Self {
            call_id: invite.call_id.clone(),
            local: invite.from.clone(),
            remote: response.wire.header("to").unwrap_or_default().to_vec(),
            remote_tag: response.to_tag.clone().unwrap_or_default(),
            target: contact_of(&response.wire).unwrap_or_else(|| invite.uri.clone()),
            routes: recorded(response),
            local_cseq: invite.cseq,
            remote_cseq: None,
            takes_update: response.wire.has("allow", "UPDATE"),
            hop,
            aor: invite.aor,
        }
    }

    /// §13.2.2.4: the 2xx makes the early dialog a confirmed one, with its own route.
    pub fn confirm(&mut self, response: &Response) {
        self.routes = recorded(response);
        self.refresh_target(&response.wire);
    }

    /// Of the far end's From or To.
    pub fn remote_user(&self) -> String {
        NameAddr::parse(&self.remote).map(|it| user_of(&it.uri)).unwrap_or_default()
    }

    pub fn has_remote_tag(&self, tag: Option<&[u8]>) -> bool {
        self.remote_tag == tag.unwrap_or_default()
    }

    /// §12.2.2: a request must be newer than the last; an ACK repeats its INVITE's number.
    pub fn accept_cseq(&mut self, number: u32) -> bool {
        if self.remote_cseq.is_some_and(|last| number <= last) {
            return false;
        }
        self.remote_cseq = Some(number);
        true
    }

    /// §12.2.2: INVITE, UPDATE and their 2xx may move the remote target. Allow comes with them.
    pub fn refresh_target(&mut self, message: &Message) {
        if let Some(target) = contact_of(message) {
            self.target = target;
        }
        if message.header("allow").is_some() {
            self.takes_update = message.has("allow", "UPDATE");
        }
    }

    /// Beyond every number that may have been used since this dialog was written down (§12.2.2:
    /// numbers may be left out).
    pub fn skip_ahead(&mut self) {
        self.local_cseq += CSEQ_SKIP;
    }

    /// §12.2.1.1: a new request within the dialog.
    pub fn request(&mut self, method: Method, account: &Account) -> Draft {
        self.local_cseq += 1;
        self.draft(method, self.local_cseq, account)
    }

    /// §13.2.2.4: the ACK to a 2xx is a request of the dialog with the INVITE's number.
    pub fn ack(&self, cseq: u32, account: &Account) -> Draft {
        self.draft(Method::Ack, cseq, account)
    }

    fn draft(&self, method: Method, cseq: u32, account: &Account) -> Draft {
        let (mut uri, mut routes) = (self.target.clone(), self.routes.clone());
        let next = routes.first().and_then(|route| NameAddr::parse(route)).map(|route| route.uri);
        let loose = |uri: &[u8]| Uri::parse(uri).is_some_and(|uri| uri.has_param("lr"));
        if let Some(strict) = next.clone().filter(|uri| !loose(uri)) {
            routes.remove(0);
            routes.push([b"<", &uri[..], b">"].concat());
            uri = strict;
        }
        Draft {
            method,
            aor: self.aor,
            peer: self
                .hop
                .unwrap_or_else(|| next_hop(next.as_deref().unwrap_or(&self.target), account)),
            uri,
            from: self.local.clone(),
            to: self.remote.clone(),
            call_id: self.call_id.clone(),
            cseq,
            routes,
            headers: vec![],
            body: None,
        }
    }

    /// Where the far end reaches us.
    pub fn contact(&self, account: &Account) -> String {
        let transport = self.hop.map_or(account.pbx.transport, |hop| hop.transport);
        draft::contact_by(account, self.aor, transport)
    }

    /// Whether the PBX itself is the far end: only it may ask for our password here.
    pub fn ends_at_pbx(&self, account: &Account) -> bool {
        if self.hop.is_some() {
            return false;
        }
        let uris = self.routes.iter().filter_map(|route| NameAddr::parse(route)).map(|r| r.uri);
        uris.chain([self.target.clone()]).all(|uri| {
            let ip = Uri::parse(&uri).and_then(|uri| uri.ip());
            ip.is_some_and(|ip| account.is_pbx(ip))
        })
    }
}

/// Where a URI points, when we trust that address; else the PBX. Names are never resolved: others
/// must not choose whom we send to.
fn next_hop(uri: &[u8], account: &Account) -> Peer {
    let Some(uri) = Uri::parse(uri) else { return account.pbx };
    let Some(ip) = uri.ip().filter(|&ip| account.trusts(ip)) else { return account.pbx };
    // A line over TLS stays on TLS, on the connection that was checked (RFC 5923).
    if account.pbx.transport == Transport::Tls && account.is_pbx(ip) {
        let same = |peer: &&Peer| peer.addr.ip().to_canonical() == ip.to_canonical();
        return account.peers.iter().find(same).copied().unwrap_or(account.pbx);
    }
    let transport = match uri.param("transport") {
        Some(name) if name.eq_ignore_ascii_case(b"tcp") => Transport::Tcp,
        Some(name) if name.eq_ignore_ascii_case(b"udp") => Transport::Udp,
        Some(_) | None => account.pbx.transport,
    };
    let addr = SocketAddr::new(ip, uri.port.unwrap_or(transport.default_port()));
    Peer { transport, addr }
}

/// §12.1.2: the route of who called, from the response.
fn recorded(response: &Response) -> Vec<Vec<u8>> {
    let mut routes: Vec<_> = response.wire.list("record-route").map(<[u8]>::to_vec).collect();
    routes.reverse();
    routes
}

fn contact_of(message: &Message) -> Option<Vec<u8>> {
    let contact = NameAddr::parse(message.list("contact").next()?)?;
    Uri::parse(&contact.uri).is_some().then_some(contact.uri)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::sip::{Habits, wire};

    fn account() -> Account {
        Account {
            local: "192.0.2.10:5060".parse().unwrap(),
            pbx: Peer { transport: Transport::Tcp, addr: "192.0.2.1:5060".parse().unwrap() },
            peers: vec![],
            habits: Habits::default(),
            domain: "duty.example".into(),
            user: "101".into(),
            display: String::new(),
            auth_user: "101".into(),
            password: String::new(),
            realm: None,
            expires: 60,
            others: vec![],
            session_expires: 1800,
            also_trusted: vec!["2001:db8::7".parse().unwrap()],
            agent: String::new(),
        }
    }

    fn served(more: &str) -> Dialog {
        let text = format!(
            "INVITE sip:101@a SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bKx\r\n\
             From: <sip:c@b>;tag=f\r\nTo: <sip:101@a>\r\nCall-ID: i\r\nCSeq: 7 INVITE\r\n{more}\r\n"
        );
        let invite = Request::read(wire::parse(text.as_bytes()).unwrap()).unwrap();
        Dialog::of_server(&invite, b"mine", 10)
    }

    #[test]
    fn section_12_1_1_the_server_side_copies_the_route_in_order() {
        let mut dialog =
            served("Contact: <sip:c@192.0.2.1:5070>\r\nRecord-Route: <sip:p1;lr>, <sip:p2;lr>\r\n");
        let bye = dialog.request(Method::Bye, &account());
        assert_eq!((bye.uri.as_slice(), bye.cseq), (&b"sip:c@192.0.2.1:5070"[..], 11));
        assert_eq!(bye.routes, [b"<sip:p1;lr>", b"<sip:p2;lr>"]);
        assert_eq!(bye.from, b"<sip:101@a>;tag=mine");
        assert_eq!(bye.to, b"<sip:c@b>;tag=f");
        assert_eq!(bye.peer, account().pbx);
    }

    #[test]
    fn section_12_1_2_the_client_side_reverses_it() {
        let mut first = served("");
        let invite = first.request(Method::Invite, &account());
        let text = "SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP 192.0.2.10;branch=z9hG4bKx\r\nFrom: x\r\n\
            To: <sip:200@a>;tag=t\r\nCall-ID: i\r\nCSeq: 11 INVITE\r\nContact: <sip:200@h>\r\n\
            Record-Route: <sip:p1;lr>, <sip:p2;lr>\r\n\r\n";
        let response = Response::read(wire::parse(text.as_bytes()).unwrap()).unwrap();
        let dialog = Dialog::of_client(&invite, &response, None);
        let ack = dialog.ack(invite.cseq, &account());
        assert_eq!(ack.routes, [b"<sip:p2;lr>", b"<sip:p1;lr>"]);
        assert_eq!((ack.to.as_slice(), ack.cseq), (&b"<sip:200@a>;tag=t"[..], 11));
        assert!(dialog.has_remote_tag(Some(b"t")) && !dialog.has_remote_tag(None));
    }

    #[test]
    fn section_12_2_2_numbers_rise_and_the_target_moves() {
        let mut dialog = served("Contact: <sip:c@192.0.2.1>\r\n");
        assert!(!dialog.accept_cseq(6) && !dialog.accept_cseq(7));
        assert!(dialog.accept_cseq(9) && !dialog.accept_cseq(8));
        let update = b"UPDATE sip:a SIP/2.0\r\nm: <sip:new@192.0.2.1>\r\n\r\n";
        dialog.refresh_target(&wire::parse(update).unwrap());
        let unreadable = b"UPDATE sip:a SIP/2.0\r\nm: <:>\r\n\r\n";
        dialog.refresh_target(&wire::parse(unreadable).unwrap());
        assert_eq!(dialog.request(Method::Bye, &account()).uri, b"sip:new@192.0.2.1");
    }

    #[test]
    fn rel_16_the_next_hop_is_somebody_we_trust() {
        let hop = |uri: &str| {
            let peer = next_hop(uri.as_bytes(), &account());
            (peer.transport, peer.addr.to_string())
        };
        let pbx = (Transport::Tcp, "192.0.2.1:5060".to_owned());
        assert_eq!(hop("sip:a@192.0.2.1"), pbx);
        assert_eq!(hop("sip:a@192.0.2.1:5080;transport=UDP").1, "192.0.2.1:5080");
        assert_eq!(hop("sip:a@192.0.2.1;transport=udp").0, Transport::Udp);
        assert_eq!(hop("sip:a@[2001:db8::7]:5062").1, "[2001:db8::7]:5062");
        for foreign in ["sip:a@203.0.113.9", "sip:localhost", "sip:a@127.0.0.1:22", "tel:1", "?"] {
            assert_eq!(hop(foreign), pbx, "{foreign}");
        }
    }

    #[test]
    fn rel_05_the_far_end_is_the_pbx_only_when_every_hop_is() {
        let at_pbx = |more: &str| served(more).ends_at_pbx(&account());
        assert!(at_pbx("Contact: <sip:c@192.0.2.1:5099>\r\n"));
        assert!(!at_pbx("Contact: <sip:c@192.0.2.2>\r\n"));
        assert!(!at_pbx(""));
        let route = "Contact: <sip:c@192.0.2.1>\r\nRecord-Route: <sip:192.0.2.9;lr>\r\n";
        assert!(!at_pbx(route));
    }
}
