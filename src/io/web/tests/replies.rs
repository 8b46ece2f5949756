//! What an SMS gateway hands on: by HTTP, without a session, signed.

use super::*;
use crate::config::Secret;
use crate::config::channels::{Alarms, Channel, Gateway, Inbound, To, Way};
use crate::duty::notices::{self, Kind};
use crate::io::channels::{Post, Replies};
use crate::io::store::Recipient;

const PATH: &str = "/channels/%E7%9F%AD%E4%BF%A1/replies";
const SECRET: &str = "between us";

fn channel() -> Channel {
    let inbound = Inbound {
        secrets: vec![Secret::new(SECRET)],
        from: "/from".to_owned(),
        text: "/text".to_owned(),
        sent: None,
    };
    let way = Gateway {
        url: "http://127.0.0.1:9/".to_owned(),
        content_type: "application/json".to_owned(),
        headers: vec![],
        body: "{to} {no} {code}".to_owned(),
        secret: None,
        to: vec![To::Role(Role::Leader)],
        success: None,
        replies: Some(inbound),
    };
    let (name, kind, least) = ("短信".to_owned(), Kind::Sms, Urgency::Urgent);
    let plan = notices::Channel { name, kind, least, repeat: None, to_leader: true };
    Channel { plan, way: Way::Sms(way), allow: vec![], ca: None, alarms: Alarms::No }
}

impl Room {
    async fn hands_on(&self, id: &str, key: &str, body: &str) -> StatusCode {
        let at = clock::now().wall.timestamp().to_string();
        let signed = format!("{id}.{at}.{body}");
        let mac = crate::io::channels::signing::hmac_sha256(key.as_bytes(), signed.as_bytes());
        let headers = [
            ("webhook-id", id),
            ("webhook-timestamp", &at),
            ("webhook-signature", &format!("v1,{mac}")),
        ];
        self.ask(Method::POST, PATH, &headers, body).await.status
    }
}

#[tokio::test]
async fn esc_40_a_callback_that_is_signed_acknowledges_and_the_page_says_by_which_way() {
    let mut room = Room::open().await;
    let body = r#"{"from":"13900000001","text":"1"}"#;
    assert_eq!(room.hands_on("m", SECRET, body).await, StatusCode::NOT_FOUND, "none is configured");
    let (store, board) = (room.web.store.clone(), room.web.board.clone());
    let post = Post::new(store.clone(), board, Arc::clone(&room.web.wake)).at("63001234");
    room.web.replies = Some(Arc::new(Replies::of(&[channel()], post)));
    room.app = router(room.web.clone());
    store.set_channels(vec![channel().plan], clock::now()).await.unwrap();
    let entry = room.caller_dials("13800130007", "").await;
    room.post(&format!("/entries/{entry}/urgency"), "urgency=urgent").await;
    let owed = store.next_notice(&channel().plan, clock::now()).await.unwrap().send.unwrap();
    let deliveries = owed.tries.iter().map(|(delivery, _)| *delivery).collect();
    let (number, person) = ("13900000001".to_owned(), "张局".to_owned());
    let people = vec![Recipient { number, person, role: Role::Leader }];
    store.texted(deliveries, people, clock::now()).await.unwrap();
    let accepted = notices::Verdict::Accepted { id: None };
    store.notice_ended(&channel().plan, owed.tries, accepted, clock::now()).await.unwrap();

    let cookie = std::mem::take(&mut room.cookie);
    assert_eq!(room.hands_on("m", "another key", body).await, StatusCode::UNAUTHORIZED);
    assert_eq!(room.post(PATH, body).await.status, StatusCode::UNAUTHORIZED);
    assert_eq!(room.get(PATH).await.status, StatusCode::METHOD_NOT_ALLOWED);
    assert_eq!(room.hands_on("m", SECRET, "{}").await, StatusCode::UNPROCESSABLE_ENTITY);
    let big = format!(r#"{{"from":"1","text":"{}"}}"#, "x".repeat(BODY));
    assert_eq!(room.hands_on("m", SECRET, &big).await, StatusCode::PAYLOAD_TOO_LARGE);
    for _ in 0..5 {
        assert_eq!(room.hands_on("m", SECRET, body).await, StatusCode::NO_CONTENT);
    }
    room.cookie = cookie;
    let shown = room.get(&format!("/entries/{entry}")).await.text;
    assert_eq!(shown.matches("带班领导 张局 已接报").count(), 1, "{shown}");
    assert!(shown.contains(" · 短信"), "{shown}");
}
