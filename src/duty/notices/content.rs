//! What a quiet channel may say: that there is something, its number, how urgent. Nobody's name, no
//! caller's number, no word of what it is (escalation.md, rule 11; esc_87).

use super::What;
use crate::duty::journal::Urgency;
use serde::Serialize;

/// A matter that is spoken of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Item {
    /// The entry's number, 记-…
    pub number: String,
    pub urgency: Urgency,
    /// 演练: nothing has happened.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub drill: bool,
}

impl Item {
    /// The number, which says of a drill that it is one.
    fn named(&self) -> String {
        if self.drill { format!("{}（演练）", self.number) } else { self.number.clone() }
    }
}

/// A message for people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Text {
    pub title: String,
    pub body: String,
}

/// Of one matter or of several; `line` is the duty room's own number, to be called back.
pub fn text(what: What, items: &[Item], line: &str) -> Text {
    let numbers: Vec<String> = items.iter().map(Item::named).collect();
    let count = match items.len() {
        0 | 1 => String::new(),
        several => format!(" {several} 件"),
    };
    said(what, items, &count, &numbers.join("、"), line)
}

/// The same where every word is paid for: however many matters, one number.
pub fn short_text(what: What, items: &[Item], line: &str) -> Text {
    said(what, items, "", &short_numbers(items), line)
}

/// The same where its reader may answer with a code; in one part where that is possible (70 UTF-16 units).
pub fn asking_text(what: What, items: &[Item], codes: &[String], line: &str) -> Text {
    let numbers = short_numbers(items);
    let said = said(what, items, "", &numbers, line);
    let Some((before, _)) = said.body.split_once("。请接听").filter(|_| !codes.is_empty())
    else {
        return said;
    };
    let codes = codes.join("、");
    let body = format!("{before}。回复 {codes} 知悉，或接听来电按 1，或拨 {line}。");
    Text { body, ..said }
}

/// 记-20261003-0007 等 3 件
pub fn short_numbers(items: &[Item]) -> String {
    let first = items.first().map(Item::named).unwrap_or_default();
    match items.len() {
        0 | 1 => first,
        several => format!("{first} 等 {several} 件"),
    }
}

fn said(what: What, items: &[Item], count: &str, numbers: &str, line: &str) -> Text {
    let drill = !items.is_empty() && items.iter().all(|item| item.drill);
    let mark = if drill { "【演练】" } else { "" };
    if what == What::Withdrawn {
        return Text {
            title: format!("{mark}紧急事项已撤回"),
            body: format!("{mark}【撤回】{numbers} 的紧急事项已撤回，无需处置。"),
        };
    }
    if what == What::HandedOver {
        return Text {
            title: format!("{mark}紧急事项已交接"),
            body: format!(
                "{mark}【已交接】{numbers} 的紧急事项已转报接班的带班领导，不再呼叫您。如需说明情况请拨 {line}。"
            ),
        };
    }
    let most = items.iter().map(|item| item.urgency).max().unwrap_or(Urgency::Urgent);
    let urgency = match most {
        Urgency::Critical => "特急",
        Urgency::Urgent | Urgency::Routine => "急",
    };
    let again = if what == What::Repeat { "，尚无人确认" } else { "" };
    Text {
        title: format!("{mark}值班室紧急事项（{urgency}）"),
        body: format!(
            "{mark}【{urgency}】值班室有{count}紧急事项：{numbers}{again}。请接听值班室来电按 1 确认，或回拨 {line}。"
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn item(n: usize, urgency: Urgency) -> Item {
        Item { number: format!("记-20261003-{n:04}"), urgency, drill: false }
    }

    #[test]
    fn esc_83_a_notice_of_a_drill_says_so_and_so_does_one_of_several() {
        let drill = Item { drill: true, ..item(7, Urgency::Critical) };
        let said = text(What::Alert, std::slice::from_ref(&drill), "63001234");
        assert!(said.title.starts_with("【演练】"), "{said:?}");
        assert!(said.body.starts_with("【演练】【特急】"), "{said:?}");
        let both = [drill, item(8, Urgency::Urgent)];
        let said = text(What::Alert, &both, "63001234");
        assert!(said.title.starts_with("值班室"), "one of them is none: {said:?}");
        assert!(said.body.contains("记-20261003-0007（演练）、记-20261003-0008。"), "{said:?}");
        assert!(short_text(What::Alert, &both, "63001234").body.contains("（演练）"));
    }

    #[test]
    fn esc_87_an_open_channel_says_that_there_is_something_and_its_number() {
        let said = text(What::Alert, &[item(7, Urgency::Critical)], "63001234");
        let wanted = "【特急】值班室有紧急事项：记-20261003-0007。请接听值班室来电按 1 确认，或回拨 63001234。";
        assert_eq!(said.body, wanted);
        let again = text(What::Repeat, &[item(7, Urgency::Urgent)], "63001234").body;
        assert!(again.contains("尚无人确认"), "{again}");
        let back = text(What::Withdrawn, &[item(7, Urgency::Urgent)], "63001234").body;
        assert_eq!(back, "【撤回】记-20261003-0007 的紧急事项已撤回，无需处置。");
        let over = text(What::HandedOver, &[item(7, Urgency::Urgent)], "63001234").body;
        assert!(over.starts_with("【已交接】记-20261003-0007 的紧急事项已转报"), "{over}");
        assert!(over.encode_utf16().count() <= 70, "one part");
    }

    #[test]
    fn esc_39_a_short_message_that_may_be_answered_says_how_in_one_part() {
        let codes = ["4821".to_owned()];
        let ask = |what, codes: &[String]| {
            asking_text(what, &[item(7, Urgency::Urgent)], codes, "63001234").body
        };
        let said = ask(What::Repeat, &codes);
        let wanted = "【急】值班室有紧急事项：记-20261003-0007，尚无人确认。回复 4821 知悉，或接听来电按 1，或拨 63001234。";
        assert_eq!(said, wanted);
        assert!(said.encode_utf16().count() <= 70);
        assert!(ask(What::Alert, &[]).contains("请接听值班室来电按 1 确认"), "as without it");
        assert!(ask(What::Withdrawn, &codes).starts_with("【撤回】"));
        let two = [codes[0].clone(), "7733".to_owned()];
        assert!(ask(What::Alert, &two).contains("回复 4821、7733 知悉"));
    }

    #[test]
    fn esc_30_a_bundle_lists_every_matter_under_the_highest_urgency() {
        let items =
            [item(1, Urgency::Urgent), item(2, Urgency::Critical), item(3, Urgency::Urgent)];
        let said = text(What::Alert, &items, "63001234").body;
        assert!(said.starts_with("【特急】值班室有 3 件紧急事项："), "{said}");
        assert!(items.iter().all(|item| said.contains(&item.number)), "{said}");
        let short = short_text(What::Alert, &items, "63001234").body;
        let wanted = "【特急】值班室有紧急事项：记-20261003-0001 等 3 件。请接听";
        assert!(short.starts_with(wanted), "{short}");
    }
}
