//! The caller of a self-test: a telephone of its own at the PBX, for as long as the call lasts.

use super::Plan;
use crate::io::clock;
use crate::protocol::rtp::packet::{self, Packet};
use crate::protocol::rtp::{Codec, g711};
use crate::protocol::sdp::{self, Direction, Local};
use crate::protocol::sip::endpoint::Endpoint;
use crate::protocol::sip::{Account, AorId, Event, LegId, Outgoing, Peer, Transport};
use chrono::{DateTime, Utc};
use std::io;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::net::UdpSocket;
use tokio::time::{Instant, interval};

const TICK: Duration = Duration::from_millis(20);
const FRAME: usize = 160;
/// Silence before the caller speaks, in packets: half a second.
const BEFORE: usize = 25;
/// And after it: what our side says is longer than half of it.
const AFTER: usize = 100;
/// All of it, from the registration to the end.
const LONGEST: Duration = Duration::from_secs(40);
/// How long a BYE and the end of the registration may take.
const LEAVES_WITHIN: Duration = Duration::from_secs(3);
const LARGEST: usize = 65_536;
/// Packets that are listened to.
const HEARD_MAX: usize = 1_000;

/// How the call ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ended {
    /// It was answered, and what there was to say is said.
    Talked,
    Refused(String),
    Unanswered,
}

#[derive(Debug, Clone)]
pub struct Spoken {
    pub ended: Ended,
    /// When the caller began to speak.
    pub spoke: DateTime<Utc>,
    /// What he heard, in the order in which it came.
    pub heard: Vec<i16>,
}

/// Registers, dials, says its sentence, listens, hangs up.
///
/// # Errors
/// When no socket can be had.
pub async fn call(plan: &Plan, account: Account, dial: &str, says: &[i16]) -> io::Result<Spoken> {
    let sip = UdpSocket::bind((plan.listen, 0)).await?;
    let rtp = UdpSocket::bind((plan.media, 0)).await?;
    let local = SocketAddr::new(plan.advertise, sip.local_addr()?.port());
    let (account, several) = (Account { local, ..account }, plan.account.peers.len() > 1);
    let mut probe = Probe {
        ua: Endpoint::new(account, clock::random()),
        plan,
        several,
        dial,
        port: rtp.local_addr()?.port(),
        leg: None,
        refused: None,
        voice: None,
        ended: None,
        leaving: None,
        gone: false,
    };
    probe.ua.register(clock::now());
    let (mut message, mut packet) = (vec![0; LARGEST], vec![0; LARGEST]);
    let (mut tick, until) = (interval(TICK), Instant::now() + LONGEST);
    while !probe.gone {
        tokio::select! {
            Ok((length, addr)) = sip.recv_from(&mut message) => {
                let from = Peer { transport: Transport::Udp, addr };
                probe.ua.handle_message(from, &message[..length], clock::now());
            }
            Ok((length, _)) = rtp.recv_from(&mut packet) => {
                if let Some(voice) = &mut probe.voice {
                    voice.hear(&packet[..length]);
                }
            }
            _ = tick.tick() => {
                if let Some((to, bytes)) = probe.speak(says) {
                    // As on any network, it may be lost.
                    let _ = rtp.send_to(&bytes, to).await;
                }
                probe.turn(until);
            }
        }
        while let Some(event) = probe.ua.poll_event() {
            probe.handle(event);
        }
        while let Some(transmit) = probe.ua.poll_transmit() {
            // Retransmission takes care of what is lost.
            let _ = sip.send_to(&transmit.bytes, transmit.to.addr).await;
        }
    }
    let voice = probe.voice.unwrap_or_default();
    let spoke = voice.spoke.unwrap_or_else(|| clock::now().wall);
    Ok(Spoken { ended: probe.ended.unwrap_or(Ended::Unanswered), spoke, heard: voice.heard })
}

struct Probe<'a> {
    ua: Endpoint,
    plan: &'a Plan,
    /// The PBX has more addresses than one.
    several: bool,
    dial: &'a str,
    /// Of its voice.
    port: u16,
    leg: Option<LegId>,
    /// Why it is not registered yet, where another address of the PBX is tried.
    refused: Option<String>,
    voice: Option<Voice>,
    ended: Option<Ended>,
    /// Until when it waits for the end of its registration.
    leaving: Option<Instant>,
    gone: bool,
}

#[derive(Default)]
struct Voice {
    to: Option<(SocketAddr, Codec, u8)>,
    ssrc: u32,
    sent: usize,
    spoke: Option<DateTime<Utc>>,
    heard: Vec<i16>,
}

