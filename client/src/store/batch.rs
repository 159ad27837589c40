//! What one commit changes.

use std::fmt;

use zeroize::Zeroizing;

use super::{Kind, StoreError};
use crate::limits::{BATCH_BYTES_MAX, BATCH_OPERATIONS_MAX, RECORD_KEY_BYTES_MAX, RECORD_VALUE_BYTES_MAX};

/// One change to one record.
pub(super) enum Operation {
    /// The record has this value from now on.
    Put(Zeroizing<Vec<u8>>),
    /// The record is no more, and its key is destroyed.
    Delete,
    /// The value goes on with these bytes; a record that was not there begins with them.
    Append(Zeroizing<Vec<u8>>),
}

/// A change and the record it is for.
pub(super) struct Change {
    pub(super) kind: Kind,
    pub(super) key: Vec<u8>,
    pub(super) operation: Operation,
}

/// Changes that become durable together or not at all, applied in the order in which they were added.
///
/// Nothing is checked here: [`DeviceStore::commit`](super::DeviceStore::commit) refuses what is above a limit.
#[derive(Default)]
#[must_use = "a batch changes nothing until it is committed"]
pub struct Batch {
    changes: Vec<Change>,
}

impl Batch {
    /// Returns a batch that changes nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// Gives the record this value, whether it was there or not. Key at most 64 bytes, value at most 4 MiB.
    pub fn put(&mut self, kind: Kind, key: &[u8], value: impl Into<Vec<u8>>) -> &mut Self {
        self.add(kind, key, Operation::Put(Zeroizing::new(value.into())))
    }

    /// As [`Batch::put`], for a value that is wiped from memory wherever it goes.
    pub fn put_secret(&mut self, kind: Kind, key: &[u8], value: Zeroizing<Vec<u8>>) -> &mut Self {
        self.add(kind, key, Operation::Put(value))
    }

    /// Removes the record and destroys its key. Removing what is not there is no error.
    pub fn delete(&mut self, kind: Kind, key: &[u8]) -> &mut Self {
        self.add(kind, key, Operation::Delete)
    }

    /// Adds bytes at the end of the record's value; a record that was not there begins with them.
    ///
    /// What stands already is not written again. At most 4 095 appends follow a put; a put of the whole value begins
    /// anew.
    pub fn append(&mut self, kind: Kind, key: &[u8], bytes: impl Into<Vec<u8>>) -> &mut Self {
        self.add(kind, key, Operation::Append(Zeroizing::new(bytes.into())))
    }

    /// Adds the changes of `other` behind these.
    pub fn extend(&mut self, other: Self) -> &mut Self {
        self.changes.extend(other.changes);
        self
    }

    /// Whether committing would change nothing.
    pub fn is_empty(&self) -> bool {
        self.changes.is_empty()
    }

    /// How many changes there are.
    pub fn len(&self) -> usize {
        self.changes.len()
    }

    fn add(&mut self, kind: Kind, key: &[u8], operation: Operation) -> &mut Self {
        let key = key.to_vec();
        self.changes.push(Change { kind, key, operation });
        self
    }

    /// Refuses what is above a limit by itself; what depends on the values that stand is the engine's to check.
    pub(super) fn checked(self) -> Result<Vec<Change>, StoreError> {
        within("the number of changes in a batch", self.changes.len(), BATCH_OPERATIONS_MAX)?;
        let mut bytes = 0_usize;
        for change in &self.changes {
            let value = match &change.operation {
                Operation::Put(value) | Operation::Append(value) => value.len(),
                Operation::Delete => 0,
            };
            within("the key of a record", change.key.len(), RECORD_KEY_BYTES_MAX)?;
            within("the value of a record", value, RECORD_VALUE_BYTES_MAX)?;
            bytes = bytes.saturating_add(change.key.len()).saturating_add(value);
        }
        within("a batch", bytes, BATCH_BYTES_MAX)?;
        Ok(self.changes)
    }
}

/// Refuses a measure above its limit.
pub(super) const fn within(what: &'static str, got: usize, limit: usize) -> Result<(), StoreError> {
    if got > limit {
        return Err(StoreError::TooLarge { what, got, limit });
    }
    Ok(())
}

/// Shows how many changes, never which: keys are ids and values are secrets.
impl fmt::Debug for Batch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Batch").field("changes", &self.changes.len()).finish_non_exhaustive()
    }
}
