//! Calling out from the page: what is asked of the switchboard, and what the officer reads.

use super::*;
use crate::duty::journal::{Disposition, Joining};
use crate::duty::placed::{DialOrder, Placed, Refusal};
use crate::io::store::CallbackState;

impl Room {
    /// The switchboard's next order; the log is told of it.
    async fn switchboard(&self, refusal: Option<Refusal>) -> DialOrder {
        let Some(Input::Dial(order)) = self.ordered.lock().await.recv().await else {
            panic!("an order to dial")
        };
        let (call, asker, number) = (order.call, order.asker.clone(), order.number.clone());
        self.told(match refusal {
            Some(why) => Fact::NotPlaced { call, asker, number, why },
            None => Fact::Placed(Box::new(Placed {
                call,
                asker,
                phone: order.phone.clone(),
                dialled: format!("9{number}"),
                number,
                unit: String::new(),
                town: String::new(),
                about: order.about,
            })),
        })
        .await;
        order
    }

    /// As `happens`, and the page hears of it.
    async fn told(&self, fact: Fact) {
        let told = self.web.store.note(Noted { at: clock::now(), fact }).await.unwrap();
        told.live.into_iter().for_each(|live| self.web.board.tell(live));
    }

    async fn dials(&self, body: &str, refusal: Option<Refusal>) -> (Answer, DialOrder) {
        tokio::join!(self.post("/dial", body), self.switchboard(refusal))
    }
}

fn ended(call: CallId, disposition: Disposition, status: u16) -> Fact {
    Fact::Ended { call, disposition, by: None, status, why: String::new() }
}

#[tokio::test]
async fn sig_24_a_click_in_an_entry_calls_its_number_and_opens_the_new_one() {
    let room = Room::open().await;
    let entry = room.caller_dials("13800130007", "").await;
    let page = room.fragment(&format!("/entries/{entry}")).await.text;
    assert!(page.contains("data-dial") && page.contains("13800130007"), "{page}");
    let (answer, order) = room.dials(&format!("about={entry}"), None).await;
    assert_eq!(answer.status, StatusCode::CREATED, "{}", answer.text);
    assert_eq!((order.number.as_str(), order.about), ("13800130007", Some(entry)));
    assert_eq!((order.phone.as_str(), order.asker.name.as_str()), ("值班台话机", "主班员"));
    let new: serde_json::Value = serde_json::from_str(&answer.text).unwrap();
    let new = new["entry"].as_str().unwrap().to_owned();
    assert_eq!(new, EntryId::from(order.call).to_string());
    let page = room.fragment(&format!("/entries/{new}")).await.text;
    for seen in ["呼出", "拨号", "主班员", "/hangup", "对方单位", &entry.to_string()] {
        assert!(page.contains(seen), "{seen} in {page}");
    }
    assert!(!page.contains("交换机核实"), "nobody claimed anything");
    let list = room.fragment("/rows").await.text;
    assert!(!list.contains(&format!("<li data-entry=\"{new}\"")), "it is no call to be answered");
    let old = room.fragment(&format!("/entries/{entry}")).await.text;
    assert!(old.contains(&format!("data-open=\"{new}\"")), "{old}");
}

#[tokio::test]
async fn sig_24_the_number_that_the_officer_wrote_down_is_called() {
    let room = Room::open().await;
    let entry = room.caller_dials("13800130007", "").await;
    let saved = room.save(entry, "caller_phone", "13800130007", "010-63005678 转 12").await;
    assert_eq!(saved.status, StatusCode::OK);
    let (_, order) = room.dials(&format!("about={entry}&phone=备用话机"), None).await;
    assert_eq!(order.number, "010-63005678 转 12");
    assert_eq!(order.phone, "备用话机");
}

#[tokio::test]
async fn sig_24_a_refusal_says_why_and_what_can_be_done() {
    let room = Room::open().await;
    for (why, remedy) in [
        (Refusal::NotNamed, "allow"),
        (Refusal::TooMany, "per_day"),
        (Refusal::NoNumber, "完整号码"),
        (Refusal::Ourselves, "值班专线"),
        (Refusal::NoChannel, "稍后再拨"),
        (Refusal::NoPhone, "另选一部"),
        (Refusal::Stopping, "其他电话"),
    ] {
        let (answer, _) = room.dials("number=0044123", Some(why)).await;
        assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY);
        assert!(answer.text.contains(remedy), "{why:?}: {}", answer.text);
    }
    let rows = room.web.store.verify_audit().await.unwrap();
    assert!(rows >= 7, "each is in the audit");
}

