use core::fmt;
use core::time::Duration;
use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::task::Waker;

use tokio::task::AbortHandle;
use tokio::time::Instant;

use crate::links::{DropCause, Fate, nanos, seed_for};
use crate::memory::agenda::Agenda;
use crate::memory::effects::Effects;
use crate::memory::machine::{Backlog, Machine};
use crate::memory::passing::{CarriedBy, LostTo, Outcome, Passing, Way};
use crate::memory::runtime::Tasks;
use crate::memory::stream::{Side, Stream, Travelling};
use crate::memory::{LinkState, MachineId, Packet};

/// Headers of a datagram (RFC 791, 8200, 768), bytes.
const UDP_HEADERS_V4: usize = 28;
const UDP_HEADERS_V6: usize = 48;
/// Datagrams that one socket holds unread; more are lost.
const INBOX_MAX: usize = 4_096;
/// What may be on the way at once in the whole world; more is lost. About 200 B each, and the payload.
const TRAVELLING_MAX: usize = 1 << 20;

pub(super) type Loss = Arc<dyn Fn(&Packet) -> bool + Send + Sync>;

/// Everything there is, behind one lock.
pub(super) struct World {
    pub(super) start: Instant,
    pub(super) seed: u64,
    pub(super) delay: Duration,
    pub(super) loss: Option<Loss>,
    pub(super) addresses: BTreeMap<IpAddr, MachineId>,
    pub(super) machines: Vec<Machine>,
    pub(super) names: BTreeMap<String, Vec<IpAddr>>,
    pub(super) listeners: BTreeMap<SocketAddr, Backlog>,
    pub(super) streams: BTreeMap<u64, Stream>,
    /// Which inside address an outside one stands for.
    pub(super) mappings: BTreeMap<SocketAddr, SocketAddr>,
    pub(super) outside_port_next: u16,
    pub(super) agenda: Agenda<Event>,
    pub(super) effects: Effects,
    pub(super) carrier: Carrier,
    ids: u64,
}

/// Who sees to it that what is due happens.
#[derive(Default)]
pub(super) struct Carrier {
    pub(super) task: Option<AbortHandle>,
    pub(super) waker: Option<Waker>,
    /// When it will look by itself; `None` while it waits for something to enter.
    pub(super) looks_at: Option<u64>,
}

/// Something on its way.
pub(super) enum Event {
    /// A datagram comes to the receiver's access link.
    Door(Flight),
    /// A datagram comes out of it, to the machine and to its address there.
    Arrival(Flight, MachineId, SocketAddr),
    /// A piece of a stream comes to the receiver's access link.
    StreamDoor(Travelling),
    /// A piece of a stream comes out of it.
    StreamArrival(Travelling),
    /// It is time to look whether a stream has found a way since then.
    StreamOverdue { stream: u64, since: u64 },
}

/// A datagram on its way.
pub(super) struct Flight {
    /// When it was offered.
    offered: u64,
    /// When it has left the access link that it is in; whoever cuts that link sooner stops it.
    leaves: u64,
    sender: MachineId,
    from: SocketAddr,
    seen_as: SocketAddr,
    to: SocketAddr,
    copy: bool,
    bytes: Box<[u8]>,
}

impl Flight {
    fn passing(&self, reached: SocketAddr, outcome: Outcome) -> Passing {
        Passing {
            at: Duration::from_nanos(self.offered),
            from: self.from,
            seen_as: self.seen_as,
            to: self.to,
            reached,
            bytes: self.bytes.len(),
            carried_by: CarriedBy::Datagram,
            copy: self.copy,
            outcome,
        }
    }
}

impl World {
    pub(super) fn new(delay: Duration, seed: u64) -> Self {
        Self {
            start: Instant::now(),
            seed,
            delay,
            loss: None,
            addresses: BTreeMap::new(),
            machines: Vec::new(),
            names: BTreeMap::new(),
            listeners: BTreeMap::new(),
            streams: BTreeMap::new(),
            mappings: BTreeMap::new(),
            outside_port_next: super::nat::PORT_FIRST,
            agenda: Agenda::new(),
            effects: Effects::default(),
            carrier: Carrier::default(),
            ids: 0,
        }
    }

    /// Returns nanoseconds since the world began.
    pub(super) fn now(&self) -> u64 {
        nanos(self.start.elapsed())
    }

