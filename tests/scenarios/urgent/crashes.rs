//! The daemon crashes at any moment from before the flag until after the acknowledgement.

use crate::room::people::{DESK, DIRECTOR, HEAD, LEADER, LEADER_OFFICE, SUBSTITUTE};
use crate::room::{Prompt, Room, millis, minutes, seconds};
use dutyline::demo::phone::{Manner, State};

#[test]
fn esc_42_a_crash_at_any_moment_loses_nothing() {
    crashes_lose_nothing(true);
}

/// Nobody hangs up: the leader's call goes on where it was, and he is not called twice.
#[test]
fn esc_42_a_crash_at_any_moment_is_nothing_to_the_leader() {
    crashes_lose_nothing(false);
}

fn crashes_lose_nothing(all_hang_up: bool) {
    // From before the flag until after the acknowledgement.
    let crashes = std::env::var("DUTYLINE_CRASHES").ok().and_then(|many| many.parse().ok());
    let crashes: u32 = crashes.unwrap_or(70);
    for crash in (0..crashes).map(|step| millis(100) + seconds(14) * step / crashes) {
        let mut room = Room::open();
        let entry = room.caller_dials("101");
        room.officer_answers(entry);
        room.set_manner(LEADER, Manner::Answers { after: seconds(3) });
        room.officer_flags_urgent(entry);
        let flagged = room.now().mono;
        let end = flagged + crash;
        while room.now().mono < end {
            room.leader_presses_when_asked();
            room.pass_until(end, millis(100));
        }
        let knew = room.is_acknowledged(entry);
        let confirmed = room.heard(LEADER).contains(&Prompt::Confirmed);
        assert!(knew || !confirmed, "confirmed but not written down, crash after {crash:?}");
        room.kill_daemon();
        if all_hang_up {
            room.hangs_up_unheard("101");
            room.hangs_up_unheard(DESK);
            room.hangs_up_unheard(LEADER);
        }
        room.pass(seconds(1));
        room.start_daemon();
        // Whoever pressed in vain presses again.
        let leader = room.at(LEADER);
        room.posts[leader].pressed = false;
        // A phone that was refused while it rang is heard of now, and called by its turn again.
        let patience = if all_hang_up { minutes(10) } else { seconds(60) };
        let end = room.now().mono + patience;
        while room.now().mono < end && !room.is_acknowledged(entry) {
            room.leader_presses_when_asked();
            room.pass(millis(200));
        }
        assert!(room.is_acknowledged(entry), "never acknowledged, crash after {crash:?}");
        room.pass(seconds(10));
        if !all_hang_up {
            assert_eq!(room.state("101"), State::Talking, "the call went on");
            assert_eq!(room.attempts(entry).len(), 1, "one call to him, crash after {crash:?}");
            room.caller_hangs_up(entry);
            room.pass(seconds(1));
        }
        assert!(room.entry(entry).ended_at.is_some(), "the call never ended in the log");
        room.expect_rings(&[LEADER, LEADER_OFFICE, SUBSTITUTE, DIRECTOR, HEAD]);
    }
}
