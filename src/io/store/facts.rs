//! Facts of the switchboard become rows, in order; a fact that is written twice changes nothing.

use super::Store;
use super::audit::{self, Actor};
use super::error::Result;
use super::writer::Tx;
use super::{
    acknowledgements, attempts, callbacks, calls, duty, entries, fax, following, outages, placed,
    recent, recordings, self_tests, stretches, voices,
};
use crate::duty::ids::{CallId, EntryId};
use crate::duty::journal::{Arrival, Disposition, Fact, Joining, Noted, Urgency};
use crate::duty::switchboard::{AckOutcome, Input};
use crate::io::status::Live;
use crate::protocol::now::Now;
use crate::protocol::rtp::Party;
use rusqlite::Connection;
use std::sync::Arc;

/// The rule by which `Priority: emergency` raises the flag (I-14).
const PRIORITY_RULE: &str = "callers.emergency_priority";
/// The rule by which calls that come too fast are turned away (I-14).
const PACE_RULE: &str = "sip.pace";

/// The rule by which phones prove whose they are (I-14).
const PHONES_RULE: &str = "registrar";
/// The rule by which a leg is encrypted (I-14).
const SECRECY_RULE: &str = "SRTP";
/// The rule by which voice comes from where its party said (I-14).
const PLACE_RULE: &str = "SDP";
/// The rule by which only PBX and phones have a say in a call (I-14).
const TRUST_RULE: &str = "line.trusted";

/// What must be told once a fact is committed.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Applied {
    /// To the switchboard: `Stored` or `AckStored`.
    pub input: Option<Input>,
    /// To the pages.
    pub live: Vec<Live>,
    /// The escalator has something new to decide: wake it.
    pub escalate: bool,
}

impl Applied {
    pub(super) fn tell(live: Option<Live>) -> Self {
        Self { live: live.into_iter().collect(), ..Self::default() }
    }
}

impl Store {
    /// Writes one fact. The order of calls is the order of writes, whatever is awaited first.
    pub fn note(&self, noted: Noted) -> impl Future<Output = Result<Applied>> + Send + use<> {
        self.write_of_run(move |tx| apply(tx, &noted))
    }

    /// Writes several facts, all or none: on an error the same facts can be sent again as they
    /// are, before later ones.
    pub fn note_all(
        &self,
        noted: Vec<Noted>,
    ) -> impl Future<Output = Result<Vec<Applied>>> + Send + use<> {
        let (inner, packed) = (Arc::clone(&self.inner), recent::pack(&noted));
        let written = self.write_of_run(move |tx| {
            let applied = noted.iter().map(|noted| apply(tx, noted)).collect::<Result<Vec<_>>>()?;
            // What is kept for a backup keeps nothing from being written.
            Ok((applied, recent::pack_orders(tx.sql, &noted).unwrap_or_default()))
        });
        async move {
            let (applied, ordered) = written.await?;
            inner.recent.keep(ordered.into_iter().chain(packed));
            Ok(applied)
        }
    }

    /// As [`Store::note`], for a thread that may wait.
    pub fn apply(&self, noted: &Noted) -> Result<Applied> {
        let noted = noted.clone();
        self.write_now(move |tx| apply(tx, &noted))
    }
}

