//! What the tests of the transport share: a toy machine, and a relay and a device that drive it.
#![allow(
    dead_code,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "every test file uses a part of it, and clippy takes only `#[test]` functions for tests"
)]

mod toy;

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::timeout;
use zajil_net::memory::{MemoryNetwork, MemoryWorld};
use zajil_net::{
    Clock, Connection, DialError, DialOptions, DriveEnd, EndpointSecrets, ListenOptions, Listener, Network, PinnedKeys,
    RelayIdentity, RelayMemory, SystemClock, Transports, dial, drive,
};
use zajil_proto::keys::{Secret, SigningKey};

pub(crate) use toy::{Toy, ToyCommand, ToyEvent};

/// Where the simulated relay lives, and the device.
pub(crate) const RELAY: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 0, 0, 1));
pub(crate) const DEVICE: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 0, 0, 2));
/// One way between them.
pub(crate) const DELAY: Duration = Duration::from_millis(50);

/// What hangs longer fails. In a paused runtime that is at once.
const PATIENCE: Duration = Duration::from_secs(500);

/// The identity of a relay with this number.
pub(crate) fn identity(number: u8) -> RelayIdentity {
    RelayIdentity::new(&SigningKey::from_seed(&Secret([number; 32]))).unwrap()
}

pub(crate) fn secrets() -> EndpointSecrets {
    EndpointSecrets { reset_key: Secret([1; 32]), token_key: Secret([2; 32]) }
}

pub(crate) fn clock() -> Arc<dyn Clock> {
    Arc::new(SystemClock::new())
}

/// Relay number 1, listening at `address`.
pub(crate) fn listen(network: &dyn Network, address: SocketAddr, options: &ListenOptions) -> Listener {
    Listener::bind(network, &clock(), &identity(1), &secrets(), &[address], options).unwrap()
}

/// Any port of the real loopback.
pub(crate) fn loopback() -> SocketAddr {
    (Ipv4Addr::LOCALHOST, 0).into()
}

pub(crate) fn over(transports: Transports) -> DialOptions {
    DialOptions { transports, ..DialOptions::default() }
}

/// The same, remembering relay number 1 in `memory`.
pub(crate) fn remembering(memory: &Arc<RelayMemory>, transports: Transports) -> DialOptions {
    DialOptions { memory: Some(Arc::clone(memory)), ..over(transports) }
}

/// Remembers nothing of relay number 1 yet.
pub(crate) fn memory() -> Arc<RelayMemory> {
    Arc::new(RelayMemory::new(PinnedKeys::one(identity(1).public())).unwrap())
}

/// Dials relay number 1.
pub(crate) async fn dial_relay(
    network: &dyn Network,
    address: SocketAddr,
    transports: Transports,
) -> Result<Connection, DialError> {
    dial(network, &address.to_string(), PinnedKeys::one(identity(1).public()), &over(transports)).await
}

/// Both ends of one connection, and the listener it came by.
pub(crate) async fn connect(
    device: &dyn Network,
    relay: &dyn Network,
    address: SocketAddr,
    transports: Transports,
) -> (Connection, Connection, Listener) {
    let mut listener = listen(relay, address, &ListenOptions::default());
    let address = listener.addresses()[0];
    let (dialled, accepted) = tokio::join!(dial_relay(device, address, transports), listener.accept());
    (dialled.unwrap(), accepted.unwrap(), listener)
}

/// A simulated network with a relay and a device.
pub(crate) struct Simulated {
    pub(crate) world: MemoryWorld,
    pub(crate) relay: Arc<MemoryNetwork>,
    pub(crate) device: Arc<MemoryNetwork>,
    pub(crate) address: SocketAddr,
}

impl Simulated {
    pub(crate) fn new() -> Self {
        Self::over(MemoryWorld::new(DELAY))
    }

    /// One with other chances, and nothing on the way but access links.
    pub(crate) fn seeded(seed: u64) -> Self {
        Self::over(MemoryWorld::seeded(Duration::ZERO, seed))
    }

    fn over(world: MemoryWorld) -> Self {
        Self { relay: world.machine(&[RELAY]), device: world.machine(&[DEVICE]), world, address: (RELAY, 443).into() }
    }

    pub(crate) async fn connect(&self, transports: Transports) -> (Connection, Connection, Listener) {
        connect(&*self.device, &*self.relay, self.address, transports).await
    }
}

/// A driven toy machine, as its program sees it.
pub(crate) struct Driven {
    pub(crate) commands: mpsc::Sender<Box<ToyCommand>>,
    pub(crate) events: mpsc::Receiver<Box<ToyEvent>>,
    pub(crate) end: tokio::task::JoinHandle<DriveEnd>,
}

impl Driven {
    pub(crate) fn new(connection: Connection, toy: Toy) -> Self {
        // One event at a time: the program and the machine are never far apart.
        let (commands, command_receiver) = mpsc::channel(1);
        let (event_sender, events) = mpsc::channel(1);
        let end = tokio::spawn(drive(connection, toy, command_receiver, event_sender, clock()));
        Self { commands, events, end }
    }

    /// Tells the machine something.
    pub(crate) async fn say(&self, command: ToyCommand) -> Result<(), mpsc::error::SendError<Box<ToyCommand>>> {
        self.commands.send(Box::new(command)).await
    }

    /// Returns the next event, `None` at the end.
    pub(crate) async fn next(&mut self) -> Option<ToyEvent> {
        self.events.recv().await.map(|event| *event)
    }

    /// Takes events until the end, and returns them with it.
    pub(crate) async fn rest(mut self) -> (Vec<ToyEvent>, DriveEnd) {
        let all = async {
            let mut events = Vec::new();
            while let Some(event) = self.next().await {
                events.push(event);
            }
            (events, self.end.await.unwrap())
        };
        timeout(PATIENCE, all).await.expect("the session ends")
    }

    /// Takes events until this one.
    pub(crate) async fn until(&mut self, wanted: &ToyEvent) {
        let found = async { while self.next().await.expect("the session goes on") != *wanted {} };
        timeout(PATIENCE, found).await.unwrap_or_else(|_| panic!("{wanted:?} never comes"));
    }
}
