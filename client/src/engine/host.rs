//! The engine at work: carries out requests, holds links, keeps promises. One task; everything it waits for is bounded.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;
use zajil_net::{Clock, DialOptions, Network, Networks};
use zajil_proto::keys::VerifyingKey;
use zajil_proto::random::Random;
use zajil_proto::relay_link::RelayLink;
use zajil_proto::sealing::{Address, HomeRelay};
use zajil_proto::session::client::ClientEvent;
use zajil_proto::{accounted, reached, sabotaged};

use super::api::{self, Failure, Progress, Reply, Request, Trouble};
use super::fading::{self, Running};
use super::goals::{Goal, Waiting};
use super::hunting::{Hunt, key_exchange};
use super::links::{Happened, Link, LinkEvent, LinkTask};
use super::lived::Moment;
use super::model::Profile;
use super::probing::Probing;
use super::remembered::Remembered;
use super::state::Device;
use super::surroundings::Surroundings;
use crate::limits::{
    FINISH_MILLIS_MAX, FULL_DISK_FETCHES_BYTES_MIN, FULL_DISK_MEETS_BYTES_MIN, HOST_EVENTS_QUEUED_MAX,
    HUNT_SELDOM_MILLIS, LINKS_MAX, PROGRESS_QUEUED_MAX, REQUESTS_WAITING_MAX,
};
use crate::store::DeviceStore;

/// What a disk has room for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Room {
    /// Not even what is noted of a meeting.
    Nothing,
    /// What is noted of notes that leave.
    Sending,
    /// What waits at relays, too.
    All,
}

/// What an engine is made of.
pub struct Parts {
    /// The clocks, wall and monotonic apart.
    pub clock: Arc<dyn Clock>,
    /// Sockets.
    pub network: Arc<dyn Network>,
    /// Keys come from here.
    pub random: Box<dyn Random + Send>,
    /// What this device keeps.
    pub store: Box<dyn DeviceStore>,
    /// How relays are dialled.
    pub dial: DialOptions,
}

impl std::fmt::Debug for Parts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Parts(..)")
    }
}

/// A request on its way to a [`Host`] that serves.
#[derive(Debug)]
pub struct Call {
    /// The request.
    pub request: Request,
    /// Where to tell how it goes. What finds no room is left out.
    pub progress: mpsc::Sender<Progress>,
    /// Where to answer.
    pub reply: oneshot::Sender<Result<Reply, Failure>>,
}

/// The engine of one device.
pub struct Host {
    pub(crate) device: Device,
    pub(crate) clock: Arc<dyn Clock>,
    network: Arc<dyn Network>,
    dial: DialOptions,
    pub(crate) links: BTreeMap<VerifyingKey, Link>,
    pub(crate) troubles: BTreeMap<VerifyingKey, Trouble>,
    surroundings: Surroundings,
    /// How relays are met sooner than for the first time.
    remembered: Remembered,
    /// What is known of networks.
    networks: Arc<Networks>,
    /// Relays that are not met.
    hunts: BTreeMap<VerifyingKey, Hunt>,
    pub(crate) probing: Probing,
    /// What somebody said that the link carries.
    pub(crate) link: Option<api::Link>,
    pub(crate) ask_seen: BTreeSet<u32>,
    pub(crate) waiting: Vec<Waiting>,
    tasks: JoinSet<()>,
    events: mpsc::Receiver<LinkEvent>,
    events_in: mpsc::Sender<LinkEvent>,
    next_link: u64,
    /// Whether the disk was full when something was last written.
    full: bool,
    /// Whether something may have been committed since the store's log was last wiped.
    unscrubbed: bool,
    /// The store cannot be read any more: nothing can go on.
    failed: Option<Failure>,
    /// Whether links are held without a request that needs them.
    serving: bool,
    stopping: bool,
    /// Whether nothing is to be finished when it stops.
    abandoned: bool,
    /// How old the device is as long as this program runs.
    running: Running,
    /// When it was last looked for what is to be erased.
    faded: Option<Moment>,
}

impl std::fmt::Debug for Host {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Host(..)")
    }
}

/// Makes a new device in an empty store, with its home at `relay`.
///
/// # Errors
/// [`Failure::BadLink`] for an address no device can dial, [`Failure::Store`], [`Failure::DiskFull`].
pub fn create(parts: Parts, relay: &RelayLink) -> Result<Host, Failure> {
    let address = Address::parse(&relay.address).map_err(|_| Failure::BadLink)?;
    let Parts { clock, network, mut random, store, dial } = parts;
    let home = HomeRelay { key: relay.key, address };
    let profile = Profile::draw(&mut random, home, relay.admission.clone());
    let device = Device::create(store, random, profile)?;
    Ok(Host::new(device, clock, network, dial))
}

