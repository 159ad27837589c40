//! Who gets a connection, who does not, and what the person is told then.

mod support;

use std::sync::Arc;
use std::time::Duration;

use support::{DEVICE, Simulated, connect, dial_relay, identity, listen, loopback, over};
use tokio::io::AsyncWriteExt;
use zajil_net::memory::LinkState;
use zajil_net::{
    ConnectionKind, DialCost, DialError, DialOptions, Fault, ListenError, ListenOptions, Listener, Pace, PinnedKeys,
    SystemNetwork, Transports, dial,
};

const BOTH: [(Transports, ConnectionKind); 2] =
    [(Transports::QuicOnly, ConnectionKind::Quic), (Transports::TlsOnly, ConnectionKind::Tls)];

#[tokio::test]
async fn both_ends_of_a_connection_have_the_same_exporter_and_no_other_connection_has_it() {
    for (transports, kind) in BOTH {
        let (device, relay, _listener) = connect(&SystemNetwork, &SystemNetwork, loopback(), transports).await;
        let (second, _, _listener) = connect(&SystemNetwork, &SystemNetwork, loopback(), transports).await;
        assert_eq!(device.kind(), kind);
        assert_eq!(relay.kind(), kind);
        assert_eq!(device.exporter(), relay.exporter());
        assert_ne!(device.exporter(), second.exporter());
    }
}

#[tokio::test]
async fn a_relay_that_shows_the_next_key_is_taken() {
    for (transports, kind) in BOTH {
        let mut listener = listen(&SystemNetwork, loopback(), &ListenOptions::default());
        let address = listener.addresses()[0].to_string();
        let keys = PinnedKeys::with_next(identity(9).public(), identity(1).public());
        let options = over(transports);
        let (dialled, _) = tokio::join!(dial(&SystemNetwork, &address, keys, &options), listener.accept());
        assert_eq!(dialled.unwrap().kind(), kind);
    }
}

#[tokio::test]
async fn a_relay_with_another_key_is_told_apart_from_everything_else() {
    let listener = listen(&SystemNetwork, loopback(), &ListenOptions::default());
    let address = listener.addresses()[0].to_string();
    for transports in [Transports::QuicOnly, Transports::TlsOnly, Transports::Race] {
        let keys = PinnedKeys::one(identity(2).public());
        let error = dial(&SystemNetwork, &address, keys, &over(transports)).await.unwrap_err();
        assert!(matches!(error, DialError::WrongKey), "{transports:?}: {error:?}");
    }
}

#[tokio::test]
async fn a_port_where_nobody_listens_is_not_silence() {
    let free = std::net::TcpListener::bind(loopback()).unwrap().local_addr().unwrap();
    let error = dial_relay(&SystemNetwork, free, Transports::TlsOnly).await.unwrap_err();
    assert!(matches!(error, DialError::NobodyListens), "{error:?}");
}

#[tokio::test]
async fn a_server_that_is_no_relay_is_named_so() {
    let server = tokio::net::TcpListener::bind(loopback()).await.unwrap();
    let address = server.local_addr().unwrap();
    let serve = async {
        let (mut stream, _) = server.accept().await.unwrap();
        stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await.unwrap();
        stream
    };
    let (dialled, _stream) = tokio::join!(dial_relay(&SystemNetwork, address, Transports::TlsOnly), serve);
    let error = dialled.unwrap_err();
    assert!(matches!(error, DialError::NotARelay), "{error:?}");
}

#[tokio::test]
async fn an_address_without_a_port_is_refused_before_anything_is_sent() {
    for address in ["relay.example", "relay.example:", "relay.example:port", "", ":"] {
        let error =
            dial(&SystemNetwork, address, identity(1).public().into(), &over(Transports::Race)).await.unwrap_err();
        assert!(matches!(error, DialError::BadAddress), "{address}: {error:?}");
        assert_eq!(error.fault(), Fault::Here);
    }
}

#[tokio::test]
async fn an_address_in_use_says_which_and_why() {
    let first = listen(&SystemNetwork, loopback(), &ListenOptions::default());
    let taken = first.addresses()[0];
    let clock = support::clock();
    let second =
        Listener::bind(&SystemNetwork, &clock, &identity(1), &support::secrets(), &[taken], &ListenOptions::default());
    let ListenError::Bind { address, source, .. } = second.unwrap_err() else { panic!("another error") };
    assert_eq!(address, taken);
    assert_eq!(source.kind(), std::io::ErrorKind::AddrInUse);
}

