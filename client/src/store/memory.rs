//! The store in memory: same meaning, no file, and a power cut on demand.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use zajil_proto::durable::Durable;
use zajil_proto::uncounted;
use zeroize::Zeroizing;

use super::batch::{Change, Operation, within};
use super::{Batch, DeviceStore, Kind, StoreError, Value};
use crate::limits::{RECORD_PARTS_MAX, RECORD_VALUE_BYTES_MAX};

/// What goes wrong in a commit of a [`MemoryDisk`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// The disk is full: refused with [`StoreError::Full`], nothing written, the store goes on.
    Full,
    /// The power fails before the write: [`StoreError::Closed`], nothing written, the disk must be opened again.
    CutBefore,
    /// The power fails after the write and before the answer: [`StoreError::Closed`], written, the disk must be opened
    /// again.
    CutAfter,
    /// The disk fails the sync and does not have the commit: [`StoreError::Database`], nothing written, the disk must be opened again. The
    /// power stays.
    SyncLost,
    /// The disk fails the sync and has the commit all the same: [`StoreError::Database`], written, the disk must be opened again.
    SyncKept,
}

/// SQLite's code for a sync that failed (`SQLITE_IOERR_FSYNC`).
const SYNC_FAILED: i32 = 1_034;

/// A disk in memory. It outlives the [`MemoryStore`]s opened on it; clones are the same disk.
#[derive(Clone, Default)]
pub struct MemoryDisk {
    shared: Arc<Mutex<Disk>>,
}

/// The disk's content, and who may write it.
#[derive(Default)]
struct Disk {
    records: Records,
    /// What all keys and values take.
    bytes: u64,
    /// Rises whenever a store is opened, closed or cut off: a store of an older life is closed.
    life: u64,
    is_open: bool,
    /// Commits that still go well, and what happens to the one after them.
    fault: Option<(u64, Fault)>,
    commits: u64,
    scrubs: u64,
    /// Size of the disk; `None` = more than will ever be used.
    capacity: Option<u64>,
    /// Whom to tell when a fault closes the store.
    on_fault: Option<Arc<dyn Fn(Fault) + Send + Sync>>,
}

/// A copy of what a [`MemoryDisk`] holds, as a backup of the whole phone.
#[derive(Clone)]
pub struct Snapshot(Records);

impl fmt::Debug for Snapshot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Snapshot").finish_non_exhaustive()
    }
}

type Records = BTreeMap<(u8, Vec<u8>), Held>;

/// A value, and of how many parts it would consist on a real disk.
#[derive(Clone)]
struct Held {
    value: Value,
    parts: usize,
}

impl MemoryDisk {
    /// Returns an empty disk.
    pub fn new() -> Self {
        Self::default()
    }

    /// Opens the store on this disk, with everything that was committed.
    ///
    /// # Errors
    /// [`StoreError::Busy`] while another store is open on it.
    pub fn open(&self) -> Result<MemoryStore, StoreError> {
        let mut disk = self.lock();
        if disk.is_open {
            return Err(StoreError::Busy);
        }
        disk.is_open = true;
        disk.life = disk.life.wrapping_add(1);
        Ok(MemoryStore { disk: self.clone(), life: disk.life })
    }

    /// Cuts the power: what was committed stays, the open store answers [`StoreError::Closed`] from now on, and the
    /// disk can be opened again.
    pub fn crash(&self) {
        self.lock().end_life();
    }

    /// Lets the next commit that changes anything fail in this way, once.
    pub fn fail_next_commit(&self, fault: Fault) {
        self.fail_commit_after(0, fault);
    }

    /// Lets `commits` more commits that change anything go well and the next one fail in this way, once.
    pub fn fail_commit_after(&self, commits: u64, fault: Fault) {
        self.lock().fault = Some((commits, fault));
    }

    /// Takes back a fault that has not come about.
    pub fn clear_fault(&self) {
        self.lock().fault = None;
    }

    /// Says whom to tell, before the commit answers, by which fault the store is closed: where the power is cut, what else runs on the
    /// machine ends then.
    pub fn on_fault(&self, tell: impl Fn(Fault) + Send + Sync + 'static) {
        self.lock().on_fault = Some(Arc::new(tell));
    }

    /// Sets the size of the disk, bytes; `None` = more than will ever be used.
    ///
    /// A commit after which keys and values would take more is refused with [`StoreError::Full`], unless it deletes at least
    /// as much as it puts: a home holds space back for those.
    pub fn set_capacity(&self, bytes: Option<u64>) {
        self.lock().capacity = bytes;
    }

    /// Copies what is committed.
    pub fn snapshot(&self) -> Snapshot {
        Snapshot(self.lock().records.clone())
    }

    /// Plays a person who puts an older copy in place: the open store answers [`StoreError::Closed`] from now on, and the
    /// disk can be opened again.
    pub fn restore_from(&self, snapshot: &Snapshot) {
        let mut disk = self.lock();
        disk.end_life();
        disk.records = snapshot.0.clone();
        disk.bytes = disk.records.iter().fold(0, |sum: u64, ((_, key), held)| sum.saturating_add(taken(key, held)));
    }

