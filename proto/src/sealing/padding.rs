//! How long a note's content becomes, so that its length tells little (P4.4).

use crate::limits::{CHUNK_CONTENT_BYTES, MARK_DISTANCE_BYTES_MAX};
use crate::parcel::{HEADER_BYTES, MARK_BYTES};
use crate::sealing::aead::TAG_BYTES;

/// Bytes before the chunks: tag and commitment (P4.1).
pub(super) const PREFIX_BYTES: usize = 40;

/// Returns the length of the body that seals `content` bytes. Content is never empty: a head is part of it.
pub const fn body_length(content: usize) -> usize {
    PREFIX_BYTES + content + TAG_BYTES * content.div_ceil(CHUNK_CONTENT_BYTES)
}

/// Returns the bytes on the wire of a body of `body` bytes: header, body, marks (P4.4).
pub const fn wire_length(body: usize) -> usize {
    // A widening: `usize` has at least 32 bits wherever we run.
    const DISTANCE: usize = MARK_DISTANCE_BYTES_MAX as usize;
    HEADER_BYTES + body + MARK_BYTES * body.div_ceil(DISTANCE)
}

/// Rounds `length` up as Padmé does (PETS 2019): about log log of it leaks, for at most 12 %. Lengths below 2 stay.
pub const fn padme(length: usize) -> usize {
    if length < 2 {
        return length;
    }
    let exponent = length.ilog2();
    let significant = if exponent == 0 { 1 } else { exponent.ilog2() + 1 };
    let step = 1 << (exponent - significant);
    length.div_ceil(step) * step
}

/// Returns the length that content of `content` bytes is padded to: the smallest whose parcel is as long on the wire as
/// Padmé wants the parcel of the bare content to be (P4.4).
///
/// All contents with the same goal get the same length. The goal may be passed by up to 153 bytes, where it falls into
/// the step of a new chunk or mark.
pub const fn padded(content: usize) -> usize {
    let bare = wire_length(body_length(content));
    let goal = padme(bare);
    // A byte of content is at least a byte on the wire, so the answer lies in this range.
    let (mut low, mut high) = (content, content + (goal - bare));
    while low < high {
        let middle = low + (high - low) / 2;
        if wire_length(body_length(middle)) >= goal {
            high = middle;
        } else {
            low = middle + 1;
        }
    }
    low
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::limits::PARCEL_BYTES_MAX;

    fn wire(content: usize) -> usize {
        wire_length(body_length(content))
    }

    #[test]
    fn padme_gives_the_lengths_worked_out_by_hand() {
        for (length, expected) in [
            (1, 1),
            (2, 2),
            (8, 8),
            (9, 10),
            (100, 104),
            (1_000, 1_024),
            (1_025, 1_088),
            (15_728, 15_872),
            (16_385, 17_408),
            (32_769, 34_816),
            (65_537, 67_584),
            (1_000_000, 1_015_808),
        ] {
            assert_eq!(padme(length), expected, "{length}");
        }
    }

    proptest! {
        #[test]
        fn padding_reaches_its_goal_and_is_the_shortest_that_does(content in 82..1_900_000_usize) {
            let goal = padme(wire(content));
            let padded = padded(content);
            prop_assert!(padded >= content);
            prop_assert!(wire(padded) >= goal);
            prop_assert!(padded == content || wire(padded - 1) < goal);
        }

        #[test]
        fn contents_with_one_goal_cannot_be_told_apart(content in 82..1_900_000_usize, less in 0..5_000_usize) {
            let other = content.saturating_sub(less).max(82);
            if padme(wire(content)) == padme(wire(other)) {
                prop_assert_eq!(padded(content), padded(other));
            }
        }

        #[test]
        fn what_met_its_goal_exactly_is_padded_no_further(content in 82..1_900_000_usize) {
            let once = padded(content);
            if wire(once) == padme(wire(content)) {
                prop_assert_eq!(padded(once), once);
            }
        }

        #[test]
        fn padding_costs_at_most_an_eighth_and_one_step(content in 82..1_900_000_usize) {
            let (bare, full) = (wire(content), wire(padded(content)));
            prop_assert!(full <= bare + bare / 8 + 153, "{bare} became {full}");
        }

        #[test]
        fn padme_only_grows_and_stays_where_it_is(length in 0..2_000_000_usize) {
            let rounded = padme(length);
            prop_assert!(rounded >= length);
            prop_assert_eq!(padme(rounded), rounded);
            prop_assert!(padme(length + 1) >= rounded);
        }
    }

    #[test]
    fn the_longest_note_of_the_best_profile_still_fits_a_parcel() {
        // 600 s of 60 ms packets at 16 kbit/s: 10 000 packets of 120 bytes.
        let content = 90 + 10_000 * 120 + 30;
        assert!(body_length(padded(content)) <= usize::try_from(PARCEL_BYTES_MAX).unwrap());
    }
}
