//! SRTP in the one suite that every telephone has, `AES_CM_128_HMAC_SHA1_80` (RFC 3711, RFC 4568 §6.2): in place, and
//! without memory of its own for each packet. The only door to aes, hmac and sha1. Keys are never shown.

mod control;

pub use control::GROWS;

use super::packet;
use aes::Aes128;
use aes::cipher::{Array, BlockCipherEncrypt, KeyInit};
use control::Control;
use hmac::{Hmac, Mac};
use serde::{Deserialize, Serialize};
use sha1::Sha1;
use std::fmt;

/// What a packet grows by.
pub const TAG: usize = 10;
/// Master key and master salt, as `inline:` has them (RFC 4568 §6.1).
pub const MASTER: usize = KEY + SALT;
const KEY: usize = 16;
const SALT: usize = 14;
const BLOCK: usize = 16;
/// Blocks that are encrypted together.
const BATCH: usize = 8;
/// Senders of one direction that are remembered; the one heard longest ago is forgotten.
const SENDERS: usize = 4;
/// Packets behind the newest that are told from replays.
const WINDOW: u64 = 128;
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

/// Who is heard, or spoken for, under one key.
#[derive(Debug, Default)]
struct Senders {
    places: [Sender; SENDERS],
    turn: u64,
}

impl Senders {
    fn known(&self, ssrc: u32) -> Option<Sender> {
        self.places.iter().find(|sender| sender.is(ssrc)).copied()
    }

    fn of(&mut self, ssrc: u32) -> &mut Sender {
        self.turn += 1;
        let known = self.places.iter().position(|sender| sender.is(ssrc));
        let place = known.unwrap_or_else(|| {
            let oldest = (0..SENDERS).min_by_key(|place| self.places[*place].turn).unwrap_or(0);
            self.places[oldest] = Sender::new(ssrc);
            oldest
        });
        self.places[place].turn = self.turn;
        &mut self.places[place]
    }
}

/// Packet indices of one SSRC: 32 bits of rollover counter above the sequence number (§3.3.1).
#[derive(Debug, Clone, Copy, Default)]
struct Sender {
    ssrc: u32,
    /// The highest index so far; none before the first packet.
    highest: Option<u64>,
    /// Bit n: the packet n behind the highest was there.
    window: u128,
    /// When it was there last; 0 for a free place.
    turn: u64,
}

impl Sender {
    fn new(ssrc: u32) -> Self {
        Self { ssrc, ..Self::default() }
    }

    fn is(&self, ssrc: u32) -> bool {
        self.turn != 0 && self.ssrc == ssrc
    }

    /// Appendix A: the index nearest to the highest one.
    fn guess(&self, sequence: u16) -> u64 {
        let Some(highest) = self.highest else { return u64::from(sequence) };
        let ahead = i64::from(sequence.wrapping_sub(highest as u16).cast_signed());
        highest.checked_add_signed(ahead).unwrap_or(u64::from(sequence)) & 0xffff_ffff_ffff
    }

    fn has_heard(&self, index: u64) -> bool {
        self.highest.is_some_and(|highest| {
            let behind = highest.saturating_sub(index);
            index <= highest && (behind >= WINDOW || (self.window >> behind) & 1 == 1)
        })
    }

    fn note(&mut self, index: u64) {
        let highest = self.highest.unwrap_or(index);
        if index > highest {
            let ahead = u32::try_from(index - highest).unwrap_or(u32::MAX);
            self.window = self.window.checked_shl(ahead).unwrap_or(0);
        }
        self.highest = Some(highest.max(index));
        let behind = highest.max(index) - index;
        if behind < WINDOW {
            self.window |= 1 << behind;
        }
    }
}

/// The session keys that a master key gives (§4.3), ready for use.
struct Cipher {
    aes: Aes128,
    salt: [u8; SALT],
    /// Keyed; copied for each packet, so that the key is worked in once.
    mac: Hmac<Sha1>,
}

/// The first of three labels (§4.3.1, §4.3.2).
const VOICE: u8 = 0;
const REPORTS: u8 = 3;

