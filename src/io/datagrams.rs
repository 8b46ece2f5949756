//! Datagrams from one socket, several with one call (recvmmsg(2)): a call that brings fewer than it may has emptied the
//! socket, and no second one is needed to find that out.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::AsRawFd;

/// Datagrams of one call.
pub const MOST: usize = 4;

/// Places for what comes, each of `SIZE` bytes.
pub struct Datagrams<const SIZE: usize> {
    bytes: Box<[[u8; SIZE]; MOST]>,
    came: [(usize, Option<SocketAddr>); MOST],
}

impl<const SIZE: usize> Default for Datagrams<SIZE> {
    fn default() -> Self {
        Self { bytes: Box::new([[0; SIZE]; MOST]), came: [(0, None); MOST] }
    }
}

impl<const SIZE: usize> Datagrams<SIZE> {
    /// Receives what is there, without waiting, each up to `length` bytes; how many came.
    ///
    /// # Errors
    /// When nothing is there, or the socket is at fault.
    pub fn receive(&mut self, socket: &impl AsRawFd, length: usize) -> io::Result<usize> {
        // SAFETY: both are plain data, for which zeroes are a value.
        let mut names: [libc::sockaddr_storage; MOST] = unsafe { std::mem::zeroed() };
        let mut heads: [libc::mmsghdr; MOST] = unsafe { std::mem::zeroed() };
        let mut places = self.bytes.each_mut().map(|bytes| libc::iovec {
            iov_base: bytes.as_mut_ptr().cast(),
            iov_len: length.min(SIZE),
        });
        for ((head, name), place) in heads.iter_mut().zip(&mut names).zip(&mut places) {
            head.msg_hdr.msg_name = (&raw mut *name).cast();
            head.msg_hdr.msg_namelen = size_of::<libc::sockaddr_storage>() as libc::socklen_t;
            head.msg_hdr.msg_iov = place;
            head.msg_hdr.msg_iovlen = 1;
        }
        // SAFETY: each head names one address and one place of the given lengths, which outlive the call.
        let count = unsafe {
            libc::recvmmsg(
                socket.as_raw_fd(),
                heads.as_mut_ptr(),
                MOST as libc::c_uint,
                libc::MSG_DONTWAIT,
                std::ptr::null_mut(),
            )
        };
        let count = usize::try_from(count).map_err(|_| io::Error::last_os_error())?;
        for (came, (head, name)) in self.came.iter_mut().zip(heads.iter().zip(&names)).take(count) {
            *came = (head.msg_len as usize, address(name));
        }
        Ok(count)
    }

    /// The n-th of those that came: its place, its length, and who sent it.
    pub fn nth(&mut self, n: usize) -> Option<(&mut [u8; SIZE], usize, SocketAddr)> {
        let (length, from) = *self.came.get(n)?;
        Some((self.bytes.get_mut(n)?, length, from?))
    }
}

fn address(name: &libc::sockaddr_storage) -> Option<SocketAddr> {
    match libc::c_int::from(name.ss_family) {
        libc::AF_INET => {
            // SAFETY: the kernel says that this is an IPv4 address.
            let name: &libc::sockaddr_in = unsafe { &*(&raw const *name).cast() };
            let ip = Ipv4Addr::from(u32::from_be(name.sin_addr.s_addr));
            Some(SocketAddr::new(IpAddr::V4(ip), u16::from_be(name.sin_port)))
        }
        libc::AF_INET6 => {
            // SAFETY: the kernel says that this is an IPv6 address.
            let name: &libc::sockaddr_in6 = unsafe { &*(&raw const *name).cast() };
            let ip = Ipv6Addr::from(name.sin6_addr.s6_addr);
            Some(SocketAddr::new(ip.to_canonical(), u16::from_be(name.sin6_port)))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::UdpSocket;

    #[test]
    fn what_was_sent_comes_in_order_with_its_sender_and_then_nothing() {
        for host in ["127.0.0.1:0", "[::1]:0"] {
            let Ok(ours) = UdpSocket::bind(host) else { continue };
            let theirs = UdpSocket::bind(host).unwrap();
            for n in 0..6u8 {
                theirs.send_to(&vec![n; 100 * usize::from(n)], ours.local_addr().unwrap()).unwrap();
            }
            let mut datagrams = Datagrams::<300>::default();
            let mut seen = vec![];
            for wanted in [MOST, 2] {
                assert_eq!(datagrams.receive(&ours, 250).unwrap(), wanted);
                for n in 0..wanted {
                    let (bytes, length, from) = datagrams.nth(n).unwrap();
                    assert_eq!(from, theirs.local_addr().unwrap());
                    seen.push((bytes.first().copied().filter(|_| length > 0), length));
                }
            }
            let lengths = [0, 100, 200, 250, 250, 250];
            let expected = (0..6u8).zip(lengths).map(|(n, l)| ((l > 0).then_some(n), l));
            assert_eq!(seen, expected.collect::<Vec<_>>(), "what is too long is cut off");
            let nothing = datagrams.receive(&ours, 250).unwrap_err();
            assert_eq!(nothing.kind(), io::ErrorKind::WouldBlock);
        }
    }
}