#[tokio::test(start_paused = true)]
async fn ipv4_and_ipv6_are_served_side_by_side() {
    let simulated = Simulated::new();
    let addresses = ["10.0.0.9", "fd00::9"].map(|text| text.parse().unwrap());
    let (relay, device) = (simulated.world.machine(&addresses), ["10.0.0.8", "fd00::8"]);
    let device = simulated.world.machine(&device.map(|text| text.parse().unwrap()));
    simulated.world.name("relay.example", &addresses);
    let bound = addresses.map(|ip| (ip, 443).into());
    let options = ListenOptions::default();
    let (clock, secrets) = (support::clock(), support::secrets());
    let mut listener = Listener::bind(&*relay, &clock, &identity(1), &secrets, &bound, &options).unwrap();
    for address in ["relay.example:443", "[fd00::9]:443", "10.0.0.9:443"] {
        for (transports, kind) in BOTH {
            let options = over(transports);
            let dialled = dial(&*device, address, identity(1).public().into(), &options);
            let (dialled, accepted) = tokio::join!(dialled, listener.accept());
            assert_eq!((dialled.unwrap().kind(), accepted.unwrap().kind()), (kind, kind), "{address}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn no_network_a_silent_link_and_an_unknown_name_are_three_things() {
    let simulated = Simulated::new();
    let _listener = listen(&*simulated.relay, simulated.address, &ListenOptions::default());
    simulated.world.set_link(DEVICE, LinkState::Down);
    let error = dial_relay(&*simulated.device, simulated.address, Transports::Race).await.unwrap_err();
    assert!(matches!(error, DialError::NoRoute), "{error:?}");
    simulated.world.set_link(DEVICE, LinkState::Silent);
    let error = dial_relay(&*simulated.device, simulated.address, Transports::Race).await.unwrap_err();
    assert!(matches!(error, DialError::NoAnswer), "{error:?}");
    let keys = PinnedKeys::one(identity(1).public());
    let error = dial(&*simulated.device, "nobody.example:443", keys, &over(Transports::Race)).await.unwrap_err();
    assert!(matches!(error, DialError::NameUnknown), "{error:?}");
}

#[tokio::test(start_paused = true)]
async fn what_was_said_to_nobody_is_counted_as_it_left_and_what_was_answered_is_not() {
    let simulated = Simulated::new();
    let listener = listen(&*simulated.relay, simulated.address, &ListenOptions::default());
    let cost = Arc::new(DialCost::default());
    let address = simulated.address.to_string();
    let keys = || PinnedKeys::one(identity(1).public());
    let options = DialOptions { cost: Some(Arc::clone(&cost)), ..over(Transports::QuicOnly) };
    dial(&*simulated.device, &address, keys(), &options).await.unwrap();
    assert_eq!(cost.bytes(), 0);
    // The goodbyes of that connection have left, too.
    tokio::time::sleep(Duration::from_secs(60)).await;
    drop(listener);
    let before = simulated.world.traffic(DEVICE).up.offered;
    simulated.world.set_loss(|_| true);
    for pace in [Pace::OneDatagram, Pace::Eager] {
        let options = DialOptions { pace, ..options.clone() };
        dial(&*simulated.device, &address, keys(), &options).await.unwrap_err();
    }
    let after = simulated.world.traffic(DEVICE).up.offered;
    let datagrams = after.datagrams - before.datagrams;
    assert!(datagrams > 2);
    assert_eq!(cost.bytes(), after.bytes - before.bytes + 28 * datagrams);
}

#[tokio::test(start_paused = true)]
async fn tls_over_tcp_joins_after_three_seconds_where_udp_does_not_pass() {
    let simulated = Simulated::new();
    simulated.world.set_loss(|_| true);
    let start = tokio::time::Instant::now();
    let (device, relay, _listener) = simulated.connect(Transports::Race).await;
    assert_eq!((device.kind(), relay.kind()), (ConnectionKind::Tls, ConnectionKind::Tls));
    let taken = start.elapsed();
    assert!(taken >= Duration::from_secs(3) && taken < Duration::from_secs(4), "{taken:?}");
}

#[tokio::test(start_paused = true)]
async fn quic_wins_where_udp_passes() {
    let simulated = Simulated::new();
    let (device, _, _listener) = simulated.connect(Transports::Race).await;
    assert_eq!(device.kind(), ConnectionKind::Quic);
}

#[tokio::test(start_paused = true)]
async fn a_quic_relay_with_another_key_makes_tls_be_asked_at_once() {
    let simulated = Simulated::new();
    let _listener = listen(&*simulated.relay, simulated.address, &ListenOptions::default());
    let start = tokio::time::Instant::now();
    let keys = PinnedKeys::one(identity(2).public());
    let address = simulated.address.to_string();
    let error = dial(&*simulated.device, &address, keys, &over(Transports::Race)).await.unwrap_err();
    assert!(matches!(error, DialError::WrongKey), "{error:?}");
    assert!(start.elapsed() < Duration::from_secs(1), "{:?}", start.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_full_relay_refuses_and_takes_again_when_a_connection_ends() {
    for (transports, _) in BOTH {
        let simulated = Simulated::new();
        let options = ListenOptions { connections_max: 1, ..ListenOptions::default() };
        let mut listener = listen(&*simulated.relay, simulated.address, &options);
        let dialled = dial_relay(&*simulated.device, simulated.address, transports);
        let (first, held) = tokio::join!(dialled, listener.accept());
        assert_eq!(listener.connections(), 1);
        let error = dial_relay(&*simulated.device, simulated.address, transports).await.unwrap_err();
        assert!(matches!(error, DialError::Refused), "{transports:?}: {error:?}");
        drop((first, held));
        let dialled = dial_relay(&*simulated.device, simulated.address, transports);
        let (third, _held) = tokio::join!(dialled, listener.accept());
        third.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn a_crowded_relay_asks_strangers_for_one_more_round_trip() {
    let simulated = Simulated::new();
    let options = ListenOptions { connections_max: 4, ..ListenOptions::default() };
    let mut listener = listen(&*simulated.relay, simulated.address, &options);
    let (mut held, mut taken) = (Vec::new(), Vec::new());
    for _ in 0..4 {
        let start = tokio::time::Instant::now();
        let dialled = dial_relay(&*simulated.device, simulated.address, Transports::QuicOnly);
        let (dialled, accepted) = tokio::join!(dialled, listener.accept());
        held.push((dialled.unwrap(), accepted.unwrap()));
        taken.push(start.elapsed());
    }
    let round_trip = support::DELAY * 2;
    assert!(taken[2] < taken[0] + round_trip, "{taken:?}");
    assert!(taken[3] >= taken[0] + round_trip, "{taken:?}");
}

#[tokio::test(start_paused = true)]
async fn a_relay_that_stops_refuses_and_says_so_to_those_it_has() {
    let simulated = Simulated::new();
    let (device, held, listener) = simulated.connect(Transports::QuicOnly).await;
    listener.stop();
    let error = dial_relay(&*simulated.device, simulated.address, Transports::QuicOnly).await.unwrap_err();
    assert!(matches!(error, DialError::Refused), "{error:?}");
    // Somebody still holds a connection: the grace runs out.
    let start = tokio::time::Instant::now();
    assert!(!listener.shut_down(Duration::from_secs(7)).await);
    assert!(start.elapsed() >= Duration::from_secs(7));
    drop((device, held));
}

#[tokio::test(start_paused = true)]
async fn a_relay_whose_connections_have_all_ended_stops_at_once() {
    let simulated = Simulated::new();
    let (device, held, listener) = simulated.connect(Transports::TlsOnly).await;
    drop((device, held));
    let start = tokio::time::Instant::now();
    assert!(listener.shut_down(Duration::from_secs(7)).await);
    assert!(start.elapsed() < Duration::from_secs(2), "{:?}", start.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_stranger_who_never_finishes_a_handshake_loses_its_place() {
    let simulated = Simulated::new();
    let listener = listen(&*simulated.relay, simulated.address, &ListenOptions::default());
    let network: &dyn zajil_net::Network = &*simulated.device;
    let _stranger = network.connect(simulated.address).await.unwrap();
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(listener.connections(), 1);
    tokio::time::sleep(Duration::from_secs(20)).await;
    assert_eq!(listener.connections(), 0);
}

#[tokio::test]
async fn a_connection_prints_no_address_and_no_secret() {
    let (device, _, _listener) = connect(&SystemNetwork, &SystemNetwork, loopback(), Transports::QuicOnly).await;
    assert_eq!(format!("{device:?}"), "Connection { kind: Quic, side: Device, .. }");
    assert_eq!(format!("{:?}", device.mover().unwrap()), "ConnectionMover(..)");
}
