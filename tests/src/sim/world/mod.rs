//! Plays a plan: one paused current-thread runtime, hosts that are groups of tasks, time that jumps to the next timer.

mod attack;
mod audit;
mod calm;
mod deeds;
mod eyes;
mod logs;
mod pairing;
mod phone;
mod relay;
mod secrets;
mod speech;
mod trace;

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::task::{AbortHandle, JoinSet};
use tokio::time::Instant;
use zajil_client::engine::api::Voice;
use zajil_net::Clock;
use zajil_net::links::{LinkSettings, Loss, Profile as LinkProfile};
use zajil_net::memory::{MemoryWorld, Passing, SimulatedClock};
use zajil_proto::simulation::{self, Situation, Switch};
use zajil_proto::time::Minute;

use self::attack::Harm;
use self::audit::Audit;
use self::phone::Phone;
use self::relay::RelayHost;
use self::secrets::Secrets;
pub use self::trace::Trace;
use self::trace::Tracer;
use super::memory::Accounts;
use super::plan::{HOUR, Millis, PersonId, Plan};
use super::record::{Entry, Record, Seen, Traffic};

/// 2026-11-20, 12:00 UTC: when every world begins, by the clocks that are right.
const START: Minute = Minute(29_920_680);
/// From one provider to another.
const BACKBONE: Duration = Duration::from_millis(20);

/// How to play.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// The safeguard that is broken on purpose.
    pub switch: Option<Switch>,
    /// Keep every log line, down to `trace`.
    pub log: bool,
    /// Keep the lines of the trace.
    pub trace: bool,
    /// No link loses, doubles or delays anything by chance: what happens to one datagram says nothing of the next.
    pub lossless: bool,
}

/// What came of playing.
#[derive(Debug)]
pub struct Played {
    /// What was seen.
    pub record: Record,
    /// What must be the same again.
    pub trace: Trace,
    /// Rare situations that came about, and how often.
    pub situations: BTreeMap<Situation, u64>,
    /// How often the broken safeguard changed anything.
    pub switch_used: u64,
}

/// Plays a plan from its beginning until all has settled, or had the time to.
///
/// # Panics
/// If the world itself is broken: a fault of these tests.
pub fn play(plan: &Plan, options: &Options) -> Played {
    simulation::begin(options.switch);
    let (record, trace) = logs::kept(options.log, || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
        let runtime = runtime.expect("a runtime can be made");
        tokio::task::LocalSet::new().block_on(&runtime, run(plan, options))
    });
    let record = Record { log: logs::taken(), ..record };
    Played { record, trace, situations: simulation::reached(), switch_used: simulation::used() }
}

async fn run(plan: &Plan, options: &Options) -> (Record, Trace) {
    let world = Rc::new(World::new(plan.clone(), options));
    world.watch_network();
    relay::start(&world);
    for phone in world.phones() {
        // A link is a machine's: before there is one, nothing could be said about it.
        drop(world.network.machine(&[phone.ip]));
        world.set_access(phone);
        phone::switch_on(&world, phone);
    }
    let hours = Rc::clone(&world);
    let _clock_tower = world.spawn(async move {
        loop {
            tokio::time::sleep(Duration::from_millis(HOUR)).await;
            calm::load(&hours).await;
            for phone in hours.phones() {
                eyes::look(&hours, phone).await;
            }
        }
    });
    for event in &plan.events {
        tokio::time::sleep_until(world.start + Duration::from_millis(event.at)).await;
        world.see(Seen::Played(event.clone()));
        deeds::begin(&world, &event.deed);
    }
    tokio::time::sleep_until(world.start + Duration::from_millis(plan.calm_at)).await;
    world.calm.set(true);
    let calm_at = world.now();
    calm::calm(&world).await;
    finish(&world, calm_at)
}

/// Stops everything and takes down what was seen.
fn finish(world: &Rc<World>, calm_at: Millis) -> (Record, Trace) {
    let ended_at = world.now();
    let traffic = world.phones().map(|phone| (phone.id, world.traffic(phone))).collect();
    world.tasks.borrow_mut().abort_all();
    world.harm.tell_loot(world);
    let entries = world.entries.take();
    let tracer = std::mem::replace(&mut *lock(&world.tracer), Tracer::new(false));
    let secrets = world.secrets.taken();
    (Record { entries, calm_at, ended_at, traffic, log: None, secrets }, tracer.finish())
}

