//! ntfy and Gotify: servers of one's own that push to Android phones.

use super::Letter;
use super::http::{Answer, Fault, Request};
use crate::config::channels::Push;
use crate::duty::notices::Verdict;
use serde_json::json;

/// Of ntfy's message, in bytes; longer ones become an attachment.
const TEXT_MAX: usize = 4096;

/// The JSON form: what is not ASCII may not stand in a header.
pub fn ntfy_request(way: &Push, letter: &Letter<'_>) -> Request {
    let loud = letter.is_loud();
    let body = json!({
        "topic": way.topic,
        "title": letter.text.title,
        "message": super::cut(&letter.text.body, TEXT_MAX),
        "priority": if loud { 5 } else { 3 },
        "tags": [if loud { "rotating_light" } else { "white_check_mark" }],
    });
    let bearer = way
        .token
        .as_ref()
        .map(|token| ("authorization".to_owned(), format!("Bearer {}", token.expose())));
    Request {
        url: format!("{}/", way.url),
        query: vec![],
        headers: bearer.into_iter().collect(),
        body: super::json_body(&body),
    }
}

/// The token in a header, so that it stands in no server's log.
pub fn gotify_request(way: &Push, letter: &Letter<'_>) -> Request {
    let loud = letter.is_loud();
    let body = json!({
        "title": letter.text.title,
        "message": letter.text.body,
        "priority": if loud { 10 } else { 4 },
    });
    let key =
        way.token.as_ref().map(|token| ("x-gotify-key".to_owned(), token.expose().to_owned()));
    Request {
        url: format!("{}/message", way.url),
        query: vec![],
        headers: key.into_iter().collect(),
        body: super::json_body(&body),
    }
}

/// Status, and the id of what was taken.
pub fn verdict(answer: Result<Answer, Fault>) -> Verdict {
    match answer {
        Ok(answer) => answer.fault().unwrap_or_else(|| {
            let id = answer.json().and_then(|body| match &body["id"] {
                serde_json::Value::String(id) => Some(super::tame(id)),
                serde_json::Value::Number(id) => Some(id.to_string()),
                _ => None,
            });
            Verdict::Accepted { id }
        }),
        Err(fault) => fault.verdict(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn esc_55_status_and_id_of_a_push_server() {
        let of = |status, body: &str| {
            verdict(Ok(Answer { status, body: body.into(), ..Answer::default() }))
        };
        let id = |id: &str| Verdict::Accepted { id: Some(id.to_owned()) };
        assert_eq!(of(200, r#"{"id":"hwQ2YpKdmg","event":"message"}"#), id("hwQ2YpKdmg"));
        assert_eq!(of(200, r#"{"id":25,"appid":5}"#), id("25"));
        assert!(matches!(of(429, ""), Verdict::Retry { .. }));
        assert!(matches!(of(404, ""), Verdict::Permanent { .. }));
        assert!(matches!(of(401, ""), Verdict::Permanent { .. }));
    }
}
