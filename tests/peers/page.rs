//! What the eye sees while a call comes in, is written down and is escalated: the page in a real
//! Chromium, on the real log, and with the whole demo.

use crate::browser::{Browser, SOON};
use crate::have;
use crate::ports::Ports;
use crate::process::Process;
use dutyline::duty::entry::Field;
use dutyline::duty::ids::{AttemptId, CallId, EntryId};
use dutyline::duty::journal::{Arrival, AttemptResult, Disposition, Fact, Noted, Stretch, Urgency};
use dutyline::duty::ladder::{Traced, Way, What};
use dutyline::duty::roll_call::RollCallPlan;
use dutyline::duty::roster::{Person, Role, Roster};
use dutyline::duty::switchboard::Input;
use dutyline::io::status::{Board, DiskState, LineState, Live, PartState};
use dutyline::io::store::{
    Account, Added, Login, NewPerson, OutageKind, Saved, Sealed, Store, Who,
};
use dutyline::io::tape::Recall;
use dutyline::io::{clock, web};
use dutyline::protocol::now::Now;
use dutyline::protocol::rtp::Party;
use dutyline::protocol::sip::claims::{ClaimHeader, Diverted, DivertedWhy};
use dutyline::protocol::sip::{Identity, Peer, Transport};
use fantoccini::Locator;
use fantoccini::key::Key;
use serde_json::{Value, json};
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tempfile::TempDir;
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

const PASSWORD: &str = "夜深了请别打瞌睡";

/// The page on the real log, without a telephone: what the switchboard would report is told.
pub struct Room {
    pub store: Store,
    pub board: Board,
    url: String,
    roster: Roster,
    closing: CancellationToken,
    folder: TempDir,
    page: web::Web,
    server: Option<JoinHandle<std::io::Result<()>>>,
}

