//! The outer key of a pair (P4.11, P4.12): HPKE with X-Wing and a pre-shared key, so that every control frame resists
//! whoever records today and computes later.

use hpke::aead::ChaCha20Poly1305;
use hpke::kdf::HkdfSha256;
use hpke::kem::XWing;
use hpke::{Deserializable, Kem, OpModeR, OpModeS, PskBundle, Serializable, setup_receiver, setup_sender_with_rng};
use serde::{Deserialize, Serialize};
use zeroize::{Zeroize, Zeroizing};

use crate::keys::Secret;
use crate::random::{Chance, Random};

/// Length of an X-Wing public key, bytes.
pub const X_WING_PUBLIC_BYTES: usize = 1_216;
/// Length of an X-Wing encapsulation, bytes.
pub const ENCAPSULATION_BYTES: usize = 1_120;

const INFO: &[u8] = b"zajil/1 pair";
const PSK_ID: &[u8] = b"zajil/1 psk";
const EXPORT: &[u8] = b"zajil/1 outer";

/// The test scalar of P4.12, clamped already: a multiple of 8, so that it takes every point of small order to zero, and
/// of neither large prime order, so that it takes no other point there.
const TEST_SCALAR: [u8; 32] = {
    let mut scalar = [0; 32];
    scalar[0] = 0x40;
    scalar[31] = 0x40;
    scalar
};

/// Why an outer key does not come about. The fault is the other side's, or somebody's between.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum OuterError {
    /// The X25519 part is of small order: somebody is trying to take one half of the hybrid away (P4.12).
    #[error("an X-Wing value whose X25519 part is of small order")]
    SmallOrder,
    /// Not an X-Wing value.
    #[error("not an X-Wing value: {got} bytes, {expected} expected, or an impossible ML-KEM part")]
    Malformed {
        /// Bytes there are.
        got: usize,
        /// Bytes there must be.
        expected: usize,
    },
    /// What was sealed to this device does not open: another key, another pre-shared key, or changed on the way.
    #[error("what was sealed under the outer key does not open")]
    Forged,
}

/// The outer key of a pair. Wiped when dropped; does not print.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OuterKey(pub Secret);

/// An X-Wing secret. Wiped when dropped; does not print.
#[derive(Clone, Serialize, Deserialize)]
pub struct XWingSecret(Secret);

/// An X-Wing public key whose X25519 part is not of small order.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Vec<u8>", into = "Vec<u8>")]
pub struct XWingPublic(Vec<u8>);

/// An X-Wing encapsulation whose X25519 part is not of small order.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Vec<u8>", into = "Vec<u8>")]
pub struct Encapsulation(Vec<u8>);

redacted!(OuterKey, XWingSecret, XWingPublic, Encapsulation);

/// Refuses a value whose last 32 bytes are an X25519 point of small order (P4.12).
pub(super) fn check_contributory(value: &[u8], expected: usize) -> Result<(), OuterError> {
    let got = value.len();
    let point: &[u8; 32] = value.last_chunk().ok_or(OuterError::Malformed { got, expected })?;
    if got != expected {
        return Err(OuterError::Malformed { got, expected });
    }
    if x25519_dalek::x25519(TEST_SCALAR, *point) == [0; 32] {
        return Err(OuterError::SmallOrder);
    }
    Ok(())
}

impl XWingPublic {
    /// Takes 1 216 bytes.
    ///
    /// # Errors
    /// [`OuterError::SmallOrder`], [`OuterError::Malformed`].
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, OuterError> {
        let public = Self(bytes.to_vec());
        check_contributory(bytes, X_WING_PUBLIC_BYTES)?;
        public.theirs()?;
        Ok(public)
    }

    /// Returns the bytes.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    fn theirs(&self) -> Result<<XWing as Kem>::PublicKey, OuterError> {
        <XWing as Kem>::PublicKey::from_bytes(&self.0)
            .map_err(|_| OuterError::Malformed { got: self.0.len(), expected: X_WING_PUBLIC_BYTES })
    }
}

impl Encapsulation {
    /// Takes 1 120 bytes.
    ///
    /// # Errors
    /// [`OuterError::SmallOrder`], [`OuterError::Malformed`].
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, OuterError> {
        check_contributory(bytes, ENCAPSULATION_BYTES)?;
        Ok(Self(bytes.to_vec()))
    }

    /// Returns the bytes.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl TryFrom<Vec<u8>> for XWingPublic {
    type Error = OuterError;

    fn try_from(bytes: Vec<u8>) -> Result<Self, OuterError> {
        Self::from_bytes(&bytes)
    }
}

impl From<XWingPublic> for Vec<u8> {
    fn from(public: XWingPublic) -> Self {
        public.0
    }
}

impl TryFrom<Vec<u8>> for Encapsulation {
    type Error = OuterError;

    fn try_from(bytes: Vec<u8>) -> Result<Self, OuterError> {
        Self::from_bytes(&bytes)
    }
}

impl From<Encapsulation> for Vec<u8> {
    fn from(encapsulation: Encapsulation) -> Self {
        encapsulation.0
    }
}

