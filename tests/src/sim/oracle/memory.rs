//! Invariant 6, memory: what a machine holds at most, and what it still holds when all has settled.
//!
//! Counted are the bytes that programs ask for; what an allocator takes besides, and what no account is kept for (stacks, code), is not. The
//! most is that of every moment, not of the full hours at which it is written down. What lies on a disk of the world is nobody's memory.
//!
//! Not judged: memory that is given back late, but before calm; a relay while strangers fill it, but by the room for their connections.

use std::collections::BTreeMap;

use zajil_client::engine::api::{Direction, NoteMark};
use zajil_client::limits::MEMORY_BYTES_MAX;

use super::Violation;
use super::story::Story;
use crate::sim::plan::{AttackerDeed, Deed, HOUR, Millis, PersonId};
use crate::sim::record::{RelayLoad, Seen, Shown};

/// Bytes that a phone at rest may hold: a connection, its contacts, keys and what it knows of relays. Measured: 230 to 360 kB.
const PHONE_RESTS_BYTES: u64 = 500_000;
/// Bytes that it may hold for each note that it lists.
const BYTES_PER_NOTE: u64 = 4_000;
/// A note that lies at a relay and has not been fetched holds so many times less than its sealed bytes on its sender's phone: its marks.
/// One is 69 B, for 8,192 B of body at most.
const BYTES_PER_BYTE_OF_MARKS: u64 = 100;
/// Bytes that a relay at rest may hold for itself, and for the tickets and sessions of TLS by which whoever came within a day may come again.
/// Measured: 110 kB, and 650 kB after a day with strangers.
const RELAY_RESTS_BYTES: u64 = 2_000_000;
/// Bytes that it may hold for each connection of a phone there ever was: the TLS sessions and the ticket by which it may come again
/// within a day. Measured: 900 B.
const BYTES_PER_MEETING: u64 = 1_200;
/// Bytes that it may hold for each session. Measured: 47 kB.
const BYTES_PER_SESSION: u64 = 90_000;
/// Bytes that it may hold for each parcel, and for each tombstone: what its store must find without reading.
const BYTES_PER_PARCEL: u64 = 3_000;
const BYTES_PER_TOMBSTONE: u64 = 200;
/// Bytes that it may hold for each mailbox and slot: `limits.rs` says about 300, and each may be watched.
const BYTES_PER_SCOPE: u64 = 1_000;
/// Bytes that a relay may hold at once for what phones send and fetch. Measured: 14 MB.
const RELAY_WORKS_BYTES: u64 = 32 << 20;
/// For how long connections of a flood may count.
const FLOOD_MILLIS: Millis = 2 * HOUR;

/// Judges a run.
pub(super) fn judge(story: &Story<'_>, violations: &mut Vec<Violation>) {
    let mut relay = None;
    let mut waiting: BTreeMap<PersonId, u64> = BTreeMap::new();
    let mut met: BTreeMap<PersonId, u64> = BTreeMap::new();
    for entry in &story.record.entries {
        let is_last = entry.at >= story.record.ended_at;
        let found = match &entry.seen {
            Seen::PhoneLoad(who, load) => {
                met.insert(*who, load.connections);
                waiting.insert(*who, load.status.as_ref().map_or(0, |status| status.waiting_bytes));
                continue;
            }
            Seen::RelayLoad(load) => {
                relay = Some(load);
                continue;
            }
            Seen::Memory(Some(who), held) => {
                let waits = waiting.get(who).copied().unwrap_or(0).min(MEMORY_BYTES_MAX);
                let rests = PHONE_RESTS_BYTES + notes_rest(story, *who) + waits;
                let most = (held.most > MEMORY_BYTES_MAX).then_some(("held", held.most, MEMORY_BYTES_MAX));
                let still = (is_last && held.now > rests).then_some(("still holds", held.now, rests));
                most.or(still).map(|found| (format!("the phone of person {who}"), found))
            }
            Seen::Memory(None, held) => {
                let works = RELAY_WORKS_BYTES + flooded(story, entry.at) * BYTES_PER_SESSION;
                let meetings: u64 = met.values().sum();
                let rests = relay.map_or(u64::MAX, |load| relay_rests(load) + meetings * BYTES_PER_MEETING);
                let most = (held.most > works).then_some(("held", held.most, works));
                let still = (is_last && held.now > rests).then_some(("still holds", held.now, rests));
                most.or(still).map(|found| ("the relay".to_owned(), found))
            }
            _ => continue,
        };
        if let Some((who, (does, bytes, most))) = found {
            violations.push(Violation::new(
                6,
                entry.at,
                format!("{who} {does} {bytes} B of memory, and {most} at most"),
            ));
        }
    }
}

