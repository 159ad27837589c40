//! Congestion control for links that lose packets for reasons of their own.
//!
//! Loss is no sign of congestion here: radio loses a fifth of what is sent over an empty link. A queue that stays is. Once in a
//! round trip the window moves so that a few packets, and no more, stand in the narrowest queue (as in TCP Vegas, Brakmo and
//! Peterson 1995): the narrow link never runs dry, and what matters more is never far behind. Standing delay is the least delay
//! of a round, since jitter only ever adds (Copa, Arun and Balakrishnan 2018, §2.2).
//!
//! Not promised: a fair share beside a sender that fills the queue until it overflows. It gets the least window then.

use core::any::Any;
use core::fmt;
use core::time::Duration;
use std::sync::Arc;
use std::time::Instant;

use quinn::congestion::{Controller, ControllerFactory};
use quinn_proto::RttEstimator;

use crate::limits::{
    BASE_DELAY_SPAN, DRAINING_ROUNDS, LOSS_MEMORY_PACKETS, MEASURED_ROUNDS_MAX, MEASURED_ROUNDS_MIN, PACKET_BYTES,
    ROUND_PACKETS_MIN, STANDING_PACKETS, STANDING_PACKETS_MAX, UNUSED_PACKETS, WINDOW_PACKETS_MAX, WINDOW_PACKETS_MIN,
};

/// Makes controllers that begin with the same window.
#[derive(Debug)]
pub(crate) struct LossTolerantFactory {
    packets: u64,
}

impl LossTolerantFactory {
    /// Connections begin with this many packets under way.
    pub(crate) const fn new(packets: u64) -> Self {
        Self { packets }
    }
}

impl ControllerFactory for LossTolerantFactory {
    fn build(self: Arc<Self>, now: Instant, _: u16) -> Box<dyn Controller> {
        Box::new(LossTolerant::new(self.packets, now))
    }
}

/// See the module.
#[derive(Clone)]
struct LossTolerant {
    initial: u64,
    window: u64,
    /// Until a queue was seen for the first time the window doubles with every round.
    searching: bool,
    base: LeastOf,
    round: Round,
    lost: LossRate,
    /// Bytes acknowledged by what is being read.
    batch: u64,
    /// Rounds in which the queue is let run empty, to see what the way takes without it.
    draining: u32,
    carried: Carried,
}

/// What a link was seen to carry while it had something to carry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Measured {
    /// Bits in a second, our packets' headers not counted.
    pub(crate) rate_bits: u64,
    /// The way there and back without a queue.
    pub(crate) round_trip: Duration,
}

/// What is seen of one round trip.
#[derive(Debug, Clone, Copy)]
struct Round {
    /// It ends when something that was sent after this is acknowledged.
    began: Instant,
    least: Option<Duration>,
    acknowledged: u64,
    /// The most bytes that were under way.
    most: u64,
    /// Whether there was more to send than the window let through.
    filled: bool,
}

impl Round {
    const fn new(began: Instant) -> Self {
        Self { began, least: None, acknowledged: 0, most: 0, filled: false }
    }
}

impl LossTolerant {
    fn new(initial_packets: u64, now: Instant) -> Self {
        let window = packets(initial_packets.clamp(WINDOW_PACKETS_MIN, WINDOW_PACKETS_MAX));
        Self {
            initial: window,
            window,
            searching: true,
            base: LeastOf::default(),
            round: Round::new(now),
            lost: LossRate::default(),
            batch: 0,
            draining: 0,
            carried: Carried::default(),
        }
    }

    /// Returns what the link carries; `None` until enough rounds were full to tell.
    fn measured(&self) -> Option<Measured> {
        let rate_bits = self.carried.rate_bits()?;
        // The shortest way there and back that was seen is that of a whole packet, which takes its time to be sent.
        let sending = Duration::from_millis(packets(8_000) / rate_bits.max(1));
        Some(Measured { rate_bits, round_trip: self.base.least()?.saturating_sub(sending) })
    }

