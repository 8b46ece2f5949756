//! TCP connections that carry SIP: accepts, connects, frames and writes, a task each way.

use crate::protocol::sip::stream::{Frame, Framer, PONG};
use crate::protocol::sip::{Peer, Transport};
use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::OwnedReadHalf;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tracing::debug;

/// Connections at once; a duty line needs one or two.
const CONNECTIONS: usize = 64;
/// Messages waiting for a peer that does not read.
const WAITING: usize = 64;
const EVENTS: usize = 1_024;
const CONNECT_WITHIN: Duration = Duration::from_secs(4);
const WRITE_WITHIN: Duration = Duration::from_secs(10);

pub enum Event {
    Message { from: Peer, bytes: Vec<u8> },
    Accepted { peer: Peer, writer: mpsc::Sender<Vec<u8>> },
    Closed { peer: Peer, why: String },
}

/// The open connections by the peer's address.
pub struct Streams {
    open: BTreeMap<SocketAddr, mpsc::Sender<Vec<u8>>>,
    events: mpsc::Sender<Event>,
}

impl Streams {
    /// Must be called inside a tokio runtime: it starts the accepting task.
    /// Connections from other addresses than `trusted` are closed unread.
    pub fn new(listener: TcpListener, trusted: Vec<IpAddr>) -> (Self, mpsc::Receiver<Event>) {
        let (events, receiver) = mpsc::channel(EVENTS);
        tokio::spawn(accept_all(listener, trusted, events.clone()));
        (Self { open: BTreeMap::new(), events }, receiver)
    }

    /// A full table turns the newcomer away: its writer is dropped, which closes it.
    pub fn accept(&mut self, peer: Peer, writer: mpsc::Sender<Vec<u8>>) {
        if self.open.len() < CONNECTIONS {
            self.open.insert(peer.addr, writer);
        }
    }

    pub fn forget(&mut self, peer: Peer) {
        self.open.remove(&peer.addr);
    }

    /// Writes to the peer, connecting first where no connection is open. A peer that does not
    /// read loses its connection.
    pub fn send(&mut self, to: Peer, bytes: Vec<u8>) {
        let writer = self.open.entry(to.addr).or_insert_with(|| {
            let (writer, queue) = mpsc::channel(WAITING);
            tokio::spawn(connect(to, queue, self.events.clone()));
            writer
        });
        if writer.try_send(bytes).is_err() {
            debug!(addr = %to.addr, "the peer does not read: connection dropped");
            self.open.remove(&to.addr);
        }
    }
}

async fn accept_all(listener: TcpListener, trusted: Vec<IpAddr>, events: mpsc::Sender<Event>) {
    loop {
        match listener.accept().await {
            Ok((_, addr)) if !trusted.contains(&addr.ip()) => {
                debug!(%addr, "a stranger's TCP connection was closed");
            }
            Ok((stream, addr)) => {
                let peer = Peer { transport: Transport::Tcp, addr };
                let (writer, queue) = mpsc::channel(WAITING);
                if events.send(Event::Accepted { peer, writer }).await.is_err() {
                    return;
                }
                tokio::spawn(carry(peer, stream, queue, events.clone()));
            }
            Err(error) => {
                // Out of descriptors: a connection must close before another can come.
                debug!(%error, "a TCP connection could not be accepted");
                tokio::time::sleep(Duration::from_millis(200)).await;
            }
        }
    }
}

async fn connect(peer: Peer, queue: mpsc::Receiver<Vec<u8>>, events: mpsc::Sender<Event>) {
    match tokio::time::timeout(CONNECT_WITHIN, TcpStream::connect(peer.addr)).await {
        Ok(Ok(stream)) => carry(peer, stream, queue, events).await,
        Ok(Err(error)) => close(peer, error.to_string(), &events).await,
        Err(_) => close(peer, "no connection in 4 s".into(), &events).await,
    }
}

/// Reads and writes until either side closes.
async fn carry(
    peer: Peer,
    stream: TcpStream,
    mut queue: mpsc::Receiver<Vec<u8>>,
    events: mpsc::Sender<Event>,
) {
    // Small messages must not wait for each other; failing to say so costs only delay.
    let _ = stream.set_nodelay(true);
    let (mut input, mut output) = stream.into_split();
    let (pongs, mut pong_queue) = mpsc::channel::<()>(1);
    let reading = read(peer, &mut input, &events, pongs);
    let writing = async {
        loop {
            let bytes = tokio::select! {
                bytes = queue.recv() => match bytes {
                    Some(bytes) => bytes,
                    None => return "closed by us".to_owned(),
                },
                Some(()) = pong_queue.recv() => PONG.to_vec(),
            };
            match tokio::time::timeout(WRITE_WITHIN, output.write_all(&bytes)).await {
                Ok(Ok(())) => {}
                Ok(Err(error)) => return error.to_string(),
                Err(_) => return "the peer does not read".to_owned(),
            }
        }
    };
    let why = tokio::select! {
        why = reading => why,
        why = writing => why,
    };
    close(peer, why, &events).await;
}

async fn read(
    peer: Peer,
    input: &mut OwnedReadHalf,
    events: &mpsc::Sender<Event>,
    pongs: mpsc::Sender<()>,
) -> String {
    let mut framer = Framer::default();
    let mut buffer = vec![0; 16_384];
    loop {
        match input.read(&mut buffer).await {
            Ok(0) => return "closed by the peer".into(),
            Ok(length) => framer.push(&buffer[..length]),
            Err(error) => return error.to_string(),
        }
        loop {
            match framer.poll() {
                Ok(Some(Frame::Message(bytes))) => {
                    if events.send(Event::Message { from: peer, bytes }).await.is_err() {
                        return "closed by us".into();
                    }
                }
                // One pong that waits answers any number of pings.
                Ok(Some(Frame::Ping)) => drop(pongs.try_send(())),
                Ok(None) => break,
                Err(why) => return why.into(),
            }
        }
    }
}

async fn close(peer: Peer, why: String, events: &mpsc::Sender<Event>) {
    // The control task is gone: nobody to tell.
    let _ = events.send(Event::Closed { peer, why }).await;
}
