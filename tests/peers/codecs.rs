//! Codecs other than G.711 with real phones through a real PBX, which hands their descriptions on.

use crate::calls::{Room, connect, talk};
use crate::daemon::{Daemon, Plan};
use crate::wave;
use dutyline::protocol::rtp::{Codec, g711};

const CALL: &str = "SELECT id FROM call WHERE direction = 'in'";

/// The caller's samples and the officer's.
type Sides = [Vec<i16>; 2];

/// A conversation between two phones with these codecs; what each said and heard.
fn spoken(caller: &str, officer: &str) -> Option<(Room, Daemon, Sides, Sides)> {
    spoken_by(caller, officer, [wave::voice(31, 12), wave::voice(32, 12)])
}

fn spoken_by(caller: &str, officer: &str, says: Sides) -> Option<(Room, Daemon, Sides, Sides)> {
    let mut room = Room::open()?;
    let daemon = room.daemon(&Plan::default());
    let codecs = |codecs: &str| format!(";audio_codecs={codecs}");
    let mut calling = room.phone_with("caller", &says[0], &codecs(caller));
    let mut answering = room.phone_with("2001", &says[1], &codecs(officer));
    connect(&mut calling, &mut answering);
    talk(5);
    calling.hangup();
    calling.closed();
    answering.closed();
    daemon.row_is("SELECT disposition FROM call", "answered");
    let heard = [calling.heard(), answering.heard()];
    Some((room, daemon, says, heard))
}

fn assert_recorded(daemon: &Daemon, says: &Sides) {
    let recorded = daemon.recording(CALL);
    for (side, said) in says.iter().enumerate() {
        let likeness = wave::likeness(said, &recorded.channels[side]);
        assert!(likeness > 0.9, "channel {side}: {likeness}");
    }
}

#[test]
fn sig_19_g722_passes_through_and_is_decoded_for_the_recording() {
    let Some((_room, daemon, says, _)) = spoken("G722", "G722,PCMA") else { return };
    assert_recorded(&daemon, &says);
    assert_eq!(daemon.row("SELECT state FROM recording"), "sealed");
}

#[test]
fn sig_19_g722_is_turned_into_a_law_for_a_phone_that_has_nothing_else() {
    let Some((_room, daemon, says, heard)) = spoken("G722", "PCMA") else { return };
    assert_recorded(&daemon, &says);
    let likeness = wave::likeness(&says[0], &heard[1]);
    assert!(likeness > 0.9, "the officer heard the caller: {likeness}");
}

/// As it is after this codec.
fn through(codec: Codec, said: &[i16]) -> Vec<i16> {
    said.iter().map(|sample| g711::decode(codec, g711::encode(codec, *sample))).collect()
}

/// The one hears what the other said, sample for sample, as the two codecs leave it.
fn share_nothing(caller: (&str, Codec), officer: (&str, Codec)) {
    let says = [through(caller.1, &wave::voice(31, 12)), through(officer.1, &wave::voice(32, 12))];
    let Some((_room, daemon, says, heard)) = spoken_by(caller.0, officer.0, says) else { return };
    let recorded = daemon.recording(CALL);
    for (what, said, heard) in [
        ("at the officer", &through(officer.1, &says[0]), &heard[1]),
        ("at the caller", &through(caller.1, &says[1]), &heard[0]),
        ("left in the recording", &says[0], &recorded.channels[0]),
        ("right in the recording", &says[1], &recorded.channels[1]),
    ] {
        let found = wave::compare(said, heard).unwrap_or_else(|| panic!("{what}: nothing"));
        println!("{what}: {found:?}");
        assert!(found.is_whole() && found.same > 4 * wave::RATE, "{what}: {found:?}");
    }
    assert_eq!(daemon.row("SELECT state FROM recording"), "sealed");
}

#[test]
fn sig_19_an_a_law_caller_and_a_mu_law_phone_hear_each_other() {
    share_nothing(("PCMA", Codec::Pcma), ("PCMU", Codec::Pcmu));
}

#[test]
fn sig_19_a_mu_law_caller_and_an_a_law_phone_hear_each_other() {
    share_nothing(("PCMU", Codec::Pcmu), ("PCMA", Codec::Pcma));
}

#[test]
fn sig_19_a_law_is_turned_into_g722_for_a_phone_that_has_nothing_else() {
    let Some((_room, daemon, says, heard)) = spoken("PCMA", "G722") else { return };
    assert_recorded(&daemon, &says);
    for (who, said) in says.iter().enumerate() {
        let likeness = wave::likeness(said, &heard[1 - who]);
        assert!(likeness > 0.9, "{who} was heard: {likeness}");
    }
}

#[cfg(feature = "opus")]
#[test]
fn sig_19_opus_is_turned_into_a_law_and_back_where_the_two_share_nothing() {
    for codecs in [["opus/48000/2", "PCMA"], ["PCMU", "opus/48000/2"]] {
        let Some((_room, daemon, says, heard)) = spoken(codecs[0], codecs[1]) else { return };
        assert_recorded(&daemon, &says);
        for (who, said) in says.iter().enumerate() {
            let likeness = wave::likeness(said, &heard[1 - who]);
            println!("{codecs:?}: {who} was heard {likeness}");
            // Its decoder's 48,000 samples a second do not fall on ours: half of one is 62 us.
            assert!(likeness > 0.8, "{codecs:?}: {who} was heard: {likeness}");
        }
    }
}

/// The officer's phone names both and speaks the first of them, whatever it is spoken to in.
#[cfg(feature = "opus")]
#[test]
fn sig_19_a_phone_that_answers_opus_and_a_law_is_heard_and_recorded() {
    let Some((_room, daemon, says, heard)) = spoken("PCMA", "opus/48000/2,PCMA") else { return };
    assert_recorded(&daemon, &says);
    for (who, said) in says.iter().enumerate() {
        let likeness = wave::likeness(said, &heard[1 - who]);
        println!("{who} was heard {likeness}");
        assert!(likeness > 0.8, "{who} was heard: {likeness}");
    }
}

#[test]
fn sig_19_opus_passes_through_and_the_recording_says_what_it_is_without() {
    let Some((_room, daemon, says, _)) = spoken("opus/48000/2", "opus/48000/2") else { return };
    if cfg!(feature = "opus") {
        return assert_recorded(&daemon, &says);
    }
    daemon.row_is("SELECT state IN ('missing', 'partial') FROM recording", "1");
    let reason = daemon.row("SELECT reason FROM recording");
    assert!(reason.contains("Opus") && reason.contains("原始数据包已保留"), "{reason}");
}
