//! How late packets were handed over, against the moment the model named. Pure.

use std::time::Duration;

/// Steps of the histogram: powers of two in microseconds, the last of which is half an hour.
const STEPS: usize = 32;

/// A histogram of lateness.
#[derive(Debug, Default)]
pub(crate) struct Lateness {
    steps: [u64; STEPS],
    count: u64,
    sum: Duration,
    max: Duration,
}

impl Lateness {
    /// Takes one packet in.
    pub(crate) fn add(&mut self, late: Duration) {
        let micros = u64::try_from(late.as_micros()).unwrap_or(u64::MAX);
        let step = usize::try_from(u64::BITS - micros.leading_zeros()).unwrap_or(STEPS);
        if let Some(count) = self.steps.get_mut(step.min(STEPS - 1)) {
            *count += 1;
        }
        self.count += 1;
        self.sum += late;
        self.max = self.max.max(late);
    }

    /// Returns the mean, `None` before the first packet.
    pub(crate) fn mean(&self) -> Option<Duration> {
        self.sum.checked_div(u32::try_from(self.count).unwrap_or(u32::MAX))
    }

    /// Returns the largest.
    pub(crate) const fn max(&self) -> Duration {
        self.max
    }

    /// Returns a time below which this many hundredths of all lie, at most twice the least such time.
    pub(crate) fn below(&self, hundredths: u64) -> Option<Duration> {
        let wanted = (self.count * hundredths).div_ceil(100).max(1);
        let mut sum = 0;
        let reached = |count: &u64| {
            sum += count;
            sum >= wanted
        };
        let step = self.steps.iter().position(reached)?;
        Some(Duration::from_micros(1 << step))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lateness_is_summed_up() {
        let mut lateness = Lateness::default();
        assert_eq!((lateness.mean(), lateness.below(99)), (None, None));
        (0..99).for_each(|_| lateness.add(Duration::from_micros(100)));
        lateness.add(Duration::from_millis(10));
        assert_eq!(lateness.mean(), Some(Duration::from_micros(199)));
        assert_eq!(lateness.max(), Duration::from_millis(10));
        assert_eq!(lateness.below(50), Some(Duration::from_micros(128)));
        assert_eq!(lateness.below(99), Some(Duration::from_micros(128)));
        assert_eq!(lateness.below(100), Some(Duration::from_micros(16_384)));
    }

    #[test]
    fn what_is_late_by_days_is_counted_too() {
        let mut lateness = Lateness::default();
        lateness.add(Duration::from_secs(1_000_000));
        assert_eq!(lateness.below(50), Some(Duration::from_micros(1 << 31)));
    }
}
