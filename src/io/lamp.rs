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
use tracing::{debug, info, warn};

/// Who is on duty changes with the hour, of which nobody tells.
const LOOK: Duration = Duration::from_secs(30);
/// What happens in such a short time is looked at once.
const GATHER: Duration = Duration::from_millis(200);
/// When the daemon stops, telephones have so long to put their lamps out.
const OUT_WITHIN: Duration = Duration::from_secs(2);

pub struct Office {
    pub slips: Slips,
    pub store: Store,
    pub board: Board,
    /// The list of the configuration.
    pub roster: Roster,
    /// Whoever holds these has a telephone with a lamp in his office.
    pub roles: Vec<Role>,
}

/// Until the daemon is told to stop, and the lamps that were lit are out: nobody would put them out afterwards.
pub async fn keep(office: Office, finishing: CancellationToken) {
    let mut live = office.board.listen();
    let mut lamps = Lamps::default();
    let mut under_way: JoinSet<(String, Reply)> = JoinSet::new();
    let mut look = clock::mono();
    while !finishing.is_cancelled() {
        if look <= clock::mono() {
            look = clock::mono() + LOOK;
            match wanted(&office).await {
                Ok(wanted) => lamps.handle_wanted(&wanted, clock::mono()),
                Err(error) => warn!(%error, "whose matters are unread cannot be read"),
            }
        }
        while let Some((phone, lit)) = lamps.poll(clock::mono()) {
            debug!(phone, lit, "telling a telephone's lamp");
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
            () = finishing.cancelled() => {}
        }
    }
    put_out(&office.slips, lamps.lit()).await;
}

async fn put_out(slips: &Slips, lit: Vec<&str>) {
    let mut telling = JoinSet::new();
    for phone in lit {
        let (slips, phone) = (slips.clone(), phone.to_owned());
        telling.spawn(async move { slips.send(&phone, Says::Waiting(false)).await });
    }
    if tokio::time::timeout(OUT_WITHIN, telling.join_all()).await.is_err() {
        info!("a telephone's lamp may still be lit: the next run sees to it");
    }
}

fn soon(look: Mono) -> Mono {
    look.min(clock::mono() + GATHER)
}

/// Every telephone with a lamp: of whoever is on duty now. The others of the list are out, which an earlier run may have
/// lit; the desk's own is not ours.
async fn wanted(office: &Office) -> super::store::Result<BTreeMap<String, bool>> {
    let now = office.store.roster_now(&office.roster, clock::now()).await?;
    let holders = office.roles.iter().filter_map(|role| now.holder(*role).map(|one| (*role, one)));
    let holders: Vec<_> = holders.collect();
    let asked = holders.iter().map(|(role, one)| (one.name.clone(), *role == Role::Leader));
    let unread = office.store.unread(asked.collect()).await?;
    let desk = |role: Role| role == Role::Officer && !office.roles.contains(&role);
    let listed = office.roster.people.iter().filter(|one| !desk(one.role));
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
        info!(?reply, "a telephone's lamp was not set");
        debug!(phone, ?reply, "of this telephone");
    }
    took
}

fn show(board: &Board, dark: &[&str]) {
    board.update(|status| match dark {
        [] => drop(status.alarms.remove("lamp")),
        dark => {
            let phones = dark.join("、");
            let shown = status.alarms.get("lamp").map(|alarm| alarm.since);
            let alarm = Alarm {
                since: shown.unwrap_or_else(|| clock::now().wall),
                zh: format!("话机 {phones} 的留言灯点不亮，请检查话机和交换机；电话呼叫不受影响"),
                en: format!("the lamp of telephone {phones} cannot be lit, see to it and to the PBX; calls go on"),
            };
            status.alarms.insert("lamp", alarm);
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::duty::roster::Person;
    use crate::duty::switchboard::Input;
    use crate::io::slips;
    use crate::protocol::random::Random;
    use tokio::sync::mpsc;

    /// A room whose leader has 3101 and whose substitute has 3102; what its telephones are told, each of which takes it.
    fn room() -> (Office, Told) {
        let (orders, mut ordered) = mpsc::channel(8);
        let ended = slips::outcomes();
        let answer = ended.clone();
        let (tell, told) = mpsc::unbounded_channel();
        tokio::spawn(async move {
            while let Some(Input::Slip(slip)) = ordered.recv().await {
                let Says::Waiting(lit) = slip.says else { panic!("{slip:?}") };
                let _ = tell.send((slip.target, lit));
                let _ = answer.send((slip.id, Reply::Status(200)));
            }
        });
        let person = |name: &str, role, office| Person::new(name, role, None, Some(office));
        let people = vec![
            person("张局", Role::Leader, "3101"),
            person("李副局", Role::Substitute, "3102"),
            person("值班台话机", Role::Officer, "2001"),
        ];
        let store = Store::open_in_memory(Random::from_seed([4; 32])).unwrap();
        let office = Office {
            slips: Slips::new(orders, ended),
            store,
            board: Board::new(),
            roster: Roster { people },
            roles: vec![Role::Leader],
        };
        (office, told)
    }

    type Told = mpsc::UnboundedReceiver<(String, bool)>;

    /// Two telephones are told something, soon.
    async fn two(told: &mut Told) -> [(String, bool); 2] {
        let mut next = async || {
            let one = tokio::time::timeout(Duration::from_secs(10), told.recv()).await;
            one.expect("a telephone is told in time").expect("the room is there")
        };
        [next().await, next().await]
    }

    #[tokio::test]
    async fn sig_mwi_whoever_held_a_role_before_a_restart_has_his_lamp_put_out() {
        let (office, mut told) = room();
        let finishing = CancellationToken::new();
        let keeping = tokio::spawn(keep(office, finishing.clone()));
        let out = |phone: &str| (phone.to_owned(), false);
        assert_eq!(two(&mut told).await, [out("3101"), out("3102")]);
        finishing.cancel();
        keeping.await.unwrap();
        assert!(told.try_recv().is_err(), "the desk's own telephone is left alone");
    }

    #[tokio::test]
    async fn sig_mwi_what_is_lit_is_put_out_when_the_daemon_stops() {
        let (office, mut told) = room();
        put_out(&office.slips, vec!["3101", "3102"]).await;
        let mut out = two(&mut told).await;
        out.sort();
        assert_eq!(out, [("3101".to_owned(), false), ("3102".to_owned(), false)]);
    }

    #[test]
    fn sig_mwi_the_alarm_names_the_telephones_that_are_dark_now() {
        let board = Board::new();
        show(&board, &["3101"]);
        let first = board.status().alarms["lamp"].clone();
        assert!(first.zh.contains("3101"), "{first:?}");
        show(&board, &["3102", "3103"]);
        let then = board.status().alarms["lamp"].clone();
        assert!(then.zh.contains("3102、3103") && then.en.contains("3102、3103"), "{then:?}");
        assert!(!then.zh.contains("3101") && then.since == first.since, "{then:?}");
        show(&board, &[]);
        assert!(!board.status().alarms.contains_key("lamp"));
    }
}
