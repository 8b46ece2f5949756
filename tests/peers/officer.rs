//! An officer at the page of the real daemon, without a browser: what his clicks ask over HTTP.

use crate::daemon::Daemon;
use serde_json::Value;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

const FORM: &str = "Content-Type: application/x-www-form-urlencoded\r\n";

pub struct Officer {
    host: String,
    cookie: String,
}

impl Officer {
    /// Makes the first account.
    pub fn first(daemon: &mut Daemon) -> Self {
        let link = daemon.first_link();
        let rest = link.strip_prefix("http://").expect("a link");
        let (host, path) = rest.split_once('/').expect("a path");
        let mut officer = Self { host: host.to_owned(), cookie: String::new() };
        let form = "name=%E7%8E%8B%E5%80%BC%E7%8F%AD&account=wang&password=correct-horse&\
                    again=correct-horse";
        let answer = officer.post(&format!("/{path}"), form);
        officer.cookie = session(&answer);
        officer
    }

    /// A number is called: the new entry, or the words of the refusal.
    pub fn dials(&self, form: &str) -> Result<String, String> {
        let answer = self.post("/dial", form);
        let (head, body) = answer.split_once("\r\n\r\n").expect("an answer");
        if !head.starts_with("HTTP/1.1 201") {
            return Err(body.to_owned());
        }
        let body: Value = serde_json::from_str(body).expect("JSON");
        Ok(body["entry"].as_str().expect("an entry").to_owned())
    }

    /// 录音自检
    pub fn wants_a_test(&self) {
        let answer = self.post("/self-test", "");
        assert!(answer.starts_with("HTTP/1.1 202"), "{answer}");
    }

    /// What stands at the top of the page.
    pub fn looks_up(&self) -> String {
        self.ask("GET", "/strip", "HX-Request: true\r\n", "")
    }

    /// As [`Officer::looks_up`]; `None` while there is no page.
    pub fn looks_up_if_up(&self) -> Option<String> {
        TcpStream::connect(&self.host).is_ok().then(|| self.looks_up())
    }

    pub fn gives_up(&self, entry: &str) {
        let answer = self.post(&format!("/entries/{entry}/hangup"), "");
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    }

    /// The entry as the page shows it.
    pub fn reads(&self, entry: &str) -> String {
        self.ask("GET", &format!("/entries/{entry}"), "HX-Request: true\r\n", "")
    }

    /// What the path gives, as it comes.
    pub fn fetches(&self, path: &str) -> Vec<u8> {
        let answer = self.ask_raw("GET", path, "", "");
        let head = answer.windows(4).position(|window| window == b"\r\n\r\n").expect("a head");
        assert!(
            answer.starts_with(b"HTTP/1.1 200"),
            "{}",
            String::from_utf8_lossy(&answer[..head])
        );
        answer[head + 4..].to_vec()
    }

    /// The pieces of an answer that goes on until its end, each with when it came.
    pub fn hears(&self, path: &str) -> Vec<(Instant, Vec<u8>)> {
        let mut stream = BufReader::new(TcpStream::connect(&self.host).expect("the page"));
        stream.get_ref().set_read_timeout(Some(Duration::from_secs(20))).expect("a timeout");
        let (host, cookie) = (&self.host, &self.cookie);
        let request = format!("GET {path} HTTP/1.1\r\nHost: {host}\r\nCookie: {cookie}\r\n\r\n");
        stream.get_mut().write_all(request.as_bytes()).expect("asked");
        let mut line = String::new();
        let mut next = |stream: &mut BufReader<TcpStream>| {
            line.clear();
            stream.read_line(&mut line).expect("a line");
            line.trim_end().to_owned()
        };
        let status = next(&mut stream);
        assert!(status.starts_with("HTTP/1.1 200"), "{status}");
        while !next(&mut stream).is_empty() {}
        let mut pieces = vec![];
        loop {
            let length = usize::from_str_radix(&next(&mut stream), 16).expect("a chunk");
            let mut bytes = vec![0; length];
            stream.read_exact(&mut bytes).expect("a chunk");
            next(&mut stream);
            if length == 0 {
                return pieces;
            }
            pieces.push((Instant::now(), bytes));
        }
    }

