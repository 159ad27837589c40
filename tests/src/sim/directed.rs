//! Schedules that were thought out rather than drawn: one story, and a fault at each place in it.
//!
//! The story: two people pair over a link that one sends the other, one speaks, the other listens, and the first sees
//! that it was heard. All else is a change to it.

pub mod stuck;

use super::plan::{
    AttackerDeed, DAY, Deed, DiskFault, Event, HOUR, Habit, MINUTE, Millis, Person, PersonDeed, PersonId, Plan,
    RelayDeed, RelayMachine, SECOND, Side,
};

/// Who makes the link and speaks.
pub const SPEAKER: PersonId = 0;
/// Who takes up the link and listens.
pub const LISTENER: PersonId = 1;
/// Who is dark in the story of a stuck note, which is for them.
pub const DARK: PersonId = 2;
/// When the two begin to pair.
pub const PAIRS_AT: Millis = SECOND;
/// How long their link is on its way, milliseconds.
const LINK_TAKES: Millis = 5 * SECOND;
/// When the note is spoken. Whoever did not find the digits at once tries again after ten minutes.
pub const SPEAKS_AT: Millis = 11 * MINUTE;
/// When the listener listens, and when the speaker looks what came of it.
/// When it is listened to.
pub const LISTENS_AT: Millis = SPEAKS_AT + 40 * SECOND;
const LOOKS_AT: Millis = LISTENS_AT + 10 * SECOND;
/// Length of the story's note, seconds: 7 kB at 12 kbit/s, which take a second on `edge`.
pub const NOTE_SECONDS: u32 = 4;
/// From a power cut of the relay until somebody starts it again.
const RELAY_DARK: Millis = 8 * SECOND;
/// Twenty years, minutes.
const TWENTY_YEARS: i32 = 20 * 365 * 24 * 60;

/// What stops carrying for a while.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Clog {
    /// A person's link, both ways.
    Both(PersonId),
    /// What a person's phone sends.
    Out(PersonId),
    /// What comes for a person's phone.
    In(PersonId),
    /// The relay's link.
    Relay,
}

impl Clog {
    /// Every one there is between two people and a relay.
    pub const ALL: [Self; 7] = [
        Self::Both(SPEAKER),
        Self::Out(SPEAKER),
        Self::In(SPEAKER),
        Self::Both(LISTENER),
        Self::Out(LISTENER),
        Self::In(LISTENER),
        Self::Relay,
    ];

    fn begins(self) -> Deed {
        match self {
            Self::Both(who) => Deed::Person(who, PersonDeed::LinkSilent),
            Self::Out(who) => Deed::Person(who, PersonDeed::OneWay { out: false }),
            Self::In(who) => Deed::Person(who, PersonDeed::OneWay { out: true }),
            Self::Relay => Deed::Relay(RelayDeed::LinkSilent),
        }
    }

    fn ends(self) -> Deed {
        match self {
            Self::Both(who) | Self::Out(who) | Self::In(who) => Deed::Person(who, PersonDeed::LinkUp),
            Self::Relay => Deed::Relay(RelayDeed::LinkUp),
        }
    }
}

/// The story, over links of this profile, by people with this habit.
pub fn story(access: &str, habit: Habit) -> Plan {
    let person = |side| Person { habit, access: access.to_owned(), ..Person::plain(side) };
    let plan = Plan {
        seed: 1,
        profile: "directed".to_owned(),
        people: vec![person(Side::Town), person(Side::Camp)],
        relay: RelayMachine { disk_bytes: None, sync_millis: 5, drift_ppm: 0 },
        events: Vec::new(),
        calm_at: 0,
    };
    let pair = PersonDeed::Pair { with: LISTENER, in_person: false, link_takes: LINK_TAKES };
    let mut events = vec![
        by(PAIRS_AT, SPEAKER, pair),
        by(SPEAKS_AT, SPEAKER, note(1, LISTENER, NOTE_SECONDS)),
        by(LISTENS_AT, LISTENER, PersonDeed::Listen { skip: 0 }),
        by(LOOKS_AT, SPEAKER, PersonDeed::Look),
    ];
    if habit == Habit::Commands {
        // Whoever has no daemon comes by: for the digits, once they are confirmed, and with the note and what comes of
        // it.
        let digits = [(20, SPEAKER), (30, LISTENER), (40, SPEAKER)].map(|(at, who)| (at * SECOND, who));
        let confirmed = [(30, SPEAKER), (20, LISTENER)].map(|(before, who)| (SPEAKS_AT - before * SECOND, who));
        let notes = [
            (SPEAKS_AT + 5 * SECOND, SPEAKER),
            (LISTENS_AT - 10 * SECOND, LISTENER),
            (LISTENS_AT + 3 * SECOND, LISTENER),
            (LOOKS_AT - 4 * SECOND, SPEAKER),
        ];
        let visits = digits.into_iter().chain(confirmed).chain(notes);
        events.extend(visits.map(|(at, who)| by(at, who, PersonDeed::Sync)));
    }
    with(&plan, events)
}

