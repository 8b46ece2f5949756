//! The bug classes of SIP, RTP and web stacks, each with the tests that hold it; scanners, and keys of strangers.

use crate::line::{Line, peer, status};
use dutyline::protocol::now::Mono;
use dutyline::protocol::random::Random;
use dutyline::protocol::rtp::relay::{Relay, Verdict};
use dutyline::protocol::rtp::{self, Channel, Command, Party, Stream};
use dutyline::protocol::sdp;
use dutyline::protocol::sip::digest::Algorithm;
use dutyline::protocol::sip::phones::{Network, Phone, Plan};
use dutyline::protocol::sip::{Event, Transport};
use std::fs;
use std::path::Path;
use std::time::Duration;

/// Number and name of the class, and tests that would fail if it were ours.
const CLASSES: [(u8, &str, &[&str]); 26] = [
    (
        1,
        "overflow in a header",
        &[
            "rel_39_every_anomaly_in_every_place_and_the_next_options_gets_200_over_udp",
            "rel_20_numbers_near_2_to_the_31",
        ],
    ),
    (
        2,
        "multipart",
        &[
            "section_8_2_3_and_21_4_bodies_we_cannot_read",
            "rfc_5621_a_description_is_found_beside_what_trunks_add",
            "whatever_a_multipart_lies_about_is_no_description_and_no_endless_work",
            "rel_42_multiparts_of_trunks_on_both_legs",
        ],
    ),
    (
        3,
        "session description",
        &[
            "t19_ptimes_from_10_to_60_are_taken_and_handed_on",
            "what_cannot_be_taken_is_refused_with_488",
            "what_cannot_be_read_is_refused_with_400",
        ],
    ),
    (
        4,
        "digest",
        &["rel_04_stale_for_ever_is_answered_twice", "what_cannot_be_answered_is_no_challenge"],
    ),
    (
        5,
        "digest leak",
        &[
            "sig_29_a_wrong_realm_or_a_wrong_source_sees_no_credentials",
            "sig_29_a_bye_is_proved_to_the_pbx_and_not_to_a_foreign_contact",
            "sig_29_nothing_within_a_session_is_proved_to_a_foreign_contact",
            "rel_42_a_phone_that_challenges_our_call_is_shown_no_password",
        ],
    ),
    (
        6,
        "methods of nobody",
        &[
            "sig_27_every_method_from_a_stranger_is_dropped_and_counted",
            "sig_27_methods_we_do_not_serve",
        ],
    ),
    (7, "mistaken identity", &["what_lets_two_parsers_disagree_is_a_defect"]),
    (8, "control characters", &["rel_controls_and_direction_marks_never_reach_a_reader"]),
    (
        9,
        "RTP bleed",
        &[
            "rel_08_a_spray_on_the_live_ports_changes_nothing_and_gets_nothing",
            "rel_t10_one_source_at_a_time",
            "rel_t11_a_telephone_that_is_heard_is_robbed_by_nobody",
        ],
    ),
    (
        10,
        "RTP and RTCP state",
        &[
            "rel_20_uptimes_where_counters_of_others_wrapped",
            "rel_t10_reports_of_strangers_are_counted_and_change_nothing",
            "hostile_packets_break_nothing",
        ],
    ),
    (
        11,
        "SRTP downgrade",
        &[
            "sig_20_sdes_is_agreed_on_by_both_sides_or_refused_and_never_falls_back",
            "sig_20_sdes_is_not_given_up_by_a_reinvite_and_takes_a_new_key",
        ],
    ),
    (12, "DTLS", &["rel_42_dtls_is_not_spoken_here"]),
    (
        13,
        "floods",
        &[
            "sig_31_a_flood_of_calls_beside_a_call",
            "rel_13_a_flood_is_bounded_leaves_room_for_us_and_drains",
            "rel_06_a_thousand_a_second_of_each_other_message_beside_a_recorded_call",
        ],
    ),
    (14, "connections", &["rel_09_a_thousand_idle_connections_do_not_keep_the_line_from_its_work"]),
    (
        15,
        "framing",
        &[
            "rel_15_a_stream_that_lies_about_its_length_is_over",
            "sig_33_a_streams_cost_is_linear_however_it_comes",
        ],
    ),
    (
        16,
        "where we are sent",
        &[
            "rel_16_the_next_hop_is_somebody_we_trust",
            "rel_16_requests_follow_the_route_only_to_addresses_we_trust",
        ],
    ),
    (
        17,
        "DNS",
        &[
            "rel_22_the_last_good_address_stays_in_use",
            "rel_22_a_first_start_without_dns_waits_for_it",
        ],
    ),
    (
        18,
        "refresh timers",
        &[
            "rel_18_a_grant_of_nothing_is_a_failure",
            "section_10_2_8_a_brief_interval_is_raised_once",
        ],
    ),
    (19, "events out of order", &["sig_32_storms_leave_no_session_and_no_contradiction_behind"]),
    (20, "hash flooding", &["the_house_keeps_its_law"]),
    (21, "XML", &["section_8_2_3_and_21_4_bodies_we_cannot_read"]),
    (
        22,
        "script in a header",
        &["web_06_rel_hostile_headers_are_text_everywhere", "a_hostile_name_is_text"],
    ),
    (23, "path traversal", &["nothing_outside_the_folder_is_played"]),
    (
        24,
        "recordings that lie",
        &[
            "rec_d1_a_tape_cut_at_any_byte_gives_every_complete_record",
            "any_bytes_are_read_without_panic",
        ],
    ),
    (
        25,
        "toll fraud, spoofing, keys",
        &[
            "sig_30_only_what_the_site_names_is_dialled_for_others",
            "rec_s8_a_fake_from_is_not_vouched_for_and_a_wish_is_not_believed",
            "rel_42_keys_of_strangers_are_nobodys",
        ],
    ),
    (26, "TLS", &["rel_34_and_sig_20_a_wrong_certificate_is_refused_with_a_reason"]),
];

