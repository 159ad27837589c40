//! Invariant 0: whoever takes a phone, and whatever its relay kept, opens no note that was opened before: its key is gone. Nor do
//! they find anything of somebody who was forgotten.
//!
//! Looked for at every full hour and at the end, in what lies on the disk. Not judged: what is in memory, and recordings, which stay until
//! their person deletes them.

use super::Violation;
use super::story::Story;
use crate::sim::record::Seen;

/// Judges a run.
pub(super) fn judge(story: &Story<'_>, violations: &mut Vec<Violation>) {
    for entry in &story.record.entries {
        let Seen::PhoneLoad(who, load) = &entry.seen else { continue };
        let keeps = [
            (load.opened_keys, format!("keys of {} notes that were opened", load.opened_keys)),
            (load.left_behind, format!("{} records that belong to nothing", load.left_behind)),
        ];
        for (_, what) in keeps.into_iter().filter(|(count, _)| *count > 0) {
            violations.push(Violation::new(0, entry.at, format!("the phone of person {who} keeps {what}")));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::cases::{Tale, load};
    use super::*;
    use crate::sim::record::PhoneLoad;

    fn keeping(opened_keys: usize, left_behind: usize) -> Tale {
        let mut tale = Tale::good();
        tale.add(60, Seen::PhoneLoad(1, PhoneLoad { opened_keys, left_behind, ..load(0) }));
        tale
    }

    #[test]
    fn a_key_that_outlives_the_opening_of_its_note_is_found() {
        keeping(0, 0).is_good();
        keeping(2, 0).breaks(0, "the phone of person 1 keeps keys of 2 notes");
    }

    #[test]
    fn what_outlives_all_that_it_belongs_to_is_found() {
        keeping(0, 3).breaks(0, "the phone of person 1 keeps 3 records");
    }
}
