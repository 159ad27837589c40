use crate::codec::{DecodeError, Reader, Writer};
use crate::ids::{ReadTag, SlotId};
use crate::keys::{Purpose, Signature, SigningKey, VerifyingKey};
use crate::limits::LINKS_REPORTED_MAX;
use crate::time::{Hour, Minute};
use crate::wire::Precision;

/// Length of the sealed part of a last word, bytes (P7.1).
pub const SEALED_WORD_BYTES: usize = 200;

/// A last word as it travels and lies at a relay (P7.1). Its signature is checked by [`Word::is_signed`].
#[derive(Clone, PartialEq, Eq)]
pub struct Word {
    /// The slot's write key.
    pub write_key: VerifyingKey,
    /// The slot's read tag.
    pub read_tag: ReadTag,
    /// Rises with every word of this slot.
    pub version: u64,
    /// What only readers with the word key can open.
    pub sealed: [u8; SEALED_WORD_BYTES],
    /// By the write key.
    pub signature: Signature,
}

impl Word {
    /// Signs a sealed word.
    pub fn sign(write_key: &SigningKey, read_tag: ReadTag, version: u64, sealed: [u8; SEALED_WORD_BYTES]) -> Self {
        let slot = SlotId::of(&write_key.public(), &read_tag);
        let signature = write_key.sign(Purpose::Word, &[&slot.0, &version.to_be_bytes(), &sealed]);
        Self { write_key: write_key.public(), read_tag, version, sealed, signature }
    }

    /// Returns the slot this word is for.
    pub fn slot(&self) -> SlotId {
        SlotId::of(&self.write_key, &self.read_tag)
    }

    /// Returns whether its signature fits.
    pub fn is_signed(&self) -> bool {
        let parts: [&[u8]; 3] = [&self.slot().0, &self.version.to_be_bytes(), &self.sealed];
        self.write_key.verifies(Purpose::Word, &parts, &self.signature)
    }

    /// Reads a word.
    ///
    /// # Errors
    /// [`DecodeError::Short`].
    pub fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            write_key: VerifyingKey(reader.array()?),
            read_tag: ReadTag(reader.array()?),
            version: reader.u64()?,
            sealed: reader.array()?,
            signature: Signature(reader.array()?),
        })
    }

    /// Writes the word's 320 bytes.
    pub fn encode(&self, writer: &mut Writer) {
        writer.bytes(&self.write_key.0).bytes(&self.read_tag.0).u64(self.version);
        writer.bytes(&self.sealed).bytes(&self.signature.0);
    }
}

/// What a relay states about a word's arrival (P7.4): no finer than the owner allows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Observation {
    /// Version of the word observed; 0 for none.
    pub version: u64,
    /// Start of the bucket.
    pub hour: Hour,
    /// Width of the bucket; off for none.
    pub width: Precision,
    /// By the relay key.
    pub signature: Signature,
}

impl Observation {
    /// "Nothing observed", or nothing that may be told.
    pub const NONE: Self = Self { version: 0, hour: Hour(0), width: Precision::Off, signature: Signature::NONE };

    /// Signs that `version` of the word in `slot` arrived in the bucket `now` lies in. If the precision is off, only the version is
    /// in it, for the relay itself: see [`Observation::told`].
    pub fn sign(relay: &SigningKey, slot: &SlotId, version: u64, now: Minute, precision: Precision) -> Self {
        let Some(hour) = precision.bucket(now) else {
            return Self { version, ..Self::NONE };
        };
        let signature = relay.sign(
            Purpose::Observation,
            &Self::signed(slot, version, hour, precision).each_ref().map(|part| part.as_slice()),
        );
        Self { version, hour, width: precision, signature }
    }

    /// Returns what may be told of it: nothing if the precision is off (P7.4).
    pub fn told(self) -> Self {
        if self.width == Precision::Off { Self::NONE } else { self }
    }

    /// Returns whether `relay` said this about `slot`.
    pub fn is_signed_by(&self, relay: &VerifyingKey, slot: &SlotId) -> bool {
        let parts = Self::signed(slot, self.version, self.hour, self.width);
        relay.verifies(Purpose::Observation, &parts.each_ref().map(|part| part.as_slice()), &self.signature)
    }

    fn signed(slot: &SlotId, version: u64, hour: Hour, width: Precision) -> [Vec<u8>; 4] {
        [slot.0.to_vec(), version.to_be_bytes().to_vec(), hour.0.to_be_bytes().to_vec(), vec![width.hours()]]
    }

    /// Reads an observation.
    ///
    /// # Errors
    /// [`DecodeError`].
    pub fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            version: reader.u64()?,
            hour: Hour(reader.u32()?),
            width: Precision::from_hours(reader.u8()?)?,
            signature: Signature(reader.array()?),
        })
    }

    /// Writes its 77 bytes.
    pub fn encode(&self, writer: &mut Writer) {
        writer.u64(self.version).u32(self.hour.0).u8(self.width.hours()).bytes(&self.signature.0);
    }
}

/// What a relay knows of the links on the way (P7.6).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct LinkReport {
    /// At most [`LINKS_REPORTED_MAX`] links.
    pub links: Vec<LinkStatus>,
}

/// One link of a report.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LinkStatus {
    /// The operator's number for it.
    pub link: u16,
    /// How it is.
    pub state: LinkState,
    /// Since when it is so.
    pub since: Hour,
    /// When that was last checked.
    pub checked: Minute,
}

/// State of a link.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LinkState {
    /// Not known, or a state of a later version.
    Unknown,
    /// Up.
    Up,
    /// Down.
    Down,
    /// Up and down in turn.
    ComesAndGoes,
}

impl LinkReport {
    /// Reads a report.
    ///
    /// # Errors
    /// [`DecodeError`].
    pub fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let links = reader.list("link report", LINKS_REPORTED_MAX, |reader| {
            let link = reader.u16()?;
            let state = match reader.u8()? {
                1 => LinkState::Up,
                2 => LinkState::Down,
                3 => LinkState::ComesAndGoes,
                _ => LinkState::Unknown,
            };
            Ok(LinkStatus { link, state, since: Hour(reader.u32()?), checked: Minute(reader.u32()?) })
        })?;
        Ok(Self { links })
    }

    /// Writes the report.
    pub fn encode(&self, writer: &mut Writer) {
        writer.list(&self.links, |writer, link| {
            let state = match link.state {
                LinkState::Unknown => 0,
                LinkState::Up => 1,
                LinkState::Down => 2,
                LinkState::ComesAndGoes => 3,
            };
            writer.u16(link.link).u8(state).u32(link.since.0).u32(link.checked.0);
        });
    }
}

redacted!(Word);
