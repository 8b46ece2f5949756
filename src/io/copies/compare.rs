//! One file of both places beside what the log says of it.

use super::Plan;
use super::place::Place;
use crate::io::store::SealedFile;

/// What is asked of the second place when it is far.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ask {
    /// Its copy first: where no answer comes, nothing else is done, and it is asked again.
    First,
    /// As [`Ask::First`], and what comes counts.
    Last,
    Nothing,
}

/// Why a store gave no answer for a copy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Silent {
    /// It cannot be asked for anything: nothing is known of its copy.
    Away,
    /// It answers, and gives this one not.
    Refuses,
}

/// How many files were read on each disk, what is wrong, and what was and is copied again.
#[derive(Debug, Default)]
pub struct Compared {
    pub own: u64,
    pub copies: u64,
    pub faults: Vec<String>,
    pub mended: Vec<String>,
    pub silent: Option<Silent>,
}

pub fn compare(plan: &Plan, sealed: &SealedFile, ask: Ask) -> Compared {
    let (recordings, copies, path) = (&plan.recordings, &plan.copies, &sealed.path);
    let differs = |place: &Place, digest: &str| {
        (digest != sealed.sha256).then(|| format!("{}: another content", place.at(path)))
    };
    let look = |place: &Place| match place.digest(path) {
        Ok(digest) => differs(place, &digest),
        Err(why) => Some(why),
    };
    let mut seen = Compared::default();
    let asked = sealed.copied && !(copies.is_far() && ask == Ask::Nothing);
    // Of a store before our own: whoever waits for it reads our own disk once.
    let mut far = None;
    if let Place::Bucket(bucket) = copies
        && asked
    {
        far = match bucket.find(path) {
            Ok(Some(digest)) => differs(copies, &digest),
            Ok(None) => Some(format!("{}: 不见了 · is gone", copies.at(path))),
            Err(why) => {
                // One object may be refused by a store that gives all others.
                let reached = copies.look(recordings, None).is_ok();
                seen.silent = Some(if reached { Silent::Refuses } else { Silent::Away });
                Some(format!(
                    "{}: 对象存储没有给出，未能核对 · the store gave no answer for it ({why})",
                    copies.at(path)
                ))
            }
        };
        if seen.silent.is_some() && ask == Ask::First {
            return seen;
        }
    }
    let own = look(&Place::Folder(recordings.clone()));
    let own_is_good = own.is_none();
    seen.own = 1;
    seen.faults.extend(own);
    if !sealed.copied {
        for fault in &mut seen.faults {
            fault.push_str(" (没有第二份 · no second copy)");
        }
        return seen;
    }
    if let Err(why) = copies.apart(recordings, path) {
        seen.faults.push(why);
        return seen;
    }
    if !asked || seen.silent == Some(Silent::Away) {
        return seen;
    }
    seen.copies = 1;
    let copy = if copies.is_far() { far } else { look(copies) };
    if let Some(why) = copy {
        // Not where the disk has gone meanwhile.
        let mended = own_is_good
            && seen.silent.is_none()
            && copies.look(recordings, (!copies.is_far()).then_some(path)).is_ok()
            && copies.copy(recordings, path, &sealed.sha256).is_ok();
        if mended { &mut seen.mended } else { &mut seen.faults }.push(why);
    }
    seen
}
