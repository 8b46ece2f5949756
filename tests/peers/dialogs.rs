//! SIPp as caller and as officer's phone, each with a habit of its own within the call, and the
//! PBX between: PRACK, UPDATE, re-INVITE, session timers, forks.
//!
//! What SIPp needs: a response that is not to the last message has to bring the request's headers
//! itself, so each Via goes into a variable (`occurrence="1"`, `"2"`); `\r` and `\n` mean nothing in
//! `regexp`; a variable that nobody reads is an error without `<Reference>`; `[branch-N]` counts
//! messages, optional ones too; what comes again unchanged is swallowed, so that a repetition cannot
//! be waited for.

use crate::calls::Room;
use crate::daemon::{Daemon, Plan};
use crate::have;
use crate::kamailio::TRUNK;
use crate::process::{Process, wait_until};
use std::fs;
use std::process::Command;
use std::time::Duration;

/// One call by SIPp to the duty number, taken by SIPp; both scenarios went as they say.
struct Call {
    room: Room,
    daemon: Daemon,
}

impl Call {
    fn play(caller: (&str, &str), officer: (&str, &str), longest: u64) -> Option<Self> {
        if !have(&["sipp"]) {
            return None;
        }
        let room = Room::open()?;
        let daemon = room.daemon(&Plan { phones: &[("9001", 30)], ..Plan::default() });
        let mut phone = start(&room, officer, "127.0.0.1", room.ports.sink(), longest);
        listens(room.ports.sink());
        let mut town = start(&room, caller, TRUNK, room.ports.own(0), longest);
        let wait = Duration::from_secs(longest + 5);
        for peer in [&mut town, &mut phone] {
            let status = peer.wait_end(wait);
            assert_eq!(status.code(), Some(0), "it went as the scenario says");
        }
        Some(Self { room, daemon })
    }
}

fn start(room: &Room, (name, text): (&str, &str), host: &str, port: u16, longest: u64) -> Process {
    let folder = room.folder.path();
    let scenario = folder.join(format!("{name}.xml"));
    fs::write(&scenario, text).expect("written");
    let mut command = Command::new("sipp");
    command.arg("-sf").arg(&scenario).current_dir(folder);
    command.args(["-s", "1001", "-i", host, "-p", &port.to_string(), "-m", "1", "-nostdin"]);
    command.args(["-trace_err", "-trace_msg", "-timeout_error"]);
    command.args(["-timeout", &format!("{longest}s")]);
    command.args(["-message_file", &format!("{name}.messages")]);
    command.args(["-error_file", "/dev/stderr"]);
    command.arg(format!("127.0.0.1:{}", room.ports.pbx()));
    Process::start(name, folder, &mut command)
}

/// Waits until somebody has bound this UDP port, without binding it.
fn listens(port: u16) {
    let local = format!(":{port:04X} ");
    wait_until("SIPp to listen", Duration::from_secs(5), || {
        let sockets = fs::read_to_string("/proc/net/udp").ok()?;
        sockets.contains(&local).then_some(())
    });
}

macro_rules! scenario {
    ($name:literal) => {
        ($name, include_str!(concat!("sipp/", $name, ".xml")))
    };
}

/// The caller requires them of us, the phone of us too: both are acknowledged, and the answer that
/// came in the phone's 183 is the one that counts.
#[test]
fn sig_18_reliable_provisional_responses_on_both_legs() {
    let (caller, officer) = (scenario!("caller_100rel"), scenario!("officer_100rel"));
    let Some(call) = Call::play(caller, officer, 20) else { return };
    call.daemon.row_is("SELECT disposition FROM call", "answered");
    call.daemon.row_is("SELECT ended_by FROM call", "caller");
    assert_eq!(call.room.pbx.count("FAIL-OPEN"), 0);
}

/// Both sides are trunks that put ISUP around the session description: neither is refused for it.
#[test]
fn rel_42_multiparts_of_trunks_on_both_legs() {
    let (caller, officer) = (scenario!("caller_isup"), scenario!("officer_isup"));
    let Some(call) = Call::play(caller, officer, 20) else { return };
    call.daemon.row_is("SELECT disposition FROM call", "answered");
    call.daemon.row_is("SELECT ended_by FROM call", "caller");
}

/// Two phones of one number are both picked up: the first one has the call, the other is hung up.
#[test]
fn sig_10_the_second_fork_that_answers_is_hung_up() {
    let (caller, officer) = (scenario!("caller_talks"), scenario!("officer_forks"));
    let Some(call) = Call::play(caller, officer, 20) else { return };
    call.daemon.row_is("SELECT disposition FROM call", "answered");
    call.daemon.row_is("SELECT ended_by FROM call", "caller");
}

/// The caller has given up, the phone is picked up all the same: acknowledged, and hung up.
#[test]
fn sig_08_a_phone_picked_up_as_it_is_cancelled_is_hung_up() {
    let (caller, officer) = (scenario!("caller_gives_up"), scenario!("officer_late"));
    let Some(call) = Call::play(caller, officer, 20) else { return };
    call.daemon.row_is("SELECT disposition FROM call", "abandoned");
}

/// Asterisk's connected-line habit from both sides, before and after the ACK, and a re-INVITE that
/// leaves the offer to us.
#[test]
fn sig_14_update_in_early_dialogs_and_before_the_ack() {
    let (caller, officer) = (scenario!("caller_update"), scenario!("officer_update"));
    let Some(call) = Call::play(caller, officer, 20) else { return };
    call.daemon.row_is("SELECT disposition FROM call", "answered");
    assert_eq!(call.daemon.row("SELECT count(*) FROM entry"), "1");
}

/// One minute: at 45 s we refresh the phone's session, by re-INVITE as it takes no UPDATE, and its
/// own re-INVITE crosses ours; at 60 s the caller has not refreshed, which ends the call.
#[test]
fn sig_17_a_caller_that_never_refreshes_and_a_glare_on_the_other_leg() {
    let (caller, officer) = (scenario!("caller_timer"), scenario!("officer_glare"));
    let Some(call) = Call::play(caller, officer, 75) else { return };
    call.daemon.row_is("SELECT disposition FROM call", "interrupted");
    assert_eq!(call.daemon.row("SELECT count(*) FROM entry"), "1");
}
