//! Notes: what is sealed opens, in any cut, as far as it has come; and nothing else opens (P4.1 to P4.9).

use crate::support::{Line, TOC, about, packets, tail};
use proptest::prelude::*;
use zajil_proto::ids::{NoteTag, ParcelId};
use zajil_proto::keys::{Secret, SigningKey};
use zajil_proto::limits::{CHUNK_BYTES, CHUNK_CONTENT_BYTES, SESSION_NOTES_MAX};
use zajil_proto::parcel::{Assembly, Header, Mark, SealedParcel};
use zajil_proto::sealing::chunks::{ChunkError, ChunkOpener, ChunkSealer};
use zajil_proto::sealing::content::{ContentError, NoteKind, Part};
use zajil_proto::sealing::live::NoteSealerState;
use zajil_proto::sealing::note::{OpenError, body_tag};
use zajil_proto::sealing::seal::{Destination, Grown, NoteContent, SealError, seal_note};
use zajil_proto::sealing::{Codec, NoteOpener, NoteSealer, NoteSession, RING, ReceivedSession};
use zajil_proto::time::{Lifetime, Minute};

/// Body before the first chunk.
const PREFIX: usize = 40;

fn opener(line: &Line, header: &Header, body: &[u8]) -> NoteOpener {
    let tag = body_tag(body).unwrap();
    let pair = line.received.find(&tag).expect("the tag is of this session");
    NoteOpener::new(&RING, header, pair, line.verify_key())
}

/// Everything a body opens to, cut into pieces of `cut` bytes, and the error that ends it.
fn open(line: &Line, parcel: &SealedParcel, body: &[u8], cut: usize) -> (Vec<Part>, Option<OpenError>, NoteOpener) {
    let mut opener = opener(line, &parcel.header, body);
    let mut parts = Vec::new();
    let mut failed = None;
    for piece in body.chunks(cut) {
        failed = opener.push(piece, false).err();
        while let Ok(Some(part)) = opener.next_part() {
            parts.push(part);
        }
        if failed.is_some() {
            break;
        }
    }
    (parts, failed, opener)
}

fn voices(parts: &[Part]) -> Vec<Vec<u8>> {
    let packet = |part: &Part| match part {
        Part::Packet(packet) => Some([&[TOC], packet.as_slice()].concat()),
        _ => None,
    };
    parts.iter().filter_map(packet).collect()
}

/// The marks close over the body, as a relay checks them.
fn check_marks(header: &Header, body: &[u8], marks: &[Mark]) {
    let mut assembly = Assembly::new(Header::verify(header.as_bytes()).unwrap());
    let mut start = 0;
    for mark in marks {
        let end = usize::try_from(mark.end).unwrap();
        assembly.take(u32::try_from(start).unwrap(), &body[start..end]).unwrap();
        assert!(assembly.mark(mark).unwrap());
        start = end;
    }
    assert!(assembly.is_closed());
    assert_eq!(start, body.len());
}

#[test]
fn a_voice_note_opens_to_what_was_spoken_with_head_and_tail() {
    let mut line = Line::new(1);
    let spoken = packets(&mut line.random, 170, 90);
    let sealed = line.voice(&spoken).parcel;
    check_marks(&sealed.header, &sealed.body, &sealed.marks);
    let (parts, failed, opener) = open(&line, &sealed, &sealed.body, 700);
    assert_eq!(failed, None);
    assert!(opener.is_ended() && opener.is_whole());
    assert_eq!(voices(&parts), spoken);
    let Some(Part::Head(head)) = parts.first() else { panic!("a head comes first") };
    assert_eq!(head.kind, NoteKind::Voice { codec: Codec::Default, toc: TOC });
    assert_eq!((head.number, head.live, head.keep_days), (0, false, 7));
    assert!(matches!(parts.last(), Some(Part::Tail(found)) if *found == tail()));
}

