//! Both copies of everything are read and compared with what the log says of them, once a day.

use super::compare::{Ask, Compared, Silent, compare};
use super::file::Fault;
use super::{AGAIN, Copier, PAGE};
use crate::duty::ids::CallId;
use crate::io::clock;
use crate::io::status::Alarm;
use crate::io::store::{CheckRow, SealedFile, StoreError};
use chrono::TimeDelta;
use std::time::Duration;
use tracing::{error, info, warn};

const CHECK_EVERY: TimeDelta = TimeDelta::hours(24);
/// After a comparison in which the store was away: where it is there again, its copies are compared too.
const CHECK_AWAY_EVERY: TimeDelta = TimeDelta::hours(1);
const CHECK_LOOK: Duration = Duration::from_secs(300);
/// A store that is away, or that refuses a file, is asked for it as often, [`AGAIN`] apart.
const TRIES: u32 = 6;
/// Files of one comparison that are asked for again: where a store refuses all, nobody waits for each.
pub const REFUSED_AT_MOST: u32 = 10;
/// For so long our own files are looked at alone, where a store was away at each try, or hangs for one file after another.
const ALONE: Duration = Duration::from_secs(600);

/// Once a day, since whenever it was done last, and at once when a copy is missed.
pub(super) async fn keep_checking(copier: Copier) {
    loop {
        let missed = tokio::time::timeout(CHECK_LOOK, copier.check_now.notified()).await.is_ok();
        if let Err(error) = copier.check_where_due(missed).await {
            warn!(%error, "the two copies could not be compared");
        }
    }
}

/// How a store has answered during one comparison.
#[derive(Default)]
pub struct Asking {
    /// Files that it refused to the end.
    pub refused: u32,
    pub alone_until: Option<tokio::time::Instant>,
    /// For some file at least.
    pub away: bool,
}

impl Copier {
    /// `None`: not now.
    pub(super) async fn check_where_due(
        &self,
        missed: bool,
    ) -> Result<Option<CheckRow>, StoreError> {
        let (now, last) = (clock::now().wall, self.store.last_copy_check().await?);
        // By a clock that was ahead it would not be due for as long.
        let after =
            |every| last.as_ref().is_none_or(|last| now < last.to || now - last.to >= every);
        let due = after(CHECK_EVERY);
        if !(missed || due || self.known().away && after(CHECK_AWAY_EVERY)) {
            return Ok(None);
        }
        match self.look().await? {
            Ok(_) => {}
            // Our own are compared meanwhile.
            Err(Fault::Copy(_)) if due && self.plan.copies.is_far() => {}
            // A disk that is away is an alarm already; it is not one of every file.
            Err(_) => return Ok(None),
        }
        self.check().await.map(Some)
    }

    /// Reads both copies of everything and compares them with the log. A copy that is no longer one is put aside and
    /// made anew.
    pub(super) async fn check(&self) -> Result<CheckRow, StoreError> {
        let mut row = CheckRow { from: clock::now().wall, ..CheckRow::default() };
        let mut after: Option<CallId> = None;
        let mut asking = Asking::default();
        loop {
            let files = self.store.sealed_files(after, PAGE).await?;
            let Some(last) = files.last().map(|file| file.call) else { break };
            after = Some(last);
            for sealed in files {
                let begin = tokio::time::Instant::now();
                let Some(seen) = self.look_patiently(&sealed, &mut asking).await? else { continue };
                row.own += seen.own;
                row.copies += seen.copies;
                for mended in seen.mended {
                    warn!(%mended, "a second copy was not what the log says, and is copied again");
                }
                for fault in seen.faults {
                    error!(%fault, "a recording is not what the log says");
                    row.faults += 1;
                    if row.named.is_empty() {
                        row.named = fault;
                    }
                }
                // Others want the disks too.
                tokio::time::sleep(begin.elapsed().min(AGAIN)).await;
            }
        }
        row.to = clock::now().wall;
        let CheckRow { own, copies, faults, .. } = row;
        info!(own, copies, faults, away = asking.away, "both copies compared");
        // What nobody could look at again is as it was found before.
        if asking.away
            && let Some(before) = self.store.last_copy_check().await?
            && before.faults > row.faults
        {
            (row.faults, row.named) = (before.faults, before.named);
        }
        self.known().away = asking.away;
        self.store.copies_checked(row.clone()).await?;
        self.compared(&row);
        Ok(row)
    }

    /// A store that gives no answer is asked again for a while: its copy is then left to the next comparison where the
    /// store is away, and is a fault where the store is there.
    pub(super) async fn look_patiently(
        &self,
        sealed: &SealedFile,
        asking: &mut Asking,
    ) -> Result<Option<Compared>, StoreError> {
        let mut hangs = false;
        for _ in 1..TRIES {
            let begin = tokio::time::Instant::now();
            let alone = asking.alone_until.is_some_and(|until| tokio::time::Instant::now() < until);
            let ask = if alone { Ask::Nothing } else { Ask::First };
            let seen = self.look_at_both(sealed.clone(), ask).await?;
            match seen.as_ref().and_then(|seen| seen.silent) {
                None => return Ok(seen),
                Some(Silent::Refuses) if asking.refused >= REFUSED_AT_MOST => {
                    // What is refused at once holds up nobody.
                    hangs = begin.elapsed() >= self.again;
                    break;
                }
                Some(_) => tokio::time::sleep(self.again).await,
            }
        }
        let seen = self.look_at_both(sealed.clone(), Ask::Last).await?;
        let leave = match seen.as_ref().and_then(|seen| seen.silent) {
            Some(Silent::Away) => {
                asking.away = true;
                true
            }
            Some(Silent::Refuses) => {
                asking.refused += 1;
                hangs
            }
            None => false,
        };
        if leave {
            warn!("the store is away or hangs: our own recordings are compared alone for now");
            asking.alone_until = Some(tokio::time::Instant::now() + ALONE);
        }
        Ok(seen)
    }

    /// As it is kept by now, which may be another file than when it was asked for; `None`: two people have given it up
    /// since.
    pub(super) async fn look_at_both(
        &self,
        asked: SealedFile,
        ask: Ask,
    ) -> Result<Option<Compared>, StoreError> {
        let _turn = self.plan.turns.lock().await;
        let Some(sealed) = self.store.sealed_file(asked.call, asked.kind).await? else {
            return Ok(None);
        };
        let looked = self.at_the_disk(move |plan| compare(plan, &sealed, ask)).await;
        Ok(Some(looked.unwrap_or_else(|error| Compared {
            faults: vec![error.to_string()],
            ..Compared::default()
        })))
    }

    pub(super) fn compared(&self, row: &CheckRow) {
        self.board.update(|status| match row.faults {
            0 => drop(status.alarms.remove("copies_differ")),
            faults => {
                let named = &row.named;
                let alarm = Alarm {
                    since: row.to,
                    zh: format!(
                        "录音核对：{faults} 个文件与记录不符或读不到（{named}），请管理员查明，用另一份恢复，勿删除任何文件"
                    ),
                    en: format!(
                        "{faults} files are not what the log says or cannot be read ({named}): find out why, restore them from the other copy and delete nothing"
                    ),
                };
                status.alarms.insert("copies_differ", alarm);
            }
        });
    }
}
