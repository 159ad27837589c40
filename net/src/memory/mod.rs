//! A network without an operating system, for the simulated world: tests only.
//!
//! Everything happens in the runtime that polls it, in tokio's time, with no thread and no task of its own: it works in
//! one paused current-thread runtime, where time jumps ahead whenever nobody has anything to do.

mod datagram;
mod stream;

use core::fmt;
use core::time::Duration;
use std::collections::BTreeMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use quinn::AsyncUdpSocket;
use zajil_proto::time::{Instant, Minute};

use crate::memory::datagram::{Inbox, MemoryUdpSocket};
use crate::memory::stream::{Backlog, MemoryListener, Pipe};
use crate::seams::{ByteListener, ByteStream, Clock, Network, Pending};
use crate::system::alternate;

/// First port given to who asks for any (RFC 6335 §6).
const PORT_FIRST: u16 = 49_152;

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
    /// How many datagrams went from this machine to that one before it.
    pub number: u64,
}

type Loss = Arc<dyn Fn(&Packet) -> bool + Send + Sync>;

/// The simulated network that joins all machines. Clones are handles to the same one.
#[derive(Clone)]
pub struct MemoryWorld {
    state: Arc<Mutex<World>>,
}

struct World {
    delay: Duration,
    loss: Loss,
    links: BTreeMap<IpAddr, LinkState>,
    names: BTreeMap<String, Vec<IpAddr>>,
    sockets: BTreeMap<SocketAddr, Weak<Inbox>>,
    listeners: BTreeMap<SocketAddr, Weak<Backlog>>,
    pipes: Vec<Weak<Pipe>>,
    sent: BTreeMap<(IpAddr, IpAddr), u64>,
    port_next: u16,
}

impl MemoryWorld {
    /// Makes a network in which everything takes `delay` to arrive, and nothing is lost.
    pub fn new(delay: Duration) -> Self {
        let state = World {
            delay,
            loss: Arc::new(|_| false),
            links: BTreeMap::new(),
            names: BTreeMap::new(),
            sockets: BTreeMap::new(),
            listeners: BTreeMap::new(),
            pipes: Vec::new(),
            sent: BTreeMap::new(),
            port_next: PORT_FIRST,
        };
        Self { state: Arc::new(Mutex::new(state)) }
    }

    /// Adds a machine with these addresses, its link up, and returns the network as it sees it.
    pub fn machine(&self, addresses: &[IpAddr]) -> Arc<MemoryNetwork> {
        for address in addresses {
            self.lock().links.insert(*address, LinkState::Up);
        }
        Arc::new(MemoryNetwork { world: self.clone(), addresses: addresses.to_vec() })
    }

    /// Gives a name its addresses.
    pub fn name(&self, name: &str, addresses: &[IpAddr]) {
        self.lock().names.insert(name.to_owned(), addresses.to_vec());
    }

    /// Changes how long everything sent from now on takes.
    pub fn set_delay(&self, delay: Duration) {
        self.lock().delay = delay;
    }

    /// Loses every datagram for which `loss` says so. Streams lose nothing.
    pub fn set_loss(&self, loss: impl Fn(&Packet) -> bool + Send + Sync + 'static) {
        self.lock().loss = Arc::new(loss);
    }

    /// Changes the link of the machine with this address.
    pub fn set_link(&self, address: IpAddr, state: LinkState) {
        let pipes = {
            let mut world = self.lock();
            world.links.insert(address, state);
            world.pipes.retain(|pipe| pipe.strong_count() > 0);
            world.pipes.clone()
        };
        // Whoever waits at a silent link looks again.
        pipes.iter().filter_map(Weak::upgrade).for_each(|pipe| pipe.wake());
    }

    fn lock(&self) -> MutexGuard<'_, World> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns whether anything passes between two machines now.
    fn carries(&self, from: IpAddr, to: IpAddr) -> bool {
        let world = self.lock();
        world.is_up(from) && world.is_up(to)
    }

    /// Sends a datagram: into the receiver's inbox, or nowhere.
    fn send(&self, from: SocketAddr, to: SocketAddr, bytes: &[u8]) {
        let mut world = self.lock();
        let number = world.sent.entry((from.ip(), to.ip())).or_default();
        let packet = Packet { from, to, bytes: bytes.len(), number: *number };
        *number += 1;
        let (loss, delay) = (Arc::clone(&world.loss), world.delay);
        let carries = world.is_up(from.ip()) && world.is_up(to.ip());
        let inbox = world.sockets.get(&to).and_then(Weak::upgrade);
        drop(world);
        if let Some(inbox) = inbox.filter(|_| carries && !loss(&packet)) {
            inbox.deliver(tokio::time::Instant::now() + delay, from, bytes);
        }
    }
}

impl fmt::Debug for MemoryWorld {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MemoryWorld(..)")
    }
}

impl World {
    fn is_up(&self, address: IpAddr) -> bool {
        self.links.get(&address) == Some(&LinkState::Up)
    }

    /// Returns a port that nobody has had yet.
    fn port(&mut self) -> io::Result<u16> {
        let port = self.port_next;
        self.port_next = port.checked_add(1).ok_or(io::ErrorKind::AddrInUse)?;
        Ok(port)
    }
}

/// The simulated network as one machine sees it.
#[derive(Debug, Clone)]
pub struct MemoryNetwork {
    world: MemoryWorld,
    addresses: Vec<IpAddr>,
}

