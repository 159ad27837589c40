//! The sealing of notes that are complete before they travel (P4), and the closing of any parcel.

use crate::ids::{NoteId, ParcelId, RosterHash};
use crate::keys::SigningKey;
use crate::limits::{MARK_DISTANCE_BYTES_MAX, PACKET_BYTES_MAX, PARCEL_BYTES_MAX, TEXT_BYTES_MAX};
use crate::parcel::{Class, Header, MarkChain, SealedParcel};
use crate::random::Random;
use crate::sealing::chunks::ChunkSealer;
use crate::sealing::content::{Codec, Head, NoteKind, PartOf, Tail, encode_packet, encode_text};
use crate::sealing::mailbox::MailboxWriter;
use crate::sealing::note::{NotePair, NoteSession};
use crate::sealing::padding::{body_length, padded};
use crate::sealing::provider::Provider;
use crate::time::{Lifetime, Minute};

/// Why a note is not sealed. The fault is the caller's; nothing has been sealed, but the pair is gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SealError {
    /// A voice note needs at least one packet.
    #[error("a voice note without packets")]
    Empty,
    /// A packet has no TOC byte, or another one than the first.
    #[error("packet {packet} does not begin with the first one's TOC byte")]
    Toc {
        /// Which packet, from 0.
        packet: usize,
    },
    /// A packet is longer than RFC 6716 allows.
    #[error("packet {packet} has {got} bytes, at most {expected}")]
    PacketTooLong {
        /// Which packet, from 0.
        packet: usize,
        /// Its length, with the TOC byte.
        got: usize,
        /// The limit.
        expected: usize,
    },
    /// A text is too long.
    #[error("a text of {got} bytes, at most {expected}")]
    TextTooLong {
        /// Its length.
        got: usize,
        /// The limit.
        expected: usize,
    },
    /// The sealed parcel would be too long.
    #[error("a sealed body of {got} bytes, at most {expected}")]
    TooLong {
        /// What it would be.
        got: usize,
        /// The limit.
        expected: usize,
    },
}

/// What a note's head says beside what its sealing decides.
#[derive(Clone, Copy)]
pub struct About {
    /// Eight random bytes, unique for this device.
    pub note: NoteId,
    /// When recording began.
    pub minute: Minute,
    /// Days after hearing until it should disappear, 0 = as the listener likes.
    pub keep_days: u8,
    /// The roster this device has, for a family.
    pub roster: Option<RosterHash>,
    /// Which part of the note this parcel is.
    pub part: PartOf,
}

/// Where a note goes and how long it may wait there.
#[derive(Clone, Copy)]
pub struct Destination<'a> {
    /// The mailbox.
    pub to: &'a MailboxWriter,
    /// How long it may wait.
    pub lifetime: Lifetime,
}

/// What is to be sealed.
#[derive(Clone, Copy)]
pub enum NoteContent<'a> {
    /// A voice: Opus packets with their TOC bytes, all the same.
    Voice {
        /// The profile it was encoded with.
        codec: Codec,
        /// The packets in order.
        packets: &'a [Vec<u8>],
        /// What is known at its end.
        tail: &'a Tail,
    },
    /// A text of at most 4 000 bytes.
    Text(&'a str),
}

/// A sealed note and the key that can withdraw it.
#[derive(Clone)]
pub struct SealedNote {
    /// What travels.
    pub parcel: SealedParcel,
    /// The parcel key: withdraws the note (P8.13). To be kept as long as the note may be withdrawn, then erased.
    pub parcel_key: SigningKey,
}

/// New bytes of a parcel that is growing: to be appended and made durable before anything is offered to a link.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Grown {
    /// The next bytes of the body.
    pub body: Vec<u8>,
    /// The next marks.
    pub marks: Vec<crate::parcel::Mark>,
}

redacted!(About, NoteContent<'_>, Destination<'_>, SealedNote);

