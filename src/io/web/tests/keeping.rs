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

#[tokio::test]
async fn rec_d14_on_the_page_a_doubtful_recording_is_heard_dated_by_one_leader_and_by_another() {
    let (mut room, entry, [zhang, li]) = room().await;
    room.web.keeping = Rules { ordinary: Some(TimeDelta::days(30)), ..Rules::default() };
    room.app = build(room.web.clone(), room.closing.clone());
    let old = room.caller_dials("13800130008", "").await;
    let (call, now) = (CallId(old.0), clock::now());
    let wav = format!("{old}.wav");
    std::fs::write(room.web.recordings.join(&wav), "a voice").unwrap();
    let sealed = Sealed { wav: wav.into(), sha256: "00".repeat(32), ..Sealed::default() };
    let then = Now { wall: now.wall - TimeDelta::days(9_000), ..now };
    assert!(room.web.store.recording_sealed(call, sealed, then).await.unwrap());
    room.web.store.copied(call, FileKind::Wav, now).await.unwrap();
    let made = (now.wall - TimeDelta::days(40)).format("%Y-%m-%d").to_string();
    let reason = page::in_query("<听内容>");
    let say = format!("call={call}&call={entry}&made={made}&reason={reason}");
    assert_eq!(room.post("/keeping/dates", &say).await.status, StatusCode::FORBIDDEN, "an officer");
    let shown = room.get("/keeping/dates").await.text;
    assert!(shown.contains("9000 天") && !shown.contains("type=\"checkbox\""), "{shown}");

    room.cookie.clone_from(&zhang);
    let shown = room.get("/keeping").await.text;
    assert!(shown.contains("日期存疑 1 份") && shown.contains("到期 0 份"), "{shown}");
    let shown = room.get("/keeping/dates").await.text;
    let play = format!("/recordings/{call}?why=");
    assert!(shown.contains(&play) && !shown.contains(&entry.to_string()), "{shown}");
    let heard = shown.split(&format!("src=\"{play}")).nth(1).unwrap().split('"').next().unwrap();
    assert_eq!(room.get(&format!("{play}{heard}")).await.text, "a voice");
    let future = say.replace(&made, "2999-01-01");
    assert!(room.post("/keeping/dates", &future).await.text.contains("不得晚于今天"));
    let none = format!("made={made}&reason=x");
    assert!(room.post("/keeping/dates", &none).await.text.contains("请勾选录音"));
    let said = room.post("/keeping/dates", &say).await;
    assert_eq!(said.status, StatusCode::SEE_OTHER, "{}", said.text);
    let alone = room.post("/keeping/dates/agree", "id=1").await.text;
    assert!(alone.contains("须由另一人同意"), "{alone}");

    room.cookie.clone_from(&li);
    let shown = room.get("/keeping/dates/1").await.text;
    assert!(shown.contains("1 份，最迟录于") && shown.contains("&#60;听内容&#62;"), "{shown}");
    assert!(
        shown.contains(&play) && !shown.contains(&entry.to_string()),
        "what is not doubtful: {shown}"
    );
    assert_eq!(room.get("/keeping/dates/9").await.status, StatusCode::NOT_FOUND);
    assert_eq!(room.post("/keeping/dates/agree", "id=1").await.status, StatusCode::SEE_OTHER);
    let shown = room.get("/keeping").await.text;
    assert!(shown.contains("到期 1 份") && !shown.contains("日期存疑 1 份"), "{shown}");
    room.audited().await;
}

#[tokio::test]
async fn rec_d14_on_the_page_two_people_give_up_copies_that_will_not_come_back() {
    let (mut room, _, [zhang, li]) = room().await;
    let lose = format!("reason={}", page::in_query("<磁盘报废>"));
    assert_eq!(room.post("/keeping/copies", &lose).await.status, StatusCode::FORBIDDEN);
    assert!(!room.get("/keeping").await.text.contains("第二份作废"));
    room.cookie = zhang;
    assert!(room.post("/keeping/copies", "reason=+").await.text.contains("请填写理由"));
    assert_eq!(room.post("/keeping/copies", &lose).await.status, StatusCode::SEE_OTHER);
    assert!(room.post("/keeping/copies", &lose).await.text.contains("已有人提出"));
    assert!(room.post("/keeping/copies/agree", "id=1").await.text.contains("须由另一人同意"));
    room.cookie = li;
    let shown = room.get("/keeping").await.text;
    assert!(shown.contains("&#60;磁盘报废&#62;") && shown.contains("第二份 1 个文件"), "{shown}");
    assert!(shown.contains("到期 1 份"), "{shown}");
    assert_eq!(room.post("/keeping/copies/agree", "id=1").await.status, StatusCode::SEE_OTHER);
    let shown = room.get("/keeping").await.text;
    assert!(shown.contains("到期 0 份") && shown.contains("无第二份 1"), "{shown}");
    assert!(room.post("/keeping/copies/refuse", "id=1&reason=x").await.text.contains("已办结"));
}
