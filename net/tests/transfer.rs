//! A machine's bytes get across, all of them, in order, over every transport, and nobody is drowned by the other.

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use support::{Driven, Simulated, Toy, ToyCommand, ToyEvent, connect, loopback};
use zajil_net::limits::{DEVICE_SEND_WINDOW_BYTES, RELAY_WINDOW_BYTES};
use zajil_net::{Connection, DriveEnd, Loss, SystemNetwork, Transports};
use zajil_proto::wire::Code;

const LANES: u8 = 4;
const BYTES: usize = 256 * 1024;

/// Sends 1 MB in four transfers, has it sent back, and closes, which the other end learns.
async fn there_and_back(device: Connection, relay: Connection) {
    let end = carried_back(device, relay).await;
    assert!(matches!(end, DriveEnd::PeerClosed(_)), "{end:?}");
}

/// Sends 1 MB in four transfers, has it sent back, and closes. Returns how the other end took it.
#[expect(clippy::unwrap_used, reason = "clippy takes only `#[test]` functions for tests")]
async fn carried_back(device: Connection, relay: Connection) -> DriveEnd {
    let mut device = Driven::new(device, Toy::device());
    let relay = Driven::new(relay, Toy::echo().telling_frames());
    let answered = tokio::spawn(relay.rest());
    for transfer in 0..LANES {
        device.say(ToyCommand::Send { transfer, bytes: BYTES }).await.unwrap();
    }
    let mut back: Vec<ToyEvent> = Vec::new();
    while back.len() < usize::from(LANES) {
        back.push(device.next().await.unwrap());
    }
    for transfer in 0..LANES {
        assert!(back.contains(&ToyEvent::Whole { transfer, bytes: BYTES }), "{back:?}");
    }
    device.say(ToyCommand::Close(Code::IDLE)).await.unwrap();
    let (last, end) = device.rest().await;
    assert_eq!(end, DriveEnd::Closed(Code::IDLE));
    assert_eq!(last.last(), Some(&ToyEvent::Disconnected { unflushed: 0 }));
    let (events, end) = answered.await.unwrap();
    let whole = events.iter().filter(|event| matches!(event, ToyEvent::Whole { bytes: BYTES, .. }));
    assert_eq!(whole.count(), usize::from(LANES));
    assert_eq!(events.last(), Some(&ToyEvent::Disconnected { unflushed: 0 }));
    end
}

#[tokio::test]
async fn a_megabyte_goes_there_and_back_over_real_quic() {
    let (device, relay, _listener) = connect(&SystemNetwork, &SystemNetwork, loopback(), Transports::QuicOnly).await;
    there_and_back(device, relay).await;
}

#[tokio::test]
async fn a_megabyte_goes_there_and_back_over_real_tcp() {
    let (device, relay, _listener) = connect(&SystemNetwork, &SystemNetwork, loopback(), Transports::TlsOnly).await;
    there_and_back(device, relay).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_megabyte_goes_there_and_back_between_threads() {
    for transports in [Transports::QuicOnly, Transports::TlsOnly] {
        let (device, relay, _listener) = connect(&SystemNetwork, &SystemNetwork, loopback(), transports).await;
        there_and_back(device, relay).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_megabyte_goes_there_and_back_in_a_paused_runtime() {
    for transports in [Transports::QuicOnly, Transports::TlsOnly] {
        let simulated = Simulated::new();
        let start = tokio::time::Instant::now();
        let (device, relay, _listener) = simulated.connect(transports).await;
        there_and_back(device, relay).await;
        assert!(start.elapsed() > Duration::from_millis(500), "{:?}", start.elapsed());
    }
}

#[tokio::test(start_paused = true)]
async fn a_megabyte_goes_there_and_back_though_every_tenth_datagram_is_lost() {
    let simulated = Simulated::new();
    simulated.world.set_loss(|packet| packet.number % 10 == 7);
    let (device, relay, _listener) = simulated.connect(Transports::QuicOnly).await;
    let end = carried_back(device, relay).await;
    // The goodbye is one datagram, and may be a tenth one.
    assert!(matches!(end, DriveEnd::PeerClosed(_) | DriveEnd::Lost(Loss::Silence)), "{end:?}");
}

#[tokio::test(start_paused = true)]
async fn more_transfers_than_streams_wait_for_each_other() {
    let simulated = Simulated::new();
    let (device, relay, _listener) = simulated.connect(Transports::QuicOnly).await;
    let device = Driven::new(device, Toy::device());
    let relay = tokio::spawn(Driven::new(relay, Toy::relay()).rest());
    for transfer in 0..40 {
        device.say(ToyCommand::Send { transfer, bytes: 9_000 }).await.unwrap();
    }
    device.say(ToyCommand::Close(Code::OK)).await.unwrap();
    assert_eq!(device.rest().await.1, DriveEnd::Closed(Code::OK));
    let (events, _) = relay.await.unwrap();
    let whole = events.iter().filter(|event| matches!(event, ToyEvent::Whole { bytes: 9_000, .. }));
    assert_eq!(whole.count(), 40);
}

#[tokio::test(start_paused = true)]
async fn transfers_that_are_not_over_leave_room_for_others() {
    let simulated = Simulated::new();
    let (device, relay, _listener) = simulated.connect(Transports::QuicOnly).await;
    let device = Driven::new(device, Toy::device());
    let mut relay = Driven::new(relay, Toy::relay());
    for transfer in 0..7 {
        device.say(ToyCommand::Begin { transfer }).await.unwrap();
    }
    for transfer in 7..60 {
        device.say(ToyCommand::Send { transfer, bytes: 900 }).await.unwrap();
        relay.until(&ToyEvent::Whole { transfer, bytes: 900 }).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_program_that_takes_no_events_holds_the_sender_back() {
    for transports in [Transports::QuicOnly, Transports::TlsOnly] {
        let simulated = Simulated::new();
        let (device, relay, _listener) = simulated.connect(transports).await;
        let flushed = Arc::new(AtomicUsize::new(0));
        let device = Driven::new(device, Toy::device().counting(&flushed));
        let mut relay = Driven::new(relay, Toy::relay().telling_frames());
        let total = 4 * 1024 * 1024;
        device.say(ToyCommand::Send { transfer: 0, bytes: total }).await.unwrap();
        tokio::time::sleep(Duration::from_secs(60)).await;
        let flushed = flushed.load(Ordering::Relaxed);
        let bound = usize::try_from(DEVICE_SEND_WINDOW_BYTES).unwrap() + RELAY_WINDOW_BYTES as usize + 64 * 1024;
        assert!(flushed > 10_000 && flushed < bound, "{transports:?}: {flushed}");
        relay.until(&ToyEvent::Whole { transfer: 0, bytes: total }).await;
    }
}
