//! The officer calls out over the duty line by a click on his page: his phone first, then the number.

use crate::room::people::{DESK, DIRECTOR, HEAD};
use crate::room::{Room, millis, minutes, seconds, tones};
use dutyline::demo::pbx::Algorithm;
use dutyline::demo::phone::{Event, Manner, State, sound};
use dutyline::duty::ids::{CallId, EntryId};
use dutyline::duty::journal::{Disposition, Fact, Joining};
use dutyline::duty::placed::Refusal;
use dutyline::io::store::{CallState, RecordingState};
use dutyline::protocol::rtp::Party;
use std::time::Duration;

/// Whose phone is [`DIRECTOR`], which the PBX wants dialled with a 9.
const MOBILE: &str = "139 0000-0003";
const PLAIN: &str = "13900000003";

fn speech(seed: u8) -> Vec<u8> {
    (0..8000).map(|n| (n as u8).wrapping_mul(31).wrapping_add(seed) & 0x7f).collect()
}

/// A site that dials 9 for an outside line and lets its officers call mobiles.
fn evening() -> Room {
    capped(100)
}

fn capped(per_day: u32) -> Room {
    let mut room = Room::before_the_start(0, Algorithm::Sha256);
    room.plan.callers.numbering.outside_prefixes = vec!["9".to_owned()];
    room.plan.dial.allow = vec!["1xxxxxxxxxx".to_owned()];
    room.plan.dial.per_day = per_day;
    room.start_daemon();
    room.pass(seconds(1));
    room
}

fn talking(room: &mut Room) -> EntryId {
    let entry = room.officer_dials(MOBILE);
    room.officer_waits_for(DIRECTOR);
    room.picks_up(DIRECTOR);
    room.until("the two are connected", seconds(2), |room| {
        let states = [DESK, DIRECTOR].map(|number| room.state(number));
        states == [State::Talking; 2]
    });
    room.pass(millis(50));
    entry
}

fn ended(room: &Room, entry: EntryId) -> (Option<Disposition>, Option<u16>) {
    let call = room.row(entry).and_then(|row| row.call).expect("a call");
    (call.disposition, call.status)
}

#[test]
fn sig_24_his_phone_rings_first_then_the_number_and_both_are_recorded() {
    for hangs_up in [DESK, DIRECTOR] {
        let mut room = evening();
        let entry = room.officer_dials(MOBILE);
        let Some((_, Event::Rings { from })) = room.phone(DESK).story.last() else { panic!() };
        assert_eq!(from.display, format!("{PLAIN} 赵主任"), "he sees whom he is about to call");
        assert_eq!(room.state(DIRECTOR), State::OnHook, "and nobody else is rung");
        room.officer_waits_for(DIRECTOR);
        let Some((_, Event::Rings { from })) = room.phone(DIRECTOR).story.last() else { panic!() };
        assert_eq!((from.user.as_str(), from.display.as_str()), ("100", "值班室"));
        room.pass(millis(500));
        assert!(!room.phone(DESK).phone.heard().is_empty(), "he hears that it rings");
        let row = room.row(entry).expect("an entry");
        let call = row.call.expect("a call");
        assert_eq!((call.placed, call.state), (true, CallState::Ringing));
        assert_eq!((call.caller.as_str(), row.caller_phone.as_str()), (PLAIN, PLAIN));
        room.picks_up(DIRECTOR);
        room.pass(millis(500));
        room.says(DESK, &speech(1));
        room.says(DIRECTOR, &speech(2));
        room.pass(millis(50));
        assert!(sound(room.phone(DIRECTOR).phone.heard(), 8).ends_with(&speech(1)), "each sample");
        assert!(sound(room.phone(DESK).phone.heard(), 8).ends_with(&speech(2)), "each sample");
        room.hangs_up(hangs_up);
        room.pass(seconds(1));
        assert_eq!([DESK, DIRECTOR].map(|number| room.state(number)), [State::OnHook; 2]);
        let by = if hangs_up == DESK { Party::Officer } else { Party::Caller };
        assert_eq!(room.ending(entry), Some((Some(by), 200)));
        let view = room.view(entry);
        assert_eq!(view.row.call.and_then(|call| call.disposition), Some(Disposition::Answered));
        assert_eq!(view.recording.map(|one| one.state), Some(RecordingState::Sealed));
        let legs: Vec<_> =
            view.legs.iter().map(|leg| (leg.phone.as_str(), leg.how, leg.status)).collect();
        let both = [("值班台话机", Joining::Rung, Some(200)), (PLAIN, Joining::Out, Some(200))];
        assert_eq!(legs, both);
        let daemon = room.daemon.as_ref().unwrap();
        for party in [Party::Officer, Party::Caller] {
            assert!(daemon.taped(CallId(entry.0), party) >= 50, "{party:?} is on the tape");
        }
        assert_eq!(room.all_rows().len(), 1);
    }
}

