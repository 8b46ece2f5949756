//! The corpora of `fuzz/`, each input through the function that is fuzzed.

use crate::line::worked;
use crate::memory::held_at_most;
use crate::targets::{ALL, Target};
use dutyline::protocol::random::Random;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// No input may take longer, in a debug build.
const LONGEST: Duration = Duration::from_millis(50);

pub fn tests() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests")
}

pub fn inputs(folder: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let files = fs::read_dir(folder).unwrap_or_else(|_| panic!("{} is missing", folder.display()));
    let mut paths: Vec<_> = files.map(|file| file.expect("listed").path()).collect();
    paths.sort();
    paths.into_iter().map(|path| (path.clone(), fs::read(&path).expect("an input"))).collect()
}

fn replay(name: &str, target: Target, inputs: &[(PathBuf, Vec<u8>)]) {
    for (path, bytes) in inputs {
        // The input and its beginnings: what a cut datagram or a slow stream shows.
        target(&bytes[..bytes.len() / 2]);
        target(&bytes[..bytes.len().saturating_sub(1)]);
        let begin = worked();
        target(bytes);
        let took = worked() - begin;
        assert!(took < LONGEST, "{name}: {} took {took:?}", path.display());
    }
}

#[test]
fn sig_33_the_corpora_of_all_fuzz_targets_are_replayed() {
    for (name, target) in ALL {
        let inputs = inputs(&tests().join("fuzz_corpus").join(name));
        assert!(inputs.len() >= 8, "{name}: {} inputs", inputs.len());
        replay(name, target, &inputs);
    }
}

#[test]
fn sig_33_the_torture_messages_are_replayed() {
    let mut torture = inputs(&tests().join("rfc4475"));
    torture.extend(inputs(&tests().join("rfc5118")));
    torture.retain(|(path, _)| path.extension().is_some_and(|extension| extension == "dat"));
    assert_eq!(torture.len(), 50 + 12);
    for (name, target) in ALL {
        replay(name, target, &torture);
    }
}

/// Every target has its file in `fuzz/`, and the other way round.
#[test]
fn sig_33_fuzz_targets_and_replay_are_the_same() {
    let folder = tests().join("../fuzz/fuzz_targets");
    let mut files: Vec<_> = inputs(&folder)
        .into_iter()
        .filter_map(|(path, _)| Some(path.file_stem()?.to_str()?.to_owned()))
        .collect();
    let mut names: Vec<_> = ALL.iter().map(|(name, _)| (*name).to_owned()).collect();
    files.sort();
    names.sort();
    assert_eq!(files, names);
}

/// What reliability.md wants to be fuzzed, and what it is called here.
const WANTED: [(&str, &str); 16] = [
    ("sip_message", "message"),
    ("sip_tcp_framer", "framer"),
    ("uri", "uri"),
    ("digest_challenge", "digest_challenge"),
    ("sdp", "sdp"),
    ("rtp", "rtp"),
    ("rtcp", "rtcp"),
    ("rfc4733", "telephone_event"),
    ("transaction/dialog event sequence", "dialog_events"),
    ("wav_recovery", "wav"),
    ("flac", "flac"),
    ("http_range", "http_range"),
    ("journal_recovery", "tape"),
    ("config", "configuration"),
    ("canonical-record", "canonical_record"),
    ("sms_pdu", "short_message"),
];
/// For each target, in a debug build; `tests/all --long fuzz` has the rest.
const SPOILING: Duration = Duration::from_millis(500);
/// No input may take more of the heap than so many times what the greediest seed and the input itself take together.
const GREED: usize = 10;

fn spoiling() -> Duration {
    let wanted = std::env::var("DUTYLINE_FUZZ_SECONDS").ok().and_then(|text| text.parse().ok());
    wanted.map_or(SPOILING, Duration::from_secs)
}

/// A seed, cut, spoiled and put together with others by chance.
pub fn spoiled(seeds: &[(PathBuf, Vec<u8>)], random: &mut Random) -> Vec<u8> {
    let mut below = |limit: usize| random.u32() as usize % limit.max(1);
    let mut bytes = seeds[below(seeds.len())].1.clone();
    for _ in 0..=below(6) {
        let (at, other) = (below(bytes.len()), &seeds[below(seeds.len())].1);
        match below(4) {
            0 if !bytes.is_empty() => bytes[at] = below(256) as u8,
            1 => bytes.truncate(at),
            2 => bytes.extend_from_slice(&other[below(other.len())..]),
            _ => drop(bytes.splice(at..at, other[..below(other.len())].iter().copied())),
        }
    }
    bytes.truncate(64 * 1024);
    bytes
}

fn spoil(name: &str, target: Target, for_so_long: Duration) {
    let seeds = inputs(&tests().join("fuzz_corpus").join(name));
    let of_seeds = seeds.iter().map(|(_, bytes)| held_at_most(|| target(bytes))).max();
    let of_seeds = of_seeds.unwrap_or_default();
    let mut random = Random::from_seed([41; 32]);
    let (begin, mut count, mut longest, mut most) = (worked(), 0_u64, Duration::ZERO, 0);
    while worked() - begin < for_so_long {
        let bytes = spoiled(&seeds, &mut random);
        let begin = worked();
        let held = held_at_most(|| target(&bytes));
        let took = worked() - begin;
        assert!(took < 4 * LONGEST, "{name} took {took:?} for {} bytes", bytes.len());
        let least = GREED * (of_seeds + bytes.len());
        assert!(held <= least, "{name} held {held} of {least} bytes for {} bytes", bytes.len());
        (count, longest, most) = (count + 1, longest.max(took), most.max(held));
    }
    println!("{name}: {count} inputs, {longest:?} and {most} bytes at most");
}

/// The same ones each time; for each target as long as is wanted.
#[test]
fn rel_41_whatever_is_read_from_outside_is_a_target_and_seeds_spoiled_by_chance_break_none() {
    assert_eq!(WANTED.len(), ALL.len());
    for (wanted, name) in WANTED {
        let (_, target) = ALL.into_iter().find(|(known, _)| *known == name).expect(wanted);
        spoil(name, target, spoiling());
    }
}
