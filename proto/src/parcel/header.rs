use crate::codec::{DecodeError, Reader, Writer};
use crate::ids::{MailboxId, ParcelId, ReadTag, RelayHash};
use crate::keys::{Purpose, Signature, SigningKey, VerifyingKey};
use crate::limits::PARCEL_BYTES_MAX;
use crate::time::{Age, Lifetime};

/// Length of a header, bytes (P3.1).
pub const HEADER_BYTES: usize = 152;
/// Length of its signed part, bytes.
const SIGNED_BYTES: usize = 88;
/// The version this crate speaks.
const VERSION: u8 = 1;

/// What kind of thing a parcel carries (P3.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Class {
    /// Sessions, receipts, grants, pairing.
    Control,
    /// A written note.
    Text,
    /// A voice note.
    Voice,
}

impl Class {
    /// Returns the byte on the wire.
    pub const fn code(self) -> u8 {
        match self {
            Self::Control => 1,
            Self::Text => 2,
            Self::Voice => 3,
        }
    }

    fn from_code(code: u8) -> Result<Self, DecodeError> {
        match code {
            1 => Ok(Self::Control),
            2 => Ok(Self::Text),
            3 => Ok(Self::Voice),
            got => Err(DecodeError::Range { field: "class", got: got.into() }),
        }
    }
}

/// Why a header is refused. The fault is the writer's, or somebody's on the way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum HeaderError {
    /// It cannot be read.
    #[error(transparent)]
    Decode(#[from] DecodeError),
    /// Its signature is not by its write key.
    #[error("the header's signature does not fit")]
    Signature,
}

/// The fixed, signed description of a parcel (P3.1). A value of this type has a signature that fits.
#[derive(Clone, PartialEq, Eq)]
pub struct Header {
    bytes: [u8; HEADER_BYTES],
    class: Class,
    write_key: VerifyingKey,
    read_tag: ReadTag,
    parcel_key: VerifyingKey,
    lifetime: Lifetime,
    sealed_length: u32,
}

impl Header {
    /// Makes and signs a header. `sealed_length` 0 leaves the parcel open; more than [`PARCEL_BYTES_MAX`] is cut to it.
    pub fn sign(
        class: Class,
        write_key: &SigningKey,
        read_tag: ReadTag,
        parcel_key: VerifyingKey,
        lifetime: Lifetime,
        sealed_length: u32,
    ) -> Self {
        let sealed_length = sealed_length.min(PARCEL_BYTES_MAX);
        let mut writer = Writer::new();
        writer.u8(VERSION).u8(class.code()).bytes(write_key.public().as_bytes()).bytes(&read_tag.0);
        writer.bytes(parcel_key.as_bytes()).u16(lifetime.hours()).u32(sealed_length);
        let signature = write_key.sign(Purpose::Header, &[writer.as_bytes()]);
        let mut bytes = [0; HEADER_BYTES];
        let (signed, rest) = bytes.split_at_mut(SIGNED_BYTES);
        signed.copy_from_slice(writer.as_bytes());
        rest.copy_from_slice(&signature.0);
        Self { bytes, class, write_key: write_key.public(), read_tag, parcel_key, lifetime, sealed_length }
    }

    /// Reads a header and checks its signature.
    ///
    /// # Errors
    /// [`HeaderError`].
    pub fn verify(bytes: &[u8; HEADER_BYTES]) -> Result<Self, HeaderError> {
        let header = Self::trusted(bytes)?;
        let mut reader = Reader::new(bytes);
        let signed = reader.bytes(SIGNED_BYTES)?;
        let signature = Signature(reader.array()?);
        if header.write_key.verifies(Purpose::Header, &[signed], &signature) || sabotaged!(HeaderNotChecked) {
            Ok(header)
        } else {
            Err(HeaderError::Signature)
        }
    }

    /// Reads a header whose signature was checked before, as a store does with its own rows.
    ///
    /// # Errors
    /// [`DecodeError`].
    pub fn trusted(bytes: &[u8; HEADER_BYTES]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(bytes);
        let version = reader.u8()?;
        if version != VERSION {
            return Err(DecodeError::Range { field: "header version", got: version.into() });
        }
        let class = Class::from_code(reader.u8()?)?;
        let write_key = VerifyingKey(reader.array()?);
        let read_tag = ReadTag(reader.array()?);
        let parcel_key = VerifyingKey(reader.array()?);
        let hours = reader.u16()?;
        let lifetime =
            Lifetime::from_hours(hours).ok_or(DecodeError::Range { field: "lifetime", got: hours.into() })?;
        let sealed_length = reader.u32()?;
        if sealed_length > PARCEL_BYTES_MAX {
            return Err(DecodeError::Range { field: "sealed length", got: sealed_length.into() });
        }
        Ok(Self { bytes: *bytes, class, write_key, read_tag, parcel_key, lifetime, sealed_length })
    }

    /// Returns the 152 bytes.
    pub const fn as_bytes(&self) -> &[u8; HEADER_BYTES] {
        &self.bytes
    }

    /// Returns the signed part, from which the chain of marks starts (P3.6).
    pub(super) fn signed_bytes(&self) -> &[u8] {
        self.bytes.split_at(SIGNED_BYTES).0
    }

    /// Returns the class.
    pub const fn class(&self) -> Class {
        self.class
    }

    /// Returns the mailbox this parcel is for.
    pub fn mailbox(&self) -> MailboxId {
        MailboxId::of(&self.write_key, &self.read_tag)
    }

    /// Returns the parcel's id.
    pub fn id(&self) -> ParcelId {
        ParcelId::of(&self.parcel_key)
    }

    /// Returns the key that governs append, close and withdraw.
    pub const fn parcel_key(&self) -> &VerifyingKey {
        &self.parcel_key
    }

    /// Returns the mailbox's write key.
    pub const fn write_key(&self) -> &VerifyingKey {
        &self.write_key
    }

    /// Returns the mailbox's read tag.
    pub const fn read_tag(&self) -> &ReadTag {
        &self.read_tag
    }

    /// Returns how long the parcel may wait.
    pub const fn lifetime(&self) -> Lifetime {
        self.lifetime
    }

    /// Returns the length of the body in bytes, `None` while the parcel is open.
    pub const fn sealed_length(&self) -> Option<u32> {
        if self.sealed_length == 0 { None } else { Some(self.sealed_length) }
    }
}

impl core::fmt::Debug for Header {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Header").field("class", &self.class).field("lifetime", &self.lifetime).finish_non_exhaustive()
    }
}

/// What travels beside a header, mutable and unsigned (P3.4).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Travel {
    /// The mailbox's home; [`RelayHash::HERE`] for the relay that holds it.
    pub home: Home,
    /// Age so far.
    pub age: Age,
}

/// The home relay a parcel is on its way to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Home(pub RelayHash);

impl Default for Home {
    fn default() -> Self {
        Self(RelayHash::HERE)
    }
}
