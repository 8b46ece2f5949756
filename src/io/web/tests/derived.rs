//! 脱敏件 on the entry's page.

use super::*;
use sha2::{Digest, Sha256};

#[tokio::test]
async fn rec_e3_a_copy_is_made_on_the_page_with_its_reason_and_played_as_a_copy() {
    let room = Room::open().await;
    let entry = room.caller_dials("13800130007", "").await;
    let name = format!("{entry}.wav");
    let path = room.web.recordings.join(&name);
    let file = crate::io::durable::Durable::create(&path).unwrap();
    let mut wav = crate::io::wav_file::StereoWriter::new(file, 16_000).unwrap();
    wav.write(&[64; 16_000], &[32; 16_000]).unwrap();
    wav.finish().unwrap();
    let before = std::fs::read(&path).unwrap();
    let sealed = Sealed {
        wav: name.into(),
        sha256: hex::encode(Sha256::digest(&before)),
        bytes: before.len() as u64,
        duration: Duration::from_secs(2),
        ..Sealed::default()
    };
    let call = CallId(entry.0);
    assert!(room.web.store.recording_sealed(call, sealed, clock::now()).await.unwrap());
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
    let made = room.post(&to, &wanted("0:00.5", "0:01", "left", "<隐去姓名>")).await;
    assert_eq!(made.status, StatusCode::OK, "{}", made.text);
    let shown = room.fragment(&format!("/entries/{entry}")).await.text;
    assert!(
        shown.contains("0:00.500–0:01 对方") && shown.contains("&#60;隐去姓名&#62;"),
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
    assert_eq!(last, "recording.play derived-1");
    for hand in ["UPDATE derived SET reason = 'x'", "DELETE FROM derived"] {
        assert!(log.execute_batch(hand).is_err(), "{hand}");
    }
    assert_eq!(std::fs::read(&path).unwrap(), before, "the original is untouched");

    std::fs::write(&path, "spoiled").unwrap();
    let spoiled = room.post(&to, &wanted("0:00", "0:01", "both", "x")).await;
    assert!(spoiled.status.is_client_error() && spoiled.text.contains("与记录不符"));
    let names = std::fs::read_dir(&room.web.recordings).unwrap().count();
    assert_eq!(names, 2, "nothing is left of it");
}
