//! Typed records over bytes: a version byte, then postcard.

use serde::Serialize;
use serde::de::DeserializeOwned;
use zeroize::Zeroizing;

use super::{Batch, DeviceStore, Kind, StoreError};

/// A type that is kept as a record.
///
/// Stored as `version u8 ‖ postcard`. Postcard has no field names: any change of the type's shape needs a new version,
/// and [`Record::upgrade`] for those who have the old one on disk.
pub trait Record: Serialize + DeserializeOwned {
    /// Under which kind it is kept. Several types may share one if their keys tell them apart.
    const KIND: Kind;
    /// Version of the shape, from 1.
    const VERSION: u8;

    /// Reads the shape of an older version; `None` if this version does not know it or the bytes are not of that shape.
    fn upgrade(_version: u8, _bytes: &[u8]) -> Option<Self> {
        None
    }
}

/// Reading of typed records, on every store.
pub trait Records: DeviceStore {
    /// Reads one record, or `None` if it is not there.
    ///
    /// # Errors
    /// As [`DeviceStore::get`]; [`StoreError::RecordVersion`] for a newer version, [`StoreError::RecordShape`] for
    /// bytes that are not of the type.
    fn record<T: Record>(&self, key: &[u8]) -> Result<Option<T>, StoreError> {
        self.get(T::KIND, key)?.map(|value| decode(&value)).transpose()
    }

    /// Reads every record of the type's kind, by rising key.
    ///
    /// # Errors
    /// As [`Records::record`]; the first one that cannot be read ends it.
    fn records<T: Record>(&self) -> Result<Vec<(Vec<u8>, T)>, StoreError> {
        self.records_prefix(&[])
    }

    /// Reads every record of the type's kind whose key begins with `prefix`, by rising key.
    ///
    /// # Errors
    /// As [`Records::record`]; the first one that cannot be read ends it.
    fn records_prefix<T: Record>(&self, prefix: &[u8]) -> Result<Vec<(Vec<u8>, T)>, StoreError> {
        let rows = self.scan_prefix(T::KIND, prefix)?;
        rows.into_iter().map(|(key, value)| Ok((key, decode(&value)?))).collect()
    }
}

impl<S: DeviceStore + ?Sized> Records for S {}

impl Batch {
    /// Gives the record of this key this value; see [`Batch::put`].
    ///
    /// # Errors
    /// [`StoreError::RecordShape`] if the type cannot be written by postcard (a sequence of unknown length): a defect
    /// of the type.
    pub fn put_record<T: Record>(&mut self, key: &[u8], record: &T) -> Result<&mut Self, StoreError> {
        let value = encode(record)?;
        Ok(self.put_secret(T::KIND, key, value))
    }

    /// Removes the record of this type and key; see [`Batch::delete`].
    pub fn delete_record<T: Record>(&mut self, key: &[u8]) -> &mut Self {
        self.delete(T::KIND, key)
    }
}

fn encode<T: Record>(record: &T) -> Result<Zeroizing<Vec<u8>>, StoreError> {
    let shape = |_| StoreError::RecordShape { kind: T::KIND };
    // Measured first: a vector that grows leaves copies of its secrets behind in freed memory.
    let length = postcard::experimental::serialized_size(record).map_err(shape)?;
    let mut value = Zeroizing::new(vec![0; length.saturating_add(1)]);
    if let Some((version, rest)) = value.split_first_mut() {
        *version = T::VERSION;
        postcard::to_slice(record, rest).map_err(shape)?;
    }
    Ok(value)
}

pub(crate) fn decode<T: Record>(value: &[u8]) -> Result<T, StoreError> {
    let kind = T::KIND;
    let shape = StoreError::RecordShape { kind };
    let (&got, rest) = value.split_first().ok_or_else(|| shape.clone())?;
    if got > T::VERSION {
        let expected = T::VERSION;
        return Err(StoreError::RecordVersion { kind, got, expected });
    }
    if got < T::VERSION {
        return T::upgrade(got, rest).ok_or(shape);
    }
    match postcard::take_from_bytes(rest) {
        Ok((record, [])) => Ok(record),
        Ok(_) | Err(_) => Err(shape),
    }
}
