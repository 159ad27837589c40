//! Stories of one stuck note among others, over links that lose nothing, each by the chance of a seed: the same is played without that note,
//! and no other may have been held up by it (invariant 5).
//!
//! Not an ordinary life: where links lose datagrams, one note less gives every later one another fate, and where they come and go, one second
//! decides whether a note still gets into a window. Neither lateness proves anything.

use zajil_net::links::Profile as LinkProfile;

use super::{DARK, LISTENER, LISTENS_AT, PAIRS_AT, SPEAKER, SPEAKS_AT, by, note, story, to_relay, with};
use crate::chance::Chance;
use crate::sim::plan::{
    Event, HOUR, Habit, MINUTE, Millis, Person, PersonDeed, PersonId, Plan, RelayDeed, SECOND, Side,
};

/// The note that is stuck.
pub const STUCK_SERIAL: u32 = 2;
/// The first of the others; the story has one with the number 1.
const OTHERS_FROM: u32 = 3;
/// What the links of a story can be like, but that they lose nothing.
const LINKS: [LinkProfile; 5] =
    [LinkProfile::Lan, LinkProfile::ThirdGeneration, LinkProfile::Edge, LinkProfile::Gprs, LinkProfile::Vsat];
/// Between two looks of those who wait for the others' notes.
const LOOKS_EVERY: Millis = 10 * SECOND;
/// How long they look so often: all the others' notes take a few minutes on the thinnest link.
const LOOKS_FOR: Millis = 15 * MINUTE;

/// Why a note is stuck.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cause {
    /// The relay has lost its disk while the reader is dark: the mailbox is not there, and nobody but its reader can make it.
    NoMailbox,
    /// The sender went dark while the note was on its way: its reader has a part of it.
    HalfCome,
}

/// A story with a stuck note, and the same without.
#[derive(Debug, Clone)]
pub struct Stuck {
    /// Why it is.
    pub cause: Cause,
    /// With the note.
    pub with: Plan,
    /// Without it, and without whoever else it is between, whose control frames would be stuck as well.
    pub without: Plan,
    /// The rate of the thinnest link, bits a second.
    pub rate_bits: u64,
}

impl Stuck {
    /// Draws a story.
    ///
    /// # Panics
    /// If a link that is named here has no rate.
    pub fn of(seed: u64) -> Self {
        let mut chance = Chance::new(seed).fork("a stuck note");
        let link = *chance.pick(&LINKS);
        let (up, down) = link.settings();
        let rate_bits = up.rate_bits.min(down.rate_bits).expect("every link has a rate");
        let cause = *chance.pick(&[Cause::NoMailbox, Cause::HalfCome]);
        let mut plan = story(link.name(), Habit::Daemon);
        plan.seed = seed;
        plan.people.push(Person { side: Side::Camp, ..plan.people[usize::from(LISTENER)].clone() });
        let mut events = match cause {
            Cause::NoMailbox => no_mailbox(&mut chance),
            Cause::HalfCome => half_come(&mut chance),
        };
        for serial in OTHERS_FROM..OTHERS_FROM + u32::try_from(chance.between(1, 4)).expect("a few") {
            let at = SPEAKS_AT - 20 * SECOND + chance.between(0, 3 * MINUTE);
            let (from, to) = if chance.happens(80) { (SPEAKER, LISTENER) } else { (LISTENER, SPEAKER) };
            let seconds = u32::try_from(chance.between(1, 20)).expect("a few");
            events.push(by(at, from, note(serial, to, seconds)));
        }
        for look in 0..LOOKS_FOR / LOOKS_EVERY {
            events.extend([SPEAKER, LISTENER].map(|who| by(LISTENS_AT + look * LOOKS_EVERY, who, PersonDeed::Look)));
        }
        events.push(by(LISTENS_AT + HOUR, DARK, PersonDeed::LinkUp));
        events.push(by(LISTENS_AT + HOUR + 20 * MINUTE, DARK, PersonDeed::Listen { skip: 0 }));
        events.push(by(LISTENS_AT + HOUR + 20 * MINUTE, LISTENER, PersonDeed::Listen { skip: 0 }));
        let with = with(&plan, events);
        let mut without = with.clone();
        without.events.retain(|event| !event.deed.people().contains(&DARK));
        Self { cause, with, without, rate_bits }
    }
}

fn no_mailbox(chance: &mut Chance) -> Vec<Event> {
    let lost = SPEAKS_AT - 2 * MINUTE;
    vec![
        pair_with(SPEAKER),
        by(lost - SECOND, DARK, PersonDeed::LinkDown),
        to_relay(lost, RelayDeed::DiskLost),
        by(SPEAKS_AT - chance.between(1, 20) * SECOND, SPEAKER, stuck_note(DARK, chance.between(1, 60))),
    ]
}

fn half_come(chance: &mut Chance) -> Vec<Event> {
    let spoken = SPEAKS_AT - chance.between(10, 40) * SECOND;
    vec![
        pair_with(LISTENER),
        // Five minutes take longer than this on every link but a local network.
        by(spoken, DARK, stuck_note(LISTENER, chance.between(300, 600))),
        by(spoken + chance.between(2, 6) * SECOND, DARK, PersonDeed::LinkDown),
    ]
}

fn pair_with(who: PersonId) -> Event {
    by(2 * PAIRS_AT, who, PersonDeed::Pair { with: DARK, in_person: false, link_takes: super::LINK_TAKES })
}

fn stuck_note(to: PersonId, seconds: u64) -> PersonDeed {
    note(STUCK_SERIAL, to, u32::try_from(seconds).expect("minutes"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sim::plan::Deed;

    fn sends(plan: &Plan) -> Vec<u32> {
        let serial = |event: &Event| match event.deed {
            Deed::Person(_, PersonDeed::Send { serial, .. }) => Some(serial),
            _ => None,
        };
        let mut serials: Vec<u32> = plan.events.iter().filter_map(serial).collect();
        serials.sort_unstable();
        serials
    }

    #[test]
    fn every_story_has_one_stuck_note_and_others_and_can_do_without_it() {
        let mut causes = Vec::new();
        for seed in 1..40 {
            let Stuck { cause, with, without, rate_bits } = Stuck::of(seed);
            assert_eq!((with.check(), without.check()), (Ok(()), Ok(())));
            let (mut all, others) = (sends(&with), sends(&without));
            assert!(others.len() >= 2 && !others.contains(&STUCK_SERIAL) && rate_bits >= 20_000);
            all.retain(|serial| *serial != STUCK_SERIAL);
            assert_eq!(all, others);
            causes.push(cause);
        }
        assert!(causes.contains(&Cause::NoMailbox) && causes.contains(&Cause::HalfCome));
    }
}
