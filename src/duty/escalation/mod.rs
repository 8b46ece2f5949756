//! Who is told next, and when: a stored row and one pure decision.

mod decide;
mod exercise;
mod matter;
mod memory;
mod policy;
mod timetable;
mod under_way;

pub use decide::{decide, expired, unwanted};
pub use exercise::{Exercise, ExerciseKind};
pub use matter::Matter;
pub use memory::{Look, Memory};
pub use policy::{After, Call, Ladder, Line, Policy, Tier};
pub use timetable::{Timetable, Version};
pub use under_way::UnderWay;

use super::ids::{AttemptId, EntryId, EscalationId};
use super::journal::{AttemptResult, Urgency};
use super::pin::Pin;
use super::roster::{Person, Role};
use super::switchboard::Errand;
use crate::protocol::now::{Mono, Now};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

/// A moment that was written down. `mono` counts within the boot of the host it was written in;
/// from an earlier boot only the wall clock is left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Moment {
    pub wall: DateTime<Utc>,
    pub mono: Option<Mono>,
}

impl From<Now> for Moment {
    /// What an earlier boot of the host saw has no moment of this one: it is told as at its beginning.
    fn from(now: Now) -> Self {
        Self { wall: now.wall, mono: Some(now.mono).filter(|mono| *mono != Mono(0)) }
    }
}

/// Longer ago than anything the ladders wait for.
const LONG_AGO: Duration = Duration::from_secs(24 * 3600);

impl Moment {
    /// Time passed since, at most a day. A moment that lies in the future was written before the
    /// clock was set back: it counts as long ago, so that what waits for it is due.
    pub fn age(self, now: Now) -> Duration {
        match self.mono {
            Some(mono) if mono <= now.mono => now.mono.since(mono).min(LONG_AGO),
            Some(_) => LONG_AGO,
            None => (now.wall - self.wall).to_std().unwrap_or(LONG_AGO).min(LONG_AGO),
        }
    }
}

/// An escalation (紧急呈报, domain §4.3.5) as it was read from the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Escalation {
    pub id: EscalationId,
    pub entry: EntryId,
    pub urgency: Urgency,
    pub state: State,
    pub raised: DateTime<Utc>,
    /// How often the ladder has been begun again.
    pub round: u32,
    pub round_began: Moment,
    /// The siren sounds at the desk.
    pub siren: bool,
    /// The duty leader himself has pressed the key (I-7).
    pub leader_reached: bool,
    pub acked: Option<Acked>,
    /// 阅件: what it is about has come to a leader's knowledge.
    pub read: bool,
    /// The oldest instruction (批示) that the officer has not confirmed.
    pub unconfirmed: Option<Moment>,
    /// Nothing more follows, ever.
    pub closed: bool,
    /// Oldest first. Of a long history: at least this round, whatever is in flight, and every
    /// attempt that found its number dead.
    pub attempts: Vec<Attempt>,
    /// Calls that are under way, its own among them: whoever is called for it is not called for it again.
    pub occupied: Vec<Elsewhere>,
    /// It is no real one.
    pub exercise: Option<Exercise>,
    /// Who was reminded of the one that this is raised again of, and pressed 3: he gets nothing more.
    pub left_out: Vec<String>,
    /// Those of the version under which it was raised; `None`: not looked up yet.
    pub figures: Option<Arc<Policy>>,
}

/// What somebody has typed that was not his PIN.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Guessed {
    /// The one that the call has its name from.
    pub call: AttemptId,
    pub person: String,
    pub guesses: u32,
    /// The call ended with that.
    pub refused: bool,
}

/// Somebody is being called, or listens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Elsewhere {
    /// The one that the call has its name from.
    pub call: AttemptId,
    pub person: String,
    pub number: String,
    /// He can be told of more in the same call.
    pub joinable: bool,
}

/// So many calls of one person may end with wrong PINs, and so many wrong ones may be typed in all.
const GUESSED: usize = 2;
const GUESSES: u32 = 6;

impl Escalation {
    /// By what it goes on to its end: the version that was in force when it was raised.
    pub fn go_by(&mut self, versions: &Timetable) -> Arc<Policy> {
        let raised = self.raised;
        let own = || Arc::new(versions.in_force(raised).figures.clone());
        Arc::clone(self.figures.get_or_insert_with(own))
    }

