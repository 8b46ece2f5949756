//! A GSM modem on a pseudo-terminal.

use super::*;
use crate::config::channels::Modem;
use crate::duty::notices::Ending;
use std::ffi::CStr;
use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::FromRawFd;
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, channel as pipe};
use std::thread;

/// What this modem answers: to `AT+CMGS=`, and to the message itself.
#[derive(Debug, Clone, Copy)]
struct Manner {
    prompt: &'static str,
    sent: &'static str,
}

const WELL: Manner = Manner { prompt: "\r\n> ", sent: "\r\n+CMGS: 17\r\n\r\nOK\r\n" };

/// The modem's end of the line, and the name of ours.
pub fn terminal() -> (File, PathBuf) {
    // SAFETY: plain calls of POSIX; the descriptor is owned by the file that is made of it, and the
    // name is copied before anything else may write into its buffer.
    unsafe {
        let master = libc::posix_openpt(libc::O_RDWR | libc::O_NOCTTY);
        assert!(master >= 0 && libc::grantpt(master) == 0 && libc::unlockpt(master) == 0);
        let mut name = [0; 128];
        assert_eq!(libc::ptsname_r(master, name.as_mut_ptr(), name.len()), 0);
        let name = CStr::from_ptr(name.as_ptr()).to_str().expect("a name").to_owned();
        (File::from_raw_fd(master), PathBuf::from(name))
    }
}

/// A modem; what it is told, a line at a time.
fn modem(manner: Manner) -> (PathBuf, Receiver<String>) {
    let (mut line, name) = terminal();
    let (tell, told) = pipe();
    thread::spawn(move || {
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
                let answer = match said.as_str() {
                    text if text.starts_with("AT+CMGS=") => manner.prompt,
                    text if text.starts_with("AT") => "\r\nOK\r\n",
                    _ => manner.sent,
                };
                if tell.send(said).is_err() || line.write_all(answer.as_bytes()).is_err() {
                    return;
                }
            }
        }
    });
    (name, told)
}

/// Returns, and with it the line is gone, as soon as this was heard on it.
fn hears(mut line: File, wanted: &str) {
    let (mut heard, mut block) = (String::new(), [0; 512]);
    while !heard.contains(wanted) {
        match line.read(&mut block) {
            Ok(read) => heard.push_str(&String::from_utf8_lossy(&block[..read])),
            Err(_) => thread::sleep(Duration::from_millis(5)),
        }
    }
}

async fn sent(device: PathBuf, seconds: u64) -> Verdict {
    sent_to(&["+8613800138000"], device, seconds).await
}

async fn sent_to(to: &[&str], device: PathBuf, seconds: u64) -> Verdict {
    let to = to.iter().map(|number| To::Number((*number).to_owned())).collect();
    let way = Modem { device, to, replies: false };
    let (roster, limit) = (Roster::default(), Duration::from_secs(seconds));
    with_letter(async |letter| super::super::modem::send(&way, letter, &roster, limit).await).await
}

