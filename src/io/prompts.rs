//! What is said on the telephone: WAV files, built in, made by `prompts/make.sh` with espeak-ng and sox, A-law
//! quantised; and the tones.

use super::wav_file;
use crate::duty::prompts::{
    ALREADY_CONFIRMED, ALSO, BEEP, CANNOT_JOIN, CHECK_NUMBER, CONFIRMED, COUNT, DICTATE, DRILL,
    DRILL_URGENT, ENTER_PIN, GREETING, HANDED_ON, INSTRUCTION, MORE, NEXT, NO_RECORDING, PASSED_ON,
    PIN_LATE, PIN_REFUSED, PLEASE_WAIT, QUEUE, RINGBACK, ROLL_CALL, SELF_TEST, SEVERAL, SILENT,
    TAKEN, UNREAD, URGENT, URGENT_CUT, URGENT_LIVE, WITHDRAWN, WRONG_KEY, WRONG_PIN,
};
use crate::protocol::rtp::{Codec, Prompt, g711};
use std::f64::consts::TAU;
use std::sync::Arc;

const FILES: [(Prompt, &[u8]); 32] = [
    (URGENT, include_bytes!("prompts/urgent.wav")),
    (CONFIRMED, include_bytes!("prompts/confirmed.wav")),
    (WRONG_KEY, include_bytes!("prompts/wrong_key.wav")),
    (PLEASE_WAIT, include_bytes!("prompts/please_wait.wav")),
    (ALREADY_CONFIRMED, include_bytes!("prompts/already_confirmed.wav")),
    (WITHDRAWN, include_bytes!("prompts/withdrawn.wav")),
    (QUEUE, include_bytes!("prompts/queue.wav")),
    (GREETING, include_bytes!("prompts/greeting.wav")),
    (URGENT_LIVE, include_bytes!("prompts/urgent_live.wav")),
    (CANNOT_JOIN, include_bytes!("prompts/cannot_join.wav")),
    (MORE, include_bytes!("prompts/more.wav")),
    (ENTER_PIN, include_bytes!("prompts/enter_pin.wav")),
    (WRONG_PIN, include_bytes!("prompts/wrong_pin.wav")),
    (PIN_REFUSED, include_bytes!("prompts/pin_refused.wav")),
    (HANDED_ON, include_bytes!("prompts/handed_on.wav")),
    (PASSED_ON, include_bytes!("prompts/passed_on.wav")),
    (DICTATE, include_bytes!("prompts/dictate.wav")),
    (TAKEN, include_bytes!("prompts/taken.wav")),
    (NO_RECORDING, include_bytes!("prompts/no_recording.wav")),
    (UNREAD, include_bytes!("prompts/unread.wav")),
    (INSTRUCTION, include_bytes!("prompts/instruction.wav")),
    (URGENT_CUT, include_bytes!("prompts/urgent_cut.wav")),
    (SILENT, include_bytes!("prompts/silent.wav")),
    (DRILL, include_bytes!("prompts/drill.wav")),
    (DRILL_URGENT, include_bytes!("prompts/drill_urgent.wav")),
    (ROLL_CALL, include_bytes!("prompts/roll_call.wav")),
    (CHECK_NUMBER, include_bytes!("prompts/check_number.wav")),
    (SELF_TEST, include_bytes!("prompts/self_test.wav")),
    (PIN_LATE, include_bytes!("prompts/pin_late.wav")),
    (SEVERAL, include_bytes!("prompts/several.wav")),
    (ALSO, include_bytes!("prompts/also.wav")),
    (NEXT, include_bytes!("prompts/next.wav")),
];
const SECOND: usize = wav_file::RATE as usize;
/// Peak of a tone: -12 dBFS.
const LOUD: f64 = 8000.0;

/// Everything as 8 kHz samples, in the order of `duty::prompts`; `greeting` in the place of ours.
pub fn load(greeting: Option<Vec<i16>>) -> Vec<Arc<[i16]>> {
    let mut prompts: Vec<Vec<i16>> = vec![vec![]; COUNT];
    let mut set = |prompt: Prompt, samples| prompts[usize::from(prompt.0)] = samples;
    for (prompt, file) in FILES {
        let channels = wav_file::read(file).expect("the prompts are built in and tested");
        set(prompt, channels.into_iter().next().unwrap_or_default());
    }
    if let Some(greeting) = greeting {
        set(GREETING, greeting);
    }
    set(BEEP, tone(1000.0, SECOND / 2));
    // One second of every five, as the networks of this country ring: a round ends with a pause of one.
    set(RINGBACK, [tone(450.0, SECOND), vec![0; 3 * SECOND]].concat());
    prompts[usize::from(QUEUE.0)].extend(vec![0; 5 * SECOND]);
    // Whoever has heard which keys there are has time to press one before we hang up.
    for told in [CONFIRMED, MORE] {
        prompts[usize::from(told.0)].extend(vec![0; 6 * SECOND]);
    }
    let quantised =
        |sample: &mut i16| *sample = g711::decode(Codec::Pcma, g711::encode(Codec::Pcma, *sample));
    for prompt in [GREETING, BEEP, RINGBACK, QUEUE, CONFIRMED, MORE] {
        prompts[usize::from(prompt.0)].iter_mut().for_each(quantised);
    }
    prompts.into_iter().map(Arc::from).collect()
}

