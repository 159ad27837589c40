//! Whatever a relay writes down, nobody learns from it who spoke with whom, when, from where, or a byte of what was said.
//!
//! Real sessions over QUIC and TCP, with a change of address, sends that fail and frames that are refused, at a relay that logs at
//! `trace`; then its log, files, status, panic messages, and what `Debug` shows, are searched for everything that was in them.
#![cfg(test)]

use std::collections::BTreeSet;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::sync::oneshot;
use tracing::field::{Field, Visit};
use tracing::{Event, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::{Context, SubscriberExt};
use zajil_net::{EndpointSecrets, RelayIdentity, SystemClock, SystemRandom, Transports};
use zajil_proto::durable::Durable;
use zajil_proto::ids::RelayHash;
use zajil_proto::keys::{Signature, SigningKey, VerifyingKey};
use zajil_proto::limits::PARCEL_BYTES_MAX;
use zajil_proto::parcel::{Assembly, Mark, Resumed, SealedParcel, Travel};
use zajil_proto::random::Random;
use zajil_proto::relay_link::RelayLink;
use zajil_proto::session::client::{Asked, ClientCommand, ClientEvent, ClientSession, ClientSettings, Registering};
use zajil_proto::session::custody::{Extension, Registration, SlotState, StoreReply, StoreRequest, Waiting};
use zajil_proto::session::relay::{Admission, RelayCommand, RelayEvent, RelaySettings};
use zajil_proto::time::{Lifetime, Minute};
use zajil_proto::wire::{Code, Frame, Observation, Precision, Prove, PutStart, SEALED_WORD_BYTES, Scope, Word};
use zajil_relay::config::LogLevel;
use zajil_relay::logging::{hush_panics, subscriber};
use zajil_relay::relay::{Parts, Relay};
use zajil_relay::store::{Engine, Exported, Part, SqliteOptions, SqliteStore, Store, StoreKey, StoreLimits};
use zajil_tests::addresses::OwnAddress;
use zajil_tests::device::Device;
use zajil_tests::failing_sends::{FORBIDDEN, FailingSends};
use zajil_tests::needles::Needles;
use zajil_tests::parcels::{OwnParcel, Pair};
use zajil_tests::relay_process::RelayHome;
use zajil_tests::sessions::{Notebook, Raw, Recorded, note};

/// Longest lifetime the relays here keep, days.
const DAYS_MAX: u16 = 30;

/// A relay, what a person was handed of it, and what its sessions must not leave anywhere.
struct Scene {
    address: String,
    key: VerifyingKey,
    admission: String,
    needles: Needles,
    debug: Notebook,
}

impl Scene {
    fn new(address: SocketAddr, key: VerifyingKey, admission: String) -> Self {
        let mut needles = Needles::default();
        needles.text("admission code", &admission);
        Self { address: address.to_string(), key, admission, needles, debug: Notebook::default() }
    }

    async fn device(&self, network: &OwnAddress, transports: Transports) -> Device {
        let make =
            |exporter| Recorded::new(ClientSession::new(ClientSettings::default(), exporter), Arc::clone(&self.debug));
        Device::connect_with(network, &self.address, self.key, transports, make).await.unwrap()
    }

    fn pair(&mut self, name: &str) -> Pair {
        let pair = Pair::draw(&mut SystemRandom::new());
        for (what, key) in [("write", &pair.write), ("read", &pair.read)] {
            self.needles.bytes(&format!("{name}: {what} key"), key.public().as_bytes());
            self.needles.bytes(&format!("{name}: {what} seed"), &key.seed().0);
        }
        self.needles.bytes(&format!("{name}: mailbox"), pair.mailbox().as_bytes());
        self.needles.bytes(&format!("{name}: slot"), pair.slot().as_bytes());
        self.needles.bytes(&format!("{name}: read tag"), &pair.read_tag().0);
        pair
    }

    fn parcel(&mut self, pair: &Pair, chunks: usize, lifetime: Lifetime) -> OwnParcel {
        let own = pair.parcel(&mut SystemRandom::new(), chunks, lifetime);
        self.needles.bytes("parcel id", own.id().as_bytes());
        self.needles.bytes("parcel key", own.key.public().as_bytes());
        self.needles.bytes("parcel seed", &own.key.seed().0);
        self.needles.body("body", &own.parcel.body);
        for mark in &own.parcel.marks {
            self.needles.bytes("mark", &mark.signature.0);
        }
        // The test finds what it looks for where it is.
        assert!(!self.needles.found_in(&own.parcel.body).is_empty());
        note(&self.debug, &(&own.parcel, &own.parcel.header, &own.key));
        own
    }

    fn register(&self, pair: &Pair, scope: Scope) -> ClientCommand {
        let registering = pair.registering(scope);
        ClientCommand::Register(Box::new(Registering { admission: self.admission.clone(), ..registering }))
    }

    /// Fails if anything of the sessions stands in `text`.
    fn search(&self, place: &str, text: &[u8]) {
        let found = self.needles.found_in(text);
        assert!(found.is_empty(), "{place} tells: {found:?}");
    }

    fn search_files(&self, directory: &Path) -> usize {
        let mut bytes = 0;
        for entry in std::fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            self.search("the name of a file", path.as_os_str().as_encoded_bytes());
            if path.is_dir() {
                bytes += self.search_files(&path);
            } else if path.is_file() {
                let content = std::fs::read(&path).unwrap();
                // The relay's own key file must hold the code it asks for.
                if !path.ends_with("relay.key") {
                    self.search(&path.display().to_string(), &content);
                }
                bytes += content.len();
            }
        }
        bytes
    }
}

