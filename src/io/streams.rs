//! TCP and TLS connections that carry SIP: which are open, which make place, and which nobody uses any more.
//! What comes over a connection that we opened is served like any other (RFC 5923).

mod life;

use crate::duty::figures::{self, Sums};
use crate::io::tls::Door;
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
use tokio::time::Instant;
use tracing::debug;

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
            let (handle, queue, stop) = handle();
            let (id, common) = (self.common.new_id(), self.common.clone());
            life::live(to, id, stop, common.clone(), async move {
                life::connect(to, queue, &common).await
            });
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

    /// Ends those of ours that nobody uses any more: to an address that the PBX has left, to a telephone that is gone.
    /// Whoever answers keep-alives would stay for ever. Nothing is ended beside a call: over a connection that is quiet the
    /// PBX may have to end it.
    pub fn end_unused(&mut self, calls: usize) {
        if calls > 0 {
            return;
        }
        let (now, ended) = (Instant::now(), &mut self.ended);
        self.open.retain(|peer, one| {
            let used = one.theirs || now - one.said < UNUSED_AT_MOST;
            if !used {
                debug!(addr = %peer.addr, "a connection of ours is not used any more");
                figures::add(ended, "idle", 1);
            }
            used
        });
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
mod tests {
    use super::*;
    use socket2::{Domain, Socket, Type};
    use std::net::SocketAddr;
    use tokio::io::AsyncReadExt;

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
            let (handle, queue, stop) = handle();
            tasks.push((queue, stop));
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
        let (handle, _queue, mut stop) = handle();
        streams.accept(peer(1), 7, handle);
        streams.prove(peer(1));
        (0..10 * WAITING).for_each(|_| streams.send(peer(1), vec![0]));
        assert_eq!(stop.try_recv(), Ok(()));
        assert_eq!((streams.ended().get("unread"), streams.open.len()), (Some(&1), 1));
        assert!(streams.forget(peer(1), 7, &End::by_us()), "whoever waits for it is told");
        assert!(streams.open.is_empty());
    }

    /// What it waits for is nobody's answer: a host whose queue of connections is full takes no other.
    #[tokio::test]
    async fn rel_09_a_connection_that_is_still_being_made_ends_at_its_owners_word() {
        let wedged = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
        wedged.bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into()).expect("a port");
        wedged.listen(0).expect("it listens");
        let addr = wedged.local_addr().expect("bound").as_socket().expect("of IP");
        let wait = Duration::from_millis(100);
        while std::net::TcpStream::connect_timeout(&addr, wait).is_ok() {}

        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let (mut streams, mut events) = Streams::new(listener, vec![], None, Duration::ZERO);
        let there = Peer { transport: Transport::Tcp, addr };
        let since = Instant::now();
        (0..=WAITING).for_each(|_| streams.send(there, vec![0]));
        let Some(Event::Closed { peer, id, end }) = events.recv().await else {
            panic!("the end of it is told");
        };
        assert!(since.elapsed() < Duration::from_secs(1), "{:?}", since.elapsed());
        assert_eq!(end.why, "closed by us");
        assert!(streams.forget(peer, id, &end), "and whoever waits for it is told");
        assert_eq!(streams.ended().get("unread"), Some(&1));
    }

    /// An address that the PBX has left: it still answers, and nobody has anything to say to it.
    #[tokio::test]
    async fn rel_09_a_connection_of_ours_that_nobody_uses_any_more_is_closed() {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let (mut streams, mut events) = Streams::new(listener, vec![], None, Duration::ZERO);
        let far_end = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let addr = far_end.local_addr().expect("bound");
        let left = Peer { transport: Transport::Tcp, addr };
        streams.send(left, b"last".to_vec());
        let (mut stream, _) = far_end.accept().await.expect("it connects");
        let mut said = vec![0; 4];
        stream.read_exact(&mut said).await.expect("it says");

        let (theirs, _queue, _stop) = handle();
        streams.accept(peer(1), 7, theirs);
        streams.open.values_mut().for_each(|one| one.said -= UNUSED_AT_MOST - QUIET);
        streams.end_unused(0);
        assert_eq!(streams.open.len(), 2, "a refresh may still come");
        streams.open.values_mut().for_each(|one| one.said -= QUIET);
        streams.end_unused(1);
        assert_eq!(streams.open.len(), 2, "a call may have to be ended over it");
        streams.end_unused(0);
        let end = tokio::time::timeout(QUIET, stream.read(&mut said)).await;
        assert_eq!(end.expect("in time").expect("closed"), 0);
        let Some(Event::Closed { peer: ended, id, end }) = events.recv().await else {
            panic!("the end of it is told");
        };
        assert!(ended == left && !streams.forget(ended, id, &end), "no address has failed");
        assert!(streams.open.contains_key(&peer(1)), "theirs is the peer's to use");
        assert_eq!(streams.ended().get("idle"), Some(&1));
    }
}
