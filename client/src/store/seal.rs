//! Sealing of one row: a record key of its own, wrapped under an era key.

use ring::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, Nonce, UnboundKey};
use zajil_proto::keys::Secret;
use zajil_proto::random::{self, Random};
use zeroize::{Zeroize, Zeroizing};

use super::{StoreError, Value};
use crate::limits::RECORD_KEY_BYTES_MAX;

/// Bytes that sealing adds (RFC 8439).
pub(super) const TAG_BYTES: usize = 16;
const NONCE_BYTES: usize = 12;
/// `nonce 12 ‖ sealed key 32 + 16`.
pub(super) const WRAPPED_KEY_BYTES: usize = NONCE_BYTES + 32 + TAG_BYTES;
/// `kind u8 ‖ part u16 ‖ body length u32 ‖ key length u8 ‖ key, zeros up to 64`: one length for all, so that none tells
/// a key.
const HEAD_BYTES: usize = 8 + RECORD_KEY_BYTES_MAX;

/// Number of an era, from 1. Records of one era are wrapped under one era key.
pub(super) type Era = u32;

/// What stands in the clear about where a row stands; bound into every seal of the row.
#[derive(Clone, Copy)]
pub(super) struct Place {
    pub(super) era: Era,
    pub(super) row: u32,
}

/// What a row is: sealed, readable without its body.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Head {
    /// Code of the kind; may be one that this version does not know.
    pub(super) kind: u8,
    /// 0 for what was put, then one for each append.
    pub(super) part: u16,
    pub(super) body_bytes: u32,
    pub(super) key: Vec<u8>,
}

/// A row as it stands in the database.
pub(super) struct SealedRow {
    pub(super) wrapped: [u8; WRAPPED_KEY_BYTES],
    pub(super) head: Vec<u8>,
    pub(super) body: Vec<u8>,
}

/// The three things sealed for a row. Each has its nonce: the record key is drawn anew for every write, and seals each
/// once.
#[derive(Clone, Copy)]
enum Purpose {
    Key,
    Head,
    Body,
}

impl Purpose {
    const fn label(self) -> &'static [u8; 20] {
        match self {
            Self::Key => b"zajil store 1 key\0\0\0",
            Self::Head => b"zajil store 1 head\0\0",
            Self::Body => b"zajil store 1 body\0\0",
        }
    }

    fn context(self, place: Place) -> Vec<u8> {
        [self.label().as_slice(), &place.era.to_be_bytes(), &place.row.to_be_bytes()].concat()
    }
}

const HEAD_NONCE: [u8; NONCE_BYTES] = [0; NONCE_BYTES];
const BODY_NONCE: [u8; NONCE_BYTES] = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1];

/// Seals a row under a fresh record key.
pub(super) fn seal_row(
    era_key: &Secret,
    place: Place,
    head: &Head,
    body: &[u8],
    random: &mut dyn Random,
) -> Result<SealedRow, StoreError> {
    let record_key = Secret::draw(random);
    let wrapped = wrap(era_key, &Purpose::Key.context(place), &record_key, random)?;
    let head = seal(&record_key, HEAD_NONCE, &Purpose::Head.context(place), &head.encode()?)?;
    let body = seal(&record_key, BODY_NONCE, &Purpose::Body.context(place), body)?;
    Ok(SealedRow { wrapped, head, body })
}

/// Opens the record key of a row.
pub(super) fn open_key(
    era_key: &Secret,
    place: Place,
    wrapped: &[u8; WRAPPED_KEY_BYTES],
) -> Result<Secret, StoreError> {
    unwrap(era_key, &Purpose::Key.context(place), wrapped).ok_or(StoreError::Corrupt { what: "the key of a record" })
}

/// Opens what a row is.
pub(super) fn open_head(record_key: &Secret, place: Place, sealed: &[u8]) -> Result<Head, StoreError> {
    let damaged = StoreError::Corrupt { what: "the head of a record" };
    let plain = open(record_key, HEAD_NONCE, &Purpose::Head.context(place), sealed).ok_or_else(|| damaged.clone())?;
    Head::decode(&plain).ok_or(damaged)
}

/// Opens the body of a row.
pub(super) fn open_body(record_key: &Secret, place: Place, sealed: &[u8]) -> Result<Value, StoreError> {
    let plain = open(record_key, BODY_NONCE, &Purpose::Body.context(place), sealed);
    plain.ok_or(StoreError::Corrupt { what: "the body of a record" })
}

