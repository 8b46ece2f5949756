//! Texts that come back: by a modem that keeps them, and by a gateway that hands them on.

use super::modem::terminal;
use super::*;
use crate::config::channels::{Inbound, Modem};
use crate::io::channels::signing::hmac_sha256;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Read, Write};
use std::path::PathBuf;
use std::sync::{Mutex, mpsc};
use std::thread;

/// What a modem keeps, and how it is.
#[derive(Default)]
struct Kept {
    /// By place: `+CMGL`'s state and the message.
    memory: BTreeMap<u16, (u8, String)>,
    /// So often it refuses to delete.
    keeps: u32,
    /// Said where it lists a message, once each: before it, and instead of it.
    before: Vec<&'static str>,
    instead: Vec<&'static str>,
}

/// A modem with a SIM's memory, and none of its own.
struct Twin {
    device: PathBuf,
    kept: Arc<Mutex<Kept>>,
    /// The messages it was given to send.
    sent: mpsc::Receiver<String>,
}

impl Twin {
    fn new() -> Self {
        let (line, device) = terminal();
        let (tell, sent) = mpsc::channel();
        let kept: Arc<Mutex<Kept>> = Arc::default();
        let mine = Arc::clone(&kept);
        thread::spawn(move || Self::lives(line, &mine, &tell));
        Self { device, kept, sent }
    }

    fn lives(mut line: File, kept: &Mutex<Kept>, tell: &mpsc::Sender<String>) {
        let mut heard = String::new();
        loop {
            let mut block = [0; 512];
            match line.read(&mut block) {
                Ok(read) => heard.push_str(&String::from_utf8_lossy(&block[..read])),
                // Nobody has the other end open yet, or any more.
                Err(_) => thread::sleep(Duration::from_millis(5)),
            }
            while let Some(end) = heard.find(['\r', '\u{1a}']) {
                let said: String = heard.drain(..=end).collect();
                let said = said.trim_matches(|c: char| c.is_control()).to_owned();
                let answer = Self::answer(&said, &mut kept.lock().unwrap());
                let of_the_message = !said.starts_with("AT");
                if of_the_message && tell.send(said).is_err() {
                    return;
                }
                let _ = line.write_all(answer.as_bytes());
            }
        }
    }

    fn answer(said: &str, kept: &mut Kept) -> String {
        if let Some(place) = said.strip_prefix("AT+CMGD=") {
            if kept.keeps > 0 {
                kept.keeps -= 1;
                return "\r\n+CMS ERROR: 500\r\n".to_owned();
            }
            kept.memory.remove(&place.parse().expect("a place"));
            return "\r\nOK\r\n".to_owned();
        }
        match said {
            text if text.starts_with("AT+CMGS=") => "\r\n> ".to_owned(),
            "AT+CPMS=\"ME\"" => "\r\n+CMS ERROR: 302\r\n".to_owned(),
            "AT+CMGL=4" => {
                let Kept { memory, before, instead, .. } = kept;
                let one = |(place, (state, pdu)): (&u16, &(u8, String))| {
                    let length = pdu.len() / 2 - 1;
                    let (before, pdu) = (before.pop().unwrap_or_default(), pdu.as_str());
                    let pdu = instead.pop().unwrap_or(pdu);
                    format!("\r\n+CMGL: {place},{state},,{length}\r\n{before}{pdu}")
                };
                memory.iter().map(one).collect::<String>() + "\r\n\r\nOK\r\n"
            }
            text if text.starts_with("AT") => "\r\nOK\r\n".to_owned(),
            _ => "\r\n+CMGS: 17\r\n\r\nOK\r\n\r\n+CDS: 24\r\n0006110B9113268807\
                  36F4111011719551401110117195714000\r\n"
                .to_owned(),
        }
    }

    fn keeps(&self, place: u16, pdu: String) {
        self.kept.lock().unwrap().memory.insert(place, (0, pdu));
    }

