//! The physical limit that every figure is a multiple of.

use std::time::Duration;

use zajil_net::links::LinkSettings;

/// Returns how long `bytes` take over this way of a link at best: sending them at its rate, and its delay.
pub fn limit(way: &LinkSettings, bytes: u64) -> Duration {
    let sending = way.rate_bits.map_or(0.0, |rate| precise(bytes) * 8.0 / precise(rate));
    Duration::from_secs_f64(sending) + way.delay
}

#[allow(clippy::cast_precision_loss, reason = "far below 2^52")]
fn precise(number: u64) -> f64 {
    number as f64
}