/// Adds events to a plan, and lets calm come after the last of all.
#[must_use]
pub fn with(plan: &Plan, events: impl IntoIterator<Item = Event>) -> Plan {
    let mut plan = plan.clone();
    plan.events.extend(events);
    plan.sort();
    plan.calm_at = plan.events.last().map_or(0, |event| event.at) + 10 * SECOND;
    plan
}

/// The story in which a phone's power is cut at one commit.
pub fn cut_at_commit(habit: Habit, who: PersonId, commits: u64, fault: DiskFault) -> Plan {
    with(&story("lan", habit), [by(PAIRS_AT / 2, who, PersonDeed::DiskFault { commits, fault })])
}

/// The same, and once more while the phone takes up its work again, at `again`: after so many commits of the recovery.
pub fn cut_again(habit: Habit, who: PersonId, first: u64, again: Millis, second: u64) -> Plan {
    let once = cut_at_commit(habit, who, first, DiskFault::CutAfter);
    with(&once, [by(again, who, PersonDeed::DiskFault { commits: second, fault: DiskFault::CutBefore })])
}

/// A longer note over a thin link, in which the relay's disk takes its time: something to cut the relay's power in.
pub fn long_note() -> Plan {
    let mut plan = story("edge", Habit::Daemon);
    for event in &mut plan.events {
        if let Deed::Person(_, PersonDeed::Send { seconds, .. }) = &mut event.deed {
            *seconds = 3 * NOTE_SECONDS;
        }
    }
    plan.relay.sync_millis = 150;
    plan
}

/// A plan in which the relay's power is cut as well.
pub fn relay_cut_at(plan: &Plan, at: Millis) -> Plan {
    with(plan, [to_relay(at, RelayDeed::PowerCut), to_relay(at + RELAY_DARK, RelayDeed::Start)])
}

/// The same, and once more so shortly after it has started again, while it takes up what it had and phones come back to it.
pub fn relay_cut_again(plan: &Plan, at: Millis, after: Millis) -> Plan {
    let started = at + RELAY_DARK;
    with(
        plan,
        [
            to_relay(at, RelayDeed::PowerCut),
            to_relay(started, RelayDeed::Start),
            to_relay(started + after, RelayDeed::PowerCut),
            to_relay(started + after + RELAY_DARK, RelayDeed::Start),
        ],
    )
}

/// A plan in which the relay is asked to stop, and its power is cut while it does.
pub fn relay_cut_while_it_stops(plan: &Plan, at: Millis, after: Millis) -> Plan {
    with(&relay_cut_at(plan, at + after), [to_relay(at, RelayDeed::Stop)])
}

/// A plan in which something carries nothing for a while, without a word.
pub fn clogged(plan: &Plan, clog: Clog, at: Millis, lasts: Millis) -> Plan {
    with(plan, [Event { at, deed: clog.begins() }, Event { at: at + lasts, deed: clog.ends() }])
}

/// One note of `seconds`, and cuts of the sender's power at these times after it was spoken.
pub fn one_note(access: &str, seconds: u32, cuts: &[Millis]) -> Plan {
    let mut plan = story(access, Habit::Daemon);
    plan.events.retain(|event| event.at < SPEAKS_AT);
    let mut events = vec![
        by(SPEAKS_AT, SPEAKER, note(1, LISTENER, seconds)),
        by(SPEAKS_AT + 10 * MINUTE, LISTENER, PersonDeed::Listen { skip: 0 }),
        by(SPEAKS_AT + 11 * MINUTE, SPEAKER, PersonDeed::Look),
    ];
    for cut in cuts {
        events.push(by(SPEAKS_AT + cut, SPEAKER, PersonDeed::PowerCut));
        events.push(by(SPEAKS_AT + cut + 4 * SECOND, SPEAKER, PersonDeed::SwitchOn));
    }
    with(&plan, events)
}

/// The longest note there is over `edge`, by somebody whose provider forgets all translations every 20 seconds.
pub fn rebound() -> Plan {
    let mut plan = one_note("edge", 600, &[]);
    plan.people[usize::from(SPEAKER)].behind_nat = true;
    with(&plan, (1..=9).map(|nth| by(SPEAKS_AT + nth * 20 * SECOND, SPEAKER, PersonDeed::Rebind)))
}

/// Two notes that cross, and both phones go dark on the way.
pub fn crossing(cut_after: Millis) -> Plan {
    let both = [SPEAKER, LISTENER];
    let cut = both.map(|who| by(SPEAKS_AT + cut_after, who, PersonDeed::PowerCut));
    let on = both.map(|who| by(SPEAKS_AT + cut_after + 5 * SECOND, who, PersonDeed::SwitchOn));
    let back = [
        by(SPEAKS_AT, LISTENER, note(2, SPEAKER, NOTE_SECONDS)),
        by(LISTENS_AT, SPEAKER, PersonDeed::Listen { skip: 0 }),
        by(LOOKS_AT, LISTENER, PersonDeed::Look),
    ];
    with(&story("edge", Habit::Daemon), cut.into_iter().chain(on).chain(back))
}

