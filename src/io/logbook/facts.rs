//! Facts on their way to the log: those that somebody waits for at once, the others together. Whoever tells them never
//! waits.

use crate::duty::journal::Noted;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Notify, mpsc};
use tokio::time::{Instant, timeout_at};

/// How long facts for which nobody waits are gathered for one commit.
const GATHER: Duration = Duration::from_millis(100);

/// The end of the one who tells.
pub struct Teller {
    queue: mpsc::UnboundedSender<Noted>,
    awaited: Arc<Notify>,
}

/// The end of the one who writes.
pub struct Told {
    queue: mpsc::UnboundedReceiver<Noted>,
    awaited: Arc<Notify>,
    gather: Duration,
}

pub fn facts() -> (Teller, Told) {
    let (sender, queue) = mpsc::unbounded_channel();
    let awaited = Arc::new(Notify::new());
    let teller = Teller { queue: sender, awaited: Arc::clone(&awaited) };
    (teller, Told { queue, awaited, gather: GATHER })
}

impl Teller {
    /// False when nobody writes any more.
    pub fn tell(&self, noted: Noted) -> bool {
        let awaited = noted.fact.is_awaited();
        let told = self.queue.send(noted).is_ok();
        if awaited {
            self.awaited.notify_one();
        }
        told
    }
}

impl Told {
    /// Waits for a fact, and gives all that are there; `None` when nothing will come any more.
    pub async fn next(&mut self) -> Option<Vec<Noted>> {
        let mut told: Vec<Noted> = vec![];
        loop {
            let gathered = Instant::now() + self.gather;
            // While calls come and go, a fact for which nobody waits wakes nobody.
            let mut late = false;
            while !late {
                late = timeout_at(gathered, self.awaited.notified()).await.is_err();
                told.extend(self.rest());
                let awaited = told.iter().any(|noted| noted.fact.is_awaited());
                if awaited || late && !told.is_empty() {
                    return Some(told);
                }
            }
            told.push(self.queue.recv().await?);
        }
    }

    /// What is there by now.
    pub fn rest(&mut self) -> impl Iterator<Item = Noted> {
        std::iter::from_fn(|| self.queue.try_recv().ok())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::duty::ids::CallId;
    use crate::duty::journal::Fact;
    use crate::io::clock;
    use uuid::Uuid;

    const FOR_EVER: Duration = Duration::from_secs(86_400);

    fn noted(fact: Fact) -> Noted {
        Noted { at: clock::now(), fact }
    }

    /// Nobody waits for it.
    fn left() -> Noted {
        noted(Fact::Left { call: CallId(Uuid::from_u128(1)), phone: "2001".to_owned() })
    }

    fn gathering(gather: Duration) -> (Teller, Told) {
        let (teller, told) = facts();
        (teller, Told { gather, ..told })
    }

    #[tokio::test]
    async fn facts_that_nobody_waits_for_are_gathered() {
        let (teller, mut told) = gathering(Duration::from_millis(50));
        let (all, ()) = tokio::join!(told.next(), async {
            for _ in 0..3 {
                assert!(teller.tell(left()));
                tokio::task::yield_now().await;
            }
        });
        assert_eq!(all.unwrap().len(), 3);
        assert!(teller.tell(left()));
        drop(teller);
        assert_eq!(told.next().await.map(|told| told.len()), Some(1));
        assert!(told.next().await.is_none());
    }

    #[tokio::test]
    async fn one_that_is_awaited_goes_at_once_and_takes_the_others_along() {
        let (teller, mut told) = gathering(FOR_EVER);
        for _ in 0..2 {
            let (all, ()) = tokio::join!(told.next(), async {
                assert!(teller.tell(left()));
                tokio::task::yield_now().await;
                assert!(teller.tell(noted(Fact::LineUp)));
            });
            assert_eq!(all.unwrap().len(), 2);
        }
    }
}
