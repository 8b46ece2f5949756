//! One entry: shown, filled in field by field, flagged, registered, closed, withdrawn.

use super::Shared;
use super::auth::{Officer, Staff};
use super::desk;
use super::entry_view::{self, EntryView, FieldKind};
use super::failure::Failure;
use super::ladder::{self, Drawing};
use super::messages::fill;
use super::page::Page;
use crate::duty::entry::{Category, Field};
use crate::duty::ids::EntryId;
use crate::duty::journal::{Fact, Urgency};
use crate::duty::switchboard::Input;
use crate::io::clock;
use crate::io::status::{Live, PartState};
use crate::io::store::{Account, Completed, FieldEdit, Flagged, Reopened, Saved};
use askama::Template;
use axum::Json;
use axum::extract::{Form, Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{Html, IntoResponse, Response};
use serde::Deserialize;
use serde_json::json;
use std::time::Duration;

/// How long the log may take to have a flag before the telephone notes it.
const FLAG_WITHIN: Duration = Duration::from_secs(3);

/// Seconds.
const DAY: u64 = 24 * 3600;

#[derive(Template)]
#[template(path = "entry.html")]
struct Article<'a> {
    page: &'a Page,
    entry: EntryView,
    ladder: Option<Drawing>,
    linked_away: bool,
    /// Where the clock was not to be trusted when it was made: by how much it may have been out.
    unsure: Option<String>,
}

/// The entry as a fragment; `None` where there is no such entry.
pub async fn article(
    shared: &Shared,
    page: &Page,
    entry: EntryId,
) -> Result<Option<String>, Failure> {
    let Some(found) = shared.web.store.entry(entry).await? else { return Ok(None) };
    let ladder = match &found.row.call {
        Some(call) => ladder::drawing(entry, &shared.web.store.ladder(call.id).await?, page.t),
        None => None,
    };
    let heard = found.row.call.as_ref().map(|call| shared.web.board.voices(call.id));
    let heard = heard.unwrap_or_default();
    let tape = found.row.call.as_ref().and_then(|call| shared.web.board.tape(call.id));
    let now = clock::now();
    let leader = shared.web.store.leader_now(now).await?;
    let mut entry = entry_view::of(&found, &leader, &heard, tape.as_ref(), page, now.wall);
    let listeners = found.row.call.as_ref().map(|call| shared.web.board.listeners(call.id));
    entry.listeners = listeners.unwrap_or_default();
    let error = found.clock_error.filter(|_| !page.demo);
    let unsure = error.map(|error| match error.as_secs() {
        seconds @ ..DAY => fill(page.t.time_error, seconds + 1),
        seconds => fill(page.t.time_error_days, seconds / DAY + 1),
    });
    Ok(Some(Article { page, entry, ladder, linked_away: true, unsure }.render()?))
}

/// `GET /entries/{entry}`: the fragment for a script, the whole desk for a person.
pub async fn get(
    State(shared): State<Shared>,
    Staff(officer): Staff,
    page: Page,
    Path(entry): Path<EntryId>,
    headers: HeaderMap,
) -> Result<Response, Failure> {
    // A leader has the matter before him: that is 阅件.
    if officer.who.account == Account::Leader
        && shared.web.store.entry_opened(&officer.who, entry, clock::now()).await?
    {
        shared.web.wake.notify_one();
        shared.web.board.tell(Live::Escalation { entry });
    }
    if headers.contains_key("hx-request") {
        return shown(&shared, &page, entry).await;
    }
    desk::show(&shared, &officer, &page, Some(entry), None).await
}

pub async fn shown(shared: &Shared, page: &Page, entry: EntryId) -> Result<Response, Failure> {
    let article = article(shared, page, entry).await?.ok_or_else(|| gone(page))?;
    Ok(Html(article).into_response())
}

pub fn gone(page: &Page) -> Failure {
    Failure::Refused(StatusCode::NOT_FOUND, page.t.entry_gone.to_owned())
}