#[test]
fn sig_24_what_becomes_of_it_is_told_apart() {
    let refuses = |status| Manner::Refuses { after: millis(300), status };
    let at_once = Manner::Refuses { after: Duration::ZERO, status: 480 };
    for (manner, how) in [
        (refuses(486), (Disposition::BusyMissed, 486)),
        (refuses(603), (Disposition::Declined, 603)),
        (refuses(480), (Disposition::Missed, 480)),
        (refuses(503), (Disposition::Failed, 503)),
        (at_once, (Disposition::Failed, 480)),
    ] {
        let mut room = evening();
        room.set_manner(DIRECTOR, manner);
        let entry = room.officer_dials(MOBILE);
        room.picks_up(DESK);
        room.until("the officer is let go", seconds(3), |room| room.state(DESK) == State::OnHook);
        room.pass(seconds(1));
        room.expect_rings(&[DIRECTOR]);
        assert_eq!(ended(&room, entry), (Some(how.0), Some(how.1)), "{manner:?}");
        assert_eq!(room.view(entry).legs[1].status, Some(how.1));
        assert!(room.view(entry).callback.is_none());
    }
}

#[test]
fn sig_24_nobody_answers_for_two_minutes() {
    let mut room = evening();
    let entry = room.officer_dials(MOBILE);
    room.officer_waits_for(DIRECTOR);
    room.pass(seconds(121));
    let stopped = |(_, event): &(_, Event)| *event == Event::Stopped;
    assert!(room.phone(DIRECTOR).story.iter().any(stopped), "CANCEL");
    assert_eq!(room.state(DESK), State::OnHook);
    assert_eq!(ended(&room, entry), (Some(Disposition::Missed), Some(408)));
}

#[test]
fn sig_24_the_officer_gives_up_on_his_phone_or_on_the_page() {
    for by_phone in [true, false] {
        let mut room = evening();
        let entry = room.officer_dials(MOBILE);
        room.officer_waits_for(DIRECTOR);
        match by_phone {
            true => room.hangs_up(DESK),
            false => room.officer_gives_up(entry),
        }
        room.pass(seconds(1));
        assert_eq!(room.phone(DIRECTOR).last(), Some(&Event::Stopped), "CANCEL");
        assert_eq!(room.state(DESK), State::OnHook);
        assert_eq!(ended(&room, entry), (Some(Disposition::Abandoned), Some(487)));
    }
}

#[test]
fn sig_24_given_up_on_the_page_his_own_phone_stops_ringing_and_nobody_is_called() {
    let mut room = evening();
    let entry = room.officer_dials(MOBILE);
    room.officer_gives_up(entry);
    room.pass(seconds(1));
    assert_eq!(room.phone(DESK).last(), Some(&Event::Stopped));
    assert_eq!(ended(&room, entry).0, Some(Disposition::Abandoned));
    assert!(room.view(entry).recording.is_none(), "there was nothing to hear");
}

#[test]
fn sig_24_his_phone_is_not_picked_up_and_nobody_is_called() {
    let mut room = evening();
    let entry = room.officer_dials(MOBILE);
    room.pass(seconds(25));
    assert_eq!(room.phone(DESK).last(), Some(&Event::Stopped));
    assert_eq!(ended(&room, entry), (Some(Disposition::Failed), Some(408)));
    let entry = room.officer_dials(MOBILE);
    room.refuses(DESK, 486);
    room.pass(seconds(1));
    assert_eq!(ended(&room, entry), (Some(Disposition::Failed), Some(486)));
    assert_eq!(room.view(entry).legs.len(), 1);
}

#[test]
fn sig_24_a_click_in_the_middle_ends_both_legs() {
    let mut room = evening();
    let entry = talking(&mut room);
    room.officer_gives_up(entry);
    room.pass(seconds(1));
    assert_eq!([DESK, DIRECTOR].map(|number| room.state(number)), [State::OnHook; 2]);
    assert_eq!(room.ending(entry), Some((Some(Party::Officer), 200)));
}

