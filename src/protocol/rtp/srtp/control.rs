//! SRTCP (RFC 3711 §3.4): reports under the keys of the voice they are about. Each says its own index, so nothing is
//! guessed; and each is authentic, or nothing.

use super::{Cipher, Closed, MasterKey, REPORTS, Senders, TAG, is_same};

/// What a report grows by: the index and the tag.
pub const GROWS: usize = WORD + TAG;
const WORD: usize = 4;
/// What stays in the clear: the first packet's header and SSRC.
const CLEAR: usize = 8;
/// The rest is encrypted.
const ENCRYPTED: u32 = 1 << 31;

/// One direction of one leg's reports.
pub struct Control {
    cipher: Cipher,
    /// Of the next one that is sent, whoever sends it.
    next: u32,
    senders: Senders,
}

impl Control {
    pub fn new(master: &MasterKey) -> Self {
        Self { cipher: Cipher::new(master, REPORTS), next: 0, senders: Senders::default() }
    }

    pub fn close(&mut self, buffer: &mut [u8], length: usize) -> Option<usize> {
        let (said, end) = (length + WORD, length + GROWS);
        let packet = buffer.get_mut(..end)?;
        let ssrc = ssrc_of(packet).filter(|_| length >= CLEAR)?;
        // A key is not used for longer (§9.2).
        let index = Some(self.next).filter(|index| *index < ENCRYPTED)?;
        self.next += 1;
        self.cipher.apply(&mut packet[CLEAR..length], ssrc, u64::from(index));
        packet[length..said].copy_from_slice(&(ENCRYPTED | index).to_be_bytes());
        let tag = self.cipher.tag(&packet[..said], &[]);
        packet[said..].copy_from_slice(&tag);
        Some(end)
    }

    /// A report that says so may be authentic and in the clear.
    pub fn open(&mut self, packet: &mut [u8]) -> Result<usize, Closed> {
        let length = packet.len().checked_sub(GROWS).filter(|length| *length >= CLEAR);
        let length = length.ok_or(Closed::Unauthentic)?;
        let said = length + WORD;
        let (ssrc, word) = ssrc_of(packet).zip(word(packet, length)).ok_or(Closed::Unauthentic)?;
        let index = u64::from(word & !ENCRYPTED);
        if !is_same(&self.cipher.tag(&packet[..said], &[]), &packet[said..]) {
            return Err(Closed::Unauthentic);
        }
        if self.senders.known(ssrc).is_some_and(|sender| sender.has_heard(index)) {
            return Err(Closed::Replayed);
        }
        self.senders.of(ssrc).note(index);
        if word & ENCRYPTED != 0 {
            self.cipher.apply(&mut packet[CLEAR..length], ssrc, index);
        }
        Ok(length)
    }
}

fn ssrc_of(packet: &[u8]) -> Option<u32> {
    word(packet, WORD)
}

fn word(packet: &[u8], at: usize) -> Option<u32> {
    packet.get(at..)?.first_chunk().map(|word| u32::from_be_bytes(*word))
}

#[cfg(test)]
mod tests {
    use super::super::{Guard, Keys, MASTER};
    use super::*;
    use crate::protocol::rtp::rtcp;
    use proptest::prelude::*;

    fn hex(text: &str) -> Vec<u8> {
        hex::decode(text.replace(' ', "")).unwrap()
    }

    fn key(fill: u8) -> MasterKey {
        MasterKey(std::array::from_fn(|n| fill.wrapping_add(n as u8)))
    }

    fn pair() -> (Guard, Guard) {
        let keys = Keys { ours: key(1), theirs: key(99) };
        (Guard::new(keys), Guard::new(Keys { ours: keys.theirs, theirs: keys.ours }))
    }

    fn report(ssrc: u32) -> (Vec<u8>, usize) {
        let mut out = [0; rtcp::BYTES_MAX];
        let sent = rtcp::Sent { ntp: 7, timestamp: 8, packets: 9, octets: 10 };
        let length = rtcp::write(ssrc, Some(&sent), None, &[b'x'; rtcp::NAME], &mut out);
        let mut bytes = out[..length].to_vec();
        bytes.resize(length + GROWS, 0);
        (bytes, length)
    }

    fn closed(guard: &mut Guard, ssrc: u32) -> Vec<u8> {
        let (mut bytes, length) = report(ssrc);
        assert_eq!(guard.close_report(&mut bytes, length), Some(length + GROWS));
        bytes
    }

