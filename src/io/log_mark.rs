//! An alarm while it cannot be kept beside the log how far that has come: a backup that is put back would not be known for one.

use super::clock;
use super::status::{Alarm, Board};
use super::store::Store;
use tokio_util::sync::CancellationToken;
use tracing::{error, info};

const ALARM: &str = "log_mark";

/// Until the daemon stops.
pub async fn keep(store: Store, board: Board, stopping: CancellationToken) {
    let mut unmarked = store.unmarked();
    loop {
        let why = unmarked.borrow_and_update().clone();
        tell(why, &board);
        tokio::select! {
            changed = unmarked.changed() => {
                if changed.is_err() {
                    return;
                }
            }
            () = stopping.cancelled() => return,
        }
    }
}

fn tell(why: Option<String>, board: &Board) {
    let before = board.status().alarms.get(ALARM).map(|alarm| alarm.since);
    let Some(why) = why else {
        if before.is_some() {
            info!("how far the log has come is kept beside it again");
        }
        return board.update(|status| drop(status.alarms.remove(ALARM)));
    };
    error!(%why, "how far the log has come is not kept beside it: of a backup that is put back nobody would know what it lacks, and numbers would be given twice; check the data disk");
    let alarm = Alarm {
        since: before.unwrap_or_else(|| clock::now().wall),
        zh: format!(
            "值班记录写到哪里没能记在旁边，记录本身照常写入；这期间若换上备份，将看不出缺了哪一段，编号也会重复。请检查数据盘，修好后会自动补上（{why}）"
        ),
        en: format!(
            "How far the log has come cannot be kept beside it; the log itself is written. Of a backup that is put back now nobody would know what it lacks, and numbers would be given twice. Check the data disk; it is made good by itself ({why})"
        ),
    };
    board.update(|status| drop(status.alarms.insert(ALARM, alarm)));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::duty::journal::Noted;
    use crate::io::store::tests::{arrival, at};
    use std::fs;
    use std::time::Duration;

    #[tokio::test]
    async fn rel_12_a_mark_beside_the_log_that_cannot_be_written_is_an_alarm_until_it_can() {
        let folder = tempfile::tempdir().unwrap();
        let mark = folder.path().join("dutyline.db.reached");
        fs::create_dir(&mark).unwrap();
        let store = Store::open(&folder.path().join("dutyline.db"), clock::random()).unwrap();
        store.is_taken_up(true, clock::now()).await.unwrap();
        let (board, stopping) = (Board::new(), CancellationToken::new());
        let keeping = tokio::spawn(keep(store.clone(), board.clone(), stopping.clone()));
        let mut changes = board.changes();
        for (n, fails) in [(1, true), (2, false)] {
            if !fails {
                fs::remove_dir(&mark).unwrap();
            }
            store.note(Noted { at: at(f64::from(n)), fact: arrival(n, "101") }).await.unwrap();
            let told = changes.wait_for(|now| now.alarms.contains_key(ALARM) == fails);
            let told = tokio::time::timeout(Duration::from_secs(20), told).await.unwrap();
            let alarm = told.unwrap().alarms.get(ALARM).cloned();
            let names = |alarm: Alarm| alarm.zh.contains("dutyline.db.reached");
            assert_eq!(alarm.map(names), fails.then_some(true));
        }
        let kept = fs::read(&mark).unwrap();
        assert!(kept.len() > 84, "what was not kept meanwhile is there, too");
        stopping.cancel();
        keeping.await.unwrap();
    }
}
