//! TCP and TLS connections that carry SIP: accepts, connects, frames and writes, a task each way.
//! What comes over a connection that we opened is served like any other (RFC 5923).

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
use tokio::sync::{mpsc, watch};
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

pub enum Event {
    Message { from: Peer, bytes: Vec<u8> },
    Accepted { peer: Peer, id: u64, writer: mpsc::Sender<Vec<u8>> },
    Closed { peer: Peer, id: u64, why: String },
}

struct Connection {
    id: u64,
    writer: mpsc::Sender<Vec<u8>>,
    /// Opened to us, and it has brought no message yet.
    unproved: bool,
    theirs: bool,
}

/// The open connections by the peer's address.
pub struct Streams {
    open: BTreeMap<Peer, Connection>,
    common: Common,
    trusted: watch::Sender<Vec<IpAddr>>,
}

/// What every connection's task has a share of.
#[derive(Clone)]
struct Common {
    events: mpsc::Sender<Event>,
    door: Option<Door>,
    /// Between two pings on a connection of ours.
    keep_alive: Duration,
    ids: Arc<AtomicU64>,
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
        let common = Common { events, door, keep_alive, ids: Arc::default() };
        tokio::spawn(accept_all(listener, trust, common.clone()));
        (Self { open: BTreeMap::new(), common, trusted }, receiver)
    }

    /// From now on these are served, and no others.
    pub fn trust(&mut self, trusted: Vec<IpAddr>) {
        self.trusted.send_replace(trusted);
    }

    /// Where there is no room, the oldest connection of this address that has said nothing yet
    /// makes place; where there is none, the newcomer is turned away: its writer is dropped.
    pub fn accept(&mut self, peer: Peer, id: u64, writer: mpsc::Sender<Vec<u8>>) {
        let same = |other: &Peer, connection: &Connection| {
            connection.theirs && other.addr.ip() == peer.addr.ip()
        };
        let of_host = self.open.iter().filter(|(other, known)| same(other, known)).count();
        if of_host >= PER_ADDRESS || self.open.len() >= CONNECTIONS {
            let silent = self.open.iter().filter(|(other, one)| same(other, one) && one.unproved);
            let oldest = silent.min_by_key(|(_, one)| one.id).map(|(other, _)| *other);
            let Some(oldest) = oldest else { return };
            self.open.remove(&oldest);
        }
        self.open.insert(peer, Connection { id, writer, unproved: true, theirs: true });
    }

    /// A whole message came over it.
    pub fn prove(&mut self, peer: Peer) {
        if let Some(connection) = self.open.get_mut(&peer) {
            connection.unproved = false;
        }
    }

    /// Whether this was the connection in use, and not one that was given up before.
    pub fn forget(&mut self, peer: Peer, id: u64) -> bool {
        let current = self.open.get(&peer).is_some_and(|connection| connection.id == id);
        if current {
            self.open.remove(&peer);
        }
        current
    }

    /// Writes to the peer, connecting first where no connection is open. A peer that does not
    /// read loses its connection.
    pub fn send(&mut self, to: Peer, bytes: Vec<u8>) {
        let connection = self.open.entry(to).or_insert_with(|| {
            let (writer, queue) = mpsc::channel(WAITING);
            let id = self.common.new_id();
            tokio::spawn(connect(to, id, queue, self.common.clone()));
            Connection { id, writer, unproved: false, theirs: false }
        });
        if connection.writer.try_send(bytes).is_err() {
            debug!(addr = %to.addr, "the peer does not read: connection dropped");
            self.open.remove(&to);
        }
    }
}

