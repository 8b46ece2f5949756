//! A rehearsal as a drawing, one lane for each telephone, and the same as rows for reading. Names and
//! numbers are escaped by the templates.

use super::asked::{Asked, Telephone};
use crate::duty::entry::beijing;
use crate::duty::escalation::Line;
use crate::duty::journal::AttemptResult;
use crate::duty::rehearsal::{Event, Happens, Phone};
use crate::duty::roster::Role;
use crate::io::web::messages::policy::Messages;
use crate::io::web::messages::{self, fill, fill_two};
use crate::io::web::times;
use crate::io::web::view::{self, Mark};
use chrono::{DateTime, TimeDelta, Utc};
use std::time::Duration;

/// Where the lanes begin and how long they are.
const LEFT: usize = 230;
const PLOT: usize = 900;
const MARGIN: usize = 30;
const TOP: usize = 54;
const LANE: usize = 44;
const BAR: usize = 16;
/// A call of a second is to be seen.
const THIN: usize = 3;
/// What a shape takes beside its bar, and a word beside its shape.
const SHAPE: usize = 16;
const WORD: usize = 90;
/// Characters of a name beside its lane.
const NAME: usize = 9;
/// Calls that are drawn; more would not be told apart.
const MOST: usize = 300;
/// Minutes between two ticks, as many as leave room for their labels.
const APART: [u64; 4] = [1, 2, 5, 10];
const TICKS: u64 = 15;

/// In its own units.
#[derive(Debug)]
pub struct TimeLine {
    pub width: usize,
    pub height: usize,
    pub right: usize,
    pub bottom: usize,
    pub ticks: Vec<Tick>,
    pub lanes: Vec<Lane>,
    pub bars: Vec<Bar>,
    pub signs: Vec<Sign>,
    /// Where the siren begins.
    pub siren: Option<usize>,
    pub legend: Vec<Mark>,
    pub rows: Vec<Row>,
    /// Who knows of it when, in a sentence.
    pub said: String,
    pub left_out: String,
}

#[derive(Debug)]
pub struct Tick {
    pub x: usize,
    pub minute: String,
    pub time: String,
}

#[derive(Debug)]
pub struct Lane {
    pub y: usize,
    pub name: String,
    pub detail: String,
    pub title: String,
}

#[derive(Debug)]
pub struct Bar {
    pub x: usize,
    pub y: usize,
    pub width: usize,
    pub class: &'static str,
    pub title: String,
}

/// A shape at its moment, with or without a word.
#[derive(Debug)]
pub struct Sign {
    pub x: usize,
    pub y: usize,
    pub shape: &'static str,
    pub class: &'static str,
    pub text: String,
    pub title: String,
}

#[derive(Debug)]
pub struct Row {
    pub time: String,
    pub since: String,
    pub who: String,
    pub telephone: String,
    pub what: String,
    pub class: &'static str,
}

/// What is drawn, and in which words.
pub struct Drawn<'a> {
    pub asked: &'a Asked,
    pub events: &'a [Event],
    pub start: DateTime<Utc>,
    pub t: &'static Messages,
    pub words: &'static messages::Messages,
}

struct Call {
    role: Role,
    person: String,
    number: String,
    phone: Phone,
    from: Duration,
    /// `None`: goes on when the drawing ends.
    ended: Option<(Duration, AttemptResult)>,
}

impl Call {
    fn until(&self, end: Duration) -> Duration {
        self.ended.map_or(end, |(at, _)| at)
    }

    /// Not where it ended before somebody could answer.
    fn answered(&self, end: Duration) -> Option<Duration> {
        let at = self.from + self.phone.answers_after()?;
        (at < self.until(end)).then_some(at)
    }
}

