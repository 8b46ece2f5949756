//! Heartbeats on the network: signed datagrams, and the daemon's task that sends them while its audit succeeds.

use crate::duty::heartbeat::{Audit, Failing, Heart, Message, Side, Signs, Witness};
use crate::duty::ids::EscalationId;
use crate::duty::roster::Roster;
use crate::io::channels::signing::hmac_sha256;
use crate::io::clock;
use crate::io::escalator::Remembered;
use crate::io::policies::Policies;
use crate::io::pulse::Pulse;
use crate::io::status::{Alarm, Board};
use crate::io::stopped;
use crate::io::store::{Store, StoreError};
use crate::protocol::now::Now;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;
use subtle::ConstantTimeEq;
use tokio::net::UdpSocket;
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio::time::{MissedTickBehavior, interval, timeout};
use tokio_util::sync::CancellationToken;
use tracing::{debug, error, info, warn};

/// Longer than any message.
const DATAGRAM: usize = 512;
/// An audit that takes longer has failed.
const AUDIT_WITHIN: Duration = Duration::from_secs(4);
const MAGIC: &str = "dutyline-heartbeat-1";

/// The message with its signature, one line of text.
pub fn write(message: Message, key: &str) -> String {
    let side = match message.side {
        Side::Daemon => "daemon",
        Side::Witness => "witness",
    };
    let Message { number, answers, ready, .. } = message;
    let text = format!("{MAGIC} {side} {number:016x} {answers:016x} {}", u8::from(ready));
    let signature = hmac_sha256(key.as_bytes(), text.as_bytes());
    format!("{text} {signature}")
}

/// What was signed with this key; anything else is nothing.
pub fn read(datagram: &[u8], key: &str) -> Option<Message> {
    let (text, signature) = std::str::from_utf8(datagram).ok()?.rsplit_once(' ')?;
    let right = hmac_sha256(key.as_bytes(), text.as_bytes());
    if !bool::from(right.as_bytes().ct_eq(signature.as_bytes())) {
        return None;
    }
    let mut words = text.split(' ');
    if words.next() != Some(MAGIC) {
        return None;
    }
    let side = match words.next()? {
        "daemon" => Side::Daemon,
        "witness" => Side::Witness,
        _ => return None,
    };
    let number = u64::from_str_radix(words.next()?, 16).ok()?;
    let answers = u64::from_str_radix(words.next()?, 16).ok()?;
    let ready = words.next()? == "1";
    words.next().is_none().then_some(Message { side, number, answers, ready })
}

/// What the daemon beats with.
pub struct Beating {
    pub witness: SocketAddr,
    pub key: String,
    pub store: Store,
    pub board: Board,
    pub policies: Policies,
    pub roster: Roster,
    /// By which leaders are called while the log cannot be used.
    pub memory: Remembered,
    /// Of the control task, and of the escalator, which `wake` has go round.
    pub control: Pulse,
    pub escalator: Pulse,
    pub wake: Arc<Notify>,
}

/// Open escalations for which something is due.
type Looking = JoinHandle<Result<Vec<EscalationId>, StoreError>>;

/// What was told last.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Told {
    witness: Witness,
    failing: Option<Failing>,
}

/// Beats until `stopping`.
pub async fn keep(beating: Beating, stopping: CancellationToken) {
    let mut random = clock::random();
    let (mut heart, mut audit) = (Heart::default(), Audit::default());
    let mut told = Told { witness: Witness::Unknown, failing: None };
    let (mut socket, mut looking) = (None, None);
    let mut due = interval(Heart::EVERY);
    due.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut datagram = [0; DATAGRAM];
    loop {
        tokio::select! {
            () = stopping.cancelled() => return,
            received = receive(socket.as_ref(), &mut datagram) => {
                let message = read(&datagram[..received], &beating.key);
                if message.is_some_and(|message| heart.handle(message)) {
                    let again = heart.beat(clock::mono(), &mut random);
                    beating.send(socket.as_ref(), again).await;
                }
            }
            _ = due.tick() => {
                let signs = beating.signs(&mut looking, clock::now()).await;
                // The host may have slept while it looked.
                let now = clock::now();
                let failing = audit.look(&signs, now.mono);
                if socket.is_none() {
                    socket = open(beating.witness).await;
                }
                if failing.is_none() {
                    let beat = heart.beat(now.mono, &mut random);
                    beating.send(socket.as_ref(), beat).await;
                }
                let witness = heart.witness(now.mono);
                beating.tell(&mut told, Told { witness, failing }, now).await;
            }
        }
    }
}

