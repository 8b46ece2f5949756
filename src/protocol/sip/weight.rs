//! What a message is to the course of its session: one that only keeps it going says nothing that the next one of its
//! kind does not say again.

use super::address::NameAddr;
use super::message::CSeq;
use super::wire::{self, Message, Start};

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Weight {
    /// It refreshes, asks, reports or acknowledges.
    Routine,
    /// It accepts an INVITE: one that begins a session, or one that refreshes it.
    Accepts,
    /// It is an INVITE that begins a session, or takes a place in one.
    Begins,
    /// It hands a session on, or refuses something.
    Turns,
    /// It ends a session.
    Ends,
}

impl Weight {
    pub fn of(message: &[u8]) -> Self {
        let Ok(message) = wire::parse(message) else { return Weight::Routine };
        match &message.start {
            Start::Request { method, .. } => of_request(method, &message),
            Start::Response { status, .. } => {
                let cseq = message.header("cseq").and_then(CSeq::parse);
                cseq.map_or(Weight::Routine, |cseq| of_response(*status, &cseq.method))
            }
        }
    }
}

fn of_request(method: &str, message: &Message) -> Weight {
    let to = message.header("to").and_then(NameAddr::parse);
    let inside = to.is_some_and(|to| to.tag().is_some());
    match method {
        "BYE" | "CANCEL" => Weight::Ends,
        "REFER" => Weight::Turns,
        "INVITE" if !inside || message.header("replaces").is_some() => Weight::Begins,
        _ => Weight::Routine,
    }
}

/// A challenge (RFC 3261 §22) is no refusal: the request comes again.
fn of_response(status: u16, method: &str) -> Weight {
    if matches!(status, ..200 | 401 | 407) {
        return Weight::Routine;
    }
    match method {
        "BYE" | "CANCEL" => Weight::Ends,
        "INVITE" if status < 300 => Weight::Accepts,
        _ if status >= 300 || method == "REFER" => Weight::Turns,
        _ => Weight::Routine,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Weight::{Accepts, Begins, Ends, Routine, Turns};

    fn weight(start: &str, cseq: &str, more: &str) -> Weight {
        let text = format!(
            "{start}\r\nv: SIP/2.0/UDP a;branch=z9hG4bK1\r\nf: <sip:1@a>;tag=x\r\ni: 1\r\n\
             CSeq: 7 {cseq}\r\n{more}l: 0\r\n\r\n"
        );
        Weight::of(text.as_bytes())
    }

    #[test]
    fn rec_s11_what_ends_or_hands_on_a_session_is_told_from_what_keeps_it_going() {
        let (new, inside) = ("t: <sip:2@a>\r\n", "t: <sip:2@a>;tag=y\r\n");
        let replaces = "t: <sip:2@a>;tag=y\r\nReplaces: 2;to-tag=a;from-tag=b\r\n";
        for (method, to, wanted) in [
            ("INVITE", new, Begins),
            ("INVITE", inside, Routine),
            ("INVITE", replaces, Begins),
            ("UPDATE", inside, Routine),
            ("ACK", inside, Routine),
            ("REFER", inside, Turns),
            ("BYE", inside, Ends),
            ("CANCEL", new, Ends),
        ] {
            let start = format!("{method} sip:2@a SIP/2.0");
            assert_eq!(weight(&start, method, to), wanted, "{method} {to}");
        }
        for (status, method, wanted) in [
            (180, "INVITE", Routine),
            (200, "INVITE", Accepts),
            (488, "INVITE", Turns),
            (407, "INVITE", Routine),
            (200, "UPDATE", Routine),
            (481, "UPDATE", Turns),
            (202, "REFER", Turns),
            (200, "BYE", Ends),
            (481, "BYE", Ends),
        ] {
            let start = format!("SIP/2.0 {status} Whatever");
            assert_eq!(weight(&start, method, inside), wanted, "{status} {method}");
        }
        assert_eq!(Weight::of(b"\r\n\r\n"), Routine);
    }
}
