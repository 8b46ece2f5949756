//! Puts together what somebody wants handed out: rows and tables at once, then each file from whichever place has it as
//! its row says. What no place has is named, and keeps nobody from the rest.

use super::bundle::{
    Bundle, Content, FORMAT, FORMAT_ABSENT, FORMAT_DAMAGED, HEAD, KEY, KEYS, Listed, MANIFEST,
    Manifest, Part, ROWS, SIGNATURE, derived, readme,
};
use super::key::SigningKey;
use super::{tables, workbook, zip};
use crate::duty::ids::CallId;
use crate::duty::proof::Digests;
use crate::duty::proof::proven::Proven;
use crate::io::kept::Places;
use crate::io::store::{
    Absent, FileOf, Gathered, Scope, Sounds, Store, StoreError, Who, WhyAbsent, wait,
};
use crate::protocol::now::Now;
use anyhow::{Context, bail};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use chrono::{DateTime, Utc};
use std::collections::BTreeSet;
use std::io;
use std::path::{Component, Path};
use std::sync::Arc;

/// Of each file what the manifest says of it, at most.
const LISTED: u64 = 512;

const GIVEN_UP: &str = "其间已由两人同意销毁 · two people have agreed to destroy it meanwhile";

/// Who wants what.
pub struct Order<'a> {
    pub store: &'a Store,
    pub places: Places,
    pub key: Arc<SigningKey>,
    /// None: the command.
    pub who: Option<&'a Who>,
    pub scope: Scope,
    pub sounds: Sounds,
    pub now: Now,
}

impl Order<'_> {
    /// Notes in the audit that it is asked for, signs the log, and collects all but the files. `None`: there is no such
    /// entry.
    ///
    /// # Errors
    /// When the log cannot be read.
    pub async fn draft(&self) -> anyhow::Result<Option<Draft>> {
        let (key, what) = (Arc::clone(&self.key), (self.scope, self.sounds));
        let gathered = self.store.gather(self.who, what, key, self.now).await?;
        let Some(mut gathered) = gathered else { return Ok(None) };
        if self.sounds == Sounds::RedactedOnly {
            withhold_originals(&mut gathered);
        }
        let what = match self.scope {
            Scope::Entry(entry) | Scope::Matter(entry) => one_name(number(&gathered, &entry)?)?,
            Scope::Period(from, to) => tables::period(from, to),
        };
        let (places, key) = (self.places.clone(), Arc::clone(&self.key));
        let by = self.who.map_or("dutyline export", |who| who.name.as_str()).to_owned();
        let (made, sounds, store) = (self.now.wall, self.sounds, self.store.clone());
        let drawing_up = tokio::task::spawn_blocking(move || {
            let length =
                |file: &FileOf| file.bytes.unwrap_or_else(|| places.length(Path::new(&file.path)));
            let lengths = gathered.files.iter().map(length).collect();
            let texts = texts(&gathered, &key)?;
            Ok(Some(Draft { store, gathered, lengths, texts, what, sounds, places, key, made, by }))
        });
        drawing_up.await.context("the export")?
    }

    /// All of it, however long the files take. `None`: there is no such entry.
    ///
    /// # Errors
    /// When the log cannot be read, or no recording at all.
    pub async fn bundle(&self) -> anyhow::Result<Option<Bundle>> {
        let Some(draft) = self.draft().await? else { return Ok(None) };
        let whole = tokio::task::spawn_blocking(move || draft.bundle(&mut |_| true));
        whole.await.context("the export")?.map(Some)
    }
}

/// All but the files.
pub struct Draft {
    store: Store,
    gathered: Gathered,
    /// Of the files: as their rows say, of tapes as the disk says.
    lengths: Vec<u64>,
    /// Path and content.
    texts: Vec<(&'static str, Vec<u8>)>,
    what: String,
    sounds: Sounds,
    places: Places,
    key: Arc<SigningKey>,
    made: DateTime<Utc>,
    by: String,
}

impl Draft {
    /// Of the files that are to be read.
    pub fn bytes(&self) -> u64 {
        self.lengths.iter().sum()
    }

