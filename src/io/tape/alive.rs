//! The tape thread's sign of life, for whoever watches whether the disk answers.

use crate::protocol::now::Mono;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// When the tape thread came round last.
#[derive(Debug, Clone, Default)]
pub struct Alive(Arc<AtomicU64>);

impl Alive {
    pub fn is(&self, now: Mono) {
        self.0.store(now.0, Ordering::Relaxed);
    }

    /// None before its first turn.
    pub fn last(&self) -> Option<Mono> {
        Some(Mono(self.0.load(Ordering::Relaxed))).filter(|last| last.0 != 0)
    }
}