    /// Takes the acknowledgement of one packet that was sent at `sent`.
    fn acknowledged(&mut self, now: Instant, sent: Instant, bytes: u64, app_limited: bool) {
        self.lost.arrived(bytes);
        let delay = now.saturating_duration_since(sent);
        self.round.least = Some(self.round.least.map_or(delay, |least| least.min(delay)));
        self.round.acknowledged += bytes;
        self.batch += bytes;
        self.round.filled |= !app_limited;
        if sent >= self.round.began {
            self.end_round(now);
        }
    }

    /// All that one packet acknowledges was taken; `in_flight` bytes are left.
    fn all_acknowledged(&mut self, in_flight: u64) {
        self.round.most = self.round.most.max(in_flight + core::mem::take(&mut self.batch));
    }

    /// Moves the window once a round is over.
    fn end_round(&mut self, now: Instant) {
        let round = core::mem::replace(&mut self.round, Round::new(now));
        let Some(standing) = round.least else { return };
        let (base, anew) = self.base.add(now, standing);
        if anew {
            self.draining = DRAINING_ROUNDS;
        } else if self.draining > 0 {
            self.draining -= 1;
        } else if round.filled {
            let queued = standing_bytes(self.window, base, standing);
            if queued >= packets(1) {
                self.carried.add(round.acknowledged, now.saturating_duration_since(round.began));
            }
            let wanted = packets(self.standing_wanted());
            if queued > wanted + packets(1) {
                self.searching = false;
                self.window = self.window.saturating_sub((queued - wanted).min(self.window / 4));
            } else if queued + packets(1) < wanted {
                self.window += if self.searching { round.acknowledged } else { packets(1) };
            } else {
                self.searching = false;
            }
        } else if round.most > packets(ROUND_PACKETS_MIN) {
            self.window = self.window.min(round.most + packets(UNUSED_PACKETS));
        }
        self.window = self.window.clamp(packets(WINDOW_PACKETS_MIN), packets(WINDOW_PACKETS_MAX));
    }

    /// Where much is lost, more is kept under way: acknowledgements come in gaps then, and the link must not stand still.
    fn standing_wanted(&self) -> u64 {
        let more = u64::from(self.lost.per_mille()) * (STANDING_PACKETS_MAX - STANDING_PACKETS) / 200;
        (STANDING_PACKETS + more).min(STANDING_PACKETS_MAX)
    }
}

impl Controller for LossTolerant {
    fn on_ack(&mut self, now: Instant, sent: Instant, bytes: u64, app_limited: bool, _: &RttEstimator) {
        self.acknowledged(now, sent, bytes, app_limited);
    }

    fn on_end_acks(&mut self, _: Instant, in_flight: u64, _: bool, _: Option<u64>) {
        self.all_acknowledged(in_flight);
    }
    fn on_congestion_event(&mut self, _: Instant, _: Instant, _: bool, lost_bytes: u64) {
        // Also when nothing came for long: outages are ordinary here, and end at once.
        self.lost.lost(lost_bytes);
    }

    fn on_mtu_update(&mut self, _: u16) {}

    fn window(&self) -> u64 {
        if self.draining > 0 { packets(WINDOW_PACKETS_MIN) } else { self.window }
    }

    fn clone_box(&self) -> Box<dyn Controller> {
        Box::new(self.clone())
    }

    fn initial_window(&self) -> u64 {
        self.initial
    }

    fn into_any(self: Box<Self>) -> Box<dyn Any> {
        self
    }
}

/// Returns what a connection has measured of its way out.
pub(crate) fn measured(connection: &quinn::Connection) -> Option<Measured> {
    connection.congestion_state().into_any().downcast::<LossTolerant>().ok()?.measured()
}

impl fmt::Debug for LossTolerant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LossTolerant").field("window", &self.window).finish_non_exhaustive()
    }
}

/// Returns how much of what is under way stands in a queue: the part of the round trip that waiting makes up.
fn standing_bytes(window: u64, base: Duration, standing: Duration) -> u64 {
    let (base, standing) = (base.as_micros(), standing.as_micros().max(1));
    let queued = u128::from(window) * standing.saturating_sub(base) / standing;
    u64::try_from(queued).unwrap_or(u64::MAX)
}

const fn packets(count: u64) -> u64 {
    count * PACKET_BYTES as u64
}

/// The least delay of the last while: of this span and of the one before it.
#[derive(Debug, Clone, Copy, Default)]
struct LeastOf {
    began: Option<Instant>,
    this: Option<Duration>,
    former: Option<Duration>,
}

