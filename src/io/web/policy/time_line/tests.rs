//! What stands where on the drawing.

use super::*;
use crate::duty::escalation::Policy;
use crate::duty::rehearsal::{Plan, simulate};
use crate::duty::roster::{Person, Roster};
use crate::io::clock;
use crate::io::rehearsal::next_at;
use crate::io::web::messages::policy::ZH;
use crate::protocol::now::Now;
use std::collections::BTreeMap;

fn drawn(given: &[(&str, &str)]) -> TimeLine {
    let person = |name: &str, role, mobile, office| Person::new(name, role, Some(mobile), office);
    let roster = Roster {
        people: vec![
            person("李四", Role::Leader, "13900000001", Some("2001")),
            person("王五", Role::Substitute, "1002", None),
            person("一个名字特别特别长的主任", Role::OfficeDirector, "1003", None),
            person("钱七", Role::Head, "1004", None),
        ],
    };
    let given: BTreeMap<String, String> =
        given.iter().map(|(field, value)| ((*field).into(), (*value).into())).collect();
    let (asked, fault) = Asked::of(&given, &roster);
    assert_eq!(fault, None);
    let now = clock::now();
    let start = Now { wall: next_at(asked.at, now.wall), ..now };
    let (phones, lasts) = (asked.phones(), Duration::from_secs(60 * asked.minutes));
    let (policy, urgency) = (&Policy::default(), asked.urgency);
    let events =
        simulate(&Plan { policy, roster: &roster, urgency, phones: &phones, start, lasts });
    let words = &crate::io::web::messages::ZH;
    Drawn { asked: &asked, events: &events, start: start.wall, t: &ZH, words }.time_line()
}

/// The lane of each telephone that is called, and where its calls begin.
fn begins(line: &TimeLine, lane: usize) -> Vec<usize> {
    let y = line.lanes[lane].y;
    let bars = line.bars.iter().filter(|bar| (y..y + LANE).contains(&bar.y));
    bars.filter(|bar| bar.class != "talks").map(|bar| bar.x).collect()
}

#[test]
fn esc_82_the_time_line_has_each_call_in_its_lane_at_its_second() {
    let line = drawn(&[]);
    let x = |seconds: usize| LEFT + (PLOT * seconds + 450) / 900;
    assert_eq!(line.lanes.len(), 6, "the desk and five telephones");
    assert!(line.lanes[1].detail.contains("139****0001 · 关机"), "{:?}", line.lanes[1]);
    assert_eq!(line.lanes[4].name, "办公室主任 一个名字特别特别…");
    assert_eq!(begins(&line, 1)[..2], [x(0), x(75)]);
    assert_eq!(begins(&line, 2)[0], x(45));
    assert_eq!(begins(&line, 3), [x(110)]);
    assert!(begins(&line, 4).is_empty() && begins(&line, 5).is_empty());
    assert_eq!(line.bars[0].class, "quiet", "what is off does not ring");
    let known = line.signs.iter().find(|sign| sign.class == "ok").unwrap();
    assert_eq!((known.x, known.y), (x(128) + 2, line.lanes[3].y + LANE / 2 + 5));
    assert_eq!(line.said, "03:02:08 同级替班领导 王五 按 1 知悉，距标记 2:08。");
    assert_eq!(line.siren, None);
    let times: Vec<_> = line.ticks.iter().map(|tick| tick.time.as_str()).collect();
    assert_eq!((times[0], times[1], times.len()), ("03:00", "03:01", 16));
}

#[test]
fn nobody_answers_and_the_siren_is_seen_and_written() {
    let silent: Vec<(&str, &str)> =
        ["leader_mobile", "substitute_mobile", "office_director_mobile", "head_mobile"]
            .into_iter()
            .map(|field| (field, "silent"))
            .chain([("at", "23:59")])
            .collect();
    let line = drawn(&silent);
    assert_eq!(line.siren, Some(LEFT + PLOT * 215 / 900));
    assert_eq!(line.said, "15 分钟内没有人知悉。 00:02:35 值班台响警报。");
    let siren = line.rows.iter().find(|row| row.class == "bad").unwrap();
    assert_eq!((siren.time.as_str(), siren.since.as_str()), ("00:02:35", "3:35"));
    assert!(line.rows.iter().any(|row| row.what == "从头再叫，第 2 轮"));
    assert!(line.rows.iter().any(|row| row.what == "振铃 28 秒 · 无人接"));
    assert!(line.rows.windows(2).all(|two| two[0].since.len() <= two[1].since.len()));
}

#[test]
fn whatever_is_asked_stays_within_the_drawing() {
    for minutes in ["1", "5", "15", "60"] {
        for phone in ["answers", "off", "busy", "declines", "silent", "machine", "dead"] {
            for urgency in ["urgent", "critical"] {
                let all = ["leader_mobile", "leader_office", "substitute_mobile", "head_mobile"];
                let asked: Vec<_> = all.into_iter().map(|field| (field, phone)).collect();
                let line =
                    drawn(&[&asked[..], &[("minutes", minutes), ("urgency", urgency)]].concat());
                let what = format!("{phone} {urgency} {minutes}");
                assert!(!line.bars.is_empty() && line.bars.len() <= 2 * MOST, "{what}");
                for bar in &line.bars {
                    assert!(bar.x >= LEFT && bar.x + bar.width <= line.right, "{what}: {bar:?}");
                    assert!(bar.y >= TOP + LANE && bar.y + BAR <= line.bottom, "{what}: {bar:?}");
                }
                for sign in &line.signs {
                    let takes = if sign.text.is_empty() { SHAPE } else { WORD };
                    assert!(sign.x + takes <= line.width, "{what}: {sign:?}");
                }
                assert!(line.ticks.len() <= 17, "{what}");
            }
        }
    }
}

/// Rounds of a long rehearsal are near each other: each keeps its shape, and its word only where there is room.
#[test]
fn labels_of_later_rounds_do_not_touch() {
    for minutes in ["5", "15", "30", "60"] {
        let every =
            ["leader_mobile", "leader_office", "substitute_mobile", "office_director_mobile"];
        let silent = every.into_iter().chain(["head_mobile"]).map(|field| (field, "silent"));
        let line = drawn(&silent.chain([("minutes", minutes)]).collect::<Vec<_>>());
        for shape in ["↻", "▲"] {
            let signs: Vec<&Sign> = line.signs.iter().filter(|sign| sign.shape == shape).collect();
            assert!(!signs.is_empty(), "{shape} in {minutes} minutes");
            for two in signs.windows(2) {
                let needs = if two[0].text.is_empty() { SHAPE } else { WORD };
                assert!(two[1].x - two[0].x >= needs, "{minutes} minutes: {two:?}");
            }
        }
    }
}
