//! The alarms about a call whose voice or signalling is not what it should be: not encrypted, from elsewhere, forged; or
//! that finds no phone.

use crate::duty::call::ring_plan::{ABSENT, UNREACHED};
use crate::duty::ids::CallId;
use crate::duty::journal::{Fact, Noted};
use crate::io::status::{Alarm, Board};
use crate::protocol::rtp::Party;
use chrono::{DateTime, TimeDelta, Utc};
use std::collections::BTreeSet;
use tracing::{info, warn};

/// A caller found no phone.
const NO_PHONE: &str = "phones";
/// In sight for so long at least, however short the call was.
const STRAY: TimeDelta = TimeDelta::minutes(10);
const FORGED: TimeDelta = TimeDelta::hours(4);

#[derive(Debug, Default)]
pub struct Amiss {
    /// Calls that go on and in which voice from elsewhere was dropped.
    stray: BTreeSet<CallId>,
}

impl Amiss {
    pub fn take(&mut self, noted: &Noted, board: &Board) {
        let since = noted.at.wall;
        match &noted.fact {
            Fact::Elsewhere { party, from, taken: true, .. } => {
                info!(?party, %from, "a party speaks from another port than it named; it is heard from there");
            }
            Fact::Elsewhere { call, party, from, taken: false } => {
                self.stray.insert(*call);
                show_stray(since, *party, from, board);
            }
            Fact::Misplaced { place, .. } => show_misplaced(since, place, board),
            Fact::Forged { from, method, .. } => show_forged(since, from, method, board),
            Fact::Answered { .. } => phones_are_there(board),
            Fact::Ended { call, why, .. } => {
                self.is_over(*call, since, board);
                match why.as_str() {
                    ABSENT | UNREACHED => show_no_phone(since, why, board),
                    _ => {}
                }
            }
            Fact::AttemptEnded { attempt, .. } => self.is_over((*attempt).into(), since, board),
            _ => show_secrecy(noted, board),
        }
    }

    fn is_over(&mut self, call: CallId, now: DateTime<Utc>, board: &Board) {
        self.stray.remove(&call);
        let heard = self.stray.is_empty();
        board.update(|status| {
            status.alarms.retain(|key, alarm| match *key {
                "stray" => !heard || now - alarm.since < STRAY,
                "misplaced" => now - alarm.since < STRAY,
                "forged" => now - alarm.since < FORGED,
                _ => true,
            });
        });
    }
}

/// That a leg was not encrypted as it should be stays in sight until the next conversation, which is.
fn show_secrecy(noted: &Noted, board: &Board) {
    let since = noted.at.wall;
    let alarm = match &noted.fact {
        Fact::NotSecret { why, .. } => Alarm {
            since,
            zh: format!("有一路通话因加密不符合要求被拒绝（{why}）。请核对交换机、话机的 SRTP 设置与 media.srtp"),
            en: format!("A leg was refused because of its encryption ({why}): compare the SRTP settings of PBX and phones with media.srtp"),
        },
        Fact::Undecryptable { .. } => Alarm {
            since,
            zh: "正在收到无法解密的语音：对方听不到，也录不成声音，原始数据包已保留。请核对 SRTP 密钥设置".to_owned(),
            en: "Voice arrives that its key does not open: nobody hears it, the packets are kept; check the SRTP settings".to_owned(),
        },
        Fact::Answered { .. } | Fact::AttemptAnswered { .. } => {
            return board.update(|status| drop(status.alarms.remove("srtp")));
        }
        _ => return,
    };
    show("srtp", alarm, board);
}

fn show(key: &'static str, alarm: Alarm, board: &Board) {
    warn!(key, alarm = %alarm.en, "a call is amiss");
    board.update(|status| drop(status.alarms.insert(key, alarm)));
}

/// Either the site has forgotten a gateway of its own, or somebody wants a call sent away.
fn show_misplaced(since: DateTime<Utc>, place: &str, board: &Board) {
    let alarm = Alarm {
        since,
        zh: format!(
            "有一路通话要求把语音发往 {place}，不在 media.places 之内，已拒绝。如是本单位的网关或话机，请把它加进 media.places"
        ),
        en: format!(
            "A leg wanted its voice at {place}, which is not within media.places, and was refused; add it there if it is a gateway or a telephone of the site"
        ),
    };
    show("misplaced", alarm, board);
}

/// Either the party itself, whom nobody hears then, or a stranger.
fn show_stray(since: DateTime<Utc>, party: Party, from: &str, board: &Board) {
    let (zh, en) = match party {
        Party::Caller => ("来电方", "the caller's"),
        Party::Officer => ("值班话机", "the officer's"),
        Party::Leader => ("领导", "the leader's"),
        Party::Prompt => return,
    };
    let alarm = Alarm {
        since,
        zh: format!(
            "{zh}一路收到来自 {from} 的语音，与其声明的地址不符，已丢弃；如听不到对方，请检查话机、交换机的 NAT 与媒体地址"
        ),
        en: format!(
            "On {en} leg voice comes from {from}, which is not where its SDP says; it is dropped. If that side is not heard, check NAT and media address of phone and PBX"
        ),
    };
    show("stray", alarm, board);
}

