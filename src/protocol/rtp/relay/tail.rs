//! What still comes after a channel was closed, since a BYE overtakes the voice before it: taped with its call, heard
//! by nobody. A call is finished when that is over.

use super::lent::Lent;
use super::{Relay, Verdict};
use crate::protocol::now::{Deadline, Mono};
use crate::protocol::rtp::Channel;
use std::net::SocketAddr;
use std::time::Duration;
use uuid::Uuid;

/// It is over when nothing has come for so long, …
const QUIET: Duration = Duration::from_millis(200);
/// … and at any rate after so long (recording.md T9).
const MOST: Duration = Duration::from_secs(3);
const OVER: &str = "what comes after the end of a call may be over";

/// A channel that was closed a moment ago.
pub struct Tail {
    lent: Lent,
    quiet: Mono,
    end: Mono,
}

/// A call that is to be finished when nothing comes any more.
#[derive(Debug, Clone, Copy)]
pub struct Finishing {
    call: Uuid,
    since: Mono,
    look: Mono,
}

impl Tail {
    pub fn new(lent: Lent, now: Mono) -> Self {
        Self { quiet: lent.heard + QUIET, lent, end: now + MOST }
    }

    fn over(&self) -> Mono {
        self.quiet.min(self.end)
    }
}

impl Relay {
    pub(super) fn hear_tail(
        &mut self,
        channel: Channel,
        from: SocketAddr,
        bytes: &mut [u8],
        now: Mono,
    ) -> Verdict {
        let slot = self.slots.get_mut(usize::from(channel.0));
        let tail = slot.and_then(|slot| slot.tail.as_mut()).filter(|tail| now < tail.over());
        let Some(tail) = tail else { return Verdict::Drop };
        let lent = &mut tail.lent;
        let judged = lent.judge(from, bytes, now).filter(|judged| lent.lets_in(judged, now));
        let Some(judged) = judged else { return Verdict::Drop };
        let (tag, length) = (lent.tag(&judged), judged.length);
        tail.quiet = now + QUIET;
        Verdict::Take { tag, length, forward: None }
    }

    /// Gives the call back when nothing can come of it any more.
    pub(super) fn finish(&mut self, call: Uuid, now: Mono) -> Option<Uuid> {
        match self.tail_of(call).filter(|over| *over > now) {
            None => Some(call),
            Some(look) => {
                self.finishing.push(Finishing { call, since: now, look });
                None
            }
        }
    }

    /// The next call of which nothing comes any more, and when that was asked for; call until there is none.
    pub fn poll_finished(&mut self, now: Mono) -> Option<(Uuid, Mono)> {
        let mut index = 0;
        while let Some(Finishing { call, since, look }) = self.finishing.get(index).copied() {
            let over = (look <= now).then(|| self.tail_of(call));
            match over {
                Some(Some(over)) if over > now => self.finishing[index].look = over,
                Some(_) => {
                    self.finishing.swap_remove(index);
                    self.forget_tails(call);
                    return Some((call, since));
                }
                None => {}
            }
            index += 1;
        }
        None
    }

    pub(super) fn tail_due(&self) -> Option<Deadline> {
        self.finishing.iter().map(|one| one.look).min().map(|look| (look, OVER))
    }

    fn tail_of(&self, call: Uuid) -> Option<Mono> {
        let tails = self.slots.iter().filter_map(|slot| slot.tail.as_ref());
        tails.filter(|tail| tail.lent.call == call).map(|tail| tail.over()).max()
    }

