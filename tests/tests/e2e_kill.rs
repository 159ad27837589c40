//! A relay that is killed with SIGKILL again and again, in the middle of uploads and deliveries, loses nothing it acknowledged.
//!
//! `ZAJIL_KILL_CYCLES` says how often it is killed, `ZAJIL_KILL_SEED` which chance is played.
#![cfg(test)]

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::future::pending;
use std::path::Path;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{sleep, timeout};
use zajil_net::{SystemNetwork, Transports};
use zajil_proto::durable::Durable;
use zajil_proto::ids::{MailboxId, ParcelId};
use zajil_proto::keys::VerifyingKey;
use zajil_proto::parcel::Resumed;
use zajil_proto::session::client::{Arrived, ClientCommand, ClientEvent, HeldState};
use zajil_proto::time::Lifetime;
use zajil_proto::wire::{Code, Scope};
use zajil_tests::chance::Chance;
use zajil_tests::device::Device;
use zajil_tests::parcels::{OwnParcel, Pair};
use zajil_tests::relay_process::RelayHome;

/// Kills in an ordinary run.
const CYCLES: u64 = 50;
/// Mailboxes in use at a time.
const MAILBOXES: usize = 4;
/// Parcels on offer at a time.
const OFFERED: usize = 6;
/// Events of both devices until the relay is killed, at most.
const EVENTS_MAX: u64 = 600;
/// Longest wait for those events: what takes longer is killed in its rest.
const CYCLE_TIME_MAX: Duration = Duration::from_secs(3);
/// Longest time in which everything must have arrived at the end.
const END_TIME_MAX: Duration = Duration::from_secs(120);
/// Bytes and parcels after which a mailbox is left for a fresh one: freed quota returns only after hours.
const MAILBOX_USE_MAX: (usize, u32) = (24_000_000, 1_000);
/// Longest body in chunks: 300 kB.
const CHUNKS_MAX: u64 = 292;

/// What sender and reader know: the truth the relay is held to.
struct World {
    chance: Chance,
    mailboxes: BTreeMap<MailboxId, Mailbox>,
    notes: BTreeMap<ParcelId, Note>,
    /// Released, and told so: they may never come again.
    gone: BTreeSet<ParcelId>,
    /// Some of those, to be offered once more.
    ghosts: Vec<OwnParcel>,
    /// No new notes: everything is to arrive and to be released.
    ending: bool,
    tally: Tally,
}

struct Mailbox {
    pair: Pair,
    used: (usize, u32),
}

struct Note {
    own: OwnParcel,
    mailbox: MailboxId,
    /// Bytes the relay has called durable.
    durable: u32,
    stored: bool,
    copy: Taken,
    /// It came whole in the reader's present session.
    given: bool,
    releasing: bool,
}

/// What the reader has of a note.
#[derive(Default)]
struct Taken {
    bytes: Vec<u8>,
    chain: Option<([u8; 32], u32)>,
    whole: bool,
}

/// What a run has seen; a run that saw nothing proves nothing.
#[derive(Debug, Default)]
struct Tally {
    stored: u64,
    delivered: u64,
    released: u64,
    delivered_again: u64,
    offered_again: u64,
    uploads_cut: u64,
    deliveries_cut: u64,
    uploads_resumed: u64,
    deliveries_resumed: u64,
    drained: u64,
}

impl World {
    fn new(chance: Chance) -> Self {
        let (mailboxes, notes) = (BTreeMap::new(), BTreeMap::new());
        let (gone, ghosts, tally) = (BTreeSet::new(), Vec::new(), Tally::default());
        let mut world = Self { chance, mailboxes, notes, gone, ghosts, ending: false, tally };
        world.renew_mailboxes();
        world
    }

    /// Leaves mailboxes that are used up and empty, and makes fresh ones.
    fn renew_mailboxes(&mut self) {
        let waiting: BTreeSet<MailboxId> = self.notes.values().map(|note| note.mailbox).collect();
        self.mailboxes.retain(|id, mailbox| mailbox.is_fresh() || waiting.contains(id));
        while self.mailboxes.values().filter(|mailbox| mailbox.is_fresh()).count() < MAILBOXES {
            let pair = Pair::draw(&mut self.chance);
            self.mailboxes.insert(pair.mailbox(), Mailbox { pair, used: (0, 0) });
        }
    }

