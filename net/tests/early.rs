//! What is said before a handshake is over: taken, refused, not answered, sent again by somebody else.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "clippy takes only `#[test]` functions for tests, and these have their own parts"
)]

mod support;

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::Duration;

use quinn::udp::{RecvMeta, Transmit};
use quinn::{AsyncUdpSocket, Runtime, UdpPoller};
use support::{
    DELAY, DEVICE, Driven, Simulated, Toy, ToyCommand, ToyEvent, clock, identity, listen, loopback, memory, over,
    remembering, secrets,
};
use tokio::time::{Instant, sleep, timeout};
use zajil_net::memory::{LinkState, Passing};
use zajil_net::seams::Pending;
use zajil_net::{
    ByteListener, ByteStream, Connection, ConnectionKind, DialOptions, KeyExchange, ListenOptions, Listener, Network,
    Pace, PinnedKeys, RelayMemory, SystemNetwork, Transports, dial, dial_early,
};
use zajil_proto::wire::Code;

/// Fits into what may leave before the handshake is over.
const LITTLE: usize = 2_000;

/// A device that has met a relay and hung up.
struct Met {
    network: Arc<dyn Network>,
    memory: Arc<RelayMemory>,
    listener: Listener,
    address: SocketAddr,
}

impl Met {
    async fn new(network: Arc<dyn Network>, relay: &dyn Network, address: SocketAddr) -> Self {
        let listener = listen(relay, address, &ListenOptions::default());
        let address = listener.addresses()[0];
        let mut met = Self { network, memory: memory(), listener, address };
        met.meet(&DialOptions::default()).await;
        met
    }

    /// Meets the relay as for the first time, and hangs up.
    async fn meet(&mut self, options: &DialOptions) {
        let options = DialOptions { memory: Some(Arc::clone(&self.memory)), ..options.clone() };
        let (address, keys) = (self.address.to_string(), PinnedKeys::one(identity(1).public()));
        let dialled = dial(&*self.network, &address, keys, &options);
        let (device, relay) = tokio::join!(dialled, self.listener.accept());
        carry(device.unwrap(), relay.unwrap()).await;
    }

    /// Starts the relay again, at the same address.
    async fn restarted(self, relay: &dyn Network) -> Self {
        self.listener.shut_down(Duration::ZERO).await;
        let (clock, options) = (clock(), ListenOptions::default());
        // A connection that drains holds its socket for some round trips.
        let listener = loop {
            match Listener::bind(relay, &clock, &identity(1), &secrets(), &[self.address], &options) {
                Ok(listener) => break listener,
                Err(_) => sleep(Duration::from_millis(20)).await,
            }
        };
        Self { listener, ..self }
    }

    /// Begins to speak at once.
    async fn early(&self) -> Option<Connection> {
        self.early_with(KeyExchange::default()).await
    }

    async fn early_with(&self, key_exchange: KeyExchange) -> Option<Connection> {
        let options = DialOptions { key_exchange, ..remembering(&self.memory, Transports::Race) };
        let keys = PinnedKeys::one(identity(1).public());
        dial_early(&self.network, &self.address.to_string(), keys, &options).await
    }
}

/// Carries a little from a device to a relay.
async fn carry(device: Connection, relay: Connection) {
    let relay = Driven::new(relay, Toy::relay());
    let device = Driven::new(device, Toy::device());
    device.say(ToyCommand::Send { transfer: 0, bytes: LITTLE }).await.unwrap();
    device.say(ToyCommand::Close(Code::OK)).await.unwrap();
    tokio::join!(device.rest(), relay.rest());
}

/// A device that says something at once.
async fn saying(device: Connection, bytes: usize) -> Driven {
    let device = Driven::new(device, Toy::device());
    device.say(ToyCommand::Send { transfer: 0, bytes }).await.unwrap();
    device
}

/// Takes what the device hears first, which is what became of its handshake, has it hang up, and returns what the relay has heard.
async fn end(mut device: Driven, relay: Connection) -> (ToyEvent, Vec<ToyEvent>) {
    let relay = Driven::new(relay, Toy::relay());
    let (first, relay) = tokio::join!(
        async {
            let first = device.next().await.unwrap();
            device.say(ToyCommand::Close(Code::OK)).await.unwrap();
            device.rest().await;
            first
        },
        relay.rest()
    );
    (first, relay.0)
}

/// How often the relay has heard it.
fn times(events: &[ToyEvent], bytes: usize) -> usize {
    events.iter().filter(|event| **event == ToyEvent::Whole { transfer: 0, bytes }).count()
}

