use crate::codec::{DecodeError, Reader, Writer};
use crate::ids::{ParcelId, sha256};
use crate::keys::{Purpose, Signature, SigningKey};
use crate::limits::MARK_DISTANCE_BYTES_MAX;
use crate::parcel::Header;

/// Length of a mark, bytes (P3.5).
pub const MARK_BYTES: usize = 69;
/// Bit 0 of the flags: the last mark.
const LAST: u8 = 1;

/// A signed statement that the body up to `end` is the author's (P3.5). Not verified by itself: see [`MarkChain`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mark {
    /// Bytes of body it speaks for.
    pub end: u32,
    /// Whether it closes the parcel.
    pub last: bool,
    /// By the parcel key.
    pub signature: Signature,
}

impl Mark {
    /// Reads a mark.
    ///
    /// # Errors
    /// [`DecodeError::Short`].
    pub fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let end = reader.u32()?;
        let last = reader.u8()? & LAST != 0;
        Ok(Self { end, last, signature: Signature(reader.array()?) })
    }

    /// Writes the mark's 69 bytes.
    pub fn encode(&self, writer: &mut Writer) {
        writer.u32(self.end).u8(u8::from(self.last)).bytes(&self.signature.0);
    }
}

/// The hash chain that marks sign (P3.6), at one point of a body.
#[derive(Clone, PartialEq, Eq)]
pub struct MarkChain {
    id: ParcelId,
    hash: [u8; 32],
    end: u32,
}

impl MarkChain {
    /// Starts the chain of the parcel that `header` describes.
    pub fn new(header: &Header) -> Self {
        Self { id: header.id(), hash: sha256(&[b"zajil parcel", header.signed_bytes()]), end: 0 }
    }

    /// Returns the offset the chain stands at: the end of the newest mark, or 0.
    pub const fn end(&self) -> u32 {
        self.end
    }

    /// Returns the state to keep on disk, so that a chain can go on without its earlier bytes.
    pub const fn state(&self) -> ([u8; 32], u32) {
        (self.hash, self.end)
    }

    /// Takes up a chain from its kept state.
    pub fn resume(header: &Header, (hash, end): ([u8; 32], u32)) -> Self {
        Self { id: header.id(), hash, end }
    }

    /// Moves the chain over `bytes`, which the author has just sealed, and signs the mark at their end.
    pub fn sign(&mut self, parcel_key: &SigningKey, bytes: &[u8], last: bool) -> Mark {
        self.hash = sha256(&[&self.hash, bytes]);
        self.end = self.end.saturating_add(u32::try_from(bytes.len()).unwrap_or(u32::MAX));
        let signature =
            parcel_key.sign(Purpose::Mark, &[&self.id.0, &self.end.to_be_bytes(), &[u8::from(last)], &self.hash]);
        Mark { end: self.end, last, signature }
    }

    /// Checks `mark` over `bytes`, the body from the chain's end to the mark's; moves the chain there if it fits.
    pub fn accept(&mut self, header: &Header, bytes: &[u8], mark: &Mark) -> bool {
        let length = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
        if length == 0 || length > MARK_DISTANCE_BYTES_MAX || self.end.checked_add(length) != Some(mark.end) {
            return false;
        }
        let hash = sha256(&[&self.hash, bytes]);
        let parts: [&[u8]; 4] = [&self.id.0, &mark.end.to_be_bytes(), &[u8::from(mark.last)], &hash];
        let is_signed = header.parcel_key().verifies(Purpose::Mark, &parts, &mark.signature);
        let fits = is_signed || sabotaged!(MarkNotChecked);
        if fits {
            self.hash = hash;
            self.end = mark.end;
        }
        fits
    }
}

/// A sealed parcel ready to travel, as its author or a custodian holds it.
#[derive(Clone, PartialEq, Eq)]
pub struct SealedParcel {
    /// Its header.
    pub header: Header,
    /// Its body so far.
    pub body: Vec<u8>,
    /// The marks over the body, rising.
    pub marks: Vec<Mark>,
}

impl SealedParcel {
    /// Returns whether the last mark is there.
    pub fn is_closed(&self) -> bool {
        self.marks.last().is_some_and(|mark| mark.last)
    }

    /// Returns bytes on the wire: header, body and marks.
    pub fn wire_length(&self) -> usize {
        super::HEADER_BYTES + self.body.len() + self.marks.len() * MARK_BYTES
    }
}

redacted!(MarkChain, SealedParcel);