    fn write_note(&mut self) -> ParcelId {
        let fresh: Vec<MailboxId> =
            self.mailboxes.iter().filter(|(_, mailbox)| mailbox.is_fresh()).map(|(id, _)| *id).collect();
        let id = fresh[usize::try_from(self.chance.below(fresh.len() as u64)).unwrap()];
        let mailbox = self.mailboxes.get_mut(&id).unwrap();
        let size = 1 << self.chance.below(9);
        let chunks = (size + self.chance.below(size)).min(CHUNKS_MAX);
        let own = mailbox.pair.parcel(&mut self.chance, usize::try_from(chunks).unwrap(), Lifetime::DEFAULT);
        mailbox.used.0 += own.parcel.body.len();
        mailbox.used.1 += 1;
        let parcel = own.id();
        let note = Note {
            own,
            mailbox: id,
            durable: 0,
            stored: false,
            copy: Taken::default(),
            given: false,
            releasing: false,
        };
        self.notes.insert(parcel, note);
        parcel
    }

    /// Returns what the sender offers now beside what it has offered in this session.
    fn offers(&mut self, offered: &mut BTreeSet<ParcelId>) -> Vec<ClientCommand> {
        let mut commands = Vec::new();
        for (id, note) in self.notes.iter().filter(|(_, note)| !note.stored) {
            if offered.insert(*id) {
                self.tally.uploads_resumed += u64::from(note.durable > 0);
                commands.push(note.own.offer(note.durable));
            }
        }
        let unstored = self.notes.values().filter(|note| !note.stored).count();
        if self.ending {
            return commands;
        }
        for _ in unstored..OFFERED {
            let id = self.write_note();
            offered.insert(id);
            commands.push(self.notes[&id].own.offer(0));
        }
        if self.chance.happens(3) {
            let known = self.notes.values().filter(|note| note.stored).map(|note| &note.own);
            let again: Vec<&OwnParcel> = known.chain(&self.ghosts).filter(|own| !offered.contains(&own.id())).collect();
            if !again.is_empty() {
                let own = again[usize::try_from(self.chance.below(again.len() as u64)).unwrap()];
                self.tally.offered_again += 1;
                offered.insert(own.id());
                commands.push(own.offer(0));
            }
        }
        commands
    }

    fn sender_hears(&mut self, event: ClientEvent) {
        match event {
            ClientEvent::Welcomed(_) | ClientEvent::Links(_) | ClientEvent::Ticket(_) => {}
            ClientEvent::Answered { code, .. } => assert_eq!(code, Code::OK),
            ClientEvent::Progress { id, durable } => {
                // The reader may have released it before its sender heard so much.
                let Some(note) = self.notes.get_mut(&id) else { return self.is_gone(&id) };
                assert!(durable >= note.durable, "{durable} bytes are left of {} that were durable", note.durable);
                note.durable = durable;
            }
            ClientEvent::Stored { id } => match self.notes.get_mut(&id) {
                Some(note) if !note.stored => {
                    note.stored = true;
                    note.durable = u32::try_from(note.own.parcel.body.len()).unwrap();
                    self.tally.stored += 1;
                }
                Some(_) => {}
                None => self.is_gone(&id),
            },
            ClientEvent::Closed { code, .. } => assert_eq!(code, Code::OK),
            other => panic!("the sender did not expect {other:?}"),
        }
    }

    fn is_gone(&self, id: &ParcelId) {
        assert!(self.gone.contains(id), "the relay speaks of a note that nobody sent");
    }

