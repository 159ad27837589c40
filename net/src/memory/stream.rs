use core::time::Duration;
use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::task::{Context, Poll, Waker};

use bytes::{Buf, Bytes};
use zajil_proto::uncounted;

use crate::limits::IDLE_TIMEOUT;
use crate::links::nanos;
use crate::memory::MachineId;
use crate::memory::effects::keep_waker;
use crate::memory::machine::Machine;
use crate::memory::passing::{CarriedBy, LostTo, Outcome, Passing, Way};
use crate::memory::world::{Event, World};

/// Bytes written and not yet read in one direction; a writer waits above.
const STREAM_BYTES_MAX: usize = 64 << 10;
/// The same on a link with a short queue: a sender that learns from losses has no more than the queue holds on its way.
/// At least three segments, or it would crawl.
const STREAM_BYTES_MIN: usize = 4 << 10;
/// Bytes that travel together: what fits a packet of 1 400 bytes with headers and options.
const SEGMENT_BYTES_MAX: usize = 1_340;
/// Headers of a segment (RFC 791, 8200, 9293), bytes.
pub(super) const TCP_HEADERS_V4: usize = 40;
pub(super) const TCP_HEADERS_V6: usize = 60;

/// Which end of a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Side {
    Dialled,
    Accepted,
}

impl Side {
    pub(super) const BOTH: [Self; 2] = [Self::Dialled, Self::Accepted];

    const fn other(self) -> Self {
        match self {
            Self::Dialled => Self::Accepted,
            Self::Accepted => Self::Dialled,
        }
    }
}

/// A byte stream between two machines: reliable and in order. What TCP would repair is not modelled: nothing of it is
/// lost on the air, and while a link is not there it waits and goes on at once when the link is back. After
/// [`IDLE_TIMEOUT`] without a way, both ends are told, as by the operating system. (Windows are taken for shorter gaps.)
pub(super) struct Stream {
    dialled: End,
    accepted: End,
    /// An end crashed, or an address translator forgot the way: nothing passes any more, and nobody is told.
    cut: bool,
    /// Since when the link of an end is switched off.
    away_since: Option<u64>,
    /// Nobody answered for too long: what is done with it fails, once everything that had arrived is read.
    timed_out: bool,
}

/// One end: what has come to it, and what it has sent.
pub(super) struct End {
    pub(super) machine: MachineId,
    /// Its own address.
    pub(super) local: SocketAddr,
    /// The address that the other end knows.
    pub(super) seen_as: SocketAddr,
    /// Somebody holds this end.
    held: bool,
    arrived: VecDeque<Bytes>,
    /// The other end will send no more, and all it sent has arrived.
    ended: bool,
    reader: Option<Waker>,
    /// Bytes written here that the other end has not read.
    unread: usize,
    /// This end will send no more.
    finished: bool,
    /// The other end takes no more.
    refused: bool,
    writer: Option<Waker>,
    /// What was sent here and waits for the way up, or at the other end's access link for the way down.
    waits_up: VecDeque<Travelling>,
    waits_down: VecDeque<Travelling>,
    /// When the last piece comes to the other end's access link: none overtakes it.
    door_at: u64,
}

/// A piece of a stream on its way.
pub(super) struct Travelling {
    stream: u64,
    from: Side,
    pub(super) sender: MachineId,
    pub(super) receiver: MachineId,
    offered: u64,
    /// When it has left the access link that it is in.
    pub(super) leaves: u64,
    piece: Piece,
}

enum Piece {
    Bytes(Bytes),
    /// No more bytes come.
    End,
    /// No more bytes are taken.
    Refusal,
}

impl Piece {
    fn len(&self) -> usize {
        match self {
            Self::Bytes(bytes) => bytes.len(),
            Self::End | Self::Refusal => 0,
        }
    }
}

impl Stream {
    /// Joins two ends, each of which somebody holds: machine, own address, address seen by the other.
    pub(super) fn new(
        dialled: (MachineId, SocketAddr, SocketAddr),
        accepted: (MachineId, SocketAddr, SocketAddr),
    ) -> Self {
        Self {
            dialled: End::new(dialled),
            accepted: End::new(accepted),
            cut: false,
            away_since: None,
            timed_out: false,
        }
    }

    pub(super) const fn end(&self, side: Side) -> &End {
        match side {
            Side::Dialled => &self.dialled,
            Side::Accepted => &self.accepted,
        }
    }

    const fn end_mut(&mut self, side: Side) -> &mut End {
        match side {
            Side::Dialled => &mut self.dialled,
            Side::Accepted => &mut self.accepted,
        }
    }

