//! Encrypted legs.

use super::*;

/// A leg with keys, and the guard of its phone.
fn guarded(port: u16, fill: u8) -> (Stream, Guard) {
    let (ours, theirs) = (MasterKey([fill; 30]), MasterKey([fill + 1; 30]));
    let guard = Guard::new(Keys { ours: theirs, theirs: ours });
    (Stream { srtp: Some(Keys { ours, theirs }), ..stream(port) }, guard)
}

fn closed_by(guard: &mut Guard, mut packet: Vec<u8>) -> Vec<u8> {
    let length = packet.len();
    packet.resize(length + TAG, 0);
    guard.close(&mut packet, length).unwrap();
    packet
}

/// What was said, but for the SSRC, which on an encrypted leg is another one at each run.
fn but_for_the_sender(packet: &[u8]) -> (&[u8], &[u8]) {
    (&packet[..8], &packet[12..172])
}

#[test]
fn sig_20_sdes_one_leg_or_both_and_the_tape_has_what_was_said() {
    for both in [false, true] {
        let (caller, mut phone) = guarded(4000, 1);
        let (other, mut other_phone) = guarded(5000, 7);
        let mut relay = bridge(caller, if both { other } else { stream(5000) });
        let plain = bytes(8, 7, &[0x33; 160]);
        let mut packet = closed_by(&mut phone, plain.clone());
        let verdict = relay.handle_packet(A, caller.remote, &mut packet, START);
        let Verdict::Take { tag, length, forward: Some(forward) } = verdict else {
            panic!("{verdict:?}")
        };
        assert_eq!((&packet[..length], tag.secrecy), (&plain[..], Secrecy::Decrypted));
        let sent = relay.carry(&forward, &mut packet, length, START).unwrap();
        packet.truncate(sent);
        if both {
            assert_ne!(packet[12..172], plain[12..]);
            assert_eq!(other_phone.open(&mut packet), Ok(172));
            assert_ne!(packet[8..12], plain[8..12]);
        }
        assert_eq!(but_for_the_sender(&packet), but_for_the_sender(&plain));
        let answer = bytes(8, 9, &[0x44; 160]);
        let said = if both { closed_by(&mut other_phone, answer.clone()) } else { answer.clone() };
        let mut heard = passed_on(&mut relay, B, other.remote, &said).unwrap();
        assert_eq!(phone.open(&mut heard), Ok(172));
        assert_ne!(heard[8..12], answer[8..12]);
        assert_eq!(but_for_the_sender(&heard), but_for_the_sender(&answer));
    }
}

#[test]
fn rel_t12_what_cannot_be_decrypted_takes_no_room_from_what_can() {
    let (caller, mut phone) = guarded(4000, 1);
    let mut wrong = Guard::new(Keys { ours: MasterKey([9; 30]), theirs: MasterKey([9; 30]) });
    let mut relay = bridge(caller, stream(5000));
    let mut taken = [0; 2];
    for n in 0..1000u16 {
        let packet = bytes(8, n, &[0x33; 160]);
        for (which, guard) in [&mut wrong, &mut phone].into_iter().enumerate() {
            let mut said = closed_by(guard, packet.clone());
            let verdict = relay.handle_packet(A, caller.remote, &mut said, START);
            taken[which] += usize::from(verdict != Verdict::Drop);
        }
    }
    assert_eq!(taken, [400, 400], "each as much at one moment as its own room has");
}

