//! 录音自检: whether the recording of a call that the daemon made to itself is what was said in it.

use serde::{Deserialize, Serialize};

/// Likeness above which a sentence is there: what codecs on the way leave of one is above, another sentence is below.
const LIKE: f64 = 0.5;
/// Milliseconds by which a sentence may stand elsewhere than it was said: the way through the PBX and back.
const OFF_MAX_MS: i64 = 200;
/// Samples taken together while a sentence is searched for.
const COARSE: usize = 4;
/// Samples of a sentence that are searched for.
const PROBE: usize = 12_000;
/// What is said before the answer has found its way back to the caller: a second.
const UNHEARD: usize = 8_000;
/// Samples a millisecond.
const RATE_MS: i64 = 8;

/// Why a self-test is not good.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Failing {
    /// The PBX did not put the call through.
    Refused,
    /// Somebody answered, and not our line: it is forwarded.
    Elsewhere,
    /// It reached another duty number than it was to test.
    OtherNumber,
    /// It rang nowhere that we know of, and nobody answered.
    NotArrived,
    /// It reached our line, and was not answered there.
    NotServed,
    /// The caller did not hear us.
    NotHeard,
    /// No recording of it was sealed in time, or none that can be read.
    NotRecorded,
    /// What the caller said is not on the left.
    Left,
    /// What we said is not on the right.
    Right,
    /// What is said by one stands on the other's side.
    Crossed,
    /// It is not at the moment at which it was said.
    Time,
    /// It cannot be found in the log.
    NotFound,
}

impl Failing {
    /// What is wrong and what to do, in Chinese and English.
    pub fn remedy(self) -> (&'static str, &'static str) {
        match self {
            Self::Refused => (
                "交换机没有接通自检电话，请检查自检分机的账号、密码和拨号权限",
                "the PBX did not put the call through: check the test extension's account, password and rights",
            ),
            Self::Elsewhere => (
                "自检电话被别处接听，值班电话可能被呼叫转移，请立即检查交换机上的转移设置",
                "somebody else answered: the duty line may be forwarded, look at the PBX at once",
            ),
            Self::OtherNumber => (
                "自检电话打到了另一个值班号码上，请检查交换机上这个号码的分机和转移设置",
                "the call reached another duty number: look at this number's extension and forwarding at the PBX",
            ),
            Self::NotArrived => (
                "自检电话没有打到本线路，请用手机拨打值班电话核实，并检查交换机",
                "the call did not reach the line: dial the duty number by another telephone and look at the PBX",
            ),
            Self::NotServed => (
                "自检电话打到了本线路，但没有接通，也没有录音，请手工记录，并联系维护人员",
                "the call reached the line, was not answered and is not recorded: write by hand, and call maintenance",
            ),
            Self::NotHeard => (
                "自检时来电一侧听不到值班一侧，请检查网络和交换机的语音通路",
                "the caller's side did not hear ours: look at the network and at the PBX's voice path",
            ),
            Self::NotRecorded => (
                "自检通话没有录音，请手工记录，并检查录音磁盘",
                "the call was not recorded: write by hand, and look at the recordings' disk",
            ),
            Self::Left => (
                "自检录音里没有来电一侧的声音，请手工记录并检查语音通路",
                "the recording lacks the caller's side: write by hand, and look at the voice path",
            ),
            Self::Right => (
                "自检录音里没有值班一侧的声音，请手工记录并检查语音通路",
                "the recording lacks our side: write by hand, and look at the voice path",
            ),
            Self::Crossed => (
                "自检录音左右声道错位，请联系维护人员",
                "the two sides of the recording are mixed up: call maintenance",
            ),
            Self::Time => (
                "自检录音的时间与实际不符，请检查主机时钟，并联系维护人员",
                "the recording's time is not that of the call: look at the host's clock, and call maintenance",
            ),
            Self::NotFound => (
                "自检通话在记录里查不到，请联系维护人员",
                "the call cannot be found in the log: call maintenance",
            ),
        }
    }
}

/// What is judged; sound at 8 kHz.
#[derive(Debug, Clone, Copy)]
pub struct Evidence<'a> {
    /// The recording: left and right.
    pub recorded: [&'a [i16]; 2],
    /// What the caller and what our side said.
    pub said: [&'a [i16]; 2],
    /// What the caller heard.
    pub heard: &'a [i16],
    /// When the caller began to speak, in milliseconds after the moment of the recording's first sample.
    pub spoke_ms: i64,
}

/// In thousandths how like what was said the left is, the right, and what the caller heard; by how much the left is
/// late, where it is there.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Measured {
    pub likeness: [u16; 3],
    pub off_ms: Option<i64>,
}

pub fn judge(evidence: &Evidence<'_>) -> (Measured, Option<Failing>) {
    let Evidence { recorded: [left, right], said: [caller, ours], .. } = *evidence;
    let later = ours.get(UNHEARD..).unwrap_or(ours);
    let found = [place(caller, left), place(ours, right), place(later, evidence.heard)];
    let off = found[0].at as i64 / RATE_MS - evidence.spoke_ms;
    let measured = Measured {
        likeness: found.map(|place| (place.likeness.clamp(0.0, 1.0) * 1000.0) as u16),
        off_ms: found[0].is_there().then_some(off),
    };
    let [on_left, on_right, at_caller] = found.map(|place| place.is_there());
    let crossed = || place(ours, left).is_there() || place(caller, right).is_there();
    let failing = match (on_left, on_right) {
        (false, _) | (_, false) if crossed() => Some(Failing::Crossed),
        (false, _) => Some(Failing::Left),
        (_, false) => Some(Failing::Right),
        (true, true) if off.abs() > OFF_MAX_MS => Some(Failing::Time),
        (true, true) => (!at_caller).then_some(Failing::NotHeard),
    };
    (measured, failing)
}