impl Room {
    pub async fn open() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let store =
            Store::open(&folder.path().join("dutyline.db"), clock::random()).expect("a log");
        let board = Board::new();
        board.update(|status| {
            status.line = LineState::Registered { since: clock::now().wall };
            status.disk = DiskState { free: 40 << 30, days: 61 };
        });
        let officer = NewPerson {
            login: "zhuban".to_owned(),
            name: "主班员".to_owned(),
            account: Account::Officer,
            password: PASSWORD.to_owned(),
        };
        let added = store.add_person(officer, "the test", clock::now()).await.expect("written");
        assert!(matches!(added, Added::Added(_)), "{added:?}");
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        let closing = CancellationToken::new();
        let recordings = folder.path().join("recordings");
        std::fs::create_dir(&recordings).expect("a folder");
        let page = web::Web {
            store: store.clone(),
            board: board.clone(),
            room: "市政务服务中心值班室".to_owned(),
            line: "6001".to_owned(),
            recordings,
            recall: Recall::default(),
            dialler: web::Dialler {
                orders: tokio::sync::mpsc::channel(1).0,
                phones: vec!["值班台话机".to_owned()],
                roster: Roster::default(),
            },
            keeping: Default::default(),
            self_test: None,
            demo: None,
            signer: None,
            replies: None,
            roll_call: RollCallPlan::default(),
            policy: Arc::default(),
            wake: Arc::new(Notify::new()),
            alive: Arc::new(|| true),
        };
        let server = Some(tokio::spawn(web::serve(listener, page.clone(), closing.clone())));
        let person = |name: &str, role, mobile: &str, office: Option<&str>| {
            Person::new(name, role, Some(mobile), office)
        };
        let roster = Roster {
            people: vec![
                person("周带班", Role::Leader, "13900000001", Some("6003")),
                person("吴替班", Role::Substitute, "13900000002", None),
                person("郑主任", Role::OfficeDirector, "13900000003", None),
            ],
        };
        Self { store, board, url, roster, closing, folder, page, server }
    }

    /// A page of it.
    pub fn at(&self, path: &str) -> String {
        format!("{}{path}", self.url)
    }

    async fn server_stops(&mut self) {
        self.closing.cancel();
        if let Some(server) = self.server.take() {
            let ended = tokio::time::timeout(SOON, server).await.expect("it stops in time");
            ended.expect("no panic").expect("no fault");
        }
    }

    async fn server_starts(&mut self) {
        let address = self.url.trim_start_matches("http://");
        let listener = tokio::net::TcpListener::bind(address).await.expect("the same port");
        self.closing = CancellationToken::new();
        let page = self.page.clone();
        self.server = Some(tokio::spawn(web::serve(listener, page, self.closing.clone())));
    }

    pub async fn happens(&self, fact: Fact) {
        let applied = self.store.note(Noted { at: clock::now(), fact }).await.expect("written");
        applied.live.into_iter().for_each(|live| self.board.tell(live));
    }

    pub async fn caller_dials(&self, number: &str, display: &str) -> CallId {
        let call = CallId::new(clock::now(), &mut clock::random());
        let arrival = Arrival::from_number(call, number, display);
        self.happens(Fact::Arrived(Box::new(arrival))).await;
        call
    }

    pub async fn officer_answers(&self, call: CallId) {
        self.happens(Fact::Answered { call, phone: "值班台话机".to_owned() }).await;
    }

    pub async fn caller_hangs_up(&self, call: CallId, disposition: Disposition) {
        let why = "the caller hung up".to_owned();
        self.happens(Fact::Ended { call, disposition, by: None, status: 200, why }).await;
    }

    /// What the escalator does: the attempts that it places now.
    async fn escalator_turns(&self) -> Vec<AttemptId> {
        self.escalator_turns_at(clock::now()).await
    }

    async fn escalator_turns_at(&self, now: Now) -> Vec<AttemptId> {
        let policy = dutyline::duty::escalation::Policy::default();
        let cycle = self.store.next_calls(now, &policy, &self.roster).await.expect("written");
        cycle.live.into_iter().for_each(|live| self.board.tell(live));
        cycle
            .inputs
            .into_iter()
            .filter_map(|input| match input {
                Input::Notify(call) => Some(call.attempt),
                _ => None,
            })
            .collect()
    }

    async fn officer(&self) -> Who {
        let login = self.store.log_in("zhuban", PASSWORD, "another desk", clock::now()).await;
        match login.expect("read") {
            Login::Welcome { who, .. } => who,
            Login::Refused => panic!("the officer's own password"),
        }
    }

    async fn other_desk_writes(&self, entry: EntryId, field: Field, old: &str, new: &str) {
        let officer = self.officer().await;
        let saved = self.store.save_field(&officer, entry, field, old, new, clock::now()).await;
        assert!(matches!(saved, Ok(Saved::Saved { .. })), "{saved:?}");
        self.board.tell(Live::Entry { entry });
    }

    /// So much of silence, most of which the disk need not keep.
    pub async fn is_recorded_for_long(&self, call: CallId, seconds: u32) {
        let path = self.folder.path().join("recordings").join(format!("{call}.wav"));
        write_stereo(&path, &[]);
        let mut head = std::fs::read(&path).expect("there");
        let bytes = seconds * 32_000;
        head[4..8].copy_from_slice(&(36 + bytes).to_le_bytes());
        head[40..44].copy_from_slice(&bytes.to_le_bytes());
        std::fs::write(&path, head).expect("written");
        let file = std::fs::File::options().write(true).open(&path).expect("opened");
        file.set_len(44 + u64::from(bytes)).expect("long");
        let sealed = Sealed {
            wav: format!("{call}.wav").into(),
            sha256: "5e884898da28047151d0e56f8dc6292773603d0d6aabbdd62a11ef721d1542d8".to_owned(),
            bytes: 44 + u64::from(bytes),
            duration: Duration::from_secs(seconds.into()),
            ..Sealed::default()
        };
        assert!(self.store.recording_sealed(call, sealed, clock::now()).await.expect("written"));
        self.board.tell(Live::Entry { entry: call.into() });
    }

    async fn is_recorded(&self, call: CallId, seconds: u64) {
        self.is_recorded_from(call, seconds, None).await;
    }

    /// Two tones, from that moment on.
    pub async fn is_recorded_from(
        &self,
        call: CallId,
        seconds: u64,
        started: Option<chrono::DateTime<chrono::Utc>>,
    ) {
        let samples: Vec<i16> = (0..8000 * seconds)
            .flat_map(|at| {
                let tone = |hertz: f64| {
                    let phase = at as f64 / 8000.0 * hertz * std::f64::consts::TAU;
                    (phase.sin() * 9000.0) as i16
                };
                [tone(440.0), tone(660.0)]
            })
            .collect();
        let name = format!("{call}.wav");
        write_stereo(&self.folder.path().join("recordings").join(&name), &samples);
        let sealed = Sealed {
            wav: name.into(),
            tape: None,
            tape_sha256: None,
            sha256: "5e884898da28047151d0e56f8dc6292773603d0d6aabbdd62a11ef721d1542d8".to_owned(),
            bytes: samples.len() as u64 * 2 + 44,
            duration: Duration::from_secs(seconds),
            started,
            gaps: vec![],
            interrupted: None,
            ..Sealed::default()
        };
        assert!(self.store.recording_sealed(call, sealed, clock::now()).await.expect("written"));
        self.board.tell(Live::Entry { entry: call.into() });
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        self.closing.cancel();
    }
}

