//! Invariant 1: nothing that was taken is lost before it was heard, or before its sender is told that its time was over.
//!
//! Not judged: what nobody promised. A note sealed for a pairing that never came about at both ends has nowhere to go; one whose
//! taking was never told to anybody (power was cut between commit and answer) may or may not be there. A note that the program
//! shows as *on this device* at the end is late, not lost: that is invariant 9.
//!
//! Expiry is judged by the plan's own time, which no clock in the world can move. A note ages from when a relay has it whole, at the
//! relay and for its sender, however long it took to get there: so its lifetime cannot begin before the sender's phone could first
//! talk to the relay, and while that lasts the relay may not lose it. The crystal of a phone may run fast; a jump of a wall clock
//! may not hasten anything.

use std::collections::{BTreeMap, BTreeSet};

use zajil_client::engine::api::{Direction, NoteMark};
use zajil_net::limits::{IDLE_TIMEOUT, KEEP_ALIVE};

use super::Violation;
use super::story::{Story, is_whole};
use super::untold;
use crate::sim::plan::{DAY, MINUTE, Millis, PersonId};
use crate::sim::record::Taken;

/// Lifetime of a note for which the plan names none, days.
const LIFETIME_DAYS_DEFAULT: u16 = 30;
/// Minutes by which two clocks that count whole minutes may make a lifetime shorter.
const MINUTES_ROUNDED: Millis = 2;

/// Within which time a device notices that a connection is gone over which nothing is awaited.
const NOTICED_WITHIN: Millis = IDLE_TIMEOUT.as_secs() * 1_000 + KEEP_ALIVE.as_secs() * 1_000;

/// Judges a run.
pub(super) fn judge(story: &Story<'_>, violations: &mut Vec<Violation>) {
    vanished(story, violations);
    expired_early(story, violations);
    for (serial, (at, taken)) in &story.takings {
        if is_untold(story, *serial, *at, taken) {
            continue;
        }
        if let Some(text) = fate(story, *serial, *at, taken.from, taken.to, taken.number) {
            violations.push(Violation::new(1, story.record.ended_at, text));
        }
    }
}

/// Whether a note is over, and its sender may not know it yet.
pub(super) fn is_untold(story: &Story<'_>, serial: u32, taken_at: Millis, taken: &Taken) -> bool {
    let days = story.sendings.get(&serial).and_then(|sending| sending.lifetime_days);
    untold::may_be(story, taken_at, taken, days.unwrap_or(LIFETIME_DAYS_DEFAULT))
}

/// A note that a person has seen in their list stays in it.
fn vanished(story: &Story<'_>, violations: &mut Vec<Violation>) {
    let mut known: BTreeMap<PersonId, BTreeMap<u32, Millis>> = BTreeMap::new();
    for (at, taken) in story.takings.values() {
        known.entry(taken.from).or_default().insert(taken.number, *at);
    }
    for ((who, number), sights) in &story.sights {
        if let Some(first) = sights.first() {
            let since = known.entry(*who).or_default().entry(*number).or_insert(first.at);
            *since = (*since).min(first.at);
        }
    }
    let mut told = BTreeSet::new();
    for (at, who, order) in &story.orders {
        let listed: BTreeSet<u32> = order.iter().copied().collect();
        let due = known.get(who).into_iter().flatten().filter(|(_, since)| **since < *at);
        for (number, since) in due.filter(|(number, _)| !listed.contains(number)) {
            let other = story.sight_at(*who, *number, *at).map(|sight| sight.shown.other);
            let excused = other.is_some_and(|other| story.fell_within(*who, other, *since, *at));
            if !excused && told.insert((*who, *number)) {
                let text =
                    format!("note {number} has vanished from the list of person {who}, who knew it at {since} ms");
                violations.push(Violation::new(1, *at, text));
            }
        }
    }
}

/// Says what is wrong with the end of a note that was taken.
fn fate(story: &Story<'_>, serial: u32, taken_at: Millis, from: PersonId, to: PersonId, number: u32) -> Option<String> {
    let arrived = story.numbers_of(to, serial).into_iter().any(|number| {
        story.last_sight(to, number).is_some_and(|sight| is_whole(sight.shown.mark))
            || story.heard.iter().any(|(_, heard)| heard.by == to && heard.number == number)
    });
    if arrived || story.led_nowhere(from, to, taken_at) {
        return None;
    }
    let shown = story.last_sight(from, number).map(|sight| sight.shown.mark);
    match shown {
        Some(NoteMark::Expired) => None,
        // Late, or waiting for somebody to listen: invariant 9.
        Some(NoteMark::OnDevice) | None => None,
        Some(_) if story.has_unnamed(to, from) => None,
        Some(mark) => Some(format!(
            "note {serial} of person {from} is shown to them as {mark:?}, and person {to} has never had it whole"
        )),
    }
}

