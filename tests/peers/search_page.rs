//! 记录查询 in a real browser: from the desk by one key, found by a part of the number and a word of the text, and back to
//! the entry.

use crate::page::in_a_call;
use dutyline::duty::journal::Disposition;
use fantoccini::key::Key;

#[tokio::test(flavor = "multi_thread")]
async fn an_entry_is_looked_for_by_what_was_said_and_opened_again() {
    let Some((room, browser, call)) = in_a_call().await else { return };
    browser.type_into("content", "城北液化气槽罐泄漏，/ 正在疏散").await;
    browser.see_text(".save-state", "已保存").await;
    for number in ["13800130007", "13800130008", "63001234"] {
        let other = room.caller_dials(number, "").await;
        room.caller_hangs_up(other, Disposition::Missed).await;
    }
    browser.script("document.activeElement.blur()").await;
    browser.client.active_element().await.unwrap().send_keys("/").await.unwrap();
    browser.see(".search-form").await;
    assert_eq!(browser.focus().await, "words");
    browser.type_into("words", "槽罐 3456").await;
    browser.press(Key::Enter).await;
    browser.see_text(".search-count", "共 1 条").await;
    browser.see_text(".hit-said", "来电内容").await;
    assert_eq!(browser.script("return document.querySelectorAll('.hits mark').length").await, 2);
    browser.shot("47-found-by-what-was-said").await;
    let asked = "return performance.getEntriesByType('resource').map(one => one.name)\
                 .filter(name => !name.startsWith(location.origin)).length";
    let wide = "return document.documentElement.scrollWidth - innerWidth";
    assert_eq!(browser.script(asked).await, 0, "nothing is asked elsewhere");
    assert!(browser.script(wide).await.as_i64().unwrap() <= 0);
    browser.goto(&room.at("/search?words=1380013&outcome=missed")).await;
    browser.see_text(".search-count", "共 2 条").await;
    browser.shot("48-found-by-part-of-a-number").await;
    browser.goto(&room.at("/search?words=%E6%A7%BD%E7%BD%90")).await;
    browser.click(".hit a").await;
    browser.see(&format!("article.entry[data-entry=\"{call}\"]")).await;
    browser.end().await;
}
