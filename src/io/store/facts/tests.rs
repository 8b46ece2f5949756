//! Facts become rows, once each.

use super::*;
use crate::config::Contact;
use crate::duty::journal::Stretch;
use crate::duty::numbers::Numbering;
use crate::io::store::tests::{arrival, at, call, entry, note, officer, one, store};
use crate::io::store::{CallState, CallbackState, RecordingState, Settled, StretchKind, wait};
use crate::protocol::rtp::{Counts, Party};

#[test]
fn rel_07_calls_turned_away_are_one_row_of_the_audit_however_often_told() {
    let store = store();
    let turned_away = |calls, over| Fact::TurnedAway { source: "192.0.2.1".into(), calls, over };
    let rows = || one::<i64>(&store, "SELECT count(*) FROM audit WHERE action = 'turn_away'");
    let before = rows();
    for _ in 0..2 {
        note(&store, 1.0, turned_away(1, false));
        note(&store, 11.0, turned_away(9_411, true));
    }
    note(&store, 12.0, turned_away(0, true));
    assert_eq!((before, rows()), (0, 2));
    let detail = "SELECT detail FROM audit WHERE action = 'turn_away' ORDER BY id DESC LIMIT 1";
    assert_eq!(one::<String>(&store, detail), "9411");
    wait(store.verify_audit()).unwrap();
}

#[test]
fn rel_t11_voice_from_elsewhere_is_in_the_audit_with_its_address() {
    let store = store();
    note(&store, 0.0, arrival(1, "101"));
    let (call, from) = (call(1), "192.0.2.1:4444".to_owned());
    for (party, taken) in [(Party::Officer, true), (Party::Caller, false)] {
        let told = note(&store, 2.0, Fact::Elsewhere { call, party, from: from.clone(), taken });
        assert_eq!(told.live, [Live::Entry { entry: call.into() }]);
    }
    let rows = "SELECT group_concat(action || ' ' || detail, ',') FROM audit
                WHERE action IN ('call.latched', 'call.stray_voice')";
    let seen = one::<String>(&store, rows);
    assert_eq!(seen, "call.latched officer 192.0.2.1:4444,call.stray_voice caller 192.0.2.1:4444");
}

#[test]
fn a_call_and_its_entry_are_born_together_and_once() {
    let store = store();
    let first = note(&store, 0.0, arrival(1, "13812345678"));
    assert_eq!(first.input, Some(Input::Stored { call: call(1) }));
    assert!(matches!(first.live[..], [Live::Ringing { .. }]));
    let again = note(&store, 0.0, arrival(1, "13812345678"));
    assert_eq!(again.input, Some(Input::Stored { call: call(1) }), "the switchboard waits");
    assert_eq!(one::<i64>(&store, "SELECT count(*) FROM entry"), 1);
    assert_eq!(one::<i64>(&store, "SELECT count(*) FROM revision"), 1);
    assert_eq!(one::<String>(&store, "SELECT number FROM call"), "电-20261003-0001");
    assert_eq!(one::<String>(&store, "SELECT number FROM entry"), "记-20261003-0001");
}

#[test]
fn numbers_count_per_day_in_beijing() {
    let store = store();
    note(&store, 0.0, arrival(1, "101"));
    note(&store, 1.0, arrival(2, "101"));
    note(&store, 3.0 * 3600.0, arrival(3, "101"));
    let numbers = wait(store.recent_entries(10)).unwrap();
    let numbers: Vec<_> = numbers.iter().map(|row| row.number.as_str()).collect();
    assert_eq!(numbers, ["记-20261004-0001", "记-20261003-0002", "记-20261003-0001"]);
}

#[test]
fn a_known_number_shows_its_owner_and_how_often_he_called() {
    let store = store();
    let contact = Contact {
        name: "李四".to_owned(),
        unit: "市住建局".to_owned(),
        duty: "办公室".to_owned(),
        numbers: vec!["138-1234-5678".to_owned()],
    };
    wait(store.set_contacts(vec![contact], Numbering::default())).unwrap();
    note(&store, 0.0, arrival(1, "13812345678"));
    let told = note(&store, 60.0, arrival(2, "+8613812345678"));
    assert!(matches!(&told.live[..], [Live::Ringing { name, .. }] if name == "李四"));
    let row = wait(store.entry_row(call(2).into())).unwrap().unwrap();
    assert_eq!((row.caller_unit.as_str(), row.caller_name.as_str()), ("市住建局", "李四"));
    assert_eq!(row.call.unwrap().nth_today, 2);
    assert_eq!(wait(store.verify_entry(call(2).into())).unwrap(), 1);
    note(&store, 70.0, arrival(3, "101"));
    note(&store, 80.0, arrival(4, "13812345678"));
    note(&store, 24.0 * 3600.0, arrival(5, "13812345678"));
    let nth = |n| wait(store.entry_row(call(n).into())).unwrap().unwrap().call.unwrap().nth_today;
    assert_eq!([nth(3), nth(4), nth(5)], [1, 3, 1], "of another number, once more, the day after");
}

