//! Clocks that are set, hosts that are started anew, and what can be said of a night.

use super::*;
use chrono::TimeZone;

fn at(seconds: i64) -> Now {
    Now {
        mono: Mono(1_000_000_000_000) + Duration::from_secs(u64::try_from(seconds).unwrap()),
        wall: wall(seconds),
    }
}

/// `seconds` after 02:00.
fn wall(seconds: i64) -> DateTime<Utc> {
    Utc.with_ymd_and_hms(2026, 10, 3, 18, 0, 0).unwrap() + TimeDelta::seconds(seconds)
}

fn moved(now: Now, seconds: i64) -> Now {
    Now { wall: now.wall + TimeDelta::seconds(seconds), ..now }
}

#[test]
fn rel_19_a_clock_that_is_set_is_noticed_once_and_slewing_is_not() {
    for step in [3_600, -3_600, 86_400, -86_400, 3, -3] {
        let mut watch = ClockWatch::default();
        assert_eq!(watch.look(at(0), Some(true)), [Noticed::Synchronised]);
        assert_eq!(watch.look(at(1), Some(true)), []);
        let noticed = watch.look(moved(at(2), step), Some(true));
        let (from, to) = (wall(2), wall(2 + step));
        assert_eq!(noticed, [Noticed::Stepped { from, to }], "{step}");
        assert_eq!(watch.look(moved(at(3), step), Some(true)), [], "{step}: once");
        assert_eq!(watch.look(at(4), Some(true)).len(), 1, "and back");
    }
    let mut watch = ClockWatch::default();
    watch.look(at(0), Some(true));
    for second in 1..7_200 {
        let slewed = at(second).wall + TimeDelta::microseconds(125 * second);
        assert_eq!(watch.look(Now { wall: slewed, ..at(second) }, Some(true)), []);
    }
}

#[test]
fn rel_19_small_steps_that_add_up_are_noticed() {
    let mut watch = ClockWatch::default();
    watch.look(at(0), Some(true));
    let steps: usize = (1..=10).map(|n| watch.look(moved(at(n), n), Some(true)).len()).sum();
    assert_eq!(steps, 3, "each time it is more than two seconds out");
}

#[test]
fn rec_k3_and_rec_k4_a_clock_that_nobody_corrects_is_noticed_and_its_error_told() {
    let mut watch = ClockWatch::default();
    assert_eq!(watch.look(at(0), Some(false)), [Noticed::Unsynchronised]);
    assert_eq!(watch.look(at(1), Some(false)), []);
    assert_eq!(watch.look(at(1), None), [], "not known is not said");
    assert_eq!(watch.alone(at(3_600)).unwrap().0, Duration::from_secs(3_600));
    let (alone, error) = watch.alone(at(86_400)).unwrap();
    assert!(alone >= LONG && error == Duration::from_millis(8_640), "{error:?}");
    // The time server is found: the clock is set, and the offset is known.
    let noticed = watch.look(moved(at(90_000), 40), Some(true));
    let (from, to) = (wall(90_000), wall(90_040));
    assert_eq!(noticed, [Noticed::Stepped { from, to }, Noticed::Synchronised]);
    assert_eq!(watch.alone(at(90_001)), None);
}

#[test]
fn since_when_nobody_was_there_is_told_by_the_last_sign_of_life() {
    let boot = [1; 16];
    let life = |seconds| Some(Life { at: at(seconds), boot });
    let since = |told: Option<i64>, life, boot, now| {
        away(told.map(wall), life, boot, now).map(|away| (away.since, away.stepped))
    };
    assert_eq!(since(None, None, boot, at(9)), None, "the first run");
    assert_eq!(since(Some(5), None, boot, at(9)), Some((wall(5), None)));
    assert_eq!(since(Some(5), life(7), boot, at(9)), Some((wall(7), None)), "killed");
    assert_eq!(since(Some(8), life(7), boot, at(9)), Some((wall(8), None)), "stopped, it said so");
    let other = Now { mono: Mono(5), wall: wall(900) };
    assert_eq!(since(Some(5), life(7), [2; 16], other), Some((wall(7), None)), "another boot");
    let earlier = Now { mono: Mono(5), wall: wall(-900) };
    let set = Some((wall(-900), Some((wall(7), wall(-900)))));
    assert_eq!(since(Some(5), life(7), [2; 16], earlier), set, "another boot, an earlier clock");
    // Set back by an hour while nobody was there: two seconds are two seconds.
    let set = moved(at(9), -3_600);
    let (since, stepped) = since(Some(5), life(7), boot, set).unwrap();
    assert_eq!(since, wall(7 - 3_600));
    assert_eq!(stepped, Some((wall(9), wall(9 - 3_600))));
}

fn stretch(kind: OutageKind, from: i64, to: Option<i64>) -> Stretch {
    Stretch { kind, stepped: false, unlogged: false, from: wall(from), to: to.map(wall) }
}

