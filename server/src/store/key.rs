use core::fmt;

use ring::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use ring::hkdf::{HKDF_SHA256, KeyType, Prk, Salt};
use ring::hmac::{self, HMAC_SHA256};
use zajil_proto::ids::ParcelId;
use zajil_proto::random::{self, Random};
use zeroize::{Zeroize, ZeroizeOnDrop};

use super::StoreError;

/// The secret under which a relay's rows and bodies are sealed. Without it the disk shows no mailbox, no header, no word and no
/// time finer than a day; it may live outside the disk. Wiped when dropped; does not print.
#[derive(Clone, Zeroize, ZeroizeOnDrop, PartialEq, Eq)]
pub struct StoreKey([u8; 32]);

impl StoreKey {
    /// Takes 32 secret bytes.
    pub const fn new(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// Draws a fresh key.
    pub fn draw(random: &mut (impl Random + ?Sized)) -> Self {
        Self(random::bytes(random))
    }

    /// Returns the bytes, to be written where the operator wants them.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    fn derive<const N: usize>(&self, purpose: &[u8]) -> [u8; N] {
        struct Length(usize);
        impl KeyType for Length {
            fn len(&self) -> usize {
                self.0
            }
        }
        let prk: Prk = Salt::new(HKDF_SHA256, b"zajil/1 store").extract(&self.0);
        let mut out = [0; N];
        // INVARIANT: HKDF-SHA256 refuses only lengths above 255 hashes; every use here asks for 32 bytes or fewer.
        #[expect(clippy::expect_used, reason = "cannot fail for such lengths; see the invariant above")]
        prk.expand(&[purpose], Length(N)).and_then(|okm| okm.fill(&mut out)).expect("a short key can be derived");
        out
    }
}

impl fmt::Debug for StoreKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("StoreKey(..)")
    }
}

/// Gives parcel ids the names their tombstones bear: 8 bytes of a keyed hash.
pub(super) struct TombstoneNames(hmac::Key);

impl TombstoneNames {
    pub(super) fn new(key: &StoreKey) -> Self {
        let mut bytes = key.derive::<32>(b"tombstones");
        let names = Self(hmac::Key::new(HMAC_SHA256, &bytes));
        bytes.zeroize();
        names
    }

    pub(super) fn name(&self, id: &ParcelId) -> u64 {
        let tag = hmac::sign(&self.0, &id.0);
        tag.as_ref().first_chunk::<8>().map_or(0, |bytes| u64::from_be_bytes(*bytes))
    }
}

/// Seals rows: `nonce 12 ‖ AEAD(row)`, the table and the row's number as associated data, so that none can stand for another.
///
/// Nonces are random: after 2^32 rows (250 000 a day for 47 years) the chance that two are equal is 2^-32.
pub(super) struct Vault {
    key: LessSafeKey,
    check: [u8; 16],
    random: Box<dyn Random + Send>,
}

impl Vault {
    /// Bytes that sealing adds.
    #[cfg(test)]
    pub(super) const OVERHEAD: usize = NONCE_LEN + 16;

    pub(super) fn new(key: &StoreKey, random: Box<dyn Random + Send>) -> Result<Self, StoreError> {
        let mut bytes = key.derive::<32>(b"rows");
        let unbound = UnboundKey::new(&CHACHA20_POLY1305, &bytes).map_err(|_| StoreError::WrongKey);
        bytes.zeroize();
        Ok(Self { key: LessSafeKey::new(unbound?), check: key.derive(b"check"), random })
    }

    /// Returns what a store shows to tell a wrong key from damage.
    pub(super) const fn check(&self) -> &[u8; 16] {
        &self.check
    }

    pub(super) fn random(&mut self) -> &mut (dyn Random + Send) {
        &mut *self.random
    }

    pub(super) fn seal(&mut self, table: u8, row: i64, plain: &[u8]) -> Result<Vec<u8>, StoreError> {
        let nonce: [u8; NONCE_LEN] = random::bytes(&mut *self.random);
        let mut sealed = Vec::with_capacity(plain.len().saturating_add(28));
        sealed.extend_from_slice(&nonce);
        sealed.extend_from_slice(plain);
        let content = sealed.get_mut(NONCE_LEN..).unwrap_or_default();
        let tag = self
            .key
            .seal_in_place_separate_tag(Nonce::assume_unique_for_key(nonce), Aad::from(associated(table, row)), content)
            .map_err(|_| StoreError::Io { what: "sealing a row", reason: "it is too long".to_owned() })?;
        sealed.extend_from_slice(tag.as_ref());
        Ok(sealed)
    }

    pub(super) fn open(&self, table: u8, row: i64, sealed: &[u8]) -> Result<Vec<u8>, StoreError> {
        let damaged = || StoreError::corrupt("a row does not open under the store key");
        let (nonce, content) = sealed.split_first_chunk::<NONCE_LEN>().ok_or_else(damaged)?;
        let mut content = content.to_vec();
        let nonce = Nonce::assume_unique_for_key(*nonce);
        let length = self
            .key
            .open_in_place(nonce, Aad::from(associated(table, row)), &mut content)
            .map_err(|_| damaged())?
            .len();
        content.truncate(length);
        Ok(content)
    }
}

fn associated(table: u8, row: i64) -> [u8; 9] {
    let mut out = [table; 9];
    if let Some((_, rest)) = out.split_first_mut() {
        rest.copy_from_slice(&row.to_be_bytes());
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Counter(u8);

    impl Random for Counter {
        fn fill(&mut self, bytes: &mut [u8]) {
            self.0 = self.0.wrapping_add(1);
            bytes.fill(self.0);
        }
    }

    #[test]
    fn a_row_opens_only_in_its_own_place_and_under_its_own_key() {
        let mut vault = Vault::new(&StoreKey::new([1; 32]), Box::new(Counter(0))).unwrap();
        let sealed = vault.seal(3, 7, b"abc").unwrap();
        assert_eq!(sealed.len(), 3 + Vault::OVERHEAD);
        assert_eq!(vault.open(3, 7, &sealed).unwrap(), b"abc");
        assert!(vault.open(3, 8, &sealed).is_err());
        assert!(vault.open(2, 7, &sealed).is_err());
        let other = Vault::new(&StoreKey::new([2; 32]), Box::new(Counter(0))).unwrap();
        assert!(other.open(3, 7, &sealed).is_err());
        assert_ne!(other.check(), vault.check());
    }

    #[test]
    fn a_store_key_never_prints() {
        assert_eq!(format!("{:?}", StoreKey::new([7; 32])), "StoreKey(..)");
    }
}
