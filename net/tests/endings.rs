//! How sessions end, and what they survive.

mod support;

use std::net::IpAddr;
use std::time::Duration;

use support::{DEVICE, Driven, RELAY, Simulated, Toy, ToyCommand, ToyEvent, connect, listen, loopback};
use zajil_net::limits::STALL_AFTER_MIN;
use zajil_net::memory::LinkState;
use zajil_net::{DriveEnd, ListenOptions, Loss, SystemNetwork, Transports};
use zajil_proto::wire::Code;

const BYTES: usize = 400_000;
const WHOLE: ToyEvent = ToyEvent::Whole { transfer: 1, bytes: BYTES };

fn send() -> ToyCommand {
    ToyCommand::Send { transfer: 1, bytes: BYTES }
}

#[tokio::test]
async fn a_device_that_changes_its_port_keeps_its_session() {
    let (device, relay, _listener) = connect(&SystemNetwork, &SystemNetwork, loopback(), Transports::QuicOnly).await;
    let mover = device.mover().unwrap();
    let mut device = Driven::new(device, Toy::device());
    let relay = tokio::spawn(Driven::new(relay, Toy::echo()).rest());
    for _ in 0..3 {
        device.say(send()).await.unwrap();
        device.until(&WHOLE).await;
        mover.move_to(&SystemNetwork, loopback()).unwrap();
    }
    device.say(ToyCommand::Close(Code::OK)).await.unwrap();
    assert_eq!(device.rest().await.1, DriveEnd::Closed(Code::OK));
    assert_eq!(relay.await.unwrap().1, DriveEnd::PeerClosed(Some(Code::OK)));
}

#[tokio::test(start_paused = true)]
async fn a_device_that_moves_to_another_network_keeps_its_session() {
    let simulated = Simulated::new();
    let (device, relay, _listener) = simulated.connect(Transports::QuicOnly).await;
    let mover = device.mover().unwrap();
    let mut device = Driven::new(device, Toy::device());
    let relay = tokio::spawn(Driven::new(relay, Toy::echo()).rest());
    device.say(send()).await.unwrap();
    tokio::time::sleep(Duration::from_millis(300)).await;
    let elsewhere: IpAddr = "10.0.0.77".parse().unwrap();
    let network = simulated.world.machine(&[elsewhere]);
    mover.move_to(&*network, (elsewhere, 0).into()).unwrap();
    simulated.world.set_link(DEVICE, LinkState::Down);
    device.until(&WHOLE).await;
    device.say(ToyCommand::Close(Code::OK)).await.unwrap();
    assert_eq!(device.rest().await.1, DriveEnd::Closed(Code::OK));
    assert_eq!(relay.await.unwrap().1, DriveEnd::PeerClosed(Some(Code::OK)));
}

