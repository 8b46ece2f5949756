//! The page: every route on one screen. It shows what the log says and carries out what the officer
//! asks; it decides nothing.

mod assets;
mod auth;
mod backoff;
mod bookmarks;
mod caller_view;
mod course;
mod dates;
mod demo;
mod derived;
mod desk;
mod dialling;
mod entry_page;
mod entry_view;
mod escalation_page;
mod escalation_view;
mod events;
mod export;
mod failure;
mod findings;
mod first;
mod health;
mod keeping;
mod ladder;
mod language;
mod login;
mod losses;
mod messages;
mod notices;
mod outcome;
mod overhear;
mod page;
mod period;
mod policy;
pub mod ranges;
mod recorded;
mod recording;
mod refused;
mod replies;
mod roll_call;
mod roster;
mod rows;
mod search;
mod self_test;
mod sources;
mod strip;
mod times;
mod typed;
mod view;
mod visitor;
mod voices;

pub use dialling::Dialler;
pub use policy::InForce;
pub use self_test::SelfTests;

use self::visitor::Visitor;
use super::channels::Replies;
use super::copies::place::Place;
use super::peaks::Made;
use super::proof::signer::Signer;
use super::status::Board;
use super::store::Store;
use super::tape::Recall;
use crate::duty::keeping::Rules;
use crate::duty::roll_call::RollCallPlan;
use axum::Router;
use axum::extract::Request;
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::Response;
use axum::routing::{get, post};
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::{Notify, Semaphore, mpsc};
use tokio_util::sync::CancellationToken;
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::csrf::CsrfLayer;
use tower_http::limit::RequestBodyLimitLayer;
use tower_http::timeout::TimeoutLayer;

/// Largest request: a field of 20 000 characters twice (old and new), escaped.
const BODY: usize = 512 * 1024;
/// A page that takes longer than this to begin is given up.
const SLOW: Duration = Duration::from_secs(20);
/// Passwords checked side by side; each takes a processor and 19 MiB for a moment.
const HASHING: usize = 2;
/// How long answers under way may take when the daemon stops.
const CLOSING: Duration = Duration::from_secs(3);

/// What the page needs of the daemon.
#[derive(Clone)]
pub struct Web {
    pub store: Store,
    pub board: Board,
    /// Shown at the top, such as 市政务服务中心值班室.
    pub room: String,
    /// The number people dial.
    pub line: String,
    /// Only files below this folder are played.
    pub recordings: PathBuf,
    /// Where each is a second time.
    pub copies: Option<Place>,
    /// Bytes that are kept free there for calls.
    pub low_space: u64,
    /// Nobody listens without saying why.
    pub listen_reason: bool,
    /// Whose word counts for where a request comes from, and whether by TLS.
    pub proxies: Vec<IpAddr>,
    /// An urgent matter is reported upwards within this.
    pub report: Duration,
    /// How long recordings are kept.
    pub keeping: Rules,
    /// Of calls that go on.
    pub recall: Recall,
    pub dialler: Dialler,
    pub roll_call: RollCallPlan,
    /// Who is called in an urgent matter, and what is said beside the telephone.
    pub policy: Arc<InForce>,
    /// What SMS gateways hand on.
    pub replies: Option<Arc<Replies>>,
    /// Who wants the line tested; none where the daemon cannot call itself.
    pub self_test: Option<SelfTests>,
    /// There in the demo only: what its button asks for.
    pub demo: Option<mpsc::Sender<DemoCommand>>,
    /// Signs what is handed out; without it nothing is.
    pub signer: Option<Arc<Signer>>,
    /// Wakes the escalator after a flag or a withdrawal.
    pub wake: Arc<Notify>,
    /// Whether the control task turns.
    pub alive: Arc<dyn Fn() -> bool + Send + Sync>,
}

/// What the page may ask of the demo.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DemoCommand {
    /// 模拟来电
    Call,
}

