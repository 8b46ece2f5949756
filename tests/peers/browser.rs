//! A real Chromium, driven over WebDriver. Screenshots go to `DUTYLINE_SCREENSHOTS`, where that is
//! set.

use crate::ports::Ports;
use crate::process::Process;
use fantoccini::key::Key;
use fantoccini::{Client, ClientBuilder, Locator};
use serde_json::{Value, json};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// What a person would still call at once, on a busy machine.
pub const SOON: Duration = Duration::from_secs(10);

/// A Chromium of its own, ended with its driver.
pub struct Browser {
    pub client: Client,
    port: u16,
    driver: Process,
    _folder: TempDir,
    _ports: Ports,
}

impl Browser {
    pub async fn start() -> Self {
        Self::start_with(&[]).await
    }

    /// With further arguments for Chromium.
    pub async fn start_with(further: &[&str]) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let ports = Ports::take();
        let port = ports.own(0);
        let mut command = Command::new("chromedriver");
        command.arg(format!("--port={port}")).arg("--allowed-ips=127.0.0.1");
        let mut driver = Process::start("chromedriver", folder.path(), &mut command);
        driver.wait_for("started successfully", SOON);
        let profile = folder.path().join("profile");
        let options = json!({ "goog:chromeOptions": { "args": [
            "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
            "--disable-background-networking", "--disable-component-update", "--disable-sync",
            "--lang=zh-CN", "--accept-lang=zh-CN", "--window-size=1366,768", "--force-color-profile=srgb",
            format!("--user-data-dir={}", profile.display()),
        ] }, "goog:loggingPrefs": { "browser": "ALL" } });
        let Value::Object(mut options) = options else { unreachable!("an object") };
        let arguments = options["goog:chromeOptions"]["args"].as_array_mut().expect("a list");
        arguments.extend(further.iter().map(|argument| json!(argument)));
        let connector = hyper_util::client::legacy::connect::HttpConnector::new();
        let client = ClientBuilder::new(connector)
            .capabilities(options)
            .connect(&format!("http://127.0.0.1:{port}"))
            .await
            .expect("a browser");
        let browser = Self { client, port, driver, _folder: folder, _ports: ports };
        browser.resize(1366, 768).await;
        browser
    }

    /// So much for the page.
    pub async fn resize(&self, width: u32, height: u32) {
        let frame = self.script("return outerHeight - innerHeight").await;
        let frame = u32::try_from(frame.as_u64().unwrap_or(0)).expect("a small frame");
        self.client.set_window_rect(0, 0, width, height + frame).await.expect("a window");
    }

    pub async fn goto(&self, url: &str) {
        self.client.goto(url).await.expect("the page opens");
    }

    /// Waits for an element that can be seen.
    pub async fn see(&self, css: &str) -> fantoccini::elements::Element {
        let start = Instant::now();
        loop {
            if let Ok(element) = self.client.find(Locator::Css(css)).await
                && element.is_displayed().await.unwrap_or(false)
            {
                return element;
            }
            if start.elapsed() > SOON {
                self.shot("in-vain").await;
                panic!("{css} is not to be seen:\n{}", self.text("body").await);
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Waits until the element's text contains `text`.
    pub async fn see_text(&self, css: &str, text: &str) {
        self.until(&format!("{text} in {css}"), async || self.text(css).await.contains(text)).await;
    }

    pub async fn until(&self, what: &str, holds: impl AsyncFnMut() -> bool) {
        self.until_within(SOON, what, holds).await;
    }

    pub async fn until_within(
        &self,
        limit: Duration,
        what: &str,
        mut holds: impl AsyncFnMut() -> bool,
    ) {
        let start = Instant::now();
        while !holds().await {
            if start.elapsed() > limit {
                self.shot("in-vain").await;
                panic!("waited in vain for {what}:\n{}", self.text("body").await);
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// What can be read of the element; empty where there is none.
    pub async fn text(&self, css: &str) -> String {
        match self.client.find(Locator::Css(css)).await {
            Ok(element) => element.text().await.unwrap_or_default(),
            Err(_) => String::new(),
        }
    }

    pub async fn type_into(&self, name: &str, text: &str) {
        let field = self.see(&format!("[name=\"{name}\"]")).await;
        field.send_keys(text).await.expect("typed");
    }

    /// A key that goes wherever the focus is.
    pub async fn press(&self, key: Key) {
        let focused = self.client.active_element().await.expect("a focus");
        focused.send_keys(&String::from(char::from(key))).await.expect("pressed");
    }

    pub async fn click(&self, css: &str) {
        // What the page shows anew while it is looked for is looked for again.
        self.until(&format!("a click on {css}"), async || {
            match self.see(css).await.click().await {
                Ok(()) => true,
                Err(error) if error.is_stale_element_reference() => false,
                Err(error) => panic!("{css} cannot be clicked: {error}"),
            }
        })
        .await;
    }

    /// Presses the button of the mouse there, and lets it go so much later.
    pub async fn hold(&self, css: &str, pressed: Duration) {
        use fantoccini::actions::{InputSource, MOUSE_BUTTON_LEFT, MouseActions, PointerAction};
        let (element, button) = (self.see(css).await, MOUSE_BUTTON_LEFT);
        let there = PointerAction::MoveToElement { element, duration: None, x: 0.0, y: 0.0 };
        let actions = MouseActions::new("mouse".to_owned())
            .then(there)
            .then(PointerAction::Down { button })
            .pause(pressed)
            .then(PointerAction::Up { button });
        self.client.perform_actions(actions).await.expect("held");
    }

    pub async fn script(&self, script: &str) -> Value {
        self.client.execute(script, vec![]).await.expect("the script runs")
    }

    /// The name of the field that has the focus.
    pub async fn focus(&self) -> Value {
        self.script("return document.activeElement?.name ?? null").await
    }

    /// The processes that draw its pages.
    pub fn renderers(&self) -> Vec<i32> {
        let read = |id: i32, what: &str| std::fs::read_to_string(format!("/proc/{id}/{what}"));
        let parent = |id: i32| -> Option<i32> {
            let stat = read(id, "stat").ok()?;
            stat.rsplit_once(')')?.1.split_whitespace().nth(1)?.parse().ok()
        };
        let driver = i32::try_from(self.driver.id()).expect("a process id");
        let ours = |id: &i32| {
            std::iter::successors(Some(*id), |id| parent(*id)).any(|above| above == driver)
        };
        let draws =
            |id: &i32| read(*id, "cmdline").is_ok_and(|line| line.contains("--type=renderer"));
        let all = std::fs::read_dir("/proc").expect("the processes");
        let ids = all.filter_map(|one| one.ok()?.file_name().to_str()?.parse().ok());
        ids.filter(draws).filter(ours).collect()
    }

    /// As [`Browser::shot`], of all that can be scrolled to, where that is a page's own.
    pub async fn whole_shot(&self, name: &str) {
        if std::env::var_os("DUTYLINE_SCREENSHOTS").is_none() {
            return;
        }
        let size = self
            .script("return [innerWidth, innerHeight, document.documentElement.scrollHeight]")
            .await;
        let side = |at: usize| u32::try_from(size[at].as_u64().unwrap_or(0)).expect("a page");
        self.resize(side(0), side(2).clamp(side(1), 4000)).await;
        self.shot(name).await;
        self.resize(side(0), side(1)).await;
    }

    /// A picture for the eye, where one is wanted.
    pub async fn shot(&self, name: &str) {
        let Some(folder) = std::env::var_os("DUTYLINE_SCREENSHOTS").map(PathBuf::from) else {
            return;
        };
        std::fs::create_dir_all(&folder).expect("a folder for pictures");
        let picture = self.client.screenshot().await.expect("a picture");
        std::fs::write(folder.join(format!("{name}.png")), picture).expect("written");
    }

    /// What the browser itself had to say: faults of scripts, broken rules of the policy.
    pub async fn console(&self) -> Vec<String> {
        let session = self.client.session_id().await.expect("a session").expect("its name");
        let body = r#"{"type":"browser"}"#;
        let request = format!(
            "POST /session/{session}/se/log HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\
             Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).expect("the driver");
        stream.write_all(request.as_bytes()).expect("asked");
        stream.set_read_timeout(Some(SOON)).expect("a timeout");
        let mut answer = vec![];
        let whole = |answer: &[u8]| {
            let text = std::str::from_utf8(answer).ok()?;
            let (head, body) = text.split_once("\r\n\r\n")?;
            let length = head.to_ascii_lowercase();
            let length = length.lines().find_map(|line| line.strip_prefix("content-length:"))?;
            let length: usize = length.trim().parse().ok()?;
            (body.len() >= length).then(|| body.to_owned())
        };
        // The driver keeps the connection open.
        let body = loop {
            if let Some(body) = whole(&answer) {
                break body;
            }
            let mut part = [0; 65_536];
            let length = stream.read(&mut part).expect("an answer");
            assert!(length > 0, "no whole answer: {}", String::from_utf8_lossy(&answer));
            answer.extend_from_slice(&part[..length]);
        };
        let said: Value = serde_json::from_str(&body).expect("JSON");
        let lines = said["value"].as_array().unwrap_or_else(|| panic!("no log: {said}"));
        lines.iter().map(|line| line["message"].to_string()).collect()
    }

    pub async fn end(self) {
        self.client.clone().close().await.expect("the browser ends");
    }
}
