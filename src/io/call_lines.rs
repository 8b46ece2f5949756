//! One line in the operator's log for each call, when everything of it is known.

use crate::duty::ids::CallId;
use crate::duty::journal::{Disposition, Fact, Noted};
use crate::protocol::now::Mono;
use crate::protocol::rtp::{Counts, Party};
use std::collections::BTreeMap;
use tracing::info;

/// Calls that may be under way at once; beyond, the oldest goes unsaid.
const CALLS: usize = 1_024;

/// Gathers the facts of the calls under way. Says no name and no number.
#[derive(Default)]
pub struct CallLines(BTreeMap<CallId, Story>);

struct Story {
    arrived: Mono,
    rung: Option<Mono>,
    answered: Option<Mono>,
    ended: Option<(Mono, Ending)>,
    carried: BTreeMap<Party, Counts>,
}

struct Ending {
    disposition: Disposition,
    by: Option<Party>,
    status: u16,
    why: String,
}

impl CallLines {
    pub fn take(&mut self, noted: &Noted) {
        let at = noted.at.mono;
        match &noted.fact {
            Fact::Arrived(arrival) => self.begin(arrival.call, at),
            Fact::Placed(placed) => self.begin(placed.call, at),
            Fact::Rung { call, .. } => {
                self.with(*call, |story| story.rung = story.rung.or(Some(at)))
            }
            Fact::Answered { call, .. } => self.with(*call, |story| story.answered = Some(at)),
            // Of a leader who joined, the entry tells.
            Fact::Carried { party: Party::Leader | Party::Prompt, .. } => {}
            Fact::Carried { call, party, counts, .. } => {
                self.with(*call, |story| {
                    let carried = story.carried.entry(*party).or_default();
                    *carried = carried.and(counts);
                });
                self.finish(*call);
            }
            Fact::Ended { call, disposition, by, status, why } => {
                let (disposition, by, status) = (*disposition, *by, *status);
                let ending = Ending { disposition, by, status, why: why.clone() };
                self.with(*call, |story| story.ended = Some((at, ending)));
                self.finish(*call);
            }
            Fact::NotPlaced { .. }
            | Fact::Dialled { .. }
            | Fact::NotTaken { .. }
            | Fact::Joining { .. }
            | Fact::Joined { .. }
            | Fact::Left { .. }
            | Fact::Began { .. }
            | Fact::Over { .. }
            | Fact::LongCall { .. }
            | Fact::FaxHeard { .. }
            | Fact::Flagged { .. }
            | Fact::AttemptMade(_)
            | Fact::AttemptMoved { .. }
            | Fact::Exercise { .. }
            | Fact::AttemptRinging { .. }
            | Fact::AttemptProgress { .. }
            | Fact::AttemptDialled { .. }
            | Fact::AttemptAnswered { .. }
            | Fact::AttemptKey { .. }
            | Fact::AttemptHeard { .. }
            | Fact::AttemptTalks { .. }
            | Fact::AttemptMute { .. }
            | Fact::Acknowledged { .. }
            | Fact::HandedOn { .. }
            | Fact::Dictated { .. }
            | Fact::AttemptEnded { .. }
            | Fact::LineUp
            | Fact::LineDown { .. }
            | Fact::NumberUp { .. }
            | Fact::NumberDown { .. }
            | Fact::NotSecret { .. }
            | Fact::Misplaced { .. }
            | Fact::Undecryptable { .. }
            | Fact::Elsewhere { .. }
            | Fact::Forged { .. }
            | Fact::LineMoved { .. }
            | Fact::LineNotMoved { .. }
            | Fact::Intruded { .. }
            | Fact::GivenUp { .. }
            | Fact::TurnedAway { .. }
            | Fact::Away { .. }
            | Fact::OutageBegan { .. }
            | Fact::OutageOver { .. }
            | Fact::ClockStepped { .. } => {}
        }
    }

    fn begin(&mut self, call: CallId, arrived: Mono) {
        info!(%call, "call begins");
        if self.0.len() >= CALLS {
            self.0.pop_first();
        }
        let story =
            Story { arrived, rung: None, answered: None, ended: None, carried: BTreeMap::new() };
        self.0.insert(call, story);
    }

    fn with(&mut self, call: CallId, change: impl FnOnce(&mut Story)) {
        if let Some(story) = self.0.get_mut(&call) {
            change(story);
        }
    }

    /// A talk is told when both sides have said what they carried.
    fn finish(&mut self, call: CallId) {
        let Some(story) = self.0.get(&call) else { return };
        let Some((ended, ending)) = &story.ended else { return };
        if story.answered.is_some() && story.carried.len() < 2 {
            return;
        }
        let ms = |from: Mono, to: Mono| to.since(from).as_millis();
        let of = |party| story.carried.get(&party).copied().unwrap_or_default();
        let (caller, officer) = (of(Party::Caller), of(Party::Officer));
        info!(
            %call,
            disposition = ?ending.disposition,
            by = ?ending.by,
            status = ending.status,
            why = ending.why,
            invite_to_rung_ms = story.rung.map(|at| ms(story.arrived, at)),
            ring_ms = ms(story.arrived, story.answered.unwrap_or(*ended)),
            talk_ms = story.answered.map_or(0, |at| ms(at, *ended)),
            caller_packets = caller.received,
            caller_lost = caller.lost,
            officer_packets = officer.received,
            officer_lost = officer.lost,
            strangers = caller.strangers + officer.strangers,
            untaped = caller.untaped + officer.untaped,
            "call ended"
        );
        self.0.remove(&call);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::duty::journal::Arrival;
    use crate::io::clock;
    use uuid::Uuid;

    fn tell(lines: &mut CallLines, fact: Fact) {
        lines.take(&Noted { at: clock::now(), fact });
    }

    fn arrived(call: CallId) -> Fact {
        Fact::Arrived(Box::new(Arrival::from_number(call, "110", "")))
    }

    fn ended(call: CallId, disposition: Disposition) -> Fact {
        Fact::Ended { call, disposition, by: None, status: 200, why: "test".into() }
    }

    #[test]
    fn a_call_is_told_once_and_forgotten_when_all_of_it_is_known() {
        let mut lines = CallLines::default();
        let call = CallId(Uuid::from_u128(1));
        tell(&mut lines, arrived(call));
        tell(&mut lines, Fact::Answered { call, phone: "desk".into() });
        tell(&mut lines, ended(call, Disposition::Answered));
        assert_eq!(lines.0.len(), 1, "neither side has said what it carried");
        for party in [Party::Caller, Party::Officer] {
            tell(
                &mut lines,
                Fact::Carried { call, party, counts: Counts::default(), quality: None },
            );
        }
        assert_eq!(lines.0.len(), 0);
        tell(&mut lines, arrived(call));
        tell(&mut lines, ended(call, Disposition::Missed));
        assert_eq!(lines.0.len(), 0, "nothing is carried by a call that nobody takes");
    }

    #[test]
    fn calls_that_never_end_do_not_pile_up() {
        let mut lines = CallLines::default();
        for number in 0..CALLS as u128 + 5 {
            tell(&mut lines, arrived(CallId(Uuid::from_u128(number))));
        }
        assert_eq!(lines.0.len(), CALLS);
    }
}
