//! What a phone's disk tells whoever takes it, for the simulated world's oracle.

use std::collections::BTreeSet;

use zajil_proto::ids::sha256;

use super::model::{Contact, KnownSession, Note};
use super::state::number_key;
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

/// Returns of the keys that a phone goes on to use, each by the first 8 bytes of its hash: outer keys that are not being renewed, and the
/// signing keys of sessions for notes. Whoever copied one reads on.
///
/// # Errors
/// As reading the records.
pub fn keys_in_use(disk: &MemoryDisk) -> Result<BTreeSet<[u8; 8]>, StoreError> {
    let mut keys = BTreeSet::new();
    let mut add = |key: &[u8; 32]| {
        keys.extend(sha256(&[b"key in use", key]).first_chunk::<8>().copied());
    };
    for (_, value) in disk.records(Kind::Contact) {
        let contact: Contact = decode(&value)?;
        if let Some(session) = &contact.session {
            add(&session.signer().public().0);
        }
        if let Some(control) = contact.control.filter(|control| !control.outer.is_under_way()) {
            add(&control.outer.sealing().0.0);
        }
    }
    Ok(keys)
}

/// Returns how many records on a disk belong to nothing that is there: recordings and bodies without their note or parcel, notes and keys of
/// Returns how many records on a disk belong to nothing that is there: recordings, countdowns and bodies without their note or parcel, notes and keys of
/// nobody. Whoever forgot a person believes them gone.
///
/// # Errors
/// As reading the records.
pub fn left_behind(disk: &MemoryDisk) -> Result<usize, StoreError> {
    let without = |kind: Kind, of: Kind| {
        let owners: BTreeSet<Vec<u8>> = disk.names(of).into_iter().collect();
        // The segments of a body begin with the name of their parcel.
        let is_owned = |name: &Vec<u8>| {
            let before = owners.range::<Vec<u8>, _>(..=name).next_back();
            before.is_some_and(|owner| name.starts_with(owner))
        };
        disk.names(kind).iter().filter(|name| !is_owned(name)).count()
    };
    let contacts: BTreeSet<Vec<u8>> = disk.names(Kind::Contact).into_iter().collect();
    let is_somebodys = |contact: u32| contacts.contains(number_key(contact).as_slice());
    let mut left = without(Kind::Recording, Kind::Note)
        + without(Kind::Countdown, Kind::Note)
        + without(Kind::OutgoingBody, Kind::Outgoing)
        + without(Kind::IncomingBody, Kind::Incoming);
    for (_, value) in disk.records(Kind::Note) {
        let note: Note = decode(&value)?;
        left += usize::from(!is_somebodys(note.contact));
    }
    for (_, value) in disk.records(Kind::ReceivedSession) {
        let known: KnownSession = decode(&value)?;
        left += usize::from(!is_somebodys(known.contact));
    }
    Ok(left)
}
