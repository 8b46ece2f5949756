//! What the eye sees while a call comes in, is written down and is escalated: the page in a real
//! Chromium, on the real log, and with the whole demo.

mod away;
mod call;
mod closed;
mod contrast;
mod demo;
mod desk;
mod everywhere;
mod export;
mod forms;
mod ladder;
mod night;
mod session;
mod siren;
mod tabs;
mod unread;

use crate::browser::{Browser, SOON};
use crate::have;
use dutyline::duty::entry::Field;
use dutyline::duty::ids::{AttemptId, CallId, EntryId};
use dutyline::duty::journal::{Arrival, Disposition, Fact, Noted};
use dutyline::duty::roll_call::RollCallPlan;
use dutyline::duty::roster::{Person, Role, Roster};
use dutyline::duty::switchboard::Input;
use dutyline::io::status::{Board, DiskState, LineState, Live};
use dutyline::io::store::{Account, Added, Login, NewPerson, Saved, Sealed, Settled, Store, Who};
use dutyline::io::tape::Recall;
use dutyline::io::{clock, web};
use dutyline::protocol::now::Now;
use serde_json::json;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tempfile::TempDir;
use tokio::sync::{Mutex, Notify, mpsc};
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
    /// What the switchboard is asked.
    orders: Mutex<mpsc::Receiver<Input>>,
    server: Option<JoinHandle<std::io::Result<()>>>,
}

impl Room {
    pub async fn open() -> Self {
        Self::open_where(false).await
    }

    /// `reasons`: nobody listens without one.
    async fn open_where(reasons: bool) -> Self {
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
        let (orders, ordered) = mpsc::channel(8);
        let page = web::Web {
            store: store.clone(),
            board: board.clone(),
            room: "市政务服务中心值班室".to_owned(),
            line: "6001".to_owned(),
            recordings,
            recall: Recall::default(),
            dialler: web::Dialler {
                orders,
                phones: vec!["值班台话机".to_owned()],
                roster: Roster::default(),
            },
            copies: None,
            low_space: 0,
            listen_reason: reasons,
            proxies: vec![],
            report: Duration::from_secs(1800),
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
        let orders = Mutex::new(ordered);
        Self { store, board, url, roster, closing, folder, page, orders, server }
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
    pub async fn escalator_turns(&self) -> Vec<AttemptId> {
        self.escalator_turns_at(clock::now()).await
    }

    pub async fn escalator_turns_at(&self, now: Now) -> Vec<AttemptId> {
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

    /// The officer has signed in without a key or a click.
    async fn has_signed_in(&self, browser: &Browser) {
        browser.goto(&self.at("/login")).await;
        let post = "return fetch('/login', { method: 'POST', body: new URLSearchParams";
        let signs_in = format!(
            "{post}({{ account: 'zhuban', password: '{PASSWORD}' }}) }}).then(answer => answer.ok)"
        );
        assert_eq!(browser.script(&signs_in).await, true);
    }

    async fn other_desk_calls_back(&self, entry: EntryId) {
        let officer = self.officer().await;
        let settled = self.store.settle_callback(&officer, entry, None, clock::now()).await;
        assert!(matches!(settled, Ok(Settled::Settled)), "{settled:?}");
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
    signed_in_where(false).await
}

async fn signed_in_where(reasons: bool) -> Option<(Room, Browser)> {
    if !have(&["chromedriver", "chromium"]) {
        return None;
    }
    let room = Room::open_where(reasons).await;
    let browser = Browser::start().await;
    sign_in(&browser, &room).await;
    Some((room, browser))
}

/// The officer has signed in and talks to a caller; none where there is no browser.
pub async fn in_a_call() -> Option<(Room, Browser, CallId)> {
    in_a_call_where(false).await
}

/// As [`in_a_call`]; `reasons`: nobody listens without one.
pub async fn in_a_call_where(reasons: bool) -> Option<(Room, Browser, CallId)> {
    let (room, browser) = signed_in_where(reasons).await?;
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