    pub(super) fn id(&mut self) -> u64 {
        self.ids += 1;
        self.ids
    }

    pub(super) fn machine(&self, address: IpAddr) -> Option<&Machine> {
        self.machines.get(self.addresses.get(&address)?.0)
    }

    pub(super) fn machine_mut(&mut self, id: MachineId) -> Option<&mut Machine> {
        self.machines.get_mut(id.0)
    }

    /// Returns a machine of these addresses that runs: the one there is, or a new one.
    pub(super) fn start_machine(&mut self, addresses: &[IpAddr]) -> MachineId {
        let known = addresses.iter().find_map(|address| self.addresses.get(address)).copied();
        let id = known.unwrap_or_else(|| {
            let name: Vec<u8> = addresses.first().map_or_else(Vec::new, |address| address.to_string().into_bytes());
            self.machines.push(Machine::new(seed_for(self.seed, &name)));
            MachineId(self.machines.len() - 1)
        });
        for address in addresses {
            if let Some(former) = self.addresses.insert(*address, id).filter(|former| *former != id)
                && let Some(former) = self.machine_mut(former)
            {
                former.addresses.retain(|(own, _)| own != address);
            }
            if let Some(machine) = self.machine_mut(id) {
                machine.runs = true;
                let listener = machine.set_link_state(*address, LinkState::Up);
                self.effects.wake(listener);
            }
        }
        id
    }

    /// Enters what will happen, and sees to it that somebody looks then.
    pub(super) fn enter(&mut self, at: u64, event: Event) {
        if self.agenda.len() >= TRAVELLING_MAX {
            return match event {
                Event::Door(flight) | Event::Arrival(flight, ..) => {
                    let reached = flight.to;
                    self.tell_lost(&flight, reached, LostTo::Crowded);
                }
                // Streams lose nothing, and their windows bound what they have on the way.
                event => self.agenda.enter(at, event),
            };
        }
        self.agenda.enter(at, event);
        if self.carrier.looks_at.is_none_or(|looks_at| at < looks_at) {
            let carried = self.carrier.task.as_ref().is_some_and(|task| !task.is_finished());
            self.effects.carrier_wanted |= !carried;
            let waker = self.carrier.waker.take();
            self.effects.wake(waker);
            self.carrier.looks_at = Some(at);
        }
    }

    /// Makes everything happen that is due, in order of time.
    pub(super) fn advance(&mut self) {
        let now = self.now();
        while let Some((at, event)) = self.agenda.take_due(now) {
            match event {
                Event::Door(flight) => self.door(at, flight),
                Event::Arrival(flight, machine, reached) => self.arrive(at, flight, machine, reached),
                Event::StreamDoor(piece) => self.stream_door(at, piece),
                Event::StreamArrival(piece) => self.stream_arrive(at, piece),
                Event::StreamOverdue { stream, since } => self.stream_overdue(stream, since),
            }
        }
    }

    fn tell_lost(&mut self, flight: &Flight, reached: SocketAddr, to: LostTo) {
        self.effects.tell(|| flight.passing(reached, Outcome::Lost(to)));
    }

    /// Tells of a datagram that was lost after its sender's own link had carried it.
    fn lose_beyond(&mut self, flight: &Flight, reached: SocketAddr, to: LostTo) {
        if let Some(sender) = self.machine_mut(flight.sender) {
            sender.lost_beyond.add(flight.bytes.len());
        }
        self.tell_lost(flight, reached, to);
    }

    /// Counts a datagram from `machine` to `to`, and returns how many went before it.
    pub(super) fn number(&mut self, machine: MachineId, to: IpAddr) -> u64 {
        let Some(machine) = self.machine_mut(machine) else { return 0 };
        let sent = machine.sent.entry(to).or_default();
        *sent += 1;
        *sent - 1
    }

