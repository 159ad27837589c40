//! Control frames, their contents, and the outer key around them (P4.10 to P5.3).

use proptest::prelude::*;
use zajil_proto::keys::{Secret, VerifyingKey};
use zajil_proto::parcel::{Class, Header};
use zajil_proto::sealing::contents::{
    Acknowledgement, Content, ContentsError, Receipt, ReceiptState, decode_contents, encode_contents,
};
use zajil_proto::sealing::control::{ControlError, ControlFrame, FrameSize, open_control, seal_control};
use zajil_proto::sealing::olm::{Account, OlmError, OlmMessage, Session};
use zajil_proto::sealing::outer::{
    Encapsulation, OuterError, OuterKey, X_WING_PUBLIC_BYTES, XWingPublic, XWingSecret, accept_renewal, open_first,
    renew, seal_first,
};
use zajil_proto::sealing::seal::Destination;
use zajil_proto::sealing::{NoteSession, OuterKeys, RING};
use zajil_proto::time::Lifetime;

use crate::support::{Line, NOW, Seeded};

fn key(byte: u8) -> OuterKey {
    OuterKey(Secret([byte; 32]))
}

fn frame(bytes: usize) -> ControlFrame {
    ControlFrame { number: 7, message: OlmMessage { kind: 1, bytes: vec![3; bytes] } }
}

fn sessions() -> (Session, Session) {
    let (alice, mut bob) = (Account::new(), Account::new());
    let mut out = alice.outbound(bob.identity(), bob.one_time_key()).unwrap();
    let first = out.encrypt(b"first").unwrap();
    let (back, text) = bob.inbound(alice.identity(), &first).unwrap();
    assert_eq!(*text, b"first");
    (out, back)
}

#[test]
fn a_frame_opens_under_the_first_of_two_keys_and_under_the_second() {
    let mut line = Line::new(1);
    let writer = line.writer.clone();
    let destination = Destination { to: &writer, lifetime: Lifetime::DEFAULT };
    let keys = [key(2), key(1)];
    let old = seal_control(&RING, &mut line.random, &key(1), destination, &frame(489), FrameSize::Small).unwrap();
    let new = seal_control(&RING, &mut line.random, &key(2), destination, &frame(4_073), FrameSize::Large).unwrap();
    assert_eq!((old.body.len(), new.body.len()), (512, 4_096));
    assert_eq!((new.header.class(), new.is_closed()), (Class::Control, true));
    assert!(Header::verify(new.header.as_bytes()).is_ok());
    for (parcel, which, bytes) in [(&old, 1, 489), (&new, 0, 4_073)] {
        let opened = open_control(&RING, &keys, &parcel.header.id(), &parcel.body);
        assert_eq!(opened, Ok((frame(bytes), which)));
    }
    let opened = open_control(&RING, &keys[..1], &old.header.id(), &old.body);
    assert_eq!(opened, Err(ControlError::NoKey));
}

/// What the two ends of [`sessions`] do with frames: sealed under the outer key and by Olm, as an engine does it.
#[test]
fn a_renewal_between_two_ends_goes_through_sealed_frames_and_both_come_to_one_key() {
    let mut line = Line::new(9);
    let writer = line.writer.clone();
    let destination = Destination { to: &writer, lifetime: Lifetime::LONGEST };
    let (one, other) = (VerifyingKey([1; 32]), VerifyingKey([2; 32]));
    let mut ends = [OuterKeys::first(key(1), &one, &other), OuterKeys::first(key(1), &other, &one)];
    let (there, back) = sessions();
    let mut olm = [there, back];
    let mut numbers = [0, 0];
    ends[0].want();
    let mut sizes = Vec::new();
    for step in 0..5 {
        let (from, to) = (step % 2, 1 - step % 2);
        let contents = ends[from].step(&mut line.random);
        let row = encode_contents(&contents, FrameSize::Large.contents_bytes_max()).unwrap();
        let size = FrameSize::for_contents(row.len()).unwrap();
        let frame = ControlFrame { number: numbers[from], message: olm[from].encrypt(&row).unwrap() };
        numbers[from] += 1;
        let sealed = seal_control(&RING, &mut line.random, ends[from].sealing(), destination, &frame, size).unwrap();
        sizes.push(sealed.body.len());
        let accepted: Vec<(u32, OuterKey)> = ends[to].accepted().map(|(at, key)| (at, key.clone())).collect();
        let keys = accepted.iter().map(|(_, key)| key);
        let (opened, which) = open_control(&RING, keys, &sealed.header.id(), &sealed.body).unwrap();
        let read = decode_contents(&olm[to].decrypt(&opened.message).unwrap()).unwrap();
        assert_eq!(read, contents);
        ends[to].opened(accepted[which].0, opened.number, opened.number + 1);
        for content in &read {
            ends[to].take(content);
        }
    }
    assert_eq!(sizes, [512, 4_096, 4_096, 512, 512]);
    assert_eq!(ends.each_ref().map(OuterKeys::generation), [1, 1]);
    assert!(ends[0].sealing() == ends[1].sealing() && *ends[0].sealing() != key(1));
    assert!(ends.iter().all(|end| end.accepted().count() == 1 && !end.is_under_way()));
}

