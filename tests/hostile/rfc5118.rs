//! RFC 5118: SIP with IPv6. Line ends are CRLF and lengths those of the bodies, which the RFC's own
//! archive has not; else as printed there.

use crate::line::{Line, status};
use dutyline::protocol::sip::stream::{Frame, Framer};
use dutyline::protocol::sip::{Event, Transport};
use std::fs;
use std::path::PathBuf;

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/rfc5118")
}

/// A call that may be taken, or the status of the answer.
fn outcome(transport: Transport, bytes: &[u8]) -> String {
    let mut line = Line::at(transport, "[2001:db8::10]:5060", "[2001:db8::9:1]:5060");
    let bytes = match transport {
        Transport::Udp => bytes.to_vec(),
        Transport::Tcp | Transport::Tls => {
            let mut framer = Framer::default();
            framer.push(bytes);
            let Ok(Some(Frame::Message(message))) = framer.poll() else {
                return "no message on the stream".into();
            };
            assert!(!framer.is_waiting(), "nothing is left over");
            message
        }
    };
    let (out, events) = line.hear(&bytes);
    match &events[..] {
        [Event::Incoming { invite, .. }] => match &invite.fault {
            None => "accept".into(),
            Some(fault) => fault.status.to_string(),
        },
        [] => status(&out[0]).to_string(),
        other => format!("{other:?}"),
    }
}

#[test]
fn rel_38_ipv6_as_the_manifest_expects_over_udp_and_tcp() {
    let manifest = fs::read_to_string(folder().join("manifest.csv")).expect("the manifest");
    let rows: Vec<_> = manifest.lines().skip(1).collect();
    assert_eq!(rows.len(), 12);
    let mut wrong = vec![];
    for row in rows {
        let name = row.split(',').next().expect("a name");
        let expected = row.split('"').nth(3).expect("an expectation");
        let bytes = fs::read(folder().join(name)).expect("the message");
        for transport in [Transport::Udp, Transport::Tcp] {
            let outcome = outcome(transport, &bytes);
            if !expected.split([' ', ';']).any(|word| word == outcome) {
                wrong.push(format!("{name} by {}: {outcome}, but: {expected}", transport.name()));
            }
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}
