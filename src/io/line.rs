//! SIP sockets; turns the switchboard. One task on one thread, without locks: [`Event`] lists
//! everything that can wake it, and nothing it does waits for disk, database or page.

mod held;
mod parting;
mod served;

use crate::duty::checkpoint::{Checkpoint, GoesOn};
use crate::duty::figures::Figures;
use crate::duty::ids::{AttemptId, EntryId};
use crate::duty::line_plan::LinePlan;
use crate::duty::switchboard::{Input, Output, Switchboard};
use crate::io::checkpoint::Pen;
use crate::io::clock;
use crate::io::ladder::Traces;
use crate::io::listening;
use crate::io::logbook::Teller;
use crate::io::media::Media;
use crate::io::priority;
use crate::io::pulse::Pulse;
use crate::io::slips;
use crate::io::status::Board;
use crate::io::streams::{self, Streams};
use crate::io::tls::Door;
use crate::protocol::now::{Deadline, earlier};
use crate::protocol::rtp;
use crate::protocol::sdp::without_keys;
use crate::protocol::sip::{Peer, Transmit, Transport};
use anyhow::Context;
use held::Held;
use served::Served;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, UdpSocket};
use tokio::sync::{broadcast, mpsc, oneshot};
use tracing::{debug, error, info, trace, warn};

/// The largest UDP datagram there is.
const DATAGRAM: usize = 65_536;
/// Orders from other parts that may wait; more than a duty room can ever cause.
const INPUTS: usize = 1_024;
/// What has come meanwhile needs no waking of its own, up to so much of it.
const AT_ONCE: usize = 64;
const BEAT: Duration = Duration::from_secs(1);
/// Beats between two lines about messages that were dropped.
const DROPPED_BEATS: u64 = 60;
/// Beats between two notes of being alive while there is no call.
const IDLE_BEATS: u64 = 10;

/// What can wake the control task.
enum Event {
    Datagram(SocketAddr, usize),
    Broken(std::io::Error),
    Stream(streams::Event),
    Media(rtp::Event),
    Order(Input),
    /// Whoever opens another log wants to know what it may not end.
    Asked(oneshot::Sender<GoesOn>),
    Due,
    Beat,
    /// The keeper of the checkpoint has time.
    Keeper,
    /// It has written something that an INVITE waits for.
    Kept,
}

/// The SIP sockets, bound before anything else happens.
pub struct Sockets {
    udp: std::net::UdpSocket,
    tcp: std::net::TcpListener,
}

/// What the control task reports to and is ordered by.
pub struct Wiring {
    pub media: Arc<Media>,
    pub media_events: mpsc::UnboundedReceiver<rtp::Event>,
    pub facts: Teller,
    pub board: Board,
    pub traces: Traces,
    pub orders: mpsc::Receiver<Input>,
    pub asked: mpsc::Receiver<oneshot::Sender<GoesOn>>,
    /// How connections over TLS are checked, where there are any.
    pub door: Option<Door>,
    /// Recordings that leaders want to hear.
    pub fetches: mpsc::Sender<listening::Wanted>,
    /// What became of what was said to telephones.
    pub slips: broadcast::Sender<slips::Ended>,
    pub pulse: Pulse,
    /// What an earlier run left, and where the next one will find it.
    pub left: Checkpoint,
    pub keeper: Pen,
}

/// The running control task.
pub struct Line {
    thread: Option<std::thread::JoinHandle<()>>,
    ended: Option<oneshot::Receiver<()>>,
}

pub fn orders() -> (mpsc::Sender<Input>, mpsc::Receiver<Input>) {
    mpsc::channel(INPUTS)
}

/// Binds UDP and TCP to the same address.
///
/// # Errors
/// When the address is not this host's or the port is taken; the text says which and what to do.
pub fn bind(listen: SocketAddr) -> anyhow::Result<Sockets> {
    let remedy = "set line.listen to an address of this host and a free port \
                  (`ss -lunp` shows who holds one)";
    let udp = std::net::UdpSocket::bind(listen)
        .with_context(|| format!("cannot listen for SIP on UDP {listen}: {remedy}"))?;
    let tcp = std::net::TcpListener::bind(udp.local_addr()?)
        .with_context(|| format!("cannot listen for SIP on TCP {listen}: {remedy}"))?;
    udp.set_nonblocking(true)?;
    tcp.set_nonblocking(true)?;
    Ok(Sockets { udp, tcp })
}

