//! What a run that was killed has left.

use super::super::faults::Faults;
use super::super::parts;
use super::super::recorder::Finished;
use super::disk::told;
use super::*;

#[test]
fn rec_d1_a_killed_daemon_loses_at_most_the_record_it_was_writing() {
    let start = clock::mono();
    let mut voice = Voice::new(Party::Caller, start);
    let frames: Vec<_> = (0..4).map(|n| voice.frame(n * 1000)).collect();
    let length = {
        let room = Room::new();
        killed(&room, &frames).metadata().unwrap().len()
    };
    let record = frames[0].0.record_length() as u64;
    for cut in (0..=length).rev().step_by(41).chain([length - 1, header::BYTES as u64]) {
        let mut room = Room::new();
        let path = killed(&room, &frames);
        fs::OpenOptions::new().write(true).open(path).unwrap().set_len(cut).unwrap();
        let whole = cut.saturating_sub(header::BYTES as u64) / record;
        let events = recovered(&mut room);
        if whole == 0 {
            assert_eq!(events, [], "cut at {cut}");
        } else {
            let [Event::Sealed(sealed)] = &events[..] else { panic!("cut at {cut}: {events:?}") };
            assert!(sealed.interrupted);
            assert_eq!(sealed.packets, [(Party::Caller, whole)]);
            assert_eq!(room.wav(sealed)[0].len() as u64, whole * 160);
        }
        assert_eq!(room.files(&room.running()), Vec::<String>::new());
    }
}

#[test]
fn rec_d3_recovery_is_idempotent() {
    let mut room = Room::new();
    let start = clock::mono();
    let (mut one, mut other) =
        (Voice::new(Party::Caller, start), Voice::new(Party::Officer, start));
    let frames: Vec<_> = (0..100).flat_map(|n| [one.frame(n * 10), other.frame(n * -10)]).collect();
    let path = killed(&room, &frames);
    let kept = fs::read(&path).unwrap();
    let first = recovered(&mut room);
    let files = room.files(&room.recordings());
    assert_eq!(files, [format!("{CALL}.tape"), format!("{CALL}.wav")]);
    // As if the power went after sealing and before the segment was gone, with half a WAV beside it.
    fs::write(&path, kept).unwrap();
    let Event::Sealed(sealed) = &first[0] else { panic!("{first:?}") };
    let part = room.recordings().join(&sealed.tape).with_file_name(format!(".{CALL}.wav.part"));
    fs::write(&part, "half").unwrap();
    assert_eq!(recovered(&mut room), first);
    assert_eq!(room.files(&room.recordings()), files);
}

#[test]
fn a_finished_call_that_was_not_sealed_is_not_interrupted() {
    let mut room = Room::new();
    let mut voice = Voice::new(Party::Caller, clock::mono());
    let frames =
        [voice.frame(1), voice.frame(2), (Head::finished(CALL, clock::mono()), Vec::new())];
    killed(&room, &frames);
    let events = recovered(&mut room);
    let [Event::Sealed(sealed)] = &events[..] else { panic!("{events:?}") };
    assert!(!sealed.interrupted);
}

#[test]
fn a_damaged_segment_is_read_named_and_kept_and_a_foreign_file_is_left_alone() {
    let mut room = Room::new();
    let mut voice = Voice::new(Party::Caller, clock::mono());
    let frames: Vec<_> = (0..10).map(|n| voice.frame(n)).collect();
    let path = killed(&room, &frames);
    let mut bytes = fs::read(&path).unwrap();
    bytes[header::BYTES + 100] ^= 1;
    fs::write(&path, bytes).unwrap();
    fs::write(room.running().join("notes.txt"), "do not touch").unwrap();
    let events = recovered(&mut room);
    let [Event::Sealed(sealed), Event::Failed { call: None, why }, Event::Recovered] = &events[..]
    else {
        panic!("{events:?}")
    };
    assert_eq!(sealed.packets, [(Party::Caller, 9)]);
    assert!(why.contains("segment-00000003.tape.damaged"), "{why}");
    assert_eq!(room.files(&room.running()), ["notes.txt", "segment-00000003.tape.damaged"]);
    assert_eq!(recovered(&mut room), [], "told once");
}

/// A run that was killed in the middle of the call, and one that went on with it.
#[test]
fn rec_d10_a_call_over_two_runs_is_one_recording_with_the_gap_as_silence() {
    let mut room = Room::new();
    let mut voice = Voice::new(Party::Caller, clock::mono());
    let before: Vec<_> = (0..5).map(|_| voice.frame(1000)).collect();
    let path = killed(&room, &before);
    // Half a second in which nobody took packets.
    (0..25).for_each(|_| drop(voice.frame(0)));
    let (mut head, feed) = ring(4);
    let plan = TapePlan { open: [CALL].into(), ..room.plan() };
    let tape = start(plan, feed, room.told.clone());
    assert_eq!(room.event(), Event::Resumed { calls: 1 });
    voice.speak(&mut head, [2000; 5]);
    let last = voice.frame(0).0.arrival;
    head.push(&Head::finished(CALL, last), &[]);
    let sealed = room.sealed();
    assert!(sealed.resumed && !sealed.interrupted);
    // The last frame's time is over when it arrives.
    assert_eq!((sealed.samples, sealed.packets.clone()), (36 * 160, vec![(Party::Caller, 10)]));
    let gap = Gap { party: Party::Caller, from_ms: 100, length_ms: 500, untaped: 0 };
    assert_eq!(sealed.gaps, [gap]);
    let [left, _] = room.wav(&sealed);
    assert_eq!([left[10], left[1000], left[30 * 160 + 10]], [heard(1000), 0, heard(2000)]);
    assert!(path.exists(), "until the log surely has it");
    drop(head);
    tape.stop();
    assert!(!path.exists());
    assert_eq!(room.files(&room.running()), Vec::<String>::new());
}

