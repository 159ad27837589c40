//! A store in memory on a disk that fails when it is told to. The simulated world runs on it.

mod disk;
mod inspection;
mod rows;

use std::fmt;
use std::future::pending;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use disk::Disk;
pub use inspection::{HeldParcel, Inspection, RowCounts, Snapshot};
pub(in crate::store) use rows::MemoryRows;
use tokio::sync::Semaphore;
use tokio::time::{Instant, sleep_until};
use zajil_proto::durable::Durable;
use zajil_proto::ids::Epoch;
use zajil_proto::random::{self, Random};

use super::batch;
use super::engine::LedgerEngine;
use super::ledger::Ledger;
use super::{Guarantee, StoreError, StoreLimits};
use crate::limits::COMMITTER_QUEUE;

/// A store in memory: the same verbs and the same committer as on a disk, without a thread. Clones are the same store: a world
/// keeps one, a relay has another, and the next relay gets a third.
///
/// What one verb does waits for a sync; verbs that come meanwhile share the next one, and one whose caller has gone is done all
/// the same. Without [`MemoryStore::set_sync_time`] a sync takes no time and needs no runtime; with it, the timer of tokio.
/// It promises what a process can promise.
#[derive(Clone)]
pub struct MemoryStore {
    shared: Arc<Shared>,
}

struct Shared {
    disk: Mutex<Disk>,
    /// Places in the queue of the committer.
    places: Arc<Semaphore>,
}

impl MemoryStore {
    /// Makes an empty store on a disk that is larger than will ever be used.
    ///
    /// # Errors
    /// None in practice; the type is that of every opening.
    pub fn new(limits: StoreLimits, random: &mut (impl Random + ?Sized)) -> Result<Self, StoreError> {
        let disk = Disk::new(limits, Epoch(random::bytes(random)))?;
        let places = Arc::new(Semaphore::new(COMMITTER_QUEUE));
        Ok(Self { shared: Arc::new(Shared { disk: Mutex::new(disk), places }) })
    }

    /// Sets how long each sync takes that begins from now on.
    pub fn set_sync_time(&self, lasts: Duration) {
        self.settled().sync_time = lasts;
    }

    /// Lets the next sync take this much longer.
    pub fn stall_next_sync(&self, longer: Duration) {
        self.settled().stall = longer;
    }

    /// Lets the next sync fail when it ends: nothing of it is acknowledged, and the store has stopped.
    pub fn fail_next_sync(&self) {
        self.settled().next_sync_fails = true;
    }

    /// Lets every write fail with [`StoreError::Full`] from now on, as a disk does that something else has filled, or none. The
    /// first one stops the store.
    pub fn refuse_writes(&self, refuses: bool) {
        self.settled().ledger.rows().refuse_writes(refuses);
    }

    /// Sets the size of the disk, bytes; `None` = more than will ever be used. A write that does not fit fails as
    /// [`MemoryStore::refuse_writes`] says; the reserve of [`StoreLimits`] is there so that none does.
    pub fn set_capacity(&self, bytes: Option<u64>) {
        self.settled().ledger.rows().set_capacity(bytes);
    }

    /// Cuts the power, and opens the store again when it is back. Whatever no sync has ended for is gone, and whoever waits for
    /// one is told [`StoreError::Unavailable`].
    ///
    /// # Errors
    /// [`StoreError::Corrupt`] if the ledger cannot read its own rows: a defect of ours.
    pub fn crash(&self) -> Result<(), StoreError> {
        self.settled().crash()
    }

    /// Ends the process and opens the store in a new one; after [`Store::close`](super::Store::close) nothing is missing then.
    ///
    /// What a sync was writing is there without having been acknowledged, and is lost in a power cut before the next sync. Verbs
    /// that waited behind it are lost.
    ///
    /// # Errors
    /// As [`MemoryStore::crash`].
    pub fn restart(&self) -> Result<(), StoreError> {
        self.settled().restart()
    }

