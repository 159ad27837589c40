//! Who may write to a mailbox, and who owns it (P2.2).

use serde::{Deserialize, Serialize};

use crate::ids::{MailboxId, ReadTag};
use crate::keys::{Secret, SigningKey, VerifyingKey};
use crate::random::Random;

/// The right to put parcels into one mailbox: its owner's, and everyone's the owner handed the write secret to.
#[derive(Clone, Serialize, Deserialize)]
pub struct MailboxWriter {
    /// The write key. Who holds it may write; a signature by it proves "someone allowed", not who.
    pub write_key: SigningKey,
    /// The read tag.
    pub read_tag: ReadTag,
}

/// The right to read one mailbox and to decide who writes.
#[derive(Clone, Serialize, Deserialize)]
pub struct MailboxOwner {
    /// The write key.
    pub write_key: SigningKey,
    /// The read key, which never leaves this device (P8.5).
    pub read_key: SigningKey,
}

redacted!(MailboxWriter, MailboxOwner);

impl MailboxWriter {
    /// Returns the mailbox.
    pub fn mailbox(&self) -> MailboxId {
        MailboxId::of(&self.write_key.public(), &self.read_tag)
    }
}

impl MailboxOwner {
    /// Draws a fresh mailbox. It exists on a relay only after `Register` (P8.9).
    pub fn draw(random: &mut (impl Random + ?Sized)) -> Self {
        Self::from_seeds(&Secret::draw(random), &Secret::draw(random))
    }

    /// Makes the mailbox of two seeds.
    pub fn from_seeds(write: &Secret, read: &Secret) -> Self {
        Self { write_key: SigningKey::from_seed(write), read_key: SigningKey::from_seed(read) }
    }

    /// Returns the mailbox.
    pub fn mailbox(&self) -> MailboxId {
        MailboxId::of(&self.write_key.public(), &self.read_tag())
    }

    /// Returns the read tag.
    pub fn read_tag(&self) -> ReadTag {
        ReadTag::of(&self.read_key.public())
    }

    /// Returns the public half of the read key.
    pub fn read_public(&self) -> VerifyingKey {
        self.read_key.public()
    }

    /// Returns the right to write, to be handed to a contact.
    pub fn writer(&self) -> MailboxWriter {
        MailboxWriter { write_key: self.write_key.clone(), read_tag: self.read_tag() }
    }
}