    /// The bytes of a range, with the head of the answer.
    pub fn fetches_part(&self, path: &str, range: &str) -> (String, Vec<u8>) {
        let answer = self.ask_raw("GET", path, &format!("Range: {range}\r\n"), "");
        let head = answer.windows(4).position(|window| window == b"\r\n\r\n").expect("a head");
        (String::from_utf8_lossy(&answer[..head]).into_owned(), answer[head + 4..].to_vec())
    }

    /// A page of it, for a browser.
    pub fn at(&self, path: &str) -> String {
        format!("http://{}{path}", self.host)
    }

    /// Whatever the answer is.
    pub fn asks(&self, method: &str, path: &str) -> Vec<u8> {
        self.ask_raw(method, path, if method == "POST" { FORM } else { "" }, "")
    }

    /// What is handed out of an entry, as it comes; what is answered where it is not.
    pub fn is_handed(&self, entry: &str) -> Vec<u8> {
        let asked = self.asks("POST", &format!("/entries/{entry}/export"));
        let head = String::from_utf8_lossy(&asked).into_owned();
        let at = head.lines().find_map(|line| line.strip_prefix("location: "));
        let Some(at) = at.filter(|_| head.starts_with("HTTP/1.1 303")) else { return asked };
        // Answered when it is ready, or after a while.
        while self.ask("GET", at, "HX-Request: true\r\n", "").contains("<progress") {}
        self.asks("GET", &format!("{at}/zip"))
    }

    /// A form of a page.
    pub fn submits(&self, path: &str, form: &str) -> String {
        self.post(path, form)
    }

    /// Somebody else at the same page, who has an account.
    pub fn beside(&self, login: &str) -> Self {
        let mut other = Self { host: self.host.clone(), cookie: String::new() };
        let answer = other.post("/login", &format!("account={login}&password=correct-horse"));
        other.cookie = session(&answer);
        other
    }

    /// What is answered to these fields.
    pub fn posts(&self, path: &str, fields: &[(&str, &str)]) -> String {
        self.post(path, &form(fields))
    }

    /// As [`Officer::posts`]; whether there will be an answer is not known.
    pub fn posts_unheard(&self, path: &str, fields: &[(&str, &str)]) -> TcpStream {
        self.request("POST", path, FORM, &form(fields))
    }

    fn post(&self, path: &str, form: &str) -> String {
        self.ask("POST", path, FORM, form)
    }

    fn ask(&self, method: &str, path: &str, headers: &str, body: &str) -> String {
        String::from_utf8(self.ask_raw(method, path, headers, body)).expect("text")
    }

    fn ask_raw(&self, method: &str, path: &str, headers: &str, body: &str) -> Vec<u8> {
        let mut stream = self.request(method, path, headers, body);
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).expect("an answer");
        answer
    }

    fn request(&self, method: &str, path: &str, headers: &str, body: &str) -> TcpStream {
        let (host, cookie) = (&self.host, &self.cookie);
        let cookie =
            if cookie.is_empty() { String::new() } else { format!("Cookie: {cookie}\r\n") };
        let request = format!(
            "{method} {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n{cookie}{headers}\
             Content-Length: {}\r\n\r\n{body}",
            body.len()
        );
        let mut stream = TcpStream::connect(host).expect("the page");
        stream.set_read_timeout(Some(Duration::from_secs(10))).expect("a timeout");
        stream.write_all(request.as_bytes()).expect("asked");
        stream
    }
}

fn form(fields: &[(&str, &str)]) -> String {
    let escaped =
        |text: &str| -> String { text.bytes().map(|byte| format!("%{byte:02X}")).collect() };
    let fields: Vec<_> =
        fields.iter().map(|(name, text)| format!("{name}={}", escaped(text))).collect();
    fields.join("&")
}

/// The cookie that is given with an answer.
fn session(answer: &str) -> String {
    let cookie = answer.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("set-cookie").then(|| value.trim().to_owned())
    });
    let cookie = cookie.unwrap_or_else(|| panic!("no session: {answer}"));
    cookie.split(';').next().expect("a cookie").to_owned()
}
