//! The whole recorder, thread after thread on one thread, on a disk that refuses or loses its power at any operation.

use super::super::faults::Faults;
use super::super::parts;
use super::*;
use crate::io::durable::tests::{self as simulated, Did};
use crate::protocol::random::Random;
use std::collections::BTreeMap;

/// Packets of a call: one party's 20 ms each, five a turn.
pub const PACKETS: u16 = 20;
pub const TURN: Duration = Duration::from_millis(100);

pub fn call(n: usize) -> Uuid {
    Uuid::from_u128(0x0199_0000_0000_7000_8000_0000_0000_0100 + n as u128)
}

/// A few short calls, each of which begins before the one before it ends.
pub struct Evening {
    calls: usize,
    voices: Vec<Voice>,
    pub said: Vec<u16>,
    head: TapeHead,
    spill: Spill,
    pub writer: Writer,
    pub recorder: Recorder,
    begin: Mono,
    now: Mono,
    turns: usize,
}

impl Evening {
    pub fn begin(room: &Room, calls: usize) -> Self {
        let (head, feed) = ring(4);
        let (spill, writer, mut recorder) =
            parts(room.plan(), feed, Faults::new(room.told.clone()));
        let begin = clock::mono();
        recorder.begin(begin);
        let voice = |n| Voice::new(Party::Caller, begin + TURN * (3 * n as u32));
        let (voices, said) = ((0..calls).map(voice).collect(), vec![0; calls]);
        Self { calls, voices, said, head, spill, writer, recorder, begin, now: begin, turns: 0 }
    }

    /// What is said in the next tenth of a second, and what the threads do with it. False when all calls are over.
    pub fn turn(&mut self) -> bool {
        for n in 0..self.calls {
            let first = 3 * n;
            if !(first..first + usize::from(PACKETS) / 5).contains(&self.turns) {
                continue;
            }
            for _ in 0..5 {
                let (head, bytes) = self.voices[n].frame(1000 + self.said[n] as i16 * 200);
                assert!(self.head.push(&Head { call: call(n), ..head }, &bytes));
                self.said[n] += 1;
            }
            if self.said[n] == PACKETS {
                let end = self.begin + TURN * first as u32 + Duration::from_millis(380);
                assert!(self.head.push(&Head::finished(call(n), end), &[]));
            }
        }
        self.turns += 1;
        self.now = self.now + TURN;
        self.work();
        self.turns < 3 * self.calls + 4
    }

    /// Turns until so many calls are sealed and nothing waits for the disk, but not for ever.
    pub fn settle(&mut self, room: &mut Room, calls: usize, events: &mut Vec<Event>) {
        for _ in 0..100 {
            events.extend(told(room));
            if sealed(events).len() == calls && self.is_safe() {
                break;
            }
            self.now = self.now + TURN;
            self.work();
        }
    }

    fn work(&mut self) {
        self.spill.turn();
        self.writer.turn(self.now);
        self.recorder.turn(self.now);
    }

    /// Nothing waits for the disk.
    fn is_safe(&self) -> bool {
        self.writer.frames.is_empty()
            && self.writer.unsynced.is_empty()
            && self.writer.feed.is_empty()
    }
}

pub fn told(room: &mut Room) -> Vec<Event> {
    let all = std::iter::from_fn(|| room.heard.try_recv().ok());
    all.filter(|event| !matches!(event, Event::Progress(_))).collect()
}

pub fn sealed(events: &[Event]) -> BTreeMap<Uuid, Sealed> {
    let mut found = BTreeMap::new();
    for event in events {
        if let Event::Sealed(sealed) = event {
            let before = found.insert(sealed.call, (**sealed).clone());
            assert!(before.is_none_or(|before| before == **sealed), "told twice, and not the same");
        }
    }
    found
}

/// Everything that was said is in a recording that can be read, whatever the disk refused meanwhile.
fn evening_on_a_disk_that_refuses(from: u64, until: u64, errno: i32) -> u64 {
    const CALLS: usize = 20;
    let mut room = Room::new();
    simulated::refuse(from, until, errno);
    let mut evening = Evening::begin(&room, CALLS);
    while evening.turn() {}
    let asked = if until == u64::MAX { simulated::mend() } else { 0 };
    let mut events = vec![];
    evening.settle(&mut room, CALLS, &mut events);
    let asked = asked + simulated::mend();
    let what = format!("operations {from}..{until} refused with {errno}");
    let refused = events.iter().rposition(|event| matches!(event, Event::Failed { .. }));
    let mended = events.iter().rposition(|event| *event == Event::Recovered);
    assert!(refused <= mended, "{what}: {events:?}");
    if until == u64::MAX && from < 20 {
        assert!(refused.is_some(), "{what}: nobody was told");
    }
    let sealed = sealed(&events);
    assert_eq!(sealed.len(), CALLS, "{what}: {events:?}");
    sealed.values().for_each(|sealed| is_whole(&room, sealed, &what));
    drop(evening);
    let parts = room.files(&room.recordings());
    assert_eq!(parts.len(), 2 * CALLS, "{what}: one tape and one WAV each: {parts:?}");
    asked
}

