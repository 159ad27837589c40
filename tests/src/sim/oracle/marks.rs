//! Invariant 3: marks only move forward, and each says what is true.
//!
//! A note out: on this device < at relay < delivered < heard. *Expired* comes only before *delivered*; a receipt that comes later
//! than that still tells the truth, so delivered and heard may follow it. The engine never takes *at relay* back when a relay
//! loses its store, it offers the parcel again; architecture §3.3 allows nothing else, and so does this file. A note in:
//! arriving < delivered < heard; *locked* comes first, if at all: a beginning that could be played and is locked afterwards has lost its key.
//!
//! Not judged: how soon a mark follows what it tells (invariant 9), and bytes durable at a relay, which a phone may forget and ask again.

use zajil_client::engine::api::{Direction, NoteMark, Pairing, Receipts};
use zajil_proto::limits::MARK_DISTANCE_BYTES_MAX;

use super::Violation;
use super::story::{Sight, Story, is_whole};
use crate::sim::plan::{GivesReceipts, MINUTE, Millis, PersonId};
use crate::sim::record::{Seen, Taken};

/// How long before its power goes a phone may have kept that a note was heard without saying so.
const UNSAID_MILLIS: Millis = MINUTE;

/// Judges a run.
pub(super) fn judge(story: &Story<'_>, violations: &mut Vec<Violation>) {
    for ((who, number), sights) in &story.sights {
        for pair in sights.windows(2) {
            violations.extend(steps_back(*who, *number, &pair[0], &pair[1]));
        }
        violations.extend(sights.iter().find(|sight| !fits(sight)).map(|sight| {
            let (way, mark) = (sight.shown.direction, sight.shown.mark);
            Violation::new(3, sight.at, format!("note {number} of person {who} goes {way:?} and is {mark:?}"))
        }));
    }
    for (taken_at, taken) in story.takings.values() {
        receipts(story, *taken_at, taken, violations);
    }
}

/// Whether a mark can be one of a note that goes this way.
const fn fits(sight: &Sight<'_>) -> bool {
    match sight.shown.direction {
        Direction::Out => !matches!(sight.shown.mark, NoteMark::Arriving | NoteMark::Locked),
        Direction::In => !matches!(sight.shown.mark, NoteMark::OnDevice | NoteMark::AtRelay | NoteMark::Expired),
    }
}

/// How far along its way a mark is.
const fn rank(direction: Direction, mark: NoteMark) -> u8 {
    match (direction, mark) {
        (Direction::In, NoteMark::Locked) | (Direction::Out, NoteMark::OnDevice) => 0,
        (Direction::In, NoteMark::Arriving) | (Direction::Out, NoteMark::AtRelay) => 1,
        (Direction::Out, NoteMark::Expired) => 2,
        (_, NoteMark::Delivered) => 3,
        (_, NoteMark::Heard) => 4,
        // What does not fit is told elsewhere.
        _ => 0,
    }
}

fn steps_back(who: PersonId, number: u32, before: &Sight<'_>, after: &Sight<'_>) -> Option<Violation> {
    let way = before.shown.direction;
    let (was, is) = (before.shown.mark, after.shown.mark);
    if rank(way, is) < rank(way, was) {
        let text = format!("note {number} of person {who} was {was:?} and is {is:?}");
        return Some(Violation::new(3, after.at, text));
    }
    // A locked note is whole; what opens must not be a beginning again.
    if was == NoteMark::Locked && is == NoteMark::Arriving {
        let text = format!("note {number} of person {who} was whole and is arriving");
        return Some(Violation::new(3, after.at, text));
    }
    // A tail that its author never vouched for may be dropped, and no more.
    let (had, has) = (before.shown.progress.0, after.shown.progress.0);
    if way == Direction::In && is == NoteMark::Arriving && has.saturating_add(MARK_DISTANCE_BYTES_MAX) < had {
        let text = format!("person {who} had {had} bytes of note {number}, and now {has}");
        return Some(Violation::new(3, after.at, text));
    }
    None
}