    fn forget_tails(&mut self, call: Uuid) {
        for slot in &mut self.slots {
            if slot.tail.as_ref().is_some_and(|tail| tail.lent.call == call) {
                slot.tail = None;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::random::Random;
    use crate::protocol::rtp::packet::{self, Packet};
    use crate::protocol::rtp::{Command, Event, Party, Stream};

    const CALL: Uuid = Uuid::from_u128(7);
    const NEXT: Uuid = Uuid::from_u128(8);
    const START: Mono = Mono(3_000_000_000);
    const ONE: Channel = Channel(0);

    fn remote(port: u16) -> SocketAddr {
        SocketAddr::from(([192, 0, 2, 1], port))
    }

    fn ms(ms: u64) -> Mono {
        START + Duration::from_millis(ms)
    }

    fn open(relay: &mut Relay, call: Uuid, port: u16) {
        let stream = Stream::a_law(remote(port));
        let open = Command::Open { channel: ONE, call, party: Party::Caller, stream };
        relay.handle_command(open, START);
    }

    /// Whose the packet was, if anybody's.
    fn speaks(relay: &mut Relay, port: u16, n: u16, at: Mono) -> Option<Uuid> {
        let packet = Packet {
            payload_type: 8,
            marker: false,
            sequence: n,
            timestamp: u32::from(n) * 160,
            ssrc: u32::from(port),
            payload: &[0xd5; 160],
        };
        let mut bytes = [0; 172];
        packet::build(&packet, &mut bytes).unwrap();
        match relay.handle_packet(ONE, remote(port), &mut bytes, at) {
            Verdict::Take { tag, forward, .. } => {
                assert_eq!(forward, None);
                Some(tag.call)
            }
            Verdict::Drop => None,
        }
    }

    fn closed() -> Relay {
        let mut relay = Relay::new(2, vec![], Random::from_seed([1; 32]));
        open(&mut relay, CALL, 4000);
        assert_eq!(speaks(&mut relay, 4000, 1, ms(0)), Some(CALL));
        relay.handle_command(Command::Close { channel: ONE }, ms(20));
        assert_eq!(relay.handle_command(Command::Finish { call: CALL }, ms(20)), None);
        let closed = std::iter::from_fn(|| relay.poll_event());
        assert!(closed.last().is_some_and(|event| matches!(event, Event::Closed { .. })));
        relay
    }

    #[test]
    fn rec_t9_what_comes_up_to_three_seconds_after_the_end_is_taped_and_then_no_more() {
        let mut relay = closed();
        for n in 1..150 {
            let at = ms(u64::from(n) * 20);
            assert_eq!(speaks(&mut relay, 4000, n + 1, at), Some(CALL), "{n}");
            assert_eq!(relay.poll_finished(at), None);
            assert!(relay.deadline().is_some());
        }
        assert_eq!(speaks(&mut relay, 4000, 200, ms(3020)), None);
        assert_eq!(relay.poll_finished(ms(3020)), Some((CALL, ms(20))), "it ended then");
        assert_eq!(relay.poll_finished(ms(3020)), None);
        assert!(relay.poll_event().is_none(), "nobody is told of it");
    }

    #[test]
    fn a_call_of_which_nothing_more_comes_is_finished_soon() {
        let mut relay = closed();
        assert_eq!(relay.poll_finished(ms(199)), None);
        assert_eq!(relay.poll_finished(ms(200)), Some((CALL, ms(20))));
        assert_eq!(speaks(&mut relay, 4000, 2, ms(221)), None);
    }

    #[test]
    fn rec_t8_whoever_speaks_into_the_next_call_on_the_port_is_in_neither() {
        let mut relay = closed();
        open(&mut relay, NEXT, 5000);
        assert_eq!(speaks(&mut relay, 4000, 2, ms(40)), None, "the last call's voice");
        assert_eq!(speaks(&mut relay, 5000, 1, ms(41)), Some(NEXT));
        assert_eq!(relay.poll_finished(ms(41)), None, "looked at when it was to be over");
        assert_eq!(relay.poll_finished(ms(220)), Some((CALL, ms(20))));
        assert_eq!(relay.handle_command(Command::Finish { call: NEXT }, ms(300)), Some(NEXT));
    }

    /// The next caller is not speaking yet, and both come from the PBX's address.
    #[test]
    fn rec_t8_a_voice_of_the_last_call_that_goes_on_is_never_taken_for_the_next_caller() {
        let mut relay = closed();
        open(&mut relay, NEXT, 5000);
        for n in 2..100 {
            let at = ms(u64::from(n) * 20);
            assert_eq!(speaks(&mut relay, 4000, n, at), None, "{n}");
        }
        assert_eq!(speaks(&mut relay, 5000, 1, ms(2000)), Some(NEXT));
    }

    #[test]
    fn a_stranger_prolongs_nothing() {
        let mut relay = closed();
        assert_eq!(speaks(&mut relay, 4002, 2, ms(200)), None);
        assert_eq!(relay.poll_finished(ms(220)), Some((CALL, ms(20))));
    }
}
