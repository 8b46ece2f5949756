//! What is handed out, as parts of a folder or of a ZIP file: rows with their proofs, readable
//! tables, recordings, a signed manifest, and how to check all of it.
//!
//! ```text
//!  README.txt     how to check it, in Chinese and English
//!  manifest.json  every file with its size, SHA-256 and SM3; manifest.sig signs it
//!  head.txt       the log's signed head          key.txt   the key that signs
//!  keys.txt       how it followed those before it, where it is not the first
//!  rows.jsonl     a row a line, with its item and path to the head
//!  tables.xlsx    entries, revisions, calls, outages: for reading; *.csv the same for programs
//!  recordings/    WAV and sealed tape of each call
//!  derived/       what was made of them, silent in places: `derived.csv` names the original of each
//! ```

use super::crc::Crc;
use crate::duty::proof::digests::Running;
use crate::duty::proof::{Digests, PublicKey};
use crate::io::kept::Kept;
use crate::io::store::{Absent, Sounds};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

pub const FORMAT: &str = "dutyline-export-1";
/// Of one that names what is absent: the first verifiers know no such field.
pub const FORMAT_ABSENT: &str = "dutyline-export-2";
/// Of one that names single files as absent: the second verifiers know no such reason.
pub const FORMAT_DAMAGED: &str = "dutyline-export-3";
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
    Kept(Kept),
}

pub struct Bundle {
    /// Of the folder, or of the file without its `.zip`.
    pub name: String,
    pub parts: Vec<Part>,
    /// Files that are to be in it and are not: they are damaged, and so is their second copy.
    pub damaged: Vec<Absent>,
}

impl Part {
    /// With the hashes of what is read. `told` hears of each piece how long it is.
    ///
    /// # Errors
    /// Those of the content, and of `told`.
    pub fn read(
        path: &str,
        content: Content,
        told: &mut dyn FnMut(u64) -> io::Result<()>,
    ) -> io::Result<(Self, Digests)> {
        let (mut digests, mut crc, mut bytes) = (Running::default(), Crc::default(), 0);
        content.read(|piece| {
            digests.update(piece);
            crc.update(piece);
            bytes += piece.len() as u64;
            told(piece.len() as u64)
        })?;
        let part = Self { path: path.to_owned(), content, bytes, crc32: crc.finish() };
        Ok((part, digests.finish()))
    }
}

/// Where something made of a recording is put.
pub fn derived(call: &str, id: i64) -> String {
    format!("derived/{call}-{id}.wav")
}

