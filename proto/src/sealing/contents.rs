//! What Olm messages carry (P5): a row of contents.

use zeroize::Zeroizing;

use crate::codec::{DecodeError, Reader, Writer};
use crate::ids::{MailboxId, NoteId, NoteTag, RosterHash, SlotId};
use crate::keys::{Secret, SigningKey, VerifyingKey};
use crate::limits::{RECEIPTS_MAX, SESSION_NOTES_MAX};
use crate::sealing::bundle::{Bundle, BundleError};
use crate::sealing::homes::Homes;
use crate::sealing::outer::{ENCAPSULATION_BYTES, Encapsulation, OuterError, X_WING_PUBLIC_BYTES, XWingPublic};
use crate::sealing::roster::RosterLink;
use crate::time::{Lifetime, Minute};
use crate::wire::Precision;

/// Why a row of contents is not written or read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ContentsError {
    /// It cannot be read: its author's fault.
    #[error(transparent)]
    Decode(#[from] DecodeError),
    /// A bundle in it is refused.
    #[error(transparent)]
    Bundle(#[from] BundleError),
    /// An X-Wing value in it is refused.
    #[error(transparent)]
    Outer(#[from] OuterError),
    /// It is longer than its frame takes: the caller's fault.
    #[error("contents of {got} bytes, at most {expected} in one frame")]
    TooLong {
        /// Their length.
        got: usize,
        /// The limit.
        expected: usize,
    },
}

/// One content (P5.1).
#[derive(Clone, PartialEq, Eq)]
pub enum Content {
    /// 1: keys for up to 32 notes.
    Session(SessionGrant),
    /// 2: which frames have come.
    Acknowledgement(Acknowledgement),
    /// 3: what became of notes.
    Receipts(Vec<Receipt>),
    /// 4: the inviter's nonce.
    PairingAnswer(Secret),
    /// 5: the right to ask for a last word.
    SlotGrant(Box<SlotGrant>),
    /// 6: that right is over.
    SlotRevoked(SlotId),
    /// 7: the session of a note that cannot be opened.
    SessionWanted(NoteTag),
    /// 8: where a mailbox lives from now on.
    Homes(MailboxId, Homes),
    /// 9: a renewed outer key; 4 096-byte frame.
    Renewal(u32, Encapsulation),
    /// 10: what to renew the outer key with; 4 096-byte frame.
    RenewalPrekey(u32, XWingPublic),
    /// 11: a place in an audience.
    AudienceGrant(Box<AudienceGrant>),
    /// 12: a change of a family's roster.
    RosterLink(RosterLink),
    /// 13: a further device of the sender; 4 096-byte frame.
    FurtherDevice(Box<Bundle>),
    /// 14: a note its sender has taken back.
    NoteWithdrawn(NoteId),
    /// 15: the digits were read and fit.
    DigitsConfirmed,
    /// 16: the newest word the sender knows of a slot.
    WordHead(WordHead),
    /// 17: the sender seals under this outer key.
    OuterKeyInUse(u32),
    /// 18: a prekey is wanted, to renew the outer key to this generation with.
    RenewalWanted(u32),
    /// 19: the sender's device was out of its owner's hands.
    OutOfHands(OutOfHands),
}

/// When a device was out of its owner's hands, as they say.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
pub struct OutOfHands {
    /// The last day of it, days since 1970-01-01 by the owner's calendar; no time finer than that is ever told.
    pub day: u16,
}

/// Keys for up to 32 notes (P4.9), as handed to one device.
#[derive(Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct SessionGrant {
    /// Expands into tags and note keys.
    pub seed: Secret,
    /// Checks heads.
    pub verify_key: VerifyingKey,
    /// Where the notes are put.
    pub mailbox: MailboxId,
    /// When the session began, by the sender's clock.
    pub first_minute: Minute,
    /// No note of it lives longer.
    #[serde(with = "lifetime_hours")]
    pub longest_lifetime: Lifetime,
    /// How many notes, 1 to 32.
    pub notes: u8,
}

mod lifetime_hours {
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    use crate::time::Lifetime;

    pub(super) fn serialize<S: Serializer>(lifetime: &Lifetime, serializer: S) -> Result<S::Ok, S::Error> {
        lifetime.hours().serialize(serializer)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Lifetime, D::Error> {
        let hours = u16::deserialize(deserializer)?;
        Lifetime::from_hours(hours).ok_or_else(|| serde::de::Error::custom("a lifetime of 1 to 2 160 hours"))
    }
}

/// Which control frames of the other direction have come (P5.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Acknowledgement {
    /// The lowest number not held yet.
    pub next: u32,
    /// Bit k: number `next + 1 + k` is held.
    pub bitmap: u32,
}

/// What became of a note.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum ReceiptState {
    /// Durable on their device.
    Delivered,
    /// Played to 90 %.
    Heard,
}

