//! The disk under a store in memory: what waits for a sync, and when that ends.
//!
//! It has no task of its own. A sync ends at a time that is known when it begins, and whoever looks at the disk afterwards first
//! does what has happened since: [`Disk::settle`].

use std::collections::VecDeque;
use std::time::Duration;

use tokio::sync::OwnedSemaphorePermit;
use tokio::time::Instant;
use zajil_proto::ids::Epoch;

use super::super::batch::{Batch, Job};
use super::super::key::TombstoneNames;
use super::super::ledger::Ledger;
use super::super::{StoreError, StoreKey, StoreLimits};
use super::rows::{Content, MemoryRows};

/// Nobody reads this memory's names from a disk, so that their key need not be secret.
pub(super) fn names() -> TombstoneNames {
    TombstoneNames::new(&StoreKey::new([0; 32]))
}

/// A disk, and the store that is open on it.
pub(super) struct Disk {
    pub(super) ledger: Ledger<MemoryRows>,
    limits: StoreLimits,
    state: State,
    /// Rises whenever the store is opened again.
    life: u64,
    /// Requests that came while a sync ran, each with its place in the queue.
    queue: VecDeque<(Job<MemoryRows>, OwnedSemaphorePermit)>,
    syncing: Option<Syncing>,
    /// How long a sync takes.
    pub(super) sync_time: Duration,
    /// How much longer the next one takes.
    pub(super) stall: Duration,
    /// Whether the next one fails.
    pub(super) next_sync_fails: bool,
    /// How many ended well.
    pub(super) syncs: u64,
}

enum State {
    Serving,
    Closed,
    /// A write or a sync failed; the reason until it was told.
    Stopped(Option<StoreError>),
}

/// A batch whose requests are done and not durable yet.
struct Syncing {
    batch: Batch,
    /// `None` if it takes no time.
    until: Option<Instant>,
    fails: bool,
}

impl Disk {
    /// Makes an empty disk with a store on it.
    pub(super) fn new(limits: StoreLimits, epoch: Epoch) -> Result<Self, StoreError> {
        let mut ledger = Ledger::open(MemoryRows::default(), limits.clone(), names(), epoch)?;
        ledger.rows().synced();
        Ok(Self {
            ledger,
            limits,
            state: State::Serving,
            life: 0,
            queue: VecDeque::new(),
            syncing: None,
            sync_time: Duration::ZERO,
            stall: Duration::ZERO,
            next_sync_fails: false,
            syncs: 0,
        })
    }

    /// Takes a request into the queue.
    pub(super) fn push(&mut self, job: Job<MemoryRows>, place: OwnedSemaphorePermit) -> Result<(), StoreError> {
        self.settle();
        if !matches!(self.state, State::Serving) {
            return Err(StoreError::Unavailable);
        }
        self.queue.push_back((job, place));
        self.settle();
        Ok(())
    }

    /// Does what has happened by now: ends syncs whose time has come, answers, and begins the next. Returns when to look again,
    /// `None` if nothing waits.
    pub(super) fn settle(&mut self) -> Option<Instant> {
        loop {
            let ended = match self.syncing.take() {
                Some(syncing) if syncing.until.is_some_and(|until| Instant::now() < until) => {
                    let until = syncing.until;
                    self.syncing = Some(syncing);
                    return until;
                }
                Some(Syncing { batch, until, fails }) => {
                    self.end_sync(batch, fails);
                    until
                }
                None => None,
            };
            if self.queue.is_empty() {
                return None;
            }
            self.begin_batch(ended);
        }
    }

    /// Does all that waits, and begins to sync it, at `from` or now.
    fn begin_batch(&mut self, from: Option<Instant>) {
        let (ledger, queue) = (&mut self.ledger, &mut self.queue);
        let (batch, done) = Batch::run(ledger, || queue.pop_front().map(|(job, _place)| job));
        ledger.batch_ended();
        match done {
            Ok(()) if self.ledger.rows().is_unsynced() => self.begin_sync(batch, from),
            // What changed nothing needs no sync.
            Ok(()) => batch.answer(&Ok(())),
            Err(error) => self.stop(batch, error),
        }
    }

