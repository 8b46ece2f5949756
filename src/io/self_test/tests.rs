//! What a self-test says of each number, in the log and on the page.

use super::*;
use crate::duty::journal::{Arrival, Fact, Noted};
use crate::io::store::tests::{random, store};

#[test]
fn rec_q4_only_a_call_that_the_log_does_not_have_went_elsewhere() {
    let here = || Some("举报专线".to_owned());
    let judged = |ended: Ended, arrived: Result<bool, String>| {
        let arrived = arrived.map(|it| here().filter(|_| it));
        without_voice(&ended, arrived, "举报专线").map(|one| one.0)
    };
    let refused = || Ended::Refused("INVITE 486 Busy Here".to_owned());
    let locked = || Err("another process keeps the log locked".to_owned());
    assert_eq!(judged(Ended::Talked, Ok(true)), None);
    assert_eq!(judged(Ended::Talked, Ok(false)), Some(Failing::Elsewhere));
    assert_eq!(judged(refused(), Ok(false)), Some(Failing::Refused));
    assert_eq!(judged(Ended::Unanswered, Ok(false)), Some(Failing::NotArrived));
    for ended in [refused(), Ended::Unanswered] {
        assert_eq!(judged(ended, Ok(true)), Some(Failing::NotServed));
    }
    for ended in [refused(), Ended::Unanswered, Ended::Talked] {
        assert_eq!(judged(ended, locked()), Some(Failing::NotFound));
    }
    let said = without_voice(&Ended::Talked, Err("locked".to_owned()), "").unwrap().1;
    assert!(said.contains("locked"), "{said}");
    for ended in [refused(), Ended::Unanswered, Ended::Talked] {
        let (failing, said) = without_voice(&ended, Ok(here()), "").unwrap();
        assert!(failing == Failing::OtherNumber && said.contains("举报专线"), "{said}");
    }
}

#[tokio::test]
async fn rec_q4_a_log_that_is_slow_is_asked_again() {
    let (store, call) = (store(), CallId::new(clock::now(), &mut random()));
    assert_eq!(arrived(&store, call, Duration::ZERO).await, Ok(None));
    let asking = tokio::spawn({
        let store = store.clone();
        async move { arrived(&store, call, Duration::from_secs(60)).await }
    });
    tokio::task::yield_now().await;
    let fact = Fact::Arrived(Box::new(Arrival::from_number(call, "13800130007", "")));
    store.note(Noted { at: clock::now(), fact }).await.unwrap();
    assert_eq!(asking.await.unwrap(), Ok(Some(String::new())));
}

fn numbers(all: &[&str]) -> Vec<Tested> {
    let one = |number: &&str| Tested {
        number: (*number).to_owned(),
        name: (*number).to_owned(),
        shown: if number.is_empty() { "63001234" } else { number }.to_owned(),
        dial: (*number).to_owned(),
    };
    all.iter().map(one).collect()
}

#[tokio::test]
async fn rec_q4_what_a_test_found_before_a_restart_is_an_alarm_after_it() {
    let (store, board) = (store(), Board::new());
    let at = clock::now();
    let row = |number: &str, failing, later| SelfTestRow {
        call: CallId::new(at, &mut clock::random()),
        number: number.to_owned(),
        at: at.wall + chrono::TimeDelta::seconds(later),
        asked_by: String::new(),
        failing,
        measured: Measured::default(),
        detail: String::new(),
    };
    let begins = async |numbers: &[Tested]| {
        warn_of(&board, &recall(numbers, &store).await, numbers);
        board.status()
    };
    let one = numbers(&[""]);
    assert!(begins(&one).await.alarms.is_empty(), "nothing was tested");
    store.self_tested(row("", Some(Failing::Left), 0), at).await.unwrap();
    let status = begins(&one).await;
    let alarm = &status.alarms["self_test"];
    assert_eq!(alarm.since, store.last_self_test("").await.unwrap().unwrap().at);
    assert!(alarm.zh.contains("来电一侧") && !alarm.zh.contains("63001234"), "{}", alarm.zh);

    // Each of several numbers stands for itself.
    let all = numbers(&["", "63005678", "63009999"]);
    store.self_tested(row("63005678", Some(Failing::Elsewhere), 1), at).await.unwrap();
    store.self_tested(row("63009999", None, 2), at).await.unwrap();
    let status = begins(&all).await;
    let zh = &status.alarms["self_test"].zh;
    assert!(
        zh.contains("63001234 自检录音里没有来电一侧")
            && zh.contains("63005678 自检电话被别处接听"),
        "{zh}"
    );
    assert!(!zh.contains("63009999"), "{zh}");
    let good = [("63001234", false), ("63005678", false), ("63009999", true)];
    let good = good.map(|(number, good)| (number.to_owned(), good));
    assert_eq!(status.self_tests, BTreeMap::from(good));
    store.self_tested(row("", None, 3), at).await.unwrap();
    let status = begins(&all).await;
    let zh = &status.alarms["self_test"].zh;
    assert!(zh.contains("63005678") && !zh.contains("63001234"), "{zh}");
    store.self_tested(row("63005678", None, 4), at).await.unwrap();
    assert!(begins(&all).await.alarms.is_empty());
}
