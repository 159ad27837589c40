//! What is said before the handshake is over, and tickets (P8.20, P8.21).

use std::collections::BTreeSet;

use zajil_proto::durable::Durable;
use zajil_proto::keys::{Secret, SigningKey};
use zajil_proto::parcel::Class;
use zajil_proto::session::client::{Asked, ClientCommand, ClientEvent, ClientSession, ClientSettings, Ticket};
use zajil_proto::session::relay::{Keys, RelayCommand, RelayEvent, RelaySession, RelaySettings};
use zajil_proto::session::{Input, Lane, Output, Session};
use zajil_proto::time::{Instant, Minute};
use zajil_proto::wire::{Code, Frame, FrameBuffer, Prove, SEALED_WORD_BYTES, Scope, Word, WordLive, WordPut};

use crate::by_hand::{self, EXPORTER, hello, word};
use crate::store::Store;
use crate::world::{Owner, Transport, World, offer};

const NOW: Instant = Instant::from_millis(5);

/// A relay: what outlives its sessions.
struct Relay {
    settings: RelaySettings,
    store: Store,
    /// The ticket it gave last.
    ticket: Option<(Secret, Keys)>,
    tickets: u8,
}

impl Relay {
    fn new(owner: &Owner) -> Self {
        let mut world = World::new(Transport::Quic);
        world.mailbox(owner);
        Self { settings: world.settings.clone(), store: world.store, ticket: None, tickets: 0 }
    }

    /// Does what a session's machine asks for.
    fn carry_out(&mut self, event: RelayEvent) -> Option<RelayCommand> {
        match event {
            RelayEvent::Store { ticket, request } => {
                let reply = self.store.execute(request);
                Some(RelayCommand::Store { ticket, reply, wall: Minute(1) })
            }
            RelayEvent::Redeem { ticket } => {
                let known = self.ticket.clone().filter(|(kept, _)| *kept == ticket);
                Some(RelayCommand::Redeemed { known })
            }
            RelayEvent::TicketWanted { keys, proofs } => {
                self.tickets += 1;
                let ticket = Secret([self.tickets; 32]);
                self.ticket = Some((ticket.clone(), keys));
                Some(RelayCommand::Ticket { ticket, proofs })
            }
            _ => None,
        }
    }
}

/// One session.
struct Talk {
    device: ClientSession,
    relay: RelaySession,
    events: Vec<ClientEvent>,
    /// Frames that the device has said.
    said: Vec<Frame>,
    /// Bytes that it has said.
    bytes: usize,
    control: FrameBuffer,
    closed: Option<Code>,
    /// What the device says does not arrive.
    lost: bool,
}

impl Talk {
    fn early(relay: &Relay, ticket: Option<Ticket>) -> Self {
        let device = ClientSession::early(ClientSettings::default(), ticket);
        Self::of(device, RelaySession::early(relay.settings.clone(), Minute(1)))
    }

    /// A session that begins when the handshake is over.
    fn late(relay: &Relay, ticket: Option<Ticket>) -> Self {
        let device = ClientSession::with_ticket(ClientSettings::default(), EXPORTER, ticket);
        Self::of(device, RelaySession::new(relay.settings.clone(), Minute(1), EXPORTER))
    }

    fn of(device: ClientSession, relay: RelaySession) -> Self {
        Self {
            device,
            relay,
            events: Vec::new(),
            said: Vec::new(),
            bytes: 0,
            control: FrameBuffer::default(),
            closed: None,
            lost: false,
        }
    }

    fn command(&mut self, relay: &mut Relay, command: ClientCommand) {
        self.device.handle_input(NOW, Input::Command(command));
        self.run(relay);
    }

    /// The handshake is over at both ends.
    fn confirm(&mut self, relay: &mut Relay) {
        self.relay.handle_input(NOW, Input::Confirmed { exporter: EXPORTER });
        self.device.handle_input(NOW, Input::Confirmed { exporter: EXPORTER });
        self.run(relay);
    }

    /// It is over, and nothing of what the device said was taken.
    fn refuse(&mut self, relay: &mut Relay) {
        self.lost = false;
        self.relay.handle_input(NOW, Input::Confirmed { exporter: EXPORTER });
        self.device.handle_input(NOW, Input::Refused { exporter: EXPORTER });
        self.run(relay);
    }

