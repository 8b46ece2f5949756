//! What is handed out, as parts of a folder or of a ZIP file: rows with their proofs, readable
//! tables, recordings, a signed manifest, and how to check all of it.
//!
//! ```text
//!  README.txt     how to check it, in Chinese and English
//!  manifest.json  every file with its size, SHA-256 and SM3; manifest.sig signs it
//!  head.txt       the log's signed head          key.txt   the key that signs
//!  keys.txt       how it followed those before it, where it is not the first
//!  rows.jsonl     a row a line, with its item and path to the head
//!  *.csv          entries, revisions, calls, outages: for reading
//!  recordings/    WAV and sealed tape of each call
//!  derived/       what was made of them, silent in places: `derived.csv` names the original of each
//! ```

use super::crc::Crc;
use super::key::SigningKey;
use super::tables;
use crate::duty::ids::CallId;
use crate::duty::proof::digests::Running;
use crate::duty::proof::proven::Proven;
use crate::duty::proof::{Digests, PublicKey};
use crate::io::flac::sound::Sound;
use crate::io::store::{Absent, Gathered, Scope, Sounds, Store, StoreError, Who, WhyAbsent};
use crate::protocol::now::Now;
use anyhow::{Context, bail};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

pub const FORMAT: &str = "dutyline-export-1";
/// Of one that names what is absent: the first verifiers know no such field.
pub const FORMAT_ABSENT: &str = "dutyline-export-2";
pub const MANIFEST: &str = "manifest.json";
pub const SIGNATURE: &str = "manifest.sig";
pub const HEAD: &str = "head.txt";
pub const KEY: &str = "key.txt";
pub const KEYS: &str = "keys.txt";
pub const ROWS: &str = "rows.jsonl";

/// What the manifest says of one file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Listed {
    pub path: String,
    pub bytes: u64,
    pub sha256: String,
    pub sm3: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    pub format: String,
    /// 记-…, or the period.
    pub what: String,
    pub origin: String,
    pub made: DateTime<Utc>,
    pub made_by: String,
    pub files: Vec<Listed>,
    /// Recordings whose sound is not among them, and why.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub absent: Vec<Absent>,
}

/// One file of it.
pub struct Part {
    /// With `/`, relative.
    pub path: String,
    pub content: Content,
    pub bytes: u64,
    /// As ZIP wants it.
    pub crc32: u32,
}

pub enum Content {
    Bytes(Vec<u8>),
    /// Of a WAV that is kept as FLAC: the WAV.
    File(PathBuf),
}

pub struct Bundle {
    /// Of the folder, or of the file without its `.zip`.
    pub name: String,
    pub parts: Vec<Part>,
}

/// Who wants what.
pub struct Order<'a> {
    pub store: &'a Store,
    pub recordings: &'a Path,
    pub key: Arc<SigningKey>,
    /// None: the command.
    pub who: Option<&'a Who>,
    pub scope: Scope,
    pub sounds: Sounds,
    pub now: Now,
}

impl Order<'_> {
    /// Notes it in the audit, signs the log and puts everything together. `None`: there is no such
    /// entry.
    ///
    /// # Errors
    /// When the log cannot be read, or a recording is not what its row says.
    pub async fn bundle(&self) -> anyhow::Result<Option<Bundle>> {
        let (key, what) = (Arc::clone(&self.key), (self.scope, self.sounds));
        let gathered = self.store.gather(self.who, what, key, self.now).await?;
        let Some(mut gathered) = gathered else { return Ok(None) };
        if self.sounds == Sounds::RedactedOnly {
            withhold_originals(&mut gathered);
        }
        let number = gathered.rows.iter().find(|row| row.kind == "entry");
        let number = number.and_then(|row| row.get("number")?.text().map(str::to_owned));
        let what = match self.scope {
            Scope::Entry(_) => one_name(number.ok_or(StoreError::Closed)?)?,
            Scope::Period(from, to) => tables::period(from, to),
        };
        let (recordings, key) = (self.recordings.to_owned(), Arc::clone(&self.key));
        let by = self.who.map_or("dutyline export", |who| who.name.as_str()).to_owned();
        let made = self.now.wall;
        let sounds = self.sounds;
        let put = move || put_together(&gathered, (&what, sounds), &recordings, &key, made, by);
        tokio::task::spawn_blocking(put).await.context("the export")?.map(Some)
    }
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
    }));
}

