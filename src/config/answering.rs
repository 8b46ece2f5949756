//! `[[phones]]` and `[answering]`: who is rung when, and what becomes of a caller whom nobody takes.

use super::Media;
use super::faults::{Say, say};
use super::prompts::can_be_said;
use super::reader::{Reader, Section, number, text};
use super::values::{dialled, one_of, srtp};
use crate::duty::line_plan::{Answering, Begins, MessagePlan, Phone, QueuePlan, SilencePlan};
use std::path::PathBuf;
use std::time::Duration;
use toml::de::DeValue;

pub struct Read {
    pub phones: Vec<Phone>,
    pub answering: Answering,
    pub greeting: Option<PathBuf>,
}

/// `alone`: there may be no phone.
pub fn read(reader: &Reader, root: &mut Section<'_>, alone: bool) -> Read {
    let mut s = root.section("answering");
    let together = [("in_order", Begins::InTurn), ("together", Begins::After(Duration::ZERO))];
    let begins = s.or("ring_plan", Begins::InTurn, |value| one_of(value, &together));
    let queues =
        s.or("when_busy", false, |value| one_of(value, &[("refuse", false), ("queue", true)]));
    let places = s.or("queue_places", 5, number(1..=100));
    let longest = s.or("queue_seconds", 300, number(10..=3600));
    let queue = QueuePlan { places: size(places), longest: Duration::from_secs(longest) };
    let after = s.or("message_after_seconds", 30, number(0..=600));
    let message = s.or("message_seconds", 120, number(5..=1800));
    let message =
        MessagePlan { after: Duration::from_secs(after), longest: Duration::from_secs(message) };
    let greeting = s.optional("greeting", greeting);
    let both = s.or("silence_seconds", 60, number(0..=3600));
    let one = s.or("one_sided_silence_seconds", 180, number(0..=3600));
    let long = s.or("long_call_hours", 8, number(1..=72));
    s.close();
    let never = |seconds: u64| (seconds > 0).then(|| Duration::from_secs(seconds));
    let answering = Answering {
        queue: queues.then_some(queue),
        message: (after > 0).then_some(message),
        silence: SilencePlan { both: never(both), one: never(one) },
        long_call: Duration::from_secs(long * 3600),
    };
    let phones =
        phones(reader, root, (begins, alone), answering.message.map(|message| message.after));
    Read { phones, answering, greeting }
}

/// Warns where phones that ring at once would find no channel.
pub fn fits(reader: &Reader, read: &Read, media: &Media) {
    let at_once = read.phones.iter().filter(|phone| phone.begins != Begins::InTurn).count();
    let free = usize::from(media.channels - media.reserved);
    if at_once + 1 > free {
        let warning = say(
            format!(
                "{at_once} 部话机同时振铃加上来电方，要 {} 个通道，只有 {free} 个；增加 channels",
                at_once + 1
            ),
            format!(
                "{at_once} phones that ring at once and the caller need {} channels, there are {free}; raise channels",
                at_once + 1
            ),
        );
        reader.warn(None, "media.channels", warning);
    }
}

fn phones(
    reader: &Reader,
    root: &mut Section<'_>,
    (begins, alone): (Begins, bool),
    message_after: Option<Duration>,
) -> Vec<Phone> {
    let sections = root.each("phones");
    if !alone
        && sections.is_empty()
        && root.get("phones").is_none_or(|given| given.value.is_array())
    {
        let fault = say(
            "至少要有一部值班员话机。加一节：[[phones]]，写 name 和 target",
            "at least one officer's phone is needed: add a section [[phones]] with name and target",
        );
        reader.fault(root.get("phones").map(|given| given.place), "phones", fault);
    }
    // When the next phone of those in turn begins at the latest.
    let mut turn = Duration::ZERO;
    let phone = |mut s: Section<'_>| {
        let place = s.place();
        let name = s.required("name", "\"值班台话机\"", text);
        let target = s.required("target", "\"2001\"", dialled);
        let ring = Duration::from_secs(s.or("ring_seconds", 20, number(5..=180)));
        let after = s.optional("after_seconds", number(0..=180));
        let begins = after.map_or(begins, |after| Begins::After(Duration::from_secs(after)));
        let from = match begins {
            Begins::InTurn => turn,
            Begins::After(wait) => wait,
        };
        turn = turn.max(from + ring);
        if message_after.is_some_and(|after| after <= from) {
            let warning = say(
                format!(
                    "轮到这部话机时（第 {} 秒）已转留言；加大 answering.message_after_seconds 或缩短前面的振铃",
                    from.as_secs()
                ),
                format!(
                    "the caller is asked for a message before this phone's turn (second {}); raise answering.message_after_seconds or shorten the rings before",
                    from.as_secs()
                ),
            );
            reader.warn(Some(place), s.field("ring_seconds"), warning);
        }
        let srtp = s.optional("srtp", srtp);
        s.close();
        Some(Phone { name: name?, target: target?, ring, begins, srtp })
    };
    sections.into_iter().filter_map(phone).collect()
}

fn greeting(value: &DeValue<'_>) -> Result<PathBuf, Say> {
    let path = PathBuf::from(text(value)?);
    can_be_said(&path)?;
    Ok(path)
}

fn size(value: u64) -> usize {
    usize::try_from(value).unwrap_or(usize::MAX)
}