#[test]
fn a_frame_of_another_parcel_size_or_bit_does_not_open() {
    let mut line = Line::new(2);
    let writer = line.writer.clone();
    let destination = Destination { to: &writer, lifetime: Lifetime::DEFAULT };
    let one = seal_control(&RING, &mut line.random, &key(1), destination, &frame(9), FrameSize::Small).unwrap();
    let two = seal_control(&RING, &mut line.random, &key(1), destination, &frame(9), FrameSize::Small).unwrap();
    assert_ne!(one.body, two.body, "one frame looks different in every parcel");
    let open = |id: &zajil_proto::ids::ParcelId, body: &[u8]| open_control(&RING, [&key(1)], id, body).map(|_| ());
    assert_eq!(open(&two.header.id(), &one.body), Err(ControlError::NoKey));
    assert_eq!(open(&one.header.id(), &one.body[..511]), Err(ControlError::Length { got: 511 }));
    let mut body = one.body.clone();
    body[500] ^= 1;
    assert_eq!(open(&one.header.id(), &body), Err(ControlError::NoKey));
    let long = seal_control(&RING, &mut line.random, &key(1), destination, &frame(490), FrameSize::Small);
    let (got, expected) = (490, 489);
    assert_eq!(long.err(), Some(ControlError::TooLong { got, expected }));
}

#[test]
fn the_longest_contents_fit_their_frame_as_pre_key_and_as_normal_message() {
    let mut line = Line::new(3);
    let writer = line.writer.clone();
    let destination = Destination { to: &writer, lifetime: Lifetime::DEFAULT };
    let (alice, mut bob) = (Account::new(), Account::new());
    let mut out = alice.outbound(bob.identity(), bob.one_time_key()).unwrap();
    let (mut sender, mut receiver) = sessions();
    for _ in 0..300 {
        receiver.decrypt(&sender.encrypt(b"so that counters are long").unwrap()).unwrap();
    }
    for size in [FrameSize::Small, FrameSize::Large] {
        let text = vec![7; size.contents_bytes_max()];
        assert_eq!(FrameSize::for_contents(text.len()), Some(size));
        for message in [out.encrypt(&text).unwrap(), sender.encrypt(&text).unwrap()] {
            let frame = ControlFrame { number: 1, message };
            let sealed = seal_control(&RING, &mut line.random, &key(1), destination, &frame, size).unwrap();
            let (opened, _) = open_control(&RING, [&key(1)], &sealed.header.id(), &sealed.body).unwrap();
            assert_eq!(opened, frame);
        }
    }
    assert_eq!(FrameSize::for_contents(3_601), None);
}

#[test]
fn olm_keeps_the_keys_of_thirty_two_frames_that_come_last_first() {
    let (mut sender, mut receiver) = sessions();
    let frames: Vec<OlmMessage> = (0..32_u8).map(|n| sender.encrypt(&[n]).unwrap()).collect();
    for (number, frame) in frames.iter().enumerate().rev() {
        assert_eq!(*receiver.decrypt(frame).unwrap(), [u8::try_from(number).unwrap()]);
    }
    assert_eq!(receiver.decrypt(&frames[3]), Err(OlmError::KeyGone), "a frame opens once");
}

#[test]
fn olm_survives_the_device_store_in_the_middle_of_a_conversation() {
    let (mut sender, mut receiver) = sessions();
    let skipped = sender.encrypt(b"late").unwrap();
    for round in 0..10_u8 {
        sender = postcard::from_bytes(&postcard::to_stdvec(&sender).unwrap()).unwrap();
        receiver = postcard::from_bytes(&postcard::to_stdvec(&receiver).unwrap()).unwrap();
        let there = sender.encrypt(&[round]).unwrap();
        assert_eq!(*receiver.decrypt(&there).unwrap(), [round]);
        if round < 3 {
            let back = receiver.encrypt(&[round]).unwrap();
            assert_eq!(*sender.decrypt(&back).unwrap(), [round]);
        }
    }
    assert_eq!(*receiver.decrypt(&skipped).unwrap(), b"late");
}