impl MemoryNetwork {
    /// Returns the machine's own address of the family of `wanted`, or `wanted` itself where it is one.
    fn own(&self, wanted: IpAddr) -> io::Result<IpAddr> {
        let mut own = self.addresses.iter().copied();
        let fits = |own: &IpAddr| *own == wanted || (wanted.is_unspecified() && own.is_ipv4() == wanted.is_ipv4());
        own.find(fits).ok_or_else(|| io::ErrorKind::AddrNotAvailable.into())
    }

    /// Returns the address to bind, with a port of its own where any will do.
    fn own_socket(&self, local: SocketAddr) -> io::Result<SocketAddr> {
        let address = self.own(local.ip())?;
        let port = if local.port() == 0 { self.world.lock().port()? } else { local.port() };
        Ok(SocketAddr::new(address, port))
    }
}

impl Network for MemoryNetwork {
    fn runtime(&self) -> Arc<dyn quinn::Runtime> {
        Arc::new(quinn::TokioRuntime)
    }

    fn bind_udp(&self, local: SocketAddr) -> io::Result<Arc<dyn AsyncUdpSocket>> {
        let local = self.own_socket(local)?;
        let inbox = Arc::new(Inbox::default());
        let mut world = self.world.lock();
        if world.sockets.get(&local).is_some_and(|socket| socket.strong_count() > 0) {
            return Err(io::ErrorKind::AddrInUse.into());
        }
        world.sockets.insert(local, Arc::downgrade(&inbox));
        drop(world);
        Ok(Arc::new(MemoryUdpSocket::new(self.world.clone(), local, inbox)))
    }

    fn connect(&self, remote: SocketAddr) -> Pending<'_, io::Result<Box<dyn ByteStream>>> {
        Box::pin(async move {
            self.route(remote)?;
            let unspecified = crate::system::unspecified(remote);
            let local = self.own_socket(unspecified)?;
            let delay = self.world.lock().delay;
            tokio::time::sleep(delay).await;
            while !self.world.carries(local.ip(), remote.ip()) {
                // The first packet is lost and sent again, as TCP does.
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
            let backlog = self.world.lock().listeners.get(&remote).and_then(Weak::upgrade);
            let backlog = backlog.ok_or(io::ErrorKind::ConnectionRefused)?;
            let (ours, theirs) = stream::pair(&self.world, local.ip(), remote.ip());
            backlog.add(theirs)?;
            tokio::time::sleep(delay).await;
            Ok(Box::new(ours) as Box<dyn ByteStream>)
        })
    }

    fn listen(&self, local: SocketAddr) -> io::Result<Box<dyn ByteListener>> {
        let local = self.own_socket(local)?;
        let (listener, backlog) = MemoryListener::new(local);
        let mut world = self.world.lock();
        if world.listeners.get(&local).is_some_and(|listener| listener.strong_count() > 0) {
            return Err(io::ErrorKind::AddrInUse.into());
        }
        world.listeners.insert(local, Arc::downgrade(&backlog));
        Ok(Box::new(listener))
    }

    fn route(&self, remote: SocketAddr) -> io::Result<()> {
        let own = self.own(crate::system::unspecified(remote).ip()).map_err(|_| io::ErrorKind::NetworkUnreachable)?;
        match self.world.lock().links.get(&own) {
            Some(LinkState::Up | LinkState::Silent) => Ok(()),
            Some(LinkState::Down) | None => Err(io::ErrorKind::NetworkUnreachable.into()),
        }
    }

    fn look_up<'a>(&'a self, address: &'a str) -> Pending<'a, io::Result<Vec<SocketAddr>>> {
        Box::pin(async move {
            if let Ok(literal) = address.parse() {
                return Ok(vec![literal]);
            }
            let (name, port) = address.rsplit_once(':').ok_or(io::ErrorKind::InvalidInput)?;
            let port: u16 = port.parse().map_err(|_| io::ErrorKind::InvalidInput)?;
            let found = self.world.lock().names.get(name).cloned().ok_or(io::ErrorKind::NotFound)?;
            Ok(alternate(found.into_iter().map(|ip| SocketAddr::new(ip, port)).collect()))
        })
    }
}

/// A clock that follows tokio's, with a wall clock that a test sets and shifts.
#[derive(Debug)]
pub struct SimulatedClock {
    start: tokio::time::Instant,
    wall_start: Minute,
    shift_minutes: AtomicI64,
}

impl SimulatedClock {
    /// Starts now, at this wall-clock minute.
    pub fn new(wall: Minute) -> Self {
        Self { start: tokio::time::Instant::now(), wall_start: wall, shift_minutes: AtomicI64::new(0) }
    }

    /// Moves the wall clock on or back; the monotonic one does not notice.
    pub fn shift_wall(&self, minutes: i64) {
        self.shift_minutes.fetch_add(minutes, Ordering::Relaxed);
    }
}

impl Clock for SimulatedClock {
    fn now(&self) -> Instant {
        Instant::default().after(self.start.elapsed())
    }

    fn wall(&self) -> Minute {
        let passed = i64::try_from(self.start.elapsed().as_secs() / 60).unwrap_or(i64::MAX);
        let shifted = i64::from(self.wall_start.0)
            .saturating_add(passed)
            .saturating_add(self.shift_minutes.load(Ordering::Relaxed));
        Minute(u32::try_from(shifted.max(0)).unwrap_or(u32::MAX))
    }
}
