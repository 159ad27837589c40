//! A network without an operating system, for the simulated world: tests only.
//!
//! Everything happens in the runtime that polls it, in tokio's time, with no thread: it works in one paused
//! current-thread runtime, where time jumps ahead whenever nobody has anything to do. One task for the whole world
//! carries what is on its way; it ends with the world.
//!
//! A datagram passes the sender's way up, the backbone, and the receiver's way down. The two ways are
//! [links](crate::links); the backbone only takes its time. The same seed and the same doings give the same fates.

mod agenda;
mod carrier;
mod clock;
mod datagram;
mod effects;
mod handles;
mod machine;
mod nat;
mod network;
mod passing;
mod runtime;
mod stream;
mod world;

use core::fmt;
use core::time::Duration;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

pub use clock::SimulatedClock;
pub use network::MemoryNetwork;
pub use passing::{CarriedBy, Count, LostTo, Outcome, Passing, Traffic, Way, WayTraffic};

use crate::links::LinkSettings;
use crate::memory::world::World;

/// What a simulated link of one machine does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum LinkState {
    /// Carries.
    #[default]
    Up,
    /// Swallows datagrams and holds streams back, without a word: an outage somewhere on the way.
    Silent,
    /// The machine itself knows that it has no network.
    Down,
}

/// One datagram, as the loss predicate sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Packet {
    /// Sender.
    pub from: SocketAddr,
    /// Receiver.
    pub to: SocketAddr,
    /// Length of the payload, bytes.
    pub bytes: usize,
    /// How many datagrams went from this machine to that address before it.
    pub number: u64,
}

/// Which machine of a world.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct MachineId(usize);

/// The simulated network that joins all machines. Clones are handles to the same one.
#[derive(Clone)]
pub struct MemoryWorld {
    state: Arc<Mutex<World>>,
}

impl MemoryWorld {
    /// Makes a network in which everything takes `delay` to arrive, and nothing is lost. Make it within the runtime: its
    /// time begins now.
    pub fn new(delay: Duration) -> Self {
        Self::seeded(delay, 0)
    }

    /// The same with a seed, from which all chance of all links comes.
    pub fn seeded(delay: Duration, seed: u64) -> Self {
        Self { state: Arc::new(Mutex::new(World::new(delay, seed))) }
    }

    /// Starts a machine with these addresses, its link up, and returns the network as it sees it. One that has one of the
    /// addresses already is the same machine, and keeps what it is joined to the others by.
    pub fn machine(&self, addresses: &[IpAddr]) -> Arc<MemoryNetwork> {
        let (machine, crashes) = self.with(|world| {
            let id = world.start_machine(addresses);
            world.go_on();
            (id, world.machine_mut(id).map_or(0, |machine| machine.crashes))
        });
        Arc::new(MemoryNetwork { world: self.clone(), machine, crashes, addresses: addresses.to_vec() })
    }

    /// Gives a name its addresses.
    pub fn name(&self, name: &str, addresses: &[IpAddr]) {
        self.lock().names.insert(name.to_owned(), addresses.to_vec());
    }

    /// Changes how long the backbone takes for everything sent from now on.
    pub fn set_delay(&self, delay: Duration) {
        self.lock().delay = delay;
    }

    /// Loses every datagram for which `loss` says so, after the sender's way up. Streams lose nothing.
    pub fn set_loss(&self, loss: impl Fn(&Packet) -> bool + Send + Sync + 'static) {
        // The former one is dropped when the lock is free again.
        let _former = self.lock().loss.replace(Arc::new(loss));
    }

    /// Changes the link of the machine with this address, at this address. What waits in it when it goes is lost; what
    /// has left it arrives.
    pub fn set_link(&self, address: IpAddr, state: LinkState) {
        self.change(address, |world, id| {
            let listener = world.machine_mut(id).and_then(|machine| machine.set_link_state(address, state));
            world.effects.wake(listener);
            if state == LinkState::Up {
                world.go_on();
            } else {
                world.cut_link(id, Way::Up);
                world.cut_link(id, Way::Down);
            }
        });
    }

    /// Lets one way of a machine's access link carry, or swallow everything without a word.
    pub fn set_direction(&self, address: IpAddr, way: Way, passes: bool) {
        self.change(address, |world, id| {
            if let Some(machine) = world.machine_mut(id) {
                machine.access(way).passes = passes;
            }
            if passes { world.go_on() } else { world.cut_link(id, way) }
        });
    }

