//! What a text that somebody sends back means (escalation.md, §8 and esc_39): which matters it acknowledges, or what he
//! is told instead. Only a text that is nothing but the answer counts.

use crate::duty::ids::{EntryId, EscalationId};
use crate::duty::switchboard::AckOutcome;
use chrono::{DateTime, TimeDelta, Utc};

/// Who was told of a matter may answer for it so long after he was last told; then only while nobody has.
pub const ANSWERED_WITHIN: TimeDelta = TimeDelta::hours(24);
/// A network counts whole seconds.
const SECOND: TimeDelta = TimeDelta::seconds(1);
/// A network's clock and the host's may differ by so much.
const CLOCKS: TimeDelta = TimeDelta::minutes(1);
/// What may stand beside a code.
const WORDS: [&str; 6] = ["知悉", "收到", "确认", "回复", "已", "好的"];
/// In bytes: what is longer is no answer.
const LONGEST: usize = 400;
/// UTF-16 units of a text that is one short message.
const ONE_PART: usize = 70;
/// Digits of a code.
const CODE: std::ops::RangeInclusive<usize> = 4..=6;

/// An escalation of which somebody was told at the number that answers; an entry may have had several.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Told {
    pub entry: EntryId,
    pub escalation: EscalationId,
    /// 记-…
    pub number: String,
    /// The entry's.
    pub code: String,
    /// Nobody has acknowledged it.
    pub open: bool,
    /// The entry's first: who knows the code was told of it.
    pub first: bool,
    /// When a text of it was first made for him.
    pub at: DateTime<Utc>,
    /// When one was first taken to be delivered, as far as is known.
    pub accepted: Option<DateTime<Utc>>,
    /// Within [`ANSWERED_WITHIN`].
    pub lately: bool,
}

impl Told {
    /// A code that was sent before he was told answers the escalation before this one.
    fn is_meant(&self, sent: Option<DateTime<Utc>>) -> bool {
        self.first || sent.is_some_and(|sent| self.at <= sent + SECOND)
    }

