//! The roster of a family: a chain of signed links (P5.2).

use crate::codec::{DecodeError, Reader, Writer};
use crate::ids::{RosterHash, first, sha256};
use crate::keys::{Purpose, Signature, SigningKey, VerifyingKey};
use crate::limits::ROSTER_MEMBERS_MAX;

/// What a member may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Role {
    /// Made the family.
    Founder,
    /// May change the roster in the founder's place.
    Deputy,
    /// Speaks and listens.
    Member,
}

impl Role {
    const fn code(self) -> u8 {
        match self {
            Self::Founder => 1,
            Self::Deputy => 2,
            Self::Member => 3,
        }
    }

    const fn from_code(code: u8) -> Result<Self, DecodeError> {
        match code {
            1 => Ok(Self::Founder),
            2 => Ok(Self::Deputy),
            3 => Ok(Self::Member),
            got => Err(DecodeError::Range { field: "role", got: got as u64 }),
        }
    }
}

/// One link of a roster (P5.2). Not verified by itself: see [`RosterLink::is_signed`].
#[derive(Clone, PartialEq, Eq)]
pub struct RosterLink {
    /// Hash of the link before, zeros in the first.
    pub previous: [u8; 32],
    /// Rises by one.
    pub sequence: u32,
    /// The device that signed: the founder's or the deputy's.
    pub signer: VerifyingKey,
    /// Who is in it from now on.
    pub members: Vec<(VerifyingKey, Role)>,
    /// By the signer.
    pub signature: Signature,
}

redacted!(RosterLink);

impl RosterLink {
    /// Signs a link. At most 255 members count; a family has 2 to 15.
    pub fn sign(
        signer: &SigningKey,
        previous: [u8; 32],
        sequence: u32,
        members: impl IntoIterator<Item = (VerifyingKey, Role)>,
    ) -> Self {
        let mut link = Self {
            previous,
            sequence,
            signer: signer.public(),
            members: members.into_iter().take(ROSTER_MEMBERS_MAX).collect(),
            signature: Signature::NONE,
        };
        link.signature = signer.sign(Purpose::Roster, &[&link.signed()]);
        link
    }

    /// Returns whether the signature fits. Whether the signer may sign is what the link before says.
    pub fn is_signed(&self) -> bool {
        self.signer.verifies(Purpose::Roster, &[&self.signed()], &self.signature)
    }

    /// Returns the hash that the next link names as previous.
    pub fn hash(&self) -> [u8; 32] {
        sha256(&[b"zajil roster", &self.signed(), &self.signature.0])
    }

    /// Returns the hash that heads and grants name.
    pub fn short_hash(&self) -> RosterHash {
        RosterHash(first(&self.hash()))
    }

    fn signed(&self) -> Vec<u8> {
        let mut writer = Writer::new();
        writer.bytes(&self.previous).u32(self.sequence).bytes(&self.signer.0);
        writer.list(&self.members, |writer, (device, role)| {
            writer.bytes(&device.0).u8(role.code());
        });
        writer.into_bytes()
    }

    /// Reads a link.
    ///
    /// # Errors
    /// [`DecodeError`].
    pub fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            previous: reader.array()?,
            sequence: reader.u32()?,
            signer: VerifyingKey(reader.array()?),
            members: reader.list("roster", ROSTER_MEMBERS_MAX, |reader| {
                Ok((VerifyingKey(reader.array()?), Role::from_code(reader.u8()?)?))
            })?,
            signature: Signature(reader.array()?),
        })
    }

    /// Writes the link.
    pub fn encode(&self, writer: &mut Writer) {
        writer.bytes(&self.signed()).bytes(&self.signature.0);
    }
}