impl LeastOf {
    /// Takes one more and returns the least, and whether another span begins with it.
    fn add(&mut self, now: Instant, delay: Duration) -> (Duration, bool) {
        let began = *self.began.get_or_insert(now);
        let anew = now.saturating_duration_since(began) >= BASE_DELAY_SPAN;
        if anew {
            self.began = Some(now);
            self.former = self.this.take();
        }
        let this = self.this.map_or(delay, |this| this.min(delay));
        self.this = Some(this);
        (self.former.map_or(this, |former| former.min(this)), anew)
    }

    /// Returns the least of them, if there was any.
    fn least(&self) -> Option<Duration> {
        self.this.into_iter().chain(self.former).min()
    }
}

/// How fast bytes arrived in the last rounds in which there was more to send than the window let through, and a queue stood. The best
/// counts: what is lost makes a link look slower than it is.
#[derive(Debug, Clone, Copy, Default)]
struct Carried {
    rounds: usize,
    bits: [u64; MEASURED_ROUNDS_MAX],
}

impl Carried {
    fn add(&mut self, bytes: u64, time: Duration) {
        let millis = u64::try_from(time.as_millis()).unwrap_or(u64::MAX).max(1);
        if let Some(place) = self.bits.get_mut(self.rounds % MEASURED_ROUNDS_MAX) {
            *place = bytes.saturating_mul(8_000) / millis;
        }
        self.rounds = self.rounds.wrapping_add(1);
    }

    fn rate_bits(&self) -> Option<u64> {
        if self.rounds < MEASURED_ROUNDS_MIN { None } else { self.bits.iter().copied().max() }
    }
}

/// How much of late was lost; what lies further back counts by half, and by half of that.
#[derive(Debug, Clone, Copy, Default)]
struct LossRate {
    lost: u64,
    all: u64,
}

impl LossRate {
    fn arrived(&mut self, bytes: u64) {
        self.count(0, bytes);
    }

    fn lost(&mut self, bytes: u64) {
        self.count(bytes, bytes);
    }

    fn count(&mut self, lost: u64, all: u64) {
        self.lost += lost;
        self.all += all;
        if self.all > packets(2 * LOSS_MEMORY_PACKETS) {
            self.lost /= 2;
            self.all /= 2;
        }
    }

