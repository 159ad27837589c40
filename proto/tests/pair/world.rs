//! Machines of devices and of one relay over a virtual network: no sockets, no clock, no async. Same seed, same trace.

use std::collections::{BTreeMap, VecDeque};

use zajil_proto::durable::Durable;
use zajil_proto::ids::{Epoch, MailboxId, ParcelId, ReadTag, SlotId};
use zajil_proto::keys::{Secret, SigningKey};
use zajil_proto::parcel::{Class, Header, Mark, MarkChain, Resumed, SealedParcel, Travel};
use zajil_proto::session::client::{
    ClientCommand, ClientEvent, ClientSession, ClientSettings, HeldState, Offer, Registering, Room,
};
use zajil_proto::session::custody::{StoreReply, StoreRequest};
use zajil_proto::session::relay::{Admission, Counter, RelayCommand, RelayEvent, RelaySession, RelaySettings};
use zajil_proto::session::{Input, Lane, Output, Session};
use zajil_proto::time::{Instant, Lifetime, Minute};
use zajil_proto::wire::{Code, Precision, Scope};

pub(crate) use crate::link::Transport;
use crate::link::{Delivery, LaneOrder, Wire};
use crate::store::Store;

/// The keys of one mailbox or slot.
pub(crate) struct Owner {
    pub(crate) write: SigningKey,
    pub(crate) read: SigningKey,
}

impl Owner {
    pub(crate) fn new(number: u8) -> Self {
        Self {
            write: SigningKey::from_seed(&Secret([number; 32])),
            read: SigningKey::from_seed(&Secret([number ^ 0x80; 32])),
        }
    }

    pub(crate) fn tag(&self) -> ReadTag {
        ReadTag::of(&self.read.public())
    }

    pub(crate) fn mailbox(&self) -> MailboxId {
        MailboxId::of(&self.write.public(), &self.tag())
    }

    pub(crate) fn slot(&self) -> SlotId {
        SlotId::of(&self.write.public(), &self.tag())
    }

    pub(crate) fn prove(&self, scope: Scope) -> ClientCommand {
        ClientCommand::Prove { scope, write_key: self.write.public(), read_key: self.read.clone() }
    }

    pub(crate) fn registering(&self, scope: Scope) -> Registering {
        Registering {
            scope,
            write_key: self.write.public(),
            read_tag: self.tag(),
            parcels_max: None,
            room: Room::Usual,
            valid_hours: None,
            precision: Precision::SixHours,
            homes: Vec::new(),
            admission: String::new(),
        }
    }

    pub(crate) fn register(&self, scope: Scope) -> ClientCommand {
        ClientCommand::Register(Box::new(self.registering(scope)))
    }

    pub(crate) fn watch(&self, live: bool) -> ClientCommand {
        ClientCommand::Watch { mailbox: self.mailbox(), live, held: Vec::new() }
    }

    pub(crate) fn parcel(&self, number: u8, class: Class, length: usize, distance: usize) -> SealedParcel {
        let (header, body) = (self.header(number, class, length), body(number, length));
        let marks = marks(&header, number, &body, distance, true);
        SealedParcel { header, body, marks }
    }

    /// A live note, of which nothing is known yet.
    pub(crate) fn open_parcel(&self, number: u8) -> SealedParcel {
        SealedParcel { header: self.header(number, Class::Voice, 0), body: Vec::new(), marks: Vec::new() }
    }

    pub(crate) fn header(&self, number: u8, class: Class, length: usize) -> Header {
        let key = parcel_key(number).public();
        Header::sign(class, &self.write, self.tag(), key, Lifetime::DEFAULT, u32::try_from(length).unwrap())
    }
}

pub(crate) fn parcel_key(number: u8) -> SigningKey {
    let mut seed = [number; 32];
    seed[0] = 0xee;
    SigningKey::from_seed(&Secret(seed))
}

pub(crate) fn body(number: u8, length: usize) -> Vec<u8> {
    (0..length).map(|at| number ^ u8::try_from(at * 7 % 251).unwrap()).collect()
}

/// Marks at each `distance` of `body`, the last one closing the parcel if `close`.
pub(crate) fn marks(header: &Header, number: u8, body: &[u8], distance: usize, close: bool) -> Vec<Mark> {
    let (mut chain, key) = (MarkChain::new(header), parcel_key(number));
    let count = body.len().div_ceil(distance);
    let parts = body.chunks(distance).enumerate();
    parts.map(|(place, part)| chain.sign(&key, part, close && place + 1 == count)).collect()
}

