//! An alarm while a call lasts suspiciously long: somebody may have forgotten to hang up, or a BYE
//! was lost.

use super::status::{Alarm, Board};
use crate::duty::ids::CallId;
use crate::duty::journal::{Fact, Noted};
use std::collections::BTreeSet;

#[derive(Default)]
pub struct LongCalls(BTreeSet<CallId>);

impl LongCalls {
    pub fn take(&mut self, noted: &Noted, board: &Board) {
        let changed = match &noted.fact {
            Fact::LongCall { call } => self.0.insert(*call),
            Fact::Ended { call, .. } => self.0.remove(call),
            _ => false,
        };
        if !changed {
            return;
        }
        let (count, since) = (self.0.len(), noted.at.wall);
        board.update(|status| {
            if count == 0 {
                status.alarms.remove("long_call");
                return;
            }
            let zh = format!("有 {count} 个通话时间过长，请确认是否仍在通话，听筒是否放好");
            let en = format!("{count} calls last suspiciously long: is anybody still talking?");
            status.alarms.insert("long_call", Alarm { since, zh, en });
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::duty::journal::Disposition;
    use crate::io::clock;
    use uuid::Uuid;

    #[test]
    fn rec_s1_the_alarm_stands_until_the_last_of_them_is_over() {
        let (board, mut long) = (Board::new(), LongCalls::default());
        let call = |n| CallId(Uuid::from_u128(n));
        let mut tell = |fact| {
            long.take(&Noted { at: clock::now(), fact }, &board);
            board.status().alarms.get("long_call").map(|alarm| alarm.zh.clone())
        };
        let ended = |call| Fact::Ended {
            call,
            disposition: Disposition::Answered,
            by: None,
            status: 200,
            why: String::new(),
        };
        assert_eq!(tell(ended(call(1))), None);
        assert!(tell(Fact::LongCall { call: call(1) }).unwrap().contains("1 个"));
        assert!(tell(Fact::LongCall { call: call(2) }).unwrap().contains("2 个"));
        assert!(tell(ended(call(1))).unwrap().contains("1 个"));
        assert_eq!(tell(ended(call(2))), None);
    }
}