struct State {
    web: Web,
    backoff: backoff::Backoff,
    hashing: Semaphore,
    plays: recording::Plays,
    peaks: Made,
    sources: sources::Sources,
    drawing: Arc<Semaphore>,
    recalls: Semaphore,
    listeners: Arc<Semaphore>,
    searches: Arc<Semaphore>,
    rehearsals: Arc<Semaphore>,
    streams: Arc<Semaphore>,
    exports: export::Exports,
    closing: CancellationToken,
}

type Shared = Arc<State>;

/// Serves the page until `shutdown`; live streams end first.
///
/// # Errors
/// The listener's, when it cannot accept connections any more.
pub async fn serve(
    listener: TcpListener,
    web: Web,
    shutdown: CancellationToken,
) -> std::io::Result<()> {
    let app = build(web, shutdown.clone()).into_make_service_with_connect_info::<SocketAddr>();
    let server =
        axum::serve(listener, app).with_graceful_shutdown(shutdown.clone().cancelled_owned());
    let overdue = async {
        shutdown.cancelled().await;
        tokio::time::sleep(CLOSING).await;
    };
    tokio::select! {
        ended = server => ended,
        () = overdue => Ok(()),
    }
}

pub fn router(web: Web) -> Router {
    build(web, CancellationToken::new())
}

fn build(web: Web, closing: CancellationToken) -> Router {
    let shared = Arc::new(State {
        web,
        backoff: backoff::Backoff::default(),
        hashing: Semaphore::new(HASHING),
        plays: recording::Plays::default(),
        peaks: Made::default(),
        sources: sources::Sources::default(),
        drawing: Arc::new(Semaphore::new(recording::DRAWN)),
        recalls: Semaphore::new(recording::RECALLS),
        listeners: Arc::new(Semaphore::new(overhear::LISTENERS)),
        searches: Arc::new(Semaphore::new(search::AT_ONCE)),
        rehearsals: Arc::new(Semaphore::new(policy::AT_ONCE)),
        streams: Arc::new(Semaphore::new(events::STREAMS)),
        exports: export::Exports::default(),
        closing,
    });
    routes()
        .with_state(shared.clone())
        .layer(CsrfLayer::new().with_rejection_response(forbidden))
        .layer(RequestBodyLimitLayer::new(BODY))
        .layer(TimeoutLayer::with_status_code(StatusCode::SERVICE_UNAVAILABLE, SLOW))
        .layer(CatchPanicLayer::new())
        .layer(from_fn_with_state(shared, guard))
}

