//! The device's state in memory, and the only way it changes: a batch that the store has made durable.

use std::collections::{BTreeMap, BTreeSet};

use zajil_proto::durable::Durable;
use zajil_proto::ids::{MailboxId, ParcelId};
use zajil_proto::keys::VerifyingKey;
use zajil_proto::parcel::SealedParcel;
use zajil_proto::random::Random;
use zajil_proto::sealing::HomeRelay;
use zajil_proto::time::Minute;
use zajil_proto::{reached, sabotaged};

use super::api::Failure;
use super::fading::DISAPPEARING_KEY;
use super::lived::Moment;
use super::meeting::Unconfirmed;
use super::model::{
    Cargo, Contact, Countdown, Disappearing, Incoming, KeptRelease, KnownRelay, KnownSession, Note, Outgoing, Profile,
    Stage, encode_marks,
};
use super::pairings::Pairings;
use crate::limits::OUTBOX_BYTES_MAX;
use crate::store::{Batch, DeviceStore, Kind, Records, StoreError};

/// Everything this device knows.
pub(crate) struct Device {
    pub(crate) store: Box<dyn DeviceStore>,
    pub(crate) random: Box<dyn Random + Send>,
    pub(crate) profile: Profile,
    pub(crate) contacts: BTreeMap<u32, Contact>,
    pub(crate) notes: BTreeMap<u32, Note>,
    pub(crate) outgoing: BTreeMap<ParcelId, Outgoing>,
    pub(crate) incoming: BTreeMap<ParcelId, Incoming>,
    pub(crate) sessions: BTreeMap<(u32, u32), KnownSession>,
    pub(crate) relays: BTreeMap<VerifyingKey, KnownRelay>,
    /// What is durable here and no relay has said that it let it go; right after a failed commit too.
    pub(crate) unconfirmed: Unconfirmed,
    /// Of that, what is on the disk.
    kept_releases: BTreeSet<ParcelId>,
    pub(crate) pairings: Pairings,
    pub(crate) disappearing: Disappearing,
    /// Since when the sound of a note has done its work.
    pub(crate) countdowns: BTreeMap<u32, Moment>,
    /// Whether something may have to be erased, or begun to be counted, before its time is looked at anyway.
    pub(crate) fading_due: bool,
}

impl std::fmt::Debug for Device {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Device(..)")
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Full => Self::DiskFull,
            other => Self::Store(other.to_string()),
        }
    }
}

/// The one record of kind [`Kind::Profile`].
pub(crate) const PROFILE_KEY: &[u8] = b"profile";

/// Returns the store key of a numbered record.
pub(crate) const fn number_key(number: u32) -> [u8; 4] {
    number.to_be_bytes()
}

fn number_of(key: &[u8]) -> Option<u32> {
    key.try_into().ok().map(u32::from_be_bytes)
}

fn keyed<K: Ord, V>(rows: Vec<(Vec<u8>, V)>, key: impl Fn(Vec<u8>) -> Option<K>) -> BTreeMap<K, V> {
    rows.into_iter().filter_map(|(bytes, value)| Some((key(bytes)?, value))).collect()
}

fn session_key(contact: u32, number: u32) -> Vec<u8> {
    [number_key(contact), number_key(number)].concat()
}

/// Returns the store key of the segment of an incoming body at `offset`.
pub(crate) fn segment_key(id: &ParcelId, offset: u32) -> Vec<u8> {
    [id.0.as_slice(), &offset.to_be_bytes()].concat()
}

/// Returns the offset in a store key that [`segment_key`] made.
fn segment_offset(segment: &[u8]) -> u32 {
    segment.last_chunk().copied().map_or(0, u32::from_be_bytes)
}

impl Device {
    fn empty(store: Box<dyn DeviceStore>, random: Box<dyn Random + Send>, profile: Profile) -> Self {
        Self {
            store,
            random,
            profile,
            contacts: BTreeMap::new(),
            notes: BTreeMap::new(),
            outgoing: BTreeMap::new(),
            incoming: BTreeMap::new(),
            sessions: BTreeMap::new(),
            relays: BTreeMap::new(),
            unconfirmed: Unconfirmed::new(),
            kept_releases: BTreeSet::new(),
            pairings: Pairings::default(),
            disappearing: Disappearing::default(),
            countdowns: BTreeMap::new(),
            fading_due: true,
        }
    }

