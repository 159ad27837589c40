//! Gives the attacker a place in the world: a machine of their own, links that they overhear, a list stolen from the
//! relay.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use zajil_net::Network;
use zajil_net::memory::SimulatedClock;
use zajil_proto::ids::SlotId;
use zajil_relay::store::{Cursor, Exported, Store};

use super::{START, World, speech};
use crate::chance::Chance;
use crate::sim::attacker::wiretap::{Captured, Mangler, Wiretapped};
use crate::sim::attacker::{AttackScene, Known, Loot, act};
use crate::sim::plan::{AttackerDeed, Deed, PersonId, Plan};
use crate::sim::record::{Seen, Stolen};

/// Between two looks whether a link has been made that is to be stolen.
const LISTENS_EVERY: Duration = Duration::from_secs(10);
/// Pages of the relay's list that are worth reading: mailboxes and slots come first, then the oldest parcels.
const PAGES_MAX: usize = 20;

/// What the attacker has in a world.
pub(super) struct Harm {
    captured: Captured,
    mangler: Mangler,
    /// Whose links they sit at.
    watched: BTreeSet<PersonId>,
    deeds: Cell<u16>,
    /// What links they overheard have brought them.
    loot: Rc<RefCell<Vec<Loot>>>,
}

impl Harm {
    /// Prepares for what the plan says, and for nothing else.
    pub(super) fn of(plan: &Plan) -> Self {
        let deeds = plan.events.iter().filter_map(|event| match event.deed {
            Deed::Attacker(AttackerDeed::ReplayDatagrams { of, .. } | AttackerDeed::Truncate { of, .. }) => Some(of),
            _ => None,
        });
        let watched = deeds.collect();
        let (deeds, loot) = (Cell::new(0), Rc::default());
        Self { captured: Captured::of(plan), mangler: Mangler::default(), watched, deeds, loot }
    }

    /// Takes down what stolen links have brought, at the end: a thief who is still at it has something already.
    pub(super) fn tell_loot(&self, world: &World) {
        for Loot { from, to, opened, notes } in self.loot.take() {
            for voice in notes {
                let serial = speech::serial(&voice);
                world.see(Seen::Stolen(Stolen { from, to, opened, serial }));
            }
        }
    }

    /// Returns a phone's network as it passes the attacker.
    pub(super) fn on_the_way(&self, network: Arc<dyn Network>, whose: PersonId) -> Arc<dyn Network> {
        if !self.watched.contains(&whose) {
            return network;
        }
        Arc::new(Wiretapped::new(network, whose, &self.captured, &self.mangler))
    }
}

/// Begins what somebody does who means harm.
pub(super) fn begin(world: &Rc<World>, deed: &AttackerDeed) {
    let (seen_by, deed) = (Rc::clone(world), deed.clone());
    let nth = world.harm.deeds.get();
    world.harm.deeds.set(nth.wrapping_add(1));
    let _task = world.spawn(async move {
        let mut scene = scene(&seen_by, &deed, nth).await;
        for breach in act(&deed, &mut scene, &seen_by.harm.captured).await {
            seen_by.see(Seen::Breach(breach));
        }
    });
}

async fn scene(world: &World, deed: &AttackerDeed, nth: u16) -> AttackScene {
    let [high, low] = nth.to_be_bytes();
    let ip = IpAddr::V4(Ipv4Addr::new(10, 66, high, low));
    let links = match deed {
        AttackerDeed::StealLink { from, to } => overheard(world, *from, *to).await,
        _ => BTreeMap::new(),
    };
    let known = match deed {
        AttackerDeed::Guess { .. } => stolen_list(world).await.unwrap_or_default(),
        _ => Known::default(),
    };
    AttackScene {
        network: world.network.machine(&[ip]),
        relay: world.relay.link.clone(),
        clock: Arc::new(SimulatedClock::new(START)),
        chance: Chance::new(world.plan.seed).fork(&format!("attacker {nth}")),
        known,
        links,
        mangler: world.harm.mangler.clone(),
        memory: None,
        loot: Rc::clone(&world.harm.loot),
        answers: 0,
    }
}

/// Waits until the link is on its way, or calm has come.
async fn overheard(world: &World, from: PersonId, to: PersonId) -> BTreeMap<(PersonId, PersonId), String> {
    loop {
        let passed = world.links.borrow().iter().find(|(one, other, _)| (*one, *other) == (from, to)).cloned();
        if let Some((_, _, link)) = passed {
            return [((from, to), link)].into();
        }
        if world.is_calm() {
            return BTreeMap::new();
        }
        tokio::time::sleep(LISTENS_EVERY).await;
    }
}

/// What the relay's disk would show of names to whoever copied it. `None`: it cannot be read now.
async fn stolen_list(world: &World) -> Option<Known> {
    let mut known = Known::default();
    let mut from = Some(Cursor::default());
    for _ in 0..PAGES_MAX {
        let Some(cursor) = from else { break };
        let page = world.relay.disk.export(cursor).await.ok()?;
        from = page.next;
        for record in page.records {
            match record {
                Exported::Slot { registration, .. } => known.slots.push(SlotId(registration.id)),
                Exported::Parcel { header, .. } => known.headers.push(header),
                Exported::Mailbox(_) => {}
            }
        }
    }
    Some(known)
}
