//! What one closes the other opens, and nothing else: keys, replays, rollovers, runs.

use super::cipher::{BLOCK, aes, stream};
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

#[test]
fn sig_20_after_a_time_in_the_clear_what_came_before_is_not_let_in_again() {
    let (mut one, mut other) = pair();
    let before: Vec<Vec<u8>> = (0..70_000u32).map(|n| closed(&mut one, n as u16, 7)).collect();
    for packet in &before {
        other.open(&mut packet.clone()).unwrap();
    }
    other.resume(other.keys, 0x5555_5555);
    for n in [0, 1, 4_464, 65_535, 65_536, 69_871, 69_999] {
        assert!(other.open(&mut before[n].clone()).is_err(), "{n}");
    }
    // In the clear its numbers went on, and rolled over again.
    steps(90_000..140_000).for_each(|n| drop(closed(&mut one, n, 7)));
    assert_eq!(other.open(&mut closed(&mut one, 140_000u32 as u16, 7)), Ok(172));
    assert!(other.open(&mut before[69_999].clone()).is_err());
    let ssrc = |packet: &[u8]| packet[8..12].to_vec();
    let ours = closed(&mut other, 5, 8);
    assert_ne!(ssrc(&ours), 8u32.to_be_bytes(), "what we say begins anew, as somebody else");
    // A key of its own: nothing of the one before is taken.
    let keys = Keys { theirs: key(70), ..other.keys };
    other.resume(keys, 0x0aaa_aaaa);
    let late = closed(&mut one, 140_001u32 as u16, 7);
    assert_eq!(other.open(&mut late.clone()), Err(Closed::Unauthentic));
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
