//! Brings the caller's recording for a leader who wants to hear it: reads files, so that the control task need not.

use super::clock;
use super::flac::sound;
use super::status::{Board, Live};
use super::store::Store;
use super::wav_file;
use crate::duty::ids::{AttemptId, CallId, EntryId};
use crate::duty::switchboard::Input;
use crate::protocol::rtp::Sound;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::mpsc;
use tracing::{debug, warn};

/// In which call, and of what entry.
pub type Wanted = (AttemptId, EntryId);

/// Leaders who may wait at once.
const WAITING: usize = 16;
/// A call that has just ended is being rendered.
const SEALED_WITHIN: Duration = Duration::from_secs(3);
/// More of a recording is not brought.
const SAMPLES_MAX: usize = 600 * wav_file::RATE as usize;

pub fn queue() -> (mpsc::Sender<Wanted>, mpsc::Receiver<Wanted>) {
    mpsc::channel(WAITING)
}

/// Answers each in turn until nobody can ask any more.
pub async fn run(
    mut wanted: mpsc::Receiver<Wanted>,
    store: Store,
    board: Board,
    recordings: PathBuf,
    orders: mpsc::Sender<Input>,
) {
    while let Some((attempt, entry)) = wanted.recv().await {
        let sound = bring(&store, &board, &recordings, entry).await;
        debug!(%attempt, found = sound.is_some(), "a leader wants to hear the recording");
        if orders.send(Input::Fetched { attempt, sound }).await.is_err() {
            return;
        }
    }
}

async fn bring(store: &Store, board: &Board, folder: &Path, entry: EntryId) -> Option<Sound> {
    let call = CallId(entry.0);
    let mut live = board.listen();
    let until = tokio::time::Instant::now() + SEALED_WITHIN;
    let found = loop {
        match store.recording_file(call).await {
            Ok(Some(found)) => break found,
            Ok(None) => {}
            Err(error) => {
                warn!(%error, "the recording for a leader is not known");
                return None;
            }
        }
        if !store.recording_is_coming(call).await.unwrap_or(false) {
            return None;
        }
        let sealed = async {
            loop {
                match live.recv().await {
                    Ok(Live::Entry { entry: of }) if of == entry => return,
                    Ok(_) => {}
                    Err(RecvError::Lagged(_) | RecvError::Closed) => return,
                }
            }
        };
        tokio::time::timeout_at(until, sealed).await.ok()?;
    };
    let began = clock::mono();
    let path = folder.join(&found.wav);
    let read = tokio::task::spawn_blocking(move || {
        wav_file::read_start(sound::Sound::open(&path)?, SAMPLES_MAX)
    });
    let read = read.await;
    match read {
        Ok(Ok(channels)) => {
            let took = clock::mono().since(began);
            debug!(?took, "the recording for a leader is read");
            Some(both(&channels))
        }
        Ok(Err(error)) => {
            warn!(file = %found.wav.display(), %error, "the recording for a leader cannot be read");
            None
        }
        Err(_) => None,
    }
}

/// Caller and officer together, as they were heard.
fn both(channels: &[Vec<i16>]) -> Sound {
    let length = channels.iter().map(Vec::len).max().unwrap_or(0);
    let mut mixed = vec![0_i16; length];
    for channel in channels {
        for (sum, sample) in mixed.iter_mut().zip(channel) {
            *sum = sum.saturating_add(*sample);
        }
    }
    Sound(mixed.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_sides_are_heard_and_loud_ones_do_not_turn_over() {
        let Sound(mixed) = both(&[vec![1, 30_000, -30_000, 5], vec![2, 30_000, -30_000]]);
        assert_eq!(mixed[..], [3, i16::MAX, i16::MIN, 5]);
        assert!(both(&[]).0.is_empty());
    }
}
