//! The interactive demo: a call comes in when the button on the page is pressed, the officer's
//! phone is answered by itself, and the leader acknowledges when he is called.

use super::phone::{Event, Manner, Phone};
use super::stage::{CALLER, LINE, Stage};
use super::{pbx, speech, tell};
use crate::io::web::DemoCommand;
use std::collections::VecDeque;
use std::process::ExitCode;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::Instant;

const OFFICER_PICKS_UP: Duration = Duration::from_secs(3);
const LEADER_PICKS_UP: Duration = Duration::from_secs(4);
/// The officer calls back.
const CALLER_PICKS_UP: Duration = Duration::from_secs(4);
/// The leader lets the prompt come to its end.
const LEADER_LISTENS: Duration = Duration::from_secs(6);
/// Time to fill in the form and to flag it while they still talk.
const CONVERSATION: Duration = Duration::from_secs(60);

/// What somebody does by himself after a while.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Cue {
    OfficerSpeaks,
    CallerHangsUp,
    LeaderPresses,
}

#[derive(Default)]
struct Cues(VecDeque<(Instant, Cue)>);

impl Cues {
    fn add(&mut self, after: Duration, cue: Cue) {
        self.0.push_back((Instant::now() + after, cue));
        self.0.make_contiguous().sort_by_key(|(at, _)| *at);
    }

    async fn next(&mut self) -> Cue {
        match self.0.front().copied() {
            Some((at, cue)) => {
                tokio::time::sleep_until(at).await;
                self.0.pop_front();
                cue
            }
            None => std::future::pending().await,
        }
    }

    fn forget(&mut self, cues: &[Cue]) {
        self.0.retain(|(_, cue)| !cues.contains(cue));
    }
}

pub async fn play(
    stage: &mut Stage,
    mut wishes: mpsc::Receiver<DemoCommand>,
) -> anyhow::Result<ExitCode> {
    let answers = |after| move |phone: &mut Phone, _| phone.set_manner(Manner::Answers { after });
    stage.desk.with(answers(OFFICER_PICKS_UP)).await?;
    stage.leader.with(answers(LEADER_PICKS_UP)).await?;
    stage.caller.with(answers(CALLER_PICKS_UP)).await?;
    tell("在页面上点“模拟来电”；Ctrl-C 结束", "press the button on the page; Ctrl-C ends");
    let mut evening = Evening {
        cues: Cues::default(),
        caller_said: speech::caller()?,
        officer_said: speech::officer()?,
    };
    loop {
        tokio::select! {
            Some(DemoCommand::Call) = wishes.recv() => {
                tell(&format!("来电方 {CALLER} 拨 {LINE}"), &format!("{CALLER} dials {LINE}"));
                stage.caller.with(|phone, now| phone.dial(LINE, now)).await?;
            }
            Some(event) = stage.caller.next() => evening.on_caller(event, stage).await?,
            Some(event) = stage.desk.next() => {
                if let Event::Rings { .. } = event {
                    tell("值班台话机振铃，页面弹出来电", "the officer's phone rings, the page pops up");
                }
            }
            Some(event) = stage.leader.next() => evening.on_leader(event),
            Some(event) = stage.exchange.next() => on_exchange(event),
            cue = evening.cues.next() => evening.on_cue(cue, stage).await?,
        }
    }
}

struct Evening {
    cues: Cues,
    /// A-law.
    caller_said: Vec<u8>,
    officer_said: Vec<u8>,
}

impl Evening {
    async fn on_caller(&mut self, event: Event, stage: &Stage) -> anyhow::Result<()> {
        match event {
            Event::Talks => {
                tell("通话中，双向录音", "they talk; both sides are recorded");
                let words = self.caller_said.clone();
                let spoken = Duration::from_millis(words.len() as u64 / 8 + 300);
                stage.caller.with(move |phone, now| phone.say(&words, now)).await?;
                self.cues.add(spoken, Cue::OfficerSpeaks);
                self.cues.add(CONVERSATION, Cue::CallerHangsUp);
            }
            Event::Rings { .. } => tell("来电方的电话振铃", "the caller's telephone rings"),
            Event::Refused { status } => {
                tell(&format!("未接通（{status}）"), &format!("the call was refused: {status}"));
            }
            Event::Ended { .. } => {
                tell("通话结束", "the call is over");
                self.cues.forget(&[Cue::OfficerSpeaks, Cue::CallerHangsUp]);
            }
            Event::Registered
            | Event::RegistrationFailed { .. }
            | Event::RingsThere
            | Event::Stopped => {}
        }
        Ok(())
    }

    fn on_leader(&mut self, event: Event) {
        match event {
            Event::Rings { .. } => tell("带班领导的电话振铃", "the leader's phone rings"),
            Event::Talks => {
                tell("领导接听，播放提示音", "the leader answers and hears the prompt");
                self.cues.add(LEADER_LISTENS, Cue::LeaderPresses);
            }
            Event::Ended { .. } => {
                tell("与领导的通话结束", "the call to the leader is over");
                self.cues.forget(&[Cue::LeaderPresses]);
            }
            Event::Stopped => tell("停止呼叫领导", "the leader is no longer called"),
            Event::Registered
            | Event::RegistrationFailed { .. }
            | Event::RingsThere
            | Event::Refused { .. } => {}
        }
    }

    async fn on_cue(&mut self, cue: Cue, stage: &Stage) -> anyhow::Result<()> {
        match cue {
            Cue::OfficerSpeaks => {
                let words = self.officer_said.clone();
                stage.desk.with(move |phone, now| phone.say(&words, now)).await?;
            }
            Cue::CallerHangsUp => stage.caller.with(Phone::hang_up).await?,
            Cue::LeaderPresses => {
                tell("领导按 1 确认", "the leader presses 1");
                stage.leader.with(|phone, now| phone.press('1', now)).await?;
            }
        }
        Ok(())
    }
}

fn on_exchange(event: pbx::Event) {
    match event {
        pbx::Event::FailedOpen { user, to } => {
            let (zh, en) = (format!("{user} 未注册，转 {to}"), format!("{user} → {to}"));
            tell(&zh, &en);
        }
        pbx::Event::Registered { .. }
        | pbx::Event::Unregistered { .. }
        | pbx::Event::Refused { .. } => {}
    }
}
