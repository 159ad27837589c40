//! What went wrong and what to do next, in pairs.

use super::{Message, length, msg};
use crate::engine::api::{Failure, Trouble, WaitReason};

/// A refusal as a person is told it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Told {
    /// What happened; its key is `err-` and [`Told::code`].
    pub what: Message,
    /// What to do next.
    pub advice: Message,
}

impl Told {
    /// Joins the two halves.
    #[must_use]
    pub fn new(what: Message, advice: Message) -> Self {
        Self { what, advice }
    }

    /// A name for programs that stays the same in every language and version.
    #[must_use]
    pub fn code(&self) -> &'static str {
        self.what.key().strip_prefix("err-").unwrap_or(self.what.key())
    }
}

impl From<&Failure> for Told {
    fn from(failure: &Failure) -> Self {
        match failure {
            Failure::UnknownContact { name, nearest } => unknown_contact(name, nearest.as_deref()),
            Failure::NameTaken { name } => {
                Self::new(msg("err-name-taken").text("name", name), msg("rec-name-taken").text("name", name))
            }
            Failure::BadName => Self::new(msg("err-bad-name"), msg("rec-bad-name")),
            Failure::UnknownNote { number } => {
                Self::new(msg("err-unknown-note").figures("number", number), msg("rec-unknown-note"))
            }
            Failure::NotPaired { name } => Self::new(msg("err-not-paired").text("name", name), msg("rec-not-paired")),
            Failure::NotConfirmed { name } => {
                Self::new(msg("err-not-confirmed").text("name", name), msg("rec-not-confirmed").text("name", name))
            }
            Failure::NoteTooLong { got_millis, max_millis } => Self::new(
                msg("err-note-too-long").figures("got", length(*got_millis)).figures("max", length(*max_millis)),
                msg("rec-note-too-long"),
            ),
            Failure::WordTooLong { got, max } => {
                Self::new(msg("err-word-too-long").figures("got", got).figures("max", max), msg("rec-word-too-long"))
            }
            Failure::NoRelay(reason) => trouble(*reason),
            Failure::Refused(reason) => refusal(*reason),
            Failure::Store(detail) => Self::new(msg("err-store").text("detail", detail), msg("rec-store")),
            Failure::DigitsDiffer
            | Failure::NoDigitsYet
            | Failure::BadLink
            | Failure::LinkExpired
            | Failure::LinkUsed
            | Failure::LinkForged
            | Failure::WrongReturnCode
            | Failure::OwnLink => pairing(failure),
            Failure::OutboxFull => Self::new(msg("err-outbox-full"), msg("rec-outbox-full")),
            Failure::NothingYet => Self::new(msg("err-nothing-yet"), msg("rec-nothing-yet")),
            Failure::Locked => Self::new(msg("err-locked"), msg("rec-locked")),
            Failure::DeviceLocked => Self::new(msg("err-device-locked"), msg("rec-device-locked")),
            Failure::NothingToLock => Self::new(msg("err-nothing-to-lock"), msg("rec-nothing-to-lock")),
            Failure::Erased => Self::new(msg("err-erased"), msg("rec-erased")),
            Failure::DiskFull => Self::new(msg("err-disk-full"), msg("rec-disk-full")),
            Failure::Busy => Self::new(msg("err-busy"), msg("rec-busy")),
        }
    }
}

fn unknown_contact(name: &str, nearest: Option<&str>) -> Told {
    let advice = match nearest {
        Some(nearest) => msg("rec-unknown-contact-near").text("nearest", nearest),
        None => msg("rec-unknown-contact"),
    };
    Told::new(msg("err-unknown-contact").text("name", name), advice)
}

/// What can go wrong with links, codes and digits.
fn pairing(failure: &Failure) -> Told {
    match failure {
        Failure::DigitsDiffer => Told::new(msg("err-digits-differ"), msg("rec-digits-differ")),
        Failure::NoDigitsYet => Told::new(msg("err-no-digits-yet"), msg("rec-no-digits-yet")),
        Failure::LinkExpired => Told::new(msg("err-link-expired"), msg("rec-link-expired")),
        Failure::LinkUsed => Told::new(msg("err-link-used"), msg("rec-link-used")),
        Failure::LinkForged => Told::new(msg("err-link-forged"), msg("rec-link-forged")),
        Failure::WrongReturnCode => Told::new(msg("err-wrong-return-code"), msg("rec-wrong-return-code")),
        Failure::OwnLink => Told::new(msg("err-own-link"), msg("rec-own-link")),
        // `BadLink`, and nothing else comes here.
        _ => Told::new(msg("err-bad-link"), msg("rec-bad-link")),
    }
}

/// What kept a relay from being met.
#[must_use]
pub fn trouble(trouble: Trouble) -> Told {
    match trouble {
        Trouble::NoRoute => Told::new(msg("err-no-route"), msg("rec-no-route")),
        Trouble::NameUnknown => Told::new(msg("err-relay-name-unknown"), msg("rec-relay-name-unknown")),
        Trouble::NoAnswer => Told::new(msg("err-no-answer"), msg("rec-no-answer")),
        Trouble::WrongKey => Told::new(msg("err-wrong-key"), msg("rec-wrong-key")),
        Trouble::Refused => Told::new(msg("err-relay-closed"), msg("rec-relay-closed")),
        Trouble::NotAdmitted => Told::new(msg("err-not-admitted"), msg("rec-not-admitted")),
    }
}

/// Why a relay refused what was asked.
#[must_use]
pub fn refusal(reason: WaitReason) -> Told {
    match reason {
        WaitReason::NoLink => Told::new(msg("err-no-answer"), msg("rec-no-answer")),
        WaitReason::WrongKey => Told::new(msg("err-wrong-key"), msg("rec-wrong-key")),
        WaitReason::NotHere => Told::new(msg("err-mailbox-not-here"), msg("rec-mailbox-not-here")),
        WaitReason::MailboxFull => Told::new(msg("err-mailbox-full"), msg("rec-mailbox-full")),
        WaitReason::RelayFull => Told::new(msg("err-relay-full"), msg("rec-relay-full")),
        WaitReason::Busy => Told::new(msg("err-relay-busy"), msg("rec-relay-busy")),
        WaitReason::Refused => Told::new(msg("err-relay-refused"), msg("rec-relay-refused")),
    }
}