/// Returns what a phone may hold for the notes that it lists.
fn notes_rest(story: &Story<'_>, who: PersonId) -> u64 {
    let notes = story.sights.range((who, 0)..=(who, u32::MAX)).filter_map(|(_, sights)| sights.last());
    notes.map(|note| BYTES_PER_NOTE + marks_of(note.shown)).sum()
}

/// Returns what the marks of a note take that is at a relay.
fn marks_of(shown: &Shown) -> u64 {
    let lies = shown.direction == Direction::Out && shown.mark == NoteMark::AtRelay;
    if lies { u64::from(shown.progress.1) / BYTES_PER_BYTE_OF_MARKS } else { 0 }
}

fn relay_rests(load: &RelayLoad) -> u64 {
    RELAY_RESTS_BYTES
        + load.sessions * BYTES_PER_SESSION
        + load.parcels * BYTES_PER_PARCEL
        + load.tombstones * BYTES_PER_TOMBSTONE
        + load.scopes * BYTES_PER_SCOPE
}

/// Connections of strangers who have come to fill the relay, not long ago.
fn flooded(story: &Story<'_>, at: Millis) -> u64 {
    let connections = story.record.entries.iter().map(|entry| match &entry.seen {
        Seen::Played(event) if (entry.at..entry.at + FLOOD_MILLIS).contains(&at) => match event.deed {
            Deed::Attacker(AttackerDeed::Flood { connections }) => u64::from(connections),
            _ => 0,
        },
        _ => 0,
    });
    connections.sum()
}

#[cfg(test)]
mod tests {
    use super::super::cases::{Tale, out, relay_load};
    use super::*;
    use crate::sim::memory::Held;

    fn holding(minute: Millis, whose: Option<PersonId>, now: u64, most: u64) -> Tale {
        let mut tale = Tale::good();
        tale.add(minute, Seen::RelayLoad(relay_load())).add(minute, Seen::Memory(whose, Held { now, most }));
        tale
    }

    /// The minute in which a good tale ends.
    const LAST: Millis = 110;

    #[test]
    fn a_phone_that_held_or_still_holds_too_much_memory_is_found() {
        holding(60, Some(1), 5_000_000, 20_000_000).is_good();
        holding(60, Some(1), 300_000, 30_000_000).breaks(6, "the phone of person 1 held 30000000 B of memory");
        holding(LAST, Some(1), 500_000, 500_000).is_good();
        holding(LAST, Some(1), 600_000, 600_000).breaks(6, "the phone of person 1 still holds 600000 B of memory");
    }

    #[test]
    fn the_marks_of_a_note_that_nobody_has_fetched_have_their_room() {
        // Found by seed 2593 (disks): 195 notes of 160 MB at the relay.
        let big = |mark| {
            let mut tale = holding(LAST, Some(1), 1_400_000, 1_400_000);
            tale.add(LAST, Seen::Note(1, Shown { progress: (100 << 20, 100 << 20), ..out(2, 9, mark) }));
            tale.verdict().iter().any(|found| found.text.contains("still holds"))
        };
        assert!(!big(NoteMark::AtRelay));
        assert!(big(NoteMark::Delivered));
    }

    #[test]
    fn a_relay_that_held_or_still_holds_too_much_memory_is_found() {
        holding(60, None, 5_000_000, 30_000_000).is_good();
        holding(60, None, 300_000, 40_000_000).breaks(6, "the relay held 40000000 B of memory");
        holding(LAST, None, 2_050_000, 2_050_000).is_good();
        holding(LAST, None, 2_200_000, 2_200_000).breaks(6, "the relay still holds 2200000 B of memory");
    }

    #[test]
    fn connections_of_a_flood_may_take_their_room_for_a_while() {
        for (minute, is_good) in [(70, true), (190, false)] {
            let mut tale = Tale::good();
            tale.play(61, Deed::Attacker(AttackerDeed::Flood { connections: 100 }));
            tale.record.ended_at = 4 * HOUR;
            tale.add(minute, Seen::Memory(None, Held { now: 0, most: 40_000_000 }));
            let found = tale.verdict().iter().any(|found| found.text.contains("the relay held"));
            assert_eq!(found, !is_good, "in minute {minute}");
        }
    }
}
