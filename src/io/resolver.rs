//! Looks up the names that the configuration gives the PBX (RFC 3263 §4.2), beside the signalling
//! path and never one from a message. While a name cannot be looked up, its last good addresses
//! stay in use, also across restarts; the page says so.

use crate::config::{Config, PbxAddress};
use crate::duty::switchboard::Input;
use crate::io::clock;
use crate::io::status::{Alarm, Board};
use crate::protocol::sip::route::PEERS_MAX;
use crate::protocol::sip::{Peer, Transport};
use anyhow::Context;
use hickory_resolver::config::{ConnectionConfig, NameServerConfig, ResolverConfig};
use hickory_resolver::net::NetError;
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::proto::rr::RData;
use hickory_resolver::{Resolver as Dns, TokioResolver};
use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::{Duration, Instant};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

/// One question, and how often it is asked.
const ANSWER_WITHIN: Duration = Duration::from_secs(2);
const ATTEMPTS: usize = 2;
/// How long the start waits for the first look-up.
const START_WITHIN: Duration = Duration::from_secs(3);
/// Between two look-ups, whatever the record's time to live.
const AGAIN: (Duration, Duration) = (Duration::from_secs(5), Duration::from_secs(300));
const AGAIN_AFTER_FAILURE: Duration = Duration::from_secs(10);
/// Servers of one SRV record set that are looked at.
const SERVERS_MAX: usize = 16;

/// What is to be looked up, and how.
#[derive(Debug, Clone)]
pub struct Plan {
    pub targets: Vec<PbxAddress>,
    pub transport: Transport,
    /// The site's DNS servers; none for those of `/etc/resolv.conf`.
    pub servers: Vec<SocketAddr>,
    /// Where the last good addresses are kept across restarts.
    pub memory: PathBuf,
}

pub struct Resolver {
    plan: Plan,
    dns: TokioResolver,
    /// The last good addresses of each name.
    known: BTreeMap<String, Vec<SocketAddr>>,
    failing: Option<(chrono::DateTime<chrono::Utc>, String)>,
}

/// Where the PBX is, and who looks that up where the configuration has names for it.
pub struct Pbx {
    pub peers: Vec<Peer>,
    resolver: Option<Resolver>,
}

impl Pbx {
    /// # Errors
    /// As of [`Resolver::new`].
    pub async fn find(config: &Config, board: &Board) -> anyhow::Result<Self> {
        let line = &config.line;
        let plan = Plan {
            targets: line.pbx.clone(),
            transport: line.transport,
            servers: line.dns.clone(),
            memory: config.storage.data.join("pbx-addresses.json"),
        };
        let named = |address: &PbxAddress| matches!(address, PbxAddress::Named { .. });
        if !line.pbx.iter().any(named) {
            return Ok(Self { peers: plan.peers(&BTreeMap::new()), resolver: None });
        }
        let mut resolver = Resolver::new(plan)?;
        let peers = resolver.first(board).await;
        Ok(Self { peers, resolver: Some(resolver) })
    }

    /// Tells the line when the addresses change; `None` where they cannot.
    pub fn keep(
        self,
        orders: &mpsc::Sender<Input>,
        board: &Board,
        stopping: &CancellationToken,
    ) -> Option<JoinHandle<()>> {
        let (orders, board, stopping) = (orders.clone(), board.clone(), stopping.clone());
        let resolver = self.resolver?;
        Some(tokio::spawn(resolver.keep(self.peers, orders, board, stopping)))
    }
}

impl Plan {
    /// All addresses that are known, in the order of the configuration.
    fn peers(&self, known: &BTreeMap<String, Vec<SocketAddr>>) -> Vec<Peer> {
        let mut peers: Vec<Peer> = vec![];
        for target in &self.targets {
            let found = match target {
                PbxAddress::At(address) => vec![*address],
                PbxAddress::Named { .. } => {
                    known.get(&target.to_string()).cloned().unwrap_or_default()
                }
            };
            for addr in found {
                let peer = Peer { transport: self.transport, addr };
                if !peers.contains(&peer) && peers.len() < PEERS_MAX {
                    peers.push(peer);
                }
            }
        }
        peers
    }
}

/// What one round of look-ups came to.
struct Round {
    peers: Vec<Peer>,
    /// Until the next round.
    wait: Duration,
    failure: Option<String>,
}

