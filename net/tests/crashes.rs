//! A machine that loses its power says nothing, and leaves nothing behind.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "clippy takes only `#[test]` functions for tests, and these have their own parts"
)]

mod support;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use support::{DEVICE, Driven, RELAY, Simulated, Toy, ToyCommand, ToyEvent, dial_relay, listen};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::{Instant, sleep, timeout};
use zajil_net::limits::{STALL_AFTER_MAX, STALL_AFTER_MIN};
use zajil_net::memory::Outcome;
use zajil_net::{DriveEnd, ListenOptions, Network, Transports};

const BOTH: [Transports; 2] = [Transports::QuicOnly, Transports::TlsOnly];
const MINUTE: Duration = Duration::from_secs(60);

fn send(transfer: u8) -> ToyCommand {
    ToyCommand::Send { transfer, bytes: 20_000 }
}

/// Counts what arrives from the relay.
fn arrivals_from_relay(simulated: &Simulated) -> Arc<Mutex<usize>> {
    let arrived = Arc::new(Mutex::new(0));
    let counted = Arc::clone(&arrived);
    simulated.world.observe(move |passing| {
        if passing.from.ip() == RELAY && matches!(passing.outcome, Outcome::Arrived { .. }) {
            *counted.lock().unwrap() += 1;
        }
    });
    arrived
}

#[tokio::test(start_paused = true)]
async fn a_crash_says_no_goodbye_and_only_silence_tells_of_it() {
    for transports in BOTH {
        let simulated = Simulated::new();
        let (device, relay, listener) = simulated.connect(transports).await;
        let (device, mut relay) = (Driven::new(device, Toy::device()), Driven::new(relay, Toy::relay()));
        device.say(send(1)).await.unwrap();
        relay.until(&ToyEvent::Whole { transfer: 1, bytes: 20_000 }).await;
        sleep(Duration::from_secs(2)).await;
        let arrived = arrivals_from_relay(&simulated);
        simulated.world.crash(RELAY);
        // Whatever its tasks still want to say as they end is not heard.
        relay.end.abort();
        drop((relay, listener));
        device.say(send(2)).await.unwrap();
        let start = Instant::now();
        let (_, end) = device.rest().await;
        assert_eq!(*arrived.lock().unwrap(), 0, "{transports:?}");
        assert!(matches!(end, DriveEnd::Lost(_)), "{transports:?}: {end:?}");
        // Over QUIC a device that waits for something gives up soon; over TCP the kernel's probes have to run out.
        let within = match transports {
            Transports::QuicOnly => STALL_AFTER_MIN..STALL_AFTER_MAX + STALL_AFTER_MIN,
            _ => MINUTE..MINUTE * 3,
        };
        assert!(within.contains(&start.elapsed()), "{transports:?}: {:?}", start.elapsed());
    }
}

#[tokio::test(start_paused = true)]
async fn a_machine_that_starts_again_listens_at_the_same_ports_at_once() {
    for transports in BOTH {
        let simulated = Simulated::new();
        let (_device, _held, _old_listener) = simulated.connect(transports).await;
        simulated.world.crash(RELAY);
        // The old listener and its connections are not even dropped yet.
        let relay = simulated.world.machine(&[RELAY]);
        let mut listener = listen(&*relay, simulated.address, &ListenOptions::default());
        let dialled = dial_relay(&*simulated.device, simulated.address, transports);
        let (dialled, accepted) = tokio::join!(dialled, listener.accept());
        assert!(dialled.is_ok() && accepted.is_some(), "{transports:?}: {dialled:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_was_made_before_a_crash_is_of_no_use_after_it() {
    let simulated = Simulated::new();
    let old: &dyn Network = &*simulated.relay;
    let mut listener = old.listen(simulated.address).unwrap();
    simulated.world.crash(RELAY);
    assert!(old.bind_udp((RELAY, 0).into()).is_err() && old.listen((RELAY, 0).into()).is_err());
    assert!(old.connect((DEVICE, 443).into()).await.is_err());
    let _fresh = simulated.world.machine(&[RELAY]);
    assert!(old.bind_udp((RELAY, 0).into()).is_err());
    assert!(timeout(MINUTE, listener.accept()).await.is_err());
}

#[tokio::test(start_paused = true)]
async fn a_crash_ends_the_tasks_of_its_quic_endpoints_and_of_no_other() {
    let simulated = Simulated::new();
    let (_device, _held, _listener) = simulated.connect(Transports::QuicOnly).await;
    // An endpoint and a connection on either side.
    assert_eq!([RELAY, DEVICE].map(|machine| simulated.world.tasks(machine)), [2, 2]);
    simulated.world.crash(RELAY);
    tokio::task::yield_now().await;
    assert_eq!([RELAY, DEVICE].map(|machine| simulated.world.tasks(machine)), [0, 2]);
}

#[tokio::test(start_paused = true)]
async fn tasks_that_have_ended_are_forgotten() {
    let simulated = Simulated::new();
    let mut listener = listen(&*simulated.relay, simulated.address, &ListenOptions::default());
    for _ in 0..50 {
        let dialled = dial_relay(&*simulated.device, simulated.address, Transports::QuicOnly);
        let (dialled, accepted) = tokio::join!(dialled, listener.accept());
        drop((dialled.unwrap(), accepted.unwrap()));
        sleep(MINUTE * 3).await;
    }
    assert_eq!([RELAY, DEVICE].map(|machine| simulated.world.tasks(machine)), [1, 0]);
}

#[tokio::test(start_paused = true)]
async fn whoever_writes_to_a_crashed_machine_fills_its_window_and_waits() {
    let simulated = Simulated::new();
    let network: &dyn Network = &*simulated.relay;
    let mut listener = network.listen(simulated.address).unwrap();
    let network: &dyn Network = &*simulated.device;
    let (stream, accepted) = tokio::join!(network.connect(simulated.address), listener.accept());
    let (mut stream, mut accepted) = (stream.unwrap(), accepted.unwrap());
    accepted.write_all(b"before").await.unwrap();
    sleep(Duration::from_secs(1)).await;
    simulated.world.crash(RELAY);
    drop((accepted, listener));
    let mut heard = [0; 6];
    stream.read_exact(&mut heard).await.unwrap();
    assert_eq!(&heard, b"before");
    // No end of the stream comes, and what is written goes nowhere.
    assert!(timeout(MINUTE, stream.read(&mut heard)).await.is_err());
    let block = [0; 1_000];
    let written = async {
        let mut written = 0;
        while let Ok(Ok(count)) = timeout(Duration::from_secs(1), stream.write(&block)).await {
            written += count;
        }
        written
    };
    assert_eq!(written.await, 64 << 10);
    sleep(MINUTE).await;
    assert_eq!(stream.read(&mut heard).await.unwrap_err().kind(), std::io::ErrorKind::TimedOut);
    assert_eq!(stream.write(&block).await.unwrap_err().kind(), std::io::ErrorKind::TimedOut);
}

#[tokio::test(start_paused = true)]
async fn a_device_that_crashes_frees_its_place_at_the_relay_after_a_while() {
    for transports in BOTH {
        let simulated = Simulated::new();
        let (device, relay, listener) = simulated.connect(transports).await;
        let (device, relay) = (Driven::new(device, Toy::device()), Driven::new(relay, Toy::relay()));
        simulated.world.crash(DEVICE);
        device.end.abort();
        drop(device);
        let (_, end) = relay.rest().await;
        assert!(matches!(end, DriveEnd::Lost(_)), "{transports:?}: {end:?}");
        assert_eq!(listener.connections(), 0);
    }
}
