//! A text on the display of a telephone (RFC 3428), by the duty line and its PBX: nothing else is needed for it, and
//! it works with the internet cut. That it was shown is no word of whether anybody has read it.

use super::Letter;
use super::sms::together;
use crate::config::channels::To;
use crate::duty::notices::Verdict;
use crate::duty::roster::Roster;
use crate::io::slips::Slips;
use crate::protocol::sip::slip::{Reply, Says};
use std::time::Duration;
use tokio::task::JoinSet;

/// A telephone that was switched off shows nothing older than this.
const LASTS: Duration = Duration::from_secs(3600);
/// What stands behind the status of a text that has reached a telephone.
const DELIVERED: &str = "delivered";

/// To everybody at once: one that is silent holds up no other.
pub async fn send(to: &[To], letter: &Letter<'_>, roster: &Roster, slips: &Slips) -> Verdict {
    let mut under_way = JoinSet::new();
    for number in numbers(to, roster) {
        let (slips, text) = (slips.clone(), letter.text.body.clone());
        under_way.spawn(async move {
            verdict(slips.send(&number, Says::Text { text, lasts: LASTS }).await)
        });
    }
    all(under_way.join_all().await)
}

/// Each number once; of whoever holds a role, his telephone in the office.
fn numbers(to: &[To], roster: &Roster) -> Vec<String> {
    let number = |to: &To| match to {
        To::Number(number) => Some(number.clone()),
        To::Role(role) => roster.holder(*role).and_then(|person| person.office.clone()),
    };
    let mut numbers: Vec<String> = vec![];
    for number in to.iter().filter_map(number) {
        if !numbers.contains(&number) {
            numbers.push(number);
        }
    }
    numbers
}

/// RFC 3428 §4: 202 is the word of a relay, of which nobody knows whether it passes the text on.
fn verdict(reply: Reply) -> Verdict {
    let why = |status: u16| format!("sip {status}");
    match reply {
        Reply::Status(202) => Verdict::Accepted { id: Some("202".to_owned()) },
        Reply::Status(status @ 200..300) => {
            Verdict::Accepted { id: Some(format!("{status} {DELIVERED}")) }
        }
        // The telephone takes no texts, or the PBX passes none on.
        Reply::Status(status @ (405 | 415 | 416 | 488 | 501 | 606)) => {
            Verdict::Permanent { why: why(status) }
        }
        // Whoever answers so may have passed it on.
        Reply::Status(408) => Verdict::Unknown { why: why(408) },
        Reply::Status(status) => Verdict::Retry { after: None, why: why(status) },
        Reply::Silence => Verdict::Unknown { why: "no reply".to_owned() },
        Reply::NotSent(reason) => Verdict::Retry { after: None, why: reason.to_owned() },
    }
}

/// Delivered when it has reached every telephone.
fn all(verdicts: Vec<Verdict>) -> Verdict {
    let relayed = |one: &&Verdict| matches!(one, Verdict::Accepted { id: Some(id) } if !id.ends_with(DELIVERED));
    let relayed = verdicts.iter().find(relayed).cloned();
    match together(verdicts) {
        accepted @ Verdict::Accepted { .. } => relayed.unwrap_or(accepted),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sig_message_a_relay_has_it_a_telephone_shows_it_and_what_takes_no_texts_is_not_asked_again()
    {
        let id = |id: &str| Verdict::Accepted { id: Some(id.to_owned()) };
        assert_eq!(verdict(Reply::Status(200)), id("200 delivered"));
        assert_eq!(verdict(Reply::Status(202)), id("202"), "RFC 3428 §4: not delivered");
        for status in [405, 415, 488] {
            assert!(
                matches!(verdict(Reply::Status(status)), Verdict::Permanent { .. }),
                "{status}"
            );
        }
        for status in [302, 401, 404, 480, 486, 500, 503, 603] {
            assert!(matches!(verdict(Reply::Status(status)), Verdict::Retry { .. }), "{status}");
        }
        assert!(matches!(verdict(Reply::Silence), Verdict::Unknown { .. }));
        assert!(matches!(verdict(Reply::Status(408)), Verdict::Unknown { .. }));
        assert!(matches!(verdict(Reply::NotSent("too busy")), Verdict::Retry { .. }));
    }

    #[test]
    fn sig_message_of_several_telephones_it_is_delivered_when_every_one_has_it() {
        let of = |replies: &[Reply]| all(replies.iter().map(|reply| verdict(*reply)).collect());
        let (shown, relayed) = (Reply::Status(200), Reply::Status(202));
        assert_eq!(of(&[shown, shown]), verdict(shown));
        for mixed in [[shown, relayed], [relayed, shown]] {
            assert_eq!(of(&mixed), verdict(relayed));
        }
        assert!(matches!(of(&[shown, Reply::Status(405)]), Verdict::Unknown { .. }));
        assert!(matches!(of(&[]), Verdict::Permanent { .. }));
    }
}
