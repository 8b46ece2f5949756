//! Beside the calls, the quiet channels: the real daemon against a provider that hangs, over `kill -9`.

use crate::calls::{Room, urgent_call};
use crate::daemon::{Daemon, Plan};
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::{Duration, Instant};

const SOON: Duration = Duration::from_secs(8);

/// What a provider was sent: head and body, and when.
pub struct Request {
    at: Instant,
    pub text: String,
}

impl Request {
    fn header(&self, name: &str) -> &str {
        let line = self.text.lines().find(|line| line.to_lowercase().starts_with(name));
        line.and_then(|line| line.split_once(": ")).map_or("", |(_, value)| value)
    }
}

/// Takes requests; those that come before it `answers` get no answer.
pub fn provider(answers: &Arc<AtomicBool>) -> (u16, Receiver<Request>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("an address").port();
    let (tell, told) = channel();
    let answers = Arc::clone(answers);
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let (tell, answers) = (tell.clone(), answers.load(Ordering::SeqCst));
            thread::spawn(move || {
                let Some(text) = read(&stream) else { return };
                let _ = tell.send(Request { at: Instant::now(), text });
                let mut stream = stream;
                if answers {
                    let _ = stream.write_all(b"HTTP/1.1 204 No Content\r\n\r\n");
                } else {
                    let _ = stream.read(&mut [0]);
                }
            });
        }
    });
    (port, told)
}

fn read(mut stream: &TcpStream) -> Option<String> {
    let (mut bytes, mut block) = (vec![], [0; 4096]);
    loop {
        let read = stream.read(&mut block).ok().filter(|read| *read > 0)?;
        bytes.extend_from_slice(&block[..read]);
        let text = String::from_utf8_lossy(&bytes);
        let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
        let length = head.to_lowercase();
        let length = length.lines().find_map(|line| line.strip_prefix("content-length: "))?;
        if body.len() >= length.parse().ok()? {
            return Some(text.into_owned());
        }
    }
}

pub fn channels(room: &Room, ports: [u16; 2]) -> String {
    let folder = room.folder.path();
    std::fs::write(folder.join("hook-secret"), "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD\n")
        .expect("written");
    let section = |name: &str, port: u16| {
        format!(
            "[[channels]]\nname = \"{name}\"\nkind = \"webhook\"\nallow = [\"127.0.0.1\"]\n\
             url = \"http://127.0.0.1:{port}/duty\"\nsecret_file = \"{}\"\n",
            folder.join("hook-secret").display()
        )
    };
    section("平台一", ports[0]) + &section("平台二", ports[1])
}

fn next(told: &Receiver<Request>) -> Request {
    told.recv_timeout(Duration::from_secs(15)).expect("a request")
}

#[test]
fn esc_43_a_notice_in_flight_survives_kill_9_and_one_that_hangs_delays_neither_the_other_nor_the_phone()
 {
    let Some(mut room) = Room::open() else { return };
    let answers = Arc::new(AtomicBool::new(false));
    let (first, told_first) = provider(&answers);
    let (second, told_second) = provider(&Arc::new(AtomicBool::new(true)));
    let more = channels(&room, [first, second]);
    let plan = Plan { more: &more, ..Plan::default() };
    let mut daemon: Daemon = room.daemon(&plan);
    let [_caller, _officer, mut leader] = urgent_call(&mut room);
    let (hanging, well) = (next(&told_first), next(&told_second));
    leader.incoming(SOON);
    let apart = hanging.at.max(well.at) - hanging.at.min(well.at);
    assert!(apart < Duration::from_secs(4), "it did not wait for the one that hangs: {apart:?}");
    daemon.row_is("SELECT progress FROM delivery WHERE channel = '平台二'", "accepted");
    assert_eq!(daemon.row("SELECT progress FROM delivery WHERE channel = '平台一'"), "waiting");
    assert!(well.text.contains("escalation.alert") && well.text.contains("记-"), "{}", well.text);
    assert!(!well.text.contains("caller"), "esc_87: nobody's name, no number: {}", well.text);

    daemon.process.kill();
    let in_flight = hanging.at.elapsed() < Duration::from_secs(4);
    while told_first.try_recv().is_ok() {}
    answers.store(true, Ordering::SeqCst);
    daemon.restart(room.folder.path(), &room.ports, &plan);
    let again = next(&told_first);
    assert_eq!(again.header("webhook-id"), hanging.header("webhook-id"), "the same delivery");
    assert!(!again.header("webhook-id").is_empty());
    let body = |request: &Request| request.text.split("\r\n\r\n").nth(1).map(str::to_owned);
    assert_eq!(body(&again), body(&hanging));
    daemon.row_is("SELECT group_concat(DISTINCT progress) FROM delivery", "accepted");
    let endings = "SELECT group_concat(ending, ' ') FROM delivery_try WHERE channel = '平台一'";
    let endings = daemon.row(endings);
    let before = endings.strip_suffix(" accepted").unwrap_or_default();
    // On a slow machine the first try was given up before the daemon died.
    let may_be = |ending| ending == "lost" || (!in_flight && ending == "unknown");
    assert!(!before.is_empty() && before.split(' ').all(may_be), "{endings}");
    assert!(
        told_second.recv_timeout(Duration::from_secs(1)).is_err(),
        "nothing was sent twice there"
    );
    let log = daemon.process.log();
    assert!(!log.contains("C2FVsBQIhrscChlQIMV"), "esc_87: the secret is in the log");
}