    /// Sends a datagram, from a socket that is not cut.
    pub(super) fn send(&mut self, sender: MachineId, from: SocketAddr, to: SocketAddr, bytes: &[u8], chosen: bool) {
        let offered = self.now();
        let delay = nanos(self.delay);
        let seen_as = self.seen_as(sender, from);
        let Some(machine) = self.machines.get_mut(sender.0) else { return };
        let passes = machine.passes(Way::Up, from.ip());
        let access = &mut machine.up;
        access.traffic.offered.add(bytes.len());
        let fate = if passes {
            access.link.offer(Duration::from_nanos(offered), ip_bytes(to, bytes.len()))
        } else {
            Fate::Dropped(DropCause::Outage)
        };
        let flight = |leaves, copy, bytes| {
            let seen_as = seen_as.unwrap_or(from);
            Flight { offered, leaves, sender, from, seen_as, to, copy, bytes }
        };
        let lost_to = match fate {
            Fate::Dropped(cause) => Some(LostTo::Access(Way::Up, cause)),
            Fate::Arrives { .. } if chosen => Some(LostTo::Chosen),
            Fate::Arrives { .. } => seen_as.is_none().then_some(LostTo::NobodyThere),
        };
        if let Some(lost_to) = lost_to {
            access.traffic.lost.add(bytes.len());
            if self.effects.observer.is_some() {
                self.tell_lost(&flight(0, false, bytes.into()), to, lost_to);
            }
            return;
        }
        let Fate::Arrives { leaves, at, again } = fate else { return };
        access.traffic.passed.add(bytes.len());
        let leaves = nanos(leaves);
        if let Some(again) = again {
            access.traffic.passed.add(bytes.len());
            access.traffic.duplicated.add(bytes.len());
            self.enter(nanos(at).saturating_add(delay), Event::Door(flight(leaves, false, bytes.into())));
            self.enter(nanos(again).saturating_add(delay), Event::Door(flight(leaves, true, bytes.into())));
        } else {
            self.enter(nanos(at).saturating_add(delay), Event::Door(flight(leaves, false, bytes.into())));
        }
    }

    /// A datagram comes to the receiver's access link.
    fn door(&mut self, at: u64, mut flight: Flight) {
        let Some((id, reached)) = self.resolve(flight.to) else {
            let reached = flight.to;
            return self.lose_beyond(&flight, reached, LostTo::NobodyThere);
        };
        let Some(machine) = self.machines.get_mut(id.0) else { return };
        let passes = machine.passes(Way::Down, reached.ip());
        let access = &mut machine.down;
        access.traffic.offered.add(flight.bytes.len());
        let fate = if passes {
            access.link.offer(Duration::from_nanos(at), ip_bytes(flight.to, flight.bytes.len()))
        } else {
            Fate::Dropped(DropCause::Outage)
        };
        let (leaves, comes, again) = match fate {
            Fate::Dropped(cause) => {
                access.traffic.lost.add(flight.bytes.len());
                return self.lose_beyond(&flight, reached, LostTo::Access(Way::Down, cause));
            }
            Fate::Arrives { leaves, at, again } => (nanos(leaves), nanos(at), again),
        };
        flight.leaves = leaves;
        let copy = again.map(|again| (nanos(again), Flight { copy: true, bytes: flight.bytes.clone(), ..flight }));
        if copy.is_some() {
            access.traffic.duplicated.add(flight.bytes.len());
        }
        if comes <= at {
            self.arrive(at, flight, id, reached);
        } else {
            self.enter(comes, Event::Arrival(flight, id, reached));
        }
        if let Some((comes, copy)) = copy {
            self.enter(comes, Event::Arrival(copy, id, reached));
        }
    }

    /// A datagram comes out of the receiver's access link.
    fn arrive(&mut self, at: u64, flight: Flight, id: MachineId, reached: SocketAddr) {
        let Some(machine) = self.machines.get_mut(id.0) else { return };
        let traffic = &mut machine.down.traffic;
        let inbox = machine.sockets.get_mut(&reached);
        let lost_to = match &inbox {
            None => Some(LostTo::NobodyListens),
            Some(inbox) => (inbox.arrived.len() >= INBOX_MAX).then_some(LostTo::Crowded),
        };
        if let Some(lost_to) = lost_to {
            traffic.lost.add(flight.bytes.len());
            return self.lose_beyond(&flight, reached, lost_to);
        }
        traffic.passed.add(flight.bytes.len());
        let outcome = Outcome::Arrived { at: Duration::from_nanos(at) };
        self.effects.tell(|| flight.passing(reached, outcome));
        if let Some(inbox) = inbox {
            inbox.arrived.push_back((flight.seen_as, flight.bytes));
            self.effects.wake(inbox.reader.take());
        }
    }

