//! A person's phone: what survives a power cut, what runs on it, and how a person reaches the program.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio::task::AbortHandle;
use zajil_client::engine::api::{ContactView, Failure, Reply, Request};
use zajil_client::engine::host::{Call, Host, Parts, create, open};
use zajil_client::store::{Fault, MemoryDisk};
use zajil_net::DialOptions;
use zajil_net::memory::{LinkState, MemoryWorld, SimulatedClock, Way};
use zajil_proto::simulation::account;

use super::{World, relay};
use crate::chance::Chance;
use crate::sim::plan::{Habit, Person, PersonId, Side};
use crate::sim::record::{Seen, Shown};

/// Requests that wait at a phone: a person taps no faster.
const CALLS_MAX: usize = 16;
/// Longest time any request may take before the program counts as broken: ten that wait for a relay, one after the other.
const ANSWER_TIME_MAX: Duration = Duration::from_secs(900);
/// How long a phone whose power failed takes to start again by itself.
const RESTART_PAUSE: Duration = Duration::from_secs(60);
/// How long a program may take to end when it is asked to.
const END_TIME_MAX: Duration = Duration::from_secs(30);

/// On whose account its memory is taken.
pub(super) const fn account_of(id: PersonId) -> u32 {
    relay::ACCOUNT + 1 + id as u32
}

/// One person's phone.
pub(super) struct Phone {
    pub(super) id: PersonId,
    pub(super) person: Person,
    pub(super) ip: IpAddr,
    pub(super) disk: MemoryDisk,
    pub(super) clock: Arc<SimulatedClock>,
    pub(super) link: Cell<Link>,
    pub(super) access: RefCell<Access>,
    /// What the person saw last.
    pub(super) view: RefCell<View>,
    /// Held by whoever looks: a list that was read earlier must not be taken for a later one.
    pub(super) eyes: tokio::sync::Mutex<()>,
    state: RefCell<State>,
    opens: Cell<u64>,
    /// Whether a fault of the disk has closed the store of what runs.
    broke: Arc<AtomicBool>,
}

/// How a phone's link is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Link {
    Up,
    Down,
    Silent,
    OnlyOut,
    OnlyIn,
}

/// By what kind of network a phone is joined to everybody else.
pub(super) struct Access {
    /// The profile's name.
    pub(super) profile: String,
    /// Whether only everything else but UDP gets through.
    pub(super) blocks_udp: bool,
}

/// What a person knows from looking.
#[derive(Default)]
pub(super) struct View {
    pub(super) contacts: BTreeMap<String, ContactView>,
    pub(super) notes: BTreeMap<u32, Shown>,
    pub(super) order: Vec<u32>,
    /// Which note of the plan each number is.
    pub(super) serials: BTreeMap<u32, u32>,
}

#[derive(Default)]
struct State {
    on: bool,
    life: u64,
    made: bool,
    calls: Option<mpsc::Sender<Call>>,
    stop: Option<oneshot::Sender<()>>,
    task: Option<AbortHandle>,
}

/// Why a request has no answer.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum NoAnswer {
    /// The phone is off, or went off.
    Off,
    /// The program refused.
    Failed(Failure),
}

impl Phone {
    pub(super) fn new(id: PersonId, person: Person, clock: Arc<SimulatedClock>) -> Self {
        let disk = MemoryDisk::new();
        disk.set_capacity(person.disk_bytes);
        Self {
            id,
            ip: IpAddr::V4(Ipv4Addr::new(10, 0, 1, id.saturating_add(1))),
            access: RefCell::new(Access { profile: person.access.clone(), blocks_udp: false }),
            person,
            disk,
            clock,
            link: Cell::new(Link::Up),
            view: RefCell::default(),
            eyes: tokio::sync::Mutex::default(),
            state: RefCell::default(),
            opens: Cell::new(0),
            broke: Arc::default(),
        }
    }

    /// Lets a cut of the power, which a fault of the disk brings, cut everything at once: what runs must not say goodbye.
    pub(super) fn watch_disk(&self, network: &MemoryWorld) {
        let (network, ip, broke) = (network.clone(), self.ip, Arc::clone(&self.broke));
        self.disk.on_fault(move |fault| {
            broke.store(true, Ordering::Relaxed);
            if matches!(fault, Fault::CutBefore | Fault::CutAfter) {
                network.crash(ip);
            }
        });
    }

    pub(super) fn is_on(&self) -> bool {
        self.state.borrow().on
    }