#[test]
fn sig_24_only_what_the_site_names_is_called_and_the_officer_is_told_why() {
    let mut room = evening();
    for (number, why) in [
        ("0044 20 7946 0000", Refusal::NotNamed),
        ("张三", Refusal::NoNumber),
        ("", Refusal::NoNumber),
        ("100", Refusal::Ourselves),
        ("201", Refusal::Ourselves),
        ("01063001234", Refusal::NotNamed),
    ] {
        let entry = room.officer_asks_for(number, None);
        room.pass(seconds(1));
        assert_eq!(room.refusal(entry), Some(why), "{number}");
        assert!(room.row(entry).is_none(), "nothing is in the log but the audit");
    }
    assert_eq!(room.phone(DESK).rings(), 0);
}

/// The police are called without being named; that nobody answers there is the room's.
#[test]
fn sig_24_emergency_numbers_are_never_refused() {
    let mut room = capped(0);
    let entry = room.officer_asks_for("110", None);
    room.picks_up(DESK);
    room.pass(seconds(1));
    assert_eq!(room.refusal(entry), None);
    assert_eq!(ended(&room, entry), (Some(Disposition::Failed), Some(404)), "9110 at this PBX");
}

#[test]
fn sig_24_the_days_cap_outlives_a_restart_and_ends_at_midnight() {
    let mut room = capped(2);
    room.set_manner(DIRECTOR, Manner::Refuses { after: Duration::ZERO, status: 486 });
    let dial = |room: &mut Room| {
        let entry = room.officer_asks_for(MOBILE, None);
        room.pass(millis(100));
        if room.state(DESK) == State::Ringing {
            room.picks_up(DESK);
        }
        room.pass(seconds(2));
        room.refusal(entry)
    };
    assert_eq!(dial(&mut room), None);
    room.kill_daemon();
    room.pass(millis(300));
    room.start_daemon();
    room.pass(seconds(1));
    assert_eq!(dial(&mut room), None);
    room.stop_daemon();
    room.start_daemon();
    room.pass(seconds(1));
    assert_eq!(dial(&mut room), Some(Refusal::TooMany));
    let named = room.officer_asks_for("202", None);
    room.officer_waits_for("202");
    assert_eq!(room.refusal(named), None, "the room's own phones are never capped");
    room.hangs_up(DESK);
    // The evening began at nine.
    room.pass(minutes(181));
    assert_eq!(dial(&mut room), None);
}

#[test]
fn sig_24_the_log_stands_still_and_the_phone_rings_all_the_same() {
    let mut room = evening();
    room.log_stalls(seconds(5));
    let entry = room.officer_asks_for(MOBILE, None);
    room.rings(DESK, millis(200));
    assert!(room.row(entry).is_none());
    room.officer_waits_for(DIRECTOR);
    room.pass(seconds(6));
    assert!(room.row(entry).is_some(), "written as soon as it can be");
    room.hangs_up(DESK);
    room.pass(seconds(1));
}

#[test]
fn sig_24_and_sig_34_a_conversation_survives_kill_9() {
    let mut room = evening();
    let entry = talking(&mut room);
    room.says(DIRECTOR, &speech(1));
    room.kill_daemon();
    room.pass(millis(300));
    room.start_daemon();
    room.says(DIRECTOR, &speech(2));
    room.says(DESK, &speech(3));
    room.pass(millis(50));
    assert!(sound(room.phone(DESK).phone.heard(), 8).ends_with(&speech(2)), "every sample");
    assert!(sound(room.phone(DIRECTOR).phone.heard(), 8).ends_with(&speech(3)), "every sample");
    room.hangs_up(DIRECTOR);
    room.pass(seconds(1));
    assert_eq!(room.state(DESK), State::OnHook);
    assert_eq!(room.ending(entry), Some((Some(Party::Caller), 200)));
    let view = room.view(entry);
    assert_eq!(view.recording.map(|one| one.state), Some(RecordingState::Partial));
}

