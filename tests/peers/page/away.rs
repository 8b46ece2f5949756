//! A server that answers nothing any more without ending its connections.

use crate::browser::Browser;
use crate::daemon::{Daemon, Plan};
use crate::have;
use crate::ports::Ports;
use std::time::{Duration, Instant};

/// So soon the officer is told that his page is of no use.
const TOLD: Duration = Duration::from_secs(15);

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_stands_still_is_told_within_a_quarter_of_a_minute_and_its_return_too() {
    if !have(&["chromedriver", "chromium"]) {
        return;
    }
    let (folder, ports) = (tempfile::tempdir().expect("a folder"), Ports::take());
    let mut daemon = Daemon::spawn(folder.path(), &ports, &Plan::default());
    let browser = Browser::start().await;
    browser.goto(&daemon.first_link()).await;
    for (name, text) in [("name", "王值班"), ("account", "wang")] {
        browser.type_into(name, text).await;
    }
    for name in ["password", "again"] {
        browser.type_into(name, "correct-horse").await;
    }
    browser.click("button.primary").await;
    browser.see_text("#live .word", "实时").await;

    daemon.process.signal(libc::SIGSTOP);
    let stopped = Instant::now();
    browser
        .until_within(TOLD, "the alarm", async || !browser.text("#page-lost").await.is_empty())
        .await;
    println!("told after {:?}", stopped.elapsed());
    let said = browser.text("#page-lost").await;
    assert!(said.contains("*9") && said.contains('纸'), "what to do: {said}");
    assert_eq!(browser.text("#live .word").await, "页面断线");
    let grey = "return getComputedStyle(document.querySelector('#status .chip')).filter";
    assert_eq!(browser.script(grey).await, "grayscale(1)", "nobody knows whether it is still so");
    browser.shot("84-server-stands-still").await;
    daemon.process.signal(libc::SIGCONT);
    browser
        .until_within(TOLD, "its end", async || browser.text("#page-lost").await.is_empty())
        .await;
    browser.see_text("#live .word", "实时").await;

    // A page that nobody hears of for a while is told of nothing when all is well.
    let quiet = Instant::now();
    while quiet.elapsed() < TOLD {
        assert_eq!(browser.text("#page-lost").await, "", "beats are enough");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    browser.end().await;
}
