//! Compares the recordings' folder with the log, at the start, every hour, and after the log was opened again: what is sealed
//! and not bound is bound, a FLAC that the log does not know of is noted; files without a row and rows without a file are
//! told.

mod found;

pub use found::bind;

use crate::duty::ids::CallId;
use crate::io::clock;
use crate::io::status::{Alarm, Board};
use crate::io::store::{KeptFiles, Store, StoreError};
use chrono::{DateTime, Utc};
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};
use uuid::Uuid;

/// What the last run left is sealed and bound by then.
const FIRST: Duration = Duration::from_secs(60);
const EVERY: Duration = Duration::from_secs(3600);
/// What is younger may not be bound to its call yet.
const FRESH: Duration = Duration::from_secs(600);
/// Of a call that the log knows, so long after it was sealed.
const SETTLED: Duration = Duration::from_secs(30);
/// Rows read at once.
const PAGE: u32 = 5000;
/// Named one by one; more are counted.
const NAMED: usize = 20;

/// What does not fit together.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Orphans {
    pub files: u64,
    pub rows: u64,
    /// The first of them, below the recordings' folder.
    pub named: Vec<PathBuf>,
}

/// Until the daemon stops.
pub async fn keep_sweeping(
    store: Store,
    recordings: PathBuf,
    board: Board,
    stopping: CancellationToken,
) {
    let mut looks = [FIRST, FRESH].into_iter();
    loop {
        let wait = looks.next().unwrap_or(EVERY);
        tokio::select! {
            biased;
            () = stopping.cancelled() => return,
            // What waited for the log is written first.
            () = store.has_begun() => {
                looks = [FIRST, FRESH].into_iter();
                continue;
            }
            () = tokio::time::sleep(wait) => {}
        }
        let looked = tokio::select! {
            looked = look(&store, &recordings) => looked,
            () = stopping.cancelled() => return,
        };
        match looked {
            Ok(orphans) => tell(&orphans, &board),
            Err(error) => warn!(%error, "recordings and log could not be compared"),
        }
    }
}

async fn look(store: &Store, recordings: &Path) -> Result<Orphans, StoreError> {
    bind(store, recordings, (SETTLED, FRESH)).await?;
    sweep(store, recordings, FRESH).await
}

/// Looks once; files younger than `fresh` are left out.
///
/// # Errors
/// The log's, when it cannot be read.
pub async fn sweep(
    store: &Store,
    recordings: &Path,
    fresh: Duration,
) -> Result<Orphans, StoreError> {
    let (mut known, mut orphans): (BTreeSet<Uuid>, _) = (BTreeSet::new(), Orphans::default());
    let mut after: Option<CallId> = None;
    loop {
        let rows = store.kept_files(after, PAGE).await?;
        let Some(last) = rows.last().map(|row| row.call) else { break };
        after = Some(last);
        known.extend(rows.iter().map(|row| row.call.0));
        orphans.look_for(store, recordings, rows).await?;
    }
    let folder = recordings.to_owned();
    let unknown = tokio::task::spawn_blocking(move || {
        let mut unknown = vec![];
        walk(&folder, &mut |path| {
            let stem = path.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default();
            let call: Option<Uuid> = stem.get(..36).and_then(|call| call.parse().ok());
            if call.is_none_or(|call| !known.contains(&call)) && is_older(path, fresh) {
                unknown.push(path.strip_prefix(&folder).unwrap_or(path).to_owned());
            }
        });
        unknown
    });
    for path in unknown.await.unwrap_or_default() {
        orphans.files += 1;
        orphans.name(path);
    }
    Ok(orphans)
}

impl Orphans {
    pub(super) async fn look_for(
        &mut self,
        store: &Store,
        recordings: &Path,
        rows: Vec<KeptFiles>,
    ) -> Result<(), StoreError> {
        let folder = recordings.to_owned();
        let gone = tokio::task::spawn_blocking(move || missing(&folder, &rows)).await;
        for (call, path) in gone.unwrap_or_default() {
            if found::as_flac(store, recordings, call, &path).await? {
                continue;
            }
            // Meanwhile it may have been given up, or be kept as FLAC.
            let now = store.kept_files_of(call).await?;
            if now.is_some_and(|now| {
                now.wav.as_ref() == Some(&path) || now.tape.as_ref() == Some(&path)
            }) {
                self.rows += 1;
                self.name(path);
            }
        }
        Ok(())
    }

    fn name(&mut self, path: PathBuf) {
        if self.named.len() < NAMED {
            self.named.push(path);
        }
    }
}

fn missing(folder: &Path, rows: &[KeptFiles]) -> Vec<(CallId, PathBuf)> {
    let files = rows.iter().flat_map(|row| {
        [&row.wav, &row.tape].into_iter().flatten().map(|file| (row.call, file.clone()))
    });
    files.filter(|(_, file)| !folder.join(file).is_file()).collect()
}

/// Recordings and tapes below the folder; links are not followed.
fn walk(folder: &Path, found: &mut dyn FnMut(&Path)) {
    let Ok(entries) = fs::read_dir(folder) else { return };
    for entry in entries.flatten() {
        let (path, kind) = (entry.path(), entry.file_type());
        let hidden = path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"."));
        match kind {
            // The running tape may be in a hidden folder.
            Ok(kind) if kind.is_dir() && !hidden => walk(&path, found),
            Ok(kind) if kind.is_file() && !hidden => found(&path),
            Ok(_) | Err(_) => {}
        }
    }
}

