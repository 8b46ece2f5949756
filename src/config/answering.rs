//! `[[phones]]`, `[answering]` and `[[numbers]]`: who is rung when, and what becomes of a caller whom nobody takes.

use super::Media;
use super::faults::{Say, say};
use super::prompts::can_be_said;
use super::reader::{Given, Reader, Section, list, number, text};
use super::values::{dialled, one_of, srtp};
use crate::duty::line_plan::{Answering, Begins, MessagePlan, Phone, QueuePlan, SilencePlan};
use std::path::PathBuf;
use std::time::Duration;
use toml::de::DeValue;

pub struct Read {
    pub phones: Vec<Phone>,
    pub answering: Answering,
    /// Of the phones, those that ring for the line's own number, by place; none: all.
    pub rings: Option<Vec<usize>>,
    pub greeting: Option<PathBuf>,
    /// What a number of its own may say otherwise.
    pub terms: Terms,
}

/// What `[answering]` and each of `[[numbers]]` say alike.
#[derive(Debug, Clone, Copy)]
pub struct Terms {
    pub begins: Begins,
    queues: bool,
    queue: QueuePlan,
    message: MessagePlan,
}

impl Terms {
    const DEFAULT: Self = Self {
        begins: Begins::InTurn,
        queues: false,
        queue: QueuePlan { places: 5, longest: Duration::from_secs(300) },
        message: MessagePlan { after: Duration::from_secs(30), longest: Duration::from_secs(120) },
    };

    /// As `self` unless given.
    pub fn read(self, s: &mut Section<'_>) -> Self {
        let together = [("in_order", Begins::InTurn), ("together", Begins::After(Duration::ZERO))];
        let busy = [("refuse", false), ("queue", true)];
        let begins = s.or("ring_plan", self.begins, |value| one_of(value, &together));
        let queues = s.or("when_busy", self.queues, |value| one_of(value, &busy));
        let places = s.or("queue_places", self.queue.places as u64, number(1..=100));
        let mut seconds = |key, default: Duration, limits| {
            Duration::from_secs(s.or(key, default.as_secs(), number(limits)))
        };
        let longest = seconds("queue_seconds", self.queue.longest, 10..=3600);
        let after = seconds("message_after_seconds", self.message.after, 0..=600);
        let message = seconds("message_seconds", self.message.longest, 5..=1800);
        Self {
            begins,
            queues,
            queue: QueuePlan { places: size(places), longest },
            message: MessagePlan { after, longest: message },
        }
    }

    pub fn plan(self, silence: SilencePlan, long_call: Duration) -> Answering {
        Answering {
            queue: self.queues.then_some(self.queue),
            message: (!self.message.after.is_zero()).then_some(self.message),
            silence,
            long_call,
        }
    }
}

/// `alone`: there may be no phone.
pub fn read(reader: &Reader, root: &mut Section<'_>, alone: bool) -> Read {
    let mut s = root.section("answering");
    let terms = Terms::DEFAULT.read(&mut s);
    let named = named(&mut s);
    let greeting = s.optional("greeting", greeting);
    let both = s.or("silence_seconds", 60, number(0..=3600));
    let one = s.or("one_sided_silence_seconds", 180, number(0..=3600));
    let long = s.or("long_call_hours", 8, number(1..=72));
    s.close();
    let never = |seconds: u64| (seconds > 0).then(|| Duration::from_secs(seconds));
    let silence = SilencePlan { both: never(both), one: never(one) };
    let answering = terms.plan(silence, Duration::from_secs(long * 3600));
    let after = answering.message.map(|message| message.after);
    let phones = phones(reader, root, (terms.begins, alone), after);
    let rings = named.map(|named| places(reader, named, &phones));
    Read { phones, answering, rings, greeting, terms }
}

/// The names of phones that a number rings, and where they stand.
pub fn named<'a>(s: &mut Section<'a>) -> Option<(Given<'a>, Vec<String>)> {
    let names = s.optional("phones", list(text))?;
    Some((s.get("phones")?, names))
}

/// The places of the phones with these names.
pub fn places(
    reader: &Reader,
    (given, names): (Given<'_>, Vec<String>),
    phones: &[Phone],
) -> Vec<usize> {
    let known = || phones.iter().map(|phone| phone.name.as_str()).collect::<Vec<_>>();
    let mut places = vec![];
    for name in &names {
        match phones.iter().position(|phone| phone.name == *name) {
            Some(place) if !places.contains(&place) => places.push(place),
            Some(_) => {
                let fault = say(format!("“{name}”写了两次"), format!("{name} is written twice"));
                reader.fault(Some(given.place.clone()), &given.field, fault);
            }
            None => {
                let fault = say(
                    format!("没有叫“{name}”的话机；[[phones]] 里有：{}", known().join("、")),
                    format!(
                        "no phone is called {name}; those of [[phones]] are {}",
                        known().join(", ")
                    ),
                );
                reader.fault(Some(given.place.clone()), &given.field, fault);
            }
        }
    }
    if names.is_empty() {
        let fault = say(
            "至少写一部话机；要全部振铃，删去这一项",
            "name one phone at least; remove this line for all of them",
        );
        reader.fault(Some(given.place), given.field, fault);
    }
    places
}

/// Warns where phones that ring at once would find no channel.
pub fn fits(reader: &Reader, read: &Read, media: &Media) {
    let at_once = read.phones.iter().filter(|phone| phone.begins != Begins::InTurn).count();
    // Fewer channels than are reserved are a fault of their own.
    let free = usize::from(media.channels.saturating_sub(media.reserved));
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
