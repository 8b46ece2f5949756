//! The one suite's key stream and tags, by the session keys of a master key (RFC 3711 §4.1.1, §4.2.1, §4.3). The only door
//! to aes, hmac and sha1.

use super::{KEY, MasterKey, SALT, TAG};
use aes::Aes128;
use aes::cipher::{Array, BlockCipherEncrypt, KeyInit};
use hmac::{Hmac, Mac};
use sha1::Sha1;

pub const BLOCK: usize = 16;
/// Blocks that are encrypted together.
const BATCH: usize = 8;

/// The session keys that a master key gives (§4.3), ready for use.
pub struct Cipher {
    aes: Aes128,
    pub salt: [u8; SALT],
    /// Keyed; copied for each packet, so that the key is worked in once.
    mac: Hmac<Sha1>,
}

/// The first of three labels (§4.3.1, §4.3.2).
pub const VOICE: u8 = 0;
pub const REPORTS: u8 = 3;

impl Cipher {
    pub fn new(master: &MasterKey, labels: u8) -> Self {
        let (key, salt) = master.0.split_at(KEY);
        let derived = |label: u8, out: &mut [u8]| {
            let mut counter = [0; BLOCK];
            counter[..SALT].copy_from_slice(salt);
            counter[7] ^= label;
            stream(&aes(key), counter, out);
        };
        let (mut session, mut auth, mut session_salt) = ([0; KEY], [0; 20], [0; SALT]);
        derived(labels, &mut session);
        derived(labels + 1, &mut auth);
        derived(labels + 2, &mut session_salt);
        let mac = Hmac::new_from_slice(&auth).expect("HMAC takes keys of any length");
        Self { aes: aes(&session), salt: session_salt, mac }
    }

    /// §4.1.1, either way.
    pub fn apply(&self, payload: &mut [u8], ssrc: u32, index: u64) {
        let mut counter = [0; BLOCK];
        counter[..SALT].copy_from_slice(&self.salt);
        let mix = |place: &mut [u8], with: &[u8]| {
            place.iter_mut().zip(with).for_each(|(byte, with)| *byte ^= with);
        };
        mix(&mut counter[4..8], &ssrc.to_be_bytes());
        mix(&mut counter[8..14], &index.to_be_bytes()[2..]);
        stream(&self.aes, counter, payload);
    }

    /// §4.2.1, of a packet and of what is not sent with it.
    pub fn tag(&self, packet: &[u8], known: &[u8]) -> [u8; TAG] {
        let mut mac = self.mac.clone();
        mac.update(packet);
        mac.update(known);
        let whole = mac.finalize().into_bytes();
        std::array::from_fn(|byte| whole[byte])
    }
}

pub fn rollovers(index: u64) -> [u8; 4] {
    ((index >> 16) as u32).to_be_bytes()
}

/// In the same time wherever they differ.
pub fn is_same(tag: &[u8; TAG], came: &[u8]) -> bool {
    tag.iter().zip(came).fold(came.len() ^ TAG, |all, (a, b)| all | usize::from(a ^ b)) == 0
}

pub fn aes(key: &[u8]) -> Aes128 {
    Aes128::new_from_slice(key).expect("a key of 16 bytes")
}

/// Adds the key stream that starts at `counter`, whose last two bytes count.
pub fn stream(aes: &Aes128, counter: [u8; BLOCK], bytes: &mut [u8]) {
    for (batch, bytes) in bytes.chunks_mut(BATCH * BLOCK).enumerate() {
        let mut blocks: [Array<u8, _>; BATCH] = std::array::from_fn(|place| {
            let mut block = counter;
            let count = (batch * BATCH + place) as u16;
            block[SALT..].copy_from_slice(&count.to_be_bytes());
            block.into()
        });
        let needed = bytes.len().div_ceil(BLOCK);
        aes.encrypt_blocks(&mut blocks[..needed]);
        for (bytes, block) in bytes.chunks_mut(BLOCK).zip(&blocks) {
            bytes.iter_mut().zip(block).for_each(|(byte, key)| *byte ^= key);
        }
    }
}
