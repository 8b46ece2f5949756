//! Where a request comes from: from its address, or from what a proxy that we know says of it.

use super::{Shared, Web};
use axum::extract::{ConnectInfo, FromRequestParts};
use axum::http::request::Parts;
use axum::http::{Extensions, HeaderMap};
use std::convert::Infallible;
use std::net::{IpAddr, SocketAddr};

/// For the audit, for slowing down guesses, and for the cookie.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Visitor {
    pub address: Option<IpAddr>,
    /// By TLS as far as the proxy.
    pub secure: bool,
}

impl std::fmt::Display for Visitor {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.address {
            Some(address) => address.fmt(out),
            None => out.write_str("unknown"),
        }
    }
}

impl Visitor {
    /// What others than our proxies say of themselves counts for nothing.
    pub fn of(web: &Web, extensions: &Extensions, headers: &HeaderMap) -> Self {
        let peer = extensions.get::<ConnectInfo<SocketAddr>>().map(|peer| peer.0.ip());
        let ours = |address: &IpAddr| web.proxies.contains(&address.to_canonical());
        if !peer.as_ref().is_some_and(ours) {
            return Self { address: peer, secure: false };
        }
        let named = |name: &'static str| {
            let values = headers.get_all(name).iter().filter_map(|value| value.to_str().ok());
            values.flat_map(|value| value.split(',')).map(str::trim).collect::<Vec<_>>()
        };
        // Each proxy writes at the end whom it has it from; what stands before was sent by the one before.
        let hops = named("x-forwarded-for");
        let hops = hops.iter().rev().map_while(|hop| hop.parse::<IpAddr>().ok());
        let address = hops.into_iter().find(|hop| !ours(hop)).or(peer);
        let secure = named("x-forwarded-proto").last().is_some_and(|by| *by == "https");
        Self { address, secure }
    }
}

impl FromRequestParts<Shared> for Visitor {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, shared: &Shared) -> Result<Self, Infallible> {
        Ok(Self::of(&shared.web, &parts.extensions, &parts.headers))
    }
}
