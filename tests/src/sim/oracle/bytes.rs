//! Invariant 4: nothing restarts from zero. What a phone sends and gets is bounded by what it has to say.
//!
//! [`one_note`] is the invariant as it is written, for runs with one note. Over a whole life a phone also pairs, sends control
//! frames and words, answers what comes, and proves its keys on every connection; [`allowance`] adds a term for each. These terms
//! are small beside notes, so that notes sent again and again still show.
//!
//! Not judged: phones whose datagrams an attacker cuts short, for these are lost without being counted; packet headers, which
//! the world does not count; which of the notes it was that cost too much.

use std::collections::BTreeSet;

use super::Violation;
use super::story::{Story, is_whole};
use crate::sim::plan::{AttackerDeed, Deed, MINUTE, Millis, PersonDeed, PersonId};
use crate::sim::record::{Entry, Seen, Traffic};
use zajil_client::engine::api::Direction;

/// What a note may cost beside itself: headers, marks, frame heads, packet heads and tags, percent.
const OVERHEAD_PERCENT: u64 = 10;
/// Bytes of one connection: handshake, hello, and what was on its way when it broke.
const CONNECTION_BYTES: u64 = 6_000;
/// Bytes that may have come to a phone on one connection for nothing: what lies behind a hole cannot be read before the hole is
/// filled, and no more of it comes when the link goes then. At worst that is all that a relay sends ahead (40 KiB); a quarter of
/// it is what thin links that end in the middle of things were seen to lose on average.
const BEHIND_HOLES_BYTES: u64 = 10_000;
/// Bytes of one datagram that only says that something came, or asks whether anybody is there: 45 on the wire, with room for
/// the numbers of several lost packets.
const ANSWER_BYTES: u64 = 100;
/// Bytes of one control frame on its way: 512 sealed, header 152, mark 69, frame and packet heads.
const FRAME_BYTES: u64 = 900;
/// Frames for each note, at its sender or reader: its session at worst, two receipts, and what acknowledges these.
const FRAMES_PER_NOTE: u64 = 4;
/// Frames for each pairing: answer, session, grant, and what acknowledges these.
const FRAMES_PER_PAIRING: u64 = 10;
/// From one renewal of an outer key to the next, milliseconds.
const RENEWED_MILLIS: Millis = zajil_client::limits::RENEWAL_MINUTES as Millis * MINUTE;
/// Bytes of a pairing's large parcel on its way: 4 096 sealed, header, mark, heads.
const PAIRING_BYTES: u64 = 5_000;
/// Small frames for each renewal of an outer key, one way: what begins it, what ends it, what acknowledges these, and a session.
const FRAMES_PER_RENEWAL: u64 = 5;
/// Bytes with which a connection proves and watches what belongs to one contact: two proofs, two registrations, a watch, a word
/// that was not answered before.
const CONTACT_BYTES: u64 = 1_200;
/// Bytes of a word for one contact: 320 sealed, a proof of 64, heads; or of its grant, a frame.
const WORD_BYTES: u64 = 500;
/// Bytes of a question about a word, or of its answer of 320 and an observation of 77.
const QUESTION_BYTES: u64 = 500;
/// Bytes with which a connection asks whether the relay takes a note now that it refused before: 1 024 sealed, header 152, mark 69,
/// frame and packet heads. Nobody who meets a relay every few seconds keeps from asking; one who cannot get it pays it every time.
const ASKED_BYTES: u64 = 1_400;
/// Bytes that a relay may have taken of a phone and not made durable when it ended: as much as leaves before it answers, 4 KiB of notes
/// and a few frames. They are lost as if they had not come.
const TAKEN_BYTES: u64 = 8_000;
/// Sealed bytes of a second of voice at most, for notes that were kept though nobody was told: 16 kbit/s and its padding.
const UNTOLD_BYTES_PER_SECOND: u64 = 2_300;
/// The same for a note of no length.
const UNTOLD_BYTES: u64 = 2_000;

