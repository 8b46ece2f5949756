//! Requests outside of any session that say something to a telephone: MESSAGE (RFC 3428) and the
//! NOTIFY of a mailbox (RFC 3842), each a transaction of its own.

use super::Endpoint;
use super::client::{ClientKey, Purpose};
use crate::protocol::now::{Deadline, Mono, Now, earlier};
use crate::protocol::sip::address::Uri;
use crate::protocol::sip::draft::{self, Draft};
use crate::protocol::sip::message::Method;
use crate::protocol::sip::slip::{Reply, Says, Slip, SlipId};
use crate::protocol::sip::transaction::PATIENCE;
use crate::protocol::sip::{Account, AorId, Event};
use std::collections::BTreeMap;

/// Slips under way at once: more than a duty room has leaders.
const SLIPS_MAX: usize = 64;
/// RFC 3428 §8: of a whole request, in bytes, however it travels on its first hop.
const LARGEST: usize = 1300;
/// Where a text is cut.
const CUT: &str = "…";

#[derive(Debug, Default)]
pub struct Slips {
    open: BTreeMap<SlipId, Open>,
}

#[derive(Debug)]
struct Open {
    method: Method,
    to: Vec<u8>,
    client: ClientKey,
    /// It went to a phone that has registered with us, whom our password is no concern.
    phone: bool,
    /// However silent it is: a proxy may say nothing until the telephone has (RFC 4320 §4.1).
    until: Mono,
}

impl Open {
    fn deadline(&self) -> Deadline {
        (self.until, "reply to a slip")
    }
}

impl Slips {
    pub fn poll_timeout(&self) -> Option<Deadline> {
        self.open.values().map(|open| Some(open.deadline())).fold(None, earlier)
    }
}

impl Endpoint {
    /// Says something to a telephone, by the right of `aor`; `Event::SlipEnded` follows, once.
    pub fn send_slip(&mut self, slip: Slip, aor: AorId, now: Now) {
        if let Err(why) = self.start_slip(&slip, aor, now) {
            self.report(Event::SlipEnded { slip: slip.id, reply: Reply::NotSent(why) });
        }
    }

    fn start_slip(&mut self, slip: &Slip, aor: AorId, now: Now) -> Result<(), &'static str> {
        let mut request = self.draft_slip(slip, aor, now);
        let to = request.to.clone();
        let phone = self.phones.as_ref().and_then(|phones| phones.place(&slip.target, now.mono));
        let phone = phone.map(|(uri, peer)| (request.uri, request.peer) = (uri.to_vec(), peer));
        if Uri::parse(&request.uri).is_none() {
            return Err("the target cannot be dialled");
        }
        if self.is_full() || self.slips.open.len() >= SLIPS_MAX {
            return Err("too busy");
        }
        if !request.peer.is_somewhere() {
            return Err("no address of the PBX");
        }
        // RFC 3428 §8.
        let method = request.method;
        if self.slips.open.values().any(|open| open.method == method && open.to == to) {
            return Err("another one is under way");
        }
        let client = self.start_client(request, Purpose::Slip { slip: slip.id }, now);
        let open = Open { method, to, client, phone: phone.is_some(), until: now.mono + PATIENCE };
        self.slips.open.insert(slip.id, open);
        Ok(())
    }

    fn draft_slip(&mut self, slip: &Slip, aor: AorId, now: Now) -> Draft {
        let account = &self.account;
        let target = draft::target_uri(account, &slip.target);
        let from =
            draft::name_addr(&account.display, &draft::number_uri(account, account.user_of(aor)));
        let header = |name: &str, value: String| (name.to_owned(), value.into_bytes());
        let (method, headers, body) = match &slip.says {
            Says::Text { text, lasts } => {
                let date = now.wall.format("%a, %d %b %Y %H:%M:%S GMT").to_string();
                let expires = lasts.as_secs().to_string();
                let headers = vec![header("Date", date), header("Expires", expires)];
                let body = ("text/plain;charset=UTF-8", text.clone());
                (Method::Message, headers, body)
            }
            Says::Waiting(waiting) => {
                let headers = vec![
                    header("Contact", draft::contact(account, aor)),
                    header("Event", "message-summary".to_owned()),
                    header("Subscription-State", "terminated".to_owned()),
                ];
                let body = ("application/simple-message-summary", summary(account, *waiting));
                (Method::Notify, headers, body)
            }
        };
        Draft {
            method,
            aor,
            peer: account.pbx,
            from: format!("{from};tag={}", self.random.token()).into_bytes(),
            to: draft::name_addr("", &target).into_bytes(),
            uri: target.into_bytes(),
            call_id: self.random.token().into_bytes(),
            cseq: 1,
            routes: vec![],
            headers,
            body: Some((body.0.to_owned(), body.1.into_bytes())),
        }
    }

    /// What does not fit is left out of the text, whole characters, credentials and all.
    pub(super) fn fit_slip(&self, request: &mut Draft, branch: &str) {
        loop {
            let length = request.write(&self.account, branch).bytes.len();
            let over = length.saturating_sub(LARGEST);
            let Some((_, body)) = request.body.as_mut().filter(|_| over > 0) else { return };
            let text = String::from_utf8_lossy(body).into_owned();
            let text = text.strip_suffix(CUT).unwrap_or(&text);
            let keep = text.len().saturating_sub(over + CUT.len());
            let kept = &text[..text.floor_char_boundary(keep)];
            if kept.is_empty() {
                return;
            }
            *body = format!("{kept}{CUT}").into_bytes();
        }
    }

    /// Whether our password may be shown for it.
    pub(super) fn is_slip_by_pbx(&self, slip: SlipId) -> bool {
        self.slips.open.get(&slip).is_some_and(|open| !open.phone)
    }

    pub(super) fn on_slip_response(&mut self, slip: SlipId, status: u16) {
        if status >= 200 {
            self.on_slip_over(slip, Reply::Status(status));
        }
    }

    pub(super) fn on_slip_over(&mut self, slip: SlipId, reply: Reply) {
        if self.slips.open.remove(&slip).is_some() {
            self.report(Event::SlipEnded { slip, reply });
        }
    }

    /// It went out again with credentials.
    pub(super) fn set_slip_client(&mut self, slip: SlipId, again: ClientKey) {
        if let Some(open) = self.slips.open.get_mut(&slip) {
            open.client = again;
        }
    }

    pub(super) fn slips_timeout(&mut self, now: Now) {
        let due = self.slips.open.iter().filter(|(_, open)| open.deadline().0 <= now.mono);
        let due: Vec<_> = due.map(|(slip, open)| (*slip, open.client.clone())).collect();
        for (slip, client) in due {
            self.forget_client(&client);
            self.on_slip_over(slip, Reply::Silence);
        }
    }
}

/// RFC 3842 §5.2.
fn summary(account: &Account, waiting: bool) -> String {
    let (word, new) = if waiting { ("yes", 1) } else { ("no", 0) };
    let mailbox = draft::own_uri(account, &account.user);
    format!(
        "Messages-Waiting: {word}\r\nMessage-Account: {mailbox}\r\nVoice-Message: {new}/0 (0/0)\r\n"
    )
}
