//! Reports to and from each party (RTCP, RFC 3550 §6): what it gets from us, and how long the way is. Encrypted where its
//! voice is (RFC 3711 §3.4).

use super::Relay;
use super::lent::Lent;
use crate::protocol::now::{Deadline, Mono};
use crate::protocol::random::Random;
use crate::protocol::rtp::Channel;
use crate::protocol::rtp::packet::{self, Numbers};
use crate::protocol::rtp::quality::Far;
use crate::protocol::rtp::rtcp::{self, BYTES_MAX, Block, NAME, Sent};
use crate::protocol::rtp::srtp::GROWS;
use std::net::SocketAddr;
use std::time::Duration;

/// §6.2: the least, and half of it before the first one.
const LEAST: Duration = Duration::from_secs(5);
/// §6.3.1: what the wait is divided by, because a random one is shorter on the average than it looks (e − 3/2).
const COMPENSATION: f64 = 1.218_28;
/// Reports that are due within so long are sent together: looking for them, and a timer for each, costs more than they do.
const TOGETHER: Duration = Duration::from_millis(100);
/// A way that takes longer there and back is a mistake of somebody's clock.
const RTT_MOST: Duration = Duration::from_secs(10);
/// Who counts in coarse steps says that he has held a report for longer than it was away; in units of 1/65,536 s.
const GRAIN: i32 = 65_536 / 50;
const REPORT: &str = "a report to a party";
/// The longest report, encrypted.
pub const ROOM: usize = BYTES_MAX + GROWS;
/// Between the port of the voice and that of its reports (§11).
const BESIDE: u16 = 1;

/// What is reported to one party, and what it reported.
#[derive(Debug, Clone, Copy)]
pub struct Reporter {
    name: [u8; NAME],
    /// Ours, while nothing is sent.
    own: u32,
    pub due: Mono,
    is_due: bool,
    sending: Sending,
    /// Packets sent by the last report: who has sent nothing since is no sender (§6.4).
    sent_before: u32,
    /// What the last report was about: source, expected, received (§A.3).
    before: (u32, u32, u32),
    /// Of the party's last sender's report: the middle of its timestamp, and when it came.
    theirs: Option<(u32, Mono)>,
    pub far: Option<Far>,
}

#[derive(Debug, Clone, Copy, Default)]
struct Sending {
    ssrc: u32,
    packets: u32,
    octets: u32,
}

/// To be sent from the port beside the channel's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Report {
    pub channel: Channel,
    pub to: SocketAddr,
    pub length: usize,
}

impl Reporter {
    pub fn new(random: &mut Random, now: Mono) -> Self {
        let mut name = [0; NAME];
        let bits: [u8; NAME / 2] = random.bytes();
        for (place, nibble) in name.iter_mut().zip(bits.iter().flat_map(|b| [b >> 4, b & 15])) {
            *place = b"0123456789abcdef"[usize::from(nibble)];
        }
        Self {
            name,
            own: random.u32(),
            due: now + pause(LEAST / 2, random),
            is_due: false,
            sending: Sending::default(),
            sent_before: 0,
            before: (0, 0, 0),
            theirs: None,
            far: None,
        }
    }

    /// A packet, not encrypted yet, goes to the party.
    pub fn sends(&mut self, bytes: &[u8]) {
        let Some(Numbers { ssrc, .. }) = packet::numbers(bytes) else { return };
        if ssrc != self.sending.ssrc {
            self.sending = Sending { ssrc, ..Sending::default() };
            self.sent_before = 0;
        }
        let header = packet::header_length(bytes).unwrap_or(bytes.len());
        self.sending.packets = self.sending.packets.wrapping_add(1);
        self.sending.octets = self.sending.octets.wrapping_add((bytes.len() - header) as u32);
    }
}

/// §6.3.1.
fn pause(least: Duration, random: &mut Random) -> Duration {
    random.between(least / 2, least * 3 / 2).div_f64(COMPENSATION)
}

/// A moment as NTP writes it: where no wall clock is at hand, the time since some beginning will do (§6.4.1).
fn ntp(now: Mono) -> u64 {
    let (seconds, nanos) = (now.0 / 1_000_000_000, now.0 % 1_000_000_000);
    ((seconds & 0x7fff_ffff) << 32) | ((nanos << 32) / 1_000_000_000)
}

