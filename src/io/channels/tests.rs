//! The channels against providers of raw TCP: what is on the wire, what is made of what comes back.

mod alarms;
mod display;
mod handover;
mod modem;
mod replies;
mod smtp;
pub mod stub;
mod wire;

use super::http::{Answer, Fault, READ_AT_MOST};
use super::*;
use crate::config::Secret;
use crate::config::channels::{App, Bot, Push, Webhook};
use crate::duty::escalation::Policy;
use crate::duty::ids::{EntryId, EscalationId};
use crate::duty::journal::{Fact, Noted, Urgency};
use crate::duty::notices::Kind;
use crate::duty::switchboard::Input;
use crate::io::store::OnDuty;
use crate::io::store::tests::{add_officer, arrival, call, officer, one};
use crate::protocol::random::Random;
use crate::protocol::sip::phones::Network;
use std::time::Instant;
use stub::{Act, Stub, json, status};

/// The caller of the entry: no channel may ever say it.
const CALLER: &str = "13812345678";

pub fn loopback() -> Vec<Network> {
    vec![Network { ip: "127.0.0.0".parse().unwrap(), bits: 8 }]
}

fn channel(name: &str, kind: Kind, way: Way) -> Channel {
    let repeat = Some(Duration::from_secs(600));
    let (name, least, to_leader) = (name.to_owned(), Urgency::Urgent, way.is_for(Role::Leader));
    let plan = notices::Channel { name, kind, least, repeat, to_leader };
    let (allow, alarms) = (loopback(), Alarms::No);
    Channel { plan, way, allow, ca: None, alarms }
}

pub fn hook(name: &str, stub: &Stub) -> Channel {
    let secrets = vec![Secret::new("whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD")];
    channel(name, Kind::Webhook, Way::Webhook(Webhook { url: stub.url("/duty"), secrets }))
}

fn bot(stub: &Stub, signing: Option<&str>) -> Bot {
    Bot {
        url: stub.url(""),
        token: Secret::new("token-not-to-be-logged"),
        signing: signing.map(Secret::new),
        mention: vec![],
    }
}

struct Room {
    store: Store,
    board: Board,
    slips: Slips,
    stopping: CancellationToken,
    _folder: tempfile::TempDir,
}

impl Room {
    async fn with(channels: Vec<Channel>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(&folder.path().join("log.db"), clock::random()).unwrap();
        add_officer(&store);
        let room = Self {
            store,
            board: Board::new(),
            slips: display::line(),
            stopping: CancellationToken::new(),
            _folder: folder,
        };
        let started = start(channels, room.office(), &room.stopping).await;
        drop(started);
        room
    }

    fn office(&self) -> Office {
        let sms = Some("13900000001".to_owned());
        let leader = Person::new("张局长", Role::Leader, Some("913900000001"), None);
        let leader = Person { sms, ..leader };
        Office {
            store: self.store.clone(),
            board: self.board.clone(),
            roster: Roster { people: vec![leader] },
            line: "63001234".to_owned(),
            slips: self.slips.clone(),
            wake: Arc::default(),
        }
    }

    async fn flag(&self, n: u8) -> EntryId {
        self.note(arrival(n, CALLER)).await;
        let entry = call(n).into();
        self.store.flag(&officer(), entry, Urgency::Urgent, clock::now()).await.unwrap();
        self.board.tell(crate::io::status::Live::Escalation { entry });
        entry
    }

    async fn note(&self, fact: Fact) {
        self.store.note(Noted { at: clock::now(), fact }).await.unwrap();
    }

