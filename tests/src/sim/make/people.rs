//! Who there is, who knows whom, and when they have a link.

use super::Profile;
use super::pace::Pace;
use crate::chance::Chance;
use crate::sim::plan::{DAY, GivesReceipts, HOUR, Habit, MINUTE, Millis, Person, PersonId, Side, TellsSeen};

/// A time with a link.
#[derive(Debug, Clone, Copy)]
pub(super) struct Window {
    pub(super) start: Millis,
    pub(super) end: Millis,
}

/// Two who want to exchange notes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Couple {
    pub(super) inviter: PersonId,
    pub(super) invited: PersonId,
    /// When they begin to pair.
    pub(super) at: Millis,
    pub(super) in_person: bool,
    pub(super) link_takes: Millis,
}

impl Couple {
    /// Returns when their first note may go, if all went well.
    pub(super) const fn ready(&self) -> Millis {
        self.at + self.link_takes + 10 * MINUTE
    }
}

/// People in a town are 30, those of its families who fled are 50.
const TOWN_SHARE: u64 = 3;
const ALL_SHARES: u64 = 8;
/// Contacts one person has at most.
const CONTACTS_MAX: usize = 8;

/// Draws the people; families are over both sides.
pub(super) fn people(pace: &Pace, chance: &mut Chance) -> Vec<Person> {
    let count = chance.between(pace.people.0, pace.people.1);
    let town = (count * TOWN_SHARE / ALL_SHARES).max(1);
    (0..count).map(|place| person(if place < town { Side::Town } else { Side::Camp }, pace, chance)).collect()
}

fn person(side: Side, pace: &Pace, chance: &mut Chance) -> Person {
    Person {
        side,
        habit: *chance.weighted(&[(2, Habit::Daemon), (1, Habit::Commands)]),
        access: (*chance.weighted(pace.access)).into(),
        behind_nat: chance.happens(80),
        receipts: *chance.weighted(&[(1, GivesReceipts::Off), (5, GivesReceipts::Later), (4, GivesReceipts::AtOnce)]),
        seen: *chance.weighted(&[(1, TellsSeen::Off), (5, TellsSeen::SixHours), (4, TellsSeen::Day)]),
        clock_off_minutes: clock_off(chance),
        drift_ppm: drift(chance),
        disk_bytes: None,
    }
}

/// Draws how fast a clock drifts, parts in a million: most crystals are good.
pub(super) fn drift(chance: &mut Chance) -> i32 {
    if chance.happens(70) { signed(chance, 20) } else { signed(chance, 200) }
}

/// Draws how far a clock is off, minutes: mostly a few, seldom a time zone, hardly ever a year, as after an empty
/// battery.
fn clock_off(chance: &mut Chance) -> i32 {
    match chance.below(100) {
        0..60 => 0,
        60..80 => signed(chance, 5),
        80..92 => signed(chance, 12) * 60,
        92..97 => signed(chance, 40) * 24 * 60,
        _ => -365 * 24 * 60,
    }
}

/// Draws a number from `-most` to `most`.
pub(super) fn signed(chance: &mut Chance, most: u32) -> i32 {
    let drawn = chance.below(2 * u64::from(most) + 1);
    i32::try_from(drawn).expect("small") - i32::try_from(most).expect("small")
}

/// Draws who knows whom, and when they pair.
pub(super) fn couples(
    profile: Profile,
    pace: &Pace,
    people: &[Person],
    span: Millis,
    chance: &mut Chance,
) -> Vec<Couple> {
    let known = if profile == Profile::Town { families(people, chance) } else { family(people.len(), chance) };
    known
        .into_iter()
        .map(|(mut inviter, mut invited)| {
            if chance.happens(50) {
                (inviter, invited) = (invited, inviter);
            }
            let near = people[usize::from(inviter)].side == people[usize::from(invited)].side;
            let in_person = near && chance.happens(60);
            let at = if chance.happens(pace.late_pairings) {
                chance.below(span / 2)
            } else {
                chance.spread(&[(0, 5_000), (800, 5 * MINUTE), (1_000, 20 * MINUTE)])
            };
            let link_takes = if in_person { 0 } else { chance.spread(pace.link_takes) };
            Couple { inviter, invited, at, in_person, link_takes }
        })
        .collect()
}

fn id(place: usize) -> PersonId {
    PersonId::try_from(place).expect("towns are small")
}

/// Draws who knows whom among few: everybody somebody, and half as many again.
fn family(count: usize, chance: &mut Chance) -> Vec<(PersonId, PersonId)> {
    let mut known: Vec<_> = (1..count).map(|place| (id(chance.place(place)), id(place))).collect();
    for _ in 0..count / 2 {
        let (one, other) = (chance.place(count), chance.place(count));
        let couple = (id(one.min(other)), id(one.max(other)));
        if one != other && !known.contains(&couple) {
            known.push(couple);
        }
    }
    known
}

/// Draws who knows whom in a town and a camp: families of two to six over both, and friends.
fn families(people: &[Person], chance: &mut Chance) -> Vec<(PersonId, PersonId)> {
    let mut places: Vec<usize> = (0..people.len()).collect();
    chance.shuffle(&mut places);
    let mut known = Vec::new();
    let mut rest = places.as_slice();
    while rest.len() > 1 {
        let drawn = usize::try_from(chance.between(2, 6)).expect("small").min(rest.len());
        // Nobody is left alone: who would be joins the last family.
        let size = if rest.len() - drawn == 1 { rest.len() } else { drawn };
        let (family, others) = rest.split_at(size);
        rest = others;
        for (nth, one) in family.iter().enumerate() {
            known.extend(family[nth + 1..].iter().map(|other| (id(*one.min(other)), id(*one.max(other)))));
        }
    }
    for _ in 0..people.len() / 2 {
        let (one, other) = (chance.place(people.len()), chance.place(people.len()));
        let couple = (id(one.min(other)), id(one.max(other)));
        let contacts = |who: PersonId| known.iter().filter(|(a, b)| *a == who || *b == who).count();
        let room = contacts(couple.0) < CONTACTS_MAX && contacts(couple.1) < CONTACTS_MAX;
        if one != other && !known.contains(&couple) && room {
            known.push(couple);
        }
    }
    known
}

/// Draws when each of `count` people has a link.
pub(super) fn windows(pace: &Pace, count: usize, span: Millis, chance: &Chance) -> Vec<Vec<Window>> {
    (0..count).map(|place| windows_of_one(pace, span, &mut chance.fork(&place.to_string()))).collect()
}

fn windows_of_one(pace: &Pace, span: Millis, chance: &mut Chance) -> Vec<Window> {
    if chance.happens(pace.permanent) {
        return vec![Window { start: 0, end: span }];
    }
    let mut windows = Vec::new();
    // One in eight is dark at the beginning.
    let mut end = 0;
    if chance.happens(88) {
        end = chance.spread(pace.first_window).min(span);
        windows.push(Window { start: 0, end });
    }
    loop {
        let start = awake(end + MINUTE + chance.wait(pace.dark), chance);
        if start >= span {
            return windows;
        }
        end = (start + chance.spread(pace.window)).min(span);
        windows.push(Window { start, end });
    }
}

/// Moves a time at night to the morning, for four of five people: a day begins at eight, the night sixteen hours later.
pub(super) fn awake(at: Millis, chance: &mut Chance) -> Millis {
    if at % DAY >= 16 * HOUR && chance.happens(80) { (at / DAY + 1) * DAY + chance.below(2 * HOUR) } else { at }
}
