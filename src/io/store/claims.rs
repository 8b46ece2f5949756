//! Who called, as the message said it: every identity header as it came, and the numbers made of
//! them.

use super::Store;
use super::error::Result;
use super::text::{Id, Named, name};
use crate::duty::ids::CallId;
use crate::duty::journal::Arrival;
use crate::duty::numbers::Numbering;
use crate::protocol::sip::claims::{ClaimHeader, Diverted, DivertedWhy};
use rusqlite::{Connection, OptionalExtension, params};
use serde::{Deserialize, Serialize};

/// A header value of the INVITE.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ClaimRow {
    pub header: ClaimHeader,
    pub raw: Vec<u8>,
    /// The number shown was taken from it.
    pub chosen: bool,
}

/// One diversion, as it is shown.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DivertedRow {
    /// Empty: the header names nobody that can be read.
    pub number: String,
    pub display: String,
    pub header: ClaimHeader,
    pub why: DivertedWhy,
}

impl From<&Diverted> for DivertedRow {
    fn from(diverted: &Diverted) -> Self {
        Self {
            number: diverted.by.user.clone(),
            display: diverted.by.display.clone(),
            header: diverted.header,
            why: diverted.why,
        }
    }
}

pub(super) fn insert(sql: &Connection, arrival: &Arrival) -> Result<()> {
    let mut row = sql.prepare_cached(
        "INSERT INTO claim (call, place, header, user, context, display, raw, chosen)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
    )?;
    for (place, claim) in arrival.claims.0.iter().enumerate() {
        let identity = &claim.identity;
        row.execute(params![
            Id(arrival.call),
            i64::try_from(place).unwrap_or(i64::MAX),
            name(claim.header),
            identity.user,
            identity.context,
            identity.display,
            identity.raw,
            !arrival.caller.is_empty() && place == arrival.chosen.place,
        ])?;
    }
    Ok(())
}

pub(super) fn of_call(sql: &Connection, call: CallId) -> Result<Vec<ClaimRow>> {
    let mut rows =
        sql.prepare_cached("SELECT header, raw, chosen FROM claim WHERE call = ?1 ORDER BY place")?;
    let rows = rows.query_map([Id(call)], |row| {
        Ok(ClaimRow {
            header: row.get::<_, Named<ClaimHeader>>(0)?.0,
            raw: row.get(1)?,
            chosen: row.get(2)?,
        })
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// How many calls are compared by another number now.
fn renumber(sql: &Connection, numbering: &Numbering) -> Result<usize> {
    let rules = format!("{numbering:?}");
    let known: Option<String> = sql
        .query_row("SELECT rules FROM numbering WHERE one = 1", [], |row| row.get(0))
        .optional()?;
    if known.as_ref() == Some(&rules) {
        return Ok(0);
    }
    let mut calls = sql.prepare(
        "SELECT c.id, c.caller_plain, coalesce(k.user, c.caller), coalesce(k.context, '')
         FROM call c LEFT JOIN claim k ON k.call = c.id AND k.chosen = 1
         WHERE c.direction = 'in' AND c.caller <> ''",
    )?;
    let mut change = sql.prepare("UPDATE call SET caller_plain = ?2 WHERE id = ?1")?;
    let mut changed = 0;
    let mut rows = calls.query([])?;
    let mut wrong = vec![];
    while let Some(row) = rows.next()? {
        let (id, plain): (String, String) = (row.get(0)?, row.get(1)?);
        let (user, context): (String, String) = (row.get(2)?, row.get(3)?);
        let number = numbering.of(&user, &context).plain;
        if number != plain {
            wrong.push((id, number));
        }
    }
    for (id, number) in wrong {
        changed += change.execute(params![id, number])?;
    }
    sql.execute(
        "INSERT INTO numbering (one, rules) VALUES (1, ?1)
         ON CONFLICT (one) DO UPDATE SET rules = excluded.rules",
        [rules],
    )?;
    Ok(changed)
}

impl Store {
    /// The site's rules are now these: calls of the past are counted and found by them too.
    pub async fn set_numbering(&self, numbering: Numbering) -> Result<usize> {
        self.write(move |tx| renumber(tx.sql, &numbering)).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config;
    use crate::duty::journal::Fact;
    use crate::io::store::tests::{arrival, call, note, one, store};
    use crate::io::store::wait;

    #[test]
    fn old_calls_are_counted_by_new_rules() {
        let store = store();
        note(&store, 0.0, arrival(1, "63001234"));
        note(&store, 1.0, arrival(2, "8001"));
        let plain = "SELECT group_concat(caller_plain) FROM (SELECT * FROM call ORDER BY rowid)";
        assert_eq!(one::<String>(&store, plain), "63001234,8001");
        let rules = Numbering { area_code: "010".to_owned(), ..Numbering::default() };
        assert_eq!(wait(store.set_numbering(rules.clone())).unwrap(), 1);
        assert_eq!(one::<String>(&store, plain), "01063001234,8001");
        assert_eq!(wait(store.set_numbering(rules)).unwrap(), 0, "once");
        let seen = "SELECT caller FROM call WHERE caller_plain = '01063001234'";
        assert_eq!(one::<String>(&store, seen), "63001234", "what was seen then stays");
    }

    #[test]
    fn a_contact_comes_before_the_unit_of_a_prefix_and_that_before_the_town() {
        let store = store();
        let contact = config::Contact {
            name: "王主任".to_owned(),
            unit: "调度中心".to_owned(),
            duty: String::new(),
            numbers: vec!["6300-5678".to_owned()],
        };
        wait(store.set_contacts(vec![contact], Numbering::default())).unwrap();
        for (n, number, unit, town) in [
            (1, "63005678", "燃气", ""),
            (2, "63005000", "燃气", ""),
            (3, "075582345678", "", "深圳"),
        ] {
            let known = Arrival::from_number(call(n), number, "");
            let arrival = Arrival { unit: unit.to_owned(), town: town.to_owned(), ..known };
            note(&store, f64::from(n), Fact::Arrived(Box::new(arrival)));
        }
        let shown = "SELECT group_concat(contact_unit || '/' || contact_name || '/' || town || '/'
            || caller_unit) FROM (SELECT * FROM call c JOIN entry e ON e.id = c.entry ORDER BY
            c.arrived_ms)";
        assert_eq!(one::<String>(&store, shown), "调度中心/王主任//调度中心,燃气///燃气,//深圳/");
    }

    #[test]
    fn what_a_message_said_is_never_changed() {
        let store = store();
        note(&store, 0.0, arrival(1, "110"));
        for change in ["UPDATE claim SET raw = x'00'", "DELETE FROM claim"] {
            let changed = wait(store.write(move |tx| Ok(tx.sql.execute(change, [])?)));
            assert!(changed.is_err(), "{change}");
        }
        assert_eq!(one::<i64>(&store, "SELECT count(*) FROM claim WHERE chosen"), 1);
    }
}
