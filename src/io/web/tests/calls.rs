//! What the list and the entry say of its call.

use super::*;
use crate::duty::ladder::{Traced, Way, What};
use crate::protocol::sip::{Peer, Transport};

#[tokio::test]
async fn sig_39_the_officer_is_told_that_a_fax_calls() {
    let room = Room::open().await;
    let entry = room.caller_dials("88123456", "").await;
    let path = format!("/entries/{entry}");
    assert!(!room.fragment(&path).await.text.contains("传真机信号音"));
    room.happens(Fact::FaxHeard { call: CallId(entry.0) }).await;
    let text = room.fragment(&path).await.text;
    assert!(text.contains("听到传真机信号音"), "{text}");
    assert!(text.contains(r#"<option value="fax" selected>传真</option>"#), "{text}");
}

#[tokio::test]
async fn rec_s8_the_entry_says_where_the_number_is_from_and_who_sent_the_call_on() {
    let room = Room::open().await;
    let call = CallId::new(clock::now(), &mut clock::random());
    let mut arrival = Arrival::from_number(call, "13800130007", "");
    let by = Identity { user: "6300{}".into(), display: "<b>总机".into(), ..Identity::default() };
    let (header, why) = (ClaimHeader::Diversion, DivertedWhy::Busy);
    arrival.diverted = vec![Diverted { by, header, why }];
    arrival.town = "深圳".into();
    let noted = Noted { at: clock::now(), fact: Fact::Arrived(Box::new(arrival)) };
    room.web.store.note(noted).await.unwrap();
    let page = room.fragment(&format!("/entries/{call}")).await.text;
    assert!(page.contains("来自 13800130007，经 6300{} &#60;b&#62;总机（遇忙） 转移"), "{page}");
    assert!(page.contains("未识别 深圳"), "{page}");
    assert!(page.contains("未核实") && page.contains("号码取自 From"), "{page}");
    let rows = room.fragment("/rows").await.text;
    assert!(rows.contains("data-diverted=\"6300{} &#60;b&#62;总机\""), "{rows}");
    assert!(rows.contains("data-vouched=\"false\"") && rows.contains("未核实"), "{rows}");
}

#[tokio::test]
async fn who_waits_holds_or_leaves_a_message_is_seen_in_the_list() {
    let room = Room::open().await;
    let entry = room.caller_dials("13800130007", "").await;
    let call = CallId(entry.0);
    let states = async || room.fragment("/rows").await.text;
    room.happens(Fact::Began { call, stretch: Stretch::Queued }).await;
    assert!(states().await.contains("排队"));
    room.happens(Fact::Answered { call, phone: "值班台话机".to_owned() }).await;
    room.happens(Fact::Began { call, stretch: Stretch::Hold(Party::Officer) }).await;
    assert!(states().await.contains("保持"));
    let page = room.fragment(&format!("/entries/{entry}")).await.text;
    assert!(page.contains("值班方保持") && page.contains("排队"), "{page}");
    let other = room.caller_dials("13800130008", "").await;
    room.happens(Fact::Began { call: CallId(other.0), stretch: Stretch::Message }).await;
    assert!(states().await.contains("留言中"));
}

#[tokio::test]
async fn sig_12_a_caller_to_call_back_is_in_the_list_with_a_button_until_it_is_settled() {
    let room = Room::open().await;
    let entry = room.caller_dials("13800130007", "").await;
    let path = format!("/entries/{entry}/callback");
    let answer = room.post(&path, "outcome=called_back").await;
    assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY, "nothing to call back");
    let (call, why) = (CallId(entry.0), "nobody answered".to_owned());
    let disposition = Disposition::Message;
    room.happens(Fact::Ended { call, disposition, by: None, status: 200, why }).await;
    let rows = room.fragment("/rows").await.text;
    assert!(rows.contains("待回拨") && rows.contains("留言") && rows.contains(&path), "{rows}");
    let answer = room.post(&path, "outcome=impossible&reason=").await;
    assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(answer.text.contains("必须填写原因"), "{}", answer.text);
    assert_eq!(room.post(&path, "outcome=perhaps").await.status, StatusCode::UNPROCESSABLE_ENTITY);
    let before = room.audited().await;
    let answer = room.post(&path, "outcome=called_back").await;
    assert_eq!(answer.status, StatusCode::OK);
    assert!(answer.text.contains("主班员"), "{}", answer.text);
    assert_eq!(room.audited().await, before + 1);
    let rows = room.fragment("/rows").await.text;
    assert!(rows.contains("已回拨") && !rows.contains(&path), "{rows}");
    let nobody = CallId::new(clock::now(), &mut clock::random());
    let answer = room.post(&format!("/entries/{nobody}/callback"), "outcome=called_back").await;
    assert_eq!(answer.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn rec_s11_the_page_shows_how_a_call_ended_whose_ladder_is_cut() {
    let room = Room::open().await;
    let entry = room.caller_dials("13800130007", "").await;
    let peer = Peer { transport: Transport::Udp, addr: "192.0.2.1:5060".parse().unwrap() };
    let bytes = b"BYE sip:1@a SIP/2.0\r\nReason: Q.850;cause=16\r\n\r\n".to_vec();
    let bye = What::Message { way: Way::In, peer, leg: String::new(), bytes };
    let step = |what| Traced { call: CallId(entry.0), at: clock::now(), what };
    let steps = [What::Cut, What::Lost { count: 450 }, bye].map(step).to_vec();
    room.web.store.trace(steps).await.unwrap();
    let page = room.fragment(&format!("/entries/{entry}/ladder")).await.text;
    let found = ["不再保留", "缺 450 条", "BYE", "Reason: Q.850"].map(|text| page.find(text));
    assert!(found.iter().all(Option::is_some) && found.is_sorted(), "{found:?} {page}");
}
