//! Checks what was handed out, on a machine that has nothing else: every file, every signature,
//! every row's way to the signed head. The folder is anybody's work: no link is followed, nothing
//! outside is read, nothing is written.

mod said;

use super::bundle::{
    self, FORMAT, FORMAT_ABSENT, FORMAT_DAMAGED, HEAD, KEY, KEYS, Listed, MANIFEST, Manifest, ROWS,
    SIGNATURE,
};
use super::key;
use super::keys::{Judged, Keys};
use super::witness::Copies;
use crate::duty::proof::digests::Running;
use crate::duty::proof::head::{LONGEST, Note};
use crate::duty::proof::proven::Proven;
use crate::duty::proof::{Digests, PublicKey, RenewalNote};
use crate::io::store::{Fault, WhyAbsent};
use anyhow::{Context, bail};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File, OpenOptions};
use std::io::{self, BufRead, BufReader, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Component, Path};

/// Nothing that is read whole is longer.
const MANIFEST_MOST: u64 = 256 << 20;
const LINE_MOST: u64 = 64 << 20;
const KEYS_MOST: u64 = 1 << 20;

/// What was found.
#[derive(Debug, Default)]
pub struct Handed {
    pub what: String,
    pub key: String,
    /// The key came from elsewhere, not from the folder itself.
    pub trusted: bool,
    pub files: usize,
    pub rows: u64,
    /// Recordings that two people have destroyed: their rows are there, and the proof of that.
    pub destroyed: u64,
    /// Recordings that two people had agreed to destroy, and whose files were not gone yet.
    pub given_up: u64,
    /// Files that were made of a recording, each with its original's hash.
    pub derived: u64,
    /// Calls whose originals were left out on purpose.
    pub withheld: BTreeSet<String>,
    /// Files that were damaged or gone when it was made, and why each is not in it.
    pub damaged: BTreeMap<String, String>,
    /// Of the head: number and time.
    pub head: String,
    /// The keys that led to this one.
    pub keys: Keys,
    /// Heads that were sent away, given to compare with.
    elsewhere: Vec<Note>,
    pub faults: Vec<Fault>,
}

/// Whether this is such a folder.
pub fn is_one(folder: &Path) -> bool {
    folder.join(MANIFEST).symlink_metadata().is_ok()
}

/// `trusted`: the key as it was given by the duty room.
///
/// # Errors
/// When it is nothing that could be checked.
pub fn check(folder: &Path, trusted: Option<PublicKey>) -> anyhow::Result<Handed> {
    check_by(folder, &trusted.into_iter().collect::<Vec<_>>(), Copies::default())
}

/// As [`check`]; `known`: what was sent to the witness, by which the key that signed it is led to one that followed it.
///
/// # Errors
/// As [`check`].
pub fn check_by(folder: &Path, given: &[PublicKey], known: Copies) -> anyhow::Result<Handed> {
    let text = small(&folder.join(MANIFEST), MANIFEST_MOST).context(MANIFEST)?;
    let manifest: Manifest = serde_json::from_slice(&text).context(MANIFEST)?;
    if ![FORMAT, FORMAT_ABSENT, FORMAT_DAMAGED].contains(&manifest.format.as_str()) {
        bail!(
            "{MANIFEST}: 格式 {:?} 不认识 · format {:?} is not known here",
            manifest.format,
            manifest.format
        );
    }
    let own = small(&folder.join(KEY), LONGEST as u64).context(KEY)?;
    let own = PublicKey::parse(&String::from_utf8_lossy(&own)).context(KEY)?;
    let mut found = Handed {
        what: manifest.what.clone(),
        trusted: !given.is_empty(),
        files: manifest.files.len(),
        ..Handed::default()
    };
    found.key(folder, &own, given, known);
    if !signed(folder, &own, &text) || manifest.origin != own.origin {
        found.fault(
            MANIFEST,
            "签名不符：清单被改动",
            "its signature does not fit: the list was altered",
        );
    }
    for absent in manifest.absent {
        match absent.why {
            WhyAbsent::RedactedOnly => drop(found.withheld.insert(absent.call)),
            WhyAbsent::Damaged => drop(found.damaged.insert(absent.file, absent.reason)),
            WhyAbsent::Destroyed
            | WhyAbsent::GivenUp
            | WhyAbsent::Missing
            | WhyAbsent::Unfinished => {}
        }
    }
    let listed = found.files(folder, &manifest.files);
    found.strangers(folder, Path::new(""), &listed);
    let Some(head) = found.head(folder, &own) else { return Ok(found) };
    found.rows(folder, &head, &listed)?;
    Ok(found)
}

