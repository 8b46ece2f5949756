//! The quiet channels of an escalation as the entry's page shows them: 渠道, 状态, 时刻.

use super::messages::Messages;
use super::times;
use super::view::Mark;
use crate::duty::notices::{Kind, Progress, What};
use crate::io::store::{NoticeRow, NoticeTry};
use chrono::{DateTime, Utc};

pub struct NoticeView {
    pub channel: String,
    pub kind: &'static str,
    pub what: &'static str,
    /// For whom alone.
    pub person: String,
    pub mark: Mark,
    /// When it was settled; before, when it was owed.
    pub time: String,
    pub full_time: String,
    /// Oldest first.
    pub tries: Vec<TryView>,
}

pub struct TryView {
    pub time: String,
    pub full_time: String,
    pub text: String,
}

pub fn view(row: &NoticeRow, t: &'static Messages, now: DateTime<Utc>) -> NoticeView {
    let at = row.settled.unwrap_or(row.made);
    NoticeView {
        channel: row.channel.clone(),
        kind: kind(row.kind, t),
        what: match row.what {
            What::Alert => t.notice_alert,
            What::Repeat => t.notice_repeat,
            What::Withdrawn => t.notice_withdrawn,
            What::HandedOver => t.notice_handed_over,
        },
        person: row.person.clone(),
        mark: mark(row, t),
        time: times::short(at, now),
        full_time: times::full(at),
        tries: row.tries.iter().map(|one| attempt(one, t, now)).collect(),
    }
}

fn mark(row: &NoticeRow, t: &'static Messages) -> Mark {
    let going = row.tries.last().is_some_and(|last| last.ended.is_none());
    match row.progress {
        Progress::Waiting if going => Mark::new("◆", "calling", t.notice_sending),
        Progress::Waiting if row.tries.is_empty() => Mark::new("◇", "calling", t.notice_waiting),
        Progress::Waiting => Mark::new("▲", "warn", t.notice_again),
        Progress::Accepted if row.tries.iter().any(|one| one.delivered) => {
            Mark::new("●", "acknowledged", t.notice_delivered)
        }
        Progress::Accepted => Mark::new("●", "acknowledged", t.notice_accepted),
        Progress::Failed => Mark::new("■", "bad", t.notice_failed),
        Progress::Dropped => Mark::new("○", "cancelled", t.notice_dropped),
    }
}

fn attempt(one: &NoticeTry, t: &'static Messages, now: DateTime<Utc>) -> TryView {
    let word = match one.ending.as_deref() {
        None => t.notice_sending,
        Some("accepted") if one.delivered => t.notice_delivered,
        Some("accepted") => t.notice_accepted,
        Some("permanent" | "gone") => t.notice_refused,
        Some("unknown" | "lost") => t.notice_no_answer,
        Some(_) => t.notice_again,
    };
    let text = match one.why.as_str() {
        "" => word.to_owned(),
        why => format!("{word} · {why}"),
    };
    TryView { time: times::short(one.started, now), full_time: times::full(one.started), text }
}

pub fn kind(kind: Kind, t: &'static Messages) -> &'static str {
    match kind {
        Kind::Webhook => t.channel_webhook,
        Kind::WecomBot => t.channel_wecom_bot,
        Kind::WecomApp => t.channel_wecom_app,
        Kind::DingtalkBot => t.channel_dingtalk_bot,
        Kind::FeishuBot => t.channel_feishu_bot,
        Kind::Ntfy => "ntfy",
        Kind::Gotify => "Gotify",
        Kind::Mail => t.channel_mail,
        Kind::Sms => t.channel_sms,
        Kind::Modem => t.channel_modem,
        Kind::SipMessage => t.channel_sip_message,
    }
}