    /// Writes a new profile into an empty store.
    pub(crate) fn create(
        store: Box<dyn DeviceStore>,
        random: Box<dyn Random + Send>,
        profile: Profile,
    ) -> Result<Self, Failure> {
        let mut device = Self::empty(store, random, profile);
        let mut batch = Batch::new();
        device.put_profile(&mut batch)?;
        device.commit(batch)?;
        Ok(device)
    }

    /// Reads everything from a store that has a profile; `None` if it has none.
    pub(crate) fn open(store: Box<dyn DeviceStore>, random: Box<dyn Random + Send>) -> Result<Option<Self>, Failure> {
        let Some(profile) = store.record::<Profile>(PROFILE_KEY)? else { return Ok(None) };
        let mut device = Self::empty(store, random, profile);
        device.read_rows()?;
        device.take_up_releases()?;
        Ok(Some(device))
    }

    /// Forgets what is in memory and reads what is durable: after a commit that failed the two differ, and the disk is right.
    pub(crate) fn reload(&mut self) -> Result<(), Failure> {
        if let Some(profile) = self.store.record::<Profile>(PROFILE_KEY)? {
            self.profile = profile;
        }
        self.read_rows()
    }

    /// Reads everything but the profile, whose many keys make it the dearest record of all.
    fn read_rows(&mut self) -> Result<(), Failure> {
        let store = &self.store;
        let parcel = |key: Vec<u8>| key.try_into().ok().map(ParcelId);
        let relay = |key: Vec<u8>| key.try_into().ok().map(VerifyingKey);
        self.contacts = keyed(store.records::<Contact>()?, |key| number_of(&key));
        self.notes = keyed(store.records::<Note>()?, |key| number_of(&key));
        self.outgoing = keyed(store.records::<Outgoing>()?, parcel);
        self.incoming = keyed(store.records::<Incoming>()?, parcel);
        self.relays = keyed(store.records::<KnownRelay>()?, relay);
        self.disappearing = store.record::<Disappearing>(DISAPPEARING_KEY)?.unwrap_or_default();
        let countdowns = keyed(store.records::<Countdown>()?, |key| number_of(&key)).into_iter();
        self.countdowns = countdowns.map(|(number, countdown)| (number, countdown.since)).collect();
        let sessions = store.records::<KnownSession>()?.into_iter();
        self.sessions = sessions.map(|(_, known)| ((known.contact, known.number), known)).collect();
        self.kept_releases = store.records::<KeptRelease>()?.into_iter().filter_map(|(key, _)| parcel(key)).collect();
        Ok(())
    }

    /// Takes up what an earlier program has let go of in vain.
    fn take_up_releases(&mut self) -> Result<(), Failure> {
        let rows = self.store.records::<KeptRelease>()?;
        if rows.is_empty() {
            return Ok(());
        }
        // What was read is on the disk, and this says so.
        let durable = self.commit(Batch::new())?;
        let kept = rows.into_iter().filter_map(|(key, kept)| Some((ParcelId(key.try_into().ok()?), kept.mailbox)));
        self.unconfirmed = kept.map(|(id, mailbox)| (id, (mailbox, durable.map(|()| id)))).collect();
        Ok(())
    }

    /// Puts what no relay has let go of yet on the disk, with `batch`, and what one has let go of since off it.
    pub(crate) fn put_releases(&mut self, batch: &mut Batch) -> Result<(), Failure> {
        for (id, (mailbox, _)) in self.unconfirmed.iter().filter(|(id, _)| !self.kept_releases.contains(id)) {
            batch.put_record(&id.0, &KeptRelease { mailbox: *mailbox })?;
        }
        for id in self.kept_releases.iter().filter(|id| !self.unconfirmed.contains_key(id)) {
            batch.delete(Kind::Release, &id.0);
        }
        self.kept_releases = self.unconfirmed.keys().copied().collect();
        Ok(())
    }

    /// Makes a batch durable.
    pub(crate) fn commit(&mut self, batch: Batch) -> Result<Durable<()>, Failure> {
        self.pairings.forget_all_but_those_of(&self.contacts);
        Ok(self.store.commit(batch)?)
    }

    pub(crate) fn put_profile(&self, batch: &mut Batch) -> Result<(), Failure> {
        batch.put_record(PROFILE_KEY, &self.profile)?;
        Ok(())
    }

    pub(crate) fn put_contact(&self, batch: &mut Batch, key: u32) -> Result<(), Failure> {
        if let Some(contact) = self.contacts.get(&key) {
            batch.put_record(&number_key(key), contact)?;
        }
        Ok(())
    }

