//! Feishu 飞书: a group's robot, signed where it wants that.

use super::Letter;
use super::http::{Answer, Fault, Request};
use super::signing::hmac_sha256;
use crate::config::channels::Bot;
use crate::duty::notices::Verdict;
use serde_json::json;
use std::fmt::Write;
use std::time::Duration;

/// Its system is busy for a moment, at the full and the half hour most of all.
const BUSY: Duration = Duration::from_secs(10);

pub fn request(way: &Bot, letter: &Letter<'_>) -> Request {
    let mut text = String::new();
    for number in &way.mention {
        let _ = write!(text, "<at user_id=\"{number}\"></at> ");
    }
    text.push_str(&letter.text.body);
    let mut body = json!({ "msg_type": "text", "content": { "text": text } });
    if let Some(secret) = &way.signing {
        let at = letter.now.timestamp();
        body["timestamp"] = json!(at.to_string());
        body["sign"] = json!(sign(at, secret.expose()));
    }
    Request {
        url: format!("{}/open-apis/bot/v2/hook/{}", way.url, way.token.expose()),
        query: vec![],
        headers: vec![],
        body: super::json_body(&body),
    }
}

/// What DingTalk signs is the key here, and the message is empty; seconds.
fn sign(at: i64, secret: &str) -> String {
    hmac_sha256(format!("{at}\n{secret}").as_bytes(), b"")
}

/// HTTP 200 is no success: the verdict is in the body.
pub fn verdict(answer: Result<Answer, Fault>) -> Verdict {
    let answer = match answer {
        Ok(answer) => answer,
        Err(fault) => return fault.verdict(),
    };
    let body = answer.json().unwrap_or_default();
    // Older robots say StatusCode; older gateways throttle with 400.
    let code = body["code"].as_i64().or_else(|| body["StatusCode"].as_i64());
    if let Some(code @ (11232 | 9499 | 99_991_400)) = code {
        let after = answer.retry_after.or(Some(BUSY));
        return Verdict::Retry { after, why: format!("code {code}") };
    }
    if let Some(fault) = answer.fault() {
        return fault;
    }
    let Some(code) = code else { return Verdict::Unknown { why: "no code".to_owned() } };
    let why = format!("code {code}");
    match code {
        0 => Verdict::Accepted { id: None },
        // Signature, address, key word.
        19021 | 19022 | 19024 => Verdict::Permanent { why },
        // There is no such robot.
        19001 | 19007 => Verdict::Gone { why },
        _ => Verdict::Retry { after: None, why },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn esc_57_the_signature_is_that_of_the_published_formula_and_not_dingtalks() {
        let signed = sign(1_700_000_000, "feishu-secret");
        assert_eq!(signed, "OrBzY1Y01Gq+HgJsl+7OfWcMVwc7YocohQm5iiZwjhU=");
    }

    #[test]
    fn esc_54_http_200_is_no_success() {
        let of = |status, body: &str| {
            verdict(Ok(Answer { status, body: body.into(), ..Answer::default() }))
        };
        assert_eq!(of(200, r#"{"code":0,"msg":"success"}"#), Verdict::Accepted { id: None });
        assert_eq!(of(200, r#"{"StatusCode":0}"#), Verdict::Accepted { id: None });
        let busy = |code| Verdict::Retry { after: Some(BUSY), why: format!("code {code}") };
        assert_eq!(of(200, r#"{"code":11232}"#), busy(11232));
        assert_eq!(of(400, r#"{"code":99991400}"#), busy(99_991_400));
        assert_eq!(of(200, r#"{"code":19021}"#), Verdict::Permanent { why: "code 19021".into() });
        assert_eq!(of(200, r#"{"code":19001}"#), Verdict::Gone { why: "code 19001".into() });
        assert!(matches!(of(200, ""), Verdict::Unknown { .. }));
        assert!(matches!(of(503, ""), Verdict::Retry { .. }));
    }
}
