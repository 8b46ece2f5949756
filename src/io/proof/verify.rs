//! Checks a log where it stands: the database, the heads that were sent off, the recordings.

use super::key;
use super::keys::Judged;
use super::witness::{self, Copies};
use crate::duty::proof::PublicKey;
use crate::io::flac::sound::Sound;
use crate::io::store::{Checked, Fault, FileOf, StoreError, given_up_since};
use anyhow::Context;
use std::collections::BTreeSet;
use std::path::{Component, Path, PathBuf};

/// What is checked, and by what.
#[derive(Debug, Clone, Default)]
pub struct Wanted {
    /// Where database and key are.
    pub data: PathBuf,
    pub recordings: PathBuf,
    /// Folders to which heads are sent, the one in `data` not named.
    pub folders: Vec<PathBuf>,
    /// Copies of such folders, from whenever.
    pub copies: Vec<PathBuf>,
    /// From a place that the host does not reach; the one beside the database unless given.
    pub keys: Vec<PublicKey>,
}

/// Heads that may be missing at the end of a folder: it was out of reach for a while.
const BEHIND: u64 = 3;

/// What was found.
#[derive(Debug, Default)]
pub struct Report {
    pub checked: Checked,
    pub key: String,
    /// The key came from elsewhere, not from this host.
    pub trusted: bool,
    pub copies: usize,
    pub bytes: u64,
}

impl Wanted {
    /// # Errors
    /// When there is nothing that could be checked.
    pub fn check(&self) -> anyhow::Result<Report> {
        let mut faults = vec![];
        let given = match &self.keys[..] {
            [] => vec![own_key(&self.data)?],
            given => given.to_vec(),
        };
        let (mut all, mut reached, mut away) = (Copies::default(), vec![], vec![]);
        let own = self.data.join("heads");
        let current = std::iter::once(&own).chain(&self.folders).map(|folder| (folder, BEHIND));
        for (folder, behind) in current.chain(self.copies.iter().map(|copy| (copy, u64::MAX))) {
            let place = folder.display().to_string();
            match witness::copies(folder) {
                Ok(found) => {
                    if *folder != own {
                        away.extend(found.renewals.iter().map(|note| note.text.clone()));
                    }
                    reached.push((place.clone(), behind, found.notes.clone()));
                    all.notes.extend(found.notes);
                    all.renewals.extend(found.renewals);
                    faults.extend(found.torn.into_iter().map(|file| torn(&place, &file)));
                }
                Err(error) => faults.push(Fault::new(
                    place,
                    format!("读不到存出的签名（{error}）"),
                    format!("the heads that were sent there cannot be read: {error}"),
                )),
            }
        }
        let copies = all.notes.len();
        all.notes.sort_by(|a, b| (a.head.number, &a.text).cmp(&(b.head.number, &b.text)));
        all.notes.dedup();
        let database = self.data.join("dutyline.db");
        let mut checked = Checked::of(&database, &given, &all)
            .with_context(|| format!("{}", database.display()))?;
        let (log, elsewhere) =
            (checked.newest, !self.folders.is_empty() || !self.copies.is_empty());
        let alone = checked.keys.links.iter().filter(|link| elsewhere && link.is_alone());
        faults.extend(alone.filter_map(|link| {
            let note = link.note.as_ref().filter(|note| !away.contains(&note.text))?;
            Some(unwitnessed(note.renewal.number))
        }));
        faults.extend(reached.into_iter().filter_map(|(place, behind, notes)| {
            let held = notes.iter().filter(|note| checked.keys.judge(note) == Judged::Fits);
            let newest = held.map(|note| note.head.number).max();
            let late = log.saturating_sub(newest.unwrap_or(0)) > behind;
            (log > 0 && (late || newest.is_none())).then(|| fell_behind(place, newest, log))
        }));
        faults.append(&mut checked.faults);
        let (bytes, altered) = check_files(&self.recordings, &checked.files, &database)
            .with_context(|| format!("{}", database.display()))?;
        faults.extend(altered);
        checked.faults = faults;
        let trusted = !self.keys.is_empty();
        let key = given.iter().map(PublicKey::to_string).collect::<Vec<_>>().join(" ");
        Ok(Report { checked, key, trusted, copies, bytes })
    }
}

impl std::fmt::Display for Report {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Checked { origin, items, rows, heads, keys, faults, more, files, destroyed, .. } =
            &self.checked;
        writeln!(out, "{origin}")?;
        writeln!(out, "公钥 · key: {}", self.key)?;
        if !self.trusted {
            writeln!(
                out,
                "用的是本机上的公钥，本机的人可以换掉它；用 --key 给出另存的公钥才可靠 · the key on this host was believed, and whoever holds the host can replace it: give the one written down elsewhere with --key"
            )?;
        }
        keys.write(out)?;
        writeln!(
            out,
            "条目 {items}，行 {rows}，签名 {heads}（存出 {}），录音文件 {} · {items} items, {rows} rows, {heads} heads ({} sent off), {} files",
            self.copies,
            files.len(),
            self.copies,
            files.len(),
        )?;
        if *destroyed > 0 {
            writeln!(
                out,
                "已由两人按清单销毁 {destroyed} 份，记录与哈希仍在 · {destroyed} recordings were destroyed by two people: their rows and hashes are here"
            )?;
        }
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

fn unwitnessed(renewal: u64) -> Fault {
    Fault::new(
        format!("key_renewal [{renewal}]"),
        "前一把密钥遗失后换的密钥，见证文件夹里没有存件：无人担保",
        "follows a key that was lost, and the witness has nothing of it: nobody vouches for it",
    )
}

fn fell_behind(place: String, newest: Option<u64>, log: u64) -> Fault {
    match newest {
        None => Fault::new(
            place,
            format!("没有一个本日志的签名，而日志已签到第 {log} 号：副本被删除，或从未存到"),
            format!(
                "holds no head of this log, which has {log}: they were taken away or never came"
            ),
        ),
        Some(newest) => Fault::new(
            place,
            format!("只存到第 {newest} 号签名，而日志已签到第 {log} 号：副本被删除，或久未存到"),
            format!(
                "ends with head {newest}, the log with {log}: they were taken away or did not come"
            ),
        ),
    }
}

fn torn(folder: &str, file: &str) -> Fault {
    Fault::new(
        format!("{folder}/{file}"),
        "含有不完整的签名：写入时断电，或被改动",
        "holds a piece of a head: the power failed while it was written, or it was altered",
    )
}

/// How many bytes they have, and what is wrong with them. All of them take hours to read, in which two people may destroy
/// some.
pub(in crate::io) fn check_files(
    recordings: &Path,
    files: &[FileOf],
    database: &Path,
) -> Result<(u64, Vec<Fault>), StoreError> {
    let (mut bytes, mut faults) = (0, vec![]);
    for file in files {
        match check_file(recordings, file) {
            Ok(read) => bytes += read,
            Err(fault) => faults.push((file, fault)),
        }
    }
    let absent = |file: &FileOf| recordings.join(&file.path).symlink_metadata().is_err();
    let since = match faults.iter().any(|(file, _)| absent(file)) {
        true => given_up_since(database)?,
        false => BTreeSet::new(),
    };
    faults.retain(|(file, _)| !(since.contains(&file.call) && absent(file)));
    Ok((bytes, faults.into_iter().map(|(_, fault)| fault).collect()))
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
    match Sound::open(&recordings.join(inside)).and_then(Sound::digest) {
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
