//! What the heartbeat asks of the log: for which open escalations something is due, and what is noted of the witness.

use super::audit::{self, Actor};
use super::error::Result;
use super::escalations::{load, neglected, under_way};
use super::{Store, duty, policies};
use crate::duty::escalation::{Decision, Escalation, Policy, UnderWay, decide, expired};
use crate::duty::ids::EscalationId;
use crate::duty::roster::Roster;
use crate::protocol::now::Now;
use rusqlite::Connection;

/// Escalations that one audit looks at, those whose calls lie back furthest.
const LOOKED_AT: u32 = 500;

fn is_due(
    sql: &Connection,
    (id, under_way): (EscalationId, &UnderWay),
    policy: &Policy,
    roster: &Roster,
    now: Now,
) -> Result<bool> {
    let own = policies::own(sql, id)?;
    let policy = own.as_ref().unwrap_or(policy);
    let escalation = Escalation { occupied: under_way.elsewhere(), ..load(sql, id)? };
    let due = match decide(&escalation, policy, roster, now) {
        Decision::Notify(_)
        | Decision::Siren
        | Decision::Repeat { .. }
        | Decision::Missed
        | Decision::RaiseAgain(_) => true,
        Decision::Wait { .. } | Decision::Done => false,
    };
    Ok(due || !expired(&escalation, policy, now).is_empty())
}

impl Store {
    /// Open escalations for which something is due at this moment: what the escalator does at once, unless it is dead.
    pub async fn overdue(
        &self,
        now: Now,
        policy: &Policy,
        roster: &Roster,
    ) -> Result<Vec<EscalationId>> {
        let (policy, roster) = (policy.clone(), roster.clone());
        self.read(move |sql| {
            let roster = duty::in_force(sql, &roster, now)?;
            let under_way = under_way(sql)?;
            let mut due = vec![];
            for id in neglected(sql, LOOKED_AT)? {
                if is_due(sql, (id, &under_way), &policy, &roster, now)? {
                    due.push(id);
                }
            }
            Ok(due)
        })
        .await
    }

    /// The audit failed or succeeds again; the witness is gone or back.
    pub async fn note_heartbeat(&self, action: &'static str, detail: &str, now: Now) -> Result<()> {
        let detail = detail.to_owned();
        self.write(move |tx| {
            audit::append(tx.sql, now, &Actor::system("heartbeat"), action, "witness", &detail)
        })
        .await
    }
}
