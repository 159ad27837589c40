use core::time::Duration;
use std::net::SocketAddr;

use crate::links::DropCause;

/// A direction of a machine's access link.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Way {
    /// Away from the machine.
    Up,
    /// To the machine.
    Down,
}

/// What carried something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CarriedBy {
    /// A datagram.
    Datagram,
    /// A piece of a byte stream: its bytes, or the word that one end has closed (no bytes).
    Stream,
}

/// Something that was sent, once it is known what became of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Passing {
    /// When it was offered, since the world began.
    pub at: Duration,
    /// The sender's own address, inside of its address translator.
    pub from: SocketAddr,
    /// The address that the receiver sees.
    pub seen_as: SocketAddr,
    /// Where it was sent to.
    pub to: SocketAddr,
    /// The receiver's own address, inside of its address translator; `to` where nobody was found.
    pub reached: SocketAddr,
    /// Length of the payload, bytes.
    pub bytes: usize,
    /// What carried it.
    pub carried_by: CarriedBy,
    /// A second one that a link made of one datagram.
    pub copy: bool,
    /// What became of it.
    pub outcome: Outcome,
}

/// What became of something that was sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It arrived.
    Arrived {
        /// When, since the world began.
        at: Duration,
    },
    /// It did not.
    Lost(LostTo),
}

/// What something was lost to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum LostTo {
    /// An access link: the sender's way up, or the receiver's way down.
    Access(Way, DropCause),
    /// What [`set_loss`](super::MemoryWorld::set_loss) said.
    Chosen,
    /// No machine has this address, or an address translator has no such mapping any more.
    NobodyThere,
    /// No socket there has this port, or the machine is off.
    NobodyListens,
    /// A full receiver, or more on the way than the world holds.
    Crowded,
    /// The stream was cut: an end of it crashed, or an address translator forgot it.
    Cut,
}

/// Datagrams and the bytes in them, headers not counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Count {
    /// How many.
    pub datagrams: u64,
    /// Their payload.
    pub bytes: u64,
}

impl Count {
    pub(super) fn add(&mut self, bytes: usize) {
        self.datagrams += 1;
        self.bytes += u64::try_from(bytes).unwrap_or(u64::MAX);
    }

    pub(super) fn take_back(&mut self, bytes: usize) {
        self.datagrams = self.datagrams.saturating_sub(1);
        self.bytes = self.bytes.saturating_sub(u64::try_from(bytes).unwrap_or(u64::MAX));
    }
}

/// What one direction of an access link has had to carry.
///
/// Up: `offered + duplicated = passed + lost`. Down the same, but for what is still within the link.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct WayTraffic {
    /// Datagrams that came to it.
    pub offered: Count,
    /// Datagrams that it carried, duplicates among them. Down: that a socket was given.
    pub passed: Count,
    /// Datagrams lost in it; up also those that [`set_loss`](super::MemoryWorld::set_loss) chose.
    pub lost: Count,
    /// Datagrams of which it made two.
    pub duplicated: Count,
    /// Bytes of streams that came to it.
    pub stream_bytes: u64,
}

/// What a machine has sent and received.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Traffic {
    /// What it sent.
    pub up: WayTraffic,
    /// What came to it.
    pub down: WayTraffic,
    /// Of what it sent and its own link carried, what was lost after that: in the receiver's link, because nobody was there, or
    /// with a stream that was cut.
    pub lost_beyond: Count,
    /// UDP sockets it has opened since the world began: one for each QUIC connection that a device tries.
    pub sockets_opened: u64,
}
