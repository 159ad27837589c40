//! Names that certify themselves (P2): each is a hash of the keys that govern it. None of them prints.

use core::fmt;

use ring::digest::{Context, SHA256};

use crate::keys::VerifyingKey;

macro_rules! id {
    ($(#[$doc:meta])* $name:ident, $bytes:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
        pub struct $name(pub [u8; $bytes]);

        impl $name {
            /// Returns the bytes.
            pub const fn as_bytes(&self) -> &[u8; $bytes] {
                &self.0
            }
        }

        impl fmt::Debug for $name {
            /// Names of people's things never print.
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(concat!(stringify!($name), "(..)"))
            }
        }
    };
}

id!(
    /// First 16 bytes of the hash of a read key: tells a relay who may read without giving it the key (P2.1).
    ReadTag, 16
);
id!(
    /// A place where parcels wait (P2.2).
    MailboxId, 16
);
id!(
    /// A register that holds one last word (P2.3).
    SlotId, 16
);
id!(
    /// One parcel: a hash of its parcel key (P2.4).
    ParcelId, 16
);
id!(
    /// A relay, by the first bytes of the hash of its key (P2.5). All zeros means "this relay" where a home is
    /// expected.
    RelayHash, 8
);
id!(
    /// One note of one sending device, inside the seal (P4.5).
    NoteId, 8
);
id!(
    /// The tag a note's body begins with (P4.9).
    NoteTag, 8
);
id!(
    /// First bytes of the hash of the newest roster link (P5.2).
    RosterHash, 8
);
id!(
    /// A relay's store, new at creation and at every restore (P8, `Welcome`).
    Epoch, 16
);

impl RelayHash {
    /// "The relay that holds this."
    pub const HERE: Self = Self([0; 8]);

    /// Computes the hash of a relay's key.
    pub fn of(relay: &VerifyingKey) -> Self {
        Self(first(&sha256(&[relay.as_bytes()])))
    }
}

impl ReadTag {
    /// Computes the tag of a read key.
    pub fn of(read: &VerifyingKey) -> Self {
        Self(first(&sha256(&[read.as_bytes()])))
    }
}

impl MailboxId {
    /// A mailbox that nobody has: no keys are known that hash to it. A relay looks for it in place of one whose key was not proven, so
    /// that an answer takes the same time whatever is there.
    pub const NOBODYS: Self = Self([0; 16]);

    /// Computes the mailbox that `write` and `tag` govern.
    pub fn of(write: &VerifyingKey, tag: &ReadTag) -> Self {
        Self(first(&sha256(&[b"zajil mailbox", write.as_bytes(), &tag.0])))
    }
}

impl SlotId {
    /// A slot that nobody has, as [`MailboxId::NOBODYS`].
    pub const NOBODYS: Self = Self([0; 16]);

    /// Computes the slot that `write` and `tag` govern.
    pub fn of(write: &VerifyingKey, tag: &ReadTag) -> Self {
        Self(first(&sha256(&[b"zajil slot", write.as_bytes(), &tag.0])))
    }
}

impl ParcelId {
    /// Computes the id of the parcel that `parcel_key` governs.
    pub fn of(parcel_key: &VerifyingKey) -> Self {
        Self(first(&sha256(&[parcel_key.as_bytes()])))
    }
}

/// Computes SHA-256 over `parts` in a row.
pub fn sha256(parts: &[&[u8]]) -> [u8; 32] {
    let mut context = Context::new(&SHA256);
    for part in parts {
        context.update(part);
    }
    let mut out = [0; 32];
    out.copy_from_slice(context.finish().as_ref());
    out
}

/// Returns the first `N` bytes of a hash.
pub fn first<const N: usize>(hash: &[u8; 32]) -> [u8; N] {
    const { assert!(N <= 32) };
    let mut out = [0; N];
    out.copy_from_slice(hash.split_at(N).0);
    out
}
