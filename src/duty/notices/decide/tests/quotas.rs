//! As many as a provider takes, and the first notice in any case.

use super::*;

#[test]
fn esc_79_of_25_messages_in_a_minute_20_are_on_the_wire_at_most_and_none_is_lost() {
    let mut room = Room::of(Kind::DingtalkBot);
    let mut matters = vec![];
    for nth in 0..25 {
        let urgency = if nth % 5 == 4 { Urgency::Critical } else { Urgency::Urgent };
        matters.push(room.flagged(urgency));
        room.pass(2.0);
    }
    room.pass(10.0);
    assert!(room.wire.len() <= 20, "{}", room.wire.len());
    let said: BTreeSet<_> = room.wire.iter().flat_map(|sent| &sent.matters).collect();
    assert_eq!(said.len(), 25, "none lost");

    // All at once: one message, the most urgent first.
    let mut room = Room::of(Kind::DingtalkBot);
    for nth in 0..15 {
        room.flagged(if nth == 14 { Urgency::Critical } else { Urgency::Urgent });
    }
    room.pass(1.0);
    assert_eq!(room.wire.len(), 1);
    let first = room.wire[0].matters[0];
    assert_eq!(first, room.queue.deliveries[14].escalation);
    assert_eq!(room.wire[0].matters.len(), 15);
}

#[test]
fn esc_30_five_matters_in_a_minute_are_one_short_message_each_half_minute_at_most() {
    let mut room = Room::of(Kind::Sms);
    for _ in 0..5 {
        room.flagged(Urgency::Urgent);
        room.pass(12.0);
    }
    room.pass(31.0);
    let times = room.times();
    assert!(times.windows(2).all(|two| two[1] - two[0] >= 30.0), "{times:?}");
    let said: BTreeSet<_> = room.wire.iter().flat_map(|sent| &sent.matters).collect();
    assert_eq!((times[0], said.len()), (0.0, 5), "{:?}", room.wire);
}

/// Whatever else the channel has to say: never longer than its pause between two messages.
#[test]
fn esc_81_no_quota_ever_blocks_the_first_notice_of_a_new_matter() {
    let kinds = [Kind::WecomBot, Kind::WecomApp, Kind::FeishuBot, Kind::Ntfy, Kind::Sms];
    let mut random = Random::from_seed([81; 32]);
    for run in 0..100_000_usize {
        let kind = kinds[run % kinds.len()];
        let mut room = Room::of(kind);
        room.channel.repeat = Some(seconds(60.0));
        // A channel that has been busy all day.
        for _ in 0..random.below(40) {
            let ago = Duration::from_millis(random.below(70_000));
            room.queue.sent.push(room.now.back_to(room.now.mono - ago).into());
        }
        room.queue.sent.sort_by_key(|at| at.wall);
        let mut flagged = vec![];
        for _ in 0..1 + random.below(6) {
            flagged.push((room.now.mono, room.flagged(Urgency::Urgent)));
            room.pass(random.below(8_000) as f64 / 1e3);
        }
        room.pass(kind.quota().patience().as_secs_f64() + 0.2);
        for (at, matter) in flagged {
            let first = room.wire.iter().find(|sent| sent.matters.contains(&matter));
            let waited = first.map(|sent| sent.at - room.since(at));
            let most = kind.quota().patience().as_secs_f64() + 0.1;
            assert!(waited.is_some_and(|waited| waited <= most), "run {run} {kind:?}: {waited:?}");
        }
    }
}

#[test]
fn esc_59_what_is_said_again_is_said_off_the_half_hour_and_the_first_notice_at_once() {
    let mut room = Room::of(Kind::FeishuBot);
    room.now.wall = Utc.with_ymd_and_hms(2026, 10, 3, 13, 59, 55).unwrap();
    let start = room.now.wall;
    room.channel.repeat = Some(seconds(300.0));
    room.flagged(Urgency::Urgent);
    room.pass(23.0 * 3600.0);
    assert_eq!(room.wire[0].at, 0.0, "never delayed");
    assert!(room.wire.len() > 200, "{}", room.wire.len());
    for sent in &room.wire[1..] {
        let at = (start + TimeDelta::milliseconds((sent.at * 1e3) as i64)).timestamp();
        let into = at.rem_euclid(1800);
        assert!((11..1790).contains(&into), "{into} s after a half hour");
    }
}
