//! What the page hands out: put together behind its back, by one after the other, for whoever asked.

use super::period::{field, period, signer};
use super::*;
use crate::duty::placed::{Asker, Placed};
use sha2::{Digest, Sha256};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

impl Room {
    /// One whose log can be signed.
    async fn signing() -> Self {
        let mut room = Self::open().await;
        room.web.signer = Some(signer(&room).await);
        room.app = build(room.web.clone(), room.closing.clone());
        room
    }

    /// Asks, waits until it is ready, and takes it.
    async fn handed(&self, path: &str, form: &str) -> Answer {
        let asked = self.post(path, form).await;
        if asked.status != StatusCode::SEE_OTHER {
            return asked;
        }
        let at = asked.headers[header::LOCATION].to_str().unwrap();
        self.ends(at).await;
        self.get(&format!("{at}/zip")).await
    }

    /// As somebody else.
    async fn get_as(&self, cookie: &str, path: &str) -> Response {
        let request = Request::builder().uri(path).header("host", "desk").header("cookie", cookie);
        self.app.clone().oneshot(request.body(Body::empty()).unwrap()).await.unwrap()
    }

    /// What its page says at the end.
    async fn ends(&self, at: &str) -> String {
        loop {
            // Answered when something has changed.
            let shown = self.fragment(at).await.text;
            if !shown.contains("<progress") {
                return shown;
            }
        }
    }

    /// A sealed recording of these bytes, whose tape is as long.
    async fn is_kept(&self, call: CallId, wav: &[u8], tape_bytes: u64) {
        let (name, tape) = (format!("{call}.wav"), format!("{call}.tape"));
        let file = std::fs::File::create(self.web.recordings.join(&tape)).unwrap();
        file.set_len(tape_bytes).unwrap();
        if !self.web.recordings.join(&name).exists() {
            std::fs::write(self.web.recordings.join(&name), wav).unwrap();
        }
        let nothing = vec![0; usize::try_from(tape_bytes.min(4096)).unwrap()];
        let sealed = Sealed {
            wav: name.into(),
            sha256: hex::encode(Sha256::digest(wav)),
            tape: Some(tape.into()),
            tape_sha256: Some(hex::encode(Sha256::digest(nothing))),
            bytes: wav.len() as u64,
            ..Sealed::default()
        };
        assert!(self.web.store.recording_sealed(call, sealed, clock::now()).await.unwrap());
    }

    /// Its WAV comes as slowly as it is written into this.
    fn is_slow(&self, call: CallId) -> std::path::PathBuf {
        let path = self.web.recordings.join(format!("{call}.wav"));
        let name = std::ffi::CString::new(path.as_os_str().as_bytes()).unwrap();
        // SAFETY: a path that ends with a NUL.
        assert_eq!(unsafe { libc::mkfifo(name.as_ptr(), 0o600) }, 0);
        path
    }
}

/// Read once from its beginning to its end.
async fn read_once(path: &Path, wav: &'static [u8]) {
    let path = path.to_owned();
    let reading = tokio::task::spawn_blocking(move || std::fs::write(path, wav));
    tokio::time::timeout(Duration::from_secs(10), reading).await.unwrap().unwrap().unwrap();
}

const WAV: &[u8] = b"what was said";

#[tokio::test(flavor = "multi_thread")]
async fn rec_e5_a_slow_disk_is_no_503_and_one_is_put_together_at_a_time() {
    let room = Room::signing().await;
    let entry = room.caller_dials("13800130007", "").await;
    let pipe = room.is_slow(CallId(entry.0));
    room.is_kept(CallId(entry.0), WAV, 9).await;
    let path = format!("/entries/{entry}/export");
    let asked = tokio::time::timeout(Duration::from_secs(10), room.post(&path, "")).await;
    let asked = asked.expect("an answer at once, and no limit that runs out");
    assert_eq!(asked.status, StatusCode::SEE_OTHER, "{}", asked.text);
    let at = asked.headers[header::LOCATION].to_str().unwrap().to_owned();
    let going = room.get(&at).await.text;
    assert!(going.contains("<progress") && !going.contains("/zip"), "{going}");
    // Whoever asked is gone: nobody reads the disk beside it all the same.
    for other in [path.as_str(), "/period/export"] {
        let busy = room.post(other, "").await;
        assert_eq!(busy.status, StatusCode::TOO_MANY_REQUESTS);
        assert!(busy.text.contains("另一个导出正在进行"), "{}", busy.text);
    }
    let to_take = format!("{at}/zip");
    let zip = room.get(&to_take).await;
    assert_eq!(zip.status, StatusCode::NOT_FOUND, "it is not ready");
    read_once(&pipe, WAV).await;
    let ready = room.ends(&at).await;
    assert!(ready.contains(&to_take), "{ready}");
    let (zip, ()) = tokio::join!(room.get(&to_take), read_once(&pipe, WAV));
    assert_eq!(zip.status, StatusCode::OK);
    assert!(zip.text.starts_with("PK\u{3}\u{4}") && zip.text.contains("what was said"));
    let free = room.post("/period/export", "").await;
    assert_eq!(free.status, StatusCode::SEE_OTHER, "{}", free.text);
}