/// Fails the sends of a relay in this process, and knows when one has failed.
struct Disturbance {
    switch: Arc<AtomicBool>,
    failed: Notebook,
}

impl Disturbance {
    async fn happens(&self, reader: &Device, slot: &Pair) {
        self.switch.store(true, Ordering::Relaxed);
        // The relay has to answer, if only that it heard.
        reader.say(ClientCommand::GetSeen { slot: slot.slot() }).await;
        while !self.failed.lock().unwrap().contains(&FORBIDDEN.to_string()) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        self.switch.store(false, Ordering::Relaxed);
    }
}

/// A mother writes notes, takes one back, and leaves a last word. Returns how many notes wait.
async fn write(scene: &mut Scene, mother: &OwnAddress, transports: Transports, mailbox: &Pair, slot: &Pair) -> usize {
    let mut notes = Vec::new();
    for chunks in [1, 9, 60, 300] {
        notes.push(scene.parcel(mailbox, chunks, Lifetime::DEFAULT));
    }
    let regretted = scene.parcel(mailbox, 3, Lifetime::DEFAULT);
    let mut sealed = [0; SEALED_WORD_BYTES];
    SystemRandom::new().fill(&mut sealed);
    scene.needles.bytes("word", &sealed[..64]);
    let word = Word::sign(&slot.write, slot.read_tag(), 1, sealed);
    note(&scene.debug, &word);

    let mut device = scene.device(mother, transports).await;
    for (pair, scope) in [(mailbox, Scope::Mailbox), (slot, Scope::Slot)] {
        device.say(pair.prove(scope)).await;
        device.say(scene.register(pair, scope)).await;
    }
    device.say(ClientCommand::PutWord { word, write_key: Some(slot.write.clone()) }).await;
    for own in notes.iter().chain([&regretted]) {
        device.say(own.offer(0)).await;
    }
    let mut unstored = notes.len() + 1;
    let all_stored = |event| match event {
        ClientEvent::Stored { .. } => {
            unstored -= 1;
            (unstored == 0).then_some(())
        }
        ClientEvent::Refused { code, .. } => panic!("{code}"),
        _ => None,
    };
    device.until(all_stored).await;
    let (write_key, read_tag, parcel_key) = (mailbox.write.public(), mailbox.read_tag(), regretted.key);
    device.say(ClientCommand::Withdraw { write_key, read_tag, parcel_key }).await;
    let is_withdrawn =
        |event| matches!(event, ClientEvent::Answered { asked: Asked::Withdraw { .. }, .. }).then_some(());
    device.until(is_withdrawn).await;
    device.say(ClientCommand::Finish).await;
    device.end().await;
    notes.len()
}

