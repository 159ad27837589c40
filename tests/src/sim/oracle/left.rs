//! Invariant 8, at its owner's end: a word lies at the relay for those who may see it, and for nobody else. Who turns *last seen* off
//! for somebody takes the slot away, and the word in it; and it stays off until they turn it on.
//!
//! Slots are counted, since nobody but a phone and its contact knows whose is whose.
//!
//! Not judged: slots without a word; what a copy of the relay's disk brought back that was taken away after it was made.

use zajil_client::engine::api::{ContactView, Pairing, SeenPrecision};

use super::Violation;
use super::story::Story;
use crate::sim::plan::{AttackerDeed, Deed, Millis, PersonDeed, PersonId, RelayDeed, TellsSeen};
use crate::sim::record::{Entry, Seen};

/// Slots that an attacker makes of their own, to see whether others can be guessed.
const GUESSING_SLOTS: usize = 3;

/// Judges a run.
pub(super) fn judge(story: &Story<'_>, violations: &mut Vec<Violation>) {
    for entry in &story.record.entries {
        let Seen::WordsLeft(words) = &entry.seen else { continue };
        let most = open(story) + strange(story);
        if usize::try_from(*words).is_ok_and(|words| words > most) {
            let text = format!("words of {words} slots lie at the relay, and {most} people may be shown one");
            violations.push(Violation::new(8, entry.at, text));
        }
    }
    for ((owner, reader), views) in &story.contacts {
        for pair in views.windows(2) {
            if turned_on_by_itself(story, (*owner, *reader), &pair[0], &pair[1]) {
                let text = format!(
                    "person {owner} let relays tell person {reader} nothing, and now it is {:?}",
                    pair[1].1.seen
                );
                violations.push(Violation::new(8, pair[1].0, text));
            }
        }
    }
}

/// Whether an owner's list shows that somebody may see their word again, though they only ever turned that off since.
fn turned_on_by_itself(
    story: &Story<'_>,
    (owner, reader): (PersonId, PersonId),
    (before_at, before): &(Millis, &ContactView),
    (after_at, after): &(Millis, &ContactView),
) -> bool {
    if before.seen != SeenPrecision::Off || after.seen == SeenPrecision::Off {
        return false;
    }
    let set = story.record.entries.iter().filter_map(played).filter_map(|(at, deed)| match deed {
        Deed::Person(who, PersonDeed::SetSeen { to, tells }) if (*who, *to) == (owner, reader) => Some((at, *tells)),
        _ => None,
    });
    let last = set.take_while(|(at, _)| at <= after_at).last();
    let Some((off, _)) = last.filter(|(at, tells)| at <= before_at && *tells == TellsSeen::Off) else { return false };
    // At the end of a pairing people say what the other is told, whatever they said before; and who gives one up and invites anew has
    // a new contact.
    !story.record.entries.iter().any(|entry| match entry.seen {
        Seen::Paired(one, other) => entry.at >= off && [(one, other), (other, one)].contains(&(owner, reader)),
        Seen::PairingFailed(inviter, invited, _) => {
            (off..=*after_at).contains(&entry.at) && (inviter, invited) == (owner, reader)
        }
        _ => false,
    })
}

/// How many may be shown somebody's word, each counted for each owner.
fn open(story: &Story<'_>) -> usize {
    story.contacts.iter().filter(|((owner, reader), views)| is_open(story, *owner, *reader, views)).count()
}

/// Whether an owner may have left a word for a reader, and not taken it back since.
fn is_open(story: &Story<'_>, owner: PersonId, reader: PersonId, views: &[(Millis, &ContactView)]) -> bool {
    let Some((_, last)) = views.last() else { return false };
    if last.pairing != Pairing::Confirmed || last.seen == SeenPrecision::Off {
        return false;
    }
    // Only who is confirmed is left a word; and a slot that was taken away, as its owner has seen, went with its word.
    let before = views.iter().rev().find(|(_, view)| view.pairing != Pairing::Confirmed).map_or(0, |(at, _)| *at);
    let seen_off = views.iter().rev().find(|(_, view)| view.seen == SeenPrecision::Off).map_or(0, |(at, _)| *at);
    let played = || story.record.entries.iter().filter_map(played);
    let takes_back = Deed::Person(owner, PersonDeed::SetSeen { to: reader, tells: TellsSeen::Off });
    let taken_back =
        played().filter(|(at, deed)| *at <= seen_off && **deed == takes_back).map(|(at, _)| at).next_back();
    let since = before.max(taken_back.unwrap_or(0));
    played().any(|(at, deed)| {
        at >= since && matches!(deed, Deed::Person(who, PersonDeed::WriteWord { .. }) if *who == owner)
    })
}

