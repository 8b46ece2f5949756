//! RTP ports, bound at the start: each with its remedy where it cannot be had.

use socket2::{Domain, Protocol, Socket, Type};
use std::io;
use std::net::{IpAddr, SocketAddr, UdpSocket};

/// Expedited forwarding (RFC 3246), as telephones mark their voice.
const VOICE_TOS: u32 = 0xb8;

/// Of so many channels the port that stands so far after the first.
pub fn bind(
    (listen, first_port, channels): (IpAddr, u16, u16),
    place: u32,
) -> io::Result<(UdpSocket, u16)> {
    let beyond =
        || io::Error::other(format!("{} RTP ports do not fit above {}", channels, first_port));
    let port = u16::try_from(u32::from(first_port) + place).map_err(|_| beyond())?;
    let address = SocketAddr::new(listen, port);
    let named = |fault: io::Error| {
        let remedy = match fault.raw_os_error() {
            Some(libc::EADDRINUSE) => {
                "find who has it with `ss -ulnp`, or choose another media.first_port"
            }
            Some(libc::EADDRNOTAVAIL) => "set media.listen to an address of this host",
            Some(libc::EMFILE | libc::ENFILE) => {
                "raise LimitNOFILE (ulimit -n), or lower media.channels"
            }
            Some(libc::EACCES) => "choose a media.first_port of 1024 or more",
            _ => "check media.listen and media.first_port",
        };
        io::Error::new(fault.kind(), format!("cannot bind RTP port {address}: {fault}; {remedy}"))
    };
    let socket = Socket::new(Domain::for_address(address), Type::DGRAM, Some(Protocol::UDP))
        .map_err(named)?;
    socket.set_nonblocking(true).map_err(named)?;
    // A mark the host does not allow is a mark the network would not honour.
    let _ = if address.is_ipv4() {
        socket.set_tos_v4(VOICE_TOS)
    } else {
        socket.set_tclass_v6(VOICE_TOS)
    };
    socket.bind(&address.into()).map_err(named)?;
    Ok((socket.into(), port))
}
