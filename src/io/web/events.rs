//! `GET /events`: what happens right now, pushed to the page.

use super::Shared;
use super::auth::Officer;
use super::failure::Failure;
use crate::io::clock;
use crate::io::status::Live;
use crate::io::store::Store;
use axum::extract::State;
use axum::response::IntoResponse;
use axum::response::sse::{Event, Sse};
use chrono::{DateTime, Utc};
use std::convert::Infallible;
use std::time::Duration;
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::{OwnedSemaphorePermit, broadcast, mpsc};
use tokio::time::{Instant, MissedTickBehavior, interval_at};
use tokio_stream::wrappers::ReceiverStream;

/// Streams open at once, all pages together.
pub const STREAMS: usize = 64;
/// So often a page is told that we are there: a connection that dies without a word is noticed by that.
const BEAT: Duration = Duration::from_secs(5);
/// How often a session is looked up that may have been ended before its time.
const LOOKED_UP: Duration = Duration::from_secs(60);
/// How long that may take.
const LOOK: Duration = Duration::from_secs(2);
/// How soon a page that lost us tries again.
const RETRY: Duration = Duration::from_millis(800);
const WAITING: usize = 64;

type Sender = mpsc::Sender<Result<Event, Infallible>>;

/// Whose stream it is; it ends with the session.
struct Session {
    officer: Officer,
    ends: DateTime<Utc>,
    /// When it is looked up next.
    look: Instant,
}

pub async fn stream(
    State(shared): State<Shared>,
    officer: Officer,
) -> Result<impl IntoResponse, Failure> {
    let ends = shared.web.store.session_ends(&officer.token, clock::now()).await?;
    let ends = ends.ok_or(Failure::NoSession)?;
    let permit = shared.streams.clone().try_acquire_owned().map_err(|_| Failure::Unavailable)?;
    let listener = shared.web.board.listen();
    let (sender, receiver) = mpsc::channel(WAITING);
    let session = Session { officer, ends, look: Instant::now() + LOOKED_UP };
    tokio::spawn(pump(shared, session, listener, sender, permit));
    Ok(Sse::new(ReceiverStream::new(receiver)))
}

async fn pump(
    shared: Shared,
    mut session: Session,
    mut listener: broadcast::Receiver<Live>,
    sender: Sender,
    _permit: OwnedSemaphorePermit,
) {
    let mut beat = interval_at(Instant::now() + BEAT, BEAT);
    beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut next = session.sign("hello").retry(RETRY);
    loop {
        if sender.send(Ok(next)).await.is_err() {
            return;
        }
        tokio::select! {
            () = shared.closing.cancelled() => return,
            () = sender.closed() => return,
            _ = beat.tick() => {
                if session.is_over(&shared.web.store).await {
                    return;
                }
                next = session.sign("beat");
            }
            heard = listener.recv() => match heard {
                Ok(live) => next = event(&live),
                Err(RecvError::Lagged(_)) => next = Event::default().event("resync").data("{}"),
                Err(RecvError::Closed) => return,
            },
        }
    }
}

impl Session {
    fn sign(&self, name: &str) -> Event {
        let sign = serde_json::json!({
            "now": clock::now().wall.timestamp_millis(),
            "ends": self.ends.timestamp_millis(),
            "login": self.officer.who.login,
        });
        Event::default().event(name).data(sign.to_string())
    }

    async fn is_over(&mut self, store: &Store) -> bool {
        let now = clock::now();
        if now.wall >= self.ends {
            return true;
        }
        if Instant::now() < self.look {
            return false;
        }
        self.look = Instant::now() + LOOKED_UP;
        let found = store.session_ends(&self.officer.token, now);
        // A log that does not answer ends nobody's session.
        match tokio::time::timeout(LOOK, found).await {
            Ok(Ok(Some(ends))) => self.ends = ends,
            Ok(Ok(None)) => return true,
            Ok(Err(_)) | Err(_) => {}
        }
        false
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::io::store::{Account, Login, NewPerson};

    #[tokio::test]
    async fn a_session_that_is_ended_before_its_time_is_noticed() {
        let store = Store::open_in_memory(clock::random()).unwrap();
        let officer = NewPerson {
            login: "zhuban".to_owned(),
            name: "主班员".to_owned(),
            account: Account::Officer,
            password: "correct horse".to_owned(),
        };
        store.add_person(officer, "test", clock::now()).await.unwrap();
        let login = store.log_in("zhuban", "correct horse", "test", clock::now()).await.unwrap();
        let Login::Welcome { token, who } = login else { panic!() };
        let ends = store.session_ends(&token, clock::now()).await.unwrap().unwrap();
        let officer = Officer { who: who.clone(), token: token.clone() };
        let mut session = Session { officer, ends, look: Instant::now() };
        assert!(!session.is_over(&store).await);
        store.log_out(&token, &who, clock::now()).await.unwrap();
        assert!(!session.is_over(&store).await, "not looked up yet");
        session.look = Instant::now();
        assert!(session.is_over(&store).await);
        session = Session { ends: clock::now().wall, ..session };
        assert!(session.is_over(&store).await, "it has ended by itself");
    }
}
