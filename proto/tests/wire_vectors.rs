//! Golden vectors of every frame (P8), and what holds for all frames: P1.1 to P1.4, P1.9, P9.

// `cfg(test)` is always on here; said once more, it tells clippy that helper functions are tests too.
#![cfg(test)]

use std::collections::BTreeSet;
use std::fmt::Write as _;

use zajil_proto::codec::{DecodeError, Reader, Writer};
use zajil_proto::ids::{Epoch, ParcelId, ReadTag, RelayHash};
use zajil_proto::keys::{Purpose, Secret, Signature, SigningKey};
use zajil_proto::parcel::{Class, Header, Home, MarkChain, Travel};
use zajil_proto::time::{Age, Hour, Lifetime, Minute};
use zajil_proto::wire::{
    Code, Frame, FrameBuffer, Held, LinkReport, LinkState, LinkStatus, Observation, ParcelStart, Precision, Prove,
    PutStart, PutState, Register, SEALED_WORD_BYTES, Scope, SeenAnswer, Welcome, Word, WordLive, WordPut,
};

const VECTORS: &str = include_str!("../vectors/wire.txt");
const PROTOCOL: &str = include_str!("../../docs/PROTOCOL.md");
const EXPORTER: [u8; 32] = [0xe7; 32];

fn key(number: u8) -> SigningKey {
    SigningKey::from_seed(&Secret([number; 32]))
}

fn tag() -> ReadTag {
    ReadTag::of(&key(2).public())
}

fn word() -> Word {
    let mut sealed = [0; SEALED_WORD_BYTES];
    for (byte, value) in sealed.iter_mut().zip(0_u8..) {
        *byte = value;
    }
    Word::sign(&key(1), tag(), 0x0102_0304_0506_0708, sealed)
}

fn links() -> LinkReport {
    let link = |link, state| LinkStatus { link, state, since: Hour(495_000), checked: Minute(29_700_123) };
    let states = [LinkState::Unknown, LinkState::Up, LinkState::Down, LinkState::ComesAndGoes];
    LinkReport { links: (1..).zip(states).map(|(number, state)| link(number, state)).collect() }
}

fn travel() -> Travel {
    Travel { home: Home(RelayHash::of(&key(9).public())), age: Age(1_234) }
}

fn header() -> Header {
    Header::sign(Class::Voice, &key(1), tag(), key(3).public(), Lifetime::DEFAULT, 9_000)
}

/// One of every frame, and of each of its shapes, with the names of `vectors/wire.txt`.
fn frames() -> Vec<(&'static str, Frame)> {
    let mut frames = session_frames();
    frames.extend(parcel_frames());
    frames.extend(slot_frames());
    frames
}

fn session_frames() -> Vec<(&'static str, Frame)> {
    let register = Register {
        request: 16_384,
        scope: Scope::Mailbox,
        write_key: key(1).public(),
        read_tag: tag(),
        parcels_max: 200,
        bytes_max: 6_000_000,
        valid_hours: 168,
        precision: Precision::Off,
        homes: vec![RelayHash([7; 8]), RelayHash([8; 8])],
        admission: "زيتون".into(),
    };
    let slot = Register {
        request: 0,
        scope: Scope::Slot,
        parcels_max: 0,
        bytes_max: 0,
        valid_hours: 0,
        precision: Precision::Day,
        homes: Vec::new(),
        admission: String::new(),
        ..register.clone()
    };
    let audience = Register { bytes_max: u32::MAX, ..register.clone() };
    vec![
        ("hello", Frame::Hello { lowest: 1, highest: 1, features: 0 }),
        (
            "welcome",
            Frame::Welcome(Welcome {
                version: 1,
                features: 0,
                epoch: Epoch([0xab; 16]),
                minute: Minute(29_700_123),
                clock_trust: 2,
                next_visit_minutes: 360,
                parcel_bytes_max: 2_097_152,
                lifetime_hours_max: 2_160,
            }),
        ),
        ("prove_mailbox", Frame::Prove(Prove::sign(Scope::Mailbox, key(1).public(), &key(2), &EXPORTER))),
        ("prove_slot", Frame::Prove(Prove::sign(Scope::Slot, key(1).public(), &key(2), &EXPORTER))),
        ("register_mailbox", Frame::Register(register)),
        ("register_slot", Frame::Register(slot)),
        ("register_audience", Frame::Register(audience)),
        ("answer", Frame::Answer { request: 63, code: Code::NOT_ADMITTED }),
        ("answer_with_a_code_of_a_later_version", Frame::Answer { request: 64, code: Code(9_999) }),
        ("close", Frame::Close { code: Code::DRAINING, text: "the relay stops; come again soon".into() }),
        ("ticket", Frame::Ticket { ticket: [0x11; 32], proofs: 3 }),
        ("redeem", Frame::Redeem([0x11; 32])),
        ("link_report", Frame::LinkReport(links())),
        ("padding", Frame::Padding(5)),
    ]
}

