//! Exit codes. Scripts rely on them: a number never changes its meaning.

use crate::engine::api::{Failure, Trouble};

/// How a command ended, as its exit code says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    /// Done; what was sent is stored at a relay, or as far as `--wait` says.
    Done = 0,
    /// Failed in a way that none of the others names.
    Failed = 1,
    /// The command was not understood.
    Usage = 2,
    /// It waits on this device, or has not come as far as `--wait` says. Nothing is lost.
    Waits = 3,
    /// No such contact or note; not paired; not confirmed; nothing arrived yet.
    NotThere = 4,
    /// The relay refused.
    Refused = 5,
    /// The recording cannot be used.
    Recording = 6,
    /// This device's home: in use, read-only, full, wrong passphrase, not set up, locked.
    Home = 7,
    /// The relay cannot be reached.
    Unreached = 8,
    /// A link, code or digits: used, over, mistyped, forged, different.
    Link = 9,
}

impl Exit {
    /// The number a shell sees.
    #[must_use]
    pub fn code(self) -> u8 {
        self as u8
    }
}

impl From<&Failure> for Exit {
    fn from(failure: &Failure) -> Self {
        match failure {
            Failure::BadName | Failure::WordTooLong { .. } => Self::Usage,
            Failure::UnknownContact { .. }
            | Failure::UnknownNote { .. }
            | Failure::NotPaired { .. }
            | Failure::NotConfirmed { .. }
            | Failure::NoDigitsYet
            | Failure::NothingYet
            | Failure::Locked
            | Failure::Erased => Self::NotThere,
            Failure::Refused(_) | Failure::NoRelay(Trouble::Refused | Trouble::NotAdmitted) => Self::Refused,
            Failure::NoteTooLong { .. } => Self::Recording,
            Failure::OutboxFull
            | Failure::DiskFull
            | Failure::Store(_)
            | Failure::DeviceLocked
            | Failure::NothingToLock => Self::Home,
            Failure::NoRelay(Trouble::NoRoute | Trouble::NameUnknown | Trouble::NoAnswer | Trouble::WrongKey) => {
                Self::Unreached
            }
            Failure::DigitsDiffer
            | Failure::BadLink
            | Failure::LinkExpired
            | Failure::LinkUsed
            | Failure::LinkForged
            | Failure::WrongReturnCode
            | Failure::OwnLink => Self::Link,
            Failure::NameTaken { .. } | Failure::Busy => Self::Failed,
        }
    }
}
