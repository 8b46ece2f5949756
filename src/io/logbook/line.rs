//! The lamps of line and numbers, and the alarms that belong to them.

use crate::duty::journal::{Fact, Noted};
use crate::io::status::{Alarm, Board, LineState};
use tracing::{error, info, warn};

/// The line does not use the first address of the PBX.
const STANDBY: &str = "standby";

/// The line's lamp does not wait for the store.
pub fn show(noted: &Noted, board: &Board) {
    let since = noted.at.wall;
    let lost = |status: u16, why: &str| LineState::Lost { since, status, why: why.to_owned() };
    let lamp = match &noted.fact {
        Fact::LineMoved { to, preferred } => return show_way(noted, to, *preferred, board),
        Fact::LineNotMoved { to, status, why } => {
            return show_no_way_back(to, &format!("{status} {why}"), board);
        }
        Fact::TurnedAway { source, calls, over } => {
            return show_flood(noted, source, *calls, *over, board);
        }
        Fact::NumberUp { number } => {
            return show_number(number, LineState::Registered { since }, board);
        }
        Fact::NumberDown { number, status, why, .. } => {
            return show_number(number, lost(*status, why), board);
        }
        Fact::LineUp => LineState::Registered { since },
        Fact::LineDown { status, why, .. } => lost(*status, why),
        _ => return,
    };
    let alarm = match &lamp {
        LineState::Lost { status, why, .. } => Some(line_alarm(noted, *status, why)),
        LineState::Registered { .. } | LineState::Starting => None,
    };
    match &alarm {
        Some(alarm) => error!(zh = %alarm.zh, "{}", alarm.en),
        None => info!("the duty line is registered"),
    }
    board.update(|status| {
        match alarm {
            Some(alarm) => drop(status.alarms.insert("line", alarm)),
            None => drop(status.alarms.remove("line")),
        }
        status.line = lamp;
    });
}

/// Of a duty number beside the line's own: one alarm names all that are down.
fn show_number(number: &str, lamp: LineState, board: &Board) {
    match &lamp {
        LineState::Lost { status, why, .. } => {
            error!(
                number,
                status, why, "the duty number is down: check its section of [[numbers]]"
            );
        }
        LineState::Registered { .. } | LineState::Starting => info!(number, "it is registered"),
    }
    board.update(|status| {
        status.numbers.insert(number.to_owned(), lamp);
        let lost: Vec<_> = status.numbers.iter().filter_map(|(number, lamp)| match lamp {
            LineState::Lost { since, status, why } => Some((number, *since, *status, why)),
            LineState::Starting | LineState::Registered { .. } => None,
        }).collect();
        let Some(since) = lost.iter().map(|(_, since, ..)| *since).min() else {
            return drop(status.alarms.remove("numbers"));
        };
        let each = |comma: &str| {
            let all = lost.iter().map(|(number, _, code, why)| format!("{number} ({code} {why})"));
            all.collect::<Vec<_>>().join(comma)
        };
        let zh = format!(
            "值班号码离线：{}。打这个号码的来电接不进来，请核对 [[numbers]] 的 user、密码和交换机上的分机",
            each("、")
        );
        let en = format!(
            "Duty numbers are down: {}. Their callers do not reach us: check user and password of [[numbers]] and the extension at the PBX",
            each(", ")
        );
        status.alarms.insert("numbers", Alarm { since, zh, en });
    });
}

/// Somebody must look at the PBX: what it sends is no town calling.
fn show_flood(noted: &Noted, source: &str, calls: u64, over: bool, board: &Board) {
    warn!(%source, calls, over, "calls came too fast and were turned away with 503");
    let alarm = Alarm {
        since: noted.at.wall,
        zh: format!("交换机 {source} 来话过密，超出部分已回 503，请检查交换机是否循环转接"),
        en: format!(
            "Calls come too fast from the PBX at {source}; the surplus gets 503: see whether it forwards in a loop"
        ),
    };
    board.update(|status| match over {
        true => drop(status.alarms.remove("flood")),
        false => drop(status.alarms.entry("flood").or_insert(alarm)),
    });
}

/// On another address than the first, the page says so: somebody must look after the first one.
fn show_way(noted: &Noted, to: &str, preferred: bool, board: &Board) {
    info!(%to, preferred, "the line goes to another address of the PBX");
    let alarm = Alarm {
        since: noted.at.wall,
        zh: format!("主用交换机地址无应答或拒绝注册，专线已改用 {to}，请检查主用交换机"),
        en: format!(
            "The first address of the PBX is silent or refuses us; the line uses {to}: see to the first"
        ),
    };
    board.update(|status| match preferred {
        true => drop(status.alarms.remove(STANDBY)),
        false => drop(status.alarms.insert(STANDBY, alarm)),
    });
}

/// It answers, and does not serve: who says that it is silent sends somebody to the wrong place.
fn show_no_way_back(to: &str, why: &str, board: &Board) {
    warn!(%to, %why, "the line stays where it is: the address answers and refuses the registration");
    board.update(|status| {
        if let Some(alarm) = status.alarms.get_mut(STANDBY) {
            alarm.zh = format!(
                "主用交换机地址 {to} 已能应答，但拒绝注册（{why}），专线仍用备用地址，请核对主用交换机上的分机和密码"
            );
            alarm.en = format!(
                "The first address of the PBX, {to}, answers again and refuses the registration ({why}); the line stays at the second: check extension and password there"
            );
        }
    });
}

fn line_alarm(noted: &Noted, status: u16, why: &str) -> Alarm {
    let (zh, en) = match status {
        401 | 403 | 407 => (
            "交换机拒绝注册，请核对 line.user、密码和 line.realm",
            "the PBX refuses the registration: check line.user, the password and line.realm",
        ),
        _ if why.starts_with("TLS") => (
            "与交换机的 TLS 连接不成，不会改用明文",
            "TLS with the PBX fails; plain text is never used instead",
        ),
        408 | 503 => (
            "交换机无应答，请检查网络、line.pbx 地址和交换机",
            "the PBX does not answer: check the network, line.pbx and the PBX",
        ),
        _ => ("交换机拒绝注册", "the PBX refuses the registration"),
    };
    Alarm {
        since: noted.at.wall,
        zh: format!("值班专线离线，录音中断，请用备用电话并手工登记。{zh}（{status} {why}）"),
        en: format!("The duty line is down; {en} ({status} {why})"),
    }
}