/// A father reads them, on a way that changes and fails meanwhile, and lets one go. Returns his open session.
async fn read(
    device: Device,
    wait: usize,
    move_to: Option<&OwnAddress>,
    fail: Option<&Disturbance>,
    pairs: [&Pair; 2],
) -> Device {
    let ([mailbox, slot], mut device) = (pairs, device);
    device.say(mailbox.prove(Scope::Mailbox)).await;
    device.say(slot.prove(Scope::Slot)).await;
    device.say(ClientCommand::GetSeen { slot: slot.slot() }).await;
    let word = device.until(|event| if let ClientEvent::Seen { word, .. } = event { Some(word) } else { None }).await;
    assert!(word.is_some(), "the word is there");
    device.say(ClientCommand::Watch { mailbox: mailbox.mailbox(), live: true, held: Vec::new() }).await;
    device.until(|event| matches!(event, ClientEvent::Arriving { .. }).then_some(())).await;
    if let Some(network) = move_to {
        device.mover().unwrap().move_to(network, "0.0.0.0:0".parse().unwrap()).unwrap();
    }
    if let Some(disturbance) = fail {
        disturbance.happens(&device, slot).await;
    }
    let mut whole = Vec::new();
    let all_whole = |event| match event {
        ClientEvent::Body(arrived) if arrived.closed => {
            whole.push(Durable::after_sync(arrived.id));
            (whole.len() == wait).then_some(())
        }
        _ => None,
    };
    device.until(all_whole).await;
    whole.truncate(1);
    device.say(ClientCommand::Release { mailbox: mailbox.mailbox(), ids: whole }).await;
    device.until(|event| matches!(event, ClientEvent::Released { .. }).then_some(())).await;
    device
}

/// What a relay does not take, each with its reason.
async fn is_refused(scene: &mut Scene, network: &OwnAddress, transports: Transports) {
    let (known, unknown, small) = (scene.pair("known"), scene.pair("unknown"), scene.pair("small"));
    let long = scene.parcel(&known, 2, Lifetime::LONGEST);
    let lost = scene.parcel(&unknown, 2, Lifetime::DEFAULT);
    let surplus = [scene.parcel(&small, 1, Lifetime::DEFAULT), scene.parcel(&small, 1, Lifetime::DEFAULT)];
    let mut device = scene.device(network, transports).await;
    for pair in [&known, &small] {
        device.say(pair.prove(Scope::Mailbox)).await;
    }
    device.say(scene.register(&known, Scope::Mailbox)).await;
    let admission = "a wrong code that somebody guessed".to_owned();
    scene.needles.text("wrong admission code", &admission);
    let (small, guess) = (small.registering(Scope::Mailbox), unknown.registering(Scope::Mailbox));
    let small = Registering { admission: scene.admission.clone(), parcels_max: Some(1), ..small };
    device.say(ClientCommand::Register(Box::new(small))).await;
    device.say(unknown.prove(Scope::Mailbox)).await;
    device.say(ClientCommand::Register(Box::new(Registering { admission, ..guess }))).await;
    for own in [&long, &lost, &surplus[0], &surplus[1]] {
        device.say(own.offer(0)).await;
    }
    let mut codes = BTreeSet::new();
    let expected = [Code::NOT_ADMITTED, Code::LIFETIME, Code::NOT_HERE, Code::MAILBOX_FULL];
    let all_refused = |event| {
        if let ClientEvent::Answered { code, .. } | ClientEvent::Refused { code, .. } = event {
            codes.insert(code);
        }
        expected.iter().all(|code| codes.contains(code)).then_some(())
    };
    device.until(all_refused).await;
}