    /// He can have had it before him when he wrote.
    fn was_there(&self, sent: Option<DateTime<Utc>>) -> bool {
        let before = |accepted| sent.is_none_or(|sent| accepted <= sent + CLOCKS);
        self.lately && self.accepted.is_some_and(before)
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Meaning {
    Acknowledges(Vec<EscalationId>),
    /// It may be any of these, or something else.
    Which(Vec<Told>),
    /// When he wrote it is not known, and one entry was raised more than once: it may be of the time before.
    Undated,
    /// He was told of something, and says something else.
    Unclear,
    /// He was told of nothing, or no longer.
    Strange,
}

/// `sent`: when the network took it, where it says so. `told`: in the order in which they were raised.
pub fn meaning(text: &str, sent: Option<DateTime<Utc>>, told: &[Told]) -> Meaning {
    let words = words(text);
    let known = |word: &String| {
        let newest = told.iter().rfind(|one| one.code == *word && one.is_meant(sent));
        newest.map(|one| one.escalation)
    };
    let raised_anew =
        |word: &String| told.iter().any(|one| one.code == *word && !one.first && one.open);
    if sent.is_none() && words.iter().any(raised_anew) {
        return Meaning::Undated;
    }
    let meant: Vec<EscalationId> = words.iter().filter_map(known).collect();
    if !meant.is_empty() {
        return Meaning::Acknowledges(meant);
    }
    let open: Vec<Told> = told.iter().filter(|one| one.open).cloned().collect();
    if words == ["1"] {
        match told {
            [one] if sent.is_none() && !one.first && one.open => return Meaning::Undated,
            // What is over counts too: he may have only that before him.
            [one] if one.was_there(sent) => return Meaning::Acknowledges(vec![one.escalation]),
            _ if !open.is_empty() => return Meaning::Which(open),
            _ => {}
        }
    }
    if open.is_empty() { Meaning::Strange } else { Meaning::Unclear }
}

/// The numbers that a text consists of; none where it says anything else.
fn words(text: &str) -> Vec<String> {
    if text.len() > LONGEST {
        return vec![];
    }
    let mut plain: String = text.chars().map(narrow).collect();
    for word in WORDS {
        plain = plain.replace(word, " ");
    }
    let mark = |c: char| !c.is_alphanumeric();
    let words: Vec<&str> = plain.split(mark).filter(|word| !word.is_empty()).take(9).collect();
    let digits = |word: &&str| word.bytes().all(|byte| byte.is_ascii_digit());
    let fits = |word: &&str| digits(word) && (*word == "1" || CODE.contains(&word.len()));
    match words.iter().all(fits) && words.len() < 9 {
        true => words.into_iter().map(str::to_owned).collect(),
        false => vec![],
    }
}

/// A digit of full width is a digit.
fn narrow(c: char) -> char {
    match c {
        '０'..='９' => {
            char::from_u32(u32::from(c) - u32::from('０') + u32::from('0')).unwrap_or(c)
        }
        c => c,
    }
}

/// The number as it is written at home: a mobile of China without its country.
pub fn at_home(number: &str) -> String {
    let digits = number.strip_prefix('+').unwrap_or(number);
    match digits.strip_prefix("86") {
        Some(home) if home.len() == 11 && home.starts_with('1') => home.to_owned(),
        _ => number.to_owned(),
    }
}

/// Whether an answer may be sent to it: a person's telephone, no service's short number and no name.
pub fn may_be_answered(number: &str) -> bool {
    let home = at_home(number);
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    match home.strip_prefix('+') {
        Some(abroad) => (8..=15).contains(&abroad.len()) && digits(abroad),
        None => home.len() == 11 && home.starts_with('1') && digits(&home),
    }
}

/// What he who acknowledged is told: of each matter, in a word.
pub fn acknowledged(outcomes: &[(String, AckOutcome)]) -> String {
    let of = |wanted: AckOutcome| {
        let numbers: Vec<&str> = outcomes
            .iter()
            .filter(|(_, outcome)| *outcome == wanted)
            .map(|(number, _)| number.as_str())
            .collect();
        (!numbers.is_empty()).then(|| numbers.join("、"))
    };
    let first = of(AckOutcome::First).map(|numbers| format!("{numbers} 已记为您知悉。"));
    let late =
        of(AckOutcome::Late).map(|numbers| format!("{numbers} 此前已有人知悉，您的回复已记录。"));
    let withdrawn =
        of(AckOutcome::Withdrawn).map(|numbers| format!("{numbers} 已撤回，无需处置。"));
    [first, late, withdrawn].into_iter().flatten().collect()
}

/// What he is asked who may mean several.
pub fn which(told: &[Told]) -> String {
    let mut each = String::new();
    let said = |each: &str| format!("有 {} 件待知悉，请回复对应数字：{each}。", told.len());
    for one in told.iter().take(4) {
        let comma = if each.is_empty() { "" } else { "，" };
        let longer = format!("{each}{comma}{} 回复 {}", short(&one.number), one.code);
        if said(&longer).encode_utf16().count() <= ONE_PART {
            each = longer;
        }
    }
    said(&each)
}

/// What he is told whose answer may be one to an earlier call for help in the same matter.
pub fn undated(line: &str) -> String {
    format!("未记为知悉：短信不带发送时间，分不清是否为本次呈报。请接电话按 1，或拨值班室 {line}。")
}

/// What he is told whose text is no answer while something is open; `line` is the duty room's own number.
pub fn unclear(told: &[Told], line: &str) -> String {
    let open: Vec<Told> = told.iter().filter(|one| one.open).cloned().collect();
    match open.as_slice() {
        [one] => format!("未记为知悉。请只回复 {}，或拨值班室 {line}。", one.code),
        several => which(several),
    }
}

pub fn strange(line: &str) -> String {
    format!("没有与您对应的待知悉事项，本短信未作处理。请拨值班室 {line}。")
}

/// 记-20261003-0007 as 0007.
fn short(number: &str) -> &str {
    number.rsplit('-').next().unwrap_or(number)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::now::{Mono, Now};
    use crate::protocol::random::Random;

    fn at(second: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(1_791_000_000 + second, 0).unwrap()
    }

    fn told(codes: &[(&str, bool)]) -> Vec<Told> {
        let mut random = Random::from_seed([7; 32]);
        let now = Now { mono: Mono(1), wall: at(0) };
        let one = |(nth, (code, open)): (usize, &(&str, bool))| Told {
            entry: EntryId::new(now, &mut random),
            escalation: EscalationId::new(now, &mut random),
            number: format!("记-20261003-{nth:04}"),
            code: (*code).to_owned(),
            open: *open,
            first: true,
            at: at(0),
            accepted: Some(at(0)),
            lately: true,
        };
        codes.iter().enumerate().map(one).collect()
    }

    #[test]
    fn esc_39_a_one_alone_counts_where_it_can_mean_only_one_matter() {
        let single = told(&[("4821", true)]);
        let is_it = Meaning::Acknowledges(vec![single[0].escalation]);
        for text in ["1", " 1 ", "１", "1。", "回复1", "“1”", "1 收到", "已知悉 1", "1\r\n"]
        {
            assert_eq!(meaning(text, Some(at(9)), &single), is_it, "{text}");
        }
        assert_eq!(meaning("1", None, &single), is_it);
        let several = told(&[("4821", true), ("7733", true)]);
        assert_eq!(meaning("1", Some(at(9)), &several), Meaning::Which(several.clone()));
        let over = told(&[("4821", false)]);
        let late = Meaning::Acknowledges(vec![over[0].escalation]);
        assert_eq!(meaning("1", None, &over), late);
        let both = told(&[("4821", false), ("7733", false)]);
        assert_eq!(meaning("1", None, &both), Meaning::Strange);
        assert_eq!(meaning("1", None, &[]), Meaning::Strange);
    }

    #[test]
    fn esc_39_a_one_to_a_matter_that_is_over_acknowledges_no_other() {
        let mut two = told(&[("4821", false), ("7733", true)]);
        let asked = |two: &[Told]| Meaning::Which(vec![two[1].clone()]);
        for sent in [None, Some(at(9)), Some(at(9000))] {
            assert_eq!(meaning("1", sent, &two), asked(&two));
        }
        // Of the same entry: it was raised anew.
        two[1].code = "4821".to_owned();
        assert_eq!(meaning("1", Some(at(9)), &two), asked(&two));
    }

    #[test]
    fn esc_39_a_one_counts_only_if_the_text_was_there_when_it_was_written() {
        let mut one = told(&[("4821", true)]);
        let asked = |one: &[Told]| Meaning::Which(one.to_vec());
        assert_eq!(meaning("1", Some(at(-61)), &one), asked(&one));
        assert!(matches!(meaning("1", Some(at(-60)), &one), Meaning::Acknowledges(_)), "clocks");
        assert!(matches!(meaning("4821", Some(at(-600)), &one), Meaning::Acknowledges(_)));
        one[0].accepted = None;
        for sent in [None, Some(at(9))] {
            assert_eq!(meaning("1", sent, &one), asked(&one), "the modem has failed");
        }
        (one[0].accepted, one[0].lately) = (Some(at(0)), false);
        assert_eq!(meaning("1", None, &one), asked(&one), "days ago");
    }

    #[test]
    fn esc_39_a_code_that_was_sent_for_the_escalation_before_is_not_for_the_next() {
        let mut two = told(&[("4821", false), ("4821", true)]);
        (two[1].first, two[1].at) = (false, at(900));
        let is = |nth: usize| Meaning::Acknowledges(vec![two[nth].escalation]);
        assert_eq!(meaning("4821", Some(at(898)), &two), is(0));
        assert_eq!(meaning("4821", Some(at(899)), &two), is(1), "a whole second");
        assert_eq!(meaning("4821", None, &two), Meaning::Undated, "of either of the two");
        assert_eq!(meaning("4821", None, &two[1..]), Meaning::Undated, "the first was long ago");
        assert_eq!(meaning("4821", Some(at(898)), &two[1..]), Meaning::Unclear);
    }

    #[test]
    fn esc_39_a_code_says_which_and_whatever_else_is_said_is_no_answer() {
        let several = told(&[("4821", true), ("7733", true), ("9012", false)]);
        let entries = |wanted: &[usize]| {
            Meaning::Acknowledges(wanted.iter().map(|nth| several[*nth].escalation).collect())
        };
        assert_eq!(meaning("4821", None, &several), entries(&[0]));
        assert_eq!(meaning("收到 7733", None, &several), entries(&[1]));
        assert_eq!(meaning("4821、7733", None, &several), entries(&[0, 1]));
        assert_eq!(meaning("9012", None, &several), entries(&[2]), "late");
        assert_eq!(meaning("4821 5555", None, &several), entries(&[0]));
        for text in [
            "5555",
            "100aa",
            "4821aa",
            "不知道4821是什么",
            "1楼有人",
            "11",
            "48210000",
            "",
            "好的",
            "4821 1楼",
            "4 8 2 1",
            "2",
        ] {
            assert_eq!(meaning(text, None, &several), Meaning::Unclear, "{text}");
        }
        let long = "4821 ".repeat(500);
        assert_eq!(meaning(&long, None, &several), Meaning::Unclear);
    }

    #[test]
    fn a_number_is_the_same_with_its_country_and_without() {
        for number in ["13900000001", "+8613900000001", "8613900000001"] {
            assert_eq!(at_home(number), "13900000001");
            assert!(may_be_answered(number));
        }
        assert_eq!(at_home("+4915112345678"), "+4915112345678");
        assert!(may_be_answered("+4915112345678"));
        for service in ["10086", "106900001234", "China Mobile", "", "+", "+86"] {
            assert!(!may_be_answered(service), "{service}");
        }
    }

    #[test]
    fn esc_60_what_is_answered_is_one_part() {
        let numbers = |outcome| vec![("记-20261003-0007".to_owned(), outcome)];
        for outcome in [AckOutcome::First, AckOutcome::Late, AckOutcome::Withdrawn] {
            let said = acknowledged(&numbers(outcome));
            assert!(
                said.starts_with("记-20261003-0007 ") && said.encode_utf16().count() <= 70,
                "{said}"
            );
        }
        let asked = which(&told(&[("4821", true), ("7733", true), ("9012", true)]));
        assert_eq!(
            asked,
            "有 3 件待知悉，请回复对应数字：0000 回复 4821，0001 回复 7733，0002 回复 9012。"
        );
        assert!(asked.encode_utf16().count() <= 70);
        let long = ["482100", "773300", "901200", "555500"].map(|code| (code, true));
        let asked = which(&told(&long));
        assert!(asked.contains("482100") && !asked.contains("四位"), "{asked}");
        assert!(asked.encode_utf16().count() <= 70, "{asked}");
        let line = "075563001234";
        let open = told(&[("9012", false), ("4821", true)]);
        assert_eq!(unclear(&open, line), "未记为知悉。请只回复 4821，或拨值班室 075563001234。");
        let several = told(&[("4821", true), ("7733", true)]);
        for said in [unclear(&open, line), unclear(&several, line), strange(line), undated(line)] {
            assert!(said.encode_utf16().count() <= 70, "{said}");
        }
    }
}
