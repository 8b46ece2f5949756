//! RFC 4475, message by message: what the manifest expects of a UAS is what the endpoint does.

use super::*;
use crate::protocol::sip::stream::Framer;

macro_rules! file {
    ($name:literal) => {
        ($name, include_bytes!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/rfc4475/", $name)))
    };
}

const MANIFEST: &str =
    include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/rfc4475/manifest.csv"));

const FILES: &[(&str, &[u8])] = &[
    file!("badaspec.dat"),
    file!("badbranch.dat"),
    file!("baddate.dat"),
    file!("baddn.dat"),
    file!("badinv01.dat"),
    file!("badvers.dat"),
    file!("bcast.dat"),
    file!("bext01.dat"),
    file!("bigcode.dat"),
    file!("clerr.dat"),
    file!("cparam01.dat"),
    file!("cparam02.dat"),
    file!("dblreq.dat"),
    file!("esc01.dat"),
    file!("esc02.dat"),
    file!("escnull.dat"),
    file!("escruri.dat"),
    file!("insuf.dat"),
    file!("intmeth.dat"),
    file!("inv2543.dat"),
    file!("invut.dat"),
    file!("longreq.dat"),
    file!("ltgtruri.dat"),
    file!("lwsdisp.dat"),
    file!("lwsruri.dat"),
    file!("lwsstart.dat"),
    file!("mcl01.dat"),
    file!("mismatch01.dat"),
    file!("mismatch02.dat"),
    file!("mpart01.dat"),
    file!("multi01.dat"),
    file!("ncl.dat"),
    file!("noreason.dat"),
    file!("novelsc.dat"),
    file!("quotbal.dat"),
    file!("regaut01.dat"),
    file!("regbadct.dat"),
    file!("regescrt.dat"),
    file!("scalar02.dat"),
    file!("scalarlg.dat"),
    file!("sdp01.dat"),
    file!("semiuri.dat"),
    file!("test.dat"),
    file!("transports.dat"),
    file!("trws.dat"),
    file!("unkscm.dat"),
    file!("unksm2.dat"),
    file!("unreason.dat"),
    file!("wsinv.dat"),
    file!("zeromf.dat"),
];

#[derive(Debug, PartialEq)]
enum Outcome {
    Answered(u16),
    /// A call that may be taken.
    Row,
    Dropped,
    ReadAsResponse,
}

fn outcome(bytes: &[u8]) -> Outcome {
    let response = wire::parse(bytes).and_then(Response::read);
    let mut line = endpoint(account(LINE, udp(PBX)));
    let (out, events) = ask_from(&mut line, udp(PBX), bytes);
    match &events[..] {
        [Event::Incoming { leg, invite }] => {
            assert_eq!(status(&out[0]), 100);
            let Some(fault) = &invite.fault else { return Outcome::Row };
            line.refuse(*leg, fault.status, None, start());
            let refusal = line.poll_transmit().unwrap().bytes;
            assert_eq!(status(&String::from_utf8_lossy(&refusal)), fault.status);
            Outcome::Answered(fault.status)
        }
        [Event::Dropped { .. }] if response.is_ok() => Outcome::ReadAsResponse,
        [Event::Dropped { .. }] => {
            assert_eq!(out, [""; 0]);
            Outcome::Dropped
        }
        [] => Outcome::Answered(status(&out[0])),
        other => panic!("{other:?}"),
    }
}

fn is_expected(expected: &str, outcome: &Outcome) -> bool {
    let words = |list: &[&str]| list.iter().any(|word| expected.contains(word));
    match outcome {
        // A registrar would take it; we are none.
        Outcome::Row | Outcome::Answered(200 | 405) if words(&["accept", "liberal"]) => true,
        // Well understood: it has a To tag, and we have no such dialog (§12.2.2).
        Outcome::Answered(481) => words(&["accept"]),
        Outcome::Answered(200) => words(&["processes normally", "no break"]) || expected == "parse",
        Outcome::Answered(405) if words(&["parse"]) => true,
        Outcome::Answered(status) if words(&["error"]) => *status == 400,
        Outcome::Answered(status) => expected.contains(&status.to_string()) || words(&["no break"]),
        Outcome::Row => words(&["no break"]),
        Outcome::Dropped => words(&["discard", "drop", "no break"]),
        Outcome::ReadAsResponse => words(&["parse response"]),
    }
}

#[test]
fn sig_26_each_message_has_the_outcome_of_the_manifest() {
    let mut wrong = vec![];
    let rows: Vec<_> = MANIFEST.lines().skip(1).collect();
    assert_eq!(rows.len(), FILES.len());
    for row in rows {
        let name = row.split(',').next().unwrap();
        let expected = row.split('"').nth(3).unwrap();
        let (_, bytes) = FILES.iter().find(|(file, _)| *file == name).unwrap();
        let outcome = outcome(bytes);
        if !is_expected(expected, &outcome) {
            wrong.push(format!("{name}: {outcome:?}, but: {expected}"));
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

fn bytes(name: &str) -> &'static [u8] {
    FILES.iter().find(|(file, _)| *file == name).unwrap().1
}

#[test]
fn sig_26_the_values_behind_the_verdicts() {
    let message = wire::parse(bytes("wsinv.dat")).unwrap();
    assert_eq!(message.header("subject"), Some(&b""[..]));
    assert_eq!(message.list("via").count(), 3);
    let request = Request::read(message).unwrap();
    assert_eq!(request.via.branch(), Some(&b"390skdjuw"[..]));
    assert_eq!((request.cseq, request.from_tag), (9, Some(b"98asjd8".to_vec())));
    let twice = wire::parse(bytes("dblreq.dat")).unwrap();
    assert_eq!((twice.body.len(), twice.defect), (0, None));
    let multipart = wire::parse(bytes("mpart01.dat")).unwrap();
    assert!(bytes("mpart01.dat").ends_with(&multipart.body) && multipart.body.contains(&0));
}

#[test]
fn sig_26_over_tcp_a_lie_about_the_length_waits_or_closes() {
    for (name, closes) in [("clerr.dat", false), ("ncl.dat", true), ("mcl01.dat", true)] {
        let mut framer = Framer::default();
        framer.push(bytes(name));
        assert_eq!(framer.poll().is_err(), closes, "{name}");
    }
    for (name, bytes) in FILES {
        let mut whole = Framer::default();
        whole.push(bytes);
        let mut slow = Framer::default();
        let mut frames = vec![];
        for byte in *bytes {
            slow.push(&[*byte]);
            while let Ok(Some(frame)) = slow.poll() {
                frames.push(frame);
            }
        }
        let at_once: Vec<_> = std::iter::from_fn(|| whole.poll().ok().flatten()).collect();
        assert_eq!(at_once, frames, "{name}");
    }
}
