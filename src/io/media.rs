//! RTP sockets; turns the relay; feeds the tape's ring. For a packet nothing here allocates, locks or touches the disk;
//! a command may allocate.

mod ports;
mod readiness;
pub(in crate::io) mod taping;

use super::tape::record::{Head, Kind};
use super::tape::{self, TapeFeed};
use super::{clock, priority};
use crate::protocol::now::Mono;
use crate::protocol::places::Places;
use crate::protocol::rtp::relay::{REPORT_ROOM, Relay, Tag, Verdict};
use crate::protocol::rtp::source::FRAME_BYTES;
use crate::protocol::rtp::{self, Channel, Command, packet, srtp};
use ports::bind;
use readiness::{Readiness, Ready, Waker};
use std::io;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, TryRecvError, TrySendError, sync_channel};
use std::thread::{Builder, JoinHandle};
use std::time::Duration;
use taping::Taping;
use tokio::sync::mpsc;

/// Commands that may wait for the thread.
const COMMANDS_MAX: usize = 4096;
const WAKER: u64 = u64::MAX;
/// From here on the sockets beside the channels', for reports (RTCP).
const BESIDE: u64 = 1 << 20;
/// When to try again after the tape's ring had no room for a mark, and how often at the end.
const RING_IS_FULL: Duration = Duration::from_millis(20);
/// How long what is due is left alone after it panicked, so that voice has the processor.
const REST: Duration = Duration::from_millis(20);
const LAST_TRIES: usize = 25;
/// Packets of one channel that the tape's ring has room for while every channel has as many, and after how long it has
/// been emptied. So many come at once only after this thread was stopped, and are late in any case.
const TAPED_AT_ONCE: u8 = 16;
const EMPTIED_WITHIN: Duration = Duration::from_millis(40);

/// The RTP ports to bind, as configured.
#[derive(Debug, Clone)]
pub struct MediaPlan {
    pub listen: IpAddr,
    /// Even; channel `i` is bound to `first_port + 2 * i`.
    pub first_port: u16,
    pub channels: u16,
    /// Ask for `SCHED_FIFO`; goes on without where it is not permitted.
    pub realtime: bool,
    /// Gateways of the site, from where a party may be heard too.
    pub places: Places,
}

/// Gives commands to the media thread. Dropping it stops the thread.
pub struct Media {
    commands: Option<SyncSender<Command>>,
    waker: Waker,
    thread: Option<JoinHandle<()>>,
}

/// Binds the ports and starts the thread. The ports come back in the order of [`rtp::Channel`].
///
/// # Errors
/// A port that cannot be bound, named with the remedy.
pub fn start(
    plan: MediaPlan,
    prompts: Vec<Arc<[i16]>>,
    events: mpsc::UnboundedSender<rtp::Event>,
) -> io::Result<(Media, TapeFeed, Vec<u16>)> {
    start_watched(plan, prompts, events, |_, _| {})
}

/// What the thread is about to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum About {
    Take,
    Tape,
    Obey,
    Turn,
}

/// `watch` hears of it, with the packet where there is one.
fn start_watched<W: FnMut(About, &[u8]) + Send + 'static>(
    plan: MediaPlan,
    prompts: Vec<Arc<[i16]>>,
    events: mpsc::UnboundedSender<rtp::Event>,
    watch: W,
) -> io::Result<(Media, TapeFeed, Vec<u16>)> {
    let readiness = Readiness::new()?;
    let waker = readiness.waker(WAKER)?;
    let mut sockets = Vec::with_capacity(usize::from(plan.channels));
    let mut beside = Vec::with_capacity(usize::from(plan.channels));
    let mut ports = Vec::with_capacity(usize::from(plan.channels));
    let range = (plan.listen, plan.first_port, plan.channels);
    for index in 0..plan.channels {
        let (socket, port) = bind(range, 2 * u32::from(index))?;
        readiness.add(&socket, u64::from(index))?;
        sockets.push(socket);
        ports.push(port);
        let (socket, _) = bind(range, 2 * u32::from(index) + 1)?;
        readiness.add(&socket, BESIDE + u64::from(index))?;
        beside.push(socket);
    }
    let (tape, feed) = tape::ring(plan.channels);
    let (sender, commands) = sync_channel(COMMANDS_MAX);
    let turner = Turner {
        readiness,
        sockets,
        beside,
        relay: Relay::new(plan.channels, prompts, clock::random()).beside(plan.places),
        commands,
        buffer: vec![0; packet::BYTES_MAX + srtp::TAG].into(),
        taping: Taping::new(tape, plan.channels, COMMANDS_MAX),
        taken: vec![(Mono::default(), 0); usize::from(plan.channels)],
        late: Vec::with_capacity(usize::from(plan.channels)),
        rests: Mono::default(),
        events,
        watch,
    };
    let realtime = plan.realtime;
    let thread = Builder::new().name("media".into()).spawn(move || {
        if realtime {
            priority::real_time();
        }
        turner.run();
    })?;
    Ok((Media { commands: Some(sender), waker, thread: Some(thread) }, feed, ports))
}

