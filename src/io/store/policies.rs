//! Versions of the policy: each that was loaded, each time that one came into force, and by which each escalation goes.

use super::Store;
use super::audit::{self, Actor};
use super::error::Result;
use super::readers::Readers;
use super::text::{Id, Ms, from_json, json, mono, ms, sha256};
use crate::duty::escalation::{Policy, Timetable, Version};
use crate::duty::ids::EscalationId;
use crate::duty::rehearsal::Finding;
use crate::duty::roster::Roster;
use crate::protocol::now::Now;
use chrono::{DateTime, Utc};
use rusqlite::{Connection, OptionalExtension, params};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

/// Versions that the page shows.
const SHOWN: i64 = 60;

/// A version as the log has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PolicyRow {
    pub id: i64,
    pub text: String,
    /// SHA-256 of its text, in hex.
    pub digest: String,
    pub name: String,
    pub approved_by: String,
    pub open_too: bool,
    /// `None`: as soon as it was loaded.
    pub from: Option<DateTime<Utc>>,
    pub loaded: DateTime<Utc>,
    pub loaded_by: String,
    /// By the latest verdict.
    pub found: Vec<Finding>,
    /// When it came into force, and when another one did.
    pub periods: Vec<(DateTime<Utc>, Option<DateTime<Utc>>)>,
}

/// The row of a version, made where there is none.
struct Document {
    id: i64,
    /// And found to work.
    loaded: DateTime<Utc>,
}

fn document(sql: &Connection, version: &Version, now: Now) -> Result<Document> {
    let (digest, figures) = (sha256(&version.text), json(&version.figures)?);
    let from = version.from.map(ms);
    let known = sql
        .prepare_cached(
            "SELECT d.id, coalesce((SELECT min(v.at_ms) FROM policy_verdict v
               WHERE v.document = d.id AND v.refused = 0 AND v.id > coalesce((SELECT max(r.id)
                 FROM policy_verdict r WHERE r.document = d.id AND r.refused = 1), 0)), d.loaded_ms)
             FROM policy_document d WHERE d.digest = ?1 AND d.figures = ?2 AND d.from_ms IS ?3
               AND d.name = ?4",
        )?
        .query_row(params![digest, figures, from, version.name], |row| {
            Ok(Document { id: row.get(0)?, loaded: row.get::<_, Ms>(1)?.0 })
        })
        .optional()?;
    if let Some(known) = known {
        return Ok(known);
    }
    let id: i64 = sql
        .prepare_cached(
            "INSERT INTO policy_document (digest, text, figures, name, approved_by, open_too,
               from_ms, loaded_ms) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8) RETURNING id",
        )?
        .query_row(
            params![
                digest,
                version.text,
                figures,
                version.name,
                version.approved_by,
                version.open_too,
                from,
                ms(now.wall),
            ],
            |row| row.get(0),
        )?;
    audit::append(sql, now, &Actor::system("escalation"), "policy.load", &id.to_string(), &digest)?;
    Ok(Document { id, loaded: now.wall })
}

fn judged(sql: &Connection, version: &Version, by: &str, now: Now) -> Result<()> {
    let document = document(sql, version, now)?.id;
    let said = |one: &Finding| (one.refused, one.zh.clone(), one.en.clone());
    let found = json(&version.found.iter().map(said).collect::<Vec<_>>())?;
    let before: Option<String> = sql
        .prepare_cached(
            "SELECT found FROM policy_verdict WHERE document = ?1 ORDER BY id DESC LIMIT 1",
        )?
        .query_row([document], |row| row.get(0))
        .optional()?;
    if before.as_ref() == Some(&found) {
        return Ok(());
    }
    let refused = version.is_refused();
    sql.prepare_cached(
        "INSERT INTO policy_verdict (document, at_ms, loaded_by, refused, found)
         VALUES (?1, ?2, ?3, ?4, ?5)",
    )?
    .execute(params![document, ms(now.wall), by, refused, found])?;
    let verdict = if refused { "policy.refuse" } else { "policy.accept" };
    audit::append(sql, now, &Actor::system("escalation"), verdict, &document.to_string(), by)
}

