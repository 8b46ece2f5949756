//! Session descriptions: what is read, what is written, what is refused.

use super::*;
use proptest::prelude::*;

const LOCAL: Local = Local {
    address: IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 9)),
    port: 20_000,
    session_id: 77,
    version: 1,
    srtp: Policy::Off,
    key: MasterKey([7; 30]),
    places: Places::NONE,
};

/// What is offered to everybody behind the rest, where it is built in.
const LAST: &str = if cfg!(feature = "opus") { " 111" } else { "" };

fn sdp(audio: &str) -> Vec<u8> {
    format!("v=0\r\no=- 1 2 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\n{audio}")
        .into_bytes()
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

#[test]
fn the_peers_order_of_codecs_holds() {
    let session = parse(&sdp("m=audio 4000 RTP/AVP 18 0 8 101\r\na=rtpmap:18 G729/8000\r\na=rtpmap:101 telephone-event/8000\r\n")).unwrap();
    let codecs = [(Codec::Pcmu, 0), (Codec::Pcma, 8), (Codec::G729, 18)];
    assert_eq!(session.codecs(), codecs, "what cannot be recorded comes last");
    assert_eq!(session.event_pt(), Some(101));
    assert_eq!(session.stream().codec, Codec::Pcmu);
    assert_eq!(session.stream_for(Codec::Pcma).unwrap().audio_pt, 8);
    assert_eq!(session.remote(), "192.0.2.1:4000".parse().unwrap());
    assert!(session.stream().send);
}

#[test]
fn dynamic_payload_types_and_event_clock_rates_are_read() {
    let body = "m=audio 4000 RTP/AVP 97 98 110\r\na=rtpmap:97 pcma/8000/1\r\na=rtpmap:98 telephone-event/48000\r\na=rtpmap:110 telephone-event/8000\r\n";
    let session = parse(&sdp(body)).unwrap();
    assert_eq!(session.codecs(), [(Codec::Pcma, 97)]);
    assert_eq!(session.event_pt(), Some(110));
}

#[test]
fn a_static_payload_type_that_is_mapped_elsewhere_is_not_g711() {
    let session = parse(&sdp("m=audio 4000 RTP/AVP 8 0\r\na=rtpmap:8 L16/8000\r\n")).unwrap();
    assert_eq!(session.codecs(), [(Codec::Pcmu, 0), (Codec::Unknown, 8)]);
}

#[test]
fn every_manner_of_hold_is_a_hold() {
    for (body, held) in [
        ("m=audio 4000 RTP/AVP 8\r\na=sendrecv\r\n", false),
        ("m=audio 4000 RTP/AVP 8\r\na=recvonly\r\n", false),
        ("m=audio 4000 RTP/AVP 8\r\na=sendonly\r\n", true),
        ("m=audio 4000 RTP/AVP 8\r\na=inactive\r\n", true),
        ("m=audio 4000 RTP/AVP 8\r\nc=IN IP4 0.0.0.0\r\n", true),
    ] {
        let session = parse(&sdp(body)).unwrap();
        assert_eq!(session.held(), held, "{body}");
        assert_eq!(session.stream().send, !held, "{body}");
    }
}

#[test]
fn a_direction_of_the_session_counts_where_the_media_has_none() {
    let session = parse(
        b"v=0\no=- 1 2 IN IP4 192.0.2.1\nc=IN IP4 192.0.2.1\na=inactive\nm=audio 4000 RTP/AVP 8\n",
    )
    .unwrap();
    assert_eq!(session.direction, Direction::Inactive);
    assert_eq!(session.direction.reversed(), Direction::Inactive);
}

#[test]
fn the_officer_is_offered_what_the_caller_offered() {
    let caller =
        parse(&sdp("m=audio 4000 RTP/AVP 9 0 8 96\r\na=rtpmap:96 telephone-event/8000\r\n"))
            .unwrap();
    let offer = offer_for(&LOCAL, &caller, Direction::SendRecv);
    let line = format!("m=audio 20000 RTP/AVP 9 0 8{LAST} 96\r\n");
    assert!(text(&offer).contains(&line), "{}", text(&offer));
    let read = parse(&offer).unwrap();
    assert_eq!(read.codecs()[..3], caller.codecs());
    assert_eq!(read.event_pt(), Some(96));
    assert_eq!((read.id.as_str(), read.version), ("77", 1));
}

#[test]
fn keys_are_offered_to_the_officer_even_if_the_caller_has_none() {
    let caller = parse(&sdp("m=audio 4000 RTP/AVP 101\r\na=rtpmap:101 PCMA/8000\r\n")).unwrap();
    let read = parse(&offer_for(&LOCAL, &caller, Direction::SendRecv)).unwrap();
    assert_eq!(read.codecs()[0], (Codec::Pcma, 101));
    assert_eq!(read.event_pt(), Some(102), "101 is taken by the codec");
}

#[test]
fn the_answer_carries_the_chosen_codec_and_refuses_other_media() {
    let body = "m=video 5000 RTP/AVP 96 97\r\na=rtpmap:96 H264/90000\r\nm=audio 4000 RTP/AVP 0 8 101\r\na=rtpmap:101 telephone-event/8000\r\nm=audio 6000 RTP/AVP 8\r\n";
    let caller = parse(&sdp(body)).unwrap();
    let answer =
        answer(&LOCAL, &caller, &caller.stream_for(Codec::Pcma).unwrap(), Direction::SendRecv);
    let lines: Vec<&str> = text(&answer).lines().filter(|line| line.starts_with("m=")).collect();
    assert_eq!(
        lines,
        ["m=video 0 RTP/AVP 96 97", "m=audio 20000 RTP/AVP 8 101", "m=audio 0 RTP/AVP 8"]
    );
    assert_eq!(parse(&answer).unwrap().codecs(), [(Codec::Pcma, 8)]);
}

#[test]
fn a_changed_description_counts_its_version_up() {
    let again = offer(&LOCAL.next(), &CODECS, Some(EVENT_PT), Direction::SendOnly);
    let session = parse(&again).unwrap();
    assert_eq!((session.id.as_str(), session.version), ("77", 2));
    assert_eq!(session.direction, Direction::SendOnly);
    assert_eq!(session.ptime_ms, Some(20));
}

#[test]
fn what_cannot_be_taken_is_refused_with_488() {
    for (body, fault) in [
        ("", SdpFault::NoAudio),
        ("m=audio 0 RTP/AVP 8\r\n", SdpFault::NoAudio),
        ("m=image 4000 udptl t38\r\n", SdpFault::NoAudio),
        ("m=audio 4000 RTP/AVP 13 50\r\n", SdpFault::NoCodec),
        ("m=audio 4000 RTP/AVP 8\r\na=ptime:5\r\n", SdpFault::Ptime(5)),
        ("m=audio 4000 RTP/AVP 8\r\na=ptime:120\r\n", SdpFault::Ptime(120)),
        ("m=audio 4000 RTP/SAVP 8\r\n", SdpFault::Encrypted),
        ("m=audio 4000 RTP/AVP 8\r\nc=IN IP4 gateway.example\r\n", SdpFault::NoAddress),
        ("m=audio 4000 RTP/AVP 8\r\nc=IN IP4 224.0.1.1/127\r\n", SdpFault::NoAddress),
    ] {
        let found = LOCAL.read(&sdp(body)).unwrap_err();
        assert_eq!(found, fault, "{body}");
        assert_eq!(found.status(), 488);
    }
}

#[test]
fn what_cannot_be_read_is_refused_with_400() {
    assert_eq!(parse(b"").unwrap_err().status(), 400);
    assert_eq!(parse(b"v=1\r\n").unwrap_err().status(), 400);
    assert_eq!(parse(&sdp("m=audio many RTP/AVP 8\r\n")).unwrap_err().status(), 400);
    assert_eq!(
        parse(&sdp(&"m=audio 4000 RTP/AVP 8\r\n".repeat(9))).unwrap_err(),
        SdpFault::TooMany("media lines")
    );
    let attributes = "a=candidate:1\r\n".repeat(65);
    assert_eq!(
        parse(&sdp(&format!("m=audio 4000 RTP/AVP 8\r\n{attributes}"))).unwrap_err(),
        SdpFault::TooMany("attributes")
    );
    assert_eq!(parse(&vec![b'a'; clean::BYTES_MAX + 1]).unwrap_err(), SdpFault::TooMany("bytes"));
}

#[test]
fn faults_of_real_senders_are_forgiven() {
    let body = b"v=0\r\no=duty \xd6\xb5 room 5 6 IN IP4 192.0.2.1\r\ns=\xb0\xe0\r\ni=x\r\ni=y\r\nc=IN IP4 192.0.2.1\r\nc=IN IP4 192.0.2.2\r\nnonsense\r\nm=audio  4000 RTP/AVP  8\r\na=x\0y:\xff\r\n";
    let session = parse(body).unwrap();
    assert_eq!((session.id.as_str(), session.version), ("5", 6));
    assert_eq!(session.remote(), "192.0.2.1:4000".parse().unwrap());
    let no_origin =
        parse(b"v=0\no=broken\nc=IN IP6 2001:db8::1\nm=audio 4000 RTP/AVP 8\n").unwrap();
    assert_eq!(no_origin.remote(), "[2001:db8::1]:4000".parse().unwrap());
}

#[test]
fn an_ipv6_line_says_so() {
    let local = Local { address: "2001:db8::9".parse().unwrap(), ..LOCAL };
    let bytes = offer(&local, &CODECS, None, Direction::SendRecv);
    assert!(text(&bytes).contains("c=IN IP6 2001:db8::9\r\n"));
    assert!(text(&bytes).contains("m=audio 20000 RTP/AVP 8 0\r\n"));
}

#[test]
fn t19_ptimes_from_10_to_60_are_taken_and_handed_on() {
    for ptime in [10, 20, 30, 40, 60] {
        let body = format!("m=audio 4000 RTP/AVP 8\r\na=ptime:{ptime}\r\n");
        let session = parse(&sdp(&body)).unwrap();
        let line = format!("a=ptime:{ptime}\r\n");
        assert!(text(&offer_for(&LOCAL, &session, Direction::SendRecv)).contains(&line));
        assert!(
            text(&answer(&LOCAL, &session, &session.stream(), Direction::SendRecv)).contains(&line)
        );
    }
}

#[test]
fn what_is_only_passed_on_keeps_its_name_and_parameters() {
    let body = "m=audio 4000 RTP/AVP 18 97 101\r\na=fmtp:18 annexb=no\r\na=rtpmap:97 AMR/8000/1\r\na=fmtp:97 octet-align=1; mode-set=7\r\na=rtpmap:101 telephone-event/8000\r\n";
    let caller = parse(&sdp(body)).unwrap();
    let offered = offer_for(&LOCAL, &caller, Direction::SendRecv);
    for line in [
        "m=audio 20000 RTP/AVP 18 97 101\r\n",
        "a=rtpmap:18 G729/8000\r\n",
        "a=fmtp:18 annexb=no\r\n",
        "a=rtpmap:97 AMR/8000\r\n",
        "a=fmtp:97 octet-align=1; mode-set=7\r\n",
    ] {
        assert!(text(&offered).contains(line), "{line} in {}", text(&offered));
    }
    let officer = parse(&sdp("m=audio 5000 RTP/AVP 98\r\na=rtpmap:98 amr/8000\r\n")).unwrap();
    let (at_officer, at_caller) = officer.common(&caller).unwrap();
    assert_eq!((at_officer.codec, at_officer.audio_pt), (Codec::Unknown, 98));
    assert_eq!((at_caller.codec, at_caller.audio_pt), (Codec::Unknown, 97));
    let answered = answer(&LOCAL, &caller, &at_caller, Direction::SendRecv);
    assert!(text(&answered).contains("m=audio 20000 RTP/AVP 97 101\r\n"), "{}", text(&answered));
    assert!(text(&answered).contains("a=fmtp:97 octet-align=1; mode-set=7\r\n"));
    assert!(
        parse(&sdp("m=audio 5000 RTP/AVP 98\r\na=rtpmap:98 AMR-WB/16000\r\n"))
            .unwrap()
            .common(&caller)
            .is_none()
    );
}

#[test]
fn g711_is_offered_beside_g722_and_what_can_be_recorded_first() {
    let caller = parse(&sdp("m=audio 4000 RTP/AVP 18 9\r\n")).unwrap();
    let offered = offer_for(&LOCAL, &caller, Direction::SendRecv);
    let line = format!("m=audio 20000 RTP/AVP 9 8 0{LAST} 18 101\r\n");
    assert!(text(&offered).contains(&line), "{}", text(&offered));
}

#[test]
fn sig_19_a_phone_is_offered_what_can_be_turned_into_the_callers_codec() {
    let only = |pt: u8| format!("m=audio 4000 RTP/AVP {pt}\r\n");
    let a_law = parse(&sdp(&only(8))).unwrap();
    let offered = offer_for(&LOCAL, &a_law, Direction::SendRecv);
    let line = format!("m=audio 20000 RTP/AVP 8 0 9{LAST} 101\r\n");
    assert!(text(&offered).contains(&line), "its own first: {}", text(&offered));
    for pt in [0, 9] {
        let phone = parse(&sdp(&only(pt))).unwrap();
        let (at_phone, at_caller) = phone.beside(&a_law).unwrap();
        assert_eq!((at_phone.audio_pt, at_caller.audio_pt), (pt, 8));
    }
    let g729 = parse(&sdp(&only(18))).unwrap();
    let offered = offer_for(&LOCAL, &g729, Direction::SendRecv);
    assert!(text(&offered).contains("RTP/AVP 18 101\r\n"), "nothing can be turned into it");
    assert!(a_law.beside(&g729).is_none());
    let taken = "m=audio 4000 RTP/AVP 8 0 101\r\na=rtpmap:0 AMR/8000\r\na=rtpmap:101 telephone-event/8000\r\n";
    let offered = offer_for(&LOCAL, &parse(&sdp(taken)).unwrap(), Direction::SendRecv);
    let line = format!("RTP/AVP 8 9{LAST} 0 101\r\n");
    assert!(text(&offered).contains(&line), "no type means two things: {}", text(&offered));
}

#[test]
fn sig_19_beside_a_codec_it_comes_first_and_g711_is_always_there() {
    let beside = |codec| codecs_beside(codec).into_iter().map(|(_, pt)| pt).collect::<Vec<u8>>();
    assert_eq!(beside(None), [8, 0]);
    assert_eq!(beside(Some(Codec::Pcmu)), [0, 8]);
    assert_eq!(beside(Some(Codec::G722)), [9, 8, 0]);
    assert_eq!(beside(Some(Codec::G729)), [8, 0]);
}

#[cfg(feature = "opus")]
#[test]
fn sig_19_opus_is_turned_only_where_nothing_else_is_left() {
    let opus = "a=rtpmap:111 opus/48000/2\r\n";
    let both = parse(&sdp(&format!("m=audio 4000 RTP/AVP 111 0\r\n{opus}"))).unwrap();
    let only = parse(&sdp(&format!("m=audio 4000 RTP/AVP 111\r\n{opus}"))).unwrap();
    let a_law = parse(&sdp("m=audio 4000 RTP/AVP 8\r\n")).unwrap();
    let types = |pair: (Stream, Stream)| (pair.0.audio_pt, pair.1.audio_pt);
    assert_eq!(types(both.beside(&a_law).unwrap()), (0, 8));
    assert_eq!(types(only.beside(&a_law).unwrap()), (111, 8));
    assert_eq!(types(only.beside(&both).unwrap()), (111, 111));
    assert_eq!(both.spoken().unwrap().codec, Codec::Pcmu);
}

#[test]
fn sig_22_keys_go_by_the_clock_of_the_codec() {
    let body = "m=audio 4000 RTP/AVP 111 8 96 101\r\na=rtpmap:111 opus/48000/2\r\na=rtpmap:96 telephone-event/48000\r\na=rtpmap:101 telephone-event/8000\r\n";
    let session = parse(&sdp(body)).unwrap();
    let stream = |codec| session.stream_for(codec).unwrap();
    assert_eq!((stream(Codec::Opus).event_pt, stream(Codec::Opus).event_clock), (Some(96), 48_000));
    assert_eq!((stream(Codec::Pcma).event_pt, stream(Codec::Pcma).event_clock), (Some(101), 8000));
    let answered = answer(&LOCAL, &session, &stream(Codec::Opus), Direction::SendRecv);
    assert!(text(&answered).contains("a=rtpmap:96 telephone-event/48000\r\n"));
    let only = "m=audio 4000 RTP/AVP 111 101\r\na=rtpmap:111 opus/48000/2\r\na=rtpmap:101 telephone-event/8000\r\n";
    let stream = parse(&sdp(only)).unwrap().stream_for(Codec::Opus).unwrap();
    assert_eq!((stream.event_pt, stream.event_clock), (Some(101), 8000));
}

#[test]
fn rtcp_on_its_own_port_or_beside_the_voice_is_neither_asked_for_nor_minded() {
    let body = "m=audio 4000 RTP/AVP 8\r\na=rtcp:4711 IN IP4 192.0.2.1\r\na=rtcp-mux\r\na=rtcp-fb:* nack\r\n";
    let session = parse(&sdp(body)).unwrap();
    assert_eq!(session.remote(), "192.0.2.1:4000".parse().unwrap());
    let answered = answer(&LOCAL, &session, &session.stream(), Direction::SendRecv);
    assert!(!text(&answered).contains("rtcp"), "RFC 5761 §5.1.1: not in the answer is a refusal");
}

const KEY: &str = "AQIDBAUGBwgJCgsMDQ4PEBESExQVFhcYGRobHB0e";

fn with_crypto(proto: &str, lines: &[&str]) -> Vec<u8> {
    let lines: String = lines.iter().map(|line| format!("a=crypto:{line}\r\n")).collect();
    sdp(&format!("m=audio 4000 {proto} 8\r\n{lines}"))
}

fn local(srtp: Policy) -> Local {
    Local { srtp, ..LOCAL }
}

#[test]
fn sig_20_sdes_is_agreed_on_by_both_sides_or_refused_and_never_falls_back() {
    let line = format!("4 AES_CM_128_HMAC_SHA1_80 inline:{KEY}|2^31");
    let savp = with_crypto("RTP/SAVP", &["1 F8_128_HMAC_SHA1_80 inline:x", &line]);
    let opportunistic = with_crypto("RTP/AVP", &[&line]);
    let plain = sdp("m=audio 4000 RTP/AVP 8\r\n");
    let bare = with_crypto("RTP/SAVP", &[]);
    let agreed = |srtp, offer: &[u8]| local(srtp).read(offer).map(|session| session.is_encrypted());
    assert_eq!(agreed(Policy::Off, &savp), Err(SdpFault::Encrypted));
    assert_eq!(agreed(Policy::Off, &opportunistic), Ok(false));
    assert_eq!(agreed(Policy::Off, &plain), Ok(false));
    assert_eq!(agreed(Policy::Offer, &savp), Ok(true));
    assert_eq!(agreed(Policy::Offer, &opportunistic), Ok(true));
    assert_eq!(agreed(Policy::Offer, &plain), Ok(false));
    assert_eq!(agreed(Policy::Require, &savp), Ok(true));
    assert_eq!(agreed(Policy::Require, &opportunistic), Err(SdpFault::Unencrypted));
    assert_eq!(agreed(Policy::Require, &plain), Err(SdpFault::Unencrypted));
    for srtp in [Policy::Offer, Policy::Require] {
        assert!(matches!(agreed(srtp, &bare), Err(SdpFault::NoCrypto(_))), "never without a key");
    }
}

#[test]
fn sig_20_sdes_two_of_us_agree_and_each_encrypts_with_its_own_key() {
    let (one, mut other) = (local(Policy::Require), local(Policy::Require));
    other.key = MasterKey([9; 30]);
    let offered = offer(&one, &CODECS, None, Direction::SendRecv);
    assert!(text(&offered).contains("m=audio 20000 RTP/SAVP 8 0\r\n"), "{}", text(&offered));
    let read = other.read(&offered).unwrap();
    let keys = read.stream().srtp.unwrap();
    assert_eq!((keys.ours, keys.theirs), (other.key, one.key));
    let answered = answer(&other, &read, &read.stream(), Direction::SendRecv);
    assert!(text(&answered).contains("m=audio 20000 RTP/SAVP 8\r\n"), "{}", text(&answered));
    let keys = one.read(&answered).unwrap().stream().srtp.unwrap();
    assert_eq!((keys.ours, keys.theirs), (one.key, other.key));
    let wished = offer(&local(Policy::Offer), &CODECS, None, Direction::SendRecv);
    assert!(text(&wished).contains("RTP/AVP 8 0\r\n") && text(&wished).contains("a=crypto:1 "));
    let read = local(Policy::Off).read(&wished).unwrap();
    let refused = answer(&local(Policy::Off), &read, &read.stream(), Direction::SendRecv);
    assert!(!text(&refused).contains("crypto"));
}

#[test]
fn sig_20_sdes_the_answer_names_the_line_that_was_taken() {
    let mine = format!("7 AES_CM_128_HMAC_SHA1_80 inline:{KEY}|2^20 WSH=64");
    let offer =
        with_crypto("RTP/SAVP", &[&format!("3 AES_CM_128_HMAC_SHA1_32 inline:{KEY}"), &mine]);
    let local = local(Policy::Offer);
    let read = local.read(&offer).unwrap();
    let answered = answer(&local, &read, &read.stream(), Direction::SendRecv);
    assert!(
        text(&answered).contains("a=crypto:7 AES_CM_128_HMAC_SHA1_80 inline:"),
        "{}",
        text(&answered)
    );
}

#[test]
fn sig_20_sdes_lines_that_cannot_be_used_say_why() {
    for (line, why) in [
        (format!("1 AES_CM_128_HMAC_SHA1_32 inline:{KEY}"), "only AES"),
        (format!("1 AES_CM_128_HMAC_SHA1_80 inline:{KEY}|2^31|1:4"), "MKI"),
        (format!("1 AES_CM_128_HMAC_SHA1_80 inline:{KEY}|1:4"), "MKI"),
        (format!("1 AES_CM_128_HMAC_SHA1_80 inline:{KEY};inline:{KEY}"), "second key"),
        (format!("1 AES_CM_128_HMAC_SHA1_80 inline:{KEY} UNENCRYPTED_SRTP"), "parameter"),
        ("1 AES_CM_128_HMAC_SHA1_80 inline:AQID".to_owned(), "malformed"),
        ("1 AES_CM_128_HMAC_SHA1_80".to_owned(), "malformed"),
        (format!("x AES_CM_128_HMAC_SHA1_80 inline:{KEY}"), "malformed"),
    ] {
        let fault = local(Policy::Require).read(&with_crypto("RTP/SAVP", &[&line])).unwrap_err();
        assert!(fault.to_string().contains(why), "{line}: {fault}");
        assert_eq!(fault.status(), 488);
    }
}

#[test]
fn sig_20_sdes_keys_are_never_shown() {
    let session = local(Policy::Offer)
        .read(&with_crypto("RTP/SAVP", &[&format!("1 AES_CM_128_HMAC_SHA1_80 inline:{KEY}|2^31")]))
        .unwrap();
    let bytes = format!("{:?}", [1, 2, 3, 4, 5, 6]);
    for shown in [format!("{session:?}"), format!("{:?}", session.stream()), format!("{LOCAL:?}")] {
        assert!(!shown.contains(KEY) && !shown.contains(bytes.trim_matches(['[', ']'])), "{shown}");
    }
    let message =
        with_crypto("RTP/SAVP", &[&format!("1 AES_CM_128_HMAC_SHA1_80 INLINE:{KEY}|2^31 X")]);
    let shown = without_keys(&message);
    assert!(!text(&shown).contains(&KEY[..8]));
    assert!(text(&shown).ends_with("INLINE:*** X\r\n"), "{}", text(&shown));
    assert_eq!(without_keys(b"v=0 inline:"), b"v=0 inline:***");
}

proptest! {
    #[test]
    fn no_bytes_make_the_parser_panic(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        let _ = parse(&bytes);
    }

    #[test]
    fn what_is_parsed_can_be_answered(
        port in 1u16..,
        order in prop::sample::subsequence(vec!["0", "8", "18", "9", "101"], 1..5),
        cut in 0usize..300,
        noise in any::<u8>(),
    ) {
        let mut bytes = sdp(&format!("m=audio {port} RTP/AVP {}\r\na=rtpmap:101 telephone-event/8000\r\n", order.join(" ")));
        let at = cut % bytes.len();
        bytes[at] = noise;
        if let Ok(session) = parse(&bytes) {
            let answer = answer(&LOCAL, &session, &session.stream(), session.direction.reversed());
            let read = parse(&answer).unwrap();
            prop_assert_eq!(read.stream().codec, session.stream().codec);
        }
    }
}
