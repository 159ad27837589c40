use std::fmt;

use zajil_proto::ids::{MailboxId, ParcelId};

use super::super::ledger::{Ledger, Table};
use super::super::{Cursor, ExportPage, StoreError};
use super::rows::{Content, MemoryRows};

/// What a power cut would leave of a [`MemoryStore`](super::MemoryStore), for a judge who does not ask the store itself.
pub struct Inspection {
    pub(super) ledger: Ledger<MemoryRows>,
    pub(super) bytes: u64,
    pub(super) syncs: u64,
}

/// Rows of a store, by table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct RowCounts {
    /// Epoch and clock.
    pub meta: usize,
    /// Mailboxes and slots.
    pub scopes: usize,
    /// Beginnings of parcels, and pieces of them.
    pub parcels: usize,
    /// Tombstones.
    pub tombstones: usize,
    /// Quota that returns at the next step.
    pub freed: usize,
}

/// A parcel of which a store holds bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HeldParcel {
    /// Which.
    pub id: ParcelId,
    /// Where it waits.
    pub mailbox: MailboxId,
    /// Bytes held.
    pub bytes: u32,
    /// Whether it is closed: all of it is here.
    pub whole: bool,
}

impl Inspection {
    /// Returns how many rows there are.
    pub fn rows(&mut self) -> RowCounts {
        let rows = self.ledger.rows();
        RowCounts {
            meta: rows.count(Table::Meta),
            scopes: rows.count(Table::Scopes),
            parcels: rows.count(Table::Parcels),
            tombstones: rows.count(Table::Tombstones),
            freed: rows.count(Table::Freed),
        }
    }

    /// Returns the bytes that all rows take on the disk, and with them what a sync that has not ended will free.
    pub const fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Returns how many syncs have ended well since the disk was made.
    pub const fn syncs(&self) -> u64 {
        self.syncs
    }

    /// Returns every parcel of which there are bytes, by rising id.
    pub fn parcels(&self) -> Vec<HeldParcel> {
        self.ledger.held_parcels()
    }

    /// Returns the next of all mailboxes, slots and parcels, as [`Store::export`](crate::store::Store::export) does.
    ///
    /// # Errors
    /// As there.
    pub fn exported(&mut self, from: Cursor) -> Result<ExportPage, StoreError> {
        self.ledger.export(from)
    }

    /// Returns whether there is a tombstone for this parcel.
    pub fn is_buried(&self, id: &ParcelId) -> bool {
        self.ledger.is_buried(id)
    }
}

impl fmt::Debug for Inspection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Inspection").finish_non_exhaustive()
    }
}

/// A copy of a disk, as an operator makes one while the relay stands still.
#[derive(Clone)]
pub struct Snapshot(pub(super) Content);

impl fmt::Debug for Snapshot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Snapshot").finish_non_exhaustive()
    }
}