impl Cipher {
    fn new(master: &MasterKey, labels: u8) -> Self {
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
    fn apply(&self, payload: &mut [u8], ssrc: u32, index: u64) {
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
    fn tag(&self, packet: &[u8], known: &[u8]) -> [u8; TAG] {
        let mut mac = self.mac.clone();
        mac.update(packet);
        mac.update(known);
        let whole = mac.finalize().into_bytes();
        std::array::from_fn(|byte| whole[byte])
    }
}

fn rollovers(index: u64) -> [u8; 4] {
    ((index >> 16) as u32).to_be_bytes()
}

/// In the same time wherever they differ.
fn is_same(tag: &[u8; TAG], came: &[u8]) -> bool {
    tag.iter().zip(came).fold(came.len() ^ TAG, |all, (a, b)| all | usize::from(a ^ b)) == 0
}

fn aes(key: &[u8]) -> Aes128 {
    Aes128::new_from_slice(key).expect("a key of 16 bytes")
}

/// Adds the key stream that starts at `counter`, whose last two bytes count.
fn stream(aes: &Aes128, counter: [u8; BLOCK], bytes: &mut [u8]) {
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

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn key(fill: u8) -> MasterKey {
        MasterKey(std::array::from_fn(|n| fill.wrapping_add(n as u8)))
    }

    fn pair() -> (Guard, Guard) {
        let keys = Keys { ours: key(1), theirs: key(99) };
        (Guard::new(keys), Guard::new(Keys { ours: keys.theirs, theirs: keys.ours }))
    }

    fn rtp(sequence: u16, ssrc: u32) -> Vec<u8> {
        let payload: Vec<u8> = (0..160).map(|n| n as u8 ^ sequence as u8).collect();
        let packet = packet::Packet {
            payload_type: 8,
            marker: false,
            sequence,
            timestamp: 0,
            ssrc,
            payload: &payload,
        };
        let mut out = vec![0; 172 + TAG];
        packet::build(&packet, &mut out).unwrap();
        out
    }

    fn closed(guard: &mut Guard, sequence: u16, ssrc: u32) -> Vec<u8> {
        let mut packet = rtp(sequence, ssrc);
        assert_eq!(guard.close(&mut packet, 172), Some(182));
        packet
    }

    fn hex(text: &str) -> Vec<u8> {
        hex::decode(text.replace(' ', "")).unwrap()
    }

    /// RFC 3711 appendix B.3.
    #[test]
    fn session_keys_are_derived_as_the_rfc_says() {
        let master = hex("E1F97A0D3E018BE0D64FA32C06DE4139 0EC675AD498AFEEBB6960B3AABE6");
        let (key, salt) = master.split_at(KEY);
        let derived = |label: u8, length: usize| {
            let mut counter = [0; BLOCK];
            counter[..SALT].copy_from_slice(salt);
            counter[7] ^= label;
            let mut out = vec![0; length];
            stream(&aes(key), counter, &mut out);
            out
        };
        assert_eq!(derived(0, 16), hex("C61E7A93744F39EE10734AFE3FF7A087"));
        assert_eq!(derived(2, 14), hex("30CBBC08863D8C85D49DB34A9AE1"));
        assert_eq!(derived(1, 20), hex("CEBE321F6FF7716B6FD4AB49AF256A156D38BAA4"));
        let cipher = Cipher::new(&MasterKey(master.try_into().unwrap()), VOICE);
        assert_eq!(cipher.salt[..], hex("30CBBC08863D8C85D49DB34A9AE1"));
    }

    /// RFC 3711 appendix B.2.
    #[test]
    fn the_key_stream_is_that_of_the_rfc() {
        let counter: [u8; BLOCK] = hex("F0F1F2F3F4F5F6F7F8F9FAFBFCFD0000").try_into().unwrap();
        let mut out = vec![0; 0xff02 * BLOCK];
        stream(&aes(&hex("2B7E151628AED2A6ABF7158809CF4F3C")), counter, &mut out);
        let block = |n: usize| &out[n * BLOCK..(n + 1) * BLOCK];
        assert_eq!(block(0), hex("E03EAD0935C95E80E166B16DD92B4EB4"));
        assert_eq!(block(1), hex("D23513162B02D0F72A43A2FE4A5F97AB"));
        assert_eq!(block(2), hex("41E95B3BB0A2E8DD477901E4FCA894C0"));
        assert_eq!(block(0xfeff), hex("EC8CDF7398607CB0F2D21675EA9EA1E4"));
        assert_eq!(block(0xff01), hex("6A2CC3787889374FBEB4C81B17BA6C44"));
    }

    #[test]
    fn what_one_closes_the_other_opens_over_the_wrap_of_the_numbers() {
        let (mut one, mut other) = pair();
        for n in 0..200_000u32 {
            let sequence = (65_000 + n) as u16;
            let mut packet = closed(&mut one, sequence, 7);
            assert_ne!(packet[12..172], rtp(sequence, 7)[12..172]);
            assert_eq!(other.open(&mut packet), Ok(172), "packet {n}");
            assert_eq!(packet[..172], rtp(sequence, 7)[..172]);
        }
    }

    #[test]
    fn reordered_packets_are_opened_once_and_replays_never() {
        let (mut one, mut other) = pair();
        let packets: Vec<Vec<u8>> =
            (0..300u16).map(|n| closed(&mut one, n.wrapping_add(65_400), 7)).collect();
        for n in [0, 2, 1, 140, 138, 139, 299, 290] {
            assert_eq!(other.open(&mut packets[n].clone()), Ok(172), "{n}");
            assert_eq!(other.open(&mut packets[n].clone()), Err(Closed::Replayed), "{n}");
        }
        assert_eq!(
            other.open(&mut packets[3].clone()),
            Err(Closed::Replayed),
            "older than can be told"
        );
    }

    #[test]
    fn a_wrong_key_or_a_changed_bit_leaves_the_packet_as_it_came() {
        let (mut one, mut other) = pair();
        let mut stranger = Guard::new(Keys { ours: key(5), theirs: key(6) });
        let packet = closed(&mut one, 5, 7);
        let mut seen = packet.clone();
        assert_eq!(stranger.open(&mut seen), Err(Closed::Unauthentic));
        assert_eq!(seen, packet);
        for bit in [0, 17, 40, 90, 700, 1455] {
            let mut changed = packet.clone();
            changed[bit / 8] ^= 1 << (bit % 8);
            let before = changed.clone();
            assert_eq!(other.open(&mut changed), Err(Closed::Unauthentic), "bit {bit}");
            assert_eq!(changed, before);
        }
        assert_eq!(other.open(&mut packet.clone()), Ok(172));
    }

    #[test]
    fn strangers_do_not_push_a_sender_out() {
        let (mut one, mut other) = pair();
        for n in 0..66_000u32 {
            assert_eq!(other.open(&mut closed(&mut one, n as u16, 7)), Ok(172));
        }
        for ssrc in 100..200 {
            assert!(other.open(&mut rtp(1, ssrc)).is_err());
        }
        assert_eq!(
            other.open(&mut closed(&mut one, 66_000u32 as u16, 7)),
            Ok(172),
            "its rollovers are known"
        );
    }

    #[test]
    fn a_new_key_does_not_lose_what_is_on_its_way_and_the_same_one_starts_nothing_anew() {
        let (mut one, mut other) = pair();
        for n in 0..70_000u32 {
            other.open(&mut closed(&mut one, n as u16, 7)).unwrap();
        }
        other.rekey(other.keys);
        assert_eq!(other.open(&mut closed(&mut one, 70_000u32 as u16, 7)), Ok(172));
        let mut on_its_way = closed(&mut one, 70_001u32 as u16, 7);
        let keys = Keys { ours: key(50), ..one.keys };
        one.rekey(keys);
        other.rekey(Keys { theirs: keys.ours, ..other.keys });
        assert_eq!(other.open(&mut on_its_way), Ok(172));
        assert_eq!(other.open(&mut closed(&mut one, 70_002u32 as u16, 7)), Ok(172));
        assert_eq!(one.open(&mut closed(&mut other, 1, 8)), Ok(172), "the other way is as it was");
    }

    /// Numbers of a sender, in steps that a receiver follows.
    fn steps(numbers: std::ops::Range<u32>) -> impl Iterator<Item = u16> {
        numbers.step_by(30_000).map(|n| n as u16)
    }

    #[test]
    fn sig_34_a_later_run_opens_what_has_rolled_over_and_never_uses_a_key_stream_twice() {
        let (mut peer, mut first) = pair();
        for n in steps(0..200_000) {
            first.open(&mut closed(&mut peer, n, 7)).unwrap();
            peer.open(&mut closed(&mut first, n, 8)).unwrap();
        }
        let mut second = Guard::new(first.keys).masked(0x1234_5678);
        for n in steps(210_000..400_000) {
            assert_eq!(second.open(&mut closed(&mut peer, n, 7)), Ok(172), "{n}");
        }
        let mut packet = closed(&mut second, 5, 8);
        let before = closed(&mut first, 5, 8);
        assert_ne!(packet[8..12], before[8..12], "another sender");
        assert_eq!(peer.open(&mut packet), Ok(172));
        assert_eq!(packet[12..172], rtp(5, 8)[12..172]);
        // Once somebody was heard nothing is tried any more.
        assert_eq!(second.open(&mut closed(&mut peer, 1, 99)), Ok(172));
        let rolled = steps(0..100_000).map(|n| closed(&mut peer, n, 100)).last();
        assert_eq!(second.open(&mut rolled.unwrap()), Err(Closed::Unauthentic));
    }

    #[test]
    fn sig_20_a_new_key_is_opened_however_often_the_numbers_rolled_over_before() {
        let (mut one, mut other) = pair();
        let keys = Keys { ours: key(50), ..one.keys };
        let mut later = Guard::new(keys);
        for n in steps(0..200_000) {
            other.open(&mut closed(&mut one, n, 7)).unwrap();
            closed(&mut later, n, 7);
        }
        other.rekey(Keys { theirs: keys.ours, ..other.keys });
        for n in steps(210_000..400_000) {
            assert_eq!(other.open(&mut closed(&mut later, n, 7)), Ok(172), "{n}");
        }
    }

    #[test]
    fn keys_are_not_shown() {
        let shown = format!("{:?}", Keys { ours: key(1), theirs: key(2) });
        assert_eq!(shown, "Keys { ours: MasterKey(..), theirs: MasterKey(..) }");
    }

    proptest! {
        #[test]
        fn any_bytes_are_refused_without_panic(mut bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let (mut one, _) = pair();
            prop_assert!(one.open(&mut bytes).is_err());
            let length = bytes.len();
            bytes.resize(length + TAG, 0);
            let grown = one.close(&mut bytes, length);
            prop_assert!(grown.is_none_or(|grown| grown == length + TAG));
            prop_assert_eq!(one.close(&mut bytes, length + TAG), None);
        }
    }
}
