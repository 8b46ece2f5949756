//! Connections: who makes place, who is let go, and what is still written.

use super::*;
use socket2::{Domain, Socket, Type};
use std::io::Read;
use std::net::SocketAddr;
use tokio::io::{AsyncReadExt, BufStream};
use tokio::net::TcpStream;
use tokio::time::Instant;

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
    streams.open.values_mut().for_each(|one| one.said = one.said - QUIET);
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
    let last = streams.open[&left].said;
    streams.end_unused(None, last + (UNUSED_AT_MOST - QUIET));
    assert_eq!(streams.open.len(), 2, "a refresh may still come");
    let late = last + UNUSED_AT_MOST;
    streams.end_unused(Some(last), late);
    assert_eq!(streams.open.len(), 2, "that session may have to be ended over it");
    streams.end_unused(Some(last + Duration::from_nanos(1)), late);
    let end = tokio::time::timeout(QUIET, stream.read(&mut said)).await;
    assert_eq!(end.expect("in time").expect("closed"), 0);
    let Some(Event::Closed { peer: ended, id, end }) = events.recv().await else {
        panic!("the end of it is told");
    };
    assert!(ended == left && !streams.forget(ended, id, &end), "no address has failed");
    assert!(streams.open.contains_key(&peer(1)), "theirs is the peer's to use");
    assert_eq!(streams.ended().get("idle"), Some(&1));
}

/// Bytes of what a run says.
const MESSAGE: usize = 60_000;

/// A run with one connection, to a peer that reads when it is told to; and what that has read in the end.
struct Run {
    runtime: tokio::runtime::Runtime,
    streams: Streams,
    events: mpsc::Receiver<Event>,
    there: Peer,
    reads: std::sync::mpsc::Sender<()>,
    read: std::sync::mpsc::Receiver<usize>,
}

impl Run {
    fn begin() -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.expect("a runtime");
        let far_end = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
        let addr = far_end.local_addr().expect("bound");
        let (reads, told) = std::sync::mpsc::channel();
        let (tells, read) = std::sync::mpsc::channel();
        std::thread::spawn(move || {
            let (mut stream, _) = far_end.accept().expect("it connects");
            let (mut all, reads) = (vec![], told.recv().is_ok());
            if reads {
                stream.read_to_end(&mut all).expect("until its end");
            }
            // Whoever asked may have given up.
            let _ = tells.send(all.len());
        });
        let (streams, events) = runtime.block_on(async {
            let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
            Streams::new(listener, vec![], None, Duration::ZERO)
        });
        let there = Peer { transport: Transport::Tcp, addr };
        Self { runtime, streams, events, there, reads, read }
    }

    /// Says so much that half of what may wait waits: how many messages.
    fn says_more_than_is_taken(&mut self) -> usize {
        self.runtime.block_on(async {
            for said in 1.. {
                self.streams.send(self.there, vec![b'm'; MESSAGE]);
                tokio::time::sleep(Duration::from_millis(1)).await;
                if self.streams.open[&self.there].handle.writer.capacity() < WAITING / 2 {
                    return said;
                }
            }
            unreachable!("a kernel takes no more than a few megabytes")
        })
    }
}

/// Its task has not begun to connect when the run is told to go.
#[test]
fn sig_35_what_was_handed_to_a_connection_in_the_last_moment_is_written() {
    let mut run = Run::begin();
    run.reads.send(()).expect("it waits for that");
    run.runtime.block_on(async {
        run.streams.send(run.there, b"INVITE".to_vec());
        run.streams.end(run.events).await;
    });
    drop(run.runtime);
    assert_eq!(run.read.recv_timeout(QUIET), Ok(6));
}

#[test]
fn sig_35_what_a_slow_peer_has_not_taken_yet_is_written_and_the_connection_ends() {
    let mut run = Run::begin();
    let said = run.says_more_than_is_taken();
    run.reads.send(()).expect("it waits for that");
    run.runtime.block_on(run.streams.end(run.events));
    drop(run.runtime);
    assert_eq!(run.read.recv_timeout(QUIET), Ok(said * MESSAGE));
}

/// Neither a moment longer than the last words have, nor at all where nothing was said of late.
#[test]
fn sig_35_a_peer_that_does_not_read_holds_up_no_run() {
    for (quiet, limit) in [(Duration::ZERO, Duration::from_secs(1)), (LAST_WORDS, LAST_WORDS)] {
        let mut run = Run::begin();
        run.says_more_than_is_taken();
        run.streams.open.values_mut().for_each(|one| one.said = one.said - quiet);
        let since = Instant::now();
        run.runtime.block_on(run.streams.end(run.events));
        let took = since.elapsed();
        assert!(took < limit, "{quiet:?}: {took:?}");
    }
}

/// As TLS does: what its carrier keeps back is on the wire before anything else is waited for.
#[tokio::test]
async fn sig_20_nothing_of_a_message_is_kept_back() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let addr = listener.local_addr().expect("bound");
    let (mut streams, _events) = Streams::new(listener, vec![], None, Duration::ZERO);
    let far_end = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let stream = TcpStream::connect(far_end.local_addr().expect("bound")).await;
    let (stream, common) = (stream.expect("it listens"), streams.common.clone());
    let (there, (handle, queue, stop)) = (Peer { transport: Transport::Tcp, addr }, handle());
    life::live(there, 1, stop, common.clone(), async move {
        life::carry(there, BufStream::new(stream), queue, &common, false).await
    });
    streams.accept(there, 1, handle);
    streams.send(there, b"INVITE".to_vec());
    let (mut stream, _) = far_end.accept().await.expect("it connects");
    let mut said = vec![0; 6];
    let reading = tokio::time::timeout(QUIET, stream.read_exact(&mut said)).await;
    assert!(reading.is_ok_and(|read| read.is_ok()), "{said:?}");
}
