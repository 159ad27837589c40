//! Whatever happens in whatever order: no stored parcel is lost, bytes are what was sealed, marks only move forward,
//! nothing panics, nothing piles up. (Bounds and forward marks are asserted by the world itself, at every step.)

use proptest::prelude::*;

use zajil_proto::ids::ParcelId;
use zajil_proto::parcel::{Class, SealedParcel};
use zajil_proto::session::client::{ClientCommand, ClientEvent};
use zajil_proto::session::relay::RelayCommand;
use zajil_proto::wire::{Code, Scope};

use crate::world::{Owner, Transport, World, marks, offer, parcel_key};

const PARCELS: u8 = 6;

#[derive(Debug, Clone)]
enum Operation {
    /// The sender offers a parcel, perhaps one it has offered already.
    Send(u8),
    /// The sender offers a parcel of which it believes that so much is durable.
    SendFrom(u8, u16),
    /// The sender offers a live note and says more of it.
    Speak(u16),
    /// Things move for a while.
    Steps(u16),
    /// The sender's or the reader's link breaks at once.
    Drop(bool),
    /// It breaks after so many bytes, up and down.
    CutAfter(bool, u16, u16),
    /// The reader asks again for what waits.
    Watch(bool),
    /// The reader releases what it has wholly.
    Release,
    /// The author takes a parcel back.
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
        8 => (1..400_u16).prop_map(Operation::Steps),
        1 => any::<bool>().prop_map(Operation::Drop),
        3 => (any::<bool>(), 0..30_000_u16, 0..30_000_u16)
            .prop_map(|(who, up, down)| Operation::CutAfter(who, up, down)),
        3 => any::<bool>().prop_map(Operation::Watch),
        2 => Just(Operation::Release),
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
    withdrawn: Vec<ParcelId>,
    stored: Vec<ParcelId>,
    sender: usize,
    reader: usize,
    sending: usize,
    reading: usize,
}

const LIVE: u8 = 200;

impl Scene {
    fn new(transport: Transport, seed: u64) -> Self {
        let (mut world, owner) = (World::seeded(transport, seed), Owner::new(1));
        world.mailbox(&owner);
        world.budgets_break = true;
        let class = |number| [Class::Voice, Class::Voice, Class::Text, Class::Control][usize::from(number % 4_u8)];
        let length = |number| if class(number) == Class::Voice { 6_000 + usize::from(number) * 7_001 } else { 512 };
        let parcels = (0..PARCELS).map(|n| owner.parcel(n, class(n), length(n), 3_000)).collect();
        let live = owner.open_parcel(LIVE);
        let (sender, reader) = (world.device(), world.device());
        let (sending, reading) = (world.connect(sender), world.connect(reader));
        let (withdrawn, stored) = (Vec::new(), Vec::new());
        Self { world, owner, parcels, live, withdrawn, stored, sender, reader, sending, reading }
    }

    /// Returns the link of one of the two, a new one if the old is over.
    fn link(&mut self, of_sender: bool) -> usize {
        let (device, link) = if of_sender { (self.sender, self.sending) } else { (self.reader, self.reading) };
        let old = &self.world.links[link];
        if old.connected && old.client_closed.is_none() && old.relay_closed.is_none() {
            return link;
        }
        self.world.cut(link);
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

    fn speak(&mut self, count: u16) {
        if self.live.body.len() > 60_000 {
            return;
        }
        self.offer(&self.live.clone());
        let start = self.live.body.len();
        let more: Vec<u8> = (start..start + usize::from(count)).map(|at| u8::try_from(at % 253).unwrap()).collect();
        self.live.body.extend(&more);
        let marked = self.live.marks.len();
        let whole = self.live.body.len() / 2_000 * 2_000;
        let all = marks(&self.live.header, LIVE, &self.live.body[..whole], 2_000, false);
        self.live.marks = all.clone();
        let command = ClientCommand::Extend { id: self.live.header.id(), bytes: more, marks: all[marked..].to_vec() };
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
            Operation::Speak(count) => self.speak(count),
            Operation::Steps(count) => {
                for _ in 0..count {
                    self.world.step();
                }
            }
            Operation::Drop(of_sender) => {
                let link = self.link(of_sender);
                self.world.cut(link);
            }
            Operation::CutAfter(of_sender, up, down) => {
                let link = self.link(of_sender);
                self.world.links[link].up_budget = Some(up.into());
                self.world.links[link].down_budget = Some(down.into());
            }
            Operation::Watch(live) => self.watch(live),
            Operation::Release => {
                let link = self.link(false);
                self.world.release_whole(link, &self.owner);
            }
            Operation::Withdraw(number) => {
                let (write_key, read_tag) = (self.owner.write.public(), self.owner.tag());
                let link = self.link(true);
                let parcel_key = parcel_key(number);
                self.withdrawn.push(self.parcels[usize::from(number)].header.id());
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
        }
        self.check();
    }

    fn check(&mut self) {
        for link in &mut self.world.links {
            for event in link.events.drain(..) {
                match event {
                    ClientEvent::Stored { id } => self.stored.push(id),
                    ClientEvent::Closed { code, .. } => {
                        let honest = [Code::OK, Code::DRAINING, Code::INTERNAL, Code::IDLE];
                        assert!(honest.contains(&code), "two honest ends part with {code:?}");
                    }
                    _ => {}
                }
            }
        }
        let (store, inbox) = (&self.world.store, &self.world.devices[self.reader].inbox);
        for parcel in &self.parcels {
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
        if let Some(kept) = inbox.get(&self.live.header.id()) {
            assert!(self.live.body.starts_with(&kept.body) && self.live.marks.starts_with(&kept.marks));
        }
    }

    /// All faults are over: everything comes through.
    fn heal(&mut self) {
        self.world.store.refuse.clear();
        (self.world.store.fail, self.world.store_is_slow) = (false, false);
        for link in [self.sending, self.reading] {
            self.world.links[link].up_budget = None;
            self.world.links[link].down_budget = None;
        }
        self.world.run();
        self.check();
        // A link that ends over an offset from before is the only thing that may want another try.
        for _ in 0..3 {
            let parcels: Vec<SealedParcel> = self.parcels.iter().chain([&self.live]).cloned().collect();
            for parcel in &parcels {
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
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_order_of_events_loses_or_changes_a_stored_parcel(
        tcp in any::<bool>(),
        seed in any::<u64>(),
        operations in prop::collection::vec(operation(), 1..40),
    ) {
        let transport = if tcp { Transport::Tcp } else { Transport::Quic };
        let mut scene = Scene::new(transport, seed);
        for operation in operations {
            scene.apply(operation);
        }
        scene.heal();
    }
}
