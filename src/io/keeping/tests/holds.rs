//! 封存: a hold beats the term, the list and what was agreed to, until it is gone.

use super::*;

#[tokio::test]
async fn rec_e6_a_hold_beats_the_term_the_list_and_a_hand_in_the_database() {
    let house = House::with(2).await;
    let list = house.list().await.unwrap();
    let Held { id: hold, spared: 0, going: 0, gone: 0 } = house.hold(1).await else {
        panic!("not yet")
    };
    assert_eq!(house.agree(&second(), list).await, Agreed::Agreed);
    assert!(house.turn().await);
    assert_eq!([1, 2].map(|n| house.files(call(n))), [4, 0], "held in between");
    let by_hand = give_up_by_hand(&house.folder.path().join("a.db"), &call(1).to_string(), list);
    assert!(by_hand.contains("what is held is not destroyed"), "{by_hand}");
    let due = house.store.due(RULES, None, later()).await.unwrap();
    assert_eq!((due.list.len(), due.held), (0, 1));

    let store = &house.store;
    assert_eq!(store.agree_to_release(&second(), 1, later()).await.unwrap(), Agreed::Nothing);
    assert!(!store.ask_for_release(&officer(), hold, " ", later()).await.unwrap(), "no reason");
    assert!(store.ask_for_release(&officer(), hold, "结案", later()).await.unwrap());
    let asked = || async {
        let [row] = &store.holds().await.unwrap()[..] else { panic!("one is held") };
        row.asked.clone().unwrap()
    };
    let first = asked().await;
    assert_eq!(first.reason, "结案");
    let agree = |who: Who, request| async move {
        store.agree_to_release(&who, request, later()).await.unwrap()
    };
    assert_eq!(agree(officer(), first.id).await, Agreed::SamePerson);
    assert!(store.ask_for_release(&officer(), hold, "误封", later()).await.unwrap());
    assert_eq!(agree(second(), first.id).await, Agreed::Nothing, "he has read another reason");
    assert_eq!(agree(second(), asked().await.id).await, Agreed::Agreed);
    assert!(store.holds().await.unwrap().is_empty());
    let due = store.due(RULES, None, later()).await.unwrap();
    assert_eq!((due.list.len(), due.held), (1, 0), "only now");
}

#[tokio::test]
async fn rec_e6_a_hold_beats_what_two_people_have_agreed_to_until_it_is_gone() {
    let house = House::with(3).await;
    house.gives_up().await;
    let [_, copies] = house.folders();
    let away = copies.with_extension("away");
    fs::rename(copies, &away).unwrap();
    assert!(!house.turn().await);
    let own = |n| fs::metadata(house.plan.recordings.join(format!("2026/10/03/{}.wav", call(n))));
    assert!((1..=3).all(|n| own(n).is_ok()), "without the second disk the first is not touched");
    let held = house.hold(1).await;
    assert_eq!((held.spared, held.gone), (1, 0));
    fs::rename(&away, copies).unwrap();
    assert!(house.turn().await);
    assert_eq!([1, 2, 3].map(|n| house.files(call(n))), [4, 0, 0]);
    assert!(house.store.recording_file(call(1)).await.unwrap().is_some(), "it is played still");
    let (_elsewhere, _, found) = house.hands_out(Scope::Entry(call(1).into())).await;
    assert!(found.is_sound() && found.destroyed == 0, "{found}");

    let late = house.hold(2).await;
    assert_eq!((late.spared, late.gone), (0, 1), "and who holds too late is told");
    assert_eq!(house.store.holds().await.unwrap()[0].gone, 1);

    house.is_released(held.id).await;
    assert!(house.turn().await);
    assert_eq!(house.files(call(1)), 4, "the old list destroys it no more");
    let again = house.gives_up().await;
    assert_eq!(again, 2, "two people say so anew");
    assert!(house.turn().await);
    assert_eq!(house.files(call(1)), 0);
    let (_, items) = house.store.destruction_list(1).await.unwrap().unwrap();
    let states: Vec<_> = items.iter().map(|item| item.state).collect();
    assert_eq!(states, [ItemState::Spared, ItemState::Gone, ItemState::Gone]);
    house.store.verify_audit().await.unwrap();
}

/// Asked before each is removed, not once for all of them.
#[tokio::test]
async fn rec_e6_a_hold_counts_between_two_recordings_of_one_turn() {
    let house = House::with(1).await;
    house.gives_up().await;
    let doomed = house.store.doomed(None, 9).await.unwrap().pop().unwrap();
    house.hold(1).await;
    assert!(matches!(house.keeper.let_go(doomed, true).await, Ok(Ok(Came::Stays))));
    assert_eq!((house.files(call(1)), house.gone().await), (4, 0));
}