/// What a machine had to say in all.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Spending {
    /// Sealed bytes of the notes that went this way; twice if the relay lost them and they went again.
    pub sealed_bytes: u64,
    /// Bytes that were lost on the way.
    pub lost_bytes: u64,
    /// Bytes that came, and could not be read before the link went.
    pub unread_bytes: u64,
    /// Connections that were begun.
    pub connections: u64,
    /// Datagrams that came the other way: each may be answered.
    pub answered: u64,
    /// Notes that went either way.
    pub notes: u64,
    /// Attempts at pairing, on either side.
    pub pairings: u64,
    /// Words written and changes of who may see them, times contacts.
    pub words: u64,
    /// Questions about words.
    pub questions: u64,
    /// Renewals of an outer key, either side's.
    pub renewals: u64,
    /// Contacts.
    pub contacts: u64,
    /// Times that a note was offered for which there is nobody.
    pub asked: u64,
    /// Times that the relay ended while it was met.
    pub relay_ended: u64,
}

/// Returns how many bytes of datagrams one note may cost: 1.10 × (sealed size + lost bytes) + 6 kB for each connection + probes.
pub const fn one_note(sealed_bytes: u64, lost_bytes: u64, connections: u64, probe_bytes: u64) -> u64 {
    with_overhead(sealed_bytes.saturating_add(lost_bytes))
        .saturating_add(connections.saturating_mul(CONNECTION_BYTES))
        .saturating_add(probe_bytes)
}

/// Returns how many bytes of datagrams all that may cost.
pub const fn allowance(spent: &Spending) -> u64 {
    let frames = spent.notes * FRAMES_PER_NOTE
        + spent.pairings * FRAMES_PER_PAIRING
        + spent.renewals * FRAMES_PER_RENEWAL
        + spent.words;
    let large = spent.pairings + spent.renewals;
    let sealed = spent.sealed_bytes + frames * FRAME_BYTES + large * PAIRING_BYTES + spent.words * WORD_BYTES;
    let probes = spent.answered * ANSWER_BYTES
        + spent.questions * QUESTION_BYTES
        + spent.connections * spent.contacts * CONTACT_BYTES
        + spent.asked * ASKED_BYTES
        + spent.relay_ended * TAKEN_BYTES
        + spent.unread_bytes;
    one_note(sealed, spent.lost_bytes, spent.connections, probes)
}

const fn with_overhead(bytes: u64) -> u64 {
    bytes.saturating_add(bytes / 100 * OVERHEAD_PERCENT + OVERHEAD_PERCENT)
}

/// Judges a run.
pub(super) fn judge(story: &Story<'_>, violations: &mut Vec<Violation>) {
    let end = story.record.ended_at;
    for (who, traffic) in &story.record.traffic {
        if is_cut_short(story, *who) {
            continue;
        }
        let common = common(story, *who, traffic);
        let out = Spending {
            sealed_bytes: notes_out(story, *who),
            lost_bytes: traffic.lost_bytes,
            answered: traffic.received,
            asked: asked(story, *who, traffic),
            relay_ended: relay_ended(story, *who),
            ..common
        };
        if traffic.sent_bytes > allowance(&out) {
            let (sent, most) = (traffic.sent_bytes, allowance(&out));
            let text = format!("the phone of person {who} sent {sent} bytes; {most} are enough for {out:?}");
            violations.push(Violation::new(4, end, text));
        }
        let back = Spending {
            sealed_bytes: notes_in(story, *who),
            unread_bytes: traffic.connections * BEHIND_HOLES_BYTES,
            answered: traffic.sent,
            ..common
        };
        if traffic.received_bytes > allowance(&back) {
            let (got, most) = (traffic.received_bytes, allowance(&back));
            let text = format!("the phone of person {who} was sent {got} bytes; {most} are enough for {back:?}");
            violations.push(Violation::new(4, end, text));
        }
    }
}

/// Whether an attacker made a phone's datagrams worthless on the way.
fn is_cut_short(story: &Story<'_>, who: PersonId) -> bool {
    let cuts = |entry: &Entry| match &entry.seen {
        Seen::Played(event) => matches!(event.deed, Deed::Attacker(AttackerDeed::Truncate { of, .. }) if of == who),
        _ => false,
    };
    story.record.entries.iter().any(cuts)
}

/// How often a phone offered what is for nobody: each note once in each connection that was begun since the last hour before it was
/// taken.
fn asked(story: &Story<'_>, who: PersonId, traffic: &Traffic) -> u64 {
    let loads = story.record.entries.iter().filter_map(|entry| match &entry.seen {
        Seen::PhoneLoad(whose, load) if *whose == who => Some((entry.at, load.connections)),
        _ => None,
    });
    let loads: Vec<(Millis, u64)> = loads.collect();
    let before =
        |at: Millis| loads.iter().rev().find(|(seen, _)| *seen <= at).map_or(0, |(_, connections)| *connections);
    story.waiting_for_nobody(who).map(|at| traffic.connections.saturating_sub(before(at))).sum()
}