#[test]
fn a_text_opens_to_what_was_written() {
    let mut line = Line::new(2);
    let about = about(&mut line.random);
    for text in ["", "وصلنا بخير", &"ب".repeat(2_000)] {
        let pair = line.session.take().unwrap();
        let writer = line.writer.clone();
        let destination = Destination { to: &writer, lifetime: Lifetime::DEFAULT };
        let content = NoteContent::Text(text);
        let sealed = seal_note(&RING, &mut line.random, &line.session, pair, destination, &about, content).unwrap();
        let (parts, failed, opener) = open(&line, &sealed.parcel, &sealed.parcel.body, 4_096);
        assert_eq!(failed, None);
        assert!(opener.is_whole());
        assert!(matches!(parts.as_slice(), [Part::Head(_), Part::Text(found)] if found == text));
    }
}

#[test]
fn every_prefix_of_a_sealed_note_opens_to_a_prefix_of_it() {
    let mut line = Line::new(3);
    let spoken = packets(&mut line.random, 60, 90);
    let sealed = line.voice(&spoken).parcel;
    let (whole, _, _) = open(&line, &sealed, &sealed.body, usize::MAX);
    let mut most = 0;
    for length in PREFIX..sealed.body.len() {
        let (parts, failed, opener) = open(&line, &sealed, &sealed.body[..length], usize::MAX);
        assert_eq!(failed, None, "at {length}");
        assert!(!opener.is_ended());
        assert!(whole.starts_with(&parts), "at {length}");
        assert!(parts.len() >= most, "at {length}");
        most = parts.len();
    }
    assert!(most > 50, "all but the last chunk opens early, got {most} parts");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn any_packets_come_back_in_any_cut(
        lengths in prop::collection::vec(1..=1_275_usize, 1..40),
        cut in 1..5_000_usize,
        seed in any::<u64>(),
    ) {
        let mut line = Line::new(seed);
        let spoken: Vec<Vec<u8>> = lengths.iter().map(|length| vec![TOC; *length]).collect();
        let sealed = line.voice(&spoken).parcel;
        let (parts, failed, opener) = open(&line, &sealed, &sealed.body, cut);
        prop_assert_eq!(failed, None);
        prop_assert!(opener.is_whole() && opener.is_ended());
        prop_assert_eq!(voices(&parts), spoken);
    }

    #[test]
    fn a_note_sealed_while_it_is_spoken_opens_the_same(
        lengths in prop::collection::vec(1..=300_usize, 0..200),
        crash_every in 1..30_usize,
        cut in 1..5_000_usize,
    ) {
        let mut line = Line::new(5);
        let spoken: Vec<Vec<u8>> = lengths.iter().map(|length| vec![TOC; *length]).collect();
        let (parcel, most_waiting) = speak(&mut line, &spoken, crash_every);
        check_marks(&parcel.header, &parcel.body, &parcel.marks);
        // Less than a chunk of content waits inside: 1 008 bytes, and the packet that completes them.
        prop_assert!(most_waiting <= 1_008 + 302, "{most_waiting}");
        let mut opener = opener(&line, &parcel.header, &parcel.body);
        let mut parts = Vec::new();
        let count = parcel.body.len().div_ceil(cut);
        for (number, piece) in parcel.body.chunks(cut).enumerate() {
            opener.push(piece, number + 1 == count).unwrap();
            while let Some(part) = opener.next_part().unwrap() {
                parts.push(part);
            }
        }
        prop_assert!(opener.is_whole() && opener.is_ended());
        prop_assert_eq!(voices(&parts), spoken);
        prop_assert!(matches!(parts.first(), Some(Part::Head(head)) if head.live));
    }

    #[test]
    fn bytes_that_nobody_sealed_never_open_and_never_panic(
        noise in prop::collection::vec(any::<u8>(), 0..3_000),
        keep in 0..60_usize,
        closed in any::<bool>(),
    ) {
        let mut line = Line::new(6);
        let sealed = line.voice(&[vec![TOC; 90]]).parcel;
        let mut body = sealed.body[..keep.min(sealed.body.len()).max(8)].to_vec();
        body.extend_from_slice(&noise);
        let mut opener = opener(&line, &sealed.header, &body);
        let _ = opener.push(&body, closed);
        prop_assert_eq!(opener.next_part(), Ok(None));
    }
}

