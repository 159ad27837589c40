//! Receipts that are given later tell nobody when a phone was in contact: none leaves in the hour in which a note came, unless its
//! reader says something themselves, with which it travels.
//!
//! Judged where nothing else can have brought it: the reader was in the dark for longer than anything is put off, comes back, gets the
//! note, and says nothing.
//!
//! Not judged: readers whose clock jumps; and where so much was said that acknowledgements cannot wait.

use zajil_client::limits::{ACKNOWLEDGED_AT_ONCE, LATER_MINUTES_MAX, LATER_MINUTES_MIN};

use super::Violation;
use super::story::{Story, is_whole};
use crate::sim::plan::{Deed, GivesReceipts, MINUTE, Millis, PersonDeed, PersonId};
use crate::sim::record::{Entry, Seen, Taken};

/// Longer than a receipt is put off, with what a crystal may be wrong.
const DARK_MILLIS: Millis = (LATER_MINUTES_MAX as Millis + 30) * MINUTE;
/// Shorter than the shortest time for which one is put off: clocks count minutes.
const SOON_MILLIS: Millis = (LATER_MINUTES_MIN as Millis - 2) * MINUTE;
/// Things that two may have said to each other since the day before the dark: each may be a frame, and its answer another.
const SAID_MAX: usize = ACKNOWLEDGED_AT_ONCE as usize / 2 - 1;

/// Judges a run.
pub(super) fn judge(story: &Story<'_>, violations: &mut Vec<Violation>) {
    for (serial, (taken_at, taken)) in &story.takings {
        let gives = story.plan.people.get(usize::from(taken.to)).map(|person| person.receipts);
        let sights = story.sights.get(&(taken.from, taken.number));
        let told = sights.and_then(|sights| sights.iter().find(|sight| is_whole(sight.shown.mark)));
        let Some(told) = told.filter(|_| gives == Some(GivesReceipts::Later)) else { continue };
        let Some(back) = came_back(story, taken.to, told.at) else { continue };
        // What had come before may have been told while they were in the dark.
        let came_before = *taken_at >= back || story.reach(taken.to).touch(*taken_at, back - 1);
        if !came_before && !may_have_said(story, taken, back, told.at) {
            let (from, to) = (taken.from, taken.to);
            let minutes = (told.at - back) / MINUTE;
            let text = format!(
                "person {from} sees note {serial} as {:?}, and person {to}, who tells that later, came back {minutes} minutes ago",
                told.shown.mark
            );
            violations.push(Violation::new(0, told.at, text));
        }
    }
}

/// Returns when somebody came back from the dark, if that was shortly before a moment.
fn came_back(story: &Story<'_>, who: PersonId, at: Millis) -> Option<Millis> {
    let reach = story.reach(who);
    let (back, _) = reach.within(at.saturating_sub(SOON_MILLIS), at).next()?;
    let since = back.checked_sub(DARK_MILLIS)?;
    (!reach.touch(since, back - 1)).then_some(back)
}

/// Whether the reader of a note may have sealed something for its sender since the dark began, with which receipts travel.
fn may_have_said(story: &Story<'_>, taken: &Taken, back: Millis, until: Millis) -> bool {
    let (from, to) = (taken.from, taken.to);
    let dark = back.saturating_sub(DARK_MILLIS);
    let played = |entry: &&Entry| (dark.saturating_sub(DARK_MILLIS)..=until).contains(&entry.at);
    let mut said = 0;
    for entry in story.record.entries.iter().filter(played) {
        let Seen::Played(event) = &entry.seen else { continue };
        let Deed::Person(who, deed) = &event.deed else { continue };
        let (concerns, moves) = match deed {
            PersonDeed::Send { to: other, .. } | PersonDeed::SetSeen { to: other, .. } => (other, false),
            PersonDeed::Pair { with: other, .. } => (other, true),
            PersonDeed::WriteWord { .. } => (if *who == from { &to } else { &from }, false),
            PersonDeed::ClockJump(_) if *who == to => (&from, true),
            _ => continue,
        };
        if ![(from, to), (to, from)].contains(&(*who, *concerns)) {
            continue;
        }
        said += 1;
        if (*who == to || moves) && entry.at >= dark {
            return true;
        }
    }
    said > SAID_MAX
}

#[cfg(test)]
mod tests {
    use super::super::cases::{Tale, out};
    use super::*;
    use crate::sim::plan::HOUR;
    use zajil_client::engine::api::NoteMark;

    /// Person 2 comes back after so many hours, and person 1 knows so many minutes later that they have note 9.
    fn told(hours: u64, minutes: u64) -> Tale {
        let mut tale = Tale::good();
        tale.plan.people[2].receipts = GivesReceipts::Later;
        let back = 60 + hours * 60;
        tale.add(60, Seen::Link(2, false)).send(1, 2, 9, 80).add(back, Seen::Link(2, true));
        tale.record.ended_at = (hours + 30) * HOUR;
        tale.add(back + minutes, Seen::Note(1, out(2, 9, NoteMark::Delivered)));
        tale
    }

    fn finds(tale: &Tale) -> bool {
        tale.verdict().iter().any(|found| found.invariant == 0 && found.text.contains("who tells that later"))
    }

    #[test]
    fn a_receipt_that_comes_as_soon_as_its_reader_is_back_is_found() {
        assert!(finds(&told(26, 5)) && finds(&told(26, 50)));
        assert!(!finds(&told(26, 61)), "it was put off");
        assert!(!finds(&told(20, 5)), "it may have been owed before");
        let mut at_once = told(26, 5);
        at_once.plan.people[2].receipts = GivesReceipts::AtOnce;
        assert!(!finds(&at_once));
    }

    #[test]
    fn a_receipt_for_what_came_before_the_dark_may_have_been_due_in_it() {
        let mut tale = told(26, 5);
        tale.without(|seen| *seen == Seen::Link(2, false)).add(90, Seen::Link(2, false));
        assert!(!finds(&tale));
    }

    #[test]
    fn a_receipt_that_travels_with_something_else_is_none_too_early() {
        let mut tale = told(26, 5);
        tale.send(2, 1, 10, 200);
        assert!(!finds(&tale));
        let mut tale = told(26, 5);
        tale.play(200, Deed::Person(2, PersonDeed::ClockJump(60)));
        assert!(!finds(&tale));
        let mut tale = told(26, 5);
        for serial in 20..30 {
            tale.send(1, 2, serial, 90);
        }
        assert!(!finds(&tale), "so much cannot wait");
    }
}