/// What a sender is told of a note is true at its reader, and its reader tells such things.
fn receipts(story: &Story<'_>, taken_at: Millis, taken: &Taken, violations: &mut Vec<Violation>) {
    let Some(sights) = story.sights.get(&(taken.from, taken.number)) else { return };
    let Some(first) = sights.iter().find(|sight| is_whole(sight.shown.mark)) else { return };
    let (from, to, serial) = (taken.from, taken.to, taken.serial);
    let claim = |why: &str| format!("person {from} sees note {serial} as {:?}, but {why}", first.shown.mark);
    if let Some(why) = gives_none(story, to, from, taken_at, first.at) {
        violations.push(Violation::new(3, first.at, claim(&why)));
    }
    let on_the_way = story.reach(to).touch(taken_at, first.at) && story.reach(from).touch(taken_at, first.at);
    if !on_the_way {
        let text = claim(&format!("the phones could not talk to the relay since {taken_at} ms"));
        violations.push(Violation::new(3, first.at, text));
    }
    let numbers = story.numbers_of(to, serial);
    if numbers.is_empty() && !story.has_unnamed(to, from) {
        violations.push(Violation::new(3, first.at, claim(&format!("person {to} never had it"))));
    }
    for number in numbers {
        let later = story.sights.get(&(to, number)).into_iter().flatten().filter(|sight| sight.at > first.at);
        if let Some(sight) = later.into_iter().find(|sight| !is_whole(sight.shown.mark)) {
            let text = claim(&format!("person {to} has it as {:?} at {} ms", sight.shown.mark, sight.at));
            violations.push(Violation::new(3, first.at, text));
        }
    }
    if let Some(heard) = sights.iter().find(|sight| sight.shown.mark == NoteMark::Heard)
        && !was_listened_to(story, to, serial, heard.at)
    {
        let text = format!("person {from} sees note {serial} as Heard, but person {to} had not listened to it");
        violations.push(Violation::new(3, heard.at, text));
    }
}

/// Whether somebody had listened to a note, and their program knew.
fn was_listened_to(story: &Story<'_>, reader: PersonId, serial: u32, until: Millis) -> bool {
    let theirs = story.heard.iter().filter(|(at, heard)| *at <= until && heard.by == reader);
    theirs
        .filter(|(_, heard)| heard.serial == Some(serial))
        .any(|(at, heard)| heard.told || power_went(story, reader, *at))
}

/// Whether a phone stopped so soon after a moment that what it was told then may be kept though it never answered.
fn power_went(story: &Story<'_>, who: PersonId, at: Millis) -> bool {
    let soon = at.saturating_sub(UNSAID_MILLIS)..=at.saturating_add(UNSAID_MILLIS);
    story.record.entries.iter().any(|entry| entry.seen == Seen::Phone(who, false) && soon.contains(&entry.at))
}

/// Says why a reader could not have given a receipt for this note.
///
/// What counts is what the reader's own list of contacts showed: before they first set it, the program's default is in force.
fn gives_none(story: &Story<'_>, reader: PersonId, sender: PersonId, taken_at: Millis, at: Millis) -> Option<String> {
    let views = story.views(reader, sender);
    // Seen as not confirmed at this time or later: it was not confirmed then either.
    let unconfirmed = views.iter().rev().take_while(|(seen, _)| *seen >= at);
    let unconfirmed = unconfirmed.chain(views.last()).any(|(_, view)| view.pairing == Pairing::Unconfirmed);
    if unconfirmed {
        return Some(format!("person {reader} has not confirmed person {sender}"));
    }
    let never = story.plan.people.get(usize::from(reader)).map(|person| person.receipts) == Some(GivesReceipts::Off);
    let off = views.iter().find(|(_, view)| view.receipts == Receipts::Off).is_some_and(|(seen, _)| *seen <= taken_at);
    (never && off).then(|| format!("person {reader} gives no receipts"))
}

#[cfg(test)]
mod tests {
    use super::super::cases::{Tale, coming, contact, out};
    use super::*;

    #[test]
    fn a_mark_that_steps_back_is_found_at_both_ends() {
        for mark in [NoteMark::OnDevice, NoteMark::AtRelay, NoteMark::Expired, NoteMark::Delivered] {
            let mut tale = Tale::good();
            tale.add(80, Seen::Note(1, out(2, 7, mark)));
            let found = tale.verdict();
            assert!(found.iter().any(|found| found.invariant == 3 && found.text.contains("was Heard")), "{mark:?}");
        }
        for mark in [NoteMark::Arriving, NoteMark::Delivered, NoteMark::Locked] {
            let mut tale = Tale::good();
            tale.add(80, Seen::Note(2, coming(1, 7, mark)));
            let found = tale.verdict();
            assert!(found.iter().any(|found| found.invariant == 3 && found.text.contains("was Heard")), "{mark:?}");
        }
    }

