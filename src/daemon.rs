//! Starts and stops the parts, in order: what the telephone needs first, what may fail later.

use crate::config::Config;
use crate::duty::ids::CallId;
use crate::duty::journal::Noted;
use crate::duty::ladder::Traced;
use crate::duty::line_plan::LinePlan;
use crate::duty::switchboard::Input;
use crate::io::checkpoint::{self, End, Keeper, Left};
use crate::io::ladder::{self, traces};
use crate::io::line::{self, Line, Pulse, Wiring};
use crate::io::media::{self, Media, MediaPlan};
use crate::io::resolver::Pbx;
use crate::io::status::{Alarm, Board};
use crate::io::store::{OutageKind, Store};
use crate::io::tape::{self, Tape, TapePlan};
use crate::io::tls::Door;
use crate::io::{clock, disk, escalator, logbook, prompts, wav_file, web};
use crate::protocol::sip::{Account, Peer};
use anyhow::Context;
use chrono::{DateTime, Utc};
use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{Notify, mpsc};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

/// How long calls and the registration have to end properly.
const DRAIN_WITHIN: Duration = Duration::from_secs(5);
/// How long the control task may not come round before the health page says so.
const ALIVE_WITHIN: Duration = Duration::from_secs(3);
/// How often a page address that is taken is tried again.
const WEB_AGAIN: Duration = Duration::from_secs(5);

/// What a demo wants beside the daemon itself.
#[derive(Debug, Default)]
pub struct Options {
    /// Makes a call come in; the page then has a button for it and a 演示 banner.
    pub demo: Option<mpsc::Sender<web::DemoCommand>>,
}

/// The running daemon.
pub struct Daemon {
    pub store: Store,
    pub board: Board,
    web_address: SocketAddr,
    first_link: Option<String>,
    orders: mpsc::Sender<Input>,
    line: Line,
    media: Option<Arc<Media>>,
    tape: Option<Tape>,
    keeper: Option<Keeper>,
    /// How long calls may go on when it is told to stop.
    finish: Duration,
    stopping: CancellationToken,
    background: Vec<JoinHandle<()>>,
    log: Vec<JoinHandle<()>>,
}

/// Runs until SIGTERM or SIGINT, then stops properly; a second one hurries. After SIGUSR2 the
/// calls wait for the next run.
///
/// # Errors
/// When a part that the telephone cannot do without does not start; the text names the remedy.
pub async fn run(config: Config) -> anyhow::Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut restart = signal(SignalKind::user_defined2())?;
    let mut daemon = start(config, Options::default()).await?;
    if let Some(link) = daemon.first_link() {
        println!("首次使用，请打开此一次性链接建立账号 · first account, once:\n  {link}");
    }
    tell_systemd(sd_notify::NotifyState::Ready);
    let why = tokio::select! {
        _ = terminate.recv() => Why::Stop,
        _ = interrupt.recv() => Why::Stop,
        _ = restart.recv() => Why::Restart,
        () = daemon.line.ended() => Why::Failure,
    };
    tell_systemd(sd_notify::NotifyState::Stopping);
    let hurry = async {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    };
    match why {
        Why::Stop | Why::Failure => daemon.stop_unless(hurry).await,
        Why::Restart => daemon.hand_over().await,
    }
    anyhow::ensure!(why != Why::Failure, "the control task ended by itself: see the log above");
    Ok(())
}

/// Why a run ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Why {
    Stop,
    Restart,
    Failure,
}

