//! Whatever happens in whatever order: no stored parcel is lost, bytes are what was sealed, marks only move forward,
//! nothing panics, nothing piles up. (Bounds and forward marks are asserted by the world itself, at every step.)
//!
//! `cargo xtask machines --lists 100000` plays as many lists as one likes. Each list has a seed of its own, from which it is
//! drawn; one that fails is shortened and printed with its seed.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::{RngSeed, TestRunner};

use zajil_proto::durable::Durable;
use zajil_proto::ids::ParcelId;
use zajil_proto::parcel::{Class, MarkChain, SealedParcel};
use zajil_proto::session::client::{ClientCommand, ClientEvent};
use zajil_proto::session::relay::RelayCommand;
use zajil_proto::wire::{Code, Scope};

use crate::link::{Budget, LaneOrder};
use crate::world::{Owner, Transport, World, offer, parcel_key};

/// How many lists are played; [`LISTS`] unless the environment says it.
const LISTS_VARIABLE: &str = "ZAJIL_MACHINE_LISTS";
/// The seed of the first list, a decimal number; the next ones follow. Drawn unless the environment says it.
const SEED_VARIABLE: &str = "ZAJIL_MACHINE_SEED";
const LISTS: u64 = 300;
const OPERATIONS_MAX: usize = 50;

const PARCELS: u8 = 6;

#[derive(Debug, Clone)]
enum Operation {
    /// The sender offers a parcel, perhaps one it has offered already.
    Send(u8),
    /// The sender offers a parcel of which it believes that so much is durable.
    SendFrom(u8, u16),
    /// The sender offers a live note and says more of it.
    Speak(u16),
    /// The sender ends the live note.
    EndLive,
    /// The reader brings a parcel too: somebody gave it to them on a card.
    Carry(u8),
    /// Things move for a while.
    Steps(u16),
    /// The sender's or the reader's link breaks at once.
    Drop(bool),
    /// It breaks after so many bytes, up and down.
    CutAfter(bool, u16, u16),
    /// It breaks after so many frames, up or down, and so many bytes of the next one.
    CutAtFrame { of_sender: bool, up: bool, frames: u16, inside: u8 },
    /// A device begins another session. A sender goes on with the old one as well, a reader leaves it without a word.
    Another(bool),
    /// A device leaves its session without a word and begins another; the relay has not noticed.
    Abandon(bool),
    /// The relay notices all sessions that were left.
    Notice,
    /// The relay falls and stands up again, without what its store had not synced.
    RestartRelay,
    /// Which lanes move first from now on.
    Lanes(LaneOrder),
    /// Bytes that move at a time, at most.
    Portion(u16),
    /// The mailbox is registered again.
    Register,
    /// The reader asks again for what waits.
    Watch(bool),
    /// The reader releases what it has wholly.
    Release,
    /// The reader releases again whatever it has ever had wholly.
    ReleaseAgain,
    /// The author takes a parcel back, perhaps not for the first time.
    Withdraw(u8),
    /// Time passes, and the wall clock jumps.
    ClockStep(u32, u32),
    /// The store refuses the next write.
    StoreRefuses(u8),
    /// The store fails once.
    StoreFails,
    /// The store answers nothing for a while.
    StoreRests(bool),
    /// The relay stops, for one of the two.
    Drain(bool),
}

fn operation() -> impl Strategy<Value = Operation> {
    prop_oneof![
        4 => (0..PARCELS).prop_map(Operation::Send),
        1 => (0..PARCELS, any::<u16>()).prop_map(|(number, from)| Operation::SendFrom(number, from)),
        3 => (1..4_000_u16).prop_map(Operation::Speak),
        1 => Just(Operation::EndLive),
        1 => (0..PARCELS).prop_map(Operation::Carry),
        8 => (1..400_u16).prop_map(Operation::Steps),
        1 => any::<bool>().prop_map(Operation::Drop),
        3 => (any::<bool>(), 0..30_000_u16, 0..30_000_u16)
            .prop_map(|(who, up, down)| Operation::CutAfter(who, up, down)),
        3 => (any::<bool>(), any::<bool>(), 0..40_u16, prop_oneof![Just(0_u8), Just(1), any::<u8>()])
            .prop_map(|(of_sender, up, frames, inside)| Operation::CutAtFrame { of_sender, up, frames, inside }),
        1 => any::<bool>().prop_map(Operation::Another),
        1 => any::<bool>().prop_map(Operation::Abandon),
        1 => Just(Operation::Notice),
        2 => Just(Operation::RestartRelay),
        1 => prop_oneof![Just(LaneOrder::Any), Just(LaneOrder::ControlFirst), Just(LaneOrder::ControlLast)]
            .prop_map(Operation::Lanes),
        1 => prop_oneof![Just(1_u16), 1..100_u16, Just(1_200), Just(60_000)].prop_map(Operation::Portion),
        1 => Just(Operation::Register),
        3 => any::<bool>().prop_map(Operation::Watch),
        2 => Just(Operation::Release),
        1 => Just(Operation::ReleaseAgain),
        1 => (0..PARCELS).prop_map(Operation::Withdraw),
        2 => (0..200_000_u32, any::<u32>()).prop_map(|(millis, wall)| Operation::ClockStep(millis, wall)),
        1 => (0..8_u8).prop_map(Operation::StoreRefuses),
        1 => Just(Operation::StoreFails),
        2 => any::<bool>().prop_map(Operation::StoreRests),
        1 => any::<bool>().prop_map(Operation::Drain),
    ]
}

