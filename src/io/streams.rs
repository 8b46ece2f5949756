//! TCP and TLS connections that carry SIP: accepts, connects, frames and writes, a task each way.
//! What comes over a connection that we opened is served like any other (RFC 5923).

use crate::duty::figures::{self, Sums};
use crate::io::clock;
use crate::io::tls::Door;
use crate::protocol::sip::flow::{Flow, PING, PONG, Step};
use crate::protocol::sip::stream::{Frame, Framer};
use crate::protocol::sip::{Peer, Transport};
use socket2::SockRef;
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadHalf, WriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::{Instant, timeout};
use tracing::debug;

/// Connections at once; a duty line needs one or two.
const CONNECTIONS: usize = 64;
/// Connections that one address has opened to us.
const PER_ADDRESS: usize = 16;
/// Messages waiting for a peer that does not read.
const WAITING: usize = 64;
const EVENTS: usize = 1_024;
const CONNECT_WITHIN: Duration = Duration::from_secs(4);
const WRITE_WITHIN: Duration = Duration::from_secs(10);
/// A connection opened to us has brought its first message.
const FIRST_WITHIN: Duration = Duration::from_secs(5);
/// A message that has begun is there in full.
const MESSAGE_WITHIN: Duration = Duration::from_secs(10);
/// A connection opened to us says something, were it a keep-alive.
const IDLE_AT_MOST: Duration = Duration::from_secs(900);
/// One that was quiet for so long makes place where there is none, so that a PBX that opens another for each call and
/// closes none is heard; what is still to be answered comes over a new one.
const QUIET: Duration = Duration::from_secs(32);

pub enum Event {
    Message { from: Peer, bytes: Vec<u8> },
    Accepted { peer: Peer, id: u64, handle: Handle },
    Closed { peer: Peer, id: u64, end: End },
}

/// What the owner of a connection has of its task. Dropped, it lets the task write what it has, and then end.
pub struct Handle {
    writer: mpsc::Sender<Vec<u8>>,
    /// Ends it at once, however much waits.
    stop: Option<oneshot::Sender<()>>,
}

/// The other side of a [`Handle`].
struct Wishes {
    queue: mpsc::Receiver<Vec<u8>>,
    stop: oneshot::Receiver<()>,
}

fn handle() -> (Handle, Wishes) {
    let ((writer, queue), (stop, stopped)) = (mpsc::channel(WAITING), oneshot::channel());
    (Handle { writer, stop: Some(stop) }, Wishes { queue, stop: stopped })
}

/// How a connection ended: by the name that it is counted by, and in words.
#[derive(Debug)]
pub struct End {
    name: &'static str,
    pub why: String,
}

impl End {
    fn new(name: &'static str, why: impl Into<String>) -> Self {
        Self { name, why: why.into() }
    }

    /// Its task panicked: whoever waits for it is told all the same.
    fn fault() -> Self {
        Self::new("fault", "its task ended by a fault of ours")
    }

    /// Whoever let go of it has counted it.
    fn by_us() -> Self {
        Self::new(BY_US, "closed by us")
    }
}

const BY_US: &str = "by_us";

struct Connection {
    id: u64,
    handle: Handle,
    /// Opened to us, and it has brought no message yet.
    unproved: bool,
    theirs: bool,
    /// When something was last said, by either.
    said: Instant,
}

/// The open connections by the peer's address.
pub struct Streams {
    open: BTreeMap<Peer, Connection>,
    common: Common,
    trusted: watch::Sender<Vec<IpAddr>>,
    ended: Sums,
}

/// What every connection's task has a share of.
#[derive(Clone)]
struct Common {
    events: mpsc::Sender<Event>,
    door: Option<Door>,
    /// Between two pings on a connection of ours.
    keep_alive: Duration,
    ids: Arc<AtomicU64>,
    /// Connections of strangers, closed unread.
    strangers: Arc<AtomicU64>,
}

impl Common {
    fn new_id(&self) -> u64 {
        self.ids.fetch_add(1, Ordering::Relaxed)
    }
}

impl Streams {
    /// Must be called inside a tokio runtime: it starts the accepting task.
    /// Connections from other addresses than `trusted` are closed unread.
    pub fn new(
        listener: TcpListener,
        trusted: Vec<IpAddr>,
        door: Option<Door>,
        keep_alive: Duration,
    ) -> (Self, mpsc::Receiver<Event>) {
        let (events, receiver) = mpsc::channel(EVENTS);
        let (trusted, trust) = watch::channel(trusted);
        let (ids, strangers) = (Arc::default(), Arc::default());
        let common = Common { events, door, keep_alive, ids, strangers };
        tokio::spawn(accept_all(listener, trust, common.clone()));
        (Self { open: BTreeMap::new(), common, trusted, ended: Sums::new() }, receiver)
    }

