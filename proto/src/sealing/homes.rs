//! Where a mailbox or slot lives (P2.6).

use core::fmt;

use serde::{Deserialize, Serialize};

use crate::codec::{DecodeError, Reader, Writer};
use crate::ids::RelayHash;
use crate::keys::VerifyingKey;
use crate::limits::{ADDRESS_BYTES_MAX, HOMES_MAX};

/// An address of a relay, `host:port`: a name, an IPv4 literal, or an IPv6 literal in brackets; 1 to 80 bytes (P2.6).
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Address(String);

redacted!(Address, HomeRelay, Homes);

impl Address {
    /// Takes an address as people write it.
    ///
    /// # Errors
    /// [`DecodeError::TooLong`] above 80 bytes, [`DecodeError::Check`] if it is not a host and a port from 1 to 65 535.
    pub fn parse(text: &str) -> Result<Self, DecodeError> {
        let wrong = DecodeError::Check { field: "address" };
        if text.len() > ADDRESS_BYTES_MAX {
            return Err(DecodeError::TooLong { field: "address", got: text.len(), expected: ADDRESS_BYTES_MAX });
        }
        let (host, port) = text.rsplit_once(':').ok_or(wrong)?;
        let digits = !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit());
        if !digits || port.parse::<u16>().ok().is_none_or(|port| port == 0) {
            return Err(wrong);
        }
        let literal = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
        let fits = match literal {
            Some(literal) => literal.parse::<core::net::Ipv6Addr>().is_ok(),
            None => !host.is_empty() && host.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".-_".contains(&byte)),
        };
        if fits { Ok(Self(text.to_owned())) } else { Err(wrong) }
    }

    /// Returns the text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for Address {
    type Error = DecodeError;

    fn try_from(text: String) -> Result<Self, DecodeError> {
        Self::parse(&text)
    }
}

impl From<Address> for String {
    fn from(address: Address) -> Self {
        address.0
    }
}

impl fmt::Display for Address {
    /// Shows the address to the person whose relay it is. Never for a log.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A relay as a device finds and knows it.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HomeRelay {
    /// The Ed25519 key of its certificate (P2.5).
    pub key: VerifyingKey,
    /// Where it is reached.
    pub address: Address,
}

impl HomeRelay {
    /// Returns the hash by which parcels name this relay.
    pub fn hash(&self) -> RelayHash {
        RelayHash::of(&self.key)
    }
}

/// The homes of a mailbox or slot, 1 to 3, the preferred one first (P2.6).
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Vec<HomeRelay>", into = "Vec<HomeRelay>")]
pub struct Homes(Vec<HomeRelay>);

impl Homes {
    /// Takes one home.
    pub fn one(home: HomeRelay) -> Self {
        Self(vec![home])
    }

    /// Takes 1 to 3 homes.
    ///
    /// # Errors
    /// [`DecodeError::Range`] for none, [`DecodeError::TooLong`] for more than 3.
    pub fn new(homes: Vec<HomeRelay>) -> Result<Self, DecodeError> {
        match homes.len() {
            0 => Err(DecodeError::Range { field: "homes", got: 0 }),
            got if got > HOMES_MAX => Err(DecodeError::TooLong { field: "homes", got, expected: HOMES_MAX }),
            _ => Ok(Self(homes)),
        }
    }

    /// Returns the homes.
    pub fn as_slice(&self) -> &[HomeRelay] {
        &self.0
    }

    /// Reads homes.
    ///
    /// # Errors
    /// [`DecodeError`].
    pub fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Self::new(reader.list("homes", HOMES_MAX, |reader| {
            Ok(HomeRelay {
                key: VerifyingKey(reader.array()?),
                address: Address::parse(reader.text8("address", ADDRESS_BYTES_MAX)?)?,
            })
        })?)
    }

    /// Writes the homes.
    pub fn encode(&self, writer: &mut Writer) {
        writer.list(&self.0, |writer, home| {
            writer.bytes(&home.key.0).text8(home.address.as_str());
        });
    }
}

impl TryFrom<Vec<HomeRelay>> for Homes {
    type Error = DecodeError;

    fn try_from(homes: Vec<HomeRelay>) -> Result<Self, DecodeError> {
        Self::new(homes)
    }
}

impl From<Homes> for Vec<HomeRelay> {
    fn from(homes: Homes) -> Self {
        homes.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_a_host_and_a_port_and_nothing_else() {
        for good in ["relay.example:443", "192.0.2.7:443", "[2001:db8::1]:8443", "localhost:1"] {
            assert_eq!(Address::parse(good).unwrap().as_str(), good);
        }
        for bad in [
            "",
            ":443",
            "host",
            "host:",
            "host:0",
            "host:65536",
            "host:+443",
            "2001:db8::1:443",
            "[::1:443",
            "a b:443",
            "[host]:443",
            "host:443\n",
            "user@host:443",
            "مرحبا:443",
        ] {
            assert!(Address::parse(bad).is_err(), "{bad}");
        }
        assert!(Address::parse(&format!("{}:443", "a".repeat(77))).is_err());
    }
}
