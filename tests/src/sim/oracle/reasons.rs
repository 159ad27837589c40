//! Invariant 0: why a note waits is told as it is: whoever reads that a relay or a mailbox is full looks for somebody to make room.
//!
//! Judged are the two reasons that a person or an operator can do something about. Not judged: when a reason is over, since a relay is asked
//! again only after a while, and the other reasons, of which several may be true at once.

use std::collections::BTreeMap;

use zajil_client::engine::api::WaitReason;
use zajil_relay::limits::{MAILBOX_BYTES_MAX, MAILBOX_PARCELS_MAX};

use super::Violation;
use super::story::Story;
use crate::sim::plan::{AttackerDeed, Deed, Millis, PersonId, RelayDeed};
use crate::sim::record::{Entry, Seen};

/// Judges a run.
pub(super) fn judge(story: &Story<'_>, violations: &mut Vec<Violation>) {
    for entry in &story.record.entries {
        let Seen::Note(who, shown) = &entry.seen else { continue };
        let what = match shown.waits {
            Some(WaitReason::RelayFull) if !relay_was_short(story, entry.at) => "the relay",
            Some(WaitReason::MailboxFull) if !mailbox_was_short(story, entry.at) => "a mailbox",
            _ => continue,
        };
        let text =
            format!("person {who} reads that note number {} waits because {what} is full, and none was", shown.number);
        violations.push(Violation::new(0, entry.at, text));
    }
}

/// Whether the relay's disk has had an end until a moment.
fn relay_was_short(story: &Story<'_>, at: Millis) -> bool {
    let ends = |deed: &Deed| matches!(deed, Deed::Relay(RelayDeed::DiskBytes(Some(_))));
    story.plan.relay.disk_bytes.is_some() || played(story, at, ends)
}

/// Whether any mailbox can have been full until a moment: room that was released comes back at steps of six hours, so what was ever said to
/// somebody counts, not what lies there.
fn mailbox_was_short(story: &Story<'_>, at: Millis) -> bool {
    let mut said: BTreeMap<PersonId, u64> = BTreeMap::new();
    for (_, taken) in story.takings.values().filter(|(taken_at, _)| *taken_at <= at) {
        *said.entry(taken.to).or_default() += u64::from(taken.sealed_bytes);
    }
    let crowded = |entry: &Entry| match &entry.seen {
        Seen::RelayLoad(load) => load.per_mailbox.iter().any(|parcels| *parcels > u64::from(MAILBOX_PARCELS_MAX) / 2),
        _ => false,
    };
    said.values().any(|bytes| *bytes > MAILBOX_BYTES_MAX / 2)
        || story.record.entries.iter().take_while(|entry| entry.at <= at).any(crowded)
        || played(story, at, |deed| matches!(deed, Deed::Attacker(AttackerDeed::Hoard { .. })))
}

fn played(story: &Story<'_>, at: Millis, is: impl Fn(&Deed) -> bool) -> bool {
    let mut before = story.record.entries.iter().take_while(|entry| entry.at <= at);
    before.any(|entry| matches!(&entry.seen, Seen::Played(event) if is(&event.deed)))
}

#[cfg(test)]
mod tests {
    use super::super::cases::{Tale, out, relay_load};
    use super::*;
    use crate::sim::record::{RelayLoad, Shown};
    use zajil_client::engine::api::NoteMark;

    fn waits(reason: WaitReason) -> Tale {
        let mut tale = Tale::good();
        tale.send(1, 2, 9, 50);
        tale.add(60, Seen::Note(1, Shown { waits: Some(reason), ..out(2, 9, NoteMark::OnDevice) }));
        tale
    }

    fn finds(tale: &Tale) -> bool {
        tale.verdict().iter().any(|found| found.invariant == 0 && found.text.contains("is full, and none was"))
    }

    #[test]
    fn whoever_reads_that_something_is_full_that_is_not_is_told_a_lie() {
        assert!(finds(&waits(WaitReason::RelayFull)) && finds(&waits(WaitReason::MailboxFull)));
        assert!(!finds(&waits(WaitReason::NotHere)));
        let mut tale = waits(WaitReason::RelayFull);
        tale.play(30, Deed::Relay(RelayDeed::DiskBytes(Some(1))));
        assert!(!finds(&tale));
        let mut tale = waits(WaitReason::MailboxFull);
        tale.add(30, Seen::RelayLoad(RelayLoad { per_mailbox: vec![1_500], ..relay_load() }));
        assert!(!finds(&tale));
    }
}
