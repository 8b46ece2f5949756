//! A small PBX, a caller and telephones inside the process, over real loopback SIP and RTP, so
//! that the daemon can be seen at work without anything else.

mod check;
mod evening;
pub mod pbx;
pub mod phone;
mod scene;
mod socket;
mod speech;
mod stage;

use crate::daemon::{self, Daemon};
use crate::io::web::DemoCommand;
use stage::Stage;
use std::process::ExitCode;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;

/// Calls that the button on the page may ask for before the first of them is over.
const WISHES: usize = 4;

#[derive(Debug, Clone, Default)]
pub struct DemoOptions {
    /// One urgent call by itself; its result is checked.
    pub once: bool,
    /// Where the page is; a free port unless given.
    pub web_port: Option<u16>,
    /// The temporary folder is not removed at the end.
    pub keep: bool,
}

/// Plays until it is interrupted, or, with `once`, one call. Nothing is left behind.
///
/// # Errors
/// When the stage cannot be set, or a step of the one call does not happen in time.
pub async fn run(options: DemoOptions) -> anyhow::Result<ExitCode> {
    let mut stage = Stage::set(&options).await?;
    if options.keep {
        stage.folder.keep();
    }
    let (button, wishes) = mpsc::channel(WISHES);
    let daemon_options = daemon::Options { demo: Some(button), source: None };
    let daemon = daemon::start(stage.config.clone(), daemon_options).await?;
    tell(
        &format!("值班页面 http://{}/", daemon.web_address()),
        &format!("the page is at http://{}/", daemon.web_address()),
    );
    if let Some(link) = daemon.first_link() {
        tell(&format!("首次登录 {link}"), "log in with this link, once");
    }
    let mut terminate = signal(SignalKind::terminate())?;
    let played = tokio::select! {
        played = play(&options, &mut stage, &daemon, wishes) => played,
        _ = tokio::signal::ctrl_c() => Ok(ExitCode::SUCCESS),
        _ = terminate.recv() => Ok(ExitCode::SUCCESS),
    };
    daemon.stop().await;
    played
}

async fn play(
    options: &DemoOptions,
    stage: &mut Stage,
    daemon: &Daemon,
    wishes: mpsc::Receiver<DemoCommand>,
) -> anyhow::Result<ExitCode> {
    stage.wait_for_the_line().await?;
    if !options.once {
        return evening::play(stage, wishes).await;
    }
    let played = scene::one_urgent_call(stage).await?;
    let differences = check::check(&played, daemon, &stage.config).await?;
    if differences.is_empty() {
        tell(
            "检查通过：记录、录音、确认都对",
            "checked: entry, recording, acknowledgement are right",
        );
        return Ok(ExitCode::SUCCESS);
    }
    for difference in differences {
        tell("不对", &difference);
    }
    Ok(ExitCode::FAILURE)
}

/// One line of the story, in Chinese and English.
fn tell(zh: &str, en: &str) {
    let now = crate::io::clock::now().wall;
    let time = now.with_timezone(&crate::duty::entry::beijing()).format("%H:%M:%S");
    println!("{time}  {zh} · {en}");
}