/// Seals a note that is complete. The pair must already be durably gone from `session`.
///
/// # Errors
/// [`SealError`].
pub fn seal_note(
    sealing: Provider,
    random: &mut (impl Random + ?Sized),
    session: &NoteSession,
    pair: NotePair,
    destination: Destination<'_>,
    about: &About,
    content: NoteContent<'_>,
) -> Result<SealedNote, SealError> {
    let (class, kind, rest) = match content {
        NoteContent::Voice { codec, packets, tail } => {
            let (toc, rest) = encode_voice(packets, tail)?;
            (Class::Voice, NoteKind::Voice { codec, toc }, rest)
        }
        NoteContent::Text(text) => (Class::Text, NoteKind::Text, encode_text_checked(text)?),
    };
    let parcel_key = SigningKey::draw(random);
    let parcel = ParcelId::of(&parcel_key.public());
    let mut content = head(about, kind, false, &pair).encode(session.signer(), &parcel, &destination.to.mailbox());
    content.extend_from_slice(&rest);
    let length = if sabotaged!(NotesNotPadded) { content.len() } else { padded(content.len()) };
    check_length(body_length(length))?;
    content.resize(length, 0);
    let body = seal_body(sealing, &pair, &parcel, &content);
    Ok(SealedNote { parcel: close_parcel(class, destination, &parcel_key, body), parcel_key })
}

pub(super) const fn head(about: &About, kind: NoteKind, live: bool, pair: &NotePair) -> Head {
    Head {
        kind,
        live,
        part: about.part,
        note: about.note,
        minute: about.minute,
        number: pair.number,
        keep_days: about.keep_days,
        roster: about.roster,
    }
}

fn encode_voice(packets: &[Vec<u8>], tail: &Tail) -> Result<(u8, Vec<u8>), SealError> {
    let toc = *packets.first().ok_or(SealError::Empty)?.first().ok_or(SealError::Toc { packet: 0 })?;
    let mut out = Vec::new();
    for (number, packet) in packets.iter().enumerate() {
        out.extend_from_slice(&framed(packet, toc, number)?);
    }
    out.extend_from_slice(&tail.encode());
    Ok((toc, out))
}

/// Frames one packet without its TOC byte.
pub(super) fn framed(packet: &[u8], toc: u8, number: usize) -> Result<Vec<u8>, SealError> {
    match packet.split_first() {
        Some((first, rest)) if *first == toc => encode_packet(rest).ok_or(SealError::PacketTooLong {
            packet: number,
            got: packet.len(),
            expected: PACKET_BYTES_MAX + 1,
        }),
        _ => Err(SealError::Toc { packet: number }),
    }
}

fn encode_text_checked(text: &str) -> Result<Vec<u8>, SealError> {
    encode_text(text).ok_or(SealError::TextTooLong { got: text.len(), expected: TEXT_BYTES_MAX })
}

pub(super) fn check_length(got: usize) -> Result<(), SealError> {
    let expected = usize::try_from(PARCEL_BYTES_MAX).unwrap_or(usize::MAX);
    if got > expected {
        return Err(SealError::TooLong { got, expected });
    }
    Ok(())
}

fn seal_body(sealing: Provider, pair: &NotePair, parcel: &ParcelId, content: &[u8]) -> Vec<u8> {
    let mut chunks = ChunkSealer::new(sealing, &pair.key, parcel);
    let mut body = Vec::with_capacity(body_length(content.len()));
    body.extend_from_slice(&pair.tag.0);
    body.extend_from_slice(chunks.commitment());
    body.extend_from_slice(&chunks.push(content));
    body.extend_from_slice(&chunks.finish());
    body
}

/// Signs header and marks over a body that is complete. Bodies are shorter than the longest parcel by then.
pub(super) fn close_parcel(
    class: Class,
    destination: Destination<'_>,
    parcel_key: &SigningKey,
    body: Vec<u8>,
) -> SealedParcel {
    let header = Header::sign(
        class,
        &destination.to.write_key,
        destination.to.read_tag,
        parcel_key.public(),
        destination.lifetime,
        u32::try_from(body.len()).unwrap_or(u32::MAX),
    );
    let mut chain = MarkChain::new(&header);
    let distance = usize::try_from(MARK_DISTANCE_BYTES_MAX).unwrap_or(usize::MAX);
    let count = body.len().div_ceil(distance);
    let marks = body
        .chunks(distance)
        .enumerate()
        .map(|(number, part)| chain.sign(parcel_key, part, number + 1 == count))
        .collect();
    SealedParcel { header, body, marks }
}
