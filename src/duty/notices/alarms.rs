//! What a channel is told while calls are not recorded or not written down, or soon may not be: once at the beginning, again while it lasts,
//! and when it is over. What comes and goes is not told each time.

use super::Text;
use crate::protocol::now::{Deadline, Mono, earlier};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// What was told of an alarm holds for so long, whatever becomes of it meanwhile.
const PACE: Duration = Duration::from_secs(300);

/// The alarms that are told, by their keys on the page, the worst first; and how they are named.
const NAMED: [(&str, &str); 6] = [
    ("recorder", "没有在录音"),
    ("part", "服务有一部分出错停了"),
    ("recordings", "录音文件夹无法访问"),
    ("tape", "数据盘写不进去，录音暂存另一块盘"),
    ("data_disk", "数据盘快满"),
    ("disk", "录音盘快满"),
];

pub type Standing = BTreeSet<&'static str>;

/// Which of these keys are told.
pub fn told<'a>(keys: impl Iterator<Item = &'a &'static str>) -> Standing {
    let keys: Vec<&str> = keys.copied().collect();
    NAMED.iter().map(|(key, _)| *key).filter(|key| keys.contains(key)).collect()
}

/// Of one channel. **Ask what is due; say when it was said.**
#[derive(Debug, Default)]
pub struct Alarms {
    /// When each was told last, and whether as one that stands.
    said: BTreeMap<&'static str, (Mono, bool)>,
}

impl Alarms {
    /// Whether something is to be said now, or when that may be. `repeat`: how often, while one stands.
    pub fn is_due(
        &self,
        standing: &Standing,
        repeat: Option<Duration>,
        now: Mono,
    ) -> Result<(), Option<Deadline>> {
        let mut next = None;
        for (key, _) in NAMED {
            let at = match (standing.contains(key), self.said.get(key)) {
                (true, None) => Some(now),
                (true, Some((at, true))) => repeat.map(|repeat| *at + repeat.max(PACE)),
                (true, Some((at, false))) | (false, Some((at, true))) => Some(*at + PACE),
                (false, Some((_, false)) | None) => None,
            };
            if at.is_some_and(|at| at <= now) {
                return Ok(());
            }
            next = earlier(next, at.map(|at| (at, "an alarm is to be told")));
        }
        Err(next)
    }

    /// All that stands was said to, and all else not to stand any more.
    pub fn was_said(&mut self, standing: &Standing, now: Mono) {
        self.said.retain(|key, (at, stood)| {
            *at = if *stood || standing.contains(key) { now } else { *at };
            *stood = false;
            now.since(*at) < PACE
        });
        self.said.extend(standing.iter().map(|key| (*key, (now, true))));
    }
}

/// Nothing of the host's own: where its disk is, is on the page.
pub fn alarm_text(standing: &Standing) -> Text {
    let stands = NAMED.iter().filter(|(key, _)| standing.contains(key));
    let names: Vec<&str> = stands.map(|(_, name)| *name).collect();
    match names.first() {
        None => Text {
            title: "值班电话录音已恢复".to_owned(),
            body: "【恢复】值班电话录音已恢复正常，请值班员核对期间手工登记的内容。".to_owned(),
        },
        Some(first) => Text {
            title: format!("值班电话告警：{first}"),
            body: format!(
                "【告警】值班电话{}。通话不受影响，请技术人员马上处理，详情见值班页面。",
                names.join("；")
            ),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Mono {
        Mono(1_000_000_000 * (1000 + seconds))
    }

    fn set(keys: &[&'static str]) -> Standing {
        told(keys.iter())
    }

    const REPEAT: Option<Duration> = Some(Duration::from_secs(600));

    #[test]
    fn rel_14_an_alarm_is_told_at_once_again_while_it_lasts_and_when_it_is_over() {
        let mut alarms = Alarms::default();
        let (none, some) = (set(&[]), set(&["recorder", "line"]));
        assert_eq!(alarms.is_due(&none, REPEAT, at(0)), Err(None));
        assert_eq!(alarms.is_due(&some, REPEAT, at(0)), Ok(()));
        alarms.was_said(&some, at(1));
        let next = |seconds| Err(Some((at(seconds), "an alarm is to be told")));
        assert_eq!(alarms.is_due(&some, REPEAT, at(2)), next(601));
        assert_eq!(alarms.is_due(&some, None, at(2)), Err(None), "once");
        assert_eq!(alarms.is_due(&some, REPEAT, at(601)), Ok(()));
        alarms.was_said(&some, at(601));
        assert_eq!(alarms.is_due(&none, REPEAT, at(700)), next(901), "it may come back");
        assert_eq!(alarms.is_due(&none, REPEAT, at(901)), Ok(()));
        alarms.was_said(&none, at(901));
        assert_eq!(alarms.is_due(&none, REPEAT, at(902)), Err(None));
    }

    #[test]
    fn what_comes_and_goes_is_one_message_in_five_minutes_and_what_is_new_is_told_at_once() {
        let mut alarms = Alarms::default();
        let (mut said, mut kinds) = (0, vec![]);
        for second in 0..1000 {
            let standing = match second {
                500.. => set(&["recorder", "disk"]),
                _ if second % 7 < 3 => set(&["recorder"]),
                _ => set(&[]),
            };
            if alarms.is_due(&standing, REPEAT, at(second)).is_ok() {
                alarms.was_said(&standing, at(second));
                said += 1;
                kinds.push(second);
            }
        }
        assert!(kinds.contains(&0) && kinds.contains(&500), "{kinds:?}");
        assert!(said <= 4, "{kinds:?}");
    }

    #[test]
    fn a_short_message_of_an_alarm_is_one_part_and_says_what_to_do() {
        let said = alarm_text(&set(&["recorder"])).body;
        assert_eq!(
            said,
            "【告警】值班电话没有在录音。通话不受影响，请技术人员马上处理，详情见值班页面。"
        );
        assert!(said.encode_utf16().count() <= 70);
        let two = alarm_text(&set(&["disk", "recorder"]));
        assert!(two.body.contains("没有在录音；录音盘快满"), "the worst first: {two:?}");
        assert_eq!(two.title, "值班电话告警：没有在录音");
        assert!(alarm_text(&set(&[])).body.starts_with("【恢复】"));
    }
}
