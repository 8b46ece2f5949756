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
}

/// A message for people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Text {
    pub title: String,
    pub body: String,
}

/// Of one matter or of several; `line` is the duty room's own number, to be called back.
pub fn text(what: What, items: &[Item], line: &str) -> Text {
    let numbers: Vec<&str> = items.iter().map(|item| item.number.as_str()).collect();
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

/// 记-20261003-0007 等 3 件
pub fn short_numbers(items: &[Item]) -> String {
    let first = items.first().map_or("", |item| item.number.as_str());
    match items.len() {
        0 | 1 => first.to_owned(),
        several => format!("{first} 等 {several} 件"),
    }
}

fn said(what: What, items: &[Item], count: &str, numbers: &str, line: &str) -> Text {
    if what == What::Withdrawn {
        return Text {
            title: "紧急事项已撤回".to_owned(),
            body: format!("【撤回】{numbers} 的紧急事项已撤回，无需处置。"),
        };
    }
    let most = items.iter().map(|item| item.urgency).max().unwrap_or(Urgency::Urgent);
    let urgency = match most {
        Urgency::Critical => "特急",
        Urgency::Urgent | Urgency::Routine => "急",
    };
    let again = if what == What::Repeat { "，尚无人确认" } else { "" };
    Text {
        title: format!("值班室紧急事项（{urgency}）"),
        body: format!(
            "【{urgency}】值班室有{count}紧急事项：{numbers}{again}。请接听值班室来电按 1 确认，或回拨 {line}。"
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn item(n: usize, urgency: Urgency) -> Item {
        Item { number: format!("记-20261003-{n:04}"), urgency }
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
