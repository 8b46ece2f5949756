//! The same machine, whose second place is a bucket.

use super::*;
use crate::io::copies::bucket::tests::bucket;
use crate::io::copies::bucket::tests::server::{Server, Trouble};
use crate::io::copies::checking::{Asking, REFUSED_AT_MOST};
use crate::io::copies::compare::Silent;
use axum::http::Method;

async fn far(calls: usize) -> (Site, Server) {
    far_within(calls, Duration::from_secs(60)).await
}

/// A request that does not move for so long is given up.
async fn far_within(calls: usize, within: Duration) -> (Site, Server) {
    let mut site = Site::with(calls).await;
    let server = Server::start(&site.folder.path().join("store"), 0);
    let plan = Plan {
        recordings: site.copier.plan.recordings.clone(),
        copies: Place::Bucket(bucket(&server, within)),
        turns: Turns::default(),
    };
    site.copier = Copier::new(plan, site.copier.store.clone(), Board::new());
    (site, server)
}

#[tokio::test]
async fn rec_d9_a_store_that_hangs_or_is_away_is_told_and_has_everything_when_it_is_back() {
    let (mut site, mut server) = far(2).await;
    site.copier.patience = Duration::from_millis(200);
    server.has(Trouble::Hangs(Method::PUT));
    let copier = site.copier.clone();
    let turn = tokio::spawn(async move { copier.turn(DateTime::UNIX_EPOCH).await });
    let mut changes = site.copier.board.changes();
    changes.wait_for(|status| status.alarms.contains_key("copies")).await.unwrap();
    assert!(site.alarm("copies").unwrap().contains("无应答"));
    assert!(!turn.is_finished(), "nothing is tried beside it");
    server.stop();
    assert_eq!(turn.await.unwrap(), Ok(Turn::Stopped));
    let told = site.alarm("copies").unwrap();
    assert!(told.contains("请检查对象存储") && told.contains("连接中断"), "{told}");
    assert_eq!(site.left().await, 4);
    server.has(None);
    server.again();
    assert!(site.turn().await);
    assert_eq!((site.left().await, site.alarm("copies")), (0, None));

    let spoiled = server.file("room-1").join(&site.calls[0].1);
    fs::write(&spoiled, "spoiled").unwrap();
    let gone = server.file("room-1").join(&site.calls[1].1);
    fs::remove_file(&gone).unwrap();
    let row = site.copier.check().await.unwrap();
    assert_eq!((row.own, row.copies, row.faults), (4, 4, 0), "{}", row.named);
    assert_eq!(fs::read(&spoiled).unwrap(), fs::read(site.own(0)).unwrap(), "it is mended");
    assert_eq!(fs::read(&gone).unwrap(), fs::read(site.own(1)).unwrap());
    server.stop();
    let checking = tokio::time::timeout(Duration::from_millis(500), site.copier.check());
    assert!(checking.await.is_err(), "it waits: nobody can say");
    assert_eq!(site.alarm("copies_differ"), None);
}

/// Its GET and HEAD are refused, while the bucket is listed and gives all else.
#[tokio::test]
async fn rec_d9_an_object_that_is_refused_is_named_and_the_others_are_compared() {
    let (mut site, server) = far(3).await;
    site.copier.again = Duration::from_millis(1);
    assert!(site.turn().await);
    fs::write(server.file("room-1").join(&site.calls[2].1), "spoiled").unwrap();
    let refused = site.calls[0].1.to_str().unwrap().to_owned();
    server.has(Trouble::Refuses(refused.clone(), u32::MAX));
    let checking = tokio::time::timeout(Duration::from_secs(20), site.copier.check());
    let row = checking.await.expect("it ends").unwrap();
    assert_eq!((row.own, row.copies, row.faults), (6, 6, 1), "{}", row.named);
    assert!(row.named.contains(&refused) && row.named.contains("没有给出"), "{}", row.named);
    assert!(!row.named.contains("another content"), "{}", row.named);
    assert!(site.alarm("copies_differ").unwrap().contains("勿删除"));
    let aside = server.file("room-1").join(format!("{}.damaged-1", site.calls[2].1.display()));
    assert_eq!(fs::read(aside).unwrap(), b"spoiled", "what comes after it is mended");

    server.has(Trouble::Refuses(refused, 2));
    assert_eq!(site.copier.check().await.unwrap().faults, 0, "a refusal that passes");
    assert_eq!(site.alarm("copies_differ"), None);
}

