//! Entries of the log: filling in, completing, reopening, flagging, withdrawing.

mod states;

pub(super) use states::complete;
pub use states::{Completed, Reopened, classed_last};

use super::audit::{self, Actor};
use super::error::Result;
use super::escalations::{self, Raised};
use super::revisions::{self, Change, RevisionKind};
use super::text::{Id, Ms, Named, name};
use super::writer::Tx;
use super::{Store, Who, exercises};
use crate::duty::entry::{EntryState, Field, Form, needs_reason, tidy};
use crate::duty::ids::{EntryId, EscalationId};
use crate::duty::journal::Urgency;
use crate::protocol::now::Now;
use chrono::{DateTime, Utc};
use rusqlite::{Connection, OptionalExtension, params};
use serde::Serialize;

/// One field as it read and as it is to read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FieldEdit {
    pub field: Field,
    pub old: String,
    pub new: String,
    /// Why; where it needs none it may be empty ([`needs_reason`]).
    pub reason: String,
}

/// What became of a field that was sent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
pub enum Saved {
    Saved {
        completeness: u8,
    },
    /// Somebody else changed it meanwhile; nothing was overwritten.
    Conflict {
        theirs: String,
    },
    /// It is closed, or its shift is over: nothing was changed.
    NeedsReason,
    Refused {
        field: Field,
        zh: String,
        en: String,
    },
    NotFound,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(tag = "outcome", content = "escalation", rename_all = "snake_case")]
pub enum Flagged {
    /// The escalation exists; wake the escalator.
    Raised(EscalationId),
    /// It had been raised with less urgency; wake the escalator.
    Upgraded(EscalationId),
    /// It had been raised already: still one escalation.
    Already(EscalationId),
    /// 平 raises nothing; withdraw instead.
    NotUrgent,
    /// Nothing has happened: 演练, 点名, 号码核实.
    Exercise,
    NotFound,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(tag = "outcome", content = "escalation", rename_all = "snake_case")]
pub enum Withdrawn {
    /// Wake the escalator.
    Withdrawn(EscalationId),
    NoReason,
    /// A human knows already.
    Acknowledged(EscalationId),
    NothingOpen,
}

impl Store {
    /// Changes one field if it still reads `old`.
    pub async fn save_field(
        &self,
        who: &Who,
        entry: EntryId,
        field: Field,
        old: &str,
        new: &str,
        now: Now,
    ) -> Result<Saved> {
        let (old, new, reason) = (old.to_owned(), new.to_owned(), String::new());
        self.edit_field(who, entry, FieldEdit { field, old, new, reason }, now).await
    }

    /// As [`Store::save_field`], with a reason.
    pub async fn edit_field(
        &self,
        who: &Who,
        entry: EntryId,
        edit: FieldEdit,
        now: Now,
    ) -> Result<Saved> {
        let actor = Actor::from(who);
        self.write(move |tx| save_field(tx.sql, &actor, entry, &edit, now)).await
    }

    /// Flags an entry, empty or not, and raises its escalation in the same transaction (I-5).
    pub async fn flag(
        &self,
        who: &Who,
        entry: EntryId,
        urgency: Urgency,
        now: Now,
    ) -> Result<Flagged> {
        let actor = Actor::from(who);
        self.write_of_run(move |tx| flag(tx, &actor, entry, urgency, now)).await
    }

    /// Ends an escalation that nobody has acknowledged; the reason is mandatory (I-6).
    pub async fn withdraw(
        &self,
        who: &Who,
        entry: EntryId,
        reason: &str,
        now: Now,
    ) -> Result<Withdrawn> {
        let (actor, reason) = (Actor::from(who), reason.trim().to_owned());
        self.write_of_run(move |tx| {
            if reason.is_empty() {
                return Ok(Withdrawn::NoReason);
            }
            escalations::withdraw(tx, &actor, entry, &reason, now)
        })
        .await
    }
}

pub(super) fn form(sql: &Connection, entry: EntryId) -> Result<Option<Form>> {
    let columns = Field::ALL.map(Field::name).join(", ");
    let query = format!("SELECT {columns} FROM entry WHERE id = ?1");
    let form = sql
        .prepare_cached(&query)?
        .query_row([Id(entry)], |row| {
            let mut form = Form::default();
            for (column, field) in Field::ALL.into_iter().enumerate() {
                form.set(field, row.get::<_, String>(column)?);
            }
            Ok(form)
        })
        .optional()?;
    Ok(form)
}