    /// Carries everything to and fro until both are silent.
    fn run(&mut self, relay: &mut Relay) {
        loop {
            if let Some(output) = self.device.poll_output() {
                self.device_says(output);
            } else if let Some(output) = self.relay.poll_output() {
                self.relay_says(relay, output);
            } else {
                return;
            }
        }
    }

    fn device_says(&mut self, output: Output<ClientEvent>) {
        match output {
            Output::Transmit { lane, bytes, .. } => {
                self.bytes += bytes.len();
                self.device.handle_input(NOW, Input::Flushed { bytes: bytes.len() });
                if lane == Lane::Control {
                    self.control.push(&bytes);
                    while let Some(frame) = self.control.next_frame().unwrap() {
                        self.said.push(frame);
                    }
                }
                if !self.lost {
                    self.relay.handle_input(NOW, Input::Received { lane, bytes });
                }
            }
            Output::Event(event) => self.events.push(event),
            Output::Close { code } => self.closed = Some(code),
        }
    }

    fn relay_says(&mut self, relay: &mut Relay, output: Output<RelayEvent>) {
        match output {
            Output::Transmit { lane, bytes, .. } => {
                self.relay.handle_input(NOW, Input::Flushed { bytes: bytes.len() });
                self.device.handle_input(NOW, Input::Received { lane, bytes });
            }
            Output::Event(event) => {
                if let Some(command) = relay.carry_out(event) {
                    self.relay.handle_input(NOW, Input::Command(command));
                }
            }
            Output::Close { code } => self.closed = Some(code),
        }
    }

    fn has_said(&self, wanted: fn(&Frame) -> bool) -> usize {
        self.said.iter().filter(|frame| wanted(frame)).count()
    }

    fn ticket(&self) -> Option<Ticket> {
        self.events.iter().rev().find_map(|event| match event {
            ClientEvent::Ticket(ticket) => Some(Ticket::clone(ticket)),
            _ => None,
        })
    }
}

const fn is_proof(frame: &Frame) -> bool {
    matches!(frame, Frame::Prove(_))
}

fn stored(talk: &Talk) -> usize {
    talk.events.iter().filter(|event| matches!(event, ClientEvent::Stored { .. })).count()
}

fn arrived(talk: &Talk) -> bool {
    talk.events.iter().any(|event| matches!(event, ClientEvent::Body(arrived) if arrived.closed))
}

/// A relay at which a note of 3 000 bytes waits for the owner, and a ticket for her.
fn waiting(owner: &Owner) -> (Relay, Ticket) {
    let mut relay = Relay::new(owner);
    let note = owner.parcel(1, Class::Voice, 3_000, 3_000);
    let mut sender = Talk::early(&relay, None);
    sender.command(&mut relay, offer(&note, 0));
    sender.confirm(&mut relay);
    assert_eq!(stored(&sender), 1);
    let mut reader = Talk::early(&relay, None);
    reader.command(&mut relay, owner.prove(Scope::Mailbox));
    reader.command(&mut relay, owner.prove(Scope::Slot));
    reader.confirm(&mut relay);
    let ticket = reader.ticket().expect("keys were proven");
    (relay, ticket)
}

#[test]
fn a_note_that_leaves_early_is_stored_before_the_handshake_is_over() {
    let owner = Owner::new(1);
    let mut relay = Relay::new(&owner);
    let mut talk = Talk::early(&relay, None);
    talk.command(&mut relay, offer(&owner.parcel(1, Class::Voice, 2_000, 2_000), 0));
    assert_eq!(stored(&talk), 1);
    talk.confirm(&mut relay);
    assert_eq!((stored(&talk), talk.closed), (1, None));
}

#[test]
fn no_more_leaves_early_than_may_and_the_rest_when_the_handshake_is_over() {
    let owner = Owner::new(1);
    let mut relay = Relay::new(&owner);
    let mut talk = Talk::early(&relay, None);
    talk.lost = true;
    for number in 1..6 {
        talk.command(&mut relay, offer(&owner.parcel(number, Class::Voice, 9_000, 8_000), 0));
    }
    let most = ClientSettings::default().early_bytes_max;
    assert!(talk.bytes > most / 2 && talk.bytes <= most, "{} bytes", talk.bytes);
    talk.refuse(&mut relay);
    assert_eq!(stored(&talk), 5);
}