impl Drawn<'_> {
    pub fn time_line(&self) -> TimeLine {
        let (mut calls, at_desk) = (self.calls(), self.at_the_desk());
        let left_out = calls.len().saturating_sub(MOST);
        calls.truncate(MOST);
        let bottom = TOP + LANE * (self.asked.telephones.len() + 1);
        let mut signs = self.desk_signs(&at_desk);
        signs.extend(calls.iter().enumerate().filter_map(|(nth, call)| {
            let mut later = calls[nth + 1..].iter().filter(|later| later.number == call.number);
            self.sign(call, later.next())
        }));
        let siren = at_desk.iter().find(|(_, what)| matches!(what, Happens::Siren));
        TimeLine {
            width: LEFT + PLOT + MARGIN,
            height: bottom + 6,
            right: LEFT + PLOT,
            bottom,
            ticks: self.ticks(),
            lanes: self.lanes(),
            bars: calls.iter().flat_map(|call| self.bars(call)).collect(),
            siren: siren.map(|(at, _)| self.x(*at)),
            legend: self.legend(&calls),
            rows: self.rows(&calls, &at_desk),
            said: self.said(&calls, siren.map(|(at, _)| *at)),
            left_out: if left_out == 0 { String::new() } else { fill(self.t.left_out, left_out) },
            signs,
        }
    }

    fn end(&self) -> Duration {
        Duration::from_secs(60 * self.asked.minutes)
    }

    fn x(&self, at: Duration) -> usize {
        let end = self.end();
        LEFT + (PLOT as f64 * at.min(end).as_secs_f64() / end.as_secs_f64()).round() as usize
    }

    /// The time of the day.
    fn time(&self, at: Duration) -> String {
        let at = self.start + TimeDelta::from_std(at).unwrap_or_default();
        at.with_timezone(&beijing()).format("%H:%M:%S").to_string()
    }

    fn calls(&self) -> Vec<Call> {
        let mut calls: Vec<Call> = vec![];
        for Event { at, what } in self.events {
            match what {
                Happens::Calls { role, person, number, .. } => {
                    let known = self.asked.telephones.iter().find(|one| one.number == *number);
                    calls.push(Call {
                        role: *role,
                        person: person.clone(),
                        number: number.clone(),
                        phone: known.map_or(Phone::default(), |one| one.phone),
                        from: *at,
                        ended: None,
                    });
                }
                Happens::Ended { person, number, result } => {
                    let his = |call: &&mut Call| call.person == *person && call.number == *number;
                    let mut open = calls.iter_mut().rev().filter(|call| call.ended.is_none());
                    if let Some(call) = open.find(his) {
                        call.ended = Some((*at, *result));
                    }
                }
                Happens::Acknowledged { role, person } => {
                    let his = |call: &&mut Call| {
                        call.person == *person && call.role == *role && call.ended.is_none()
                    };
                    if let Some(call) = calls.iter_mut().rev().find(his) {
                        call.ended = Some((*at, AttemptResult::Acknowledged));
                    }
                }
                Happens::Siren | Happens::Round(_) => {}
            }
        }
        calls
    }

    fn at_the_desk(&self) -> Vec<(Duration, Happens)> {
        let at_desk = |event: &&Event| matches!(event.what, Happens::Siren | Happens::Round(_));
        self.events.iter().filter(at_desk).map(|one| (one.at, one.what.clone())).collect()
    }

    fn ticks(&self) -> Vec<Tick> {
        let minutes = self.asked.minutes;
        let apart = APART.into_iter().find(|apart| minutes / apart <= TICKS).unwrap_or(10);
        let ticks = (0..=minutes).step_by(apart as usize).map(|minute| {
            let at = Duration::from_secs(60 * minute);
            let (minute, time) = (fill(self.t.minute, minute), self.time(at)[..5].to_owned());
            Tick { x: self.x(at), minute, time }
        });
        ticks.collect()
    }

    fn lanes(&self) -> Vec<Lane> {
        let desk = Lane {
            y: TOP,
            name: self.t.desk.to_owned(),
            detail: fill_two("{} {}", self.t.flagged, &self.time(Duration::ZERO)),
            title: self.t.desk.to_owned(),
        };
        let lanes = self.asked.telephones.iter().enumerate().map(|(nth, one)| {
            let role = view::role(one.role, self.words);
            let (phone, whole) = (self.telephone(&one.number), &one.person);
            Lane {
                y: TOP + LANE * (nth + 1),
                name: format!("{role} {}", short(whole)),
                detail: format!("{phone} · {}", manner(one.phone, self.t)),
                title: format!("{role} {whole} {phone}"),
            }
        });
        std::iter::once(desk).chain(lanes).collect()
    }

    fn lane_of(&self, number: &str) -> Option<usize> {
        let nth = self.asked.telephones.iter().position(|one| one.number == number)?;
        Some(TOP + LANE * (nth + 1))
    }

    fn telephone(&self, number: &str) -> String {
        let shown = view::masked(number);
        match self.asked.telephones.iter().find(|one| one.number == number) {
            Some(one) => format!("{} {shown}", line(one, self.words)),
            None => shown,
        }
    }

    fn bars(&self, call: &Call) -> Vec<Bar> {
        let Some(lane) = self.lane_of(&call.number) else { return vec![] };
        let end = self.end();
        let title = fill_two("{} {}", &self.time(call.from), &self.what(call));
        let bar = |from: Duration, to: Duration, class| {
            let x = self.x(from).min(LEFT + PLOT - THIN);
            let width = self.x(to).saturating_sub(x).max(THIN);
            Bar { x, y: lane + (LANE - BAR) / 2, width, class, title: title.clone() }
        };
        let rings = if call.phone.rings() { "rings" } else { "quiet" };
        match call.answered(end) {
            Some(at) => vec![bar(call.from, at, rings), bar(at, call.until(end), "talks")],
            None => vec![bar(call.from, call.until(end), rings)],
        }
    }

    /// What became of a call, where its bar ends; left to the rows where the next bar is too near.
    fn sign(&self, call: &Call, next: Option<&Call>) -> Option<Sign> {
        let (lane, (at, result)) = (self.lane_of(&call.number)?, call.ended?);
        let Mark { shape, class, text } = self.outcome(call.phone, result);
        let (x, y) = (self.x(at) + 2, lane + LANE / 2 + 5);
        let known = result == AttemptResult::Acknowledged;
        if !known && next.is_some_and(|next| self.x(next.from) < x + SHAPE) {
            return None;
        }
        let title = format!("{} {text}", self.time(at));
        let text = if known { Self::word(x, text) } else { String::new() };
        Some(Sign { x, y, shape, class, text, title })
    }

    fn desk_signs(&self, at_desk: &[(Duration, Happens)]) -> Vec<Sign> {
        let drawn: Vec<_> = at_desk.iter().take(MOST).collect();
        let signs = drawn.iter().enumerate().filter_map(|(nth, (at, what))| {
            let x = self.x(*at) + 2;
            let is_round = |what: &Happens| matches!(what, Happens::Round(_));
            let mut later = drawn[nth + 1..].iter();
            let next = later.find(|(_, next)| is_round(next) == is_round(what));
            let room = next.map_or(usize::MAX, |(at, _)| self.x(*at) + 2 - x);
            let (y, shape, class, text) = match what {
                Happens::Round(nth) => {
                    (TOP + 18, "↻", "muted", fill(self.t.round_short, nth.saturating_add(1)))
                }
                _ => (TOP + 36, "▲", "bad", self.t.siren_short.to_owned()),
            };
            let title = fill_two("{} {}", &self.time(*at), &text);
            let text = if room < WORD { String::new() } else { Self::word(x, &text) };
            (room >= SHAPE).then_some(Sign { x, y, shape, class, text, title })
        });
        signs.collect()
    }

    /// A word that would leave the drawing stands in the rows alone.
    fn word(x: usize, word: &str) -> String {
        if x + WORD < LEFT + PLOT + MARGIN { word.to_owned() } else { String::new() }
    }

    fn outcome(&self, phone: Phone, result: AttemptResult) -> Mark {
        if phone == Phone::Off && result == AttemptResult::NoAnswer {
            return Mark::new("×", "muted", self.t.switched_off);
        }
        let word = view::attempt_result(result, self.words).text;
        match result {
            AttemptResult::Acknowledged => Mark::new("●", "ok", self.t.key_pressed),
            AttemptResult::Declined => Mark::new("■", "bad", word),
            AttemptResult::Busy => Mark::new("◆", "warn", word),
            AttemptResult::AnsweredNoKey => Mark::new("◇", "warn", word),
            AttemptResult::Unreachable => Mark::new("×", "bad", self.t.dead),
            AttemptResult::Cancelled => Mark::new("–", "muted", word),
            _ => Mark::new("○", "muted", word),
        }
    }

    fn legend(&self, calls: &[Call]) -> Vec<Mark> {
        let mut legend: Vec<Mark> = vec![];
        for call in calls {
            let Some((_, result)) = call.ended else { continue };
            let mark = self.outcome(call.phone, result);
            if !legend.contains(&mark) {
                legend.push(mark);
            }
        }
        legend
    }

    /// A call in words.
    fn what(&self, call: &Call) -> String {
        let (t, end) = (self.t, self.end());
        let until = call.until(end);
        let answered = call.answered(end);
        let rang = (answered.unwrap_or(until) - call.from).as_secs();
        let mut what = fill(if call.phone.rings() { t.rang_for } else { t.did_not_ring }, rang);
        if let Some(at) = answered {
            what.push_str(&fill(t.answered_for, (until - at).as_secs()));
        }
        let became = match call.ended {
            None => t.goes_on.to_owned(),
            Some((at, AttemptResult::Acknowledged)) => {
                fill_two("{} {}", &self.time(at), t.key_pressed)
            }
            Some((_, result)) => self.outcome(call.phone, result).text.to_owned(),
        };
        format!("{what} · {became}")
    }

    fn row(&self, at: Duration, who: String, telephone: String, what: String) -> Row {
        let since = times::clock(at.as_secs() as i64);
        Row { time: self.time(at), since, who, telephone, what, class: "" }
    }

    fn rows(&self, calls: &[Call], at_desk: &[(Duration, Happens)]) -> Vec<Row> {
        let desk = |at, what: String| self.row(at, self.t.desk.to_owned(), String::new(), what);
        let urgency = view::urgency(self.asked.urgency, self.words).text;
        let flagged = desk(Duration::ZERO, fill_two("{} {}", self.t.flagged, urgency));
        let calls = calls.iter().map(|call| {
            let who = format!("{} {}", view::role(call.role, self.words), call.person);
            let row = self.row(call.from, who, self.telephone(&call.number), self.what(call));
            let known = matches!(call.ended, Some((_, AttemptResult::Acknowledged)));
            (call.from, Row { class: if known { "ok" } else { "" }, ..row })
        });
        let at_desk = at_desk.iter().take(MOST).map(|(at, what)| match what {
            Happens::Round(nth) => {
                (*at, desk(*at, fill(self.t.round_begins, nth.saturating_add(1))))
            }
            _ => (*at, Row { class: "bad", ..desk(*at, self.t.siren.to_owned()) }),
        });
        let mut rows: Vec<(Duration, Row)> = at_desk.chain(calls).collect();
        rows.sort_by_key(|(at, _)| *at);
        std::iter::once(flagged).chain(rows.into_iter().map(|(_, row)| row)).collect()
    }

    fn said(&self, calls: &[Call], siren: Option<Duration>) -> String {
        let t = self.t;
        let known = |call: &Call| match call.ended {
            Some((at, AttemptResult::Acknowledged)) => Some((at, call.role, call.person.clone())),
            _ => None,
        };
        let first = calls.iter().filter_map(known).min_by_key(|(at, ..)| *at);
        let known = match first {
            None => fill(t.nobody_acknowledges, self.asked.minutes),
            Some((at, role, person)) => {
                let who = format!("{} {person} ", view::role(role, self.words));
                let took = times::clock(at.as_secs() as i64);
                fill_two(t.acknowledged_at, &self.time(at), &who) + &fill(t.since_flag, took)
            }
        };
        match siren {
            None => known,
            Some(at) => format!("{known} {}", fill(t.siren_at, self.time(at))),
        }
    }
}

pub fn manner(phone: Phone, t: &Messages) -> &'static str {
    match phone {
        Phone::Answers => t.answers,
        Phone::Off => t.off,
        Phone::Busy => t.busy,
        Phone::Declines => t.declines,
        Phone::Silent => t.silent,
        Phone::Machine => t.machine,
        Phone::Dead => t.dead,
    }
}

pub fn line(one: &Telephone, words: &messages::Messages) -> &'static str {
    match one.line {
        Line::Mobile => words.by_mobile,
        Line::Office => words.by_office_phone,
    }
}

fn short(name: &str) -> String {
    if name.chars().count() <= NAME {
        return name.to_owned();
    }
    name.chars().take(NAME - 1).chain(['…']).collect()
}

#[cfg(test)]
mod tests;