    /// Connections that were refused or came to their end since the start, by the reason.
    pub fn ended(&self) -> Sums {
        let mut ended = self.ended.clone();
        figures::add(&mut ended, "stranger", self.common.strangers.load(Ordering::Relaxed));
        ended
    }

    /// From now on these are served, and no others.
    pub fn trust(&mut self, trusted: Vec<IpAddr>) {
        self.trusted.send_replace(trusted);
    }

    /// Where there is no room, the oldest connection of this address that has said nothing yet makes place, else the
    /// one that was quiet for longest; where there is none, the newcomer is turned away: its handle is dropped.
    /// Which one made place.
    pub fn accept(&mut self, peer: Peer, id: u64, handle: Handle) -> Option<Peer> {
        let same = |other: &Peer, connection: &Connection| {
            connection.theirs && other.addr.ip() == peer.addr.ip()
        };
        let of_host = self.open.iter().filter(|(other, known)| same(other, known)).count();
        let said = Instant::now();
        let mut evicted = None;
        if of_host >= PER_ADDRESS || self.open.len() >= CONNECTIONS {
            figures::add(&mut self.ended, "no_room", 1);
            let idle = |one: &Connection| one.unproved || said - one.said >= QUIET;
            let idle = self.open.iter().filter(|(other, one)| same(other, one) && idle(one));
            let oldest = idle.min_by_key(|(_, one)| (!one.unproved, one.said, one.id));
            let oldest = oldest.map(|(other, _)| *other)?;
            self.open.remove(&oldest);
            evicted = Some(oldest);
        }
        self.open.insert(peer, Connection { id, handle, unproved: true, theirs: true, said });
        evicted
    }

    /// A whole message came over it; false where it was turned away, and what it says is not served.
    pub fn prove(&mut self, peer: Peer) -> bool {
        let Some(connection) = self.open.get_mut(&peer) else { return false };
        (connection.unproved, connection.said) = (false, Instant::now());
        true
    }

    /// Whether this was the connection in use, and not one that was given up before.
    pub fn forget(&mut self, peer: Peer, id: u64, end: &End) -> bool {
        if end.name != BY_US {
            figures::add(&mut self.ended, end.name, 1);
        }
        let current = self.open.get(&peer).is_some_and(|connection| connection.id == id);
        if current {
            self.open.remove(&peer);
        }
        current
    }

    /// Writes to the peer, connecting first where no connection is open. A peer that does not
    /// read loses its connection; until its end is told, what is for it is lost.
    pub fn send(&mut self, to: Peer, bytes: Vec<u8>) {
        let connection = self.open.entry(to).or_insert_with(|| {
            let (handle, wishes) = handle();
            let id = self.common.new_id();
            tokio::spawn(connect(to, id, wishes, self.common.clone()));
            Connection { id, handle, unproved: false, theirs: false, said: Instant::now() }
        });
        connection.said = Instant::now();
        if let Err(TrySendError::Full(_)) = connection.handle.writer.try_send(bytes)
            && let Some(stop) = connection.handle.stop.take()
        {
            debug!(addr = %to.addr, "the peer does not read: connection dropped");
            figures::add(&mut self.ended, "unread", 1);
            // Its task may have ended by itself.
            let _ = stop.send(());
        }
    }
}

async fn accept_all(listener: TcpListener, trusted: watch::Receiver<Vec<IpAddr>>, common: Common) {
    loop {
        match listener.accept().await {
            Ok((_, addr)) if !trusted.borrow().contains(&addr.ip().to_canonical()) => {
                common.strangers.fetch_add(1, Ordering::Relaxed);
                debug!(%addr, "a stranger's TCP connection was closed");
            }
            Ok((stream, addr)) => {
                let peer = Peer { transport: Transport::Tcp, addr };
                let id = common.new_id();
                let (handle, wishes) = handle();
                let accepted = Event::Accepted { peer, id, handle };
                if common.events.send(accepted).await.is_err() {
                    return;
                }
                let common = common.clone();
                tokio::spawn(async move {
                    let shared = common.clone();
                    let carried = tokio::spawn(async move {
                        carry(peer, ready(stream), wishes, &shared, true).await
                    });
                    close(peer, id, carried.await.unwrap_or_else(|_| End::fault()), &common).await;
                });
            }
            Err(error) => {
                // Out of descriptors: a connection must close before another can come.
                debug!(%error, "a TCP connection could not be accepted");
                tokio::time::sleep(Duration::from_millis(200)).await;
            }
        }
    }
}