/// What became of one note.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Receipt {
    /// Which note.
    pub note: NoteId,
    /// What became of it.
    pub state: ReceiptState,
}

/// The right to ask for a last word (P7).
#[derive(Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct SlotGrant {
    /// The slot's write key: checks words.
    pub write_key: VerifyingKey,
    /// The slot's read key: proves the right to ask relays.
    pub read_key: SigningKey,
    /// Opens words.
    pub word_key: Secret,
    /// How finely relays may tell when a word came.
    #[serde(with = "precision_hours")]
    pub precision: Precision,
    /// Where the slot lives.
    pub homes: Homes,
}

mod precision_hours {
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    use crate::wire::Precision;

    pub(super) fn serialize<S: Serializer>(precision: &Precision, serializer: S) -> Result<S::Ok, S::Error> {
        precision.hours().serialize(serializer)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Precision, D::Error> {
        Precision::from_hours(u8::deserialize(deserializer)?).map_err(serde::de::Error::custom)
    }
}

/// A place in an audience: reads and writes its mailbox.
#[derive(Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct AudienceGrant {
    /// Seed of the mailbox's write key.
    pub write_seed: Secret,
    /// Seed of its read key.
    pub read_seed: Secret,
    /// The roster it is for.
    pub roster: RosterHash,
    /// Where it lives.
    pub homes: Homes,
}

/// The newest word a device knows of a slot, told on so that a relay cannot show an older one unnoticed.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct WordHead {
    /// Which slot.
    pub slot: SlotId,
    /// The word's version.
    pub version: u64,
    /// First 8 bytes of [`crate::sealing::word::chain_hash`] of the word.
    pub hash: [u8; 8],
}

redacted!(Content, SessionGrant, Receipt, SlotGrant, AudienceGrant, WordHead, OutOfHands);

/// Writes a row of contents. It holds what its contents hold: keep it only in records that the store seals.
///
/// # Errors
/// [`ContentsError::TooLong`] above `limit` bytes: [`crate::sealing::control::FrameSize::contents_bytes_max`].
pub fn encode_contents(contents: &[Content], limit: usize) -> Result<Vec<u8>, ContentsError> {
    let mut writer = Writer::new();
    for content in contents {
        let (kind, value) = content.encode();
        let length = u64::try_from(value.len()).unwrap_or(u64::MAX);
        writer.varint(kind).varint(length).bytes(&value);
    }
    let out = writer.into_bytes();
    if out.len() > limit {
        return Err(ContentsError::TooLong { got: out.len(), expected: limit });
    }
    Ok(out)
}

/// Reads a row of contents to its end; unknown kinds are skipped.
///
/// # Errors
/// [`ContentsError`] if a content of a known kind cannot be read.
pub fn decode_contents(bytes: &[u8]) -> Result<Vec<Content>, ContentsError> {
    let mut reader = Reader::new(bytes);
    let mut out = Vec::new();
    while !reader.is_empty() {
        let kind = reader.varint()?;
        let length = usize::try_from(reader.varint()?).unwrap_or(usize::MAX);
        out.extend(Content::decode(kind, reader.bytes(length)?)?);
    }
    Ok(out)
}

impl Content {
    fn encode(&self) -> (u64, Zeroizing<Vec<u8>>) {
        let mut w = Writer::new();
        let kind = match self {
            Self::Session(grant) => {
                w.bytes(&grant.seed.0).bytes(&grant.verify_key.0).bytes(&grant.mailbox.0);
                w.u32(grant.first_minute.0).u16(grant.longest_lifetime.hours()).u8(grant.notes);
                1
            }
            Self::Acknowledgement(acknowledgement) => {
                w.u32(acknowledgement.next).u32(acknowledgement.bitmap);
                2
            }
            Self::Receipts(receipts) => {
                w.list(receipts, |w, receipt| {
                    let state = match receipt.state {
                        ReceiptState::Delivered => 1,
                        ReceiptState::Heard => 2,
                    };
                    w.bytes(&receipt.note.0).u8(state);
                });
                3
            }
            Self::PairingAnswer(nonce) => (w.bytes(&nonce.0), 4).1,
            Self::SlotGrant(grant) => {
                w.bytes(&grant.write_key.0).bytes(&grant.read_key.seed().0).bytes(&grant.word_key.0);
                w.u8(grant.precision.hours());
                grant.homes.encode(&mut w);
                5
            }
            Self::SlotRevoked(slot) => (w.bytes(&slot.0), 6).1,
            Self::SessionWanted(tag) => (w.bytes(&tag.0), 7).1,
            Self::Homes(mailbox, homes) => {
                w.bytes(&mailbox.0);
                homes.encode(&mut w);
                8
            }
            Self::Renewal(generation, encapsulation) => {
                w.u32(*generation).bytes(encapsulation.as_bytes());
                9
            }
            Self::RenewalPrekey(generation, key) => (w.u32(*generation).bytes(key.as_bytes()), 10).1,
            Self::AudienceGrant(grant) => {
                w.bytes(&grant.write_seed.0).bytes(&grant.read_seed.0).bytes(&grant.roster.0);
                grant.homes.encode(&mut w);
                11
            }
            Self::RosterLink(link) => (link.encode(&mut w), 12).1,
            Self::FurtherDevice(bundle) => (w.bytes(bundle.as_bytes()), 13).1,
            Self::NoteWithdrawn(note) => (w.bytes(&note.0), 14).1,
            Self::DigitsConfirmed => 15,
            Self::WordHead(head) => (w.bytes(&head.slot.0).u64(head.version).bytes(&head.hash), 16).1,
            Self::OuterKeyInUse(generation) => (w.u32(*generation), 17).1,
            Self::RenewalWanted(generation) => (w.u32(*generation), 18).1,
            Self::OutOfHands(told) => (w.u16(told.day), 19).1,
        };
        (kind, Zeroizing::new(w.into_bytes()))
    }

