//! What is known of a network from earlier connections there.
#![allow(
    clippy::unwrap_used,
    reason = "clippy takes only `#[test]` functions for tests, and these have their own parts"
)]

mod support;

use std::sync::Arc;
use std::time::Duration;

use support::{DEVICE, Driven, Simulated, Toy, ToyCommand, ToyEvent, identity, listen, over};
use zajil_net::links::Profile;
use zajil_net::{
    ConnectionKind, DialOptions, LinkClass, ListenOptions, Network, Networks, PinnedKeys, Transports, dial,
};
use zajil_proto::wire::Code;

#[tokio::test(start_paused = true)]
async fn where_tls_won_it_waits_for_nothing_until_quic_wins_again() {
    let simulated = Simulated::new();
    let networks = Arc::new(Networks::default());
    let options = DialOptions { networks: Some(Arc::clone(&networks)), ..over(Transports::Race) };
    let mut listener = listen(&*simulated.relay, simulated.address, &ListenOptions::default());
    let mut met = async |udp_passes: bool| {
        simulated.world.set_loss(move |_| !udp_passes);
        let start = tokio::time::Instant::now();
        let (address, keys) = (simulated.address.to_string(), PinnedKeys::one(identity(1).public()));
        let dialled = dial(&*simulated.device, &address, keys, &options);
        let (dialled, accepted) = tokio::join!(dialled, listener.accept());
        accepted.unwrap();
        (dialled.unwrap().kind(), start.elapsed() < Duration::from_secs(3))
    };
    assert_eq!(met(true).await, (ConnectionKind::Quic, true));
    assert_eq!(met(false).await, (ConnectionKind::Tls, false));
    assert_eq!(met(false).await, (ConnectionKind::Tls, true));
    // In another network nothing is known.
    simulated.world.set_nat(DEVICE, "198.51.100.7".parse().unwrap());
    assert_eq!(met(false).await, (ConnectionKind::Tls, false));
    assert_eq!(met(true).await, (ConnectionKind::Quic, true));
    assert_eq!(met(false).await, (ConnectionKind::Tls, false));
}

/// Sends so many bytes over a link, and returns what it is taken for then.
async fn taken_for(profile: Profile, seed: u64, bytes: usize) -> Option<LinkClass> {
    let simulated = Simulated::seeded(seed);
    let (up, down) = profile.settings();
    simulated.world.set_access(DEVICE, up, down);
    let networks = Arc::new(Networks::default());
    let options = DialOptions { networks: Some(Arc::clone(&networks)), ..over(Transports::QuicOnly) };
    let mut listener = listen(&*simulated.relay, simulated.address, &ListenOptions::default());
    let (address, keys) = (simulated.address.to_string(), PinnedKeys::one(identity(1).public()));
    let dialled = dial(&*simulated.device, &address, keys, &options);
    let (dialled, accepted) = tokio::join!(dialled, listener.accept());
    let device = Driven::new(dialled.unwrap(), Toy::device());
    let mut relay = Driven::new(accepted.unwrap(), Toy::device());
    device.say(ToyCommand::Send { transfer: 0, bytes }).await.unwrap();
    relay.until(&ToyEvent::Whole { transfer: 0, bytes }).await;
    device.say(ToyCommand::Close(Code::IDLE)).await.unwrap();
    device.rest().await;
    networks.class(simulated.device.place())
}

#[tokio::test(start_paused = true)]
async fn a_link_over_which_some_notes_went_is_known_for_what_it_is() {
    // A link that loses a fifth in bursts is full for too short a time to be measured now and then.
    for (profile, class, bytes, wrong_max) in [
        (Profile::Gprs, LinkClass::Slowest, 32_000, 2),
        (Profile::Edge, LinkClass::Slow, 32_000, 2),
        (Profile::Siege, LinkClass::Slow, 32_000, 5),
        (Profile::ThirdGeneration, LinkClass::Ordinary, 32_000, 2),
        (Profile::Vsat, LinkClass::Satellite, 100_000, 2),
    ] {
        let mut wrong = 0;
        for seed in 0..20 {
            wrong += u32::from(taken_for(profile, seed, bytes).await != Some(class));
        }
        assert!(wrong <= wrong_max, "{profile:?} was taken for something else than {class:?} {wrong} times in 20");
    }
}

#[tokio::test(start_paused = true)]
async fn a_link_over_which_little_went_is_not_known() {
    assert_eq!(taken_for(Profile::Edge, 1, 3_000).await, None);
}
