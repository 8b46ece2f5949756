//! The prompts' WAV files, built in. Made once with espeak-ng (Mandarin, 140 words a minute) and sox, A-law quantised.

use super::wav_file;
use crate::duty::prompts::COUNT;
use std::sync::Arc;

const FILES: [&[u8]; COUNT] = [
    include_bytes!("prompts/urgent.wav"),
    include_bytes!("prompts/confirmed.wav"),
    include_bytes!("prompts/wrong_key.wav"),
    include_bytes!("prompts/please_wait.wav"),
    include_bytes!("prompts/already_confirmed.wav"),
    include_bytes!("prompts/withdrawn.wav"),
];

/// The prompts as 8 kHz samples, in the order of `duty::prompts`.
pub fn load() -> Vec<Arc<[i16]>> {
    let samples = |file: &&[u8]| {
        let channels = wav_file::read(*file).expect("the prompts are built in and tested");
        channels.into_iter().next().unwrap_or_default().into()
    };
    FILES.iter().map(samples).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::duty::prompts::{CONFIRMED, PLEASE_WAIT, URGENT, WRONG_KEY};
    use crate::protocol::rtp::{Codec, Prompt, g711};

    fn seconds(prompts: &[Arc<[i16]>], prompt: Prompt) -> f64 {
        prompts[usize::from(prompt.0)].len() as f64 / 8000.0
    }

    #[test]
    fn every_prompt_is_there_in_its_place() {
        let prompts = load();
        assert_eq!(prompts.len(), COUNT);
        assert!((6.0..11.0).contains(&seconds(&prompts, URGENT)));
        assert!((4.0..8.0).contains(&seconds(&prompts, CONFIRMED)));
        assert!((1.0..3.0).contains(&seconds(&prompts, WRONG_KEY)));
        assert!((1.0..2.0).contains(&seconds(&prompts, PLEASE_WAIT)));
    }

    #[test]
    fn prompts_are_heard_and_not_clipped() {
        for (index, prompt) in load().iter().enumerate() {
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
    fn a_law_carries_the_prompts_without_change() {
        for sample in load().iter().flat_map(|prompt| prompt.iter()) {
            assert_eq!(g711::decode(Codec::Pcma, g711::encode(Codec::Pcma, *sample)), *sample);
        }
    }
}
