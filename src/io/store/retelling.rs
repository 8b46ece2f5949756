//! A log that was put back from a backup is told again what this run has told the one before.

mod leaders;

use super::error::Result;
use super::recent::OfCall;
use super::text::Id;
use super::{Store, facts};
use crate::duty::ids::CallId;
use crate::duty::journal::{Fact, Noted};
use rusqlite::{Connection, OptionalExtension};

impl Store {
    /// To a log that may be an older one: what this run knows of calls that it lacks, or has in progress. Which they are.
    pub async fn tell_again(&self) -> Result<Vec<CallId>> {
        let calls = self.inner.recent.by_call().into_iter();
        let told: Vec<_> = calls
            .map(|(call, OfCall { facts, .. })| {
                let told = self.write(move |tx| {
                    let lacks = lacks(tx.sql, call, &facts)?;
                    if lacks {
                        facts.iter().try_for_each(|noted| facts::apply(tx, noted).map(drop))?;
                    }
                    Ok(lacks)
                });
                (call, told)
            })
            .collect();
        let mut lacked = vec![];
        for (call, told) in told {
            match told.await {
                Ok(true) => lacked.push(call),
                Ok(false) => {}
                Err(error) if error.is_worth_waiting_for() => return Err(error),
                Err(error) => tracing::error!(%call, %error, "the log refused a call of this run"),
            }
        }
        Ok(lacked)
    }
}

/// Of a call whose beginning is not kept any more its rows cannot be made.
fn lacks(sql: &Connection, call: CallId, noted: &[Noted]) -> Result<bool> {
    let begins = |noted: &Noted| matches!(noted.fact, Fact::Arrived(_) | Fact::Placed(_));
    let state: Option<bool> = sql
        .prepare_cached("SELECT state <> 'ended' FROM call WHERE id = ?1")?
        .query_row([Id(call)], |row| row.get(0))
        .optional()?;
    Ok(state.unwrap_or_else(|| noted.first().is_some_and(begins)))
}
