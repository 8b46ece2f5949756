//! Where a request may not go: to this host, its link, or the clouds' tables of secrets. A name is
//! judged by every address it has, and the address that was judged is the one connected to.

use crate::protocol::sip::phones::Network;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

/// One look-up.
const ANSWER_WITHIN: Duration = Duration::from_secs(3);
/// Where a large cloud tells its machines their keys; not link-local as elsewhere.
const CLOUD_TABLE: Ipv4Addr = Ipv4Addr::new(100, 100, 100, 200);

#[derive(Debug, Clone, Default)]
pub struct Guard {
    pub allow: Vec<Network>,
}

/// Why there is no connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Stopped {
    #[error("its address is this host's or its link's")]
    Forbidden,
    #[error("its name cannot be looked up")]
    Unknown,
}

impl Guard {
    pub fn permits(&self, ip: IpAddr) -> bool {
        let ip = ip.to_canonical();
        self.allow.iter().any(|network| network.has(ip)) || !is_inward(ip)
    }

    /// The addresses of a host, which may be written as one; all of them, or none, may be used.
    pub async fn look_up(&self, host: &str, port: u16) -> Result<Vec<SocketAddr>, Stopped> {
        let host = host.trim_start_matches('[').trim_end_matches(']');
        let found = match host.parse::<IpAddr>() {
            Ok(ip) => vec![SocketAddr::new(ip, port)],
            Err(_) => {
                let looked_up = tokio::net::lookup_host((host, port));
                match tokio::time::timeout(ANSWER_WITHIN, looked_up).await {
                    Ok(Ok(found)) => found.collect(),
                    Ok(Err(_)) | Err(_) => return Err(Stopped::Unknown),
                }
            }
        };
        if found.is_empty() {
            return Err(Stopped::Unknown);
        }
        match found.iter().all(|address| self.permits(address.ip())) {
            true => Ok(found),
            false => Err(Stopped::Forbidden),
        }
    }
}

fn is_inward(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => {
            ip.is_loopback()
                || ip.is_link_local()
                || ip.is_multicast()
                || ip.is_broadcast()
                || ip.octets()[0] == 0
                || ip == CLOUD_TABLE
        }
        IpAddr::V6(ip) => {
            let within = [ip.segments()[0] & 0xffc0 == 0xfe80, ip.is_multicast()];
            // ::a.b.c.d and the translation of IPv4 (RFC 6052) reach the same hosts.
            let low = ip.segments();
            let v4 = Ipv4Addr::from((u32::from(low[6]) << 16) | u32::from(low[7]));
            let embeds = low[..6] == [0; 6] || low[..6] == [0x64, 0xff9b, 0, 0, 0, 0];
            within.contains(&true)
                || ip.is_loopback()
                || ip.is_unspecified()
                || (embeds && is_inward(IpAddr::V4(v4)))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn guard(allow: &[(&str, u8)]) -> Guard {
        let network = |(ip, bits): &(&str, u8)| Network { ip: ip.parse().unwrap(), bits: *bits };
        Guard { allow: allow.iter().map(network).collect() }
    }

    #[test]
    fn esc_56_this_host_and_its_link_are_refused_however_they_are_written() {
        let guard = guard(&[]);
        for inward in [
            "127.0.0.1",
            "127.9.9.9",
            "0.0.0.0",
            "0.1.2.3",
            "169.254.169.254",
            "100.100.100.200",
            "255.255.255.255",
            "224.0.0.1",
            "::1",
            "::",
            "fe80::1",
            "febf::1",
            "ff02::1",
            "::ffff:127.0.0.1",
            "::127.0.0.1",
            "::ffff:169.254.169.254",
            "64:ff9b::7f00:1",
            "64:ff9b::a9fe:a9fe",
        ] {
            assert!(!guard.permits(inward.parse().unwrap()), "{inward}");
        }
        for outward in ["10.1.2.3", "192.168.10.9", "203.0.113.5", "fd00::9", "2001:db8::1"] {
            assert!(guard.permits(outward.parse().unwrap()), "{outward}");
        }
    }

    #[test]
    fn esc_56_what_is_on_the_list_is_allowed_and_nothing_beside_it() {
        let guard = guard(&[("127.0.0.1", 32), ("fe80::", 16)]);
        assert!(guard.permits("127.0.0.1".parse().unwrap()));
        assert!(guard.permits("::ffff:127.0.0.1".parse().unwrap()));
        assert!(!guard.permits("127.0.0.2".parse().unwrap()));
        assert!(guard.permits("fe80::7".parse().unwrap()));
        assert!(!guard.permits("::1".parse().unwrap()));
    }

    #[tokio::test]
    async fn esc_56_a_name_is_judged_by_its_addresses() {
        let refused = guard(&[]).look_up("localhost", 80).await;
        assert_eq!(refused, Err(Stopped::Forbidden));
        let allowed = guard(&[("127.0.0.0", 8), ("::1", 128)]).look_up("localhost", 80).await;
        assert!(allowed.is_ok_and(|found| found.iter().all(|at| at.ip().is_loopback())));
        assert_eq!(guard(&[]).look_up("nowhere.invalid", 80).await, Err(Stopped::Unknown));
        assert_eq!(guard(&[]).look_up("[::1]", 80).await, Err(Stopped::Forbidden));
    }
}
