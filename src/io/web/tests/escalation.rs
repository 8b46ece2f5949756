//! What leaders and officers do about an escalation on the page.

use super::*;
use crate::duty::escalation::Policy;
use crate::duty::ids::AttemptId;
use crate::duty::journal::AttemptResult;
use crate::duty::roster::{Person, Role, Roster};
use crate::io::status::PartState;
use crate::io::store::ReadHow;
use crate::io::store::tests::locked;

const LEADER: &str = "张局";

fn roster() -> Roster {
    Roster { people: vec![Person::new(LEADER, Role::Leader, Some("13900000001"), None)] }
}

impl Room {
    /// A flagged entry, and the attempt that is on its way to the leader.
    async fn flagged(&self) -> (EntryId, AttemptId) {
        let entry = self.caller_dials("13800130007", "").await;
        let flagged = self.post(&format!("/entries/{entry}/urgency"), "urgency=urgent").await;
        assert_eq!(flagged.status, StatusCode::OK);
        let attempt = self.calls(Duration::ZERO).await;
        (entry, attempt.expect("the leader is called"))
    }

    /// Whoever is called so much later.
    async fn calls(&self, later: Duration) -> Option<AttemptId> {
        let now = clock::now() + later;
        let cycle = self.web.store.next_calls(now, &Policy::default(), &roster()).await.unwrap();
        cycle.inputs.into_iter().find_map(|input| match input {
            Input::Notify(call) => Some(call.attempt),
            _ => None,
        })
    }

    async fn leader_signs_in(&mut self) {
        self.signs_in_as_leader("zhang", LEADER).await;
    }

    async fn signs_in_as_leader(&mut self, login: &str, name: &str) {
        let leader = NewPerson {
            login: login.to_owned(),
            name: name.to_owned(),
            account: Account::Leader,
            password: PASSWORD.to_owned(),
        };
        self.web.store.add_person(leader, "test", clock::now()).await.unwrap();
        self.cookie = cookie(&self.sign_in(login, PASSWORD).await);
    }
}

