//! 记录查询 in a log of a million entries: how long each kind of question takes, and what indexing costs.

use chrono::TimeDelta;
use dutyline::duty::ids::{CallId, EntryId};
use dutyline::duty::journal::{Arrival, Disposition, Fact, Noted, Urgency};
use dutyline::duty::words;
use dutyline::io::clock;
use dutyline::io::store::{
    Account, Added, Login, NewPerson, Query, RecordingState, Store, Who, wait,
};
use rusqlite::{Connection, params};
use std::path::Path;
use std::time::{Duration, Instant};
use uuid::Uuid;

/// Characters of which texts are made; the first come often, as in a language.
const COMMON: &str = "的一是在不了有和人这中大为上个国我以要他时来用们生到作地于出就分对成会可主发年动同工也能下过子说产种面而方后多定行学法所民得经十三之进着等部度家电力里如水化高自二理起小物现实加量都两体制机当使点从业本去把性好应开它合还因由其些然前外天政四日那社义事平形相全表间样与关各重新线内数正心反你明看原又么利比或但质气第向道命此变条只没结解问意建月公无系军很情者最立代想已通并提直题党程展五果料象员革位入常文总次品式活设及管特件长求老头基资边流路级少图山统接知较将组见计别她手角期根论运农指几九区强放决西被干做必战先回则任取据处队南给色光门即保治北造百规热领七海口东导器压志世金增争济阶油思术极交受联什认六共权收证改清己美再采转更单风切打白教速花带安场身车例真务具万每目至达走积示议声报斗完类八离华名确才科张信马节话米整空元况今集温传土许步群广石记需段研界拉林律叫且究观越织装影算低持音众书布复容儿须际商非验连断深难近矿千周委素技备半办青省列习响约支般史感劳便团往酸历市克何除消构府称太准精值号率族维划选标写存候毛亲快效斯院查江型眼王按格养易置派层片始却专状育厂京识适属圆包火住调满县局照参红细引听该铁价严";
const RARE: &str = "液槽罐氨泄漏爆炸溺踩踏瘫痪坍塌";

/// # Panics
/// Where the disk has no room for about three gigabytes.
pub fn run(entries: u64) {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("dutyline.db");
    let store = Store::open(&path, clock::random()).expect("a log");
    let who = officer(&store);
    // One call of the usual way: then the chain has begun.
    let arrival = Arrival::from_number(CallId::new(clock::now(), &mut clock::random()), "1", "");
    wait(store.note(Noted { at: clock::now(), fact: Fact::Arrived(Box::new(arrival)) }))
        .expect("noted");
    let began = Instant::now();
    fill(&path, entries);
    println!("search: {entries} entries written in {:.0?}", began.elapsed());
    let began = Instant::now();
    let (mut until, mut longest) = (None, Duration::ZERO);
    loop {
        let turn = Instant::now();
        let next = wait(store.index_older(until, 50)).expect("noted");
        longest = longest.max(turn.elapsed());
        until = next;
        if until.is_none() {
            break;
        }
    }
    while wait(store.is_indexing()).expect("read") {
        std::thread::sleep(Duration::from_millis(50));
    }
    let took = began.elapsed();
    let size = std::fs::metadata(&path).map_or(0, |file| file.len()) / 1_000_000;
    println!(
        "search: indexed in {took:.0?}, {:.0} µs an entry, 50 in {longest:.1?} at most; {size} MB",
        took.as_secs_f64() * 1e6 / entries as f64,
    );
    let mut all: Vec<Duration> = vec![];
    for (name, queries) in questions(entries) {
        let mut times = vec![];
        let mut found = 0;
        for query in queries {
            let began = Instant::now();
            let hits = wait(store.search(&who, query, None, 50, clock::now()));
            times.push(began.elapsed());
            found = found.max(hits.map_or(0, |hits| hits.count));
        }
        times.sort();
        let (median, worst) = (times[times.len() / 2], times[times.len() - 1]);
        println!("search: {name:<44} {median:>10.2?} median {worst:>10.2?} worst, {found} found");
        all.extend(times);
    }
    all.sort();
    let at = |share: f64| all[((all.len() - 1) as f64 * share) as usize];
    println!("search: all {} median {:.2?}, p95 {:.2?}", all.len(), at(0.5), at(0.95));
}

fn officer(store: &Store) -> Who {
    let person = NewPerson {
        login: "zhuban".to_owned(),
        name: "主班员".to_owned(),
        account: Account::Officer,
        password: "夜深了请别打瞌睡".to_owned(),
    };
    let added = wait(store.add_person(person, "bench", clock::now())).expect("added");
    assert!(matches!(added, Added::Added(_)));
    match wait(store.log_in("zhuban", "夜深了请别打瞌睡", "bench", clock::now())) {
        Ok(Login::Welcome { who, .. }) => who,
        Ok(Login::Refused) | Err(_) => panic!("his own password"),
    }
}

