//! 第二份作废, on `/keeping`: the copies are on a place that will not come back. Two people say so.

use super::Shared;
use super::auth::Officer;
use super::failure::Failure;
use super::keeping::{
    Asked, LISTS, Which, about_reason, back, not_agreed, only_two, said, show, tidy,
};
use super::messages::fill;
use super::messages::keeping::Messages;
use super::page::Page;
use super::refused::Refused;
use crate::io::clock;
use crate::io::store::LossRow;
use axum::extract::{Form, State};
use axum::response::Response;
use serde::Deserialize;

pub struct Loss {
    pub id: i64,
    pub said: String,
    pub copies: String,
    pub waits: bool,
    pub agreed: Option<String>,
    pub refused: Option<String>,
}

pub async fn shown(shared: &Shared, t: &'static Messages) -> Result<Vec<Loss>, Failure> {
    let one = |row: &LossRow| Loss {
        id: row.said.id,
        said: said(&row.said),
        copies: fill(t.loss_copies, row.copies),
        waits: row.agreed.is_none() && row.refused.is_none(),
        agreed: row.agreed.as_ref().map(said),
        refused: row.refused.as_ref().map(said),
    };
    Ok(shared.web.store.losses(LISTS).await?.iter().map(one).collect())
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewLoss {
    reason: String,
}

/// `POST /keeping/copies`: the first of two.
pub async fn lose(
    State(shared): State<Shared>,
    officer: Officer,
    page: Page,
    Form(new): Form<NewLoss>,
) -> Result<Response, Failure> {
    let t = only_two(&officer, &page)?;
    let reason = tidy(&new.reason);
    match shared.web.store.lose_copies(&officer.who, &reason, clock::now()).await? {
        Some(_) => Ok(back()),
        None => {
            let (field, text) = about_reason(&reason, t.loss_none, t);
            let typed = Refused::typed("copies", &[("reason", &new.reason)]).at(field, text);
            show(&shared, &officer, &page, &typed).await
        }
    }
}

/// `POST /keeping/copies/agree`: the second.
pub async fn agree(
    State(shared): State<Shared>,
    officer: Officer,
    page: Page,
    Form(which): Form<Which>,
) -> Result<Response, Failure> {
    let t = only_two(&officer, &page)?;
    let agreed = shared.web.store.agree_to_loss(&officer.who, which.id, clock::now()).await?;
    match not_agreed(agreed, t) {
        None => Ok(back()),
        Some(problem) => show(&shared, &officer, &page, &Refused::words(problem)).await,
    }
}

/// `POST /keeping/copies/refuse`: they count as before.
pub async fn refuse(
    State(shared): State<Shared>,
    officer: Officer,
    page: Page,
    Form(asked): Form<Asked>,
) -> Result<Response, Failure> {
    let t = only_two(&officer, &page)?;
    let reason = tidy(&asked.reason);
    match shared.web.store.refuse_loss(&officer.who, asked.id, &reason, clock::now()).await? {
        true => Ok(back()),
        false => {
            let (field, text) = about_reason(&reason, t.nothing_to_agree, t);
            let typed = Refused::typed("copies/refuse", &[("reason", &asked.reason)]);
            show(&shared, &officer, &page, &typed.about(asked.id).at(field, text)).await
        }
    }
}
