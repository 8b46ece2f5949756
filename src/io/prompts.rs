//! What is said on the telephone: WAV files, built in, made by `prompts/make.sh` in the voice that `prompts/VOICE.md`
//! names, A-law quantised; and the tones.

use super::wav_file;
use crate::duty::prompts::{BEEP, CONFIRMED, COUNT, MORE, QUEUE, RINGBACK, SELF_TEST, SENTENCES};
use crate::protocol::rtp::{Codec, Prompt, g711};
use rust_embed::RustEmbed;
use std::f64::consts::TAU;
use std::io::Write;
use std::path::Path;
use std::sync::Arc;
use std::{fs, io};

#[derive(RustEmbed)]
#[folder = "src/io/prompts/"]
struct BuiltIn;

/// Said to ourselves: no site changes it.
const OURS: (Prompt, &str) = (SELF_TEST, "self_test");
/// The names and words of all, in the folder that is handed out.
const LIST: &str = "sentences.txt";
const SECOND: usize = wav_file::RATE as usize;
/// Peak of a tone: -12 dBFS.
const LOUD: f64 = 8000.0;

/// Everything as 8 kHz samples, in the order of `duty::prompts`; what the site says itself in the place of ours.
pub fn load(own: Vec<(Prompt, Vec<i16>)>) -> Vec<Arc<[i16]>> {
    let mut prompts: Vec<Vec<i16>> = vec![vec![]; COUNT];
    let mut set = |prompt: Prompt, samples| prompts[usize::from(prompt.0)] = samples;
    for (prompt, name) in
        SENTENCES.map(|(prompt, name, _)| (prompt, name)).into_iter().chain([OURS])
    {
        set(prompt, built_in(name));
    }
    let quantised = |sample: i16| g711::decode(Codec::Pcma, g711::encode(Codec::Pcma, sample));
    for (prompt, samples) in own {
        set(prompt, samples.into_iter().map(quantised).collect());
    }
    set(BEEP, tone(1000.0, SECOND / 2));
    // One second of every five, as the networks of this country ring: a round ends with a pause of one.
    set(RINGBACK, [tone(450.0, SECOND), vec![0; 3 * SECOND]].concat());
    prompts[usize::from(QUEUE.0)].extend(vec![quantised(0); 5 * SECOND]);
    // Whoever has heard which keys there are has time to press one before we hang up.
    for told in [CONFIRMED, MORE] {
        prompts[usize::from(told.0)].extend(vec![quantised(0); 6 * SECOND]);
    }
    for prompt in [BEEP, RINGBACK] {
        prompts[usize::from(prompt.0)].iter_mut().for_each(|sample| *sample = quantised(*sample));
    }
    prompts.into_iter().map(Arc::from).collect()
}

/// What the caller of a self-test says: 一二三四五六七八九，来电方。
pub fn of_test_caller() -> Vec<i16> {
    built_in("self_test_caller")
}

fn built_in(name: &str) -> Vec<i16> {
    let file = BuiltIn::get(&format!("{name}.wav")).expect("it is built in and tested");
    let channels = wav_file::read(&*file.data).expect("it is built in and tested");
    channels.into_iter().next().unwrap_or_default()
}

/// Writes the built-in voice into a folder, with the words of each sentence: to be said by somebody of the site and used
/// as `[prompts] folder`. Gives how many there are.
///
/// # Errors
/// A file of that name is there already, or what the disk says.
pub fn hand_out(folder: &Path) -> io::Result<usize> {
    fs::create_dir_all(folder)?;
    let words = SENTENCES.map(|(_, name, words)| format!("{name}.wav\t{words}\n")).concat();
    write_new(&folder.join(LIST), words.as_bytes())?;
    for (_, name, _) in SENTENCES {
        let file = format!("{name}.wav");
        let built_in = BuiltIn::get(&file).expect("it is built in and tested");
        write_new(&folder.join(file), &built_in.data)?;
    }
    Ok(SENTENCES.len())
}

fn write_new(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let named =
        |fault: io::Error| io::Error::new(fault.kind(), format!("{}: {fault}", path.display()));
    let mut file = fs::File::create_new(path).map_err(named)?;
    file.write_all(bytes).map_err(named)
}