/// Starts every part. Sockets and the calls of the last run first: voice waits for nothing else,
/// and facts wait until the log is open.
///
/// # Errors
/// When a SIP or RTP port is taken, or the log cannot be opened at all.
pub async fn start(config: Config, options: Options) -> anyhow::Result<Daemon> {
    let sockets = line::bind(config.line.listen)?;
    make_folders(&config)?;
    let left = checkpoint::load(&config.storage.data.join("calls.checkpoint"));
    let (go_on, down) = (left.checkpoint.calls(), left.down);
    let board = Board::new();
    let stopping = CancellationToken::new();
    let pbx = Pbx::find(&config, &board).await?;
    let mut voice = start_voice(&config, pbx.peers.clone(), sockets, left)?;
    let store = match open_log(&config, go_on, down).await {
        Ok(store) => store,
        Err(fault) => {
            voice.leave().await;
            return Err(fault);
        }
    };

    let wake = Arc::new(Notify::new());
    let readers = logbook::Readers {
        store: store.clone(),
        board: board.clone(),
        orders: voice.orders.clone(),
        wake: Arc::clone(&wake),
    };
    let log = keep_log(voice.facts, voice.recordings, voice.traced, readers, &stopping);
    let pulse = voice.pulse;
    let page = web::Web {
        store: store.clone(),
        board: board.clone(),
        room: config.line.room.clone(),
        line: config.line.number.clone(),
        recordings: config.storage.recordings.clone(),
        demo: options.demo,
        wake: Arc::clone(&wake),
        alive: Arc::new(move || pulse.age() < ALIVE_WITHIN),
    };
    let (web_address, serving) =
        serve_page(config.web.listen, page, board.clone(), stopping.clone()).await?;
    let escalating = escalator::run(
        store.clone(),
        config.policy.clone(),
        config.roster.clone(),
        voice.orders.clone(),
        wake,
        board.clone(),
        stopping.clone(),
    );
    let storage = &config.storage;
    let watching = disk::watch(storage.recordings.clone(), storage.low_space, board.clone());
    let mut background = vec![serving, tokio::spawn(escalating), tokio::spawn(watching)];
    background.extend(pbx.keep(&voice.orders, &board, &stopping));
    let first_link = first_link(&store, web_address).await;
    info!(%web_address, line = %config.line.number, "dutyline is up");
    let Voice { orders, line, media, tape, keeper, .. } = voice;
    let (media, tape, keeper) = (Some(media), Some(tape), Some(keeper));
    Ok(Daemon {
        store,
        board,
        web_address,
        first_link,
        orders,
        line,
        media,
        tape,
        keeper,
        finish: config.line.finish,
        stopping,
        background,
        log,
    })
}

fn keep_log(
    facts: mpsc::UnboundedReceiver<Noted>,
    recordings: mpsc::UnboundedReceiver<tape::Event>,
    traced: mpsc::Receiver<Traced>,
    readers: logbook::Readers,
    stopping: &CancellationToken,
) -> Vec<JoinHandle<()>> {
    let (store, board) = (readers.store.clone(), readers.board.clone());
    let ladders = ladder::keep(traced, store.clone(), board.clone(), stopping.clone());
    let recordings = logbook::keep_recordings(recordings, store, board, stopping.clone());
    let facts = logbook::keep_facts(facts, readers, stopping.clone());
    vec![tokio::spawn(facts), tokio::spawn(recordings), tokio::spawn(ladders)]
}

/// The threads that the telephone needs, and what they report.
struct Voice {
    media: Arc<Media>,
    tape: Tape,
    line: Line,
    orders: mpsc::Sender<Input>,
    facts: mpsc::UnboundedReceiver<Noted>,
    traced: mpsc::Receiver<Traced>,
    recordings: mpsc::UnboundedReceiver<tape::Event>,
    pulse: Pulse,
    keeper: Keeper,
}

impl Voice {
    /// Without a log there is no duty line: the PBX is told.
    async fn leave(&mut self) {
        if self.orders.send(Input::Shutdown).await.is_ok() {
            let _ = tokio::time::timeout(DRAIN_WITHIN, self.line.ended()).await;
        }
    }
}

fn start_voice(
    config: &Config,
    peers: Vec<Peer>,
    sockets: line::Sockets,
    left: Left,
) -> anyhow::Result<Voice> {
    let (media_events, from_media) = mpsc::unbounded_channel();
    let (media, feed, rtp_ports) =
        media::start(media_plan(config), prompts::load(greeting(config)), media_events)
            .context("cannot open the RTP ports")?;
    let media = Arc::new(media);
    let (tape_events, recordings) = mpsc::unbounded_channel();
    let tape_plan = TapePlan {
        data: config.storage.data.clone(),
        recordings: config.storage.recordings.clone(),
        open: left.checkpoint.taped().into_iter().map(|call| call.0).collect(),
    };
    let tape = tape::start(tape_plan, feed, tape_events);
    let (changes, keeper) = checkpoint::start(config.storage.data.join("calls.checkpoint"), &left);
    let (orders, to_line) = line::orders();
    let (to_log, facts) = mpsc::unbounded_channel();
    let (to_ladders, traced) = traces();
    let pulse = Pulse::default();
    let plan = line_plan(config, peers, sockets.local_addr()?, rtp_ports);
    let wiring = Wiring {
        media: Arc::clone(&media),
        media_events: from_media,
        facts: to_log,
        traces: to_ladders,
        orders: to_line,
        door: config.line.tls.clone().map(Door::new),
        pulse: pulse.clone(),
        left: left.checkpoint,
        keeper: changes,
    };
    let line = line::start(sockets, plan, wiring).context("cannot start the control thread")?;
    Ok(Voice { media, tape, line, orders, facts, traced, recordings, pulse, keeper })
}