#[tokio::test]
async fn sig_24_what_became_of_it_stands_in_words_with_the_code() {
    let room = Room::open().await;
    let first = room.caller_dials("13800130007", "").await;
    room.told(ended(CallId(first.0), Disposition::Missed, 480)).await;
    let (_, order) = room.dials(&format!("about={first}"), None).await;
    let (call, phone) = (order.call, "13800130007".to_owned());
    room.told(Fact::Joining { call, phone: phone.clone(), how: Joining::Out }).await;
    room.told(Fact::NotTaken { call, phone, status: 404 }).await;
    room.told(ended(call, Disposition::Failed, 404)).await;
    let page = room.fragment(&format!("/entries/{}", EntryId::from(call))).await.text;
    assert!(page.contains("未接通") && page.contains("空号，请核对号码 (404)"), "{page}");
    let old = room.fragment(&format!("/entries/{first}")).await.text;
    assert!(old.contains("空号，请核对号码 (404)"), "{old}");
    let row = room.web.store.entry_row(first).await.unwrap().unwrap();
    assert_eq!(row.callback, Some(CallbackState::Open), "still to be called back");

    let (_, order) = room.dials(&format!("about={first}"), None).await;
    room.told(ended(order.call, Disposition::Failed, 408)).await;
    let page = room.fragment(&format!("/entries/{}", EntryId::from(order.call))).await.text;
    assert!(page.contains("本席话机未接通：没有回应 (408)"), "{page}");
    let (_, order) = room.dials(&format!("about={first}"), None).await;
    room.told(ended(order.call, Disposition::Interrupted, 503)).await;
    let page = room.fragment(&format!("/entries/{}", EntryId::from(order.call))).await.text;
    assert!(page.contains("拨号途中服务重启，未接通，请重拨"), "{page}");
    let page = room.fragment(&format!("/entries/{first}")).await.text;
    assert!(page.contains("拨号途中服务重启"), "where it is called about, too: {page}");
}

#[tokio::test]
async fn sig_24_it_can_be_ended_on_the_page() {
    let room = Room::open().await;
    let (_, order) = room.dials("number=13800130007", None).await;
    let entry = EntryId::from(order.call);
    let gives_up = async {
        let order = room.ordered.lock().await.recv().await;
        let Some(Input::GiveUp { call, asker }) = order else { panic!("{order:?}") };
        assert!(asker.person.is_some() && !asker.name.is_empty(), "{asker:?}");
        room.told(ended(call, Disposition::Abandoned, 487)).await;
    };
    let path = format!("/entries/{entry}/hangup");
    let (answer, ()) = tokio::join!(room.post(&path, ""), gives_up);
    assert_eq!(answer.status, StatusCode::OK);
    assert!(answer.text.contains("已取消"), "{}", answer.text);
}

#[tokio::test]
async fn sig_24_the_directory_is_searched_by_whatever_is_known() {
    let room = Room::open().await;
    let contact = |name: &str, unit: &str, number: &str| crate::config::Contact {
        name: name.to_owned(),
        unit: unit.to_owned(),
        duty: "<b>主任</b>".to_owned(),
        numbers: vec![number.to_owned()],
    };
    let all = vec![
        contact("王主任", "燃气公司", "13800130007"),
        contact("李调度", "供电公司", "63005678"),
    ];
    room.web.store.set_contacts(all, Default::default()).await.unwrap();
    let find = async |text: &str| {
        room.fragment(&format!("/contacts?find={}", page::in_query(text))).await.text
    };
    let everybody = find("").await;
    assert!(everybody.contains("王主任") && everybody.contains("李调度"));
    assert!(!everybody.contains("<b>主任"), "a name is text: {everybody}");
    for known in ["王", "燃气", "0013"] {
        let found = find(known).await;
        assert!(found.contains("王主任") && !found.contains("李调度"), "{known}: {found}");
    }
    assert!(find("%").await.contains("没有找到"));
}

#[tokio::test]
async fn sig_24_nobody_calls_who_has_not_signed_in() {
    let room = Room::closed().await;
    for path in ["/dial", "/entries/0195d2a0-0000-7000-8000-000000000000/hangup"] {
        let answer = room.post(path, "number=110").await;
        assert_eq!(answer.status, StatusCode::UNAUTHORIZED, "{path}");
    }
    assert!(room.ordered.lock().await.try_recv().is_err());
}