fn tone(hertz: f64, samples: usize) -> Vec<i16> {
    let phase = |n: usize| n as f64 / SECOND as f64 * hertz * TAU;
    (0..samples).map(|n| (phase(n).sin() * LOUD) as i16).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::duty::prompts::*;
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
        let prompts = load(vec![]);
        assert_eq!(prompts.len(), COUNT);
        assert!((5.5..9.0).contains(&seconds(&prompts, URGENT)));
        assert!((10.0..14.0).contains(&seconds(&prompts, CONFIRMED)), "with its pause");
        assert!((10.0..14.0).contains(&seconds(&prompts, MORE)), "with its pause");
        assert!((1.0..2.0).contains(&seconds(&prompts, WRONG_KEY)));
        assert!((1.0..2.0).contains(&seconds(&prompts, PLEASE_WAIT)));
        assert!((12.0..15.0).contains(&seconds(&prompts, QUEUE)));
        assert!((9.0..12.0).contains(&seconds(&prompts, GREETING)));
        assert!((5.5..9.0).contains(&seconds(&prompts, URGENT_LIVE)));
        assert!((2.0..3.5).contains(&seconds(&prompts, CANNOT_JOIN)));
        for spoken in [ENTER_PIN, WRONG_PIN, PIN_REFUSED, HANDED_ON, PASSED_ON, DICTATE, TAKEN] {
            assert!((1.5..6.0).contains(&seconds(&prompts, spoken)), "{spoken:?}");
        }
        assert!((1.0..2.0).contains(&seconds(&prompts, DRILL)));
        for spoken in [ROLL_CALL, CHECK_NUMBER] {
            assert!((3.0..6.0).contains(&seconds(&prompts, spoken)), "{spoken:?}");
        }
        for spoken in [PIN_LATE, ALSO, NEXT] {
            assert!((2.5..4.5).contains(&seconds(&prompts, spoken)), "{spoken:?}");
        }
        for spoken in [NO_RECORDING, UNREAD, INSTRUCTION, URGENT_CUT, SEVERAL, SILENT, DRILL_URGENT]
        {
            assert!((3.5..11.0).contains(&seconds(&prompts, spoken)), "{spoken:?}");
        }
        assert!((seconds(&prompts, BEEP) - 0.5).abs() < 0.01);
        assert!((seconds(&prompts, RINGBACK) - 4.0).abs() < 0.01);
    }

    #[test]
    fn the_site_says_what_it_wants_in_its_own_voice() {
        let prompts = load(vec![(GREETING, vec![504; 800]), (URGENT, vec![-1001; 800])]);
        assert_eq!(*prompts[usize::from(GREETING.0)], [504; 800]);
        assert_eq!(*prompts[usize::from(URGENT.0)], [-1008; 800], "as A-law carries it");
    }

    #[test]
    fn every_sentence_is_handed_out_with_its_words_and_nothing_is_overwritten() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(hand_out(folder.path()).unwrap(), SENTENCES.len());
        let words = fs::read_to_string(folder.path().join(LIST)).unwrap();
        for (prompt, name, said) in SENTENCES {
            assert!(words.contains(&format!("{name}.wav\t{said}\n")));
            let file = wav_file::read_file(&folder.path().join(format!("{name}.wav"))).unwrap();
            assert!(load(vec![])[usize::from(prompt.0)].starts_with(&file[0]), "{name}");
        }
        let again = hand_out(folder.path()).unwrap_err();
        assert_eq!(again.kind(), io::ErrorKind::AlreadyExists);
        assert!(again.to_string().contains(LIST), "{again}");
    }

    #[test]
    fn what_is_written_is_what_is_made() {
        let made = include_str!("prompts/make.sh");
        for (_, name, words) in SENTENCES {
            assert!(made.contains(&format!("# {words}\nsay {name} ")), "{name}");
        }
    }

    #[test]
    fn prompts_are_heard_and_not_clipped() {
        for (index, prompt) in load(vec![]).iter().enumerate() {
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
        for (index, prompt) in load(vec![]).iter().enumerate() {
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
        for sample in load(vec![]).iter().flat_map(|prompt| prompt.iter()) {
            assert_eq!(g711::decode(Codec::Pcma, g711::encode(Codec::Pcma, *sample)), *sample);
        }
    }
}