/// A log that was begun beside recordings is another one's: most likely its disk is not mounted.
pub async fn tell_of_a_new_log(data: PathBuf, recordings: PathBuf, board: Board) {
    let counted = tokio::task::spawn_blocking(move || count(&recordings)).await;
    let (count, data) = (counted.unwrap_or(0), std::path::absolute(&data).unwrap_or(data));
    if count == 0 {
        return;
    }
    let data = data.display();
    error!(%data, recordings = count, "a new log was begun beside recordings of an older one: stop the daemon, mount the disk of storage.data or restore the log, start it again");
    let alarm = Alarm {
        since: clock::now().wall,
        zh: format!(
            "数据文件夹里没有值班记录，已新建一份，而录音文件夹里有 {count} 份以前的录音：数据盘可能没有挂上。电话照常接听；请管理员停止服务，挂上 {data} 的磁盘或恢复备份，再启动；新建的记录另行保存，勿删"
        ),
        en: format!(
            "There was no log and a new one was begun, beside {count} recordings of an older one: the data disk may not be mounted. Calls are served; stop the daemon, mount the disk of {data} or restore a backup, start it again, and keep the new log elsewhere"
        ),
    };
    board.update(|status| drop(status.alarms.insert("new_log", alarm)));
}

/// Recordings, as they were made or as FLAC.
fn count(recordings: &Path) -> usize {
    let mut count = 0;
    walk(recordings, &mut |path| {
        let kind = path.extension().and_then(|kind| kind.to_str());
        count += usize::from(matches!(kind, Some("wav" | "flac")));
    });
    count
}

fn is_older(path: &Path, age: Duration) -> bool {
    let changed = path.metadata().and_then(|file| file.modified());
    changed.is_ok_and(|changed| {
        let passed = clock::now().wall - DateTime::<Utc>::from(changed);
        passed.to_std().is_ok_and(|passed| passed >= age)
    })
}

fn tell(orphans: &Orphans, board: &Board) {
    let Orphans { files, rows, named } = orphans;
    if *files == 0 && *rows == 0 {
        info!("recordings and log fit together");
        return board.update(|status| drop(status.alarms.remove("orphans")));
    }
    for path in named {
        error!(path = %path.display(), "recordings and log do not fit together here");
    }
    let first = named.first().map(|path| path.display().to_string()).unwrap_or_default();
    let alarm = Alarm {
        since: clock::now().wall,
        zh: format!(
            "录音与记录不符：{files} 个文件没有记录，{rows} 个文件缺失（如 {first}），请管理员核查，勿删除任何文件"
        ),
        en: format!(
            "Recordings and log differ: {files} files without a row, {rows} missing (such as {first}); see to it and delete nothing"
        ),
    };
    board.update(|status| {
        let since = status.alarms.get("orphans").map_or(alarm.since, |before| before.since);
        status.alarms.insert("orphans", Alarm { since, ..alarm });
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::duty::journal::{Arrival, Fact, Noted};
    use crate::io::store::Sealed;

    #[tokio::test]
    async fn rec_d13_a_file_without_a_row_and_a_row_without_a_file_are_named_and_told() {
        let folder = tempfile::tempdir().unwrap();
        let recordings = folder.path().join("recordings");
        fs::create_dir_all(recordings.join("2026/11/26")).unwrap();
        let store = Store::open(&folder.path().join("a.db"), clock::random()).unwrap();
        let mut calls = vec![];
        for n in 0..3 {
            let call = CallId::new(clock::now(), &mut clock::random());
            let arrival = Arrival::from_number(call, &format!("8812345{n}"), "");
            let fact = Fact::Arrived(Box::new(arrival));
            store.note(Noted { at: clock::now(), fact }).await.unwrap();
            let wav = PathBuf::from(format!("2026/11/26/{call}.wav"));
            let sealed = Sealed {
                tape: Some(wav.with_extension("tape")),
                wav: wav.clone(),
                sha256: "0".repeat(64),
                ..Sealed::default()
            };
            for file in [&wav, &wav.with_extension("tape")] {
                fs::write(recordings.join(file), "x").unwrap();
            }
            assert!(store.recording_sealed(call, sealed, clock::now()).await.unwrap());
            calls.push(wav);
        }
        let look = || sweep(&store, &recordings, Duration::ZERO);
        assert_eq!(look().await.unwrap(), Orphans::default());
        fs::create_dir(recordings.join(".tape")).unwrap();
        fs::write(recordings.join(".tape/segment-00000003.tape"), "x").unwrap();
        assert_eq!(look().await.unwrap(), Orphans::default(), "the running tape is no recording");
        let stray = PathBuf::from("2026/11/26/01890a5d-ac96-774b-bcce-b302099a8057.wav");
        fs::write(recordings.join(&stray), "x").unwrap();
        fs::write(recordings.join("2026/11/26/.x.wav.part"), "x").unwrap();
        fs::remove_file(recordings.join(&calls[1])).unwrap();
        let found = look().await.unwrap();
        assert_eq!((found.files, found.rows), (1, 1));
        assert_eq!(found.named, [calls[1].clone(), stray]);
        assert_eq!(sweep(&store, &recordings, FRESH).await.unwrap().files, 0, "too young");
        let board = Board::new();
        tell(&found, &board);
        assert!(board.status().alarms["orphans"].zh.contains("勿删除"));
        tell(&Orphans::default(), &board);
        assert!(board.status().alarms.is_empty());
    }
}
