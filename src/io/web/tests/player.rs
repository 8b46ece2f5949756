//! The player's wave, its marks, and why somebody listens.

use super::*;
use crate::io::copies::bucket::Bucket;
use crate::io::copies::bucket::tests::plan;
use crate::io::copies::bucket::tests::server::{Server, Trouble};
use sha2::{Digest, Sha256};

#[tokio::test]
async fn rec_e5_each_listen_is_audited_with_who_and_why() {
    let room = Room::open().await;
    let entry = room.caller_dials("13800130007", "").await;
    room.is_recorded(entry, 5000).await;
    let why = page::in_query("领导要求");
    let path = format!("/recordings/{entry}?play=a&why={why}");
    assert_eq!(room.get(&path).await.status, StatusCode::OK);
    let log = rusqlite::Connection::open(room.folder.path().join("dutyline.db")).unwrap();
    let last = || {
        let query =
            "SELECT actor || ' ' || action || ' ' || detail FROM audit ORDER BY id DESC LIMIT 1";
        log.query_row(query, [], |row| row.get::<_, String>(0)).unwrap()
    };
    assert_eq!(last(), "主班员 recording.play 领导要求");
    let shown = room.fragment(&format!("/entries/{entry}")).await.text;
    assert!(shown.contains("<option>核对记录</option>") && shown.contains("data-length=\"9000\""));
}

#[tokio::test]
async fn rec_e5_where_the_site_wants_it_nothing_is_played_without_a_reason() {
    let mut room = Room::open().await;
    room.web.listen_reason = true;
    room.app = build(room.web.clone(), room.closing.clone());
    let entry = room.caller_dials("13800130007", "").await;
    room.is_recorded(entry, 5000).await;
    let before = room.audited().await;
    let path = format!("/recordings/{entry}?play=a");
    for without in ["", "&why=", "&why=++"] {
        let answer = room.get(&format!("{path}{without}")).await;
        assert_eq!(answer.status, StatusCode::FORBIDDEN, "{without}");
        assert!(answer.text.contains("请先选择听取原因"), "{}", answer.text);
    }
    assert_eq!(room.audited().await, before, "nobody has heard it");
    let why = page::in_query("领导要求");
    assert_eq!(room.get(&format!("{path}&why={why}")).await.status, StatusCode::OK);
    assert_eq!(room.audited().await, before + 1);
    assert_eq!(room.get(&path).await.status, StatusCode::FORBIDDEN, "nor the next part of it");
    let shown = room.fragment(&format!("/entries/{entry}")).await.text;
    assert!(
        shown.contains("<option value=\"\">请先选择…</option><option>核对记录</option>"),
        "{shown}"
    );
}

#[tokio::test]
async fn the_wave_is_drawn_from_the_recording_and_from_nothing_else() {
    let room = Room::open().await;
    let entry = room.caller_dials("13800130007", "").await;
    let path = format!("/recordings/{entry}/peaks");
    assert_eq!(room.get(&path).await.status, StatusCode::NOT_FOUND);
    room.is_recorded(entry, 5000).await;
    assert_eq!(room.get(&path).await.status, StatusCode::INTERNAL_SERVER_ERROR, "no WAV");
    let before = room.audited().await;
    let other = room.caller_dials("13800130007", "").await;
    room.is_recorded(other, 0).await;
    let file = crate::io::durable::Durable::create(&room.folder.path().join("w.wav")).unwrap();
    let mut wav = crate::io::wav_file::StereoWriter::new(file, 500).unwrap();
    wav.write(&[64; 500], &[0; 500]).unwrap();
    wav.finish().unwrap();
    let recording = room.web.recordings.join(format!("{other}.wav"));
    std::fs::copy(room.folder.path().join("w.wav"), &recording).unwrap();
    let path = format!("/recordings/{other}/peaks");
    let drawn = room.get(&path).await;
    assert_eq!((drawn.status, drawn.text.as_bytes()), (StatusCode::OK, &[48, 0, 48, 0][..]));
    std::fs::remove_file(recording).unwrap();
    assert_eq!(room.get(&path).await.text, drawn.text, "kept for who comes next");
    assert_eq!(room.audited().await, before + 1, "looking is not listening: the seal alone");
    let closed = Room { cookie: String::new(), ..room };
    assert_eq!(closed.get(&path).await.status, StatusCode::SEE_OTHER);
}