    /// Where others see a phone whose provider translates addresses: all of one side share it.
    fn outside(&self) -> IpAddr {
        IpAddr::V4(Ipv4Addr::new(100, 64, 0, if self.person.side == Side::Town { 1 } else { 2 }))
    }

    /// A phone's own chance: another one each time it is opened, the same in every run.
    fn parts(&self, world: &World) -> Result<Parts, Failure> {
        self.opens.set(self.opens.get() + 1);
        let seed = world.plan.seed ^ (u64::from(self.id) << 40) ^ (self.opens.get() << 8);
        let mut rng_seed = [0; 32];
        rng_seed[..8].copy_from_slice(&seed.to_be_bytes());
        Ok(Parts {
            clock: Arc::<SimulatedClock>::clone(&self.clock),
            network: world.harm.on_the_way(world.network.machine(&[self.ip]), self.id),
            random: Box::new(Chance::new(seed)),
            store: Box::new(self.disk.open().map_err(|error| Failure::Store(error.to_string()))?),
            dial: DialOptions { rng_seed: Some(rng_seed), ..DialOptions::default() },
        })
    }

    /// Takes up the device, or makes it the first time.
    fn host(&self, world: &World) -> Result<Host, Failure> {
        let parts = self.parts(world)?;
        if self.state.borrow().made {
            return open(parts);
        }
        let host = create(parts, &world.relay.link)?;
        self.state.borrow_mut().made = true;
        Ok(host)
    }

    /// Makes the network do what the link does.
    pub(super) fn apply_link(&self, world: &World) {
        let link = self.link.get();
        let state = match link {
            Link::Down => LinkState::Down,
            Link::Silent => LinkState::Silent,
            Link::Up | Link::OnlyOut | Link::OnlyIn => LinkState::Up,
        };
        world.network.set_link(self.ip, state);
        world.network.set_direction(self.ip, Way::Up, link != Link::OnlyIn);
        world.network.set_direction(self.ip, Way::Down, link != Link::OnlyOut);
    }

    pub(super) fn apply_nat(&self, world: &World) {
        if self.person.behind_nat {
            world.network.set_nat(self.ip, self.outside());
        }
    }
}

/// Changes a phone's link.
pub(super) fn set_link(world: &World, phone: &Phone, link: Link) {
    let carried = phone.link.replace(link) == Link::Up;
    phone.apply_link(world);
    if carried != (link == Link::Up) {
        world.see(Seen::Link(phone.id, link == Link::Up));
    }
}

/// Switches a phone on, if it is off.
pub(super) fn switch_on(world: &Rc<World>, phone: &Rc<Phone>) {
    if phone.is_on() {
        return;
    }
    let life = {
        let mut state = phone.state.borrow_mut();
        state.on = true;
        state.life += 1;
        state.life
    };
    let (calls, requests) = mpsc::channel(CALLS_MAX);
    let (stop, stopped) = oneshot::channel();
    let (seen_by, owner) = (Rc::clone(world), Rc::clone(phone));
    let task = world.spawn(async move {
        let stopped = async { stopped.await.unwrap_or(()) };
        let ended = match owner.person.habit {
            Habit::Daemon => daemon(&seen_by, &owner, requests, stopped).await,
            Habit::Commands => commands(&seen_by, &owner, requests, stopped).await,
        };
        has_ended(&seen_by, &owner, life, ended);
    });
    let mut state = phone.state.borrow_mut();
    (state.calls, state.stop, state.task) = (Some(calls), Some(stop), Some(task));
    drop(state);
    world.see(Seen::Phone(phone.id, true));
}

async fn daemon(
    world: &Rc<World>,
    phone: &Rc<Phone>,
    requests: mpsc::Receiver<Call>,
    stopped: impl Future<Output = ()>,
) -> Result<(), Failure> {
    let mut host = account::on_account(account_of(phone.id), || phone.host(world))?;
    phone.apply_nat(world);
    phone.apply_link(world);
    account::on(account_of(phone.id), host.serve(requests, stopped)).await
}

