//! More tabs of one browser than it has connections to one server.

use super::{Room, sign_in};
use crate::browser::{Browser, SOON};
use crate::have;
use dutyline::duty::ids::CallId;
use dutyline::duty::journal::Urgency;
use dutyline::io::clock;
use fantoccini::wd::WindowHandle;
use std::time::{Duration, Instant};

/// A browser has six connections to one server.
const TABS: usize = 7;
/// So soon each tab knows.
const TOLD: Duration = Duration::from_secs(15);

async fn is_opened(browser: &Browser, url: &str) -> WindowHandle {
    let tab = browser.client.new_window(true).await.expect("a tab").handle;
    browser.client.switch_to_window(tab.clone()).await.expect("there");
    let opens = tokio::time::timeout(SOON, browser.client.goto(url)).await;
    opens.expect("a tab is not kept waiting").expect("it opens");
    browser.see_text("#live .word", "实时").await;
    tab
}

/// The desk in as many tabs, the one in which somebody has signed in first.
async fn desks(browser: &Browser, room: &Room) -> Vec<WindowHandle> {
    let mut tabs = vec![browser.client.window().await.expect("a tab")];
    while tabs.len() < TABS {
        tabs.push(is_opened(browser, &room.at("/")).await);
    }
    tabs
}

/// Each of the tabs shows it, so soon after `since`.
async fn all_see(
    browser: &Browser,
    tabs: &[WindowHandle],
    since: Instant,
    (css, text): (&str, &str),
) {
    for tab in tabs {
        browser.client.switch_to_window(tab.clone()).await.expect("there");
        let left = TOLD.saturating_sub(since.elapsed());
        browser
            .until_within(left, &format!("{text} in {css}"), async || {
                browser.text(css).await.contains(text)
            })
            .await;
    }
}

async fn rings_in(browser: &Browser, room: &Room, tabs: &[WindowHandle], number: &str) -> CallId {
    let since = Instant::now();
    let call = room.caller_dials(number, "").await;
    all_see(browser, tabs, since, ("#ring .ring-card:first-child .ring-number", number)).await;
    call
}

#[tokio::test(flavor = "multi_thread")]
async fn seven_tabs_are_told_of_everything_and_a_form_in_the_seventh_is_answered() {
    if !have(&["chromedriver", "chromium"]) {
        return;
    }
    let room = Room::open().await;
    let browser = Browser::start().await;
    sign_in(&browser, &room).await;
    let mut tabs = desks(&browser, &room).await;
    let call = rings_in(&browser, &room, &tabs, "13800130007").await;
    room.officer_answers(call).await;
    all_see(&browser, &tabs, Instant::now(), (".entry-marks", "通话中")).await;
    browser.type_into("subject", "第七个标签页").await;
    browser.see_text(".save-state", "已保存").await;

    let officer = room.officer().await;
    room.store.flag(&officer, call.into(), Urgency::Critical, clock::now()).await.unwrap();
    for turn in 0..6_u64 {
        room.escalator_turns_at(clock::now() + Duration::from_secs(60 * turn)).await;
    }
    all_see(&browser, &tabs, Instant::now(), ("#status [data-siren]", "13800130007")).await;

    tabs.push(is_opened(&browser, &room.at("/keeping")).await);
    browser.type_into("number", "记-20990101-0001").await;
    browser.type_into("reason", "留存").await;
    browser.click("form[action='/keeping/hold'] button").await;
    browser.see_text("#fault", "没有这个编号的记录").await;
    rings_in(&browser, &room, &tabs, "13800130008").await;
    browser.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whichever_tab_is_closed_the_others_are_told() {
    if !have(&["chromedriver", "chromium"]) {
        return;
    }
    let room = Room::open().await;
    let browser = Browser::start().await;
    sign_in(&browser, &room).await;
    let mut tabs = desks(&browser, &room).await;
    for number in ["13800130001", "13800130002", "13800130003"] {
        browser.client.switch_to_window(tabs.remove(0)).await.unwrap();
        browser.client.close_window().await.unwrap();
        rings_in(&browser, &room, &tabs, number).await;
    }
    browser.end().await;
}

/// The process of the first tab, which drew it and whatever it has begun.
#[tokio::test(flavor = "multi_thread")]
async fn a_tab_that_is_frozen_takes_no_word_from_the_others_and_comes_again() {
    if !have(&["chromedriver", "chromium"]) {
        return;
    }
    let room = Room::open().await;
    let browser = Browser::start_with(&["--disable-features=SpareRendererForSitePerProcess"]).await;
    sign_in(&browser, &room).await;
    let first = browser.renderers();
    assert!(!first.is_empty(), "a page is drawn");
    let tabs = desks(&browser, &room).await;
    let others = &tabs[1..];
    let signal = |signal: i32| {
        for id in &first {
            // SAFETY: a process of our own browser, which has not ended.
            assert_eq!(unsafe { libc::kill(*id, signal) }, 0);
        }
    };
    signal(libc::SIGSTOP);
    rings_in(&browser, &room, others, "13800130007").await;
    all_see(&browser, others, Instant::now(), ("#live .word", "实时")).await;
    let quiet = Instant::now();
    while quiet.elapsed() < TOLD {
        assert_eq!(browser.text("#page-lost").await, "", "beats come again");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    signal(libc::SIGCONT);
    rings_in(&browser, &room, &tabs, "13800130008").await;
    browser.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_browser_that_shares_nothing_between_tabs_has_a_connection_for_each() {
    if !have(&["chromedriver", "chromium"]) {
        return;
    }
    let room = Room::open().await;
    let browser = Browser::start_with(&["--disable-shared-workers"]).await;
    sign_in(&browser, &room).await;
    let shares = "return 'SharedWorker' in window";
    assert_eq!(browser.script(shares).await, false);
    let mut tabs = vec![browser.client.window().await.unwrap()];
    tabs.push(is_opened(&browser, &room.at("/search")).await);
    rings_in(&browser, &room, &tabs, "13800130007").await;
    browser.end().await;
}
