//! Makes a failing plan small: fewer people, fewer events, plainer settings, shorter times, as long as it still fails.

use std::ops::Range;

use super::plan::{
    AttackerDeed, DAY, Deed, Event, HOUR, MINUTE, Millis, Person, PersonDeed, PersonId, Plan, RelayDeed, RelayMachine,
    SECOND,
};

/// Longest gaps between two events that are tried for all gaps at once.
const GAPS: [Millis; 6] = [SECOND, MINUTE, 10 * MINUTE, HOUR, 6 * HOUR, DAY];
/// Times between the last event and calm that are tried.
const BEFORE_CALM: [Millis; 4] = [1, MINUTE, HOUR, DAY];

/// Returns the smallest plan found that still fails: no person, no single event, and no fault with its end can be taken
/// out of it.
///
/// `plan` is taken to fail. `budget` is asked before each try, and nothing is tried once it has said no: what is
/// returned then fails, but need not be the smallest. Every plan that is tried can be played. There is no clock in
/// here.
pub fn shrink(plan: &Plan, still_fails: &mut dyn FnMut(&Plan) -> bool, budget: &mut dyn FnMut() -> bool) -> Plan {
    let mut shrinker = Shrinker { best: plan.clone(), still_fails, budget, spent: false };
    loop {
        let before = shrinker.best.clone();
        shrinker.drop_people();
        shrinker.calm_earlier();
        shrinker.drop_events();
        shrinker.drop_faults();
        shrinker.plainer();
        shrinker.shorter_gaps();
        shrinker.calm_earlier();
        // A plainer plan may need less: all is tried again until nothing changes.
        if shrinker.spent || shrinker.best == before {
            return shrinker.best;
        }
    }
}

struct Shrinker<'a> {
    best: Plan,
    still_fails: &'a mut dyn FnMut(&Plan) -> bool,
    budget: &'a mut dyn FnMut() -> bool,
    spent: bool,
}

impl Shrinker<'_> {
    /// Keeps `plan` if it fails as well.
    fn attempt(&mut self, plan: Plan) -> bool {
        if self.spent || plan == self.best || plan.check().is_err() {
            return false;
        }
        self.spent = !(self.budget)();
        if self.spent || !(self.still_fails)(&plan) {
            return false;
        }
        self.best = plan;
        true
    }

    /// Keeps the plan with this change if it fails as well.
    fn change(&mut self, change: impl FnOnce(&mut Plan)) -> bool {
        let mut plan = self.best.clone();
        change(&mut plan);
        self.attempt(plan)
    }

    /// Takes out halves, quarters, … single ones of `count` things, the last first: what comes after a failure is no
    /// cause of it. `attempt` takes things out and says whether that could be done.
    fn halve(&mut self, count: usize, mut attempt: impl FnMut(&mut Self, Range<usize>) -> bool) {
        let (mut left, mut size) = (count, count);
        while size > 0 && !self.spent {
            let mut end = left;
            while end > 0 && !self.spent {
                let start = end.saturating_sub(size);
                if attempt(self, start..end) {
                    left -= end - start;
                }
                end = start;
            }
            size = if size == 1 { 0 } else { size.div_ceil(2) };
        }
    }

    fn drop_people(&mut self) {
        let mut cast = self.best.cast();
        self.halve(cast.len(), |shrinker, range| {
            let gone: Vec<PersonId> = cast[range.clone()].to_vec();
            let without = |event: &Event| !event.deed.people().iter().any(|who| gone.contains(who));
            let dropped = shrinker.change(|plan| plan.events.retain(without));
            if dropped {
                cast.drain(range);
            }
            dropped
        });
    }

    fn drop_events(&mut self) {
        self.halve(self.best.events.len(), |shrinker, range| {
            shrinker.change(|plan| {
                plan.events.drain(range);
            })
        });
    }

    /// Takes out each thing that begins together with what ends it: alone, either may be needed by the other.
    fn drop_faults(&mut self) {
        let mut first = self.best.events.len();
        while first > 0 && !self.spent {
            first -= 1;
            let Some(state) = self.best.events.get(first).and_then(|event| State::of(&event.deed)) else { continue };
            let later = &self.best.events[first + 1..];
            let Some(end) = later.iter().position(|event| State::of(&event.deed) == Some(state)) else { continue };
            self.change(|plan| {
                plan.events.remove(first + 1 + end);
                plan.events.remove(first);
            });
        }
    }

    /// Tries people, machines and deeds as plain as they can be.
    fn plainer(&mut self) {
        self.change(|plan| {
            plan.people.iter_mut().for_each(|person| *person = Person::plain(person.side));
            plan.relay = plain_relay();
        });
        self.change(|plan| plan.relay = plain_relay());
        for place in 0..self.best.people.len() {
            self.change(|plan| plan.people[place] = Person::plain(plan.people[place].side));
            for field in PLAIN_FIELDS {
                self.change(|plan| field(&mut plan.people[place]));
            }
        }
        for place in 0..self.best.events.len() {
            if self.change(|plan| plainest(&mut plan.events[place].deed)) {
                continue;
            }
            self.change(|plan| default_lifetime(&mut plan.events[place].deed));
            while self.change(|plan| halved(&mut plan.events[place].deed)) {}
        }
    }

    /// Brings events together: all gaps at once, then each by itself.
    fn shorter_gaps(&mut self) {
        for longest in GAPS {
            if self.change(|plan| shorten(plan, |_, gap| gap.min(longest))) {
                break;
            }
        }
        for place in 0..self.best.events.len() {
            for shortest in [0, SECOND, MINUTE] {
                let one = |nth: usize, gap: Millis| if nth == place { gap.min(shortest) } else { gap };
                if self.change(|plan| shorten(plan, one)) {
                    break;
                }
            }
            let half = |nth: usize, gap: Millis| if nth == place && gap > MINUTE { gap / 2 } else { gap };
            while self.change(|plan| shorten(plan, half)) {}
        }
    }

    fn calm_earlier(&mut self) {
        let last = self.best.events.last().map_or(0, |event| event.at);
        for before in BEFORE_CALM {
            if last + before < self.best.calm_at && self.change(|plan| plan.calm_at = last + before) {
                return;
            }
        }
    }
}

