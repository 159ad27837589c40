//! The one clock that packets go by.

use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

/// The machine's monotonic clock, counted from when the link came up.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Clock {
    start: Duration,
}

impl Clock {
    /// Starts at zero.
    pub(crate) fn start() -> Self {
        Self { start: read(ClockId::Monotonic) }
    }

    /// Returns the time since the start.
    pub(crate) fn now(&self) -> Duration {
        read(ClockId::Monotonic).saturating_sub(self.start)
    }

    /// Returns what the monotonic clock showed at the start, for programs that log by that clock as well.
    pub(crate) const fn started(&self) -> Duration {
        self.start
    }
}

/// Returns the processor time that this process has taken.
pub(crate) fn processor_time() -> Duration {
    read(ClockId::ProcessCPUTime)
}

fn read(clock: ClockId) -> Duration {
    // Neither clock shows a time before its zero.
    Duration::try_from(clock_gettime(clock)).unwrap_or_default()
}
