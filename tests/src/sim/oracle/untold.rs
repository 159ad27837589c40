//! Whether a sender may not know yet that the time of a note is over: the one delay that invariants 1 and 9 allow.
//!
//! A device's time is what its own clock and its relay's agree has passed from one meeting to the next, and never less than its
//! program ran meanwhile (decision 008). If one of these clocks was set back between two meetings, and the program did not run all
//! the while, no second witness is left, and nothing of that time counts. To believe the other clock alone would let a relay that
//! lies, or a phone whose year was set right, end a lifetime too early. So the delay is meant; it is as long as the time between
//! those two meetings, and no longer.

use std::collections::BTreeSet;

use zajil_client::engine::api::NoteMark;

use super::story::Story;
use crate::sim::plan::{DAY, Deed, HOUR, Habit, MINUTE, Millis, PersonDeed, PersonId};
use crate::sim::record::{Seen, Taken};

/// How often a device looks for what has expired while it meets a relay, milliseconds.
const LOOKED_FOR: Millis = HOUR;
/// How long what left in time may be on its way to the relay, milliseconds.
const ON_ITS_WAY: Millis = MINUTE;

/// How short a link may be there for no meeting to come of it, milliseconds: a greeting over GPRS takes three seconds, a dial that was
/// lost three more.
const TOO_SHORT: Millis = 10_000;

/// Whether a note of so many days, which its sender sees as being at the relay to the end, is over without their having to know.
pub(super) fn may_be(story: &Story<'_>, taken_at: Millis, taken: &Taken, days: u16) -> bool {
    let (from, end) = (taken.from, story.record.ended_at);
    let lifetime = Millis::from(days) * DAY;
    let sights = story.sights.get(&(from, taken.number)).map_or(&[][..], Vec::as_slice);
    let stored = sights.iter().find(|sight| sight.shown.mark == NoteMark::AtRelay).map(|sight| sight.at);
    let is_last = sights.last().is_some_and(|sight| sight.shown.mark == NoteMark::AtRelay);
    let (Some(stored), true) = (stored, is_last) else { return false };
    let begun = story.sends(from).first_from(taken_at).unwrap_or(Millis::MAX);
    let set_back = story.jumps(Some(from)).chain(story.jumps(None)).filter(|(at, by)| *by < 0 && *at >= taken_at);
    let lost: BTreeSet<(Millis, Millis)> = set_back.filter_map(|(at, _)| unwitnessed(story, from, at)).collect();
    // It was at the relay when its sender saw so, or before they went into the dark and its answer was lost.
    let stored = lost.first().map_or(stored, |(went, _)| stored.min(went + ON_ITS_WAY));
    let later: Millis = lost.iter().map(|(went, came)| came - went).sum();
    let is_over = begun.saturating_add(lifetime) <= end;
    later > 0 && is_over && end < stored + lifetime + later + LOOKED_FOR
}

/// The time between the two meetings around a moment, if the program did not run all through it.
fn unwitnessed(story: &Story<'_>, who: PersonId, at: Millis) -> Option<(Millis, Millis)> {
    let end = story.record.ended_at;
    let commands = story.plan.people.get(usize::from(who)).is_some_and(|person| person.habit == Habit::Commands);
    let talks = story.talks(who);
    let (went, came) = if commands {
        // It meets the relay when its owner does something, and all the time in the calm.
        let meetings = story.record.entries.iter().filter(|entry| match &entry.seen {
            Seen::Played(event) => matches!(event.deed, Deed::Person(whose, _) if whose == who),
            _ => false,
        });
        let meetings = meetings.map(|entry| entry.at).chain([story.record.calm_at, end]);
        let meetings = meetings.filter(|met| talks.within(*met, *met).next().is_some());
        let (before, after): (Vec<Millis>, Vec<Millis>) = meetings.partition(|met| *met <= at);
        (before.into_iter().max()?, after.into_iter().min()?)
    } else {
        let mut went = None;
        let mut came = None;
        for (begun, ended) in talks.within(0, end).filter(|(begun, ended)| ended - begun >= TOO_SHORT) {
            if (begun..=ended).contains(&at) {
                return None;
            }
            if ended < at {
                went = Some(ended);
            } else {
                came = came.or(Some(begun));
            }
        }
        (went?, came?)
    };
    let stopped = story.record.entries.iter().filter(|entry| (went..=came).contains(&entry.at));
    let stopped = stopped.filter(|entry| match &entry.seen {
        Seen::Phone(whose, on) => *whose == who && !on,
        // What is in memory is read anew from a disk that failed.
        Seen::Played(event) => match &event.deed {
            Deed::Person(whose, PersonDeed::DiskFault { .. } | PersonDeed::DiskBytes(Some(_))) => *whose == who,
            _ => false,
        },
        _ => false,
    });
    (commands || stopped.count() > 0).then_some((went, came))
}