    /// Returns what the reader says first, and which notes must be there when each mailbox has been drained.
    fn reader_begins(&mut self) -> (Vec<ClientCommand>, BTreeMap<MailboxId, Vec<ParcelId>>) {
        let (mut commands, mut expected) = (Vec::new(), BTreeMap::<_, Vec<_>>::new());
        for (mailbox, Mailbox { pair, .. }) in &self.mailboxes {
            commands.extend([pair.prove(Scope::Mailbox), pair.register(Scope::Mailbox)]);
            let (mut held, mut releases) = (Vec::new(), Vec::new());
            for (id, note) in self.notes.iter_mut().filter(|(_, note)| note.mailbox == *mailbox) {
                note.given = false;
                if note.stored {
                    expected.entry(*mailbox).or_default().push(*id);
                }
                // A kept copy is let go at last, and a release nobody confirmed is said again.
                if note.copy.whole && (self.ending || note.releasing || self.chance.happens(50)) {
                    note.releasing = true;
                    releases.push(Durable::after_sync(*id));
                }
                if let Some(state) = note.held() {
                    self.tally.deliveries_resumed += u64::from(matches!(state, HeldState::Partial { .. }));
                    held.push((*id, state));
                }
            }
            if !releases.is_empty() {
                commands.push(ClientCommand::Release { mailbox: *mailbox, ids: releases });
            }
            commands.push(ClientCommand::Watch { mailbox: *mailbox, live: true, held });
        }
        (commands, expected)
    }

    /// Returns what the reader answers.
    fn reader_hears(
        &mut self,
        event: ClientEvent,
        expected: &mut BTreeMap<MailboxId, Vec<ParcelId>>,
    ) -> Option<ClientCommand> {
        match event {
            ClientEvent::Welcomed(_) | ClientEvent::Links(_) | ClientEvent::Ticket(_) => {}
            ClientEvent::Answered { code, .. } => assert_eq!(code, Code::OK),
            ClientEvent::Arriving { mailbox, header, from, .. } => {
                let id = header.id();
                assert!(!self.gone.contains(&id), "a released note came back");
                let note = self.notes.get(&id).expect("only what was sent arrives");
                assert_eq!(note.mailbox, mailbox);
                assert_eq!(*header, note.own.parcel.header);
                assert_eq!(usize::try_from(from).unwrap(), note.copy.bytes.len(), "a delivery goes on where it was");
            }
            ClientEvent::Body(arrived) => return self.arrived(*arrived),
            ClientEvent::Released { ids, .. } => ids.into_iter().for_each(|id| self.released(id)),
            ClientEvent::Drained { mailbox } => {
                self.tally.drained += 1;
                for id in expected.remove(&mailbox).unwrap_or_default() {
                    let Some(note) = self.notes.get(&id) else { continue };
                    let (got, sent) = (note.copy.bytes.len(), note.own.parcel.body.len());
                    let is_here = note.copy.whole || note.given;
                    assert!(is_here, "an acknowledged note is lost: {got} of {sent} bytes came, {:?}", note.copy.chain);
                }
            }
            ClientEvent::Closed { code, .. } => assert_eq!(code, Code::OK),
            other => panic!("the reader did not expect {other:?}"),
        }
        None
    }

    fn arrived(&mut self, arrived: Arrived) -> Option<ClientCommand> {
        let Arrived { id, mailbox, offset, bytes, chain, closed, .. } = arrived;
        let note = self.notes.get_mut(&id).expect("only what was sent arrives");
        assert_eq!(usize::try_from(offset).unwrap(), note.copy.bytes.len());
        note.copy.bytes.extend_from_slice(&bytes);
        note.copy.chain = Some(chain);
        let sent = &note.own.parcel.body;
        assert!(sent.starts_with(&note.copy.bytes), "what arrives is what was sent, byte for byte");
        if !closed {
            return None;
        }
        assert_eq!(sent.len(), note.copy.bytes.len(), "a note is whole when its last mark says so");
        (note.copy.whole, note.given) = (true, true);
        self.tally.delivered += 1;
        match self.chance.below(10) {
            0..6 => {}
            6..8 if !self.ending => return None,
            8..10 if !self.ending => {
                // The reader loses its copy; the relay has to give it again.
                note.copy = Taken::default();
                self.tally.delivered_again += 1;
                return None;
            }
            _ => {}
        }
        note.releasing = true;
        Some(ClientCommand::Release { mailbox, ids: vec![Durable::after_sync(id)] })
    }

    fn released(&mut self, id: ParcelId) {
        let Some(note) = self.notes.remove(&id) else { return };
        assert!(note.releasing, "nobody released it");
        if !note.stored {
            // Whole at the reader before its sender heard so: that is stored all the same.
            self.tally.stored += 1;
        }
        self.tally.released += 1;
        self.gone.insert(id);
        if self.ghosts.len() < 8 {
            self.ghosts.push(note.own);
        } else if self.chance.happens(20) {
            let nth = usize::try_from(self.chance.below(8)).unwrap();
            self.ghosts[nth] = note.own;
        }
    }
}