#[test]
fn an_account_survives_the_device_store_with_its_one_time_keys() {
    let (alice, mut bob) = (Account::new(), Account::new());
    let one_time_key = bob.one_time_key();
    let kept = postcard::to_stdvec(&bob).unwrap();
    let mut bob: Account = postcard::from_bytes(&kept).unwrap();
    let first = alice.outbound(bob.identity(), one_time_key).unwrap().encrypt(b"x").unwrap();
    let stranger = Account::new().identity();
    assert_eq!(bob.inbound(stranger, &first).err(), Some(OlmError::WrongIdentity));
    assert!(bob.inbound(alice.identity(), &first).is_ok());
    assert_eq!(bob.inbound(alice.identity(), &first).err(), Some(OlmError::UnknownOneTimeKey));
}

#[test]
fn a_one_time_key_that_was_taken_back_begins_no_session_and_the_others_do() {
    let (alice, mut bob) = (Account::new(), Account::new());
    let (taken_back, other) = (bob.one_time_key(), bob.one_time_key());
    let message = |key| alice.outbound(bob.identity(), key).unwrap().encrypt(b"x").unwrap();
    let (first, second) = (message(taken_back), message(other));
    bob.take_back_one_time_key(taken_back);
    let mut bob: Account = postcard::from_bytes(&postcard::to_stdvec(&bob).unwrap()).unwrap();
    assert_eq!(bob.inbound(alice.identity(), &first).err(), Some(OlmError::UnknownOneTimeKey));
    assert!(bob.inbound(alice.identity(), &second).is_ok());
}

#[test]
fn keys_of_small_order_make_no_olm_session() {
    let account = Account::new();
    let good = Account::new().identity();
    assert_eq!(account.outbound([0; 32], good).err(), Some(OlmError::SmallOrder));
    assert_eq!(account.outbound(good, [0; 32]).err(), Some(OlmError::SmallOrder));
}

#[test]
fn both_sides_of_an_encapsulation_get_one_outer_key_and_nobody_else_does() {
    let mut random = Seeded::new(4);
    let (secret, other) = (XWingSecret::draw(&mut random), XWingSecret::draw(&mut random));
    let (psk, wrong) = (Secret([1; 32]), Secret([2; 32]));
    let (encapsulation, sealed, key) = seal_first(&mut random, &secret.public(), &psk, b"text").unwrap();
    assert_eq!(open_first(&secret, &psk, &encapsulation, &sealed), Ok((b"text".to_vec().into(), key)));
    for (secret, psk) in [(&secret, &wrong), (&other, &psk)] {
        assert_eq!(open_first(secret, psk, &encapsulation, &sealed), Err(OuterError::Forged));
    }
    for at in [0, 1_087, 1_088] {
        let mut bytes = encapsulation.as_bytes().to_vec();
        bytes[at] ^= 1;
        let changed = Encapsulation::from_bytes(&bytes).unwrap();
        assert_eq!(open_first(&secret, &psk, &changed, &sealed), Err(OuterError::Forged));
    }
}

#[test]
fn a_renewal_hangs_on_the_key_before_it() {
    let mut random = Seeded::new(5);
    let secret = XWingSecret::draw(&mut random);
    let (encapsulation, renewed) = renew(&mut random, &secret.public(), &key(1)).unwrap();
    assert_eq!(accept_renewal(&secret, &key(1), &encapsulation), Ok(renewed.clone()));
    assert_ne!(accept_renewal(&secret, &key(2), &encapsulation), Ok(renewed));
}

