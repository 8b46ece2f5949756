//! Who called, as the page shows it: the way the call took, and how far its number can be believed.

use super::messages::{Messages, fill, fill_two};
use super::rows;
use super::view::{self, Mark};
use crate::io::store::{CallRow, ClaimRow, DivertedRow};
use crate::protocol::sip::text::visible;

pub struct Way {
    pub vouched: Mark,
    pub private: bool,
    /// 拨入 X; empty for the line's own number.
    pub called: String,
    /// 来自 X，经 Y 转移
    pub diverted: Option<String>,
    /// Empty: there is no number.
    pub taken_from: String,
}

/// A header value as it came, controls shown as signs.
pub struct ClaimView {
    pub header: &'static str,
    pub raw: String,
    pub chosen: bool,
}

pub fn way(call: &CallRow, t: &'static Messages) -> Way {
    let by = |one: &DivertedRow| {
        let (who, why) = (diverter(one, t), view::diverted_why(one.why, t));
        if why.is_empty() { who } else { format!("{who}（{why}）") }
    };
    let chain: Vec<String> = call.diverted.iter().map(by).collect();
    let diverted = fill_two(t.diverted, &rows::number(call, t), &chain.join(t.list_comma));
    let taken_from = fill(t.number_taken_from, call.chosen_from.name());
    Way {
        vouched: view::vouched(call, t),
        private: call.private,
        called: called(call, t),
        diverted: (!chain.is_empty()).then_some(diverted),
        taken_from: if call.caller.is_empty() { String::new() } else { taken_from },
    }
}

/// The duty number that was called, where that is not the line's own.
pub fn called(call: &CallRow, t: &Messages) -> String {
    if call.called.is_empty() { String::new() } else { fill(t.called, &call.called) }
}

pub fn claim(row: &ClaimRow) -> ClaimView {
    ClaimView { header: row.header.name(), raw: visible(&row.raw), chosen: row.chosen }
}

/// Who had the call before it came to us; empty where nobody had.
pub fn chain(call: &CallRow, t: &Messages) -> String {
    call.diverted.iter().map(|one| diverter(one, t)).collect::<Vec<_>>().join(t.list_comma)
}

fn diverter(one: &DivertedRow, t: &Messages) -> String {
    match (one.number.as_str(), one.display.as_str()) {
        ("", "") => t.diverted_nobody.to_owned(),
        ("", name) => name.to_owned(),
        (number, "") => number.to_owned(),
        (number, name) if name == number => number.to_owned(),
        (number, name) => format!("{number} {name}"),
    }
}
