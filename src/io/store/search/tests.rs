//! What is found is what contains it, whatever was written and changed.

use super::*;
use crate::duty::ids::CallId;
use crate::duty::journal::Fact;
use crate::io::store::tests::{arrival, at, call, entry, note, officer, random, store};
use crate::io::store::{Sealed, wait};
use proptest::prelude::*;
use rusqlite::Connection;

fn numbers(store: &Store, query: Query) -> Vec<EntryId> {
    let hits = wait(store.search(&officer(), query, None, 100, at(900.0))).unwrap();
    hits.found.into_iter().map(|hit| hit.row.id).collect()
}

fn phrase(text: &str) -> Query {
    Query { phrases: words::phrases(text), ..Query::default() }
}

fn fill(store: &Store, entry: EntryId, field: Field, text: &str) {
    let old = wait(store.entry(entry)).unwrap().unwrap().form.get(field).to_owned();
    wait(store.save_field(&officer(), entry, field, &old, text, at(60.0))).unwrap();
}

#[test]
fn an_entry_is_found_by_what_it_says_and_what_it_said() {
    let store = store();
    let (one, other) = (entry(&store, 1, 0.0), entry(&store, 2, 1.0));
    fill(&store, one, Field::Content, "城北液化气，槽罐泄漏");
    fill(&store, one, Field::Category, "emergency");
    fill(&store, other, Field::Content, "城北停水");
    let found = |text: &str| numbers(&store, phrase(text));
    assert_eq!(found("液化气槽罐"), [one]);
    assert_eq!(found("城北"), [other, one], "the latest first");
    assert_eq!(found("城北 罐泄"), [one], "both");
    assert_eq!(found("突发事件"), [one], "its category");
    assert_eq!(found("记-20261003-0002"), [other]);
    assert_eq!(found("456"), [other, one], "in the middle of a number");
    assert_eq!(found("138 5678 漏"), [one]);
    assert_eq!(found("气泄"), [], "they do not stand together");
    fill(&store, one, Field::Content, "误报");
    assert_eq!(found("误报"), [one]);
    assert_eq!(found("槽罐"), [one], "what was corrected is a revision");
    let hits = wait(store.search(&officer(), phrase("槽罐"), None, 9, at(900.0))).unwrap();
    let text = "城北液化气，槽罐泄漏".to_owned();
    assert_eq!(hits.found[0].said, [Said { field: None, text }]);
}

#[test]
fn a_number_is_found_however_it_is_written() {
    let store = store();
    let written = ["0311-86001234", "031186001234", "+8613800130007", "13800130007"];
    let entries = (0..4).map(|n| {
        note(&store, f64::from(n), arrival(n, written[usize::from(n)]));
        EntryId::from(call(n))
    });
    let entries: Vec<EntryId> = entries.collect();
    let found =
        |text: &str| numbers(&store, Query { phrases: vec![text.to_owned()], ..Query::default() });
    for text in ["0311-86001234", "031186001234", "(0311) 8600-1234"] {
        assert_eq!(found(text), [entries[1], entries[0]], "{text}");
    }
    for text in ["+8613800130007", "13800130007", "138-0013-0007", "+86 138 0013 0007"] {
        assert_eq!(found(text), [entries[3], entries[2]], "{text}");
    }
}

#[test]
fn urgency_outcome_recording_and_day_narrow_it() {
    let store = store();
    let (one, other) = (entry(&store, 1, 0.0), entry(&store, 2, 86_400.0));
    let query = Query::default();
    let urgent = |urgency| numbers(&store, Query { urgency: Some(urgency), ..query.clone() });
    wait(store.flag(&officer(), other, Urgency::Urgent, at(86_401.0))).unwrap();
    assert_eq!((urgent(Urgency::Urgent), urgent(Urgency::Routine)), (vec![other], vec![one]));
    let disposition = Disposition::BusyMissed;
    let why = String::new();
    note(&store, 9.0, Fact::Ended { call: call(1), disposition, by: None, status: 486, why });
    assert_eq!(numbers(&store, Query { disposition: Some(disposition), ..query.clone() }), [one]);
    let recording = |state| numbers(&store, Query { recording: Some(state), ..query.clone() });
    assert_eq!(recording(None), [other, one]);
    let sealed = Sealed { wav: "a.wav".into(), sha256: "00".into(), ..Sealed::default() };
    wait(store.recording_sealed(CallId(other.0), sealed, at(86_500.0))).unwrap();
    assert_eq!(
        (recording(None), recording(Some(RecordingState::Sealed))),
        (vec![one], vec![other])
    );
    let days = |from: f64, to: f64| {
        let (from, to) = (Some(at(from).wall), Some(at(to).wall));
        numbers(&store, Query { from, to, ..query.clone() })
    };
    assert_eq!(days(0.0, 86_400.0), [one]);
    assert_eq!(days(1.0, 86_401.0), [other]);
}

