use core::time::Duration;
use std::collections::VecDeque;

use super::chance::{Draws, NORMAL_MAX, seed_for};
use super::{Counters, DropCause, JitterShape, LinkSettings, Loss, Outage, nanos};

/// Shortest spell, nanoseconds, so that means of zero do not count spells for ever.
const SPELL_NANOS_MIN: u64 = 10_000;

/// What becomes of a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// It never arrives.
    Dropped(DropCause),
    /// It arrives.
    Arrives {
        /// When its last bit leaves.
        leaves: Duration,
        /// When it arrives.
        at: Duration,
        /// When its duplicate arrives, if there is one.
        again: Option<Duration>,
    },
}

/// One direction of a link.
///
/// Times must not run backwards; one that does is taken for the latest. Each purpose draws from a stream of its own,
/// and every packet that is sent draws once from each: the n-th that gets so far meets the same fate in every run with
/// the same seed and settings. ([`Loss::Spells`] and windows go by the clock.)
#[derive(Debug, Clone)]
pub struct OneWay {
    settings: LinkSettings,
    counters: Counters,
    /// The latest time it was told, nanoseconds.
    now: u64,
    /// When the last packet taken will have left.
    free_at: u64,
    /// Packets that wait: when each begins to be sent, and its bytes.
    waiting: VecDeque<(u64, usize)>,
    waiting_bytes: usize,
    last_arrival: u64,
    chain: Chain,
    loss: Draws,
    jitter: Draws,
    duplicate: Draws,
    reorder: Draws,
}

/// The state of Gilbert-Elliott loss.
#[derive(Debug, Clone)]
struct Chain {
    draws: Draws,
    bad: bool,
    /// When this spell ends, if spells go by the clock.
    until: u64,
}

impl OneWay {
    /// Makes a direction whose chances come from `seed`. The two directions of a link need different ones.
    pub fn new(settings: LinkSettings, seed: u64) -> Self {
        let draws = |purpose| Draws::new(seed, purpose);
        let mut chain = Chain { draws: draws(1), bad: false, until: 0 };
        chain.begin(&settings.loss, 0);
        Self {
            settings,
            counters: Counters::default(),
            now: 0,
            free_at: 0,
            waiting: VecDeque::new(),
            waiting_bytes: 0,
            last_arrival: 0,
            chain,
            loss: draws(2),
            jitter: draws(3),
            duplicate: draws(4),
            reorder: draws(5),
        }
    }

    /// Makes both directions of a link, up (away from the device) and down, whose chances come from one seed.
    ///
    /// Whoever plays the same link with the same seed, in memory or between real sockets, makes it here: then the n-th packet of a
    /// direction meets the same fate in both.
    pub fn both(up: LinkSettings, down: LinkSettings, seed: u64) -> (Self, Self) {
        (Self::new(up, seed_for(seed, &[0])), Self::new(down, seed_for(seed, &[1])))
    }

    /// Offers a datagram of UDP of `ip_bytes`, IP header included, and decides at once what becomes of it.
    pub fn offer(&mut self, now: Duration, ip_bytes: usize) -> Fate {
        if self.settings.blocks_udp {
            self.begin(now);
            self.counters.offer(wide(ip_bytes));
            return self.dropped(DropCause::Blocked, ip_bytes);
        }
        self.offer_other(now, ip_bytes)
    }

    /// Offers a packet of any other protocol, of which a link that blocks UDP thinks nothing.
    pub fn offer_other(&mut self, now: Duration, ip_bytes: usize) -> Fate {
        let now = self.begin(now);
        self.counters.offer(wide(ip_bytes));
        if ip_bytes > self.settings.mtu_bytes {
            return self.dropped(DropCause::TooLarge, ip_bytes);
        }
        let Some(starts) = self.turn(now) else {
            return self.dropped(DropCause::Outage, ip_bytes);
        };
        if starts > now && !self.queue_takes(ip_bytes) {
            return self.dropped(DropCause::QueueFull, ip_bytes);
        }
        let (leaves, gone_at) = match self.settings.outage {
            Outage::Loses => (self.sent_by(starts, ip_bytes), self.settings.windows.at(now).until),
            Outage::Holds => (self.air_time(ip_bytes).and_then(|time| self.settings.windows.spent(starts, time)), None),
        };
        let Some(leaves) = leaves else {
            return self.dropped(DropCause::Outage, ip_bytes);
        };
        // What ends as the link goes away did get out.
        let gone_at = gone_at.unwrap_or(u64::MAX);
        self.enter(now, starts, leaves.min(gone_at), ip_bytes);
        if leaves > gone_at {
            return self.dropped(DropCause::Outage, ip_bytes);
        }
        self.fly(leaves, ip_bytes)
    }

