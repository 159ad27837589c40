//! The physical limit that every figure is a multiple of.

use std::time::Duration;

use zajil_net::links::{LinkSettings, Windows};

use crate::trial::{Link, Start, Way};

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

/// Bytes of a packet of the transport for each 1,000 bytes that a stream carries.
const PACKED: f64 = 1.053;

/// Returns in what time a note of so many sealed bytes passes at best over a link that comes and goes, when it begins `phase` into the
/// coming and going: without loss, knowing at once when the link comes, shaking hands anew in each window and going on where it was.
/// After `../research/link_targets.md`, section 2. `None` if the link does not come and go, or takes none of it in one window.
pub fn ideal(link: &Link, way: Way, start: Start, sealed_bytes: u64, phase: Duration) -> Option<Duration> {
    let Windows::Cycle { up, down, .. } = link.up.windows else { return None };
    let (window, period) = (up.as_secs_f64(), (up + down).as_secs_f64());
    let delay = link.up.delay.as_secs_f64();
    let seconds = |way: &LinkSettings, bytes: f64| way.rate_bits.map_or(0.0, |rate| bytes * 8.0 / precise(rate));
    let (there, back) = (|bytes| seconds(&link.up, bytes), |bytes| seconds(&link.down, bytes));
    let (full, packed) = (precise(FULL_PACKET_BYTES), precise(sealed_bytes) * PACKED);
    let (before, note, after) = match (way, start) {
        (Way::Send, Start::Cold) => (there(full + 220.0) + back(full) + 2.0 * delay, there(packed), back(163.0)),
        (Way::Send, Start::Warm) => (there(550.0), there(packed), back(163.0)),
        (Way::Receive, Start::Cold) => (there(2.0 * full) + back(full) + 3.0 * delay, back(packed), 0.0),
        (Way::Receive, Start::Warm) => (there(full) + back(350.0) + delay, back(packed), 0.0),
        (Way::Word, _) => return None,
    };
    let after = after + if way == Way::Send { 2.0 * delay } else { delay };
    let (mut passed, mut left) = (0.0, note);
    // Each window takes some of it, or none ever does.
    loop {
        let position = (phase.as_secs_f64() + passed) % period;
        if position >= window {
            passed += period - position;
            continue;
        }
        let rest = window - position;
        if before + left + after <= rest {
            return Some(Duration::from_secs_f64(passed + before + left + after));
        }
        if before + delay >= window {
            return None;
        }
        left -= (rest - before - delay).clamp(0.0, left);
        passed += rest;
    }
}

#[allow(clippy::cast_precision_loss, reason = "far below 2^52")]
fn precise(number: u64) -> f64 {
    number as f64
}

#[cfg(test)]
mod tests {
    use zajil_net::links::Profile;

    use super::*;

    #[test]
    fn at_best_a_note_waits_for_the_window_and_goes_on_in_the_next() {
        let link = Link::from(Profile::Windows);
        let seconds = |phase| {
            let phase = Duration::from_secs(phase);
            ideal(&link, Way::Send, Start::Cold, 32_000, phase).unwrap().as_secs_f64()
        };
        let whole = seconds(0);
        assert!((5.0..6.5).contains(&whole), "{whole}");
        assert!((seconds(20) - whole - 40.0).abs() < 1e-6 && (seconds(60) - whole).abs() < 1e-6);
        // Six seconds of it pass in the first window, which are enough; three are not.
        assert!((seconds(4) - whole).abs() < 1e-6);
        assert!((53.0..60.0).contains(&seconds(7)), "{}", seconds(7));
        assert_eq!(ideal(&Link::from(Profile::Edge), Way::Send, Start::Cold, 32_000, Duration::ZERO), None);
    }
}