impl Mailbox {
    const fn is_fresh(&self) -> bool {
        self.used.0 < MAILBOX_USE_MAX.0 && self.used.1 < MAILBOX_USE_MAX.1
    }
}

impl Note {
    /// Returns what the reader says it has of it.
    fn held(&self) -> Option<HeldState> {
        let chain = self.copy.chain?;
        if self.copy.whole {
            return Some(HeldState::Whole);
        }
        let tail = self.copy.bytes[usize::try_from(chain.1).unwrap()..].to_vec();
        let header = Box::new(self.own.parcel.header.clone());
        Some(HeldState::Partial { header, resumed: Resumed { chain, tail, closed: false } })
    }
}

/// Offers notes until it is dropped.
async fn send(world: &RefCell<World>, relay: &Relay, events: &watch::Sender<u64>) {
    let Some(mut device) = relay.connect().await else { return pending().await };
    let pairs: Vec<Pair> = world.borrow().mailboxes.values().map(|mailbox| mailbox.pair.clone()).collect();
    for pair in pairs {
        device.say(pair.prove(Scope::Mailbox)).await;
        device.say(pair.register(Scope::Mailbox)).await;
    }
    let mut offered = BTreeSet::new();
    loop {
        let commands = world.borrow_mut().offers(&mut offered);
        for command in commands {
            device.say(command).await;
        }
        let Some(event) = device.next().await else { return pending().await };
        world.borrow_mut().sender_hears(event);
        events.send_modify(|count| *count += 1);
    }
}

/// Takes and releases notes until it is dropped.
async fn read(world: &RefCell<World>, relay: &Relay, events: &watch::Sender<u64>) {
    let Some(mut device) = relay.connect().await else { return pending().await };
    let (commands, mut expected) = world.borrow_mut().reader_begins();
    for command in commands {
        device.say(command).await;
    }
    loop {
        let Some(event) = device.next().await else { return pending().await };
        let answer = world.borrow_mut().reader_hears(event, &mut expected);
        if let Some(command) = answer {
            device.say(command).await;
        }
        events.send_modify(|count| *count += 1);
    }
}

/// Where a relay listens, and how to be sure of it.
struct Relay {
    address: String,
    key: VerifyingKey,
    transports: Transports,
}

impl Relay {
    /// Returns a session, `None` if the relay is killed meanwhile.
    async fn connect(&self) -> Option<Device> {
        Device::connect(&SystemNetwork, &self.address, self.key, self.transports).await.ok()
    }
}

/// Kills a relay `cycles` times in the middle of things. `meddle` may do something to its directory after each time.
async fn kill_again_and_again(
    world: &RefCell<World>,
    home: &RelayHome,
    events: &watch::Sender<u64>,
    cycles: u64,
    mut meddle: impl FnMut(u64),
) {
    for cycle in 1..=cycles {
        world.borrow_mut().renew_mailboxes();
        let mut process = home.start();
        // Most links carry QUIC; some only TLS.
        let transports = if cycle % 4 == 0 { Transports::TlsOnly } else { Transports::QuicOnly };
        let relay = Relay { address: process.address().to_string(), key: home.link().key, transports };
        let (target, rest) = {
            let chance = &mut world.borrow_mut().chance;
            (1 + chance.below(EVENTS_MAX), Duration::from_micros(chance.below(3_000)))
        };
        events.send_replace(0);
        let mut counting = events.subscribe();
        let moment = async {
            // The answer holds a lock on the count.
            drop(timeout(CYCLE_TIME_MAX, counting.wait_for(|count| *count >= target)).await);
            sleep(rest).await;
        };
        tokio::select! {
            () = send(world, &relay, events) => {}
            () = read(world, &relay, events) => {}
            () = moment => process.kill(),
        }
        let World { notes, tally, .. } = &mut *world.borrow_mut();
        tally.uploads_cut += u64::from(notes.values().any(|note| !note.stored && note.durable > 0));
        tally.deliveries_cut += u64::from(notes.values().any(|note| !note.copy.whole && !note.copy.bytes.is_empty()));
        if cycle % 10 == 0 {
            println!("killed {cycle} times: {tally:?}");
        }
        meddle(cycle);
    }
}

