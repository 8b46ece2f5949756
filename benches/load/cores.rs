//! Who runs where: what is measured has the last processor of this host and the phones have the first. Left to the
//! scheduler both land where they will, and on a virtual machine that costs more than what they do, by another sum each
//! time.

use std::mem::{MaybeUninit, size_of};
use std::thread::available_parallelism;

/// What is started has its processor from now on, its threads and processes too, and the caller another.
pub fn apart<T>(start: impl FnOnce() -> T) -> T {
    let count = available().max(1);
    stay_on(count - 1);
    let started = start();
    stay_on(0);
    started
}

/// Counted once: afterwards the caller has one.
fn available() -> usize {
    static COUNT: std::sync::OnceLock<usize> = std::sync::OnceLock::new();
    *COUNT.get_or_init(|| available_parallelism().map_or(1, usize::from))
}

fn stay_on(processor: usize) {
    // SAFETY: a set of processors is plain bits, of which all may be zero.
    let mut set: libc::cpu_set_t = unsafe { MaybeUninit::zeroed().assume_init() };
    // SAFETY: the processor is one of this host, of which the set has room for a thousand.
    unsafe { libc::CPU_SET(processor, &mut set) };
    // SAFETY: 0 is the calling thread and `set` a valid set.
    let result =
        unsafe { libc::sched_setaffinity(0, size_of::<libc::cpu_set_t>(), &raw const set) };
    if result != 0 {
        println!("processor {processor} cannot be had: the figures will vary");
    }
}
