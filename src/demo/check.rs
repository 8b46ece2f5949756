//! Compares what the daemon wrote down of the one urgent call with what was really done.

use super::phone::{Heard, sound};
use super::scene::Played;
use super::stage::CALLER;
use crate::config::Config;
use crate::daemon::Daemon;
use crate::duty::journal::{AttemptResult, Disposition, Urgency};
use crate::duty::prompts;
use crate::io::store::{EntryView, EscalationState, EscalationView, RecordingState};
use crate::io::wav_file;
use crate::protocol::now::Mono;
use crate::protocol::rtp::{Codec, Prompt, g711};
use anyhow::Context;
use chrono::{DateTime, Utc};
use sha2::{Digest, Sha256};
use std::time::Duration;

/// The clock of a hand and of a daemon may differ by so much.
const NEAR: Duration = Duration::from_millis(500);
/// Flag to first attempt (I-5).
const FIRST_ATTEMPT: Duration = Duration::from_secs(5);
/// The two sides of the recording against each other.
const ALIGNED: Duration = Duration::from_millis(20);
const SEALED_WITHIN: Duration = Duration::from_secs(20);
/// The loudest sample of the quiet rooms in which the demo's telephones stand.
const SILENT: u16 = 24;
const A_LAW: u8 = 8;
const RATE: usize = 8000;
/// Samples of one packet.
const FRAME: usize = 160;

/// What differs, in words; empty when everything is right.
pub async fn check(
    played: &Played,
    daemon: &Daemon,
    config: &Config,
) -> anyhow::Result<Vec<String>> {
    let view = settled(daemon).await?;
    let mut report = Report::default();
    report.entry(&view, played);
    match view.escalations.as_slice() {
        [escalation] => report.escalation(escalation, played),
        others => report.wrong(format!("{} escalations instead of one", others.len())),
    }
    let call = view.row.call.as_ref().context("the entry has a call")?.id;
    match daemon.store.recording_file(call).await? {
        Some(file) => {
            let path = config.storage.recordings.join(&file.wav);
            let bytes = std::fs::read(&path)
                .with_context(|| format!("read the recording {}", path.display()))?;
            report.same("SHA-256", &hex::encode(Sha256::digest(&bytes)), &file.sha256);
            report.recording(&wav_file::read(bytes.as_slice())?, played);
        }
        None => report.wrong("there is no recording".to_owned()),
    }
    report.ears(played);
    Ok(report.0)
}

/// The one entry, once its recording is sealed and the leader's call is over.
async fn settled(daemon: &Daemon) -> anyhow::Result<EntryView> {
    let mut live = daemon.board.listen();
    let deadline = tokio::time::Instant::now() + SEALED_WITHIN;
    loop {
        let rows = daemon.store.recent_entries(10).await?;
        anyhow::ensure!(rows.len() == 1, "{} entries instead of one", rows.len());
        let view = daemon.store.entry(rows[0].id).await?.context("the entry is in the log")?;
        let over = |view: &EntryView| {
            let attempts = view.escalations.iter().flat_map(|escalation| &escalation.attempts);
            view.row.recording == Some(RecordingState::Sealed)
                && attempts.clone().all(|attempt| attempt.ended.is_some())
        };
        if over(&view) {
            return Ok(view);
        }
        // What the page is told: something has changed in the log.
        if tokio::time::timeout_at(deadline, live.recv()).await.is_err() {
            let state = view.row.recording;
            anyhow::bail!("the recording is {state:?} {SEALED_WITHIN:?} after the end of the call");
        }
    }
}

#[derive(Default)]
struct Report(Vec<String>);

impl Report {
    fn wrong(&mut self, what: String) {
        self.0.push(what);
    }

    fn same<T: PartialEq + std::fmt::Debug>(&mut self, what: &str, found: &T, wanted: &T) {
        if found != wanted {
            self.wrong(format!("{what} is {found:?}, not {wanted:?}"));
        }
    }

    fn near(&mut self, what: &str, found: Option<DateTime<Utc>>, wanted: DateTime<Utc>) {
        let close = |found: DateTime<Utc>| (found - wanted).abs().to_std().is_ok_and(|d| d <= NEAR);
        if !found.is_some_and(close) {
            self.wrong(format!("{what} is {found:?}, not about {wanted}"));
        }
    }

    fn entry(&mut self, view: &EntryView, played: &Played) {
        self.same("urgency", &view.row.urgency, &Urgency::Urgent);
        let Some(call) = &view.row.call else { return self.wrong("no call".to_owned()) };
        self.same("caller", &call.caller.as_str(), &CALLER);
        self.same("contact", &call.contact_name.as_str(), &"王建国");
        self.same("disposition", &call.disposition, &Some(Disposition::Answered));
        self.near("arrival", Some(call.arrived), played.dialled);
        self.near("answer", call.answered, played.answered);
        self.near("end", call.ended, played.hung_up);
        let phones: Vec<_> = view.legs.iter().map(|leg| (leg.phone.as_str(), leg.status)).collect();
        self.same("phones", &phones, &vec![("值班台话机", Some(200))]);
    }

