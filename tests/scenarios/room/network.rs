//! The wires between daemon, PBX and phones: datagrams arrive later, twice, or not at all.

use dutyline::protocol::now::Mono;
use dutyline::protocol::random::Random;
use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

/// How bad the wires are; chances in a thousand.
#[derive(Debug, Clone, Copy)]
pub struct Weather {
    pub least_delay: Duration,
    pub most_delay: Duration,
    pub loss: u64,
    pub twice: u64,
}

impl Weather {
    pub fn fair() -> Self {
        let delay = Duration::from_millis(1);
        Self { least_delay: delay, most_delay: delay, loss: 0, twice: 0 }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Sip,
    Rtp,
}

#[derive(Debug, Clone)]
pub struct Datagram {
    pub kind: Kind,
    pub from: SocketAddr,
    pub to: SocketAddr,
    pub bytes: Vec<u8>,
}

pub struct Network {
    /// Of SIP. Voice is delayed alike but neither lost nor doubled, unless `voice` says so.
    pub weather: Weather,
    pub voice: Weather,
    random: Random,
    unplugged: BTreeSet<IpAddr>,
    under_way: BTreeMap<(Mono, u64), Datagram>,
    count: u64,
    /// The last messages, for the report of a failure.
    log: Vec<(Mono, bool, Datagram)>,
}

const LOG: usize = 4000;

impl Network {
    pub fn new(random: Random) -> Self {
        let (weather, voice) = (Weather::fair(), Weather::fair());
        let (unplugged, under_way) = (BTreeSet::new(), BTreeMap::new());
        Self { weather, voice, random, unplugged, under_way, count: 0, log: vec![] }
    }

    pub fn send(&mut self, datagram: Datagram, now: Mono) {
        let weather = match datagram.kind {
            Kind::Sip => self.weather,
            Kind::Rtp => self.voice,
        };
        let lost = self.random.below(1000) < weather.loss
            || self.unplugged.contains(&datagram.from.ip())
            || self.unplugged.contains(&datagram.to.ip());
        if datagram.kind == Kind::Sip {
            if self.log.len() >= LOG {
                self.log.drain(..LOG / 2);
            }
            self.log.push((now, lost, datagram.clone()));
        }
        if lost {
            return;
        }
        let copies = if self.random.below(1000) < weather.twice { 2 } else { 1 };
        for _ in 0..copies {
            let delay = self.random.between(weather.least_delay, weather.most_delay);
            self.count += 1;
            self.under_way.insert((now + delay, self.count), datagram.clone());
        }
    }

    pub fn next(&self) -> Option<Mono> {
        self.under_way.first_key_value().map(|((at, _), _)| *at)
    }

    pub fn deliver(&mut self, now: Mono) -> Option<Datagram> {
        let entry = self.under_way.first_entry().filter(|entry| entry.key().0 <= now)?;
        let datagram = entry.remove();
        // What was under way when the plug was pulled is lost too.
        let gone = self.unplugged.contains(&datagram.to.ip());
        if gone { self.deliver(now) } else { Some(datagram) }
    }

    pub fn unplug(&mut self, host: IpAddr) {
        self.unplugged.insert(host);
    }

    pub fn plug_in(&mut self, host: IpAddr) {
        self.unplugged.remove(&host);
    }

    /// The last messages, one line each.
    pub fn story(&self, last: usize) -> String {
        let from = self.log.len().saturating_sub(last);
        let mut story = String::new();
        for (at, lost, datagram) in &self.log[from..] {
            let text = String::from_utf8_lossy(&datagram.bytes);
            let first = text.lines().next().unwrap_or("");
            let cseq = text.lines().find(|line| line.starts_with("CSeq")).unwrap_or("");
            let call = text.lines().find(|line| line.starts_with("Call-ID")).unwrap_or("");
            let seconds = at.0 as f64 / 1e9 - 86_400.0;
            let lost = if *lost { "✗" } else { " " };
            let (from, to) = (datagram.from, datagram.to);
            story += &format!("{seconds:10.3} {lost} {from} → {to}  {first} | {cseq} | {call}\n");
        }
        story
    }
}
