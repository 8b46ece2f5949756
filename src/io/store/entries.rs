//! Entries of the log: filling in, completing, flagging, withdrawing.

use super::audit::{self, Actor};
use super::error::Result;
use super::escalations::{self, Raised};
use super::revisions::{self, Change, RevisionKind};
use super::text::{Id, Named, name};
use super::writer::Tx;
use super::{Store, Who, exercises};
use crate::duty::entry::{EntryState, Field, Form, tidy};
use crate::duty::ids::{EntryId, EscalationId};
use crate::duty::journal::Urgency;
use crate::protocol::now::Now;
use rusqlite::{Connection, OptionalExtension, params};
use serde::Serialize;

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
    Refused {
        field: Field,
        zh: String,
        en: String,
    },
    NotFound,
}

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
        let (actor, old, new) = (Actor::from(who), old.to_owned(), new.to_owned());
        self.write(move |tx| save_field(tx.sql, &actor, entry, field, &old, &new, now)).await
    }

    /// 登记: the officer says the entry is complete.
    pub async fn complete(&self, who: &Who, entry: EntryId, now: Now) -> Result<Completed> {
        let actor = Actor::from(who);
        self.write(move |tx| complete(tx.sql, &actor, entry, now)).await
    }

    /// 办结: needs the result.
    pub async fn close(&self, who: &Who, entry: EntryId, now: Now) -> Result<Completed> {
        let actor = Actor::from(who);
        self.write(move |tx| close(tx.sql, &actor, entry, now)).await
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

fn state(sql: &Connection, entry: EntryId) -> Result<Option<EntryState>> {
    Ok(sql
        .prepare_cached("SELECT state FROM entry WHERE id = ?1")?
        .query_row([Id(entry)], |row| row.get::<_, Named<EntryState>>(0))
        .optional()?
        .map(|state| state.0))
}

pub(super) fn save_field(
    sql: &Connection,
    actor: &Actor,
    entry: EntryId,
    field: Field,
    old: &str,
    new: &str,
    now: Now,
) -> Result<Saved> {
    let (Some(mut form), Some(state)) = (form(sql, entry)?, state(sql, entry)?) else {
        return Ok(Saved::NotFound);
    };
    let new = match tidy(field, new) {
        Ok(new) => new,
        Err(limit) => {
            let zh = format!("{}不能超过 {limit} 字，请删减", field.label().0);
            let en = format!("{} may have {limit} characters: shorten it", field.label().1);
            return Ok(Saved::Refused { field, zh, en });
        }
    };
    let current = form.get(field).to_owned();
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
    if tidy(field, old).as_deref() != Ok(&current) {
        return Ok(Saved::Conflict { theirs: current });
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
    revisions::append(sql, entry, kind, actor, now, &[change], "")?;
    audit::append(sql, now, actor, "entry.edit", &entry.to_string(), field.name())?;
    Ok(Saved::Saved { completeness: form.completeness() })
}

pub(super) fn complete(
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
        EntryState::Registered | EntryState::InProgress | EntryState::Closed => {
            return Ok(Completed::Already);
        }
    }
    let missing = form.missing();
    if !missing.is_empty() {
        return Ok(Completed::Missing(missing));
    }
    if form.category().is_some_and(|category| category.needs_no_action()) {
        set_state(sql, actor, entry, state, EntryState::Closed, now)?;
        return Ok(Completed::Closed);
    }
    set_state(sql, actor, entry, state, EntryState::Registered, now)?;
    Ok(Completed::Registered)
}

fn close(sql: &Connection, actor: &Actor, entry: EntryId, now: Now) -> Result<Completed> {
    let (Some(form), Some(state)) = (form(sql, entry)?, state(sql, entry)?) else {
        return Ok(Completed::NotFound);
    };
    if state == EntryState::Closed {
        return Ok(Completed::Already);
    }
    let mut missing = form.missing();
    if form.get(Field::Result).trim().is_empty() {
        missing.push(Field::Result);
    }
    if !missing.is_empty() {
        return Ok(Completed::Missing(missing));
    }
    set_state(sql, actor, entry, state, EntryState::Closed, now)?;
    Ok(Completed::Closed)
}

fn set_state(
    sql: &Connection,
    actor: &Actor,
    entry: EntryId,
    from: EntryState,
    to: EntryState,
    now: Now,
) -> Result<()> {
    sql.prepare_cached("UPDATE entry SET state = ?2 WHERE id = ?1")?
        .execute(params![Id(entry), name(to)])?;
    let change = Change::new("state", name(from), name(to));
    revisions::append(sql, entry, RevisionKind::State, actor, now, &[change], "")?;
    audit::append(sql, now, actor, "entry.state", &entry.to_string(), &name(to))
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
mod tests {
    use super::*;
    use crate::io::store::tests::{at, entry, note, officer, one, store};
    use crate::io::store::{StoreError, wait};

    fn save(store: &Store, entry: EntryId, field: Field, old: &str, new: &str) -> Saved {
        wait(store.save_field(&officer(), entry, field, old, new, at(60.0))).unwrap()
    }

    fn write_raw(store: &Store, query: &str) -> Result<()> {
        let query = query.to_owned();
        store.write_now(move |tx| Ok(tx.sql.execute_batch(&query)?))
    }

    #[test]
    fn a_field_is_changed_only_if_it_reads_what_the_officer_saw() {
        let store = store();
        let entry = entry(&store, 1, 0.0);
        let saved = save(&store, entry, Field::Content, "", "水管破裂\r\n无伤亡");
        assert!(matches!(saved, Saved::Saved { .. }));
        let theirs = "水管破裂\n无伤亡".to_owned();
        let conflict = save(&store, entry, Field::Content, "", "别的");
        assert_eq!(conflict, Saved::Conflict { theirs: theirs.clone() });
        let saved = save(&store, entry, Field::Content, "水管破裂\r\n无伤亡", "已修复");
        assert!(matches!(saved, Saved::Saved { .. }), "the browser's line ends are no conflict");
        assert!(matches!(save(&store, entry, Field::Content, "x", "已修复"), Saved::Saved { .. }));
        let view = wait(store.entry(entry)).unwrap().unwrap();
        assert_eq!(view.revisions.len(), 3, "saving the same again is no revision");
        assert_eq!(view.revisions[2].changes[0].old, theirs);
        assert_eq!(view.revisions[2].actor, "王值班");
        assert_eq!(wait(store.verify_entry(entry)).unwrap(), 3);
        assert_eq!(wait(store.verify_audit()).unwrap(), 2);
    }

    #[test]
    fn what_cannot_be_kept_is_refused_with_its_remedy() {
        let store = store();
        let entry = entry(&store, 1, 0.0);
        let long = "1".repeat(41);
        match save(&store, entry, Field::CallerPhone, "13812345678", &long) {
            Saved::Refused { field: Field::CallerPhone, zh, .. } => {
                assert!(zh.contains("40"), "{zh}")
            }
            other => panic!("{other:?}"),
        }
        let refused = save(&store, entry, Field::Category, "", "no such thing");
        assert!(matches!(refused, Saved::Refused { .. }));
        let nowhere = EntryId(uuid::Uuid::nil());
        assert_eq!(save(&store, nowhere, Field::Subject, "", "x"), Saved::NotFound);
    }

    #[test]
    fn c_36_an_entry_is_registered_with_what_its_category_needs() {
        let store = store();
        let (wrong, notice) = (entry(&store, 1, 0.0), entry(&store, 2, 1.0));
        let complete = |entry| wait(store.complete(&officer(), entry, at(90.0))).unwrap();
        assert_eq!(complete(wrong), Completed::Missing(vec![Field::Category]));
        save(&store, wrong, Field::Category, "", "wrong_number");
        assert_eq!(complete(wrong), Completed::Closed, "nothing else is asked");
        assert_eq!(complete(wrong), Completed::Already);

        save(&store, notice, Field::Category, "", "notice");
        let Completed::Missing(missing) = complete(notice) else { panic!() };
        assert!(!missing.contains(&Field::CallerPhone), "the caller's number is filled in");
        for field in missing {
            save(&store, notice, field, "", "会议通知");
        }
        assert_eq!(complete(notice), Completed::Registered);
        let close = || wait(store.close(&officer(), notice, at(99.0))).unwrap();
        assert_eq!(close(), Completed::Missing(vec![Field::Result]));
        save(&store, notice, Field::Result, "", "已转办公室");
        assert_eq!(close(), Completed::Closed);
        let view = wait(store.entry(notice)).unwrap().unwrap();
        assert_eq!(view.row.state, EntryState::Closed);
        let kinds: Vec<_> = view.revisions.iter().map(|revision| revision.kind).collect();
        assert_eq!(kinds.first(), Some(&RevisionKind::System));
        assert!(kinds.contains(&RevisionKind::Corrected), "after registering it is a correction");
        assert!(wait(store.verify_entry(notice)).is_ok());
    }

    #[test]
    fn i_4_revisions_and_the_audit_cannot_be_rewritten() {
        let store = store();
        let entry = entry(&store, 1, 0.0);
        save(&store, entry, Field::Subject, "", "停水");
        for query in [
            "UPDATE revision SET actor = 'nobody'",
            "DELETE FROM revision",
            "UPDATE audit SET actor = 'nobody'",
            "DELETE FROM audit",
            "DELETE FROM entry",
            "DELETE FROM call",
        ] {
            match write_raw(&store, query) {
                Err(StoreError::Bug(why)) => assert!(why.contains("never"), "{query}: {why}"),
                other => panic!("{query}: {other:?}"),
            }
        }
    }

    #[test]
    fn esc_86_what_was_edited_behind_our_back_is_found() {
        let edits = [
            ("revision", "DROP TRIGGER revision_is_not_changed; UPDATE revision SET actor = 'x'"),
            ("entry", "UPDATE entry SET subject = '停电'"),
            ("last revision", "DROP TRIGGER revision_is_kept; DELETE FROM revision WHERE no = 1"),
        ];
        for (what, edit) in edits {
            let store = store();
            let entry = entry(&store, 1, 0.0);
            save(&store, entry, Field::Subject, "", "停水");
            assert_eq!(wait(store.verify_entry(entry)).unwrap(), 2);
            write_raw(&store, edit).unwrap();
            let found = wait(store.verify_entry(entry));
            assert!(matches!(found, Err(StoreError::Damaged(_))), "{what}: {found:?}");
        }
        let store = store();
        let entry = entry(&store, 1, 0.0);
        save(&store, entry, Field::Subject, "", "停水");
        save(&store, entry, Field::Subject, "停水", "停电");
        let edit = "DROP TRIGGER audit_is_kept; DELETE FROM audit WHERE id = 1";
        write_raw(&store, edit).unwrap();
        assert!(matches!(wait(store.verify_audit()), Err(StoreError::Damaged(_))));
    }

    #[test]
    fn i_3_a_sealed_recording_stays_as_it_is() {
        use crate::duty::journal::Fact;
        use crate::io::store::tests::call;
        use crate::io::store::{RecordingState, Sealed};
        let store = store();
        entry(&store, 1, 0.0);
        note(&store, 5.0, Fact::Answered { call: call(1), phone: "p".to_owned() });
        assert_eq!(wait(store.recordings_unsealed()).unwrap(), [call(1)]);
        let sealed = |sha256: &str| Sealed {
            wav: "a.wav".into(),
            tape: None,
            tape_sha256: None,
            sha256: sha256.to_owned(),
            bytes: 44,
            duration: std::time::Duration::from_millis(1500),
            gaps: vec![],
            interrupted: None,
            ..Sealed::default()
        };
        let seal = |sha256| wait(store.recording_sealed(call(1), sealed(sha256), at(9.0))).unwrap();
        assert!(seal("abc"));
        assert!(!seal("def"), "the first one stands");
        assert!(!wait(store.recording_missing(call(1), "disk full", at(9.0))).unwrap());
        let row = wait(store.recording(call(1))).unwrap().unwrap();
        assert_eq!((row.state, row.sha256.as_deref()), (RecordingState::Sealed, Some("abc")));
        assert_eq!(wait(store.recordings_unsealed()).unwrap(), []);
        let changed = write_raw(&store, "UPDATE recording SET digest = 'def'");
        assert!(changed.is_err());
        assert!(!wait(store.recording_sealed(call(9), sealed("x"), at(9.0))).unwrap(), "unknown");
        assert_eq!(one::<i64>(&store, "SELECT count(*) FROM recording"), 1);
    }

    #[test]
    fn a_good_recording_is_whole_and_has_a_voice_but_who_listens_may_be_mute() {
        use crate::duty::journal::Fact;
        use crate::io::store::tests::call;
        use crate::io::store::{Finding, Sealed};
        use crate::protocol::rtp::sound::Fault;
        let (log, another) = (store(), store());
        let is_sealed = |store: &Store, n: u8, seconds: u64, party: &str, fault: Option<Fault>| {
            let (from_ms, lasts_ms, party) = (3000, 4000, party.to_owned());
            let finding = fault.map(|fault| Finding { party, fault, from_ms, lasts_ms });
            let sealed = Sealed {
                sha256: "00".repeat(32),
                duration: std::time::Duration::from_secs(seconds),
                findings: finding.into_iter().collect(),
                ..Sealed::default()
            };
            entry(store, n, 0.0);
            note(store, 5.0, Fact::Answered { call: call(n), phone: "p".to_owned() });
            let now = at(f64::from(n) * 100.0);
            assert!(wait(store.recording_sealed(call(n), sealed, now)).unwrap());
            wait(store.last_good_recording()).unwrap()
        };
        let sealed = |n: u8| Some(at(f64::from(n) * 100.0).wall);
        assert_eq!(is_sealed(&log, 1, 1, "caller", None), None, "too short to say");
        assert_eq!(is_sealed(&log, 2, 9, "caller", None), sealed(2));
        assert_eq!(is_sealed(&log, 3, 9, "caller", Some(Fault::Muted)), sealed(2));
        assert_eq!(is_sealed(&log, 4, 9, "officer", Some(Fault::Silent)), sealed(2));
        assert_eq!(is_sealed(&log, 5, 9, "officer", Some(Fault::Static)), sealed(2));
        assert_eq!(is_sealed(&another, 6, 9, "officer", Some(Fault::Muted)), sealed(6));
    }
}
