//! The page of the escalation policy: what is shown, what is refused, who may see it.

use super::*;
use crate::duty::entry::beijing;
use crate::duty::escalation::{Timetable, Version};
use crate::duty::journal::AttemptResult;
use crate::duty::notices::{Channel, Kind};
use crate::duty::rehearsal::Finding;
use crate::io::policies::Policies;
use crate::io::store::{OnDuty, Try};

impl Room {
    async fn proves(&self, people: &[Person]) {
        let who = officer(self).await;
        for Person { name, role, mobile, .. } in people.iter().cloned() {
            let wanted = Try { person: name, role, number: mobile.unwrap() };
            let begun = self.web.store.check_number(&who, wanted, clock::now()).await.unwrap();
            assert!(begun.is_some());
        }
        for (attempt, entry, _) in self.called().await {
            self.happens(Fact::Acknowledged { attempt, entry }).await;
            let result = AttemptResult::Acknowledged;
            self.happens(Fact::AttemptEnded { attempt, result, status: 200 }).await;
        }
    }

    fn has(&mut self, people: Vec<Person>, channels: Vec<Channel>) {
        self.web.dialler.roster = Roster { people };
        self.web.policy = Arc::new(InForce { policies: Policies::default(), channels });
        self.app = router(self.web.clone());
    }
}

fn people() -> Vec<Person> {
    let person = |name: &str, role, mobile, office| Person::new(name, role, Some(mobile), office);
    vec![
        person("李四", Role::Leader, "13900000001", Some("2001")),
        person("王五", Role::Substitute, "13900000002", None),
        person("赵六", Role::OfficeDirector, "13900000003", None),
        person("钱七", Role::Head, "13900000004", None),
    ]
}

fn sms(minutes: u64) -> Channel {
    let repeat = Some(Duration::from_secs(60 * minutes));
    Channel {
        name: "短信<网关>".to_owned(),
        kind: Kind::Sms,
        least: Urgency::Critical,
        repeat,
        to_leader: true,
    }
}

/// In which everybody has pressed a key at his mobile.
async fn room() -> Room {
    let mut room = Room::open().await;
    room.has(people(), vec![sms(60)]);
    room.proves(&people()).await;
    room
}