#[test]
fn what_was_refused_is_said_again_and_told_once() {
    let owner = Owner::new(1);
    let (mut relay, ticket) = waiting(&owner);
    let mut talk = Talk::early(&relay, Some(ticket));
    talk.lost = true;
    talk.command(&mut relay, owner.prove(Scope::Mailbox));
    talk.command(&mut relay, owner.watch(true));
    talk.command(&mut relay, offer(&owner.parcel(2, Class::Voice, 9_000, 8_000), 0));
    relay.ticket = None;
    talk.refuse(&mut relay);
    assert_eq!((stored(&talk), talk.closed), (1, None));
    assert!(arrived(&talk));
    assert!(talk.events.contains(&ClientEvent::TicketRefused));
    let welcomes = talk.events.iter().filter(|event| matches!(event, ClientEvent::Welcomed(_))).count();
    assert_eq!((welcomes, talk.has_said(is_proof)), (1, 1));
    assert_eq!(talk.has_said(|frame| matches!(frame, Frame::Watch { .. })), 2);
}

#[test]
fn by_a_ticket_a_device_reads_before_the_handshake_is_over_and_proves_nothing() {
    let owner = Owner::new(1);
    let (mut relay, ticket) = waiting(&owner);
    let mut talk = Talk::early(&relay, Some(ticket));
    for command in [owner.prove(Scope::Mailbox), owner.prove(Scope::Slot), owner.watch(true)] {
        talk.command(&mut relay, command);
    }
    talk.command(&mut relay, ClientCommand::GetSeen { slot: owner.slot() });
    assert!(arrived(&talk));
    assert!(talk.events.iter().any(|event| matches!(event, ClientEvent::Seen { .. })));
    let released = owner.parcel(1, Class::Voice, 3_000, 3_000).header.id();
    let ids = vec![Durable::after_sync(released)];
    talk.command(&mut relay, ClientCommand::Release { mailbox: owner.mailbox(), ids });
    assert!(relay.store.parcels.is_empty(), "it is released");
    talk.confirm(&mut relay);
    assert_eq!((talk.has_said(is_proof), talk.closed), (0, None));
}

#[test]
fn by_a_ticket_a_device_need_not_prove_its_keys_after_the_handshake_either() {
    let owner = Owner::new(1);
    let (mut relay, ticket) = waiting(&owner);
    let mut talk = Talk::late(&relay, Some(ticket));
    for command in [owner.prove(Scope::Mailbox), owner.prove(Scope::Slot), owner.watch(true)] {
        talk.command(&mut relay, command);
    }
    talk.command(&mut relay, ClientCommand::GetSeen { slot: owner.slot() });
    assert!(arrived(&talk));
    assert!(talk.events.iter().any(|event| matches!(event, ClientEvent::Seen { .. })));
    assert_eq!((talk.has_said(is_proof), talk.closed), (0, None));
    talk.command(&mut relay, ClientCommand::Drop { scope: Scope::Mailbox, id: owner.mailbox().0 });
    assert_eq!((talk.has_said(is_proof), talk.closed), (1, None), "for more than reading");
}

#[test]
fn a_ticket_that_nobody_knows_any_more_ends_a_session_after_the_handshake_too() {
    let owner = Owner::new(1);
    let (mut relay, ticket) = waiting(&owner);
    relay.ticket = None;
    let mut talk = Talk::late(&relay, Some(ticket));
    for command in [owner.prove(Scope::Mailbox), owner.watch(true)] {
        talk.command(&mut relay, command);
    }
    assert!(talk.events.contains(&ClientEvent::TicketUnknown));
    assert!(!talk.events.iter().any(|event| matches!(event, ClientEvent::Drained { .. })), "nothing is drained");
    assert_eq!(talk.closed, Some(Code::OK));
}

