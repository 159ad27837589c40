//! Frames with a wrong version, length, signature, offset or id: the session ends with a code and a counter, what was good
//! stays.

use zajil_proto::durable::Durable;
use zajil_proto::keys::{Purpose, Signature};
use zajil_proto::limits::{FRAME_BODY_BYTES_MAX, PROOFS_PER_SESSION_MAX, TRANSFERS_OPEN_MAX};
use zajil_proto::parcel::{Class, HEADER_BYTES};
use zajil_proto::session::custody::{StoreReply, StoreRequest};
use zajil_proto::session::relay::{Counter, RelayCommand, RelayEvent, RelaySession};
use zajil_proto::session::{Input, Lane, Output, Session};
use zajil_proto::time::{Instant, Minute};
use zajil_proto::wire::{Code, Frame, Prove, Scope, WordPut};

use crate::by_hand::{EXPORTER, Relay, bytes_at, hello, of_the_device, of_the_relay, put, put_header, withdraw, word};
use crate::world::{Owner, Transport, World};

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
    relay.bytes(vec![0x2b, 3, 1, 2, 3, 0x01, 34]);
    relay.bytes(vec![0; 34]);
    assert_eq!(relay.closed, None, "unknown odd types and those of the other side are skipped");
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
