//! The sign of life of a task that must go round.

use super::clock;
use crate::protocol::now::Mono;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// When a task last went round, on the monotonic clock.
#[derive(Debug, Clone, Default)]
pub struct Pulse(Arc<AtomicU64>);

impl Pulse {
    pub fn beat(&self) {
        self.0.store(clock::mono().0, Ordering::Relaxed);
    }

    /// How long it has not come round.
    pub fn age(&self) -> Duration {
        clock::mono().since(Mono(self.0.load(Ordering::Relaxed)))
    }
}