/// How often the relay ended while a phone could reach it.
fn relay_ended(story: &Story<'_>, who: PersonId) -> u64 {
    let reach = story.reach(who);
    let ends = story.record.entries.iter().filter(|entry| matches!(entry.seen, Seen::Relay(false)));
    count(ends.filter(|entry| entry.at > 0 && reach.touch(entry.at - 1, entry.at)).count())
}

/// How often a relay lost what it had since a moment, and once more: so often a parcel may go.
fn times(story: &Story<'_>, since: Millis) -> u64 {
    1 + count(story.store_replaced.iter().filter(|lost| **lost >= since).count())
}

/// Sealed bytes that left a phone.
fn notes_out(story: &Story<'_>, who: PersonId) -> u64 {
    let taken = story.takings.values().filter(|(_, taken)| taken.from == who);
    let told: u64 = taken.map(|(at, taken)| u64::from(taken.sealed_bytes) * times(story, *at)).sum();
    told + untold(story, |from, _| from == who)
}

/// Sealed bytes that may have come to a phone.
fn notes_in(story: &Story<'_>, who: PersonId) -> u64 {
    let taken = story.takings.values().filter(|(_, taken)| taken.to == who);
    let told: u64 = taken.map(|(at, taken)| u64::from(taken.sealed_bytes) * times(story, *at)).sum();
    told + untold(story, |_, to| to == who)
}

/// The most that notes can have which were spoken, and of which no program said whether it took them.
fn untold(story: &Story<'_>, fits: impl Fn(PersonId, PersonId) -> bool) -> u64 {
    let silent = story.sendings.iter().filter(|(serial, sending)| {
        let told = story.takings.contains_key(serial) || story.refused.contains_key(serial);
        !told && fits(sending.from, sending.to)
    });
    let bytes = silent.map(|(_, sending)| {
        (u64::from(sending.seconds) * UNTOLD_BYTES_PER_SECOND + UNTOLD_BYTES) * times(story, sending.at)
    });
    bytes.sum()
}

/// What counts for both ways.
fn common(story: &Story<'_>, who: PersonId, traffic: &Traffic) -> Spending {
    let contacts: BTreeSet<PersonId> =
        story.contacts.keys().filter(|(whose, _)| *whose == who).map(|(_, of)| *of).collect();
    let out = story.takings.values().filter(|(_, taken)| taken.from == who).count();
    let mine = story.sights.range((who, 0)..=(who, u32::MAX));
    let coming = mine.filter(|(_, sights)| {
        sights.iter().any(|sight| sight.shown.direction == Direction::In && is_whole(sight.shown.mark))
    });
    let mut spent = Spending {
        connections: traffic.connections,
        notes: count(out + coming.count()),
        contacts: count(contacts.len()),
        ..Spending::default()
    };
    for entry in &story.record.entries {
        match &entry.seen {
            // Nothing came of it: it may be tried again from the beginning.
            Seen::Failed(whose, ..) if *whose == who => spent.pairings += 1,
            Seen::Played(event) => match &event.deed {
                Deed::Person(whose, PersonDeed::Pair { with, .. }) if [*whose, *with].contains(&who) => {
                    spent.pairings += 1;
                }
                Deed::Person(whose, PersonDeed::WriteWord { .. }) if *whose == who => spent.words += spent.contacts,
                Deed::Person(_, PersonDeed::SetSeen { .. }) => spent.words += 1,
                Deed::Person(whose, PersonDeed::AskSeen { .. } | PersonDeed::Sync) if *whose == who => {
                    spent.questions += spent.contacts.max(1);
                }
                _ => {}
            },
            _ => {}
        }
    }
    // And once in a month.
    spent.renewals += story.record.ended_at / RENEWED_MILLIS * spent.contacts * times(story, 0);
    // Whatever the relay lost is registered and said again.
    spent.words += count(story.store_replaced.len()) * spent.contacts;
    spent
}