    /// Sends a piece of a stream of `ip_bytes`: it takes its turn at the rate, waits while the link is not there, and
    /// arrives for sure, in its order. Returns when it has left and when it arrives; `None` if the link carries nothing
    /// any more. Not among the [`Counters`], not in the queue's limit, and neither lost, duplicated nor blocked.
    pub fn carry(&mut self, now: Duration, ip_bytes: usize) -> Option<(Duration, Duration)> {
        let now = self.begin(now);
        let mut starts = self.settings.windows.next_up(self.free_at.max(now))?;
        let mut leaves = self.sent_by(starts, ip_bytes)?;
        let gone_at = self.settings.windows.at(starts).until;
        if let Some(gone_at) = gone_at.filter(|gone_at| *gone_at < leaves) {
            // It waits for the next window. Should that be too short as well, it is sent all the same: held for ever, a
            // stream would never go on.
            starts = self.settings.windows.next_up(gone_at)?;
            leaves = self.sent_by(starts, ip_bytes)?;
        }
        self.free_at = leaves;
        let at = self.arrival(leaves).max(self.last_arrival);
        self.last_arrival = at;
        Some((Duration::from_nanos(leaves), Duration::from_nanos(at)))
    }

    /// Changes what the link does from now on. What it has taken keeps its fate, and what waits goes on waiting.
    pub fn set_settings(&mut self, settings: LinkSettings) {
        if settings.loss != self.settings.loss {
            self.chain.begin(&settings.loss, self.now);
        }
        self.settings = settings;
    }

    /// Returns what the link does.
    pub const fn settings(&self) -> &LinkSettings {
        &self.settings
    }

    /// Returns what it has counted.
    pub const fn counters(&self) -> &Counters {
        &self.counters
    }

    /// Returns how many bytes wait at `now`, the packet being sent not among them.
    pub fn queued_bytes(&mut self, now: Duration) -> usize {
        self.begin(now);
        self.waiting_bytes
    }

    /// Forgets everything that has not left by `now`, as when the device that holds the queue loses its power. Whoever
    /// was told another fate for it has to [`recall`](Self::recall) each.
    pub fn cut(&mut self, now: Duration) {
        let now = self.begin(now);
        self.waiting.clear();
        self.waiting_bytes = 0;
        self.free_at = now;
        // What comes next waits for what has left, and not for what never will.
        let jitters = match self.settings.jitter_shape {
            JitterShape::Uniform => 1,
            JitterShape::Normal => u64::from(NORMAL_MAX),
        };
        let farthest = nanos(self.settings.delay).saturating_add(nanos(self.settings.jitter).saturating_mul(jitters));
        self.last_arrival = self.last_arrival.min(now.saturating_add(farthest));
    }

    /// Counts one packet of `ip_bytes` that was said to arrive as one dropped for an outage.
    pub fn recall(&mut self, ip_bytes: usize) {
        let bytes = wide(ip_bytes);
        self.counters.delivered = self.counters.delivered.saturating_sub(1);
        self.counters.delivered_bytes = self.counters.delivered_bytes.saturating_sub(bytes);
        self.counters.drop(DropCause::Outage, bytes);
    }

    /// Notes the time, and lets go of what no longer waits by then.
    fn begin(&mut self, now: Duration) -> u64 {
        self.now = self.now.max(nanos(now));
        while let Some((_, bytes)) = self.waiting.pop_front_if(|(starts, _)| *starts <= self.now) {
            self.waiting_bytes -= bytes;
        }
        self.now
    }

    fn queue_takes(&self, ip_bytes: usize) -> bool {
        let fits = self.waiting_bytes.checked_add(ip_bytes).is_some_and(|bytes| bytes <= self.settings.queue_bytes);
        fits && self.waiting.len() < self.settings.queue_packets
    }

    /// Returns when a packet that is offered now has its turn; `None` if the link does not take it, or never will.
    fn turn(&self, now: u64) -> Option<u64> {
        let earliest = self.free_at.max(now);
        match self.settings.outage {
            Outage::Loses => self.settings.windows.at(now).up.then_some(earliest),
            Outage::Holds => self.settings.windows.next_up(earliest),
        }
    }

    fn dropped(&mut self, cause: DropCause, ip_bytes: usize) -> Fate {
        self.counters.drop(cause, wide(ip_bytes));
        Fate::Dropped(cause)
    }

    /// Takes a packet into the queue, or straight to the air.
    fn enter(&mut self, now: u64, starts: u64, free_at: u64, ip_bytes: usize) {
        if starts > now {
            self.waiting.push_back((starts, ip_bytes));
            self.waiting_bytes += ip_bytes;
            self.counters.waiting_max = self.counters.waiting_max.max(self.waiting.len());
            self.counters.waiting_bytes_max = self.counters.waiting_bytes_max.max(self.waiting_bytes);
        }
        // A piece of a stream may have the air for later already.
        self.free_at = self.free_at.max(free_at);
    }

