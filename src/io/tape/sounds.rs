//! Whether what is in a recording is a voice, of each party while it was on.

use super::Finding;
use super::presence::Presence;
use crate::protocol::rtp::Party;
use crate::protocol::rtp::sound::{Judge, Measure, Second};
use crate::protocol::rtp::timeline::RATE;

pub struct Sounds<'a> {
    presence: &'a Presence,
    /// In the order of the lanes; of prompts nobody asks.
    judges: Vec<(Party, Judge)>,
    /// Whoever was on and never heard.
    silent: Vec<(Party, Judge)>,
}

impl<'a> Sounds<'a> {
    pub fn new(lanes: impl Iterator<Item = Party>, presence: &'a Presence) -> Self {
        let judges: Vec<_> = lanes.map(|party| (party, Judge::default())).collect();
        let silent = presence.parties().filter(|party| {
            *party != Party::Prompt && judges.iter().all(|(known, _)| known != party)
        });
        let silent = silent.map(|party| (party, Judge::default())).collect();
        Self { presence, judges, silent }
    }

    /// The second from `at` on, lane by lane.
    pub fn hear(&mut self, at: i64, measures: impl Iterator<Item = Box<Measure>>) {
        for ((party, judge), measure) in self.judges.iter_mut().zip(measures) {
            let second = match measure.is_empty() {
                false => Second::Heard(measure),
                true => absent(self.presence, *party, at),
            };
            judge.hear(second);
        }
        for (party, judge) in &mut self.silent {
            judge.hear(absent(self.presence, *party, at));
        }
    }

    pub fn finish(self) -> Vec<Finding> {
        let judges = self.judges.into_iter().chain(self.silent);
        let judges = judges.filter(|(party, _)| *party != Party::Prompt);
        let mut findings: Vec<Finding> = judges
            .flat_map(|(party, judge)| {
                judge.finish().into_iter().map(move |found| Finding {
                    party,
                    fault: found.fault,
                    from_ms: found.from * 1000,
                    length_ms: (found.to - found.from) * 1000,
                })
            })
            .collect();
        findings.sort_by_key(|found| (found.from_ms, found.party));
        findings
    }
}

fn absent(presence: &Presence, party: Party, at: i64) -> Second {
    match presence.covers(party, at, at + RATE as i64) {
        true => Second::Nothing,
        false => Second::Alive,
    }
}
