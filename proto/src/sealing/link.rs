//! The texts people pass on when they pair: the link (P6.1) and the return code (P6.8).

use data_encoding::BASE64URL_NOPAD;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::codec::{DecodeError, Reader, Writer};
use crate::ids::{first, sha256};
use crate::keys::{Secret, VerifyingKey};
use crate::limits::{ADDRESS_BYTES_MAX, LINK_TEXT_BYTES_MAX};
use crate::sealing::homes::{Address, HomeRelay};
use crate::time::Minute;

const VERSION: u8 = 1;
const LINK_SCHEME: &str = "zajil:";
const BACK_SCHEME: &str = "zajil-back:";
const CHECK_BYTES: usize = 4;

/// Why a text is no link or return code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum LinkError {
    /// It does not begin as one.
    #[error("this is not a Zajil link or code")]
    Other,
    /// A character is missing, too many or wrong: copy or scan it again.
    #[error("the link is damaged")]
    Damaged,
    /// It is for a later version of Zajil.
    #[error("the link needs a newer version: {got}, this one reads {expected}")]
    Version {
        /// Its version.
        got: u8,
        /// What this version reads.
        expected: u8,
    },
}

impl From<DecodeError> for LinkError {
    fn from(_: DecodeError) -> Self {
        Self::Damaged
    }
}

/// What an inviter gives to one person (P6.1). Who has it can take that person's place until it is used.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Link {
    /// When it stops being valid, by the inviter's clock.
    pub expiry: Minute,
    /// Where the invitation waits.
    pub home: HomeRelay,
    /// The secret S of P6.2.
    pub secret: Secret,
    /// Which bundle waits there.
    pub bundle_hash: [u8; 32],
}

/// What a replier shows back to the inviter in person (P6.8): both know then whom they have paired with.
#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReturnCode {
    /// Hash of the inviter's bundle.
    pub inviter: [u8; 32],
    /// Hash of the replier's bundle.
    pub replier: [u8; 32],
}

redacted!(Link, ReturnCode);

impl Link {
    /// Writes the link.
    pub fn to_text(&self) -> Zeroizing<String> {
        let mut writer = Writer::new();
        writer.u8(VERSION).u32(self.expiry.0).bytes(&self.home.key.0);
        writer.bytes(&self.secret.0).bytes(&self.bundle_hash);
        writer.text8(self.home.address.as_str());
        Zeroizing::new(to_text(LINK_SCHEME, b"zajil link", writer))
    }

    /// Reads a link. White space and the invisible marks that messengers put around left-to-right text do not matter.
    ///
    /// # Errors
    /// [`LinkError`].
    pub fn parse(text: &str) -> Result<Self, LinkError> {
        let bytes = from_text(LINK_SCHEME, b"zajil link", text)?;
        let mut reader = Reader::new(&bytes);
        let expiry = Minute(reader.u32()?);
        let key = VerifyingKey(reader.array()?);
        let secret = Secret(reader.array()?);
        let bundle_hash = reader.array()?;
        let address = Address::parse(reader.text8("address", ADDRESS_BYTES_MAX)?)?;
        Ok(Self { expiry, home: HomeRelay { key, address }, secret, bundle_hash })
    }

    /// Returns whether it is too late to answer. The relay counts too, and its answer decides.
    pub fn is_expired(&self, now: Minute) -> bool {
        now >= self.expiry
    }
}

impl ReturnCode {
    /// Writes the code.
    pub fn to_text(&self) -> String {
        let mut writer = Writer::new();
        writer.u8(VERSION).bytes(&self.inviter).bytes(&self.replier);
        to_text(BACK_SCHEME, b"zajil back", writer)
    }

    /// Reads a code.
    ///
    /// # Errors
    /// [`LinkError`].
    pub fn parse(text: &str) -> Result<Self, LinkError> {
        let bytes = from_text(BACK_SCHEME, b"zajil back", text)?;
        let mut reader = Reader::new(&bytes);
        Ok(Self { inviter: reader.array()?, replier: reader.array()? })
    }
}

fn check(label: &[u8], bytes: &[u8]) -> [u8; CHECK_BYTES] {
    first(&sha256(&[label, bytes]))
}

fn to_text(scheme: &str, label: &[u8], mut writer: Writer) -> String {
    let check = check(label, writer.as_bytes());
    writer.bytes(&check);
    let bytes = Zeroizing::new(writer.into_bytes());
    let text = Zeroizing::new(BASE64URL_NOPAD.encode(&bytes));
    format!("{scheme}{}", text.as_str())
}

/// Returns the checked bytes between version and check.
fn from_text(scheme: &str, label: &[u8], text: &str) -> Result<Zeroizing<Vec<u8>>, LinkError> {
    if text.len() > LINK_TEXT_BYTES_MAX {
        return Err(LinkError::Other);
    }
    let text: Zeroizing<String> = Zeroizing::new(text.chars().filter(|character| !is_blank(*character)).collect());
    let (front, rest) = text.split_at_checked(scheme.len()).ok_or(LinkError::Other)?;
    if !front.eq_ignore_ascii_case(scheme) {
        return Err(LinkError::Other);
    }
    let bytes = BASE64URL_NOPAD.decode(rest.as_bytes()).map_err(|_| LinkError::Damaged)?;
    let mut bytes = Zeroizing::new(bytes);
    let length = bytes.len().checked_sub(CHECK_BYTES).ok_or(LinkError::Damaged)?;
    let (checked, given) = bytes.split_at(length);
    if check(label, checked) != given {
        return Err(LinkError::Damaged);
    }
    match checked.first() {
        Some(&VERSION) => {}
        Some(&got) => {
            return Err(LinkError::Version { got, expected: VERSION });
        }
        None => return Err(LinkError::Damaged),
    }
    bytes.truncate(length);
    bytes.drain(..1);
    Ok(bytes)
}

/// White space, and the marks and isolates of bidirectional text.
fn is_blank(character: char) -> bool {
    character.is_whitespace()
        || matches!(character, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}')
}
