//! Starts and stops the parts, in order: what the telephone needs first, what may fail later.

mod beside;
mod keepers;
mod log;
mod page;
mod proof;
pub mod voice;
mod watched;
pub mod witness;

use crate::config::Config;
use crate::duty::switchboard::{Input, LeaderCall};
use crate::io::checkpoint::{self, End, Keeper};
use crate::io::line::{self, Line};
use crate::io::media::Media;
use crate::io::metrics::{self, Metrics};
use crate::io::open_matters;
use crate::io::policies::{Desk, Policies, Source};
use crate::io::proof::witness::Witness;
use crate::io::pulse::Pulse;
use crate::io::resolver::Pbx;
use crate::io::self_test::SelfTest;
use crate::io::slips::Slips;
use crate::io::status::Board;
use crate::io::store::{Hold, Store};
use crate::io::tape::{Backlog, Tape};
use crate::io::{channels, clock, escalator, lamp, life, logbook, web};
use anyhow::Context;
use beside::{beside, serve_heartbeat, with_desk};
use log::{Beginning, Opened, first_link, keep_log};
use page::{page, serve_page};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{Notify, mpsc};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};
use voice::{Voice, self_test_plan, start_voice};
use watched::watched;

/// How long calls and the registration have to end properly.
const DRAIN_WITHIN: Duration = Duration::from_secs(5);
/// Lamps are put out while there still is a line.
const LAMPS_WITHIN: Duration = Duration::from_secs(3);
/// How long the control task may not come round before the health page says so.
const ALIVE_WITHIN: Duration = Duration::from_secs(3);
/// In the data folder: what is to be called for where the log cannot be read.
const OPEN_MATTERS: &str = "open-matters";
/// What a demo wants beside the daemon itself.
#[derive(Debug, Default)]
pub struct Options {
    /// Makes a call come in; the page then has a button for it and a 演示 banner.
    pub demo: Option<mpsc::Sender<web::DemoCommand>>,
    /// Where the configuration is read again; none: nowhere.
    pub source: Option<Source>,
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
    witness: Option<Witness>,
    /// How long calls may go on when it is told to stop.
    finish: Duration,
    stopping: CancellationToken,
    /// Leaders are called until then.
    finishing: CancellationToken,
    lamps: Option<JoinHandle<()>>,
    background: Vec<JoinHandle<()>>,
    log: Vec<JoinHandle<()>>,
    policies: Arc<Desk>,
}