impl Sockets {
    /// # Errors
    /// When the socket has no address, which a bound one has.
    pub fn local_addr(&self) -> std::io::Result<SocketAddr> {
        self.udp.local_addr()
    }
}

/// Starts the control task on a thread of its own.
///
/// # Errors
/// When the thread cannot be started.
pub fn start(sockets: Sockets, plan: LinePlan, wiring: Wiring) -> std::io::Result<Line> {
    let (done, ended) = oneshot::channel();
    let thread = std::thread::Builder::new().name("control".into()).spawn(move || {
        priority::first();
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .expect("a runtime needs only an epoll descriptor");
        if let Err(error) = runtime.block_on(run(sockets, plan, wiring)) {
            error!(%error, "the control task ended");
        }
        // Nobody waits any more when the daemon itself is gone.
        let _ = done.send(());
    })?;
    Ok(Line { thread: Some(thread), ended: Some(ended) })
}

impl Line {
    /// Waits until the control task has ended (after `Input::Shutdown`, or by its own fault). Whoever gives up waiting
    /// may wait again.
    pub async fn ended(&mut self) {
        if let Some(ended) = &mut self.ended {
            let _ = ended.await;
            self.ended = None;
        }
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

struct Control {
    switchboard: Switchboard,
    udp: UdpSocket,
    streams: Streams,
    media: Arc<Media>,
    facts: Teller,
    board: Board,
    keeper: Pen,
    held: Held,
    fetches: mpsc::Sender<listening::Wanted>,
    slips: broadcast::Sender<slips::Ended>,
    beats: u64,
    traces: Traces,
    served: Served,
    /// How many dropped messages the log knows of, and since which beat.
    dropped: (u64, Option<u64>),
    /// The media thread has commands of which it was not told.
    commanded: bool,
    drained: bool,
}

async fn run(sockets: Sockets, plan: LinePlan, mut wiring: Wiring) -> anyhow::Result<()> {
    let udp = UdpSocket::from_std(sockets.udp)?;
    let served = Served::new(&plan.account);
    let listener = TcpListener::from_std(sockets.tcp)?;
    let keep_alive = plan.account.habits.keep_alive;
    let (streams, mut stream_events) =
        Streams::new(listener, served.all(), wiring.door, keep_alive);
    let mut control = Control {
        switchboard: Switchboard::resume(plan, clock::random(), wiring.left, clock::now()),
        udp,
        streams,
        media: wiring.media,
        facts: wiring.facts,
        board: wiring.board,
        keeper: wiring.keeper,
        held: Held::default(),
        fetches: wiring.fetches,
        slips: wiring.slips,
        beats: 0,
        traces: wiring.traces,
        served,
        dropped: (0, None),
        commanded: false,
        drained: false,
    };
    let mut datagram = vec![0; DATAGRAM];
    let mut beat = tokio::time::interval(BEAT);
    let mut pacemaker = Watchdog::new(wiring.pulse);
    // Until the runtime has seen that it may be written to, a datagram would be lost; one that cannot be is of no use.
    let _ = control.udp.writable().await;
    control.drain();
    control.wake_media();
    while !control.drained {
        let due = earlier(control.switchboard.deadline(), control.held.deadline());
        let event = tokio::select! {
            received = control.udp.recv_from(&mut datagram) => match received {
                Ok((length, from)) => Event::Datagram(from, length),
                Err(error) => Event::Broken(error),
            },
            Some(event) = wiring.media_events.recv() => Event::Media(event),
            Some(event) = stream_events.recv() => Event::Stream(event),
            Some(order) = wiring.orders.recv() => Event::Order(order),
            Some(answer) = wiring.asked.recv() => Event::Asked(answer),
            () = clock::until(due) => Event::Due,
            _ = beat.tick() => Event::Beat,
            Ok(()) = control.keeper.room(), if control.switchboard.is_changed() => Event::Keeper,
            () = control.keeper.kept.more(), if !control.held.is_empty() => Event::Kept,
        };
        match event {
            Event::Datagram(from, length) => control.on_datagram(from, &datagram[..length]),
            Event::Broken(error) => debug!(%error, "the SIP socket reported an error"),
            Event::Stream(event) => control.on_stream(event),
            Event::Media(event) => control.handle(Input::Media(event)),
            Event::Order(input) => control.on_order(input),
            // Whoever asked may be gone.
            Event::Asked(answer) => drop(answer.send(control.switchboard.goes_on())),
            Event::Due => control.on_due(due),
            Event::Beat => {
                pacemaker.beat();
                control.say_alive();
            }
            Event::Keeper => control.keep(),
            Event::Kept => {}
        }
        control.take_more(&mut datagram, &mut wiring.media_events);
        control.wake_media();
        control.release();
    }
    control.keep_last(&mut stream_events, &mut wiring.media_events).await;
    control.streams.end(stream_events).await;
    Ok(())
}

impl Control {
    fn handle(&mut self, input: Input) {
        self.switchboard.handle(input, clock::now());
        // Before anything is sent: a phone that rings is known to the next run.
        if self.switchboard.is_changed() {
            self.keep();
        }
        self.drain();
    }

    fn take_more(&mut self, datagram: &mut [u8], media: &mut mpsc::UnboundedReceiver<rtp::Event>) {
        for _ in 0..AT_ONCE {
            if let Ok((length, from)) = self.udp.try_recv_from(datagram) {
                self.on_datagram(from, &datagram[..length]);
            } else if let Ok(event) = media.try_recv() {
                self.handle(Input::Media(event));
            } else {
                break;
            }
        }
    }

    fn on_datagram(&mut self, addr: SocketAddr, bytes: &[u8]) {
        let from = Peer { transport: Transport::Udp, addr };
        trace!(target: "dutyline::wire", %addr, text = %show(bytes), "in");
        self.handle(Input::Message { from, bytes: bytes.to_vec() });
    }

    fn on_order(&mut self, input: Input) {
        if let Input::Peers(peers) = &input {
            self.served = std::mem::take(&mut self.served).of(peers);
            self.streams.trust(self.served.all());
        }
        self.handle(input);
    }

    fn on_due(&mut self, due: Option<Deadline>) {
        if let Some((_, why)) = due {
            trace!(why, "due");
        }
        self.handle(Input::Timeout);
    }

    /// Never waits: while the keeper writes, what changes gathers in the switchboard.
    fn keep(&mut self) {
        self.keeper.tell(|| self.switchboard.take_changes(clock::now()));
    }

    /// Sends what has waited for the keeper.
    fn release(&mut self) {
        while let Some(transmit) = self.held.poll(self.keeper.kept.written(), clock::mono()) {
            self.send(transmit);
        }
        let waits = !self.held.is_empty();
        self.keeper.kept.hurry(waits);
        if waits && self.switchboard.is_changed() {
            self.keep();
        }
    }

    /// So that the next run knows since when nobody served the line.
    fn say_alive(&mut self) {
        self.beats += 1;
        self.traces.tell_lost();
        self.streams.end_unused(self.switchboard.in_session_since(), clock::mono());
        let connections = self.streams.ended();
        self.board.report(Figures { connections, ..self.switchboard.figures() });
        self.say_dropped();
        if self.switchboard.calls() > 0 || self.beats.is_multiple_of(IDLE_BEATS) {
            self.keep();
        }
    }

    /// One line a minute at most, whatever strangers send.
    fn say_dropped(&mut self) {
        let (known, told) = self.dropped;
        let (count, last) = self.switchboard.dropped();
        let silent = told.is_some_and(|told| self.beats - told < DROPPED_BEATS);
        let Some((from, why)) = last.filter(|_| count > known && !silent) else { return };
        info!(messages = count - known, last = %from.addr, why, "SIP messages were dropped");
        self.dropped = (count, Some(self.beats));
    }

    fn on_stream(&mut self, event: streams::Event) {
        match event {
            streams::Event::Message { from, bytes } => {
                trace!(target: "dutyline::wire", addr = %from.addr, text = %show(&bytes), "in");
                if self.streams.prove(from) {
                    self.handle(Input::Message { from, bytes });
                }
            }
            streams::Event::Closed { peer, id, end } => {
                debug!(addr = %peer.addr, why = %end.why, "connection closed");
                // One that was given up before says nothing of the one in use.
                if self.streams.forget(peer, id, &end) {
                    self.handle(Input::Unreachable { peer, why: end.why });
                }
            }
            streams::Event::Accepted { peer, id, handle } => {
                if let Some(peer) = self.streams.accept(peer, id, handle) {
                    let why = "made place for another connection".to_owned();
                    self.handle(Input::Unreachable { peer, why });
                }
            }
        }
    }

    fn drain(&mut self) {
        while let Some(output) = self.switchboard.poll() {
            match output {
                Output::Send(transmit) if transmit.opens() => {
                    let untold = u64::from(self.switchboard.is_changed());
                    self.held.hold(transmit, self.keeper.told() + untold, clock::mono());
                }
                Output::Send(transmit) => {
                    // Who is answered may speak at once, and in another key than before.
                    self.wake_media();
                    self.send(transmit);
                }
                Output::Traced(traced) => self.traces.put(traced),
                Output::Fetch { attempt, entry } => self.fetch(attempt, entry),
                // Whoever asked may be gone.
                Output::SlipEnded { slip, reply } => drop(self.slips.send((slip, reply))),
                Output::Heard { call, party, quality } => self.board.hears(call, party, quality),
                Output::Media(command) => {
                    self.commanded = true;
                    if let Err(command) = self.media.queue(command) {
                        error!(?command, "the media thread does not take commands");
                    }
                }
                Output::Journal(noted) => {
                    if !self.facts.tell(noted) {
                        warn!("a fact came after the log had closed");
                    }
                }
                Output::Drained => {
                    info!("line drained");
                    self.drained = true;
                }
            }
        }
    }

    /// Once for all that was commanded in one go.
    fn wake_media(&mut self) {
        if std::mem::take(&mut self.commanded) {
            self.media.wake();
        }
    }

    /// Never waits: where the reader of recordings is far behind, there is none to be heard.
    fn fetch(&mut self, attempt: AttemptId, entry: EntryId) {
        if self.fetches.try_send((attempt, entry)).is_err() {
            self.switchboard.handle(Input::Fetched { attempt, sound: None }, clock::now());
        }
    }

    fn send(&mut self, transmit: Transmit) {
        let Transmit { to, bytes } = transmit;
        trace!(target: "dutyline::wire", addr = %to.addr, text = %show(&bytes), "out");
        match to.transport {
            // A datagram that the kernel does not take now is lost as on any network: the
            // transaction repeats it.
            Transport::Udp => {
                if let Err(error) = self.udp.try_send_to(&bytes, to.addr) {
                    debug!(%error, addr = %to.addr, "datagram not sent");
                }
            }
            Transport::Tcp | Transport::Tls => self.streams.send(to, bytes),
        }
    }
}

/// Without keys of SRTP: whoever may read the log may not listen.
fn show(bytes: &[u8]) -> String {
    String::from_utf8_lossy(&without_keys(bytes)).escape_debug().to_string()
}

/// Tells systemd and the health page that the control task goes round.
struct Watchdog {
    pulse: Pulse,
    notify: bool,
}

impl Watchdog {
    fn new(pulse: Pulse) -> Self {
        pulse.beat();
        Self { pulse, notify: std::env::var_os("NOTIFY_SOCKET").is_some() }
    }

    fn beat(&mut self) {
        self.pulse.beat();
        if self.notify
            && let Err(error) = sd_notify::notify(&[sd_notify::NotifyState::Watchdog])
        {
            warn!(%error, "systemd's watchdog cannot be told");
            self.notify = false;
        }
    }
}
