//! Entries filled in, closed, opened again; what cannot be rewritten.

use super::*;
use crate::duty::entry::Category;
use crate::io::store::tests::{at, entry, note, officer, one, store};
use crate::io::store::{StoreError, wait};

fn save(store: &Store, entry: EntryId, field: Field, old: &str, new: &str) -> Saved {
    wait(store.save_field(&officer(), entry, field, old, new, at(60.0))).unwrap()
}

fn correct(
    store: &Store,
    entry: EntryId,
    field: Field,
    (old, new): (&str, &str),
    reason: &str,
) -> Saved {
    let (old, new, reason) = (old.to_owned(), new.to_owned(), reason.to_owned());
    let edit = FieldEdit { field, old, new, reason };
    wait(store.edit_field(&officer(), entry, edit, at(60.0))).unwrap()
}

fn write_raw(store: &Store, query: &str) -> Result<()> {
    let query = query.to_owned();
    store.write_now(move |tx| Ok(tx.sql.execute_batch(&query)?))
}

#[test]
fn a_field_is_changed_only_if_it_reads_what_the_officer_saw() {
    let store = store();
    let entry = entry(&store, 1, 0.0);
    let saved = save(&store, entry, Field::Content, "", "水管破裂\r\n无伤亡");
    assert!(matches!(saved, Saved::Saved { .. }));
    let theirs = "水管破裂\n无伤亡".to_owned();
    let conflict = save(&store, entry, Field::Content, "", "别的");
    assert_eq!(conflict, Saved::Conflict { theirs: theirs.clone() });
    let saved = save(&store, entry, Field::Content, "水管破裂\r\n无伤亡", "已修复");
    assert!(matches!(saved, Saved::Saved { .. }), "the browser's line ends are no conflict");
    assert!(matches!(save(&store, entry, Field::Content, "x", "已修复"), Saved::Saved { .. }));
    let view = wait(store.entry(entry)).unwrap().unwrap();
    assert_eq!(view.revisions.len(), 3, "saving the same again is no revision");
    assert_eq!(view.revisions[2].changes[0].old, theirs);
    assert_eq!(view.revisions[2].actor, "王值班");
    assert_eq!(wait(store.verify_entry(entry)).unwrap(), 3);
    assert_eq!(wait(store.verify_audit()).unwrap(), 2);
}

#[test]
fn what_cannot_be_kept_is_refused_with_its_remedy() {
    let store = store();
    let entry = entry(&store, 1, 0.0);
    let long = "1".repeat(41);
    match save(&store, entry, Field::CallerPhone, "13812345678", &long) {
        Saved::Refused { field: Field::CallerPhone, zh, .. } => {
            assert!(zh.contains("40"), "{zh}")
        }
        other => panic!("{other:?}"),
    }
    let refused = save(&store, entry, Field::Category, "", "no such thing");
    assert!(matches!(refused, Saved::Refused { .. }));
    let nowhere = EntryId(uuid::Uuid::nil());
    assert_eq!(save(&store, nowhere, Field::Subject, "", "x"), Saved::NotFound);
}

#[test]
fn c_36_an_entry_is_registered_with_what_its_category_needs() {
    let store = store();
    let (wrong, notice) = (entry(&store, 1, 0.0), entry(&store, 2, 1.0));
    let complete = |entry| wait(store.complete(&officer(), entry, at(90.0))).unwrap();
    assert_eq!(complete(wrong), Completed::Missing(vec![Field::Category]));
    save(&store, wrong, Field::Category, "", "wrong_number");
    assert_eq!(complete(wrong), Completed::Closed, "nothing else is asked");
    assert_eq!(complete(wrong), Completed::Already);

    save(&store, notice, Field::Category, "", "notice");
    let Completed::Missing(missing) = complete(notice) else { panic!() };
    assert!(!missing.contains(&Field::CallerPhone), "the caller's number is filled in");
    for field in missing {
        save(&store, notice, field, "", "会议通知");
    }
    assert_eq!(complete(notice), Completed::Registered);
    let close = || wait(store.close(&officer(), notice, at(99.0))).unwrap();
    assert_eq!(close(), Completed::Missing(vec![Field::Result]));
    save(&store, notice, Field::Result, "", "已转办公室");
    assert_eq!(close(), Completed::Closed);
    let view = wait(store.entry(notice)).unwrap().unwrap();
    assert_eq!(view.row.state, EntryState::Closed);
    let kinds: Vec<_> = view.revisions.iter().map(|revision| revision.kind).collect();
    assert_eq!(kinds.first(), Some(&RevisionKind::System));
    assert!(kinds.contains(&RevisionKind::Corrected), "after registering it is a correction");
    assert!(wait(store.verify_entry(notice)).is_ok());
}