    /// Returns how many parcels, announced ones among them, are still there more than a step after they had to go.
    pub fn overdue(&self) -> usize {
        self.settled().ledger.overdue()
    }

    /// Copies the disk as a power cut would leave it.
    pub fn snapshot(&self) -> Snapshot {
        Snapshot(self.settled().ledger.rows().durable())
    }

    /// Plays an operator who puts an older copy in place and starts again, as it has to be done: the epoch is drawn anew, so that
    /// devices offer again what the copy does not hold.
    ///
    /// # Errors
    /// As [`MemoryStore::crash`]; [`StoreError::Full`] if the disk refuses the epoch.
    pub fn restore_from(&self, snapshot: &Snapshot, random: &mut (impl Random + ?Sized)) -> Result<(), StoreError> {
        self.settled().restore(snapshot.0.clone(), Epoch(random::bytes(random)))
    }

    /// Plays an operator who begins with an empty disk. The epoch is drawn anew.
    ///
    /// # Errors
    /// [`StoreError::Full`] if the disk refuses even that.
    pub fn replace(&self, random: &mut (impl Random + ?Sized)) -> Result<(), StoreError> {
        self.settled().empty(Epoch(random::bytes(random)))
    }

    /// Looks at what a power cut would leave.
    ///
    /// # Errors
    /// As [`MemoryStore::crash`].
    pub fn inspect(&self) -> Result<Inspection, StoreError> {
        let mut disk = self.settled();
        let (epoch, bytes, syncs) = (disk.ledger.epoch(), disk.ledger.rows().bytes(), disk.syncs);
        let mut rows = MemoryRows::default();
        rows.replace(disk.ledger.rows().durable());
        drop(disk);
        let ledger = Ledger::open(rows, StoreLimits::default(), disk::names(), epoch)?;
        Ok(Inspection { ledger, bytes, syncs })
    }

    fn lock(&self) -> MutexGuard<'_, Disk> {
        // Nothing panics while it is held, and a ledger after a panic is no worse than after a failed write: it is stopped.
        self.shared.disk.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The disk as it is now: what has ended by now has ended before anything else happens to it.
    fn settled(&self) -> MutexGuard<'_, Disk> {
        let mut disk = self.lock();
        disk.settle();
        disk
    }

    /// Waits for `wanted` and ends every sync at its time meanwhile: whoever waits works the disk.
    async fn working<F: Future>(&self, wanted: F) -> F::Output {
        tokio::pin!(wanted);
        loop {
            let due = self.lock().settle();
            tokio::select! {
                biased;
                done = &mut wanted => return done,
                () = moment(due) => {}
            }
        }
    }
}

/// Waits until `due`; for ever if nothing is.
async fn moment(due: Option<Instant>) {
    match due {
        Some(due) => sleep_until(due).await,
        None => pending().await,
    }
}

impl fmt::Debug for MemoryStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryStore").finish_non_exhaustive()
    }
}

impl LedgerEngine for MemoryStore {
    type Rows = MemoryRows;

    async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Ledger<MemoryRows>) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<Durable<T>, StoreError> {
        let place = self.working(Arc::clone(&self.shared.places).acquire_owned()).await;
        let (job, answer) = batch::job(work, Durable::after_sync);
        self.lock().push(job, place.map_err(|_| StoreError::Unavailable)?)?;
        // An answer that is gone means that the store has stopped, or is another's by now.
        self.working(answer).await.map_err(|_| StoreError::Unavailable)?
    }

    fn store_epoch(&self) -> Epoch {
        self.lock().ledger.epoch()
    }

    fn promise(&self) -> Guarantee {
        Guarantee::Memory
    }

    async fn end(&self) -> Result<(), StoreError> {
        let life = self.lock().close()?;
        loop {
            let due = self.lock().closed(life)?;
            match due {
                Some(due) => sleep_until(due).await,
                None => return Ok(()),
            }
        }
    }
}