/// Runs until SIGTERM or SIGINT, then stops properly; a second one hurries. After SIGUSR2 the
/// calls wait for the next run; at SIGHUP the policy is read again.
///
/// # Errors
/// When a part that the telephone cannot do without does not start; the text names the remedy.
pub async fn run(config: Config, source: Source) -> anyhow::Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut restart = signal(SignalKind::user_defined2())?;
    let mut reload = signal(SignalKind::hangup())?;
    let options = Options { source: Some(source), ..Options::default() };
    let mut daemon = start(config, options).await?;
    if let Some(link) = daemon.first_link() {
        println!("首次使用，请打开此一次性链接建立账号 · first account, once:\n  {link}");
    }
    tell_systemd(sd_notify::NotifyState::Ready);
    let why = loop {
        tokio::select! {
            _ = terminate.recv() => break Why::Stop,
            _ = interrupt.recv() => break Why::Stop,
            _ = restart.recv() => break Why::Restart,
            Some(()) = reload.recv() => daemon.read_policies_again(),
            () = daemon.line.ended() => break Why::Failure,
        }
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

/// Starts every part, and none beside another daemon on the same data. Sockets and the calls of the last run first: voice
/// waits for nothing else, and facts wait until the log is open.
///
/// # Errors
/// When a SIP or RTP port is taken, or the log cannot be opened at all.
pub async fn start(config: Config, options: Options) -> anyhow::Result<Daemon> {
    let held = hold_folders(&config)?;
    let sockets = line::bind(config.line.listen)?;
    let mut left = checkpoint::load(&config.storage.data.join("calls.checkpoint"));
    left.checkpoint.give_pins(&config.roster);
    let (calls, down) = ((left.checkpoint.calls(), left.checkpoint.to_leaders()), left.down);
    let life = life::last(&config.storage.data);
    let (board, stopping) = (Board::new(), CancellationToken::new());
    let pbx = Pbx::find(&config, &board).await?;
    let mut voice = start_voice(&config, pbx.peers.clone(), sockets, left, board.clone())?;
    let beginning = Beginning::new(&config, calls, (down, life), voice.asks.clone());
    let (store, opened) = open_log(&beginning, held, &mut voice).await?;
    tell_dialled(&store, &voice.orders).await;
    let readers = readers(&config, &store, &board, &voice);
    if opened.fault.is_some() {
        go_without(&config, &readers, beginning.to_leaders());
    }
    let jumped = beginning.clock_jumped();
    let keeping = beginning.keep(opened, readers.clone(), stopping.clone());
    let (desk, policies) = keep_policies(options.source, &config, &readers);
    let log = keep_log(voice.facts, voice.recordings, voice.traced, readers.clone(), &stopping);
    let (pulse, alive) = (voice.pulse.clone(), voice.pulse);
    let (self_test, testing) = serve_self_test(&config, &pbx, &readers, &stopping).unzip();
    let witness = proof::witness(&config, &store, &board, &stopping).await;
    let page = web::Web {
        demo: options.demo,
        self_test,
        signer: witness.as_ref().map(|witness| Arc::clone(&witness.signer)),
        alive: Arc::new(move || alive.age() < ALIVE_WITHIN),
        ..page(&config, &readers, &policies, voice.tape.recall())
    };
    let (web_address, serving) =
        serve_page(config.web.listen, page, board.clone(), stopping.clone()).await?;
    let finishing = stopping.child_token();
    let (until, escalator) = ((&stopping, &finishing), Pulse::default());
    escalator.beat();
    let mut background =
        beside(&config, &readers, voice.wanted, (&escalator, &policies), jumped, until);
    let beating = serve_heartbeat(&config, &readers, &policies, (pulse, escalator), &stopping);
    background.extend(beating);
    let lamps = serve_lamps(&config, &readers, &voice.slips, &finishing);
    background.extend(serve_channels(&config, &readers, voice.slips, &stopping).await);
    background.extend(serve_metrics(&config, &readers, voice.tape.backlog(), &stopping));
    let sign = |witness: Witness| witness.keep(config.witness.every, stopping.clone());
    background.extend(witness.clone().map(sign).map(tokio::spawn));
    background.extend(testing.into_iter().chain([serving, tokio::spawn(keeping)]));
    background.extend(pbx.keep(&voice.orders, &board, &stopping));
    let first_link = first_link(&store, web_address).await;
    info!(%web_address, line = %config.line.number, "dutyline is up");
    let Voice { orders, line, media, tape, keeper, .. } = voice;
    Ok(Daemon {
        background: watched(background, &board),
        log: watched(log, &board),
        store,
        board,
        web_address,
        first_link,
        orders,
        line,
        media: Some(media),
        tape: Some(tape),
        keeper: Some(keeper),
        witness,
        finish: config.line.finish,
        stopping,
        finishing,
        lamps,
        policies: desk,
    })
}

/// Without the right to a log there is no duty line: the PBX is told.
async fn open_log(
    beginning: &Beginning,
    held: Option<Hold>,
    voice: &mut Voice,
) -> anyhow::Result<(Store, Opened)> {
    beginning.say_since_when(&voice.orders).await;
    let opened = beginning.open_log(held).await;
    if opened.is_err() {
        voice.leave().await;
    }
    opened
}

fn readers(config: &Config, store: &Store, board: &Board, voice: &Voice) -> logbook::Readers {
    logbook::Readers {
        store: store.clone(),
        board: board.clone(),
        metrics: Metrics::default(),
        orders: voice.orders.clone(),
        wake: Arc::new(Notify::new()),
        memory: escalator::Remembered::new(config.roster.clone()),
    }
}

/// By what leaders are called, and who reads it again.
fn keep_policies(
    source: Option<Source>,
    config: &Config,
    readers: &logbook::Readers,
) -> (Arc<Desk>, Policies) {
    let logbook::Readers { store, board, wake, .. } = readers.clone();
    let (desk, policies) =
        Desk::new(source, config.clone(), with_desk(config), (store, board, wake));
    let desk = Arc::new(desk);
    desk.begin();
    (desk, policies)
}

/// Without a log, what is open is what lies beside it, and the calls that go on; until there is one.
fn go_without(config: &Config, readers: &logbook::Readers, to_leaders: Vec<LeaderCall>) {
    let matters = open_matters::recall(&config.storage.data.join(OPEN_MATTERS));
    readers.memory.lock().recall(matters, to_leaders, clock::now());
}

/// Where leaders have telephones with lamps.
fn serve_lamps(
    config: &Config,
    readers: &logbook::Readers,
    slips: &Slips,
    finishing: &CancellationToken,
) -> Option<JoinHandle<()>> {
    let (roles, slips, roster) = (config.lamp.clone(), slips.clone(), config.roster.clone());
    let (store, board) = (readers.store.clone(), readers.board.clone());
    let office = lamp::Office { slips, store, board, roster, roles };
    (!office.roles.is_empty()).then(|| tokio::spawn(lamp::keep(office, finishing.clone())))
}

/// The quiet channels. Without them the telephone goes on.
async fn serve_channels(
    config: &Config,
    readers: &logbook::Readers,
    slips: Slips,
    stopping: &CancellationToken,
) -> Vec<JoinHandle<()>> {
    let office = channels::Office {
        store: readers.store.clone(),
        board: readers.board.clone(),
        roster: config.roster.clone(),
        line: config.line.number.clone(),
        slips,
        wake: Arc::clone(&readers.wake),
    };
    channels::start(config.channels.clone(), office, stopping).await
}

/// Who wants the line tested, and who does it, where an extension is configured for it.
fn serve_self_test(
    config: &Config,
    pbx: &Pbx,
    readers: &logbook::Readers,
    stopping: &CancellationToken,
) -> Option<(web::SelfTests, JoinHandle<()>)> {
    let plan = self_test_plan(config, &pbx.peers)?;
    let (wants, wanted) = mpsc::channel(1);
    let tests = web::SelfTests { wants, numbers: plan.numbers.clone() };
    let logbook::Readers { store, board, orders, .. } = readers.clone();
    let test = SelfTest { plan, store, board, orders, wanted };
    Some((tests, tokio::spawn(test.keep(stopping.clone()))))
}

/// For Prometheus, where an address is given.
fn serve_metrics(
    config: &Config,
    readers: &logbook::Readers,
    backlog: Backlog,
    stopping: &CancellationToken,
) -> Option<JoinHandle<()>> {
    let listen = config.metrics?.listen;
    let logbook::Readers { store, board, metrics, .. } = readers.clone();
    let recordings = config.storage.recordings.clone();
    let sources = metrics::Sources { board, store, recordings, backlog };
    let serving = metrics::keep_serving(listen, metrics, sources, stopping.clone());
    Some(tokio::spawn(serving))
}

impl Daemon {
    pub fn web_address(&self) -> SocketAddr {
        self.web_address
    }

    /// The one-time link of the first account, while there is no account.
    pub fn first_link(&self) -> Option<&str> {
        self.first_link.as_deref()
    }

    /// The policy as its file has it now; everything else takes a restart.
    pub fn read_policies_again(&self) {
        let desk = Arc::clone(&self.policies);
        tokio::spawn(async move { desk.reload().await });
    }

    /// Ends calls and registration properly, seals what was recorded, writes what is known.
    pub async fn stop(self) {
        self.stop_unless(std::future::pending()).await;
    }

    /// As [`Daemon::stop`]; calls that may still finish are ended when `hurry` is over.
    pub async fn stop_unless(mut self, hurry: impl Future<Output = ()>) {
        let orders = self.orders.clone();
        self.finishing.cancel();
        if let Some(lamps) = self.lamps.take() {
            let _ = tokio::time::timeout(LAMPS_WITHIN, lamps).await;
        }
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
            // One that panicked was told of then.
            let _ = task.await;
        }
        for task in self.background {
            task.abort();
        }
        if let Some(witness) = self.witness
            && let Err(error) = witness.sign().await
        {
            warn!(%error, "what was written last is not signed");
        }
        info!("dutyline has stopped");
    }
}

/// The day's cap does not begin anew with a restart.
async fn tell_dialled(store: &Store, orders: &mpsc::Sender<Input>) {
    match store.dialled_today(clock::now()).await {
        // The control task is gone: nobody dials.
        Ok(calls) => drop(orders.send(Input::DialledToday { calls }).await),
        Err(error) => warn!(%error, "what was dialled today is not known"),
    }
}

/// The data folder is this daemon's alone.
fn hold_folders(config: &Config) -> anyhow::Result<Option<Hold>> {
    make_folders(config)?;
    log::hold(config)
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

fn tell_systemd(state: sd_notify::NotifyState<'_>) {
    if std::env::var_os("NOTIFY_SOCKET").is_some()
        && let Err(error) = sd_notify::notify(&[state])
    {
        warn!(%error, "systemd cannot be told");
    }
}
