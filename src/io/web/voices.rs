//! 通话质量: a mark for each party who is or was heard, and the figures behind it.

use super::messages::{Messages, fill_two};
use super::times;
use super::view::Mark;
use crate::io::store::VoiceRow;
use crate::protocol::rtp::Party;
use crate::protocol::rtp::quality::{Grade, Quality};
use chrono::{DateTime, Utc};

pub struct VoiceView {
    pub party: &'static str,
    pub mark: Mark,
    /// Packets lost and late, jitter, MOS with its worst and when, and what the far end tells.
    pub figures: String,
    /// It goes on.
    pub live: bool,
}

/// Whoever is heard now, after whoever was.
pub fn all(
    past: &[VoiceRow],
    now_heard: &[(Party, Quality)],
    placed: bool,
    t: &'static Messages,
    now: DateTime<Utc>,
) -> Vec<VoiceView> {
    let past = past.iter().map(|row| {
        let mos = row.quality.mos.map(|mos| mos.mean.grade());
        view(name(row.party, placed, t), &row.quality, mos, false, t, now)
    });
    let live = now_heard.iter().map(|(party, quality)| {
        let mos = quality.mos.map(|mos| mos.latest.grade());
        view(name(*party, placed, t), quality, mos, true, t, now)
    });
    past.chain(live).collect()
}

/// `placed`: the officer has called.
fn name(party: Party, placed: bool, t: &'static Messages) -> &'static str {
    match party {
        Party::Caller if placed => t.voice_called,
        Party::Caller => t.voice_caller,
        Party::Officer => t.voice_officer,
        Party::Leader | Party::Prompt => t.voice_leader,
    }
}

fn view(
    party: &'static str,
    quality: &Quality,
    grade: Option<Grade>,
    live: bool,
    t: &'static Messages,
    now: DateTime<Utc>,
) -> VoiceView {
    VoiceView { party, mark: mark(grade, t), figures: figures(quality, live, t, now), live }
}

fn mark(grade: Option<Grade>, t: &'static Messages) -> Mark {
    match grade {
        Some(Grade::Good) => Mark::new("●", "ok", t.voice_good),
        Some(Grade::Fair) => Mark::new("◐", "warn", t.voice_fair),
        Some(Grade::Poor) => Mark::new("▲", "bad", t.voice_poor),
        None => Mark::new("○", "idle", t.voice_unjudged),
    }
}

fn figures(quality: &Quality, live: bool, t: &Messages, now: DateTime<Utc>) -> String {
    let tally = &quality.tally;
    let share = |count: u64| 100.0 * count as f64 / tally.expected.max(1) as f64;
    let ms = |us: u32| (us + 500) / 1000;
    let mut parts = vec![
        format!("{} {:.1}%", t.voice_lost, share(tally.lost)),
        format!("{} {:.1}%", t.voice_late, share(tally.late)),
        format!("{} {} ms", t.voice_jitter, ms(tally.jitter_us)),
    ];
    if tally.reordered > 0 {
        parts.push(format!("{} {}", t.voice_reordered, tally.reordered));
    }
    if let Some(mos) = &quality.mos {
        let shown = if live { mos.latest } else { mos.mean };
        parts.push(format!("MOS {shown}"));
        if mos.worst < shown {
            let at = times::short(mos.worst_at, now);
            parts.push(fill_two(t.voice_worst, &mos.worst.to_string(), &at));
        }
    }
    if let Some(far) = &quality.far {
        let rtt = far.rtt_us.map(|rtt| format!("{} {} ms", t.voice_rtt, ms(rtt)));
        parts.extend(rtt);
        parts.push(format!("{} {}", t.voice_far, far.lost));
    }
    parts.join(" · ")
}
