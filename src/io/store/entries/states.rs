//! Where an entry stands: registered, closed, opened again (domain §4.3.2).

use super::{FieldEdit, form};
use crate::duty::entry::{Category, EntryState, Field, Form};
use crate::duty::ids::EntryId;
use crate::io::store::audit::{self, Actor};
use crate::io::store::error::Result;
use crate::io::store::revisions::{self, Change, RevisionKind};
use crate::io::store::text::{Id, Named, from_json, name};
use crate::io::store::{Store, Who};
use crate::protocol::now::Now;
use rusqlite::{Connection, OptionalExtension, params};
use serde::Serialize;

/// By these rules an entry that turns out not to be done with is opened again.
const CATEGORY_RULE: &str = "entry.category";
const BY_CATEGORY: &str = "类别改为需要办理";
const MISSING_RULE: &str = "entry.missing";
const BY_MISSING: &str = "更正后要素不全";
const BY_MISTAKE: &str = "误按";

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "outcome", content = "missing", rename_all = "snake_case")]
pub enum Completed {
    Registered,
    /// It needs no action, or its result is written.
    Closed,
    Missing(Vec<Field>),
    Already,
    NotFound,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
pub enum Reopened {
    Reopened,
    NoReason,
    /// It is open, or what is to be taken back is no longer the last that was done.
    NotClosed,
    NotFound,
}

impl Store {
    /// 登记: the officer says the entry is complete.
    pub async fn complete(&self, who: &Who, entry: EntryId, now: Now) -> Result<Completed> {
        let actor = Actor::from(who);
        self.write(move |tx| complete(tx.sql, &actor, entry, now)).await
    }

    /// 办结: needs the result, where anything was to be done.
    pub async fn close(&self, who: &Who, entry: EntryId, now: Now) -> Result<Completed> {
        let actor = Actor::from(who);
        self.write(move |tx| close(tx.sql, &actor, entry, now)).await
    }

    /// 重新打开; the reason is mandatory.
    pub async fn reopen_entry(
        &self,
        who: &Who,
        entry: EntryId,
        reason: &str,
        now: Now,
    ) -> Result<Reopened> {
        let (actor, reason) = (Actor::from(who), reason.trim().to_owned());
        self.write(move |tx| reopen(tx.sql, &actor, entry, &reason, now)).await
    }