/// Takes up the device in a store.
///
/// # Errors
/// [`Failure::Store`] if there is none, or it cannot be read.
pub fn open(parts: Parts) -> Result<Host, Failure> {
    let Parts { clock, network, random, store, dial } = parts;
    let device =
        Device::open(store, random)?.ok_or_else(|| Failure::Store("there is no device in this store".into()))?;
    Ok(Host::new(device, clock, network, dial))
}

impl Host {
    fn new(device: Device, clock: Arc<dyn Clock>, network: Arc<dyn Network>, dial: DialOptions) -> Self {
        let (events_in, events) = mpsc::channel(HOST_EVENTS_QUEUED_MAX);
        let probing = Probing::default();
        let running = Running::new(&device, clock.now());
        Self {
            device,
            clock,
            network,
            dial: DialOptions { cost: Some(probing.cost()), ..dial },
            networks: Arc::default(),
            links: BTreeMap::new(),
            troubles: BTreeMap::new(),
            surroundings: Surroundings::default(),
            remembered: Remembered::default(),
            hunts: BTreeMap::new(),
            probing,
            link: None,
            ask_seen: BTreeSet::new(),
            waiting: Vec::new(),
            tasks: JoinSet::new(),
            events,
            events_in,
            next_link: 0,
            full: false,
            unscrubbed: false,
            failed: None,
            serving: false,
            stopping: false,
            abandoned: false,
            running,
            faded: None,
        }
    }

    /// Carries out one request, meeting relays only if it needs them, and hangs up.
    ///
    /// # Errors
    /// [`Failure`]; what was sealed or received meanwhile is kept.
    pub async fn execute(&mut self, request: Request, progress: &mut dyn FnMut(Progress)) -> Result<Reply, Failure> {
        let (progress_out, mut progress_in) = mpsc::channel(PROGRESS_QUEUED_MAX);
        let (reply, mut answer) = oneshot::channel();
        self.begin(Call { request, progress: progress_out, reply });
        let result = loop {
            tokio::select! {
                biased;
                Some(step) = progress_in.recv() => progress(step),
                result = &mut answer => break result.unwrap_or(Err(Failure::Busy)),
                result = self.turn() => if let Err(failure) = result { break Err(failure) },
            }
        };
        while let Ok(step) = progress_in.try_recv() {
            progress(step);
        }
        self.hang_up().await;
        result
    }

    /// Holds the links and carries out requests as they come, until `stop` resolves or one asks to stop.
    ///
    /// # Errors
    /// [`Failure`] if the store fails: what it holds is as it was at the last commit.
    pub async fn serve(
        &mut self,
        mut requests: mpsc::Receiver<Call>,
        stop: impl Future<Output = ()>,
    ) -> Result<(), Failure> {
        self.serving = true;
        tokio::pin!(stop);
        let mut open = true;
        let result = loop {
            if self.stopping {
                break Ok(());
            }
            tokio::select! {
                biased;
                () = &mut stop => break Ok(()),
                call = requests.recv(), if open => match call {
                    Some(call) => self.begin(call),
                    None => open = false,
                },
                result = self.turn() => if let Err(failure) = result { break Err(failure) },
            }
        };
        self.serving = false;
        if self.abandoned {
            self.tasks.shutdown().await;
        } else {
            self.hang_up().await;
        }
        result
    }

    fn begin(&mut self, call: Call) {
        self.unscrubbed = true;
        if matches!(call.request, Request::Stop | Request::Abandon) {
            self.stopping = true;
            self.abandoned |= matches!(call.request, Request::Abandon);
            let _ = call.reply.send(Ok(Reply::Stopping));
            return;
        }
        if self.waiting.len() >= REQUESTS_WAITING_MAX {
            let _ = call.reply.send(Err(Failure::Busy));
            return;
        }
        match self.start(&call.request) {
            Ok(Goal::Done(reply)) => {
                let _ = call.reply.send(Ok(*reply));
            }
            Ok(goal) => {
                let until = self.clock.now().after(Duration::from_millis(goal.timeout_millis(&call.request)));
                self.waiting.push(Waiting::new(goal, until, call.progress, call.reply));
                // Whoever asks now wants to know now: no link waits for its turn to be dialled again.
                self.hunts.clear();
                self.full = false;
            }
            Err(failure) => {
                self.recover_or_end(&failure);
                let _ = call.reply.send(Err(failure));
            }
        }
    }

