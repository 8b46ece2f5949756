//! Who calls, as the INVITE claims it: what goes into the entry and onto the officer's phone.

use crate::duty::ids::CallId;
use crate::duty::journal::Arrival;
use crate::protocol::sip::{Identity, Incoming};

/// The officer's phone shows one short line.
const SHOWN_CHARS: usize = 48;

impl Arrival {
    /// P-Asserted-Identity, where it has a number, comes before From.
    pub fn of(call: CallId, invite: &Incoming) -> Self {
        let asserted = invite.asserted.as_ref().filter(|identity| !number(identity).is_empty());
        let identity = asserted.unwrap_or(&invite.from);
        let dialled =
            if invite.request_user.is_empty() { &invite.to.user } else { &invite.request_user };
        Self {
            call,
            sip_call_id: invite.call_id.clone(),
            caller: number(identity).to_owned(),
            display: identity.display.clone(),
            from: invite.from.clone(),
            asserted: invite.asserted.clone(),
            callee: dialled.clone(),
            source: invite.source.addr.to_string(),
            fault: invite.fault.as_ref().map(|fault| fault.why.clone()),
        }
    }

    /// What the officer's phone shows, without what a header or a phone could trip over. May be
    /// empty.
    pub fn shown(&self) -> String {
        let both = if self.display == self.caller {
            self.caller.clone()
        } else {
            format!("{} {}", self.caller, self.display)
        };
        let harmless = |c: &char| !c.is_control() && !matches!(c, '"' | '\\' | '<' | '>');
        both.trim().chars().filter(harmless).take(SHOWN_CHARS).collect()
    }
}

/// The user part, unless it is a word for a withheld number (RFC 3323 §4.1.1.3 and habits).
fn number(identity: &Identity) -> &str {
    let withheld = ["anonymous", "restricted", "unavailable", "unknown", "withheld"];
    if withheld.iter().any(|word| identity.user.eq_ignore_ascii_case(word)) {
        ""
    } else {
        &identity.user
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::sip::{Peer, Transport};
    use uuid::Uuid;

    fn identity(user: &str, display: &str) -> Identity {
        Identity { user: user.to_owned(), display: display.to_owned(), raw: vec![] }
    }

    fn arrival(from: Identity, asserted: Option<Identity>) -> Arrival {
        let source = Peer { transport: Transport::Udp, addr: "192.0.2.1:5060".parse().unwrap() };
        let invite = Incoming {
            call_id: "c".to_owned(),
            request_user: "8000".to_owned(),
            from,
            asserted,
            to: identity("duty", ""),
            sdp: None,
            source,
            fault: None,
        };
        Arrival::of(CallId(Uuid::nil()), &invite)
    }

    #[test]
    fn the_asserted_number_comes_first_where_there_is_one() {
        let from = identity("anonymous", "Anonymous");
        let asserted = arrival(from.clone(), Some(identity("13800138000", "张三")));
        assert_eq!(asserted.caller, "13800138000");
        assert_eq!(asserted.shown(), "13800138000 张三");
        assert_eq!(asserted.callee, "8000");
        let withheld = arrival(from, Some(identity("Restricted", "")));
        assert_eq!((withheld.caller.as_str(), withheld.display.as_str()), ("", "Anonymous"));
    }

    #[test]
    fn a_hostile_name_is_one_short_harmless_line() {
        let name = format!("<script>\"\\\r\nEvil: 1{}", "长".repeat(300));
        let shown = arrival(identity("101", &name), None).shown();
        assert!(shown.starts_with("101 scriptEvil: 1长"), "{shown}");
        assert_eq!(shown.chars().count(), SHOWN_CHARS);
    }
}
