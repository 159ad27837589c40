//! Times and lifetimes. Two clocks, never mixed: [`Instant`] for durations, [`Minute`] and [`Hour`] for what people are
//! told.

use core::time::Duration;

/// A point on a clock that never runs backwards, in milliseconds since an arbitrary start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Instant(u64);

impl Instant {
    /// Makes an instant from milliseconds since the clock's own start.
    pub const fn from_millis(millis: u64) -> Self {
        Self(millis)
    }

    /// Returns milliseconds since the clock's own start.
    pub const fn as_millis(self) -> u64 {
        self.0
    }

    /// Returns the time since `earlier`, zero if `earlier` is later.
    pub const fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(self.0.saturating_sub(earlier.0))
    }

    /// Returns this instant moved on by `duration`.
    #[must_use]
    pub fn after(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)))
    }
}

/// Wall-clock time in whole minutes since 1970-01-01 UTC, as a possibly wrong clock tells it (P1.6).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, serde::Serialize, serde::Deserialize)]
pub struct Minute(pub u32);

impl Minute {
    /// Rounds seconds since 1970 down to a minute; saturates after the year 10 000.
    pub fn from_unix_seconds(seconds: u64) -> Self {
        Self(u32::try_from(seconds / 60).unwrap_or(u32::MAX))
    }

    /// Returns seconds since 1970.
    pub const fn unix_seconds(self) -> u64 {
        self.0 as u64 * 60
    }

    /// Returns the hour this minute lies in.
    pub const fn hour(self) -> Hour {
        Hour(self.0 / 60)
    }
}

impl core::fmt::Debug for Minute {
    /// A minute is when somebody spoke or was seen: it never prints.
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("Minute(..)")
    }
}

/// Wall-clock time in whole hours since 1970-01-01 UTC (P1.6).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, serde::Serialize, serde::Deserialize)]
pub struct Hour(pub u32);

impl core::fmt::Debug for Hour {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("Hour(..)")
    }
}

/// How long a parcel may wait, in hours (P3.3): 1 to 2 160.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Lifetime(u16);

impl Lifetime {
    /// 30 days: what a note gets unless its sender asks for another.
    pub const DEFAULT: Self = Self(30 * 24);
    /// 7 days: pairing parcels.
    pub const PAIRING: Self = Self(7 * 24);
    /// 90 days: the longest there is.
    pub const LONGEST: Self = Self(90 * 24);

    /// Takes hours; `None` for zero or more than 90 days.
    pub const fn from_hours(hours: u16) -> Option<Self> {
        if hours == 0 || hours > Self::LONGEST.0 { None } else { Some(Self(hours)) }
    }

    /// Returns hours, 1 to 2 160.
    pub const fn hours(self) -> u16 {
        self.0
    }
}

/// Time a parcel has spent at relays and on the way between them, in minutes (P3.10).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Age(pub u32);

impl Age {
    /// Returns whether a parcel of this age has outlived `lifetime`.
    pub const fn expired(self, lifetime: Lifetime) -> bool {
        self.0 >= lifetime.0 as u32 * 60
    }
}
