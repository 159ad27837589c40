//! What a device tells a contact about itself (P6.4).

use serde::{Deserialize, Serialize};

use crate::codec::{DecodeError, Reader, Writer};
use crate::ids::{ReadTag, sha256};
use crate::keys::{Purpose, Secret, Signature, SigningKey, VerifyingKey};
use crate::sealing::homes::Homes;
use crate::sealing::mailbox::MailboxWriter;
use crate::sealing::olm::Account;
use crate::sealing::outer::{OuterError, X_WING_PUBLIC_BYTES, XWingPublic};

const VERSION: u8 = 1;
const SIGNATURE_BYTES: usize = 64;

/// What a device is to its contacts: a key that signs bundles, and an Olm account.
#[derive(Clone, Serialize, Deserialize)]
pub struct DeviceIdentity {
    /// The device key.
    pub key: SigningKey,
    /// The Olm account.
    pub account: Account,
}

/// Why a bundle is refused. The fault is its author's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BundleError {
    /// It cannot be read.
    #[error(transparent)]
    Decode(#[from] DecodeError),
    /// Its signature is not by its device key.
    #[error("the bundle's signature does not fit")]
    Signature,
    /// Its X-Wing key is not one, or of small order.
    #[error(transparent)]
    Outer(#[from] OuterError),
}

/// What a device tells a contact about itself (P6.4). A value of this type has a signature that fits.
#[derive(Clone, Serialize, Deserialize)]
#[serde(try_from = "Vec<u8>", into = "Vec<u8>")]
pub struct Bundle {
    bytes: Vec<u8>,
    facts: BundleFacts,
}

/// What a bundle says.
#[derive(Clone)]
pub struct BundleFacts {
    /// The device's Ed25519 key.
    pub device_key: VerifyingKey,
    /// Its Olm identity key.
    pub olm_identity: [u8; 32],
    /// An Olm one-time key for whoever gets this bundle.
    pub olm_one_time_key: [u8; 32],
    /// Its X-Wing key.
    pub x_wing: XWingPublic,
    /// The mailbox in which it awaits this contact, with the right to write.
    pub writer: MailboxWriter,
    /// Where that mailbox lives.
    pub homes: Homes,
    /// Commits to the nonce of an inviter (P6.7); all zeros from a replier.
    pub commit: [u8; 32],
}

redacted!(DeviceIdentity, Bundle, BundleFacts);

impl Bundle {
    /// Writes and signs a bundle.
    pub fn sign(device: &SigningKey, facts: BundleFacts) -> Self {
        let facts = BundleFacts { device_key: device.public(), ..facts };
        let mut writer = Writer::new();
        writer.u8(VERSION).bytes(&facts.device_key.0);
        writer.bytes(&facts.olm_identity).bytes(&facts.olm_one_time_key);
        writer.bytes(facts.x_wing.as_bytes());
        writer.bytes(&facts.writer.write_key.seed().0).bytes(&facts.writer.read_tag.0);
        facts.homes.encode(&mut writer);
        writer.bytes(&facts.commit);
        let signature = device.sign(Purpose::Bundle, &[writer.as_bytes()]);
        writer.bytes(&signature.0);
        Self { bytes: writer.into_bytes(), facts }
    }

    /// Reads a bundle and checks its signature and its X-Wing key (P4.12). All of `bytes` is the bundle.
    ///
    /// # Errors
    /// [`BundleError`].
    pub fn verify(bytes: &[u8]) -> Result<Self, BundleError> {
        let mut reader = Reader::new(bytes);
        let version = reader.u8()?;
        if version != VERSION {
            let field = "bundle version";
            return Err(DecodeError::Range { field, got: version.into() }.into());
        }
        let device_key = VerifyingKey(reader.array()?);
        let olm_identity = reader.array()?;
        let olm_one_time_key = reader.array()?;
        let x_wing = reader.bytes(X_WING_PUBLIC_BYTES)?;
        let write_seed = Secret(reader.array()?);
        let read_tag = ReadTag(reader.array()?);
        let homes = Homes::decode(&mut reader)?;
        let commit = reader.array()?;
        let (signed, _) = bytes.split_at(bytes.len() - reader.rest().len());
        let signature = Signature(reader.array::<SIGNATURE_BYTES>()?);
        if !device_key.verifies(Purpose::Bundle, &[signed], &signature) {
            return Err(BundleError::Signature);
        }
        let facts = BundleFacts {
            device_key,
            olm_identity,
            olm_one_time_key,
            x_wing: XWingPublic::from_bytes(x_wing)?,
            writer: MailboxWriter { write_key: SigningKey::from_seed(&write_seed), read_tag },
            homes,
            commit,
        };
        Ok(Self { bytes: bytes.to_vec(), facts })
    }

    /// Returns what it says.
    pub const fn facts(&self) -> &BundleFacts {
        &self.facts
    }

    /// Returns the bytes.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Returns the bundle hash.
    pub fn hash(&self) -> [u8; 32] {
        sha256(&[b"zajil bundle", &self.bytes])
    }
}

impl PartialEq for Bundle {
    fn eq(&self, other: &Self) -> bool {
        self.bytes == other.bytes
    }
}

impl Eq for Bundle {}

impl TryFrom<Vec<u8>> for Bundle {
    type Error = BundleError;

    fn try_from(bytes: Vec<u8>) -> Result<Self, BundleError> {
        Self::verify(&bytes)
    }
}

impl From<Bundle> for Vec<u8> {
    fn from(bundle: Bundle) -> Self {
        bundle.bytes
    }
}
