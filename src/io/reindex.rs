//! `dutyline reindex`: what is made of the log and of the tapes is made again, while the daemon works or without it: the
//! index of the search, and each WAV that is gone, where its tape is still the one that the log vouches for.

use crate::config::Config;
use crate::io::copies::file::{below, digest};
use crate::io::durable;
use crate::io::flac::sound::Sound;
use crate::io::store::{FileKind, Reindexed, SealedFile, Store, reindex, wait};
use crate::io::tape::{Lasts, render};
use crate::io::{clock, priority};
use anyhow::Context;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

const PAGE: u32 = 500;
/// In the data folder, while it goes on.
const MARK: &str = "reindexing";

/// What was found and done.
#[derive(Debug, Default)]
pub struct Report {
    pub index: Reindexed,
    /// Sealed recordings that were looked at.
    pub recordings: u64,
    /// WAVs that were made again.
    pub made: Vec<PathBuf>,
    /// What could not be made again, and why.
    pub left: Vec<String>,
}

/// How far it is; it stops where it is told no.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress {
    /// So many of so many entries.
    Index(u64, u64),
    Recordings(u64),
}

/// Killed at any moment, the next one goes on where it was.
///
/// # Errors
/// When log or folders cannot be read.
pub fn run(
    config: &Config,
    store: &Store,
    told: &mut dyn FnMut(Progress) -> bool,
) -> anyhow::Result<Report> {
    priority::last();
    let storage = &config.storage;
    let mark = storage.data.join(MARK);
    let goes_on = mark.exists();
    fs::write(&mark, "").with_context(|| format!("{}", mark.display()))?;
    let database = storage.data.join("dutyline.db");
    let index = reindex(&database, goes_on, &mut |done, all| told(Progress::Index(done, all)))
        .with_context(|| format!("{}", database.display()))?;
    let mut report = Report { index, ..Report::default() };
    if report.index.stopped {
        return Ok(report);
    }
    let mut after = None;
    loop {
        let files = wait(store.sealed_files(after, PAGE))?;
        let Some(last) = files.last().map(|file| file.call) else { break };
        after = Some(last);
        for of_one in files.chunk_by(|one, other| one.call == other.call) {
            report.recordings += 1;
            look(&storage.recordings, of_one, &mut report);
        }
        if !told(Progress::Recordings(report.recordings)) {
            report.index.stopped = true;
            return Ok(report);
        }
    }
    fs::remove_file(&mark).with_context(|| format!("{}", mark.display()))?;
    let Report { index, made, left, .. } = &report;
    let detail = format!(
        "{} entries, {} failed; {} WAV made again, {} not",
        index.entries,
        index.failed,
        made.len(),
        left.len()
    );
    wait(store.reindexed(detail, clock::now())).context("审计 · audit")?;
    Ok(report)
}

fn look(recordings: &Path, files: &[SealedFile], report: &mut Report) {
    let of = |kind| files.iter().find(|file| file.kind == kind);
    let Some(wav) = of(FileKind::Wav) else { return };
    let missing = match below(recordings, &wav.path).map(|path| Sound::open(&path)) {
        Ok(Err(fault)) => fault.kind() == io::ErrorKind::NotFound,
        Ok(Ok(_)) | Err(_) => false,
    };
    if !missing {
        return;
    }
    let made = match of(FileKind::Tape) {
        _ if wav.path.extension().is_none_or(|last| last != "wav") => {
            Err("从第二份或备份取回 · restore it from the second copy or a backup".to_owned())
        }
        None => Err("没有原始录音数据 · there is no tape of it".to_owned()),
        Some(tape) => make(recordings, wav, tape),
    };
    match made {
        Ok(()) => report.made.push(wav.path.clone()),
        Err(why) => report.left.push(format!("{}: {why}", wav.path.display())),
    }
}

/// The WAV of a sealed tape, where it is the one that the log vouches for.
fn make(recordings: &Path, wav: &SealedFile, tape: &SealedFile) -> Result<(), String> {
    let (from, to) = (below(recordings, &tape.path)?, below(recordings, &wav.path)?);
    let plain = |fault: io::Error| fault.to_string();
    if digest(&from).map_err(|fault| format!("{}: {fault}", tape.path.display()))? != tape.sha256 {
        return Err("原始录音数据与记录不符 · its tape is not what the log says".to_owned());
    }
    let folder = to.parent().unwrap_or(recordings);
    let part = folder.join(format!(".{}.again.part", wav.call));
    let rendered = render(&from, &part, Lasts::Yes).map_err(plain)?;
    if rendered.sha256.as_ref() != Some(&wav.sha256) {
        if rendered.sha256.is_some() {
            durable::remove(&part).map_err(plain)?;
        }
        let why = "由原始录音数据得到的与记录不符，可能是旧版程序生成的；从第二份或备份取回 · its tape gives another WAV, of another version of the program perhaps: restore it from the second copy or a backup";
        return Err(why.to_owned());
    }
    durable::rename_noreplace(&part, &to).map_err(plain)?;
    durable::sync_folder(folder).map_err(plain)
}

impl std::fmt::Display for Report {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { index, recordings, made, left } = self;
        match &index.fault {
            Some(fault) => writeln!(out, "原索引损坏 · the index was at fault: {fault}")?,
            None if index.went_on => {
                writeln!(out, "接着上次未完的继续 · went on where the last one stopped")?;
            }
            None => writeln!(out, "原索引完好 · the index was sound")?,
        }
        writeln!(out, "已为 {0} 条记录建立索引 · {0} entries are indexed", index.entries)?;
        if index.failed > 0 {
            writeln!(
                out,
                "✗ {0} 条无法索引，请运行 dutyline verify · {0} could not be: run dutyline verify",
                index.failed
            )?;
        }
        if index.stopped {
            return writeln!(out, "未完，再运行一次即继续 · stopped: run it again to go on");
        }
        writeln!(out, "已查看 {recordings} 份录音 · {recordings} recordings were looked at")?;
        for path in made {
            writeln!(out, "✓ 由原始录音数据重新生成 · made again of its tape: {}", path.display())?;
        }
        for why in left {
            writeln!(out, "✗ {why}")?;
        }
        Ok(())
    }
}

impl Report {
    pub fn is_whole(&self) -> bool {
        self.index.failed == 0 && !self.index.stopped && self.left.is_empty()
    }
}
