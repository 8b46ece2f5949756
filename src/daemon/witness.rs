//! `dutyline witness`: on another host, with an extension of its own, it waits for the daemon's heartbeats and calls
//! the duty desk when there are none.

use super::voice::{Voice, start_voice};
use super::{DRAIN_WITHIN, make_folders, tell_systemd};
use crate::config::{Config, Heartbeat};
use crate::duty::heartbeat::{Order, Vigil};
use crate::duty::journal::{Fact, Noted};
use crate::duty::switchboard::Input;
use crate::io::checkpoint::{End, Keeper, Left};
use crate::io::logbook::Told;
use crate::io::media::Media;
use crate::io::resolver::Pbx;
use crate::io::status::Board;
use crate::io::tape::Tape;
use crate::io::{clock, heartbeat, line};
use anyhow::{Context, bail};
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use tokio::net::UdpSocket;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tracing::{debug, error, info, warn};

/// Datagrams of strangers in a row, after which everything else has its turn.
const PATIENCE: u32 = 64;
/// Longer than any heartbeat.
const DATAGRAM: usize = 512;

/// Watches until SIGTERM or SIGINT.
///
/// # Errors
/// When an address is taken, or the control task ends by itself; the text names the remedy.
pub async fn run(config: Config) -> anyhow::Result<()> {
    let Some(Heartbeat::Watches { listen, secret, plan }) = config.heartbeat.clone() else {
        bail!("[heartbeat] has no listen: this is not the configuration of a witness");
    };
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let socket = UdpSocket::bind(listen).await.with_context(|| {
        format!("cannot listen for heartbeats on UDP {listen}: set heartbeat.listen to an address of this host and a free port")
    })?;
    let sockets = line::bind(config.line.listen)?;
    make_folders(&config)?;
    let (board, stopping) = (Board::new(), CancellationToken::new());
    let pbx = Pbx::find(&config, &board).await?;
    // A call of an earlier run is made anew.
    let left = Left::default();
    let voice = start_voice(&config, pbx.peers.clone(), sockets, left, board.clone())?;
    let _finding = pbx.keep(&voice.orders, &board, &stopping);
    let Voice { media, tape, mut line, orders, facts, keeper, mut traced, mut recordings, .. } =
        voice;
    let (to_vigil, mut facts_of_line) = mpsc::unbounded_channel();
    tokio::spawn(bring(facts, to_vigil));
    tokio::spawn(async move { while traced.recv().await.is_some() {} });
    tokio::spawn(async move { while recordings.recv().await.is_some() {} });
    tell_systemd(sd_notify::NotifyState::Ready);
    info!(%listen, desk = plan.desk.join(", "), "the witness waits for heartbeats");

    let now = clock::mono();
    let vigil = Vigil::new(plan, clock::random(), now);
    let key = secret.expose().to_owned();
    let mut watch = Watch { vigil, socket, key, orders, strangers: 0, strangers_in_a_row: 0 };
    let mut ended = pin!(line.ended());
    let mut datagram = [0; DATAGRAM];
    let by_itself = loop {
        if watch.strangers_in_a_row >= PATIENCE {
            watch.look_up(&mut facts_of_line);
        }
        let answers = tokio::select! {
            // What waits to be heard comes before what has become of its absence.
            biased;
            _ = terminate.recv() => break false,
            _ = interrupt.recv() => break false,
            () = &mut ended => break true,
            received = watch.socket.recv_from(&mut datagram) => {
                received.ok().map(|(length, from)| watch.hear(&datagram[..length], from))
            }
            Some(noted) = facts_of_line.recv() => {
                watch.learn(&noted);
                None
            }
            () = clock::until(watch.vigil.deadline()) => {
                watch.vigil.handle_timeout(clock::now());
                None
            }
        };
        watch.carry_out(answers).await;
    };
    tell_systemd(sd_notify::NotifyState::Stopping);
    if !by_itself && watch.orders.send(Input::Shutdown).await.is_ok() {
        let drained = tokio::time::timeout(DRAIN_WITHIN, ended).await;
        if drained.is_err() {
            warn!("the line did not drain in time");
        }
    }
    stopping.cancel();
    leave(media, tape, keeper).await;
    anyhow::ensure!(!by_itself, "the control task ended by itself: see the log above");
    info!("the witness has stopped");
    Ok(())
}