    /// The text of the next message that it is given, and to whom.
    fn sends(&self) -> (String, String) {
        let pdu = self.sent.recv_timeout(Duration::from_secs(60)).expect("a message");
        let octet = |at: usize| u8::from_str_radix(&pdu[at..at + 2], 16).unwrap();
        let digits = usize::from(octet(6));
        let end = 10 + digits.div_ceil(2) * 2;
        let to: String = pdu.as_bytes()[10..end]
            .chunks(2)
            .flat_map(|pair| [pair[1], pair[0]])
            .map(char::from)
            .collect();
        let text: Vec<u8> = (end + 8..pdu.len()).step_by(2).map(octet).collect();
        let units: Vec<u16> =
            text.chunks(2).map(|pair| u16::from_be_bytes([pair[0], pair[1]])).collect();
        (to[..digits].to_owned(), String::from_utf16(&units).unwrap())
    }

    async fn is_left_with(&self, places: &[u16]) {
        let until = Instant::now() + Duration::from_secs(30);
        while !self.kept.lock().unwrap().memory.keys().eq(places) {
            assert!(Instant::now() < until, "what was read is deleted");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

/// From the leader's mobile, as the network has it; at this second.
fn deliver(text: &str) -> String {
    let now = clock::now().wall.format("%y%m%d%H%M%S").to_string();
    let swapped: String =
        now.as_bytes().chunks(2).flat_map(|pair| [pair[1], pair[0]]).map(char::from).collect();
    let data: String = text.encode_utf16().map(|unit| format!("{unit:04X}")).collect();
    format!("00040D91683109000000F10008{swapped}00{:02X}{data}", data.len() / 2)
}

fn modem(twin: &Twin) -> Channel {
    let way =
        Modem { device: twin.device.clone(), to: vec![To::Role(Role::Leader)], replies: true };
    channel("短信猫", Kind::Modem, Way::Modem(way))
}

/// 回复 4821 知悉
fn code_in(text: &str) -> String {
    let after = text.split("回复 ").nth(1).expect("how to answer");
    after.split(' ').next().expect("a code").to_owned()
}

const STATE: &str = "SELECT group_concat(state) FROM escalation";

#[tokio::test(flavor = "multi_thread")]
async fn esc_39_what_comes_to_the_modem_acknowledges_once_and_is_deleted_and_answered() {
    let twin = Twin::new();
    let room = Room::with(vec![modem(&twin)]).await;
    // Of yesterday, and of the carrier's: neither is an answer to anything.
    twin.keeps(1, deliver("1"));
    twin.keeps(2, "0004".to_owned());
    twin.kept.lock().unwrap().memory.insert(3, (2, "00".repeat(20)));
    twin.is_left_with(&[3]).await;
    let (to, said) = twin.sends();
    assert_eq!(to, "8613900000001");
    assert!(said.starts_with("没有与您对应的"), "{said}");
    room.flag(1).await;
    let (to, said) = twin.sends();
    assert_eq!(to, "13900000001");
    let code = code_in(&said);
    // It keeps what it was told to delete: the text is read again, and has had its effect.
    twin.kept.lock().unwrap().keeps = 1;
    twin.keeps(7, deliver(&format!("收到 {code}")));
    room.is(STATE, "acknowledged").await;
    let (to, said) = twin.sends();
    assert!(to == "8613900000001" && said.ends_with("已记为您知悉。"), "{to} {said}");
    twin.is_left_with(&[3]).await;
    room.is(
        "SELECT count(*) || group_concat(person || role || channel || outcome) FROM told",
        "1张局长leadersmsfirst",
    )
    .await;
    room.is("SELECT count(*) || '' FROM reply WHERE meaning = 'acknowledges'", "1").await;
    room.is("SELECT acked_channel FROM escalation", "sms").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn esc_39_a_one_to_the_modem_with_two_open_matters_is_asked_for_the_code() {
    let twin = Twin::new();
    let room = Room::with(vec![modem(&twin)]).await;
    room.flag(1).await;
    let one = code_in(&twin.sends().1);
    room.flag(2).await;
    let two = code_in(&twin.sends().1);
    room.is("SELECT count(*) || '' FROM texted", "2").await;
    twin.keeps(4, deliver("1"));
    let (to, asked) = twin.sends();
    assert_eq!(to, "8613900000001");
    assert!(asked.contains(&one) && asked.contains(&two), "{asked}");
    room.is(STATE, "open,open").await;
    twin.keeps(4, deliver(&two));
    let (_, said) = twin.sends();
    assert!(said.ends_with("已记为您知悉。"), "{said}");
    room.is("SELECT count(*) || '' FROM escalation WHERE state = 'open'", "1").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn esc_39_a_text_that_arrives_damaged_from_the_modem_is_read_again_and_not_deleted() {
    let twin = Twin::new();
    let room = Room::with(vec![modem(&twin)]).await;
    room.flag(1).await;
    let code = code_in(&twin.sends().1);
    {
        let mut kept = twin.kept.lock().unwrap();
        // The first time bytes are lost, the second time something is said in between.
        kept.instead = vec!["00040D91"];
        kept.before = vec!["^RSSI:18\r\n", ""];
        kept.memory.insert(4, (0, deliver(&code)));
    }
    room.is(STATE, "acknowledged").await;
    assert!(twin.sends().1.ends_with("已记为您知悉。"));
    twin.is_left_with(&[]).await;
    room.is("SELECT count(*) || group_concat(meaning) FROM reply", "1acknowledges").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_log_does_not_take_stays_with_the_modem_and_the_next_text_is_taken() {
    let twin = Twin::new();
    let room = Room::with(vec![]).await;
    let refuse = "CREATE TRIGGER no BEFORE INSERT ON reply WHEN new.text = '一'
                  BEGIN SELECT RAISE(ABORT, 'no'); END";
    let log = rusqlite::Connection::open(room._folder.path().join("log.db")).unwrap();
    log.execute_batch(refuse).unwrap();
    twin.keeps(1, deliver("一"));
    twin.keeps(2, deliver("二"));
    let Way::Modem(way) = modem(&twin).way else { unreachable!("a modem") };
    let inbox = super::super::modem::Inbox {
        channel: "短信猫".to_owned(),
        way,
        serial: Arc::default(),
        post: Post::of(&room.office()),
        troubles: Troubles::new(room.board.clone()),
    };
    let looked = inbox.look().await;
    assert_eq!(looked, Err(Verdict::Retry { after: None, why: "log".to_owned() }));
    twin.is_left_with(&[1]).await;
    room.is("SELECT group_concat(text) FROM reply", "二").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_modem_that_is_not_to_be_answered_keeps_what_comes_to_it() {
    let twin = Twin::new();
    let mut channel = modem(&twin);
    let Way::Modem(way) = &mut channel.way else { unreachable!("a modem") };
    way.replies = false;
    twin.keeps(1, deliver("1"));
    let room = Room::with(vec![channel]).await;
    room.flag(1).await;
    let (_, said) = twin.sends();
    assert!(!said.contains("回复") && said.contains("按 1 确认"), "{said}");
    room.is("SELECT count(*) || '' FROM delivery WHERE progress = 'accepted'", "1").await;
    assert_eq!(twin.kept.lock().unwrap().memory.len(), 1);
    room.is("SELECT count(*) || '' FROM reply_code", "0").await;
}

const SECRET: &str = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD";

fn gateway(stub: &Stub) -> Channel {
    let inbound = Inbound {
        secrets: vec![Secret::new("an older one"), Secret::new(SECRET)],
        from: "/from".to_owned(),
        text: "/content/text".to_owned(),
        sent: None,
    };
    let way = Gateway {
        url: stub.url("/send"),
        content_type: "application/json".to_owned(),
        headers: vec![],
        body: r#"{"to":"{to}","text":"{text}","code":"{code}"}"#.to_owned(),
        secret: None,
        to: vec![To::Role(Role::Leader)],
        success: None,
        replies: Some(inbound),
    };
    channel("短信", Kind::Sms, Way::Sms(way))
}

fn signature(id: &str, at: &str, body: &[u8]) -> String {
    let key =
        crate::io::channels::signing::from_base64(SECRET.trim_start_matches("whsec_")).unwrap();
    let signed = [format!("{id}.{at}.").as_bytes(), body].concat();
    format!("v1a,AAAA v1,AAAA v1,{}", hmac_sha256(&key, &signed))
}

#[tokio::test(flavor = "multi_thread")]
async fn esc_40_what_a_gateway_hands_on_five_times_has_one_effect_and_only_if_it_is_signed() {
    let stub = Stub::start(vec![status(204, ""), status(204, "")]);
    let channel = gateway(&stub);
    let room = Room::with(vec![channel.clone()]).await;
    let office = room.office();
    let (replies, wake) = (Replies::of(&[channel], Post::of(&office)), Arc::clone(&office.wake));
    room.flag(1).await;
    let sent: serde_json::Value = serde_json::from_str(&stub.next().body).unwrap();
    let code = sent["code"].as_str().expect("a code");
    assert!(sent["text"].as_str().unwrap().contains(&format!("回复 {code} 知悉")), "{sent}");
    let body = format!(r#"{{"from":"86 139-0000-0001","content":{{"text":"{code}"}}}}"#);
    let now = clock::now().wall.timestamp();
    let (at, old) = (now.to_string(), (now - 301).to_string());
    let take = async |id: &str, at: &str, signature: &str, body: &str| {
        replies.take("短信", Signed { id, at, signature }, body.as_bytes()).await
    };
    let good = |id: &str, at: &str, body: &str| signature(id, at, body.as_bytes());
    assert_eq!(take("m", &at, "", &body).await, Heard::Unsigned);
    assert_eq!(take("m", &at, &good("n", &at, &body), &body).await, Heard::Unsigned, "of another");
    assert_eq!(
        take("m", &at, &good("m", &at, &body), &body.replace("86", "")).await,
        Heard::Unsigned
    );
    assert_eq!(take("m", &old, &good("m", &old, &body), &body).await, Heard::Unsigned, "too old");
    assert_eq!(take("m", "", &good("m", "", &body), &body).await, Heard::Unsigned);
    assert_eq!(take("", &at, &good("", &at, &body), &body).await, Heard::Unsigned);
    for nonsense in ["", "{}", "nonsense", r#"{"from":[],"content":{"text":"1"}}"#] {
        assert_eq!(take("m", &at, &good("m", &at, nonsense), nonsense).await, Heard::NoText);
    }
    let strange = Signed { id: "m", at: &at, signature: "" };
    assert_eq!(replies.take("别的", strange, b"").await, Heard::NoSuchChannel);
    room.is(STATE, "open").await;
    let woken = wake.notified();
    for _ in 0..5 {
        assert_eq!(take("m", &at, &good("m", &at, &body), &body).await, Heard::Taken);
    }
    tokio::time::timeout(Duration::from_secs(5), woken).await.expect("the escalator is woken");
    room.is(STATE, "acknowledged").await;
    room.is("SELECT count(*) || '' FROM reply", "1").await;
    room.is("SELECT count(*) || group_concat(channel) FROM told", "1sms").await;
    let answer: serde_json::Value = serde_json::from_str(&stub.next().body).unwrap();
    assert_eq!(answer["to"], "8613900000001");
    assert!(answer["text"].as_str().unwrap().ends_with("已记为您知悉。"), "{answer}");
}

#[tokio::test(flavor = "multi_thread")]
async fn esc_39_a_text_to_a_gateway_that_was_sent_before_the_notice_acknowledges_nothing() {
    let stub = Stub::start(vec![status(204, ""), status(204, ""), status(204, "")]);
    let mut channel = gateway(&stub);
    let Way::Sms(way) = &mut channel.way else { unreachable!("a gateway") };
    way.replies.as_mut().unwrap().sent = Some("/sent".to_owned());
    let room = Room::with(vec![channel.clone()]).await;
    let replies = Replies::of(&[channel], Post::of(&room.office()));
    let before = clock::now().wall - chrono::TimeDelta::minutes(10);
    room.flag(1).await;
    stub.next();
    room.is("SELECT count(*) || '' FROM delivery WHERE progress = 'accepted'", "1").await;
    let take = async |id: &str, sent: &str| {
        let body = format!(r#"{{"from":"13900000001","content":{{"text":"1"}},"sent":{sent}}}"#);
        let at = clock::now().wall.timestamp().to_string();
        let signature = signature(id, &at, body.as_bytes());
        let signed = Signed { id, at: &at, signature: &signature };
        replies.take("短信", signed, body.as_bytes()).await
    };
    for nonsense in ["null", "\"yesterday\"", "[]", "7", "4000000000"] {
        assert_eq!(take("m", nonsense).await, Heard::NoTime, "{nonsense}");
    }
    room.is("SELECT count(*) || '' FROM reply", "0").await;
    // It waited at the gateway, for it was meant for something else.
    assert_eq!(take("m", &before.timestamp().to_string()).await, Heard::Taken);
    room.is("SELECT group_concat(meaning) FROM reply", "which").await;
    room.is(STATE, "open").await;
    let now = clock::now().wall.timestamp_millis();
    assert_eq!(take("n", &now.to_string()).await, Heard::Taken);
    room.is(STATE, "acknowledged").await;
}
