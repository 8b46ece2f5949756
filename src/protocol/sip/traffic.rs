//! How many messages of which kind came and went. What a peer writes becomes one of a few known names, or "other".

use super::lines::lines;
use std::collections::BTreeMap;

/// RFC 3261 and its extensions (the registry of SIP methods).
const METHODS: [&str; 14] = [
    "ACK",
    "BYE",
    "CANCEL",
    "INFO",
    "INVITE",
    "MESSAGE",
    "NOTIFY",
    "OPTIONS",
    "PRACK",
    "PUBLISH",
    "REFER",
    "REGISTER",
    "SUBSCRIBE",
    "UPDATE",
];
const OTHER: &str = "other";
/// The registry of SIP response codes; of another one only the class is kept.
const CODES: [u16; 75] = [
    100, 180, 181, 182, 183, 199, 200, 202, 204, 300, 301, 302, 305, 380, 400, 401, 402, 403, 404,
    405, 406, 407, 408, 410, 412, 413, 414, 415, 416, 417, 420, 421, 422, 423, 424, 425, 428, 429,
    430, 433, 436, 437, 438, 439, 440, 469, 470, 480, 481, 482, 483, 484, 485, 486, 487, 488, 489,
    491, 493, 494, 500, 501, 502, 503, 504, 505, 513, 555, 580, 600, 603, 604, 606, 607, 608,
];

/// One kind of message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Kind {
    /// Sent by us.
    pub outward: bool,
    pub method: &'static str,
    /// None for a request; a class (400) for a code of it that is not registered.
    pub code: Option<u16>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Traffic(BTreeMap<Kind, u64>);

impl Traffic {
    /// Counts a message; what is none is not counted here.
    pub fn count(&mut self, outward: bool, message: &[u8]) {
        if let Some((method, code)) = read(message) {
            *self.0.entry(Kind { outward, method, code }).or_default() += 1;
        }
    }

    pub fn iter(&self) -> impl Iterator<Item = (&Kind, u64)> {
        self.0.iter().map(|(kind, count)| (kind, *count))
    }
}

/// Of a request, or of the request that a response answers.
pub fn method(message: &[u8]) -> &'static str {
    read(message).map_or(OTHER, |(method, _)| method)
}

fn read(message: &[u8]) -> Option<(&'static str, Option<u16>)> {
    let mut lines = lines(message).map(<[u8]>::trim_ascii);
    let start = lines.next()?;
    let Some(status) = start.strip_prefix(b"SIP/2.0 ") else {
        let (method, _) = start
            .strip_suffix(b" SIP/2.0")?
            .split_at_checked(start.iter().position(|byte| *byte == b' ')?)?;
        return Some((known(method), None));
    };
    let code: u16 = std::str::from_utf8(status.get(..3)?).ok()?.parse().ok()?;
    let code = if CODES.contains(&code) { code } else { code / 100 * 100 };
    let cseq = lines.take_while(|line| !line.is_empty()).find_map(|line| {
        let (name, value) = line.split_at_checked(line.iter().position(|byte| *byte == b':')?)?;
        name.trim_ascii().eq_ignore_ascii_case(b"CSeq").then_some(value)
    });
    let method = cseq.and_then(|value| value.rsplit(|byte| *byte == b' ').next());
    (100..700).contains(&code).then(|| (method.map_or(OTHER, known), Some(code)))
}

/// Of a message that nobody has read yet, as it stands.
pub fn call_id(message: &[u8]) -> Option<&[u8]> {
    let lines = lines(message).skip(1).map(<[u8]>::trim_ascii);
    lines.take_while(|line| !line.is_empty()).find_map(|line| {
        let (name, value) = line.split_at_checked(line.iter().position(|byte| *byte == b':')?)?;
        let name = name.trim_ascii();
        let named = name.eq_ignore_ascii_case(b"Call-ID") || name.eq_ignore_ascii_case(b"i");
        named.then(|| value[1..].trim_ascii())
    })
}

fn known(method: &[u8]) -> &'static str {
    METHODS.into_iter().find(|known| known.as_bytes() == method).unwrap_or(OTHER)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn counted(messages: &[&str]) -> Vec<(bool, &'static str, Option<u16>, u64)> {
        let mut traffic = Traffic::default();
        for message in messages {
            traffic
                .count(message.starts_with('<'), message.trim_start_matches(['<', '>']).as_bytes());
        }
        traffic.iter().map(|(kind, n)| (kind.outward, kind.method, kind.code, n)).collect()
    }

    #[test]
    fn a_call_id_is_found_without_reading_the_message() {
        assert_eq!(
            call_id(b"BYE sip:a SIP/2.0\r\nTo: a\r\ncall-id : x@y \r\n\r\n"),
            Some(&b"x@y"[..])
        );
        assert_eq!(call_id(b"BYE sip:a SIP/2.0\ni:z\n\n"), Some(&b"z"[..]));
        for none in
            [&b""[..], b"\r\n\r\n", b"BYE sip:a SIP/2.0\r\n\r\nCall-ID: x\r\n", b"Call-ID: x"]
        {
            assert_eq!(call_id(none), None);
        }
    }

    #[test]
    fn messages_are_counted_by_method_code_and_direction() {
        let seen = counted(&[
            ">INVITE sip:1@a SIP/2.0\r\nCSeq: 1 INVITE\r\n\r\n",
            "<SIP/2.0 180 Ringing\r\nVia: x\r\ncseq :  1  INVITE\r\n\r\n",
            "<SIP/2.0 180 Ringing\r\nCSEQ:1 INVITE\r\n\r\nCSeq: 1 BYE",
            ">SIP/2.0 200 OK\r\nCSeq: 7 REGISTER\r\n\r\n",
        ]);
        let wanted = [
            (false, "INVITE", None, 1),
            (false, "REGISTER", Some(200), 1),
            (true, "INVITE", Some(180), 2),
        ];
        assert_eq!(seen, wanted);
    }

    #[test]
    fn what_a_peer_makes_up_has_no_name_of_its_own() {
        let seen = counted(&[
            ">EVIL{x=\"1\"} sip:1@a SIP/2.0\r\n\r\n",
            ">SIP/2.0 499 Own\r\nCSeq: 1 EVIL\r\n\r\n",
            ">SIP/2.0 498 Own\r\n\r\n",
            ">SIP/2.0 999 Own\r\nCSeq: 1 INVITE\r\n\r\n",
            ">SIP/2.0 abc\r\n\r\n",
            ">nonsense",
            ">",
        ]);
        assert_eq!(seen, [(false, OTHER, None, 1), (false, OTHER, Some(400), 2)]);
    }

    proptest! {
        #[test]
        fn any_bytes_are_borne_and_no_more_names_than_are_known(
            messages in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..80), 0..40),
        ) {
            let mut traffic = Traffic::default();
            for message in &messages {
                traffic.count(false, message);
                traffic.count(true, &[b"SIP/2.0 ", &message[..]].concat());
            }
            prop_assert!(traffic.iter().all(|(kind, _)| METHODS.contains(&kind.method) || kind.method == OTHER));
        }
    }
}
