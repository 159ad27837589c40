//! Mailboxes, slots and parcels as a device has them, with random bodies of the sizes that sealing gives.

use zajil_proto::ids::{MailboxId, ParcelId, ReadTag, SlotId};
use zajil_proto::keys::SigningKey;
use zajil_proto::limits::{CHUNK_BYTES, MARK_DISTANCE_BYTES_MAX};
use zajil_proto::parcel::{Class, Header, MarkChain, SealedParcel};
use zajil_proto::random::Random;
use zajil_proto::session::client::{ClientCommand, Offer, Registering, Room};
use zajil_proto::time::Lifetime;
use zajil_proto::wire::{Precision, Scope};

/// Bytes of a sealed note before its first chunk: tag and commitment (P4.1).
const NOTE_START_BYTES: usize = 40;

/// The two key pairs of a mailbox or slot.
#[derive(Debug, Clone)]
pub struct Pair {
    /// Whoever has it writes.
    pub write: SigningKey,
    /// Whoever has it reads.
    pub read: SigningKey,
}

/// A parcel with the key that governs it.
#[derive(Debug, Clone)]
pub struct OwnParcel {
    /// As it travels.
    pub parcel: SealedParcel,
    /// Appends, closes, withdraws.
    pub key: SigningKey,
}

impl Pair {
    /// Draws fresh keys.
    pub fn draw(random: &mut impl Random) -> Self {
        Self { write: SigningKey::draw(random), read: SigningKey::draw(random) }
    }

    /// Returns the tag of the read key.
    pub fn read_tag(&self) -> ReadTag {
        ReadTag::of(&self.read.public())
    }

    /// Returns the mailbox they govern.
    pub fn mailbox(&self) -> MailboxId {
        MailboxId::of(&self.write.public(), &self.read_tag())
    }

    /// Returns the slot they govern.
    pub fn slot(&self) -> SlotId {
        SlotId::of(&self.write.public(), &self.read_tag())
    }

    /// Proves the read key.
    pub fn prove(&self, scope: Scope) -> ClientCommand {
        ClientCommand::Prove { scope, write_key: self.write.public(), read_key: self.read.clone() }
    }

    /// Makes the mailbox or slot at an open relay.
    pub fn register(&self, scope: Scope) -> ClientCommand {
        ClientCommand::Register(Box::new(self.registering(scope)))
    }

    /// Describes the mailbox or slot as one for everyday use.
    pub fn registering(&self, scope: Scope) -> Registering {
        Registering {
            scope,
            write_key: self.write.public(),
            read_tag: self.read_tag(),
            parcels_max: None,
            room: Room::Usual,
            valid_hours: None,
            precision: Precision::SixHours,
            homes: Vec::new(),
            admission: String::new(),
        }
    }

    /// Makes a closed parcel for the mailbox: a body of `chunks` sealed chunks, random as sealed bytes look.
    pub fn parcel(&self, random: &mut impl Random, chunks: usize, lifetime: Lifetime) -> OwnParcel {
        let bytes = NOTE_START_BYTES + chunks * CHUNK_BYTES;
        let length = u32::try_from(bytes).expect("a body is no longer than a parcel may be");
        self.sealed(random, bytes, length, lifetime)
    }

    /// Makes the same whose header does not say how long it will be: one that grows ([`OwnParcel::beginning`]).
    pub fn growing(&self, random: &mut impl Random, chunks: usize, lifetime: Lifetime) -> OwnParcel {
        self.sealed(random, NOTE_START_BYTES + chunks * CHUNK_BYTES, 0, lifetime)
    }

    fn sealed(&self, random: &mut impl Random, bytes: usize, length: u32, lifetime: Lifetime) -> OwnParcel {
        let mut body = vec![0; bytes];
        random.fill(&mut body);
        let key = SigningKey::draw(random);
        let header = Header::sign(Class::Voice, &self.write, self.read_tag(), key.public(), lifetime, length);
        let distance = usize::try_from(MARK_DISTANCE_BYTES_MAX).expect("a mark's distance is small");
        let mut chain = MarkChain::new(&header);
        let count = body.chunks(distance).len();
        let marks = body.chunks(distance).enumerate();
        let marks = marks.map(|(nth, part)| chain.sign(&key, part, nth + 1 == count)).collect();
        OwnParcel { parcel: SealedParcel { header, body, marks }, key }
    }
}

impl OwnParcel {
    /// Returns its id.
    pub fn id(&self) -> ParcelId {
        self.parcel.header.id()
    }

    /// Returns as much of it as its author has vouched for after so many marks.
    pub fn beginning(&self, marks: usize) -> Self {
        let marks = self.parcel.marks[..marks.min(self.parcel.marks.len())].to_vec();
        let end = marks.last().map_or(0, |mark| usize::try_from(mark.end).expect("a parcel is no longer than memory"));
        let parcel = SealedParcel { header: self.parcel.header.clone(), body: self.parcel.body[..end].to_vec(), marks };
        Self { parcel, key: self.key.clone() }
    }

    /// Offers it from `from`, what a relay has called durable of it.
    pub fn offer(&self, from: u32) -> ClientCommand {
        ClientCommand::Offer(Box::new(Offer {
            parcel: self.parcel.clone(),
            travel: zajil_proto::parcel::Travel::default(),
            from,
            opens_waiting: false,
            age: 0,
            turn: 0,
            refused_before: false,
        }))
    }
}