/// Until one of them is picked up.
fn show_no_phone(since: DateTime<Utc>, why: &str, board: &Board) {
    warn!(why, "a caller found no phone to ring");
    let (zh, en) = match why {
        ABSENT => ("交换机说话机不在线", "the PBX says that they are not registered"),
        _ => ("话机或交换机无应答", "they, or the PBX, do not answer"),
    };
    let alarm = Alarm {
        since,
        zh: format!(
            "值班话机都呼不通（{zh}），有来电未接，已列入待回拨。请检查话机的电源、网线和在交换机上的注册"
        ),
        en: format!(
            "No duty phone can be rung ({en}); a caller was missed and is to be called back: check the phones' power, cable and registration"
        ),
    };
    board.update(|status| {
        status.alarms.entry(NO_PHONE).or_insert(alarm);
    });
}

fn phones_are_there(board: &Board) {
    board.update(|status| drop(status.alarms.remove(NO_PHONE)));
}

fn show_forged(since: DateTime<Utc>, from: &str, method: &str, board: &Board) {
    let alarm = Alarm {
        since,
        zh: format!(
            "{from} 冒充通话一方发来 {method}，企图挂断或改动正在进行的通话，已丢弃，通话不受影响。请查这台设备"
        ),
        en: format!(
            "{from} sent {method} as if it were a party of a call in progress; it was dropped and the call goes on: look into that device"
        ),
    };
    show("forged", alarm, board);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::duty::journal::Disposition;
    use crate::io::clock;
    use crate::protocol::now::Now;

    fn at(minutes: i64) -> Now {
        let now = clock::now();
        Now { wall: now.wall + TimeDelta::minutes(minutes), ..now }
    }

    fn call() -> CallId {
        CallId::new(clock::now(), &mut clock::random())
    }

    fn ended(call: CallId) -> Fact {
        let (disposition, by, status) = (Disposition::Answered, None, 200);
        Fact::Ended { call, disposition, by, status, why: String::new() }
    }

    #[test]
    fn sig_12_no_phone_to_ring_is_an_alarm_until_one_is_picked_up() {
        let (board, mut amiss) = (Board::new(), Amiss::default());
        let mut tell = |minutes, fact| amiss.take(&Noted { at: at(minutes), fact }, &board);
        let lost = |why: &str| {
            let (call, why) = (call(), why.to_owned());
            Fact::Ended { call, disposition: Disposition::Missed, by: None, status: 480, why }
        };
        tell(0, lost("nobody answered"));
        assert!(board.status().alarms.is_empty(), "they rang");
        tell(1, lost(ABSENT));
        tell(2, lost(UNREACHED));
        let alarm = board.status().alarms["phones"].clone();
        assert!(alarm.zh.contains("待回拨") && alarm.zh.contains("不在线"), "{alarm:?}");
        tell(9, Fact::Answered { call: call(), phone: "值班台话机".to_owned() });
        assert!(board.status().alarms.is_empty());
    }

    #[test]
    fn rel_t11_voice_from_elsewhere_is_an_alarm_unless_it_was_taken_up() {
        let (board, mut amiss) = (Board::new(), Amiss::default());
        let mut tell = |minutes, fact| amiss.take(&Noted { at: at(minutes), fact }, &board);
        let (call, other) = (call(), call());
        let from = || "192.0.2.66:4000".to_owned();
        let party = Party::Officer;
        tell(0, Fact::Elsewhere { call, party, from: from(), taken: true });
        assert!(board.status().alarms.is_empty());
        tell(0, Fact::Elsewhere { call, party, from: from(), taken: false });
        let alarm = board.status().alarms["stray"].clone();
        assert!(alarm.zh.contains("值班话机") && alarm.zh.contains("192.0.2.66:4000"), "{alarm:?}");
        let stands = || board.status().alarms.contains_key("stray");
        tell(1, Fact::Answered { call: other, phone: "值班台话机".to_owned() });
        tell(20, ended(other));
        assert!(stands(), "another call is none of its business");
        tell(21, ended(call));
        assert!(!stands());
        tell(30, Fact::Elsewhere { call, party, from: from(), taken: false });
        tell(31, ended(call));
        assert!(stands(), "somebody must have seen it");
    }

    #[test]
    fn sig_28_a_forged_message_is_an_alarm_that_names_its_sender_and_stands_for_hours() {
        let (board, mut amiss) = (Board::new(), Amiss::default());
        let mut tell = |minutes, fact| amiss.take(&Noted { at: at(minutes), fact }, &board);
        let call = call();
        let (from, method) = ("192.0.2.77:5060".to_owned(), "BYE".to_owned());
        tell(0, Fact::Forged { call, from, method });
        let alarm = board.status().alarms["forged"].clone();
        assert!(alarm.zh.contains("192.0.2.77:5060") && alarm.zh.contains("BYE"), "{alarm:?}");
        let stands = || board.status().alarms.contains_key("forged");
        tell(1, Fact::Answered { call, phone: "值班台话机".to_owned() });
        tell(200, ended(call));
        assert!(stands());
        tell(241, ended(call));
        assert!(!stands());
    }
}
