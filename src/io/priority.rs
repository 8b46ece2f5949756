//! Which thread goes first on a busy host: voice, then the telephone, then everything else, and the rendering of
//! recordings after all of it. As far as it is permitted.

use std::io;
use tracing::{debug, info, warn};

const FIFO_PRIORITY: libc::c_int = 20;
const NICENESS: libc::c_int = -15;
/// Never refused: a tenth of the weight of whoever is at 0.
const LAST_NICENESS: libc::c_int = 10;

/// The calling thread relays voice: real-time priority, before everything else on the host.
pub fn real_time() {
    let wanted = libc::sched_param { sched_priority: FIFO_PRIORITY };
    if set(libc::SCHED_FIFO, wanted) {
        info!(priority = FIFO_PRIORITY, "the media thread runs as SCHED_FIFO");
    } else {
        let fault = io::Error::last_os_error();
        warn!(%fault, "SCHED_FIFO is not permitted: voice may stutter on a busy host; set LimitRTPRIO=20 or CAP_SYS_NICE");
    }
}

/// The calling thread answers the telephone, or writes what a phone waits for.
pub fn first() {
    // SAFETY: 0 is the calling thread, whose niceness alone is changed.
    if unsafe { libc::setpriority(libc::PRIO_PROCESS, 0, NICENESS) } != 0 {
        let fault = io::Error::last_os_error();
        debug!(%fault, thread = std::thread::current().name(), "at ordinary priority");
    }
}

/// The calling thread works on what is over: it interrupts nobody when it wakes, and goes after everybody else.
pub fn last() {
    // SAFETY: 0 is the calling thread, whose niceness alone is changed.
    let nice = unsafe { libc::setpriority(libc::PRIO_PROCESS, 0, LAST_NICENESS) } == 0;
    if !set(libc::SCHED_BATCH, libc::sched_param { sched_priority: 0 }) || !nice {
        let fault = io::Error::last_os_error();
        debug!(%fault, thread = std::thread::current().name(), "at ordinary priority");
    }
}

fn set(policy: libc::c_int, wanted: libc::sched_param) -> bool {
    // SAFETY: 0 is the calling thread and `wanted` a valid sched_param.
    unsafe { libc::sched_setscheduler(0, policy, &raw const wanted) == 0 }
}
