//! What the page says of a period, and what it hands out.

use super::*;
use crate::duty::figures::Figures;
use crate::io::proof::key::SigningKey;
use crate::io::proof::signer::Signer;
use crate::protocol::now::Mono;
use chrono::DateTime;

/// As a browser's field has it, in Beijing.
pub fn field(at: DateTime<chrono::Utc>) -> String {
    at.with_timezone(&crate::duty::entry::beijing()).format("%Y-%m-%dT%H%%3A%M").to_string()
}

pub fn period(from: TimeDelta, to: TimeDelta) -> String {
    let now = clock::now().wall;
    format!("from={}&to={}", field(now + from), field(now + to))
}

pub async fn signer(room: &Room) -> Arc<Signer> {
    let store = room.web.store.clone();
    let origin = store.origin().await.unwrap();
    SigningKey::load_or_make(room.folder.path(), &origin).unwrap();
    Arc::new(Signer::new(room.folder.path(), origin, store))
}

#[tokio::test]
async fn a_period_without_calls_is_said_to_be_so_only_where_the_line_was_served() {
    let room = Room::open().await;
    let minutes = TimeDelta::minutes;
    let asked = |from, to| format!("/period?{}", period(minutes(from), minutes(to)));
    let before = room.get(&asked(-60, -50)).await.text;
    assert!(before.contains("不能证明") && before.contains("10:00"), "no log yet: {before}");
    began(&room, 2).await;
    let quiet = room.get(&asked(-60, -50)).await.text;
    assert!(quiet.contains("没有来电，线路和服务始终正常"), "{quiet}");
    assert!(quiet.contains("还没有签名"), "{quiet}");
    let key = signer(&room).await.key(false).await.unwrap().key;
    room.web.store.sign_head(key, clock::now).await.unwrap();
    let quiet = room.get(&asked(-60, -50)).await.text;
    assert!(quiet.contains("由第 1 号签名"), "{quiet}");
    let down = Now { wall: clock::now().wall - minutes(53), ..clock::now() };
    let since = down.wall - minutes(2);
    room.web.store.outage_was(OutageKind::Line, since, "408 <b>", down).await.unwrap();
    let doubt = room.get(&asked(-60, -50)).await.text;
    assert!(doubt.contains("不能证明") && doubt.contains("2:00"), "{doubt}");
    assert!(doubt.contains("408 &#60;b&#62;") && doubt.contains("线路"), "{doubt}");
    let nonsense = room.get("/period?from=x&to=").await;
    assert_eq!(nonsense.status, StatusCode::OK, "the last hours");
    let closed = room.app.clone().oneshot(
        Request::builder().uri("/period").header("host", "desk").body(Body::empty()).unwrap(),
    );
    assert_eq!(closed.await.unwrap().status(), StatusCode::SEE_OTHER, "for officers only");
}

/// The log is known to have begun so many hours ago.
async fn began(room: &Room, hours: i64) {
    let long_ago = clock::now().wall - TimeDelta::hours(hours);
    let then = Now { wall: long_ago, ..clock::now() };
    room.web.store.outage_was(OutageKind::Recorder, long_ago, "tape", then).await.unwrap();
    room.web.store.settings_are("x".to_owned(), then).await.unwrap();
}

#[tokio::test]
async fn rec_s2_what_comes_after_the_last_answer_of_the_pbx_is_doubtful() {
    let room = Room::open().await;
    began(&room, 20).await;
    let heard = |ago: u64| {
        let heard = Some(Mono(clock::mono().0 - ago * 1_000_000_000));
        room.web.board.report(Figures { heard, ..Figures::default() });
    };
    let asked = format!("/period?{}", period(TimeDelta::minutes(-50), TimeDelta::minutes(-1)));
    heard(5);
    let quiet = room.get(&asked).await.text;
    assert!(quiet.contains("没有来电，线路和服务始终正常"), "{quiet}");
    heard(20 * 60);
    let doubt = room.get(&asked).await.text;
    assert!(doubt.contains("不能证明") && doubt.contains("尚未再收到交换机应答"), "{doubt}");
    heard(5);
    let usual = room.get("/period").await.text;
    assert!(usual.contains("没有来电，线路和服务始终正常"), "of a line that is up: {usual}");
}

