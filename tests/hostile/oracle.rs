//! rsip as a second reader of the same bytes (reliability.md 41): what both take for a message, both read alike.

use crate::replay::{inputs, spoiled, tests};
use dutyline::protocol::random::Random;
use dutyline::protocol::sip::message::{CSeq, Request, Response};
use dutyline::protocol::sip::wire;
use rsip::prelude::{HeadersExt, UntypedHeader};
use std::panic::catch_unwind;

/// What a message says where two readers may differ.
#[derive(Debug, PartialEq, Eq)]
struct Said {
    start: String,
    call_id: String,
    cseq: (u32, String),
    from: String,
    to: String,
}

fn text(bytes: &[u8]) -> Option<String> {
    std::str::from_utf8(bytes).ok().map(|text| text.trim().to_owned())
}

/// None for what we refuse, or hand on as something that was not understood.
fn ours(bytes: &[u8]) -> Option<(Said, Vec<u8>)> {
    let message = wire::parse(bytes).ok()?;
    let (start, message) = match Request::read(message.clone()) {
        Ok(request) => {
            let bad =
                request.fault.as_ref().is_some_and(|fault| [400, 505].contains(&fault.status));
            (request.method_name.clone(), (!bad).then_some(request.wire)?)
        }
        Err(_) => {
            let response = Response::read(message).ok()?;
            (response.status.to_string(), response.wire)
        }
    };
    let header = |name| message.header(name).and_then(text);
    let cseq = CSeq::parse(message.header("cseq")?)?;
    let said = Said {
        start,
        call_id: header("call-id")?,
        cseq: (cseq.number, cseq.method),
        from: header("from")?,
        to: header("to")?,
    };
    Some((said, message.body))
}

/// None for what it refuses, and for what it falls over.
fn theirs(bytes: &[u8]) -> Option<(Said, Vec<u8>)> {
    let copy = bytes.to_vec();
    let read = catch_unwind(move || {
        let message = rsip::SipMessage::try_from(copy).ok()?;
        let start = match &message {
            rsip::SipMessage::Request(request) => request.method.to_string(),
            rsip::SipMessage::Response(response) => response.status_code.code().to_string(),
        };
        let cseq = message.cseq_header().ok()?.value().trim().to_owned();
        let (number, method) = cseq.split_once(' ')?;
        let said = Said {
            start,
            call_id: message.call_id_header().ok()?.value().trim().to_owned(),
            cseq: (number.parse().ok()?, method.trim().to_owned()),
            from: message.from_header().ok()?.value().trim().to_owned(),
            to: message.to_header().ok()?.value().trim().to_owned(),
        };
        Some((said, message.body().clone()))
    });
    read.ok().flatten()
}

/// How many were read by both, by us alone, by rsip alone.
fn compare<'a>(all: impl Iterator<Item = &'a [u8]>) -> [usize; 3] {
    let mut count = [0; 3];
    for bytes in all {
        match (ours(bytes), theirs(bytes)) {
            (Some((ours, body)), Some((theirs, rest))) => {
                count[0] += 1;
                assert_eq!(ours, theirs, "{}", String::from_utf8_lossy(bytes));
                // RFC 3261 §18.3: what a datagram has behind its body is nobody's.
                assert!(rest.starts_with(&body), "{}", String::from_utf8_lossy(bytes));
            }
            (Some(_), None) => count[1] += 1,
            (None, Some(_)) => count[2] += 1,
            (None, None) => {}
        }
    }
    count
}

#[test]
fn rel_41_what_rsip_and_we_both_take_we_read_alike() {
    let seeds = inputs(&tests().join("fuzz_corpus/message"));
    let torture: Vec<_> = ["rfc4475", "rfc5118"]
        .iter()
        .flat_map(|folder| inputs(&tests().join(folder)))
        .filter(|(path, _)| path.extension().is_some_and(|extension| extension == "dat"))
        .collect();
    let whole = seeds.iter().chain(&torture).map(|(_, bytes)| bytes.as_slice());
    let [both, ours, theirs] = compare(whole);
    println!("whole: {both} by both, {ours} by us alone, {theirs} by rsip alone");
    assert!(both >= 20 && ours > theirs);
    let mut random = Random::from_seed([42; 32]);
    let made: Vec<_> = (0..20_000).map(|_| spoiled(&seeds, &mut random)).collect();
    let [both, ours, theirs] = compare(made.iter().map(Vec::as_slice));
    println!("spoiled: {both} by both, {ours} by us alone, {theirs} by rsip alone");
    assert!(both >= 500, "{both}");
}