fn middle(ntp: u64) -> u32 {
    (ntp >> 16) as u32
}

impl Relay {
    /// Judges a datagram that arrived beside a channel, and decrypts it in place.
    pub fn handle_report(
        &mut self,
        channel: Channel,
        from: SocketAddr,
        bytes: &mut [u8],
        now: Mono,
    ) {
        let Some(lent) = self.lent(channel) else { return };
        let told = (lent.beside() == Some(from)).then(|| lent.read(bytes)).flatten();
        let Some(told) = told else {
            lent.counts.strangers += 1;
            return;
        };
        if let Some(sent) = told.sent {
            lent.reports.theirs = Some((sent, now));
        }
        if let Some(block) = told.block {
            let before = lent.reports.far.and_then(|far| far.rtt_us);
            lent.reports.far = Some(Far {
                rtt_us: rtt(&block, now).or(before),
                lost: u32::try_from(block.lost).unwrap_or(0),
                jitter_us: us(block.jitter, lent.stream.codec.clock()),
            });
        }
    }

    /// The next report that is due; call until there is none.
    pub fn poll_report(&mut self, now: Mono, out: &mut [u8; ROOM]) -> Option<Report> {
        while self.reporting {
            let due = |lent: &Lent| lent.reports.is_due;
            let found = self.slots.iter().position(|slot| slot.lent.as_ref().is_some_and(due));
            let Some(channel) = found.map(|index| Channel(index as u16)) else {
                self.reporting = false;
                return None;
            };
            let lent = self.lent(channel)?;
            lent.reports.is_due = false;
            if let Some((to, length)) = lent.beside().zip(lent.report(now, out)) {
                return Some(Report { channel, to, length });
            }
        }
        None
    }

    pub(super) fn report_due(&self) -> Option<Deadline> {
        self.report.map(|at| (at, REPORT))
    }

    /// Marks whose report is due; when the next one is.
    pub(super) fn mark_reports(&mut self, now: Mono) -> Option<Mono> {
        let mut next: Option<Mono> = None;
        for lent in self.slots.iter_mut().filter_map(|slot| slot.lent.as_mut()) {
            if lent.reports.due <= now {
                lent.reports.is_due = true;
                lent.reports.due = now + pause(LEAST, &mut self.random);
                self.reporting = true;
            }
            let due = lent.reports.due;
            next = Some(next.map_or(due, |next| next.min(due)));
        }
        next.map(|next| next.max(now + TOGETHER))
    }
}

impl Lent {
    /// Where its reports come from and go to.
    fn beside(&self) -> Option<SocketAddr> {
        let port = self.stream.remote.port().checked_add(BESIDE).filter(|port| *port > BESIDE)?;
        let ip = self.stream.remote.ip();
        (!ip.is_unspecified()).then(|| SocketAddr::new(ip, port))
    }

    fn read(&mut self, bytes: &mut [u8]) -> Option<rtcp::Told> {
        let length = match &mut self.guard {
            None => bytes.len(),
            Some(guard) => guard.open_report(bytes).ok()?,
        };
        rtcp::read(bytes.get(..length)?, self.shown(self.reports.sending.ssrc))
    }

    /// As the party knows this source of ours.
    fn shown(&self, ssrc: u32) -> u32 {
        self.guard.as_ref().map_or(ssrc, |guard| guard.shown(ssrc))
    }

