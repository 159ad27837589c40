use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use zajil_proto::limits::TRANSFERS_OPEN_MAX;
use zajil_proto::session::{Input, Lane, Output, Rank, Session};
use zajil_proto::time::Instant;
use zajil_proto::wire::Code;

/// Bytes of one toy frame's payload.
const PAYLOAD_BYTES: usize = 4_000;
/// Bytes that a toy keeps on their way.
pub(crate) const IN_FLIGHT_MAX: usize = 32_000;

/// What a program asks of a toy.
#[derive(Debug, Clone, Copy)]
pub(crate) enum ToyCommand {
    /// Send so many bytes as one transfer.
    Send { transfer: u8, bytes: usize },
    /// Send a little as one transfer, and never its end.
    Begin { transfer: u8 },
    /// Close once all is sent.
    Close(Code),
}

/// What a toy tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ToyEvent {
    /// A transfer arrived whole, every byte in its place.
    Whole { transfer: u8, bytes: usize },
    /// A frame arrived. Only a toy that tells all says so.
    Frame,
    /// The time it asked for has come.
    Woken,
    /// A command came after the end.
    Late,
    /// The peer ended its control lane.
    ControlEnded,
    /// The handshake is over, and what was said before counts.
    Confirmed,
    /// The handshake is over, and what was said before does not count.
    Refused,
    /// The transport is gone. So many bytes were never taken by it.
    Disconnected { unflushed: usize },
}

/// A machine that sends transfers of a known pattern, checks those that arrive, and may send them back. A frame is
/// `transfer u8 ‖ last u8 ‖ length u16 ‖ payload`.
#[derive(Default)]
pub(crate) struct Toy {
    echoes: bool,
    tells_frames: bool,
    buffers: BTreeMap<Lane, Vec<u8>>,
    arrived: BTreeMap<u8, usize>,
    /// Transfers being sent: bytes sent, of how many.
    sending: BTreeMap<u8, (usize, usize)>,
    /// All it was asked to send.
    asked: BTreeMap<u8, usize>,
    in_flight: usize,
    /// All that the transport has taken.
    flushed: Arc<AtomicUsize>,
    closing: Option<Code>,
    /// Commands it waits for after the end.
    lingers_for: usize,
    disconnected: bool,
    /// When it wants to be woken, by a clock that started with the session.
    wake_at: Option<Instant>,
    outputs: VecDeque<Output<ToyEvent>>,
}

impl Toy {
    /// One that speaks first, as a device does.
    pub(crate) fn device() -> Self {
        let mut toy = Self::default();
        toy.transmit(Lane::Control, vec![0, 0, 0, 0], false);
        toy
    }

    /// One that keeps what arrives.
    pub(crate) fn relay() -> Self {
        Self::default()
    }

    /// One that sends back what arrives, byte for byte.
    pub(crate) fn echo() -> Self {
        Self { echoes: true, ..Self::default() }
    }

    /// Tells of every frame.
    pub(crate) fn telling_frames(mut self) -> Self {
        self.tells_frames = true;
        self
    }

    /// Wants to be woken once, so long after its beginning.
    pub(crate) fn waking_after(mut self, after: Duration) -> Self {
        self.wake_at = Some(Instant::default().after(after));
        self
    }

    /// Waits for so many commands after the end.
    pub(crate) fn lingering_for(mut self, commands: usize) -> Self {
        self.lingers_for = commands;
        self
    }

    /// Adds up here what the transport has taken.
    pub(crate) fn counting(mut self, flushed: &Arc<AtomicUsize>) -> Self {
        self.flushed = Arc::clone(flushed);
        self
    }

    fn transmit(&mut self, lane: Lane, bytes: Vec<u8>, end: bool) {
        self.in_flight += bytes.len();
        let rank = if lane == Lane::Control { Rank::FIRST } else { Rank::NOTE_REST };
        self.outputs.push_back(Output::Transmit { lane, rank, bytes, end });
    }

    /// Fills up what is on its way, the transfers in turn.
    fn send_more(&mut self) {
        while self.in_flight < IN_FLIGHT_MAX {
            let open = self.sending.iter().take(TRANSFERS_OPEN_MAX);
            let Some((&transfer, &(sent, total))) = open.min_by_key(|(_, (sent, _))| *sent) else { break };
            let length = PAYLOAD_BYTES.min(total - sent);
            let last = sent + length == total;
            let mut frame = vec![transfer, u8::from(last)];
            frame.extend(u16::try_from(length).unwrap().to_be_bytes());
            frame.extend((sent..sent + length).map(|at| pattern(transfer, at)));
            self.transmit(Lane::Transfer(transfer.into()), frame, last);
            if last {
                self.sending.remove(&transfer);
            } else {
                self.sending.insert(transfer, (sent + length, total));
            }
        }
        if self.sending.is_empty()
            && let Some(code) = self.closing.take()
        {
            self.outputs.push_back(Output::Close { code });
        }
    }

