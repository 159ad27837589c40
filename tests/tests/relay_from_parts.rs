//! The relay from its parts, in one paused runtime: simulated network and clock, store in memory, no thread, no disk, no socket.
#![cfg(test)]

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use zajil_net::memory::{LinkState, MemoryWorld, SimulatedClock};
use zajil_net::{EndpointSecrets, RelayIdentity, Transports};
use zajil_proto::accounted;
use zajil_proto::durable::Durable;
use zajil_proto::keys::{SigningKey, VerifyingKey};
use zajil_proto::limits::PARCEL_BYTES_MAX;
use zajil_proto::session::client::{ClientCommand, ClientEvent};
use zajil_proto::session::relay::{Admission, RelaySettings};
use zajil_proto::simulation::account;
use zajil_proto::time::{Lifetime, Minute};
use zajil_proto::wire::{Code, Scope};
use zajil_relay::relay::{Observer, Parts, Relay, RelayError};
use zajil_relay::store::{Engine, MemoryStore, Store, StoreLimits};
use zajil_tests::chance::Chance;
use zajil_tests::device::Device;
use zajil_tests::parcels::Pair;
use zajil_tests::sim::memory::Accounts;

const RELAY: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 0, 0, 1));

/// A relay that runs, and the network around it.
struct Scene {
    network: MemoryWorld,
    key: VerifyingKey,
    observer: Observer,
    stop: Option<oneshot::Sender<()>>,
    running: JoinHandle<Result<(), RelayError>>,
    chance: Chance,
}

impl Scene {
    fn new(refuses_writes: bool) -> Self {
        let mut chance = Chance::new(5);
        let network = MemoryWorld::new(Duration::from_millis(300));
        let relay_key = SigningKey::draw(&mut chance);
        let store = MemoryStore::new(StoreLimits::default(), &mut chance).unwrap();
        store.refuse_writes(refuses_writes);
        let settings = RelaySettings {
            relay_key: relay_key.clone(),
            epoch: store.epoch(),
            admission: Admission::Open,
            clock_trust: 0,
            next_visit_minutes: 0,
            parcel_bytes_max: PARCEL_BYTES_MAX,
            lifetime_hours_max: Lifetime::LONGEST.hours(),
            links: Vec::new(),
        };
        let relay = Relay::start(Parts {
            clock: Arc::new(SimulatedClock::new(Minute(29_920_680))),
            network: network.machine(&[RELAY]),
            store: Engine::Memory(store),
            identity: RelayIdentity::new(&relay_key).unwrap(),
            secrets: EndpointSecrets::draw(&mut chance),
            listen: vec![SocketAddr::new(RELAY, 443)],
            settings,
            rng_seed: Some([3; 32]),
        });
        let relay = relay.unwrap();
        let (stop, stopped) = oneshot::channel::<()>();
        let observer = relay.observer();
        let running = tokio::spawn(accounted!(relay.run(async move { drop(stopped.await) })));
        Self { network, key: relay_key.public(), observer, stop: Some(stop), running, chance }
    }

    async fn device(&self, host: u8, transports: Transports) -> Device {
        let network = self.network.machine(&[Ipv4Addr::new(10, 0, 1, host).into()]);
        Device::connect(&*network, "10.0.0.1:443", self.key, transports).await.unwrap()
    }

    async fn stops(mut self) -> Result<(), RelayError> {
        drop(self.stop.take());
        self.running.await.unwrap()
    }
}

async fn is_closed(device: &mut Device) -> (Code, bool) {
    device
        .until(|event| match event {
            ClientEvent::Closed { code, by_relay } => Some((code, by_relay)),
            _ => None,
        })
        .await
}

#[tokio::test(start_paused = true)]
async fn a_note_reaches_a_reader_who_watches_while_it_is_sent() {
    let mut scene = Scene::new(false);
    let pair = Pair::draw(&mut scene.chance);
    let own = pair.parcel(&mut scene.chance, 40, Lifetime::DEFAULT);
    let mut reader = scene.device(1, Transports::TlsOnly).await;
    reader.say(pair.prove(Scope::Mailbox)).await;
    reader.say(pair.register(Scope::Mailbox)).await;
    reader.say(ClientCommand::Watch { mailbox: pair.mailbox(), live: true, held: Vec::new() }).await;
    reader.until(|event| matches!(event, ClientEvent::Drained { .. }).then_some(())).await;
    let mut sender = scene.device(2, Transports::QuicOnly).await;
    sender.say(own.offer(0)).await;
    let mut body = Vec::new();
    let id = reader
        .until(|event| match event {
            ClientEvent::Body(arrived) => {
                body.extend_from_slice(&arrived.bytes);
                arrived.closed.then_some(arrived.id)
            }
            _ => None,
        })
        .await;
    assert_eq!((id, &body), (own.id(), &own.parcel.body));
    sender.until(|event| matches!(event, ClientEvent::Stored { .. }).then_some(())).await;
    reader.say(ClientCommand::Release { mailbox: pair.mailbox(), ids: vec![Durable::after_sync(id)] }).await;
    reader.until(|event| matches!(event, ClientEvent::Released { .. }).then_some(())).await;
    assert_eq!(scene.observer.usage().await.unwrap().parcels, 0);
    scene.stops().await.unwrap();
    assert_eq!(is_closed(&mut reader).await, (Code::DRAINING, true));
    assert_eq!(is_closed(&mut sender).await, (Code::DRAINING, true));
}

