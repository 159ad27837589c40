//! Who a relay is: one Ed25519 key, shown in a minimal certificate and pinned by devices. No authority, no names, no
//! dates.

use core::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use core::time::Duration;

use ring::signature::{Ed25519KeyPair, KeyPair};
use rustls::client::Resumption;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer, ServerName, UnixTime};
use rustls::server::{ParsedCertificate, StoresServerSessions};
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::time_provider::TimeProvider;
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, ServerConfig, SignatureScheme};
use zajil_proto::keys::{SigningKey, VerifyingKey};
use zeroize::Zeroizing;

use crate::key_exchange::KeyExchange;
use crate::limits::SESSIONS_GIVEN;

/// What every QUIC server of the web says: nothing on the wire names us (P8.1).
const ALPN: &[u8] = b"h3";
/// The name in the certificate; it says nothing about anybody and nobody checks it.
const CERTIFICATE_NAME: &str = "localhost";
/// DER of an Ed25519 public key before its 32 bytes (RFC 8410 §4).
const PUBLIC_KEY_PREFIX: [u8; 12] = [0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00];
/// PKCS#8 of an Ed25519 seed before its 32 bytes (RFC 8410 §7).
const PRIVATE_KEY_PREFIX: [u8; 16] =
    [0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20];

/// A relay's certificate or TLS set-up could not be made. It cannot happen with the libraries this was tested with.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum IdentityError {
    /// The certificate could not be written.
    #[error("the relay's certificate could not be made")]
    Certificate(#[from] rcgen::Error),
    /// rustls did not take the key or its settings.
    #[error("TLS could not be set up")]
    Tls(#[from] rustls::Error),
    /// The provider of primitives lacks what QUIC needs for its first packets.
    #[error("TLS lacks the cipher suite that QUIC begins with")]
    Suite,
}

impl From<quinn::crypto::rustls::NoInitialCipherSuite> for IdentityError {
    fn from(_: quinn::crypto::rustls::NoInitialCipherSuite) -> Self {
        Self::Suite
    }
}

/// A relay's key with its certificate, ready to be shown. Does not print.
#[derive(Clone)]
pub struct RelayIdentity {
    public: VerifyingKey,
    certified: Arc<CertifiedKey>,
}

impl RelayIdentity {
    /// Makes the identity of a key. The same key gives the same certificate, byte for byte, on every machine and day.
    ///
    /// # Errors
    /// [`IdentityError`]; not seen with any 32-byte seed.
    pub fn new(key: &SigningKey) -> Result<Self, IdentityError> {
        let certificate = certificate(key)?;
        let seed = &key.seed().0;
        let der: Zeroizing<Vec<u8>> = Zeroizing::new([PRIVATE_KEY_PREFIX.as_slice(), seed].concat());
        let signer = rustls::crypto::ring::sign::any_eddsa_type(&PrivatePkcs8KeyDer::from(der.as_slice()))?;
        Ok(Self { public: key.public(), certified: Arc::new(CertifiedKey::new(vec![certificate], signer)) })
    }

    /// Returns the key that devices pin.
    pub const fn public(&self) -> VerifyingKey {
        self.public
    }

    /// Returns the certificate in DER, about 217 bytes.
    pub fn certificate(&self) -> &[u8] {
        self.certified.cert.first().map_or(&[], |certificate| certificate.as_ref())
    }

    /// Returns what a listener shows: TLS 1.3 only. Sessions are kept in memory, each good for one connection, because only those
    /// may bring early data that nobody can send again; `early` data is taken over QUIC.
    pub(crate) fn server_config(
        &self,
        sessions: Arc<dyn StoresServerSessions>,
        early: bool,
    ) -> Result<ServerConfig, IdentityError> {
        let mut config = ServerConfig::builder_with_details(provider(KeyExchange::Hybrid), Arc::new(NoDates))
            .with_protocol_versions(&[&rustls::version::TLS13])?
            .with_no_client_auth()
            .with_cert_resolver(Arc::new(SingleCertAndKey::from(CertifiedKey::clone(&self.certified))));
        config.alpn_protocols = vec![ALPN.to_vec()];
        config.send_tls13_tickets = SESSIONS_GIVEN;
        config.session_storage = sessions;
        // QUIC bounds early data by its own windows, and rustls takes no other number there.
        config.max_early_data_size = if early { u32::MAX } else { 0 };
        Ok(config)
    }
}

impl fmt::Debug for RelayIdentity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RelayIdentity(..)")
    }
}

