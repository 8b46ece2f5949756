//! A call whose entry cannot be opened, and a log that takes nothing: what is pressed then is about this call, and is
//! answered in words.

use super::{Room, signed_in};
use crate::browser::Browser;
use dutyline::duty::entry::Field;
use dutyline::duty::ids::{CallId, EntryId};
use dutyline::duty::journal::{Arrival, Disposition, Fact, Urgency};
use dutyline::duty::switchboard::Input;
use dutyline::io::clock;
use dutyline::io::status::Live;
use fantoccini::key::Key;
use rusqlite::Connection;
use std::time::Duration;

/// What is asked of the server from now on.
const ASKED: &str = "
    const real = window.fetch;
    window.asked = [];
    window.fetch = (what, how) => {
        window.asked.push(`${how?.method ?? 'GET'} ${new URL(what?.url ?? what, location).pathname}`);
        return real(what, how);
    };";

async fn asked(browser: &Browser, line: &str) -> bool {
    let asked = browser.script("return window.asked").await;
    asked.as_array().expect("a list").iter().any(|one| one == line)
}

/// A call that rings, of which the log knows nothing yet.
fn rings_unlogged(room: &Room, number: &str) -> CallId {
    let call = CallId::new(clock::now(), &mut clock::random());
    room.board.tell(Live::Ringing {
        entry: call.into(),
        caller: number.to_owned(),
        name: String::new(),
        vouched: true,
        called: "举报专线".to_owned(),
        diverted: vec![],
        at: clock::now().wall,
    });
    call
}

fn lock(room: &Room) -> Connection {
    let other = Connection::open(room.folder.path().join("dutyline.db")).expect("opened");
    other.busy_timeout(Duration::from_secs(5)).expect("set");
    other.execute_batch("BEGIN IMMEDIATE").expect("locked");
    other
}

