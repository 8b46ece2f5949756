//! The threats to signalling and voice, each with the tests that hold it off; and what no other file has of them.

use crate::classes::assert_there;
use dutyline::protocol::now::Mono;
use dutyline::protocol::random::Random;
use dutyline::protocol::rtp::packet::{self, Packet};
use dutyline::protocol::rtp::relay::{Relay, Verdict};
use dutyline::protocol::rtp::{self, Channel, Codec, Command, Party, Stream, Wanted, g711};
use std::time::Duration;

/// Number and name of the threat, and tests that would fail if it were one here.
const THREATS: [(u8, &str, &[&str]); 14] = [
    (
        1,
        "strangers ring or enter the log",
        &[
            "sig_27_every_method_from_a_stranger_is_dropped_and_counted",
            "sig_27_and_sig_24_whoever_has_not_registered_is_a_stranger_as_before",
            "rel_05_three_thousand_calls_a_second_from_ten_thousand_forged_addresses",
        ],
    ),
    (
        2,
        "a number that is not the caller's",
        &["rec_s8_a_fake_from_is_not_vouched_for_and_a_wish_is_not_believed"],
    ),
    (
        3,
        "our password is coaxed out of us",
        &[
            "sig_29_a_wrong_realm_or_a_wrong_source_sees_no_credentials",
            "sig_29_a_bye_is_proved_to_the_pbx_and_not_to_a_foreign_contact",
            "sig_29_an_offer_is_proved_to_the_pbx_alone",
            "rel_05_no_realm_is_learnt_from_a_call",
            "rel_42_a_phone_that_challenges_our_call_is_shown_no_password",
        ],
    ),
    (
        4,
        "headers and frames that two readers read differently",
        &[
            "what_lets_two_parsers_disagree_is_a_defect",
            "rel_15_a_stream_that_lies_about_its_length_is_over",
            "sig_21_and_rel_10_over_a_real_connection_one_byte_at_a_time_and_fifty_at_once",
        ],
    ),
    (
        5,
        "floods, slow connections, huge headers",
        &[
            "sig_31_a_flood_of_calls_beside_a_call",
            "rel_06_a_thousand_a_second_of_each_other_message_beside_a_recorded_call",
            "rel_07_each_call_of_a_flood_is_a_row_or_counted_and_the_call_goes_on",
            "rel_09_a_thousand_idle_connections_do_not_keep_the_line_from_its_work",
            "every_cap_is_a_defect_and_not_the_end",
        ],
    ),
    (
        6,
        "a forged BYE, CANCEL or re-INVITE",
        &[
            "sig_28_a_forged_bye_cancel_or_invite_changes_nothing",
            "sig_28_and_sig_24_nobody_ends_or_changes_a_phones_call_from_elsewhere",
            "sig_28_sig_36_nobody_can_make_us_let_go_of_what_is_not_ours",
        ],
    ),
    (
        7,
        "whoever asks learns what we are and whom we know",
        &[
            "rel_42_scanners_of_a_stranger_hear_nothing",
            "rel_42_a_scanner_among_the_phones_learns_no_name",
            "rel_t07_nothing_that_we_say_tells_our_version",
        ],
    ),
    (
        8,
        "encryption is taken away",
        &[
            "sig_20_sdes_is_agreed_on_by_both_sides_or_refused_and_never_falls_back",
            "sig_20_sdes_is_not_given_up_by_a_reinvite_and_takes_a_new_key",
            "sig_20_encrypted_again_after_a_time_in_the_clear_nothing_old_is_let_in",
            "rel_34_and_sig_20_a_wrong_certificate_is_refused_with_a_reason",
        ],
    ),
    (
        9,
        "we are made to dial",
        &[
            "sig_30_redirections_and_strangers_transfers_are_refused",
            "sig_30_a_refer_from_the_caller_or_to_a_number_that_the_site_does_not_name_is_declined",
            "sig_30_a_refer_by_the_town_calls_nobody",
            "sig_30_a_pickup_that_is_not_the_rooms_is_declined",
            "sig_30_a_day_has_its_cap_and_begins_at_midnight",
        ],
    ),
    (
        10,
        "voice put into a call",
        &[
            "rel_t10_one_source_at_a_time",
            "rel_t10_numbers_go_on_or_start_anew_by_two",
            "rel_08_a_spray_on_the_live_ports_changes_nothing_and_gets_nothing",
        ],
    ),
    (
        11,
        "voice sent to somebody else",
        &[
            "rel_t11_a_phone_behind_a_nat_hears_and_is_heard_and_one_that_wanders_is_told",
            "rel_t11_a_telephone_that_is_heard_is_robbed_by_nobody",
            "rel_t11_whoever_is_taken_for_it_gives_way_at_once_and_for_good",
            "rel_t11_under_a_key_only_the_key_is_believed",
            "rel_08_a_spray_on_the_live_ports_changes_nothing_and_gets_nothing",
            "rel_t10_reports_of_strangers_are_counted_and_change_nothing",
        ],
    ),
    (
        12,
        "a flood of voice, a forged BYE of RTCP",
        &[
            "rel_t12_a_party_that_floods_is_held_to_what_a_telephone_sends",
            "rel_t12_what_cannot_be_decrypted_takes_no_room_from_what_can",
            "rel_t12_a_bye_by_rtcp_ends_nothing",
        ],
    ),
    (
        13,
        "keys that nobody pressed",
        &[
            "rel_42_keys_of_strangers_are_nobodys",
            "rel_t13_the_sound_of_a_key_is_no_key",
            "esc_10_a_key_in_the_first_second_is_ignored",
            "esc_25_hanging_up_without_a_key_is_no_acknowledgement",
        ],
    ),
    (
        14,
        "ports that can be guessed",
        &[
            "rel_t14_every_port_is_lent_as_often_and_the_last_one_does_not_tell_the_next",
            "rel_t14_a_port_rests_while_half_of_the_others_are_lent",
        ],
    ),
];