fn parcel_frames() -> Vec<(&'static str, Frame)> {
    let header = header();
    let (id, mailbox) = (header.id(), header.mailbox());
    let mut chain = MarkChain::new(&header);
    let body: Vec<u8> = (0..9_000_u32).map(|at| at.to_be_bytes()[3]).collect();
    let mark = chain.sign(&key(3), &body[..8_192], false);
    let last = chain.sign(&key(3), &body[8_192..], true);
    let bytes = *header.as_bytes();
    let withdraw = key(3).sign(Purpose::Withdraw, &[&mailbox.0, &id.0]);
    let other = ParcelId([5; 16]);
    let held = vec![Held { id, offset: Some(8_192) }, Held { id: other, offset: None }];
    vec![
        ("put", Frame::Put(PutStart { transfer: 3, offset: 4_096, header: bytes, travel: travel() })),
        ("body", Frame::Body { transfer: 3, offset: 8_190, bytes: b"\x00\x01\xfe\xff".to_vec() }),
        ("mark", Frame::Mark { transfer: 3, mark }),
        ("mark_last", Frame::Mark { transfer: 1 << 30, mark: last }),
        ("put_answer_open", Frame::PutAnswer { id, state: PutState::Open, durable: 8_192 }),
        ("put_answer_stored", Frame::PutAnswer { id, state: PutState::Stored, durable: 9_000 }),
        ("put_answer_refused", Frame::PutAnswer { id, state: PutState::Refused(Code::MAILBOX_FULL), durable: 0 }),
        ("watch_live", Frame::Watch { mailbox, live: true, more: false, held }),
        ("watch_once", Frame::Watch { mailbox, live: false, more: false, held: Vec::new() }),
        ("watch_more", Frame::Watch { mailbox, live: true, more: true, held: Vec::new() }),
        ("parcel", Frame::Parcel(ParcelStart { transfer: 0, mailbox, offset: 0, header: bytes, travel: travel() })),
        ("drained", Frame::Drained { mailbox, transfers: 70 }),
        ("release", Frame::Release { mailbox, ids: vec![id, other] }),
        ("released", Frame::Released { mailbox, ids: vec![id, other] }),
        (
            "withdraw",
            Frame::Withdraw {
                request: 7,
                write_key: key(1).public(),
                read_tag: tag(),
                parcel_key: key(3).public(),
                signature: withdraw,
            },
        ),
    ]
}

fn slot_frames() -> Vec<(&'static str, Frame)> {
    let (word, slot) = (word(), word().slot());
    let observation = Observation::sign(&key(9), &slot, word.version, Minute(29_700_123), Precision::SixHours);
    let answer = SeenAnswer {
        request: 9,
        version: word.version,
        sealed: word.sealed,
        signature: word.signature,
        observation,
        links: links(),
    };
    let nothing = SeenAnswer {
        request: 9,
        version: 0,
        sealed: [0; SEALED_WORD_BYTES],
        signature: Signature::NONE,
        observation: Observation::NONE,
        links: LinkReport::default(),
    };
    vec![
        ("word_put_live", Frame::WordPut(WordPut::live(8, word.clone(), &key(1), &EXPORTER))),
        ("word_put_passed_on", Frame::WordPut(WordPut::passed_on(8, word.clone()))),
        ("word_live", Frame::WordLive(WordLive::sign(11, (slot, word.version), &key(1), &EXPORTER))),
        ("seen_get", Frame::SeenGet { request: 9, slot }),
        ("seen_answer", Frame::SeenAnswer(answer)),
        ("seen_answer_nothing", Frame::SeenAnswer(nothing)),
        ("drop", Frame::Drop { request: 10, scope: Scope::Slot, id: slot.0 }),
    ]
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut hex, byte| {
        write!(hex, "{byte:02x}").unwrap();
        hex
    })
}