/// The world while it is played.
struct World {
    plan: Plan,
    accounts: Accounts,
    lossless: bool,
    start: Instant,
    network: MemoryWorld,
    relay: RelayHost,
    phones: BTreeMap<PersonId, Rc<Phone>>,
    calm: Cell<bool>,
    pairings: Cell<u32>,
    /// Who compares no digits with whom, and until when.
    hesitations: RefCell<BTreeMap<(PersonId, PersonId), Instant>>,
    /// Links that were passed on: inviter, invited, link.
    links: RefCell<Vec<(PersonId, PersonId, String)>>,
    harm: Harm,
    audit: Audit,
    secrets: Secrets,
    /// What was spoken: seconds by serial.
    spoken: RefCell<BTreeMap<u32, u32>>,
    entries: RefCell<Vec<Entry>>,
    tracer: Arc<Mutex<Tracer>>,
    tasks: RefCell<JoinSet<()>>,
}

impl World {
    fn new(plan: Plan, options: &Options) -> Self {
        let network = MemoryWorld::seeded(BACKBONE, plan.seed);
        let relay = RelayHost::new(plan.seed, Arc::new(SimulatedClock::new(START)));
        relay.clock.set_drift_ppm(plan.relay.drift_ppm);
        relay.disk.set_capacity(plan.relay.disk_bytes);
        relay.disk.set_sync_time(Duration::from_millis(plan.relay.sync_millis));
        let phone = |id: PersonId| {
            let person = plan.people.get(usize::from(id))?.clone();
            let clock = Arc::new(SimulatedClock::new(START));
            clock.shift_wall(i64::from(person.clock_off_minutes));
            clock.set_drift_ppm(person.drift_ppm);
            Some((id, Rc::new(Phone::new(id, person, clock))))
        };
        let phones: BTreeMap<PersonId, Rc<Phone>> = plan.cast().into_iter().filter_map(phone).collect();
        phones.values().for_each(|phone| phone.watch_disk(&network));
        let accounts = 1 + phones.keys().next_back().map_or(relay::ACCOUNT, |id| phone::account_of(*id));
        Self {
            accounts: Accounts::open(usize::try_from(accounts).unwrap_or(usize::MAX)),
            lossless: options.lossless,
            start: Instant::now(),
            network,
            relay,
            phones,
            calm: Cell::new(false),
            pairings: Cell::new(0),
            hesitations: RefCell::default(),
            links: RefCell::default(),
            harm: Harm::of(&plan),
            audit: Audit::default(),
            secrets: Secrets::new(options.log),
            spoken: RefCell::default(),
            entries: RefCell::default(),
            tracer: Arc::new(Mutex::new(Tracer::new(options.trace))),
            tasks: RefCell::default(),
            plan,
        }
    }

    /// Writes every datagram and every piece of a stream into the trace.
    fn watch_network(&self) {
        let (tracer, listener) = (Arc::clone(&self.tracer), self.secrets.listener());
        self.network.observe(move |passing: &Passing| {
            listener(passing);
            let Passing { at, from, seen_as, to, bytes, carried_by, outcome, .. } = passing;
            let line = format!("{} {from} {seen_as} {to} {bytes} {carried_by:?} {outcome:?}", at.as_micros());
            lock(&tracer).add(&line);
        });
    }

    /// Begins a task that ends with the world at the latest.
    fn spawn(&self, task: impl Future<Output = ()> + 'static) -> AbortHandle {
        let mut tasks = self.tasks.borrow_mut();
        while tasks.try_join_next().is_some_and(|ended| ended.map_err(|error| self.panicked(&error)).is_ok()) {}
        tasks.spawn_local(task)
    }

    /// A task of the world that panicked is a finding, one that was aborted is not.
    fn panicked(&self, error: &tokio::task::JoinError) {
        if error.is_panic() {
            self.broken(format!("something panicked: {error}"));
        }
    }