/// What ends a session, with the code it ends with.
fn mistakes(scene: &mut Scene) -> Vec<(Code, Vec<Vec<u8>>)> {
    let hello = Frame::Hello { lowest: 1, highest: 1, features: 0 }.encode();
    let pair = scene.pair("mistaken");
    let own = scene.parcel(&pair, 20, Lifetime::DEFAULT);
    let bytes = own.parcel.body[..1_000].to_vec();
    let put = |transfer| {
        let header = *own.parcel.header.as_bytes();
        Frame::Put(PutStart { transfer, offset: 0, header, travel: Travel::default() }).encode()
    };
    let body = |transfer, offset| Frame::Body { transfer, offset, bytes: bytes.clone() }.encode();
    let forged = Prove::sign(Scope::Mailbox, pair.write.public(), &pair.read, &[7; 32]);
    let id = own.id();
    note(&scene.debug, &(&forged, Frame::Body { transfer: 1, offset: 0, bytes: bytes.clone() }));
    vec![
        (Code::VERSION, vec![Frame::Hello { lowest: 9, highest: 9, features: 0 }.encode()]),
        (Code::UNEXPECTED, vec![hello.clone(), hello.clone()]),
        (Code::UNEXPECTED, vec![put(1)]),
        (Code::MALFORMED, vec![hello.clone(), [&[0x04, 0x10][..], &id.as_bytes()[..]].concat()]),
        (Code::UNKNOWN_FRAME, vec![hello.clone(), [&[0x3e, 0x10][..], &id.as_bytes()[..]].concat()]),
        (Code::TOO_LARGE, vec![hello.clone(), [&[0x0c, 0x80, 0, 0x4e, 0x20][..], &bytes].concat()]),
        (Code::BAD_SIGNATURE, vec![hello.clone(), Frame::Prove(forged).encode()]),
        (Code::BAD_ID, vec![hello, body(77, 0)]),
    ]
}

/// Mistakes that a relay sees only with a parcel it would take.
fn mistakes_with_a_parcel(scene: &mut Scene, mailbox: &Pair) -> Vec<(Code, Vec<Vec<u8>>)> {
    let hello = Frame::Hello { lowest: 1, highest: 1, features: 0 }.encode();
    let mut start = |transfer| {
        let own = scene.parcel(mailbox, 20, Lifetime::DEFAULT);
        let (header, bytes) = (*own.parcel.header.as_bytes(), own.parcel.body[..1_000].to_vec());
        (Frame::Put(PutStart { transfer, offset: 0, header, travel: Travel::default() }).encode(), bytes)
    };
    let (gap, forged) = (start(1), start(2));
    let many = (1..=9).map(|transfer| start(transfer).0).collect();
    let mark = Mark { end: 1_000, last: false, signature: Signature([5; 64]) };
    let body = |transfer, offset, bytes| Frame::Body { transfer, offset, bytes }.encode();
    vec![
        (Code::BAD_OFFSET, vec![hello.clone(), gap.0, body(1, 5_000, gap.1)]),
        (Code::TOO_MANY, [vec![hello.clone()], many].concat()),
        (Code::BAD_SIGNATURE, vec![hello, forged.0, body(2, 0, forged.1), Frame::Mark { transfer: 2, mark }.encode()]),
    ]
}

async fn ends_with(scene: &Scene, network: &OwnAddress, transports: Transports, frames: Vec<Vec<u8>>) -> Code {
    let device = Device::connect_with(network, &scene.address, scene.key, transports, |_| Raw::default()).await;
    let mut device = device.unwrap();
    for bytes in frames {
        device.say(bytes).await;
    }
    let closes = |frame| {
        note(&scene.debug, &frame);
        if let Frame::Close { code, .. } = frame { Some(code) } else { None }
    };
    device.until(closes).await
}

