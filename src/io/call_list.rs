//! `dutyline reconcile`: the PBX's list of calls is read, compared, written down, and what does not fit is shown.

use crate::config::Config;
use crate::duty::call_list::{Found, Listed, Match, nothing_fits, read, reconcile};
use crate::duty::ids::CallId;
use crate::io::clock;
use crate::io::store::{CallList, Store, wait};
use crate::protocol::now::Now;
use crate::protocol::random::Random;
use crate::protocol::sip::text::lines;
use anyhow::{Context, bail};
use chrono::{DateTime, TimeDelta, Utc};
use sha2::{Digest, Sha256};
use std::fmt::Write;
use std::path::Path;

/// The clocks of both may differ so much, and a call may ring before it reaches us.
const TOLERANCE: TimeDelta = TimeDelta::seconds(60);
/// Larger is no list of a duty line.
const BYTES_MAX: u64 = 256 << 20;
const NOTHING_FITS: &str = "没有一条与本机通话对得上，请核对时间和主叫列；先用 --trial · none of its calls is among ours: look at the columns of time and caller; use --trial first";
/// Shown one by one; more are counted.
const SHOWN: usize = 200;

/// What came of it, for a person; whether everything fits.
#[derive(Debug)]
pub struct Report {
    pub text: String,
    pub fits: bool,
}

/// Compares the list at `path`, and writes it down but for a trial.
///
/// # Errors
/// When the list cannot be read, or the log; when nothing in it is of ours, but for a trial.
pub fn import(path: &Path, config: &Config, store: &Store, trial: bool) -> anyhow::Result<Report> {
    let shown = path.display();
    let size = path.metadata().with_context(|| format!("{shown}"))?.len();
    if size > BYTES_MAX {
        bail!("{shown}: 超过 256 MiB，请分段导入 · larger than 256 MiB: import it in parts");
    }
    let bytes = std::fs::read(path).with_context(|| format!("{shown}"))?;
    let sha256: [u8; 32] = Sha256::digest(&bytes).into();
    let numbers = [config.line.number.as_str(), config.line.user.as_str()];
    let listed = read(&lines(&bytes), &config.call_list, &config.callers.numbering, &numbers)
        .map_err(|fault| {
            anyhow::anyhow!("{shown}: 第 {} 行 · line {0}: {} · {}", fault.line, fault.zh, fault.en)
        })?;
    let (Some(first), Some(last)) = (listed.first(), listed.last()) else {
        bail!(
            "{shown}: 没有打到 {} 或 {} 的呼叫 · no call to either of these numbers",
            numbers[0],
            numbers[1]
        );
    };
    let (from, to) = (first.at, last.at);
    let ours = wait(store.calls_between(from - TOLERANCE, to + TOLERANCE))?;
    let matches = reconcile(&listed, &ours, TOLERANCE);
    let mut text = format!("{} – {}\n", local(from), local(to));
    if nothing_fits(&matches, &ours) {
        if !trial {
            bail!("{shown}: {NOTHING_FITS}");
        }
        writeln!(text, "{NOTHING_FITS}")?;
    }
    let mut known = false;
    if !trial {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let named = |one: &Match| (one.clone(), name_of(&one.listed));
        let matches = matches.iter().map(named).collect();
        let list = CallList { name, sha256: hex::encode(sha256), from, to, matches };
        known = !wait(store.take_call_list(list, clock::now()))?;
    }
    describe(&mut text, &matches)?;
    if known {
        text.push_str(
            "这份话单已导入过，未重复登记 · this list was imported before; nothing was written\n",
        );
    }
    let fits = matches.iter().all(|one| one.found == Found::Matched);
    Ok(Report { text, fits })
}

fn describe(text: &mut String, matches: &[Match]) -> std::fmt::Result {
    let count = |found| matches.iter().filter(|one| one.found == found).count();
    writeln!(
        text,
        "相符 {} · 未录音 {} · 漏接（已列入待回拨）{} · matched, unrecorded, missed and to be called back",
        count(Found::Matched),
        count(Found::Unrecorded),
        count(Found::Missed)
    )?;
    let other = matches.iter().filter(|one| one.found != Found::Matched);
    for one in other.clone().take(SHOWN) {
        let what = match (one.found, one.call) {
            (Found::Missed, _) => "漏接 missed",
            (_, Some(_)) => "未录音 unrecorded",
            (_, None) => "本机未见，别处接听且未录音 answered elsewhere, unrecorded",
        };
        let Listed { line, at, caller, .. } = &one.listed;
        writeln!(text, "  {} {caller:<16} {what} (line {line})", local(*at))?;
    }
    let more = other.count().saturating_sub(SHOWN);
    if more > 0 {
        writeln!(text, "  … {more}")?;
    }
    Ok(())
}

/// The same call has the same name in whatever list it stands.
fn name_of(listed: &Listed) -> CallId {
    let key = format!("{} {}", listed.at.timestamp_millis(), listed.caller);
    let mut random = Random::from_seed(Sha256::digest(key.as_bytes()).into());
    CallId::new(Now { wall: listed.at, ..clock::now() }, &mut random)
}

fn local(at: DateTime<Utc>) -> String {
    at.with_timezone(&crate::duty::entry::beijing()).format("%Y-%m-%d %H:%M:%S").to_string()
}
