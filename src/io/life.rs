//! A sign of life every two seconds, so that the next run can say since when nobody was there; and
//! the watch over the clock.
//!
//! ```text
//!  magic 8 "DUTYLIFE" · wall 8 (ms since 1970) · monotonic 8 (ns) · boot id 16 · crc 4
//! ```
//! Little-endian, CRC-32C. Not synced but every half minute: a killed process leaves what it wrote
//! to the kernel; a power cut takes half a minute of it at most, which counts as being away.

use crate::duty::entry::beijing;
use crate::duty::gaps::{ClockWatch, LONG, Life, Noticed, OutageKind};
use crate::io::clock;
use crate::io::outages::Outages;
use crate::io::status::{Alarm, Board};
use crate::io::tape::boot_id;
use crate::protocol::now::{Mono, Now};
use chrono::{DateTime, Utc};
use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio_util::sync::CancellationToken;
use tracing::warn;

const MAGIC: &[u8; 8] = b"DUTYLIFE";
const LENGTH: usize = 44;
const EVERY: Duration = Duration::from_secs(2);
/// Signs of life between two syncs.
const SYNC: u32 = 15;

pub fn path(data: &Path) -> PathBuf {
    data.join("alive")
}

/// The last one of the run before.
pub fn last(data: &Path) -> Option<Life> {
    let bytes = std::fs::read(path(data)).ok()?;
    let bytes: &[u8; LENGTH] = bytes.first_chunk()?;
    let long = |at: usize| bytes[at..].first_chunk().map(|eight| u64::from_le_bytes(*eight));
    let crc = bytes.last_chunk().map(|four| u32::from_le_bytes(*four))?;
    if bytes[..8] != *MAGIC || crc32c::crc32c(&bytes[..LENGTH - 4]) != crc {
        return None;
    }
    let wall = DateTime::from_timestamp_millis(i64::try_from(long(8)?).ok()?)?;
    Some(Life { at: Now { mono: Mono(long(16)?), wall }, boot: *bytes[24..].first_chunk()? })
}

fn written(life: &Life) -> Vec<u8> {
    let wall = u64::try_from(life.at.wall.timestamp_millis()).unwrap_or(0);
    let mut bytes = MAGIC.to_vec();
    bytes.extend(wall.to_le_bytes());
    bytes.extend(life.at.mono.0.to_le_bytes());
    bytes.extend(life.boot);
    bytes.extend(crc32c::crc32c(&bytes).to_le_bytes());
    bytes
}

/// This moment of this boot.
pub fn here(now: Now) -> Life {
    Life { at: now, boot: *boot_id().as_bytes() }
}

/// Gives signs of life and watches the clock until `stopping`. `set`: what the clock should have said at the start, and what
/// it said.
pub async fn keep(
    data: PathBuf,
    set: Option<(DateTime<Utc>, DateTime<Utc>)>,
    told: Outages,
    board: Board,
    stopping: CancellationToken,
) {
    let mut tick = tokio::time::interval(EVERY);
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Skip);
    let (mut watch, mut count) = (ClockWatch::after(set, clock::now()), 0_u32);
    let mut failing = false;
    loop {
        tokio::select! {
            _ = tick.tick() => {}
            () = stopping.cancelled() => return,
        }
        let now = clock::now();
        count = count.wrapping_add(1);
        let (to, sync) = (path(&data), count.is_multiple_of(SYNC));
        let signed = tokio::task::spawn_blocking(move || sign(&to, &here(now), sync)).await;
        let fault = signed.map_err(io::Error::other).and_then(|signed| signed).err();
        if let Some(fault) = fault.as_ref().filter(|_| !failing) {
            warn!(%fault, "no sign of life can be given: an outage will seem longer than it was");
        }
        failing = fault.is_some();
        for noticed in watch.look(now, clock::synchronised()) {
            note(noticed, &told, &board, now).await;
        }
        show(&watch, &board, now);
        show_set(&watch, &board, now);
    }
}

fn sign(path: &Path, life: &Life, sync: bool) -> io::Result<()> {
    let file: File =
        OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(path)?;
    file.write_all_at(&written(life), 0)?;
    if sync { file.sync_data() } else { Ok(()) }
}

