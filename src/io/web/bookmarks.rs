//! 标记: places of a recording that somebody wants to find again.

use super::Shared;
use super::auth::Staff;
use super::entry_page::{Reason, refused};
use super::failure::Failure;
use super::page::Page;
use crate::duty::ids::CallId;
use crate::io::clock;
use crate::io::status::Live;
use crate::io::store::Bookmarked;
use axum::extract::{Form, Path, State};
use axum::http::StatusCode;
use serde::Deserialize;

#[derive(Debug, Deserialize)]
pub struct Mark {
    /// Milliseconds from the recording's begin.
    at: u32,
    #[serde(default)]
    text: String,
}

/// `POST /recordings/{call}/bookmarks`
pub async fn make(
    State(shared): State<Shared>,
    Staff(officer): Staff,
    page: Page,
    Path(call): Path<CallId>,
    Form(mark): Form<Mark>,
) -> Result<StatusCode, Failure> {
    let text = Reason::from(mark.text).tidy();
    let made = shared.web.store.bookmark(&officer.who, call, mark.at, &text, clock::now()).await?;
    answer(&shared, &page, call, made)
}

/// `POST /recordings/{call}/bookmarks/{bookmark}`: it is shown no more.
pub async fn take_back(
    State(shared): State<Shared>,
    Staff(officer): Staff,
    page: Page,
    Path((call, bookmark)): Path<(CallId, i64)>,
) -> Result<StatusCode, Failure> {
    let store = &shared.web.store;
    let taken = store.take_bookmark_back(&officer.who, call, bookmark, clock::now()).await?;
    answer(&shared, &page, call, taken)
}

fn answer(
    shared: &Shared,
    page: &Page,
    call: CallId,
    done: Bookmarked,
) -> Result<StatusCode, Failure> {
    match done {
        Bookmarked::Done => {
            shared.web.board.tell(Live::Entry { entry: call.into() });
            Ok(StatusCode::NO_CONTENT)
        }
        Bookmarked::Refused => Err(refused(page.t.bookmark_refused.to_owned())),
    }
}
