//! What is done about an escalation on the page: withdrawn, told by hand, an instruction confirmed, acknowledged by a
//! leader who is logged in.

use super::Shared;
use super::auth::Staff;
use super::entry_page::{Reason, gone, refused, shown};
use super::failure::Failure;
use super::page::Page;
use crate::duty::ids::EntryId;
use crate::duty::switchboard::AckOutcome;
use crate::io::clock;
use crate::io::status::Live;
use crate::io::store::{Account, Withdrawn};
use axum::extract::{Form, Path, State};
use axum::response::Response;

/// `POST /entries/{entry}/withdraw`: ends the calling of leaders, with a reason.
pub async fn withdraw(
    State(shared): State<Shared>,
    Staff(officer): Staff,
    page: Page,
    Path(entry): Path<EntryId>,
    Form(given): Form<Reason>,
) -> Result<Response, Failure> {
    let reason = given.tidy();
    match shared.web.store.withdraw(&officer.who, entry, &reason, clock::now()).await? {
        Withdrawn::Withdrawn(_) => {
            shared.web.wake.notify_one();
            shared.web.board.tell(Live::Entry { entry });
            shared.web.board.tell(Live::Escalation { entry });
        }
        Withdrawn::NoReason => return Err(refused(page.t.reason_needed.to_owned())),
        Withdrawn::Acknowledged(_) => {
            return Err(refused(page.t.escalation_acknowledged.to_owned()));
        }
        Withdrawn::NothingOpen => return Err(refused(page.t.escalation_none.to_owned())),
    }
    shown(&shared, &page, entry).await
}

/// `POST /entries/{entry}/leader`: the officer spoke to the duty leader by another way; his redial
/// ends.
pub async fn leader_spoken_to(
    State(shared): State<Shared>,
    Staff(officer): Staff,
    page: Page,
    Path(entry): Path<EntryId>,
    Form(given): Form<Reason>,
) -> Result<Response, Failure> {
    let how = given.tidy();
    if how.trim().is_empty() {
        return Err(refused(page.t.reason_needed.to_owned()));
    }
    let store = &shared.web.store;
    if !store.leader_spoken_to(&officer.who, entry, &how, clock::now()).await? {
        return Err(refused(page.t.leader_knows.to_owned()));
    }
    shared.web.wake.notify_one();
    shared.web.board.tell(Live::Escalation { entry });
    shown(&shared, &page, entry).await
}

/// `POST /entries/{entry}/confirm`: 回执, what a leader has said is understood.
pub async fn confirm(
    State(shared): State<Shared>,
    Staff(officer): Staff,
    page: Page,
    Path(entry): Path<EntryId>,
) -> Result<Response, Failure> {
    if !shared.web.store.confirm_instructions(&officer.who, entry, clock::now()).await? {
        return Err(refused(page.t.nothing_to_confirm.to_owned()));
    }
    shared.web.wake.notify_one();
    shared.web.board.tell(Live::Escalation { entry });
    shown(&shared, &page, entry).await
}

/// `POST /entries/{entry}/acknowledge`: a leader has it before him and says so. A link alone, which programs follow,
/// acknowledges nothing.
pub async fn acknowledge(
    State(shared): State<Shared>,
    Staff(officer): Staff,
    page: Page,
    Path(entry): Path<EntryId>,
) -> Result<Response, Failure> {
    if officer.who.account != Account::Leader {
        return Err(refused(page.t.only_leaders.to_owned()));
    }
    let (store, now) = (&shared.web.store, clock::now());
    match store.acknowledge_on_page(&officer.who, entry, now).await? {
        Some(AckOutcome::Withdrawn) => {
            return Err(refused(page.t.escalation_withdrawn.to_owned()));
        }
        Some(_) => {}
        None => return Err(gone(&page)),
    }
    shared.web.wake.notify_one();
    shared.web.board.tell(Live::Entry { entry });
    shared.web.board.tell(Live::Escalation { entry });
    shown(&shared, &page, entry).await
}