    pub(crate) fn put_note(&self, batch: &mut Batch, number: u32) -> Result<(), Failure> {
        if let Some(note) = self.notes.get(&number) {
            batch.put_record(&number_key(number), note)?;
        }
        Ok(())
    }

    pub(crate) fn put_session(&self, batch: &mut Batch, key: (u32, u32)) -> Result<(), Failure> {
        if let Some(session) = self.sessions.get(&key) {
            batch.put_record(&session_key(key.0, key.1), session)?;
        }
        Ok(())
    }

    pub(crate) fn delete_session(&self, batch: &mut Batch, key: (u32, u32)) {
        batch.delete(Kind::ReceivedSession, &session_key(key.0, key.1));
    }

    pub(crate) fn put_outgoing(&self, batch: &mut Batch, id: &ParcelId) -> Result<(), Failure> {
        if let Some(outgoing) = self.outgoing.get(id) {
            batch.put_record(&id.0, outgoing)?;
        }
        Ok(())
    }

    pub(crate) fn put_incoming(&self, batch: &mut Batch, id: &ParcelId) -> Result<(), Failure> {
        if let Some(incoming) = self.incoming.get(id) {
            batch.put_record(&id.0, incoming)?;
        }
        Ok(())
    }

    /// Saves one contact on its own.
    pub(crate) fn save_contact(&mut self, key: u32) -> Result<(), Failure> {
        let mut batch = Batch::new();
        self.put_contact(&mut batch, key)?;
        self.commit(batch)?;
        Ok(())
    }

    /// Notes how a relay was found.
    pub(crate) fn save_relay(&mut self, key: VerifyingKey, relay: KnownRelay) -> Result<(), Failure> {
        let mut batch = Batch::new();
        batch.put_record(&key.0, &relay)?;
        self.relays.insert(key, relay);
        self.commit(batch)?;
        Ok(())
    }

    /// Adds a sealed parcel to the outbox; durable with `batch`.
    pub(crate) fn put_sealed(
        &mut self,
        batch: &mut Batch,
        contact: u32,
        home: HomeRelay,
        cargo: Cargo,
        parcel: SealedParcel,
        now: Minute,
    ) -> Result<ParcelId, Failure> {
        let id = parcel.header.id();
        let outgoing = Outgoing {
            contact,
            home,
            cargo,
            header: parcel.header.as_bytes().to_vec(),
            marks: encode_marks(&parcel.marks),
            length: u32::try_from(parcel.body.len()).unwrap_or(u32::MAX),
            durable: 0,
            stored: None,
            perhaps: None,
            waits: None,
            sealed_at: now,
        };
        batch.put_record(&id.0, &outgoing)?;
        batch.put(Kind::OutgoingBody, &id.0, parcel.body);
        self.outgoing.insert(id, outgoing);
        Ok(id)
    }

    /// Lets an outgoing parcel go; durable with `batch`.
    pub(crate) fn delete_outgoing(&mut self, batch: &mut Batch, id: &ParcelId) {
        self.outgoing.remove(id);
        batch.delete(Kind::Outgoing, &id.0);
        if !sabotaged!(BodyLeftBehind) {
            batch.delete(Kind::OutgoingBody, &id.0);
        }
    }

    /// Lets go of a contact's outgoing parcels that carry `cargo`; durable with `batch`.
    pub(crate) fn delete_cargo(&mut self, batch: &mut Batch, contact: u32, cargo: &Cargo) {
        let carrying = |(_, outgoing): &(&ParcelId, &Outgoing)| outgoing.contact == contact && outgoing.cargo == *cargo;
        let gone: Vec<ParcelId> = self.outgoing.iter().filter(carrying).map(|(id, _)| *id).collect();
        for id in gone {
            self.delete_outgoing(batch, &id);
        }
    }

    /// Lets an incoming parcel go; durable with `batch`.
    pub(crate) fn delete_incoming(&mut self, batch: &mut Batch, id: &ParcelId) -> Result<(), Failure> {
        self.incoming.remove(id);
        batch.delete(Kind::Incoming, &id.0);
        for key in self.store.keys_prefix(Kind::IncomingBody, &id.0)? {
            batch.delete(Kind::IncomingBody, &key);
        }
        Ok(())
    }

