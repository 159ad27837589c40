//! How much of what happens in a profile: numbers, and why these.

use super::Profile;
use super::faults::{Fault, Fault::*};
use crate::sim::plan::{DAY, HOUR, MINUTE, Millis, SECOND};

/// (per mille, value), as [`Chance::spread`](crate::chance::Chance::spread) takes it.
pub(super) type Quantiles = &'static [(u64, u64)];

/// How much of what happens.
#[derive(Debug, Clone)]
pub(super) struct Pace {
    /// How many people, least and most.
    pub(super) people: (u64, u64),
    /// How long they live before calm, least and most.
    pub(super) span: (Millis, Millis),
    /// Kinds of links by weight.
    pub(super) access: &'static [(u64, &'static str)],
    /// Percent of people whose link is there all the time. They cost most: a daemon's signs of life are 40,000
    /// datagrams a day.
    pub(super) permanent: u64,
    /// Mean time without a link.
    pub(super) dark: Millis,
    /// Length of the first time with a link, in which most people pair.
    pub(super) first_window: Quantiles,
    /// Length of a time with a link.
    pub(super) window: Quantiles,
    /// How long a pairing link is on its way.
    pub(super) link_takes: Quantiles,
    /// Percent of pairings that are not begun at the beginning.
    pub(super) late_pairings: u64,
    /// Mean time between two conversations of anybody.
    pub(super) conversation: Millis,
    /// Length of a note, seconds.
    pub(super) seconds: Quantiles,
    /// Percent of notes whose sender chooses how long they wait.
    pub(super) own_lifetime: u64,
    /// Words a person writes in ten days.
    pub(super) words: u64,
    /// Questions a person asks in ten days.
    pub(super) asks: u64,
    /// Mean time between two changes of what somebody lets relays tell; 0 = never.
    pub(super) change: Millis,
    /// Mean time between two faults anywhere.
    pub(super) fault: Millis,
    /// Kinds of faults by weight.
    pub(super) faults: &'static [(u64, Fault)],
    /// How long a fault lasts that does not end by itself.
    pub(super) trouble: Quantiles,
    /// Mean time between two deeds of somebody who means harm; 0 = never.
    pub(super) harm: Millis,
}

/// Log-normal with a median of 12 s: what people say to phones, seldom more than three minutes.
const SPOKEN: Quantiles =
    &[(0, 1), (100, 3), (250, 6), (500, 12), (750, 24), (900, 44), (970, 85), (995, 180), (999, 300), (1_000, 601)];
/// Notes that are minutes on their way.
const BIG: Quantiles = &[(0, 10), (300, 60), (700, 150), (950, 400), (1_000, 601)];
/// Mostly narrow, as where the network is broken.
const NARROW: &[(u64, &str)] = &[(35, "edge"), (30, "gprs"), (20, "3g"), (6, "vsat"), (4, "siege"), (5, "lan")];
/// From seconds to an hour.
const BRIEF: Quantiles =
    &[(0, 2 * SECOND), (300, 20 * SECOND), (600, 2 * MINUTE), (900, 15 * MINUTE), (1_000, 90 * MINUTE)];
/// Every kind of fault.
const MIXED: &[(u64, Fault)] = &[
    (10, Silent),
    (8, OneWay),
    (8, Rebind),
    (6, OtherAccess),
    (5, UdpBlocked),
    (4, Siege),
    (10, PowerCut),
    (6, SwitchOff),
    (4, PhoneFull),
    (8, CommitFails),
    (5, ClockJump),
    (6, RelayPower),
    (5, RelayStop),
    (4, RelayFull),
    (4, RelaySyncFails),
    (4, RelaySlow),
    (4, RelaySlowCut),
    (1, RelayLost),
    (3, RelayWallJump),
    (5, RelaySilent),
];

/// A family: ten faults a day leave most people some time in between.
const FAMILY: Pace = Pace {
    people: (5, 9),
    span: (2 * DAY, 4 * DAY),
    access: NARROW,
    permanent: 8,
    dark: 14 * HOUR,
    first_window: &[(0, 25 * MINUTE), (1_000, 100 * MINUTE)],
    window: &[(0, MINUTE), (400, 6 * MINUTE), (800, 30 * MINUTE), (1_000, 3 * HOUR)],
    link_takes: &[(0, 30 * SECOND), (600, 5 * MINUTE), (850, 2 * HOUR), (1_000, 20 * HOUR)],
    late_pairings: 20,
    conversation: 200 * MINUTE,
    seconds: SPOKEN,
    own_lifetime: 8,
    words: 6,
    asks: 5,
    change: 30 * HOUR,
    fault: 170 * MINUTE,
    faults: MIXED,
    trouble: BRIEF,
    harm: 0,
};