#[test]
fn rel_t_every_threat_to_signalling_and_voice_has_tests_by_name() {
    assert_there(&THREATS);
}

const CHANNEL: Channel = Channel(0);

fn talking() -> (Relay, Stream) {
    let mut relay = Relay::new(1, vec![], Random::from_seed([7; 32]));
    let stream = Stream::a_law("192.0.2.1:4000".parse().expect("an address"));
    let (channel, call, party) = (CHANNEL, Default::default(), Party::Leader);
    relay.handle_command(Command::Open { channel, call, party, stream }, Mono(1));
    let wanted = Wanted { network: true, fax: true, keys: true };
    relay.handle_command(Command::Listen { channel, wanted }, Mono(1));
    (relay, stream)
}

/// Seconds of what it says; what was reported of it.
fn says(
    relay: &mut Relay,
    stream: &Stream,
    seconds: u32,
    sample: impl Fn(u32) -> f64,
) -> Vec<rtp::Event> {
    let mut events = vec![];
    for n in 0..seconds * 50 {
        let payload: [u8; 160] =
            std::array::from_fn(|at| g711::encode(Codec::Pcma, sample(n * 160 + at as u32) as i16));
        let (sequence, timestamp) = (n as u16, n * 160);
        let said = Packet {
            payload_type: 8,
            marker: false,
            sequence,
            timestamp,
            ssrc: 3,
            payload: &payload,
        };
        let mut bytes = [0; 172];
        packet::build(&said, &mut bytes).expect("built");
        let now = Mono(1) + Duration::from_millis(20) * n;
        assert_ne!(relay.handle_packet(CHANNEL, stream.remote, &mut bytes, now), Verdict::Drop);
        relay.handle_timeout(now);
        events.extend(std::iter::from_fn(|| relay.poll_event()));
    }
    events
}

/// Each key's pair of tones (ITU-T Q.23), loud and long, as a recording played into a telephone has them.
#[test]
fn rel_t13_the_sound_of_a_key_is_no_key() {
    for low in [697.0, 770.0, 852.0, 941.0] {
        for high in [1209.0, 1336.0, 1477.0] {
            let (mut relay, stream) = talking();
            let tone = |hertz: f64, at: u32| {
                (f64::from(at) * hertz * std::f64::consts::TAU / 8000.0).sin() * 9000.0
            };
            let events = says(&mut relay, &stream, 1, |at| tone(low, at) + tone(high, at));
            let key = |event: &rtp::Event| matches!(event, rtp::Event::Digit { .. });
            assert!(!events.iter().any(key), "{low} and {high}: {events:?}");
            assert!(events.contains(&rtp::Event::Heard { channel: CHANNEL }));
        }
    }
}

/// From the party's own port, for its own stream: it takes its leave, and is heard on.
#[test]
fn rel_t12_a_bye_by_rtcp_ends_nothing() {
    let (mut relay, stream) = talking();
    says(&mut relay, &stream, 1, |_| 0.0);
    let mut beside = stream.remote;
    beside.set_port(beside.port() + 1);
    let mut bye = [0x81, 203, 0, 1, 0, 0, 0, 3];
    relay.handle_report(CHANNEL, beside, &mut bye, Mono(1_100_000_000));
    let events: Vec<_> = std::iter::from_fn(|| relay.poll_event()).collect();
    let ends =
        |event: &rtp::Event| matches!(event, rtp::Event::Closed { .. } | rtp::Event::Quiet { .. });
    assert!(!events.iter().any(ends), "{events:?}");
    assert!(relay.whose(CHANNEL).is_some());
    let mut bytes = [0; 172];
    let payload = [0x55; 160];
    let said = Packet {
        payload_type: 8,
        marker: false,
        sequence: 50,
        timestamp: 8000,
        ssrc: 3,
        payload: &payload,
    };
    packet::build(&said, &mut bytes).expect("built");
    let now = Mono(1_120_000_000);
    assert_ne!(relay.handle_packet(CHANNEL, stream.remote, &mut bytes, now), Verdict::Drop);
}
