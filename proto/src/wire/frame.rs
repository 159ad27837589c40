use crate::codec::DecodeError;
use crate::ids::{Epoch, MailboxId, ParcelId, ReadTag, RelayHash, SlotId};
use crate::keys::{Purpose, Signature, SigningKey, VerifyingKey};
use crate::parcel::{HEADER_BYTES, Mark, Travel};
use crate::time::{Hour, Minute};
use crate::wire::{Code, LinkReport, Observation, SEALED_WORD_BYTES, Word};

/// One frame (P8). Signatures in it are not checked yet. Prints its name, and a code if it carries one.
#[derive(Clone, PartialEq, Eq)]
pub enum Frame {
    /// The device's first words: versions it speaks, features.
    Hello {
        /// Lowest version it speaks.
        lowest: u8,
        /// Highest version it speaks.
        highest: u8,
        /// Feature bits, none in version 1.
        features: u64,
    },
    /// The relay's first words.
    Welcome(Welcome),
    /// "I can read this."
    Prove(Prove),
    /// Makes a mailbox or slot here.
    Register(Register),
    /// Answers `Register`, `Withdraw`, `WordPut`, `WordLive`, `Drop`.
    Answer {
        /// The request.
        request: u64,
        /// What came of it.
        code: Code,
    },
    /// A parcel begins, or goes on.
    Put(PutStart),
    /// Bytes of a parcel's body.
    Body {
        /// Which transfer.
        transfer: u64,
        /// Where they stand in the body.
        offset: u32,
        /// The bytes, 1 to 8 192.
        bytes: Vec<u8>,
    },
    /// A mark of a parcel's body.
    Mark {
        /// Which transfer.
        transfer: u64,
        /// The mark.
        mark: Mark,
    },
    /// How far a parcel is durable.
    PutAnswer {
        /// Which parcel.
        id: ParcelId,
        /// Open, stored or refused.
        state: PutState,
        /// Bytes of body that are durable.
        durable: u32,
    },
    /// Asks for what waits in a mailbox.
    Watch {
        /// Which mailbox.
        mailbox: MailboxId,
        /// Whether to go on after what waits now.
        live: bool,
        /// Whether the list goes on in the next `Watch` of this mailbox; only the last of them starts anything.
        more: bool,
        /// What the device has of parcels already, at most 255 in one frame.
        held: Vec<Held>,
    },
    /// A parcel begins on its way to a reader.
    Parcel(ParcelStart),
    /// All that waited has been sent.
    Drained {
        /// Which mailbox.
        mailbox: MailboxId,
        /// `Parcel` frames sent in this session so far: lanes overtake each other, so the device waits until it has
        /// seen as many.
        transfers: u64,
    },
    /// The reader holds these durably.
    Release {
        /// Which mailbox.
        mailbox: MailboxId,
        /// Which parcels, at most 255.
        ids: Vec<ParcelId>,
    },
    /// These are gone from the relay, or never were here.
    Released {
        /// Which mailbox.
        mailbox: MailboxId,
        /// Which parcels.
        ids: Vec<ParcelId>,
    },
    /// The author takes a parcel back.
    Withdraw {
        /// Request number.
        request: u64,
        /// The mailbox's write key.
        write_key: VerifyingKey,
        /// The mailbox's read tag.
        read_tag: ReadTag,
        /// The parcel's key.
        parcel_key: VerifyingKey,
        /// By the parcel key.
        signature: Signature,
    },
    /// A newer last word.
    WordPut(WordPut),
    /// "The word that I put before the handshake was over is mine."
    WordLive(WordLive),
    /// "When were they last seen?"
    SeenGet {
        /// Request number.
        request: u64,
        /// Which slot.
        slot: SlotId,
    },
    /// What this relay knows of it.
    SeenAnswer(SeenAnswer),
    /// Removes a mailbox or slot and all in it.
    Drop {
        /// Request number.
        request: u64,
        /// Mailbox or slot.
        scope: Scope,
        /// Its id.
        id: [u8; 16],
    },
    /// The last frame of a session.
    Close {
        /// Why.
        code: Code,
        /// The same in English, for whoever debugs; nothing about people.
        text: String,
    },
    /// A ticket for keys proven in this session; zeros answer a `Redeem` of one that nobody knows.
    Ticket {
        /// The ticket.
        ticket: [u8; 32],
        /// It stands for the keys of this many `Prove` frames, the first of this session.
        proofs: u16,
    },
    /// Shows a ticket.
    Redeem([u8; 32]),
    /// What the relay knows of links.
    LinkReport(LinkReport),
    /// Nothing.
    Padding(usize),
}

