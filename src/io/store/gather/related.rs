//! Which rows belong together.

use crate::duty::ids::EntryId;
use crate::duty::proof::proven::Cell;
use crate::io::store::chain;
use crate::io::store::error::{Result, StoreError};
use crate::io::store::outages::BETWEEN;
use crate::io::store::text::{Id, Ms, json, ms};
use chrono::{DateTime, Utc};
use rusqlite::{Connection, params};
use std::collections::{BTreeMap, BTreeSet};

/// Columns by which rows belong to each other.
const LINKS: &[&str] = &["id", "entry", "call", "escalation", "attempt", "object"];
/// Whom it was sent to and how he may answer: an open matter could be acknowledged by it, and nothing else needs it.
const KEPT_BACK: &[&str] = &["reply_code", "texted"];

/// Kind and key.
pub type Key = (String, String);
/// Names and values of its columns.
pub type Row = (Vec<String>, Vec<Cell>);
pub type Rows = BTreeMap<Key, Row>;

/// Rows that name one of the entries, or a row that does, and so on.
pub fn related(sql: &Connection, entries: &[EntryId]) -> Result<Rows> {
    let (mut found, mut known) = (Rows::new(), BTreeSet::new());
    let mut fresh: BTreeSet<String> = entries.iter().map(ToString::to_string).collect();
    let tables = chain::structure(sql)?;
    while !fresh.is_empty() {
        let ids = json(&fresh)?;
        known.append(&mut fresh);
        for table in tables.iter().filter(|table| !KEPT_BACK.contains(&table.0.as_str())) {
            for link in LINKS.iter().filter(|link| table.1.iter().any(|column| column == *link)) {
                let by = format!("\"{link}\" IN (SELECT value FROM json_each(?1))");
                for (key, row) in select(sql, table, &by, params![ids])? {
                    let id = table.1.iter().position(|column| column == "id");
                    let id = id.and_then(|at| row.1[at].text());
                    fresh.extend(id.filter(|id| !known.contains(*id)).map(str::to_owned));
                    found.insert(key, row);
                }
            }
        }
    }
    shared(sql, &tables, &mut found)?;
    replies(sql, &tables, &mut found)?;
    destructions(sql, &tables, &mut found)?;
    Ok(found)
}

/// Where a leader was told of it in a call that began for another matter: that call and its recording, nothing else of
/// the other matter.
fn shared(sql: &Connection, tables: &[chain::Structure], found: &mut Rows) -> Result<()> {
    // What it was to be told of in, and never was, is another matter's alone.
    let joined = |row: &Row| {
        matches!(cell(row, "answered_ms")?, Cell::Integer(_)).then_some(())?;
        Some(cell(row, "joined")?.text()?.to_owned())
    };
    let attempts = found.iter().filter(|((kind, _), _)| kind == "attempt");
    let calls: BTreeSet<String> = attempts.filter_map(|(_, row)| joined(row)).collect();
    let ids = json(&calls)?;
    for (kind, link) in [("call", "id"), ("recording", "call"), ("derived", "call")] {
        for table in tables.iter().filter(|table| table.0 == kind) {
            let by = format!("\"{link}\" IN (SELECT value FROM json_each(?1))");
            found.extend(select(sql, table, &by, params![ids])?);
        }
    }
    Ok(())
}

/// The texts that acknowledged it, and none that did not.
fn replies(sql: &Connection, tables: &[chain::Structure], found: &mut Rows) -> Result<()> {
    let escalations: Vec<String> = found
        .iter()
        .filter(|((kind, _), _)| kind == "escalation")
        .filter_map(|(_, row)| Some(cell(row, "id")?.text()?.to_owned()))
        .collect();
    let ids = json(&escalations)?;
    let by = "meaning = 'acknowledges' AND EXISTS (SELECT 1 FROM told o
        JOIN delivery d ON d.escalation = o.escalation
        JOIN texted t ON t.delivery = d.id AND t.person = o.person
      WHERE o.escalation IN (SELECT value FROM json_each(?1)) AND o.channel = 'sms'
        AND o.at_ms = reply.at_ms AND t.number = reply.number)";
    for table in tables.iter().filter(|table| table.0 == "reply") {
        found.extend(select(sql, table, by, params![ids])?);
    }
    Ok(())
}

