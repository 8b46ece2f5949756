//! The SIP ladder of each call: its messages in the order in which they came and went.

use super::Store;
use super::error::Result;
use super::text::{Id, Ms, mono, ms};
use crate::duty::ids::{CallId, EntryId};
use crate::duty::ladder::{Traced, Way, What};
use chrono::{DateTime, Utc};
use rusqlite::{Connection, OptionalExtension, Row, params};
use std::collections::BTreeSet;

/// One step of a ladder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rung {
    pub at: DateTime<Utc>,
    /// Nanoseconds on the boot clock.
    pub mono: i64,
    pub what: RungWhat,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RungWhat {
    Message {
        way: Way,
        /// `UDP 192.0.2.1:5060`
        peer: String,
        /// Empty for the caller's, else the number that was dialled.
        leg: String,
        bytes: Vec<u8>,
        /// The same bytes went the same way before.
        again: bool,
    },
    /// More messages followed than are kept.
    Cut,
    /// So many messages could not be kept.
    Lost(i64),
}

/// A call that has a ladder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LadderOf {
    pub call: CallId,
    /// 电-…
    pub number: String,
    pub entry: EntryId,
    /// 记-…
    pub entry_number: String,
    /// `in`, `out` or `to_leader`.
    pub direction: String,
    pub caller: String,
    pub callee: String,
    pub arrived: DateTime<Utc>,
}

fn insert(sql: &Connection, traced: &Traced) -> Result<()> {
    let (kind, transport, peer, leg, bytes, lost) = match &traced.what {
        What::Message { way, peer, leg, bytes } => {
            let kind = match way {
                Way::In => "in",
                Way::Out => "out",
            };
            (kind, peer.transport.name(), peer.addr.to_string(), leg.as_str(), Some(bytes), 0)
        }
        What::Cut => ("cut", "", String::new(), "", None, 0),
        What::Lost { count } => ("lost", "", String::new(), "", None, *count),
    };
    let again: Option<i64> = match bytes {
        Some(bytes) => sql
            .prepare_cached(
                "SELECT id FROM sip_message WHERE call = ?1 AND kind = ?2 AND bytes = ?3 LIMIT 1",
            )?
            .query_row(params![Id(traced.call), kind, bytes], |row| row.get(0))
            .optional()?,
        None => None,
    };
    sql.prepare_cached(
        "INSERT INTO sip_message (call, at_ms, at_mono, kind, transport, peer, leg, bytes, again,
           lost) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
    )?
    .execute(params![
        Id(traced.call),
        ms(traced.at.wall),
        mono(traced.at),
        kind,
        transport,
        peer,
        leg,
        bytes.filter(|_| again.is_none()),
        again,
        lost,
    ])?;
    Ok(())
}

fn of_call(sql: &Connection, call: CallId) -> Result<Vec<Rung>> {
    let mut rows = sql.prepare_cached(
        "SELECT m.at_ms, m.at_mono, m.kind, m.transport, m.peer, m.leg,
           coalesce(m.bytes, o.bytes, x''), m.again IS NOT NULL, m.lost
         FROM sip_message m LEFT JOIN sip_message o ON o.id = m.again
         WHERE m.call = ?1 ORDER BY m.at_mono, m.id",
    )?;
    let rows = rows.query_map([Id(call)], rung)?;
    Ok(rows.collect::<Result<_, _>>()?)
}

fn rung(row: &Row<'_>) -> rusqlite::Result<Rung> {
    let kind: String = row.get(2)?;
    let message = |way, row: &Row<'_>| -> rusqlite::Result<RungWhat> {
        let (transport, peer): (String, String) = (row.get(3)?, row.get(4)?);
        let (leg, bytes, again) = (row.get(5)?, row.get(6)?, row.get(7)?);
        Ok(RungWhat::Message { way, peer: format!("{transport} {peer}"), leg, bytes, again })
    };
    let what = match kind.as_str() {
        "in" => message(Way::In, row)?,
        "out" => message(Way::Out, row)?,
        "lost" => RungWhat::Lost(row.get(8)?),
        _ => RungWhat::Cut,
    };
    Ok(Rung { at: row.get::<_, Ms>(0)?.0, mono: row.get(1)?, what })
}

