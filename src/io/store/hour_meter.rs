//! 运行计时: for how long the log has been seen running, by the boot clock. A wall clock that is set does not move it, and
//! time that nobody saw is not in it: what it counts has passed.

use super::Store;
use super::error::Result;
use super::text::{mono, ms};
use crate::protocol::now::Now;
use rusqlite::{Connection, OptionalExtension, params};

/// Noted as often: a host that dies takes as much of the count with it.
const HOUR_MS: i64 = 3_600_000;

/// What was noted last, and how much has passed since, in milliseconds; none where another boot lies between.
fn last(sql: &Connection, now: Now) -> Result<Option<(i64, Option<i64>)>> {
    let noted = sql
        .prepare_cached(
            "SELECT m.count_ms, m.mono, m.boot = coalesce((SELECT id FROM boot), 'none')
             FROM hour_meter m ORDER BY m.id DESC LIMIT 1",
        )?
        .query_row([], |row| Ok((row.get(0)?, row.get::<_, i64>(1)?, row.get::<_, bool>(2)?)))
        .optional()?;
    Ok(noted.map(|(count, at, same)| {
        (count, same.then(|| mono(now).saturating_sub(at).max(0) / 1_000_000))
    }))
}

/// Milliseconds.
pub(super) fn read(sql: &Connection, now: Now) -> Result<i64> {
    Ok(last(sql, now)?.map_or(0, |(count, since)| count + since.unwrap_or(0)))
}

/// As [`read`], and noted where this boot or this hour has no row yet.
pub(super) fn note(sql: &Connection, now: Now) -> Result<i64> {
    let (count, since) = last(sql, now)?.unwrap_or((0, None));
    let count = count + since.unwrap_or(0);
    if since.is_none_or(|since| since >= HOUR_MS) {
        sql.prepare_cached(
            "INSERT INTO hour_meter (boot, mono, at_ms, count_ms)
             VALUES (coalesce((SELECT id FROM boot), 'none'), ?1, ?2, ?3)",
        )?
        .execute(params![mono(now), ms(now.wall), count])?;
    }
    Ok(count)
}

impl Store {
    /// The daemon is seen running.
    pub async fn is_seen_running(&self, now: Now) -> Result<()> {
        self.write(move |tx| note(tx.sql, now).map(drop)).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::io::store::tests::{at, store};
    use chrono::TimeDelta;

    fn counted(store: &Store, now: Now) -> i64 {
        store.write_now(move |tx| note(tx.sql, now)).unwrap()
    }

    fn boots(store: &Store, name: &'static str) {
        store.note_boot(name).unwrap();
    }

    #[test]
    fn rec_d14_the_hour_meter_counts_what_passes_and_no_clock_that_is_set_nor_a_host_that_is_off() {
        let store = store();
        boots(&store, "first");
        assert_eq!(counted(&store, at(10.0)), 0, "it begins");
        assert_eq!(counted(&store, at(25.0)), 15_000);
        let set = at(30.0);
        let set = Now { wall: set.wall + TimeDelta::days(9_000), ..set };
        assert_eq!(counted(&store, set), 20_000, "the wall clock is nothing to it");
        assert_eq!(counted(&store, at(7_210.0)), 7_200_000);
        boots(&store, "second");
        assert_eq!(counted(&store, at(90_000.0)), 7_200_000, "who knows how long it was off");
        assert_eq!(counted(&store, at(90_001.0)), 7_201_000);
        let by_hand =
            store.write_now(|tx| Ok(tx.sql.execute("UPDATE hour_meter SET mono = 0", [])?));
        assert!(by_hand.is_err());
    }
}
