//! Handing out an entry or a period as a ZIP file; each time is noted in the audit.

use super::auth::{Listener, Officer};
use super::failure::Failure;
use super::page::{Page, in_query};
use super::period::Asked;
use super::{Shared, entry_page};
use crate::duty::ids::EntryId;
use crate::io::clock;
use crate::io::proof::bundle::{Bundle, Order};
use crate::io::proof::zip;
use crate::io::store::{Scope, Sounds};
use axum::body::{Body, Bytes};
use axum::extract::{Form, Path, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use std::io::{self, BufWriter, Write};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, mpsc};
use tokio_stream::wrappers::ReceiverStream;

/// Bytes that wait for the browser.
const PIECE: usize = 64 * 1024;
const PIECES: usize = 4;
/// Handed out side by side: each is put together in memory.
pub const AT_ONCE: usize = 1;
/// Of a period: more is for the command.
const ENTRIES_MOST: u64 = 5_000;
const BYTES_MOST: u64 = 4_000_000_000;
/// A browser that takes nothing for so long has gone.
const STALLED: Duration = Duration::from_secs(60);

/// What the button says; none: everything.
#[derive(Debug, Deserialize)]
pub struct Wanted {
    #[serde(default)]
    sounds: Sounds,
}

/// As the page of a period asks.
#[derive(Debug, Deserialize)]
pub struct OfPeriod {
    #[serde(flatten)]
    asked: Asked,
    #[serde(flatten)]
    wanted: Wanted,
}

/// `POST /entries/{entry}/export`
pub async fn entry(
    State(shared): State<Shared>,
    Listener(officer): Listener,
    page: Page,
    Path(entry): Path<EntryId>,
    Form(wanted): Form<Wanted>,
) -> Result<Response, Failure> {
    hand_out(&shared, &officer, &page, (Scope::Entry(entry), wanted.sounds)).await
}

/// `POST /period/export`
pub async fn period(
    State(shared): State<Shared>,
    Listener(officer): Listener,
    page: Page,
    Form(OfPeriod { asked, wanted }): Form<OfPeriod>,
) -> Result<Response, Failure> {
    let (from, to) = asked.period(clock::now().wall);
    hand_out(&shared, &officer, &page, (Scope::Period(from, to), wanted.sounds)).await
}

async fn hand_out(
    shared: &Shared,
    officer: &Officer,
    page: &Page,
    (scope, sounds): (Scope, Sounds),
) -> Result<Response, Failure> {
    let unsigned =
        || Failure::Refused(StatusCode::SERVICE_UNAVAILABLE, page.t.export_unsigned.to_owned());
    let busy = || Failure::Refused(StatusCode::TOO_MANY_REQUESTS, page.t.export_busy.to_owned());
    let turn = Arc::clone(&shared.exports).try_acquire_owned().map_err(|_| busy())?;
    let too_large =
        || Failure::Refused(StatusCode::PAYLOAD_TOO_LARGE, page.t.export_too_large.to_owned());
    let extent = shared.web.store.extent(scope).await?;
    if extent.entries > ENTRIES_MOST || extent.bytes > BYTES_MOST {
        return Err(too_large());
    }
    let signer = shared.web.signer.clone().ok_or_else(unsigned)?;
    let ready = signer.key(false).await.map_err(|fault| {
        let told = fault.told().map(|told| page.pick(told));
        let why = told.unwrap_or_else(|| fault.to_string());
        let why = format!("{}{why}", page.t.export_failed);
        Failure::Refused(StatusCode::SERVICE_UNAVAILABLE, why)
    })?;
    let order = Order {
        store: &shared.web.store,
        recordings: &shared.web.recordings,
        key: ready.key,
        who: Some(&officer.who),
        scope,
        sounds,
        now: clock::now(),
    };
    let bundle = order.bundle().await.map_err(|fault| {
        tracing::error!(fault = format!("{fault:#}"), "nothing was handed out");
        Failure::Refused(StatusCode::CONFLICT, format!("{}{fault:#}", page.t.export_failed))
    })?;
    let bundle = bundle.ok_or_else(|| entry_page::gone(page))?;
    let length = zip::length(&bundle).ok_or_else(too_large)?;
    answer(bundle, length, turn).map_err(|error| Failure::Broken(error.to_string()))
}

fn answer(
    bundle: Bundle,
    length: u64,
    turn: OwnedSemaphorePermit,
) -> Result<Response, axum::http::Error> {
    // RFC 6266 and RFC 8187: the name is Chinese.
    let name = format!(
        "attachment; filename=\"export.zip\"; filename*=UTF-8''{}.zip",
        in_query(&bundle.name)
    );
    let (pieces, body) = mpsc::channel::<io::Result<Bytes>>(PIECES);
    tokio::task::spawn_blocking(move || {
        let _turn = turn;
        let mut to = BufWriter::with_capacity(PIECE, Pieces(pieces.clone()));
        if let Err(fault) = zip::write(&bundle, &mut to).and_then(|()| to.flush()) {
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
