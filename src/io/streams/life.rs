//! One connection's life: connects where it is ours, frames, reads and writes, keeps it alive, and says how it ended.

use super::{Common, Event};
use crate::io::clock;
use crate::protocol::sip::flow::{Flow, PING, PONG, Step};
use crate::protocol::sip::stream::{Frame, Framer};
use crate::protocol::sip::{Peer, Transport};
use socket2::SockRef;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadHalf, WriteHalf};
use tokio::net::TcpStream;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, timeout};

const CONNECT_WITHIN: Duration = Duration::from_secs(4);
const WRITE_WITHIN: Duration = Duration::from_secs(10);
/// A connection opened to us has brought its first message.
const FIRST_WITHIN: Duration = Duration::from_secs(5);
/// A message that has begun is there in full.
const MESSAGE_WITHIN: Duration = Duration::from_secs(10);
/// A connection opened to us says something, were it a keep-alive.
const IDLE_AT_MOST: Duration = Duration::from_secs(900);

pub(super) type Queue = mpsc::Receiver<Vec<u8>>;
pub(super) type Stop = oneshot::Receiver<()>;

/// How a connection ended: by the name that it is counted by, and in words.
#[derive(Debug)]
pub struct End {
    pub(super) name: &'static str,
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
    pub(super) fn by_us() -> Self {
        Self::new(BY_US, "closed by us")
    }
}

pub(super) const BY_US: &str = "by_us";

/// Until it ends by itself, by a fault or at its owner's word, which is heard whatever it waits for; the end is told.
pub(super) fn live(
    peer: Peer,
    id: u64,
    stop: Stop,
    common: Common,
    life: impl Future<Output = End> + Send + 'static,
) {
    tokio::spawn(async move {
        let life = tokio::spawn(async move {
            tokio::select! {
                end = life => end,
                Ok(()) = stop => End::by_us(),
            }
        });
        let end = life.await.unwrap_or_else(|_| End::fault());
        // The control task is gone: nobody to tell.
        let _ = common.events.send(Event::Closed { peer, id, end }).await;
    });
}

pub(super) async fn connect(peer: Peer, queue: Queue, common: &Common) -> End {
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
                    Ok(Ok(stream)) => carry(peer, stream, queue, common, false).await,
                }
            }
            (Transport::Tcp | Transport::Udp, _) => carry(peer, stream, queue, common, false).await,
        },
    }
}

/// Small messages must not wait for each other, and what nobody acknowledges is noticed; failing
/// to say so costs only delay.
pub(super) fn ready(stream: TcpStream) -> TcpStream {
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
pub(super) async fn carry<S: AsyncRead + AsyncWrite>(
    peer: Peer,
    stream: S,
    queue: Queue,
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
    }
}

async fn write<S: AsyncWrite>(
    mut output: WriteHalf<S>,
    mut queue: Queue,
    mut flow: Flow,
    (mut crlfs, pong_due): (mpsc::Receiver<Crlf>, &AtomicBool),
) -> End {
    loop {
        let due = flow.poll_timeout();
        let bytes = tokio::select! {
            bytes = queue.recv() => match bytes {
                Some(bytes) => bytes,
                None => {
                    // TLS says that nothing was cut off (RFC 8446 §6.1); whoever does not read is not told.
                    let _ = timeout(WRITE_WITHIN, output.shutdown()).await;
                    return End::by_us();
                }
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
        let writing = async {
            output.write_all(&bytes).await?;
            // TLS keeps what the kernel does not take at once.
            output.flush().await
        };
        match timeout(WRITE_WITHIN, writing).await {
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