#[tokio::test]
async fn a_mark_is_made_shown_and_taken_back() {
    let room = Room::open().await;
    let entry = room.caller_dials("13800130007", "").await;
    room.is_recorded(entry, 5000).await;
    let path = format!("/recordings/{entry}/bookmarks");
    let text = page::in_query("<b>说出地点");
    let made = room.post(&path, &format!("at=4200&text={text}")).await;
    assert_eq!(made.status, StatusCode::NO_CONTENT, "{}", made.text);
    let shown = room.fragment(&format!("/entries/{entry}")).await.text;
    assert!(shown.contains("data-at=\"4200\"") && shown.contains("▶ 0:04"), "{shown}");
    assert!(shown.contains("&#60;b&#62;说出地点 <small") && shown.contains("主班员"), "{shown}");
    for odd in ["at=9001", "at=-1", "at=x", ""] {
        assert!(room.post(&path, odd).await.status.is_client_error(), "{odd}");
    }
    let back = format!("{path}/1");
    assert_eq!(room.post(&back, "").await.status, StatusCode::NO_CONTENT);
    assert_eq!(room.post(&back, "").await.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(!room.fragment(&format!("/entries/{entry}")).await.text.contains("data-bookmark"));
}

#[tokio::test]
async fn a_16_a_system_administrator_neither_searches_nor_listens_and_that_is_audited() {
    let room = Room::open().await;
    let entry = room.caller_dials("13800130007", "").await;
    room.is_recorded(entry, 5000).await;
    let cookie = room.enters("guanli", "管理员", Account::Admin).await;
    let room = Room { cookie, ..room };
    let before = room.audited().await;
    let recording = format!("/recordings/{entry}");
    let gets = ["", "/peaks", "/recall?seconds=30", "/live?why=x"]
        .map(|what| format!("{recording}{what}"));
    for path in
        gets.iter().map(String::as_str).chain(["/search", "/search?words=138", "/keeping/dates"])
    {
        let answer = room.get(path).await;
        assert_eq!(answer.status, StatusCode::FORBIDDEN, "{path}: {}", answer.text);
    }
    for path in [format!("{recording}/bookmarks"), format!("{recording}/bookmarks/1")] {
        assert_eq!(room.post(&path, "at=1").await.status, StatusCode::FORBIDDEN, "{path}");
    }
    for path in [format!("/entries/{entry}/export"), "/period/export".to_owned()] {
        let period = "from=2026-11-26T00:00&to=2026-11-27T00:00";
        assert_eq!(room.post(&path, period).await.status, StatusCode::FORBIDDEN, "{path}");
    }
    assert_eq!(room.audited().await, before + 11, "each time");
}

#[tokio::test]
async fn rec_l2_a_recording_that_is_gone_is_played_from_its_second_copy() {
    let mut room = Room::open().await;
    let copies = room.folder.path().join("copies");
    std::fs::create_dir(&copies).unwrap();
    room.web.copies = Some(Place::Folder(copies.clone()));
    room.app = build(room.web.clone(), room.closing.clone());
    let entry = room.caller_dials("13800130007", "").await;
    room.is_recorded(entry, 5000).await;
    let (own, name) = (room.web.recordings.join(format!("{entry}.wav")), format!("{entry}.wav"));
    std::fs::rename(own, copies.join(&name)).unwrap();
    let path = format!("/recordings/{entry}?play=a");
    let part = room.ask(Method::GET, &path, &[("range", "bytes=97-99")], "").await;
    assert_eq!((part.status, part.text.as_str()), (StatusCode::PARTIAL_CONTENT, "abc"));
    std::fs::remove_file(copies.join(&name)).unwrap();
    assert_eq!(room.get(&path).await.status, StatusCode::NOT_FOUND);
}

/// What was said, as long as this; sealed, here and in the store.
async fn recorded_twice(room: &Room, bucket: &Bucket, bytes: usize) -> EntryId {
    let entry = room.caller_dials("13800130007", "").await;
    let name = format!("{entry}.wav");
    let said: Vec<u8> = (0..bytes).map(|at| (at / 7) as u8).collect();
    let sha256 = hex::encode(Sha256::digest(&said));
    std::fs::write(room.web.recordings.join(&name), said).unwrap();
    let (own, to, hash) = (room.web.recordings.clone(), bucket.clone(), sha256.clone());
    let wav = std::path::PathBuf::from(name);
    let sealed = Sealed { wav: wav.clone(), sha256, bytes: bytes as u64, ..Sealed::default() };
    let call = CallId(entry.0);
    assert!(room.web.store.recording_sealed(call, sealed, clock::now()).await.unwrap());
    let copied = tokio::task::spawn_blocking(move || to.copy(&own, &wav, &hash));
    copied.await.unwrap().unwrap();
    entry
}

fn plays(room: &Room) -> i64 {
    let log = rusqlite::Connection::open(room.folder.path().join("dutyline.db")).unwrap();
    let rows = "SELECT count(*) FROM audit WHERE action = 'recording.play'";
    log.query_row(rows, [], |row| row.get(0)).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn rec_l2_rec_d15_what_is_gone_or_damaged_here_is_heard_from_the_store_fetched_once() {
    let mut room = Room::open().await;
    let server = Server::start(&room.folder.path().join("store"), 0);
    let bucket = Bucket::new(plan(&server));
    room.web.copies = Some(Place::Bucket(bucket.clone()));
    room.app = build(room.web.clone(), room.closing.clone());
    let hear = async |entry: EntryId, range: &str| {
        let path = format!("/recordings/{entry}?play=a");
        let answer = room.ask(Method::GET, &path, &[("range", range)], "").await;
        (answer.status, answer.text)
    };
    let fetched = || server.seen(&Method::GET);
    let (partial, part) = (StatusCode::PARTIAL_CONTENT, |text: &str| text.to_owned());

    let whole = recorded_twice(&room, &bucket, 2000).await;
    let before = fetched();
    assert_eq!(hear(whole, "bytes=700-702").await, (partial, part("ddd")));
    assert_eq!(fetched(), before, "the store is left alone");

    let gone = recorded_twice(&room, &bucket, 2001).await;
    let damaged = recorded_twice(&room, &bucket, 2002).await;
    let own = |entry: EntryId| room.web.recordings.join(format!("{entry}.wav"));
    std::fs::remove_file(own(gone)).unwrap();
    let mut bytes = std::fs::read(own(damaged)).unwrap();
    bytes[1000] ^= 1;
    bytes[701] = b'X';
    std::fs::write(own(damaged), &bytes).unwrap();
    let heard = plays(&room);
    for entry in [gone, damaged] {
        let before = fetched();
        assert_eq!(hear(entry, "bytes=700-702").await, (partial, part("ddd")));
        let once = fetched();
        assert!(once > before);
        for range in ["bytes=0-1", "bytes=1998-", "bytes=700-702"] {
            assert_eq!(hear(entry, range).await.0, partial);
        }
        assert_eq!(fetched(), once, "it is fetched once");
    }
    assert_eq!(plays(&room), heard + 2, "each playing is one");
    assert_eq!(std::fs::read(own(damaged)).unwrap(), bytes, "left as it is, for who examines it");
    let names = std::fs::read_dir(&room.web.recordings).unwrap().count();
    assert_eq!(names, 2, "nothing is left of what was fetched");
}

#[tokio::test(flavor = "multi_thread")]
async fn rec_l2_what_no_place_has_whole_is_played_as_it_is_and_what_no_place_has_is_not_there() {
    let mut room = Room::open().await;
    let server = Server::start(&room.folder.path().join("store"), 0);
    let bucket = Bucket::new(plan(&server));
    room.web.copies = Some(Place::Bucket(bucket.clone()));
    room.app = build(room.web.clone(), room.closing.clone());
    let entry = recorded_twice(&room, &bucket, 2000).await;
    let own = room.web.recordings.join(format!("{entry}.wav"));
    let mut bytes = std::fs::read(&own).unwrap();
    bytes[701] = b'X';
    std::fs::write(&own, &bytes).unwrap();
    server.has(Trouble::Says(Method::GET, 404, "NoSuchKey"));
    let path = format!("/recordings/{entry}?play=a");
    let part = room.ask(Method::GET, &path, &[("range", "bytes=700-702")], "").await;
    assert_eq!((part.status, part.text.as_str()), (StatusCode::PARTIAL_CONTENT, "dXd"));
    std::fs::remove_file(own).unwrap();
    assert_eq!(room.get(&path).await.status, StatusCode::NOT_FOUND);
    server.has(None);
    assert_eq!(room.get(&path).await.status, StatusCode::OK, "the store is back");
}