/// Whoever asked wants it no more; the disk has nothing to give meanwhile.
#[tokio::test(flavor = "multi_thread")]
async fn rec_e5_an_export_that_is_stopped_gives_nothing_and_is_audited_once() {
    let mut room = Room::signing().await;
    let entry = room.caller_dials("13800130007", "").await;
    let pipe = room.is_slow(CallId(entry.0));
    room.is_kept(CallId(entry.0), WAV, 9).await;
    let path = format!("/entries/{entry}/export");
    let asked = room.post(&path, "").await;
    let at = asked.headers[header::LOCATION].to_str().unwrap().to_owned();
    let stop = format!("{at}/stop");
    assert!(room.get(&at).await.text.contains(&format!("action=\"{stop}\"")));
    let other = room.enters("other", "另一人", Account::Officer).await;
    let own = std::mem::replace(&mut room.cookie, other);
    assert_eq!(room.post(&stop, "").await.status, StatusCode::NOT_FOUND, "nobody else's");
    room.cookie = own;
    for _ in 0..2 {
        assert_eq!(room.post(&stop, "").await.headers[header::LOCATION], at);
    }
    let shown = room.get(&at).await.text;
    assert!(shown.contains("已停止") && !shown.contains("<progress"), "{shown}");
    assert!(!shown.contains(&stop), "there is nothing left to stop");
    assert_eq!(noted(&room), "export.ask export.stop");
    // The disk is not asked twice at a time, and nothing comes of the first.
    assert_eq!(room.post(&path, "").await.status, StatusCode::TOO_MANY_REQUESTS);
    read_once(&pipe, WAV).await;
    let until = std::time::Instant::now() + Duration::from_secs(10);
    let again = loop {
        let again = room.post(&path, "").await;
        if again.status != StatusCode::TOO_MANY_REQUESTS {
            break again;
        }
        assert!(std::time::Instant::now() < until, "the turn is given back");
        tokio::time::sleep(Duration::from_millis(20)).await;
    };
    assert_eq!(again.status, StatusCode::SEE_OTHER);
    assert!(room.get(&at).await.text.contains("已停止"));
    assert_eq!(room.get(&format!("{at}/zip")).await.status, StatusCode::NOT_FOUND);
    read_once(&pipe, WAV).await;
}

/// The entry, and two calls of ours back about it.
#[tokio::test(flavor = "multi_thread")]
async fn rec_e5_a_matter_is_handed_out_with_our_calls_about_it() {
    let room = Room::signing().await;
    let entry = room.caller_dials("13800130007", "").await;
    room.is_kept(CallId(entry.0), b"the first call", 9).await;
    for words in [b"the second call", b"the third  call"] {
        let call = CallId::new(clock::now(), &mut clock::random());
        let placed = Placed {
            call,
            asker: Asker { name: "主班员".into(), person: Some(1), terminal: "test".into() },
            phone: "值班台话机".into(),
            number: "13800130007".into(),
            dialled: "913800130007".into(),
            unit: String::new(),
            town: String::new(),
            about: Some(entry),
        };
        room.happens(Fact::Placed(Box::new(placed))).await;
        room.is_kept(call, words, 9).await;
    }
    let handed = room.handed(&format!("/entries/{entry}/export"), "").await.text;
    for words in ["the first call", "the second call", "the third  call"] {
        assert!(handed.contains(words), "{words}");
    }
    let alone = room.handed(&format!("/entries/{entry}/export"), "calls=own").await.text;
    assert!(alone.contains("the first call") && !alone.contains("the second call"));
}

