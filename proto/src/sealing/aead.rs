//! ChaCha20-Poly1305 (RFC 8439) of ring, with keys and nonces as our clauses give them (P1.7).

use ring::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, Nonce, UnboundKey};

use crate::keys::Secret;

/// Length of the tag, bytes.
pub(super) const TAG_BYTES: usize = 16;
/// Length of a nonce, bytes.
pub(super) const NONCE_BYTES: usize = 12;
/// The nonce of a key that seals one thing only.
pub(super) const ONCE: [u8; NONCE_BYTES] = [0; NONCE_BYTES];

fn key(secret: &Secret) -> LessSafeKey {
    // INVARIANT: ring refuses a key only for its length, and 32 bytes is that length.
    #[expect(clippy::expect_used, reason = "cannot fail for 32 bytes; see the invariant above")]
    let key = UnboundKey::new(&CHACHA20_POLY1305, &secret.0).expect("32 bytes make a key");
    LessSafeKey::new(key)
}

/// Seals `text` in place and appends the tag.
pub(super) fn seal(secret: &Secret, nonce: [u8; NONCE_BYTES], associated: &[u8], text: &mut Vec<u8>) {
    let nonce = Nonce::assume_unique_for_key(nonce);
    // INVARIANT: ring refuses to seal only what is longer than 256 GiB, and no text of ours exceeds a parcel.
    #[expect(clippy::expect_used, reason = "cannot fail at our lengths; see the invariant above")]
    key(secret).seal_in_place_append_tag(nonce, Aad::from(associated), text).expect("a parcel's length can be sealed");
}

/// Opens `sealed`, or says `None` if key, nonce, associated data or a single bit is not what it was sealed with.
pub(super) fn open(secret: &Secret, nonce: [u8; NONCE_BYTES], associated: &[u8], sealed: &[u8]) -> Option<Vec<u8>> {
    let mut text = sealed.to_vec();
    let nonce = Nonce::assume_unique_for_key(nonce);
    let length = key(secret).open_in_place(nonce, Aad::from(associated), &mut text).ok()?.len();
    text.truncate(length);
    Some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hex(text: &str) -> Vec<u8> {
        let digits: Vec<u8> = text.bytes().filter(u8::is_ascii_hexdigit).collect();
        let byte = |pair: &[u8]| u8::from_str_radix(core::str::from_utf8(pair).unwrap(), 16).unwrap();
        digits.chunks(2).map(byte).collect()
    }

    #[test]
    fn the_example_of_rfc_8439_section_2_8_2_seals_and_opens_as_there() {
        let key: Vec<u8> = (0x80..0xa0).collect();
        let key = Secret(key.try_into().unwrap());
        let nonce = [7, 0, 0, 0, 0x40, 0x41, 0x42, 0x43, 0x44, 0x45, 0x46, 0x47];
        let associated = hex("50515253c0c1c2c3c4c5c6c7");
        let text = b"Ladies and Gentlemen of the class of '99: If I could offer you only one tip for the future, \
                     sunscreen would be it.";
        let sealed =
            hex("d31a8d34648e60db7b86afbc53ef7ec2a4aded51296e08fea9e2b5a736ee62d63dbea45e8ca9671282fafb69da92728b\
             1a71de0a9e060b2905d6a5b67ecd3b3692ddbd7f2d778b8c9803aee328091b58fab324e4fad675945585808b4831d7bc\
             3ff4def08e4b7a9de576d26586cec64b61161ae10b594f09e26a7e902ecbd0600691");
        let mut out = text.to_vec();
        seal(&key, nonce, &associated, &mut out);
        assert_eq!(out, sealed);
        assert_eq!(open(&key, nonce, &associated, &sealed).unwrap(), text);
        assert_eq!(open(&key, nonce, b"other", &sealed), None);
    }
}
