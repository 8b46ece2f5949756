//! Whose connections are taken.

use crate::protocol::sip::route::PEERS_MAX;
use crate::protocol::sip::{Account, Peer};
use std::net::IpAddr;

#[derive(Default)]
pub struct Served {
    /// Besides the PBX.
    also: Vec<IpAddr>,
    /// Its addresses, and those that it had before.
    pbx: Vec<IpAddr>,
}

impl Served {
    pub fn new(account: &Account) -> Self {
        Self { also: account.also_trusted.clone(), pbx: vec![] }.of(&account.peers)
    }

    /// The PBX is there now. Over a connection from where it was calls may go on, whatever else is turned away.
    pub fn of(mut self, peers: &[Peer]) -> Self {
        let now: Vec<IpAddr> = peers.iter().map(|peer| peer.addr.ip()).collect();
        self.pbx.retain(|ip| !now.contains(ip));
        self.pbx.truncate(PEERS_MAX);
        self.pbx.splice(0..0, now);
        self
    }

    pub fn all(&self) -> Vec<IpAddr> {
        self.also.iter().chain(&self.pbx).map(|ip| ip.to_canonical()).collect()
    }
}