#[tokio::test]
async fn rec_e6_a_hold_covers_our_calls_about_the_matter_and_the_leaders_who_were_told_of_it() {
    let rules = Rules { urgent: Some(TimeDelta::days(180)), ..RULES };
    let house = House::with(3).await;
    house.record_about(4, 1).await;
    house.record_about(5, 4).await;
    let store = &house.store;
    for n in [2, 3] {
        store.flag(&officer(), call(n).into(), Urgency::Urgent, at(20.0)).await.unwrap();
    }
    let cycle = store.next_calls(at(21.0), &Policy::default(), &roster()).await.unwrap();
    let orders: Vec<_> = cycle
        .inputs
        .into_iter()
        .filter_map(|input| match input {
            Input::Notify(order) => Some(order),
            _ => None,
        })
        .collect();
    let host = orders.iter().find(|order| order.joins.is_none()).unwrap();
    let joined = orders.iter().find(|order| order.joins == Some(host.attempt)).unwrap();
    for order in [host, joined] {
        let (attempt, result) = (order.attempt, AttemptResult::Acknowledged);
        note(store, 22.0, Fact::AttemptAnswered { attempt });
        note(store, 23.0, Fact::AttemptEnded { attempt, result, status: 200 });
    }
    let leader = CallId::from(host.attempt);
    house.is_sealed(leader, 9).await;
    let other = if joined.entry == call(2).into() { 2 } else { 3 };
    assert_ne!(joined.entry, host.entry);

    let class = |due: &crate::io::store::Due, of: CallId| {
        due.list.iter().find(|row| row.call == of).map(|row| row.class)
    };
    let due = store.due(rules, None, later()).await.unwrap();
    assert_eq!(due.list.len(), 6);
    let of = [call(1), call(4), call(2), leader].map(|call| class(&due, call).unwrap());
    assert_eq!(of, [Class::Ordinary, Class::Ordinary, Class::Urgent, Class::Urgent]);
    let complaint = house.hold(1).await;
    let told = house.hold(other).await;
    let due = store.due(rules, None, later()).await.unwrap();
    assert_eq!((due.list.len(), due.held), (1, 5), "{:?}", due.list);
    for hold in [complaint, told] {
        house.is_released(hold.id).await;
    }
    store.flag(&officer(), call(1).into(), Urgency::Urgent, at(30.0)).await.unwrap();
    let due = store.due(rules, None, later()).await.unwrap();
    assert_eq!([4, 5].map(|n| class(&due, call(n)).unwrap()), [Class::Urgent; 2]);

    let list = store.list_for_destruction(&officer(), rules, "x", later()).await.unwrap().unwrap();
    for n in [1, other] {
        house.hold(n).await;
    }
    let agreed = store.agree_to_destruction(&second(), list, rules, later()).await.unwrap();
    assert_eq!(agreed, Agreed::Agreed);
    for of in [call(4), call(5), leader] {
        let by_hand = give_up_by_hand(&house.folder.path().join("a.db"), &of.to_string(), list);
        assert!(by_hand.contains("what is held is not destroyed"), "{by_hand}");
    }
}

/// As if the daemon had been killed in the middle of it.
#[tokio::test]
async fn rec_e6_a_hold_after_the_removal_has_begun_is_told_so_and_settled_by_what_is_left() {
    for removed in 0..=4 {
        let house = House::with(1).await;
        house.gives_up().await;
        let begun = house.store.begin_removal(call(1), later()).await;
        assert_eq!(begun, Ok(Fate::Remove));
        let [own, copies] = house.folders().map(|folder| folder.join("2026/10/03"));
        let files = [&copies, &copies, &own, &own].into_iter().zip(["wav", "tape", "wav", "tape"]);
        for (folder, last) in files.take(removed) {
            fs::remove_file(folder.join(format!("{}.{last}", call(1)))).unwrap();
        }
        let held = house.hold(1).await;
        assert_eq!((held.spared, held.going, held.gone), (0, 1, 0), "nobody is told that it stays");
        assert_eq!(house.turn().await, removed != 3);
        assert_eq!(house.files(call(1)), 4 - removed, "nothing more is removed");
        let (_, items) = house.store.destruction_list(1).await.unwrap().unwrap();
        let row = &house.store.holds().await.unwrap()[0];
        let part = house.keeper.board.status().alarms.get("keeping_part").map(|it| it.zh.clone());
        let seen = (items[0].state, row.going, row.gone);
        match removed {
            0..=2 => assert_eq!(seen, (ItemState::Spared, 0, 0), "its own file is whole"),
            3 => assert_eq!(seen, (ItemState::Halted, 1, 0)),
            _ => assert_eq!(seen, (ItemState::Gone, 0, 1)),
        }
        assert_eq!(part.is_some_and(|part| part.contains("只剩一部分")), removed == 3);
        let played = house.store.recording_file(call(1)).await.unwrap().is_some();
        assert_eq!(played, removed < 3, "what cannot be played is not offered");
        house.store.verify_audit().await.unwrap();
        if removed == 3 {
            house.is_released(held.id).await;
            assert!(!house.turn().await);
            assert_eq!(house.files(call(1)), 1, "a release agrees to nothing");
            assert!(
                house.keeper.board.status().alarms.contains_key("keeping_part"),
                "it is told still"
            );
            house.agreed_anew_it_goes(2).await;
        }
    }
}

