//! A ladder on the terminal: drawn, or message by message.

use super::{label, legs, lines};
use crate::duty::entry::beijing;
use crate::duty::ladder::Way;
use crate::io::store::{LadderOf, Rung, RungWhat, VoiceRow};
use crate::protocol::rtp::Party;
use crate::protocol::sip::text::visible;
use chrono::{DateTime, Utc};
use std::io::{self, Write};

/// Columns before the first line of life, and between two of them.
const MARGIN: usize = 32;
const SPACING: usize = 30;

/// The call in one line, then its ladder.
///
/// # Errors
/// Those of `out`.
pub fn drawn(out: &mut impl Write, of: &LadderOf, ladder: &[Rung]) -> io::Result<()> {
    head(out, of)?;
    if ladder.is_empty() {
        return writeln!(out, "没有信令记录 · no messages were kept");
    }
    let board = Board::of(ladder);
    writeln!(out, "{}", board.titles(|(name, _)| name))?;
    writeln!(out, "{}", board.titles(|(_, peer)| peer))?;
    let mut before = ladder[0].mono;
    for rung in ladder {
        let time = format!("{}  +{:.3}", clock(rung), seconds(rung.mono - before));
        before = rung.mono;
        writeln!(out, "{}", board.row(&time, &rung.what))?;
    }
    writeln!(out)
}

/// Every message as it was on the wire, credentials excepted; with `tame`, for a terminal, its
/// control characters as signs.
///
/// # Errors
/// Those of `out`.
pub fn raw(out: &mut impl Write, of: &LadderOf, ladder: &[Rung], tame: bool) -> io::Result<()> {
    head(out, of)?;
    for rung in ladder {
        match &rung.what {
            RungWhat::Message { way, peer, leg, bytes, again } => {
                let way = match way {
                    Way::In => "from",
                    Way::Out => "to",
                };
                let again = if *again { " (again)" } else { "" };
                writeln!(out, "--- {} {way} {peer} [{}]{again}", clock(rung), name(leg))?;
                if tame {
                    lines(bytes).iter().try_for_each(|line| writeln!(out, "{line}"))?;
                } else {
                    out.write_all(bytes)?;
                }
                writeln!(out)?;
            }
            RungWhat::Cut | RungWhat::Lost(_) => {
                writeln!(out, "--- {} {}\n", clock(rung), gap(&rung.what))?;
            }
        }
    }
    Ok(())
}

/// How each party was heard: one line each.
///
/// # Errors
/// Those of `out`.
pub fn voices(out: &mut impl Write, voices: &[VoiceRow]) -> io::Result<()> {
    for row in voices {
        let party = match row.party {
            Party::Caller => "对方 · other party",
            Party::Officer => "值班员 · officer",
            Party::Leader | Party::Prompt => "领导 · leader",
        };
        let (tally, at) = (&row.quality.tally, |at: DateTime<Utc>| {
            at.with_timezone(&beijing()).format("%H:%M:%S").to_string()
        });
        write!(
            out,
            "{party}  {}–{}  packets {}  lost {}  late {}  reordered {}  doubled {}  jitter {:.1} ms (most {:.1})",
            at(row.quality.since),
            at(row.to),
            tally.received,
            tally.lost,
            tally.late,
            tally.reordered,
            tally.doubled,
            f64::from(tally.jitter_us) / 1000.0,
            f64::from(tally.jitter_most_us) / 1000.0,
        )?;
        if let Some(mos) = &row.quality.mos {
            let when = at(mos.worst_at);
            write!(out, "  MOS {} (worst {} at {when})", mos.mean, mos.worst)?;
        }
        if let Some(far) = &row.quality.far {
            write!(out, "  far end: lost {}", far.lost)?;
            if let Some(rtt) = far.rtt_us {
                write!(out, ", round trip {:.1} ms", f64::from(rtt) / 1000.0)?;
            }
        }
        writeln!(out)?;
    }
    if voices.is_empty() { Ok(()) } else { writeln!(out) }
}

fn head(out: &mut impl Write, of: &LadderOf) -> io::Result<()> {
    let (what, from) = match (of.direction.as_str(), of.caller.as_str()) {
        ("to_leader", _) => ("呼叫领导 · to a leader", "dutyline"),
        ("out", _) => ("呼出 · outgoing", "dutyline"),
        (_, "") => ("来电 · incoming", "-"),
        (_, caller) => ("来电 · incoming", caller),
    };
    let (from, to) = (visible(from.as_bytes()), visible(of.callee.as_bytes()));
    let arrived = of.arrived.with_timezone(&beijing()).format("%Y-%m-%d %H:%M:%S");
    writeln!(out, "{} · {} · {what} · {from} → {to} · {arrived}", of.entry_number, of.number)?;
    writeln!(out, "{}", of.call)
}