/// Every `.rs` file below.
fn sources(folder: &Path, into: &mut String) {
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("listed").path();
        if path.is_dir() {
            sources(&path, into);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            into.push_str(&fs::read_to_string(&path).expect("text"));
        }
    }
}

/// Numbered from 1, and each of these tests is there.
pub fn assert_there(table: &[(u8, &str, &[&str])]) {
    let mut all = String::new();
    for folder in ["src", "tests"] {
        sources(&Path::new(env!("CARGO_MANIFEST_DIR")).join(folder), &mut all);
    }
    for (place, (number, what, tests)) in (1..).zip(table) {
        assert_eq!((*number, tests.is_empty()), (place, false), "{what}");
        for test in *tests {
            assert!(all.contains(&format!("fn {test}(")), "{number} {what}: {test} is gone");
        }
    }
}

#[test]
fn rel_42_every_bug_class_has_tests_by_name() {
    assert_there(&CLASSES);
}

#[test]
fn rel_42_dtls_is_not_spoken_here() {
    let offer = |profile: &str| {
        format!(
            "v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\n\
             m=audio 4000 {profile} 8\r\na=setup:actpass\r\na=fingerprint:sha-256 00:11\r\n"
        )
    };
    assert!(sdp::parse(offer("RTP/AVP").as_bytes()).is_ok());
    for profile in ["UDP/TLS/RTP/SAVP", "UDP/TLS/RTP/SAVPF"] {
        let local = sdp::Local::plain([192, 0, 2, 10].into(), 20_000, 1);
        let taken = sdp::parse(offer(profile).as_bytes())
            .and_then(|_| local.read(offer(profile).as_bytes()));
        assert_eq!(taken.map(|_| ()).unwrap_err().status(), 488, "{profile}");
    }
}

fn scan(method: &str, user: &str, n: u32) -> String {
    format!(
        "{method} sip:{user}@192.0.2.10 SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.70:5060;branch=z9hG4bKscan{n};rport\r\n\
         From: \"sipvicious\" <sip:{user}@1.1.1.1>;tag=s{n}\r\nTo: <sip:{user}@192.0.2.10>\r\n\
         Call-ID: scan{n}\r\nCSeq: 1 {method}\r\nContact: <sip:{user}@192.0.2.70:5060>\r\n\
         Max-Forwards: 70\r\nUser-Agent: friendly-scanner\r\nContent-Length: 0\r\n\r\n"
    )
}

/// svmap asks who is there, svwar which extensions there are: nobody, none, and nothing is kept of it.
#[test]
fn rel_42_scanners_of_a_stranger_hear_nothing() {
    let mut line = Line::over(Transport::Udp);
    let stranger = peer(Transport::Udp, "203.0.113.7:5060");
    let mut n = 0;
    for method in ["OPTIONS", "REGISTER", "INVITE", "SUBSCRIBE"] {
        for user in 100..1000 {
            n += 1;
            line.sip.handle_message(
                stranger,
                scan(method, &user.to_string(), n).as_bytes(),
                line.now,
            );
            let (out, events) = line.said();
            assert!(out.is_empty(), "{method} {user}: {out:?}");
            assert_eq!(events, [Event::Dropped { from: stranger, why: "stranger" }]);
        }
    }
    assert_eq!(line.sip.load(), (0, 0));
}

