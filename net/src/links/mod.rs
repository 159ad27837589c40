//! What a bad link does to packets: one model for the simulated network, for benches and for tests over real sockets.
//!
//! Pure: time is an argument and chance comes from a seed. Stages, in this order: a block of UDP; the MTU; outage windows; a
//! drop-tail queue; sending at a rate; loss on the air; duplicates; reordering; delay and jitter.

mod chance;
mod counters;
mod one_way;
mod settings;
mod windows;

use core::time::Duration;

pub(crate) use chance::seed_for;
pub use counters::{Counters, DropCause};
pub use one_way::{Fate, OneWay};
pub use settings::{JitterShape, LinkSettings, Loss, Outage, Profile};
pub use windows::Windows;

/// Returns a time in nanoseconds, which 64 bits hold for 584 years.
pub(crate) fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}