/// A WAV of 16-bit stereo at 8 kHz, written by hand so that it does not judge itself.
fn write_stereo(path: &Path, samples: &[i16]) {
    let bytes = u32::try_from(samples.len() * 2).expect("a short recording");
    let mut wav = b"RIFF".to_vec();
    wav.extend((36 + bytes).to_le_bytes());
    wav.extend(b"WAVEfmt ");
    wav.extend(16_u32.to_le_bytes());
    wav.extend([1_u16, 2].map(u16::to_le_bytes).concat());
    wav.extend([8000_u32, 32_000].map(u32::to_le_bytes).concat());
    wav.extend([4_u16, 16].map(u16::to_le_bytes).concat());
    wav.extend(b"data");
    wav.extend(bytes.to_le_bytes());
    wav.extend(samples.iter().flat_map(|sample| sample.to_le_bytes()));
    std::fs::write(path, wav).expect("written");
}

/// The officer has signed in; none where there is no browser.
async fn signed_in() -> Option<(Room, Browser)> {
    if !have(&["chromedriver", "chromium"]) {
        return None;
    }
    let room = Room::open().await;
    let browser = Browser::start().await;
    sign_in(&browser, &room).await;
    Some((room, browser))
}

/// The officer has signed in and talks to a caller; none where there is no browser.
pub async fn in_a_call() -> Option<(Room, Browser, CallId)> {
    let (room, browser) = signed_in().await?;
    let call = room.caller_dials("88123456", "市住建局").await;
    browser.see("article.entry").await;
    room.officer_answers(call).await;
    Some((room, browser, call))
}

async fn sign_in(browser: &Browser, room: &Room) {
    browser.goto(&room.url).await;
    browser.type_into("account", "zhuban").await;
    browser.type_into("password", PASSWORD).await;
    browser.shot("01-sign-in").await;
    browser.click("button.primary").await;
    browser.see_text("#live .word", "实时").await;
    watch_faults(browser).await;
}

