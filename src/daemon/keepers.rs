//! Who looks after recordings: the disk they are on, their second copies, their form, and the end of their time; and after
//! the mark beside the log.

use crate::config::Config;
use crate::io::copies::place::Place;
use crate::io::{copies, disk, flac, keeping, log_mark, logbook, orphans};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

pub fn keepers(
    config: &Config,
    readers: &logbook::Readers,
    stopping: &CancellationToken,
) -> Vec<JoinHandle<()>> {
    let logbook::Readers { store, board, .. } = readers.clone();
    let storage = &config.storage;
    let recordings = storage.recordings.clone();
    let copies = storage.copies.as_ref().map(Place::of);
    let plan = disk::DiskPlan {
        data: storage.data.clone(),
        recordings: recordings.clone(),
        low_space: storage.low_space,
        ballast: storage.ballast,
    };
    let watching = disk::watch(plan, board.clone());
    let until = stopping.clone();
    let sweeping = orphans::keep_sweeping(store.clone(), recordings.clone(), board.clone(), until);
    let turns = copies::Turns::default();
    let copying = copies.clone().map(|copies| {
        let (recordings, turns) = (recordings.clone(), turns.clone());
        let plan = copies::Plan { recordings, copies, turns };
        copies::keep(plan, store.clone(), board.clone(), stopping.clone())
    });
    let encoding = config.flac.map(|after| {
        let (recordings, copies, turns) = (recordings.clone(), copies.clone(), turns.clone());
        let plan = flac::Plan { recordings, copies, turns, after };
        flac::keep(plan, store.clone(), board.clone(), stopping.clone())
    });
    let plan = keeping::Plan { recordings, copies, turns };
    let marking = log_mark::keep(store.clone(), board.clone(), stopping.clone());
    let destroying = keeping::keep(plan, store, board, stopping.clone());
    let mut tasks = vec![tokio::spawn(watching), tokio::spawn(sweeping), tokio::spawn(destroying)];
    tasks.push(tokio::spawn(marking));
    tasks.extend(copying.map(tokio::spawn));
    tasks.extend(encoding.map(tokio::spawn));
    tasks
}
