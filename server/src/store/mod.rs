//! What a relay keeps: a trait at its own verbs, and two engines behind it.
//!
//! [`Store`] has one method for each thing a relay does to mailboxes, parcels and words; there is no get, put or scan, so that
//! each engine may use its own best means and *declare* what it guarantees. What the verbs mean is decided once, in `ledger`,
//! for both engines here: [`SqliteStore`] keeps the ledger's rows sealed on a disk and answers after the fsync,
//! [`MemoryStore`] keeps them in memory, without a thread, for tests and the simulated world.
//!
//! Time is an argument. A store has a clock of its own that only [`Store::sweep`] moves on, by time its caller has measured;
//! the wall clock never hastens anything (P3.10).

mod batch;
mod engine;
mod error;
mod key;
mod ledger;
mod memory;
mod space;
mod sqlite;

use std::fmt;
use std::future::Future;
use std::time::Duration;

pub use engine::Engine;
pub use error::StoreError;
pub use key::StoreKey;
#[cfg(feature = "simulation")]
pub(crate) use ledger::name_all;
pub use memory::{HeldParcel, Inspection, MemoryStore, RowCounts, Snapshot};
pub use space::{Space, SpaceProbe, StoreLimits};
pub use sqlite::{SqliteOptions, SqliteStore};
use zajil_proto::durable::Durable;
use zajil_proto::ids::{Epoch, MailboxId, ParcelId, SlotId};
use zajil_proto::parcel::{Header, Mark, Resumed, Travel};
use zajil_proto::session::custody::{Extended, Extension, Registration, SlotState, StoreReply, StoreRequest, Waiting};
use zajil_proto::wire::{Observation, Scope, Word};