#[test]
fn without_a_ticket_nothing_is_read_before_the_handshake_is_over() {
    let owner = Owner::new(1);
    let (mut relay, _) = waiting(&owner);
    let mut talk = Talk::early(&relay, None);
    for command in [owner.prove(Scope::Mailbox), owner.watch(true)] {
        talk.command(&mut relay, command);
    }
    assert_eq!(talk.said.len(), 1, "Hello alone");
    talk.confirm(&mut relay);
    assert!(arrived(&talk));
}

#[test]
fn a_ticket_that_nobody_knows_ends_the_session_before_anything_false_is_told() {
    let owner = Owner::new(1);
    let (mut relay, ticket) = waiting(&owner);
    relay.ticket = None;
    let mut talk = Talk::early(&relay, Some(ticket));
    for command in [owner.prove(Scope::Mailbox), owner.watch(true)] {
        talk.command(&mut relay, command);
    }
    talk.confirm(&mut relay);
    assert!(talk.events.contains(&ClientEvent::TicketUnknown));
    assert!(!talk.events.iter().any(|event| matches!(event, ClientEvent::Drained { .. })), "nothing is drained");
    assert_eq!(talk.closed, Some(Code::OK));
}

#[test]
fn a_ticket_serves_for_reading_and_a_key_is_proven_before_more_is_done() {
    let owner = Owner::new(1);
    let (mut relay, ticket) = waiting(&owner);
    let mut talk = Talk::early(&relay, Some(ticket));
    talk.command(&mut relay, owner.prove(Scope::Mailbox));
    talk.command(&mut relay, owner.prove(Scope::Slot));
    talk.confirm(&mut relay);
    assert_eq!(talk.has_said(is_proof), 0);
    talk.command(&mut relay, ClientCommand::Drop { scope: Scope::Mailbox, id: owner.mailbox().0 });
    assert_eq!(talk.has_said(is_proof), 1);
    assert!(relay.store.parcels.is_empty(), "the mailbox is gone with what was in it");
}

#[test]
fn a_ticket_stands_for_the_keys_whose_proofs_the_relay_has_counted() {
    let owners = [Owner::new(1), Owner::new(2)];
    let mut relay = Relay::new(&owners[0]);
    let mut talk = Talk::early(&relay, None);
    talk.confirm(&mut relay);
    talk.command(&mut relay, owners[0].prove(Scope::Mailbox));
    talk.lost = true;
    talk.command(&mut relay, owners[1].prove(Scope::Mailbox));
    // The second never came to the relay: it is proven anew, whatever the ticket says.
    let mut next = Talk::early(&relay, talk.ticket());
    for owner in &owners {
        next.command(&mut relay, owner.prove(Scope::Mailbox));
    }
    next.confirm(&mut relay);
    assert_eq!(next.has_said(is_proof), 1);
}

/// A relay's machine alone, in early data that somebody sends again: never confirmed.
fn hears_early(relay: &mut Relay, frames: &[Frame]) -> u64 {
    let mut machine = RelaySession::early(relay.settings.clone(), Minute(1));
    let before = relay.store.requests;
    for frame in frames {
        machine.handle_input(NOW, Input::Received { lane: Lane::Control, bytes: frame.encode() });
        while let Some(output) = machine.poll_output() {
            if let Output::Event(event) = output
                && let Some(command) = relay.carry_out(event)
            {
                machine.handle_input(NOW, Input::Command(command));
            }
        }
    }
    relay.store.requests - before
}

#[test]
fn nothing_that_may_not_be_done_twice_is_done_before_the_handshake_is_over() {
    let owner = Owner::new(1);
    let (mut relay, _) = waiting(&owner);
    let prove = |key: &SigningKey| Frame::Prove(Prove::sign(Scope::Mailbox, owner.write.public(), key, &EXPORTER));
    let live = |word: Word| Frame::WordPut(WordPut::live(0, word, &owner.write, &EXPORTER));
    let frames = [
        prove(&owner.read),
        live(word(&owner)),
        Frame::Drop { request: 0, scope: Scope::Mailbox, id: owner.mailbox().0 },
        by_hand::withdraw(&owner, zajil_proto::keys::Purpose::Withdraw),
    ];
    for frame in frames {
        assert_eq!(hears_early(&mut relay, &[hello(1, 1), frame]), 0);
    }
    assert_eq!(relay.store.parcels.len(), 1);
}

