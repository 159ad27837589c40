//! What lies inside a note's seal (P4.5 to P4.8): head, then packets and tail, or text; then padding.

use crate::codec::{DecodeError, Reader, Writer};
use crate::ids::{MailboxId, NoteId, ParcelId, RosterHash};
use crate::keys::{Purpose, Signature, SigningKey, VerifyingKey};
use crate::limits::{PACKET_BYTES_MAX, TEXT_BYTES_MAX};
use crate::time::Minute;

/// Longest packet whose length takes one byte (P4.6).
const SHORT_PACKET_BYTES_MAX: usize = 250;
/// Peaks of a waveform.
const PEAKS: usize = 48;
const TAIL_BYTES: usize = 29;
const SIGNATURE_BYTES: usize = 64;
/// Head without roster hash and signature.
const HEAD_FIXED_BYTES: usize = 18;
const ROSTER_BYTES: usize = 8;

const LIVE: u8 = 1;
const ROSTER: u8 = 2;
const THUMBNAIL: u8 = 4;
const FULL: u8 = 8;

/// Why opened content is not understood. It is authentic by then: the fault is the sender's app, or the age of this
/// one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ContentError {
    /// A kind of note that a later version sends.
    #[error("a kind of note this version does not know: {got}")]
    KindFromFuture {
        /// The kind.
        got: u8,
    },
    /// A codec profile that a later version sends.
    #[error("a codec profile this version does not know: {got}")]
    CodecFromFuture {
        /// The profile.
        got: u8,
    },
    /// The head says something it may not.
    #[error("the head's {field} is out of range: {got}")]
    Head {
        /// Which field.
        field: &'static str,
        /// What it says.
        got: u8,
    },
    /// The head is not signed by its session, for this parcel and this mailbox.
    #[error("the head is not signed for this parcel by the session's owner")]
    HeadSignature,
    /// A text is longer than it may be.
    #[error("a text of {got} bytes, at most {expected}")]
    TextTooLong {
        /// What it says.
        got: usize,
        /// The limit.
        expected: usize,
    },
    /// A text is not UTF-8.
    #[error("a text that is not UTF-8")]
    TextEncoding,
}

/// A codec profile (P4.5).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
pub enum Codec {
    /// 6 kbit/s, narrowband.
    Emergency,
    /// 7 kbit/s, wideband.
    Thumbnail,
    /// 9 kbit/s.
    Saver,
    /// 12 kbit/s, wideband.
    Default,
    /// 16 kbit/s.
    GoodLink,
}

impl Codec {
    /// Returns the byte in a head.
    pub const fn code(self) -> u8 {
        match self {
            Self::Emergency => 1,
            Self::Thumbnail => 2,
            Self::Saver => 3,
            Self::Default => 4,
            Self::GoodLink => 5,
        }
    }

    const fn from_code(code: u8) -> Result<Self, ContentError> {
        match code {
            1 => Ok(Self::Emergency),
            2 => Ok(Self::Thumbnail),
            3 => Ok(Self::Saver),
            4 => Ok(Self::Default),
            5 => Ok(Self::GoodLink),
            got => Err(ContentError::CodecFromFuture { got }),
        }
    }
}

/// What a note is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NoteKind {
    /// A voice.
    Voice {
        /// The profile it was encoded with.
        codec: Codec,
        /// The Opus TOC byte that every packet begins with, and that travels only here (RFC 6716 §3.1).
        toc: u8,
    },
    /// A text.
    Text,
}

/// Which part of its note a parcel is (P4.5).
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub enum PartOf {
    /// All of it.
    Whole,
    /// The small first parcel of two.
    Thumbnail,
    /// The full second parcel of two, with the same note id.
    Full,
}

