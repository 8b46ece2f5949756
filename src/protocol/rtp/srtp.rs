//! SRTP in the one suite that every telephone has, `AES_CM_128_HMAC_SHA1_80` (RFC 3711, RFC 4568 §6.2): in place, and
//! without memory of its own for each packet. Keys are never shown.

mod cipher;
mod control;
mod senders;

pub use control::GROWS;

use super::packet;
use cipher::{Cipher, REPORTS, VOICE, is_same, rollovers};
use control::Control;
use senders::{Sender, Senders};
use serde::{Deserialize, Serialize};
use std::fmt;

/// What a packet grows by.
pub const TAG: usize = 10;
/// Master key and master salt, as `inline:` has them (RFC 4568 §6.1).
pub const MASTER: usize = KEY + SALT;
const KEY: usize = 16;
const SALT: usize = 14;
/// Rollovers that a sender may have behind it when we hear it first: 23 hours at 50 packets a second.
const ROLLOVERS: u64 = 64;
/// Packets that are tried under all of them: what is not authentic shall not cost that for ever.
const TRIED_MAX: u16 = 100;

/// A master key with its salt.
#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct MasterKey(pub [u8; MASTER]);

impl fmt::Debug for MasterKey {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("MasterKey(..)")
    }
}

/// The keys of one leg: each side encrypts with its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Keys {
    pub ours: MasterKey,
    pub theirs: MasterKey,
}

/// Why a packet was not opened; it is as it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Closed {
    /// Not of this key: forged, spoiled, or encrypted with another.
    Unauthentic,
    /// It came before (§3.3.2).
    Replayed,
}

/// Both directions of one leg.
pub struct Guard {
    keys: Keys,
    /// What our SSRCs differ by from those that we carry on.
    mask: u32,
    out: Direction,
    heard: Direction,
    /// What the peer may still send with the key before.
    before: Option<Direction>,
}

impl Guard {
    pub fn new(keys: Keys) -> Self {
        let (out, heard) = (Direction::new(&keys.ours), Direction::heard(&keys.theirs));
        Self { keys, mask: 0, out, heard, before: None }
    }

    /// `mask` is another one at each run of the program: under the same key a rollover counter that
    /// begins anew needs an SSRC that was not there before, or the key stream would be used twice
    /// (RFC 4568 §6.4).
    pub fn masked(self, mask: u32) -> Self {
        Self { mask, ..self }
    }

    /// Takes up other keys; a direction whose key stays goes on where it is.
    pub fn rekey(&mut self, keys: Keys) {
        if keys.ours != self.keys.ours {
            self.out = Direction::new(&keys.ours);
        }
        if keys.theirs != self.keys.theirs {
            self.before = Some(std::mem::replace(&mut self.heard, Direction::heard(&keys.theirs)));
        }
        self.keys = keys;
    }

    /// Encrypted again after a time in the clear. Where the peer's key is the one of before, what came with it is not let
    /// in a second time; its numbers may have rolled over meanwhile. We are another sender, by another `mask`.
    pub fn resume(&mut self, keys: Keys, mask: u32) {
        self.rekey(keys);
        (self.before, self.mask, self.heard.to_try) = (None, mask, TRIED_MAX);
    }

    /// Encrypts the packet of `length` bytes at the start of `buffer`, which has room for [`TAG`] more. Gives the new
    /// length; none for what is not RTP, was sent before, or has no room.
    pub fn close(&mut self, buffer: &mut [u8], length: usize) -> Option<usize> {
        let header = Header::of(buffer.get(..length)?)?;
        let header = Header { ssrc: self.shown(header.ssrc), ..header };
        let end = length + TAG;
        let packet = buffer.get_mut(..end)?;
        packet.get_mut(8..12)?.copy_from_slice(&header.ssrc.to_be_bytes());
        let sender = self.out.senders.of(header.ssrc);
        let index = sender.guess(header.sequence);
        // A key stream that is used twice is none (§9.1).
        if sender.has_heard(index) {
            return None;
        }
        sender.note(index);
        self.out.cipher.apply(&mut packet[header.length..length], header.ssrc, index);
        let tag = self.out.cipher.tag(&packet[..length], &rollovers(index));
        packet[length..].copy_from_slice(&tag);
        Some(end)
    }

