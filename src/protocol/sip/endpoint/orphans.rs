//! Answers to an INVITE of ours that is not known here: an earlier run died before it could be
//! written down, or the call was given up long ago. The phone is let go.

use super::Endpoint;
use super::client::{Client, ClientKey};
use crate::protocol::now::Now;
use crate::protocol::sip::address::{NameAddr, Uri};
use crate::protocol::sip::draft::{Draft, name_addr};
use crate::protocol::sip::message::{Method, Response};
use crate::protocol::sip::{AorId, Peer};

impl Endpoint {
    /// Takes the transaction up where the answer leaves it; false for an answer that is not to a
    /// call of ours, and for one of a session that there is.
    pub(super) fn adopt(
        &mut self,
        key: &ClientKey,
        response: &Response,
        from: Peer,
        now: Now,
    ) -> bool {
        if self.is_full() {
            return false;
        }
        let Some(draft) = self.invite_behind(key, response, from) else { return false };
        self.drop_message(from, "call of an earlier run, let go");
        let branch = String::from_utf8_lossy(key.branch()).into_owned();
        self.clients.insert(key.clone(), Client::adopted(draft, branch, now));
        true
    }

    /// §9.1, §17.1.1.3: what CANCEL and ACK repeat of it.
    fn invite_behind(&self, key: &ClientKey, response: &Response, peer: Peer) -> Option<Draft> {
        let from = response.wire.header("from")?;
        let tag = NameAddr::parse(from)?.tag()?.to_vec();
        let (call_id, cseq) = (&response.call_id, response.cseq.number);
        let ours =
            response.cseq.method == "INVITE" && self.marks.knows(key.branch(), &tag, call_id, cseq);
        if !ours || self.legs.is_known(call_id, &tag) {
            return None;
        }
        // Our INVITEs outside of a dialog are for whom their To names.
        let uri = NameAddr::parse(response.wire.header("to")?)?.uri;
        Uri::parse(&uri)?;
        Some(Draft {
            method: Method::Invite,
            aor: AorId::default(),
            to: name_addr("", std::str::from_utf8(&uri).ok()?).into_bytes(),
            uri,
            peer,
            from: from.to_vec(),
            call_id: call_id.clone(),
            cseq,
            routes: vec![],
            headers: vec![],
            body: None,
        })
    }

    pub(super) fn on_orphan_response(&mut self, key: &ClientKey, response: &Response, now: Now) {
        match response.status {
            ..200 => {
                let cancel = key.cancelling();
                if self.clients.get(&cancel).is_none() {
                    self.start_cancel(key, now);
                }
            }
            200..300 => self.on_answered(key, None, response, now),
            // Its ACK is the transaction's.
            300.. => {}
        }
    }
}