/// The calls that are named so, the calls to leaders of an entry included, oldest first.
fn named(sql: &Connection, name: &str) -> Result<Vec<LadderOf>> {
    let mut rows = sql.prepare_cached(
        "SELECT c.id, c.number, e.id, e.number, c.direction, c.caller, c.callee, c.arrived_ms
         FROM call c JOIN entry e ON e.id = c.entry
         WHERE e.id = ?1 OR e.number = ?1 OR c.id = ?1 OR c.number = ?1 OR c.sip_call_id = ?1
         ORDER BY c.arrived_ms, c.id",
    )?;
    let rows = rows.query_map([name], |row| {
        Ok(LadderOf {
            call: row.get::<_, Id<CallId>>(0)?.0,
            number: row.get(1)?,
            entry: row.get::<_, Id<EntryId>>(2)?.0,
            entry_number: row.get(3)?,
            direction: row.get(4)?,
            caller: row.get(5)?,
            callee: row.get(6)?,
            arrived: row.get::<_, Ms>(7)?.0,
        })
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}

impl Store {
    /// Writes steps of ladders; the entries whose ladder has grown.
    pub async fn trace(&self, traced: Vec<Traced>) -> Result<Vec<EntryId>> {
        self.write(move |tx| {
            let mut calls = BTreeSet::new();
            for traced in &traced {
                insert(tx.sql, traced)?;
                calls.insert(traced.call);
            }
            let mut entry = tx.sql.prepare_cached("SELECT entry FROM call WHERE id = ?1")?;
            let mut grown = vec![];
            for call in calls {
                let found = entry.query_row([Id(call)], |row| row.get::<_, Id<EntryId>>(0));
                grown.extend(found.optional()?.map(|entry| entry.0));
            }
            Ok(grown)
        })
        .await
    }

    pub async fn ladder(&self, call: CallId) -> Result<Vec<Rung>> {
        self.read(move |sql| of_call(sql, call)).await
    }

    /// By entry id or number, call id or number, or the Call-ID of the caller's leg.
    pub async fn calls_named(&self, name: &str) -> Result<Vec<LadderOf>> {
        let name = name.to_owned();
        self.read(move |sql| named(sql, &name)).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::io::store::tests::{arrival, at, call, entry, note, one, store};
    use crate::io::store::wait;
    use crate::protocol::sip::{Peer, Transport};

    fn message(seconds: f64, way: Way, leg: &str, text: &str) -> Traced {
        let peer = Peer { transport: Transport::Udp, addr: "192.0.2.1:5060".parse().unwrap() };
        let (leg, bytes) = (leg.to_owned(), text.as_bytes().to_vec());
        Traced { call: call(1), at: at(seconds), what: What::Message { way, peer, leg, bytes } }
    }

    #[test]
    fn rec_s11_a_ladder_is_kept_in_order_and_a_repetition_costs_no_bytes() {
        let store = store();
        let steps = vec![
            message(0.0, Way::In, "", "INVITE"),
            message(0.5, Way::In, "", "INVITE"),
            message(0.6, Way::Out, "2001", "INVITE"),
            Traced { call: call(1), at: at(0.7), what: What::Lost { count: 3 } },
            Traced { call: call(1), at: at(0.8), what: What::Cut },
        ];
        assert_eq!(wait(store.trace(steps)).unwrap(), [], "its row may come later");
        let id = entry(&store, 1, 0.0);
        let again = vec![message(0.65, Way::In, "2001", "SIP/2.0 100")];
        assert_eq!(wait(store.trace(again)).unwrap(), [id]);
        let ladder = wait(store.ladder(call(1))).unwrap();
        let shown: Vec<String> = ladder
            .iter()
            .map(|rung| match &rung.what {
                RungWhat::Message { way, leg, bytes, again, .. } => {
                    format!("{way:?} {leg} {} {again}", String::from_utf8_lossy(bytes))
                }
                other => format!("{other:?}"),
            })
            .collect();
        assert_eq!(
            shown,
            [
                "In  INVITE false",
                "In  INVITE true",
                "Out 2001 INVITE false",
                "In 2001 SIP/2.0 100 false",
                "Lost(3)",
                "Cut"
            ]
        );
        let stored = "SELECT count(*) FROM sip_message WHERE bytes IS NOT NULL";
        assert_eq!(one::<i64>(&store, stored), 3);
    }

    #[test]
    fn rec_s11_a_call_is_found_by_any_of_its_names() {
        let store = store();
        note(&store, 0.0, arrival(1, "110"));
        note(&store, 1.0, arrival(2, "119"));
        let id = call(1).to_string();
        for name in [id.as_str(), "call-1", "电-20261003-0001", "记-20261003-0001"] {
            let found = wait(store.calls_named(name)).unwrap();
            assert_eq!(found.len(), 1, "{name}");
            assert_eq!((found[0].call, found[0].direction.as_str()), (call(1), "in"), "{name}");
        }
        assert_eq!(wait(store.calls_named("nobody")).unwrap(), []);
    }

    #[test]
    fn what_was_said_is_never_changed() {
        let store = store();
        wait(store.trace(vec![message(0.0, Way::In, "", "INVITE")])).unwrap();
        for change in ["UPDATE sip_message SET leg = 'x'", "DELETE FROM sip_message"] {
            assert!(wait(store.write(move |tx| Ok(tx.sql.execute(change, [])?))).is_err());
        }
    }
}
