//! An entry as its page shows it.

use super::caller_view::{self, ClaimView, Way};
use super::course::{self, CallbackView, LegView, StretchView};
use super::derived::{self, DerivedView};
use super::escalation_view::{self, EscalationView};
use super::messages::{Messages, fill};
use super::outcome::{self, Out};
use super::page::Page;
use super::recorded::{self, RecordingView};
use super::rows;
use super::times;
use super::typed::{self, BookmarkView, PlayFrom, TypedView};
use super::view::{self, Mark};
use super::voices::{self, VoiceView};
use crate::duty::entry::{Category, EntryState, Field};
use crate::duty::journal::Urgency;
use crate::io::store::{
    CallRow, CallState, Change, EntryView as Found, EscalationState,
    EscalationView as FoundEscalation, RevisionKind, RevisionRow, classed_last,
};
use crate::io::tape::Progress;
use crate::protocol::rtp::Party;
use crate::protocol::rtp::quality::Quality;
use chrono::{DateTime, Utc};

pub struct EntryView {
    pub id: String,
    pub number: String,
    pub caller: String,
    pub name: String,
    pub nth: String,
    /// Of an entry of a call.
    pub way: Option<Way>,
    /// 传真: what was heard, and what to do.
    pub fax: Option<String>,
    pub claims: Vec<ClaimView>,
    pub call: Mark,
    /// 演练, 点名, 号码核实
    pub exercise: Option<Mark>,
    /// What the entry has of calls of ours.
    pub out: Out,
    pub state: Mark,
    pub urgency: Mark,
    /// Nine elements are asked for.
    pub event: bool,
    pub times: Vec<When>,
    pub settled: bool,
    /// What closed it can be taken back by one key.
    pub undone: bool,
    pub registrable: bool,
    pub fields: Vec<FieldView>,
    pub missing: Vec<&'static str>,
    pub escalations: Vec<EscalationView>,
    /// 急, 特急: it has been raised, at least as urgent, and not withdrawn.
    pub raised: [bool; 2],
    pub withdrawable: bool,
    /// 人工已联系: the duty leader may have been told by another way; what saying so does.
    pub by_hand: Option<&'static str>,
    /// How he may have been told.
    pub ways: [&'static str; 3],
    /// An instruction waits for its confirmation.
    pub unconfirmed: bool,
    pub legs: Vec<LegView>,
    pub stretches: Vec<StretchView>,
    pub voices: Vec<VoiceView>,
    pub callback: Option<CallbackView>,
    pub recording: RecordingView,
    /// 旁听: who listens to it now.
    pub listeners: Vec<String>,
    pub bookmarks: Vec<BookmarkView>,
    pub derived: Vec<DerivedView>,
    pub typed: Vec<TypedView>,
    pub revisions: Vec<RevisionView>,
}

/// A moment or a span; with `since` it goes on, counted from there in milliseconds since 1970.
pub struct When {
    pub label: &'static str,
    pub text: String,
    pub full: String,
    pub since: Option<i64>,
}

pub struct FieldView {
    pub name: &'static str,
    pub label: &'static str,
    pub value: String,
    pub limit: usize,
    pub needed: bool,
    pub kind: FieldKind,
}

pub enum FieldKind {
    Line,
    /// Lines shown.
    Text(u8),
    Choice(Vec<Choice>),
}

pub struct Choice {
    pub value: &'static str,
    pub text: &'static str,
}

pub struct RevisionView {
    pub time: String,
    pub full_time: String,
    pub who: String,
    pub kind: &'static str,
    pub reason: String,
    /// Where in the recording it was made.
    pub from: Option<PlayFrom>,
    pub changes: Vec<ChangeView>,
}

pub struct ChangeView {
    pub label: &'static str,
    pub old: String,
    pub new: String,
}

/// `leader`: who leads now; `heard`: how whoever is heard now is heard; `tape`: how the call is being recorded.
pub fn of(
    found: &Found,
    leader: &str,
    heard: &[(Party, Quality)],
    tape: Option<&Progress>,
    page: &Page,
    now: DateTime<Utc>,
) -> EntryView {
    let t = page.t;
    let row = &found.row;
    let call = row.call.as_ref();
    let placed = call.is_some_and(|call| call.placed);
    let settled = row.state == EntryState::Closed;
    let event = found.form.category() == Some(Category::Emergency)
        || row.urgency != Urgency::Routine
        || Field::ALL.iter().any(|f| f.of_an_event() && !found.form.get(*f).is_empty());
    let open = |one: &FoundEscalation| one.row.state == EscalationState::Open;
    let stands = |one: &&FoundEscalation| one.row.state != EscalationState::Withdrawn;
    let raised = found.escalations.iter().filter(stands).map(|one| one.row.urgency).max();
    EntryView {
        id: row.id.to_string(),
        number: row.number.clone(),
        caller: call.map_or_else(|| row.caller_phone.clone(), |call| rows::number(call, t)),
        name: call.map_or_else(|| row.caller_unit.clone(), |call| rows::name(call, t)),
        nth: call
            .filter(|call| call.nth_today > 1)
            .map_or_else(String::new, |call| fill(t.nth_call, call.nth_today)),
        fax: found.fax.map(|at| fill(t.fax_heard, times::short(at, now))),
        way: call.filter(|call| !call.placed).map(|call| caller_view::way(call, t)),
        out: outcome::of(found, page, now),
        claims: found.claims.iter().map(caller_view::claim).collect(),
        call: call.map_or(Mark::new("○", "idle", ""), |call| rows::call_mark(call, t)),
        exercise: row.exercise.map(|kind| view::exercise(kind, t)),
        state: view::entry_state(row.state, t),
        urgency: view::urgency(row.urgency, t),
        event,
        times: call.map_or_else(Vec::new, |call| when(call, t, now)),
        settled,
        undone: settled && is_classed_last(found),
        registrable: matches!(row.state, EntryState::Stub | EntryState::Reopened),
        fields: fields(found, placed, page),
        missing: found
            .form
            .missing_to_close()
            .into_iter()
            .map(|field| page.pick(outcome::label(field, placed)))
            .collect(),
        by_hand: found.escalations.first().and_then(|first| escalation_view::may_be_told(first, t)),
        ways: [t.by_mobile, t.by_office_phone, t.in_person],
        unconfirmed: found.escalations.iter().any(escalation_view::is_unconfirmed),
        withdrawable: found.escalations.iter().any(open),
        raised: [Urgency::Urgent, Urgency::Critical].map(|urgency| raised >= Some(urgency)),
        escalations: found
            .escalations
            .iter()
            .map(|one| escalation_view::of(one, leader, page, now))
            .collect(),
        legs: course::legs(&found.legs, t, now),
        stretches: found.stretches.iter().map(|one| course::stretch(one, placed, t, now)).collect(),
        voices: voices::all(&found.voices, heard, placed, t, now),
        callback: found.callback.as_ref().map(|one| course::callback(one, t, now)),
        recording: recorded::of(found, tape, t),
        listeners: vec![],
        derived: found.derived.iter().map(|one| derived::view(one, t)).collect(),
        bookmarks: found.bookmarks.iter().map(|one| typed::bookmark(one, now)).collect(),
        typed: typed::lines(found, placed, page),
        revisions: found
            .revisions
            .iter()
            .rev()
            .map(|one| revision(found, one, placed, page, now))
            .collect(),
    }
}

/// Classed as what needs no action by the last key, which may have been pressed by mistake.
fn is_classed_last(found: &Found) -> bool {
    let last = found.revisions.iter().rev().take(2).flat_map(|one| one.changes.iter().rev());
    classed_last(&last.cloned().collect::<Vec<_>>()).is_some()
}

fn when(call: &CallRow, t: &'static Messages, now: DateTime<Utc>) -> Vec<When> {
    let moment = |label, at: DateTime<Utc>| When {
        label,
        text: times::short(at, now),
        full: times::full(at),
        since: None,
    };
    let span = |label, ms: i64| When {
        label,
        text: times::clock(ms / 1000),
        full: String::new(),
        since: None,
    };
    let going = |label, from: DateTime<Utc>| When {
        label,
        text: times::span(from, now),
        full: times::full(from),
        since: Some(from.timestamp_millis()),
    };
    let began = if call.placed { t.placed_at } else { t.arrived_at };
    let mut times = vec![moment(began, call.arrived)];
    match call.state {
        CallState::Ringing => times.push(going(t.ring_time, call.arrived)),
        CallState::Queued
        | CallState::Message
        | CallState::InCall
        | CallState::Held
        | CallState::Ended => {
            times.extend(call.ring_ms.map(|ms| span(t.ring_time, ms)));
        }
    }
    if let Some(answered) = call.answered {
        times.push(moment(t.answered_at, answered));
        match (call.state, call.talk_ms) {
            (CallState::InCall | CallState::Held, _) => times.push(going(t.talk_time, answered)),
            (
                CallState::Ringing | CallState::Queued | CallState::Message | CallState::Ended,
                talk,
            ) => {
                times.extend(talk.map(|ms| span(t.talk_time, ms)));
            }
        }
    }
    times.extend(call.ended.map(|ended| moment(t.ended_at, ended)));
    if let Some(phone) = call.answered_by.as_ref().filter(|_| !call.placed) {
        times.push(When {
            label: t.answered_by,
            text: phone.clone(),
            full: phone.clone(),
            since: None,
        });
    }
    times
}

/// In the order of the form: who, what, the event, what is done about it.
fn fields(found: &Found, placed: bool, page: &Page) -> Vec<FieldView> {
    use Field::*;
    let (form, missing) = (&found.form, &found.missing);
    let order = [
        CallerUnit,
        CallerName,
        CallerDuty,
        CallerPhone,
        Category,
        Subject,
        Content,
        EventTime,
        EventPlace,
        EventSource,
        EventCause,
        EventCourse,
        EventHarm,
        EventExtent,
        EventTrend,
        EventMeasures,
        Proposal,
        Undertaker,
        Result,
        Remark,
    ];
    let view = |field: Field| FieldView {
        name: field.name(),
        label: page.pick(outcome::label(field, placed)),
        value: form.get(field).to_owned(),
        limit: field.limit(),
        needed: missing.contains(&field),
        kind: kind(field, page),
    };
    order.into_iter().map(view).collect()
}

fn kind(field: Field, page: &Page) -> FieldKind {
    match field {
        Field::Category => {
            let none = Choice { value: "", text: page.t.not_chosen };
            let choice = |one: Category| Choice { value: one.name(), text: page.pick(one.label()) };
            FieldKind::Choice(std::iter::once(none).chain(Category::ALL.map(choice)).collect())
        }
        Field::Content => FieldKind::Text(5),
        Field::EventSource => FieldKind::Text(1),
        Field::EventCause
        | Field::EventCourse
        | Field::EventHarm
        | Field::EventExtent
        | Field::EventTrend
        | Field::EventMeasures
        | Field::Proposal
        | Field::Result
        | Field::Remark => FieldKind::Text(2),
        Field::CallerUnit
        | Field::CallerName
        | Field::CallerDuty
        | Field::CallerPhone
        | Field::Subject
        | Field::EventTime
        | Field::EventPlace
        | Field::Undertaker => FieldKind::Line,
    }
}

fn revision(
    found: &Found,
    row: &RevisionRow,
    placed: bool,
    page: &Page,
    now: DateTime<Utc>,
) -> RevisionView {
    let t = page.t;
    RevisionView {
        time: times::short(row.at, now),
        full_time: times::full(row.at),
        who: row.actor.clone(),
        kind: match row.kind {
            RevisionKind::System => t.revision_system,
            RevisionKind::Filled => t.revision_filled,
            RevisionKind::Corrected => t.revision_corrected,
            RevisionKind::State => t.revision_state,
        },
        reason: row.reason.clone(),
        from: typed::of(found, row),
        changes: row.changes.iter().map(|change| shown(change, placed, page)).collect(),
    }
}

/// A change in words: codes of categories, states and urgencies become their names.
fn shown(change: &Change, placed: bool, page: &Page) -> ChangeView {
    let t = page.t;
    let field = Field::from_name(&change.field);
    let label = match (field, change.field.as_str()) {
        (Some(field), _) => page.pick(outcome::label(field, placed)),
        (None, "urgency") => t.urgency,
        (None, _) => t.state,
    };
    let word = |text: &str| match (field, change.field.as_str()) {
        (Some(Field::Category), _) => {
            Category::from_name(text).map(|known| page.pick(known.label()).to_owned())
        }
        (None, "urgency") => serde_json::from_value(text.into())
            .ok()
            .map(|known: Urgency| view::urgency(known, t).text.to_owned()),
        (None, "state") => serde_json::from_value(text.into())
            .ok()
            .map(|known: EntryState| view::entry_state(known, t).text.to_owned()),
        (Some(_) | None, _) => None,
    };
    let words = |text: &str| word(text).unwrap_or_else(|| text.to_owned());
    ChangeView { label, old: words(&change.old), new: words(&change.new) }
}
