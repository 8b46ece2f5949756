//! That nobody is recorded reaches whoever mends it: alarms of the recorder and its disks go to the channels that are for
//! them, without the log, which may be on the same disk.

use super::troubles::Troubles;
use super::{Letter, Of, Sender, within};
use crate::duty::ids::DeliveryId;
use crate::duty::notices::{Alarms, Standing, Verdict, alarm_text, told};
use crate::io::clock;
use crate::io::status::{Board, Status};
use chrono::{DateTime, Utc};
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

/// Each try may last as long as the second one of an urgent matter.
const AFTER_FIRST: usize = 1;
/// After one that failed, doubling.
const AGAIN: Duration = Duration::from_millis(if cfg!(test) { 20 } else { 5000 });
const AGAIN_MAX: Duration = Duration::from_secs(300);
/// The clock of the host is looked at this often: a suspended host does not run timers.
const GLANCE: Duration = Duration::from_secs(1);

pub struct Teller {
    pub sender: Arc<Sender>,
    pub board: Board,
    pub troubles: Troubles,
}

impl Teller {
    /// Until `stopping`.
    pub async fn keep(self, stopping: CancellationToken) {
        let mut changes = self.board.changes();
        let (mut alarms, repeat) = (Alarms::default(), self.sender.plan().repeat);
        let (mut again, mut name) = (AGAIN, (Standing::new(), None));
        loop {
            let (standing, since) = stands(&changes.borrow_and_update());
            let now = clock::now();
            let wait = match alarms.is_due(&standing, repeat, now.mono) {
                Err(next) => next.map_or(GLANCE, |(at, _)| at.since(now.mono).min(GLANCE)),
                Ok(()) => {
                    if name.0 != standing {
                        name = (standing.clone(), None);
                    }
                    let since = since.unwrap_or(now.wall);
                    let new = || (DeliveryId::new(now, &mut clock::random()), since);
                    let (id, since) = *name.1.get_or_insert_with(new);
                    let verdict = tokio::select! {
                        verdict = self.say(&standing, (id, since), now.wall) => verdict,
                        () = stopping.cancelled() => return,
                    };
                    let is_again = again > AGAIN;
                    if self.is_taken(&verdict, is_again) {
                        alarms.was_said(&standing, clock::mono());
                        (again, name.1) = (AGAIN, None);
                        continue;
                    }
                    let wait = again;
                    again = (again * 2).min(AGAIN_MAX);
                    tokio::select! {
                        () = tokio::time::sleep(wait) => continue,
                        () = stopping.cancelled() => return,
                    }
                }
            };
            tokio::select! {
                () = tokio::time::sleep(wait) => {}
                changed = changes.changed() => if changed.is_err() { return },
                () = stopping.cancelled() => return,
            }
        }
    }

    async fn say(
        &self,
        standing: &Standing,
        (name, since): (DeliveryId, DateTime<Utc>),
        now: DateTime<Utc>,
    ) -> Verdict {
        let plan = self.sender.plan();
        let (channel, limit) = (&plan.name, plan.kind.limit(AFTER_FIRST));
        let (text, keys) = (alarm_text(standing), Vec::from_iter(standing.iter().copied()));
        let letter = Letter {
            name,
            of: Of::Alarm(&keys, since),
            items: &[],
            text: &text,
            codes: &[],
            line: &self.sender.line,
            now,
        };
        info!(channel, ?keys, "telling a channel of the recorder");
        within(limit, self.sender.carry(&letter, None, limit)).await
    }

    /// What may pass is shown when it comes again.
    fn is_taken(&self, verdict: &Verdict, is_again: bool) -> bool {
        let channel = &self.sender.plan().name;
        let shown = match verdict {
            Verdict::Accepted { .. } => {
                self.troubles.clear(channel);
                return true;
            }
            Verdict::Permanent { .. } | Verdict::Gone { .. } => true,
            Verdict::Retry { .. } | Verdict::Unknown { .. } => is_again,
        };
        warn!(channel, why = verdict.why(), "a channel did not take an alarm");
        if shown {
            self.troubles.add(channel, verdict.why());
        }
        false
    }
}

/// What is told of the alarms on the page, and since when the first of them stands.
fn stands(status: &Status) -> (Standing, Option<DateTime<Utc>>) {
    let standing = told(status.alarms.keys());
    let since = standing.iter().filter_map(|key| Some(status.alarms.get(key)?.since)).min();
    (standing, since)
}
