//! What must be read at three in the morning can be, by day and in the dark.

use super::{Room, sign_in};
use crate::browser::Browser;
use crate::have;
use serde_json::Value;

/// WCAG 2.1, 1.4.3: the ratio of an element's text to what is behind it.
const CONTRAST: &str = "
    const light = (channel) => channel <= 0.04045 ? channel / 12.92 : ((channel + 0.055) / 1.055) ** 2.4;
    const read = (text) => {
        const [red, green, blue, alpha = 1] = text.match(/[\\d.]+/g).map(Number);
        return { alpha, value: 0.2126 * light(red / 255) + 0.7152 * light(green / 255) + 0.0722 * light(blue / 255) };
    };
    const behind = (element) => {
        for (let one = element; one; one = one.parentElement) {
            const ground = read(getComputedStyle(one).backgroundColor);
            if (ground.alpha === 1) return ground.value;
            if (ground.alpha > 0) throw new Error(`half seen through: ${one.className}`);
        }
        throw new Error('no ground');
    };
    const ratio = (element) => {
        const pair = [read(getComputedStyle(element).color).value, behind(element)];
        return (Math.max(...pair) + 0.05) / (Math.min(...pair) + 0.05);
    };
    const room = document.createElement('div');
    document.body.append(room);
    const found = {};
    for (const [name, tag, classes, outer] of [
        ['not recording', 'p', 'not-recording', 'taping'],
        ['alarm', 'p', 'alarm bad', ''],
        ['leaders are called', 'p', 'alarm notifying', ''],
        ['drill', 'p', 'alarm drill', ''],
        ['bad chip', 'span', 'chip bad', 'top'],
        ['warning chip', 'span', 'chip warn', 'top'],
        ['urgent', 'button', 'flag urgent', ''],
        ['critical', 'button', 'flag critical', ''],
        ['irrevocable', 'button', 'danger', 'panel'],
        ['problem', 'p', 'problem', ''],
    ]) {
        const box = document.createElement('div');
        const element = document.createElement(tag);
        box.className = outer;
        element.className = classes;
        element.textContent = name;
        box.append(element);
        room.append(box);
        found[name] = ratio(element);
    }
    const button = room.querySelector('.danger');
    const plain = document.createElement('button');
    room.append(plain);
    found.marked = getComputedStyle(button).backgroundColor !== getComputedStyle(plain).backgroundColor;
    room.remove();
    return found;";

#[tokio::test(flavor = "multi_thread")]
async fn alarms_flags_and_what_cannot_be_taken_back_are_readable_in_both_themes() {
    if !have(&["chromedriver", "chromium"]) {
        return;
    }
    let room = Room::open().await;
    for dark in [false, true] {
        let further: &[&str] = if dark { &["--force-dark-mode"] } else { &[] };
        let browser = Browser::start_with(further).await;
        sign_in(&browser, &room).await;
        let theme = "return matchMedia('(prefers-color-scheme: dark)').matches";
        assert_eq!(browser.script(theme).await, dark);
        let found = browser.script(CONTRAST).await;
        println!("dark: {dark}: {found}");
        for (name, ratio) in found.as_object().expect("an object") {
            match ratio {
                Value::Bool(marked) => assert!(marked, "{name}: a button like any other"),
                ratio => assert!(ratio.as_f64() >= Some(4.5), "dark: {dark}: {name}: {ratio}"),
            }
        }
        browser.end().await;
    }
}
