//! Handing out an entry with its matter or a period as a ZIP file: put together by a job of its own, looked at while it
//! goes on, taken when it is ready. Who asked and who took it is in the audit.

mod jobs;

pub use jobs::Exports;

use super::Shared;
use super::auth::{Officer, Staff};
use super::entry_page;
use super::failure::{self, Failure};
use super::messages::{Messages, fill_two};
use super::page::{Page, in_query};
use super::period::asked::Asked;
use super::{sources, times};
use crate::duty::ids::EntryId;
use crate::io::copies::patience;
use crate::io::proof::bundle::Bundle;
use crate::io::proof::key::SigningKey;
use crate::io::proof::order::{Draft, Order};
use crate::io::proof::{tables, zip};
use crate::io::store::{PersonId, Scope, Sounds, Who};
use crate::io::{clock, priority};
use askama::Template;
use axum::body::{Body, Bytes};
use axum::extract::{Form, Path, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{Html, IntoResponse, Redirect, Response};
use jobs::{Job, LASTS, Ready, Stage};
use serde::Deserialize;
use std::io::{self, BufWriter, Write};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, mpsc};
use tokio_stream::wrappers::ReceiverStream;

/// Bytes that wait for the browser.
const PIECE: usize = 64 * 1024;
const PIECES: usize = 4;
/// Of a period: more is for the command.
const ENTRIES_MOST: u64 = 5_000;
const BYTES_MOST: u64 = 4_000_000_000;
/// A browser that takes nothing for so long has gone.
const STALLED: Duration = Duration::from_secs(60);
/// What is small is ready before the page is shown, and what changes is shown soon.
const AT_FIRST: Duration = Duration::from_secs(2);
const LOOK: Duration = Duration::from_millis(500);
/// A disk that takes longer is told of by whoever looks after it.
const PATIENCE: Duration = Duration::from_secs(3600);
const MEGABYTE: u64 = 1_000_000;

/// What the button says; none: everything, of the whole matter.
#[derive(Debug, Deserialize)]
pub struct Wanted {
    #[serde(default)]
    sounds: Sounds,
    #[serde(default)]
    calls: Calls,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Calls {
    /// With what is about the entry, and what it is about.
    #[default]
    Matter,
    Own,
}

/// As the page of a period asks.
#[derive(Debug, Deserialize)]
pub struct OfPeriod {
    #[serde(flatten)]
    asked: Asked,
    #[serde(default)]
    sounds: Sounds,
}

/// `POST /entries/{entry}/export`
pub async fn entry(
    State(shared): State<Shared>,
    Staff(officer): Staff,
    page: Page,
    Path(entry): Path<EntryId>,
    Form(wanted): Form<Wanted>,
) -> Result<Response, Failure> {
    let scope = match wanted.calls {
        Calls::Matter => Scope::Matter(entry),
        Calls::Own => Scope::Entry(entry),
    };
    on_a_page(ask(&shared, &officer, &page, (scope, wanted.sounds)).await, &page)
}

/// `POST /period/export`
pub async fn period(
    State(shared): State<Shared>,
    Staff(officer): Staff,
    page: Page,
    Form(OfPeriod { asked, sounds }): Form<OfPeriod>,
) -> Result<Response, Failure> {
    let (from, to) = asked.period(clock::now().wall);
    on_a_page(ask(&shared, &officer, &page, (Scope::Period(from, to), sounds)).await, &page)
}

/// It has a page of its own in the browser, and so has a refusal.
fn on_a_page(answer: Result<Response, Failure>, page: &Page) -> Result<Response, Failure> {
    match answer {
        Err(Failure::Refused(status, words)) => Ok(failure::notice(page, status, &words)),
        other => other,
    }
}

fn too_large(t: &'static Messages) -> Failure {
    Failure::Refused(StatusCode::PAYLOAD_TOO_LARGE, t.export_too_large.to_owned())
}

fn busy(words: &str) -> Failure {
    Failure::Refused(StatusCode::TOO_MANY_REQUESTS, words.to_owned())
}

async fn ask(
    shared: &Shared,
    officer: &Officer,
    page: &Page,
    what: (Scope, Sounds),
) -> Result<Response, Failure> {
    let unsigned =
        || Failure::Refused(StatusCode::SERVICE_UNAVAILABLE, page.t.export_unsigned.to_owned());
    let turn = shared.exports.turn().ok_or_else(|| busy(page.t.export_busy))?;
    let extent = shared.web.store.extent(what.0).await?;
    if extent.entries > ENTRIES_MOST || extent.bytes > BYTES_MOST {
        return Err(too_large(page.t));
    }
    if extent.entries == 0 && !matches!(what.0, Scope::Period(..)) {
        return Err(entry_page::gone(page));
    }
    let signer = shared.web.signer.clone().ok_or_else(unsigned)?;
    let ready = signer.key(false).await.map_err(|fault| {
        let told = fault.told().map(|told| page.pick(told));
        let why = told.unwrap_or_else(|| fault.to_string());
        let why = format!("{}{why}", page.t.export_failed);
        Failure::Refused(StatusCode::SERVICE_UNAVAILABLE, why)
    })?;
    let job = shared.exports.begin(officer.who.id, what, clock::now());
    let commission = Commission {
        shared: Arc::clone(shared),
        job: Arc::clone(&job),
        who: officer.who.clone(),
        key: ready.key,
        t: page.t,
    };
    // Whoever asked may have gone: it goes on, and nothing beside it.
    tokio::spawn(commission.carry_out(turn));
    job.ends_within(AT_FIRST).await;
    Ok(Redirect::to(&format!("/exports/{}", job.name)).into_response())
}

/// A job, and what it takes.
struct Commission {
    shared: Shared,
    job: Arc<Job>,
    who: Who,
    key: Arc<SigningKey>,
    t: &'static Messages,
}

impl Commission {
    async fn carry_out(self, turn: OwnedSemaphorePermit) {
        let stage = match self.put_together().await {
            _ if self.job.is_stopped() => Stage::Stopped,
            Ok(Some(ready)) => Stage::Ready(Arc::new(ready)),
            Ok(None) => Stage::Failed(self.t.export_too_large.to_owned()),
            Err(fault) => {
                tracing::error!(fault = format!("{fault:#}"), "nothing was handed out");
                Stage::Failed(format!("{}{fault:#}", self.t.export_failed))
            }
        };
        self.job.is(stage);
        drop(turn);
        self.shared.exports.make_room();
        tokio::select! {
            () = tokio::time::sleep(LASTS) => {}
            () = self.shared.closing.cancelled() => {}
        }
        self.shared.exports.forget(&self.job);
    }

