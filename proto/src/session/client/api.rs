//! What a device's program says to a session, and what it hears from one.

use std::collections::BTreeSet;

use crate::durable::Durable;
use crate::ids::{MailboxId, ParcelId, ReadTag, RelayHash, SlotId};
use crate::keys::{SigningKey, VerifyingKey};
use crate::limits::{EARLY_BYTES_MAX, UNANSWERED_BYTES_MAX, UNFLUSHED_BYTES_MAX};
use crate::parcel::{Header, Mark, Resumed, SealedParcel, Travel};
use crate::wire::{Code, LinkReport, Observation, Precision, Scope, Welcome, Word};

/// How a device's session behaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClientSettings {
    /// Bytes of parcels handed to the transport ahead of what it has taken, at most [`UNFLUSHED_BYTES_MAX`]. On a thin
    /// link less is better: what is handed over can no longer be overtaken where the transport has one lane.
    pub unflushed_bytes_max: usize,
    /// Bytes of notes, together, that leave before the relay has said how much of them it has. What the link carries on a way
    /// there and back: with less it stands still, with more a note that the relay has leaves again.
    pub unanswered_bytes_max: u32,
    /// Bytes, together, that leave before the handshake is over. More than half of what may be under way at first would keep the
    /// handshake's own last packet back.
    pub early_bytes_max: usize,
}

impl Default for ClientSettings {
    fn default() -> Self {
        Self {
            unflushed_bytes_max: UNFLUSHED_BYTES_MAX,
            unanswered_bytes_max: UNANSWERED_BYTES_MAX,
            early_bytes_max: EARLY_BYTES_MAX,
        }
    }
}

/// What a relay gave a device for keys that it had proven: shown in a later session, it stands for those proofs until that is
/// confirmed (P8.21). Keep it in memory only. Does not print.
#[derive(Clone, PartialEq, Eq)]
pub struct Ticket {
    pub(super) secret: [u8; 32],
    pub(super) keys: BTreeSet<(Scope, [u8; 16])>,
    pub(super) rests: bool,
}

impl Ticket {
    /// Returns whether it rests on the ticket that was shown in its session, and counts no longer than that one.
    pub const fn rests_on_another(&self) -> bool {
        self.rests
    }

    /// Returns whether it stands for this mailbox or slot.
    pub(super) fn covers(&self, scope: Scope, id: [u8; 16]) -> bool {
        self.keys.contains(&(scope, id)) || sabotaged!(TicketBelievedForAll)
    }
}

/// What the program says to a device's session.
///
/// Every command may be given at once after the start and in any number: nothing waits for an answer on the wire. What
/// is beyond [`crate::limits::REQUESTS_WAITING_MAX`] is answered `BUSY` at once, by the session itself.
#[expect(
    clippy::large_enum_variant,
    reason = "handed over one at a time, never stored in numbers; a box would cost more than the copy"
)]
pub enum ClientCommand {
    /// Proves a read key, before anything that needs it. Has no answer: a wrong one closes the session.
    Prove {
        /// Mailbox or slot.
        scope: Scope,
        /// Its write key.
        write_key: VerifyingKey,
        /// Its read key.
        read_key: SigningKey,
    },
    /// Makes a mailbox or slot at the relay, or changes its homes and precision. Answered with [`Asked::Register`].
    Register(Box<Registering>),
    /// Offers a parcel. Ends with [`ClientEvent::Stored`] or [`ClientEvent::Refused`], or with the session. A parcel
    /// that is on offer already is left as it is.
    Offer(Box<Offer>),
    /// A parcel on offer has grown: a live note. One that is not on offer (any more) is left as it is.
    Extend {
        /// Which parcel.
        id: ParcelId,
        /// Bytes after those it has, durable on this device.
        bytes: Vec<u8>,
        /// Marks over them, rising.
        marks: Vec<Mark>,
    },
    /// Asks for what waits in a proven mailbox.
    Watch {
        /// Which mailbox.
        mailbox: MailboxId,
        /// Whether to go on after what waits now.
        live: bool,
        /// What the device has of its parcels already and has not released, or of which no relay has said that it let
        /// it go.
        held: Vec<(ParcelId, HeldState)>,
    },
    /// Tells the relay that parcels of a pair mailbox are durable here. Answered with [`ClientEvent::Released`].
    Release {
        /// Which mailbox.
        mailbox: MailboxId,
        /// Which parcels.
        ids: Vec<Durable<ParcelId>>,
    },
    /// Takes a parcel back. Answered with [`Asked::Withdraw`]; if it is on offer, that ends without another event.
    Withdraw {
        /// The mailbox's write key.
        write_key: VerifyingKey,
        /// The mailbox's read tag.
        read_tag: ReadTag,
        /// The parcel's key.
        parcel_key: SigningKey,
    },
    /// Puts a last word. Answered with [`Asked::Word`], when the relay has it and, of a word of one's own, that its owner is there.
    PutWord {
        /// The word.
        word: Word,
        /// The slot's write key if this device is the word's owner; `None` passes the word on.
        write_key: Option<SigningKey>,
    },
    /// Asks what a relay knows of a proven slot. Answered with [`ClientEvent::Seen`].
    GetSeen {
        /// Which slot.
        slot: SlotId,
    },
    /// Removes a mailbox or slot and all in it. Answered with [`Asked::Drop`].
    Drop {
        /// Mailbox or slot.
        scope: Scope,
        /// Its id.
        id: [u8; 16],
    },
    /// Closes the session as soon as everything that was asked is answered: requests, watches drained, offers settled.
    Finish,
}