/// Every sample of the call is in its recording.
pub fn is_whole(room: &Room, sealed: &Sealed, what: &str) {
    let packets = u64::from(PACKETS);
    assert_eq!(sealed.packets, [(Party::Caller, packets)], "{what}");
    assert_eq!((sealed.samples, sealed.interrupted), (packets * 160, false), "{what}");
    let left = room.wav(sealed)[0].clone();
    let said = (0..PACKETS).flat_map(|n| [heard(1000 + n as i16 * 200); 160]);
    assert!(left.into_iter().eq(said), "{what}: sample for sample");
}

/// How far apart the operations are that are tried: all of them where that is asked for.
fn stride() -> usize {
    if std::env::var_os("DUTYLINE_EVERY_OPERATION").is_some() { 1 } else { 9 }
}

#[test]
fn rel_15_rec_d6_a_disk_that_refuses_any_operation_once_or_from_then_on_costs_no_recording() {
    let asked = evening_on_a_disk_that_refuses(u64::MAX, u64::MAX, libc::EIO);
    println!("{asked} operations");
    assert!(asked >= 500, "{asked} operations");
    let mut from = 1;
    while from <= 500 {
        for errno in [libc::EIO, libc::ENOSPC] {
            evening_on_a_disk_that_refuses(from, from + 1, errno);
            evening_on_a_disk_that_refuses(from, u64::MAX, errno);
        }
        from += stride() as u64;
    }
}

#[test]
fn rec_d7_too_many_open_files_are_told_with_their_remedy_and_cost_nothing() {
    let mut room = Room::new();
    simulated::refuse(1, u64::MAX, libc::EMFILE);
    let mut evening = Evening::begin(&room, 1);
    evening.turn();
    let events = told(&mut room);
    let why = |event: &Event| match event {
        Event::Failed { why, .. } => Some(why.clone()),
        Event::Sealed(_)
        | Event::Recovered
        | Event::Resumed { .. }
        | Event::Elsewhere(_)
        | Event::Progress(_) => None,
    };
    assert!(events.iter().filter_map(why).any(|why| why.contains("LimitNOFILE")), "{events:?}");
    simulated::mend();
}

/// What the disk of this room would hold is laid into a room of its own, where the recorder starts anew.
fn after_the_cut(room: &Room, done: &[Did], chance: Option<&mut Random>) -> Room {
    let other = Room::new();
    fs::create_dir_all(other.recordings()).unwrap();
    for (path, bytes) in simulated::after_the_cut(done, chance) {
        let path = other.folder.path().join(path.strip_prefix(room.folder.path()).unwrap());
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }
    other
}

