//! Checks a log where it stands: the database, the heads that were sent off, the recordings.

use super::{key, witness};
use crate::duty::proof::PublicKey;
use crate::io::store::{Checked, Fault, FileOf};
use anyhow::Context;
use sha2::{Digest, Sha256};
use std::fs::File;
use std::io::{self, Read};
use std::path::{Component, Path, PathBuf};

/// What is checked, and by what.
#[derive(Debug, Clone, Default)]
pub struct Wanted {
    /// Where database and key are.
    pub data: PathBuf,
    pub recordings: PathBuf,
    /// Folders with heads that were sent off, the one in `data` not named.
    pub folders: Vec<PathBuf>,
    /// From a place that the host does not reach; the one beside the database unless given.
    pub key: Option<PublicKey>,
}

/// What was found.
#[derive(Debug, Default)]
pub struct Report {
    pub checked: Checked,
    pub copies: usize,
    pub bytes: u64,
}

impl Wanted {
    /// # Errors
    /// When there is nothing that could be checked.
    pub fn check(&self) -> anyhow::Result<Report> {
        let mut faults = vec![];
        let key = match &self.key {
            Some(key) => key.clone(),
            None => own_key(&self.data)?,
        };
        let mut notes = vec![];
        let own = self.data.join("heads");
        for folder in std::iter::once(&own).chain(&self.folders) {
            let place = folder.display().to_string();
            match witness::copies(folder) {
                Ok(found) => {
                    notes.extend(found.notes);
                    faults.extend(found.torn.into_iter().map(|file| torn(&place, &file)));
                }
                Err(error) => faults.push(Fault::new(
                    place,
                    format!("读不到存出的签名（{error}）"),
                    format!("the heads that were sent there cannot be read: {error}"),
                )),
            }
        }
        let copies = notes.len();
        notes.sort_by(|a, b| (a.head.number, &a.text).cmp(&(b.head.number, &b.text)));
        notes.dedup();
        let database = self.data.join("dutyline.db");
        let mut checked = Checked::of(&database, &key, &notes)
            .with_context(|| format!("{}", database.display()))?;
        faults.append(&mut checked.faults);
        let mut bytes = 0;
        for file in &checked.files {
            match check_file(&self.recordings, file) {
                Ok(read) => bytes += read,
                Err(fault) => faults.push(fault),
            }
        }
        checked.faults = faults;
        Ok(Report { checked, copies, bytes })
    }
}

impl std::fmt::Display for Report {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Checked { origin, items, rows, heads, faults, more, files } = &self.checked;
        writeln!(out, "{origin}")?;
        writeln!(
            out,
            "条目 {items}，行 {rows}，签名 {heads}（存出 {}），录音文件 {} · {items} items, {rows} rows, {heads} heads ({} sent off), {} files",
            self.copies,
            files.len(),
            self.copies,
            files.len(),
        )?;
        for fault in faults {
            write_fault(fault, out)?;
        }
        match faults.len() as u64 + more {
            0 => writeln!(out, "✓ 未发现改动 · nothing was altered"),
            count => writeln!(out, "✗ {count} 处不符 · {count} faults"),
        }
    }
}

/// On a terminal, whatever somebody wrote into a name.
pub fn write_fault(fault: &Fault, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
    let tame = |text: &str| -> String {
        text.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
    };
    writeln!(out, "✗ {}\n    {} · {}", tame(&fault.place), tame(&fault.zh), tame(&fault.en))
}

impl Report {
    pub fn is_sound(&self) -> bool {
        self.checked.faults.is_empty()
    }
}

fn own_key(data: &Path) -> anyhow::Result<PublicKey> {
    let path = key::public_path(data);
    let text = std::fs::read_to_string(&path).with_context(|| {
        format!("{}: 没有公钥，用 --key 给出 · no public key: give it with --key", path.display())
    })?;
    PublicKey::parse(&text)
        .with_context(|| format!("{}: 不是公钥 · is no public key", path.display()))
}

fn torn(folder: &str, file: &str) -> Fault {
    Fault::new(
        format!("{folder}/{file}"),
        "含有不完整的签名：写入时断电，或被改动",
        "holds a piece of a head: the power failed while it was written, or it was altered",
    )
}

/// How many bytes it has, where they are what the row says.
fn check_file(recordings: &Path, file: &FileOf) -> Result<u64, Fault> {
    let place = format!("recording {} {}", file.call, file.path);
    let inside = Path::new(&file.path);
    if !inside.components().all(|part| matches!(part, Component::Normal(_))) {
        return Err(Fault::new(
            place,
            "路径不在录音文件夹内",
            "is not inside the recordings folder",
        ));
    }
    match sha256(&recordings.join(inside)) {
        Ok((digest, bytes)) if digest == file.sha256 => Ok(bytes),
        Ok(_) => Err(Fault::new(
            place,
            "录音文件被改动或替换，SHA-256 不符",
            "was altered or replaced: its SHA-256 is another",
        )),
        Err(error) => Err(Fault::new(
            place,
            format!("录音文件读不到（{error}）"),
            format!("cannot be read: {error}"),
        )),
    }
}

fn sha256(path: &Path) -> io::Result<(String, u64)> {
    let (mut file, mut digest) = (File::open(path)?, Sha256::new());
    let (mut buffer, mut bytes) = (vec![0; 1 << 20], 0);
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok((hex::encode(digest.finalize()), bytes)),
            read => {
                digest.update(&buffer[..read]);
                bytes += read as u64;
            }
        }
    }
}
