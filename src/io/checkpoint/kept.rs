//! How far the calls are written down: who rings a phone looks here first, and may hurry the writer.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, Thread};
use std::time::{Duration, Instant};
use tokio::sync::Notify;

#[derive(Debug, Default)]
pub struct Kept {
    /// Changes that are written, or came to nothing: nobody waits for those.
    written: AtomicU64,
    hurry: AtomicBool,
    resting: AtomicBool,
    rested: Notify,
    writer: OnceLock<Thread>,
    news: Notify,
}

impl Kept {
    /// Changes that are done with.
    pub fn written(&self) -> u64 {
        self.written.load(Ordering::Acquire)
    }

    /// Somebody waits: the writer does not rest until nobody does.
    pub fn hurry(&self, wanted: bool) {
        if !self.hurry.swap(wanted, Ordering::AcqRel)
            && wanted
            && let Some(writer) = self.writer.get()
        {
            writer.unpark();
        }
    }

    /// The writer pauses, and nobody waits for it.
    pub fn rests(&self) -> bool {
        self.resting.load(Ordering::Acquire) && !self.hurry.load(Ordering::Acquire)
    }

    /// Until the writer does not rest.
    pub async fn rested(&self) {
        while self.rests() {
            self.rested.notified().await;
        }
    }

    /// Until more is written.
    pub async fn more(&self) {
        self.news.notified().await;
    }

    /// The calling thread writes.
    pub(super) fn begin(&self) {
        // Once: there is one writer.
        let _ = self.writer.set(thread::current());
    }

    pub(super) fn wrote(&self) {
        self.written.fetch_add(1, Ordering::AcqRel);
        self.news.notify_one();
    }

    pub(super) fn rest(&self, time: Duration) {
        let began = Instant::now();
        self.resting.store(true, Ordering::Release);
        while !self.hurry.load(Ordering::Acquire) {
            let left = time.saturating_sub(began.elapsed());
            if left.is_zero() {
                break;
            }
            thread::park_timeout(left);
        }
        self.resting.store(false, Ordering::Release);
        self.rested.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    #[test]
    fn sig_36_the_writer_rests_until_somebody_waits() {
        let kept = Arc::new(Kept::default());
        let writer = thread::spawn({
            let kept = Arc::clone(&kept);
            move || {
                kept.begin();
                kept.wrote();
                kept.rest(Duration::from_secs(600));
            }
        });
        while !kept.rests() {
            thread::yield_now();
        }
        assert!(kept.written() == 1 && !writer.is_finished());
        kept.hurry(true);
        assert!(!kept.rests(), "what changes is taken at once");
        writer.join().unwrap();
        kept.hurry(false);
        kept.rest(Duration::from_millis(1));
    }
}
