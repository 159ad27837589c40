use std::sync::{Mutex, MutexGuard, PoisonError};

use zajil_proto::time::{Instant, Minute};

use crate::seams::Clock;

const MINUTE_MILLIS: i64 = 60_000;

/// The clocks of one machine: a monotonic one that runs as tokio's does, and a wall clock that a test sets wrong. Make it
/// within the runtime.
#[derive(Debug)]
pub struct SimulatedClock {
    start: tokio::time::Instant,
    wall: Mutex<Wall>,
}

/// What the wall clock said at one time, and how it has gone since.
#[derive(Debug, Clone, Copy)]
struct Wall {
    at: tokio::time::Instant,
    millis: i64,
    drift_ppm: i32,
}

impl Wall {
    fn millis(&self) -> i64 {
        let passed = i64::try_from(self.at.elapsed().as_millis()).unwrap_or(i64::MAX);
        let drift = i128::from(passed) * i128::from(self.drift_ppm) / 1_000_000;
        self.millis.saturating_add(passed).saturating_add(i64::try_from(drift).unwrap_or(0))
    }
}

impl SimulatedClock {
    /// Starts now, at this wall-clock minute.
    pub fn new(wall: Minute) -> Self {
        let start = tokio::time::Instant::now();
        let wall = Wall { at: start, millis: i64::from(wall.0) * MINUTE_MILLIS, drift_ppm: 0 };
        Self { start, wall: Mutex::new(wall) }
    }

    /// Moves the wall clock on or back; the monotonic one does not notice.
    pub fn shift_wall(&self, minutes: i64) {
        let mut wall = self.wall_now();
        wall.millis = wall.millis.saturating_add(minutes.saturating_mul(MINUTE_MILLIS));
    }

    /// Makes the wall clock run fast from now on, by this many millionths, or slow if it is less than zero. A phone does
    /// 20 or so; one of minus a million stands still.
    pub fn set_drift_ppm(&self, drift_ppm: i32) {
        let mut wall = self.wall_now();
        let millis = wall.millis();
        *wall = Wall { at: tokio::time::Instant::now(), millis, drift_ppm };
    }

    fn wall_now(&self) -> MutexGuard<'_, Wall> {
        self.wall.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Clock for SimulatedClock {
    fn now(&self) -> Instant {
        Instant::default().after(self.start.elapsed())
    }

    fn wall(&self) -> Minute {
        let minutes = self.wall_now().millis().div_euclid(MINUTE_MILLIS).max(0);
        Minute(u32::try_from(minutes).unwrap_or(u32::MAX))
    }
}

#[cfg(test)]
mod tests {
    use core::time::Duration;

    use super::*;

    const DAY: Duration = Duration::from_secs(24 * 3_600);

    #[tokio::test(start_paused = true)]
    async fn a_clock_drifts_from_when_it_is_told_to_and_jumps_keep_the_drift() {
        let clock = SimulatedClock::new(Minute(1_000));
        tokio::time::advance(DAY).await;
        assert_eq!(clock.wall(), Minute(1_000 + 1_440));
        clock.set_drift_ppm(100_000);
        tokio::time::advance(DAY).await;
        assert_eq!(clock.wall(), Minute(1_000 + 1_440 + 1_584));
        clock.shift_wall(-600);
        clock.set_drift_ppm(-1_000_000);
        tokio::time::advance(DAY).await;
        assert_eq!(clock.wall(), Minute(1_000 + 1_440 + 1_584 - 600));
        assert_eq!(clock.now(), Instant::default().after(DAY * 3));
    }
}