    /// Opens a packet in place and gives its length without the tag.
    ///
    /// # Errors
    /// When it cannot be opened; the packet is as it came then.
    pub fn open(&mut self, packet: &mut [u8]) -> Result<usize, Closed> {
        self.open_by(packet, Direction::open)
    }

    /// The same of a report (RTCP).
    ///
    /// # Errors
    /// As [`Guard::open`].
    pub fn open_report(&mut self, packet: &mut [u8]) -> Result<usize, Closed> {
        self.open_by(packet, |direction, packet| direction.reports.open(packet))
    }

    /// Encrypts the report of `length` bytes at the start of `buffer`, which has room for [`GROWS`] more. Gives the new
    /// length; none for what is no RTCP or has no room.
    pub fn close_report(&mut self, buffer: &mut [u8], length: usize) -> Option<usize> {
        self.out.reports.close(buffer, length)
    }

    /// Under which SSRC the peer knows what we carry on.
    pub fn shown(&self, ssrc: u32) -> u32 {
        ssrc ^ self.mask
    }

    fn open_by(
        &mut self,
        packet: &mut [u8],
        open: impl Fn(&mut Direction, &mut [u8]) -> Result<usize, Closed>,
    ) -> Result<usize, Closed> {
        match (open(&mut self.heard, packet), &mut self.before) {
            (Err(Closed::Unauthentic), Some(before)) => open(before, packet),
            (opened, _) => opened,
        }
    }
}

/// Where a packet's encrypted part begins, and whose it is (§3.1).
struct Header {
    length: usize,
    sequence: u16,
    ssrc: u32,
}

impl Header {
    fn of(packet: &[u8]) -> Option<Self> {
        let length = packet::header_length(packet)?;
        let &[_, _, s0, s1, _, _, _, _, a, b, c, d, ..] = packet else { return None };
        let (sequence, ssrc) = (u16::from_be_bytes([s0, s1]), u32::from_be_bytes([a, b, c, d]));
        Some(Self { length, sequence, ssrc })
    }
}

/// One key, and how far each sender has come with it.
struct Direction {
    cipher: Cipher,
    senders: Senders,
    /// Packets that may still be tried under every rollover, until one is authentic.
    to_try: u16,
    /// What goes beside the voice.
    reports: Control,
}

impl Direction {
    fn new(master: &MasterKey) -> Self {
        let (cipher, senders) = (Cipher::new(master, VOICE), Senders::default());
        Self { cipher, senders, to_try: 0, reports: Control::new(master) }
    }

    /// A peer's counter of rollovers does not begin anew with its key (RFC 3711 §3.3.1).
    fn heard(master: &MasterKey) -> Self {
        Self { to_try: TRIED_MAX, ..Self::new(master) }
    }

    fn open(&mut self, packet: &mut [u8]) -> Result<usize, Closed> {
        let length = packet.len().checked_sub(TAG).ok_or(Closed::Unauthentic)?;
        let header = Header::of(&packet[..length]).ok_or(Closed::Unauthentic)?;
        let sender = self.senders.known(header.ssrc).unwrap_or(Sender::new(header.ssrc));
        let guessed = sender.guess(header.sequence);
        if sender.has_heard(guessed) {
            return Err(Closed::Replayed);
        }
        let index = self.index_of(packet, length, guessed).ok_or(Closed::Unauthentic)?;
        // Nothing is remembered of a sender whose packets are not authentic.
        self.senders.of(header.ssrc).note(index);
        self.cipher.apply(&mut packet[header.length..length], header.ssrc, index);
        Ok(length)
    }

    /// The index under which the packet is authentic. How often the numbers of the first sender rolled over nobody
    /// tells us (RFC 3711 §3.3.1), an earlier run or the key before may have heard it: it is tried.
    fn index_of(&mut self, packet: &[u8], length: usize, guessed: u64) -> Option<u64> {
        let authentic = |index: &u64| {
            let tag = self.cipher.tag(&packet[..length], &rollovers(*index));
            is_same(&tag, &packet[length..])
        };
        let tries = if self.to_try > 0 { ROLLOVERS } else { 0 };
        let index = (0..=tries).map(|more| guessed + (more << 16)).find(authentic);
        self.to_try = if index.is_some() { 0 } else { self.to_try.saturating_sub(1) };
        index
    }
}

#[cfg(test)]
mod tests;
