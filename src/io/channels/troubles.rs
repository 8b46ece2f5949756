//! Which channels do not work now: one alarm on the page for all of them.

use crate::io::clock;
use crate::io::status::{Alarm, Board};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

#[derive(Clone)]
pub struct Troubles {
    board: Board,
    /// By channel: why.
    known: Arc<Mutex<BTreeMap<String, String>>>,
}

impl Troubles {
    pub fn new(board: Board) -> Self {
        Self { board, known: Arc::default() }
    }

    pub fn add(&self, channel: &str, why: &str) {
        self.change(|known| {
            known.insert(channel.to_owned(), why.to_owned());
        });
    }

    /// Where nothing better is known.
    pub fn add_unless_known(&self, channel: &str, why: &str) {
        self.change(|known| {
            known.entry(channel.to_owned()).or_insert_with(|| why.to_owned());
        });
    }

    pub fn clear(&self, channel: &str) {
        self.change(|known| {
            known.remove(channel);
        });
    }

    fn change(&self, change: impl FnOnce(&mut BTreeMap<String, String>)) {
        let mut known = self.known.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        change(&mut known);
        let list: Vec<String> =
            known.iter().map(|(name, why)| format!("{name}（{why}）")).collect();
        let alarm = (!list.is_empty()).then(|| Alarm {
            since: clock::now().wall,
            zh: format!(
                "这些通知渠道发不出去，请检查设置和网络；电话呼叫不受影响：{}",
                list.join("、")
            ),
            en: format!(
                "These channels do not work, see to settings and network; calls go on: {}",
                list.join(", ")
            ),
        });
        self.board.update(|status| match (alarm, status.alarms.get_mut("channels")) {
            (Some(alarm), Some(shown)) => *shown = Alarm { since: shown.since, ..alarm },
            (Some(alarm), None) => drop(status.alarms.insert("channels", alarm)),
            (None, _) => drop(status.alarms.remove("channels")),
        });
    }
}
