//! Forms that the server draws: one that is refused keeps what was typed, names the field and puts the cursor there.

use super::{Room, sign_in, signed_in};
use crate::browser::Browser;
use crate::have;
use dutyline::duty::entry::Field;
use dutyline::duty::journal::Disposition;
use dutyline::duty::roster::{Person, Role, Roster};

/// Of the form with this action.
async fn value(browser: &Browser, action: &str, name: &str) -> serde_json::Value {
    let css = format!("form[action=\"{action}\"] [name=\"{name}\"]");
    browser.script(&format!("return document.querySelector('{css}').value")).await
}

async fn chooses(browser: &Browser, action: &str, name: &str, value: &str) {
    let css = format!("form[action=\"{action}\"] [name=\"{name}\"]");
    browser.script(&format!("document.querySelector('{css}').value = '{value}'")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_roster_form_that_is_refused_keeps_what_was_typed_and_points_at_the_fault() {
    if !have(&["chromedriver", "chromium"]) {
        return;
    }
    let mut room = Room::open().await;
    let mut people = vec![
        Person::new("周带班", Role::Leader, Some("13900000001"), Some("6003")),
        Person::new("吴替班", Role::Substitute, Some("13900000002"), None),
        Person::new("郑主任", Role::OfficeDirector, Some("13900000003"), None),
        Person::new("孙主任", Role::Head, Some("13900000004"), None),
    ];
    people[2].rank = 4;
    room.page.dialler.roster = Roster { people };
    room.server_stops().await;
    room.server_starts().await;
    let browser = Browser::start().await;
    sign_in(&browser, &room).await;
    browser.goto(&room.at("/roster")).await;
    let form = "/roster/substitution";
    for (name, text) in [
        ("absent", "周带班"),
        ("stands_in", "郑主任"),
        ("from", "2099-01-02T08:30"),
        ("to", "2099-01-01T08:30"),
        ("reason", "出差<b>"),
    ] {
        chooses(&browser, form, name, text).await;
    }
    browser.click(&format!("form[action='{form}'] button")).await;
    browser.see_text("#fault", "时间不对").await;
    assert_eq!(browser.focus().await, "to");
    browser.shot("94-roster-refused").await;
    for (name, text) in
        [("stands_in", "郑主任"), ("from", "2099-01-02T08:30"), ("reason", "出差<b>")]
    {
        assert_eq!(value(&browser, form, name).await, text);
    }
    chooses(&browser, form, "to", "2099-01-03T08:30").await;
    browser.click(&format!("form[action='{form}'] button")).await;
    browser.see_text("#fault", "须由中心主要领导批准").await;
    assert_eq!(browser.focus().await, "approved_by");
    let offered =
        "return [...document.querySelectorAll('[name=approved_by] option')].map(one => one.value)";
    assert_eq!(browser.script(offered).await, serde_json::json!(["", "孙主任"]));
    // The address of what was refused, asked for again as a page.
    browser.goto(&room.at(form)).await;
    browser.see_text("h1", "值班表").await;
    browser.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_typed_beside_an_entry_stays_while_others_work_on_it() {
    let Some((room, browser)) = signed_in().await else { return };
    let call = room.caller_dials("88123456", "市住建局").await;
    room.officer_answers(call).await;
    room.caller_hangs_up(call, Disposition::Answered).await;
    room.is_recorded(call, 20).await;
    browser.see("[data-part=derived] summary").await;
    // What the server has to say of this part changes.
    let changes = "const real = window.fetch; window.fetch = async (where, how) => {
        const answer = await real(where, how);
        if (how?.method || !String(where?.url ?? where).includes('/entries/')) return answer;
        return new Response((await answer.text()).replaceAll('0:10', '0:11'), { status: answer.status });
    };";
    browser.script(changes).await;
    browser.click("[data-part=derived] summary").await;
    let reason = "[data-part=derived] [name=reason]";
    browser.see(reason).await.send_keys("涉及个人信息").await.unwrap();
    room.other_desk_writes(call.into(), Field::Remark, "", "已转办").await;
    browser.see("[data-part=derived] [placeholder='0:11']").await;
    assert_eq!(browser.focus().await, "reason", "the cursor stays");
    browser.client.active_element().await.unwrap().send_keys("，静音").await.unwrap();
    let typed = format!("return document.querySelector('{reason}').value");
    assert_eq!(browser.script(&typed).await, "涉及个人信息，静音");
    browser.end().await;
}
