//! The auditor at a relay as it is, of which there is nothing to say; and at one that lacks a safeguard, of which they tell.

use std::collections::BTreeMap;

use zajil_proto::simulation::{self, Switch};

use super::talk::Found;
use super::*;
use crate::sim::attacker::tests::with_a_relay;
use crate::sim::plan::HOUR;

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
        (Switch::InvitationNeverEnds, 6),
        (Switch::OldPrecisionTold, 8),
        (Switch::OlderWordReplacesNewer, 8),
        (Switch::ReleaseToldToWriter, 9),
    ] {
        let (breaches, _) = found(Some(switch));
        assert!(breaches.iter().any(|breach| breach.invariant == invariant), "{}: {breaches:?}", switch.name());
    }
}

#[test]
fn a_parcel_is_expected_for_as_long_as_a_relay_that_stands_still_keeps_it() {
    let (day, mut chance) = (24 * HOUR, Chance::new(7));
    let mut books = Books::draw(&mut chance);
    let lifetime = Lifetime::from_hours(24).expect("a day");
    let parcel = books.boxes[0].parcel(&mut chance, 1, lifetime);
    let after = |now: Millis, ran: Millis| Standing { now, replaced: 0, ran, starts: 1 };
    books.add(0, parcel.clone(), lifetime, after(0, 0));
    let found = Found {
        mailbox: Some(books.boxes[0].mailbox()),
        body: parcel.parcel.body.clone(),
        closed: true,
        age: 0,
        times: 1,
    };
    let found = [(parcel.id(), found)].into();
    assert_eq!(books.compare(&BTreeMap::new(), after(60 * day, day / 2)), []);
    assert_eq!(books.compare(&found, after(61 * day, day)), [], "the relay stood still for sixty days");
    let overdue: Vec<u8> =
        books.compare(&found, after(64 * day, 4 * day)).iter().map(|breach| breach.invariant).collect();
    assert_eq!(overdue, [6], "it has run for four");
    books.compare(&BTreeMap::new(), after(160 * day, 100 * day));
    let unknown: Vec<u8> =
        books.compare(&found, after(161 * day, 101 * day)).iter().map(|breach| breach.invariant).collect();
    assert_eq!(unknown, [0], "whatever comes after so long was not put by the auditor");
}