    /// Bytes that all keys and values take.
    pub fn bytes(&self) -> u64 {
        self.lock().bytes
    }

    /// How many records there are of a kind, also while no store is open.
    pub fn count(&self, kind: Kind) -> usize {
        self.lock().of_kind(kind).count()
    }

    /// Copies the keys of the records of a kind, also while a store is open.
    pub fn keys(&self, kind: Kind) -> Vec<Vec<u8>> {
        self.lock().of_kind(kind).map(|(key, _)| key.clone()).collect()
    }

    /// Copies the records of a kind, also while a store is open.
    pub fn records(&self, kind: Kind) -> Vec<(Vec<u8>, Value)> {
        self.lock().of_kind(kind).map(|(key, held)| (key.clone(), held.value.clone())).collect()
    }

    /// Copies the keys of the records of a kind, rising, also while a store is open.
    pub fn names(&self, kind: Kind) -> Vec<Vec<u8>> {
        self.lock().of_kind(kind).map(|(key, _)| key.clone()).collect()
    }

    /// How often what is left of erased records was wiped.
    pub fn scrubs(&self) -> u64 {
        self.lock().scrubs
    }

    /// How many commits with changes were written since the disk was made.
    pub fn commits(&self) -> u64 {
        self.lock().commits
    }

    fn lock(&self) -> MutexGuard<'_, Disk> {
        // A panic elsewhere cannot leave the map half changed: a commit replaces it whole.
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for MemoryDisk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryDisk").finish_non_exhaustive()
    }
}

impl Disk {
    /// Returns what is to go wrong with this commit.
    fn next_fault(&mut self) -> Option<Fault> {
        let (before, fault) = self.fault.take()?;
        match before.checked_sub(1) {
            None => Some(fault),
            Some(left) => {
                self.fault = Some((left, fault));
                None
            }
        }
    }

    /// Refuses a commit that does not fit, but none that deletes as much as it puts: the rule of a home's reserve.
    fn has_room(&self, changes: &[Change], changed: &Changed) -> Result<(), StoreError> {
        let Some(capacity) = self.capacity else { return Ok(()) };
        let (mut puts, mut deletes) = (0_usize, 0_usize);
        for Change { kind, key, operation } in changes {
            match operation {
                Operation::Put(value) | Operation::Append(value) => puts = puts.saturating_add(value.len()),
                Operation::Delete => {
                    let held = self.records.get(&(kind.code(), key.clone()));
                    deletes = deletes.saturating_add(held.map_or(0, |held| held.value.len()));
                }
            }
        }
        if self.bytes_after(changed) > capacity && puts > deletes { Err(StoreError::Full) } else { Ok(()) }
    }

    fn bytes_after(&self, changed: &Changed) -> u64 {
        changed.iter().fold(self.bytes, |bytes, (name, held)| {
            let before = self.records.get(name).map_or(0, |held| taken(&name.1, held));
            let after = held.as_ref().map_or(0, |held| taken(&name.1, held));
            bytes.saturating_add(after).saturating_sub(before)
        })
    }

    fn end_life(&mut self) {
        self.is_open = false;
        self.life = self.life.wrapping_add(1);
    }
}

/// The store on a [`MemoryDisk`].
#[derive(Debug)]
pub struct MemoryStore {
    disk: MemoryDisk,
    life: u64,
}

impl MemoryStore {
    /// Opens a store on a disk of its own.
    pub fn new() -> Self {
        let disk = MemoryDisk::new();
        {
            let mut fresh = disk.lock();
            fresh.is_open = true;
        }
        Self { disk, life: 0 }
    }

    /// The disk under this store, to cut its power or to open it again later.
    pub fn disk(&self) -> MemoryDisk {
        self.disk.clone()
    }

    fn alive(&self) -> Result<MutexGuard<'_, Disk>, StoreError> {
        let disk = self.disk.lock();
        if disk.is_open && disk.life == self.life { Ok(disk) } else { Err(StoreError::Closed) }
    }
}

impl Default for MemoryStore {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for MemoryStore {
    fn drop(&mut self) {
        let mut disk = self.disk.lock();
        if disk.life == self.life {
            disk.end_life();
        }
    }
}

impl DeviceStore for MemoryStore {
    fn room(&self) -> Option<u64> {
        let disk = self.disk.lock();
        Some(disk.capacity?.saturating_sub(disk.bytes))
    }

