//! What works beside the telephone: who calls leaders, who looks after clock and outages.

use super::OPEN_MATTERS;
use super::keepers::keepers;
use crate::config::{Config, Heartbeat};
use crate::duty::line_plan::Phone;
use crate::duty::roster::{Person, Role, Roster};
use crate::io::open_matters::OpenMatters;
use crate::io::policies::Policies;
use crate::io::pulse::Pulse;
use crate::io::{escalator, gaps, heartbeat, life, listening, logbook, reach, roll_call};
use chrono::{DateTime, Utc};
use std::sync::Arc;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// The escalator, who brings leaders recordings, and who looks after disk, clock and outages. `jumped`: how the clock
/// was found at the start.
pub fn beside(
    config: &Config,
    readers: &logbook::Readers,
    wanted: mpsc::Receiver<listening::Wanted>,
    (pulse, policies): (&Pulse, &Policies),
    jumped: Option<(DateTime<Utc>, DateTime<Utc>)>,
    (stopping, finishing): (&CancellationToken, &CancellationToken),
) -> Vec<JoinHandle<()>> {
    let logbook::Readers { store, board, orders, wake, memory, .. } = readers.clone();
    let (policies, roster) = (policies.clone(), with_desk(config));
    let stopping = stopping.clone();
    let storage = &config.storage;
    let data = storage.data.clone();
    let living = life::keep(data, jumped, readers.outages(), board.clone(), stopping.clone());
    let rolls = call_the_roll(config, readers, &stopping);
    let list = config.roster.clone();
    let on_duty =
        reach::keep(store.clone(), board.clone(), policies.clone(), list, stopping.clone());
    let gaps = gaps::keep(readers.outages(), board.clone(), stopping.clone());
    let office = escalator::Office {
        store,
        policies,
        roster,
        orders,
        wake,
        board,
        memory,
        open: OpenMatters::at(storage.data.join(OPEN_MATTERS)),
        finishing: finishing.clone(),
        pulse: pulse.clone(),
    };
    let escalating = escalator::run(office, stopping.clone());
    let mut tasks = vec![
        rolls,
        tokio::spawn(escalating),
        tokio::spawn(living),
        tokio::spawn(gaps),
        tokio::spawn(on_duty),
        bring_recordings(config, readers, wanted),
    ];
    tasks.extend(keepers(config, readers, &stopping));
    tasks
}

/// Who is called, and where the officer sits, for what the leaders say.
pub fn with_desk(config: &Config) -> Roster {
    let mut roster = config.roster.clone();
    let desk = |phone: &Phone| Person::new(&phone.name, Role::Officer, Some(&phone.target), None);
    roster.people.extend(config.phones.first().map(desk));
    roster
}

/// Beats for the witness, where there is one.
pub fn serve_heartbeat(
    config: &Config,
    readers: &logbook::Readers,
    policies: &Policies,
    (control, escalator): (Pulse, Pulse),
    stopping: &CancellationToken,
) -> Option<JoinHandle<()>> {
    let Some(Heartbeat::Watched { witness, secret }) = &config.heartbeat else { return None };
    let logbook::Readers { store, board, wake, memory, .. } = readers.clone();
    let (witness, key) = (*witness, secret.expose().to_owned());
    let (policies, roster) = (policies.clone(), with_desk(config));
    let beating = heartbeat::Beating {
        witness,
        key,
        store,
        board,
        policies,
        roster,
        memory,
        control,
        escalator,
        wake,
    };
    Some(tokio::spawn(heartbeat::keep(beating, stopping.clone())))
}

/// 点名 by the schedule.
fn call_the_roll(
    config: &Config,
    readers: &logbook::Readers,
    stopping: &CancellationToken,
) -> JoinHandle<()> {
    let (plan, roster) = (config.roll_call.clone(), config.roster.clone());
    let (store, wake) = (readers.store.clone(), Arc::clone(&readers.wake));
    tokio::spawn(roll_call::keep(plan, store, roster, wake, stopping.clone()))
}

/// Who brings leaders what they want to hear.
fn bring_recordings(
    config: &Config,
    readers: &logbook::Readers,
    wanted: mpsc::Receiver<listening::Wanted>,
) -> JoinHandle<()> {
    let logbook::Readers { store, board, orders, .. } = readers.clone();
    tokio::spawn(listening::run(wanted, store, board, config.storage.recordings.clone(), orders))
}
