//! Texts that come back, however they come: handed to the log, and what changed is told. By HTTP they are signed as
//! Standard Webhooks 1.0 are.

use super::http::Http;
use super::signing::is_hmac_sha256;
use super::{Guard, Office, sms, webhook};
use crate::config::channels::{Channel, Gateway, Inbound, Way};
use crate::duty::entry::beijing;
use crate::io::clock;
use crate::io::status::{Board, Live};
use crate::io::store::{Came, Store};
use chrono::{DateTime, NaiveDateTime, TimeDelta, TimeZone, Utc};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Notify;
use tracing::{info, warn};

/// A signature is good for so long, before and after its time.
const FRESH: TimeDelta = TimeDelta::minutes(5);
/// Of a callback's id, and of a number.
const NAME: usize = 128;
/// Of a time without its zone.
const LOCAL: [&str; 3] = ["%Y-%m-%d %H:%M:%S", "%Y-%m-%dT%H:%M:%S", "%Y%m%d%H%M%S"];
/// No network keeps a text so long: what is older is no time.
const LONG_AGO: TimeDelta = TimeDelta::days(31);
const ANSWER_WITHIN: Duration = Duration::from_secs(10);

/// Where texts are taken to.
#[derive(Clone)]
pub struct Post {
    store: Store,
    board: Board,
    /// Wakes the escalator.
    wake: Arc<Notify>,
    line: String,
}

impl Post {
    pub fn new(store: Store, board: Board, wake: Arc<Notify>) -> Self {
        Self { store, board, wake, line: String::new() }
    }

    /// With the duty room's own number, for the answers.
    pub fn at(self, line: &str) -> Self {
        Self { line: line.to_owned(), ..self }
    }

    pub(super) fn of(office: &Office) -> Self {
        let (store, board) = (office.store.clone(), office.board.clone());
        Self::new(store, board, Arc::clone(&office.wake)).at(&office.line)
    }

    /// Its effect is certain, and this is to be answered, if anything; `None`: the log did not take it.
    pub async fn take(&self, came: &Came) -> Option<Option<String>> {
        match self.store.text_came(came.clone(), &self.line, clock::now()).await {
            Ok(answered) => {
                for entry in &answered.entries {
                    info!(channel = came.channel, %entry, "acknowledged by a text");
                    self.board.tell(Live::Escalation { entry: *entry });
                }
                if !answered.entries.is_empty() {
                    self.wake.notify_one();
                }
                Some(answered.answer)
            }
            Err(error) => {
                warn!(channel = came.channel, %error, "a text that came cannot be written yet");
                None
            }
        }
    }
}

/// What is made of a callback.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Heard {
    Taken,
    NoSuchChannel,
    Unsigned,
    NoText,
    /// The site says where its time stands, and there is none that can be.
    NoTime,
    /// It is to be sent again.
    NotNow,
}

/// What a callback says; the time as it is written where it is none.
struct Read {
    from: String,
    text: String,
    sent: Option<Result<DateTime<Utc>, String>>,
}

/// The headers of a callback.
#[derive(Debug, Clone, Copy)]
pub struct Signed<'a> {
    pub id: &'a str,
    /// Seconds since 1970.
    pub at: &'a str,
    pub signature: &'a str,
}

struct Door {
    channel: String,
    way: Gateway,
    inbound: Inbound,
    http: Http,
}

/// The gateways whose callbacks are taken.
pub struct Replies {
    doors: Vec<Door>,
    post: Post,
}

impl Replies {
    pub fn of(channels: &[Channel], post: Post) -> Self {
        let door = |channel: &Channel| {
            let Way::Sms(way) = &channel.way else { return None };
            let inbound = way.replies.clone()?;
            let guard = Guard { allow: channel.allow.clone() };
            let http = Http::new(guard, channel.ca.as_deref()).ok()?;
            Some(Door { channel: channel.plan.name.clone(), way: way.clone(), inbound, http })
        };
        Self { doors: channels.iter().filter_map(door).collect(), post }
    }