    /// After a request that failed: memory is as the disk again, or the host ends at its next turn.
    pub(crate) fn recover_or_end(&mut self, failure: &Failure) {
        if let Err(stop) = self.recover(failure) {
            tracing::error!("the store of this device cannot be read any more");
            self.failed = Some(stop);
        }
    }

    /// After a commit that failed, what is in memory is ahead of the disk: takes up what is durable and meets relays anew.
    fn recover(&mut self, failure: &Failure) -> Result<(), Failure> {
        match failure {
            Failure::DiskFull => {
                reached!(DeviceFull);
                self.full = true;
            }
            Failure::Store(_) => reached!(DeviceStoreFailed),
            _ => return Ok(()),
        }
        for mut link in std::mem::take(&mut self.links).into_values() {
            link.meeting.hand_over(&mut self.device);
        }
        self.tasks.abort_all();
        // Nobody makes room within seconds, and each try costs a connection; whoever asks for something is not kept waiting.
        self.rest();
        if sabotaged!(FailedCommitKept) { Ok(()) } else { self.device.reload() }
    }

    /// Looks for no relay for a while.
    fn rest(&mut self) {
        let now = self.clock.now();
        let next = now.after(Duration::from_millis(HUNT_SELDOM_MILLIS));
        let relays: Vec<VerifyingKey> = self.targets().iter().map(|relay| relay.key).collect();
        self.hunts.extend(relays.into_iter().map(|relay| (relay, Hunt::new(now, next))));
    }

    /// Returns what the disk has room for by now, if it was full.
    fn room(&mut self) -> Room {
        let room = self.full.then(|| self.device.store.room()).flatten();
        match room {
            Some(room) if room < FULL_DISK_MEETS_BYTES_MIN => Room::Nothing,
            Some(room) if room < FULL_DISK_FETCHES_BYTES_MIN => Room::Sending,
            _ => {
                self.full = false;
                Room::All
            }
        }
    }

    /// Waits for one thing to happen and does what it asks for. Cancelling it loses nothing.
    async fn turn(&mut self) -> Result<(), Failure> {
        if let Some(failure) = self.failed.take() {
            return Err(failure);
        }
        self.advance().or_else(|failure| self.survive(failure))?;
        let wake = self.next_wake();
        // Whatever the end of a task means was told before.
        while self.tasks.try_join_next().is_some() {}
        tokio::select! {
            biased;
            Some(event) = self.events.recv() => self.happened(event).or_else(|failure| self.survive(failure)),
            () = self.surroundings.changed(&*self.network) => {
                self.network_changed().or_else(|failure| self.survive(failure))
            }
            () = tokio::time::sleep(wake) => {
                self.scrub();
                Ok(())
            }
        }
    }

    /// Wipes what the store's log still holds of keys that were erased, once something was committed. One that fails now is
    /// tried again; the records themselves are gone already.
    fn scrub(&mut self) {
        if self.unscrubbed && self.device.store.scrub().is_ok() {
            self.unscrubbed = false;
        }
    }

    /// A full disk stops nobody for good: who waits is told, what is durable stays, and it goes on when there is room.
    fn survive(&mut self, failure: Failure) -> Result<(), Failure> {
        self.recover(&failure)?;
        if failure != Failure::DiskFull {
            return Err(failure);
        }
        for waiting in std::mem::take(&mut self.waiting) {
            waiting.answer(Err(failure.clone()));
        }
        Ok(())
    }

    /// Everything that can be done without waiting: dials, plans, answers.
    fn advance(&mut self) -> Result<(), Failure> {
        let wall = self.clock.wall();
        if self.serving || !self.waiting.is_empty() {
            self.device.tell_what_is_due(wall)?;
            for link in self.links.values_mut() {
                link.meeting.expire(&mut self.device, wall, self.clock.now())?;
            }
            self.dial_targets();
        }
        self.fade()?;
        self.plan_all()?;
        self.settle();
        Ok(())
    }

    /// Erases the sound of notes whose time is over.
    fn fade(&mut self) -> Result<(), Failure> {
        let age = self.running.age(&self.device, self.clock.now());
        if self.device.fading_due || fading::is_due(self.faded, age) {
            self.faded = Some(age);
            self.unscrubbed |= self.device.fade(age)?;
        }
        Ok(())
    }

