//! The whole way of a note in one paused runtime: a relay and two engines over a simulated network, no thread, no disk, no socket.
#![cfg(test)]

mod crooked;
mod events;
mod faults;
mod renewal;
mod warm;

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use zajil_client::engine::api::{
    Failure, NoteMark, Pairing, Progress, Receipts, Reply, Request, SeenPrecision, SeenView, Trouble, Voice, Wait,
    WaitReason, WordState,
};
use zajil_client::engine::host::{Call, Host, Parts, create, open};
use zajil_client::store::{MemoryDisk, MemoryStore};
use zajil_net::memory::{LinkState, MemoryWorld, SimulatedClock};
use zajil_net::{DialOptions, EndpointSecrets, RelayIdentity, SystemRandom};
use zajil_proto::keys::SigningKey;
use zajil_proto::relay_link::RelayLink;
use zajil_proto::time::Minute;
use zajil_relay::relay::{Observer, Parts as RelayParts, Relay};
use zajil_relay::store::{Engine, MemoryStore as StoreInMemory, Store, StoreLimits};

const RELAY: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 0, 0, 1));
/// 2026-11-20, 12:00 UTC.
const START: Minute = Minute(29_920_680);

/// A relay and whoever meets it, in one runtime.
struct World {
    network: MemoryWorld,
    clock: Arc<SimulatedClock>,
    key: SigningKey,
    link: RelayLink,
    relay: Option<(oneshot::Sender<()>, JoinHandle<()>)>,
    observer: Option<Observer>,
    disk: Option<StoreInMemory>,
    people: u8,
}

impl World {
    fn new() -> Self {
        let network = MemoryWorld::new(Duration::from_millis(200));
        let clock = Arc::new(SimulatedClock::new(START));
        let key = SigningKey::draw(&mut SystemRandom::new());
        let link = RelayLink { key: key.public(), admission: String::new(), address: "10.0.0.1:443".into() };
        let mut world = Self { network, clock, key, link, relay: None, observer: None, disk: None, people: 0 };
        world.start_relay();
        world
    }

    /// Starts a relay with an empty store, at the address and with the key it always had.
    fn start_relay(&mut self) {
        self.start_relay_on(StoreInMemory::new(StoreLimits::default(), &mut SystemRandom::new()).unwrap());
    }

    /// Starts a relay with what a store holds.
    fn start_relay_on(&mut self, disk: StoreInMemory) {
        self.disk = Some(disk.clone());
        let store = Engine::Memory(disk);
        let settings = zajil_tests::open_relay::settings(&self.key, store.epoch());
        let parts = RelayParts {
            clock: self.clock.clone(),
            network: self.network.machine(&[RELAY]),
            settings,
            store,
            rng_seed: Some([9; 32]),
            identity: RelayIdentity::new(&self.key).unwrap(),
            secrets: EndpointSecrets::draw(&mut SystemRandom::new()),
            listen: vec![SocketAddr::from((RELAY, 443))],
        };
        let relay = Relay::start(parts).unwrap();
        self.observer = Some(relay.observer());
        let (stop, stopped) = oneshot::channel();
        let running = tokio::task::spawn_local(async move {
            let stopped = async { stopped.await.unwrap_or(()) };
            relay.run(stopped).await.unwrap();
        });
        self.relay = Some((stop, running));
    }

    /// The relay's disk is gone; its operator starts again with the same key.
    async fn lose_relays_store(&mut self) {
        let (stop, running) = self.relay.take().unwrap();
        stop.send(()).unwrap();
        running.await.unwrap();
        // The operator takes a while; meanwhile the transport lets go of its socket.
        tokio::time::sleep(Duration::from_secs(60)).await;
        self.start_relay();
    }

    fn person(&mut self) -> (Host, IpAddr) {
        self.person_with(MemoryStore::new())
    }

    /// A person whose device keeps what it keeps on `disk`.
    fn person_on(&mut self, disk: &MemoryDisk) -> (Host, IpAddr) {
        self.person_with(disk.open().unwrap())
    }

    fn person_with(&mut self, store: MemoryStore) -> (Host, IpAddr) {
        self.people += 1;
        let address = IpAddr::V4(Ipv4Addr::new(10, 0, 1, self.people));
        (create(self.parts(address, store), &self.link).unwrap(), address)
    }