impl Resolver {
    /// # Errors
    /// When neither servers are given nor `/etc/resolv.conf` names any.
    pub fn new(plan: Plan) -> anyhow::Result<Self> {
        let remedy = "write the site's DNS servers into line.dns, or IP addresses into line.pbx";
        let mut builder = if plan.servers.is_empty() {
            TokioResolver::builder_tokio().context(remedy)?
        } else {
            let servers = plan.servers.iter().map(name_server).collect();
            let config = ResolverConfig::from_name_servers(servers);
            Dns::builder_with_config(config, TokioRuntimeProvider::default())
        };
        let options = builder.options_mut();
        (options.timeout, options.attempts) = (ANSWER_WITHIN, ATTEMPTS);
        // Every round asks anew; a poisoned answer must guess port, id and the case of the name.
        options.cache_size = 0;
        options.case_randomization = true;
        let dns = builder.build().context(remedy)?;
        let known = remembered(&plan.memory);
        Ok(Self { plan, dns, known, failing: None })
    }

    /// The addresses to start with: the last good ones, for the line waits for nobody; looked up
    /// where there are none.
    pub async fn first(&mut self, board: &Board) -> Vec<Peer> {
        let known = self.peers();
        if !known.is_empty() {
            return known;
        }
        match tokio::time::timeout(START_WITHIN, self.round()).await {
            Ok(round) => {
                self.tell(&round, board);
                round.peers
            }
            Err(_) => {
                let failure = Some("no answer from the DNS servers".to_owned());
                let round = Round { peers: self.peers(), wait: AGAIN.0, failure };
                self.tell(&round, board);
                round.peers
            }
        }
    }

    /// Looks up again and again; tells the line when the addresses have changed.
    pub async fn keep(
        mut self,
        mut told: Vec<Peer>,
        orders: mpsc::Sender<Input>,
        board: Board,
        stopping: CancellationToken,
    ) {
        let mut wait = if told.is_empty() { AGAIN.0 } else { Duration::ZERO };
        loop {
            tokio::select! {
                () = tokio::time::sleep(wait) => {}
                () = stopping.cancelled() => return,
            }
            let round = self.round().await;
            self.tell(&round, &board);
            wait = round.wait;
            if round.peers != told && !round.peers.is_empty() {
                info!(peers = ?round.peers, "the PBX's addresses have changed");
                told.clone_from(&round.peers);
                if orders.send(Input::Peers(round.peers)).await.is_err() {
                    return;
                }
            }
        }
    }

    async fn round(&mut self) -> Round {
        let (mut wait, mut failure) = (AGAIN.1, None);
        let before = self.known.clone();
        for target in self.plan.targets.clone() {
            let PbxAddress::Named { name, port } = &target else { continue };
            match self.look_up(name, *port).await {
                Ok((addresses, valid)) => {
                    wait = wait.min(valid.clamp(AGAIN.0, AGAIN.1));
                    self.known.insert(target.to_string(), addresses);
                }
                Err(why) => {
                    wait = wait.min(AGAIN_AFTER_FAILURE);
                    failure.get_or_insert(format!("{name}: {why}"));
                }
            }
        }
        if self.known != before {
            self.remember().await;
        }
        Round { peers: self.peers(), wait, failure }
    }

    fn peers(&self) -> Vec<Peer> {
        self.plan.peers(&self.known)
    }

    /// RFC 3263 §4.2: a name with a port is an address; one without is first a service.
    async fn look_up(
        &self,
        name: &str,
        port: Option<u16>,
    ) -> Result<(Vec<SocketAddr>, Duration), String> {
        if let Some(port) = port {
            return self.addresses(name, port).await;
        }
        let service = match self.plan.transport {
            Transport::Udp => format!("_sip._udp.{name}."),
            Transport::Tcp => format!("_sip._tcp.{name}."),
            Transport::Tls => format!("_sips._tcp.{name}."),
        };
        match self.dns.srv_lookup(service).await {
            Ok(found) => {
                let until = found.valid_until();
                let mut servers: Vec<_> = found
                    .answers()
                    .iter()
                    .filter_map(|record| match &record.data {
                        RData::SRV(srv) => {
                            let target = srv.target.to_utf8();
                            Some((srv.priority, u16::MAX - srv.weight, target, srv.port))
                        }
                        _ => None,
                    })
                    .collect();
                // By priority, then weight; never by chance, so that the order stays.
                servers.sort();
                servers.truncate(SERVERS_MAX);
                self.each(servers, left(until)).await
            }
            Err(error) if error.is_no_records_found() => {
                self.addresses(name, self.plan.transport.default_port()).await
            }
            Err(error) => Err(told(&error)),
        }
    }

