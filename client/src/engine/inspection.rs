//! What a phone's disk tells whoever takes it, for the simulated world's oracle.

use super::model::KnownSession;
use crate::store::record::decode;
use crate::store::{Kind, MemoryDisk, StoreError};

/// Returns how many notes that were opened can be opened again with what lies on a disk: none, or whoever takes the phone and what its relay
/// kept hears what was said long ago.
///
/// # Errors
/// As reading the records.
pub fn keys_of_opened_notes(disk: &MemoryDisk) -> Result<usize, StoreError> {
    let mut keys = 0;
    for (_, value) in disk.records(Kind::ReceivedSession) {
        let known: KnownSession = decode(&value)?;
        keys += known.used.iter().filter(|tag| known.session.find(tag).is_some()).count();
    }
    Ok(keys)
}