/// Opens the device for each request, as the program does when no daemon runs. Only what looks, and nothing else, is asked
/// of a device that is open already: between two commands nothing can change, and taking up a device costs more than
/// everything else that a town does.
async fn commands(
    world: &Rc<World>,
    phone: &Rc<Phone>,
    mut requests: mpsc::Receiver<Call>,
    stopped: impl Future<Output = ()>,
) -> Result<(), Failure> {
    let taken_up = || account::on_account(account_of(phone.id), || phone.host(world));
    let mut unchanged = Some(taken_up()?);
    tokio::pin!(stopped);
    loop {
        let call = tokio::select! {
            biased;
            () = &mut stopped => return Ok(()),
            call = requests.recv() => call,
        };
        let Some(Call { request, reply, .. }) = call else { return Ok(()) };
        let looks = only_looks(&request);
        let mut host = match unchanged.take().filter(|_| looks) {
            Some(host) => host,
            None => taken_up()?,
        };
        phone.apply_nat(world);
        phone.apply_link(world);
        let answer = account::on(account_of(phone.id), host.execute(request, &mut |_| {})).await;
        let cut = matches!(&answer, Err(Failure::Store(_)));
        // Whoever asked may have lost patience.
        let _unheard = reply.send(answer.clone());
        if cut {
            return answer.map(drop);
        }
        unchanged = looks.then_some(host);
    }
}

/// Whether a request neither changes a device nor meets a relay.
fn only_looks(request: &Request) -> bool {
    match request {
        Request::Contacts | Request::Inbox { .. } | Request::Voice { .. } | Request::Status => true,
        Request::Verify { digits, .. } => digits.is_none(),
        _ => false,
    }
}

/// The program on a phone has ended by itself, or as it was asked to.
fn has_ended(world: &Rc<World>, phone: &Rc<Phone>, life: u64, ended: Result<(), Failure>) {
    if phone.state.borrow().life != life || !phone.is_on() {
        return;
    }
    let asked = phone.state.borrow().stop.is_none();
    let broke = phone.broke.swap(false, Ordering::Relaxed);
    off(world, phone);
    match ended {
        Ok(()) if asked => return,
        Ok(()) => world.broken(format!("the program of person {} ended without being asked to", phone.id)),
        // A disk fault of the plan, or a full disk: the phone starts again, as its owner would do.
        Err(Failure::DiskFull) => {}
        Err(Failure::Store(_)) if broke => {}
        Err(failure) => world.broken(format!("the program of person {} ended: {failure}", phone.id)),
    }
    let (world, phone) = (Rc::clone(world), Rc::clone(phone));
    let _task = Rc::clone(&world).spawn(async move {
        tokio::time::sleep(RESTART_PAUSE).await;
        if phone.state.borrow().life == life {
            switch_on(&world, &phone);
        }
    });
}

/// Takes away everything that runs: sockets first, so that nothing says goodbye.
fn off(world: &World, phone: &Phone) {
    world.network.crash(phone.ip);
    let mut state = phone.state.borrow_mut();
    (state.on, state.calls, state.stop) = (false, None, None);
    if let Some(task) = state.task.take() {
        task.abort();
    }
    drop(state);
    phone.disk.crash();
    world.see(Seen::Phone(phone.id, false));
}

/// Cuts a phone's power.
pub(super) fn cut_power(world: &World, phone: &Phone) {
    if phone.is_on() {
        off(world, phone);
    }
}

/// Switches a phone off as it should be done.
pub(super) async fn switch_off(world: &Rc<World>, phone: &Rc<Phone>) {
    let (life, stop) = {
        let mut state = phone.state.borrow_mut();
        (state.life, state.stop.take())
    };
    let Some(stop) = stop else { return };
    // A program that ended by itself meanwhile hears nothing.
    let _gone = stop.send(());
    tokio::time::sleep(END_TIME_MAX).await;
    if phone.is_on() && phone.state.borrow().life == life {
        // Commands finish what they do first, which may take as long as they were told to wait; nobody waits for that.
        if phone.person.habit == Habit::Daemon {
            world.broken(format!("the program of person {} did not end when it was asked to", phone.id));
        }
        off(world, phone);
    }
}

/// Asks the program on a phone something.
pub(super) async fn ask(world: &World, phone: &Phone, request: Request) -> Result<Reply, NoAnswer> {
    let calls = phone.state.borrow().calls.clone().ok_or(NoAnswer::Off)?;
    let what = format!("{request:?}").chars().take(40).collect::<String>();
    let (reply, answer) = oneshot::channel();
    let (progress, _unheard) = mpsc::channel(1);
    let asked = tokio::time::timeout(ANSWER_TIME_MAX, async {
        calls.send(Call { request, progress, reply }).await.ok()?;
        answer.await.ok()
    });
    match asked.await {
        // A copy, so that what the world keeps of it is not the phone's memory.
        Ok(Some(Ok(reply))) => Ok(reply.clone()),
        Ok(Some(Err(failure))) => Err(NoAnswer::Failed(failure)),
        Ok(None) => Err(NoAnswer::Off),
        Err(_) => {
            world.broken(format!("the program of person {} did not answer {what}", phone.id));
            Err(NoAnswer::Off)
        }
    }
}