#[test]
fn pages_follow_each_other_without_loss() {
    let store = store();
    for n in 0..25 {
        // Three of them at the same moment.
        note(&store, f64::from(n / 3), arrival(n, "13812345678"));
    }
    let (mut seen, mut before) = (vec![], None);
    loop {
        let page = wait(store.search(&officer(), phrase("1381"), before, 10, at(900.0))).unwrap();
        assert_eq!(page.count, 25);
        seen.extend(page.found.into_iter().map(|hit| hit.row.id));
        before = page.older;
        if before.is_none() {
            break;
        }
    }
    let mut each = seen.clone();
    each.sort();
    each.dedup();
    assert_eq!((seen.len(), each.len()), (25, 25));
}

#[test]
fn a_log_that_was_written_before_there_was_an_index_is_indexed_bit_by_bit() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("log.db");
    let store = Store::open(&path, random()).unwrap();
    crate::io::store::tests::add_officer(&store);
    let entries: Vec<_> = (0..7).map(|n| entry(&store, n, f64::from(n / 2))).collect();
    assert_eq!(numbers(&store, phrase("1381")).len(), 7);
    let raw = Connection::open(&path).unwrap();
    raw.execute_batch("DELETE FROM searchable; INSERT INTO search (search) VALUES ('delete-all')")
        .unwrap();
    assert_eq!(numbers(&store, phrase("1381")), []);
    let (mut until, mut turns) = (None, 0);
    while let Some(next) = wait(store.index_older(until, 2)).unwrap() {
        assert!(wait(store.is_indexing()).unwrap());
        until = Some(next);
        turns += 1;
    }
    assert!(turns >= 4 && !wait(store.is_indexing()).unwrap(), "{turns}");
    let mut found = numbers(&store, phrase("1381"));
    found.sort();
    let mut entries = entries;
    entries.sort();
    assert_eq!(found, entries);
}

#[test]
fn a_damaged_index_costs_the_log_nothing_is_said_and_is_made_anew_at_the_next_start() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("log.db");
    let store = Store::open(&path, random()).unwrap();
    crate::io::store::tests::add_officer(&store);
    let first = entry(&store, 1, 0.0);
    assert_eq!(numbers(&store, phrase("1381")), [first]);
    let raw = Connection::open(&path).unwrap();
    raw.execute_batch("UPDATE search_data SET block = zeroblob(length(block))").unwrap();
    drop(raw);
    let (mut all, unproved) = (vec![first], store.unproved());
    for n in 2..40 {
        let entry = entry(&store, n, f64::from(n));
        fill(&store, entry, Field::Subject, "停水");
        let flagged = wait(store.flag(&officer(), entry, Urgency::Urgent, at(61.0))).unwrap();
        assert!(matches!(flagged, crate::io::store::Flagged::Raised(_)), "{flagged:?}");
        all.push(entry);
    }
    assert_eq!(unproved.borrow().clone(), None);
    assert_eq!(wait(store.recent_entries(100)).unwrap().len(), all.len());
    let asked = wait(store.search(&officer(), phrase("1381"), None, 100, at(62.0)));
    assert!(wait(store.index_is_incomplete()).unwrap(), "and that is known: {asked:?}");
    drop(store);
    let store = Store::open(&path, random()).unwrap();
    let mut until = None;
    while let Some(next) = wait(store.index_older(until, 7)).unwrap() {
        until = Some(next);
    }
    all.reverse();
    assert_eq!(numbers(&store, phrase("1381")), all);
    assert!(!wait(store.index_is_incomplete()).unwrap());
}

#[test]
fn an_entry_at_fault_costs_the_others_nothing_at_the_next_start_and_no_command_beside_mends() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("log.db");
    let store = Store::open(&path, random()).unwrap();
    crate::io::store::tests::add_officer(&store);
    let (bad, good) = (entry(&store, 1, 0.0), entry(&store, 2, 1.0));
    assert_eq!(numbers(&store, phrase("1381")), [good, bad]);
    let spoil = "DROP TRIGGER revision_is_not_changed; UPDATE revision SET changes = '{'";
    store.write_now(move |tx| Ok(tx.sql.execute_batch(spoil)?)).unwrap();
    wait(store.flag(&officer(), bad, Urgency::Urgent, at(61.0))).unwrap();
    assert_eq!(numbers(&store, phrase("1381")), [good, bad], "as it was before");
    assert!(wait(store.index_is_incomplete()).unwrap());
    drop(Store::open_beside(&path, random()).unwrap());
    assert!(wait(store.index_is_incomplete()).unwrap(), "known still");
    drop(store);
    let store = Store::open(&path, random()).unwrap();
    assert_eq!(numbers(&store, phrase("1381")), [good, bad]);
    assert!(wait(store.index_is_incomplete()).unwrap(), "tried again, in vain");
}

