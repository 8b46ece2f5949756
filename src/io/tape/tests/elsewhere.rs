//! The data disk dies in a call, for good or for a while, and another disk is there.

use super::super::faults::Faults;
use super::super::parts;
use super::disk::{Evening, call, is_whole, sealed, told};
use super::*;
use crate::io::durable::tests::{self as simulated, Death};
use std::collections::BTreeMap;

impl Room {
    fn with_another_disk() -> Self {
        let room = Self::new();
        let root = room.recordings();
        fs::create_dir_all(&root).unwrap();
        Self { others: vec![Other { root, apart: true }], ..room }
    }

    fn elsewhere(&self) -> PathBuf {
        self.recordings().join(".tape")
    }

    fn data_dies(&self, how: Death, errno: i32) {
        simulated::die(&self.folder.path().join("data"), how, errno);
    }

    fn next_run(&mut self) -> BTreeMap<Uuid, Sealed> {
        let (_, feed) = ring(4);
        let (_, _, mut recorder) = parts(self.plan(), feed, Faults::new(self.told.clone()));
        recorder.begin(clock::mono());
        sealed(&told(self))
    }
}

#[test]
fn rel_15_rec_d6_a_data_disk_that_dies_for_good_in_a_call_costs_no_recording_where_another_disk_is()
{
    const CALLS: usize = 8;
    for (how, errno) in
        [(Death::Writing, libc::EIO), (Death::Writing, libc::EROFS), (Death::Whole, libc::EIO)]
    {
        let what = format!("{how:?} is refused with {errno}");
        let mut room = Room::with_another_disk();
        let mut evening = Evening::begin(&room, CALLS);
        for _ in 0..5 {
            evening.turn();
        }
        room.data_dies(how, errno);
        while evening.turn() {}
        // What the dead disk has of the second call is given by nobody.
        let first = usize::from(how == Death::Whole);
        let mut events = vec![];
        evening.settle(&mut room, CALLS - first, &mut events);
        let failed =
            events.iter().position(|event| matches!(event, Event::Failed { call: None, .. }));
        let place = events.iter().position(|event| {
            matches!(event, Event::Elsewhere(Some(place))
                if place.folder == room.elsewhere() && place.why.contains("data/tape"))
        });
        assert!(failed.is_some() && failed < place, "{what}: {events:?}");
        assert_eq!(events[place.unwrap() + 1], Event::Recovered, "{what}: it is recorded");
        let found = sealed(&events);
        assert_eq!(found.len(), CALLS - first, "{what}: {events:?}");
        found.values().for_each(|sealed| is_whole(&room, sealed, &what));
        drop(evening);
        simulated::mend();
        let found = room.next_run();
        assert_eq!(found.len(), CALLS, "{what}: the log may know of none of them");
        found.values().for_each(|sealed| is_whole(&room, sealed, &what));
        assert_eq!(room.files(&room.running()), Vec::<String>::new(), "{what}");
        assert_eq!(room.files(&room.recordings()).len(), 2 * CALLS, "{what}");
    }
}

/// As it was before there was another disk, and is where there is none.
#[test]
fn a_data_disk_that_dies_for_good_is_told_where_no_other_disk_is_and_memory_keeps_what_it_can() {
    let mut room = Room::new();
    let mut evening = Evening::begin(&room, 2);
    for _ in 0..2 {
        evening.turn();
    }
    room.data_dies(Death::Writing, libc::EIO);
    while evening.turn() {}
    let mut events = vec![];
    evening.settle(&mut room, 2, &mut events);
    assert_eq!(sealed(&events).len(), 0, "{events:?}");
    assert!(events.iter().all(|event| *event != Event::Recovered));
    simulated::mend();
    evening.settle(&mut room, 2, &mut events);
    sealed(&events).values().for_each(|sealed| is_whole(&room, sealed, "kept in memory"));
    assert_eq!(sealed(&events).len(), 2);
}

#[test]
fn rel_15_rec_d6_what_another_disk_has_is_recovered_after_a_kill_also_while_the_first_is_still_dead()
 {
    let mut room = Room::with_another_disk();
    let mut evening = Evening::begin(&room, 3);
    for _ in 0..2 {
        evening.turn();
    }
    room.data_dies(Death::Writing, libc::EIO);
    for _ in 2..6 {
        evening.turn();
    }
    let said = evening.said.clone();
    assert!(said[0] == 20 && (10..20).contains(&said[1]), "{said:?}");
    drop(evening);
    drop(told(&mut room));
    for dead in [true, true, false] {
        if !dead {
            simulated::mend();
        }
        let found = room.next_run();
        assert_eq!(found.len(), 2, "{found:?}");
        is_whole(&room, &found[&call(0)], "on both disks");
        let cut = &found[&call(1)];
        assert_eq!(cut.packets, [(Party::Caller, u64::from(said[1]))]);
        assert!(cut.interrupted);
        assert_eq!(room.files(&room.running()).is_empty(), !dead);
    }
    assert_eq!(room.files(&room.elsewhere()), Vec::<String>::new());
    assert_eq!(room.files(&room.recordings()).len(), 4, "no recording is there twice");
    assert_eq!(room.next_run(), BTreeMap::new());
}

#[test]
fn rec_d6_the_tape_comes_back_to_its_own_disk_once_that_takes_it_and_nothing_is_left_behind() {
    const CALLS: usize = 12;
    let mut room = Room::with_another_disk();
    let mut evening = Evening::begin(&room, CALLS);
    for _ in 0..3 {
        evening.turn();
    }
    room.data_dies(Death::Writing, libc::ENOSPC);
    for _ in 3..20 {
        evening.turn();
    }
    let mut events = told(&mut room);
    let place = |event: &Event| match event {
        Event::Elsewhere(place) => Some(place.is_some()),
        _ => None,
    };
    let places = |events: &[Event]| events.iter().filter_map(place).collect::<Vec<_>>();
    assert_eq!(
        places(&events),
        [true],
        "told once, however often its own disk is tried: {events:?}"
    );
    simulated::mend();
    while evening.turn() {}
    evening.settle(&mut room, CALLS, &mut events);
    assert_eq!(places(&events), [true, false]);
    let found = sealed(&events);
    assert_eq!(found.len(), CALLS);
    found.values().for_each(|sealed| is_whole(&room, sealed, "there and back"));
    assert!(!room.files(&room.running()).is_empty(), "until the log surely has them");
    drop(evening.recorder);
    evening.writer.leave();
    assert_eq!(room.files(&room.running()), Vec::<String>::new());
    assert_eq!(room.files(&room.elsewhere()), Vec::<String>::new());
}

/// The disk with the beginning of a call was replaced by an empty one.
#[test]
fn rec_d6_a_call_whose_beginning_is_gone_for_good_is_sealed_and_said_not_to_be_whole() {
    let mut room = Room::with_another_disk();
    let mut evening = Evening::begin(&room, 1);
    for _ in 0..2 {
        evening.turn();
    }
    room.data_dies(Death::Whole, libc::EIO);
    while evening.turn() {}
    drop(evening);
    drop(told(&mut room));
    assert_eq!(room.next_run(), BTreeMap::new(), "the disk may come back");
    simulated::mend();
    fs::remove_dir_all(room.running()).unwrap();
    let found = room.next_run();
    let rest = &found[&call(0)];
    assert!(rest.interrupted && rest.packets[0].1 < 20, "{rest:?}");
}
