//! The auditor at a relay as it is, of which there is nothing to say; and at one that lacks a safeguard, of which they tell.

use zajil_proto::simulation::{self, Switch};

use super::*;
use crate::sim::attacker::tests::with_a_relay;

/// Visits until everything has been tried several times.
const VISITS: u32 = 24;

/// Returns which invariants the auditor says were broken.
fn found(switch: Option<Switch>) -> (Vec<Breach>, u64) {
    simulation::begin(switch);
    let mut breaches = Vec::new();
    let mut auditor = Auditor::default();
    with_a_relay(async |arena| {
        let began = arena.scene.clock.now();
        for _ in 0..VISITS {
            let clock = Arc::clone(&arena.scene.clock);
            let standing = move || {
                let now = Millis::try_from(clock.now().since(began).as_millis()).expect("short");
                Standing { now, replaced: 0, ran: now, starts: 1 }
            };
            let mut scene = AuditScene {
                network: Arc::clone(&arena.scene.network),
                relay: arena.scene.relay.clone(),
                clock: Arc::clone(&arena.scene.clock),
                chance: Chance::new(arena.scene.chance.draw()),
                standing: Rc::new(standing),
            };
            breaches.extend(auditor.visit(&mut scene, 6).await);
            sleep(Duration::from_secs(3 * 3_600)).await;
        }
    });
    simulation::begin(None);
    (breaches, auditor.looked)
}

#[test]
fn of_a_relay_as_it_is_there_is_nothing_to_say() {
    let (breaches, looked) = found(None);
    assert_eq!(breaches, Vec::new());
    assert!(looked > 4 * u64::from(VISITS), "{looked}");
}

#[test]
fn a_relay_without_a_safeguard_is_found_out() {
    for (switch, invariant) in [
        (Switch::TombstoneForgotten, 4),
        (Switch::QuotaNotCounted, 6),
        (Switch::UsedLinkAccepted, 6),
        (Switch::OlderWordReplacesNewer, 8),
        (Switch::ReleaseToldToWriter, 9),
    ] {
        let (breaches, _) = found(Some(switch));
        assert!(breaches.iter().any(|breach| breach.invariant == invariant), "{}: {breaches:?}", switch.name());
    }
}