fn place(events: &[ToyEvent], wanted: &ToyEvent) -> usize {
    events.iter().position(|event| event == wanted).unwrap_or_else(|| panic!("{wanted:?} is not in {events:?}"))
}

const WHOLE: ToyEvent = ToyEvent::Whole { transfer: 0, bytes: LITTLE };

#[tokio::test(start_paused = true)]
async fn a_relay_that_was_met_hears_what_is_said_before_the_handshake_is_over() {
    let simulated = Simulated::new();
    let mut met = Met::new(simulated.device.clone(), &*simulated.relay, simulated.address).await;
    let device = met.early().await.expect("it remembers");
    assert!(device.is_early() && device.exporter().is_none());
    let device = saying(device, LITTLE).await;
    let relay = met.listener.accept().await.unwrap();
    assert!(relay.is_early());
    let (first, relay) = end(device, relay).await;
    assert_eq!(first, ToyEvent::Confirmed);
    assert!(place(&relay, &WHOLE) < place(&relay, &ToyEvent::Confirmed), "{relay:?}");
}

#[tokio::test]
async fn it_is_so_over_real_sockets_and_both_ends_have_the_same_exporter() {
    let mut met = Met::new(Arc::new(SystemNetwork), &SystemNetwork, loopback()).await;
    for _ in 0..3 {
        let device = met.early().await.expect("it remembers");
        let device = saying(device, LITTLE).await;
        let (first, relay) = end(device, met.listener.accept().await.unwrap()).await;
        assert_eq!((first, times(&relay, LITTLE)), (ToyEvent::Confirmed, 1), "{relay:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_relay_that_has_started_again_is_told_everything_again_on_the_same_connection() {
    let simulated = Simulated::new();
    let met = Met::new(simulated.device.clone(), &*simulated.relay, simulated.address).await;
    let mut met = met.restarted(&*simulated.relay).await;
    let device = saying(met.early_with(KeyExchange::Classical).await.expect("it remembers"), LITTLE).await;
    let (first, relay) = end(device, met.listener.accept().await.unwrap()).await;
    assert_eq!((first, times(&relay, LITTLE)), (ToyEvent::Refused, 1), "{relay:?}");
    // Both ends have met again.
    assert!(met.early().await.is_some());
}

#[tokio::test]
async fn it_is_so_over_real_sockets() {
    let met = Met::new(Arc::new(SystemNetwork), &SystemNetwork, loopback()).await;
    let mut met = met.restarted(&SystemNetwork).await;
    let device = saying(met.early_with(KeyExchange::Classical).await.expect("it remembers"), 100_000).await;
    let (first, relay) = end(device, met.listener.accept().await.unwrap()).await;
    assert_eq!((first, times(&relay, 100_000)), (ToyEvent::Refused, 1), "{relay:?}");
}

#[tokio::test(start_paused = true)]
async fn who_wants_the_hybrid_exchange_dials_anew_where_the_session_that_rests_on_it_is_not_known_any_more() {
    let simulated = Simulated::new();
    let met = Met::new(simulated.device.clone(), &*simulated.relay, simulated.address).await;
    let mut met = met.restarted(&*simulated.relay).await;
    let said = first_flights(&simulated);
    let device = saying(met.early().await.expect("it remembers"), LITTLE).await;
    // The connection that was less than wanted ends before a session begins on it.
    let (first, relay) = end(device, met.listener.accept().await.unwrap()).await;
    assert_eq!((first, times(&relay, LITTLE)), (ToyEvent::Refused, 1), "{relay:?}");
    assert!(said.lock().unwrap().iter().skip(1).any(|flight| *flight > 1), "the hybrid share takes two datagrams");
}

#[tokio::test(start_paused = true)]
async fn a_session_that_rests_on_the_hybrid_exchange_is_taken_up_with_the_short_share() {
    for (met_with, datagrams) in [(KeyExchange::Hybrid, 1), (KeyExchange::Classical, 2)] {
        let simulated = Simulated::new();
        let mut met = Met::new(simulated.device.clone(), &*simulated.relay, simulated.address).await;
        // The newest is taken first.
        met.meet(&DialOptions { key_exchange: met_with, ..DialOptions::default() }).await;
        for again in 0..3 {
            sleep(Duration::from_secs(200)).await;
            let said = first_flights(&simulated);
            let device = Driven::new(met.early().await.expect("it remembers"), Toy::device());
            let (first, _) = end(device, met.listener.accept().await.unwrap()).await;
            assert_eq!(first, ToyEvent::Confirmed);
            // Once met so, what it is given rests on the hybrid exchange too.
            let datagrams = if again == 0 { datagrams } else { 1 };
            assert_eq!(said.lock().unwrap().first(), Some(&datagrams), "{met_with:?}, {again}");
        }
    }
}

/// Counts the full datagrams with which each socket of the device begins, until it is answered.
fn first_flights(simulated: &Simulated) -> Arc<Mutex<Vec<usize>>> {
    let flights = Arc::new(Mutex::new(Vec::new()));
    let counted = Arc::clone(&flights);
    let speaking = Mutex::new((None, false));
    simulated.world.observe(move |passing: &Passing| {
        let (mut flights, mut speaking) = (counted.lock().unwrap(), speaking.lock().unwrap());
        if passing.from.ip() != DEVICE {
            speaking.1 = true;
        } else if speaking.0 != Some(passing.from) {
            *speaking = (Some(passing.from), false);
            flights.push(1);
        } else if !speaking.1 && passing.bytes >= 1_200 {
            *flights.last_mut().unwrap() += 1;
        }
    });
    flights
}

#[tokio::test(start_paused = true)]
async fn a_relay_that_does_not_answer_is_dialled_from_the_beginning() {
    let simulated = Simulated::new();
    let mut met = Met::new(simulated.device.clone(), &*simulated.relay, simulated.address).await;
    simulated.world.set_link(DEVICE, LinkState::Silent);
    let device = saying(met.early().await.expect("it remembers"), LITTLE).await;
    sleep(Duration::from_secs(4)).await;
    simulated.world.set_link(DEVICE, LinkState::Up);
    let (first, relay) = end(device, met.listener.accept().await.unwrap()).await;
    assert_eq!((first, times(&relay, LITTLE)), (ToyEvent::Refused, 1), "{relay:?}");
}

#[tokio::test(start_paused = true)]
async fn where_udp_does_not_pass_any_more_tls_takes_over() {
    let simulated = Simulated::new();
    let mut met = Met::new(simulated.device.clone(), &*simulated.relay, simulated.address).await;
    simulated.world.set_loss(|_| true);
    let device = saying(met.early().await.expect("it remembers"), LITTLE).await;
    let relay = met.listener.accept().await.unwrap();
    assert_eq!(relay.kind(), ConnectionKind::Tls);
    let (first, relay) = end(device, relay).await;
    assert_eq!((first, times(&relay, LITTLE)), (ToyEvent::Refused, 1), "{relay:?}");
}

#[tokio::test(start_paused = true)]
async fn looking_for_a_relay_uses_up_nothing_that_is_good_once() {
    let simulated = Simulated::new();
    let mut met = Met::new(simulated.device.clone(), &*simulated.relay, simulated.address).await;
    let kept = met.memory.sessions();
    assert!(kept > 0);
    let hunting = DialOptions { pace: Pace::OneDatagram, ..remembering(&met.memory, Transports::QuicOnly) };
    let (address, keys) = (simulated.address.to_string(), PinnedKeys::one(identity(1).public()));
    assert!(dial_early(&met.network, &address, keys, &hunting).await.is_none());
    simulated.world.set_link(DEVICE, LinkState::Silent);
    for _ in 0..20 {
        assert!(dial(&*met.network, &address, keys, &hunting).await.is_err());
    }
    assert_eq!(met.memory.sessions(), kept);
    simulated.world.set_link(DEVICE, LinkState::Up);
    // What it is given when it finds its relay is kept.
    let before = met.memory.sessions();
    met.meet(&DialOptions { pace: Pace::OneDatagram, ..over(Transports::QuicOnly) }).await;
    assert!(met.memory.sessions() > before, "{before}");
}

#[tokio::test(start_paused = true)]
async fn nothing_is_said_at_once_to_a_relay_that_was_not_met_or_holds_another_key_or_was_met_a_day_ago() {
    let simulated = Simulated::new();
    let met = Met::new(simulated.device.clone(), &*simulated.relay, simulated.address).await;
    let (options, address) = (remembering(&met.memory, Transports::Race), simulated.address.to_string());
    let other = PinnedKeys::one(identity(2).public());
    assert!(dial_early(&met.network, &address, other, &options).await.is_none());
    let fresh = remembering(&memory(), Transports::Race);
    assert!(dial_early(&met.network, &address, identity(1).public().into(), &fresh).await.is_none());
    sleep(Duration::from_secs(24 * 60 * 60)).await;
    assert!(met.early().await.is_none());
}

#[tokio::test(start_paused = true)]
async fn a_first_flight_that_somebody_sends_again_gets_no_session() {
    let simulated = Simulated::new();
    let tap = Arc::new(Tap { inner: simulated.device.clone(), said: Arc::default(), on: Arc::default() });
    let mut met = Met::new(Arc::<Tap>::clone(&tap), &*simulated.relay, simulated.address).await;
    tap.on.store(true, Ordering::Relaxed);
    let device = saying(met.early().await.expect("it remembers"), LITTLE).await;
    let (first, _) = end(device, met.listener.accept().await.unwrap()).await;
    assert_eq!(first, ToyEvent::Confirmed);
    tap.on.store(false, Ordering::Relaxed);
    // The connection is forgotten by now.
    sleep(Duration::from_secs(600)).await;
    let said = std::mem::take(&mut *tap.said.lock().unwrap());
    assert!(said.len() > 2, "{}", said.len());
    let stranger = simulated.world.machine(&["10.0.0.66".parse().unwrap()]);
    let socket = stranger.bind_udp(([0, 0, 0, 0], 0).into()).unwrap();
    for contents in &said {
        let transmit = Transmit { destination: met.address, ecn: None, contents, segment_size: None, src_ip: None };
        socket.try_send(&transmit).unwrap();
    }
    let taken = timeout(Duration::from_secs(60), met.listener.accept()).await;
    assert!(taken.is_err(), "a session began with what somebody sent again");
}

#[tokio::test(start_paused = true)]
async fn who_shows_an_address_token_is_answered_at_length_before_the_handshake_is_over() {
    let simulated = Simulated::new();
    let mut met = Met::new(simulated.device.clone(), &*simulated.relay, simulated.address).await;
    let came = Arc::new(AtomicU64::new(0));
    let counted = Arc::clone(&came);
    simulated.world.observe(move |passing: &Passing| {
        if passing.to.ip() == DEVICE {
            counted.fetch_add(u64::try_from(passing.bytes).unwrap(), Ordering::Relaxed);
        }
    });
    let begun = Instant::now();
    let device = Driven::new(met.early().await.expect("it remembers"), Toy::device());
    let relay = Driven::new(met.listener.accept().await.unwrap(), Toy::relay());
    relay.say(ToyCommand::Send { transfer: 0, bytes: 30_000 }).await.unwrap();
    // What the device answers has not come to the relay by then.
    sleep((begun + DELAY * 3 - Duration::from_millis(10)).duration_since(Instant::now())).await;
    let came = came.load(Ordering::Relaxed);
    assert!(came > 3 * 3_000, "{came} bytes came in answer to less than 3 000");
    drop((device, relay));
}

/// A network that notes what is said over UDP.
#[derive(Debug)]
struct Tap {
    inner: Arc<dyn Network>,
    said: Arc<Mutex<Vec<Vec<u8>>>>,
    on: Arc<AtomicBool>,
}

#[derive(Debug)]
struct TappedSocket {
    inner: Arc<dyn AsyncUdpSocket>,
    said: Arc<Mutex<Vec<Vec<u8>>>>,
    on: Arc<AtomicBool>,
}

impl Network for Tap {
    fn runtime(&self) -> Arc<dyn Runtime> {
        self.inner.runtime()
    }

    fn bind_udp(&self, local: SocketAddr) -> io::Result<Arc<dyn AsyncUdpSocket>> {
        let (said, on) = (Arc::clone(&self.said), Arc::clone(&self.on));
        Ok(Arc::new(TappedSocket { inner: self.inner.bind_udp(local)?, said, on }))
    }

    fn connect(&self, remote: SocketAddr) -> Pending<'_, io::Result<Box<dyn ByteStream>>> {
        self.inner.connect(remote)
    }

    fn listen(&self, local: SocketAddr) -> io::Result<Box<dyn ByteListener>> {
        self.inner.listen(local)
    }

    fn route(&self, remote: SocketAddr) -> io::Result<()> {
        self.inner.route(remote)
    }

    fn look_up<'a>(&'a self, address: &'a str) -> Pending<'a, io::Result<Vec<SocketAddr>>> {
        self.inner.look_up(address)
    }
}

impl AsyncUdpSocket for TappedSocket {
    fn create_io_poller(self: Arc<Self>) -> Pin<Box<dyn UdpPoller>> {
        Arc::clone(&self.inner).create_io_poller()
    }

    fn try_send(&self, transmit: &Transmit<'_>) -> io::Result<()> {
        if self.on.load(Ordering::Relaxed) {
            self.said.lock().unwrap().push(transmit.contents.to_vec());
        }
        self.inner.try_send(transmit)
    }

    fn poll_recv(
        &self,
        context: &mut Context<'_>,
        buffers: &mut [io::IoSliceMut<'_>],
        metas: &mut [RecvMeta],
    ) -> Poll<io::Result<usize>> {
        self.inner.poll_recv(context, buffers, metas)
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.inner.local_addr()
    }
}
