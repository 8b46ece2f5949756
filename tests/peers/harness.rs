//! Proof of the harness itself: what these peers do without the daemon.

use crate::baresip::{Baresip, Setup};
use crate::calls::talk;
use crate::kamailio::Kamailio;
use crate::ports::Ports;
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