/// Nobody is told that a note's time is over before it is.
fn expired_early(story: &Story<'_>, violations: &mut Vec<Violation>) {
    for (serial, (taken_at, taken)) in &story.takings {
        let Some(sights) = story.sights.get(&(taken.from, taken.number)) else { continue };
        let mut expired = sights.iter().filter(|sight| sight.shown.mark == NoteMark::Expired);
        let Some(expired) = expired.find(|sight| sight.shown.direction == Direction::Out) else { continue };
        let days = story.sendings.get(serial).and_then(|sending| sending.lifetime_days);
        let lifetime = Millis::from(days.unwrap_or(LIFETIME_DAYS_DEFAULT)) * DAY;
        let slack = drift(story, taken.from, lifetime) + MINUTES_ROUNDED * MINUTE;
        // The relay cannot have had it whole before it can have had a byte of it. But who believes in a connection that has been gone
        // for less than the time it takes to notice cannot know that nothing of what they said then has come.
        let believed = story.talks(taken.from).touch(taken_at.saturating_sub(NOTICED_WITHIN), *taken_at);
        let carried = || story.sends(taken.from).first_from(*taken_at).unwrap_or(Millis::MAX);
        let begun = if believed { *taken_at } else { carried() };
        let agreed = ahead_together(story, taken.from, *taken_at, expired.at);
        let earliest = begun.saturating_add(lifetime).saturating_sub(slack + agreed);
        if expired.at < earliest {
            let text = format!(
                "note {serial} of person {} is shown as expired; its {} days could not be over before {earliest} ms",
                taken.from,
                lifetime / DAY
            );
            violations.push(Violation::new(1, expired.at, text));
        }
    }
}

/// How far two clocks jumped ahead that a device believes where they agree: its own and the relay's. One alone ends nothing.
fn ahead_together(story: &Story<'_>, who: PersonId, from: Millis, to: Millis) -> Millis {
    let ahead = |whose: Option<PersonId>| -> Millis {
        let jumps = story.jumps(whose).filter(|(at, _)| (from..=to).contains(at));
        jumps.map(|(_, minutes)| Millis::try_from(minutes).unwrap_or(0) * MINUTE).sum()
    };
    ahead(Some(who)).min(ahead(None))
}

/// How much shorter a lifetime is by a crystal that runs fast: the device's, or the relay's where the device believes that.
fn drift(story: &Story<'_>, who: PersonId, lifetime: Millis) -> Millis {
    let own = story.plan.people.get(usize::from(who)).map_or(0, |person| person.drift_ppm);
    let ppm = own.unsigned_abs().max(story.plan.relay.drift_ppm.unsigned_abs());
    lifetime.saturating_mul(u64::from(ppm)) / 1_000_000
}

#[cfg(test)]
mod tests {
    use super::super::cases::{Tale, coming, contact, out, taken};
    use super::*;
    use crate::sim::plan::{Deed, PersonDeed, RelayDeed};
    use crate::sim::record::Seen;
    use zajil_client::engine::api::Pairing;

    /// Note 9 of person 1 goes to the relay, and nothing more is seen of it.
    fn forgotten() -> Tale {
        let mut tale = Tale::good();
        tale.send(1, 2, 9, 80);
        tale
    }

    #[test]
    fn a_note_that_the_relay_had_and_nobody_got_is_lost() {
        forgotten().breaks(1, "note 9 of person 1 is shown to them as AtRelay");
        let mut told = forgotten();
        told.arrives(1, 2, 9, 90).hear(1, 2, 9, 95).is_good();
    }

    #[test]
    fn a_note_that_never_left_its_phone_is_late_and_not_lost() {
        let mut tale = forgotten();
        tale.without(|seen| *seen == Seen::Note(1, out(2, 9, NoteMark::AtRelay))).breaks(9, "note 9");
    }