pub fn refused(words: String) -> Failure {
    Failure::Refused(StatusCode::UNPROCESSABLE_ENTITY, words)
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Edit {
    field: String,
    /// What the field read when the officer began to type.
    base: String,
    value: String,
    /// Why it is changed, where that has to be said.
    #[serde(default)]
    reason: String,
}

/// `PATCH /entries/{entry}`: one field, if it still reads what the officer saw; 409 with the other
/// text where it does not; 428 where it has to be said why.
pub async fn save(
    State(shared): State<Shared>,
    Staff(officer): Staff,
    page: Page,
    Path(entry): Path<EntryId>,
    Json(edit): Json<Edit>,
) -> Result<Response, Failure> {
    let Some(field) = Field::from_name(&edit.field) else {
        return Err(refused(page.t.not_found.to_owned()));
    };
    let store = &shared.web.store;
    let Edit { base: old, value: new, reason, .. } = edit;
    let edit = FieldEdit { field, old, new, reason: Reason::from(reason).tidy() };
    match store.edit_field(&officer.who, entry, edit, clock::now()).await? {
        Saved::Saved { completeness } => {
            shared.web.board.tell(Live::Entry { entry });
            Ok(Json(json!({ "completeness": completeness })).into_response())
        }
        Saved::Conflict { theirs } => {
            Ok((StatusCode::CONFLICT, Json(json!({ "theirs": theirs }))).into_response())
        }
        Saved::NeedsReason => Err(Failure::Refused(
            StatusCode::PRECONDITION_REQUIRED,
            page.t.change_needs_reason.to_owned(),
        )),
        Saved::Refused { zh, en, .. } => Err(refused(page.pick((zh, en)))),
        Saved::NotFound => Err(gone(&page)),
    }
}

#[derive(Debug, Deserialize)]
pub struct Flag {
    urgency: Urgency,
}

/// `POST /entries/{entry}/urgency`: 急 or 特急; the leaders are called.
pub async fn flag(
    State(shared): State<Shared>,
    Staff(officer): Staff,
    page: Page,
    Path(entry): Path<EntryId>,
    Form(flag): Form<Flag>,
) -> Result<Response, Failure> {
    let store = &shared.web.store;
    let flagged = store.flag(&officer.who, entry, flag.urgency, clock::now());
    let Ok(Ok(flagged)) = tokio::time::timeout(FLAG_WITHIN, flagged).await else {
        return flag_aside(&shared, officer, entry, flag.urgency, &page).await;
    };
    match flagged {
        Flagged::Raised(_) | Flagged::Upgraded(_) => {
            shared.web.wake.notify_one();
            shared.web.board.tell(Live::Entry { entry });
            shared.web.board.tell(Live::Escalation { entry });
        }
        Flagged::Already(_) => {}
        Flagged::NotUrgent => return Err(refused(page.t.withdraw_hint.to_owned())),
        Flagged::Exercise => return Err(refused(page.t.exercise_not_flagged.to_owned())),
        // The call is not in the log yet, which has just taken its first words again.
        Flagged::NotFound if shared.web.board.status().log != PartState::Ok => {
            return flag_aside(&shared, officer, entry, flag.urgency, &page).await;
        }
        Flagged::NotFound => return Err(gone(&page)),
    }
    shown(&shared, &page, entry).await
}

/// The log does not take it: the switchboard tells it with everything else, and the leaders are
/// called from memory.
async fn flag_aside(
    shared: &Shared,
    officer: Officer,
    entry: EntryId,
    urgency: Urgency,
    page: &Page,
) -> Result<Response, Failure> {
    let fact = Fact::Flagged { entry, urgency, phone: officer.who.name };
    match shared.web.dialler.orders.send(Input::Note(fact)).await {
        Ok(()) => Ok((StatusCode::ACCEPTED, page.t.flagged_aside).into_response()),
        Err(_) => Err(Failure::Unavailable),
    }
}

#[derive(Debug, Deserialize)]
pub struct Class {
    category: String,
}

/// `POST /entries/{entry}/class`: 打错 and 骚扰 need one key and no more.
pub async fn classify(
    State(shared): State<Shared>,
    Staff(officer): Staff,
    page: Page,
    Path(entry): Path<EntryId>,
    Form(class): Form<Class>,
) -> Result<Response, Failure> {
    let store = &shared.web.store;
    let quick = Category::from_name(&class.category).filter(|class| class.needs_no_action());
    let Some(category) = quick else { return Err(refused(page.t.not_found.to_owned())) };
    let found = store.entry(entry).await?.ok_or_else(|| gone(&page))?;
    let (now, old) = (clock::now(), found.form.get(Field::Category));
    let saved = store.save_field(&officer.who, entry, Field::Category, old, category.name(), now);
    match saved.await? {
        Saved::Saved { .. } => {}
        Saved::Conflict { theirs } => return Err(refused(format!("{}{theirs}", page.t.conflict))),
        Saved::NeedsReason => return Err(refused(page.t.change_needs_reason.to_owned())),
        Saved::Refused { zh, en, .. } => return Err(refused(page.pick((zh, en)))),
        Saved::NotFound => return Err(gone(&page)),
    }
    let completed = store.complete(&officer.who, entry, now).await?;
    after(&shared, &page, entry, completed).await
}

/// `POST /entries/{entry}/register`: 登记
pub async fn register(
    State(shared): State<Shared>,
    Staff(officer): Staff,
    page: Page,
    Path(entry): Path<EntryId>,
) -> Result<Response, Failure> {
    let completed = shared.web.store.complete(&officer.who, entry, clock::now()).await?;
    after(&shared, &page, entry, completed).await
}

/// `POST /entries/{entry}/close`: 办结
pub async fn close(
    State(shared): State<Shared>,
    Staff(officer): Staff,
    page: Page,
    Path(entry): Path<EntryId>,
) -> Result<Response, Failure> {
    let completed = shared.web.store.close(&officer.who, entry, clock::now()).await?;
    after(&shared, &page, entry, completed).await
}

/// `POST /entries/{entry}/reopen`: 重新打开, with a reason.
pub async fn reopen(
    State(shared): State<Shared>,
    Staff(officer): Staff,
    page: Page,
    Path(entry): Path<EntryId>,
    Form(reason): Form<Reason>,
) -> Result<Response, Failure> {
    let store = &shared.web.store;
    let reopened = store.reopen_entry(&officer.who, entry, &reason.tidy(), clock::now()).await?;
    opened(&shared, &page, entry, reopened).await
}

/// `POST /entries/{entry}/class/undo`: F7 or F8 was pressed by mistake.
pub async fn take_class_back(
    State(shared): State<Shared>,
    Staff(officer): Staff,
    page: Page,
    Path(entry): Path<EntryId>,
) -> Result<Response, Failure> {
    let store = &shared.web.store;
    let reopened = store.take_class_back(&officer.who, entry, clock::now()).await?;
    opened(&shared, &page, entry, reopened).await
}

async fn opened(
    shared: &Shared,
    page: &Page,
    entry: EntryId,
    reopened: Reopened,
) -> Result<Response, Failure> {
    match reopened {
        Reopened::Reopened => shared.web.board.tell(Live::Entry { entry }),
        Reopened::NoReason => return Err(refused(page.t.reopen_needs_reason.to_owned())),
        Reopened::NotClosed => return Err(refused(page.t.not_closed.to_owned())),
        Reopened::NotFound => return Err(gone(page)),
    }
    shown(shared, page, entry).await
}

async fn after(
    shared: &Shared,
    page: &Page,
    entry: EntryId,
    completed: Completed,
) -> Result<Response, Failure> {
    match completed {
        Completed::Registered | Completed::Closed => {
            shared.web.board.tell(Live::Entry { entry });
        }
        Completed::Already => {}
        Completed::Missing(fields) => {
            let names: Vec<&str> = fields.iter().map(|field| page.pick(field.label())).collect();
            let names = names.join(page.t.list_comma);
            return Err(refused(format!("{}{names}", page.t.missing_now)));
        }
        Completed::NotFound => return Err(gone(page)),
    }
    shown(shared, page, entry).await
}

#[derive(Debug, Deserialize)]
pub struct Reason {
    reason: String,
}

/// Characters of the longest reason.
const REASON: usize = 200;

impl From<String> for Reason {
    fn from(reason: String) -> Self {
        Self { reason }
    }
}

impl Reason {
    pub fn tidy(&self) -> String {
        self.reason.chars().filter(|c| !c.is_control()).take(REASON).collect()
    }
}