#[test]
fn that_nobody_called_is_said_only_where_somebody_could_have() {
    let hour = (wall(0), wall(3_600));
    let judge = |calls: u64, outages: &[Stretch]| {
        super::judge(hour, calls, outages, Some(wall(-86_400)), wall(7_200))
    };
    assert_eq!(judge(0, &[]), Verdict::Quiet);
    assert_eq!(judge(2, &[]), Verdict::Calls(2));
    let recorder = stretch(OutageKind::Recorder, 10, Some(20));
    let alone = stretch(OutageKind::Clock, -10, None);
    assert_eq!(judge(0, &[recorder, alone]), Verdict::Quiet, "callers were answered");
    let elsewhere = stretch(OutageKind::Line, -20, Some(0));
    assert_eq!(judge(0, &[elsewhere]), Verdict::Quiet);
    let line = stretch(OutageKind::Line, 100, Some(160));
    let service = stretch(OutageKind::Service, 130, Some(190));
    let doubt = |calls, seconds| Verdict::Doubt { calls, seconds };
    assert_eq!(judge(0, &[line, service]), doubt(0, 90), "the same second counts once");
    assert_eq!(judge(1, &[line]), doubt(1, 60));
    assert_eq!(judge(0, &[stretch(OutageKind::Line, 3_500, None)]), doubt(0, 100));
    let back = Stretch { stepped: true, ..stretch(OutageKind::Clock, 1_000, Some(400)) };
    assert_eq!(judge(0, &[back]), doubt(0, 600));
    let young = super::judge(hour, 0, &[], Some(wall(600)), wall(7_200));
    assert_eq!(young, doubt(0, 600), "before the log began");
    let soon = super::judge(hour, 0, &[], Some(wall(-1)), wall(3_000));
    assert_eq!(soon, doubt(0, 600), "it is not over");
    assert_eq!(super::judge(hour, 0, &[], None, wall(7_200)), doubt(0, 3_600));
}

fn step(from: i64, to: i64) -> Stretch {
    Stretch { stepped: true, ..stretch(OutageKind::Clock, from, Some(to)) }
}

const DAY: i64 = 86_400;

#[test]
fn rel_19_a_clock_that_was_set_and_set_back_leaves_no_doubt_but_of_what_was_there_twice_or_never() {
    let judge = |period: (i64, i64), outages: &[Stretch]| {
        let (known, proved) = (Some(wall(-500 * DAY)), wall(100 * DAY));
        super::judge((wall(period.0), wall(period.1)), 0, outages, known, proved)
    };
    let doubt = |seconds| Verdict::Doubt { calls: 0, seconds };
    let ahead = [step(-600, 40 * DAY - 600), step(40 * DAY - 300, -300)];
    let behind = [step(-600, -400 * DAY - 600), step(-400 * DAY - 300, -300)];
    let at_start =
        [stretch(OutageKind::Service, -600, Some(40 * DAY - 600)), step(40 * DAY - 300, -300)];
    for (steps, wrong) in [(ahead, 40 * DAY), (behind, -400 * DAY), (at_start, 40 * DAY)] {
        for mut steps in [steps, [steps[1], steps[0]]] {
            assert_eq!(judge((0, 3_600), &steps), Verdict::Quiet, "{wrong}");
            assert_eq!(judge((-3_600, -600), &steps), Verdict::Quiet, "{wrong}");
            assert_eq!(judge((-3_600, 3_600), &steps), doubt(300), "{wrong}: it was not there");
            let twice = (wrong - 3_600, wrong + 3_600);
            assert_eq!(judge(twice, &steps), doubt(300), "{wrong}: it was there twice");
            steps[1] = steps[0];
            assert_ne!(judge((-3_600, 3_600), &steps), Verdict::Quiet);
        }
    }
    let down = stretch(OutageKind::Service, 0, Some(600));
    assert_eq!(judge((0, 3_600), &[down, step(4_000, 3_900)]), doubt(600), "it is over");
    let lacks = Stretch { unlogged: true, ..stretch(OutageKind::Log, 0, Some(60)) };
    assert_eq!(judge((0, 3_600), &[lacks]), doubt(60), "a backup was put back");
}

#[test]
fn rel_19_a_clock_that_is_wrong_is_one_until_it_is_set_back_or_a_time_server_is_heard() {
    for by in [40 * DAY, -400 * DAY, 61] {
        let mut watch = ClockWatch::default();
        watch.look(at(0), Some(false));
        assert_eq!(watch.set(at(1)), None);
        watch.look(moved(at(2), by), Some(false));
        let set = watch.set(at(3)).unwrap();
        assert_eq!((set.from, set.to), (wall(2), wall(2 + by)));
        watch.look(moved(at(4), by), None);
        assert!(watch.set(at(5)).is_some());
        assert_eq!(watch.set(at(3 + DAY)), None, "somebody has looked");
        let mut corrected = ClockWatch::default();
        for now in [at(0), moved(at(2), by)] {
            corrected.look(now, Some(false));
        }
        corrected.look(moved(at(4), by), Some(true));
        assert_eq!(corrected.set(at(5)), None);
        watch.look(at(6), Some(false));
        assert_eq!(watch.set(at(7)), None, "and back");
    }
    let found = ClockWatch::after(Some((wall(0), wall(-400 * DAY))), at(0));
    assert!(found.set(at(1)).is_some());
    let mut little = ClockWatch::default();
    little.look(at(0), None);
    assert_eq!(little.look(moved(at(1), 30), None).len(), 1);
    assert_eq!(little.set(at(2)), None);
}

#[test]
fn rel_19_whoever_was_away_for_weeks_may_have_a_wrong_clock() {
    let (boot, other) = ([1; 16], [2; 16]);
    let life = Some(Life { at: at(7), boot });
    let jumped = |boot, now: Now| away(None, life, boot, now).unwrap().jumped(now);
    let rebooted = |seconds: i64| Now { mono: Mono(5), wall: wall(seconds) };
    assert_eq!(jumped(other, rebooted(DAY)), None);
    assert_eq!(jumped(other, rebooted(40 * DAY)), Some((wall(7), wall(40 * DAY))));
    assert_eq!(jumped(other, rebooted(-400 * DAY)), Some((wall(7), wall(-400 * DAY))));
    assert_eq!(jumped(boot, at(9)), None);
    let ahead = moved(at(9), 40 * DAY);
    assert_eq!(jumped(boot, ahead), Some((wall(9), wall(9 + 40 * DAY))));
}
