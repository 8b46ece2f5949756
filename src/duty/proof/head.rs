//! A signed head of the tree: its size, its roots and the time, as a note that a person can read
//! (RFC 6962 §3.5, in the form of C2SP signed-note and tlog-checkpoint).
//!
//! ```text
//!  dutyline/0198f2c4a1b27c3d            which log
//!  4711                                 how many items
//!  qINS1GRFhWHwdkUeqLEoP4yEMkTBBzxBkGwGQlVlVcs=     SHA-256 root
//!  sm3 …                                SM3 root
//!  head 12                              counts from 1 without a gap
//!  time 2026-10-03T13:42:00.000Z
//!
//!  — dutyline/0198f2c4a1b27c3d …        key's id and Ed25519 signature of the lines above
//! ```

use super::Digests;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use chrono::{DateTime, SecondsFormat, Utc};
use sha2::{Digest, Sha256};

/// What every log's name begins with.
pub const ORIGIN: &str = "dutyline/";
/// Longer ones are not read.
pub const LONGEST: usize = 1024;
/// Begins the line of a signature.
pub const SIGNED: &str = "— ";
/// Ed25519, in signed notes.
const ED25519: u8 = 1;

/// What is signed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Head {
    /// The log's name, the same for ever.
    pub origin: String,
    pub size: u64,
    pub root: Digests,
    pub number: u64,
    pub at: DateTime<Utc>,
}

/// Who signs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublicKey {
    pub origin: String,
    pub ed25519: [u8; 32],
}

/// A note as it was found: only its form is checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Note {
    pub head: Head,
    /// What the signature is of.
    pub text: String,
    pub key_id: [u8; 4],
    pub signature: [u8; 64],
}

impl Head {
    /// What is signed, its last line break included.
    pub fn text(&self) -> String {
        format!(
            "{}\n{}\n{}\nsm3 {}\nhead {}\ntime {}\n",
            self.origin,
            self.size,
            STANDARD.encode(self.root.sha256),
            STANDARD.encode(self.root.sm3),
            self.number,
            self.at.to_rfc3339_opts(SecondsFormat::Millis, true),
        )
    }

    /// The whole note.
    pub fn note(&self, key: &PublicKey, signature: &[u8; 64]) -> String {
        format!("{}\n{}", self.text(), signed(key, signature))
    }

    fn parse(text: &str) -> Option<Self> {
        let mut lines = text.lines();
        let head = Self {
            origin: lines.next().filter(|origin| origin.starts_with(ORIGIN))?.to_owned(),
            size: lines.next()?.parse().ok()?,
            root: Digests {
                sha256: digest(lines.next()?)?,
                sm3: digest(lines.next()?.strip_prefix("sm3 ")?)?,
            },
            number: lines.next()?.strip_prefix("head ")?.parse().ok()?,
            at: DateTime::parse_from_rfc3339(lines.next()?.strip_prefix("time ")?).ok()?.into(),
        };
        // One head has one text.
        (head.text() == text).then_some(head)
    }
}

impl Note {
    /// `None` where it is no note of a head.
    pub fn parse(note: &str) -> Option<Self> {
        if note.len() > LONGEST {
            return None;
        }
        let (text, signed) = note.split_once(&format!("\n\n{SIGNED}"))?;
        let text = format!("{text}\n");
        let head = Head::parse(&text)?;
        let signed = signed.strip_suffix('\n').unwrap_or(signed);
        let (key_id, signature) = signature(signed, &head.origin)?;
        Some(Self { head, text, key_id, signature })
    }
}

impl PublicKey {
    /// By which a note names its key.
    pub fn id(&self) -> [u8; 4] {
        let named = [self.origin.as_bytes(), b"\n", &[ED25519], &self.ed25519].concat();
        let digest: [u8; 32] = Sha256::digest(named).into();
        [digest[0], digest[1], digest[2], digest[3]]
    }

    /// As it is shown, kept, and given to `verify`: name, id and key.
    pub fn parse(text: &str) -> Option<Self> {
        // The key itself may hold a `+`.
        let mut parts = text.trim().splitn(3, '+');
        let (origin, id, key) = (parts.next()?, parts.next()?, parts.next()?);
        let key = STANDARD.decode(key).ok()?;
        let (kind, ed25519) = key.split_first()?;
        let key = Self { origin: origin.to_owned(), ed25519: ed25519.try_into().ok()? };
        (*kind == ED25519 && id == key.hex_id()).then_some(key)
    }

    /// By which people name it.
    pub fn hex_id(&self) -> String {
        self.id().iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

impl std::fmt::Display for PublicKey {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let key = STANDARD.encode([&[ED25519][..], &self.ed25519].concat());
        write!(out, "{}+{}+{key}", self.origin, self.hex_id())
    }
}

/// By which key, as its id, and what it made of the text.
pub type Signature = ([u8; 4], [u8; 64]);

/// The line that says so, as notes end with.
pub(super) fn signed(key: &PublicKey, signature: &[u8; 64]) -> String {
    let signed = [&key.id()[..], signature].concat();
    format!("{SIGNED}{} {}\n", key.origin, STANDARD.encode(signed))
}

/// Such a line without its begin.
pub(super) fn signature(line: &str, origin: &str) -> Option<Signature> {
    let signed = STANDARD.decode(line.strip_prefix(origin)?.strip_prefix(' ')?).ok()?;
    let (key_id, signature) = signed.split_first_chunk()?;
    Some((*key_id, signature.try_into().ok()?))
}

fn digest(text: &str) -> Option<[u8; 32]> {
    STANDARD.decode(text).ok()?.try_into().ok()
}