#[test]
fn a_call_is_followed_from_ring_to_end() {
    let store = store();
    note(&store, 0.0, arrival(1, "101"));
    let phone = || "值班台话机".to_owned();
    let other = || "副班话机".to_owned();
    note(&store, 0.1, Fact::Rung { call: call(1), phone: other() });
    note(&store, 20.0, Fact::NotTaken { call: call(1), phone: other(), status: 487 });
    note(&store, 20.1, Fact::Rung { call: call(1), phone: phone() });
    note(&store, 25.0, Fact::Answered { call: call(1), phone: phone() });
    let ended = Fact::Ended {
        call: call(1),
        disposition: Disposition::Answered,
        by: Some(Party::Caller),
        status: 200,
        why: "BYE".to_owned(),
    };
    note(&store, 85.5, ended.clone());
    note(&store, 90.0, ended);
    let view = wait(store.entry(call(1).into())).unwrap().unwrap();
    let row = view.row.call.unwrap();
    assert_eq!((row.ring_ms, row.talk_ms), (Some(25_000), Some(60_500)));
    assert_eq!(row.answered_by.as_deref(), Some("值班台话机"));
    assert_eq!(row.disposition, Some(Disposition::Answered));
    assert_eq!(view.legs.len(), 2);
    assert_eq!((view.legs[0].status, view.legs[0].taken), (Some(487), None));
    assert_eq!(view.legs[1].ended, Some(at(85.5).wall));
    assert_eq!(view.recording.unwrap().state, RecordingState::Finalizing);
}

#[test]
fn rec_s4_what_a_second_officer_carried_stands_beside_the_first_and_is_written_once() {
    let store = store();
    note(&store, 0.0, arrival(1, "101"));
    let carried = |received, party| {
        let counts = Counts { received, ..Counts::default() };
        Fact::Carried { call: call(1), party, counts, quality: None }
    };
    note(&store, 36.0, carried(1_800, Party::Officer));
    for _again in 0..2 {
        note(&store, 60.0, carried(1_200, Party::Officer));
        note(&store, 60.0, carried(3_000, Party::Caller));
    }
    let sum = "SELECT count(*), sum(received) FROM carried WHERE party = 'officer'";
    let sum = store.write(move |tx| {
        Ok(tx.sql.query_row(sum, [], |row| Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?)))?)
    });
    assert_eq!(wait(sum).unwrap(), (2, 3_000));
}

#[test]
fn rec_s4_who_spoke_on_which_leg_from_when_to_when_is_kept() {
    let store = store();
    note(&store, 0.0, arrival(1, "101"));
    let call = call(1);
    let (desk, other) = (|| "值班台话机".to_owned(), || "3001".to_owned());
    note(&store, 0.1, Fact::Rung { call, phone: desk() });
    note(&store, 5.0, Fact::Answered { call, phone: desk() });
    let how = Joining::Transfer;
    note(&store, 20.0, Fact::Joining { call, phone: other(), how });
    note(&store, 22.0, Fact::NotTaken { call, phone: other(), status: 486 });
    note(&store, 30.0, Fact::Joining { call, phone: other(), how });
    note(&store, 36.0, Fact::Joined { call, phone: other() });
    note(&store, 36.0, Fact::Left { call, phone: desk() });
    note(&store, 36.0, Fact::Left { call, phone: desk() });
    note(&store, 60.0, ended(Disposition::Answered));
    let legs = wait(store.entry(call.into())).unwrap().unwrap().legs;
    let seen: Vec<_> = legs.iter().map(|leg| (leg.how, leg.taken, leg.ended, leg.status)).collect();
    let wall = |seconds| Some(at(seconds).wall);
    assert_eq!(
        seen,
        [
            (Joining::Rung, wall(5.0), wall(36.0), Some(200)),
            (Joining::Transfer, None, wall(22.0), Some(486)),
            (Joining::Transfer, wall(36.0), wall(60.0), Some(200)),
        ]
    );
    assert_eq!(one::<i64>(&store, "SELECT count(*) FROM entry"), 1);
}

#[test]
fn facts_of_an_unknown_call_change_nothing() {
    let store = store();
    let applied = note(&store, 0.0, Fact::Answered { call: call(9), phone: "x".to_owned() });
    assert_eq!(applied, Applied::default());
    assert_eq!(one::<i64>(&store, "SELECT count(*) FROM recording"), 0);
}

