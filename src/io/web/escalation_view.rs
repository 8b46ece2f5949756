//! An escalation as its entry's page shows it: how far it has come, who is being called now, each attempt, what a
//! leader has said.

use super::messages::{Messages, fill, fill_two};
use super::notices::{self, NoticeView};
use super::page::Page;
use super::recorded::is_playable;
use super::rows;
use super::times;
use super::view::{self, Mark};
use crate::duty::entry::urgency_label;
use crate::duty::journal::AttemptResult;
use crate::duty::notices::What;
use crate::duty::switchboard::Errand;
use crate::io::store::{
    AckChannel, AckRow, AttemptRow, EscalationRow, EscalationState, EscalationView as Found,
    InstructionRow, NoticeRow, ReadHow,
};
use chrono::{DateTime, Utc};

pub struct EscalationView {
    pub mark: Mark,
    /// 演练, 点名, 号码核实
    pub exercise: Option<Mark>,
    pub reporting: Option<Reporting>,
    pub lines: Vec<Line>,
    /// 送达 · 振铃 · 接听 · 知悉 · 阅件 · 听录音 · 批示 · 回执: each has a proof. Delivered is what has made a telephone ring, or is a
    /// text that is on one, as the network says.
    pub evidence: Vec<Evidence>,
    /// Who is being called now.
    pub now: Vec<Going>,
    /// Oldest first.
    pub instructions: Vec<InstructionView>,
    /// Newest first: what happens now is at the top.
    pub attempts: Vec<AttemptView>,
    /// Of the quiet channels.
    pub notices: Vec<NoticeView>,
}

/// 上报计时: since the flag, until nothing more follows.
pub struct Reporting {
    /// In milliseconds since 1970.
    pub since: i64,
    pub text: String,
    /// In seconds; red from then on.
    pub limit: u64,
    pub allowed: String,
    pub late: bool,
}

impl Reporting {
    pub fn of(raised: DateTime<Utc>, page: &Page, now: DateTime<Utc>) -> Self {
        let (limit, passed) = (page.report.as_secs(), (now - raised).num_seconds());
        Self {
            since: raised.timestamp_millis(),
            text: times::clock(passed),
            limit,
            allowed: fill(page.t.report_within, limit / 60),
            late: passed.unsigned_abs() >= limit && passed > 0,
        }
    }
}

pub struct Line {
    pub class: &'static str,
    pub text: String,
}

/// One step of proof: when it was first so.
pub struct Evidence {
    pub label: &'static str,
    pub time: Option<String>,
    pub full_time: String,
    /// Who or how.
    pub detail: String,
}

/// 正在呼叫 张局 第 2 次 · 已振铃 12 秒
pub struct Going {
    pub text: String,
    pub state: &'static str,
    /// Since when, in milliseconds since 1970.
    pub since: i64,
}

pub struct InstructionView {
    pub who: String,
    pub time: String,
    pub full_time: String,
    pub lasts: String,
    pub mark: Mark,
    pub confirmed: String,
    /// The recording of his call, where it can be played, and the part of it that counts.
    pub play: Option<(String, String)>,
}

pub struct AttemptView {
    /// Under which its recording is kept.
    pub call: String,
    /// What the leader heard and pressed was recorded.
    pub playable: bool,
    pub time: String,
    pub full_time: String,
    pub person: String,
    pub role: String,
    pub target: String,
    pub mark: Mark,
    pub keys: String,
    /// What else is known of it.
    pub notes: Vec<String>,
    /// While it goes on: since when it is as it is.
    pub since: Option<i64>,
    pub seconds: i64,
}

