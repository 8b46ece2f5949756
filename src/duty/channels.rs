//! The RTP ports, lent to one party of one call at a time.

use super::ids::CallId;
use crate::protocol::now::{Deadline, Mono};
use crate::protocol::random::Random;
use crate::protocol::rtp::{Channel, Party};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

/// How long the relay may take to report a closed channel before it is lent again all the same.
const CLOSING: Duration = Duration::from_secs(5);

/// One of the channels that were given back longest ago is lent next, so that late packets of the
/// last call do not meet the next one; which one, nobody can foresee.
#[derive(Debug)]
pub struct Channels {
    free: VecDeque<Channel>,
    random: Random,
    lent: BTreeMap<Channel, Loan>,
    of_call: BTreeSet<(CallId, Channel)>,
    closing: BTreeSet<(Mono, Channel)>,
}

#[derive(Debug)]
struct Loan {
    call: CallId,
    party: Party,
    use_: Use,
}

#[derive(Debug)]
enum Use {
    /// Named in a session description; the relay does not know of it yet.
    Promised,
    Open,
    /// The relay was told to close it.
    Closing {
        until: Mono,
    },
}

impl Channels {
    pub fn new(count: u16, random: Random) -> Self {
        Self {
            free: (0..count).map(Channel).collect(),
            random,
            lent: BTreeMap::new(),
            of_call: BTreeSet::new(),
            closing: BTreeSet::new(),
        }
    }

    /// Lends a channel if at least `keep` stay free afterwards.
    pub fn lend(&mut self, call: CallId, party: Party, keep: usize) -> Option<Channel> {
        if self.free.len() <= keep {
            return None;
        }
        let rested = self.free.len().div_ceil(2);
        let channel = self.free.remove(self.random.below(rested as u64) as usize)?;
        self.promise(channel, call, party);
        Some(channel)
    }

    /// Lends this very channel, as an earlier run did. False where it is not there to be lent.
    pub fn claim(&mut self, channel: Channel, call: CallId, party: Party) -> bool {
        let Some(at) = self.free.iter().position(|free| *free == channel) else { return false };
        self.free.remove(at);
        self.promise(channel, call, party);
        true
    }

    fn promise(&mut self, channel: Channel, call: CallId, party: Party) {
        self.of_call.insert((call, channel));
        self.lent.insert(channel, Loan { call, party, use_: Use::Promised });
    }

    /// What is lent to a call, but for what it has given back.
    pub fn of(&self, call: CallId) -> Vec<(Channel, Party)> {
        let all = self.of_call.range((call, Channel(0))..=(call, Channel(u16::MAX)));
        let lent = all.filter_map(|(_, channel)| Some((*channel, self.lent.get(channel)?)));
        let used = lent.filter(|(_, loan)| matches!(loan.use_, Use::Promised | Use::Open));
        used.map(|(channel, loan)| (channel, loan.party)).collect()
    }

    /// Whoever has it goes over to another call with it.
    pub fn pass_on(&mut self, channel: Channel, call: CallId, party: Party) {
        if let Some(loan) = self.lent.get_mut(&channel) {
            self.of_call.remove(&(loan.call, channel));
            self.of_call.insert((call, channel));
            (loan.call, loan.party) = (call, party);
        }
    }

    /// Whether at least two of this call hear each other.
    pub fn talks(&self, call: CallId) -> bool {
        self.of(call).into_iter().filter(|(channel, _)| self.is_open(*channel)).count() > 1
    }

    pub fn is_of(&self, call: CallId, channel: Channel) -> bool {
        self.of_call.contains(&(call, channel))
    }

    pub fn is_lent(&self, channel: Channel) -> bool {
        self.lent.contains_key(&channel)
    }

    /// The relay is about to be told to open it.
    pub fn open(&mut self, channel: Channel) {
        if let Some(loan) = self.lent.get_mut(&channel) {
            loan.use_ = Use::Open;
        }
    }

    /// Takes the channel back. True: the relay has it open and must close it; it is free again
    /// when the relay says so.
    pub fn give_back(&mut self, channel: Channel, now: Mono) -> bool {
        let Some(loan) = self.lent.get_mut(&channel) else { return false };
        match loan.use_ {
            Use::Promised => {
                self.release(channel);
                false
            }
            Use::Open => {
                loan.use_ = Use::Closing { until: now + CLOSING };
                self.closing.insert((now + CLOSING, channel));
                true
            }
            Use::Closing { .. } => false,
        }
    }

    /// The relay closed it: whose it was. None for a report about nothing that is closing.
    pub fn closed(&mut self, channel: Channel) -> Option<(CallId, Party)> {
        let loan = self.lent.get(&channel)?;
        match loan.use_ {
            Use::Promised | Use::Open => None,
            Use::Closing { .. } => self.release(channel).map(|loan| (loan.call, loan.party)),
        }
    }

    /// Whose voice is on the channel; none while nobody's is.
    pub fn holder(&self, channel: Channel) -> Option<(CallId, Party)> {
        let loan = self.lent.get(&channel)?;
        match loan.use_ {
            Use::Open => Some((loan.call, loan.party)),
            Use::Promised | Use::Closing { .. } => None,
        }
    }

