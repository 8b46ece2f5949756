//! What an entry or a period has in the log, row by row, with the proof of each.

use super::audit::{self, Actor};
use super::chain::{self, digests};
use super::error::{Result, StoreError};
use super::heads::HeadRow;
use super::outages::BETWEEN;
use super::text::{Id, Ms, Whole, count, json, ms};
use super::{FileOf, PersonId, Store, Who, keys};
use crate::duty::ids::EntryId;
use crate::duty::proof::proven::{Cell, Proven};
use crate::duty::proof::{Digests, Frontier};
use crate::io::proof::key::SigningKey;
use crate::protocol::now::Now;
use chrono::{DateTime, Utc};
use rusqlite::{Connection, OptionalExtension, params};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Columns by which rows belong to each other.
const LINKS: &[&str] = &["id", "entry", "call", "escalation", "attempt", "object"];
/// Whom it was sent to and how he may answer: an open matter could be acknowledged by it, and nothing else needs it.
const KEPT_BACK: &[&str] = &["reply_code", "texted"];
/// How often it is begun again because the log went on meanwhile.
const AGAIN: u32 = 5;

/// What is handed out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    Entry(EntryId),
    /// Entries of calls that came in it, and what did not work in it.
    Period(DateTime<Utc>, DateTime<Utc>),
}

/// Which sound of it is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Sounds {
    #[default]
    All,
    /// 只含脱敏件: no original and no tape.
    #[serde(rename = "redacted")]
    RedactedOnly,
}

/// Everything about it, proved by one head.
#[derive(Debug, Clone, PartialEq)]
pub struct Gathered {
    pub entries: Vec<EntryId>,
    pub rows: Vec<Proven>,
    pub files: Vec<FileOf>,
    /// Recordings that have no file.
    pub absent: Vec<Absent>,
    pub head: HeadRow,
    /// The notes by which one key followed another, in their order.
    pub renewals: Vec<String>,
}

/// A recording whose sound is not handed out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Absent {
    pub call: String,
    pub why: WhyAbsent,
    /// In the words of its row.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub reason: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WhyAbsent {
    /// By two people, who are named in the rows.
    Destroyed,
    /// Two people have agreed to destroy it, and it is not gone yet.
    GivenUp,
    /// Nothing was recorded.
    Missing,
    /// It is not sealed yet.
    Unfinished,
    /// Whoever it is for may have what was made of it, and no original.
    RedactedOnly,
}

/// How much there is of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Extent {
    pub entries: u64,
    /// Of the recordings; as much again at most for their tapes.
    pub bytes: u64,
}

type Key = (String, String);

impl Store {
    /// How much would be handed out.
    pub async fn extent(&self, scope: Scope) -> Result<Extent> {
        let (entry, from, to) = match scope {
            Scope::Entry(entry) => (Some(Id(entry)), 0, 0),
            Scope::Period(from, to) => (None, ms(from), ms(to)),
        };
        self.read(move |sql| {
            let query = "WITH wanted AS (SELECT id FROM entry WHERE id = ?1
                 OR ?1 IS NULL AND occurred_ms >= ?2 AND occurred_ms < ?3)
               SELECT (SELECT count(*) FROM wanted), (SELECT coalesce(sum(bytes), 0) FROM kept_recording
                 WHERE call IN (SELECT id FROM call WHERE entry IN (SELECT id FROM wanted)
                   UNION SELECT a.joined FROM escalation e JOIN attempt a ON a.escalation = e.id
                     WHERE e.entry IN (SELECT id FROM wanted) AND a.joined IS NOT NULL
                       AND a.answered_ms IS NOT NULL))";
            let extent = |row: &rusqlite::Row<'_>| {
                Ok(Extent { entries: row.get::<_, Whole>(0)?.0, bytes: row.get::<_, Whole>(1)?.0 })
            };
            Ok(sql.prepare_cached(query)?.query_row(params![entry, from, to], extent)?)
        })
        .await
    }

    /// The entry of this id or number.
    pub async fn entry_named(&self, named: &str) -> Result<Option<EntryId>> {
        let named = named.to_owned();
        self.read(move |sql| {
            let found = sql
                .prepare_cached("SELECT id FROM entry WHERE id = ?1 OR number = ?1")?
                .query_row([named], |row| row.get::<_, Id<EntryId>>(0))
                .optional()?;
            Ok(found.map(|entry| entry.0))
        })
        .await
    }

    /// Notes that it is handed out, signs the log, and collects it. `None`: there is no such entry.
    ///
    /// # Errors
    /// Also when the log changes faster than it can be read.
    pub async fn gather(
        &self,
        who: Option<&Who>,
        (scope, sound): (Scope, Sounds),
        key: Arc<SigningKey>,
        now: Now,
    ) -> Result<Option<Gathered>> {
        let actor = match who {
            Some(who) => Actor::from(who),
            None => Actor {
                person: None::<PersonId>,
                name: "dutyline export".into(),
                terminal: "command".into(),
            },
        };
        let noted = self.write(move |tx| note(tx.sql, &actor, (scope, sound), now)).await?;
        if !noted {
            return Ok(None);
        }
        for _ in 0..AGAIN {
            let head = self.sign_head(Arc::clone(&key), move || now).await?;
            if let Some(found) = self.read(move |sql| collect(sql, scope, head)).await? {
                return Ok(Some(found));
            }
        }
        Err(StoreError::Overloaded)
    }
}

