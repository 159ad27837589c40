//! Frames with a wrong version, length, signature, offset or id: the session ends with a code and a counter, what was good stays.

use zajil_proto::durable::Durable;
use zajil_proto::ids::{MailboxId, ParcelId};
use zajil_proto::keys::{Purpose, Signature};
use zajil_proto::limits::{FRAME_BODY_BYTES_MAX, PROOFS_PER_SESSION_MAX, TRANSFERS_OPEN_MAX};
use zajil_proto::parcel::{Class, HEADER_BYTES, SealedParcel, Travel};
use zajil_proto::session::client::{ClientCommand, ClientEvent, ClientSession, ClientSettings};
use zajil_proto::session::custody::{StoreReply, StoreRequest};
use zajil_proto::session::relay::{Counter, RelayCommand, RelayEvent, RelaySession};
use zajil_proto::session::{Input, Lane, Output, Session};
use zajil_proto::time::{Instant, Minute};
use zajil_proto::wire::{
    Code, Frame, FrameBuffer, LinkReport, Observation, ParcelStart, Prove, PutStart, PutState, SEALED_WORD_BYTES,
    Scope, SeenAnswer, Welcome, Word, WordPut,
};

use crate::store::Store;
use crate::world::{Owner, Transport, World, offer, parcel_key};

const EXPORTER: [u8; 32] = [3; 32];

/// A relay's machine with a store, fed by hand.
struct Relay {
    machine: RelaySession,
    store: Store,
    said: FrameBuffer,
    counters: Vec<Counter>,
    closed: Option<Code>,
}

impl Relay {
    fn new(owner: &Owner) -> Self {
        let mut world = World::new(Transport::Tcp);
        world.mailbox(owner);
        let machine = RelaySession::new(world.settings.clone(), Minute(1), EXPORTER);
        Self { machine, store: world.store, said: FrameBuffer::default(), counters: Vec::new(), closed: None }
    }

    fn greeted(owner: &Owner) -> Self {
        let mut relay = Self::new(owner);
        relay.hear(&hello(1, 1));
        relay
    }

    fn hear(&mut self, frame: &Frame) {
        self.bytes(frame.encode());
    }

