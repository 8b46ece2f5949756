//! 录音 as the officer sees it: how much is safe and how loud each side is while he talks, what is no voice, a red word
//! when nobody records; afterwards all of it with the entry.

use crate::page::{in_a_call, looks_right};
use dutyline::duty::ids::CallId;
use dutyline::duty::journal::Disposition;
use dutyline::io::clock;
use dutyline::io::store::{Finding, Gap, Key, Sealed};
use dutyline::io::tape::{Heard, Progress};
use dutyline::protocol::rtp::Party;
use dutyline::protocol::rtp::sound::Fault;
use std::time::Duration;

fn progress(call: CallId, seconds: u64, officer: Option<Fault>) -> Progress {
    let fault = officer.map(|fault| (fault, Duration::from_secs(7)));
    let parties = vec![
        Heard { party: Party::Caller, peak: 12, fault: None },
        Heard { party: Party::Officer, peak: if fault.is_some() { 96 } else { 20 }, fault },
    ];
    Progress { call: call.0, safe: Duration::from_secs(seconds), parties }
}

#[tokio::test(flavor = "multi_thread")]
async fn rec_q5_the_officer_sees_what_is_safe_who_is_not_heard_and_when_nobody_records() {
    let Some((room, browser, call)) = in_a_call().await else { return };
    room.board.records(vec![progress(call, 3, None)]);
    browser.see_text("[data-part=recording]", "已安全写盘 0:03").await;
    room.board.records(vec![progress(call, 14, None)]);
    browser.see_text("[data-part=recording]", "已安全写盘 0:14").await;
    let left = browser.script("return document.querySelector('meter[data-left]').value").await;
    assert_eq!(left.as_f64(), Some(48.0));
    browser.see_text("[data-part=recall]", "最近 30 秒").await;
    browser.shot("43-recording").await;

    room.board.records(vec![progress(call, 21, Some(Fault::Absent))]);
    browser.see_text(".entry-marks", "■ 值班员 没有语音传来").await;
    browser.see_text("[data-part=recording]", "■ 值班员 没有语音传来 0:07").await;
    browser.shot("44-one-side-is-not-heard").await;
    browser.see_text("[data-part=recording]", "未在录音，请手工记录").await;
    browser.shot("45-nobody-records").await;
    room.board.records(vec![progress(call, 26, None)]);
    browser
        .until("the recorder is back", async || {
            let text = browser.text("[data-part=recording]").await;
            !text.contains("未在录音") && !text.contains("没有语音传来")
        })
        .await;

    room.board.records(vec![]);
    room.caller_hangs_up(call, Disposition::Answered).await;
    let officer = || "officer".to_owned();
    let sealed = Sealed {
        wav: format!("{call}.wav").into(),
        sha256: "5e884898da28047151d0e56f8dc6292773603d0d6aabbdd62a11ef721d1542d8".to_owned(),
        duration: Duration::from_secs(95),
        started: Some(clock::now().wall),
        gaps: vec![Gap { party: officer(), from_ms: 31_000, lasts_ms: 12_000, untaped: 0 }],
        keys: vec![Key { party: "caller".to_owned(), at_ms: 8400, key: '5' }],
        findings: vec![Finding {
            party: "caller".to_owned(),
            fault: Fault::Static,
            from_ms: 60_000,
            lasts_ms: 20_000,
        }],
        ..Sealed::default()
    };
    assert!(room.store.recording_sealed(call, sealed, clock::now()).await.expect("written"));
    room.board.tell(dutyline::io::status::Live::Entry { entry: call.into() });
    let part = "[data-part=recording]";
    browser.see_text(part, "■ 来电方 持续噪声，不是人声 1:00–1:20").await;
    browser.see_text(part, "按键：0:08 来电方 5").await;
    browser.see_text(part, "无语音包的空白：值班员 0:31–0:43").await;
    browser.see_text(part, "录音与通话时间不符：录音 95.0 s").await;
    browser.shot("46-what-is-wrong-is-kept").await;
    looks_right(&browser).await;
    browser.end().await;
}
