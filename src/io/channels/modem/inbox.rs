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
        let (mut answers, mut deleted) = (vec![], Ok(()));
        for memory in MEMORIES {
            if fault(&line.ask(&format!("AT+CPMS=\"{memory}\"")).await?).is_err() {
                continue;
            }
            let list = list(&mut line).await?;
            for (places, came) in self.letters(&list) {
                let Some(answer) = self.post.take(&came).await else {
                    return Ok(());
                };
                for place in places {
                    // What stays is read again, to no effect.
                    deleted = deleted.and(fault(&line.ask(&format!("AT+CMGD={place}")).await?));
                }
                answers.extend(answer.map(|text| (came.from, text)));
            }
        }
        for (to, text) in answers {
            answer(&mut line, &self.channel, &to, &text).await;
        }
        deleted
    }

    /// Each with the places in the memory where it is kept.
    fn letters(&self, list: &str) -> Vec<(Vec<u16>, Came)> {
        let mut letters = vec![];
        let mut kept = vec![];
        for (place, pdu) in listed(list) {
            match Delivered::read(pdu) {
                Some(one) => kept.push(((place, pdu), one)),
                None => letters.push((vec![(place, pdu)], None)),
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
        let (from, text, sent) =
            one.map_or_else(Default::default, |one| (one.from, one.text, one.sent));
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

/// `+CMGL: index,state,name,length` and on the next line the message; those that came, read or not (TS 27.005 §3.4.2).
fn listed(list: &str) -> Vec<(u16, &str)> {
    let mut lines = list.lines().map(str::trim).filter(|line| !line.is_empty());
    let mut found = vec![];
    while let Some(line) = lines.next() {
        let Some(fields) = line.strip_prefix("+CMGL:") else { continue };
        let mut fields = fields.split(',').map(|field| field.trim().parse::<u16>());
        let (Some(Ok(place)), Some(Ok(state))) = (fields.next(), fields.next()) else { continue };
        let Some(pdu) = lines.next() else { break };
        if state <= 1 {
            found.push((place, pdu));
        }
    }
    found
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
        let said = "\r\n+CMGL: 3,0,,23\r\n00AA\r\n+CMGL: 7,1,\"x\",19\r\n\r\n00BB\r\n+CDS: 24\r\n00060F\r\n\
                    +CMGL: 9,2,,19\r\n00CC\r\n+CMGL: x,1\r\n00DD\r\n+CMGL: 12,1,,4\r\nOK\r\n";
        assert_eq!(listed(said), [(3, "00AA"), (7, "00BB"), (12, "OK")]);
        assert_eq!(listed("\r\nOK\r\n"), []);
        assert_eq!(listed("+CMGL: 1,1"), []);
    }
}
