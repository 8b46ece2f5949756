//! What the eye sees of a bad night and of a period.

use super::{Room, looks_right, sign_in};
use crate::browser::Browser;
use crate::have;
use dutyline::duty::journal::{Disposition, Fact, Noted, Urgency};
use dutyline::io::clock;
use dutyline::io::status::{DiskState, LineState, PartState};
use dutyline::protocol::now::Now;
use std::time::Duration;

/// A bad night, for the eye: alarms, nobody answers, long names, the other language, the dark.
#[tokio::test(flavor = "multi_thread")]
async fn a_bad_night() {
    if !have(&["chromedriver", "chromium"]) {
        return;
    }
    let room = Room::open().await;
    let browser = Browser::start().await;
    for at in 0..24_u32 {
        let number = format!("1380013{at:04}");
        let name = if at % 3 == 0 { "市应急管理局值班室" } else { "" };
        let call = room.caller_dials(&number, name).await;
        if at % 4 == 0 {
            room.caller_hangs_up(call, Disposition::Abandoned).await;
        } else {
            room.officer_answers(call).await;
            room.caller_hangs_up(call, Disposition::Answered).await;
            room.is_recorded(call, 1).await;
        }
    }
    let call = room.caller_dials("02088887777", &"很长的名字".repeat(40)).await;
    room.officer_answers(call).await;
    let officer = room.officer().await;
    room.store.flag(&officer, call.into(), Urgency::Critical, clock::now()).await.unwrap();
    for turn in 0..6_i64 {
        room.escalator_turns_at(clock::now() + Duration::from_secs(60 * turn as u64)).await;
    }
    sign_in(&browser, &room).await;
    room.board.update(|status| {
        let since = clock::now().wall;
        status.line = LineState::Lost { since, status: 408, why: "no answer".to_owned() };
        status.recorder = PartState::Failed { since, why: "disk full".to_owned() };
        status.disk = DiskState { free: 3 << 30, days: 9 };
    });
    browser.see_text("#status", "离线").await;
    browser.click(&format!("[data-entry=\"{call}\"] a")).await;
    browser.see("article.entry .attempts").await;
    browser.see("[data-siren]").await;
    let name = browser.see("article.entry .entry-caller .name").await;
    assert!(name.rectangle().await.unwrap().3 < 40.0, "a long name stays on one line");
    browser.shot("10-bad-night").await;
    looks_right(&browser).await;
    browser.click("form[action='/language'] button").await;
    browser.see_text("#live .word", "Live").await;
    browser.shot("11-english").await;
    browser.end().await;

    let browser = Browser::start_with(&["--force-dark-mode"]).await;
    sign_in(&browser, &room).await;
    browser.goto(&format!("{}/?entry={call}", room.url)).await;
    browser.see("article.entry .attempts").await;
    let dark = "return matchMedia('(prefers-color-scheme: dark)').matches";
    assert_eq!(browser.script(dark).await, true);
    browser.shot("12-dark").await;
    browser.end().await;
}

/// What is said of a night, for the eye; and an entry is handed out by its button.
#[tokio::test(flavor = "multi_thread")]
async fn a_period_as_the_officer_sees_it() {
    if !have(&["chromedriver", "chromium"]) {
        return;
    }
    let room = Room::open().await;
    let call = room.caller_dials("13800130007", "").await;
    room.officer_answers(call).await;
    room.caller_hangs_up(call, Disposition::Answered).await;
    let now = clock::now();
    let began = now.wall - chrono::TimeDelta::minutes(3);
    let down = Fact::LineDown { status: 408, why: "no answer".to_owned(), since: None };
    let stepped = Fact::ClockStepped { from: began, to: now.wall };
    for (wall, fact) in [(began, down), (now.wall, Fact::LineUp), (now.wall, stepped)] {
        room.store.note(Noted { at: Now { wall, ..now }, fact }).await.unwrap();
    }
    let browser = Browser::start().await;
    sign_in(&browser, &room).await;
    browser.goto(&format!("{}/?entry={call}", room.url)).await;
    browser.see("form[action$='/export'] button").await;
    browser.shot("14-export").await;
    browser.click("a[href='/period']").await;
    browser.see_text(".verdict", "不能证明").await;
    browser.see(&format!("a[href='/?entry={call}']")).await;
    browser.shot("15-period").await;
    browser.end().await;
}
