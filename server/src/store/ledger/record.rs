//! The rows of a ledger as bytes. They are sealed below this; here they are only packed.

use std::collections::BTreeMap;

use zajil_proto::codec::{DecodeError, Reader, Writer};
use zajil_proto::ids::{MailboxId, ReadTag, RelayHash, SlotId};
use zajil_proto::limits::HOMES_MAX;
use zajil_proto::parcel::{Header, Home, Mark};
use zajil_proto::sabotaged;
use zajil_proto::wire::{Observation, Precision, Word};

use super::StoreError;

const BEGIN: u8 = 1;
const SEGMENT: u8 = 2;
const MAILBOX: u8 = 1;
const SLOT: u8 = 2;

/// A row of the parcels' log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum ParcelRow {
    /// A parcel begins.
    Begin {
        header: Header,
        home: Home,
        /// Step at which it goes.
        expires: u32,
    },
    /// Bytes and marks were appended to the parcel that began in `begin`.
    Segment(SegmentRow),
}

/// Bytes and marks appended to a parcel. The bytes themselves are the row's body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct SegmentRow {
    /// Row in which the parcel began.
    pub(super) begin: i64,
    /// Offset of the first byte.
    pub(super) start: u32,
    /// How many bytes.
    pub(super) length: u32,
    /// Marks that came with them; they may speak for earlier bytes.
    pub(super) marks: Vec<Mark>,
    /// The chain after the newest mark; kept only where there is one.
    pub(super) chain: [u8; 32],
}

impl ParcelRow {
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut writer = Writer::new();
        match self {
            Self::Begin { header, home, expires } => {
                writer.u8(BEGIN).bytes(header.as_bytes()).bytes(&home.0.0).u32(*expires);
            }
            Self::Segment(segment) => {
                writer.u8(SEGMENT).bytes(&segment.begin.to_be_bytes());
                writer.u32(segment.start).u32(segment.length);
                writer.u16(u16::try_from(segment.marks.len()).unwrap_or(u16::MAX));
                for mark in &segment.marks {
                    mark.encode(&mut writer);
                }
                if !segment.marks.is_empty() {
                    writer.bytes(&segment.chain);
                }
            }
        }
        writer.into_bytes()
    }

    pub(super) fn decode(bytes: &[u8]) -> Result<Self, StoreError> {
        whole(bytes, "a parcel's row", |reader| match reader.u8()? {
            BEGIN => Ok(Self::Begin {
                header: Header::trusted(&reader.array()?)?,
                home: Home(RelayHash(reader.array()?)),
                expires: reader.u32()?,
            }),
            SEGMENT => {
                let begin = i64::from_be_bytes(reader.array()?);
                let (start, length, count) = (reader.u32()?, reader.u32()?, reader.u16()?);
                let marks = (0..count).map(|_| Mark::decode(reader)).collect::<Result<Vec<_>, _>>()?;
                let chain = if marks.is_empty() { [0; 32] } else { reader.array()? };
                Ok(Self::Segment(SegmentRow { begin, start, length, marks, chain }))
            }
            got => Err(DecodeError::Range { field: "kind of row", got: got.into() }),
        })
    }
}

/// What is kept of a mailbox.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct MailboxRow {
    pub(super) id: MailboxId,
    pub(super) read_tag: ReadTag,
    pub(super) audience: bool,
    pub(super) parcels_max: Option<u16>,
    pub(super) bytes_max: Option<u32>,
    pub(super) homes: Vec<RelayHash>,
    /// Period in which it was last used.
    pub(super) period: u32,
    pub(super) validity: Validity,
}

/// Until when a mailbox is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Validity {
    /// Until it is dropped or idle.
    Lasting,
    /// Until this step, unless something is stored before.
    Until(u32),
    /// It is over, and says so until this step.
    Over(u32),
}

/// What is kept of a slot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct SlotRow {
    pub(super) id: SlotId,
    pub(super) read_tag: ReadTag,
    pub(super) precision: Precision,
    pub(super) homes: Vec<RelayHash>,
    /// Period in which it was last used.
    pub(super) period: u32,
    pub(super) word: Option<Word>,
    /// With the version even where nothing of it may be told: once for each, its owner's own arrival moves the bucket.
    pub(super) observation: Observation,
}

/// A row of the mailboxes and slots.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(clippy::large_enum_variant, reason = "one at a time, while a row is packed or unpacked")]
pub(super) enum ScopeRow {
    Mailbox(MailboxRow),
    Slot(SlotRow),
}