pub(crate) fn offer(parcel: &SealedParcel, from: u32) -> ClientCommand {
    ClientCommand::Offer(Box::new(Offer {
        parcel: parcel.clone(),
        travel: Travel::default(),
        from,
        opens_waiting: false,
        age: 0,
        turn: 0,
        refused_before: false,
    }))
}

/// What a device has made durable of a parcel.
#[derive(Clone)]
pub(crate) struct Kept {
    pub(crate) header: Header,
    pub(crate) body: Vec<u8>,
    pub(crate) marks: Vec<Mark>,
    pub(crate) chain: ([u8; 32], u32),
    pub(crate) closed: bool,
}

/// What survives a device's sessions.
#[derive(Default)]
pub(crate) struct Device {
    pub(crate) inbox: BTreeMap<ParcelId, Kept>,
    /// Durable offsets it has heard of.
    pub(crate) durable: BTreeMap<ParcelId, u32>,
}

impl Device {
    /// What to say in `Watch`.
    pub(crate) fn held(&self, mailbox: MailboxId) -> Vec<(ParcelId, HeldState)> {
        let of_mailbox = self.inbox.iter().filter(|(_, kept)| kept.header.mailbox() == mailbox);
        of_mailbox
            .map(|(id, kept)| {
                let tail = kept.body[usize::try_from(kept.chain.1).unwrap()..].to_vec();
                let resumed = Resumed { chain: kept.chain, tail, closed: kept.closed };
                let state = if kept.closed {
                    HeldState::Whole
                } else {
                    HeldState::Partial { header: Box::new(kept.header.clone()), resumed }
                };
                (*id, state)
            })
            .collect()
    }

    fn take(&mut self, event: &ClientEvent) {
        match event {
            ClientEvent::Arriving { header, from, .. } => {
                let kept = self.inbox.entry(header.id()).or_insert_with(|| Kept {
                    header: (**header).clone(),
                    body: Vec::new(),
                    marks: Vec::new(),
                    chain: MarkChain::new(header).state(),
                    closed: false,
                });
                assert_eq!(usize::try_from(*from).unwrap(), kept.body.len(), "`from` is what the device has");
            }
            ClientEvent::Body(arrived) => {
                let kept = self.inbox.get_mut(&arrived.id).expect("`Arriving` comes first");
                assert_eq!(usize::try_from(arrived.offset).unwrap(), kept.body.len(), "bytes join what is held");
                assert!(arrived.chain.1 >= kept.chain.1, "marks only move forward");
                kept.body.extend_from_slice(&arrived.bytes);
                kept.marks.extend_from_slice(&arrived.marks);
                (kept.chain, kept.closed) = (arrived.chain, arrived.closed);
            }
            ClientEvent::Cut { id, to } => {
                self.inbox.get_mut(id).unwrap().body.truncate(usize::try_from(*to).unwrap());
            }
            ClientEvent::Progress { id, durable } => _ = self.durable.insert(*id, *durable),
            _ => {}
        }
    }
}

/// A request to the store on its way.
enum Asked {
    /// Not done. A relay that falls now has never heard of it.
    Waits(Box<StoreRequest>),
    /// Done and durable; the relay has not been told.
    Done(Box<StoreReply>),
}

/// A session between one device and the relay.
pub(crate) struct Link {
    pub(crate) device: usize,
    pub(crate) client: ClientSession,
    pub(crate) relay: RelaySession,
    pub(crate) up: Wire,
    pub(crate) down: Wire,
    /// Whether the transport is there.
    pub(crate) connected: bool,
    /// The device has left it without a word, and the relay has not noticed.
    pub(crate) abandoned: bool,
    /// The relay has started again since.
    relay_fell: bool,
    pub(crate) events: Vec<ClientEvent>,
    pub(crate) counters: Vec<Counter>,
    pub(crate) watched: Vec<MailboxId>,
    pub(crate) relay_closed: Option<Code>,
    pub(crate) client_closed: Option<Code>,
    asked: VecDeque<(u64, Asked)>,
}

