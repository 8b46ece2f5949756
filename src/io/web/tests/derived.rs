//! 脱敏件 on the entry's page.

use super::*;
use sha2::{Digest, Sha256};

/// Two seconds: where they are, and what they are.
async fn recorded(room: &Room, entry: EntryId) -> (PathBuf, Vec<u8>) {
    let name = format!("{entry}.wav");
    let path = room.web.recordings.join(&name);
    let file = crate::io::durable::Durable::create(&path).unwrap();
    let mut wav = crate::io::wav_file::StereoWriter::new(file, 16_000).unwrap();
    wav.write(&[64; 16_000], &[32; 16_000]).unwrap();
    wav.finish().unwrap();
    let bytes = std::fs::read(&path).unwrap();
    let sealed = Sealed {
        wav: name.into(),
        sha256: hex::encode(Sha256::digest(&bytes)),
        bytes: bytes.len() as u64,
        duration: Duration::from_secs(2),
        ..Sealed::default()
    };
    let call = CallId(entry.0);
    assert!(room.web.store.recording_sealed(call, sealed, clock::now()).await.unwrap());
    (path, bytes)
}

#[tokio::test]
async fn rec_e3_a_copy_is_made_on_the_page_with_its_reason_and_played_as_a_copy() {
    let room = Room::open().await;
    let entry = room.caller_dials("13800130007", "").await;
    let (path, before) = recorded(&room, entry).await;
    let to = format!("/recordings/{entry}/derived");
    let wanted = |from: &str, until: &str, side: &str, why: &str| {
        let why = page::in_query(why);
        format!("from={from}&to={until}&side={side}&reason={why}")
    };
    for odd in [
        wanted("0:01", "0:01", "both", "x"),
        wanted("0:02", "0:03", "both", "x"),
        wanted("0:00", "0:01", "both", " "),
        wanted("x", "0:01", "both", "x"),
        wanted("0:00", "0:01", "all", "x"),
    ] {
        assert!(room.post(&to, &odd).await.status.is_client_error(), "{odd}");
    }
    let originals = "未脱敏的原始录音";
    let shown = room.fragment(&format!("/entries/{entry}")).await.text;
    assert!(!shown.contains(originals), "there is no copy yet");
    let made = room.post(&to, &wanted("0:00.5", "0:01", "left", "<隐去姓名>")).await;
    assert_eq!(made.status, StatusCode::OK, "{}", made.text);
    let shown = room.fragment(&format!("/entries/{entry}")).await.text;
    assert!(
        shown.contains("0:00.500–0:01 对方")
            && shown.contains("&#60;隐去姓名&#62;")
            && shown.contains(originals),
        "{shown}"
    );
    let played = room.get(&format!("{to}/1")).await;
    assert_eq!(
        (played.status, room.get(&format!("{to}/2")).await.status),
        (StatusCode::OK, StatusCode::NOT_FOUND)
    );
    let log = rusqlite::Connection::open(room.folder.path().join("dutyline.db")).unwrap();
    let last = "SELECT action || ' ' || detail FROM audit ORDER BY id DESC LIMIT 1";
    let last: String = log.query_row(last, [], |row| row.get(0)).unwrap();
    assert_eq!(last, "recording.play_derived 1");
    // Whoever calls his playing or his reason like the copy's has heard the original all the same.
    room.get(&format!("{to}/1?play=x")).await;
    for odd in ["play=-derived-1x", "play=x", "why=derived-1"] {
        let heard = room.get(&format!("/recordings/{entry}?{odd}")).await;
        assert_eq!(heard.status, StatusCode::OK, "{odd}");
    }
    let heard = |action: &str| -> i64 {
        let count = format!("SELECT count(*) FROM audit WHERE action = '{action}'");
        log.query_row(&count, [], |row| row.get(0)).unwrap()
    };
    assert_eq!((heard("recording.play"), heard("recording.play_derived")), (3, 2));
    for hand in ["UPDATE derived SET reason = 'x'", "DELETE FROM derived"] {
        assert!(log.execute_batch(hand).is_err(), "{hand}");
    }
    assert_eq!(std::fs::read(&path).unwrap(), before, "the original is untouched");

    let no = "CREATE TRIGGER no BEFORE INSERT ON derived BEGIN SELECT RAISE(ABORT, 'no'); END";
    log.execute_batch(no).unwrap();
    let lost = room.post(&to, &wanted("0:00", "0:01", "both", "x")).await;
    assert!(lost.status.is_server_error(), "the log does not take it: {}", lost.status);
    log.execute_batch("DROP TRIGGER no").unwrap();
    std::fs::write(&path, "spoiled").unwrap();
    let spoiled = room.post(&to, &wanted("0:00", "0:01", "both", "x")).await;
    assert!(spoiled.status.is_client_error() && spoiled.text.contains("与记录不符"));
    let names = std::fs::read_dir(&room.web.recordings).unwrap().count();
    assert_eq!(names, 2, "nothing is left of it");
}

#[tokio::test]
async fn rec_e3_a_copy_that_takes_longer_than_its_page_is_finished_with_its_row() {
    use std::io::Write;
    use std::os::unix::ffi::OsStrExt;
    let room = Room::open().await;
    let entry = room.caller_dials("13800130007", "").await;
    let (path, original) = recorded(&room, entry).await;
    // A disk that gives nothing yet.
    std::fs::remove_file(&path).unwrap();
    let name = std::ffi::CString::new(path.as_os_str().as_bytes()).unwrap();
    // SAFETY: a NUL-terminated path that lives through the call.
    assert_eq!(unsafe { libc::mkfifo(name.as_ptr(), 0o600) }, 0);
    let opened = tokio::task::spawn_blocking(move || {
        std::fs::OpenOptions::new().write(true).open(path).unwrap()
    });
    let to = format!("/recordings/{entry}/derived");
    let mut disk = tokio::select! {
        opened = opened => opened.unwrap(),
        _ = room.post(&to, "from=0:00&to=0:01&side=both&reason=x") => panic!("it waits"),
    };
    // Whoever asked is gone.
    tokio::task::spawn_blocking(move || disk.write_all(&original).unwrap()).await.unwrap();
    let until = std::time::Instant::now() + Duration::from_secs(30);
    while room.web.store.derived(CallId(entry.0)).await.unwrap().is_empty() {
        assert!(std::time::Instant::now() < until, "it has its row");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