/// Returns what was played, and when.
fn played(entry: &Entry) -> Option<(Millis, &Deed)> {
    match &entry.seen {
        Seen::Played(event) => Some((entry.at, &event.deed)),
        _ => None,
    }
}

/// How many slots may be there beside these.
fn strange(story: &Story<'_>) -> usize {
    let played: Vec<(Millis, &Deed)> = story.record.entries.iter().filter_map(played).collect();
    let guesses = played.iter().filter(|(_, deed)| matches!(deed, Deed::Attacker(AttackerDeed::Guess { .. }))).count();
    let restored = played.iter().rev().find(|(_, deed)| **deed == Deed::Relay(RelayDeed::CopyRestored));
    let brought_back = restored.map_or(0, |(at, _)| {
        let off = |(when, deed): &&(Millis, &Deed)| {
            when <= at && matches!(deed, Deed::Person(_, PersonDeed::SetSeen { tells: TellsSeen::Off, .. }))
        };
        played.iter().filter(off).count()
    });
    GUESSING_SLOTS * guesses + brought_back
}

#[cfg(test)]
mod tests {
    use super::super::cases::{Tale, contact};
    use super::*;

    /// Persons 1 and 2 have both written a word, and may each be shown the other's.
    fn left(words: u64) -> Tale {
        let mut tale = Tale::good();
        tale.write_word(2, 4, 65).add(110, Seen::WordsLeft(words));
        tale
    }

    #[test]
    fn a_word_that_lies_at_the_relay_for_nobody_is_found() {
        left(2).is_good();
        left(3).breaks(8, "words of 3 slots lie at the relay, and 2 people");
        let mut tale = Tale::good();
        tale.add(110, Seen::WordsLeft(2)).breaks(8, "words of 2 slots lie at the relay, and 1 people");
    }

    #[test]
    fn a_word_that_its_owner_has_taken_back_since_is_found() {
        let sets = |tale: &mut Tale, minute, tells, seen| {
            tale.play(minute, Deed::Person(1, PersonDeed::SetSeen { to: 2, tells }));
            tale.add(minute, Seen::Contact(1, ContactView { seen, ..contact(2, Pairing::Confirmed) }));
        };
        let mut tale = left(2);
        sets(&mut tale, 80, TellsSeen::Off, SeenPrecision::Off);
        tale.breaks(8, "words of 2 slots lie at the relay, and 1 people");
        sets(&mut tale, 85, TellsSeen::SixHours, SeenPrecision::SixHours);
        tale.breaks(8, "words of 2 slots lie at the relay, and 1 people");
        tale.write_word(1, 5, 90).is_good();
    }

    #[test]
    fn what_was_turned_off_and_turns_itself_on_is_found() {
        let sees = |tale: &mut Tale, minute, seen| {
            tale.add(minute, Seen::Contact(1, ContactView { seen, ..contact(2, Pairing::Confirmed) }));
        };
        let mut tale = left(1);
        tale.play(80, Deed::Person(1, PersonDeed::SetSeen { to: 2, tells: TellsSeen::Off }));
        sees(&mut tale, 80, SeenPrecision::Off);
        tale.is_good();
        tale.write_word(1, 5, 90);
        sees(&mut tale, 91, SeenPrecision::SixHours);
        tale.breaks(8, "let relays tell person 2 nothing, and now it is SixHours");
        tale.play(85, Deed::Person(1, PersonDeed::SetSeen { to: 2, tells: TellsSeen::Day })).is_good();
    }

    #[test]
    fn whoever_is_invited_anew_is_a_new_contact() {
        // Found by seed 2957 (family).
        let sees = |tale: &mut Tale, minute, seen| {
            tale.add(minute, Seen::Contact(1, ContactView { seen, ..contact(3, Pairing::Invited) }));
        };
        let mut tale = left(1);
        tale.play(80, Deed::Person(1, PersonDeed::SetSeen { to: 3, tells: TellsSeen::Off }));
        sees(&mut tale, 80, SeenPrecision::Off);
        sees(&mut tale, 91, SeenPrecision::SixHours);
        tale.breaks(8, "let relays tell person 3 nothing, and now it is SixHours");
        tale.add(85, Seen::PairingFailed(1, 3, "the link is over".into())).is_good();
    }

    #[test]
    fn what_an_old_copy_brought_back_and_what_an_attacker_made_is_nobodys_fault() {
        let mut tale = left(3);
        tale.play(100, Deed::Attacker(AttackerDeed::Guess { tries: 1 })).is_good();
        let off = Deed::Person(3, PersonDeed::SetSeen { to: 2, tells: TellsSeen::Off });
        left(3).play(80, off.clone()).play(81, Deed::Relay(RelayDeed::CopyRestored)).is_good();
        left(3).play(81, off).play(80, Deed::Relay(RelayDeed::CopyRestored)).breaks(8, "words of 3 slots");
    }
}