/// A note that lives for one day and waits for half of it, for somebody whose clock is wrong by so many minutes since
/// before it was spoken; or all clocks jump by them while the note waits.
pub fn wrong_clock(minutes: i32, jumps: bool) -> Plan {
    let mut plan = story("edge", Habit::Daemon);
    plan.events.retain(|event| event.at < SPEAKS_AT);
    let note = PersonDeed::Send { to: LISTENER, serial: 1, seconds: NOTE_SECONDS, lifetime_days: Some(1) };
    let mut events = vec![
        by(SPEAKS_AT - MINUTE, LISTENER, PersonDeed::LinkDown),
        by(SPEAKS_AT, SPEAKER, note),
        by(SPEAKS_AT + 12 * HOUR, LISTENER, PersonDeed::LinkUp),
        by(SPEAKS_AT + 12 * HOUR + MINUTE, LISTENER, PersonDeed::Listen { skip: 0 }),
        by(SPEAKS_AT + 12 * HOUR + 2 * MINUTE, SPEAKER, PersonDeed::Look),
    ];
    if jumps {
        for who in [SPEAKER, LISTENER] {
            events.push(by(SPEAKS_AT + 3 * HOUR, who, PersonDeed::ClockJump(minutes)));
            events.push(by(SPEAKS_AT + 14 * HOUR, who, PersonDeed::ClockJump(-minutes)));
        }
        events.push(to_relay(SPEAKS_AT + 2 * HOUR, RelayDeed::WallJump(minutes)));
    } else {
        events.push(by(SPEAKS_AT - 2 * MINUTE, LISTENER, PersonDeed::ClockJump(minutes)));
    }
    with(&plan, events)
}

/// Two who have paired switch their phones off for so many days; then one speaks, and the other listens.
pub fn after_months(days: u64) -> Plan {
    let mut plan = story("lan", Habit::Daemon);
    plan.events.retain(|event| event.at < SPEAKS_AT);
    let (both, back) = ([SPEAKER, LISTENER], days * DAY);
    let mut events = vec![
        by(back + MINUTE, SPEAKER, note(1, LISTENER, NOTE_SECONDS)),
        by(back + 2 * MINUTE, LISTENER, PersonDeed::Listen { skip: 0 }),
        by(back + 3 * MINUTE, SPEAKER, PersonDeed::Look),
    ];
    events.extend(both.map(|who| by(SPEAKS_AT, who, PersonDeed::SwitchOff)));
    events.extend(both.map(|who| by(back, who, PersonDeed::SwitchOn)));
    with(&plan, events)
}

/// How far clocks are wrong.
pub const WRONG_BY: [i32; 4] = [-TWENTY_YEARS, -36 * 60, 36 * 60, TWENTY_YEARS];

/// The story with somebody in the middle of it who means harm; it goes on until the relay has ended what they left
/// open.
pub fn attacked(deed: AttackerDeed, at: Millis) -> Plan {
    let later = by(at + 5 * MINUTE, SPEAKER, PersonDeed::Look);
    with(&story("edge", Habit::Daemon), [Event { at, deed: Deed::Attacker(deed) }, later])
}

fn note(serial: u32, to: PersonId, seconds: u32) -> PersonDeed {
    PersonDeed::Send { to, serial, seconds, lifetime_days: None }
}

const fn by(at: Millis, who: PersonId, deed: PersonDeed) -> Event {
    Event { at, deed: Deed::Person(who, deed) }
}

const fn to_relay(at: Millis, deed: RelayDeed) -> Event {
    Event { at, deed: Deed::Relay(deed) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_directed_plan_can_be_played() {
        let story = story("edge", Habit::Daemon);
        let mut plans = vec![
            cut_at_commit(Habit::Commands, LISTENER, 9, DiskFault::CutBefore),
            cut_again(Habit::Daemon, SPEAKER, 9, 30 * SECOND, 2),
            relay_cut_at(&long_note(), SPEAKS_AT),
            relay_cut_while_it_stops(&story, SPEAKS_AT, 5),
            relay_cut_again(&story, SPEAKS_AT, 5),
            stuck::Stuck::of(1).with,
            one_note("lan", 30, &[1_000, 9_000]),
            rebound(),
            crossing(900),
            wrong_clock(WRONG_BY[0], false),
            wrong_clock(WRONG_BY[3], true),
            attacked(AttackerDeed::Guess { tries: 1 }, SPEAKS_AT),
        ];
        plans.extend(Clog::ALL.map(|clog| clogged(&story, clog, SPEAKS_AT, 30 * SECOND)));
        for plan in plans {
            assert_eq!(plan.check(), Ok(()));
            assert!(plan.calm_at > plan.events.last().unwrap().at);
        }
    }

    #[test]
    fn what_is_clogged_is_free_again() {
        for clog in Clog::ALL {
            let plan = clogged(&story("lan", Habit::Daemon), clog, 7, 30);
            let at = |at| plan.events.iter().find(|event| event.at == at).map(|event| event.deed.clone());
            assert_eq!((at(7), at(37)), (Some(clog.begins()), Some(clog.ends())));
        }
    }
}