    pub async fn take(&self, channel: &str, signed: Signed<'_>, body: &[u8]) -> Heard {
        let Some(door) = self.doors.iter().find(|door| door.channel == channel) else {
            return Heard::NoSuchChannel;
        };
        if !door.is_signed(signed, body) {
            return Heard::Unsigned;
        }
        let Some(Read { from, text, sent }) = door.read(body) else { return Heard::NoText };
        let sent = match (&door.inbound.sent, sent) {
            (Some(_), Some(Ok(at))) => Some(at),
            (None, _) => None,
            (Some(pointer), given) => {
                let given = given.and_then(Result::err).unwrap_or_default();
                warn!(
                    channel,
                    pointer,
                    given,
                    "a text does not say when it was sent as reply_sent has it, and is not taken: see channels.reply_sent · 短信里没有 reply_sent 所指的发送时间，不予接收，请核对 reply_sent"
                );
                return Heard::NoTime;
            }
        };
        let name = signed.id.to_owned();
        let came = Came { channel: channel.to_owned(), name, from, text, sent };
        let Some(answer) = self.post.take(&came).await else { return Heard::NotNow };
        if let Some(text) = answer {
            door.answer(&came, &text);
        }
        Heard::Taken
    }
}

/// Seconds or milliseconds since 1970, RFC 3339, or by the clock of Beijing; none that is yet to come.
fn moment(text: &str, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
    let text = text.trim();
    let number = text.parse::<i64>().ok();
    let at = match (number, text.len()) {
        (Some(seconds), ..=10) => DateTime::from_timestamp(seconds, 0)?,
        (Some(millis), 11..=13) => DateTime::from_timestamp_millis(millis)?,
        (None | Some(_), _) => written(text)?,
    };
    (at <= now + FRESH && at > now - LONG_AGO).then_some(at)
}

fn written(text: &str) -> Option<DateTime<Utc>> {
    if let Ok(at) = DateTime::parse_from_rfc3339(text) {
        return Some(at.to_utc());
    }
    let local = LOCAL.iter().find_map(|form| NaiveDateTime::parse_from_str(text, form).ok())?;
    beijing().from_local_datetime(&local).single().map(|at| at.to_utc())
}

impl Door {
    fn is_signed(&self, signed: Signed<'_>, body: &[u8]) -> bool {
        let Ok(at) = signed.at.parse::<i64>() else { return false };
        let fresh = (clock::now().wall.timestamp().saturating_sub(at)).unsigned_abs()
            <= FRESH.num_seconds().unsigned_abs();
        if !fresh || signed.id.is_empty() || signed.id.len() > NAME {
            return false;
        }
        let message = [format!("{}.{at}.", signed.id).as_bytes(), body].concat();
        let given =
            || signed.signature.split(' ').filter_map(|one| one.strip_prefix("v1,")).take(8);
        self.inbound.secrets.iter().any(|secret| {
            let key = webhook::key(secret.expose());
            given().any(|given| is_hmac_sha256(&key, &message, given))
        })
    }

    fn read(&self, body: &[u8]) -> Option<Read> {
        let body: serde_json::Value = serde_json::from_slice(body).ok()?;
        let word = |field: &str| match body.pointer(field)? {
            serde_json::Value::String(text) => Some(text.clone()),
            serde_json::Value::Number(number) => Some(number.to_string()),
            _ => None,
        };
        let from = word(&self.inbound.from)?;
        let from: String = from.chars().filter(|c| !c.is_whitespace() && *c != '-').collect();
        let fits = !from.is_empty() && from.len() <= NAME;
        let sent = self.inbound.sent.as_deref().and_then(word);
        let sent = sent.map(|text| moment(&text, clock::now().wall).ok_or(text));
        fits.then_some(Read { from, text: word(&self.inbound.text)?, sent })
    }

    /// Once; what cannot be answered has had its effect.
    fn answer(&self, came: &Came, text: &str) {
        let Some(request) = sms::answer(&self.way, &came.from, text, &came.name) else { return };
        let (http, channel) = (self.http.clone(), self.channel.clone());
        tokio::spawn(async move {
            if http.send(request, ANSWER_WITHIN).await.is_err() {
                info!(channel, "an answer was not sent");
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn esc_39_when_a_text_was_sent_is_read_as_gateways_write_it() {
        let now: DateTime<Utc> = "2026-10-03T13:42:10Z".parse().unwrap();
        let sent: DateTime<Utc> = "2026-10-03T13:42:00Z".parse().unwrap();
        for text in [
            "1791034920",
            "1791034920000",
            "2026-10-03T21:42:00+08:00",
            "2026-10-03T13:42:00Z",
            "2026-10-03 21:42:00",
            "20261003214200",
            " 2026-10-03T21:42:00 ",
        ] {
            assert_eq!(moment(text, now), Some(sent), "{text}");
        }
        // Of no time, of one without its day, and of one that has yet to come or is of another age.
        for text in ["", "now", "21:42", "-1", "0", "1", "2026-10-03 13:42", "2026-10-04 21:42:00"]
        {
            assert_eq!(moment(text, now), None, "{text}");
        }
    }
}