/// The keys one relay may show: its present one and, while it changes, its next (architecture §7).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PinnedKeys {
    current: VerifyingKey,
    next: Option<VerifyingKey>,
}

impl PinnedKeys {
    /// Pins one key.
    pub const fn one(current: VerifyingKey) -> Self {
        Self { current, next: None }
    }

    /// Pins a key and the one that follows it.
    pub const fn with_next(current: VerifyingKey, next: VerifyingKey) -> Self {
        Self { current, next: Some(next) }
    }

    /// Returns whether `key` is one of them. Both sides are public: time tells nothing here.
    pub fn contains(&self, key: &VerifyingKey) -> bool {
        self.current == *key || self.next.as_ref() == Some(key)
    }
}

impl From<VerifyingKey> for PinnedKeys {
    fn from(key: VerifyingKey) -> Self {
        Self::one(key)
    }
}

/// Checks that whoever answers holds a pinned key, and remembers it if not: neither quinn nor rustls hands our error
/// back.
#[derive(Debug)]
pub(crate) struct PinVerifier {
    keys: PinnedKeys,
    provider: Arc<CryptoProvider>,
    wrong_keys_seen: AtomicU64,
}

impl PinVerifier {
    pub(crate) fn new(keys: PinnedKeys) -> Arc<Self> {
        Arc::new(Self { keys, provider: provider(KeyExchange::Hybrid), wrong_keys_seen: AtomicU64::new(0) })
    }

    /// Returns how often somebody answered who holds another key.
    pub(crate) fn wrong_keys_seen(&self) -> u64 {
        self.wrong_keys_seen.load(Ordering::Acquire)
    }
}

impl ServerCertVerifier for PinVerifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let key = shown_key(end_entity);
        // Another relay's chain is a wrong key too: a web server that answers in our relay's place shows one.
        if intermediates.is_empty() && key.is_some_and(|key| self.keys.contains(&key)) {
            return Ok(ServerCertVerified::assertion());
        }
        self.wrong_keys_seen.fetch_add(1, Ordering::AcqRel);
        Err(CertificateError::ApplicationVerificationFailure.into())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Err(rustls::PeerIncompatible::Tls12NotOfferedOrEnabled.into())
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, cert, dss, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        vec![SignatureScheme::ED25519]
    }
}

/// Returns what a device dials with: TLS 1.3 only, no SNI, no session kept (see `remembered`).
pub(crate) fn client_config(verifier: Arc<PinVerifier>, exchange: KeyExchange) -> Result<ClientConfig, IdentityError> {
    let mut config = ClientConfig::builder_with_details(provider(exchange), Arc::new(NoDates))
        .with_protocol_versions(&[&rustls::version::TLS13])?
        .dangerous()
        .with_custom_certificate_verifier(verifier)
        .with_no_client_auth();
    config.alpn_protocols = vec![ALPN.to_vec()];
    config.enable_sni = false;
    config.resumption = Resumption::disabled();
    Ok(config)
}

/// rustls wants a name even where none is sent or checked.
pub(crate) const UNCHECKED_NAME: &str = CERTIFICATE_NAME;

fn provider(exchange: KeyExchange) -> Arc<CryptoProvider> {
    Arc::new(CryptoProvider { kx_groups: exchange.groups(), ..rustls::crypto::ring::default_provider() })
}

/// Returns the Ed25519 key of a certificate, `None` if it is anything but one plain Ed25519 key.
fn shown_key(certificate: &CertificateDer<'_>) -> Option<VerifyingKey> {
    let parsed = ParsedCertificate::try_from(certificate).ok()?;
    let info = parsed.subject_public_key_info();
    let key = info.as_ref().strip_prefix(PUBLIC_KEY_PREFIX.as_slice())?;
    Some(VerifyingKey(key.try_into().ok()?))
}