    /// Reads one value; `None` for a kind nobody knows yet.
    fn decode(kind: u64, value: &[u8]) -> Result<Option<Self>, ContentsError> {
        let r = &mut Reader::new(value);
        Ok(Some(match kind {
            1 => Self::Session(SessionGrant::decode(r)?),
            2 => Self::Acknowledgement(Acknowledgement { next: r.u32()?, bitmap: r.u32()? }),
            3 => Self::Receipts(r.list("receipts", RECEIPTS_MAX, Receipt::decode)?.into_iter().flatten().collect()),
            4 => Self::PairingAnswer(Secret(r.array()?)),
            5 => Self::SlotGrant(Box::new(SlotGrant {
                write_key: VerifyingKey(r.array()?),
                read_key: SigningKey::from_seed(&Secret(r.array()?)),
                word_key: Secret(r.array()?),
                precision: Precision::from_hours(r.u8()?)?,
                homes: Homes::decode(r)?,
            })),
            6 => Self::SlotRevoked(SlotId(r.array()?)),
            7 => Self::SessionWanted(NoteTag(r.array()?)),
            8 => Self::Homes(MailboxId(r.array()?), Homes::decode(r)?),
            9 => Self::Renewal(r.u32()?, Encapsulation::from_bytes(r.bytes(ENCAPSULATION_BYTES)?)?),
            10 => Self::RenewalPrekey(r.u32()?, XWingPublic::from_bytes(r.bytes(X_WING_PUBLIC_BYTES)?)?),
            11 => Self::AudienceGrant(Box::new(AudienceGrant {
                write_seed: Secret(r.array()?),
                read_seed: Secret(r.array()?),
                roster: RosterHash(r.array()?),
                homes: Homes::decode(r)?,
            })),
            12 => Self::RosterLink(RosterLink::decode(r)?),
            13 => Self::FurtherDevice(Box::new(Bundle::verify(r.rest())?)),
            14 => Self::NoteWithdrawn(NoteId(r.array()?)),
            15 => Self::DigitsConfirmed,
            16 => Self::WordHead(WordHead { slot: SlotId(r.array()?), version: r.u64()?, hash: r.array()? }),
            17 => Self::OuterKeyInUse(r.u32()?),
            18 => Self::RenewalWanted(r.u32()?),
            19 => Self::OutOfHands(OutOfHands { day: r.u16()? }),
            _ => return Ok(None),
        }))
    }
}

impl SessionGrant {
    fn decode(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let (seed, verify_key, mailbox) = (Secret(r.array()?), VerifyingKey(r.array()?), MailboxId(r.array()?));
        let (first_minute, hours, notes) = (Minute(r.u32()?), r.u16()?, r.u8()?);
        if notes == 0 || notes > SESSION_NOTES_MAX {
            return Err(DecodeError::Range { field: "notes of a session", got: notes.into() });
        }
        Ok(Self {
            seed,
            verify_key,
            mailbox,
            first_minute,
            longest_lifetime: Lifetime::from_hours(hours)
                .ok_or(DecodeError::Range { field: "longest lifetime", got: hours.into() })?,
            notes,
        })
    }
}

impl Receipt {
    /// Reads a receipt; `None` for a state of a later version.
    fn decode(r: &mut Reader<'_>) -> Result<Option<Self>, DecodeError> {
        let note = NoteId(r.array()?);
        let state = match r.u8()? {
            1 => ReceiptState::Delivered,
            2 => ReceiptState::Heard,
            _ => return Ok(None),
        };
        Ok(Some(Self { note, state }))
    }
}

impl Acknowledgement {
    /// Returns whether frame `number` is acknowledged.
    pub const fn holds(self, number: u32) -> bool {
        if number < self.next {
            return true;
        }
        match number.checked_sub(self.next) {
            Some(ahead) if ahead >= 1 && ahead <= 32 => self.bitmap >> (ahead - 1) & 1 == 1,
            _ => false,
        }
    }
}