pub(super) fn apply(tx: &mut Tx<'_>, noted: &Noted) -> Result<Applied> {
    let now = noted.at;
    let sql = tx.sql;
    let live = match &noted.fact {
        Fact::Arrived(arrival) => return arrived(tx, arrival, now),
        Fact::Placed(_) | Fact::NotPlaced { .. } | Fact::GivenUp { .. } | Fact::Dialled { .. } => {
            return placed::apply(sql, &noted.fact, now);
        }
        Fact::Rung { .. }
        | Fact::NotTaken { .. }
        | Fact::Joining { .. }
        | Fact::Joined { .. }
        | Fact::Left { .. } => on_phone(sql, &noted.fact, now)?,
        Fact::Answered { call, phone } => return answered(sql, *call, phone, now),
        Fact::Began { call, stretch } => stretches::begin(sql, *call, *stretch, now)?,
        Fact::Over { call, stretch } => stretches::end(sql, *call, *stretch, now)?,
        Fact::LongCall { call } => calls::changed(sql, *call)?,
        Fact::FaxHeard { call } => fax::heard(sql, *call, now)?,
        Fact::Ended { .. } => ended(sql, &noted.fact, now)?,
        Fact::NotSecret { .. }
        | Fact::Misplaced { .. }
        | Fact::Undecryptable { .. }
        | Fact::Elsewhere { .. }
        | Fact::Forged { .. } => amiss(sql, &noted.fact, now)?,
        Fact::Carried { .. } => voices::carried(sql, &noted.fact, now)?,
        Fact::Flagged { entry, urgency, phone } => {
            entries::flag(tx, &Actor::phone(phone), *entry, *urgency, now)?;
            let live = vec![Live::Entry { entry: *entry }, Live::Escalation { entry: *entry }];
            return Ok(Applied { input: None, live, escalate: true });
        }
        Fact::AttemptMade(made) => attempts::made(sql, made, now)?,
        Fact::AttemptMoved { .. }
        | Fact::AttemptRinging { .. }
        | Fact::AttemptDialled { .. }
        | Fact::AttemptAnswered { .. }
        | Fact::AttemptKey { .. }
        | Fact::AttemptMute { .. } => on_attempt(sql, &noted.fact, now)?,
        Fact::AttemptHeard { .. } | Fact::AttemptTalks { .. } => {
            return learnt(sql, &noted.fact, now);
        }
        Fact::Acknowledged { attempt, entry }
        | Fact::HandedOn { attempt, entry }
        | Fact::Dictated { attempt, entry, .. } => {
            let outcome = pressed(sql, &noted.fact, now)?;
            let input = outcome.map(|outcome| Input::AckStored { attempt: *attempt, outcome });
            let live = vec![Live::Escalation { entry: *entry }];
            return Ok(Applied { input, live, escalate: true });
        }
        Fact::AttemptEnded { .. } => return attempt_ended(sql, &noted.fact, now),
        Fact::LineUp | Fact::NumberUp { .. } => return line_up(sql, &noted.fact, now),
        Fact::LineDown { .. }
        | Fact::NumberDown { .. }
        | Fact::Away { .. }
        | Fact::OutageBegan { .. }
        | Fact::OutageOver { .. }
        | Fact::ClockStepped { .. } => {
            outages::apply(sql, &noted.fact, now)?;
            Some(Live::Status)
        }
        // Where the line was in between is in the rows of its outages; an exercise's entry says that it is one.
        Fact::LineMoved { .. }
        | Fact::LineNotMoved { .. }
        | Fact::Exercise { .. }
        | Fact::AttemptProgress { .. } => None,
        Fact::TurnedAway { source, calls, .. } => {
            counted(sql, PACE_RULE, ("turn_away", source, *calls), now)?
        }
        Fact::Intruded { source, attempts, .. } => {
            counted(sql, PHONES_RULE, ("phone.refuse", source, *attempts), now)?
        }
    };
    Ok(Applied::tell(live))
}

fn arrived(tx: &mut Tx<'_>, arrival: &Arrival, now: Now) -> Result<Applied> {
    let live = calls::arrived(tx.sql, arrival, now)?;
    let input = Some(Input::Stored { call: arrival.call });
    let told = Applied { input, ..Applied::tell(live) };
    match arrival.urgency.filter(|_| !told.live.is_empty()) {
        Some(urgency) => flagged_by_rule(tx, arrival.call.into(), urgency, told, now),
        None => Ok(told),
    }
}

fn answered(sql: &Connection, call: CallId, phone: &str, now: Now) -> Result<Applied> {
    let live = calls::answered(sql, call, phone, now)?;
    stretches::end_all(sql, call, false, now)?;
    recordings::begin(sql, call, now)?;
    let about = placed::reached(sql, call, now)?.map(|entry| Live::Entry { entry });
    // A leader who had the desk rung (key 5) speaks with the officer.
    let attempt = attempts::latest(sql, call)?;
    let talks = following::learnt(sql, &Fact::AttemptTalks { attempt }, now)?;
    let live = live.into_iter().chain(about).chain(talks).collect();
    Ok(Applied { live, ..Applied::default() })
}

fn ended(sql: &Connection, fact: &Fact, now: Now) -> Result<Option<Live>> {
    let Fact::Ended { call, disposition, by, status, why } = fact else { return Ok(None) };
    let live = calls::ended(sql, *call, *disposition, *by, *status, why, now)?;
    stretches::end_all(sql, *call, true, now)?;
    recordings::finalize(sql, *call)?;
    if disposition.needs_callback() {
        callbacks::make(sql, *call, now)?;
    }
    if *disposition == Disposition::SelfTest {
        self_tests::over(sql, *call, now)?;
    }
    Ok(live)
}

fn attempt_ended(sql: &Connection, fact: &Fact, now: Now) -> Result<Applied> {
    let Fact::AttemptEnded { attempt, result, status } = fact else {
        return Ok(Applied::default());
    };
    let live = attempts::hung_up(sql, *attempt, *result, *status, now)?;
    Ok(Applied { escalate: true, ..Applied::tell(live) })
}

fn line_up(sql: &Connection, fact: &Fact, now: Now) -> Result<Applied> {
    outages::apply(sql, fact, now)?;
    Ok(Applied { escalate: true, ..Applied::tell(Some(Live::Status)) })
}