    /// None: it is too large for a ZIP file.
    async fn put_together(&self) -> anyhow::Result<Option<Ready>> {
        let web = &self.shared.web;
        let (scope, sounds) = self.job.what;
        let places = sources::places(web);
        let (key, who) = (Arc::clone(&self.key), Some(&self.who));
        let order =
            Order { store: &web.store, places, key, who, scope, sounds, now: self.job.began };
        let draft = tokio::select! {
            draft = order.draft() => draft?,
            () = self.job.stops() => return Ok(None),
        };
        let draft = draft.ok_or_else(|| anyhow::anyhow!(self.t.entry_gone))?;
        if !draft.fits_a_zip() {
            return Ok(None);
        }
        let bundle = patience::wait(PATIENCE, self.reading(draft), || {}).await??;
        Ok(zip::length_of(&bundle).map(|length| Ready { bundle, length }))
    }

    /// On a thread of its own, after everybody else; it ends with the daemon.
    fn reading(&self, draft: Draft) -> impl FnOnce() -> anyhow::Result<Bundle> + Send + 'static {
        let (job, closing, all) =
            (Arc::clone(&self.job), self.shared.closing.clone(), draft.bytes());
        job.is(Stage::Reading { done: 0, all });
        move || {
            priority::last();
            let mut shown = 0;
            draft.bundle(&mut |done| {
                if done / MEGABYTE != shown {
                    shown = done / MEGABYTE;
                    job.is(Stage::Reading { done, all });
                }
                !closing.is_cancelled() && !job.is_stopped()
            })
        }
    }
}

#[derive(Template)]
#[template(path = "export.html")]
struct Shown<'a> {
    page: &'a Page,
    view: JobView,
}

#[derive(Template)]
#[template(path = "export_job.html")]
struct Fragment<'a> {
    page: &'a Page,
    view: JobView,
}

/// A job as its page shows it.
struct JobView {
    link: String,
    what: String,
    state: StateView,
}

enum StateView {
    Going { said: String, done: u64, all: u64 },
    Ready { take: String, damaged: Vec<String> },
    Failed(String),
    Stopped,
}

impl JobView {
    fn of(job: &Job, stage: &Stage, t: &'static Messages) -> Self {
        let megabytes = |bytes: u64| bytes.div_ceil(MEGABYTE);
        let state = match stage {
            Stage::Begun => StateView::Going { said: t.export_begun.to_owned(), done: 0, all: 1 },
            Stage::Reading { done, all } => {
                let (done, all) = (megabytes(*done), megabytes(*all).max(1));
                let said = fill_two(t.export_reading, &done.to_string(), &all.to_string());
                StateView::Going { said, done, all }
            }
            Stage::Ready(ready) => {
                let damaged = ready.bundle.damaged.iter().map(|one| one.file.clone()).collect();
                let name = format!("{}.zip", ready.bundle.name);
                let size = megabytes(ready.length).to_string();
                StateView::Ready { take: fill_two(t.export_take, &name, &size), damaged }
            }
            Stage::Failed(why) => StateView::Failed(why.clone()),
            Stage::Stopped => StateView::Stopped,
        };
        Self { link: link(job), what: what(job, stage, t), state }
    }
}

fn link(job: &Job) -> String {
    format!("/exports/{}", job.name)
}