/// Speaks packets live, writing the state out and reading it back every `crash_every` packets.
fn speak(line: &mut Line, spoken: &[Vec<u8>], crash_every: usize) -> (SealedParcel, usize) {
    let about = about(&mut line.random);
    let pair = line.session.take().unwrap();
    let writer = line.writer.clone();
    let destination = Destination { to: &writer, lifetime: Lifetime::DEFAULT };
    let mut sealer =
        NoteSealer::begin(&RING, &mut line.random, &line.session, pair, destination, &about, (Codec::Default, TOC));
    let header = sealer.header().clone();
    assert_eq!(header.sealed_length(), None);
    let (mut body, mut marks) = (Vec::new(), Vec::new());
    let mut add = |grown: Grown| {
        body.extend(grown.body);
        marks.extend(grown.marks);
        body.len()
    };
    let (mut taken, mut most_waiting) = (0, 0);
    for (number, packet) in spoken.iter().enumerate() {
        taken += packet.len();
        let sent = add(sealer.push(packet).unwrap());
        most_waiting = most_waiting.max(taken.saturating_sub(sent));
        if number % crash_every == 0 {
            let kept = postcard::to_stdvec(&sealer.state()).unwrap();
            let state: NoteSealerState = postcard::from_bytes(&kept).unwrap();
            sealer = NoteSealer::resume(&RING, state);
        }
    }
    add(sealer.finish(&tail()));
    (SealedParcel { header, body, marks }, most_waiting)
}

#[test]
fn a_live_note_that_broke_off_plays_as_far_as_it_came() {
    let mut line = Line::new(7);
    let spoken: Vec<Vec<u8>> = vec![vec![TOC; 90]; 100];
    let (parcel, _) = speak(&mut line, &spoken, 7);
    let chunks = 5;
    let (parts, failed, opener) = open(&line, &parcel, &parcel.body[..PREFIX + chunks * CHUNK_BYTES + 500], 333);
    assert_eq!(failed, None);
    assert!(!opener.is_ended() && !opener.is_whole());
    assert_eq!(voices(&parts), spoken[..voices(&parts).len()]);
    assert_eq!(voices(&parts).len(), (chunks * 1_008 - 82) / 90);
}

#[test]
fn a_note_under_another_commitment_is_refused_before_any_chunk() {
    let mut line = Line::new(8);
    let sealed = line.voice(&[vec![TOC; 90]]).parcel;
    for byte in 8..PREFIX {
        let mut body = sealed.body.clone();
        body[byte] ^= 1;
        let (parts, failed, _) = open(&line, &sealed, &body, usize::MAX);
        assert_eq!(failed, Some(OpenError::Chunk(ChunkError::Commitment)));
        assert!(parts.is_empty());
    }
}

#[test]
fn a_flipped_bit_ends_the_note_at_its_chunk_and_keeps_what_came_before() {
    let mut line = Line::new(9);
    let spoken = packets(&mut line.random, 60, 90);
    let sealed = line.voice(&spoken).parcel;
    let (whole, _, _) = open(&line, &sealed, &sealed.body, usize::MAX);
    let chunks = (sealed.body.len() - PREFIX).div_ceil(CHUNK_BYTES);
    assert!(chunks > 4);
    for index in 0..chunks {
        let mut body = sealed.body.clone();
        body[PREFIX + index * CHUNK_BYTES + 16] ^= 0x80;
        let (parts, failed, _) = open(&line, &sealed, &body, 1_000);
        let index = u64::try_from(index).unwrap();
        assert_eq!(failed, Some(OpenError::Chunk(ChunkError::Chunk { index })));
        assert!(whole.starts_with(&parts) && (index == 0) == parts.is_empty());
    }
}

