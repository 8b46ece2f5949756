//! 脱敏件: copies of a recording in which a stretch is silent.

use super::Shared;
use super::auth::Staff;
use super::entry_page::{Reason, refused, shown};
use super::failure::Failure;
use super::messages::Messages;
use super::page::Page;
use super::recording::broken;
use super::sources::below;
use super::times;
use crate::duty::ids::{CallId, EntryId};
use crate::io::clock;
use crate::io::redaction;
use crate::io::status::Live;
use crate::io::store::{Cut, DerivedRow, RecordingFile, Side, Who};
use axum::extract::{Form, Path, State};
use axum::response::Response;
use serde::Deserialize;
use std::io;
use std::sync::Arc;

/// Of one recording.
const MOST: usize = 50;

pub struct DerivedView {
    pub id: i64,
    pub what: String,
    pub side: &'static str,
    pub reason: String,
    pub by: String,
    pub made: String,
    pub digest: String,
}

pub fn view(row: &DerivedRow, t: &'static Messages) -> DerivedView {
    let at = |ms: u32| {
        let (seconds, rest) = (ms / 1000, ms % 1000);
        let clock = times::clock(i64::from(seconds));
        if rest == 0 { clock } else { format!("{clock}.{rest:03}") }
    };
    DerivedView {
        id: row.id,
        what: format!("{}–{}", at(row.cut.from_ms), at(row.cut.to_ms)),
        side: match row.cut.side {
            Side::Both => t.player_both,
            Side::Left => t.derived_left,
            Side::Right => t.derived_right,
        },
        reason: row.reason.clone(),
        by: row.by.clone(),
        made: times::full(row.made),
        digest: row.sha256.clone(),
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Wanted {
    /// Minutes and seconds, as the player shows them.
    from: String,
    to: String,
    side: Side,
    reason: String,
}

/// `90`, `1:30`, `1:01:30.5` in milliseconds.
fn moment(text: &str) -> Option<u32> {
    let text = text.trim().replace('：', ":");
    let (clock, rest) = text.split_once('.').unwrap_or((&text, "0"));
    let digits = |part: &str| -> Option<u32> {
        let all = (1..=5).contains(&part.len()) && part.bytes().all(|byte| byte.is_ascii_digit());
        all.then(|| part.parse().ok()).flatten()
    };
    let parts: Vec<u32> = clock.split(':').map(digits).collect::<Option<_>>()?;
    let (first, others) = parts.split_first()?;
    if others.len() > 2 || others.iter().any(|part| *part > 59) || rest.len() > 3 {
        return None;
    }
    let seconds =
        others.iter().try_fold(*first, |sum, part| sum.checked_mul(60)?.checked_add(*part));
    let thousandths = digits(&format!("{rest:0<3}"))?;
    seconds?.checked_mul(1000)?.checked_add(thousandths)
}

/// `POST /recordings/{call}/derived`
pub async fn make(
    State(shared): State<Shared>,
    Staff(officer): Staff,
    page: Page,
    Path(call): Path<CallId>,
    Form(wanted): Form<Wanted>,
) -> Result<Response, Failure> {
    let (t, store) = (page.t, &shared.web.store);
    let no = || refused(t.derived_refused.to_owned());
    let reason = Reason::from(wanted.reason).tidy();
    let (from_ms, to_ms) = moment(&wanted.from).zip(moment(&wanted.to)).ok_or_else(no)?;
    let cut = Cut { from_ms, to_ms, side: wanted.side };
    let row = store.recording(call).await?.ok_or_else(no)?;
    let length = row.duration_ms.unwrap_or(0);
    if from_ms >= to_ms || i64::from(from_ms) >= length || reason.trim().is_empty() {
        return Err(no());
    }
    let found = store.recording_file(call).await?.ok_or_else(no)?;
    // No row leads out of the folder.
    below(&shared.web.recordings, &found.wav).await.ok_or_else(no)?;
    let order = Order { shared: shared.clone(), who: officer.who, call, cut, reason };
    // Whoever asked may have gone: what is begun is bound to its original all the same.
    match tokio::spawn(order.carry_out(found)).await.map_err(broken)?? {
        Made::Bound => shown(&shared, &page, EntryId::from(call)).await,
        Made::Refused => Err(no()),
        Made::NoRoom => Err(refused(t.derived_no_room.to_owned())),
        Made::Failed => Err(refused(t.derived_failed.to_owned())),
    }
}

struct Order {
    shared: Shared,
    who: Who,
    call: CallId,
    cut: Cut,
    reason: String,
}

enum Made {
    Bound,
    /// There are enough, or the original is destroyed since.
    Refused,
    /// The disk would be short of room for calls.
    NoRoom,
    Failed,
}

impl Order {
    async fn carry_out(self, found: RecordingFile) -> Result<Made, Failure> {
        let (web, call, cut) = (&self.shared.web, self.call, self.cut);
        // One at a time: each reads a whole recording.
        let _turn = Arc::clone(&self.shared.drawing).acquire_owned().await.map_err(broken)?;
        if web.store.derived(call).await?.len() >= MOST {
            return Ok(Made::Refused);
        }
        let (recordings, spare) = (web.recordings.clone(), web.low_space);
        let making = tokio::task::spawn_blocking(move || {
            redaction::make(&recordings, &found, (call, cut), spare)
        });
        let made = match making.await.map_err(broken)? {
            Ok(made) => made,
            Err(fault) if fault.kind() == io::ErrorKind::StorageFull => return Ok(Made::NoRoom),
            Err(fault) => {
                tracing::error!(%call, %fault, "no redacted copy was made");
                return Ok(Made::Failed);
            }
        };
        let copy = web.recordings.join(&made.wav);
        let bound = web.store.derive(&self.who, made, &self.reason, clock::now()).await;
        if !matches!(bound, Ok(Some(_))) {
            // No row names it: its voice stays nowhere.
            let gone = tokio::task::spawn_blocking(move || redaction::discard(&copy)).await;
            gone.map_err(broken)?.map_err(broken)?;
        }
        let made = if bound?.is_some() { Made::Bound } else { Made::Refused };
        web.board.tell(Live::Entry { entry: EntryId::from(call) });
        Ok(made)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_is_read_as_the_player_shows_it() {
        for (text, ms) in [
            ("0", 0),
            ("90", 90_000),
            ("1:30", 90_000),
            ("1：30.5", 90_500),
            (" 1:01:01.025 ", 3_661_025),
        ] {
            assert_eq!(moment(text), Some(ms), "{text}");
        }
        for text in ["", "-1", "1:60", "1:2:3:4", "x", "1.2345", "999999", ":", "1:", "99999:59:59"]
        {
            assert_eq!(moment(text), None, "{text}");
        }
    }
}
