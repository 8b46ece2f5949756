//! Texts on telephones and their lamps: the real daemon, through Kamailio, to baresip and to telephones written by hand.

use crate::calls::{Room, talk, urgent_call};
use crate::daemon::Plan;
use crate::ports::{Ports, bound};
use crate::wave;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::Duration;

const SOON: Duration = Duration::from_secs(8);

/// Telephones behind the PBX that answer as they are told, by their number; what they are sent.
fn telephones(ports: &Ports, answers: &[(&str, &str)]) -> Receiver<String> {
    let socket = bound(("127.0.0.1", ports.sink()));
    let answers: BTreeMap<String, String> =
        answers.iter().map(|(number, status)| ((*number).into(), (*status).into())).collect();
    let (tell, told) = channel();
    thread::spawn(move || {
        let mut datagram = [0; 4096];
        while let Ok((length, from)) = socket.recv_from(&mut datagram) {
            let text = String::from_utf8_lossy(&datagram[..length]).into_owned();
            let number = text.split("sip:").nth(1).and_then(|rest| rest.split('@').next());
            let answer = number.and_then(|number| answers.get(number));
            if let Some(status) = answer {
                let copied = ["via:", "from:", "to:", "call-id:", "cseq:", "record-route:"];
                let head = text.split("\r\n\r\n").next().unwrap_or_default();
                let mut out = format!("SIP/2.0 {status}\r\n");
                for line in head.split("\r\n") {
                    let lower = line.to_ascii_lowercase();
                    if copied.iter().any(|name| lower.starts_with(name)) {
                        let tag = if lower.starts_with("to:") { ";tag=shown" } else { "" };
                        out += &format!("{line}{tag}\r\n");
                    }
                }
                out += "Content-Length: 0\r\n\r\n";
                let _ = socket.send_to(out.as_bytes(), from);
            }
            if tell.send(text).is_err() {
                return;
            }
        }
    });
    told
}

fn shows(name: &str, to: &str) -> String {
    format!("[[channels]]\nname = \"{name}\"\nkind = \"sip_message\"\nto = [\"{to}\"]\n")
}

const LEADER: &str = "[[leaders]]\nname = \"leader\"\nrole = \"leader\"\nmobile = \"3001\"\noffice = \"9301\"\n\
                      [escalation]\nfollow_up = false\n[lamp]\nroles = [\"leader\"]\n";

#[test]
fn sig_message_sig_mwi_through_a_real_pbx_200_202_405_silence_and_the_lamp() {
    let Some(mut room) = Room::open() else { return };
    let answers =
        [("9202", "202 Accepted"), ("9405", "405 Method Not Allowed"), ("9301", "200 OK")];
    let sent = telephones(&room.ports, &answers);
    let more = shows("话机", "3002")
        + &shows("转发", "9202")
        + &shows("不支持", "9405")
        + &shows("无声", "9999")
        + LEADER;
    let mut office = room.phone("3002", &vec![0; wave::RATE]);
    let daemon = room.daemon(&Plan { leaders: &[], more: &more, ..Plan::default() });
    let shown = RefCell::new(vec![]);
    let lamp = |wanted: &str| {
        let until = std::time::Instant::now() + Duration::from_secs(20);
        while std::time::Instant::now() < until {
            let text = sent.recv_timeout(Duration::from_secs(20)).expect("a lamp is told");
            if text.starts_with("NOTIFY sip:9301@") {
                assert!(text.contains("message-summary"), "{text}");
                assert!(text.contains(&format!("Messages-Waiting: {wanted}\r\n")), "{text}");
                return;
            }
            shown.borrow_mut().push(text);
        }
        panic!("no lamp is told {wanted}");
    };
    lamp("no");
    let [_caller, _officer, mut leader] = urgent_call(&mut room);
    lamp("yes");
    let outcome = |channel: &str| {
        format!(
            "SELECT d.progress || ' ' || coalesce(t.ending, '') || ' ' || coalesce(t.provider_id, t.why)
             FROM delivery d JOIN delivery_try t ON t.delivery = d.id
             WHERE d.channel = '{channel}' AND t.no = 1 AND d.what = 'alert'"
        )
    };
    daemon.row_is(&outcome("话机"), "accepted accepted 200 delivered");
    daemon.row_is(&outcome("转发"), "accepted accepted 202");
    daemon.row_is(&outcome("不支持"), "failed permanent sip 405");
    // Kamailio asks the silent one for five seconds.
    daemon.row_is(&outcome("无声"), "waiting unknown sip 408");
    let number = daemon.row("SELECT number FROM entry");
    // It shows no text in its log, but says so by its tone for one.
    office.process_says("created device 'alert", SOON);
    assert_eq!(daemon.row("SELECT state FROM escalation"), "open", "it is no acknowledgement");

    leader.incoming(SOON);
    leader.accept();
    leader.established();
    talk(2);
    leader.press('1');
    daemon.row_is("SELECT state FROM escalation", "acknowledged");
    lamp("no");
    let relayed = |text: &&String| text.starts_with("MESSAGE sip:9202@");
    let relayed = shown.borrow().iter().find(relayed).cloned().expect("a text");
    assert!(relayed.contains(&number) && relayed.contains("\r\nExpires: 3600\r\n"), "{relayed}");
    assert!(!relayed.contains("caller"), "esc_87: nobody's name or number: {relayed}");
    assert!(!daemon.process.log().contains("secret1001"), "the password is in the log");
}