#[test]
fn a_call_that_goes_on_is_not_sealed_as_cut_and_the_others_are() {
    let mut room = Room::new();
    let mut voice = Voice::new(Party::Caller, clock::mono());
    let path = killed(&room, &[voice.frame(1), voice.frame(2)]);
    let (head, feed) = ring(4);
    let tape = start(TapePlan { open: [CALL].into(), ..room.plan() }, feed, room.told.clone());
    assert_eq!(room.event(), Event::Resumed { calls: 1 });
    drop(head);
    tape.stop();
    assert!(room.heard.try_recv().is_err(), "nothing is sealed");
    assert!(path.exists(), "the run after the next one finds it too");
    let [Event::Sealed(sealed)] = &recovered(&mut room)[..] else { panic!("not recovered") };
    assert!(sealed.interrupted && !sealed.resumed);
}

/// As of a disk that does not answer when the daemon starts, and does a minute later.
#[test]
fn rec_d3_a_folder_that_could_not_be_looked_into_is_recovered_and_the_alarm_ends_once_it_can() {
    let mut room = Room::new();
    let mut voice = Voice::new(Party::Caller, clock::mono());
    let path = killed(&room, &(0..10).map(|n| voice.frame(n)).collect::<Vec<_>>());
    let away = room.folder.path().join("away");
    fs::rename(room.running(), &away).unwrap();
    fs::write(room.running(), "no folder").unwrap();
    let (_head, feed) = ring(4);
    let (_spill, _writer, mut recorder) = parts(room.plan(), feed, Faults::new(room.told.clone()));
    recorder.begin(clock::mono());
    let [Event::Failed { call: None, why }] = &told(&mut room)[..] else { panic!("not told") };
    assert!(why.contains("读不了文件夹"), "{why}");
    let in_a_minute = clock::mono() + Duration::from_secs(60);
    recorder.turn(in_a_minute);
    assert_eq!(told(&mut room), [], "as before");
    fs::remove_file(room.running()).unwrap();
    fs::rename(&away, room.running()).unwrap();
    // This run writes there, too, by now.
    let mut own = Segments::new(Folders::new(room.running(), &[]), 4);
    let other = Uuid::from_u128(2);
    own.append(&[(Head::finished(other, clock::mono()), vec![])]).unwrap();
    recorder.turn(in_a_minute + Duration::from_secs(60));
    let events = told(&mut room);
    let [Event::Sealed(sealed), Event::Recovered] = &events[..] else { panic!("{events:?}") };
    assert_eq!((sealed.call, sealed.packets[0].1), (CALL, 10));
    assert!(!path.exists());
    assert_eq!(room.files(&room.running()), ["segment-00000004.tape"]);
}

/// What was said before the restart is on it.
#[test]
fn rec_d10_a_call_that_goes_on_is_not_sealed_without_its_beginning_that_cannot_be_looked_into() {
    let mut room = Room::new();
    let mut voice = Voice::new(Party::Caller, clock::mono());
    killed(&room, &(0..5).map(|n| voice.frame(n)).collect::<Vec<_>>());
    let (away, elsewhere) = (room.folder.path().join("away"), room.recordings());
    fs::rename(room.running(), &away).unwrap();
    fs::write(room.running(), "no folder").unwrap();
    room.others = vec![Other { root: elsewhere.clone(), apart: true }];
    fs::create_dir_all(&elsewhere).unwrap();
    let plan = TapePlan { open: [CALL].into(), ..room.plan() };
    let (_head, feed) = ring(4);
    let (_spill, writer, mut recorder) = parts(plan, feed, Faults::new(room.told.clone()));
    recorder.begin(clock::mono());
    let mut rest: Vec<_> = (0..5).map(|n| voice.frame(n)).collect();
    rest.push((Head::finished(CALL, clock::mono()), vec![]));
    let mut own = Segments::new(Folders::new(room.running(), &room.others), 1);
    own.go_to(1);
    let last = own.append(&rest).unwrap()[0].1;
    writer.finished.send(Finished { call: CALL, last }).unwrap();
    let later = clock::mono() + Duration::from_secs(60);
    recorder.turn(later);
    assert!(told(&mut room).iter().all(|event| !matches!(event, Event::Sealed(_))));
    fs::remove_file(room.running()).unwrap();
    fs::rename(&away, room.running()).unwrap();
    for minutes in 1..=2 {
        recorder.turn(later + Duration::from_secs(60 * minutes));
    }
    let events = told(&mut room);
    let sealed = events.iter().find_map(|event| match event {
        Event::Sealed(sealed) => Some(sealed),
        _ => None,
    });
    assert_eq!(sealed.map(|sealed| sealed.packets[0].1), Some(10), "{events:?}");
}
