//! Signed heads of the log to a system of the site, as Standard Webhooks 1.0: each in its order, until it is taken.

use super::guard::Guard;
use super::http::{Http, Request};
use super::webhook::{self, signed};
use crate::config::HeadsTo;
use crate::duty::notices::Verdict;
use crate::io::clock;
use crate::io::proof::witness::Sending;
use crate::io::status::{Alarm, Board};
use crate::protocol::now::Now;
use chrono::{DateTime, SecondsFormat, Utc};
use serde_json::json;
use sha2::{Digest, Sha256};
use std::collections::VecDeque;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

/// Of each try.
const LIMIT: Duration = Duration::from_secs(10);
const AGAIN: Duration = Duration::from_secs(if cfg!(test) { 0 } else { 60 });
/// Nobody has taken any for so long: that is told.
const LONG: Duration = Duration::from_secs(3600);
/// Heads that wait; of more the oldest are given up, which the newer ones vouch for.
const WAITING: usize = 200;
const ALARM: &str = "witness_webhook";

pub struct Heads {
    pub to: HeadsTo,
    pub heads: mpsc::Receiver<Sending>,
    pub board: Board,
}

/// The one who keeps at it.
struct Post {
    to: HeadsTo,
    http: Http,
    board: Board,
    waiting: VecDeque<Sending>,
    /// Since when nothing was taken that waited.
    refused: Option<Now>,
}

impl Heads {
    /// Until `stopping`.
    pub async fn keep(self, stopping: CancellationToken) {
        let Self { to, mut heads, board } = self;
        let http = match Http::new(Guard { allow: to.allow.clone() }, to.ca.as_deref()) {
            Ok(http) => http,
            Err(why) => return tell(&board, clock::now().wall, &why),
        };
        let mut post = Post { to, http, board, waiting: VecDeque::new(), refused: None };
        loop {
            let again = tokio::time::sleep(AGAIN);
            tokio::select! {
                head = heads.recv() => match head {
                    Some(head) => post.take(head),
                    None => return,
                },
                () = again, if !post.waiting.is_empty() => {}
                () = stopping.cancelled() => return,
            }
            while let Ok(head) = heads.try_recv() {
                post.take(head);
            }
            tokio::select! {
                () = post.send() => {}
                () = stopping.cancelled() => return,
            }
        }
    }
}

impl Post {
    fn take(&mut self, head: Sending) {
        self.waiting.push_back(head);
        if self.waiting.len() > WAITING {
            self.waiting.pop_front();
        }
    }

    /// The oldest first, until one is not taken.
    async fn send(&mut self) {
        while let Some(head) = self.waiting.front() {
            let request = request(&self.to, head, clock::now().wall);
            let verdict = webhook::verdict(self.http.send(request, LIMIT).await);
            match &verdict {
                Verdict::Accepted { .. } => {
                    info!(number = head.head.number, "a head was taken by the webhook");
                    self.waiting.pop_front();
                    self.refused = None;
                    self.board.update(|status| drop(status.alarms.remove(ALARM)));
                }
                other => return self.is_refused(other.why(), clock::now()),
            }
        }
    }

    fn is_refused(&mut self, why: &str, now: Now) {
        let since = *self.refused.get_or_insert(now);
        warn!(why, waiting = self.waiting.len(), "the webhook takes no head");
        if now.mono.since(since.mono) >= LONG {
            tell(&self.board, since.wall, why);
        }
    }
}

/// The same id and the same bytes at each try.
fn request(to: &HeadsTo, Sending { head, renewals }: &Sending, now: DateTime<Utc>) -> Request {
    let stamp = head.at.to_rfc3339_opts(SecondsFormat::Millis, true);
    let body = json!({
        "type": "log.head",
        "timestamp": stamp,
        "data": {
            "number": head.number,
            "size": head.size,
            "note": head.note,
            "renewals": renewals,
        },
    });
    // Of two logs that tell the same system each has heads of its own.
    let id = format!("head_{}", hex::encode(&Sha256::digest(&head.note)[..16]));
    signed(&to.hook, &id, now, body.to_string())
}