pub(super) fn save_field(
    sql: &Connection,
    actor: &Actor,
    entry: EntryId,
    edit: &FieldEdit,
    now: Now,
) -> Result<Saved> {
    let (Some(mut form), Some((state, occurred))) = (form(sql, entry)?, stands(sql, entry)?) else {
        return Ok(Saved::NotFound);
    };
    let (field, reason) = (edit.field, edit.reason.trim());
    let new = match tidy(field, &edit.new) {
        Ok(new) => new,
        Err(limit) => {
            let zh = format!("{}不能超过 {limit} 字，请删减", field.label().0);
            let en = format!("{} may have {limit} characters: shorten it", field.label().1);
            return Ok(Saved::Refused { field, zh, en });
        }
    };
    let current = form.get(field).to_owned();
    let needed_no_action = form.needs_no_action();
    form.set(field, new.clone());
    if field == Field::Category && !new.is_empty() && form.category().is_none() {
        let zh = "没有这个类别，请从列表中选择".to_owned();
        let en = "there is no such category: choose one of the list".to_owned();
        return Ok(Saved::Refused { field, zh, en });
    }
    if current == new {
        return Ok(Saved::Saved { completeness: form.completeness() });
    }
    // The browser sends back what it was shown, with its own line ends.
    if tidy(field, &edit.old).as_deref() != Ok(&current) {
        return Ok(Saved::Conflict { theirs: current });
    }
    if reason.is_empty() && needs_reason(state, occurred, &current, now.wall) {
        return Ok(Saved::NeedsReason);
    }
    sql.prepare_cached(&format!("UPDATE entry SET {} = ?2 WHERE id = ?1", field.name()))?
        .execute(params![Id(entry), new])?;
    let kind = match state {
        EntryState::Stub => RevisionKind::Filled,
        EntryState::Registered
        | EntryState::InProgress
        | EntryState::Closed
        | EntryState::Reopened => RevisionKind::Corrected,
    };
    let change = Change::new(field.name(), current, new);
    revisions::append(sql, entry, kind, actor, now, &[change], reason)?;
    audit::append(sql, now, actor, "entry.edit", &entry.to_string(), field.name())?;
    if state == EntryState::Closed {
        let needs_action = needed_no_action && !form.needs_no_action();
        states::reopen_where_undone(sql, entry, needs_action, &form, now)?;
    }
    Ok(Saved::Saved { completeness: form.completeness() })
}

/// Where it stands, and when it happened.
fn stands(sql: &Connection, entry: EntryId) -> Result<Option<(EntryState, DateTime<Utc>)>> {
    let found = sql
        .prepare_cached("SELECT state, occurred_ms FROM entry WHERE id = ?1")?
        .query_row([Id(entry)], |row| {
            Ok((row.get::<_, Named<EntryState>>(0)?.0, row.get::<_, Ms>(1)?.0))
        })
        .optional()?;
    Ok(found)
}

pub(super) fn flag(
    tx: &mut Tx<'_>,
    actor: &Actor,
    entry: EntryId,
    urgency: Urgency,
    now: Now,
) -> Result<Flagged> {
    let before: Option<Named<Urgency>> = tx
        .sql
        .prepare_cached("SELECT urgency FROM entry WHERE id = ?1")?
        .query_row([Id(entry)], |row| row.get(0))
        .optional()?;
    let Some(Named(before)) = before else { return Ok(Flagged::NotFound) };
    if urgency == Urgency::Routine {
        return Ok(Flagged::NotUrgent);
    }
    if exercises::is_one(tx.sql, entry)? {
        return Ok(Flagged::Exercise);
    }
    let flagged = match escalations::raise(tx, actor, entry, urgency, now)? {
        Raised::New(escalation) => Flagged::Raised(escalation),
        Raised::Upgraded(escalation) => Flagged::Upgraded(escalation),
        Raised::Already(escalation) => return Ok(Flagged::Already(escalation)),
    };
    if before != urgency {
        tx.sql
            .prepare_cached("UPDATE entry SET urgency = ?2 WHERE id = ?1")?
            .execute(params![Id(entry), name(urgency)])?;
        let change = Change::new("urgency", name(before), name(urgency));
        revisions::append(tx.sql, entry, RevisionKind::State, actor, now, &[change], "")?;
    }
    audit::append(tx.sql, now, actor, "entry.flag", &entry.to_string(), &name(urgency))?;
    Ok(flagged)
}

#[cfg(test)]
mod tests;
