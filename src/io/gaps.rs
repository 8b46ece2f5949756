//! Alarms that are outages become rows: what was wrong, from when to when.

use crate::duty::gaps::OutageKind;
use crate::io::outages::Outages;
use crate::io::status::{Alarm, Board, Status};
use std::collections::{BTreeMap, BTreeSet};
use tokio_util::sync::CancellationToken;

/// Which alarm is an outage of what. Line, log and recorder write rows of their own.
const ALARMS: &[(&str, OutageKind)] = &[
    ("disk", OutageKind::Storage),
    ("data_disk", OutageKind::Storage),
    ("recordings", OutageKind::Storage),
    ("srtp", OutageKind::Media),
    ("media", OutageKind::Media),
];

/// Follows the alarms until `stopping`.
pub async fn keep(told: Outages, board: Board, stopping: CancellationToken) {
    let mut seen = board.changes();
    let mut open = BTreeSet::new();
    loop {
        let wanted = outages(&seen.borrow_and_update());
        for (kind, alarm) in &wanted {
            if open.insert(*kind) {
                let why = format!("{} · {}", alarm.zh, alarm.en);
                told.began(*kind, alarm.since, why).await;
            }
        }
        let over: Vec<_> = open.iter().copied().filter(|kind| !wanted.contains_key(kind)).collect();
        for kind in over {
            open.remove(&kind);
            told.over(kind).await;
        }
        tokio::select! {
            changed = seen.changed() => if changed.is_err() { return },
            () = stopping.cancelled() => return,
        }
    }
}

fn outages(status: &Status) -> BTreeMap<OutageKind, Alarm> {
    let mut found: BTreeMap<OutageKind, Alarm> = BTreeMap::new();
    for (key, kind) in ALARMS {
        if let Some(alarm) = status.alarms.get(key) {
            let earlier = found.get(kind).is_some_and(|known| known.since <= alarm.since);
            if !earlier {
                found.insert(*kind, alarm.clone());
            }
        }
    }
    found
}
