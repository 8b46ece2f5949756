//! Calls that an earlier run began and this one goes on with: their records of that time, and the
//! segments in which those stand.

use super::folders::Folders;
use super::recover::{self, Found};
use super::seal::Spot;
use crate::protocol::now::Mono;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;
use uuid::Uuid;

/// How long a sealed call's records stay: if the daemon dies before the log knows of it, the next start tells again.
const KEEP: Duration = Duration::from_secs(60);

#[derive(Debug, Default)]
pub struct Earlier {
    open: BTreeSet<Uuid>,
    spots: BTreeMap<Uuid, Vec<Spot>>,
    /// Which calls need a segment, and whether it is damaged.
    segments: BTreeMap<u32, (BTreeSet<Uuid>, bool)>,
    sealed: VecDeque<(Mono, Uuid)>,
}

impl Earlier {
    pub fn new(open: BTreeSet<Uuid>) -> Self {
        Self { open, ..Self::default() }
    }

    pub fn is_open(&self, call: Uuid) -> bool {
        self.open.contains(&call)
    }

    /// What was found of the calls that go on.
    pub fn take(&mut self, found: &Found) {
        for (call, spots) in found.calls.iter().filter(|(call, _)| self.open.contains(call)) {
            for spot in spots {
                let damaged = found.damaged.contains(&spot.place.segment);
                let segment = self.segments.entry(spot.place.segment).or_default();
                segment.0.insert(*call);
                segment.1 = damaged;
            }
            self.spots.insert(*call, spots.clone());
        }
    }

    pub fn needs(&self, segment: u32) -> bool {
        self.segments.contains_key(&segment)
    }

    pub fn spots(&self, call: Uuid) -> &[Spot] {
        self.spots.get(&call).map_or(&[], Vec::as_slice)
    }

    /// Whether the call was one of those; what it needed may go after a while.
    pub fn sealed(&mut self, call: Uuid, now: Mono) -> bool {
        let resumed = self.open.contains(&call);
        if resumed {
            self.sealed.push_back((now + KEEP, call));
        }
        resumed
    }

    /// Removes the segments that no call needs any more.
    pub fn put_away(&mut self, folders: &Folders, now: Mono) {
        while let Some((_, call)) = self.sealed.pop_front_if(|(due, _)| *due <= now) {
            self.spots.remove(&call);
            self.segments.retain(|segment, (calls, damaged)| {
                calls.remove(&call);
                if calls.is_empty()
                    && let Err(fault) = recover::put_away(folders, *segment, *damaged)
                {
                    tracing::warn!(segment, %fault, "cannot remove a segment of the tape whose calls are sealed");
                }
                !calls.is_empty()
            });
        }
    }
}
