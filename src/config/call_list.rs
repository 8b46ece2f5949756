//! `[call_list]`: how the PBX writes its list of calls; as Asterisk unless told otherwise.

use super::faults::{Say, say};
use super::reader::{Section, text};
use crate::duty::call_list::{Column, Columns};
use toml::de::DeValue;

pub fn columns(mut s: Section<'_>) -> Columns {
    let usual = Columns::default();
    let columns = Columns {
        start: s.or("start", usual.start.clone(), column),
        caller: s.or("caller", usual.caller.clone(), column),
        called: s.or("called", usual.called.clone(), column),
        outcome: s.or("outcome", usual.outcome.clone(), column),
        end: s.optional("end", column),
        id: s.optional("id", column),
        answered: s.or("answered", usual.answered.clone(), text),
        separator: s.or("separator", usual.separator, separator),
    };
    s.close();
    let own = |it: &Columns| [&it.start, &it.caller, &it.called, &it.outcome].map(Clone::clone);
    // Of another PBX's list nothing else is known.
    match own(&columns) == own(&usual) {
        true => Columns { end: columns.end.or(usual.end), id: columns.id.or(usual.id), ..columns },
        false => columns,
    }
}

fn column(value: &DeValue<'_>) -> Result<Column, Say> {
    if let Some(number) = value.as_integer() {
        let number = usize::from_str_radix(number.as_str(), number.radix()).ok();
        return number
            .filter(|number| (1..=1000).contains(number))
            .map(Column::Number)
            .ok_or_else(|| say("列号从 1 数起", "columns are counted from 1"));
    }
    text(value).map(Column::Named)
}

fn separator(value: &DeValue<'_>) -> Result<char, Say> {
    let text = super::reader::any_text(value)?;
    let mut chars = text.chars();
    match (chars.next(), chars.next()) {
        (Some(one), None) if !one.is_alphanumeric() && one != '"' => Ok(one),
        _ => Err(say(
            "分隔符是一个字符，如 \",\"、\";\" 或 \"\\t\"",
            "the separator is one character, such as \",\", \";\" or \"\\t\"",
        )),
    }
}