/// Who made the lists on which recordings of it were destroyed, who said how old they were, and who agreed: why a file is
/// not there.
fn destructions(sql: &Connection, tables: &[chain::Structure], found: &mut Rows) -> Result<()> {
    let calls: Vec<String> = found
        .iter()
        .filter(|((kind, _), _)| kind == "recording")
        .filter_map(|(_, row)| Some(cell(row, "call")?.text()?.to_owned()))
        .collect();
    let calls = json(&calls)?;
    let lists = "SELECT list FROM destroyed WHERE call IN (SELECT value FROM json_each(?1))";
    let by_call = "call IN (SELECT value FROM json_each(?1))".to_owned();
    let dates = "SELECT dating FROM dating_item WHERE call IN (SELECT value FROM json_each(?1))";
    for (kind, by) in [
        ("halted", by_call.clone()),
        ("dating", format!("id IN ({dates})")),
        ("dating_agreement", format!("dating IN ({dates})")),
        ("destroyed", by_call.clone()),
        ("spared", by_call.clone()),
        ("going", by_call.clone()),
        ("gone", by_call),
        ("destruction", format!("id IN ({lists})")),
        ("destruction_agreement", format!("list IN ({lists})")),
    ] {
        for table in tables.iter().filter(|table| table.0 == kind) {
            found.extend(select(sql, table, &by, params![calls])?);
        }
    }
    Ok(())
}

pub fn cell((columns, cells): &Row, name: &str) -> Option<Cell> {
    columns.iter().position(|column| column == name).map(|at| cells[at].clone())
}

/// From the first of an entry's calls to the end of the last.
pub fn span(sql: &Connection, entry: EntryId) -> Result<Option<(DateTime<Utc>, DateTime<Utc>)>> {
    let span: (Option<Ms>, Option<Ms>) = sql.query_row(
        "SELECT min(arrived_ms), max(coalesce(ended_ms, arrived_ms)) FROM call WHERE entry = ?1",
        [Id(entry)],
        |row| Ok((row.get(0)?, row.get(1)?)),
    )?;
    Ok(span.0.zip(span.1).map(|(from, to)| (from.0, to.0)))
}

pub fn outages(
    sql: &Connection,
    from: DateTime<Utc>,
    to: DateTime<Utc>,
    rows: &mut Rows,
) -> Result<()> {
    let tables = chain::structure(sql)?;
    let Some(table) = tables.iter().find(|table| table.0 == "outage") else { return Ok(()) };
    rows.extend(select(sql, table, BETWEEN, params![ms(from), ms(to)])?);
    Ok(())
}

fn select(
    sql: &Connection,
    (kind, columns, key): &chain::Structure,
    by: &str,
    values: impl rusqlite::Params,
) -> Result<Vec<(Key, Row)>> {
    let list = |names: &[String]| {
        names.iter().map(|name| format!("\"{name}\"")).collect::<Vec<_>>().join(", ")
    };
    let query =
        format!("SELECT {}, json_array({}) FROM \"{kind}\" WHERE {by}", list(columns), list(key));
    let mut rows = sql.prepare(&query)?;
    let mut rows = rows.query(values)?;
    let mut found = vec![];
    while let Some(row) = rows.next()? {
        let mut cells = vec![];
        for at in 0..columns.len() {
            let cell = Cell::of(chain::value(row.get_ref(at)?));
            let why = || StoreError::Damaged(format!("a text of {kind} is not UTF-8"));
            cells.push(cell.ok_or_else(why)?);
        }
        found.push(((kind.clone(), row.get(columns.len())?), (columns.clone(), cells)));
    }
    Ok(found)
}