    fn passing(&self, from: Side, offered: u64, bytes: usize, outcome: Outcome) -> Passing {
        let (sender, receiver) = (self.end(from), self.end(from.other()));
        Passing {
            at: Duration::from_nanos(offered),
            from: sender.local,
            seen_as: sender.seen_as,
            to: receiver.seen_as,
            reached: receiver.local,
            bytes,
            carried_by: CarriedBy::Stream,
            copy: false,
            outcome,
        }
    }
}

impl End {
    fn new((machine, local, seen_as): (MachineId, SocketAddr, SocketAddr)) -> Self {
        Self {
            machine,
            local,
            seen_as,
            held: true,
            arrived: VecDeque::new(),
            ended: false,
            reader: None,
            unread: 0,
            finished: false,
            refused: false,
            writer: None,
            waits_up: VecDeque::new(),
            waits_down: VecDeque::new(),
            door_at: 0,
        }
    }
}

impl World {
    /// Reads what has arrived; ready with 0 at the end of the stream, or if there is no room.
    pub(super) fn poll_read(
        &mut self,
        id: u64,
        side: Side,
        context: &Context<'_>,
        mut take: impl FnMut(&[u8]) -> usize,
    ) -> Poll<io::Result<()>> {
        let Some(stream) = self.streams.get_mut(&id) else { return Poll::Pending };
        let timed_out = stream.timed_out;
        let end = stream.end_mut(side);
        let Some(bytes) = end.arrived.front_mut() else {
            if end.ended {
                return Poll::Ready(Ok(()));
            }
            if timed_out {
                return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
            }
            let spent = keep_waker(&mut end.reader, context.waker());
            self.effects.spend(spent);
            return Poll::Pending;
        };
        let count = take(bytes);
        bytes.advance(count);
        if bytes.is_empty() {
            end.arrived.pop_front();
        }
        if !stream.cut {
            let peer = stream.end_mut(side.other());
            peer.unread = peer.unread.saturating_sub(count);
            self.effects.wake(peer.writer.take());
        }
        Poll::Ready(Ok(()))
    }