#[tokio::test(start_paused = true)]
async fn what_arrived_before_the_link_died_is_kept() {
    for transports in [Transports::QuicOnly, Transports::TlsOnly] {
        let mut scene = Scene::new(false);
        let pair = Pair::draw(&mut scene.chance);
        let own = pair.parcel(&mut scene.chance, 200, Lifetime::DEFAULT);
        let mut device = scene.device(1, transports).await;
        device.say(pair.prove(Scope::Mailbox)).await;
        device.say(pair.register(Scope::Mailbox)).await;
        device.say(own.offer(0)).await;
        let durable = |event| if let ClientEvent::Progress { durable, .. } = event { Some(durable) } else { None };
        let seen = loop {
            let seen = device.until(durable).await;
            if seen > 0 {
                break seen;
            }
        };
        scene.network.set_link(Ipv4Addr::new(10, 0, 1, 1).into(), LinkState::Silent);
        drop(device);
        let mut device = scene.device(2, transports).await;
        device.say(own.offer(seen)).await;
        assert!(device.until(durable).await >= seen, "nothing that was called durable is lost");
        device.until(|event| matches!(event, ClientEvent::Stored { .. }).then_some(())).await;
        scene.stops().await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn a_store_that_fails_ends_the_relay_and_acknowledges_nothing() {
    let mut scene = Scene::new(true);
    let pair = Pair::draw(&mut scene.chance);
    let mut device = scene.device(1, Transports::QuicOnly).await;
    device.say(pair.prove(Scope::Mailbox)).await;
    device.say(pair.register(Scope::Mailbox)).await;
    let code = device
        .until(|event| match event {
            ClientEvent::Answered { code, .. } => panic!("answered: {code}"),
            ClientEvent::Closed { code, .. } => Some(code),
            _ => None,
        })
        .await;
    assert_eq!(code, Code::INTERNAL);
    let ended = scene.running.await.unwrap();
    assert!(matches!(ended, Err(RelayError::Store(_))), "{ended:?}");
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_never_reads_does_not_keep_a_relay_from_stopping() {
    let mut scene = Scene::new(false);
    let pair = Pair::draw(&mut scene.chance);
    let mut device = scene.device(1, Transports::TlsOnly).await;
    device.say(pair.prove(Scope::Mailbox)).await;
    device.say(pair.register(Scope::Mailbox)).await;
    device.until(|event| matches!(event, ClientEvent::Answered { .. }).then_some(())).await;
    scene.network.set_link(Ipv4Addr::new(10, 0, 1, 1).into(), LinkState::Silent);
    let stopping = tokio::time::Instant::now();
    scene.stops().await.unwrap();
    assert!(stopping.elapsed() <= Duration::from_secs(zajil_relay::limits::DRAIN_SECONDS_MAX + 2));
    drop(device);
}

/// On whose account the relay's memory is taken, where it is counted.
const RELAYS_ACCOUNT: u32 = 1;

/// Returns what each connection over these transports costs a relay while it waits.
async fn waiting_bytes(transports: Transports) -> u64 {
    const OTHERS: u8 = 40;
    let accounts = Accounts::open(2);
    let mut scene = account::on_account(RELAYS_ACCOUNT, || Scene::new(false));
    let mut devices = Vec::new();
    let mut before = 0;
    for host in 1..=OTHERS + 1 {
        let pair = Pair::draw(&mut scene.chance);
        let mut device = scene.device(host, transports).await;
        device.say(pair.prove(Scope::Mailbox)).await;
        device.say(pair.register(Scope::Mailbox)).await;
        device.say(ClientCommand::Watch { mailbox: pair.mailbox(), live: true, held: Vec::new() }).await;
        device.until(|event| matches!(event, ClientEvent::Drained { .. }).then_some(())).await;
        devices.push(device);
        tokio::time::sleep(Duration::from_secs(10)).await;
        if host == 1 {
            before = accounts.held(RELAYS_ACCOUNT).unwrap().now;
        }
    }
    let after = accounts.held(RELAYS_ACCOUNT).unwrap().now;
    scene.stops().await.unwrap();
    drop(devices);
    (after - before) / u64::from(OTHERS)
}

/// What an earlier world of this thread leaves to be freed must not count: a test for each.
///
/// Bytes that were asked for, a mailbox watched; an allocator takes some on top.
fn costs_little(transports: Transports, bytes: u64, max: u64) {
    println!("{transports:?}: {bytes} bytes of memory a connection");
    assert!((10_000..max).contains(&bytes), "{transports:?}: {bytes}");
}

#[tokio::test(start_paused = true)]
async fn a_quic_connection_that_waits_costs_a_relay_little_memory() {
    costs_little(Transports::QuicOnly, waiting_bytes(Transports::QuicOnly).await, 50_000);
}

#[tokio::test(start_paused = true)]
async fn a_tls_connection_that_waits_costs_a_relay_little_memory() {
    costs_little(Transports::TlsOnly, waiting_bytes(Transports::TlsOnly).await, 26_000);
}