/// What is in force at this moment has its row, and whatever came into force since the last look, each from its own
/// time on.
pub(super) fn keep_up(
    sql: &Connection,
    versions: &Timetable,
    roster: &Roster,
    now: Now,
) -> Result<i64> {
    let people = json(roster)?;
    let current = versions.in_force(now.wall);
    let wanted = document(sql, current, now)?.id;
    let latest = sql
        .prepare_cached(
            "SELECT id, from_ms, document, people FROM policy ORDER BY id DESC LIMIT 1",
        )?
        .query_row([], |row| {
            let (from, people) = (row.get::<_, Ms>(1)?.0, row.get::<_, String>(3)?);
            Ok((row.get::<_, i64>(0)?, from, row.get::<_, Option<i64>>(2)?, people))
        })
        .optional()?;
    let mut last = None;
    if let Some((id, from, document, known)) = latest {
        if (document, &known) == (Some(wanted), &people) {
            return Ok(id);
        }
        last = Some((document, known));
        for (at, version) in versions.between(from, now.wall) {
            let of = self::document(sql, version, now)?;
            if of.loaded <= at {
                in_force(sql, version, (of.id, &people), at, now)?;
                last = Some((Some(of.id), people.clone()));
            }
        }
    }
    if last != Some((Some(wanted), people.clone())) {
        return in_force(sql, current, (wanted, &people), now.wall, now);
    }
    let id = "SELECT id FROM policy ORDER BY id DESC LIMIT 1";
    Ok(sql.prepare_cached(id)?.query_row([], |row| row.get(0))?)
}

fn in_force(
    sql: &Connection,
    version: &Version,
    (document, people): (i64, &str),
    from: DateTime<Utc>,
    now: Now,
) -> Result<i64> {
    let id: i64 = sql
        .prepare_cached(
            "INSERT INTO policy (from_ms, figures, people, document) VALUES (?1, ?2, ?3, ?4)
             RETURNING id",
        )?
        .query_row(params![ms(from), json(&version.figures)?, people, document], |row| {
            row.get(0)
        })?;
    let digest = sha256(&version.text);
    audit::append(sql, now, &Actor::system("escalation"), "policy", &id.to_string(), &digest)?;
    Ok(id)
}

/// The figures of a version; `None` where this program cannot read them.
fn figures(sql: &Connection, version: i64) -> Result<Option<Policy>> {
    let text: Option<String> = sql
        .prepare_cached("SELECT figures FROM policy WHERE id = ?1")?
        .query_row([version], |row| row.get(0))
        .optional()?;
    Ok(text.and_then(|text| serde_json::from_str(&text).ok()))
}

/// The version that was in force last, for a daemon that has no other.
fn last_in_force(sql: &Connection) -> Result<Option<Version>> {
    let last = sql
        .prepare_cached(
            "SELECT p.figures, d.text, d.name, d.approved_by, d.open_too, d.from_ms
             FROM policy p JOIN policy_document d ON d.id = p.document
             WHERE p.id = (SELECT max(id) FROM policy)",
        )?
        .query_row([], |row| {
            let version = Version {
                text: row.get(1)?,
                name: row.get(2)?,
                approved_by: row.get(3)?,
                open_too: row.get(4)?,
                from: row.get::<_, Option<Ms>>(5)?.map(|at| at.0),
                ..Version::default()
            };
            Ok((row.get::<_, String>(0)?, version))
        })
        .optional()?;
    let Some((figures, version)) = last else { return Ok(None) };
    Ok(Some(Version { figures: from_json(&figures)?, ..version }))
}

/// By what escalations go in one look.
pub(super) struct Rules<'a> {
    sql: &'a Connection,
    today: i64,
    current: &'a Version,
    known: BTreeMap<i64, Arc<Policy>>,
}

impl<'a> Rules<'a> {
    pub fn new(sql: &'a Connection, today: i64, current: &'a Version) -> Self {
        let known = BTreeMap::from([(today, Arc::new(current.figures.clone()))]);
        Self { sql, today, current, known }
    }

    /// The version that was in force when it was raised; a later one where that says so.
    pub fn of(&mut self, id: EscalationId, now: Now) -> Result<Arc<Policy>> {
        self.sql
            .prepare_cached(
                "UPDATE escalation SET policy = coalesce(
                   (SELECT p.id FROM policy p WHERE p.from_ms <= escalation.raised_ms
                    ORDER BY p.id DESC LIMIT 1), ?2) WHERE id = ?1 AND policy IS NULL",
            )?
            .execute(params![Id(id), self.today])?;
        if self.current.open_too {
            self.moves(id, now)?;
        }
        let version: i64 = self
            .sql
            .prepare_cached("SELECT policy FROM escalation WHERE id = ?1")?
            .query_row([Id(id)], |row| row.get(0))?;
        if let Some(known) = self.known.get(&version) {
            return Ok(Arc::clone(known));
        }
        let own = figures(self.sql, version)?.unwrap_or_else(|| self.current.figures.clone());
        let own = Arc::new(own);
        self.known.insert(version, Arc::clone(&own));
        Ok(own)
    }

    /// From the beginning of the ladder that is in force now.
    fn moves(&self, id: EscalationId, now: Now) -> Result<()> {
        let moved = self
            .sql
            .prepare_cached(
                "UPDATE escalation SET policy = ?2, round = round + 1, round_ms = ?3,
                   round_mono = ?4, siren_ms = NULL
                 WHERE id = ?1 AND state = 'open'
                   AND (SELECT figures FROM policy WHERE id = escalation.policy)
                     IS NOT (SELECT figures FROM policy WHERE id = ?2)",
            )?
            .execute(params![Id(id), self.today, ms(now.wall), mono(now)])?;
        if moved > 0 {
            let (actor, today) = (Actor::system("escalation"), self.today.to_string());
            audit::append(self.sql, now, &actor, "escalation.policy", &id.to_string(), &today)?;
        }
        Ok(())
    }
}

