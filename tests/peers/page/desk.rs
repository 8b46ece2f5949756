//! What is typed and pressed while others type, the server is slow, or is gone.

use super::signed_in;
use dutyline::duty::entry::Field;
use dutyline::duty::ids::EntryId;
use dutyline::duty::journal::Disposition;
use std::time::Duration;

#[tokio::test(flavor = "multi_thread")]
async fn two_desks_and_a_server_that_goes_away() {
    let Some((mut room, browser)) = signed_in().await else { return };
    let call = room.caller_dials("88123456", "").await;
    room.officer_answers(call).await;
    browser.see("article.entry").await;

    let entry = EntryId::from(call);
    room.other_desk_writes(entry, Field::CallerUnit, "", "市住建局").await;
    let unit = "return document.querySelector('[name=caller_unit]').value";
    browser.until("the other desk's text", async || browser.script(unit).await == "市住建局").await;

    // Both change the same field: nothing is overwritten, the officer chooses.
    browser
        .script(
            "window.realFetch = fetch; window.fetch = (url, how) => how?.method === 'PATCH' \
        ? new Promise(go => { window.go = () => go(realFetch(url, how)) }) : realFetch(url, how)",
        )
        .await;
    browser.type_into("subject", "我写的事由").await;
    browser
        .until("the save is on its way", async || {
            browser.script("return !!window.go").await == true
        })
        .await;
    room.other_desk_writes(entry, Field::Subject, "", "对方写的事由").await;
    browser.script("window.fetch = realFetch; go()").await;
    browser.see_text(".conflict", "对方写的事由").await;
    browser.shot("08-conflict").await;
    browser.click(".conflict .keep").await;
    browser.see_text(".save-state", "已保存").await;
    let found = room.store.entry(entry).await.unwrap().unwrap();
    assert_eq!(found.form.get(Field::Subject), "我写的事由");
    assert_eq!(found.revisions.len(), 4, "arrival, unit, theirs, mine");

    room.server_stops().await;
    browser.see("#page-lost").await;
    browser.type_into("content", "断线时写的内容").await;
    browser.see_text(".save-state", "未保存").await;
    browser.shot("09-server-away").await;
    let drafts = "return Object.keys(localStorage).filter(key => key.startsWith('draft:')).length";
    assert_eq!(browser.script(drafts).await, 1, "what is typed is kept on this computer");
    let missed = room.caller_dials("13800130007", &"很长的名字".repeat(40)).await;
    room.server_starts().await;
    browser.see_text(".save-state", "已保存").await;
    browser.see_text("#ring .ring-number", "13800130007").await;
    browser.until("the page is live", async || browser.text("#page-lost").await.is_empty()).await;
    assert_eq!(browser.script(drafts).await, 0);
    let found = room.store.entry(entry).await.unwrap().unwrap();
    assert_eq!(found.form.get(Field::Content), "断线时写的内容");

    room.caller_hangs_up(missed, Disposition::Missed).await;
    browser.see_text("#list", "漏接").await;
    browser.until("the pop-up goes", async || browser.text("#ring").await.is_empty()).await;
    browser.end().await;
}

/// The page's first request for an entry is answered, and its answer held up on the way.
const SLOW_ENTRY: &str = "
    const real = window.fetch;
    window.held = 0;
    window.fetch = async (...asked) => {
        const answer = await real(...asked);
        if (String(asked[0]?.url ?? asked[0]).includes('/entries/') && !window.held++) {
            await new Promise((go) => { window.letGo = go; });
        }
        return answer;
    };";

#[tokio::test(flavor = "multi_thread")]
async fn what_happens_to_an_entry_on_its_way_to_the_page_is_shown() {
    let Some((room, browser)) = signed_in().await else { return };
    browser.script(SLOW_ENTRY).await;
    let call = room.caller_dials("88123456", "市住建局").await;
    browser
        .until("the entry is on its way", async || {
            browser.script("return typeof window.letGo").await == "function"
        })
        .await;
    room.officer_answers(call).await;
    browser.see_text("#list", "通话中").await;
    browser.script("window.letGo()").await;
    browser.see_text(".entry-marks", "通话中").await;
    browser.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_button_that_is_held_down_while_what_was_typed_is_saved_is_clicked() {
    let Some((room, browser)) = signed_in().await else { return };
    let call = room.caller_dials("88123456", "市住建局").await;
    browser.see("article.entry").await;
    room.officer_answers(call).await;
    browser.see_text(".entry-marks", "通话中").await;
    let count = "window.clicked = 0; document.addEventListener('click', (event) => {
        if (event.target.closest('.entry-actions form[data-dial] button')) window.clicked++;
    }, true);";
    browser.script(count).await;
    // The button bears the number, and the number is saved as soon as the field is left.
    browser.script("document.querySelector('input[name=caller_phone]').value = ''").await;
    browser.type_into("caller_phone", "66001122").await;
    browser.hold(".entry-actions form[data-dial] button", Duration::from_millis(1200)).await;
    assert_eq!(browser.script("return window.clicked").await, 1, "it is clicked");
    browser
        .until("the button bears the new number", async || {
            let title =
                "return document.querySelector('.entry-actions form[data-dial] button').title";
            browser.script(title).await.as_str().is_some_and(|title| title.contains("66001122"))
        })
        .await;
    browser.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_number_that_was_typed_is_saved_before_it_is_called() {
    let Some((room, browser)) = signed_in().await else { return };
    room.caller_dials("88123456", "市住建局").await;
    browser.see("article.entry").await;
    // A server that takes its time, or refuses, over what is saved.
    let slow = "const real = window.fetch; window.asked = []; window.refuse = false;
        window.fetch = async (where, how) => {
            const saves = how?.method === 'PATCH';
            if (saves) await new Promise((later) => setTimeout(later, 700));
            if (saves && window.refuse) return new Response('', { status: 503 });
            const answer = await real(where, how);
            if (saves || where === '/dial') window.asked.push(saves ? 'saved' : 'called');
            return answer;
        };";
    browser.script(slow).await;
    let call = ".entry-actions form[data-dial] button";
    browser.type_into("caller_phone", "66001122").await;
    browser.script("document.activeElement.blur()").await;
    browser.click(call).await;
    let asked = async || browser.script("return window.asked.join(' ')").await;
    browser.until("it is called", async || asked().await == "saved called").await;

    browser.script("window.asked = []; window.refuse = true").await;
    browser.type_into("caller_phone", "3").await;
    browser.click(call).await;
    browser.see_text(".action-note", "未保存").await;
    assert_eq!(asked().await, "", "the number before is not called");
    browser.end().await;
}
