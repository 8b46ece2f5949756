//! The tape and its end: what is recorded of a call, and how the log has it.

use super::{Daemon, Write};
use dutyline::duty::ids::CallId;
use dutyline::io::store::{Sealed, wait};
use dutyline::protocol::now::{Mono, Now};
use dutyline::protocol::rtp::Party;
use uuid::Uuid;

/// A packet on the tape.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Taped {
    pub at: Mono,
    pub call: Uuid,
    pub party: Party,
    pub bytes: Vec<u8>,
}

impl Daemon {
    /// Binds what is on the tape of calls that were cut; says what is missing.
    pub(super) fn recover(&mut self, now: Now) {
        for call in wait(self.store.recordings_unsealed()).expect("the log is read") {
            if self.open.contains(&call) {
                continue;
            }
            if self.tape.iter().any(|taped| taped.call == call.0) {
                self.seal(call.0, Some("the daemon stopped"), now);
            } else {
                let why = "nothing was on the tape";
                wait(self.store.recording_missing(call, why, now)).expect("the log is written");
            }
        }
        let open = |call: &Uuid| self.open.contains(&CallId(*call));
        let found = self.unfinished_tapes().into_iter().filter(|call| !open(call));
        self.finished.extend(found.collect::<Vec<_>>());
    }

    pub(super) fn seal(&mut self, call: Uuid, interrupted: Option<&str>, now: Now) {
        let resumed = self.open.contains(&CallId(call)).then_some("the daemon was restarted");
        let interrupted = interrupted.or(resumed);
        let packets = self.tape.iter().filter(|taped| taped.call == call);
        let times: Vec<Mono> = packets.map(|taped| taped.at).collect();
        if times.is_empty() {
            let why = "nobody said anything";
            wait(self.store.recording_missing(CallId(call), why, now)).expect("the log is written");
            return;
        }
        let sealed = Sealed {
            wav: format!("{call}.wav").into(),
            tape: Some(format!("{call}.tape").into()),
            tape_sha256: None,
            sha256: format!("{:064x}", call.as_u128()),
            bytes: 44 + 320 * times.len() as u64,
            duration: times[times.len() - 1].since(times[0]),
            gaps: vec![],
            interrupted: interrupted.map(str::to_owned),
            ..Sealed::default()
        };
        wait(self.store.recording_sealed(CallId(call), sealed, now)).expect("the log is written");
    }

    pub(super) fn is_finished(&mut self, call: Uuid, now: Now) {
        self.finished.push(call);
        self.waiting.push_back((now.mono + self.store_speed, Write::Seal(call)));
    }

    /// Calls with packets on the tape and no end of it.
    pub fn unfinished_tapes(&self) -> Vec<Uuid> {
        let mut open: Vec<Uuid> = vec![];
        for taped in &self.tape {
            if !open.contains(&taped.call) && !self.finished.contains(&taped.call) {
                open.push(taped.call);
            }
        }
        open
    }

    /// Packets of a party on the tape of a call.
    pub fn taped(&self, call: CallId, party: Party) -> usize {
        self.tape.iter().filter(|taped| taped.call == call.0 && taped.party == party).count()
    }
}
