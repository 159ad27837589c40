//! Where the parts of a relay's session hand in frames, events and requests to the store.

use std::collections::BTreeMap;

use crate::ids::{MailboxId, ParcelId};
use crate::limits::{ANSWERS_UNFLUSHED_BYTES_MAX, STORE_REQUESTS_MAX};
use crate::session::custody::StoreRequest;
use crate::session::lanes::Port;
use crate::session::relay::{Counter, RelayEvent};
use crate::wire::{Code, WordLive, WordPut};

/// One upload of a parcel: a later one of the same parcel has another serial number.
pub(super) type UploadKey = (ParcelId, u64);

/// What an answer of the store is for.
#[derive(Debug)]
pub(super) enum Pending {
    /// `Register`; the mailbox is listed again if it is watched.
    Register { request: u64, mailbox: Option<MailboxId> },
    /// `Put`.
    Put(UploadKey),
    /// `Extend`.
    Extend(UploadKey),
    /// `Cut` after a mark that did not fit.
    Cut,
    /// `List` of a proven mailbox.
    List { mailbox: MailboxId },
    /// `List` of nobody's mailbox, for one that is not proven: its answer takes as long as that of one that is not here, however
    /// much waits.
    ListUnproven { mailbox: MailboxId },
    /// `Read`.
    Read(super::downloads::Reading),
    /// `Release`, with the ids as asked.
    Release { mailbox: MailboxId, ids: Vec<ParcelId> },
    /// `Withdraw`.
    Withdraw { request: u64 },
    /// `Seen` before a word of its owner's own connection is kept.
    WordLookup { put: Box<WordPut> },
    /// `Seen` before the live proof of a word is checked that was put without one.
    WordProof { live: Box<WordLive> },
    /// `PutWord`.
    Word { request: u64, live: bool },
    /// `Seen` for a query; whether the slot is proven.
    Seen { request: u64, proven: bool },
    /// `Drop`.
    Drop { request: u64 },
    /// A `List` in place of a `Drop` for what is not proven.
    DropUnproven { request: u64 },
}

/// Outputs of a relay's session, and what the store still owes it.
#[derive(Debug, Default)]
pub(super) struct Desk {
    pub(super) port: Port<RelayEvent>,
    pending: BTreeMap<u64, Pending>,
    next_ticket: u64,
}

impl Desk {
    /// Asks the store.
    pub(super) fn store(&mut self, request: StoreRequest, pending: Pending) {
        let ticket = self.next_ticket;
        self.next_ticket += 1;
        self.pending.insert(ticket, pending);
        self.port.event(RelayEvent::Store { ticket, request });
    }

    /// Takes what an answer is for; `None` for a ticket that was answered before.
    pub(super) fn answered(&mut self, ticket: u64) -> Option<Pending> {
        self.pending.remove(&ticket)
    }

    /// Returns whether the store owes an answer.
    pub(super) fn awaits_store(&self) -> bool {
        !self.pending.is_empty()
    }

    /// Counts something.
    pub(super) fn metric(&mut self, counter: Counter) {
        self.port.event(RelayEvent::Metric(counter));
    }

    /// Refuses a peer that asks faster than the store answers, or does not listen to the answers.
    pub(super) fn check_load(&self) -> Result<(), Code> {
        let asks_too_fast = self.pending.len() > STORE_REQUESTS_MAX && !sabotaged!(LoadNotBounded);
        if asks_too_fast || self.port.unflushed() > ANSWERS_UNFLUSHED_BYTES_MAX {
            return Err(Code::TOO_MANY);
        }
        Ok(())
    }
}
