//! The relay's machine and its operator.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::task::AbortHandle;
use zajil_net::memory::{LinkState, MemoryWorld, SimulatedClock};
use zajil_net::{EndpointSecrets, RelayIdentity};
use zajil_proto::ids::{MailboxId, SlotId};
use zajil_proto::keys::SigningKey;
use zajil_proto::relay_link::RelayLink;
use zajil_proto::simulation::account;
use zajil_relay::metrics::{ASKED_MOST, Metrics};
use zajil_relay::relay::{Observer, Parts, Relay};
use zajil_relay::store::{Cursor, Engine, Exported, MemoryStore, Snapshot, Store, StoreError, StoreLimits};

use super::{World, trouble};
use crate::chance::Chance;
use crate::sim::record::{RelayLoad, Seen};

/// Where the relay is.
pub(super) const RELAY: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 0, 0, 1));
/// On whose account its memory is taken.
pub(super) const ACCOUNT: u32 = account::WORLD + 1;
/// How long the service manager waits before it starts a relay that ended by itself.
const SERVICE_PAUSE: Duration = Duration::from_secs(10);
/// How long a relay that was asked to stop may take; its own drain limit is shorter.
const STOP_TIME_MAX: Duration = Duration::from_secs(60);

/// The relay's machine: what survives a restart, and what runs.
pub(super) struct RelayHost {
    pub(super) clock: Arc<SimulatedClock>,
    pub(super) disk: MemoryStore,
    pub(super) link: RelayLink,
    copy: RefCell<Option<Snapshot>>,
    key: SigningKey,
    secrets: EndpointSecrets,
    seed: u64,
    starts: Cell<u64>,
    running: RefCell<Option<Running>>,
    /// What its machine's link does: a relay that starts again does not mend it.
    carries: Cell<LinkState>,
}

struct Running {
    life: u64,
    task: AbortHandle,
    stop: Option<oneshot::Sender<()>>,
    observer: Observer,
}

impl RelayHost {
    pub(super) fn new(seed: u64, clock: Arc<SimulatedClock>) -> Self {
        let mut chance = Chance::new(seed ^ 0x0e1a_0001);
        let key = SigningKey::draw(&mut chance);
        let secrets = EndpointSecrets::draw(&mut chance);
        let disk = MemoryStore::new(StoreLimits::default(), &mut chance).expect("an empty store can be made");
        let link = RelayLink { key: key.public(), admission: String::new(), address: format!("{RELAY}:443") };
        let (copy, starts, running) = (RefCell::new(None), Cell::new(0), RefCell::new(None));
        Self { clock, disk, link, copy, key, secrets, seed, starts, running, carries: Cell::new(LinkState::Up) }
    }

    pub(super) fn is_running(&self) -> bool {
        self.running.borrow().is_some()
    }

    /// Sessions open now.
    pub(super) fn load(&self, network: &MemoryWorld) -> RelayLoad {
        let running = self.running.borrow();
        let metrics = running.as_ref().map(|running| running.observer.metrics());
        let sessions = metrics.map_or(0, Metrics::sessions_open);
        let watching = running.as_ref().map_or(0, |running| running.observer.sessions_watching());
        let requests_most = metrics.and_then(|metrics| metrics.counts().get(ASKED_MOST).copied()).unwrap_or(0);
        let mut held = self.disk.inspect().expect("the store can be looked at");
        let mut per_mailbox = BTreeMap::<_, u64>::new();
        for parcel in held.parcels() {
            *per_mailbox.entry(parcel.mailbox).or_default() += 1;
        }
        RelayLoad {
            tasks: network.tasks(RELAY),
            sockets: network.sockets(RELAY),
            sessions,
            watching: watching as u64,
            disk_bytes: held.bytes(),
            parcels: per_mailbox.values().sum(),
            per_mailbox: per_mailbox.into_values().collect(),
            tombstones: held.rows().tombstones as u64,
            scopes: held.rows().scopes as u64,
            overdue: self.disk.overdue() as u64,
            requests_most,
        }
    }

    /// Returns whether any parcel lies in a mailbox for which `counts`.
    pub(super) fn holds(&self, counts: impl Fn(&MailboxId) -> bool) -> bool {
        let held = self.disk.inspect().expect("the store can be looked at");
        held.parcels().iter().any(|parcel| counts(&parcel.mailbox))
    }

    /// Returns how many slots have a word, of those that count.
    pub(super) fn words(&self, counts: impl Fn(&SlotId) -> bool) -> u64 {
        let mut held = self.disk.inspect().expect("the store can be looked at");
        let (mut from, mut words) = (Some(Cursor::default()), 0);
        while let Some(cursor) = from {
            let page = held.exported(cursor).expect("the store can be read");
            for record in page.records {
                if let Exported::Slot { registration, word: Some(_), .. } = record {
                    words += u64::from(counts(&SlotId(registration.id)));
                }
            }
            from = page.next;
        }
        words
    }

