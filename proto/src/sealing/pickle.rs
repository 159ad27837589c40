//! How what vodozemac keeps is written down: as many bytes whatever its keys are.
//!
//! Its pickles can be read back only from a format that describes itself: they hold an internally tagged enum. JSON does, and so
//! does vodozemac's own encrypted pickle, which is JSON inside; but both write a byte in one to three digits, so that the length
//! of a record would tell something of keys, and two runs from one seed would fill a disk at different times. Here each byte
//! takes three places. The device's store seals the record.

use std::io::{self, Write};

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::ser::{Formatter, Serializer};
use zeroize::Zeroizing;

/// Writes a pickle down.
pub(super) fn write(pickle: &impl Serialize) -> Zeroizing<String> {
    let mut length = Length(0);
    print(pickle, &mut length);
    // With room for all of it: no copy of it is left where text has grown.
    let mut bytes = Zeroizing::new(Vec::with_capacity(length.0));
    print(pickle, &mut *bytes);
    // INVARIANT: JSON is text.
    #[expect(clippy::expect_used, reason = "see the invariant above")]
    Zeroizing::new(String::from_utf8(core::mem::take(&mut *bytes)).expect("JSON is text"))
}

/// Reads a pickle back.
///
/// # Errors
/// The text is no such pickle. The error names no key.
pub(super) fn read<T: DeserializeOwned>(text: &str) -> Result<T, Unreadable> {
    serde_json::from_str(text).map_err(|_| Unreadable)
}

/// A text that is not what was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not what was written of an account or session")]
pub(super) struct Unreadable;

fn print(pickle: &impl Serialize, out: impl Write) {
    // INVARIANT: a pickle has no map whose keys are no text, and memory takes any bytes.
    #[expect(clippy::expect_used, reason = "see the invariant above")]
    pickle.serialize(&mut Serializer::with_formatter(out, Even)).expect("a pickle can be written");
}

/// Writes every byte in three places.
struct Even;

impl Formatter for Even {
    fn write_u8<W: ?Sized + Write>(&mut self, writer: &mut W, value: u8) -> io::Result<()> {
        write!(writer, "{value:3}")
    }
}

/// Counts what is written.
struct Length(usize);

impl Write for Length {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0 = self.0.saturating_add(bytes.len());
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use vodozemac::olm::{Account, SessionConfig};

    use super::*;

    #[test]
    fn any_bytes_take_as_much_and_come_back() {
        let texts = [[0; 32], [9; 32], [10; 32], [99; 32], [100; 32], [255; 32]].map(|bytes| {
            let text = write(&bytes);
            assert_eq!(read::<[u8; 32]>(&text), Ok(bytes));
            text
        });
        assert!(texts.iter().all(|text| text.len() == 32 * 3 + 31 + 2), "{texts:?}");
    }

    #[test]
    fn accounts_and_sessions_take_as_much_room_whatever_their_keys_are() {
        let lengths: BTreeSet<[usize; 2]> = (0..20)
            .map(|_| {
                let (one, mut other) = (Account::new(), Account::new());
                other.generate_one_time_keys(1);
                let key = *other.one_time_keys().values().next().expect("one was made");
                let session = one.create_outbound_session(SessionConfig::version_1(), other.curve25519_key(), key);
                let session = session.expect("keys are no small order");
                [write(&other.pickle()).len(), write(&session.pickle()).len()]
            })
            .collect();
        assert_eq!(lengths.len(), 1, "{lengths:?}");
    }

    #[test]
    fn a_damaged_text_is_refused_and_not_shown() {
        let text = write(&[200_u8; 4]);
        for damaged in [&text[1..], &text[..text.len() - 1], "", "{}", "[1,2,3,256]"] {
            assert_eq!(read::<[u8; 4]>(damaged), Err(Unreadable));
        }
    }
}