    /// This person has acknowledged it, in whichever capacity.
    pub fn knows(&self, person: &str) -> bool {
        let acknowledged = |one: &Attempt| one.acknowledged && one.errand != Errand::Confirm;
        let mut attempts = self.attempts.iter().filter(|one| one.person == person);
        self.acked.as_ref().is_some_and(|acked| acked.person == person)
            || attempts.any(acknowledged)
    }

    /// What opens the content in his next call: nothing, where calls of his have been guesses, in this matter or `elsewhere`.
    pub fn pin_of(
        &self,
        person: &Person,
        elsewhere: impl IntoIterator<Item = Guessed>,
    ) -> Option<Pin> {
        let own = self.attempts.iter().filter_map(Attempt::guessed);
        let all = own.chain(elsewhere);
        let his: Vec<Guessed> = all.filter(|one| one.person == person.name).collect();
        let guesses: u32 = his.iter().map(|one| one.guesses).sum();
        let wrong: BTreeSet<_> = his.iter().filter(|one| one.refused).map(|one| one.call).collect();
        let refused = wrong.len() >= GUESSED || guesses >= GUESSES;
        person.pin.clone().map(|pin| if refused { Pin::Refused } else { pin })
    }
}

/// The acknowledgement that counts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Acked {
    pub at: Moment,
    pub person: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// Nobody has acknowledged.
    Open,
    /// 已接报
    Acknowledged,
    /// 撤回
    Withdrawn,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attempt {
    pub id: AttemptId,
    pub round: u32,
    /// Which call of the ladder this is; `None`: a repetition.
    pub place: Option<Place>,
    pub role: Role,
    pub person: String,
    pub number: String,
    pub started: Moment,
    /// `None`: in flight.
    pub ended: Option<(Moment, AttemptResult)>,
    pub errand: Errand,
    /// He has pressed the key; the confirmation is being spoken.
    pub acknowledged: bool,
    /// He has pressed 3: somebody else is to be called.
    pub handed_on: Option<Moment>,
    /// He has pressed a key that leads to what the matter is about: the call may take longer.
    pub engaged: bool,
    /// The line failed him, and has come back since.
    pub line_is_back: bool,
    /// Wrong PINs that were typed in it.
    pub guesses: u32,
    /// The one whose call it shares.
    pub joined: Option<AttemptId>,
    /// When it came into the call in which it is made, where that is not its first.
    pub moved: Option<Moment>,
}

impl Attempt {
    /// Since when it is made in its call.
    pub fn began(&self) -> Moment {
        self.moved.unwrap_or(self.started)
    }

    /// The one that the call has its name from.
    pub fn call(&self) -> AttemptId {
        self.joined.unwrap_or(self.id)
    }

    pub fn guessed(&self) -> Option<Guessed> {
        let refused = matches!(self.ended, Some((_, AttemptResult::WrongPin)));
        let (call, person, guesses) = (self.call(), self.person.clone(), self.guesses);
        (refused || guesses > 0).then_some(Guessed { call, person, guesses, refused })
    }

    /// What is under way, as another escalation sees it.
    pub fn elsewhere(&self) -> Elsewhere {
        Elsewhere {
            call: self.call(),
            person: self.person.clone(),
            number: self.number.clone(),
            joinable: self.errand != Errand::Confirm,
        }
    }
}

/// Call `call` of tier `tier` of the ladder.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Place {
    pub tier: usize,
    pub call: usize,
}

/// Somebody to be called now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    pub place: Option<Place>,
    pub role: Role,
    pub person: String,
    pub number: String,
    pub ring: Duration,
    pub errand: Errand,
    /// The call before was cut.
    pub after_cut: bool,
    /// He is on the telephone in this attempt already, and is told of both.
    pub joins: Option<AttemptId>,
    pub why: &'static str,
}

/// Why an acknowledged one begins anew.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Again {
    /// Nobody has looked at it.
    Unread,
    /// Whoever was reminded has pressed 3.
    HandedOn,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decision {
    /// Call these people now, each once.
    Notify(Vec<Target>),
    /// Everybody has been tried: sound the siren at the desk (全部未应答).
    Siren,
    /// Begin the ladder again, as from this moment.
    Repeat { began: Moment },
    /// It was acknowledged and came to nothing: raise it again (escalation.md, M).
    RaiseAgain(Again),
    /// An exercise in which nobody was reached: it is over.
    Missed,
    /// Nothing to do before this moment unless something happens.
    Wait { until: Mono, why: &'static str },
    /// Nothing more to do, ever.
    Done,
}
