//! How a run begins where something is not as it should be.

use super::{RIGHT, dutyline, folder_with, text};
use dutyline::config::{Config, Environment};
use dutyline::daemon::{self, Daemon, Options};
use dutyline::io::clock;
use dutyline::io::status::Alarm;
use dutyline::io::store::Store;
use std::fs;
use std::io::ErrorKind;
use std::net::UdpSocket;
use std::path::Path;
use std::time::Duration;

/// Nothing here is rung: the PBX is deaf.
const SOON: Duration = Duration::from_secs(20);

fn free() -> (UdpSocket, u16) {
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a port");
    let port = socket.local_addr().expect("an address").port();
    (socket, port)
}

async fn start(folder: &Path, first_port: u16) -> (Daemon, UdpSocket) {
    let ((pbx, at), (own, port)) = (free(), free());
    let media =
        format!("[media]\nfirst_port = {first_port}\nchannels = 8\nrealtime = false\n[[phones]]");
    let text = RIGHT
        .replace("127.0.0.1:5060", &format!("127.0.0.1:{at}"))
        .replace("127.0.0.1:5070", &format!("127.0.0.1:{port}"))
        .replace("[[phones]]", &media);
    let loaded = Config::parse("d.toml", &text, &Environment::new());
    let mut config = loaded.unwrap_or_else(|faults| panic!("{faults}")).config;
    config.web.listen.set_port(0);
    config.storage.data = folder.join("data");
    config.storage.recordings = folder.join("recordings");
    config.storage.ballast = 0;
    drop(own);
    (daemon::start(config, Options::default()).await.expect("started"), pbx)
}

async fn alarm(daemon: &Daemon, key: &str) -> Alarm {
    let mut changes = daemon.board.changes();
    let told = changes.wait_for(|status| status.alarms.contains_key(key));
    let told = tokio::time::timeout(SOON, told).await.expect("told").expect("running");
    told.alarms[key].clone()
}

/// The other one keeps its line: nothing was said to the PBX.
#[test]
fn esc_69_a_second_daemon_ends_at_once_and_before_it_registers() {
    let ((pbx, at), (own, port)) = (free(), free());
    pbx.set_nonblocking(true).expect("set");
    let text_of = RIGHT
        .replace("127.0.0.1:5060", &format!("127.0.0.1:{at}"))
        .replace("127.0.0.1:5070", &format!("127.0.0.1:{port}"));
    let folder = folder_with(&text_of);
    fs::create_dir(folder.path().join("data")).expect("made");
    let database = folder.path().join("data/dutyline.db");
    let _first = Store::open(&database, clock::random()).expect("opened");
    // Its port is taken, too: what is told is the folder.
    let done = dutyline(folder.path(), &["run", "--config", "d.toml"], "");
    assert_eq!(done.status.code(), Some(1), "{done:?}");
    assert!(text(&done.stderr).contains("another daemon uses this data folder"), "{done:?}");
    drop(own);
    let done = dutyline(folder.path(), &["run", "--config", "d.toml"], "");
    assert!(text(&done.stderr).contains("another daemon uses this data folder"), "{done:?}");
    let heard = pbx.recv(&mut [0; 2000]).expect_err("nobody registers");
    assert_eq!(heard.kind(), ErrorKind::WouldBlock);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_log_beside_recordings_is_an_alarm_at_once() {
    let folder = tempfile::tempdir().expect("a folder");
    let day = folder.path().join("recordings/2026/11/26");
    fs::create_dir_all(&day).expect("made");
    for name in ["a.wav", "b.flac", "a.tape"] {
        fs::write(day.join(name), "x").expect("written");
    }
    let (daemon, _pbx) = start(folder.path(), 17_400).await;
    let told = alarm(&daemon, "new_log").await;
    assert!(
        told.zh.contains("2 份以前的录音") && told.zh.contains("数据盘可能没有挂上"),
        "{told:?}"
    );
    daemon.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_recordings_folder_that_takes_nothing_is_an_alarm_before_the_first_call() {
    let folder = tempfile::tempdir().expect("a folder");
    fs::write(folder.path().join("recordings"), "no folder").expect("written");
    let (daemon, _pbx) = start(folder.path(), 17_500).await;
    let told = alarm(&daemon, "recorder").await;
    assert!(
        told.zh.starts_with("未在录音，请手工记录（") && told.zh.contains("没有这个文件夹"),
        "{told:?}"
    );
    assert!(!told.zh.contains("cannot") && told.en.contains("cannot"), "{told:?}");
    daemon.stop().await;
}
