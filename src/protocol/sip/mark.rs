//! Marks in our own INVITEs by which we know them again, and nobody else can make them: an answer
//! may come to a run of the daemon that knows nothing of the call.

use crate::protocol::random::Random;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha512_256};

/// Hexadecimal digits of a mark: 64 bits.
const MARK: usize = 16;
const COOKIE: &[u8] = b"z9hG4bK";

/// A keyed hash, cut so that it cannot be carried on. The key is never shown.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Marks([u8; 32]);

impl std::fmt::Debug for Marks {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str("Marks")
    }
}

impl Marks {
    pub fn new(random: &mut Random) -> Self {
        Self(random.bytes())
    }

    /// From's tag in an INVITE with this Call-ID (§19.3: as random as the Call-ID is).
    pub fn tag(&self, call_id: &[u8]) -> String {
        self.mark(b"tag", &[call_id])
    }

    /// A branch that nobody has used (§8.1.1.7), for a request with this Call-ID and number.
    pub fn branch(&self, nonce: &str, call_id: &[u8], cseq: u32) -> String {
        let mark = self.mark(b"branch", &[nonce.as_bytes(), call_id, &cseq.to_be_bytes()]);
        format!("z9hG4bK{nonce}{mark}")
    }

    /// Whether both are of an INVITE of ours.
    pub fn knows(&self, branch: &[u8], tag: &[u8], call_id: &[u8], cseq: u32) -> bool {
        let nonce = branch.strip_prefix(COOKIE).and_then(|rest| rest.split_at_checked(MARK));
        let nonce = nonce.and_then(|(nonce, _)| std::str::from_utf8(nonce).ok());
        let made = nonce.map(|nonce| self.branch(nonce, call_id, cseq));
        made.is_some_and(|made| made.as_bytes() == branch) && self.tag(call_id).as_bytes() == tag
    }

    fn mark(&self, what: &[u8], parts: &[&[u8]]) -> String {
        let mut hash = Sha512_256::new();
        hash.update(self.0);
        for part in [what].iter().chain(parts) {
            hash.update((part.len() as u64).to_be_bytes());
            hash.update(part);
        }
        hex::encode(&hash.finalize()[..MARK / 2])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sig_36_only_what_we_marked_is_ours() {
        let marks = Marks::new(&mut Random::from_seed([1; 32]));
        let (branch, tag) = (marks.branch("0123456789abcdef", b"call", 1), marks.tag(b"call"));
        let knows = |branch: &str, tag: &str, call_id: &[u8], cseq| {
            marks.knows(branch.as_bytes(), tag.as_bytes(), call_id, cseq)
        };
        assert!(knows(&branch, &tag, b"call", 1));
        for (b, t, call_id, cseq) in [
            (branch.replace("0123", "0124"), tag.clone(), &b"call"[..], 1),
            (branch.clone(), marks.tag(b"other"), b"call", 1),
            (branch.clone(), tag.clone(), b"other", 1),
            (branch.clone(), tag.clone(), b"call", 2),
            (branch[..23].to_owned(), tag.clone(), b"call", 1),
            (String::new(), String::new(), b"", 0),
            ("z9hG4bK\u{fe}".to_owned(), tag.clone(), b"call", 1),
        ] {
            assert!(!knows(&b, &t, call_id, cseq), "{b} {t}");
        }
        let other = Marks::new(&mut Random::from_seed([2; 32]));
        assert!(!other.knows(branch.as_bytes(), tag.as_bytes(), b"call", 1));
        assert_eq!(format!("{marks:?}"), "Marks");
    }
}
