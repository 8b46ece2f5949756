//! What the caller and the officer say, built in, in G.711 A-law.

use crate::io::wav_file;
use crate::protocol::rtp::{Codec, g711};
use anyhow::Context;

pub fn caller() -> anyhow::Result<Vec<u8>> {
    load(include_bytes!("speech/caller.wav")).context("the caller's speech")
}

pub fn officer() -> anyhow::Result<Vec<u8>> {
    load(include_bytes!("speech/officer.wav")).context("the officer's speech")
}

fn load(wav: &[u8]) -> anyhow::Result<Vec<u8>> {
    let channels = wav_file::read(wav)?;
    let samples = channels.first().context("a channel")?;
    Ok(samples.iter().map(|sample| g711::encode(Codec::Pcma, *sample)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_have_something_to_say() {
        for speech in [caller().unwrap(), officer().unwrap()] {
            assert!(speech.len() > 3 * 8000 && speech.len() < 20 * 8000);
            let loud = |byte: &&u8| g711::decode(Codec::Pcma, **byte).unsigned_abs() > 1000;
            assert!(speech.iter().filter(loud).count() > 8000);
        }
    }
}
