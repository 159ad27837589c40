use std::collections::BTreeMap;
use std::fmt;
use std::ops::Bound;
use std::sync::{Mutex, MutexGuard, PoisonError};

use zajil_proto::durable::Durable;
use zajil_proto::ids::Epoch;
use zajil_proto::random::{self, Random};

use super::engine::LedgerEngine;
use super::key::TombstoneNames;
use super::ledger::{Ledger, Rows, Table, Visit};
use super::{CheckReport, Guarantee, Space, StoreError, StoreKey, StoreLimits};

/// A store in memory: the same verbs, no thread, no waiting. It promises what a process can promise.
///
/// The simulated world runs on it. [`MemoryStore::crash`] loses what a power cut would lose, [`MemoryStore::set_faults`] makes
/// it fail as a disk does.
pub struct MemoryStore {
    limits: StoreLimits,
    /// `None` after [`Store::close`](super::Store::close).
    ledger: Mutex<Option<Ledger<MemoryRows>>>,
    epoch: Epoch,
}

/// What goes wrong with a [`MemoryStore`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Faults {
    /// Room on the disk; `None` = more than will ever be used.
    pub free_bytes: Option<u64>,
    /// The next write fails as a disk fails: the store has stopped until [`MemoryStore::crash`].
    pub failing: bool,
}

impl MemoryStore {
    /// Makes an empty store.
    ///
    /// # Errors
    /// None in practice; the type is that of every opening.
    pub fn new(limits: StoreLimits, random: &mut (impl Random + ?Sized)) -> Result<Self, StoreError> {
        let rows = MemoryRows::default();
        let epoch = Epoch(random::bytes(random));
        let ledger = Ledger::open(rows, limits.clone(), names(), epoch)?;
        Ok(Self { limits, ledger: Mutex::new(Some(ledger)), epoch })
    }

    /// Sets what goes wrong from now on.
    pub fn set_faults(&self, faults: Faults) {
        if let Some(ledger) = self.lock().as_mut() {
            ledger.rows().faults = faults;
            ledger.batch_ended();
        }
    }

    /// Cuts the power and starts again: what was acknowledged is there, everything else is gone. Ends a failing write's effect.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`] if the ledger cannot read its own rows: a defect of ours.
    pub fn crash(&self) -> Result<(), StoreError> {
        let mut guard = self.lock();
        if let Some(ledger) = guard.take() {
            let mut rows = ledger.into_rows();
            rows.roll_back();
            rows.faults.failing = false;
            *guard = Some(Ledger::open(rows, self.limits.clone(), names(), self.epoch)?);
        }
        Ok(())
    }

    fn lock(&self) -> MutexGuard<'_, Option<Ledger<MemoryRows>>> {
        // Nothing panics while it is held, and a ledger after a panic is no worse than after a failed write: it is stopped.
        self.ledger.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for MemoryStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryStore").finish_non_exhaustive()
    }
}

/// Nobody reads this memory's names from a disk, so that their key need not be secret.
fn names() -> TombstoneNames {
    TombstoneNames::new(&StoreKey::new([0; 32]))
}

impl LedgerEngine for MemoryStore {
    type Rows = MemoryRows;

    async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Ledger<MemoryRows>) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<Durable<T>, StoreError> {
        let mut guard = self.lock();
        let ledger = guard.as_mut().ok_or(StoreError::Unavailable)?;
        if ledger.rows().stopped {
            return Err(StoreError::Unavailable);
        }
        let result = work(ledger);
        match &result {
            Ok(_) | Err(StoreError::Refused(_)) => ledger.rows().commit(),
            Err(_) => ledger.rows().stopped = true,
        }
        ledger.batch_ended();
        result.map(Durable::after_sync)
    }

    fn store_epoch(&self) -> Epoch {
        self.epoch
    }

    fn promise(&self) -> Guarantee {
        Guarantee::Memory
    }

    async fn end(&self) -> Result<(), StoreError> {
        *self.lock() = None;
        Ok(())
    }
}

type Place = (Table, i64);
type Row = (Vec<u8>, Vec<u8>);

/// Rows in memory, with what one verb has changed but not committed.
#[derive(Default)]
pub(super) struct MemoryRows {
    rows: BTreeMap<Place, Row>,
    /// What each place held before the verb that is running changed it.
    before: BTreeMap<Place, Option<Row>>,
    faults: Faults,
    stopped: bool,
}

impl MemoryRows {
    fn commit(&mut self) {
        self.before.clear();
    }

    fn roll_back(&mut self) {
        for (place, row) in std::mem::take(&mut self.before) {
            match row {
                Some(row) => self.rows.insert(place, row),
                None => self.rows.remove(&place),
            };
        }
        self.stopped = false;
    }

    fn change(&mut self, place: Place, row: Option<Row>) -> Result<(), StoreError> {
        if self.faults.failing {
            return Err(StoreError::Full);
        }
        let held = match row {
            Some(row) => self.rows.insert(place, row),
            None => self.rows.remove(&place),
        };
        self.before.entry(place).or_insert(held);
        Ok(())
    }

    fn row(&self, table: Table, row: i64) -> Result<&Row, StoreError> {
        self.rows.get(&(table, row)).ok_or_else(|| StoreError::corrupt("a row is missing"))
    }
}

impl Rows for MemoryRows {
    fn scan(&mut self, table: Table, after: i64, visit: &mut Visit<'_>) -> Result<(), StoreError> {
        let range = (Bound::Excluded((table, after)), Bound::Included((table, i64::MAX)));
        for ((_, row), (record, _)) in self.rows.range(range) {
            if !visit(*row, record)? {
                break;
            }
        }
        Ok(())
    }

    fn record(&mut self, table: Table, row: i64) -> Result<Vec<u8>, StoreError> {
        self.row(table, row).map(|(record, _)| record.clone())
    }

    fn body(&mut self, row: i64) -> Result<Vec<u8>, StoreError> {
        self.row(Table::Parcels, row).map(|(_, body)| body.clone())
    }

    fn write(&mut self, table: Table, row: i64, record: &[u8], body: &[u8]) -> Result<(), StoreError> {
        self.change((table, row), Some((record.to_vec(), body.to_vec())))
    }

    fn delete(&mut self, table: Table, row: i64) -> Result<(), StoreError> {
        self.change((table, row), None)
    }

    fn delete_below(&mut self, table: Table, row: i64) -> Result<(), StoreError> {
        let places: Vec<Place> = self.rows.range((table, i64::MIN)..(table, row)).map(|(place, _)| *place).collect();
        places.into_iter().try_for_each(|place| self.change(place, None))
    }

    fn space(&mut self) -> Result<Space, StoreError> {
        Ok(Space { free_bytes: self.faults.free_bytes.unwrap_or(u64::MAX), total_bytes: u64::MAX })
    }

    /// There are no files.
    fn tidy(&mut self, _daily: bool) {}

    fn check(&mut self, _deep: bool, report: &mut CheckReport) -> Result<(), StoreError> {
        report.rows = u64::try_from(self.rows.len()).unwrap_or(u64::MAX);
        Ok(())
    }
}
