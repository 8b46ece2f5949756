//! That nobody is recorded, told to whoever mends it.

use super::*;
use crate::io::status::Alarm;
use crate::io::store::tests::stalled;

fn is_not_recording(board: &Board) {
    let since = clock::now().wall;
    let (zh, en) = ("未在录音，请手工记录（/srv/13812345678）".to_owned(), String::new());
    board.update(|status| drop(status.alarms.insert("recorder", Alarm { since, zh, en })));
}

fn told(channel: Channel, alarms: Alarms) -> Channel {
    Channel { alarms, ..channel }
}

/// The log is on the disk that hangs.
#[tokio::test(flavor = "multi_thread")]
async fn rel_14_that_nobody_is_recorded_is_told_without_a_log_until_it_is_taken_and_once() {
    let takes_late = vec![status(503, ""), status(500, ""), status(204, "")];
    let (technician, group, leaders) = (
        Stub::start(takes_late),
        Stub::start(vec![json(r#"{"errcode":0}"#)]),
        Stub::start(vec![status(204, "")]),
    );
    let robot = channel("值班群", Kind::WecomBot, Way::WecomBot(bot(&group, None)));
    let room = Room::with(vec![
        told(hook("机房", &technician), Alarms::Only),
        told(robot, Alarms::Too),
        hook("领导", &leaders),
    ])
    .await;
    let hangs = stalled(&room.store);
    let began = Instant::now();
    is_not_recording(&room.board);
    let (first, in_group) = (technician.next(), group.next());
    assert!(began.elapsed() < Duration::from_secs(2), "{:?}", began.elapsed());
    let tries = [first, technician.next(), technician.next()];
    let body: serde_json::Value = serde_json::from_str(&tries[2].body).unwrap();
    assert_eq!(
        (&body["type"], &body["data"]["alarms"][0]),
        (&"recorder.failed".into(), &"recorder".into())
    );
    for again in &tries[1..] {
        assert_eq!(again.header("webhook-id"), tries[0].header("webhook-id"), "one message");
        assert_eq!(again.body, tries[0].body, "the same bytes");
    }
    for seen in [&tries[2], &in_group] {
        assert!(seen.body.contains("没有在录音"), "{}", seen.body);
        assert!(!seen.body.contains("/srv") && !seen.body.contains(CALLER), "{}", seen.body);
    }
    assert!(technician.is_quiet_for(Duration::from_millis(300)), "once");
    assert!(group.is_quiet_for(Duration::ZERO) && leaders.is_quiet_for(Duration::ZERO));
    drop(hangs);
    assert!(room.board.status().alarms.into_keys().eq(["recorder"]), "every channel works");
}

#[tokio::test(flavor = "multi_thread")]
async fn rel_14_a_channel_for_alarms_alone_hears_of_no_urgent_matter() {
    let (technician, leaders) =
        (Stub::start(vec![status(204, "")]), Stub::start(vec![status(204, "")]));
    let channels = vec![told(hook("机房", &technician), Alarms::Only), hook("领导", &leaders)];
    let room = Room::with(channels).await;
    room.flag(1).await;
    assert!(leaders.next().body.contains("escalation.alert"));
    assert!(technician.is_quiet_for(Duration::from_millis(300)));
    room.is("SELECT group_concat(name) FROM channel", "领导").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn rel_14_a_channel_that_takes_no_alarm_is_named_on_the_page() {
    let stub = Stub::start(vec![status(403, "")]);
    let room = Room::with(vec![told(hook("机房", &stub), Alarms::Only)]).await;
    is_not_recording(&room.board);
    (0..3).for_each(|_| drop(stub.next()));
    let alarm = room.board.status().alarms["channels"].clone();
    assert!(alarm.zh.contains("机房（http 403）"), "{alarm:?}");
}

#[tokio::test]
async fn rel_14_each_way_of_speaking_says_the_alarm_itself() {
    let standing = notices::told(["recorder"].iter());
    let (text, now) = (notices::alarm_text(&standing), clock::now());
    let keys = ["recorder"];
    let letter = Letter {
        name: DeliveryId::new(now, &mut clock::random()),
        of: Of::Alarm(&keys, now.wall),
        items: &[],
        text: &text,
        codes: &[],
        line: "63001234",
        now: now.wall,
    };
    assert!(letter.is_loud());
    let push = Push { url: "https://push".to_owned(), topic: "t".to_owned(), token: None };
    let body = push::ntfy_request(&push, &letter).body.unwrap().1;
    let body: serde_json::Value = serde_json::from_slice(&body).unwrap();
    assert_eq!((&body["priority"], &body["title"]), (&5.into(), &text.title.clone().into()));
    let over = Letter { of: Of::Alarm(&[], now.wall), ..letter };
    assert!(!over.is_loud());
}