fn count(length: usize) -> u64 {
    u64::try_from(length).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::super::cases::{Tale, contact, load, out, traffic};
    use super::*;
    use crate::sim::record::{PhoneLoad, Shown};
    use zajil_client::engine::api::{NoteMark, Pairing, WaitReason};

    #[test]
    fn one_note_costs_a_tenth_more_than_itself_and_what_was_lost_and_six_kilobytes_a_connection() {
        assert_eq!(one_note(100_000, 0, 1, 0), 110_010 + 6_000);
        assert_eq!(one_note(100_000, 50_000, 3, 700), 165_010 + 18_000 + 700);
    }

    #[test]
    fn every_term_of_the_allowance_allows_something() {
        let nothing = allowance(&Spending::default());
        let one = [
            Spending { sealed_bytes: 1_000, ..Spending::default() },
            Spending { lost_bytes: 1_000, ..Spending::default() },
            Spending { connections: 1, ..Spending::default() },
            Spending { answered: 1, ..Spending::default() },
            Spending { notes: 1, ..Spending::default() },
            Spending { pairings: 1, ..Spending::default() },
            Spending { words: 1, ..Spending::default() },
            Spending { renewals: 1, ..Spending::default() },
            Spending { questions: 1, ..Spending::default() },
            Spending { asked: 1, ..Spending::default() },
            Spending { relay_ended: 1, ..Spending::default() },
        ];
        assert!(one.iter().all(|spent| allowance(spent) > nothing));
        let with = Spending { connections: 2, contacts: 3, ..Spending::default() };
        assert_eq!(allowance(&with), nothing + 2 * 6_000 + 2 * 3 * CONTACT_BYTES);
    }

    /// The good run, in which person 1 sends notes of 32 000 bytes in all to person 2.
    fn costs(change: impl Fn(&mut Traffic)) -> Tale {
        let mut tale = Tale::good();
        for who in [1, 2] {
            tale.record.traffic.insert(who, traffic());
        }
        change(tale.record.traffic.get_mut(&1).expect("person 1 is there"));
        tale
    }

    #[test]
    fn a_phone_that_sends_its_notes_twice_is_found() {
        costs(|_| {}).is_good();
        costs(|traffic| traffic.sent_bytes += 70_000).breaks(4, "the phone of person 1 sent 110000 bytes");
        costs(|traffic| traffic.received_bytes += 90_000).breaks(4, "the phone of person 1 was sent 110000 bytes");
    }

    #[test]
    fn what_was_lost_or_had_to_be_begun_anew_may_be_sent_again() {
        costs(|traffic| (traffic.sent_bytes, traffic.lost_bytes) = (110_000, 70_000)).is_good();
        costs(|traffic| (traffic.sent_bytes, traffic.connections) = (110_000, 12)).is_good();
        let mut tale = costs(|traffic| traffic.sent_bytes = 110_000);
        tale.add(35, Seen::RelayStoreReplaced).add(36, Seen::RelayStoreReplaced).is_good();
    }

    #[test]
    fn what_a_relay_had_taken_when_it_ended_may_be_sent_again() {
        let mut tale = costs(|traffic| traffic.sent_bytes = 110_000);
        for minute in 30..40 {
            tale.add(minute, Seen::Relay(false)).add(minute, Seen::Relay(true));
        }
        tale.is_good();
        tale.add(29, Seen::Link(1, false))
            .add(41, Seen::Link(1, true))
            .breaks(4, "the phone of person 1 sent 110000 bytes");
    }

    #[test]
    fn a_note_for_nobody_may_be_asked_about_in_every_connection() {
        let mut tale = costs(|traffic| (traffic.sent_bytes, traffic.connections) = (1_950_000, 200));
        tale.add(55, Seen::Contact(1, contact(3, Pairing::Unconfirmed))).send(1, 3, 9, 60);
        tale.without(|seen| *seen == Seen::Note(1, out(3, 9, NoteMark::AtRelay)));
        tale.breaks(4, "the phone of person 1 sent 1950000 bytes");
        let refused = Shown { waits: Some(WaitReason::NotHere), ..out(3, 9, NoteMark::OnDevice) };
        tale.add(70, Seen::Note(1, refused)).is_good();
        // Only connections since then: few are left of them.
        tale.add(59, Seen::PhoneLoad(1, PhoneLoad { connections: 150, ..load(0) }));
        tale.breaks(4, "the phone of person 1 sent 1950000 bytes");
    }

    #[test]
    fn what_an_attacker_cut_short_is_not_held_against_a_phone() {
        let mut tale = costs(|traffic| traffic.sent_bytes = 500_000);
        tale.play(20, Deed::Attacker(AttackerDeed::Truncate { of: 1, seconds: 60 })).is_good();
    }
}