fn note(
    sql: &Connection,
    actor: &Actor,
    (scope, sound): (Scope, Sounds),
    now: Now,
) -> Result<bool> {
    let (object, detail) = match scope {
        Scope::Entry(entry) => {
            let number: Option<String> = sql
                .query_row("SELECT number FROM entry WHERE id = ?1", [Id(entry)], |row| row.get(0))
                .optional()?;
            let Some(number) = number else { return Ok(false) };
            (entry.to_string(), number)
        }
        Scope::Period(from, to) => ("period".to_owned(), format!("{from} – {to}")),
    };
    let detail = match sound {
        Sounds::All => detail,
        Sounds::RedactedOnly => format!("{detail} · redacted only"),
    };
    audit::append(sql, now, actor, "export", &object, &detail)?;
    Ok(true)
}

/// `None`: a row has changed since the head.
fn collect(sql: &Connection, scope: Scope, head: HeadRow) -> Result<Option<Gathered>> {
    let entries = entries(sql, scope)?;
    let mut rows = related(sql, &entries)?;
    let period = match scope {
        Scope::Entry(entry) => span(sql, entry)?,
        Scope::Period(from, to) => Some((from, to)),
    };
    if let Some((from, to)) = period {
        outages(sql, from, to, &mut rows)?;
    }
    let newest = newest(sql, &rows)?;
    if rows.keys().any(|key| newest.get(key).is_none_or(|newest| newest.seq >= head.size)) {
        return Ok(None);
    }
    let files = rows.iter().flat_map(|((kind, _), row)| match kind.as_str() {
        "recording" => files_of(row),
        "derived" => derived_of(row).into_iter().collect(),
        _ => vec![],
    });
    let files = files.collect();
    let files = still_there(sql, files)?;
    let recordings = rows.iter().filter(|((kind, _), _)| kind == "recording");
    let absent: Vec<_> = recordings.map(|(_, row)| absent(sql, row)).collect::<Result<_>>()?;
    let absent = absent.into_iter().flatten().collect();
    let mut paths = paths(sql, newest.values().map(|newest| newest.seq), head.size)?;
    let mut proven = vec![];
    for (name, row) in rows {
        let Some(newest) = newest.get(&name) else { continue };
        let path = paths.remove(&newest.seq).unwrap_or_default();
        proven.push(newest.prove(name, row, path));
    }
    proven.sort_by_key(|row| row.seq);
    let renewals = keys::notes(sql)?;
    Ok(Some(Gathered { entries, rows: proven, files, absent, head, renewals }))
}

fn entries(sql: &Connection, scope: Scope) -> Result<Vec<EntryId>> {
    let (from, to) = match scope {
        Scope::Entry(entry) => return Ok(vec![entry]),
        Scope::Period(from, to) => (ms(from), ms(to)),
    };
    let mut rows = sql.prepare(
        "SELECT id FROM entry WHERE occurred_ms >= ?1 AND occurred_ms < ?2 ORDER BY occurred_ms, id",
    )?;
    let rows = rows.query_map([from, to], |row| row.get::<_, Id<EntryId>>(0))?;
    rows.map(|row| Ok(row?.0)).collect()
}

/// Names and values of its columns.
type Row = (Vec<String>, Vec<Cell>);
type Rows = BTreeMap<Key, Row>;