impl Frame {
    /// Returns the frame's name in P8.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Hello { .. } => "Hello",
            Self::Welcome(_) => "Welcome",
            Self::Prove(_) => "Prove",
            Self::Register(_) => "Register",
            Self::Answer { .. } => "Answer",
            Self::Put(_) => "Put",
            Self::Body { .. } => "Body",
            Self::Mark { .. } => "Mark",
            Self::PutAnswer { .. } => "PutAnswer",
            Self::Watch { .. } => "Watch",
            Self::Parcel(_) => "Parcel",
            Self::Drained { .. } => "Drained",
            Self::Release { .. } => "Release",
            Self::Released { .. } => "Released",
            Self::Withdraw { .. } => "Withdraw",
            Self::WordPut(_) => "WordPut",
            Self::WordLive(_) => "WordLive",
            Self::SeenGet { .. } => "SeenGet",
            Self::SeenAnswer(_) => "SeenAnswer",
            Self::Drop { .. } => "Drop",
            Self::Close { .. } => "Close",
            Self::Ticket { .. } => "Ticket",
            Self::Redeem(_) => "Redeem",
            Self::LinkReport(_) => "LinkReport",
            Self::Padding(_) => "Padding",
        }
    }
}

impl core::fmt::Debug for Frame {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::Answer { code, .. } | Self::Close { code, .. } => write!(f, "{}({code:?})", self.name()),
            Self::PutAnswer { state, .. } => write!(f, "{}({state:?})", self.name()),
            _ => f.write_str(self.name()),
        }
    }
}

/// The relay's first words (P8, P8.7).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Welcome {
    /// The version of this session.
    pub version: u8,
    /// Feature bits.
    pub features: u64,
    /// The store's epoch.
    pub epoch: Epoch,
    /// The relay's wall clock.
    pub minute: Minute,
    /// How far it can be trusted: 0 unknown, 1 the operator says so, 2 a time service says so.
    pub clock_trust: u8,
    /// When the relay would like to see this device again, in minutes; 0 for no wish.
    pub next_visit_minutes: u16,
    /// Longest sealed body it takes.
    pub parcel_bytes_max: u32,
    /// Longest lifetime it keeps, hours.
    pub lifetime_hours_max: u16,
}

/// Mailbox or slot (P8.8).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Scope {
    /// A mailbox.
    Mailbox,
    /// A slot.
    Slot,
}

impl Scope {
    /// Returns the byte on the wire.
    pub const fn code(self) -> u8 {
        match self {
            Self::Mailbox => 0,
            Self::Slot => 1,
        }
    }

    /// Returns the id that `write` and `tag` govern in this scope.
    pub fn id(self, write: &VerifyingKey, tag: &ReadTag) -> [u8; 16] {
        match self {
            Self::Mailbox => MailboxId::of(write, tag).0,
            Self::Slot => SlotId::of(write, tag).0,
        }
    }
}

/// How finely a relay may tell when a word arrived (P7.4).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Precision {
    /// Not at all.
    Off,
    /// Within six hours.
    SixHours,
    /// Within a day.
    Day,
}

impl Precision {
    /// Returns the width of a bucket in hours, 0 for none.
    pub const fn hours(self) -> u8 {
        match self {
            Self::Off => 0,
            Self::SixHours => 6,
            Self::Day => 24,
        }
    }

    /// Takes hours as they stand on the wire.
    ///
    /// # Errors
    /// [`DecodeError::Range`] for anything but 0, 6 and 24.
    pub const fn from_hours(hours: u8) -> Result<Self, DecodeError> {
        match hours {
            0 => Ok(Self::Off),
            6 => Ok(Self::SixHours),
            24 => Ok(Self::Day),
            got => Err(DecodeError::Range { field: "precision", got: got as u64 }),
        }
    }

    /// Returns the start of the bucket `now` lies in, `None` if the precision is off.
    pub const fn bucket(self, now: Minute) -> Option<Hour> {
        let hour = now.hour().0;
        match self {
            Self::Off => None,
            Self::SixHours => Some(Hour(hour / 6 * 6)),
            Self::Day => Some(Hour(hour / 24 * 24)),
        }
    }
}

/// Proof of a read key in this session (P8.8).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Prove {
    /// Mailbox or slot.
    pub scope: Scope,
    /// Its write key.
    pub write_key: VerifyingKey,
    /// Its read key.
    pub read_key: VerifyingKey,
    /// By the read key.
    pub signature: Signature,
}

impl Prove {
    /// Proves `read_key` in the session with this `exporter`.
    pub fn sign(scope: Scope, write_key: VerifyingKey, read_key: &SigningKey, exporter: &[u8; 32]) -> Self {
        let id = scope.id(&write_key, &ReadTag::of(&read_key.public()));
        let signature = read_key.sign(Purpose::Prove, &[exporter, &[scope.code()], &id]);
        Self { scope, write_key, read_key: read_key.public(), signature }
    }

    /// Returns the mailbox or slot it is for.
    pub fn id(&self) -> [u8; 16] {
        self.scope.id(&self.write_key, &ReadTag::of(&self.read_key))
    }

    /// Returns whether the proof holds in the session with this `exporter`.
    pub fn holds(&self, exporter: &[u8; 32]) -> bool {
        self.read_key.verifies(Purpose::Prove, &[exporter, &[self.scope.code()], &self.id()], &self.signature)
    }
}

