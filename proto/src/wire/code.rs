use core::fmt;

use crate::codec::DecodeError;

/// An answer or a reason to close (P9). Unknown codes keep their number.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Code(pub u16);

macro_rules! codes {
    ($($(#[$doc:meta])* $name:ident = $number:literal, $text:literal;)*) => {
        impl Code {
            $($(#[$doc])* pub const $name: Self = Self($number);)*

            /// Every code of version 1.
            pub const ALL: &'static [Self] = &[$(Self::$name),*];

            /// Returns the name of `docs/PROTOCOL.md`, `UNKNOWN` for a number it does not list. Good as a metric's
            /// label.
            pub const fn name(self) -> &'static str {
                match self.0 {
                    $($number => stringify!($name),)*
                    _ => "UNKNOWN",
                }
            }

            /// Returns the name of the counter of sessions that ended with this code.
            pub const fn ended_label(self) -> &'static str {
                match self.0 {
                    $($number => concat!("session_ended_", stringify!($name)),)*
                    _ => "session_ended_UNKNOWN",
                }
            }

            /// Returns the name of the counter of parcels and registrations refused with this code.
            pub const fn refused_label(self) -> &'static str {
                match self.0 {
                    $($number => concat!("refused_", stringify!($name)),)*
                    _ => "refused_UNKNOWN",
                }
            }

            /// Says in English what it means. People are told through the message catalogue, not with this.
            pub const fn meaning(self) -> &'static str {
                match self.0 {
                    $($number => $text,)*
                    _ => "a code this version does not know",
                }
            }
        }
    };
}

codes! {
    /// Done, or was already so.
    OK = 0, "done, or was already so";
    /// No such mailbox or slot here.
    NOT_HERE = 1, "no such mailbox or slot here";
    /// The mailbox's quota of bytes or parcels is used up.
    MAILBOX_FULL = 2, "the mailbox's quota is used up";
    /// The relay keeps its last space for old promises.
    RELAY_FULL = 3, "the relay keeps its last space for old promises";
    /// The parcel is longer than this relay takes.
    TOO_LONG = 4, "the parcel is longer than this relay takes";
    /// The lifetime is longer than this relay keeps.
    LIFETIME = 5, "the lifetime is longer than this relay keeps";
    /// Too much at once.
    BUSY = 6, "too much at once, come again later";
    /// This relay asks for an invite.
    NOT_ADMITTED = 7, "this relay asks for an invite";
    /// The time to answer this invitation is over.
    OVER = 8, "the time to answer this invitation is over";
    /// The relay stops.
    DRAINING = 256, "the relay stops; come again soon";
    /// No version in common.
    VERSION = 257, "no version in common";
    /// A frame that cannot be read.
    MALFORMED = 258, "a frame that cannot be read";
    /// An even frame type nobody knows.
    UNKNOWN_FRAME = 259, "an even frame type nobody knows";
    /// A frame longer than P1.2 allows.
    TOO_LARGE = 260, "a frame longer than the limit";
    /// A signature that does not fit.
    BAD_SIGNATURE = 261, "a signature that does not fit";
    /// A gap, or an offset past the end.
    BAD_OFFSET = 262, "a gap, or an offset past the end";
    /// A transfer or id out of place.
    BAD_ID = 263, "a transfer or id out of place";
    /// A frame of the other side, or out of turn.
    UNEXPECTED = 264, "a frame of the other side, or out of turn";
    /// More proofs, watches or transfers than a session may have.
    TOO_MANY = 265, "more proofs, watches or transfers than a session may have";
    /// The relay cannot go on.
    INTERNAL = 266, "the relay cannot go on; nothing acknowledged is lost";
    /// Nothing was said for too long.
    IDLE = 267, "nothing was said for too long";
    /// A later connection of the same device has taken over.
    REPLACED = 268, "a later connection has taken over";
}

impl Code {
    /// Returns the code with which a session ends over bytes that cannot be read.
    pub const fn of(error: &DecodeError) -> Self {
        match error {
            DecodeError::TooLong { field, .. } if is_frame(field) => Self::TOO_LARGE,
            DecodeError::UnknownFrame { .. } => Self::UNKNOWN_FRAME,
            _ => Self::MALFORMED,
        }
    }
}

/// A whole frame above P1.2, as against a field of it that is too long.
const fn is_frame(field: &str) -> bool {
    matches!(field.as_bytes(), b"frame")
}

impl fmt::Debug for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}({})", self.name(), self.0)
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.meaning())
    }
}