async fn connect(peer: Peer, id: u64, wishes: Wishes, common: Common) {
    let carried = tokio::spawn(connected(peer, wishes, common.clone()));
    close(peer, id, carried.await.unwrap_or_else(|_| End::fault()), &common).await;
}

async fn connected(peer: Peer, wishes: Wishes, common: Common) -> End {
    let connecting = async {
        let stream = TcpStream::connect(peer.addr).await.map_err(|error| error.to_string())?;
        Ok::<_, String>(ready(stream))
    };
    match timeout(CONNECT_WITHIN, connecting).await {
        Err(_) => End::new("unreachable", "no connection in 4 s"),
        Ok(Err(why)) => End::new("unreachable", why),
        Ok(Ok(stream)) => match (peer.transport, &common.door) {
            (Transport::Tls, None) => End::new("handshake", "TLS is not configured"),
            (Transport::Tls, Some(door)) => {
                match timeout(CONNECT_WITHIN, door.connect(stream)).await {
                    Err(_) => End::new("handshake", "TLS:4 秒内没有握手 · no handshake in 4 s"),
                    Ok(Err(why)) => End::new("handshake", why),
                    Ok(Ok(stream)) => carry(peer, stream, wishes, &common, false).await,
                }
            }
            (Transport::Tcp | Transport::Udp, _) => {
                carry(peer, stream, wishes, &common, false).await
            }
        },
    }
}

/// Small messages must not wait for each other, and what nobody acknowledges is noticed; failing
/// to say so costs only delay.
fn ready(stream: TcpStream) -> TcpStream {
    let _ = stream.set_nodelay(true);
    let _ = SockRef::from(&stream).set_tcp_user_timeout(Some(WRITE_WITHIN));
    stream
}

/// What the reader has for the writer.
enum Crlf {
    Ping,
    Pong,
}

/// Reads and writes until either side closes; why it ended.
async fn carry<S: AsyncRead + AsyncWrite>(
    peer: Peer,
    stream: S,
    Wishes { queue, stop }: Wishes,
    common: &Common,
    theirs: bool,
) -> End {
    let (input, output) = tokio::io::split(stream);
    // One pong that waits answers any number of pings.
    let (crlfs, crlf_queue) = mpsc::channel(2);
    let pong_due = AtomicBool::new(false);
    let interval = if theirs { Duration::ZERO } else { common.keep_alive };
    let flow = Flow::new(interval, clock::mono());
    tokio::select! {
        end = read(peer, input, common, theirs, (&crlfs, &pong_due)) => end,
        end = write(output, queue, flow, (crlf_queue, &pong_due)) => end,
        Ok(()) = stop => End::by_us(),
    }
}

async fn write<S: AsyncWrite>(
    mut output: WriteHalf<S>,
    mut queue: mpsc::Receiver<Vec<u8>>,
    mut flow: Flow,
    (mut crlfs, pong_due): (mpsc::Receiver<Crlf>, &AtomicBool),
) -> End {
    loop {
        let due = flow.poll_timeout();
        let bytes = tokio::select! {
            bytes = queue.recv() => match bytes {
                Some(bytes) => bytes,
                None => return End::by_us(),
            },
            Some(crlf) = crlfs.recv() => match crlf {
                Crlf::Ping => PONG.to_vec(),
                Crlf::Pong => {
                    flow.handle_pong();
                    continue;
                }
            },
            () = clock::until(due) => {
                flow.handle_timeout(clock::mono());
                match flow.poll() {
                    None => continue,
                    Some(Step::Dead) => return End::new("no_pong", "no answer to keep-alives"),
                    Some(Step::Ping) => {
                        pong_due.store(true, Ordering::Relaxed);
                        PING.to_vec()
                    }
                }
            }
        };
        match timeout(WRITE_WITHIN, output.write_all(&bytes)).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => return End::new("broken", error.to_string()),
            Err(_) => return End::new("unread", "the peer does not read"),
        }
    }
}

