//! The leader's telephone rings, and he answers the short message instead: the real daemon with a GSM modem of our own on a
//! pseudo-terminal, and a real phone through a real PBX.

use crate::calls::{Room, urgent_call};
use crate::daemon::{Daemon, Plan};
use crate::notices::provider;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use chrono::{DateTime, TimeDelta, Utc};
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use std::collections::BTreeMap;
use std::ffi::CStr;
use std::fs::File;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::fd::FromRawFd;
use std::path::PathBuf;
use std::sync::atomic::AtomicBool;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

const SOON: Duration = Duration::from_secs(8);

type Memory = Arc<Mutex<BTreeMap<u16, String>>>;

/// A modem that keeps what comes.
struct Modem {
    device: PathBuf,
    memory: Memory,
    /// Text of what it was given to send.
    sent: Receiver<String>,
}

impl Modem {
    fn new() -> Self {
        // SAFETY: plain calls of POSIX; the descriptor is owned by the file that is made of it, and the name is copied
        // before anything else may write into its buffer.
        let (line, device) = unsafe {
            let master = libc::posix_openpt(libc::O_RDWR | libc::O_NOCTTY);
            assert!(master >= 0 && libc::grantpt(master) == 0 && libc::unlockpt(master) == 0);
            let mut name = [0; 128];
            assert_eq!(libc::ptsname_r(master, name.as_mut_ptr(), name.len()), 0);
            let name = CStr::from_ptr(name.as_ptr()).to_str().expect("a name").to_owned();
            (File::from_raw_fd(master), PathBuf::from(name))
        };
        let memory = Memory::default();
        let (tell, sent) = channel();
        let mine = Arc::clone(&memory);
        thread::spawn(move || lives(line, &mine, &tell));
        Self { device, memory, sent }
    }

    /// 回复 4821 知悉
    fn sends_a_code(&self) -> String {
        let text = self.sent.recv_timeout(Duration::from_secs(20)).expect("a message");
        let code = text.split("回复 ").nth(1).and_then(|rest| rest.split(' ').next());
        code.unwrap_or_else(|| panic!("how to answer: {text}")).to_owned()
    }

    /// From the leader's mobile, in UCS-2, at this second.
    fn receives(&self, text: &str) {
        let now = chrono::Utc::now().format("%y%m%d%H%M%S").to_string();
        let pairs = now.as_bytes().chunks(2).flat_map(|pair| [pair[1], pair[0]]);
        let stamp: String = pairs.map(char::from).collect();
        let data: String = text.encode_utf16().map(|unit| format!("{unit:04X}")).collect();
        let pdu = format!("00040D91683109000000F10008{stamp}00{:02X}{data}", data.len() / 2);
        self.memory.lock().expect("kept").insert(7, pdu);
    }

    fn is_emptied(&self) {
        let until = Instant::now() + Duration::from_secs(20);
        while !self.memory.lock().expect("kept").is_empty() {
            assert!(Instant::now() < until, "it is read and deleted");
            thread::sleep(Duration::from_millis(50));
        }
    }
}