    /// Changes what a machine's access link does, from now on. At first it does nothing to anything.
    pub fn set_access(&self, address: IpAddr, up: LinkSettings, down: LinkSettings) {
        self.change(address, |world, id| {
            if let Some(machine) = world.machine_mut(id) {
                machine.up.link.set_settings(up);
                machine.down.link.set_settings(down);
            }
            world.go_on();
        });
    }

    /// Puts a machine behind an address translator: others of that family see it at `outside`, at a port for each of its
    /// sockets, and reach it only there. Mappings last until the socket closes or [`rebind_nat`](Self::rebind_nat);
    /// several machines may share an outside address.
    pub fn set_nat(&self, address: IpAddr, outside: IpAddr) {
        self.change(address, |world, id| world.set_nat(id, outside));
    }

    /// Makes a machine's address translator forget everything. The next datagram out gets a new port, what comes to an
    /// old one is lost, and byte streams carry nothing more, of which neither end is told.
    pub fn rebind_nat(&self, address: IpAddr) {
        self.change(address, World::forget_mappings);
    }

    /// Takes the power from a machine. From now on nothing that it holds sends or receives; what waited in its link is
    /// lost; its listeners are gone; its streams carry nothing in either direction, then or later. Nobody is told. The
    /// tasks that its QUIC endpoints spawned are aborted. [`machine`](Self::machine) starts it again, and may bind the
    /// same ports at once.
    pub fn crash(&self, address: IpAddr) {
        let mut tasks = None;
        self.change(address, |world, id| tasks = world.crash(id));
        if let Some(tasks) = tasks {
            tasks.crash();
        }
    }

    /// Returns how many tasks live on a machine that its QUIC endpoints spawned.
    pub fn tasks(&self, address: IpAddr) -> usize {
        let tasks = self.lock().machine(address).map(|machine| Arc::clone(&machine.tasks));
        tasks.map_or(0, |tasks| tasks.count())
    }

    /// Returns how many UDP sockets a machine has open.
    pub fn sockets(&self, address: IpAddr) -> usize {
        self.lock().machine(address).map_or(0, |machine| machine.sockets.len())
    }

    /// Shows `observer` everything that is sent, once it is known what became of it, in the order of that. It is called
    /// while nothing is locked, and must be quick.
    pub fn observe(&self, observer: impl Fn(&Passing) + Send + Sync + 'static) {
        let _former = self.lock().effects.observer.replace(Arc::new(observer));
    }

    /// Returns what a machine has sent and received until now.
    pub fn traffic(&self, address: IpAddr) -> Traffic {
        self.with(|world| {
            world.advance();
            world.machine(address).map_or_else(Traffic::default, machine::Machine::traffic)
        })
    }

    /// Returns the time since the world began, as the observer is told it.
    pub fn elapsed(&self) -> Duration {
        self.lock().start.elapsed()
    }

    /// Brings the world to the present and changes something about one machine. An address that nobody has changes
    /// nothing.
    fn change(&self, address: IpAddr, change: impl FnOnce(&mut World, MachineId)) {
        self.with(|world| {
            world.advance();
            if let Some(id) = world.addresses.get(&address).copied() {
                change(world, id);
            }
        });
    }

    fn instant(&self, at: u64) -> tokio::time::Instant {
        self.lock().start + Duration::from_nanos(at)
    }

    fn lock(&self) -> MutexGuard<'_, World> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Does something to the world, and then, the lock free again, what has to follow from it.
    fn with<R>(&self, act: impl FnOnce(&mut World) -> R) -> R {
        let (result, effects) = {
            let mut world = self.lock();
            let result = act(&mut world);
            (result, world.effects.take())
        };
        if let Some(mut effects) = effects {
            if effects.carrier_wanted {
                self.start_carrier();
            }
            effects.run();
            self.lock().effects.use_room_of(effects);
        }
        result
    }

    fn start_carrier(&self) {
        let runtime = tokio::runtime::Handle::try_current();
        let task = runtime.map(|runtime| runtime.spawn(carrier::carry(Arc::downgrade(&self.state))).abort_handle());
        let mut world = self.lock();
        match task {
            Ok(task) => world.carrier.task = Some(task),
            // Nobody polls anything now; whoever sends next tries again.
            Err(_) => world.carrier.looks_at = None,
        }
    }
}

impl fmt::Debug for MemoryWorld {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MemoryWorld(..)")
    }
}
