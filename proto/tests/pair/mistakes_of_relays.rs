//! A relay that lies, or answers what nobody asked: the device ends the session and keeps what was good.

use zajil_proto::durable::Durable;
use zajil_proto::ids::{MailboxId, ParcelId};
use zajil_proto::parcel::Class;
use zajil_proto::session::client::{ClientCommand, ClientEvent, ClientSession, ClientSettings};
use zajil_proto::session::{Input, Lane, Output, Session};
use zajil_proto::time::Instant;
use zajil_proto::wire::{Code, Frame, ParcelStart, PutState, Scope, SeenAnswer, Word};

use crate::by_hand::{EXPORTER, bytes_at, nothing_seen, of_the_device, of_the_relay, start, welcome, word};
use crate::world::{Owner, offer};

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
fn a_device_takes_no_parcel_anew_that_it_has_released_in_the_same_session() {
    // Watched twice, a relay may send what waits twice; the second lane may be overtaken by the word that all is released.
    let owner = Owner::new(1);
    let parcel = owner.parcel(1, Class::Text, 512, 512);
    let id = parcel.header.id();
    let release = ClientCommand::Release { mailbox: owner.mailbox(), ids: vec![Durable::after_sync(id)] };
    let of = |transfer| {
        let first = Frame::Parcel(start(transfer, &owner, &parcel));
        [first, bytes_at(transfer, 0, &parcel.body), Frame::Mark { transfer, mark: parcel.marks[0] }]
    };
    let mut frames = vec![Frame::Welcome(welcome(1))];
    frames.extend(of(0));
    frames.push(Frame::Released { mailbox: owner.mailbox(), ids: vec![id] });
    frames.extend(of(1));
    let commands = vec![owner.prove(Scope::Mailbox), owner.watch(false), owner.watch(false), release];
    let (events, closed) = device_hears(commands, &frames);
    assert_eq!(closed, None);
    let arriving = events.iter().filter(|event| matches!(event, ClientEvent::Arriving { .. })).count();
    assert_eq!(arriving, 1);
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