#[tokio::test(flavor = "multi_thread")]
async fn esc_60_a_modem_is_given_every_part_and_its_reference_is_kept() {
    let (device, told) = modem(WELL);
    assert_eq!(sent(device, 20).await, Verdict::Accepted { id: Some("17".to_owned()) });
    let told: Vec<String> = told.try_iter().collect();
    assert_eq!(told[..3], ["ATE0", "AT+CMGF=0", "AT+CNMI=2,1,0,1,0"]);
    let (octets, pdu) = (told[3].strip_prefix("AT+CMGS=").unwrap(), &told[4]);
    assert_eq!(octets.parse::<usize>().unwrap(), pdu.len() / 2 - 1);
    assert!(pdu.starts_with("0031000D91683108108300F00008A7"), "{pdu}");
    assert_eq!(told.len(), 5, "one part: {told:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn esc_62_what_the_network_reports_decides() {
    let with = |status: &str| {
        let sent = format!(
            "\r\n+CMGS: 17\r\n\r\nOK\r\n\r\n+CDS: 24\r\n00060F0B911326880736F4111011719551401110117195714046\r\n\
             \r\n+CDS: 24\r\n0006110B9113268807\
             36F41110117195514011101171957140{status}\r\n"
        );
        Manner { sent: Box::leak(sent.into_boxed_str()), ..WELL }
    };
    let (device, _told) = modem(with("00"));
    let delivered = Verdict::Accepted { id: Some("17 delivered".to_owned()) };
    assert_eq!(sent(device, 20).await, delivered);
    for status in ["40", "46", "62"] {
        let (device, _told) = modem(with(status));
        let why = format!("not delivered, status {status}");
        assert_eq!(sent(device, 20).await, Verdict::Retry { after: None, why });
    }
    let (device, _told) = modem(with("20"));
    let waits = std::time::Instant::now();
    let accepted = Verdict::Accepted { id: Some("17".to_owned()) };
    assert_eq!(sent(device, 20).await, accepted, "the network still tries");
    assert!(waits.elapsed() < Duration::from_secs(15));
}

#[tokio::test(flavor = "multi_thread")]
async fn esc_61_whatever_ails_a_modem_is_told_apart_and_it_needs_no_restart() {
    let refusing = |error| Manner { sent: error, ..WELL };
    let why = |why: &str| why.to_owned();
    let (device, _told) = modem(refusing("\r\n+CMS ERROR: 500\r\n"));
    let refused = sent(device, 20).await;
    assert_eq!(refused, Verdict::Retry { after: None, why: why("modem error 500") });
    let (device, _told) = modem(Manner { prompt: "\r\n+CMS ERROR: 310\r\n", ..WELL });
    assert_eq!(sent(device, 20).await, Verdict::Permanent { why: why("modem error 310") });
    // It says that all is well, and neither asks for the message nor names it.
    let (device, _told) = modem(Manner { prompt: "\r\nOK\r\n", ..WELL });
    let unasked = sent(device, 20).await;
    assert_eq!(unasked, Verdict::Retry { after: None, why: why("no prompt of the modem") });
    let (device, _told) = modem(refusing("\r\nOK\r\n"));
    assert_eq!(sent(device, 20).await, Verdict::Unknown { why: why("no +CMGS of the modem") });
    // One that is refused keeps nothing from the next; a flood is no answer.
    let (device, told) = modem(refusing("\r\n+CMS ERROR: 500\r\n"));
    let refused = sent_to(&["13800138000", "13800138001"], device, 20).await;
    assert_eq!(refused, Verdict::Retry { after: None, why: why("modem error 500") });
    assert_eq!(told.try_iter().filter(|said| said.starts_with("AT+CMGS=")).count(), 2);
    let flood: &str = Box::leak("x".repeat(9000).into_boxed_str());
    let (device, _told) = modem(Manner { prompt: flood, ..WELL });
    let flooded = sent(device, 20).await;
    assert_eq!(flooded, Verdict::Retry { after: None, why: why("modem babbles") });
    // No prompt: nothing was sent. No answer to the message: it may have been.
    let (device, _told) = modem(Manner { prompt: "", ..WELL });
    assert_eq!(sent(device, 1).await, Verdict::Retry { after: None, why: why("modem silent") });
    let (device, told) = modem(refusing(""));
    let silent = sent(device, 3).await.ending();
    assert!(silent == Ending::Unknown || told.try_iter().count() < 5, "{silent:?}");
    // Unplugged in the middle, and absent.
    let (line, device) = terminal();
    let unplugged = tokio::spawn(sent(device.clone(), 20));
    tokio::task::spawn_blocking(move || hears(line, "ATE0")).await.unwrap();
    let unplugged = unplugged.await.unwrap();
    assert_eq!(unplugged, Verdict::Retry { after: None, why: why("modem unplugged") });
    let absent = sent(PathBuf::from("/dev/nowhere"), 20).await;
    assert_eq!(absent, Verdict::Retry { after: None, why: why("no modem") });
    assert_eq!(sent(PathBuf::from("/dev/null"), 20).await, absent, "it is no serial line");
    let (device, _told) = modem(WELL);
    assert!(matches!(sent(device, 20).await, Verdict::Accepted { .. }), "plugged in again");
}
