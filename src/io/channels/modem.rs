//! SMS by a GSM modem on a serial line (TS 27.005, PDU mode): the way that is left when the internet
//! is cut. The line is opened for each message, so that a modem that was plugged in again just works.

mod inbox;

pub use inbox::Inbox;

use super::Letter;
use super::sms::{numbers, together};
use crate::config::channels::Modem;
use crate::duty::notices::Verdict;
use crate::duty::roster::Roster;
use crate::protocol::gsm::{Pdu, Report, submit};
use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Read, Write};
use std::os::fd::AsRawFd;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::time::Duration;
use tokio::io::unix::AsyncFd;
use tokio::time::Instant;

/// What a modem answers to anything but a message.
const ANSWER_WITHIN: Duration = Duration::from_secs(5);
/// What a network answers to a message.
const TAKEN_WITHIN: Duration = Duration::from_secs(25);
/// So long the network has to say whether it has arrived; a telephone that is on says so at once.
const REPORTED_WITHIN: Duration = Duration::from_secs(10);
/// After so long without a word, nothing is left of what was asked before.
const QUIET: Duration = Duration::from_millis(200);
/// Of what a modem says at most before it says what was asked.
const READ_AT_MOST: usize = 8192;
const SILENT: &str = "modem silent";
const CTRL_Z: u8 = 0x1a;
const ESCAPE: u8 = 0x1b;

/// To everybody, one after the other, within `limit`.
pub async fn send(way: &Modem, letter: &Letter<'_>, roster: &Roster, limit: Duration) -> Verdict {
    let mut began = false;
    let until = Instant::now() + limit.saturating_sub(QUIET * 5);
    match tokio::time::timeout(limit, talk(way, letter, (roster, until), &mut began)).await {
        Ok(Ok(verdict) | Err(verdict)) => verdict,
        Err(_) if began => unknown(SILENT),
        Err(_) => Verdict::Retry { after: None, why: SILENT.to_owned() },
    }
}

async fn talk(
    way: &Modem,
    letter: &Letter<'_>,
    (roster, until): (&Roster, Instant),
    began: &mut bool,
) -> Result<Verdict, Verdict> {
    let mut line = Line::open(&way.device)?;
    line.start_over().await?;
    for command in ["ATE0", "AT+CMGF=0"] {
        fault(&line.ask(command).await?)?;
    }
    // Reports are said as they come; a modem that cannot is asked for none.
    line.ask("AT+CNMI=2,1,0,1,0").await?;
    let reference = letter.name.0.as_bytes()[15];
    let mut verdicts = vec![];
    let mut taken = vec![];
    for number in numbers(&way.to, roster) {
        for pdu in submit(&number, &letter.text.body, reference) {
            let verdict = match message(&mut line, &pdu, began).await {
                Ok(reference) => {
                    taken.extend(reference.parse().map(|reference| (verdicts.len(), reference)));
                    Verdict::Accepted { id: Some(reference) }
                }
                Err(verdict) => verdict,
            };
            let failed = !matches!(verdict, Verdict::Accepted { .. });
            verdicts.push(verdict);
            if failed {
                // What is wrong with the line itself shows again at the next number.
                let _ = line.start_over().await;
                break;
            }
        }
    }
    let until = until.min(Instant::now() + REPORTED_WITHIN);
    hear_reports(&mut line, taken, &mut verdicts, until).await;
    Ok(together(verdicts))
}

/// What the network says of the messages that were `taken` changes what is known of them.
async fn hear_reports(
    line: &mut Line,
    mut taken: Vec<(usize, u8)>,
    verdicts: &mut [Verdict],
    until: Instant,
) {
    loop {
        for report in std::mem::take(&mut line.reports) {
            let is_it = |(_, reference): &(usize, u8)| *reference == report.reference;
            let Some(at) = taken.iter().position(is_it) else { continue };
            let (nth, reference) = taken[at];
            let why = format!("not delivered, status {:02X}", report.status);
            if report.is_delivered() {
                verdicts[nth] = Verdict::Accepted { id: Some(format!("{reference} delivered")) };
                taken.remove(at);
            } else if report.is_failed() {
                verdicts[nth] = Verdict::Retry { after: None, why };
                taken.remove(at);
            }
        }
        let left = until.saturating_duration_since(Instant::now());
        let said = |heard: &str| reports(heard).next().is_some();
        if taken.is_empty() || left.is_zero() || line.until(left, said).await.is_err() {
            return;
        }
        line.forget();
    }
}

