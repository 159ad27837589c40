//! Invariant 5: one stuck note delays no other.
//!
//! The same plan is played with a note and without it; both links lose nothing. Every other note may come later by what the stuck
//! one took of the link, and by a second. People see when they look: a note counts as late only if its reader looked after
//! the moment at which it had to be there, and did not find it whole.
//!
//! Not judged: notes that only one of the two runs has (what is shorter may let another thing happen), and marks at the sender.

use std::collections::BTreeMap;

use zajil_client::engine::api::Direction;

use super::Violation;
use super::story::{Story, is_whole};
use crate::sim::plan::{Deed, HOUR, Millis, PersonDeed, PersonId, Plan};
use crate::sim::record::{Record, Seen};

/// What a note may be later beside the time of the stuck one's bytes, milliseconds.
const SLACK_MILLIS: Millis = 1_000;
/// What the bytes of a note cost on a link beside themselves, percent.
const OVERHEAD_PERCENT: u64 = 10;
/// Nobody goes longer without looking, milliseconds: the world makes everybody look every hour.
const LOOKS_EVERY_MILLIS: Millis = HOUR;

/// Judges whether note `stuck` held up another: `with` it and `without` it the same was played, over a link of `rate_bits` a second.
pub fn judge_without(with: (&Plan, &Record), without: (&Plan, &Record), stuck: u32, rate_bits: u64) -> Vec<Violation> {
    let (with, without) = (Story::of(with.0, with.1), Story::of(without.0, without.1));
    let sealed = with.takings.get(&stuck).map_or(0, |(_, taken)| u64::from(taken.sealed_bytes));
    let wire_bits = (sealed + sealed * OVERHEAD_PERCENT / 100) * 8;
    let slack = SLACK_MILLIS + wire_bits.saturating_mul(1_000) / rate_bits.max(1);
    let (here, there) = (whole_at(&with), whole_at(&without));
    let mut violations = Vec::new();
    for (serial, (reader, then)) in there.iter().filter(|(serial, _)| **serial != stuck) {
        let due = then.saturating_add(slack);
        let came = here.get(serial).map(|(_, at)| *at);
        let missed = came.is_none_or(|came| came > due) && with.record.ended_at > due;
        if with.takings.contains_key(serial) && missed && looked_in_vain(&with, *reader, due, came) {
            let text = format!(
                "note {serial} came to person {reader} at {came:?} ms; without note {stuck} it did at {then} ms, and was due at {due} ms"
            );
            violations.push(Violation::new(5, due, text));
        }
    }
    violations.sort_by_key(|violation| violation.at);
    violations
}

/// When each note was first seen whole by its reader.
fn whole_at(story: &Story<'_>) -> BTreeMap<u32, (PersonId, Millis)> {
    let mut first = BTreeMap::new();
    for ((who, number), sights) in &story.sights {
        let whole = sights.iter().find(|sight| sight.shown.direction == Direction::In && is_whole(sight.shown.mark));
        if let (Some(serial), Some(sight)) = (story.serial_at(*who, *number), whole) {
            first.entry(serial).or_insert((*who, sight.at));
        }
    }
    first
}

/// Whether a reader looked at their notes after a moment, before the note came.
fn looked_in_vain(story: &Story<'_>, reader: PersonId, due: Millis, came: Option<Millis>) -> bool {
    let until = came.unwrap_or(Millis::MAX);
    let looks = story.record.entries.iter().any(|entry| {
        let theirs = match &entry.seen {
            Seen::Note(who, _) | Seen::Order(who, _) | Seen::Contact(who, _) => *who == reader,
            // Whoever looked and saw nothing new has left no other trace.
            Seen::Played(event) => matches!(
                event.deed,
                Deed::Person(who, PersonDeed::Look | PersonDeed::Listen { .. }) if who == reader
            ),
            _ => false,
        };
        theirs && due < entry.at && entry.at < until
    });
    looks || until.min(story.record.ended_at) > due.saturating_add(LOOKS_EVERY_MILLIS)
}

#[cfg(test)]
mod tests {
    use super::super::cases::Tale;
    use super::*;
    use crate::sim::plan::MINUTE;

    /// Notes 7 and 8; note 9, which is stuck, or is not there; note 8 comes in the minute given.
    fn run(with_stuck: bool, comes: Millis) -> Tale {
        let mut tale = Tale::quiet();
        tale.pair(1, 2, 1).send(1, 2, 7, 20).send(1, 2, 8, 20);
        if with_stuck {
            tale.send(1, 2, 9, 19);
        }
        tale.arrives(1, 2, 7, 30).arrives(1, 2, 8, comes);
        tale
    }

    fn verdict(comes: Millis, rate_bits: u64) -> Vec<Violation> {
        let (with, without) = (run(true, comes), run(false, 30));
        judge_without((&with.plan, &with.record), (&without.plan, &without.record), 9, rate_bits)
    }

    #[test]
    fn a_note_that_another_one_holds_up_is_found() {
        assert_eq!(verdict(30, 20_000), []);
        let found = verdict(45, 20_000);
        assert!(found.len() == 1 && found[0].invariant == 5 && found[0].text.contains("note 8"), "{found:?}");
    }

    #[test]
    fn a_note_may_be_later_by_what_the_other_took_of_the_link() {
        // 16 000 bytes and a tenth take 15 minutes and a half at 150 bit/s.
        assert_eq!(verdict(45, 150), []);
        assert_eq!(verdict(50, 150).len(), 1);
    }

    #[test]
    fn a_note_that_nobody_could_have_seen_earlier_is_not_late() {
        let (mut with, without) = (run(true, 45), run(false, 30));
        with.record.entries.retain(|entry| {
            let reader = matches!(entry.seen, Seen::Note(2, _) | Seen::Order(2, _) | Seen::Contact(2, _));
            !reader || entry.at <= 31 * MINUTE || entry.at >= 46 * MINUTE
        });
        let found = judge_without((&with.plan, &with.record), (&without.plan, &without.record), 9, 20_000);
        assert_eq!(found, []);
    }
}