/// As [`Rules::of`] for whoever may only read; `None`: by what is in force.
pub(super) fn own(sql: &Connection, id: EscalationId) -> Result<Option<Policy>> {
    let version: Option<i64> = sql
        .prepare_cached("SELECT policy FROM escalation WHERE id = ?1")?
        .query_row([Id(id)], |row| row.get(0))?;
    version.map_or(Ok(None), |version| figures(sql, version))
}

/// Which document was in force, from when, and to when.
type Period = (Option<i64>, DateTime<Utc>, Option<DateTime<Utc>>);

fn rows(sql: &Connection) -> Result<Vec<PolicyRow>> {
    let mut changes = sql.prepare_cached("SELECT document, from_ms FROM policy ORDER BY id")?;
    let changes =
        changes.query_map([], |row| Ok((row.get::<_, Option<i64>>(0)?, row.get::<_, Ms>(1)?.0)))?;
    let mut periods: Vec<Period> = vec![];
    for change in changes {
        let (document, from) = change?;
        match periods.last_mut() {
            Some(last) if last.0 == document => {}
            Some(last) => {
                last.2 = Some(from);
                periods.push((document, from, None));
            }
            None => periods.push((document, from, None)),
        }
    }
    let mut all = sql.prepare_cached(
        "SELECT d.id, d.digest, d.name, d.approved_by, d.open_too, d.from_ms, d.loaded_ms,
           coalesce(v.loaded_by, ''), coalesce(v.found, '[]'), d.text
         FROM policy_document d LEFT JOIN policy_verdict v ON v.id =
           (SELECT max(id) FROM policy_verdict WHERE document = d.id)
         ORDER BY d.id DESC LIMIT ?1",
    )?;
    let all = all.query_map([SHOWN], |row| {
        let id = row.get(0)?;
        let own = periods.iter().filter(|one| one.0 == Some(id));
        let found: String = row.get(8)?;
        let row = PolicyRow {
            id,
            text: row.get(9)?,
            digest: row.get(1)?,
            name: row.get(2)?,
            approved_by: row.get(3)?,
            open_too: row.get(4)?,
            from: row.get::<_, Option<Ms>>(5)?.map(|at| at.0),
            loaded: row.get::<_, Ms>(6)?.0,
            loaded_by: row.get(7)?,
            found: vec![],
            periods: own.map(|(_, from, to)| (*from, *to)).collect(),
        };
        Ok((row, found))
    })?;
    let all: Vec<(PolicyRow, String)> = all.collect::<Result<_, _>>()?;
    let of = |(row, found): (PolicyRow, String)| {
        let found: Vec<(bool, String, String)> = from_json(&found)?;
        let found = found.into_iter().map(|(refused, zh, en)| Finding { refused, zh, en });
        Ok(PolicyRow { found: found.collect(), ..row })
    };
    all.into_iter().map(of).collect()
}

impl Store {
    /// What was `loaded` out of a file that is `by`'s, and of these versions the one in force.
    pub async fn policies_are(
        &self,
        loaded: Timetable,
        versions: Timetable,
        roster: Roster,
        by: &str,
        now: Now,
    ) -> Result<()> {
        let by = by.to_owned();
        self.write(move |tx| {
            loaded.all().try_for_each(|version| judged(tx.sql, version, &by, now))?;
            keep_up(tx.sql, &versions, &roster, now).map(drop)
        })
        .await
    }

    /// The version that was in force last; `None`: there was none.
    pub async fn policy_last_in_force(&self) -> Result<Option<Version>> {
        self.read(last_in_force).await
    }

    /// As [`Store::policy_last_in_force`], before the daemon has its log. Before its first run there was none.
    pub fn policy_last_in_force_at(database: &Path) -> Result<Option<Version>> {
        if matches!(database.try_exists(), Ok(false)) {
            return Ok(None);
        }
        Readers::new(database).read(last_in_force)
    }

    /// Every version, the latest first.
    pub async fn policies(&self) -> Result<Vec<PolicyRow>> {
        self.read(rows).await
    }

    /// The figures of one; `None`: there is none, or this program cannot read it.
    pub async fn policy_of(&self, id: i64) -> Result<Option<Policy>> {
        self.read(move |sql| {
            let found: Option<String> = sql
                .prepare_cached("SELECT figures FROM policy_document WHERE id = ?1")?
                .query_row([id], |row| row.get(0))
                .optional()?;
            Ok(found.and_then(|figures| serde_json::from_str(&figures).ok()))
        })
        .await
    }
}

#[cfg(test)]
mod tests;