    fn parts(&self, address: IpAddr, store: MemoryStore) -> Parts {
        Parts {
            clock: self.clock.clone(),
            network: self.network.machine(&[address]),
            random: Box::new(SystemRandom::new()),
            store: Box::new(store),
            dial: DialOptions { rng_seed: Some([self.people; 32]), ..DialOptions::default() },
        }
    }
}

async fn ask(host: &mut Host, request: Request) -> Reply {
    host.execute(request, &mut |_| {}).await.unwrap()
}

async fn refuse(host: &mut Host, request: Request) -> Failure {
    host.execute(request, &mut |_| {}).await.unwrap_err()
}

async fn sync(host: &mut Host) {
    ask(host, Request::Sync { timeout_millis: 20_000 }).await;
}

fn voice(seconds: u32) -> Voice {
    let packets = (0..seconds * 1000 / 60).map(|i| vec![i.to_le_bytes()[0]; 70 + usize::from(i.to_le_bytes()[0] % 30)]);
    Voice {
        codec: 4,
        toc: 0x5c,
        packets: packets.collect(),
        duration_millis: seconds * 1000,
        loudness: 19,
        waveform: [0x5a; 24],
        complete: true,
    }
}

fn send(to: &str, voice: Voice, wait: Wait) -> Request {
    Request::Send { to: to.into(), voice, lifetime_days: None, wait, timeout_millis: 20_000 }
}

async fn pair_by_link(mother: &mut Host, father: &mut Host) {
    let Reply::Invited { link, .. } = ask(mother, Request::Invite { name: "Father".into() }).await else { panic!() };
    let accept = Request::Accept { name: "Mother".into(), link, in_person: false };
    assert!(matches!(ask(father, accept).await, Reply::Accepted { .. }));
}

async fn confirm(mother: &mut Host, father: &mut Host) {
    sync(mother).await;
    sync(father).await;
    let verify = |name: &str, digits| Request::Verify { name: name.into(), digits };
    let Reply::Digits { digits, confirmed: false } = ask(mother, verify("Father", None)).await else { panic!() };
    let Reply::Digits { digits: theirs, .. } = ask(father, verify("Mother", None)).await else { panic!() };
    assert_eq!(digits, theirs);
    let wrong = digits.replace(|c: char| c.is_ascii_digit(), "7");
    assert_eq!(refuse(father, verify("Mother", Some(wrong))).await, Failure::DigitsDiffer);
    let Reply::Digits { confirmed: true, .. } = ask(mother, verify("Father", Some(theirs))).await else { panic!() };
    let Reply::Digits { confirmed: true, .. } = ask(father, verify("Mother", Some(digits))).await else { panic!() };
    for (host, name) in [(mother, "Father"), (father, "Mother")] {
        let set = Request::SetContact { name: name.into(), receipts: Some(Receipts::AtOnce), seen: None };
        ask(host, set).await;
    }
}

async fn note(host: &mut Host, number: u32) -> NoteMark {
    let Reply::Note(view) = ask(host, Request::Note { number }).await else { panic!() };
    view.mark
}

async fn heard_voice(host: &mut Host, number: u32) -> Voice {
    let Reply::Voice { voice, .. } = ask(host, Request::Voice { number }).await else { panic!() };
    voice
}

fn in_one_runtime(test: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    tokio::task::LocalSet::new().block_on(&runtime, test);
}

#[test]
fn a_note_goes_from_town_to_camp_through_a_relay_and_back_come_its_marks() {
    in_one_runtime(async {
        let mut world = World::new();
        let ((mut mother, _), (mut father, _)) = (world.person(), world.person());
        pair_by_link(&mut mother, &mut father).await;
        confirm(&mut mother, &mut father).await;
        let spoken = voice(15);
        let Reply::Sent(sent) = ask(&mut mother, send("Father", spoken.clone(), Wait::Stored)).await else { panic!() };
        assert_eq!(sent.mark, NoteMark::AtRelay);
        sync(&mut father).await;
        let Reply::Notes(notes) = ask(&mut father, Request::Inbox { all: false }).await else { panic!() };
        assert_eq!((notes.len(), notes[0].mark, notes[0].duration_millis), (1, NoteMark::Delivered, 15_000));
        assert_eq!(heard_voice(&mut father, notes[0].number).await, spoken);
        sync(&mut mother).await;
        assert_eq!(note(&mut mother, sent.number).await, NoteMark::Delivered);
        ask(&mut father, Request::Heard { number: notes[0].number }).await;
        sync(&mut father).await;
        sync(&mut mother).await;
        assert_eq!(note(&mut mother, sent.number).await, NoteMark::Heard);
    });
}