/// One sender, one reader, and what must hold between them.
struct Scene {
    world: World,
    owner: Owner,
    parcels: Vec<SealedParcel>,
    live: SealedParcel,
    live_chain: MarkChain,
    live_is_closed: bool,
    /// Whether more than one session has brought parcels at once.
    races: bool,
    withdrawn: BTreeSet<ParcelId>,
    stored: BTreeSet<ParcelId>,
    sender: usize,
    reader: usize,
    sending: usize,
    reading: usize,
}

const LIVE: u8 = 200;

/// Sealed once: every list sends the same.
static SEALED: LazyLock<Vec<SealedParcel>> = LazyLock::new(|| {
    let class = |number| [Class::Voice, Class::Voice, Class::Text, Class::Control][usize::from(number % 4_u8)];
    let length = |number| if class(number) == Class::Voice { 6_000 + usize::from(number) * 3_001 } else { 512 };
    (0..PARCELS).map(|number| Owner::new(1).parcel(number, class(number), length(number), 3_000)).collect()
});

impl Scene {
    fn new(transport: Transport, seed: u64) -> Self {
        let (mut world, owner) = (World::seeded(transport, seed), Owner::new(1));
        world.mailbox(&owner);
        world.budgets_break = true;
        let (parcels, live) = (SEALED.clone(), owner.open_parcel(LIVE));
        let (sender, reader) = (world.device(), world.device());
        let (sending, reading) = (world.connect(sender), world.connect(reader));
        Self {
            world,
            owner,
            parcels,
            live_chain: MarkChain::new(&live.header),
            live,
            live_is_closed: false,
            races: false,
            withdrawn: BTreeSet::new(),
            stored: BTreeSet::new(),
            sender,
            reader,
            sending,
            reading,
        }
    }

    /// Returns the link of one of the two, a new one if the old is over.
    fn link(&mut self, of_sender: bool) -> usize {
        let (device, link) = if of_sender { (self.sender, self.sending) } else { (self.reader, self.reading) };
        let old = &self.world.links[link];
        if old.connected && !old.abandoned && old.client_closed.is_none() && old.relay_closed.is_none() {
            return link;
        }
        if !old.abandoned {
            self.world.cut(link);
        }
        self.connect(of_sender, device)
    }

    fn connect(&mut self, of_sender: bool, device: usize) -> usize {
        let new = self.world.connect(device);
        if of_sender {
            self.sending = new;
        } else {
            self.reading = new;
            self.world.command(new, self.owner.prove(Scope::Mailbox));
        }
        new
    }

    fn offer(&mut self, parcel: &SealedParcel) {
        let link = self.link(true);
        let from = self.world.devices[self.sender].durable.get(&parcel.header.id()).copied().unwrap_or(0);
        self.world.command(link, offer(parcel, from));
    }

    fn watch(&mut self, live: bool) {
        let link = self.link(false);
        let (mailbox, held) = (self.owner.mailbox(), self.world.devices[self.reader].held(self.owner.mailbox()));
        self.world.command(link, ClientCommand::Watch { mailbox, live, held });
    }

    fn speak(&mut self, count: u16, close: bool) {
        if self.live.body.len() > 60_000 || self.live_is_closed {
            return;
        }
        self.live_is_closed = close;
        self.offer(&self.live.clone());
        let start = self.live.body.len();
        let more: Vec<u8> = (start..start + usize::from(count)).map(|at| u8::try_from(at % 253).unwrap()).collect();
        self.live.body.extend(&more);
        let length = self.live.body.len();
        let whole = if close { length } else { length / 2_000 * 2_000 };
        let marked = self.live.marks.last().map_or(0, |mark| usize::try_from(mark.end).unwrap());
        let mut new = Vec::new();
        for part in self.live.body[marked..whole].chunks(2_000) {
            let is_last =
                close && self.live_chain.end() + u32::try_from(part.len()).unwrap() == u32::try_from(length).unwrap();
            new.push(self.live_chain.sign(&parcel_key(LIVE), part, is_last));
        }
        self.live.marks.extend(&new);
        let command = ClientCommand::Extend { id: self.live.header.id(), bytes: more, marks: new };
        let link = self.link(true);
        self.world.command(link, command);
    }