fn unhex(hex: &str) -> Vec<u8> {
    assert!(hex.len().is_multiple_of(2));
    (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap()).collect()
}

fn vectors() -> Vec<(&'static str, Vec<u8>)> {
    let lines = VECTORS.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    lines
        .map(|line| {
            let (name, hex) = line.split_once(" = ").expect("name = hex");
            (name, unhex(hex))
        })
        .collect()
}

fn read_all(bytes: &[u8]) -> Result<Vec<Frame>, DecodeError> {
    let (mut buffer, mut frames) = (FrameBuffer::default(), Vec::new());
    buffer.push(bytes);
    while let Some(frame) = buffer.next_frame()? {
        frames.push(frame);
    }
    Ok(frames)
}

/// Splits a frame into type and body.
fn split(frame: &Frame) -> (u64, Vec<u8>) {
    let bytes = frame.encode();
    let mut reader = Reader::new(&bytes);
    let kind = reader.varint().unwrap();
    let length = reader.varint().unwrap();
    assert_eq!(reader.rest().len(), usize::try_from(length).unwrap());
    (kind, reader.rest().to_vec())
}

fn join(kind: u64, body: &[u8]) -> Vec<u8> {
    let mut writer = Writer::new();
    writer.varint(kind).varint(u64::try_from(body.len()).unwrap()).bytes(body);
    writer.into_bytes()
}

#[test]
fn every_vector_is_read_as_its_frame_and_written_back_byte_for_byte() {
    let expected: Vec<(&str, String)> = frames().iter().map(|(name, frame)| (*name, hex(&frame.encode()))).collect();
    let found: Vec<(&str, String)> = vectors().into_iter().map(|(name, bytes)| (name, hex(&bytes))).collect();
    let text = expected.iter().fold(String::new(), |text, (name, hex)| text + name + " = " + hex + "\n");
    assert_eq!(found, expected, "vectors/wire.txt holds what was fixed; the code now writes:\n{text}");
    for ((name, bytes), (_, frame)) in vectors().into_iter().zip(frames()) {
        assert_eq!(read_all(&bytes), Ok(vec![frame]), "{name}");
    }
}

#[test]
fn signatures_in_the_vectors_fit() {
    for (name, bytes) in vectors() {
        match read_all(&bytes).unwrap().remove(0) {
            Frame::Prove(prove) => assert!(prove.holds(&EXPORTER), "{name}"),
            Frame::Put(PutStart { header, .. }) | Frame::Parcel(ParcelStart { header, .. }) => {
                assert!(Header::verify(&header).is_ok(), "{name}");
            }
            Frame::WordPut(put) => {
                assert!(put.word.is_signed(), "{name}");
                assert_eq!(put.is_live(&EXPORTER), name == "word_put_live");
            }
            Frame::WordLive(live) => assert!(live.is_live(&key(1).public(), &EXPORTER), "{name}"),
            Frame::SeenAnswer(answer) if answer.version > 0 => {
                assert!(answer.observation.is_signed_by(&key(9).public(), &word().slot()), "{name}");
            }
            _ => {}
        }
    }
}

/// The rows of a table of `docs/PROTOCOL.md`, cell by cell.
fn table(heading: &str) -> Vec<Vec<String>> {
    let section = PROTOCOL.split(heading).nth(1).expect("the section is there");
    let section = section.split("\n## ").next().unwrap();
    let rows = section.lines().filter(|line| line.starts_with("| ") && !line.starts_with("|---"));
    rows.map(|row| row.split('|').map(|cell| cell.trim().to_owned()).collect()).collect()
}

