//! Every page, as an officer, a leader and a system administrator have it, on a wide and on a narrow screen, by day and in the
//! dark: nothing runs over, is cut off or stands on its side, and no word is in the other language.

use super::{PASSWORD, Room};
use crate::browser::{Browser, SOON};
use crate::have;
use dutyline::duty::entry::Field;
use dutyline::duty::ids::{CallId, EntryId};
use dutyline::duty::journal::{Arrival, AttemptResult, Disposition, Fact, Noted, Urgency};
use dutyline::duty::keeping::Rules;
use dutyline::duty::roster::{Person, Role, Roster};
use dutyline::io::clock;
use dutyline::io::store::{Account, FileKind, NewPerson};
use dutyline::protocol::now::Now;
use serde_json::{Value, json};

const SIZES: [(u32, u32); 2] = [(1366, 768), (1024, 768)];
const PAGES: [&str; 8] = [
    "/search?words=%E6%B0%A8%E6%B0%94",
    "/period",
    "/roster",
    "/roll-call",
    "/policy",
    "/keeping",
    "/keeping/dates",
    "/keeping/lists/1",
];

/// What a person would call wrong at a glance.
const WRONG: &str = r"
    const wrong = [];
    const over = document.documentElement.scrollWidth - innerWidth;
    if (over > 0) wrong.push(`runs over by ${over}`);
    const allowed = /^(dutyline|SHA|WAV|FLAC|SIP|leaders|head|keeping|role|manifest|json|JavaScript|allow|dial|toml|policy|escalation|later|systemctl|reload|English|From)$/;
    const seen = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
    for (let node = seen.nextNode(); node; node = seen.nextNode()) {
        const text = node.data.trim();
        const holder = node.parentElement;
        if (text === '' || holder.closest('template, script, noscript, svg') || !holder.checkVisibility()) continue;
        const box = holder.getBoundingClientRect();
        if (box.width === 0) continue;
        const style = getComputedStyle(holder);
        const size = parseFloat(style.fontSize);
        if (text.length > 3 && box.width < 2.2 * size && box.height > 2.5 * size) wrong.push(`on its side: ${text}`);
        const cut = style.overflowX !== 'visible' && holder.scrollWidth > holder.clientWidth + 1;
        if (cut && style.textOverflow === 'ellipsis' && !holder.closest('[title]')) wrong.push(`cut off: ${text}`);
        const inBox = holder.closest('.panel, .top, .row, .entry-top');
        if (inBox && box.right > inBox.getBoundingClientRect().right + 1 && !holder.closest('[class*=scroll]')) wrong.push(`beside its box: ${text}`);
        if (holder.closest('[data-said], code, .digest, .claims, option')) continue;
        for (const word of text.match(/[A-Za-z]{4,}/g) ?? []) if (!allowed.test(word)) wrong.push(`English: ${text}`);
    }
    return wrong;";

impl Room {
    /// A night with something of everything, long names among it.
    async fn has_a_night(&mut self) -> EntryId {
        let mut people = vec![
            Person::new("周带班", Role::Leader, Some("13900000001"), Some("6003")),
            Person::new("欧阳替班副主任", Role::Substitute, Some("13900000002"), Some("6004")),
            Person::new("郑主任", Role::OfficeDirector, Some("13900000003"), None),
            Person::new("孙主要领导", Role::Head, Some("13900000004"), Some("6001")),
        ];
        people[2].rank = 4;
        self.roster = Roster { people };
        self.page.dialler.roster = self.roster.clone();
        self.page.roll_call.at = vec!["17:40".parse().expect("a time")];
        self.page.keeping = Rules { ordinary: Some(chrono::TimeDelta::zero()), ..Rules::default() };
        self.server_stops().await;
        self.server_starts().await;
        for (login, name, account) in [
            ("lead", "周带班", Account::Leader),
            ("lead2", "欧阳替班副主任", Account::Leader),
            ("admin", "系统管理员", Account::Admin),
        ] {
            let (login, name, password) = (login.to_owned(), name.to_owned(), PASSWORD.to_owned());
            let person = NewPerson { login, name, account, password };
            self.store.add_person(person, "the test", clock::now()).await.expect("written");
        }
        self.has_calls().await;
        self.has_an_urgent_matter().await
    }

    async fn has_calls(&self) {
        let ends = [
            (Disposition::Missed, "市应急管理局值班室（夜间值守专线）"),
            (Disposition::Abandoned, ""),
            (Disposition::BusyMissed, "市住建局"),
            (Disposition::Answered, "化工园区值班室"),
        ];
        let now = clock::now();
        for (at, (end, name)) in (0_u64..).zip(ends.into_iter().cycle().take(12)) {
            let back = chrono::TimeDelta::minutes(300 - 20 * i64::try_from(at).expect("few"));
            let then = Now { wall: now.wall - back, ..now };
            let call = CallId::new(then, &mut clock::random());
            let arrival = Arrival::from_number(call, &format!("1380013{at:04}"), name);
            let mut facts = vec![Fact::Arrived(Box::new(arrival))];
            if end == Disposition::Answered {
                facts.push(Fact::Answered { call, phone: "值班台话机".to_owned() });
            }
            let why = String::new();
            facts.push(Fact::Ended { call, disposition: end, by: None, status: 200, why });
            for fact in facts {
                self.store.note(Noted { at: then, fact }).await.expect("written");
            }
            if end == Disposition::Answered {
                self.is_recorded(call, 12).await;
                self.store.copied(call, FileKind::Wav, now).await.expect("written");
            }
        }
        let began = Now { wall: now.wall - chrono::TimeDelta::minutes(33), ..now };
        let why = "交换机证书已过期 · the certificate has expired".to_owned();
        let down = Fact::LineDown { status: 408, why, since: None };
        for (at, fact) in [(began, down), (now, Fact::LineUp)] {
            self.store.note(Noted { at, fact }).await.expect("written");
        }
    }