fn tell(board: &Board, since: DateTime<Utc>, why: &str) {
    let alarm = Alarm {
        since,
        zh: format!(
            "防篡改签名送不到见证系统，请检查 [witness.webhook] 的网址、密钥和网络（{why}）；恢复后自动补送"
        ),
        en: format!(
            "The signed heads of the log do not reach the system that witnesses them: check the address, secret and network of [witness.webhook] ({why}). They are sent once it takes them"
        ),
    };
    board.update(|status| drop(status.alarms.insert(ALARM, alarm)));
}

#[cfg(test)]
mod tests {
    use super::super::tests::stub::{Stub, status};
    use super::super::tests::{hook, loopback};
    use super::*;
    use crate::config::channels::{Way, Webhook};
    use crate::io::store::HeadRow;

    fn sending(number: u64) -> Sending {
        let (at, note) = (clock::now().wall, format!("origin\n{number}\n"));
        Sending { head: HeadRow { number, size: 9, at, note }, renewals: vec![] }
    }

    fn to(stub: &Stub) -> HeadsTo {
        let Way::Webhook(hook) = hook("见证", stub).way else { panic!("a webhook") };
        HeadsTo { hook, allow: loopback(), ca: None }
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn each_head_is_sent_signed_until_it_is_taken_and_in_its_order() {
        let stub = Stub::start(vec![status(503, ""), status(500, ""), status(204, "")]);
        let (sender, heads) = mpsc::channel(8);
        let stopping = CancellationToken::new();
        let board = Board::new();
        let keeping = Heads { to: to(&stub), heads, board: board.clone() };
        let keeping = tokio::spawn(keeping.keep(stopping.clone()));
        for number in [1, 2] {
            sender.send(sending(number)).await.unwrap();
        }
        let seen: Vec<_> = (0..4).map(|_| stub.next()).collect();
        let bodies: Vec<serde_json::Value> =
            seen.iter().map(|one| serde_json::from_str(&one.body).unwrap()).collect();
        let numbers: Vec<_> = bodies.iter().map(|one| one["data"]["number"].as_u64()).collect();
        assert_eq!(numbers, [Some(1), Some(1), Some(1), Some(2)]);
        assert_eq!(bodies[0]["type"], "log.head");
        assert_eq!(bodies[3]["data"]["note"], "origin\n2\n");
        assert_eq!(seen[0].header("webhook-id"), seen[2].header("webhook-id"));
        assert_ne!(seen[2].header("webhook-id"), seen[3].header("webhook-id"));
        assert!(board.status().alarms.is_empty(), "not for a while");
        stopping.cancel();
        keeping.await.unwrap();
    }

    #[test]
    fn what_nobody_takes_for_an_hour_is_told_with_its_remedy_and_what_waits_is_bounded() {
        let secrets = vec![];
        let hook = Webhook { url: "https://oa.example.cn/".to_owned(), secrets };
        let to = HeadsTo { hook, allow: vec![], ca: None };
        let http = Http::new(Guard::default(), None).unwrap();
        let board = Board::new();
        let mut post = Post { to, http, board, waiting: VecDeque::new(), refused: None };
        (0..300).for_each(|number| post.take(sending(number)));
        assert_eq!((post.waiting.len(), post.waiting[0].head.number), (WAITING, 100));
        let begun = clock::now();
        for minutes in [0, 59] {
            post.is_refused("http 403", begun + Duration::from_secs(60 * minutes));
            assert!(post.board.status().alarms.is_empty(), "it may pass");
        }
        post.is_refused("http 403", begun + LONG);
        let alarm = post.board.status().alarms[ALARM].clone();
        assert!(alarm.zh.contains("[witness.webhook]") && alarm.zh.contains("http 403"));
        assert_eq!(alarm.since, begun.wall);
    }
}