fn put_together(
    gathered: &Gathered,
    (what, sounds): (&str, Sounds),
    recordings: &Path,
    key: &SigningKey,
    made: DateTime<Utc>,
    made_by: String,
) -> anyhow::Result<Bundle> {
    let mut files = vec![];
    let mut parts = vec![];
    let mut add = |path: &str, content: Content| -> anyhow::Result<Digests> {
        let (part, digests) = part(path, content)?;
        files.push(Listed {
            path: part.path.clone(),
            bytes: part.bytes,
            sha256: hex::encode(digests.sha256),
            sm3: hex::encode(digests.sm3),
        });
        parts.push(part);
        Ok(digests)
    };
    add("README.txt", Content::Bytes(readme(what, sounds, &key.public).into_bytes()))?;
    add(HEAD, Content::Bytes(gathered.head.note.clone().into_bytes()))?;
    add(KEY, Content::Bytes(format!("{}\n", key.public).into_bytes()))?;
    if !gathered.renewals.is_empty() {
        add(KEYS, Content::Bytes(gathered.renewals.concat().into_bytes()))?;
    }
    add(ROWS, Content::Bytes(rows(&gathered.rows)?))?;
    for (name, table) in tables::all(&gathered.rows) {
        add(name, Content::Bytes(table.into_bytes()))?;
    }
    for file in &gathered.files {
        let call: CallId = file.call.parse().with_context(|| format!("{:?}", file.call))?;
        let from = inside(recordings, &file.path)?;
        let last = from.extension().and_then(|last| last.to_str()).unwrap_or("bin");
        let to = match file.derived {
            None => format!("recordings/{call}.{last}"),
            Some(id) => derived(&call.to_string(), id),
        };
        let digests =
            add(&to, Content::File(from.clone())).with_context(|| format!("{}", from.display()))?;
        if hex::encode(digests.sha256) != file.sha256 {
            bail!(
                "{}: 与记录中的 SHA-256 不符，先运行 dutyline verify · is not what its row says: run dutyline verify",
                from.display()
            );
        }
    }
    let (what, origin) = (what.to_owned(), key.public.origin.clone());
    let name = what.clone();
    let absent = gathered.absent.clone();
    let format = if absent.is_empty() { FORMAT } else { FORMAT_ABSENT }.to_owned();
    let manifest = Manifest { format, what, origin, made, made_by, files, absent };
    let text = serde_json::to_vec_pretty(&manifest)?;
    let signature = format!("{}\n", STANDARD.encode(key.sign(&text)));
    parts.push(part(MANIFEST, Content::Bytes(text))?.0);
    parts.push(part(SIGNATURE, Content::Bytes(signature.into_bytes()))?.0);
    Ok(Bundle { name, parts })
}

/// Where something made of a recording is put.
pub fn derived(call: &str, id: i64) -> String {
    format!("derived/{call}-{id}.wav")
}

