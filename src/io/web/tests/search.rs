//! 记录查询 as its page answers.

use super::*;

#[tokio::test]
async fn rec_e5_who_searched_for_what_is_audited_and_an_open_form_is_not() {
    let room = Room::open().await;
    let entry = room.caller_dials("13800130007", "").await;
    room.save(entry, "content", "", "城北<b>液化气</b>，槽罐泄漏").await;
    let before = room.audited().await;
    let form = room.get("/search").await.text;
    assert!(form.contains("请填写至少一个条件") && !form.contains("共 "), "{form}");
    assert_eq!(room.audited().await, before);
    let words = page::in_query("液化气 槽罐 0007");
    let shown = room.get(&format!("/search?words={words}&urgency=&recording=none")).await.text;
    assert!(shown.contains("共 1 条") && shown.contains(&format!("/?entry={entry}")), "{shown}");
    assert!(
        shown.contains("城北&#60;b&#62;<mark>液化气</mark>&#60;/b&#62;，<mark>槽罐</mark>泄漏")
    );
    assert!(shown.contains("1380013<mark>0007</mark>"), "{shown}");
    assert_eq!(room.audited().await, before + 1, "each time");
    let none = room.get("/search?urgency=critical").await.text;
    assert!(none.contains("没有符合条件的记录"), "{none}");
    let odd = room.get("/search?words=%22%22%00*%20AND&from=x&before=y&outcome=%27").await;
    assert_eq!(odd.status, StatusCode::OK);
    let closed = Room { cookie: String::new(), ..room };
    assert_eq!(closed.get("/search?words=1").await.status, StatusCode::SEE_OTHER);
}

#[tokio::test]
async fn what_was_found_is_shown_page_by_page() {
    let room = Room::open().await;
    for n in 0..60 {
        room.caller_dials(&format!("138001300{n:02}"), "").await;
    }
    let first = room.get("/search?words=13800").await.text;
    assert!(first.contains("共 60 条"), "{first}");
    let hits = |text: &str| text.matches("<li class=\"hit").count();
    assert_eq!(hits(&first), 50);
    let older = first.split("rel=\"next\"").next().unwrap();
    let older = older.rsplit("href=\"").next().unwrap().split('"').next().unwrap();
    let older = older.replace("&#38;", "&");
    let second = room.get(&older).await.text;
    assert_eq!(hits(&second), 10);
    assert!(second.contains("href=\"/search?words=13800\"") && second.contains("共 60 条"));
}
