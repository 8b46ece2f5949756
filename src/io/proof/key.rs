//! The key that signs the heads: made at the first start, readable by the daemon's user alone. The
//! only door to ring.

use crate::duty::proof::PublicKey;
use crate::duty::proof::head::{Note, Signature};
use crate::io::clock;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ring::signature::{ED25519, Ed25519KeyPair, KeyPair, UnparsedPublicKey};
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

/// What to do about a key that is of no use.
pub const REMEDY: (&str, &str) = (
    "请从备份恢复 signing.key，恢复前不签名也不能导出；确已遗失则运行 dutyline key renew --lost --reason 原因",
    "Restore signing.key from a backup: nothing is signed or handed out before; where it is lost for good: dutyline key renew --lost --reason WHY",
);

/// Ed25519 (RFC 8032).
pub struct SigningKey {
    pub public: PublicKey,
    pair: Ed25519KeyPair,
    /// As its file has it.
    text: String,
}

impl SigningKey {
    /// Reads the key of this data folder.
    ///
    /// # Errors
    /// When it is not there, cannot be read, or is no key.
    pub fn load(data: &Path, origin: &str) -> io::Result<Self> {
        Self::read(&secret_path(data), origin)
    }

    /// Reads a file like this one.
    ///
    /// # Errors
    /// When it is not there, cannot be read, or is no key.
    pub fn read(path: &Path, origin: &str) -> io::Result<Self> {
        Self::of(&fs::read_to_string(path)?, origin)
    }

    /// Makes a key, in a file of its own.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn make(data: &Path, path: &Path, origin: &str) -> io::Result<Self> {
        let seed: [u8; 32] = clock::random().bytes();
        let text = format!("{}\n", STANDARD.encode(seed));
        write_new(data, path, text.as_bytes(), 0o600)?;
        Self::of(&text, origin)
    }

    /// Reads the key of this data folder, or makes it: for a log that was never signed.
    ///
    /// # Errors
    /// When it cannot be read or written, or is no key.
    pub fn load_or_make(data: &Path, origin: &str) -> io::Result<Self> {
        let path = secret_path(data);
        let key = match Self::load(data, origin) {
            Err(fault) if fault.kind() == io::ErrorKind::NotFound => {
                let key = Self::make(data, &path, origin)?;
                tracing::info!(public = %key.public, "a key to sign the log's heads was made");
                key
            }
            loaded => loaded?,
        };
        key.publish(data)?;
        Ok(key)
    }

    /// `signing.pub` beside it says its public half.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn publish(&self, data: &Path) -> io::Result<()> {
        let path = secret_path(data);
        let shown = format!("{}\n", self.public);
        if fs::read_to_string(public_path(data)).ok().as_ref() != Some(&shown) {
            write_new(data, &public_path(data), shown.as_bytes(), 0o644)?;
        }
        if fs::metadata(&path)?.permissions().mode() & 0o077 != 0 {
            tracing::warn!(key = %path.display(), "others may read the signing key: chmod 600");
        }
        Ok(())
    }

    pub fn is_missing(&self, data: &Path) -> bool {
        let there = secret_path(data).symlink_metadata();
        there.is_err_and(|fault| fault.kind() == io::ErrorKind::NotFound)
    }

    /// Its file, where it is gone.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn write_back(&self, data: &Path) -> io::Result<()> {
        write_new(data, &secret_path(data), self.text.as_bytes(), 0o600)
    }

    fn of(text: &str, origin: &str) -> io::Result<Self> {
        let broken = || io::Error::new(io::ErrorKind::InvalidData, "this is no signing key");
        let seed = STANDARD.decode(text.trim()).map_err(|_| broken())?;
        let pair = Ed25519KeyPair::from_seed_unchecked(&seed).map_err(|_| broken())?;
        let ed25519 = pair.public_key().as_ref().try_into().map_err(|_| broken())?;
        let public = PublicKey { origin: origin.to_owned(), ed25519 };
        Ok(Self { public, pair, text: text.to_owned() })
    }

    pub fn sign(&self, text: &[u8]) -> [u8; 64] {
        let mut signature = [0; 64];
        signature.copy_from_slice(self.pair.sign(text).as_ref());
        signature
    }
}

pub fn secret_path(data: &Path) -> PathBuf {
    data.join("signing.key")
}

pub fn public_path(data: &Path) -> PathBuf {
    data.join("signing.pub")
}

/// Whole or not at all.
fn write_new(folder: &Path, path: &Path, content: &[u8], mode: u32) -> io::Result<()> {
    let mut part = path.as_os_str().to_owned();
    part.push(".part");
    let mut file =
        OpenOptions::new().write(true).create(true).truncate(true).mode(mode).open(&part)?;
    file.set_permissions(fs::Permissions::from_mode(mode))?;
    file.write_all(content)?;
    file.sync_all()?;
    fs::rename(&part, path)?;
    File::open(folder)?.sync_all()
}

/// Whether this key signed these bytes.
pub fn signed_by(key: &PublicKey, text: &[u8], signature: &[u8]) -> bool {
    UnparsedPublicKey::new(&ED25519, &key.ed25519).verify(text, signature).is_ok()
}

/// Whether one of these signatures is this key's.
pub fn is_among(key: &PublicKey, text: &str, signatures: &[Signature]) -> bool {
    signatures
        .iter()
        .any(|(id, signature)| *id == key.id() && signed_by(key, text.as_bytes(), signature))
}

/// Whether this key signed the note.
pub fn holds(key: &PublicKey, note: &Note) -> bool {
    note.key_id == key.id() && signed_by(key, note.text.as_bytes(), &note.signature)
}
