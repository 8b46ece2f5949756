//! A provider of raw TCP that does what it is told, one connection after the other.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

#[derive(Debug, Clone)]
pub enum Act {
    /// A whole answer, as it stands on the wire.
    Says(String),
    /// Takes the request and says nothing.
    Hangs,
    /// Takes the request and resets the connection.
    Resets,
    /// A status line, half of its body, and a reset.
    BreaksOff(u16),
    /// A body without an end.
    Floods,
    /// One byte of the body a second.
    Drips,
}

#[derive(Debug, Clone)]
pub struct Seen {
    pub at: Instant,
    /// `POST /path?query`
    pub line: String,
    /// Names in lower case.
    pub headers: Vec<(String, String)>,
    pub body: String,
    /// What it could not take of our flood, in bytes sent.
    pub flooded: usize,
}

impl Seen {
    pub fn header(&self, name: &str) -> &str {
        let found = self.headers.iter().find(|(known, _)| known == name);
        found.map_or("", |(_, value)| value)
    }
}

pub struct Stub {
    pub address: SocketAddr,
    pub seen: Receiver<Seen>,
}

pub fn status(status: u16, more: &str) -> Act {
    Act::Says(format!("HTTP/1.1 {status} X\r\ncontent-length: 0\r\n{more}\r\n"))
}

pub fn json(body: &str) -> Act {
    let length = body.len();
    Act::Says(format!(
        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n{body}"
    ))
}

impl Stub {
    /// Each connection has the next act; the last one goes on.
    pub fn start(acts: Vec<Act>) -> Self {
        let acts = move |nth: usize, _: &Seen| acts[nth.min(acts.len() - 1)].clone();
        Self::answering(acts)
    }

    pub fn answering(mut acts: impl FnMut(usize, &Seen) -> Act + Send + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("its address");
        let (tell, seen) = channel();
        thread::spawn(move || {
            for (nth, stream) in listener.incoming().enumerate() {
                let Ok(mut stream) = stream else { return };
                let Some(request) = read(&mut stream) else { continue };
                let act = acts(nth, &request);
                let tell: Sender<Seen> = tell.clone();
                thread::spawn(move || play(stream, act, request, &tell));
            }
        });
        Self { address, seen }
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    pub fn next(&self) -> Seen {
        self.seen.recv_timeout(Duration::from_secs(20)).expect("a request")
    }

    pub fn is_quiet_for(&self, time: Duration) -> bool {
        self.seen.recv_timeout(time).is_err()
    }
}

fn play(mut stream: TcpStream, act: Act, mut request: Seen, tell: &Sender<Seen>) {
    let head = "HTTP/1.1 200 OK\r\ncontent-length: 1073741824\r\n\r\n";
    match act {
        Act::Says(answer) => {
            // Whoever has the answer may ask at once what was seen.
            let _ = tell.send(request);
            let _ = stream.write_all(answer.as_bytes());
        }
        Act::Hangs => {
            let _ = tell.send(request);
            let _ = stream.read(&mut [0; 1]);
        }
        Act::Resets => {
            let _ = tell.send(request);
            reset(&stream);
        }
        Act::BreaksOff(status) => {
            let half = format!("HTTP/1.1 {status} X\r\ncontent-length: 100\r\n\r\n{{\"err");
            let _ = stream.write_all(half.as_bytes());
            thread::sleep(Duration::from_millis(50));
            let _ = tell.send(request);
            reset(&stream);
        }
        Act::Floods => {
            let _ = stream.write_all(head.as_bytes());
            let block = [b'x'; 64 * 1024];
            while request.flooded < 1 << 30 {
                match stream.write(&block) {
                    Ok(written) => request.flooded += written,
                    Err(error) if error.kind() == ErrorKind::Interrupted => {}
                    Err(_) => break,
                }
            }
            let _ = tell.send(request);
        }
        Act::Drips => {
            let _ = stream.write_all(head.as_bytes());
            let _ = tell.send(request);
            while stream.write_all(b"x").is_ok() {
                thread::sleep(Duration::from_secs(1));
            }
        }
    }
}

/// RST instead of FIN.
fn reset(stream: &TcpStream) {
    let _ = socket2::SockRef::from(stream).set_linger(Some(Duration::ZERO));
    let _ = stream.shutdown(Shutdown::Read);
}

fn read(stream: &mut TcpStream) -> Option<Seen> {
    let (mut bytes, mut block) = (vec![], [0; 4096]);
    let head = loop {
        let read = stream.read(&mut block).ok()?;
        bytes.extend_from_slice(&block[..read]);
        if let Some(at) = bytes.windows(4).position(|four| four == b"\r\n\r\n") {
            break at;
        }
        if read == 0 {
            return None;
        }
    };
    let text = String::from_utf8_lossy(&bytes[..head]).into_owned();
    let mut lines = text.lines();
    let line = lines.next()?.trim_end_matches(" HTTP/1.1").to_owned();
    let headers: Vec<(String, String)> = lines
        .filter_map(|line| line.split_once(':'))
        .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()))
        .collect();
    let length = headers.iter().find(|(name, _)| name == "content-length");
    let length = length.map_or(0, |(_, value)| value.parse().unwrap_or(0));
    while bytes.len() < head + 4 + length {
        let read = stream.read(&mut block).ok().filter(|read| *read > 0)?;
        bytes.extend_from_slice(&block[..read]);
    }
    let body = String::from_utf8_lossy(&bytes[head + 4..]).into_owned();
    Some(Seen { at: Instant::now(), line, headers, body, flooded: 0 })
}