/// Everything that a relay can be made to meet, over one kind of transport. Returns a session that is still open.
async fn everything_happens(
    scene: &mut Scene,
    transports: Transports,
    first_host: u8,
    disturbance: Option<&Disturbance>,
) -> Device {
    let [mother, father, elsewhere, stranger] =
        [0, 1, 2, 3].map(|more| OwnAddress::new(Ipv4Addr::new(127, 0, 0, first_host + more)));
    let (mailbox, slot) = (scene.pair("mailbox"), scene.pair("slot"));
    let waiting = write(scene, &mother, transports, &mailbox, &slot).await;
    let device = scene.device(&father, transports).await;
    let is_quic = device.mover().is_some();
    let device = read(device, waiting, is_quic.then_some(&elsewhere), disturbance, [&mailbox, &slot]).await;
    is_refused(scene, &stranger, transports).await;
    let mistakes = [mistakes(scene), mistakes_with_a_parcel(scene, &mailbox)].concat();
    for (code, frames) in mistakes {
        assert_eq!(ends_with(scene, &stranger, transports, frames).await, code, "{transports:?}");
    }
    for network in [&mother, &father, &elsewhere, &stranger] {
        assert!(!network.sockets().is_empty() || !is_quic);
        for socket in network.sockets() {
            scene.needles.socket("a device's address", socket);
        }
    }
    device
}

async fn hears_that_the_relay_stops(mut device: Device) {
    device
        .until(|event| matches!(event, ClientEvent::Closed { code: Code::DRAINING, by_relay: true }).then_some(()))
        .await;
}

/// Hears what other crates would log, to prove that there is something to be kept out.
struct Others(Notebook);

impl<S: Subscriber> Layer<S> for Others {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        struct Text<'a>(&'a mut String);
        impl Visit for Text<'_> {
            fn record_debug(&mut self, _: &Field, value: &dyn std::fmt::Debug) {
                self.0.push_str(&format!("{value:?}\n"));
            }
        }
        if event.metadata().target().starts_with("quinn") {
            event.record(&mut Text(&mut self.0.lock().unwrap()));
        }
    }
}

#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl std::io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

fn parts(directory: &Path, network: FailingSends, admission: &str) -> (Parts, VerifyingKey) {
    let mut random = SystemRandom::new();
    let relay_key = SigningKey::draw(&mut random);
    let options = SqliteOptions {
        directory: directory.to_owned(),
        key: StoreKey::draw(&mut random),
        limits: StoreLimits::default(),
        random: Box::new(SystemRandom::new()),
        space: None,
    };
    let store = Engine::Sqlite(SqliteStore::open(options).unwrap());
    let settings = RelaySettings {
        relay_key: relay_key.clone(),
        epoch: store.epoch(),
        admission: Admission::Code(admission.to_owned()),
        clock_trust: 1,
        next_visit_minutes: 0,
        parcel_bytes_max: PARCEL_BYTES_MAX,
        lifetime_hours_max: DAYS_MAX * 24,
        links: Vec::new(),
    };
    let parts = Parts {
        clock: Arc::new(SystemClock::new()),
        network: Arc::new(network),
        store,
        identity: RelayIdentity::new(&relay_key).unwrap(),
        secrets: EndpointSecrets::draw(&mut random),
        listen: vec!["127.0.0.1:0".parse().unwrap()],
        settings,
        rng_seed: None,
    };
    (parts, relay_key.public())
}