/// Whether there is any script but the one that every page has.
fn other_scripts(text: &str) -> bool {
    text.replacen(r#"<script src="/static/sheet.js" type="module"></script>"#, "", 1)
        .contains("<script")
}

#[tokio::test]
async fn esc_82_the_page_has_the_ladders_the_roster_of_now_and_a_time_line() {
    let room = room().await;
    assert!(room.get("/").await.text.contains(r#"href="/policy""#), "linked");
    let page = room.get("/policy").await;
    assert_eq!(page.status, StatusCode::OK);
    let text = page.text;
    assert!(text.contains("没有发现问题。"), "{text}");
    assert!(text.contains("第 45 秒 办公电话 2001 响 28 秒"), "{text}");
    assert!(text.contains("未接后每 20 秒再打，180 秒后转下一级"), "{text}");
    assert!(text.contains("139****0001") && !text.contains("13900000001"), "{text}");
    assert!(text.contains("短信&#60;网关&#62;") && text.contains("仅特急"), "{text}");
    assert!(text.contains("03:02:08 同级替班领导 王五 按 1 知悉"), "{text}");
    assert!(text.contains("<svg class=\"time-line\"") && text.contains("class=\"bar quiet\""));
    assert!(!other_scripts(&text) && !text.contains(" style="), "no script, no style inline");

    let who = officer(&room).await;
    let now = clock::now();
    let (from, to) = (now.wall - TimeDelta::hours(1), None);
    let on_duty = OnDuty { role: Role::Leader, person: "钱七".to_owned(), from, to };
    room.web.store.put_on_duty(&who, on_duty, now).await.unwrap();
    let text = room.get("/policy").await.text;
    assert!(text.contains("与前面同一人，不另呼叫"), "as the roster has it now: {text}");
    assert!(text.contains("带班领导 钱七"), "{text}");
}

#[tokio::test]
async fn esc_74_whoever_is_put_on_duty_without_a_proved_number_is_red_when_he_is_saved() {
    let mut room = room().await;
    let roster = room.get("/roster").await.text;
    assert!(!roster.contains("id=\"findings\""), "{roster}");
    assert!(!room.get("/strip").await.text.contains("chip bad"));
    let mut people = people();
    people.push(Person::new("孙八", Role::Head, Some("13900000008"), None));
    room.has(people, vec![]);
    let later = (clock::now().wall + TimeDelta::hours(5)).with_timezone(&beijing());
    let form = format!("role=leader&person=孙八&from={}", later.format("%Y-%m-%dT%H%%3A%M"));
    let saved = room.post("/roster/duty", &form).await;
    assert_eq!(saved.status, StatusCode::SEE_OTHER, "{}", saved.text);
    for page in ["/roster", "/policy"] {
        let text = room.get(page).await.text;
        assert!(text.contains(r#"<li class="bad">"#), "{page}: {text}");
        assert!(text.contains("带班领导 孙八 没有一个核实过的号码"), "{page}: {text}");
        assert!(!text.contains("王五 没有一个"), "{page}: {text}");
    }
    let strip = room.get("/strip").await.text;
    assert!(strip.contains("chip bad") && strip.contains("孙八 没有一个核实过的号码"), "{strip}");
    let gap = Person::new("李四", Role::Leader, Some("13900000001"), Some("2001"));
    room.has(vec![gap], vec![]);
    let text = room.get("/roster").await.text;
    assert!(text.contains("没有人担任替班领导，特急、急呼叫到他时会跳过"), "{text}");
}

#[tokio::test]
async fn esc_82_what_cannot_work_is_shown_in_red_with_its_remedy() {
    let mut room = room().await;
    let one = Person::new("李四", Role::Leader, Some("1001"), None);
    room.has(vec![one], vec![sms(10)]);
    let text = room.get("/policy").await.text;
    assert!(text.contains(r#"<li class="bad">"#) && text.contains("必须改"), "{text}");
    assert!(text.contains("全部指望一个号码 1001") && text.contains("repeat_minutes 至少写 58"));
    assert!(text.contains("没有人担任替班领导，特急、急呼叫到他时会跳过"), "{text}");
    assert!(!text.contains(r#"<li class="warn">"#) && text.contains("没有人担任，跳过"), "{text}");
    assert!(!text.contains("没有发现问题"));
    let english = room.ask(Method::GET, "/policy", &[("accept-language", "en")], "").await.text;
    assert!(english.contains("everything hangs on one number, 1001"), "{english}");

    let one = Person::new("李四", Role::Leader, Some("13900000001"), None);
    room.has(vec![one], vec![]);
    let text = room.get("/policy").await.text;
    assert!(
        text.contains("全部指望一个号码 139****0001") && !text.contains("13900000001"),
        "{text}"
    );

    room.has(vec![], vec![]);
    let nobody = room.get("/policy").await;
    assert_eq!(nobody.status, StatusCode::OK);
    assert!(nobody.text.contains("紧急事项无人可报") && !nobody.text.contains("<svg"));
}

#[tokio::test]
async fn esc_82_the_rehearsal_goes_by_what_is_asked() {
    let room = room().await;
    let all = "leader_mobile=silent&leader_office=silent&substitute_mobile=declines\
               &office_director_mobile=machine&head_mobile=busy";
    let asked = format!("/policy?at=23%3A59&urgency=critical&minutes=5&{all}");
    let text = room.get(&asked).await.text;
    assert!(text.contains("5 分钟内没有人知悉") && text.contains("值班台响警报"), "{text}");
    assert!(text.contains("00:00:15"), "after midnight: {text}");
    assert!(text.contains("接听 52 秒 · 接听未确认"), "voicemail acknowledges nothing: {text}");
    assert!(text.contains("没有响（1 秒） · 忙") && text.contains("拒接"), "{text}");
    assert!(text.contains(r#"<option value="machine" selected>语音信箱"#), "{text}");
    let urgent = room.get("/policy?urgency=urgent&leader_mobile=answers").await.text;
    assert!(urgent.contains("03:00:18 带班领导 李四 按 1 知悉"), "{urgent}");
}

#[tokio::test]
async fn esc_82_the_rehearsal_goes_by_the_roster_and_the_version_of_its_moment() {
    let room = room().await;
    let now = clock::now();
    let hours = TimeDelta::hours;
    let from = now.wall + hours(1);
    let on_duty = OnDuty { role: Role::Leader, person: "钱七".to_owned(), from, to: None };
    room.web.store.put_on_duty(&officer(&room).await, on_duty, now).await.unwrap();
    let at = |hours: i64| {
        let at = (now.wall + TimeDelta::hours(hours)).with_timezone(&beijing());
        at.format("/policy?leader_mobile=silent&urgency=critical&minutes=5&at=%H%%3A%M").to_string()
    };
    let later = room.get(&at(2)).await;
    assert_eq!(later.status, StatusCode::OK);
    assert!(later.text.contains("带班领导 钱七"), "who leads then: {}", later.text);
    assert!(!later.text.contains("带班领导 李四 办公电话"), "{}", later.text);
    let past = room.get(&at(-1)).await.text;
    assert!(past.contains("带班领导 钱七"), "what is over today comes tomorrow: {past}");
}

#[tokio::test]
async fn esc_82_the_rehearsal_goes_by_the_version_of_its_moment() {
    let mut room = room().await;
    let now = clock::now();
    let mut figures = Policy::default();
    figures.critical.tiers.reverse();
    let (name, from) = ("夜间".to_owned(), Some(now.wall + TimeDelta::hours(1)));
    let version = Version { name, from, ..Version::of(figures) };
    let versions = Timetable { first: Version::default(), later: vec![version] };
    let policies = Policies::from(versions);
    room.web.policy = Arc::new(InForce { policies, channels: vec![] });
    room.app = router(room.web.clone());
    let at = (now.wall + TimeDelta::hours(2)).with_timezone(&beijing());
    let text = room.get(&at.format("/policy?minutes=5&at=%H%%3A%M").to_string()).await.text;
    let said = at.format("%H:%M:18 中心主要领导 钱七 按 1 知悉").to_string();
    assert!(text.contains(&said), "{said}: {text}");
    assert!(text.contains("“夜间”"), "which one is said: {text}");
    let ladders = text.find("id=\"ladders\"").map(|at| &text[at..]).expect("the ladders");
    assert!(ladders.find("李四") < ladders.find("钱七"), "those of now: {ladders}");
}

#[tokio::test]
async fn a_parameter_that_says_nothing_is_named() {
    let room = room().await;
    for (query, said) in [
        ("at=25:00", "（at）要写成 03:00 这样的时刻，不能是“25:00”"),
        ("at=", "（at）"),
        ("urgency=routine", "（urgency）只能是 urgent（急）或 critical（特急）"),
        ("minutes=9999999999999999999999", "（minutes）要写 1 到 60 的整数"),
        ("minutes=61", "不能是“61”"),
        ("leader_mobile=%3Cb%3E", "（leader_mobile）只能是"),
        ("head_office=off", "没有这部电话，或与前面的人同号（head_office）"),
        ("%3Cscript%3E=1", "没有“&#60;script&#62;”这个参数"),
        ("at=%FF%00", "（at）"),
    ] {
        let answer = room.get(&format!("/policy?{query}")).await;
        assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY, "{query}");
        assert!(answer.text.contains(said), "{query}: {}", answer.text);
        assert!(!answer.text.contains("<svg") && answer.text.contains("<form"), "{query}");
        assert!(!answer.text.contains("<b>”") && !other_scripts(&answer.text), "{query}");
    }
    let twice = room.get("/policy?minutes=5&minutes=30").await;
    assert_eq!(twice.status, StatusCode::OK);
}

#[tokio::test]
async fn a_hostile_name_is_escaped_wherever_it_stands() {
    let mut room = room().await;
    let mut people = people();
    people[0].name = "</text><script>alert(1)</script>{}\"'&".to_owned();
    people[1].mobile = Some("\"><i>".to_owned());
    room.has(people, vec![]);
    let text = room.get("/policy?leader_mobile=answers").await.text;
    assert!(!other_scripts(&text) && !text.contains("\"><i>"), "{text}");
    assert!(text.contains("&#60;script&#62;alert(1)"), "{text}");
    assert!(text.contains("{}&#34;&#39;&#38; 按 1 知悉"), "{text}");
}

#[tokio::test]
async fn officers_and_leaders_see_it_strangers_do_not_and_nothing_is_changed() {
    let mut room = room().await;
    let before = room.audited().await;
    assert_eq!(room.get("/policy").await.status, StatusCode::OK);
    assert_eq!(room.audited().await, before);
    assert!(room.web.store.open_escalations().await.unwrap().is_empty());
    assert_eq!(room.post("/policy", "").await.status, StatusCode::METHOD_NOT_ALLOWED);
    let leader = NewPerson {
        login: "lisi".to_owned(),
        name: "李四".to_owned(),
        account: Account::Leader,
        password: PASSWORD.to_owned(),
    };
    room.web.store.add_person(leader, "test", clock::now()).await.unwrap();
    room.cookie = cookie(&room.sign_in("lisi", PASSWORD).await);
    assert_eq!(room.get("/policy").await.status, StatusCode::OK);
    room.cookie = String::new();
    let stranger = room.get("/policy?at=04:00").await;
    assert_eq!(stranger.status, StatusCode::SEE_OTHER);
    assert!(
        stranger.headers[header::LOCATION].to_str().unwrap().starts_with("/login?next=/policy")
    );
    assert_eq!(room.fragment("/policy").await.status, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn esc_82_the_page_has_the_version_in_force_those_to_come_and_those_gone_each_with_its_time_line()
 {
    let mut room = room().await;
    let now = clock::now();
    let version = |name: &str, from: i64| {
        let mut figures = Policy { redial_leader: Duration::from_secs(77), ..Policy::default() };
        figures.critical.tiers.reverse();
        Version {
            name: name.to_owned(),
            from: Some(now.wall + TimeDelta::seconds(from)),
            approved_by: "王主任".to_owned(),
            text: format!("[[escalation.later]]\nname = \"{name}\"\n"),
            ..Version::of(figures)
        }
    };
    let mut versions =
        Timetable { later: vec![version("冬季<i>", 3600)], ..Timetable::default() };
    versions.later.push(version("坏的", 7200));
    let (zh, en) = ("没有这个人".to_owned(), "nobody".to_owned());
    versions.later[1].found = vec![Finding { refused: true, zh, en }];
    let roster = Roster { people: people() };
    let loaded =
        room.web.store.policies_are(versions.clone(), versions.clone(), roster, "root", now);
    loaded.await.unwrap();
    let policies = Policies::from(versions);
    room.web.policy = Arc::new(InForce { policies, channels: vec![] });
    room.app = router(room.web.clone());
    let text = room.get("/policy").await.text;
    for shown in ["冬季&#60;i&#62;", "王主任", "◷</span> 待生效", "不能用，不会生效", "现行"]
    {
        assert!(text.contains(shown), "{shown}: {text}");
    }
    assert!(text.contains("第 45 秒 办公电话"), "the ladders of the one in force: {text}");
    let coming = room.get("/policy?version=2&minutes=5").await.text;
    assert!(coming.contains("正在看“冬季&#60;i&#62;”的呼叫顺序和推演，不是现行的一版"), "{coming}");
    assert!(coming.contains("77 秒再打") && coming.contains("name=\"version\" value=\"2\""));
    assert!(coming.contains("name = &#34;冬季&#60;i&#62;&#34;"), "its words: {coming}");
    for wrong in ["9", "x", "-1", "2%27"] {
        let answer = room.get(&format!("/policy?version={wrong}")).await;
        assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY, "{wrong}");
        assert!(answer.text.contains("没有这一版呼叫顺序"), "{wrong}");
    }
    assert_eq!(room.get("/policy?version=").await.status, StatusCode::OK);
}
