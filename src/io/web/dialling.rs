//! Calling out (呼出): a number of an entry, of the directory, or typed. The switchboard decides; the
//! page waits for what the log is told of it.

use super::Shared;
use super::auth::{Officer, Staff};
use super::entry_page::{gone, refused, shown};
use super::failure::Failure;
use super::messages::Messages;
use super::page::Page;
use super::view;
use crate::duty::entry::Field;
use crate::duty::ids::{CallId, EntryId};
use crate::duty::placed::{Asker, DialOrder, Refusal};
use crate::duty::roster::{Role, Roster};
use crate::duty::switchboard::Input;
use crate::io::clock;
use crate::io::status::Live;
use crate::io::store::ContactRow;
use askama::Template;
use axum::Json;
use axum::extract::{Form, Path, Query, State};
use axum::http::StatusCode;
use axum::response::{Html, IntoResponse, Response};
use serde::Deserialize;
use serde_json::json;
use std::time::Duration;
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::{broadcast, mpsc};

/// How long the switchboard and the log may take to say what becomes of a wish.
const ANSWER_WITHIN: Duration = Duration::from_secs(3);
/// Contacts shown at once; more are found by what they are called.
const CONTACTS: u32 = 60;
/// Characters of the longest number or name that is looked at.
const LONGEST: usize = 64;

/// What calling out needs of the daemon.
#[derive(Debug, Clone)]
pub struct Dialler {
    pub orders: mpsc::Sender<Input>,
    /// Officers' phones by their names, the usual one first.
    pub phones: Vec<String>,
    /// Who can be called with one key (C-21).
    pub roster: Roster,
}

/// An officer's wish.
#[derive(Debug, Deserialize)]
pub struct Wish {
    /// Empty: that of the entry.
    #[serde(default)]
    number: String,
    #[serde(default)]
    name: String,
    /// Empty: the usual one.
    #[serde(default)]
    phone: String,
    about: Option<EntryId>,
}

/// `POST /dial`: 201 with the entry of the new call, or 422 with the reason and the remedy.
pub async fn dial(
    State(shared): State<Shared>,
    Staff(officer): Staff,
    page: Page,
    Form(wish): Form<Wish>,
) -> Result<Response, Failure> {
    let dialler = &shared.web.dialler;
    let (number, name) = wanted(&shared, &page, &wish).await?;
    let phone = match wish.phone.as_str() {
        "" => dialler.phones.first().cloned().unwrap_or_default(),
        phone => cut(phone),
    };
    let call = CallId::new(clock::now(), &mut clock::random());
    let asker = asker(officer);
    let order = DialOrder { call, asker, number, name, phone, about: wish.about };
    let mut live = shared.web.board.listen();
    dialler.orders.send(Input::Dial(order)).await.map_err(|_| Failure::Unavailable)?;
    match tokio::time::timeout(ANSWER_WITHIN, outcome(&mut live, call)).await {
        Ok(Ok(())) => {
            let entry = EntryId::from(call);
            Ok((StatusCode::CREATED, Json(json!({ "entry": entry }))).into_response())
        }
        Ok(Err(why)) => Err(refused(words(why, page.t).to_owned())),
        Err(_) => {
            let words = page.t.dial_unanswered.to_owned();
            Err(Failure::Refused(StatusCode::SERVICE_UNAVAILABLE, words))
        }
    }
}

fn asker(officer: Officer) -> Asker {
    let who = officer.who;
    Asker { name: who.name, person: Some(who.id.0), terminal: who.terminal }
}

/// The number, and whose it is.
async fn wanted(shared: &Shared, page: &Page, wish: &Wish) -> Result<(String, String), Failure> {
    if !wish.number.is_empty() {
        return Ok((cut(&wish.number), cut(&wish.name)));
    }
    let Some(about) = wish.about else { return Err(refused(page.t.dial_no_number.to_owned())) };
    let found = shared.web.store.entry(about).await?.ok_or_else(|| gone(page))?;
    let text = |field| cut(found.form.get(field));
    let call = found.row.call.as_ref();
    let number = match text(Field::CallerPhone) {
        number if number.is_empty() => call.map_or_else(String::new, |call| cut(&call.caller)),
        number => number,
    };
    let name = [text(Field::CallerUnit), text(Field::CallerName)].join(" ");
    Ok((number, name.trim().to_owned()))
}