    fn escalation(&mut self, view: &EscalationView, played: &Played) {
        self.same("escalation", &view.row.state, &EscalationState::Acknowledged);
        self.near("flag", Some(view.row.raised), played.flagged);
        let acks: Vec<_> = view.acknowledgements.iter().map(|ack| ack.person.as_str()).collect();
        self.same("acknowledged by", &acks, &vec!["张局长"]);
        let at = view.acknowledgements.first().map(|ack| ack.at);
        self.near("acknowledgement", at, played.acknowledged);
        let results: Vec<_> = view.attempts.iter().map(|attempt| attempt.result).collect();
        self.same("attempts", &results, &vec![Some(AttemptResult::Acknowledged)]);
        let first = view.attempts.first().map(|attempt| attempt.started - view.row.raised);
        if !first.is_some_and(|wait| wait.to_std().is_ok_and(|wait| wait <= FIRST_ATTEMPT)) {
            self.wrong(format!("the first attempt came {first:?} after the flag"));
        }
    }

    /// Left the caller, right the officer: what each said, whole, and silence around it.
    fn recording(&mut self, channels: &[Vec<i16>], played: &Played) {
        let [left, right] = channels else {
            return self.wrong(format!("the recording has {} channels", channels.len()));
        };
        let caller = self.side("caller's side", left, &played.caller_said);
        let officer = self.side("officer's side", right, &played.officer_said);
        let (Some(caller), Some(officer)) = (caller, officer) else { return };
        let began = began(&played.officer_heard, &played.caller_said)
            .zip(began(&played.caller_heard, &played.officer_said));
        let Some((asked, replied)) = began else { return };
        let truth = replied.since(asked);
        let recorded = Duration::from_micros((officer.saturating_sub(caller) * 125) as u64);
        if truth.abs_diff(recorded) > ALIGNED {
            self.wrong(format!("the officer spoke {truth:?} after the caller, not {recorded:?}"));
        }
    }

    /// Where the speech begins.
    fn side(&mut self, what: &str, samples: &[i16], said: &[u8]) -> Option<usize> {
        let wanted = decoded(said);
        let Some(at) = find(samples, &wanted) else {
            self.wrong(format!("{what} is not what was said"));
            return None;
        };
        let around = samples[..at].iter().chain(&samples[at + wanted.len()..]);
        let loud = around.filter(|sample| sample.unsigned_abs() > SILENT).count();
        if loud > 0 {
            self.wrong(format!("{what} has {loud} samples that nobody said"));
        }
        Some(at)
    }

    /// What the three heard through the daemon.
    fn ears(&mut self, played: &Played) {
        let hears = |heard: &[Heard], wanted: &[u8]| find(&sound(heard, A_LAW), wanted).is_some();
        if !hears(&played.officer_heard, &played.caller_said) {
            self.wrong("the officer did not hear what the caller said".to_owned());
        }
        if !hears(&played.caller_heard, &played.officer_said) {
            self.wrong("the caller did not hear what the officer said".to_owned());
        }
        let prompts = crate::io::prompts::load(vec![]);
        let spoken = |prompt: Prompt| -> Vec<u8> {
            let samples = prompts.get(usize::from(prompt.0)).map_or(&[][..], |prompt| prompt);
            samples.iter().map(|sample| g711::encode(Codec::Pcma, *sample)).collect()
        };
        // The caller is still on: the leader may join.
        let urgent = spoken(prompts::URGENT_LIVE);
        if !hears(&played.leader_heard, &urgent[..RATE.min(urgent.len())]) {
            self.wrong("the leader did not hear the prompt".to_owned());
        }
        if !hears(&played.leader_heard, &spoken(prompts::CONFIRMED)) {
            self.wrong("the leader did not hear the confirmation".to_owned());
        }
    }
}

/// When this speech began, by the arrival of its loudest packet: its first ones are silence, as
/// much else is.
fn began(heard: &[Heard], said: &[u8]) -> Option<Mono> {
    let loudness = |frame: &[u8]| -> u64 {
        decoded(frame).iter().map(|sample| u64::from(sample.unsigned_abs())).sum()
    };
    let frames = said.chunks_exact(FRAME).enumerate();
    let (number, loudest) = frames.max_by_key(|(_, frame)| loudness(frame))?;
    let packet = heard.iter().find(|packet| packet.payload == loudest)?;
    Some(packet.at - Duration::from_millis(20) * u32::try_from(number).ok()?)
}

fn decoded(said: &[u8]) -> Vec<i16> {
    said.iter().map(|byte| g711::decode(Codec::Pcma, *byte)).collect()
}

fn find<T: PartialEq>(row: &[T], wanted: &[T]) -> Option<usize> {
    if wanted.is_empty() || row.len() < wanted.len() {
        return None;
    }
    row.windows(wanted.len()).position(|window| window == wanted)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_wrong_sample_is_noticed() {
        let said: Vec<u8> = (0..=200).collect();
        let mut samples = vec![0; 50];
        samples.extend(decoded(&said));
        samples.extend([8; 30]);
        let mut report = Report::default();
        assert_eq!(report.side("side", &samples, &said), Some(50));
        assert_eq!(report.0, Vec::<String>::new());
        samples[100] ^= 16;
        assert_eq!(report.side("side", &samples, &said), None);
        assert_eq!(report.0.len(), 1);
    }

    #[test]
    fn a_sound_that_nobody_made_is_noticed() {
        let said: Vec<u8> = (0..=200).collect();
        let mut samples = decoded(&said);
        samples.extend([0, 900, 0]);
        let mut report = Report::default();
        report.side("side", &samples, &said);
        assert_eq!(report.0.len(), 1);
    }
}