impl MailboxRow {
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut writer = Writer::new();
        writer.u8(MAILBOX).bytes(&self.id.0).bytes(&self.read_tag.0);
        writer.u8(u8::from(self.audience));
        // Zero is no limit of its own: it is how "as the relay allows" is written.
        writer.u16(self.parcels_max.unwrap_or(0)).u32(self.bytes_max.unwrap_or(0));
        encode_homes(&mut writer, &self.homes);
        let (kind, step) = match self.validity {
            Validity::Lasting => (0, 0),
            Validity::Until(step) => (1, step),
            Validity::Over(step) => (2, step),
        };
        writer.u32(self.period).u8(kind).u32(step);
        writer.into_bytes()
    }
}

impl SlotRow {
    /// Takes an observation if it is the first of its version, and as wide as the owner allows (P7.5). Returns whether it did.
    pub(super) fn observe(&mut self, observation: Observation) -> bool {
        let (before, version) = (self.observation.version, observation.version);
        let is_taken = observation.width == self.precision
            && (version > before || (version == before && sabotaged!(SeenMovesOnRepeat)));
        if is_taken {
            self.observation = observation;
        }
        is_taken
    }

    pub(super) fn encode(&self) -> Vec<u8> {
        let mut writer = Writer::new();
        writer.u8(SLOT).bytes(&self.id.0).bytes(&self.read_tag.0);
        writer.u8(self.precision.hours());
        encode_homes(&mut writer, &self.homes);
        writer.u32(self.period);
        if let Some(word) = &self.word {
            word.encode(writer.u8(1));
        } else {
            writer.u8(0);
        }
        self.observation.encode(&mut writer);
        writer.into_bytes()
    }
}

impl ScopeRow {
    pub(super) fn decode(bytes: &[u8]) -> Result<Self, StoreError> {
        whole(bytes, "a mailbox's or slot's row", |reader| match reader.u8()? {
            MAILBOX => Ok(Self::Mailbox(MailboxRow {
                id: MailboxId(reader.array()?),
                read_tag: ReadTag(reader.array()?),
                audience: reader.u8()? != 0,
                parcels_max: Some(reader.u16()?).filter(|limit| *limit != 0),
                bytes_max: Some(reader.u32()?).filter(|limit| *limit != 0),
                homes: decode_homes(reader)?,
                period: reader.u32()?,
                validity: match (reader.u8()?, reader.u32()?) {
                    (1, step) => Validity::Until(step),
                    (2, step) => Validity::Over(step),
                    _ => Validity::Lasting,
                },
            })),
            SLOT => Ok(Self::Slot(SlotRow {
                id: SlotId(reader.array()?),
                read_tag: ReadTag(reader.array()?),
                precision: Precision::from_hours(reader.u8()?)?,
                homes: decode_homes(reader)?,
                period: reader.u32()?,
                word: match reader.u8()? {
                    0 => None,
                    _ => Some(Word::decode(reader)?),
                },
                observation: Observation::decode(reader)?,
            })),
            got => Err(DecodeError::Range { field: "kind of row", got: got.into() }),
        })
    }
}

/// Quota that became free in a mailbox and returns at the next step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct FreedRow {
    pub(super) mailbox: MailboxId,
    pub(super) bytes: u64,
    pub(super) parcels: u32,
}

impl FreedRow {
    /// Counts it with what became free in the same step.
    pub(super) fn add_to(&self, freed: &mut BTreeMap<MailboxId, (u64, u32)>) {
        let (bytes, parcels) = freed.entry(self.mailbox).or_default();
        *bytes = bytes.saturating_add(self.bytes);
        *parcels = parcels.saturating_add(self.parcels);
    }

    pub(super) fn encode(&self) -> Vec<u8> {
        let mut writer = Writer::new();
        writer.bytes(&self.mailbox.0).u64(self.bytes).u32(self.parcels);
        writer.into_bytes()
    }

    pub(super) fn decode(bytes: &[u8]) -> Result<Self, StoreError> {
        whole(bytes, "a row of freed quota", |reader| {
            Ok(Self { mailbox: MailboxId(reader.array()?), bytes: reader.u64()?, parcels: reader.u32()? })
        })
    }
}

fn encode_homes(writer: &mut Writer, homes: &[RelayHash]) {
    writer.list(homes, |writer, home| {
        writer.bytes(&home.0);
    });
}

fn decode_homes(reader: &mut Reader<'_>) -> Result<Vec<RelayHash>, DecodeError> {
    reader.list("homes", HOMES_MAX, |reader| Ok(RelayHash(reader.array()?)))
}

/// Reads one value that must fill all of `bytes`.
pub(super) fn whole<T>(
    bytes: &[u8],
    what: &'static str,
    decode: impl FnOnce(&mut Reader<'_>) -> Result<T, DecodeError>,
) -> Result<T, StoreError> {
    let mut reader = Reader::new(bytes);
    let value = decode(&mut reader).map_err(|error| StoreError::corrupt(format!("{what}: {error}")))?;
    if reader.is_empty() { Ok(value) } else { Err(StoreError::corrupt(format!("{what} is too long"))) }
}
