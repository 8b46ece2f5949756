//! Dialogs (RFC 3261 §12).

use super::address::{NameAddr, Uri};
use super::draft::Draft;
use super::message::{Method, Request, Response};
use super::wire::Message;
use super::{Account, Peer, Transport};
use std::net::SocketAddr;

/// One dialog, from our side.
#[derive(Debug, Clone)]
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
        }
    }

    /// §12.1.2: from the response to our INVITE.
    pub fn of_client(invite: &Draft, response: &Response) -> Self {
        let mut routes: Vec<_> = response.wire.list("record-route").map(<[u8]>::to_vec).collect();
        routes.reverse();
        Self {
            call_id: invite.call_id.clone(),
            local: invite.from.clone(),
            remote: response.wire.header("to").unwrap_or_default().to_vec(),
            remote_tag: response.to_tag.clone().unwrap_or_default(),
            target: contact_of(&response.wire).unwrap_or_else(|| invite.uri.clone()),
            routes,
            local_cseq: invite.cseq,
            remote_cseq: None,
        }
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

    /// §12.2.2: INVITE and UPDATE may move the remote target.
    pub fn refresh_target(&mut self, message: &Message) {
        if let Some(target) = contact_of(message) {
            self.target = target;
        }
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
            peer: next_hop(next.as_deref().unwrap_or(&self.target), account),
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

    /// Whether the PBX itself is the far end: only it may ask for our password here.
    pub fn ends_at_pbx(&self, account: &Account) -> bool {
        let pbx = account.pbx.addr.ip().to_canonical();
        let uris = self.routes.iter().filter_map(|route| NameAddr::parse(route)).map(|r| r.uri);
        uris.chain([self.target.clone()]).all(|uri| {
            let ip = Uri::parse(&uri).and_then(|uri| uri.ip());
            ip.is_some_and(|ip| ip.to_canonical() == pbx)
        })
    }
}

/// Where a URI points, when we trust that address; else the PBX. Names are never resolved: others
/// must not choose whom we send to.
fn next_hop(uri: &[u8], account: &Account) -> Peer {
    let Some(uri) = Uri::parse(uri) else { return account.pbx };
    let Some(ip) = uri.ip().filter(|&ip| account.trusts(ip)) else { return account.pbx };
    let addr = SocketAddr::new(ip, uri.port.unwrap_or(5060));
    let transport = match uri.param("transport") {
        Some(name) if name.eq_ignore_ascii_case(b"tcp") => Transport::Tcp,
        Some(name) if name.eq_ignore_ascii_case(b"udp") => Transport::Udp,
        Some(_) | None => account.pbx.transport,
    };
    Peer { transport, addr }
}

fn contact_of(message: &Message) -> Option<Vec<u8>> {
    let contact = NameAddr::parse(message.list("contact").next()?)?;
    Uri::parse(&contact.uri).map(|_| contact.uri)
}
