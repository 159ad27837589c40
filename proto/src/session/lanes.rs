//! Lanes of bytes on their way in, and what both machines keep of outputs and of ended transfers.

use std::collections::{BTreeMap, VecDeque};

use crate::ids::ParcelId;
use crate::limits::{LANES_MAX, TRANSFERS_REMEMBERED_MAX};
use crate::session::{Lane, Output, Rank};
use crate::wire::{Code, Frame, FrameBuffer};

/// The peer's lanes. Those of transfers wait until the peer's first words came on the control lane, whose packet may be
/// late.
#[derive(Debug)]
pub(super) struct Lanes {
    buffers: BTreeMap<Lane, FrameBuffer>,
    early_bytes_max: usize,
    early_bytes: usize,
    early_ends: Vec<Lane>,
    greeted: bool,
}

impl Lanes {
    /// Starts with no lanes; takes at most `early_bytes_max` on those of transfers before the peer's first words.
    pub(super) const fn new(early_bytes_max: usize) -> Self {
        Self { buffers: BTreeMap::new(), early_bytes_max, early_bytes: 0, early_ends: Vec::new(), greeted: false }
    }

    /// Takes bytes as they arrived.
    pub(super) fn push(&mut self, lane: Lane, bytes: &[u8]) -> Result<(), Code> {
        if !self.greeted && lane != Lane::Control {
            self.early_bytes = self.early_bytes.saturating_add(bytes.len());
            if self.early_bytes > self.early_bytes_max {
                return Err(Code::UNEXPECTED);
            }
        }
        if !self.buffers.contains_key(&lane) && self.buffers.len() >= LANES_MAX {
            return Err(Code::TOO_MANY);
        }
        self.buffers.entry(lane).or_default().push(bytes);
        Ok(())
    }

    /// Returns the next whole frame of a lane.
    pub(super) fn next(&mut self, lane: Lane) -> Result<Option<Frame>, Code> {
        if !self.greeted && lane != Lane::Control {
            return Ok(None);
        }
        let Some(buffer) = self.buffers.get_mut(&lane) else {
            return Ok(None);
        };
        buffer.next_frame().map_err(|error| Code::of(&error))
    }

    /// Forgets a lane. Returns whether its end counts now; one that ends early is kept until [`Lanes::greet`].
    pub(super) fn end(&mut self, lane: Lane) -> bool {
        if self.greeted || lane == Lane::Control {
            self.buffers.remove(&lane);
            return true;
        }
        if self.buffers.contains_key(&lane) {
            self.early_ends.push(lane);
        }
        false
    }

    /// The peer's first words have come: returns the lanes to read now, and those that have ended meanwhile.
    pub(super) fn greet(&mut self) -> (Vec<Lane>, Vec<Lane>) {
        self.greeted = true;
        let lanes = self.buffers.keys().copied().filter(|lane| *lane != Lane::Control);
        (lanes.collect(), core::mem::take(&mut self.early_ends))
    }

    /// Returns whether the peer's first words have come.
    pub(super) const fn is_greeted(&self) -> bool {
        self.greeted
    }
}

/// Outputs on their way out.
#[derive(Debug)]
pub(super) struct Port<E> {
    queue: VecDeque<Output<E>>,
    unflushed: usize,
    transmitted: usize,
    silent: bool,
}

impl<E> Default for Port<E> {
    fn default() -> Self {
        Self { queue: VecDeque::new(), unflushed: 0, transmitted: 0, silent: false }
    }
}

impl<E> Port<E> {
    /// Returns the next output.
    pub(super) fn poll(&mut self) -> Option<Output<E>> {
        self.queue.pop_front()
    }

    /// Sends whole frames on a lane; nothing if the transport is gone.
    pub(super) fn transmit(&mut self, lane: Lane, rank: Rank, bytes: Vec<u8>, end: bool) {
        if !self.silent {
            self.unflushed = self.unflushed.saturating_add(bytes.len());
            self.transmitted = self.transmitted.saturating_add(bytes.len());
            self.queue.push_back(Output::Transmit { lane, rank, bytes, end });
        }
    }

    /// Sends a frame on the control lane.
    pub(super) fn control(&mut self, frame: &Frame) {
        self.transmit(Lane::Control, Rank::FIRST, frame.encode(), false);
    }

    /// Tells the program.
    pub(super) fn event(&mut self, event: E) {
        self.queue.push_back(Output::Event(event));
    }

    /// Sends a `Close` frame, the last of the control lane.
    pub(super) fn say_close(&mut self, code: Code) {
        let text = code.meaning().to_owned();
        let bytes = Frame::Close { code, text }.encode();
        self.transmit(Lane::Control, Rank::FIRST, bytes, true);
    }

    /// Ends the transport. Nothing is transmitted after it.
    pub(super) fn close(&mut self, code: Code) {
        if !self.silent {
            self.queue.push_back(Output::Close { code });
        }
        self.silent = true;
    }

    /// The transport is gone.
    pub(super) const fn silence(&mut self) {
        self.silent = true;
    }

    /// The transport took bytes.
    pub(super) const fn flushed(&mut self, bytes: usize) {
        self.unflushed = self.unflushed.saturating_sub(bytes);
    }

    /// Nothing of what was transmitted has come anywhere: forgets it.
    pub(super) fn begin_again(&mut self) {
        self.queue.retain(|output| matches!(output, Output::Event(_)));
        self.unflushed = 0;
    }

    /// Returns how many bytes were transmitted, those that were forgotten among them.
    pub(super) const fn transmitted(&self) -> usize {
        self.transmitted
    }

    /// Returns a place in the queue, for [`Port::control_since`].
    pub(super) fn place(&self) -> usize {
        self.queue.len()
    }

    /// Returns what was sent on the control lane since `place`, which must not have been polled.
    pub(super) fn control_since(&self, place: usize) -> Vec<u8> {
        let mut said = Vec::new();
        for output in self.queue.iter().skip(place) {
            if let Output::Transmit { lane: Lane::Control, bytes, .. } = output {
                said.extend_from_slice(bytes);
            }
        }
        said
    }

    /// Returns bytes the transport has not taken yet.
    pub(super) const fn unflushed(&self) -> usize {
        self.unflushed
    }
}

/// Transfers that are over, the newest [`TRANSFERS_REMEMBERED_MAX`] of them: what still arrives for them is dropped.
#[derive(Debug, Default)]
pub(super) struct Ended {
    parcels: BTreeMap<u64, ParcelId>,
    order: VecDeque<u64>,
}

impl Ended {
    /// Remembers a transfer.
    pub(super) fn add(&mut self, transfer: u64, id: ParcelId) {
        if self.parcels.insert(transfer, id).is_none() {
            self.order.push_back(transfer);
        }
        if self.order.len() > TRANSFERS_REMEMBERED_MAX
            && let Some(oldest) = self.order.pop_front()
        {
            self.parcels.remove(&oldest);
        }
    }

    /// Returns the parcel a transfer that is over was for.
    pub(super) fn parcel(&self, transfer: u64) -> Option<ParcelId> {
        self.parcels.get(&transfer).copied()
    }
}