    /// Its length; none where it must not be sent.
    fn report(&mut self, now: Mono, out: &mut [u8; ROOM]) -> Option<usize> {
        let sending = self.reports.sending;
        let ssrc = if sending.packets == 0 { self.reports.own } else { sending.ssrc };
        let ssrc = self.shown(ssrc);
        let moment = self.seam.moment(self.stream.codec.clock(), now);
        let reports = &mut self.reports;
        let is_sender = sending.packets != reports.sent_before;
        reports.sent_before = sending.packets;
        let sent = Sent {
            ntp: ntp(now),
            timestamp: moment.unwrap_or(0),
            packets: sending.packets,
            octets: sending.octets,
        };
        let block = self.reception.received().map(|received| {
            let (source, expected, came) = reports.before;
            let (expected, came) = if source == received.ssrc { (expected, came) } else { (0, 0) };
            let expected = received.expected.saturating_sub(expected);
            let lost = expected.saturating_sub(received.received.saturating_sub(came));
            reports.before = (received.ssrc, received.expected, received.received);
            let (last, delay) = reports.theirs.map_or((0, 0), |(last, at)| {
                (last, (now.since(at).as_micros() as u64 * 65_536 / 1_000_000) as u32)
            });
            Block {
                ssrc: received.ssrc,
                fraction: (256 * u64::from(lost) / u64::from(expected.max(1))).min(255) as u8,
                lost: received.expected.wrapping_sub(received.received) as i32,
                extended: received.extended,
                jitter: received.jitter,
                last,
                delay,
            }
        });
        let plain = out.first_chunk_mut()?;
        let length =
            rtcp::write(ssrc, is_sender.then_some(&sent), block.as_ref(), &reports.name, plain);
        match &mut self.guard {
            None => Some(length),
            Some(guard) => guard.close_report(out, length),
        }
    }
}

/// §6.4.1, figure 2.
fn rtt(block: &Block, now: Mono) -> Option<u32> {
    if block.last == 0 {
        return None;
    }
    let units = middle(ntp(now)).wrapping_sub(block.last).wrapping_sub(block.delay).cast_signed();
    let units = if (-GRAIN..0).contains(&units) { 0 } else { units };
    let us = i64::from(units) * 1_000_000 / 65_536;
    u32::try_from(us).ok().filter(|us| u128::from(*us) <= RTT_MOST.as_micros())
}

