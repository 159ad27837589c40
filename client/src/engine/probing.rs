//! What looking for relays has cost within a day, and whether it is enough for one.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use zajil_net::DialCost;
use zajil_proto::time::Instant;

use super::api::ProbingView;
use crate::limits::PROBE_BYTES_PER_DAY_MAX;

const HOURS: usize = 24;

/// See the module. Counted since the program began: on disk it would tell when there was no link.
#[derive(Debug, Default)]
pub(crate) struct Probing {
    cost: Arc<DialCost>,
    counted: u64,
    /// Bytes of hours in which there were any, by their number, the newest last.
    hours: VecDeque<(u64, u64)>,
}

impl Probing {
    /// Returns where dials add what they cost.
    pub(crate) fn cost(&self) -> Arc<DialCost> {
        Arc::clone(&self.cost)
    }

    /// Returns whether this day's bytes are used up.
    pub(crate) fn is_spent(&mut self, now: Instant) -> bool {
        self.count(now, self.cost.bytes()) >= PROBE_BYTES_PER_DAY_MAX
    }

    /// Returns what a person may know of it.
    pub(crate) fn view(&mut self, now: Instant) -> ProbingView {
        let day_bytes = self.count(now, self.cost.bytes());
        ProbingView { day_bytes, day_bytes_max: PROBE_BYTES_PER_DAY_MAX, slowed: day_bytes >= PROBE_BYTES_PER_DAY_MAX }
    }

    /// Counts up to `all` bytes since the program began, and returns those of the last day, to the hour.
    fn count(&mut self, now: Instant, all: u64) -> u64 {
        let hour = now.since(Instant::default()).as_secs() / Duration::from_secs(60 * 60).as_secs();
        let new = all.saturating_sub(self.counted);
        self.counted = all;
        match self.hours.back_mut() {
            _ if new == 0 => {}
            Some((newest, bytes)) if *newest == hour => *bytes = bytes.saturating_add(new),
            _ => self.hours.push_back((hour, new)),
        }
        while self.hours.len() > HOURS
            || self.hours.front().is_some_and(|(oldest, _)| oldest.saturating_add(HOURS as u64) <= hour)
        {
            self.hours.pop_front();
        }
        self.hours.iter().fold(0, |sum, (_, bytes)| sum.saturating_add(*bytes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_day_counts_and_no_more_than_it() {
        let at = |minutes: u64| Instant::from_millis(minutes * 60_000);
        let mut probing = Probing::default();
        assert_eq!(probing.count(at(0), 1_000), 1_000);
        assert_eq!(probing.count(at(59), 1_500), 1_500);
        assert_eq!(probing.count(at(60), 1_700), 1_700);
        assert_eq!(probing.count(at(23 * 60 + 59), 1_700), 1_700);
        assert_eq!(probing.count(at(24 * 60), 1_700), 200);
        assert_eq!(probing.count(at(100 * 60), 1_701), 1);
    }

    #[test]
    fn a_day_without_a_link_to_one_relay_is_within_its_bytes() {
        use crate::limits::{
            HUNT_OFTEN_FOR_MILLIS, HUNT_OFTEN_MILLIS, HUNT_RARELY_MILLIS, HUNT_SELDOM_FOR_MILLIS, HUNT_SELDOM_MILLIS,
        };
        const DAY_MILLIS: u64 = 24 * 60 * 60_000;
        let dials = HUNT_OFTEN_FOR_MILLIS / HUNT_OFTEN_MILLIS
            + (HUNT_SELDOM_FOR_MILLIS - HUNT_OFTEN_FOR_MILLIS) / HUNT_SELDOM_MILLIS
            + (DAY_MILLIS - HUNT_SELDOM_FOR_MILLIS) / HUNT_RARELY_MILLIS;
        let bytes = dials * 1_250;
        assert!((PROBE_BYTES_PER_DAY_MAX * 9 / 10..PROBE_BYTES_PER_DAY_MAX).contains(&bytes), "{bytes}");
    }
}