#[test]
fn who_opens_a_link_speaks_at_once_though_the_inviter_is_dark() {
    in_one_runtime(async {
        let mut world = World::new();
        let ((mut mother, _), (mut father, _)) = (world.person(), world.person());
        pair_by_link(&mut mother, &mut father).await;
        let spoken = voice(3);
        let Reply::Sent(sent) = ask(&mut father, send("Mother", spoken.clone(), Wait::Stored)).await else { panic!() };
        assert_eq!(sent.mark, NoteMark::AtRelay);
        sync(&mut mother).await;
        let Reply::Notes(notes) = ask(&mut mother, Request::Inbox { all: false }).await else { panic!() };
        assert_eq!((notes.len(), notes[0].mark), (1, NoteMark::Delivered));
        assert_eq!(heard_voice(&mut mother, notes[0].number).await, spoken);
        sync(&mut father).await;
        assert_eq!(note(&mut father, sent.number).await, NoteMark::AtRelay, "an unconfirmed contact gets no receipts");
    });
}

#[test]
fn a_link_opens_once() {
    in_one_runtime(async {
        let mut world = World::new();
        let (mut mother, mut father, mut stranger) = (world.person().0, world.person().0, world.person().0);
        let Reply::Invited { link, .. } = ask(&mut mother, Request::Invite { name: "F".into() }).await else {
            panic!()
        };
        let accept = Request::Accept { name: "M".into(), link, in_person: false };
        ask(&mut father, accept.clone()).await;
        assert_eq!(refuse(&mut stranger, accept.clone()).await, Failure::LinkUsed);
        sync(&mut mother).await;
        assert_eq!(refuse(&mut stranger, accept).await, Failure::LinkUsed, "also after the inviter took the reply");
        let Reply::Contacts(contacts) = ask(&mut stranger, Request::Contacts).await else { panic!() };
        assert!(contacts.is_empty());
    });
}

#[test]
fn a_link_is_over_after_seven_days_and_so_is_one_mistyped_or_ones_own() {
    in_one_runtime(async {
        let mut world = World::new();
        let ((mut mother, _), (mut father, _)) = (world.person(), world.person());
        let Reply::Invited { link, .. } = ask(&mut mother, Request::Invite { name: "F".into() }).await else {
            panic!()
        };
        let accept = |link: &str| Request::Accept { name: "M".into(), link: link.into(), in_person: false };
        assert_eq!(refuse(&mut mother, accept(&link)).await, Failure::OwnLink);
        assert_eq!(refuse(&mut father, accept(&link[..link.len() - 3])).await, Failure::BadLink);
        world.clock.shift_wall(7 * 24 * 60);
        assert_eq!(refuse(&mut father, accept(&link)).await, Failure::LinkExpired);
    });
}

#[test]
fn met_in_person_both_are_confirmed_at_once() {
    in_one_runtime(async {
        let mut world = World::new();
        let ((mut mother, _), (mut father, _)) = (world.person(), world.person());
        let Reply::Invited { link, .. } = ask(&mut mother, Request::Invite { name: "F".into() }).await else {
            panic!()
        };
        let accept = Request::Accept { name: "M".into(), link, in_person: true };
        let Reply::Accepted { return_code, .. } = ask(&mut father, accept).await else { panic!() };
        let returned = Request::TakeReturn { name: "F".into(), code: return_code };
        ask(&mut mother, returned).await;
        sync(&mut mother).await;
        sync(&mut father).await;
        for host in [&mut mother, &mut father] {
            let Reply::Contacts(contacts) = ask(host, Request::Contacts).await else { panic!() };
            assert_eq!(contacts[0].pairing, Pairing::Confirmed);
        }
    });
}

#[test]
fn without_a_link_a_note_waits_on_the_device_and_goes_when_the_link_is_back() {
    in_one_runtime(async {
        let mut world = World::new();
        let ((mut mother, address), (mut father, _)) = (world.person(), world.person());
        pair_by_link(&mut mother, &mut father).await;
        confirm(&mut mother, &mut father).await;
        world.network.set_link(address, LinkState::Down);
        let Reply::Sent(sent) = ask(&mut mother, send("Father", voice(5), Wait::Stored)).await else { panic!() };
        assert_eq!(sent.mark, NoteMark::OnDevice);
        world.network.set_link(address, LinkState::Up);
        sync(&mut mother).await;
        assert_eq!(note(&mut mother, sent.number).await, NoteMark::AtRelay);
    });
}

