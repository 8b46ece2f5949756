//! WeCom 企业微信: a group's robot, and messages of an application to its members.

use super::Letter;
use super::http::{Answer, Fault, Http, Request};
use crate::config::channels::{App, Bot};
use crate::duty::notices::Verdict;
use crate::io::clock;
use crate::protocol::now::Mono;
use serde_json::{Value, json};
use std::time::Duration;
use tokio::sync::Mutex;

/// Of a robot's text, in bytes.
const TEXT_MAX: usize = 2048;
/// A token is good for two hours; it is drawn anew a little earlier.
const TOKEN_KEPT: Duration = Duration::from_secs(6900);
/// After a minute's quota is used up.
const THROTTLED: Duration = Duration::from_secs(20);

pub fn robot_request(way: &Bot, letter: &Letter<'_>) -> Request {
    let text = super::cut(&letter.text.body, TEXT_MAX);
    let mut content = json!({ "content": text });
    if !way.mention.is_empty() {
        content["mentioned_mobile_list"] = json!(way.mention);
    }
    Request {
        url: format!("{}/cgi-bin/webhook/send", way.url),
        query: vec![("key", way.token.expose().to_owned())],
        headers: vec![],
        body: super::json_body(&json!({ "msgtype": "text", "text": content })),
    }
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
    let Some(body) = answer.json() else {
        return Verdict::Unknown { why: "no verdict in the answer".to_owned() };
    };
    let Some(code) = body["errcode"].as_i64() else {
        return Verdict::Unknown { why: "no errcode".to_owned() };
    };
    let why = format!("errcode {code}");
    match code {
        // For whom it is not, it is not delivered.
        0 if !is_empty(&body["invaliduser"]) => {
            Verdict::Permanent { why: "invaliduser".to_owned() }
        }
        0 => Verdict::Accepted { id: body["msgid"].as_str().map(super::tame) },
        45009 | 45033 | 45047 => Verdict::Retry { after: Some(THROTTLED), why },
        // The robot is gone, or its key is no key.
        93000 | 93004 | 93008 | 93017 => Verdict::Gone { why },
        // Wrong secret, address not on the list, nobody left to tell, no permission.
        40001 | 40013 | 40056 | 40003 | 40058 | 44004 | 48002 | 60011 | 60020 | 81013 => {
            Verdict::Permanent { why }
        }
        _ => Verdict::Retry { after: None, why },
    }
}

fn is_empty(value: &Value) -> bool {
    value.as_str().unwrap_or_default().is_empty()
}

/// The application's token, drawn by one at a time and shared by all.
#[derive(Debug, Default)]
pub struct Tokens {
    held: Mutex<Option<(String, Mono)>>,
}

impl Tokens {
    /// The token in use; never `refused`, which the provider did not take.
    async fn get(
        &self,
        way: &App,
        http: &Http,
        refused: Option<&str>,
        limit: Duration,
    ) -> Result<String, Verdict> {
        let mut held = self.held.lock().await;
        let now = clock::mono();
        if let Some((token, since)) = &*held
            && now.since(*since) < TOKEN_KEPT
            && refused != Some(token)
        {
            return Ok(token.clone());
        }
        *held = None;
        let request = Request {
            url: format!("{}/cgi-bin/gettoken", way.url),
            query: vec![
                ("corpid", way.corporation.clone()),
                ("corpsecret", way.secret.expose().to_owned()),
            ],
            ..Request::default()
        };
        let answer = http.send(request, limit).await;
        let token = answer.as_ref().ok().and_then(Answer::json);
        let token = token.and_then(|body| Some(body["access_token"].as_str()?.to_owned()));
        match (verdict(answer), token) {
            (Verdict::Accepted { .. }, Some(token)) => {
                *held = Some((token.clone(), now));
                Ok(token)
            }
            (Verdict::Accepted { .. }, None) => {
                Err(Verdict::Retry { after: None, why: "no token in the answer".to_owned() })
            }
            // No message was sent yet.
            (Verdict::Unknown { why }, _) => Err(Verdict::Retry { after: None, why }),
            (fault, _) => Err(fault),
        }
    }
}

/// A message of the application; once more with a new token where the old one is refused.
pub async fn send(
    way: &App,
    letter: &Letter<'_>,
    http: &Http,
    tokens: &Tokens,
    limit: Duration,
) -> Verdict {
    let mut refused: Option<String> = None;
    loop {
        let token = match tokens.get(way, http, refused.as_deref(), limit).await {
            Ok(token) => token,
            Err(fault) => return fault,
        };
        let answer = http.send(app_request(way, letter, &token), limit).await;
        let code = answer.as_ref().ok().and_then(Answer::json);
        let code = code.and_then(|body| body["errcode"].as_i64());
        let stale = matches!(code, Some(40001 | 40014 | 42001));
        if !stale || refused.is_some() {
            return verdict(answer);
        }
        refused = Some(token);
    }
}

fn app_request(way: &App, letter: &Letter<'_>, token: &str) -> Request {
    let body = json!({
        "touser": way.to.join("|"),
        "agentid": way.agent,
        "msgtype": "text",
        "text": { "content": super::cut(&letter.text.body, TEXT_MAX) },
        "enable_duplicate_check": 0,
    });
    Request {
        url: format!("{}/cgi-bin/message/send", way.url),
        query: vec![("access_token", token.to_owned())],
        headers: vec![],
        body: super::json_body(&body),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(body: &str) -> Verdict {
        verdict(Ok(Answer { status: 200, body: body.into(), ..Answer::default() }))
    }

    #[test]
    fn esc_54_http_200_is_no_success() {
        assert_eq!(
            of(r#"{"errcode":0,"errmsg":"ok","msgid":"m-1"}"#),
            Verdict::Accepted { id: Some("m-1".to_owned()) }
        );
        let throttled = |code| Verdict::Retry { after: Some(THROTTLED), why: code };
        assert_eq!(of(r#"{"errcode":45009}"#), throttled("errcode 45009".to_owned()));
        assert_eq!(of(r#"{"errcode":93000}"#).ending(), crate::duty::notices::Ending::Gone);
        let permanent = |why: &str| Verdict::Permanent { why: why.to_owned() };
        assert_eq!(of(r#"{"errcode":60020}"#), permanent("errcode 60020"));
        assert_eq!(of(r#"{"errcode":81013}"#), permanent("errcode 81013"));
        assert_eq!(of(r#"{"errcode":0,"invaliduser":"zhang"}"#), permanent("invaliduser"));
        assert!(matches!(of(r#"{"errcode":-1}"#), Verdict::Retry { after: None, .. }));
        for nonsense in ["", "<html>", "[]", "{}", r#"{"errcode":"0"}"#] {
            assert!(matches!(of(nonsense), Verdict::Unknown { .. }), "{nonsense}");
        }
        let cut = Answer {
            status: 200,
            body: br#"{"errcode":0}"#.into(),
            cut: true,
            ..Answer::default()
        };
        assert!(matches!(verdict(Ok(cut)), Verdict::Unknown { .. }));
    }
}