/// Where a sentence stands in what was heard, in samples, and how like it is: 1 for the very same, whatever its volume.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Place {
    at: usize,
    likeness: f64,
}

impl Place {
    fn is_there(self) -> bool {
        self.likeness >= LIKE
    }
}

fn place(said: &[i16], heard: &[i16]) -> Place {
    let nowhere = Place { at: 0, likeness: 0.0 };
    let said = &said[..said.len().min(PROBE)];
    let (few, many) = (together(said), together(heard));
    if few.is_empty() || many.len() < few.len() {
        return nowhere;
    }
    let best = best(&few, &many, 0..many.len() - few.len() + 1);
    let Some((near, _)) = best else { return nowhere };
    let whole = |samples: &[i16]| -> Vec<f32> { samples.iter().map(|s| f32::from(*s)).collect() };
    let (from, last) = ((near * COARSE).saturating_sub(COARSE), heard.len() - said.len());
    let to = (near * COARSE + COARSE).min(last);
    let fine = self::best(&whole(said), &whole(heard), from..to + 1);
    fine.map_or(nowhere, |(at, likeness)| Place { at, likeness })
}

/// The mean of samples that stand together: a quarter of the work, and speech is mostly below 1 kHz.
fn together(samples: &[i16]) -> Vec<f32> {
    let mean = |chunk: &[i16]| chunk.iter().map(|s| f32::from(*s)).sum::<f32>() / COARSE as f32;
    samples.chunks_exact(COARSE).map(mean).collect()
}

/// The place with the largest normalised correlation.
fn best(said: &[f32], heard: &[f32], places: std::ops::Range<usize>) -> Option<(usize, f64)> {
    let energy = |samples: &[f32]| samples.iter().map(|s| f64::from(s * s)).sum::<f64>();
    let own = energy(said);
    if own < 1.0 {
        return None;
    }
    let mut there = energy(heard.get(places.start..places.start + said.len())?);
    let mut best: Option<(usize, f64)> = None;
    for at in places {
        let window = heard.get(at..at + said.len())?;
        let dot: f32 = said.iter().zip(window).map(|(a, b)| a * b).sum();
        // Silence is like nothing.
        let likeness = if there > own * 1e-4 { f64::from(dot) / (own * there).sqrt() } else { 0.0 };
        if best.is_none_or(|(_, most)| likeness > most) {
            best = Some((at, likeness));
        }
        let next = heard.get(at + said.len()).map_or(0.0, |s| f64::from(s * s));
        there += next - f64::from(window[0] * window[0]);
    }
    best
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::rtp::{Codec, g711};

    /// Something like speech: a few tones that come and go.
    fn sentence(seed: u32) -> Vec<i16> {
        let mut state = seed;
        let mut next = move || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            f64::from(state >> 16) / 65_536.0
        };
        let mut samples = vec![];
        while samples.len() < 16_000 {
            let (pitch, loud) = (150.0 + 700.0 * next(), 6000.0 * next());
            let length = 400 + (1200.0 * next()) as usize;
            let wave =
                (0..length).map(|n| (n as f64 * pitch / 8000.0 * std::f64::consts::TAU).sin());
            samples.extend(wave.map(|value| (value * loud) as i16));
        }
        samples
    }

    fn recorded(silence: usize, said: &[i16]) -> Vec<i16> {
        let law = |s: &i16| g711::decode(Codec::Pcmu, g711::encode(Codec::Pcmu, s / 2));
        let mut side = vec![0; silence];
        side.extend(said.iter().map(law));
        side.resize(40_000, 3);
        side
    }

    #[test]
    fn rec_q4_both_sides_and_the_moment_are_measured_through_another_codec_and_volume() {
        let said = [sentence(1), sentence(2)];
        let (left, right) = (recorded(8_000, &said[0]), recorded(1_600, &said[1]));
        let evidence = Evidence {
            recorded: [&left, &right],
            said: [&said[0], &said[1]],
            heard: &right,
            spoke_ms: 980,
        };
        let (measured, failing) = judge(&evidence);
        assert_eq!((failing, measured.off_ms), (None, Some(20)));
        assert!(measured.likeness.iter().all(|likeness| *likeness > 950), "{measured:?}");
    }

    #[test]
    fn rec_q4_what_is_missing_mixed_up_or_at_another_time_is_named() {
        let said = [sentence(1), sentence(2)];
        let (left, right) = (recorded(8_000, &said[0]), recorded(1_600, &said[1]));
        let silence = vec![0; 40_000];
        let noise: Vec<i16> = recorded(0, &sentence(3));
        let judged = |recorded: [&[i16]; 2], heard: &[i16], spoke_ms| {
            let said: [&[i16]; 2] = [&said[0], &said[1]];
            judge(&Evidence { recorded, said, heard, spoke_ms }).1
        };
        assert_eq!(judged([&silence, &right], &right, 1000), Some(Failing::Left));
        assert_eq!(judged([&noise, &right], &right, 1000), Some(Failing::Left));
        assert_eq!(judged([&left, &silence], &right, 1000), Some(Failing::Right));
        assert_eq!(judged([&[], &[]], &right, 1000), Some(Failing::Left));
        assert_eq!(judged([&right, &left], &right, 1000), Some(Failing::Crossed));
        assert_eq!(judged([&left, &right], &right, 3000), Some(Failing::Time));
        assert_eq!(judged([&left, &right], &silence, 1000), Some(Failing::NotHeard));
        assert_eq!(judged([&left, &right], &right, 1000), None);
        let late = &right[1_600 + 4_000..];
        assert_eq!(judged([&left, &right], late, 1000), None, "he heard it from its middle on");
    }
}