/// Each stands on the line after its `+CDS:`.
fn reports(heard: &str) -> impl Iterator<Item = Report> + '_ {
    let mut lines = heard.split_inclusive('\n').filter(|line| line.ends_with('\n')).map(str::trim);
    std::iter::from_fn(move || {
        lines.by_ref().find(|line| line.starts_with("+CDS:"))?;
        lines.by_ref().find_map(|line| (!line.is_empty()).then(|| Report::read(line)))
    })
    .flatten()
}

/// The network's reference of one message.
async fn message(line: &mut Line, pdu: &Pdu, began: &mut bool) -> Result<String, Verdict> {
    line.write(format!("AT+CMGS={}\r", pdu.octets).as_bytes()).await?;
    let asked = line.until(ANSWER_WITHIN, |text| text.contains("> ") || ends(text)).await?;
    fault(&asked)?;
    if !asked.contains("> ") {
        return Err(Verdict::Retry { after: None, why: "no prompt of the modem".to_owned() });
    }
    line.forget();
    *began = true;
    line.write(pdu.hex.as_bytes()).await?;
    line.write(&[CTRL_Z]).await?;
    let answer = line.until(TAKEN_WITHIN, ends).await.map_err(|verdict| unknown(verdict.why()))?;
    fault(&answer)?;
    line.forget();
    let reference = answer.split("+CMGS:").nth(1).and_then(|rest| rest.split_whitespace().next());
    reference.map(super::tame).ok_or_else(|| unknown("no +CMGS of the modem"))
}

/// The message was given to the modem.
fn unknown(why: &str) -> Verdict {
    Verdict::Unknown { why: why.to_owned() }
}

fn ends(text: &str) -> bool {
    text.lines().any(|line| {
        let line = line.trim();
        line == "OK"
            || line == "ERROR"
            || line.starts_with("+CMS ERROR")
            || line.starts_with("+CME ERROR")
    })
}

/// What the modem says is wrong (TS 27.005 §3.2.5).
fn fault(text: &str) -> Result<(), Verdict> {
    let told = text.lines().map(str::trim).find(|line| line.contains("ERROR"));
    let Some(told) = told else { return Ok(()) };
    let code = told.split(':').nth(1).and_then(|code| code.trim().parse::<u16>().ok());
    let why = code.map_or_else(|| "modem error".to_owned(), |code| format!("modem error {code}"));
    match (code, told.starts_with("+CME")) {
        // No SIM, PIN or PUK wanted, SIM broken.
        (Some(310..=318), false) | (Some(10..=18), true) => Err(Verdict::Permanent { why }),
        _ => Err(Verdict::Retry { after: None, why }),
    }
}

struct Line {
    file: AsyncFd<File>,
    heard: String,
    /// Of what it says at most.
    most: usize,
    /// What was said in between of messages that were sent before.
    reports: Vec<Report>,
}

impl Line {
    fn open(device: &Path) -> Result<Self, Verdict> {
        let none = || Verdict::Retry { after: None, why: "no modem".to_owned() };
        let flags = libc::O_NOCTTY | libc::O_NONBLOCK;
        let file = OpenOptions::new().read(true).write(true).custom_flags(flags).open(device);
        let file = file.map_err(|_| none())?;
        raw(&file).map_err(|_| none())?;
        // SAFETY: the file owns its descriptor, which stays the same and open until it is dropped.
        let file = unsafe { AsyncFd::register(file) }.map_err(|_| none())?;
        Ok(Self { file, heard: String::new(), most: READ_AT_MOST, reports: vec![] })
    }

    /// What was heard is dealt with, but for the reports in it.
    fn forget(&mut self) {
        self.reports.extend(reports(&self.heard));
        let begun = self.heard.rfind("+CDS:");
        let begun = begun.filter(|at| self.heard[*at..].matches('\n').count() < 2);
        self.heard.drain(..begun.unwrap_or(self.heard.len()));
    }

