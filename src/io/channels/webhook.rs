//! Standard Webhooks 1.0: the site's own system is told, signed, under an id that stays the same.

use super::http::{Answer, Fault, Request};
use super::signing::{from_base64, hmac_sha256};
use super::{Letter, Of};
use crate::config::Secret;
use crate::config::channels::Webhook;
use crate::duty::notices::{Verdict, What};
use chrono::{DateTime, SecondsFormat, Utc};
use serde_json::json;

pub fn request(way: &Webhook, letter: &Letter<'_>) -> Request {
    signed(way, &format!("msg_{}", letter.name.0.simple()), letter.now, body(letter))
}

pub fn signed(way: &Webhook, id: &str, now: DateTime<Utc>, body: String) -> Request {
    let (body, at) = (body.into_bytes(), now.timestamp());
    let headers = [
        ("webhook-id", id.to_owned()),
        ("webhook-timestamp", at.to_string()),
        ("webhook-signature", signature(&way.secrets, id, at, &body)),
    ];
    let headers = headers.map(|(name, value)| (name.to_owned(), value)).to_vec();
    let body = Some(("application/json".to_owned(), body));
    Request { url: way.url.clone(), query: vec![], headers, body }
}

/// The same bytes at each try.
fn body(letter: &Letter<'_>) -> String {
    let stamp = |at: DateTime<Utc>| at.to_rfc3339_opts(SecondsFormat::Millis, true);
    let (what, matter) = match letter.of {
        Of::Matter(what, matter) => (what, matter),
        Of::Alarm(standing, since) => {
            let kind = if standing.is_empty() { "recorder.recovered" } else { "recorder.failed" };
            return json!({
                "type": kind,
                "timestamp": stamp(since),
                "data": {
                    "delivery": letter.name.to_string(),
                    "alarms": standing,
                    "text": letter.text.body,
                },
            })
            .to_string();
        }
    };
    let kind = match what {
        What::Alert => "escalation.alert",
        What::Repeat => "escalation.repeat",
        What::Withdrawn => "escalation.withdrawn",
        What::HandedOver => "escalation.handed_over",
    };
    json!({
        "type": kind,
        "timestamp": stamp(matter.raised),
        "data": {
            "delivery": letter.name.to_string(),
            "escalation": matter.escalation.to_string(),
            "entry": matter.entry.to_string(),
            "items": letter.items,
            "text": letter.text.body,
        },
    })
    .to_string()
}

/// `v1,…` for each secret, parted by spaces: both are good while one replaces the other.
fn signature(secrets: &[Secret], id: &str, at: i64, body: &[u8]) -> String {
    let signed = [format!("{id}.{at}.").as_bytes(), body].concat();
    let one = |secret: &Secret| format!("v1,{}", hmac_sha256(&key(secret.expose()), &signed));
    secrets.iter().map(one).collect::<Vec<_>>().join(" ")
}

/// `whsec_` and base64; any other text is the key itself.
pub fn key(secret: &str) -> Vec<u8> {
    let bytes = secret.strip_prefix("whsec_").and_then(from_base64);
    bytes.unwrap_or_else(|| secret.as_bytes().to_vec())
}

/// Only the status counts.
pub fn verdict(answer: Result<Answer, Fault>) -> Verdict {
    match answer {
        Ok(answer) => answer.fault().unwrap_or(Verdict::Accepted { id: None }),
        Err(fault) => fault.verdict(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn esc_57_the_signature_is_the_standards_own() {
        let secret = Secret::new("whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD");
        let id = "msg_27UH4WbU6Z5A5EzD8u03UvzRbpk";
        let body = br#"{"email":"test@example.com","username":"test_user"}"#;
        let wanted = "v1,tZ1I4/hDygAJgO5TYxiSd6Sd0kDW6hPenDe+bTa3Kkw=";
        let both = [secret.clone(), Secret::new("the next one")];
        assert_eq!(signature(&[secret], id, 1_649_367_553, body), wanted);
        let both = signature(&both, id, 1_649_367_553, body);
        assert!(both.starts_with(wanted) && both.matches("v1,").count() == 2, "{both}");
    }

    #[test]
    fn esc_55_every_status_has_its_verdict() {
        let of = |status| verdict(Ok(Answer { status, ..Answer::default() }));
        let why = |status| format!("http {status}");
        for status in [200, 202, 204] {
            assert_eq!(of(status), Verdict::Accepted { id: None });
        }
        for status in [301, 302, 307, 308, 400, 401, 403, 404, 422] {
            assert_eq!(of(status), Verdict::Permanent { why: why(status) });
        }
        for status in [408, 500, 502, 504] {
            assert_eq!(of(status), Verdict::Unknown { why: why(status) });
        }
        for status in [429, 501, 503] {
            assert_eq!(of(status), Verdict::Retry { after: None, why: why(status) });
        }
        assert_eq!(of(410), Verdict::Gone { why: why(410) });
        let asked =
            Answer { status: 429, retry_after: Some(Duration::from_secs(30)), ..Answer::default() };
        assert_eq!(verdict(Ok(asked.clone())).ending(), {
            crate::duty::notices::Ending::Retry { after: asked.retry_after }
        });
        assert_eq!(
            verdict(Err(Fault::NoAnswer("timeout"))),
            Verdict::Unknown { why: "timeout".to_owned() }
        );
    }
}
