//! 通话质量 as the officer sees it: a calm mark for each party while the call goes on, the figures behind it, and all of
//! it kept with the entry.

use crate::page::{in_a_call, looks_right};
use dutyline::duty::journal::{Disposition, Fact};
use dutyline::io::clock;
use dutyline::protocol::rtp::quality::{Far, Judgement, Mos, Quality, Tally};
use dutyline::protocol::rtp::{Counts, Party};

fn heard(lost: u64, latest: u16, worst: u16) -> Quality {
    let now = clock::now().wall;
    let (expected, received) = (1500, 1500 - lost);
    let tally = Tally { expected, received, lost, gaps: lost, jitter_us: 3400, ..Tally::default() };
    let mos =
        Judgement { latest: Mos(latest), mean: Mos(latest), worst: Mos(worst), worst_at: now };
    let far = Far { rtt_us: Some(21_000), lost: 2, jitter_us: 900 };
    Quality { since: now, tally, mos: Some(mos), far: Some(far) }
}

#[tokio::test(flavor = "multi_thread")]
async fn rec_q_the_officer_sees_who_is_heard_badly_and_finds_it_with_the_entry() {
    let Some((room, browser, call)) = in_a_call().await else { return };
    browser.see_text(".entry-marks", "通话中").await;
    for party in [Party::Caller, Party::Officer] {
        room.board.hears(call, party, heard(0, 441, 441));
    }
    browser.see_text(".entry-marks", "来电方 ● 好").await;
    browser.see_text(".entry-marks", "值班员 ● 好").await;
    browser.shot("40-voice-good").await;
    room.board.hears(call, Party::Caller, heard(120, 231, 219));
    browser.see_text(".entry-marks", "来电方 ▲ 差").await;
    browser.see_text("[data-part=voice]", "丢包 8.0% · 迟到 0.0% · 抖动 3 ms").await;
    browser.see_text("[data-part=voice]", "MOS 2.31 · 最低 2.19").await;
    browser.see_text("[data-part=voice]", "往返 21 ms").await;
    let hint = "return document.querySelector('.entry-marks [title*=MOS]').title";
    let hint = browser.script(hint).await;
    assert!(hint.as_str().is_some_and(|hint| hint.contains("丢包 8.0%")), "{hint}");
    browser.shot("41-voice-poor").await;

    for (party, quality) in
        [(Party::Caller, heard(120, 372, 219)), (Party::Officer, heard(0, 441, 441))]
    {
        let (counts, quality) = (Counts::default(), Some(quality));
        room.board.forget_voice(call, party);
        room.happens(Fact::Carried { call, party, counts, quality }).await;
    }
    room.caller_hangs_up(call, Disposition::Answered).await;
    browser.see_text(".entry-marks", "已结束").await;
    browser.see_text("[data-part=voice]", "来电方 ◐ 一般").await;
    browser.see_text("[data-part=voice]", "值班员 ● 好").await;
    browser
        .until("the mark of the call under way goes", async || {
            !browser.text(".entry-marks").await.contains("来电方")
        })
        .await;
    browser.shot("42-voice-kept").await;
    looks_right(&browser).await;
    browser.end().await;
}
