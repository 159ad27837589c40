//! What a relay's session asks of its store: the relay's verbs as values. `zajil-relay`'s `Store` trait has one method
//! for each.

use crate::durable::Durable;
use crate::ids::{MailboxId, ParcelId, ReadTag, RelayHash, SlotId};
use crate::parcel::{Header, Mark, Resumed, Travel};
use crate::wire::{Code, Observation, Precision, Scope, Word};

/// Makes a mailbox or slot, or changes its homes and precision (P8.9). Repeating it changes nothing.
#[derive(Clone, PartialEq, Eq)]
pub struct Registration {
    /// Mailbox or slot.
    pub scope: Scope,
    /// Its id.
    pub id: [u8; 16],
    /// Its read tag.
    pub read_tag: ReadTag,
    /// Parcels it may hold, `None` = as the relay allows.
    pub parcels_max: Option<u16>,
    /// Bytes it may hold, `None` = as the relay allows.
    pub bytes_max: Option<u32>,
    /// Whether several devices read it and nobody releases (P8.17).
    pub audience: bool,
    /// Hours after which it goes unless something was stored, `None` = never.
    pub valid_hours: Option<u16>,
    /// For a slot: what the relay may tell.
    pub precision: Precision,
    /// Its homes as the device gives them.
    pub homes: Vec<RelayHash>,
}

/// One request to the store.
#[derive(Clone, PartialEq, Eq)]
pub enum StoreRequest {
    /// Makes a mailbox or slot.
    Register(Registration),
    /// Creates a parcel, or finds how far it is.
    Put {
        /// Its verified header.
        header: Header,
        /// Home and age.
        travel: Travel,
    },
    /// Appends to a parcel what the assembly has accepted.
    Extend(Extension),
    /// Drops the bytes of a parcel after `to`: its tail did not fit its mark.
    Cut {
        /// Which parcel.
        id: ParcelId,
        /// Bytes that stay.
        to: u32,
    },
    /// Leaves a tombstone and deletes the parcel.
    Withdraw {
        /// Its mailbox.
        mailbox: MailboxId,
        /// Which parcel.
        id: ParcelId,
    },
    /// What waits in a mailbox, oldest first; empty for one that is not here.
    List {
        /// Which mailbox.
        mailbox: MailboxId,
    },
    /// Bytes of a parcel.
    Read {
        /// Which parcel.
        id: ParcelId,
        /// From where.
        offset: u32,
        /// At most how many bytes.
        bytes_max: u32,
    },
    /// Deletes from a pair mailbox; leaves tombstones.
    Release {
        /// Which mailbox.
        mailbox: MailboxId,
        /// Which parcels.
        ids: Vec<ParcelId>,
    },
    /// Keeps a word if its version is higher than what is held, and its observation if it is the first of this version and the word
    /// is not older than what is held.
    PutWord {
        /// The word, signature checked.
        word: Word,
        /// Present only if the owner itself has shown that it is there (P7.5).
        observation: Option<Observation>,
    },
    /// What is held of a slot.
    Seen {
        /// Which slot.
        slot: SlotId,
    },
    /// Removes a mailbox or slot and all in it.
    Drop {
        /// Mailbox or slot.
        scope: Scope,
        /// Its id.
        id: [u8; 16],
    },
}

/// Bytes and marks to append to a parcel.
#[derive(Clone, PartialEq, Eq)]
pub struct Extension {
    /// Which parcel.
    pub id: ParcelId,
    /// Its mailbox.
    pub mailbox: MailboxId,
    /// Where the bytes stand; equal to what the store holds.
    pub offset: u32,
    /// The bytes, possibly none.
    pub bytes: Vec<u8>,
    /// Marks accepted with them, rising.
    pub marks: Vec<Mark>,
    /// State of the chain after the newest mark.
    pub chain: ([u8; 32], u32),
    /// Whether the last mark is among them.
    pub closed: bool,
}

/// What the store answers.
#[derive(Clone, PartialEq, Eq)]
#[expect(
    clippy::large_enum_variant,
    reason = "handed over one at a time, never stored in numbers; a box would cost more than the copy"
)]
pub enum StoreReply {
    /// `Register`, `Withdraw`, `PutWord`, `Drop`, `Cut`: done and durable.
    Done(Durable<()>),
    /// `Put`: take it up here.
    Open(Resumed),
    /// `Put`: closed and durable, or once was.
    Stored(Durable<ParcelId>),
    /// `Extend`: this much is durable.
    Extended(Durable<Extended>),
    /// `List`.
    Waiting(Vec<Waiting>),
    /// `Read`: bytes from the offset asked for, and every mark whose end lies after it and within them or at their end.
    Bytes {
        /// The bytes, fewer than asked for at the end of what is held.
        bytes: Vec<u8>,
        /// The marks.
        marks: Vec<Mark>,
    },
    /// `Release`: these are gone.
    Released(Durable<Vec<ParcelId>>),
    /// `Seen`.
    Slot(SlotState),
    /// Not taken, with the reason.
    Refused(Code),
    /// The store cannot go on; nothing may be acknowledged.
    Failed,
}

/// How far a parcel is durable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Extended {
    /// Which parcel.
    pub id: ParcelId,
    /// Bytes of body.
    pub held: u32,
    /// Whether it is closed: *stored* may be said.
    pub closed: bool,
}

/// A parcel that waits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Waiting {
    /// Its header.
    pub header: Header,
    /// Home and age.
    pub travel: Travel,
    /// Bytes of body held.
    pub held: u32,
    /// Whether it is closed.
    pub closed: bool,
}

/// What a relay holds of a slot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SlotState {
    /// Whether the slot is registered here.
    pub registered: bool,
    /// What may be told.
    pub precision: Precision,
    /// The newest word.
    pub word: Option<Word>,
    /// Its observation, [`Observation::NONE`] if there is none.
    pub observation: Observation,
}

redacted!(Registration, StoreRequest, Extension, StoreReply);
