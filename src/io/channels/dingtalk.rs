//! DingTalk 钉钉: a group's robot, signed where it wants that.

use super::Letter;
use super::http::{Answer, Fault, Request};
use super::signing::hmac_sha256;
use crate::config::channels::Bot;
use crate::duty::notices::Verdict;
use serde_json::json;
use std::time::Duration;

/// How long the robot is blocked when it has said more than 20 things in a minute.
const BLOCKED: Duration = Duration::from_secs(600);

pub fn request(way: &Bot, letter: &Letter<'_>) -> Request {
    let mut query = vec![("access_token", way.token.expose().to_owned())];
    if let Some(secret) = &way.signing {
        let at = letter.now.timestamp_millis();
        query.push(("timestamp", at.to_string()));
        query.push(("sign", sign(at, secret.expose())));
    }
    let body = json!({
        "msgtype": "text",
        "text": { "content": letter.text.body },
        "at": { "atMobiles": way.mention, "isAtAll": false },
    });
    let url = format!("{}/robot/send", way.url);
    Request { url, query, headers: vec![], body: super::json_body(&body) }
}

/// The secret is key and part of the message; milliseconds. Encoded where the query is, once.
fn sign(at_ms: i64, secret: &str) -> String {
    hmac_sha256(secret.as_bytes(), format!("{at_ms}\n{secret}").as_bytes())
}

/// HTTP 200 is no success: the verdict is in the body.
pub fn verdict(answer: Result<Answer, Fault>) -> Verdict {
    let answer = match answer {
        Ok(answer) => answer,
        Err(fault) => return fault.verdict(),
    };
    if let Some(fault) = answer.fault() {
        return fault;
    }
    let Some(code) = answer.json().and_then(|body| body["errcode"].as_i64()) else {
        return Verdict::Unknown { why: "no errcode".to_owned() };
    };
    let why = format!("errcode {code}");
    match code {
        0 => Verdict::Accepted { id: None },
        130101 => Verdict::Retry { after: Some(BLOCKED), why },
        // Key word, signature or our address do not fit.
        310000 => Verdict::Permanent { why },
        // There is no such robot, or it was stopped.
        300001 | 300005 | 400101 | 400102 => Verdict::Gone { why },
        _ => Verdict::Retry { after: None, why },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn esc_57_the_signature_is_that_of_the_published_formula() {
        let signed = sign(1_700_000_000_000, "SECthis-is-a-secret");
        assert_eq!(signed, "TaTiygEFKE1tL8S16JSPQ4yM8i9Yx+vo6HuO+H1oDpI=");
    }

    #[test]
    fn esc_54_http_200_is_no_success() {
        let of = |body: &str| {
            verdict(Ok(Answer { status: 200, body: body.into(), ..Answer::default() }))
        };
        assert_eq!(of(r#"{"errcode":0,"errmsg":"ok"}"#), Verdict::Accepted { id: None });
        let why = |code| format!("errcode {code}");
        assert_eq!(
            of(r#"{"errcode":130101}"#),
            Verdict::Retry { after: Some(BLOCKED), why: why(130_101) }
        );
        assert_eq!(of(r#"{"errcode":310000}"#), Verdict::Permanent { why: why(310_000) });
        assert_eq!(of(r#"{"errcode":300001}"#), Verdict::Gone { why: why(300_001) });
        assert!(matches!(of("ok"), Verdict::Unknown { .. }));
    }
}
