//! The link an operator hands out so that a device can find, and be sure of, a relay.

use core::fmt;
use core::str::FromStr;

use data_encoding::BASE64URL_NOPAD;

use crate::codec::{DecodeError, Reader, Writer};
use crate::ids::{first, sha256};
use crate::keys::VerifyingKey;
use crate::limits::{ADDRESS_BYTES_MAX, ADMISSION_BYTES_MAX};

const SCHEME: &str = "zajil-relay:";
const VERSION: u8 = 1;

/// A relay's key, its address, and the code an invite-only relay asks for (P2.7).
#[derive(Clone, PartialEq, Eq)]
pub struct RelayLink {
    /// The relay's Ed25519 key, to be pinned.
    pub key: VerifyingKey,
    /// What to show when registering; empty for an open relay.
    pub admission: String,
    /// `host:port`.
    pub address: String,
}

impl fmt::Debug for RelayLink {
    /// An address and an admission code never print.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RelayLink(..)")
    }
}

impl fmt::Display for RelayLink {
    /// The text an operator hands out. It is what one wants to show, so it is no secret from the one who prints it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut writer = Writer::new();
        writer.u8(VERSION).bytes(&self.key.0).text8(&self.admission).text8(&self.address);
        let check: [u8; 4] = first(&sha256(&[b"zajil relay", writer.as_bytes()]));
        writer.bytes(&check);
        write!(f, "{SCHEME}{}", BASE64URL_NOPAD.encode(writer.as_bytes()))
    }
}

impl FromStr for RelayLink {
    type Err = DecodeError;

    fn from_str(text: &str) -> Result<Self, DecodeError> {
        let text = text.trim().strip_prefix(SCHEME).ok_or(DecodeError::Check { field: "relay link" })?;
        let bytes = BASE64URL_NOPAD.decode(text.as_bytes()).map_err(|_| DecodeError::Check { field: "relay link" })?;
        let Some((body, check)) = bytes.split_last_chunk::<4>() else {
            return Err(DecodeError::Short { expected: 4, got: bytes.len() });
        };
        if *check != first::<4>(&sha256(&[b"zajil relay", body])) {
            return Err(DecodeError::Check { field: "relay link" });
        }
        let mut reader = Reader::new(body);
        let version = reader.u8()?;
        if version != VERSION {
            return Err(DecodeError::Range { field: "relay link version", got: version.into() });
        }
        let key = VerifyingKey(reader.array()?);
        let admission = reader.text8("admission", ADMISSION_BYTES_MAX)?.to_owned();
        let address = reader.text8("address", ADDRESS_BYTES_MAX)?.to_owned();
        Ok(Self { key, admission, address })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn link() -> RelayLink {
        RelayLink { key: VerifyingKey([5; 32]), admission: "guest".into(), address: "relay.example:443".into() }
    }

    #[test]
    fn a_link_survives_being_written_and_read() {
        let text = link().to_string();
        assert_eq!(format!("  {text}\n").parse(), Ok(link()));
    }

    #[test]
    fn a_mistyped_or_cut_link_is_refused() {
        let text = link().to_string();
        assert!(text.get(..text.len() - 1).unwrap().parse::<RelayLink>().is_err());
        let mistyped = text.replacen("BQUF", "BQUG", 1);
        assert_ne!(mistyped, text);
        assert!(mistyped.parse::<RelayLink>().is_err());
    }
}
