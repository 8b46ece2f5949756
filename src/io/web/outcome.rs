//! Calls of ours as the page shows them: what became of one, in words that say what to do next.

use super::messages::Messages;
use super::page::Page;
use super::rows;
use super::times;
use super::view::{self, Mark};
use crate::duty::entry::Field;
use crate::duty::journal::{Disposition, Joining};
use crate::io::store::{CallRow, CallState, CallbackState, EntryRow, EntryView, LegRow};
use chrono::{DateTime, Utc};

/// What an entry has of calls of ours.
pub struct Out {
    /// Its own call is one: who asked for it, and why it came to nothing.
    pub asked_by: Option<String>,
    pub why: Option<String>,
    /// The entry that it is about.
    pub about: Option<(String, String)>,
    /// It goes on: it can be ended here.
    pub going: bool,
    /// The number that a click calls.
    pub number: Option<String>,
    pub hint: &'static str,
    /// Calls about this entry, newest first.
    pub placed: Vec<PlacedView>,
}

pub fn of(found: &EntryView, page: &Page, now: DateTime<Utc>) -> Out {
    let call = found.row.call.as_ref();
    let ours = call.filter(|call| call.placed);
    let going = ours.is_some_and(|call| call.state != CallState::Ended);
    let typed = found.form.get(Field::CallerPhone).trim();
    let number = match (typed, call) {
        ("", Some(call)) => call.caller.as_str(),
        (typed, _) => typed,
    };
    let to_call_back = found.row.callback == Some(CallbackState::Open);
    Out {
        asked_by: ours.map(|call| call.asked_by.clone()),
        why: ours.and_then(|call| outcome(call, &found.legs, page)),
        about: ours.and_then(|call| {
            let id = call.about?.to_string();
            Some((id, call.about_number.clone()))
        }),
        going,
        number: (!going && !number.is_empty()).then(|| number.to_owned()),
        hint: if to_call_back { page.t.call_back_hint } else { page.t.call_hint },
        placed: found.placed.iter().filter_map(|row| placed(row, page, now)).collect(),
    }
}

/// A call of ours about an entry.
pub struct PlacedView {
    pub id: String,
    pub time: String,
    pub full_time: String,
    pub number: String,
    pub mark: Mark,
    /// Why nobody was spoken to; empty where somebody was.
    pub why: String,
}

fn placed(row: &EntryRow, page: &Page, now: DateTime<Utc>) -> Option<PlacedView> {
    let call = row.call.as_ref()?;
    Some(PlacedView {
        id: row.id.to_string(),
        time: times::short(call.arrived, now),
        full_time: format!("{} {}", row.number, times::full(call.arrived)),
        number: rows::number(call, page.t),
        mark: rows::call_mark(call, page.t),
        why: match call.status {
            _ if cut_off(call) => page.pick(CUT_OFF).to_owned(),
            Some(status) if failed(call) => reason(status, page),
            Some(_) | None => String::new(),
        },
    })
}

/// Why a call of ours came to nothing: whose phone did not take it, the code, what it means.
fn outcome(call: &CallRow, legs: &[LegRow], page: &Page) -> Option<String> {
    if call.placed && cut_off(call) {
        return Some(page.pick(CUT_OFF).to_owned());
    }
    if !call.placed || !failed(call) {
        return None;
    }
    let reached_out = legs.iter().any(|leg| leg.how == Joining::Out);
    let whose = if reached_out { "" } else { page.t.own_phone_not_taken };
    Some(format!("{whose}{}", reason(call.status?, page)))
}

/// The daemon was restarted before the two spoke.
fn cut_off(call: &CallRow) -> bool {
    call.disposition == Some(Disposition::Interrupted) && call.answered.is_none()
}

const CUT_OFF: (&str, &str) = (
    "拨号途中服务重启，未接通，请重拨",
    "the service was restarted before anybody answered: dial again",
);

fn failed(call: &CallRow) -> bool {
    let how = call.disposition.filter(|_| call.state == CallState::Ended);
    how.is_some_and(|how| match how {
        Disposition::Missed
        | Disposition::BusyMissed
        | Disposition::Declined
        | Disposition::Failed => true,
        Disposition::Answered
        | Disposition::Abandoned
        | Disposition::Interrupted
        | Disposition::Elsewhere
        | Disposition::Message
        | Disposition::SelfTest => false,
    })
}

fn reason(status: u16, page: &Page) -> String {
    match meaning(status) {
        Some(meaning) => format!("{} ({status})", page.pick(meaning)),
        None => format!("SIP {status}"),
    }
}

/// What a final status says about the way to a number, and what can be done.
fn meaning(status: u16) -> Option<(&'static str, &'static str)> {
    Some(match status {
        401 | 407 => (
            "交换机不认线路的密码，请通知管理员",
            "the PBX refuses the line's password: tell the administrator",
        ),
        403 => (
            "交换机不许拨这个号码，请通知管理员",
            "the PBX does not allow this number: tell the administrator",
        ),
        404 | 604 => ("空号，请核对号码", "there is no such number: check it"),
        408 => ("没有回应", "no answer"),
        410 => ("号码已停用", "the number is no longer in use"),
        480 => (
            "暂时无法接通（关机、不在服务区或话机未登录）",
            "cannot be reached at the moment (off, out of range or not registered)",
        ),
        484 => ("号码不完整，请核对", "the number is incomplete: check it"),
        486 | 600 => ("对方忙，请稍后再拨", "busy: try again later"),
        487 => ("已取消", "given up"),
        488 | 606 => (
            "双方话机没有共同的语音编码，请通知管理员",
            "the phones have no codec in common: tell the administrator",
        ),
        500..=502 | 504..=599 => (
            "交换机或运营商故障，请稍后再拨",
            "the PBX or the operator has a fault: try again later",
        ),
        503 => (
            "线路不可用，请稍后再拨或改用其他电话",
            "no line is available: try again, or use another telephone",
        ),
        603 | 607 | 608 => ("对方拒接", "declined"),
        _ => return None,
    })
}

/// What a box of the form is for: of a call of ours it is not the caller's.
pub fn label(field: Field, placed: bool) -> (&'static str, &'static str) {
    match field {
        Field::CallerUnit if placed => ("对方单位", "Their unit"),
        Field::CallerName if placed => ("对方姓名", "Their name"),
        Field::Content if placed => ("通话内容", "What was said"),
        field => field.label(),
    }
}

/// How a call of ours ended, as a mark.
pub fn disposition(how: Disposition, t: &'static Messages) -> Mark {
    match how {
        Disposition::Missed => Mark::new("▲", "warn", t.out_no_answer),
        Disposition::BusyMissed => Mark::new("▲", "warn", t.out_busy),
        Disposition::Declined => Mark::new("▲", "warn", t.out_declined),
        Disposition::Abandoned => Mark::new("○", "cancelled", t.out_given_up),
        Disposition::Answered
        | Disposition::Failed
        | Disposition::Interrupted
        | Disposition::Elsewhere
        | Disposition::Message
        | Disposition::SelfTest => view::disposition(how, t),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sig_24_every_code_that_a_pbx_sends_has_its_meaning_in_both_languages() {
        for status in
            [401, 403, 404, 408, 480, 484, 486, 487, 488, 500, 502, 503, 504, 600, 603, 604]
        {
            let (zh, en) = meaning(status).unwrap();
            assert!(!zh.is_ascii() && en.is_ascii(), "{status}");
        }
        assert_eq!(meaning(302), None);
    }
}
