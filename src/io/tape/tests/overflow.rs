//! More comes than the spill takes from the ring: what is not recorded is counted, has its place on the time line, and is
//! told.

use super::super::faults::Faults;
use super::super::parts;
use super::disk::{call, sealed, told};
use super::*;
use crate::io::media::taping::Taping;
use crate::protocol::rtp;

const SIDES: [Party; 2] = [Party::Caller, Party::Officer];

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

fn overflows(event: &Event) -> bool {
    matches!(event, Event::Failed { call: None, why } if why.contains("主机太忙"))
}

#[test]
fn rec_d7b_what_finds_no_room_on_its_way_to_the_tape_is_counted_marked_and_told() {
    let mut room = Room::new();
    let (head, feed) = ring(4);
    let (mut spill, mut writer, mut recorder) =
        parts(room.plan(), feed, Faults::new(room.told.clone()));
    let mut taping = Taping::new(head, 4, 64);
    let begin = clock::mono();
    for (n, party) in SIDES.into_iter().enumerate() {
        taping.channel(Kind::Opened, &tag(party), Channel(n as u16), begin);
    }
    let mut voices = SIDES.map(|party| Voice::new(party, begin));
    let mut lost = [0u64; 2];
    for n in 0..400u32 {
        let now = begin + ms(20) * n;
        for (n, voice) in voices.iter_mut().enumerate() {
            let (head, bytes) = voice.frame(1000);
            lost[n] += u64::from(!taping.packet(Channel(n as u16), &head, &bytes));
        }
        taping.write_marks();
        // It has no processor for five seconds: the ring has room for three.
        if !(50..300).contains(&n) {
            spill.turn();
            writer.turn(now);
            spill.look(now);
        }
    }
    assert!(lost.iter().all(|lost| (80..130).contains(lost)), "{lost:?}");
    let end = begin + ms(8000);
    taping.finished(CALL, end);
    taping.write_marks();
    for after in [ms(0), ms(200), ms(400)] {
        spill.turn();
        writer.turn(end + after);
        spill.look(end + after);
        recorder.turn(end + after);
    }
    let events = told(&mut room);
    assert_eq!(events.iter().filter(|event| overflows(event)).count(), 1, "{events:?}");
    assert!(!events.contains(&Event::Recovered), "not yet");
    let sealed = &sealed(&events)[&CALL];
    for (party, lost) in SIDES.into_iter().zip(lost) {
        let gaps: Vec<_> = sealed.gaps.iter().filter(|gap| gap.party == party).collect();
        let [Gap { from_ms, length_ms, untaped, .. }] = gaps[..] else { panic!("{gaps:?}") };
        assert_eq!((*untaped, *length_ms), (lost, lost * 20), "{gaps:?}");
        assert!((3800..4400).contains(from_ms), "{gaps:?}");
    }
    let kept: u64 = sealed.packets.iter().map(|(_, packets)| packets).sum();
    assert_eq!(kept + lost[0] + lost[1], 800);
    for (later, says) in [(ms(65_000), vec![]), (ms(67_000), vec![Event::Recovered])] {
        writer.turn(begin + later);
        spill.look(begin + later);
        assert_eq!(told(&mut room), says);
    }
}

#[test]
fn rec_d7b_what_is_lost_at_the_end_of_a_channel_or_of_a_call_is_marked_too() {
    let mut room = Room::new();
    let (head, feed) = ring(2);
    let (mut spill, mut writer, mut recorder) =
        parts(room.plan(), feed, Faults::new(room.told.clone()));
    let mut taping = Taping::new(head, 2, 64);
    let begin = clock::mono();
    taping.channel(Kind::Opened, &tag(Party::Caller), Channel(0), begin);
    taping.write_marks();
    let mut voice = Voice::new(Party::Caller, begin);
    let mut lost = 0;
    for _ in 0..400 {
        let (head, bytes) = voice.frame(1000);
        lost += u64::from(!taping.packet(Channel(0), &head, &bytes));
    }
    taping.channel(Kind::Closed, &tag(Party::Caller), Channel(0), begin + ms(8000));
    // Of another call on the same channel.
    let (head_of, bytes) = Voice::new(Party::Caller, begin + ms(8000)).frame(1000);
    let head_of = Head { call: call(1), ..head_of };
    assert!(!taping.packet(Channel(0), &head_of, &bytes), "the ring is full");
    taping.finished(CALL, begin + ms(8000));
    taping.finished(call(1), begin + ms(8020));
    assert!(taping.waits());
    let (mut events, mut now) = (vec![], begin + ms(8000));
    for _ in 0..5 {
        now = now + ms(200);
        spill.turn();
        taping.write_marks();
        writer.turn(now);
        recorder.turn(now);
        events.extend(told(&mut room));
    }
    let sealed = sealed(&events);
    let untaped = |call: Uuid| sealed[&call].gaps.iter().map(|gap| gap.untaped).sum::<u64>();
    assert!(lost > 50);
    assert_eq!((untaped(CALL), untaped(call(1))), (lost, 1));
    assert_eq!(sealed[&call(1)].packets, [], "of which nothing was recorded");
}

/// The media thread itself, and a spill that begins late.
#[test]
fn rec_d7b_the_media_thread_marks_what_the_ring_does_not_take() {
    let mut room = Room::new();
    let (events, mut seen) = mpsc::unbounded_channel();
    let (media, feed, ports) = start_somewhere(2, vec![Arc::from([])], &events);
    let phones = SIDES.map(|_| phone());
    for (n, party) in SIDES.into_iter().enumerate() {
        let stream = Stream::a_law(phones[n].local_addr().unwrap());
        media
            .send(Command::Open { channel: Channel(n as u16), call: CALL, party, stream })
            .unwrap();
    }
    media.send(Command::Join { a: Channel(0), b: Channel(1) }).unwrap();
    media.send(Command::Play { channel: Channel(0), prompt: Prompt(0), repeat: false }).unwrap();
    assert!(matches!(seen.blocking_recv(), Some(rtp::Event::Played { .. })), "all is obeyed");
    let mut voices = SIDES.map(|party| Voice::new(party, clock::mono()));
    let mut talk = |packets: usize| {
        for _ in 0..packets {
            for n in 0..2 {
                let (_, bytes) = voices[n].frame(1000);
                phones[n].send_to(&bytes, ("127.0.0.1", ports[n])).unwrap();
                let mut heard = [0; 400];
                phones[1 - n].recv(&mut heard).expect("voice goes on");
            }
            std::thread::sleep(ms(6));
        }
    };
    talk(200);
    let tape = start(room.plan(), feed, room.told.clone());
    let first = room.event();
    assert!(overflows(&first), "{first:?}");
    talk(20);
    for n in 0..2 {
        media.send(Command::Close { channel: Channel(n) }).unwrap();
    }
    media.send(Command::Finish { call: CALL }).unwrap();
    let sealed = loop {
        if let Event::Sealed(sealed) = room.event() {
            break sealed;
        }
    };
    media.stop();
    tape.stop();
    let mut untaped = 0;
    while let Ok(event) = seen.try_recv() {
        if let rtp::Event::Closed { counts, .. } = event {
            untaped += counts.untaped;
        }
    }
    assert!((80..110).contains(&untaped), "{untaped}");
    assert_eq!(sealed.gaps.iter().map(|gap| gap.untaped).sum::<u64>(), untaped);
}
