//! Short messages that come back: who may answer for what, and the one effect that each has.

use super::audit::{self, Actor};
use super::error::{Result, StoreError};
use super::text::{Id, Ms, Named, ms, name};
use super::writer::Tx;
use super::{Store, duty, following};
use crate::duty::ids::{DeliveryId, EntryId, EscalationId};
use crate::duty::notices::reply::{self, ANSWERED_WITHIN, Meaning, Told};
use crate::duty::roster::Role;
use crate::duty::switchboard::AckOutcome;
use crate::protocol::now::Now;
use chrono::{DateTime, TimeDelta, Utc};
use rusqlite::{Connection, OptionalExtension, params};
use serde::Serialize;

/// The rule by which texts are answered (I-14).
const RULE: &str = "reply";
/// Of texts without effect so many are answered in [`ANSWERS_WITHIN`], while a matter of his is open.
const ANSWERS: i64 = 5;
const ANSWERS_WITHIN: TimeDelta = TimeDelta::hours(1);
/// Codes that are tried before they become longer.
const DRAWN: usize = 40;
/// Kept of a text.
const TEXT: usize = 200;

/// Who is sent a short message, and as what.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recipient {
    pub number: String,
    pub person: String,
    pub role: Role,
}

/// A text as a channel has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Came {
    pub channel: String,
    /// The same for the same message, however often it is handed over.
    pub name: String,
    pub from: String,
    pub text: String,
    /// By the network's clock.
    pub sent: Option<DateTime<Utc>>,
}

/// What came of it: committed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Answered {
    /// What changed: wake the escalator, tell the page.
    pub entries: Vec<EntryId>,
    /// What its sender is told.
    pub answer: Option<String>,
}

#[derive(Debug, Clone, Copy, Serialize)]
#[serde(rename_all = "snake_case")]
enum Kind {
    Acknowledges,
    Which,
    Unclear,
    Strange,
}

impl Store {
    /// These are about to be told of what is delivered: from now on they may answer for it. The code of each matter, in
    /// the order of `deliveries`, each once.
    pub async fn texted(
        &self,
        deliveries: Vec<DeliveryId>,
        people: Vec<Recipient>,
        now: Now,
    ) -> Result<Vec<String>> {
        self.write(move |tx| texted(tx, &deliveries, &people, now)).await
    }

    /// Somebody has sent a text. `line`: the duty room's own number, for the answer.
    pub async fn text_came(&self, came: Came, line: &str, now: Now) -> Result<Answered> {
        let line = line.to_owned();
        self.write_of_run(move |tx| take(tx.sql, &came, &line, now)).await
    }
}

fn texted(
    tx: &mut Tx<'_>,
    deliveries: &[DeliveryId],
    people: &[Recipient],
    now: Now,
) -> Result<Vec<String>> {
    let mut codes = vec![];
    for delivery in deliveries {
        let entry = tx
            .sql
            .prepare_cached(
                "SELECT e.entry FROM delivery d JOIN escalation e ON e.id = d.escalation
                 WHERE d.id = ?1",
            )?
            .query_row([Id(*delivery)], |row| Ok(row.get::<_, Id<EntryId>>(0)?.0))?;
        let code = code_of(tx, entry, now)?;
        for one in people {
            tx.sql
                .prepare_cached(
                    "INSERT OR IGNORE INTO texted (delivery, number, entry, person, role, at_ms)
                     VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
                )?
                .execute(params![
                    Id(*delivery),
                    reply::at_home(&one.number),
                    Id(entry),
                    one.person,
                    name(one.role),
                    ms(now.wall),
                ])?;
        }
        if !codes.contains(&code) {
            codes.push(code);
        }
    }
    Ok(codes)
}

/// Of four digits; longer where many are in use.
fn code_of(tx: &mut Tx<'_>, entry: EntryId, now: Now) -> Result<String> {
    let known: Option<String> = tx
        .sql
        .prepare_cached("SELECT code FROM reply_code WHERE entry = ?1")?
        .query_row([Id(entry)], |row| row.get(0))
        .optional()?;
    if let Some(code) = known {
        return Ok(code);
    }
    let month = ms(now.wall - TimeDelta::days(30));
    for nth in 0..DRAWN * 2 {
        let (least, codes) = if nth < DRAWN { (1_000, 9_000) } else { (100_000, 900_000) };
        let code = (least + tx.random.below(codes)).to_string();
        let used = tx
            .sql
            .prepare_cached(
                "SELECT 1 FROM reply_code r WHERE r.code = ?1 AND (r.made_ms > ?2
                   OR EXISTS (SELECT 1 FROM texted t WHERE t.entry = r.entry AND t.at_ms > ?2))",
            )?
            .exists(params![code, month])?;
        if !used {
            tx.sql
                .prepare_cached(
                    "INSERT INTO reply_code (entry, code, made_ms) VALUES (?1, ?2, ?3)",
                )?
                .execute(params![Id(entry), code, ms(now.wall)])?;
            return Ok(code);
        }
    }
    Err(StoreError::Bug("no code is free".to_owned()))
}