    /// Stops what has not left one way of a machine's access link, as when the link goes away.
    pub(super) fn cut_link(&mut self, id: MachineId, way: Way) {
        let now = self.now();
        let struck_out = self.agenda.strike_out(|event| match (event, way) {
            (Event::Door(flight), Way::Up) => flight.sender == id && flight.leaves > now,
            (Event::Arrival(flight, receiver, _), Way::Down) => *receiver == id && flight.leaves > now,
            (Event::StreamDoor(piece), Way::Up) => piece.sender == id && piece.leaves > now,
            (Event::StreamArrival(piece), Way::Down) => piece.receiver == id && piece.leaves > now,
            _ => false,
        });
        if let Some(machine) = self.machine_mut(id) {
            machine.access(way).link.cut(Duration::from_nanos(now));
        }
        self.go_away(id);
        for event in struck_out {
            match event {
                Event::Door(flight) => {
                    let reached = flight.to;
                    self.recall(id, way, &flight, reached);
                }
                Event::Arrival(flight, _, reached) => self.recall(id, way, &flight, reached),
                Event::StreamDoor(piece) => self.hold(piece, Way::Up),
                Event::StreamArrival(piece) => self.hold(piece, Way::Down),
                // Not of a link, so never struck out.
                Event::StreamOverdue { .. } => {}
            }
        }
    }

    /// A datagram that was taken by an access link is lost in it after all.
    fn recall(&mut self, id: MachineId, way: Way, flight: &Flight, reached: SocketAddr) {
        if let Some(machine) = self.machine_mut(id) {
            let access = machine.access(way);
            access.link.recall(ip_bytes(flight.to, flight.bytes.len()));
            access.traffic.lost.add(flight.bytes.len());
            if way == Way::Up {
                access.traffic.passed.take_back(flight.bytes.len());
            }
        }
        let lost_to = LostTo::Access(way, DropCause::Outage);
        match way {
            Way::Up => self.tell_lost(flight, reached, lost_to),
            Way::Down => self.lose_beyond(flight, reached, lost_to),
        }
    }

    /// Returns whether a machine runs.
    pub(super) fn runs(&self, id: MachineId) -> bool {
        self.machines.get(id.0).is_some_and(|machine| machine.runs)
    }

    /// Takes the power from a machine; returns its tasks, which are still to be aborted.
    pub(super) fn crash(&mut self, id: MachineId) -> Option<Arc<Tasks>> {
        self.cut_link(id, Way::Up);
        self.cut_link(id, Way::Down);
        self.cut_streams(id);
        self.forget_arrived(id);
        self.forget_mappings(id);
        let gone: Vec<_> =
            self.listeners.iter().filter(|(_, backlog)| backlog.machine == id).map(|(at, _)| *at).collect();
        for backlog in gone.iter().filter_map(|at| self.listeners.remove(at)).collect::<Vec<_>>() {
            self.effects.spend(backlog.acceptor);
            backlog.waiting.into_iter().for_each(|stream| self.let_go(stream, Side::Accepted));
        }
        let machine = self.machine_mut(id)?;
        machine.crashes += 1;
        machine.runs = false;
        let (tasks, sockets) = (Arc::clone(&machine.tasks), std::mem::take(&mut machine.sockets));
        sockets.into_values().for_each(|inbox| self.effects.spend(inbox.reader));
        Some(tasks)
    }

    /// Ends a socket: nothing reaches it any more.
    pub(super) fn close_socket(&mut self, id: MachineId, local: SocketAddr, socket: u64) {
        let Some(machine) = self.machine_mut(id) else { return };
        if machine.sockets.get(&local).is_some_and(|inbox| inbox.id == socket) {
            let reader = machine.sockets.remove(&local).and_then(|inbox| inbox.reader);
            self.effects.spend(reader);
            self.forget_mapping(id, local);
        }
    }
}

impl Drop for World {
    fn drop(&mut self) {
        if let Some(carrier) = &self.carrier.task {
            carrier.abort();
        }
    }
}

impl fmt::Debug for World {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("World(..)")
    }
}

/// Returns what a datagram of so many bytes is on a link.
fn ip_bytes(to: SocketAddr, bytes: usize) -> usize {
    bytes.saturating_add(if to.is_ipv4() { UDP_HEADERS_V4 } else { UDP_HEADERS_V6 })
}
