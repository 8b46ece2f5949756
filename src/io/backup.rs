//! `dutyline backup`: log, key, heads and sealed recordings as they are now, into a new folder, while the daemon works.

use crate::config::Config;
use crate::io::copies::file::{Fault, copy_read};
use crate::io::flac::sound::Sound;
use crate::io::proof::key::SigningKey;
use crate::io::proof::{lock, settling};
use crate::io::store::{Store, wait};
use crate::io::{clock, durable};
use anyhow::{Context, bail};
use std::fs::{self, DirBuilder, File};
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;

const PAGE: u32 = 500;

/// What was copied, and what could not be.
#[derive(Debug, Default)]
pub struct Report {
    pub files: u64,
    pub faults: Vec<String>,
}

/// Copies the log, the signing key, the heads and every sealed recording with its tape; each of these is read back and
/// compared with the log. Configuration and passwords are not copied, nor what is still being recorded.
///
/// # Errors
/// When the folder is there already, or the log cannot be copied.
pub fn back_up(config: &Config, store: &Store, into: &Path) -> anyhow::Result<Report> {
    if into.symlink_metadata().is_ok() {
        bail!("{}: 已存在，请给出新文件夹 · is there already: name a new folder", into.display());
    }
    let (data, recordings) = (into.join("data"), into.join("recordings"));
    for folder in [&data, &recordings, &data.join("heads")] {
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(folder)
            .with_context(|| format!("{}", folder.display()))?;
    }
    // No key is renewed meanwhile: the one that is copied is in force in the log that is.
    let unchanged = settled(&config.storage.data, store)?;
    // Before the log: a head of what it does not have would look like an old copy put back.
    for name in ["signing.key", "signing.pub"] {
        let from = config.storage.data.join(name);
        if from.exists() {
            copy(&from, &data.join(name))?;
        }
    }
    if let Ok(heads) = fs::read_dir(config.storage.data.join("heads")) {
        for head in heads.flatten().filter(|head| head.path().is_file()) {
            copy(&head.path(), &data.join("heads").join(head.file_name()))?;
        }
    }
    wait(store.back_up_to(data.join("dutyline.db"))).context("dutyline.db")?;
    drop(unchanged);
    let copied = Store::open_beside(&data.join("dutyline.db"), clock::random())?;
    let mut report = Report::default();
    report.faults.extend(unfit(&data, &copied)?);
    let mut after = None;
    loop {
        let files = wait(copied.sealed_files(after, PAGE))?;
        let Some(last) = files.last().map(|file| file.call) else { break };
        for file in &files {
            let own = &config.storage.recordings;
            // A WAV of this log may be kept as FLAC by now.
            match copy_read(own, &recordings, &file.path, &file.sha256, Sound::open) {
                Ok(()) => report.files += 1,
                Err(Fault::Own(why) | Fault::Copy(why)) => report.faults.push(why),
            }
        }
        after = Some(last);
    }
    drop(copied);
    let around = into.canonicalize().ok();
    let above = around.as_deref().and_then(Path::parent);
    for folder in [&*data.join("heads"), &data, &recordings, into].into_iter().chain(above) {
        durable::sync_folder(folder).with_context(|| format!("{}", folder.display()))?;
    }
    let detail = format!("{} files, {} faults", report.files, report.faults.len());
    let noted = store.backed_up(into.display().to_string(), detail, clock::now());
    wait(noted).context("审计 · audit")?;
    Ok(report)
}

/// With the key that is in force in its place; others may still read it.
fn settled(data: &Path, store: &Store) -> anyhow::Result<File> {
    let busy = "密钥正在更换，请稍后再试 · the signing key is being renewed: try again";
    let alone = lock::alone(data).context(busy)?;
    let log = wait(store.key_in_force())?;
    let left = settling::settle(data, &wait(store.origin())?, log.renewal.as_ref())?;
    left.iter().for_each(|why| tracing::warn!(why, "an old signing key is still there"));
    alone.lock_shared().context("signing.key")?;
    Ok(alone)
}

/// A copy whose key does not sign its log.
fn unfit(data: &Path, copied: &Store) -> anyhow::Result<Option<String>> {
    let Some(id) = wait(copied.key_in_force())?.id else { return Ok(None) };
    let key = SigningKey::load(data, &wait(copied.origin())?);
    let fits = key.is_ok_and(|key| key.public.id() == id);
    let why = "signing.key: 不是本日志现用的密钥，备份不能签名 · is not the key in force: the copy cannot sign";
    Ok((!fits).then(|| why.to_owned()))
}

fn copy(from: &Path, to: &Path) -> anyhow::Result<()> {
    fs::copy(from, to)
        .and_then(|_| File::open(to)?.sync_all())
        .with_context(|| format!("{}", from.display()))
}