fn take(sql: &Connection, came: &Came, line: &str, now: Now) -> Result<Answered> {
    let again = sql
        .prepare_cached("SELECT 1 FROM reply WHERE channel = ?1 AND name = ?2")?
        .exists(params![came.channel, came.name])?;
    if again {
        return Ok(Answered::default());
    }
    let number = reply::at_home(&came.from);
    let told = told(sql, &number, now)?;
    let (kind, answered) = match reply::meaning(&came.text, came.sent, &told) {
        Meaning::Acknowledges(meant) => {
            (Kind::Acknowledges, acknowledge(sql, &number, &told, &meant, now)?)
        }
        Meaning::Which(several) => (Kind::Which, says(reply::which(&several))),
        Meaning::Undated => (Kind::Unclear, says(reply::undated(line))),
        Meaning::Unclear => (Kind::Unclear, says(reply::unclear(&told, line))),
        Meaning::Strange => (Kind::Strange, says(reply::strange(line))),
    };
    let most = if told.iter().any(|one| one.open) { ANSWERS } else { 1 };
    let silent = !reply::may_be_answered(&came.from) || told_enough(sql, &number, kind, most, now)?;
    let answer = answered.answer.filter(|_| !silent);
    let text: String = came.text.chars().take(TEXT).collect();
    sql.prepare_cached(
        "INSERT INTO reply (channel, name, number, at_ms, sent_ms, text, meaning, answered)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
    )?
    .execute(params![
        came.channel,
        came.name,
        number,
        ms(now.wall),
        came.sent.map(ms),
        text,
        name(kind),
        answer.is_some(),
    ])?;
    if !matches!(kind, Kind::Acknowledges) {
        let detail = format!("{} {}", name(kind), came.channel);
        audit::append(sql, now, &Actor::system(RULE), "reply.no_effect", &number, &detail)?;
    }
    Ok(Answered { answer, ..answered })
}

fn says(answer: String) -> Answered {
    Answered { entries: vec![], answer: Some(answer) }
}

/// An acknowledgement is always answered.
fn told_enough(sql: &Connection, number: &str, kind: Kind, most: i64, now: Now) -> Result<bool> {
    if matches!(kind, Kind::Acknowledges) {
        return Ok(false);
    }
    let answered: i64 = sql
        .prepare_cached(
            "SELECT count(*) FROM reply WHERE number = ?1 AND answered = 1
               AND meaning <> 'acknowledges' AND at_ms > ?2 AND at_ms <= ?3",
        )?
        .query_row(params![number, ms(now.wall - ANSWERS_WITHIN), ms(now.wall)], |row| {
            row.get(0)
        })?;
    Ok(answered >= most)
}

/// What this number was told of and may answer for: what is open, and what was sent lately.
fn told(sql: &Connection, number: &str, now: Now) -> Result<Vec<Told>> {
    let mut rows = sql.prepare_cached(
        "SELECT e.entry, e.id, n.number, r.code, min(t.at_ms),
           min(y.ended_ms),
           e.state = 'open' AS open, max(t.at_ms) > ?2 AS lately,
           NOT EXISTS (SELECT 1 FROM escalation b
             WHERE b.entry = e.entry AND (b.raised_ms, b.id) < (e.raised_ms, e.id))
         FROM texted t JOIN delivery d ON d.id = t.delivery JOIN escalation e ON e.id = d.escalation
           JOIN reply_code r ON r.entry = e.entry JOIN entry n ON n.id = e.entry
           LEFT JOIN delivery_try y ON y.delivery = d.id AND y.ending = 'accepted'
         WHERE t.number = ?1 GROUP BY e.id HAVING open OR lately
         ORDER BY e.raised_ms, e.id",
    )?;
    let rows = rows.query_map(params![number, ms(now.wall - ANSWERED_WITHIN)], |row| {
        Ok(Told {
            entry: row.get::<_, Id<EntryId>>(0)?.0,
            escalation: row.get::<_, Id<EscalationId>>(1)?.0,
            number: row.get(2)?,
            code: row.get(3)?,
            at: row.get::<_, Ms>(4)?.0,
            accepted: row.get::<_, Option<Ms>>(5)?.map(|at| at.0),
            open: row.get(6)?,
            lately: row.get(7)?,
            first: row.get(8)?,
        })
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}

fn acknowledge(
    sql: &Connection,
    number: &str,
    told: &[Told],
    meant: &[EscalationId],
    now: Now,
) -> Result<Answered> {
    let mut outcomes: Vec<(String, AckOutcome)> = vec![];
    let mut changed = vec![];
    for one in told.iter().filter(|one| meant.contains(&one.escalation)) {
        // In the capacity in which he was told last.
        let (person, role) = sql
            .prepare_cached(
                "SELECT t.person, t.role FROM texted t JOIN delivery d ON d.id = t.delivery
                 WHERE t.number = ?1 AND d.escalation = ?2
                 ORDER BY t.at_ms DESC, t.delivery DESC LIMIT 1",
            )?
            .query_row(params![number, Id(one.escalation)], |row| {
                Ok((row.get::<_, String>(0)?, row.get::<_, Named<Role>>(1)?.0))
            })?;
        // Whoever led when he was told may not lead any more: then the one who does is told too.
        let leads = role == Role::Leader && duty::leads(sql, &person, now)?;
        let id = one.escalation;
        let outcome = following::acknowledged_by_text(sql, id, (&person, role), leads, now)?;
        outcomes.push((one.number.clone(), outcome));
        if !changed.contains(&one.entry) {
            changed.push(one.entry);
        }
    }
    let answer = (!outcomes.is_empty()).then(|| reply::acknowledged(&outcomes));
    Ok(Answered { entries: changed, answer })
}

#[cfg(test)]
mod tests;