/// It lists, and never gives what it lists; one that refuses at once is asked for each.
#[tokio::test]
async fn rec_d9_a_store_that_hangs_for_one_file_after_another_is_left_alone_for_a_while() {
    let (mut site, server) = far_within(2, Duration::from_millis(800)).await;
    assert!(site.turn().await);
    site.copier.again = Duration::from_millis(800);
    let files = site.copier.store.sealed_files(None, PAGE).await.unwrap();
    let looked = async |trouble: Trouble| {
        server.has(trouble);
        let mut asking = Asking { refused: REFUSED_AT_MOST, ..Asking::default() };
        let mut copies = vec![];
        for sealed in &files {
            let seen = site.copier.look_patiently(sealed, &mut asking).await.unwrap().unwrap();
            assert_eq!(seen.own, 1);
            copies.push(seen.copies);
        }
        copies
    };
    let day = "2026/11/26".to_owned();
    assert_eq!(looked(Trouble::Refuses(day.clone(), u32::MAX)).await, [1, 1, 1, 1]);
    assert_eq!(looked(Trouble::HangsAt(day)).await, [1, 0, 0, 0]);
}

/// Whatever of all that is refused was copied last.
#[tokio::test]
async fn rec_d9_a_newest_copy_that_is_refused_holds_up_no_other() {
    let (mut site, server) = far(2).await;
    assert!(site.turn().await);
    let newest = site.calls.iter().max().unwrap().1.with_extension("");
    server.has(Trouble::Refuses(newest.to_str().unwrap().to_owned(), u32::MAX));
    site.seal(2).await;
    site.copier.known().whole = None;
    assert!(site.turn().await);
    assert_eq!((site.left().await, site.alarm("copies")), (0, None));
}

#[tokio::test]
async fn rec_d9_while_the_store_is_away_our_own_recordings_are_still_compared() {
    let (mut site, mut server) = far(2).await;
    site.copier.again = Duration::from_millis(1);
    assert!(site.turn().await);
    fs::write(site.own(1), "spoiled").unwrap();
    server.stop();
    let row = site.copier.check().await.unwrap();
    assert_eq!((row.own, row.copies, row.faults), (4, 0, 1), "{}", row.named);
    assert!(row.named.contains(site.own(1).to_str().unwrap()), "{}", row.named);
    let asked = site.copier.store.sealed_file(site.calls[1].0, FileKind::Wav).await.unwrap();
    let seen = site.copier.look_at_both(asked.unwrap(), Ask::First).await.unwrap().unwrap();
    assert_eq!((seen.own, seen.silent), (0, Some(Silent::Away)), "not read at each try");
    server.again();
    assert_eq!(site.copier.check().await.unwrap().copies, 4, "with the store back");
}

#[tokio::test]
async fn rec_d9_a_store_that_stays_away_keeps_no_recording_of_ours_from_being_compared_each_day() {
    let (mut site, mut server) = far(1).await;
    site.copier.again = Duration::from_millis(1);
    assert!(site.turn().await);
    server.stop();
    site.copier.known().whole = None;
    let row = site.copier.check_where_due(false).await.unwrap().expect("it is due");
    assert_eq!((row.own, row.copies, row.faults), (2, 0, 0), "{}", row.named);
    assert_eq!(site.copier.check_where_due(true).await, Ok(None), "not for a copy that is missed");
}

/// While the store is away nobody knows; soon after it is back somebody looks.
#[tokio::test]
async fn rec_d9_a_copy_that_is_bad_stays_an_alarm_until_it_was_looked_at_again() {
    let (mut site, mut server) = far(2).await;
    site.copier.again = Duration::from_millis(1);
    assert!(site.turn().await);
    let bad = site.calls[0].1.to_str().unwrap().to_owned();
    server.has(Trouble::Refuses(bad.clone(), u32::MAX));
    assert_eq!(site.copier.check().await.unwrap().faults, 1);
    server.stop();
    let row = site.copier.check().await.unwrap();
    assert_eq!((row.own, row.copies, row.faults), (4, 0, 1));
    assert!(site.alarm("copies_differ").unwrap().contains(&bad));
    let plan = Plan::clone(&site.copier.plan);
    let again = Copier::new(plan, site.copier.store.clone(), Board::new());
    again.begin().await;
    assert!(again.board.status().alarms["copies_differ"].zh.contains(&bad), "after a restart too");

    let due = async || {
        site.copier.known().whole = None;
        site.copier.check_where_due(false).await.unwrap()
    };
    assert_eq!(due().await, None, "not again and again");
    let to = clock::now().wall - TimeDelta::hours(2);
    site.copier.store.copies_checked(CheckRow { to, ..row }).await.unwrap();
    assert_eq!(due().await, None, "it is still away");
    server.has(None);
    server.again();
    let row = due().await.expect("it is back");
    assert_eq!((row.own, row.copies, row.faults), (4, 4, 0), "{}", row.named);
    assert_eq!(site.alarm("copies_differ"), None);
    site.copier.store.copies_checked(CheckRow { to, ..row }).await.unwrap();
    assert_eq!(due().await, None, "once");
}

#[tokio::test]
async fn rec_d9_whoever_has_to_look_is_told_at_what() {
    let (site, _server) = far(0).await;
    let (zh, en) = place::remedy_of_both(Some(&site.copier.plan.copies));
    assert!(zh.contains("录音磁盘") && zh.contains("对象存储") && en.contains("store"), "{zh}");
    assert!(!place::remedy_of_both(None).0.contains("第二份"));
}
