//! A real relay over a month in the life of two families; then everything of it is in other hands.

use std::collections::BTreeSet;
use std::fs;
use std::io::Write;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rusqlite::Connection;
use tempfile::TempDir;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use zajil_client::engine::api::{Receipts, Reply, Request, Voice, Wait, WordState};
use zajil_client::engine::host::{Host, Parts as DeviceParts, create};
use zajil_client::store::MemoryStore;
use zajil_net::memory::{MemoryWorld, SimulatedClock};
use zajil_net::{DialOptions, EndpointSecrets, RelayIdentity, SystemRandom};
use zajil_proto::keys::{Secret, SigningKey};
use zajil_proto::relay_link::RelayLink;
use zajil_proto::time::Minute;
use zajil_relay::config::LogLevel;
use zajil_relay::logging::subscriber;
use zajil_relay::relay::{Observer, Parts, Relay};
use zajil_relay::store::{Cursor, Engine, Exported, SqliteOptions, SqliteStore, Store, StoreKey, StoreLimits};
use zajil_tests::needles::Needles;

use crate::document::Document;
use crate::{assert_same, in_a_table};

const RELAY: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 0, 0, 1));
/// 2026-11-20, 12:00 UTC.
const START: Minute = Minute(29_920_680);
/// Days from one visit to the next.
const DAYS_BETWEEN: u64 = 3;
/// Visits of the month.
const VISITS: u64 = 10;
/// Two of one family, two of another, by the names they have for each other.
const KHALIL: [&str; 2] = ["Umm Khalil", "Abu Khalil"];
const MASRI: [&str; 2] = ["Zaynab al-Masri", "Yunus al-Masri"];
/// What each of them says of themselves.
const WORDS: [&str; 4] =
    ["we sleep at the school", "the bakery is open again", "moved to the olive press", "all five of us are here"];

/// What everybody writes to, at the most talkative level.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// A relay on a real disk, and a town in memory around it.
struct Town {
    network: MemoryWorld,
    clock: Arc<SimulatedClock>,
    key: SigningKey,
    store_key: [u8; 32],
    disk: TempDir,
    running: Option<(oneshot::Sender<()>, JoinHandle<()>, Observer)>,
    counters: BTreeSet<String>,
    people: u8,
}

impl Town {
    fn new() -> Self {
        Self {
            network: MemoryWorld::new(Duration::from_millis(1)),
            clock: Arc::new(SimulatedClock::new(START)),
            key: SigningKey::draw(&mut SystemRandom::new()),
            store_key: Secret::draw(&mut SystemRandom::new()).0,
            disk: TempDir::new().unwrap(),
            running: None,
            counters: BTreeSet::new(),
            people: 0,
        }
    }

    fn open(&self, directory: &Path) -> SqliteStore {
        SqliteStore::open(SqliteOptions {
            directory: directory.to_owned(),
            key: StoreKey::new(self.store_key),
            limits: StoreLimits::default(),
            random: Box::new(SystemRandom::new()),
            space: None,
        })
        .unwrap()
    }

    fn start(&mut self) {
        let store = Engine::Sqlite(self.open(self.disk.path()));
        let parts = Parts {
            clock: self.clock.clone(),
            network: self.network.machine(&[RELAY]),
            settings: zajil_tests::open_relay::settings(&self.key, store.epoch()),
            store,
            rng_seed: None,
            identity: RelayIdentity::new(&self.key).unwrap(),
            secrets: EndpointSecrets::draw(&mut SystemRandom::new()),
            listen: vec![SocketAddr::from((RELAY, 443))],
        };
        let relay = Relay::start(parts).unwrap();
        let observer = relay.observer();
        let (stop, stopped) = oneshot::channel();
        let running = tokio::task::spawn_local(async move {
            relay.run(async { stopped.await.unwrap_or(()) }).await.unwrap();
        });
        self.running = Some((stop, running, observer));
    }

    async fn stop(&mut self) {
        let (stop, running, observer) = self.running.take().unwrap();
        self.counters.extend(observer.metrics().counts().into_keys().map(str::to_owned));
        stop.send(()).unwrap();
        running.await.unwrap();
    }

    /// Some days go by, for the relay's store as for every clock.
    async fn days_pass(&mut self, days: u64) {
        self.stop().await;
        let store = self.open(self.disk.path());
        for _ in 0..days * 4 {
            store.sweep(Duration::from_secs(6 * 60 * 60)).await.unwrap();
        }
        store.close().await.unwrap();
        drop(store);
        self.clock.shift_wall(i64::try_from(days * 24 * 60).unwrap());
        self.start();
    }

    fn person(&mut self) -> Host {
        self.people += 1;
        let address = IpAddr::V4(Ipv4Addr::new(10, 0, 1, self.people));
        let link = RelayLink { key: self.key.public(), admission: String::new(), address: "10.0.0.1:443".into() };
        let parts = DeviceParts {
            clock: self.clock.clone(),
            network: self.network.machine(&[address]),
            random: Box::new(SystemRandom::new()),
            store: Box::new(MemoryStore::new()),
            dial: DialOptions::default(),
        };
        create(parts, &link).unwrap()
    }
}

