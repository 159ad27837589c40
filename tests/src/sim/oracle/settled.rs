//! Invariant 9: once faults stop, everything settles before the run ends.
//!
//! The world ends a run when all is settled, or after twice the sum of the transfer times and ten minutes; so what is not settled
//! at the end took too long. Not judged: receipts that are given later on purpose, before their day is over by a clock that was
//! left alone; frames for a thief who took up a link and went away, or for somebody who gave up the link that was answered; the word
//! of somebody whose slot was changed meanwhile; how long the run took when everything settled.

use std::collections::BTreeSet;

use zajil_client::engine::api::{NoteMark, Pairing, Receipts};

use super::Violation;
use super::custody::is_untold;
use super::story::Story;
use crate::sim::plan::{AttackerDeed, Deed, HOUR, MINUTE, Millis, PersonDeed, PersonId};
use crate::sim::record::{Seen, Taken};

/// Longest time after which a receipt that is given later has left, milliseconds: a day, and an hour to get there.
const LATER_MILLIS_MAX: Millis = 25 * HOUR;

/// Frames that wait for one thief, who has no mailbox any more: a session, an answer, a grant.
const THIEFS_FRAMES_MAX: u32 = 3;

/// What pairing takes beside the way of the link, milliseconds: three meetings, a few attempts apart.
const PAIRING_MILLIS: Millis = 5 * MINUTE;

/// Judges a run.
pub(super) fn judge(story: &Story<'_>, violations: &mut Vec<Violation>) {
    let end = story.record.ended_at;
    let mut late = |text: String| violations.push(Violation::new(9, end, text));
    for (serial, (taken_at, taken)) in &story.takings {
        if story.led_nowhere(taken.from, taken.to, *taken_at) {
            continue;
        }
        let shown = story.last_sight(taken.from, taken.number).map(|sight| sight.shown.mark);
        match heard_at(story, *serial, taken.to) {
            Some(heard_at) => {
                if shown != Some(NoteMark::Heard) && owes_receipt(story, taken, heard_at) {
                    late(format!(
                        "person {} heard note {serial} at {heard_at} ms; person {} sees {shown:?} at the end",
                        taken.to, taken.from
                    ));
                }
            }
            None if shown == Some(NoteMark::Expired) || is_shown_as_heard(story, *serial, taken.to) => {}
            None if is_untold(story, *serial, *taken_at, taken) => {}
            None => late(format!(
                "note {serial} of person {} to person {} is {shown:?} at the end, and nobody has listened to it",
                taken.from, taken.to
            )),
        }
    }
    for (who, waiting) in still_waiting(story) {
        late(format!("{waiting} notes and frames of person {who} still wait for the relay"));
    }
    for (one, other) in undecided(story) {
        late(format!("persons {one} and {other} are neither paired, nor do they know why not"));
    }
}

/// When somebody listened to a note and their program took note of it.
fn heard_at(story: &Story<'_>, serial: u32, by: PersonId) -> Option<Millis> {
    let listened = story.heard.iter().filter(|(_, heard)| heard.by == by && heard.serial == Some(serial));
    listened.filter(|(_, heard)| heard.told).map(|(at, _)| *at).next()
}

/// Whether a reader's own list says that they listened: the program may have kept it and had no time to say so.
fn is_shown_as_heard(story: &Story<'_>, serial: u32, by: PersonId) -> bool {
    let mut last = story.numbers_of(by, serial).into_iter().filter_map(|number| story.last_sight(by, number));
    last.any(|sight| sight.shown.mark == NoteMark::Heard)
}

/// Whether a reader has surely told a sender by now that a note was heard.
fn owes_receipt(story: &Story<'_>, taken: &Taken, heard_at: Millis) -> bool {
    let views = story.views(taken.to, taken.from);
    let Some((confirmed, _)) = views.iter().find(|(_, view)| view.pairing == Pairing::Confirmed) else { return false };
    if *confirmed >= heard_at {
        return false;
    }
    // What their list of contacts last showed: receipts are set there, after the pairing, and the program's default is later.
    let told = views.iter().rev().find(|(at, _)| *at < heard_at).map(|(_, view)| view.receipts);
    match told {
        Some(Receipts::AtOnce) => true,
        Some(Receipts::Later) => {
            let clock_was_moved = story.jumps(Some(taken.to)).next().is_some();
            let gone_by = heard_at.saturating_add(LATER_MILLIS_MAX);
            // Who gives none any more before it has left has told nobody, and means it.
            let was_stopped =
                views.iter().any(|(at, view)| (heard_at..=gone_by).contains(at) && view.receipts == Receipts::Off);
            !clock_was_moved && !was_stopped && gone_by <= story.record.ended_at
        }
        Some(Receipts::Off) | None => false,
    }
}