#[test]
fn swapped_dropped_and_repeated_chunks_do_not_open() {
    let mut line = Line::new(10);
    let spoken = packets(&mut line.random, 60, 90);
    let sealed = line.voice(&spoken).parcel;
    let (prefix, chunks) = sealed.body.split_at(PREFIX);
    let chunks: Vec<&[u8]> = chunks.chunks(CHUNK_BYTES).collect();
    let order = |order: &[usize]| [prefix.to_vec(), order.iter().flat_map(|i| chunks[*i].to_vec()).collect()].concat();
    for (wrong, at) in [(&[1, 0, 2, 3][..], 0), (&[0, 2, 3, 4], 1), (&[0, 1, 1, 2], 2), (&[0, 1, 3, 2], 2)] {
        let (_, failed, _) = open(&line, &sealed, &order(wrong), usize::MAX);
        assert_eq!(failed, Some(OpenError::Chunk(ChunkError::Chunk { index: at })), "{wrong:?}");
    }
}

#[test]
fn a_body_cut_at_a_chunk_does_not_pass_for_a_whole_one() {
    let mut line = Line::new(11);
    let spoken = packets(&mut line.random, 60, 90);
    let sealed = line.voice(&spoken).parcel;
    let mut at_once = opener(&line, &sealed.header, &sealed.body);
    let failed = at_once.push(&sealed.body[..PREFIX + 3 * CHUNK_BYTES], true);
    assert_eq!(failed, Err(OpenError::Chunk(ChunkError::Chunk { index: 2 })));
    let mut later = opener(&line, &sealed.header, &sealed.body);
    later.push(&sealed.body[..PREFIX + 3 * CHUNK_BYTES], false).unwrap();
    let failed = later.push(&[], true);
    assert_eq!(failed, Err(OpenError::Chunk(ChunkError::Truncated { chunks: 3 })));
    let mut early = opener(&line, &sealed.header, &sealed.body);
    let failed = early.push(&sealed.body[..20], true);
    assert_eq!(failed, Err(OpenError::Chunk(ChunkError::Truncated { chunks: 0 })));
}

/// Padding happens never to end on a full chunk, so this one is sealed by hand.
#[test]
fn a_full_last_chunk_does_not_open_before_the_body_is_known_to_end() {
    let (key, id) = (Secret([1; 32]), ParcelId([2; 16]));
    for chunks in 1..4 {
        let content = vec![7; chunks * CHUNK_CONTENT_BYTES];
        let mut sealer = ChunkSealer::new(&RING, &key, &id);
        let commitment = *sealer.commitment();
        let mut body = sealer.push(&content);
        assert_eq!(body.len(), (chunks - 1) * CHUNK_BYTES, "what may be the last waits");
        body.extend(sealer.finish());
        assert_eq!(body.len(), chunks * CHUNK_BYTES);
        let mut opener = ChunkOpener::new(&RING, &key, &id, &commitment).unwrap();
        let mut opened = Vec::new();
        opener.push(&body, false, &mut opened).unwrap();
        assert!(!opener.is_ended());
        assert_eq!(opened.len(), (chunks - 1) * CHUNK_CONTENT_BYTES);
        opener.push(&[], true, &mut opened).unwrap();
        assert!(opener.is_ended());
        assert_eq!(opened, content);
        assert_eq!(opener.push(&[0], true, &mut opened), Err(ChunkError::AfterLast));
    }
}