/// Something that one event begins and the next of its kind ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Link(PersonId),
    Access(PersonId),
    Udp(PersonId),
    Power(PersonId),
    Disk(PersonId),
    Clock(PersonId),
    RelayPower,
    RelayDisk,
    RelaySync,
    RelayClock,
    RelayCopy,
    RelayLink,
}

impl State {
    fn of(deed: &Deed) -> Option<Self> {
        Some(match deed {
            Deed::Person(who, deed) => match deed {
                PersonDeed::LinkUp | PersonDeed::LinkDown | PersonDeed::LinkSilent | PersonDeed::OneWay { .. } => {
                    Self::Link(*who)
                }
                PersonDeed::Access(_) => Self::Access(*who),
                PersonDeed::Udp { .. } => Self::Udp(*who),
                PersonDeed::PowerCut | PersonDeed::SwitchOff | PersonDeed::SwitchOn => Self::Power(*who),
                PersonDeed::DiskBytes(_) => Self::Disk(*who),
                PersonDeed::ClockJump(_) => Self::Clock(*who),
                _ => return None,
            },
            Deed::Relay(deed) => match deed {
                RelayDeed::PowerCut | RelayDeed::Stop | RelayDeed::Start => Self::RelayPower,
                RelayDeed::DiskBytes(_) => Self::RelayDisk,
                RelayDeed::SyncTakes(_) => Self::RelaySync,
                RelayDeed::WallJump(_) => Self::RelayClock,
                RelayDeed::LinkSilent | RelayDeed::LinkUp => Self::RelayLink,
                RelayDeed::DiskCopied | RelayDeed::CopyRestored => Self::RelayCopy,
                RelayDeed::SyncFails | RelayDeed::DiskLost => return None,
            },
            Deed::Attacker(_) | Deed::Audit { .. } => return None,
        })
    }
}