/// The head of a note (P4.5).
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Head {
    /// Voice or text.
    pub kind: NoteKind,
    /// Whether it was sealed while it was spoken.
    pub live: bool,
    /// Which part of the note this parcel is.
    pub part: PartOf,
    /// Unique for one sending device; both parcels of one note have the same.
    pub note: NoteId,
    /// When recording began, by the sender's clock.
    pub minute: Minute,
    /// Place in its session, 0 to 31.
    pub number: u8,
    /// Days after hearing until it should disappear, 0 = as the listener likes.
    pub keep_days: u8,
    /// The roster the sender had, for a family.
    pub roster: Option<RosterHash>,
}

redacted!(Head, Tail);

impl Head {
    /// Writes and signs the head for one parcel in one mailbox.
    pub fn encode(&self, session: &SigningKey, parcel: &ParcelId, mailbox: &MailboxId) -> Vec<u8> {
        let mut writer = Writer::new();
        let (kind, codec, toc) = match self.kind {
            NoteKind::Voice { codec, toc } => (1, codec.code(), toc),
            NoteKind::Text => (2, 0, 0),
        };
        let part = match self.part {
            PartOf::Whole => 0,
            PartOf::Thumbnail => THUMBNAIL,
            PartOf::Full => FULL,
        };
        let roster = if self.roster.is_some() { ROSTER } else { 0 };
        writer.u8(kind).u8(part | roster | if self.live { LIVE } else { 0 });
        writer.bytes(&self.note.0).u32(self.minute.0);
        writer.u8(self.number).u8(codec).u8(toc).u8(self.keep_days);
        if let Some(roster) = &self.roster {
            writer.bytes(&roster.0);
        }
        let signature = session.sign(Purpose::Head, &[&parcel.0, &mailbox.0, writer.as_bytes()]);
        writer.bytes(&signature.0);
        writer.into_bytes()
    }

    /// Returns the length of the head that `content` begins with, once enough of it is there to tell.
    fn length(content: &[u8]) -> Option<usize> {
        let flags = content.get(1)?;
        let roster = if flags & ROSTER == 0 { 0 } else { ROSTER_BYTES };
        Some(HEAD_FIXED_BYTES + roster + SIGNATURE_BYTES)
    }

    fn decode(bytes: &[u8], check: &HeadCheck) -> Result<Self, ReadError> {
        let mut reader = Reader::new(bytes);
        let signed = reader.bytes(bytes.len().saturating_sub(SIGNATURE_BYTES))?;
        let signature = Signature(reader.array()?);
        let parts: [&[u8]; 3] = [&check.parcel.0, &check.mailbox.0, signed];
        if !check.session.verifies(Purpose::Head, &parts, &signature) {
            return Err(ContentError::HeadSignature.into());
        }
        let mut reader = Reader::new(signed);
        let kind = reader.u8()?;
        let flags = reader.u8()?;
        let note = NoteId(reader.array()?);
        let minute = Minute(reader.u32()?);
        let (number, codec, toc, keep_days) = (reader.u8()?, reader.u8()?, reader.u8()?, reader.u8()?);
        let roster = match flags & ROSTER {
            0 => None,
            _ => Some(RosterHash(reader.array()?)),
        };
        if usize::from(number) >= usize::from(crate::limits::SESSION_NOTES_MAX) {
            let field = "number";
            return Err(ContentError::Head { field, got: number }.into());
        }
        Ok(Self {
            kind: match kind {
                1 => NoteKind::Voice { codec: Codec::from_code(codec)?, toc },
                2 => NoteKind::Text,
                got => return Err(ContentError::KindFromFuture { got }.into()),
            },
            live: flags & LIVE != 0,
            part: match flags & (THUMBNAIL | FULL) {
                0 => PartOf::Whole,
                THUMBNAIL => PartOf::Thumbnail,
                FULL => PartOf::Full,
                got => return Err(ContentError::Head { field: "part", got }.into()),
            },
            note,
            minute,
            number,
            keep_days,
            roster,
        })
    }
}

