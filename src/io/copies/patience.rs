//! Work on a disk that may hang for good: on a thread of its own, for which nobody waits at the end.

use crate::io::stopped;
use std::io;
use std::time::Duration;
use tokio::sync::oneshot;

/// Does it, and waits for it however long it takes: nothing is tried beside what hangs. `hangs` is told after `patience`.
///
/// # Errors
/// When there can be no more threads, or it panicked.
pub async fn wait<T: Send + 'static>(
    patience: Duration,
    work: impl FnOnce() -> T + Send + 'static,
    hangs: impl FnOnce(),
) -> io::Result<T> {
    let (reply, mut done) = oneshot::channel();
    std::thread::Builder::new().name("slow-disk".to_owned()).spawn(move || {
        // Whoever asked may be gone.
        let _ = reply.send(work());
    })?;
    let answer = match stopped::within(patience, &mut done).await {
        Some(answer) => answer,
        None => {
            hangs();
            done.await
        }
    };
    answer.map_err(|_| io::Error::other("panicked"))
}