async fn seen(host: &mut Host, timeout_millis: u64) -> SeenView {
    let Reply::Seen(view) = ask(host, Request::Seen { name: "Mother".into(), timeout_millis }).await else { panic!() };
    view
}

fn word(state: WordState, text: &str) -> Request {
    let (text, to) = (text.into(), Vec::new());
    Request::WriteWord { state, text, tell_minute: true, to, timeout_millis: 20_000 }
}

#[test]
fn a_last_word_is_read_with_its_bucket_and_offline_from_what_is_held() {
    in_one_runtime(async {
        let mut world = World::new();
        let ((mut mother, _), (mut father, address)) = (world.person(), world.person());
        pair_by_link(&mut mother, &mut father).await;
        assert!(matches!(ask(&mut mother, word(WordState::Well, "x")).await, Reply::WordWritten { contacts: 0, .. }));
        confirm(&mut mother, &mut father).await;
        assert!(!seen(&mut father, 20_000).await.granted);
        let written = ask(&mut mother, word(WordState::Well, "we are at aunt's")).await;
        assert!(matches!(written, Reply::WordWritten { contacts: 1, stored: 1 }), "{written:?}");
        sync(&mut father).await;
        let view = seen(&mut father, 20_000).await;
        assert!(view.fresh && view.granted && !view.relay_is_older);
        let shown = view.word.unwrap();
        assert_eq!((shown.state, shown.text.as_str()), (WordState::Well, "we are at aunt's"));
        let bucket = view.bucket.unwrap();
        assert_eq!((bucket.start_hour, bucket.width_hours), (START.hour().0 / 6 * 6, 6));
        world.network.set_link(address, LinkState::Down);
        world.clock.shift_wall(60 * 30);
        let view = seen(&mut father, 5_000).await;
        assert!(!view.fresh && view.word.is_some() && view.checked.is_some_and(|checked| checked < view.now));
    });
}

#[test]
fn a_slot_that_a_full_relay_had_no_room_for_is_made_when_there_is_room_though_the_link_was_never_gone() {
    in_one_runtime(async {
        let mut world = World::new();
        let ((mut mother, _), (mut father, _)) = (world.person(), world.person());
        pair_by_link(&mut mother, &mut father).await;
        confirm(&mut mother, &mut father).await;
        let disk = world.disk.clone().unwrap();
        disk.set_capacity(Some(0));
        let (calls, requests) = mpsc::channel(1);
        let daemon = tokio::task::spawn_local(async move { mother.serve(requests, std::future::pending()).await });
        let (progress, _) = mpsc::channel(1);
        let (reply, answer) = oneshot::channel();
        let request = word(WordState::Well, "we are at aunt's");
        assert!(calls.send(Call { request, progress, reply }).await.is_ok());
        let written = answer.await.unwrap();
        assert!(matches!(written, Ok(Reply::WordWritten { contacts: 1, stored: 0 })), "{written:?}");
        disk.set_capacity(None);
        tokio::time::sleep(Duration::from_secs(600)).await;
        sync(&mut father).await;
        let view = seen(&mut father, 20_000).await;
        assert_eq!(view.word.map(|word| word.text).as_deref(), Some("we are at aunt's"));
        daemon.abort();
    });
}

#[test]
fn of_a_note_that_a_full_relay_refused_little_leaves_in_the_next_meeting() {
    in_one_runtime(async {
        let mut world = World::new();
        let ((mut mother, address), (mut father, _)) = (world.person(), world.person());
        pair_by_link(&mut mother, &mut father).await;
        confirm(&mut mother, &mut father).await;
        sync(&mut mother).await;
        let sent = |world: &World| {
            let up = world.network.traffic(address).up;
            up.offered.bytes + up.stream_bytes
        };
        let before = sent(&world);
        sync(&mut mother).await;
        let nothing_waits = sent(&world) - before;
        let disk = world.disk.clone().unwrap();
        disk.set_capacity(Some(0));
        let Reply::Sent(note) = ask(&mut mother, send("Father", voice(60), Wait::Stored)).await else { panic!() };
        assert_eq!(note.waits, Some(WaitReason::RelayFull));
        let before = sent(&world);
        sync(&mut mother).await;
        let asked = sent(&world) - before - nothing_waits;
        // Of the kilobyte, what fits travels in the padding that opens a connection: most of it, where the relay was met before.
        assert!((100..2_500).contains(&asked), "asking took {asked} bytes");
        disk.set_capacity(None);
        sync(&mut mother).await;
        assert_eq!(self::note(&mut mother, note.number).await, NoteMark::AtRelay);
    });
}