    fn parts(&self, network: &MemoryWorld) -> Parts {
        let store = self.disk.clone();
        let settings = crate::open_relay::settings(&self.key, store.epoch());
        let mut seed = [0x9e; 32];
        seed[..8].copy_from_slice(&(self.seed ^ self.starts.get()).to_be_bytes());
        Parts {
            clock: Arc::<SimulatedClock>::clone(&self.clock),
            network: network.machine(&[RELAY]),
            store: Engine::Memory(store),
            identity: RelayIdentity::new(&self.key).expect("the relay's certificate can be made"),
            secrets: self.secrets.clone(),
            listen: vec![SocketAddr::from((RELAY, 443))],
            settings,
            rng_seed: Some(seed),
        }
    }
}

/// Starts the relay if it does not run.
pub(super) fn start(world: &Rc<World>) {
    let host = &world.relay;
    if host.is_running() {
        return;
    }
    host.starts.set(host.starts.get() + 1);
    let life = host.starts.get();
    let relay = match account::on_account(ACCOUNT, || Relay::start(host.parts(&world.network))) {
        Ok(relay) => relay,
        Err(error) => return world.broken(format!("the relay does not start: {error}")),
    };
    world.network.set_link(RELAY, host.carries.get());
    let observer = relay.observer();
    let (stop, stopped) = oneshot::channel();
    let seen_by = Rc::clone(world);
    let task = world.spawn(async move {
        let ended = account::on(ACCOUNT, relay.run(async { stopped.await.unwrap_or(()) })).await;
        seen_by.see(Seen::Relay(false));
        seen_by.network.crash(RELAY);
        seen_by.relay.disk.restart().unwrap_or_else(|error| seen_by.broken(trouble("the relay's store", &error)));
        let running = &seen_by.relay.running;
        if running.borrow().as_ref().is_some_and(|running| running.life == life) {
            running.borrow_mut().take();
        }
        if ended.is_err() {
            tokio::time::sleep(SERVICE_PAUSE).await;
            if seen_by.relay.starts.get() == life {
                start(&seen_by);
            }
        }
    });
    *host.running.borrow_mut() = Some(Running { life, task, stop: Some(stop), observer });
    world.see(Seen::Relay(true));
}

/// Changes what the link of the relay's machine does.
pub(super) fn set_link(world: &World, state: LinkState) {
    world.relay.carries.set(state);
    world.network.set_link(RELAY, state);
}

/// Cuts the relay's power: no goodbye, and nothing that was not synced.
pub(super) fn cut_power(world: &Rc<World>) {
    let Some(running) = world.relay.running.borrow_mut().take() else { return };
    world.network.crash(RELAY);
    running.task.abort();
    let reopened = world.relay.disk.crash();
    reopened.unwrap_or_else(|error| world.broken(trouble("the relay's store", &error)));
    world.see(Seen::Relay(false));
}

/// Asks the relay to stop, and sees to it that it does.
pub(super) async fn stop(world: &Rc<World>) {
    let Some(stop) = world.relay.running.borrow_mut().as_mut().and_then(|running| running.stop.take()) else { return };
    let life = world.relay.starts.get();
    // One that has ended by itself meanwhile hears nothing.
    let _gone = stop.send(());
    tokio::time::sleep(STOP_TIME_MAX).await;
    let still = world.relay.running.borrow().as_ref().is_some_and(|running| running.life == life);
    if still {
        world.broken("the relay did not stop when it was asked to".into());
        cut_power(world);
    }
}

/// The operator keeps a copy of the disk as a power cut would leave it.
pub(super) fn copy_disk(world: &World) {
    *world.relay.copy.borrow_mut() = Some(world.relay.disk.snapshot());
}

/// The operator puts the last copy in the place of what there is, and starts again.
pub(super) fn restore_copy(world: &Rc<World>) {
    let Some(copy) = world.relay.copy.borrow_mut().take() else { return };
    cut_power(world);
    let mut chance = Chance::new(world.plan.seed ^ 0x0d15_c0b1 ^ world.relay.starts.get());
    let disk = &world.relay.disk;
    let restored = with_room(disk, || disk.restore_from(&copy, &mut chance));
    restored.unwrap_or_else(|error| world.broken(trouble("the copy of the relay's store", &error)));
    world.see(Seen::RelayStoreReplaced);
    start(world);
}

/// The disk is gone; the operator starts again with the same key.
pub(super) fn lose_disk(world: &Rc<World>) {
    cut_power(world);
    let mut chance = Chance::new(world.plan.seed ^ 0x0d15_c000 ^ world.relay.starts.get());
    let disk = &world.relay.disk;
    let replaced = with_room(disk, || disk.replace(&mut chance));
    replaced.unwrap_or_else(|error| world.broken(trouble("the relay's new store", &error)));
    world.see(Seen::RelayStoreReplaced);
    start(world);
}

/// Begins with another store; on a disk that is too full even for that, once its operator has made room, as they are told to.
fn with_room(disk: &MemoryStore, mut begin: impl FnMut() -> Result<(), StoreError>) -> Result<(), StoreError> {
    match begin() {
        Err(StoreError::Full) => {
            disk.set_capacity(None);
            begin()
        }
        begun => begun,
    }
}
