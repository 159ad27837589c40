//! How the attacker speaks with the relay: as any device does, or frame by frame.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::timeout;
use zajil_net::{Connection, DialOptions, Network, PinnedKeys};
use zajil_proto::random;
use zajil_proto::session::client::{ClientSession, ClientSettings};
use zajil_proto::wire::{Frame, Welcome};

use super::AttackScene;
use crate::device::Device;
use crate::sessions::Raw;

/// Longest wait for one answer: as long as a connection may be silent, and a little.
const PATIENCE: Duration = Duration::from_secs(150);

/// A session in which every frame is said by hand.
#[derive(Debug)]
pub(super) struct Peer {
    device: Device<Vec<u8>, Frame>,
    /// What this session's proofs are bound to.
    pub(super) exporter: [u8; 32],
    /// The relay's first words.
    pub(super) welcome: Welcome,
}

impl AttackScene {
    /// Opens a session over `network`, as a device has it. `None`: the relay cannot be reached.
    pub(super) async fn device_on(&mut self, network: &Arc<dyn Network>) -> Option<Device> {
        let connection = self.dialling_on(network).await?;
        let session =
            ClientSession::new(ClientSettings::default(), *connection.exporter().expect("the handshake is over"));
        Some(Device::over(connection, session, Arc::clone(&self.clock)))
    }

    /// Opens a session that is spoken by hand, greetings exchanged.
    pub(super) async fn peer(&mut self) -> Option<Peer> {
        let connection = self.dialling().await?;
        let exporter = *connection.exporter().expect("the handshake is over");
        let mut device = Device::over(connection, Raw::default(), Arc::clone(&self.clock));
        device.say(Frame::Hello { lowest: 1, highest: 1, features: 0 }.encode()).await;
        match timeout(PATIENCE, device.next()).await {
            Ok(Some(Frame::Welcome(welcome))) => Some(Peer { device, exporter, welcome }),
            _ => None,
        }
    }

    /// Returns what dials the relay.
    pub(super) fn dialling(&mut self) -> impl Future<Output = Option<Connection>> + Send + use<> {
        let network = Arc::clone(&self.network);
        self.dialling_on(&network)
    }

    /// Returns how to dial: with the attacker's chance, and what they remember of the relay.
    pub(super) fn options(&mut self) -> DialOptions {
        let (rng_seed, memory) = (Some(random::bytes(&mut self.chance)), self.memory.clone());
        DialOptions { rng_seed, memory, ..DialOptions::default() }
    }

    fn dialling_on(&mut self, network: &Arc<dyn Network>) -> impl Future<Output = Option<Connection>> + Send + use<> {
        let options = self.options();
        let (network, relay) = (Arc::clone(network), self.relay.clone());
        async move { zajil_net::dial(&*network, &relay.address, PinnedKeys::one(relay.key), &options).await.ok() }
    }
}

impl Peer {
    /// Says a frame.
    pub(super) async fn say(&self, frame: &Frame) {
        self.device.say(frame.encode()).await;
    }

    /// Says any bytes.
    pub(super) async fn say_bytes(&self, bytes: Vec<u8>) {
        self.device.say(bytes).await;
    }

    /// Returns what the relay says next, `None` once the session is over or nothing comes any more.
    pub(super) async fn hear(&mut self) -> Option<Frame> {
        timeout(PATIENCE, self.device.next()).await.ok().flatten()
    }
}