#[test]
fn rec_s9_ringing_waiting_and_talking_are_told_apart() {
    let store = store();
    note(&store, 0.0, arrival(1, "101"));
    let call = call(1);
    note(&store, 4.0, Fact::Began { call, stretch: Stretch::Queued });
    let row = |store: &Store| wait(store.entry_row(call.into())).unwrap().unwrap();
    assert_eq!(row(&store).call.unwrap().state, CallState::Queued);
    note(&store, 24.0, Fact::Answered { call, phone: "值班台话机".to_owned() });
    note(&store, 30.0, Fact::Began { call, stretch: Stretch::Hold(Party::Officer) });
    assert_eq!(row(&store).call.unwrap().state, CallState::Held);
    note(&store, 46.0, Fact::Over { call, stretch: Stretch::Hold(Party::Officer) });
    assert_eq!(row(&store).call.unwrap().state, CallState::InCall);
    note(&store, 60.0, ended(Disposition::Answered));
    let view = wait(store.entry(call.into())).unwrap().unwrap();
    let seen = view.row.call.unwrap();
    assert_eq!((seen.ring_ms, seen.talk_ms), (Some(4_000), Some(36_000)));
    assert_eq!(seen.answered, Some(at(24.0).wall));
    let stretches = view.stretches.iter().map(|one| (one.kind, one.lasts_ms.unwrap()));
    let expected = [(StretchKind::Queued, 20_000), (StretchKind::Hold, 16_000)];
    assert_eq!(stretches.collect::<Vec<_>>(), expected);
    assert_eq!(view.stretches[1].party, "officer");
    assert_eq!(view.callback, None, "he was spoken to");
}

#[test]
fn rec_s5_who_was_not_spoken_to_is_to_be_called_back_and_settled_once() {
    use Disposition::*;
    for how in [Missed, Abandoned, BusyMissed, Message] {
        let store = store();
        let who = officer();
        note(&store, 0.0, arrival(1, "101"));
        note(&store, 9.0, ended(how));
        note(&store, 9.0, ended(how));
        let entry = call(1).into();
        let state = |store: &Store| wait(store.entry_row(entry)).unwrap().unwrap().callback;
        assert_eq!(state(&store), Some(CallbackState::Open));
        let settle = |reason| wait(store.settle_callback(&who, entry, reason, at(60.0)));
        assert_eq!(settle(Some(" ")).unwrap(), Settled::NoReason);
        assert_eq!(settle(Some("空号")).unwrap(), Settled::Settled);
        assert_eq!(settle(None).unwrap(), Settled::Already);
        let view = wait(store.entry(entry)).unwrap().unwrap().callback.unwrap();
        assert_eq!((view.state, view.reason.as_str()), (CallbackState::Impossible, "空号"));
        assert_eq!(view.settled_by, Some(who.name.clone()));
    }
    for how in [Answered, Declined, Failed, Interrupted, Elsewhere] {
        let store = store();
        let who = officer();
        note(&store, 0.0, arrival(1, "101"));
        note(&store, 9.0, ended(how));
        let settled = wait(store.settle_callback(&who, call(1).into(), None, at(60.0)));
        assert_eq!(settled.unwrap(), Settled::NotFound);
    }
}

#[test]
fn sig_13_a_recording_that_began_before_the_answer_says_so() {
    let store = store();
    note(&store, 0.0, arrival(1, "101"));
    let call = call(1);
    note(&store, 2.0, Fact::Began { call, stretch: Stretch::Early });
    note(&store, 9.0, Fact::Answered { call, phone: "值班台话机".to_owned() });
    let view = wait(store.entry(call.into())).unwrap().unwrap();
    assert_eq!(view.recording.unwrap().started, at(2.0).wall);
    assert_eq!(view.stretches[0].kind, StretchKind::Early);
    assert_eq!(view.stretches[0].to, Some(at(9.0).wall));
    assert_eq!(view.row.call.unwrap().ring_ms, Some(9_000), "it was not answered before");
}

fn ended(disposition: Disposition) -> Fact {
    Fact::Ended { call: call(1), disposition, by: None, status: 480, why: "test".to_owned() }
}

#[test]
fn several_facts_are_written_all_or_none() {
    let store = store();
    let noted = |fact| Noted { at: at(0.0), fact };
    let facts = vec![noted(arrival(1, "101")), noted(Fact::LineUp), noted(arrival(2, "102"))];
    assert_eq!(wait(store.note_all(facts)).unwrap().len(), 3);
    assert_eq!(one::<i64>(&store, "SELECT count(*) FROM call"), 2);
}

#[test]
fn rel_19_the_list_is_in_the_logs_order_and_calls_that_go_on_are_on_top_whatever_the_clock_is_set_to()
 {
    let store = store();
    let ends = |seconds, n| {
        let (disposition, why) = (Disposition::Missed, String::new());
        note(
            &store,
            seconds,
            Fact::Ended { call: call(n), disposition, by: None, status: 200, why },
        );
    };
    let list = |most| {
        let rows = wait(store.recent_entries(most)).unwrap();
        rows.into_iter().map(|row| row.id).collect::<Vec<_>>()
    };
    let ids = |calls: &[u8]| calls.iter().map(|n| EntryId::from(call(*n))).collect::<Vec<_>>();
    entry(&store, 1, 9_000.0);
    ends(9_010.0, 1);
    // It is set back.
    entry(&store, 2, 20.0);
    assert_eq!(list(10), ids(&[2, 1]), "it rings");
    entry(&store, 3, 30.0);
    ends(40.0, 3);
    assert_eq!(list(10), ids(&[2, 3, 1]), "it still rings");
    assert_eq!(list(2), ids(&[2, 3]));
    ends(50.0, 2);
    assert_eq!(list(10), ids(&[3, 2, 1]));
}