    async fn has_an_urgent_matter(&self) -> EntryId {
        let call = self.caller_dials("02088887777", "化工园区管理委员会应急值守办公室").await;
        let entry = EntryId::from(call);
        self.officer_answers(call).await;
        for (field, text) in [
            (Field::Category, "emergency"),
            (Field::Subject, "化工园区二号储罐阀门泄漏氨气，两人轻伤"),
            (Field::EventPlace, "化工园区纬七路某化工厂二号罐区"),
        ] {
            self.other_desk_writes(entry, field, "", text).await;
        }
        let officer = self.officer().await;
        let flagged = self.store.flag(&officer, entry, Urgency::Critical, clock::now()).await;
        flagged.expect("written");
        let first = self.escalator_turns().await[0];
        let missed = AttemptResult::NoAnswer;
        self.happens(Fact::AttemptEnded { attempt: first, result: missed, status: 480 }).await;
        let later = clock::now() + std::time::Duration::from_secs(45);
        let second = self.escalator_turns_at(later).await[0];
        for fact in [
            Fact::AttemptAnswered { attempt: second },
            Fact::Acknowledged { attempt: second, entry },
        ] {
            self.happens(fact).await;
        }
        let end = AttemptResult::Acknowledged;
        self.happens(Fact::AttemptEnded { attempt: second, result: end, status: 200 }).await;
        self.caller_hangs_up(call, Disposition::Answered).await;
        self.is_recorded(call, 95).await;
        entry
    }
}

async fn enters(browser: &Browser, room: &Room, login: &str) {
    browser.goto(&room.at("/login")).await;
    let fields = format!("{{ account: '{login}', password: '{PASSWORD}' }}");
    assert_eq!(sends(browser, "/login", &fields).await, true, "{login}");
}

/// As a form of the page sends it.
async fn sends(browser: &Browser, path: &str, fields: &str) -> Value {
    let send = format!(
        "return fetch('{path}', {{ method: 'POST', body: new URLSearchParams({fields}) }}).then(answer => answer.ok)"
    );
    browser.script(&send).await
}

async fn works(browser: &Browser, room: &Room, entry: EntryId) {
    enters(browser, room, "zhuban").await;
    let number = room.store.entry_row(entry).await.expect("read").expect("there").number;
    for (path, fields) in [
        ("/roster/substitution", "{ absent: '周带班', stands_in: '郑主任', from: '2099-01-01T08:30', to: '2099-01-02T08:30', reason: '外出参加全市安全生产工作会议', approved_by: '孙主要领导' }".to_owned()),
        ("/roster/duty", "{ role: 'substitute', person: '欧阳替班副主任', from: '2026-01-01T08:30', to: '' }".to_owned()),
        ("/roll-call", "{}".to_owned()),
        ("/roll-call/number", "{ person: '郑主任', number: '13900000003' }".to_owned()),
        ("/drill", "{ urgency: 'urgent' }".to_owned()),
        ("/keeping/hold", format!("{{ number: '{number}', reason: '配合安全生产事故调查' }}")),
    ] {
        assert_eq!(sends(browser, path, &fields).await, true, "{path}");
    }
    enters(browser, room, "lead").await;
    assert_eq!(sends(browser, "/keeping/list", "{ reason: '保管期满' }").await, true);
    assert_eq!(sends(browser, "/keeping/copies", "{ reason: '磁盘报废' }").await, true);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_page_fits_reads_well_and_is_in_one_language() {
    if !have(&["chromedriver", "chromium"]) {
        return;
    }
    let mut room = Room::open().await;
    let entry = room.has_a_night().await;
    let mut wrong = vec![];
    for dark in [false, true] {
        let further: &[&str] = if dark { &["--force-dark-mode"] } else { &[] };
        let browser = Browser::start_with(further).await;
        if !dark {
            works(&browser, &room, entry).await;
        }
        for login in ["zhuban", "lead", "admin"] {
            enters(&browser, &room, login).await;
            for (wide, high) in SIZES {
                browser.resize(wide, high).await;
                let desk = ["/".to_owned(), format!("/?entry={entry}")];
                for path in desk.into_iter().chain(PAGES.map(str::to_owned)) {
                    browser.goto(&room.at(&path)).await;
                    let theme = if dark { "dark" } else { "light" };
                    let name: String =
                        path.chars().filter(|c| c.is_ascii_alphanumeric()).take(16).collect();
                    let ready = "return document.readyState === 'complete' && !document.querySelector('#status:empty')";
                    browser
                        .until_within(SOON, &path, async || browser.script(ready).await == true)
                        .await;
                    browser.whole_shot(&format!("all-{theme}-{login}-{wide}-{name}")).await;
                    let found = browser.script(WRONG).await;
                    for one in found.as_array().expect("a list") {
                        wrong.push(format!("{theme} {login} {wide} {path}: {one}"));
                    }
                }
            }
        }
        browser.end().await;
    }
    assert_eq!(json!(wrong), json!([]), "{}", wrong.join("\n"));
}
