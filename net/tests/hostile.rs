//! What enemies and bad networks do to a transport: false addresses, floods, strangers who dribble, small packets, portals.
#![allow(
    clippy::unwrap_used,
    reason = "clippy takes only `#[test]` functions for tests, and these have their own parts"
)]

mod support;

use std::future::poll_fn;
use std::io::IoSliceMut;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use quinn::udp::{RecvMeta, Transmit};
use support::{DELAY, DEVICE, Driven, RELAY, Simulated, Toy, ToyCommand, ToyEvent, dial_relay, identity, listen, over};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::{Instant, sleep};
use zajil_net::limits::{HANDSHAKE_TIMEOUT, IPV4_UDP_HEADER_BYTES, PACKET_BYTES};
use zajil_net::links::LinkSettings;
use zajil_net::memory::{CarriedBy, Outcome, Way};
use zajil_net::{
    ByteStream, Connection, ConnectionKind, DialError, DialOptions, ListenOptions, Network, Pace, PinnedKeys,
    Transports, dial,
};
use zajil_proto::wire::Code;

/// Whoever means no good.
const STRANGER: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(203, 0, 113, 66));

/// Has a quarter of a megabyte sent there and back.
async fn there_and_back(device: Connection, relay: Connection) {
    const WHOLE: ToyEvent = ToyEvent::Whole { transfer: 0, bytes: 256 * 1024 };
    let mut device = Driven::new(device, Toy::device());
    let relay = tokio::spawn(Driven::new(relay, Toy::echo()).rest());
    device.say(ToyCommand::Send { transfer: 0, bytes: 256 * 1024 }).await.unwrap();
    device.until(&WHOLE).await;
    device.say(ToyCommand::Close(Code::IDLE)).await.unwrap();
    device.rest().await;
    relay.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn an_address_that_answers_nothing_is_sent_no_packet_more_once_it_was_sent_three_times_what_came() {
    for (pace, passing) in [(Pace::OneDatagram, 1), (Pace::Eager, 1), (Pace::Eager, 2), (Pace::Eager, 100)] {
        let simulated = Simulated::new();
        let listener = listen(&*simulated.relay, simulated.address, &ListenOptions::default());
        // Somebody else's address stands in them: no answer gets back to who sent them.
        simulated.world.set_loss(move |packet| packet.from.ip() == RELAY || packet.number >= passing);
        let (came, said) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let counts = (Arc::clone(&came), Arc::clone(&said));
        simulated.world.observe(move |passing| {
            if passing.from.ip() == RELAY {
                counts.1.fetch_add(passing.bytes, Ordering::Relaxed);
            } else if matches!(passing.outcome, Outcome::Arrived { .. }) {
                counts.0.fetch_add(passing.bytes, Ordering::Relaxed);
            }
        });
        let options = DialOptions { pace, ..over(Transports::QuicOnly) };
        let keys = PinnedKeys::one(identity(1).public());
        dial(&*simulated.device, &simulated.address.to_string(), keys, &options).await.unwrap_err();
        sleep(4 * HANDSHAKE_TIMEOUT).await;
        let (came, said) = (came.load(Ordering::Relaxed), said.load(Ordering::Relaxed));
        assert!(came > 0 && said > 0, "{pace:?} {passing}: {came} {said}");
        // quinn begins a packet as long as one byte more may leave (RFC 9000, 8.1, would have the whole of it fit).
        let most = 3 * came + usize::try_from(PACKET_BYTES).unwrap();
        assert!(said < most, "{pace:?} {passing}: {said} B were sent for {came} B");
        assert_eq!(listener.connections(), 0, "nobody holds a place for good");
    }
}

#[tokio::test(start_paused = true)]
async fn a_flood_from_addresses_that_answer_nothing_keeps_nobody_out() {
    let simulated = Simulated::new();
    let options = ListenOptions { connections_max: 32, ..ListenOptions::default() };
    let mut listener = listen(&*simulated.relay, simulated.address, &options);
    let stranger = simulated.world.machine(&[STRANGER]);
    simulated.world.set_direction(STRANGER, Way::Down, false);
    let flood = tokio::spawn(async move {
        for _ in 0..1_000 {
            let (network, address) = (Arc::clone(&stranger), simulated.address);
            tokio::spawn(async move { dial_relay(&*network, address, Transports::QuicOnly).await.map(drop) });
            sleep(Duration::from_millis(20)).await;
        }
    });
    for _ in 0..10 {
        sleep(Duration::from_secs(2)).await;
        assert!(listener.connections() <= 32);
        let start = Instant::now();
        let dialled = dial_relay(&*simulated.device, simulated.address, Transports::QuicOnly);
        let (dialled, accepted) = tokio::join!(dialled, listener.accept());
        dialled.unwrap();
        accepted.unwrap();
        assert!(start.elapsed() < 8 * DELAY, "{:?}", start.elapsed());
    }
    flood.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn strangers_who_say_a_byte_a_second_lose_their_places_in_time() {
    let simulated = Simulated::new();
    let options = ListenOptions { connections_max: 8, ..ListenOptions::default() };
    let mut listener = listen(&*simulated.relay, simulated.address, &options);
    let stranger = simulated.world.machine(&[STRANGER]);
    let start = Instant::now();
    let mut dribbling = Vec::new();
    for _ in 0..8 {
        let mut stream: Box<dyn ByteStream> = stranger.connect(simulated.address).await.unwrap();
        dribbling.push(tokio::spawn(async move {
            // The beginning of a hello of 16 kB that never ends.
            for byte in [0x16, 0x03, 0x01, 0x40, 0x00, 0x01, 0x00, 0x3f, 0xfc].into_iter().chain(std::iter::repeat(0)) {
                if stream.write_all(&[byte]).await.is_err() {
                    return;
                }
                sleep(Duration::from_secs(1)).await;
            }
        }));
    }
    sleep(Duration::from_secs(1)).await;
    assert_eq!(listener.connections(), 8);
    let error = dial_relay(&*simulated.device, simulated.address, Transports::TlsOnly).await.unwrap_err();
    assert!(matches!(error, DialError::Refused), "{error:?}");
    sleep(HANDSHAKE_TIMEOUT).await;
    assert_eq!(listener.connections(), 0);
    let dialled = dial_relay(&*simulated.device, simulated.address, Transports::TlsOnly);
    let (dialled, accepted) = tokio::join!(dialled, listener.accept());
    there_and_back(dialled.unwrap(), accepted.unwrap()).await;
    for stranger in dribbling {
        stranger.await.unwrap();
    }
    assert!(start.elapsed() < 4 * HANDSHAKE_TIMEOUT, "{:?}", start.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_path_that_drops_every_packet_longer_than_ours_carries_all() {
    let simulated = Simulated::new();
    let longest = usize::try_from(PACKET_BYTES).unwrap();
    let narrow = LinkSettings { mtu_bytes: longest + IPV4_UDP_HEADER_BYTES, ..LinkSettings::default() };
    simulated.world.set_access(DEVICE, narrow.clone(), narrow);
    let (device, relay, _listener) = simulated.connect(Transports::Race).await;
    assert_eq!(device.kind(), ConnectionKind::Quic);
    there_and_back(device, relay).await;
}

#[tokio::test(start_paused = true)]
async fn a_path_that_becomes_narrow_in_the_middle_loses_nothing_for_it() {
    let simulated = Simulated::new();
    let most = Arc::new(AtomicUsize::new(0));
    let seen = Arc::clone(&most);
    simulated.world.observe(move |passing| {
        if passing.carried_by == CarriedBy::Datagram {
            seen.fetch_max(passing.bytes, Ordering::Relaxed);
        }
    });
    let (device, relay, _listener) = simulated.connect(Transports::QuicOnly).await;
    // Long enough to look for longer packets, if anybody did.
    sleep(Duration::from_secs(20)).await;
    let longest = usize::try_from(PACKET_BYTES).unwrap();
    let narrow = LinkSettings { mtu_bytes: longest + IPV4_UDP_HEADER_BYTES, ..LinkSettings::default() };
    simulated.world.set_access(DEVICE, narrow.clone(), narrow);
    there_and_back(device, relay).await;
    assert_eq!(most.load(Ordering::Relaxed), longest);
}

#[tokio::test(start_paused = true)]
async fn where_even_our_packets_are_too_long_tls_takes_over() {
    let simulated = Simulated::new();
    let black_hole = LinkSettings { mtu_bytes: 1_100, ..LinkSettings::default() };
    simulated.world.set_access(DEVICE, black_hole.clone(), black_hole);
    let (device, relay, _listener) = simulated.connect(Transports::Race).await;
    assert_eq!(device.kind(), ConnectionKind::Tls);
    there_and_back(device, relay).await;
}

#[tokio::test(start_paused = true)]
async fn behind_a_portal_that_answers_for_everybody_nothing_is_lost_and_it_is_named() {
    let simulated = Simulated::new();
    let portal = Arc::clone(&simulated.relay);
    let address = simulated.address;
    let pretending = tokio::spawn(async move {
        let (datagrams, mut streams) = (portal.bind_udp(address).unwrap(), portal.listen(address).unwrap());
        let answers = async {
            loop {
                let (mut bytes, mut metas) = ([0; 2_000], [RecvMeta::default()]);
                let came =
                    poll_fn(|context| datagrams.poll_recv(context, &mut [IoSliceMut::new(&mut bytes)], &mut metas));
                came.await.unwrap();
                let [meta] = metas;
                // Its own first packet back, changed; and something that is no packet at all.
                bytes[1_000..1_100].fill(7);
                for contents in [&bytes[..meta.len], b"HTTP/1.1 302 Found\r\n\r\n"] {
                    let answer =
                        Transmit { destination: meta.addr, ecn: None, contents, segment_size: None, src_ip: None };
                    datagrams.try_send(&answer).unwrap();
                }
            }
        };
        let redirects = async {
            loop {
                let mut stream = streams.accept().await.unwrap();
                let mut hello = [0; 100];
                let _ = stream.read(&mut hello).await;
                let _ = stream.write_all(b"HTTP/1.1 302 Found\r\nLocation: http://portal/\r\n\r\n").await;
            }
        };
        tokio::join!(answers, redirects);
    });
    let error = dial_relay(&*simulated.device, address, Transports::Race).await.unwrap_err();
    assert!(matches!(error, DialError::NotARelay), "{error:?}");
    pretending.abort();
    let _ = pretending.await;
    sleep(Duration::from_secs(1)).await;
    let (device, relay, _listener) = simulated.connect(Transports::Race).await;
    there_and_back(device, relay).await;
}