impl Media {
    /// Never waits.
    ///
    /// # Errors
    /// Gives the command back when the queue is full or the thread is gone.
    pub fn send(&self, command: Command) -> Result<(), Box<Command>> {
        self.queue(command)?;
        self.wake();
        Ok(())
    }

    /// As [`Media::send`], but it is read at the thread's next waking only: see [`Media::wake`].
    ///
    /// # Errors
    /// As there.
    pub fn queue(&self, command: Command) -> Result<(), Box<Command>> {
        let Some(commands) = &self.commands else { return Err(Box::new(command)) };
        commands.try_send(command).map_err(|error| match error {
            TrySendError::Full(command) | TrySendError::Disconnected(command) => Box::new(command),
        })
    }

    /// Once for all the commands that were queued together.
    pub fn wake(&self) {
        self.waker.wake();
    }

    /// Ends the thread and closes the ports; the tape then drains what is left and ends too.
    pub fn stop(self) {
        drop(self);
    }
}

impl Drop for Media {
    fn drop(&mut self) {
        self.commands = None;
        self.waker.wake();
        if let Some(Err(_)) = self.thread.take().map(JoinHandle::join) {
            tracing::error!("the media thread panicked");
        }
    }
}

/// Owns everything the thread touches.
struct Turner<W> {
    readiness: Readiness,
    sockets: Vec<UdpSocket>,
    /// For reports, in the same order.
    beside: Vec<UdpSocket>,
    relay: Relay,
    commands: Receiver<Command>,
    /// For one packet, and what encrypting adds.
    buffer: Box<[u8]>,
    taping: Taping,
    /// Since when how many packets of each have gone to the tape.
    taken: Vec<(Mono, u8)>,
    /// Those that have taken their room there, and are left alone until it has been emptied.
    late: Vec<usize>,
    /// What is due rests until then, after a fault of the program.
    rests: Mono,
    events: mpsc::UnboundedSender<rtp::Event>,
    watch: W,
}

impl<W: FnMut(About, &[u8])> Turner<W> {
    fn run(mut self) {
        let mut ready = Ready::none();
        loop {
            match self.readiness.wait(&mut ready, self.patience()) {
                Ok(()) => {}
                Err(fault) if fault.kind() == io::ErrorKind::Interrupted => continue,
                Err(fault) => {
                    tracing::error!(%fault, "epoll failed; the media thread ends");
                    return;
                }
            };
            for nth in 0..ready.len() {
                match ready.token(nth) {
                    WAKER if !self.obey() => return self.leave(),
                    WAKER => {}
                    token if token >= BESIDE => {
                        alone(|| self.hear_reports((token - BESIDE) as usize));
                    }
                    token => self.receive(token as usize),
                }
            }
            let now = clock::mono();
            self.heed_again(now);
            if now >= self.rests && alone(|| self.turn(now)).is_none() {
                self.rests = now + REST;
            }
        }
    }

    fn turn(&mut self, now: Mono) {
        (self.watch)(About::Turn, &[]);
        self.relay.handle_timeout(now);
        self.finish(now);
        self.speak(now);
        self.tell_parties(now);
        self.report();
    }