pub(crate) struct World {
    pub(crate) transport: Transport,
    pub(crate) now: Instant,
    pub(crate) wall: Minute,
    pub(crate) store: Store,
    pub(crate) devices: Vec<Device>,
    pub(crate) links: Vec<Link>,
    pub(crate) settings: RelaySettings,
    pub(crate) order: LaneOrder,
    /// Bytes delivered at a time, at most.
    pub(crate) portion: usize,
    /// Whether a link whose budget is used up breaks; else it only stalls.
    pub(crate) budgets_break: bool,
    /// While set, the store's answers are held back.
    pub(crate) store_is_slow: bool,
    random: u64,
}

impl World {
    pub(crate) fn new(transport: Transport) -> Self {
        Self {
            transport,
            now: Instant::from_millis(1_000),
            wall: Minute(30_000_000),
            store: Store::default(),
            devices: Vec::new(),
            links: Vec::new(),
            settings: RelaySettings {
                relay_key: relay_key(),
                epoch: Epoch([9; 16]),
                clock_trust: 1,
                next_visit_minutes: 0,
                parcel_bytes_max: 1_000_000,
                lifetime_hours_max: 60 * 24,
                admission: Admission::Open,
                links: Vec::new(),
            },
            order: LaneOrder::Any,
            portion: 1_200,
            budgets_break: false,
            store_is_slow: false,
            random: 0x9e37_79b9_7f4a_7c15,
        }
    }

    pub(crate) fn seeded(transport: Transport, seed: u64) -> Self {
        let mut world = Self::new(transport);
        world.random ^= seed.wrapping_mul(0x2545_f491_4f6c_dd1d) | 1;
        world
    }

    pub(crate) fn device(&mut self) -> usize {
        self.devices.push(Device::default());
        self.devices.len() - 1
    }

    /// Connects a device; returns the link.
    pub(crate) fn connect(&mut self, device: usize) -> usize {
        let number = u8::try_from(self.links.len() % 200).unwrap();
        let exporter = [number; 32];
        self.links.push(Link {
            device,
            client: ClientSession::new(ClientSettings::default(), exporter),
            relay: RelaySession::new(self.settings.clone(), self.wall, exporter),
            up: Wire::default(),
            down: Wire::default(),
            connected: true,
            abandoned: false,
            relay_fell: false,
            events: Vec::new(),
            counters: Vec::new(),
            watched: Vec::new(),
            relay_closed: None,
            client_closed: None,
            asked: VecDeque::new(),
        });
        let link = self.links.len() - 1;
        self.collect(link);
        link
    }

    /// A new device with a mailbox it has registered, proven and watches; returns its link.
    pub(crate) fn reader(&mut self, owner: &Owner, live: bool) -> usize {
        let device = self.device();
        let link = self.connect(device);
        self.command(link, owner.prove(Scope::Mailbox));
        self.command(link, owner.register(Scope::Mailbox));
        self.command(link, owner.watch(live));
        self.run();
        link
    }

    /// Registers a mailbox whose reader goes away again.
    pub(crate) fn mailbox(&mut self, owner: &Owner) {
        let device = self.device();
        let link = self.connect(device);
        self.command(link, owner.prove(Scope::Mailbox));
        self.command(link, owner.register(Scope::Mailbox));
        self.command(link, ClientCommand::Finish);
        self.run();
        assert_eq!(self.links[link].client_closed, Some(Code::OK));
    }

    pub(crate) fn command(&mut self, link: usize, command: ClientCommand) {
        let now = self.now;
        self.links[link].client.handle_input(now, Input::Command(command));
        self.collect(link);
    }

    pub(crate) fn relay_command(&mut self, link: usize, command: RelayCommand) {
        let now = self.now;
        if self.links[link].relay_fell {
            return;
        }
        self.links[link].relay.handle_input(now, Input::Command(command));
        self.collect(link);
    }

    /// Goes on until nothing moves any more.
    pub(crate) fn run(&mut self) {
        for _ in 0..2_000_000_u32 {
            if !self.step() {
                return;
            }
        }
        panic!("it never comes to rest");
    }

    /// Lets time pass, and wakes who wants to be woken.
    pub(crate) fn pass(&mut self, millis: u64) {
        self.now = Instant::from_millis(self.now.as_millis() + millis);
        for link in 0..self.links.len() {
            let now = self.now;
            let wakes = self.links[link].relay.wake_at().is_some_and(|at| at <= now);
            if wakes && self.links[link].connected {
                self.links[link].relay.handle_input(now, Input::Wake);
                self.collect(link);
            }
        }
        self.run();
    }