async fn leave(media: Arc<Media>, tape: Tape, keeper: Keeper) {
    let stopped = tokio::task::spawn_blocking(move || {
        // The control task gave its share back when it ended.
        if let Some(media) = Arc::into_inner(media) {
            media.stop();
        }
        tape.stop();
        keeper.stop(End::Stopped);
    });
    if stopped.await.is_err() {
        error!("the media or tape thread panicked while stopping");
    }
}

/// [`Told::next`] must not be given up in the middle.
async fn bring(mut facts: Told, to: mpsc::UnboundedSender<Noted>) {
    while let Some(told) = facts.next().await {
        for noted in told {
            if to.send(noted).is_err() {
                return;
            }
        }
    }
}

struct Watch {
    vigil: Vigil,
    socket: UdpSocket,
    key: String,
    orders: mpsc::Sender<Input>,
    /// Datagrams that were not signed with our key.
    strangers: u64,
    strangers_in_a_row: u32,
}

impl Watch {
    /// A flood of what is not signed keeps neither the line's word nor the silence from being noticed.
    fn look_up(&mut self, facts: &mut mpsc::UnboundedReceiver<Noted>) {
        self.strangers_in_a_row = 0;
        while let Ok(noted) = facts.try_recv() {
            self.learn(&noted);
        }
        self.vigil.handle_timeout(clock::now());
    }

    /// Gives who is to be answered.
    fn hear(&mut self, datagram: &[u8], from: SocketAddr) -> SocketAddr {
        match heartbeat::read(datagram, &self.key) {
            Some(message) => {
                self.strangers_in_a_row = 0;
                self.vigil.handle_message(message, clock::now());
            }
            None => {
                self.strangers += 1;
                self.strangers_in_a_row += 1;
                if self.strangers.is_power_of_two() {
                    let datagrams = self.strangers;
                    warn!(%from, datagrams, "not signed with the secret of heartbeat.secret_file");
                }
            }
        }
        from
    }

    fn learn(&mut self, noted: &Noted) {
        match &noted.fact {
            Fact::LineUp => info!("the witness's line is registered"),
            Fact::LineDown { status, why, .. } => {
                error!(status, why, "the witness cannot call: its line is not registered");
            }
            Fact::AttemptRinging { .. } => info!("the desk rings"),
            Fact::Acknowledged { .. } => warn!("the desk knows that there are no heartbeats"),
            Fact::AttemptEnded { result, status, .. } => {
                info!(?result, status, "the call to the desk is over");
            }
            _ => {}
        }
        self.vigil.handle_fact(&noted.fact, clock::now());
    }

    /// `peer` is who is answered.
    async fn carry_out(&mut self, peer: Option<SocketAddr>) {
        while let Some(order) = self.vigil.poll() {
            match order {
                Order::Answer(message) => {
                    let text = heartbeat::write(message, &self.key);
                    let Some(peer) = peer else { continue };
                    if let Err(error) = self.socket.send_to(text.as_bytes(), peer).await {
                        debug!(%error, %peer, "answer not sent");
                    }
                }
                // The control task is gone, which ends the witness.
                Order::Line(input) => drop(self.orders.send(input).await),
                Order::Silent(silence) => {
                    error!(seconds = silence.as_secs(), "no heartbeat: calling the duty desk");
                }
                Order::Back { after, called } => {
                    warn!(seconds = after.as_secs(), called, "heartbeats are back");
                }
            }
        }
    }
}
