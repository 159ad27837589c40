//! The seam between what a parcel looks like and the ciphers that close it.

use core::fmt;

use crate::ids::ParcelId;
use crate::keys::Secret;
use crate::sealing::{aead, hkdf};

/// What chunks, control boxes and pairing boxes are sealed with.
///
/// Programs pass [`RING`]. `Fake`, behind the feature `fake-sealing`, exists so that fuzzers reach what lies inside a
/// seal; a test holds that no program can link it. Hashes, signatures, session expansion, pairing and words do not go
/// through here: they are always real.
pub trait Sealing: fmt::Debug + Send + Sync {
    /// Derives a note's chunk key and the commitment that stands before its chunks (P4.2).
    fn commit(&self, parcel: &ParcelId, note_key: &Secret) -> (Secret, [u8; 32]);

    /// Derives the key of a box that seals one thing in one parcel (P4.10, P6.3).
    fn box_key(&self, parcel: &ParcelId, secret: &Secret, info: &[u8]) -> Secret;

    /// Seals `text` in place and appends 16 bytes of tag. A key and a nonce serve once together.
    fn seal(&self, key: &Secret, nonce: [u8; 12], text: &mut Vec<u8>);

    /// Opens what [`Sealing::seal`] made; `None` if anything about it is different.
    fn open(&self, key: &Secret, nonce: [u8; 12], sealed: &[u8]) -> Option<Vec<u8>>;
}

/// How the rest of the crate holds a provider.
pub type Provider = &'static dyn Sealing;

/// The provider every program uses: ChaCha20-Poly1305 and HKDF-SHA256 of ring.
pub static RING: Ring = Ring;

/// ChaCha20-Poly1305 and HKDF-SHA256 of ring.
#[derive(Debug, Clone, Copy)]
pub struct Ring;

impl Sealing for Ring {
    fn commit(&self, parcel: &ParcelId, note_key: &Secret) -> (Secret, [u8; 32]) {
        let out = hkdf::derive::<64>(&parcel.0, &note_key.0, b"zajil/1 note");
        let (mut key, mut commitment) = ([0; 32], [0; 32]);
        let (front, back) = out.split_at(32);
        key.copy_from_slice(front);
        commitment.copy_from_slice(back);
        (Secret(key), commitment)
    }

    fn box_key(&self, parcel: &ParcelId, secret: &Secret, info: &[u8]) -> Secret {
        hkdf::key(&parcel.0, &secret.0, info)
    }

    fn seal(&self, key: &Secret, nonce: [u8; 12], text: &mut Vec<u8>) {
        aead::seal(key, nonce, &[], text);
    }

    fn open(&self, key: &Secret, nonce: [u8; 12], sealed: &[u8]) -> Option<Vec<u8>> {
        aead::open(key, nonce, &[], sealed)
    }
}

/// A provider that hides nothing: the text stands as it is, and the "tag" is the nonce. Order and the last-chunk flag
/// are still checked, so the machines above behave as they do with [`Ring`].
#[cfg(any(test, feature = "fake-sealing"))]
#[derive(Clone, Copy)]
pub struct Fake;

/// What [`Fake`] prints as, in words that are in a program exactly if it can reach the fake.
#[cfg(any(test, feature = "fake-sealing"))]
pub const FAKE_SHOWN: &str = "fake-sealing-hides-nothing";

#[cfg(any(test, feature = "fake-sealing"))]
impl fmt::Debug for Fake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(FAKE_SHOWN)
    }
}

/// [`Fake`], as the rest of the crate holds it.
#[cfg(any(test, feature = "fake-sealing"))]
pub static FAKE: Fake = Fake;

#[cfg(any(test, feature = "fake-sealing"))]
impl Sealing for Fake {
    fn commit(&self, parcel: &ParcelId, note_key: &Secret) -> (Secret, [u8; 32]) {
        let mut commitment = [0; 32];
        let (front, back) = commitment.split_at_mut(16);
        front.copy_from_slice(&parcel.0);
        back.copy_from_slice(note_key.0.split_at(16).0);
        (note_key.clone(), commitment)
    }

    fn box_key(&self, _parcel: &ParcelId, secret: &Secret, _info: &[u8]) -> Secret {
        secret.clone()
    }

    fn seal(&self, _key: &Secret, nonce: [u8; 12], text: &mut Vec<u8>) {
        text.extend_from_slice(&nonce);
        text.extend_from_slice(&[0; 4]);
    }

    fn open(&self, _key: &Secret, nonce: [u8; 12], sealed: &[u8]) -> Option<Vec<u8>> {
        let (text, tag) = sealed.split_at(sealed.len().checked_sub(aead::TAG_BYTES)?);
        (tag.starts_with(&nonce)).then(|| text.to_vec())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sealing::chunks::{ChunkError, ChunkOpener, ChunkSealer};

    /// The machines above a provider must not notice which one they have, except that one of them keeps no secret.
    #[test]
    fn the_fake_keeps_the_order_of_chunks_and_hides_nothing() {
        let (key, id) = (Secret([1; 32]), ParcelId([2; 16]));
        let content: Vec<u8> = (0..3_000_u32).map(|n| n.to_le_bytes()[0]).collect();
        for (provider, hides) in [(&RING as Provider, true), (&FAKE as Provider, false)] {
            let mut sealer = ChunkSealer::new(provider, &key, &id);
            let commitment = *sealer.commitment();
            let mut body = sealer.push(&content);
            body.extend(sealer.finish());
            assert_eq!(body.len(), 3_000 + 3 * 16);
            assert_eq!(body.starts_with(&content[..1_008]), !hides);
            let open = |body: &[u8]| {
                let mut out = Vec::new();
                let mut opener = ChunkOpener::new(provider, &key, &id, &commitment).unwrap();
                opener.push(body, true, &mut out).map(|()| out)
            };
            assert_eq!(open(&body), Ok(content.clone()));
            let swapped = [&body[1_024..2_048], &body[..1_024], &body[2_048..]].concat();
            assert_eq!(open(&swapped), Err(ChunkError::Chunk { index: 0 }));
            assert_eq!(open(&body[..2_048]), Err(ChunkError::Chunk { index: 1 }));
            let other = ChunkOpener::new(provider, &Secret([3; 32]), &id, &commitment);
            assert!(matches!(other.err(), Some(ChunkError::Commitment)));
        }
    }
}