    #[test]
    fn a_note_of_a_pairing_that_never_came_about_at_the_other_end_was_not_promised() {
        let mut tale = Tale::quiet();
        tale.play(1, Deed::Person(1, PersonDeed::Pair { with: 2, in_person: false, link_takes: 0 }));
        tale.add(5, Seen::Contact(2, contact(1, Pairing::Answered)));
        tale.send(2, 1, 9, 6);
        tale.add(50, Seen::PairingFailed(1, 2, "the link was used".into())).is_good();
        tale.add(51, Seen::Contact(2, contact(1, Pairing::Unconfirmed)));
        tale.add(52, Seen::Contact(1, contact(2, Pairing::Unconfirmed)));
        // It came about after all, in a second attempt: what was sealed for the first had nowhere to go.
        tale.is_good();
        tale.send(2, 1, 10, 60).breaks(1, "note 10 of person 2");
    }

    #[test]
    fn a_note_that_was_in_a_list_and_no_longer_is_has_vanished() {
        let mut tale = Tale::good();
        tale.add(80, Seen::Order(1, vec![8])).breaks(1, "note 7 has vanished from the list of person 1");
        let mut tale = Tale::good();
        tale.add(80, Seen::Order(2, vec![107])).breaks(1, "note 108 has vanished from the list of person 2");
        let mut tale = Tale::good();
        tale.add(80, Seen::Order(2, vec![107, 108])).is_good();
    }

    #[test]
    fn a_note_that_a_program_took_and_never_listed_has_vanished() {
        let mut tale = Tale::good();
        let deed = PersonDeed::Send { to: 2, serial: 9, seconds: 1, lifetime_days: None };
        tale.play(80, Deed::Person(1, deed)).add(80, Seen::Taken(taken(1, 2, 9)));
        tale.add(81, Seen::Order(1, vec![7, 8])).breaks(1, "note 9 has vanished");
    }

    /// Note 9 leaves at minute 80 with a lifetime of a day, and is called expired after so many minutes.
    fn expires(after: u64, drift_ppm: i32) -> Tale {
        let mut tale = forgotten();
        tale.lasts_a_day(9);
        tale.plan.people[1].drift_ppm = drift_ppm;
        tale.record.ended_at = 3 * DAY;
        tale.add(80 + after, Seen::Note(1, out(2, 9, NoteMark::Expired)));
        tale
    }

    #[test]
    fn a_note_expires_when_its_time_is_over_and_never_before() {
        expires(24 * 60, 0).is_good();
        expires(24 * 60 - 3, 0).breaks(1, "note 9 of person 1 is shown as expired; its 1 days");
        // A crystal that is wrong by a hundredth is wrong by a quarter of an hour.
        expires(24 * 60 - 10, 10_000).is_good();
        let mut jumped = expires(60, 0);
        jumped.play(100, Deed::Person(1, PersonDeed::ClockJump(24 * 60))).breaks(1, "is shown as expired");
        // Two clocks that jump together are believed; the lesser jump counts.
        jumped.play(101, Deed::Relay(RelayDeed::WallJump(22 * 60))).breaks(1, "is shown as expired");
        jumped.play(102, Deed::Relay(RelayDeed::WallJump(60))).is_good();
    }

    #[test]
    fn the_time_of_a_note_does_not_run_while_no_relay_can_have_it() {
        let mut tale = expires(24 * 60, 0);
        tale.add(70, Seen::Link(1, false)).add(80 + 10, Seen::Link(1, true));
        tale.without(|seen| *seen == Seen::Note(1, out(2, 9, NoteMark::AtRelay)));
        tale.breaks(1, "is shown as expired");
        // What leaves a phone may be kept, though its owner hears nothing back.
        tale.play(79, Deed::Person(1, PersonDeed::OneWay { out: true })).is_good();
    }

    #[test]
    fn who_has_not_noticed_yet_that_their_link_is_gone_may_take_a_note_for_one_that_left() {
        // Found by seed 3878 (family).
        let gone_since = |minute| {
            let mut tale = expires(24 * 60, 0);
            tale.add(minute, Seen::Link(1, false)).add(80 + 10, Seen::Link(1, true));
            tale.without(|seen| *seen == Seen::Note(1, out(2, 9, NoteMark::AtRelay)));
            tale
        };
        gone_since(78).is_good();
        gone_since(77).breaks(1, "is shown as expired");
    }

    #[test]
    fn a_note_that_came_whole_and_was_not_listened_to_is_not_lost() {
        let mut tale = forgotten();
        tale.add(90, Seen::Note(2, coming(1, 9, NoteMark::Delivered))).breaks(9, "note 9");
    }
}
