//! Legs that do not speak the same.

use super::*;

#[test]
fn payload_types_and_codecs_are_those_of_the_other_leg() {
    let officer = Stream { codec: Codec::Pcmu, audio_pt: 0, event_pt: Some(96), ..stream(5000) };
    let mut relay = bridge(stream(4000), officer);
    let caller = stream(4000).remote;
    let audio = passed_on(&mut relay, A, caller, &bytes(8, 7, &[0xd5, 0xaa])).unwrap();
    let read = packet::parse(&audio).unwrap();
    assert_eq!((read.payload_type, read.marker, read.sequence, read.ssrc), (0, true, 7, 9));
    assert_eq!(g711::decode(Codec::Pcmu, read.payload[1]), 32124, "the loudest stays the loudest");
    let key = passed_on(&mut relay, A, caller, &bytes(101, 8, &[1, 0x8a, 0, 160])).unwrap();
    let read = packet::parse(&key).unwrap();
    assert_eq!((read.payload_type, read.payload), (96, &[1, 0x8a, 0, 160][..]));
}

#[test]
fn sig_22_a_key_lasts_as_long_by_another_clock() {
    let wide = Stream { codec: Codec::Opus, audio_pt: 111, event_clock: 48_000, ..stream(5000) };
    let mut relay = bridge(stream(4000), wide);
    let key = bytes(101, 8, &[1, 0x8a, 0x03, 0x20]);
    let heard = passed_on(&mut relay, A, stream(4000).remote, &key).unwrap();
    assert_eq!(packet::parse(&heard).unwrap().payload, [1, 0x8a, 0x12, 0xc0], "800 is 4800");
    let key = bytes(101, 9, &[1, 0x8a, 0x12, 0xc0]);
    let heard = passed_on(&mut relay, B, stream(5000).remote, &key).unwrap();
    assert_eq!(packet::parse(&heard).unwrap().payload, [1, 0x8a, 0x03, 0x20]);
}

#[test]
fn sig_19_a_codec_that_changes_without_a_word_is_understood_and_turned() {
    let mut relay = bridge(stream(4000), stream(5000));
    for (payload_type, codec, said) in
        [(8, Codec::Pcma, 0xaa), (0, Codec::Pcmu, 0x80), (8, Codec::Pcma, 0xaa)]
    {
        let packet = bytes(payload_type, 1, &[said; 160]);
        let verdict = hear(&mut relay, A, stream(4000).remote, &packet);
        let Verdict::Take { tag, .. } = verdict else { panic!("{verdict:?}") };
        assert_eq!((tag.codec, tag.audio_pt), (codec, payload_type), "the tape knows each");
        let heard = passed_on(&mut relay, A, stream(4000).remote, &packet).unwrap();
        let read = packet::parse(&heard).unwrap();
        assert_eq!(read.payload_type, 8, "the officer hears what he agreed to");
        assert!(g711::decode(Codec::Pcma, read.payload[0]) > 31_000);
    }
}

#[test]
fn sig_19_what_is_on_its_way_in_the_codec_before_is_still_heard() {
    let wide = Stream { codec: Codec::Opus, audio_pt: 111, ..stream(4000) };
    let mut relay = bridge(wide, Stream { codec: Codec::Opus, audio_pt: 96, ..stream(5000) });
    let opus = bytes(111, 1, &[0x78; 40]);
    assert!(passed_on(&mut relay, A, wide.remote, &opus).is_some());
    relay.handle_command(Command::Change { channel: A, stream: stream(4000) }, START);
    let verdict = hear(&mut relay, A, wide.remote, &opus);
    let Verdict::Take { tag, .. } = verdict else { panic!("{verdict:?}") };
    assert_eq!((tag.codec, tag.audio_pt), (Codec::Opus, 111));
}

#[test]
fn sig_19_wide_and_narrow_hear_each_other() {
    let wide = Stream { codec: Codec::G722, audio_pt: 9, ..stream(5000) };
    let mut relay = bridge(stream(4000), wide);
    let tone = |n: usize| ((n as f64 * 0.785).sin() * 8000.0) as i16;
    let (mut at_wide, mut at_narrow) = (Vec::new(), Vec::new());
    let (mut mouth, mut ear) = (g722::Encoder::default(), g722::Decoder::default());
    for packet in 0..50u16 {
        let samples: Vec<i16> = (0..160).map(|n| tone(usize::from(packet) * 160 + n)).collect();
        let narrow: Vec<u8> = samples.iter().map(|s| g711::encode(Codec::Pcma, *s)).collect();
        let heard =
            passed_on(&mut relay, A, stream(4000).remote, &bytes(8, packet, &narrow)).unwrap();
        let read = packet::parse(&heard).unwrap();
        assert_eq!((read.payload_type, read.payload.len(), read.sequence), (9, 160, packet));
        at_wide.extend(read.payload.iter().map(|byte| ear.narrow(*byte)));
        let said: Vec<u8> = samples.iter().map(|s| mouth.narrow(*s)).collect();
        let heard = passed_on(&mut relay, B, wide.remote, &bytes(9, packet, &said)).unwrap();
        let read = packet::parse(&heard).unwrap();
        assert_eq!((read.payload_type, read.payload.len()), (8, 160));
        at_narrow.extend(read.payload.iter().map(|byte| g711::decode(Codec::Pcma, *byte)));
    }
    for heard in [at_wide, at_narrow] {
        let power: f64 = heard[4000..].iter().map(|sample| f64::from(*sample).powi(2)).sum();
        let loud = (2.0 * power / (heard.len() - 4000) as f64).sqrt() / 8000.0;
        assert!((0.9..1.1).contains(&loud), "{loud}");
    }
}

/// It has named A-law too, in which it is spoken to; what it speaks itself is its own choice (RFC 3264 §6.1).
#[cfg(feature = "opus")]
#[test]
fn sig_19_a_phone_that_answers_opus_and_a_law_is_heard_in_opus_too() {
    use crate::protocol::rtp::narrow::Mouth;
    let mut both = stream(5000);
    both.also.add(111, Carried::Audio(Codec::Opus));
    let mut relay = bridge(stream(4000), both);
    let (mut mouth, mut loud) = (Mouth::default(), 0.0f64);
    mouth.prepare(Codec::Opus);
    for n in 0..50u16 {
        let at = |sample: usize| usize::from(n) * 160 + sample;
        let tone: Vec<i16> =
            (0..160).map(|sample| ((at(sample) as f64 * 0.785).sin() * 8000.0) as i16).collect();
        let mut payload = [0; 400];
        let length = mouth.say(Codec::Opus, &tone, &mut payload).unwrap().bytes;
        let packet = bytes(111, n, &payload[..length]);
        let heard = passed_on(&mut relay, B, both.remote, &packet).expect("heard");
        let read = packet::parse(&heard).unwrap();
        assert_eq!((read.payload_type, read.payload.len()), (8, 160));
        let power = |byte: &u8| f64::from(g711::decode(Codec::Pcma, *byte)).powi(2);
        loud = (read.payload.iter().map(power).sum::<f64>() / 80.0).sqrt() / 8000.0;
    }
    assert!((0.8..1.2).contains(&loud), "{loud}");
}
