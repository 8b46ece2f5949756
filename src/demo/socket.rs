//! Loopback sockets for the PBX and the phones of the demo: each is a task that owns its machine.

use super::pbx::{self, Pbx};
use super::phone::{self, Phone};
use crate::io::clock;
use crate::protocol::now::{Deadline, Now};
use crate::protocol::sip::{Peer, Transmit, Transport};
use anyhow::Context;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;
use tokio::net::UdpSocket;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;

/// Below the ports that the kernel hands out by itself.
const PORTS: std::ops::Range<u16> = 21_000..31_000;
const QUEUE: usize = 256;
const LARGEST: usize = 65_536;

/// Free UDP and TCP ports on loopback, found by binding them.
pub struct Ports {
    next: u16,
}

impl Ports {
    pub fn from_anywhere() -> Self {
        let span = u64::from(PORTS.end - PORTS.start);
        let start = clock::random().below(span);
        Self { next: PORTS.start + u16::try_from(start).unwrap_or(0) }
    }

    pub async fn socket(&mut self) -> anyhow::Result<UdpSocket> {
        let port = self.block(1)?;
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, port)).await;
        socket.with_context(|| format!("bind the loopback port {port}"))
    }

    /// The first of so many free ports in a row, even.
    pub fn block(&mut self, count: u16) -> anyhow::Result<u16> {
        for _ in PORTS {
            let first = self.next & !1;
            if first + count >= PORTS.end {
                self.next = PORTS.start;
                continue;
            }
            self.next = first + count + 1;
            if (first..first + count).all(is_free) {
                return Ok(first);
            }
        }
        anyhow::bail!("no {count} free ports in a row between {} and {}", PORTS.start, PORTS.end)
    }
}

fn is_free(port: u16) -> bool {
    let address = (Ipv4Addr::LOCALHOST, port);
    std::net::UdpSocket::bind(address).is_ok() && std::net::TcpListener::bind(address).is_ok()
}

type Wish<T> = Box<dyn FnOnce(&mut T, Now) + Send>;

/// A machine at work on its socket. It stops when this is dropped.
pub struct Actor<T, E> {
    wishes: mpsc::Sender<Wish<T>>,
    events: mpsc::Receiver<E>,
    task: JoinHandle<()>,
}

pub type Handset = Actor<Phone, phone::Event>;
pub type Exchange = Actor<Pbx, pbx::Event>;

impl<T, E> Actor<T, E> {
    /// Does something with the machine, and gives back what came of it.
    pub async fn with<R, F>(&self, wish: F) -> anyhow::Result<R>
    where
        F: FnOnce(&mut T, Now) -> R + Send + 'static,
        R: Send + 'static,
    {
        let (reply, answer) = oneshot::channel();
        let wish: Wish<T> = Box::new(move |machine, now| {
            // Whoever asked may have gone.
            let _ = reply.send(wish(machine, now));
        });
        self.wishes.send(wish).await.ok().context("it has stopped")?;
        answer.await.context("it has stopped")
    }

    /// The next event that `wanted` recognises; the others are passed over.
    pub async fn until<R>(
        &mut self,
        what: &str,
        limit: Duration,
        mut wanted: impl FnMut(&E) -> Option<R>,
    ) -> anyhow::Result<R> {
        let found = async {
            loop {
                let event = self.events.recv().await.context("it has stopped")?;
                if let Some(result) = wanted(&event) {
                    return Ok(result);
                }
            }
        };
        tokio::time::timeout(limit, found)
            .await
            .unwrap_or_else(|_| Err(anyhow::anyhow!("waited {limit:?} in vain: {what}")))
    }

    pub async fn next(&mut self) -> Option<E> {
        self.events.recv().await
    }
}

impl<T, E> Drop for Actor<T, E> {
    fn drop(&mut self) {
        self.task.abort();
    }
}

pub fn exchange(socket: UdpSocket, mut pbx: Pbx) -> Exchange {
    let (wishes, mut wished) = mpsc::channel::<Wish<Pbx>>(QUEUE);
    let (tell, events) = mpsc::channel(QUEUE);
    let task = tokio::spawn(async move {
        let mut buffer = vec![0; LARGEST];
        loop {
            tokio::select! {
                Ok((length, addr)) = socket.recv_from(&mut buffer) => {
                    pbx.handle_message(udp(addr), &buffer[..length], clock::now());
                }
                Some(wish) = wished.recv() => wish(&mut pbx, clock::now()),
            }
            while let Some(transmit) = pbx.poll_transmit() {
                send(&socket, &transmit).await;
            }
            while let Some(event) = pbx.poll_event() {
                // An audience that does not listen misses it.
                let _ = tell.try_send(event);
            }
        }
    });
    Actor { wishes, events, task }
}

pub fn handset(sip: UdpSocket, rtp: UdpSocket, mut phone: Phone) -> Handset {
    let (wishes, mut wished) = mpsc::channel::<Wish<Phone>>(QUEUE);
    let (tell, events) = mpsc::channel(QUEUE);
    let task = tokio::spawn(async move {
        let (mut message, mut packet) = (vec![0; LARGEST], vec![0; LARGEST]);
        loop {
            tokio::select! {
                Ok((length, addr)) = sip.recv_from(&mut message) => {
                    phone.handle_message(udp(addr), &message[..length], clock::now());
                }
                Ok((length, addr)) = rtp.recv_from(&mut packet) => {
                    phone.handle_packet(addr, &packet[..length], clock::now());
                }
                Some(wish) = wished.recv() => wish(&mut phone, clock::now()),
                () = wait(phone.poll_timeout()) => phone.handle_timeout(clock::now()),
            }
            while let Some(transmit) = phone.poll_transmit() {
                send(&sip, &transmit).await;
            }
            while let Some((addr, packet)) = phone.poll_rtp() {
                // The other side may have closed: as on any network, it is lost.
                let _ = rtp.send_to(&packet, addr).await;
            }
            while let Some(event) = phone.poll_event() {
                let _ = tell.try_send(event);
            }
        }
    });
    Actor { wishes, events, task }
}

async fn send(socket: &UdpSocket, transmit: &Transmit) {
    // Retransmission takes care of what is lost.
    let _ = socket.send_to(&transmit.bytes, transmit.to.addr).await;
}

async fn wait(deadline: Option<Deadline>) {
    match deadline {
        Some((at, _)) => tokio::time::sleep(at.since(clock::mono())).await,
        None => std::future::pending().await,
    }
}

fn udp(addr: SocketAddr) -> Peer {
    Peer { transport: Transport::Udp, addr }
}
