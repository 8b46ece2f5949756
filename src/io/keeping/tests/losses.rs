//! 第二份作废: a place that will not come back holds nothing up, once two people have said so.

use super::*;
use crate::io::copies;
use crate::io::copies::bucket::Bucket;
use crate::io::copies::bucket::tests::plan as plan_of;
use crate::io::copies::bucket::tests::server::Server;
use tokio_util::sync::CancellationToken;

impl House {
    async fn loses_its_copies(&self) {
        let lost =
            self.store.lose_copies(&officer(), "磁盘已报废", later()).await.unwrap().unwrap();
        let again = self.store.lose_copies(&second(), "磁盘已报废", later()).await;
        assert_eq!(again, Ok(None), "somebody has said so");
        let agreed = self.store.agree_to_loss(&officer(), lost, later()).await;
        assert_eq!(agreed, Ok(Agreed::SamePerson));
        let agreed = self.store.agree_to_loss(&second(), lost, later()).await;
        assert_eq!(agreed, Ok(Agreed::Agreed));
    }

    async fn uncopied(&self) -> usize {
        let since = chrono::DateTime::UNIX_EPOCH;
        self.store.uncopied(since, None, 99).await.unwrap().len()
    }
}

#[tokio::test]
async fn rec_d14_a_changed_disk_holds_up_a_removal_until_two_people_give_up_what_was_on_the_old_one()
 {
    let house = House::with(1).await;
    house.gives_up().await;
    house.record(9).await;
    let [_, copies] = house.folders();
    fs::rename(copies, copies.with_extension("broken")).unwrap();
    fs::create_dir(copies).unwrap();
    assert!(!house.turn().await);
    assert!(house.alarm().is_some());
    assert_eq!(house.store.lose_copies(&officer(), " ", later()).await, Ok(None), "no reason");
    let refused = house.store.lose_copies(&officer(), "报废", later()).await.unwrap().unwrap();
    assert_eq!(house.store.refuse_loss(&second(), refused, "再找找", later()).await, Ok(true));
    assert_eq!(house.store.agree_to_loss(&second(), refused, later()).await, Ok(Agreed::Nothing));
    assert!(!house.turn().await, "one alone gives up nothing");
    house.loses_its_copies().await;
    assert!(house.turn().await);
    assert_eq!((house.files(call(1)), house.gone().await, house.alarm()), (0, 1, None));
    assert_eq!(house.files(call(9)), 2, "the first copy of what is kept is untouched");

    assert_eq!(house.uncopied().await, 2, "it wants its second copy anew");
    let due = house.store.due(RULES, None, later()).await.unwrap();
    assert_eq!((due.list.len(), due.no_copy), (0, 1), "and is on no list without it");
    let (recordings, copies) = (house.plan.recordings.clone(), house.plan.copies.clone());
    let plan = copies::Plan { recordings, copies: copies.unwrap(), turns: Turns::default() };
    let (board, stop) = (Board::new(), CancellationToken::new());
    let copied = async {
        while house.uncopied().await > 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::select! {
        () = copies::keep(plan, house.store.clone(), board.clone(), stop) => {}
        copied = tokio::time::timeout(Duration::from_secs(30), copied) => copied.expect("anew"),
    }
    assert_eq!(house.files(call(9)), 4);
    assert!(board.status().alarms.is_empty(), "{:?}", board.status().alarms);
    house.gives_up().await;
    assert!(house.turn().await);
    assert_eq!(house.files(call(9)), 0);
    house.store.verify_audit().await.unwrap();
}

#[tokio::test]
async fn rec_d14_a_house_that_gave_up_its_second_place_for_good_can_still_destroy_what_was_agreed_to()
 {
    let house = House::with(2).await;
    house.gives_up().await;
    let alone = Plan { copies: None, ..house.plan.clone() };
    let alone = keeper(&alone, &house.store);
    assert!(!alone.turn().await.unwrap());
    assert!(alone.board.status().alarms["keeping"].zh.contains("storage.copies"));
    let elsewhere = tempfile::tempdir().unwrap();
    let mut server = Server::start(elsewhere.path(), 0);
    let gone =
        Plan { copies: Some(Place::Bucket(Bucket::new(plan_of(&server)))), ..house.plan.clone() };
    server.stop();
    let gone = keeper(&gone, &house.store);
    assert!(!gone.turn().await.unwrap(), "a bucket that is away has them still");
    house.loses_its_copies().await;
    assert!(gone.turn().await.unwrap());
    assert_eq!((house.gone().await, gone.board.status().alarms.len()), (2, 0));
    assert!(alone.turn().await.unwrap());
    assert_eq!(alone.board.status().alarms.len(), 0);
    assert_eq!([1, 2].map(|n| house.files(call(n))), [2, 2], "what nobody can reach is as it was");
    let changed = rusqlite::Connection::open(house.folder.path().join("a.db")).unwrap();
    for by_hand in ["UPDATE copy SET copied_ms = 1", "DELETE FROM copy"] {
        assert!(changed.execute_batch(by_hand).is_err(), "{by_hand}");
    }
}