    fn happened(&mut self, event: LinkEvent) -> Result<(), Failure> {
        self.unscrubbed = true;
        let LinkEvent { relay, number, what } = event;
        let Some(link) = self.links.get_mut(&relay).filter(|link| link.number == number) else { return Ok(()) };
        match what {
            Happened::Connected => link.meeting.connected(&self.device, self.clock.wall(), self.clock.now()),
            Happened::Session(ClientEvent::Ticket(ticket)) => {
                self.remembered.keep(&relay, Some(*ticket), self.clock.now());
            }
            Happened::Session(ClientEvent::TicketRefused) => self.remembered.keep(&relay, None, self.clock.now()),
            Happened::Session(ClientEvent::TicketUnknown) => {
                self.remembered.keep(&relay, None, self.clock.now());
                // Dialled again at the next turn: what was asked by the ticket was not answered.
                self.end_meeting(&relay)?;
            }
            Happened::Session(event) => {
                let wall = self.clock.wall();
                link.meeting.take(&mut self.device, event, wall, self.clock.now())?;
                if link.meeting.is_welcomed() {
                    self.troubles.remove(&relay);
                    self.hunts.remove(&relay);
                }
                if link.meeting.not_admitted {
                    self.troubles.insert(relay, Trouble::NotAdmitted);
                }
                if link.meeting.is_outdated() {
                    // Dialled again at the next turn; the connection closes itself, for nobody commands it any more.
                    self.end_meeting(&relay)?;
                }
            }
            Happened::Over(trouble) => {
                let (began, met) = (link.began, link.meeting.is_welcomed());
                // What it has brought is told before the link is forgotten.
                self.settle();
                self.end_meeting(&relay)?;
                if let Some(trouble) = trouble {
                    self.troubles.insert(relay, trouble);
                }
                let now = self.clock.now();
                // Links to relays that were met and lost are there again soon, if not at once.
                let hunt = self.hunts.entry(relay).or_insert_with(|| Hunt::after(began, now));
                if !met {
                    hunt.over(began, now, self.probing.is_spent(now));
                }
            }
        }
        Ok(())
    }

    /// A way to relays may have come or gone: looks for those that are not met at once, and takes what is under way along.
    fn network_changed(&mut self) -> Result<(), Failure> {
        reached!(NetworkChanged);
        let now = self.clock.now();
        let change = self.surroundings.look(&*self.network, now);
        if change.has_moved {
            self.links.values().for_each(Link::moved);
        }
        if self.probing.is_spent(now) {
            return Ok(());
        }
        // What was tried before would go on in the old way until its time is over.
        let tried: Vec<VerifyingKey> =
            self.links.iter().filter(|(_, link)| !link.meeting.is_connected()).map(|(relay, _)| *relay).collect();
        for relay in &tried {
            self.links.get(relay).into_iter().for_each(Link::give_up);
            self.end_meeting(relay)?;
        }
        if change.is_one_of_many {
            self.hunts.values_mut().for_each(|hunt| *hunt = Hunt::quietly(now));
        } else {
            self.hunts.clear();
        }
        Ok(())
    }

    /// Forgets a link, and keeps what must outlive its meeting.
    fn end_meeting(&mut self, relay: &VerifyingKey) -> Result<(), Failure> {
        let Some(mut link) = self.links.remove(relay) else { return Ok(()) };
        link.meeting.keep(&mut self.device)
    }

    /// Dials every relay that something waits for and that is not met.
    fn dial_targets(&mut self) {
        let now = self.clock.now();
        let is_due = |relay: &&HomeRelay| {
            let due = self.hunts.get(&relay.key).is_none_or(|hunt| hunt.next() <= now);
            due && !self.links.contains_key(&relay.key)
        };
        // Asked at every turn, and mostly there is nothing to dial: only what is dialled is copied.
        let due: Vec<HomeRelay> = self.targets().into_iter().filter(is_due).cloned().collect();
        if !due.is_empty() && self.room() == Room::Nothing {
            return self.rest();
        }
        for relay in due {
            if self.links.len() >= LINKS_MAX {
                break;
            }
            for waiting in &self.waiting {
                waiting.tell(Progress::Connecting);
            }
            let number = self.next_link;
            self.next_link = number.saturating_add(1);
            let key = relay.key;
            let options = self.dial_options(&key);
            let (memory, ticket) = self.remembered.of(key, now);
            let (mut link, task) = Link::new(LinkTask {
                epoch: self.device.relays.get(&key).and_then(|known| known.epoch),
                relay,
                number,
                network: Arc::clone(&self.network),
                clock: Arc::clone(&self.clock),
                began: now,
                options: DialOptions { memory, ..options },
                ticket,
                events: self.events_in.clone(),
                moved: Arc::default(),
                planned: Arc::default(),
            });
            link.meeting.take_over(&mut self.device);
            link.carried_by(self.tasks.spawn(accounted!(task)));
            self.links.insert(key, link);
        }
    }