impl Pace {
    /// Returns the pace of `profile`.
    pub(super) const fn of(profile: Profile) -> Self {
        match profile {
            Profile::Family => FAMILY,
            Profile::Town => Self::town(),
            Profile::Weeks => Self::weeks(),
            Profile::Storm => Self::storm(),
            Profile::Disks => Self::disks(),
            Profile::Words => Self::words(),
            // Half of an ordinary family's faults, so that harm is not done to people who are offline anyway.
            Profile::Hostile => {
                Self { span: (DAY, 2 * DAY), dark: 5 * HOUR, fault: 5 * HOUR, harm: 50 * MINUTE, ..FAMILY }
            }
        }
    }

    const fn town() -> Self {
        Self {
            people: (80, 80),
            span: (DAY, DAY),
            permanent: 6,
            dark: 4 * HOUR,
            first_window: &[(0, 5 * MINUTE), (1_000, 20 * MINUTE)],
            window: &[(0, MINUTE), (600, 4 * MINUTE), (1_000, 10 * MINUTE)],
            link_takes: &[(0, 30 * SECOND), (700, 5 * MINUTE), (1_000, 5 * HOUR)],
            conversation: 12 * MINUTE,
            change: 4 * HOUR,
            fault: 20 * MINUTE,
            ..FAMILY
        }
    }

    const fn weeks() -> Self {
        Self {
            people: (4, 6),
            span: (45 * DAY, 70 * DAY),
            permanent: 0,
            dark: 84 * HOUR,
            window: &[(0, 5 * MINUTE), (700, 40 * MINUTE), (1_000, 6 * HOUR)],
            link_takes: &[(0, MINUTE), (300, HOUR), (700, DAY), (850, 6 * DAY), (1_000, 10 * DAY)],
            late_pairings: 35,
            conversation: 60 * HOUR,
            own_lifetime: 45,
            words: 2,
            asks: 2,
            change: 15 * DAY,
            fault: 44 * HOUR,
            faults: &[
                (8, PowerCut),
                (14, CutAndWrongClock),
                (8, SwitchOff),
                (6, ClockJump),
                (6, Silent),
                (4, OneWay),
                (6, Rebind),
                (3, UdpBlocked),
                (4, CommitFails),
                (2, PhoneFull),
                (5, RelayPower),
                (4, RelayStop),
                (2, RelaySilent),
                (1, RelayLost),
                (2, RelayWallJump),
                (2, RelayFull),
                (2, RelaySlowCut),
            ],
            trouble: &[(0, MINUTE), (500, 2 * HOUR), (900, 2 * DAY), (1_000, 10 * DAY)],
            ..FAMILY
        }
    }

    const fn storm() -> Self {
        Self {
            people: (3, 4),
            span: (12 * HOUR, 12 * HOUR),
            permanent: 50,
            dark: 70 * MINUTE,
            first_window: &[(0, 20 * MINUTE), (1_000, 90 * MINUTE)],
            window: &[(0, 10 * MINUTE), (1_000, 2 * HOUR)],
            link_takes: &[(0, 20 * SECOND), (900, 5 * MINUTE), (1_000, HOUR)],
            late_pairings: 5,
            conversation: 50 * MINUTE,
            seconds: BIG,
            own_lifetime: 5,
            change: 8 * HOUR,
            // Storms are made apart, in spells; these are the faults between them.
            fault: 70 * MINUTE,
            ..FAMILY
        }
    }

    const fn disks() -> Self {
        Self {
            people: (3, 6),
            span: (DAY, 2 * DAY),
            permanent: 20,
            dark: 4 * HOUR,
            conversation: 75 * MINUTE,
            fault: 30 * MINUTE,
            faults: &[
                (8, PhoneFull),
                (20, CommitFails),
                (4, PowerCut),
                (6, RelayFull),
                (8, RelaySyncFails),
                (5, RelaySlow),
                (5, RelaySlowCut),
                (1, RelayLost),
                (7, RelayPower),
                (3, RelayStop),
                (2, Silent),
            ],
            ..FAMILY
        }
    }

    const fn words() -> Self {
        Self {
            people: (4, 7),
            permanent: 10,
            dark: 6 * HOUR,
            conversation: 7 * HOUR,
            words: 25,
            asks: 25,
            change: 4 * HOUR,
            fault: 2 * HOUR,
            faults: &[
                (12, ClockJump),
                (10, CutAndWrongClock),
                (8, RelayWallJump),
                (10, RelayPower),
                (8, RelayStop),
                (4, RelayLost),
                (5, RelaySilent),
                (5, PowerCut),
                (5, Silent),
                (4, OneWay),
                (4, Rebind),
                (5, CommitFails),
                (3, RelaySyncFails),
                (3, RelaySlowCut),
                (2, RelayFull),
            ],
            ..FAMILY
        }
    }
}
