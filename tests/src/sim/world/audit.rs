//! Gives the auditor a place in the world: a machine of their own, and what the world knows of the relay.

use std::cell::Cell;
use std::net::{IpAddr, Ipv4Addr};
use std::rc::Rc;
use std::sync::Arc;

use tokio::sync::Mutex;
use zajil_net::memory::SimulatedClock;

use super::{START, World};
use crate::chance::Chance;
use crate::sim::auditor::{AuditScene, Auditor, Standing};
use crate::sim::record::Seen;

/// The auditor's machine.
const AUDITOR: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 77, 0, 1));

/// The auditor of a world.
#[derive(Default)]
pub(super) struct Audit {
    auditor: Mutex<Auditor>,
    visits: Cell<u64>,
}

impl Audit {
    /// Asks the auditor; `None` while they are at the relay.
    pub(super) fn with<T>(&self, ask: impl FnOnce(&Auditor) -> T) -> Option<T> {
        self.auditor.try_lock().ok().map(|auditor| ask(&auditor))
    }
}

/// Begins a visit. Who is still there, stays.
pub(super) fn begin(world: &Rc<World>, things: u16) {
    let nth = world.audit.visits.get();
    world.audit.visits.set(nth + 1);
    let (seen_by, tells) = (Rc::clone(world), Rc::clone(world));
    let mut scene = AuditScene {
        network: world.network.machine(&[AUDITOR]),
        relay: world.relay.link.clone(),
        clock: Arc::new(SimulatedClock::new(START)),
        chance: Chance::new(world.plan.seed).fork(&format!("auditor {nth}")),
        standing: Rc::new(move || standing(&tells)),
    };
    let _task = world.spawn(async move {
        let Ok(mut auditor) = seen_by.audit.auditor.try_lock() else { return };
        for breach in auditor.visit(&mut scene, things).await {
            seen_by.see(Seen::Audited(breach.invariant, breach.text));
        }
    });
}

/// What is so now, as the world itself has written it down.
fn standing(world: &World) -> Standing {
    let now = world.now();
    let mut standing = Standing { now, replaced: 0, ran: 0, starts: 0 };
    let mut since = None;
    for entry in world.entries.borrow().iter() {
        match (&entry.seen, since) {
            (Seen::Relay(true), None) => {
                standing.starts += 1;
                since = Some(entry.at);
            }
            (Seen::Relay(false), Some(began)) => {
                standing.ran += entry.at - began;
                since = None;
            }
            (Seen::RelayStoreReplaced, _) => standing.replaced += 1,
            _ => {}
        }
    }
    standing.ran += since.map_or(0, |began| now - began);
    standing
}
