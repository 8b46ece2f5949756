//! A log that was put back from a backup of before its recordings were kept as FLAC.

use super::*;

#[tokio::test]
async fn rec_d13_a_flac_that_was_made_since_the_backup_is_found_and_is_what_is_kept() {
    let house = House::with(4).await;
    let backup = house.folder.path().join("backup.db");
    let who = officer();
    let number = format!("SELECT number FROM entry WHERE id = '{}'", call(2));
    let number = one::<String>(&house.store, &number);
    house.store.back_up_to(backup.clone()).await.unwrap();
    assert!(house.turn().await);
    let as_flac = is(&[".flac", ".tape"]);
    assert!((1..=4).all(|n| house.kept(n) == as_flac));
    fs::copy(flac_of(&house.own(1)), flac_of(&house.own(3))).unwrap();
    fs::remove_file(flac_of(&house.own(4))).unwrap();
    let House { folder, plan, board, key, .. } = house;
    let store = Store::open_beside(&backup, random()).unwrap();
    let house = House { folder, plan, store, board, key };
    assert!(house.store.hold(&who, &number, "纪委调查", clock::now()).await.unwrap().is_some());
    let sweep = || orphans::sweep(&house.store, &house.plan.recordings, Duration::ZERO);
    let left = sweep().await.unwrap();
    assert_eq!((left.files, left.rows), (0, 2), "one gives another recording, one is not there");
    assert_eq!(BTreeSet::from_iter(left.named.clone()), BTreeSet::from([wav(3), wav(4)]));
    let noted = "SELECT group_concat(path, ', ' ORDER BY path) FROM flac";
    let mut found = [1, 2].map(|n| flac_of(&wav(n)).display().to_string());
    found.sort();
    assert_eq!(one::<String>(&house.store, noted), found.join(", "), "the second is held");
    let found = "SELECT count(*) FROM audit WHERE action = 'recording.find'";
    assert_eq!((sweep().await.unwrap(), one::<i64>(&house.store, found)), (left, 2), "once");
    house.store.verify_audit().await.unwrap();
}
