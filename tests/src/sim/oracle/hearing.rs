//! Invariant 2: every note is heard once, as it was spoken, by the one it was for, in its sender's order, whatever is missing.
//!
//! Not judged: how the notes of different people stand to each other in a list; whether somebody listens twice; the sound of a
//! prefix (what is there must decode and is compared once it is whole); places of locked notes, which nobody can know. That a
//! missing note holds none back is judged by invariant 9: what is whole is listened to in the end, gaps or not.

use std::collections::{BTreeMap, BTreeSet};

use zajil_client::engine::api::{Direction, NoteMark};

use super::Violation;
use super::story::{Sight, Story};
use crate::sim::plan::{Millis, PersonId};
use crate::sim::record::Heard;

/// Judges a run.
pub(super) fn judge(story: &Story<'_>, violations: &mut Vec<Violation>) {
    for (at, heard) in &story.heard {
        violations.extend(sounds_wrong(story, *at, heard));
    }
    for ((who, number), sights) in &story.sights {
        violations.extend(changes_its_face(*who, *number, sights));
        violations.extend(is_of_nobody(story, *who, sights));
    }
    heard_twice(story, violations);
    places(story, violations);
    lists(story, violations);
}

/// What somebody listens to is what somebody said, to them, all of it.
fn sounds_wrong(story: &Story<'_>, at: Millis, heard: &Heard) -> Option<Violation> {
    let (by, from, number) = (heard.by, heard.from, heard.number);
    if !heard.decodes {
        return Some(Violation::new(3, at, format!("person {by} heard note {number}, which is no sound")));
    }
    let beginning = story.sight_at(by, number, at).is_some_and(|sight| sight.shown.mark == NoteMark::Arriving);
    let Some(serial) = heard.serial else {
        let text = format!("person {by} heard as note {number} of person {from} what nobody ever said");
        return (!beginning).then(|| Violation::new(2, at, text));
    };
    let whole = heard.identical || beginning;
    (!whole).then(|| Violation::new(2, at, format!("person {by} heard note {serial} otherwise than it was spoken")))
}

/// What somebody is shown was sent by the one it is shown from, to them, and was not refused.
fn is_of_nobody(story: &Story<'_>, who: PersonId, sights: &[Sight<'_>]) -> Option<Violation> {
    let sight = sights.iter().find(|sight| sight.shown.direction == Direction::In)?;
    let (from, number) = (sight.shown.other, sight.shown.number);
    let serial = story.serial_at(who, number)?;
    match story.sendings.get(&serial) {
        Some(sending) if (sending.from, sending.to) == (from, who) && sending.at <= sight.at => {}
        Some(sending) => {
            let text = format!(
                "person {who} has note {serial} from person {from}; it was said by person {} to person {}",
                sending.from, sending.to
            );
            return Some(Violation::new(2, sight.at, text));
        }
        None => {
            let text = format!("person {who} has note {serial} from person {from}, which nobody sent");
            return Some(Violation::new(2, sight.at, text));
        }
    }
    let refused = story.refused.contains_key(&serial) && !story.takings.contains_key(&serial);
    let text = format!("person {who} has note {serial}, which the program of person {from} had refused");
    refused.then(|| Violation::new(6, sight.at, text))
}