impl XWingSecret {
    /// Draws a fresh key.
    pub fn draw(random: &mut (impl Random + ?Sized)) -> Self {
        Self::from_seed(&Secret::draw(random))
    }

    /// Makes the key of the 32 bytes that an X-Wing secret is.
    pub fn from_seed(seed: &Secret) -> Self {
        Self(seed.clone())
    }

    /// Returns the public half.
    pub fn public(&self) -> XWingPublic {
        XWingPublic(XWing::sk_to_pk(&self.theirs()).to_bytes().to_vec())
    }

    fn theirs(&self) -> <XWing as Kem>::PrivateKey {
        // INVARIANT: hpke refuses a private key only for its length, and 32 bytes is that length.
        #[expect(clippy::expect_used, reason = "cannot fail for 32 bytes; see the invariant above")]
        <XWing as Kem>::PrivateKey::from_bytes(&self.0.0).expect("32 bytes make an X-Wing secret")
    }
}

/// Returns the bundle of a pre-shared key.
fn psk(psk: &Secret) -> Result<PskBundle<'_>, OuterError> {
    PskBundle::new(&psk.0, PSK_ID).map_err(|_| OuterError::Forged)
}

/// Makes an outer key with the owner of `to`, and seals `text` to it under the same encapsulation (P6.5).
///
/// # Errors
/// [`OuterError::Malformed`].
pub fn seal_first(
    random: &mut (impl Random + ?Sized),
    to: &XWingPublic,
    shared: &Secret,
    text: &[u8],
) -> Result<(Encapsulation, Vec<u8>, OuterKey), OuterError> {
    let mode = OpModeS::<XWing>::Psk(psk(shared)?);
    let public = to.theirs()?;
    let (encapsulation, mut context) =
        setup_sender_with_rng::<ChaCha20Poly1305, HkdfSha256, XWing>(&mode, &public, INFO, &mut Chance(random))
            .map_err(|_| OuterError::Forged)?;
    let sealed = context.seal(text, &[]).map_err(|_| OuterError::Forged)?;
    let key = exported(|out| context.export(EXPORT, out))?;
    Ok((Encapsulation(encapsulation.to_bytes().to_vec()), sealed, key))
}

/// Opens what [`seal_first`] made for the owner of `secret`, and makes the same outer key.
///
/// # Errors
/// [`OuterError::Forged`] if the pre-shared key, the secret or any bit is another.
pub fn open_first(
    secret: &XWingSecret,
    shared: &Secret,
    encapsulation: &Encapsulation,
    sealed: &[u8],
) -> Result<(Zeroizing<Vec<u8>>, OuterKey), OuterError> {
    let mut context = receive(secret, shared, encapsulation)?;
    let text = Zeroizing::new(context.open(sealed, &[]).map_err(|_| OuterError::Forged)?);
    let key = exported(|out| context.export(EXPORT, out))?;
    Ok((text, key))
}

/// Renews a pair's outer key towards `to` (contents 9 and 10); the current one is the pre-shared key.
///
/// # Errors
/// [`OuterError::Malformed`].
pub fn renew(
    random: &mut (impl Random + ?Sized),
    to: &XWingPublic,
    current: &OuterKey,
) -> Result<(Encapsulation, OuterKey), OuterError> {
    let (encapsulation, _, key) = seal_first(random, to, &current.0, &[])?;
    Ok((encapsulation, key))
}

/// Takes up a renewal. Nothing in it proves itself: a wrong one gives a key under which nothing opens, so the previous
/// key stays until a frame has come under this one.
///
/// # Errors
/// [`OuterError::Forged`].
pub fn accept_renewal(
    secret: &XWingSecret,
    current: &OuterKey,
    encapsulation: &Encapsulation,
) -> Result<OuterKey, OuterError> {
    let context = receive(secret, &current.0, encapsulation)?;
    exported(|out| context.export(EXPORT, out))
}

type Receiving = hpke::aead::AeadCtxR<ChaCha20Poly1305, HkdfSha256, XWing>;

fn receive(secret: &XWingSecret, shared: &Secret, encapsulation: &Encapsulation) -> Result<Receiving, OuterError> {
    let mode = OpModeR::<XWing>::Psk(psk(shared)?);
    let malformed = |_| OuterError::Malformed { got: encapsulation.0.len(), expected: ENCAPSULATION_BYTES };
    let encapsulated = <XWing as Kem>::EncappedKey::from_bytes(&encapsulation.0).map_err(malformed)?;
    setup_receiver(&mode, &secret.theirs(), &encapsulated, INFO).map_err(|_| OuterError::Forged)
}

fn exported(export: impl FnOnce(&mut [u8]) -> Result<(), hpke::HpkeError>) -> Result<OuterKey, OuterError> {
    let mut out = [0; 32];
    let result = export(&mut out).map_err(|_| OuterError::Forged);
    let key = OuterKey(Secret(out));
    out.zeroize();
    result.map(|()| key)
}