    fn take_frame(&mut self, frame: &[u8]) {
        if self.tells_frames {
            self.outputs.push_back(Output::Event(ToyEvent::Frame));
        }
        let (transfer, last, payload) = (frame[0], frame[1] == 1, &frame[4..]);
        if payload.is_empty() {
            return;
        }
        let before = *self.arrived.entry(transfer).or_default();
        let intact = payload.iter().enumerate().all(|(at, byte)| *byte == pattern(transfer, before + at));
        assert!(intact, "transfer {transfer} is not what was sent after byte {before}");
        self.arrived.insert(transfer, before + payload.len());
        if last {
            let bytes = before + payload.len();
            self.arrived.remove(&transfer);
            self.outputs.push_back(Output::Event(ToyEvent::Whole { transfer, bytes }));
        }
        if self.echoes {
            self.transmit(Lane::Transfer(transfer.into()), frame.to_vec(), last);
        }
    }
}

fn pattern(transfer: u8, at: usize) -> u8 {
    u8::try_from((at * 31 + at / 251 + usize::from(transfer)) % 256).unwrap()
}

impl Session for Toy {
    type Command = ToyCommand;
    type Event = ToyEvent;

    fn handle_input(&mut self, now: Instant, input: Input<ToyCommand>) {
        if self.disconnected {
            assert!(matches!(input, Input::Command(_)), "only commands come after the end");
            self.lingers_for = self.lingers_for.checked_sub(1).expect("no command comes to one that does not linger");
            self.outputs.push_back(Output::Event(ToyEvent::Late));
            return;
        }
        match input {
            Input::Received { lane, bytes } => {
                let mut buffer = self.buffers.remove(&lane).unwrap_or_default();
                buffer.extend(bytes);
                while buffer.len() >= 4 {
                    let length = 4 + usize::from(u16::from_be_bytes([buffer[2], buffer[3]]));
                    if buffer.len() < length {
                        break;
                    }
                    let frame: Vec<u8> = buffer.drain(..length).collect();
                    self.take_frame(&frame);
                }
                self.buffers.insert(lane, buffer);
            }
            Input::Ended { lane: Lane::Control } => self.outputs.push_back(Output::Event(ToyEvent::ControlEnded)),
            Input::Ended { lane } => {
                let cut = self.buffers.remove(&lane).is_some_and(|buffer| !buffer.is_empty());
                assert!(!cut, "a lane ended in the middle of a frame");
            }
            Input::Flushed { bytes } => {
                self.flushed.fetch_add(bytes, Ordering::Relaxed);
                self.in_flight = self.in_flight.checked_sub(bytes).expect("no more is flushed than was transmitted");
            }
            Input::Confirmed { .. } => self.outputs.push_back(Output::Event(ToyEvent::Confirmed)),
            Input::Refused { .. } => {
                self.outputs.retain(|output| matches!(output, Output::Event(_)));
                self.outputs.push_back(Output::Event(ToyEvent::Refused));
                self.in_flight = 0;
                self.sending = self.asked.iter().map(|(transfer, bytes)| (*transfer, (0, *bytes))).collect();
                self.transmit(Lane::Control, vec![0, 0, 0, 0], false);
            }
            Input::Wake => {
                let asked = self.wake_at.take().expect("it asked to be woken");
                assert!(now >= asked, "woken too early");
                self.outputs.push_back(Output::Event(ToyEvent::Woken));
            }
            Input::Command(ToyCommand::Send { transfer, bytes }) => {
                self.sending.insert(transfer, (0, bytes));
                self.asked.insert(transfer, bytes);
            }
            Input::Command(ToyCommand::Begin { transfer }) => {
                self.transmit(Lane::Transfer(transfer.into()), vec![transfer, 0, 0, 1, pattern(transfer, 0)], false);
            }
            Input::Command(ToyCommand::Close(code)) => self.closing = Some(code),
            Input::Disconnected => {
                self.disconnected = true;
                let unflushed = self.in_flight;
                self.outputs.push_back(Output::Event(ToyEvent::Disconnected { unflushed }));
                return;
            }
        }
        self.send_more();
    }

    fn poll_output(&mut self) -> Option<Output<ToyEvent>> {
        self.outputs.pop_front()
    }

    fn wake_at(&self) -> Option<Instant> {
        self.wake_at
    }

    fn lingers(&self) -> bool {
        self.disconnected && self.lingers_for > 0
    }
}
