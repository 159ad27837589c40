//! The embedded engine: rows in SQLite, sealed, in order of arrival; one thread commits whatever waits together.
//!
//! `synchronous=FULL`, so that a commit returns after its fsync; tables without a second index, so that flash wears twelve times
//! less than with keys in random order; no shared memory file and no second connection, because one thread does everything.

mod committer;
mod directory;
mod rows;
mod wal;

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::thread::JoinHandle;

use committer::Job;
use directory::StoreDirectory;
use rows::SealedRows;
use tokio::sync::{mpsc, oneshot};
use zajil_proto::durable::Durable;
use zajil_proto::ids::Epoch;
use zajil_proto::random::{self, Random};

use super::batch;
use super::engine::LedgerEngine;
use super::key::{TombstoneNames, Vault};
use super::ledger::Ledger;
use super::{Guarantee, SpaceProbe, StoreError, StoreKey, StoreLimits};
use crate::limits::COMMITTER_QUEUE;

/// How to open a [`SqliteStore`].
pub struct SqliteOptions {
    /// Where its files lie; made if missing, for its owner alone. Must be on a local disk.
    pub directory: PathBuf,
    /// What its rows are sealed under. The same at every opening.
    pub key: StoreKey,
    /// What is taken.
    pub limits: StoreLimits,
    /// Draws nonces, and the epoch of a new store.
    pub random: Box<dyn Random + Send>,
    /// Tells the room on the disk; `None` = the file system of `directory`.
    pub space: Option<SpaceProbe>,
}

impl fmt::Debug for SqliteOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SqliteOptions")
            .field("directory", &self.directory)
            .field("limits", &self.limits)
            .finish_non_exhaustive()
    }
}

/// A store on one local disk.
///
/// After an error of the disk it stops: every request is [`StoreError::Unavailable`] until it is opened anew, by a new process if
/// the error was an fsync's. Dropping it ends it as [`Store::close`](super::Store::close) does, and waits for that.
pub struct SqliteStore {
    jobs: Mutex<Option<mpsc::Sender<Job>>>,
    ended: Mutex<Option<oneshot::Receiver<Result<(), StoreError>>>>,
    thread: Mutex<Option<JoinHandle<()>>>,
    epoch: Epoch,
}

impl SqliteStore {
    /// Opens a store, or makes one. Blocks while it checks the files and reads every row but the bodies: about a second for
    /// 500 000 parcels.
    ///
    /// # Errors
    /// [`StoreError::NotLocal`], [`StoreError::Locked`], [`StoreError::ReadOnly`], [`StoreError::NotAStore`], [`StoreError::Newer`],
    /// [`StoreError::WrongKey`], [`StoreError::Corrupt`], [`StoreError::Full`], [`StoreError::Io`].
    pub fn open(options: SqliteOptions) -> Result<Self, StoreError> {
        Self::open_with(options, Sync::EveryCommit)
    }

    /// Opens a store that lies about durability: the control of the power-cut test, which must lose something.
    ///
    /// # Errors
    /// As [`SqliteStore::open`].
    #[doc(hidden)]
    pub fn open_without_sync_for_the_power_cut_test(options: SqliteOptions) -> Result<Self, StoreError> {
        Self::open_with(options, Sync::Never)
    }

    fn open_with(options: SqliteOptions, sync: Sync) -> Result<Self, StoreError> {
        let directory = StoreDirectory::take(&options.directory)?;
        let mut vault = Vault::new(&options.key, options.random)?;
        let fresh = Epoch(random::bytes(vault.random()));
        let space = options.space.unwrap_or_else(|| directory::space_probe(&options.directory));
        let rows = SealedRows::open(&directory, vault, space, sync)?;
        let names = TombstoneNames::new(&options.key);
        let mut ledger = Ledger::open(rows, options.limits, names, fresh)?;
        ledger.rows().commit()?;
        directory.sync()?;

        let epoch = ledger.epoch();
        let (jobs, queue) = mpsc::channel(COMMITTER_QUEUE);
        let (tell, ended) = oneshot::channel();
        let thread = std::thread::Builder::new()
            .name("committer".to_owned())
            .spawn(move || {
                let result = committer::run(ledger, queue);
                // The lock goes before the word that it is gone.
                drop(directory);
                let _nobody_waits = tell.send(result);
            })
            .map_err(|error| StoreError::Io { what: "starting the committer", reason: error.to_string() })?;
        Ok(Self {
            jobs: Mutex::new(Some(jobs)),
            ended: Mutex::new(Some(ended)),
            thread: Mutex::new(Some(thread)),
            epoch,
        })
    }

    /// Returns the database's file in a store's directory, for a backup of a store that is closed.
    pub fn database(directory: &Path) -> PathBuf {
        directory.join(directory::DATABASE)
    }
}

/// When the disk is told to keep what was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sync {
    EveryCommit,
    Never,
}

impl LedgerEngine for SqliteStore {
    type Rows = SealedRows;

    async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Ledger<SealedRows>) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<Durable<T>, StoreError> {
        let jobs = lock(&self.jobs).clone().ok_or(StoreError::Unavailable)?;
        let (job, answer) = batch::job(work, Durable::after_sync);
        // A queue or an answer that is gone means that the committer has stopped.
        jobs.send(job).await.map_err(|_| StoreError::Unavailable)?;
        drop(jobs);
        answer.await.map_err(|_| StoreError::Unavailable)?
    }

    fn store_epoch(&self) -> Epoch {
        self.epoch
    }

    fn promise(&self) -> Guarantee {
        Guarantee::OneDisk
    }

    async fn end(&self) -> Result<(), StoreError> {
        lock(&self.jobs).take();
        let ended = lock(&self.ended).take();
        match ended {
            Some(ended) => ended.await.unwrap_or(Err(StoreError::Unavailable)),
            None => Ok(()),
        }
    }
}

impl Drop for SqliteStore {
    fn drop(&mut self) {
        lock(&self.jobs).take();
        if let Some(thread) = lock(&self.thread).take() {
            // A panic of the committer was reported when it happened.
            let _panicked = thread.join();
        }
    }
}

impl fmt::Debug for SqliteStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SqliteStore").finish_non_exhaustive()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    // Nothing that could panic is done under these locks.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
