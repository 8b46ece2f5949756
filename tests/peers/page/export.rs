//! What the eye sees while something is put together to be handed out, and when it is ready.

use super::{Room, looks_right, sign_in, watch_faults};
use crate::browser::Browser;
use crate::have;
use dutyline::duty::ids::CallId;
use dutyline::duty::journal::Disposition;
use dutyline::io::clock;
use dutyline::io::proof::key::SigningKey;
use dutyline::io::proof::signer::Signer;
use dutyline::io::status::Live;
use dutyline::io::store::Sealed;
use rusqlite::Connection;
use serde_json::json;
use sha2::{Digest, Sha256};
use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;

/// So much that the bar moves.
const BYTES: usize = 6_000_000;
const TAPE: &[u8] = b"every packet";

impl Room {
    /// One whose log can be signed.
    async fn can_sign(&mut self) {
        let origin = self.store.origin().await.expect("a name");
        SigningKey::load_or_make(self.folder.path(), &origin).expect("a key");
        let signer = Signer::new(self.folder.path(), origin, self.store.clone());
        self.page.signer = Some(Arc::new(signer));
        self.server_stops().await;
        self.server_starts().await;
    }

    /// A recording whose tape comes from its disk when it is written into this; the player reads the WAV alone.
    async fn is_recorded_on_a_slow_disk(&self, call: CallId) -> PathBuf {
        let recordings = self.folder.path().join("recordings");
        let (wav, path) = (vec![7; BYTES], recordings.join(format!("{call}.tape")));
        std::fs::write(recordings.join(format!("{call}.wav")), &wav).expect("written");
        assert!(Command::new("mkfifo").arg(&path).status().expect("coreutils").success());
        let sealed = Sealed {
            wav: format!("{call}.wav").into(),
            sha256: hex::encode(Sha256::digest(&wav)),
            bytes: BYTES as u64,
            tape: Some(format!("{call}.tape").into()),
            tape_sha256: Some(hex::encode(Sha256::digest(TAPE))),
            ..Sealed::default()
        };
        assert!(self.store.recording_sealed(call, sealed, clock::now()).await.expect("written"));
        self.board.tell(Live::Entry { entry: call.into() });
        path
    }

    fn exports_in_the_audit(&self) -> String {
        let log = Connection::open(self.folder.path().join("dutyline.db")).expect("the log");
        let rows = "SELECT coalesce(group_concat(action, ' '), '') FROM (SELECT action FROM audit
            WHERE action LIKE 'export%' ORDER BY id)";
        log.query_row(rows, [], |row| row.get(0)).expect("read")
    }
}

/// It is pressed while the bar is drawn anew each second.
#[tokio::test(flavor = "multi_thread")]
async fn an_export_is_stopped_by_its_button_and_leaves_nothing() {
    if !have(&["chromedriver", "chromium"]) {
        return;
    }
    let mut room = Room::open().await;
    room.can_sign().await;
    let call = room.caller_dials("13800130007", "").await;
    room.officer_answers(call).await;
    room.caller_hangs_up(call, Disposition::Answered).await;
    let pipe = room.is_recorded_on_a_slow_disk(call).await;
    let browser = Browser::start().await;
    sign_in(&browser, &room).await;
    browser.goto(&format!("{}/?entry={call}", room.url)).await;
    let form = "document.querySelector(\"form[action$='/export']\")";
    browser.script(&format!("{form}.target = ''; {form}.submit()")).await;
    let far = "return document.querySelector('.export-job progress')?.value === 6";
    browser.until("the bar moves", async || browser.script(far).await == json!(true)).await;
    browser.shot("37-export-may-be-stopped").await;
    browser.click(".stop-export button").await;
    browser.see_text(".export-job", "已停止").await;
    browser.shot("38-export-stopped").await;
    assert_eq!(room.exports_in_the_audit(), "export.ask export.stop");
    let left = "return document.querySelectorAll('.stop-export, .take, progress').length";
    assert_eq!(browser.script(left).await, json!(0));
    let feeding = tokio::task::spawn_blocking(move || std::fs::write(pipe, TAPE));
    feeding.await.expect("no panic").expect("read");
    browser.end().await;
}

/// The desk stays where it is; how far it is, is seen; then there is a link.
#[tokio::test(flavor = "multi_thread")]
async fn an_export_is_seen_to_go_on_and_is_taken_when_it_is_ready() {
    if !have(&["chromedriver", "chromium"]) {
        return;
    }
    let mut room = Room::open().await;
    room.can_sign().await;
    let call = room.caller_dials("13800130007", "").await;
    room.officer_answers(call).await;
    room.caller_hangs_up(call, Disposition::Answered).await;
    let pipe = room.is_recorded_on_a_slow_disk(call).await;
    let browser = Browser::start().await;
    sign_in(&browser, &room).await;
    browser.goto(&format!("{}/?entry={call}", room.url)).await;
    watch_faults(&browser).await;
    browser.click("form[action$='/export'] button").await;
    let mut windows = vec![];
    browser
        .until("a page of its own", async || {
            windows = browser.client.windows().await.expect("windows");
            windows.len() == 2
        })
        .await;
    let desk = browser.client.window().await.expect("the desk");
    let other = windows.into_iter().find(|one| *one != desk).expect("another");
    browser.client.switch_to_window(other).await.expect("switched");
    browser.see(".export-job progress").await;
    browser.shot("33-export-goes-on").await;
    let far = "return document.querySelector('.export-job progress')?.value === 6";
    browser.until("the bar moves", async || browser.script(far).await == json!(true)).await;
    browser.shot("34-export-read").await;
    let slow = pipe.clone();
    let feeding = tokio::task::spawn_blocking(move || std::fs::write(slow, TAPE));
    feeding.await.expect("no panic").expect("read");
    browser.see_text(".export-job", "已备好").await;
    browser.shot("35-export-ready").await;
    assert_eq!(browser.text(".export-job .problem").await, "", "nothing is missing");
    // It is read once more when it is taken.
    std::fs::remove_file(&pipe).expect("gone");
    std::fs::write(&pipe, TAPE).expect("as it was");
    assert_eq!(room.exports_in_the_audit(), "export.ask");
    let take = "const answer = await fetch(document.querySelector('a.take').href); \
                const bytes = await answer.arrayBuffer(); \
                return [answer.status, answer.headers.get('content-type'), bytes.byteLength > 6e6]";
    let taken = browser.script(&format!("return (async () => {{ {take} }})()")).await;
    assert_eq!(taken, json!([200, "application/zip", true]));
    assert_eq!(room.exports_in_the_audit(), "export.ask export");
    browser.goto(&format!("{}/period", room.url)).await;
    browser.see_text("main", "我的导出").await;
    browser.shot("36-export-found-again").await;
    browser.client.switch_to_window(desk).await.expect("the desk is there");
    browser.see("article.entry").await;
    looks_right(&browser).await;
    browser.end().await;
}
