//! What a phone writes in its session descriptions and reads in others' (RFC 8866, RFC 3264): one
//! audio stream, A-law before µ-law, with RFC 4733 keys.

use std::net::{IpAddr, SocketAddr};

pub const PCMU: u8 = 0;
pub const PCMA: u8 = 8;
const KEYS: u8 = 101;

/// What a phone can do, in its order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Able {
    /// G.711, by its payload types.
    pub audio: &'static [u8],
    /// RFC 4733; a phone that cannot presses its keys by INFO.
    pub keys: bool,
}

impl Default for Able {
    fn default() -> Self {
        Self { audio: &[PCMA, PCMU], keys: true }
    }
}

/// How the other side is reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Remote {
    pub addr: SocketAddr,
    pub audio_pt: u8,
    pub event_pt: Option<u8>,
}

/// An offer, or the answer to one when `their` audio payload type is given; `version` rises with each
/// that differs (RFC 3264 §8).
pub fn describe(able: Able, local: SocketAddr, their: Option<Remote>, version: u32) -> Vec<u8> {
    let (ip, port) = (local.ip(), local.port());
    let family = if ip.is_ipv4() { "IP4" } else { "IP6" };
    let keys = their.map_or(Some(KEYS), |their| their.event_pt).filter(|_| able.keys);
    let audio = their.map_or(able.audio.to_vec(), |their| vec![their.audio_pt]);
    let mut formats: Vec<u8> = audio;
    formats.extend(keys);
    let list: Vec<String> = formats.iter().map(u8::to_string).collect();
    let mut text = format!(
        "v=0\r\no=phone 1 {version} IN {family} {ip}\r\ns=-\r\nc=IN {family} {ip}\r\nt=0 0\r\n\
         m=audio {port} RTP/AVP {}\r\n",
        list.join(" ")
    );
    for pt in formats {
        text += &match pt {
            PCMA => "a=rtpmap:8 PCMA/8000\r\n".to_owned(),
            PCMU => "a=rtpmap:0 PCMU/8000\r\n".to_owned(),
            keys => format!("a=rtpmap:{keys} telephone-event/8000\r\na=fmtp:{keys} 0-16\r\n"),
        };
    }
    text += "a=ptime:20\r\na=sendrecv\r\n";
    text.into_bytes()
}

/// `None` when there is no audio to be had that the phone is able to.
pub fn understand(able: Able, sdp: &[u8]) -> Option<Remote> {
    let text = String::from_utf8_lossy(sdp);
    let mut ip: Option<IpAddr> = None;
    let mut audio = None;
    let mut event_pt = None;
    for line in text.lines().map(str::trim) {
        if let Some(rest) = line.strip_prefix("c=IN ") {
            ip = rest.split_whitespace().nth(1).and_then(|ip| ip.parse().ok());
        } else if let Some(rest) = line.strip_prefix("m=audio ") {
            let mut words = rest.split_whitespace();
            let port: u16 = words.next()?.parse().ok()?;
            let formats: Vec<u8> = words.skip(1).filter_map(|word| word.parse().ok()).collect();
            let pt = formats.into_iter().find(|pt| able.audio.contains(pt))?;
            audio = Some((port, pt));
        } else if let Some(rest) = line.strip_prefix("a=rtpmap:")
            && let Some((pt, name)) = rest.split_once(' ')
            && name.to_ascii_lowercase().starts_with("telephone-event/8000")
        {
            event_pt = pt.parse().ok();
        }
    }
    let (port, audio_pt) = audio.filter(|(port, _)| *port != 0)?;
    Some(Remote { addr: SocketAddr::new(ip?, port), audio_pt, event_pt })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_phone_understands_another() {
        let local: SocketAddr = "10.0.0.3:4000".parse().unwrap();
        let able = Able::default();
        let offer = understand(able, &describe(able, local, None, 1)).unwrap();
        assert_eq!(offer, Remote { addr: local, audio_pt: PCMA, event_pt: Some(KEYS) });
        let theirs = Remote { audio_pt: PCMU, event_pt: Some(96), ..offer };
        let answer = describe(able, local, Some(theirs), 2);
        let answered = understand(able, &answer).unwrap();
        assert_eq!(answered, Remote { addr: local, audio_pt: PCMU, event_pt: Some(96) });
        assert_eq!(understand(Able { audio: &[PCMA], ..able }, &answer), None);
    }

    #[test]
    fn no_audio_is_none() {
        let sdp = b"v=0\r\nc=IN IP4 10.0.0.1\r\nm=audio 0 RTP/AVP 8\r\n";
        let understand = |sdp: &[u8]| understand(Able::default(), sdp);
        assert_eq!(understand(sdp), None);
        assert_eq!(understand(b"v=0\r\nc=IN IP4 10.0.0.1\r\nm=audio 9 RTP/AVP 18\r\n"), None);
        assert_eq!(understand(b""), None);
    }
}