#[tokio::test]
async fn a_relay_has_no_address_to_move_from_and_neither_has_tcp() {
    let (device, relay, _listener) = connect(&SystemNetwork, &SystemNetwork, loopback(), Transports::TlsOnly).await;
    assert!(device.mover().is_none() && relay.mover().is_none());
    let (_, relay, _listener) = connect(&SystemNetwork, &SystemNetwork, loopback(), Transports::QuicOnly).await;
    assert!(relay.mover().is_none());
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_vanishes_is_noticed_by_its_silence() {
    let simulated = Simulated::new();
    let (device, relay, _listener) = simulated.connect(Transports::QuicOnly).await;
    let (device, relay) = (Driven::new(device, Toy::device()), Driven::new(relay, Toy::relay()));
    tokio::time::sleep(Duration::from_secs(10)).await;
    simulated.world.set_link(RELAY, LinkState::Silent);
    device.say(send()).await.unwrap();
    let start = tokio::time::Instant::now();
    for side in [device, relay] {
        let (events, end) = side.rest().await;
        assert_eq!(end, DriveEnd::Lost(Loss::Silence));
        assert!(matches!(events.as_slice(), [ToyEvent::Disconnected { .. }]), "{events:?}");
    }
    let silence = start.elapsed();
    assert!(silence > Duration::from_secs(100) && silence < Duration::from_secs(130), "{silence:?}");
}

/// Sends over a link that falls silent for `outage`, and returns how the device's end of it went: it got the echo, or its session
/// was over.
async fn through_an_outage(transports: Transports, outage: Duration) -> bool {
    let simulated = Simulated::new();
    let (device, relay, _listener) = simulated.connect(transports).await;
    let mut device = Driven::new(device, Toy::device());
    let _relay = tokio::spawn(Driven::new(relay, Toy::echo()).rest());
    assert!(device.say(send()).await.is_ok(), "the session takes commands");
    tokio::time::sleep(Duration::from_millis(200)).await;
    simulated.world.set_link(DEVICE, LinkState::Silent);
    let quiet = tokio::time::timeout(outage, async {
        while let Some(event) = device.next().await {
            assert_ne!(event, WHOLE, "{transports:?}: nothing passes a silent link");
        }
    });
    if quiet.await.is_ok() {
        return false;
    }
    simulated.world.set_link(DEVICE, LinkState::Up);
    device.until(&WHOLE).await;
    true
}

#[tokio::test(start_paused = true)]
async fn a_short_outage_is_survived() {
    assert!(through_an_outage(Transports::QuicOnly, Duration::from_millis(2_500)).await);
    assert!(through_an_outage(Transports::TlsOnly, Duration::from_secs(30)).await);
}

#[tokio::test(start_paused = true)]
async fn a_device_that_waits_for_something_gives_a_silent_connection_up_after_seconds() {
    assert!(!through_an_outage(Transports::QuicOnly, STALL_AFTER_MIN + Duration::from_secs(1)).await);
}

#[tokio::test(start_paused = true)]
async fn a_relay_that_started_again_tells_the_device_at_once_that_it_knows_nothing() {
    let simulated = Simulated::new();
    let (device, relay, listener) = simulated.connect(Transports::QuicOnly).await;
    let device = Driven::new(device, Toy::device());
    tokio::time::sleep(Duration::from_secs(2)).await;
    // It dies without a word, and starts again with the same secrets.
    simulated.world.set_link(RELAY, LinkState::Silent);
    drop((relay, listener));
    tokio::time::sleep(Duration::from_secs(5)).await;
    let _listener = listen(&*simulated.relay, simulated.address, &ListenOptions::default());
    simulated.world.set_link(RELAY, LinkState::Up);
    let start = tokio::time::Instant::now();
    assert_eq!(device.rest().await.1, DriveEnd::Lost(Loss::Forgotten));
    assert!(start.elapsed() < Duration::from_secs(30), "{:?}", start.elapsed());
}

/// Sends, closes, and returns what the relay saw.
#[expect(clippy::unwrap_used, reason = "clippy takes only `#[test]` functions for tests")]
async fn send_and_close(simulated: &Simulated, transports: Transports) -> (Vec<ToyEvent>, DriveEnd) {
    let (device, relay, _listener) = simulated.connect(transports).await;
    let (device, relay) = (Driven::new(device, Toy::device()), tokio::spawn(Driven::new(relay, Toy::relay()).rest()));
    device.say(send()).await.unwrap();
    device.say(ToyCommand::Close(Code::IDLE)).await.unwrap();
    assert_eq!(device.rest().await.1, DriveEnd::Closed(Code::IDLE));
    relay.await.unwrap()
}

#[tokio::test(start_paused = true)]
async fn what_was_sent_before_a_close_arrives_before_it() {
    for (transports, code) in [(Transports::QuicOnly, Some(Code::IDLE)), (Transports::TlsOnly, None)] {
        let (events, end) = send_and_close(&Simulated::new(), transports).await;
        assert!(events.contains(&WHOLE), "{transports:?}: {events:?}");
        assert_eq!(end, DriveEnd::PeerClosed(code));
    }
}

#[tokio::test(start_paused = true)]
async fn what_was_sent_before_a_close_arrives_though_datagrams_are_lost() {
    let simulated = Simulated::new();
    simulated.world.set_loss(|packet| packet.number % 10 == 7);
    let (events, end) = send_and_close(&simulated, Transports::QuicOnly).await;
    assert!(events.contains(&WHOLE), "{events:?}");
    // QUIC says "closed" once; if that is lost too, silence tells.
    assert!([DriveEnd::PeerClosed(Some(Code::IDLE)), DriveEnd::Lost(Loss::Silence)].contains(&end), "{end:?}");
}

#[tokio::test(start_paused = true)]
async fn what_arrived_before_a_loss_is_told_though_the_program_is_slow() {
    let simulated = Simulated::new();
    let (device, relay, _listener) = simulated.connect(Transports::QuicOnly).await;
    let bytes = 60_000;
    let mut relay = Driven::new(relay, Toy::relay().telling_frames());
    let device = Driven::new(device, Toy::device());
    device.say(ToyCommand::Send { transfer: 1, bytes }).await.unwrap();
    tokio::time::sleep(Duration::from_secs(5)).await;
    // All has arrived, little was taken, and now the link is gone for good.
    simulated.world.set_link(DEVICE, LinkState::Silent);
    tokio::time::sleep(Duration::from_secs(300)).await;
    relay.until(&ToyEvent::Whole { transfer: 1, bytes }).await;
    assert_eq!(relay.rest().await.1, DriveEnd::Lost(Loss::Silence));
}

#[tokio::test(start_paused = true)]
async fn a_program_that_goes_away_leaves_no_connection_behind() {
    for transports in [Transports::QuicOnly, Transports::TlsOnly] {
        let simulated = Simulated::new();
        let (device, relay, listener) = simulated.connect(transports).await;
        let mut relay = Driven::new(relay, Toy::echo());
        let Driven { commands, events, end } = Driven::new(device, Toy::device());
        commands.send(Box::new(ToyCommand::Send { transfer: 1, bytes: 20_000 })).await.unwrap();
        relay.until(&ToyEvent::Whole { transfer: 1, bytes: 20_000 }).await;
        drop((commands, events));
        assert_eq!(end.await.unwrap(), DriveEnd::Closed(Code::OK));
        assert!(matches!(relay.rest().await.1, DriveEnd::PeerClosed(_)));
        assert_eq!(listener.connections(), 0);
    }
}

#[tokio::test(start_paused = true)]
async fn a_session_that_is_dropped_is_noticed_by_its_peer() {
    for transports in [Transports::QuicOnly, Transports::TlsOnly] {
        let simulated = Simulated::new();
        let (device, relay, listener) = simulated.connect(transports).await;
        let relay = Driven::new(relay, Toy::relay());
        let device = Driven::new(device, Toy::device());
        tokio::time::sleep(Duration::from_secs(1)).await;
        device.end.abort();
        let start = tokio::time::Instant::now();
        let (events, _) = relay.rest().await;
        assert!(matches!(events.last(), Some(ToyEvent::Disconnected { .. })), "{events:?}");
        assert!(start.elapsed() < Duration::from_secs(2), "{:?}", start.elapsed());
        assert_eq!(listener.connections(), 0);
    }
}

#[tokio::test(start_paused = true)]
async fn closing_a_session_whose_peer_takes_nothing_does_not_hang() {
    for transports in [Transports::QuicOnly, Transports::TlsOnly] {
        let simulated = Simulated::new();
        let (device, _relay, _listener) = simulated.connect(transports).await;
        let device = Driven::new(device, Toy::device());
        tokio::time::sleep(Duration::from_secs(1)).await;
        simulated.world.set_link(RELAY, LinkState::Silent);
        let start = tokio::time::Instant::now();
        device.say(ToyCommand::Close(Code::OK)).await.unwrap();
        assert_eq!(device.rest().await.1, DriveEnd::Closed(Code::OK));
        assert!(start.elapsed() < Duration::from_secs(10), "{:?}", start.elapsed());
    }
}

#[tokio::test(start_paused = true)]
async fn a_listener_that_shuts_down_ends_the_sessions_that_stay() {
    let simulated = Simulated::new();
    let (device, relay, listener) = simulated.connect(Transports::QuicOnly).await;
    let (device, relay) = (Driven::new(device, Toy::device()), Driven::new(relay, Toy::relay()));
    assert!(!listener.shut_down(Duration::from_secs(3)).await);
    assert_eq!(relay.rest().await.1, DriveEnd::Lost(Loss::ShutDown));
    assert_eq!(device.rest().await.1, DriveEnd::PeerClosed(Some(Code::DRAINING)));
}

#[tokio::test(start_paused = true)]
async fn a_machine_that_asks_to_be_woken_is_woken_then_and_not_before() {
    let simulated = Simulated::new();
    let (device, _relay, _listener) = simulated.connect(Transports::QuicOnly).await;
    let mut device = Driven::new(device, Toy::device().waking_after(Duration::from_millis(7_777)));
    let start = tokio::time::Instant::now();
    device.until(&ToyEvent::Woken).await;
    let slept = start.elapsed();
    assert!(slept >= Duration::from_millis(7_777) && slept < Duration::from_millis(7_780), "{slept:?}");
}

#[tokio::test(start_paused = true)]
async fn a_machine_that_lingers_gets_commands_after_the_end_and_no_more_than_it_wants() {
    let simulated = Simulated::new();
    let (device, relay, listener) = simulated.connect(Transports::QuicOnly).await;
    let mut relay = Driven::new(relay, Toy::relay().lingering_for(2));
    let device = Driven::new(device, Toy::device());
    tokio::time::sleep(Duration::from_secs(1)).await;
    device.say(ToyCommand::Close(Code::OK)).await.unwrap();
    device.rest().await;
    relay.until(&ToyEvent::Disconnected { unflushed: 0 }).await;
    assert_eq!(listener.connections(), 0, "the connection is gone, the machine is not");
    for _ in 0..2 {
        relay.say(send()).await.unwrap();
        relay.until(&ToyEvent::Late).await;
    }
    assert_eq!(relay.rest().await, (Vec::new(), DriveEnd::PeerClosed(Some(Code::OK))));
}

#[tokio::test(start_paused = true)]
async fn a_machine_that_lingers_ends_when_its_program_goes() {
    let simulated = Simulated::new();
    let (device, _relay, _listener) = simulated.connect(Transports::QuicOnly).await;
    let mut device = Driven::new(device, Toy::device().lingering_for(1));
    tokio::time::sleep(Duration::from_secs(1)).await;
    device.say(ToyCommand::Close(Code::OK)).await.unwrap();
    device.until(&ToyEvent::Disconnected { unflushed: 0 }).await;
    drop(device.commands);
    assert_eq!(device.end.await.unwrap(), DriveEnd::Closed(Code::OK));
}