/// What was asked for, and when.
fn what(job: &Job, stage: &Stage, t: &'static Messages) -> String {
    let of = match (stage, job.what.0) {
        (Stage::Ready(ready), _) => ready.bundle.name.clone(),
        (_, Scope::Period(from, to)) => tables::period(from, to),
        (_, Scope::Entry(_) | Scope::Matter(_)) => t.export_of_entry.to_owned(),
    };
    let sounds = if job.what.1 == Sounds::RedactedOnly { t.export_redacted } else { t.export };
    format!("{of} · {sounds} · {}", times::full(job.began.wall))
}

/// Link and words of each of his.
pub fn all_of(shared: &Shared, of: PersonId, t: &'static Messages) -> Vec<(String, String)> {
    let jobs = shared.exports.all_of(of).into_iter();
    jobs.map(|job| (link(&job), what(&job, &job.stage(), t))).collect()
}

/// `GET /exports/{job}`: how far it is; the part that changes for a script.
pub async fn get(
    State(shared): State<Shared>,
    Staff(officer): Staff,
    page: Page,
    Path(job): Path<String>,
    headers: HeaderMap,
) -> Result<Response, Failure> {
    let by_script = headers.contains_key("hx-request");
    let Some(job) = shared.exports.find(&job, officer.who.id) else {
        let words = page.t.export_gone.to_owned();
        if !by_script {
            return Ok(failure::notice(&page, StatusCode::NOT_FOUND, &words));
        }
        let (link, what) = (String::new(), page.t.export.to_owned());
        let view = JobView { link, what, state: StateView::Failed(words) };
        return Ok(Html(Fragment { page: &page, view }.render()?).into_response());
    };
    let stage = if by_script { job.ends_within(LOOK).await } else { job.stage() };
    let view = JobView::of(&job, &stage, page.t);
    let html = match by_script {
        true => Fragment { page: &page, view }.render()?,
        false => Shown { page: &page, view }.render()?,
    };
    Ok(Html(html).into_response())
}

/// `POST /exports/{job}/stop`: by whoever asked for it.
pub async fn stop(
    State(shared): State<Shared>,
    Staff(officer): Staff,
    page: Page,
    Path(job): Path<String>,
) -> Result<Response, Failure> {
    let Some(job) = shared.exports.find(&job, officer.who.id) else {
        return Ok(failure::notice(&page, StatusCode::NOT_FOUND, page.t.export_gone));
    };
    if job.stop() {
        shared.web.store.export_stopped(&officer.who, job.what, clock::now()).await?;
    }
    Ok(Redirect::to(&link(&job)).into_response())
}

/// `GET /exports/{job}/zip`: to whoever asked, while it is kept.
pub async fn take(
    State(shared): State<Shared>,
    Staff(officer): Staff,
    page: Page,
    Path(job): Path<String>,
) -> Result<Response, Failure> {
    let gone = || Ok(failure::notice(&page, StatusCode::NOT_FOUND, page.t.export_gone));
    let Some(job) = shared.exports.find(&job, officer.who.id) else { return gone() };
    let Stage::Ready(ready) = job.stage() else { return gone() };
    let Some(turn) = shared.exports.taking() else {
        return on_a_page(Err(busy(page.t.export_taken)), &page);
    };
    shared.web.store.handed_out(Some(&officer.who), job.what, clock::now()).await?;
    answer(ready, turn).map_err(|error| Failure::Broken(error.to_string()))
}

fn answer(ready: Arc<Ready>, turn: OwnedSemaphorePermit) -> Result<Response, axum::http::Error> {
    // RFC 6266 and RFC 8187: the name is Chinese.
    let name = format!(
        "attachment; filename=\"export.zip\"; filename*=UTF-8''{}.zip",
        in_query(&ready.bundle.name)
    );
    let length = ready.length;
    let (pieces, body) = mpsc::channel::<io::Result<Bytes>>(PIECES);
    tokio::task::spawn_blocking(move || {
        let _turn = turn;
        let mut to = BufWriter::with_capacity(PIECE, Pieces(pieces.clone()));
        if let Err(fault) = zip::write(&ready.bundle, &mut to).and_then(|()| to.flush()) {
            tracing::warn!(%fault, "what was handed out is not whole");
            // The browser has gone, or is told by a file that ends too soon.
            let _ = pieces.try_send(Err(fault));
        }
    });
    let body = Body::from_stream(ReceiverStream::new(body));
    let mut answer = body.into_response();
    let headers = answer.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/zip"));
    headers.insert(header::CONTENT_DISPOSITION, HeaderValue::try_from(name)?);
    headers.insert(header::CONTENT_LENGTH, HeaderValue::from(length));
    Ok(answer)
}

struct Pieces(mpsc::Sender<io::Result<Bytes>>);

impl Write for Pieces {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let sent = self.0.send_timeout(Ok(Bytes::copy_from_slice(bytes)), STALLED);
        let sent = tokio::runtime::Handle::current().block_on(sent);
        sent.map_err(|_| io::Error::from(io::ErrorKind::BrokenPipe))?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