/// Two recordings of a period are on the disk, one is not.
#[tokio::test(flavor = "multi_thread")]
async fn rec_e5_one_recording_that_is_gone_keeps_nobody_from_the_others() {
    let room = Room::signing().await;
    let mut calls = vec![];
    for words in [b"the first call", b"the second one"] {
        let entry = room.caller_dials("13800130007", "").await;
        room.is_kept(CallId(entry.0), words, 9).await;
        calls.push(CallId(entry.0));
    }
    std::fs::remove_file(room.web.recordings.join(format!("{}.wav", calls[0]))).unwrap();
    let minutes = TimeDelta::minutes;
    let handed = room.handed("/period/export", &period(minutes(-5), minutes(5))).await;
    assert_eq!(handed.status, StatusCode::OK, "{}", handed.text);
    assert!(handed.text.contains("the second one") && !handed.text.contains("the first call"));
    assert!(handed.text.contains("\"damaged\"") && handed.text.contains(&calls[0].to_string()));
}

/// Who asked, and who took it, are in the audit apart.
fn noted(room: &Room) -> String {
    let log = rusqlite::Connection::open(room.folder.path().join("dutyline.db")).unwrap();
    let rows = "SELECT coalesce(group_concat(action, ' '), '') FROM (SELECT action FROM audit
        WHERE action LIKE 'export%' ORDER BY id)";
    log.query_row(rows, [], |row| row.get(0)).unwrap()
}

#[tokio::test]
async fn rec_e5_an_entry_is_handed_out_as_a_zip_and_that_is_audited() {
    let room = Room::open().await;
    let entry = room.caller_dials("13800130007", "").await;
    let path = format!("/entries/{entry}/export");
    assert!(room.fragment(&format!("/entries/{entry}")).await.text.contains(&path));
    let unsigned = room.post(&path, "").await;
    assert_eq!(unsigned.status, StatusCode::SERVICE_UNAVAILABLE, "without a key nothing is");
    assert_eq!(noted(&room), "");
    let mut room = room;
    room.web.signer = Some(signer(&room).await);
    room.app = build(room.web.clone(), room.closing.clone());
    let answer = room.handed(&path, "").await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.text);
    assert_eq!(answer.headers["content-type"], "application/zip");
    let name = answer.headers["content-disposition"].to_str().unwrap();
    assert!(name.contains("filename*=UTF-8''%E8%AE%B0-"), "{name}");
    assert!(answer.text.starts_with("PK\u{3}\u{4}") && answer.text.contains("manifest.json"));
    assert_eq!(noted(&room), "export.ask export");
    let redacted = room.handed(&path, "sounds=redacted").await;
    assert!(redacted.text.contains("只附脱敏件") && !answer.text.contains("只附脱敏件"));
    for unknown in ["sounds=redact", "calls=all"] {
        let unknown = room.post(&path, unknown).await;
        assert_eq!(unknown.status, StatusCode::UNPROCESSABLE_ENTITY, "never everything instead");
    }
    let minutes = TimeDelta::minutes;
    let asked = period(minutes(-5), minutes(5));
    let answer = room.handed("/period/export", &asked).await;
    assert!(answer.text.starts_with("PK"), "{}", answer.text);
    assert_eq!(noted(&room), ["export.ask export"; 3].join(" "));
    let redacted = room.handed("/period/export", &format!("{asked}&sounds=redacted")).await;
    assert!(redacted.text.contains("只附脱敏件") && !answer.text.contains("只附脱敏件"));
    let unknown = room.post("/period/export", &format!("{asked}&sounds=redact")).await;
    assert_eq!(unknown.status, StatusCode::UNPROCESSABLE_ENTITY, "never everything instead");
    let nobody = EntryId(uuid::Uuid::nil());
    assert_eq!(
        room.post(&format!("/entries/{nobody}/export"), "").await.status,
        StatusCode::NOT_FOUND
    );
    let get = room.get(&path).await;
    assert_eq!(get.status, StatusCode::METHOD_NOT_ALLOWED, "a link alone hands out nothing");
}

