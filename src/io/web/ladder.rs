//! The SIP ladder of a call as a drawing, and the page with its messages. Works without a script;
//! every text in it is a caller's or a PBX's and is escaped by the templates.

use super::Shared;
use super::auth::Staff;
use super::failure::Failure;
use super::messages::{Messages, fill};
use super::page::Page;
use super::{rows, times};
use crate::duty::ids::{CallId, EntryId};
use crate::duty::ladder::Way;
use crate::io::ladder::{label, legs, lines};
use crate::io::store::{Rung, RungWhat};
use askama::Template;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::Html;

const MARGIN: usize = 170;
const SPACING: usize = 250;
/// Between more than three lines of life.
const NARROW: usize = 210;
const TOP: usize = 76;
const STEP: usize = 34;
/// Characters of the longest name of a line of life.
const NAME_CHARS: usize = 24;

/// A drawing in its own units.
pub struct Drawing {
    /// Where each arrow leads, before `#m` and its number.
    pub link: String,
    pub width: usize,
    pub height: usize,
    /// Where the last line of life ends.
    pub bottom: usize,
    pub lives: Vec<Life>,
    pub arrows: Vec<Arrow>,
    pub gaps: Vec<GapMark>,
    /// How many messages there are, in words.
    pub count: String,
}

pub struct Life {
    pub x: usize,
    pub name: String,
    pub peer: String,
    pub ours: bool,
}

pub struct Arrow {
    pub number: usize,
    pub y: usize,
    pub from: usize,
    /// Where its point is, and where the line ends under it.
    pub to: usize,
    pub line_to: usize,
    pub point: String,
    pub label_x: usize,
    pub label: String,
    pub class: &'static str,
    pub again: bool,
    pub time: String,
    pub after: String,
}

pub struct GapMark {
    pub y: usize,
    pub text: String,
}

/// A message for reading.
pub struct Spoken {
    pub number: usize,
    pub head: String,
    pub title: String,
    pub class: &'static str,
    pub text: String,
}

#[derive(Template)]
#[template(path = "ladder.html")]
struct Sheet<'a> {
    page: &'a Page,
    id: EntryId,
    number: String,
    caller: String,
    when: String,
    ladder: Option<Drawing>,
    linked_away: bool,
    spoken: Vec<Spoken>,
}

/// `GET /entries/{entry}/ladder`
pub async fn get(
    State(shared): State<Shared>,
    _: Staff,
    page: Page,
    Path(entry): Path<EntryId>,
) -> Result<Html<String>, Failure> {
    let store = &shared.web.store;
    let found = store
        .entry_row(entry)
        .await?
        .ok_or_else(|| Failure::Refused(StatusCode::NOT_FOUND, page.t.entry_gone.to_owned()))?;
    let steps = store.ladder(CallId(entry.0)).await?;
    let caller = found.call.as_ref().map_or(String::new(), |call| rows::number(call, page.t));
    let sheet = Sheet {
        id: entry,
        number: found.number,
        caller,
        when: times::full(found.occurred),
        ladder: drawing(entry, &steps, page.t),
        linked_away: false,
        spoken: spoken(&steps, page.t),
        page: &page,
    };
    Ok(Html(sheet.render()?))
}

/// `None`: nothing was kept of the call.
pub fn drawing(entry: EntryId, ladder: &[Rung], t: &Messages) -> Option<Drawing> {
    let first = ladder.first()?;
    let legs = legs(ladder);
    let ours = legs.iter().take_while(|(leg, _)| leg.is_empty()).count();
    let spacing = if legs.len() > 2 { NARROW } else { SPACING };
    let x = |life: usize| MARGIN + life * spacing;
    let there = |leg: &str| {
        let at = legs.iter().position(|(known, _)| known == leg).unwrap_or(0);
        x(if at < ours { at } else { at + 1 })
    };
    let mut lives: Vec<Life> = legs
        .iter()
        .map(|(leg, peer)| Life {
            x: there(leg),
            name: if leg.is_empty() { t.ladder_caller.to_owned() } else { name(leg) },
            peer: peer.clone(),
            ours: false,
        })
        .collect();
    let us = Life { x: x(ours), name: t.ladder_us.to_owned(), peer: String::new(), ours: true };
    lives.push(us);
    let (mut arrows, mut gaps) = (vec![], vec![]);
    let mut before = first.mono;
    for (at, rung) in ladder.iter().enumerate() {
        let y = TOP + at * STEP + STEP / 2;
        match &rung.what {
            RungWhat::Message { way, leg, bytes, again, .. } => {
                let mut arrow = arrow(*way, x(ours), there(leg), bytes);
                arrow.number = arrows.len() + 1;
                arrow.y = y;
                arrow.point = point(&arrow);
                arrow.again = *again;
                arrow.time = times::with_ms(rung.at);
                arrow.after = format!("+{:.3}", (rung.mono - before).max(0) as f64 / 1e9);
                arrows.push(arrow);
            }
            RungWhat::Cut | RungWhat::Lost(_) => gaps.push(GapMark { y, text: gap(&rung.what, t) }),
        }
        before = rung.mono;
    }
    let bottom = TOP + ladder.len() * STEP + 8;
    Some(Drawing {
        link: format!("/entries/{entry}/ladder"),
        width: x(lives.len() - 1) + 104,
        height: bottom + 8,
        bottom,
        count: fill(t.ladder_count, arrows.len()),
        lives,
        arrows,
        gaps,
    })
}

fn arrow(way: Way, us: usize, them: usize, bytes: &[u8]) -> Arrow {
    let label = label(bytes);
    let (from, to) = match way {
        Way::In => (them, us),
        Way::Out => (us, them),
    };
    Arrow {
        number: 0,
        y: 0,
        from,
        to,
        line_to: if to > from { to - 8 } else { to + 8 },
        point: String::new(),
        label_x: from.midpoint(to),
        label: label.text,
        class: class(label.status),
        again: false,
        time: String::new(),
        after: String::new(),
    }
}

fn point(arrow: &Arrow) -> String {
    let (to, y) = (arrow.to, arrow.y);
    let back = if arrow.to > arrow.from { to - 10 } else { to + 10 };
    format!("{to},{y} {back},{} {back},{}", y - 5, y + 5)
}

fn class(status: Option<u16>) -> &'static str {
    match status {
        None => "request",
        Some(..200) => "progress",
        Some(200..300) => "success",
        Some(300..) => "failure",
    }
}

fn gap(what: &RungWhat, t: &Messages) -> String {
    match what {
        RungWhat::Lost(count) => fill(t.ladder_lost, count),
        RungWhat::Cut | RungWhat::Message { .. } => t.ladder_cut.to_owned(),
    }
}

fn name(leg: &str) -> String {
    crate::protocol::sip::text::visible(leg.as_bytes()).chars().take(NAME_CHARS).collect()
}

fn spoken(ladder: &[Rung], t: &Messages) -> Vec<Spoken> {
    let mut spoken = vec![];
    for rung in ladder {
        let RungWhat::Message { way, peer, leg, bytes, .. } = &rung.what else { continue };
        let label = label(bytes);
        let who = if leg.is_empty() { t.ladder_caller.to_owned() } else { name(leg) };
        let way = match way {
            Way::In => format!("{who} → {}", t.ladder_us),
            Way::Out => format!("{} → {who}", t.ladder_us),
        };
        spoken.push(Spoken {
            number: spoken.len() + 1,
            head: format!("{} · {way} · {peer}", times::with_ms(rung.at)),
            title: label.text,
            class: class(label.status),
            text: lines(bytes).join("\n"),
        });
    }
    spoken
}