async fn accept_all(listener: TcpListener, trusted: watch::Receiver<Vec<IpAddr>>, common: Common) {
    loop {
        match listener.accept().await {
            Ok((_, addr)) if !trusted.borrow().contains(&addr.ip().to_canonical()) => {
                debug!(%addr, "a stranger's TCP connection was closed");
            }
            Ok((stream, addr)) => {
                let peer = Peer { transport: Transport::Tcp, addr };
                let id = common.new_id();
                let (writer, queue) = mpsc::channel(WAITING);
                let accepted = Event::Accepted { peer, id, writer };
                if common.events.send(accepted).await.is_err() {
                    return;
                }
                let common = common.clone();
                tokio::spawn(async move {
                    let why = carry(peer, ready(stream), queue, &common, true).await;
                    close(peer, id, why, &common).await;
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

async fn connect(peer: Peer, id: u64, queue: mpsc::Receiver<Vec<u8>>, common: Common) {
    let connecting = async {
        let stream = TcpStream::connect(peer.addr).await.map_err(|error| error.to_string())?;
        Ok::<_, String>(ready(stream))
    };
    let why = match timeout(CONNECT_WITHIN, connecting).await {
        Err(_) => "no connection in 4 s".to_owned(),
        Ok(Err(why)) => why,
        Ok(Ok(stream)) => match (peer.transport, &common.door) {
            (Transport::Tls, None) => "TLS is not configured".to_owned(),
            (Transport::Tls, Some(door)) => {
                match timeout(CONNECT_WITHIN, door.connect(stream)).await {
                    Err(_) => "TLS:4 秒内没有握手 · no handshake in 4 s".to_owned(),
                    Ok(Err(why)) => why,
                    Ok(Ok(stream)) => carry(peer, stream, queue, &common, false).await,
                }
            }
            (Transport::Tcp | Transport::Udp, _) => {
                carry(peer, stream, queue, &common, false).await
            }
        },
    };
    close(peer, id, why, &common).await;
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
    queue: mpsc::Receiver<Vec<u8>>,
    common: &Common,
    theirs: bool,
) -> String {
    let (input, output) = tokio::io::split(stream);
    // One pong that waits answers any number of pings.
    let (crlfs, crlf_queue) = mpsc::channel(2);
    let pong_due = AtomicBool::new(false);
    let interval = if theirs { Duration::ZERO } else { common.keep_alive };
    let flow = Flow::new(interval, clock::mono());
    tokio::select! {
        why = read(peer, input, common, theirs, (&crlfs, &pong_due)) => why,
        why = write(output, queue, flow, (crlf_queue, &pong_due)) => why,
    }
}

async fn write<S: AsyncWrite>(
    mut output: WriteHalf<S>,
    mut queue: mpsc::Receiver<Vec<u8>>,
    mut flow: Flow,
    (mut crlfs, pong_due): (mpsc::Receiver<Crlf>, &AtomicBool),
) -> String {
    loop {
        let due = flow.poll_timeout();
        let bytes = tokio::select! {
            bytes = queue.recv() => match bytes {
                Some(bytes) => bytes,
                None => return "closed by us".to_owned(),
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
                    Some(Step::Dead) => return "no answer to keep-alives".to_owned(),
                    Some(Step::Ping) => {
                        pong_due.store(true, Ordering::Relaxed);
                        PING.to_vec()
                    }
                }
            }
        };
        match timeout(WRITE_WITHIN, output.write_all(&bytes)).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => return error.to_string(),
            Err(_) => return "the peer does not read".to_owned(),
        }
    }
}

async fn read<S: AsyncRead>(
    peer: Peer,
    mut input: ReadHalf<S>,
    common: &Common,
    theirs: bool,
    (crlfs, pong_due): (&mpsc::Sender<Crlf>, &AtomicBool),
) -> String {
    let mut framer = Framer::default();
    let mut buffer = vec![0; 16_384];
    let (mut since, mut proved) = (Instant::now(), !theirs);
    loop {
        let limit = match (proved, framer.is_waiting()) {
            (false, _) => Some((FIRST_WITHIN, "no message in time")),
            (true, true) => Some((MESSAGE_WITHIN, "a message was not completed")),
            (true, false) if theirs => Some((IDLE_AT_MOST, "idle")),
            (true, false) => None,
        };
        let reading = input.read(&mut buffer);
        let length = match limit {
            None => reading.await,
            Some((limit, why)) => match tokio::time::timeout_at(since + limit, reading).await {
                Ok(length) => length,
                Err(_) => return why.to_owned(),
            },
        };
        let waited = framer.is_waiting();
        match length {
            Ok(0) => return "closed by the peer".to_owned(),
            Ok(length) => framer.push(&buffer[..length]),
            Err(error) => return error.to_string(),
        }
        if proved && !waited {
            since = Instant::now();
        }
        loop {
            match framer.poll_while(pong_due.load(Ordering::Relaxed)) {
                Ok(Some(Frame::Message(bytes))) => {
                    (since, proved) = (Instant::now(), true);
                    if common.events.send(Event::Message { from: peer, bytes }).await.is_err() {
                        return "closed by us".to_owned();
                    }
                }
                Ok(Some(Frame::Ping)) => drop(crlfs.try_send(Crlf::Ping)),
                Ok(Some(Frame::Pong)) => {
                    pong_due.store(false, Ordering::Relaxed);
                    let _ = crlfs.try_send(Crlf::Pong);
                }
                Ok(None) => break,
                Err(why) => return why.into(),
            }
        }
    }
}

async fn close(peer: Peer, id: u64, why: String, common: &Common) {
    // The control task is gone: nobody to tell.
    let _ = common.events.send(Event::Closed { peer, id, why }).await;
}
