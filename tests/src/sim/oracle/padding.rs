//! Notes are padded: whoever sees how long one is on the way learns little of how long it is (P4.4).
//!
//! What lengths there may be is worked out here from the numbers of the protocol alone. A note's length is what its sender's program
//! says, and what came to its reader.
//!
//! Not judged: control frames, words and pairings, of which each kind has one length.

use std::collections::BTreeSet;

use zajil_client::engine::api::Direction;
use zajil_proto::limits::{CHUNK_CONTENT_BYTES, MARK_DISTANCE_BYTES_MAX};

use super::Violation;
use super::story::{Story, is_whole};

/// Bytes of a parcel's header on the way.
const HEADER_BYTES: u64 = 152;
/// Bytes of a mark on the way.
const MARK_BYTES: u64 = 69;
/// Bytes of a sealed note before its chunks.
const BEFORE_CHUNKS_BYTES: u64 = 40;
/// Bytes by which a sealed chunk is longer than what is in it.
const TAG_BYTES: u64 = 16;

/// Judges a run.
pub(super) fn judge(story: &Story<'_>, violations: &mut Vec<Violation>) {
    let mut good = BTreeSet::new();
    let mut is_padded = |bytes: u32| good.contains(&bytes) || (fits(bytes.into()) && good.insert(bytes));
    for (serial, (at, taken)) in &story.takings {
        if !is_padded(taken.sealed_bytes) {
            let text = format!("note {serial} is sealed in {} bytes, which padding never gives", taken.sealed_bytes);
            violations.push(Violation::new(0, *at, text));
        }
    }
    for ((who, number), sights) in &story.sights {
        let came = |shown: &&super::story::Sight<'_>| {
            shown.shown.direction == Direction::In && is_whole(shown.shown.mark) && shown.shown.progress.1 > 0
        };
        let Some(sight) = sights.iter().find(came) else { continue };
        let bytes = sight.shown.progress.1;
        if !is_padded(bytes) {
            let text = format!("note {number} of person {who} came in {bytes} bytes, which padding never gives");
            violations.push(Violation::new(0, sight.at, text));
        }
    }
}

/// Whether a sealed body of so many bytes is the shortest that is as long on the way as some length to which padding rounds.
fn fits(body: u64) -> bool {
    let Some(shorter) = one_shorter(body) else { return false };
    (on_the_way(shorter) + 1..=on_the_way(body)).any(|length| rounded(length) == length)
}

/// Returns the length of the body that seals one byte less; `None` if nothing is sealed in so many bytes.
fn one_shorter(body: u64) -> Option<u64> {
    let chunk = u64::try_from(CHUNK_CONTENT_BYTES).ok()? + TAG_BYTES;
    let chunks = body.checked_sub(BEFORE_CHUNKS_BYTES)?;
    match chunks % chunk {
        // All chunks are full, or the last has one byte.
        rest if rest == TAG_BYTES + 1 => Some(body - TAG_BYTES - 1),
        rest if rest > 0 && rest <= TAG_BYTES => None,
        _ => (chunks > TAG_BYTES + 1).then(|| body - 1),
    }
}

fn on_the_way(body: u64) -> u64 {
    HEADER_BYTES + body + MARK_BYTES * body.div_ceil(MARK_DISTANCE_BYTES_MAX.into())
}

/// Rounds a length up as Padmé does: to a multiple of two to the power of E − S, where E is the place of its highest bit and S that
/// of E's, counted from one.
fn rounded(length: u64) -> u64 {
    let place = length.ilog2();
    length.next_multiple_of(1 << (place - (place.ilog2() + 1)))
}

#[cfg(test)]
mod tests {
    use super::super::cases::{SEALED_BYTES, Tale, coming};
    use super::*;
    use crate::sim::record::Seen;
    use zajil_client::engine::api::NoteMark;

    #[test]
    fn a_note_whose_length_is_its_own_is_found_at_both_ends() {
        let mut tale = Tale::good();
        tale.change(|seen| match seen {
            Seen::Taken(taken) if taken.serial == 8 => {
                taken.sealed_bytes += 1;
                true
            }
            _ => false,
        });
        tale.breaks(0, "note 8 is sealed in");
        let mut tale = Tale::good();
        tale.change(|seen| match seen {
            Seen::Note(2, shown) if shown.number == 107 => {
                shown.progress.1 -= 1;
                shown.progress.0 = shown.progress.0.min(shown.progress.1);
                true
            }
            _ => false,
        });
        tale.breaks(0, "note 107 of person 2 came in");
        assert_eq!(coming(1, 7, NoteMark::Delivered).progress.1, SEALED_BYTES);
    }

    #[test]
    fn of_lengths_in_a_row_only_those_on_the_grid_fit() {
        let fitting = (SEALED_BYTES - 600..SEALED_BYTES + 600).filter(|bytes| fits((*bytes).into())).count();
        assert!((1..=4).contains(&fitting), "{fitting}");
        assert!(!fits(40) && !fits(56));
    }
}
