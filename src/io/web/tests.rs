//! The page's answers, asked in-process, on a real log.

mod calls;
mod closed;
mod derived;
mod dialling;
mod door;
mod escalation;
mod exports;
mod forms;
mod health;
mod keeping;
mod overhear;
mod period;
mod player;
mod policy;
mod proxy;
mod replies;
mod rights;
mod roll_call;
mod search;

use super::*;
use crate::duty::escalation::Policy;
use crate::duty::ids::{CallId, EntryId};
use crate::duty::journal::{Arrival, Disposition, Fact, Noted, Stretch, Urgency};
use crate::duty::roster::{Person, Role, Roster};
use crate::duty::switchboard::Input;
use crate::io::clock;
use crate::io::status::Live;
use crate::io::store::{Account, Added, EscalationState, NewPerson, OutageKind, Sealed, Who};
use crate::io::tape::Recall;
use crate::protocol::now::Now;
use crate::protocol::rtp::Party;
use crate::protocol::sip::Identity;
use crate::protocol::sip::claims::{ClaimHeader, Diverted, DivertedWhy};
use axum::body::{Body, to_bytes};
use axum::http::{Method, Request};
use chrono::TimeDelta;
use tempfile::TempDir;
use tokio::sync::Mutex;
use tokio_stream::StreamExt;
use tower::ServiceExt;

const PASSWORD: &str = "夜深了请别打瞌睡";

struct Room {
    web: Web,
    app: Router,
    cookie: String,
    folder: TempDir,
    closing: CancellationToken,
    /// What the switchboard is asked.
    ordered: Mutex<mpsc::Receiver<Input>>,
}

struct Answer {
    status: StatusCode,
    headers: axum::http::HeaderMap,
    text: String,
}

impl Room {
    /// A room whose officer has signed in.
    async fn open() -> Self {
        let mut room = Self::closed().await;
        room.cookie = room.enters("zhuban", "主班员", Account::Officer).await;
        room
    }

    /// Somebody has an account and signs in; his cookie.
    async fn enters(&self, login: &str, name: &str, account: Account) -> String {
        let (login, name, password) = (login.to_owned(), name.to_owned(), PASSWORD.to_owned());
        let person = NewPerson { login: login.clone(), name, account, password };
        let added = self.web.store.add_person(person, "test", clock::now()).await.unwrap();
        assert!(matches!(added, Added::Added(_)));
        let answer = self.sign_in(&login, PASSWORD).await;
        assert_eq!(answer.status, StatusCode::SEE_OTHER);
        cookie(&answer)
    }

