//! The log: SQLite behind one writer thread; the only door to rusqlite.
//!
//! Every write is one closure, run by the writer between `BEGIN IMMEDIATE` and `COMMIT`; its
//! answer comes after the commit. Reads see one moment each. One file per noun.

mod acknowledgements;
mod aside;
mod attempts;
mod audit;
mod bookmarks;
mod call_lists;
mod callbacks;
mod calls;
mod chain;
mod claims;
mod contacts;
mod copies;
mod derived;
mod duty;
mod entries;
mod error;
mod escalation_views;
mod escalations;
mod exercises;
mod facts;
mod fax;
mod flac;
mod folder;
mod following;
mod found;
mod gather;
mod heads;
mod heartbeat;
mod hour_meter;
mod index;
mod instructions;
mod interrupted;
mod keeping;
mod keys;
mod lacking;
mod ladders;
mod notice_views;
mod notices;
mod numbers;
mod outages;
mod passwords;
mod people;
mod placed;
mod policies;
mod reached;
mod readers;
mod recent;
mod recordings;
mod reindex;
mod replies;
mod retelling;
mod revisions;
mod schema;
mod search;
mod self_tests;
mod sessions;
mod stretches;
mod text;
mod unread;
mod verify;
mod views;
mod voices;
mod writer;

pub use bookmarks::{BookmarkRow, Bookmarked};
pub use call_lists::CallList;
pub use callbacks::{CallbackRow, CallbackState, Settled};
pub use claims::{ClaimRow, DivertedRow};
pub use contacts::ContactRow;
pub use copies::{CheckRow, FileKind, SealedFile};
pub use derived::{Cut, Derived, DerivedRow, Side};
pub use duty::{DutyKind, DutyRow, Given, OnDuty, SubstitutionRow};
pub use entries::{Completed, FieldEdit, Flagged, Reopened, Saved, Withdrawn, classed_last};
pub use error::{Result, StoreError};
pub use escalation_views::*;
pub use escalations::{Bounds, Cycle, Deciding, Rest};
pub use exercises::{Called, ExerciseRow, GAVE_WAY, TOO_LATE, Try};
pub use facts::Applied;
pub use flac::{AsFlac, FlacRow, ToFlac};
pub use folder::Hold;
pub use found::{Found, Unbound};
pub use gather::{Absent, Extent, Gathered, Scope, Sounds, WhyAbsent};
pub use heads::HeadRow;
pub use keeping::{
    After, Agreed, DateRow, DatedRow, Doomed, DoubtfulRow, Due, DueRow, Fate, Held, HoldRow,
    ItemRow, ItemState, ListRow, LossRow, Word,
};
pub use keys::{InForce, Renewing};
pub use ladders::{LadderOf, Rung, RungWhat};
pub use notice_views::{NoticeRow, NoticeTry};
pub use notices::{Look, Matter, Outgoing};
pub use outages::{OutageKind, OutageRow};
pub use people::{
    Account, Added, NewPerson, PersonChange, PersonChanged, PersonId, PersonRow, Who,
};
pub use policies::PolicyRow;
pub use readers::SMALLEST;
pub use recordings::{Finding, Gap, KeptFiles, Key, RecordingFile, RecordingState, Sealed};
pub use reindex::{Reindexed, reindex};
pub use replies::{Answered, Came, Recipient};
pub use revisions::{Change, RevisionKind};
pub use search::{COUNTED, Hit, Hits, Query, Said};
pub use self_tests::SelfTestRow;
pub use sessions::{LinkUse, Login, SESSION_HOURS};
pub use stretches::{StretchKind, StretchRow};
pub use verify::{Checked, Fault, FileOf, given_up_since};
pub use views::*;
pub use voices::VoiceRow;

use crate::protocol::random::Random;
use reached::Reached;
use readers::Readers;
use rusqlite::Connection;
use std::path::Path;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::Thread;
use std::time::Duration;
use tokio::sync::{Notify, watch};
use writer::{Tx, Writer};

/// The log. Cheap to clone; all clones write through the same thread, in order.
#[derive(Clone)]
pub struct Store {
    inner: Arc<Inner>,
}

struct Inner {
    writer: Writer,
    /// `None`: reads go through the writer's connection (in memory).
    readers: Option<Readers>,
    /// What an earlier run left is settled: until then nothing of this run is written.
    begun: AtomicBool,
    /// Older entries are not found yet.
    indexing: AtomicBool,
    /// Others are on duty.
    shift: Notify,
    /// Two people agreed to destroy something.
    gives_up: Notify,
    /// It may be another log than the one before.
    begins: Notify,
    /// What a backup that is put back lacks.
    recent: recent::Recent,
    /// `None`: nobody else is kept out, or the folder takes no lock yet.
    folder: Mutex<Option<Hold>>,
}