fn clock(rung: &Rung) -> String {
    rung.at.with_timezone(&beijing()).format("%H:%M:%S%.3f").to_string()
}

fn seconds(nanos: i64) -> f64 {
    nanos.max(0) as f64 / 1e9
}

fn name(leg: &str) -> String {
    if leg.is_empty() { "caller".to_owned() } else { visible(leg.as_bytes()) }
}

fn gap(what: &RungWhat) -> String {
    match what {
        RungWhat::Lost(count) => format!("缺 {count} 条 · {count} messages missing"),
        RungWhat::Cut | RungWhat::Message { .. } => {
            "其后刷新等例行信令不再保留 · from here on routine messages are not kept".to_owned()
        }
    }
}

/// Lines of life: the caller's, ours, the others'.
struct Board {
    /// Name and peer of each, in order.
    lives: Vec<(String, String)>,
    legs: Vec<String>,
    ours: usize,
}

impl Board {
    fn of(ladder: &[Rung]) -> Self {
        let legs = legs(ladder);
        let ours = legs.iter().take_while(|(leg, _)| leg.is_empty()).count();
        let mut lives: Vec<_> = legs.iter().map(|(leg, peer)| (name(leg), peer.clone())).collect();
        lives.insert(ours, ("dutyline".to_owned(), String::new()));
        let mut order: Vec<String> = legs.into_iter().map(|(leg, _)| leg).collect();
        order.insert(ours, "\0".to_owned());
        Self { lives, legs: order, ours }
    }

    fn at(&self, life: usize) -> usize {
        MARGIN + life * SPACING
    }

    fn titles(&self, which: impl Fn(&(String, String)) -> &String) -> String {
        let mut row = Row::new(self.at(self.lives.len()) + SPACING);
        for (life, both) in self.lives.iter().enumerate() {
            row.centre(self.at(life), which(both), SPACING - 2);
        }
        row.text()
    }

    fn row(&self, time: &str, what: &RungWhat) -> String {
        let mut row = Row::new(self.at(self.lives.len()) + SPACING);
        row.write(0, time);
        for life in 0..self.lives.len() {
            row.write(self.at(life), "│");
        }
        match what {
            RungWhat::Message { way, leg, bytes, again, .. } => {
                let there = self.legs.iter().position(|known| known == leg).unwrap_or(self.ours);
                let (us, them) = (self.at(self.ours), self.at(there));
                let (low, high) = (us.min(them), us.max(them));
                (low + 1..high).for_each(|at| row.write(at, "─"));
                let rightward = (*way == Way::Out) == (us < them);
                if rightward {
                    row.write(high - 1, "▶");
                } else {
                    row.write(low + 1, "◀");
                }
                let again = if *again { "↻ " } else { "" };
                let text = format!(" {again}{} ", label(bytes).text);
                row.centre(low.midpoint(high), &text, high - low - 5);
            }
            RungWhat::Cut | RungWhat::Lost(_) => {
                let width = (self.lives.len() - 1) * SPACING;
                row.centre(MARGIN + width / 2, &format!(" {} ", gap(what)), width);
            }
        }
        row.text()
    }
}

/// Cells of a terminal; a wide character takes two.
struct Row(Vec<String>);

impl Row {
    fn new(width: usize) -> Self {
        Self(vec![" ".to_owned(); width])
    }

    fn write(&mut self, at: usize, text: &str) {
        let mut at = at;
        for c in text.chars() {
            let width = width(c);
            if at + width > self.0.len() {
                return;
            }
            self.0[at] = c.to_string();
            if width == 2 {
                self.0[at + 1].clear();
            }
            at += width;
        }
    }

    fn centre(&mut self, at: usize, text: &str, most: usize) {
        let mut shown = String::new();
        let mut length = 0;
        for c in text.chars() {
            if length + width(c) > most {
                break;
            }
            shown.push(c);
            length += width(c);
        }
        self.write(at.saturating_sub(length / 2), &shown);
    }

    fn text(&self) -> String {
        self.0.concat().trim_end().to_owned()
    }
}