async fn read<S: AsyncRead>(
    peer: Peer,
    mut input: ReadHalf<S>,
    common: &Common,
    theirs: bool,
    (crlfs, pong_due): (&mpsc::Sender<Crlf>, &AtomicBool),
) -> End {
    let mut framer = Framer::default();
    let mut buffer = vec![0; 16_384];
    let (mut since, mut proved) = (Instant::now(), !theirs);
    loop {
        let limit = match (proved, framer.is_waiting()) {
            (false, _) => Some((FIRST_WITHIN, "silent", "no message in time")),
            (true, true) => Some((MESSAGE_WITHIN, "unfinished", "a message was not completed")),
            (true, false) if theirs => Some((IDLE_AT_MOST, "idle", "idle")),
            (true, false) => None,
        };
        let reading = input.read(&mut buffer);
        let length = match limit {
            None => reading.await,
            Some((limit, name, why)) => {
                match tokio::time::timeout_at(since + limit, reading).await {
                    Ok(length) => length,
                    Err(_) => return End::new(name, why),
                }
            }
        };
        let waited = framer.is_waiting();
        match length {
            Ok(0) => return End::new("by_peer", "closed by the peer"),
            Ok(length) => framer.push(&buffer[..length]),
            Err(error) => return End::new("broken", error.to_string()),
        }
        if proved && !waited {
            since = Instant::now();
        }
        loop {
            match framer.poll_while(pong_due.load(Ordering::Relaxed)) {
                Ok(Some(Frame::Message(bytes))) => {
                    (since, proved) = (Instant::now(), true);
                    if common.events.send(Event::Message { from: peer, bytes }).await.is_err() {
                        return End::by_us();
                    }
                }
                Ok(Some(Frame::Ping)) => drop(crlfs.try_send(Crlf::Ping)),
                Ok(Some(Frame::Pong)) => {
                    pong_due.store(false, Ordering::Relaxed);
                    let _ = crlfs.try_send(Crlf::Pong);
                }
                Ok(None) => break,
                Err(why) => return End::new("framing", why),
            }
        }
    }
}

async fn close(peer: Peer, id: u64, end: End, common: &Common) {
    // The control task is gone: nobody to tell.
    let _ = common.events.send(Event::Closed { peer, id, end }).await;
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::SocketAddr;

    fn peer(port: u16) -> Peer {
        let addr = SocketAddr::from(([192, 0, 2, 1], port));
        Peer { transport: Transport::Tcp, addr }
    }

    /// A PBX that opens a connection for each call and closes none.
    #[tokio::test]
    async fn rel_09_connections_that_are_quiet_make_place_and_those_in_use_do_not() {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let (mut streams, _events) = Streams::new(listener, vec![], None, Duration::ZERO);
        let mut tasks = vec![];
        let mut accept = |streams: &mut Streams, n: u16| {
            let (handle, wishes) = handle();
            tasks.push(wishes);
            streams.accept(peer(n), u64::from(n), handle);
            streams.prove(peer(n));
            streams.open.contains_key(&peer(n))
        };
        for n in 1..=16 {
            assert!(accept(&mut streams, n), "{n}");
        }
        assert!(!accept(&mut streams, 17), "all of them may have a call open");
        streams.open.values_mut().for_each(|one| one.said -= QUIET);
        streams.prove(peer(1));
        streams.send(peer(2), vec![]);
        assert!(accept(&mut streams, 18), "and who made place is told");
        let open = |streams: &Streams, n| streams.open.contains_key(&peer(n));
        assert!(open(&streams, 1) && open(&streams, 2) && !open(&streams, 3), "the quietest");
        assert_eq!(streams.ended().get("no_room"), Some(&2));
    }

    /// What it asks for meanwhile opens no connection to a port where nobody listens.
    #[tokio::test]
    async fn rel_09_a_peer_that_does_not_read_is_let_go_once_and_told_of() {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let (mut streams, _events) = Streams::new(listener, vec![], None, Duration::ZERO);
        let (handle, mut wishes) = handle();
        streams.accept(peer(1), 7, handle);
        streams.prove(peer(1));
        (0..10 * WAITING).for_each(|_| streams.send(peer(1), vec![0]));
        assert_eq!(wishes.stop.try_recv(), Ok(()));
        assert_eq!((streams.ended().get("unread"), streams.open.len()), (Some(&1), 1));
        assert!(streams.forget(peer(1), 7, &End::by_us()), "whoever waits for it is told");
        assert!(streams.open.is_empty());
    }
}