    fn bytes(&mut self, bytes: Vec<u8>) {
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
    fn assert_ended(&mut self, code: Code, why: &str) {
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

fn hello(lowest: u8, highest: u8) -> Frame {
    Frame::Hello { lowest, highest, features: 0 }
}

fn put(transfer: u64, parcel: &SealedParcel) -> Frame {
    put_header(transfer, *parcel.header.as_bytes())
}

fn put_header(transfer: u64, header: [u8; HEADER_BYTES]) -> Frame {
    Frame::Put(PutStart { transfer, offset: 0, header, travel: Travel::default() })
}

fn bytes_at(transfer: u64, offset: u32, bytes: &[u8]) -> Frame {
    Frame::Body { transfer, offset, bytes: bytes.to_vec() }
}

fn of_the_relay() -> Vec<Frame> {
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

fn of_the_device() -> Vec<Frame> {
    let owner = Owner::new(1);
    let parcel = owner.parcel(1, Class::Voice, 10, 10);
    vec![
        hello(1, 1),
        Frame::Prove(Prove::sign(Scope::Mailbox, owner.write.public(), &owner.read, &EXPORTER)),
        put(0, &parcel),
        Frame::Watch { mailbox: owner.mailbox(), live: true, more: false, held: Vec::new() },
        Frame::Release { mailbox: owner.mailbox(), ids: Vec::new() },
        withdraw(&owner, Purpose::Withdraw),
        Frame::WordPut(WordPut { request: 0, word: word(&owner), live_proof: Signature::NONE }),
        Frame::SeenGet { request: 0, slot: owner.slot() },
        Frame::Drop { request: 0, scope: Scope::Slot, id: owner.slot().0 },
    ]
}

fn withdraw(owner: &Owner, purpose: Purpose) -> Frame {
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

fn word(owner: &Owner) -> Word {
    Word::sign(&owner.write, owner.tag(), 1, [5; SEALED_WORD_BYTES])
}

fn welcome(version: u8) -> Welcome {
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

fn start(transfer: u64, owner: &Owner, parcel: &SealedParcel) -> ParcelStart {
    let header = *parcel.header.as_bytes();
    ParcelStart { transfer, mailbox: owner.mailbox(), offset: 0, header, travel: Travel::default() }
}

fn nothing_seen(request: u64) -> SeenAnswer {
    SeenAnswer {
        request,
        version: 0,
        sealed: [0; SEALED_WORD_BYTES],
        signature: Signature::NONE,
        observation: Observation::NONE,
        links: LinkReport::default(),
    }
}

#[test]
fn a_relay_speaks_no_version_but_its_own() {
    for (lowest, highest) in [(0, 0), (2, 9), (9, 1)] {
        let mut relay = Relay::new(&Owner::new(1));
        relay.hear(&hello(lowest, highest));
        relay.assert_ended(Code::VERSION, "no version in common");
    }
    let mut relay = Relay::new(&Owner::new(1));
    relay.hear(&hello(0, 200));
    assert_eq!(relay.closed, None);
}

#[test]
fn a_relay_ends_a_session_over_frames_out_of_turn() {
    let owner = Owner::new(1);
    for frame in of_the_device().into_iter().skip(1) {
        let mut relay = Relay::new(&owner);
        relay.hear(&frame);
        relay.assert_ended(Code::UNEXPECTED, "before Hello");
    }
    for frame in of_the_relay().into_iter().chain([hello(1, 1)]) {
        let mut relay = Relay::greeted(&owner);
        relay.hear(&frame);
        relay.assert_ended(Code::UNEXPECTED, "a relay's own frame, or a second Hello");
    }
}

#[test]
fn a_relay_ends_a_session_over_bytes_that_are_no_frames() {
    let owner = Owner::new(1);
    let too_long = u16::try_from(FRAME_BODY_BYTES_MAX + 1).unwrap().to_be_bytes();
    let cases: [(&str, Vec<u8>, Code); 6] = [
        ("an even type nobody knows", vec![0x2a, 0], Code::UNKNOWN_FRAME),
        ("a length above the limit", [vec![0x0c, 0x80, 0], too_long.to_vec()].concat(), Code::TOO_LARGE),
        ("an integer longer than it need be", vec![0x40, 0x00, 0x0a], Code::MALFORMED),
        ("a body that ends before its last field", vec![0x16, 3, 1, 2, 3], Code::MALFORMED),
        ("a scope that is none", [vec![0x26, 18, 0, 7], vec![0; 16]].concat(), Code::MALFORMED),
        ("a body frame without bytes", vec![0x0c, 5, 0, 0, 0, 0, 0], Code::MALFORMED),
    ];
    for (why, bytes, code) in cases {
        let mut relay = Relay::greeted(&owner);
        relay.bytes(bytes);
        relay.assert_ended(code, why);
    }
    let mut relay = Relay::greeted(&owner);
    relay.bytes(vec![0x2b, 3, 1, 2, 3, 0x01, 32]);
    relay.bytes(vec![0; 32]);
    assert_eq!(relay.closed, None, "unknown odd types and those of later use are skipped");
}

#[test]
fn a_relay_ends_a_session_over_signatures_that_do_not_fit() {
    let owner = Owner::new(1);
    let parcel = owner.parcel(1, Class::Voice, 9_000, 8_000);
    let mut forged_header = *parcel.header.as_bytes();
    forged_header[HEADER_BYTES - 1] ^= 1;
    let mut moved_header = *parcel.header.as_bytes();
    moved_header[1] = 2;
    let mut forged_word = word(&owner);
    forged_word.sealed[0] ^= 1;
    let forged_live = WordPut::live(0, word(&owner), &owner.read, &EXPORTER);
    let other_session = WordPut::live(0, word(&owner), &owner.write, &[4; 32]);
    let prove = |exporter| Frame::Prove(Prove::sign(Scope::Mailbox, owner.write.public(), &owner.read, exporter));
    let Frame::Prove(mut other_scope) = prove(&EXPORTER) else { unreachable!() };
    other_scope.scope = Scope::Slot;
    let word_put = |word, live_proof| Frame::WordPut(WordPut { request: 0, word, live_proof });
    for (why, frame) in [
        ("a proof made for another session", prove(&[4; 32])),
        ("a proof made for another scope", Frame::Prove(other_scope)),
        ("a header with another signature", put_header(0, forged_header)),
        ("a header that says something else", put_header(0, moved_header)),
        ("a withdrawal signed for another purpose", withdraw(&owner, Purpose::Mark)),
        ("a word its owner did not sign", word_put(forged_word, Signature::NONE)),
        ("a live proof by another key", Frame::WordPut(forged_live)),
        ("a live proof from another session", Frame::WordPut(other_session)),
    ] {
        let mut relay = Relay::greeted(&owner);
        relay.hear(&frame);
        relay.assert_ended(Code::BAD_SIGNATURE, why);
        assert!(relay.store.parcels.is_empty());
    }
    for (at, value) in [(0, 2), (1, 9), (82, 0xff), (84, 0xff)] {
        let mut header = *parcel.header.as_bytes();
        header[at] = value;
        let mut relay = Relay::greeted(&owner);
        relay.hear(&put_header(0, header));
        relay.assert_ended(Code::MALFORMED, "a header of another version, class, lifetime or length");
    }
}

#[test]
fn a_mark_that_does_not_fit_costs_the_tail_and_nothing_else() {
    let owner = Owner::new(1);
    let parcel = owner.parcel(1, Class::Voice, 9_000, 3_000);
    // The tail may be on disk already when its mark comes, or still in memory.
    for tail in [100, 5_000] {
        let mut relay = Relay::greeted(&owner);
        relay.hear(&put(0, &parcel));
        relay.hear(&bytes_at(0, 0, &parcel.body[..3_000]));
        relay.hear(&Frame::Mark { transfer: 0, mark: parcel.marks[0] });
        relay.hear(&bytes_at(0, 3_000, &vec![0xaa; tail]));
        let mut mark = parcel.marks[1];
        mark.end = 3_000 + u32::try_from(tail).unwrap();
        relay.hear(&Frame::Mark { transfer: 0, mark });
        relay.assert_ended(Code::BAD_SIGNATURE, "a bad mark");
        let row = &relay.store.parcels[&parcel.header.id()];
        assert_eq!(row.body, parcel.body[..3_000]);
        assert_eq!(row.marks, parcel.marks[..1]);
    }
}

#[test]
fn a_relay_ends_a_session_over_offsets_and_ids_out_of_place_and_keeps_what_was_good() {
    let owner = Owner::new(1);
    let (parcel, other) = (owner.parcel(1, Class::Voice, 9_000, 8_000), owner.parcel(2, Class::Voice, 9_000, 8_000));
    let mut early_mark = parcel.marks[0];
    early_mark.end = 2_000;
    let long = vec![1; 8_192];
    let cases: [(&str, Frame, Code); 6] = [
        ("a gap", bytes_at(0, 1_001, &[1]), Code::BAD_OFFSET),
        ("more than a mark may cover", bytes_at(0, 1_000, &long), Code::BAD_OFFSET),
        ("a mark over bytes that did not come", Frame::Mark { transfer: 0, mark: early_mark }, Code::BAD_OFFSET),
        ("a transfer that did not begin", bytes_at(1, 0, &[1]), Code::BAD_ID),
        ("a mark of a transfer that did not begin", Frame::Mark { transfer: 1, mark: early_mark }, Code::BAD_ID),
        ("a transfer used for two parcels", put(0, &other), Code::BAD_ID),
    ];
    for (why, frame, code) in cases {
        let mut relay = Relay::greeted(&owner);
        relay.hear(&put(0, &parcel));
        relay.hear(&bytes_at(0, 0, &parcel.body[..1_000]));
        relay.hear(&frame);
        relay.assert_ended(code, why);
        assert_eq!(relay.store.parcels[&parcel.header.id()].body, parcel.body[..1_000], "{why}: what was good is kept");
    }
}

#[test]
fn a_relay_ends_a_session_that_wants_too_much() {
    let owner = Owner::new(1);
    let mut relay = Relay::greeted(&owner);
    for number in 0..=u8::try_from(TRANSFERS_OPEN_MAX).unwrap() {
        assert_eq!(relay.closed, None);
        relay.hear(&put(number.into(), &owner.parcel(number, Class::Voice, 9_000, 8_000)));
    }
    relay.assert_ended(Code::TOO_MANY, "transfers");

    let mut relay = Relay::greeted(&owner);
    for number in 0..=u16::try_from(PROOFS_PER_SESSION_MAX).unwrap() {
        assert_eq!(relay.closed, None);
        let mut seed = [1; 32];
        seed[..2].copy_from_slice(&number.to_be_bytes());
        let write = zajil_proto::keys::SigningKey::from_seed(&zajil_proto::keys::Secret(seed)).public();
        relay.hear(&Frame::Prove(Prove::sign(Scope::Mailbox, write, &owner.read, &EXPORTER)));
    }
    relay.assert_ended(Code::TOO_MANY, "proofs");

    // Asks and asks, and never takes an answer.
    let mut relay = Relay::greeted(&owner);
    for request in 0..5_000 {
        relay.hear(&Frame::SeenGet { request, slot: owner.slot() });
    }
    relay.assert_ended(Code::TOO_MANY, "answers nobody takes");
}

#[test]
fn a_relay_whose_store_cannot_go_on_acknowledges_nothing() {
    let owner = Owner::new(1);
    let parcel = owner.parcel(1, Class::Voice, 500, 8_000);
    let mut relay = Relay::greeted(&owner);
    relay.hear(&put(0, &parcel));
    relay.hear(&bytes_at(0, 0, &parcel.body));
    relay.store.fail = true;
    relay.hear(&Frame::Mark { transfer: 0, mark: parcel.marks[0] });
    relay.assert_ended(Code::INTERNAL, "the store failed");
    assert!(!relay.counters.contains(&Counter::ParcelStored));
}

#[test]
fn an_answer_of_the_store_that_fits_no_question_ends_the_session() {
    let owner = Owner::new(1);
    let mut machine = RelaySession::new(World::new(Transport::Tcp).settings, Minute(1), EXPORTER);
    let now = Instant::from_millis(1);
    let bytes = [hello(1, 1).encode(), put(0, &owner.parcel(1, Class::Voice, 500, 500)).encode()].concat();
    machine.handle_input(now, Input::Received { lane: Lane::Control, bytes });
    let reply = StoreReply::Released(Durable::after_sync(Vec::new()));
    for ticket in [7, 0, 0] {
        let command = RelayCommand::Store { ticket, reply: reply.clone(), wall: Minute(1) };
        machine.handle_input(now, Input::Command(command));
    }
    let outputs: Vec<_> = std::iter::from_fn(|| machine.poll_output()).collect();
    assert!(matches!(outputs.last(), Some(Output::Close { code: Code::INTERNAL })));
    let asked = |output: &&Output<_>| {
        matches!(output, Output::Event(RelayEvent::Store { request: StoreRequest::Put { .. }, .. }))
    };
    assert_eq!(outputs.iter().filter(asked).count(), 1);
}

/// A device's machine fed by hand with what a relay says.
fn device_hears(commands: Vec<ClientCommand>, frames: &[Frame]) -> (Vec<ClientEvent>, Option<Code>) {
    let mut machine = ClientSession::new(ClientSettings::default(), EXPORTER);
    let now = Instant::from_millis(5);
    for command in commands {
        machine.handle_input(now, Input::Command(command));
    }
    for frame in frames {
        machine.handle_input(now, Input::Received { lane: Lane::Control, bytes: frame.encode() });
    }
    let (mut events, mut closed) = (Vec::new(), None);
    while let Some(output) = machine.poll_output() {
        assert_eq!(closed, None, "nothing follows the close");
        match output {
            Output::Event(event) => events.push(event),
            Output::Close { code } => closed = Some(code),
            Output::Transmit { .. } => {}
        }
    }
    if let Some(code) = closed {
        assert_eq!(events.last(), Some(&ClientEvent::Closed { code, by_relay: false }));
    }
    (events, closed)
}

fn watching(owner: &Owner) -> Vec<ClientCommand> {
    vec![owner.prove(Scope::Mailbox), owner.prove(Scope::Slot), owner.watch(true)]
}

#[test]
fn a_device_ends_a_session_with_a_relay_that_speaks_out_of_turn() {
    let first = |frame| device_hears(Vec::new(), &[frame]).1;
    assert_eq!(first(Frame::Welcome(welcome(2))), Some(Code::VERSION));
    for frame in of_the_relay().into_iter().skip(1) {
        assert_eq!(first(frame), Some(Code::UNEXPECTED), "before Welcome");
    }
    for frame in of_the_device().into_iter().chain([Frame::Welcome(welcome(1))]) {
        let closed = device_hears(watching(&Owner::new(1)), &[Frame::Welcome(welcome(1)), frame]).1;
        assert_eq!(closed, Some(Code::UNEXPECTED), "a device's own frame, or a second Welcome");
    }
}

#[test]
fn a_device_ends_a_session_with_a_relay_that_answers_what_was_not_asked() {
    let owner = Owner::new(1);
    let parcel = owner.parcel(1, Class::Voice, 500, 500);
    let (id, elsewhere) = (parcel.header.id(), MailboxId([4; 16]));
    let cases: [(&str, Frame, Code); 9] = [
        ("an answer to nothing", Frame::Answer { request: 5, code: Code::OK }, Code::BAD_ID),
        ("an answer about a parcel not on offer", answer(ParcelId([1; 16]), PutState::Stored, 0), Code::BAD_ID),
        ("more durable than there is", answer(id, PutState::Open, 501), Code::BAD_OFFSET),
        ("released, unasked", Frame::Released { mailbox: owner.mailbox(), ids: vec![id] }, Code::BAD_ID),
        ("seen, unasked", Frame::SeenAnswer(nothing_seen(5)), Code::BAD_ID),
        ("drained, unasked", Frame::Drained { mailbox: elsewhere, transfers: 0 }, Code::BAD_ID),
        ("a parcel of a mailbox not watched", parcel_of(&Owner::new(2)), Code::BAD_ID),
        ("bytes of no transfer", bytes_at(9, 0, &[1]), Code::BAD_ID),
        ("a mark of no transfer", Frame::Mark { transfer: 9, mark: parcel.marks[0] }, Code::BAD_ID),
    ];
    for (why, frame, code) in cases {
        let mut commands = watching(&owner);
        commands.push(offer(&parcel, 0));
        let (events, closed) = device_hears(commands, &[Frame::Welcome(welcome(1)), frame]);
        assert_eq!(closed, Some(code), "{why}");
        assert!(events.iter().all(|event| !matches!(event, ClientEvent::Arriving { .. })));
    }
}

fn answer(id: ParcelId, state: PutState, durable: u32) -> Frame {
    Frame::PutAnswer { id, state, durable }
}

fn parcel_of(owner: &Owner) -> Frame {
    Frame::Parcel(start(0, owner, &owner.parcel(1, Class::Voice, 500, 500)))
}

#[test]
fn a_device_takes_no_parcel_that_its_writer_did_not_sign_for_this_mailbox() {
    let owner = Owner::new(1);
    let parcel = owner.parcel(1, Class::Voice, 500, 500);
    let hears = |start| device_hears(watching(&owner), &[Frame::Welcome(welcome(1)), Frame::Parcel(start)]).1;
    let mut forged = start(0, &owner, &parcel);
    forged.header[100] ^= 1;
    assert_eq!(hears(forged), Some(Code::BAD_SIGNATURE));
    let mut strange = start(0, &owner, &parcel);
    strange.header[0] = 2;
    assert_eq!(hears(strange), Some(Code::MALFORMED));
    let mut swapped = start(0, &Owner::new(2), &parcel);
    swapped.mailbox = owner.mailbox();
    swapped.header = *Owner::new(2).parcel(1, Class::Voice, 500, 500).header.as_bytes();
    assert_eq!(hears(swapped), Some(Code::BAD_ID), "another mailbox's parcel under this one's name");
    let mut ahead = start(0, &owner, &parcel);
    ahead.offset = 1;
    assert_eq!(hears(ahead), Some(Code::BAD_OFFSET));
    assert_eq!(hears(start(0, &owner, &parcel)), None);
}

#[test]
fn a_device_keeps_what_was_good_when_a_mark_does_not_fit() {
    let owner = Owner::new(1);
    let parcel = owner.parcel(1, Class::Voice, 9_000, 3_000);
    let frames = [
        Frame::Welcome(welcome(1)),
        Frame::Parcel(start(0, &owner, &parcel)),
        bytes_at(0, 0, &parcel.body[..3_000]),
        Frame::Mark { transfer: 0, mark: parcel.marks[0] },
        bytes_at(0, 3_000, &[0xaa; 3_000]),
        Frame::Mark { transfer: 0, mark: parcel.marks[1] },
    ];
    let id = parcel.header.id();
    // Frame by frame, and all in one piece.
    let (events, closed) = device_hears(watching(&owner), &frames);
    assert_eq!(closed, Some(Code::BAD_SIGNATURE));
    assert!(events.contains(&ClientEvent::Cut { id, to: 3_000 }));

    let mut machine = ClientSession::new(ClientSettings::default(), EXPORTER);
    let now = Instant::from_millis(5);
    for command in watching(&owner) {
        machine.handle_input(now, Input::Command(command));
    }
    let bytes = frames.iter().flat_map(Frame::encode).collect();
    machine.handle_input(now, Input::Received { lane: Lane::Control, bytes });
    let mut held = Vec::new();
    while let Some(output) = machine.poll_output() {
        match output {
            Output::Event(ClientEvent::Body(arrived)) => held.extend(arrived.bytes),
            Output::Event(ClientEvent::Cut { to, .. }) => held.truncate(usize::try_from(to).unwrap()),
            _ => {}
        }
    }
    assert_eq!(held, parcel.body[..3_000]);
}

#[test]
fn a_device_believes_no_word_that_its_owner_did_not_sign() {
    let owner = Owner::new(1);
    let ask = |owner: &Owner| ClientCommand::GetSeen { slot: owner.slot() };
    let told = |word: &Word| SeenAnswer {
        version: word.version,
        sealed: word.sealed,
        signature: word.signature,
        ..nothing_seen(0)
    };
    let hears = |asks: &Owner, answer| {
        let mut commands = watching(&owner);
        commands.push(ask(asks));
        device_hears(commands, &[Frame::Welcome(welcome(1)), Frame::SeenAnswer(answer)])
    };
    let honest = word(&owner);
    let (events, closed) = hears(&owner, told(&honest));
    assert_eq!(closed, None);
    assert!(matches!(events.last(), Some(ClientEvent::Seen { word: Some(word), .. }) if **word == honest));
    let mut newer = told(&honest);
    newer.version += 1;
    assert_eq!(hears(&owner, newer).1, Some(Code::BAD_SIGNATURE));
    let other = Owner::new(2);
    assert_eq!(hears(&owner, told(&word(&other))).1, Some(Code::BAD_SIGNATURE));
    assert_eq!(hears(&other, told(&word(&other))).1, Some(Code::BAD_SIGNATURE), "a slot whose keys are not known here");
}

#[test]
fn what_overtakes_the_first_words_waits_for_them_and_not_without_bound() {
    let owner = Owner::new(1);
    let parcel = owner.parcel(1, Class::Voice, 500, 500);
    let mut relay = Relay::new(&owner);
    let now = Instant::from_millis(5);
    let frames = [put(0, &parcel), bytes_at(0, 0, &parcel.body), Frame::Mark { transfer: 0, mark: parcel.marks[0] }];
    let bytes = frames.iter().flat_map(Frame::encode).collect();
    relay.machine.handle_input(now, Input::Received { lane: Lane::Transfer(6), bytes });
    relay.machine.handle_input(now, Input::Ended { lane: Lane::Transfer(6) });
    assert!(relay.machine.poll_output().is_none());
    relay.hear(&hello(1, 1));
    assert!(relay.store.parcels[&parcel.header.id()].closed);

    let mut relay = Relay::new(&owner);
    for _ in 0..5 {
        let bytes = vec![0; 60_000];
        relay.machine.handle_input(now, Input::Received { lane: Lane::Transfer(6), bytes });
    }
    relay.bytes(Vec::new());
    relay.assert_ended(Code::UNEXPECTED, "transfers without first words");
}

#[test]
fn regression_a_later_transfer_that_overtakes_an_earlier_one_of_its_note_waits_for_it() {
    let owner = Owner::new(1);
    let parcel = owner.parcel(1, Class::Voice, 9_000, 3_000);
    let id = parcel.header.id();
    let later = ParcelStart { transfer: 1, offset: 4_000, ..start(1, &owner, &parcel) };
    let row = |frames: &[Frame]| frames.iter().flat_map(Frame::encode).collect::<Vec<u8>>();
    let first = row(&[
        Frame::Parcel(start(0, &owner, &parcel)),
        bytes_at(0, 0, &parcel.body[..3_000]),
        Frame::Mark { transfer: 0, mark: parcel.marks[0] },
        bytes_at(0, 3_000, &parcel.body[3_000..4_000]),
    ]);
    let second = row(&[
        Frame::Parcel(later),
        bytes_at(1, 4_000, &parcel.body[4_000..6_000]),
        Frame::Mark { transfer: 1, mark: parcel.marks[1] },
        bytes_at(1, 6_000, &parcel.body[6_000..]),
        Frame::Mark { transfer: 1, mark: parcel.marks[2] },
    ]);
    let drained = Frame::Drained { mailbox: owner.mailbox(), transfers: 2 };
    let (one, two, now) = (Lane::Transfer(3), Lane::Transfer(7), Instant::from_millis(5));
    // The second lane arrives wholly before the first, or before the last bytes of the first.
    for split in [0, 100, first.len() - 1] {
        let mut machine = ClientSession::new(ClientSettings::default(), EXPORTER);
        for command in watching(&owner) {
            machine.handle_input(now, Input::Command(command));
        }
        let control = row(&[Frame::Welcome(welcome(1)), drained.clone()]);
        let (early, late) = first.split_at(split);
        machine.handle_input(now, Input::Received { lane: Lane::Control, bytes: control });
        machine.handle_input(now, Input::Received { lane: one, bytes: early.to_vec() });
        machine.handle_input(now, Input::Received { lane: two, bytes: second[..500].to_vec() });
        machine.handle_input(now, Input::Received { lane: two, bytes: second[500..].to_vec() });
        machine.handle_input(now, Input::Ended { lane: two });
        machine.handle_input(now, Input::Received { lane: one, bytes: late.to_vec() });
        machine.handle_input(now, Input::Ended { lane: one });
        let (mut body, mut events) = (Vec::new(), Vec::new());
        while let Some(output) = machine.poll_output() {
            if let Output::Event(event) = output {
                if let ClientEvent::Body(arrived) = &event {
                    assert_eq!((arrived.id, usize::try_from(arrived.offset).unwrap()), (id, body.len()));
                    body.extend_from_slice(&arrived.bytes);
                }
                events.push(event);
            }
        }
        assert_eq!(body, parcel.body, "split at {split}: {events:?}");
        assert_eq!(events.last(), Some(&ClientEvent::Drained { mailbox: owner.mailbox() }));
    }
}