fn rows(rows: &[Proven]) -> anyhow::Result<Vec<u8>> {
    let mut lines = vec![];
    for row in rows {
        serde_json::to_writer(&mut lines, row)?;
        lines.push(b'\n');
    }
    Ok(lines)
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

/// A recording's file, which neither a row nor a link may lead out of its folder.
fn inside(recordings: &Path, path: &str) -> anyhow::Result<PathBuf> {
    let path = Path::new(path);
    let mut full = recordings.to_owned();
    for part in path.components() {
        let folder = full == recordings || !full.symlink_metadata()?.is_symlink();
        if !folder || !matches!(part, Component::Normal(_)) {
            bail!("{}: 不在录音文件夹内 · is not inside the recordings folder", path.display());
        }
        full.push(part);
    }
    Ok(full)
}

fn part(path: &str, content: Content) -> io::Result<(Part, Digests)> {
    let (mut digests, mut crc, mut bytes) = (Running::default(), Crc::default(), 0);
    content.read(|piece| {
        digests.update(piece);
        crc.update(piece);
        bytes += piece.len() as u64;
        Ok(())
    })?;
    let part = Part { path: path.to_owned(), content, bytes, crc32: crc.finish() };
    Ok((part, digests.finish()))
}

impl Content {
    /// Piece by piece.
    ///
    /// # Errors
    /// The disk's, and those of `take`.
    pub fn read(&self, mut take: impl FnMut(&[u8]) -> io::Result<()>) -> io::Result<()> {
        let mut file = match self {
            Self::Bytes(bytes) => return take(bytes),
            // A link may lead anywhere.
            Self::File(path) => Sound::open_itself(path)?,
        };
        let mut buffer = vec![0; 256 * 1024];
        loop {
            match file.read(&mut buffer)? {
                0 => return Ok(()),
                read => take(&buffer[..read])?,
            }
        }
    }
}

impl Bundle {
    /// Writes a folder of the bundle's name, which must not be there yet, and gives its place.
    ///
    /// # Errors
    /// The disk's.
    pub fn write_into(&self, folder: &Path) -> io::Result<PathBuf> {
        let folder = folder.join(&self.name);
        // Others on the host have no business with it.
        let mut folders = DirBuilder::new();
        folders.mode(0o700).create(&folder)?;
        folders.recursive(true);
        let mut files = OpenOptions::new();
        files.write(true).create_new(true).mode(0o600);
        for part in &self.parts {
            let path = folder.join(&part.path);
            if let Some(parent) = path.parent() {
                folders.create(parent)?;
            }
            let mut file: File = files.open(&path)?;
            part.content.read(|piece| file.write_all(piece))?;
            file.sync_all()?;
        }
        Ok(folder)
    }
}

fn readme(what: &str, sounds: Sounds, key: &PublicKey) -> String {
    let (zh, en) = match sounds {
        Sounds::All => (
            "recordings/ 中是未脱敏的原始录音：只应得到脱敏件的人，不得交给他本文件夹。",
            "What is in recordings/ is the originals, with nothing silenced: whoever may have the copies only must not be given this folder.",
        ),
        Sounds::RedactedOnly => (
            "本文件夹只附脱敏件，不附原始录音。表格中的文字未脱敏，交出前请看过。",
            "No original is in this folder. The text in the tables is not redacted: read it before it is handed on.",
        ),
    };
    format!(
        "{what}\r\n\
\r\n\
这是值班记录的取证导出。 表格（*.csv）可用 Excel 或 WPS 打开，录音（recordings/*.wav，左声道为来电方，右声道为我方）可用任何播放器播放。derived/ 中是脱敏件，不是原件；derived.csv 写明每件的原件 SHA-256、静音起止与理由。{zh} 未附的录音及其原因，见 manifest.json 的 absent。\r\n\
\r\n\
核验（不需要联网，不需要原系统）：\r\n\
  1. 取得公钥。应从值班单位另行取得（打印件、盖章件），与 key.txt 逐字比对：\r\n\
     {key}\r\n\
     密钥更换过的，另有 keys.txt：手上是更换前的公钥也可核验。导出后才更换的，用 --heads 给出见证文件夹，或用原公钥。\r\n\
  2. 运行：dutyline verify 本文件夹 --key 公钥\r\n\
     它检查：每个文件与 manifest.json 一致；manifest.json 的 Ed25519 签名；rows.jsonl 中每一行都在 head.txt 所签的 Merkle 树（RFC 6962，SHA-256 与 SM3）中；录音与记录中的 SHA-256 一致。\r\n\
     manifest.json 的 format 为 {FORMAT_ABSENT} 的，旧版 dutyline（只认 {FORMAT}）不能核验，须用导出时的版本或更新的版本。\r\n\
  3. 没有 dutyline 程序时，也可用 sha256sum 核对 manifest.json 中的每个文件，用任何 Ed25519 工具核对 manifest.sig（对 manifest.json 全文的签名，Base64），head.txt 是 C2SP signed-note 格式。\r\n\
  时间：*_ms 为 1970 年以来的毫秒（UTC），*_mono 为主机单调时钟的纳秒。\r\n\
\r\n\
This is evidence handed out from a duty room's log. The tables (*.csv) open in any spreadsheet, the recordings (recordings/*.wav; left the caller, right our side) in any player. What is in derived/ is no original: derived.csv names the original's SHA-256, what is silent, and why. {en} Recordings that are not here are named in manifest.json under absent, with why.\r\n\
\r\n\
To check it, offline and without the system it came from:\r\n\
  1. Get the public key from the duty room by another way, on paper, and compare it with key.txt: the line above. Where the key was renewed, keys.txt leads to it from the one before; where it was renewed since, give the old one, or the witness's folder with --heads.\r\n\
  2. Run: dutyline verify THIS-FOLDER --key KEY\r\n\
     It checks that every file is as manifest.json says; the Ed25519 signature of manifest.json; that every row of rows.jsonl is in the Merkle tree (RFC 6962, SHA-256 and SM3) which head.txt signs; that the recordings have the SHA-256 of their rows.\r\n\
     Where manifest.json says format {FORMAT_ABSENT}, an older dutyline that knows {FORMAT} only cannot read it: use the version that made it, or a newer one.\r\n\
  3. Without the program: compare every file with manifest.json by sha256sum, check manifest.sig (Base64, over the whole of manifest.json) with any Ed25519 tool; head.txt is a C2SP signed note.\r\n\
  Times: *_ms are milliseconds since 1970 (UTC), *_mono nanoseconds on the host's boot clock.\r\n"
    )
}
