//! Recordings that lack something because the daemon died in the middle: told for a while, since only people can ask for
//! what was said meanwhile.

use crate::io::status::{Alarm, Board};
use crate::protocol::now::Now;
use std::time::Duration;
use tokio::time::{Instant, sleep_until};
use tracing::warn;

const KEY: &str = "cut";
const SHOWN: Duration = Duration::from_secs(1800);

/// What is on the page of it.
#[derive(Debug, Default)]
pub struct Cut {
    calls: usize,
    until: Option<Instant>,
}

impl Cut {
    pub fn happened(&mut self, calls: usize, board: &Board, now: Now) {
        self.calls += calls;
        self.until = Some(Instant::now() + SHOWN);
        let calls = self.calls;
        warn!(calls, "the daemon died in the middle of a call: its recording is not whole");
        let zh = format!(
            "服务在通话中中断过，{calls} 个通话的录音缺了一段：请凭记忆补记，必要时回拨核实"
        );
        let en = format!(
            "the service was interrupted in the middle of {calls} calls, whose recordings lack something: add what you remember, call back where needed"
        );
        let alarm = Alarm { since: now.wall, zh, en };
        board.update(|status| drop(status.alarms.insert(KEY, alarm)));
    }

    /// When it has been shown for long enough.
    pub async fn is_old(&self) {
        match self.until {
            Some(until) => sleep_until(until).await,
            None => std::future::pending().await,
        }
    }

    pub fn forget(&mut self, board: &Board) {
        *self = Self::default();
        board.update(|status| drop(status.alarms.remove(KEY)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::io::clock;

    #[tokio::test]
    async fn rec_d1_recordings_that_were_cut_are_counted_on_the_page_for_half_an_hour() {
        let (board, mut cut) = (Board::new(), Cut::default());
        cut.happened(2, &board, clock::now());
        cut.happened(1, &board, clock::now());
        assert!(board.status().alarms[KEY].zh.contains("3 个通话的录音缺了一段"));
        let until = cut.until.unwrap();
        assert!(until > Instant::now() + SHOWN - Duration::from_secs(10));
        cut.until = Some(until - SHOWN);
        cut.is_old().await;
        cut.forget(&board);
        assert!(board.status().alarms.is_empty());
    }
}