#[test]
fn what_an_entry_still_needs_is_what_closing_it_asks_for() {
    for category in Category::ALL {
        let store = store();
        let entry = entry(&store, 1, 0.0);
        save(&store, entry, Field::Category, "", category.name());
        let close = || wait(store.close(&officer(), entry, at(99.0))).unwrap();
        let missing = wait(store.entry(entry)).unwrap().unwrap().form.missing_to_close();
        let wanted = if missing.is_empty() {
            Completed::Closed
        } else {
            Completed::Missing(missing.clone())
        };
        assert_eq!(close(), wanted, "{category:?}");
        for field in missing {
            assert_ne!(close(), Completed::Closed, "{category:?} without {field:?}");
            save(&store, entry, field, "", "已核实");
        }
        let wanted =
            if category.needs_no_action() { Completed::Already } else { Completed::Closed };
        assert_eq!(close(), wanted, "{category:?}");
    }
}

#[test]
fn a_closed_entry_is_opened_again_with_a_reason_and_stays_so_until_it_is_closed() {
    let store = store();
    let entry = entry(&store, 1, 0.0);
    let reopen = |why: &str| wait(store.reopen_entry(&officer(), entry, why, at(95.0))).unwrap();
    assert_eq!(reopen("来电人又来电"), Reopened::NotClosed);
    save(&store, entry, Field::Category, "", "wrong_number");
    wait(store.complete(&officer(), entry, at(90.0))).unwrap();
    assert_eq!(reopen("  "), Reopened::NoReason);
    assert_eq!(reopen("来电人又来电"), Reopened::Reopened);
    let found = wait(store.entry(entry)).unwrap().unwrap();
    assert_eq!(found.row.state, EntryState::Reopened);
    assert_eq!(found.revisions.last().unwrap().reason, "来电人又来电");
    let again = wait(store.complete(&officer(), entry, at(96.0))).unwrap();
    assert_eq!(again, Completed::Closed);
    assert!(wait(store.verify_entry(entry)).is_ok());
}

#[test]
fn a_wrong_number_that_was_none_is_opened_again_by_its_category() {
    let store = store();
    let entry = entry(&store, 1, 0.0);
    save(&store, entry, Field::Category, "", "wrong_number");
    wait(store.complete(&officer(), entry, at(90.0))).unwrap();
    correct(&store, entry, Field::Category, ("wrong_number", "nuisance"), "又骂人");
    let state = || wait(store.entry(entry)).unwrap().unwrap().row.state;
    assert_eq!(state(), EntryState::Closed, "one is as good as the other");
    correct(&store, entry, Field::Category, ("nuisance", "emergency"), "确有其事");
    let found = wait(store.entry(entry)).unwrap().unwrap();
    assert_eq!(found.row.state, EntryState::Reopened);
    assert_eq!(found.revisions.last().unwrap().actor, "系统");
    assert!(found.form.missing_to_close().contains(&Field::EventPlace));
}

#[test]
fn a_class_given_by_mistake_is_taken_back_while_it_is_the_last_that_was_done() {
    let store = store();
    let entry = entry(&store, 1, 0.0);
    let take_back = || wait(store.take_class_back(&officer(), entry, at(95.0))).unwrap();
    let class = |old: &str| {
        save(&store, entry, Field::Category, old, "wrong_number");
        wait(store.complete(&officer(), entry, at(90.0))).unwrap()
    };
    save(&store, entry, Field::Category, "", "inquiry");
    save(&store, entry, Field::Subject, "", "办证时间");
    save(&store, entry, Field::Content, "", "问周六是否办公");
    assert_eq!(wait(store.complete(&officer(), entry, at(80.0))).unwrap(), Completed::Registered);
    assert_eq!(take_back(), Reopened::NotClosed);
    assert_eq!(class("inquiry"), Completed::Closed, "also one that was registered");
    assert_eq!(take_back(), Reopened::Reopened);
    let found = wait(store.entry(entry)).unwrap().unwrap();
    assert_eq!(
        (found.row.state, found.form.get(Field::Category)),
        (EntryState::Reopened, "inquiry")
    );
    assert_eq!(take_back(), Reopened::NotClosed);

    assert_eq!(class("inquiry"), Completed::Closed);
    correct(&store, entry, Field::Remark, ("", "打错，已说明"), "补记");
    assert_eq!(take_back(), Reopened::NotClosed, "somebody has worked on it since");
    assert!(wait(store.verify_entry(entry)).is_ok());
}

