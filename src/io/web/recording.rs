//! `GET /recordings/{call}`: plays a sealed recording, by the name of its call, never by path.

use super::auth::{Officer, Staff};
use super::failure::Failure;
use super::page::Page;
use super::{Shared, ranges, sources};
use crate::duty::ids::CallId;
use crate::io::clock;
use crate::io::peaks;
use crate::io::store::{PersonId, RecordingFile};
use crate::protocol::now::Mono;
use axum::extract::{Path, Query, Request, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// A playing that has been silent for so long is over: the next request is another.
const SILENT: Duration = Duration::from_secs(1800);
const REMEMBERED: usize = 1024;
const NAME: usize = 64;
/// Waves made side by side: each reads a whole recording.
pub const DRAWN: usize = 1;

/// Who, what, which copy of it, and the player's name for it.
type Playing = (PersonId, CallId, Option<i64>, String);

/// Who is playing what. A player asks for many ranges; one playing is written down once.
#[derive(Debug, Default)]
pub struct Plays(Mutex<BTreeMap<Playing, Mono>>);

impl Plays {
    fn known(&self, playing: &Playing, now: Mono) -> bool {
        self.with(|plays| plays.get(playing).is_some_and(|heard| now.since(*heard) < SILENT))
    }

    fn heard(&self, playing: Playing, now: Mono) {
        self.with(|plays| {
            if plays.len() >= REMEMBERED {
                plays.retain(|_, heard| now.since(*heard) < SILENT);
            }
            if plays.len() >= REMEMBERED {
                plays.clear();
            }
            plays.insert(playing, now);
        });
    }

    fn with<T>(&self, work: impl FnOnce(&mut BTreeMap<Playing, Mono>) -> T) -> T {
        work(&mut self.0.lock().unwrap_or_else(|poisoned| poisoned.into_inner()))
    }
}

/// Made side by side; each reads a few megabytes.
pub const RECALLS: usize = 2;
/// Seconds that can be heard again while the call goes on.
const LEAST: u64 = 5;
const MOST: u64 = 300;

#[derive(Deserialize)]
pub struct Again {
    seconds: u64,
}

/// `GET /recordings/{call}/recall?seconds=30`: the last seconds of a call that goes on.
pub async fn recall(
    State(shared): State<Shared>,
    Staff(officer): Staff,
    page: Page,
    Path(call): Path<CallId>,
    Query(again): Query<Again>,
) -> Result<Response, Failure> {
    let _turn = shared.recalls.acquire().await.map_err(broken)?;
    let length = Duration::from_secs(again.seconds.clamp(LEAST, MOST));
    let tape = shared.web.recall.clone();
    let made = tokio::task::spawn_blocking(move || tape.last(call.0, length)).await;
    let none = || Failure::Refused(StatusCode::NOT_FOUND, page.t.recall_none.to_owned());
    let wav = made.map_err(broken)?.map_err(broken)?.ok_or_else(none)?;
    shared.web.store.recording_recalled(&officer.who, call, length, clock::now()).await?;
    let headers =
        [(header::CONTENT_TYPE, "audio/wav"), (header::CACHE_CONTROL, "private, no-store")];
    Ok((headers, wav).into_response())
}

#[derive(Deserialize)]
pub struct Play {
    /// The player's own name for this playing.
    #[serde(default)]
    play: String,
    /// Why it is listened to, in the listener's words.
    #[serde(default)]
    why: String,
}

pub async fn get(
    State(shared): State<Shared>,
    Staff(officer): Staff,
    page: Page,
    Path(call): Path<CallId>,
    Query(play): Query<Play>,
    request: Request,
) -> Result<Response, Failure> {
    let found = shared.web.store.recording_file(call).await?;
    serve(&shared, &officer, &page, (call, None, found), play, request).await
}

/// `GET /recordings/{call}/derived/{copy}`: a copy in which a stretch is silent.
pub async fn derived(
    State(shared): State<Shared>,
    Staff(officer): Staff,
    page: Page,
    Path((call, copy)): Path<(CallId, i64)>,
    Query(play): Query<Play>,
    request: Request,
) -> Result<Response, Failure> {
    let found = shared.web.store.derived_file(call, copy).await?;
    serve(&shared, &officer, &page, (call, Some(copy), found), play, request).await
}

/// A file of a recording; `copy`: it is not the original.
async fn serve(
    shared: &Shared,
    officer: &Officer,
    page: &Page,
    (call, copy, found): (CallId, Option<i64>, Option<RecordingFile>),
    play: Play,
    request: Request,
) -> Result<Response, Failure> {
    let missing = || Failure::Refused(StatusCode::NOT_FOUND, page.t.recording_none.to_owned());
    let found = found.ok_or_else(missing)?;
    let Some(source) = sources::of(shared, &found).await else {
        tracing::error!(%call, "a sealed recording is not where the log says");
        return Err(missing());
    };
    let now = clock::now();
    let why: String = play.why.chars().filter(|c| !c.is_control()).take(NAME).collect();
    if page.asks && why.trim().is_empty() {
        return Err(Failure::Refused(StatusCode::FORBIDDEN, page.t.player_why_needed.to_owned()));
    }
    let playing = (officer.who.id, call, copy, play.play.chars().take(NAME).collect());
    if !shared.plays.known(&playing, now.mono) {
        shared.web.store.recording_played(&officer.who, (call, copy), &why, now).await?;
    }
    shared.plays.heard(playing, now.mono);
    let mut answer = ranges::answer(source, &found.sha256, request.headers()).await?;
    let headers = answer.headers_mut();
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("private, no-store"));
    let which = copy.map(|copy| format!("-derived-{copy}")).unwrap_or_default();
    let name = format!("inline; filename=\"{call}{which}.wav\"");
    headers.insert(header::CONTENT_DISPOSITION, HeaderValue::try_from(name).map_err(broken)?);
    Ok(answer)
}