/// What was not served, of a flood or of somebody who tries passwords: counted, not written one by
/// one.
fn counted(
    sql: &Connection,
    rule: &str,
    (action, source, count): (&str, &str, u64),
    now: Now,
) -> Result<Option<Live>> {
    if count > 0 {
        let actor = Actor::system(rule);
        audit::append_once(sql, now, &actor, action, source, &count.to_string())?;
    }
    Ok(Some(Live::Status))
}

/// What a leader has pressed or said, and waits for its commit.
fn pressed(sql: &Connection, fact: &Fact, now: Now) -> Result<Option<AckOutcome>> {
    Ok(Some(match fact {
        Fact::Acknowledged { attempt, entry } => {
            acknowledgements::acknowledge(sql, *attempt, *entry, now)?
        }
        Fact::HandedOn { attempt, entry } => duty::hand_on(sql, *attempt, *entry, now)?,
        Fact::Dictated { attempt, since, .. } => following::dictated(sql, *attempt, *since, now)?,
        _ => return Ok(None),
    }))
}

/// What is heard of a leader before his attempt is over.
fn on_attempt(sql: &Connection, fact: &Fact, now: Now) -> Result<Option<Live>> {
    match fact {
        Fact::AttemptMoved { attempt, into } => attempts::moved(sql, *attempt, *into, now),
        Fact::AttemptRinging { attempt } => attempts::ringing(sql, *attempt, now),
        Fact::AttemptDialled { attempt } => {
            recordings::begin(sql, attempts::host(sql, *attempt)?.into(), now)?;
            attempts::changed(sql, *attempt)
        }
        Fact::AttemptAnswered { attempt } => {
            recordings::begin(sql, attempts::host(sql, *attempt)?.into(), now)?;
            attempts::answered(sql, *attempt, now)
        }
        Fact::AttemptKey { attempt, key } => attempts::key(sql, *attempt, *key, now),
        Fact::AttemptMute { attempt } => following::mute(sql, *attempt, now),
        _ => Ok(None),
    }
}

/// A leader has come to know what it is about, which the escalation has to know of.
fn learnt(sql: &Connection, fact: &Fact, now: Now) -> Result<Applied> {
    let live = following::learnt(sql, fact, now)?;
    Ok(Applied { escalate: true, ..Applied::tell(live) })
}

/// A phone comes into a call or goes out of it.
fn on_phone(sql: &Connection, fact: &Fact, now: Now) -> Result<Option<Live>> {
    match fact {
        Fact::Rung { call, phone } => calls::joining(sql, *call, phone, Joining::Rung, now),
        Fact::Joining { call, phone, how } => calls::joining(sql, *call, phone, *how, now),
        Fact::Joined { call, phone } => calls::joined(sql, *call, phone, now),
        Fact::Left { call, phone } => calls::left(sql, *call, phone, now),
        Fact::NotTaken { call, phone, status } => calls::not_taken(sql, *call, phone, *status, now),
        _ => Ok(None),
    }
}

/// The caller's side said that it is an emergency, and the site lets that raise the flag.
fn flagged_by_rule(
    tx: &mut Tx<'_>,
    entry: EntryId,
    urgency: Urgency,
    mut told: Applied,
    now: Now,
) -> Result<Applied> {
    entries::flag(tx, &Actor::system(PRIORITY_RULE), entry, urgency, now)?;
    told.live.extend([Live::Entry { entry }, Live::Escalation { entry }]);
    Ok(Applied { escalate: true, ..told })
}

/// Into the audit: that a leg was not encrypted as it should be, cannot be decrypted, comes from another place than its
/// party named, or that a stranger tried to meddle with it.
fn amiss(sql: &Connection, fact: &Fact, now: Now) -> Result<Option<Live>> {
    let name = |party: &Party| format!("{party:?}").to_lowercase();
    let (call, rule, action, detail) = match fact {
        Fact::NotSecret { call, why } => (*call, SECRECY_RULE, "call.not_secret", why.clone()),
        Fact::Misplaced { call, place } => (*call, PLACE_RULE, "call.misplaced", place.clone()),
        Fact::Undecryptable { call, party } => {
            (*call, SECRECY_RULE, "call.undecryptable", name(party))
        }
        Fact::Elsewhere { call, party, from, taken } => {
            let action = if *taken { "call.latched" } else { "call.stray_voice" };
            (*call, PLACE_RULE, action, format!("{} {from}", name(party)))
        }
        Fact::Forged { call, from, method } => {
            (*call, TRUST_RULE, "call.forged", format!("{method} {from}"))
        }
        _ => return Ok(None),
    };
    audit::append(sql, now, &Actor::system(rule), action, &call.to_string(), &detail)?;
    Ok(Some(Live::Entry { entry: call.into() }))
}

#[cfg(test)]
mod tests;
