//! A call as the officer sees it: it rings, is talked in, waits, is escalated and leaves its recording.

use super::{looks_right, signed_in};
use crate::browser::Browser;
use dutyline::duty::ids::EntryId;
use dutyline::duty::journal::{AttemptResult, Disposition, Fact, Stretch};
use dutyline::protocol::rtp::Party;
use fantoccini::key::Key;
use serde_json::Value;
use std::time::{Duration, Instant};

#[tokio::test(flavor = "multi_thread")]
async fn one_urgent_call_as_the_officer_sees_it() {
    let Some((room, browser)) = signed_in().await else { return };
    browser.shot("02-empty-desk").await;

    let first = room.caller_dials("88123456", "市住建局").await;
    browser.see_text(".ring-number", "88123456").await;
    browser.see("article.entry").await;
    browser.shot("03-first-call-rings").await;
    assert_eq!(browser.focus().await, Value::Null, "a pop-up takes no focus");
    room.officer_answers(first).await;
    browser.see_text(".entry-marks", "通话中").await;

    browser.type_into("subject", "关于召开国庆值班").await;
    let told = Instant::now();
    let second = room.caller_dials("13800130007", "<script>alert(1)</script>").await;
    browser.see_text("#ring .ring-number", "13800130007").await;
    assert!(told.elapsed() < Duration::from_secs(1), "pop-up after {:?}", told.elapsed());
    assert_eq!(browser.focus().await, "subject", "typing goes on");
    browser.client.active_element().await.unwrap().send_keys("工作会议的通知").await.unwrap();
    browser.see_text(".save-state", "已保存").await;
    browser.shot("04-second-call-while-typing").await;
    let subject = browser.script("return document.querySelector('[name=subject]').value").await;
    assert_eq!(subject, "关于召开国庆值班工作会议的通知");
    assert_eq!(
        browser.script("return Object.keys(localStorage).length").await,
        0,
        "no drafts left"
    );
    let ring = browser.see("#ring .ring-card:first-child").await.rectangle().await.unwrap();
    let form = browser.see("form.fields").await.rectangle().await.unwrap();
    assert!(ring.0 + ring.2 <= form.0, "the pop-up covers no field: {ring:?} {form:?}");

    browser.press(Key::F1).await;
    let opened = format!("article.entry[data-entry=\"{second}\"]");
    browser.see(&opened).await;
    room.officer_answers(second).await;
    browser.until("the pop-up goes", async || browser.text("#ring").await.is_empty()).await;
    browser.press(Key::F3).await;
    browser.see_text(".escalations", "正在呼叫领导").await;
    let attempts = room.escalator_turns().await;
    assert_eq!(attempts.len(), 1, "the leader's mobile");
    browser.see_text(".attempts", "周带班").await;
    room.happens(Fact::AttemptRinging { attempt: attempts[0] }).await;
    browser.see_text(".attempts", "振铃").await;
    browser.type_into("content", "化工园区二号储罐阀门泄漏氨气，两人轻伤，正在疏散。").await;
    browser.see_text(".save-state", "已保存").await;
    browser.shot("05-critical-leader-rings").await;
    let end = |result, status| Fact::AttemptEnded { attempt: attempts[0], result, status };
    room.happens(Fact::AttemptAnswered { attempt: attempts[0] }).await;
    browser.see_text(".attempts", "等待按键").await;
    room.happens(Fact::AttemptKey { attempt: attempts[0], key: '4' }).await;
    let entry = EntryId::from(second);
    room.happens(Fact::Acknowledged { attempt: attempts[0], entry }).await;
    room.happens(end(AttemptResult::Acknowledged, 200)).await;
    browser.see_text(".escalations", "已接报").await;
    browser.see_text(".attempts", "按键确认").await;

    room.caller_hangs_up(second, Disposition::Answered).await;
    room.is_recorded(second, 20).await;
    browser.see("[data-part=recording] audio").await;
    browser.shot("06-acknowledged-and-recorded").await;
    plays(&browser).await;

    browser.click(".entry-actions form:last-child button").await;
    browser.see_text(".action-note", "请先补全").await;
    browser.shot("07-what-is-missing").await;
    looks_right(&browser).await;
    browser.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn callers_who_wait_hold_or_leave_a_message_as_the_officer_sees_them() {
    let Some((room, browser)) = signed_in().await else { return };
    let talking = room.caller_dials("88123456", "市住建局").await;
    room.officer_answers(talking).await;
    let waits = room.caller_dials("13800130007", "").await;
    room.happens(Fact::Began { call: waits, stretch: Stretch::Queued }).await;
    browser.see_text(&format!("#row-{waits}"), "排队").await;
    let hold = Stretch::Hold(Party::Officer);
    room.happens(Fact::Began { call: talking, stretch: hold }).await;
    browser.see_text(&format!("#row-{talking}"), "保持").await;
    let speaks = room.caller_dials("13800130008", "").await;
    room.happens(Fact::Began { call: speaks, stretch: Stretch::Message }).await;
    browser.see_text(&format!("#row-{speaks}"), "留言中").await;
    browser.shot("20-waiting-holding-leaving-a-message").await;

    room.happens(Fact::Over { call: talking, stretch: hold }).await;
    room.caller_hangs_up(waits, Disposition::Abandoned).await;
    room.caller_hangs_up(speaks, Disposition::Message).await;
    room.is_recorded(speaks, 20).await;
    browser.see_text(&format!("#row-{speaks}"), "待回拨").await;
    browser.see_text(&format!("#row-{waits}"), "待回拨").await;
    browser.click(&format!("#row-{speaks} > a")).await;
    browser.see_text("[data-part=callback]", "待回拨").await;
    browser.see_text("[data-part=stretches]", "留言").await;
    browser.shot("21-to-call-back").await;
    browser.click(&format!("#row-{waits} .row-action button")).await;
    browser.see_text(&format!("#row-{waits}"), "已回拨").await;
    browser.type_into("reason", "空号").await;
    browser.click("[data-part=callback] .stack button").await;
    browser.see_text("[data-part=callback]", "空号").await;
    browser.see_text(&format!("#row-{speaks}"), "无法回拨").await;
    browser.shot("22-called-back").await;
    looks_right(&browser).await;
    browser.end().await;
}

/// The recording plays, and can be sought in by ranges.
async fn plays(browser: &Browser) {
    let script = "const audio = document.querySelector('[data-part=recording] audio'); audio.muted = true; \
                  audio.play(); window.heard = audio;";
    browser.script(script).await;
    browser
        .until("the recording plays", async || {
            browser.script("return window.heard.currentTime > 0.3").await == true
        })
        .await;
    assert_eq!(browser.script("return Math.round(window.heard.duration)").await, 20);
    browser.script("window.heard.currentTime = 15").await;
    browser
        .until("it goes on from there", async || {
            browser.script("return window.heard.currentTime > 15.2").await == true
        })
        .await;
}
