//! What is wrong with a configuration file: every fault with its line, its caret and its remedy,
//! in Chinese and in English.

use std::fmt;
use std::ops::Range;

/// What is wrong with one value and how to mend it, in both languages.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Say {
    pub zh: String,
    pub en: String,
}

pub fn say(zh: impl Into<String>, en: impl Into<String>) -> Say {
    Say { zh: zh.into(), en: en.into() }
}

/// One fault: where in the text (bytes), in which field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    pub place: Option<Range<usize>>,
    /// Such as `line.pbx` or `phones[1].target`.
    pub field: String,
    pub say: Say,
}

/// Every fault of one file, in the order of its lines; shown with the lines themselves.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Faults {
    pub file: String,
    pub text: String,
    pub list: Vec<Fault>,
}

impl Faults {
    pub fn new(file: &str, text: &str, mut list: Vec<Fault>) -> Self {
        list.sort_by_key(|fault| fault.place.as_ref().map_or(usize::MAX, |place| place.start));
        Self { file: file.into(), text: text.into(), list }
    }

    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    fn show(&self, fault: &Fault, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(place) = &fault.place else {
            writeln!(out, "{}: {}", self.file, fault.field)?;
            return remedy(&fault.say, "", out);
        };
        let start = self.text.floor_char_boundary(place.start.min(self.text.len()));
        let end = self.text.ceil_char_boundary(place.end.clamp(start, self.text.len()));
        let line_start = self.text[..start].rfind('\n').map_or(0, |at| at + 1);
        let line_end = self.text[start..].find('\n').map_or(self.text.len(), |at| start + at);
        let written = self.text[line_start..line_end].trim_end();
        let line = masked(written);
        let number = self.text[..line_start].matches('\n').count() + 1;
        let before = &self.text[line_start..start];
        let marked = if line == written { &self.text[start..end.min(line_end)] } else { MASK };
        let margin = " ".repeat(number.to_string().len());
        let column = before.chars().count() + 1;
        writeln!(out, "{}:{number}:{column}: {}", self.file, fault.field)?;
        writeln!(out, "{margin} |")?;
        writeln!(out, "{number} | {line}")?;
        let carets = "^".repeat(width(marked.trim_end()).max(1));
        writeln!(out, "{margin} | {}{carets}", " ".repeat(width(before)))?;
        remedy(&fault.say, &margin, out)
    }
}

impl fmt::Display for Faults {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        for fault in &self.list {
            self.show(fault, out)?;
            writeln!(out)?;
        }
        Ok(())
    }
}

impl std::error::Error for Faults {}

const MASK: &str = "******";

/// The line, unless it gives a password: that is never shown.
fn masked(line: &str) -> String {
    match line.split_once('=') {
        Some((key, _)) if key.trim() == "password" => format!("{key}= {MASK}"),
        _ => line.into(),
    }
}

fn remedy(say: &Say, margin: &str, out: &mut fmt::Formatter<'_>) -> fmt::Result {
    writeln!(out, "{margin} = {}", say.zh)?;
    writeln!(out, "{margin} = {}", say.en)
}

/// Columns on a terminal, where a Chinese character takes two.
fn width(text: &str) -> usize {
    text.chars().map(|c| if c >= '\u{1100}' { 2 } else { 1 }).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_caret_stands_below_the_value() {
        let text = "[line]\nroom = \"值班\" \nport = 99999\n";
        let at = text.find("99999").unwrap();
        let fault = Fault {
            place: Some(at..at + 5),
            field: "line.port".into(),
            say: say("太大", "too big"),
        };
        let shown = Faults::new("a.toml", text, vec![fault]).to_string();
        let expected = "\
a.toml:3:8: line.port
  |
3 | port = 99999
  |        ^^^^^
  = 太大
  = too big

";
        assert_eq!(shown, expected);
    }

    #[test]
    fn a_wide_character_moves_the_caret_by_two() {
        let text = "室 = 1";
        let fault = Fault { place: Some(6..7), field: "室".into(), say: say("a", "b") };
        let shown = Faults::new("a.toml", text, vec![fault]).to_string();
        assert!(shown.contains("a.toml:1:5:"), "{shown}");
        assert!(shown.contains("\n  |      ^\n"), "{shown}");
    }

    #[test]
    fn a_password_is_not_shown() {
        let text = "password = \"hush\"";
        let fault =
            Fault { place: Some(11..17), field: "line.password".into(), say: say("a", "b") };
        let shown = Faults::new("a.toml", text, vec![fault]).to_string();
        assert!(shown.contains("1 | password = ******\n  |            ^^^^^^\n"), "{shown}");
        assert!(!shown.contains("hush"), "{shown}");
    }

    #[test]
    fn faults_come_in_the_order_of_the_file() {
        let fault = |place, field: &str| Fault { place, field: field.into(), say: say("", "") };
        let list = vec![fault(None, "c"), fault(Some(5..6), "b"), fault(Some(0..1), "a")];
        let sorted = Faults::new("a.toml", "0123456789", list);
        let fields: Vec<_> = sorted.list.iter().map(|fault| fault.field.as_str()).collect();
        assert_eq!(fields, ["a", "b", "c"]);
    }
}