async fn ask(host: &mut Host, request: Request) -> Reply {
    host.execute(request, &mut |_| {}).await.unwrap()
}

async fn sync(host: &mut Host) {
    ask(host, Request::Sync { timeout_millis: 20_000 }).await;
}

fn voice(seconds: u32) -> Voice {
    Voice {
        codec: 4,
        toc: 0x5c,
        packets: (0..seconds * 1_000 / 60).map(|number| vec![number.to_le_bytes()[0]; 80]).collect(),
        duration_millis: seconds * 1_000,
        loudness: 19,
        waveform: [0x5a; 24],
        complete: true,
    }
}

/// Pairs two people by a link, confirms both, and lets each see when the other came.
async fn pair(first: &mut Host, second: &mut Host, [one, other]: [&str; 2], needles: &mut Needles) {
    let Reply::Invited { link, .. } = ask(first, Request::Invite { name: other.into() }).await else { panic!() };
    needles.text("the pairing link", &link[8..60]);
    ask(second, Request::Accept { name: one.into(), link, in_person: false }).await;
    sync(first).await;
    sync(second).await;
    let digits = Request::Verify { name: other.into(), digits: None };
    let Reply::Digits { digits, .. } = ask(first, digits).await else { panic!() };
    ask(second, Request::Verify { name: one.into(), digits: Some(digits.clone()) }).await;
    ask(first, Request::Verify { name: other.into(), digits: Some(digits) }).await;
    for (host, name) in [(first, other), (second, one)] {
        ask(host, Request::SetContact { name: name.into(), receipts: Some(Receipts::AtOnce), seen: None }).await;
    }
}

/// One visit: a note and a word each way, and what came is heard.
async fn visit(first: &mut Host, second: &mut Host, [one, other]: [&str; 2], words: [&str; 2]) {
    let (mut hosts, names) = ([first, second], [other, one]);
    for (at, host) in hosts.iter_mut().enumerate() {
        let to = names[at].to_owned();
        let send =
            Request::Send { to, voice: voice(4), lifetime_days: None, wait: Wait::Stored, timeout_millis: 20_000 };
        ask(host, send).await;
        let word = Request::WriteWord {
            state: WordState::Well,
            text: words[at].into(),
            tell_minute: true,
            to: Vec::new(),
            timeout_millis: 20_000,
        };
        ask(host, word).await;
    }
    for host in &mut hosts {
        sync(host).await;
        let Reply::Notes(notes) = ask(host, Request::Inbox { all: false }).await else { panic!() };
        for note in notes {
            ask(host, Request::Heard { number: note.number }).await;
        }
    }
    for (host, name) in hosts.iter_mut().zip(names) {
        sync(host).await;
        ask(host, Request::Seen { name: name.into(), timeout_millis: 20_000 }).await;
    }
}

/// What nobody may find at a relay, whatever they seize of it.
fn secrets() -> Needles {
    let mut needles = Needles::default();
    for name in KHALIL.iter().chain(&MASRI) {
        needles.text("a name", name);
    }
    for word in WORDS {
        needles.text("a word", word);
    }
    needles.text("the address of a device", "10.0.1.");
    needles
}

fn all_files(directory: &Path) -> Vec<(String, Vec<u8>)> {
    let entries = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path());
    entries.map(|path| (path.file_name().unwrap().to_string_lossy().into_owned(), fs::read(&path).unwrap())).collect()
}

/// A copy of the files of a relay that runs, as somebody takes them who pulls the plug.
fn seize(directory: &Path) -> TempDir {
    let copy = TempDir::new().unwrap();
    for (name, content) in all_files(directory) {
        fs::write(copy.path().join(name), content).unwrap();
    }
    copy
}

fn columns(directory: &Path) -> BTreeSet<String> {
    let connection = Connection::open(SqliteStore::database(directory)).unwrap();
    let mut tables = connection.prepare("SELECT name FROM sqlite_schema WHERE type = 'table'").unwrap();
    let tables: Vec<String> = tables.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect();
    let others: u32 =
        connection.query_row("SELECT count(*) FROM sqlite_schema WHERE type <> 'table'", [], |row| row.get(0)).unwrap();
    assert_eq!(others, 0, "an index would be one more order in which things lie");
    let columns = tables.iter().flat_map(|table| {
        let mut names = connection.prepare("SELECT name FROM pragma_table_info(?1)").unwrap();
        let names: Vec<String> = names.query_map([table], |row| row.get(0)).unwrap().map(Result::unwrap).collect();
        names.into_iter().map(move |name| format!("column:{table}.{name}"))
    });
    columns.collect()
}