/// The power is cut after any operation: what was safe is there, what was sealed is as it was.
#[test]
fn rec_d4_rel_13_power_that_is_cut_after_any_operation_costs_what_was_not_synced_and_no_more() {
    const CALLS: usize = 5;
    let mut room = Room::new();
    simulated::note();
    let mut evening = Evening::begin(&room, CALLS);
    // By mark: how much of each call is safe, and which calls are told as sealed.
    let mut marks: Vec<(Vec<u16>, BTreeMap<Uuid, Sealed>)> = vec![];
    let mut all = BTreeMap::new();
    let mut goes_on = true;
    for _ in 0..40 {
        goes_on = goes_on && evening.turn();
        if !goes_on {
            evening.now = evening.now + TURN;
            evening.work();
        }
        all.append(&mut sealed(&told(&mut room)));
        assert!(evening.is_safe());
        simulated::mark(marks.len() as u64);
        marks.push((evening.said.clone(), all.clone()));
    }
    let done = simulated::noted();
    assert_eq!(all.len(), CALLS);
    let mut random = Random::from_seed([11; 32]);
    for cut in 0..=done.len() {
        for by_chance in [false, true] {
            let chance = by_chance.then_some(&mut random);
            let mut after = after_the_cut(&room, &done[..cut], chance);
            let mark = done[..cut].iter().rev().find_map(|did| match did {
                Did::Mark(mark) => marks.get(*mark as usize),
                _ => None,
            });
            simulated::refuse(u64::MAX, u64::MAX, 0);
            let recovered = {
                let (_, feed) = ring(4);
                let (_, _, mut recorder) =
                    parts(after.plan(), feed, Faults::new(after.told.clone()));
                recorder.begin(clock::mono());
                sealed(&told(&mut after))
            };
            simulated::mend();
            let Some((safe, told)) = mark else { continue };
            for (n, safe) in safe.iter().enumerate() {
                let found = recovered.get(&call(n)).or_else(|| told.get(&call(n)));
                let packets = found.map_or(0, |sealed| sealed.packets[0].1);
                assert!(packets >= u64::from(*safe), "cut after {cut}: {packets} of {safe}");
                if let Some(sealed) = found {
                    assert_eq!(after.wav(sealed)[0].len() as u64, packets * 160);
                }
            }
            for sealed in told.values() {
                assert_eq!(
                    files::sha256(&after.recordings().join(&sealed.tape)).unwrap(),
                    sealed.tape_sha256
                );
                after.wav(sealed);
            }
            let twice = after.files(&after.recordings()).iter().any(|name| name.contains("-2."));
            assert!(!twice, "cut after {cut}: two recordings of one call");
        }
    }
    println!("{} cuts", 2 * (done.len() + 1));
}

/// A virtual machine is paused, or the process is stopped: the tape stood still with whoever looks.
#[test]
fn rel_16_whoever_was_stopped_himself_says_nothing_of_the_disk_until_it_does_not_answer_him() {
    let mut room = Room::new();
    let (_head, feed) = ring(2);
    let (mut spill, mut writer, _recorder) =
        parts(room.plan(), feed, Faults::new(room.told.clone()));
    let mut now = clock::mono();
    let mut looks = |spill: &mut Spill, writer: Option<&mut Writer>, millis: u64| {
        let (until, mut writer) = (now + Duration::from_millis(millis), writer);
        while now < until {
            if let Some(writer) = &mut writer {
                writer.turn(now);
            }
            spill.look(now);
            now = now + Duration::from_millis(20);
        }
        // It stands still after that.
        now = now + Duration::from_secs(30);
    };
    looks(&mut spill, Some(&mut writer), 1000);
    looks(&mut spill, None, 1700);
    looks(&mut spill, Some(&mut writer), 1000);
    assert_eq!(told(&mut room), []);
    looks(&mut spill, None, 1900);
    let events = told(&mut room);
    let hung = |event: &Event| matches!(event, Event::Failed { why, .. } if why.contains("does not answer"));
    assert!(events.len() == 1 && events.iter().all(hung), "{events:?}");
}

/// The tape thread does not come back from the disk for a minute. Nobody who speaks waits for it.
#[test]
fn rel_16_a_disk_that_hangs_for_a_minute_is_told_within_two_seconds_and_costs_nothing() {
    let mut room = Room::new();
    let (mut head, feed) = ring(4);
    let (mut spill, mut writer, mut recorder) =
        parts(room.plan(), feed, Faults::new(room.told.clone()));
    let begin = clock::mono();
    writer.turn(begin);
    let (mut caller, mut officer) =
        (Voice::new(Party::Caller, begin), Voice::new(Party::Officer, begin));
    let mut said_at = None;
    for n in 0..3000u32 {
        for voice in [&mut caller, &mut officer] {
            let (head_of, bytes) = voice.frame(1000);
            assert!(head.push(&head_of, &bytes), "nobody waits");
        }
        let now = begin + Duration::from_millis(20) * n;
        spill.turn();
        spill.look(now);
        if said_at.is_none() && told(&mut room).iter().any(|event| matches!(event, Event::Failed { why, .. } if why.contains("does not answer"))) {
            said_at = Some(now.since(begin));
        }
    }
    assert!(said_at.is_some_and(|after| after <= Duration::from_secs(2)), "{said_at:?}");
    let back = begin + Duration::from_secs(60);
    head.push(&Head::finished(CALL, back), &[]);
    spill.turn();
    writer.turn(back);
    spill.look(back);
    writer.turn(back + TURN);
    recorder.turn(back + TURN);
    let events = told(&mut room);
    assert!(events.contains(&Event::Recovered), "{events:?}");
    let sealed = sealed(&events);
    assert_eq!(sealed[&CALL].packets, [(Party::Caller, 3000), (Party::Officer, 3000)]);
}
