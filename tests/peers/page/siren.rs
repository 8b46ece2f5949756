//! The siren, and what rings, on every page: also where nobody has touched it yet.

use super::{Room, watch_faults};
use crate::browser::Browser;
use crate::have;
use dutyline::duty::journal::{Disposition, Urgency};
use dutyline::io::clock;
use fantoccini::key::Key;
use std::time::Duration;

/// What was sounded since this page was opened.
const SOUNDED: &str = "
    const make = AudioContext.prototype.createOscillator;
    window.sounded = 0;
    AudioContext.prototype.createOscillator = function () { window.sounded++; return make.call(this); };";

/// Sounds only after a person has done something, as Chromium has it unless told otherwise.
const AS_IT_IS: &str = "--autoplay-policy=document-user-activation-required";

/// An urgent matter that nobody has answered.
async fn exhausted(room: &Room) {
    let call = room.caller_dials("02088887777", "市应急管理局").await;
    room.officer_answers(call).await;
    room.caller_hangs_up(call, Disposition::Answered).await;
    let officer = room.officer().await;
    room.store.flag(&officer, call.into(), Urgency::Critical, clock::now()).await.unwrap();
    for turn in 0..6_u64 {
        room.escalator_turns_at(clock::now() + Duration::from_secs(60 * turn)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_siren_that_cannot_be_heard_is_said_on_every_page_and_sounds_after_a_click() {
    if !have(&["chromedriver", "chromium"]) {
        return;
    }
    let room = Room::open().await;
    exhausted(&room).await;
    let browser = Browser::start_with(&[AS_IT_IS]).await;
    room.has_signed_in(&browser).await;
    for (path, shot) in [("/", "85-siren-not-on"), ("/search", "86-siren-not-on-in-the-search")] {
        browser.goto("about:blank").await;
        browser.goto(&room.at(path)).await;
        watch_faults(&browser).await;
        browser.see("[data-siren]").await;
        browser.see_text("#siren-off", "警报声未开启").await;
        browser.shot(shot).await;
        browser.script(SOUNDED).await;
        browser.click("#siren-off").await;
        browser
            .until("a sound", async || {
                browser.script("return window.sounded").await.as_u64() > Some(0)
            })
            .await;
        assert_eq!(browser.text("#siren-off").await, "", "{path}: it is on");
        assert_eq!(browser.script("return window.faults").await, serde_json::json!([]));
    }
    browser.end().await;

    // The desk's computer is told that it may.
    let browser = Browser::start_with(&["--autoplay-policy=no-user-gesture-required"]).await;
    room.has_signed_in(&browser).await;
    browser.goto(&room.at("/")).await;
    browser.script(SOUNDED).await;
    browser
        .until("a sound", async || browser.script("return window.sounded").await.as_u64() > Some(0))
        .await;
    assert_eq!(browser.text("#siren-off").await, "");
    browser.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_an_alarm_and_a_lost_server_are_in_sight_on_every_page() {
    if !have(&["chromedriver", "chromium"]) {
        return;
    }
    let mut room = Room::open().await;
    let browser = Browser::start().await;
    room.has_signed_in(&browser).await;
    let pages =
        ["/search", "/period", "/roster", "/roll-call", "/policy", "/keeping", "/keeping/dates"];
    for path in pages {
        browser.goto(&room.at(path)).await;
        browser.see_text("#live .word", "实时").await;
        browser.see_text("#status", "在线").await;
        let wide = "return document.documentElement.scrollWidth - innerWidth";
        assert!(browser.script(wide).await.as_i64().unwrap() <= 0, "{path}");
    }
    browser.goto(&room.at("/search")).await;
    watch_faults(&browser).await;
    browser.see_text("#live .word", "实时").await;
    let call = room.caller_dials("13800130007", "市住建局").await;
    browser.see_text("#ring .ring-number", "13800130007").await;
    assert_eq!(browser.focus().await, "words", "a pop-up takes no focus");
    browser.shot("87-rings-in-the-search").await;
    // A page that is opened while it rings shows it too.
    browser.goto(&room.at("/roster")).await;
    browser.see_text("#ring .ring-number", "13800130007").await;
    room.officer_answers(call).await;
    browser.see_text("#ring .ring-title", "已接听").await;
    exhausted(&room).await;
    browser.see_text("#status .alarm", "02088887777").await;
    browser.shot("88-alarm-on-the-roster").await;
    room.server_stops().await;
    browser.see("#page-lost").await;
    room.server_starts().await;
    browser.until("the page is live", async || browser.text("#page-lost").await.is_empty()).await;

    let other = room.caller_dials("13800130008", "").await;
    browser.see_text("#ring .ring-number", "13800130008").await;
    browser.press(Key::F1).await;
    browser.see(&format!("article.entry[data-entry=\"{other}\"]")).await;
    browser.end().await;
}