#[tokio::test]
async fn a_relay_in_this_process_leaves_nothing_of_its_sessions_when_sends_fail() {
    let (log, others, directory) = (Log::default(), Notebook::default(), tempfile::tempdir().unwrap());
    let writer = log.clone();
    let both = subscriber(LogLevel::Trace, false, move || writer.clone()).with(Others(Arc::clone(&others)));
    tracing::subscriber::set_global_default(both).unwrap();
    let network = FailingSends::default();
    let disturbance = Disturbance { switch: network.switch(), failed: Arc::clone(&others) };
    let admission = "only-for-friends-of-friends";
    let (parts, key) = parts(directory.path(), network, admission);
    let relay = Relay::start(parts).unwrap();
    let mut scene = Scene::new(relay.addresses()[0], key, admission.to_owned());
    note(&scene.debug, &relay);
    let observer = relay.observer();
    let (stop, stopped) = oneshot::channel::<()>();
    let running = tokio::spawn(relay.run(async move { drop(stopped.await) }));

    let device = everything_happens(&mut scene, Transports::QuicOnly, 20, Some(&disturbance)).await;
    assert!(scene.search_files(directory.path()) > 300_000, "the notes are in these files");
    let counts = format!("{:?}", observer.metrics().counts());
    stop.send(()).unwrap();
    hears_that_the_relay_stops(device).await;
    running.await.unwrap().unwrap();

    for counted in ["session_ended_BAD_SIGNATURE", "refused_MAILBOX_FULL", "parcel_stored", "word_put"] {
        assert!(counts.contains(counted), "{counted} is not among {counts}");
    }
    let text = log.0.lock().unwrap().clone();
    assert!(String::from_utf8_lossy(&text).contains("counted since the start"), "it does log at this level");
    let others = others.lock().unwrap().clone();
    assert!(!scene.needles.found_in(others.as_bytes()).is_empty(), "other crates do tell");
    scene.search("the log", &text);
    scene.search("the counters", counts.as_bytes());
    scene.search("Debug", scene.debug.lock().unwrap().as_bytes());
    scene.search_files(directory.path());
}

#[tokio::test]
async fn a_relay_as_it_is_installed_leaves_nothing_of_its_sessions() {
    let home = RelayHome::init(&["--invite-only"]);
    home.configure(&format!("log = \"trace\"\nlifetime_days_max = {DAYS_MAX}"));
    let mut relay = home.start();
    let RelayLink { key, admission, .. } = home.link().clone();
    assert!(!admission.is_empty());
    let mut scene = Scene::new(relay.address(), key, admission);
    for (transports, first_host) in [(Transports::QuicOnly, 30), (Transports::TlsOnly, 40)] {
        let device = everything_happens(&mut scene, transports, first_host, None).await;
        for arguments in [&[][..], &["--json"]] {
            let status = home.run("status", arguments);
            assert!(status.status.success());
            // A number in JSON follows a colon as a port does, and one of the numbers may be one of the ports.
            let told = String::from_utf8(status.stdout).unwrap().replace("\":", "\": ");
            scene.search("status", told.as_bytes());
        }
        scene.search_files(&home.path());
        relay.ask_to_stop();
        hears_that_the_relay_stops(device).await;
        assert!(relay.stop().success());
        scene.search_files(&home.path());
        relay = home.start();
        scene.address = relay.address().to_string();
    }
    assert!(home.log().contains("counted since the start"), "it does log at this level: {}", home.log());
    scene.search("the log", home.log().as_bytes());
    scene.search("Debug", scene.debug.lock().unwrap().as_bytes());
}