    /// Whether an ordinary ZIP file takes it, as far as can be said before it is read.
    pub fn fits_a_zip(&self) -> bool {
        let texts = self.texts.iter().map(|(path, text)| (path.len(), text.len() as u64));
        let paths = self.gathered.files.iter().map(|file| file.path.len());
        let files = paths.zip(self.lengths.iter().map(|length| length + LISTED));
        zip::length(&self.what, texts.chain(files)).is_some()
    }

    /// Reads the files. `told` hears how many bytes are done; where it says no, nothing comes of it.
    ///
    /// # Errors
    /// When it was told to stop, or no recording can be had because the disk is away.
    pub fn bundle(mut self, told: &mut dyn FnMut(u64) -> bool) -> anyhow::Result<Bundle> {
        let (mut parts, mut files, mut damaged, mut done) = (vec![], vec![], vec![], 0);
        for (path, text) in std::mem::take(&mut self.texts) {
            add(Part::read(path, Content::Bytes(text), &mut |_| Ok(()))?, (&mut parts, &mut files));
        }
        for (file, length) in self.gathered.files.iter().zip(&self.lengths) {
            let path = path_of(file)?;
            let mut stopped = false;
            let whole = self.whole(file, &path, &mut |read| {
                stopped |= !told(done + read.min(*length));
                if stopped { Err(io::ErrorKind::Interrupted.into()) } else { Ok(()) }
            });
            if stopped {
                bail!("已停止 · stopped");
            }
            match whole {
                Ok(whole) => add(whole, (&mut parts, &mut files)),
                Err(fault) => {
                    let reason =
                        if self.is_given_up(&file.call) { GIVEN_UP.to_owned() } else { fault };
                    tracing::error!(
                        call = file.call,
                        path,
                        reason,
                        "a recording is damaged or gone"
                    );
                    let (call, why) = (file.call.clone(), WhyAbsent::Damaged);
                    damaged.push(Absent { call, why, reason, file: path });
                }
            }
            done += length;
        }
        self.is_mounted(damaged.len())?;
        let text = readme(&self.what, self.sounds, &self.key.public, &damaged).into_bytes();
        let (readme, digests) = Part::read("README.txt", Content::Bytes(text), &mut |_| Ok(()))?;
        files.insert(0, listed(&readme, &digests));
        parts.insert(0, readme);
        let mut absent = self.gathered.absent;
        absent.extend(damaged.iter().cloned());
        let format = match (damaged.is_empty(), absent.is_empty()) {
            (false, _) => FORMAT_DAMAGED,
            (true, false) => FORMAT_ABSENT,
            (true, true) => FORMAT,
        };
        let (origin, name) = (self.key.public.origin.clone(), self.what.clone());
        let (format, what, made, made_by) = (format.to_owned(), self.what, self.made, self.by);
        let manifest = Manifest { format, what, origin, made, made_by, files, absent };
        let text = serde_json::to_vec_pretty(&manifest)?;
        let signature = format!("{}\n", STANDARD.encode(self.key.sign(&text)));
        for (path, text) in [(MANIFEST, text), (SIGNATURE, signature.into_bytes())] {
            parts.push(Part::read(path, Content::Bytes(text), &mut |_| Ok(()))?.0);
        }
        Ok(Bundle { name, parts, damaged })
    }

    /// The file as its row says, from the first place that has it so; why our own is none, where there is none.
    fn whole(
        &self,
        file: &FileOf,
        path: &str,
        told: &mut dyn FnMut(u64) -> io::Result<()>,
    ) -> Result<(Part, Digests), String> {
        let mut why = None;
        for kept in self.places.of(Path::new(&file.path)) {
            let mut read = 0;
            let part = kept.and_then(|kept| {
                Part::read(path, Content::Kept(kept), &mut |piece| {
                    read += piece;
                    told(read)
                })
            });
            let fault = match part {
                Ok((part, digests)) if hex::encode(digests.sha256) == file.sha256 => {
                    return Ok((part, digests));
                }
                Ok(_) => "与记录中的 SHA-256 不符 · is not what its row says".to_owned(),
                Err(fault) => fault.to_string(),
            };
            why.get_or_insert(fault);
        }
        Err(why.unwrap_or_default())
    }

