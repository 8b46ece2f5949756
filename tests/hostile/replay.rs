//! The corpora of `fuzz/`, each input through the function that is fuzzed.

use crate::line::worked;
use crate::targets::{ALL, Target};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// No input may take longer, in a debug build.
const LONGEST: Duration = Duration::from_millis(50);

fn tests() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests")
}

fn inputs(folder: &Path) -> Vec<(PathBuf, Vec<u8>)> {
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
