//! The page of roll-calls, numbers and drills.

use super::*;
use crate::duty::ids::AttemptId;
use crate::duty::journal::AttemptResult;
use crate::io::store::{Called, Try};

impl Room {
    /// The calls that are made at this moment.
    pub(super) async fn called(&self) -> Vec<(AttemptId, EntryId, String)> {
        let roster = &self.web.dialler.roster;
        let cycle = self.web.store.next_calls(clock::now(), &Policy::default(), roster);
        let called = |input| match input {
            Input::Notify(call) => Some((call.attempt, call.entry, call.target)),
            _ => None,
        };
        cycle.await.unwrap().inputs.into_iter().filter_map(called).collect()
    }
}

async fn room() -> Room {
    let mut room = Room::open().await;
    let person = |name: &str, role, number| Person::new(name, role, Some(number), None);
    let people = vec![
        person("张局", Role::Leader, "13900000001"),
        person("李副局", Role::Substitute, "13900000002"),
        person("值班台话机", Role::Officer, "2001"),
    ];
    room.web.dialler.roster = Roster { people };
    room.app = router(room.web.clone());
    room
}

#[tokio::test]
async fn a_roll_call_says_who_answered_and_who_did_not() {
    let room = room().await;
    let page = room.get("/roll-call").await.text;
    assert!(page.contains("还没有点过名") && page.contains("未核实"), "{page}");
    assert!(!page.contains("值班台话机"), "the desk answers no roll-call");
    assert_eq!(room.post("/roll-call", "").await.status, StatusCode::SEE_OTHER);
    let called = room.called().await;
    assert_eq!(called.len(), 2);
    let again = room.post("/roll-call", "").await;
    assert!(again.text.contains("上一次点名还没有完"), "{}", again.text);
    for (attempt, entry, target) in called {
        let (result, status) = match target.as_str() {
            "13900000001" => {
                room.happens(Fact::Acknowledged { attempt, entry }).await;
                (AttemptResult::Acknowledged, 200)
            }
            _ => (AttemptResult::Unreachable, 404),
        };
        room.happens(Fact::AttemptEnded { attempt, result, status }).await;
    }
    assert!(room.called().await.is_empty());
    let page = room.get("/roll-call").await.text;
    assert!(page.contains("按键确认") && page.contains("未应答"), "{page}");
    assert!(page.contains("主班员"), "who asked for it");
    let strip = room.get("/strip").await.text;
    assert!(strip.contains("1/2") && strip.contains("李副局"), "{strip}");
    assert!(!strip.contains("data-siren"), "{strip}");
    let rows = room.get("/rows").await.text;
    assert!(rows.contains("点名：张局") && rows.contains("mark drill"), "{rows}");
}

#[tokio::test]
async fn only_a_number_of_the_roster_is_called_to_prove_it() {
    let room = room().await;
    let form = "person=%E5%BC%A0%E5%B1%80&number=13900000001";
    assert_eq!(room.post("/roll-call/number", form).await.status, StatusCode::SEE_OTHER);
    let going = room.post("/roll-call/number", form).await;
    assert!(going.text.contains("正在核实这个号码"), "{}", going.text);
    for strange in ["person=%E5%BC%A0%E5%B1%80&number=110", "person=x&number=13900000001"] {
        let answer = room.post("/roll-call/number", strange).await;
        assert!(answer.text.contains("值班表里没有这个号码"), "{}", answer.text);
    }
    let called = room.called().await;
    assert_eq!(called.len(), 1);
    let (attempt, entry, _) = called[0].clone();
    room.happens(Fact::Acknowledged { attempt, entry }).await;
    let result = AttemptResult::Acknowledged;
    room.happens(Fact::AttemptEnded { attempt, result, status: 200 }).await;
    let page = room.get("/roll-call").await.text;
    let (_, sheet) = page.split_once("<main").unwrap();
    let (sheet, _) = sheet.split_once("</main>").unwrap();
    assert_eq!(sheet.matches("未核实").count(), 1, "the other one: {page}");
}

