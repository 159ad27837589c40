//! When the auditor comes.

use super::Making;
use crate::sim::plan::{Deed, Event, HOUR, MINUTE, Millis, RelayDeed, SECOND};

/// Visits at any time.
const VISITS: u64 = 8;
/// Visits that are aimed at what happens to the relay, at most.
const AIMED_MAX: usize = 14;
/// Shortest mean time between two visits.
const APART_MIN: Millis = HOUR;

impl Making {
    /// The auditor comes now and then, just before something happens to the relay, and soon after.
    pub(super) fn audit(&mut self) {
        let mut chance = self.chance.fork("audit");
        let mean = (self.span / VISITS).max(APART_MIN);
        let mut visits = vec![chance.between(MINUTE, 20 * MINUTE)];
        let mut at = chance.wait(mean);
        while at < self.span {
            visits.push(at);
            at += chance.wait(mean);
        }
        let troubles = self.events.iter().filter(|event| is_trouble(&event.deed));
        let mut troubles: Vec<Millis> = troubles.map(|event| event.at).collect();
        chance.shuffle(&mut troubles);
        troubles.truncate(AIMED_MAX / 2);
        for trouble in troubles {
            visits.push(trouble.saturating_sub(chance.below(10 * SECOND)));
            visits.push(trouble + chance.between(20 * SECOND, 40 * MINUTE));
        }
        // Who looks last sees most.
        visits.push(self.span);
        for at in visits {
            let things = u16::try_from(chance.between(1, 7)).expect("small");
            self.events.push(Event { at: at.min(self.span), deed: Deed::Audit { things } });
        }
    }
}

/// Whether something happens to a relay after which it must still have everything.
const fn is_trouble(deed: &Deed) -> bool {
    let Deed::Relay(deed) = deed else { return false };
    matches!(deed, RelayDeed::PowerCut | RelayDeed::Stop | RelayDeed::SyncFails | RelayDeed::DiskBytes(Some(_)))
}
