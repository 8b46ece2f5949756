//! Keeps the lamps of leaders' telephones (RFC 3842): looks in the log whose matters are unread, and tells each
//! telephone by the duty line.

use super::clock;
use super::slips::Slips;
use super::status::{Alarm, Board, Live};
use super::store::Store;
use crate::duty::lamp::{Lamps, Took};
use crate::duty::roster::{Role, Roster};
use crate::protocol::now::{Mono, earlier};
use crate::protocol::sip::slip::{Reply, Says};
use std::collections::BTreeMap;
use std::time::Duration;
use tokio::sync::broadcast::{self, error::RecvError};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

/// Who is on duty changes with the hour, of which nobody tells.
const LOOK: Duration = Duration::from_secs(30);
/// What happens in such a short time is looked at once.
const GATHER: Duration = Duration::from_millis(200);

pub struct Office {
    pub slips: Slips,
    pub store: Store,
    pub board: Board,
    /// The list of the configuration.
    pub roster: Roster,
    /// Whoever holds these has a telephone with a lamp in his office.
    pub roles: Vec<Role>,
}

pub async fn keep(office: Office, stopping: CancellationToken) {
    let mut live = office.board.listen();
    let mut lamps = Lamps::default();
    let mut under_way: JoinSet<(String, Reply)> = JoinSet::new();
    let mut look = clock::mono();
    while !stopping.is_cancelled() {
        if look <= clock::mono() {
            look = clock::mono() + LOOK;
            match wanted(&office).await {
                Ok(wanted) => lamps.handle_wanted(&wanted, clock::mono()),
                Err(error) => warn!(%error, "whose matters are unread cannot be read"),
            }
        }
        while let Some((phone, lit)) = lamps.poll(clock::mono()) {
            info!(phone, lit, "telling a telephone's lamp");
            let slips = office.slips.clone();
            under_way.spawn(async move {
                let reply = slips.send(&phone, Says::Waiting(lit)).await;
                (phone, reply)
            });
        }
        show(&office.board, &lamps.dark());
        let due = earlier(lamps.poll_timeout(), Some((look, "the roster may have changed")));
        tokio::select! {
            () = clock::until(due) => {}
            () = news(&mut live) => look = soon(look),
            Some(done) = under_way.join_next() => {
                if let Ok((phone, reply)) = done {
                    lamps.handle_told(&phone, took(&phone, reply), clock::mono());
                }
            }
            () = stopping.cancelled() => return,
        }
    }
}

fn soon(look: Mono) -> Mono {
    look.min(clock::mono() + GATHER)
}

/// Every telephone with a lamp: of the list, and of whoever is on duty now.
async fn wanted(office: &Office) -> super::store::Result<BTreeMap<String, bool>> {
    let now = office.store.roster_now(&office.roster, clock::now()).await?;
    let holders = office.roles.iter().filter_map(|role| now.holder(*role).map(|one| (*role, one)));
    let holders: Vec<_> = holders.collect();
    let asked = holders.iter().map(|(role, one)| (one.name.clone(), *role == Role::Leader));
    let unread = office.store.unread(asked.collect()).await?;
    let listed = office.roles.iter().filter_map(|role| office.roster.holder(*role));
    let mut wanted: BTreeMap<String, bool> =
        listed.filter_map(|one| Some((one.office.clone()?, false))).collect();
    for (_, one) in holders {
        if let Some(phone) = one.office.clone() {
            *wanted.entry(phone).or_default() |= unread.contains(&one.name);
        }
    }
    Ok(wanted)
}

fn took(phone: &str, reply: Reply) -> Took {
    let took = match reply {
        Reply::Status(200..300) => Took::Yes,
        Reply::Status(405 | 415 | 489 | 501) => Took::Never,
        Reply::Status(_) | Reply::Silence | Reply::NotSent(_) => Took::No,
    };
    if took != Took::Yes {
        info!(phone, ?reply, "a telephone's lamp was not set");
    }
    took
}

fn show(board: &Board, dark: &[&str]) {
    board.update(|status| match dark {
        [] => drop(status.alarms.remove("lamp")),
        dark => {
            let phones = dark.join("、");
            status.alarms.entry("lamp").or_insert_with(|| Alarm {
                since: clock::now().wall,
                zh: format!("话机 {phones} 的留言灯点不亮，请检查话机和交换机；电话呼叫不受影响"),
                en: format!("the lamp of telephone {phones} cannot be lit, see to it and to the PBX; calls go on"),
            });
        }
    });
}

/// Ends when an escalation or an entry has changed, or may have.
async fn news(live: &mut broadcast::Receiver<Live>) {
    loop {
        match live.recv().await {
            Ok(Live::Escalation { .. } | Live::Entry { .. }) | Err(RecvError::Lagged(_)) => return,
            Ok(
                Live::Ringing { .. } | Live::NotPlaced { .. } | Live::Status | Live::Levels { .. },
            ) => {}
            Err(RecvError::Closed) => return std::future::pending().await,
        }
    }
}
