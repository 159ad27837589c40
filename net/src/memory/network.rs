use core::future::{pending, poll_fn};
use core::task::Poll;
use core::time::Duration;
use std::collections::VecDeque;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use quinn::{AsyncUdpSocket, Runtime};
use tokio::time::{sleep, sleep_until};

use crate::links::nanos;
use crate::memory::datagram::MemoryUdpSocket;
use crate::memory::effects::keep_waker;
use crate::memory::handles::{MemoryListener, MemoryStream};
use crate::memory::machine::{Backlog, Inbox, Machine};
use crate::memory::passing::Way;
use crate::memory::runtime::MemoryRuntime;
use crate::memory::stream::{Side, Stream, TCP_HEADERS_V4, TCP_HEADERS_V6};
use crate::memory::world::World;
use crate::memory::{LinkState, MachineId, MemoryWorld};
use crate::networks::Place;
use crate::seams::{ByteListener, ByteStream, Changes, Network, Pending};
use crate::system::{alternate, unspecified};

/// Streams waiting to be accepted; more are refused.
const BACKLOG_MAX: usize = 128;
/// When a lost first packet of a byte stream is sent again (RFC 6298 §2), without its backing off.
const CONNECT_AGAIN: Duration = Duration::from_secs(1);

/// The simulated network as one machine sees it. Of no use any more once the machine has crashed.
#[derive(Debug, Clone)]
pub struct MemoryNetwork {
    pub(super) world: MemoryWorld,
    pub(super) machine: MachineId,
    /// How often the machine had crashed when this was made.
    pub(super) crashes: u64,
    pub(super) addresses: Vec<IpAddr>,
}

impl MemoryNetwork {
    /// Returns the machine's own address of the family of `wanted`, or `wanted` itself where it is one.
    fn own(&self, wanted: IpAddr) -> io::Result<IpAddr> {
        let mut own = self.addresses.iter().copied();
        let fits = |own: &IpAddr| *own == wanted || (wanted.is_unspecified() && own.is_ipv4() == wanted.is_ipv4());
        own.find(fits).ok_or_else(|| io::ErrorKind::AddrNotAvailable.into())
    }

    /// Returns the machine, unless it is no longer the one that this was made for.
    fn machine<'w>(&self, world: &'w mut World) -> io::Result<&'w mut Machine> {
        let machine = world.machine_mut(self.machine).filter(|machine| machine.crashes == self.crashes);
        machine.ok_or_else(|| io::ErrorKind::NetworkDown.into())
    }

    /// Returns the address to bind, with a port of its own where any will do.
    fn own_socket(&self, world: &mut World, local: SocketAddr) -> io::Result<SocketAddr> {
        let address = self.own(local.ip())?;
        self.machine(world)?;
        let port = match local.port() {
            0 => {
                let machine = world.machines.get_mut(self.machine.0).ok_or(io::ErrorKind::NetworkDown)?;
                machine.port(address, &world.listeners)?
            }
            port => port,
        };
        Ok(SocketAddr::new(address, port))
    }

    /// Takes a packet of a stream that is being made from here to `remote` and another back; `None` if one was lost.
    async fn there_and_back(&self, local: SocketAddr, remote: SocketAddr) -> Option<()> {
        let bytes = if local.is_ipv4() { TCP_HEADERS_V4 } else { TCP_HEADERS_V6 };
        let at = self.world.with(|world| {
            let now = world.now();
            let (_, at) = world.carry_bytes(now, self.machine, local, bytes, Way::Up)?;
            Some(at.saturating_add(nanos(world.delay)))
        })?;
        let (id, reached) = self
            .reach(at, |world| {
                let (id, reached) = world.resolve(remote).filter(|(id, _)| world.runs(*id))?;
                let (_, at) = world.carry_bytes(at, id, reached, bytes, Way::Down)?;
                Some((at, (id, reached)))
            })
            .await?;
        let at = self.world.with(|world| {
            let now = world.now();
            let (_, at) = world.carry_bytes(now, id, reached, bytes, Way::Up)?;
            Some(at.saturating_add(nanos(world.delay)))
        })?;
        self.reach(at, |world| {
            let (_, at) = world.carry_bytes(at, self.machine, local, bytes, Way::Down)?;
            Some((at, ()))
        })
        .await
    }

    /// Waits until a packet comes to an access link, and then until it comes out of it.
    async fn reach<T>(&self, at: u64, pass: impl FnOnce(&mut World) -> Option<(u64, T)>) -> Option<T> {
        sleep_until(self.world.instant(at)).await;
        let (at, found) = self.world.with(pass)?;
        sleep_until(self.world.instant(at)).await;
        Some(found)
    }

    /// Makes a stream to whoever listens at `remote`.
    fn join(&self, world: &mut World, local: SocketAddr, remote: SocketAddr) -> io::Result<u64> {
        let (other, reached) = world.resolve(remote).ok_or(io::ErrorKind::ConnectionRefused)?;
        let id = world.id();
        let seen_as = world.seen_as(self.machine, local).ok_or(io::ErrorKind::ConnectionRefused)?;
        let backlog = world.listeners.get_mut(&reached).filter(|backlog| backlog.waiting.len() < BACKLOG_MAX);
        let backlog = backlog.ok_or(io::ErrorKind::ConnectionRefused)?;
        backlog.waiting.push_back(id);
        world.effects.wake(backlog.acceptor.take());
        self.machine(world)?.dialled.insert(local);
        world.streams.insert(id, Stream::new((self.machine, local, seen_as), (other, reached, remote)));
        Ok(id)
    }
}