    /// Waits until the query gives this.
    async fn is(&self, query: &str, wanted: &str) {
        let until = Instant::now() + Duration::from_secs(20);
        loop {
            let store = self.store.clone();
            let text = format!("SELECT coalesce(({query}), '')");
            let found: String =
                tokio::task::spawn_blocking(move || one(&store, &text)).await.unwrap();
            if found == wanted {
                return;
            }
            assert!(Instant::now() < until, "{query}: {found:?}, not {wanted:?}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

/// A letter of one matter, for adapters that are spoken to without a log.
async fn with_letter<T>(deed: impl AsyncFnOnce(&Letter<'_>) -> T) -> T {
    let mut random = Random::from_seed([1; 32]);
    let now = clock::now();
    let items =
        [Item { number: "记-20261003-0007".to_owned(), urgency: Urgency::Urgent, drill: false }];
    let text = notices::text(What::Alert, &items, "63001234");
    let matter = Matter {
        escalation: EscalationId::new(now, &mut random),
        entry: EntryId::from(call(1)),
        raised: now.wall,
    };
    let name = DeliveryId::new(now, &mut random);
    let of = Of::Matter(What::Alert, &matter);
    let (line, now, codes) = ("63001234", now.wall, &[]);
    deed(&Letter { name, of, items: &items, text: &text, codes, line, now }).await
}

#[tokio::test(flavor = "multi_thread")]
async fn esc_01_a_webhook_leaves_at_once_signed_and_says_no_more_than_it_may() {
    let stub = Stub::start(vec![status(204, "")]);
    let room = Room::with(vec![hook("业务平台", &stub)]).await;
    let flagged = Instant::now();
    let entry = room.flag(1).await;
    let seen = stub.next();
    assert!(seen.at - flagged < Duration::from_secs(2));
    assert_eq!(seen.line, "POST /duty");
    let (id, at) = (seen.header("webhook-id"), seen.header("webhook-timestamp"));
    let key = signing::from_base64("C2FVsBQIhrscChlQIMV+b5sSYspob7oD").unwrap();
    let signed = format!("{id}.{at}.{}", seen.body);
    let signature = format!("v1,{}", signing::hmac_sha256(&key, signed.as_bytes()));
    assert_eq!(seen.header("webhook-signature"), signature);
    let body: serde_json::Value = serde_json::from_str(&seen.body).unwrap();
    assert_eq!(body["type"], "escalation.alert");
    assert_eq!(body["data"]["entry"], entry.to_string());
    assert!(body["data"]["items"][0]["number"].as_str().unwrap().starts_with("记-"));
    assert!(!seen.body.contains(CALLER) && !seen.body.contains("script"), "esc_87: {}", seen.body);
    room.is("SELECT progress FROM delivery", "accepted").await;
    assert!(stub.is_quiet_for(Duration::from_millis(300)), "once");
}

#[tokio::test(flavor = "multi_thread")]
async fn esc_01_of_two_hundred_flags_the_notice_leaves_within_two_seconds_of_the_commit() {
    let stub = Stub::answering(|_, _| status(204, ""));
    let room = Room::with(vec![hook("业务平台", &stub)]).await;
    let mut waited = vec![];
    for n in 0..200 {
        let entry = room.flag(n).await;
        let committed = Instant::now();
        let seen = stub.next();
        assert!(seen.body.contains(&entry.to_string()), "{}", seen.body);
        waited.push(seen.at.saturating_duration_since(committed));
    }
    waited.sort();
    println!("p50 {:?}, p99 {:?}", waited[100], waited[197]);
    assert!(waited[197] <= Duration::from_secs(2), "{:?}", waited[197]);
}

#[tokio::test(flavor = "multi_thread")]
async fn esc_51_52_a_channel_that_hangs_or_fails_delays_no_other_and_is_tried_again_under_its_id() {
    let hanging = Stub::answering(|nth, _| if nth == 0 { Act::Hangs } else { status(200, "") });
    let failing = Stub::start(vec![status(500, ""), status(500, ""), status(200, "")]);
    let well = Stub::start(vec![status(200, "")]);
    let channels = vec![hook("挂起", &hanging), hook("出错", &failing), hook("正常", &well)];
    let room = Room::with(channels).await;
    room.flag(1).await;
    let (first, at_well, failed) = (hanging.next(), well.next(), failing.next());
    let apart = at_well.at.max(first.at) - at_well.at.min(first.at);
    assert!(apart < Duration::from_secs(4), "it did not wait for the one that hangs: {apart:?}");
    for planned in [2.0, 6.0] {
        let again = failing.next();
        let after = (again.at - failed.at).as_secs_f64();
        assert!(after > planned * 0.5, "{after} s instead of {planned}");
        assert_eq!(again.header("webhook-id"), failed.header("webhook-id"));
        assert_eq!(again.body, failed.body, "the same bytes");
        assert!(again.header("webhook-timestamp") > failed.header("webhook-timestamp"), "fresh");
    }
    let again = hanging.next();
    let after = (again.at - first.at).as_secs_f64();
    assert!(after > 2.5, "given up at 5 s: {after}");
    assert_eq!(again.header("webhook-id"), first.header("webhook-id"));
    room.is("SELECT count(*) || group_concat(DISTINCT progress) FROM delivery", "3accepted").await;
    room.is(
        "SELECT group_concat(why, '|' ORDER BY why) FROM delivery_try WHERE why <> ''",
        "http 500|http 500|timeout",
    )
    .await;
}

/// Of several, so that a busy host does not count.
#[tokio::test(flavor = "multi_thread")]
async fn esc_52_while_one_channel_hangs_the_other_is_told_within_100_ms() {
    let hanging = Stub::answering(|_, _| Act::Hangs);
    let well = Stub::answering(|_, _| status(200, ""));
    let room = Room::with(vec![hook("挂起", &hanging), hook("正常", &well)]).await;
    let mut quickest = Duration::MAX;
    for n in 0..5 {
        room.flag(n).await;
        let committed = Instant::now();
        quickest = quickest.min(well.next().at.saturating_duration_since(committed));
    }
    hanging.next();
    let waits = "SELECT group_concat(DISTINCT progress) FROM delivery WHERE channel = '挂起'";
    room.is(waits, "waiting").await;
    assert!(quickest <= Duration::from_millis(100), "{quickest:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn esc_68_a_short_message_goes_to_whoever_leads_now() {
    let stub = Stub::start(vec![status(200, "")]);
    let way = Gateway {
        url: stub.url("/sms"),
        content_type: "text/plain".to_owned(),
        headers: vec![],
        body: "{to} {no}".to_owned(),
        secret: None,
        to: vec![To::Role(Role::Leader)],
        success: None,
        replies: None,
    };
    let room = Room::with(vec![]).await;
    let mut office = room.office();
    let sms = Some("13900000002".to_owned());
    let other = Person::new("李副局", Role::Substitute, Some("913900000002"), None);
    office.roster.people.push(Person { sms, ..other });
    let person = "李副局".to_owned();
    let from = clock::now().wall - Duration::from_secs(60);
    let duty = OnDuty { role: Role::Leader, person, from, to: None };
    room.store.put_on_duty(&officer(), duty, clock::now()).await.unwrap();
    let sms = channel("短信", Kind::Sms, Way::Sms(way));
    drop(start(vec![sms], office, &room.stopping).await);
    room.flag(1).await;
    let sent = stub.next().body;
    assert!(sent.starts_with("13900000002 记-"), "{sent}");
    assert!(stub.is_quiet_for(Duration::from_millis(300)), "and to nobody else");
}

#[tokio::test(flavor = "multi_thread")]
async fn esc_36_whatever_was_to_be_tried_again_is_not_after_the_acknowledgement() {
    let stub = Stub::start(vec![status(503, "")]);
    let room = Room::with(vec![hook("业务平台", &stub)]).await;
    let entry = room.flag(1).await;
    stub.next();
    let roster = room.office().roster;
    let cycle = room.store.next_calls(clock::now(), &Policy::default(), &roster).await.unwrap();
    let Some(Input::Notify(call)) = cycle.inputs.first() else { panic!("{cycle:?}") };
    room.note(Fact::Acknowledged { attempt: call.attempt, entry }).await;
    room.is("SELECT progress || ' ' || why FROM delivery", "dropped acknowledged meanwhile").await;
    assert!(stub.is_quiet_for(Duration::from_secs(3)), "the try at 2 s is not made");
}

/// A provider of WeCom's application messages; each `gettoken` gives the next token.
fn wecom(good: &'static str) -> Stub {
    let mut given = 0;
    Stub::answering(move |_, seen| {
        if seen.line.starts_with("GET /cgi-bin/gettoken") {
            given += 1;
            return json(&format!(
                r#"{{"errcode":0,"access_token":"t{given}","expires_in":7200}}"#
            ));
        }
        let token = seen.line.rsplit('=').next().unwrap_or_default();
        json(if token == good { r#"{"errcode":0,"msgid":"m"}"# } else { r#"{"errcode":42001}"# })
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn esc_58_a_hundred_sends_with_an_expired_token_draw_one_new_one() {
    let stub = wecom("t2");
    let way = App {
        url: stub.url(""),
        corporation: "ww1".to_owned(),
        agent: 1_000_002,
        secret: Secret::new("corp-secret"),
        to: vec!["zhang".to_owned(), "li".to_owned()],
    };
    let http = Http::new(Guard { allow: loopback() }, None).unwrap();
    let tokens = wecom::Tokens::default();
    let limit = Duration::from_secs(10);
    // t1 is drawn, refused, and t2 is good: one token refresh, then success (esc_54).
    let first = with_letter(async |letter| wecom::send(&way, letter, &http, &tokens, limit).await);
    assert_eq!(first.await, Verdict::Accepted { id: Some("m".to_owned()) });
    let lines: Vec<String> = stub.seen.try_iter().map(|seen| seen.line).collect();
    let draws = |lines: &[String]| lines.iter().filter(|line| line.contains("gettoken")).count();
    assert_eq!((draws(&lines), lines.len()), (2, 4), "{lines:?}");

    let stub = wecom("t2");
    let way = App { url: stub.url(""), ..way };
    let tokens = wecom::Tokens::default();
    let all = (0..100).map(|_| {
        with_letter(async |letter| wecom::send(&way, letter, &http, &tokens, limit).await)
    });
    for verdict in futures_of(all).await {
        assert_eq!(verdict, Verdict::Accepted { id: Some("m".to_owned()) });
    }
    let lines: Vec<String> = stub.seen.try_iter().map(|seen| seen.line).collect();
    assert_eq!(draws(&lines), 2, "one to begin with, one for all whose token had expired");
}

/// All at once, on this task.
async fn futures_of<F: Future>(all: impl Iterator<Item = F>) -> Vec<F::Output> {
    let mut waiting: Vec<_> = all.map(|one| (Box::pin(one), None)).collect();
    std::future::poll_fn(|context| {
        for (future, done) in &mut waiting {
            if done.is_none()
                && let std::task::Poll::Ready(output) = future.as_mut().poll(context)
            {
                *done = Some(output);
            }
        }
        match waiting.iter().all(|(_, done)| done.is_some()) {
            true => std::task::Poll::Ready(()),
            false => std::task::Poll::Pending,
        }
    })
    .await;
    waiting.into_iter().filter_map(|(_, done)| done).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn esc_54_every_kind_speaks_as_its_provider_wants_and_reads_the_verdict_in_the_body() {
    let stub = Stub::answering(|_, seen| match seen.line.as_str() {
        line if line.contains("/hook/") => json(r#"{"code":0}"#),
        line if line.contains("webhook/send") => json(r#"{"errcode":45009}"#),
        line if line.contains("/sms") => json(r#"{"Code":"OK"}"#),
        _ => json(r#"{"id":"p1"}"#),
    });
    let push = |topic: &str| Push {
        url: stub.url(""),
        topic: topic.to_owned(),
        token: Some(Secret::new("tk_secret")),
    };
    let sms = Gateway {
        url: stub.url("/sms"),
        content_type: "application/json".to_owned(),
        headers: vec![("Authorization".to_owned(), "APPCODE {secret}".to_owned())],
        body: r#"{"phone":"{to}","param":{"no":"{no}"}}"#.to_owned(),
        secret: Some(Secret::new("appcode-1")),
        to: vec![To::Role(Role::Leader)],
        success: Some(("/Code".to_owned(), "OK".to_owned())),
        replies: None,
    };
    let room = Room::with(vec![
        channel("飞书", Kind::FeishuBot, Way::FeishuBot(bot(&stub, Some("feishu-secret")))),
        channel("企微", Kind::WecomBot, Way::WecomBot(bot(&stub, None))),
        channel("ntfy", Kind::Ntfy, Way::Ntfy(push("zhiban"))),
        channel("gotify", Kind::Gotify, Way::Gotify(push(""))),
        channel("短信", Kind::Sms, Way::Sms(sms)),
    ])
    .await;
    room.flag(1).await;
    let mut seen: Vec<_> = (0..5).map(|_| stub.next()).collect();
    seen.sort_by_key(|seen| seen.line.clone());
    let lines: Vec<&str> = seen.iter().map(|seen| seen.line.as_str()).collect();
    let wanted = [
        "POST /",
        "POST /cgi-bin/webhook/send?key=token-not-to-be-logged",
        "POST /message",
        "POST /open-apis/bot/v2/hook/token-not-to-be-logged",
        "POST /sms",
    ];
    assert_eq!(lines, wanted);
    let body = |nth: usize| -> serde_json::Value { serde_json::from_str(&seen[nth].body).unwrap() };
    assert_eq!((&body(0)["topic"], &body(0)["priority"]), (&"zhiban".into(), &5.into()));
    assert_eq!(seen[0].header("authorization"), "Bearer tk_secret");
    assert_eq!(seen[2].header("x-gotify-key"), "tk_secret");
    assert_eq!(body(3)["msg_type"], "text");
    assert!(body(3)["sign"].is_string() && body(3)["timestamp"].is_string());
    assert_eq!(body(4)["phone"], "13900000001", "whoever leads now");
    assert_eq!(seen[4].header("authorization"), "APPCODE appcode-1");
    for one in &seen {
        assert!(one.body.contains("记-"), "{}", one.body);
        assert!(!one.body.contains(CALLER), "esc_87: {}", one.body);
    }
    for (channel, progress) in
        [("飞书", "accepted"), ("ntfy", "accepted"), ("gotify", "accepted"), ("短信", "accepted")]
    {
        let query = format!("SELECT progress FROM delivery WHERE channel = '{channel}'");
        room.is(&query, progress).await;
    }
    room.is(
        "SELECT ending || after_ms || why FROM delivery_try WHERE channel = '企微'",
        "retry20000errcode 45009",
    )
    .await;
}

#[test]
fn esc_87_no_secret_is_shown_by_whoever_prints_a_channel() {
    let secret = || Secret::new("hush-hush");
    let ways = [
        Way::Webhook(Webhook { url: String::new(), secrets: vec![secret()] }),
        Way::FeishuBot(Bot {
            url: String::new(),
            token: secret(),
            signing: Some(secret()),
            mention: vec![],
        }),
        Way::Ntfy(Push { url: String::new(), topic: String::new(), token: Some(secret()) }),
    ];
    for way in ways {
        let shown = format!("{:?}", channel("x", Kind::Webhook, way));
        assert!(!shown.contains("hush-hush") && shown.contains("******"), "{shown}");
    }
}

#[test]
fn a_providers_word_is_tamed() {
    assert_eq!(tame("ok\r\nfake: 记\u{7}"), "okfake:");
    assert_eq!(tame(&"x".repeat(500)).len(), 64);
    assert_eq!(cut("急急急", 7), "急急");
}
