//! What comes to a modem: read from its memory, and deleted there when its effect is in the log. So nothing is lost by
//! a modem that is pulled out, nor by a daemon that ends in between.

use super::{Line, READ_AT_MOST, fault, message};
use crate::config::channels::Modem;
use crate::duty::notices::Verdict;
use crate::io::channels::replies::Post;
use crate::io::channels::signing::hmac_sha256;
use crate::io::channels::troubles::Troubles;
use crate::io::clock;
use crate::io::store::Came;
use crate::protocol::gsm::{Delivered, submit, whole};
use chrono::{DateTime, TimeDelta, Utc};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Mutex;
use tokio_util::sync::CancellationToken;
use tracing::{debug, info, warn};

/// How often a modem is asked.
const EVERY: Duration = Duration::from_secs(5);
/// The line is wanted for messages that go out.
const LOOK_WITHIN: Duration = Duration::from_secs(20);
/// A memory that is full takes seconds to be said.
const LIST_WITHIN: Duration = Duration::from_secs(10);
const LIST_AT_MOST: usize = 128 * 1024;
/// The SIM's and the modem's own; a modem that has only one says so.
const MEMORIES: [&str; 2] = ["SM", "ME"];
/// Parts of a text whose others do not come.
const PARTS_WAIT: TimeDelta = TimeDelta::hours(1);
/// The log takes nothing.
const LOG: &str = "log";
/// So many looks in vain are shown.
const SHOWN_AFTER: u32 = 12;

/// One modem that is answered to.
pub struct Inbox {
    pub channel: String,
    pub way: Modem,
    /// Two at one serial line are none.
    pub serial: Arc<Mutex<()>>,
    pub post: Post,
    pub troubles: Troubles,
}

impl Inbox {
    /// Until the daemon stops.
    pub async fn keep(self, stopping: CancellationToken) {
        let name = format!("{}：收", self.channel);
        let mut in_vain = 0;
        loop {
            let looked = tokio::select! {
                looked = self.look() => looked,
                () = stopping.cancelled() => return,
            };
            match looked {
                Ok(()) => {
                    if in_vain >= SHOWN_AFTER {
                        self.troubles.clear(&name);
                    }
                    in_vain = 0;
                }
                Err(verdict) => {
                    in_vain += 1;
                    debug!(channel = self.channel, why = verdict.why(), "a modem cannot be asked");
                    if in_vain == SHOWN_AFTER {
                        warn!(channel = self.channel, why = verdict.why(), "no replies are read");
                        self.troubles.add(&name, verdict.why());
                    }
                }
            }
            tokio::select! {
                () = tokio::time::sleep(EVERY) => {}
                () = stopping.cancelled() => return,
            }
        }
    }

    /// Once: whatever is whole has its effect, is deleted and answered.
    pub async fn look(&self) -> Result<(), Verdict> {
        let _alone = self.serial.lock().await;
        match tokio::time::timeout(LOOK_WITHIN, self.empty()).await {
            Ok(looked) => looked,
            Err(_) => Err(Verdict::Retry { after: None, why: super::SILENT.to_owned() }),
        }
    }

    async fn empty(&self) -> Result<(), Verdict> {
        let mut line = Line::open(&self.way.device)?;
        line.start_over().await?;
        for command in ["ATE0", "AT+CMGF=0"] {
            fault(&line.ask(command).await?)?;
        }
        // What comes is kept, not handed through; a modem that cannot be told does so anyway.
        line.ask("AT+CNMI=2,1,0,1,0").await?;
        let (mut answers, mut done) = (vec![], Ok(()));
        for memory in MEMORIES {
            if fault(&line.ask(&format!("AT+CPMS=\"{memory}\"")).await?).is_err() {
                continue;
            }
            let list = list(&mut line).await?;
            let Listed { whole, torn } = listed(&list);
            for (places, came) in self.letters(&whole) {
                let Some(answer) = self.post.take(&came).await else {
                    done = done.and(again(LOG.to_owned()));
                    continue;
                };
                for place in places {
                    // What stays is read again, to no effect.
                    done = done.and(fault(&line.ask(&format!("AT+CMGD={place}")).await?));
                }
                answers.extend(answer.map(|text| (came.from, text)));
            }
            if let Some(place) = torn.first() {
                done = done.and(again(format!("a message cannot be read: {memory} {place}")));
            }
        }
        for (to, text) in answers {
            answer(&mut line, &self.channel, &to, &text).await;
        }
        done
    }

    /// Each with the places in the memory where it is kept.
    fn letters(&self, list: &[(u16, &str)]) -> Vec<(Vec<u16>, Came)> {
        let mut letters = vec![];
        let mut kept = vec![];
        for (place, pdu) in list {
            match Delivered::read(pdu) {
                Some(one) => kept.push(((*place, *pdu), one)),
                None => letters.push((vec![(*place, *pdu)], None)),
            }
        }
        let joined = whole(&kept);
        let joins = |place: u16| joined.iter().any(|(all, _)| all.iter().any(|one| one.0 == place));
        let now = clock::now().wall;
        let alone = kept.iter().filter(|((place, _), one)| !joins(*place) && is_late(one, now));
        let alone: Vec<_> = alone.map(|(place, one)| (vec![*place], one.clone())).collect();
        letters.extend(joined.into_iter().chain(alone).map(|(places, one)| (places, Some(one))));
        letters.into_iter().map(|(places, one)| self.letter(&places, one)).collect()
    }

