//! What the log does not have: sealed tapes, where the daemon died before it was told of them; those and FLACs, where it was
//! put back from a backup.

use super::{is_older, walk};
use crate::duty::ids::CallId;
use crate::io::copies::patience;
use crate::io::flac::file::{self, Fault};
use crate::io::flac::sound::flac_of;
use crate::io::store::{FileKind, Found, Sealed, Store, StoreError, ToFlac, Unbound};
use crate::io::{clock, logbook, priority, tape};
use crate::protocol::rtp::Party;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tracing::{error, info, warn};

/// Calls that the log is asked for at once.
const AT_ONCE: usize = 1000;
const DAMAGED: &str =
    "原始录音数据有损坏，能读出的已保存 · its tape is damaged: what can be read of it is here";
/// Nobody waits for a tape that the disk does not give.
const PATIENCE: Duration = Duration::from_secs(3600);

/// Binds them to their calls; one of a call that the log knows is left alone until it is `settled`, of one that it does not
/// know until it is no longer `fresh`. How many were bound.
///
/// # Errors
/// The log's.
pub async fn bind(
    store: &Store,
    recordings: &Path,
    (settled, fresh): (Duration, Duration),
) -> Result<u64, StoreError> {
    let folder = recordings.to_owned();
    let tapes = tokio::task::spawn_blocking(move || tapes(&folder)).await.unwrap_or_default();
    let calls: Vec<CallId> = tapes.keys().copied().collect();
    let mut bound = 0;
    for calls in calls.chunks(AT_ONCE) {
        for (call, how) in store.unbound(calls.to_vec()).await? {
            let age = match how {
                Unbound::Known => settled,
                Unbound::Unknown => fresh,
            };
            let path = tapes.get(&call).filter(|path| is_older(path, age));
            let Some(path) = path else { continue };
            let Some(found) = read(recordings, path).await else { continue };
            if store.recording_found(found, clock::now()).await? {
                info!(%call, "a recording that the log did not have is bound to its call");
                bound += 1;
            }
        }
    }
    let gone = store.recordings_not_found().await?;
    if gone > 0 {
        warn!(calls = gone, "of calls in a log that was put back there is no recording");
    }
    Ok(bound)
}

/// Where the WAV of a call is gone and a FLAC that gives it is in its place, that is noted; whether it was.
///
/// # Errors
/// The log's.
pub async fn as_flac(
    store: &Store,
    recordings: &Path,
    call: CallId,
    wav: &Path,
) -> Result<bool, StoreError> {
    if !recordings.join(flac_of(wav)).is_file() {
        return Ok(false);
    }
    let sealed = store.sealed_file(call, FileKind::Wav).await?;
    let Some(sealed) = sealed.filter(|sealed| sealed.path == wav) else { return Ok(false) };
    let (own, wav, sha256) = (recordings.to_owned(), sealed.path, sealed.sha256);
    let comparing = move || {
        priority::last();
        file::make(&own, &ToFlac { call, wav, sha256 }, &|| true)
    };
    let compared = patience::wait(PATIENCE, comparing, || {}).await;
    let compared = compared.unwrap_or_else(|fault| Err(Fault::Disk(fault.to_string())));
    let compared = compared.inspect_err(|fault| {
        warn!(%call, ?fault, "the WAV of a recording is gone, and what is there as FLAC does not give it");
    });
    let Ok(flac) = compared else { return Ok(false) };
    let noted = store.flac_found(call, flac, clock::now()).await?;
    if noted {
        info!(%call, "a recording that the log has as WAV alone is kept as FLAC");
    }
    Ok(noted)
}

fn tapes(folder: &Path) -> BTreeMap<CallId, PathBuf> {
    let mut tapes = BTreeMap::new();
    walk(folder, &mut |path| {
        let stem = path.file_stem().and_then(|stem| stem.to_str());
        let call: Option<CallId> = stem.and_then(|stem| stem.parse().ok());
        if let Some(call) = call.filter(|_| path.extension().is_some_and(|last| last == "tape")) {
            tapes.insert(call, path.to_owned());
        }
    });
    tapes
}

/// `None`: it is not the tape of its call, or the disk does not give it.
async fn read(recordings: &Path, path: &Path) -> Option<Found> {
    let (folder, of) = (recordings.to_owned(), path.to_owned());
    let reading = move || {
        priority::last();
        tape::found(&folder, &of)
    };
    let found = patience::wait(PATIENCE, reading, || {}).await;
    let found = found.flatten().inspect_err(|fault| {
        warn!(path = %path.display(), %fault, "a tape that the log does not have cannot be read");
    });
    let (found, damaged) = found.ok()??;
    let heard: Vec<Party> = found.packets.iter().map(|(party, _)| *party).collect();
    Some(Found {
        call: CallId(found.call),
        to_leader: heard.contains(&Party::Leader) && !heard.contains(&Party::Caller),
        began: found.started,
        lasted: Duration::from_millis(found.duration_ms),
        sealed: logbook::recording(&found)
            .map(|sealed| if damaged { spoiled(sealed) } else { sealed }),
    })
}

/// It is kept as it is.
fn spoiled(sealed: Sealed) -> Sealed {
    let path = sealed.tape.as_deref().unwrap_or(&sealed.wav).display();
    error!(%path, "a tape that the log does not have is damaged: what can be read of it is bound");
    let whys = sealed.interrupted.iter().map(String::as_str).chain([DAMAGED]);
    let interrupted = Some(whys.collect::<Vec<_>>().join("；"));
    Sealed { interrupted, ..sealed }
}
