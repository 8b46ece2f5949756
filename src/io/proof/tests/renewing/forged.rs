//! What somebody does who has the old key.

use super::*;

#[tokio::test]
async fn rec_e7_a_key_that_the_old_one_did_not_sign_is_foreign() {
    let log = log().await;
    let first = log.public();
    // Somebody with the database and without the key.
    let thief = SigningKey::make(&log.path("data"), &log.path("mine"), &first.origin).unwrap();
    let renewal = Renewal {
        from: Some(first.clone()),
        to: thief.public.clone(),
        lost: false,
        number: 1,
        head: 2,
        at: clock::now().wall,
    };
    let text = renewal.text();
    let forged = thief.sign(text.as_bytes());
    let note = renewal.note(&[(&first, forged), (&thief.public, forged)]);
    assert_eq!(RenewalNote::parse(&note).unwrap().signatures.len(), 2);
    let store = log.open();
    let insert = format!("INSERT INTO key_renewal VALUES (1, '{note}', 0, '', 'x', 0)");
    drop(store);
    log.edit(&insert);
    let store = log.open();
    store.sign_head(Arc::new(thief), clock::now).await.unwrap();
    drop(store);
    for given in [None, Some(first)] {
        let report = log.check_by(given);
        let at = |place: &str| report.checked.faults.iter().find(|fault| fault.place == place);
        assert!(at("key_renewal [1]").is_some_and(|it| it.en.contains("foreign")), "{report}");
        assert!(at("head 3").is_some_and(|it| it.en.contains("foreign")), "{report}");
    }
}

#[tokio::test]
async fn rec_e7_with_the_old_key_nothing_is_forged_that_the_new_one_or_the_witness_belies() {
    let log = log().await;
    // Somebody has a backup with the old key.
    let stolen = log.copy();
    let (first, second) = log.renew().await;
    let known = || witness::copies(&log.path("witness")).unwrap();
    let elsewhere = tempfile::tempdir().unwrap();
    for _ in 0..3 {
        stolen.signs().await.unwrap();
    }
    let late = stolen.hand_out(elsewhere.path()).await;
    for given in [first, second] {
        let found = handed::check_by(&late, &[given], known()).unwrap();
        let head = found.faults.iter().find(|fault| fault.place == "head.txt");
        assert!(head.is_some_and(|fault| fault.en.contains("forged")), "{found}");
    }
}

#[tokio::test]
async fn rec_e7_the_witness_belies_a_head_that_is_another_under_its_number() {
    let log = log().await;
    let stolen = log.copy();
    log.signs().await.unwrap();
    let store = log.open();
    let origin = store.origin().await.unwrap();
    log.witness(&store, &origin).sign().await.unwrap();
    drop(store);
    entry(&stolen.open(), 8, 800.0);
    stolen.signs().await.unwrap();
    let elsewhere = tempfile::tempdir().unwrap();
    let forged = stolen.hand_out(elsewhere.path()).await;
    let known = witness::copies(&log.path("witness")).unwrap();
    let found = handed::check_by(&forged, &[log.public()], known).unwrap();
    let head = found.faults.iter().find(|fault| fault.place == "head.txt");
    assert!(head.is_some_and(|fault| fault.en.contains("under its number")), "{found}");
    assert!(handed::check(&forged, Some(log.public())).unwrap().is_sound(), "by itself it is good");
}