#[test]
fn a_proof_in_early_data_that_rests_on_another_exporter_ends_the_session() {
    let owner = Owner::new(1);
    let (relay, _) = waiting(&owner);
    let mut machine = RelaySession::early(relay.settings, Minute(1));
    let replayed = Frame::Prove(Prove::sign(Scope::Mailbox, owner.write.public(), &owner.read, &[9; 32]));
    for frame in [hello(1, 1), replayed] {
        machine.handle_input(NOW, Input::Received { lane: Lane::Control, bytes: frame.encode() });
    }
    machine.handle_input(NOW, Input::Confirmed { exporter: EXPORTER });
    let closed = std::iter::from_fn(|| machine.poll_output())
        .find_map(|output| if let Output::Close { code } = output { Some(code) } else { None });
    assert_eq!(closed, Some(Code::BAD_SIGNATURE));
}

#[test]
fn a_device_that_says_much_before_the_handshake_is_over_is_stopped() {
    let owner = Owner::new(1);
    let (relay, _) = waiting(&owner);
    let mut machine = RelaySession::early(relay.settings, Minute(1));
    let prove = Frame::Prove(Prove::sign(Scope::Mailbox, owner.write.public(), &owner.read, &EXPORTER));
    machine.handle_input(NOW, Input::Received { lane: Lane::Control, bytes: hello(1, 1).encode() });
    let mut codes = BTreeSet::new();
    for _ in 0..3_000 {
        machine.handle_input(NOW, Input::Received { lane: Lane::Control, bytes: prove.encode() });
        while let Some(output) = machine.poll_output() {
            if let Output::Close { code } = output {
                codes.insert(code.0);
            }
        }
    }
    assert_eq!(codes, BTreeSet::from([Code::TOO_MANY.0]));
}

#[test]
fn a_session_whose_ticket_is_shown_elsewhere_closes() {
    let owner = Owner::new(1);
    let (mut relay, ticket) = waiting(&owner);
    let mut talk = Talk::early(&relay, Some(ticket));
    talk.command(&mut relay, owner.watch(true));
    talk.confirm(&mut relay);
    talk.relay.handle_input(NOW, Input::Command(RelayCommand::Replaced));
    talk.run(&mut relay);
    assert_eq!(talk.closed, Some(Code::REPLACED));
}

/// The owner's word of a version.
fn said(owner: &Owner, version: u64) -> Word {
    Word::sign(&owner.write, owner.tag(), version, [5; SEALED_WORD_BYTES])
}

/// The owner leaves it.
fn leave(owner: &Owner, version: u64) -> ClientCommand {
    ClientCommand::PutWord { word: said(owner, version), write_key: Some(owner.write.clone()) }
}

/// A relay with the owner's slot, where the first version of her word lies, which she brought.
fn with_slot(owner: &Owner) -> Relay {
    let mut relay = Relay::new(owner);
    let mut talk = Talk::early(&relay, None);
    for command in [owner.prove(Scope::Slot), owner.register(Scope::Slot), leave(owner, 1)] {
        talk.command(&mut relay, command);
    }
    assert_eq!(talk.said.len(), 1, "what is put into a slot that is not made yet waits with it");
    talk.confirm(&mut relay);
    assert_eq!((kept(&relay, owner), answered(&talk)), ((1, 1), vec![Code::OK]));
    relay
}

/// Which version a relay has, and of which its owner was seen.
fn kept(relay: &Relay, owner: &Owner) -> (u64, u64) {
    let (_, word, observation) = &relay.store.slots[&owner.slot().0];
    (word.as_ref().map_or(0, |word| word.version), observation.version)
}

/// What came of words, as it was told.
fn answered(talk: &Talk) -> Vec<Code> {
    let told = talk.events.iter().filter_map(|event| match event {
        ClientEvent::Answered { asked: Asked::Word { .. }, code } => Some(*code),
        _ => None,
    });
    told.collect()
}

const fn is_word(frame: &Frame) -> bool {
    matches!(frame, Frame::WordPut(_))
}

const fn is_word_proof(frame: &Frame) -> bool {
    matches!(frame, Frame::WordLive(_))
}

