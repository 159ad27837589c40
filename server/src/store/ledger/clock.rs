//! Arithmetic of store time: pure, in whole minutes of a clock that only sweeps move on.

use std::time::Duration;

use zajil_proto::limits::TOMBSTONE_EXTRA_HOURS;
use zajil_proto::time::{Age, Lifetime};
use zajil_proto::{reached, sabotaged};

use crate::limits::{IDLE_PERIOD_MINUTES, STEP_MINUTES, SWEEP_MINUTES_MAX};

const DAY_MINUTES: u64 = 24 * 60;

/// The store's clock: time that sweeps were told has passed, since the store was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub(super) struct StoreClock {
    millis: u64,
}

impl StoreClock {
    /// Takes up the clock where it was kept.
    pub(super) const fn from_millis(millis: u64) -> Self {
        Self { millis }
    }

    /// Returns what to keep.
    pub(super) const fn as_millis(self) -> u64 {
        self.millis
    }

    /// Returns the clock moved on by `elapsed`, of which at most [`SWEEP_MINUTES_MAX`] counts.
    pub(super) fn after(self, elapsed: Duration) -> Self {
        let millis = u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX);
        let most = SWEEP_MINUTES_MAX * 60_000;
        if millis > most {
            reached!(SweepCapped);
            if sabotaged!(ExpiryByWallClock) {
                return Self { millis: self.millis.saturating_add(millis) };
            }
        }
        Self { millis: self.millis.saturating_add(millis.min(most)) }
    }

    const fn minutes(self) -> u64 {
        self.millis / 60_000
    }

    /// Returns the step of six hours the clock is in.
    pub(super) fn step(self) -> u32 {
        saturated(self.minutes() / STEP_MINUTES)
    }

    /// Returns the day the clock is in.
    pub(super) fn day(self) -> u32 {
        saturated(self.minutes() / DAY_MINUTES)
    }

    /// Returns the period of use the clock is in.
    pub(super) fn period(self) -> u32 {
        saturated(self.minutes() / IDLE_PERIOD_MINUTES)
    }

    /// Returns the first step that begins `hours` from now or later.
    pub(super) fn step_after_hours(self, hours: u32) -> u32 {
        saturated(self.minutes().saturating_add(u64::from(hours) * 60).div_ceil(STEP_MINUTES))
    }

    /// Returns the step at which a parcel that arrives now goes: never before its lifetime is over, up to a step after.
    pub(super) fn expiry_step(self, lifetime: Lifetime, age: Age) -> u32 {
        let left = (u64::from(lifetime.hours()) * 60).saturating_sub(u64::from(age.0));
        saturated(self.minutes().saturating_add(left).div_ceil(STEP_MINUTES))
    }

    /// Returns the age of a parcel that goes at `expires`: never more than it is, up to a step less.
    pub(super) fn age(self, lifetime: Lifetime, expires: u32) -> Age {
        let left = (u64::from(expires) * STEP_MINUTES).saturating_sub(self.minutes());
        Age(saturated((u64::from(lifetime.hours()) * 60).saturating_sub(left)))
    }
}

/// Returns the day at which the tombstone of a parcel that goes at step `expires` goes itself.
pub(super) fn tombstone_day(expires: u32) -> u32 {
    let end = u64::from(expires) * STEP_MINUTES + u64::from(TOMBSTONE_EXTRA_HOURS) * 60;
    saturated(end.div_ceil(DAY_MINUTES))
}

fn saturated(value: u64) -> u32 {
    u32::try_from(value).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(hours: u64, minutes: u64) -> StoreClock {
        StoreClock::from_millis((hours * 60 + minutes) * 60_000)
    }

    #[test]
    fn a_parcel_goes_at_a_step_after_its_lifetime_and_never_before() {
        let day = Lifetime::from_hours(24).unwrap();
        assert_eq!(at(0, 0).expiry_step(day, Age(0)), 4);
        assert_eq!(at(0, 1).expiry_step(day, Age(0)), 5);
        assert_eq!(at(0, 1).expiry_step(day, Age(60)), 4);
        assert_eq!(at(0, 1).age(day, 5), Age(0));
        assert_eq!(at(20, 0).age(day, 4), Age(20 * 60));
        assert!(at(24, 0).age(day, 4).expired(day));
    }

    #[test]
    fn one_sweep_adds_six_hours_at_most() {
        assert_eq!(at(1, 0).after(Duration::from_secs(3_600 * 24 * 365)), at(7, 0));
        assert_eq!(at(1, 0).after(Duration::from_millis(500)).as_millis(), 3_600_500);
    }

    #[test]
    fn a_tombstone_outlives_its_parcel_by_fifteen_days() {
        assert_eq!(tombstone_day(4), 16);
        assert_eq!(tombstone_day(5), 17);
    }
}
