//! Short seeds of each kind, written for this house: SIP, SDP, RTP, RTCP, SDES, SRTP. Each goes through what reads its
//! kind, whole, cut at every byte and with every byte spoiled.

use crate::line::worked;
use crate::targets;
use dutyline::protocol::rtp::srtp::{Guard, Keys, MasterKey, TAG};
use std::time::Duration;

/// What one seed may take with all that is made of it, in a debug build.
const LONGEST: Duration = Duration::from_secs(20);

const HEAD: &str = "Via: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bKs\r\nFrom: <sip:a@b>;tag=1\r\n\
                    To: <sip:101@192.0.2.10>\r\nCall-ID: s\r\nMax-Forwards: 70\r\n";

fn sip() -> Vec<Vec<u8>> {
    let message = |first: &str, rest: &str| format!("{first}\r\n{HEAD}{rest}\r\n").into_bytes();
    let sip = "sip:101@192.0.2.10 SIP/2.0";
    vec![
        message(&format!("OPTIONS {sip}"), "CSeq: 1 OPTIONS\r\n"),
        message(&format!("INVITE {sip}"), "CSeq: 2147483647 INVITE\r\nContact: <sip:a@b>\r\n"),
        message(&format!("INVITE {sip}"), "CSeq: 4294967296 INVITE\r\nExpires: 99999999999\r\n"),
        message(&format!("REFER {sip}"), "CSeq: 1 REFER\r\nRefer-To: <tel:1;x=\"?>\r\n"),
        message("SIP/2.0 200 OK", "CSeq: 1 INVITE\r\nRSeq: 0\r\nRequire: 100rel\r\n"),
        message("SIP/2.0 401 No", "CSeq: 1 REGISTER\r\nWWW-Authenticate: Digest a=\",\\\"\r\n"),
        message(&format!("INFO {sip}"), "CSeq: 1 INFO\r\nl: 9\r\nc: application/dtmf-relay\r\n"),
        message(&format!("BYE {sip}"), "CSeq: 0 BYE\r\nReason: SIP;cause=;text=\"\r\n \r\n"),
    ]
}

fn described(lines: &[&str]) -> Vec<u8> {
    let head = ["v=0", "o=- 1 1 IN IP4 192.0.2.1", "s=-", "c=IN IP4 192.0.2.1", "t=0 0"];
    let all = head.iter().chain(lines).map(|line| format!("{line}\r\n"));
    all.collect::<String>().into_bytes()
}

fn sdp() -> Vec<Vec<u8>> {
    vec![
        described(&["m=audio 4000 RTP/AVP 8 101", "a=rtpmap:101 telephone-event/8000"]),
        described(&["m=audio 65535/2 RTP/AVP 127", "a=rtpmap:127 opus/48000/2", "a=ptime:0"]),
        described(&["m=audio 0 RTP/AVP 8", "m=audio 1 RTP/AVP 8", "a=sendonly", "a=inactive"]),
        described(&["m=audio 4000 RTP/AVP 8", "c=IN IP6 ::ffff:0:0", "a=fmtp:101 0-15,=;"]),
        described(&["m=audio 4000 UDP/TLS/RTP/SAVPF 8", "a=setup:actpass", "a=fingerprint:x"]),
    ]
}

fn sdes() -> Vec<Vec<u8>> {
    let crypto = |line: &str| described(&["m=audio 4000 RTP/SAVP 8", line]);
    let key = "inline:MTIzNDU2Nzg5MDEyMzQ1Njc4OTAxMjM0NTY3ODkw";
    vec![
        crypto(&format!("a=crypto:1 AES_CM_128_HMAC_SHA1_80 {key}")),
        crypto(&format!("a=crypto:999999999 AES_CM_128_HMAC_SHA1_80 {key}|2^48|1:4")),
        crypto("a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:"),
        crypto("a=crypto:1 F8_128_HMAC_SHA1_80 inline:AAAA|2^20|1:999 KDR=24 WSH=64"),
        crypto("a=crypto:0 AES_CM_128_HMAC_SHA1_32 inline:====|2^99;inline:"),
    ]
}