    fn commit(&mut self, batch: Batch) -> Result<Durable<()>, StoreError> {
        let mut disk = self.alive()?;
        let changes = batch.checked()?;
        if changes.is_empty() {
            return Ok(Durable::after_sync(()));
        }
        let changed = uncounted!(apply(&disk.records, &changes))?;
        disk.has_room(&changes, &changed)?;
        let fault = disk.next_fault();
        match fault {
            Some(Fault::Full) => return Err(StoreError::Full),
            Some(fault @ (Fault::CutBefore | Fault::SyncLost)) => return Err(closed(disk, fault)),
            Some(Fault::CutAfter | Fault::SyncKept) | None => {}
        }
        disk.bytes = disk.bytes_after(&changed);
        for (name, held) in changed {
            match held {
                Some(held) => drop(uncounted!(disk.records.insert(name, held))),
                None => drop(disk.records.remove(&name)),
            }
        }
        disk.commits = disk.commits.saturating_add(1);
        fault.map_or_else(|| Ok(Durable::after_sync(())), |fault| Err(closed(disk, fault)))
    }

    fn get(&self, kind: Kind, key: &[u8]) -> Result<Option<Value>, StoreError> {
        let disk = self.alive()?;
        let held = disk.records.get(&(kind.code(), key.to_vec()));
        Ok(held.map(|held| held.value.clone()))
    }

    fn keys_prefix(&self, kind: Kind, prefix: &[u8]) -> Result<Vec<Vec<u8>>, StoreError> {
        let disk = self.alive()?;
        let from = (kind.code(), prefix.to_vec());
        let names = disk.records.range(from..).map(|(name, _)| name);
        let ours = names.take_while(|(code, key)| *code == kind.code() && key.starts_with(prefix));
        Ok(ours.map(|(_, key)| key.clone()).collect())
    }

    fn len(&self, kind: Kind, key: &[u8]) -> Result<Option<usize>, StoreError> {
        let disk = self.alive()?;
        let held = disk.records.get(&(kind.code(), key.to_vec()));
        Ok(held.map(|held| held.value.len()))
    }

    fn count(&self, kind: Kind) -> Result<usize, StoreError> {
        let disk = self.alive()?;
        Ok(disk.of_kind(kind).count())
    }

    fn usage(&self, kind: Kind) -> Result<u64, StoreError> {
        let disk = self.alive()?;
        Ok(disk.of_kind(kind).fold(0, |sum: u64, (key, held)| sum.saturating_add(taken(key, held))))
    }

    fn scrub(&mut self) -> Result<(), StoreError> {
        self.alive()?.scrubs += 1;
        Ok(())
    }

    fn close(self: Box<Self>) -> Result<(), StoreError> {
        self.alive().map(drop)
    }
}

impl Disk {
    fn of_kind(&self, kind: Kind) -> impl Iterator<Item = (&Vec<u8>, &Held)> {
        let records = self.records.range((kind.code(), Vec::new())..);
        let ours = records.take_while(move |((code, _), _)| *code == kind.code());
        ours.map(|((_, key), held)| (key, held))
    }
}

/// Bytes of a record.
fn taken(key: &[u8], held: &Held) -> u64 {
    u64::try_from(key.len().saturating_add(held.value.len())).unwrap_or(u64::MAX)
}

/// Closes the store by a fault. Whoever is told finds the disk unlocked.
fn closed(mut disk: MutexGuard<'_, Disk>, fault: Fault) -> StoreError {
    disk.end_life();
    let told = disk.on_fault.clone();
    drop(disk);
    if let Some(tell) = told {
        tell(fault);
    }
    match fault {
        Fault::SyncLost | Fault::SyncKept => StoreError::Database { doing: "writing the records", code: SYNC_FAILED },
        Fault::Full | Fault::CutBefore | Fault::CutAfter => StoreError::Closed,
    }
}

/// What each changed record becomes; `None` if it is no more.
type Changed = BTreeMap<(u8, Vec<u8>), Option<Held>>;

fn apply(records: &Records, changes: &[Change]) -> Result<Changed, StoreError> {
    let mut changed = Changed::new();
    for Change { kind, key, operation } in changes {
        let name = (kind.code(), key.clone());
        let held = match operation {
            Operation::Put(value) => Some(Held { value: value.clone(), parts: 1 }),
            Operation::Delete => None,
            Operation::Append(bytes) => {
                let before = changed.remove(&name).unwrap_or_else(|| records.get(&name).cloned());
                Some(appended(before, bytes)?)
            }
        };
        changed.insert(name, held);
    }
    Ok(changed)
}

fn appended(before: Option<Held>, bytes: &[u8]) -> Result<Held, StoreError> {
    let Some(before) = before else {
        return Ok(Held { value: Zeroizing::new(bytes.to_vec()), parts: 1 });
    };
    let parts = before.parts.saturating_add(1);
    let length = before.value.len().saturating_add(bytes.len());
    within("the number of parts of a record", parts, RECORD_PARTS_MAX)?;
    within("the value of a record", length, RECORD_VALUE_BYTES_MAX)?;
    let mut value = Zeroizing::new(Vec::with_capacity(length));
    value.extend_from_slice(&before.value);
    value.extend_from_slice(bytes);
    Ok(Held { value, parts })
}