#[test]
fn precision_is_the_owners_and_off_takes_the_slot_away() {
    in_one_runtime(async {
        let mut world = World::new();
        let ((mut mother, _), (mut father, _)) = (world.person(), world.person());
        pair_by_link(&mut mother, &mut father).await;
        confirm(&mut mother, &mut father).await;
        let set = |seen| Request::SetContact { name: "Father".into(), receipts: None, seen: Some(seen) };
        ask(&mut mother, set(SeenPrecision::Day)).await;
        ask(&mut mother, word(WordState::Moving, "")).await;
        sync(&mut father).await;
        assert_eq!(seen(&mut father, 20_000).await.bucket.unwrap().width_hours, 24);
        ask(&mut mother, set(SeenPrecision::Off)).await;
        sync(&mut mother).await;
        sync(&mut father).await;
        assert!(!seen(&mut father, 20_000).await.granted);
    });
}

#[test]
fn another_relays_key_is_told_as_such_and_nothing_is_lost() {
    in_one_runtime(async {
        let mut world = World::new();
        world.link.key = SigningKey::draw(&mut SystemRandom::new()).public();
        let (mut mother, _) = world.person();
        let failure = refuse(&mut mother, Request::Invite { name: "F".into() }).await;
        assert_eq!(failure, Failure::NoRelay(Trouble::WrongKey));
        let Reply::Contacts(contacts) = ask(&mut mother, Request::Contacts).await else { panic!() };
        assert!(contacts.is_empty(), "a link that leads nowhere is not kept");
    });
}

#[test]
fn forty_notes_over_two_sessions_arrive_once_each_in_their_senders_order() {
    in_one_runtime(async {
        let mut world = World::new();
        let ((mut mother, _), (mut father, _)) = (world.person(), world.person());
        pair_by_link(&mut mother, &mut father).await;
        confirm(&mut mother, &mut father).await;
        for seconds in 1..=40 {
            ask(&mut mother, send("Father", voice(seconds), Wait::Device)).await;
        }
        sync(&mut mother).await;
        sync(&mut father).await;
        sync(&mut father).await;
        let Reply::Notes(notes) = ask(&mut father, Request::Inbox { all: false }).await else { panic!() };
        let lengths: Vec<u32> = notes.iter().map(|note| note.duration_millis / 1000).collect();
        assert_eq!(lengths, (1..=40).collect::<Vec<_>>());
        assert!(notes.iter().all(|note| note.mark == NoteMark::Delivered));
    });
}

#[test]
fn a_relay_that_lost_its_store_is_given_every_undelivered_note_again() {
    in_one_runtime(async {
        let mut world = World::new();
        let ((mut mother, _), (mut father, _)) = (world.person(), world.person());
        pair_by_link(&mut mother, &mut father).await;
        confirm(&mut mother, &mut father).await;
        let spoken = voice(8);
        ask(&mut mother, send("Father", spoken.clone(), Wait::Stored)).await;
        world.lose_relays_store().await;
        sync(&mut father).await;
        sync(&mut mother).await;
        sync(&mut father).await;
        let Reply::Notes(notes) = ask(&mut father, Request::Inbox { all: false }).await else { panic!() };
        assert_eq!(notes.len(), 1);
        assert_eq!(heard_voice(&mut father, notes[0].number).await, spoken);
    });
}

#[test]
fn a_device_that_dies_in_the_middle_of_an_upload_goes_on_where_the_relay_has_it() {
    in_one_runtime(async {
        let mut world = World::new();
        let (mut father, _) = world.person();
        let disk = MemoryDisk::new();
        let (mut mother, address) = world.person_on(&disk);
        pair_by_link(&mut mother, &mut father).await;
        confirm(&mut mother, &mut father).await;
        let spoken = voice(500);
        let mut unheeded = |_| {};
        let sending = mother.execute(send("Father", spoken.clone(), Wait::Stored), &mut unheeded);
        // Cut after some round trips: some of it is durable at the relay, the device's memory is gone.
        assert!(tokio::time::timeout(Duration::from_millis(3_500), sending).await.is_err());
        drop(mother);
        let mut mother = open(world.parts(address, disk.open().unwrap())).unwrap();
        assert_eq!(note(&mut mother, 1).await, NoteMark::OnDevice);
        sync(&mut mother).await;
        assert_eq!(note(&mut mother, 1).await, NoteMark::AtRelay);
        sync(&mut father).await;
        let Reply::Notes(notes) = ask(&mut father, Request::Inbox { all: false }).await else { panic!() };
        assert_eq!(heard_voice(&mut father, notes[0].number).await, spoken);
    });
}