/// What each phone says that still waits at the end.
fn still_waiting(story: &Story<'_>) -> Vec<(PersonId, u32)> {
    let mut last = std::collections::BTreeMap::new();
    for entry in story.record.entries.iter().filter(|entry| entry.at >= story.record.calm_at) {
        if let Seen::PhoneLoad(who, load) = &entry.seen
            && let Some(status) = &load.status
        {
            last.insert(*who, status.waiting);
        }
    }
    let most = |who: PersonId| match (thieves(story, who), unanswered(story, who)) {
        (0, 0) => 0,
        (thieves, unanswered) => {
            let frames = thieves * THIEFS_FRAMES_MAX + unanswered * (THIEFS_FRAMES_MAX + 1);
            frames + count(story.waiting_for_nobody(who).count())
        }
    };
    last.into_iter().filter(|(who, waiting)| *waiting > most(*who)).collect()
}

/// How many links of theirs somebody overheard: frames may wait for ever for whoever took one up and went away.
fn thieves(story: &Story<'_>, who: PersonId) -> u32 {
    let stolen = story.record.entries.iter().filter(|entry| match &entry.seen {
        Seen::Played(event) => {
            matches!(event.deed, Deed::Attacker(AttackerDeed::StealLink { from, .. }) if from == who)
        }
        _ => false,
    });
    count(stolen.count())
}

/// How many links somebody took up whose makers had given them up: a reply waits beside what it let them say, and after a relay has
/// lost its store nobody makes again the mailbox it is for. It is shown as waiting there, and as answered, and is no more than that.
fn unanswered(story: &Story<'_>, who: PersonId) -> u32 {
    let end = story.record.ended_at;
    let others = (0..=PersonId::MAX).take(story.plan.people.len()).filter(|other| *other != who);
    let given_up = others.filter(|other| {
        let view = story.views(who, *other).last();
        let answered = view.is_some_and(|(_, view)| view.pairing == Pairing::Answered);
        answered && story.both_stood_at(who, *other).is_none() && story.fell_within(who, *other, 0, end)
    });
    count(given_up.count())
}

fn count(length: usize) -> u32 {
    u32::try_from(length).unwrap_or(u32::MAX)
}

/// Pairs that began to pair, and of which nobody said how it ended, though there was time for their link to get there after calm.
fn undecided(story: &Story<'_>) -> BTreeSet<(PersonId, PersonId)> {
    let pair = |one: PersonId, other: PersonId| (one.min(other), one.max(other));
    let open_for = story.record.ended_at.saturating_sub(story.record.calm_at);
    let mut open = BTreeSet::new();
    for entry in &story.record.entries {
        match &entry.seen {
            Seen::Played(event) => {
                if let Deed::Person(who, PersonDeed::Pair { with, link_takes, .. }) = &event.deed
                    && link_takes.saturating_add(PAIRING_MILLIS) <= open_for
                {
                    open.insert(pair(*who, *with));
                }
            }
            Seen::Paired(one, other) | Seen::PairingFailed(one, other, _) => {
                open.remove(&pair(*one, *other));
            }
            _ => {}
        }
    }
    open
}

#[cfg(test)]
mod tests {
    use super::super::cases::{Tale, coming, contact, heard, load, out};
    use super::*;
    use crate::sim::plan::DAY;
    use crate::sim::record::{Heard, Shown};
    use zajil_client::engine::api::{ContactView, WaitReason};

    /// Note 9 comes, and nobody listens to it.
    fn unheard() -> Tale {
        let mut tale = Tale::good();
        tale.send(1, 2, 9, 80).arrives(1, 2, 9, 82);
        tale
    }

    #[test]
    fn a_note_that_nobody_listened_to_at_the_end_is_late() {
        unheard().breaks(9, "note 9 of person 1 to person 2 is Some(Delivered) at the end");
        let mut tale = unheard();
        tale.hear(1, 2, 9, 85).is_good();
    }

    /// Note 9 is heard in minute 85, and its sender never gets to know.
    fn untold(receipts: Receipts) -> Tale {
        let mut tale = unheard();
        tale.add(85, Seen::Heard(heard(1, 2, 9))).add(85, Seen::Note(2, coming(1, 9, NoteMark::Heard)));
        tale.change(|seen| match seen {
            Seen::Contact(2, view) => {
                view.receipts = receipts;
                true
            }
            _ => false,
        });
        tale
    }

    #[test]
    fn a_receipt_that_is_given_at_once_has_come_by_the_end() {
        untold(Receipts::AtOnce).breaks(9, "person 2 heard note 9");
        untold(Receipts::Off).is_good();
    }

    #[test]
    fn a_receipt_that_is_given_later_has_come_after_a_day() {
        untold(Receipts::Later).is_good();
        let mut tale = untold(Receipts::Later);
        tale.record.ended_at = 85 * MINUTE + LATER_MILLIS_MAX;
        tale.breaks(9, "person 2 heard note 9");
        tale.play(90, Deed::Person(2, PersonDeed::ClockJump(-60))).is_good();
    }