fn signed(folder: &Path, key: &PublicKey, text: &[u8]) -> bool {
    let signature = small(&folder.join(SIGNATURE), 1024).ok();
    let signature = signature.and_then(|text| STANDARD.decode(text.trim_ascii()).ok());
    signature.is_some_and(|signature| key::signed_by(key, text, &signature))
}

/// No link, and not longer than that.
fn small(path: &Path, most: u64) -> io::Result<Vec<u8>> {
    let mut bytes = vec![];
    let mut file = open(path)?.take(most + 1);
    file.read_to_end(&mut bytes)?;
    if bytes.len() as u64 > most {
        return Err(io::Error::other("太长 · too long"));
    }
    Ok(bytes)
}

/// An ordinary file only: not what a link leads to, no pipe that never ends.
fn open(path: &Path) -> io::Result<File> {
    let flags = libc::O_NOFOLLOW | libc::O_NONBLOCK;
    let file = OpenOptions::new().read(true).custom_flags(flags).open(path)?;
    if !file.metadata()?.is_file() {
        return Err(io::Error::other("不是普通文件 · not an ordinary file"));
    }
    Ok(file)
}

/// Every folder on the way is one, and no link.
fn inside(folder: &Path, path: &str) -> io::Result<File> {
    let mut at = folder.to_owned();
    let mut parts = Path::new(path).components().peekable();
    while let Some(part) = parts.next() {
        let Component::Normal(name) = part else {
            return Err(io::Error::other("路径越出文件夹 · leads out of the folder"));
        };
        at.push(name);
        if parts.peek().is_some() && !at.symlink_metadata()?.is_dir() {
            return Err(io::Error::other("不是文件夹 · is no folder, or a link"));
        }
    }
    open(&at)
}

impl Handed {
    fn fault(&mut self, place: &str, zh: impl Into<String>, en: impl Into<String>) {
        self.faults.push(Fault::new(place, zh, en));
    }

    pub fn is_sound(&self) -> bool {
        self.faults.is_empty()
    }

    /// By which it is checked: its own, where a key that was given leads to it.
    fn key(&mut self, folder: &Path, own: &PublicKey, given: &[PublicKey], mut known: Copies) {
        let here = small(&folder.join(KEYS), KEYS_MOST).unwrap_or_default();
        known.read(&String::from_utf8_lossy(&here));
        let mut renewals = known.renewals;
        renewals.retain(|note| note.renewal.to.origin == own.origin);
        // Of one text the whole note: a power cut may have left another with one signature.
        let signed =
            |note: &RenewalNote| !key::is_among(&note.renewal.to, &note.text, &note.signatures);
        renewals.sort_by(|a, b| {
            (a.renewal.number, &a.text, signed(a)).cmp(&(b.renewal.number, &b.text, signed(b)))
        });
        renewals.dedup_by(|a, b| a.text == b.text);
        let of_itself = std::slice::from_ref(own);
        let (keys, faults) = Keys::of(if given.is_empty() { of_itself } else { given }, &renewals);
        self.faults.extend(faults);
        self.keys = keys;
        self.key = own.to_string();
        if !self.keys.of_id(own.id()).is_some_and(|link| link.believed && link.key == *own) {
            self.fault(
                KEY,
                "与给出的公钥不同，给出的公钥也没有为它签字。若是更换密钥之前导出的，请给出原公钥，或用 --heads 给出见证文件夹；否则是外来的，或是前一把遗失后所换",
                "is not the key that was given, nor did that one sign for it. If it was made before the key was renewed, give the old one, or the witness's folder with --heads; else it is foreign, or follows one that was lost",
            );
        }
        self.elsewhere = known.notes;
    }

    /// Every file is as listed; the SHA-256 of each by its path.
    fn files(&mut self, folder: &Path, files: &[Listed]) -> BTreeMap<String, String> {
        let mut listed = BTreeMap::new();
        for file in files {
            match digests(folder, &file.path) {
                Ok((found, bytes)) => {
                    let same = bytes == file.bytes
                        && hex::encode(found.sha256) == file.sha256
                        && hex::encode(found.sm3) == file.sm3;
                    if !same {
                        self.fault(
                            &file.path,
                            "文件被改动，与清单不符",
                            "was altered: it is not what the list says",
                        );
                    }
                }
                Err(error) => self.fault(
                    &file.path,
                    format!("读不到（{error}）"),
                    format!("cannot be read: {error}"),
                ),
            }
            if listed.insert(file.path.clone(), file.sha256.clone()).is_some() {
                self.fault(&file.path, "清单中出现两次", "is listed twice");
            }
        }
        listed
    }

