//! The player in a real browser: two waves, the second at which a line was written, speed with the pitch kept, one side
//! only, a part again and again, marks with who made them.

use crate::browser::Browser;
use crate::page::{Room, in_a_call, in_a_call_where, looks_right};
use dutyline::duty::ids::CallId;
use dutyline::duty::journal::{AttemptResult, Disposition, Fact};
use dutyline::io::clock;
use fantoccini::Locator;
use fantoccini::actions::{InputSource, MOUSE_BUTTON_LEFT, MouseActions, PointerAction};
use fantoccini::key::Key;
use std::time::Duration;

/// What each ear gets is looked at where it leaves the player.
const LISTEN: &str = "
  const make = AudioContext.prototype.createChannelMerger;
  AudioContext.prototype.createChannelMerger = function (inputs) {
    const merger = make.call(this, inputs);
    const splitter = this.createChannelSplitter(2);
    merger.connect(splitter);
    window.ears = [0, 1].map((side) => {
      const ear = this.createAnalyser();
      ear.fftSize = 8192;
      ear.smoothingTimeConstant = 0;
      splitter.connect(ear, side);
      return ear;
    });
    window.rate = this.sampleRate;
    return merger;
  };
  window.heard = (tone) => window.ears.every((ear) => {
    const bins = new Float32Array(ear.frequencyBinCount);
    ear.getFloatFrequencyData(bins);
    const at = Math.round((tone * ear.fftSize) / rate);
    return Math.max(...bins.slice(at - 2, at + 3)) > -50;
  });
  window.tones = () => window.ears.map((ear) => {
    const bins = new Float32Array(ear.frequencyBinCount);
    ear.getFloatFrequencyData(bins);
    const loudest = bins.indexOf(Math.max(...bins));
    return bins[loudest] < -60 ? 0 : Math.round((loudest * rate) / ear.fftSize);
  });";

/// Half a minute of 440 Hz on the left and 660 Hz on the right, in which two lines were written.
async fn recorded() -> Option<(Room, Browser, CallId)> {
    let (room, browser, call) = in_a_call().await?;
    let began = clock::now().wall - Duration::from_secs(5);
    browser.type_into("content", "城北燃气管道漏气").await;
    browser.see_text(".save-state", "已保存").await;
    browser.type_into("content", "\n两人轻伤").await;
    browser
        .until("both lines are saved", async || {
            let entry = room.store.entry(call.into()).await.expect("read").expect("there");
            entry.form.get(dutyline::duty::entry::Field::Content) == "城北燃气管道漏气\n两人轻伤"
        })
        .await;
    room.caller_hangs_up(call, Disposition::Answered).await;
    room.is_recorded_from(call, 30, Some(began)).await;
    browser.see("[data-player][data-drawn='600'] canvas").await;
    Some((room, browser, call))
}

async fn number(browser: &Browser, script: &str) -> f64 {
    browser.script(&format!("return {script}")).await.as_f64().unwrap_or(f64::NAN)
}

async fn choose(browser: &Browser, css: &str, value: &str) {
    let select = browser.see(css).await;
    select.select_by_value(value).await.expect("chosen");
}

/// Presses at one share of the wave's width and lets go at another.
async fn drag(browser: &Browser, from: f64, to: f64) {
    let canvas = browser.client.find(Locator::Css("canvas.wave")).await.expect("a wave");
    let wide = canvas.rectangle().await.expect("its place").2;
    let (element, button) = (canvas, MOUSE_BUTTON_LEFT);
    let place = |share: f64| PointerAction::MoveToElement {
        element: element.clone(),
        duration: Some(Duration::from_millis(50)),
        x: wide * (share - 0.5),
        y: 0.0,
    };
    let actions = MouseActions::new("mouse".to_owned())
        .then(place(from))
        .then(PointerAction::Down { button })
        .then(place(to))
        .then(PointerAction::Up { button });
    browser.client.perform_actions(actions).await.expect("dragged");
}

const AUDIO: &str = "document.querySelector('[data-player] audio')";