impl Daemon {
    pub fn web_address(&self) -> SocketAddr {
        self.web_address
    }

    /// The one-time link of the first account, while there is no account.
    pub fn first_link(&self) -> Option<&str> {
        self.first_link.as_deref()
    }

    /// Ends calls and registration properly, seals what was recorded, writes what is known.
    pub async fn stop(self) {
        self.stop_unless(std::future::pending()).await;
    }

    /// As [`Daemon::stop`]; calls that may still finish are ended when `hurry` is over.
    pub async fn stop_unless(mut self, hurry: impl Future<Output = ()>) {
        let orders = self.orders.clone();
        let mut drained = orders.send(Input::Shutdown).await.is_err()
            || tokio::select! {
                within = tokio::time::timeout(self.finish + DRAIN_WITHIN, self.line.ended()) => {
                    within.is_ok()
                }
                () = hurry => false,
            };
        if !drained {
            let _ = orders.send(Input::Shutdown).await;
            drained = tokio::time::timeout(DRAIN_WITHIN, self.line.ended()).await.is_ok();
        }
        self.leave(End::Stopped, drained).await;
    }

    /// Goes at once; the calls wait for the next run.
    pub async fn hand_over(mut self) {
        let drained = self.orders.send(Input::HandOver).await.is_err()
            || tokio::time::timeout(DRAIN_WITHIN, self.line.ended()).await.is_ok();
        self.leave(End::HandedOver, drained).await;
    }

    async fn leave(mut self, how: End, drained: bool) {
        if !drained {
            warn!("the line did not drain in time");
        }
        self.stopping.cancel();
        let keeper = self.keeper.take().filter(|_| drained);
        let (media, tape) = (self.media.take(), self.tape.take());
        let stopped = tokio::task::spawn_blocking(move || {
            // The control task gave its share back when it ended.
            if let Some(media) = media.and_then(Arc::into_inner) {
                media.stop();
            }
            if let Some(tape) = tape {
                tape.stop();
            }
            if let Some(keeper) = keeper {
                keeper.stop(how);
            }
        });
        if stopped.await.is_err() {
            error!("the media or tape thread panicked while stopping");
        }
        drop(self.orders);
        for task in self.log {
            if task.await.is_err() {
                error!("a part of the log panicked");
            }
        }
        for task in self.background {
            task.abort();
        }
        info!("dutyline has stopped");
    }
}

fn make_folders(config: &Config) -> anyhow::Result<()> {
    let data = &config.storage.data;
    std::fs::create_dir_all(data).with_context(|| {
        format!("cannot make storage.data {}: check who owns its parent", data.display())
    })?;
    // Without it the phone still works: the recorder and the page say that it is missing.
    if let Err(error) = std::fs::create_dir_all(&config.storage.recordings) {
        error!(folder = %config.storage.recordings.display(), %error, "no recordings folder");
    }
    Ok(())
}

fn open_store(database: &Path) -> anyhow::Result<Store> {
    Store::open(database, clock::random()).map_err(|error| {
        let (zh, en) = error.remedy();
        anyhow::anyhow!("{}: {error}: {en}（{zh}）", database.display())
    })
}

/// What the last run left open is closed, but for the calls that go on; the configured contacts
/// are in the log.
async fn open_log(
    config: &Config,
    go_on: BTreeSet<CallId>,
    down: Option<(DateTime<Utc>, &str)>,
) -> anyhow::Result<Store> {
    let store = open_store(&config.storage.data.join("dutyline.db"))?;
    let now = clock::now();
    let interrupted = store.interrupted_calls(go_on, now).await.context("the last run's calls")?;
    if let Some((since, why)) = down {
        let noted = store.outage_was(OutageKind::Service, since, why, now).await;
        noted.context("the time without a daemon")?;
    }
    if !interrupted.is_empty() {
        warn!(calls = interrupted.len(), "the last run ended in the middle of calls");
    }
    let numbering = config.callers.numbering.clone();
    let renumbered = store.set_numbering(numbering.clone()).await.context("the numbering")?;
    if renumbered > 0 {
        info!(calls = renumbered, "calls of the past are compared by the new numbering");
    }
    store.set_contacts(config.contacts.clone(), numbering).await.context("the contacts")?;
    Ok(store)
}