    /// By two people, since the rows were collected.
    fn is_given_up(&self, call: &str) -> bool {
        let kept = call.parse().map(|call: CallId| wait(self.store.is_kept(call)));
        matches!(kept, Ok(Ok(false)))
    }

    /// A disk that is away is not a disk whose files are all damaged.
    fn is_mounted(&self, damaged: usize) -> anyhow::Result<()> {
        let recordings = &self.places.recordings;
        let empty = || recordings.read_dir().map_or(true, |mut files| files.next().is_none());
        if damaged > 0 && damaged == self.gathered.files.len() && empty() {
            bail!(
                "{}: 录音文件夹读不到或是空的，磁盘是否已挂载 · the recordings are away or their folder is empty: is the disk mounted?",
                recordings.display()
            );
        }
        Ok(())
    }
}

fn add((part, digests): (Part, Digests), (parts, files): (&mut Vec<Part>, &mut Vec<Listed>)) {
    files.push(listed(&part, &digests));
    parts.push(part);
}

fn listed(part: &Part, digests: &Digests) -> Listed {
    Listed {
        path: part.path.clone(),
        bytes: part.bytes,
        sha256: hex::encode(digests.sha256),
        sm3: hex::encode(digests.sm3),
    }
}

fn texts(gathered: &Gathered, key: &SigningKey) -> anyhow::Result<Vec<(&'static str, Vec<u8>)>> {
    let mut texts = vec![
        (HEAD, gathered.head.note.clone().into_bytes()),
        (KEY, format!("{}\n", key.public).into_bytes()),
    ];
    if !gathered.renewals.is_empty() {
        texts.push((KEYS, gathered.renewals.concat().into_bytes()));
    }
    texts.push((ROWS, rows(&gathered.rows)?));
    let tables = tables::all(&gathered.rows);
    texts.extend(tables.iter().map(|table| (table.file, table.csv().into_bytes())));
    if !tables.is_empty() {
        texts.push((workbook::FILE, workbook::of(&tables).context(workbook::FILE)?));
    }
    Ok(texts)
}

fn rows(rows: &[Proven]) -> anyhow::Result<Vec<u8>> {
    let mut lines = vec![];
    for row in rows {
        serde_json::to_writer(&mut lines, row)?;
        lines.push(b'\n');
    }
    Ok(lines)
}

/// Each is named as one that is not there.
fn withhold_originals(gathered: &mut Gathered) {
    let originals = gathered.files.extract_if(.., |file| file.derived.is_none());
    let calls: BTreeSet<String> = originals.map(|file| file.call).collect();
    let why = WhyAbsent::RedactedOnly;
    gathered.absent.extend(calls.into_iter().map(|call| Absent {
        call,
        why,
        reason: String::new(),
        file: String::new(),
    }));
}

/// Where it is put, under the name of its call.
fn path_of(file: &FileOf) -> anyhow::Result<String> {
    let call: CallId = file.call.parse().with_context(|| format!("{:?}", file.call))?;
    let last = Path::new(&file.path).extension().and_then(|last| last.to_str()).unwrap_or("bin");
    Ok(match file.derived {
        None => format!("recordings/{call}.{last}"),
        Some(id) => derived(&call.to_string(), id),
    })
}

fn number(gathered: &Gathered, entry: &impl ToString) -> Result<String, StoreError> {
    let entry = entry.to_string();
    let text = |row: &Proven, column: &str| Some(row.get(column)?.text()?.to_owned());
    let mut entries = gathered.rows.iter().filter(|row| row.kind == "entry");
    let row = entries.find(|row| text(row, "id").as_ref() == Some(&entry));
    row.and_then(|row| text(row, "number")).ok_or(StoreError::Closed)
}

/// A number that names a folder, and no way out of one.
fn one_name(number: String) -> anyhow::Result<String> {
    let mut parts = Path::new(&number).components();
    let one = matches!((parts.next(), parts.next()), (Some(Component::Normal(_)), None));
    if !one || number.contains(|c: char| c.is_control() || c == '/' || c == '\\') {
        bail!(
            "{number:?}: 不是记录编号，先运行 dutyline verify · is no entry's number: run dutyline verify"
        );
    }
    Ok(number)
}