    fn patience(&self) -> Option<Duration> {
        let now = clock::mono();
        let late = self.late.iter().map(|index| self.emptied(*index).since(now)).min();
        let ring_is_full = self.taping.waits().then_some(RING_IS_FULL);
        let due = self.relay.deadline().map(|(due, _)| due.max(self.rests).since(now));
        [late, ring_is_full, due].into_iter().flatten().min()
    }

    /// Carries out what is in the queue. False when nobody can send any more.
    fn obey(&mut self) -> bool {
        loop {
            match self.commands.try_recv() {
                Ok(command) => {
                    alone(|| self.carry_out(command, clock::mono()));
                }
                Err(TryRecvError::Empty) => return true,
                Err(TryRecvError::Disconnected) => return false,
            }
        }
    }

    /// The tape is told who has come and who has gone.
    fn carry_out(&mut self, command: Command, now: Mono) {
        (self.watch)(About::Obey, &[]);
        let (opens, channels) = (matches!(command, Command::Open { .. }), touched(&command));
        let before: Vec<_> = channels.iter().map(|one| self.relay.whose(*one)).collect();
        let finished = self.relay.handle_command(command, now);
        for (channel, before) in channels.into_iter().zip(before) {
            let after = self.relay.whose(channel);
            let who = |tag: &Tag| (tag.call, tag.party);
            if !opens && before.as_ref().map(who) == after.as_ref().map(who) {
                continue;
            }
            for (kind, tag) in [(Kind::Closed, before), (Kind::Opened, after)] {
                if let Some(tag) = tag {
                    self.taping.channel(kind, &tag, channel, now);
                }
            }
        }
        if let Some(call) = finished {
            self.taping.finished(call, now);
        }
        self.taping.write_marks();
    }

    /// Calls of which nothing comes any more.
    fn finish(&mut self, now: Mono) {
        while let Some((call, ended)) = self.relay.poll_finished(now) {
            self.taping.finished(call, ended);
        }
        self.taping.write_marks();
    }

    /// Nobody sends commands any more: what is left to be told goes onto the tape while there is somebody who reads it.
    fn leave(&mut self) {
        self.finish(Mono(u64::MAX));
        for _ in 0..LAST_TRIES {
            if !self.taping.waits() {
                break;
            }
            std::thread::sleep(RING_IS_FULL);
            self.taping.write_marks();
        }
        self.report();
    }

    fn receive(&mut self, index: usize) {
        let mut buffer = std::mem::take(&mut self.buffer);
        let got = self.sockets[index].recv_from(&mut buffer[..packet::BYTES_MAX]);
        if let Ok((length, from)) = got {
            let (channel, now) = (Channel(index as u16), clock::mono());
            if alone(|| self.take(channel, from, &mut buffer, length, now)) == Some(true) {
                self.count(index, now);
            }
        }
        self.buffer = buffer;
    }

    /// One more has gone to the tape.
    fn count(&mut self, index: usize, now: Mono) {
        if now >= self.emptied(index) {
            self.taken[index] = (now, 0);
        }
        self.taken[index].1 += 1;
        let all_taken = self.taken[index].1 == TAPED_AT_ONCE;
        if all_taken && self.readiness.heed(&self.sockets[index], index as u64, false).is_ok() {
            self.late.push(index);
        }
    }

    /// When the tape's ring has room again for as many of this channel.
    fn emptied(&self, index: usize) -> Mono {
        self.taken[index].0 + EMPTIED_WITHIN
    }

    fn heed_again(&mut self, now: Mono) {
        let Self { late, taken, readiness, sockets, .. } = self;
        late.retain(|index| {
            let waits = now < taken[*index].0 + EMPTIED_WITHIN;
            waits || readiness.heed(&sockets[*index], *index as u64, true).is_err()
        });
    }

    fn hear_reports(&mut self, index: usize) {
        let mut buffer = [0; packet::BYTES_MAX];
        let Ok((length, from)) = self.beside[index].recv_from(&mut buffer) else { return };
        let from = SocketAddr::new(from.ip().to_canonical(), from.port());
        let channel = Channel(index as u16);
        self.relay.handle_report(channel, from, &mut buffer[..length], clock::mono());
    }