async fn first_link(store: &Store, address: SocketAddr) -> Option<String> {
    match store.make_login_link(None, clock::now()).await {
        Ok(token) => token.map(|token| format!("http://{address}/first/{token}")),
        Err(error) => {
            error!(%error, "no link for a first account");
            None
        }
    }
}

fn media_plan(config: &Config) -> MediaPlan {
    MediaPlan {
        listen: config.media.listen,
        first_port: config.media.first_port,
        channels: config.media.channels,
        realtime: config.media.realtime,
    }
}

fn line_plan(
    config: &Config,
    peers: Vec<Peer>,
    bound: SocketAddr,
    rtp_ports: Vec<u16>,
) -> LinePlan {
    let line = &config.line;
    LinePlan {
        account: Account {
            local: SocketAddr::new(line.advertise, bound.port()),
            pbx: peers.first().copied().unwrap_or(Peer::nowhere(line.transport)),
            peers,
            habits: line.habits.clone(),
            domain: line.domain.clone(),
            user: line.user.clone(),
            display: String::new(),
            auth_user: line.auth_user.clone(),
            password: line.password.clone(),
            realm: line.realm.clone(),
            expires: line.expires,
            session_expires: line.session_expires,
            also_trusted: line.trusted.clone(),
            agent: concat!("dutyline/", env!("CARGO_PKG_VERSION")).into(),
        },
        media_address: line.advertise,
        rtp_ports,
        phones: config.phones.clone(),
        reserved_channels: usize::from(config.media.reserved),
        entry_budget: config.storage.entry_budget,
        callers: config.callers.clone(),
        finish: line.finish,
        answering: config.answering.clone(),
        srtp: config.media.srtp,
    }
}

/// The site's own greeting; ours where its file cannot be read any more.
fn greeting(config: &Config) -> Option<Vec<i16>> {
    let path = config.greeting.as_ref()?;
    match wav_file::read_file(path) {
        Ok(channels) => channels.into_iter().next(),
        Err(error) => {
            error!(file = %path.display(), %error, "message.greeting cannot be read: ours is said");
            None
        }
    }
}

/// Binds the page's address; a taken one is tried again for ever, with an alarm, while the
/// telephone works.
async fn serve_page(
    listen: SocketAddr,
    page: web::Web,
    board: Board,
    stopping: CancellationToken,
) -> anyhow::Result<(SocketAddr, JoinHandle<()>)> {
    match tokio::net::TcpListener::bind(listen).await {
        Ok(listener) => {
            let address = listener.local_addr()?;
            Ok((address, tokio::spawn(serve(listener, page, stopping))))
        }
        Err(error) => {
            error!(%listen, %error, "no page: set web.listen to a free port of this host");
            board.update(|status| {
                status.alarms.insert(
                    "web",
                    Alarm {
                        since: clock::now().wall,
                        zh: format!("页面地址 {listen} 无法监听（{error}）"),
                        en: format!("the page cannot listen on {listen}: {error}"),
                    },
                );
            });
            let task = tokio::spawn(async move {
                loop {
                    tokio::time::sleep(WEB_AGAIN).await;
                    if let Ok(listener) = tokio::net::TcpListener::bind(listen).await {
                        info!(%listen, "the page is served");
                        board.update(|status| {
                            status.alarms.remove("web");
                        });
                        return serve(listener, page, stopping).await;
                    }
                }
            });
            Ok((listen, task))
        }
    }
}

async fn serve(listener: tokio::net::TcpListener, page: web::Web, stopping: CancellationToken) {
    if let Err(error) = web::serve(listener, page, stopping).await {
        error!(%error, "the page is no longer served");
    }
}

fn tell_systemd(state: sd_notify::NotifyState<'_>) {
    if std::env::var_os("NOTIFY_SOCKET").is_some()
        && let Err(error) = sd_notify::notify(&[state])
    {
        warn!(%error, "systemd cannot be told");
    }
}