impl Probe<'_> {
    fn handle(&mut self, event: Event) {
        let now = clock::now();
        match event {
            Event::Registered { .. } if self.leg.is_none() && self.leaving.is_none() => {
                self.refused = None;
                let id = clock::random().below(1 << 40);
                let local = Local::plain(self.plan.advertise, self.port, id);
                let sdp =
                    sdp::offer(&local, &sdp::CODECS, Some(sdp::EVENT_PT), Direction::SendRecv);
                let target = self.dial.to_owned();
                let (display, from_user, headers) = (String::new(), None, vec![]);
                let call =
                    Outgoing { target, aor: AorId::default(), display, from_user, sdp, headers };
                self.leg = Some(self.ua.invite(call, now));
            }
            Event::RegistrationFailed { status, reason, .. } if self.leg.is_none() => {
                let why = format!("REGISTER {status} {reason}");
                match status {
                    408 | 503 if self.several => self.refused = Some(why),
                    _ => self.leave(Ended::Refused(why)),
                }
            }
            Event::Answered { leg, sdp } => match sdp.as_deref().map(sdp::parse) {
                Some(Ok(session)) if session.spoken().is_some() => {
                    let stream = session.stream();
                    let to = Some((stream.remote, stream.codec, stream.audio_pt));
                    let ssrc = clock::random().below(1 << 32) as u32;
                    self.voice = Some(Voice { to, ssrc, ..Voice::default() });
                }
                Some(_) | None => {
                    self.ua.bye(leg, now);
                    self.leave(Ended::Refused("answered without a voice".to_owned()));
                }
            },
            Event::Refused { status, reason, .. } => {
                self.leave(Ended::Refused(format!("INVITE {status} {reason}")));
            }
            Event::Ended { .. } => {
                let talked = self.voice.as_ref().is_some_and(|voice| voice.spoke.is_some());
                self.leave(if talked { Ended::Talked } else { Ended::Unanswered });
            }
            Event::Incoming { leg, .. } => self.ua.refuse(leg, 486, None, now),
            Event::Offer { leg, .. } => self.ua.refuse_offer(leg, 488, now),
            Event::Unregistered => self.gone = true,
            _ => {}
        }
    }

    /// What is due at this tick.
    fn turn(&mut self, until: Instant) {
        let now = clock::now();
        if self.ua.poll_timeout().is_some_and(|(at, _)| at <= now.mono) {
            self.ua.handle_timeout(now);
        }
        let overdue = Instant::now() >= until;
        match self.leaving {
            Some(leaves) if Instant::now() >= leaves => self.gone = true,
            None if overdue => {
                if let Some(leg) = self.leg {
                    match self.voice {
                        Some(_) => self.ua.bye(leg, now),
                        None => self.ua.cancel(leg, now),
                    }
                }
                let how = self.refused.take().map_or(Ended::Unanswered, Ended::Refused);
                self.leave(how);
            }
            Some(_) | None => {}
        }
    }

    fn leave(&mut self, how: Ended) {
        if self.leaving.is_none() {
            self.ended = Some(how);
            self.leaving = Some(Instant::now() + LEAVES_WITHIN);
            self.ua.unregister(clock::now());
        }
    }

    /// The packet of this tick; after the last one it hangs up.
    fn speak(&mut self, says: &[i16]) -> Option<(SocketAddr, Vec<u8>)> {
        let voice = self.voice.as_mut().filter(|_| self.leaving.is_none())?;
        let (to, codec, audio_pt) = voice.to?;
        let spoken = says.len().div_ceil(FRAME);
        if voice.sent == BEFORE + spoken + AFTER {
            voice.sent += 1;
            self.ua.bye(self.leg?, clock::now());
        }
        if voice.sent > BEFORE + spoken + AFTER {
            return None;
        }
        if voice.sent == BEFORE {
            voice.spoke = Some(clock::now().wall);
        }
        let from = voice.sent.checked_sub(BEFORE).map_or(says.len(), |frame| frame * FRAME);
        let sample = |n: usize| says.get(from + n).copied().unwrap_or(0);
        let payload: Vec<u8> = (0..FRAME).map(|n| g711::encode(codec, sample(n))).collect();
        let mut bytes = vec![0; payload.len() + 64];
        let length = packet::build(
            &Packet {
                payload_type: audio_pt,
                marker: voice.sent == 0,
                sequence: voice.sent as u16,
                timestamp: (voice.sent * FRAME) as u32,
                ssrc: voice.ssrc,
                payload: &payload,
            },
            &mut bytes,
        )?;
        bytes.truncate(length);
        voice.sent += 1;
        Some((to, bytes))
    }
}

impl Voice {
    fn hear(&mut self, bytes: &[u8]) {
        let Some((_, codec, audio_pt)) = self.to else { return };
        let packet = packet::parse(bytes).filter(|packet| packet.payload_type == audio_pt);
        if let Some(packet) = packet.filter(|_| self.heard.len() < HEARD_MAX * FRAME) {
            self.heard.extend(packet.payload.iter().map(|byte| g711::decode(codec, *byte)));
        }
    }
}
