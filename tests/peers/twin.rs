//! A caller on the trunk and a far end behind the PBX, written out by hand: no SIP library of
//! ours or of others stands between the test and the wire, and every packet's moment is known.

mod caller;
mod far_end;
mod message;

pub use caller::TrunkCaller;
pub use far_end::{FarEnd, Seen};

use std::net::UdpSocket;
use std::time::Duration;

const SOON: Duration = Duration::from_secs(8);

fn offer(media: &UdpSocket) -> String {
    let port = media.local_addr().expect("an address").port();
    format!(
        "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n\
         m=audio {port} RTP/AVP 8 101\r\na=rtpmap:8 PCMA/8000\r\n\
         a=rtpmap:101 telephone-event/8000\r\na=ptime:20\r\n"
    )
}

/// One direction of A-law voice, 20 ms a packet.
pub struct Voice {
    sequence: u16,
    timestamp: u32,
    source: u32,
}

impl Voice {
    pub fn new(seed: u32) -> Self {
        let sequence = u16::try_from(seed % 65_000).expect("below");
        Self { sequence, timestamp: seed.wrapping_mul(2_654_435_761), source: seed ^ 0x5eed }
    }

    /// The next packet with these 160 bytes of A-law.
    pub fn packet(&mut self, payload: &[u8; 160]) -> Vec<u8> {
        let mut packet = vec![0x80, 8];
        packet.extend(self.sequence.to_be_bytes());
        packet.extend(self.timestamp.to_be_bytes());
        packet.extend(self.source.to_be_bytes());
        packet.extend(payload);
        self.skip();
        packet
    }

    /// Lets a packet's time pass without one.
    pub fn skip(&mut self) {
        self.sequence = self.sequence.wrapping_add(1);
        self.timestamp = self.timestamp.wrapping_add(160);
    }
}