fn lives(mut line: File, memory: &Memory, tell: &Sender<String>) {
    let (mut heard, mut block) = (String::new(), [0; 512]);
    loop {
        match line.read(&mut block) {
            Ok(read) => heard.push_str(&String::from_utf8_lossy(&block[..read])),
            // Nobody has the other end open yet, or any more.
            Err(_) => thread::sleep(Duration::from_millis(5)),
        }
        while let Some(end) = heard.find(['\r', '\u{1a}']) {
            let said: String = heard.drain(..=end).collect();
            let said = said.trim_matches(|c: char| c.is_control());
            let mut memory = memory.lock().expect("kept");
            let answer = match said {
                text if text.starts_with("AT+CMGS=") => "\r\n> ".to_owned(),
                "AT+CPMS=\"ME\"" => "\r\n+CMS ERROR: 302\r\n".to_owned(),
                "AT+CMGL=4" => {
                    let one = |(place, pdu): (&u16, &String)| {
                        format!("\r\n+CMGL: {place},0,,{}\r\n{pdu}", pdu.len() / 2 - 1)
                    };
                    memory.iter().map(one).collect::<String>() + "\r\nOK\r\n"
                }
                "AT+CMGD=7" => {
                    memory.remove(&7);
                    "\r\nOK\r\n".to_owned()
                }
                text if text.starts_with("AT") => "\r\nOK\r\n".to_owned(),
                pdu => {
                    if tell.send(text_of(pdu)).is_err() {
                        return;
                    }
                    // It has arrived, the network says at once.
                    "\r\n+CMGS: 17\r\n\r\nOK\r\n\r\n+CDS: 24\r\n0006110B911326880736F4111011719551401110117195714000\r\n".to_owned()
                }
            };
            let _ = line.write_all(answer.as_bytes());
        }
    }
}

/// Of a SUBMIT in UCS-2 and in one part.
fn text_of(pdu: &str) -> String {
    assert!(pdu.starts_with("003100") && pdu.len() > 30, "{pdu}");
    let digits = usize::from_str_radix(&pdu[6..8], 16).expect("hex");
    // Protocol, coding, validity and length stand between the number and the text.
    let octets = (10 + 2 * digits.div_ceil(2) + 8..pdu.len()).step_by(2);
    let octets: Vec<u8> =
        octets.map(|at| u8::from_str_radix(&pdu[at..at + 2], 16).expect("hex")).collect();
    let units: Vec<u16> =
        octets.chunks(2).map(|pair| u16::from_be_bytes([pair[0], pair[1]])).collect();
    String::from_utf16(&units).expect("text")
}

fn config(modem: &Modem) -> String {
    format!(
        "[[leaders]]\nname = \"张局\"\nrole = \"leader\"\nmobile = \"3001\"\nsms = \"13900000001\"\n\
         [[channels]]\nname = \"短信猫\"\nkind = \"modem\"\ndevice = \"{}\"\nroles = [\"leader\"]\n\
         replies = true\n",
        modem.device.display()
    )
}

const ACKED: &str = "SELECT state || ' ' || acked_channel || ' ' || acked_by FROM escalation";

#[test]
fn esc_39_a_text_to_the_modem_stops_the_ringing_telephone() {
    let Some(mut room) = Room::open() else { return };
    let modem = Modem::new();
    let more = config(&modem);
    let daemon = room.daemon(&Plan { leaders: &[], more: &more, ..Plan::default() });
    let [_caller, _officer, mut leader] = urgent_call(&mut room);
    leader.incoming(SOON);
    modem.receives(&format!("收到{}", modem.sends_a_code()));
    let written = Instant::now();
    leader.wait("CALL_CLOSED", Duration::from_secs(20));
    println!("the leader's phone is let go {:?} after his text", written.elapsed());
    assert_eq!(daemon.row(ACKED), "acknowledged sms 张局");
    let said = modem.sent.recv_timeout(Duration::from_secs(20)).expect("he is told");
    assert!(said.ends_with("已记为您知悉。"), "{said}");
    modem.is_emptied();
    assert_eq!(daemon.row("SELECT count(*) FROM told"), "1");
    assert_eq!(daemon.row("SELECT count(*) FROM attempt"), "1");
}

#[test]
fn esc_39_a_text_that_came_while_the_daemon_was_dead_acknowledges_when_it_is_back() {
    let Some(mut room) = Room::open() else { return };
    let modem = Modem::new();
    let more = config(&modem);
    let plan = Plan { leaders: &[], more: &more, ..Plan::default() };
    let mut daemon: Daemon = room.daemon(&plan);
    let [_caller, _officer, mut leader] = urgent_call(&mut room);
    leader.incoming(SOON);
    let code = modem.sends_a_code();
    daemon.process.kill();
    modem.receives(&code);
    daemon.restart(room.folder.path(), &room.ports, &plan);
    daemon.row_is(ACKED, "acknowledged sms 张局");
    modem.is_emptied();
    assert_eq!(daemon.row("SELECT count(*) FROM told"), "1");
    assert_eq!(daemon.row("SELECT count(*) FROM reply WHERE meaning = 'acknowledges'"), "1");
}