    /// Reads an outgoing parcel back as it was sealed.
    pub(crate) fn sealed(&self, id: &ParcelId) -> Result<Option<SealedParcel>, Failure> {
        let Some(outgoing) = self.outgoing.get(id) else { return Ok(None) };
        let (Some(header), Some(mut body)) = (outgoing.header(), self.store.get(Kind::OutgoingBody, &id.0)?) else {
            return Ok(None);
        };
        // It is ciphertext: neither copied nor wiped.
        let mut body = std::mem::take(&mut *body);
        let begun = usize::try_from(outgoing.durable).unwrap_or(usize::MAX);
        if begun > 0 && begun < body.len() && sabotaged!(ChunkSealedAgain) {
            body.iter_mut().skip(begun).for_each(|byte| *byte ^= 1);
        }
        Ok(Some(SealedParcel { header, body, marks: outgoing.marks() }))
    }

    /// Reads all that is held of an incoming body.
    pub(crate) fn incoming_body(&self, id: &ParcelId) -> Result<Vec<u8>, Failure> {
        self.incoming_from(id, 0)
    }

    /// Reads what is held of an incoming body from an offset on, and no segment that ends before it.
    pub(crate) fn incoming_from(&self, id: &ParcelId, offset: u32) -> Result<Vec<u8>, Failure> {
        let segments = self.store.keys_prefix(Kind::IncomingBody, &id.0)?;
        let begins_by_then = |segment: &Vec<u8>| *segment <= segment_key(id, offset);
        let first = segments.partition_point(begins_by_then).saturating_sub(1);
        let mut body = Vec::new();
        for segment in segments.get(first..).unwrap_or_default() {
            if let Some(mut held) = self.store.get(Kind::IncomingBody, segment)? {
                // It is ciphertext: not wiped.
                body.extend(std::mem::take(&mut *held));
            }
        }
        let begins = segments.get(first).map_or(0, |segment| segment_offset(segment));
        let before = usize::try_from(offset.saturating_sub(begins)).unwrap_or(usize::MAX);
        Ok(body.split_off(before.min(body.len())))
    }

    /// Returns whether a parcel waits here for its relay: one that lost its store, as far as it has said, does not have it any more.
    pub(crate) fn waits(&self, outgoing: &Outgoing) -> bool {
        let epoch = self.relays.get(&outgoing.home.key).and_then(|relay| relay.epoch);
        epoch.map_or(outgoing.stored.is_none(), |epoch| outgoing.is_due(epoch))
    }

    /// Returns bytes that wait in the outbox, stored ones included.
    pub(crate) fn outbox_bytes(&self) -> u64 {
        self.outgoing.values().map(|outgoing| u64::from(outgoing.length)).sum()
    }

    /// Refuses new work before an old promise would break.
    pub(crate) fn check_outbox(&self, more: usize) -> Result<(), Failure> {
        let more = u64::try_from(more).unwrap_or(u64::MAX);
        if self.outbox_bytes().saturating_add(more) > OUTBOX_BYTES_MAX {
            reached!(OutboxFull);
            return Err(Failure::OutboxFull);
        }
        Ok(())
    }

    /// Finds a contact by name.
    pub(crate) fn contact_named(&self, name: &str) -> Result<u32, Failure> {
        let name = name.trim();
        if let Some((key, _)) = self.contacts.iter().find(|(_, contact)| contact.name == name) {
            return Ok(*key);
        }
        let folded = name.to_lowercase();
        let nearest = self
            .contacts
            .values()
            .find(|contact| contact.name.to_lowercase() == folded || contact.name.to_lowercase().starts_with(&folded))
            .map(|contact| contact.name.clone());
        Err(Failure::UnknownContact { name: name.to_owned(), nearest })
    }

    /// Finds the contact whose mailbox on this device's home is `mailbox`.
    pub(crate) fn contact_of(&self, mailbox: &MailboxId) -> Option<u32> {
        self.contacts.iter().find_map(|(key, contact)| {
            let own = contact.own.mailbox() == *mailbox;
            let pairing = match &contact.stage {
                Stage::Invited { inviter, .. } => {
                    self.pairings.of(*key, &inviter.link.secret).reply.mailbox() == *mailbox
                }
                Stage::Fetching { link, .. } => self.pairings.of(*key, &link.secret).invitation.mailbox() == *mailbox,
                Stage::Replied { .. } | Stage::Paired | Stage::Over => false,
            };
            (own || pairing).then_some(*key)
        })
    }

    /// Takes the next contact key.
    pub(crate) fn take_contact_key(&mut self) -> u32 {
        let key = self.profile.next_contact;
        self.profile.next_contact = key.saturating_add(1);
        key
    }

    /// Takes the next note number.
    pub(crate) fn take_note_number(&mut self) -> u32 {
        let number = self.profile.next_note;
        self.profile.next_note = number.saturating_add(1);
        number
    }
}