#[tokio::test]
async fn the_reporting_clock_runs_beside_an_urgent_matter_and_is_red_when_its_time_is_over() {
    let mut room = Room::open().await;
    room.web.report = Duration::from_secs(20 * 60);
    room.app = router(room.web.clone());
    let now = clock::now();
    let entry = room.caller_dials("13800130007", "").await;
    let raised = Now { wall: now.wall - TimeDelta::minutes(19), ..now };
    let who = officer(&room).await;
    room.web.store.flag(&who, entry, Urgency::Urgent, raised).await.unwrap();
    let (path, since) = (format!("/entries/{entry}"), raised.wall.timestamp_millis());
    let runs = format!(r#"<b data-since="{since}" data-clock data-limit="1200">"#);
    let clock = format!("{runs}19:0");
    for page in [path.as_str(), "/strip"] {
        let text = room.get(page).await.text;
        assert!(text.contains(&clock) && text.contains("限 20 分钟"), "{page}: {text}");
        assert!(!text.contains("reporting late"), "{page}: {text}");
    }
    let later = room.caller_dials("13800130008", "").await;
    let raised = Now { wall: now.wall - TimeDelta::minutes(21), ..now };
    room.web.store.flag(&who, later, Urgency::Critical, raised).await.unwrap();
    let text = room.get(&format!("/entries/{later}")).await.text;
    assert!(text.contains("reporting late"), "{text}");
    room.web.store.withdraw(&who, entry, "误按", now).await.unwrap();
    assert!(!room.get(&path).await.text.contains(&runs), "nothing is to be reported");
}

#[tokio::test(flavor = "multi_thread")]
async fn esc_49_a_flag_that_the_log_does_not_take_goes_by_the_telephone() {
    let room = Room::open().await;
    let entry = room.caller_dials("13800130007", "").await;
    let path = format!("/entries/{entry}/urgency");
    let lock = locked(&room.folder.path().join("dutyline.db"));
    let told = room.post(&path, "urgency=critical").await;
    assert_eq!(told.status, StatusCode::ACCEPTED);
    assert!(told.text.contains("正在直接呼叫领导"), "{}", told.text);
    let Some(Input::Note(fact)) = room.ordered.lock().await.recv().await else { panic!("none") };
    let phone = "主班员".to_owned();
    assert_eq!(fact, Fact::Flagged { entry, urgency: Urgency::Critical, phone });
    drop(lock);
    let once = room.post(&path, "urgency=critical").await;
    assert_eq!(once.status, StatusCode::OK);
    assert!(room.ordered.lock().await.try_recv().is_err(), "the log has it");
}

#[tokio::test]
async fn a_flag_on_a_call_that_the_log_has_not_taken_yet_goes_by_the_telephone() {
    let room = Room::open().await;
    let entry = EntryId::from(CallId::new(clock::now(), &mut clock::random()));
    let path = format!("/entries/{entry}/urgency");
    assert_eq!(room.post(&path, "urgency=urgent").await.status, StatusCode::NOT_FOUND);
    room.web.board.update(|status| {
        status.log = PartState::Failed { since: clock::now().wall, why: "locked".to_owned() };
    });
    assert_eq!(room.post(&path, "urgency=urgent").await.status, StatusCode::ACCEPTED);
    let noted = room.ordered.lock().await.try_recv();
    assert!(matches!(noted, Ok(Input::Note(Fact::Flagged { .. }))), "{noted:?}");
}

#[tokio::test]
async fn esc_16_a_link_that_is_followed_acknowledges_nothing_and_neither_does_a_stranger() {
    let mut room = Room::open().await;
    let (entry, _) = room.flagged().await;
    let path = format!("/entries/{entry}/acknowledge");
    let officers = std::mem::take(&mut room.cookie);
    for _ in 0..100 {
        assert_ne!(room.get(&path).await.status, StatusCode::OK, "a preview of a chat");
        let _ = room.get(&format!("/entries/{entry}")).await;
    }
    assert_eq!(room.post(&path, "").await.status, StatusCode::UNAUTHORIZED);
    room.cookie = officers;
    assert_eq!(room.get(&path).await.status, StatusCode::METHOD_NOT_ALLOWED);
    let officer = room.post(&path, "").await;
    assert_eq!(officer.status, StatusCode::UNPROCESSABLE_ENTITY, "he is no leader");
    let open = room.web.store.open_escalations().await.unwrap();
    assert_eq!(open.len(), 1, "nobody has acknowledged");

    room.leader_signs_in().await;
    for _ in 0..2 {
        assert_eq!(room.post(&path, "").await.status, StatusCode::OK);
    }
    let found = room.web.store.entry(entry).await.unwrap().unwrap();
    let escalation = &found.escalations[0];
    let ack = escalation.row.acknowledged.as_ref().unwrap();
    assert_eq!((ack.person.as_str(), ack.role), (LEADER, Some(Role::Leader)));
    assert!(escalation.row.leader_reached.is_some() && escalation.row.read.is_some());
    assert_eq!(escalation.acknowledgements.len(), 1, "pressed twice it is one");
}

/// Of the steps of proof on the page: whether each is done.
fn proved(page: &str) -> Vec<bool> {
    let (_, steps) = page.split_once("<ol class=\"evidence\">").expect("the steps");
    let (steps, _) = steps.split_once("</ol>").expect("their end");
    steps.split("<li").skip(1).map(|step| step.starts_with(" class=\"done\"")).collect()
}

#[tokio::test]
async fn a_call_that_is_on_its_way_proves_nothing_and_one_that_rings_is_delivered() {
    let room = Room::open().await;
    let (entry, attempt) = room.flagged().await;
    let page = format!("/entries/{entry}");
    let steps = async || proved(&room.fragment(&page).await.text)[..3].to_vec();
    assert_eq!(steps().await, [false; 3], "ordered");
    room.happens(Fact::AttemptProgress { attempt }).await;
    assert_eq!(steps().await, [false; 3], "an announcement");
    room.happens(Fact::AttemptRinging { attempt }).await;
    assert_eq!(steps().await, [true, true, false]);
    room.happens(Fact::AttemptAnswered { attempt }).await;
    assert_eq!(steps().await, [true; 3]);
}

#[tokio::test]
async fn i_6_what_was_withdrawn_by_mistake_is_raised_again_by_the_same_key() {
    let room = Room::open().await;
    let (entry, _) = room.flagged().await;
    let page = format!("/entries/{entry}");
    let keys = async || {
        let shown = room.fragment(&page).await.text;
        ["F2", "F3"].map(|key| {
            let (_, button) = shown.split_once(&format!("data-key=\"{key}\"")).expect("a button");
            !button.split('>').next().unwrap().contains("disabled")
        })
    };
    assert_eq!(keys().await, [false, true], "it can become more urgent");
    let withdrawn = room.post(&format!("{page}/withdraw"), "reason=%E8%AF%AF%E6%8C%89").await;
    assert_eq!(withdrawn.status, StatusCode::OK);
    assert_eq!(keys().await, [true, true]);
    assert_eq!(
        room.post(&format!("{page}/urgency"), "urgency=critical").await.status,
        StatusCode::OK
    );
    assert_eq!(keys().await, [false, false]);
    assert!(room.calls(Duration::ZERO).await.is_some(), "the leader is called anew");
}

#[tokio::test]
async fn esc_38_whoever_is_nobody_on_the_roster_acknowledges_in_no_role_and_the_leader_is_called_on()
 {
    let mut room = Room::open().await;
    let (entry, attempt) = room.flagged().await;
    let result = AttemptResult::NoAnswer;
    room.happens(Fact::AttemptEnded { attempt, result, status: 487 }).await;
    room.signs_in_as_leader("qian", "钱局").await;
    assert_eq!(
        room.post(&format!("/entries/{entry}/acknowledge"), "").await.status,
        StatusCode::OK
    );
    let shown = room.fragment(&format!("/entries/{entry}")).await.text;
    assert!(shown.contains("领导账号（不在值班表） 钱局 已接报"), "{shown}");
    assert!(!shown.contains("同级替班领导 钱局"), "{shown}");
    let found = room.web.store.entry(entry).await.unwrap().unwrap();
    let escalation = &found.escalations[0];
    let roles = escalation.acknowledgements.iter().chain(&escalation.row.acknowledged);
    assert!(roles.map(|ack| ack.role).eq([None, None]), "{escalation:?}");
    assert_eq!(escalation.row.leader_reached, None);
    assert!(room.calls(Duration::from_secs(61)).await.is_some(), "I-7: the leader himself");
    room.web.store.verify_audit().await.unwrap();
}

#[tokio::test]
async fn esc_77_a_leader_who_opens_the_entry_on_his_page_has_read_it() {
    let mut room = Room::open().await;
    let (entry, attempt) = room.flagged().await;
    let page = format!("/entries/{entry}");
    room.happens(Fact::AttemptAnswered { attempt }).await;
    assert!(room.fragment(&page).await.text.contains("等待按键"));
    room.happens(Fact::Acknowledged { attempt, entry }).await;
    let pressed = room.fragment(&page).await.text;
    assert!(pressed.contains("按键确认") && !pressed.contains("等待按键"), "{pressed}");
    let result = AttemptResult::Acknowledged;
    room.happens(Fact::AttemptEnded { attempt, result, status: 200 }).await;
    let _ = room.fragment(&page).await;
    let read = async || {
        let found = room.web.store.entry(entry).await.unwrap().unwrap();
        found.escalations[0].row.read.clone()
    };
    assert_eq!(read().await, None, "the officer is not the leader");
    assert!(room.calls(Duration::from_secs(301)).await.is_some(), "he is reminded");
    room.leader_signs_in().await;
    let shown = room.fragment(&page).await.text;
    assert!(shown.contains("阅件"), "{shown}");
    let found = room.web.store.entry(entry).await.unwrap().unwrap();
    let read = found.escalations[0].row.read.clone().expect("read");
    assert_eq!(read.by, LEADER);
    assert_eq!(room.calls(Duration::from_secs(901)).await, None, "nothing is raised again");
}

#[tokio::test]
async fn esc_77_acknowledged_and_never_looked_at_it_is_raised_again_with_its_reason() {
    let room = Room::open().await;
    let (entry, attempt) = room.flagged().await;
    room.happens(Fact::Acknowledged { attempt, entry }).await;
    let result = AttemptResult::Acknowledged;
    room.happens(Fact::AttemptEnded { attempt, result, status: 200 }).await;
    for seconds in [301, 602] {
        let again = room.calls(Duration::from_secs(seconds)).await.expect("a reminder");
        room.happens(Fact::AttemptEnded { attempt: again, result, status: 200 }).await;
    }
    assert_eq!(room.calls(Duration::from_secs(901)).await, None, "it is raised again");
    let call = room.calls(Duration::from_secs(901)).await;
    assert!(call.is_some(), "and he is called");
    let shown = room.fragment(&format!("/entries/{entry}")).await.text;
    assert!(shown.contains("知悉后一直未阅件"), "{shown}");
    let found = room.web.store.entry(entry).await.unwrap().unwrap();
    assert_eq!(found.escalations.len(), 2);
    assert!(room.web.store.verify_audit().await.is_ok());
}

#[tokio::test]
async fn esc_75_the_page_says_who_pressed_3_when_he_was_reminded() {
    let room = Room::open().await;
    let (entry, attempt) = room.flagged().await;
    room.happens(Fact::Acknowledged { attempt, entry }).await;
    let result = AttemptResult::Acknowledged;
    room.happens(Fact::AttemptEnded { attempt, result, status: 200 }).await;
    let attempt = room.calls(Duration::from_secs(301)).await.expect("a reminder");
    room.happens(Fact::HandedOn { attempt, entry }).await;
    let result = AttemptResult::HandedOn;
    room.happens(Fact::AttemptEnded { attempt, result, status: 200 }).await;
    assert_eq!(room.calls(Duration::from_secs(302)).await, None, "it is raised again");
    let shown = room.fragment(&format!("/entries/{entry}")).await.text;
    let why = format!("{LEADER}：提醒时按 3 不便");
    assert!(shown.contains(&why) && !shown.contains("一直未阅件"), "{shown}");
    let found = room.web.store.entry(entry).await.unwrap().unwrap();
    assert_eq!(found.escalations.len(), 2);
    assert!(room.web.store.verify_audit().await.is_ok());
}

#[tokio::test]
async fn esc_04_the_officer_confirms_on_the_page_what_was_dictated() {
    let room = Room::open().await;
    let (entry, attempt) = room.flagged().await;
    let confirm = format!("/entries/{entry}/confirm");
    assert_eq!(room.post(&confirm, "").await.status, StatusCode::UNPROCESSABLE_ENTITY);
    room.happens(Fact::AttemptAnswered { attempt }).await;
    room.happens(Fact::Acknowledged { attempt, entry }).await;
    room.happens(Fact::Dictated { attempt, entry, since: clock::now() }).await;
    let shown = room.fragment(&format!("/entries/{entry}")).await.text;
    assert!(shown.contains("待确认") && shown.contains("确认收到批示"), "{shown}");
    let confirmed = room.post(&confirm, "").await;
    assert_eq!(confirmed.status, StatusCode::OK);
    let text = confirmed.text;
    assert!(text.contains("主班员") && !text.contains("确认收到批示"), "{text}");
    assert_eq!(room.post(&confirm, "").await.status, StatusCode::UNPROCESSABLE_ENTITY, "once");
}

#[tokio::test]
async fn told_by_hand_before_anybody_acknowledged_it_is_acknowledged_and_says_how() {
    let room = Room::open().await;
    let (entry, attempt) = room.flagged().await;
    let told = room.post(&format!("/entries/{entry}/leader"), "reason=%E5%BD%93%E9%9D%A2").await;
    assert_eq!(told.status, StatusCode::OK);
    assert!(told.text.contains("当面") && told.text.contains("主班员"), "{}", told.text);
    let cycle = room.web.store.next_calls(clock::now(), &Policy::default(), &roster()).await;
    let stops = cycle.unwrap().inputs;
    assert!(
        matches!(stops[..], [Input::StopNotifying { attempt: stopped, .. }] if stopped == attempt)
    );
    let found = room.web.store.entry(entry).await.unwrap().unwrap();
    let row = &found.escalations[0].row;
    assert_eq!(row.acknowledged.as_ref().map(|ack| ack.person.as_str()), Some(LEADER));
}

fn list() -> Roster {
    let person = |name: &str, role, mobile| Person::new(name, role, mobile, None);
    let mut people = vec![
        person(LEADER, Role::Leader, Some("13900000001")),
        person("李副局", Role::Substitute, Some("13900000002")),
        person("赵科长", Role::OfficeDirector, Some("13900000003")),
        person("周主任", Role::Head, Some("13900000004")),
        person("新人", Role::Substitute, None),
    ];
    people[2].rank = 4;
    Roster { people }
}

#[tokio::test]
async fn esc_73_a_substitute_of_a_lower_rank_needs_the_head_and_a_reason() {
    let mut room = Room::open().await;
    room.web.dialler.roster = list();
    room.app = build(room.web.clone(), room.closing.clone());
    let enter = async |stands_in: &str, reason: &str, approved_by: &str| {
        let body = format!(
            "absent={LEADER}&stands_in={stands_in}&from=&to=2099-01-01T08:30&reason={reason}&approved_by={approved_by}"
        );
        room.post("/roster/substitution", &body).await
    };
    let refused = |answer: Answer, why: &str| {
        assert_eq!(answer.status, StatusCode::OK, "shown again");
        assert!(answer.text.contains(why), "{}", answer.text);
    };
    refused(enter("赵科长", "出差", "").await, "职级较低");
    refused(enter("赵科长", "出差", "李副局").await, "职级较低");
    refused(enter("李副局", "", "").await, "必须填写原因");
    refused(enter("谁", "出差", "").await, "配置文件");
    refused(enter(LEADER, "出差", "").await, "配置文件");
    refused(enter("新人", "出差", "").await, "没有可拨的号码");
    let early = format!("absent={LEADER}&stands_in=李副局&from=&to=2000-01-01T08:30&reason=x");
    refused(room.post("/roster/substitution", &early).await, "时间不对");
    let holder = async || {
        let now = room.web.store.roster_now(&list(), clock::now()).await.unwrap();
        now.holder(Role::Leader).unwrap().name.clone()
    };
    assert_eq!(holder().await, LEADER, "nothing was entered");
    assert_eq!(enter("赵科长", "出差", "周主任").await.status, StatusCode::SEE_OTHER);
    assert_eq!(holder().await, "赵科长", "at that second");
    let shown = room.get("/roster").await.text;
    assert!(shown.contains("周主任") && shown.contains("出差"), "{shown}");
    let id: i64 = shown
        .split("name=\"id\" value=\"")
        .nth(1)
        .unwrap()
        .split('"')
        .next()
        .unwrap()
        .parse()
        .unwrap();
    room.post("/roster/withdraw", &format!("kind=substitution&id={id}")).await;
    assert_eq!(holder().await, LEADER);
    room.web.store.verify_audit().await.unwrap();
}

#[tokio::test]
async fn whoever_is_put_on_duty_holds_the_role_from_then_on() {
    let mut room = Room::open().await;
    room.web.dialler.roster = list();
    room.app = build(room.web.clone(), room.closing.clone());
    let body = "role=leader&person=周主任&from=2026-01-01T08:30&to=";
    assert_eq!(room.post("/roster/duty", body).await.status, StatusCode::SEE_OTHER);
    let now = room.web.store.roster_now(&list(), clock::now()).await.unwrap();
    assert_eq!(now.holder(Role::Leader).unwrap().name, "周主任");
    let later = "role=leader&person=新人&from=2026-01-01T08:30&to=";
    assert!(room.post("/roster/duty", later).await.text.contains("没有可拨的号码"));
    let never = "role=leader&person=周主任&from=&to=";
    assert!(room.post("/roster/duty", never).await.text.contains("时间不对"));
}

#[tokio::test]
async fn the_desk_takes_no_turns_and_whoever_is_of_a_lower_rank_leads_only_as_a_substitute() {
    let mut room = Room::open().await;
    let mut people = list();
    people.people.push(Person::new("值班台话机", Role::Officer, Some("2001"), None));
    room.web.dialler.roster = people;
    room.app = build(room.web.clone(), room.closing.clone());
    let shown = room.get("/roster").await.text;
    assert!(!shown.contains("<option>值班台话机") && shown.contains("<option>赵科长"), "{shown}");
    for (role, person, why) in [
        ("leader", "值班台话机", "配置文件"),
        ("officer", "周主任", "没有这个角色"),
        ("leader", "赵科长", "职级低于带班领导"),
    ] {
        let body = format!("role={role}&person={person}&from=2026-01-01T08:30&to=");
        let answer = room.post("/roster/duty", &body).await;
        assert_eq!(answer.status, StatusCode::OK, "shown again");
        assert!(answer.text.contains(why), "{}", answer.text);
    }
    let until = "from=&to=2099-01-01T08:30&reason=x&approved_by=周主任";
    for pair in [
        format!("absent={LEADER}&stands_in=值班台话机"),
        "absent=值班台话机&stands_in=李副局".to_owned(),
    ] {
        let answer = room.post("/roster/substitution", &format!("{pair}&{until}")).await;
        assert!(answer.text.contains("配置文件"), "{}", answer.text);
    }
    let (duties, substitutions) = room.web.store.duties(clock::now()).await.unwrap();
    assert!(duties.is_empty() && substitutions.is_empty());
    let director = "role=office_director&person=赵科长&from=2026-01-01T08:30&to=";
    assert_eq!(room.post("/roster/duty", director).await.status, StatusCode::SEE_OTHER);
}

#[tokio::test]
async fn esc_77_whoever_pressed_1_and_was_then_told_by_another_way_has_read_it() {
    let room = Room::open().await;
    let (entry, attempt) = room.flagged().await;
    room.happens(Fact::Acknowledged { attempt, entry }).await;
    let result = AttemptResult::Acknowledged;
    room.happens(Fact::AttemptEnded { attempt, result, status: 200 }).await;
    let form = format!("action=\"/entries/{entry}/leader\"");
    let page = format!("/entries/{entry}");
    let shown = room.fragment(&page).await.text;
    assert!(shown.contains(&form));
    let (read, silent) = (shown.contains("记为已阅件"), shown.contains("停止呼叫他"));
    assert!(read && !silent, "the button says what it does now: {shown}");
    let tell = async || room.post(&format!("{page}/leader"), "reason=%E5%BD%93%E9%9D%A2").await;
    let told = tell().await;
    assert_eq!(told.status, StatusCode::OK);
    assert!(!told.text.contains(&form), "{}", told.text);
    let found = room.web.store.entry(entry).await.unwrap().unwrap();
    let row = &found.escalations[0].row;
    assert_eq!(row.read.as_ref().map(|read| read.how), Some(ReadHow::ByHand));
    assert_eq!(found.escalations[0].acknowledgements.len(), 1, "he had acknowledged himself");
    assert_eq!(tell().await.status, StatusCode::UNPROCESSABLE_ENTITY, "once");
    assert_eq!(room.calls(Duration::from_secs(301)).await, None, "nobody reminds him");
    room.web.store.verify_audit().await.unwrap();
}

/// Whoever has pressed 3, or knows as somebody else, is not said to be called although the duty leader has not been
/// reached in his role.
#[tokio::test]
async fn esc_75_whoever_handed_on_is_not_said_to_be_called() {
    let room = Room::open().await;
    let (entry, attempt) = room.flagged().await;
    let page = format!("/entries/{entry}");
    assert!(room.fragment(&page).await.text.contains("停止呼叫他"));
    room.happens(Fact::AttemptKey { attempt, key: '3' }).await;
    room.happens(Fact::HandedOn { attempt, entry }).await;
    let result = AttemptResult::HandedOn;
    room.happens(Fact::AttemptEnded { attempt, result, status: 200 }).await;
    let mut people = roster().people;
    people.push(Person::new("周主任", Role::Head, Some("13900000004"), None));
    let roster = Roster { people };
    let cycle = room.web.store.next_calls(clock::now(), &Policy::default(), &roster).await.unwrap();
    let to_head = cycle.inputs.into_iter().find_map(|input| match input {
        Input::Notify(call) => Some(call),
        _ => None,
    });
    let call = to_head.expect("the head of the centre is called");
    assert_eq!(call.person, "周主任");
    room.happens(Fact::Acknowledged { attempt: call.attempt, entry }).await;
    let shown = room.fragment(&page).await.text;
    assert!(shown.contains("已接报") && !shown.contains("继续联系带班领导"), "{shown}");
    let found = room.web.store.entry(entry).await.unwrap().unwrap();
    assert!(found.escalations[0].row.leader_reached.is_none());
}