    /// Files that nobody signed.
    fn strangers(&mut self, folder: &Path, below: &Path, listed: &BTreeMap<String, String>) {
        let Ok(entries) = fs::read_dir(folder.join(below)) else { return };
        for entry in entries.flatten() {
            let path = below.join(entry.file_name());
            let name = path.to_string_lossy().into_owned();
            let known = listed.contains_key(&name) || name == MANIFEST || name == SIGNATURE;
            match entry.file_type() {
                Ok(kind) if kind.is_dir() => self.strangers(folder, &path, listed),
                Ok(_) if known => {}
                _ => self.fault(&name, "不在清单中，是后加的", "is not listed: it was put in"),
            }
        }
    }

    fn head(&mut self, folder: &Path, key: &PublicKey) -> Option<Note> {
        let text = small(&folder.join(HEAD), LONGEST as u64).unwrap_or_default();
        let note = Note::parse(&String::from_utf8_lossy(&text));
        let note = note.filter(|note| key::holds(key, note) && note.head.origin == key.origin);
        match note {
            Some(note) => {
                self.in_force(&note);
                let head = &note.head;
                self.head = format!("{} · {} · {}", head.number, head.at, head.size);
                Some(note)
            }
            None => {
                self.fault(HEAD, "不是此公钥签的", "is not signed by this key");
                None
            }
        }
    }

    /// A key that was renewed signs nothing any more, and a log has one head of a number.
    fn in_force(&mut self, note: &Note) {
        if self.keys.judge(note) == Judged::OutOfTime {
            self.fault(
                HEAD,
                "签名用的密钥当时已更换：是用旧私钥仿造的",
                "is signed by a key that had been renewed: it was forged with the old one",
            );
        }
        let other = |known: &Note| {
            let (known, head) = (&known.head, &note.head);
            (&known.origin, known.number) == (&head.origin, head.number) && known != head
        };
        let known = std::mem::take(&mut self.elsewhere);
        let genuine = |known: &&Note| self.keys.judge(known) == Judged::Fits;
        if known.iter().filter(genuine).any(other) {
            self.fault(
                HEAD,
                "见证文件夹中同一编号的签名与此不同：是仿造的",
                "is another than the witness has under its number: it was forged",
            );
        }
    }

    /// Every row is in the tree that was signed, an entry's revisions are all there, and a
    /// recording is the one that its row names.
    fn rows(
        &mut self,
        folder: &Path,
        note: &Note,
        listed: &BTreeMap<String, String>,
    ) -> anyhow::Result<()> {
        let mut file = BufReader::new(inside(folder, ROWS).context(ROWS)?);
        let (mut revisions, mut entries) = (BTreeMap::<String, BTreeSet<i64>>::new(), vec![]);
        let (mut recordings, mut derived, mut given_up) = (vec![], vec![], GivenUp::default());
        let mut line = vec![];
        for number in 1.. {
            line.clear();
            file.by_ref().take(LINE_MOST).read_until(b'\n', &mut line).context(ROWS)?;
            if line.is_empty() {
                break;
            }
            let place = format!("{ROWS}:{number}");
            let Ok(row) = serde_json::from_slice::<Proven>(&line) else {
                self.fault(&place, "不是一行记录", "is no row");
                continue;
            };
            self.rows += 1;
            let proved = row.root(note.head.size) == Some(note.head.root);
            if !proved {
                let place = format!("{place} {} {}", row.kind, row.key);
                self.fault(
                    &place,
                    "不在所签的树中：被改动或是后加的",
                    "is not in the tree that was signed: it was altered or put in",
                );
            }
            match row.kind.as_str() {
                "recording" => recordings.push(row),
                "derived" => derived.push(row),
                "destroyed" | "spared" | "gone" if proved => given_up.add(&row),
                "revision" => {
                    if let (Some(entry), Some(no)) = (text(&row, "entry"), integer(&row, "no")) {
                        revisions.entry(entry).or_default().insert(no);
                    }
                }
                "entry" => entries.extend(text(&row, "id").zip(integer(&row, "revision"))),
                _ => {}
            }
        }
        for row in &recordings {
            self.recording(row, listed, &given_up);
        }
        self.derived(&derived, &recordings, listed, &given_up);
        for (entry, last) in entries {
            let there = revisions.remove(&entry).unwrap_or_default();
            if !(0..=last).all(|no| there.contains(&no)) {
                self.fault(
                    &format!("entry {entry}"),
                    "修订不齐，有缺失",
                    "some of its revisions are missing",
                );
            }
        }
        Ok(())
    }

