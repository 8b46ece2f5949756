//! Whether whoever is on duty can be had (esc_74): looked at for the pages, and by itself at eight in the morning.

use crate::duty::escalation::Policy;
use crate::duty::rehearsal::{Finding, reach};
use crate::duty::roll_call::RollCallPlan;
use crate::duty::roster::{Person, Role, Roster};
use crate::io::clock;
use crate::io::policies::Policies;
use crate::io::status::{Alarm, Board};
use crate::io::store::{Store, StoreError};
use crate::protocol::now::Now;
use chrono::{NaiveTime, TimeDelta};
use std::time::Duration;
use tokio_util::sync::CancellationToken;
use tracing::warn;

/// How often the clock is looked at, and the log again while the alarm stands.
const GLANCE: Duration = Duration::from_secs(10);
const ALARM: &str = "reach";
/// After midnight in Beijing.
const DAILY: TimeDelta = TimeDelta::hours(8);

/// What is wrong with those on duty now, and with whom the roster has for later.
///
/// # Errors
/// When the log cannot be read.
pub async fn look(
    store: &Store,
    policy: &Policy,
    list: &Roster,
    now: Now,
) -> Result<Vec<Finding>, StoreError> {
    let roster = store.roster_now(list, now).await?;
    let (duties, substitutions) = store.duties(now).await?;
    let duties = duties.iter().map(|row| (row.role, &row.person));
    let stand_ins = substitutions.iter().map(|row| (Role::Substitute, &row.given.stands_in));
    let coming = duties.chain(stand_ins).filter_map(|(role, name)| {
        list.named(name).map(|person| Person { role, ..person.clone() })
    });
    let coming: Vec<Person> = coming.collect();
    let proved = store.proved(list).await?;
    Ok(reach(policy, &roster, &coming, &proved, now.wall))
}

/// Until the daemon stops: an alarm at eight, until it is mended.
pub async fn keep(
    store: Store,
    board: Board,
    policies: Policies,
    list: Roster,
    stopping: CancellationToken,
) {
    let daily = RollCallPlan { at: vec![NaiveTime::MIN + DAILY], roles: vec![] };
    let mut done = None;
    loop {
        let now = clock::now();
        let due = daily.due(now.wall).filter(|run| done.as_ref() != Some(run));
        if due.is_some() || board.status().alarms.contains_key(ALARM) {
            let policy = policies.now().in_force(now.wall).figures.clone();
            match look(&store, &policy, &list, now).await {
                Ok(found) => {
                    show(&board, &found, now);
                    done = due.or(done);
                }
                Err(error) => warn!(%error, "whether whoever is on duty can be had is not known"),
            }
        }
        tokio::select! {
            () = tokio::time::sleep(GLANCE) => {}
            () = stopping.cancelled() => return,
        }
    }
}

fn show(board: &Board, found: &[Finding], now: Now) {
    let red: Vec<&Finding> = found.iter().filter(|one| one.refused).collect();
    let said =
        |text: fn(&Finding) -> &str| red.iter().map(|one| text(one)).collect::<Vec<_>>().join("；");
    let (zh, en) = (said(|one| &one.zh), said(|one| &one.en));
    board.update(|status| {
        if red.is_empty() {
            status.alarms.remove(ALARM);
            return;
        }
        let since = status.alarms.get(ALARM).map_or(now.wall, |before| before.since);
        let zh = format!("值班表检查：{zh}");
        let en = format!("the roster of today: {en}");
        status.alarms.insert(ALARM, Alarm { since, zh, en });
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn esc_74_what_is_red_is_one_alarm_until_it_is_mended() {
        let (board, now) = (Board::new(), clock::now());
        let finding = |refused, zh: &str| Finding { refused, zh: zh.into(), en: zh.into() };
        show(&board, &[finding(false, "甲")], now);
        assert!(board.status().alarms.is_empty(), "what could be better wakes nobody");
        show(&board, &[finding(true, "乙"), finding(true, "丙"), finding(false, "甲")], now);
        let later = Now { wall: now.wall + TimeDelta::minutes(1), ..now };
        show(&board, &[finding(true, "丙")], later);
        let alarm = board.status().alarms[ALARM].clone();
        assert_eq!((alarm.zh.as_str(), alarm.since), ("值班表检查：丙", now.wall));
        show(&board, &[], later);
        assert!(board.status().alarms.is_empty());
    }
}
