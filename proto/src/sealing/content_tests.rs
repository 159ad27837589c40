//! Heads that are signed and say what they may not, and content that breaks off or makes no sense.

use proptest::prelude::*;

use super::*;
use crate::keys::Secret;

fn check() -> (SigningKey, HeadCheck) {
    let session = SigningKey::from_seed(&Secret([1; 32]));
    let check = HeadCheck { session: session.public(), parcel: ParcelId([2; 16]), mailbox: MailboxId([3; 16]) };
    (session, check)
}

fn head(kind: NoteKind) -> Head {
    Head {
        kind,
        live: false,
        part: PartOf::Whole,
        note: NoteId([4; 8]),
        minute: Minute(5),
        number: 31,
        keep_days: 6,
        roster: None,
    }
}

fn voice() -> Head {
    head(NoteKind::Voice { codec: Codec::GoodLink, toc: 0x58 })
}

/// Signs a head that this version would not write: `change` sees the 18 bytes before the signature.
fn foreign_head(change: impl FnOnce(&mut [u8])) -> Vec<u8> {
    let (session, check) = check();
    let mut bytes = voice().encode(&session, &check.parcel, &check.mailbox);
    bytes.truncate(HEAD_FIXED_BYTES);
    change(&mut bytes);
    let signature = session.sign(Purpose::Head, &[&check.parcel.0, &check.mailbox.0, &bytes]);
    bytes.extend_from_slice(&signature.0);
    bytes
}

fn read(content: &[u8]) -> (Vec<Part>, Option<ContentError>) {
    let mut reader = ContentReader::new(check().1);
    reader.push(content);
    let mut parts = Vec::new();
    loop {
        match reader.next_part() {
            Ok(Some(part)) => parts.push(part),
            Ok(None) => return (parts, None),
            Err(error) => {
                assert_eq!(reader.next_part(), Err(error), "an error stays");
                return (parts, Some(error));
            }
        }
    }
}

#[test]
fn what_a_later_version_may_say_is_told_apart_from_nonsense() {
    for (at, value, expected) in [
        (0, 3, ContentError::KindFromFuture { got: 3 }),
        (15, 0, ContentError::CodecFromFuture { got: 0 }),
        (15, 6, ContentError::CodecFromFuture { got: 6 }),
        (14, 32, ContentError::Head { field: "number", got: 32 }),
        (1, THUMBNAIL | FULL, ContentError::Head { field: "part", got: 12 }),
    ] {
        assert_eq!(read(&foreign_head(|head| head[at] = value)), (Vec::new(), Some(expected)));
    }
}

#[test]
fn a_flag_of_a_later_version_is_ignored() {
    let (parts, error) = read(&foreign_head(|head| head[1] = 0xf0));
    assert_eq!(error, None);
    assert!(parts == [Part::Head(voice())]);
}

#[test]
fn a_changed_head_is_refused_wherever_it_was_changed() {
    let (session, check) = check();
    let good = voice().encode(&session, &check.parcel, &check.mailbox);
    for at in 0..good.len() {
        let mut bytes = good.clone();
        bytes[at] ^= 1;
        let (parts, error) = read(&bytes);
        assert!(parts.is_empty() && error == Some(ContentError::HeadSignature), "at {at}");
    }
}

#[test]
fn a_text_that_is_too_long_or_not_text_is_refused() {
    let (session, check) = check();
    let head = head(NoteKind::Text).encode(&session, &check.parcel, &check.mailbox);
    let with = |rest: &[u8]| read(&[head.as_slice(), rest].concat());
    assert_eq!(with(&[0, 2, 0xc3, 0x28]).1, Some(ContentError::TextEncoding));
    let expected = Some(ContentError::TextTooLong { got: 4_001, expected: 4_000 });
    assert_eq!(with(&[0x0f, 0xa1]).1, expected, "refused by its length, before its bytes are awaited");
    let (parts, error) = with(&[0, 2, b'o']);
    assert_eq!((parts.len(), error), (1, None), "half a text is awaited");
}

#[test]
fn packets_of_every_length_are_written_as_the_clause_says_and_read_back() {
    for n in 0..=PACKET_BYTES_MAX {
        let framed = encode_packet(&vec![7; n]).unwrap();
        assert_eq!(framed.len() - n, if n <= 250 { 1 } else { 2 });
        assert_ne!(framed[0], 0, "a zero byte ends the packets");
        let mut reader = ContentReader::new(check().1);
        reader.stage = Stage::Packets;
        reader.push(&framed);
        assert!(reader.next_part() == Ok(Some(Part::Packet(vec![7; n]))), "{n}");
        assert_eq!(reader.next_part(), Ok(None));
    }
    assert_eq!(encode_packet(&vec![7; PACKET_BYTES_MAX + 1]), None);
    assert_eq!(encode_text(&"a".repeat(TEXT_BYTES_MAX + 1)), None);
}

proptest! {
    #[test]
    fn whatever_follows_a_head_never_panics_and_comes_out_the_same_in_any_cut(
        noise in prop::collection::vec(any::<u8>(), 0..2_000),
        text in any::<bool>(),
        cut in 1..300_usize,
    ) {
        let (session, check) = check();
        let head = if text { head(NoteKind::Text) } else { voice() };
        let content = [head.encode(&session, &check.parcel, &check.mailbox), noise].concat();
        let (at_once, failed) = read(&content);
        let mut reader = ContentReader::new(check);
        let mut parts = Vec::new();
        for piece in content.chunks(cut) {
            reader.push(piece);
            while let Ok(Some(part)) = reader.next_part() {
                parts.push(part);
            }
        }
        prop_assert!(parts == at_once);
        prop_assert_eq!(reader.next_part().err(), failed);
    }

    #[test]
    fn noise_is_no_head(noise in prop::collection::vec(any::<u8>(), 90..2_000)) {
        prop_assert_eq!(read(&noise), (Vec::new(), Some(ContentError::HeadSignature)));
    }
}
