//! `GET /events`: what happens right now, pushed to the page.

use super::Shared;
use super::auth::Officer;
use super::failure::Failure;
use crate::io::clock;
use crate::io::status::Live;
use axum::extract::State;
use axum::response::IntoResponse;
use axum::response::sse::{Event, KeepAlive, Sse};
use std::convert::Infallible;
use std::time::Duration;
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::{OwnedSemaphorePermit, broadcast, mpsc};
use tokio_stream::wrappers::ReceiverStream;

/// Streams open at once, all pages together.
pub const STREAMS: usize = 64;
/// After this the page connects again, so that a session that has ended is noticed.
const LONGEST: Duration = Duration::from_secs(600);
/// How soon a page that lost us tries again.
const RETRY: Duration = Duration::from_millis(800);
const WAITING: usize = 64;

type Sender = mpsc::Sender<Result<Event, Infallible>>;

pub async fn stream(
    State(shared): State<Shared>,
    _officer: Officer,
) -> Result<impl IntoResponse, Failure> {
    let permit = shared.streams.clone().try_acquire_owned().map_err(|_| Failure::Unavailable)?;
    let listener = shared.web.board.listen();
    let (sender, receiver) = mpsc::channel(WAITING);
    tokio::spawn(pump(shared, listener, sender, permit));
    Ok(Sse::new(ReceiverStream::new(receiver)).keep_alive(KeepAlive::default()))
}

async fn pump(
    shared: Shared,
    mut listener: broadcast::Receiver<Live>,
    sender: Sender,
    _permit: OwnedSemaphorePermit,
) {
    let hello = serde_json::json!({ "now": clock::now().wall.timestamp_millis() });
    let hello = Event::default().event("hello").retry(RETRY).data(hello.to_string());
    let end = tokio::time::sleep(LONGEST);
    tokio::pin!(end);
    let mut next = hello;
    loop {
        if sender.send(Ok(next)).await.is_err() {
            return;
        }
        tokio::select! {
            () = shared.closing.cancelled() => return,
            () = sender.closed() => return,
            () = &mut end => return,
            heard = listener.recv() => match heard {
                Ok(live) => next = event(&live),
                Err(RecvError::Lagged(_)) => next = Event::default().event("resync").data("{}"),
                Err(RecvError::Closed) => return,
            },
        }
    }
}

fn event(live: &Live) -> Event {
    let name = match live {
        Live::Ringing { .. } => "ringing",
        Live::Entry { .. } => "entry",
        Live::NotPlaced { .. } => "not_placed",
        Live::Escalation { .. } => "escalation",
        Live::Status => "status",
        Live::Levels { .. } => "levels",
    };
    let data = serde_json::to_string(live).unwrap_or_else(|_| "{}".to_owned());
    Event::default().event(name).data(data)
}
