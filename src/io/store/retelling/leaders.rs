//! Calls to leaders, in a log that was put back from a backup: each is told as what it was, in the matter that it was about.

use crate::duty::escalation::Matter;
use crate::duty::ids::{EntryId, EscalationId};
use crate::duty::journal::Noted;
use crate::io::store::attempts::{self, Ordered, Raised};
use crate::io::store::audit::{self, Actor};
use crate::io::store::error::Result;
use crate::io::store::recent::OfCall;
use crate::io::store::text::{Id, ms, name};
use crate::io::store::writer::Tx;
use crate::io::store::{Store, duty, facts, lacking};
use crate::protocol::now::Now;
use chrono::{DateTime, Utc};
use rusqlite::{OptionalExtension, params};
use std::collections::BTreeMap;

/// The rule by which it is told again (I-14).
const RULE: &str = "retelling";
const SETTLED: &str = "值班记录从备份恢复：此事项在恢复之前已了结，如何了结不在备份中，请核实补登";

/// An order and what was heard of it.
type Call = (Ordered, Vec<Noted>);

impl Store {
    /// Of the calls to leaders that this run made and that the log lacks, **before what is `open` is raised**: a matter that it
    /// lacks as well is as it was, and over where these were all after it was raised and it is not among them. The entries
    /// that they were about.
    pub async fn tell_of_leaders_again(
        &self,
        (open, all_at): (&[Matter], Option<DateTime<Utc>>),
        now: Now,
    ) -> Vec<EntryId> {
        let mut matters: BTreeMap<EscalationId, Vec<Call>> = BTreeMap::new();
        for OfCall { ordered, facts } in self.inner.recent.by_call().into_values() {
            if let Some(ordered) = ordered {
                matters.entry(ordered.matter.id).or_default().push((ordered, facts));
            }
        }
        let mut told = vec![];
        for (matter, calls) in matters {
            let Some(entry) = calls.last().map(|(ordered, _)| ordered.made.entry) else { continue };
            let is_it = |one: &&Matter| one.entry == entry;
            let open: Vec<Matter> = open.iter().filter(is_it).cloned().collect();
            match self.write(move |tx| tell(tx, calls, (&open, all_at), now)).await {
                Ok(true) => told.push(entry),
                Ok(false) => {}
                Err(error) => tracing::error!(%matter, %error, "the log refused calls to leaders"),
            }
        }
        told
    }
}

/// Those of one matter, the first first; false where the log has them.
fn tell(
    tx: &mut Tx<'_>,
    calls: Vec<Call>,
    (open, all_at): (&[Matter], Option<DateTime<Utc>>),
    now: Now,
) -> Result<bool> {
    let mut lacked = vec![];
    for call in calls {
        if !attempts::is_known(tx.sql, call.0.made.attempt)? {
            lacked.push(call);
        }
    }
    let Some((last, _)) = lacked.last() else { return Ok(false) };
    let (entry, raised) = (last.made.entry, last.matter.clone());
    let (matter, is_new) = matter(tx, entry, &raised, now)?;
    for (ordered, _) in &lacked {
        attempts::enter(tx.sql, &ordered.made, matter, ordered.at)?;
    }
    let mut heard: Vec<Noted> = lacked.into_iter().flat_map(|(_, facts)| facts).collect();
    heard.sort_by_key(|noted| (noted.at.mono, noted.at.wall));
    heard.iter().try_for_each(|noted| facts::apply(tx, noted).map(drop))?;
    let is_it = |one: &&Matter| one.raised.is_none_or(|at| ms(at) == raised.ms);
    match open.iter().find(is_it) {
        Some(Matter { known_to: Some(person), .. }) if is_new => {
            lacking::is_known_to(tx.sql, matter, person, now)?;
        }
        None if is_new && all_at.is_some_and(|at| ms(at) > raised.ms) => settle(tx, matter, now)?,
        Some(_) | None => {}
    }
    let (actor, of) = (Actor::system(RULE), entry.to_string());
    audit::append(tx.sql, now, &actor, "escalation.retell", &of, &matter.to_string())?;
    Ok(true)
}

/// The one that the calls were about, or the open one of its entry; whether it was made anew.
fn matter(
    tx: &mut Tx<'_>,
    entry: EntryId,
    raised: &Raised,
    now: Now,
) -> Result<(EscalationId, bool)> {
    let there = "SELECT id FROM escalation WHERE id = ?1 OR entry = ?2 AND state = 'open'
        ORDER BY id = ?1 DESC LIMIT 1";
    let there = tx
        .sql
        .prepare_cached(there)?
        .query_row(params![Id(raised.id), Id(entry)], |row| row.get::<_, Id<EscalationId>>(0))
        .optional()?;
    if let Some(Id(there)) = there {
        return Ok((there, false));
    }
    if !tx.sql.prepare_cached("SELECT 1 FROM entry WHERE id = ?1")?.exists([Id(entry)])? {
        let at = DateTime::from_timestamp_millis(raised.ms).unwrap_or(now.wall);
        lacking::enter(tx.sql, entry, (at, now), (RULE, lacking::SUBJECT))?;
    }
    tx.sql
        .prepare_cached(
            "INSERT INTO escalation (id, entry, urgency, state, raised_by, raised_ms, raised_mono,
               round, round_ms, round_mono, siren_ms, again_of, led_by)
             VALUES (?1, ?2, ?3, 'open', ?4, ?5, ?6, ?7, ?8, ?9, ?10,
               (SELECT id FROM escalation WHERE id = ?11), ?12)",
        )?
        .execute(params![
            Id(raised.id),
            Id(entry),
            name(raised.urgency),
            raised.by,
            raised.ms,
            raised.mono,
            raised.round,
            raised.round_ms,
            raised.round_mono,
            raised.siren_ms,
            raised.again_of.map(Id),
            duty::leading(tx.sql, now)?,
        ])?;
    Ok((raised.id, true))
}

/// What ended it was not heard on the telephone.
fn settle(tx: &mut Tx<'_>, id: EscalationId, now: Now) -> Result<()> {
    let (over, by) = (ms(now.wall), Actor::system(RULE).name);
    tx.sql
        .prepare_cached(
            "UPDATE escalation SET state = 'withdrawn', withdrawn_ms = ?2, withdrawn_by = ?3,
               reason = ?4 WHERE id = ?1 AND state = 'open'",
        )?
        .execute(params![Id(id), over, by, SETTLED])?;
    // The duty leader has come to know by another way; one that he knows of may still be to be read.
    tx.sql
        .prepare_cached(
            "UPDATE escalation SET closed_ms = ?2, closed_why = '' WHERE id = ?1
               AND state = 'acknowledged' AND leader_reached_ms IS NULL",
        )?
        .execute(params![Id(id), over])?;
    Ok(())
}
