//! One transfer over one link.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio::task::{AbortHandle, LocalSet};
use tokio::time::Instant;
use zajil_client::engine::api::{Direction, NoteMark, NoteView, Reply, Request, Voice, Wait, WordState};
use zajil_client::engine::host::{Call, Host, Parts, create, open};
use zajil_client::store::MemoryDisk;
use zajil_net::links::{LinkSettings, Profile, Windows};
use zajil_net::memory::{MemoryWorld, SimulatedClock};
use zajil_net::{Clock, DialOptions, EndpointSecrets, KeyExchange, LinkClass, Network, RelayIdentity};
use zajil_proto::keys::SigningKey;
use zajil_proto::relay_link::RelayLink;
use zajil_proto::time::Minute;
use zajil_relay::relay::{Parts as RelayParts, Relay};
use zajil_relay::store::{Cursor, Engine, Exported, MemoryStore, Store, StoreLimits};

use crate::chance::Chance;
use crate::limit::ideal;
use crate::note::{Note, PACKET_BYTES};

pub(crate) const RELAY: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 0, 0, 1));
pub(crate) const NEAR: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 0, 1, 1));
pub(crate) const FAR: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 0, 1, 2));
/// 2026-11-20, 12:00 UTC.
pub(crate) const START: Minute = Minute(29_920_680);
/// How often the person looks whether it has come.
const LOOK: Duration = Duration::from_millis(5);
/// How often it is looked whether the word lies at the relay.
const LOOK_FOR_WORD: Duration = Duration::from_millis(1);
/// Bytes that came when a second of the note can be played, a head and its padding among them.
const SECOND_BYTES: u32 = 3_000;
/// Notes up to this long are those of the introduction.
const SHORT_BYTES: u32 = 4_000;
/// Between what was before and the transfer.
pub(crate) const REST: Duration = Duration::from_secs(150);
/// Who has not got it by then has failed.
pub const PATIENCE: Duration = Duration::from_secs(300);

/// What goes over the bad link, and which way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// A note, from the person behind the bad link to the relay.
    Send,
    /// A note, from the relay to the person behind the bad link.
    Receive,
    /// A last word of the person behind the bad link, until it lies at the relay.
    Word,
}

/// The bad link.
#[derive(Debug, Clone)]
pub struct Link {
    /// Away from the device.
    pub up: LinkSettings,
    /// Towards it.
    pub down: LinkSettings,
}

impl From<Profile> for Link {
    fn from(profile: Profile) -> Self {
        let (up, down) = profile.settings();
        Self { up, down }
    }
}

/// What the program remembers of its relay.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Start {
    /// It starts: it knows its relay's address and key, and what an earlier program met.
    Cold,
    /// It has met its relay over this link, and hung up some minutes ago.
    Warm,
}

/// One transfer of a note or a word.
#[derive(Debug, Clone)]
pub struct Trial {
    /// Over what.
    pub link: Link,
    /// What is sent, unless it is a word.
    pub note: Note,
    /// Which way.
    pub way: Way,
    /// What the program remembers.
    pub start: Start,
    /// What the device takes its link for.
    pub class: LinkClass,
    /// Which key exchange it offers where nothing was measured.
    pub exchange: KeyExchange,
    /// Everything that chance decides.
    pub seed: u64,
}

/// What came of it.
#[derive(Debug, Clone, Copy)]
pub struct Outcome {
    /// Until the sender knew that it is stored, the receiver had it whole, or the relay had the word durably; `None` = not within
    /// [`PATIENCE`].
    pub whole: Option<Duration>,
    /// Receiving: until the first second could be played.
    pub first_second: Option<Duration>,
    /// Bytes of IP offered to the link, away from the device and towards it.
    pub bytes: (u64, u64),
    /// What it would have taken at best, where the link comes and goes.
    pub ideal: Option<Duration>,
}

/// Plays one transfer in a runtime of its own.
pub fn play(trial: &Trial) -> Outcome {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
    let runtime = runtime.expect("a runtime can be made");
    LocalSet::new().block_on(&runtime, run(trial))
}

/// What a transfer stands on: networks and clocks.
pub(crate) struct Ground {
    /// The network as the machine with this address sees it.
    pub(crate) network: Box<dyn Fn(IpAddr) -> Arc<dyn Network>>,
    pub(crate) clock: Arc<dyn Clock>,
    /// Where the relay listens.
    pub(crate) relay: SocketAddr,
}

pub(crate) struct World<'a> {
    pub(crate) trial: &'a Trial,
    pub(crate) ground: Ground,
    pub(crate) opened: u64,
}

/// Two who have met: what their devices keep, and the note that goes from one to the other.
pub(crate) struct Met {
    pub(crate) near: MemoryDisk,
    pub(crate) far: MemoryDisk,
    pub(crate) voice: Voice,
}

/// A program that runs on a device.
pub(crate) struct Program {
    calls: mpsc::Sender<Call>,
    pub(crate) task: AbortHandle,
}