/// What the relay hands to and fro about a mailbox and a parcel, as whoever debugs it would print it.
#[test]
fn values_of_the_relay_show_nothing_of_what_they_hold() {
    let address = "192.0.2.7:443".parse().unwrap();
    let mut scene = Scene::new(address, VerifyingKey([9; 32]), "only-for-friends".into());
    let pair = scene.pair("mailbox");
    let own = scene.parcel(&pair, 9, Lifetime::DEFAULT);
    let SealedParcel { header, body, marks } = own.parcel.clone();
    let (id, mailbox, travel) = (own.id(), pair.mailbox(), Travel::default());
    let mut assembly = Assembly::new(header.clone());
    assembly.take(0, &body[..5_000]).unwrap();
    let Resumed { chain, tail, .. } = assembly.state();
    scene.needles.bytes("chain", &chain.0);
    let word = Word::sign(&pair.write, pair.read_tag(), 3, [77; SEALED_WORD_BYTES]);
    scene.needles.bytes("word", &word.sealed);
    let registration = Registration {
        scope: Scope::Mailbox,
        id: mailbox.0,
        read_tag: pair.read_tag(),
        parcels_max: None,
        bytes_max: None,
        audience: false,
        valid_hours: None,
        precision: Precision::Day,
        homes: vec![RelayHash([8; 8])],
    };
    let extension =
        Extension { id, mailbox, offset: 0, bytes: body.clone(), marks: marks.clone(), chain, closed: true };
    let waiting = Waiting { header: header.clone(), travel, held: 10, closed: true };
    let slot = SlotState {
        registered: true,
        precision: Precision::Day,
        word: Some(word.clone()),
        observation: Observation::NONE,
    };
    let requests = [
        StoreRequest::Register(registration.clone()),
        StoreRequest::Put { header: header.clone(), travel },
        StoreRequest::Extend(extension),
        StoreRequest::Withdraw { mailbox, id },
        StoreRequest::List { mailbox },
        StoreRequest::Release { mailbox, ids: vec![id] },
        StoreRequest::PutWord { word: word.clone(), observation: None },
        StoreRequest::Seen { slot: pair.slot() },
        StoreRequest::Drop { scope: Scope::Mailbox, id: mailbox.0 },
    ];
    let replies = [
        StoreReply::Open(Resumed { chain, tail, closed: false }),
        StoreReply::Stored(Durable::after_sync(id)),
        StoreReply::Waiting(vec![waiting]),
        StoreReply::Bytes { bytes: body.clone(), marks: marks.clone() },
        StoreReply::Slot(slot),
    ];
    for (ticket, request) in (0..).zip(requests) {
        note(&scene.debug, &RelayEvent::Store { ticket, request });
    }
    for (ticket, reply) in (0..).zip(replies) {
        note(&scene.debug, &RelayCommand::Store { ticket, reply, wall: Minute(29_920_680) });
    }
    note(&scene.debug, &(RelayEvent::WatchStarted { mailbox }, RelayCommand::Arrived { mailbox }, assembly));
    note(&scene.debug, &Part { bytes: body.clone(), marks: marks.clone() });
    let kept = [
        Exported::Mailbox(registration.clone()),
        Exported::Slot { registration, word: Some(word), observation: Observation::NONE },
        Exported::Parcel { header, travel, body, marks },
    ];
    note(&scene.debug, &kept);
    let link = RelayLink { key: scene.key, admission: scene.admission.clone(), address: address.to_string() };
    scene.needles.text("address", "192.0.2.7");
    note(&scene.debug, &(link, Admission::Code(scene.admission.clone())));
    scene.search("Debug", scene.debug.lock().unwrap().as_bytes());
}

#[test]
fn a_panic_says_where_it_happened_and_nothing_of_what_it_was_about() {
    let (said, usual) = (Notebook::default(), std::panic::take_hook());
    let notebook = Arc::clone(&said);
    hush_panics(move |line| notebook.lock().unwrap().push_str(&line));
    let panicked = std::thread::spawn(|| panic!("the mailbox 0123456789abcdef of 192.0.2.7 is odd")).join();
    std::panic::set_hook(usual);
    assert!(panicked.is_err());
    let said = said.lock().unwrap().clone();
    assert!(said.contains("e2e_leaks_relay.rs") && !said.contains("0123") && !said.contains("192.0.2.7"), "{said}");
}