/// Rows that name one of the entries, or a row that does, and so on.
fn related(sql: &Connection, entries: &[EntryId]) -> Result<Rows> {
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

fn cell((columns, cells): &Row, name: &str) -> Option<Cell> {
    columns.iter().position(|column| column == name).map(|at| cells[at].clone())
}

/// From the first of an entry's calls to the end of the last.
fn span(sql: &Connection, entry: EntryId) -> Result<Option<(DateTime<Utc>, DateTime<Utc>)>> {
    let span: (Option<Ms>, Option<Ms>) = sql.query_row(
        "SELECT min(arrived_ms), max(coalesce(ended_ms, arrived_ms)) FROM call WHERE entry = ?1",
        [Id(entry)],
        |row| Ok((row.get(0)?, row.get(1)?)),
    )?;
    Ok(span.0.zip(span.1).map(|(from, to)| (from.0, to.0)))
}

fn outages(
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

/// A row's newest item: its number, the leaf before it, and the columns that it covers.
struct Newest {
    seq: u64,
    before: Digests,
    columns: Arc<[String]>,
}

impl Newest {
    fn prove(&self, (kind, key): Key, (names, cells): Row, path: Vec<Digests>) -> Proven {
        let place = |column: &String| names.iter().position(|name| name == column);
        let covered = self.columns.iter().filter_map(|column| Some((column, place(column)?)));
        let covered = covered.map(|(column, at)| (column.clone(), cells[at].clone()));
        let (columns, values) = covered.unzip();
        Proven { kind, key, columns, values, seq: self.seq, before: self.before, path }
    }
}

fn newest(sql: &Connection, wanted: &Rows) -> Result<BTreeMap<Key, Newest>> {
    let mut kinds: BTreeMap<i64, (String, Arc<[String]>)> = BTreeMap::new();
    for (kind, ..) in chain::structure(sql)? {
        let shapes = chain::shapes(sql, &kind)?.into_iter();
        kinds.extend(shapes.map(|(id, columns)| (id, (kind.clone(), columns.into()))));
    }
    let mut items = sql.prepare("SELECT seq, shape, key, leaf FROM item ORDER BY seq")?;
    let mut items = items.query([])?;
    let (mut found, mut before) = (BTreeMap::new(), Digests::NONE);
    while let Some(row) = items.next()? {
        let (Whole(seq), shape): (Whole, i64) = (row.get(0)?, row.get(1)?);
        if let Some((kind, columns)) = kinds.get(&shape) {
            let key = (kind.clone(), row.get(2)?);
            if wanted.contains_key(&key) {
                found.insert(key, Newest { seq, before, columns: Arc::clone(columns) });
            }
        }
        before = digests(&row.get::<_, Vec<u8>>(3)?)?;
    }
    Ok(found)
}

fn paths(
    sql: &Connection,
    wanted: impl Iterator<Item = u64>,
    size: u64,
) -> Result<BTreeMap<u64, Vec<Digests>>> {
    let mut tree = Frontier::following(wanted);
    let mut leaves = sql.prepare("SELECT leaf FROM item WHERE seq < ?1 ORDER BY seq")?;
    let mut leaves = leaves.query([count(size)])?;
    while let Some(row) = leaves.next()? {
        tree.push(digests(&row.get::<_, Vec<u8>>(0)?)?);
    }
    Ok(tree.paths().into_iter().collect())
}

/// Without what two people have destroyed.
fn still_there(sql: &Connection, files: Vec<FileOf>) -> Result<Vec<FileOf>> {
    let mut destroyed = sql.prepare("SELECT 1 FROM given_up WHERE call = ?1")?;
    let mut there = vec![];
    for file in files {
        if !destroyed.exists([&file.call])? {
            there.push(file);
        }
    }
    Ok(there)
}

/// Why it has no file, where it has none.
fn absent(sql: &Connection, row: &Row) -> Result<Option<Absent>> {
    let text = |name: &str| Some(cell(row, name)?.text()?.to_owned());
    let call = text("call").unwrap_or_default();
    let is_in = |table: &str| -> Result<bool> {
        let query = format!("SELECT 1 FROM {table} WHERE call = ?1");
        Ok(sql.prepare_cached(&query)?.exists([&call])?)
    };
    let why = match text("digest") {
        _ if is_in("gone")? => WhyAbsent::Destroyed,
        _ if is_in("given_up")? => WhyAbsent::GivenUp,
        Some(_) => return Ok(None),
        None if text("state").as_deref() == Some("missing") => WhyAbsent::Missing,
        None => WhyAbsent::Unfinished,
    };
    let reason = if why == WhyAbsent::Missing { text("reason") } else { None };
    Ok(Some(Absent { call, why, reason: reason.unwrap_or_default() }))
}

/// WAV and tape of a recording's row.
fn files_of((columns, values): &Row) -> Vec<FileOf> {
    let text = |name: &str| {
        let at = columns.iter().position(|column| column == name)?;
        values[at].text().map(str::to_owned)
    };
    let call = text("call").unwrap_or_default();
    [("wav", "digest"), ("tape", "tape_digest")]
        .into_iter()
        .filter_map(|(path, digest)| {
            let (path, sha256) = (text(path)?, text(digest)?);
            Some(FileOf { call: call.clone(), path, sha256, derived: None })
        })
        .collect()
}

fn derived_of(row: &Row) -> Option<FileOf> {
    let text = |name: &str| Some(cell(row, name)?.text()?.to_owned());
    let Cell::Integer(id) = cell(row, "id")? else { return None };
    let (call, path, sha256) = (text("call")?, text("wav")?, text("digest")?);
    Some(FileOf { call, path, sha256, derived: Some(id) })
}