/// A number that looks like chance and is the same in each run.
fn chance(n: u64) -> u64 {
    let mut x = n.wrapping_add(0x9e37_79b9_7f4a_7c15);
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

/// About so many characters, common ones often.
fn text(n: u64, length: u64, common: &[char], rare: &[char]) -> String {
    let one = |at: u64| {
        let x = chance(n * 1000 + at);
        if x.is_multiple_of(401) {
            return rare[(x >> 20) as usize % rare.len()];
        }
        // The square makes the first many times as likely as the last.
        let share = (x >> 11) as f64 / (1_u64 << 53) as f64;
        common[(share * share * common.len() as f64) as usize]
    };
    (0..length).map(one).collect()
}

fn number(n: u64) -> String {
    format!("1{:010}", chance(n ^ 0xabcd) % 8_000_000 + 38_0013_0000)
}

/// Half a minute lies between two of them.
fn fill(path: &Path, entries: u64) {
    let (common, rare): (Vec<char>, Vec<char>) = (COMMON.chars().collect(), RARE.chars().collect());
    let mut log = Connection::open(path).expect("opened");
    let change = log.transaction().expect("begun");
    {
        let mut entry = change
            .prepare(
                "INSERT INTO entry (id, number, source, occurred_ms, recorded_ms, urgency, caller_unit,
                   caller_name, caller_phone, subject, content) VALUES (?1, ?2, 'call_in', ?3, ?3, ?4, ?5,
                   ?6, ?7, ?8, ?9)",
            )
            .expect("prepared");
        let mut call = change
            .prepare(
                "INSERT INTO call (id, number, entry, direction, state, caller, caller_plain, arrived_ms,
                   arrived_mono, disposition) VALUES (?1, ?2, ?1, 'in', 'ended', ?3, ?3, ?4, 0, ?5)",
            )
            .expect("prepared");
        let mut recording = change
            .prepare("INSERT INTO recording (call, state, started_ms) VALUES (?1, 'missing', ?2)")
            .expect("prepared");
        for n in 0..entries {
            let at = 1_700_000_000_000_i64 + n as i64 * 30_000;
            let id =
                EntryId(Uuid::from_u128((u128::from(n) << 64) | u128::from(chance(n)))).to_string();
            let urgency = match n % 400 {
                0 => "critical",
                1..=8 => "urgent",
                _ => "routine",
            };
            let disposition = if n % 50 == 7 { "missed" } else { "answered" };
            let day = 20_200_000 + n / 2880;
            let words = |from, length| text(n * 8 + from, length, &common, &rare);
            entry
                .execute(params![
                    id,
                    format!("记-{day}-{:04}", n % 2880),
                    at,
                    urgency,
                    words(0, 6),
                    words(1, 3),
                    number(n),
                    words(2, 16),
                    words(3, 120),
                ])
                .expect("written");
            call.execute(params![
                id,
                format!("电-{day}-{:04}", n % 2880),
                number(n),
                at,
                disposition
            ])
            .expect("written");
            if n % 1000 == 1 {
                recording.execute(params![id, at]).expect("written");
            }
        }
    }
    change.commit().expect("kept");
}

/// Thirty of each kind.
fn questions(entries: u64) -> Vec<(&'static str, Vec<Query>)> {
    let (common, rare): (Vec<char>, Vec<char>) = (COMMON.chars().collect(), RARE.chars().collect());
    let some = |of: &dyn Fn(u64) -> Query| (0..30).map(|n| of(chance(n) % entries)).collect();
    let phrase = |text: String| Query { phrases: words::phrases(&text), ..Query::default() };
    let part = |n: u64, from: usize, length: usize| -> String {
        text(n * 8 + 3, 120, &common, &rare).chars().skip(from).take(length).collect()
    };
    let wide = |n: u64| part(n, (n % 100) as usize, 1);
    let day = |n: u64| {
        let from = chrono::DateTime::from_timestamp_millis(1_700_000_000_000 + n as i64 * 30_000);
        let from = from.expect("a moment");
        Query { from: Some(from), to: Some(from + TimeDelta::days(1)), ..Query::default() }
    };
    vec![
        ("a whole telephone number", some(&|n| phrase(number(n)))),
        ("the last four digits of a number", some(&|n| phrase(number(n)[7..].to_owned()))),
        (
            "an entry's number",
            some(&|n| phrase(format!("记-{}-{:04}", 20_200_000 + n / 2880, n % 2880))),
        ),
        ("one character", some(&|n| phrase(wide(n)))),
        ("a word of two characters", some(&|n| phrase(part(n, 40, 2)))),
        ("a phrase of five characters", some(&|n| phrase(part(n, 40, 5)))),
        (
            "a name and a word",
            some(&|n| phrase(format!("{} {}", text(n * 8 + 1, 3, &common, &rare), part(n, 60, 2)))),
        ),
        ("two common characters apart", some(&|n| phrase(format!("{} {}", wide(n), wide(n + 1))))),
        ("one day", some(&day)),
        (
            "a word within one day",
            some(&|n| Query { phrases: words::phrases(&part(n, 40, 2)), ..day(n) }),
        ),
        ("very urgent", some(&|_| Query { urgency: Some(Urgency::Critical), ..Query::default() })),
        (
            "missed and urgent, with a character",
            some(&|n| Query {
                urgency: Some(Urgency::Urgent),
                disposition: Some(Disposition::Missed),
                ..phrase(wide(n))
            }),
        ),
        (
            "recording missing, with a character",
            some(&|n| Query { recording: Some(Some(RecordingState::Missing)), ..phrase(wide(n)) }),
        ),
        ("what is nowhere", some(&|n| phrase(format!("{}龘", wide(n))))),
    ]
}
