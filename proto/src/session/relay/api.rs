//! What a relay's program says to a session, and what it hears from one.

use core::fmt;

use crate::ids::{Epoch, MailboxId};
use crate::keys::{Secret, SigningKey};
use crate::session::custody::{StoreReply, StoreRequest};
use crate::time::Minute;
use crate::wire::{Code, LinkStatus, Scope};

/// What a relay's session needs to know of its relay.
#[derive(Debug, Clone)]
pub struct RelaySettings {
    /// Signs observations of last words (P7.4).
    pub relay_key: SigningKey,
    /// The store's epoch.
    pub epoch: Epoch,
    /// How far the relay's wall clock can be trusted: 0 unknown, 1 its operator says so, 2 a time service says so
    /// (P8.7).
    pub clock_trust: u8,
    /// When the relay would like to see this device again, minutes; 0 for no wish.
    pub next_visit_minutes: u16,
    /// Longest sealed body it takes; longer ones are refused with `TOO_LONG`.
    pub parcel_bytes_max: u32,
    /// Longest lifetime it keeps, hours; longer ones are refused with `LIFETIME`.
    pub lifetime_hours_max: u16,
    /// Who may register.
    pub admission: Admission,
    /// What the relay knows of links, at most [`crate::limits::LINKS_REPORTED_MAX`]; empty: nothing is said of them.
    pub links: Vec<LinkStatus>,
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
    /// What a ticket stands for ([`RelayEvent::Redeem`]).
    Redeemed {
        /// The ticket, and the keys; `None` if nobody knows it.
        known: Option<(Secret, Keys)>,
    },
    /// A ticket ([`RelayEvent::TicketWanted`]).
    Ticket {
        /// Thirty-two random bytes.
        ticket: Secret,
        /// As it was wanted.
        proofs: u16,
    },
    /// Another connection has shown the ticket of this one: the session closes.
    Replaced,
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
    /// Requests of one session are handed to the store in the order of these events, and each sees the effect of those
    /// before it; answers may come back in any order. They are carried out and answered after a close, too: see
    /// [`super::RelaySession::awaits_store`].
    Store {
        /// Names the answer; counts up from 0.
        ticket: u64,
        /// The request.
        request: StoreRequest,
    },
    /// From now on the session wants [`RelayCommand::Arrived`] for this mailbox. Comes before the list of what waits is
    /// asked for.
    WatchStarted {
        /// Which mailbox.
        mailbox: MailboxId,
    },
    /// It no longer wants it. Comes for each watched mailbox when the session ends, too.
    WatchEnded {
        /// Which mailbox.
        mailbox: MailboxId,
    },
    /// A device shows a ticket. Nothing that follows it on the control lane is read before [`RelayCommand::Redeemed`].
    Redeem {
        /// What it shows.
        ticket: Secret,
    },
    /// A device has proven keys: draw a ticket that stands for these for a day, and forget all of this session but the last, which may be all that came to it;
    /// feed it back as [`RelayCommand::Ticket`].
    TicketWanted {
        /// For which keys.
        keys: Keys,
        /// To be fed back with it.
        proofs: u16,
    },
    /// Something to count.
    Metric(Counter),
}

/// Mailboxes and slots whose keys a device has proven, or of which a ticket says so. Does not print.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Keys(pub Vec<(Scope, [u8; 16])>);

redacted!(Keys);

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
    /// Parcels were released by their reader, in one request.
    Released,
    /// A parcel was withdrawn by its author.
    Withdrawn,
    /// A word was put; `true` if its owner showed that this is its own connection. One that is put before the handshake is over counts
    /// twice: as passed on, and when it is proven.
    WordPut(bool),
    /// "When were they last seen?" was asked.
    SeenAsked,
}

impl Counter {
    /// Returns a name for it that is good in a list of counters, and the same in every release.
    pub const fn name(self) -> &'static str {
        match self {
            Self::SessionWelcomed => "session_welcomed",
            Self::SessionRefused(code) => code.ended_label(),
            Self::ParcelStored => "parcel_stored",
            Self::Registered(Code::OK) => "registered",
            Self::ParcelRefused(code) | Self::Registered(code) => code.refused_label(),
            Self::ParcelDelivered => "parcel_delivered",
            Self::Released => "released",
            Self::Withdrawn => "withdrawn",
            Self::WordPut(true) => "word_put",
            Self::WordPut(false) => "word_passed_on",
            Self::SeenAsked => "seen_asked",
        }
    }
}