#[test]
fn sig_20_sdes_with_a_wrong_key_is_kept_and_never_passed_on_and_said_once() {
    let (caller, _) = guarded(4000, 1);
    let mut wrong = Guard::new(Keys { ours: MasterKey([9; 30]), theirs: MasterKey([9; 30]) });
    let mut relay = bridge(caller, stream(5000));
    for sequence in 0..3 {
        let said = closed_by(&mut wrong, bytes(8, sequence, &[0x33; 160]));
        let mut packet = said.clone();
        let verdict = relay.handle_packet(A, caller.remote, &mut packet, START);
        let Verdict::Take { tag, length, forward } = verdict else { panic!("{verdict:?}") };
        assert_eq!((tag.secrecy, length, forward), (Secrecy::Undecryptable, 182, None));
        assert_eq!(packet, said);
    }
    let plain = bytes(8, 9, &[0x33; 160]);
    assert_eq!(
        forwarded(hear(&mut relay, A, caller.remote, &plain)),
        None,
        "no plain packet passes"
    );
    let seen = events(&mut relay);
    assert_eq!(seen, [Event::Heard { channel: A }, Event::Undecryptable { channel: A }]);
}

#[test]
fn sig_20_sdes_keys_change_in_the_middle_of_a_call() {
    let (caller, mut phone) = guarded(4000, 1);
    let mut relay = bridge(caller, stream(5000));
    let said = |n: u16| bytes(8, n, &[n as u8; 160]);
    let one = closed_by(&mut phone, said(1));
    assert_eq!(passed_on(&mut relay, A, caller.remote, &one), Some(said(1)));
    let late = closed_by(&mut phone, said(2));
    let keys = Keys { theirs: MasterKey([42; 30]), ..caller.srtp.unwrap() };
    relay.handle_command(
        Command::Change { channel: A, stream: Stream { srtp: Some(keys), ..caller } },
        START,
    );
    phone.rekey(Keys { ours: keys.theirs, theirs: keys.ours });
    let three = closed_by(&mut phone, said(3));
    assert_eq!(passed_on(&mut relay, A, caller.remote, &three), Some(said(3)));
    assert_eq!(passed_on(&mut relay, A, caller.remote, &late), Some(said(2)), "by the key before");
    assert_eq!(events(&mut relay), [Event::Heard { channel: A }]);
}

/// Somebody has kept what the telephone sent while it was encrypted, and sends it again.
#[test]
fn sig_20_encrypted_again_after_a_time_in_the_clear_nothing_old_is_let_in() {
    let (caller, mut phone) = guarded(4000, 1);
    let mut relay = bridge(caller, stream(5000));
    let said = |n: u16| bytes(8, n, &[n as u8; 160]);
    let old: Vec<Vec<u8>> = (1..100).map(|n| closed_by(&mut phone, said(n))).collect();
    for packet in &old {
        assert!(passed_on(&mut relay, A, caller.remote, packet).is_some());
    }
    let change = |relay: &mut Relay, stream| {
        relay.handle_command(Command::Change { channel: A, stream }, START);
    };
    change(&mut relay, Stream { srtp: None, ..caller });
    assert_eq!(passed_on(&mut relay, A, caller.remote, &said(100)), Some(said(100)));
    change(&mut relay, caller);
    for packet in &old {
        assert_eq!(hear(&mut relay, A, caller.remote, packet), Verdict::Drop);
    }
    let new = closed_by(&mut phone, said(101));
    assert_eq!(passed_on(&mut relay, A, caller.remote, &new), Some(said(101)));
}

/// The same key, and numbers that begin anew: RFC 3711 §9.1 asks for another SSRC.
#[test]
fn sig_20_encrypted_again_after_a_time_in_the_clear_it_is_another_sender() {
    let keys = Keys { ours: MasterKey([7; 30]), theirs: MasterKey([9; 30]) };
    let (plain, secret) = (stream(5000), Stream { srtp: Some(keys), ..stream(5000) });
    let mut relay = bridge(stream(4000), secret);
    let ssrc = |relay: &mut Relay, n: u16| {
        let mut packet = bytes(8, n, &[0; 160]);
        packet.resize(182, 0);
        assert_eq!(relay.close_packet(B, &mut packet, 172, START), Some(182));
        packet[8..12].to_vec()
    };
    let before = ssrc(&mut relay, 1);
    assert_eq!(ssrc(&mut relay, 2), before);
    for stream in [plain, secret] {
        relay.handle_command(Command::Change { channel: B, stream }, START);
    }
    assert_ne!(ssrc(&mut relay, 3), before);
}
