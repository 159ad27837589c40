//! The order in which transfers are taken up: over QUIC lanes overtake each other, and a parcel that goes on in a
//! second transfer needs what the first one brought (P8.4).

use std::collections::{BTreeMap, BTreeSet};

use crate::ids::{MailboxId, ParcelId};
use crate::limits::EARLY_DOWNLOAD_BYTES_MAX;
use crate::parcel::{Header, Travel};
use crate::session::Lane;
use crate::wire::Code;

/// A transfer that has begun to arrive; its header is verified.
#[derive(Debug)]
pub(super) struct Begun {
    pub(super) transfer: u64,
    pub(super) lane: Lane,
    pub(super) mailbox: MailboxId,
    pub(super) offset: u32,
    pub(super) header: Header,
    pub(super) travel: Travel,
}

/// Numbers of transfers seen, and transfers that wait for earlier ones. Their lanes are not read meanwhile.
#[derive(Debug, Default)]
pub(super) struct Order {
    /// All lower numbers have begun.
    next: u64,
    /// Numbers above that have begun.
    ahead: BTreeSet<u64>,
    waiting: BTreeMap<u64, Begun>,
    /// Lanes that ended while they waited.
    ended: BTreeSet<Lane>,
    /// Bytes that came on lanes that wait.
    bytes: usize,
}

impl Order {
    /// Notes that a transfer has begun. Each number begins once.
    pub(super) fn begin(&mut self, transfer: u64) -> Result<(), Code> {
        if transfer < self.next || !self.ahead.insert(transfer) {
            return Err(Code::BAD_ID);
        }
        while self.ahead.remove(&self.next) {
            self.next += 1;
        }
        // As many lanes as may be open can be ahead; a number far ahead is a mistake.
        if self.ahead.len() > crate::limits::LANES_MAX {
            return Err(Code::TOO_MANY);
        }
        Ok(())
    }

    /// Returns how many transfers have begun without a gap.
    pub(super) const fn count(&self) -> u64 {
        self.next
    }

    /// Returns whether a transfer must wait: one that does not start at 0 for all with lower numbers to begin, any for
    /// earlier ones of its parcel, of which `open` says whether there are. One lane of bytes keeps its order by itself.
    pub(super) fn must_wait(&self, begun: &Begun, open: impl Fn(ParcelId) -> bool) -> bool {
        let id = begun.header.id();
        let earlier = || self.waiting.range(..begun.transfer).any(|(_, other)| other.header.id() == id);
        let has_gap = begun.offset > 0 && begun.transfer > self.next;
        begun.lane != Lane::Control && (has_gap || open(id) || earlier())
    }

    pub(super) fn wait(&mut self, begun: Begun) {
        self.waiting.insert(begun.transfer, begun);
    }

    /// Takes the first transfer that need not wait any more.
    pub(super) fn ready(&mut self, open: impl Fn(ParcelId) -> bool) -> Option<Begun> {
        let transfer = self.waiting.values().find(|begun| !self.must_wait(begun, &open)).map(|begun| begun.transfer)?;
        let begun = self.waiting.remove(&transfer);
        if self.waiting.is_empty() {
            self.bytes = 0;
        }
        begun
    }

    /// Returns whether a lane is not to be read for now.
    pub(super) fn holds(&self, lane: Lane) -> bool {
        self.waiting.values().any(|begun| begun.lane == lane)
    }

    /// Returns whether parcels of a mailbox wait.
    pub(super) fn holds_of(&self, mailbox: MailboxId) -> bool {
        self.waiting.values().any(|begun| begun.mailbox == mailbox)
    }

    /// Bytes came on a lane that waits.
    pub(super) const fn hold(&mut self, bytes: usize) -> Result<(), Code> {
        self.bytes = self.bytes.saturating_add(bytes);
        if self.bytes > EARLY_DOWNLOAD_BYTES_MAX { Err(Code::TOO_MANY) } else { Ok(()) }
    }

    /// A lane that waits has ended.
    pub(super) fn end(&mut self, lane: Lane) {
        self.ended.insert(lane);
    }

    /// Returns whether a lane ended while it waited; says so once.
    pub(super) fn has_ended(&mut self, lane: Lane) -> bool {
        self.ended.remove(&lane)
    }
}