    /// Whether the relay was told to open it.
    pub fn is_open(&self, channel: Channel) -> bool {
        self.holder(channel).is_some()
    }

    pub fn handle_timeout(&mut self, now: Mono) {
        while let Some((until, channel)) = self.closing.first().copied() {
            if until > now {
                return;
            }
            self.release(channel);
        }
    }

    pub fn deadline(&self) -> Option<Deadline> {
        self.closing.first().map(|(until, _)| (*until, "channel never reported closed"))
    }

    /// Channels that are not free.
    pub fn in_use(&self) -> usize {
        self.lent.len()
    }

    fn release(&mut self, channel: Channel) -> Option<Loan> {
        let loan = self.lent.remove(&channel)?;
        self.of_call.remove(&(loan.call, channel));
        if let Use::Closing { until } = loan.use_ {
            self.closing.remove(&(until, channel));
        }
        self.free.push_back(channel);
        Some(loan)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use uuid::Uuid;

    const A: CallId = CallId(Uuid::from_u128(1));
    const B: CallId = CallId(Uuid::from_u128(2));

    fn channels_of(count: u16) -> Channels {
        Channels::new(count, Random::from_seed([14; 32]))
    }

    /// Which channel each of so many calls gets that are on one after the other.
    fn lent_in_turn(channels: &mut Channels, calls: usize) -> Vec<u16> {
        let mut lend = || {
            let channel = channels.lend(A, Party::Caller, 0).unwrap();
            channels.give_back(channel, Mono(0));
            channel.0
        };
        (0..calls).map(|_| lend()).collect()
    }

    #[test]
    fn rel_t14_every_port_is_lent_as_often_and_the_last_one_does_not_tell_the_next() {
        const COUNT: usize = 32;
        const CALLS: usize = 32_000;
        let lent = lent_in_turn(&mut channels_of(COUNT as u16), CALLS);
        let mut often = [0_i64; COUNT];
        let mut steps = [0_i64; COUNT];
        for pair in lent.windows(2) {
            let [last, next] = [usize::from(pair[0]), usize::from(pair[1])];
            often[last] += 1;
            steps[(next + COUNT - last) % COUNT] += 1;
        }
        let even = (CALLS / COUNT) as i64;
        assert!(often.iter().all(|count| (count - even).abs() < even / 5), "{often:?}");
        assert_eq!(steps[0], 0, "never the one that was on just now");
        let most = steps.iter().max().unwrap();
        assert!(*most < even * 3 / 2, "no step from one to the next stands out: {steps:?}");
    }

    #[test]
    fn rel_t14_a_port_rests_while_half_of_the_others_are_lent() {
        let lent = lent_in_turn(&mut channels_of(32), 10_000);
        for (at, channel) in lent.iter().enumerate() {
            let again = lent[at + 1..].iter().position(|later| later == channel);
            assert!(again.is_none_or(|between| between >= 15), "{channel} at {at}");
        }
    }

    #[test]
    fn a_reserve_is_left_for_calls_to_leaders() {
        let mut channels = channels_of(3);
        assert!(channels.lend(A, Party::Caller, 2).is_some());
        assert_eq!(channels.lend(A, Party::Officer, 2), None);
        assert!(channels.lend(B, Party::Leader, 0).is_some());
    }

    #[test]
    fn a_channel_that_was_only_promised_is_free_at_once() {
        let mut channels = channels_of(1);
        let channel = channels.lend(A, Party::Caller, 0).unwrap();
        assert!(!channels.give_back(channel, Mono(0)));
        assert_eq!(channels.lend(B, Party::Caller, 0), Some(channel));
    }

    #[test]
    fn an_open_channel_is_free_when_the_relay_has_closed_it() {
        let mut channels = channels_of(1);
        let channel = channels.lend(A, Party::Caller, 0).unwrap();
        channels.open(channel);
        assert_eq!(channels.closed(channel), None, "nobody asked to close it");
        assert_eq!(channels.holder(channel), Some((A, Party::Caller)));
        assert!(channels.give_back(channel, Mono(0)));
        assert!(!channels.give_back(channel, Mono(0)), "is told to close once");
        assert_eq!(channels.holder(channel), None);
        assert_eq!(channels.lend(B, Party::Caller, 0), None);
        assert_eq!(channels.closed(channel), Some((A, Party::Caller)));
        assert_eq!(channels.lend(B, Party::Caller, 0), Some(channel));
    }

    #[test]
    fn a_silent_relay_does_not_keep_a_channel_for_ever() {
        let mut channels = channels_of(1);
        let channel = channels.lend(A, Party::Caller, 0).unwrap();
        channels.open(channel);
        channels.give_back(channel, Mono(0));
        let (due, _) = channels.deadline().unwrap();
        channels.handle_timeout(due - Duration::from_nanos(1));
        assert_eq!(channels.in_use(), 1);
        channels.handle_timeout(due);
        assert_eq!(channels.in_use(), 0);
        assert_eq!(channels.closed(channel), None);
    }
}