/// `GET /recordings/{call}/peaks`: how loud both sides are, for the player's wave.
pub async fn peaks(
    State(shared): State<Shared>,
    _listener: Staff,
    page: Page,
    Path(call): Path<CallId>,
) -> Result<Response, Failure> {
    let missing = || Failure::Refused(StatusCode::NOT_FOUND, page.t.recording_none.to_owned());
    let found = shared.web.store.recording_file(call).await?.ok_or_else(missing)?;
    let turn = Arc::clone(&shared.drawing).acquire_owned().await.map_err(broken)?;
    let made = match shared.peaks.get(&found.sha256) {
        Some(made) => made,
        None => {
            let source = sources::of(&shared, &found).await.ok_or_else(missing)?;
            // Whoever asked may have gone: it is read to its end all the same, and nothing beside it.
            let read = move || {
                let _turn = turn;
                peaks::of(source.open()?)
            };
            let made = tokio::task::spawn_blocking(read).await;
            let made = Arc::new(made.map_err(broken)?.map_err(broken)?);
            shared.peaks.put(found.sha256, Arc::clone(&made));
            made
        }
    };
    let headers = [(header::CONTENT_TYPE, "application/octet-stream")];
    Ok((headers, made.to_vec()).into_response())
}

pub(super) fn broken(error: impl std::fmt::Display) -> Failure {
    Failure::Broken(error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_playing_is_one_and_after_a_long_silence_another() {
        let plays = Plays::default();
        let call: CallId = "01890a5d-ac96-774b-bcce-b302099a8057".parse().unwrap();
        let playing = (PersonId(1), call, None, "a".to_owned());
        let start = Mono(0);
        assert!(!plays.known(&playing, start));
        plays.heard(playing.clone(), start);
        assert!(plays.known(&playing, start + Duration::from_secs(60)));
        assert!(!plays.known(&(PersonId(2), call, None, "a".to_owned()), start));
        assert!(!plays.known(&(PersonId(1), call, Some(1), "a".to_owned()), start));
        assert!(!plays.known(&(PersonId(1), call, None, "b".to_owned()), start));
        assert!(!plays.known(&playing, start + SILENT));
    }
}