/// Telephones are deaf to numbers that fall back.
#[test]
fn sig_34_who_heard_it_ring_before_the_kill_hears_the_other_after_it() {
    let mut room = evening();
    room.officer_dials(MOBILE);
    room.officer_waits_for(DIRECTOR);
    room.pass(millis(1500));
    room.picks_up(DIRECTOR);
    room.pass(millis(500));
    room.says(DIRECTOR, &speech(1));
    for seed in 2..4 {
        room.pass(seconds(2));
        room.kill_daemon();
        room.pass(millis(300));
        room.start_daemon();
        room.says(DIRECTOR, &speech(seed));
        room.pass(millis(50));
        assert!(sound(room.phone(DESK).phone.heard(), 8).ends_with(&speech(seed)), "every sample");
    }
    let heard = room.phone(DESK).phone.heard();
    assert!(heard.len() > 75 + 100, "the tone, and what was said");
    for pair in heard.windows(2) {
        assert_eq!(pair[0].ssrc, pair[1].ssrc, "one stream");
        let step = pair[1].sequence.wrapping_sub(pair[0].sequence);
        assert!((1..1000).contains(&step), "{step}");
        assert!(pair[1].timestamp.wrapping_sub(pair[0].timestamp) < 8000 * 60, "{pair:?}");
    }
    room.hangs_up(DESK);
    room.pass(seconds(1));
}

#[test]
fn sig_24_and_sig_36_killed_while_it_rings_it_ends_and_both_phones_are_free() {
    for at_desk in [true, false] {
        let mut room = evening();
        let entry = room.officer_dials(MOBILE);
        if !at_desk {
            room.officer_waits_for(DIRECTOR);
        }
        room.kill_daemon();
        room.pass(millis(300));
        room.start_daemon();
        room.pass(seconds(2));
        assert_eq!([DESK, DIRECTOR].map(|number| room.state(number)), [State::OnHook; 2]);
        assert_eq!(ended(&room, entry).0, Some(Disposition::Interrupted));
        let why = room.facts().find_map(|noted| match &noted.fact {
            Fact::Ended { why, .. } => Some(why.clone()),
            _ => None,
        });
        assert_eq!(why.as_deref(), Some("the daemon was restarted while it was dialled"));
    }
}

/// He picked up while nobody was there to hear of it.
#[test]
fn sig_24_and_sig_36_whoever_picked_up_meanwhile_is_let_go() {
    let mut room = evening();
    let entry = room.officer_dials(MOBILE);
    room.officer_waits_for(DIRECTOR);
    room.kill_daemon();
    let at = room.at(DIRECTOR);
    room.act(at, |post, now| post.phone.pick_up(now));
    room.pass(millis(300));
    room.start_daemon();
    room.pass(seconds(4));
    assert_eq!([DESK, DIRECTOR].map(|number| room.state(number)), [State::OnHook; 2]);
    assert_eq!(ended(&room, entry).0, Some(Disposition::Interrupted));
}

/// Behind an FXO gateway the busy tone is all that tells of the end.
#[test]
fn sig_24_and_sig_37_the_busy_tone_ends_a_call_of_ours_too() {
    let mut room = Room::before_the_start(0, Algorithm::Sha256);
    room.plan.callers.numbering.outside_prefixes = vec!["9".to_owned()];
    room.plan.dial.allow = vec!["1xxxxxxxxxx".to_owned()];
    room.plan.answer_supervision = false;
    room.start_daemon();
    room.pass(seconds(1));
    let entry = talking(&mut room);
    let at = room.at(DIRECTOR);
    room.act(at, |post, now| post.phone.say(&tones::busy(8), now));
    room.until("the officer is let go", seconds(4), |room| room.state(DESK) == State::OnHook);
    room.pass(seconds(1));
    assert_eq!(room.ending(entry), Some((Some(Party::Caller), 200)));
}

#[test]
fn sig_24_a_caller_who_comes_meanwhile_is_served_beside_it() {
    let mut room = evening();
    let first = talking(&mut room);
    // A caller who comes meanwhile finds the desk busy, and the call of ours untouched.
    room.caller_tries("101");
    room.pass(seconds(1));
    room.expect_rings(&["202"]);
    room.hangs_up("101");
    room.pass(seconds(1));
    assert_eq!(room.state(DIRECTOR), State::Talking);
    assert_eq!(room.all_rows().len(), 2);
    room.hangs_up(DESK);
    room.pass(seconds(1));
    assert_eq!(ended(&room, first).0, Some(Disposition::Answered));
    assert_eq!(room.phone(HEAD).rings(), 0);
}