/// What the log is told of it: the entry, or why there is none.
async fn outcome(live: &mut broadcast::Receiver<Live>, wanted: CallId) -> Result<(), Refusal> {
    loop {
        match live.recv().await {
            Ok(Live::Entry { entry }) if entry == wanted.into() => return Ok(()),
            Ok(Live::NotPlaced { call, why }) if call == wanted => return Err(why),
            Ok(_) | Err(RecvError::Lagged(_)) => {}
            Err(RecvError::Closed) => std::future::pending().await,
        }
    }
}

fn cut(text: &str) -> String {
    text.trim().chars().filter(|c| !c.is_control()).take(LONGEST).collect()
}

fn words(why: Refusal, t: &Messages) -> &'static str {
    match why {
        Refusal::NoNumber => t.dial_no_number,
        Refusal::Ourselves => t.dial_ourselves,
        Refusal::NotNamed => t.dial_not_named,
        Refusal::TooMany => t.dial_too_many,
        Refusal::NoPhone => t.dial_no_phone,
        Refusal::NoChannel => t.dial_no_channel,
        Refusal::Stopping => t.dial_stopping,
    }
}

/// `POST /entries/{entry}/hangup`: the officer does not want a call of ours any more.
pub async fn hang_up(
    State(shared): State<Shared>,
    Staff(officer): Staff,
    page: Page,
    Path(entry): Path<EntryId>,
) -> Result<Response, Failure> {
    let call = CallId(entry.0);
    let mut live = shared.web.board.listen();
    let orders = &shared.web.dialler.orders;
    orders
        .send(Input::GiveUp { call, asker: asker(officer) })
        .await
        .map_err(|_| Failure::Unavailable)?;
    // Shown as it is then; where nothing comes of it, as it is now.
    let _ = tokio::time::timeout(ANSWER_WITHIN, outcome(&mut live, call)).await;
    shown(&shared, &page, entry).await
}

#[derive(Debug, Deserialize)]
pub struct Asked {
    #[serde(default)]
    find: String,
}

/// Somebody who can be called with one key.
struct Known {
    name: String,
    role: &'static str,
    number: String,
}

#[derive(Template)]
#[template(path = "contacts.html")]
struct Fragment {
    page: Page,
    people: Vec<Known>,
    contacts: Vec<ContactRow>,
    more: bool,
}

/// `GET /contacts?find=`: whom the officer may call, the fixed ones first.
pub async fn contacts(
    State(shared): State<Shared>,
    _: Staff,
    page: Page,
    Query(asked): Query<Asked>,
) -> Result<Html<String>, Failure> {
    let find = cut(&asked.find);
    let contacts = shared.web.store.find_contacts(&find, CONTACTS).await?;
    let people = match find.is_empty() {
        true => known(&shared.web.dialler.roster, page.t),
        false => vec![],
    };
    let more = u32::try_from(contacts.len()).is_ok_and(|there| there >= CONTACTS);
    Ok(Html(Fragment { page, people, contacts, more }.render()?))
}

/// C-21: 带班领导, 办公室主任, 中心主要领导; and who stands in.
fn known(roster: &Roster, t: &'static Messages) -> Vec<Known> {
    let roles = [Role::Leader, Role::OfficeDirector, Role::Head, Role::Substitute];
    let people = roles.into_iter().filter_map(|role| roster.holder(role));
    let numbers = people.flat_map(|one| {
        let numbers = [&one.mobile, &one.office].into_iter().flatten();
        numbers.map(|number| Known {
            name: one.name.clone(),
            role: view::role(one.role, t),
            number: number.clone(),
        })
    });
    numbers.collect()
}