    /// Sends as much as there is room for.
    pub(super) fn poll_write(
        &mut self,
        id: u64,
        side: Side,
        context: &Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let Some(stream) = self.streams.get_mut(&id) else { return Poll::Pending };
        let (cut, timed_out) = (stream.cut, stream.timed_out);
        let end = stream.end_mut(side);
        if end.refused || end.finished {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        if timed_out {
            return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
        }
        if bytes.is_empty() {
            return Poll::Ready(Ok(0));
        }
        let queue = self.machines.get(end.machine.0).map_or(0, |machine| machine.up.link.settings().queue_bytes);
        let room = queue.clamp(STREAM_BYTES_MIN, STREAM_BYTES_MAX).saturating_sub(end.unread);
        let Some(taken) = bytes.get(..room.min(bytes.len()).min(SEGMENT_BYTES_MAX)).filter(|taken| !taken.is_empty())
        else {
            let spent = keep_waker(&mut end.writer, context.waker());
            self.effects.spend(spent);
            return Poll::Pending;
        };
        end.unread += taken.len();
        if !cut {
            uncounted!(self.travel(id, side, Piece::Bytes(Bytes::copy_from_slice(taken))));
        }
        Poll::Ready(Ok(taken.len()))
    }

    /// Says that this end sends no more.
    pub(super) fn finish(&mut self, id: u64, side: Side) {
        let Some(stream) = self.streams.get_mut(&id) else { return };
        let end = stream.end_mut(side);
        if !std::mem::replace(&mut end.finished, true) {
            self.travel(id, side, Piece::End);
        }
    }

    /// Lets go of an end; with the second the stream is gone.
    pub(super) fn let_go(&mut self, id: u64, side: Side) {
        self.finish(id, side);
        self.travel(id, side, Piece::Refusal);
        let Some(stream) = self.streams.get_mut(&id) else { return };
        let end = stream.end_mut(side);
        end.held = false;
        end.arrived.clear();
        for waker in [end.reader.take(), end.writer.take()] {
            self.effects.spend(waker);
        }
        if stream.end(side.other()).held {
            return;
        }
        let (machine, local) = (stream.dialled.machine, stream.dialled.local);
        self.streams.remove(&id);
        if let Some(machine) = self.machine_mut(machine) {
            machine.dialled.remove(&local);
        }
        self.forget_mapping(machine, local);
    }

    /// Cuts every stream of a machine: nothing passes any more, and neither end is told before it has waited in vain.
    pub(super) fn cut_streams(&mut self, machine: MachineId) {
        for id in self.streams_of(machine) {
            self.cut_stream(id);
            self.look_later(id);
        }
    }

    /// Forgets what had come to a machine's ends of streams, as the machine does when it has no more power.
    pub(super) fn forget_arrived(&mut self, machine: MachineId) {
        for stream in self.streams.values_mut() {
            for side in Side::BOTH {
                let end = stream.end_mut(side);
                if end.machine == machine {
                    end.arrived.clear();
                    end.ended = false;
                }
            }
        }
    }

    fn cut_stream(&mut self, id: u64) {
        let Some(stream) = self.streams.get_mut(&id) else { return };
        stream.cut = true;
        for side in Side::BOTH {
            let end = stream.end_mut(side);
            let waiting: Vec<_> = end.waits_down.drain(..).chain(end.waits_up.drain(..)).collect();
            for piece in waiting {
                let outcome = Outcome::Lost(LostTo::Cut);
                self.effects.tell(|| stream.passing(side, piece.offered, piece.piece.len(), outcome));
                if let Some(sender) = self.machines.get_mut(piece.sender.0) {
                    sender.lost_beyond.add(piece.piece.len());
                }
            }
        }
    }

    /// Notes that the link of a machine is switched off, for its streams.
    pub(super) fn go_away(&mut self, machine: MachineId) {
        for id in self.streams_of(machine) {
            self.look_later(id);
        }
    }

    /// Looks after a while whether a stream has found a way again.
    fn look_later(&mut self, id: u64) {
        let now = self.now();
        let Some(stream) = self.streams.get_mut(&id).filter(|stream| stream.away_since.is_none()) else { return };
        stream.away_since = Some(now);
        self.enter(now.saturating_add(nanos(IDLE_TIMEOUT)), Event::StreamOverdue { stream: id, since: now });
    }

    /// Tells both ends of a stream that nobody answers, if nothing has passed since.
    pub(super) fn stream_overdue(&mut self, id: u64, since: u64) {
        let Some(stream) = self.streams.get_mut(&id).filter(|stream| stream.away_since == Some(since)) else { return };
        stream.timed_out = true;
        for side in Side::BOTH {
            let end = stream.end_mut(side);
            for waker in [end.reader.take(), end.writer.take()] {
                self.effects.wake(waker);
            }
        }
        self.cut_stream(id);
    }

    fn streams_of(&self, machine: MachineId) -> Vec<u64> {
        let has = |stream: &Stream| Side::BOTH.iter().any(|side| stream.end(*side).machine == machine);
        self.streams.iter().filter(|(_, stream)| has(stream)).map(|(id, _)| *id).collect()
    }

    fn travel(&mut self, id: u64, from: Side, piece: Piece) {
        let offered = self.now();
        let Some(stream) = self.streams.get(&id).filter(|stream| !stream.cut) else { return };
        let (sender, receiver) = (stream.end(from).machine, stream.end(from.other()).machine);
        let waits = !stream.end(from).waits_up.is_empty();
        if let Some(machine) = self.machine_mut(sender) {
            machine.up.traffic.stream_bytes += u64::try_from(piece.len()).unwrap_or(u64::MAX);
        }
        let piece = Travelling { stream: id, from, sender, receiver, offered, leaves: offered, piece };
        if waits { self.hold(piece, Way::Up) } else { self.stream_out(offered, piece) }
    }

    /// Takes a piece into the sender's access link.
    fn stream_out(&mut self, now: u64, mut piece: Travelling) {
        let delay = nanos(self.delay);
        let Some((leaves, at)) = self.carry(now, piece.sender, &piece, Way::Up) else {
            return self.hold(piece, Way::Up);
        };
        let Some(stream) = self.streams.get_mut(&piece.stream) else { return };
        let end = stream.end_mut(piece.from);
        end.door_at = end.door_at.max(at.saturating_add(delay));
        piece.leaves = leaves;
        let at = end.door_at;
        self.enter(at, Event::StreamDoor(piece));
    }

    /// A piece comes to the receiver's access link.
    pub(super) fn stream_door(&mut self, now: u64, mut piece: Travelling) {
        if !self.goes_on(&piece) {
            return;
        }
        let waits = self.streams.get(&piece.stream).is_some_and(|stream| !stream.end(piece.from).waits_down.is_empty());
        if waits {
            return self.hold(piece, Way::Down);
        }
        let Some((leaves, at)) = self.carry(now, piece.receiver, &piece, Way::Down) else {
            return self.hold(piece, Way::Down);
        };
        piece.leaves = leaves;
        if at <= now { self.stream_arrive(now, piece) } else { self.enter(at, Event::StreamArrival(piece)) }
    }

    /// A piece comes out of the receiver's access link.
    pub(super) fn stream_arrive(&mut self, now: u64, piece: Travelling) {
        if !self.goes_on(&piece) {
            return;
        }
        let bytes = piece.piece.len();
        if let Some(machine) = self.machine_mut(piece.receiver) {
            machine.down.traffic.stream_bytes += u64::try_from(bytes).unwrap_or(u64::MAX);
        }
        let Some(stream) = self.streams.get_mut(&piece.stream) else { return };
        let outcome = Outcome::Arrived { at: Duration::from_nanos(now) };
        self.effects.tell(|| stream.passing(piece.from, piece.offered, bytes, outcome));
        let end = stream.end_mut(piece.from.other());
        let waker = match piece.piece {
            Piece::Bytes(bytes) => {
                if end.held {
                    end.arrived.push_back(bytes);
                }
                end.reader.take()
            }
            Piece::End => {
                end.ended = true;
                end.reader.take()
            }
            Piece::Refusal => {
                end.refused = true;
                end.writer.take()
            }
        };
        self.effects.wake(waker);
    }

    /// Says whether a piece is still of a stream that carries; if not, it is told as lost.
    fn goes_on(&mut self, piece: &Travelling) -> bool {
        let Some(stream) = self.streams.get(&piece.stream) else { return false };
        if stream.cut {
            let outcome = Outcome::Lost(LostTo::Cut);
            self.effects.tell(|| stream.passing(piece.from, piece.offered, piece.piece.len(), outcome));
            if let Some(sender) = self.machines.get_mut(piece.sender.0) {
                sender.lost_beyond.add(piece.piece.len());
            }
            return false;
        }
        true
    }

    /// Passes a piece through an access link: when it has left and when it arrives, or `None` if the link is not there.
    fn carry(&mut self, now: u64, id: MachineId, piece: &Travelling, way: Way) -> Option<(u64, u64)> {
        let stream = self.streams.get(&piece.stream)?;
        let end = stream.end(match way {
            Way::Up => piece.from,
            Way::Down => piece.from.other(),
        });
        let address = end.local;
        let bytes = piece.piece.len() + if address.is_ipv4() { TCP_HEADERS_V4 } else { TCP_HEADERS_V6 };
        self.carry_bytes(now, id, address, bytes, way)
    }

    /// The same for any bytes of a byte stream, or of one that is being made.
    pub(super) fn carry_bytes(
        &mut self,
        now: u64,
        id: MachineId,
        address: SocketAddr,
        ip_bytes: usize,
        way: Way,
    ) -> Option<(u64, u64)> {
        let machine = self.machine_mut(id).filter(|machine| machine.passes(way, address.ip()))?;
        let (leaves, at) = machine.access(way).link.carry(Duration::from_nanos(now), ip_bytes)?;
        Some((nanos(leaves), nanos(at)))
    }

    /// Keeps a piece until one way of an access link is there again.
    pub(super) fn hold(&mut self, piece: Travelling, way: Way) {
        let Some(stream) = self.streams.get_mut(&piece.stream) else { return };
        let end = stream.end_mut(piece.from);
        match way {
            Way::Up => end.waits_up.push_back(piece),
            Way::Down => end.waits_down.push_back(piece),
        }
    }

    /// Sends everything on that waited for a link; what finds it still away goes on waiting.
    pub(super) fn go_on(&mut self) {
        let now = self.now();
        let ids: Vec<u64> = self.streams.keys().copied().collect();
        for id in ids {
            let has_way = self.streams.get(&id).is_some_and(|stream| self.has_way(stream));
            if let Some(stream) = self.streams.get_mut(&id).filter(|stream| has_way && !stream.cut) {
                stream.away_since = None;
            }
            Side::BOTH.iter().for_each(|side| self.stream_goes_on(now, id, *side));
        }
    }

    /// Returns whether the links of both ends are switched on, both ways.
    fn has_way(&self, stream: &Stream) -> bool {
        Side::BOTH.iter().all(|side| {
            let end = stream.end(*side);
            let machine = self.machines.get(end.machine.0);
            let passes = |machine: &Machine, way| machine.passes(way, end.local.ip());
            machine.is_some_and(|machine| passes(machine, Way::Up) && passes(machine, Way::Down))
        })
    }

    fn stream_goes_on(&mut self, now: u64, id: u64, side: Side) {
        let Some(stream) = self.streams.get_mut(&id) else { return };
        let end = stream.end_mut(side);
        let (down, up) = (std::mem::take(&mut end.waits_down), std::mem::take(&mut end.waits_up));
        // What is farther goes first: it was sent first.
        down.into_iter().for_each(|piece| self.stream_door(now, piece));
        for piece in up {
            let waits = self.streams.get(&id).is_some_and(|stream| !stream.end(side).waits_up.is_empty());
            if waits { self.hold(piece, Way::Up) } else { self.stream_out(now, piece) }
        }
    }
}