    async fn each(
        &self,
        servers: Vec<(u16, u16, String, u16)>,
        mut valid: Duration,
    ) -> Result<(Vec<SocketAddr>, Duration), String> {
        let (mut all, mut failure) = (vec![], None);
        for (_, _, target, port) in servers {
            match self.addresses(&target, port).await {
                Ok((addresses, wait)) => {
                    valid = valid.min(wait);
                    all.extend(addresses);
                }
                Err(why) => failure = Some(why),
            }
        }
        match failure {
            Some(why) if all.is_empty() => Err(why),
            _ if all.is_empty() => Err("the service is not offered".to_owned()),
            _ => Ok((all, valid)),
        }
    }

    async fn addresses(
        &self,
        name: &str,
        port: u16,
    ) -> Result<(Vec<SocketAddr>, Duration), String> {
        let full = format!("{}.", name.trim_end_matches('.'));
        let found = self.dns.lookup_ip(full).await.map_err(|error| told(&error))?;
        let mut all: Vec<IpAddr> = found.iter().collect();
        all.sort();
        let all = all.into_iter().map(|ip| SocketAddr::new(ip, port)).collect();
        Ok((all, left(found.valid_until())))
    }

    async fn remember(&self) {
        let path = &self.plan.memory;
        let text = serde_json::to_string(&self.known).expect("names and addresses are text");
        let fresh = path.with_extension("new");
        let written = async {
            tokio::fs::write(&fresh, text).await?;
            tokio::fs::rename(&fresh, path).await
        };
        if let Err(error) = written.await {
            warn!(%error, file = %path.display(), "the PBX's addresses could not be kept");
        }
    }

    fn tell(&mut self, round: &Round, board: &Board) {
        let Some(why) = &round.failure else {
            if self.failing.take().is_some() {
                info!("the PBX's names can be looked up again");
                board.update(|status| drop(status.alarms.remove("dns")));
            }
            return;
        };
        if self.failing.as_ref().is_some_and(|(_, known)| known == why) {
            return;
        }
        warn!(why, "the PBX's name cannot be looked up");
        let since = self.failing.take().map_or_else(|| clock::now().wall, |(since, _)| since);
        let used: Vec<_> = round.peers.iter().map(|peer| peer.addr.to_string()).collect();
        let used = used.join(", ");
        let (zh, en) = if used.is_empty() {
            (
                "尚无可用地址，专线无法使用".to_owned(),
                "no address is known, the line cannot be used".to_owned(),
            )
        } else {
            (
                format!("继续使用上次的地址 {used}"),
                format!("the last good address {used} stays in use"),
            )
        };
        board.update(|status| {
            let zh = format!("交换机域名解析失败，{zh}。请检查 DNS 服务器（{why}）");
            let en =
                format!("The PBX's name cannot be looked up ({why}); {en}. Check the DNS server");
            status.alarms.insert("dns", Alarm { since, zh, en });
        });
        self.failing = Some((since, why.clone()));
    }
}

fn name_server(address: &SocketAddr) -> NameServerConfig {
    let mut server = NameServerConfig::udp_and_tcp(address.ip());
    server.connections = [ConnectionConfig::udp(), ConnectionConfig::tcp()].into();
    for connection in &mut server.connections {
        connection.port = address.port();
    }
    server
}

/// Unreadable or absent: nothing is known yet.
fn remembered(path: &std::path::Path) -> BTreeMap<String, Vec<SocketAddr>> {
    let text = std::fs::read_to_string(path).unwrap_or_default();
    serde_json::from_str(&text).unwrap_or_default()
}

fn left(until: Instant) -> Duration {
    until.saturating_duration_since(Instant::now())
}

fn told(error: &NetError) -> String {
    match error {
        _ if error.is_nx_domain() => "NXDOMAIN".to_owned(),
        _ if error.is_no_records_found() => "no address".to_owned(),
        NetError::Timeout => "timeout".to_owned(),
        other => other.to_string(),
    }
}
