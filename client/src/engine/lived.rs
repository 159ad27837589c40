//! How long this device has lived, as it and one relay agree: what every age on a device is counted by.
//!
//! Clocks lie (architecture §3, rule 8): a phone boots in 1970, somebody sets the year wrong, an operator's box has no battery.
//! An age taken from one clock's two readings ends a lifetime the moment that clock is set right. So a device adds up, from
//! one meeting with a relay to the next, the lesser of what its own clock and the relay's say has passed; what either
//! takes back counts as nothing. One clock that jumps delays an end, and hastens none.

use serde::{Deserialize, Serialize};
use zajil_proto::time::Minute;

/// Time lived between meetings with one relay.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(crate) struct Lived {
    /// Minutes up to the last meeting.
    minutes: u32,
    /// What the device's clock and the relay's said then.
    met: Option<(Minute, Minute)>,
}

/// A moment of [`Lived`], to count an age from. Moments of two relays have nothing to do with each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Serialize, Deserialize)]
pub(crate) struct Moment(u32);

impl Lived {
    /// Adds what has passed since the last meeting.
    pub(crate) fn meet(&mut self, own: Minute, relay: Minute) {
        if let Some((own_then, relay_then)) = self.met {
            let (own, relay) = (own.0.saturating_sub(own_then.0), relay.0.saturating_sub(relay_then.0));
            self.minutes = self.minutes.saturating_add(own.min(relay));
        }
        self.met = Some((own, relay));
    }

    /// Returns the moment of the last meeting.
    pub(crate) const fn moment(&self) -> Moment {
        Moment(self.minutes)
    }
}

impl Moment {
    /// Returns the minutes since an earlier moment.
    pub(crate) const fn minutes_since(self, earlier: Self) -> u32 {
        self.0.saturating_sub(earlier.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(meetings: &[(u32, u32)]) -> u32 {
        let mut lived = Lived::default();
        for (own, relay) in meetings {
            lived.meet(Minute(*own), Minute(*relay));
        }
        lived.moment().minutes_since(Moment::default())
    }

    #[test]
    fn time_passes_as_both_clocks_say() {
        assert_eq!(after(&[(1_000, 1_000), (1_060, 1_060), (2_500, 2_500)]), 1_500);
    }

    #[test]
    fn a_clock_that_is_wrong_by_years_counts_as_well_as_a_right_one() {
        assert_eq!(after(&[(5, 29_000_000), (65, 29_000_060)]), 60);
    }

    #[test]
    fn a_clock_that_is_set_right_hastens_nothing() {
        assert_eq!(after(&[(5, 29_000_000), (29_000_060, 29_000_060)]), 60);
        assert_eq!(after(&[(29_000_000, 5), (29_000_060, 29_000_060)]), 60);
    }

    #[test]
    fn a_clock_that_is_set_back_loses_only_the_time_until_the_next_meeting() {
        assert_eq!(after(&[(1_000, 1_000), (5, 1_060), (65, 1_120)]), 60);
    }
}