#[cfg(test)]
mod tests {
    use super::super::cases::{Tale, out};
    use super::*;
    use crate::sim::plan::RelayDeed;
    use crate::sim::record::Entry;

    /// Note 9 leaves at minute 80 with a lifetime of a day; its answer is lost, its sender is in the dark for thirty hours, in which
    /// their clock goes back by a week, and sees at the end that it is at the relay.
    fn set_back(restarts: bool) -> Tale {
        let mut tale = Tale::good();
        tale.add(0, Seen::Phone(1, true)).add(0, Seen::Link(1, true)).add(0, Seen::Relay(true));
        tale.send(1, 2, 9, 80);
        tale.lasts_a_day(9);
        tale.without(|seen| *seen == Seen::Note(1, out(2, 9, NoteMark::AtRelay)));
        tale.add(82, Seen::Link(1, false));
        tale.play(200, Deed::Person(1, PersonDeed::ClockJump(-7 * 24 * 60)));
        if restarts {
            tale.add(300, Seen::Phone(1, false)).add(310, Seen::Phone(1, true));
        }
        let back = 80 + 30 * 60;
        tale.add(back, Seen::Link(1, true)).add(back + 1, Seen::Note(1, out(2, 9, NoteMark::AtRelay)));
        tale.record.calm_at = back * MINUTE;
        tale.record.ended_at = (back + 10) * MINUTE;
        tale
    }

    #[test]
    fn a_sender_whose_program_did_not_run_while_a_clock_was_set_back_may_hear_late_that_a_note_has_expired() {
        set_back(true).is_good();
        set_back(false).breaks(1, "note 9 of person 1 is shown to them as AtRelay");
        let mut commands = set_back(false);
        commands.plan.people[1].habit = Habit::Commands;
        commands.is_good();
        // A day and the thirty hours later they must know.
        let mut later = set_back(true);
        later.record.ended_at += 30 * HOUR;
        later.breaks(1, "note 9 of person 1");
    }

    #[test]
    fn a_link_that_is_there_for_a_moment_is_no_meeting() {
        // Found by seed 2637 (weeks): the link fell silent in the moment in which it came.
        let there_for = |millis: Millis| {
            let mut tale = set_back(true);
            tale.add(210, Seen::Link(1, true));
            tale.record.entries.push(Entry { at: 210 * MINUTE + millis, seen: Seen::Link(1, false) });
            tale.record.entries.sort_by_key(|entry| entry.at);
            tale
        };
        there_for(1).is_good();
        there_for(MINUTE).breaks(1, "note 9 of person 1");
    }

    #[test]
    fn a_clock_that_is_set_ahead_delays_nothing() {
        let mut tale = set_back(true);
        tale.change(|seen| match seen {
            Seen::Played(event) => match &mut event.deed {
                Deed::Person(_, PersonDeed::ClockJump(minutes)) => {
                    *minutes = 60;
                    true
                }
                _ => false,
            },
            _ => false,
        });
        tale.breaks(1, "note 9 of person 1");
        // A relay's that is set back does.
        tale.play(210, Deed::Relay(RelayDeed::WallJump(-600))).is_good();
    }
}
