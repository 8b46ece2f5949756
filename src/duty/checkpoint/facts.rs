//! What another boot of the host may know of an earlier one: the facts that the log has not confirmed.

use super::{Checkpoint, Key, Piece};
use crate::duty::ids::{AttemptId, CallId};
use crate::duty::journal::{AttemptResult, Disposition, Fact, Noted};
use crate::protocol::now::{Mono, Now};
use std::collections::BTreeSet;

const WHY: &str = "the host was restarted in the middle of the call";

impl Checkpoint {
    /// Its facts alone, and that every call they are of has ended. Monotonic times of another boot mean nothing: they
    /// become the beginning of this one, which is nobody's moment.
    pub fn facts_alone(mut self, same_boot: bool) -> Self {
        let Some(at) = self.at else { return Self::default() };
        self.pieces.retain(|key, _| matches!(key, Key::Fact(_)));
        let (mut calls, mut attempts) = (BTreeSet::new(), BTreeSet::new());
        for piece in self.pieces.values_mut() {
            let Piece::Fact(noted) = piece else { continue };
            if !same_boot {
                begin_anew(noted);
            }
            match is_of(&noted.fact) {
                // It may be a leader's.
                Some(Of::Call(call)) => {
                    calls.insert(call);
                    attempts.insert(AttemptId(call.0));
                }
                Some(Of::Attempt(attempt)) => drop(attempts.insert(attempt)),
                None => {}
            }
        }
        let (result, disposition) = (AttemptResult::Interrupted, Disposition::Interrupted);
        let attempts = attempts.into_iter();
        let attempts = attempts.map(|attempt| Fact::AttemptEnded { attempt, result, status: 0 });
        let why = WHY.to_owned();
        let ended = |call| Fact::Ended { call, disposition, by: None, status: 0, why: why.clone() };
        let ends = calls.into_iter().map(ended).chain(attempts);
        let last = self.pieces.keys().next_back();
        let next = last.map_or(0, |key| if let Key::Fact(number) = key { number + 1 } else { 0 });
        let at = if same_boot { at } else { Now { mono: Mono(0), ..at } };
        for (number, fact) in (next..).zip(ends) {
            self.pieces.insert(Key::Fact(number), Piece::Fact(Box::new(Noted { at, fact })));
        }
        Self { at: Some(at), ..self }
    }
}

fn begin_anew(noted: &mut Noted) {
    let mut lasted = 0;
    if let Fact::Dictated { since, .. } = &mut noted.fact {
        lasted = noted.at.mono.0.saturating_sub(since.mono.0);
        since.mono = Mono(0);
    }
    noted.at.mono = Mono(lasted);
}

enum Of {
    Call(CallId),
    Attempt(AttemptId),
}

fn is_of(fact: &Fact) -> Option<Of> {
    Some(match fact {
        Fact::Arrived(arrival) => Of::Call(arrival.call),
        Fact::Placed(placed) => Of::Call(placed.call),
        Fact::AttemptMade(made) => Of::Attempt(made.attempt),
        Fact::NotPlaced { call, .. }
        | Fact::GivenUp { call, .. }
        | Fact::Dialled { call, .. }
        | Fact::Rung { call, .. }
        | Fact::NotTaken { call, .. }
        | Fact::Answered { call, .. }
        | Fact::Joining { call, .. }
        | Fact::Joined { call, .. }
        | Fact::Left { call, .. }
        | Fact::Began { call, .. }
        | Fact::Over { call, .. }
        | Fact::LongCall { call }
        | Fact::FaxHeard { call }
        | Fact::Ended { call, .. }
        | Fact::Carried { call, .. }
        | Fact::NotSecret { call, .. }
        | Fact::Misplaced { call, .. }
        | Fact::Undecryptable { call, .. }
        | Fact::Elsewhere { call, .. }
        | Fact::Forged { call, .. } => Of::Call(*call),
        Fact::AttemptMoved { attempt, .. }
        | Fact::Exercise { attempt }
        | Fact::AttemptRinging { attempt }
        | Fact::AttemptProgress { attempt }
        | Fact::AttemptDialled { attempt }
        | Fact::AttemptAnswered { attempt }
        | Fact::AttemptKey { attempt, .. }
        | Fact::Acknowledged { attempt, .. }
        | Fact::HandedOn { attempt, .. }
        | Fact::AttemptHeard { attempt, .. }
        | Fact::AttemptTalks { attempt }
        | Fact::Dictated { attempt, .. }
        | Fact::AttemptMute { attempt }
        | Fact::AttemptEnded { attempt, .. } => Of::Attempt(*attempt),
        Fact::Flagged { .. }
        | Fact::LineUp
        | Fact::LineDown { .. }
        | Fact::NumberUp { .. }
        | Fact::NumberDown { .. }
        | Fact::TurnedAway { .. }
        | Fact::Away { .. }
        | Fact::OutageBegan { .. }
        | Fact::OutageOver { .. }
        | Fact::ClockStepped { .. }
        | Fact::Intruded { .. }
        | Fact::LineMoved { .. }
        | Fact::LineNotMoved { .. } => return None,
    })
}