#[test]
fn a_full_last_chunk_with_more_after_it_is_refused() {
    let (key, id) = (Secret([1; 32]), ParcelId([2; 16]));
    let mut sealer = ChunkSealer::new(&RING, &key, &id);
    let commitment = *sealer.commitment();
    sealer.push(&[7; CHUNK_CONTENT_BYTES]);
    let body = sealer.finish();
    let mut opener = ChunkOpener::new(&RING, &key, &id, &commitment).unwrap();
    opener.push(&body, false, &mut Vec::new()).unwrap();
    let refused = opener.push(&[0], false, &mut Vec::new());
    assert_eq!(refused, Err(ChunkError::Chunk { index: 0 }));
}

#[test]
fn a_head_moved_to_another_parcel_or_mailbox_is_refused() {
    // Anyone in an audience has the note key and the write secret. They can seal her content again, and cannot sign it.
    let mut line = Line::new(13);
    let sealed = line.voice(&[vec![TOC; 90]]).parcel;
    let tag = body_tag(&sealed.body).unwrap();
    let pair = line.received.find(&tag).unwrap();
    let content = {
        let commitment = <[u8; 32]>::try_from(&sealed.body[8..PREFIX]).unwrap();
        let id = sealed.header.id();
        let mut chunks = ChunkOpener::new(&RING, &pair.key, &id, &commitment).unwrap();
        let mut content = Vec::new();
        chunks.push(&sealed.body[PREFIX..], true, &mut content).unwrap();
        content
    };
    let thief = SigningKey::draw(&mut line.random);
    let other = zajil_proto::sealing::MailboxOwner::draw(&mut line.random).writer();
    for (to, key, fits) in [
        (&line.writer, thief.public(), false),
        (&other, *sealed.header.parcel_key(), false),
        (&line.writer, *sealed.header.parcel_key(), true),
    ] {
        let id = ParcelId::of(&key);
        let mut chunks = ChunkSealer::new(&RING, &pair.key, &id);
        let mut body = [tag.0.as_slice(), chunks.commitment()].concat();
        body.extend(chunks.push(&content));
        body.extend(chunks.finish());
        let length = u32::try_from(body.len()).unwrap();
        let class = zajil_proto::parcel::Class::Voice;
        let header = Header::sign(class, &to.write_key, to.read_tag, key, Lifetime::DEFAULT, length);
        let mut opener = NoteOpener::new(&RING, &header, pair, line.verify_key());
        opener.push(&body, true).unwrap();
        let found = opener.next_part();
        assert_eq!(found.is_ok(), fits);
        if !fits {
            assert_eq!(found, Err(ContentError::HeadSignature));
        }
    }
}

#[test]
fn a_session_gives_thirty_two_pairs_once_and_both_ends_the_same() {
    let mut line = Line::new(14);
    assert_eq!(line.session.remaining(), usize::from(SESSION_NOTES_MAX));
    let mut tags = Vec::new();
    while let Some(pair) = line.session.take() {
        let received = line.received.find(&pair.tag).expect("both ends expand to the same");
        assert!(received.number == pair.number && received.key == pair.key);
        tags.push(pair.tag);
    }
    assert_eq!(tags.len(), 32);
    assert!(line.session.is_over(Minute(0)));
    for tag in &tags {
        assert!(line.received.erase(tag));
        assert!(!line.received.erase(tag) && line.received.find(tag).is_none(), "a tag opens once");
    }
    assert_eq!(line.received.tags().count(), 0);
}

#[test]
fn a_session_ends_after_seven_days_and_its_keys_stay_as_long_as_a_copy_may_travel() {
    let line = Line::new(15);
    let first = crate::support::NOW.0;
    assert!(!line.session.is_over(Minute(first + 7 * 24 * 60 - 1)));
    assert!(line.session.is_over(Minute(first + 7 * 24 * 60)));
    assert!(!line.session.is_over(Minute(0)), "a clock that went back ends nothing");
    assert_eq!(line.received.needed_minutes(), (7 + 30 + 15) * 24 * 60);
    assert!(line.session.allows(Lifetime::DEFAULT) && !line.session.allows(Lifetime::LONGEST));
}