#[test]
fn one_entry_that_cannot_be_indexed_keeps_no_other_from_being() {
    let store = store();
    let run =
        |sql: &'static str| store.write_now(move |tx| Ok(tx.sql.execute_batch(sql)?)).unwrap();
    let one = entry(&store, 1, 0.0);
    run("DROP TRIGGER revision_is_not_changed; UPDATE revision SET changes = '{'");
    wait(store.flag(&officer(), one, Urgency::Urgent, at(61.0))).unwrap();
    let other = entry(&store, 2, 1.0);
    assert_eq!(numbers(&store, phrase("1381")), [other, one], "as it was before");
    let urgent = Query { urgency: Some(Urgency::Urgent), ..Query::default() };
    assert_eq!(numbers(&store, urgent), [], "and not as it is");
    assert!(wait(store.index_is_incomplete()).unwrap());
}

#[test]
fn what_was_corrected_is_found_with_what_stood_around_it_and_typing_on_costs_nothing() {
    let store = store();
    let one = entry(&store, 1, 0.0);
    let long = "城北".repeat(2_000);
    fill(&store, one, Field::Content, &format!("{long}坡裂两人轻伤{long}"));
    fill(&store, one, Field::Content, &format!("{long}破裂两人轻伤{long}"));
    assert_eq!(numbers(&store, phrase("城北坡裂两人")), [one]);
    let gone = store.write_now(move |tx| crate::io::store::index::before(tx.sql, &one.to_string()));
    let gone = gone.unwrap();
    assert_eq!(gone.len(), 1);
    assert!(gone[0].chars().count() < 80, "{}", gone[0]);
}

/// Chinese, Latin, numbers, both widths, and what parts them.
const LETTERS: &[char] =
    &['水', '管', '破', '燃', 'a', 'b', 'C', '1', '3', '8', '１', 'Ａ', 'é', ' ', '，', '-', '\n'];

fn texts(most: usize) -> impl Strategy<Value = String> {
    let letter = proptest::sample::select(LETTERS);
    proptest::collection::vec(letter, 0..most).prop_map(|letters| letters.into_iter().collect())
}

/// As it is compared, in one line.
fn folded(text: &str) -> String {
    fold(text).into_iter().map(|one| one.c).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]
    #[test]
    fn what_is_found_is_what_like_finds_in_the_same_texts(
        saved in proptest::collection::vec((0..6_u8, texts(24)), 1..14),
        asked in proptest::collection::vec(texts(5), 12),
        cut in proptest::collection::vec((0..14_usize, 0..24_usize, 1..6_usize), 12),
    ) {
        let store = store();
        let entries: Vec<_> = (0..6).map(|n| {
            note(&store, f64::from(n), arrival(n, ""));
            EntryId::from(call(n))
        }).collect();
        let oracle = Connection::open_in_memory().unwrap();
        oracle.execute_batch("CREATE TABLE said (entry TEXT, text TEXT)").unwrap();
        for (n, text) in &saved {
            // What was there before stays to be found.
            let entry = entries[usize::from(*n)];
            fill(&store, entry, Field::Content, text);
            let kept = wait(store.entry(entry)).unwrap().unwrap();
            oracle.execute(
                "INSERT INTO said VALUES (?1, ?2)",
                params![Id(entry), folded(kept.form.get(Field::Content))],
            ).unwrap();
        }
        let parts = cut.into_iter().map(|(which, from, length)| {
            let text = &saved[which % saved.len()].1;
            text.chars().skip(from).take(length).collect::<String>()
        });
        for asked in asked.into_iter().chain(parts) {
            let Some(_) = words::asked(&asked) else { continue };
            let mut like = oracle.prepare(
                "SELECT DISTINCT entry FROM said WHERE text LIKE '%' || ?1 || '%' ORDER BY entry DESC",
            ).unwrap();
            let like = like.query_map([folded(&asked)], |row| row.get::<_, Id<EntryId>>(0)).unwrap();
            let mut like: Vec<EntryId> = like.map(|entry| entry.unwrap().0).collect();
            let mut found = numbers(&store, Query { phrases: vec![asked.clone()], ..Query::default() });
            // Numbers and the display are texts too.
            let own = |entry: &EntryId| {
                let row = wait(store.entry_row(*entry)).unwrap().unwrap();
                let call = row.call.unwrap();
                [row.number, call.number, call.display].iter().any(|text| folded(text).contains(&folded(&asked)))
            };
            like.extend(entries.iter().filter(|entry| own(entry)));
            like.sort();
            like.dedup();
            found.sort();
            prop_assert_eq!(found, like, "{:?} in {:?}", asked, &saved);
        }
    }
}

#[test]
fn rec_e5_a_search_is_audited_before_it_is_answered() {
    let store = store();
    let one = entry(&store, 1, 0.0);
    fill(&store, one, Field::Subject, "停水");
    let before = wait(store.verify_audit()).unwrap();
    numbers(&store, phrase("停水"));
    assert_eq!(wait(store.verify_audit()).unwrap(), before + 1);
    let row = "SELECT actor || ' ' || action || ' ' || detail FROM audit ORDER BY id DESC LIMIT 1";
    let row = crate::io::store::tests::one::<String>(&store, row);
    assert!(row.starts_with("王值班 search {\"phrases\":[\"停水\"]"), "{row}");
}
