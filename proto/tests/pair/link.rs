//! What carries the bytes of a session, one way: lanes, frames, and how far a frame has come.

use std::collections::{BTreeMap, VecDeque};

use zajil_proto::codec::Reader;
use zajil_proto::session::{Lane, Rank};

/// Bytes a TLS connection has taken and not delivered, at most: a small socket buffer.
const SOCKET_BYTES: usize = 4_096;

/// How lanes are carried (P8.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Transport {
    /// Each lane by itself; they overtake each other.
    Quic,
    /// All frames in the order in which they were said, on the control lane.
    Tcp,
    /// As the TLS connection of `zajil-net`: all frames on the control lane, of those that wait the lowest rank first. What it
    /// has taken counts as flushed and is lost with it.
    Tls,
}

impl Transport {
    pub(crate) const ALL: [Self; 3] = [Self::Quic, Self::Tcp, Self::Tls];
}

/// Which of the lanes that have bytes moves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LaneOrder {
    Any,
    /// The control lane before all transfers, old transfers before new ones.
    ControlFirst,
    /// New transfers first, the control lane last.
    ControlLast,
}

/// How much may still be delivered before nothing more is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Budget {
    /// So many whole frames; after them `bytes` counts.
    pub(crate) frames: Option<usize>,
    pub(crate) bytes: Option<usize>,
}

impl Budget {
    pub(crate) fn of_bytes(bytes: usize) -> Self {
        Self { frames: None, bytes: Some(bytes) }
    }

    /// So many frames, and so many bytes of the one after them.
    pub(crate) fn of_frames(frames: usize, inside: usize) -> Self {
        Self { frames: Some(frames), bytes: Some(inside) }
    }

    pub(crate) fn is_used_up(&self) -> bool {
        self.frames.is_none_or(|frames| frames == 0) && self.bytes == Some(0)
    }
}

/// Bytes of one lane on their way.
#[derive(Default)]
struct Pipe {
    bytes: VecDeque<u8>,
    /// What is left of each frame in `bytes`.
    frames: VecDeque<usize>,
    ends: bool,
}

/// Frames of one lane that the transport has not taken.
type Waiting = VecDeque<(Rank, u64, Vec<u8>)>;

/// Bytes of one lane that arrive.
pub(crate) struct Delivery {
    pub(crate) lane: Lane,
    pub(crate) bytes: Vec<u8>,
    pub(crate) ends: bool,
}

/// One direction of a link.
#[derive(Default)]
pub(crate) struct Wire {
    waiting: BTreeMap<Lane, Waiting>,
    said: u64,
    /// The one stream ends behind all that waits.
    ends: bool,
    pipes: BTreeMap<Lane, Pipe>,
    /// Bytes delivered so far.
    pub(crate) delivered: usize,
    pub(crate) budget: Budget,
}

impl Wire {
    pub(crate) fn send(&mut self, transport: Transport, lane: Lane, rank: Rank, bytes: Vec<u8>, end: bool) {
        match (transport, lane) {
            (Transport::Quic, lane) => self.take_in(lane, &bytes, end),
            (Transport::Tcp, lane) => self.take_in(Lane::Control, &bytes, end && lane == Lane::Control),
            (Transport::Tls, lane) => {
                self.said += 1;
                self.ends |= end && lane == Lane::Control;
                if bytes.is_empty() {
                    return;
                }
                self.waiting.entry(lane).or_default().push_back((rank, self.said, bytes));
            }
        }
    }

    /// Takes the next frames that wait, if there is room; returns how many bytes.
    pub(crate) fn take_waiting(&mut self) -> usize {
        let taken = self.pipes.get(&Lane::Control).map_or(0, |pipe| pipe.bytes.len());
        let heads = self.waiting.iter().filter_map(|(lane, queue)| queue.front().map(|head| (head.0, head.1, *lane)));
        let Some((_, _, lane)) = heads.min().filter(|_| taken < SOCKET_BYTES) else {
            return 0;
        };
        let queue = self.waiting.get_mut(&lane).unwrap();
        let (_, _, bytes) = queue.pop_front().unwrap();
        if queue.is_empty() {
            self.waiting.remove(&lane);
        }
        self.take_in(Lane::Control, &bytes, self.ends && self.waiting.is_empty());
        bytes.len()
    }