    #[test]
    fn a_mark_of_the_other_direction_is_found() {
        let mut tale = Tale::good();
        tale.add(80, Seen::Note(1, out(2, 7, NoteMark::Locked)));
        assert!(tale.verdict().iter().any(|found| found.text.contains("goes Out and is Locked")));
    }

    #[test]
    fn a_beginning_keeps_what_its_author_vouched_for() {
        let with = |bytes| {
            let mut tale = Tale::good();
            tale.send(1, 2, 9, 80);
            for (minute, bytes) in [(82, 15_000), (83, bytes)] {
                let mut shown = coming(1, 9, NoteMark::Arriving);
                shown.progress.0 = bytes;
                tale.add(minute, Seen::Note(2, shown));
            }
            tale.arrives(1, 2, 9, 84).hear(1, 2, 9, 88);
            tale
        };
        with(15_000 - 8_192).is_good();
        with(15_000 - 8_193).breaks(3, "had 15000 bytes of note 109");
    }

    #[test]
    fn a_receipt_for_what_the_reader_never_had_is_found() {
        let mut tale = Tale::good();
        tale.send(1, 2, 9, 80).add(85, Seen::Note(1, out(2, 9, NoteMark::Delivered)));
        tale.breaks(3, "sees note 9 as Delivered, but person 2 never had it");
    }

    #[test]
    fn a_receipt_for_what_the_reader_lost_again_is_found() {
        let mut tale = Tale::good();
        tale.send(1, 2, 9, 80).add(85, Seen::Note(1, out(2, 9, NoteMark::Delivered)));
        tale.add(86, Seen::Note(2, coming(1, 9, NoteMark::Arriving)));
        tale.add(87, Seen::Note(2, coming(1, 9, NoteMark::Delivered))).hear(1, 2, 9, 88);
        tale.breaks(3, "but person 2 has it as Arriving at");
    }

    #[test]
    fn a_receipt_between_phones_that_could_not_talk_is_found() {
        let mut tale = Tale::good();
        tale.add(18, Seen::Link(2, false)).add(45, Seen::Link(2, true));
        tale.breaks(3, "could not talk to the relay");
        let mut tale = Tale::good();
        tale.add(18, Seen::Link(2, false)).add(40, Seen::Link(2, true)).is_good();
    }

    #[test]
    fn heard_before_anybody_listened_is_found() {
        let mut tale = Tale::good();
        tale.add(49, Seen::Note(1, out(2, 7, NoteMark::Heard)));
        let found = tale.verdict();
        assert!(found[0].invariant == 3 && found[0].text.contains("had not listened"), "{found:?}");
    }

    #[test]
    fn a_phone_that_went_off_may_have_kept_what_it_could_not_say() {
        let untold = |seen: &mut Seen| match seen {
            Seen::Heard(heard) if heard.number == 107 => {
                heard.told = false;
                true
            }
            _ => false,
        };
        let mut tale = Tale::good();
        tale.change(untold);
        let has = |tale: &Tale| tale.verdict().iter().any(|found| found.text.contains("had not listened"));
        assert!(has(&tale));
        tale.add(50, Seen::Phone(2, false)).add(51, Seen::Phone(2, true));
        assert!(!has(&tale));
    }

    #[test]
    fn who_gives_no_receipts_gives_none() {
        let mut tale = Tale::good();
        tale.plan.people[2].receipts = GivesReceipts::Off;
        tale.is_good();
        let off = |seen: &mut Seen| match seen {
            Seen::Contact(2, view) => {
                view.receipts = Receipts::Off;
                true
            }
            _ => false,
        };
        tale.change(off).breaks(3, "person 2 gives no receipts");
    }

    #[test]
    fn who_is_not_confirmed_gets_no_receipts() {
        let mut tale = Tale::good();
        tale.add(45, Seen::Contact(2, contact(1, Pairing::Unconfirmed)));
        tale.breaks(3, "person 2 has not confirmed person 1");
        let mut tale = Tale::good();
        tale.add(4, Seen::Contact(2, contact(1, Pairing::Unconfirmed))).is_good();
    }
}
