/// Why a link dropped a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum DropCause {
    /// The link was not there, or went away before the packet had left.
    Outage,
    /// Larger than the MTU.
    TooLarge,
    /// No room in the queue.
    QueueFull,
    /// Lost on the air.
    Lost,
    /// UDP, and the link lets none pass.
    Blocked,
}

/// How many packets and bytes a link has seen; bytes with IP header.
///
/// `offered + duplicated = delivered + dropped`, at any time: a fate counts as soon as it is decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counters {
    /// Packets offered.
    pub offered: u64,
    /// Packets that arrive, duplicates among them.
    pub delivered: u64,
    /// Packets that arrive a second time.
    pub duplicated: u64,
    /// Dropped because the link was not there.
    pub outage: u64,
    /// Dropped because of their size.
    pub too_large: u64,
    /// Dropped by the queue.
    pub queue_full: u64,
    /// Lost on the air.
    pub lost: u64,
    /// Dropped because they were UDP.
    pub blocked: u64,
    /// Packets that arrive later than their turn, by the chance of that alone; each counts once, with its duplicate.
    pub reordered: u64,
    /// Bytes offered.
    pub offered_bytes: u64,
    /// Bytes that arrive, duplicates among them.
    pub delivered_bytes: u64,
    /// Bytes that arrive a second time.
    pub duplicated_bytes: u64,
    /// Bytes dropped, for whatever reason.
    pub dropped_bytes: u64,
    /// The most packets that ever waited at once, the one being sent not among them.
    pub waiting_max: usize,
    /// The most bytes that ever did.
    pub waiting_bytes_max: usize,
}

impl Counters {
    /// Returns how many were dropped, for whatever reason.
    pub const fn dropped(&self) -> u64 {
        self.outage + self.too_large + self.queue_full + self.lost + self.blocked
    }

    pub(super) fn offer(&mut self, bytes: u64) {
        self.offered += 1;
        self.offered_bytes += bytes;
    }

    pub(super) fn deliver(&mut self, copies: u64, bytes: u64) {
        self.delivered += copies;
        self.delivered_bytes += copies * bytes;
        self.duplicated += copies - 1;
        self.duplicated_bytes += (copies - 1) * bytes;
    }

    pub(super) fn drop(&mut self, cause: DropCause, bytes: u64) {
        let counter = match cause {
            DropCause::Outage => &mut self.outage,
            DropCause::TooLarge => &mut self.too_large,
            DropCause::QueueFull => &mut self.queue_full,
            DropCause::Lost => &mut self.lost,
            DropCause::Blocked => &mut self.blocked,
        };
        *counter += 1;
        self.dropped_bytes += bytes;
    }
}