/// What is known only when a recording ends (P4.7).
#[derive(Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Tail {
    /// How long it is, in milliseconds.
    pub duration_millis: u32,
    /// How loud it is on the whole, in dB below full scale.
    pub loudness: u8,
    /// Forty-eight peaks of 4 bits, two in a byte, the earlier in the high half.
    pub waveform: [u8; PEAKS / 2],
}

impl Tail {
    /// Packs peaks of 0 to 15; greater ones count as 15.
    pub fn waveform(peaks: &[u8; PEAKS]) -> [u8; PEAKS / 2] {
        let mut out = [0; PEAKS / 2];
        let (pairs, _) = peaks.as_chunks::<2>();
        for (byte, [high, low]) in out.iter_mut().zip(pairs) {
            *byte = (*high).min(15) << 4 | (*low).min(15);
        }
        out
    }

    /// Returns the peaks, each 0 to 15.
    pub fn peaks(&self) -> [u8; PEAKS] {
        let mut out = [0; PEAKS];
        let (pairs, _) = out.as_chunks_mut::<2>();
        for (pair, byte) in pairs.iter_mut().zip(self.waveform) {
            *pair = [byte >> 4, byte & 15];
        }
        out
    }

    /// Writes the zero byte that ends the packets, and the tail's 29 bytes.
    pub fn encode(&self) -> Vec<u8> {
        let mut writer = Writer::new();
        writer.u8(0).u32(self.duration_millis).u8(self.loudness);
        writer.bytes(&self.waveform);
        writer.into_bytes()
    }

    fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(bytes);
        Ok(Self { duration_millis: reader.u32()?, loudness: reader.u8()?, waveform: reader.array()? })
    }
}

/// Writes one packet, given without its TOC byte (P4.6); `None` if it is longer than 1 274 bytes.
pub fn encode_packet(packet: &[u8]) -> Option<Vec<u8>> {
    let mut writer = Writer::new();
    match packet.len() {
        n if n <= SHORT_PACKET_BYTES_MAX => writer.u8(u8::try_from(n + 1).ok()?),
        n if n <= PACKET_BYTES_MAX => {
            let over = n - SHORT_PACKET_BYTES_MAX - 1;
            let (high, low) = (u8::try_from(over / 256).ok()?, u8::try_from(over % 256).ok()?);
            writer.u8(252 + high).u8(low)
        }
        _ => return None,
    };
    writer.bytes(packet);
    Some(writer.into_bytes())
}

/// Writes a text's content after the head (P4.8); `None` if it is longer than 4 000 bytes.
pub fn encode_text(text: &str) -> Option<Vec<u8>> {
    if text.len() > TEXT_BYTES_MAX {
        return None;
    }
    let mut writer = Writer::new();
    writer.u16(u16::try_from(text.len()).ok()?).bytes(text.as_bytes());
    Some(writer.into_bytes())
}

/// One thing read from a note's content.
#[derive(Clone, PartialEq, Eq)]
pub enum Part {
    /// The head: always first, its signature checked.
    Head(Head),
    /// One Opus packet without its TOC byte, which is the head's.
    Packet(Vec<u8>),
    /// The tail: the recording is whole.
    Tail(Tail),
    /// The text: it is whole.
    Text(String),
}

redacted!(Part);

/// What a head's signature is checked against.
#[derive(Clone, Copy)]
pub struct HeadCheck {
    /// The session's verify key.
    pub session: VerifyingKey,
    /// The parcel the head must be signed for.
    pub parcel: ParcelId,
    /// The mailbox the head must be signed for.
    pub mailbox: MailboxId,
}

redacted!(HeadCheck);

#[derive(Clone, Copy, PartialEq, Eq)]
enum Stage {
    Head,
    Packets,
    Tail,
    Text,
    /// Only padding follows. It is not looked at: a later version may put something there (P1.9).
    Done,
}