    /// Takes back that an entry was classed as one that needs no action, while nothing else has
    /// been done to it since: open again, of the category it had.
    pub async fn take_class_back(&self, who: &Who, entry: EntryId, now: Now) -> Result<Reopened> {
        let actor = Actor::from(who);
        self.write(move |tx| take_class_back(tx.sql, &actor, entry, now)).await
    }
}

pub(super) fn state(sql: &Connection, entry: EntryId) -> Result<Option<EntryState>> {
    Ok(sql
        .prepare_cached("SELECT state FROM entry WHERE id = ?1")?
        .query_row([Id(entry)], |row| row.get::<_, Named<EntryState>>(0))
        .optional()?
        .map(|state| state.0))
}

pub(in crate::io::store) fn complete(
    sql: &Connection,
    actor: &Actor,
    entry: EntryId,
    now: Now,
) -> Result<Completed> {
    let (Some(form), Some(state)) = (form(sql, entry)?, state(sql, entry)?) else {
        return Ok(Completed::NotFound);
    };
    match state {
        EntryState::Stub | EntryState::Reopened => {}
        EntryState::Registered | EntryState::InProgress if form.needs_no_action() => {}
        EntryState::Registered | EntryState::InProgress | EntryState::Closed => {
            return Ok(Completed::Already);
        }
    }
    let missing = form.missing();
    if !missing.is_empty() {
        return Ok(Completed::Missing(missing));
    }
    if form.needs_no_action() {
        set_state(sql, actor, entry, (state, EntryState::Closed), "", now)?;
        return Ok(Completed::Closed);
    }
    set_state(sql, actor, entry, (state, EntryState::Registered), "", now)?;
    Ok(Completed::Registered)
}

fn close(sql: &Connection, actor: &Actor, entry: EntryId, now: Now) -> Result<Completed> {
    let (Some(form), Some(state)) = (form(sql, entry)?, state(sql, entry)?) else {
        return Ok(Completed::NotFound);
    };
    if state == EntryState::Closed {
        return Ok(Completed::Already);
    }
    let missing = form.missing_to_close();
    if !missing.is_empty() {
        return Ok(Completed::Missing(missing));
    }
    set_state(sql, actor, entry, (state, EntryState::Closed), "", now)?;
    Ok(Completed::Closed)
}

fn reopen(
    sql: &Connection,
    actor: &Actor,
    entry: EntryId,
    reason: &str,
    now: Now,
) -> Result<Reopened> {
    match state(sql, entry)? {
        None => return Ok(Reopened::NotFound),
        Some(EntryState::Closed) => {}
        Some(_) => return Ok(Reopened::NotClosed),
    }
    if reason.is_empty() {
        return Ok(Reopened::NoReason);
    }
    set_state(sql, actor, entry, (EntryState::Closed, EntryState::Reopened), reason, now)?;
    Ok(Reopened::Reopened)
}

/// A closed entry whose category needs action after all, or which lacks something now.
pub(super) fn reopen_where_undone(
    sql: &Connection,
    entry: EntryId,
    needs_action: bool,
    form: &Form,
    now: Now,
) -> Result<()> {
    let (rule, why) = match form.missing_to_close().is_empty() {
        _ if needs_action => (CATEGORY_RULE, BY_CATEGORY),
        false => (MISSING_RULE, BY_MISSING),
        true => return Ok(()),
    };
    let states = (EntryState::Closed, EntryState::Reopened);
    set_state(sql, &Actor::system(rule), entry, states, why, now)
}

fn take_class_back(sql: &Connection, actor: &Actor, entry: EntryId, now: Now) -> Result<Reopened> {
    let Some(of) = form(sql, entry)? else { return Ok(Reopened::NotFound) };
    let last = last_changes(sql, entry)?;
    let Some(before) = classed_last(&last) else { return Ok(Reopened::NotClosed) };
    let reopened = reopen(sql, actor, entry, BY_MISTAKE, now)?;
    if reopened == Reopened::Reopened {
        let edit = FieldEdit {
            field: Field::Category,
            old: of.get(Field::Category).to_owned(),
            new: before.to_owned(),
            reason: BY_MISTAKE.to_owned(),
        };
        super::save_field(sql, actor, entry, &edit, now)?;
    }
    Ok(reopened)
}

/// The category an entry had before it was classed as one that needs no action, where that is what
/// was done last; `last` has the latest first.
pub fn classed_last(last: &[Change]) -> Option<&str> {
    let [closing, classing, ..] = last else { return None };
    let closed = closing.field == "state" && closing.new == name(EntryState::Closed);
    let classed = classing.field == Field::Category.name()
        && Category::from_name(&classing.new).is_some_and(Category::needs_no_action);
    (closed && classed).then_some(&classing.old)
}

/// What was changed last, the latest first.
fn last_changes(sql: &Connection, entry: EntryId) -> Result<Vec<Change>> {
    let query = "SELECT changes FROM revision WHERE entry = ?1 ORDER BY no DESC LIMIT 2";
    let mut statement = sql.prepare_cached(query)?;
    let rows = statement.query_map([Id(entry)], |row| row.get::<_, String>(0))?;
    let mut last = vec![];
    for changes in rows {
        let changes: Vec<Change> = from_json(&changes?)?;
        last.extend(changes.into_iter().rev());
    }
    Ok(last)
}

fn set_state(
    sql: &Connection,
    actor: &Actor,
    entry: EntryId,
    (from, to): (EntryState, EntryState),
    reason: &str,
    now: Now,
) -> Result<()> {
    sql.prepare_cached("UPDATE entry SET state = ?2 WHERE id = ?1")?
        .execute(params![Id(entry), name(to)])?;
    let change = Change::new("state", name(from), name(to));
    revisions::append(sql, entry, RevisionKind::State, actor, now, &[change], reason)?;
    audit::append(sql, now, actor, "entry.state", &entry.to_string(), &name(to))
}