#[test]
fn i_4_a_closed_entry_is_changed_with_a_reason_and_stays_closed_while_it_is_complete() {
    let store = store();
    let entry = entry(&store, 1, 0.0);
    let filled = [
        (Field::Category, "inquiry"),
        (Field::Subject, "办证"),
        (Field::Content, "周六"),
        (Field::Result, "已答复"),
    ];
    for (field, text) in filled {
        save(&store, entry, field, "", text);
    }
    assert_eq!(wait(store.close(&officer(), entry, at(90.0))).unwrap(), Completed::Closed);
    let found = || wait(store.entry(entry)).unwrap().unwrap();
    let before = found().revisions.len();
    assert_eq!(save(&store, entry, Field::Remark, "", "补记"), Saved::NeedsReason);
    assert_eq!(save(&store, entry, Field::Result, "已答复", "已转办"), Saved::NeedsReason);
    assert!(matches!(save(&store, entry, Field::Result, "x", "已转办"), Saved::Conflict { .. }));
    assert!(matches!(save(&store, entry, Field::Result, "x", "已答复"), Saved::Saved { .. }));
    assert_eq!(found().revisions.len(), before, "nothing is written");

    correct(&store, entry, Field::Result, ("已答复", "已转办"), " 核实后 ");
    let now = found();
    let last = now.revisions.last().unwrap();
    assert_eq!((last.kind, &*last.reason), (RevisionKind::Corrected, "核实后"));
    assert_eq!((&*last.changes[0].old, &*last.changes[0].new), ("已答复", "已转办"));
    assert_eq!(now.row.state, EntryState::Closed);

    correct(&store, entry, Field::Result, ("已转办", ""), "写错");
    let now = found();
    assert_eq!(now.row.state, EntryState::Reopened, "closing it needs the result");
    assert_eq!(now.revisions.last().unwrap().actor, "系统");
    assert!(wait(store.verify_entry(entry)).is_ok());
}

#[test]
fn a_05_after_the_handover_a_text_is_changed_with_a_reason_and_what_was_empty_is_filled_in() {
    let store = store();
    let entry = entry(&store, 1, 0.0);
    save(&store, entry, Field::Content, "", "水管破裂");
    // 21:42; a shift ends at 08:30.
    let hours = |hours: f64| at(hours * 3600.0);
    let edit = |field, old: &str, new: &str, now| {
        wait(store.save_field(&officer(), entry, field, old, new, now)).unwrap()
    };
    let written = |saved| matches!(saved, Saved::Saved { .. });
    assert!(written(edit(Field::Content, "水管破裂", "水管爆裂", hours(11.6))), "09:18");
    let late = edit(Field::Content, "水管爆裂", "已修复", hours(11.9));
    assert_eq!(late, Saved::NeedsReason, "09:36");
    assert!(written(edit(Field::Result, "", "已修复", hours(11.9))), "it is filled in");
}

#[test]
fn i_4_revisions_and_the_audit_cannot_be_rewritten() {
    let store = store();
    let entry = entry(&store, 1, 0.0);
    save(&store, entry, Field::Subject, "", "停水");
    for query in [
        "UPDATE revision SET actor = 'nobody'",
        "DELETE FROM revision",
        "UPDATE audit SET actor = 'nobody'",
        "DELETE FROM audit",
        "DELETE FROM entry",
        "DELETE FROM call",
    ] {
        match write_raw(&store, query) {
            Err(StoreError::Bug(why)) => assert!(why.contains("never"), "{query}: {why}"),
            other => panic!("{query}: {other:?}"),
        }
    }
}