fn width(c: char) -> usize {
    let wide = matches!(c, '\u{1100}'..='\u{115f}' | '\u{2e80}'..='\u{a4cf}' | '\u{ac00}'..='\u{d7a3}'
        | '\u{f900}'..='\u{faff}' | '\u{fe30}'..='\u{fe6f}' | '\u{ff00}'..='\u{ff60}'
        | '\u{1f300}'..='\u{1faff}' | '\u{20000}'..='\u{3fffd}');
    if wide { 2 } else { 1 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::duty::ids::{CallId, EntryId};
    use chrono::DateTime;
    use uuid::Uuid;

    fn rung(ms: i64, way: Way, leg: &str, text: &str) -> Rung {
        let (peer, leg) = ("UDP 192.0.2.1:5060".to_owned(), leg.to_owned());
        let bytes = text.as_bytes().to_vec();
        Rung {
            at: DateTime::from_timestamp_millis(1_800_000_000_000 + ms).unwrap(),
            mono: ms * 1_000_000,
            what: RungWhat::Message { way, peer, leg, bytes, again: false },
        }
    }

    fn of() -> LadderOf {
        LadderOf {
            call: CallId(Uuid::nil()),
            number: "电-1".to_owned(),
            entry: EntryId(Uuid::nil()),
            entry_number: "记-1".to_owned(),
            direction: "in".to_owned(),
            caller: "110\u{1b}[31m".to_owned(),
            callee: "6001".to_owned(),
            arrived: DateTime::from_timestamp_millis(1_800_000_000_000).unwrap(),
        }
    }

    fn ladder() -> Vec<Rung> {
        let mut ladder = vec![
            rung(0, Way::In, "", "INVITE sip:1@a SIP/2.0\r\nX: \u{1b}[2J\r\n\r\n"),
            rung(1, Way::Out, "", "SIP/2.0 100 Trying\r\n\r\n"),
            rung(5, Way::Out, "2001", "INVITE sip:2001@a SIP/2.0\r\n\r\n"),
            rung(1009, Way::In, "2001", "SIP/2.0 180 Ringing\r\n\r\n"),
        ];
        ladder.push(Rung { what: RungWhat::Lost(2), ..rung(1200, Way::In, "", "") });
        ladder
    }

    #[test]
    fn rec_s11_a_ladder_is_drawn_for_a_person() {
        let mut out = vec![];
        drawn(&mut out, &of(), &ladder()).unwrap();
        let text = String::from_utf8(out).unwrap();
        let rows: Vec<&str> = text.lines().collect();
        assert!(rows[0].starts_with("记-1 · 电-1 · 来电 · incoming · 110␛[31m → 6001 · "));
        assert!(rows[2].contains("caller") && rows[2].contains("dutyline"));
        assert!(rows[4].contains("─ INVITE ─") && rows[4].contains("▶│"), "{text}");
        assert!(rows[5].contains("│◀─") && rows[5].contains(" 100 Trying "), "{text}");
        assert!(rows[7].contains("+1.004") && rows[7].contains("│◀─"), "{text}");
        assert!(rows[8].contains("缺 2 条"), "{text}");
        assert!(!text.contains('\u{1b}'));
    }

    #[test]
    fn rec_s11_what_ends_a_call_is_shown_behind_the_mark_that_it_is_cut() {
        let mut ladder = ladder();
        ladder.push(Rung { what: RungWhat::Cut, ..rung(1300, Way::In, "", "") });
        ladder.push(rung(1400, Way::In, "", "BYE sip:1@a SIP/2.0\r\n\r\n"));
        let mut out = vec![];
        drawn(&mut out, &of(), &ladder).unwrap();
        let text = String::from_utf8(out).unwrap();
        let (cut, bye) =
            (text.find("不再保留").expect("a mark"), text.find(" BYE ").expect("a BYE"));
        assert!(cut < bye, "{text}");
    }

    #[test]
    fn rec_s11_a_call_of_ours_is_named_so() {
        let out = |direction: &str| {
            let mut out = vec![];
            head(&mut out, &LadderOf { direction: direction.to_owned(), ..of() }).unwrap();
            String::from_utf8(out).unwrap()
        };
        assert!(out("out").contains(" · 呼出 · outgoing · dutyline → 6001 · "));
        assert!(out("to_leader").contains(" · 呼叫领导 · to a leader · dutyline → 6001 · "));
    }

    #[test]
    fn rec_s11_raw_is_what_was_said_and_tame_on_a_terminal() {
        let (mut wild, mut tame) = (vec![], vec![]);
        raw(&mut wild, &of(), &ladder(), false).unwrap();
        raw(&mut tame, &of(), &ladder(), true).unwrap();
        let wild = String::from_utf8(wild).unwrap();
        assert!(wild.contains("INVITE sip:1@a SIP/2.0\r\nX: \u{1b}[2J\r\n\r\n"));
        let tame = String::from_utf8(tame).unwrap();
        assert!(tame.contains("X: ␛[2J\n") && !tame.contains(['\r', '\u{1b}']));
        assert!(tame.contains("from UDP 192.0.2.1:5060 [2001]"));
    }
}
