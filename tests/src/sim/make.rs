//! Makes plans from a profile and a seed: people as they are, links as they are, faults, and somebody who means harm.
//!
//! A plan is the same on every machine: it comes from whole numbers and from [`Chance`] alone. Each part of it draws
//! from a fork of its own, so that more notes do not move a fault. A day begins at a multiple of [`DAY`] and at eight
//! in the morning.

mod audit;
mod faults;
mod harm;
mod life;
mod pace;
mod people;
mod singular;
mod stories;
#[cfg(test)]
mod tests;

use crate::chance::Chance;
use crate::sim::plan::{
    DAY, Deed, Event, HOUR, MINUTE, Millis, Person, PersonDeed, PersonId, Plan, RelayDeed, RelayMachine,
};
use pace::Pace;
use people::{Couple, Window};

/// Which sort of world a plan is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Profile {
    /// A family over both sides for two to four days: narrow links in windows, every kind of fault, some peace in
    /// between.
    Family,
    /// A town of 30 and a camp of 50 with families across, for one day: what speed is measured with.
    Town,
    /// A few people over two months: dark for weeks, notes that expire, sessions used up, clocks wrong at boot.
    Weeks,
    /// A few people for half a day: spells in which links fail every minute, power cut in the middle of big notes.
    Storm,
    /// Disks of phones and relay full, failing, slow and lost; power cut around commits; a mailbox over its quota.
    Disks,
    /// Last words: many of them, precision changed, asked from caches, the relay restarted and lost, clocks wrong.
    Words,
    /// A family's life with somebody who means harm in the middle of it.
    Hostile,
}

impl Profile {
    /// All there are.
    pub const ALL: [Self; 7] =
        [Self::Family, Self::Town, Self::Weeks, Self::Storm, Self::Disks, Self::Words, Self::Hostile];

    /// Returns its name, as `--profile` takes it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Family => "family",
            Self::Town => "town",
            Self::Weeks => "weeks",
            Self::Storm => "storm",
            Self::Disks => "disks",
            Self::Words => "words",
            Self::Hostile => "hostile",
        }
    }

    /// Returns the profile of this name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|profile| profile.name() == name)
    }

    /// Returns the profile that a standard seed is played with: mostly families, seldom weeks, which cost most. A whole town is
    /// played by its name.
    pub fn mixture(seed: u64) -> Self {
        *Chance::new(seed).fork("mixture").weighted(&[
            (50, Self::Family),
            (2, Self::Weeks),
            (14, Self::Storm),
            (13, Self::Disks),
            (11, Self::Words),
            (10, Self::Hostile),
        ])
    }
}

/// Makes the plan of `profile` and `seed`; `days` is how long people live before calm (`None` = as the profile has it).
///
/// Everybody's first event, at 0, says whether they have a link. Every fault that does not end by itself is followed by
/// its end before calm; only being without a link may last until then.
pub fn plan(profile: Profile, seed: u64, days: Option<u32>) -> Plan {
    let mut making = Making::new(profile, seed, days);
    making.live();
    making.talk();
    making.tell();
    making.fail();
    making.harm();
    making.singular(profile);
    making.audit();
    making.weave(profile);
    making.finish(profile, seed)
}

/// How long a relay's sync takes when nothing is wrong with its disk, milliseconds.
const SYNC_MILLIS: u64 = 4;

/// A plan that is being made.
#[derive(Debug)]
struct Making {
    /// Only ever forked.
    chance: Chance,
    pace: Pace,
    /// People live until then.
    span: Millis,
    people: Vec<Person>,
    couples: Vec<Couple>,
    /// When each person has a link, in order.
    windows: Vec<Vec<Window>>,
    relay: RelayMachine,
    events: Vec<Event>,
}

impl Making {
    fn new(profile: Profile, seed: u64, days: Option<u32>) -> Self {
        let chance = Chance::new(seed).fork(profile.name());
        let mut own = chance.fork("frame");
        let pace = Pace::of(profile);
        let drawn = own.between(pace.span.0 / HOUR, pace.span.1 / HOUR) * HOUR;
        let span = days.map_or(drawn, |days| u64::from(days.max(1)) * DAY);
        let relay = RelayMachine {
            disk_bytes: None,
            sync_millis: if own.happens(80) { SYNC_MILLIS } else { own.between(1, 60) },
            drift_ppm: people::drift(&mut chance.fork("relay clock")),
        };
        let people = people::people(&pace, &mut chance.fork("people"));
        let couples = people::couples(profile, &pace, &people, span, &mut chance.fork("couples"));
        let windows = people::windows(&pace, people.len(), span, &chance.fork("windows"));
        Self { chance, pace, span, people, couples, windows, relay, events: Vec::new() }
    }

    /// Returns everybody.
    fn everybody(&self) -> impl Iterator<Item = PersonId> + use<> {
        0..PersonId::try_from(self.people.len()).expect("towns are small")
    }

    /// Draws somebody.
    fn anybody(&self, chance: &mut Chance) -> PersonId {
        PersonId::try_from(chance.place(self.people.len())).expect("towns are small")
    }

    fn push(&mut self, at: Millis, who: PersonId, deed: PersonDeed) {
        self.events.push(Event { at, deed: Deed::Person(who, deed) });
    }

    fn push_relay(&mut self, at: Millis, deed: RelayDeed) {
        self.events.push(Event { at, deed: Deed::Relay(deed) });
    }

    /// Returns the first time from `at` on when somebody has a link, if there is one.
    fn next_link(&self, who: PersonId, at: Millis) -> Option<Millis> {
        let window = self.windows[usize::from(who)].iter().find(|window| window.end > at)?;
        Some(window.start.max(at))
    }

    /// Draws a time when somebody has a link; any time, if they never have one.
    fn time_with_link(&self, who: PersonId, chance: &mut Chance) -> Millis {
        let windows = &self.windows[usize::from(who)];
        if windows.is_empty() {
            return chance.below(self.span);
        }
        let window = *chance.pick(windows);
        chance.between(window.start, window.end)
    }

    /// Puts everything in order, gives notes and words their numbers in order of time, and sets the calm.
    fn finish(self, profile: Profile, seed: u64) -> Plan {
        let mut calm = self.chance.fork("calm");
        let Self { people, relay, events, .. } = self;
        let mut plan = Plan { seed, profile: profile.name().into(), people, relay, events, calm_at: 0 };
        plan.sort();
        let (mut notes, mut words) = (0, 0);
        for event in &mut plan.events {
            match &mut event.deed {
                Deed::Person(_, PersonDeed::Send { serial, .. }) => {
                    notes += 1;
                    *serial = notes;
                }
                Deed::Person(_, PersonDeed::WriteWord { serial, .. }) => {
                    words += 1;
                    *serial = words;
                }
                _ => {}
            }
        }
        let last = plan.events.last().map_or(0, |event| event.at);
        plan.calm_at = last + calm.between(1, 10) * MINUTE;
        plan
    }
}