    fn apply(&mut self, operation: Operation) {
        match operation {
            Operation::Send(number) => self.offer(&self.parcels[usize::from(number)].clone()),
            Operation::SendFrom(number, from) => {
                let link = self.link(true);
                self.world.command(link, offer(&self.parcels[usize::from(number)], from.into()));
            }
            Operation::Speak(count) => self.speak(count, false),
            Operation::EndLive => {
                // The last mark is at an end where no other is.
                let more = if (self.live.body.len() + 700).is_multiple_of(2_000) { 701 } else { 700 };
                self.speak(more, true);
            }
            Operation::Carry(number) => {
                self.races = true;
                let parcel = &self.parcels[usize::from(number)];
                let from = self.world.devices[self.reader].durable.get(&parcel.header.id()).copied().unwrap_or(0);
                let command = offer(parcel, from);
                let link = self.link(false);
                self.world.command(link, command);
            }
            Operation::Steps(count) => {
                for _ in 0..count {
                    self.world.step();
                }
            }
            Operation::Drop(of_sender) => {
                let link = self.link(of_sender);
                self.world.cut(link);
            }
            Operation::Watch(live) => self.watch(live),
            Operation::Release => {
                let link = self.link(false);
                self.world.release_whole(link, &self.owner);
            }
            Operation::ReleaseAgain => {
                let link = self.link(false);
                let whole = self.world.devices[self.reader].inbox.iter().filter(|(_, kept)| kept.closed);
                let ids = whole.map(|(id, _)| Durable::after_sync(*id)).collect();
                self.world.command(link, ClientCommand::Release { mailbox: self.owner.mailbox(), ids });
            }
            Operation::Register => {
                let link = self.link(false);
                self.world.command(link, self.owner.register(Scope::Mailbox));
            }
            Operation::Withdraw(number) => {
                let (write_key, read_tag) = (self.owner.write.public(), self.owner.tag());
                let link = self.link(true);
                let parcel_key = parcel_key(number);
                self.withdrawn.insert(self.parcels[usize::from(number)].header.id());
                self.world.command(link, ClientCommand::Withdraw { write_key, read_tag, parcel_key });
            }
            Operation::ClockStep(millis, wall) => {
                self.world.wall.0 = wall;
                self.world.pass(millis.into());
            }
            Operation::StoreRefuses(number) => {
                let codes = [Code::MAILBOX_FULL, Code::RELAY_FULL, Code::BUSY, Code::NOT_HERE, Code::BAD_OFFSET];
                self.world.store.refuse.push(codes[usize::from(number) % codes.len()]);
            }
            Operation::StoreFails => self.world.store.fail = true,
            Operation::StoreRests(rests) => self.world.store_is_slow = rests,
            Operation::Drain(of_sender) => {
                let link = self.link(of_sender);
                self.world.relay_command(link, RelayCommand::Drain);
            }
            other => self.disturb(&other),
        }
        self.check();
    }

    /// What links and the relay do by themselves.
    fn disturb(&mut self, operation: &Operation) {
        self.races |= matches!(operation, Operation::Another(true) | Operation::Abandon(true));
        match *operation {
            Operation::CutAfter(of_sender, up, down) => {
                let link = self.link(of_sender);
                self.world.links[link].up.budget = Budget::of_bytes(up.into());
                self.world.links[link].down.budget = Budget::of_bytes(down.into());
            }
            Operation::CutAtFrame { of_sender, up, frames, inside } => {
                let link = self.link(of_sender);
                let budget = Budget::of_frames(frames.into(), inside.into());
                let link = &mut self.world.links[link];
                *(if up { &mut link.up.budget } else { &mut link.down.budget }) = budget;
            }
            Operation::Another(true) => _ = self.connect(true, self.sender),
            Operation::Another(false) | Operation::Abandon(false) => {
                self.world.abandon(self.reading);
                self.connect(false, self.reader);
            }
            Operation::Abandon(true) => {
                self.world.abandon(self.sending);
                self.connect(true, self.sender);
            }
            Operation::Notice => self.notice(),
            Operation::RestartRelay => self.world.restart_relay(),
            Operation::Lanes(order) => self.world.order = order,
            Operation::Portion(bytes) => self.world.portion = bytes.into(),
            _ => unreachable!("people do that"),
        }
    }

    fn notice(&mut self) {
        for link in 0..self.world.links.len() {
            if self.world.links[link].abandoned {
                self.world.cut(link);
            }
        }
    }