/// The daemon has tried its own line, and an officer has called somebody.
#[tokio::test]
async fn rec_q4_an_hour_with_a_test_and_no_other_call_is_quiet() {
    let room = Room::open().await;
    began(&room, 2).await;
    let hour = || format!("/period?{}", period(TimeDelta::minutes(-60), TimeDelta::minutes(-2)));
    let then = Now { wall: clock::now().wall - TimeDelta::minutes(30), ..clock::now() };
    let comes = async |number: &str, disposition| {
        let call = CallId::new(then, &mut clock::random());
        let arrival = Arrival::from_number(call, number, "");
        let ended = Fact::Ended { call, disposition, by: None, status: 200, why: String::new() };
        for fact in [Fact::Arrived(Box::new(arrival)), ended] {
            room.web.store.note(Noted { at: then, fact }).await.unwrap();
        }
    };
    comes("1009", Disposition::SelfTest).await;
    let shown = room.get(&hour()).await.text;
    assert!(shown.contains("没有来电，线路和服务始终正常"), "{shown}");
    assert!(shown.contains("1009"), "it is listed: {shown}");
    comes("13800130007", Disposition::Missed).await;
    let shown = room.get(&hour()).await.text;
    assert!(shown.contains("此时段有 1 个来电"), "{shown}");
}

#[tokio::test]
async fn rec_k4_an_entry_of_a_clock_that_nobody_corrects_says_by_how_much_it_may_be_out() {
    let room = Room::open().await;
    let alone = Now { wall: clock::now().wall - TimeDelta::hours(30), ..clock::now() };
    let store = &room.web.store;
    let before = room.caller_dials("13800130007", "").await;
    let shown = async |entry| room.fragment(&format!("/entries/{entry}")).await.text;
    assert!(!shown(before).await.contains("时间未核对"));
    store.outage_began(OutageKind::Clock, "no time server", alone).await.unwrap();
    let entry = room.caller_dials("13800130008", "").await;
    let text = shown(entry).await;
    assert!(text.contains("时间未核对") && text.contains("估计误差 11 秒以内"), "{text}");
    let later = clock::now() + Duration::from_secs(1);
    store.outage_ended(OutageKind::Clock, later).await.unwrap();
    assert!(shown(entry).await.contains("估计误差 11 秒以内"), "as it was when it came");
}

#[tokio::test]
async fn calls_of_a_period_are_listed_with_their_entries() {
    let room = Room::open().await;
    let entry = room.caller_dials("13800130007", "").await;
    let minutes = TimeDelta::minutes;
    let shown = room.get(&format!("/period?{}", period(minutes(-5), minutes(5)))).await.text;
    assert!(shown.contains(&format!("/?entry={entry}")) && shown.contains("13800130007"));
}

#[tokio::test]
async fn rel_12_what_a_backup_lacks_that_was_put_back_is_in_doubt_and_told_for_a_day() {
    let room = Room::open().await;
    began(&room, 72).await;
    let minutes = TimeDelta::minutes;
    let now = clock::now();
    let put_back = Now { wall: now.wall - minutes(50), ..now };
    room.web.store.was_restored(put_back.wall - minutes(8), put_back).await.unwrap();
    let asked = format!("/period?{}", period(minutes(-60), minutes(-40)));
    let doubt = room.get(&asked).await.text;
    assert!(doubt.contains("不能证明") && doubt.contains("8:00"), "{doubt}");
    assert!(doubt.contains("值班记录从备份恢复") && !doubt.contains("始终正常"), "{doubt}");
    let strip = room.get("/strip").await.text;
    assert!(strip.contains("值班记录从备份恢复") && strip.contains("补记"), "{strip}");
}

#[tokio::test]
async fn rel_12_a_day_later_no_alarm_tells_of_the_backup() {
    let room = Room::open().await;
    let now = clock::now();
    let put_back = Now { wall: now.wall - TimeDelta::hours(25), ..now };
    room.web.store.was_restored(put_back.wall, put_back).await.unwrap();
    assert!(!room.get("/strip").await.text.contains("从备份恢复"));
}
