//! One machine alone, fed by hand: what a mistaken or hostile peer would say.

use zajil_proto::ids::ParcelId;
use zajil_proto::keys::{Purpose, Signature};
use zajil_proto::parcel::{Class, HEADER_BYTES, SealedParcel, Travel};
use zajil_proto::session::relay::{Counter, RelayCommand, RelayEvent, RelaySession};
use zajil_proto::session::{Input, Lane, Output, Session};
use zajil_proto::time::{Instant, Minute};
use zajil_proto::wire::{
    Code, Frame, FrameBuffer, LinkReport, Observation, ParcelStart, Prove, PutStart, PutState, SEALED_WORD_BYTES,
    Scope, SeenAnswer, Welcome, Word, WordLive, WordPut,
};

use crate::store::Store;
use crate::world::{Owner, Transport, World, parcel_key};

pub(crate) const EXPORTER: [u8; 32] = [3; 32];

/// A relay's machine with a store, fed by hand.
pub(crate) struct Relay {
    pub(crate) machine: RelaySession,
    pub(crate) store: Store,
    pub(crate) said: FrameBuffer,
    pub(crate) counters: Vec<Counter>,
    pub(crate) closed: Option<Code>,
}

impl Relay {
    pub(crate) fn new(owner: &Owner) -> Self {
        let mut world = World::new(Transport::Tcp);
        world.mailbox(owner);
        let machine = RelaySession::new(world.settings.clone(), Minute(1), EXPORTER);
        Self { machine, store: world.store, said: FrameBuffer::default(), counters: Vec::new(), closed: None }
    }

    pub(crate) fn greeted(owner: &Owner) -> Self {
        let mut relay = Self::new(owner);
        relay.hear(&hello(1, 1));
        relay
    }

    pub(crate) fn hear(&mut self, frame: &Frame) {
        self.bytes(frame.encode());
    }

    pub(crate) fn bytes(&mut self, bytes: Vec<u8>) {
        let now = Instant::from_millis(5);
        self.machine.handle_input(now, Input::Received { lane: Lane::Control, bytes });
        while let Some(output) = self.machine.poll_output() {
            match output {
                Output::Transmit { bytes, .. } => {
                    assert_eq!(self.closed, None);
                    self.said.push(&bytes);
                }
                Output::Event(RelayEvent::Store { ticket, request }) => {
                    let reply = self.store.execute(request);
                    let command = RelayCommand::Store { ticket, reply, wall: Minute(1) };
                    self.machine.handle_input(now, Input::Command(command));
                }
                Output::Event(RelayEvent::Metric(counter)) => self.counters.push(counter),
                Output::Event(_) => {}
                Output::Close { code } => self.closed = Some(code),
            }
        }
    }

    /// The session ended with `code`, said it, and counted it.
    pub(crate) fn assert_ended(&mut self, code: Code, why: &str) {
        assert_eq!(self.closed, Some(code), "{why}");
        assert!(self.counters.contains(&Counter::SessionRefused(code)), "{why}");
        let mut last = None;
        while let Some(frame) = self.said.next_frame().unwrap() {
            last = Some(frame);
        }
        assert!(matches!(last, Some(Frame::Close { code: said, .. }) if said == code), "{why}: {last:?}");
        // And nothing that comes after it moves anything.
        let requests = self.store.requests;
        self.hear(&hello(1, 1));
        self.bytes(vec![0xff; 50]);
        assert_eq!(self.store.requests, requests);
    }
}

pub(crate) fn hello(lowest: u8, highest: u8) -> Frame {
    Frame::Hello { lowest, highest, features: 0 }
}

pub(crate) fn put(transfer: u64, parcel: &SealedParcel) -> Frame {
    put_header(transfer, *parcel.header.as_bytes())
}

pub(crate) fn put_header(transfer: u64, header: [u8; HEADER_BYTES]) -> Frame {
    Frame::Put(PutStart { transfer, offset: 0, header, travel: Travel::default() })
}

pub(crate) fn bytes_at(transfer: u64, offset: u32, bytes: &[u8]) -> Frame {
    Frame::Body { transfer, offset, bytes: bytes.to_vec() }
}

pub(crate) fn of_the_relay() -> Vec<Frame> {
    let owner = Owner::new(1);
    let parcel = owner.parcel(1, Class::Voice, 10, 10);
    vec![
        Frame::Welcome(welcome(1)),
        Frame::Answer { request: 0, code: Code::OK },
        Frame::PutAnswer { id: parcel.header.id(), state: PutState::Open, durable: 0 },
        Frame::Parcel(start(0, &owner, &parcel)),
        Frame::Drained { mailbox: owner.mailbox(), transfers: 0 },
        Frame::Released { mailbox: owner.mailbox(), ids: Vec::new() },
        Frame::SeenAnswer(nothing_seen(0)),
    ]
}

pub(crate) fn of_the_device() -> Vec<Frame> {
    let owner = Owner::new(1);
    let parcel = owner.parcel(1, Class::Voice, 10, 10);
    vec![
        hello(1, 1),
        Frame::Prove(Prove::sign(Scope::Mailbox, owner.write.public(), &owner.read, &EXPORTER)),
        put(0, &parcel),
        Frame::Watch { mailbox: owner.mailbox(), live: true, more: false, held: Vec::new() },
        Frame::Release { mailbox: owner.mailbox(), ids: Vec::new() },
        withdraw(&owner, Purpose::Withdraw),
        Frame::WordPut(WordPut::passed_on(0, word(&owner))),
        Frame::WordLive(WordLive::sign(0, (owner.slot(), 1), &owner.write, &EXPORTER)),
        Frame::SeenGet { request: 0, slot: owner.slot() },
        Frame::Drop { request: 0, scope: Scope::Slot, id: owner.slot().0 },
    ]
}

pub(crate) fn withdraw(owner: &Owner, purpose: Purpose) -> Frame {
    let key = parcel_key(1);
    let id = ParcelId::of(&key.public());
    Frame::Withdraw {
        request: 0,
        write_key: owner.write.public(),
        read_tag: owner.tag(),
        parcel_key: key.public(),
        signature: key.sign(purpose, &[&owner.mailbox().0, &id.0]),
    }
}

pub(crate) fn word(owner: &Owner) -> Word {
    Word::sign(&owner.write, owner.tag(), 1, [5; SEALED_WORD_BYTES])
}

pub(crate) fn welcome(version: u8) -> Welcome {
    Welcome {
        version,
        features: 0,
        epoch: zajil_proto::ids::Epoch([1; 16]),
        minute: Minute(1),
        clock_trust: 0,
        next_visit_minutes: 0,
        parcel_bytes_max: 1,
        lifetime_hours_max: 1,
    }
}

pub(crate) fn start(transfer: u64, owner: &Owner, parcel: &SealedParcel) -> ParcelStart {
    let header = *parcel.header.as_bytes();
    ParcelStart { transfer, mailbox: owner.mailbox(), offset: 0, header, travel: Travel::default() }
}

pub(crate) fn nothing_seen(request: u64) -> SeenAnswer {
    SeenAnswer {
        request,
        version: 0,
        sealed: [0; SEALED_WORD_BYTES],
        signature: Signature::NONE,
        observation: Observation::NONE,
        links: LinkReport::default(),
    }
}