/// What a relay does to what it keeps.
///
/// Every method may be repeated without changing state or any time told to others. Every `Ok` that holds a [`Durable`] came
/// after the engine's commit. Every method may answer [`StoreError::Refused`] where it says so; any other error means that the
/// store has stopped and stays so until it is opened again.
pub trait Store: Send + Sync + 'static {
    /// Makes a mailbox or slot; one that is there keeps its limits and gets the new homes and precision. An observation
    /// finer or coarser than a new precision is forgotten.
    ///
    /// # Errors
    /// Refused: `RELAY_FULL`, `OVER` for an invitation whose time is over.
    fn register(&self, registration: Registration) -> impl Future<Output = Result<Durable<()>, StoreError>> + Send;

    /// Creates a parcel, or finds how far it is. Nothing is on disk before its first byte.
    ///
    /// A closed parcel that is or was here is [`Opened::Stored`] until its lifetime and 15 days have passed, under whatever header its
    /// id comes.
    ///
    /// # Errors
    /// Refused: `NOT_HERE`, `OVER`, `MAILBOX_FULL`, `RELAY_FULL`, `TOO_LONG`, `LIFETIME` (too long, or over already), `BUSY`
    /// (too many announced), `BAD_ID` (the id belongs to an open parcel with another header).
    fn put(&self, header: Header, travel: Travel) -> impl Future<Output = Result<Opened, StoreError>> + Send;

    /// Appends bytes and marks, and closes the parcel if the last mark is among them. What is held already is skipped.
    ///
    /// Bytes under new marks are hashed again: marks that do not fit what would stand on disk are not taken.
    ///
    /// # Errors
    /// Refused: `NOT_HERE` (not put, or gone), `BAD_OFFSET` (a gap, or the marks do not fit), `TOO_LONG`, `MAILBOX_FULL`,
    /// `RELAY_FULL`.
    fn extend(&self, extension: Extension) -> impl Future<Output = Result<Durable<Extended>, StoreError>> + Send;

    /// Drops bytes after `to`, but none under a mark. A parcel that is not here is left alone.
    ///
    /// # Errors
    /// Never refused.
    fn cut(&self, id: ParcelId, to: u32) -> impl Future<Output = Result<Durable<()>, StoreError>> + Send;

    /// Deletes a parcel and leaves a tombstone, also for one that never came.
    ///
    /// # Errors
    /// Refused only for a parcel that is not here: `MAILBOX_FULL`, `RELAY_FULL`.
    fn withdraw(
        &self,
        mailbox: MailboxId,
        id: ParcelId,
    ) -> impl Future<Output = Result<Durable<()>, StoreError>> + Send;

    /// Returns what waits in a mailbox, in order of arrival; nothing for one that is not here.
    ///
    /// # Errors
    /// Never refused.
    fn list(&self, mailbox: MailboxId) -> impl Future<Output = Result<Vec<Waiting>, StoreError>> + Send;

    /// Returns at most `bytes_max` bytes (and never more than [`crate::limits::READ_BYTES_MAX`]) of a body from `offset`, with
    /// every mark whose end lies after `offset` and not after the last of them.
    ///
    /// # Errors
    /// Refused: `NOT_HERE` for a parcel that is gone. Never for want of space.
    fn read(&self, id: ParcelId, offset: u32, bytes_max: u32) -> impl Future<Output = Result<Part, StoreError>> + Send;

    /// Deletes parcels from a pair mailbox and returns the ids. Closed ones leave tombstones; an open one may be put again.
    /// An audience mailbox keeps everything and answers the same.
    ///
    /// # Errors
    /// Never refused.
    fn release(
        &self,
        mailbox: MailboxId,
        ids: Vec<ParcelId>,
    ) -> impl Future<Output = Result<Durable<Vec<ParcelId>>, StoreError>> + Send;

    /// Keeps a word if its version is higher than that held. Keeps its observation if the word is not older than the one held, no
    /// observation of this version or a higher one came before, and it has the slot's precision (P7.5).
    ///
    /// # Errors
    /// Refused: `NOT_HERE`.
    fn put_word(
        &self,
        word: Word,
        observation: Option<Observation>,
    ) -> impl Future<Output = Result<Durable<()>, StoreError>> + Send;

    /// Returns what is held of a slot.
    ///
    /// # Errors
    /// Never refused.
    fn seen(&self, slot: SlotId) -> impl Future<Output = Result<SlotState, StoreError>> + Send;

    /// Removes a mailbox or slot and all in it. Nothing remains, not even tombstones.
    ///
    /// # Errors
    /// Never refused.
    fn drop_scope(&self, scope: Scope, id: [u8; 16]) -> impl Future<Output = Result<Durable<()>, StoreError>> + Send;

    /// Moves the store's clock on by `elapsed`, of which at most [`crate::limits::SWEEP_MINUTES_MAX`] counts, and lets go what
    /// is over: parcels, tombstones, invitations, mailboxes and slots not used for 180 days. To be called every minute.
    ///
    /// # Errors
    /// Never refused.
    fn sweep(&self, elapsed: Duration) -> impl Future<Output = Result<Swept, StoreError>> + Send;

    /// Returns everything but tombstones, a page at a time, for a backup or a move to another engine. What changes between two
    /// pages may or may not be in it.
    ///
    /// # Errors
    /// Never refused.
    fn export(&self, from: Cursor) -> impl Future<Output = Result<ExportPage, StoreError>> + Send;

    /// Returns the 16 bytes drawn when the store was made. A new one tells devices to offer again what was not delivered.
    fn epoch(&self) -> Epoch;

    /// Returns how much is kept and whether there is room.
    ///
    /// # Errors
    /// Never refused.
    fn usage(&self) -> impl Future<Output = Result<Usage, StoreError>> + Send;

    /// Says what "durable" means here.
    fn guarantee(&self) -> Guarantee;

    /// Checks what is kept; `deep` also opens every body and follows every chain of marks, at reading speed of the disk. Other
    /// requests wait meanwhile.
    ///
    /// # Errors
    /// Never refused. Damage is in the report, not an error.
    fn check(&self, deep: bool) -> impl Future<Output = Result<CheckReport, StoreError>> + Send;

    /// Ends the store: everything is on disk and its files may be copied when this returns. Requests after it are
    /// [`StoreError::Unavailable`].
    ///
    /// # Errors
    /// Never refused.
    fn close(&self) -> impl Future<Output = Result<(), StoreError>> + Send;
}

/// What `put` found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Opened {
    /// Take it up here.
    Open(Resumed),
    /// Closed and durable, or once was.
    Stored(Durable<ParcelId>),
}

/// Bytes of a body with their marks.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Part {
    /// The bytes; fewer than asked for at the end of what is held.
    pub bytes: Vec<u8>,
    /// The marks, rising.
    pub marks: Vec<Mark>,
}

impl fmt::Debug for Part {
    /// What people said never prints, sealed or not.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Part({} bytes, {} marks)", self.bytes.len(), self.marks.len())
    }
}

/// What a sweep let go.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Swept {
    /// Parcels that had expired.
    pub parcels: u64,
    /// Mailboxes and slots that were over or idle.
    pub scopes: u64,
    /// Parcels announced of which no byte came.
    pub announced: u64,
}