    fn check(&mut self) {
        for link in &mut self.world.links {
            for event in link.events.drain(..) {
                match event {
                    ClientEvent::Stored { id } => _ = self.stored.insert(id),
                    ClientEvent::Closed { code, .. } => {
                        let honest = [Code::OK, Code::DRAINING, Code::INTERNAL, Code::IDLE];
                        // Of two sessions that bring the same bytes at once, one may have to begin again.
                        let raced = self.races && code == Code::BAD_OFFSET;
                        assert!(raced || honest.contains(&code), "two honest ends part with {code:?}");
                    }
                    _ => {}
                }
            }
        }
        let (store, inbox) = (&self.world.store, &self.world.devices[self.reader].inbox);
        for parcel in self.parcels.iter().chain([&self.live]) {
            let id = parcel.header.id();
            let has = inbox.get(&id);
            if let Some(row) = store.parcels.get(&id) {
                assert!(parcel.body.starts_with(&row.body) && parcel.marks.starts_with(&row.marks));
            }
            if let Some(kept) = has {
                assert!(parcel.body.starts_with(&kept.body) && parcel.marks.starts_with(&kept.marks));
            }
            if self.stored.contains(&id) && !self.withdrawn.contains(&id) {
                let at_relay = store.parcels.get(&id).is_some_and(|row| row.closed && row.body == parcel.body);
                let at_reader = has.is_some_and(|kept| kept.closed && kept.body == parcel.body);
                assert!(at_relay || at_reader, "a stored parcel is somewhere");
            }
        }
    }

    /// All faults are over: everything comes through.
    fn heal(&mut self) {
        self.world.store.refuse.clear();
        (self.world.store.fail, self.world.store_is_slow) = (false, false);
        for link in &mut self.world.links {
            (link.up.budget, link.down.budget) = (Budget::default(), Budget::default());
        }
        self.notice();
        self.world.portion = self.world.portion.max(1_200);
        self.world.run();
        self.check();
        // A link that ends over an offset from before is the only thing that may want another try.
        for _ in 0..3 {
            let parcels = self.parcels.iter().chain([&self.live]);
            let wanting = parcels.filter(|parcel| !self.stored.contains(&parcel.header.id()));
            for parcel in &wanting.cloned().collect::<Vec<_>>() {
                self.offer(parcel);
            }
            self.world.run();
            self.world.pass(1_000);
            self.check();
        }
        for _ in 0..2 {
            self.world.cut(self.reading);
            self.watch(false);
            self.world.run();
            self.check();
        }
        let inbox = &self.world.devices[self.reader].inbox;
        for parcel in self.parcels.iter().filter(|parcel| !self.withdrawn.contains(&parcel.header.id())) {
            let kept = inbox.get(&parcel.header.id()).expect("everything arrives");
            assert!(kept.closed && kept.body == parcel.body);
        }
        if !self.live.body.is_empty() {
            let kept = &inbox[&self.live.header.id()];
            assert!(kept.body == self.live.body && kept.marks == self.live.marks, "and what was spoken so far");
            assert_eq!(kept.closed, self.live_is_closed);
        }
    }
}

fn list() -> impl Strategy<Value = (Transport, u64, Vec<Operation>)> {
    let transport = prop_oneof![Just(Transport::Quic), Just(Transport::Tcp), Just(Transport::Tls)];
    (transport, any::<u64>(), prop::collection::vec(operation(), 1..OPERATIONS_MAX))
}

fn play((transport, seed, operations): (Transport, u64, Vec<Operation>)) {
    let mut scene = Scene::new(transport, seed);
    for operation in operations {
        scene.apply(operation);
    }
    scene.heal();
}

#[expect(clippy::disallowed_methods, reason = "no machine is built from it: it says how many lists are played")]
fn number(variable: &str) -> Option<u64> {
    let value = std::env::var(variable).ok()?;
    Some(value.parse().unwrap_or_else(|_| panic!("{variable} must be a number, not {value:?}")))
}

#[test]
fn no_order_of_events_loses_or_changes_a_stored_parcel() {
    let lists = number(LISTS_VARIABLE).unwrap_or(LISTS);
    let first = number(SEED_VARIABLE)
        .unwrap_or_else(|| any::<u32>().new_tree(&mut TestRunner::default()).unwrap().current().into());
    for nth in 0..lists {
        let seed = first.wrapping_add(nth);
        let config = ProptestConfig {
            cases: 1,
            rng_seed: RngSeed::Fixed(seed),
            failure_persistence: None,
            max_shrink_iters: 20_000,
            ..ProptestConfig::default()
        };
        let played = TestRunner::new(config).run(&list(), |list| {
            play(list);
            Ok(())
        });
        if let Err(error) = played {
            panic!("list {nth} fails; {LISTS_VARIABLE}=1 {SEED_VARIABLE}={seed} plays it again\n{error}");
        }
        if (nth + 1).is_multiple_of(2_000) {
            println!("{} lists held", nth + 1);
        }
    }
    println!("{lists} lists held, with seeds from {first}");
}