/// Makes a mailbox or slot at a relay (P8.9).
#[derive(Clone, PartialEq, Eq)]
pub struct Register {
    /// Request number.
    pub request: u64,
    /// Mailbox or slot.
    pub scope: Scope,
    /// Its write key.
    pub write_key: VerifyingKey,
    /// Its read tag.
    pub read_tag: ReadTag,
    /// Parcels it may hold, 0 = as the relay allows.
    pub parcels_max: u16,
    /// Bytes it may hold, 0 = as the relay allows; `u32::MAX` makes an audience mailbox (P8.17).
    pub bytes_max: u32,
    /// Hours after which it goes unless something was stored, 0 = never.
    pub valid_hours: u16,
    /// For a slot: what the relay may tell.
    pub precision: Precision,
    /// All homes of it, at most three; empty means only this relay.
    pub homes: Vec<RelayHash>,
    /// What an invite-only relay asks for.
    pub admission: String,
}

/// A parcel begins, or goes on (P8.10).
#[derive(Clone, PartialEq, Eq)]
pub struct PutStart {
    /// Number of this transfer.
    pub transfer: u64,
    /// Where `Body` will begin.
    pub offset: u32,
    /// The header, not verified.
    pub header: [u8; HEADER_BYTES],
    /// Home and age.
    pub travel: Travel,
}

/// A parcel begins on its way to a reader.
#[derive(Clone, PartialEq, Eq)]
pub struct ParcelStart {
    /// Number of this transfer.
    pub transfer: u64,
    /// The mailbox it lay in.
    pub mailbox: MailboxId,
    /// Where `Body` will begin.
    pub offset: u32,
    /// The header, not verified.
    pub header: [u8; HEADER_BYTES],
    /// Home and age.
    pub travel: Travel,
}

/// What became of a parcel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PutState {
    /// Open: more is awaited.
    Open,
    /// Stored: closed and durable.
    Stored,
    /// Refused, and why.
    Refused(Code),
}

/// What a reader has of a parcel already (P8.11).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Held {
    /// Which parcel.
    pub id: ParcelId,
    /// Bytes held; `None` for the whole.
    pub offset: Option<u32>,
}

/// A newer last word, perhaps from its owner's own connection (P8.14).
#[derive(Clone, PartialEq, Eq)]
pub struct WordPut {
    /// Request number.
    pub request: u64,
    /// The word.
    pub word: Word,
    /// By the slot's write key over this session's exporter; [`Signature::NONE`] for a word passed on.
    pub live_proof: Signature,
}

impl WordPut {
    /// Makes the request on the owner's own connection.
    pub fn live(request: u64, word: Word, write_key: &SigningKey, exporter: &[u8; 32]) -> Self {
        let live_proof = WordLive::sign(request, (word.slot(), word.version), write_key, exporter).live_proof;
        Self { request, word, live_proof }
    }

    /// Makes the request for a word that is passed on, or put before the handshake is over: it shows nothing of its owner.
    pub const fn passed_on(request: u64, word: Word) -> Self {
        Self { request, word, live_proof: Signature::NONE }
    }

    /// Returns whether the owner itself speaks in the session with this `exporter`.
    pub fn is_live(&self, exporter: &[u8; 32]) -> bool {
        let Self { request, word, live_proof } = self;
        let live = WordLive { request: *request, slot: word.slot(), version: word.version, live_proof: *live_proof };
        live.is_live(&word.write_key, exporter)
    }
}

/// The live proof of a word that was put without one (P8.14).
#[derive(Clone, PartialEq, Eq)]
pub struct WordLive {
    /// Request number.
    pub request: u64,
    /// Of which slot.
    pub slot: SlotId,
    /// Of which version of its word.
    pub version: u64,
    /// By the slot's write key over this session's exporter.
    pub live_proof: Signature,
}

impl WordLive {
    /// Proves that the owner of a slot speaks in the session with this `exporter`, for a version of its word.
    pub fn sign(request: u64, (slot, version): (SlotId, u64), write_key: &SigningKey, exporter: &[u8; 32]) -> Self {
        let parts: [&[u8]; 3] = [exporter, &slot.0, &version.to_be_bytes()];
        let live_proof = write_key.sign(Purpose::WordLive, &parts);
        Self { request, slot, version, live_proof }
    }

    /// Returns whether whoever holds the slot's write key speaks in the session with this `exporter`.
    pub fn is_live(&self, write_key: &VerifyingKey, exporter: &[u8; 32]) -> bool {
        let parts: [&[u8]; 3] = [exporter, &self.slot.0, &self.version.to_be_bytes()];
        write_key.verifies(Purpose::WordLive, &parts, &self.live_proof)
    }
}

/// What a relay knows of a slot (P8.15). Version 0: nothing, or nothing it would tell.
#[derive(Clone, PartialEq, Eq)]
pub struct SeenAnswer {
    /// The request.
    pub request: u64,
    /// Version of the word, 0 for none.
    pub version: u64,
    /// The sealed word.
    pub sealed: [u8; SEALED_WORD_BYTES],
    /// The word's signature.
    pub signature: Signature,
    /// When it arrived, as finely as the owner allows.
    pub observation: Observation,
    /// The links on the way.
    pub links: LinkReport,
}

redacted!(PutStart, ParcelStart, Register, WordPut, WordLive, SeenAnswer);
