//! 录音自检: asked for by an officer, and its last result for each duty number in sight.

use super::Shared;
use super::auth::Officer;
use super::failure::Failure;
use super::page::Page;
use super::times;
use super::view::{Chip, Mark};
use crate::duty::self_test::Failing;
use crate::io::clock;
use crate::io::self_test::Tested;
use crate::io::store::SelfTestRow;
use axum::extract::State;
use axum::http::StatusCode;
use chrono::{DateTime, TimeDelta, Utc};
use tokio::sync::mpsc;

/// An older result is no longer of this shift.
const SHIFT: TimeDelta = TimeDelta::hours(26);

/// Whom a test is asked of, and the numbers that it calls.
#[derive(Clone)]
pub struct SelfTests {
    pub wants: mpsc::Sender<String>,
    pub numbers: Vec<Tested>,
}

/// `POST /self-test`: 202; the result is shown at the top. 404 where no extension is configured for it.
pub async fn ask(State(shared): State<Shared>, officer: Officer) -> Result<StatusCode, Failure> {
    let Some(tests) = &shared.web.self_test else { return Ok(StatusCode::NOT_FOUND) };
    shared.web.store.self_test_wanted(&officer.who, clock::now()).await?;
    // One that waits already is the one that was asked for.
    let _ = tests.wants.try_send(officer.who.name);
    Ok(StatusCode::ACCEPTED)
}

/// The last results; none where no extension is configured for it.
pub async fn chip(shared: &Shared, page: &Page, now: DateTime<Utc>) -> Option<Chip> {
    let tests = shared.web.self_test.as_ref()?;
    let mut last = vec![];
    for tested in &tests.numbers {
        let found = shared.web.store.last_self_test(&tested.number).await;
        let found = found.unwrap_or_else(|error| {
            tracing::error!(%error, "the self-tests cannot be read");
            None
        });
        last.push((tested.shown.as_str(), found));
    }
    Some(of_all(&last, page, now))
}

/// What is worst is shown: a number that failed, one that was never tested, the oldest result.
fn of_all(last: &[(&str, Option<SelfTestRow>)], page: &Page, now: DateTime<Utc>) -> Chip {
    let t = page.t;
    let label = t.self_test.to_owned();
    let of = |number: &str, text: String| match last {
        [_] => text,
        _ => format!("{number} {text}"),
    };
    let tested = || last.iter().filter_map(|(number, row)| Some((*number, row.as_ref()?)));
    let failing: Vec<(&str, Failing, DateTime<Utc>)> =
        tested().filter_map(|(number, row)| Some((number, row.failing?, row.at))).collect();
    if let Some(at) = failing.iter().map(|(.., at)| *at).max() {
        let each = failing
            .iter()
            .map(|(number, failing, _)| of(number, page.pick(failing.remedy()).to_owned()));
        let title = each.collect::<Vec<_>>().join("\n");
        let (note, mark) = (times::short(at, now), Mark::new("■", "bad", ""));
        return Chip { label, text: t.self_test_bad.to_owned(), note, title, mark };
    }
    let never: Vec<&str> =
        last.iter().filter(|(_, row)| row.is_none()).map(|(number, _)| *number).collect();
    let Some(oldest) = tested().map(|(_, row)| row.at).min().filter(|_| never.is_empty()) else {
        let title = if last.len() > 1 { never.join(" ") } else { String::new() };
        let (note, mark) = (String::new(), Mark::new("▲", "warn", ""));
        return Chip { label, text: t.self_test_never.to_owned(), note, title, mark };
    };
    let old = now - oldest > SHIFT;
    let mark = if old { Mark::new("▲", "warn", "") } else { Mark::new("●", "ok", "") };
    let off = |(number, row): (&str, &SelfTestRow)| {
        row.measured.off_ms.map(|off| of(number, format!("{off:+} ms")))
    };
    let title = tested().filter_map(off).collect::<Vec<_>>().join("\n");
    Chip { label, text: t.self_test_good.to_owned(), note: times::short(oldest, now), title, mark }
}

#[cfg(test)]
mod tests {
    use super::super::messages::Language;
    use super::*;
    use crate::duty::ids::CallId;
    use crate::duty::self_test::Measured;
    use std::time::Duration;

    fn row(number: &str, failing: Option<Failing>, at: DateTime<Utc>) -> SelfTestRow {
        let call = CallId::new(clock::now(), &mut clock::random());
        let measured = Measured { likeness: [990; 3], off_ms: Some(21) };
        let (number, asked_by, detail) = (number.to_owned(), String::new(), String::new());
        SelfTestRow { call, number, at, asked_by, failing, measured, detail }
    }

    #[test]
    fn rec_q4_of_several_numbers_the_worst_is_shown_and_named() {
        let language = Language::Chinese;
        let (room, report) = (String::new(), Duration::ZERO);
        let (t, lang) = (language.messages(), language.tag());
        let page = Page { language, t, lang, room, demo: false, asks: false, report };
        let now = clock::now().wall;
        let shown = |last: &[(&str, Option<SelfTestRow>)]| {
            let chip = of_all(last, &page, now);
            (chip.text, chip.mark.class, chip.title)
        };
        let good = |number: &str| Some(row(number, None, now));
        let old = |number: &str| Some(row(number, None, now - SHIFT - TimeDelta::hours(1)));
        let bad = |number: &str| Some(row(number, Some(Failing::Elsewhere), now));
        let said = |text: &str, class: &'static str, title: &str| {
            (text.to_owned(), class, title.to_owned())
        };
        let remedy = Failing::Elsewhere.remedy().0;
        assert_eq!(shown(&[("1", good(""))]), said("通过", "ok", "+21 ms"));
        assert_eq!(shown(&[("1", bad(""))]), said("未通过", "bad", remedy));
        assert_eq!(shown(&[("1", None)]), said("未做过", "warn", ""));
        let two = |one, other| shown(&[("6001", one), ("6002", other)]);
        assert_eq!(two(good(""), good("6002")), said("通过", "ok", "6001 +21 ms\n6002 +21 ms"));
        assert_eq!(two(good(""), bad("6002")), said("未通过", "bad", &format!("6002 {remedy}")));
        assert_eq!(two(None, bad("6002")).0, "未通过");
        assert_eq!(two(good(""), None), said("未做过", "warn", "6002"));
        assert_eq!(two(good(""), old("6002")).1, "warn", "the oldest counts");
    }
}
