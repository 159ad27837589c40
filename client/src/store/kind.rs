//! The kinds of records a device keeps.

use std::fmt;

/// What a record is. Kind and key together name one record.
///
/// The code is sealed into every record; it never changes its meaning and is never used again. New kinds take new
/// codes. Records of a code that this version does not know are kept, untouched.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
#[non_exhaustive]
pub enum Kind {
    /// This device: its identity, its own mailbox. One record, empty key.
    Profile = 1,
    /// A person's device with which notes are exchanged.
    Contact = 2,
    /// A session of this device: keys for notes not yet spoken.
    Session = 3,
    /// A session of a contact: keys for notes not yet opened.
    ReceivedSession = 4,
    /// The Olm account of this device. One record, empty key.
    OlmAccount = 5,
    /// The Olm session with one device.
    OlmSession = 6,
    /// Where a parcel of this device stands.
    Outgoing = 7,
    /// The sealed bytes of a parcel of this device; grows by appends while the note is spoken.
    OutgoingBody = 8,
    /// A note, sent or received, as its person knows it.
    Note = 9,
    /// Where a parcel for this device stands.
    Incoming = 10,
    /// The sealed bytes of a parcel for this device; grows by appends while it arrives.
    IncomingBody = 11,
    /// A control frame, put again byte for byte until acknowledged.
    ControlFrame = 12,
    /// A slot, own or granted.
    Slot = 13,
    /// A last word, and what relays said about it.
    Word = 14,
    /// A relay: address, keys, epoch.
    Relay = 15,
    /// An invitation that waits for its reply.
    Invitation = 16,
    /// A choice of the person.
    Setting = 17,
    /// An opened recording, by the number of its note.
    Recording = 18,
    /// A parcel that is durable here and that no relay has said it let go.
    Release = 19,
    /// Since when the sound of a note, by its number, has done its work.
    Countdown = 20,
}

impl Kind {
    /// Every kind, by rising code.
    pub const ALL: [Self; 20] = [
        Self::Profile,
        Self::Contact,
        Self::Session,
        Self::ReceivedSession,
        Self::OlmAccount,
        Self::OlmSession,
        Self::Outgoing,
        Self::OutgoingBody,
        Self::Note,
        Self::Incoming,
        Self::IncomingBody,
        Self::ControlFrame,
        Self::Slot,
        Self::Word,
        Self::Relay,
        Self::Invitation,
        Self::Setting,
        Self::Recording,
        Self::Release,
        Self::Countdown,
    ];

    /// The code that stands in the store, 1 to 255.
    pub const fn code(self) -> u8 {
        self as u8
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_rise_from_one_and_none_is_used_twice() {
        let codes: Vec<u8> = Kind::ALL.iter().map(|kind| kind.code()).collect();
        let expected: Vec<u8> = (1..=20).collect();
        assert_eq!(codes, expected);
    }
}