/// A mailbox or slot to be made (P8.9).
#[derive(Clone, PartialEq, Eq)]
pub struct Registering {
    /// Mailbox or slot.
    pub scope: Scope,
    /// Its write key.
    pub write_key: VerifyingKey,
    /// Its read tag.
    pub read_tag: ReadTag,
    /// Parcels it may hold, `None` = as the relay allows.
    pub parcels_max: Option<u16>,
    /// How much it holds, and who reads it.
    pub room: Room,
    /// Hours after which it goes unless something was stored, `None` = never.
    pub valid_hours: Option<u16>,
    /// For a slot: what the relay may tell.
    pub precision: Precision,
    /// All homes of it, at most three; empty means only this relay.
    pub homes: Vec<RelayHash>,
    /// What an invite-only relay asks for, at most 64 bytes; empty for an open one.
    pub admission: String,
}

/// How much a mailbox holds, and who reads it (P8.17).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Room {
    /// As much as the relay allows, for one reading device.
    Usual,
    /// At most so many bytes, for one reading device.
    Bytes(u32),
    /// As much as the relay allows, for several reading devices; nobody releases.
    Audience,
}

/// A parcel for a relay.
#[derive(Clone, PartialEq, Eq)]
pub struct Offer {
    /// The parcel, durable on this device as far as it goes. An open one may grow by [`ClientCommand::Extend`].
    pub parcel: SealedParcel,
    /// Home and age.
    pub travel: Travel,
    /// Bytes this relay has called durable earlier. If it has less by now, that costs a way there and back, and nothing
    /// else.
    pub from: u32,
    /// For a control parcel: whether notes that wait for the same reader cannot be opened without it.
    pub opens_waiting: bool,
    /// How long it has waited in the outbox, minutes.
    pub age: u32,
    /// Its place among the voice notes of the same contact, 0 for the first.
    pub turn: u32,
    /// Whether this relay refused it lately: then little of it leaves before the relay has taken it.
    pub refused_before: bool,
}

/// What a device has of a parcel.
#[derive(Clone, PartialEq, Eq)]
pub enum HeldState {
    /// All of it.
    Whole,
    /// A part, as it is on disk.
    Partial {
        /// Its verified header.
        header: Box<Header>,
        /// How far it is.
        resumed: Resumed,
    },
}

/// The request an answer is for.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Asked {
    /// [`ClientCommand::Register`].
    Register {
        /// Mailbox or slot.
        scope: Scope,
        /// Its id.
        id: [u8; 16],
    },
    /// [`ClientCommand::Withdraw`].
    Withdraw {
        /// Which parcel.
        id: ParcelId,
    },
    /// [`ClientCommand::PutWord`].
    Word {
        /// Which slot.
        slot: SlotId,
        /// The word's version.
        version: u64,
    },
    /// [`ClientCommand::Drop`].
    Drop {
        /// Mailbox or slot.
        scope: Scope,
        /// Its id.
        id: [u8; 16],
    },
    /// [`ClientCommand::GetSeen`]; only if the session itself had to refuse it.
    Seen {
        /// Which slot.
        slot: SlotId,
    },
    /// [`ClientCommand::Release`]; only if the session itself had to refuse it.
    Release {
        /// Which mailbox.
        mailbox: MailboxId,
    },
}