/// What a machine in the simulated network knows of its link.
#[derive(Debug)]
struct MemoryChanges {
    network: MemoryNetwork,
    /// How many there were when it last told of one.
    seen: u64,
}

impl Changes for MemoryChanges {
    fn next(&mut self) -> Pending<'_, ()> {
        let (network, seen) = (&self.network, &mut self.seen);
        Box::pin(poll_fn(move |context| {
            network.world.with(|world| {
                let Ok(machine) = network.machine(world) else { return Poll::Pending };
                if machine.changes != *seen {
                    *seen = machine.changes;
                    return Poll::Ready(());
                }
                let spent = keep_waker(&mut machine.listener, context.waker());
                world.effects.spend(spent);
                Poll::Pending
            })
        }))
    }
}

impl Network for MemoryNetwork {
    fn runtime(&self) -> Arc<dyn Runtime> {
        let tasks = self.world.with(|world| world.machine_mut(self.machine).map(|machine| Arc::clone(&machine.tasks)));
        Arc::new(MemoryRuntime::new(tasks.unwrap_or_default(), self.crashes))
    }

    fn place(&self) -> Option<Place> {
        // As others see it: what is behind one address translator is in one network.
        let own = *self.addresses.first()?;
        let outside = self.world.with(|world| {
            let nat = world.machines.get(self.machine.0).and_then(|machine| machine.nat.as_ref());
            nat.filter(|nat| nat.outside.is_ipv4() == own.is_ipv4()).map(|nat| nat.outside)
        });
        let bits = match outside.unwrap_or(own).to_canonical() {
            IpAddr::V4(address) => u64::from(address.to_bits()),
            IpAddr::V6(address) => u64::try_from(address.to_bits() >> 64).unwrap_or(u64::MAX),
        };
        Some(Place(bits))
    }

    fn bind_udp(&self, local: SocketAddr) -> io::Result<Arc<dyn AsyncUdpSocket>> {
        let (local, id) = self.world.with(|world| {
            let local = self.own_socket(world, local)?;
            let id = world.id();
            let machine = self.machine(world)?;
            if machine.sockets.contains_key(&local) {
                return Err(io::Error::from(io::ErrorKind::AddrInUse));
            }
            machine.sockets_opened += 1;
            machine.sockets.insert(local, Inbox { id, arrived: VecDeque::new(), reader: None });
            Ok((local, id))
        })?;
        Ok(Arc::new(MemoryUdpSocket::new(self.world.clone(), self.machine, local, id)))
    }

    fn connect(&self, remote: SocketAddr) -> Pending<'_, io::Result<Box<dyn ByteStream>>> {
        Box::pin(async move {
            self.route(remote)?;
            let local = self.world.with(|world| self.own_socket(world, unspecified(remote)))?;
            // What is lost on the way is sent again, as TCP does.
            while self.there_and_back(local, remote).await.is_none() {
                sleep(CONNECT_AGAIN).await;
            }
            let joined = self.world.with(|world| {
                if self.machine(world).is_err() {
                    return None;
                }
                Some(self.join(world, local, remote))
            });
            let Some(joined) = joined else { return pending().await };
            Ok(Box::new(MemoryStream::new(self.world.clone(), joined?, Side::Dialled)) as Box<dyn ByteStream>)
        })
    }

    fn listen(&self, local: SocketAddr) -> io::Result<Box<dyn ByteListener>> {
        let (local, id) = self.world.with(|world| {
            let local = self.own_socket(world, local)?;
            if world.listeners.contains_key(&local) {
                return Err(io::Error::from(io::ErrorKind::AddrInUse));
            }
            let id = world.id();
            let backlog = Backlog { id, machine: self.machine, waiting: VecDeque::new(), acceptor: None };
            world.listeners.insert(local, backlog);
            Ok((local, id))
        })?;
        Ok(Box::new(MemoryListener::new(self.world.clone(), local, id)))
    }

    fn route(&self, remote: SocketAddr) -> io::Result<()> {
        let own = self.own(unspecified(remote).ip()).map_err(|_| io::ErrorKind::NetworkUnreachable)?;
        let state = self.world.with(|world| self.machine(world).map(|machine| machine.link_state(own)))?;
        match state {
            Some(LinkState::Up | LinkState::Silent) => Ok(()),
            Some(LinkState::Down) | None => Err(io::ErrorKind::NetworkUnreachable.into()),
        }
    }

    fn changes(&self) -> Option<Box<dyn Changes>> {
        let seen = self.world.with(|world| self.machine(world).map(|machine| machine.changes)).ok()?;
        Some(Box::new(MemoryChanges { network: self.clone(), seen }))
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