/// Notes every fault of a script, every file that is missing and every broken rule of the policy.
async fn watch_faults(browser: &Browser) {
    let watch = "window.faults = []; const note = event => faults.push(event.type + ' ' + \
                 (event.message ?? event.reason ?? event.violatedDirective ?? event.target?.src)); \
                 for (const kind of ['error', 'unhandledrejection', 'securitypolicyviolation']) \
                 addEventListener(kind, note, true);";
    browser.script(watch).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_urgent_call_as_the_officer_sees_it() {
    let Some((room, browser)) = signed_in().await else { return };
    browser.shot("02-empty-desk").await;

    let first = room.caller_dials("88123456", "市住建局").await;
    browser.see_text(".ring-number", "88123456").await;
    browser.see("article.entry").await;
    browser.shot("03-first-call-rings").await;
    assert_eq!(browser.focus().await, Value::Null, "a pop-up takes no focus");
    room.officer_answers(first).await;
    browser.see_text(".entry-marks", "通话中").await;

    browser.type_into("subject", "关于召开国庆值班").await;
    let told = Instant::now();
    let second = room.caller_dials("13800130007", "<script>alert(1)</script>").await;
    browser.see_text("#ring .ring-number", "13800130007").await;
    assert!(told.elapsed() < Duration::from_secs(1), "pop-up after {:?}", told.elapsed());
    assert_eq!(browser.focus().await, "subject", "typing goes on");
    browser.client.active_element().await.unwrap().send_keys("工作会议的通知").await.unwrap();
    browser.see_text(".save-state", "已保存").await;
    browser.shot("04-second-call-while-typing").await;
    let subject = browser.script("return document.querySelector('[name=subject]').value").await;
    assert_eq!(subject, "关于召开国庆值班工作会议的通知");
    assert_eq!(
        browser.script("return Object.keys(localStorage).length").await,
        0,
        "no drafts left"
    );
    let ring = browser.see("#ring .ring-card:first-child").await.rectangle().await.unwrap();
    let form = browser.see("form.fields").await.rectangle().await.unwrap();
    assert!(ring.0 + ring.2 <= form.0, "the pop-up covers no field: {ring:?} {form:?}");

    browser.press(Key::F1).await;
    let opened = format!("article.entry[data-entry=\"{second}\"]");
    browser.see(&opened).await;
    room.officer_answers(second).await;
    browser.until("the pop-up goes", async || browser.text("#ring").await.is_empty()).await;
    browser.press(Key::F3).await;
    browser.see_text(".escalations", "正在呼叫领导").await;
    let attempts = room.escalator_turns().await;
    assert_eq!(attempts.len(), 1, "the leader's mobile");
    browser.see_text(".attempts", "周带班").await;
    room.happens(Fact::AttemptRinging { attempt: attempts[0] }).await;
    browser.see_text(".attempts", "振铃").await;
    browser.type_into("content", "化工园区二号储罐阀门泄漏氨气，两人轻伤，正在疏散。").await;
    browser.see_text(".save-state", "已保存").await;
    browser.shot("05-critical-leader-rings").await;
    let end = |result, status| Fact::AttemptEnded { attempt: attempts[0], result, status };
    room.happens(Fact::AttemptAnswered { attempt: attempts[0] }).await;
    browser.see_text(".attempts", "等待按键").await;
    room.happens(Fact::AttemptKey { attempt: attempts[0], key: '4' }).await;
    let entry = EntryId::from(second);
    room.happens(Fact::Acknowledged { attempt: attempts[0], entry }).await;
    room.happens(end(AttemptResult::Acknowledged, 200)).await;
    browser.see_text(".escalations", "已接报").await;
    browser.see_text(".attempts", "按键确认").await;

    room.caller_hangs_up(second, Disposition::Answered).await;
    room.is_recorded(second, 20).await;
    browser.see("[data-part=recording] audio").await;
    browser.shot("06-acknowledged-and-recorded").await;
    plays(&browser).await;

    browser.click(".entry-actions form:last-child button").await;
    browser.see_text(".action-note", "请先补全").await;
    browser.shot("07-what-is-missing").await;
    looks_right(&browser).await;
    browser.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn callers_who_wait_hold_or_leave_a_message_as_the_officer_sees_them() {
    let Some((room, browser)) = signed_in().await else { return };
    let talking = room.caller_dials("88123456", "市住建局").await;
    room.officer_answers(talking).await;
    let waits = room.caller_dials("13800130007", "").await;
    room.happens(Fact::Began { call: waits, stretch: Stretch::Queued }).await;
    browser.see_text(&format!("#row-{waits}"), "排队").await;
    let hold = Stretch::Hold(Party::Officer);
    room.happens(Fact::Began { call: talking, stretch: hold }).await;
    browser.see_text(&format!("#row-{talking}"), "保持").await;
    let speaks = room.caller_dials("13800130008", "").await;
    room.happens(Fact::Began { call: speaks, stretch: Stretch::Message }).await;
    browser.see_text(&format!("#row-{speaks}"), "留言中").await;
    browser.shot("20-waiting-holding-leaving-a-message").await;

    room.happens(Fact::Over { call: talking, stretch: hold }).await;
    room.caller_hangs_up(waits, Disposition::Abandoned).await;
    room.caller_hangs_up(speaks, Disposition::Message).await;
    room.is_recorded(speaks, 20).await;
    browser.see_text(&format!("#row-{speaks}"), "待回拨").await;
    browser.see_text(&format!("#row-{waits}"), "待回拨").await;
    browser.click(&format!("#row-{speaks} > a")).await;
    browser.see_text("[data-part=callback]", "待回拨").await;
    browser.see_text("[data-part=stretches]", "留言").await;
    browser.shot("21-to-call-back").await;
    browser.click(&format!("#row-{waits} .row-action button")).await;
    browser.see_text(&format!("#row-{waits}"), "已回拨").await;
    browser.type_into("reason", "空号").await;
    browser.click("[data-part=callback] .stack button").await;
    browser.see_text("[data-part=callback]", "空号").await;
    browser.see_text(&format!("#row-{speaks}"), "无法回拨").await;
    browser.shot("22-called-back").await;
    looks_right(&browser).await;
    browser.end().await;
}

/// The recording plays, and can be sought in by ranges.
async fn plays(browser: &Browser) {
    let script = "const audio = document.querySelector('[data-part=recording] audio'); audio.muted = true; \
                  audio.play(); window.heard = audio;";
    browser.script(script).await;
    browser
        .until("the recording plays", async || {
            browser.script("return window.heard.currentTime > 0.3").await == true
        })
        .await;
    assert_eq!(browser.script("return Math.round(window.heard.duration)").await, 20);
    browser.script("window.heard.currentTime = 15").await;
    browser
        .until("it goes on from there", async || {
            browser.script("return window.heard.currentTime > 15.2").await == true
        })
        .await;
}

/// Nothing asked elsewhere, no script of a caller's ran, no rule of ours was broken, nothing
/// scrolls away.
pub async fn looks_right(browser: &Browser) {
    let asked = "return performance.getEntriesByType('resource').map(one => one.name)\
                 .filter(name => !name.startsWith(location.origin))";
    assert_eq!(browser.script(asked).await, json!([]));
    let faults = browser.script("return window.faults").await;
    assert_eq!(faults, json!([]));
    let wide = "return document.documentElement.scrollWidth - innerWidth";
    assert!(browser.script(wide).await.as_i64().unwrap() <= 0);
    let moved = "const top = () => document.querySelector('.top').getBoundingClientRect().top; \
                 const before = top(); document.getElementById('detail').scrollTo(0, 9999); \
                 scrollTo(0, 9999); return top() - before";
    assert_eq!(browser.script(moved).await.as_f64(), Some(0.0), "the strip stays");
}

#[tokio::test(flavor = "multi_thread")]
async fn two_desks_and_a_server_that_goes_away() {
    let Some((mut room, browser)) = signed_in().await else { return };
    let call = room.caller_dials("88123456", "").await;
    room.officer_answers(call).await;
    browser.see("article.entry").await;

    let entry = EntryId::from(call);
    room.other_desk_writes(entry, Field::CallerUnit, "", "市住建局").await;
    let unit = "return document.querySelector('[name=caller_unit]').value";
    browser.until("the other desk's text", async || browser.script(unit).await == "市住建局").await;

    // Both change the same field: nothing is overwritten, the officer chooses.
    browser
        .script(
            "window.realFetch = fetch; window.fetch = (url, how) => how?.method === 'PATCH' \
        ? new Promise(go => { window.go = () => go(realFetch(url, how)) }) : realFetch(url, how)",
        )
        .await;
    browser.type_into("subject", "我写的事由").await;
    browser
        .until("the save is on its way", async || {
            browser.script("return !!window.go").await == true
        })
        .await;
    room.other_desk_writes(entry, Field::Subject, "", "对方写的事由").await;
    browser.script("window.fetch = realFetch; go()").await;
    browser.see_text(".conflict", "对方写的事由").await;
    browser.shot("08-conflict").await;
    browser.click(".conflict .keep").await;
    browser.see_text(".save-state", "已保存").await;
    let found = room.store.entry(entry).await.unwrap().unwrap();
    assert_eq!(found.form.get(Field::Subject), "我写的事由");
    assert_eq!(found.revisions.len(), 4, "arrival, unit, theirs, mine");

    room.server_stops().await;
    browser.see("#page-lost").await;
    browser.type_into("content", "断线时写的内容").await;
    browser.see_text(".save-state", "未保存").await;
    browser.shot("09-server-away").await;
    let drafts = "return Object.keys(localStorage).filter(key => key.startsWith('draft:')).length";
    assert_eq!(browser.script(drafts).await, 1, "what is typed is kept on this computer");
    let missed = room.caller_dials("13800130007", &"很长的名字".repeat(40)).await;
    room.server_starts().await;
    browser.see_text(".save-state", "已保存").await;
    browser.see_text("#ring .ring-number", "13800130007").await;
    browser.until("the page is live", async || browser.text("#page-lost").await.is_empty()).await;
    assert_eq!(browser.script(drafts).await, 0);
    let found = room.store.entry(entry).await.unwrap().unwrap();
    assert_eq!(found.form.get(Field::Content), "断线时写的内容");

    room.caller_hangs_up(missed, Disposition::Missed).await;
    browser.see_text("#list", "漏接").await;
    browser.until("the pop-up goes", async || browser.text("#ring").await.is_empty()).await;
    browser.end().await;
}

/// A bad night, for the eye: alarms, nobody answers, long names, the other language, the dark.
#[tokio::test(flavor = "multi_thread")]
async fn a_bad_night() {
    if !have(&["chromedriver", "chromium"]) {
        return;
    }
    let room = Room::open().await;
    let browser = Browser::start().await;
    for at in 0..24_u32 {
        let number = format!("1380013{at:04}");
        let name = if at % 3 == 0 { "市应急管理局值班室" } else { "" };
        let call = room.caller_dials(&number, name).await;
        if at % 4 == 0 {
            room.caller_hangs_up(call, Disposition::Abandoned).await;
        } else {
            room.officer_answers(call).await;
            room.caller_hangs_up(call, Disposition::Answered).await;
            room.is_recorded(call, 1).await;
        }
    }
    let call = room.caller_dials("02088887777", &"很长的名字".repeat(40)).await;
    room.officer_answers(call).await;
    let officer = room.officer().await;
    room.store.flag(&officer, call.into(), Urgency::Critical, clock::now()).await.unwrap();
    for turn in 0..6_i64 {
        room.escalator_turns_at(clock::now() + Duration::from_secs(60 * turn as u64)).await;
    }
    sign_in(&browser, &room).await;
    room.board.update(|status| {
        let since = clock::now().wall;
        status.line = LineState::Lost { since, status: 408, why: "no answer".to_owned() };
        status.recorder = PartState::Failed { since, why: "disk full".to_owned() };
        status.disk = DiskState { free: 3 << 30, days: 9 };
    });
    browser.see_text("#status", "离线").await;
    browser.click(&format!("[data-entry=\"{call}\"] a")).await;
    browser.see("article.entry .attempts").await;
    browser.see("[data-siren]").await;
    let name = browser.see("article.entry .entry-caller .name").await;
    assert!(name.rectangle().await.unwrap().3 < 40.0, "a long name stays on one line");
    browser.shot("10-bad-night").await;
    looks_right(&browser).await;
    browser.click("form[action='/language'] button").await;
    browser.see_text("#live .word", "Live").await;
    browser.shot("11-english").await;
    browser.end().await;

    let browser = Browser::start_with(&["--force-dark-mode"]).await;
    sign_in(&browser, &room).await;
    browser.goto(&format!("{}/?entry={call}", room.url)).await;
    browser.see("article.entry .attempts").await;
    let dark = "return matchMedia('(prefers-color-scheme: dark)').matches";
    assert_eq!(browser.script(dark).await, true);
    browser.shot("12-dark").await;
    browser.end().await;
}

/// What is said of a night, for the eye; and an entry is handed out by its button.
#[tokio::test(flavor = "multi_thread")]
async fn a_period_as_the_officer_sees_it() {
    if !have(&["chromedriver", "chromium"]) {
        return;
    }
    let room = Room::open().await;
    let call = room.caller_dials("13800130007", "").await;
    room.officer_answers(call).await;
    room.caller_hangs_up(call, Disposition::Answered).await;
    let now = clock::now();
    let began = now.wall - chrono::TimeDelta::minutes(3);
    room.store.outage_was(OutageKind::Line, began, "408 no answer", now).await.unwrap();
    room.store.clock_stepped(began, now.wall, now).await.unwrap();
    let browser = Browser::start().await;
    sign_in(&browser, &room).await;
    browser.goto(&format!("{}/?entry={call}", room.url)).await;
    browser.see("form[action$='/export'] button").await;
    browser.shot("14-export").await;
    browser.click("a[href='/period']").await;
    browser.see_text(".verdict", "不能证明").await;
    browser.see(&format!("a[href='/?entry={call}']")).await;
    browser.shot("15-period").await;
    browser.end().await;
}

/// The whole daemon with the demo's telephones, from the first link on.
#[tokio::test(flavor = "multi_thread")]
async fn an_evening_at_the_demo() {
    if !have(&["chromedriver", "chromium"]) {
        return;
    }
    let folder = tempfile::tempdir().expect("a folder");
    let ports = Ports::take();
    let mut command = Command::new(env!("CARGO_BIN_EXE_dutyline"));
    command.args(["demo", "--web-port", &ports.page().to_string()]);
    let mut demo = Process::start("demo", folder.path(), &mut command);
    demo.wait_for("/first/", SOON);
    let log = demo.log();
    let link = log.split_whitespace().find(|word| word.contains("/first/")).expect("a link");
    let browser = Browser::start().await;
    browser.goto(link).await;
    for (name, text) in [("name", "主班员"), ("account", "zhuban"), ("password", PASSWORD)] {
        browser.type_into(name, text).await;
    }
    browser.type_into("again", PASSWORD).await;
    browser.shot("20-first-account").await;
    browser.click("button.primary").await;
    browser.see_text(".demo-bar", "演示").await;
    browser.see_text("#status", "在线").await;
    watch_faults(&browser).await;
    browser.shot("21-demo-desk").await;

    browser.click("#demo-call").await;
    browser.see_text("#ring .ring-number", "13800130007").await;
    browser.shot("22-demo-rings").await;
    browser.see_text(".entry-marks", "通话中").await;
    browser.type_into("subject", "化工园区氨气泄漏").await;
    browser.press(Key::F3).await;
    browser.see_text(".attempts", "振铃").await;
    browser.type_into("content", "二号储罐阀门泄漏，两人轻伤，正在疏散约四十人。").await;
    browser.see_text(".save-state", "已保存").await;
    browser.shot("23-demo-leader-rings").await;
    browser.see_text(".attempts", "等待按键").await;
    let long = Duration::from_secs(30);
    browser
        .until_within(long, "the leader knows", async || {
            browser.text(".escalations").await.contains("已接报")
        })
        .await;
    browser.shot("24-demo-acknowledged").await;
    let over = Duration::from_secs(90);
    browser
        .until_within(over, "the recording is sealed", async || {
            browser.client.find(Locator::Css("[data-part=recording] audio")).await.is_ok()
        })
        .await;
    let start = "window.heard = document.querySelector('[data-part=recording] audio'); heard.muted = true; heard.play()";
    browser.script(start).await;
    browser
        .until("the recording plays", async || {
            browser.script("return heard.currentTime > 1 && heard.duration > 20").await == true
        })
        .await;
    browser.shot("25-demo-recorded").await;
    looks_right(&browser).await;
    browser.end().await;
    assert_eq!(demo.stop(SOON), 0, "it ends in order");
}

/// What was said on the wire in an evening's call, so many milliseconds after its INVITE.
const SAID: [(u64, Way, &str, &str); 17] = [
    (0, Way::In, "", "INVITE sip:1001@10.0.0.5"),
    (1, Way::Out, "", "100 Trying"),
    (12, Way::Out, "2001", "INVITE sip:2001@pbx"),
    (15, Way::In, "2001", "407 Proxy Authentication Required"),
    (16, Way::Out, "2001", "ACK sip:2001@pbx"),
    (16, Way::Out, "2001", "INVITE sip:2001@pbx"),
    (518, Way::Out, "2001", "INVITE sip:2001@pbx"),
    (530, Way::In, "2001", "180 Ringing"),
    (531, Way::Out, "", "180 Ringing"),
    (20_540, Way::Out, "2001", "CANCEL sip:2001@pbx"),
    (20_548, Way::In, "2001", "487 Request Terminated"),
    (20_551, Way::Out, "2002", "INVITE sip:2002@pbx"),
    (20_590, Way::In, "2002", "180 Ringing"),
    (24_100, Way::In, "2002", "200 OK"),
    (24_101, Way::Out, "2002", "ACK sip:2002@pbx"),
    (24_102, Way::Out, "", "200 OK"),
    (24_110, Way::In, "", "ACK sip:1001@10.0.0.5"),
];

fn said(call: CallId, began: Now) -> Vec<Traced> {
    let peer = Peer { transport: Transport::Udp, addr: "192.168.10.1:5060".parse().unwrap() };
    let message = |&(ms, way, leg, first): &(u64, Way, &str, &str)| {
        let request = !first.starts_with(|c: char| c.is_ascii_digit());
        let line = if request { format!("{first} SIP/2.0") } else { format!("SIP/2.0 {first}") };
        let method = if request { first.split(' ').next().unwrap() } else { "INVITE" };
        let sdp = first.starts_with("INVITE") || first.starts_with("200");
        let body = if sdp {
            "Content-Type: application/sdp\r\n\r\nv=0\r\no=- 1 1 IN IP4 192.168.10.1\r\ns=-\r\n\
             c=IN IP4 192.168.10.1\r\nt=0 0\r\nm=audio 20000 RTP/AVP 8 101\r\n"
        } else {
            "Content-Length: 0\r\n\r\n"
        };
        let text = format!(
            "{line}\r\nVia: SIP/2.0/UDP 192.168.10.1:5060;branch=z9hG4bK{leg}{method}\r\n\
             From: \"王主任\" <sip:+8613800130007@ims.example;user=phone>;tag=f\r\n\
             To: <sip:1001@192.168.10.1>\r\nCall-ID: {leg}-4711@pbx\r\nCSeq: 1 {method}\r\n\
             Diversion: \"总机\" <sip:63001000@192.168.10.1>;reason=no-answer\r\n{body}"
        );
        let what = What::Message { way, peer, leg: leg.to_owned(), bytes: text.into_bytes() };
        Traced { call, at: began + Duration::from_millis(ms), what }
    };
    SAID.iter().map(message).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn rec_s8_rec_s11_a_diverted_call_and_its_ladder_as_the_officer_sees_them() {
    let Some((room, browser)) = signed_in().await else { return };
    let began = clock::now();
    let call = CallId::new(began, &mut clock::random());
    let mut arrival = Arrival::from_number(call, "13800130007", "王主任");
    let by = |user: &str, display: &str, why| Diverted {
        by: Identity { user: user.into(), display: display.into(), ..Identity::default() },
        header: ClaimHeader::Diversion,
        why,
    };
    arrival.diverted = vec![
        by("63001000", "总机", DivertedWhy::NoAnswer),
        by("63005678", "", DivertedWhy::Unconditional),
    ];
    room.happens(Fact::Arrived(Box::new(arrival))).await;
    browser.see_text(".ring-way", "未核实 · 经 63001000 总机、63005678 转移").await;
    browser.see_text(".entry-way", "来自 13800130007，经 63001000 总机（无应答）").await;
    browser.shot("13-diverted-rings").await;
    let mut steps = said(call, began);
    let lost =
        Traced { call, at: began + Duration::from_millis(24_105), what: What::Lost { count: 2 } };
    steps.insert(16, lost);
    assert_eq!(room.store.trace(steps).await.expect("written"), [EntryId::from(call)]);
    room.officer_answers(call).await;
    browser.see_text("[data-part=ladder] summary", "17 条").await;
    browser.click("[data-part=ladder] summary").await;
    browser.see("[data-part=ladder] svg.ladder").await;
    browser.click("[data-part=claims] summary").await;
    let down = "document.querySelector('[data-part=ladder]').scrollIntoView()";
    browser.script(down).await;
    browser.shot("14-ladder-in-the-entry").await;
    looks_right(&browser).await;

    browser.goto(&format!("{}/entries/{call}/ladder", room.url)).await;
    browser.see_text(".choose", "点击").await;
    browser.click("svg.ladder a:nth-of-type(4) .time").await;
    browser.see_text("#m4", "407 Proxy Authentication Required").await;
    browser.see_text("#m4 pre", "Diversion: \"总机\" <sip:63001000").await;
    let shown = "return [...document.querySelectorAll('.spoken')]\
                 .filter(one => getComputedStyle(one).display !== 'none').length";
    assert_eq!(browser.script(shown).await, 1);
    assert_eq!(browser.script("return document.scripts.length").await, 0, "no script is needed");
    browser.shot("15-ladder-and-a-message").await;
    browser.end().await;

    let browser = Browser::start_with(&["--force-dark-mode"]).await;
    sign_in(&browser, &room).await;
    browser.goto(&format!("{}/entries/{call}/ladder#m1", room.url)).await;
    browser.see("#m1").await;
    browser.shot("16-ladder-dark").await;
    browser.end().await;
}

/// The page's first request for an entry is answered, and its answer held up on the way.
const SLOW_ENTRY: &str = "
    const real = window.fetch;
    window.held = 0;
    window.fetch = async (...asked) => {
        const answer = await real(...asked);
        if (String(asked[0]?.url ?? asked[0]).includes('/entries/') && !window.held++) {
            await new Promise((go) => { window.letGo = go; });
        }
        return answer;
    };";

#[tokio::test(flavor = "multi_thread")]
async fn what_happens_to_an_entry_on_its_way_to_the_page_is_shown() {
    let Some((room, browser)) = signed_in().await else { return };
    browser.script(SLOW_ENTRY).await;
    let call = room.caller_dials("88123456", "市住建局").await;
    browser
        .until("the entry is on its way", async || {
            browser.script("return typeof window.letGo").await == "function"
        })
        .await;
    room.officer_answers(call).await;
    browser.see_text("#list", "通话中").await;
    browser.script("window.letGo()").await;
    browser.see_text(".entry-marks", "通话中").await;
    browser.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_button_that_is_held_down_while_what_was_typed_is_saved_is_clicked() {
    let Some((room, browser)) = signed_in().await else { return };
    let call = room.caller_dials("88123456", "市住建局").await;
    browser.see("article.entry").await;
    room.officer_answers(call).await;
    browser.see_text(".entry-marks", "通话中").await;
    let count = "window.clicked = 0; document.addEventListener('click', (event) => {
        if (event.target.closest('.entry-actions form[data-dial] button')) window.clicked++;
    }, true);";
    browser.script(count).await;
    // The button bears the number, and the number is saved as soon as the field is left.
    browser.script("document.querySelector('input[name=caller_phone]').value = ''").await;
    browser.type_into("caller_phone", "66001122").await;
    browser.hold(".entry-actions form[data-dial] button", Duration::from_millis(1200)).await;
    assert_eq!(browser.script("return window.clicked").await, 1, "it is clicked");
    browser
        .until("the button bears the new number", async || {
            let title =
                "return document.querySelector('.entry-actions form[data-dial] button').title";
            browser.script(title).await.as_str().is_some_and(|title| title.contains("66001122"))
        })
        .await;
    browser.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_number_that_was_typed_is_saved_before_it_is_called() {
    let Some((room, browser)) = signed_in().await else { return };
    room.caller_dials("88123456", "市住建局").await;
    browser.see("article.entry").await;
    // A server that takes its time, or refuses, over what is saved.
    let slow = "const real = window.fetch; window.asked = []; window.refuse = false;
        window.fetch = async (where, how) => {
            const saves = how?.method === 'PATCH';
            if (saves) await new Promise((later) => setTimeout(later, 700));
            if (saves && window.refuse) return new Response('', { status: 503 });
            const answer = await real(where, how);
            if (saves || where === '/dial') window.asked.push(saves ? 'saved' : 'called');
            return answer;
        };";
    browser.script(slow).await;
    let call = ".entry-actions form[data-dial] button";
    browser.type_into("caller_phone", "66001122").await;
    browser.script("document.activeElement.blur()").await;
    browser.click(call).await;
    let asked = async || browser.script("return window.asked.join(' ')").await;
    browser.until("it is called", async || asked().await == "saved called").await;

    browser.script("window.asked = []; window.refuse = true").await;
    browser.type_into("caller_phone", "3").await;
    browser.click(call).await;
    browser.see_text(".action-note", "未保存").await;
    assert_eq!(asked().await, "", "the number before is not called");
    browser.end().await;
}