/// What a device's session tells its program.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ClientEvent {
    /// The relay's first words.
    Welcomed(Welcome),
    /// A request was answered.
    Answered {
        /// Which one.
        asked: Asked,
        /// What came of it.
        code: Code,
    },
    /// This much of a parcel is durable at the relay. May be less than the program believed.
    Progress {
        /// Which parcel.
        id: ParcelId,
        /// Bytes of body.
        durable: u32,
    },
    /// The relay has the whole parcel durably.
    Stored {
        /// Which parcel.
        id: ParcelId,
    },
    /// The relay does not take the parcel now.
    Refused {
        /// Which parcel.
        id: ParcelId,
        /// Why. `BUSY` also when the session has too much on offer.
        code: Code,
    },
    /// A parcel begins, or goes on. Its header is verified and names this mailbox. May come again for the same parcel.
    Arriving {
        /// Where it lay.
        mailbox: MailboxId,
        /// Its header.
        header: Box<Header>,
        /// Home and age.
        travel: Travel,
        /// Bytes of body this device has already.
        from: u32,
    },
    /// More of a parcel, to be made durable: checked as far as its marks go. [`crate::parcel::Resumed`] of the parcel
    /// is now `chain`, the bytes after `chain`'s offset, and `closed`.
    Body(Box<Arrived>),
    /// A mark did not fit: the bytes after `to` are worthless and must be dropped. The session closes.
    Cut {
        /// Which parcel.
        id: ParcelId,
        /// Bytes that stay.
        to: u32,
    },
    /// All that waited in a mailbox has arrived. In a live watch also after each later burst.
    Drained {
        /// Which mailbox.
        mailbox: MailboxId,
    },
    /// Parcels are gone from the relay, or never were there.
    Released {
        /// Which mailbox.
        mailbox: MailboxId,
        /// Which parcels.
        ids: Vec<ParcelId>,
    },
    /// What the relay knows of a slot.
    Seen {
        /// Which slot.
        slot: SlotId,
        /// Its newest word there, signature checked. `None`: nothing, or nothing it would tell.
        word: Option<Box<Word>>,
        /// When it arrived there; not checked: its version and the relay's signature are the engine's to compare.
        observation: Option<Box<Observation>>,
        /// The links on the way.
        links: LinkReport,
    },
    /// What the relay knows of links.
    Links(LinkReport),
    /// Keep this for the next session with this relay, in the place of any other.
    Ticket(Box<Ticket>),
    /// Forget the ticket: the relay took nothing of what it was shown with, and has most likely started again. The session goes on, and
    /// proves its keys.
    TicketRefused,
    /// The ticket that was shown stands for nothing any more: forget it. What was asked by it was not answered, and the session
    /// closes; a new one without a ticket asks again.
    TicketUnknown,
    /// The session is over. `OK`: finished as asked, or the transport is gone. What is not answered was not done, or
    /// may have been.
    Closed {
        /// Why.
        code: Code,
        /// Whether the relay said so, and not this machine.
        by_relay: bool,
    },
}

/// A stretch of a parcel that arrived.
#[derive(Clone, PartialEq, Eq)]
pub struct Arrived {
    /// Which parcel.
    pub id: ParcelId,
    /// Its mailbox.
    pub mailbox: MailboxId,
    /// Where `bytes` stand: the end of what this device has.
    pub offset: u32,
    /// New bytes, possibly none. Those after the newest mark are a tail: passed on, not yet the author's for certain.
    pub bytes: Vec<u8>,
    /// New marks, rising.
    pub marks: Vec<Mark>,
    /// State of the chain of marks now: hash, and the offset of the newest mark.
    pub chain: ([u8; 32], u32),
    /// Whether the parcel is whole now.
    pub closed: bool,
}

redacted!(ClientCommand, Ticket, Registering, Offer, HeldState, Asked, Arrived);