fn us(ticks: u32, clock: u32) -> u32 {
    u32::try_from(u64::from(ticks) * 1_000_000 / u64::from(clock)).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::rtp::relay::Verdict;
    use crate::protocol::rtp::rtcp::Told;
    use crate::protocol::rtp::srtp::{Guard, Keys, MasterKey, TAG};
    use crate::protocol::rtp::{Command, Event, Party, Stream};
    use uuid::Uuid;

    const START: Mono = Mono(50_000_000_000);
    const A: Channel = Channel(0);
    const B: Channel = Channel(1);

    fn remote(port: u16) -> SocketAddr {
        SocketAddr::from(([192, 0, 2, 1], port))
    }

    /// Two parties who hear each other.
    fn bridge(streams: [Stream; 2]) -> Relay {
        let mut relay = Relay::new(2, vec![], Random::from_seed([3; 32]));
        let parties = [Party::Caller, Party::Officer];
        for ((channel, party), stream) in [A, B].into_iter().zip(parties).zip(streams) {
            let call = Uuid::from_u128(1);
            relay.handle_command(Command::Open { channel, call, party, stream }, START);
        }
        relay.handle_command(Command::Join { a: A, b: B }, START);
        relay
    }

    fn clear() -> Relay {
        bridge([4000, 5000].map(|port| Stream::a_law(remote(port))))
    }

    /// One says a packet of 20 ms, which the other hears.
    fn says(relay: &mut Relay, channel: Channel, from: u16, number: u16, now: Mono) -> Vec<u8> {
        let packet = packet::Packet {
            payload_type: 8,
            marker: false,
            sequence: number,
            timestamp: u32::from(number) * 160,
            ssrc: u32::from(from),
            payload: &[0xd5; 160],
        };
        let mut bytes = [0; 172 + TAG];
        let length = packet::build(&packet, &mut bytes).unwrap();
        let verdict = relay.handle_packet(channel, remote(from), &mut bytes[..length], now);
        let Verdict::Take { forward: Some(forward), .. } = verdict else { panic!("{verdict:?}") };
        let length = relay.carry(&forward, &mut bytes, length, now).unwrap();
        bytes[..length].to_vec()
    }

    /// What is reported by then, to whom; `about` the source that is looked for.
    fn reports(relay: &mut Relay, now: Mono, about: u32) -> Vec<(Report, Told)> {
        relay.handle_timeout(now);
        let mut out = [0; ROOM];
        let mut all = vec![];
        while let Some(report) = relay.poll_report(now, &mut out) {
            all.push((report, rtcp::read(&out[..report.length], about).unwrap()));
        }
        all
    }

    #[test]
    fn rec_q_each_party_is_told_what_came_of_it_and_what_it_was_sent() {
        let mut relay = clear();
        let at = |n: u16| START + Duration::from_millis(20) * u32::from(n);
        for n in (0..100).filter(|n| n % 10 != 5) {
            says(&mut relay, A, 4000, n, at(n));
        }
        let told = reports(&mut relay, at(200), 4000);
        let to: Vec<_> = told.iter().map(|(report, _)| (report.channel, report.to)).collect();
        assert_eq!(to, [(A, remote(4001)), (B, remote(5001))]);
        let block = told[0].1.block.unwrap();
        assert_eq!((block.ssrc, block.lost, block.fraction), (4000, 10, 25));
        assert_eq!(
            (block.extended, block.last, told[0].1.sent),
            (99, 0, None),
            "nothing is sent to it"
        );
        let (_, officers) = told[1];
        assert_eq!((officers.ssrc, officers.block), (4000, None), "it has said nothing");
        assert_eq!(officers.sent, Some(middle(ntp(at(200)))));
        let sending = relay.lent(B).unwrap().reports.sending;
        assert_eq!((sending.packets, sending.octets), (90, 90 * 160));
        assert_eq!(reports(&mut relay, at(201), 4000), [], "not again at once");
    }

    #[test]
    fn rec_q_the_way_there_and_back_is_the_time_less_what_the_far_end_held_it() {
        let mut relay = clear();
        for n in 0..10 {
            says(&mut relay, A, 4000, n, START);
        }
        let sent = START + Duration::from_secs(4);
        let told = reports(&mut relay, sent, 0);
        let last = told.iter().find(|(report, _)| report.channel == B).unwrap().1.sent.unwrap();
        let answer = |block: Block| {
            let mut out = [0; BYTES_MAX];
            let length = rtcp::write(77, None, Some(&block), &[b'x'; NAME], &mut out);
            out[..length].to_vec()
        };
        let block =
            Block { ssrc: 4000, lost: 3, jitter: 16, last, delay: 65_536 / 5, ..Block::default() };
        let now = sent + Duration::from_millis(300);
        relay.handle_report(B, remote(5001), &mut answer(block), now);
        let far = relay.lent(B).unwrap().reports.far.unwrap();
        assert!(far.rtt_us.unwrap().abs_diff(100_000) < 50, "{far:?}");
        assert_eq!((far.lost, far.jitter_us), (3, 2000));

        let later = |block| (answer(block), now + Duration::from_secs(1));
        let held = (65_536 * 31 / 100) as u32;
        let coarse = Block { delay: held, ..block };
        assert_eq!(rtt(&coarse, now), Some(0), "10 ms longer than it was away");
        assert_eq!(rtt(&Block { delay: 2 * held, ..block }, now), None);

        let other_source = Block { ssrc: 9, lost: 99, ..block };
        let (mut bytes, then) = later(other_source);
        relay.handle_report(B, remote(5001), &mut bytes, then);
        let (mut bytes, then) = later(Block { last: last.wrapping_add(1 << 30), lost: 4, ..block });
        relay.handle_report(B, remote(5001), &mut bytes, then);
        let after = relay.lent(B).unwrap().reports.far.unwrap();
        assert_eq!(
            (after.rtt_us, after.lost),
            (far.rtt_us, 4),
            "a clock that cannot be is not believed"
        );
        relay.handle_command(Command::Close { channel: B }, now);
        let closed = std::iter::from_fn(|| relay.poll_event())
            .find_map(|event| match event {
                Event::Closed { measured, .. } => Some(measured),
                _ => None,
            })
            .unwrap();
        assert_eq!(closed.far, Some(after));
    }

    #[test]
    fn rel_t10_reports_of_strangers_are_counted_and_change_nothing() {
        let mut relay = clear();
        says(&mut relay, A, 4000, 1, START);
        let mut out = [0; BYTES_MAX];
        let block = Block { ssrc: 4000, lost: 9, ..Block::default() };
        let length = rtcp::write(77, None, Some(&block), &[b'x'; NAME], &mut out);
        for from in [remote(5000), remote(5002), SocketAddr::from(([192, 0, 2, 2], 5001))] {
            relay.handle_report(B, from, &mut out[..length], START);
        }
        relay.handle_report(B, remote(5001), &mut b"nonsense".to_vec(), START);
        let lent = relay.lent(B).unwrap();
        assert_eq!((lent.counts.strangers, lent.reports.far), (4, None));
    }

    #[test]
    fn sig_20_sdes_reports_of_an_encrypted_leg_are_encrypted_both_ways_and_about_what_it_gets() {
        let key = |fill| MasterKey([fill; 30]);
        let keys = Keys { ours: key(1), theirs: key(2) };
        let secret = Stream { srtp: Some(keys), ..Stream::a_law(remote(4000)) };
        let mut relay = bridge([secret, Stream::a_law(remote(5000))]);
        let mut phone = Guard::new(Keys { ours: keys.theirs, theirs: keys.ours });
        let mut voice = None;
        for n in 0..10 {
            voice = Some(says(&mut relay, B, 5000, n, START));
        }
        let mut voice = voice.unwrap();
        let length = phone.open(&mut voice).unwrap();
        let source = packet::parse(&voice[..length]).unwrap().ssrc;
        assert_ne!(source, 5000);

        let now = START + Duration::from_secs(5);
        relay.handle_timeout(now);
        let mut out = [0; ROOM];
        let report = std::iter::from_fn(|| {
            let report = relay.poll_report(now, &mut out)?;
            Some((report.channel, out[..report.length].to_vec()))
        });
        let (_, mut closed) = report.into_iter().find(|(channel, _)| *channel == A).unwrap();
        assert_eq!(
            rtcp::read(&closed[..closed.len() - GROWS], source).and_then(|one| one.sent),
            None
        );
        let length = phone.open_report(&mut closed).unwrap();
        let told = rtcp::read(&closed[..length], source).unwrap();
        assert_eq!((told.ssrc, told.sent), (source, Some(middle(ntp(now)))));

        let block = Block { ssrc: source, lost: 3, last: told.sent.unwrap(), ..Block::default() };
        let length =
            rtcp::write(77, None, Some(&block), &[b'x'; NAME], out.first_chunk_mut().unwrap());
        let later = now + Duration::from_millis(40);
        relay.handle_report(A, remote(4001), &mut out[..length].to_vec(), later);
        assert_eq!(relay.lent(A).unwrap().reports.far, None, "nothing is believed in the clear");
        let length = phone.close_report(&mut out, length).unwrap();
        for _ in 0..2 {
            relay.handle_report(A, remote(4001), &mut out[..length].to_vec(), later);
        }
        let far = relay.lent(A).unwrap().reports.far.unwrap();
        assert_eq!((far.lost, far.rtt_us.unwrap().abs_diff(40_000) < 50), (3, true));
        assert_eq!(relay.lent(A).unwrap().counts.strangers, 2, "once in the clear, once again");
    }

    #[test]
    fn rec_q_reports_come_at_the_pace_of_rfc_3550() {
        let mut relay = clear();
        let mut moments: Vec<f64> = vec![];
        for ms in (0..600_000).step_by(10) {
            let now = START + Duration::from_millis(ms);
            let told = reports(&mut relay, now, 0);
            let to_a = told.iter().filter(|(report, _)| report.channel == A).count();
            moments.extend(std::iter::repeat_n(ms as f64 / 1000.0, to_a));
        }
        let waits: Vec<f64> = moments.windows(2).map(|pair| pair[1] - pair[0]).collect();
        let fits =
            |wait: &&f64| (5.0 * 0.5 / 1.219 - 0.02..5.0 * 1.5 / 1.218 + 0.02).contains(*wait);
        assert_eq!(waits.iter().filter(fits).count(), waits.len(), "{waits:?}");
        let mean = waits.iter().sum::<f64>() / waits.len() as f64;
        assert!((3.7..4.5).contains(&mean), "{mean}");
        assert!(moments[0] < 3.1, "the first comes sooner: {}", moments[0]);
        relay.handle_command(Command::Close { channel: A }, START);
        relay.handle_command(Command::Close { channel: B }, START);
        assert_eq!(reports(&mut relay, START + Duration::from_secs(700), 0), []);
        assert_eq!(relay.report_due(), None);
    }
}
