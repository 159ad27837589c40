//! HKDF with SHA-256 (RFC 5869) of ring, in the one form our clauses use (P1.7).

use ring::error::Unspecified;
use ring::hkdf::{HKDF_SHA256, KeyType, Salt};
use zeroize::Zeroizing;

use crate::keys::Secret;

/// How many bytes to make.
struct Length(usize);

impl KeyType for Length {
    fn len(&self) -> usize {
        self.0
    }
}

/// Fills `out` with `HKDF(salt, ikm, info, its length)`; ring refuses more than 255 blocks.
pub(super) fn fill(salt: &[u8], ikm: &[u8], info: &[u8], out: &mut [u8]) -> Result<(), Unspecified> {
    let prk = Salt::new(HKDF_SHA256, salt).extract(ikm);
    prk.expand(&[info], Length(out.len())).and_then(|okm| okm.fill(out))
}

/// Computes `HKDF(salt, ikm, info, N)`. `N` is at most 8 160.
pub(super) fn derive<const N: usize>(salt: &[u8], ikm: &[u8], info: &[u8]) -> Zeroizing<[u8; N]> {
    const { assert!(N <= 255 * 32) };
    let mut out = Zeroizing::new([0; N]);
    // INVARIANT: ring refuses only more than 255 blocks, and the assertion above holds that when compiling.
    #[expect(clippy::expect_used, reason = "cannot fail for such lengths; see the invariant above")]
    fill(salt, ikm, info, out.as_mut()).expect("at most 255 blocks");
    out
}

/// Computes `HKDF(salt, ikm, info, 32)` as a key.
pub(super) fn key(salt: &[u8], ikm: &[u8], info: &[u8]) -> Secret {
    Secret(*derive::<32>(salt, ikm, info))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn test_case_1_of_rfc_5869_comes_out_as_there() {
        let salt: Vec<u8> = (0..=12).collect();
        let info: Vec<u8> = (0xf0..=0xf9).collect();
        let okm = derive::<42>(&salt, &[0x0b; 22], &info);
        let expected = [
            0x3c, 0xb2, 0x5f, 0x25, 0xfa, 0xac, 0xd5, 0x7a, 0x90, 0x43, 0x4f, 0x64, 0xd0, 0x36, 0x2f, 0x2a, 0x2d, 0x2d,
            0x0a, 0x90, 0xcf, 0x1a, 0x5a, 0x4c, 0x5d, 0xb0, 0x2d, 0x56, 0xec, 0xc4, 0xc5, 0xbf, 0x34, 0x00, 0x72, 0x08,
            0xd5, 0xb8, 0x87, 0x18, 0x58, 0x65,
        ];
        assert_eq!(*okm, expected);
    }
}
