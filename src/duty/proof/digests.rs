//! SHA-256 and SM3 (GB/T 32905) of the same bytes, side by side; the only door to sm3.

use sha2::{Digest, Sha256};
use sm3::Sm3;

/// Each is of use without the other: nothing in a chain of one rests on the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Digests {
    pub sha256: [u8; 32],
    pub sm3: [u8; 32],
}

impl Digests {
    /// What stands before the first item.
    pub const NONE: Self = Self { sha256: [0; 32], sm3: [0; 32] };

    pub fn of(bytes: &[u8]) -> Self {
        Self { sha256: Sha256::digest(bytes).into(), sm3: Sm3::digest(bytes).into() }
    }

    /// Of bytes in which the other digests stand: each hash covers those of its own kind.
    pub fn over(before: &[u8], digests: &[&Self]) -> Self {
        let (mut sha256, mut sm3) = (Sha256::new_with_prefix(before), Sm3::new_with_prefix(before));
        for inner in digests {
            sha256.update(inner.sha256);
            sm3.update(inner.sm3);
        }
        Self { sha256: sha256.finalize().into(), sm3: sm3.finalize().into() }
    }

    /// SHA-256 first.
    pub fn to_bytes(self) -> [u8; 64] {
        let mut bytes = [0; 64];
        bytes[..32].copy_from_slice(&self.sha256);
        bytes[32..].copy_from_slice(&self.sm3);
        bytes
    }

    /// `None` where it is not 64 bytes.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (sha256, rest) = bytes.split_first_chunk()?;
        Some(Self { sha256: *sha256, sm3: rest.try_into().ok()? })
    }
}

/// Both digests of what is read piece by piece.
#[derive(Clone, Default)]
pub struct Running {
    sha256: Sha256,
    sm3: Sm3,
}

impl Running {
    pub fn update(&mut self, bytes: &[u8]) {
        self.sha256.update(bytes);
        self.sm3.update(bytes);
    }

    pub fn finish(self) -> Digests {
        Digests { sha256: self.sha256.finalize().into(), sm3: self.sm3.finalize().into() }
    }
}
