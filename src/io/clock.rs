//! The only reader of clocks and randomness.

use crate::protocol::now::{Deadline, Mono, Now};
use crate::protocol::random::Random;
use chrono::Utc;
use tokio::time::{Instant, sleep_until};

/// This moment on both clocks.
pub fn now() -> Now {
    Now { mono: mono(), wall: Utc::now() }
}

/// Nanoseconds since the host booted, suspend included (`CLOCK_BOOTTIME`).
pub fn mono() -> Mono {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `time` is a valid timespec and the clock id is a constant the kernel knows.
    let result = unsafe { libc::clock_gettime(libc::CLOCK_BOOTTIME, &raw mut time) };
    assert_eq!(result, 0, "CLOCK_BOOTTIME is there since Linux 2.6.39");
    let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
    let nanos = u64::try_from(time.tv_nsec).unwrap_or(0);
    Mono(seconds * 1_000_000_000 + nanos)
}

/// Whether a time server corrects the wall clock (`adjtimex`, RFC 5905); `None` where the kernel may
/// not be asked.
pub fn synchronised() -> Option<bool> {
    let mut state = std::mem::MaybeUninit::<libc::timex>::zeroed();
    // SAFETY: all zeroes are a valid timex, whose `modes` of zero only asks.
    let state = unsafe { libc::adjtimex(state.as_mut_ptr()) };
    (state >= 0).then_some(state != libc::TIME_ERROR)
}

/// Waits until the deadline; for ever where there is none.
pub async fn until(due: Option<Deadline>) {
    match due {
        Some((at, _)) => sleep_until(Instant::now() + at.since(mono())).await,
        None => std::future::pending().await,
    }
}

/// A generator seeded by the operating system.
pub fn random() -> Random {
    let mut seed = [0; 32];
    getrandom::fill(&mut seed).expect("the kernel gives random bytes once it has booted");
    Random::from_seed(seed)
}