fn rtp() -> Vec<Vec<u8>> {
    let voice = |first: u8, kind: u8, rest: &[u8]| {
        let numbers = [255, 255, 255, 255, 255, 255, 0, 0, 0, 9];
        [&[first, kind][..], &numbers, rest].concat()
    };
    vec![
        voice(0x80, 8, &[0xd5; 160]),
        voice(0x8f, 8, &[0; 60]),
        voice(0x90, 0x88, &[0xbe, 0xde, 0xff, 0xff, 0x10, 0]),
        voice(0xa0, 8, &[1, 2, 3, 255]),
        voice(0x80, 101, &[9, 0x8a, 255, 255]),
        voice(0x80, 13, &[]),
    ]
}

fn rtcp() -> Vec<Vec<u8>> {
    let sender = [0x81, 200, 0, 12, 0, 0, 0, 9];
    vec![
        [&sender[..], &[0xff; 44]].concat(),
        vec![0x81, 201, 0, 7, 0, 0, 0, 9, 0, 0, 0, 1, 255, 128, 0, 0],
        vec![0x9f, 202, 255, 255, 0, 0, 0, 9, 1, 255],
        vec![0x81, 203, 0, 1, 0, 0, 0, 9, 0x80, 207, 0, 3, 0, 0, 0, 9, 1, 0, 0, 1, 0, 0, 0, 0],
        vec![0x8f, 206, 0, 2, 0, 0, 0, 9, 0, 0, 0, 1],
    ]
}

fn keys() -> Keys {
    Keys { ours: MasterKey([7; 30]), theirs: MasterKey([7; 30]) }
}

/// What can be opened was closed with this key, and is what it was.
fn srtp_target(bytes: &[u8]) {
    let mut guard = Guard::new(keys());
    for _ in 0..2 {
        let mut packet = bytes.to_vec();
        if let Ok(length) = guard.open(&mut packet) {
            assert_eq!(length + TAG, bytes.len());
        }
    }
}

fn srtp() -> Vec<Vec<u8>> {
    // A guard sends no number twice, and these have one and the same.
    let closed = |packet: Vec<u8>| {
        let mut guard = Guard::new(keys());
        let length = packet.len();
        let mut buffer = [packet, vec![0; TAG]].concat();
        guard.close(&mut buffer, length).map(|length| buffer[..length].to_vec())
    };
    rtp().into_iter().filter_map(closed).chain([vec![0x80; 22], vec![0; 10]]).collect()
}

fn spoiled(name: &str, seeds: Vec<Vec<u8>>, target: targets::Target) {
    assert!(seeds.len() >= 5, "{name}");
    for (n, seed) in seeds.iter().enumerate() {
        let begin = worked();
        target(seed);
        for cut in 0..seed.len() {
            target(&seed[..cut]);
        }
        for at in 0..seed.len() {
            for spoil in [0x80, 0xff] {
                let mut other = seed.clone();
                other[at] ^= spoil;
                target(&other);
            }
        }
        assert!(worked() - begin < LONGEST, "{name} {n} took {:?}", worked() - begin);
    }
}

#[test]
fn rel_40_seeds_of_sip_cut_and_spoiled_break_nothing() {
    spoiled("sip", sip(), targets::message);
    spoiled("sip in a stream", sip(), targets::framer);
}

#[test]
fn rel_40_seeds_of_sdp_and_sdes_cut_and_spoiled_break_nothing() {
    spoiled("sdp", sdp(), targets::session_description);
    spoiled("sdes", sdes(), targets::session_description);
}

#[test]
fn rel_40_seeds_of_rtp_and_rtcp_cut_and_spoiled_break_nothing() {
    spoiled("rtp", rtp(), targets::rtp);
    spoiled("rtcp", rtcp(), targets::rtcp);
}

/// One bit of it changed, and it is nobody's.
#[test]
fn rel_40_seeds_of_srtp_cut_and_spoiled_break_nothing_and_open_nowhere() {
    let seeds = srtp();
    spoiled("srtp", seeds.clone(), srtp_target);
    for seed in seeds.iter().filter(|seed| Guard::new(keys()).open(&mut (*seed).clone()).is_ok()) {
        for at in 0..seed.len() {
            let mut other = seed.clone();
            other[at] ^= 1;
            assert!(Guard::new(keys()).open(&mut other).is_err(), "byte {at}");
        }
    }
}