    /// What was made of a recording is what its row names, and names the recording that is there.
    fn derived(
        &mut self,
        rows: &[Proven],
        recordings: &[Proven],
        listed: &BTreeMap<String, String>,
        given_up: &GivenUp,
    ) {
        for row in rows {
            let (call, id) = (text(row, "call").unwrap_or_default(), integer(row, "id"));
            let name = bundle::derived(&call, id.unwrap_or_default());
            let of = recordings.iter().find(|one| text(one, "call").as_ref() == Some(&call));
            if of.and_then(|of| text(of, "digest")) != text(row, "original") {
                self.fault(&name, "所称原件不是此录音", "names another original than is here");
            }
            let there = listed.get(&name);
            let left_out = given_up.gone.contains(&call) || given_up.has(&call);
            if there.is_none() && (left_out || self.damaged.contains_key(&name)) {
                continue;
            }
            self.derived += 1;
            if there != text(row, "digest").as_ref() {
                self.fault(
                    &name,
                    "与脱敏记录中的 SHA-256 不符或缺失",
                    "is missing, or not the one that its row names",
                );
            }
        }
    }

    fn recording(&mut self, row: &Proven, listed: &BTreeMap<String, String>, given_up: &GivenUp) {
        let call = text(row, "call").unwrap_or_default();
        let gone = given_up.gone.contains(&call);
        let destroyed = gone || given_up.has(&call);
        self.destroyed += u64::from(gone);
        self.given_up += u64::from(destroyed && !gone);
        for (file, digest) in [("wav", "digest"), ("tape", "tape_digest")] {
            let (Some(path), Some(digest)) = (text(row, file), text(row, digest)) else { continue };
            let last = Path::new(&path).extension().and_then(|last| last.to_str()).unwrap_or("bin");
            let name = format!("recordings/{call}.{last}");
            let (there, withheld) = (listed.get(&name), self.withheld.contains(&call));
            if withheld && there.is_some() {
                self.fault(
                    &name,
                    "声明只附脱敏件，却附有原始录音",
                    "is an original, where only redacted copies were to be",
                );
            }
            let left_out = destroyed || withheld || self.damaged.contains_key(&name);
            if there != Some(&digest) && !(left_out && there.is_none()) {
                self.fault(
                    &name,
                    "与记录中的 SHA-256 不符或缺失",
                    "is missing, or not the one that its row names",
                );
            }
        }
    }
}

/// What two people have destroyed, by rows that are proved.
#[derive(Default)]
struct GivenUp {
    destroyed: BTreeSet<(String, i64)>,
    spared: BTreeSet<(String, i64)>,
    gone: BTreeSet<String>,
}

impl GivenUp {
    fn add(&mut self, row: &Proven) {
        let Some((call, list)) = text(row, "call").zip(integer(row, "list")) else { return };
        match row.kind.as_str() {
            "destroyed" => drop(self.destroyed.insert((call, list))),
            "spared" => drop(self.spared.insert((call, list))),
            _ => drop(self.gone.insert(call)),
        }
    }

    fn has(&self, call: &str) -> bool {
        self.destroyed.difference(&self.spared).any(|(of, _)| of == call)
    }
}

fn text(row: &Proven, column: &str) -> Option<String> {
    row.get(column)?.text().map(str::to_owned)
}

fn integer(row: &Proven, column: &str) -> Option<i64> {
    match row.get(column)? {
        crate::duty::proof::proven::Cell::Integer(number) => Some(*number),
        _ => None,
    }
}

fn digests(folder: &Path, path: &str) -> io::Result<(Digests, u64)> {
    let mut file = inside(folder, path)?;
    let (mut digests, mut bytes) = (Running::default(), 0);
    let mut buffer = vec![0; 256 * 1024];
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok((digests.finish(), bytes)),
            read => {
                digests.update(&buffer[..read]);
                bytes += read as u64;
            }
        }
    }
}