impl Store {
    /// Opens or makes the daemon's database and keeps every other daemon out of its folder until
    /// the last clone is dropped.
    pub fn open(path: &Path, random: Random) -> Result<Self> {
        Self::open_held(path, random, &mut None)
    }

    /// As [`Store::open`], in a folder that may be held already; it still is where this fails.
    pub fn open_held(path: &Path, random: Random, held: &mut Option<Hold>) -> Result<Self> {
        if held.is_none() {
            *held = Some(Hold::take(path)?);
        }
        let sql = aside::Opened::begins(path).and_then(|()| schema::open(path))?;
        mend_index(path);
        let store = Self::open_file(path, sql, random, held.take())?;
        store.note_boot(&folder::boot_id())?;
        Ok(store)
    }

    /// Stands in for a database that cannot be opened: whatever is asked of it fails until [`Store::reopen`] succeeds.
    /// Keeps every other daemon out of the folder, too, from when that takes a lock.
    ///
    /// # Errors
    /// When another daemon has the folder.
    pub fn of_no_use(path: &Path, why: StoreError, held: Option<Hold>) -> Result<Self> {
        let held = match held.map_or_else(|| Hold::take(path), Ok) {
            Err(held @ StoreError::Held { .. }) => return Err(held),
            held => held.ok(),
        };
        let why = match why.is_worth_waiting_for() {
            true => why,
            false => StoreError::Unreadable(why.to_string()),
        };
        let writer = Writer::late(why, Some(Reached::beside(path)));
        if let Err(error) = writer.meets(path) {
            tracing::error!(%error, "the log is not opened as long as it is so");
        }
        let readers = Some(Readers::new(path));
        Ok(Self::of(writer, readers, held))
    }

    /// Opens what could not be opened before, once it can be; looking whether it is sound ends with `given_up`.
    pub fn reopen(
        &self,
        path: &Path,
        random: Random,
        given_up: impl FnMut() -> bool + Send + 'static,
    ) -> Result<()> {
        let Inner { writer, readers, .. } = &*self.inner;
        if writer.waits_for_one() {
            self.hold_folder(path)?;
            let meets = || writer.meets(path);
            readers.as_ref().map_or_else(meets, |readers| readers.alone(meets))?;
            let sql = schema::open_sound(path, given_up, || writer.has_met(path))?;
            mend_index(path);
            writer.open(sql, random)?;
        }
        self.note_boot(&folder::boot_id())
    }

    fn hold_folder(&self, path: &Path) -> Result<()> {
        let mut held = self.inner.folder.lock().unwrap_or_else(PoisonError::into_inner);
        if held.is_none() {
            *held = Some(Hold::take(path)?);
        }
        Ok(())
    }

    /// The database is of no use any more: whatever is asked of it fails until [`Store::reopen`] succeeds, and nothing is
    /// done to its file. One that was deleted is put back. Waits for the disk.
    pub fn put_aside(&self, why: StoreError) {
        self.holds_back();
        if let Some(readers) = &self.inner.readers {
            readers.forget();
        }
        self.inner.writer.put_aside(why);
    }

    /// Why the log itself took nothing when it was written to last; `None`: it did, or was not.
    pub fn ails(&self) -> Option<StoreError> {
        self.inner.writer.ails()
    }

    /// Facts and escalations of this run wait until what an earlier one left is settled: see [`Store::begins`].
    pub fn holds_back(&self) {
        self.inner.begun.store(false, Ordering::Release);
    }

    pub fn begins(&self) {
        self.inner.begun.store(true, Ordering::Release);
        self.inner.begins.notify_one();
    }

    /// Waits until a run goes on in a log that may be another one.
    pub async fn has_begun(&self) {
        self.inner.begins.notified().await;
    }

