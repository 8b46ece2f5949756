//! What much is found by: bytes that whoever holds them shares, compared by a digest first, so that a search in a
//! large table seldom leaves it for the bytes themselves. A digest met on purpose costs time only: the bytes decide.

use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// An odd number whose bits are as good as random: 2^64 divided by the golden ratio.
const SPREAD: u64 = 0x9e37_79b9_7f4a_7c15;

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(from = "Vec<u8>", into = "Vec<u8>")]
pub struct Name {
    digest: u64,
    bytes: Arc<[u8]>,
}

impl Name {
    pub fn of(bytes: impl Into<Arc<[u8]>>) -> Self {
        let bytes = bytes.into();
        Self { digest: digest(&bytes), bytes }
    }

    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }
}

impl From<Vec<u8>> for Name {
    fn from(bytes: Vec<u8>) -> Self {
        Self::of(bytes)
    }
}

impl From<Name> for Vec<u8> {
    fn from(name: Name) -> Self {
        name.bytes.to_vec()
    }
}

fn digest(bytes: &[u8]) -> u64 {
    bytes.chunks(8).fold(bytes.len() as u64, |digest, chunk| {
        let mut eight = [0; 8];
        eight[..chunk.len()].copy_from_slice(chunk);
        (digest.rotate_left(29) ^ u64::from_le_bytes(eight)).wrapping_mul(SPREAD)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn names_are_the_same_where_their_bytes_are() {
        let texts = ["", "\0", "z9hG4bK1", "z9hG4bK2", "z9hG4bK1 ", "z9hG4bK1z9hG4bK1"];
        let names: BTreeSet<Name> = texts.iter().map(|text| Name::of(text.as_bytes())).collect();
        assert_eq!(names.len(), texts.len());
        assert!(texts.iter().all(|text| names.contains(&Name::of(text.as_bytes()))));
    }

    #[test]
    fn rel_names_of_one_digest_are_told_apart() {
        // The second eight bytes undo what the first did: found by solving the digest for them.
        let of = |first: u64, second: u64| [first.to_le_bytes(), second.to_le_bytes()].concat();
        let step = |first: u64| (16_u64.rotate_left(29) ^ first).wrapping_mul(SPREAD);
        let second = step(1).rotate_left(29) ^ step(2).rotate_left(29) ^ 7;
        let (one, other) = (Name::of(of(1, 7)), Name::of(of(2, second)));
        assert_eq!(one.digest, other.digest);
        assert_ne!(one, other);
        assert_eq!(BTreeSet::from([one, other]).len(), 2);
    }
}