    fn now(&self) -> Millis {
        Millis::try_from(self.start.elapsed().as_millis()).expect("no world grows that old")
    }

    fn wall(&self, clock: &SimulatedClock) -> u32 {
        clock.wall().0
    }

    fn see(&self, seen: Seen) {
        let at = self.now();
        lock(&self.tracer).add(&format!("{at} {:?}", seen));
        self.entries.borrow_mut().push(Entry { at, seen });
    }

    /// Sees something that may differ from run to run, and so is no part of the trace.
    fn see_untraced(&self, seen: Seen) {
        self.entries.borrow_mut().push(Entry { at: self.now(), seen });
    }

    fn broken(&self, what: String) {
        self.see(Seen::Broken(what));
    }

    fn is_calm(&self) -> bool {
        self.calm.get()
    }

    fn phones(&self) -> impl Iterator<Item = &Rc<Phone>> {
        self.phones.values()
    }

    fn phone(&self, id: PersonId) -> Option<Rc<Phone>> {
        self.phones.get(&id).map(Rc::clone)
    }

    fn set_access(&self, phone: &Phone) {
        let access = phone.access.borrow();
        match LinkProfile::named(&access.profile) {
            Some(profile) => {
                let (mut up, mut down) = profile.settings();
                if self.lossless {
                    (up, down) = (without_chance(up), without_chance(down));
                }
                (up.blocks_udp, down.blocks_udp) = (access.blocks_udp, access.blocks_udp);
                self.network.set_access(phone.ip, up, down);
            }
            None => self.broken(format!("there is no link {:?}", access.profile)),
        }
    }

    /// Whether somebody compares no digits with somebody else just now.
    fn hesitates(&self, who: PersonId, with: PersonId) -> bool {
        !self.is_calm() && self.hesitations.borrow().get(&(who, with)).is_some_and(|until| Instant::now() < *until)
    }

    fn pairing_begins(&self) {
        self.pairings.set(self.pairings.get() + 1);
    }

    fn pairing_ends(&self) {
        self.pairings.set(self.pairings.get() - 1);
    }

    fn pairings_under_way(&self) -> u32 {
        self.pairings.get()
    }

    fn link_is_passed(&self, inviter: PersonId, invited: PersonId, link: &str) {
        self.secrets.keep(|| format!("the link of person {inviter} for person {invited}"), link.as_bytes());
        self.links.borrow_mut().push((inviter, invited, link.to_owned()));
    }

    fn speaks(&self, serial: u32, seconds: u32) {
        self.spoken.borrow_mut().insert(serial, seconds);
    }

    /// Says again what was spoken as this note; `None` if nobody did.
    fn spoken(&self, serial: u32) -> Option<Voice> {
        let seconds = *self.spoken.borrow().get(&serial)?;
        Some(speech::voice(self.plan.seed, serial, seconds))
    }

    fn traffic(&self, phone: &Phone) -> Traffic {
        let counted = self.network.traffic(phone.ip);
        Traffic {
            sent: counted.up.offered.datagrams,
            sent_bytes: counted.up.offered.bytes + counted.up.stream_bytes,
            lost_bytes: counted.up.lost.bytes + counted.lost_beyond.bytes,
            received: counted.down.passed.datagrams,
            received_bytes: counted.down.passed.bytes + counted.down.stream_bytes,
            connections: counted.sockets_opened,
        }
    }
}

/// The same link, but that chance has no part in it.
fn without_chance(link: LinkSettings) -> LinkSettings {
    LinkSettings { loss: Loss::None, jitter: Duration::ZERO, duplicate_ppm: 0, reorder_ppm: 0, ..link }
}

fn lock(tracer: &Mutex<Tracer>) -> std::sync::MutexGuard<'_, Tracer> {
    tracer.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What everybody calls a person.
fn name(id: PersonId) -> String {
    format!("person {id}")
}

/// Whom a name means.
fn person_named(name: &str) -> Option<PersonId> {
    name.strip_prefix("person ")?.parse().ok()
}

fn trouble(where_: &str, error: &impl std::fmt::Display) -> String {
    format!("{where_}: {error}")
}
