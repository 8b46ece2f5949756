//! `/keeping`: what is held, and the lists of recordings that two people destroy. Whoever agrees has the list before him,
//! item by item, and may say no.

use super::Shared;
use super::auth::Officer;
use super::failure::Failure;
use super::losses::{self, Loss};
use super::messages::keeping::{EN, Messages, ZH};
use super::messages::{fill, fill_two};
use super::page::Page;
use super::refused::Refused;
use super::times;
use super::view::Mark;
use crate::duty::keeping::{Class, Rules};
use crate::io::clock;
use crate::io::store::{Account, Agreed, Due, DueRow, HoldRow, ItemRow, ItemState, ListRow, Word};
use askama::Template;
use axum::extract::{Form, Path, Query, State};
use axum::http::StatusCode;
use axum::response::{Html, IntoResponse, Redirect, Response};
use serde::Deserialize;

/// Characters of a reason.
const REASON: usize = 200;
/// Lists that are shown.
pub(super) const LISTS: u32 = 50;
/// Recordings that are named before a list is made of them.
const NAMED: usize = 200;

#[derive(Template)]
#[template(path = "keeping.html")]
struct Shown<'a> {
    page: &'a Page,
    t: &'static Messages,
    refused: &'a Refused,
    holds: Vec<Hold>,
    terms: Vec<(&'static str, String)>,
    /// None for whoever may not make a list: it is much to read.
    due: Option<Past>,
    lists: Vec<List>,
    /// 第二份作废
    losses: Vec<Loss>,
    /// He may take part in destroying and releasing.
    may: bool,
    /// He may say when recordings were made.
    leads: bool,
}

struct Past {
    count: String,
    left_out: String,
    named: Vec<(String, String, &'static str)>,
    /// 日期存疑
    doubtful: Option<String>,
    /// Where the next page of it begins.
    next: Option<String>,
}

#[derive(Template)]
#[template(path = "keeping_list.html")]
struct ShownList<'a> {
    page: &'a Page,
    t: &'static Messages,
    refused: &'a Refused,
    list: List,
    items: Vec<Item>,
    now: String,
    may: bool,
}

struct Item {
    link: String,
    number: String,
    class: &'static str,
    arrived: String,
    sealed: String,
    length: String,
    mark: Mark,
}

struct Hold {
    id: i64,
    /// Of the request that is shown.
    request: i64,
    gone: Option<String>,
    going: Option<String>,
    link: String,
    number: String,
    placed: String,
    asked: Option<String>,
}