/// In the phones' own network everybody is asked for his password, whether such a phone is or not; and is slowed down.
#[test]
fn rel_42_a_scanner_among_the_phones_learns_no_name() {
    let mut line = Line::over(Transport::Udp);
    line.sip.serve_phones(Plan {
        realm: "dutyline".to_owned(),
        networks: vec![Network { ip: [192, 0, 2, 64].into(), bits: 26 }],
        algorithms: vec![Algorithm::Sha256, Algorithm::Md5],
        phones: vec![Phone {
            name: "phone".to_owned(),
            user: "801".to_owned(),
            password: "a long password".to_owned(),
        }],
    });
    let scanner = peer(Transport::Udp, "192.0.2.70:5060");
    let shape = |text: &str| -> Vec<String> {
        let names = text.lines().map(|one| one.split([':', ' ']).next().unwrap_or("").to_owned());
        [vec![status(text).to_string()], names.collect()].concat()
    };
    let mut shapes = vec![];
    for (n, user) in ["801", "802", "100", "admin"].iter().enumerate() {
        let n = u32::try_from(n).expect("few");
        line.sip.handle_message(scanner, scan("REGISTER", user, n).as_bytes(), line.now);
        let (out, _) = line.said();
        assert_eq!(out.len(), 1, "{user}");
        assert_eq!(status(&out[0]), 401);
        shapes.push(shape(&out[0]));
        line.pass(Duration::from_secs(5));
    }
    assert!(shapes.iter().all(|one| *one == shapes[0]), "all are answered alike: {shapes:?}");
    let mut answered = 0;
    for n in 100..1100 {
        line.sip.handle_message(scanner, scan("REGISTER", "801", n).as_bytes(), line.now);
        answered += line.said().0.len();
    }
    assert!(answered <= 20, "{answered} of a thousand guesses in a moment");
    assert_eq!(line.sip.load(), (0, 0));
}

/// Keys acknowledge, flag and dial: only the party's own count, in its stream and in its session.
#[test]
fn rel_42_keys_of_strangers_are_nobodys() {
    let (remote, channel) = ("192.0.2.1:4000".parse().expect("an address"), Channel(0));
    let mut relay = Relay::new(1, vec![], Random::from_seed([7; 32]));
    let (call, party) = (Default::default(), Party::Leader);
    let stream = Stream { event_pt: Some(101), ..Stream::a_law(remote) };
    relay.handle_command(Command::Open { channel, call, party, stream }, Mono(1));
    let key = |n: u8| vec![0x80, 101 | 0x80, 0, n, 0, 0, 0, n, 0, 0, 0, 9, 1, 0x8a, 3, 0x20];
    for (n, from) in (1..).zip(["203.0.113.7:4000", "192.0.2.1:4002", "192.0.2.2:4000"]) {
        let from = from.parse().expect("an address");
        let verdict = relay.handle_packet(channel, from, &mut key(n), Mono(2));
        assert_eq!(verdict, Verdict::Drop, "{from}");
    }
    relay.handle_timeout(Mono(3_000_000_000));
    assert_eq!(relay.poll_event(), None);
    assert_ne!(
        relay.handle_packet(channel, remote, &mut key(9), Mono(4_000_000_000)),
        Verdict::Drop
    );
    let events: Vec<_> = std::iter::from_fn(|| relay.poll_event()).collect();
    assert!(events.contains(&rtp::Event::Digit { channel, digit: '1' }), "{events:?}");

    let mut line = Line::over(Transport::Udp);
    let info = scan("INFO", "101", 1).replace(
        "Content-Length: 0\r\n\r\n",
        "Content-Type: application/dtmf-relay\r\nContent-Length: 10\r\n\r\nSignal=1\r\n",
    );
    let inside = info.replace("To: <sip:101@192.0.2.10>", "To: <sip:101@192.0.2.10>;tag=guessed");
    for text in [&info, &inside] {
        let (out, events) = line.hear(text.as_bytes());
        assert!(out.iter().all(|out| status(out) >= 400), "{out:?}");
        assert!(!events.iter().any(|event| matches!(event, Event::Info { .. })));
    }
}