async fn note(noticed: Noticed, told: &Outages, board: &Board, now: Now) {
    let why = "没有时间服务器校正时钟 · no time server corrects the clock";
    match noticed {
        Noticed::Stepped { from, to } => {
            warn!(%from, %to, "the clock was set");
            board.tell(crate::io::status::Live::Status);
            told.clock_stepped(from, to).await;
        }
        Noticed::Unsynchronised => told.began(OutageKind::Clock, now.wall, why.to_owned()).await,
        Noticed::Synchronised => told.over(OutageKind::Clock).await,
    }
}

/// A clock that is left alone for a day, and for how long by now.
fn show(watch: &ClockWatch, board: &Board, now: Now) {
    let long = watch.alone(now).filter(|(alone, _)| *alone >= LONG);
    board.update(|status| {
        let Some((alone, error)) = long else { return drop(status.alarms.remove("clock")) };
        let (hours, error) = (alone.as_secs() / 3600, error.as_secs());
        let since = status.alarms.get("clock").map_or(now.wall, |alarm| alarm.since);
        let zh =
            format!("时钟已 {hours} 小时未与时间服务器同步，误差可能达 {error} 秒，请检查 NTP");
        let en = format!(
            "The clock was not synchronised for {hours} h and may be {error} s out: check NTP"
        );
        status.alarms.insert("clock", Alarm { since, zh, en });
    });
}

/// A clock that somebody has set, or that was wrong at the start.
fn show_set(watch: &ClockWatch, board: &Board, now: Now) {
    board.update(|status| {
        let Some(set) = watch.set(now) else { return drop(status.alarms.remove("clock_set")) };
        let since = status.alarms.get("clock_set").map_or(now.wall, |alarm| alarm.since);
        let [from, to] = [set.from, set.to]
            .map(|at| at.with_timezone(&beijing()).format("%Y-%m-%d %H:%M:%S").to_string());
        let zh = format!(
            "本机时钟从 {from} 变为 {to}，记录的时间可能不对。请核对本机日期和时间，不对就改正，并检查 NTP；现在的时间正确的，不用处理，一天后不再提示"
        );
        let en = format!(
            "The clock went from {from} to {to}: times in the log may be wrong. Compare date and time of this host, correct them, and check NTP; where they are right now, nothing is to be done"
        );
        status.alarms.insert("clock_set", Alarm { since, zh, en });
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rec_k4_the_alarm_says_for_how_long_by_now() {
        let (board, begun) = (Board::new(), clock::now());
        let mut watch = ClockWatch::default();
        watch.look(begun, Some(false));
        let shown = |watch: &ClockWatch, hours: u64| {
            show(watch, &board, begun + Duration::from_secs(hours * 3600));
            board.status().alarms.get("clock").cloned()
        };
        assert_eq!(shown(&watch, 23), None);
        let first = shown(&watch, 24).unwrap();
        assert!(first.zh.contains("24 小时") && first.zh.contains("8 秒"), "{first:?}");
        let later = shown(&watch, 240).unwrap();
        assert!(later.zh.contains("240 小时") && later.zh.contains("86 秒"), "{later:?}");
        assert_eq!(later.since, first.since);
        watch.look(begun + Duration::from_secs(241 * 3600), Some(true));
        assert_eq!(shown(&watch, 241), None);
    }

    #[test]
    fn rel_19_a_clock_that_is_wrong_at_the_start_is_an_alarm_until_it_is_right() {
        let (board, now) = (Board::new(), clock::now());
        let right = now.wall - chrono::TimeDelta::days(40);
        let mut watch = ClockWatch::after(Some((right, now.wall)), now);
        watch.look(now, Some(false));
        show_set(&watch, &board, now);
        let alarm = board.status().alarms["clock_set"].clone();
        let day = right.with_timezone(&beijing()).format("%Y-%m-%d").to_string();
        assert!(alarm.zh.contains(&day) && alarm.zh.contains("检查 NTP"), "{alarm:?}");
        let back = now + Duration::from_secs(60);
        let back = Now { wall: right + chrono::TimeDelta::seconds(60), ..back };
        watch.look(back, Some(false));
        show_set(&watch, &board, back);
        assert_eq!(board.status().alarms.get("clock_set"), None);
    }
}
