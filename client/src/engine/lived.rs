//! How long this device has lived, as it and one relay agree: what every age on a device is counted by.
//!
//! Clocks lie (architecture §3, rule 8): a phone boots in 1970, somebody sets the year wrong, an operator's box has no battery.
//! An age taken from one clock's two readings ends a lifetime the moment that clock is set right. So a device adds up, from
//! one meeting with a relay to the next, the lesser of what its own clock and the relay's say has passed; what either
//! takes back counts as nothing. One clock that jumps delays an end, and hastens none. As long as a program runs, in a meeting
//! that goes on for weeks as in the dark between two, it knows by a third clock, which only moves forward, how much has passed
//! at least, whatever the other two say. Of a program that was not running, and one clock that was set back, time may be lost:
//! an end comes later then, by as much as was between two meetings.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use zajil_proto::time::{Instant, Minute};

/// Time lived with one relay: from meeting to meeting, and as long as the last one goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(crate) struct Lived {
    /// Minutes up to the last meeting.
    minutes: u32,
    /// What the device's clock and the relay's said then.
    met: Option<(Minute, Minute)>,
    /// What has passed since, as long as this program and that meeting go on.
    #[serde(skip)]
    since: Duration,
    /// When that was, by the device's clock that only moves forward, as long as this program runs.
    #[serde(skip)]
    at: Option<Instant>,
}

/// A moment of [`Lived`], to count an age from. Moments of two relays have nothing to do with each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Serialize, Deserialize)]
pub(crate) struct Moment(u32);

impl Lived {
    /// Adds what has passed since the last meeting: never less than this program has run since.
    pub(crate) fn meet(&mut self, own: Minute, relay: Minute, at: Instant) {
        if let Some((own_then, relay_then)) = self.met {
            let (own, relay) = (own.0.saturating_sub(own_then.0), relay.0.saturating_sub(relay_then.0));
            let ran = self.at.map_or(Duration::ZERO, |then| at.since(then));
            self.minutes = self.minutes.saturating_add(own.min(relay).max(minutes(ran, u64::div_euclid)));
        }
        self.met = Some((own, relay));
        self.since = Duration::ZERO;
        self.at = Some(at);
    }

    /// Notes how long the meeting has gone on.
    pub(crate) fn go_on(&mut self, since: Duration) {
        self.since = since;
    }

    /// Returns the present moment as this device's clocks alone have it: before a relay has answered nobody else says. A wall clock
    /// that jumped ahead makes it too late, which delays an end.
    pub(crate) fn by_own_clock(&self, own: Minute, at: Instant) -> Moment {
        let passed = match (self.at, self.met) {
            (Some(then), _) => minutes(at.since(then), u64::div_ceil),
            (None, Some((own_then, _))) => own.0.saturating_sub(own_then.0),
            (None, None) => 0,
        };
        Moment(self.minutes.saturating_add(passed))
    }

    /// Returns the present moment as far as it is known: that of the last meeting, and what has passed since while it goes on.
    /// A minute begun counts, so that no age is counted from too early a moment.
    pub(crate) fn moment(&self) -> Moment {
        Moment(self.minutes.saturating_add(minutes(self.since, u64::div_ceil)))
    }
}

impl Moment {
    /// Returns the moment this much later, whole minutes only.
    pub(crate) fn after(self, time: Duration) -> Self {
        Self(self.0.saturating_add(minutes(time, u64::div_euclid)))
    }

    /// Returns the minutes since an earlier moment.
    pub(crate) const fn minutes_since(self, earlier: Self) -> u32 {
        self.0.saturating_sub(earlier.0)
    }
}

fn minutes(time: Duration, round: impl Fn(u64, u64) -> u64) -> u32 {
    u32::try_from(round(time.as_secs(), 60)).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a device says that stops after each meeting.
    fn after(meetings: &[(u32, u32)]) -> u32 {
        let mut lived = Lived::default();
        for (own, relay) in meetings {
            lived.meet(Minute(*own), Minute(*relay), Instant::default());
            lived.at = None;
        }
        lived.moment().minutes_since(Moment::default())
    }

    /// What a program says that runs from one meeting to the next.
    fn running(minutes: u64, own: u32, relay: u32) -> u32 {
        let mut lived = Lived::default();
        lived.meet(Minute(29_000_000), Minute(29_000_000), Instant::from_millis(5));
        lived.meet(Minute(own), Minute(relay), Instant::from_millis(5 + minutes * 60_000));
        lived.moment().minutes_since(Moment::default())
    }

    #[test]
    fn before_a_relay_has_answered_a_program_that_runs_needs_no_wall_clock() {
        let mut lived = Lived::default();
        assert_eq!(lived.by_own_clock(Minute(29_000_000), Instant::default()), Moment::default());
        lived.meet(Minute(1_000), Minute(1_000), Instant::default());
        assert_eq!(lived.by_own_clock(Minute(3), Instant::from_millis(7 * 60_000)), Moment(7));
        lived.at = None;
        assert_eq!(lived.by_own_clock(Minute(1_030), Instant::default()), Moment(30));
        assert_eq!(lived.by_own_clock(Minute(3), Instant::default()), Moment(0));
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

    #[test]
    fn a_program_that_runs_on_believes_no_clock_that_is_set_back() {
        assert_eq!(running(1_800, 28_000_000, 29_001_800), 1_800);
        assert_eq!(running(1_800, 29_001_800, 28_000_000), 1_800);
        assert_eq!(running(1_800, 28_000_000, 28_000_000), 1_800);
    }

    #[test]
    fn a_program_that_slept_goes_by_what_two_clocks_say() {
        assert_eq!(running(600, 29_001_800, 29_001_800), 1_800);
        assert_eq!(running(600, 28_000_000, 29_001_800), 600);
        assert_eq!(running(600, 30_000_000, 29_001_800), 1_800);
    }

    #[test]
    fn time_passes_while_a_meeting_goes_on() {
        let mut lived = Lived::default();
        lived.meet(Minute(1_000), Minute(1_000), Instant::default());
        lived.go_on(Duration::from_secs(10 * 3_600 + 1));
        let late = lived.moment();
        lived.meet(Minute(1_000 + 11 * 60), Minute(1_000 + 11 * 60), Instant::from_millis(11 * 3_600_000));
        assert_eq!(
            lived.moment().minutes_since(late),
            59,
            "what came ten hours into a meeting is an hour old after eleven"
        );
    }

    #[test]
    fn what_went_by_within_a_meeting_is_not_taken_back_by_a_clock() {
        let mut lived = Lived::default();
        lived.meet(Minute(1_000), Minute(1_000), Instant::default());
        lived.go_on(Duration::from_secs(600 * 60 + 59));
        lived.meet(Minute(5), Minute(1_600), Instant::from_millis((600 * 60 + 59) * 1_000));
        assert_eq!(lived.moment().minutes_since(Moment::default()), 600);
    }
}
