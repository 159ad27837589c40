//! How long commands wait if nobody says otherwise, in seconds.

use super::arguments::WaitFor;

/// A relay that answers does so within seconds, on 2G within half a minute.
const MEET_SECONDS: u64 = 30;

/// A person must come by and listen.
const PERSON_SECONDS: u64 = 600;

/// Who asks "last seen" looks at the screen; what the device holds is an answer too.
pub(super) const SEEN_SECONDS: u64 = 15;

/// A meeting ends by itself when all is done; this ends one over a link that barely moves.
pub(super) const SYNC_SECONDS: u64 = 60;

/// How long a last word tries to reach the relay.
pub(super) const WORD_SECONDS: u64 = MEET_SECONDS;

/// How long `send` waits for what it was asked to wait for.
pub(super) fn send_seconds(wait: WaitFor) -> u64 {
    match wait {
        WaitFor::Device => 0,
        WaitFor::Stored => MEET_SECONDS,
        WaitFor::Delivered | WaitFor::Heard => PERSON_SECONDS,
    }
}

/// What was asked for, or else the usual, in milliseconds.
pub(super) fn millis(asked: Option<u64>, usual: u64) -> u64 {
    asked.unwrap_or(usual).saturating_mul(1_000)
}