async fn open(witness: SocketAddr) -> Option<UdpSocket> {
    let any = match witness.ip() {
        IpAddr::V4(ip) if ip.is_loopback() => IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V4(_) => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
        IpAddr::V6(_) => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
    };
    let bound = UdpSocket::bind((any, 0)).await;
    bound.inspect_err(|error| warn!(%error, "no socket for heartbeats")).ok()
}

/// The length of the next datagram; errors are those of datagrams sent before (RFC 1122 §4.1.3.3).
async fn receive(socket: Option<&UdpSocket>, datagram: &mut [u8]) -> usize {
    let Some(socket) = socket else { return std::future::pending().await };
    loop {
        match socket.recv_from(datagram).await {
            Ok((length, _)) => return length,
            Err(error) => {
                debug!(%error, "the socket of the heartbeats reported an error");
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
}

impl Beating {
    /// A read that hangs holds one thread: no other begins while it does.
    async fn signs(&self, looking: &mut Option<Looking>, now: Now) -> Signs {
        self.wake.notify_one();
        let (control, escalator) = (self.control.age(), self.escalator.age());
        let due = self.memory.lock().overdue(&self.policies.now(), now);
        if due.is_some() {
            return Signs { control, escalator, due };
        }
        let mut look = looking.take().unwrap_or_else(|| {
            let policy = self.policies.now().in_force(now.wall).figures.clone();
            let store = self.store.clone();
            let roster = self.roster.clone();
            tokio::spawn(async move { store.overdue(now, &policy, &roster).await })
        });
        let due = match stopped::within(AUDIT_WITHIN, &mut look).await {
            Some(Ok(Ok(due))) => Some(due),
            Some(Ok(Err(error))) => {
                warn!(%error, "the open escalations cannot be read");
                None
            }
            Some(Err(_)) => None,
            None => {
                *looking = Some(look);
                None
            }
        };
        Signs { control: self.control.age(), escalator: self.escalator.age(), due }
    }

    async fn send(&self, socket: Option<&UdpSocket>, message: Message) {
        let Some(socket) = socket else { return };
        let text = write(message, &self.key);
        if let Err(error) = socket.send_to(text.as_bytes(), self.witness).await {
            debug!(%error, witness = %self.witness, "heartbeat not sent");
        }
    }

    /// On the page as long as it lasts; in the log when it begins and when it is over.
    async fn tell(&self, told: &mut Told, now_is: Told, now: Now) {
        if *told == now_is {
            return;
        }
        if told.failing != now_is.failing {
            match &now_is.failing {
                Some(failing) => error!(?failing, "no heartbeat: the audit fails"),
                None => info!("the audit succeeds again"),
            }
            self.show("audit", now_is.failing.as_ref().map(overdue), now);
            let detail = format!("{:?}", now_is.failing);
            self.note("heartbeat.audit", &detail, now).await;
        }
        if told.witness != now_is.witness {
            let bad = matches!(now_is.witness, Witness::Gone { .. } | Witness::Deaf);
            match now_is.witness {
                Witness::Gone { .. } => error!("the witness does not answer"),
                Witness::Deaf => error!("the witness has no telephone line"),
                Witness::Listens | Witness::Unknown => info!("the witness listens"),
            }
            let text = match now_is.witness {
                Witness::Gone { .. } => Some((
                    "看守主机没有应答：本机如果停止工作，值班台不会接到电话。请检查看守主机和网络".to_owned(),
                    "the witness does not answer: should this host stop, nobody would call the desk; look at the witness and the network".to_owned(),
                )),
                Witness::Deaf => Some((
                    "看守主机的电话没有注册，打不出电话。请检查它的分机".to_owned(),
                    "the witness cannot call: its extension is not registered at the PBX".to_owned(),
                )),
                Witness::Listens | Witness::Unknown => None,
            };
            self.show("witness", text, now);
            let what = match now_is.witness {
                Witness::Gone { .. } => "gone",
                Witness::Deaf => "deaf",
                Witness::Listens | Witness::Unknown => "listens",
            };
            let first = told.witness == Witness::Unknown && !bad;
            if !first {
                self.note("heartbeat.witness", what, now).await;
            }
        }
        *told = now_is;
    }

    async fn note(&self, action: &'static str, detail: &str, now: Now) {
        let noting = self.store.note_heartbeat(action, detail, now);
        // A log that takes nothing is an alarm of its own.
        match timeout(AUDIT_WITHIN, noting).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => warn!(%error, action, detail, "not in the log"),
            Err(_) => warn!(action, detail, "not in the log yet"),
        }
    }

    fn show(&self, key: &'static str, text: Option<(String, String)>, now: Now) {
        self.board.update(|status| match text {
            Some((zh, en)) => drop(status.alarms.insert(key, Alarm { since: now.wall, zh, en })),
            None => drop(status.alarms.remove(key)),
        });
    }
}

fn overdue(failing: &Failing) -> (String, String) {
    let (zh, en) = match failing {
        Failing::Control => ("电话任务停滞", "the control task stands still"),
        Failing::Escalator => ("呈报任务停滞", "the escalator stands still"),
        Failing::Unreadable => ("读不了未了结的紧急呈报", "open escalations cannot be read"),
        Failing::Overdue(_) => ("有紧急呈报到点未呼叫", "an escalation is overdue"),
    };
    // Where the log is at fault, calls go on from memory, and what is started anew has no log to begin with.
    let (then_zh, then_en) = match failing {
        Failing::Control | Failing::Escalator => ("并重启本程序", "restart"),
        Failing::Unreadable | Failing::Overdue(_) => {
            ("并检查日志所在磁盘；不要重启本程序", "look at the disk of the log; do not restart")
        }
    };
    let zh = format!("紧急呈报自查不通过（{zh}）：请人工联系带班领导，{then_zh}");
    (
        zh,
        format!("the audit of the escalations fails ({en}): call the leader by hand and {then_en}"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "a secret of the two hosts";

    #[test]
    fn a_restart_is_asked_for_only_where_a_task_stands_still() {
        for (failing, restart) in [
            (Failing::Control, true),
            (Failing::Escalator, true),
            (Failing::Unreadable, false),
            (Failing::Overdue(vec![]), false),
        ] {
            let (zh, en) = overdue(&failing);
            assert!(zh.contains("请人工联系带班领导"), "{zh}");
            assert_eq!(
                (zh.contains("不要重启"), en.contains("do not restart")),
                (!restart, !restart)
            );
        }
    }

    #[test]
    fn what_was_signed_is_read_and_nothing_else_is() {
        let message = Message { side: Side::Daemon, number: 7, answers: u64::MAX, ready: true };
        let text = write(message, KEY);
        assert!(text.len() < DATAGRAM);
        assert_eq!(read(text.as_bytes(), KEY), Some(message));
        assert_eq!(read(text.as_bytes(), "another"), None);
        for at in 0..text.len() {
            let mut altered = text.clone().into_bytes();
            altered[at] ^= 1;
            assert_eq!(read(&altered, KEY), None, "{at}");
            assert_eq!(read(&text.as_bytes()[..at], KEY), None, "cut at {at}");
        }
        assert_eq!(read(&[0xff; 600], KEY), None);
    }
}