    /// Returns when the last bit has left, if the first does at `starts`.
    fn sent_by(&self, starts: u64, ip_bytes: usize) -> Option<u64> {
        starts.checked_add(self.air_time(ip_bytes)?)
    }

    /// Returns how long sending takes; `None` if it never ends.
    fn air_time(&self, ip_bytes: usize) -> Option<u64> {
        let Some(rate) = self.settings.rate_bits else {
            return Some(0);
        };
        let bytes = wide(ip_bytes).saturating_add(wide(self.settings.overhead_bytes));
        bytes.saturating_mul(8 * 1_000_000_000).saturating_add(rate / 2).checked_div(rate)
    }

    /// What happens on the air, from the time the last bit left.
    fn fly(&mut self, leaves: u64, ip_bytes: usize) -> Fate {
        let lost = self.loses(leaves);
        let duplicated = self.duplicate.says_yes(self.settings.duplicate_ppm);
        let late = self.reorder.says_yes(self.settings.reorder_ppm);
        let mut at = self.arrival(leaves);
        if lost {
            return self.dropped(DropCause::Lost, ip_bytes);
        }
        if late {
            self.counters.reordered += 1;
            at = at.saturating_add(nanos(self.settings.reorder_delay));
        } else if !self.settings.jitter_reorders {
            at = at.max(self.last_arrival);
            self.last_arrival = at;
        }
        self.counters.deliver(1 + u64::from(duplicated), wide(ip_bytes));
        let at = Duration::from_nanos(at);
        Fate::Arrives { leaves: Duration::from_nanos(leaves), at, again: duplicated.then_some(at) }
    }

    fn arrival(&mut self, leaves: u64) -> u64 {
        let delay = nanos(self.settings.delay);
        let later = match self.settings.jitter_shape {
            JitterShape::Uniform => {
                let jitter = nanos(self.settings.jitter);
                delay.saturating_add(self.jitter.up_to(jitter.saturating_mul(2))).saturating_sub(jitter)
            }
            JitterShape::Normal => {
                let deviations = self.jitter.normal();
                let jitter = nanos(self.settings.jitter.mul_f64(deviations.abs()));
                if deviations < 0.0 { delay.saturating_sub(jitter) } else { delay.saturating_add(jitter) }
            }
        };
        leaves.saturating_add(later)
    }

    fn loses(&mut self, at: u64) -> bool {
        match self.settings.loss {
            Loss::None => self.loss.says_yes(0),
            Loss::Random { lost_ppm } => self.loss.says_yes(lost_ppm),
            Loss::Bursts { good_to_bad_ppm, bad_to_good_ppm, lost_bad_ppm, lost_good_ppm } => {
                let turns = if self.chain.bad { bad_to_good_ppm } else { good_to_bad_ppm };
                self.chain.bad ^= self.chain.draws.says_yes(turns);
                self.loss.says_yes(if self.chain.bad { lost_bad_ppm } else { lost_good_ppm })
            }
            Loss::Spells { good, bad, lost_bad_ppm, lost_good_ppm } => {
                while self.chain.until <= at {
                    self.chain.bad = !self.chain.bad;
                    let spell = self.chain.draws.exponential(if self.chain.bad { bad } else { good });
                    self.chain.until = self.chain.until.saturating_add(nanos(spell).max(SPELL_NANOS_MIN));
                }
                self.loss.says_yes(if self.chain.bad { lost_bad_ppm } else { lost_good_ppm })
            }
        }
    }
}

impl Chain {
    /// Starts as if it had always run: in a bad spell as often as spells are bad.
    fn begin(&mut self, loss: &Loss, now: u64) {
        match *loss {
            Loss::None | Loss::Random { .. } => self.bad = false,
            Loss::Bursts { good_to_bad_ppm, bad_to_good_ppm, .. } => {
                let (bad, good) = (u64::from(good_to_bad_ppm), u64::from(bad_to_good_ppm));
                self.bad = self.starts_bad(bad, good);
            }
            Loss::Spells { good, bad, .. } => {
                self.bad = self.starts_bad(nanos(bad), nanos(good));
                let spell = self.draws.exponential(if self.bad { bad } else { good });
                self.until = now.saturating_add(nanos(spell));
            }
        }
    }

    fn starts_bad(&mut self, bad: u64, good: u64) -> bool {
        let all = bad.saturating_add(good);
        all > 0 && self.draws.up_to(all - 1) < bad
    }
}

fn wide(bytes: usize) -> u64 {
    u64::try_from(bytes).unwrap_or(u64::MAX)
}
