//! What the last run of the daemon left unfinished: said to be interrupted, and decided anew.

use super::Store;
use super::audit::{self, Actor};
use super::error::Result;
use super::found::SOUGHT;
use super::text::Id;
use super::{attempts, calls, stretches};
use crate::duty::ids::{AttemptId, CallId};
use crate::duty::journal::{AttemptResult, Disposition};
use crate::protocol::now::Now;
use rusqlite::{Connection, OptionalExtension, params};
use std::collections::BTreeSet;

const WHY: &str = "the daemon stopped in the middle of the call";

impl Store {
    /// Ends the calls and attempts of an earlier run as interrupted, but for those that go on; an
    /// attempt that was cut is decided again at once. Call it once, before the switchboard starts. Their names; what is
    /// recorded of them is in [`Store::recordings_unsealed`].
    pub async fn interrupted_calls(
        &self,
        go_on: BTreeSet<CallId>,
        now: Now,
    ) -> Result<Vec<CallId>> {
        self.write(move |tx| {
            let calls = interrupt(tx.sql, &go_on, now)?;
            if !calls.is_empty() {
                let actor = Actor::system("I-6");
                let count = calls.len().to_string();
                audit::append(tx.sql, now, &actor, "calls.interrupt", "calls", &count)?;
            }
            Ok(calls)
        })
        .await
    }

    /// As [`Store::interrupted_calls`], in a log that was put back while the daemon runs: what was recorded of them is
    /// looked for on the disk.
    pub async fn interrupted_in_a_backup(
        &self,
        go_on: BTreeSet<CallId>,
        now: Now,
    ) -> Result<Vec<CallId>> {
        let calls = self.interrupted_calls(go_on, now).await?;
        let ended = calls.clone();
        self.write(move |tx| {
            let mut unbound = tx.sql.prepare_cached(
                "UPDATE recording SET state = 'finalizing', reason = ?2
                 WHERE call = ?1 AND digest IS NULL",
            )?;
            ended
                .iter()
                .try_for_each(|call| unbound.execute(params![Id(*call), SOUGHT]).map(drop))?;
            Ok(())
        })
        .await?;
        Ok(calls)
    }

    /// Monotonic times of another boot of the host mean nothing in this one.
    pub(super) fn note_boot(&self, boot: &str) -> Result<()> {
        let boot = boot.to_owned();
        self.write_now(move |tx| forget_other_boots(tx.sql, &boot))
    }
}

fn interrupt(sql: &Connection, go_on: &BTreeSet<CallId>, now: Now) -> Result<Vec<CallId>> {
    // The order to stop one may have been lost with the last run: it is given again.
    sql.execute("UPDATE attempt SET stopped_ms = NULL WHERE ended_ms IS NULL", [])?;
    let mut rows = sql.prepare("SELECT id FROM attempt WHERE ended_ms IS NULL")?;
    let attempts = rows.query_map([], |row| Ok(row.get::<_, Id<AttemptId>>(0)?.0))?;
    for attempt in attempts.collect::<Result<Vec<_>, _>>()? {
        if !go_on.contains(&CallId::from(attempt)) {
            attempts::ended(sql, attempt, AttemptResult::Interrupted, 0, now)?;
        }
    }
    let mut rows = sql.prepare("SELECT id FROM call WHERE state <> 'ended' ORDER BY arrived_ms")?;
    let calls = rows.query_map([], |row| row.get::<_, Id<CallId>>(0))?;
    let mut calls = calls.collect::<Result<Vec<_>, _>>()?;
    calls.retain(|call| !go_on.contains(&call.0));
    for call in &calls {
        calls::ended(sql, call.0, Disposition::Interrupted, None, 0, WHY, now)?;
        stretches::end_all(sql, call.0, true, now)?;
    }
    Ok(calls.into_iter().map(|call| call.0).collect())
}

fn forget_other_boots(sql: &Connection, boot: &str) -> Result<()> {
    let last: Option<String> =
        sql.query_row("SELECT id FROM boot", [], |row| row.get(0)).optional()?;
    if !boot.is_empty() && last.as_deref() == Some(boot) {
        return Ok(());
    }
    sql.execute(
        "INSERT INTO boot (one, id) VALUES (1, ?1) ON CONFLICT (one) DO UPDATE SET id = ?1",
        [boot],
    )?;
    sql.execute(
        "UPDATE escalation SET raised_mono = NULL, round_mono = NULL, acked_mono = NULL",
        [],
    )?;
    sql.execute("UPDATE handing SET at_mono = NULL", [])?;
    sql.execute("UPDATE instruction SET at_mono = NULL", [])?;
    sql.execute(
        "UPDATE attempt SET started_mono = NULL, ended_mono = NULL, moved_mono = NULL",
        [],
    )?;
    sql.execute("UPDATE delivery SET made_mono = NULL", [])?;
    sql.execute("UPDATE delivery_try SET started_mono = NULL, ended_mono = NULL", [])?;
    Ok(())
}
