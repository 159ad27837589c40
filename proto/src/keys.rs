//! Ed25519 keys (RFC 8032) with the purpose of every signature inside it (P1.5).

use core::fmt;
use std::sync::{Arc, OnceLock};

use ring::signature::{ED25519, Ed25519KeyPair, KeyPair, UnparsedPublicKey};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use zeroize::{Zeroize, ZeroizeOnDrop};

use crate::random::{self, Random};

/// A 32-byte secret from which keys are made. Wiped when dropped; does not print.
///
/// It can be serialised, because a device keeps it: only into a record that the device's store seals.
#[derive(Clone, Zeroize, ZeroizeOnDrop, PartialEq, Eq, Serialize, Deserialize)]
pub struct Secret(pub [u8; 32]);

impl Secret {
    /// Draws a fresh secret.
    pub fn draw(random: &mut (impl Random + ?Sized)) -> Self {
        Self(random::bytes(random))
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}

/// What a signature is for. It is inside what is signed, so that none can be used for another purpose.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Purpose {
    /// A parcel's header (P3.1).
    Header,
    /// A mark in a parcel's body (P3.5).
    Mark,
    /// A note's head, inside the seal (P4.5).
    Head,
    /// A device's bundle (P6.4).
    Bundle,
    /// A link of a family's roster (P5.2).
    Roster,
    /// A last word (P7.1).
    Word,
    /// Proof that a word comes from its owner's own connection (P8.14).
    WordLive,
    /// A relay's observation of a word (P7.4).
    Observation,
    /// Proof of a read key in one session (P8.8).
    Prove,
    /// A parcel's withdrawal by its author (P8.13).
    Withdraw,
}

impl Purpose {
    const fn label(self) -> &'static str {
        match self {
            Self::Header => "header",
            Self::Mark => "mark",
            Self::Head => "head",
            Self::Bundle => "bundle",
            Self::Roster => "roster",
            Self::Word => "word",
            Self::WordLive => "word live",
            Self::Observation => "observation",
            Self::Prove => "prove",
            Self::Withdraw => "withdraw",
        }
    }

    fn message(self, parts: &[&[u8]]) -> Vec<u8> {
        let mut message = Vec::with_capacity(160);
        message.extend_from_slice(b"zajil/1 ");
        message.extend_from_slice(self.label().as_bytes());
        message.push(0);
        for part in parts {
            message.extend_from_slice(part);
        }
        message
    }
}

/// An Ed25519 key that can sign. Does not print; its seed is wiped when dropped.
///
/// A key is made of its seed when it is first asked for, once for all copies: a device holds several keys per contact and
/// needs few of them between two openings, and making them all cost more than most else about opening it.
pub struct SigningKey {
    seed: Secret,
    made: Arc<OnceLock<Made>>,
}

/// What is computed from a seed.
struct Made {
    pair: Ed25519KeyPair,
    public: VerifyingKey,
}

impl SigningKey {
    /// Makes the key of a seed.
    pub fn from_seed(seed: &Secret) -> Self {
        Self { seed: seed.clone(), made: Arc::default() }
    }

    fn made(&self) -> &Made {
        self.made.get_or_init(|| {
            // INVARIANT: ring refuses a seed only for its length, and 32 bytes is that length.
            #[expect(clippy::expect_used, reason = "cannot fail for 32 bytes; see the invariant above")]
            let pair = Ed25519KeyPair::from_seed_unchecked(&self.seed.0).expect("32 bytes make an Ed25519 key");
            let mut public = [0; 32];
            public.copy_from_slice(pair.public_key().as_ref());
            Made { pair, public: VerifyingKey(public) }
        })
    }

    /// Draws a fresh key.
    pub fn draw(random: &mut (impl Random + ?Sized)) -> Self {
        Self::from_seed(&Secret::draw(random))
    }

    /// Returns the seed, to be stored or handed to another writer.
    pub const fn seed(&self) -> &Secret {
        &self.seed
    }

    /// Returns the public half.
    pub fn public(&self) -> VerifyingKey {
        self.made().public
    }

    /// Signs `parts` in a row for `purpose`.
    pub fn sign(&self, purpose: Purpose, parts: &[&[u8]]) -> Signature {
        let mut out = [0; 64];
        out.copy_from_slice(self.made().pair.sign(&purpose.message(parts)).as_ref());
        Signature(out)
    }
}

impl Clone for SigningKey {
    fn clone(&self) -> Self {
        Self { seed: self.seed.clone(), made: Arc::clone(&self.made) }
    }
}

impl PartialEq for SigningKey {
    /// Keys of the same seed are the same.
    fn eq(&self, other: &Self) -> bool {
        self.seed == other.seed
    }
}

impl Eq for SigningKey {}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SigningKey(..)")
    }
}

impl Serialize for SigningKey {
    /// Writes the seed.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.seed.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for SigningKey {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Self::from_seed(&Secret::deserialize(deserializer)?))
    }
}

/// An Ed25519 public key. It may be any 32 bytes; one that is no point verifies nothing. Does not print.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct VerifyingKey(pub [u8; 32]);

impl VerifyingKey {
    /// Returns the bytes.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// Returns whether `signature` is this key's over `parts` in a row for `purpose`.
    pub fn verifies(&self, purpose: Purpose, parts: &[&[u8]], signature: &Signature) -> bool {
        UnparsedPublicKey::new(&ED25519, &self.0).verify(&purpose.message(parts), &signature.0).is_ok()
    }
}

impl fmt::Debug for VerifyingKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("VerifyingKey(..)")
    }
}

/// An Ed25519 signature, not yet verified.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Signature(pub [u8; 64]);

impl Signature {
    /// Sixty-four zeros: "none here".
    pub const NONE: Self = Self([0; 64]);
}

impl fmt::Debug for Signature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Signature(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signature_for_one_purpose_does_not_serve_another() {
        let key = SigningKey::from_seed(&Secret([7; 32]));
        let signature = key.sign(Purpose::Header, &[b"abc"]);
        assert!(key.public().verifies(Purpose::Header, &[b"a", b"bc"], &signature));
        assert!(!key.public().verifies(Purpose::Mark, &[b"abc"], &signature));
        assert!(!key.public().verifies(Purpose::Header, &[b"abd"], &signature));
    }

    #[test]
    fn keys_and_secrets_never_print() {
        let key = SigningKey::from_seed(&Secret([7; 32]));
        let shown = format!("{key:?} {:?} {:?} {:?}", key.seed(), key.public(), Signature::NONE);
        assert_eq!(shown, "SigningKey(..) Secret(..) VerifyingKey(..) Signature(..)");
    }
}
