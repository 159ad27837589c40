//! The physical limit that every figure is a multiple of.

use std::time::Duration;

use zajil_net::links::LinkSettings;

/// Bytes of IP in a full packet.
const FULL_PACKET_BYTES: u64 = 1_228;

/// Returns how long `bytes` take over this way of a link at best: sending them at its rate, and its delay.
pub fn limit(way: &LinkSettings, bytes: u64) -> Duration {
    let sending = way.rate_bits.map_or(0.0, |rate| precise(bytes) * 8.0 / precise(rate));
    Duration::from_secs_f64(sending) + way.delay
}

/// Returns within what time issue 4 wants a word at the relay that has been met before: the delay of this way, the sending of one full
/// packet, the jitter, and 30 ms for disk and processor.
pub fn limit_of_word(way: &LinkSettings) -> Duration {
    limit(way, FULL_PACKET_BYTES) + way.jitter + Duration::from_millis(30)
}

#[allow(clippy::cast_precision_loss, reason = "far below 2^52")]
fn precise(number: u64) -> f64 {
    number as f64
}
