//! Keeps the processors of this host from halting while something is measured: on a virtual machine a halted one costs
//! whoever wakes it more than a packet does, and by another sum each time.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};

/// Until it is dropped, somebody who yields to everybody runs on each processor.
pub struct Awake {
    enough: Arc<AtomicBool>,
    spinning: Vec<JoinHandle<()>>,
}

impl Awake {
    pub fn new() -> Self {
        let enough = Arc::new(AtomicBool::new(false));
        let count = thread::available_parallelism().map_or(1, usize::from);
        let spinning = (0..count).map(|_| {
            let enough = enough.clone();
            thread::spawn(move || {
                yield_to_everybody();
                while !enough.load(Ordering::Relaxed) {
                    std::hint::spin_loop();
                }
            })
        });
        Self { spinning: spinning.collect(), enough }
    }
}

impl Drop for Awake {
    fn drop(&mut self) {
        self.enough.store(true, Ordering::Relaxed);
        for thread in self.spinning.drain(..) {
            thread.join().expect("it only spins");
        }
    }
}

fn yield_to_everybody() {
    let wanted = libc::sched_param { sched_priority: 0 };
    // SAFETY: 0 is the calling thread and `wanted` a valid sched_param.
    let result = unsafe { libc::sched_setscheduler(0, libc::SCHED_IDLE, &raw const wanted) };
    assert_eq!(result, 0, "SCHED_IDLE is permitted to everybody");
}