    fn take_in(&mut self, lane: Lane, bytes: &[u8], end: bool) {
        let pipe = self.pipes.entry(lane).or_default();
        assert!(!pipe.ends, "nothing follows the end of a lane");
        pipe.bytes.extend(bytes);
        pipe.frames.extend(frames_of(bytes));
        pipe.ends |= end;
    }

    /// What the transport has not taken is gone with whoever said it.
    pub(crate) fn forget_waiting(&mut self) {
        self.waiting.clear();
    }

    /// Bytes on their way.
    pub(crate) fn on_its_way(&self) -> usize {
        let waiting = self.waiting.values().flatten().map(|(_, _, bytes)| bytes.len());
        self.pipes.values().map(|pipe| pipe.bytes.len()).sum::<usize>() + waiting.sum::<usize>()
    }

    /// Whether the budget is used up and there is more to deliver.
    pub(crate) fn is_stuck(&self) -> bool {
        self.budget.is_used_up() && self.pipes.values().any(|pipe| !pipe.bytes.is_empty())
    }

    /// Takes at most `portion` bytes of a lane out, the end of the lane with its last bytes; `None` if nothing may move.
    pub(crate) fn deliver(&mut self, order: LaneOrder, pick: usize, portion: usize) -> Option<Delivery> {
        let count = self.pipes.len();
        let nth = match order {
            LaneOrder::Any => pick % count.max(1),
            LaneOrder::ControlFirst => 0,
            LaneOrder::ControlLast => count.saturating_sub(1),
        };
        let (lane, pipe) = self.pipes.iter_mut().nth(nth)?;
        let lane = *lane;
        let allowed = match self.budget.frames {
            Some(frames) if frames > 0 => pipe.frames.iter().take(frames).sum(),
            _ => self.budget.bytes.unwrap_or(usize::MAX),
        };
        if allowed == 0 && !pipe.bytes.is_empty() {
            return None;
        }
        let count = portion.min(pipe.bytes.len()).min(allowed);
        let bytes: Vec<u8> = pipe.bytes.drain(..count).collect();
        let whole = pipe.pass(count);
        let ends = pipe.ends && pipe.bytes.is_empty();
        if pipe.bytes.is_empty() {
            self.pipes.remove(&lane);
        }
        match &mut self.budget {
            Budget { frames: Some(frames), .. } if *frames > 0 => *frames = frames.saturating_sub(whole),
            Budget { bytes: Some(bytes), .. } => *bytes -= count,
            Budget { .. } => {}
        }
        self.delivered += count;
        Some(Delivery { lane, bytes, ends })
    }
}

impl Pipe {
    /// Forgets frames of which all bytes have gone; returns how many.
    fn pass(&mut self, mut bytes: usize) -> usize {
        let mut whole = 0;
        while let Some(left) = self.frames.front_mut() {
            if *left > bytes {
                *left -= bytes;
                break;
            }
            bytes -= *left;
            self.frames.pop_front();
            whole += 1;
        }
        whole
    }
}

/// The length of each frame, all of them whole.
fn frames_of(bytes: &[u8]) -> Vec<usize> {
    let (mut reader, mut lengths) = (Reader::new(bytes), Vec::new());
    while !reader.rest().is_empty() {
        let before = reader.rest().len();
        reader.varint().unwrap();
        let length = reader.varint().unwrap();
        reader.bytes(usize::try_from(length).unwrap()).unwrap();
        lengths.push(before - reader.rest().len());
    }
    lengths
}