#[test]
fn sessions_survive_the_device_store_on_both_ends() {
    let mut line = Line::new(16);
    line.session.take();
    let session: NoteSession = postcard::from_bytes(&postcard::to_stdvec(&line.session).unwrap()).unwrap();
    let received: ReceivedSession = postcard::from_bytes(&postcard::to_stdvec(&line.received).unwrap()).unwrap();
    assert_eq!(session.remaining(), 31);
    line.session = session;
    line.received = received;
    let sealed = line.voice(&[vec![TOC; 90]]).parcel;
    assert!(open(&line, &sealed, &sealed.body, usize::MAX).2.is_whole());
}

#[test]
fn what_cannot_be_sealed_is_refused_with_the_reason() {
    let mut line = Line::new(17);
    let about = about(&mut line.random);
    let text = "a".repeat(4_001);
    let (tail, none) = (tail(), Vec::new());
    let other = vec![vec![TOC; 9], vec![TOC + 1; 9]];
    let empty = vec![vec![TOC; 9], Vec::new()];
    let long = vec![vec![TOC; 1_276]];
    let hour = vec![vec![TOC; 1_275]; 1_700];
    let voice = |packets| NoteContent::Voice { codec: Codec::Default, packets, tail: &tail };
    for (content, expected) in [
        (voice(&none), SealError::Empty),
        (voice(&other), SealError::Toc { packet: 1 }),
        (voice(&empty), SealError::Toc { packet: 1 }),
        (voice(&long), SealError::PacketTooLong { packet: 0, got: 1_276, expected: 1_275 }),
        (NoteContent::Text(&text), SealError::TextTooLong { got: 4_001, expected: 4_000 }),
    ] {
        let pair = line.session.take().unwrap();
        let writer = line.writer.clone();
        let destination = Destination { to: &writer, lifetime: Lifetime::DEFAULT };
        let sealed = seal_note(&RING, &mut line.random, &line.session, pair, destination, &about, content);
        assert_eq!(sealed.err(), Some(expected));
    }
    let pair = line.session.take().unwrap();
    let writer = line.writer.clone();
    let destination = Destination { to: &writer, lifetime: Lifetime::DEFAULT };
    let sealed = seal_note(&RING, &mut line.random, &line.session, pair, destination, &about, voice(&hour));
    assert!(matches!(sealed.err(), Some(SealError::TooLong { expected: 2_097_152, .. })));
}

#[test]
fn a_live_note_stops_taking_packets_before_it_could_not_be_ended() {
    let mut line = Line::new(18);
    let about = about(&mut line.random);
    let pair = line.session.take().unwrap();
    let writer = line.writer.clone();
    let destination = Destination { to: &writer, lifetime: Lifetime::DEFAULT };
    let codec = (Codec::GoodLink, TOC);
    let mut sealer = NoteSealer::begin(&RING, &mut line.random, &line.session, pair, destination, &about, codec);
    let packet = vec![TOC; 1_275];
    let mut length = 0;
    let push = |_| match sealer.push(&packet) {
        Ok(grown) => {
            length += grown.body.len();
            None
        }
        Err(error) => Some(error),
    };
    let refused = (0..3_000).find_map(push);
    assert!(matches!(refused, Some(SealError::TooLong { .. })), "{refused:?}");
    length += sealer.finish(&tail()).body.len();
    assert!(length <= 2_097_152 && length > 1_900_000, "{length}");
}

#[test]
fn the_tag_of_another_note_does_not_begin_to_open() {
    let mut line = Line::new(19);
    let one = line.voice(&[vec![TOC; 90]]).parcel;
    let two = line.voice(&[vec![TOC; 90]]).parcel;
    let mut opener = opener(&line, &one.header, &one.body);
    assert_eq!(opener.push(&two.body, false), Err(OpenError::Tag));
    assert_eq!(body_tag(&one.body[..7]), None);
    assert!(line.received.find(&NoteTag([0; 8])).is_none());
}
