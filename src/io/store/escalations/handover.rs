//! 交接 inside an open matter (esc_68): who led when it was last looked at, and who does now.

use crate::duty::ids::{EntryId, EscalationId};
use crate::duty::journal::Urgency;
use crate::io::store::audit::{self, Actor};
use crate::io::store::error::Result;
use crate::io::store::notices;
use crate::io::store::text::{Id, Named};
use crate::io::store::writer::Tx;
use crate::protocol::now::Now;
use rusqlite::{OptionalExtension, params};

/// The rule by which both are told.
const RULE: &str = "handover";

pub(super) const LED_BY_ANOTHER: &str = "
  SELECT entry, urgency, led_by FROM escalation e
  WHERE id = ?2 AND state = 'open' AND led_by IS NOT ?1
    AND NOT EXISTS (SELECT 1 FROM exercise x WHERE x.entry = e.entry)";

/// Where another leads than before, both are owed a notice of an open matter; its entry, where that is so.
pub(super) fn keep_up(
    tx: &mut Tx<'_>,
    escalation: EscalationId,
    leader: &str,
    now: Now,
) -> Result<Option<EntryId>> {
    let mut rows = tx.sql.prepare_cached(LED_BY_ANOTHER)?;
    let led = rows.query_row(params![leader, Id(escalation)], |row| {
        let urgency = row.get::<_, Named<Urgency>>(1)?.0;
        Ok((row.get::<_, Id<EntryId>>(0)?.0, urgency, row.get::<_, Option<String>>(2)?))
    });
    let Some((entry, urgency, before)) = led.optional()? else { return Ok(None) };
    tx.sql
        .prepare_cached("UPDATE escalation SET led_by = ?2 WHERE id = ?1")?
        .execute(params![Id(escalation), leader])?;
    // Nobody knew when it was raised.
    let Some(before) = before else { return Ok(None) };
    notices::handed_over(tx, escalation, urgency, (&before, leader), now)?;
    let (id, detail) = (escalation.to_string(), format!("{before} → {leader}"));
    audit::append(tx.sql, now, &Actor::system(RULE), "escalation.hand_over", &id, &detail)?;
    Ok(Some(entry))
}

#[cfg(test)]
mod tests;