async fn urgency(room: &Room, call: CallId) -> Urgency {
    room.store.entry(call.into()).await.expect("read").expect("there").row.urgency
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_pressed_for_a_call_that_cannot_be_opened_never_goes_to_the_entry_before_it() {
    let Some((mut room, browser)) = signed_in().await else { return };
    let before = room.caller_dials("88123456", "市住建局").await;
    room.officer_answers(before).await;
    browser.see_text(".entry-marks", "通话中").await;
    browser.type_into("subject", "先前的事").await;
    browser.see_text(".save-state", "已保存").await;
    browser.script(ASKED).await;

    let call = rings_unlogged(&room, "13800130007");
    browser.see_text("#ring .ring-number", "13800130007").await;
    browser.see_text("#ring .ring-way", "拨入 举报专线").await;
    browser.press(Key::F1).await;
    browser.see_text("#detail [role=alert]", "请先用纸记录").await;
    assert_eq!(browser.text("#detail .number").await, "13800130007", "whose it is, is said");
    browser.shot("81-cannot-be-opened").await;
    let within = format!("return document.activeElement?.closest('[data-entry=\"{before}\"]')");
    assert!(browser.script(&within).await.is_null(), "the cursor is in no other entry");
    browser.press(Key::F2).await;
    let flag = |call| format!("POST /entries/{}/urgency", EntryId::from(call));
    browser.until("the flag", async || asked(&browser, &flag(call)).await).await;
    assert!(!asked(&browser, &flag(before)).await, "the entry before is not flagged");
    assert_eq!(urgency(&room, before).await, Urgency::Routine);

    let arrival = Arrival::from_number(call, "13800130007", "");
    room.happens(Fact::Arrived(Box::new(arrival))).await;
    let field = format!("article.entry[data-entry=\"{call}\"] [name=subject]");
    browser.see(&field).await;
    browser.press(Key::F3).await;
    browser.see_text(".escalations", "正在呼叫领导").await;
    assert_eq!(urgency(&room, call).await, Urgency::Critical, "the entry is open now");

    // The same for a click on the list while the page has lost its server.
    browser.click(&format!("#row-{before} > a")).await;
    browser.see(&format!("article.entry[data-entry=\"{before}\"] [name=subject]")).await;
    room.server_stops().await;
    browser.see("#page-lost").await;
    browser.click(&format!("#row-{call} > a")).await;
    browser.see_text("#detail [role=alert]", "请先用纸记录").await;
    assert!(browser.script(&within).await.is_null(), "nor after a click");
    room.server_starts().await;
    browser.see(&field).await;
    browser.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flag_that_the_telephone_takes_in_place_of_the_log_is_not_called_undone() {
    let Some((room, browser)) = signed_in().await else { return };
    let call = room.caller_dials("88123456", "市住建局").await;
    room.officer_answers(call).await;
    browser.see_text(".entry-marks", "通话中").await;
    let locked = lock(&room);
    browser.press(Key::F3).await;
    browser.see_text(".action-note", "正在直接呼叫领导").await;
    let said = browser.text(".action-note").await;
    assert!(!said.starts_with("操作未完成"), "{said}");
    browser.shot("82-flagged-by-the-telephone").await;
    let noted = room.orders.lock().await.recv().await;
    let entry = EntryId::from(call);
    assert!(
        matches!(noted, Some(Input::Note(Fact::Flagged { entry: of, .. })) if of == entry),
        "{noted:?}"
    );
    drop(locked);
    browser.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_done_in_the_list_and_is_refused_or_lost_is_said_below_the_row() {
    let Some((mut room, browser)) = signed_in().await else { return };
    let mut missed = vec![];
    for number in ["13800130001", "13800130002"] {
        let call = room.caller_dials(number, "").await;
        room.caller_hangs_up(call, Disposition::Missed).await;
        missed.push(call);
    }
    let button = |at: usize| format!("#row-{} .row-action button", missed[at]);
    browser.see(&button(1)).await;
    // Somebody else was first, and this page does not know it yet.
    browser.script("window.htmx.ajax = () => Promise.resolve()").await;
    room.other_desk_calls_back(missed[0].into()).await;
    browser.click(&button(0)).await;
    browser.see_text(&format!("#row-{} .row-note", missed[0]), "已有人处理").await;
    room.server_stops().await;
    browser.see("#page-lost").await;
    browser.click(&button(1)).await;
    browser.see_text(&format!("#row-{} .row-note", missed[1]), "没有应答").await;
    browser.shot("83-refused-in-the-list").await;
    browser.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_typed_or_pressed_while_an_entry_is_on_its_way_goes_into_no_other() {
    let Some((room, browser)) = signed_in().await else { return };
    let before = room.caller_dials("88123456", "").await;
    room.officer_answers(before).await;
    browser.see_text(".entry-marks", "通话中").await;
    browser.type_into("subject", "先前的事").await;
    let slow = "const real = window.fetch; window.fetch = async (what, how) => {
        if (!how?.method && String(what?.url ?? what).includes('/entries/'))
            await new Promise((later) => setTimeout(later, 4000));
        return real(what, how); };";
    browser.script(slow).await;
    let call = room.caller_dials("13800130007", "").await;
    browser.see_text("#ring .ring-number", "13800130007").await;
    browser.press(Key::F1).await;
    browser.client.active_element().await.unwrap().send_keys("新的事").await.ok();
    browser.press(Key::F2).await;
    browser.see(&format!("article.entry[data-entry=\"{call}\"] [name=subject]")).await;
    browser.see_text(".escalations", "正在呼叫领导").await;
    let found = room.store.entry(before.into()).await.unwrap().unwrap();
    assert_eq!(found.form.get(Field::Subject), "先前的事");
    assert_eq!(found.row.urgency, Urgency::Routine, "nor is it flagged");
    assert_eq!(urgency(&room, call).await, Urgency::Urgent, "the one that was asked for is");
    browser.end().await;
}
