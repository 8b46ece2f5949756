//! 旁听: who may, why, and that it is seen.

use super::*;
use crate::io::tape::{Heard, Progress};

async fn is_taped(room: &Room, entry: EntryId) {
    let parties = vec![Heard { party: Party::Caller, peak: 12, fault: None }];
    let safe = Duration::from_secs(3);
    room.web.board.records(vec![Progress { call: entry.0, safe, parties }]);
}

#[tokio::test]
async fn rec_e5_whoever_listens_says_why_is_audited_and_seen_until_he_goes() {
    let room = Room::open().await;
    let entry = room.caller_dials("13800130007", "").await;
    let why = page::in_query("带班领导督听");
    let path = format!("/recordings/{entry}/live?why={why}");
    assert_eq!(room.get(&path).await.status, StatusCode::NOT_FOUND, "nothing is recorded");
    is_taped(&room, entry).await;
    let silent = room.get(&format!("/recordings/{entry}/live?why=%20%0a")).await;
    assert_eq!(silent.status, StatusCode::UNPROCESSABLE_ENTITY);
    let before = room.audited().await;
    let listening = room.stream(Method::GET, &path, &[], "").await;
    assert_eq!(listening.status(), StatusCode::OK);
    let seen = async || room.fragment(&format!("/entries/{entry}")).await.text;
    assert!(seen().await.contains("正在旁听：主班员"), "{}", seen().await);
    assert_eq!(room.audited().await, before + 1);
    let mut body = listening.into_body().into_data_stream();
    let piece = body.next().await.unwrap().unwrap();
    assert_eq!(piece.len(), 3200, "a tenth of a second of both sides");
    drop(body);
    let gone = async {
        while seen().await.contains("正在旁听") {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(5), gone).await.unwrap();
    let log = rusqlite::Connection::open(room.folder.path().join("dutyline.db")).unwrap();
    let rows = "SELECT group_concat(actor || ' ' || action || ' ' || detail, '; ') FROM
        (SELECT * FROM audit WHERE action LIKE 'recording.listen%' ORDER BY id)";
    let noted = async {
        loop {
            let rows: String = log.query_row(rows, [], |row| row.get(0)).unwrap();
            if rows.contains("listened") {
                return rows;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let rows = tokio::time::timeout(Duration::from_secs(5), noted).await.unwrap();
    let begins = "主班员 recording.listen 带班领导督听; 主班员 recording.listened ";
    assert!(rows.starts_with(begins) && rows.ends_with(" s"), "{rows}");
}

#[tokio::test]
async fn it_ends_with_the_recording_and_only_so_many_listen_at_once() {
    let room = Room::open().await;
    let entry = room.caller_dials("13800130007", "").await;
    is_taped(&room, entry).await;
    let path = format!("/recordings/{entry}/live?why=x");
    let mut listeners = vec![];
    for _ in 0..crate::io::web::overhear::LISTENERS {
        let one = room.stream(Method::GET, &path, &[], "").await;
        assert_eq!(one.status(), StatusCode::OK);
        listeners.push(one.into_body());
    }
    assert_eq!(room.get(&path).await.status, StatusCode::TOO_MANY_REQUESTS);
    room.web.board.records(vec![]);
    for body in listeners {
        let ends = to_bytes(body, 1 << 20);
        tokio::time::timeout(Duration::from_secs(10), ends).await.unwrap().unwrap();
    }
    is_taped(&room, entry).await;
    let one = room.stream(Method::GET, &path, &[], "").await;
    assert_eq!(one.status(), StatusCode::OK, "there is room again");
}

#[tokio::test]
async fn rec_e5_who_signs_out_or_becomes_an_administrator_hears_no_more() {
    let ends = async |how: &str| {
        let room = Room::open().await;
        let entry = room.caller_dials("13800130007", "").await;
        is_taped(&room, entry).await;
        let path = format!("/recordings/{entry}/live?why=x");
        let listening = room.stream(Method::GET, &path, &[], "").await;
        assert_eq!(listening.status(), StatusCode::OK);
        let log = rusqlite::Connection::open(room.folder.path().join("dutyline.db")).unwrap();
        log.busy_timeout(Duration::from_secs(5)).unwrap();
        assert!(log.execute(how, []).unwrap() > 0, "{how}");
        let ends = to_bytes(listening.into_body(), 1 << 20);
        tokio::time::timeout(Duration::from_secs(20), ends).await.expect(how).unwrap();
        assert!(
            room.web.board.tape(crate::duty::ids::CallId(entry.0)).is_some(),
            "the call goes on"
        );
    };
    let signed_out = ends("DELETE FROM session");
    tokio::join!(signed_out, ends("UPDATE person SET role = 'admin'"));
}