    /// Breaks a link: what was on its way is lost.
    pub(crate) fn cut(&mut self, link: usize) {
        let now = self.now;
        let broken = &mut self.links[link];
        if !broken.connected {
            return;
        }
        broken.connected = false;
        (broken.up, broken.down) = (Wire::default(), Wire::default());
        if !broken.abandoned {
            broken.client.handle_input(now, Input::Disconnected);
        }
        broken.relay.handle_input(now, Input::Disconnected);
        self.collect(link);
    }

    /// The device leaves a link without a word: what is on its way up still arrives.
    pub(crate) fn abandon(&mut self, link: usize) {
        let now = self.now;
        let left = &mut self.links[link];
        if left.connected && !left.abandoned {
            left.abandoned = true;
            left.up.forget_waiting();
            left.client.handle_input(now, Input::Disconnected);
            self.collect(link);
        }
    }

    /// The relay falls and stands up again: every link breaks, and requests that the store has not done are lost. So are its
    /// answers to those it has.
    pub(crate) fn restart_relay(&mut self) {
        for link in 0..self.links.len() {
            let fallen = &mut self.links[link];
            fallen.relay_fell = true;
            fallen.asked.clear();
            fallen.watched.clear();
            self.cut(link);
        }
    }

    /// Delivers one thing; returns `false` if there is nothing.
    pub(crate) fn step(&mut self) -> bool {
        let links = self.links.len();
        let start = self.draw(links.max(1));
        for turn in 0..links {
            let link = (start + turn) % links;
            let moved = match self.draw(3) {
                0 => self.answer_one(link) || self.deliver(link, true) || self.deliver(link, false),
                1 => self.deliver(link, true) || self.deliver(link, false) || self.answer_one(link),
                _ => self.deliver(link, false) || self.answer_one(link) || self.deliver(link, true),
            };
            if moved {
                return true;
            }
        }
        false
    }

    pub(crate) fn events(&mut self, link: usize) -> Vec<ClientEvent> {
        std::mem::take(&mut self.links[link].events)
    }

    /// Bytes delivered so far: upwards, downwards.
    pub(crate) fn delivered(&self, link: usize) -> (usize, usize) {
        (self.links[link].up.delivered, self.links[link].down.delivered)
    }

    /// Releases all that a device has wholly from a mailbox.
    pub(crate) fn release_whole(&mut self, link: usize, owner: &Owner) {
        let device = &self.devices[self.links[link].device];
        let ids = device.held(owner.mailbox()).into_iter().filter(|(_, state)| *state == HeldState::Whole);
        let ids = ids.map(|(id, _)| Durable::after_sync(id)).collect();
        self.command(link, ClientCommand::Release { mailbox: owner.mailbox(), ids });
    }

    pub(crate) fn draw(&mut self, below: usize) -> usize {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        usize::try_from(self.random % u64::try_from(below).unwrap()).unwrap()
    }

    /// Lets the store do the next request of a link, or tell the relay what came of one.
    fn answer_one(&mut self, link: usize) -> bool {
        if self.store_is_slow {
            return false;
        }
        let asked = &mut self.links[link].asked;
        let next = asked.iter().position(|(_, one)| matches!(one, Asked::Waits(_)));
        let told_first = next != Some(0) && (next.is_none() || self.draw(2) == 0);
        match next {
            Some(next) if !told_first => self.execute(link, next),
            _ => {
                let Some((ticket, Asked::Done(reply))) = self.links[link].asked.pop_front() else {
                    return false;
                };
                let command = RelayCommand::Store { ticket, reply: *reply, wall: self.wall };
                self.relay_command(link, command);
            }
        }
        true
    }

    fn execute(&mut self, link: usize, nth: usize) {
        let (_, asked) = &mut self.links[link].asked[nth];
        let nothing = Asked::Done(Box::new(StoreReply::Failed));
        let Asked::Waits(request) = std::mem::replace(asked, nothing) else {
            unreachable!("it waits");
        };
        let arrived = match &*request {
            StoreRequest::Extend(extension) => Some(extension.mailbox),
            _ => None,
        };
        *asked = Asked::Done(Box::new(self.store.execute(*request)));
        let Some(mailbox) = arrived else { return };
        for other in 0..self.links.len() {
            if self.links[other].connected && self.links[other].watched.contains(&mailbox) {
                self.relay_command(other, RelayCommand::Arrived { mailbox });
            }
        }
    }