impl Content {
    /// Piece by piece.
    ///
    /// # Errors
    /// The disk's or the store's, and those of `take`.
    pub fn read(&self, mut take: impl FnMut(&[u8]) -> io::Result<()>) -> io::Result<()> {
        let mut file = match self {
            Self::Bytes(bytes) => return take(bytes),
            Self::Kept(kept) => kept.open()?,
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
    /// Bytes of it that are held in memory.
    pub fn held(&self) -> usize {
        let held = |part: &Part| match &part.content {
            Content::Bytes(bytes) => bytes.len(),
            Content::Kept(_) => 0,
        };
        self.parts.iter().map(held).sum()
    }

    pub fn bytes(&self) -> u64 {
        self.parts.iter().map(|part| part.bytes).sum()
    }

    /// Writes a folder of the bundle's name, which must not be there yet, and gives its place.
    ///
    /// # Errors
    /// The disk's.
    pub fn write_into(&self, folder: &Path) -> io::Result<PathBuf> {
        self.write_telling(folder, &mut |_| ())
    }

    /// As [`Bundle::write_into`]; `told` hears of each piece how long it is.
    ///
    /// # Errors
    /// As [`Bundle::write_into`].
    pub fn write_telling(&self, folder: &Path, told: &mut dyn FnMut(u64)) -> io::Result<PathBuf> {
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
            part.content.read(|piece| {
                told(piece.len() as u64);
                file.write_all(piece)
            })?;
            file.sync_all()?;
        }
        Ok(folder)
    }
}

pub fn readme(what: &str, sounds: Sounds, key: &PublicKey, damaged: &[Absent]) -> String {
    let named: String = damaged.iter().map(|one| format!("  {}\r\n", one.file)).collect();
    let (zh_damaged, en_damaged) = match damaged.len() {
        0 => (String::new(), String::new()),
        count => (
            format!(
                "有 {count} 个录音文件在本机缺失或损坏，第二份也没有可用的，未能附上：\r\n{named}\r\n"
            ),
            format!(
                "{count} files were gone or damaged when this was made, with no good second copy, and are not here:\r\n{named}\r\n"
            ),
        ),
    };
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
这是值班记录的取证导出。 表格请用 Excel 或 WPS 打开 tables.xlsx（全部为文本，号码的前导零不丢）；*.csv 内容相同，供程序读取，用表格软件打开会丢前导零。录音（recordings/*.wav，左声道为来电方，右声道为我方）可用任何播放器播放。derived/ 中是脱敏件，不是原件；derived.csv 写明每件的原件 SHA-256、静音起止与理由。{zh} 未附的录音及其原因，见 manifest.json 的 absent。\r\n\
\r\n\
{zh_damaged}\
核验（不需要联网，不需要原系统）：\r\n\
  1. 取得公钥。应从值班单位另行取得（打印件、盖章件），与 key.txt 逐字比对：\r\n\
     {key}\r\n\
     密钥更换过的，另有 keys.txt：手上是更换前的公钥也可核验。导出后才更换的，用 --heads 给出见证文件夹，或用原公钥。\r\n\
  2. 运行：dutyline verify 本文件夹 --key 公钥\r\n\
     它检查：每个文件与 manifest.json 一致；manifest.json 的 Ed25519 签名；rows.jsonl 中每一行都在 head.txt 所签的 Merkle 树（RFC 6962，SHA-256 与 SM3）中；录音与记录中的 SHA-256 一致。\r\n\
     manifest.json 的 format 为 {FORMAT_ABSENT} 或 {FORMAT_DAMAGED} 的，旧版 dutyline（只认 {FORMAT}）不能核验，须用导出时的版本或更新的版本。\r\n\
  3. 没有 dutyline 程序时，也可用 sha256sum 核对 manifest.json 中的每个文件，用任何 Ed25519 工具核对 manifest.sig（对 manifest.json 全文的签名，Base64），head.txt 是 C2SP signed-note 格式。\r\n\
  时间：*_ms 为 1970 年以来的毫秒（UTC），*_mono 为主机单调时钟的纳秒。\r\n\
\r\n\
This is evidence handed out from a duty room's log. The tables are tables.xlsx, all of it text, with every zero of a number, for a spreadsheet, and *.csv with the same content for programs. The recordings (recordings/*.wav; left the caller, right our side) play in any player. What is in derived/ is no original: derived.csv names the original's SHA-256, what is silent, and why. {en} Recordings that are not here are named in manifest.json under absent, with why.\r\n\
\r\n\
{en_damaged}\
To check it, offline and without the system it came from:\r\n\
  1. Get the public key from the duty room by another way, on paper, and compare it with key.txt: the line above. Where the key was renewed, keys.txt leads to it from the one before; where it was renewed since, give the old one, or the witness's folder with --heads.\r\n\
  2. Run: dutyline verify THIS-FOLDER --key KEY\r\n\
     It checks that every file is as manifest.json says; the Ed25519 signature of manifest.json; that every row of rows.jsonl is in the Merkle tree (RFC 6962, SHA-256 and SM3) which head.txt signs; that the recordings have the SHA-256 of their rows.\r\n\
     Where manifest.json says format {FORMAT_ABSENT} or {FORMAT_DAMAGED}, an older dutyline that knows {FORMAT} only cannot read it: use the version that made it, or a newer one.\r\n\
  3. Without the program: compare every file with manifest.json by sha256sum, check manifest.sig (Base64, over the whole of manifest.json) with any Ed25519 tool; head.txt is a C2SP signed note.\r\n\
  Times: *_ms are milliseconds since 1970 (UTC), *_mono nanoseconds on the host's boot clock.\r\n"
    )
}
