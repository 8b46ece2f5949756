//! One urgent call, played by itself: a caller, an officer who flags it, a leader who acknowledges.

use super::phone::{Event, Heard, Phone};
use super::socket::Handset;
use super::stage::{CALLER, LINE, Stage};
use super::{speech, tell};
use crate::io::clock;
use chrono::{DateTime, Utc};
use std::time::Duration;

const SOON: Duration = Duration::from_secs(5);
/// The leader is told within so long after the flag (I-5), and hears the end of the menu.
const MENU: Duration = Duration::from_secs(40);
/// Nobody picks up at the first ring.
const HAND: Duration = Duration::from_millis(1200);
/// How long speech takes to say, and more.
const SPEECH: Duration = Duration::from_secs(60);

/// What was done, to be compared with what the daemon wrote down.
pub struct Played {
    pub dialled: DateTime<Utc>,
    pub answered: DateTime<Utc>,
    pub flagged: DateTime<Utc>,
    pub acknowledged: DateTime<Utc>,
    pub hung_up: DateTime<Utc>,
    pub caller_said: Vec<u8>,
    pub officer_said: Vec<u8>,
    pub caller_heard: Vec<Heard>,
    pub officer_heard: Vec<Heard>,
    pub leader_heard: Vec<Heard>,
}

pub async fn one_urgent_call(stage: &mut Stage) -> anyhow::Result<Played> {
    let (caller_said, officer_said) = (speech::caller()?, speech::officer()?);
    tell(&format!("来电方 {CALLER} 拨 {LINE}"), &format!("{CALLER} dials {LINE}"));
    let dialled = clock::now().wall;
    stage.caller.with(|phone, now| phone.dial(LINE, now)).await?;
    stage.desk.until("the officer's phone rings", SOON, rings).await?;
    tell("值班台话机振铃", "the officer's phone rings");
    tokio::time::sleep(HAND).await;
    stage.desk.with(Phone::pick_up).await?;
    stage.caller.until("the caller is through", SOON, talks).await?;
    let answered = clock::now().wall;
    tell("值班员接听，双向录音开始", "the officer answers; both sides are recorded");

    say(&stage.caller, &caller_said).await?;
    say(&stage.desk, &officer_said).await?;
    tell("值班员按 *9：紧急", "the officer presses *9: urgent");
    stage.desk.with(|phone, now| press(phone, "*9", now)).await?;
    let flagged = clock::now().wall;
    stage.leader.until("the leader's phone rings", SOON, rings).await?;
    tell("带班领导的电话振铃", "the leader's phone rings");
    tokio::time::sleep(HAND).await;
    stage.leader.with(Phone::pick_up).await?;
    tell("领导听到提示音：有紧急事项，请按 1 确认", "the leader hears the prompt");
    tokio::time::sleep(2 * HAND).await;
    stage.leader.with(|phone, now| phone.press('1', now)).await?;
    let acknowledged = clock::now().wall;
    tell("领导按 1 确认", "the leader presses 1");
    stage.leader.until("the confirmation is spoken and the call ends", MENU, ended).await?;
    tell("语音答复“已确认”，通话结束", "the confirmation was spoken, the call ends");
    stage.caller.with(Phone::hang_up).await?;
    let hung_up = clock::now().wall;
    stage.desk.until("the officer's phone hears the caller hang up", SOON, ended).await?;
    tell("来电方挂机", "the caller hangs up");
    let heard = |phone: &mut Phone, _| phone.heard().to_vec();
    Ok(Played {
        dialled,
        answered,
        flagged,
        acknowledged,
        hung_up,
        caller_heard: stage.caller.with(heard).await?,
        officer_heard: stage.desk.with(heard).await?,
        leader_heard: stage.leader.with(heard).await?,
        caller_said,
        officer_said,
    })
}

/// Says it and waits until it is said.
async fn say(handset: &Handset, speech: &[u8]) -> anyhow::Result<()> {
    let begun = tokio::time::Instant::now();
    let words = speech.to_vec();
    handset.with(move |phone, now| phone.say(&words, now)).await?;
    // A telephone tells nobody that its owner has finished.
    while handset.with(|phone, _| phone.is_speaking()).await? {
        anyhow::ensure!(begun.elapsed() < SPEECH, "the speech never ends");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    Ok(())
}

fn press(phone: &mut Phone, keys: &str, now: crate::protocol::now::Now) {
    keys.chars().for_each(|key| phone.press(key, now));
}

pub fn rings(event: &Event) -> Option<()> {
    matches!(event, Event::Rings { .. }).then_some(())
}

fn talks(event: &Event) -> Option<()> {
    matches!(event, Event::Talks).then_some(())
}

fn ended(event: &Event) -> Option<()> {
    matches!(event, Event::Ended { .. }).then_some(())
}