/// The officer may say that he has told the duty leader by another way: of the matter, or what it is about. What that
/// does, in words.
pub fn may_be_told(found: &Found, t: &'static Messages) -> Option<&'static str> {
    let row = &found.row;
    if row.exercise.is_some() {
        return None;
    }
    let unread =
        row.state == EscalationState::Acknowledged && row.read.is_none() && row.closed.is_none();
    match (row.state, row.leader_reached) {
        (EscalationState::Withdrawn, _) => None,
        (EscalationState::Open | EscalationState::Acknowledged, None) => Some(t.leader_spoken_hint),
        (EscalationState::Open | EscalationState::Acknowledged, Some(_)) => {
            unread.then_some(t.leader_told_hint)
        }
    }
}

/// Somebody else has acknowledged, and the duty leader himself is still called.
fn leader_is_called(found: &Found, leader: &str) -> bool {
    let row = &found.row;
    let goes_on = row.state == EscalationState::Acknowledged
        && row.closed.is_none()
        && row.exercise.is_none();
    let knows = found.acknowledgements.iter().any(|ack| ack.person == leader);
    let of_him = |one: &&AttemptRow| one.person == leader && one.errand == Errand::Tell;
    let handed_on = row.handed_on_by.as_deref() == Some(leader)
        || found.attempts.iter().filter(of_him).any(|one| one.keys.contains('3'));
    goes_on && row.leader_reached.is_none() && !knows && !handed_on
}

pub fn is_unconfirmed(found: &Found) -> bool {
    found.instructions.iter().any(|one| one.confirmed.is_none())
}

/// `leader`: who leads now.
pub fn of(found: &Found, leader: &str, page: &Page, now: DateTime<Utc>) -> EscalationView {
    let t = page.t;
    let row = &found.row;
    let plain = row.siren.is_some() && row.state == EscalationState::Open;
    let attempts = found.attempts.iter().rev().map(|one| {
        let shown = attempt(one, plain, t, now);
        match row.exercise.map(|kind| view::exercise(kind, t).text) {
            Some(kind) => AttemptView { target: format!("{kind} · {}", shown.target), ..shown },
            None => shown,
        }
    });
    EscalationView {
        mark: rows::escalation_mark(row, t),
        exercise: row.exercise.map(|kind| view::exercise(kind, t)),
        reporting: goes_on(row).then(|| Reporting::of(row.raised, page, now)),
        lines: lines(found, leader, page, now),
        evidence: evidence(found, t, now),
        now: found.attempts.iter().filter_map(|one| going(one, &found.attempts, t)).collect(),
        instructions: found.instructions.iter().map(|one| instruction(one, t, now)).collect(),
        attempts: attempts.collect(),
        notices: found.notices.iter().map(|one| notices::view(one, t, now)).collect(),
    }
}

/// A real matter in which something may follow.
fn goes_on(row: &EscalationRow) -> bool {
    let over = row.state == EscalationState::Withdrawn || row.closed.is_some();
    !over && row.exercise.is_none()
}

fn lines(found: &Found, leader: &str, page: &Page, now: DateTime<Utc>) -> Vec<Line> {
    let t = page.t;
    let row = &found.row;
    let raised = format!("{} · {}", times::short(row.raised, now), row.raised_by);
    let mut lines = vec![Line {
        class: "muted",
        text: format!("{} · {} {raised}", page.pick(urgency_label(row.urgency)), t.raised_at),
    }];
    match &row.handed_on_by {
        Some(person) => {
            let text = format!("{person}：{}", t.escalation_handed_on);
            lines.push(Line { class: "warn", text });
        }
        None if row.again => {
            lines.push(Line { class: "warn", text: t.escalation_again.to_owned() });
        }
        None => {}
    }
    lines.extend(row.acknowledged.as_ref().map(|ack| acknowledged(ack, row.raised, t, now)));
    for late in found.acknowledgements.iter().filter(|ack| !ack.first) {
        lines.push(acknowledged(late, row.raised, t, now));
    }
    if leader_is_called(found, leader) {
        lines.push(Line { class: "warn", text: t.escalation_still_leader.to_owned() });
    }
    if let Some(at) = row.withdrawn {
        let by = row.withdrawn_by.as_deref().unwrap_or_default();
        let text =
            format!("{} {} · {by}：{}", t.escalation_withdrawn, times::short(at, now), row.reason);
        lines.push(Line { class: "muted", text });
    }
    if row.state == EscalationState::Open && row.siren.is_some() {
        lines.push(Line { class: "problem", text: t.escalation_exhausted.to_owned() });
    }
    lines
}

fn acknowledged(
    ack: &AckRow,
    raised: DateTime<Utc>,
    t: &'static Messages,
    now: DateTime<Utc>,
) -> Line {
    let who = &ack.person;
    let role = match (ack.role, ack.channel) {
        (Some(role), _) => view::role(role, t),
        (None, AckChannel::Page) => t.not_on_roster,
        (None, AckChannel::PhoneKey | AckChannel::Sms | AckChannel::ByHand) => t.who_answered,
    };
    let (at, took) = (times::short(ack.at, now), times::span(raised, ack.at));
    let how = match ack.channel {
        AckChannel::PhoneKey => String::new(),
        AckChannel::Page => format!(" · {}", t.on_the_page),
        AckChannel::Sms => format!(" · {}", t.channel_sms),
        AckChannel::ByHand => format!(" · {} {}", t.leader_spoken_to, ack.how),
    };
    let text = format!("{role} {who} {} {at}（{took}）{how}", t.escalation_acknowledged);
    Line { class: if ack.first { "ack" } else { "muted" }, text }
}

fn evidence(found: &Found, t: &'static Messages, now: DateTime<Utc>) -> Vec<Evidence> {
    let told = || found.attempts.iter().filter(|one| one.errand != Errand::Confirm);
    let heard: i64 = found.attempts.iter().map(|one| one.heard_ms).sum();
    let listened = told().find(|one| one.heard_ms > 0);
    let row = &found.row;
    let delivered = delivered(found);
    let way = delivered.as_ref().map_or("", |(_, way)| way);
    let step = |label, at: Option<DateTime<Utc>>, detail: String| Evidence {
        label,
        time: at.map(|at| times::short(at, now)),
        full_time: at.map_or_else(String::new, times::full),
        detail,
    };
    let who = |one: Option<&AttemptRow>| one.map_or_else(String::new, |one| one.person.clone());
    let rang = told().filter(|one| one.ringing.is_some()).min_by_key(|one| one.ringing);
    let taken = told().filter(|one| one.answered.is_some()).min_by_key(|one| one.answered);
    let ack = row.acknowledged.as_ref();
    let read = row.read.as_ref();
    let read_how = |how| match how {
        ReadHow::Page => t.read_on_page,
        ReadHow::Recording => t.read_recording,
        ReadHow::Talk => t.read_talk,
        ReadHow::Instruction => t.read_instruction,
        ReadHow::ByHand => t.leader_spoken_to,
        ReadHow::Before => t.read_before,
    };
    let said = found.instructions.first();
    let confirmed = found.instructions.iter().filter_map(|one| one.confirmed.as_ref()).next_back();
    vec![
        step(t.evidence_delivered, delivered.as_ref().map(|(at, _)| *at), way.to_owned()),
        step(t.evidence_rang, rang.and_then(|one| one.ringing), who(rang)),
        step(t.evidence_answered, taken.and_then(|one| one.answered), who(taken)),
        step(
            t.evidence_known,
            ack.map(|a| a.at),
            ack.map_or_else(String::new, |a| a.person.clone()),
        ),
        step(
            t.evidence_read,
            read.map(|read| read.at),
            read.map_or_else(String::new, |read| format!("{} {}", read.by, read_how(read.how))),
        ),
        step(
            t.evidence_heard,
            listened.and_then(|one| one.answered),
            listened.map_or_else(String::new, |_| format!("{} {}", heard / 1000, t.seconds_short)),
        ),
        step(
            t.evidence_instructed,
            said.map(|one| one.from),
            said.map_or_else(String::new, |one| one.person.clone()),
        ),
        step(
            t.evidence_confirmed,
            confirmed.map(|(at, _)| *at),
            confirmed.map_or_else(String::new, |(_, by)| by.clone()),
        ),
    ]
}

/// When it first reached something of somebody's, and by which way.
fn delivered(found: &Found) -> Option<(DateTime<Utc>, &str)> {
    let told = found.attempts.iter().filter(|one| one.errand != Errand::Confirm);
    let phones = told.filter_map(|one| {
        let rang = one.ringing.into_iter().chain(one.answered).min()?;
        Some((rang, one.person.as_str()))
    });
    let of_matter = |one: &&NoticeRow| matches!(one.what, What::Alert | What::Repeat);
    let texts = found.notices.iter().filter(of_matter).flat_map(|one| {
        let arrived = one.tries.iter().filter(|one| one.delivered).filter_map(|one| one.ended);
        arrived.map(|at| (at, one.channel.as_str()))
    });
    phones.chain(texts).min()
}

fn going(row: &AttemptRow, all: &[AttemptRow], t: &'static Messages) -> Option<Going> {
    if row.ended.is_some() {
        return None;
    }
    let same = |one: &&AttemptRow| one.person == row.person && one.errand == row.errand;
    let nth = all.iter().filter(same).filter(|one| one.seq <= row.seq).count();
    let what = match row.errand {
        Errand::Tell | Errand::Silent | Errand::Drill | Errand::RollCall | Errand::CheckNumber => {
            t.going_tell
        }
        Errand::Remind => t.going_remind,
        Errand::Confirm => t.going_confirm,
    };
    let text = fill_two(what, &row.person, &nth.to_string());
    let (state, since) = match (row.answered, row.ringing) {
        (Some(at), _) => (t.going_answered, at),
        (None, Some(at)) => (t.going_ringing, at),
        (None, None) => (t.going_dialling, row.started),
    };
    Some(Going { text, state, since: since.timestamp_millis() })
}

fn instruction(row: &InstructionRow, t: &'static Messages, now: DateTime<Utc>) -> InstructionView {
    let (from, to) = (row.offset_ms, row.offset_ms + row.lasts_ms);
    let play = row.recording.is_some_and(is_playable).then(|| {
        let part = format!("#t={}.{},{}", from / 1000, from % 1000 / 100, to / 1000 + 1);
        (row.call.to_string(), part)
    });
    InstructionView {
        who: format!("{} {}", view::role(row.role, t), row.person),
        time: times::short(row.from, now),
        full_time: times::full(row.from),
        lasts: times::clock((row.lasts_ms + 500) / 1000),
        mark: match row.confirmed {
            Some(_) => Mark::new("●", "acknowledged", t.instruction_confirmed),
            None => Mark::new("▲", "bad", t.instruction_waits),
        },
        confirmed: row
            .confirmed
            .as_ref()
            .map_or_else(String::new, |(at, by)| format!("{by} {}", times::short(*at, now))),
        play,
    }
}

/// `plain`: numbers are shown whole, for a person has to dial them.
fn attempt(row: &AttemptRow, plain: bool, t: &'static Messages, now: DateTime<Utc>) -> AttemptView {
    let going = match (row.answered, row.ringing) {
        (Some(at), _) => (Mark::new("◆", "calling", t.attempt_answered), at),
        (None, Some(at)) => (Mark::new("◆", "calling", t.attempt_ringing), at),
        (None, None) => (Mark::new("◇", "calling", t.calling), row.started),
    };
    let forwarded = row.status.is_some_and(|status| (300..400).contains(&status));
    let mark = match (row.result, row.ended) {
        (Some(AttemptResult::Unreachable), _) if forwarded => {
            Mark::new("■", "bad", t.result_forwarded)
        }
        (Some(result), _) => view::attempt_result(result, t),
        (None, _) if row.acknowledged => view::attempt_result(AttemptResult::Acknowledged, t),
        (None, _) => going.0,
    };
    let since = row.ended.is_none().then_some(going.1.timestamp_millis());
    let role = view::role(row.role, t);
    AttemptView {
        call: row.joined.unwrap_or(row.id).to_string(),
        playable: row.recording.is_some_and(is_playable),
        time: times::short(row.started, now),
        full_time: times::full(row.started),
        person: row.person.clone(),
        role: match &row.instead_of {
            Some(absent) => format!("{role} · {}", fill(t.instead_of, absent)),
            None => role.to_owned(),
        },
        target: if plain { row.target.clone() } else { view::masked(&row.target) },
        mark,
        keys: row.keys.clone(),
        notes: notes(row, t),
        since,
        seconds: (row.ended.unwrap_or(now) - row.started).num_seconds().max(0),
    }
}

fn notes(row: &AttemptRow, t: &'static Messages) -> Vec<String> {
    let mut notes = vec![];
    match row.errand {
        Errand::Tell | Errand::Silent | Errand::Drill | Errand::RollCall | Errand::CheckNumber => {}
        Errand::Remind => notes.push(t.errand_remind.to_owned()),
        Errand::Confirm => notes.push(t.errand_confirm.to_owned()),
    }
    if row.heard_ms > 0 {
        let seconds = (row.heard_ms / 1000).to_string();
        notes.push(format!("{} {seconds} {}", t.evidence_heard, t.seconds_short));
    }
    if row.joined.is_some() {
        notes.push(t.attempt_joined.to_owned());
    }
    if row.mute.is_some() {
        notes.push(t.attempt_mute.to_owned());
    }
    notes
}