/// What a record says of a mailbox or slot, and the bytes of the whole record.
fn told(record: &Exported) -> (Vec<Vec<u8>>, Vec<u8>) {
    match record {
        Exported::Mailbox(kept) => {
            let names = vec![kept.id.to_vec(), kept.read_tag.0.to_vec()];
            let homes = kept.homes.iter().flat_map(|home| home.0).collect();
            (names.clone(), [names.concat(), homes].concat())
        }
        Exported::Slot { registration, word, .. } => {
            let mut names = vec![registration.id.to_vec(), registration.read_tag.0.to_vec()];
            let mut bytes = Vec::new();
            if let Some(word) = word {
                names.push(word.write_key.0.to_vec());
                bytes.extend([&word.sealed[..], &word.signature.0[..]].concat());
            }
            (names.clone(), [names.concat(), bytes].concat())
        }
        Exported::Parcel { header, body, marks, .. } => {
            let signatures: Vec<u8> = marks.iter().flat_map(|mark| mark.signature.0).collect();
            (vec![header.mailbox().0.to_vec()], [header.as_bytes().to_vec(), body.clone(), signatures].concat())
        }
    }
}

async fn everything(store: &SqliteStore) -> Vec<Exported> {
    let (mut records, mut from) = (Vec::new(), Some(Cursor::default()));
    while let Some(cursor) = from {
        let page = store.export(cursor).await.unwrap();
        records.extend(page.records);
        from = page.next;
    }
    records
}

/// Whoever has the store key too: what is in a record says nothing of another one's owner, and no time is finer than its bucket.
fn nothing_joins_two(records: &[Exported], needles: &Needles) {
    let told: Vec<_> = records.iter().map(told).collect();
    for (record, (own, bytes)) in records.iter().zip(&told) {
        assert!(needles.found_in(bytes).is_empty(), "{:?}", needles.found_in(bytes));
        for (other, (names, _)) in records.iter().zip(&told).filter(|(_, (names, _))| names[0] != own[0]) {
            if matches!(other, Exported::Parcel { .. }) {
                continue;
            }
            for name in names {
                let joins = bytes.windows(name.len()).any(|window| window == name);
                assert!(!joins, "{record:?} names what {other:?} is");
            }
        }
        if let Exported::Slot { observation, .. } = record {
            assert!([0, 6, 24].contains(&observation.width.hours()));
            assert!(
                observation.hour.0.is_multiple_of(observation.width.hours().max(1).into()),
                "an hour is a bucket's"
            );
        }
    }
}

async fn a_month(town: &mut Town, needles: &mut Needles) {
    town.start();
    let (mut mother, mut father) = (town.person(), town.person());
    let (mut aunt, mut uncle) = (town.person(), town.person());
    pair(&mut mother, &mut father, KHALIL, needles).await;
    pair(&mut aunt, &mut uncle, MASRI, needles).await;
    for _ in 0..VISITS {
        visit(&mut mother, &mut father, KHALIL, [WORDS[0], WORDS[1]]).await;
        visit(&mut aunt, &mut uncle, MASRI, [WORDS[2], WORDS[3]]).await;
        town.days_pass(DAYS_BETWEEN).await;
    }
    visit(&mut mother, &mut father, KHALIL, [WORDS[0], WORDS[1]]).await;
    let send = Request::Send {
        to: KHALIL[1].into(),
        voice: voice(9),
        lifetime_days: None,
        wait: Wait::Stored,
        timeout_millis: 20_000,
    };
    ask(&mut mother, send).await;
}

#[test]
fn after_a_month_a_seized_relay_tells_what_is_listed_and_nothing_else() {
    let log = Log::default();
    let writer = log.clone();
    tracing::subscriber::set_global_default(subscriber(LogLevel::Trace, false, move || writer.clone())).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let month = async {
        let (mut town, mut needles) = (Town::new(), secrets());
        a_month(&mut town, &mut needles).await;

        let document = Document::read();
        let copy = seize(town.disk.path());
        assert_same(&columns(seize(town.disk.path()).path()), &document.listed("column:"), "a table has it");
        for (name, content) in all_files(copy.path()) {
            assert!(document.listed("file:").contains(&format!("file:store/{name}")), "{name} is not listed");
            assert!(needles.found_in(&content).is_empty(), "{name} tells: {:?}", needles.found_in(&content));
        }
        let key = town.open(copy.path());
        let records = everything(&key).await;
        let waiting = records.iter().filter(|record| matches!(record, Exported::Parcel { .. })).count();
        assert!((1..20).contains(&waiting), "{waiting} parcels wait: what was released is not among them");
        nothing_joins_two(&records, &needles);
        drop(key);

        town.stop().await;
        let listed = document.listed("counter:");
        for counter in &town.counters {
            let is_listed = |name: &String| {
                let name = name.trim_start_matches("counter:");
                name.strip_suffix('*').map_or(name == counter, |start| counter.starts_with(start))
            };
            assert!(listed.iter().any(is_listed), "the counter {counter} is not listed");
        }
        assert!(town.counters.len() >= 6, "{:?}", town.counters);
        let log = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
        assert!(log.lines().count() > 20, "it does log at this level");
        let lines = document.listed("log:");
        for line in log.lines().map(in_a_table) {
            let is_listed = lines.iter().any(|known| line.contains(known.trim_start_matches("log:")));
            assert!(is_listed, "the line is not listed: {line}");
        }
        assert!(needles.found_in(log.as_bytes()).is_empty(), "the log tells: {:?}", needles.found_in(log.as_bytes()));
    };
    tokio::task::LocalSet::new().block_on(&runtime, month);
}