    /// Returns parts of a thousand; zero until enough was sent to tell.
    fn per_mille(&self) -> u32 {
        if self.all < packets(LOSS_MEMORY_PACKETS / 8) {
            return 0;
        }
        u32::try_from(self.lost.saturating_mul(1_000) / self.all).unwrap_or(1_000)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A link that carries one packet in `each`, empty at first, with this round trip besides.
    struct Path {
        each: Duration,
        round_trip: Duration,
        /// Of every so many packets one is lost; 0 is none.
        one_lost_in: u64,
    }

    /// Sends `count` packets, always as many as the window lets through, and returns the window's packets over time and the longest
    /// queue in packets.
    fn send(controller: &mut LossTolerant, start: Instant, path: &Path, count: u64) -> (Vec<u64>, u64) {
        let (mut under_way, mut free_at) = (std::collections::VecDeque::new(), start);
        let (mut now, mut windows, mut longest) = (start, Vec::new(), 0);
        for number in 0..count {
            while packets(u64::try_from(under_way.len()).unwrap() + 1) > controller.window() {
                let (sent, arrives, lost) = under_way.pop_front().unwrap();
                now = now.max(arrives);
                if lost {
                    controller.on_congestion_event(now, sent, false, packets(1));
                } else {
                    controller.acknowledged(now, sent, packets(1), false);
                    controller.all_acknowledged(packets(u64::try_from(under_way.len()).unwrap()));
                }
                windows.push(controller.window() / packets(1));
            }
            free_at = free_at.max(now) + path.each;
            let queue = (free_at - now).as_micros() / path.each.as_micros();
            longest = longest.max(u64::try_from(queue).unwrap());
            let lost = path.one_lost_in > 0 && number % path.one_lost_in == 1;
            under_way.push_back((now, free_at + path.round_trip, lost));
        }
        (windows, longest)
    }

    const EDGE: Path = Path { each: Duration::from_millis(80), round_trip: Duration::from_millis(400), one_lost_in: 0 };

    #[test]
    fn a_few_packets_stand_in_the_queue_and_no_more() {
        let start = Instant::now();
        let mut controller = LossTolerant::new(4, start);
        let (windows, _) = send(&mut controller, start, &EDGE, 400);
        // Five under way on the air, one being sent, and those that stand.
        let settled = &windows[200..];
        assert!(settled.iter().all(|window| (8..=14).contains(window) || *window == WINDOW_PACKETS_MIN), "{settled:?}");
    }

    #[test]
    fn a_link_is_measured_once_it_was_full_for_some_rounds() {
        let start = Instant::now();
        for one_lost_in in [0, 5] {
            let mut controller = LossTolerant::new(8, start);
            let _ = send(&mut controller, start, &EDGE, 8);
            assert_eq!(controller.measured(), None);
            let path = Path { one_lost_in, ..EDGE };
            let _ = send(&mut controller, start + Duration::from_secs(10), &path, 200);
            let measured = controller.measured().unwrap();
            assert!((90_000..=130_000).contains(&measured.rate_bits), "of 120 000: {measured:?}");
            assert!((370..=410).contains(&measured.round_trip.as_millis()), "{measured:?}");
        }
    }

    #[test]
    fn in_ten_minutes_the_queue_is_not_taken_for_the_way() {
        let start = Instant::now();
        let mut controller = LossTolerant::new(8, start);
        let (windows, longest) = send(&mut controller, start, &EDGE, 7_500);
        assert!(longest <= 20, "{longest} packets stood in the queue");
        let kept = windows.iter().filter(|window| **window >= 7).count();
        assert!(
            kept * 100 > windows.len() * 90,
            "the link stands still in {} of {}",
            windows.len() - kept,
            windows.len()
        );
    }

    #[test]
    fn losing_a_fifth_shrinks_nothing() {
        let start = Instant::now();
        let mut controller = LossTolerant::new(8, start);
        let (windows, _) = send(&mut controller, start, &Path { one_lost_in: 5, ..EDGE }, 400);
        let low = windows.iter().filter(|window| **window < 8).count();
        assert!(low * 20 < windows.len(), "{windows:?}");
    }

    #[test]
    fn a_window_far_too_long_comes_down_within_some_rounds() {
        let start = Instant::now();
        let mut controller = LossTolerant::new(WINDOW_PACKETS_MAX, start);
        // Two packets teach it what the way takes when it is empty.
        let _ = send(&mut controller, start, &EDGE, 2);
        let (windows, _) = send(&mut controller, start + Duration::from_secs(1), &EDGE, 1_500);
        assert!(*windows.last().unwrap() <= 14, "{:?}", windows.last());
    }

    #[test]
    fn a_window_that_is_not_made_use_of_does_not_stay() {
        let start = Instant::now();
        let mut controller = LossTolerant::new(40, start);
        for round in 0..4_u32 {
            let sent = start + Duration::from_millis(200) * round;
            let now = sent + Duration::from_millis(100);
            for left in (0..10).rev() {
                controller.acknowledged(now, sent, packets(1), true);
                controller.all_acknowledged(packets(left));
            }
        }
        assert!(controller.window() <= packets(10 + UNUSED_PACKETS), "{}", controller.window());
    }

    #[test]
    fn the_least_delay_is_forgotten_after_a_while() {
        let (start, short, long) = (Instant::now(), Duration::from_millis(100), Duration::from_millis(700));
        let mut least = LeastOf::default();
        assert_eq!(least.add(start, short), (short, false));
        assert_eq!(least.add(start + BASE_DELAY_SPAN, long), (short, true));
        assert_eq!(least.add(start + BASE_DELAY_SPAN * 2, long), (long, true));
    }

    #[test]
    fn loss_is_told_in_parts_of_a_thousand_and_fades() {
        let mut rate = LossRate::default();
        rate.lost(packets(1));
        assert_eq!(rate.per_mille(), 0, "one packet tells nothing");
        rate.arrived(packets(9));
        assert_eq!(rate.per_mille(), 100);
        rate.arrived(packets(1_000));
        assert!(rate.per_mille() < 20, "{}", rate.per_mille());
    }
}