impl World<'_> {
    /// Starts the relay; returns its store too.
    pub(crate) fn start_relay(&self) -> (RelayLink, MemoryStore) {
        let mut chance = Chance::new(self.trial.seed ^ 0x0e1a);
        let key = SigningKey::draw(&mut chance);
        let store = MemoryStore::new(StoreLimits::default(), &mut chance).expect("an empty store can be made");
        let settings = crate::open_relay::settings(&key, store.epoch());
        let mut rng_seed = [0x9e; 32];
        rng_seed[..8].copy_from_slice(&self.trial.seed.to_be_bytes());
        let kept = store.clone();
        let relay = Relay::start(RelayParts {
            clock: Arc::clone(&self.ground.clock),
            network: (self.ground.network)(self.ground.relay.ip()),
            store: Engine::Memory(store),
            identity: RelayIdentity::new(&key).expect("a certificate can be made"),
            secrets: EndpointSecrets::draw(&mut chance),
            listen: vec![self.ground.relay],
            settings,
            rng_seed: Some(rng_seed),
        });
        let relay = relay.expect("the relay starts");
        tokio::task::spawn_local(async move { relay.run(std::future::pending()).await });
        (RelayLink { key: key.public(), admission: String::new(), address: self.ground.relay.to_string() }, kept)
    }

    pub(crate) fn parts(&mut self, address: IpAddr, disk: &MemoryDisk) -> Parts {
        self.opened += 1;
        let seed = self.trial.seed ^ (self.opened << 40);
        let mut rng_seed = [0; 32];
        rng_seed[..8].copy_from_slice(&seed.to_be_bytes());
        Parts {
            clock: Arc::clone(&self.ground.clock),
            network: (self.ground.network)(address),
            random: Box::new(Chance::new(seed)),
            store: Box::new(disk.open().expect("the disk can be opened")),
            dial: DialOptions {
                rng_seed: Some(rng_seed),
                link_class: self.trial.class,
                key_exchange: self.trial.exchange,
                ..DialOptions::default()
            },
        }
    }

    /// Makes two devices that know each other and have hung up.
    pub(crate) async fn two_who_have_met(&mut self, link: &RelayLink) -> Met {
        let met = Met {
            near: MemoryDisk::new(),
            far: MemoryDisk::new(),
            voice: self.trial.note.voice(&mut Chance::new(self.trial.seed)),
        };
        let mut near = create(self.parts(NEAR, &met.near), link).expect("a device can be made");
        let mut far = create(self.parts(FAR, &met.far), link).expect("a device can be made");
        meet(&mut near, &mut far, &met.voice).await;
        if self.trial.way == Way::Word {
            // Its reader can ask for it: what is timed is the next one.
            ask(&mut near, word("we are well")).await;
        }
        met
    }

    pub(crate) fn open(&mut self, address: IpAddr, disk: &MemoryDisk) -> Host {
        open(self.parts(address, disk)).expect("the device can be opened")
    }
}

impl Program {
    pub(crate) fn new(mut host: Host) -> Self {
        let (calls, requests) = mpsc::channel(16);
        let task = tokio::task::spawn_local(async move {
            host.serve(requests, std::future::pending()).await.expect("the device's disk is sound");
        });
        Self { calls, task: task.abort_handle() }
    }

    pub(crate) async fn ask(&self, request: Request) -> Reply {
        let (progress, _unheard) = mpsc::channel(1);
        let (reply, answer) = oneshot::channel();
        self.calls.send(Call { request, progress, reply }).await.expect("the program runs");
        answer.await.expect("the program answers").expect("it can be done")
    }

    /// Sends a note to the other; returns how long after `begin` it was stored, `None` if not in time.
    pub(crate) async fn sends(&self, voice: Voice, begin: Instant) -> Option<Duration> {
        let sent = tokio::time::timeout(PATIENCE, self.ask(send("Far", voice, Wait::Stored))).await;
        sent.is_ok_and(is_stored).then(|| begin.elapsed())
    }

    async fn note(&self, direction: Direction) -> Option<NoteView> {
        let Reply::Notes(notes) = self.ask(Request::Inbox { all: true }).await else { panic!("a strange answer") };
        notes.into_iter().rfind(|note| note.direction == direction && note.progress.1 > SHORT_BYTES)
    }
}

async fn ask(host: &mut Host, request: Request) -> Reply {
    host.execute(request, &mut |_| {}).await.expect("it can be done")
}

