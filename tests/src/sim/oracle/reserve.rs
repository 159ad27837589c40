//! Invariant 6: a relay takes no new work into the room that it keeps free for old promises.
//!
//! What lies on its disk is weighed at every full hour, and whenever the disk gets another size. Not judged: a disk on which another
//! store was put, until its size is changed again: its operator is told to make room where there is none.

use zajil_relay::store::StoreLimits;

use super::Violation;
use super::story::Story;
use crate::sim::plan::{Deed, RelayDeed};
use crate::sim::record::Seen;

/// Bytes that a relay may write between two looks to keep what it promised: words, releases, what it notes of time.
const PROMISED_BYTES: u64 = 100_000;

/// Judges a run.
pub(super) fn judge(story: &Story<'_>, violations: &mut Vec<Violation>) {
    let mut capacity = story.plan.relay.disk_bytes;
    let (mut changes, mut held) = (None, 0);
    for entry in story.record.entries.iter().take_while(|entry| entry.at < story.record.calm_at) {
        match &entry.seen {
            Seen::Played(event) => {
                if let Deed::Relay(RelayDeed::DiskBytes(bytes)) = event.deed {
                    changes = Some(bytes);
                }
            }
            Seen::RelayStoreReplaced => capacity = None,
            Seen::RelayLoad(load) => {
                if let Some(text) = capacity.and_then(|capacity| eaten(capacity, held, load.disk_bytes)) {
                    violations.push(Violation::new(6, entry.at, text));
                }
                held = load.disk_bytes;
                capacity = changes.take().unwrap_or(capacity);
            }
            _ => {}
        }
    }
}

/// Says how much more lies there than may.
fn eaten(capacity: u64, before: u64, now: u64) -> Option<String> {
    let kept_free = StoreLimits::default().reserve_bytes(capacity);
    // What lay there when the disk became smaller may stay.
    let most = before.max(capacity.saturating_sub(kept_free)) + PROMISED_BYTES;
    (now > most).then(|| {
        format!("the relay took new work into its reserve: {now} B on a disk of {capacity} B, {most} B at most")
    })
}

#[cfg(test)]
mod tests {
    use super::super::cases::{Tale, relay_load};
    use super::*;
    use crate::sim::record::RelayLoad;

    const DISK: u64 = 20_000_000;

    fn weigh(tale: &mut Tale, minute: u64, disk_bytes: u64) {
        tale.add(minute, Seen::RelayLoad(RelayLoad { disk_bytes, per_mailbox: vec![2_000], ..relay_load() }));
    }

    fn on_a_small_disk(bytes: u64) -> Tale {
        let mut tale = Tale::good();
        tale.plan.relay.disk_bytes = Some(DISK);
        weigh(&mut tale, 60, bytes);
        tale
    }

    #[test]
    fn a_relay_that_fills_its_reserve_is_found() {
        let free = DISK - StoreLimits::default().reserve_bytes(DISK);
        on_a_small_disk(free).is_good();
        on_a_small_disk(free + PROMISED_BYTES).is_good();
        on_a_small_disk(free + PROMISED_BYTES + 1).breaks(6, "took new work into its reserve");
    }

    #[test]
    fn what_was_there_before_the_disk_became_smaller_may_stay_and_may_not_grow() {
        let smaller = |after| {
            let mut tale = Tale::good();
            weigh(&mut tale, 60, 300_000);
            tale.play(61, Deed::Relay(RelayDeed::DiskBytes(Some(1_000_000))));
            weigh(&mut tale, 61, 400_000);
            weigh(&mut tale, 62, after);
            tale
        };
        smaller(400_000 + PROMISED_BYTES).is_good();
        smaller(400_000 + PROMISED_BYTES + 1).breaks(6, "took new work into its reserve");
        let mut replaced = smaller(400_000);
        replaced.add(63, Seen::RelayStoreReplaced);
        weigh(&mut replaced, 64, 900_000);
        replaced.is_good();
    }
}