    /// As `write`, of what belongs to this run.
    fn write_of_run<T: Send + 'static, W>(
        &self,
        work: W,
    ) -> impl Future<Output = Result<T>> + Send + use<T, W>
    where
        W: FnOnce(&mut Tx<'_>) -> Result<T> + Send + 'static,
    {
        let begun = self.inner.begun.load(Ordering::Acquire);
        let answer = begun.then(|| self.write(work));
        async move {
            match answer {
                Some(answer) => answer.await,
                None => Err(StoreError::Unreadable("its first rows were refused".to_owned())),
            }
        }
    }

    /// Opens the database while a daemon may be running on it: for `user add` and the like.
    pub fn open_beside(path: &Path, random: Random) -> Result<Self> {
        Self::open_file(path, schema::open(path)?, random, None)
    }

    fn open_file(path: &Path, sql: Connection, random: Random, held: Option<Hold>) -> Result<Self> {
        let writer = match &held {
            Some(_) => Writer::thread(sql, random, Some(Reached::beside(path)))?,
            None => Writer::beside(sql, random)?,
        };
        let readers = Some(Readers::new(path));
        Ok(Self::of(writer, readers, held))
    }

    /// A log without a file or a thread: every call is done when it returns. For virtual time.
    pub fn open_in_memory(random: Random) -> Result<Self> {
        let writer = Writer::inline(schema::open_in_memory()?, random)?;
        Ok(Self::of(writer, None, None))
    }

    fn of(writer: Writer, readers: Option<Readers>, held: Option<Hold>) -> Self {
        let indexing = AtomicBool::new(false);
        Self {
            inner: Arc::new(Inner {
                writer,
                readers,
                begun: AtomicBool::new(true),
                indexing,
                shift: Notify::new(),
                gives_up: Notify::new(),
                begins: Notify::new(),
                recent: recent::Recent::default(),
                folder: Mutex::new(held),
            }),
        }
    }

    /// Puts a write in the queue when called, not when awaited: the order of calls is the order of
    /// writes.
    fn write<T: Send + 'static, W>(
        &self,
        work: W,
    ) -> impl Future<Output = Result<T>> + Send + use<T, W>
    where
        W: FnOnce(&mut Tx<'_>) -> Result<T> + Send + 'static,
    {
        let answer = self.inner.writer.submit(work);
        async move { answer.await.unwrap_or(Err(StoreError::Closed)) }
    }

    /// As `write`, when all that was written before can be searched.
    async fn write_indexed<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Tx<'_>) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let answer = self.inner.writer.submit_indexed(work);
        answer.await.unwrap_or(Err(StoreError::Closed))
    }

    /// As `write`, for a thread that may wait.
    fn write_now<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Tx<'_>) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        wait(self.write(work))
    }

    /// Whether something could be written now.
    ///
    /// # Errors
    /// Why nothing can.
    pub async fn writable(&self) -> Result<()> {
        self.write(|_| Ok(())).await
    }

    /// Why what was written is not proved yet; `None` where it is.
    pub fn unproved(&self) -> watch::Receiver<Option<String>> {
        self.inner.writer.unproved()
    }

    async fn read<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Connection) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        self.read_with(work, |readers, work| readers.read(work)).await
    }

    /// As `read`, and given up after so long.
    async fn read_within<T: Send + 'static>(
        &self,
        limit: Duration,
        work: impl FnOnce(&Connection) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        self.read_with(work, move |readers, work| readers.read_within(limit, work)).await
    }

    async fn read_with<T: Send + 'static, W>(
        &self,
        work: W,
        how: impl FnOnce(&Readers, W) -> Result<T> + Send + 'static,
    ) -> Result<T>
    where
        W: FnOnce(&Connection) -> Result<T> + Send + 'static,
    {
        let inner = Arc::clone(&self.inner);
        if let Some(fault) = inner.writer.cannot_be_read() {
            return Err(fault);
        }
        let Some(_) = &self.inner.readers else {
            return self.write(move |tx| work(tx.sql)).await;
        };
        let read =
            move || inner.readers.as_ref().map_or(Err(StoreError::Closed), |own| how(own, work));
        match tokio::runtime::Handle::try_current() {
            Ok(runtime) => runtime
                .spawn_blocking(read)
                .await
                .unwrap_or_else(|_| Err(StoreError::Bug("a read panicked".to_owned()))),
            Err(_) => read(),
        }
    }
}

/// What it lacks from then on is made anew by [`Store::index_all`].
fn mend_index(path: &Path) {
    if let Err(error) = reindex::mend(path) {
        tracing::error!(%error, "the index of the search is at fault and could not be emptied");
    }
}

/// Waits for an answer of the store on a thread that may wait: scenarios, commands.
pub fn wait<T>(answer: impl Future<Output = T>) -> T {
    struct Unpark(Thread);
    impl Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }
    let waker = Waker::from(Arc::new(Unpark(std::thread::current())));
    let mut context = Context::from_waker(&waker);
    // A task whose turn is over is woken once it gives its thread back, which it does not do here.
    let mut answer = pin!(tokio::task::unconstrained(answer));
    loop {
        match answer.as_mut().poll(&mut context) {
            Poll::Ready(answer) => return answer,
            Poll::Pending => std::thread::park(),
        }
    }
}

#[cfg(test)]
pub mod tests;
