//! Addresses that were the PBX's until its name was looked up anew: calls that are open go on with them, and callers come
//! by them as long as our binding there may last.

use super::Endpoint;
use crate::protocol::now::{Mono, Now};
use crate::protocol::sip::{Peer, traffic};
use std::net::IpAddr;
use std::time::Duration;

/// As many as a name may have at once; the oldest makes place.
const MOST: usize = 8;
/// The binding that brings callers from there has run out by then.
const BOUND: Duration = Duration::from_secs(120);

#[derive(Debug, Clone, Copy)]
pub struct Former {
    ip: IpAddr,
    left: Mono,
}

impl Endpoint {
    /// These are the PBX's from now on. Whoever is no more of them is spoken with and heard in what was begun.
    pub(super) fn leave_for(&mut self, peers: &[Peer], now: Now) {
        let of = |peers: &[Peer]| -> Vec<IpAddr> {
            peers.iter().map(|peer| peer.addr.ip().to_canonical()).collect()
        };
        let (before, after) = (of(&self.account.peers), of(peers));
        self.forget_former(|former| !after.contains(&former.ip));
        for ip in before {
            if !after.contains(&ip) && !self.account.also_trusted.contains(&ip) {
                self.former.push(Former { ip, left: now.mono });
                self.account.also_trusted.push(ip);
            }
        }
        let surplus = self.former.len().saturating_sub(MOST);
        let oldest: Vec<IpAddr> = self.former[..surplus].iter().map(|former| former.ip).collect();
        self.forget_former(|former| !oldest.contains(&former.ip));
    }

    fn forget_former(&mut self, stays: impl Fn(&Former) -> bool) {
        let gone: Vec<IpAddr> =
            self.former.iter().filter(|former| !stays(former)).map(|former| former.ip).collect();
        self.former.retain(stays);
        self.account.also_trusted.retain(|ip| !gone.contains(ip));
    }

    /// Whether what comes from there is heard.
    pub(super) fn hears(&self, from: IpAddr, bytes: &[u8], now: Now) -> bool {
        if !self.account.trusts(from) {
            return false;
        }
        let from = from.to_canonical();
        let Some(former) = self.former.iter().find(|former| former.ip == from) else { return true };
        now.mono.since(former.left) < BOUND || self.is_of_session(bytes, former.left)
    }

    /// Whether this is one of the PBX's own addresses, or was when what is open began.
    pub fn is_pbx(&self, ip: IpAddr) -> bool {
        let former = |former: &Former| former.ip == ip.to_canonical();
        self.account.is_pbx(ip) || self.former.iter().any(former)
    }

    /// Of one that began before.
    fn is_of_session(&self, bytes: &[u8], before: Mono) -> bool {
        let leg = traffic::call_id(bytes).and_then(|call_id| self.legs.of_call_id(call_id));
        leg.and_then(|leg| self.legs.get(leg)).is_some_and(|leg| leg.since <= before)
    }
}