    fn begin_sync(&mut self, batch: Batch, from: Option<Instant>) {
        let lasts = self.sync_time.saturating_add(std::mem::take(&mut self.stall));
        let until = (!lasts.is_zero()).then(|| from.unwrap_or_else(Instant::now) + lasts);
        self.syncing = Some(Syncing { batch, until, fails: std::mem::take(&mut self.next_sync_fails) });
    }

    fn end_sync(&mut self, batch: Batch, fails: bool) {
        if fails {
            let reason = "the disk says that it failed".to_owned();
            return self.stop(batch, StoreError::Io { what: "syncing the store", reason });
        }
        self.ledger.rows().synced();
        self.ledger.batch_ended();
        self.syncs = self.syncs.saturating_add(1);
        batch.answer(&Ok(()));
    }

    /// Acknowledges nothing any more. What was not synced is not there when the store is opened again.
    fn stop(&mut self, batch: Batch, error: StoreError) {
        self.ledger.rows().roll_back();
        batch.answer(&Err(StoreError::Unavailable));
        self.queue.clear();
        self.state = State::Stopped(Some(error));
    }

    /// Refuses new requests; those that wait go on. Tells in which life that was, or why the store had stopped.
    pub(super) fn close(&mut self) -> Result<u64, StoreError> {
        self.settle();
        self.told()?;
        if matches!(self.state, State::Serving) {
            self.state = State::Closed;
        }
        Ok(self.life)
    }

    /// Tells whether everything is durable since [`Disk::close`], else when to look again.
    pub(super) fn closed(&mut self, life: u64) -> Result<Option<Instant>, StoreError> {
        let due = self.settle();
        if self.life != life {
            return Err(StoreError::Unavailable);
        }
        self.told()?;
        Ok(due)
    }

    /// Tells the reason for which the store stopped, once.
    fn told(&mut self) -> Result<(), StoreError> {
        match &mut self.state {
            State::Stopped(reason) => reason.take().map_or(Ok(()), Err),
            State::Serving | State::Closed => Ok(()),
        }
    }

    /// The process that had the store open is gone and so is what it had not begun to write. A new one opens what is there.
    pub(super) fn restart(&mut self) -> Result<(), StoreError> {
        self.settle();
        self.open_again()?;
        if self.ledger.rows().is_unsynced() {
            // The system has it and the disk does not, so that nothing may be answered from it yet.
            self.begin_sync(Batch::default(), None);
            self.settle();
        }
        Ok(())
    }

    /// As [`Disk::restart`], and what was not synced is lost.
    pub(super) fn crash(&mut self) -> Result<(), StoreError> {
        self.settle();
        self.ledger.rows().roll_back();
        self.open_again()
    }

    /// As [`Disk::restart`], with a copy in place of what was there, and a new epoch.
    pub(super) fn restore(&mut self, content: Content, epoch: Epoch) -> Result<(), StoreError> {
        self.settle();
        self.ledger.rows().replace(content);
        self.open_again()?;
        self.ledger.begin_epoch(epoch)?;
        self.ledger.rows().synced();
        Ok(())
    }

    /// As [`Disk::restart`], with nothing in place of what was there.
    pub(super) fn empty(&mut self, epoch: Epoch) -> Result<(), StoreError> {
        self.settle();
        self.ledger.rows().replace(Content::new());
        self.open_with(epoch)?;
        self.ledger.rows().synced();
        Ok(())
    }

    fn open_again(&mut self) -> Result<(), StoreError> {
        self.open_with(self.ledger.epoch())
    }

    fn open_with(&mut self, epoch: Epoch) -> Result<(), StoreError> {
        self.life = self.life.wrapping_add(1);
        self.queue.clear();
        self.syncing = None;
        let rows = std::mem::take(self.ledger.rows());
        match Ledger::open(rows, self.limits.clone(), names(), epoch) {
            Ok(ledger) => {
                self.ledger = ledger;
                self.state = State::Serving;
                Ok(())
            }
            Err(error) => {
                self.state = State::Stopped(Some(error.clone()));
                Err(error)
            }
        }
    }
}