#[test]
fn a_word_is_stored_before_the_handshake_is_over_and_its_owner_is_seen_after_it() {
    let owner = Owner::new(1);
    let mut relay = with_slot(&owner);
    let mut talk = Talk::early(&relay, None);
    talk.command(&mut relay, leave(&owner, 2));
    assert_eq!((kept(&relay, &owner), answered(&talk)), ((2, 1), vec![]));
    talk.confirm(&mut relay);
    assert_eq!((kept(&relay, &owner), answered(&talk)), ((2, 2), vec![Code::OK]));
    assert_eq!((talk.has_said(is_word), talk.has_said(is_word_proof), talk.closed), (1, 1, None));
}

#[test]
fn a_proof_that_comes_before_the_relay_knows_that_the_handshake_is_over_waits() {
    let owner = Owner::new(1);
    let mut relay = with_slot(&owner);
    let mut talk = Talk::early(&relay, None);
    talk.command(&mut relay, leave(&owner, 2));
    talk.device.handle_input(NOW, Input::Confirmed { exporter: EXPORTER });
    talk.run(&mut relay);
    assert_eq!((kept(&relay, &owner), answered(&talk)), ((2, 1), vec![]));
    talk.relay.handle_input(NOW, Input::Confirmed { exporter: EXPORTER });
    talk.run(&mut relay);
    assert_eq!((kept(&relay, &owner), answered(&talk)), ((2, 2), vec![Code::OK]));
}

#[test]
fn a_word_that_was_refused_is_put_again_with_its_proof_and_told_once() {
    let owner = Owner::new(1);
    let mut relay = with_slot(&owner);
    let mut talk = Talk::early(&relay, None);
    talk.lost = true;
    talk.command(&mut relay, leave(&owner, 2));
    assert_eq!(kept(&relay, &owner), (1, 1));
    talk.refuse(&mut relay);
    assert_eq!((kept(&relay, &owner), answered(&talk)), ((2, 2), vec![Code::OK]));
    assert_eq!((talk.has_said(is_word), talk.has_said(is_word_proof), talk.closed), (2, 0, None));
}

#[test]
fn who_is_cut_off_before_a_word_was_proven_is_told_nothing_and_seen_when_they_put_it_again() {
    let owner = Owner::new(1);
    let mut relay = with_slot(&owner);
    for confirmed in [false, true] {
        let mut talk = Talk::early(&relay, None);
        talk.command(&mut relay, leave(&owner, 2));
        if confirmed {
            // The proof is lost on the way.
            talk.lost = true;
            talk.confirm(&mut relay);
        }
        talk.device.handle_input(NOW, Input::Disconnected);
        talk.run(&mut relay);
        assert_eq!((kept(&relay, &owner), answered(&talk)), ((2, 1), vec![]));
    }
    let mut talk = Talk::early(&relay, None);
    talk.command(&mut relay, leave(&owner, 2));
    talk.confirm(&mut relay);
    assert_eq!((kept(&relay, &owner), answered(&talk)), ((2, 2), vec![Code::OK]));
}

#[test]
fn a_session_that_is_to_end_ends_after_the_proof_of_a_word_that_left_early() {
    let owner = Owner::new(1);
    let mut relay = with_slot(&owner);
    let mut talk = Talk::early(&relay, None);
    talk.command(&mut relay, leave(&owner, 2));
    talk.command(&mut relay, ClientCommand::Finish);
    assert_eq!(talk.closed, None);
    talk.confirm(&mut relay);
    assert_eq!((kept(&relay, &owner), answered(&talk), talk.closed), ((2, 2), vec![Code::OK], Some(Code::OK)));
}

