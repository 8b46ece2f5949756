//! Whoever listens to calls that go on, beside the tape: fed where the ring is emptied, so that voice and disk wait for
//! nobody who listens, and he not for the disk.

use super::record::{Head, Kind};
use crate::io::clock;
use crate::protocol::now::Mono;
use crate::protocol::rtp::live::Live;
use crate::protocol::rtp::packet;
use crate::protocol::rtp::relay::Secrecy;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::sync::mpsc::error::TrySendError;
use uuid::Uuid;

/// Packets that wait for one listener: of two parties some two seconds. He misses what is more.
const WAITING: usize = 256;
/// What was said last is heard after the end.
const LAST: Duration = Duration::from_millis(300);

type Frame = (Head, Vec<u8>);

/// Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Taps(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    /// Nobody is looked for where nobody listens.
    some: AtomicBool,
    all: Mutex<Vec<(Uuid, mpsc::Sender<Frame>)>>,
}

impl Taps {
    /// To this call, from now on.
    pub fn listen(&self, call: Uuid) -> Listening {
        let (to, frames) = mpsc::channel(WAITING);
        let mut all = self.0.all.lock().unwrap_or_else(PoisonError::into_inner);
        all.retain(|(_, to)| !to.is_closed());
        all.push((call, to));
        self.0.some.store(true, Ordering::Release);
        Listening { frames, live: Live::new(clock::mono()), over: None }
    }

    /// What was just taken from the ring.
    pub fn hear<'a>(&self, frames: impl Iterator<Item = (Head, &'a [u8])>) {
        if !self.0.some.load(Ordering::Acquire) {
            return;
        }
        let mut all = self.0.all.lock().unwrap_or_else(PoisonError::into_inner);
        // Also of calls of which nothing comes any more.
        all.retain(|(_, to)| !to.is_closed());
        for (head, packet) in frames {
            let over = head.kind == Kind::Finished;
            all.retain(|(call, to)| {
                *call != head.call
                    || !over
                        && !matches!(
                            to.try_send((head, packet.to_vec())),
                            Err(TrySendError::Closed(_))
                        )
            });
        }
        self.0.some.store(!all.is_empty(), Ordering::Release);
    }
}

/// One who listens to one call.
pub struct Listening {
    frames: mpsc::Receiver<Frame>,
    live: Live,
    /// The call is; until then there is something to hear.
    over: Option<Mono>,
}

impl Listening {
    /// The next tenth of a second, left and right by turns; none when the call is over.
    pub async fn next(&mut self) -> Option<Vec<i16>> {
        loop {
            let now = clock::mono();
            if let Some(block) = self.live.poll(now) {
                return Some(block);
            }
            if self.over.is_some_and(|until| now >= until) {
                return None;
            }
            let (due, _) = self.live.deadline();
            tokio::select! {
                heard = self.frames.recv(), if self.over.is_none() => match heard {
                    Some((head, bytes)) => self.hear(&head, &bytes),
                    None => self.over = Some(now + LAST),
                },
                () = tokio::time::sleep(due.since(now)) => {}
            }
        }
    }

    fn hear(&mut self, head: &Head, bytes: &[u8]) {
        if head.kind != Kind::Packet || head.secrecy == Secrecy::Undecryptable {
            return;
        }
        if let Some(packet) = packet::parse(bytes)
            && packet.payload_type == head.audio_pt
        {
            self.live.handle_packet(head.party, head.codec, &packet, head.arrival);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::rtp::packet::Packet;
    use crate::protocol::rtp::relay::Tag;
    use crate::protocol::rtp::{Codec, Party, Stream, g711};

    const CALLS: [Uuid; 2] = [Uuid::from_u128(5), Uuid::from_u128(6)];

    fn says(taps: &Taps, call: Uuid, party: Party, n: u16) {
        let tag = Tag::of(call, party, &Stream::a_law("192.0.2.1:4000".parse().unwrap()));
        let packet = Packet {
            payload_type: 8,
            marker: false,
            sequence: n,
            timestamp: 160 * u32::from(n),
            ssrc: 1,
            payload: &[0x11; 160],
        };
        let mut bytes = vec![0; 172];
        packet::build(&packet, &mut bytes).unwrap();
        let head = Head::of(Kind::Packet, &tag, clock::mono(), 172);
        taps.hear(std::iter::once((head, &bytes[..])));
    }

    #[tokio::test]
    async fn who_listens_hears_his_call_alone_within_a_second_and_until_its_end() {
        let taps = Taps::default();
        let mut listening = taps.listen(CALLS[0]);
        let speaking = taps.clone();
        let begin = clock::mono();
        let speaker = tokio::spawn(async move {
            for n in 0..25 {
                says(&speaking, CALLS[0], Party::Caller, n);
                says(&speaking, CALLS[1], Party::Officer, n);
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            speaking.hear(std::iter::once((Head::finished(CALLS[0], clock::mono()), &[][..])));
        });
        let loud = g711::decoding(Codec::Pcma)[0x11];
        let (mut first, mut heard) = (None, 0);
        while let Some(block) = listening.next().await {
            heard += block.iter().step_by(2).filter(|sample| **sample == loud).count();
            assert!(block.iter().skip(1).step_by(2).all(|sample| *sample == 0), "of another call");
            if heard > 0 {
                first.get_or_insert_with(|| clock::mono().since(begin));
            }
        }
        assert!(first.unwrap() < Duration::from_secs(1), "{first:?}");
        assert!(heard >= 20 * 160, "{heard}");
        speaker.await.unwrap();
        assert!(!taps.0.some.load(Ordering::Acquire), "nobody is left");
    }

    #[tokio::test]
    async fn who_does_not_take_it_keeps_nobody_waiting_and_who_has_gone_is_forgotten() {
        let taps = Taps::default();
        let sleeper = taps.listen(CALLS[0]);
        for n in 0..2000 {
            says(&taps, CALLS[0], Party::Caller, n);
        }
        assert_eq!(sleeper.frames.len(), WAITING);
        drop(sleeper);
        says(&taps, CALLS[1], Party::Caller, 2000);
        assert!(!taps.0.some.load(Ordering::Acquire), "of his call nothing came any more");
        for _ in 0..3 {
            drop(taps.listen(CALLS[0]));
        }
        assert_eq!(taps.0.all.lock().unwrap().len(), 1, "also where nobody speaks");
    }
}