/// Reads opened content as it arrives.
pub struct ContentReader {
    check: HeadCheck,
    stage: Stage,
    held: Vec<u8>,
    /// How much of `held` has been read.
    read: usize,
    failed: Option<ContentError>,
}

redacted!(ContentReader);

/// Why nothing could be read now.
enum ReadError {
    More,
    Content(ContentError),
}

impl From<DecodeError> for ReadError {
    /// Lengths are computed before fields are read, so too few bytes means: not here yet.
    fn from(_: DecodeError) -> Self {
        Self::More
    }
}

impl From<ContentError> for ReadError {
    fn from(error: ContentError) -> Self {
        Self::Content(error)
    }
}

impl ContentReader {
    /// Starts at the front of a note's content.
    pub const fn new(check: HeadCheck) -> Self {
        Self { check, stage: Stage::Head, held: Vec::new(), read: 0, failed: None }
    }

    /// Takes the next bytes of content. Padding is not kept.
    pub fn push(&mut self, content: &[u8]) {
        if self.stage != Stage::Done && self.failed.is_none() {
            self.held.drain(..self.read);
            self.read = 0;
            self.held.extend_from_slice(content);
        }
    }

    /// Returns the next part, `None` until more content is there.
    ///
    /// # Errors
    /// [`ContentError`]; the same one again after the first.
    pub fn next_part(&mut self) -> Result<Option<Part>, ContentError> {
        if let Some(error) = self.failed {
            return Err(error);
        }
        match self.read_part() {
            Ok(part) => Ok(Some(part)),
            Err(ReadError::More) => Ok(None),
            Err(ReadError::Content(error)) => {
                self.failed = Some(error);
                self.held = Vec::new();
                self.read = 0;
                Err(error)
            }
        }
    }

    /// Returns whether the tail or the text has been read.
    pub fn is_whole(&self) -> bool {
        self.stage == Stage::Done
    }

    fn read_part(&mut self) -> Result<Part, ReadError> {
        let rest = self.held.get(self.read..).unwrap_or_default();
        let mut reader = Reader::new(rest);
        let (part, next) = match self.stage {
            Stage::Head => {
                let length = Head::length(rest).ok_or(ReadError::More)?;
                let head = Head::decode(reader.bytes(length)?, &self.check)?;
                let next = match head.kind {
                    NoteKind::Voice { .. } => Stage::Packets,
                    NoteKind::Text => Stage::Text,
                };
                (Part::Head(head), next)
            }
            Stage::Packets => match reader.u8()? {
                0 => {
                    self.read += 1;
                    self.stage = Stage::Tail;
                    return self.read_part();
                }
                first => {
                    let length = match first.checked_sub(252) {
                        None => usize::from(first - 1),
                        Some(high) => SHORT_PACKET_BYTES_MAX + 1 + usize::from(high) * 256 + usize::from(reader.u8()?),
                    };
                    (Part::Packet(reader.bytes(length)?.to_vec()), Stage::Packets)
                }
            },
            Stage::Tail => (Part::Tail(Tail::decode(reader.bytes(TAIL_BYTES)?)?), Stage::Done),
            Stage::Text => (Part::Text(Self::text(&mut reader)?), Stage::Done),
            Stage::Done => return Err(ReadError::More),
        };
        self.read += rest.len() - reader.rest().len();
        self.stage = next;
        if next == Stage::Done {
            self.held = Vec::new();
            self.read = 0;
        }
        Ok(part)
    }

    fn text(reader: &mut Reader<'_>) -> Result<String, ReadError> {
        let got = usize::from(reader.u16()?);
        if got > TEXT_BYTES_MAX {
            let expected = TEXT_BYTES_MAX;
            return Err(ContentError::TextTooLong { got, expected }.into());
        }
        let text = core::str::from_utf8(reader.bytes(got)?).map_err(|_| ContentError::TextEncoding)?;
        Ok(text.to_owned())
    }
}

#[cfg(test)]
#[path = "content_tests.rs"]
mod tests;