const KEY: &[u8] = b"between the gateway and us";

/// What the gateway hands on, signed as Standard Webhooks 1.0 are; the status of the answer.
fn hands_on(port: u16, id: &str, sent: DateTime<Utc>) -> String {
    let sent = sent.timestamp_millis();
    let body = format!(r#"{{"from":"13900000001","text":"1","sent":{sent}}}"#);
    let at = Utc::now().timestamp();
    let mut mac = Hmac::<Sha256>::new_from_slice(KEY).expect("any length");
    mac.update(format!("{id}.{at}.{body}").as_bytes());
    let signature = BASE64_STANDARD.encode(mac.finalize().into_bytes());
    let mut stream = TcpStream::connect(("127.0.0.1", port)).expect("the page");
    write!(
        stream,
        "POST /channels/gateway/replies HTTP/1.1\r\nhost: 127.0.0.1\r\nconnection: close\r\n\
         webhook-id: {id}\r\nwebhook-timestamp: {at}\r\nwebhook-signature: v1,{signature}\r\n\
         content-length: {}\r\n\r\n{body}",
        body.len()
    )
    .expect("sent");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("an answer");
    answer.split(' ').nth(1).unwrap_or_default().to_owned()
}

#[test]
fn esc_39_a_text_that_waited_at_the_gateway_since_before_the_notice_stops_no_telephone() {
    let Some(mut room) = Room::open() else { return };
    let (port, told) = provider(&Arc::new(AtomicBool::new(true)));
    let secret = room.folder.path().join("reply-secret");
    let text = format!("whsec_{}\n", BASE64_STANDARD.encode(KEY));
    std::fs::write(&secret, text).expect("written");
    let more = format!(
        "[[leaders]]\nname = \"张局\"\nrole = \"leader\"\nmobile = \"3001\"\nsms = \"13900000001\"\n\
         [[channels]]\nname = \"gateway\"\nkind = \"sms\"\nroles = [\"leader\"]\n\
         url = \"http://127.0.0.1:{port}/send\"\nallow = [\"127.0.0.1\"]\n\
         content_type = \"application/json\"\nbody = '{{\"to\":\"{{to}}\",\"text\":\"{{text}}\"}}'\n\
         replies = true\nreply_secret_file = \"{}\"\nreply_sent = \"/sent\"\n",
        secret.display()
    );
    let daemon = room.daemon(&Plan { leaders: &[], more: &more, ..Plan::default() });
    let [_caller, _officer, mut leader] = urgent_call(&mut room);
    leader.incoming(SOON);
    let notice = told.recv_timeout(Duration::from_secs(20)).expect("a notice");
    assert!(notice.text.contains("13900000001"), "{}", notice.text);
    daemon.row_is("SELECT count(*) FROM delivery WHERE progress = 'accepted'", "1");
    let page = room.ports.page();
    assert_eq!(hands_on(page, "old", Utc::now() - TimeDelta::minutes(10)), "204");
    daemon.row_is("SELECT meaning FROM reply", "which");
    assert_eq!(hands_on(page, "undated", DateTime::UNIX_EPOCH), "422");
    assert_eq!(daemon.row("SELECT state FROM escalation"), "open");
    assert_eq!(hands_on(page, "new", Utc::now()), "204");
    leader.wait("CALL_CLOSED", Duration::from_secs(20));
    assert_eq!(daemon.row(ACKED), "acknowledged sms 张局");
}
