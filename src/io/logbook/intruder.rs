//! The alarm about a phone with a wrong password, or somebody who tries passwords.

use crate::duty::journal::{Fact, Noted};
use crate::io::status::{Alarm, Board};
use tracing::warn;

pub fn show(noted: &Noted, board: &Board) {
    let Fact::Intruded { source, attempts, over } = &noted.fact else { return };
    warn!(%source, attempts, over, "registrations or calls of phones were refused");
    let alarm = Alarm {
        since: noted.at.wall,
        zh: format!(
            "{source} 的话机登录口令不对，已拒绝。如是本单位话机请核对口令，否则请查这台设备"
        ),
        en: format!(
            "A phone at {source} does not know its password and is refused: if it is yours, correct it; else look into that device"
        ),
    };
    board.update(|status| match over {
        true => drop(status.alarms.remove("intruder")),
        false => drop(status.alarms.entry("intruder").or_insert(alarm)),
    });
}