/// What a note is does not change: not its sender, its way, its place, nor what it sounds like.
fn changes_its_face(who: PersonId, number: u32, sights: &[Sight<'_>]) -> Option<Violation> {
    let first = sights.first()?;
    let changed = sights.windows(2).find_map(|pair| {
        let (before, after) = (pair[0].shown, pair[1].shown);
        let known = |sight: &Sight<'_>| (sight.shown.mark != NoteMark::Locked).then_some(sight.shown.sequence);
        let moved = known(&pair[0]).zip(known(&pair[1])).is_some_and(|(a, b)| a != b);
        let renamed = before.serial.zip(after.serial).is_some_and(|(a, b)| a != b);
        let length = |millis: u32| (millis > 0).then_some(millis);
        let stretched = length(before.duration_millis).zip(length(after.duration_millis)).is_some_and(|(a, b)| a != b);
        let what = match (moved, renamed, stretched) {
            (true, ..) => "place",
            (_, true, _) => "sound",
            (_, _, true) => "length",
            _ => return None,
        };
        Some((pair[1].at, what))
    });
    if let Some((at, what)) = changed {
        return Some(Violation::new(2, at, format!("note {number} of person {who} has changed its {what}")));
    }
    let other =
        |sight: &&Sight<'_>| (sight.shown.other, sight.shown.direction) != (first.shown.other, first.shown.direction);
    let turned = sights.iter().find(other)?;
    Some(Violation::new(2, turned.at, format!("note {number} of person {who} is another person's now")))
}

/// One note has one number at its reader.
fn heard_twice(story: &Story<'_>, violations: &mut Vec<Violation>) {
    for (serial, sending) in &story.sendings {
        let numbers = story.numbers_of(sending.to, *serial);
        if numbers.len() < 2 {
            continue;
        }
        let seen = numbers.iter().filter_map(|number| story.sights.get(&(sending.to, *number))?.first());
        let at = seen.map(|sight| sight.at).max().unwrap_or(story.record.ended_at);
        let text = format!("person {} has note {serial} under the numbers {numbers:?}", sending.to);
        violations.push(Violation::new(2, at, text));
    }
}

/// Whose notes, whether they come, and in the how-manieth pairing.
type Line = (PersonId, bool, usize);

/// Returns to which line of notes a view belongs.
fn line(story: &Story<'_>, who: PersonId, sight: &Sight<'_>) -> Line {
    let (other, number) = (sight.shown.other, sight.shown.number);
    (other, sight.shown.direction == Direction::In, story.pairings_before(who, other, number))
}

/// Every note of a sender has its own place, and places are in the order in which the sender's program took the notes.
fn places(story: &Story<'_>, violations: &mut Vec<Violation>) {
    let mut lines: BTreeMap<(PersonId, Line), BTreeMap<u32, (u32, Millis)>> = BTreeMap::new();
    let mut found = Vec::new();
    for ((who, number), sights) in &story.sights {
        let Some(sight) = sights.iter().find(|sight| sight.shown.mark != NoteMark::Locked) else { continue };
        let key = (*who, line(story, *who, sight));
        let taken_by = lines.entry(key).or_default().insert(sight.shown.sequence, (*number, sight.at));
        if let Some((other, at)) = taken_by {
            let text = format!("notes {other} and {number} of person {who} have the same place");
            found.push(Violation::new(2, at.max(sight.at), text));
        }
    }
    for ((who, _), places) in &lines {
        // The sender's own order, as far as the program said that it took a note.
        let order: Vec<(usize, u32, Millis)> =
            places.values().filter_map(|(number, at)| Some((taken_as(story, *who, *number)?, *number, *at))).collect();
        for pair in order.windows(2) {
            let ((earlier, one, at), (later, other, then)) = (pair[0], pair[1]);
            if earlier > later {
                let text =
                    format!("notes {one} and {other} of person {who} stand in another order than they were said");
                found.push(Violation::new(2, at.max(then), text));
            }
        }
    }
    violations.extend(found);
}

/// Returns the how-manieth of all notes it was that a program took; `None` = no program said so.
fn taken_as(story: &Story<'_>, who: PersonId, number: u32) -> Option<usize> {
    let serial = story.serial_at(who, number).or_else(|| story.outgoing.get(&(who, number)).copied())?;
    story.nth.get(&serial).copied()
}

/// The notes of one sender stand in a list in that sender's order.
fn lists(story: &Story<'_>, violations: &mut Vec<Violation>) {
    let mut told = BTreeSet::new();
    for (at, who, order) in &story.orders {
        if order.iter().collect::<BTreeSet<_>>().len() < order.len() {
            violations.push(Violation::new(2, *at, format!("a note stands twice in the list of person {who}")));
        }
        let mut last: BTreeMap<Line, (u32, u32)> = BTreeMap::new();
        for number in *order {
            let Some(sight) = story.sight_at(*who, *number, *at) else { continue };
            if sight.shown.mark == NoteMark::Locked {
                continue;
            }
            let place = (sight.shown.sequence, *number);
            if let Some(before) = last.insert(line(story, *who, sight), place)
                && before.0 > place.0
                && told.insert((*who, before.1, place.1))
            {
                let text = format!("person {who} is shown note {} before note {number}, which came first", before.1);
                violations.push(Violation::new(2, *at, text));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::cases::{Tale, coming, heard, out};
    use super::*;
    use crate::sim::plan::{Deed, PersonDeed};
    use crate::sim::record::Seen;
    use zajil_client::engine::api::Failure;

    fn heard_otherwise(change: impl Fn(&mut Heard)) -> Tale {
        let mut tale = Tale::good();
        tale.change(|seen| match seen {
            Seen::Heard(heard) if heard.number == 107 => {
                change(heard);
                true
            }
            _ => false,
        });
        tale
    }

    #[test]
    fn a_note_that_sounds_otherwise_than_it_was_spoken_is_found() {
        heard_otherwise(|heard| heard.identical = false).breaks(2, "note 7 otherwise than it was spoken");
        heard_otherwise(|heard| heard.serial = None).breaks(2, "what nobody ever said");
        heard_otherwise(|heard| heard.decodes = false).breaks(3, "which is no sound");
    }

    #[test]
    fn the_beginning_of_a_note_need_not_be_all_of_it() {
        let mut tale = Tale::good();
        let beginning = Heard { identical: false, serial: None, told: false, ..heard(1, 2, 7) };
        tale.add(40, Seen::Heard(beginning)).is_good();
    }

    #[test]
    fn a_note_at_the_wrong_ear_is_found() {
        let mut tale = Tale::good();
        tale.pair(1, 3, 1);
        tale.add(60, Seen::Note(3, coming(1, 7, NoteMark::Delivered)));
        tale.breaks(2, "person 3 has note 7 from person 1; it was said by person 1 to person 2");
        let mut tale = Tale::good();
        tale.add(60, Seen::Note(2, coming(1, 77, NoteMark::Arriving))).breaks(2, "which nobody sent");
    }

    #[test]
    fn a_note_that_was_refused_and_comes_all_the_same_is_found() {
        let mut tale = Tale::good();
        let deed = PersonDeed::Send { to: 2, serial: 9, seconds: 1, lifetime_days: None };
        tale.play(80, Deed::Person(1, deed)).add(80, Seen::NotTaken(1, 9, Failure::DiskFull)).is_good();
        tale.add(90, Seen::Note(2, coming(1, 9, NoteMark::Delivered))).breaks(6, "had refused");
        // Where power was cut in the middle, nobody knows.
        tale.change(|seen| match seen {
            Seen::NotTaken(_, _, failure) => {
                *failure = Failure::Store("the power was cut".into());
                true
            }
            _ => false,
        });
        tale.is_good();
    }

    #[test]
    fn a_note_under_two_numbers_is_heard_twice() {
        let mut tale = Tale::good();
        let second = Shown { number: 300, sequence: 300, ..coming(1, 7, NoteMark::Delivered) };
        tale.add(80, Seen::Note(2, second)).breaks(2, "note 7 under the numbers {107, 300}");
    }

    use crate::sim::record::Shown;

    #[test]
    fn a_note_keeps_its_place_its_sound_its_length_and_its_people() {
        type Change = fn(&mut Shown);
        let cases: [(&str, Change); 5] = [
            ("changed its place", |shown| shown.sequence = 99),
            ("changed its sound", |shown| shown.serial = Some(8)),
            ("changed its length", |shown| shown.duration_millis = 9_999),
            ("another person's", |shown| shown.other = 3),
            ("another person's", |shown| shown.direction = Direction::In),
        ];
        for (text, change) in cases {
            let mut tale = Tale::good();
            let mut shown = out(2, 7, NoteMark::Heard);
            change(&mut shown);
            tale.add(80, Seen::Note(1, shown));
            let found = tale.verdict();
            assert!(found.iter().any(|found| found.invariant == 2 && found.text.contains(text)), "{text}: {found:?}");
        }
    }

    #[test]
    fn a_note_that_was_locked_has_no_place_before_it_is_opened() {
        let mut tale = Tale::good();
        tale.send(1, 2, 9, 80);
        let locked = Shown { sequence: u32::MAX, serial: None, ..coming(1, 9, NoteMark::Locked) };
        tale.add(82, Seen::Note(2, locked)).add(82, Seen::Order(2, vec![107, 108, 109]));
        tale.add(84, Seen::Note(2, coming(1, 9, NoteMark::Delivered))).hear(1, 2, 9, 85);
        tale.is_good();
    }

    #[test]
    fn two_notes_in_one_place_are_found() {
        let mut tale = Tale::good();
        tale.send(1, 2, 9, 80).arrives(1, 2, 9, 82).hear(1, 2, 9, 85).is_good();
        tale.change(|seen| match seen {
            Seen::Note(2, shown) if shown.number == 109 => {
                shown.sequence = 8;
                true
            }
            _ => false,
        });
        tale.breaks(2, "notes 108 and 109 of person 2 have the same place");
    }

    #[test]
    fn places_in_another_order_than_the_notes_were_said_are_found() {
        let mut tale = Tale::good();
        tale.change(|seen| match seen {
            Seen::Note(2, shown) => {
                shown.sequence = 20 - shown.sequence;
                true
            }
            _ => false,
        });
        let found = tale.verdict();
        assert!(found.iter().any(|found| found.text.contains("another order than they were said")), "{found:?}");
    }

    #[test]
    fn a_list_in_which_a_later_note_stands_first_is_found_and_gaps_are_none() {
        let mut tale = Tale::good();
        tale.add(80, Seen::Order(2, vec![108, 107])).breaks(2, "person 2 is shown note 108 before note 107");
        let mut tale = Tale::good();
        tale.add(80, Seen::Order(2, vec![107, 107, 108])).breaks(2, "stands twice");
        let mut tale = Tale::good();
        let gap = |seen: &mut Seen| match seen {
            Seen::Note(2, shown) if shown.number == 108 => {
                shown.sequence = 70;
                true
            }
            _ => false,
        };
        tale.change(gap).is_good();
    }
}