#[cfg(test)]
mod tests {
    use zajil_net::SystemRandom;
    use zajil_proto::keys::{Secret, SigningKey};
    use zajil_proto::sealing::Address;
    use zajil_proto::sealing::olm::{Account, OlmError};

    use super::*;
    use crate::store::MemoryStore;

    fn device() -> Device {
        let key = SigningKey::from_seed(&Secret([1; 32])).public();
        let home = HomeRelay { key, address: Address::parse("relay.example:443").unwrap() };
        let profile = Profile::draw(&mut SystemRandom::new(), home, String::new());
        Device::create(Box::new(MemoryStore::new()), Box::new(SystemRandom::new()), profile).unwrap()
    }

    fn outgoing(device: &Device, length: u32) -> Outgoing {
        Outgoing {
            contact: 0,
            home: device.profile.home.clone(),
            cargo: Cargo::Note(1),
            header: Vec::new(),
            marks: Vec::new(),
            length,
            durable: 0,
            stored: None,
            perhaps: None,
            waits: None,
            sealed_at: Minute(0),
        }
    }

    #[test]
    fn a_full_outbox_refuses_new_notes_and_keeps_the_old() {
        let mut device = device();
        assert_eq!(device.check_outbox(1), Ok(()));
        let full = outgoing(&device, 1_000_000_000);
        device.outgoing.insert(ParcelId([1; 16]), full);
        assert_eq!(device.outbox_bytes(), OUTBOX_BYTES_MAX);
        assert_eq!(device.check_outbox(1), Err(Failure::OutboxFull));
        assert_eq!(device.outgoing.len(), 1);
    }

    #[test]
    fn a_body_is_read_from_any_offset_and_whole_segments_before_it_are_not() {
        let mut device = device();
        let id = ParcelId([1; 16]);
        let body: Vec<u8> = (0..=99).collect();
        let mut batch = Batch::new();
        for (at, piece) in [(0_u32, &body[..10]), (10, &body[10..60]), (60, &body[60..])] {
            batch.put(Kind::IncomingBody, &segment_key(&id, at), piece);
        }
        batch.put(Kind::IncomingBody, &segment_key(&ParcelId([2; 16]), 0), b"another's");
        let _kept = device.commit(batch).unwrap();
        for offset in [0, 1, 9, 10, 11, 59, 60, 99, 100, 101, 70_000] {
            let from = usize::try_from(offset).unwrap().min(100);
            assert_eq!(device.incoming_from(&id, offset).unwrap(), body[from..], "from {offset}");
        }
        assert_eq!(device.incoming_from(&ParcelId([3; 16]), 0).unwrap(), [0; 0]);
        let mut damaged = Batch::new();
        damaged.delete(Kind::IncomingBody, &segment_key(&id, 10));
        let _kept = device.commit(damaged).unwrap();
        assert_eq!(device.incoming_from(&id, 80).unwrap(), body[80..], "not read: it is not there");
    }

    #[test]
    fn after_a_failed_commit_memory_is_what_the_disk_has() {
        let mut device = device();
        let lost = outgoing(&device, 5);
        device.outgoing.insert(ParcelId([1; 16]), lost);
        device.profile.next_note = 99;
        device.reload().unwrap();
        assert!(device.outgoing.is_empty());
        assert_eq!(device.profile.next_note, 1);
    }

    #[test]
    fn a_forgotten_invitation_takes_its_one_time_key_with_it() {
        let mut device = device();
        let key = device.invite("Sami", Minute(0)).unwrap();
        let Stage::Invited { inviter, .. } = &device.contacts[&key].stage else { panic!("an invitation was made") };
        let (identity, one_time_key) = (inviter.bundle.facts().olm_identity, inviter.bundle.facts().olm_one_time_key);
        let stranger = Account::new();
        let first = stranger.outbound(identity, one_time_key).unwrap().encrypt(b"x").unwrap();
        let mut before = device.profile.identity.account.clone();
        assert!(before.inbound(stranger.identity(), &first).is_ok());
        device.forget(key).unwrap();
        device.reload().unwrap();
        let after = device.profile.identity.account.inbound(stranger.identity(), &first);
        assert_eq!(after.err(), Some(OlmError::UnknownOneTimeKey));
    }

    #[test]
    fn nothing_of_a_device_prints() {
        let device = device();
        let shown = format!("{device:?} {:?} {:?}", device.profile, outgoing(&device, 5));
        assert_eq!(shown, "Device(..) Profile(..) Outgoing(..)");
    }
}
