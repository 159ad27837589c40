//! Rows in memory on a disk of a certain size, with what is not synced yet.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::ops::Bound;
use std::sync::Arc;

use zajil_proto::uncounted;

use super::super::batch::RequestRows;
use super::super::ledger::{Rows, Table, Visit};
use super::super::{CheckReport, Space, StoreError};

/// Bytes a row takes beside its record and body: its seal and its place in a page.
const ROW_BYTES: u64 = 64;

type Place = (Table, i64);
/// Record and body. Shared, so that a copy of a whole disk costs no copy of what people said.
type Row = Arc<(Vec<u8>, Vec<u8>)>;
/// Every row of a disk.
pub(super) type Content = BTreeMap<Place, Row>;

fn cost(row: &Row) -> u64 {
    let bytes = row.0.len().saturating_add(row.1.len());
    ROW_BYTES.saturating_add(u64::try_from(bytes).unwrap_or(u64::MAX))
}

/// Rows in memory, with what one commit has changed but not synced.
#[derive(Default)]
pub(in crate::store) struct MemoryRows {
    content: Content,
    /// What each place held before the commit that is not synced changed it. It takes its room until then, as in a log.
    before: BTreeMap<Place, Option<Row>>,
    /// What `content` and `before` take.
    bytes: u64,
    /// Size of the disk; `None` = more than will ever be used.
    capacity_bytes: Option<u64>,
    refuses_writes: bool,
    /// Whether the request that runs has changed anything.
    wrote: bool,
}

impl MemoryRows {
    /// Puts `content` in place of everything on the same disk.
    pub(super) fn replace(&mut self, content: Content) {
        self.bytes = content.values().map(cost).fold(0, u64::saturating_add);
        self.content = content;
        self.before.clear();
    }

    /// Sets the size of the disk.
    pub(super) const fn set_capacity(&mut self, bytes: Option<u64>) {
        self.capacity_bytes = bytes;
    }

    /// Lets every write fail, or none.
    pub(super) const fn refuse_writes(&mut self, refuses: bool) {
        self.refuses_writes = refuses;
    }

    /// Returns what is taken of the disk.
    pub(super) const fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Returns whether there is something that a power cut would take.
    pub(super) fn is_unsynced(&self) -> bool {
        !self.before.is_empty()
    }

    /// What was written is durable from now on.
    pub(super) fn synced(&mut self) {
        let freed = std::mem::take(&mut self.before).into_values().flatten();
        self.bytes = freed.fold(self.bytes, |bytes, row| bytes.saturating_sub(cost(&row)));
    }

    /// Takes back what is not synced.
    pub(super) fn roll_back(&mut self) {
        let content = self.durable();
        self.replace(content);
    }

    /// Returns what a power cut would leave now.
    pub(super) fn durable(&self) -> Content {
        let mut content = self.content.clone();
        for (place, row) in &self.before {
            match row {
                Some(row) => content.insert(*place, Arc::clone(row)),
                None => content.remove(place),
            };
        }
        content
    }

    /// Counts the rows of a table.
    pub(super) fn count(&self, table: Table) -> usize {
        self.content.range((table, i64::MIN)..=(table, i64::MAX)).count()
    }

    fn change(&mut self, place: Place, row: Option<Row>) -> Result<(), StoreError> {
        let bytes = self.bytes.saturating_add(row.as_ref().map_or(0, cost));
        if self.refuses_writes || (row.is_some() && self.capacity_bytes.is_some_and(|capacity| bytes > capacity)) {
            return Err(StoreError::Full);
        }
        self.wrote = true;
        self.bytes = bytes;
        let held = match row {
            Some(row) => self.content.insert(place, row),
            None => self.content.remove(&place),
        };
        match self.before.entry(place) {
            Entry::Vacant(first) => drop(first.insert(held)),
            Entry::Occupied(_) => self.bytes = self.bytes.saturating_sub(held.as_ref().map_or(0, cost)),
        }
        Ok(())
    }

    fn row(&self, table: Table, row: i64) -> Result<&Row, StoreError> {
        self.content.get(&(table, row)).ok_or_else(|| StoreError::corrupt("a row is missing"))
    }
}

impl RequestRows for MemoryRows {
    fn request_begins(&mut self) {
        self.wrote = false;
    }

    fn is_unharmed(&self) -> bool {
        !self.wrote
    }
}

impl Rows for MemoryRows {
    fn scan(&mut self, table: Table, after: i64, visit: &mut Visit<'_>) -> Result<(), StoreError> {
        let range = (Bound::Excluded((table, after)), Bound::Included((table, i64::MAX)));
        for ((_, number), row) in self.content.range(range) {
            if !visit(*number, &row.0)? {
                break;
            }
        }
        Ok(())
    }

    fn record(&mut self, table: Table, row: i64) -> Result<Vec<u8>, StoreError> {
        self.row(table, row).map(|row| row.0.clone())
    }

    fn body(&mut self, row: i64) -> Result<Vec<u8>, StoreError> {
        self.row(Table::Parcels, row).map(|row| row.1.clone())
    }

    fn write(&mut self, table: Table, row: i64, record: &[u8], body: &[u8]) -> Result<(), StoreError> {
        uncounted!(self.change((table, row), Some(Arc::new((record.to_vec(), body.to_vec())))))
    }

    fn delete(&mut self, table: Table, row: i64) -> Result<(), StoreError> {
        self.change((table, row), None)
    }

    fn delete_below(&mut self, table: Table, row: i64) -> Result<(), StoreError> {
        let places: Vec<Place> = self.content.range((table, i64::MIN)..(table, row)).map(|(place, _)| *place).collect();
        places.into_iter().try_for_each(|place| self.change(place, None))
    }

    fn space(&mut self) -> Result<Space, StoreError> {
        let total_bytes = self.capacity_bytes.unwrap_or(u64::MAX);
        Ok(Space { free_bytes: total_bytes.saturating_sub(self.bytes), total_bytes })
    }

    /// There are no files.
    fn tidy(&mut self, _daily: bool) {}

    fn check(&mut self, _deep: bool, report: &mut CheckReport) -> Result<(), StoreError> {
        report.rows = u64::try_from(self.content.len()).unwrap_or(u64::MAX);
        Ok(())
    }
}