    /// How long nothing needs to be done, if nothing happens.
    fn next_wake(&self) -> Duration {
        if self.links.values().any(Link::has_queued) {
            return Duration::from_millis(10);
        }
        let now = self.clock.now();
        let hunts =
            self.hunts.iter().filter(|(relay, _)| !self.links.contains_key(*relay)).map(|(_, hunt)| hunt.next());
        let next = self.waiting.iter().map(|waiting| waiting.until).chain(hunts).min();
        let longest = Duration::from_secs(60);
        next.map_or(longest, |next| next.since(now).min(longest)).max(Duration::from_millis(1))
    }

    /// Takes what somebody says of the link, or leaves it to the program again. Says that there may be one now.
    pub(crate) fn set_link(&mut self, link: Option<api::Link>) {
        self.link = link;
        self.hunts.clear();
    }

    /// Returns how things stand.
    pub(crate) fn status(&mut self) -> Result<api::StatusView, Failure> {
        let mut status = self.device.status(&self.troubles)?;
        status.disk_full = self.room() != Room::All;
        status.probing = self.probing.view(self.clock.now());
        status.link = self.link;
        Ok(status)
    }

    /// Returns how to dial a relay now.
    fn dial_options(&self, relay: &VerifyingKey) -> DialOptions {
        let place = self.network.place();
        let measured = self.networks.class(place);
        let known = self.link.map(Into::into).or(measured);
        let options = DialOptions {
            link_class: known.unwrap_or(self.dial.link_class),
            networks: Some(Arc::clone(&self.networks)),
            ..self.dial.clone()
        };
        let hunt = self.hunts.get(relay);
        let options = hunt.map_or(options.clone(), |hunt| hunt.options(&options, self.networks.blocks_udp(place)));
        DialOptions { key_exchange: key_exchange(known, &options), ..options }
    }

    /// Ends all links in order, as far as that takes no longer than a few seconds.
    async fn hang_up(&mut self) {
        // A relay that has not answered yet is not waited for.
        for (key, mut link) in std::mem::take(&mut self.links) {
            if link.meeting.is_welcomed() {
                self.links.insert(key, link);
            } else {
                let kept = link.meeting.keep(&mut self.device);
                self.end_if_failed(kept);
            }
        }
        for link in self.links.values_mut() {
            link.finish();
        }
        let until = tokio::time::Instant::now() + Duration::from_millis(FINISH_MILLIS_MAX);
        while !self.links.is_empty() {
            tokio::select! {
                biased;
                Some(event) = self.events.recv() => {
                    let done = self.happened(event).and_then(|()| self.plan_all());
                    self.end_if_failed(done);
                }
                () = tokio::time::sleep_until(until) => {
                    reached!(HungUpUnfinished);
                    break;
                }
            }
        }
        self.tasks.shutdown().await;
        // What has been said counts, though nobody waits for more: above all how much of a note the relay has.
        while let Ok(event) = self.events.try_recv() {
            let done = self.happened(event);
            self.end_if_failed(done);
        }
        for mut link in std::mem::take(&mut self.links).into_values() {
            let _ = link.meeting.keep(&mut self.device);
        }
        self.hunts.clear();
        let faded = self.fade();
        self.end_if_failed(faded);
        self.scrub();
    }

    /// Ends all links at once if something could not be kept while they are hung up. A store that fails now fails the next request
    /// too, and says so there; but what comes next on such a link builds on what is not on the disk: a note with a hole in it.
    fn end_if_failed(&mut self, done: Result<(), Failure>) {
        if let Err(failure) = done
            && let Err(stop) = self.recover(&failure)
        {
            self.failed = Some(stop);
        }
    }

    fn plan_all(&mut self) -> Result<(), Failure> {
        let (now, wall, fetches) = (self.clock.now(), self.clock.wall(), self.room() == Room::All);
        for link in self.links.values_mut().filter(|link| link.wants_plan()) {
            link.meeting.fetches = fetches;
            let commands = link.meeting.plan(&self.device, &self.ask_seen, now, wall)?;
            link.say(commands);
            link.planned();
        }
        Ok(())
    }

    /// Returns the relays to be met, in order of their keys: the home, and where something is to be put, fetched or asked.
    pub(crate) fn targets(&self) -> Vec<&HomeRelay> {
        let mut targets = BTreeMap::new();
        let home = &self.device.profile.home;
        targets.insert(home.key, home);
        for relay in self.device.wanted_relays(&self.ask_seen) {
            targets.entry(relay.key).or_insert(relay);
        }
        targets.into_values().collect()
    }
}
