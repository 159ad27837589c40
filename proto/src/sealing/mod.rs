//! End to end: what the people at both ends can read and nobody between them can (P4 to P7).
//!
//! A **note** is sealed under a key of its own. The keys come from a [`NoteSession`], 32 at a time, and a session
//! travels in a control frame: an Olm message ([`olm`]) in a box under the pair's *outer key* ([`outer`]), which
//! carries [`Content`]s. Pairs come about by [`pairing`]; last words are sealed under a key handed to their readers.
//!
//! - [`note`], [`live`]: seal and open notes; below them [`content`] (head, packets, tail), [`chunks`], [`padding`]
//! - [`control`], [`contents`], [`olm`], [`outer`]: control frames, from the outside to the inside
//! - [`renewal`]: how the outer key of a pair is renewed
//! - [`pairing`], [`link`], [`bundle`]: from a link to a pair
//! - [`word`]: last words
//! - [`mailbox`], [`homes`]: who may write where, and where that is
//! - [`provider`]: the seam at which fuzzers can take the ciphers away
//!
//! Every state here derives serde so that a device's store can keep it, in records that the store seals. Nothing here
//! prints.

mod aead;
pub mod bundle;
pub mod chunks;
pub mod content;
pub mod contents;
pub mod control;
mod hkdf;
pub mod homes;
pub mod link;
pub mod live;
pub mod mailbox;
pub mod note;
pub mod olm;
pub mod outer;
pub mod padding;
pub mod pairing;
mod pickle;
pub mod provider;
#[cfg(test)]
mod published;
pub mod renewal;
pub mod roster;
pub mod seal;
pub mod word;

pub use bundle::{Bundle, DeviceIdentity};
pub use content::{Codec, Head, NoteKind, Part, PartOf, Tail};
pub use contents::Content;
pub use homes::{Address, HomeRelay, Homes};
pub use link::{Link, ReturnCode};
pub use live::NoteSealer;
pub use mailbox::{MailboxOwner, MailboxWriter};
pub use note::{NoteOpener, NotePair, NoteSession, ReceivedSession};
pub use outer::OuterKey;
pub use provider::{Provider, RING, Sealing};
pub use renewal::OuterKeys;
