//! 日期存疑: no clock makes a recording old, and no single word does.

use super::*;
use crate::duty::keeping::Doubt;
use chrono::{DateTime, Utc};

/// While the clock is so many days off.
fn off(now: Now, days: i64) -> Now {
    Now { wall: now.wall + TimeDelta::days(days), ..now }
}

impl House {
    /// One that was sealed while the clock was off by so many days.
    async fn sealed_off_by(days: i64) -> Self {
        let house = Self::with(0).await;
        note(&house.store, 1.0, arrival(1, "13812345678"));
        house.talks_and_is_sealed(1, off(at(4.0), days)).await;
        house
    }

    async fn judged(&self, now: Now) -> (usize, usize) {
        let due = self.store.due(RULES, None, now).await.unwrap();
        (due.list.len(), due.doubtful.len())
    }

    async fn says(&self, who: &Who, made: DateTime<Utc>, now: Now) -> Option<i64> {
        self.store.date(who, vec![call(1)], made, RULES, "听录音内容", now).await.unwrap()
    }
}

#[tokio::test]
async fn rec_d14_what_was_made_by_a_clock_years_behind_is_due_when_its_term_was_seen_to_pass() {
    let house = House::sealed_off_by(-9_000).await;
    let due = house.store.due(RULES, None, after(1)).await.unwrap();
    let [one] = &due.doubtful[..] else { panic!("{due:?}") };
    assert_eq!((due.list.len(), one.doubt, one.seen.num_days()), (0, Doubt::Unseen, 0));
    let list = house.store.list_for_destruction(&officer(), RULES, "期满", after(179)).await;
    assert_eq!(list, Ok(None), "on no list");
    assert_eq!(house.judged(later()).await, (1, 0));
    house.gives_up().await;
    assert!(house.turn().await);
    assert_eq!(house.files(call(1)), 0);
}

#[tokio::test]
async fn rec_d14_a_clock_that_is_set_forwards_and_a_host_that_was_off_make_nothing_due() {
    let house = House::with(1).await;
    let set = off(after(1), 9_000);
    assert_eq!(house.judged(set).await, (0, 1), "set, while the daemon runs or while it does not");
    let other_boot = Now { mono: at(0.0).mono, ..later() };
    assert_eq!(house.judged(other_boot).await, (0, 1), "who knows whether it was off so long");
    house.store.is_seen_running(after(100)).await.unwrap();
    let log = rusqlite::Connection::open(house.folder.path().join("a.db")).unwrap();
    log.execute_batch("UPDATE boot SET id = 'another'").unwrap();
    for (seen, judged) in [(0, (0, 1)), (79, (0, 1)), (81, (1, 0))] {
        let now = Now { mono: after(seen).mono, ..off(later(), 30) };
        house.store.is_seen_running(now).await.unwrap();
        assert_eq!(house.judged(now).await, judged, "{seen}");
    }
}

#[tokio::test]
async fn rec_d14_what_two_people_say_of_a_date_counts_for_what_they_had_before_them_alone() {
    let house = House::sealed_off_by(-9_000).await;
    note(&house.store, 8.0, arrival(2, "13812345678"));
    house.talks_and_is_sealed(2, off(at(9.0), -9_000)).await;
    let now = after(10);
    assert_eq!(house.judged(now).await, (0, 2));
    let store = &house.store;
    let made = now.wall - TimeDelta::days(185);
    let say = |reason: &'static str, made| async move {
        store.date(&officer(), vec![call(1)], made, RULES, reason, now).await.unwrap()
    };
    assert_eq!(say(" ", made).await, None, "no reason");
    assert_eq!(say("x", now.wall + TimeDelta::days(1)).await, None, "it is to come");
    let said = say("听录音内容", made).await.unwrap();
    assert_eq!(say("再次", made).await, None, "somebody has said so");
    assert_eq!(house.judged(now).await, (0, 2), "one alone dates nothing");
    assert_eq!(store.agree_to_date(&officer(), said, now).await, Ok(Agreed::SamePerson));
    assert_eq!(store.agree_to_date(&second(), said, now).await, Ok(Agreed::Agreed));
    assert_eq!(store.agree_to_date(&second(), said, now).await, Ok(Agreed::Nothing), "once");
    assert_eq!(house.judged(now).await, (1, 1), "and nothing that was not before them");
    let list = store.list_for_destruction(&officer(), RULES, "期满", now).await.unwrap().unwrap();
    let (_, items) = store.destruction_list(list).await.unwrap().unwrap();
    assert_eq!((items.len(), items[0].call, items[0].dated), (1, call(1), Some(made)));
    let by_hand = rusqlite::Connection::open(house.folder.path().join("a.db")).unwrap();
    let alone = "INSERT INTO dating VALUES (9, 0, 'x', 1, 0);
         INSERT INTO dating_agreement VALUES (9, 1, 0, 0)";
    let alone = by_hand.execute_batch(alone).unwrap_err().to_string();
    assert!(alone.contains("two people"), "{alone}");
    store.verify_audit().await.unwrap();
}