/// Open to everybody: `/login`, `/first`, `/language`, `/healthz`, `/readyz`, `/static`; to whoever signs: the replies of
/// channels. Every other handler takes an `Officer`, or a `Staff` where it is the room's own work.
fn routes() -> Router<Shared> {
    Router::new()
        .route("/", get(desk::get))
        .route("/rows", get(rows::get))
        .route("/strip", get(strip::get))
        .route("/events", get(events::stream))
        .route("/entries/{entry}", get(entry_page::get).patch(entry_page::save))
        .route("/entries/{entry}/urgency", post(entry_page::flag))
        .route("/entries/{entry}/class", post(entry_page::classify))
        .route("/entries/{entry}/class/undo", post(entry_page::take_class_back))
        .route("/entries/{entry}/reopen", post(entry_page::reopen))
        .route("/entries/{entry}/register", post(entry_page::register))
        .route("/entries/{entry}/close", post(entry_page::close))
        .route("/entries/{entry}/withdraw", post(escalation_page::withdraw))
        .route("/entries/{entry}/leader", post(escalation_page::leader_spoken_to))
        .route("/entries/{entry}/confirm", post(escalation_page::confirm))
        .route("/entries/{entry}/acknowledge", post(escalation_page::acknowledge))
        .route("/entries/{entry}/callback", post(course::settle))
        .route("/entries/{entry}/ladder", get(ladder::get))
        .route("/entries/{entry}/hangup", post(dialling::hang_up))
        .route("/entries/{entry}/export", post(export::entry))
        .route("/period", get(period::get))
        .route("/period/export", post(export::period))
        .route("/exports/{job}", get(export::get))
        .route("/exports/{job}/zip", get(export::take))
        .route("/exports/{job}/stop", post(export::stop))
        .route("/search", get(search::get))
        .route("/dial", post(dialling::dial))
        .route("/contacts", get(dialling::contacts))
        .route("/roster", get(roster::get))
        .route("/roster/duty", post(roster::put_on_duty))
        .route("/roster/substitution", post(roster::substitute))
        .route("/roster/withdraw", post(roster::withdraw))
        .route("/roll-call", get(roll_call::get).post(roll_call::begin))
        .route("/roll-call/number", post(roll_call::check_number))
        .route("/drill", post(roll_call::drill))
        .route("/policy", get(policy::get))
        .route("/recordings/{call}", get(recording::get))
        .route("/recordings/{call}/peaks", get(recording::peaks))
        .route("/recordings/{call}/derived", post(derived::make))
        .route("/recordings/{call}/derived/{copy}", get(recording::derived))
        .route("/recordings/{call}/bookmarks", post(bookmarks::make))
        .route("/recordings/{call}/bookmarks/{bookmark}", post(bookmarks::take_back))
        .route("/recordings/{call}/recall", get(recording::recall))
        .route("/recordings/{call}/live", get(overhear::get))
        .route("/channels/{channel}/replies", post(replies::take))
        .route("/self-test", post(self_test::ask))
        .route("/demo/call", post(demo::call))
        .route("/login", get(login::form).post(login::submit))
        .route("/logout", post(login::out))
        .route("/first/{token}", get(first::form).post(first::submit))
        .route("/language", post(page::set_language))
        .route("/healthz", get(health::healthz))
        .route("/readyz", get(health::readyz))
        .route("/static/{*path}", get(assets::get))
        .merge(of_keeping())
        .method_not_allowed_fallback(desk::no_page)
        .fallback(desk::lost)
}

fn of_keeping() -> Router<Shared> {
    Router::new()
        .route("/keeping", get(keeping::get))
        .route("/keeping/hold", post(keeping::hold))
        .route("/keeping/release", post(keeping::ask_for_release))
        .route("/keeping/release/agree", post(keeping::agree_to_release))
        .route("/keeping/list", post(keeping::list))
        .route("/keeping/list/agree", post(keeping::agree_to_list))
        .route("/keeping/list/refuse", post(keeping::refuse_list))
        .route("/keeping/lists/{list}", get(keeping::get_list))
        .route("/keeping/dates", get(dates::get).post(dates::say))
        .route("/keeping/dates/agree", post(dates::agree))
        .route("/keeping/dates/refuse", post(dates::refuse))
        .route("/keeping/dates/{date}", get(dates::get_one))
        .route("/keeping/copies", post(losses::lose))
        .route("/keeping/copies/agree", post(losses::agree))
        .route("/keeping/copies/refuse", post(losses::refuse))
}

fn forbidden(_: tower_http::csrf::ProtectionError) -> Response {
    failure::both(StatusCode::FORBIDDEN, |t| t.forbidden)
}

/// Headers that every answer carries; what is not an asset is never kept.
async fn guard(visitor: Visitor, request: Request, next: Next) -> Response {
    const GUARDS: [(HeaderName, &str); 5] = [
        (
            header::CONTENT_SECURITY_POLICY,
            "default-src 'self'; script-src 'self'; style-src 'self'; img-src 'self'; \
             media-src 'self'; connect-src 'self'; object-src 'none'; base-uri 'none'; \
             form-action 'self'; frame-ancestors 'none'",
        ),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "same-origin"),
        (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
        (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
    ];
    let mut answer = next.run(request).await;
    let headers = answer.headers_mut();
    for (name, value) in GUARDS {
        headers.insert(name, HeaderValue::from_static(value));
    }
    if visitor.secure {
        headers.insert(
            header::STRICT_TRANSPORT_SECURITY,
            HeaderValue::from_static("max-age=31536000"),
        );
    }
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("private, no-store"));
    answer
}

#[cfg(test)]
mod tests;