/// How much a store keeps. Counts only: nothing about whom.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Usage {
    /// Bytes of bodies.
    pub bytes: u64,
    /// Parcels.
    pub parcels: u64,
    /// Mailboxes.
    pub mailboxes: u64,
    /// Slots.
    pub slots: u64,
    /// Tombstones.
    pub tombstones: u64,
    /// Bytes that can still be written, the reserve among them.
    pub free_bytes: u64,
    /// Bytes kept for old promises.
    pub reserve_bytes: u64,
    /// Whether new work is refused with `RELAY_FULL`.
    pub refusing: bool,
}

/// What "durable" means for an engine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Guarantee {
    /// On one disk, after fsync.
    OneDisk,
    /// In this process: gone with it.
    Memory,
}

/// What a check found.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct CheckReport {
    /// Rows that were opened.
    pub rows: u64,
    /// Parcels whose marks were followed; 0 unless the check was deep.
    pub parcels: u64,
    /// What does not fit, one line each, at most [`CheckReport::PROBLEMS_MAX`]; names no mailbox and no parcel.
    pub problems: Vec<String>,
}

impl CheckReport {
    /// Lines of problems a report holds: more tell an operator nothing more.
    pub const PROBLEMS_MAX: usize = 100;

    /// Returns whether nothing is wrong.
    pub const fn is_sound(&self) -> bool {
        self.problems.is_empty()
    }

    fn add(&mut self, problem: impl Into<String>) {
        if self.problems.len() < Self::PROBLEMS_MAX {
            self.problems.push(problem.into());
        }
    }
}

/// Where an export goes on. The default is the beginning.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Cursor {
    parcels: bool,
    after: i64,
}

/// One page of an export.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExportPage {
    /// The records: mailboxes and slots first, then parcels in order of arrival.
    pub records: Vec<Exported>,
    /// Where to go on; `None` at the end.
    pub next: Option<Cursor>,
}

/// One thing a store keeps, as another store would be given it.
#[derive(Clone, PartialEq, Eq)]
pub enum Exported {
    /// A mailbox; valid hours are what is left of them.
    Mailbox(Registration),
    /// A slot with its word.
    Slot {
        /// The slot.
        registration: Registration,
        /// Its newest word.
        word: Option<Word>,
        /// Its observation.
        observation: Observation,
    },
    /// A parcel.
    Parcel {
        /// Its header.
        header: Header,
        /// Home, and age now.
        travel: Travel,
        /// Its body so far.
        body: Vec<u8>,
        /// Its marks, rising.
        marks: Vec<Mark>,
    },
}

impl fmt::Debug for Exported {
    /// What people have never prints.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Mailbox(_) => "Mailbox(..)",
            Self::Slot { .. } => "Slot(..)",
            Self::Parcel { .. } => "Parcel(..)",
        })
    }
}

/// Does what a session's machine asks for.
pub async fn execute(store: &impl Store, request: StoreRequest) -> StoreReply {
    let reply = match request {
        StoreRequest::Register(registration) => store.register(registration).await.map(StoreReply::Done),
        StoreRequest::Put { header, travel } => store.put(header, travel).await.map(|opened| match opened {
            Opened::Open(resumed) => StoreReply::Open(resumed),
            Opened::Stored(id) => StoreReply::Stored(id),
        }),
        StoreRequest::Extend(extension) => store.extend(extension).await.map(StoreReply::Extended),
        StoreRequest::Cut { id, to } => store.cut(id, to).await.map(StoreReply::Done),
        StoreRequest::Withdraw { mailbox, id } => store.withdraw(mailbox, id).await.map(StoreReply::Done),
        StoreRequest::List { mailbox } => store.list(mailbox).await.map(StoreReply::Waiting),
        StoreRequest::Read { id, offset, bytes_max } => store
            .read(id, offset, bytes_max)
            .await
            .map(|part| StoreReply::Bytes { bytes: part.bytes, marks: part.marks }),
        StoreRequest::Release { mailbox, ids } => store.release(mailbox, ids).await.map(StoreReply::Released),
        StoreRequest::PutWord { word, observation } => store.put_word(word, observation).await.map(StoreReply::Done),
        StoreRequest::Seen { slot } => store.seen(slot).await.map(StoreReply::Slot),
        StoreRequest::Drop { scope, id } => store.drop_scope(scope, id).await.map(StoreReply::Done),
    };
    reply.unwrap_or_else(|error| error.refusal().map_or(StoreReply::Failed, StoreReply::Refused))
}