/// What makes one thing about somebody plain.
const PLAIN_FIELDS: [fn(&mut Person); 8] = [
    |person| person.habit = Person::plain(person.side).habit,
    |person| person.access = Person::plain(person.side).access,
    |person| person.behind_nat = Person::plain(person.side).behind_nat,
    |person| person.receipts = Person::plain(person.side).receipts,
    |person| person.seen = Person::plain(person.side).seen,
    |person| person.clock_off_minutes = Person::plain(person.side).clock_off_minutes,
    |person| person.drift_ppm = Person::plain(person.side).drift_ppm,
    |person| person.disk_bytes = Person::plain(person.side).disk_bytes,
];

const fn plain_relay() -> RelayMachine {
    RelayMachine { disk_bytes: None, sync_millis: 1, drift_ppm: 0 }
}

/// Makes a deed as plain as it can be without being another.
fn plainest(deed: &mut Deed) {
    match deed {
        Deed::Person(_, deed) => match deed {
            PersonDeed::Pair { link_takes, .. } => *link_takes = 0,
            PersonDeed::Send { seconds, lifetime_days, .. } => (*seconds, *lifetime_days) = (1, None),
            PersonDeed::Listen { skip } => *skip = 0,
            PersonDeed::WriteWord { tell_minute, .. } => *tell_minute = false,
            PersonDeed::Access(name) => *name = "lan".into(),
            PersonDeed::DiskFault { commits, .. } => *commits = 0,
            _ => {}
        },
        Deed::Relay(RelayDeed::SyncTakes(millis)) => *millis = plain_relay().sync_millis,
        Deed::Relay(_) => {}
        Deed::Audit { things } => *things = 0,
        Deed::Attacker(deed) => match deed {
            AttackerDeed::ReplayDatagrams { seconds, .. } | AttackerDeed::Truncate { seconds, .. } => *seconds = 1,
            AttackerDeed::Flood { connections: count }
            | AttackerDeed::Hoard { parcels: count }
            | AttackerDeed::Pour { requests: count }
            | AttackerDeed::HoldBack { hours: count }
            | AttackerDeed::Guess { tries: count } => *count = 1,
            AttackerDeed::StealLink { .. } => {}
        },
    }
}

fn default_lifetime(deed: &mut Deed) {
    if let Deed::Person(_, PersonDeed::Send { lifetime_days, .. }) = deed {
        *lifetime_days = None;
    }
}

/// Makes the numbers of a deed half as large; leaves it alone where that would make another deed of it.
fn halved(deed: &mut Deed) {
    match deed {
        Deed::Person(_, deed) => match deed {
            PersonDeed::Pair { link_takes, .. } => *link_takes /= 2,
            PersonDeed::Send { seconds, .. } => *seconds = (*seconds / 2).max(1),
            PersonDeed::DiskFault { commits, .. } => *commits /= 2,
            PersonDeed::ClockJump(minutes) => *minutes /= 2,
            _ => {}
        },
        Deed::Relay(RelayDeed::WallJump(minutes)) => *minutes /= 2,
        Deed::Relay(_) => {}
        Deed::Audit { things } => *things /= 2,
        Deed::Attacker(deed) => match deed {
            AttackerDeed::ReplayDatagrams { seconds, .. } | AttackerDeed::Truncate { seconds, .. } => {
                *seconds = (*seconds / 2).max(1);
            }
            AttackerDeed::Flood { connections: count }
            | AttackerDeed::Hoard { parcels: count }
            | AttackerDeed::Pour { requests: count }
            | AttackerDeed::HoldBack { hours: count }
            | AttackerDeed::Guess { tries: count } => *count = (*count / 2).max(1),
            AttackerDeed::StealLink { .. } => {}
        },
    }
}

/// Gives each gap in front of an event the length that `gap_of` says; calm keeps its distance from the last.
fn shorten(plan: &mut Plan, gap_of: impl Fn(usize, Millis) -> Millis) {
    let (mut was, mut is) = (0, 0);
    for (place, event) in plan.events.iter_mut().enumerate() {
        is += gap_of(place, event.at - was);
        was = event.at;
        event.at = is;
    }
    plan.calm_at = is + (plan.calm_at - was);
}

#[cfg(test)]
mod tests;
