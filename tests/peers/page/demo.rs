//! The whole daemon with the demo's telephones.

use super::{PASSWORD, looks_right, watch_faults};
use crate::browser::{Browser, SOON};
use crate::have;
use crate::ports::Ports;
use crate::process::Process;
use fantoccini::Locator;
use fantoccini::key::Key;
use std::process::Command;
use std::time::Duration;

/// The whole daemon with the demo's telephones, from the first link on.
#[tokio::test(flavor = "multi_thread")]
async fn an_evening_at_the_demo() {
    if !have(&["chromedriver", "chromium"]) {
        return;
    }
    let folder = tempfile::tempdir().expect("a folder");
    let ports = Ports::take();
    let mut command = Command::new(env!("CARGO_BIN_EXE_dutyline"));
    command.args(["demo", "--web-port", &ports.page().to_string()]);
    let mut demo = Process::start("demo", folder.path(), &mut command);
    demo.wait_for("/first/", SOON);
    let log = demo.log();
    let link = log.split_whitespace().find(|word| word.contains("/first/")).expect("a link");
    let browser = Browser::start().await;
    browser.goto(link).await;
    for (name, text) in [("name", "主班员"), ("account", "zhuban"), ("password", PASSWORD)] {
        browser.type_into(name, text).await;
    }
    browser.type_into("again", PASSWORD).await;
    browser.shot("20-first-account").await;
    browser.click("button.primary").await;
    browser.see_text(".demo-bar", "演示").await;
    browser.see_text("#status", "在线").await;
    watch_faults(&browser).await;
    browser.shot("21-demo-desk").await;

    browser.click("#demo-call").await;
    browser.see_text("#ring .ring-number", "13800130007").await;
    browser.shot("22-demo-rings").await;
    browser.see_text(".entry-marks", "通话中").await;
    browser.type_into("subject", "化工园区氨气泄漏").await;
    browser.press(Key::F3).await;
    browser.see_text(".attempts", "振铃").await;
    browser.type_into("content", "二号储罐阀门泄漏，两人轻伤，正在疏散约四十人。").await;
    browser.see_text(".save-state", "已保存").await;
    browser.shot("23-demo-leader-rings").await;
    browser.see_text(".attempts", "等待按键").await;
    let long = Duration::from_secs(30);
    browser
        .until_within(long, "the leader knows", async || {
            browser.text(".escalations").await.contains("已接报")
        })
        .await;
    browser.shot("24-demo-acknowledged").await;
    let over = Duration::from_secs(90);
    browser
        .until_within(over, "the recording is sealed", async || {
            browser.client.find(Locator::Css("[data-part=recording] audio")).await.is_ok()
        })
        .await;
    let start = "window.heard = document.querySelector('[data-part=recording] audio'); heard.muted = true; heard.play()";
    browser.script(start).await;
    browser
        .until("the recording plays", async || {
            browser.script("return heard.currentTime > 1 && heard.duration > 20").await == true
        })
        .await;
    browser.shot("25-demo-recorded").await;
    looks_right(&browser).await;
    browser.end().await;
    assert_eq!(demo.stop(SOON), 0, "it ends in order");
}