    /// Moves bytes of a link, upwards or downwards.
    fn deliver(&mut self, link: usize, up: bool) -> bool {
        let (portion, pick, takes_first) = (self.draw(self.portion) + 1, self.draw(1 << 20), self.draw(2) == 0);
        if takes_first && self.take_waiting(link, up) {
            return true;
        }
        let (order, breaks) = (self.order, self.budgets_break);
        let moving = &mut self.links[link];
        if moving.abandoned && !up {
            return false;
        }
        let wire = if up { &mut moving.up } else { &mut moving.down };
        if breaks && wire.is_stuck() {
            self.cut(link);
            return true;
        }
        let Some(delivery) = wire.deliver(order, pick, portion) else {
            return self.take_waiting(link, up);
        };
        self.arrive(link, up, delivery);
        true
    }

    /// A transport with a socket takes frames off the machine's hands.
    fn take_waiting(&mut self, link: usize, up: bool) -> bool {
        let now = self.now;
        let moving = &mut self.links[link];
        let bytes = if up { moving.up.take_waiting() } else { moving.down.take_waiting() };
        match (bytes, up) {
            (0, _) => return false,
            (bytes, true) => moving.client.handle_input(now, Input::Flushed { bytes }),
            (bytes, false) => moving.relay.handle_input(now, Input::Flushed { bytes }),
        }
        self.collect(link);
        true
    }

    fn arrive(&mut self, link: usize, up: bool, delivery: Delivery) {
        let (now, Delivery { lane, bytes, ends }) = (self.now, delivery);
        // The transport gives streams numbers of its own.
        let lane = match lane {
            Lane::Transfer(number) => Lane::Transfer(number * 4 + 2),
            Lane::Control => Lane::Control,
        };
        let flushed = (self.transport != Transport::Tls).then_some(Input::Flushed { bytes: bytes.len() });
        let moving = &mut self.links[link];
        if up {
            if let Some(flushed) = flushed.filter(|_| !moving.abandoned) {
                moving.client.handle_input(now, flushed);
            }
            moving.relay.handle_input(now, Input::Received { lane, bytes });
            if ends {
                moving.relay.handle_input(now, Input::Ended { lane });
            }
        } else {
            if let Some(Input::Flushed { bytes }) = flushed {
                moving.relay.handle_input(now, Input::Flushed { bytes });
            }
            moving.client.handle_input(now, Input::Received { lane, bytes });
            if ends {
                moving.client.handle_input(now, Input::Ended { lane });
            }
        }
        self.collect(link);
    }

    /// Takes all that the machines of a link have to say.
    fn collect(&mut self, link: usize) {
        let transport = self.transport;
        let Self { links, devices, .. } = self;
        let link = &mut links[link];
        while let Some(output) = link.client.poll_output() {
            match output {
                Output::Transmit { lane, rank, bytes, end } => {
                    assert!(link.connected && !link.abandoned && link.client_closed.is_none());
                    link.up.send(transport, lane, rank, bytes, end);
                }
                Output::Event(event) => {
                    devices[link.device].take(&event);
                    link.events.push(event);
                }
                Output::Close { code } => link.client_closed = Some(code),
            }
        }
        while let Some(output) = link.relay.poll_output() {
            match output {
                _ if link.relay_fell => {}
                Output::Transmit { lane, rank, bytes, end } => {
                    assert!(link.connected && link.relay_closed.is_none());
                    link.down.send(transport, lane, rank, bytes, end);
                    assert!(link.down.on_its_way() < 2 << 20, "what waits is bounded");
                }
                Output::Event(RelayEvent::Store { ticket, request }) => {
                    link.asked.push_back((ticket, Asked::Waits(Box::new(request))));
                }
                Output::Event(RelayEvent::WatchStarted { mailbox }) => link.watched.push(mailbox),
                Output::Event(RelayEvent::WatchEnded { mailbox }) => link.watched.retain(|other| *other != mailbox),
                Output::Event(RelayEvent::Redeem { .. } | RelayEvent::TicketWanted { .. }) => {}
                Output::Event(RelayEvent::Metric(counter)) => link.counters.push(counter),
                Output::Close { code } => link.relay_closed = Some(code),
            }
        }
    }
}

pub(crate) fn relay_key() -> SigningKey {
    SigningKey::from_seed(&Secret([77; 32]))
}