#[test]
fn words_that_find_no_room_before_the_handshake_is_over_leave_after_it() {
    let owners: Vec<Owner> = (1..=16).map(Owner::new).collect();
    let mut relay = with_slot(&owners[0]);
    let mut talk = Talk::early(&relay, None);
    for owner in &owners[1..] {
        talk.command(&mut relay, owner.prove(Scope::Slot));
        talk.command(&mut relay, owner.register(Scope::Slot));
    }
    talk.confirm(&mut relay);
    let mut talk = Talk::early(&relay, None);
    for owner in &owners {
        talk.command(&mut relay, leave(owner, 2));
    }
    let early = talk.has_said(is_word);
    assert!(
        early > 5 && talk.bytes <= ClientSettings::default().early_bytes_max,
        "{early} words, {} bytes",
        talk.bytes
    );
    talk.confirm(&mut relay);
    assert_eq!((talk.has_said(is_word), talk.has_said(is_word_proof)), (owners.len(), early));
    assert_eq!(answered(&talk), vec![Code::OK; owners.len()]);
    assert!(owners.iter().all(|owner| kept(&relay, owner) == (2, 2)));
}

#[test]
fn a_word_in_early_data_that_somebody_sends_again_moves_nothing() {
    let owner = Owner::new(1);
    let mut relay = with_slot(&owner);
    let early = |version| Frame::WordPut(WordPut::passed_on(0, said(&owner, version)));
    let proof = Frame::WordLive(WordLive::sign(1, (owner.slot(), 2), &owner.write, &EXPORTER));
    for _ in 0..2 {
        assert_eq!(hears_early(&mut relay, &[hello(1, 1), early(2)]), 1);
        assert_eq!(kept(&relay, &owner), (2, 1));
    }
    // Nor does it put an older one in the place of a newer one, and a proof is not even looked at.
    hears_early(&mut relay, &[hello(1, 1), early(1)]);
    assert_eq!(hears_early(&mut relay, &[hello(1, 1), proof]), 0);
    assert_eq!(kept(&relay, &owner), (2, 1));
}

/// What a relay that has the second version says to a proof, and whether the session goes on.
fn to_proof(owner: &Owner, proof: WordLive) -> (Option<Frame>, Option<Code>, (u64, u64)) {
    let store = with_slot(owner).store;
    let mut relay = by_hand::Relay::greeted(owner);
    relay.store = store;
    while relay.said.next_frame().unwrap().is_some() {}
    relay.hear(&Frame::WordPut(WordPut::passed_on(0, said(owner, 2))));
    assert_eq!(relay.said.next_frame(), Ok(Some(Frame::Answer { request: 0, code: Code::OK })));
    relay.hear(&Frame::WordLive(proof));
    let (_, word, observation) = &relay.store.slots[&owner.slot().0];
    let kept = (word.as_ref().map_or(0, |word| word.version), observation.version);
    (relay.said.next_frame().unwrap(), relay.closed, kept)
}

#[test]
fn a_proof_is_taken_for_the_word_that_is_there_and_for_no_other() {
    let (owner, other) = (Owner::new(1), Owner::new(2));
    let sign = |slot, version, key, exporter| WordLive::sign(7, (slot, version), key, exporter);
    let answer = |code| Some(Frame::Answer { request: 7, code });
    let right = sign(owner.slot(), 2, &owner.write, &EXPORTER);
    assert_eq!(to_proof(&owner, right), (answer(Code::OK), None, (2, 2)));
    // Of an older one than is there: it is the owner, and nothing moves.
    let older = sign(owner.slot(), 1, &owner.write, &EXPORTER);
    assert_eq!(to_proof(&owner, older), (answer(Code::OK), None, (2, 1)));
    let not_come = sign(owner.slot(), 3, &owner.write, &EXPORTER);
    assert_eq!(to_proof(&owner, not_come), (answer(Code::BUSY), None, (2, 1)));
    let elsewhere = sign(other.slot(), 2, &other.write, &EXPORTER);
    assert_eq!(to_proof(&owner, elsewhere), (answer(Code::NOT_HERE), None, (2, 1)));
    let mut of_another_version = sign(owner.slot(), 1, &owner.write, &EXPORTER);
    of_another_version.version = 2;
    for wrong in [
        sign(owner.slot(), 2, &other.write, &EXPORTER),
        sign(owner.slot(), 2, &owner.read, &EXPORTER),
        sign(owner.slot(), 2, &owner.write, &[9; 32]),
        of_another_version,
    ] {
        let (_, closed, kept) = to_proof(&owner, wrong);
        assert_eq!((closed, kept), (Some(Code::BAD_SIGNATURE), (2, 1)));
    }
}