#[tokio::test]
async fn esc_83_a_drill_is_marked_wherever_it_is_shown_and_cannot_be_told_by_hand() {
    let room = room().await;
    let answer = room.post("/drill", "urgency=critical").await;
    assert_eq!(answer.status, StatusCode::SEE_OTHER);
    let strip = room.get("/strip").await.text;
    assert!(strip.contains("alarm drill") && strip.contains("演练"), "{strip}");
    let (_, entry, _) = room.called().await[0].clone();
    let shown = room.get(&format!("/entries/{entry}")).await.text;
    assert!(shown.matches("mark drill").count() >= 2, "{shown}");
    assert!(shown.contains("<small>演练 · "), "each attempt says so: {shown}");
    assert!(!shown.contains("人工已联系</"), "{shown}");
    let article = room.fragment(&format!("/entries/{entry}")).await.text;
    assert!(!article.contains("data-key=\"F2\"") && article.contains("这是演练记录"), "{article}");
    let flagged = room.post(&format!("/entries/{entry}/urgency"), "urgency=critical").await;
    assert!(
        !flagged.status.is_success() && flagged.text.contains("这是演练记录"),
        "{}",
        flagged.text
    );
    let again = room.post("/drill", "urgency=urgent").await;
    assert!(again.text.contains("上一次演练还没有完"), "{}", again.text);
    let odd = room.post("/drill", "urgency=often").await;
    assert_eq!(odd.status, StatusCode::UNPROCESSABLE_ENTITY);
}

#[tokio::test]
async fn esc_83_an_exercise_is_no_call_of_a_period_and_is_marked_in_it() {
    let room = room().await;
    let begun = clock::now().wall;
    room.web.store.settings_are("x".to_owned(), clock::now()).await.unwrap();
    assert_eq!(room.post("/roll-call", "").await.status, StatusCode::SEE_OTHER);
    let field = |at: chrono::DateTime<chrono::Utc>| {
        at.with_timezone(&crate::duty::entry::beijing()).format("%Y-%m-%dT%H%%3A%M").to_string()
    };
    let minutes = chrono::TimeDelta::minutes;
    let (from, to) = (field(begun - minutes(5)), field(begun + minutes(5)));
    let page = room.get(&format!("/period?from={from}&to={to}")).await.text;
    assert!(page.contains("mark drill"), "{page}");
    assert!(page.contains("<small>0</small>") && !page.contains("<small>2</small>"), "{page}");
}

#[tokio::test]
async fn a_roll_call_that_waits_for_another_begins_when_that_is_over() {
    let room = room().await;
    let store = &room.web.store;
    let one =
        |person: &str| Try { person: person.to_owned(), role: Role::Leader, number: String::new() };
    let asked = async |run: &str| {
        store.roll_call(None, run, vec![one("张局")], clock::now()).await.unwrap()
    };
    assert_eq!(asked("yesterday").await, Called::Begun);
    assert_eq!(asked("yesterday").await, Called::Already);
    assert_eq!(asked("today").await, Called::Going, "to be asked for again");
    for (attempt, entry, _) in room.called().await {
        room.happens(Fact::Acknowledged { attempt, entry }).await;
        let result = AttemptResult::Acknowledged;
        room.happens(Fact::AttemptEnded { attempt, result, status: 200 }).await;
    }
    assert_eq!(asked("today").await, Called::Begun);
    assert_eq!(asked("today").await, Called::Already);
}

#[tokio::test]
async fn a_roll_call_of_nobody_has_not_begun_and_says_so() {
    let mut room = room().await;
    room.web.dialler.roster.people.retain(|person| person.role == Role::Officer);
    room.app = router(room.web.clone());
    let answer = room.post("/roll-call", "").await;
    assert!(answer.text.contains("没有叫任何人"), "{}", answer.text);
    let store = &room.web.store;
    let asked = async |people| store.roll_call(None, "today", people, clock::now()).await.unwrap();
    assert_eq!(asked(vec![]).await, Called::Nobody, "to be asked for again");
    let one = Try { person: "张局".to_owned(), role: Role::Leader, number: String::new() };
    assert_eq!(asked(vec![one]).await, Called::Begun, "somebody holds it now");
    assert_eq!(asked(vec![]).await, Called::Already);
}

#[tokio::test]
async fn a_roll_call_that_no_daemon_finished_in_time_is_shown_as_left_out() {
    let room = room().await;
    let store = &room.web.store;
    let one = Try { person: "张局".to_owned(), role: Role::Leader, number: String::new() };
    let mut before = clock::now();
    before.wall -= chrono::TimeDelta::minutes(31);
    assert_eq!(store.roll_call(None, "old", vec![one], before).await.unwrap(), Called::Begun);
    assert!(room.called().await.is_empty(), "nobody is woken for it");
    assert!(store.roll_calls(1).await.unwrap()[0].over);
    let page = room.get("/roll-call").await.text;
    assert!(page.contains("过时未叫"), "{page}");
}