/// Nobody was seen by a turn of the keeper between hold and release.
#[tokio::test]
async fn rec_e6_a_removal_that_was_halted_takes_another_list_however_soon_the_hold_is_released() {
    let house = House::with(1).await;
    house.gives_up().await;
    assert_eq!(house.store.begin_removal(call(1), later()).await, Ok(Fate::Remove));
    for folder in house.folders() {
        fs::remove_file(folder.join(format!("2026/10/03/{}.wav", call(1)))).unwrap();
    }
    for _ in 0..2 {
        let held = house.hold(1).await;
        assert_eq!(held.going, 1);
        house.is_released(held.id).await;
    }
    assert!(!house.turn().await);
    assert_eq!(house.files(call(1)), 2);
    let list = house.list().await.unwrap();
    let late = house.hold(1).await;
    assert_eq!(house.agree(&second(), list).await, Agreed::Agreed);
    assert!(!house.turn().await);
    assert_eq!(house.files(call(1)), 2, "held again before anybody agreed");
    house.is_released(late.id).await;
    house.agreed_anew_it_goes(3).await;
}

/// As an older daemon left it, which noted nothing before it removed.
#[tokio::test]
async fn rec_d14_a_removal_that_an_older_daemon_had_begun_is_finished_or_settled() {
    for (removed, held) in [(0, false), (2, false), (0, true), (2, true), (3, true), (4, true)] {
        let house = House::with(1).await;
        house.gives_up().await;
        house.record(9).await;
        let log = rusqlite::Connection::open(house.folder.path().join("a.db")).unwrap();
        let going =
            "INSERT INTO going (call, list, at_ms, noted) SELECT call, list, 0, 0 FROM destroyed";
        log.execute_batch(going).unwrap();
        let [own, copies] = house.folders().map(|folder| folder.join("2026/10/03"));
        let files = [&copies, &copies, &own, &own].into_iter().zip(["wav", "tape", "wav", "tape"]);
        for (folder, last) in files.take(removed) {
            fs::remove_file(folder.join(format!("{}.{last}", call(1)))).unwrap();
        }
        if held {
            assert_eq!(house.hold(1).await.going, 1, "nobody is told that it stays");
        }
        let whole = house.turn().await;
        let (_, items) = house.store.destruction_list(1).await.unwrap().unwrap();
        match (held, removed) {
            (false, _) => assert_eq!((whole, items[0].state), (true, ItemState::Gone)),
            (true, 0 | 2) => assert_eq!((whole, items[0].state), (true, ItemState::Spared)),
            (true, 3) => assert_eq!((whole, items[0].state), (false, ItemState::Halted)),
            _ => assert_eq!((whole, items[0].state), (true, ItemState::Gone)),
        }
        let stay = if held { 4 - removed } else { 0 };
        assert_eq!(house.files(call(1)), stay, "{removed} {held}");
    }
    let house = House::with(1).await;
    house.gives_up().await;
    let log = rusqlite::Connection::open(house.folder.path().join("a.db")).unwrap();
    log.execute_batch(
        "INSERT INTO going (call, list, at_ms, noted) SELECT call, list, 0, 0 FROM destroyed",
    )
    .unwrap();
    for last in ["wav", "tape"] {
        let copy = house.folders()[1].join(format!("2026/10/03/{}.{last}", call(1)));
        fs::remove_file(copy).unwrap();
    }
    assert!(!house.turn().await, "whether that disk is the one of before, nothing shows");
    assert_eq!(house.files(call(1)), 2);
}

#[tokio::test]
async fn rec_e6_what_our_call_about_it_is_held_or_flagged_for_holds_for_the_first_report_too() {
    let rules = Rules { urgent: Some(TimeDelta::days(180)), ..RULES };
    let house = House::with(2).await;
    house.record_about(4, 1).await;
    let store = &house.store;
    store.flag(&officer(), call(4).into(), Urgency::Urgent, at(20.0)).await.unwrap();
    let due = store.due(rules, None, later()).await.unwrap();
    let class = |of| due.list.iter().find(|row| row.call == of).unwrap().class;
    assert_eq!([1, 2, 4].map(|n| class(call(n))), [Class::Urgent, Class::Ordinary, Class::Urgent]);
    let list = store.list_for_destruction(&officer(), rules, "x", later()).await.unwrap().unwrap();
    house.hold(4).await;
    let agreed = store.agree_to_destruction(&second(), list, rules, later()).await;
    assert_eq!(agreed, Ok(Agreed::Agreed));
    let by_hand = give_up_by_hand(&house.folder.path().join("a.db"), &call(1).to_string(), list);
    assert!(by_hand.contains("what is held is not destroyed"), "{by_hand}");
    assert!(house.turn().await);
    assert_eq!([1, 2, 4].map(|n| house.files(call(n))), [4, 0, 4]);
}