#[test]
fn esc_86_what_was_edited_behind_our_back_is_found() {
    let edits = [
        ("revision", "DROP TRIGGER revision_is_not_changed; UPDATE revision SET actor = 'x'"),
        ("entry", "UPDATE entry SET subject = '停电'"),
        ("last revision", "DROP TRIGGER revision_is_kept; DELETE FROM revision WHERE no = 1"),
    ];
    for (what, edit) in edits {
        let store = store();
        let entry = entry(&store, 1, 0.0);
        save(&store, entry, Field::Subject, "", "停水");
        assert_eq!(wait(store.verify_entry(entry)).unwrap(), 2);
        write_raw(&store, edit).unwrap();
        let found = wait(store.verify_entry(entry));
        assert!(matches!(found, Err(StoreError::Damaged(_))), "{what}: {found:?}");
    }
    let store = store();
    let entry = entry(&store, 1, 0.0);
    save(&store, entry, Field::Subject, "", "停水");
    save(&store, entry, Field::Subject, "停水", "停电");
    let edit = "DROP TRIGGER audit_is_kept; DELETE FROM audit WHERE id = 1";
    write_raw(&store, edit).unwrap();
    assert!(matches!(wait(store.verify_audit()), Err(StoreError::Damaged(_))));
}

#[test]
fn i_3_a_sealed_recording_stays_as_it_is() {
    use crate::duty::journal::Fact;
    use crate::io::store::tests::call;
    use crate::io::store::{RecordingState, Sealed};
    let store = store();
    entry(&store, 1, 0.0);
    note(&store, 5.0, Fact::Answered { call: call(1), phone: "p".to_owned() });
    assert_eq!(wait(store.recordings_unsealed()).unwrap(), [call(1)]);
    let sealed = |sha256: &str| Sealed {
        wav: "a.wav".into(),
        tape: None,
        tape_sha256: None,
        sha256: sha256.to_owned(),
        bytes: 44,
        duration: std::time::Duration::from_millis(1500),
        gaps: vec![],
        interrupted: None,
        ..Sealed::default()
    };
    let seal = |sha256| wait(store.recording_sealed(call(1), sealed(sha256), at(9.0))).unwrap();
    assert!(seal("abc"));
    assert!(!seal("def"), "the first one stands");
    assert!(!wait(store.recording_missing(call(1), "disk full", at(9.0))).unwrap());
    let row = wait(store.recording(call(1))).unwrap().unwrap();
    assert_eq!((row.state, row.sha256.as_deref()), (RecordingState::Sealed, Some("abc")));
    assert_eq!(wait(store.recordings_unsealed()).unwrap(), []);
    let changed = write_raw(&store, "UPDATE recording SET digest = 'def'");
    assert!(changed.is_err());
    assert!(!wait(store.recording_sealed(call(9), sealed("x"), at(9.0))).unwrap(), "unknown");
    assert_eq!(one::<i64>(&store, "SELECT count(*) FROM recording"), 1);
}

#[test]
fn a_good_recording_is_whole_and_has_a_voice_but_who_listens_may_be_mute() {
    use crate::duty::journal::Fact;
    use crate::io::store::tests::call;
    use crate::io::store::{Finding, Sealed};
    use crate::protocol::rtp::sound::Fault;
    let (log, another) = (store(), store());
    let is_sealed = |store: &Store, n: u8, seconds: u64, party: &str, fault: Option<Fault>| {
        let (from_ms, lasts_ms, party) = (3000, 4000, party.to_owned());
        let finding = fault.map(|fault| Finding { party, fault, from_ms, lasts_ms });
        let sealed = Sealed {
            sha256: "00".repeat(32),
            duration: std::time::Duration::from_secs(seconds),
            findings: finding.into_iter().collect(),
            ..Sealed::default()
        };
        entry(store, n, 0.0);
        note(store, 5.0, Fact::Answered { call: call(n), phone: "p".to_owned() });
        let now = at(f64::from(n) * 100.0);
        assert!(wait(store.recording_sealed(call(n), sealed, now)).unwrap());
        wait(store.last_good_recording()).unwrap()
    };
    let sealed = |n: u8| Some(at(f64::from(n) * 100.0).wall);
    assert_eq!(is_sealed(&log, 1, 1, "caller", None), None, "too short to say");
    assert_eq!(is_sealed(&log, 2, 9, "caller", None), sealed(2));
    assert_eq!(is_sealed(&log, 3, 9, "caller", Some(Fault::Muted)), sealed(2));
    assert_eq!(is_sealed(&log, 4, 9, "officer", Some(Fault::Silent)), sealed(2));
    assert_eq!(is_sealed(&log, 5, 9, "officer", Some(Fault::Static)), sealed(2));
    assert_eq!(is_sealed(&another, 6, 9, "officer", Some(Fault::Muted)), sealed(6));
}