struct List {
    id: i64,
    made: String,
    what: String,
    /// For a second person.
    waits: bool,
    agreed: Option<String>,
    refused: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
pub struct From {
    /// The page of what is past its keeping that follows this recording.
    #[serde(default)]
    pub after: String,
}

pub async fn get(
    State(shared): State<Shared>,
    officer: Officer,
    page: Page,
    Query(from): Query<From>,
) -> Result<Response, Failure> {
    show_from(&shared, &officer, &page, &from, &Refused::nothing()).await
}

fn may(officer: &Officer) -> bool {
    match officer.who.account {
        Account::Leader | Account::Admin => true,
        Account::Officer => false,
    }
}

pub(super) fn said(word: &Word) -> String {
    format!("{} {} {}", times::full(word.at), word.name, word.reason)
}

fn days(rules: &Rules, class: Class, t: &Messages) -> String {
    rules.of(class).map_or_else(|| t.for_ever.to_owned(), |time| fill(t.days, time.num_days()))
}

fn size(bytes: u64) -> String {
    format!("{:.1} MB", bytes as f64 / 1e6)
}

fn class(class: Class, t: &'static Messages) -> &'static str {
    match class {
        Class::Ordinary => t.ordinary,
        Class::Urgent => t.urgent,
        Class::SelfTest => t.self_test,
    }
}

fn list_of(row: &ListRow, t: &'static Messages) -> List {
    let (waits, agreed) = (row.agreed.is_none() && row.refused.is_none(), row.agreed.is_some());
    List {
        id: row.made.id,
        made: said(&row.made),
        what: match agreed {
            false => fill_two(t.list_holds, &row.recordings.to_string(), &size(row.bytes)),
            true => fill_two(t.list_gone, &row.destroyed.to_string(), &row.gone.to_string()),
        },
        waits,
        agreed: row.agreed.as_ref().map(said),
        refused: row.refused.as_ref().map(said),
    }
}

async fn past(shared: &Shared, from: &From, t: &'static Messages) -> Result<Past, Failure> {
    let (rules, after) = (shared.web.keeping, from.after.parse().ok());
    let due = shared.web.store.due(rules, after, clock::now()).await?;
    let Due { list, doubtful, held, no_copy, kept, next } = &due;
    let bytes: u64 = list.iter().map(|row| row.bytes).sum();
    let named = |row: &DueRow| (row.number.clone(), times::full(row.sealed), class(row.class, t));
    let count = fill_two(t.due, &list.len().to_string(), &size(bytes));
    let part = after.is_some() || next.is_some();
    Ok(Past {
        count: if part { format!("{count} {}", t.due_part) } else { count },
        doubtful: (!doubtful.is_empty())
            .then(|| fill(if part { t.doubtful_part } else { t.doubtful_count }, doubtful.len())),
        next: next.map(|next| next.to_string()),
        left_out: [(t.left_held, held), (t.left_no_copy, no_copy), (t.left_kept, kept)]
            .map(|(text, count)| fill(text, count))
            .join(" · "),
        named: list.iter().take(NAMED).map(named).collect(),
    })
}

pub(super) async fn show(
    shared: &Shared,
    officer: &Officer,
    page: &Page,
    refused: &Refused,
) -> Result<Response, Failure> {
    show_from(shared, officer, page, &From::default(), refused).await
}

async fn show_from(
    shared: &Shared,
    officer: &Officer,
    page: &Page,
    from: &From,
    refused: &Refused,
) -> Result<Response, Failure> {
    let (t, rules, store) = (page.pick((&ZH, &EN)), shared.web.keeping, &shared.web.store);
    let hold = |row: &HoldRow| Hold {
        id: row.placed.id,
        request: row.asked.as_ref().map_or(0, |word| word.id),
        gone: (row.gone > 0).then(|| fill(t.hold_gone, row.gone)),
        going: (row.going > 0).then(|| fill(t.hold_going, row.going)),
        link: format!("/?entry={}", row.entry),
        number: row.number.clone(),
        placed: said(&row.placed),
        asked: row.asked.as_ref().map(said),
    };
    let lists = store.destruction_lists(LISTS).await?;
    let shown = Shown {
        holds: store.holds().await?.iter().map(hold).collect(),
        terms: [Class::Ordinary, Class::Urgent, Class::SelfTest]
            .map(|of| (class(of, t), days(&rules, of, t)))
            .into(),
        due: if may(officer) { Some(past(shared, from, t).await?) } else { None },
        lists: lists.iter().map(|row| list_of(row, t)).collect(),
        losses: losses::shown(shared, t).await?,
        may: may(officer),
        leads: officer.who.account == Account::Leader,
        refused,
        page,
        t,
    };
    Ok(Html(shown.render()?).into_response())
}

/// `GET /keeping/lists/{list}`: item by item, before anybody agrees and ever after.
pub async fn get_list(
    State(shared): State<Shared>,
    officer: Officer,
    page: Page,
    Path(list): Path<i64>,
) -> Result<Response, Failure> {
    show_list(&shared, &officer, &page, list, &Refused::nothing()).await
}

fn item(row: &ItemRow, t: &'static Messages) -> Item {
    Item {
        link: format!("/?entry={}", row.entry),
        number: row.number.clone(),
        class: class(row.class, t),
        arrived: times::full(row.arrived),
        sealed: match row.dated {
            None => times::full(row.sealed),
            Some(made) => fill_two(t.dated, &times::full(row.sealed), &times::full(made)),
        },
        length: times::clock(row.duration_ms / 1000),
        mark: match row.state {
            ItemState::Waits => Mark::new("○", "idle", t.item_waits),
            ItemState::Refused => Mark::new("●", "ok", t.item_refused),
            ItemState::LeftOut => Mark::new("●", "ok", t.item_left_out),
            ItemState::GivenUp => Mark::new("▲", "warn", t.item_given_up),
            ItemState::Halted => Mark::new("■", "bad", t.item_halted),
            ItemState::Spared => Mark::new("●", "ok", t.item_spared),
            ItemState::Gone => Mark::new("■", "idle", t.item_gone),
        },
    }
}

async fn show_list(
    shared: &Shared,
    officer: &Officer,
    page: &Page,
    list: i64,
    refused: &Refused,
) -> Result<Response, Failure> {
    let t = page.pick((&ZH, &EN));
    let missing = || Failure::Refused(StatusCode::NOT_FOUND, t.no_such_list.to_owned());
    let (row, items) = shared.web.store.destruction_list(list).await?.ok_or_else(missing)?;
    let shown = ShownList {
        list: list_of(&row, t),
        items: items.iter().map(|row| item(row, t)).collect(),
        now: fill(t.now_is, times::full(clock::now().wall)),
        may: may(officer),
        refused,
        page,
        t,
    };
    Ok(Html(shown.render()?).into_response())
}

pub(super) fn tidy(text: &str) -> String {
    text.trim().chars().filter(|c| !c.is_control()).take(REASON).collect()
}

pub(super) fn only_two(officer: &Officer, page: &Page) -> Result<&'static Messages, Failure> {
    let t = page.pick((&ZH, &EN));
    let refused = || Failure::Refused(StatusCode::FORBIDDEN, t.not_yours.to_owned());
    may(officer).then_some(t).ok_or_else(refused)
}

/// Why the second person's word had no effect.
pub(super) fn not_agreed(agreed: Agreed, t: &Messages) -> Option<&'static str> {
    match agreed {
        Agreed::Agreed => None,
        Agreed::SamePerson => Some(t.another_person),
        Agreed::Nothing => Some(t.nothing_to_agree),
    }
}