    /// A room without accounts.
    async fn closed() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let recordings = folder.path().join("recordings");
        std::fs::create_dir(&recordings).unwrap();
        let store = Store::open(&folder.path().join("dutyline.db"), clock::random()).unwrap();
        let (orders, ordered) = mpsc::channel(8);
        let web = Web {
            store,
            board: Board::new(),
            room: "值班室".to_owned(),
            line: "6001".to_owned(),
            recordings,
            recall: Recall::default(),
            dialler: Dialler {
                orders,
                phones: vec!["值班台话机".to_owned(), "备用话机".to_owned()],
                roster: Roster::default(),
            },
            copies: None,
            low_space: 0,
            listen_reason: false,
            proxies: vec![],
            report: Duration::from_secs(1800),
            keeping: Default::default(),
            self_test: None,
            demo: None,
            signer: None,
            roll_call: RollCallPlan::default(),
            policy: Arc::default(),
            replies: None,
            wake: Arc::new(Notify::new()),
            alive: Arc::new(|| true),
        };
        let closing = CancellationToken::new();
        let app = build(web.clone(), closing.clone());
        Self { web, app, cookie: String::new(), folder, closing, ordered: Mutex::new(ordered) }
    }

    async fn ask(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> Answer {
        let response = self.stream(method, path, headers, body).await;
        let (parts, body) = response.into_parts();
        let bytes = to_bytes(body, 1 << 24).await.unwrap();
        let text = String::from_utf8_lossy(&bytes).into_owned();
        Answer { status: parts.status, headers: parts.headers, text }
    }

    async fn stream(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> Response {
        let mut request = Request::builder().method(method).uri(path).header("host", "desk");
        if !self.cookie.is_empty() {
            request = request.header("cookie", &self.cookie);
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(Body::from(body.to_owned())).unwrap();
        self.app.clone().oneshot(request).await.unwrap()
    }

    async fn get(&self, path: &str) -> Answer {
        self.ask(Method::GET, path, &[], "").await
    }

    async fn fragment(&self, path: &str) -> Answer {
        self.ask(Method::GET, path, &[("hx-request", "true")], "").await
    }

    async fn post(&self, path: &str, body: &str) -> Answer {
        let form = [("content-type", "application/x-www-form-urlencoded")];
        self.ask(Method::POST, path, &form, body).await
    }

    async fn save(&self, entry: EntryId, field: &str, base: &str, value: &str) -> Answer {
        let body = serde_json::json!({ "field": field, "base": base, "value": value });
        let path = format!("/entries/{entry}");
        let json = [("content-type", "application/json")];
        self.ask(Method::PATCH, &path, &json, &body.to_string()).await
    }

    async fn sign_in(&self, account: &str, password: &str) -> Answer {
        let pair = |name: &str, text: &str| format!("{name}={}", page::in_query(text));
        self.post("/login", &[pair("account", account), pair("password", password)].join("&")).await
    }

    async fn caller_dials(&self, number: &str, display: &str) -> EntryId {
        let call = CallId::new(clock::now(), &mut clock::random());
        let arrival = Arrival::from_number(call, number, display);
        let noted = Noted { at: clock::now(), fact: Fact::Arrived(Box::new(arrival)) };
        self.web.store.note(noted).await.unwrap();
        call.into()
    }

    /// A sealed recording whose bytes are 0, 1, 2 … 255, 0, 1 …
    async fn is_recorded(&self, entry: EntryId, bytes: usize) {
        let wav: Vec<u8> = (0..bytes).map(|at| at as u8).collect();
        let name = format!("{entry}.wav");
        std::fs::write(self.web.recordings.join(&name), wav).unwrap();
        let sealed = Sealed {
            wav: name.into(),
            tape: None,
            tape_sha256: None,
            sha256: "00".repeat(32),
            bytes: bytes as u64,
            duration: Duration::from_secs(9),
            gaps: vec![],
            interrupted: None,
            ..Sealed::default()
        };
        let call = CallId(entry.0);
        assert!(self.web.store.recording_sealed(call, sealed, clock::now()).await.unwrap());
    }

    async fn happens(&self, fact: Fact) {
        self.web.store.note(Noted { at: clock::now(), fact }).await.unwrap();
    }

    async fn audited(&self) -> u64 {
        self.web.store.verify_audit().await.unwrap()
    }
}

fn cookie(answer: &Answer) -> String {
    let set = answer.headers[header::SET_COOKIE].to_str().unwrap();
    assert!(set.contains("HttpOnly") && set.contains("SameSite=Strict"), "{set}");
    set.split(';').next().unwrap().to_owned()
}

async fn officer(room: &Room) -> Who {
    let token = room.cookie.split_once('=').unwrap().1;
    room.web.store.session(token, "test", clock::now()).await.unwrap().unwrap()
}

#[tokio::test]
async fn a_field_is_saved_if_it_still_reads_what_the_officer_saw() {
    let room = Room::open().await;
    let entry = room.caller_dials("13800130007", "").await;
    let mut live = room.web.board.listen();
    assert_eq!(room.save(entry, "subject", "", "甲").await.status, StatusCode::OK);
    assert_eq!(live.try_recv(), Ok(Live::Entry { entry }));
    let late = room.save(entry, "subject", "", "乙").await;
    assert_eq!(late.status, StatusCode::CONFLICT);
    assert_eq!(late.text, r#"{"theirs":"甲"}"#);
    assert_eq!(room.save(entry, "subject", "甲", "乙").await.status, StatusCode::OK);
    assert_eq!(room.save(entry, "content", "", "丙").await.status, StatusCode::OK);
    let long = room.save(entry, "subject", "乙", &"字".repeat(401)).await;
    assert_eq!(long.status, StatusCode::UNPROCESSABLE_ENTITY);
    let odd = room.save(entry, "state", "", "closed").await;
    assert_eq!(odd.status, StatusCode::UNPROCESSABLE_ENTITY, "a state is no field");
    let other: EntryId = "01890a5d-ac96-774b-bcce-b302099a8057".parse().unwrap();
    assert_eq!(room.save(other, "subject", "", "x").await.status, StatusCode::NOT_FOUND);
    let shown = room.fragment(&format!("/entries/{entry}")).await.text;
    assert!(shown.contains("<del>甲</del>") && shown.contains("<ins>乙</ins>"), "{shown}");
}

#[tokio::test]
async fn a_flag_on_an_empty_entry_raises_its_escalation_and_wakes_the_escalator() {
    let room = Room::open().await;
    let entry = room.caller_dials("13800130007", "").await;
    let path = format!("/entries/{entry}/urgency");
    let refused = room.post(&path, "urgency=routine").await;
    assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY);
    let flagged = room.post(&path, "urgency=critical").await;
    assert!(flagged.text.contains("正在呼叫领导"), "{}", flagged.text);
    let woken = tokio::time::timeout(Duration::from_secs(1), room.web.wake.notified());
    assert!(woken.await.is_ok(), "the escalator is woken");
    let open = room.web.store.open_escalations().await.unwrap();
    assert_eq!((open.len(), open[0].entry, open[0].urgency), (1, entry, Urgency::Critical));
    assert!(room.fragment("/strip").await.text.contains("13800130007"), "in sight on every page");

    let path = format!("/entries/{entry}/withdraw");
    let silent = room.post(&path, "reason=%20").await;
    assert_eq!(silent.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(room.web.store.open_escalations().await.unwrap().len(), 1);
    let withdrawn = room.post(&path, "reason=%E8%AF%AF%E6%8C%89").await;
    assert!(withdrawn.text.contains("已撤回") && withdrawn.text.contains("误按"));
    let found = room.web.store.entry(entry).await.unwrap().unwrap();
    assert_eq!(found.escalations[0].row.state, EscalationState::Withdrawn);
    let again = room.post(&path, "reason=%E8%AF%AF%E6%8C%89").await;
    assert_eq!(again.status, StatusCode::UNPROCESSABLE_ENTITY);
}

#[tokio::test]
async fn rec_s2_the_lines_last_outage_stands_beside_its_state() {
    let room = Room::open().await;
    let strip = || async { room.fragment("/strip").await.text };
    assert!(!strip().await.contains("中断"));
    let now = clock::now();
    let at = |minutes: i64| Now { wall: now.wall - TimeDelta::minutes(minutes), ..now };
    let store = &room.web.store;
    store.outage_began(OutageKind::Line, "no answer from <10.0.0.1>", at(50)).await.unwrap();
    assert!(strip().await.contains("中断"));
    store.outage_ended(OutageKind::Line, at(48)).await.unwrap();
    let shown = strip().await;
    let time = |minutes| super::times::short(at(minutes).wall, now.wall);
    assert!(shown.contains(&format!("{}–{}", time(50), time(48))), "{shown}");
    assert!(shown.contains("2:00") && !shown.contains("<10.0.0.1>"), "{shown}");
    store.outage_began(OutageKind::Recorder, "disk", at(20)).await.unwrap();
    store.outage_ended(OutageKind::Recorder, at(10)).await.unwrap();
    assert!(strip().await.contains(&time(48)), "the line's, not the recorder's");
}

#[tokio::test]
async fn the_redial_of_the_leader_ends_when_the_officer_spoke_to_him() {
    let room = Room::open().await;
    let entry = room.caller_dials("13800130007", "").await;
    let path = format!("/entries/{entry}/leader");
    let too_early = room.post(&path, "reason=in+person").await;
    assert_eq!(too_early.status, StatusCode::UNPROCESSABLE_ENTITY);
    room.post(&format!("/entries/{entry}/urgency"), "urgency=critical").await;
    let person = |name: &str, role| {
        Person::new(name, role, Some(&format!("1390013000{}", name.len())), None)
    };
    let people = vec![person("L", Role::Leader), person("SS", Role::Substitute)];
    let (policy, mut now, mut by) = (Policy::default(), clock::now(), None);
    for _ in 0..4 {
        let cycle = room.web.store.next_calls(now, &policy, &Roster { people: people.clone() });
        by = by.or(cycle.await.unwrap().inputs.into_iter().find_map(|input| match input {
            Input::Notify(call) if call.target.ends_with('2') => Some(call.attempt),
            _ => None,
        }));
        now = now + Duration::from_secs(60);
    }
    let fact = Fact::Acknowledged { attempt: by.expect("the substitute is called"), entry };
    room.web.store.note(Noted { at: now, fact }).await.unwrap();
    let shown = room.fragment(&format!("/entries/{entry}")).await.text;
    assert!(shown.contains("继续联系带班领导"), "{shown}");
    assert_eq!(room.post(&path, "reason=").await.status, StatusCode::UNPROCESSABLE_ENTITY);
    let reached = room.post(&path, "reason=in+person").await;
    assert_eq!(reached.status, StatusCode::OK);
    assert!(!reached.text.contains("继续联系带班领导"));
    let found = room.web.store.entry(entry).await.unwrap().unwrap();
    assert!(found.escalations[0].row.leader_reached.is_some());
}

#[tokio::test]
async fn a_wrong_number_takes_one_key_and_an_entry_says_what_it_lacks() {
    let room = Room::open().await;
    let wrong = room.caller_dials("88123456", "").await;
    let done = room.post(&format!("/entries/{wrong}/class"), "category=wrong_number").await;
    assert!(done.text.contains("已办结"), "{}", done.text);
    let sly = room.post(&format!("/entries/{wrong}/class"), "category=emergency").await;
    assert_eq!(sly.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(done.text.contains("撤销（误按）"), "{}", done.text);
    let undone = room.post(&format!("/entries/{wrong}/class/undo"), "").await;
    assert!(undone.text.contains("重新打开") && !undone.text.contains("撤销（误按）"));
    room.post(&format!("/entries/{wrong}/class"), "category=nuisance").await;
    let reopen = format!("/entries/{wrong}/reopen");
    let unreasoned = room.post(&reopen, "reason=").await;
    assert_eq!(unreasoned.status, StatusCode::UNPROCESSABLE_ENTITY);
    let opened = room.post(&reopen, "reason=%E6%9C%89%E4%BA%8B").await;
    assert!(opened.text.contains("原因：有事"), "{}", opened.text);

    let entry = room.caller_dials("88123456", "").await;
    assert_eq!(room.save(entry, "category", "", "inquiry").await.status, StatusCode::OK);
    let close = format!("/entries/{entry}/close");
    let lacking = room.post(&close, "").await;
    assert_eq!(lacking.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(lacking.text, "请先补全：事由、来电内容、办理结果");
    for field in ["subject", "content", "result"] {
        room.save(entry, field, "", "已答复").await;
    }
    assert_eq!(room.post(&close, "").await.status, StatusCode::OK);
}

#[tokio::test]
async fn a_recording_is_played_by_ranges_and_each_playing_is_audited_once() {
    let room = Room::open().await;
    let entry = room.caller_dials("13800130007", "").await;
    let path = |play: &str| format!("/recordings/{entry}?play={play}");
    assert_eq!(room.get(&path("a")).await.status, StatusCode::NOT_FOUND);
    room.is_recorded(entry, 5000).await;
    let before = room.audited().await;
    let whole = room.get(&path("a")).await;
    assert_eq!(
        (whole.status, whole.headers[header::CONTENT_LENGTH].as_bytes()),
        (StatusCode::OK, &b"5000"[..])
    );
    assert_eq!(whole.headers[header::CONTENT_TYPE], "audio/wav");
    assert_eq!(whole.headers[header::CACHE_CONTROL], "private, no-store");
    let range = |range: &'static str| {
        let room = &room;
        async move { room.ask(Method::GET, &path("a"), &[("range", range)], "").await }
    };
    let part = range("bytes=97-99").await;
    assert_eq!((part.status, part.text.as_str()), (StatusCode::PARTIAL_CONTENT, "abc"));
    assert_eq!(part.headers[header::CONTENT_RANGE], "bytes 97-99/5000");
    assert_eq!(range("bytes=6000-").await.status, StatusCode::RANGE_NOT_SATISFIABLE);
    let many = format!("bytes={}", ["0-"; 1000].join(","));
    let many = room.ask(Method::GET, &path("a"), &[("range", &many)], "").await;
    assert!(many.text.len() <= 5000, "overlapping ranges are not multiplied");
    assert_eq!(room.audited().await, before + 1, "one playing, one row");
    room.get(&path("b")).await;
    assert_eq!(room.audited().await, before + 2);
    for odd in ["..%2f..%2fetc%2fpasswd", "%00", "x"] {
        let answer = room.get(&format!("/recordings/{odd}")).await;
        assert!(answer.status.is_client_error(), "{odd}: {}", answer.status);
    }
    drop(room.folder);
}

#[tokio::test]
async fn what_happens_is_pushed_until_the_daemon_stops() {
    let room = Room::open().await;
    let mut body =
        room.stream(Method::GET, "/events", &[], "").await.into_body().into_data_stream();
    let mut next = async || String::from_utf8(body.next().await?.unwrap().to_vec()).ok();
    assert!(next().await.unwrap().contains("event: hello"));
    let entry = room.caller_dials("13800130007", "").await;
    let at = clock::now().wall;
    let name = "第一行\r\n\r\nevent: forged".to_owned();
    let (caller, diverted) = ("1".to_owned(), vec![]);
    let live =
        Live::Ringing { entry, caller, name, vouched: true, called: String::new(), diverted, at };
    room.web.board.tell(live);
    let heard = next().await.unwrap();
    assert!(heard.starts_with("event: ringing\ndata: {"), "{heard}");
    assert_eq!(
        heard.matches("event:").count(),
        2,
        "one event, and a text inside its data: {heard}"
    );
    assert!(!heard.contains('\r') && heard.trim_end().lines().count() == 2, "{heard}");
    room.closing.cancel();
    assert_eq!(next().await, None, "the stream ends first");
}

#[tokio::test]
async fn a_page_is_told_every_five_seconds_that_we_are_there() {
    let room = Room::open().await;
    let mut body =
        room.stream(Method::GET, "/events", &[], "").await.into_body().into_data_stream();
    let mut next = async || {
        let part = tokio::time::timeout(Duration::from_secs(9), body.next()).await.unwrap();
        String::from_utf8(part.unwrap().unwrap().to_vec()).unwrap()
    };
    assert!(next().await.contains(r#""login":"zhuban""#));
    let beat = next().await;
    assert!(beat.starts_with("event: beat\n") && beat.contains(r#""ends":"#), "{beat}");
}

#[tokio::test]
async fn a_page_that_fell_behind_is_told_to_look_again() {
    let room = Room::open().await;
    let mut body =
        room.stream(Method::GET, "/events", &[], "").await.into_body().into_data_stream();
    assert!(body.next().await.is_some());
    let entry = room.caller_dials("13800130007", "").await;
    for _ in 0..2000 {
        room.web.board.tell(Live::Entry { entry });
    }
    let mut heard = String::new();
    while !heard.contains("event: resync") {
        let part = tokio::time::timeout(Duration::from_secs(5), body.next()).await.unwrap();
        heard.push_str(&String::from_utf8_lossy(&part.unwrap().unwrap()));
    }
}

#[tokio::test]
async fn the_demo_has_a_button_and_the_duty_room_has_none() {
    let room = Room::open().await;
    assert_eq!(room.post("/demo/call", "").await.status, StatusCode::NOT_FOUND);
    assert!(!room.get("/").await.text.contains("模拟来电"));
    let (sender, mut asked) = mpsc::channel(1);
    let demo = Web { demo: Some(sender), ..room.web.clone() };
    let demo = Room { app: router(demo), ..room };
    assert!(demo.get("/").await.text.contains("模拟来电"));
    assert_eq!(demo.post("/demo/call", "").await.status, StatusCode::ACCEPTED);
    assert_eq!(demo.post("/demo/call", "").await.status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(asked.recv().await, Some(DemoCommand::Call));
}

#[tokio::test]
async fn the_page_speaks_the_language_that_was_chosen() {
    let room = Room::open().await;
    assert!(room.get("/").await.text.contains("值班台"));
    let english = room.ask(Method::GET, "/", &[("accept-language", "en-GB")], "").await;
    assert!(english.text.contains("Duty desk") && english.text.contains(r#"lang="en""#));
    let form = ("content-type", "application/x-www-form-urlencoded");
    let from = ("referer", "http://desk/login?next=/");
    let chosen = room.ask(Method::POST, "/language", &[form, from], "to=en").await;
    assert_eq!(chosen.headers[header::LOCATION], "/login?next=/");
    assert!(cookie(&chosen).ends_with("=en"));
}
