//! The channels, and how often each is tried (escalation.md, "Quota table" and "Retry plan").

use super::pace::{Quota, Window};
use crate::duty::journal::Urgency;
use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};
use std::time::Duration;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// Standard Webhooks 1.0
    Webhook,
    /// 企业微信群机器人
    WecomBot,
    /// 企业微信应用消息
    WecomApp,
    /// 钉钉群机器人
    DingtalkBot,
    /// 飞书群机器人
    FeishuBot,
    Ntfy,
    Gotify,
    /// SMTP
    Mail,
    /// An SMS gateway that is spoken to by HTTP
    Sms,
    /// A GSM modem
    Modem,
    /// A text on a telephone's display, by the duty line (RFC 3428)
    SipMessage,
}

/// What every channel has, however it is spoken to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Channel {
    /// Shown on the page; its name in the log.
    pub name: String,
    pub kind: Kind,
    /// Told of everything urgent, or of 特急 alone.
    pub least: Urgency,
    /// Said again so long after, while nobody has acknowledged; `None`: once only.
    pub repeat: Option<Duration>,
    /// Whoever leads is written to, among others or alone.
    pub to_leader: bool,
}

const fn per(limit: usize, seconds: u64) -> Window {
    Window { limit, within: Duration::from_secs(seconds) }
}

const HOUR: u64 = 3600;

impl Kind {
    /// Seconds after the first try.
    pub fn retries(self) -> &'static [u64] {
        match self {
            Self::Webhook => &[2, 6, 14, 30, 60, 120],
            Self::WecomBot | Self::WecomApp | Self::DingtalkBot | Self::FeishuBot => {
                &[2, 6, 14, 30]
            }
            Self::Ntfy | Self::Gotify => &[2, 6, 14],
            Self::Mail => &[20, 60],
            Self::Sms => &[5, 30],
            Self::Modem | Self::SipMessage => &[10, 60],
        }
    }

    /// How long a try may take; `nth` counts from 0.
    pub fn limit(self, nth: usize) -> Duration {
        Duration::from_secs(match self {
            Self::Webhook if nth > 0 => 15,
            Self::Webhook
            | Self::WecomBot
            | Self::WecomApp
            | Self::DingtalkBot
            | Self::FeishuBot
            | Self::Ntfy
            | Self::Gotify => 5,
            Self::Mail => 30,
            Self::Sms => 10,
            Self::Modem => 60,
            // Timer F, and what the order takes.
            Self::SipMessage => 36,
        })
    }

    pub fn quota(self) -> Quota {
        let (pace, budget): (&[Window], &[Window]) = match self {
            // The site's own: one message for each matter, none held back.
            Self::Webhook | Self::Gotify => (&[], &[]),
            Self::WecomBot | Self::DingtalkBot | Self::SipMessage => {
                (const { &[per(20, 60)] }, &[])
            }
            Self::WecomApp => (const { &[per(30, 60)] }, const { &[per(1000, HOUR)] }),
            Self::FeishuBot => (const { &[per(5, 1), per(100, 60)] }, &[]),
            Self::Ntfy => (const { &[per(60, 300)] }, &[]),
            Self::Mail => (const { &[per(30, 60)] }, const { &[per(300, HOUR)] }),
            Self::Sms => (const { &[per(1, 30)] }, const { &[per(50, 24 * HOUR)] }),
            // What carriers take from one card before they call it spam.
            Self::Modem => (const { &[per(1, 30)] }, const { &[per(200, 24 * HOUR)] }),
        };
        Quota { pace, budget }
    }

    /// A message to people that does not come through when the recipient mutes it, or the internet
    /// is cut, is no way to reach anybody.
    pub fn counts_as_coverage(self) -> bool {
        match self {
            Self::Sms | Self::Modem => true,
            Self::Webhook
            | Self::WecomBot
            | Self::WecomApp
            | Self::DingtalkBot
            | Self::FeishuBot
            | Self::Ntfy
            | Self::Gotify
            | Self::Mail
            // A display tells nobody who does not look at it.
            | Self::SipMessage => false,
        }
    }
}

/// Everybody's timers fire at the full and the half hour, and providers throttle there (Feishu
/// 11232): what can wait is said outside of ten seconds around them. China's offset is whole hours.
pub fn off_the_half_hour(at: DateTime<Utc>) -> DateTime<Utc> {
    const HALF_HOUR: i64 = 1_800_000;
    const AROUND: i64 = 10_000;
    let into = at.timestamp_millis().rem_euclid(HALF_HOUR);
    let after = AROUND + 1_000;
    let wait = if into <= AROUND {
        after - into
    } else if into >= HALF_HOUR - AROUND {
        HALF_HOUR + after - into
    } else {
        0
    };
    at + TimeDelta::milliseconds(wait)
}

#[cfg(test)]
mod tests {
    use super::*;
    use chrono::TimeZone;

    #[test]
    fn esc_59_no_second_of_the_day_falls_near_the_half_hour() {
        let midnight = Utc.with_ymd_and_hms(2026, 10, 3, 0, 0, 0).unwrap();
        for second in 0..86_400 {
            let at = midnight + TimeDelta::seconds(second);
            let moved = off_the_half_hour(at);
            let into = moved.timestamp().rem_euclid(1800);
            assert!(into > 10 && into < 1790, "{at} became {moved}");
            let wait = moved - at;
            assert!(wait >= TimeDelta::zero() && wait <= TimeDelta::seconds(21), "{at}: {wait}");
            let near = {
                let was = second.rem_euclid(1800);
                was <= 10 || was >= 1790
            };
            assert_eq!(wait == TimeDelta::zero(), !near, "{at}");
        }
    }
}