    async fn write(&mut self, mut bytes: &[u8]) -> Result<(), Verdict> {
        while !bytes.is_empty() {
            let mut ready = self.file.writable_mut().await.map_err(|_| gone())?;
            match ready.try_io(|file| file.get_mut().write(bytes)) {
                Ok(Ok(written)) => bytes = &bytes[written..],
                Ok(Err(error)) if error.kind() == ErrorKind::Interrupted => {}
                Ok(Err(_)) => return Err(gone()),
                Err(_) => {}
            }
        }
        Ok(())
    }

    /// What it answers.
    async fn ask(&mut self, command: &str) -> Result<String, Verdict> {
        self.ask_within(command, ANSWER_WITHIN).await
    }

    async fn ask_within(&mut self, command: &str, limit: Duration) -> Result<String, Verdict> {
        self.write(format!("{command}\r").as_bytes()).await?;
        let answer = self.until(limit, ends).await?;
        self.forget();
        Ok(answer)
    }

    /// Out of whatever was begun and not ended, and of what is still being said of it.
    async fn start_over(&mut self) -> Result<(), Verdict> {
        self.write(&[ESCAPE]).await?;
        self.heard.clear();
        loop {
            let before = self.heard.len();
            match self.until(QUIET, |heard| heard.len() > before).await {
                Ok(_) => {}
                Err(verdict) if verdict.why() == SILENT => break,
                Err(verdict) => return Err(verdict),
            }
        }
        self.heard.clear();
        Ok(())
    }

    /// What was heard, as soon as it is `enough`.
    async fn until(
        &mut self,
        limit: Duration,
        enough: impl Fn(&str) -> bool,
    ) -> Result<String, Verdict> {
        let reading = async {
            while !enough(&self.heard) {
                if self.heard.len() >= self.most {
                    return Err(Verdict::Retry { after: None, why: "modem babbles".to_owned() });
                }
                let mut block = [0; 256];
                let mut ready = self.file.readable_mut().await.map_err(|_| gone())?;
                match ready.try_io(|file| file.get_mut().read(&mut block)) {
                    Ok(Ok(0)) => return Err(gone()),
                    Ok(Ok(read)) => {
                        self.heard.push_str(&String::from_utf8_lossy(&block[..read]));
                    }
                    Ok(Err(error)) if error.kind() == ErrorKind::Interrupted => {}
                    Ok(Err(_)) => return Err(gone()),
                    Err(_) => {}
                }
            }
            Ok(())
        };
        match tokio::time::timeout(limit, reading).await {
            Ok(done) => done.map(|()| self.heard.clone()),
            Err(_) => Err(Verdict::Retry { after: None, why: SILENT.to_owned() }),
        }
    }
}

/// Whoever comes next may have the line.
impl Drop for Line {
    fn drop(&mut self) {
        // SAFETY: the descriptor is open for as long as `self.file`; this request takes no argument.
        unsafe { libc::ioctl(self.file.as_raw_fd(), libc::TIOCNXCL) };
    }
}

fn gone() -> Verdict {
    Verdict::Retry { after: None, why: "modem unplugged".to_owned() }
}

/// Bytes as they are, and for nobody else: no echo, no line editing. The speed of a USB modem is its own.
fn raw(file: &File) -> std::io::Result<()> {
    // SAFETY: `termios` is plain data that tcgetattr fills before it is read.
    let mut settings: libc::termios = unsafe { std::mem::zeroed() };
    // SAFETY: the descriptor is open for as long as `file`, the pointer is to a live termios.
    if unsafe { libc::tcgetattr(file.as_raw_fd(), &raw mut settings) } != 0 {
        return Err(std::io::Error::last_os_error());
    }
    // SAFETY: as above.
    unsafe { libc::cfmakeraw(&raw mut settings) };
    settings.c_cflag |= libc::CLOCAL | libc::CREAD;
    // SAFETY: as above; this request takes no argument.
    if unsafe { libc::ioctl(file.as_raw_fd(), libc::TIOCEXCL) } != 0 {
        return Err(std::io::Error::last_os_error());
    }
    // SAFETY: as above.
    match unsafe { libc::tcsetattr(file.as_raw_fd(), libc::TCSANOW, &raw const settings) } {
        0 => Ok(()),
        _ => Err(std::io::Error::last_os_error()),
    }
}
