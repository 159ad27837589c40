//! What a relay's program says to a session, and what it hears from one.

use core::fmt;
use std::sync::Arc;

use crate::ids::MailboxId;
use crate::keys::SigningKey;
use crate::session::custody::{StoreReply, StoreRequest};
use crate::time::Minute;
use crate::wire::{Code, LinkReport, Welcome};

/// What a relay's session needs to know of its relay.
#[derive(Debug, Clone)]
pub struct RelaySettings {
    /// Signs observations of last words (P7.4).
    pub relay_key: Arc<SigningKey>,
    /// The relay's first words: version, epoch, clock, limits. Parcels beyond its limits are refused by the session.
    pub welcome: Welcome,
    /// Who may register.
    pub admission: Admission,
    /// What the relay knows of links; empty: nothing is said of them.
    pub links: LinkReport,
}

/// Who may register mailboxes and slots here (P8.9).
#[derive(Clone, PartialEq, Eq)]
pub enum Admission {
    /// Anybody.
    Open,
    /// Whoever shows this code.
    Code(String),
}

impl fmt::Debug for Admission {
    /// The code never prints.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Open => "Open",
            Self::Code(_) => "Code(..)",
        })
    }
}

/// What the program says to a relay's session.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(
    clippy::large_enum_variant,
    reason = "handed over one at a time, never stored in numbers; a box would cost more than the copy"
)]
pub enum RelayCommand {
    /// The store answered a request.
    Store {
        /// The request's ticket.
        ticket: u64,
        /// The answer.
        reply: StoreReply,
        /// The wall clock now; the bucket of an observation is taken from it.
        wall: Minute,
    },
    /// Something came into a mailbox, or a parcel in it grew. Harmless if nobody watches it.
    Arrived {
        /// Which mailbox.
        mailbox: MailboxId,
    },
    /// The relay stops: what was received is made durable and answered, then the session closes with `DRAINING`.
    Drain,
}

/// What a relay's session tells its program.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(
    clippy::large_enum_variant,
    reason = "handed over one at a time, never stored in numbers; a box would cost more than the copy"
)]
pub enum RelayEvent {
    /// Ask the store, and feed the answer back as [`RelayCommand::Store`].
    ///
    /// Requests of one session are handed to the store in the order of these events, and each sees the effect of those before
    /// it; answers may come back in any order. They are carried out and answered after a close, too: see
    /// [`super::RelaySession::awaits_store`].
    Store {
        /// Names the answer; counts up from 0.
        ticket: u64,
        /// The request.
        request: StoreRequest,
    },
    /// From now on the session wants [`RelayCommand::Arrived`] for this mailbox. Comes before the list of what waits is asked for.
    WatchStarted {
        /// Which mailbox.
        mailbox: MailboxId,
    },
    /// It no longer wants it. Comes for each watched mailbox when the session ends, too.
    WatchEnded {
        /// Which mailbox.
        mailbox: MailboxId,
    },
    /// Something to count.
    Metric(Counter),
}

/// What is counted about sessions: nothing in it tells one person from another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Counter {
    /// A session said `Hello` in a version we speak.
    SessionWelcomed,
    /// A session ended by a mistake of the peer or of ours, with this code.
    SessionRefused(Code),
    /// A parcel was closed and durable for the first time in this session, and *stored* was said.
    ParcelStored,
    /// A parcel was refused with this code.
    ParcelRefused(Code),
    /// A mailbox or slot was registered, or not, with this code.
    Registered(Code),
    /// A parcel was sent whole to a reader.
    ParcelDelivered,
    /// Parcels were released by their reader.
    Released(u32),
    /// A parcel was withdrawn by its author.
    Withdrawn,
    /// A word was put; `true` if by its owner's own connection.
    WordPut(bool),
    /// "When were they last seen?" was asked.
    SeenAsked,
}