/// Where no reason was given that is the fault, else something that was not typed.
pub(super) fn about_reason(
    reason: &str,
    otherwise: &'static str,
    t: &Messages,
) -> (&'static str, &'static str) {
    if reason.is_empty() { ("reason", t.reason_needed) } else { ("", otherwise) }
}

pub(super) fn back() -> Response {
    Redirect::to("/keeping").into_response()
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewHold {
    number: String,
    reason: String,
}

/// `POST /keeping/hold`: anybody on duty may hold; to let go takes two.
pub async fn hold(
    State(shared): State<Shared>,
    officer: Officer,
    page: Page,
    Form(new): Form<NewHold>,
) -> Result<Response, Failure> {
    let t = page.pick((&ZH, &EN));
    let reason = tidy(&new.reason);
    let typed = Refused::typed("hold", &[("number", &new.number), ("reason", &new.reason)]);
    let held = shared.web.store.hold(&officer.who, &new.number, &reason, clock::now()).await?;
    match held {
        Some(held) if held.spared + held.going + held.gone > 0 => {
            let counts = [
                (t.held_spared, held.spared),
                (t.held_going, held.going),
                (t.held_gone, held.gone),
            ];
            let counts = counts.into_iter().filter(|(_, count)| *count > 0);
            let said = counts.map(|(text, count)| fill(text, count)).collect::<String>();
            show(&shared, &officer, &page, &Refused::words(format!("{} {said}", t.held))).await
        }
        Some(_) => Ok(back()),
        None if reason.is_empty() => {
            show(&shared, &officer, &page, &typed.at("reason", t.hold_needs_reason)).await
        }
        None => show(&shared, &officer, &page, &typed.at("number", t.no_such_entry)).await,
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Asked {
    pub id: i64,
    pub reason: String,
}

/// `POST /keeping/release`: the first of two.
pub async fn ask_for_release(
    State(shared): State<Shared>,
    officer: Officer,
    page: Page,
    Form(asked): Form<Asked>,
) -> Result<Response, Failure> {
    let t = only_two(&officer, &page)?;
    let (store, reason) = (&shared.web.store, tidy(&asked.reason));
    match store.ask_for_release(&officer.who, asked.id, &reason, clock::now()).await? {
        true => Ok(back()),
        false => {
            let typed = Refused::typed("release", &[("reason", &asked.reason)]).about(asked.id);
            show(&shared, &officer, &page, &typed.at("reason", t.reason_needed)).await
        }
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Which {
    pub id: i64,
}

/// `POST /keeping/release/agree`: the second, to the request that was shown to him.
pub async fn agree_to_release(
    State(shared): State<Shared>,
    officer: Officer,
    page: Page,
    Form(which): Form<Which>,
) -> Result<Response, Failure> {
    let t = only_two(&officer, &page)?;
    let agreed = shared.web.store.agree_to_release(&officer.who, which.id, clock::now()).await?;
    match not_agreed(agreed, t) {
        None => Ok(back()),
        Some(problem) => show(&shared, &officer, &page, &Refused::words(problem)).await,
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewList {
    reason: String,
}

/// `POST /keeping/list`: the first of two.
pub async fn list(
    State(shared): State<Shared>,
    officer: Officer,
    page: Page,
    Form(new): Form<NewList>,
) -> Result<Response, Failure> {
    let t = only_two(&officer, &page)?;
    let (rules, reason) = (shared.web.keeping, tidy(&new.reason));
    let store = &shared.web.store;
    match store.list_for_destruction(&officer.who, rules, &reason, clock::now()).await? {
        Some(list) => Ok(to_list(list)),
        None => {
            let (field, text) = about_reason(&reason, t.nothing_due, t);
            let typed = Refused::typed("list", &[("reason", &new.reason)]).at(field, text);
            show(&shared, &officer, &page, &typed).await
        }
    }
}

fn to_list(list: i64) -> Response {
    Redirect::to(&format!("/keeping/lists/{list}")).into_response()
}

/// `POST /keeping/list/agree`: the second. What is held by now stays.
pub async fn agree_to_list(
    State(shared): State<Shared>,
    officer: Officer,
    page: Page,
    Form(which): Form<Which>,
) -> Result<Response, Failure> {
    let t = only_two(&officer, &page)?;
    let (store, rules) = (&shared.web.store, shared.web.keeping);
    let agreed = store.agree_to_destruction(&officer.who, which.id, rules, clock::now()).await?;
    match not_agreed(agreed, t) {
        None => Ok(to_list(which.id)),
        Some(problem) => {
            show_list(&shared, &officer, &page, which.id, &Refused::words(problem)).await
        }
    }
}

/// `POST /keeping/list/refuse`: nothing on it is destroyed, and all of it may be listed again.
pub async fn refuse_list(
    State(shared): State<Shared>,
    officer: Officer,
    page: Page,
    Form(asked): Form<Asked>,
) -> Result<Response, Failure> {
    let t = only_two(&officer, &page)?;
    let (store, reason) = (&shared.web.store, tidy(&asked.reason));
    match store.refuse_destruction(&officer.who, asked.id, &reason, clock::now()).await? {
        true => Ok(to_list(asked.id)),
        false => {
            let (field, text) = about_reason(&reason, t.nothing_to_agree, t);
            let typed = Refused::typed("list/refuse", &[("reason", &asked.reason)]);
            show_list(&shared, &officer, &page, asked.id, &typed.at(field, text)).await
        }
    }
}
