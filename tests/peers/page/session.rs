//! A session that ends: the page stays, asks for the password, and what was typed is saved afterwards.

use super::{PASSWORD, Room, sign_in, signed_in};
use crate::browser::Browser;
use crate::have;
use dutyline::duty::entry::Field;
use dutyline::io::clock;
use dutyline::io::store::{Account, NewPerson};
use rusqlite::Connection;
use std::time::Duration;

/// Every session ends so long from now.
fn sessions_end_in(room: &Room, seconds: i64) {
    let log = Connection::open(room.folder.path().join("dutyline.db")).expect("opened");
    log.busy_timeout(Duration::from_secs(5)).expect("set");
    let end = clock::now().wall.timestamp_millis() + seconds * 1000;
    let changed = log.execute("UPDATE session SET expires_ms = ?1", [end]).expect("written");
    assert!(changed > 0, "somebody has signed in");
}

async fn signs_in_again(browser: &Browser) {
    browser.see("#sign-in").await;
    let account = "return document.querySelector('#sign-in [name=account]').value";
    assert_eq!(browser.script(account).await, "zhuban");
    let password = browser.see("#sign-in [name=password]").await;
    password.send_keys("wrong password").await.unwrap();
    browser.click("#sign-in button.primary").await;
    browser.see_text("#sign-in .problem", "不正确").await;
    password.clear().await.unwrap();
    password.send_keys(PASSWORD).await.unwrap();
    browser.click("#sign-in button.primary").await;
    browser.until("the box goes", async || browser.text("#sign-in").await.is_empty()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_that_ends_in_the_middle_of_a_sentence_leaves_page_strip_and_sentence() {
    let Some((room, browser)) = signed_in().await else { return };
    let call = room.caller_dials("88123456", "市住建局").await;
    room.officer_answers(call).await;
    browser.see_text(".entry-marks", "通话中").await;
    sessions_end_in(&room, 0);
    browser.type_into("subject", "管道漏气，").await;
    browser.see_text("#sign-in", "登录已过期").await;
    assert_eq!(browser.focus().await, "subject", "typing goes on");
    browser.client.active_element().await.unwrap().send_keys("两人轻伤").await.unwrap();
    browser.see_text("#status", "在线").await;
    browser.shot("89-session-over").await;
    let top = browser.see("#sign-in").await.rectangle().await.unwrap().1;
    let strip = browser.see(".top").await.rectangle().await.unwrap();
    assert!(top >= strip.1 + strip.3, "the box covers no strip: {top} {strip:?}");
    signs_in_again(&browser).await;
    browser.see_text(".save-state", "已保存").await;
    let found = room.store.entry(call.into()).await.unwrap().unwrap();
    assert_eq!(found.form.get(Field::Subject), "管道漏气，两人轻伤");
    browser.see_text("#live .word", "实时").await;
    room.caller_dials("13800130007", "").await;
    browser.see_text("#ring .ring-number", "13800130007").await;
    browser.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_end_of_a_session_is_said_before_and_when_it_is_there() {
    let Some((mut room, browser)) = signed_in().await else { return };
    assert_eq!(browser.text("#session-ends").await, "", "a day is left");
    sessions_end_in(&room, 1800);
    room.server_stops().await;
    room.server_starts().await;
    browser.see_text("#session-ends", "到期").await;
    browser.shot("90-session-ends-soon").await;
    browser.click("#session-ends").await;
    signs_in_again(&browser).await;
    browser.until("a day again", async || browser.text("#session-ends").await.is_empty()).await;

    // By itself, with nobody there: the stream ends with the session.
    sessions_end_in(&room, 6);
    room.server_stops().await;
    room.server_starts().await;
    browser.see_text("#live .word", "实时").await;
    let over = Duration::from_secs(20);
    browser
        .until_within(over, "the box", async || {
            browser.text("#sign-in").await.contains("登录已过期")
        })
        .await;
    browser.see_text("#status", "在线").await;
    signs_in_again(&browser).await;
    browser.end().await;
}

/// Browsers say less of what they ask over plain HTTP, from another computer than this one.
#[tokio::test(flavor = "multi_thread")]
async fn over_plain_http_on_a_network_the_end_of_a_session_is_noticed_too() {
    if !have(&["chromedriver", "chromium"]) {
        return;
    }
    let mut room = Room::open().await;
    let browser = Browser::start_with(&["--host-resolver-rules=MAP duty.example 127.0.0.1"]).await;
    let port = room.at("").rsplit_once(':').expect("a port").1.to_owned();
    browser.goto(&format!("http://duty.example:{port}/")).await;
    assert_eq!(browser.script("return isSecureContext").await, false);
    browser.type_into("account", "zhuban").await;
    browser.type_into("password", PASSWORD).await;
    browser.click("button.primary").await;
    browser.see_text("#live .word", "实时").await;
    room.server_stops().await;
    browser.see("#page-lost").await;
    sessions_end_in(&room, 0);
    room.server_starts().await;
    signs_in_again(&browser).await;
    browser.see_text("#live .word", "实时").await;
    browser.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_signs_in_again_in_one_tab_has_done_so_in_all() {
    let Some((room, browser)) = signed_in().await else { return };
    let first = browser.client.window().await.unwrap();
    let second = browser.client.new_window(true).await.unwrap().handle;
    browser.client.switch_to_window(second.clone()).await.unwrap();
    browser.goto(&room.at("/")).await;
    browser.see_text("#live .word", "实时").await;
    let call = room.caller_dials("88123456", "").await;
    room.officer_answers(call).await;
    browser.see_text(".entry-marks", "通话中").await;
    sessions_end_in(&room, 0);
    browser.type_into("subject", "停水").await;
    browser.see_text("#sign-in", "登录已过期").await;
    browser.client.switch_to_window(first.clone()).await.unwrap();
    browser.see_text(".entry-marks", "通话中").await;
    browser.type_into("content", "东区").await;
    browser.see_text("#sign-in", "登录已过期").await;
    signs_in_again(&browser).await;
    browser.client.switch_to_window(second).await.unwrap();
    browser.until("the box goes", async || browser.text("#sign-in").await.is_empty()).await;
    let form = async || room.store.entry(call.into()).await.unwrap().unwrap().form;
    browser.until("it is saved", async || form().await.get(Field::Subject) == "停水").await;
    room.caller_dials("13800130007", "").await;
    for tab in [first, browser.client.window().await.unwrap()] {
        browser.client.switch_to_window(tab).await.unwrap();
        browser.see_text("#ring .ring-number", "13800130007").await;
    }
    browser.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_another_officer_typed_and_never_saved_is_told_to_whoever_signs_in_next() {
    if !have(&["chromedriver", "chromium"]) {
        return;
    }
    let room = Room::open().await;
    let browser = Browser::start().await;
    let call = room.caller_dials("88123456", "").await;
    sign_in(&browser, &room).await;
    assert_eq!(browser.text("#left-drafts").await, "");
    let kept = format!(
        "localStorage.setItem('draft:lisi:{call}:content', \
         JSON.stringify({{ base: '', value: '罐区<b>二号</b>泄漏', at: Date.now() }}))"
    );
    browser.script(&kept).await;
    browser.client.refresh().await.unwrap();
    browser.see_text("#left-drafts", "lisi").await;
    browser.click("#left-drafts summary").await;
    browser.see_text("#left-drafts li", "罐区<b>二号</b>泄漏").await;
    browser.shot("91-somebody-elses-drafts").await;
    browser.click("#left-drafts li a").await;
    browser.see(&format!("article.entry[data-entry=\"{call}\"]")).await;
    browser.click("#left-drafts li button").await;
    browser.until("it is settled", async || browser.text("#left-drafts").await.is_empty()).await;
    let left = "return Object.keys(localStorage).filter(key => key.startsWith('draft:')).length";
    assert_eq!(browser.script(left).await, 0);
    browser.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whose_text_was_left_is_said_by_name() {
    let Some((room, browser)) = signed_in().await else { return };
    let relief = NewPerson {
        login: "lisi".to_owned(),
        name: "李接班".to_owned(),
        account: Account::Officer,
        password: PASSWORD.to_owned(),
    };
    room.store.add_person(relief, "the test", clock::now()).await.unwrap();
    let call = room.caller_dials("88123456", "").await;
    room.officer_answers(call).await;
    browser.see_text(".entry-marks", "通话中").await;
    let lost = "const real = window.fetch; window.fetch = async (where, how) =>
        how?.method === 'PATCH' ? new Response('', { status: 503 }) : real(where, how)";
    browser.script(lost).await;
    browser.type_into("subject", "罐区泄漏").await;
    browser.see_text(".save-state", "未保存").await;
    browser.click("form[action='/logout'] button").await;
    browser.type_into("account", "lisi").await;
    browser.type_into("password", PASSWORD).await;
    browser.click("button.primary").await;
    browser.see_text("#left-drafts", "主班员").await;
    browser.click("#left-drafts summary").await;
    browser.see_text("#left-drafts li", "罐区泄漏").await;
    assert_eq!(browser.text("#left-drafts li b").await, "主班员");
    assert!(!browser.text("#left-drafts").await.contains("zhuban"));
    browser.end().await;
}