    #[test]
    fn a_receipt_that_was_to_be_given_later_is_owed_no_more_by_who_gives_none_before_it_has_left() {
        let off_at = |minutes: u64| {
            let mut tale = untold(Receipts::Later);
            tale.record.ended_at = 30 * HOUR + LATER_MILLIS_MAX;
            let entries = tale.record.entries.iter();
            let view = entries.rev().find_map(|entry| match &entry.seen {
                Seen::Contact(2, view) => Some(view.clone()),
                _ => None,
            });
            let view = view.expect("person 2 has a contact");
            tale.add(minutes, Seen::Contact(2, ContactView { receipts: Receipts::Off, ..view }));
            tale
        };
        off_at(89).is_good();
        off_at(28 * 60).breaks(9, "person 2 heard note 9");
    }

    #[test]
    fn a_note_whose_sender_knows_that_its_time_is_over_is_settled() {
        let mut tale = Tale::good();
        tale.send(1, 2, 9, 80);
        tale.record.ended_at = 40 * DAY;
        tale.add(45_000, Seen::Note(1, out(2, 9, NoteMark::Expired))).is_good();
    }

    #[test]
    fn what_still_waits_in_an_outbox_at_the_end_is_late() {
        let mut tale = Tale::good();
        tale.add(90, Seen::PhoneLoad(1, load(3))).is_good();
        tale.add(110, Seen::PhoneLoad(1, load(3))).breaks(9, "3 notes and frames of person 1");
        let thief = Deed::Attacker(AttackerDeed::StealLink { from: 1, to: 3 });
        tale.play(50, thief).is_good();
        tale.add(111, Seen::PhoneLoad(1, load(4))).breaks(9, "4 notes and frames of person 1");
        tale.play(51, Deed::Attacker(AttackerDeed::StealLink { from: 1, to: 2 })).is_good();
    }

    #[test]
    fn a_note_for_a_thief_whose_mailbox_a_relay_lost_waits_for_ever() {
        let mut tale = Tale::good();
        tale.play(50, Deed::Attacker(AttackerDeed::StealLink { from: 1, to: 3 }));
        tale.add(55, Seen::Contact(1, contact(3, Pairing::Unconfirmed)));
        tale.send(1, 3, 9, 60).add(110, Seen::PhoneLoad(1, load(4)));
        tale.without(|seen| *seen == Seen::Note(1, out(3, 9, NoteMark::AtRelay)));
        tale.breaks(9, "4 notes and frames of person 1");
        let refused = Shown { waits: Some(WaitReason::NotHere), ..out(3, 9, NoteMark::OnDevice) };
        tale.add(70, Seen::Note(1, refused)).is_good();
        // Of a true pairing it is late.
        tale.pair(1, 3, 65).breaks(9, "note 9 of person 1");
    }

    #[test]
    fn a_reply_to_a_link_that_was_given_up_waits_for_ever() {
        let mut tale = Tale::good();
        tale.play(50, Deed::Person(3, PersonDeed::Pair { with: 1, in_person: false, link_takes: 0 }));
        tale.add(55, Seen::Contact(1, contact(3, Pairing::Answered)));
        tale.add(80, Seen::PairingFailed(3, 1, "the digits were never compared".into()));
        tale.send(1, 3, 9, 60).add(110, Seen::PhoneLoad(1, load(5)));
        tale.without(|seen| *seen == Seen::Note(1, out(3, 9, NoteMark::AtRelay)));
        tale.breaks(9, "5 notes and frames of person 1");
        let refused = Shown { waits: Some(WaitReason::NotHere), ..out(3, 9, NoteMark::OnDevice) };
        tale.add(70, Seen::Note(1, refused)).is_good();
        tale.add(111, Seen::PhoneLoad(1, load(6))).breaks(9, "6 notes and frames of person 1");
    }

    #[test]
    fn a_pairing_ends_one_way_or_the_other() {
        let mut tale = Tale::good();
        tale.play(60, Deed::Person(3, PersonDeed::Pair { with: 2, in_person: false, link_takes: 0 }));
        tale.breaks(9, "persons 2 and 3 are neither paired");
        tale.add(80, Seen::PairingFailed(3, 2, "the link was used".into())).is_good();
        // A link that is on its way for longer than the calm lasts has not failed.
        let mut tale = Tale::good();
        tale.play(60, Deed::Person(3, PersonDeed::Pair { with: 2, in_person: false, link_takes: 6 * MINUTE }))
            .is_good();
    }

    #[test]
    fn a_note_that_its_reader_shows_as_heard_was_listened_to() {
        let mut tale = unheard();
        tale.add(85, Seen::Heard(Heard { told: false, ..heard(1, 2, 9) }));
        tale.add(86, Seen::Note(2, coming(1, 9, NoteMark::Heard))).is_good();
    }
}