    #[test]
    fn sig_20_sdes_reports_are_opened_by_the_other_end_and_nothing_in_them_is_seen() {
        let (mut one, mut other) = pair();
        for n in 0..300u32 {
            let ssrc = 7 + n % 2;
            let (plain, length) = report(ssrc);
            let mut bytes = closed(&mut one, ssrc);
            assert_eq!(bytes[..CLEAR], plain[..CLEAR]);
            assert_ne!(bytes[CLEAR..length], plain[CLEAR..length]);
            assert_eq!(word(&bytes, length), Some(ENCRYPTED | n), "its index");
            assert_eq!(other.open_report(&mut bytes), Ok(length));
            assert_eq!(bytes[..length], plain[..length]);
        }
        assert!(one.open_report(&mut closed(&mut one_more(), 7)).is_err(), "another key");
    }

    fn one_more() -> Guard {
        Guard::new(Keys { ours: key(55), theirs: key(56) })
    }

    /// By the key derivation of RFC 3711 §4.3 with the labels 3, 4 and 5 over appendix B.3's master key, and OpenSSL's
    /// AES and HMAC.
    #[test]
    fn sig_20_sdes_a_report_is_encrypted_as_another_program_does_it() {
        let master = hex("E1F97A0D3E018BE0D64FA32C06DE4139 0EC675AD498AFEEBB6960B3AABE6");
        let master: [u8; MASTER] = master.try_into().unwrap();
        let mut control = Control::new(&MasterKey(master));
        control.next = 5;
        let mut bytes = hex(PLAIN);
        let length = bytes.len();
        bytes.resize(length + GROWS, 0);
        assert_eq!(control.close(&mut bytes, length), Some(length + GROWS));
        assert_eq!(hex::encode(&bytes), hex::encode(hex(CLOSED)));
        let mut reader = Control::new(&MasterKey(master));
        assert_eq!(reader.open(&mut bytes), Ok(length));
        assert_eq!(bytes[..length], hex(PLAIN));
    }

    const PLAIN: &str =
        "80c9000100c0ffee25262728292a2b2c2d2e2f303132333435363738393a3b3c3d3e3f404142434445464748";
    const CLOSED: &str = "80c9000100c0ffeebfed7f99d6e07dfa8cf0a859fcf63f7c534ebeed8c5026936de19ff9d7b5586f303f5d85800000054893c33a77c40a79c622";

    #[test]
    fn sig_20_sdes_a_report_is_taken_once_however_late_and_none_that_is_too_old() {
        let (mut one, mut other) = pair();
        let all: Vec<Vec<u8>> = (0..200).map(|_| closed(&mut one, 7)).collect();
        for n in [0, 2, 1, 150, 149, 199] {
            assert!(other.open_report(&mut all[n].clone()).is_ok(), "{n}");
            assert_eq!(other.open_report(&mut all[n].clone()), Err(Closed::Replayed), "{n}");
        }
        assert_eq!(other.open_report(&mut all[3].clone()), Err(Closed::Replayed));
    }

    #[test]
    fn sig_20_sdes_a_changed_bit_anywhere_is_found_and_leaves_the_report_as_it_came() {
        let (mut one, mut other) = pair();
        let packet = closed(&mut one, 7);
        for bit in 0..packet.len() * 8 {
            let mut changed = packet.clone();
            changed[bit / 8] ^= 1 << (bit % 8);
            let before = changed.clone();
            assert_eq!(other.open_report(&mut changed), Err(Closed::Unauthentic), "bit {bit}");
            assert_eq!(changed, before);
        }
        assert!(other.open_report(&mut packet.clone()).is_ok());
    }

    #[test]
    fn sig_20_sdes_an_authentic_report_in_the_clear_is_read_and_a_bare_one_is_not() {
        let (_, mut other) = pair();
        let control = Control::new(&key(1));
        let (mut bytes, length) = report(7);
        bytes[length..length + WORD].copy_from_slice(&3u32.to_be_bytes());
        let tag = control.cipher.tag(&bytes[..length + WORD], &[]);
        bytes[length + WORD..].copy_from_slice(&tag);
        assert_eq!(other.open_report(&mut bytes), Ok(length));
        assert_eq!(bytes[..length], report(7).0[..length]);
        let (bare, length) = report(7);
        assert_eq!(other.open_report(&mut bare[..length].to_vec()), Err(Closed::Unauthentic));
    }

    #[test]
    fn a_key_is_not_used_for_more_than_its_indices() {
        let mut control = Control::new(&key(1));
        control.next = ENCRYPTED - 1;
        let (bytes, length) = report(7);
        assert!(control.close(&mut bytes.clone(), length).is_some());
        assert_eq!(control.close(&mut bytes.clone(), length), None);
    }

    proptest! {
        #[test]
        fn any_bytes_are_refused_without_panic(mut bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let (mut one, _) = pair();
            prop_assert!(one.open_report(&mut bytes).is_err());
            let length = bytes.len();
            bytes.resize(length + GROWS, 0);
            let grown = one.close_report(&mut bytes, length);
            prop_assert!(grown.is_none_or(|grown| grown == length + GROWS));
        }
    }
}
