//! The daemon crashes at any moment from before the flag until after the acknowledgement.

use crate::room::people::{DESK, DIRECTOR, HEAD, LEADER, LEADER_OFFICE, SUBSTITUTE};
use crate::room::{Prompt, Room, millis, minutes, seconds};
use dutyline::demo::phone::{Manner, State};
use dutyline::duty::journal::Urgency;
use dutyline::duty::notices::{Channel, Kind, Verdict, What};
use dutyline::duty::roster::Role;
use dutyline::io::store::{AttemptRow, wait};

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

/// Nobody is called at the moment of the crash, or the next step is due in it: it comes in its time, once.
#[test]
fn esc_42_a_crash_between_two_steps_loses_none_and_makes_none_twice() {
    for crash in [36_000, 45_000, 54_900, 100_000, 179_900, 180_000] {
        let mut room = Room::open();
        let entry = room.caller_dials("101");
        room.officer_answers(entry);
        room.caller_hangs_up(entry);
        room.pass(seconds(1));
        room.set_manner(SUBSTITUTE, Manner::Answers { after: seconds(3) });
        room.officer_flags_urgent(entry);
        let flagged = room.now().wall;
        room.pass(millis(crash));
        let rings =
            [LEADER, LEADER_OFFICE].iter().any(|number| room.state(number) != State::OnHook);
        room.kill_daemon();
        room.pass(millis(500));
        room.start_daemon();
        room.until("the substitute answers", seconds(200), |room| {
            room.state(SUBSTITUTE) == State::Talking
        });
        let attempts = room.attempts(entry);
        let after = |one: &AttemptRow| (one.started - flagged).num_milliseconds();
        let of_him: Vec<_> = attempts.iter().filter(|one| one.target == SUBSTITUTE).collect();
        assert_eq!(of_him.len(), 1, "crash after {crash} ms: {of_him:?}");
        let due = after(of_him[0]);
        assert!((180_000..=182_000).contains(&due), "crash after {crash} ms: called at {due} ms");
        let to_leader =
            attempts.iter().filter(|one| one.role == Role::Leader && after(one) < 180_000);
        let most = if rings { 5 } else { 4 };
        let calls: Vec<_> = to_leader.map(after).collect();
        assert!((4..=most).contains(&calls.len()), "crash after {crash} ms: {calls:?}");
        room.pass(millis(1500));
        room.presses(SUBSTITUTE, "1");
        room.pass(seconds(10));
        assert!(room.is_acknowledged(entry), "crash after {crash} ms");
        room.officer_spoke_to_the_leader(entry);
        room.pass(seconds(10));
        wait(room.store.verify_audit()).expect("the trail is whole");
        room.expect_rings(&[LEADER, LEADER_OFFICE, SUBSTITUTE, DIRECTOR, HEAD]);
    }
}

/// What was withdrawn stays so: his telephone is let go, and whoever had been told is told of it once.
#[test]
fn esc_42_a_crash_in_a_withdrawal_rings_nobody_and_tells_everybody_once() {
    let group = Channel {
        name: "群".to_owned(),
        kind: Kind::WecomBot,
        least: Urgency::Urgent,
        repeat: None,
        to_leader: false,
    };
    for crash in [0, 20, 100, 300, 600] {
        let mut room = Room::open();
        wait(room.store.set_channels(vec![group.clone()], room.now())).expect("it is written");
        let entry = room.caller_dials("101");
        room.officer_answers(entry);
        room.officer_flags_urgent(entry);
        room.rings(LEADER, seconds(2));
        let told = |room: &Room| {
            let mut told = vec![];
            while let Some(sent) =
                wait(room.store.next_notice(&group, room.now())).expect("read").send
            {
                let verdict = Verdict::Accepted { id: None };
                let ended = room.store.notice_ended(&group, sent.tries, verdict, room.now());
                wait(ended).expect("it is written");
                told.push(sent.what);
            }
            told
        };
        assert_eq!(told(&room), [What::Alert]);
        room.officer_withdraws(entry, "误报，已与来电方核实");
        room.pass(millis(crash));
        room.kill_daemon();
        room.pass(millis(500));
        room.start_daemon();
        room.until("his telephone is let go", seconds(10), |room| {
            room.state(LEADER) == State::OnHook
        });
        assert_eq!(told(&room), [What::Withdrawn], "crash after {crash} ms");
        room.pass(minutes(15));
        assert_eq!(told(&room), [], "crash after {crash} ms");
        let attempts = room.attempts(entry);
        assert_eq!(attempts.len(), 1, "crash after {crash} ms: {attempts:?}");
        assert_eq!(room.phone(LEADER).rings(), 1, "crash after {crash} ms");
        assert!(room.view(entry).escalations[0].row.withdrawn.is_some());
        assert!(!room.is_acknowledged(entry));
        wait(room.store.verify_audit()).expect("the trail is whole");
        room.caller_hangs_up(entry);
        room.expect_rings(&[LEADER]);
    }
}