#[tokio::test(flavor = "multi_thread")]
async fn a_line_is_heard_from_the_second_at_which_it_was_written() {
    let Some((room, browser, call)) = recorded().await else { return };
    let drawn = "(() => { const canvas = document.querySelector('canvas.wave');
        const all = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data;
        return all.filter((value, at) => at % 4 === 3 && value > 0).length / (all.length / 4); })()";
    let share = number(&browser, drawn).await;
    assert!(share > 0.2, "two waves are drawn: {share}");
    browser.see_text("[data-part=typed]", "城北燃气管道漏气").await;
    browser.script("document.querySelector('[data-part=recording]').scrollIntoView()").await;
    browser.shot("49-player").await;
    let line = "document.querySelectorAll('[data-typed]')[1]";
    let at = number(&browser, &format!("Number({line}.dataset.at)")).await / 1000.0;
    let revision = room.store.entry(call.into()).await.expect("read").expect("there");
    let started = revision.recording.expect("recorded").started;
    let typed =
        revision.revisions.iter().find(|one| one.changes.iter().any(|c| c.new.contains("两人")));
    let after = (typed.expect("a revision").at - started).num_milliseconds() as f64 / 1000.0;
    assert!((after - 0.6 - at).abs() < 0.05, "{after} {at}");
    browser.script(&format!("{AUDIO}.muted = true")).await;
    browser.click("[data-part=typed] li:nth-child(2) button").await;
    browser
        .until("it plays from there", async || {
            let now = number(&browser, &format!("{AUDIO}.currentTime")).await;
            let paused = browser.script(&format!("return {AUDIO}.paused")).await;
            paused == false && now >= at && now < at + 3.0
        })
        .await;

    browser.type_into("text", "说出地点").await;
    browser.click("[data-player] [data-mark] button").await;
    browser.see_text("[data-part=bookmarks]", "说出地点").await;
    browser.see_text("[data-part=bookmarks]", "主班员").await;
    assert_eq!(browser.script(&format!("return {AUDIO}.paused")).await, false, "it plays on");
    browser.shot("50-a-mark").await;
    browser.click("[data-part=bookmarks] form button").await;
    browser
        .until("the mark is gone", async || browser.text("[data-part=bookmarks]").await.is_empty())
        .await;
    looks_right(&browser).await;
    browser.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_side_is_heard_alone_faster_at_the_same_pitch_and_a_part_again_and_again() {
    let Some((_room, browser, _)) = recorded().await else { return };
    browser.script(LISTEN).await;
    browser.script("document.querySelector('[data-part=recording]').scrollIntoView()").await;
    drag(&browser, 0.2, 0.3).await;
    browser.click("[data-loop]").await;
    choose(&browser, "[data-side]", "left").await;
    choose(&browser, "[data-speed]", "2").await;
    browser.click("[data-part=typed] li:nth-child(1) button").await;
    drag(&browser, 0.2, 0.3).await;
    let hears = async |wanted: [i64; 2]| {
        browser
            .until(&format!("the ears hear {wanted:?}"), async || {
                let tones = browser.script("return tones()").await;
                (0..2).all(|ear| (tones[ear].as_i64().unwrap_or(-1) - wanted[ear]).abs() <= 8)
            })
            .await;
    };
    hears([440, 440]).await;
    assert_eq!(number(&browser, &format!("{AUDIO}.playbackRate")).await, 2.0);
    assert_eq!(browser.script(&format!("return {AUDIO}.preservesPitch")).await, true);
    choose(&browser, "[data-side]", "right").await;
    hears([660, 660]).await;
    choose(&browser, "[data-side]", "mixed").await;
    let mixed = "return heard(440) && heard(660)";
    browser.until("both are in both ears", async || browser.script(mixed).await == true).await;
    choose(&browser, "[data-side]", "both").await;
    hears([440, 660]).await;
    browser.until("each is in its own ear", async || browser.script(mixed).await == false).await;
    // Three seconds at double speed: it has begun again more than once.
    let watch = "window.least = 99; window.most = 0; window.turns = 0;
        setInterval(() => { const at = document.querySelector('[data-player] audio').currentTime;
          if (at < most - 1) turns++, most = at; most = Math.max(most, at); least = Math.min(least, at); }, 10)";
    browser.script(watch).await;
    browser.until("the part comes again", async || number(&browser, "turns").await >= 2.0).await;
    let (least, most) = (number(&browser, "least").await, number(&browser, "most").await);
    assert!(least > 5.5 && most < 9.6, "{least} {most}");
    browser.shot("51-a-part-again").await;
    looks_right(&browser).await;
    browser.end().await;
}

/// Of the call itself and of the call to the leader, which has no player of its own.
#[tokio::test(flavor = "multi_thread")]
async fn rec_e5_where_the_site_wants_it_a_reason_is_chosen_before_either_call_is_heard() {
    let Some((room, browser, call)) = in_a_call_where(true).await else { return };
    browser.press(Key::F3).await;
    browser.see_text(".escalations", "正在呼叫领导").await;
    let attempt = room.escalator_turns().await[0];
    room.happens(Fact::AttemptAnswered { attempt }).await;
    room.happens(Fact::Acknowledged { attempt, entry: call.into() }).await;
    let result = AttemptResult::Acknowledged;
    room.happens(Fact::AttemptEnded { attempt, result, status: 200 }).await;
    room.is_recorded_from(attempt.into(), 10, None).await;
    room.caller_hangs_up(call, Disposition::Answered).await;
    room.is_recorded_from(call, 10, None).await;
    for which in ["[data-player]", ".attempts [data-heard]"] {
        browser.see(&format!("{which} audio")).await;
        let open =
            "for (const one of document.querySelectorAll('.attempts details')) one.open = true";
        browser.script(open).await;
        let sound = async || {
            let of = format!("return document.querySelector('{which} audio').src");
            browser.script(&of).await.as_str().map(str::to_owned).unwrap_or_default()
        };
        assert_eq!(sound().await, "", "{which}: nothing to play without a reason");
        let select = browser.see(&format!("{which} [data-why]")).await;
        select.select_by_index(1).await.expect("chosen");
        browser.until("it can be played", async || sound().await.contains("&why=%")).await;
        let play = format!("document.querySelector('{which} audio').play()");
        browser.script(&play).await;
        let heard = format!("return document.querySelector('{which} audio').currentTime");
        browser
            .until("it is heard", async || {
                browser.script(&heard).await.as_f64().is_some_and(|at| at > 0.2)
            })
            .await;
    }
    browser.shot("69-a-reason-before-a-leaders-call").await;
    looks_right(&browser).await;
    browser.end().await;
}