    fn letter(&self, places: &[(u16, &str)], one: Option<Delivered>) -> (Vec<u16>, Came) {
        let pdus: Vec<&str> = places.iter().map(|(_, pdu)| *pdu).collect();
        let name = hmac_sha256(b"pdu", pdus.join(" ").as_bytes());
        let (from, text, sent) = match one {
            Some(one) => (one.from, one.text, one.sent),
            // Of another kind: as it came.
            None => (String::new(), pdus.join(" "), None),
        };
        let came = Came { channel: self.channel.clone(), name, from, text, sent };
        (places.iter().map(|(place, _)| *place).collect(), came)
    }
}

/// Nobody waits for its other parts any more.
fn is_late(one: &Delivered, now: DateTime<Utc>) -> bool {
    one.sent.is_none_or(|sent| (now - sent).abs() > PARTS_WAIT)
}

async fn list(line: &mut Line) -> Result<String, Verdict> {
    line.most = LIST_AT_MOST;
    let list = line.ask_within("AT+CMGL=4", LIST_WITHIN).await;
    line.most = READ_AT_MOST;
    let list = list?;
    fault(&list)?;
    Ok(list)
}

fn again(why: String) -> Result<(), Verdict> {
    Err(Verdict::Retry { after: None, why })
}

/// What a modem keeps of what came, read or not: by place.
#[derive(Debug, Default, PartialEq, Eq)]
struct Listed<'a> {
    whole: Vec<(u16, &'a str)>,
    /// Not as long as the modem says, or no message at all: it may be whole the next time.
    torn: Vec<u16>,
}

/// `+CMGL: index,state,name,length` and on a line after it the message (TS 27.005 §3.4.2).
fn listed(list: &str) -> Listed<'_> {
    let mut lines = list.lines().map(str::trim).filter(|line| !line.is_empty()).peekable();
    let mut found = Listed::default();
    while let Some(line) = lines.next() {
        let Some(fields) = line.strip_prefix("+CMGL:") else { continue };
        let number = |field: &str| field.trim().parse::<u16>().ok();
        let mut fields = fields.split(',');
        let place = fields.next().and_then(number);
        let Some((place, state)) = place.zip(fields.next().and_then(number)) else { continue };
        let length = fields.next_back().and_then(number);
        if state > 1 {
            continue;
        }
        // Anything may be said in between; what begins as a message does is it.
        let begins = |line: &&str| line.starts_with(|c: char| c.is_ascii_hexdigit());
        let mut pdu = None;
        while let Some(line) = lines.next_if(|line| pdu.is_none() && !line.starts_with("+CMGL:")) {
            pdu = Some(line).filter(begins);
        }
        match pdu.filter(|pdu| length.is_some_and(|length| is_whole(pdu, length))) {
            Some(pdu) => found.whole.push((place, pdu)),
            None => found.torn.push(place),
        }
    }
    found
}

/// `length`: in octets, without the service centre before it (§3.1).
fn is_whole(pdu: &str, length: u16) -> bool {
    let hex = pdu.bytes().all(|byte| byte.is_ascii_hexdigit());
    let centre = pdu.get(..2).and_then(|centre| u8::from_str_radix(centre, 16).ok());
    hex && centre
        .is_some_and(|centre| pdu.len() == 2 * (1 + usize::from(centre) + usize::from(length)))
}

/// Once; what cannot be answered has had its effect.
async fn answer(line: &mut Line, channel: &str, to: &str, text: &str) {
    for pdu in submit(to, text, 0) {
        if let Err(verdict) = message(line, &pdu, &mut false).await {
            info!(channel, why = verdict.why(), "an answer was not sent");
            let _ = line.start_over().await;
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_modem_lists_is_told_apart_from_what_it_says_besides() {
        let said = "\r\n+CMGL: 3,0,,1\r\n00AA\r\n+CMGL: 7,1,\"x,y\",1\r\n\r\n^RSSI:18\r\nRING\r\n00BB\r\n\
                    +CDS: 24\r\n00060F\r\n+CMGL: 9,2,,1\r\n00CC\r\n+CMGL: x,1\r\n00DD\r\n\
                    +CMGL: 12,1,,2\r\n01EEEEEE\r\nOK\r\n";
        let Listed { whole, torn } = listed(said);
        assert_eq!(whole, [(3, "00AA"), (7, "00BB"), (12, "01EEEEEE")]);
        assert!(torn.is_empty());
        assert_eq!(listed("\r\nOK\r\n"), Listed::default());
    }

    #[test]
    fn what_is_not_as_long_as_the_modem_says_is_no_message() {
        for torn in [
            "+CMGL: 1,1",
            "+CMGL: 1,1,,",
            "+CMGL: 1,1,,2\r\nOK",
            "+CMGL: 1,1,,2\r\n00AA\r\nOK",
            "+CMGL: 1,1,,2\r\n00AABBCC\r\nOK",
            "+CMGL: 1,1,,2\r\n00AAB\r\nOK",
            "+CMGL: 1,1,,2\r\n00AA?B\r\nOK",
            "+CMGL: 1,1,,2\r\n^RSSI:18\r\n+CMGL: 2,2,,2\r\n00AABB",
            // A report came between them.
            "+CMGL: 1,1,,2\r\n+CDS: 24\r\n00060F00\r\n00AABB",
        ] {
            assert_eq!(listed(torn), Listed { whole: vec![], torn: vec![1] }, "{torn}");
        }
    }
}