/// What the caller of a self-test says: 一二三四五六七八九，来电方。
pub fn of_test_caller() -> Vec<i16> {
    let file = include_bytes!("prompts/self_test_caller.wav").as_slice();
    let channels = wav_file::read(file).expect("it is built in and tested");
    channels.into_iter().next().unwrap_or_default()
}

fn tone(hertz: f64, samples: usize) -> Vec<i16> {
    let phase = |n: usize| n as f64 / SECOND as f64 * hertz * TAU;
    (0..samples).map(|n| (phase(n).sin() * LOUD) as i16).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::now::Mono;
    use crate::protocol::rtp::narrow::Heard;
    use crate::protocol::rtp::source::FRAME_SAMPLES;
    use crate::protocol::rtp::tones::Listener;
    use crate::protocol::rtp::{Tone, Wanted};

    fn seconds(prompts: &[Arc<[i16]>], prompt: Prompt) -> f64 {
        prompts[usize::from(prompt.0)].len() as f64 / 8000.0
    }

    #[test]
    fn every_prompt_is_there_in_its_place() {
        let prompts = load(None);
        assert_eq!(prompts.len(), COUNT);
        assert!((6.0..11.0).contains(&seconds(&prompts, URGENT)));
        assert!((10.0..16.0).contains(&seconds(&prompts, CONFIRMED)), "with its pause");
        assert!((10.0..16.0).contains(&seconds(&prompts, MORE)), "with its pause");
        assert!((1.0..3.0).contains(&seconds(&prompts, WRONG_KEY)));
        assert!((1.0..2.0).contains(&seconds(&prompts, PLEASE_WAIT)));
        assert!((14.0..17.0).contains(&seconds(&prompts, QUEUE)));
        assert!((9.0..13.0).contains(&seconds(&prompts, GREETING)));
        assert!((6.0..11.0).contains(&seconds(&prompts, URGENT_LIVE)));
        assert!((2.0..4.0).contains(&seconds(&prompts, CANNOT_JOIN)));
        for spoken in [ENTER_PIN, WRONG_PIN, PIN_REFUSED, HANDED_ON, PASSED_ON, DICTATE, TAKEN] {
            assert!((1.5..8.0).contains(&seconds(&prompts, spoken)), "{spoken:?}");
        }
        assert!((0.5..2.0).contains(&seconds(&prompts, DRILL)));
        for spoken in [ROLL_CALL, CHECK_NUMBER] {
            assert!((3.0..8.0).contains(&seconds(&prompts, spoken)), "{spoken:?}");
        }
        for spoken in [PIN_LATE, ALSO, NEXT] {
            assert!((3.0..5.0).contains(&seconds(&prompts, spoken)), "{spoken:?}");
        }
        for spoken in [NO_RECORDING, UNREAD, INSTRUCTION, URGENT_CUT, SEVERAL, SILENT, DRILL_URGENT]
        {
            assert!((4.0..15.0).contains(&seconds(&prompts, spoken)), "{spoken:?}");
        }
        assert!((seconds(&prompts, BEEP) - 0.5).abs() < 0.01);
        assert!((seconds(&prompts, RINGBACK) - 4.0).abs() < 0.01);
    }

    #[test]
    fn the_site_says_its_own_greeting() {
        let prompts = load(Some(vec![504; 800]));
        assert_eq!(*prompts[usize::from(GREETING.0)], [504; 800]);
    }

    #[test]
    fn prompts_are_heard_and_not_clipped() {
        for (index, prompt) in load(None).iter().enumerate() {
            let power: f64 = prompt.iter().map(|sample| f64::from(*sample).powi(2)).sum();
            let level = 10.0 * (power / prompt.len() as f64 / 32768f64.powi(2)).log10();
            assert!((-24.0..-14.0).contains(&level), "prompt {index}: {level:.1} dBFS");
            assert!(
                prompt.iter().all(|sample| sample.unsigned_abs() < 30_000),
                "prompt {index} is clipped"
            );
            let silent = prompt.iter().position(|sample| sample.unsigned_abs() > 300).unwrap();
            assert!(silent < 4000, "prompt {index} begins with {silent} silent samples");
        }
    }

    #[test]
    fn no_sentence_is_taken_for_a_tone_and_ringing_is() {
        for (index, prompt) in load(None).iter().enumerate() {
            let mut listener = Listener::new(Wanted { network: true, fax: true, keys: true });
            let mut found = vec![];
            for (n, samples) in (0u32..).zip(prompt.repeat(3).chunks(FRAME_SAMPLES)) {
                let heard = Heard { ssrc: 1, timestamp: n * 160, samples };
                let heard = listener.handle_voice(&heard, Mono(0));
                found.extend(heard.map(|(tone, _)| tone));
            }
            let rings = index == usize::from(RINGBACK.0);
            assert_eq!(found, vec![Tone::Ringing; if rings { 3 } else { 0 }], "prompt {index}");
        }
    }

    #[test]
    fn a_law_carries_the_prompts_without_change() {
        for sample in load(None).iter().flat_map(|prompt| prompt.iter()) {
            assert_eq!(g711::decode(Codec::Pcma, g711::encode(Codec::Pcma, *sample)), *sample);
        }
    }
}
