//! Proof of the harness itself: what these peers do without the daemon.

use crate::baresip::{Baresip, Setup};
use crate::calls::talk;
use crate::kamailio::Kamailio;
use crate::ports::Ports;
use crate::twin::{FarEnd, Seen, TrunkCaller, Voice};
use crate::{have, wave};
use std::time::Duration;

const SOON: Duration = Duration::from_secs(5);

#[test]
fn two_phones_hear_each_other_through_the_pbx() {
    if !have(&["kamailio", "baresip"]) {
        return;
    }
    let folder = tempfile::tempdir().expect("a folder");
    let ports = Ports::take();
    let _pbx = Kamailio::start(folder.path(), &ports);
    let (caller_says, officer_says) = (wave::voice(1, 30), wave::voice(2, 30));
    let phone = |user, order, says| {
        Baresip::start(folder.path(), &ports, &Setup { user, order, says, extra: "" })
    };
    let mut caller = phone("caller", 0, &caller_says);
    let mut officer = phone("2001", 1, &officer_says);

    // 1001 is not registered here: the PBX rings the officer itself.
    caller.dial("1001");
    officer.incoming(SOON);
    officer.accept();
    officer.established();
    caller.established();
    talk(4);
    caller.hangup();
    officer.closed();
    caller.closed();

    let at_officer = wave::frames_said(&caller_says, &officer.heard());
    let at_caller = wave::frames_said(&officer_says, &caller.heard());
    assert!(at_officer > 0.99 && at_caller > 0.99, "{at_officer} {at_caller}");
}

#[test]
fn a_hand_written_call_passes_through_the_pbx() {
    if !have(&["kamailio"]) {
        return;
    }
    let folder = tempfile::tempdir().expect("a folder");
    let ports = Ports::take();
    let _pbx = Kamailio::start(folder.path(), &ports);
    let far_end = FarEnd::start(&ports);
    let mut caller = TrunkCaller::new(&ports, "13800130007");
    assert_eq!(caller.call("9200"), 200);
    let at_caller = far_end.invited().media();
    assert_eq!(at_caller, caller.media.local_addr().expect("an address"));
    let packet = Voice::new(1).packet(&[0xd5; 160]);
    caller.media.send_to(&packet, caller.remote_media()).expect("sent");
    let mut heard = [0; 2048];
    far_end.media.set_read_timeout(Some(SOON)).expect("a timeout");
    assert_eq!(far_end.media.recv(&mut heard).expect("voice"), packet.len());
    assert_eq!(heard[..packet.len()], packet);
    caller.hang_up();
    let seen: Vec<_> =
        std::iter::from_fn(|| far_end.seen.recv_timeout(SOON).ok()).take(2).collect();
    // The PBX's workers may let the BYE overtake the ACK.
    assert_eq!(seen.len(), 2, "{seen:?}");
    assert!(seen.iter().any(|seen| matches!(seen, Seen::Ended)), "{seen:?}");
    drop(caller);
    assert_eq!(TrunkCaller::new(&ports, "2").call("9486"), 486);
}

/// What the phone sends when a key is pressed is RFC 4733, and the far end sees which.
#[test]
fn a_phone_presses_keys() {
    if !have(&["kamailio", "baresip"]) {
        return;
    }
    let folder = tempfile::tempdir().expect("a folder");
    let ports = Ports::take();
    let _pbx = Kamailio::start(folder.path(), &ports);
    let far_end = FarEnd::start(&ports);
    let says = wave::voice(1, 10);
    let setup = Setup { user: "caller", order: 0, says: &says, extra: "" };
    let mut caller = Baresip::start(folder.path(), &ports, &setup);
    caller.dial("9200");
    caller.established();
    let mut last = None;
    for (key, event) in [('*', 10), ('9', 9), ('1', 1)] {
        caller.press(key);
        assert_eq!(next_event(&far_end, &mut last), event);
    }
    caller.hangup();
    caller.closed();
}

/// The next finished telephone-event at the far end; its end comes three times, with the same
/// timestamp (RFC 4733 §2.5.1.4).
fn next_event(far_end: &FarEnd, last: &mut Option<[u8; 4]>) -> u8 {
    let mut packet = [0; 2048];
    far_end.media.set_read_timeout(Some(SOON)).expect("a timeout");
    crate::process::wait_until("a key at the far end", SOON, || {
        let length = far_end.media.recv(&mut packet).ok()?;
        let (is_event, is_end) = (packet[1] & 0x7f == 101, packet[13] & 0x80 != 0);
        let timestamp: [u8; 4] = packet[4..8].try_into().expect("four bytes");
        let is_new = length == 16 && is_event && is_end && *last != Some(timestamp);
        is_new.then(|| {
            *last = Some(timestamp);
            packet[12]
        })
    })
}