#[test]
fn a_daemon_gets_notes_as_they_come_and_the_sender_sees_all_four_marks() {
    in_one_runtime(async {
        let mut world = World::new();
        let ((mut mother, _), (mut father, _)) = (world.person(), world.person());
        pair_by_link(&mut mother, &mut father).await;
        confirm(&mut mother, &mut father).await;
        let (calls, requests) = mpsc::channel(4);
        let daemon = tokio::task::spawn_local(async move { father.serve(requests, std::future::pending()).await });
        let listening = calls.clone();
        let listener = tokio::task::spawn_local(async move {
            loop {
                tokio::time::sleep(Duration::from_secs(1)).await;
                let Ok(Reply::Notes(notes)) = call(&listening, Request::Inbox { all: false }).await else { panic!() };
                if let Some(note) = notes.iter().find(|note| note.mark == NoteMark::Delivered) {
                    call(&listening, Request::Heard { number: note.number }).await.unwrap();
                    break;
                }
            }
        });
        let mut marks = Vec::new();
        let request = send("Father", voice(10), Wait::Heard);
        let mut note_marks = |step| {
            if let Progress::Reached(mark) = step {
                marks.push(mark);
            }
        };
        let Ok(Reply::Sent(sent)) = mother.execute(request, &mut note_marks).await else { panic!() };
        assert_eq!(sent.mark, NoteMark::Heard);
        assert!(marks.is_sorted(), "{marks:?}");
        listener.await.unwrap();
        assert!(matches!(call(&calls, Request::Stop).await, Ok(Reply::Stopping)));
        daemon.await.unwrap().unwrap();
    });
}

async fn call(calls: &mpsc::Sender<Call>, request: Request) -> Result<Reply, Failure> {
    let (reply, answer) = oneshot::channel();
    let (progress, _) = mpsc::channel(1);
    calls.send(Call { request, progress, reply }).await.unwrap();
    answer.await.unwrap()
}

#[test]
fn a_note_longer_than_ten_minutes_is_refused_and_nothing_is_sealed() {
    in_one_runtime(async {
        let mut world = World::new();
        let ((mut mother, _), (mut father, _)) = (world.person(), world.person());
        pair_by_link(&mut mother, &mut father).await;
        sync(&mut mother).await;
        let failure = refuse(&mut mother, send("Father", voice(601), Wait::Stored)).await;
        assert_eq!(failure, Failure::NoteTooLong { got_millis: 601_000, max_millis: 600_000 });
        let Reply::Notes(notes) = ask(&mut mother, Request::Inbox { all: true }).await else { panic!() };
        assert!(notes.is_empty());
    });
}

#[test]
fn what_a_relay_refuses_waits_with_its_reason_and_is_offered_again_in_the_same_meeting() {
    in_one_runtime(async {
        let mut world = World::new();
        let ((mut mother, _), (mut father, _)) = (world.person(), world.person());
        pair_by_link(&mut mother, &mut father).await;
        confirm(&mut mother, &mut father).await;
        world.lose_relays_store().await;
        let Reply::Sent(sent) = ask(&mut mother, send("Father", voice(4), Wait::Stored)).await else { panic!() };
        assert_eq!((sent.mark, sent.waits), (NoteMark::OnDevice, Some(WaitReason::NotHere)));
        let (calls, requests) = mpsc::channel(4);
        let daemon = tokio::task::spawn_local(async move { mother.serve(requests, std::future::pending()).await });
        tokio::time::sleep(Duration::from_secs(60)).await;
        sync(&mut father).await;
        tokio::time::sleep(Duration::from_secs(20 * 60)).await;
        let Ok(Reply::Note(view)) = call(&calls, Request::Note { number: sent.number }).await else { panic!() };
        assert_eq!(view.mark, NoteMark::AtRelay);
        assert!(matches!(call(&calls, Request::Stop).await, Ok(Reply::Stopping)));
        daemon.await.unwrap().unwrap();
    });
}
