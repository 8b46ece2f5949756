//! 录音保管 on the page: who may do what, and that it takes two.

use super::*;
use crate::duty::keeping::Rules;
use crate::io::store::FileKind;

/// With one recording that is past its keeping, and two leaders; who has signed in is the officer.
async fn room() -> (Room, EntryId, [String; 2]) {
    let mut room = Room::open().await;
    room.web.keeping = Rules { ordinary: Some(TimeDelta::zero()), ..Rules::default() };
    room.app = build(room.web.clone(), room.closing.clone());
    let entry = room.caller_dials("13800130007", "").await;
    room.is_recorded(entry, 100).await;
    room.web.store.copied(CallId(entry.0), FileKind::Wav, clock::now()).await.unwrap();
    let mut cookies = [String::new(), String::new()];
    for ((login, name), cookie) in
        [("zhang", "张主任"), ("li", "李副主任")].into_iter().zip(&mut cookies)
    {
        let (login, name) = (login.to_owned(), name.to_owned());
        let (account, password) = (Account::Leader, PASSWORD.to_owned());
        let person = NewPerson { login: login.clone(), name, account, password };
        let added = room.web.store.add_person(person, "test", clock::now()).await.unwrap();
        assert!(matches!(added, Added::Added(_)));
        *cookie = super::cookie(&room.sign_in(&login, PASSWORD).await);
    }
    (room, entry, cookies)
}

#[tokio::test]
async fn rec_d14_on_the_page_one_makes_the_list_and_another_agrees() {
    let (mut room, entry, [zhang, li]) = room().await;
    let reason = format!("reason={}", page::in_query("保管期满"));
    let refused = room.post("/keeping/list", &reason).await;
    assert_eq!(refused.status, StatusCode::FORBIDDEN, "not by an officer");
    let shown = room.get("/keeping").await.text;
    assert!(!shown.contains("到期 1 份") && shown.contains("一般"), "he may hold: {shown}");
    room.cookie.clone_from(&zhang);
    let first = zhang;
    assert!(room.get("/keeping").await.text.contains("到期 1 份"));
    assert_eq!(room.post("/keeping/list", &reason).await.status, StatusCode::SEE_OTHER);
    let alone = room.post("/keeping/list/agree", "id=1").await.text;
    assert!(alone.contains("须由另一人同意"), "{alone}");
    room.cookie = li;
    let number = room.web.store.entry_row(entry).await.unwrap().unwrap().number;
    let list = room.get("/keeping/lists/1").await.text;
    assert!(list.contains(&number) && list.contains("待另一人同意"), "item by item: {list}");
    assert!(list.contains("同意销毁") && list.contains("不同意"), "{list}");
    assert_eq!(room.post("/keeping/list/refuse", "id=1&reason=+").await.status, StatusCode::OK);
    let no = format!("id=1&reason={}", page::in_query("<再等等>"));
    assert_eq!(room.post("/keeping/list/refuse", &no).await.status, StatusCode::SEE_OTHER);
    assert!(room.get("/keeping").await.text.contains("&#60;再等等&#62;"));
    assert!(room.post("/keeping/list/agree", "id=1").await.text.contains("已办结"));
    assert_eq!(room.get("/keeping/lists/9").await.status, StatusCode::NOT_FOUND);
    assert_eq!(room.post("/keeping/list", &reason).await.status, StatusCode::SEE_OTHER);
    room.cookie = first;
    assert_eq!(room.post("/keeping/list/agree", "id=2").await.status, StatusCode::SEE_OTHER);
    let shown = room.get("/keeping").await.text;
    assert!(shown.contains("张主任") && shown.contains("销毁 1 份"), "{shown}");
    let gone = room.get(&format!("/recordings/{entry}")).await;
    assert_eq!(gone.status, StatusCode::NOT_FOUND);
    let shown = room.get(&format!("/?entry={entry}")).await.text;
    assert!(shown.contains("已同意销毁，待清除") && !shown.contains("已存妥"), "{shown}");
    let store = room.web.store.clone();
    store.begin_removal(CallId(entry.0), clock::now()).await.unwrap();
    store.is_gone(CallId(entry.0), clock::now()).await.unwrap();
    for path in [format!("/?entry={entry}"), "/".to_owned()] {
        let shown = room.get(&path).await.text;
        assert!(shown.contains("已销毁") && !shown.contains("待清除"), "{shown}");
        assert!(!shown.contains("已存妥"), "{shown}");
    }
}

#[tokio::test]
async fn rec_e6_on_the_page_an_officer_holds_and_two_leaders_release() {
    let (mut room, entry, [zhang, li]) = room().await;
    let number = room.web.store.entry_row(entry).await.unwrap().unwrap().number;
    let hold = |reason: &str| {
        format!("number={}&reason={}", page::in_query(&number), page::in_query(reason))
    };
    assert!(room.post("/keeping/hold", &hold(" ")).await.text.contains("未填理由"));
    assert_eq!(room.post("/keeping/hold", &hold("<纪委>")).await.status, StatusCode::SEE_OTHER);
    let shown = room.get("/keeping").await.text;
    assert!(shown.contains("&#60;纪委&#62;"), "{shown}");
    let ask = format!("id=1&reason={}", page::in_query("结案"));
    assert_eq!(room.post("/keeping/release", &ask).await.status, StatusCode::FORBIDDEN);
    room.cookie = zhang;
    assert!(room.get("/keeping").await.text.contains("到期 0 份"));
    assert_eq!(room.post("/keeping/release", &ask).await.status, StatusCode::SEE_OTHER);
    assert!(room.post("/keeping/release/agree", "id=1").await.text.contains("须由另一人同意"));
    room.cookie = li;
    assert_eq!(room.post("/keeping/release/agree", "id=1").await.status, StatusCode::SEE_OTHER);
    assert!(room.get("/keeping").await.text.contains("到期 1 份"));
    room.audited().await;
}