#[test]
fn every_frame_of_the_protocol_has_a_vector_and_every_vector_a_frame() {
    let listed: BTreeSet<(u64, String)> = table("## P8 ")
        .iter()
        .filter_map(|row| Some((u64::from_str_radix(row[1].strip_prefix("0x")?, 16).unwrap(), row[2].clone())))
        .collect();
    assert_eq!(listed.len(), 25);
    let covered: BTreeSet<u64> = frames().iter().map(|(_, frame)| split(frame).0).collect();
    assert_eq!(listed.iter().map(|(kind, _)| *kind).collect::<BTreeSet<_>>(), covered);
    // And the names are those of the code.
    for (_, frame) in frames() {
        let (kind, _) = split(&frame);
        let name = frame.name().to_owned();
        assert!(listed.contains(&(kind, name.clone())), "{name} is not {kind:#x}");
    }
}

#[test]
fn codes_are_those_of_the_protocol() {
    let listed: Vec<(u16, String)> =
        table("## P9 ").iter().filter_map(|row| Some((row[1].parse().ok()?, row[2].clone()))).collect();
    let known: Vec<(u16, String)> = Code::ALL.iter().map(|code| (code.0, code.name().to_owned())).collect();
    assert_eq!(listed, known);
    assert!(known.len() >= 21);
    for code in Code::ALL {
        assert_eq!(code.ended_label(), format!("session_ended_{}", code.name()));
        assert_eq!(code.refused_label(), format!("refused_{}", code.name()));
    }
    assert_eq!(Code(9_999).name(), "UNKNOWN");
}

#[test]
fn fields_of_a_later_version_behind_the_last_are_ignored() {
    for (name, frame) in frames() {
        // Bytes are all that is left of these.
        if matches!(frame, Frame::Body { .. } | Frame::Padding(_)) {
            continue;
        }
        let (kind, mut body) = split(&frame);
        body.extend([0xff; 40]);
        assert_eq!(read_all(&join(kind, &body)), Ok(vec![frame]), "{name}");
    }
}

#[test]
fn a_body_that_ends_before_its_last_field_is_refused_wherever_it_ends() {
    for (name, frame) in frames() {
        if matches!(frame, Frame::Padding(_)) {
            continue;
        }
        let (kind, body) = split(&frame);
        for length in 0..body.len() {
            let read = Frame::decode(kind, &body[..length]);
            if matches!(frame, Frame::Body { .. }) && length > 5 {
                assert!(read.is_ok());
            } else {
                assert!(matches!(read, Err(DecodeError::Short { .. })), "{name} cut to {length}: {read:?}");
                assert_eq!(Code::of(&read.unwrap_err()), Code::MALFORMED);
            }
        }
    }
}

#[test]
fn unknown_odd_types_are_skipped_and_unknown_even_ones_are_not() {
    let known = frames()[0].1.clone();
    for kind in [0x09, 0x0b, 0x29, 0x3f, 0x41, 0x3fff_ffff] {
        let bytes = [join(kind, &[1; 300]), join(kind, &[]), known.encode()].concat();
        assert_eq!(read_all(&bytes), Ok(vec![known.clone()]));
    }
    for kind in [0x2a, 0x2c, 0x40, 0x3fff_fffe] {
        let error = read_all(&join(kind, &[1; 300])).unwrap_err();
        assert_eq!(error, DecodeError::UnknownFrame { got: kind });
        assert_eq!(Code::of(&error), Code::UNKNOWN_FRAME);
    }
}

#[test]
fn frames_may_be_cut_anywhere_on_their_way() {
    let all = frames();
    let bytes: Vec<u8> = all.iter().flat_map(|(_, frame)| frame.encode()).collect();
    for size in [1, 2, 3, 7, 100, 1_200, bytes.len()] {
        let (mut buffer, mut read) = (FrameBuffer::default(), Vec::new());
        for part in bytes.chunks(size) {
            buffer.push(part);
            while let Some(frame) = buffer.next_frame().unwrap() {
                read.push(frame);
            }
        }
        assert!(read.iter().eq(all.iter().map(|(_, frame)| frame)), "in pieces of {size}");
        assert!(!buffer.is_cut());
        buffer.push(&bytes[..1]);
        assert!(buffer.is_cut());
    }
}

