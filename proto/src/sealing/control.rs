//! Control frames (P4.10): an Olm message in a box of one of two sizes, under the pair's outer key.

use crate::codec::{DecodeError, Reader, Writer};
use crate::ids::ParcelId;
use crate::keys::{Secret, SigningKey};
use crate::limits::{CONTENTS_LARGE_BYTES_MAX, CONTENTS_SMALL_BYTES_MAX};
use crate::parcel::{Class, SealedParcel};
use crate::random::Random;
use crate::sealing::aead::{ONCE, TAG_BYTES};
use crate::sealing::olm::OlmMessage;
use crate::sealing::outer::OuterKey;
use crate::sealing::provider::Provider;
use crate::sealing::seal::{Destination, close_parcel};

const INFO: &[u8] = b"zajil/1 control";
/// Number, type and length before the Olm message, bytes.
const PREFIX_BYTES: usize = 7;

/// The two sizes of a control frame. Everything else about it is inside.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
pub enum FrameSize {
    /// 512 bytes.
    Small,
    /// 4 096 bytes: pairing, renewal, and whatever does not fit the small one.
    Large,
}

impl FrameSize {
    /// Returns the length of the body in bytes.
    pub const fn body_bytes(self) -> usize {
        match self {
            Self::Small => 512,
            Self::Large => 4_096,
        }
    }

    /// Returns the longest row of contents in bytes (P5.1). Olm adds at most 173 bytes and fits then.
    pub const fn contents_bytes_max(self) -> usize {
        match self {
            Self::Small => CONTENTS_SMALL_BYTES_MAX,
            Self::Large => CONTENTS_LARGE_BYTES_MAX,
        }
    }

    /// Returns the smallest size for a row of contents of `bytes`, `None` if it fits neither.
    pub const fn for_contents(bytes: usize) -> Option<Self> {
        if bytes <= Self::Small.contents_bytes_max() {
            Some(Self::Small)
        } else if bytes <= Self::Large.contents_bytes_max() {
            Some(Self::Large)
        } else {
            None
        }
    }

    const fn of_body(bytes: usize) -> Option<Self> {
        match bytes {
            512 => Some(Self::Small),
            4_096 => Some(Self::Large),
            _ => None,
        }
    }
}

/// What a control frame holds.
#[derive(Clone, PartialEq, Eq)]
pub struct ControlFrame {
    /// Counts up from 0 per direction and pair.
    pub number: u32,
    /// The message.
    pub message: OlmMessage,
}

redacted!(ControlFrame);

/// Why a control frame is not sealed or opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ControlError {
    /// A body of neither size: the writer's fault.
    #[error("a control body of {got} bytes")]
    Length {
        /// Its length.
        got: usize,
    },
    /// None of the keys opens it: it is from somebody else with the right to write, under a key not here yet, or
    /// changed.
    #[error("no outer key opens this frame")]
    NoKey,
    /// What is in it cannot be read: the sender's fault.
    #[error(transparent)]
    Decode(#[from] DecodeError),
    /// The message does not fit its frame: the caller's fault.
    #[error("an Olm message of {got} bytes, at most {expected} in this frame")]
    TooLong {
        /// Its length.
        got: usize,
        /// The limit.
        expected: usize,
    },
}

/// Seals a control frame as a parcel. It is put again byte for byte until acknowledged, never sealed a second time
/// (P5.3).
///
/// # Errors
/// [`ControlError::TooLong`].
pub fn seal_control(
    sealing: Provider,
    random: &mut (impl Random + ?Sized),
    outer: &OuterKey,
    destination: Destination<'_>,
    frame: &ControlFrame,
    size: FrameSize,
) -> Result<SealedParcel, ControlError> {
    let mut writer = Writer::new();
    let message = &frame.message.bytes;
    let expected = size.body_bytes() - TAG_BYTES - PREFIX_BYTES;
    let too_long = ControlError::TooLong { got: message.len(), expected };
    if message.len() > expected {
        return Err(too_long);
    }
    let length = u16::try_from(message.len()).map_err(|_| too_long)?;
    writer.u32(frame.number).u8(frame.message.kind).u16(length).bytes(message);
    let parcel_key = SigningKey::draw(random);
    let parcel = ParcelId::of(&parcel_key.public());
    let body = seal_box(sealing, &parcel, &outer.0, INFO, writer.into_bytes(), size);
    Ok(close_parcel(Class::Control, destination, &parcel_key, body))
}

/// Opens a control frame with the first of `keys` that fits, and says which did, from 0.
///
/// # Errors
/// [`ControlError`].
pub fn open_control<'a>(
    sealing: Provider,
    keys: impl IntoIterator<Item = &'a OuterKey>,
    parcel: &ParcelId,
    body: &[u8],
) -> Result<(ControlFrame, usize), ControlError> {
    FrameSize::of_body(body.len()).ok_or(ControlError::Length { got: body.len() })?;
    let mut keys = keys.into_iter().enumerate();
    let (which, text) = keys
        .find_map(|(which, key)| Some((which, open_box(sealing, parcel, &key.0, INFO, body)?)))
        .ok_or(ControlError::NoKey)?;
    let mut reader = Reader::new(&text);
    let number = reader.u32()?;
    let kind = reader.u8()?;
    let length = reader.u16()?;
    let bytes = reader.bytes(length.into())?.to_vec();
    let message = OlmMessage { kind, bytes };
    Ok((ControlFrame { number, message }, which))
}

/// Seals `text`, filled up with zeros, as a body of `size`. The text fits: callers have checked.
pub(super) fn seal_box(
    sealing: Provider,
    parcel: &ParcelId,
    secret: &Secret,
    info: &[u8],
    mut text: Vec<u8>,
    size: FrameSize,
) -> Vec<u8> {
    text.resize(size.body_bytes() - TAG_BYTES, 0);
    sealing.seal(&sealing.box_key(parcel, secret, info), ONCE, &mut text);
    text
}

/// Opens what [`seal_box`] made.
pub(super) fn open_box(
    sealing: Provider,
    parcel: &ParcelId,
    secret: &Secret,
    info: &[u8],
    body: &[u8],
) -> Option<Vec<u8>> {
    sealing.open(&sealing.box_key(parcel, secret, info), ONCE, body)
}