/// Every encoding of a point of small order on Curve25519 or its twist: 0, 1, the two of order 8, p − 1, and p and p +
/// 1, which are not in canonical form; each also with the bit set that X25519 ignores (RFC 7748 §5).
fn small_order_points() -> Vec<[u8; 32]> {
    let hex = |text: &str| {
        let byte = |at: usize| u8::from_str_radix(&text[at * 2..at * 2 + 2], 16).unwrap();
        core::array::from_fn::<u8, 32, _>(byte)
    };
    let mut points: Vec<[u8; 32]> = [
        "0000000000000000000000000000000000000000000000000000000000000000",
        "0100000000000000000000000000000000000000000000000000000000000000",
        "e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800",
        "5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157",
        "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    ]
    .map(hex)
    .to_vec();
    for point in points.clone() {
        let mut high = point;
        high[31] |= 0x80;
        points.push(high);
    }
    points
}

#[test]
fn an_x_wing_value_with_a_point_of_small_order_is_refused_in_every_encoding() {
    let mut random = Seeded::new(6);
    let public = XWingSecret::draw(&mut random).public();
    let (encapsulation, _, _) = seal_first(&mut random, &public, &Secret([1; 32]), b"").unwrap();
    let points = small_order_points();
    assert_eq!(points.len(), 14);
    for point in points {
        let with = |value: &[u8]| [&value[..value.len() - 32], &point].concat();
        let small = Some(OuterError::SmallOrder);
        assert_eq!(XWingPublic::from_bytes(&with(public.as_bytes())).err(), small, "{point:02x?}");
        assert_eq!(Encapsulation::from_bytes(&with(encapsulation.as_bytes())).err(), small, "{point:02x?}");
        let kept = postcard::to_stdvec(&with(public.as_bytes())).unwrap();
        assert!(postcard::from_bytes::<XWingPublic>(&kept).is_err(), "not even from the own store");
    }
}

#[test]
fn an_x_wing_value_of_another_length_or_with_impossible_coefficients_is_refused() {
    let public = XWingSecret::draw(&mut Seeded::new(7)).public();
    for length in [0, 31, 32, X_WING_PUBLIC_BYTES - 1, X_WING_PUBLIC_BYTES + 1] {
        let mut bytes = public.as_bytes().to_vec();
        bytes.resize(length, 1);
        let malformed = |error| matches!(error, OuterError::Malformed { .. });
        assert!(XWingPublic::from_bytes(&bytes).is_err_and(malformed));
        assert!(Encapsulation::from_bytes(&bytes).is_err_and(malformed));
    }
    let mut bytes = public.as_bytes().to_vec();
    bytes[..3].copy_from_slice(&[0xff; 3]); // two coefficients of 4 095, above ML-KEM's modulus of 3 329
    assert!(matches!(XWingPublic::from_bytes(&bytes), Err(OuterError::Malformed { .. })));
}

#[test]
fn contents_of_a_kind_nobody_knows_are_skipped_and_what_follows_is_read() {
    let known = encode_contents(&[Content::DigitsConfirmed], 300).unwrap();
    let row = [&[0x40, 99, 3, 1, 2, 3], known.as_slice()].concat();
    assert_eq!(decode_contents(&row), Ok(vec![Content::DigitsConfirmed]));
    assert_eq!(decode_contents(&[]), Ok(Vec::new()));
    assert!(decode_contents(&row[..4]).is_err());
}

#[test]
fn a_content_may_grow_and_may_not_shrink() {
    let longer = [2, 9, 0, 0, 0, 5, 0, 0, 0, 1, 77];
    let read = Acknowledgement { next: 5, bitmap: 1 };
    assert_eq!(decode_contents(&longer), Ok(vec![Content::Acknowledgement(read)]));
    assert!(decode_contents(&[2, 7, 0, 0, 0, 5, 0, 0, 0]).is_err());
}

#[test]
fn a_receipt_of_a_later_version_is_left_out_and_the_others_count() {
    let mut row = vec![3, 19, 2];
    row.extend([[1; 8].as_slice(), &[9], &[2; 8], &[2]].concat());
    let Ok(contents) = decode_contents(&row) else { panic!("the row is readable") };
    let heard = Receipt { note: zajil_proto::ids::NoteId([2; 8]), state: ReceiptState::Heard };
    assert_eq!(contents, [Content::Receipts(vec![heard])]);
}

#[test]
fn an_acknowledgement_holds_what_came_before_it_and_what_its_bits_say() {
    let acknowledgement = Acknowledgement { next: 5, bitmap: 0b1000_0000_0000_0000_0000_0000_0000_0101 };
    let held: Vec<u32> = (0..50).filter(|number| acknowledgement.holds(*number)).collect();
    assert_eq!(held, [0, 1, 2, 3, 4, 6, 8, 37]);
    let last = Acknowledgement { next: u32::MAX, bitmap: u32::MAX };
    assert!(!last.holds(u32::MAX));
}

#[test]
fn three_sessions_fit_a_small_frame_and_a_fourth_asks_for_a_large_one() {
    let mut line = Line::new(8);
    let grants: Vec<Content> = (0..4)
        .map(|_| {
            let mailbox = line.owner.mailbox();
            Content::Session(NoteSession::draw(&mut line.random, mailbox, NOW, Lifetime::DEFAULT).1)
        })
        .collect();
    assert!(encode_contents(&grants[..3], FrameSize::Small.contents_bytes_max()).is_ok());
    let (got, expected) = (360, 300);
    let too_long = ContentsError::TooLong { got, expected };
    assert_eq!(encode_contents(&grants, FrameSize::Small.contents_bytes_max()), Err(too_long));
    assert!(encode_contents(&grants, FrameSize::Large.contents_bytes_max()).is_ok());
}

proptest! {
    #[test]
    fn no_bytes_make_the_reading_of_contents_or_frames_panic(
        kind in 0..20_u8,
        noise in prop::collection::vec(any::<u8>(), 0..2_000),
    ) {
        let _ = decode_contents(&noise);
        let length = u16::try_from(noise.len()).unwrap() | 0x4000;
        let row = [&[kind], length.to_be_bytes().as_slice(), &noise].concat();
        let _ = decode_contents(&row);
        let mut body = noise;
        body.resize(512, 0);
        let id = zajil_proto::ids::ParcelId([0; 16]);
        prop_assert_eq!(open_control(&RING, [&key(1)], &id, &body), Err(ControlError::NoKey));
    }
}