#[tokio::test]
async fn rec_e5_what_is_ready_is_for_who_asked_and_found_again() {
    let room = Room::signing().await;
    let entry = room.caller_dials("13800130007", "").await;
    let asked = room.post(&format!("/entries/{entry}/export"), "").await;
    let at = asked.headers[header::LOCATION].to_str().unwrap().to_owned();
    assert!(room.ends(&at).await.contains("下载 记-"));
    assert!(room.get("/period").await.text.contains(&at), "whoever left the page finds it again");
    let before = noted(&room);
    for (login, account, status) in [
        ("other", Account::Officer, StatusCode::NOT_FOUND),
        ("guanli", Account::Admin, StatusCode::FORBIDDEN),
    ] {
        let cookie = room.enters(login, login, account).await;
        for path in [at.clone(), format!("{at}/zip")] {
            assert_eq!(room.get_as(&cookie, &path).await.status(), status, "{login}");
        }
        let period = to_bytes(room.get_as(&cookie, "/period").await.into_body(), 1 << 20).await;
        assert!(!String::from_utf8_lossy(&period.unwrap()).contains(&at));
    }
    assert_eq!(noted(&room), before, "nobody had it");
    let lost = room.fragment("/exports/nonsense").await;
    assert!(lost.status == StatusCode::OK && lost.text.contains("请重新导出"), "{}", lost.text);
    assert_eq!(room.get("/exports/nonsense").await.status, StatusCode::NOT_FOUND);
}

/// The tape counts; nothing is read before that is known.
#[tokio::test(flavor = "multi_thread")]
async fn rec_e5_what_is_too_large_with_its_tapes_is_told_before_anything_is_read() {
    let room = Room::signing().await;
    let entry = room.caller_dials("13800130007", "").await;
    // Whoever reads it waits for ever.
    room.is_slow(CallId(entry.0));
    room.is_kept(CallId(entry.0), WAV, 5_000_000_000).await;
    let asked = room.post(&format!("/entries/{entry}/export"), "").await;
    assert_eq!(asked.status, StatusCode::SEE_OTHER, "{}", asked.text);
    let at = asked.headers[header::LOCATION].to_str().unwrap();
    let ended = tokio::time::timeout(Duration::from_secs(20), room.ends(at)).await.unwrap();
    assert!(ended.contains("dutyline export") && !ended.contains("/zip"), "{ended}");
    assert_eq!(noted(&room), "export.ask", "nothing was handed out");
}

#[tokio::test]
async fn what_is_too_large_for_a_browser_is_refused_and_the_command_named() {
    let room = Room::signing().await;
    let entry = room.caller_dials("13800130007", "").await;
    let path = format!("/entries/{entry}/export");
    let sealed = |bytes| crate::io::store::Sealed {
        wav: "a.wav".into(),
        sha256: "00".repeat(32),
        bytes,
        ..Default::default()
    };
    let call = CallId(entry.0);
    let large = sealed(4_000_000_001);
    assert!(room.web.store.recording_sealed(call, large, clock::now()).await.unwrap());
    let refused = room.post(&path, "").await;
    assert_eq!(refused.status, StatusCode::PAYLOAD_TOO_LARGE, "{}", refused.text);
    assert!(refused.text.contains("dutyline export"), "{}", refused.text);
    assert_eq!(noted(&room), "", "nothing was begun");
}

#[tokio::test]
async fn a_period_of_more_than_five_thousand_entries_is_for_the_command() {
    let room = Room::signing().await;
    let minutes = TimeDelta::minutes;
    let old = clock::now().wall - TimeDelta::days(30);
    // Rows alone are counted; they are as old as the period.
    let fill = |from: u32, to: u32| {
        let log = rusqlite::Connection::open(room.folder.path().join("dutyline.db")).unwrap();
        let fill = "WITH RECURSIVE n (n) AS (SELECT ?1 UNION ALL SELECT n + 1 FROM n WHERE n < ?2)
             INSERT INTO entry (id, number, source, occurred_ms, recorded_ms)
             SELECT printf('%032x', n), n, 'call_in', ?3 + n, ?3 FROM n";
        log.execute(fill, rusqlite::params![from, to, old.timestamp_millis()]).unwrap();
    };
    let asked = format!("from={}&to={}", field(old - minutes(5)), field(old + minutes(5)));
    fill(1, 5_000);
    let shown = room.get(&format!("/period?{asked}")).await.text;
    assert!(shown.contains("只列出前 2000 条"), "it says so");
    let most = room.post("/period/export", &asked).await;
    assert_eq!(most.status, StatusCode::SEE_OTHER, "{}", most.text);
    room.ends(most.headers[header::LOCATION].to_str().unwrap()).await;
    assert_eq!(noted(&room), "export.ask", "it was begun");
    fill(5_001, 5_001);
    let refused = room.post("/period/export", &asked).await;
    assert_eq!(refused.status, StatusCode::PAYLOAD_TOO_LARGE, "{}", refused.text);
    assert!(refused.text.contains("dutyline export"), "{}", refused.text);
    assert_eq!(noted(&room), "export.ask", "nothing more was");
}
