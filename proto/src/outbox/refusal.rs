//! Waiting, with the reason: when to offer again what a relay did not take.

use core::time::Duration;

use crate::time::Instant;
use crate::wire::Code;

/// Why a parcel is still on this device. There is no failed state: every reason has a next try.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Reason {
    /// It was not offered yet, or the link broke on the way.
    Link,
    /// A relay did not take it, with this code.
    Refused(Code),
}

/// When a waiting parcel is offered again, and why it waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retry {
    /// Why it waits.
    pub reason: Reason,
    /// Refusals with this reason in a row, 0 for none.
    pub refusals: u32,
    /// Not before this; the program's start lies before it after a restart, so that every restart tries at once.
    pub at: Instant,
}

impl Retry {
    /// A parcel that was never refused: at once.
    pub const fn new(now: Instant) -> Self {
        Self { reason: Reason::Link, refusals: 0, at: now }
    }

    /// Returns whether the time has come.
    pub fn is_due(&self, now: Instant) -> bool {
        now >= self.at
    }

    /// A relay refused with `code`: waits longer each time, up to the longest that makes sense for this reason.
    #[must_use]
    pub fn refused(self, now: Instant, code: Code) -> Self {
        let reason = Reason::Refused(code);
        let refusals = if self.reason == reason { self.refusals.saturating_add(1) } else { 1 };
        let (first, longest) = pauses(code);
        let factor = 1_u32 << (refusals - 1).min(16);
        Self { reason, refusals, at: now.after(first.saturating_mul(factor).min(longest)) }
    }

    /// The link broke while it was on its way: what a relay said earlier no longer counts, the next link is tried at
    /// once.
    #[must_use]
    pub const fn link_lost(self, now: Instant) -> Self {
        Self::new(now)
    }

    /// Something changed that may lift the refusal (another relay, a new epoch, a person's wish): at once, counting on.
    #[must_use]
    pub const fn at_once(self, now: Instant) -> Self {
        Self { at: now, ..self }
    }
}

/// First and longest pause for a reason.
const fn pauses(code: Code) -> (Duration, Duration) {
    const HOUR: u64 = 60 * 60;
    // A family that is online at last must not wait for our patience: what others may mend at any moment is asked about
    // within this. Asking costs about a kilobyte.
    const SOON: u64 = 8 * 60;
    let (first, longest) = match code {
        // The relay is busy or stops: the next minutes decide.
        Code::BUSY | Code::DRAINING | Code::INTERNAL | Code::TOO_MANY => (30, SOON),
        // Freed quota returns at six-hour steps (architecture §6): asking more often learns nothing.
        Code::MAILBOX_FULL => (HOUR, 6 * HOUR),
        // Its operator may make room; a mailbox may not be registered yet at this home, or again.
        Code::RELAY_FULL | Code::NOT_HERE => (60, SOON),
        // Only an operator's change or a person's can lift these; once a day shows when it has.
        Code::TOO_LONG | Code::LIFETIME | Code::NOT_ADMITTED | Code::OVER => (24 * HOUR, 24 * HOUR),
        _ => (60, 6 * HOUR),
    };
    (Duration::from_secs(first), Duration::from_secs(longest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_refusal_for_the_same_reason_waits_longer_up_to_a_bound() {
        let now = Instant::from_millis(5);
        let mut retry = Retry::new(now);
        assert!(retry.is_due(now));
        let mut before = Duration::ZERO;
        for _ in 0..40 {
            retry = retry.refused(now, Code::BUSY);
            let pause = retry.at.since(now);
            assert!(pause >= before && pause <= Duration::from_secs(8 * 60));
            before = pause;
        }
        assert_eq!(before, Duration::from_secs(8 * 60));
    }

    #[test]
    fn another_reason_or_a_lost_link_starts_counting_anew() {
        let now = Instant::from_millis(5);
        let busy = Retry::new(now).refused(now, Code::BUSY).refused(now, Code::BUSY);
        assert_eq!(busy.refused(now, Code::MAILBOX_FULL).refusals, 1);
        assert_eq!(busy.link_lost(now), Retry::new(now));
        assert!(busy.at_once(now).is_due(now));
    }

    #[test]
    fn every_code_leads_to_another_try() {
        let now = Instant::from_millis(0);
        for code in Code::ALL {
            assert!(Retry::new(now).refused(now, *code).at.since(now) <= Duration::from_secs(24 * 3_600));
        }
    }
}