#[test]
fn a_frame_above_the_limit_is_refused_before_it_has_come() {
    let mut writer = Writer::new();
    writer.varint(0x07).varint(16_385);
    let error = read_all(writer.as_bytes()).unwrap_err();
    assert_eq!(Code::of(&error), Code::TOO_LARGE);
    assert_eq!(read_all(&join(0x07, &[0; 16_384])), Ok(vec![Frame::Padding(16_384)]));
}

#[test]
fn a_body_frame_carries_1_to_8192_bytes() {
    let bytes = |count| join(0x0c, &[&[3, 0, 0, 0, 0][..], &vec![1; count]].concat());
    assert!(read_all(&bytes(0)).is_err());
    assert_eq!(read_all(&bytes(8_192)).unwrap().len(), 1);
    assert_eq!(Code::of(&read_all(&bytes(8_193)).unwrap_err()), Code::MALFORMED);
}

#[test]
fn an_integer_longer_than_it_need_be_is_refused_in_every_place_of_a_frame() {
    let long = |value: u8| [0x40, value];
    let answer = [&[0x08, 4][..], &long(7), &[0, 0]].concat();
    let cases = [[&long(0x08)[..], &[3, 7, 0, 0]].concat(), [&[0x08][..], &long(3), &[7, 0, 0]].concat(), answer];
    for bytes in cases {
        assert_eq!(read_all(&bytes), Err(DecodeError::LongVarint));
    }
}

#[test]
fn reserved_bits_are_ignored_and_reserved_values_refused() {
    let find = |wanted: &str| frames().into_iter().find(|(name, _)| *name == wanted).unwrap().1;
    // Flags of Watch and of a mark.
    for (name, at) in [("watch_live", 16), ("mark", 5)] {
        let (kind, mut body) = split(&find(name));
        body[at] |= 0xfc;
        assert_eq!(read_all(&join(kind, &body)), Ok(vec![find(name)]), "{name}");
    }
    // The state of a link, but not a scope, a precision, a state of a parcel.
    let (kind, mut body) = split(&find("link_report"));
    body[3] = 200;
    assert_eq!(read_all(&join(kind, &body)), Ok(vec![find("link_report")]));
    for (name, at) in [("prove_slot", 0), ("drop", 1), ("put_answer_open", 16), ("register_slot", 58)] {
        let (kind, mut body) = split(&find(name));
        body[at] = 99;
        let read = read_all(&join(kind, &body));
        assert!(matches!(read, Err(DecodeError::Range { got: 99, .. })), "{name}: {read:?}");
    }
}

#[test]
fn lists_and_texts_longer_than_their_limits_are_refused() {
    let homes = [&[0, 0][..], &[0; 48], &[0; 9], &[4], &[0; 32], &[0]].concat();
    let admission = [&[0, 0][..], &[0; 48], &[0; 9], &[0, 65], &[b'a'; 65]].concat();
    let text = [&[0, 0, 129][..], &[b'a'; 129]].concat();
    let links = [&[9][..], &[0; 99]].concat();
    for (kind, body) in [(0x06, homes), (0x06, admission), (0x28, text), (0x05, links)] {
        let read = read_all(&join(kind, &body));
        assert!(matches!(read, Err(DecodeError::TooLong { .. })), "{kind:#x}: {read:?}");
    }
    let not_utf8 = [0, 0, 2, 0xc3, 0x28];
    assert!(matches!(read_all(&join(0x28, &not_utf8)), Err(DecodeError::Text { .. })));
}

#[test]
fn a_frame_prints_its_name_and_its_code_and_nothing_about_people() {
    for (name, frame) in frames() {
        let shown = format!("{frame:?}");
        let expected = match &frame {
            Frame::Answer { code, .. } | Frame::Close { code, .. } => format!("{}({code:?})", frame.name()),
            Frame::PutAnswer { state, .. } => format!("PutAnswer({state:?})"),
            _ => frame.name().to_owned(),
        };
        assert_eq!(shown, expected, "{name}");
    }
}
