//! Begins the roll-call (点名) when it is due, once, also after a restart.

use crate::duty::roll_call::RollCallPlan;
use crate::duty::roster::Roster;
use crate::io::clock;
use crate::io::store::{Called, Store, StoreError, Try};
use crate::protocol::now::Now;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

/// How often the clock is looked at.
const GLANCE: Duration = Duration::from_secs(10);

/// Who is called at this moment: each person once, whatever he holds.
///
/// # Errors
/// When the log cannot say who holds a role.
pub async fn people(
    plan: &RollCallPlan,
    store: &Store,
    list: &Roster,
    now: Now,
) -> Result<Vec<Try>, StoreError> {
    let roster = store.roster_now(list, now).await?;
    let mut people: Vec<Try> = vec![];
    for role in &plan.roles {
        let Some(person) = roster.holder(*role) else { continue };
        if people.iter().all(|one| one.person != person.name) {
            let (person, number) = (person.name.clone(), String::new());
            people.push(Try { person, role: *role, number });
        }
    }
    Ok(people)
}

/// Until the daemon stops.
pub async fn keep(
    plan: RollCallPlan,
    store: Store,
    roster: Roster,
    wake: Arc<Notify>,
    stopping: CancellationToken,
) {
    let (mut begun, mut waits) = (None, None);
    while !plan.at.is_empty() {
        let now = clock::now();
        if let Some(run) = plan.due(now.wall).filter(|run| begun.as_ref() != Some(run)) {
            match begin(&plan, &store, &roster, &run, now).await {
                Ok(Called::Begun) => {
                    info!(run, "the roll-call begins");
                    wake.notify_one();
                    begun = Some(run);
                }
                Ok(Called::Already) => begun = Some(run),
                Ok(Called::Going) if waits.as_ref() != Some(&run) => {
                    warn!(run, "the roll-call waits: another is not over");
                    waits = Some(run);
                }
                Ok(Called::Nobody) if waits.as_ref() != Some(&run) => {
                    warn!(run, "the roll-call waits: nobody holds a role that it calls");
                    waits = Some(run);
                }
                Ok(Called::Going | Called::Nobody) => {}
                Err(error) => warn!(%error, run, "the roll-call cannot begin: again"),
            }
        }
        tokio::select! {
            () = tokio::time::sleep(GLANCE) => {}
            () = stopping.cancelled() => return,
        }
    }
}

async fn begin(
    plan: &RollCallPlan,
    store: &Store,
    roster: &Roster,
    run: &str,
    now: Now,
) -> Result<Called, StoreError> {
    let people = people(plan, store, roster, now).await?;
    store.roll_call(None, run, people, now).await
}
