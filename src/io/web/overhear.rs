//! 旁听: a call that goes on, heard a moment later. Who listens and why is audited, and the officer sees it.
//!
//! The answer is samples and nothing else: 8000 a second, 16 bit, little-endian, left and right by turns.

use super::Shared;
use super::auth::{Officer, Staff};
use super::entry_page::refused;
use super::failure::Failure;
use super::page::Page;
use crate::duty::ids::CallId;
use crate::io::clock;
use crate::io::status::{Listens, Live};
use crate::io::store::Account;
use crate::io::tape::Listening;
use axum::body::{Body, Bytes};
use axum::extract::{Path, Query, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, mpsc};
use tokio_stream::wrappers::ReceiverStream;

/// At once, to whatever calls.
pub const LISTENERS: usize = 8;
/// Blocks that wait for a browser; it misses what is more, and stays at what is said now.
const WAITING: usize = 5;
/// As often it is looked whether the call is still recorded.
const LOOK: Duration = Duration::from_secs(2);
/// As often it is asked whether he may still listen: his session may end, or another account become his.
const MAY: Duration = Duration::from_secs(10);
const REASON: usize = 64;

#[derive(Deserialize)]
pub struct Wish {
    #[serde(default)]
    why: String,
}

/// `GET /recordings/{call}/live?why=…`
pub async fn get(
    State(shared): State<Shared>,
    Staff(officer): Staff,
    page: Page,
    Path(call): Path<CallId>,
    Query(wish): Query<Wish>,
) -> Result<Response, Failure> {
    let (t, board) = (page.t, &shared.web.board);
    let why: String = wish.why.chars().filter(|c| !c.is_control()).take(REASON).collect();
    let why = why.trim().to_owned();
    if why.is_empty() {
        return Err(refused(t.listen_why_needed.to_owned()));
    }
    let full = || Failure::Refused(StatusCode::TOO_MANY_REQUESTS, t.listen_full.to_owned());
    let permit = Arc::clone(&shared.listeners).try_acquire_owned().map_err(|_| full())?;
    if board.tape(call).is_none() {
        return Err(Failure::Refused(StatusCode::NOT_FOUND, t.recall_none.to_owned()));
    }
    let listening = shared.web.recall.listen(call.0);
    shared.web.store.recording_overheard(&officer.who, call, &why, None, clock::now()).await?;
    let heard = board.listens(call, &officer.who.name);
    let (to, body) = mpsc::channel(WAITING);
    let ear = Ear { shared: shared.clone(), officer, call, heard, _permit: permit };
    tokio::spawn(ear.pump(listening, to));
    let headers = [
        (header::CONTENT_TYPE, "application/octet-stream"),
        (header::CACHE_CONTROL, "private, no-store"),
    ];
    Ok((headers, Body::from_stream(ReceiverStream::new(body))).into_response())
}

struct Ear {
    shared: Shared,
    officer: Officer,
    call: CallId,
    /// The officer sees it as long as this is there.
    heard: Listens,
    _permit: OwnedSemaphorePermit,
}

impl Ear {
    /// Until the call is over, the browser has gone, he may no longer, or the daemon stops.
    async fn pump(self, mut listening: Listening, to: mpsc::Sender<io::Result<Bytes>>) {
        let Self { shared, officer, call, heard, _permit } = self;
        let began = clock::mono();
        let mut look = tokio::time::interval(LOOK);
        let mut ask = tokio::time::interval_at(tokio::time::Instant::now() + MAY, MAY);
        loop {
            tokio::select! {
                block = listening.next() => {
                    let Some(block) = block else { break };
                    let bytes: Vec<u8> = block.iter().flat_map(|sample| sample.to_le_bytes()).collect();
                    // A browser that is slow misses it.
                    if let Err(mpsc::error::TrySendError::Closed(_)) = to.try_send(Ok(bytes.into())) {
                        break;
                    }
                }
                _ = look.tick() => if shared.web.board.tape(call).is_none() { break },
                _ = ask.tick() => if !may_still(&shared, &officer).await { break },
                () = to.closed() => break,
                () = shared.closing.cancelled() => break,
            }
        }
        drop(to);
        drop(heard);
        let lasted = Some(clock::mono().since(began));
        let noted =
            shared.web.store.recording_overheard(&officer.who, call, "", lasted, clock::now());
        if let Err(error) = noted.await {
            tracing::error!(%error, %call, "how long somebody listened is not in the log");
        }
        shared.web.board.tell(Live::Entry { entry: call.into() });
    }
}

/// As he might begin anew; not where the log cannot say so.
async fn may_still(shared: &Shared, officer: &Officer) -> bool {
    let asked = shared.web.store.session(&officer.token, &officer.who.terminal, clock::now());
    matches!(asked.await, Ok(Some(who)) if who.account != Account::Admin)
}
