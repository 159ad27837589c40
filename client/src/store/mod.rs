//! The device store: everything a device keeps, sealed at rest, changed only by atomic durable commits.
//!
//! A *record* has a [`Kind`], a key of at most 64 bytes and a value of at most 4 MiB. The engine changes records in [`Batch`]es;
//! a commit that returned survives a power cut, one that did not return is there whole or not at all. Nothing else may say that
//! a thing is durable: [`DeviceStore::commit`] is the only place on a device where a [`Durable`] begins (rules 1 and 3).
//!
//! Two engines mean the same: [`MemoryStore`] for tests and the simulated world; one conformance suite runs against both
//! (`client/tests/store_conformance.rs`).

mod batch;
mod error;
mod kind;
mod memory;
mod record;

use zajil_proto::durable::Durable;
use zeroize::Zeroizing;

pub use batch::Batch;
pub use error::StoreError;
pub use kind::Kind;
pub use memory::{Fault, MemoryDisk, MemoryStore};
pub use record::{Record, Records};

/// The bytes of a record, wiped from memory when dropped.
pub type Value = Zeroizing<Vec<u8>>;

/// What a device keeps, and how it changes.
///
/// All calls are synchronous and short, but for a commit, which waits for the disk. One program at a time has a store open.
pub trait DeviceStore: Send {
    /// Makes all changes of the batch durable, or none. Changes apply in their order. An empty batch is durable at once.
    ///
    /// # Errors
    /// After [`StoreError::TooLarge`] and [`StoreError::Full`] nothing has changed and the store goes on. After any other error
    /// the batch may be on disk or not, whole in either case: drop the store and open it again.
    fn commit(&mut self, batch: Batch) -> Result<Durable<()>, StoreError>;

    /// Reads a value, or `None` if there is no such record.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`] if the record is damaged; [`StoreError::Closed`]; [`StoreError::Io`].
    fn get(&self, kind: Kind, key: &[u8]) -> Result<Option<Value>, StoreError>;

    /// The keys of this kind that begin with `prefix`, rising (bytewise). Reads no value.
    ///
    /// # Errors
    /// [`StoreError::Closed`].
    fn keys_prefix(&self, kind: Kind, prefix: &[u8]) -> Result<Vec<Vec<u8>>, StoreError>;

    /// The length of a value in bytes, or `None` if there is no such record. Reads no value.
    ///
    /// # Errors
    /// [`StoreError::Closed`].
    fn len(&self, kind: Kind, key: &[u8]) -> Result<Option<usize>, StoreError>;

    /// How many records of this kind there are.
    ///
    /// # Errors
    /// [`StoreError::Closed`].
    fn count(&self, kind: Kind) -> Result<usize, StoreError>;

    /// Bytes of keys and values of this kind, before sealing. The files are larger: about 170 bytes a part, and whole pages.
    ///
    /// # Errors
    /// [`StoreError::Closed`].
    fn usage(&self, kind: Kind) -> Result<u64, StoreError>;

    /// Removes from the files what commits have deleted or replaced, so that not even its sealed form is left in them. Costs
    /// disk writes: call it when idle. Also done when opening and closing. What flash memory keeps of old blocks is not promised.
    ///
    /// # Errors
    /// As [`DeviceStore::commit`]; no record changes.
    fn scrub(&mut self) -> Result<(), StoreError>;

    /// Scrubs and closes. Dropping a store closes it too, and cannot say whether that went well; nothing committed is lost.
    ///
    /// # Errors
    /// As [`DeviceStore::scrub`].
    fn close(self: Box<Self>) -> Result<(), StoreError>;

    /// Every record of this kind, by rising key. Holds all values in memory: for bodies ask for [`DeviceStore::keys`] and read
    /// one by one.
    ///
    /// # Errors
    /// As [`DeviceStore::get`]; the first record that cannot be read ends it.
    fn scan(&self, kind: Kind) -> Result<Vec<(Vec<u8>, Value)>, StoreError> {
        self.scan_prefix(kind, &[])
    }

    /// Every record of this kind whose key begins with `prefix`, by rising key. Holds all values in memory.
    ///
    /// # Errors
    /// As [`DeviceStore::get`]; the first record that cannot be read ends it.
    fn scan_prefix(&self, kind: Kind, prefix: &[u8]) -> Result<Vec<(Vec<u8>, Value)>, StoreError> {
        let mut rows = Vec::new();
        for key in self.keys_prefix(kind, prefix)? {
            if let Some(value) = self.get(kind, &key)? {
                rows.push((key, value));
            }
        }
        Ok(rows)
    }

    /// The keys of this kind, rising (bytewise). Reads no value.
    ///
    /// # Errors
    /// [`StoreError::Closed`].
    fn keys(&self, kind: Kind) -> Result<Vec<Vec<u8>>, StoreError> {
        self.keys_prefix(kind, &[])
    }
}
