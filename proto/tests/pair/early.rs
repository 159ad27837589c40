//! What is said before the handshake is over, and tickets (P8.20, P8.21).

use std::collections::BTreeSet;

use zajil_proto::durable::Durable;
use zajil_proto::keys::{Secret, SigningKey};
use zajil_proto::parcel::Class;
use zajil_proto::session::client::{ClientCommand, ClientEvent, ClientSession, ClientSettings, Ticket};
use zajil_proto::session::relay::{Keys, RelayCommand, RelayEvent, RelaySession, RelaySettings};
use zajil_proto::session::{Input, Lane, Output, Session};
use zajil_proto::time::{Instant, Minute};
use zajil_proto::wire::{Code, Frame, FrameBuffer, Prove, Scope, Word, WordPut};

use crate::by_hand::{EXPORTER, hello, word};
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
        Self {
            device: ClientSession::early(ClientSettings::default(), ticket),
            relay: RelaySession::early(relay.settings.clone(), Minute(1)),
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
        crate::by_hand::withdraw(&owner, zajil_proto::keys::Purpose::Withdraw),
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
