//! TCP and TLS connections that carry SIP: which are open, which make place, and which nobody uses any more.
//! What comes over a connection that we opened is served like any other (RFC 5923).

mod life;

use crate::duty::figures::{self, Sums};
use crate::io::clock;
use crate::io::tls::Door;
use crate::protocol::now::Mono;
use crate::protocol::sip::{Peer, Transport};
use life::{BY_US, End, Queue, Stop};
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinHandle;
use tracing::{debug, warn};

/// Connections at once; a duty line needs one or two.
const CONNECTIONS: usize = 64;
/// Connections that one address has opened to us.
const PER_ADDRESS: usize = 16;
/// Messages waiting for a peer that does not read.
const WAITING: usize = 64;
const EVENTS: usize = 1_024;
/// A connection of ours is used: longer than a registration goes without a refresh (half of an hour). A call may go for
/// longer, where the PBX asks for no session timer (RFC 4028).
const UNUSED_AT_MOST: Duration = Duration::from_secs(2_000);
/// One that was quiet for so long makes place where there is none, so that a PBX that opens another for each call and
/// closes none is heard; what is still to be answered comes over a new one.
const QUIET: Duration = Duration::from_secs(32);
/// So long after something was said to it a connection may still be writing when the run ends.
const LAST_WORDS: Duration = Duration::from_millis(300);

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

fn handle() -> (Handle, Queue, Stop) {
    let ((writer, queue), (stop, stopped)) = (mpsc::channel(WAITING), oneshot::channel());
    (Handle { writer, stop: Some(stop) }, queue, stopped)
}

struct Connection {
    id: u64,
    handle: Handle,
    /// Opened to us, and it has brought no message yet.
    unproved: bool,
    theirs: bool,
    /// When something was last said, by either.
    said: Mono,
}

/// The open connections by the peer's address.
pub struct Streams {
    open: BTreeMap<Peer, Connection>,
    common: Common,
    trusted: watch::Sender<Vec<IpAddr>>,
    accepting: JoinHandle<()>,
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
        let accepting = tokio::spawn(accept_all(listener, trust, common.clone()));
        let (open, ended) = (BTreeMap::new(), Sums::new());
        (Self { open, common, trusted, accepting, ended }, receiver)
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
        let said = clock::mono();
        let mut evicted = None;
        if of_host >= PER_ADDRESS || self.open.len() >= CONNECTIONS {
            figures::add(&mut self.ended, "no_room", 1);
            let idle = |one: &Connection| one.unproved || said.since(one.said) >= QUIET;
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
        (connection.unproved, connection.said) = (false, clock::mono());
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
            let (handle, queue, stop) = handle();
            let (id, common) = (self.common.new_id(), self.common.clone());
            life::live(to, id, stop, common.clone(), async move {
                life::connect(to, queue, &common).await
            });
            Connection { id, handle, unproved: false, theirs: false, said: clock::mono() }
        });
        connection.said = clock::mono();
        if let Err(TrySendError::Full(_)) = connection.handle.writer.try_send(bytes)
            && let Some(stop) = connection.handle.stop.take()
        {
            debug!(addr = %to.addr, "the peer does not read: connection dropped");
            figures::add(&mut self.ended, "unread", 1);
            // Its task may have ended by itself.
            let _ = stop.send(());
        }
    }

    /// Ends those of ours that nobody uses any more: to an address that the PBX has left, to a telephone that is gone.
    /// Whoever answers keep-alives would stay for ever. One over which something was said since the oldest session that is
    /// open began stays: the PBX may have to end that session over it.
    pub fn end_unused(&mut self, in_session_since: Option<Mono>, now: Mono) {
        let ended = &mut self.ended;
        self.open.retain(|peer, one| {
            let in_session = in_session_since.is_some_and(|since| since <= one.said);
            let used = one.theirs || in_session || now.since(one.said) < UNUSED_AT_MOST;
            if !used {
                debug!(addr = %peer.addr, "a connection of ours is not used any more");
                figures::add(ended, "idle", 1);
            }
            used
        });
    }

    /// The run ends: each connection writes what it was handed, as far as its peer takes it in time, and ends; none is
    /// opened any more, and what comes meanwhile is not served, but told of.
    pub async fn end(self, mut events: mpsc::Receiver<Event>) {
        let Some(said) = self.open.values().map(|one| one.said).max() else { return };
        self.accepting.abort();
        drop(self);
        let mut late = 0_u32;
        // Each task has a share of the other end.
        let all_ended = async {
            while let Some(event) = events.recv().await {
                late += u32::from(matches!(event, Event::Message { .. }));
            }
        };
        tokio::select! {
            () = all_ended => {}
            () = clock::until(Some((said + LAST_WORDS, "last words are not read"))) => {}
        }
        if late > 0 {
            warn!(
                messages = late,
                "SIP messages came too late for this run: a BYE among them is found out by the next one"
            );
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
                let (handle, queue, stop) = handle();
                let accepted = Event::Accepted { peer, id, handle };
                if common.events.send(accepted).await.is_err() {
                    return;
                }
                let carrier = common.clone();
                life::live(peer, id, stop, common.clone(), async move {
                    life::carry(peer, life::ready(stream), queue, &carrier, true).await
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

#[cfg(test)]
mod tests;
