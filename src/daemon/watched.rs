//! The parts beside the telephone: one that panics ends by itself, without a word; the page, monitoring and the alarm channels
//! say so.

use crate::io::clock;
use crate::io::status::{Alarm, Board};
use tokio::task::{AbortHandle, JoinError, JoinHandle};
use tracing::error;

/// Ends with whoever waits for it.
struct Part(AbortHandle);

impl Drop for Part {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Each of them is aborted with its watcher.
pub fn watched(parts: Vec<JoinHandle<()>>, board: &Board) -> Vec<JoinHandle<()>> {
    let watch = |part: JoinHandle<()>| {
        let board = board.clone();
        tokio::spawn(async move {
            let _ends_too = Part(part.abort_handle());
            if let Err(fault) = part.await
                && fault.is_panic()
            {
                tell(fault, &board);
            }
        })
    };
    parts.into_iter().map(watch).collect()
}

fn tell(fault: JoinError, board: &Board) {
    let what = fault.into_panic();
    let said = what.downcast_ref::<&str>().map(|said| (*said).to_owned());
    let said = said.or_else(|| what.downcast_ref::<String>().cloned()).unwrap_or_default();
    error!(
        said,
        "a part of the daemon has panicked and is gone until it is restarted: restart it when nobody speaks, and report it"
    );
    let alarm = Alarm {
        since: clock::now().wall,
        zh: format!(
            "值班服务有一部分出错停了，电话不受影响，但写记录、录音入库、呼叫领导或通知可能已停：请先人工补上，没有人通话时重启值班服务，并报告（{said}）"
        ),
        en: format!(
            "A part of the daemon has died. Calls go on; writing the log, binding recordings, calling leaders or telling others may have stopped: do it by hand, restart the daemon when nobody speaks, and report it ({said})"
        ),
    };
    board.update(|status| {
        status.alarms.entry("part").or_insert(alarm);
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    #[tokio::test]
    async fn rel_29_a_part_that_panics_is_an_alarm_one_that_ends_is_none_and_each_ends_with_its_watcher()
     {
        let board = Board::new();
        let held = Arc::new(());
        let holds = Arc::clone(&held);
        let for_ever = async move {
            let _holds = holds;
            std::future::pending::<()>().await;
        };
        let ends = watched(vec![tokio::spawn(async {})], &board);
        for part in ends {
            part.await.unwrap();
        }
        assert!(board.status().alarms.is_empty());
        let panics = tokio::spawn(async { panic!("of no sense") });
        let parts = watched(vec![panics, tokio::spawn(for_ever)], &board);
        let mut changes = board.changes();
        changes.wait_for(|status| status.alarms.contains_key("part")).await.unwrap();
        assert!(board.status().alarms["part"].zh.contains("of no sense"));
        assert!(!parts[1].is_finished() && Arc::strong_count(&held) == 2);
        parts[1].abort();
        while Arc::strong_count(&held) > 1 {
            tokio::task::yield_now().await;
        }
    }
}
