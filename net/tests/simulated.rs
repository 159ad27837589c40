//! The simulated network: access links, outages, address translators, what is told of it, and that it repeats.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "clippy takes only `#[test]` functions for tests, and these have their own parts"
)]

mod support;

use std::future::poll_fn;
use std::io::IoSliceMut;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use quinn::AsyncUdpSocket;
use quinn::udp::{RecvMeta, Transmit};
use support::{DELAY, DEVICE, Driven, RELAY, Simulated, Toy, ToyCommand, ToyEvent};
use tokio::time::{Instant, sleep, timeout};
use zajil_net::links::{DropCause, LinkSettings, Profile};
use zajil_net::memory::{CarriedBy, LinkState, LostTo, MemoryWorld, Outcome, Passing, Way};
use zajil_net::{Network, Transports};
use zajil_proto::wire::Code;

const OUTSIDE: &str = "198.51.100.7";
/// A payload that makes an IPv4 packet of 100 bytes.
const HUNDRED: [u8; 72] = [0; 72];

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn millis(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

fn rate(rate_bits: u64) -> LinkSettings {
    LinkSettings { rate_bits: Some(rate_bits), ..LinkSettings::default() }
}

/// A UDP socket, used as people do.
struct Socket(Arc<dyn AsyncUdpSocket>);

impl Socket {
    fn bind(network: &dyn Network, port: u16) -> Self {
        Self(network.bind_udp((IpAddr::from([0, 0, 0, 0]), port).into()).unwrap())
    }

    fn local(&self) -> SocketAddr {
        self.0.local_addr().unwrap()
    }

    fn send(&self, to: SocketAddr, contents: &[u8]) {
        let transmit = Transmit { destination: to, ecn: None, contents, segment_size: None, src_ip: None };
        self.0.try_send(&transmit).unwrap();
    }

    /// Waits for a datagram: from whom, and how long it is.
    async fn receive(&self) -> (SocketAddr, usize) {
        let (mut buffer, mut meta) = ([0; 2_000], [RecvMeta::default()]);
        poll_fn(|context| self.0.poll_recv(context, &mut [IoSliceMut::new(&mut buffer)], &mut meta)).await.unwrap();
        (meta[0].addr, meta[0].len)
    }

    /// Takes what comes within a while, with the times of its coming.
    async fn receive_all(&self, within: Duration) -> Vec<(Duration, SocketAddr)> {
        let start = Instant::now();
        let mut all = Vec::new();
        while let Ok((from, _)) = timeout(within.saturating_sub(start.elapsed()), self.receive()).await {
            all.push((start.elapsed(), from));
        }
        all
    }
}

/// Notes everything that passes.
fn notes(world: &MemoryWorld) -> Arc<Mutex<Vec<Passing>>> {
    let notes = Arc::new(Mutex::new(Vec::new()));
    let noted = Arc::clone(&notes);
    world.observe(move |passing| noted.lock().unwrap().push(*passing));
    notes
}

#[tokio::test(start_paused = true)]
async fn a_datagram_passes_both_access_links_and_the_backbone() {
    let simulated = Simulated::new();
    let up = LinkSettings { delay: millis(100), ..rate(8_000) };
    simulated.world.set_access(DEVICE, up, LinkSettings::default());
    simulated.world.set_access(RELAY, LinkSettings::default(), rate(16_000));
    let (device, relay) = (Socket::bind(&*simulated.device, 0), Socket::bind(&*simulated.relay, 443));
    for _ in 0..3 {
        device.send(relay.local(), &HUNDRED);
    }
    // 100 ms of sending and 100 ms of delay, 50 ms of backbone, 50 ms of sending again.
    let times: Vec<_> = relay.receive_all(millis(1_000)).await.into_iter().map(|(at, _)| at).collect();
    assert_eq!(times, [300, 400, 500].map(millis));
}

#[tokio::test(start_paused = true)]
async fn an_ipv6_header_is_longer() {
    let world = MemoryWorld::new(Duration::ZERO);
    let networks = ["fd00::1", "fd00::2"].map(|text| world.machine(&[ip(text)]));
    world.set_access(ip("fd00::1"), rate(8_000), LinkSettings::default());
    let [a, b] = networks.map(|network| Socket(network.bind_udp("[::]:0".parse().unwrap()).unwrap()));
    a.send(b.local(), &[0; 52]);
    assert_eq!(b.receive_all(millis(500)).await, [(millis(100), a.local())]);
}

#[tokio::test(start_paused = true)]
async fn those_who_send_to_one_machine_share_its_way_down() {
    let world = MemoryWorld::new(Duration::ZERO);
    let [near, far, home] = ["10.0.0.1", "10.0.0.2", "10.0.0.3"].map(|text| world.machine(&[ip(text)]));
    world.set_access(ip("10.0.0.2"), LinkSettings { delay: millis(300), ..LinkSettings::default() }, rate(1));
    world.set_access(ip("10.0.0.3"), LinkSettings::default(), rate(8_000));
    let [near, far, home] = [near, far, home].map(|network| Socket::bind(&*network, 0));
    // Sent first, and there last.
    far.send(home.local(), &HUNDRED);
    sleep(millis(250)).await;
    near.send(home.local(), &HUNDRED);
    let came = home.receive_all(millis(1_000)).await;
    assert_eq!(came, [(millis(100), near.local()), (millis(200), far.local())]);
}

#[tokio::test(start_paused = true)]
async fn one_way_of_a_link_can_go_while_the_other_stays() {
    let simulated = Simulated::new();
    let (device, relay) = (Socket::bind(&*simulated.device, 0), Socket::bind(&*simulated.relay, 443));
    for (way, arrives) in [(Way::Up, [false, true]), (Way::Down, [true, false])] {
        simulated.world.set_direction(DEVICE, way, false);
        device.send(relay.local(), b"up");
        relay.send(device.local(), b"down");
        let arrived = [&relay, &device].map(|socket| socket.receive_all(millis(200)));
        let [at_relay, at_device] = arrived;
        assert_eq!([!at_relay.await.is_empty(), !at_device.await.is_empty()], arrives, "{way:?}");
        simulated.world.set_direction(DEVICE, way, true);
    }
    device.send(relay.local(), b"up");
    assert_eq!(relay.receive().await, (device.local(), 2));
}

#[tokio::test(start_paused = true)]
async fn what_waits_in_a_link_when_it_goes_is_lost_and_what_has_left_arrives() {
    let simulated = Simulated::new();
    let noted = notes(&simulated.world);
    simulated.world.set_access(DEVICE, rate(8_000), LinkSettings::default());
    let (device, relay) = (Socket::bind(&*simulated.device, 0), Socket::bind(&*simulated.relay, 443));
    (0..4).for_each(|_| device.send(relay.local(), &HUNDRED));
    sleep(millis(210)).await;
    simulated.world.set_link(DEVICE, LinkState::Silent);
    simulated.world.set_link(DEVICE, LinkState::Up);
    device.send(relay.local(), &HUNDRED);
    assert_eq!(relay.receive_all(millis(2_000)).await.len(), 3);
    let traffic = simulated.world.traffic(DEVICE).up;
    assert_eq!([traffic.offered, traffic.passed, traffic.lost].map(|count| count.datagrams), [5, 3, 2]);
    let outage = Outcome::Lost(LostTo::Access(Way::Up, DropCause::Outage));
    assert_eq!(noted.lock().unwrap().iter().filter(|passing| passing.outcome == outage).count(), 2);
}

#[tokio::test(start_paused = true)]
async fn an_address_translator_shows_its_own_address_and_forgets_when_told() {
    let simulated = Simulated::new();
    simulated.world.set_nat(DEVICE, ip(OUTSIDE));
    let noted = notes(&simulated.world);
    let (device, relay) = (Socket::bind(&*simulated.device, 0), Socket::bind(&*simulated.relay, 443));
    device.send(relay.local(), b"hello");
    let (first, _) = relay.receive().await;
    assert_eq!(first.ip(), ip(OUTSIDE));
    relay.send(first, b"welcome");
    assert_eq!(device.receive().await, (relay.local(), 7));
    simulated.world.rebind_nat(DEVICE);
    relay.send(first, b"lost");
    relay.send(device.local(), b"never reached from outside");
    assert_eq!(device.receive_all(millis(200)).await, []);
    device.send(relay.local(), b"again");
    let (second, _) = relay.receive().await;
    assert_eq!(second.ip(), first.ip());
    assert_ne!(second.port(), first.port());
    relay.send(second, b"welcome");
    assert_eq!(device.receive().await, (relay.local(), 7));
    let noted = noted.lock().unwrap();
    let outwards: Vec<_> = noted.iter().filter(|passing| passing.to == relay.local()).collect();
    assert!(outwards.iter().all(|passing| passing.from == device.local()));
    assert_eq!(outwards.iter().map(|passing| passing.seen_as).collect::<Vec<_>>(), [first, second]);
    assert_eq!(noted.iter().filter(|passing| passing.reached == device.local()).count(), 3);
    assert_eq!(noted.iter().filter(|passing| passing.outcome == Outcome::Lost(LostTo::NobodyThere)).count(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_device_behind_an_address_translator_keeps_its_session_when_that_forgets() {
    // A seed in which the siege leaves the connection alone: with one packet in five lost some die of silence.
    for (number, profile, seed) in [(1_u8, Profile::Edge, 0), (2, Profile::Siege, 1)] {
        let simulated = Simulated::seeded(seed);
        let (up, down) = profile.settings();
        simulated.world.set_nat(DEVICE, ip(OUTSIDE));
        simulated.world.set_access(DEVICE, up, down);
        let noted = notes(&simulated.world);
        let (device, relay, _listener) = simulated.connect(Transports::QuicOnly).await;
        let (device, mut relay) = (Driven::new(device, Toy::device()), Driven::new(relay, Toy::relay()));
        device.say(ToyCommand::Send { transfer: number, bytes: 30_000 }).await.unwrap();
        sleep(millis(2_000)).await;
        simulated.world.rebind_nat(DEVICE);
        relay.until(&ToyEvent::Whole { transfer: number, bytes: 30_000 }).await;
        device.say(ToyCommand::Close(Code::OK)).await.unwrap();
        device.rest().await;
        let noted = noted.lock().unwrap();
        let arrived = noted.iter().filter(|passing| matches!(passing.outcome, Outcome::Arrived { .. }));
        let mut seen: Vec<_> =
            arrived.filter(|passing| passing.from.ip() == DEVICE).map(|passing| passing.seen_as).collect();
        seen.dedup();
        assert_eq!(seen.len(), 2, "{profile:?}: one port before, and one after");
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_told_adds_up_to_what_is_counted() {
    let simulated = Simulated::new();
    let (up, down) = Profile::Siege.settings();
    let up = LinkSettings { duplicate_ppm: 50_000, ..up };
    simulated.world.set_access(DEVICE, up, LinkSettings { duplicate_ppm: 50_000, ..down });
    let noted = notes(&simulated.world);
    let (device, relay) = (Socket::bind(&*simulated.device, 0), Socket::bind(&*simulated.relay, 443));
    for _ in 0..500 {
        device.send(relay.local(), &[7; 200]);
        relay.send(device.local(), &[7; 100]);
        sleep(millis(40)).await;
    }
    sleep(Duration::from_secs(10)).await;
    let noted = noted.lock().unwrap();
    let told = |from: IpAddr, arrived: bool| {
        let of = noted.iter().filter(|passing| passing.from.ip() == from);
        let count = of.filter(|passing| matches!(passing.outcome, Outcome::Arrived { .. }) == arrived).count();
        u64::try_from(count).unwrap()
    };
    let (device, relay) = (simulated.world.traffic(DEVICE), simulated.world.traffic(RELAY));
    assert_eq!((device.up.offered.datagrams, device.up.offered.bytes), (500, 100_000));
    assert_eq!((told(DEVICE, true), told(DEVICE, false)), (relay.down.passed.datagrams, device.up.lost.datagrams));
    assert_eq!((told(RELAY, true), told(RELAY, false)), (device.down.passed.datagrams, device.down.lost.datagrams));
    for way in [device.up, device.down] {
        let (offered, duplicated) = (way.offered.datagrams, way.duplicated.datagrams);
        assert_eq!(offered + duplicated, way.passed.datagrams + way.lost.datagrams, "{way:?}");
        assert!(duplicated > 0 && way.lost.datagrams > 50, "{way:?}");
    }
    let arrivals = noted.iter().filter_map(|passing| match passing.outcome {
        Outcome::Arrived { at } => Some(at),
        Outcome::Lost(_) => None,
    });
    assert!(arrivals.is_sorted(), "told in order of time");
}

#[tokio::test(start_paused = true)]
async fn the_same_seed_gives_the_same_trace() {
    let run = async |seed| {
        let world = MemoryWorld::seeded(DELAY, seed);
        let noted = notes(&world);
        let sockets = ["10.0.0.1", "10.0.0.2", "10.0.0.3"].map(|text| {
            let (up, down) = Profile::Siege.settings();
            let network = world.machine(&[ip(text)]);
            world.set_access(ip(text), up, down);
            Socket::bind(&*network, 0)
        });
        for nth in 0..300 {
            sockets[nth % 3].send(sockets[(nth + 1) % 3].local(), &[1; 150]);
            sleep(millis(30)).await;
        }
        sleep(Duration::from_secs(10)).await;
        let noted = noted.lock().unwrap();
        noted.iter().map(|passing| format!("{passing:?}")).collect::<Vec<_>>()
    };
    let (first, second, other) = (run(5).await, run(5).await, run(6).await);
    assert!(first.len() >= 300);
    assert_eq!(first, second);
    assert_ne!(first, other);
}

#[tokio::test(start_paused = true)]
async fn ports_are_used_again_when_they_are_free_and_only_then() {
    let simulated = Simulated::new();
    simulated.world.set_nat(DEVICE, ip(OUTSIDE));
    let (kept, relay) = (Socket::bind(&*simulated.device, 0), Socket::bind(&*simulated.relay, 443));
    kept.send(relay.local(), b"x");
    let (seen_as, _) = relay.receive().await;
    for _ in 0..70_000 {
        let socket = Socket::bind(&*simulated.device, 0);
        assert_ne!(socket.local(), kept.local());
        socket.send(relay.local(), b"y");
    }
    let others = relay.receive_all(millis(200)).await;
    assert!(others.len() > 1_000 && others.iter().all(|(_, from)| *from != seen_as));
    relay.send(seen_as, b"still there");
    assert_eq!(kept.receive().await, (relay.local(), 11));
}

#[tokio::test(start_paused = true)]
async fn a_stream_takes_its_turn_at_the_rate_and_is_told() {
    let simulated = Simulated::new();
    simulated.world.set_access(DEVICE, rate(80_000), LinkSettings::default());
    let noted = notes(&simulated.world);
    let (device, relay, _listener) = simulated.connect(Transports::TlsOnly).await;
    let (device, mut relay) = (Driven::new(device, Toy::device()), Driven::new(relay, Toy::relay()));
    let start = Instant::now();
    device.say(ToyCommand::Send { transfer: 1, bytes: 50_000 }).await.unwrap();
    relay.until(&ToyEvent::Whole { transfer: 1, bytes: 50_000 }).await;
    // 50 kB at 10 kB/s, with headers.
    assert!(start.elapsed() > millis(5_000) && start.elapsed() < millis(6_500), "{:?}", start.elapsed());
    let up = simulated.world.traffic(DEVICE).up;
    assert!(up.stream_bytes > 50_000 && up.offered.datagrams == 0, "{up:?}");
    let noted = noted.lock().unwrap();
    assert!(noted.iter().all(|passing| passing.carried_by == CarriedBy::Stream));
    let from_device = noted.iter().filter(|passing| passing.from.ip() == DEVICE).map(|passing| passing.bytes);
    assert!(from_device.sum::<usize>() > 50_000);
}

#[tokio::test(start_paused = true)]
async fn a_stream_outlives_an_outage_of_a_minute_and_not_one_of_five() {
    for (minutes, lives) in [(1, true), (5, false)] {
        let simulated = Simulated::new();
        simulated.world.set_access(DEVICE, rate(80_000), rate(80_000));
        let (device, relay, _listener) = simulated.connect(Transports::TlsOnly).await;
        let (device, mut relay) = (Driven::new(device, Toy::device()), Driven::new(relay, Toy::relay()));
        device.say(ToyCommand::Send { transfer: 1, bytes: 50_000 }).await.unwrap();
        sleep(millis(2_000)).await;
        for way in [Way::Up, Way::Down] {
            simulated.world.set_direction(DEVICE, way, false);
        }
        sleep(Duration::from_secs(60 * minutes)).await;
        for way in [Way::Up, Way::Down] {
            simulated.world.set_direction(DEVICE, way, true);
        }
        if lives {
            relay.until(&ToyEvent::Whole { transfer: 1, bytes: 50_000 }).await;
        } else {
            let (events, _) = relay.rest().await;
            assert!(!events.contains(&ToyEvent::Whole { transfer: 1, bytes: 50_000 }), "{events:?}");
            assert!(matches!(events.last(), Some(ToyEvent::Disconnected { .. })), "{events:?}");
        }
    }
}
