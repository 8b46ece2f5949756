//! 交接 inside an open matter (esc_68): who led when it was last looked at, and who does now.

use crate::duty::ids::{EntryId, EscalationId};
use crate::duty::journal::Urgency;
use crate::duty::roster::{Role, Roster};
use crate::io::store::audit::{self, Actor};
use crate::io::store::error::Result;
use crate::io::store::notices;
use crate::io::store::text::{Id, Named};
use crate::io::store::writer::Tx;
use crate::protocol::now::Now;
use rusqlite::params;

/// The rule by which both are told.
const RULE: &str = "handover";

/// Costs as much as there is unfinished, however much is finished.
pub(super) const LED_BY_ANOTHER: &str = "
  SELECT id, entry, urgency, led_by FROM escalation e INDEXED BY escalation_unfinished
  WHERE state = 'open' AND led_by IS NOT ?1
    AND NOT EXISTS (SELECT 1 FROM exercise x WHERE x.entry = e.entry)";

struct Led {
    escalation: EscalationId,
    entry: EntryId,
    urgency: Urgency,
    /// `None`: nobody knew when it was raised.
    by: Option<String>,
}

/// Where another leads than before, both are owed a notice of each open matter; which these are.
pub(super) fn keep_up(tx: &mut Tx<'_>, roster: &Roster, now: Now) -> Result<Vec<EntryId>> {
    let mut told = vec![];
    let Some(leader) = roster.holder(Role::Leader).map(|person| &person.name) else {
        return Ok(told);
    };
    let mut rows = tx.sql.prepare_cached(LED_BY_ANOTHER)?;
    let rows = rows.query_map([leader], |row| {
        Ok(Led {
            escalation: row.get::<_, Id<EscalationId>>(0)?.0,
            entry: row.get::<_, Id<EntryId>>(1)?.0,
            urgency: row.get::<_, Named<Urgency>>(2)?.0,
            by: row.get(3)?,
        })
    })?;
    for Led { escalation, entry, urgency, by } in rows.collect::<Result<Vec<_>, _>>()? {
        tx.sql
            .prepare_cached("UPDATE escalation SET led_by = ?2 WHERE id = ?1")?
            .execute(params![Id(escalation), leader])?;
        let Some(before) = by else { continue };
        notices::handed_over(tx, escalation, urgency, (&before, leader), now)?;
        let (id, detail) = (escalation.to_string(), format!("{before} → {leader}"));
        audit::append(tx.sql, now, &Actor::system(RULE), "escalation.hand_over", &id, &detail)?;
        told.push(entry);
    }
    Ok(told)
}

#[cfg(test)]
mod tests;