impl Head {
    fn encode(&self) -> Result<Zeroizing<Vec<u8>>, StoreError> {
        let got = self.key.len();
        let limit = RECORD_KEY_BYTES_MAX;
        let too_large = StoreError::TooLarge { what: "the key of a record", got, limit };
        let key_bytes = u8::try_from(got).map_err(|_| too_large)?;
        let mut plain = Zeroizing::new(Vec::with_capacity(HEAD_BYTES));
        plain.push(self.kind);
        plain.extend_from_slice(&self.part.to_be_bytes());
        plain.extend_from_slice(&self.body_bytes.to_be_bytes());
        plain.push(key_bytes);
        plain.extend_from_slice(&self.key);
        plain.resize(HEAD_BYTES, 0);
        Ok(plain)
    }

    fn decode(plain: &[u8]) -> Option<Self> {
        let plain: &[u8; HEAD_BYTES] = plain.try_into().ok()?;
        let (&kind, rest) = plain.split_first()?;
        let (&part, rest) = rest.split_first_chunk()?;
        let (&body_bytes, rest) = rest.split_first_chunk()?;
        let (&key_bytes, rest) = rest.split_first()?;
        let key = rest.get(..usize::from(key_bytes))?.to_vec();
        Some(Self { kind, part: u16::from_be_bytes(part), body_bytes: u32::from_be_bytes(body_bytes), key })
    }
}

/// Seals a key under a key, with a nonce by chance: at 2^28 wraps under one key two nonces agree with probability
/// 2^-41.
pub(super) fn wrap(
    under: &Secret,
    context: &[u8],
    key: &Secret,
    random: &mut dyn Random,
) -> Result<[u8; WRAPPED_KEY_BYTES], StoreError> {
    let nonce: [u8; NONCE_BYTES] = random::bytes(random);
    let sealed = seal(under, nonce, context, &key.0)?;
    let mut wrapped = [0; WRAPPED_KEY_BYTES];
    for (to, from) in wrapped.iter_mut().zip(nonce.iter().chain(&sealed)) {
        *to = *from;
    }
    Ok(wrapped)
}

/// Opens a wrapped key; `None` if it was not wrapped under this key in this context.
pub(super) fn unwrap(under: &Secret, context: &[u8], wrapped: &[u8; WRAPPED_KEY_BYTES]) -> Option<Secret> {
    let (&nonce, sealed) = wrapped.split_first_chunk()?;
    let plain = open(under, nonce, context, sealed)?;
    let mut key = <[u8; 32]>::try_from(plain.as_slice()).ok()?;
    let secret = Secret(key);
    key.zeroize();
    Some(secret)
}

fn cipher(key: &Secret) -> Option<LessSafeKey> {
    let key = UnboundKey::new(&CHACHA20_POLY1305, &key.0).ok()?;
    Some(LessSafeKey::new(key))
}

fn seal(key: &Secret, nonce: [u8; NONCE_BYTES], context: &[u8], plain: &[u8]) -> Result<Vec<u8>, StoreError> {
    // ring refuses only a key of a wrong length, and texts above 256 GB. The capacity is reserved so that no copy of
    // the plain text is left behind in memory when the vector grows.
    let refused = || StoreError::Io { doing: "sealing a record", kind: std::io::ErrorKind::InvalidInput };
    let mut text = Vec::with_capacity(plain.len().saturating_add(TAG_BYTES));
    text.extend_from_slice(plain);
    let cipher = cipher(key).ok_or_else(refused)?;
    let nonce = Nonce::assume_unique_for_key(nonce);
    cipher.seal_in_place_append_tag(nonce, Aad::from(context), &mut text).map_err(|_| refused())?;
    Ok(text)
}

fn open(key: &Secret, nonce: [u8; NONCE_BYTES], context: &[u8], sealed: &[u8]) -> Option<Value> {
    let mut text = Zeroizing::new(sealed.to_vec());
    let nonce = Nonce::assume_unique_for_key(nonce);
    let length = cipher(key)?.open_in_place(nonce, Aad::from(context), &mut text).ok()?.len();
    text.truncate(length);
    Some(text)
}

#[cfg(test)]
mod published;
