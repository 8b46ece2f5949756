//! From when to when each party of a call was on, by the marks of its channels; in samples of the time line.

use crate::protocol::rtp::Party;
use std::collections::{BTreeMap, BTreeSet};

#[derive(Debug, Default)]
pub struct Presence {
    parties: BTreeMap<Party, Stay>,
    first: Option<i64>,
}

#[derive(Debug, Default)]
struct Stay {
    /// A run that goes on with the call of another opens the same channels again.
    channels: BTreeSet<u16>,
    since: i64,
    over: Vec<(i64, i64)>,
}

impl Presence {
    /// `channel` as its mark has it; tapes of old do not say.
    pub fn opened(&mut self, party: Party, channel: &[u8], at: i64) {
        self.first.get_or_insert(at);
        let stay = self.parties.entry(party).or_default();
        if stay.channels.is_empty() {
            stay.since = at;
        }
        stay.channels.insert(number(channel));
    }

    pub fn closed(&mut self, party: Party, channel: &[u8], at: i64) {
        let Some(stay) = self.parties.get_mut(&party) else { return };
        if stay.channels.remove(&number(channel)) && stay.channels.is_empty() {
            stay.over.push((stay.since, at));
        }
    }

    /// When the first channel was opened.
    pub fn first(&self) -> Option<i64> {
        self.first
    }

    pub fn knows(&self, party: Party) -> bool {
        self.parties.contains_key(&party)
    }

    pub fn parties(&self) -> impl Iterator<Item = Party> {
        self.parties.keys().copied()
    }

    /// Somebody was on, and everybody is gone: the call was over, whatever else is missing.
    pub fn is_over(&self) -> bool {
        !self.parties.is_empty() && self.parties.values().all(|stay| stay.channels.is_empty())
    }

    /// From when to when; whoever was never taken back stayed until `end`.
    pub fn of(&self, party: Party, end: i64) -> Vec<(i64, i64)> {
        let Some(stay) = self.parties.get(&party) else { return vec![] };
        let last = (!stay.channels.is_empty()).then_some((stay.since, end));
        stay.over.iter().copied().chain(last).collect()
    }

    /// Whether the party was on for all of this stretch.
    pub fn covers(&self, party: Party, from: i64, to: i64) -> bool {
        self.of(party, i64::MAX).iter().any(|(since, until)| *since <= from && to <= *until)
    }
}

fn number(channel: &[u8]) -> u16 {
    channel.first_chunk().map_or(u16::MAX, |number| u16::from_be_bytes(*number))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_channels_of_one_party_are_one_stay_and_a_gap_between_them_is_none() {
        let mut presence = Presence::default();
        let officer = Party::Officer;
        presence.opened(officer, &[0, 4], 10);
        presence.opened(officer, &[0, 6], 50);
        presence.closed(officer, &[0, 4], 60);
        assert!(!presence.is_over());
        presence.closed(officer, &[0, 6], 90);
        assert!(presence.is_over());
        presence.opened(officer, &[0, 8], 200);
        // Another run opens it again, and nobody closes what is not open.
        presence.opened(officer, &[0, 8], 250);
        presence.closed(officer, &[0, 9], 260);
        assert_eq!(presence.of(officer, 300), [(10, 90), (200, 300)]);
        assert_eq!((presence.first(), presence.of(Party::Caller, 300)), (Some(10), vec![]));
        assert!(presence.covers(officer, 20, 90) && !presence.covers(officer, 80, 210));
    }
}