#[tokio::test]
async fn rec_d14_a_date_that_was_agreed_to_goes_on_by_the_meter_and_by_no_clock() {
    let house = House::sealed_off_by(-9_000).await;
    let now = after(10);
    let said = house.says(&officer(), now.wall - TimeDelta::days(100), now).await.unwrap();
    house.store.agree_to_date(&second(), said, now).await.unwrap();
    assert_eq!(house.judged(now).await, (0, 0), "it is not past its keeping");
    assert_eq!(house.judged(off(now, 9_000)).await, (0, 1), "and no clock makes it so");
    assert_eq!(house.judged(after(89)).await, (0, 0));
    assert_eq!(house.judged(after(91)).await, (1, 0));
}

#[tokio::test]
async fn rec_d14_what_a_clock_put_into_the_future_is_doubtful_and_a_refused_date_is_none() {
    let house = House::sealed_off_by(9_000).await;
    let due = house.store.due(RULES, None, later()).await.unwrap();
    assert_eq!((due.list.len(), due.doubtful[0].doubt), (0, Doubt::Ahead));
    let said = house.says(&officer(), at(9.0).wall, later()).await.unwrap();
    assert_eq!(house.store.refuse_date(&second(), said, " ", later()).await, Ok(false));
    assert_eq!(house.store.refuse_date(&second(), said, "没听清", later()).await, Ok(true));
    assert_eq!(house.store.agree_to_date(&second(), said, later()).await, Ok(Agreed::Nothing));
    assert_eq!(house.judged(later()).await, (0, 1));
    let said = house.says(&second(), at(9.0).wall, later()).await.unwrap();
    assert_eq!(house.store.agree_to_date(&officer(), said, later()).await, Ok(Agreed::Agreed));
    assert_eq!(house.judged(later()).await, (1, 0));
}

#[tokio::test]
async fn rec_d14_what_is_past_its_keeping_is_read_a_page_at_a_time() {
    let house = House::with(0).await;
    let log = rusqlite::Connection::open(house.folder.path().join("a.db")).unwrap();
    log.execute_batch(
        "WITH RECURSIVE n (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < 2600)
         INSERT INTO entry (id, number, source, occurred_ms, recorded_ms)
           SELECT printf('00000000-0000-7000-8000-%012x', n), 'n' || n, 'call_in', 0, 0 FROM n;
         INSERT INTO call (id, number, entry, direction, state, caller, caller_plain,
             arrived_ms, arrived_mono)
           SELECT id, number, id, 'in', 'ended', '', '', 0, 0 FROM entry;
         INSERT INTO recording (call, state, started_ms, wav, digest, sealed_ms)
           SELECT id, 'sealed', 0, id, 'x', rowid FROM call;
         INSERT INTO recording_age SELECT call, -1000 * 86400000 FROM recording;
         INSERT INTO copy (call, kind, copied_ms) SELECT call, 'wav', 0 FROM recording
           WHERE sealed_ms > 2050",
    )
    .unwrap();
    let (mut after, mut seen) = (None, vec![]);
    loop {
        let page = house.store.due(RULES, after, later()).await.unwrap();
        seen.push((page.list.len(), page.no_copy));
        let Some(next) = page.next else { break };
        assert_eq!(next.to_string().parse(), Ok(next));
        after = Some(next);
    }
    assert_eq!(seen, [(0, 2_000), (500, 50), (50, 0)]);
    let list = house.list().await.unwrap();
    assert_eq!(house.store.destruction_list(list).await.unwrap().unwrap().0.recordings, 500);
}