#[tokio::test]
async fn a_relay_that_is_killed_again_and_again_loses_nothing_it_acknowledged() {
    let cycles = std::env::var("ZAJIL_KILL_CYCLES").map_or(CYCLES, |text| text.parse().expect("a number of cycles"));
    let world = RefCell::new(World::new(Chance::from_environment("ZAJIL_KILL_SEED")));
    let (home, events) = (RelayHome::init(&[]), watch::Sender::new(0));
    kill_again_and_again(&world, &home, &events, cycles, |_| {}).await;
    everything_arrives_at_last(&world, &home, &events).await;
    let tally = &world.borrow().tally;
    println!("{tally:?}");
    assert!(tally.uploads_cut > 0 && tally.uploads_resumed > 0, "no upload was cut");
    assert!(tally.deliveries_cut > 0 && tally.deliveries_resumed > 0, "no delivery was cut");
    assert!(tally.delivered_again > 0 && tally.offered_again > 0 && tally.released > 0, "too little happened");
}

/// The control: what this suite is for is what it sees.
#[test]
fn a_relay_that_goes_back_to_an_older_store_is_caught() {
    let old = tempfile::tempdir().unwrap();
    let caught = std::panic::catch_unwind(|| {
        let world = RefCell::new(World::new(Chance::from_environment("ZAJIL_KILL_SEED")));
        let (home, events) = (RelayHome::init(&[]), watch::Sender::new(0));
        let store = home.path().join("store");
        let meddle = |cycle| match cycle {
            2 => copy_files(&store, old.path()),
            8 => {
                std::fs::remove_dir_all(&store).unwrap();
                std::fs::create_dir(&store).unwrap();
                copy_files(old.path(), &store);
            }
            _ => {}
        };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            kill_again_and_again(&world, &home, &events, 12, meddle).await;
            everything_arrives_at_last(&world, &home, &events).await;
        });
    });
    let said = caught.expect_err("a lost note went unseen");
    // A message without values is a string literal, one with values a string.
    let literal = said.downcast_ref::<&str>().map(|text| (*text).to_owned());
    let said = literal.or_else(|| said.downcast_ref::<String>().cloned()).expect("an assertion says what is wrong");
    let signs = [
        "note is lost",
        "bytes are left of",
        "BAD_OFFSET",
        "came back",
        "not everything arrived",
        "BAD_ID",
        "NOT_HERE",
    ];
    assert!(signs.iter().any(|sign| said.contains(sign)), "{said}");
}

fn copy_files(from: &Path, to: &Path) {
    for entry in std::fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        std::fs::copy(&path, to.join(path.file_name().unwrap())).unwrap();
    }
}

async fn everything_arrives_at_last(world: &RefCell<World>, home: &RelayHome, events: &watch::Sender<u64>) {
    world.borrow_mut().ending = true;
    let mut process = home.start();
    let address = process.address().to_string();
    let relay = Relay { address, key: home.link().key, transports: Transports::QuicOnly };
    let mut counting = events.subscribe();
    let all_gone = counting.wait_for(|_| world.borrow().notes.is_empty());
    tokio::select! {
        () = send(world, &relay, events) => {}
        () = read(world, &relay, events) => {}
        done = timeout(END_TIME_MAX, all_gone) => assert!(done.is_ok(), "not everything arrived"),
    }
    assert!(process.stop().success());
    // Another start: what was released stays so. Whatever arrives now fails in `reader_hears`.
    let mut process = home.start();
    let relay = Relay { address: process.address().to_string(), ..relay };
    let drained = world.borrow().tally.drained + u64::try_from(world.borrow().mailboxes.len()).unwrap();
    let all_drained = counting.wait_for(|_| world.borrow().tally.drained >= drained);
    tokio::select! {
        () = read(world, &relay, events) => {}
        done = timeout(END_TIME_MAX, all_drained) => assert!(done.is_ok(), "the mailboxes were not drained"),
    }
    assert!(process.stop().success(), "{}", home.log());
    let check = home.run("check", &[]);
    let said = String::from_utf8(check.stdout).unwrap();
    assert!(check.status.success() && said.contains("store: sound") && said.contains(" 0 parcels"), "{said}");
}
