//! An entry that is closed: what is changed in it afterwards has a reason, and what is typed waits for it.

use super::{looks_right, signed_in, watch_faults};
use dutyline::duty::entry::{EntryState, Field};
use dutyline::duty::ids::EntryId;
use dutyline::duty::journal::Disposition;
use fantoccini::key::Key;

#[tokio::test(flavor = "multi_thread")]
async fn i_4_what_is_changed_in_a_closed_entry_waits_for_its_reason_and_is_struck_through() {
    let Some((room, browser)) = signed_in().await else { return };
    let call = room.caller_dials("88123456", "市住建局").await;
    let entry = EntryId::from(call);
    browser.see("article.entry").await;
    room.officer_answers(call).await;
    room.caller_hangs_up(call, Disposition::Answered).await;
    room.other_desk_writes(entry, Field::Category, "", "inquiry").await;
    for (field, text) in
        [("subject", "办证时间"), ("content", "问周六是否办公"), ("result", "已答复")]
    {
        browser.type_into(field, text).await;
    }
    browser.see_text(".save-state", "已保存").await;
    browser.click("form[action$='/close'] button").await;
    browser.see_text(".entry-marks", "已办结").await;
    let found = async || room.store.entry(entry).await.unwrap().unwrap();
    let before = found().await.revisions.len();

    browser.script("document.querySelector('[name=result]').select()").await;
    let result = browser.client.active_element().await.unwrap();
    result.send_keys("已答复，并转办公室").await.unwrap();
    browser.see_text(".correction", "须写明原因").await;
    assert_eq!(browser.focus().await, "result", "typing goes on");
    browser.type_into("remark", "来电人又来电").await;
    let covered = "const box = document.querySelector('.correction').getBoundingClientRect(), \
                   field = document.querySelector('[name=remark]').getBoundingClientRect(); \
                   return field.bottom > box.top && field.top < box.bottom";
    assert_eq!(browser.script(covered).await, false, "what is typed is in sight");
    browser.shot("92-closed-entry-asks-why").await;
    assert_eq!(found().await.revisions.len(), before, "nothing is written without it");
    browser.click(".correction .keep").await;
    let asked = "return document.activeElement?.closest('.correction') !== null";
    assert_eq!(browser.script(asked).await, true, "it is asked for");

    // What was typed outlives the page.
    browser.client.refresh().await.unwrap();
    watch_faults(&browser).await;
    browser.see_text(".correction", "须写明原因").await;
    let value = "return document.querySelector('[name=result]').value";
    assert_eq!(browser.script(value).await, "已答复，并转办公室");
    browser.see(".correction input").await.send_keys("核实后补记").await.unwrap();
    browser.press(Key::Enter).await;
    browser.until("it is saved", async || browser.text(".correction").await.is_empty()).await;
    browser.see_text("[data-part=revisions]", "原因：核实后补记").await;
    let struck = "return document.querySelector('[data-part=revisions] del').textContent";
    assert_eq!(browser.script(struck).await, "已答复");
    browser.shot("93-closed-entry-corrected").await;
    let now = found().await;
    assert_eq!(now.form.get(Field::Result), "已答复，并转办公室");
    assert_eq!(now.form.get(Field::Remark), "来电人又来电");
    assert_eq!(now.row.state, EntryState::Closed, "it is still done with");
    let reasons: Vec<&str> = now.revisions[before..].iter().map(|one| &*one.reason).collect();
    assert_eq!(reasons, ["核实后补记"; 2]);

    // What is dropped is as it was.
    browser.type_into("remark", "，误记").await;
    browser.see(".correction").await;
    browser.click(".correction .drop").await;
    browser.until("it is dropped", async || browser.text(".correction").await.is_empty()).await;
    let remark = "return document.querySelector('[name=remark]').value";
    assert_eq!(browser.script(remark).await, "来电人又来电");
    let drafts = "return Object.keys(localStorage).filter(key => key.startsWith('draft:')).length";
    assert_eq!(browser.script(drafts).await, 0);
    looks_right(&browser).await;
    browser.end().await;
}