async fn run(trial: &Trial) -> Outcome {
    let network = MemoryWorld::seeded(Duration::ZERO, trial.seed);
    let zero = Instant::now();
    let machines = network.clone();
    let ground = Ground {
        network: Box::new(move |address| machines.machine(&[address])),
        clock: Arc::new(SimulatedClock::new(START)),
        relay: SocketAddr::from((RELAY, 443)),
    };
    let mut world = World { trial, ground, opened: 0 };
    let (link, store) = world.start_relay();
    let Met { near: near_disk, far: far_disk, voice } = world.two_who_have_met(&link).await;
    let far = Program::new(world.open(FAR, &far_disk));
    let mut near = world.open(NEAR, &near_disk);
    // Whatever the meeting takes, the transfer begins at the same time: else it would begin where links come and go alike.
    let begin_at = Instant::now() + if trial.start == Start::Warm { PATIENCE + REST } else { REST };
    if trial.start == Start::Warm {
        network.set_access(NEAR, trial.link.up.clone(), trial.link.down.clone());
        ask(&mut near, Request::Sync { timeout_millis: millis(PATIENCE) }).await;
    }
    if trial.way == Way::Receive {
        far.ask(send("Near", voice.clone(), Wait::Stored)).await;
    }
    // What was begun has ended by now.
    tokio::time::sleep_until(begin_at).await;
    network.set_access(NEAR, trial.link.up.clone(), trial.link.down.clone());
    let near = Program::new(near);
    let before = network.traffic(NEAR);
    let begin = Instant::now();
    let phase = offset(&trial.link.up.windows) + (begin - zero);
    let (whole, first_second) = match trial.way {
        Way::Send => (near.sends(voice.clone(), begin).await, None),
        Way::Receive => receive(&near, begin).await,
        Way::Word => {
            let before = newest_word(&store);
            let lies_there = async {
                while newest_word(&store) == before && begin.elapsed() < PATIENCE {
                    tokio::time::sleep(LOOK_FOR_WORD).await;
                }
                (newest_word(&store) > before).then(|| begin.elapsed())
            };
            // Whose it is becomes known a little later.
            let (_written, lies_there) = tokio::join!(near.ask(word("we are well, and on our way")), lies_there);
            (lies_there, None)
        }
    };
    // The goodbye counts.
    let after = network.traffic(NEAR);
    near.task.abort();
    let bytes =
        (after.up.offered.bytes - before.up.offered.bytes, after.down.offered.bytes - before.down.offered.bytes);
    let ideal = ideal(&trial.link, trial.way, trial.start, trial.note.sealed_bytes(), phase);
    Outcome { whole, first_second, bytes, ideal }
}

/// Returns how far into the coming and going of the link the world began.
const fn offset(windows: &Windows) -> Duration {
    match windows {
        Windows::Cycle { offset, .. } => *offset,
        _ => Duration::ZERO,
    }
}

fn is_stored(reply: Reply) -> bool {
    matches!(reply, Reply::Sent(note) if note.mark >= NoteMark::AtRelay)
}

pub(crate) fn send(to: &str, voice: Voice, wait: Wait) -> Request {
    Request::Send { to: to.into(), voice, lifetime_days: None, wait, timeout_millis: millis(PATIENCE) }
}

fn word(text: &str) -> Request {
    let (state, text, to) = (WordState::Well, text.into(), Vec::new());
    Request::WriteWord { state, text, tell_minute: true, to, timeout_millis: millis(PATIENCE) }
}

/// Returns the highest version of a word that would outlive a power cut of the relay.
fn newest_word(store: &MemoryStore) -> Option<u64> {
    let mut kept = store.inspect().expect("its rows can be read");
    let (mut newest, mut next) = (None, Some(Cursor::default()));
    while let Some(from) = next {
        let page = kept.exported(from).expect("its rows can be read");
        let versions = page.records.iter().filter_map(|record| match record {
            Exported::Slot { word: Some(word), .. } => Some(word.version),
            _ => None,
        });
        newest = versions.max().max(newest);
        next = page.next;
    }
    newest
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).expect("it is small")
}

pub(crate) async fn receive(near: &Program, begin: Instant) -> (Option<Duration>, Option<Duration>) {
    let mut first_second = None;
    while begin.elapsed() < PATIENCE {
        if let Some(note) = near.note(Direction::In).await {
            if first_second.is_none() && note.progress.0 >= SECOND_BYTES {
                first_second = Some(begin.elapsed());
            }
            if note.mark >= NoteMark::Delivered {
                return (Some(begin.elapsed()), first_second);
            }
        }
        tokio::time::sleep(LOOK).await;
    }
    (None, first_second)
}

/// Two people pair over a good link and exchange a note each way, so that the sessions of both are handed over.
async fn meet(near: &mut Host, far: &mut Host, voice: &Voice) {
    let invite = Request::Invite { name: "Far".into() };
    let Reply::Invited { link, .. } = ask(near, invite).await else { panic!("a strange answer") };
    let accept = Request::Accept { name: "Near".into(), link, in_person: true };
    let Reply::Accepted { return_code, .. } = ask(far, accept).await else { panic!("a strange answer") };
    ask(near, Request::TakeReturn { name: "Far".into(), code: return_code }).await;
    for _ in 0..3 {
        sync(near).await;
        sync(far).await;
    }
    // The first note of a session brings its keys with it; what is timed is one of the thirty others.
    let word = |to| send(to, Voice { packets: vec![vec![0; PACKET_BYTES]; 20], ..voice.clone() }, Wait::Stored);
    ask(near, word("Far")).await;
    ask(far, word("Near")).await;
    for _ in 0..3 {
        sync(near).await;
        sync(far).await;
    }
}

async fn sync(host: &mut Host) {
    ask(host, Request::Sync { timeout_millis: 20_000 }).await;
}