    fn tell_parties(&mut self, now: Mono) {
        let mut report = [0; REPORT_ROOM];
        while let Some(told) = self.relay.poll_report(now, &mut report) {
            if let Some(socket) = self.beside.get(usize::from(told.channel.0)) {
                // The next one says it again.
                let _ = socket.send_to(&report[..told.length], told.to);
            }
        }
    }

    /// `buffer` has room to encrypt the packet of `length` bytes that it begins with. False: it is nobody's.
    fn take(
        &mut self,
        channel: Channel,
        from: SocketAddr,
        buffer: &mut [u8],
        length: usize,
        now: Mono,
    ) -> bool {
        (self.watch)(About::Take, &buffer[..length]);
        let from = SocketAddr::new(from.ip().to_canonical(), from.port());
        let Verdict::Take { tag, length, forward } =
            self.relay.handle_packet(channel, from, &mut buffer[..length], now)
        else {
            return false;
        };
        let head = Head::of(Kind::Packet, &tag, now, length as u16);
        let taped = alone(|| {
            (self.watch)(About::Tape, &buffer[..length]);
            self.taping.packet(channel, &head, &buffer[..length])
        });
        if taped != Some(true) {
            self.relay.untaped(channel);
        }
        if let Some(forward) = forward
            && let Some(length) = self.relay.carry(&forward, buffer, length, now)
        {
            self.send(forward.channel, forward.to, &buffer[..length]);
        }
        true
    }

    fn speak(&mut self, now: Mono) {
        let mut frame = [0; FRAME_BYTES];
        while let Some(spoken) = self.relay.poll_packet(now, &mut frame) {
            // What is said to a party that holds us is heard by nobody: it has no place on the tape.
            let Some(to) = spoken.to else { continue };
            let packet = &frame[..spoken.length];
            let head = Head::of(Kind::Packet, &spoken.tag, now, spoken.length as u16);
            if spoken.taped && !self.taping.packet(spoken.channel, &head, packet) {
                self.relay.untaped(spoken.channel);
            }
            let mut out = [0; FRAME_BYTES + srtp::TAG];
            out[..spoken.length].copy_from_slice(packet);
            let closed = self.relay.close_packet(spoken.channel, &mut out, spoken.length, now);
            if let Some(length) = closed {
                self.send(spoken.channel, to, &out[..length]);
            }
        }
    }

    /// A packet that the network does not take at once is lost, as packets may be.
    fn send(&mut self, channel: Channel, to: SocketAddr, bytes: &[u8]) {
        let socket = self.sockets.get(usize::from(channel.0));
        if socket.is_some_and(|socket| socket.send_to(bytes, to).is_ok()) {
            self.relay.sent(channel);
        }
    }

    fn report(&mut self) {
        while let Some(event) = self.relay.poll_event() {
            // The switchboard is gone while the daemon stops: nobody to tell.
            let _ = self.events.send(event);
        }
    }
}

/// `None`: a fault of the program has cost what was in hand. Voice goes on (rel_29).
fn alone<T>(work: impl FnOnce() -> T) -> Option<T> {
    let done = catch_unwind(AssertUnwindSafe(work));
    if done.is_err() {
        tracing::error!("the media thread has panicked and goes on: report it");
    }
    done.ok()
}

/// The channels that the command may give to somebody else.
fn touched(command: &Command) -> Vec<Channel> {
    match command {
        Command::Open { channel, .. }
        | Command::PassOn { channel, .. }
        | Command::Close { channel } => vec![*channel],
        Command::Confer { seats, .. } => seats.to_vec(),
        Command::Change { .. }
        | Command::Refresh { .. }
        | Command::Listen { .. }
        | Command::Join { .. }
        | Command::Play { .. }
        | Command::Speak { .. }
        | Command::Press { .. }
        | Command::Resume { .. }
        | Command::Stop { .. }
        | Command::Finish { .. } => vec![],
    }
}

#[cfg(test)]
pub mod tests;