/// Writes the certificate: version 3, serial 1, one name, wide dates, no extension.
fn certificate(key: &SigningKey) -> Result<CertificateDer<'static>, IdentityError> {
    let mut params = rcgen::CertificateParams::default();
    params.serial_number = Some(1u64.into());
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(rcgen::DnType::CommonName, CERTIFICATE_NAME);
    // Both before 2050 and so in the short form (RFC 5280 §4.1.2.5). Nobody of ours reads them.
    params.not_before = rcgen::date_time_ymd(2000, 1, 1);
    params.not_after = rcgen::date_time_ymd(2049, 12, 31);
    Ok(params.self_signed(&CertificateSigner::new(key)?)?.der().clone())
}

/// Signs a certificate as itself, not for one of our purposes.
struct CertificateSigner(Ed25519KeyPair);

impl CertificateSigner {
    fn new(key: &SigningKey) -> Result<Self, IdentityError> {
        let pair = Ed25519KeyPair::from_seed_unchecked(&key.seed().0);
        Ok(Self(pair.map_err(|_| rcgen::Error::CouldNotParseKeyPair)?))
    }
}

impl rcgen::PublicKeyData for CertificateSigner {
    fn der_bytes(&self) -> &[u8] {
        self.0.public_key().as_ref()
    }

    fn algorithm(&self) -> &'static rcgen::SignatureAlgorithm {
        &rcgen::PKCS_ED25519
    }
}

impl rcgen::SigningKey for CertificateSigner {
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, rcgen::Error> {
        Ok(self.0.sign(message).as_ref().to_vec())
    }
}

/// Clocks lie, and no date is checked here: a device whose clock was never set must connect all the same.
#[derive(Debug)]
struct NoDates;

impl TimeProvider for NoDates {
    fn current_time(&self) -> Option<UnixTime> {
        Some(UnixTime::since_unix_epoch(Duration::ZERO))
    }
}

#[cfg(test)]
mod tests {
    use zajil_proto::keys::Secret;

    use super::*;

    fn identity(seed: u8) -> RelayIdentity {
        RelayIdentity::new(&SigningKey::from_seed(&Secret([seed; 32]))).unwrap()
    }

    fn verify(verifier: &PinVerifier, chain: &[CertificateDer<'_>]) -> Result<ServerCertVerified, rustls::Error> {
        let name = ServerName::try_from(UNCHECKED_NAME).unwrap();
        let now = UnixTime::since_unix_epoch(Duration::ZERO);
        verifier.verify_server_cert(&chain[0], &chain[1..], &name, &[], now)
    }

    #[test]
    fn a_certificate_is_small_enough_for_one_flight() {
        let length = identity(1).certificate().len();
        assert!(length <= 230, "{length}");
    }

    #[test]
    fn the_same_key_gives_the_same_certificate() {
        assert_eq!(identity(1).certificate(), identity(1).certificate());
        assert_ne!(identity(1).certificate(), identity(2).certificate());
    }

    #[test]
    fn the_key_of_a_certificate_is_the_relays() {
        let identity = identity(3);
        assert_eq!(shown_key(&identity.certified.cert[0]), Some(identity.public()));
    }

    #[test]
    fn current_and_next_key_pass_and_another_is_noted() {
        let (current, next, other) = (identity(1), identity(2), identity(3));
        let verifier = PinVerifier::new(PinnedKeys::with_next(current.public(), next.public()));
        assert!(verify(&verifier, &current.certified.cert).is_ok());
        assert!(verify(&verifier, &next.certified.cert).is_ok());
        assert_eq!(verifier.wrong_keys_seen(), 0);
        assert!(verify(&verifier, &other.certified.cert).is_err());
        assert_eq!(verifier.wrong_keys_seen(), 1);
    }

    #[test]
    fn a_chain_is_refused_though_it_begins_with_the_right_key() {
        let (ours, other) = (identity(1), identity(2));
        let chain = [ours.certified.cert[0].clone(), other.certified.cert[0].clone()];
        assert!(verify(&PinVerifier::new(ours.public().into()), &chain).is_err());
    }

    #[test]
    fn a_certificate_with_a_byte_too_many_or_none_at_all_has_no_key() {
        let mut bytes = identity(1).certificate().to_vec();
        bytes.push(0);
        assert_eq!(shown_key(&CertificateDer::from(bytes)), None);
        assert_eq!(shown_key(&CertificateDer::from(Vec::new())), None);
    }

    #[test]
    fn an_identity_does_not_print_its_key() {
        assert_eq!(format!("{:?}", identity(1)), "RelayIdentity(..)");
    }
}
